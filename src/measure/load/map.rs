//! A bounded map from a number to a place in a table: all memory at start, no allocation afterwards.
//!
//! Linear probing in a power of two of places, at most half of them filled, so that a search ends after a few
//! neighbours; removal moves later neighbours back instead of leaving marks, so that searches stay short for ever.

/// Spreads keys that count upward over all places (the golden ratio in 64 bits).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Clone, Copy)]
struct Place {
    key: u64,
    /// The value plus one; 0 marks an empty place.
    value: u32,
}

/// Keys with their values.
pub(super) struct Map {
    places: Box<[Place]>,
    shift: u32,
    count: usize,
    capacity: usize,
}

impl Map {
    /// For at most `capacity` keys.
    pub fn new(capacity: usize) -> Map {
        let places = (capacity.max(2) * 2).next_power_of_two();
        let shift = u64::BITS - places.trailing_zeros();
        Map { places: vec![Place { key: 0, value: 0 }; places].into_boxed_slice(), shift, count: 0, capacity }
    }

    /// The value of a key.
    #[inline]
    pub fn find(&self, key: u64) -> Option<u32> {
        self.place(key).map(|at| self.places[at].value - 1)
    }

    /// Adds a key; `false` when there is no room or the key is there already. Values end below `u32::MAX`.
    #[inline]
    pub fn insert(&mut self, key: u64, value: u32) -> bool {
        if self.count == self.capacity || self.place(key).is_some() {
            return false;
        }
        let mut at = self.home(key);
        while self.places[at].value != 0 {
            at = self.after(at);
        }
        self.places[at] = Place { key, value: value + 1 };
        self.count += 1;
        true
    }

    /// Takes a key out, if it is there.
    #[inline]
    pub fn remove(&mut self, key: u64) {
        let Some(mut hole) = self.place(key) else { return };
        self.count -= 1;
        let mut at = hole;
        loop {
            at = self.after(at);
            if self.places[at].value == 0 {
                break;
            }
            // A neighbour may move back unless that would put it before the place where its search starts.
            let home = self.home(self.places[at].key);
            let mask = self.places.len() - 1;
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.places[hole] = self.places[at];
                hole = at;
            }
        }
        self.places[hole].value = 0;
    }

    #[inline]
    fn place(&self, key: u64) -> Option<usize> {
        let mut at = self.home(key);
        // Ends: at least half of the places are empty.
        while self.places[at].value != 0 {
            if self.places[at].key == key {
                return Some(at);
            }
            at = self.after(at);
        }
        None
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(SPREAD) >> self.shift) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::flow::random::Random;
    use std::collections::HashMap;

    #[test]
    fn it_holds_what_the_standard_map_holds() {
        let (mut map, mut twin) = (Map::new(64), HashMap::new());
        let mut random = Random::new(3);
        for step in 0..100_000 {
            // Keys close together and far apart, so that neighbours crowd.
            let key = random.below(80) << (step % 2 * 32);
            if random.chance(1, 2) {
                let fits = twin.len() < 64 && !twin.contains_key(&key);
                assert_eq!(map.insert(key, step), fits);
                if fits {
                    twin.insert(key, step);
                }
            } else {
                map.remove(key);
                twin.remove(&key);
            }
            let probe = random.below(80) << (step % 2 * 32);
            assert_eq!(map.find(probe), twin.get(&probe).copied());
        }
    }
}
