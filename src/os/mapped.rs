//! [`Mapped`]: a stretch of shared or private memory behind bounds-checked accesses.
//!
//! The journal's log, the counters, the price cache and the shared rings all live in memory that other threads or
//! other processes look at while we write. A `&mut [u8]` over such memory would promise an exclusiveness nobody can
//! keep, so the mapping is raw and every access goes through a checked copy or an atomic. What remains to the caller
//! is the protocol: which bytes one writer owns, and which atomic store hands them to readers.
//!
//! Creating, touching and locking is cold and done at start. `write`, `read` and the atomics are hot: no call into
//! the system, and after [`Mapped::touch`] no page fault. A store into a file whose size shrank would raise SIGBUS;
//! files made here have their blocks taken at creation, so that a full disk is an error then and not a signal later.

#![allow(unsafe_code)]

use memmap2::{Advice, MmapOptions, MmapRaw};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Owner may read and write, nobody else: journals and counters name accounts and positions.
const FILE_MODE: u32 = 0o600;

/// A mapping, with the file (and its lock) held open as long as it lives.
#[derive(Debug)]
pub struct Mapped {
    raw: MmapRaw,
    writable: bool,
    /// Held for the `flock`, which lasts as long as the open file.
    file: Option<File>,
}

impl Mapped {
    /// A new file of `bytes`, zeroed, its blocks allocated, locked against a second writer, readable by its owner
    /// only. On hugetlbfs the size is rounded up to whole huge pages.
    /// # Errors
    /// `AlreadyExists` when there is one, `StorageFull`, or what the system says; a file half made is removed.
    pub fn create(path: &Path, bytes: usize) -> io::Result<Mapped> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        let made = lock_exclusive(&file)
            .and_then(|()| whole_pages(&file, bytes))
            .and_then(|bytes| allocate(&file, bytes).and_then(|()| Mapped::from_file(&file, bytes, true)));
        match made {
            Ok(mapped) => Ok(Mapped { file: Some(file), ..mapped }),
            Err(error) => {
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// As [`Mapped::create`], in place of a file that an earlier process left. Who still maps the old one keeps it.
    /// # Errors
    /// `WouldBlock` when a living process holds the old file, and those of [`Mapped::create`].
    pub fn replace(path: &Path, bytes: usize) -> io::Result<Mapped> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(old) => {
                lock_exclusive(&old)?;
                std::fs::remove_file(path)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Mapped::create(path, bytes)
    }

    /// The whole of an existing file. A writable mapping takes the file's lock; a read-only one needs none.
    /// # Errors
    /// `WouldBlock` when another writer has it, `InvalidData` when it is empty, or what the system says.
    pub fn open(path: &Path, writable: bool) -> io::Result<Mapped> {
        let file = OpenOptions::new().read(true).write(writable).open(path)?;
        if writable {
            lock_exclusive(&file)?;
        }
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if bytes == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
        }
        Ok(Mapped { file: Some(file.try_clone()?), ..Mapped::from_file(&file, bytes, writable)? })
    }

    /// Memory of this process alone, zeroed.
    /// # Errors
    /// What the system says.
    pub fn anonymous(bytes: usize) -> io::Result<Mapped> {
        let raw = MmapRaw::from(MmapOptions::new().len(bytes).map_anon()?);
        Ok(Mapped { raw, writable: true, file: None })
    }

    /// The first `bytes` of an open file, such as a memfd that another process sent.
    /// The caller has made sure that the file cannot shrink (sealed, or locked and ours).
    /// # Errors
    /// `InvalidInput` when the file is shorter than `bytes`, or what the system says.
    pub fn from_file(file: &File, bytes: usize, writable: bool) -> io::Result<Mapped> {
        if bytes == 0 || file.metadata()?.len() < bytes as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file is shorter than its mapping"));
        }
        let mut options = MmapOptions::new();
        options.len(bytes);
        let raw = if writable { options.map_raw(file)? } else { options.map_raw_read_only(file)? };
        Ok(Mapped { raw, writable, file: None })
    }

    /// The file beneath, where this mapping opened it itself.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Bytes mapped.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Faults in every page for writing, so that no later store does. Contents stay.
    /// # Errors
    /// What the system says, `ENOMEM` and a full tmpfs or hugetlbfs included; never for a kernel without the call.
    pub fn touch(&self) -> io::Result<()> {
        if !self.writable {
            return self.raw.advise(Advice::PopulateRead);
        }
        match self.raw.advise(Advice::PopulateWrite) {
            // Kernels before 5.14 do not know the advice. A store of the byte that is there does the same by hand.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                for at in (0..self.len()).step_by(PAGE_BYTES) {
                    // Hidden from the compiler, which makes a load of a store that changes nothing.
                    self.atomic_u32(at).fetch_or(std::hint::black_box(0), Ordering::Relaxed);
                }
                Ok(())
            }
            other => other,
        }
    }

    /// Has the system begin to read the file, for a mapping that is about to be read whole. A hint: where it is refused,
    /// reading takes longer.
    pub fn read_ahead(&self) {
        let _refused = self.raw.advise(Advice::WillNeed);
    }

    /// Locks the pages in memory.
    /// # Errors
    /// `OutOfMemory` when above the memlock limit. Not fatal by itself: tmpfs without swap stays in memory anyway.
    pub fn lock(&self) -> io::Result<()> {
        self.raw.lock()
    }

    /// Copies `bytes` to offset `at`. The protocol says that no reader looks at this range yet.
    /// # Panics
    /// When the range leaves the mapping or the mapping is read-only: a bug.
    #[inline]
    pub fn write(&self, at: usize, bytes: &[u8]) {
        assert!(self.writable, "store into a read-only mapping");
        let target = self.range(at, bytes.len());
        // SAFETY: `range` checked that the mapping holds all of it, and it is writable. A slice of safe code cannot
        // lie inside the mapping except as `published` bytes, which the protocol never writes again. Test:
        // `accesses_outside_the_mapping_are_refused`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) }
    }

    /// Copies from offset `at` into `out`. With a writer at work in the range the copy may mix old and new bytes;
    /// the caller's protocol detects that (a sequence, a checksum) before it trusts the copy.
    /// # Panics
    /// When the range leaves the mapping: a bug.
    #[inline]
    pub fn read(&self, at: usize, out: &mut [u8]) {
        let source = self.range(at, out.len());
        // SAFETY: `range` checked that the mapping holds all of it; `out` is exclusive, hence elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(source, out.as_mut_ptr(), out.len()) }
    }

    /// Bytes that the protocol has made immutable for as long as the mapping lives (appended, then published).
    /// # Panics
    /// When the range leaves the mapping: a bug.
    #[inline]
    pub fn published(&self, at: usize, len: usize) -> &[u8] {
        let source = self.range(at, len);
        // SAFETY: in bounds by `range`; the caller's protocol never writes these bytes again, and the slice borrows
        // the mapping, so that it cannot be unmapped beneath it.
        unsafe { std::slice::from_raw_parts(source, len) }
    }

    /// The 4 bytes at `at` as an atomic. Only loads are allowed on a read-only mapping.
    /// # Panics
    /// When out of bounds or not aligned to 4: a bug.
    #[inline]
    pub fn atomic_u32(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(4), "an atomic of 4 bytes must be aligned");
        let target = self.range(at, 4).cast::<u32>();
        // SAFETY: in bounds and aligned (mappings begin at a page), alive as long as the borrow, and all bits are
        // valid. Racing plain accesses are excluded by the caller's protocol.
        unsafe { AtomicU32::from_ptr(target) }
    }

    /// The 8 bytes at `at` as an atomic. Only loads are allowed on a read-only mapping.
    /// # Panics
    /// When out of bounds or not aligned to 8: a bug.
    #[inline]
    pub fn atomic_u64(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8), "an atomic of 8 bytes must be aligned");
        let target = self.range(at, 8).cast::<u64>();
        // SAFETY: as in `atomic_u32`.
        unsafe { AtomicU64::from_ptr(target) }
    }

    /// The cache line at `at` as eight atomic words, with one check for all of them: what a ring of lines works on.
    /// Only loads are allowed on a read-only mapping.
    /// # Panics
    /// When out of bounds or not aligned to 64: a bug.
    #[inline]
    pub fn line(&self, at: usize) -> &[AtomicU64; 8] {
        assert!(at.is_multiple_of(64), "a cache line must be aligned");
        let target = self.range(at, 64).cast::<[AtomicU64; 8]>();
        // SAFETY: in bounds and aligned (mappings begin at a page), alive as long as the borrow; atomic words have
        // the layout of plain ones and every bit pattern is valid. Racing plain accesses are excluded by the
        // caller's protocol. Test: `accesses_outside_the_mapping_are_refused`.
        unsafe { &*target }
    }

    /// Copies whole words into `out`, each loaded whole (relaxed). For memory that a writer may be changing at this
    /// moment, seqlocks and hostile rings, where a plain copy would be a data race.
    #[inline]
    pub fn load_words(&self, at: usize, out: &mut [u64]) {
        let shared = self.words(at, out.len());
        for (word, shared) in out.iter_mut().zip(shared) {
            *word = shared.load(Ordering::Relaxed);
        }
    }

    /// Stores whole words, each at once (relaxed); the partner of [`Mapped::load_words`].
    #[inline]
    pub fn store_words(&self, at: usize, words: &[u64]) {
        assert!(self.writable, "store into a read-only mapping");
        for (word, shared) in words.iter().zip(self.words(at, words.len())) {
            shared.store(*word, Ordering::Relaxed);
        }
    }

    /// `count` words at `at`, so that a run of them is checked once.
    #[inline]
    fn words(&self, at: usize, count: usize) -> &[AtomicU64] {
        assert!(at.is_multiple_of(8), "an atomic of 8 bytes must be aligned");
        let first = self.range(at, count * 8).cast::<AtomicU64>();
        // SAFETY: as in `atomic_u32`, for all of the `count` words that `range` found in bounds; an `AtomicU64` has the
        // layout of its word.
        unsafe { std::slice::from_raw_parts(first, count) }
    }

    /// Asks for the cache line at `at` as one that will be written; a hint without effect when out of bounds.
    #[inline]
    pub fn prefetch_for_write(&self, at: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            let line = self.raw.as_ptr().wrapping_add(at);
            // SAFETY: a prefetch never faults, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(line.cast()) };
        }
    }

    /// Address of `at`, with room for `len` bytes.
    #[inline]
    fn range(&self, at: usize, len: usize) -> *mut u8 {
        let end = at.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.raw.len()), "{len} bytes at {at} lie outside the mapping");
        // `wrapping_add` is safe and, inside the mapping, the same as `add`.
        self.raw.as_mut_ptr().wrapping_add(at)
    }
}

/// The smallest page of every system we run on; touching by hand steps by it.
const PAGE_BYTES: usize = 4096;

/// Takes the lock that keeps a second writer out. It goes away with the open file, so also when the process dies.
fn lock_exclusive(file: &File) -> io::Result<()> {
    // SAFETY: a plain call on a descriptor we hold.
    let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the blocks now. `posix_fallocate` leaves no hole, so that a full disk is seen here.
/// # Errors
/// `StorageFull`, or what the system says.
pub fn allocate(file: &File, bytes: usize) -> io::Result<()> {
    let length = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: a plain call on a descriptor we hold.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
        0 => Ok(()),
        // The call returns its error; it does not set `errno`.
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// `bytes` rounded up to the file system's page where it insists: hugetlbfs maps and unmaps whole pages only.
fn whole_pages(file: &File, bytes: usize) -> io::Result<usize> {
    // SAFETY: all zero is a valid value of this plain C structure.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `about` is a live structure of the type the call fills.
    if unsafe { libc::fstatfs(file.as_raw_fd(), &mut about) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let huge = about.f_type == libc::HUGETLBFS_MAGIC as libc::__fsword_t;
    Ok(if huge { bytes.next_multiple_of(about.f_bsize as usize) } else { bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn bytes_written_are_seen_by_another_mapping_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m");
        let writer = Mapped::create(&path, 8192).unwrap();
        writer.touch().unwrap();
        let reader = Mapped::open(&path, false).unwrap();
        writer.write(100, b"hello");
        writer.atomic_u32(64).store(7, Ordering::Release);
        assert_eq!(reader.atomic_u32(64).load(Ordering::Acquire), 7);
        let mut out = [0u8; 5];
        reader.read(100, &mut out);
        assert_eq!((&out, reader.published(100, 5)), (b"hello", &b"hello"[..]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
    }

    #[test]
    fn a_second_writer_is_refused_and_an_existing_file_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m");
        let first = Mapped::create(&path, 4096).unwrap();
        assert_eq!(Mapped::create(&path, 4096).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(Mapped::open(&path, true).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(Mapped::replace(&path, 4096).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        assert_eq!(Mapped::open(&path, true).unwrap().len(), 4096);
        assert_eq!(Mapped::replace(&path, 8192).unwrap().len(), 8192);
    }

    #[test]
    fn accesses_outside_the_mapping_are_refused() {
        let mapped = Mapped::anonymous(4096).unwrap();
        let refused = |access: &dyn Fn()| {
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(access)).is_err());
        };
        refused(&|| mapped.write(4090, &[0; 7]));
        refused(&|| mapped.read(usize::MAX, &mut [0; 2]));
        refused(&|| drop(mapped.published(1, 4096).to_vec()));
        refused(&|| mapped.load_words(4, &mut [0]));
        refused(&|| mapped.line(4096)[0].store(0, Ordering::Relaxed));
        refused(&|| mapped.line(8)[0].store(0, Ordering::Relaxed));
        refused(&|| mapped.atomic_u32(4096).store(0, Ordering::Relaxed));
        mapped.write(4089, &[1; 7]);
    }

    #[test]
    fn a_file_shorter_than_its_mapping_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100).unwrap();
        assert!(Mapped::from_file(&file, 101, true).is_err());
        let mapped = Mapped::from_file(&file, 100, false).unwrap();
        mapped.touch().unwrap();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| mapped.write(0, &[1]))).is_err());
    }

    #[test]
    fn words_come_back_as_stored() {
        let mapped = Mapped::anonymous(4096).unwrap();
        mapped.touch().unwrap();
        mapped.store_words(64, &[1, u64::MAX, 3]);
        let mut out = [0; 3];
        mapped.load_words(64, &mut out);
        assert_eq!(out, [1, u64::MAX, 3]);
    }
}
