//! Bytes of a state that is kept: written field by field, little-endian, and read back by a reader that trusts none of them.
//!
//! What a snapshot holds is written by the parts that own it (books, order management, feed), and these share no other
//! folder. A layout is the sequence of calls, the same on both sides; nothing is a copy of memory. The reader never runs
//! past its bytes, never takes memory by what they say, and gives a [`Malformed`] with the place and the field where
//! something is not what it must be. Cold.

use core::fmt;
use zerocopy::{Immutable, IntoBytes, TryFromBytes};

/// Bytes that are not the state they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// Bytes read before it showed.
    pub at: usize,
    /// What is not as it must be.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} is not as it must be", self.what, self.at)
    }
}

impl core::error::Error for Malformed {}

macro_rules! numbers {
    ($($kind:ident),+) => {
        impl Writer {
            $(
                #[doc = concat!("A `", stringify!($kind), "`.")]
                #[inline]
                pub fn $kind(&mut self, value: $kind) {
                    self.0.extend_from_slice(&value.to_le_bytes());
                }
            )+
        }

        impl Reader<'_> {
            $(
                #[doc = concat!("A `", stringify!($kind), "`.")]
                /// # Errors
                /// [`Malformed`]: the bytes end.
                #[inline]
                pub fn $kind(&mut self, what: &'static str) -> Result<$kind, Malformed> {
                    let Some((bytes, rest)) = self.rest.split_first_chunk() else { return Err(self.malformed(what)) };
                    self.rest = rest;
                    Ok($kind::from_le_bytes(*bytes))
                }
            )+
        }
    };
}

/// Takes a state down.
#[derive(Clone, Default, Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Nothing yet; `expected` bytes will probably come.
    pub fn new(expected: usize) -> Writer {
        Writer(Vec::with_capacity(expected))
    }

    /// Bytes as they are. Only for values whose bytes have no order: names, letters.
    #[inline]
    pub fn bytes(&mut self, value: &(impl IntoBytes + Immutable + ?Sized)) {
        self.0.extend_from_slice(value.as_bytes());
    }

    /// All that was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a state back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    all: usize,
}

impl<'a> Reader<'a> {
    /// From the beginning.
    pub const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, all: bytes.len() }
    }

    /// A value whose bytes have no order, if they are one of its kind: a name, a letter.
    /// # Errors
    /// [`Malformed`]: the bytes end, or mean nothing.
    #[inline]
    pub fn value<T: TryFromBytes>(&mut self, what: &'static str) -> Result<T, Malformed> {
        let Ok((value, rest)) = T::try_read_from_prefix(self.rest) else { return Err(self.malformed(what)) };
        self.rest = rest;
        Ok(value)
    }

    /// A yes or no.
    /// # Errors
    /// [`Malformed`]: neither.
    pub fn flag(&mut self, what: &'static str) -> Result<bool, Malformed> {
        self.value::<bool>(what)
    }

    /// Refuses what comes next unless `holds`.
    /// # Errors
    /// [`Malformed`], unless it holds.
    #[inline]
    pub fn check(&self, holds: bool, what: &'static str) -> Result<(), Malformed> {
        if holds { Ok(()) } else { Err(self.malformed(what)) }
    }

    /// The word that this is wrong here.
    #[cold]
    pub fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { at: self.all - self.rest.len(), what }
    }

    /// That all has been read.
    /// # Errors
    /// [`Malformed`]: something is left.
    pub fn finish(self) -> Result<(), Malformed> {
        self.check(self.rest.is_empty(), "the end")
    }
}

numbers!(u8, u16, u32, u64, i32, i64, i128);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Display;

    #[test]
    fn what_is_written_comes_back_and_nothing_more() {
        let mut writer = Writer::new(0);
        writer.u16(7);
        writer.i128(-5);
        writer.bytes(&Display::Hidden);
        let bytes = writer.into_bytes();
        assert_eq!(bytes[..2], [7, 0], "the low byte first");
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.u16("a"), reader.i128("b")), (Ok(7), Ok(-5)));
        assert_eq!(reader.value::<Display>("c"), Ok(Display::Hidden));
        assert_eq!(reader.u8("d"), Err(Malformed { at: bytes.len(), what: "d" }));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_letter_that_means_nothing_is_refused() {
        assert_eq!(Reader::new(b"?").value::<Display>("display"), Err(Malformed { at: 0, what: "display" }));
        assert_eq!(Reader::new(&[2]).flag("flag"), Err(Malformed { at: 0, what: "flag" }));
    }
}
