//! Names of the files beside segments, and which of them there are. Cold.

use super::fault::JournalFault;
use std::io;
use std::path::{Path, PathBuf};

/// What the name of a segment begins with.
const PREFIX: &str = "segment-";
/// Digits behind it.
const DIGITS: usize = 8;
/// What the name of a segment's archive ends with.
pub(super) const ARCHIVED_SUFFIX: &str = ".lz4";
/// What the name of a segment that is being prepared ends with.
pub(super) const PREPARED: &str = "new";

/// Where segment `number` is.
pub fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{PREFIX}{number:0DIGITS$}"))
}

/// Where the directory's lock is.
pub fn lock_path(directory: &Path) -> PathBuf {
    directory.join("lock")
}

/// Number and file of each segment, in order; where there is a segment and its archive, the segment: archiving it was cut
/// off before that was taken away.
/// # Errors
/// What the system says, but for there being no such directory, which has no segments.
pub fn list(directory: &Path) -> Result<Vec<(u64, PathBuf)>, JournalFault> {
    let mut found = numbered(directory, PREFIX, DIGITS, &["", ARCHIVED_SUFFIX])?;
    // By number, and of one number the shorter name first, which is the segment itself.
    found.sort_unstable();
    found.dedup_by_key(|(number, _)| *number);
    Ok(found)
}

/// Number and file of each name in a directory that is `prefix`, so many digits, and one of `suffixes`; in no order.
/// # Errors
/// What the system says, but for there being no such directory, which has none.
pub(super) fn numbered(
    directory: &Path,
    prefix: &str,
    digits_count: usize,
    suffixes: &[&str],
) -> Result<Vec<(u64, PathBuf)>, JournalFault> {
    let fault = || JournalFault::io("read the directory", directory);
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fault())?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(fault())?.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(prefix));
        let digits = rest.and_then(|rest| rest.split_at_checked(digits_count));
        let digits =
            digits.filter(|(text, suffix)| text.bytes().all(|b| b.is_ascii_digit()) && suffixes.contains(suffix));
        if let Some(number) = digits.and_then(|(text, _)| text.parse().ok()) {
            found.push((number, directory.join(name)));
        }
    }
    Ok(found)
}

/// Where the archive of a segment is.
pub(super) fn archive_path(segment: &Path) -> PathBuf {
    let mut name = segment.as_os_str().to_owned();
    name.push(ARCHIVED_SUFFIX);
    PathBuf::from(name)
}

/// Whether this is the name of an archive.
pub(super) fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ARCHIVED_SUFFIX.strip_prefix('.') == extension.to_str())
}

/// Whether the segment found is the one that comes next.
pub(super) fn in_sequence(directory: &Path, expected: u64, found: u64) -> Result<(), JournalFault> {
    if found == expected {
        return Ok(());
    }
    let why = format!("it is not there, but segment {found} is");
    Err(JournalFault::Misplaced { path: segment_path(directory, expected), why })
}
