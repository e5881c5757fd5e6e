//! [`HugeAllocator`]: the system's allocator, with large memory on huge pages and there from the start.
//!
//! Books and order tables are arrays of tens of megabytes that a start fills from the first entry to the last: tens of
//! thousands of faults of small pages, and then a copy of all of them to huge pages. Who builds them knows nothing of
//! pages. So the program's allocator does: memory of some megabytes and more is asked for as huge pages, all at once, before
//! its owner sees it. Smaller memory passes by. Cold: such memory is taken at start and by commands that read large files.
//!
//! For programs, by `#[global_allocator]` in their root; a library leaves the choice to them.

#![allow(unsafe_code)]

use crate::os::pages::{self, HUGE_PAGE_BYTES};
use std::alloc::{GlobalAlloc, Layout, System};

/// Memory from this size on is treated so: below it the ends that are no whole huge page would be most of it.
const LARGE_BYTES: usize = 4 << 20;

/// See the module's words.
#[derive(Clone, Copy, Debug, Default)]
pub struct HugeAllocator;

// SAFETY: every call goes to the system's allocator as it came, and what it gives is given. Between, the system is asked for
// pages inside that memory, which changes no byte of it. Test: `large_memory_is_there_and_keeps_its_contents`.
unsafe impl GlobalAlloc for HugeAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let memory = unsafe { System.alloc(layout) };
        bring_if_large(memory, layout.size());
        memory
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let memory = unsafe { System.alloc_zeroed(layout) };
        bring_if_large(memory, layout.size());
        memory
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let memory = unsafe { System.realloc(memory, layout, bytes) };
        bring_if_large(memory, bytes);
        memory
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[inline]
fn bring_if_large(memory: *mut u8, bytes: usize) {
    if bytes >= LARGE_BYTES && !memory.is_null() {
        bring(memory, bytes);
    }
}

/// Has the whole huge pages inside this memory there, and closes them to the kernel's background collapse.
#[cold]
fn bring(memory: *mut u8, bytes: usize) {
    if !pages::gives_huge_pages() {
        return;
    }
    let start = memory.addr().next_multiple_of(HUGE_PAGE_BYTES);
    let end = (memory.addr() + bytes) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    for advice in [libc::MADV_HUGEPAGE, libc::MADV_POPULATE_WRITE, libc::MADV_NOHUGEPAGE] {
        // SAFETY: whole pages inside memory that was just given to us and that nobody else knows of; no byte changes.
        // Refused, the pages come as they are used.
        let _refused = unsafe { libc::madvise(memory.with_addr(start).cast(), end.saturating_sub(start), advice) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::pages::faults;

    #[test]
    fn large_memory_is_there_and_keeps_its_contents() {
        let layout = Layout::from_size_align(3 * LARGE_BYTES + 12_345, 64).unwrap();
        // SAFETY: the size is not zero.
        let memory = unsafe { HugeAllocator.alloc_zeroed(layout) };
        // SAFETY: so much was given, zeroed, and nobody else knows of it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(memory, layout.size()) };
        let before = faults();
        bytes.iter_mut().step_by(4096).for_each(|byte| *byte = 5);
        let pages_met = faults().minor - before.minor;
        // The ends are no whole huge pages.
        let ends = 2 * HUGE_PAGE_BYTES as u64 / 4096;
        assert!(!pages::gives_huge_pages() || pages_met <= ends, "{pages_met} faults");
        // SAFETY: given by this allocator with this layout.
        let memory = unsafe { HugeAllocator.realloc(memory, layout, 2 * layout.size()) };
        // SAFETY: so much was given, of which the first part was written.
        let bytes = unsafe { std::slice::from_raw_parts(memory, layout.size()) };
        assert!(bytes.iter().step_by(4096).all(|byte| *byte == 5) && bytes[1] == 0);
        let grown = Layout::from_size_align(2 * layout.size(), 64).unwrap();
        // SAFETY: given by this allocator with this layout.
        unsafe { HugeAllocator.dealloc(memory, grown) };
    }

    #[test]
    fn small_memory_passes_by() {
        let layout = Layout::from_size_align(100, 8).unwrap();
        // SAFETY: the size is not zero.
        let memory = unsafe { HugeAllocator.alloc(layout) };
        assert!(!memory.is_null());
        // SAFETY: given by this allocator with this layout.
        unsafe { HugeAllocator.dealloc(memory, layout) };
    }
}
