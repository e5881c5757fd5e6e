//! Every message of the feed, addressable by its sequence number.
//!
//! Owned by the publisher's thread and hot on append. Messages lie one behind the other as MoldUDP64 blocks (length,
//! then bytes), so that a datagram is a header and one slice of the store; an index entry every 64 messages makes any
//! number reachable in a bounded walk. Memory is there before it is used; a full store takes nothing more and the
//! publisher stops popping its link, because a feed with a hole would be worse than one that stands still.
//! The digest covers every byte in order: two stores of the same journal have the same digest or differ.

use crate::os::touched::{Rest, Touched};
use std::io;

/// Messages between two index entries: a walk of at most this many lengths finds any message.
const INDEX_STRIDE: u64 = 64;
/// Bytes of a block's length field (MoldUDP64 1.00, message block).
const LENGTH_BYTES: usize = 2;
/// The shortest block of an ITCH feed, a System Event of 12 bytes; bounds how many messages fit.
const BLOCK_BYTES_MIN: usize = LENGTH_BYTES + 12;
/// Largest message a datagram of 1472 bytes can hold beside its header.
const MESSAGE_BYTES_MAX: usize = 1472 - 20 - LENGTH_BYTES;

/// The store has no room for the message; it is unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreFull;

/// A place between two messages: the number of the next one and where its block starts. Made only by the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    sequence: u64,
    at: usize,
}

impl Cursor {
    /// Number of the message the cursor stands before.
    #[inline]
    pub const fn sequence(self) -> u64 {
        self.sequence
    }

    /// Bytes of the blocks from an earlier cursor to this one.
    #[inline]
    pub const fn bytes_since(self, earlier: Cursor) -> usize {
        self.at - earlier.at
    }
}

/// A run of messages that follow each other: what one datagram carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run<'a> {
    /// How many messages.
    pub count: u16,
    /// Their blocks.
    pub blocks: &'a [u8],
    /// The place behind them.
    pub end: Cursor,
}

/// The messages of one feed session. See the module's words.
pub struct FeedStore {
    bytes: Touched,
    index: Vec<u64>,
    end: Cursor,
}

impl FeedStore {
    /// A store for this many bytes of blocks (38 an added order, 33 an execution, 21 a deletion).
    /// # Panics
    /// The system does not give so much memory; who wants to be told takes it himself, for [`FeedStore::within`].
    pub fn new(bytes_max: usize) -> FeedStore {
        FeedStore::within(Touched::take(bytes_max).expect("the system gives the memory of the feed's store"))
    }

    /// A store in this memory, of which no append meets a page that is not there.
    pub fn within(bytes: Touched) -> FeedStore {
        let entries = bytes.capacity() / BLOCK_BYTES_MIN / INDEX_STRIDE as usize + 1;
        // A zeroed vector would be pages that nobody has touched; any other value writes each of them.
        let mut index = vec![u64::MAX; entries];
        index.clear();
        FeedStore { bytes, index, end: Cursor { sequence: 1, at: 0 } }
    }

    /// Adds a message under the next number. Cost: one copy; no allocation.
    ///
    /// # Errors
    /// [`StoreFull`] when it does not fit or is longer than a datagram; nothing changed.
    #[inline]
    pub fn append(&mut self, message: &[u8]) -> Result<(), StoreFull> {
        let at = self.end.at;
        let block = LENGTH_BYTES + message.len();
        let indexed = (self.end.sequence - 1).is_multiple_of(INDEX_STRIDE);
        let is_missing = self.bytes.len() - at < block && !self.bytes.finds_room(at + block);
        if message.len() > MESSAGE_BYTES_MAX || is_missing || indexed && self.index_is_full() {
            return Err(StoreFull);
        }
        if indexed {
            self.index.push(at as u64);
        }
        self.bytes[at..at + LENGTH_BYTES].copy_from_slice(&(message.len() as u16).to_be_bytes());
        self.bytes[at + LENGTH_BYTES..at + block].copy_from_slice(message);
        self.end = Cursor { sequence: self.end.sequence + 1, at: at + block };
        Ok(())
    }

    /// The memory that is not there yet, for whoever brings it.
    pub fn rest(&self) -> Option<Rest> {
        self.bytes.rest()
    }

    /// The start is over: has `ahead` bytes there behind the end, and asks for nothing more from now on. Cold.
    /// # Errors
    /// The system does not give them.
    pub fn keep_quiet(&mut self, ahead: usize) -> io::Result<()> {
        self.bytes.grow_to(self.end.at + ahead)?;
        self.bytes.keep_quiet();
        Ok(())
    }

    /// Fills the empty store with `bytes` bytes of blocks that `read` gives, which hold `count` messages. Cold.
    /// # Errors
    /// What `read` says; `InvalidData` where the bytes are no such blocks, `StorageFull` where they are too many. The
    /// store is empty then.
    pub fn fill(&mut self, bytes: u64, count: u64, read: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<()> {
        debug_assert!(self.count() == 0, "only an empty store is filled");
        let count_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.bytes.grow_to(count_bytes)?;
        let room = self.bytes.get_mut(..count_bytes);
        read(room.ok_or_else(|| io::Error::new(io::ErrorKind::StorageFull, "feed.store_mebibytes is too small"))?)?;
        if self.count_blocks(bytes as usize) != Some(count) {
            self.clear();
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not the messages that it should hold"));
        }
        self.end = Cursor { sequence: count + 1, at: bytes as usize };
        Ok(())
    }

    /// Empties it: for a start that begins anew, and for one who only wants the bytes of some messages.
    pub fn clear(&mut self) {
        self.index.clear();
        self.end = Cursor { sequence: 1, at: 0 };
    }

    /// Blocks in the first `bytes` bytes, which become the index; `None` where they are not whole blocks.
    fn count_blocks(&mut self, bytes: usize) -> Option<u64> {
        let (mut at, mut count) = (0, 0u64);
        self.index.clear();
        while at < bytes {
            if count.is_multiple_of(INDEX_STRIDE) {
                if self.index_is_full() {
                    return None;
                }
                self.index.push(at as u64);
            }
            at += if bytes - at < LENGTH_BYTES { return None } else { LENGTH_BYTES + self.length_at(at) };
            count += 1;
        }
        (at == bytes).then_some(count)
    }

    /// Full for messages shorter than any of ITCH, which would overrun the index before the bytes.
    fn index_is_full(&self) -> bool {
        self.index.len() == self.index.capacity()
    }

    /// Whether `messages` more messages of `bytes` bytes together are sure to fit.
    #[inline]
    pub fn fits(&mut self, messages: usize, bytes: usize) -> bool {
        let wanted = messages * LENGTH_BYTES + bytes;
        self.bytes.len() - self.end.at >= wanted || self.bytes.finds_room(self.end.at + wanted)
    }

    /// The place behind the last message; its sequence is the next number to be given.
    #[inline]
    pub fn end(&self) -> Cursor {
        self.end
    }

    /// The place before the first message.
    pub fn start(&self) -> Cursor {
        Cursor { sequence: 1, at: 0 }
    }

    /// The place before message `sequence`; `None` when that number is neither stored nor the next.
    pub fn seek(&self, sequence: u64) -> Option<Cursor> {
        if sequence == self.end.sequence {
            return Some(self.end);
        }
        if sequence == 0 || sequence > self.end.sequence {
            return None;
        }
        let entry = ((sequence - 1) / INDEX_STRIDE) as usize;
        let mut at = self.index[entry] as usize;
        for _ in 0..(sequence - 1) % INDEX_STRIDE {
            at += LENGTH_BYTES + self.length_at(at);
        }
        Some(Cursor { sequence, at })
    }

    /// Messages from `from` on that fit `bytes_max` bytes of blocks and `count_max` messages, up to `until`.
    #[inline]
    pub fn run(&self, from: Cursor, until: Cursor, count_max: u16, bytes_max: usize) -> Run<'_> {
        let mut end = from;
        let mut count = 0;
        while end.sequence < until.sequence && count < count_max {
            let at = end.at + LENGTH_BYTES + self.length_at(end.at);
            if at - from.at > bytes_max {
                break;
            }
            end = Cursor { sequence: end.sequence + 1, at };
            count += 1;
        }
        Run { count, blocks: &self.bytes[from.at..end.at], end }
    }

    /// Message `sequence`, if there is one.
    pub fn message(&self, sequence: u64) -> Option<&[u8]> {
        let from = self.seek(sequence)?;
        let run = self.run(from, self.end, 1, usize::MAX);
        (run.count == 1).then(|| &run.blocks[LENGTH_BYTES..])
    }

    /// All blocks, in order.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end.at]
    }

    /// Digest of all blocks in order. Two feeds are byte for byte the same when their digests and counts agree. Reads
    /// all of them; cold.
    pub fn digest(&self) -> u64 {
        self.digest_after(0)
    }

    /// The digest of all blocks that come after others whose digest is `before`.
    pub fn digest_after(&self, before: u64) -> u64 {
        let (mut digest, mut at) = (before, 0);
        while at < self.end.at {
            let end = at + LENGTH_BYTES + self.length_at(at);
            digest = digest_with(digest, &self.bytes[at..end]);
            at = end;
        }
        digest
    }

    /// Messages stored.
    pub fn count(&self) -> u64 {
        self.end.sequence - 1
    }

    fn length_at(&self, at: usize) -> usize {
        usize::from(u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]))
    }
}

/// `digest` continued over one block. Multiply and fold by words of eight bytes; the last word is padded with zeros,
/// which cannot hide a difference because the block names its length first.
#[inline]
fn digest_with(digest: u64, block: &[u8]) -> u64 {
    /// 2^64 divided by the golden ratio: odd, and its bits look random, so each product mixes the whole word.
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let fold = |digest: u64, word: [u8; 8]| {
        let mixed = (digest ^ u64::from_le_bytes(word)).wrapping_mul(GOLDEN);
        mixed ^ (mixed >> 29)
    };
    let (words, rest) = block.as_chunks::<8>();
    let mut digest = words.iter().fold(digest, |digest, word| fold(digest, *word));
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        digest = fold(digest, word);
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::touched::PIECE_BYTES;

    fn message(n: u64) -> Vec<u8> {
        let mut message = vec![n as u8; 12 + (n % 39) as usize];
        message[..8].copy_from_slice(&n.to_be_bytes());
        message
    }

    fn filled(count: u64) -> FeedStore {
        let mut store = FeedStore::new(1 << 16);
        (1..=count).for_each(|n| store.append(&message(n)).unwrap());
        store
    }

    #[test]
    fn each_message_comes_back_under_its_number() {
        let store = filled(1_000);
        for n in 1..=1_000 {
            assert_eq!(store.message(n), Some(&message(n)[..]), "message {n}");
        }
        assert_eq!(store.message(0), None);
        assert_eq!(store.message(1_001), None);
        assert_eq!(store.seek(1_001), Some(store.end()));
        assert_eq!(store.seek(1_002), None);
        assert_eq!(store.seek(u64::MAX), None);
    }

    #[test]
    fn runs_cut_the_stream_into_datagrams_without_loss() {
        let store = filled(777);
        for bytes_max in [64, 100, 1452] {
            let (mut at, mut bytes) = (store.start(), Vec::new());
            while at != store.end() {
                let run = store.run(at, store.end(), u16::MAX, bytes_max);
                assert!(run.count > 0 && run.blocks.len() <= bytes_max);
                assert_eq!(run.end.sequence(), at.sequence() + u64::from(run.count));
                bytes.extend_from_slice(run.blocks);
                at = run.end;
            }
            assert_eq!(bytes, store.bytes());
        }
    }

    #[test]
    fn a_run_keeps_to_its_count_and_its_end() {
        let store = filled(100);
        let from = store.seek(10).unwrap();
        assert_eq!(store.run(from, store.end(), 3, 1452).count, 3);
        assert_eq!(store.run(from, store.seek(12).unwrap(), 50, 1452).count, 2);
        assert_eq!(store.run(from, store.start(), 50, 1452).count, 0);
    }

    #[test]
    fn a_full_store_takes_nothing_and_changes_nothing() {
        let mut store = FeedStore::new(100);
        store.append(&[1; 50]).unwrap();
        let (digest, end) = (store.digest(), store.end());
        assert!(!store.fits(1, 47) && store.fits(1, 46));
        assert_eq!(store.append(&[2; 50]), Err(StoreFull));
        assert_eq!((store.digest(), store.end()), (digest, end));
        store.append(&[3; 46]).unwrap();
        assert_eq!(store.append(&[]), Err(StoreFull));
        assert_eq!(store.count(), 2);
    }

    #[test]
    fn a_store_whose_memory_is_still_to_come_waits_and_goes_on_where_it_was() {
        let mut store = FeedStore::within(Touched::reserve(3 * PIECE_BYTES).unwrap());
        store.keep_quiet(1).unwrap();
        let mut all_there = FeedStore::new(3 * PIECE_BYTES);
        let mut refused = 0;
        for n in 1.. {
            let sent = message(n);
            let fits = store.fits(1, sent.len());
            assert_eq!(store.append(&sent).is_ok(), fits);
            if !fits {
                // The room is there when somebody has brought it, and the message was not lost.
                assert!(store.rest().unwrap().bring().is_ok() && store.fits(1, sent.len()));
                assert_eq!((store.append(&sent), store.count()), (Ok(()), n));
                refused += 1;
            }
            assert_eq!(all_there.append(&sent), Ok(()));
            if refused == 2 && store.rest().is_none() {
                break;
            }
        }
        assert_eq!((store.digest(), store.bytes().len()), (all_there.digest(), all_there.bytes().len()));
    }

    #[test]
    fn the_index_never_grows_even_for_empty_messages() {
        let mut store = FeedStore::new(10_000);
        let capacity = store.index.capacity();
        while store.append(&[]).is_ok() {}
        assert_eq!(store.index.capacity(), capacity);
        assert!(store.count() > 0 && store.message(store.count()) == Some(&[]));
    }

    #[test]
    fn the_digest_sees_order_content_and_boundaries() {
        let digest = |messages: &[&[u8]]| {
            let mut store = FeedStore::new(1 << 10);
            messages.iter().for_each(|m| store.append(m).unwrap());
            store.digest()
        };
        assert_eq!(digest(&[b"ab", b"cd"]), digest(&[b"ab", b"cd"]));
        assert_ne!(digest(&[b"ab", b"cd"]), digest(&[b"cd", b"ab"]));
        assert_ne!(digest(&[b"ab", b"cd"]), digest(&[b"abcd"]));
        assert_ne!(digest(&[b"ab"]), digest(&[b"ab\0"]));
    }
}
