//! What was found before anything was changed, on disk before the first change: so that it can be given back, also
//! after a crash in the middle and after a reboot.
//!
//! One file, replaced whole (written beside, synced, renamed, directory synced). It outlives a reboot on purpose:
//! files that were installed do too, and whoever asks for the old settings back shall hear that the reboot has reset
//! the others. A lock on a file beside it keeps two runs apart. Cold.

use super::examine::Make;
use super::table::Profile;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Where it lies below the root, when nobody says otherwise.
pub const DIRECTORY: &str = "var/lib/pitlane/tuning";
const FILE: &str = "found.json";
const UNFINISHED: &str = "found.json.new";
const LOCK: &str = "lock";
/// Of the file's shape; another is refused.
const VERSION: u32 = 1;

/// One file that was or is about to be changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The setting it belongs to.
    pub setting: String,
    /// The file.
    pub path: String,
    /// How it is changed.
    pub make: Make,
    /// What it held before; nothing when it was not there.
    pub found: Option<String>,
    /// What it held after the change, read back; nothing until then.
    pub holds: Option<String>,
}

/// All of them, and what they were changed for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Saved {
    version: u32,
    /// The boot it was written in, by the kernel's random name for it.
    pub boot: String,
    /// What was asked for.
    pub profile: Profile,
    /// Hot cores then.
    pub hot: Vec<usize>,
    /// Files, in the order of their changes.
    pub entries: Vec<Entry>,
}

impl Saved {
    /// With nothing changed yet.
    pub fn new(boot: String, profile: Profile, hot: Vec<usize>) -> Saved {
        Saved { version: VERSION, boot, profile, hot, entries: Vec::new() }
    }
}

/// The place of it, held by this process alone.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    _lock: File,
}

impl Store {
    /// Takes the directory, made if absent.
    ///
    /// # Errors
    /// It cannot be made or written; `WouldBlock` when another run holds it.
    pub fn open(directory: &Path) -> io::Result<Store> {
        fs::create_dir_all(directory)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(directory.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Store { directory: directory.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::new(ErrorKind::WouldBlock, "another `pitlane tune` is at work; wait for it"))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// What is saved in a directory; nothing when this machine is as it was found. Takes no lock, needs no rights
    /// but to read.
    ///
    /// # Errors
    /// It cannot be read, or is not what this program writes.
    pub fn peek(directory: &Path) -> io::Result<Option<Saved>> {
        let path = directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let wrong = |what: String| io::Error::new(ErrorKind::InvalidData, format!("{}: {what}", path.display()));
        let saved: Saved = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if saved.version != VERSION {
            return Err(wrong(format!("version {}, expected {VERSION}", saved.version)));
        }
        Ok(Some(saved))
    }

    /// The hot cores this machine is tuned for in this boot, if it is. A partition hides its cores from who stands
    /// outside, so that they could not be chosen a second time.
    ///
    /// # Errors
    /// As [`Store::peek`].
    pub fn hot(directory: &Path, boot: &str) -> io::Result<Option<Vec<usize>>> {
        Ok(Store::peek(directory)?.filter(|saved| saved.boot == boot).map(|saved| saved.hot))
    }

    /// What is saved here.
    ///
    /// # Errors
    /// As [`Store::peek`].
    pub fn read(&self) -> io::Result<Option<Saved>> {
        Store::peek(&self.directory)
    }

    /// Saves; durable when it returns. With no entries left there is nothing to remember.
    ///
    /// # Errors
    /// What the system says; the old file is then still whole.
    pub fn write(&self, saved: &Saved) -> io::Result<()> {
        if saved.entries.is_empty() {
            return match fs::remove_file(self.directory.join(FILE)) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => File::open(&self.directory)?.sync_all(),
            };
        }
        let unfinished = self.directory.join(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(saved)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, self.directory.join(FILE))?;
        File::open(&self.directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        let entry = |path: &str, found: Option<&str>| Entry {
            setting: "swappiness".into(),
            path: path.into(),
            make: Make::Write,
            found: found.map(str::to_owned),
            holds: None,
        };
        let entries = vec![entry("a", Some("60")), entry("b", None)];
        Saved { entries, ..Saved::new("boot".into(), Profile::Latency, vec![1]) }
    }

    #[test]
    fn what_is_saved_is_read_back_and_nothing_is_left_when_all_is_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.read().unwrap(), None);
        store.write(&saved()).unwrap();
        assert_eq!(store.read().unwrap(), Some(saved()));
        store.write(&Saved { entries: Vec::new(), ..saved() }).unwrap();
        assert_eq!(store.read().unwrap(), None);
    }

    #[test]
    fn two_runs_at_once_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _held = Store::open(directory.path()).unwrap();
        assert_eq!(Store::open(directory.path()).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        fs::write(directory.path().join(FILE), "{\"version\": 1").unwrap();
        let error = store.read().unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidData && error.to_string().contains(FILE), "{error}");
        let other = serde_json::to_string(&saved()).unwrap().replace("\"version\":1", "\"version\":2");
        fs::write(directory.path().join(FILE), other).unwrap();
        assert!(store.read().unwrap_err().to_string().contains("version 2, expected 1"));
    }
}
