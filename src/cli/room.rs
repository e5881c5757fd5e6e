//! Where a log goes on a machine that gives little room to files in memory, as containers do: 64 MiB of /dev/shm are
//! their default, and the example's log alone takes 512. Cold.
//!
//! Only what nobody has named is moved: the embedded example's log, and directories that a command makes for itself. A
//! log on a disk works and survives the same faults; while that disk writes, an append may wait for it.

use crate::config::Config;
use crate::launch::home::{log_home, log_path};
use crate::os::pages;
use std::path::{Path, PathBuf};

/// What lies beside a log (depth cache, counters, stage times, lists of sessions), and what others may take meanwhile.
const BESIDE_BYTES: u64 = 64 << 20;

/// A directory for an exchange with a log of so many bytes: in memory, if it finds room there.
pub fn memory_backed(log_bytes: usize) -> PathBuf {
    pages::memory_backed(log_bytes as u64 + BESIDE_BYTES)
}

fn has_room(directory: &Path, log_bytes: usize) -> bool {
    pages::room(directory).is_ok_and(|room| room.free_bytes >= log_bytes as u64 + BESIDE_BYTES)
}

/// Moves the example's log to the temporary directory where it finds no room beside the other files. Every command comes
/// to the same place: a log that is there already stays where it is.
pub fn move_log_where_room_is(config: &mut Config) {
    let elsewhere = std::env::temp_dir().join("pitlane");
    if log_path(log_home(config)).exists() {
        return;
    }
    let parent = config.directory.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/"));
    if log_path(&elsewhere).exists() || !has_room(parent, config.journal.log_bytes) {
        config.journal.log_directory = Some(elsewhere);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_room_moves_and_one_that_is_there_stays() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::example();
        config.directory = directory.path().join("venue");
        config.journal.log_bytes = usize::MAX / 4;
        let home = config.directory.clone();
        move_log_where_room_is(&mut config);
        assert_ne!(log_home(&config), home);
        config.journal.log_directory = None;
        std::fs::create_dir(&home).unwrap();
        std::fs::write(log_path(&home), "a log").unwrap();
        move_log_where_room_is(&mut config);
        assert_eq!(log_home(&config), home);
    }

    #[test]
    fn a_directory_in_memory_is_taken_only_with_room_for_the_log() {
        assert_eq!(memory_backed(usize::MAX / 4), std::env::temp_dir());
        let roomy = memory_backed(0);
        assert!(roomy == Path::new("/dev/shm") || roomy == std::env::temp_dir());
    }
}
