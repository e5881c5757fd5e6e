//! OUCH 5.0 a second time, as the document's tables, to build messages without the code under test.

use proptest::prelude::*;

/// Whether the appendage may be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appendage {
    /// Never there.
    None,
    /// Always there.
    Required,
    /// We write it always and read it either way.
    Written,
    /// Left out when empty.
    LeftOut,
}

/// One message type: letter, size without the appendage's length, class, tags.
pub struct Row(pub u8, pub usize, pub Appendage, pub &'static [u8]);

/// Client to venue.
pub const INBOUND: &[Row] = &[
    Row(
        b'O',
        45,
        Appendage::Required,
        &[2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 24, 25, 26, 28, 29, 30, 128, 129, 130],
    ),
    Row(
        b'U',
        38,
        Appendage::Required,
        &[3, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 25, 26, 27, 28, 29, 30, 128, 129, 130],
    ),
    Row(b'X', 9, Appendage::LeftOut, &[28]),
    Row(b'M', 10, Appendage::LeftOut, &[25, 26, 28]),
    Row(b'C', 17, Appendage::Required, &[24, 27, 28]),
    Row(b'D', 9, Appendage::Required, &[28]),
    Row(b'E', 9, Appendage::Required, &[28]),
    Row(b'Q', 1, Appendage::LeftOut, &[28]),
];

/// Venue to client.
pub const OUTBOUND: &[Row] = &[
    Row(b'S', 10, Appendage::None, &[]),
    Row(
        b'A',
        62,
        Appendage::Required,
        &[2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 25, 28, 29, 30, 128, 129, 130],
    ),
    Row(b'U', 66, Appendage::Required, &[2, 3, 5, 6, 12, 15, 16, 17, 18, 28, 29, 30, 128, 129, 130]),
    Row(b'C', 18, Appendage::LeftOut, &[28]),
    Row(b'D', 32, Appendage::LeftOut, &[28]),
    Row(b'E', 34, Appendage::Written, &[28]),
    Row(b'B', 36, Appendage::LeftOut, &[28]),
    Row(b'J', 29, Appendage::LeftOut, &[28]),
    Row(b'P', 13, Appendage::LeftOut, &[28]),
    Row(b'I', 13, Appendage::LeftOut, &[28]),
    Row(b'T', 30, Appendage::LeftOut, &[28]),
    Row(b'M', 18, Appendage::LeftOut, &[25, 26, 28]),
    Row(b'R', 14, Appendage::Required, &[1, 22, 23, 28]),
    Row(b'X', 25, Appendage::Required, &[24, 27, 28]),
    Row(b'G', 17, Appendage::Required, &[28]),
    Row(b'K', 17, Appendage::Required, &[28]),
    Row(b'Q', 13, Appendage::LeftOut, &[28]),
];

/// Bytes of a tag's value; 0 for no tag. Those above 127 are the house's own.
pub fn value_bytes(tag: u8) -> usize {
    match tag {
        1 | 9 | 23 | 128 => 8,
        2 | 3 | 5 | 7 | 11 | 13 | 14 | 15 | 22 | 26 => 4,
        24 | 30 => 2,
        4 | 6 | 10 | 12 | 16 | 17 | 18 | 25 | 27 | 28 | 29 | 129 | 130 => 1,
        _ => 0,
    }
}

/// Any message of a table as we write it: random fields, a random choice of its tags in rising order.
pub fn message(table: &'static [Row]) -> impl Strategy<Value = Vec<u8>> {
    (0..table.len(), any::<u32>(), proptest::collection::vec(any::<u8>(), 256)).prop_map(|(row, chosen, noise)| {
        let Row(kind, fixed, class, tags) = &table[row];
        let mut noise = noise.into_iter();
        let mut bytes = vec![*kind];
        bytes.extend(noise.by_ref().take(fixed - 1));
        let mut elements = Vec::new();
        for (_, &tag) in tags.iter().enumerate().filter(|(bit, _)| chosen & (1 << bit) != 0) {
            elements.extend([value_bytes(tag) as u8 + 1, tag]);
            elements.extend(noise.by_ref().take(value_bytes(tag)));
        }
        let leave_out = *class == Appendage::None || (*class == Appendage::LeftOut && elements.is_empty());
        if !leave_out {
            bytes.extend((elements.len() as u16).to_be_bytes());
            bytes.extend(elements);
        }
        bytes
    })
}
