//! A simulated disk behind the journal's seam, sector by sector and name by name: what was synced stays, what was not may
//! be torn, lost or in another place when the power goes.
//!
//! The files are real ones in a temporary directory and hold what a process sees, the page cache that is. Beside them
//! stands what the medium has instead ([`super::medium`]). A fault is drawn for every single verb, so that the process
//! may die, or the power go, in the midst of anything that is written below the segments' directory: segments, snapshots,
//! streams and feed, archives, the mark of a stop, and what recovery itself writes. Whoever is dead writes nothing more.

use crate::files;
use crate::medium::Medium;
use crate::support::random::Random;
use crate::trace::Trace;
use pitlane::journal::{Disk, SystemDisk};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// What may go wrong, each as a chance in ten thousand writes of records; other verbs are fewer, and go wrong oftener.
#[derive(Clone, Copy, Default, Debug)]
pub struct DiskFaults {
    /// The power goes in the middle.
    pub power_cut: u64,
    /// The process dies in the middle.
    pub killed: u64,
    /// It fails.
    pub sync_error: u64,
    /// Fewer bytes are written than asked for.
    pub short_write: u64,
    /// A sector of a group of records that the power cut lands elsewhere.
    pub misdirected: bool,
    /// It says that it has synced when it has not: not a fault to be survived, but one to be caught.
    pub lies: bool,
}

/// What has just ended the process, if anything did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Power,
    Killed,
}

struct State {
    random: Random,
    trace: Trace,
    faults: DiskFaults,
    full: bool,
    medium: Medium,
    /// What each file made here is.
    kinds: BTreeMap<u64, &'static str>,
    ended: Option<Ended>,
    /// It has refused something.
    troubled: bool,
    /// A sector landed where it did not belong: damage may be found from now on.
    misdirected: bool,
}

/// The disk; clones are the same one.
#[derive(Clone)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

/// How much oftener what is not a write of records goes wrong.
const OFTENER: u64 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    Ends(Ended),
    Fails,
    Short,
}

impl SimulatedDisk {
    /// `graves` is a directory beside the venue's, for files that were taken away and may come back.
    pub fn new(random: Random, trace: Trace, faults: DiskFaults, graves: &Path) -> SimulatedDisk {
        std::fs::create_dir(graves).expect("the directory is new");
        SimulatedDisk(Arc::new(Mutex::new(State {
            random,
            trace,
            faults,
            full: false,
            medium: Medium::new(graves),
            kinds: BTreeMap::new(),
            ended: None,
            troubled: false,
            misdirected: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What ended the process in the middle of a verb; asking forgets it.
    pub fn take_ended(&self) -> Option<Ended> {
        self.state().ended.take()
    }

    /// Whether it has refused something; asking forgets it.
    pub fn take_troubled(&self) -> bool {
        std::mem::take(&mut self.state().troubled)
    }

    pub fn was_misdirected(&self) -> bool {
        self.state().misdirected
    }

    /// Whether there is no more room.
    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// No faults from now on.
    pub fn heal(&self) {
        let mut state = self.state();
        let lies = state.faults.lies;
        (state.faults, state.full) = (DiskFaults { lies, ..DiskFaults::default() }, false);
    }

    /// What the medium does not have is gone.
    pub fn lose_power(&self) {
        let state = &mut *self.state();
        state.medium.lose_power(&mut state.random, &state.trace);
    }
}

/// What a file is, by its name.
fn kind_of(path: &Path) -> &'static str {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        _ if name.contains(".torn-") => "a torn end kept",
        _ if name.contains(".lz4") => "an archive",
        _ if name.starts_with("segment-") => "a segment",
        _ if name.starts_with("snapshot-") => "a snapshot",
        _ if name.starts_with("clean-stop") => "the mark of a stop",
        _ => "streams and feed",
    }
}

/// The words a fault is counted by.
fn words(fate: Fate, kind: &'static str) -> &'static str {
    macro_rules! of {
        ($($kind:literal),*) => {
            match (fate, kind) {
                $(
                    (Fate::Ends(Ended::Power), $kind) => concat!("power cut inside a write of ", $kind),
                    (Fate::Ends(Ended::Killed), $kind) => concat!("killed inside a write of ", $kind),
                    (Fate::Fails, $kind) => concat!("failed: ", $kind),
                    (Fate::Short, $kind) => concat!("short write: ", $kind),
                )*
                _ => "nothing",
            }
        };
    }
    of!("a torn end kept", "an archive", "a segment", "a snapshot", "the mark of a stop", "streams and feed")
}

fn failed() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

impl State {
    /// A verb begins: what becomes of it.
    fn fate(&mut self, what: &'static str, numbers: &[u64], often: u64) -> io::Result<Fate> {
        if self.ended.is_some() {
            return Err(failed());
        }
        self.trace.note(what, numbers);
        let DiskFaults { power_cut, killed, sync_error, short_write, .. } = self.faults;
        let chance = self.random.below(10_000);
        let fates = [(power_cut, Fate::Ends(Ended::Power)), (killed, Fate::Ends(Ended::Killed))];
        let mut bound = 0;
        for (share, fate) in fates.into_iter().chain([(sync_error, Fate::Fails), (short_write, Fate::Short)]) {
            bound += share * often;
            if chance < bound {
                return Ok(fate);
            }
        }
        Ok(Fate::Whole)
    }

    fn kind_of(&self, file: &File) -> io::Result<&'static str> {
        Ok(self.kinds.get(&file.metadata()?.ino()).copied().unwrap_or("streams and feed"))
    }

    /// The verb did not end well, as its fate says: counts it, and gives what the process hears, if it still hears.
    fn end<T>(&mut self, fate: Fate, kind: &'static str) -> io::Result<T> {
        self.trace.count(words(fate, kind), &[]);
        match fate {
            Fate::Ends(ended) => self.ended = Some(ended),
            Fate::Whole | Fate::Fails | Fate::Short => self.troubled = true,
        }
        Err(failed())
    }

    fn refuse_full<T>(&mut self) -> io::Result<T> {
        self.troubled = true;
        self.trace.count("disk full", &[]);
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }

    /// A verb on a name: done or not done, and durable only when the directory is synced.
    fn name(
        &mut self,
        what: &'static str,
        path: &Path,
        change: impl FnOnce(&mut Medium) -> io::Result<()>,
    ) -> io::Result<()> {
        let fate = self.fate(what, &[], OFTENER)?;
        if fate == Fate::Whole {
            return change(&mut self.medium);
        }
        // Nobody hears whether it was done.
        if matches!(fate, Fate::Ends(_)) && self.random.percent(50) {
            change(&mut self.medium)?;
        }
        self.end(fate, kind_of(path))
    }
}

impl Disk for SimulatedDisk {
    fn another(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }

    fn allocate(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        let state = &mut *self.state();
        let fate = state.fate("allocate", &[bytes as u64], 1)?;
        if state.full {
            return state.refuse_full();
        }
        if fate != Fate::Whole {
            let kind = state.kind_of(file)?;
            return state.end(fate, kind);
        }
        state.medium.doubt_length(file)?;
        SystemDisk::plain().allocate(file, bytes)
    }

    fn write_synced(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<usize> {
        let state = &mut *self.state();
        let wanted: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        let fate = state.fate("disk write", &[pieces[0].0, wanted as u64], 1)?;
        let State { medium, random, trace, .. } = state;
        let written = match fate {
            Fate::Whole if state.faults.lies && random.percent(50) => {
                medium.doubt(file, pieces, false)?;
                medium.write(file, pieces)?;
                return Ok(wanted);
            }
            Fate::Whole => {
                medium.write(file, pieces)?;
                medium.sync(file, pieces)?;
                return Ok(wanted);
            }
            Fate::Ends(Ended::Power) => {
                let elsewhere = state.faults.misdirected;
                state.misdirected |= medium.write_some(file, pieces, elsewhere, random, trace)?;
                0
            }
            Fate::Ends(Ended::Killed) => {
                medium.doubt(file, pieces, true)?;
                medium.write_some(file, pieces, false, random, trace)?;
                0
            }
            Fate::Fails => {
                medium.doubt(file, pieces, false)?;
                medium.write_some(file, pieces, false, random, trace)?;
                0
            }
            Fate::Short => {
                let written = random.below(wanted as u64) as usize;
                medium.doubt(file, pieces, true)?;
                medium.write_first(file, pieces, written)?;
                written
            }
        };
        let kind = state.kind_of(file)?;
        let ended = state.end(fate, kind);
        if fate == Fate::Short { Ok(written) } else { ended }
    }

    fn create(&mut self, path: &Path) -> io::Result<File> {
        let state = &mut *self.state();
        if state.full && state.ended.is_none() && !path.exists() {
            return state.refuse_full();
        }
        let mut made = None;
        let named = state.name("create", path, |medium| medium.create(path).map(|file| made = Some(file)));
        if let Some(file) = &made {
            state.kinds.insert(file.metadata()?.ino(), kind_of(path));
        }
        named.map(|()| made.expect("it was made"))
    }

    fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        let state = &mut *self.state();
        if path.is_dir() {
            return if state.ended.is_some() { Err(failed()) } else { Ok(()) };
        }
        if state.full && state.ended.is_none() {
            return state.refuse_full();
        }
        state.name("make directory", path, |medium| medium.make_directory(path))
    }

    fn write(&mut self, file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
        let state = &mut *self.state();
        let grows = at + bytes.len() as u64 > file.metadata()?.len();
        let fate = state.fate("write", &[at, bytes.len() as u64], OFTENER)?;
        let is_full = state.full && grows;
        let pieces = [(at, bytes)];
        state.medium.doubt(file, &pieces, true)?;
        if fate == Fate::Whole && !is_full {
            return state.medium.write(file, &pieces);
        }
        let written = state.random.below(bytes.len() as u64 + 1) as usize;
        state.medium.write_first(file, &pieces, written)?;
        if fate == Fate::Whole {
            return state.refuse_full();
        }
        let kind = state.kind_of(file)?;
        state.end(fate, kind)
    }

    fn cut(&mut self, file: &File, bytes: u64) -> io::Result<()> {
        let state = &mut *self.state();
        let fate = state.fate("cut", &[bytes], OFTENER)?;
        if fate == Fate::Whole || matches!(fate, Fate::Ends(_)) && state.random.percent(50) {
            state.medium.cut(file, bytes)?;
        }
        if fate == Fate::Whole {
            return Ok(());
        }
        let kind = state.kind_of(file)?;
        state.end(fate, kind)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        let state = &mut *self.state();
        let fate = state.fate("sync", &[file.metadata()?.len()], OFTENER)?;
        match fate {
            Fate::Whole if state.faults.lies && state.random.percent(50) => return Ok(()),
            Fate::Whole => return state.medium.sync(file, &[]),
            // With the power some of it goes; of a process that died the system may have done it all the same.
            Fate::Ends(Ended::Killed) if state.random.percent(50) => state.medium.sync(file, &[])?,
            Fate::Ends(_) => {}
            Fate::Fails | Fate::Short => state.medium.fail_to_sync(file, &mut state.random)?,
        }
        let kind = state.kind_of(file)?;
        state.end(fate, kind)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().name("rename", to, |medium| medium.rename(from, to))
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        files::keep_segment(path);
        self.state().name("remove", path, |medium| medium.remove(path))
    }

    fn sync_names(&mut self, directory: &Path) -> io::Result<()> {
        let state = &mut *self.state();
        let fate = state.fate("sync names", &[], OFTENER)?;
        match fate {
            Fate::Whole => return state.medium.sync_names(directory),
            Fate::Ends(Ended::Killed) if state.random.percent(50) => state.medium.sync_names(directory)?,
            Fate::Ends(_) | Fate::Fails | Fate::Short => {}
        }
        state.end(fate, "a segment")
    }

    fn describe(&self) -> &'static str {
        "a simulated disk"
    }
}
