//! Refusals and reasons, as small values with their code on the wire (OUCH 5.0, reject and cancel reasons).

use super::order::letters;

macro_rules! rejects {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $text:literal;)+) => {
        /// Why a request is refused. `None` (0) stands in a record that was accepted.
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default,
            zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
        )]
        #[repr(u16)]
        pub enum Reject {
            /// Not refused.
            #[default]
            None = 0,
            $($(#[$doc])* $variant = $code),+
        }

        impl Reject {
            /// Every refusal, in the order of its code.
            pub const ALL: &[Reject] = &[$(Reject::$variant),+];

            /// Code of an OUCH `J` message. Several causes of ours can share a code of the protocol; see [`Reject::wire`].
            pub const fn code(self) -> u16 {
                self as u16
            }

            /// What people read.
            pub const fn text(self) -> &'static str {
                match self { Reject::None => "accepted", $(Reject::$variant => $text),+ }
            }
        }
    };
}

rejects! {
    /// Display letter unknown or not served.
    InvalidDisplay = 0x0003, "invalid display";
    /// The floor is off the lot, above the quantity or below a thousandth of it, or on an order that shows no part.
    InvalidMaxFloor = 0x0004, "invalid max floor";
    /// Pegged orders are not served.
    InvalidPegType = 0x0005, "invalid peg type";
    /// The ticker is halted or closed.
    Halted = 0x0007, "halted";
    /// Side letter unknown.
    InvalidSide = 0x0009, "invalid side";
    /// The firm of the request is not the session's.
    FirmNotAuthorized = 0x000C, "firm not authorized";
    /// Minimum quantity above the quantity, or on an order that cannot keep it.
    InvalidMinQuantity = 0x000D, "invalid minimum quantity";
    /// Malformed or not allowed in a way that has no code of its own.
    Other = 0x000F, "other";
    /// Zero, above 999,999, or not a multiple of the lot.
    InvalidQuantity = 0x0013, "invalid quantity";
    /// Cross orders are not served.
    InvalidCross = 0x0014, "invalid cross order";
    /// Ticker not listed here.
    InvalidSymbol = 0x0017, "invalid symbol";
    /// Zero, above the limit, off the tick, or outside the ticker's range.
    InvalidPrice = 0x001D, "invalid price";
    /// Open orders and positions would exceed the gross exposure allowed.
    GrossExposure = 0x0020, "risk: aggregate exposure";
    /// Price too far from the reference price.
    PriceCollar = 0x0026, "risk: fat finger (price collar)";
    /// More messages in a second than allowed.
    MessageRate = 0x0029, "risk: message rate";
    /// Value of the order above the limit.
    OrderNotional = 0x0030, "risk: single order notional";
    /// Quantity of the order above the limit.
    OrderQuantity = 0x0031, "risk: maximum quantity";
    /// Self-match strategy unknown or not served.
    InvalidSelfMatch = 0x0040, "invalid self-match strategy";
    /// Entry disabled for the session, by its own request or by an operator.
    SessionDisabled = 0x0101, "session disabled";
    /// The account is disabled by an operator.
    AccountDisabled = 0x0102, "account disabled";
    /// The kill switch is on for the account, its firm or the venue.
    KillSwitch = 0x0103, "kill switch on";
    /// The account has as many open orders as it may have.
    OpenOrders = 0x0104, "too many open orders";
    /// The position could exceed its limit if every open order filled.
    PositionLimit = 0x0105, "position limit";
    /// Cash and credit do not cover the order.
    BuyingPower = 0x0106, "buying power";
    /// The book or the order table is full.
    BookFull = 0x0107, "book full";
    /// A time in force that is not served, or an expiry that does not go with it.
    TimeInForce = 0x0108, "time in force not served";
    /// The replaced chain may not exceed the protocol's quantity.
    ReplaceNotAllowed = 0x0015, "replace not allowed";
    /// A tag that is unknown, not allowed here, of the wrong size or sent twice.
    InvalidTag = 0x0109, "invalid option";
    /// Post-only on an order that takes by its nature, or an action of one that is not post-only.
    InvalidPostOnly = 0x0110, "invalid post-only";
    /// A stop price off the tick or outside the ticker's range.
    InvalidStop = 0x0111, "invalid stop price";
    /// Retail, routing or other handling that is not served.
    NotServed = 0x010A, "not served";
    /// The ticker is closed.
    Closed = 0x0120, "closed";
    /// An immediate order while nothing trades.
    ImmediateInAuction = 0x0121, "immediate order in an auction";
    /// A market order that is not for a cross while nothing trades.
    MarketInAuction = 0x0122, "market order in an auction";
    /// An order for the opening cross when none builds up.
    NoOpening = 0x0123, "no opening cross builds up";
    /// An order for the closing cross when none can come.
    NoClosing = 0x0124, "no closing cross builds up";
    /// The ticker takes no orders for crosses.
    CrossNotServed = 0x0125, "cross orders not served in this ticker";
    /// A market order or one without a cross as imbalance-only.
    InvalidImbalanceOnly = 0x0126, "invalid imbalance-only order";
    /// Nothing was traded under this match number that could be broken.
    UnknownTrade = 0x0127, "no such trade";
    /// The trade was broken already.
    AlreadyBroken = 0x0128, "already broken";
    /// The operator stopped the ticker; the calendar does not start it.
    StoppedByOperator = 0x0129, "stopped by the operator";
    /// Log or disk are nearly full: no new orders.
    JournalFull = 0x0130, "no new orders: journal nearly full";
    /// The disk is too far behind the log: no new orders.
    DiskBehind = 0x0131, "no new orders: disk behind";
}

impl Reject {
    /// The code on the wire. Causes without a code in the protocol (0x0100 and above) are sent as the nearest
    /// one; the journal, the counters and the reports of people keep the exact cause.
    pub const fn wire(self) -> u16 {
        match self {
            Reject::SessionDisabled | Reject::AccountDisabled | Reject::KillSwitch => Reject::FirmNotAuthorized.code(),
            Reject::OpenOrders | Reject::PositionLimit | Reject::BuyingPower => Reject::GrossExposure.code(),
            Reject::BookFull | Reject::JournalFull | Reject::DiskBehind => 0x000A,
            Reject::Closed => 0x0002,
            Reject::ImmediateInAuction | Reject::UnknownTrade | Reject::AlreadyBroken | Reject::StoppedByOperator => {
                Reject::Other.code()
            }
            Reject::MarketInAuction => 0x002C,
            Reject::NoOpening | Reject::NoClosing | Reject::CrossNotServed | Reject::InvalidImbalanceOnly => {
                Reject::InvalidCross.code()
            }
            Reject::TimeInForce | Reject::InvalidTag | Reject::NotServed | Reject::InvalidPostOnly => {
                Reject::Other.code()
            }
            Reject::InvalidStop => Reject::InvalidPrice.code(),
            other => other.code(),
        }
    }
}

letters!(
    /// Why shares left an order (OUCH 5.0, cancel reasons).
    CancelReason {
        /// An order for the closing cross whose cross did not come: the ticker closed from a halt.
        Closed = b'E',
        /// An order for the opening cross whose cross did not come: the ticker was halted instead.
        OpeningHalted = b'H',
        /// A post-only order would have traded.
        PostOnly = b'G',
        /// Remainder of an immediate order.
        ImmediateRemainder = b'I',
        /// A market order reached the collar.
        Collar = b'K',
        /// Self-match prevention.
        SelfMatch = b'Q',
        /// Operator or kill switch.
        Supervisory = b'S',
        /// Expired.
        Expired = b'T',
        /// The client asked.
        User = b'U',
        /// The venue itself: lost session, full book.
        System = b'Z',
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_code_of_the_protocol() {
        for reject in Reject::ALL {
            assert!((0x0001..=0x0040).contains(&reject.wire()), "{reject:?} goes out as {:#06x}", reject.wire());
        }
    }
}
