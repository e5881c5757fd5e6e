//! From the number a client gave an order to the order's place: one flat table with linear probing.
//!
//! It holds one entry for each order, under the newest number the client gave it. A replace that is on its way has
//! already taken the old number out: the record order is fixed, so whatever comes later meets the order replaced or
//! ended, and the old number names nothing either way. Entries lie in the order of where they would like to lie, and
//! each says where that is: so a deletion closes its gap up to the next entry that lies at home, most often the very
//! next, and no tombstones slow the table down over the day. At most half full, so probes are short; where an entry lies is no state and enters no
//! digest. Hot; sequencer thread; nothing is allocated after new.
//!
//! The table is far larger than the caches, and a page of it is not in the translation buffer either. So numbers that
//! follow each other, as a client's do, lie beside each other: one line in four and one page in [`GROUP`] orders is new,
//! where each was before. The price is paid by a table near its limit, whose runs are longer by that factor.

use super::orders::Place;
use crate::types::{SessionId, UserRef};

/// Who named an order, and how. The top bit is set, so that no key is the 0 of an empty entry: a client may well ask
/// for its order number 0, which never exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key(u64);

impl Key {
    #[inline]
    pub(super) const fn new(session: SessionId, counter: u8, user_ref: UserRef) -> Key {
        Key(1 << 63 | (session.0 as u64) << 40 | (counter as u64) << 32 | user_ref.0 as u64)
    }
}

/// Numbers that follow each other and lie beside each other: a kilobyte of entries.
const GROUP: usize = 64;
const _: () = assert!(GROUP.is_power_of_two(), "the place within a group is a mask");

/// An entry; key 0 is none.
#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    place: u32,
    /// Where the key would like to lie.
    home: u32,
}

const EMPTY: Entry = Entry { key: 0, place: 0, home: 0 };

/// The table.
pub(super) struct Lookup {
    entries: Box<[Entry]>,
    mask: usize,
    /// Stirred into the hash, so that a client who knows this file cannot choose numbers that collide.
    seed: u64,
}

impl Lookup {
    /// For at most `orders` orders.
    ///
    /// # Panics
    /// For more than 2^31: a place in the table has 32 bits.
    pub(super) fn new(orders: usize) -> Lookup {
        let capacity = (orders * 2).next_power_of_two().max(2);
        assert!(u32::try_from(capacity).is_ok(), "more orders than the table can name places for");
        Lookup { entries: vec![EMPTY; capacity].into_boxed_slice(), mask: capacity - 1, seed: 0 }
    }

    /// Chooses the hash. Only while the table is empty.
    pub(super) fn set_seed(&mut self, seed: u64) {
        assert!(self.entries.iter().all(|entry| entry.key == 0), "the hash is chosen before the first order");
        self.seed = seed;
    }

    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<Place> {
        let mut at = self.home(key.0);
        // Ends: at least half of the entries are empty.
        loop {
            let entry = &self.entries[at];
            if entry.key == key.0 {
                return Some(Place::from_bits(entry.place));
            }
            if entry.key == 0 {
                return None;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// The first entry that a search for the key looks at.
    #[inline]
    pub(super) fn line(&self, key: Key) -> *const u8 {
        core::ptr::from_ref(&self.entries[self.home(key.0)]).cast()
    }

    /// Adds a key that is not there.
    #[inline]
    pub(super) fn insert(&mut self, key: Key, place: Place) {
        let home = self.home(key.0);
        let mut entry = Entry { key: key.0, place: place.to_bits(), home: home as u32 };
        let mut at = home;
        while self.entries[at].key != 0 {
            debug_assert!(self.entries[at].key != key.0, "two orders under one number");
            // Who is further from home goes first.
            if self.away(self.entries[at], at) < self.away(entry, at) {
                core::mem::swap(&mut self.entries[at], &mut entry);
            }
            at = (at + 1) & self.mask;
        }
        self.entries[at] = entry;
    }

    /// Takes out a key that is there, and closes the gap.
    #[inline]
    pub(super) fn remove(&mut self, key: Key) {
        let mut gap = self.home(key.0);
        while self.entries[gap].key != key.0 {
            assert!(self.entries[gap].key != 0, "an order that was not under its number");
            gap = (gap + 1) & self.mask;
        }
        loop {
            let next = (gap + 1) & self.mask;
            let entry = self.entries[next];
            if entry.key == 0 || entry.home as usize == next {
                break;
            }
            self.entries[gap] = entry;
            gap = next;
        }
        self.entries[gap] = EMPTY;
    }

    /// How far from its home an entry lies at `at`.
    #[inline]
    fn away(&self, entry: Entry, at: usize) -> usize {
        at.wrapping_sub(entry.home as usize) & self.mask
    }

    /// Where a key would like to lie: its group anywhere, by two rounds of multiply and shift, and its place in there by
    /// its number.
    #[inline]
    fn home(&self, key: u64) -> usize {
        let group = key / GROUP as u64;
        let mut hash = (group ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let start = (hash >> 32) as usize & !(GROUP - 1);
        (start | key as usize & (GROUP - 1)) & self.mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_table_agrees_with_an_ordered_map(
            seed: u64,
            steps in prop::collection::vec((0u16..3, 0u8..3, 1u32..12, any::<bool>()), 0..400),
        ) {
            // 3 x 3 x 11 numbers for 99 orders in 256 entries; a small table would never wrap, so the seed varies.
            let mut table = Lookup::new(99);
            table.set_seed(seed);
            let mut twin = BTreeMap::new();
            for (i, (session, counter, user_ref, add)) in steps.into_iter().enumerate() {
                let key = Key::new(SessionId(session), counter, UserRef(user_ref));
                let place = Place::from_bits(i as u32);
                match (add, twin.contains_key(&key.0)) {
                    (true, false) => {
                        table.insert(key, place);
                        twin.insert(key.0, place);
                    }
                    (false, true) => {
                        table.remove(key);
                        twin.remove(&key.0);
                    }
                    _ => {}
                }
                for s in 0..3 {
                    for c in 0..3 {
                        for r in 1..12 {
                            let key = Key::new(SessionId(s), c, UserRef(r));
                            prop_assert_eq!(table.find(key), twin.get(&key.0).copied());
                        }
                    }
                }
            }
        }

        #[test]
        fn a_full_table_loses_nothing_when_it_empties(seed: u64) {
            let mut table = Lookup::new(4);
            table.set_seed(seed);
            let key = |n: u32| Key::new(SessionId(1), 0, UserRef(n));
            for round in 0..20u32 {
                let numbers = [1, 2, 3, 4].map(|n| round * 4 + n);
                numbers.iter().for_each(|&n| table.insert(key(n), Place::from_bits(n)));
                for (gone, &n) in numbers.iter().enumerate() {
                    for (i, &m) in numbers.iter().enumerate() {
                        prop_assert_eq!(table.find(key(m)), (i >= gone).then_some(Place::from_bits(m)));
                    }
                    table.remove(key(n));
                }
            }
        }
    }
}
