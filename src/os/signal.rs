//! Termination signals: SIGINT and SIGTERM ask for an orderly end. Cold.
//!
//! The handler does the one thing that is safe in a handler, a store to an atomic; the foreground looks at it.

#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// One process has one set of signals, hence one flag.
static TERMINATION: AtomicBool = AtomicBool::new(false);

extern "C" fn on_termination(_signal: libc::c_int) {
    // Pairs with the load in `termination_requested`.
    TERMINATION.store(true, Ordering::Release);
}

/// From now on SIGINT and SIGTERM are noted instead of ending the process.
///
/// # Errors
/// What the system says.
pub fn watch_termination() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let handler = on_termination as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe, and lives as long as the process.
        // Test: `a_signal_is_noted`.
        let before = unsafe { libc::signal(signal, handler) };
        if before == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether one of them has come.
pub fn termination_requested() -> bool {
    // Pairs with the store in the handler.
    TERMINATION.load(Ordering::Acquire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_noted() {
        watch_termination().unwrap();
        assert!(!termination_requested());
        // SAFETY: raising a signal that has a handler; the handler is the one just installed.
        let raised = unsafe { libc::raise(libc::SIGTERM) };
        assert_eq!(raised, 0);
        assert!(termination_requested());
    }
}
