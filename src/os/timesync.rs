//! Whether the time of day is kept in step with the world's: what the kernel's clock discipline says. Cold.

#![allow(unsafe_code)]

use std::io;

/// What the kernel says about its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Agreement {
    /// Some program steers the clock and is content with it.
    pub is_in_step: bool,
    /// Furthest the clock can be off, in microseconds, by that program's own account.
    pub error_us_max: u64,
}

/// Asks the kernel; changes nothing.
/// # Errors
/// What the system says.
pub fn agreement() -> io::Result<Agreement> {
    // SAFETY: all zero is a valid value of this plain C structure, and asks for no change.
    let mut about: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `about` is a live structure of the type the call fills.
    let state = unsafe { libc::adjtimex(&raw mut about) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    let is_in_step = state != libc::TIME_ERROR && about.status & libc::STA_UNSYNC == 0;
    Ok(Agreement { is_in_step, error_us_max: u64::try_from(about.maxerror).unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_says_how_well_it_keeps_time() {
        assert!(super::agreement().is_ok());
    }
}
