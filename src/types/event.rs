//! What comes out of a matcher: facts about orders and trades, each a small `Copy` value.
//!
//! Everything outward is made from these and the record that caused them: client reports, the feed, the OMS'
//! positions. An event therefore names the parties itself; nobody downstream keeps a table of orders.

use super::order::letters;
use super::{
    AccountId, CancelReason, Channel, Display, MatchNumber, Nanos, Number, OrderReference, Price, Quantity, SessionId,
    Side, SideCode, Slot, TickerId, TradingState, UserRef,
};

/// Whose order: everything a report needs to reach its owner, and the slot for the OMS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OrderTag {
    /// The order's slot in its shard.
    pub slot: Slot,
    /// The number the owner knows it by now.
    pub user_ref: UserRef,
    /// The owner's session.
    pub session: SessionId,
    /// The owner's account.
    pub account: AccountId,
    /// The owner's channel, echoed.
    pub channel: Channel,
}

letters!(
    /// How an execution met the book (OUCH 5.0, liquidity flags).
    Liquidity {
        /// Added, displayed.
        Added = b'A',
        /// Added, hidden.
        AddedHidden = b'J',
        /// Removed.
        Removed = b'R',
    }
);

/// One fact. The order of events within a record is the order of the protocols: an order is accepted before it
/// trades, trades before its remainder rests or is cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The record changed nothing in this matcher. Stands so that egress sees the record's end.
    Nothing,
    /// A new order is live.
    Accepted {
        /// Whose.
        order: OrderTag,
        /// Its number at the venue.
        reference: OrderReference,
        /// Whole size.
        quantity: Quantity,
        /// Its limit ([`Price::MARKET`] for a market order).
        price: Price,
    },
    /// What is left of an incoming order now rests in the book.
    Rested {
        /// Whose.
        order: OrderTag,
        /// Its number at the venue.
        reference: OrderReference,
        /// Side of the book.
        side: Side,
        /// How it shows; attributed orders carry `firm` on the feed.
        display: Display,
        /// Open shares.
        quantity: Quantity,
        /// Limit price.
        price: Price,
    },
    /// A resting and an incoming order traded, at the resting order's price.
    Filled {
        /// The order that was there.
        resting: OrderTag,
        /// The order that came.
        incoming: OrderTag,
        /// The resting order's number at the venue.
        reference: OrderReference,
        /// This execution's number.
        match_number: MatchNumber,
        /// Trade price.
        price: Price,
        /// Shares traded.
        quantity: Quantity,
        /// Open shares of the resting order afterwards.
        resting_leaves: Quantity,
        /// Open shares of the incoming order afterwards.
        incoming_leaves: Quantity,
        /// Side of the resting order.
        resting_side: Side,
        /// Whether the resting order shows on the feed.
        displayed: bool,
    },
    /// Shares left an order without trading.
    Canceled {
        /// Whose.
        order: OrderTag,
        /// Its number at the venue.
        reference: OrderReference,
        /// Side of the book.
        side: Side,
        /// Its limit price.
        price: Price,
        /// Shares taken off now.
        quantity: Quantity,
        /// Open shares afterwards; 0 ends the order.
        leaves: Quantity,
        /// Why.
        reason: CancelReason,
        /// Whether these shares were resting in the book and shown there. False for an incoming remainder.
        displayed: bool,
    },
    /// Self-match prevention took shares off an order.
    SelfMatch {
        /// Whose.
        order: OrderTag,
        /// Its number at the venue.
        reference: OrderReference,
        /// Side of the book.
        side: Side,
        /// Its limit price.
        price: Price,
        /// Shares taken off now.
        quantity: Quantity,
        /// Open shares afterwards; 0 ends the order.
        leaves: Quantity,
        /// Shares that would have traded.
        prevented: Quantity,
        /// Price at which they would have traded.
        execution_price: Price,
        /// The flag the execution would have had for this order.
        liquidity: Liquidity,
        /// Letter of the strategy used.
        strategy: u8,
        /// 1 for the detailed report, 0 for a plain cancel with reason `Q`.
        detailed: bool,
        /// Whether these shares were resting and shown.
        displayed: bool,
    },
    /// An order was replaced: same slot, new user reference, new number, priority lost.
    Replaced {
        /// Whose, under its new user reference.
        order: OrderTag,
        /// The user reference it had.
        original: UserRef,
        /// The number it had at the venue.
        old_reference: OrderReference,
        /// The number it has now.
        reference: OrderReference,
        /// Side of the book.
        side: Side,
        /// Side as the client names it now.
        side_code: SideCode,
        /// How it shows now.
        display: Display,
        /// Open shares now, before anything trades.
        quantity: Quantity,
        /// Limit price now.
        price: Price,
        /// Open shares it had.
        old_quantity: Quantity,
        /// Limit price it had.
        old_price: Price,
        /// Whether the old order was shown in the book.
        was_displayed: bool,
        /// True when the new order goes straight into the book without trading: the feed says `U` if both are
        /// shown. Otherwise the old one leaves now and a later `Rested` brings what is left of the new one.
        rests: bool,
    },
    /// A replace found its order gone: nothing is reported, and the new user reference is free again.
    ReplaceIgnored {
        /// The order's slot and owner; `user_ref` is the number that was asked for.
        order: OrderTag,
    },
    /// A sell order changed its kind of selling or an order was reduced by Modify; priority kept.
    Modified {
        /// Whose.
        order: OrderTag,
        /// Its number at the venue.
        reference: OrderReference,
        /// Side as the client names it now.
        side_code: SideCode,
        /// Its limit price.
        price: Price,
        /// Shares taken off now, perhaps 0.
        taken: Quantity,
        /// Open shares afterwards; 0 ends the order.
        leaves: Quantity,
        /// Whether it shows in the book.
        displayed: bool,
    },
    /// Trading in the ticker is now in this state.
    State {
        /// The state.
        state: TradingState,
    },
}

const _: () = assert!(size_of::<Event>() <= 88, "an event and its stamp stay within two cache lines");

/// A record on its way to egress, with where its events will come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// The record.
    pub record: super::Sequenced,
    /// Bit k set: matcher k works on it and will mark its last event. 0 for what no matcher sees.
    pub sources: u64,
}

/// An event on its way from a matcher to egress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamped {
    /// The record that caused it.
    pub number: Number,
    /// Where it happened; [`TickerId::ALL`] for `Nothing` of a command on all tickers.
    pub ticker: TickerId,
    /// Whether this is the matcher's last event of the record.
    pub last: bool,
    /// What happened.
    pub event: Event,
}

/// An event on its way back to the sequencer's OMS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The record that caused it.
    pub number: Number,
    /// That record's time.
    pub time: Nanos,
    /// Where it happened.
    pub ticker: TickerId,
    /// What happened.
    pub event: Event,
}

/// A fact for the feed: committed, with its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// The record that caused it.
    pub number: Number,
    /// That record's time.
    pub time: Nanos,
    /// Which ticker, or [`TickerId::ALL`].
    pub ticker: TickerId,
    /// What the feed shall say.
    pub fact: PublicFact,
}

/// What the feed learns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PublicFact {
    /// The day starts: directory and states follow.
    DayStart,
    /// The day ends: closing system events, then the end of the session.
    DayEnd,
    /// Something happened in a book. `firm` attributes a displayed order that asks for it.
    Book {
        /// The event as the matcher gave it.
        event: Event,
        /// Firm of the incoming order.
        firm: super::Firm,
    },
}
