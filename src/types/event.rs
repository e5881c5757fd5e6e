//! What comes out of a matcher: facts about orders and trades, each a small `Copy` value.
//!
//! Everything outward is made from these and the record that caused them: client reports, the feed, the OMS'
//! positions. An event therefore names the parties itself; nobody downstream keeps a table of orders.

use super::order::letters;
use super::{
    AccountId, CancelReason, Channel, CrossKind, Display, MatchNumber, Nanos, Number, OrderReference, Price, Quantity,
    SessionId, Side, SideCode, Slot, TickerId, TradingState, UserRef,
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
        /// Added by the hidden part of a reserve order, or by its refilled display.
        AddedReserve = b'u',
        /// Added by a midpoint order.
        AddedMidpoint = b'k',
        /// Removed at the midpoint.
        RemovedMidpoint = b'm',
        /// Opening cross.
        OpeningCross = b'O',
        /// Closing cross.
        ClosingCross = b'C',
        /// Cross after a halt or a pause.
        HaltCross = b'K',
        /// Opening cross, imbalance-only order.
        OpeningImbalanceOnly = b'M',
        /// Closing cross, imbalance-only order.
        ClosingImbalanceOnly = b'L',
    }
);

impl Liquidity {
    /// The flag of the incoming order's report, by that of the resting one's.
    #[inline]
    pub const fn of_remover(self) -> Liquidity {
        match self {
            Liquidity::AddedMidpoint => Liquidity::RemovedMidpoint,
            Liquidity::Added | Liquidity::AddedHidden | Liquidity::AddedReserve => Liquidity::Removed,
            Liquidity::Removed | Liquidity::RemovedMidpoint => Liquidity::Removed,
            Liquidity::OpeningCross | Liquidity::ClosingCross | Liquidity::HaltCross => self,
            Liquidity::OpeningImbalanceOnly | Liquidity::ClosingImbalanceOnly => self,
        }
    }
}

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
        /// Open shares, those of a reserve that wait unseen too.
        quantity: Quantity,
        /// Shares that show; 0 for a hidden order.
        shown: Quantity,
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
        /// Flag of the resting order's report.
        liquidity: Liquidity,
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
        /// How many of these shares rested in the book and showed there; 0 for an incoming remainder.
        shown: Quantity,
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
        /// How many of these shares rested and showed.
        shown: Quantity,
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
        /// The worst price it may trade at: its limit, or how far a market order that rests or sleeps may reach.
        limit: Price,
        /// Open shares it had.
        old_quantity: Quantity,
        /// Limit price it had.
        old_price: Price,
        /// Shares the old order showed in the book; 0 when it was hidden, or a stop that slept.
        old_shown: Quantity,
        /// Shares the new order shows if it rests at once.
        shown: Quantity,
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
        /// How many of the shares taken showed in the book.
        shown: Quantity,
    },
    /// Trading in the ticker is now in this state.
    State {
        /// The state.
        state: TradingState,
    },
    /// The shown part of a reserve order was used up and filled again from what is hidden: last in its queue, under a
    /// new number on the feed. `leaves` of other events count both parts.
    Refreshed {
        /// Whose.
        order: OrderTag,
        /// Number of the part that is gone.
        old_reference: OrderReference,
        /// Number of the part shown now.
        reference: OrderReference,
        /// Side of the book.
        side: Side,
        /// How it shows.
        display: Display,
        /// Limit price.
        price: Price,
        /// Shares shown now.
        quantity: Quantity,
        /// Shares still hidden.
        reserve: Quantity,
    },
    /// A stop order woke up: what it then does follows as of an order that came now.
    Triggered {
        /// Whose.
        order: OrderTag,
        /// Its number at the venue.
        reference: OrderReference,
        /// Side of the book.
        side: Side,
        /// Its limit ([`Price::MARKET`] for a plain stop).
        price: Price,
        /// Open shares.
        quantity: Quantity,
    },
    /// A resting order moved to another price by its own rules: last in its queue there, under a new number.
    Repriced {
        /// Whose.
        order: OrderTag,
        /// The number it had.
        old_reference: OrderReference,
        /// The number it has now.
        reference: OrderReference,
        /// Side of the book.
        side: Side,
        /// How it shows.
        display: Display,
        /// Price it had.
        old_price: Price,
        /// Price it has now.
        price: Price,
        /// Shares shown, or open when hidden.
        quantity: Quantity,
    },
    /// Two orders traded in a cross, at its one price.
    Crossed {
        /// The buyer.
        buy: OrderTag,
        /// The seller.
        sell: OrderTag,
        /// Number of the buyer's order.
        buy_reference: OrderReference,
        /// Number of the seller's order.
        sell_reference: OrderReference,
        /// This execution's number.
        match_number: MatchNumber,
        /// The price of the cross.
        price: Price,
        /// Limit of the buyer's order, where it rested.
        buy_price: Price,
        /// Limit of the seller's order, where it rested.
        sell_price: Price,
        /// Shares traded.
        quantity: Quantity,
        /// Open shares of the buyer's order afterwards.
        buy_leaves: Quantity,
        /// Open shares of the seller's order afterwards.
        sell_leaves: Quantity,
        /// Flag of the buyer's report.
        buy_liquidity: Liquidity,
        /// Flag of the seller's report.
        sell_liquidity: Liquidity,
        /// Bit 0: the buyer's shares were shown; bit 1: the seller's were.
        shown: u8,
        /// Which cross.
        cross: CrossKind,
    },
    /// A cross is done; the feed prints it as one trade.
    CrossDone {
        /// Which cross.
        cross: CrossKind,
        /// Its price; 0 when nothing traded.
        price: Price,
        /// Shares traded.
        quantity: u64,
        /// Number of the print.
        match_number: MatchNumber,
    },
    /// How a cross stands while it builds up.
    Imbalance {
        /// Which cross.
        cross: CrossKind,
        /// Shares that would trade.
        paired: u64,
        /// Shares of the larger side that would not.
        imbalance: u64,
        /// `B` or `S` with more, `N` none, `O` no price possible.
        direction: u8,
        /// Price at which all orders of cross and book would trade most.
        near: Price,
        /// Price at which the orders for the cross alone would.
        far: Price,
        /// Price nearest the reference within the book at which most would trade.
        reference: Price,
        /// How far near lies from reference: `L` `1`-`9` `A` `B` `C`, space for not calculated (ITCH 5.0, NOII).
        variation: u8,
    },
    /// The price band of a ticker: new bounds, or a bound was met or left.
    Band {
        /// Lowest price that trades; 0 without a band.
        lower: Price,
        /// Highest price that trades.
        upper: Price,
        /// Whether orders press against a bound: the limit state.
        limit: bool,
    },
    /// A trade is undone.
    Broken {
        /// The buyer.
        buy: OrderTag,
        /// The seller.
        sell: OrderTag,
        /// The execution.
        match_number: MatchNumber,
        /// Its price.
        price: Price,
        /// Its shares.
        quantity: Quantity,
        /// Flag of the buyer's report.
        buy_liquidity: Liquidity,
        /// Flag of the seller's report.
        sell_liquidity: Liquidity,
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
