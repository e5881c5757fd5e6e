//! OUCH 5.0, order entry: every message of both directions, with its optional fields.
//!
//! Readers refuse only what breaks the framing: an unknown type, a wrong length, an appendage that does not add up.
//! A letter that means nothing, a symbol that is not listed, a price out of range all come through as they are,
//! because the protocol has an answer for each; so does a bad option tag, flagged in [`Tags::fault`]. Messages are
//! `Copy` structs in the house's types; the byte layout of each stands beside it, checked in size by the compiler.
//! A message without options costs one fixed-size copy either way. Hot, called from gateway and client threads.
//!
//! - [`inbound`]: client to venue. - [`outbound`]: venue to client. - [`tags`]: the appendage.
//!
//! Source: OUCH 5.0, revision 1.04, and the two option tags that 1.05 adds.

pub mod inbound;
pub mod outbound;
pub mod tags;

pub use inbound::Inbound;
pub use outbound::Outbound;
pub use tags::{TagFault, Tags};

use crate::types::Price;

/// No message that we write, either way, is longer; a longer one that we read repeats tags or makes them up.
pub const MESSAGE_MAX: usize = 176;

/// From here on a wire price means a market order (OUCH 5.0, data types).
pub const MARKET_PRICE_MIN: u64 = 2_000_000_000;

/// Why bytes are not an OUCH message. The stream cannot be trusted any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OuchError {
    /// No bytes at all.
    Empty,
    /// A message type that the other side never sends.
    UnknownType(u8),
    /// Shorter than the type's fixed part, or bytes after its end.
    WrongLength {
        /// Message type.
        kind: u8,
        /// Bytes given.
        length: usize,
    },
    /// The appendage's length and those of its elements do not add up.
    Appendage {
        /// Message type.
        kind: u8,
    },
}

impl core::fmt::Display for OuchError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            OuchError::Empty => f.write_str("empty message"),
            OuchError::UnknownType(kind) => write!(f, "unknown message type {:?}", *kind as char),
            OuchError::WrongLength { kind, length } => {
                write!(f, "message type {:?} cannot have length {length}", *kind as char)
            }
            OuchError::Appendage { kind } => write!(f, "appendage of message type {:?} does not add up", *kind as char),
        }
    }
}

impl std::error::Error for OuchError {}

/// A wire price as the engine keeps it: market orders become [`Price::MARKET`]. `None` between the highest limit
/// price and the lowest market price, where the protocol knows no price. 0 passes; the checks of an order refuse it.
#[inline]
pub const fn price_from_wire(wire: u64) -> Option<Price> {
    if wire >= MARKET_PRICE_MIN {
        Some(Price::MARKET)
    } else if wire <= Price::LIMIT_MAX.0 as u64 {
        Some(Price(wire as u32))
    } else {
        None
    }
}

/// A price as it goes out.
#[inline]
pub const fn price_to_wire(price: Price) -> u64 {
    price.0 as u64
}

/// Whether the appendage may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Always there.
    Required,
    /// Always written; taken without when reading (one message, which others send short).
    Written,
    /// Left out when empty; taken either way.
    LeftOut,
    /// Never there.
    Absent,
}

/// Defines a message: the struct people use, its layout without the appendage, `parse` and `encode`.
macro_rules! message {
    (
        $(#[$doc:meta])*
        $name:ident = $kind:literal, $bytes:literal bytes, $form:ident, tags [$($tag:literal)*] {
            $($(#[$field_doc:meta])* $field:ident: $ty:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
            /// Options.
            pub tags: Tags,
        }

        const _: () = {
            #[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
            #[repr(C)]
            struct Layout {
                kind: u8,
                $($field: <$ty as Field>::Wire,)*
            }
            const _: () = assert!(size_of::<Layout>() == $bytes);
            const _: () = assert!($name::BYTES_MAX <= crate::wire::ouch::MESSAGE_MAX);

            impl $name {
                /// Message type.
                pub const KIND: u8 = $kind;
                /// Size without the appendage and its length field.
                pub const FIXED_BYTES: usize = $bytes;
                /// Bit n set: tag n may stand here.
                pub const TAGS_ALLOWED: u32 = 0 $(| 1 << $tag)*;
                /// Size with every option there is room for.
                pub const BYTES_MAX: usize = $bytes + crate::wire::ouch::tags::appendage_bytes(Self::TAGS_ALLOWED);

                /// Reads one whole message.
                /// # Errors
                /// Framing only; see [`OuchError`].
                #[inline]
                pub fn parse(bytes: &[u8]) -> Result<$name, OuchError> {
                    let length = OuchError::WrongLength { kind: $kind, length: bytes.len() };
                    let (fixed, rest) = bytes.split_first_chunk::<$bytes>().ok_or(length)?;
                    if fixed[0] != $kind {
                        return Err(OuchError::UnknownType(fixed[0]));
                    }
                    let Layout { kind: _, $($field),* } = zerocopy::transmute!(*fixed);
                    let message = |tags| $name { $($field: <$ty as Field>::from_wire($field),)* tags };
                    // A way out of its own: filling the result directly, and not through a copy that the general
                    // way below also uses, halves the time of a message without options.
                    if Tags::are_none(rest, Form::$form) {
                        return Ok(message(Tags::NONE));
                    }
                    let appendage_possible = rest.len() >= 2 && Self::TAGS_ALLOWED != 0;
                    let cause = if appendage_possible { OuchError::Appendage { kind: $kind } } else { length };
                    let tags = Tags::read(rest, Self::TAGS_ALLOWED, Form::$form).ok_or(cause)?;
                    Ok(message(tags))
                }

                /// Writes the message to the front of `out`; gives its length. Options that this message cannot
                /// carry are left out.
                /// # Panics
                /// `out` is too short; `BYTES_MAX` always suffices.
                #[inline]
                pub fn encode(&self, out: &mut [u8]) -> usize {
                    let (fixed, rest) = out.split_first_chunk_mut::<$bytes>().expect("room for the message");
                    *fixed = zerocopy::transmute!(Layout { kind: $kind, $($field: self.$field.to_wire(),)* });
                    $bytes + self.tags.write(rest, Self::TAGS_ALLOWED, Form::$form)
                }
            }
        };
    };
}
use message;

/// Defines the messages of one direction as one enum.
macro_rules! direction {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident($message:ident),)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one size on every queue; boxing would allocate")]
        pub enum $name {
            $($(#[$variant_doc])* $variant($message),)+
        }

        impl $name {
            /// Reads one whole message.
            /// # Errors
            /// Framing only; see [`OuchError`].
            #[inline]
            pub fn parse(bytes: &[u8]) -> Result<$name, OuchError> {
                match bytes.first() {
                    $(Some(&$message::KIND) => $message::parse(bytes).map($name::$variant),)+
                    Some(&kind) => Err(OuchError::UnknownType(kind)),
                    None => Err(OuchError::Empty),
                }
            }

            /// Writes the message to the front of `out`; gives its length.
            /// # Panics
            /// `out` is too short; [`super::MESSAGE_MAX`] always suffices.
            #[inline]
            pub fn encode(&self, out: &mut [u8]) -> usize {
                match self {
                    $($name::$variant(message) => message.encode(out),)+
                }
            }

            /// Message type.
            pub const fn kind(&self) -> u8 {
                match self {
                    $($name::$variant(_) => $message::KIND,)+
                }
            }

            /// Options of the message.
            pub const fn tags(&self) -> &Tags {
                match self {
                    $($name::$variant(message) => &message.tags,)+
                }
            }
        }

        $(
            impl From<$message> for $name {
                fn from(message: $message) -> $name {
                    $name::$variant(message)
                }
            }
        )+
    };
}
use direction;
