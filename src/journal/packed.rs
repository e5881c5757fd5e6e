//! A packed segment, unpacked into memory. Cold.

use crate::os::mapped::Mapped;
use lz4_flex::frame::FrameDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest content an archive may have: the largest segment that a configuration allows.
const CONTENT_BYTES_MAX: u64 = 16 << 30;

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
