//! Orders that wait for a price or a time, in its order: search trees with a node for each slot. Warm.
//!
//! A treap: a binary tree ordered by key whose shape is the one that inserting by falling priority would give. The priority
//! of a slot is a hash of it, so the shape depends on which orders wait and on nothing else, keys that come in order make
//! no deep tree, and 10,000 stops at one price cost what 10,000 stops anywhere do: entering, leaving and finding the first
//! take a few dozen steps at a million orders.
//!
//! Several trees share one array of nodes, because an order is in one of them at most. Nothing is allocated after start,
//! and no step recurses: a place in a tree is named by the link that leads to it.

use crate::types::Slot;
use core::hint::black_box;

/// What a tree is ordered by: the price or the time waited for, then who came first.
pub(super) type Key = (u64, u64);

/// No node.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    key: Key,
    left: u32,
    right: u32,
}

const _: () = assert!(size_of::<Node>() == 24, "bytes a slot, twice");

/// One tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree(u32);

impl Tree {
    pub const EMPTY: Tree = Tree(NIL);
}

/// The link that leads to a node.
#[derive(Clone, Copy)]
enum Link {
    Root,
    Left(u32),
    Right(u32),
}

/// The nodes of all trees of a kind.
#[derive(Clone, Debug)]
pub(super) struct Nodes(Box<[Node]>);

impl Nodes {
    pub fn new(orders_max: u32) -> Nodes {
        let none = Node { key: (0, 0), left: NIL, right: NIL };
        Nodes((0..orders_max).map(|_| black_box(none)).collect())
    }

    /// What the slot waits for. It is in a tree.
    pub fn key(&self, slot: Slot) -> Key {
        self.0[slot.index()].key
    }

    /// The one that waits for the least, if any does.
    pub fn first(&self, tree: &Tree) -> Option<Slot> {
        let mut at = tree.0;
        if at == NIL {
            return None;
        }
        while self.0[at as usize].left != NIL {
            at = self.0[at as usize].left;
        }
        Some(Slot(at))
    }

    /// Puts a slot that is in no tree into this one. No two keys are equal.
    pub fn insert(&mut self, tree: &mut Tree, slot: Slot, key: Key) {
        let new = slot.0;
        let mut link = Link::Root;
        let mut at = tree.0;
        while at != NIL && priority(at) >= priority(new) {
            link = self.towards(at, key);
            at = self.follow(tree, link);
        }
        // What hung here hangs below the new node, split by its key: each node on the way goes to one side with the half of
        // it that belongs there.
        self.0[slot.index()].key = key;
        self.set(tree, link, new);
        let (mut less, mut more) = (Link::Left(new), Link::Right(new));
        while at != NIL {
            if self.0[at as usize].key < key {
                self.set(tree, less, at);
                less = Link::Right(at);
                at = self.0[at as usize].right;
            } else {
                self.set(tree, more, at);
                more = Link::Left(at);
                at = self.0[at as usize].left;
            }
        }
        self.set(tree, less, NIL);
        self.set(tree, more, NIL);
    }

    /// Takes a slot out of its tree.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&mut self, tree: &mut Tree, slot: Slot) {
        let key = self.key(slot);
        let mut link = Link::Root;
        let mut at = tree.0;
        while at != slot.0 {
            assert!(at != NIL, "an order that waits is in its tree");
            link = self.towards(at, key);
            at = self.follow(tree, link);
        }
        let (mut less, mut more) = (self.0[slot.index()].left, self.0[slot.index()].right);
        while less != NIL && more != NIL {
            if priority(less) >= priority(more) {
                self.set(tree, link, less);
                link = Link::Right(less);
                less = self.0[less as usize].right;
            } else {
                self.set(tree, link, more);
                link = Link::Left(more);
                more = self.0[more as usize].left;
            }
        }
        self.set(tree, link, if less == NIL { more } else { less });
    }

    /// The side of node `at` on which `key` belongs.
    fn towards(&self, at: u32, key: Key) -> Link {
        if key < self.0[at as usize].key { Link::Left(at) } else { Link::Right(at) }
    }

    fn follow(&self, tree: &Tree, link: Link) -> u32 {
        match link {
            Link::Root => tree.0,
            Link::Left(at) => self.0[at as usize].left,
            Link::Right(at) => self.0[at as usize].right,
        }
    }

    fn set(&mut self, tree: &mut Tree, link: Link, to: u32) {
        match link {
            Link::Root => tree.0 = to,
            Link::Left(at) => self.0[at as usize].left = to,
            Link::Right(at) => self.0[at as usize].right = to,
        }
    }
}

/// Which of two nodes stands higher. A hash that maps no two slots to one value.
pub(super) fn priority(slot: u32) -> u32 {
    let mixed = (slot ^ (slot >> 16)).wrapping_mul(0x7FEB_352D);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x846C_A68B);
    mixed ^ (mixed >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Longest way from the root.
    fn depth(nodes: &Nodes, tree: &Tree) -> usize {
        let (mut deepest, mut open) = (0, vec![(tree.0, 1)]);
        while let Some((at, depth)) = open.pop() {
            if at != NIL {
                deepest = deepest.max(depth);
                let node = nodes.0[at as usize];
                open.extend([(node.left, depth + 1), (node.right, depth + 1)]);
            }
        }
        deepest
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_an_ordered_set(steps in prop::collection::vec((0u32..64, 0u64..8), 0..400)) {
            let (mut nodes, mut tree) = (Nodes::new(64), Tree::EMPTY);
            let mut twin = BTreeSet::new();
            for (count, (slot, major)) in steps.into_iter().enumerate() {
                let found = twin.iter().find(|(_, s)| *s == slot).copied();
                if let Some(entry) = found {
                    twin.remove(&entry);
                    nodes.remove(&mut tree, Slot(slot));
                } else {
                    let key = (major, count as u64);
                    twin.insert((key, slot));
                    nodes.insert(&mut tree, Slot(slot), key);
                }
                prop_assert_eq!(nodes.first(&tree), twin.first().map(|(_, slot)| Slot(*slot)));
            }
            while let Some((key, slot)) = twin.pop_first() {
                prop_assert_eq!(nodes.first(&tree).map(|s| (nodes.key(s), s.0)), Some((key, slot)));
                nodes.remove(&mut tree, Slot(slot));
            }
            prop_assert_eq!(nodes.first(&tree), None);
        }
    }

    #[test]
    fn keys_in_order_make_no_deep_tree() {
        const COUNT: u32 = 100_000;
        let (mut nodes, mut tree) = (Nodes::new(COUNT), Tree::EMPTY);
        (0..COUNT).for_each(|slot| nodes.insert(&mut tree, Slot(slot), (7, u64::from(slot))));
        // Seventeen levels would hold them all; a random tree has about two and a half times as many.
        assert!(depth(&nodes, &tree) < 60, "{} levels", depth(&nodes, &tree));
    }
}
