//! The trades broken last, so that an operator who breaks one again is told. Cold.
//!
//! The books break a trade once whatever is asked; this is for the answer only. Fixed in size: what is forgotten here is
//! accepted again and changes nothing.

use crate::engine::digest::Digest;
use crate::types::MatchNumber;

/// Broken trades remembered.
const BROKEN_MAX: usize = 256;

/// Their numbers, the oldest overwritten.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) numbers: Box<[MatchNumber; BROKEN_MAX]>,
    pub(super) next: usize,
}

impl Broken {
    pub(super) fn new() -> Broken {
        Broken { numbers: Box::new([MatchNumber(0); BROKEN_MAX]), next: 0 }
    }

    pub(super) fn add(&mut self, number: MatchNumber) {
        self.numbers[self.next] = number;
        self.next = (self.next + 1) % BROKEN_MAX;
    }

    pub(super) fn has(&self, number: MatchNumber) -> bool {
        self.numbers.contains(&number)
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        self.numbers.iter().for_each(|number| digest.add(number.0));
    }
}
