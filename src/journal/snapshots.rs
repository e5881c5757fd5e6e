//! Snapshots of the state as files beside the segments: written so that one with a name is whole, read so that none is
//! believed.
//!
//! A snapshot says which record it stands behind, which chain value the next one carries (so which journal it is of), and
//! what the digest of its state is. It is written under a temporary name, in slices that are synced one by one so that the
//! disk's other user, the persister, never waits behind all of it; then it is renamed and the directory synced. What is in
//! the sections is not known here. Everything about snapshots is derived: without any, a start replays the journal.
//! Cold.

use super::disk::{Disk, Sliced};
use super::fault::JournalFault;
use super::segment::disk_fault;
use super::segments::numbered;
use crate::types::{Nanos, Number};
use crate::wire::record::Link;
use crate::wire::snapshot::{SNAPSHOT_MAGIC, SectionHeader, SnapshotHeader};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromZeros, IntoBytes};

/// What the name of a snapshot begins with.
const PREFIX: &str = "snapshot-";
/// Digits of the record's number behind it: any number.
const DIGITS: usize = 20;
/// What the name of one that is being written ends with.
const UNFINISHED: &str = "new";
/// Snapshots kept: if the newest turns out bad, there is another.
pub const KEPT: usize = 2;

/// What a snapshot says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotHead {
    /// Partition.
    pub group: u64,
    /// Digest of the reference data.
    pub market: u64,
    /// Last record in it.
    pub number: Number,
    /// Time of that.
    pub time: Nanos,
    /// What the record after it must carry.
    pub link: Link,
    /// Digest of the state.
    pub state: u64,
}

/// A part of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// What it holds, by its owner's numbers.
    pub kind: u16,
    /// Which of its kind.
    pub index: u16,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A snapshot as read, every checksum verified.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What it says of itself.
    pub head: SnapshotHead,
    bytes: Vec<u8>,
    /// Kind, index and place of each part.
    sections: Vec<(u16, u16, Range<usize>)>,
}

impl Snapshot {
    /// The bytes of a part.
    pub fn section(&self, kind: u16, index: u16) -> Option<&[u8]> {
        let found = self.sections.iter().find(|section| (section.0, section.1) == (kind, index))?;
        Some(&self.bytes[found.2.clone()])
    }

    /// Kind, index and size of each part.
    pub fn parts(&self) -> impl Iterator<Item = (u16, u16, usize)> {
        self.sections.iter().map(|(kind, index, place)| (*kind, *index, place.len()))
    }
}

/// Why a snapshot cannot be used. Never a reason not to start: there is an older one, or the journal.
#[derive(Debug)]
pub struct SnapshotFault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for SnapshotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot {} cannot be used: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for SnapshotFault {}

/// Where the snapshot behind record `number` is.
pub fn snapshot_path(directory: &Path, number: Number) -> PathBuf {
    directory.join(format!("{PREFIX}{:0DIGITS$}", number.0))
}

/// Number and file of each snapshot, the newest first.
/// # Errors
/// What the system says, but for there being no such directory.
pub fn list(directory: &Path) -> Result<Vec<(Number, PathBuf)>, JournalFault> {
    let found = numbered(directory, PREFIX, DIGITS, &[""])?;
    let mut found: Vec<_> = found.into_iter().map(|(number, path)| (Number(number), path)).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Whether a file begins like a snapshot.
pub fn is_snapshot(path: &Path) -> bool {
    let mut magic = [0; SNAPSHOT_MAGIC.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == SNAPSHOT_MAGIC
}

/// Reads one and verifies every byte of it.
/// # Errors
/// Why it cannot be used.
pub fn read(path: &Path) -> Result<Snapshot, SnapshotFault> {
    let refuse = |why: String| SnapshotFault { path: path.to_path_buf(), why };
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(|error| refuse(error.to_string()))?;
    let (header, sections) = SnapshotHeader::parse(&bytes).map_err(|error| refuse(error.to_string()))?;
    let number = Number(header.number.get());
    // Sections lie one behind the other up to the end.
    let mut at = bytes.len() - sections.iter().map(|(_, part)| part.len()).sum::<usize>();
    let mut placed = Vec::with_capacity(sections.len());
    for (section, part) in &sections {
        placed.push((section.kind.get(), section.index.get(), at..at + part.len()));
        at += part.len();
    }
    Ok(Snapshot {
        head: SnapshotHead {
            group: header.group.get(),
            market: header.market.get(),
            number,
            time: Nanos(header.time.get()),
            link: Link { number: number.0 + 1, chain: header.chain.get() },
            state: header.state.get(),
        },
        sections: placed,
        bytes,
    })
}

/// Writes one, whole or not at all. One of the same record is replaced.
/// # Errors
/// `Disk`; nothing is left behind then, and those there were stay.
pub fn write(
    directory: &Path,
    head: &SnapshotHead,
    sections: &[Section],
    disk: &mut dyn Disk,
) -> Result<PathBuf, JournalFault> {
    let path = snapshot_path(directory, head.number);
    let unfinished = path.with_extension(UNFINISHED);
    let written = write_unfinished(&unfinished, head, sections, disk);
    if let Err(error) = written {
        let _ = disk.remove(&unfinished);
        return Err(disk_fault("write the snapshot", &path)(error));
    }
    let named = disk.rename(&unfinished, &path).and_then(|()| disk.sync_names(directory));
    named.map_err(disk_fault("name the snapshot", &path))?;
    Ok(path)
}

fn write_unfinished(path: &Path, head: &SnapshotHead, sections: &[Section], disk: &mut dyn Disk) -> io::Result<u64> {
    let table: Vec<SectionHeader> = sections
        .iter()
        .map(|section| SectionHeader {
            kind: section.kind.into(),
            index: section.index.into(),
            crc: U32::new(crc32c::crc32c(&section.bytes)),
            bytes: U64::new(section.bytes.len() as u64),
        })
        .collect();
    let header = SnapshotHeader {
        group: U64::new(head.group),
        market: U64::new(head.market),
        number: U64::new(head.number.0),
        time: U64::new(head.time.0),
        chain: U64::new(head.link.chain),
        state: U64::new(head.state),
        ..SnapshotHeader::new_zeroed()
    };
    let header = header.seal(&table);
    let mut file = Sliced::create(path, disk)?;
    file.write_all(header.as_bytes())?;
    file.write_all(table.as_bytes())?;
    sections.iter().try_for_each(|section| file.write_all(&section.bytes))?;
    file.finish()
}

/// Takes away all but the newest [`KEPT`], and what a write that was cut off left. Gives the number behind which the
/// oldest of those kept stands, when there are so many.
/// # Errors
/// `Disk`, `Io`.
pub fn prune(directory: &Path, disk: &mut dyn Disk) -> Result<Option<Number>, JournalFault> {
    let found = list(directory)?;
    for (_, path) in found.iter().skip(KEPT) {
        disk.remove(path).map_err(disk_fault("remove the snapshot", path))?;
    }
    let fault = || JournalFault::io("clean up the directory", directory);
    for entry in std::fs::read_dir(directory).map_err(fault())? {
        let path = entry.map_err(fault())?.path();
        let is_ours = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.starts_with(PREFIX));
        if is_ours && path.extension().is_some_and(|extension| extension == UNFINISHED) {
            disk.remove(&path).map_err(disk_fault("clean up the file", &path))?;
        }
    }
    Ok(found.get(KEPT - 1).map(|(number, _)| *number))
}
