//! Which exchange a command means that names none: the example's where it runs, else the demonstration that runs now.
//!
//! `pitlane demo` keeps its exchange in a directory of its own, so that any number of them run side by side. Each leaves a
//! pointer, a small file with the path, in one place that all of the user's programs know, and takes it away at its end.
//! The place is the user's alone: one that somebody else made is neither written nor believed. Cold.

use super::{ConfigArgument, Failure};
use crate::launch::endpoints::Endpoints;
use crate::os::unix::own_uid;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Tries to leave a pointer while others take their place away.
const TRIES: u32 = 8;
/// Pointers looked at; a place that holds more is not kept by us.
const POINTERS_MAX: usize = 1_024;
/// Longest path believed.
const PATH_BYTES_MAX: u64 = 4_096;

/// A pointer to a demonstration's directory; gone when dropped.
#[derive(Debug)]
pub struct Pointer {
    file: PathBuf,
}

/// Where pointers lie.
fn place() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(runtime) if runtime.is_absolute() => runtime.join("pitlane-demos"),
        _ => std::env::temp_dir().join(format!("pitlane-demos-{}", own_uid())),
    }
}

/// Whether the place is a directory, and ours alone.
fn is_ours(place: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(place)?;
    Ok(found.is_dir() && found.uid() == own_uid() && found.mode() & 0o022 == 0)
}

impl Pointer {
    /// Points to `directory` until dropped.
    ///
    /// # Errors
    /// A place that is somebody else's, or what the system says.
    pub fn leave(directory: &Path) -> io::Result<Pointer> {
        Pointer::leave_in(&place(), std::process::id(), directory)
    }

    fn leave_in(place: &Path, process: u32, directory: &Path) -> io::Result<Pointer> {
        let mut outcome = Err(ErrorKind::NotFound.into());
        for _ in 0..TRIES {
            match DirBuilder::new().mode(0o700).create(place) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            outcome = is_ours(place).and_then(|ours| {
                let text = directory.as_os_str().as_encoded_bytes();
                let file = place.join(process.to_string());
                if !ours {
                    let text = format!("{} is another user's", place.display());
                    return Err(io::Error::new(ErrorKind::PermissionDenied, text));
                }
                fs::write(&file, text).map(|()| Pointer { file })
            });
            // The last of the others may have taken the place away in between.
            if !matches!(&outcome, Err(e) if e.kind() == ErrorKind::NotFound) {
                break;
            }
        }
        outcome
    }
}

impl Drop for Pointer {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.file);
        // Refused while others point from there.
        let _in_use = self.file.parent().map(fs::remove_dir);
    }
}

/// The newest demonstration that runs, if one does. Pointers whose process is gone are taken away.
fn newest(place: &Path, is_alive: impl Fn(u32) -> bool) -> Option<(PathBuf, Endpoints)> {
    if !is_ours(place).unwrap_or(false) {
        return None;
    }
    let mut found: Vec<(SystemTime, PathBuf, Endpoints)> = Vec::new();
    for entry in fs::read_dir(place).ok()?.flatten().take(POINTERS_MAX) {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if !is_alive(process) {
            let _gone_already = fs::remove_file(entry.path());
            continue;
        }
        let Ok(about) = entry.metadata() else { continue };
        if !about.is_file() || about.len() > PATH_BYTES_MAX {
            continue;
        }
        let Ok(directory) = fs::read_to_string(entry.path()).map(PathBuf::from) else { continue };
        if let (Ok(left), Ok(endpoints)) = (about.modified(), Endpoints::read(&directory)) {
            found.push((left, directory, endpoints));
        }
    }
    let newest = found.into_iter().max_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)))?;
    Some((newest.1, newest.2))
}

/// The exchange in `directory`, or that of the configuration; where neither is named, the example's, else the newest
/// demonstration. Gives its directory too.
///
/// # Errors
/// None runs there.
pub fn find(directory: Option<&Path>, config: &ConfigArgument) -> Result<(PathBuf, Endpoints), Failure> {
    let named = match directory {
        Some(directory) => directory.to_owned(),
        None => config.load()?.directory,
    };
    let fault = match Endpoints::read(&named) {
        Ok(endpoints) => return Ok((named, endpoints)),
        Err(fault) => fault,
    };
    let is_left_open = directory.is_none() && config.config.is_none();
    let alive = |process: u32| Path::new("/proc").join(process.to_string()).exists();
    if is_left_open && let Some(found) = newest(&place(), alive) {
        return Ok(found);
    }
    let what = format!("no exchange runs in {}: {fault}", named.display());
    let also = if is_left_open { ", and no demonstration runs either" } else { "" };
    Err(Failure::Fault(format!(
        "{what}{also}; start one with `pitlane run` or `pitlane demo`, or name its --config or --directory"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn exchange(base: &Path, name: &str) -> PathBuf {
        let directory = base.join(name);
        fs::create_dir(&directory).unwrap();
        Endpoints::of_files(&directory).write(&directory).unwrap();
        directory
    }

    #[test]
    fn of_two_demonstrations_each_keeps_its_pointer_and_the_newest_that_runs_is_meant() {
        let base = tempfile::tempdir().unwrap();
        let place = base.path().join("demos");
        let (one, two) = (exchange(base.path(), "one"), exchange(base.path(), "two"));
        let first = Pointer::leave_in(&place, 11, &one).unwrap();
        let second = Pointer::leave_in(&place, 12, &two).unwrap();
        let old = SystemTime::UNIX_EPOCH;
        fs::File::options().append(true).open(place.join("11")).unwrap().set_modified(old).unwrap();
        let meant = |alive: &[u32]| newest(&place, |process| alive.contains(&process)).map(|found| found.0);
        assert_eq!(meant(&[11, 12]), Some(two.clone()));
        drop(second);
        assert_eq!(meant(&[11, 12]), Some(one.clone()), "the other still runs");
        Endpoints::remove(&one);
        assert_eq!(meant(&[11]), None, "its exchange has stopped");
        drop(first);
        assert!(!place.exists(), "nothing is left behind");
    }

    #[test]
    fn a_pointer_of_a_process_that_was_killed_is_taken_away() {
        let base = tempfile::tempdir().unwrap();
        let place = base.path().join("demos");
        let directory = exchange(base.path(), "one");
        std::mem::forget(Pointer::leave_in(&place, 11, &directory).unwrap());
        assert!(newest(&place, |_| false).is_none());
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    }

    #[test]
    fn a_place_that_others_can_write_is_neither_used_nor_believed() {
        let base = tempfile::tempdir().unwrap();
        let directory = exchange(base.path(), "one");
        let open = base.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(open.join("11"), directory.to_str().unwrap()).unwrap();
        let linked = base.path().join("linked");
        symlink(base.path(), &linked).unwrap();
        for place in [&open, &linked] {
            assert!(newest(place, |_| true).is_none());
            let refused = Pointer::leave_in(place, 12, &directory).unwrap_err();
            assert!(refused.to_string().ends_with("is another user's"), "{refused}");
        }
    }

    #[test]
    fn rubbish_among_the_pointers_is_passed_over() {
        let base = tempfile::tempdir().unwrap();
        let place = base.path().join("demos");
        let directory = exchange(base.path(), "one");
        let _pointer = Pointer::leave_in(&place, 11, &directory).unwrap();
        fs::write(place.join("12"), [0xFF; 10]).unwrap();
        fs::write(place.join("13"), vec![b'x'; 10_000]).unwrap();
        fs::write(place.join("README"), "hello").unwrap();
        fs::create_dir(place.join("14")).unwrap();
        assert_eq!(newest(&place, |_| true).unwrap().0, directory);
    }
}
