//! How a value of ours stands on the wire: the bridge between the house's types and big-endian bytes.
//!
//! The message types of [`super::ouch`] and [`super::itch`] list their fields once, in the house's types; the trait
//! here gives each field its layout. All layouts have alignment 1, because the protocols align nothing.

use crate::types::{ClientOrderId, DayNanos, Firm, MatchNumber, OrderReference, Quantity, Symbol, UserRef};
use zerocopy::byteorder::big_endian::{I32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A value with a fixed layout on the wire. Every pattern of bytes is some value: judging it is left to others.
pub(crate) trait Field: Copy {
    /// The layout: big-endian, alignment 1.
    type Wire: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + Copy;
    /// To bytes.
    fn to_wire(self) -> Self::Wire;
    /// From bytes.
    fn from_wire(wire: Self::Wire) -> Self;
}

macro_rules! fields {
    ($($ty:ty as $wire:ty: $to:expr, $from:expr;)+) => { $(
        impl Field for $ty {
            type Wire = $wire;
            #[inline(always)]
            fn to_wire(self) -> $wire {
                $to(self)
            }
            #[inline(always)]
            fn from_wire(wire: $wire) -> $ty {
                $from(wire)
            }
        }
    )+ };
}

fields! {
    u8 as u8: |v| v, |w| w;
    u16 as U16: U16::new, U16::get;
    u32 as U32: U32::new, U32::get;
    u64 as U64: U64::new, U64::get;
    i32 as I32: I32::new, I32::get;
    [u8; 2] as [u8; 2]: |v| v, |w| w;
    [u8; 4] as [u8; 4]: |v| v, |w| w;
    Symbol as [u8; 8]: |v: Symbol| v.0, Symbol;
    Firm as [u8; 4]: |v: Firm| v.0, Firm;
    ClientOrderId as [u8; 14]: |v: ClientOrderId| v.0, ClientOrderId;
    UserRef as U32: |v: UserRef| U32::new(v.0), |w: U32| UserRef(w.get());
    Quantity as U32: |v: Quantity| U32::new(v.0), |w: U32| Quantity(w.get());
    OrderReference as U64: |v: OrderReference| U64::new(v.0), |w: U64| OrderReference(w.get());
    MatchNumber as U64: |v: MatchNumber| U64::new(v.0), |w: U64| MatchNumber(w.get());
    DayNanos as U64: |v: DayNanos| U64::new(v.0), |w: U64| DayNanos(w.get());
}

/// Six bytes, big-endian: the timestamp of ITCH 5.0, nanoseconds since midnight.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct U48([u8; 6]);

impl U48 {
    /// Largest value: 2^48 - 1.
    pub const MAX: u64 = (1 << 48) - 1;

    /// The low 48 bits of `value`; a time of day needs 47.
    #[inline]
    pub const fn new(value: u64) -> U48 {
        debug_assert!(value <= U48::MAX, "a time of day fits 48 bits");
        let [_, _, a, b, c, d, e, f] = value.to_be_bytes();
        U48([a, b, c, d, e, f])
    }

    /// The value.
    #[inline]
    pub const fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

impl core::fmt::Debug for U48 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.get())
    }
}

impl From<DayNanos> for U48 {
    #[inline]
    fn from(time: DayNanos) -> U48 {
        U48::new(time.0)
    }
}
