//! Clocks: the one seam through which time enters the platform.
//!
//! The sequencer asks once a record and writes the answer into it; nothing inside the engine reads a clock. Behind
//! [`Clock`] stands the system's clock when trading, and [`ManualClock`] in tests and simulation. `tsc` and
//! `monotonic_ns` are for measuring intervals. All of them are hot and make no system call (vDSO, 22 ns; the counter
//! itself 10 ns).

#![allow(unsafe_code)]

/// Where times of records come from.
pub trait Clock {
    /// Nanoseconds since the Unix epoch. May step back when the host's clock is set; who needs order sees to it.
    fn now(&mut self) -> u64;
}

/// The host's clock, as NTP or PTP keeps it.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&mut self) -> u64 {
        // As `SystemTime` reads it, without the way through a signed difference.
        read(libc::CLOCK_REALTIME)
    }
}

/// A clock that advances by `step_ns` at each reading and otherwise only when told: time as an input.
#[derive(Clone, Copy, Default, Debug)]
pub struct ManualClock {
    /// What the next reading gives.
    pub now_ns: u64,
    /// How far each reading moves it.
    pub step_ns: u64,
}

impl Clock for ManualClock {
    #[inline]
    fn now(&mut self) -> u64 {
        let now = self.now_ns;
        self.now_ns += self.step_ns;
        now
    }
}

/// Nanoseconds of a clock that never steps, since some point before the process began. The same in every process of
/// the host, so that stamps taken by a client and by the platform compare.
#[inline]
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec; both clocks exist on every Linux, so that the call cannot fail.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The processor's time-stamp counter: the cheapest stamp, in its own unit. Not ordered against the instructions
/// around it; differences below some 20 ns mean nothing. Elsewhere than x86-64 it is [`monotonic_ns`].
#[inline]
pub fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, and Linux leaves it allowed to user code.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    monotonic_ns()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_stands_in_this_century() {
        let now = SystemClock.now();
        assert!((1_600_000_000_000_000_000..4_000_000_000_000_000_000).contains(&now), "{now}");
    }

    #[test]
    fn interval_clocks_never_go_back() {
        let (mut tsc_last, mut ns_last) = (tsc(), monotonic_ns());
        for _ in 0..10_000 {
            let ns = monotonic_ns();
            assert!(ns >= ns_last);
            ns_last = ns;
        }
        let tsc_now = tsc();
        assert!(tsc_now > tsc_last);
        tsc_last = tsc_now;
        let _ = tsc_last;
    }

    #[test]
    fn a_manual_clock_moves_by_its_step() {
        let mut clock = ManualClock { now_ns: 5, step_ns: 2 };
        assert_eq!([clock.now(), clock.now(), clock.now()], [5, 7, 9]);
    }
}
