//! Counters: what hot threads count and others read while they run.
//!
//! Names and values live in one mapped file, so that `pitlane top` or a monitoring agent reads them without asking
//! the process, and finds them after a crash. Each counter has one writer, hence a plain add and no locked
//! instruction; each has a cache line of its own, so that two threads never share one. Adding a counter is cold and
//! done at start by the composition root; counting is hot.
//!
//! Layout (little-endian): a header of 64 bytes (magic 8, version 4, capacity 4, count 4 published last), then for
//! each counter 128 bytes: one line with the length of the name and the name, one line with the value.

use crate::os::mapped::Mapped;
use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const MAGIC: u64 = u64::from_le_bytes(*b"PITLCNTR");
const VERSION: u32 = 1;
const LINE_BYTES: usize = 64;
const ENTRY_BYTES: usize = 2 * LINE_BYTES;
const VERSION_AT: usize = 8;
const CAPACITY_AT: usize = 12;
const COUNT_AT: usize = 16;
/// Longest name: its line less the byte that holds the length.
pub const NAME_BYTES_MAX: usize = LINE_BYTES - 1;
/// Most counters a reader believes in; a file that claims more is not ours.
const CAPACITY_MAX: usize = 1 << 16;

/// The set, as its process holds it.
#[derive(Debug)]
pub struct Counters {
    memory: Arc<Mapped>,
    capacity: usize,
    count: usize,
}

/// One counter. Not `Clone` and not `Sync`: it has one writer.
#[derive(Debug)]
pub struct Counter {
    memory: Arc<Mapped>,
    at: usize,
    one_writer: PhantomData<Cell<()>>,
}

impl Counters {
    /// Room for `capacity` counters in the file at `path`, in place of one left by an earlier process.
    /// # Errors
    /// `WouldBlock` when a living process has it, or what the system says.
    pub fn create(path: &Path, capacity: usize) -> io::Result<Counters> {
        Counters::on(Mapped::replace(path, bytes_for(capacity))?, capacity)
    }

    /// The same in memory of this process alone: tests, and runs nobody watches.
    /// # Errors
    /// What the system says.
    pub fn anonymous(capacity: usize) -> io::Result<Counters> {
        Counters::on(Mapped::anonymous(bytes_for(capacity))?, capacity)
    }

    fn on(memory: Mapped, capacity: usize) -> io::Result<Counters> {
        assert!((1..=CAPACITY_MAX).contains(&capacity), "{capacity} counters are not a sensible set");
        memory.touch()?;
        memory.write(VERSION_AT, &VERSION.to_le_bytes());
        memory.write(CAPACITY_AT, &(capacity as u32).to_le_bytes());
        // The magic makes the file one of ours, so it goes last. Pairs with the load in `snapshot`.
        memory.atomic_u64(0).store(MAGIC, Ordering::Release);
        Ok(Counters { memory: Arc::new(memory), capacity, count: 0 })
    }

    /// Adds a counter, at 0. Names are paths of field words: `gateway.0.frames_in`.
    /// # Panics
    /// When the set is full or the name too long: both are fixed by the program, not by input.
    pub fn add(&mut self, name: &str) -> Counter {
        assert!(self.count < self.capacity, "no room for counter {name}: {} are in", self.capacity);
        assert!(name.len() <= NAME_BYTES_MAX, "the counter's name is too long: {name}");
        let at = LINE_BYTES + self.count * ENTRY_BYTES;
        self.memory.write(at, &[name.len() as u8]);
        self.memory.write(at + 1, name.as_bytes());
        self.count += 1;
        // Publish last: readers look at so many names. Pairs with the load in `snapshot`.
        self.memory.atomic_u32(COUNT_AT).store(self.count as u32, Ordering::Release);
        Counter { memory: Arc::clone(&self.memory), at: at + LINE_BYTES, one_writer: PhantomData }
    }

    /// All counters now, in the order they were added. Each value is exact; together they are not one instant.
    pub fn values(&self) -> Vec<(String, u64)> {
        snapshot(&self.memory).expect("a set of our own is well-formed")
    }

    /// All counters of the file at `path`, of a living or a dead process.
    /// # Errors
    /// What the system says, or `InvalidData` when the file is not a set of counters.
    pub fn read(path: &Path) -> io::Result<Vec<(String, u64)>> {
        let memory = Mapped::open(path, false)?;
        snapshot(&memory).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a file of counters"))
    }
}

impl Counter {
    /// Counts `n` more.
    #[inline]
    pub fn add(&self, n: u64) {
        let value = self.memory.atomic_u64(self.at);
        // One writer, so that load and store need not be one locked step; readers only need whole values.
        value.store(value.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Sets it, for levels such as a queue's length.
    #[inline]
    pub fn set(&self, value: u64) {
        self.memory.atomic_u64(self.at).store(value, Ordering::Relaxed);
    }

    /// Its value.
    #[inline]
    pub fn value(&self) -> u64 {
        self.memory.atomic_u64(self.at).load(Ordering::Relaxed)
    }
}

const fn bytes_for(capacity: usize) -> usize {
    LINE_BYTES + capacity * ENTRY_BYTES
}

/// Names and values, `None` when the memory does not hold a set: another program may have written the file.
fn snapshot(memory: &Mapped) -> Option<Vec<(String, u64)>> {
    if memory.len() < LINE_BYTES || memory.atomic_u64(0).load(Ordering::Acquire) != MAGIC {
        return None;
    }
    let word = |at| memory.atomic_u32(at).load(Ordering::Acquire);
    let (version, capacity, count) = (word(VERSION_AT), word(CAPACITY_AT) as usize, word(COUNT_AT) as usize);
    if version != VERSION || capacity > CAPACITY_MAX || count > capacity || memory.len() < bytes_for(capacity) {
        return None;
    }
    let entry = |index: usize| {
        let at = LINE_BYTES + index * ENTRY_BYTES;
        let mut line = [0u8; LINE_BYTES];
        memory.read(at, &mut line);
        let name = line.get(1..1 + usize::from(line[0]))?;
        let value = memory.atomic_u64(at + LINE_BYTES).load(Ordering::Relaxed);
        Some((String::from_utf8_lossy(name).into_owned(), value))
    };
    (0..count).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_mapping_reads_what_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("counters");
        let mut counters = Counters::create(&path, 3).unwrap();
        let (frames, depth) = (counters.add("gateway.0.frames_in"), counters.add("gateway.0.depth"));
        frames.add(2);
        frames.add(3);
        depth.set(9);
        let expected = vec![("gateway.0.frames_in".to_string(), 5), ("gateway.0.depth".to_string(), 9)];
        assert_eq!(Counters::read(&path).unwrap(), expected);
        assert_eq!((counters.values(), frames.value()), (expected.clone(), 5));
        drop((counters, frames, depth));
        assert_eq!(Counters::read(&path).unwrap(), expected, "a dead process leaves its counts");
    }

    #[test]
    fn a_new_process_takes_the_file_over_only_when_the_old_one_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("counters");
        let first = Counters::create(&path, 1).unwrap();
        assert_eq!(Counters::create(&path, 1).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        assert_eq!(Counters::create(&path, 1).unwrap().values(), []);
    }

    #[test]
    fn files_that_are_no_counters_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("counters");
        let mut counters = Counters::create(&path, 2).unwrap();
        counters.add("a").add(1);
        drop(counters);
        let good = std::fs::read(&path).unwrap();
        for cut in 0..good.len() {
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(Counters::read(&path).is_err(), "cut at {cut}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xFF;
            std::fs::write(&path, &bad).unwrap();
            let _ = Counters::read(&path);
        }
    }

    #[test]
    #[should_panic(expected = "no room for counter")]
    fn a_full_set_is_a_bug() {
        let mut counters = Counters::anonymous(1).unwrap();
        counters.add("a");
        counters.add("b");
    }
}
