//! Directories on a real disk, and a disk that can be held, slowed and broken from outside. Included with `#[path]`.

#![allow(dead_code, reason = "each test file uses its part")]

use pitlane::config::{Config, SegmentKnobs, Survives};
use pitlane::journal::{Disk, SystemDisk};
use pitlane::os::pages::room;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A directory that outlives the power; `None`, with a line, where the build's own directory is in memory.
pub fn on_disk() -> Option<TempDir> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    if room(root).is_ok_and(|room| room.in_memory) {
        eprintln!("not checked: {} is in memory, and the promise needs a disk", root.display());
        return None;
    }
    Some(tempfile::tempdir_in(root).unwrap())
}

/// Adds small segments to a configuration.
pub fn with_segments(config: &mut Config, directory: &Path, survives: Survives) {
    config.journal.segments = Some(SegmentKnobs { directory: directory.to_owned(), bytes: 1 << 20, line: 1 });
    config.journal.survives = survives;
}

/// A venue of `base` in a directory on disk, with segments there; `None`, with a line, where there is no disk to test on.
pub fn durable(base: fn(&Path) -> Config, survives: Survives) -> Option<(TempDir, Config)> {
    let directory = on_disk()?;
    let mut config = base(&directory.path().join("memory"));
    with_segments(&mut config, &directory.path().join("segments"), survives);
    Some((directory, config))
}

#[derive(Default)]
struct State {
    held: bool,
    broken: bool,
    pause: Duration,
    /// New files there is room for; `None` for as many as are wanted.
    files_left: Option<usize>,
}

/// The system's disk behind a door.
#[derive(Clone, Default)]
pub struct HeldDisk(Arc<(Mutex<State>, Condvar)>);

impl HeldDisk {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// No write begins from now on.
    pub fn hold(&self) {
        self.change(|state| state.held = true);
    }

    /// Writes go on.
    pub fn release(&self) {
        self.change(|state| state.held = false);
    }

    /// Each write takes so much longer.
    pub fn slow(&self, pause: Duration) {
        self.change(|state| state.pause = pause);
    }

    /// There is room for so many more files; `None` for any number.
    pub fn room_for(&self, files: Option<usize>) {
        self.change(|state| state.files_left = files);
    }

    /// Each write fails.
    pub fn fail(&self) {
        self.change(|state| state.broken = true);
    }
}

impl Disk for HeldDisk {
    fn allocate(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        if let Some(left) = &mut self.0.0.lock().unwrap().files_left {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSPC))?;
        }
        SystemDisk::plain().allocate(file, bytes)
    }

    fn write_synced(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<usize> {
        let state = self.0.1.wait_while(self.0.0.lock().unwrap(), |state| state.held).unwrap();
        let (broken, pause) = (state.broken, state.pause);
        drop(state);
        if broken {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        std::thread::sleep(pause);
        SystemDisk::plain().write_synced(file, pieces)
    }

    fn describe(&self) -> &'static str {
        "a disk behind a door"
    }
}
