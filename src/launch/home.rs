//! Where the parts of a partition's journal lie, and by which name they know each other. Cold.

use crate::config::Config;
use crate::types::Market;
use std::path::{Path, PathBuf};

/// Where the log of a partition is.
pub fn log_path(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// The directory the log of this configuration lies in.
pub fn log_home(config: &Config) -> &Path {
    config.journal.log_directory.as_deref().unwrap_or(&config.directory)
}

/// Where the mark of a clean stop of this journal lies: beside what outlives most.
pub fn mark_home(config: &Config) -> &Path {
    config.journal.segments.as_ref().map_or(&config.directory, |knobs| &knobs.directory)
}

/// Names the group a log belongs to: the partition's name, so that another partition's log is refused.
pub fn group(market: &Market) -> u64 {
    market
        .session_name
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3))
}
