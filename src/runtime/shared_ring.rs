//! A ring of messages from one process to another, over memory both have mapped.
//!
//! One side writes, the other reads. A slot is one cache line: eight bytes of header (sequence number, length, kind)
//! and 56 of payload, so that a message of up to 56 bytes reaches the other core in a single line transfer; there is
//! no head or tail index to fetch first. Longer messages continue in the next slots, written before the first one is.
//!
//! Two [`Half`]s make a conversation, and each has exactly one writing side: it holds that side's slots *and* the
//! count of slots that the same side has consumed of the other half. So the half of the venue can be sealed against
//! any writing by the client, and neither side ever writes where the other one does.
//!
//! The other process is hostile until proven otherwise. Positions are private; of the shared memory each word is
//! loaded once, into private memory, and what is validated is that copy. A header can only say what was due: the
//! number of this turn of the ring, or of the turn before ("nothing yet"). Anything else is a [`Violation`], after
//! which the owner drops the connection; the bytes of a message are for the layer above to judge. Work is bounded by
//! [`MESSAGE_SLOTS_MAX`] lines a call. Hot: no allocation, no lock, no system call.
//!
//! Liveness, identity and flow of whole sessions are left to the owner of the Unix socket behind the ring.

use crate::os::mapped::Mapped;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// One cache line.
pub const SLOT_BYTES: usize = 64;
/// Payload of a slot: what its eight-byte header leaves.
pub const SLOT_PAYLOAD: usize = SLOT_BYTES - 8;
/// Longest message in slots. Three carry the longest order-entry message with all its options (161 bytes), one more
/// leaves room for a protocol that grows.
pub const MESSAGE_SLOTS_MAX: usize = 4;
/// Longest message in bytes.
pub const MESSAGE_MAX: usize = MESSAGE_SLOTS_MAX * SLOT_PAYLOAD;
/// Fewest slots of a ring: two of the longest messages, so that one can be read while the next is written.
pub const SLOTS_MIN: usize = 2 * MESSAGE_SLOTS_MAX;
/// Most slots of a ring: 64 MiB. Far below 2^31, so that slot numbers of 32 bits cannot be taken for one another.
pub const SLOTS_MAX: usize = 1 << 20;

/// Which of the descriptors handed to a client is the venue's half: mapped for reading, its memory sealed.
pub const VENUE_FILE: usize = 0;
/// And which is the half that the client writes.
pub const CLIENT_FILE: usize = 1;

/// Where the magic stands.
const MAGIC_AT: usize = 0;
/// Where the consumed count stands: a pair of lines away from the magic, because the processor fetches lines in pairs.
const CONSUMED_AT: usize = 128;
/// Where the slots begin: on a page of their own.
const SLOTS_AT: usize = 4096;
/// First word of a half: says what it is, and the version of this layout.
const MAGIC: u64 = u64::from_le_bytes(*b"PITRING1");
/// Payload words of a slot.
const PAYLOAD_WORDS: usize = SLOT_PAYLOAD / 8;
/// Kind of a slot that begins a message.
const KIND_FIRST: u16 = 1;
/// Kind of a slot that continues one.
const KIND_MORE: u16 = 2;

const _: () = assert!(MESSAGE_MAX <= u16::MAX as usize, "a slot's header has 16 bits for the length");
const _: () = assert!(SLOTS_MIN.is_power_of_two() && SLOTS_MAX.is_power_of_two());

/// One side's memory: its slots and its consumed count. Cheap to clone; both clones are the same memory.
#[derive(Clone)]
pub struct Half {
    memory: Arc<Mapped>,
    slots: u32,
}

impl Half {
    /// Bytes of a half with `slots` slots.
    ///
    /// # Panics
    /// When `slots` is not a power of two from [`SLOTS_MIN`] to [`SLOTS_MAX`]: configuration is checked before.
    pub fn bytes(slots: usize) -> usize {
        assert!(slots.is_power_of_two() && (SLOTS_MIN..=SLOTS_MAX).contains(&slots), "slots of a ring: {slots}");
        SLOTS_AT + slots * SLOT_BYTES
    }

    /// Over fresh memory (all zero), which it marks as a half. What its maker calls, once for each half.
    ///
    /// # Errors
    /// [`NotARing`] when the size fits no ring.
    pub fn format(memory: Arc<Mapped>) -> Result<Half, NotARing> {
        let slots = slots_of_bytes(memory.len())?;
        memory.atomic_u64(MAGIC_AT).store(MAGIC, Release);
        Ok(Half { memory, slots })
    }

    /// Over memory that the other process made. The number of slots follows from the size, which the maker has
    /// sealed; nothing that could change later is believed.
    ///
    /// # Errors
    /// [`NotARing`] when the size fits no ring, or the magic is another.
    pub fn attach(memory: Arc<Mapped>) -> Result<Half, NotARing> {
        let slots = slots_of_bytes(memory.len())?;
        if memory.atomic_u64(MAGIC_AT).load(Acquire) != MAGIC {
            return Err(NotARing { bytes: memory.len() });
        }
        Ok(Half { memory, slots })
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.slots as usize
    }

    /// The line of the slot at a position. Bounds: the mask keeps it below the number of slots.
    #[inline]
    fn line(&self, position: u64) -> &[AtomicU64; 8] {
        let index = (position & u64::from(self.slots - 1)) as usize;
        self.memory.line(SLOTS_AT + index * SLOT_BYTES)
    }

    /// Slots of the *other* half that this half's side has consumed.
    #[inline]
    fn consumed(&self) -> &AtomicU64 {
        self.memory.atomic_u64(CONSUMED_AT)
    }
}

fn slots_of_bytes(bytes: usize) -> Result<u32, NotARing> {
    let slots = bytes.saturating_sub(SLOTS_AT) / SLOT_BYTES;
    let fits = slots.is_power_of_two() && (SLOTS_MIN..=SLOTS_MAX).contains(&slots) && Half::bytes(slots) == bytes;
    if fits { Ok(slots as u32) } else { Err(NotARing { bytes }) }
}

/// Both ends of one side: it writes into `own` and reads from `other`.
pub fn ends(own: Half, other: Half) -> (RingWriter, RingReader) {
    let writer = RingWriter { own: own.clone(), other: other.clone(), position: 0, consumed: 0 };
    (writer, RingReader { own, other, position: 0 })
}

/// The writing end.
pub struct RingWriter {
    own: Half,
    other: Half,
    /// Slots written since the beginning.
    position: u64,
    /// Slots the reader is known to have consumed; never above `position`.
    consumed: u64,
}

impl RingWriter {
    /// Hands `bytes` to the other side as one message, or leaves the ring as it was.
    /// Cost: one cache line for 56 bytes; the reader's line is looked at only when the ring seems full.
    ///
    /// # Errors
    /// [`Refused::Full`] while the reader is behind; [`Refused::Length`] for an empty message or one above
    /// [`MESSAGE_MAX`]; [`Refused::Violation`] when the reader's count is impossible.
    #[inline]
    pub fn try_send(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        if bytes.is_empty() || bytes.len() > MESSAGE_MAX {
            return Err(Refused::Length);
        }
        let count = bytes.len().div_ceil(SLOT_PAYLOAD);
        if self.free_known() < count && self.refresh()? < count {
            return Err(Refused::Full);
        }
        let (first, rest) = bytes.split_at(bytes.len().min(SLOT_PAYLOAD));
        for (position, part) in (self.position + 1..).zip(rest.chunks(SLOT_PAYLOAD)) {
            fill(self.own.line(position), part);
            self.own.line(position)[0].store(header(position, bytes.len(), KIND_MORE), Relaxed);
        }
        let line = self.own.line(self.position);
        fill(line, first);
        // Publish last, with everything before it: whoever sees this number may read the whole message. Pairs with
        // the Acquire load in `RingReader::poll`.
        line[0].store(header(self.position, bytes.len(), KIND_FIRST), Release);
        self.position += count as u64;
        Ok(())
    }

    /// Slots free for certain, after a look at the reader's count.
    ///
    /// # Errors
    /// [`Refused::Violation`] when that count went back, or beyond what was written.
    pub fn refresh(&mut self) -> Result<usize, Refused> {
        // Acquire: the reader's loads from those slots happened before; pairs with the Release in `RingReader::poll`.
        let consumed = self.other.consumed().load(Acquire);
        if consumed < self.consumed || consumed > self.position {
            return Err(Refused::Violation(Violation::Consumed));
        }
        self.consumed = consumed;
        Ok(self.free_known())
    }

    /// Slots written and, by the reader's own count, not consumed. To be shown and nothing more: an impossible count is
    /// cut to what can be, and found out by [`RingWriter::refresh`]. Costs the reader its line, so not every turn.
    pub fn unread(&self) -> usize {
        let unread = self.position.wrapping_sub(self.other.consumed().load(Relaxed));
        unread.min(self.own.slots() as u64) as usize
    }

    /// Slots written since the beginning.
    pub fn position(&self) -> u64 {
        self.position
    }

    #[inline]
    fn free_known(&self) -> usize {
        self.own.slots() - (self.position - self.consumed) as usize
    }
}

/// The reading end.
pub struct RingReader {
    own: Half,
    other: Half,
    /// Slots consumed since the beginning.
    position: u64,
}

impl RingReader {
    /// Takes the next message into `out`: its length, or `None` when there is none yet. Bytes of `out` beyond the
    /// length are undefined (rest of the last line).
    ///
    /// # Errors
    /// A [`Violation`] when the memory holds what no honest writer leaves there; the ring must then be given up.
    #[inline]
    pub fn poll(&mut self, out: &mut [u8; MESSAGE_MAX]) -> Result<Option<usize>, Violation> {
        let line = self.other.line(self.position);
        // Acquire: what follows is read after the number that published it; pairs with `RingWriter::try_send`.
        let head = line[0].load(Acquire);
        if head as u32 != number(self.position) {
            return self.on_absent(head as u32);
        }
        let length = (head >> 32) as u16 as usize;
        if head >> 48 != u64::from(KIND_FIRST) || length == 0 || length > MESSAGE_MAX {
            return Err(malformed());
        }
        take(line, &mut out[..SLOT_PAYLOAD]);
        let count = length.div_ceil(SLOT_PAYLOAD);
        for slot in 1..count {
            let position = self.position + slot as u64;
            let line = self.other.line(position);
            if line[0].load(Relaxed) != header(position, length, KIND_MORE) {
                return Err(malformed());
            }
            take(line, &mut out[slot * SLOT_PAYLOAD..(slot + 1) * SLOT_PAYLOAD]);
        }
        self.position += count as u64;
        // Release: the loads above are done before the writer may reuse the slots; pairs with `RingWriter::refresh`.
        self.own.consumed().store(self.position, Release);
        Ok(Some(length))
    }

    /// Slots consumed since the beginning.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Not the number due: either the number this slot had a turn ago, or something that cannot be.
    #[inline]
    fn on_absent(&self, found: u32) -> Result<Option<usize>, Violation> {
        let slots = u64::from(self.other.slots);
        let before = if self.position < slots { 0 } else { number(self.position - slots) };
        if found == before { Ok(None) } else { Err(jumped()) }
    }
}

/// Number in a slot's header: the position plus one, so that fresh memory holds no valid number.
#[inline]
fn number(position: u64) -> u32 {
    (position as u32).wrapping_add(1)
}

/// Header word of a slot, one atomic store: its parts cannot be seen torn.
#[inline]
fn header(position: u64, length: usize, kind: u16) -> u64 {
    u64::from(number(position)) | (length as u64) << 32 | u64::from(kind) << 48
}

/// Stores up to 56 bytes into a slot, by words; the last one padded with zeros.
#[inline]
fn fill(line: &[AtomicU64; 8], bytes: &[u8]) {
    let (words, tail) = bytes.as_chunks::<8>();
    for (word, bytes) in line[1..].iter().zip(words) {
        // Relaxed: published by the first slot's header.
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        line[1 + words.len()].store(u64::from_ne_bytes(last), Relaxed);
    }
}

/// Copies a slot's payload out, each word loaded once. All 56 bytes always: no branch on a hostile length.
#[inline]
fn take(line: &[AtomicU64; 8], out: &mut [u8]) {
    for (word, out) in line[1..].iter().zip(out.as_chunks_mut::<8>().0.iter_mut().take(PAYLOAD_WORDS)) {
        *out = word.load(Relaxed).to_ne_bytes();
    }
}

#[cold]
fn malformed() -> Violation {
    Violation::Header
}

#[cold]
fn jumped() -> Violation {
    Violation::Sequence
}

/// What no honest peer leaves in the shared memory. The connection cannot be trusted any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// A slot carries a number that is neither due nor of the turn before.
    Sequence,
    /// The right number with an impossible length, kind or continuation.
    Header,
    /// The reader's consumed count went back, or beyond what was written.
    Consumed,
}

/// Why a message was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The reader has not made room yet.
    Full,
    /// Empty, or longer than [`MESSAGE_MAX`].
    Length,
    /// The reader cannot be trusted.
    Violation(Violation),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Violation::Sequence => "a slot of the shared ring has a number that was not due",
            Violation::Header => "a slot of the shared ring has an impossible header",
            Violation::Consumed => "the consumed count of the shared ring is impossible",
        })
    }
}

impl std::error::Error for Violation {}

/// Memory that is not a half of a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotARing {
    /// Its size.
    pub bytes: usize,
}

impl fmt::Display for NotARing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shared memory of {} bytes is not a message ring of this version", self.bytes)
    }
}

impl std::error::Error for NotARing {}

impl From<NotARing> for io::Error {
    fn from(fault: NotARing) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A conversation inside one process: (writer, reader) of one side and of the other.
    fn pair(slots: usize) -> ((RingWriter, RingReader), (RingWriter, RingReader)) {
        let half = || Half::format(Arc::new(Mapped::anonymous(Half::bytes(slots)).unwrap())).unwrap();
        let (here, there) = (half(), half());
        (ends(here.clone(), there.clone()), ends(there, here))
    }

    /// Small and repeatable; the seed is the test's input.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }
    }

    fn message(index: u64, out: &mut [u8; MESSAGE_MAX]) -> usize {
        let mut random = Random(index.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let length = 1 + (random.next() % MESSAGE_MAX as u64) as usize;
        out[..length].fill_with(|| random.next() as u8);
        length
    }

    #[test]
    fn messages_of_every_length_come_out_as_they_went_in() {
        let ((mut writer, _), (_, mut reader)) = pair(SLOTS_MIN);
        let (mut sent, mut got) = ([0; MESSAGE_MAX], [0; MESSAGE_MAX]);
        for lap in 0..20u8 {
            for length in 1..=MESSAGE_MAX {
                sent[..length].fill_with(|| lap ^ length as u8);
                writer.try_send(&sent[..length]).unwrap();
                assert_eq!(reader.poll(&mut got), Ok(Some(length)));
                assert_eq!(sent[..length], got[..length]);
                assert_eq!(reader.poll(&mut got), Ok(None));
            }
        }
    }

    #[test]
    fn a_full_ring_refuses_and_goes_on_once_there_is_room() {
        let ((mut writer, _), (_, mut reader)) = pair(SLOTS_MIN);
        let mut out = [0; MESSAGE_MAX];
        for index in 0..SLOTS_MIN {
            writer.try_send(&[index as u8 + 1]).unwrap();
        }
        assert_eq!(writer.try_send(&[99]), Err(Refused::Full));
        assert_eq!(reader.poll(&mut out), Ok(Some(1)));
        assert_eq!(writer.try_send(&[7; SLOT_PAYLOAD + 1]), Err(Refused::Full), "two slots do not fit into one");
        writer.try_send(&[99]).unwrap();
        for expected in (2..=SLOTS_MIN as u8).chain([99]) {
            assert_eq!(reader.poll(&mut out), Ok(Some(1)));
            assert_eq!(out[0], expected);
        }
        assert_eq!(reader.poll(&mut out), Ok(None));
    }

    #[test]
    fn empty_and_overlong_messages_are_refused() {
        let ((mut writer, _), (_, mut reader)) = pair(SLOTS_MIN);
        assert_eq!(writer.try_send(&[]), Err(Refused::Length));
        assert_eq!(writer.try_send(&[0; MESSAGE_MAX + 1]), Err(Refused::Length));
        assert_eq!(reader.poll(&mut [0; MESSAGE_MAX]), Ok(None));
    }

    #[test]
    fn numbers_pass_the_end_of_their_32_bits() {
        let ((mut writer, _), (_, mut reader)) = pair(SLOTS_MIN);
        let start = u64::from(u32::MAX) + 1 - 2 * SLOTS_MIN as u64;
        (writer.position, writer.consumed, reader.position) = (start, start, start);
        writer.other.consumed().store(start, Release);
        for position in start - SLOTS_MIN as u64..start {
            writer.own.line(position)[0].store(header(position, 1, KIND_FIRST), Release);
        }
        let (mut sent, mut got) = ([0; MESSAGE_MAX], [0; MESSAGE_MAX]);
        for index in 0..100 {
            let length = message(index, &mut sent);
            assert_eq!(reader.poll(&mut got), Ok(None));
            writer.try_send(&sent[..length]).unwrap();
            assert_eq!(reader.poll(&mut got), Ok(Some(length)));
            assert_eq!(sent[..length], got[..length]);
        }
        assert!(writer.position() > u64::from(u32::MAX));
    }

    #[test]
    fn two_threads_pass_on_every_message_in_order() {
        const COUNT: u64 = 300_000;
        let ((mut writer, mut answers), (mut echo, mut reader)) = pair(64);
        let echoing = std::thread::spawn(move || {
            let mut bytes = [0; MESSAGE_MAX];
            for _ in 0..COUNT {
                let length = loop {
                    match reader.poll(&mut bytes).unwrap() {
                        Some(length) => break length,
                        None => std::thread::yield_now(),
                    }
                };
                while echo.try_send(&bytes[..length]).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let (mut sent, mut expected, mut got) = ([0; MESSAGE_MAX], [0; MESSAGE_MAX], [0; MESSAGE_MAX]);
        let (mut next_sent, mut next_got) = (0, 0);
        while next_got < COUNT {
            let mut moved = false;
            if next_sent < COUNT {
                let length = message(next_sent, &mut sent);
                if writer.try_send(&sent[..length]).is_ok() {
                    (next_sent, moved) = (next_sent + 1, true);
                }
            }
            if let Some(length) = answers.poll(&mut got).unwrap() {
                let wanted = message(next_got, &mut expected);
                assert_eq!(expected[..wanted], got[..length], "message {next_got}");
                (next_got, moved) = (next_got + 1, true);
            }
            if !moved {
                std::thread::yield_now();
            }
        }
        echoing.join().unwrap();
    }

    #[test]
    fn a_number_that_was_not_due_is_a_violation() {
        let slots = SLOTS_MIN as u64;
        for jump in [1, 2, slots - 1, slots, 2 * slots, 1 << 31, u64::from(u32::MAX)] {
            let ((mut writer, _), (_, mut reader)) = pair(SLOTS_MIN);
            let mut out = [0; MESSAGE_MAX];
            for _ in 0..=slots {
                writer.try_send(b"honest").unwrap();
                reader.poll(&mut out).unwrap().unwrap();
            }
            let position = writer.position;
            writer.own.line(position)[0].store(header(position.wrapping_add(jump), 1, KIND_FIRST), Release);
            assert_eq!(reader.poll(&mut out), Err(Violation::Sequence), "ahead by {jump}");
            writer.own.line(position)[0].store(header(position.wrapping_sub(jump), 1, KIND_FIRST), Release);
            let rolled_back = reader.poll(&mut out);
            // One turn back is what an unwritten slot holds.
            assert_eq!(rolled_back, if jump == slots { Ok(None) } else { Err(Violation::Sequence) }, "back by {jump}");
        }
    }

    #[test]
    fn an_impossible_header_is_a_violation() {
        let headers = [
            header(0, 0, KIND_FIRST),
            header(0, MESSAGE_MAX + 1, KIND_FIRST),
            header(0, usize::from(u16::MAX), KIND_FIRST),
            header(0, 1, KIND_MORE),
            header(0, 1, 0),
            header(0, 1, u16::MAX),
            // The rest of the message is missing.
            header(0, SLOT_PAYLOAD + 1, KIND_FIRST),
        ];
        for head in headers {
            let ((writer, _), (_, mut reader)) = pair(SLOTS_MIN);
            writer.own.line(0)[0].store(head, Release);
            assert_eq!(reader.poll(&mut [0; MESSAGE_MAX]), Err(Violation::Header), "{head:#018x}");
            assert_eq!(reader.position(), 0);
        }
    }

    #[test]
    fn a_continuation_of_another_message_is_a_violation() {
        let ((mut writer, _), (_, mut reader)) = pair(SLOTS_MIN);
        writer.try_send(&[1; 2 * SLOT_PAYLOAD]).unwrap();
        for word in [
            0,
            header(1, 2 * SLOT_PAYLOAD, KIND_FIRST),
            header(1, SLOT_PAYLOAD + 1, KIND_MORE),
            header(2, 2 * SLOT_PAYLOAD, KIND_MORE),
        ] {
            writer.own.line(1)[0].store(word, Release);
            assert_eq!(reader.poll(&mut [0; MESSAGE_MAX]), Err(Violation::Header));
        }
    }

    #[test]
    fn a_consumed_count_that_jumps_or_falls_is_a_violation() {
        let ((mut writer, _), (_, mut reader)) = pair(SLOTS_MIN);
        for _ in 0..5 {
            writer.try_send(&[1]).unwrap();
            reader.poll(&mut [0; MESSAGE_MAX]).unwrap().unwrap();
        }
        assert_eq!(writer.refresh(), Ok(SLOTS_MIN));
        for count in [4, 0, 6, u64::MAX] {
            writer.other.consumed().store(count, Release);
            assert_eq!(writer.refresh(), Err(Refused::Violation(Violation::Consumed)), "{count}");
        }
        writer.other.consumed().store(5, Release);
        assert_eq!(writer.refresh(), Ok(SLOTS_MIN), "what was refused has left no trace");
    }

    #[test]
    fn random_memory_never_panics_and_never_yields_more_than_fits() {
        for seed in 1..=400u64 {
            let ((mut writer, mut reader), (peer, _)) = pair(SLOTS_MIN);
            let mut random = Random(seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
            let mut out = [0; MESSAGE_MAX];
            for _ in 0..2_000 {
                // The peer's half only: neither side can write into the other's.
                let at = SLOTS_AT + (random.next() as usize % (SLOTS_MIN * 8)) * 8;
                // Half of the words nearly right, so that the reader gets past its first check.
                let near = header(
                    reader.position() + random.next() % 3,
                    1 + random.next() as usize % 300,
                    1 + (random.next() % 3) as u16,
                );
                let word = if random.next() & 1 == 0 { random.next() } else { near };
                peer.own.memory.atomic_u64(at).store(word, Relaxed);
                peer.own.consumed().store(random.next() % 64, Relaxed);
                if let Ok(Some(length)) = reader.poll(&mut out) {
                    assert!((1..=MESSAGE_MAX).contains(&length), "seed {seed}");
                }
                let _ = writer.try_send(&out[..1 + random.next() as usize % MESSAGE_MAX]);
                assert!(writer.position - writer.consumed <= SLOTS_MIN as u64, "seed {seed}");
            }
        }
    }

    #[test]
    fn memory_of_another_size_or_kind_is_no_ring() {
        let of = |bytes| Arc::new(Mapped::anonymous(bytes).unwrap());
        for bytes in [1, 64, 4096, SLOTS_AT + 3 * SLOT_BYTES, Half::bytes(SLOTS_MIN) + 1, Half::bytes(SLOTS_MIN) - 64] {
            assert_eq!(Half::format(of(bytes)).err(), Some(NotARing { bytes }));
        }
        let blank = of(Half::bytes(SLOTS_MIN));
        assert!(Half::attach(blank.clone()).is_err());
        Half::format(blank.clone()).unwrap();
        assert_eq!(Half::attach(blank).unwrap().slots(), SLOTS_MIN);
    }
}
