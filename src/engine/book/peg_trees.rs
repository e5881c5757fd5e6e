//! Pegged orders in the order in which they would trade, found by whether their limit allows the price they follow. Warm.
//!
//! Pegs of one ticker, side and kind follow one reference, so that the reference says nothing about which of them is
//! better: the one with the most aggressive offset is, then the oldest. What the reference decides is which of them it
//! wakes: a peg is active while its uncapped price is within its limit. Each peg turns that into one number that never
//! changes, the *need*: the least distance of the reference at which it is active ([`super::pegs`] says what a distance
//! is). A search tree by offset and age in which each node also knows the least need below it finds the first active peg,
//! or the next one after some place, in a few dozen steps among a million, and when the reference moves nothing is done.
//!
//! The tree is a treap as in [`super::waiting`], its shape given by which orders are in it and by nothing else; but a
//! change must tell the nodes above of the least need, so that nodes know their parents and a change is made by rotating.
//! All trees share one array of nodes by slot, for an order is in one of them at most. Nothing is allocated after start,
//! no step recurses. 32 bytes a slot.

use super::waiting::priority;
use crate::types::{Side, Slot};
use core::cmp::Reverse;
use core::hint::black_box;

/// No node.
const NIL: u32 = u32::MAX;

/// Bytes of a node.
const NODE_BYTES: usize = 32;

/// Place of a peg in its tree: the most aggressive offset first, then who came first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place(Reverse<i32>, u64);

impl Place {
    /// Of a peg with this offset and this number at the venue.
    pub fn new(offset: i32, reference: u64) -> Place {
        Place(Reverse(offset), reference)
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    reference: u64,
    offset: i32,
    /// Least distance of the reference at which this one is active, and the least of all below it and itself.
    need: u32,
    need_least: u32,
    left: u32,
    right: u32,
    parent: u32,
}

const _: () = assert!(size_of::<Node>() == NODE_BYTES);

/// One tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct PegTree(u32);

impl PegTree {
    pub const EMPTY: PegTree = PegTree(NIL);
}

/// The nodes of all trees of pegs.
#[derive(Clone, Debug)]
pub(super) struct PegNodes(Box<[Node]>);

impl PegNodes {
    pub fn new(orders_max: u32) -> PegNodes {
        let none = Node { reference: 0, offset: 0, need: 0, need_least: 0, left: NIL, right: NIL, parent: NIL };
        PegNodes((0..orders_max).map(|_| black_box(none)).collect())
    }

    /// The slot's place. It is in a tree, or was the last time that it was in one.
    pub fn place(&self, slot: Slot) -> Place {
        let node = &self.0[slot.index()];
        Place::new(node.offset, node.reference)
    }

    /// The slot's offset, likewise.
    pub fn offset(&self, slot: Slot) -> i32 {
        self.0[slot.index()].offset
    }

    /// Least distance of the reference at which the slot's peg is active.
    pub fn need(&self, slot: Slot) -> u32 {
        self.0[slot.index()].need
    }

    /// The first peg, in order, that is active while the reference is this far.
    pub fn first(&self, tree: &PegTree, distance: u32) -> Option<Slot> {
        self.leftmost(tree.0, distance)
    }

    /// The first one behind a place, which need not be taken any more.
    pub fn after(&self, tree: &PegTree, place: Place, distance: u32) -> Option<Slot> {
        // Of the nodes on the way that lie behind the place, the last one that is active, or has an active one to its right,
        // is nearest to it.
        let (mut at, mut nearest) = (tree.0, NIL);
        while at != NIL {
            let node = &self.0[at as usize];
            if self.place(Slot(at)) <= place {
                at = node.right;
                continue;
            }
            if node.need.min(self.need_least(node.right)) <= distance {
                nearest = at;
            }
            at = node.left;
        }
        if nearest == NIL {
            return None;
        }
        let node = &self.0[nearest as usize];
        if node.need <= distance { Some(Slot(nearest)) } else { self.leftmost(node.right, distance) }
    }

    fn leftmost(&self, mut at: u32, distance: u32) -> Option<Slot> {
        if self.need_least(at) > distance || at == NIL {
            return None;
        }
        loop {
            let node = &self.0[at as usize];
            if node.left != NIL && self.need_least(node.left) <= distance {
                at = node.left;
            } else if node.need <= distance {
                return Some(Slot(at));
            } else {
                at = node.right;
            }
        }
    }

    fn need_least(&self, at: u32) -> u32 {
        if at == NIL { u32::MAX } else { self.0[at as usize].need_least }
    }

    /// Puts a slot that is in no tree into this one. No two places are equal.
    pub fn insert(&mut self, tree: &mut PegTree, slot: Slot, place: Place, need: u32) {
        let (mut parent, mut at, mut goes_left) = (NIL, tree.0, false);
        while at != NIL {
            let node = &mut self.0[at as usize];
            node.need_least = node.need_least.min(need);
            goes_left = place < Place::new(node.offset, node.reference);
            parent = at;
            at = if goes_left { node.left } else { node.right };
        }
        let Place(Reverse(offset), reference) = place;
        self.0[slot.index()] = Node { reference, offset, need, need_least: need, left: NIL, right: NIL, parent };
        match (parent, goes_left) {
            (NIL, _) => tree.0 = slot.0,
            (_, true) => self.0[parent as usize].left = slot.0,
            (_, false) => self.0[parent as usize].right = slot.0,
        }
        loop {
            let parent = self.0[slot.index()].parent;
            if parent == NIL || priority(parent) >= priority(slot.0) {
                return;
            }
            self.rotate_up(tree, slot.0);
        }
    }

    /// Takes a slot out of its tree.
    pub fn remove(&mut self, tree: &mut PegTree, slot: Slot) {
        // Down to where nothing hangs below it; of two the one that stands higher takes its place.
        loop {
            let Node { left, right, .. } = self.0[slot.index()];
            match (left, right) {
                (NIL, NIL) => break,
                (child, NIL) | (NIL, child) => self.rotate_up(tree, child),
                _ if priority(left) >= priority(right) => self.rotate_up(tree, left),
                _ => self.rotate_up(tree, right),
            }
        }
        let parent = self.0[slot.index()].parent;
        self.hang(tree, parent, slot.0, NIL);
        let mut at = parent;
        while at != NIL {
            self.sum_up(at);
            at = self.0[at as usize].parent;
        }
    }

    /// Swaps a node with its parent.
    fn rotate_up(&mut self, tree: &mut PegTree, at: u32) {
        let parent = self.0[at as usize].parent;
        let above = self.0[parent as usize].parent;
        let passed = if self.0[parent as usize].left == at {
            let passed = core::mem::replace(&mut self.0[at as usize].right, parent);
            self.0[parent as usize].left = passed;
            passed
        } else {
            let passed = core::mem::replace(&mut self.0[at as usize].left, parent);
            self.0[parent as usize].right = passed;
            passed
        };
        if passed != NIL {
            self.0[passed as usize].parent = parent;
        }
        self.0[parent as usize].parent = at;
        self.0[at as usize].parent = above;
        self.hang(tree, above, parent, at);
        self.sum_up(parent);
        self.sum_up(at);
    }

    /// Where `old` hung below `parent`, `new` hangs now.
    fn hang(&mut self, tree: &mut PegTree, parent: u32, old: u32, new: u32) {
        if parent == NIL {
            tree.0 = new;
        } else if self.0[parent as usize].left == old {
            self.0[parent as usize].left = new;
        } else {
            self.0[parent as usize].right = new;
        }
    }

    fn sum_up(&mut self, at: u32) {
        let Node { need, left, right, .. } = self.0[at as usize];
        self.0[at as usize].need_least = need.min(self.need_least(left)).min(self.need_least(right));
    }
}

/// Trees of a ticker.
pub(super) const PEG_TREES: usize = 6;

/// The pegs of a ticker: by side and kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pegs {
    pub trees: [[PegTree; 3]; 2],
    pub count: u32,
}

impl Pegs {
    pub const NONE: Pegs = Pegs { trees: [[PegTree::EMPTY; 3]; 2], count: 0 };
}

/// What prices the pegs of a side, all as distances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub side: Side,
    /// What each kind follows, if it shows.
    pub follows: [Option<u32>; 3],
    /// The best a peg of each kind may have.
    pub cap: [u32; 3],
}

/// A peg and what it costs now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Active {
    pub slot: Slot,
    pub distance: u32,
}

/// How far pegs of each kind were looked at.
pub(super) type Cursors = [Option<Place>; 3];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All that are active, in order, by asking for the next one.
    fn walk(nodes: &PegNodes, tree: &PegTree, distance: u32) -> Vec<u32> {
        let first = nodes.first(tree, distance);
        core::iter::successors(first, |slot| nodes.after(tree, nodes.place(*slot), distance)).map(|s| s.0).collect()
    }

    proptest! {
        #[test]
        fn the_active_ones_come_in_order_as_in_a_sorted_list(
            steps in prop::collection::vec((0u32..48, -3i32..4, 0u32..12), 0..300),
        ) {
            let (mut nodes, mut tree) = (PegNodes::new(48), PegTree::EMPTY);
            let mut twin: Vec<(Place, u32, u32)> = Vec::new();
            for (count, (slot, offset, need)) in steps.into_iter().enumerate() {
                if let Some(at) = twin.iter().position(|(_, _, s)| *s == slot) {
                    twin.remove(at);
                    nodes.remove(&mut tree, Slot(slot));
                } else {
                    let place = Place::new(offset, count as u64);
                    twin.push((place, need, slot));
                    twin.sort();
                    nodes.insert(&mut tree, Slot(slot), place, need);
                }
                for distance in [0, 5, 11] {
                    let expected: Vec<_> = twin.iter().filter(|peg| peg.1 <= distance).map(|peg| peg.2).collect();
                    prop_assert_eq!(walk(&nodes, &tree, distance), expected);
                }
            }
        }
    }

    #[test]
    fn the_first_active_one_is_found_behind_many_that_sleep() {
        const COUNT: u32 = 100_000;
        let (mut nodes, mut tree) = (PegNodes::new(COUNT), PegTree::EMPTY);
        for slot in 0..COUNT {
            nodes.insert(&mut tree, Slot(slot), Place::new(0, u64::from(slot)), COUNT - slot);
        }
        assert_eq!(nodes.first(&tree, 1), Some(Slot(COUNT - 1)));
        assert_eq!(nodes.first(&tree, 0), None);
        assert_eq!(nodes.after(&tree, Place::new(0, 10), COUNT), Some(Slot(11)));
    }
}
