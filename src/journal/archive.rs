//! Segments that two snapshots stand behind, packed: a quarter of the bytes, and all of the records.
//!
//! A start with a snapshot does not need them; a replay of everything, `verify` and `inspect` read them as they read
//! segments. The format is the frame format of LZ4 with a checksum over the content, so that the `lz4` tool unpacks one,
//! too. LZ4 because records are packed beside a trading venue: it takes a third of a second of one core for 64 MiB, and
//! unpacking costs less than verifying what comes out. The archive is whole under its name before the segment goes. Cold.

use super::fault::JournalFault;
use super::segment::disk_fault;
use super::segments::{archive_path, first_number, is_archive, list};
use crate::os::mapped::Mapped;
use lz4_flex::frame::{BlockMode, FrameDecoder, FrameEncoder, FrameInfo};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes packed between two syncs.
const SLICE_BYTES: usize = 4 << 20;
/// Largest content an archive may have: the largest segment that a configuration allows.
const CONTENT_BYTES_MAX: u64 = 16 << 30;
/// Owner may read and write, nobody else.
const FILE_MODE: u32 = 0o600;

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

/// Takes away the archives of all segments before the first that is none, and those segments that are `due`.
/// # Errors
/// `Disk`.
pub fn delete(directory: &Path, due: &[PathBuf]) -> Result<(), JournalFault> {
    let archives = list(directory)?.into_iter().map(|(_, path)| path).take_while(|path| is_archive(path));
    for path in archives.chain(due.iter().cloned()) {
        std::fs::remove_file(&path).map_err(disk_fault("take away the segment", &path))?;
    }
    Ok(())
}

/// Packs a segment, then takes it away. Gives the bytes of the archive.
/// # Errors
/// `Disk`; the segment is there then.
pub fn pack(path: &Path) -> Result<u64, JournalFault> {
    let archive = archive_path(path);
    let unfinished = archive.with_extension("lz4.new");
    let packed = pack_into(path, &unfinished).and_then(|bytes| {
        std::fs::rename(&unfinished, &archive)?;
        sync_directory(path)?;
        std::fs::remove_file(path)?;
        sync_directory(path)?;
        Ok(bytes)
    });
    packed.map_err(|error| {
        let _ = std::fs::remove_file(&unfinished);
        disk_fault("archive the segment", path)(error)
    })
}

fn pack_into(path: &Path, unfinished: &Path) -> io::Result<u64> {
    let mut segment = File::open(path)?;
    let bytes = segment.metadata()?.len();
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(unfinished)?;
    let info = FrameInfo::new()
        .content_size(Some(bytes))
        .content_checksum(true)
        .block_checksums(true)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, file);
    let mut slice = vec![0; SLICE_BYTES];
    let mut left = bytes as usize;
    while left > 0 {
        let slice = &mut slice[..left.min(SLICE_BYTES)];
        segment.read_exact(slice)?;
        encoder.write_all(slice)?;
        encoder.get_ref().sync_data()?;
        left -= slice.len();
    }
    let file = encoder.finish().map_err(io::Error::other)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
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

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
