//! Signals: SIGINT and SIGTERM ask this process for an orderly end; another process can be halted and let go on. Cold.
//!
//! The handler does the one thing that is safe in a handler, a store to an atomic; the foreground looks at it.
//! Halting serves measurements: two spinners on one core cost each other whole time slices, so of several that take
//! turns there only the one at hand may run.

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

/// Lets a closed pipe end this process in silence, as shells expect of whoever prints into `head`. For commands that only
/// print from here on: writing to a socket whose peer is gone would end them too.
pub fn end_with_closed_pipe() {
    // SAFETY: the default action of a signal is a valid one, and no other thread runs yet that could set another.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Whether one of them has come.
pub fn termination_requested() -> bool {
    // Pairs with the store in the handler.
    TERMINATION.load(Ordering::Acquire)
}

/// Halts a process, all its threads, until [`resume`]. Returns when it stands still.
///
/// # Errors
/// What the system says; `NotFound` when there is no such process.
pub fn halt(process: u32) -> io::Result<()> {
    send(process, libc::SIGSTOP)?;
    while !stands_still(process)? {
        std::thread::yield_now();
    }
    Ok(())
}

/// Lets a halted process go on.
///
/// # Errors
/// What the system says.
pub fn resume(process: u32) -> io::Result<()> {
    send(process, libc::SIGCONT)
}

fn send(process: u32, signal: libc::c_int) -> io::Result<()> {
    let Some(process) = libc::pid_t::try_from(process).ok().filter(|process| *process > 1) else {
        // 0 and below mean groups of processes, 1 the system's own: never ours to signal.
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    // SAFETY: takes plain numbers.
    if unsafe { libc::kill(process, signal) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether every thread has taken the stop. The state is the letter behind the name in brackets (`proc_pid_stat(5)`).
fn stands_still(process: u32) -> io::Result<bool> {
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that ended meanwhile stands still too.
        let Ok(text) = std::fs::read_to_string(task?.path().join("stat")) else { continue };
        let state = text.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        if !matches!(state, Some('T' | 'Z' | 'X')) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_halted_process_stands_still_until_it_is_resumed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        halt(child.id()).unwrap();
        assert!(stands_still(child.id()).unwrap());
        resume(child.id()).unwrap();
        while stands_still(child.id()).unwrap() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn groups_of_processes_are_not_signalled() {
        for process in [0, 1, u32::MAX] {
            assert_eq!(halt(process).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

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
