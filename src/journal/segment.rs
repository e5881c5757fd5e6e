//! [`SegmentWriter`]: appends groups of the log's records to the segments and keeps one segment ahead.
//!
//! A segment is made under a temporary name: its blocks taken, every byte written as zero and synced. Syncing a group
//! later then moves data alone, no extents and no size. It gets its header, which carries the chain of all records
//! before it, only when the one before is full, and then its name. So a segment that has a name is whole, and what a
//! crash leaves under a temporary name is removed at the next start.
//!
//! Each group goes to disk together with a mark that says what was synced before it and where it ends; see
//! [`crate::wire::segment`]. Cold; the persister's thread alone. Each call is bounded by a group or a chunk of zeros.

use super::RECORD_BYTES;
use super::disk::{self, Disk};
use super::fault::JournalFault;
use super::segments::{Found, PREPARED, Segments, segment_path};
use crate::wire::record::{Link, RECORDS_START};
use crate::wire::segment::{SegmentHeader, SegmentMark};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zerocopy::IntoBytes;

/// Zeros written and synced at once while a segment is prepared: some milliseconds of a disk.
const CHUNK_BYTES: usize = 256 << 10;
static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];
/// Records of one group at most, in bytes: some milliseconds of a disk, and more than the gate lets wait.
pub(super) const GROUP_BYTES_MAX: usize = 1 << 20;

/// Where segments are and how large new ones become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentOptions {
    /// The directory; on a disk for the promise to hold.
    pub directory: PathBuf,
    /// Bytes of a new segment. One that exists keeps the size it has.
    pub bytes: usize,
}

impl SegmentOptions {
    /// Size of a segment for so many records.
    pub const fn bytes_for(records: usize) -> usize {
        RECORDS_START + records * RECORD_BYTES
    }
}

/// The segments' only writer.
pub struct SegmentWriter {
    segments: Segments,
    bytes: usize,
    current: Current,
    ahead: Option<Prepared>,
    /// What the next record must carry.
    next: Link,
}

/// The segment that takes records.
struct Current {
    file: File,
    path: PathBuf,
    number: u64,
    /// Where the next record goes; all before is synced.
    at: usize,
    bytes: usize,
    generation: u64,
    /// Whether the newest mark says that all is synced.
    is_settled: bool,
}

/// The segment after it, as far as it is made.
struct Prepared {
    file: File,
    path: PathBuf,
    /// Zeros written and synced.
    zeroed: usize,
}

impl SegmentWriter {
    /// Goes on after what was taken, or begins with a first segment for the record that `first` announces. Cold: the
    /// first segment is made here, whole.
    /// # Errors
    /// `Disk` or `Io`.
    pub fn new(
        segments: Segments,
        bytes: usize,
        first: Link,
        disk: &mut dyn Disk,
    ) -> Result<SegmentWriter, JournalFault> {
        assert!(bytes >= SegmentOptions::bytes_for(1), "a segment has room for a record");
        remove_prepared(&segments.directory, disk)?;
        let Some(found) = segments.last().cloned() else {
            let mut ahead = begin(&segments.directory, 1, bytes, disk)?;
            while !ahead.extend(bytes, disk)? {}
            let current = named(ahead, &segments, 1, bytes, first, disk)?;
            return Ok(SegmentWriter { segments, bytes, current, ahead: None, next: first });
        };
        let mut writer = SegmentWriter { current: Current::of(&found)?, segments, bytes, ahead: None, next: found.end };
        let directory = writer.segments.directory.clone();
        disk.sync_names(&directory).map_err(disk_fault("sync the names in", &directory))?;
        writer.current.clear_behind(disk)?;
        writer.current.write_again(found.synced, disk)?;
        // What recovery found is the new ground: a mark of before must not judge what is written from now on.
        writer.settle(disk)?;
        Ok(writer)
    }

    /// What the next record must carry.
    pub fn next(&self) -> Link {
        self.next
    }

    /// Records that the current segment has room for.
    pub fn free_records(&self) -> usize {
        (self.current.bytes - self.current.at) / RECORD_BYTES
    }

    /// The same with the next segment, if that is ready.
    pub fn room_records(&self) -> usize {
        let ahead = if self.is_ahead() { (self.bytes - RECORDS_START) / RECORD_BYTES } else { 0 };
        self.free_records() + ahead
    }

    /// Whether the next segment should be made even at the cost of a group's time.
    pub fn is_half_full(&self) -> bool {
        self.current.at > self.current.bytes / 2
    }

    /// Segments there are.
    pub fn count(&self) -> u64 {
        self.current.number
    }

    /// Writes whole records, `next` being what follows them, and syncs. When it returns they survive a loss of power.
    /// # Errors
    /// `Disk`, and then nothing may be written by this process any more.
    /// # Panics
    /// When they are no whole records or more than there is room for.
    pub fn append(&mut self, records: &[u8], next: Link, disk: &mut dyn Disk) -> Result<(), JournalFault> {
        assert!(records.len().is_multiple_of(RECORD_BYTES) && records.len() / RECORD_BYTES <= self.free_records());
        self.current.write(records, disk)?;
        self.next = next;
        Ok(())
    }

    /// Writes a mark that says that everything is synced, if the newest one does not. Sharpens what recovery can tell.
    /// # Errors
    /// `Disk`.
    pub fn settle(&mut self, disk: &mut dyn Disk) -> Result<(), JournalFault> {
        if self.current.is_settled {
            return Ok(());
        }
        self.current.write(&[], disk)
    }

    /// Makes a step towards the next segment; false when it is ready.
    /// # Errors
    /// `Disk`; with `StorageFull` or `QuotaExceeded` beneath, nothing is lost and a later step may succeed.
    pub fn prepare(&mut self, disk: &mut dyn Disk) -> Result<bool, JournalFault> {
        let Some(ahead) = &mut self.ahead else {
            self.ahead = Some(begin(&self.segments.directory, self.current.number + 1, self.bytes, disk)?);
            return Ok(true);
        };
        if ahead.zeroed == self.bytes {
            return Ok(false);
        }
        let extended = ahead.extend(self.bytes, disk);
        if extended.is_err() {
            // Made anew next time: what a failed sync had to write must not count as written.
            let _ = disk.remove(&ahead.path);
            self.ahead = None;
        }
        extended.map(|_| true)
    }

    /// Whether the next segment only waits for its header and name.
    pub fn is_ahead(&self) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| ahead.zeroed == self.bytes)
    }

    /// Goes over to the next segment, which is ready.
    /// # Errors
    /// `Disk`.
    pub fn roll(&mut self, disk: &mut dyn Disk) -> Result<(), JournalFault> {
        debug_assert!(self.is_ahead() && self.free_records() == 0);
        let ahead = self.ahead.take().expect("the next segment is ready");
        self.current = named(ahead, &self.segments, self.current.number + 1, self.bytes, self.next, disk)?;
        Ok(())
    }
}

impl Current {
    fn of(found: &Found) -> Result<Current, JournalFault> {
        Ok(Current {
            file: disk::open(&found.path).map_err(JournalFault::io("open the segment", &found.path))?,
            path: found.path.clone(),
            number: found.number,
            at: found.at,
            bytes: found.bytes,
            generation: found.generation,
            is_settled: false,
        })
    }

    /// Writes zeros behind the last record, as far as a group can have been torn. The start cut it off already; but if that
    /// failed, the system has zeros in memory that the disk does not have, and holds them for clean.
    fn clear_behind(&mut self, disk: &mut dyn Disk) -> Result<(), JournalFault> {
        let end = self.bytes.min(self.at + GROUP_BYTES_MAX);
        for at in (self.at..end).step_by(CHUNK_BYTES) {
            write_all(&self.file, &self.path, &[(at as u64, &ZEROS[..CHUNK_BYTES.min(end - at)])], disk)?;
        }
        Ok(())
    }

    /// Writes once more what no mark knows to be synced. It was read, and so the system has it in memory; but after a
    /// sync that failed the system holds such pages for clean, and no later sync would write them.
    fn write_again(&mut self, synced: usize, disk: &mut dyn Disk) -> Result<(), JournalFault> {
        if synced >= self.at {
            return Ok(());
        }
        let mut records = vec![0; self.at - synced];
        let read = self.file.read_exact_at(&mut records, synced as u64);
        read.map_err(JournalFault::io("read the end of the segment", &self.path))?;
        self.at = synced;
        self.write(&records, disk)
    }

    fn write(&mut self, records: &[u8], disk: &mut dyn Disk) -> Result<(), JournalFault> {
        let through = self.at + records.len();
        let mark = SegmentMark::new(self.generation + 1, self.at, through);
        let pieces = [(mark.at() as u64, mark.as_bytes()), (self.at as u64, records)];
        let pieces = if records.is_empty() { &pieces[..1] } else { &pieces[..] };
        write_all(&self.file, &self.path, pieces, disk)?;
        (self.generation, self.at, self.is_settled) = (self.generation + 1, through, records.is_empty());
        Ok(())
    }
}

impl Prepared {
    /// Writes zeros; true when that were the last.
    fn extend(&mut self, bytes: usize, disk: &mut dyn Disk) -> Result<bool, JournalFault> {
        let chunk = (bytes - self.zeroed).min(CHUNK_BYTES);
        write_all(&self.file, &self.path, &[(self.zeroed as u64, &ZEROS[..chunk])], disk)?;
        self.zeroed += chunk;
        Ok(self.zeroed == bytes)
    }
}

fn write_all(file: &File, path: &Path, pieces: &[(u64, &[u8])], disk: &mut dyn Disk) -> Result<(), JournalFault> {
    let wanted: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
    let short = |written| io::Error::new(io::ErrorKind::WriteZero, format!("{written} of {wanted} bytes were written"));
    let written = disk.write_synced(file, pieces);
    let all = written.and_then(|written| if written == wanted { Ok(()) } else { Err(short(written)) });
    all.map_err(disk_fault("write and sync", path))
}

pub(super) fn disk_fault(attempted: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalFault {
    let path = path.to_path_buf();
    move |error| JournalFault::Disk { attempted, path, error }
}

/// A file for segment `number` with its blocks taken; one that does not get them leaves nothing behind.
fn begin(directory: &Path, number: u64, bytes: usize, disk: &mut dyn Disk) -> Result<Prepared, JournalFault> {
    let path = segment_path(directory, number).with_extension(PREPARED);
    let file = disk.create(&path).map_err(disk_fault("create", &path))?;
    if let Err(error) = disk.allocate(&file, bytes) {
        let _ = disk.remove(&path);
        return Err(disk_fault("take the blocks of", &path)(error));
    }
    Ok(Prepared { file, path, zeroed: 0 })
}

/// Gives a segment that is all zeros its header, its first mark and its name.
fn named(
    ahead: Prepared,
    segments: &Segments,
    number: u64,
    bytes: usize,
    first: Link,
    disk: &mut dyn Disk,
) -> Result<Current, JournalFault> {
    let Prepared { file, path, .. } = ahead;
    let header = SegmentHeader::new(segments.group, number, bytes as u64, first);
    let mark = SegmentMark::new(0, RECORDS_START, RECORDS_START);
    write_all(&file, &path, &[(0, header.as_bytes()), (mark.at() as u64, mark.as_bytes())], disk)?;
    let to = segment_path(&segments.directory, number);
    disk.publish(&path, &to).map_err(disk_fault("name", &to))?;
    Ok(Current { file, path: to, number, at: RECORDS_START, bytes, generation: 0, is_settled: true })
}

/// Takes away what an earlier process had prepared: it holds no record.
fn remove_prepared(directory: &Path, disk: &mut dyn Disk) -> Result<(), JournalFault> {
    let fault = || JournalFault::io("clean up the directory", directory);
    for entry in std::fs::read_dir(directory).map_err(fault())? {
        let path = entry.map_err(fault())?.path();
        let is_segment =
            path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.starts_with("segment-"));
        if is_segment && path.extension().is_some_and(|extension| extension == PREPARED) {
            disk.remove(&path).map_err(disk_fault("clean up the file", &path))?;
        }
    }
    Ok(())
}
