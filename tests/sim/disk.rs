//! A simulated disk behind the journal's seam, sector by sector: what was synced stays, what was not may be torn, lost or
//! in another place when the power goes.
//!
//! The files are real ones in a temporary directory and hold what a process sees, the page cache that is. Beside them
//! stands what the medium has instead, for each sector where that differs: after a write that nobody synced because its
//! process died, which the next sync of the file mends; after a sync that failed, which no later one mends, because the
//! system holds such pages for clean; or from a disk that says "synced" and lies. Losing the power gives those sectors
//! their old content back, and names that no directory's sync has seen their old names.

use crate::support::random::Random;
use crate::trace::Trace;
use pitlane::journal::{Disk, SystemDisk};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// The unit that is written whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What may go wrong, each as a chance in ten thousand writes.
#[derive(Clone, Copy, Default, Debug)]
pub struct DiskFaults {
    /// The power goes in the middle of a write.
    pub power_cut: u64,
    /// The process dies in the middle of a write.
    pub killed: u64,
    /// A write or its sync fails.
    pub sync_error: u64,
    /// Fewer bytes are written than asked for.
    pub short_write: u64,
    /// A sector of a write that the power cut lands elsewhere.
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

struct Doubtful {
    file: File,
    /// What the medium has of sectors whose content is not on it.
    sectors: BTreeMap<u64, Kept>,
}

struct Kept {
    content: Vec<u8>,
    /// Whether a later sync writes the sector: not after one that failed.
    dirty: bool,
}

struct State {
    random: Random,
    trace: Trace,
    faults: DiskFaults,
    full: bool,
    doubtful: BTreeMap<u64, Doubtful>,
    /// Renamings that no directory's sync has seen: from and to.
    names: Vec<(PathBuf, PathBuf)>,
    ended: Option<Ended>,
    /// It has refused something.
    troubled: bool,
    /// A sector landed where it did not belong: damage may be found from now on.
    misdirected: bool,
}

/// The disk; clones are the same one.
#[derive(Clone)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

enum Fate {
    Whole,
    Ends(Ended),
    Fails,
    Short,
}

impl SimulatedDisk {
    pub fn new(random: Random, trace: Trace, faults: DiskFaults) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Mutex::new(State {
            random,
            trace,
            faults,
            full: false,
            doubtful: BTreeMap::new(),
            names: Vec::new(),
            ended: None,
            troubled: false,
            misdirected: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What ended the process in the middle of a write; asking forgets it.
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

    /// Whether new files find no room.
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
        let mut state = self.state();
        for (_, Doubtful { file, sectors }) in std::mem::take(&mut state.doubtful) {
            for (sector, kept) in sectors {
                // The system may have written it all the same, later.
                if state.random.percent(80) {
                    write_sector(&file, sector, &kept.content).expect("the test's own file");
                    state.trace.count("doubtful sector lost", &[sector]);
                }
            }
        }
        for (from, to) in std::mem::take(&mut state.names).into_iter().rev() {
            if state.random.percent(50) && std::fs::rename(to, from).is_ok() {
                state.trace.count("doubtful name lost", &[]);
            }
        }
    }
}

impl State {
    fn fate(&mut self) -> Fate {
        let DiskFaults { power_cut, killed, sync_error, short_write, .. } = self.faults;
        let chance = self.random.below(10_000);
        let fates = [(power_cut, Fate::Ends(Ended::Power)), (killed, Fate::Ends(Ended::Killed))];
        let mut bound = 0;
        for (share, fate) in fates.into_iter().chain([(sync_error, Fate::Fails), (short_write, Fate::Short)]) {
            bound += share;
            if chance < bound {
                return fate;
            }
        }
        Fate::Whole
    }

    /// Sectors that the pieces touch, each with its content after them.
    fn sectors(file: &File, pieces: &[(u64, &[u8])]) -> io::Result<BTreeMap<u64, Vec<u8>>> {
        let mut sectors = BTreeMap::new();
        for &(at, bytes) in pieces {
            let mut done = 0;
            while done < bytes.len() {
                let (sector, inside) = ((at as usize + done) / SECTOR_BYTES, (at as usize + done) % SECTOR_BYTES);
                let count = (SECTOR_BYTES - inside).min(bytes.len() - done);
                let content = match sectors.remove(&(sector as u64)) {
                    Some(content) => content,
                    None => read_sector(file, sector as u64)?,
                };
                let mut content: Vec<u8> = content;
                content[inside..inside + count].copy_from_slice(&bytes[done..done + count]);
                sectors.insert(sector as u64, content);
                done += count;
            }
        }
        Ok(sectors)
    }

    /// The sectors' present content is what the medium keeps, whatever is written from now on.
    fn doubt(&mut self, file: &File, sectors: impl Iterator<Item = u64>, dirty: bool) -> io::Result<()> {
        let clone = file.try_clone()?;
        let doubtful = self.doubtful.entry(file.metadata()?.ino());
        let known = &mut doubtful.or_insert(Doubtful { file: clone, sectors: BTreeMap::new() }).sectors;
        for sector in sectors {
            match known.get_mut(&sector) {
                Some(kept) => kept.dirty = dirty,
                None => {
                    known.insert(sector, Kept { content: read_sector(file, sector)?, dirty });
                }
            }
        }
        Ok(())
    }

    fn write_whole(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<usize> {
        let lies = self.faults.lies && self.random.percent(50);
        if lies {
            let sectors = State::sectors(file, pieces)?;
            self.doubt(file, sectors.into_keys(), false)?;
        } else if !self.doubtful.is_empty()
            && let Some(doubtful) = self.doubtful.get_mut(&file.metadata()?.ino())
        {
            let sectors = State::sectors(file, pieces)?;
            doubtful.sectors.retain(|sector, kept| !kept.dirty && !sectors.contains_key(sector));
        }
        pieces.iter().try_for_each(|(at, bytes)| file.write_all_at(bytes, *at))?;
        Ok(pieces.iter().map(|(_, bytes)| bytes.len()).sum())
    }

    /// Writes some of the sectors.
    fn write_some(&mut self, file: &File, sectors: BTreeMap<u64, Vec<u8>>, elsewhere: bool) -> io::Result<()> {
        // Mostly all, mostly none, or any.
        let share = self.random.of(&[2, 50, 50, 90]);
        let ends = file.metadata()?.len() / SECTOR_BYTES as u64;
        for (mut sector, content) in sectors {
            if !self.random.percent(share) {
                continue;
            }
            if elsewhere && ends > 0 && self.random.percent(5) {
                sector = self.random.below(ends);
                self.misdirected = true;
                self.trace.count("misdirected sector", &[sector]);
            }
            write_sector(file, sector, &content)?;
        }
        Ok(())
    }
}

/// The last sector of a file may be shorter than others.
fn read_sector(file: &File, sector: u64) -> io::Result<Vec<u8>> {
    let at = sector * SECTOR_BYTES as u64;
    let bytes = file.metadata()?.len().saturating_sub(at).min(SECTOR_BYTES as u64);
    let mut content = vec![0; SECTOR_BYTES];
    file.read_exact_at(&mut content[..bytes as usize], at)?;
    Ok(content)
}

fn write_sector(file: &File, sector: u64, content: &[u8]) -> io::Result<()> {
    let at = sector * SECTOR_BYTES as u64;
    let bytes = file.metadata()?.len().saturating_sub(at).min(SECTOR_BYTES as u64);
    file.write_all_at(&content[..bytes as usize], at)
}

fn failed() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

impl Disk for SimulatedDisk {
    fn allocate(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        if state.full {
            state.troubled = true;
            state.trace.count("disk full", &[]);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        drop(state);
        SystemDisk::plain().allocate(file, bytes)
    }

    fn write_synced(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<usize> {
        let state = &mut *self.state();
        let wanted: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        state.trace.note("disk write", &[pieces[0].0, wanted as u64]);
        match state.fate() {
            Fate::Whole => state.write_whole(file, pieces),
            Fate::Ends(ended) => {
                state.ended = Some(ended);
                let elsewhere = state.faults.misdirected && ended == Ended::Power;
                let sectors = State::sectors(file, pieces)?;
                if ended == Ended::Killed {
                    state.doubt(file, sectors.keys().copied(), true)?;
                }
                state.write_some(file, sectors, elsewhere)?;
                let what = if ended == Ended::Power { "power cut inside a write" } else { "killed inside a write" };
                state.trace.count(what, &[]);
                Err(failed())
            }
            Fate::Fails => {
                let sectors = State::sectors(file, pieces)?;
                state.doubt(file, sectors.keys().copied(), false)?;
                state.write_some(file, sectors, false)?;
                state.troubled = true;
                state.trace.count("sync error", &[]);
                Err(failed())
            }
            Fate::Short => {
                let mut left = state.random.below(wanted as u64) as usize;
                let sectors = State::sectors(file, pieces)?;
                state.doubt(file, sectors.into_keys(), true)?;
                state.troubled = true;
                state.trace.count("short write", &[left as u64]);
                let written = left;
                for (at, bytes) in pieces {
                    let part = &bytes[..left.min(bytes.len())];
                    left -= part.len();
                    file.write_all_at(part, *at)?;
                }
                Ok(written)
            }
        }
    }

    fn publish(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let state = &mut *self.state();
        if to.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let fate = state.fate();
        let renames = matches!(fate, Fate::Whole) || state.random.percent(50);
        if renames {
            std::fs::rename(from, to)?;
        }
        if renames && !matches!(fate, Fate::Whole | Fate::Ends(Ended::Power)) {
            state.names.push((from.to_owned(), to.to_owned()));
        }
        match fate {
            Fate::Whole => {
                state.names.clear();
                Ok(())
            }
            Fate::Ends(ended) => {
                state.ended = Some(ended);
                state.trace.count("ended inside a renaming", &[]);
                Err(failed())
            }
            Fate::Fails | Fate::Short => {
                state.troubled = true;
                state.trace.count("renaming failed", &[]);
                Err(failed())
            }
        }
    }

    fn sync_names(&mut self, _directory: &Path) -> io::Result<()> {
        let state = &mut *self.state();
        match state.fate() {
            Fate::Whole => {
                state.names.clear();
                Ok(())
            }
            Fate::Ends(ended) => {
                state.ended = Some(ended);
                Err(failed())
            }
            Fate::Fails | Fate::Short => {
                state.troubled = true;
                Err(failed())
            }
        }
    }

    fn describe(&self) -> &'static str {
        "a simulated disk"
    }
}
