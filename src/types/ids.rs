//! Identifiers. Each is an index or a number of one thing only; conversions are explicit.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug,
            FromBytes, IntoBytes, Immutable, KnownLayout,
        )]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The value as an index into a table.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id!(
    /// A ticker of the partition, an index into [`super::Market::tickers`]. Its ITCH stock locate is one more.
    TickerId(u16)
);
id!(
    /// An account, an index into [`super::Market::accounts`]. Positions, cash and limits belong to it.
    AccountId(u16)
);
id!(
    /// A login (OUCH port), an index into [`super::Market::sessions`]. It trades for exactly one account.
    SessionId(u16)
);
id!(
    /// A matching shard; it owns the books of its tickers.
    MatcherId(u16)
);
id!(
    /// Position of a record in the journal: 1 for the first, dense. 0 means "before the first".
    Number(u64)
);
id!(
    /// One order's place in the OMS table and in its matcher's arena: the same index serves both.
    Slot(u32)
);
id!(
    /// The client's number for a request (OUCH `UserRefNum`): day-unique and rising per session and channel.
    UserRef(u32)
);
id!(
    /// The venue's number for an order, shown on OUCH and ITCH; a replace gives a new one.
    /// Shape: `count << 16 | locate`, counted for each ticker, so that it does not depend on how tickers are sharded.
    OrderReference(u64)
);
id!(
    /// The venue's number for one execution, the same on both sides' reports and on the feed. Shape as [`OrderReference`].
    MatchNumber(u64)
);

impl TickerId {
    /// Marks a symbol that the market does not list.
    pub const UNKNOWN: TickerId = TickerId(u16::MAX);
    /// Stands for "every ticker" in a mass cancel or a halt.
    pub const ALL: TickerId = TickerId(u16::MAX - 1);

    /// ITCH stock locate: the index plus one, because locate 0 means "no stock".
    #[inline]
    pub const fn locate(self) -> u16 {
        self.0 + 1
    }
}

impl SessionId {
    /// Origin of records that no client sent: the venue itself or an operator.
    pub const VENUE: SessionId = SessionId(u16::MAX);
}

impl AccountId {
    /// No account: records that no client sent.
    pub const NONE: AccountId = AccountId(u16::MAX);
}

impl Slot {
    /// No order.
    pub const NONE: Slot = Slot(u32::MAX);
}

impl Number {
    /// The next record's number.
    #[inline]
    pub const fn next(self) -> Number {
        Number(self.0 + 1)
    }
}

/// Order-flow channel inside a session (OUCH tag 28, `UserRefIdx`): absent, or 0 to 255.
/// An absent channel counts user references together with channel 0 but is not echoed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Channel(u16);

impl Channel {
    /// The tag was not sent.
    pub const NONE: Channel = Channel(u16::MAX);

    /// The channel a client named.
    #[inline]
    pub const fn named(value: u8) -> Channel {
        Channel(value as u16)
    }

    /// The value to echo, if the client sent one.
    #[inline]
    pub const fn echo(self) -> Option<u8> {
        if self.0 <= 255 { Some(self.0 as u8) } else { None }
    }

    /// As a number that [`Channel::from_bits`] takes back.
    #[inline]
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// Back from [`Channel::to_bits`]; `None` for a number that is no channel's.
    pub const fn from_bits(bits: u16) -> Option<Channel> {
        if bits <= 255 || bits == Channel::NONE.0 { Some(Channel(bits)) } else { None }
    }

    /// Which counter of user references this channel uses: 0 when absent.
    #[inline]
    pub const fn counter(self) -> u8 {
        if self.0 <= 255 { self.0 as u8 } else { 0 }
    }
}

impl Default for Channel {
    fn default() -> Self {
        Channel::NONE
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident($bytes:literal)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
        )]
        #[repr(transparent)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Nothing but padding.
            pub const BLANK: $name = $name([b' '; $bytes]);

            /// From text, padded on the right with spaces; `None` when it is too long or not printable ASCII.
            pub fn from_text(text: &str) -> Option<$name> {
                let fits = text.len() <= $bytes && text.bytes().all(|b| (0x20..0x7f).contains(&b));
                fits.then(|| {
                    let mut bytes = [b' '; $bytes];
                    bytes[..text.len()].copy_from_slice(text.as_bytes());
                    $name(bytes)
                })
            }

            /// The text without its padding; bytes outside ASCII, which only a client's free text can hold, read as "?".
            pub fn text(&self) -> String {
                let shown: String =
                    self.0.iter().map(|&b| if (0x20..0x7f).contains(&b) { b as char } else { '?' }).collect();
                shown.trim_end().to_owned()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::BLANK
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{:?}", self.text())
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(&self.text())
            }
        }
    };
}

text!(
    /// A ticker's name on the wire: eight ASCII bytes, padded right.
    Symbol(8)
);
text!(
    /// A firm's four-letter code (MPID).
    Firm(4)
);
text!(
    /// The client's free text, echoed and never checked. In records of the venue: the author.
    ClientOrderId(14)
);
