//! What a client sends (OUCH 5.0, inbound messages). One per SoupBinTCP Unsequenced Data packet or ring message.
//!
//! Letters stay letters and prices stay as sent: the gateway judges them, because it can answer.

use super::{Form, OuchError, Tags, message};
use crate::types::{ClientOrderId, Firm, Quantity, Symbol, UserRef};
use crate::wire::field::Field;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

message!(
    /// Enter Order.
    EnterOrder = b'O', 45 bytes, Required, tags [0 2 3 4 5 6 7 8 9 10 11 12 13 15 16 17 24 25 26 28 29 30 31] {
        /// Number of this request; rises within the channel.
        user_ref: UserRef,
        /// Letter: B S T E.
        side: u8,
        /// Shares, 1 to 999,999.
        quantity: Quantity,
        /// Ticker.
        symbol: Symbol,
        /// Limit in 1/10,000; see [`super::price_from_wire`].
        price: u64,
        /// Letter: 0 3 5 6 E.
        time_in_force: u8,
        /// Letter: Y N A.
        display: u8,
        /// Letter: A P R O.
        capacity: u8,
        /// Letter: Y N.
        sweep: u8,
        /// Letter: N for the continuous market.
        cross: u8,
        /// Free text, echoed.
        client_order_id: ClientOrderId,
    }
);

message!(
    /// Replace Order Request.
    ReplaceOrder = b'U', 38 bytes, Required, tags [0 3 5 6 7 8 9 10 11 12 13 15 16 17 25 26 27 28 29 30 31] {
        /// The live order: number of its Enter or last Replace.
        original: UserRef,
        /// Number of this request, the order's from now on.
        user_ref: UserRef,
        /// Total of the whole chain, shares already executed included.
        quantity: Quantity,
        /// Limit in 1/10,000.
        price: u64,
        /// Letter: 0 3 5 6.
        time_in_force: u8,
        /// Letter: Y N A.
        display: u8,
        /// Letter: Y N.
        sweep: u8,
        /// Free text, echoed.
        client_order_id: ClientOrderId,
    }
);

message!(
    /// Cancel Order Request, whole or in part.
    CancelOrder = b'X', 9 bytes, LeftOut, tags [28] {
        /// The order.
        user_ref: UserRef,
        /// Intended total of the order, executed shares included; 0 cancels all that is open.
        quantity: Quantity,
    }
);

message!(
    /// Modify Order Request: another kind of selling, or fewer shares.
    ModifyOrder = b'M', 10 bytes, LeftOut, tags [25 26 28] {
        /// The order.
        user_ref: UserRef,
        /// Letter of the new side.
        side: u8,
        /// Intended total of the order; never more than before.
        quantity: Quantity,
    }
);

message!(
    /// Mass Cancel Request.
    MassCancel = b'C', 17 bytes, Required, tags [24 27 28] {
        /// Number of this request.
        user_ref: UserRef,
        /// Whose orders.
        firm: Firm,
        /// Ticker; blank for all.
        symbol: Symbol,
    }
);

message!(
    /// Disable Order Entry Request.
    DisableEntry = b'D', 9 bytes, Required, tags [28] {
        /// Number of this request.
        user_ref: UserRef,
        /// Whose entry.
        firm: Firm,
    }
);

message!(
    /// Enable Order Entry Request.
    EnableEntry = b'E', 9 bytes, Required, tags [28] {
        /// Number of this request.
        user_ref: UserRef,
        /// Whose entry.
        firm: Firm,
    }
);

message!(
    /// Account Query Request: which user reference is free next.
    AccountQuery = b'Q', 1 bytes, LeftOut, tags [28] {}
);

super::direction!(
    /// Any message of a client.
    Inbound {
        /// `O`
        Enter(EnterOrder),
        /// `U`
        Replace(ReplaceOrder),
        /// `X`
        Cancel(CancelOrder),
        /// `M`
        Modify(ModifyOrder),
        /// `C`
        MassCancel(MassCancel),
        /// `D`
        DisableEntry(DisableEntry),
        /// `E`
        EnableEntry(EnableEntry),
        /// `Q`
        AccountQuery(AccountQuery),
    }
);

impl Inbound {
    /// The number this request uses up; cancel and modify name an order's number and query none.
    pub const fn user_ref_consumed(&self) -> Option<UserRef> {
        match self {
            Inbound::Enter(m) => Some(m.user_ref),
            Inbound::Replace(m) => Some(m.user_ref),
            Inbound::MassCancel(m) => Some(m.user_ref),
            Inbound::DisableEntry(m) => Some(m.user_ref),
            Inbound::EnableEntry(m) => Some(m.user_ref),
            Inbound::Cancel(_) | Inbound::Modify(_) | Inbound::AccountQuery(_) => None,
        }
    }
}
