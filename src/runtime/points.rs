//! Where the way of a message is stamped, and the spans between.

/// Where a way is stamped, in the order of the way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Point {
    /// The gateway has read it from its transport.
    Read,
    /// The sequencer has decided and numbered it.
    Sequenced,
    /// It is in the log.
    Journalled,
    /// Its matcher has executed it.
    Matched,
    /// It is committed, and all it says has left egress.
    Committed,
    /// The answer is with the transport: in the ring, or taken by the kernel.
    Written,
}

/// How many.
pub const POINTS: usize = 6;

/// Names of the spans that [`super::stamps::Ways`] counts: from each point to the next, and the whole.
pub const SPANS: [&str; POINTS] = [
    "read to sequenced",
    "sequenced to journalled",
    "journalled to matched",
    "matched to committed",
    "committed to written",
    "read to written",
];
/// Place of the whole among the spans.
pub const WHOLE: usize = POINTS - 1;
