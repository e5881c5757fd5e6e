//! What the venue sends (OUCH 5.0, outbound messages). One per SoupBinTCP Sequenced Data packet or ring message.
//!
//! The gateway writes them and the client library reads them, from the same definition. Letters and prices stay as
//! they stand on the wire: a client must be able to show a code it does not know.

use super::{Form, OuchError, Tags, message};
use crate::types::{ClientOrderId, DayNanos, Firm, MatchNumber, OrderReference, Quantity, Symbol, UserRef};
use crate::wire::field::Field;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Order state letter: the order is live.
pub const STATE_LIVE: u8 = b'L';
/// Order state letter: accepted and cancelled at once; nothing more follows.
pub const STATE_DEAD: u8 = b'D';
/// System event letter: the day starts.
pub const DAY_START: u8 = b'S';
/// Restated: the display of a reserve order was filled again.
pub const DISPLAY_REFRESHED: u8 = b'R';
/// Broken Trade: the venue calls the trade erroneous.
pub const BROKEN_ERRONEOUS: u8 = b'E';
/// System event letter: the day ends.
pub const DAY_END: u8 = b'E';

message!(
    /// System Event. Carries no appendage, so its `tags` stay empty.
    SystemEvent = b'S', 10 bytes, Absent, tags [] {
        /// When.
        time: DayNanos,
        /// Letter: S start of day, E end of day.
        event: u8,
    }
);

message!(
    /// Order Accepted.
    Accepted = b'A', 62 bytes, Required, tags [0 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 24 25 28 29 30 31] {
        /// When.
        time: DayNanos,
        /// As entered.
        user_ref: UserRef,
        /// As entered.
        side: u8,
        /// Whole size.
        quantity: Quantity,
        /// As entered.
        symbol: Symbol,
        /// Price accepted, as entered or better.
        price: u64,
        /// As accepted: as entered or shorter.
        time_in_force: u8,
        /// Letter: Y N A Z.
        display: u8,
        /// The order's number at the venue and on the feed.
        reference: OrderReference,
        /// As entered.
        capacity: u8,
        /// As entered.
        sweep: u8,
        /// As entered.
        cross: u8,
        /// [`STATE_LIVE`] or [`STATE_DEAD`].
        state: u8,
        /// As entered.
        client_order_id: ClientOrderId,
    }
);

message!(
    /// Order Replaced.
    Replaced = b'U', 66 bytes, Required, tags [0 2 3 5 6 8 12 15 16 17 18 28 29 30 31] {
        /// When.
        time: DayNanos,
        /// The order's number before.
        original: UserRef,
        /// Its number now.
        user_ref: UserRef,
        /// Side letter.
        side: u8,
        /// Open shares now, not the chain's total.
        quantity: Quantity,
        /// Ticker.
        symbol: Symbol,
        /// Price accepted.
        price: u64,
        /// As accepted.
        time_in_force: u8,
        /// Letter: Y N A Z.
        display: u8,
        /// The order's new number at the venue.
        reference: OrderReference,
        /// As entered.
        capacity: u8,
        /// As requested.
        sweep: u8,
        /// As entered.
        cross: u8,
        /// [`STATE_LIVE`] or [`STATE_DEAD`].
        state: u8,
        /// As requested.
        client_order_id: ClientOrderId,
    }
);

message!(
    /// Order Canceled, whole or in part.
    Canceled = b'C', 18 bytes, LeftOut, tags [28] {
        /// When.
        time: DayNanos,
        /// The order.
        user_ref: UserRef,
        /// Shares taken off now.
        quantity: Quantity,
        /// Letter of a [`crate::types::CancelReason`].
        reason: u8,
    }
);

message!(
    /// AIQ Canceled: self-match prevention took shares off, with what would have traded.
    SelfMatchCanceled = b'D', 32 bytes, LeftOut, tags [28] {
        /// When.
        time: DayNanos,
        /// The order.
        user_ref: UserRef,
        /// Shares taken off now.
        quantity: Quantity,
        /// Always Q.
        reason: u8,
        /// Shares that would have traded.
        prevented: Quantity,
        /// Price at which they would have.
        price: u64,
        /// The flag the execution would have had.
        liquidity: u8,
        /// Letter of the strategy used.
        strategy: u8,
    }
);

message!(
    /// Order Executed. Always written with the appendage's length; the document does not list it among the messages
    /// that may go without, and others read 34 bytes as well.
    Executed = b'E', 34 bytes, Written, tags [28] {
        /// When.
        time: DayNanos,
        /// The order.
        user_ref: UserRef,
        /// Shares traded now.
        quantity: Quantity,
        /// Trade price.
        price: u64,
        /// Letter of a [`crate::types::Liquidity`].
        liquidity: u8,
        /// Number of the execution, the same on both sides and on the feed.
        match_number: MatchNumber,
    }
);

message!(
    /// Broken Trade: an execution is void.
    BrokenTrade = b'B', 36 bytes, LeftOut, tags [28] {
        /// When.
        time: DayNanos,
        /// The order.
        user_ref: UserRef,
        /// The execution.
        match_number: MatchNumber,
        /// Letter: E C S X.
        reason: u8,
        /// As entered.
        client_order_id: ClientOrderId,
    }
);

message!(
    /// Rejected: the request did nothing, and its number is used up.
    Rejected = b'J', 29 bytes, LeftOut, tags [28] {
        /// When.
        time: DayNanos,
        /// Number of the request.
        user_ref: UserRef,
        /// Code of a [`crate::types::Reject`].
        reason: u16,
        /// As sent.
        client_order_id: ClientOrderId,
    }
);

message!(
    /// Cancel Pending.
    CancelPending = b'P', 13 bytes, LeftOut, tags [28] {
        /// When.
        time: DayNanos,
        /// The order.
        user_ref: UserRef,
    }
);

message!(
    /// Cancel Reject.
    CancelReject = b'I', 13 bytes, LeftOut, tags [28] {
        /// When.
        time: DayNanos,
        /// The order.
        user_ref: UserRef,
    }
);

message!(
    /// Order Priority Update: the venue moved the order, and its number changed.
    PriorityUpdate = b'T', 30 bytes, LeftOut, tags [28] {
        /// When.
        time: DayNanos,
        /// The order.
        user_ref: UserRef,
        /// Its price now.
        price: u64,
        /// Its display letter now.
        display: u8,
        /// Its number at the venue now.
        reference: OrderReference,
    }
);

message!(
    /// Order Modified.
    Modified = b'M', 18 bytes, LeftOut, tags [25 26 28] {
        /// When.
        time: DayNanos,
        /// The order.
        user_ref: UserRef,
        /// Side letter now.
        side: u8,
        /// Open shares now.
        quantity: Quantity,
    }
);

message!(
    /// Order Restated: what the order shows has changed.
    Restated = b'R', 14 bytes, Required, tags [1 22 23 28] {
        /// When.
        time: DayNanos,
        /// The order.
        user_ref: UserRef,
        /// Letter: R display refreshed, P displayed price changed.
        reason: u8,
    }
);

message!(
    /// Mass Cancel Response; the cancels follow.
    MassCancelResponse = b'X', 25 bytes, Required, tags [24 27 28] {
        /// When.
        time: DayNanos,
        /// Number of the request.
        user_ref: UserRef,
        /// As requested.
        firm: Firm,
        /// As requested.
        symbol: Symbol,
    }
);

message!(
    /// Disable Order Entry Response.
    DisableResponse = b'G', 17 bytes, Required, tags [28] {
        /// When.
        time: DayNanos,
        /// Number of the request.
        user_ref: UserRef,
        /// As requested.
        firm: Firm,
    }
);

message!(
    /// Enable Order Entry Response.
    EnableResponse = b'K', 17 bytes, Required, tags [28] {
        /// When.
        time: DayNanos,
        /// Number of the request.
        user_ref: UserRef,
        /// As requested.
        firm: Firm,
    }
);

message!(
    /// Account Query Response.
    AccountQueryResponse = b'Q', 13 bytes, LeftOut, tags [28] {
        /// When.
        time: DayNanos,
        /// The lowest user reference the channel still takes.
        next_user_ref: UserRef,
    }
);

super::direction!(
    /// Any message of the venue.
    Outbound {
        /// `S`
        SystemEvent(SystemEvent),
        /// `A`
        Accepted(Accepted),
        /// `U`
        Replaced(Replaced),
        /// `C`
        Canceled(Canceled),
        /// `D`
        SelfMatchCanceled(SelfMatchCanceled),
        /// `E`
        Executed(Executed),
        /// `B`
        BrokenTrade(BrokenTrade),
        /// `J`
        Rejected(Rejected),
        /// `P`
        CancelPending(CancelPending),
        /// `I`
        CancelReject(CancelReject),
        /// `T`
        PriorityUpdate(PriorityUpdate),
        /// `M`
        Modified(Modified),
        /// `R`
        Restated(Restated),
        /// `X`
        MassCancelResponse(MassCancelResponse),
        /// `G`
        DisableResponse(DisableResponse),
        /// `K`
        EnableResponse(EnableResponse),
        /// `Q`
        AccountQueryResponse(AccountQueryResponse),
    }
);
