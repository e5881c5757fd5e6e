//! Bounded links between agents: single producer, single consumer, values of one `Copy` type.
//!
//! The ring is `rtrb`, which keeps each side's view of the other's index cached, so that a push or a pop touches a
//! foreign cache line only when the cached view runs out. A full link is an answer: the producer keeps the value and
//! stops taking input. [`mark`] is the other way threads meet, one rising number: "committed up to here".
//!
//! Hot on both ends. All memory is taken and touched in [`bounded`], also the part no lap has reached yet.

use crate::runtime::queues::Queue;
use crossbeam_utils::CachePadded;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The producing end.
#[derive(Debug)]
pub struct Sender<T> {
    ring: rtrb::Producer<T>,
}

/// The consuming end.
#[derive(Debug)]
pub struct Receiver<T> {
    ring: rtrb::Consumer<T>,
    queue: Queue,
}

/// A link for `capacity` values.
/// # Panics
/// When `capacity` is 0.
pub fn bounded<T: Copy + Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a link must hold something");
    let (mut sender, receiver) = rtrb::RingBuffer::new(capacity);
    // The ring's memory comes untouched; without this the first lap would fault on every page. The chunk is dropped
    // without being committed, so that nothing is sent.
    if let Ok(mut chunk) = sender.write_chunk_uninit(capacity) {
        let (slots, _) = chunk.as_mut_slices();
        slots.fill_with(MaybeUninit::zeroed);
        std::hint::black_box(slots);
    }
    (Sender { ring: sender }, Receiver { ring: receiver, queue: Queue::unwatched() })
}

impl<T: Copy + Send> Sender<T> {
    /// Sends `value`, or gives it back when the link is full.
    #[inline]
    pub fn try_push(&mut self, value: T) -> Result<(), T> {
        self.ring.push(value).map_err(|rtrb::PushError::Full(value)| value)
    }

    /// Room for at least so many values. Reads the consumer's index only when the cached view says less than half
    /// the ring, so that asking every turn costs no foreign cache line while the consumer keeps up.
    #[inline]
    pub fn free(&self) -> usize {
        let known = self.ring.cached_slots();
        if known * 2 >= self.capacity() { known } else { self.ring.slots() }
    }

    /// Whether `count` values fit now; looks at the consumer's index only when the cached view says no.
    #[inline]
    pub fn has_room(&self, count: usize) -> bool {
        self.ring.cached_slots() >= count || self.ring.slots() >= count
    }

    /// Values the link holds at most.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.ring.buffer().capacity()
    }

    /// Whether the other end is gone; for ends in threads that stop on their own.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }
}

impl<T: Copy + Send> Receiver<T> {
    /// Has it count how much waits; see [`Receiver::look`].
    #[must_use]
    pub fn watched(mut self, queue: Queue) -> Receiver<T> {
        self.queue = queue;
        self
    }

    /// Counts how much waits, where the link is watched. Reads the producer's index; one turn in some dozens does it.
    #[cold]
    pub fn look(&self) {
        self.queue.note(self.ring.slots());
    }

    /// Takes the oldest value.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.ring.pop().ok()
    }

    /// Lets go of the oldest value, which the caller has peeked at. Nothing happens when there is none.
    #[inline]
    pub fn skip(&mut self) {
        if let Ok(chunk) = self.ring.read_chunk(1) {
            chunk.commit_all();
        }
    }

    /// Looks at the oldest value and leaves it.
    #[inline]
    pub fn peek(&self) -> Option<&T> {
        self.ring.peek().ok()
    }

    /// Shows `look` the value `ahead` places behind the oldest, if so many are known to wait; it stays. For fetching
    /// early what a later value will need: the producer's index is not asked again for it.
    #[inline]
    pub fn look_ahead(&mut self, ahead: usize, look: impl FnOnce(&T)) {
        if self.ring.cached_slots() > ahead
            && let Ok(chunk) = self.ring.read_chunk(ahead + 1)
        {
            let (first, second) = chunk.as_slices();
            // The chunk is let go of without being taken.
            look(second.last().unwrap_or_else(|| &first[ahead]));
        }
    }

    /// Values waiting now. Reads the producer's index.
    #[inline]
    pub fn len(&self) -> usize {
        self.ring.slots()
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Whether the other end is gone.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }
}

/// Raises a [`mark`]. One only, with one owner.
#[derive(Debug)]
pub struct MarkWriter {
    value: Arc<CachePadded<AtomicU64>>,
}

/// Reads a [`mark`]; as many as wanted.
#[derive(Clone, Debug)]
pub struct MarkReader {
    value: Arc<CachePadded<AtomicU64>>,
}

/// A rising number that one thread publishes and others watch, on a cache line of its own. Begins at 0.
pub fn mark() -> (MarkWriter, MarkReader) {
    let value = Arc::new(CachePadded::new(AtomicU64::new(0)));
    (MarkWriter { value: Arc::clone(&value) }, MarkReader { value })
}

impl MarkWriter {
    /// Publishes `value`. A repeated value is not stored again, so that readers keep their cache line.
    #[inline]
    pub fn set(&mut self, value: u64) {
        // Only this writer stores, so that its own relaxed load is exact.
        let before = self.value.load(Ordering::Relaxed);
        debug_assert!(before <= value, "a mark never falls");
        if before != value {
            // Everything written before is visible to who sees the value. Pairs with the load in `MarkReader::value`.
            self.value.store(value, Ordering::Release);
        }
    }

    /// What was published last.
    #[inline]
    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

impl MarkReader {
    /// The newest value seen.
    #[inline]
    pub fn value(&self) -> u64 {
        // Pairs with the store in `MarkWriter::set`.
        self.value.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_ahead_finds_the_value_at_its_place_and_takes_nothing() {
        let (mut sender, mut receiver) = bounded(4);
        let mut seen = Vec::new();
        for round in 0..10u32 {
            (0..3).for_each(|n| sender.try_push(round * 10 + n).unwrap());
            assert_eq!(receiver.peek(), Some(&(round * 10)));
            (0..5).for_each(|ahead| receiver.look_ahead(ahead, |&value| seen.push(value)));
            assert_eq!(std::mem::take(&mut seen), [0, 1, 2].map(|n| round * 10 + n));
            (0..3).for_each(|n| assert_eq!(receiver.pop(), Some(round * 10 + n)));
            receiver.look_ahead(0, |value| panic!("{value} was taken"));
        }
    }

    #[test]
    fn a_full_link_gives_the_value_back() {
        let (mut sender, mut receiver) = bounded::<u32>(2);
        assert_eq!((sender.free(), sender.capacity()), (2, 2));
        assert_eq!([sender.try_push(1), sender.try_push(2), sender.try_push(3)], [Ok(()), Ok(()), Err(3)]);
        assert_eq!((receiver.len(), receiver.peek().copied(), receiver.pop()), (2, Some(1), Some(1)));
        assert_eq!((sender.free(), sender.has_room(1), sender.has_room(2)), (1, true, false));
        assert_eq!((receiver.pop(), receiver.pop(), receiver.is_empty()), (Some(2), None, true));
    }

    #[test]
    fn values_cross_threads_in_order() {
        const COUNT: u64 = 200_000;
        let (mut sender, mut receiver) = bounded::<u64>(64);
        let producer = std::thread::spawn(move || {
            for value in 0..COUNT {
                while sender.try_push(value).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        for expected in 0..COUNT {
            let value = loop {
                match receiver.pop() {
                    Some(value) => break value,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(value, expected);
        }
        producer.join().unwrap();
        assert!(receiver.is_abandoned());
    }

    #[test]
    fn a_mark_is_seen_by_all_its_readers() {
        let (mut writer, reader) = mark();
        let other = reader.clone();
        assert_eq!(reader.value(), 0);
        writer.set(41);
        writer.set(41);
        assert_eq!((writer.value(), reader.value(), other.value()), (41, 41, 41));
    }
}
