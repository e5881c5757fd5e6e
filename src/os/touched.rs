//! [`Touched`]: private memory of which only what is there can be reached, on huge pages where the system gives them.
//!
//! The stores of a day, each client's stream and the feed, are gigabytes. Touched page by page on one core before anything
//! else can happen, and moved to huge pages afterwards, they were most of a start. Here the system is told first
//! that huge pages are wanted, and is then asked for memory in pieces: by the owner as he needs it while he starts, and by
//! a [`Rest`] on another core meanwhile and behind the start, always ahead of the first byte that is used. Where
//! a host gives memory to its guests only when they touch it, two gigabytes take five seconds instead of a tenth.
//!
//! The slice that the owner sees ends where the memory that is there ends. So no store of a hot thread meets a page
//! that is missing, and the check of bounds that it makes anyway is the check whether there is room: hot threads pay
//! what a boxed slice costs them. When that is used up, [`Touched::look`] sees what has come.

#![allow(unsafe_code)]

use crate::os::pages;
use memmap2::{Advice, MmapMut, MmapRaw};
use std::hint::black_box;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Asked for at once: five milliseconds where the host has to find it first, a tenth of one where not. Whole huge pages.
pub const PIECE_BYTES: usize = pages::HUGE_PAGE_BYTES;
/// The smallest page of every system we run on; touching by hand steps by it.
const PAGE_BYTES: usize = 4096;

/// A stretch of private memory, zeroed at first, as far as it is there. See the module's words.
#[derive(Debug)]
pub struct Touched {
    /// Where it begins: that of `stretch`, here so that a hot thread goes no way round.
    start: *mut u8,
    /// Bytes that are there, as far as the owner knows.
    there: usize,
    stretch: Arc<Stretch>,
    /// Whether the owner asks the system for more himself.
    asks: bool,
}

/// The right to have the system give the rest of a stretch, for another thread.
#[derive(Clone, Debug)]
pub struct Rest(Arc<Stretch>);

#[derive(Debug)]
struct Stretch {
    memory: MmapRaw,
    /// Bytes that are there. Whoever has asked for more raises it, so that it never falls.
    there: AtomicUsize,
    /// Whether huge pages were asked for.
    is_huge: bool,
}

// SAFETY: the memory is that of the mapping, which lives as long as `stretch` is held, is private to this process, and is
// reached through this owner alone: a `Rest` only asks the system for pages, which changes no byte. So it may go to another
// thread as a boxed slice may. Test: `another_thread_brings_the_rest_while_the_owner_writes`.
unsafe impl Send for Touched {}
// SAFETY: as above; shared, it only gives shared slices.
unsafe impl Sync for Touched {}

impl Touched {
    /// So many bytes, of which none is there yet. What is as large as a huge page is rounded up to whole ones, because the
    /// system lays only such memory out for them.
    /// # Errors
    /// What the system says.
    pub fn reserve(bytes: usize) -> io::Result<Touched> {
        let is_large = bytes >= pages::HUGE_PAGE_BYTES;
        let too_much = || io::Error::from(io::ErrorKind::OutOfMemory);
        let rounded =
            if is_large { bytes.checked_next_multiple_of(pages::HUGE_PAGE_BYTES) } else { Some(bytes.max(1)) };
        let memory = MmapRaw::from(MmapMut::map_anon(rounded.ok_or_else(too_much)?)?);
        let is_huge = is_large && pages::gives_huge_pages() && memory.advise(Advice::HugePage).is_ok();
        let start = memory.as_mut_ptr();
        let stretch = Arc::new(Stretch { memory, there: AtomicUsize::new(0), is_huge });
        Ok(Touched { start, there: 0, stretch, asks: true })
    }

    /// So many bytes, all of them there.
    /// # Errors
    /// As [`Touched::reserve`].
    pub fn take(bytes: usize) -> io::Result<Touched> {
        let mut taken = Touched::reserve(bytes)?;
        taken.grow_to(bytes)?;
        Ok(taken)
    }

    /// Bytes that will be there in the end.
    pub fn capacity(&self) -> usize {
        self.stretch.memory.len()
    }

    /// Has the first `bytes` bytes there, as far as there are so many. Cold.
    /// # Errors
    /// What the system says; what was there stays.
    pub fn grow_to(&mut self, bytes: usize) -> io::Result<()> {
        while self.stretch.there() < bytes.min(self.capacity()) {
            self.stretch.ask()?;
        }
        self.there = self.stretch.there();
        Ok(())
    }

    /// Whether memory up to `end` has come to be there since the last look.
    #[cold]
    pub fn finds_room(&mut self, end: usize) -> bool {
        while self.len() < end {
            if !self.look() {
                return false;
            }
        }
        true
    }

    /// Sees what has come to be there, and whether that is more than before. An owner that has not
    /// [kept quiet](Touched::keep_quiet) asks for another piece first.
    #[cold]
    pub fn look(&mut self) -> bool {
        let before = self.there;
        if self.asks && self.stretch.there() == before {
            let _what_is_there_stays = self.stretch.ask();
        }
        self.there = self.stretch.there();
        self.there > before
    }

    /// From now on the owner asks the system for nothing: others have the [`Rest`]. For hot threads.
    pub fn keep_quiet(&mut self) {
        self.there = self.stretch.there();
        self.asks = false;
    }

    /// The right to bring the rest, where some is missing.
    pub fn rest(&self) -> Option<Rest> {
        (self.stretch.there() < self.capacity()).then(|| Rest(Arc::clone(&self.stretch)))
    }
}

impl Rest {
    /// Brings another piece; whether some are still missing.
    /// # Errors
    /// What the system says; what is there stays.
    pub fn bring(&self) -> io::Result<bool> {
        self.0.ask()
    }

    /// Bytes that are there.
    pub fn there(&self) -> usize {
        self.0.there()
    }
}

impl Stretch {
    fn there(&self) -> usize {
        // Pairs with the store in `ask`.
        self.there.load(Ordering::Acquire)
    }

    /// Asks for the piece behind what is there; whether some are still missing. Two threads may ask for the same one: the
    /// second finds it there.
    fn ask(&self) -> io::Result<bool> {
        let (at, len) = (self.there(), self.memory.len());
        let bytes = PIECE_BYTES.min(len - at);
        if bytes > 0 {
            match self.memory.advise_range(Advice::PopulateWrite, at, bytes) {
                // Kernels before 5.14 do not know the advice.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.touch_by_hand(at, bytes),
                other => other?,
            }
        }
        let there = at + bytes;
        // Release: who sees the mark may use what stands before it.
        self.there.fetch_max(there, Ordering::Release);
        if there == len && self.is_huge {
            // Closed to the kernel's background collapse, which would move pages under a hot thread.
            let _refused = self.memory.advise(Advice::NoHugePage);
        }
        Ok(there < len)
    }

    /// The compiler may not see that nothing is added: it would make a load of it, which finds a page to read and none to write.
    fn touch_by_hand(&self, at: usize, bytes: usize) {
        for at in (at..at + bytes).step_by(PAGE_BYTES) {
            let byte = self.memory.as_mut_ptr().wrapping_add(at).cast::<std::sync::atomic::AtomicU8>();
            // SAFETY: inside the mapping, which `self` holds; the owner reaches these bytes only after the mark has passed
            // them, and an atomic that adds nothing changes none even if another thread has brought them meanwhile.
            unsafe { &*byte }.fetch_or(black_box(0), Ordering::Relaxed);
        }
    }
}

impl Deref for Touched {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `there` bytes from the start lie in the mapping, were zeroed by the system and are reached through this
        // owner alone. Test: `the_slice_ends_where_the_memory_that_is_there_ends`.
        unsafe { std::slice::from_raw_parts(self.start, self.there) }
    }
}

impl DerefMut for Touched {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and the owner is borrowed for as long.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.there) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of_writing(stretch: &mut Touched) -> u64 {
        let before = pages::faults();
        stretch.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
        pages::faults().minor - before.minor
    }

    #[test]
    fn every_page_is_there_when_it_can_be_reached() {
        for bytes in [1, 4096, 100_001, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES] {
            let mut taken = Touched::take(bytes).unwrap();
            assert!(taken.len() >= bytes && taken.len() < bytes + PIECE_BYTES, "{} for {bytes}", taken.len());
            assert_eq!((taken.rest().is_none(), taken.iter().all(|byte| *byte == 0)), (true, true));
            assert_eq!(faults_of_writing(&mut taken), 0, "{bytes} bytes");
        }
    }

    #[test]
    fn the_slice_ends_where_the_memory_that_is_there_ends() {
        let mut stretch = Touched::reserve(3 * PIECE_BYTES).unwrap();
        assert_eq!((stretch.len(), stretch.capacity()), (0, 3 * PIECE_BYTES));
        stretch.grow_to(PIECE_BYTES + 1).unwrap();
        assert_eq!((stretch.len(), faults_of_writing(&mut stretch)), (2 * PIECE_BYTES, 0));
        let rest = stretch.rest().unwrap();
        assert!(!rest.bring().unwrap());
        assert_eq!(stretch.len(), 2 * PIECE_BYTES, "the owner has not looked");
        assert!(stretch.look() && !stretch.look());
        assert_eq!((stretch.len(), faults_of_writing(&mut stretch)), (3 * PIECE_BYTES, 0));
        stretch.grow_to(usize::MAX).unwrap();
        assert_eq!(stretch.len(), stretch.capacity());
    }

    #[test]
    fn an_owner_that_keeps_quiet_only_looks() {
        let mut stretch = Touched::reserve(3 * PIECE_BYTES).unwrap();
        assert!(stretch.look(), "it asks for a piece");
        stretch.keep_quiet();
        assert!(!stretch.look());
        assert_eq!(stretch.len(), PIECE_BYTES);
        assert!(stretch.rest().unwrap().bring().unwrap() && stretch.look());
        assert_eq!(stretch.len(), 2 * PIECE_BYTES);
    }

    #[test]
    fn another_thread_brings_the_rest_while_the_owner_writes() {
        let mut stretch = Touched::reserve(16 * PIECE_BYTES).unwrap();
        stretch.grow_to(1).unwrap();
        stretch.keep_quiet();
        let rest = stretch.rest().unwrap();
        let bringing = std::thread::spawn(move || while rest.bring().unwrap() {});
        let mut at = 0;
        while at < stretch.capacity() {
            if at < stretch.len() {
                stretch[at] = 7;
                at += PAGE_BYTES;
            } else if !stretch.look() {
                std::thread::yield_now();
            }
        }
        bringing.join().unwrap();
        assert!(stretch.iter().enumerate().all(|(at, byte)| *byte == if at % PAGE_BYTES == 0 { 7 } else { 0 }));
        assert!(stretch.rest().is_none());
    }

    #[test]
    fn touching_by_hand_leaves_no_page_out_and_contents_alone() {
        let mut stretch = Touched::take(10 * PAGE_BYTES).unwrap();
        stretch.fill(3);
        stretch.stretch.touch_by_hand(0, 10 * PAGE_BYTES);
        assert!(stretch.iter().all(|byte| *byte == 3));
        let mut stretch = Touched::reserve(10 * PAGE_BYTES).unwrap();
        stretch.stretch.touch_by_hand(0, 10 * PAGE_BYTES);
        stretch.there = 10 * PAGE_BYTES;
        assert_eq!(faults_of_writing(&mut stretch), 0);
    }

    #[test]
    fn memory_that_no_machine_has_is_refused() {
        assert!(Touched::take(usize::MAX / 4).is_err() && Touched::take(usize::MAX).is_err());
    }
}
