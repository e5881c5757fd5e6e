//! Segments that two snapshots stand behind, packed: a quarter of the bytes, and all of the records.
//!
//! A start with a snapshot does not need them; a replay of everything, `verify` and `inspect` read them as they read
//! segments. The format is the frame format of LZ4 with a checksum over the content, so that the `lz4` tool unpacks one,
//! too. LZ4 because records are packed beside a trading venue: it takes a third of a second of one core for 64 MiB, and
//! unpacking costs less than verifying what comes out. The archive is whole under its name before the segment goes. Cold.

use super::disk::{Disk, Sliced, home};
use super::fault::JournalFault;
use super::segment::disk_fault;
use super::segments::{archive_path, first_number, is_archive, list};
use crate::os::mapped::Mapped;
use lz4_flex::frame::{BlockMode, FrameDecoder, FrameEncoder, FrameInfo};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest content an archive may have: the largest segment that a configuration allows.
const CONTENT_BYTES_MAX: u64 = 16 << 30;

/// The segments all of whose records stand at or before `number`, and that are no archives yet; never the last one.
/// # Errors
/// Any [`JournalFault`] about a segment's first page.
pub fn due(directory: &Path, number: u64) -> Result<Vec<PathBuf>, JournalFault> {
    let files = list(directory)?;
    let mut due = Vec::new();
    for pair in files.windows(2).filter(|pair| !is_archive(&pair[0].1)) {
        let ((_, path), (_, next)) = (&pair[0], &pair[1]);
        if first_number(next)? > number + 1 {
            break;
        }
        due.push(path.clone());
    }
    Ok(due)
}

/// Takes away the archives of all segments before the first that is none, and those segments that are `due`. The oldest
/// first and each durably, so that those left have no gap, whenever the power goes.
/// # Errors
/// `Disk`.
pub fn delete(directory: &Path, due: &[PathBuf], disk: &mut dyn Disk) -> Result<(), JournalFault> {
    let archives = list(directory)?.into_iter().map(|(_, path)| path).take_while(|path| is_archive(path));
    for path in archives.chain(due.iter().cloned()) {
        let gone = disk.remove(&path).and_then(|()| disk.sync_names(directory));
        gone.map_err(disk_fault("take away the segment", &path))?;
    }
    Ok(())
}

/// Packs a segment, then takes it away. Gives the bytes of the archive.
/// # Errors
/// `Disk`; the segment is there then.
pub fn pack(path: &Path, disk: &mut dyn Disk) -> Result<u64, JournalFault> {
    let archive = archive_path(path);
    let unfinished = archive.with_extension("lz4.new");
    let packed = pack_into(path, &unfinished, disk).and_then(|bytes| {
        disk.rename(&unfinished, &archive)?;
        disk.sync_names(home(path))?;
        disk.remove(path)?;
        disk.sync_names(home(path))?;
        Ok(bytes)
    });
    packed.map_err(|error| {
        let _ = disk.remove(&unfinished);
        disk_fault("archive the segment", path)(error)
    })
}

fn pack_into(path: &Path, unfinished: &Path, disk: &mut dyn Disk) -> io::Result<u64> {
    let mut segment = File::open(path)?;
    let bytes = segment.metadata()?.len();
    let info = FrameInfo::new()
        .content_size(Some(bytes))
        .content_checksum(true)
        .block_checksums(true)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Sliced::create(unfinished, disk)?);
    io::copy(&mut segment, &mut encoder)?;
    encoder.finish().map_err(io::Error::other)?.finish()
}

/// Unpacks an archive into memory.
/// # Errors
/// What the system says; `InvalidData` for bytes that are no archive, or not the one that was written.
pub(super) fn read(path: &Path) -> io::Result<Mapped> {
    let invalid = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => error,
        _ => io::Error::new(io::ErrorKind::InvalidData, error),
    };
    let mut content = Vec::new();
    let mut unpacked = FrameDecoder::new(io::BufReader::new(File::open(path)?)).take(CONTENT_BYTES_MAX);
    unpacked.read_to_end(&mut content).map_err(invalid)?;
    // What stands behind a frame would be another one: an archive has one.
    if content.is_empty() || !unpacked.into_inner().into_inner().fill_buf_is_empty()? {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not one whole segment"));
    }
    let memory = Mapped::anonymous(content.len())?;
    memory.write(0, &content);
    Ok(memory)
}

trait AtEnd {
    fn fill_buf_is_empty(&mut self) -> io::Result<bool>;
}

impl<R: io::BufRead> AtEnd for R {
    fn fill_buf_is_empty(&mut self) -> io::Result<bool> {
        Ok(self.fill_buf()?.is_empty())
    }
}
