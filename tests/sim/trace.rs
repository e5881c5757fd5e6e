//! What happened in a run: a hash of all of it, counts by name, and for one seed a text to read.
//!
//! Everything that chance decides and every byte that is delivered goes in here. Two runs of one seed that differ in
//! anything have different hashes, so that a clock, a thread or an address that found its way in is noticed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts by name.
pub type Tally = BTreeMap<&'static str, u64>;

/// The trace of one run; clones write the same.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    hash: u64,
    step: u64,
    printed: bool,
    tally: Tally,
}

impl Trace {
    pub fn new(printed: bool) -> Trace {
        Trace(Arc::new(Mutex::new(Inner { hash: 0, step: 0, printed, tally: Tally::new() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The scheduler begins a step.
    pub fn step(&self, choice: u64) {
        let mut inner = self.inner();
        inner.step += 1;
        inner.mix(choice);
    }

    pub fn steps(&self) -> u64 {
        self.inner().step
    }

    /// Something happened, with its numbers.
    pub fn note(&self, what: &'static str, numbers: &[u64]) {
        let mut inner = self.inner();
        inner.mix(u64::from(crc32c::crc32c(what.as_bytes())));
        numbers.iter().for_each(|&number| inner.mix(number));
        if inner.printed {
            println!("{:>8}  {what} {numbers:?}", inner.step);
        }
    }

    /// The same, and it is counted.
    pub fn count(&self, what: &'static str, numbers: &[u64]) {
        *self.inner().tally.entry(what).or_default() += 1;
        self.note(what, numbers);
    }

    /// Counted, and no more.
    pub fn add(&self, what: &'static str, count: u64) {
        *self.inner().tally.entry(what).or_default() += count;
    }

    /// Bytes that reached somebody.
    pub fn bytes(&self, what: &'static str, whose: u64, bytes: &[u8]) {
        let mut inner = self.inner();
        inner.mix(whose);
        inner.mix(u64::from(crc32c::crc32c(bytes)) << 32 | bytes.len() as u64);
        if inner.printed {
            let shown: String = bytes.iter().map(|&b| if b.is_ascii_graphic() { b as char } else { '.' }).collect();
            println!("{:>8}  {what} {whose}: {} bytes {shown}", inner.step, bytes.len());
        }
    }

    /// A line for people; it is made only where it is printed, and is not part of the hash.
    pub fn tell(&self, text: impl FnOnce() -> String) {
        let inner = self.inner();
        if inner.printed {
            println!("{:>8}  {}", inner.step, text());
        }
    }

    pub fn hash(&self) -> u64 {
        self.inner().hash
    }

    pub fn tally(&self) -> Tally {
        self.inner().tally.clone()
    }
}

impl Inner {
    fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
}
