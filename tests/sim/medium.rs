//! What the medium of the simulated disk has instead of what a process sees: old contents of sectors, old lengths, old
//! names. Losing the power is to give some of them back.
//!
//! A sector, a length or a name is in doubt from its first change until it is synced. A sector whose sync failed stays in
//! doubt, because the system holds its page for clean and writes it no more, until it is written again and synced. Of the
//! changes to names that have to do with each other those that came first are on the medium first, as journals of file
//! systems have it; others in any order.

use crate::support::random::Random;
use crate::trace::Trace;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The unit that is written whole or not at all.
const SECTOR_BYTES: usize = 512;
const SECTOR: u64 = SECTOR_BYTES as u64;

/// A file of which the medium has something else.
struct Doubtful {
    inode: u64,
    file: File,
    /// What the medium has of sectors whose content is not on it.
    sectors: BTreeMap<u64, Kept>,
    /// The length the medium has.
    length: Option<u64>,
}

struct Kept {
    content: Vec<u8>,
    /// Whether a later sync writes the sector: not after one that failed.
    dirty: bool,
}

/// A change to a name, and which one of all it was.
struct Named {
    order: u64,
    change: Change,
}

/// A change that the sync of its directory makes durable.
enum Change {
    Made(PathBuf),
    /// Taken away; where it is kept.
    Removed(PathBuf, PathBuf),
    /// From, to, and what it went over.
    Renamed(PathBuf, PathBuf, Option<PathBuf>),
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Change::Made(path) | Change::Removed(path, _) | Change::Renamed(_, path, _) => path,
        }
    }

    fn names(&self) -> Vec<&Path> {
        match self {
            Change::Renamed(from, to, _) => vec![from, to],
            Change::Made(path) | Change::Removed(path, _) => vec![path],
        }
    }
}

/// See the module's words.
pub struct Medium {
    doubtful: Vec<Doubtful>,
    changes: Vec<Named>,
    graves: PathBuf,
    /// Changes there ever were, and files taken away.
    count: u64,
}

impl Medium {
    pub fn new(graves: &Path) -> Medium {
        Medium { doubtful: Vec::new(), changes: Vec::new(), graves: graves.to_owned(), count: 0 }
    }

    fn of(&mut self, file: &File) -> io::Result<&mut Doubtful> {
        let inode = file.metadata()?.ino();
        let at = match self.doubtful.iter().position(|doubtful| doubtful.inode == inode) {
            Some(at) => at,
            None => {
                let file = file.try_clone()?;
                self.doubtful.push(Doubtful { inode, file, sectors: BTreeMap::new(), length: None });
                self.doubtful.len() - 1
            }
        };
        Ok(&mut self.doubtful[at])
    }

    /// The present content of what is about to be written, and the length, are what the medium keeps.
    pub fn doubt(&mut self, file: &File, pieces: &[(u64, &[u8])], dirty: bool) -> io::Result<()> {
        let length = file.metadata()?.len();
        let end = pieces.iter().map(|(at, bytes)| at + bytes.len() as u64).max().unwrap_or(0);
        let known = self.of(file)?;
        if end > length {
            known.length.get_or_insert(length);
        }
        for sector in touched(pieces) {
            match known.sectors.get_mut(&sector) {
                Some(kept) => kept.dirty = dirty,
                None => drop(known.sectors.insert(sector, Kept { content: read_sector(file, sector)?, dirty })),
            }
        }
        Ok(())
    }

    /// The present length is what the medium keeps.
    pub fn doubt_length(&mut self, file: &File) -> io::Result<()> {
        let length = file.metadata()?.len();
        self.of(file)?.length.get_or_insert(length);
        Ok(())
    }

    /// What the process sees changes.
    pub fn write(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<()> {
        pieces.iter().try_for_each(|(at, bytes)| file.write_all_at(bytes, *at))
    }

    /// The same of the first bytes only.
    pub fn write_first(&mut self, file: &File, pieces: &[(u64, &[u8])], mut bytes: usize) -> io::Result<()> {
        for (at, piece) in pieces {
            let part = &piece[..bytes.min(piece.len())];
            bytes -= part.len();
            file.write_all_at(part, *at)?;
        }
        Ok(())
    }

    /// The same of some of the sectors, perhaps in another place; says whether one was.
    pub fn write_some(
        &mut self,
        file: &File,
        pieces: &[(u64, &[u8])],
        elsewhere: bool,
        random: &mut Random,
        trace: &Trace,
    ) -> io::Result<bool> {
        // Mostly all, mostly none, or any.
        let share = random.of(&[2, 50, 50, 90]);
        let ends = file.metadata()?.len() / SECTOR;
        let mut misdirected = false;
        for (mut sector, content) in after(file, pieces)? {
            if !random.percent(share) {
                continue;
            }
            if elsewhere && ends > 0 && random.percent(5) {
                sector = random.below(ends);
                misdirected = true;
                trace.count("misdirected sector", &[sector]);
            }
            write_sector(file, sector, &content)?;
        }
        Ok(misdirected)
    }

    /// What is dirty is on the medium, and what `pieces` have just written, too.
    pub fn sync(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<()> {
        let inode = file.metadata()?.ino();
        let Some(at) = self.doubtful.iter().position(|doubtful| doubtful.inode == inode) else { return Ok(()) };
        let written: Vec<u64> = touched(pieces).collect();
        let doubtful = &mut self.doubtful[at];
        doubtful.sectors.retain(|sector, kept| !kept.dirty && !written.contains(sector));
        doubtful.length = None;
        if doubtful.sectors.is_empty() {
            self.doubtful.remove(at);
        }
        Ok(())
    }

    /// Of what is dirty some is on the medium, and the rest is never written.
    pub fn fail_to_sync(&mut self, file: &File, random: &mut Random) -> io::Result<()> {
        let known = self.of(file)?;
        known.sectors.retain(|_, kept| !kept.dirty || random.percent(50));
        known.sectors.values_mut().for_each(|kept| kept.dirty = false);
        Ok(())
    }

    pub fn cut(&mut self, file: &File, bytes: u64) -> io::Result<()> {
        let length = file.metadata()?.len();
        if bytes < length {
            let gone = vec![0; (length - bytes) as usize];
            self.doubt(file, &[(bytes, &gone)], true)?;
        }
        if bytes != length {
            self.doubt_length(file)?;
        }
        file.set_len(bytes)
    }

    pub fn create(&mut self, path: &Path) -> io::Result<File> {
        if path.exists() {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            self.cut(&file, 0)?;
            return Ok(file);
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        self.change(Change::Made(path.to_owned()));
        Ok(file)
    }

    pub fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)?;
        self.change(Change::Made(path.to_owned()));
        Ok(())
    }

    fn change(&mut self, change: Change) {
        self.count += 1;
        self.changes.push(Named { order: self.count, change });
    }

    fn bury(&mut self, path: &Path) -> io::Result<PathBuf> {
        self.count += 1;
        let grave = self.graves.join(self.count.to_string());
        std::fs::rename(path, &grave)?;
        Ok(grave)
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        let grave = self.bury(path)?;
        self.change(Change::Removed(path.to_owned(), grave));
        Ok(())
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let over = if to.exists() { Some(self.bury(to)?) } else { None };
        std::fs::rename(from, to)?;
        self.change(Change::Renamed(from.to_owned(), to.to_owned(), over));
        Ok(())
    }

    /// The names in a directory are on the medium.
    pub fn sync_names(&mut self, directory: &Path) -> io::Result<()> {
        let (done, left) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|named| named.change.path().parent() == Some(directory));
        self.changes = left;
        let done: Vec<Named> = done;
        for Named { change, .. } in done {
            if let Change::Removed(_, grave) | Change::Renamed(_, _, Some(grave)) = change {
                let inode = std::fs::metadata(&grave)?.ino();
                self.doubtful.retain(|doubtful| doubtful.inode != inode);
                std::fs::remove_file(grave)?;
            }
        }
        Ok(())
    }

    /// What the medium does not have is gone, all of it or some: the system may have written it by itself.
    pub fn lose_power(&mut self, random: &mut Random, trace: &Trace) {
        for Doubtful { file, sectors, length, .. } in std::mem::take(&mut self.doubtful) {
            if let Some(medium) = length {
                let now = file.metadata().expect("the test's own file").len();
                let between = medium.min(now) + random.below(medium.abs_diff(now) + 1);
                let length = random.of(&[medium, now, between]);
                file.set_len(length).expect("the test's own file");
                trace.note("doubtful length", &[length]);
            }
            for (sector, kept) in sectors {
                if random.percent(80) {
                    write_sector(&file, sector, &kept.content).expect("the test's own file");
                    trace.count("doubtful sector lost", &[sector]);
                }
            }
        }
        let mut changes = std::mem::take(&mut self.changes);
        while let Some(last) = changes.pop() {
            let chain = with_relatives(last, &mut changes);
            let lost = random.below(chain.len() as u64 + 1) as usize;
            // The last first.
            for named in chain.into_iter().take(lost) {
                undo(named.change);
                trace.count("doubtful name lost", &[]);
            }
        }
    }
}

/// A change and all others that have to do with it or with each other, the last first.
fn with_relatives(one: Named, changes: &mut Vec<Named>) -> Vec<Named> {
    let mut chain = vec![one];
    let mut at = 0;
    while at < chain.len() {
        let (related, others) = std::mem::take(changes).into_iter().partition(|other: &Named| {
            let names = chain[at].change.names();
            other.change.names().iter().any(|name| names.contains(name))
        });
        *changes = others;
        chain.extend::<Vec<Named>>(related);
        at += 1;
    }
    chain.sort_by_key(|named| std::cmp::Reverse(named.order));
    chain
}

/// Files may have been spoilt or taken away meanwhile by somebody else, and then there is nothing to undo.
fn undo(change: Change) {
    let _nothing_there = match change {
        Change::Made(path) if path.is_dir() => std::fs::remove_dir_all(path),
        Change::Made(path) => std::fs::remove_file(path),
        Change::Removed(path, grave) => std::fs::rename(grave, path),
        Change::Renamed(from, to, over) => {
            let back = std::fs::rename(&to, from);
            over.map_or(back, |over| std::fs::rename(over, to))
        }
    };
}

/// Sectors that the pieces touch.
fn touched<'a>(pieces: &'a [(u64, &'a [u8])]) -> impl Iterator<Item = u64> + 'a {
    pieces
        .iter()
        .filter(|(_, bytes)| !bytes.is_empty())
        .flat_map(|(at, bytes)| at / SECTOR..=(at + bytes.len() as u64 - 1) / SECTOR)
}

/// The same, each with its content after them.
fn after(file: &File, pieces: &[(u64, &[u8])]) -> io::Result<BTreeMap<u64, Vec<u8>>> {
    let mut sectors = BTreeMap::new();
    for &(at, bytes) in pieces {
        let mut done = 0;
        while done < bytes.len() {
            let (sector, inside) = ((at as usize + done) / SECTOR_BYTES, (at as usize + done) % SECTOR_BYTES);
            let count = (SECTOR_BYTES - inside).min(bytes.len() - done);
            let mut content: Vec<u8> = match sectors.remove(&(sector as u64)) {
                Some(content) => content,
                None => read_sector(file, sector as u64)?,
            };
            content[inside..inside + count].copy_from_slice(&bytes[done..done + count]);
            sectors.insert(sector as u64, content);
            done += count;
        }
    }
    Ok(sectors)
}

/// The last sector of a file may be shorter than others.
fn read_sector(file: &File, sector: u64) -> io::Result<Vec<u8>> {
    let at = sector * SECTOR;
    let bytes = file.metadata()?.len().saturating_sub(at).min(SECTOR);
    let mut content = vec![0; SECTOR_BYTES];
    file.read_exact_at(&mut content[..bytes as usize], at)?;
    Ok(content)
}

fn write_sector(file: &File, sector: u64, content: &[u8]) -> io::Result<()> {
    let at = sector * SECTOR;
    let bytes = file.metadata()?.len().saturating_sub(at).min(SECTOR);
    file.write_all_at(&content[..bytes as usize], at)
}
