//! The order table: a cache line for each slot of each shard, and the free slots.
//!
//! A slot number is one shard's; it serves this table and the matcher's arena alike. Which slot an order gets is
//! decided once and stands in its record, so a slot is taken by number, and the order in which free slots are offered
//! is no state: replay may free them in another order. Each free slot knows its place on the stack of free slots, so
//! that any of them leaves it in O(1): the top takes its place. Hot; sequencer thread; nothing is allocated after new.

use super::life::{Life, Step};
use crate::engine::risk::{Owner, Reservation};
use crate::types::{
    AccountId, Command, Market, MatcherId, Number, Price, Quantity, SessionId, Side, Slot, TickerId, UserRef,
};

/// Option tag that says what a price follows (OUCH 5.0, appendage).
const TAG_PRICE_TYPE: u8 = 6;

/// One order. 64 bytes, one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Order {
    /// Record that entered it; tells it from later orders in its slot.
    pub(super) entered: Number,
    /// Latest replace on its way, [`Number`] 0 when none is.
    pub(super) replace_last: Number,
    /// The newest number the client gave it, perhaps still on its way to the matcher: its key in the lookup.
    pub(super) user_ref: UserRef,
    /// Open shares, by the events so far.
    pub(super) open: Quantity,
    /// Limit price, by the events so far.
    pub(super) price: Price,
    /// Shares of the chain that traded or that self-match prevention took.
    pub(super) used: Quantity,
    /// Largest chain total among the replaces since one was first on its way, 0 when none is.
    pub(super) asked_total: Quantity,
    /// Highest limit price among them.
    pub(super) asked_price: Price,
    /// What the risk side holds for it.
    pub(super) reserved: Reservation,
    /// Free slots: the place on the stack.
    free_at: u32,
    pub(super) session: SessionId,
    pub(super) account: AccountId,
    pub(super) ticker: TickerId,
    /// Counter of user references its channel uses.
    pub(super) counter: u8,
    /// Capacity letter, which a Replaced shows and a Replace does not name.
    pub(super) capacity: u8,
    pub(super) side: Side,
    pub(super) life: Life,
    /// Letter of its cross, a small one when it is imbalance-only: a Replace names neither.
    pub(super) cross: u8,
    /// Letter of what its price follows, `L` when it is no peg: a Replace need not name it.
    pub(super) price_type: u8,
}

const _: () = assert!(size_of::<Order>() == 64, "one cache line");

impl Order {
    const FREE: Order = Order {
        entered: Number(0),
        replace_last: Number(0),
        user_ref: UserRef(0),
        open: Quantity(0),
        price: Price(0),
        used: Quantity(0),
        asked_total: Quantity(0),
        asked_price: Price(0),
        reserved: Reservation::NONE,
        free_at: 0,
        session: SessionId(0),
        account: AccountId(0),
        ticker: TickerId(0),
        counter: 0,
        capacity: b' ',
        side: Side::Buy,
        life: Life::Free,
        cross: b'N',
        price_type: b'L',
    };

    /// A new order, nothing reserved yet.
    #[inline]
    pub(super) fn new(entered: Number, session: SessionId, user_ref: UserRef, counter: u8, owner: Owner) -> Order {
        let (account, ticker, side) = (owner.account, owner.ticker, owner.side);
        Order { entered, user_ref, session, counter, account, ticker, side, ..Order::FREE }
    }

    #[inline]
    pub(super) fn owner(&self) -> Owner {
        Owner { account: self.account, ticker: self.ticker, side: self.side }
    }

    /// Gives a Replace what it does not name: whether its order is for a cross, and what its price follows.
    #[inline]
    pub(super) fn name_kind(&self, command: &mut Command) {
        if !command.has_tag(TAG_PRICE_TYPE) {
            command.price_type = self.price_type;
        }
        command.cross = self.cross.to_ascii_uppercase();
        if self.cross.is_ascii_lowercase() {
            command.tags |= Command::IMBALANCE_ONLY;
        }
    }

    /// The worst it could still do, as it stands or after any replace on its way.
    #[inline]
    pub(super) fn worst(&self) -> Reservation {
        let asked = Quantity(self.asked_total.0.saturating_sub(self.used.0));
        Reservation { quantity: self.open, price: self.price }
            .or(Reservation { quantity: asked, price: self.asked_price })
    }
}

/// An order's place in the table of all shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(u32);

/// All orders of all shards.
pub(super) struct Orders {
    orders: Box<[Order]>,
    /// Stacks of free slots, one after the other.
    free: Box<[u32]>,
    free_counts: Box<[u32]>,
    slots: u32,
}

impl Orders {
    pub(super) fn new(market: &Market) -> Orders {
        let (shards, slots) = (u32::from(market.matchers), market.orders_max);
        let all = shards.checked_mul(slots).expect("order slots of all shards fit in 32 bits");
        // The lowest slot on top.
        let place = |i: u32| slots - 1 - i % slots;
        Orders {
            orders: (0..all).map(|i| Order { free_at: place(i), ..Order::FREE }).collect(),
            free: (0..all).map(place).collect(),
            free_counts: vec![slots; shards as usize].into_boxed_slice(),
            slots,
        }
    }

    /// Slots of all shards.
    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    #[inline]
    pub(super) fn place(&self, matcher: MatcherId, slot: Slot) -> Place {
        debug_assert!(slot.0 < self.slots, "a slot outside its shard");
        Place(u32::from(matcher.0) * self.slots + slot.0)
    }

    #[inline]
    pub(super) fn slot(&self, place: Place) -> Slot {
        Slot(place.0 % self.slots)
    }

    /// The shard of a place.
    pub(super) fn matcher(&self, place: Place) -> MatcherId {
        MatcherId((place.0 / self.slots) as u16)
    }

    #[inline]
    pub(super) fn at(&self, place: Place) -> &Order {
        &self.orders[place.0 as usize]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, place: Place) -> &mut Order {
        &mut self.orders[place.0 as usize]
    }

    /// A free slot of the shard, the one that was free last: its line is likely still in the cache.
    #[inline]
    pub(super) fn vacant(&self, matcher: MatcherId) -> Option<Slot> {
        let top = self.free_counts[matcher.index()].checked_sub(1)?;
        Some(Slot(self.free[(u32::from(matcher.0) * self.slots + top) as usize]))
    }

    /// Puts `order` into the free slot `slot`.
    #[inline]
    pub(super) fn take(&mut self, matcher: MatcherId, slot: Slot, order: Order) -> Place {
        let place = self.place(matcher, slot);
        let first = u32::from(matcher.0) * self.slots;
        let was = self.orders[place.0 as usize];
        let life = was.life.after(Step::Enter);
        let top = self.free_counts[matcher.index()] - 1;
        self.free_counts[matcher.index()] = top;
        if was.free_at != top {
            let moved = self.free[(first + top) as usize];
            self.free[(first + was.free_at) as usize] = moved;
            self.orders[(first + moved) as usize].free_at = was.free_at;
        }
        self.orders[place.0 as usize] = Order { life, ..order };
        place
    }

    /// Frees the slot of an order that ended.
    #[inline]
    pub(super) fn release(&mut self, matcher: MatcherId, place: Place) {
        let order = self.at_mut(place);
        let life = order.life.after(Step::End);
        let first = u32::from(matcher.0) * self.slots;
        let count = self.free_counts[matcher.index()];
        self.orders[place.0 as usize] = Order { life, free_at: count, ..Order::FREE };
        self.free[(first + count) as usize] = place.0 - first;
        self.free_counts[matcher.index()] = count + 1;
    }

    /// All orders that have not ended, by shard and slot. Walks the table; cold.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, &Order)> {
        let placed = self.orders.iter().enumerate().map(|(i, order)| (Place(i as u32), order));
        placed.filter(|(_, order)| order.life != Life::Free)
    }
}

impl Place {
    /// As a number, for the lookup.
    #[inline]
    pub(super) const fn to_bits(self) -> u32 {
        self.0
    }

    /// Back from [`Place::to_bits`].
    #[inline]
    pub(super) const fn from_bits(bits: u32) -> Place {
        Place(bits)
    }
}
