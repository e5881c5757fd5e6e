//! TotalView-ITCH 5.0: the public feed, order by order. Every message type as a layout.
//!
//! Messages are read in place: [`parse`] gives a reference into the datagram, a writer fills a struct and sends its
//! bytes. Fields hold big-endian integers (`get()`, `into()`) and ASCII as sent. Which event makes which message is
//! the business of the feed; what a sequence of messages means is that of the book builder. Hot on both sides.
//!
//! Source: TotalView-ITCH 5.0, message formats; sizes as of the revision of 28 April 2023.

use super::U48;
use crate::types::DayNanos;
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Longest message.
pub const MESSAGE_MAX: usize = size_of::<NetOrderImbalance>();

/// What every message starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Head {
    /// Message type.
    pub kind: u8,
    /// Today's index of the instrument; 0 when the message is about none.
    pub locate: U16,
    /// The venue's own; receivers ignore it.
    pub tracking: U16,
    /// When, in nanoseconds since midnight.
    pub time: U48,
}
const _: () = assert!(size_of::<Head>() == 11);

/// Why bytes are not an ITCH message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItchError {
    /// No bytes at all.
    Empty,
    /// A type of no message here.
    UnknownType(u8),
    /// Each type has one size, and this is another.
    WrongLength {
        /// Message type.
        kind: u8,
        /// Bytes given.
        length: usize,
    },
}

impl core::fmt::Display for ItchError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ItchError::Empty => f.write_str("empty message"),
            ItchError::UnknownType(kind) => write!(f, "unknown message type {:?}", *kind as char),
            ItchError::WrongLength { kind, length } => {
                write!(f, "message type {:?} cannot have length {length}", *kind as char)
            }
        }
    }
}

impl std::error::Error for ItchError {}

macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        $name:ident = $kind:literal, $bytes:literal bytes {
            $($(#[$field_doc:meta])* $field:ident: $ty:ty,)*
        }
    )+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
            #[repr(C)]
            pub struct $name {
                /// Type, instrument and time.
                pub head: Head,
                $($(#[$field_doc])* pub $field: $ty,)*
            }
            const _: () = assert!(size_of::<$name>() == $bytes);

            impl $name {
                /// Message type.
                pub const KIND: u8 = $kind;

                /// The head of such a message.
                #[inline]
                pub fn head(locate: u16, time: DayNanos) -> Head {
                    Head { kind: $kind, locate: U16::new(locate), tracking: U16::ZERO, time: time.into() }
                }
            }
        )+

        /// Any message, in place.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Message<'a> {
            $($(#[$doc])* $name(&'a $name),)+
        }

        /// Reads one whole message in place. Cost: a jump and a length check; hot.
        /// # Errors
        /// See [`ItchError`]. Letters and numbers are not judged.
        #[inline]
        pub fn parse(bytes: &[u8]) -> Result<Message<'_>, ItchError> {
            let kind = *bytes.first().ok_or(ItchError::Empty)?;
            let wrong_length = ItchError::WrongLength { kind, length: bytes.len() };
            match kind {
                $($kind => $name::ref_from_bytes(bytes).map(Message::$name).map_err(|_| wrong_length),)+
                _ => Err(ItchError::UnknownType(kind)),
            }
        }

        /// Size of the messages of a type; `None` for a type of no message here.
        pub const fn message_bytes(kind: u8) -> Option<usize> {
            match kind {
                $($kind => Some($bytes),)+
                _ => None,
            }
        }

        impl<'a> Message<'a> {
            /// Type, instrument and time.
            #[inline]
            pub fn head(&self) -> &'a Head {
                match self { $(Message::$name(message) => &message.head,)+ }
            }

            /// The message as sent.
            #[inline]
            pub fn as_bytes(&self) -> &'a [u8] {
                match self { $(Message::$name(message) => message.as_bytes(),)+ }
            }
        }
    };
}

messages! {
    /// System Event.
    SystemEvent = b'S', 12 bytes {
        /// Letter: O S Q M E C, from the start of messages to their end.
        event: u8,
    }

    /// Stock Directory: one instrument of the day.
    StockDirectory = b'R', 39 bytes {
        /// Ticker.
        stock: [u8; 8],
        /// Letter of the listing market.
        market_category: u8,
        /// Letter; N is normal.
        financial_status: u8,
        /// Shares of a round lot.
        round_lot: U32,
        /// Y when only round lots trade.
        round_lots_only: u8,
        /// Letter; C is common stock.
        classification: u8,
        /// Two letters; Z when not applicable.
        sub_type: [u8; 2],
        /// P production, T test.
        authenticity: u8,
        /// Y N space.
        short_sale_threshold: u8,
        /// Y N Z space.
        ipo: u8,
        /// 1 2 space.
        luld_tier: u8,
        /// Y N space.
        etp: u8,
        /// Leverage of an exchange-traded product.
        etp_leverage: U32,
        /// Y N.
        inverse: u8,
    }

    /// Stock Trading Action: the state of trading.
    TradingAction = b'H', 25 bytes {
        /// Ticker.
        stock: [u8; 8],
        /// Letter of a [`crate::types::TradingState`].
        state: u8,
        /// Space.
        reserved: u8,
        /// Code of the reason, or blank.
        reason: [u8; 4],
    }

    /// Reg SHO Short Sale Price Test Restricted Indicator.
    ShortSaleRestriction = b'Y', 20 bytes {
        /// Ticker.
        stock: [u8; 8],
        /// 0 none, 1 in effect since a drop today, 2 still in effect.
        action: u8,
    }

    /// Market Participant Position.
    ParticipantPosition = b'L', 26 bytes {
        /// Market maker.
        firm: [u8; 4],
        /// Ticker.
        stock: [u8; 8],
        /// Y N.
        primary: u8,
        /// N P S R L.
        mode: u8,
        /// A E W S D.
        state: u8,
    }

    /// Market-wide circuit breaker: decline levels of the day, eight implied decimals.
    DeclineLevels = b'V', 35 bytes {
        /// Level 1.
        level_1: U64,
        /// Level 2.
        level_2: U64,
        /// Level 3.
        level_3: U64,
    }

    /// Market-wide circuit breaker: a level was breached.
    DeclineStatus = b'W', 12 bytes {
        /// 1 2 3.
        level: u8,
    }

    /// IPO Quoting Period Update.
    IpoQuoting = b'K', 28 bytes {
        /// Ticker.
        stock: [u8; 8],
        /// Seconds since midnight; 0 if cancelled.
        release_time: U32,
        /// A anticipated, C cancelled.
        qualifier: u8,
        /// Price in 1/10,000.
        price: U32,
    }

    /// Limit Up-Limit Down Auction Collar.
    AuctionCollar = b'J', 35 bytes {
        /// Ticker.
        stock: [u8; 8],
        /// Reference price in 1/10,000.
        reference_price: U32,
        /// Upper bound.
        upper_price: U32,
        /// Lower bound.
        lower_price: U32,
        /// Number of extensions.
        extension: U32,
    }

    /// Operational Halt of one venue.
    OperationalHalt = b'h', 21 bytes {
        /// Ticker.
        stock: [u8; 8],
        /// Q B X.
        market: u8,
        /// H halted, T lifted.
        action: u8,
    }

    /// Add Order, without its firm.
    AddOrder = b'A', 36 bytes {
        /// The order.
        reference: U64,
        /// B S.
        side: u8,
        /// Displayed shares.
        shares: U32,
        /// Ticker.
        stock: [u8; 8],
        /// Price in 1/10,000.
        price: U32,
    }

    /// Add Order with its firm.
    AddOrderAttributed = b'F', 40 bytes {
        /// The order.
        reference: U64,
        /// B S.
        side: u8,
        /// Displayed shares.
        shares: U32,
        /// Ticker.
        stock: [u8; 8],
        /// Price in 1/10,000.
        price: U32,
        /// Firm.
        firm: [u8; 4],
    }

    /// Order Executed at its displayed price.
    OrderExecuted = b'E', 31 bytes {
        /// The order that rested.
        reference: U64,
        /// Shares traded now.
        shares: U32,
        /// The execution.
        match_number: U64,
    }

    /// Order Executed With Price: at another price than displayed.
    OrderExecutedWithPrice = b'C', 36 bytes {
        /// The order that rested.
        reference: U64,
        /// Shares traded now.
        shares: U32,
        /// The execution.
        match_number: U64,
        /// N when the volume comes again in a cross.
        printable: u8,
        /// Price in 1/10,000.
        price: U32,
    }

    /// Order Cancel: shares taken off, the rest stays.
    OrderCancel = b'X', 23 bytes {
        /// The order.
        reference: U64,
        /// Shares taken off now.
        shares: U32,
    }

    /// Order Delete: the order leaves.
    OrderDelete = b'D', 19 bytes {
        /// The order.
        reference: U64,
    }

    /// Order Replace: side, ticker and firm stay, priority does not.
    OrderReplace = b'U', 35 bytes {
        /// The order's number before.
        original: U64,
        /// Its number now.
        reference: U64,
        /// Displayed shares now.
        shares: U32,
        /// Price in 1/10,000.
        price: U32,
    }

    /// Trade against an order that was not displayed.
    Trade = b'P', 44 bytes {
        /// 0.
        reference: U64,
        /// B.
        side: u8,
        /// Shares traded.
        shares: U32,
        /// Ticker.
        stock: [u8; 8],
        /// Price in 1/10,000.
        price: U32,
        /// The execution.
        match_number: U64,
    }

    /// Cross Trade: the volume of an auction.
    CrossTrade = b'Q', 40 bytes {
        /// Shares, 64 bits wide.
        shares: U64,
        /// Ticker.
        stock: [u8; 8],
        /// Price in 1/10,000.
        price: U32,
        /// The execution.
        match_number: U64,
        /// O C H A.
        cross: u8,
    }

    /// Broken Trade: an execution is void; the book does not change.
    BrokenTrade = b'B', 19 bytes {
        /// The execution.
        match_number: U64,
    }

    /// Net Order Imbalance Indicator.
    NetOrderImbalance = b'I', 50 bytes {
        /// Shares that would trade.
        paired: U64,
        /// Shares that would be left.
        imbalance: U64,
        /// B S N O P.
        direction: u8,
        /// Ticker.
        stock: [u8; 8],
        /// Price at which auction orders alone would clear.
        far_price: U32,
        /// Price at which all orders would clear.
        near_price: U32,
        /// Price for which the rest is calculated.
        reference_price: U32,
        /// O C H A.
        cross: u8,
        /// Letter of the distance between near price and reference.
        variation: u8,
    }

    /// Retail Price Improvement Indicator.
    RetailInterest = b'N', 20 bytes {
        /// Ticker.
        stock: [u8; 8],
        /// B S A N.
        interest: u8,
    }

    /// Direct Listing with Capital Raise Price Discovery.
    DirectListing = b'O', 48 bytes {
        /// Ticker.
        stock: [u8; 8],
        /// Y N.
        open_eligible: u8,
        /// Price in 1/10,000.
        price_min: U32,
        /// Price in 1/10,000.
        price_max: U32,
        /// Price in 1/10,000.
        near_price: U32,
        /// Nanoseconds since midnight.
        near_time: U64,
        /// Lower bound of the price range.
        lower_price: U32,
        /// Upper bound of the price range.
        upper_price: U32,
    }
}
