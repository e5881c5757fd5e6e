//! Which levels of a ladder hold orders: a bit a level, in a tree of 64-bit words. Hot.
//!
//! A word of one floor is summed up by a bit of the floor above: set while any of its 64 bits is set. Four floors cover
//! [`RANKS_MAX`] levels; a change climbs only when a word becomes or stops being empty, and a search climbs only past empty
//! words, so that near the touch both end on the ground floor, in one word.

use core::hint::black_box;

/// Floors of the tree.
const FLOORS: usize = 4;
/// Bits of a rank that one floor resolves: a word has 64 bits.
const FLOOR_BITS: u32 = 6;
/// Most levels one tree covers.
pub(super) const RANKS_MAX: usize = 1 << (FLOORS as u32 * FLOOR_BITS);

/// No level.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The tree.
#[derive(Clone, Debug)]
pub(super) struct Occupancy {
    floors: [Box<[u64]>; FLOORS],
}

impl Occupancy {
    /// All empty, for `ranks` levels.
    pub fn new(ranks: usize) -> Occupancy {
        assert!(ranks <= RANKS_MAX, "more levels than the tree covers");
        let mut words = ranks;
        let floors = core::array::from_fn(|_| {
            words = words.div_ceil(64).max(1);
            // Written word by word: zeroed memory straight from the system would be faulted in later.
            (0..words).map(|_| black_box(0)).collect()
        });
        Occupancy { floors }
    }

    /// Marks `rank` as holding orders.
    #[inline]
    pub fn set(&mut self, rank: u32) {
        let mut at = rank;
        for floor in &mut self.floors {
            let word = &mut floor[(at >> FLOOR_BITS) as usize];
            let before = *word;
            *word = before | 1 << (at & 63);
            if before != 0 {
                return;
            }
            at >>= FLOOR_BITS;
        }
    }

    /// Marks `rank` as empty.
    #[inline]
    pub fn clear(&mut self, rank: u32) {
        let mut at = rank;
        for floor in &mut self.floors {
            let word = &mut floor[(at >> FLOOR_BITS) as usize];
            *word &= !(1 << (at & 63));
            if *word != 0 {
                return;
            }
            at >>= FLOOR_BITS;
        }
    }

    /// The lowest occupied rank at or above `rank`, or [`NOWHERE`].
    #[inline]
    pub fn at_or_after(&self, rank: u32) -> u32 {
        let mut at = rank;
        for floor in 0..FLOORS {
            let Some(&word) = self.floors[floor].get((at >> FLOOR_BITS) as usize) else { return NOWHERE };
            let rest = word & (u64::MAX << (at & 63));
            if rest != 0 {
                return self.descend(floor, (at & !63) | rest.trailing_zeros());
            }
            at = (at >> FLOOR_BITS) + 1;
        }
        NOWHERE
    }

    /// The lowest occupied rank under bit `at` of `floor`.
    #[inline]
    fn descend(&self, floor: usize, mut at: u32) -> u32 {
        for below in (0..floor).rev() {
            at = (at << FLOOR_BITS) | self.floors[below][at as usize].trailing_zeros();
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_tree_finds_what_a_sorted_set_finds() {
        for ranks in [1usize, 63, 64, 65, 4_096, 5_000, 300_000] {
            let mut tree = Occupancy::new(ranks);
            let mut set = BTreeSet::new();
            let mut state = 0x9E37_79B9_7F4A_7C15u64 ^ ranks as u64;
            for _ in 0..20_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let rank = ((state >> 33) % ranks as u64) as u32;
                // Removal as often as insertion keeps the tree sparse enough for climbs.
                if set.remove(&rank) {
                    tree.clear(rank);
                } else {
                    set.insert(rank);
                    tree.set(rank);
                }
                let from = ((state >> 12) % ranks as u64) as u32;
                let expected = set.range(from..).next().copied().unwrap_or(NOWHERE);
                assert_eq!(tree.at_or_after(from), expected, "{ranks} ranks, from {from}");
                if state.is_multiple_of(64) {
                    set.iter().for_each(|&r| tree.clear(r));
                    set.clear();
                }
            }
        }
    }

    #[test]
    fn a_search_from_behind_the_last_level_finds_nothing() {
        let tree = Occupancy::new(64);
        assert_eq!(tree.at_or_after(64), NOWHERE);
    }
}
