//! The last ways of stamped messages, each whole, in mapped memory: what one cold thread writes and any process reads,
//! to find out where the time of a slow message went and to join it with what its client noted.
//!
//! A ring of records of fixed size: the newest overwrites the oldest, whoever reads. A record is marked with its count
//! when it is whole and with 0 while it changes, so that a reader who is overtaken sees it and passes the record over.
//! Points are raw counts of the processor's counter; whoever reads has the clock to make times of them.
//!
//! Layout (little-endian): a header of 64 bytes (magic 8, version 4, capacity 4, count 8 published last), then for each
//! record 9 words of 8 bytes: mark, record's number, who, and the six points, 0 for one that was lost. One writer, who
//! is cold, and who faults the pages in by itself: a start does not wait for them.

use super::points::POINTS;
use crate::os::mapped::Mapped;
use crate::types::{Channel, SessionId, UserRef};
use std::io;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};

const MAGIC: u64 = u64::from_le_bytes(*b"PITLWAYS");
const VERSION: u32 = 1;
const VERSION_AT: usize = 8;
const CAPACITY_AT: usize = 12;
const COUNT_AT: usize = 16;
const HEADER_BYTES: usize = 64;
/// Words of a record behind its mark: number, who, points.
const BODY_WORDS: usize = 2 + POINTS;
const RECORD_BYTES: usize = 8 * (1 + BODY_WORDS);
/// Most ways a file keeps: 75 MB.
pub const WAYS_KEPT_MAX: u32 = 1 << 20;

/// By what a client knows a request of its own: session, channel and the number it gave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Who(u64);

impl Who {
    /// No request; numbers of clients begin at 1.
    pub const NOBODY: Who = Who(0);

    /// The request of this number.
    #[inline]
    pub const fn of(session: SessionId, channel: Channel, user_ref: UserRef) -> Who {
        Who((session.0 as u64) << 48 | (channel.counter() as u64) << 32 | user_ref.0 as u64)
    }

    /// Whose it is.
    pub const fn session(self) -> SessionId {
        SessionId((self.0 >> 48) as u16)
    }

    /// The client's number for it.
    pub const fn user_ref(self) -> UserRef {
        UserRef(self.0 as u32)
    }
}

/// A way as far as it went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ToldWay {
    /// The record's number.
    pub number: u64,
    /// Whose request it was; [`Who::NOBODY`] where the gateway's stamp was lost.
    pub who: Who,
    /// The counter at each point, 0 where the stamp was lost.
    pub at: [u64; POINTS],
}

impl ToldWay {
    /// Whether it has all of its points.
    pub fn is_whole(&self) -> bool {
        self.at.iter().all(|&counted| counted > 0)
    }

    fn words(&self) -> [u64; BODY_WORDS] {
        let mut words = [0; BODY_WORDS];
        (words[0], words[1]) = (self.number, self.who.0);
        words[2..].copy_from_slice(&self.at);
        words
    }

    fn from_words(words: &[u64; BODY_WORDS]) -> ToldWay {
        let mut way = ToldWay { number: words[0], who: Who(words[1]), at: [0; POINTS] };
        way.at.copy_from_slice(&words[2..]);
        way
    }
}

/// The file, as its process writes it.
#[derive(Debug)]
pub struct WayFile {
    memory: Mapped,
    capacity: u64,
    count: u64,
}

impl WayFile {
    /// Room for `capacity` ways in the file at `path`, in place of one left by an earlier process; with 0 it only counts.
    /// # Errors
    /// `WouldBlock` when a living process has it, or what the system says.
    pub fn create(path: &Path, capacity: u32) -> io::Result<WayFile> {
        Ok(WayFile::on(Mapped::replace(path, bytes_for(capacity))?, capacity))
    }

    /// The same in memory of this process alone.
    /// # Errors
    /// What the system says.
    pub fn anonymous(capacity: u32) -> io::Result<WayFile> {
        Ok(WayFile::on(Mapped::anonymous(bytes_for(capacity))?, capacity))
    }

    fn on(memory: Mapped, capacity: u32) -> WayFile {
        assert!(capacity <= WAYS_KEPT_MAX, "{capacity} ways are more than a reader believes in");
        memory.write(VERSION_AT, &VERSION.to_le_bytes());
        memory.write(CAPACITY_AT, &capacity.to_le_bytes());
        // The magic makes the file one of ours, so it goes last. Pairs with the load in `capacity_of`.
        memory.atomic_u64(0).store(MAGIC, Ordering::Release);
        WayFile { memory, capacity: u64::from(capacity), count: 0 }
    }

    /// Writes one down, over the oldest when the file is full.
    pub fn push(&mut self, way: &ToldWay) {
        self.count += 1;
        if let Some(place) = (self.count - 1).checked_rem(self.capacity) {
            let at = record_at(place);
            let mark = self.memory.atomic_u64(at);
            // A seqlock: no reader may take the new words for those of the old mark. Pairs with the fence in `one`.
            mark.store(0, Ordering::Relaxed);
            fence(Ordering::Release);
            self.memory.store_words(at + 8, &way.words());
            // Pairs with the first load in `one`.
            mark.store(self.count, Ordering::Release);
        }
        // Publish last. Pairs with the load in `WayReader::take`.
        self.memory.atomic_u64(COUNT_AT).store(self.count, Ordering::Release);
    }

    /// The ways it has, oldest first.
    pub fn kept(&self) -> Vec<ToldWay> {
        (self.count.saturating_sub(self.capacity)..self.count)
            .filter_map(|index| one(&self.memory, self.capacity, index))
            .collect()
    }
}

/// The file, as others read it: each way once.
#[derive(Debug)]
pub struct WayReader {
    memory: Mapped,
    capacity: u64,
    seen: u64,
    missed: u64,
}

impl WayReader {
    /// The file at `path`, of a living or a dead process, from the oldest way it still has.
    /// # Errors
    /// What the system says, or `InvalidData` when it is not a file of ways; the path is named.
    pub fn open(path: &Path) -> io::Result<WayReader> {
        let named = |fault: io::Error| io::Error::new(fault.kind(), format!("{}: {fault}", path.display()));
        let memory = Mapped::open(path, false).map_err(named)?;
        let capacity = capacity_of(&memory).map_err(|fault| {
            named(io::Error::new(io::ErrorKind::InvalidData, format!("not a file of ways: {fault}")))
        })?;
        Ok(WayReader { memory, capacity: u64::from(capacity), seen: 0, missed: 0 })
    }

    /// Passes over the ways that are there: what is told from here on counts.
    pub fn skip(&mut self) {
        // Pairs with the store in `WayFile::push`.
        self.seen = self.memory.atomic_u64(COUNT_AT).load(Ordering::Acquire);
    }

    /// Ways told since the last look, oldest first.
    pub fn take(&mut self) -> Vec<ToldWay> {
        // Pairs with the store in `WayFile::push`.
        let count = self.memory.atomic_u64(COUNT_AT).load(Ordering::Acquire).max(self.seen);
        let first = self.seen.max(count.saturating_sub(self.capacity));
        self.missed += first - self.seen;
        self.seen = count;
        let of = |index| one(&self.memory, self.capacity, index);
        let ways: Vec<ToldWay> = (first..count).filter_map(of).collect();
        self.missed += count - first - ways.len() as u64;
        ways
    }

    /// Ways that were overwritten before this reader came to them.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// The way of this index; `None` when it is being or has been overwritten.
fn one(memory: &Mapped, capacity: u64, index: u64) -> Option<ToldWay> {
    let at = record_at(index.checked_rem(capacity)?);
    let mark = memory.atomic_u64(at);
    // Pairs with the last store to the mark in `WayFile::push`.
    if mark.load(Ordering::Acquire) != index + 1 {
        return None;
    }
    let mut words = [0; BODY_WORDS];
    memory.load_words(at + 8, &mut words);
    // The words were loaded before the mark is looked at again. Pairs with the fence in `WayFile::push`.
    fence(Ordering::Acquire);
    (mark.load(Ordering::Relaxed) == index + 1).then(|| ToldWay::from_words(&words))
}

const fn bytes_for(capacity: u32) -> usize {
    HEADER_BYTES + capacity as usize * RECORD_BYTES
}

const fn record_at(place: u64) -> usize {
    HEADER_BYTES + place as usize * RECORD_BYTES
}

/// How many ways the file keeps, or what is wrong with it: another program may have written it.
fn capacity_of(memory: &Mapped) -> Result<u32, String> {
    if memory.len() < HEADER_BYTES {
        return Err(format!("{} bytes, a header alone takes {HEADER_BYTES}", memory.len()));
    }
    let magic = memory.atomic_u64(0).load(Ordering::Acquire);
    if magic != MAGIC {
        return Err(format!("it begins with {magic:#018x}, wanted {MAGIC:#018x}"));
    }
    let word = |at| memory.atomic_u32(at).load(Ordering::Relaxed);
    let (version, capacity) = (word(VERSION_AT), word(CAPACITY_AT));
    if version != VERSION {
        return Err(format!("version {version}, this program reads {VERSION}"));
    }
    if capacity > WAYS_KEPT_MAX || memory.len() < bytes_for(capacity) {
        return Err(format!("{} bytes do not hold the {capacity} ways it claims", memory.len()));
    }
    Ok(capacity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::thread;

    fn way(number: u64) -> ToldWay {
        let who = Who::of(SessionId(3), Channel::NONE, UserRef(number as u32));
        ToldWay { number, who, at: std::array::from_fn(|point| number * 100 + point as u64) }
    }

    fn file(capacity: u32) -> (tempfile::TempDir, PathBuf, WayFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ways");
        let file = WayFile::create(&path, capacity).unwrap();
        (directory, path, file)
    }

    fn numbers(ways: &[ToldWay]) -> Vec<u64> {
        ways.iter().map(|way| way.number).collect()
    }

    #[test]
    fn who_is_told_apart_by_session_channel_and_number() {
        let who = Who::of(SessionId(7), Channel::named(9), UserRef(u32::MAX));
        assert_eq!((who.session(), who.user_ref()), (SessionId(7), UserRef(u32::MAX)));
        let others = [(8, 9, u32::MAX), (7, 8, u32::MAX), (7, 9, 1)];
        assert!(others.iter().all(|&(s, c, r)| Who::of(SessionId(s), Channel::named(c), UserRef(r)) != who));
        assert_ne!(Who::of(SessionId(0), Channel::NONE, UserRef(1)), Who::NOBODY);
    }

    #[test]
    fn another_mapping_reads_each_way_once_and_a_dead_process_leaves_its_ways() {
        let (_directory, path, mut file) = file(4);
        let mut reader = WayReader::open(&path).unwrap();
        (1..=3).for_each(|number| file.push(&way(number)));
        assert_eq!(reader.take(), [way(1), way(2), way(3)]);
        assert_eq!(reader.take(), []);
        file.push(&way(4));
        drop(file);
        assert_eq!((reader.take(), reader.missed()), (vec![way(4)], 0));
        assert_eq!(numbers(&WayReader::open(&path).unwrap().take()), [1, 2, 3, 4]);
    }

    #[test]
    fn a_file_that_has_wrapped_gives_the_newest_and_counts_what_is_gone() {
        let (_directory, path, mut file) = file(4);
        let mut reader = WayReader::open(&path).unwrap();
        (1..=2).for_each(|number| file.push(&way(number)));
        assert_eq!(numbers(&reader.take()), [1, 2]);
        (3..=11).for_each(|number| file.push(&way(number)));
        assert_eq!((numbers(&reader.take()), reader.missed()), (vec![8, 9, 10, 11], 5));
        let mut late = WayReader::open(&path).unwrap();
        assert_eq!((numbers(&late.take()), late.missed()), (vec![8, 9, 10, 11], 7));
        let mut from_now = WayReader::open(&path).unwrap();
        from_now.skip();
        file.push(&way(12));
        assert_eq!((numbers(&from_now.take()), from_now.missed()), (vec![12], 0));
    }

    #[test]
    fn a_file_that_keeps_none_counts_all_of_them_as_gone() {
        let (_directory, path, mut file) = file(0);
        file.push(&way(1));
        let mut reader = WayReader::open(&path).unwrap();
        assert_eq!((reader.take(), reader.missed()), (vec![], 1));
    }

    #[test]
    fn a_way_is_whole_when_all_its_points_are_there() {
        assert!(way(1).is_whole());
        for point in 0..POINTS {
            let mut lost = way(1);
            lost.at[point] = 0;
            assert!(!lost.is_whole(), "without point {point}");
        }
    }

    #[test]
    fn a_reader_beside_a_writer_never_mixes_two_ways() {
        const WAYS: u64 = 200_000;
        let (_directory, path, mut file) = file(8);
        let mut reader = WayReader::open(&path).unwrap();
        let taken = thread::scope(|scope| {
            let writer = scope.spawn(move || (1..=WAYS).for_each(|number| file.push(&way(number))));
            let mut taken = 0;
            while taken + reader.missed() < WAYS {
                for told in reader.take() {
                    assert_eq!(told, way(told.number));
                    taken += 1;
                }
                thread::yield_now();
            }
            writer.join().unwrap();
            taken
        });
        assert!(taken > 0, "the last ways stay");
    }

    #[test]
    fn files_that_are_no_ways_are_refused_with_their_name_and_what_is_wrong() {
        let (_directory, path, mut file) = file(2);
        file.push(&way(1));
        drop(file);
        let good = std::fs::read(&path).unwrap();
        let refusal = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            WayReader::open(&path).unwrap_err().to_string()
        };
        for cut in 0..good.len() {
            let said = refusal(&good[..cut]);
            assert!(said.contains("ways") && said.contains(&path.display().to_string()), "cut at {cut}: {said}");
        }
        let changed = |at: usize, to: u8| {
            let mut bad = good.clone();
            bad[at] = to;
            bad
        };
        assert!(refusal(&changed(0, 0)).contains("it begins with"));
        assert!(refusal(&changed(VERSION_AT, 9)).contains("version 9, this program reads 1"));
        assert!(refusal(&changed(CAPACITY_AT, 3)).contains("do not hold the 3 ways"));
        std::fs::remove_file(&path).unwrap();
        assert!(WayReader::open(&path).unwrap_err().to_string().contains(&path.display().to_string()));
    }

    #[test]
    fn a_file_with_any_byte_changed_is_refused_or_gives_no_more_ways_than_it_holds() {
        let (_directory, path, mut file) = file(2);
        (1..=2).for_each(|number| file.push(&way(number)));
        drop(file);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xFF;
            std::fs::write(&path, &bad).unwrap();
            if let Ok(mut reader) = WayReader::open(&path) {
                assert!(reader.take().len() <= 2, "at {at}");
            }
        }
    }
}
