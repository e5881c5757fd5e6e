//! Asking for memory before it is needed. Hot.
//!
//! A thread that knows what it will touch in some hundred nanoseconds can have the lines on their way while it works on
//! something else. It is a hint and nothing more: no address is too wrong for it, and nothing waits for it.

#![allow(unsafe_code)]

/// Asks for the cache line of `address`, to be read or written soon. Does nothing where there is no such instruction.
#[inline]
pub fn fetch(address: *const u8) {
    // SAFETY: a prefetch reads nothing into the program and faults on no address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _unused = address;
}
