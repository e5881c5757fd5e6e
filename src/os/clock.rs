//! Clocks: the one seam through which time enters the platform.
//!
//! The sequencer asks once a record and writes the answer into it; nothing inside the engine reads a clock. Behind
//! [`Clock`] stands the system's clock when trading, and [`ManualClock`] in tests and simulation. `tsc` and
//! `monotonic_ns` are for measuring intervals. All of them are hot and make no system call (vDSO, 22 ns; the counter
//! itself 10 ns).

#![allow(unsafe_code)]

use std::sync::OnceLock;

/// Lets the calling thread's sleeps end when they should: by default the kernel may add 50 us to each, to wake several
/// threads at once. For a cold thread that others wait for. Without effect where the system refuses.
pub fn wake_on_time() {
    // SAFETY: a plain call with numbers; 1 ns is the least that does not mean "the default".
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0) };
}

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

/// The host's steady clock, for heartbeats and time-outs: setting the host's time must not disconnect clients.
#[derive(Clone, Copy, Default, Debug)]
pub struct SteadyClock;

impl Clock for SteadyClock {
    #[inline]
    fn now(&mut self) -> u64 {
        monotonic_ns()
    }
}

/// The host's clock, read between two looks at it from the processor's counter: a third of the cost.
///
/// A look is due every [`LOOK_NS`]; in between the counter is scaled by the rate measured at start, which a clock that is
/// being steered leaves by parts in ten thousand at most, so the time is right within some hundred nanoseconds. Where the
/// counter is not the kernel's own clock source, every reading is a look.
#[derive(Clone, Copy, Debug)]
pub struct CountedClock {
    /// Counter and time of the last look.
    counted: u64,
    looked_ns: u64,
    /// Counts after which a look is due; 0 when the counter cannot be trusted.
    look_counts: u64,
    /// Nanoseconds a count, times 2^[`RATE_BITS`].
    rate: u64,
}

/// Time between two looks at the host's clock.
const LOOK_NS: u64 = 1_000_000;
/// Fraction bits of the rate: with them a look's worth of counts times the rate stays below 2^63.
const RATE_BITS: u32 = 32;
/// How long the counter is compared with the clock at start.
const CALIBRATION_NS: u64 = 5_000_000;

/// Counts between the two readings around a clock's that still make them one moment: about a microsecond.
const PAIR_COUNTS_MAX: u64 = 4_096;
/// Tries to read both at one moment; of the last resort the closest pair is taken.
const PAIR_TRIES: u32 = 8;

/// Counter and clock at one moment: whoever is taken off its core between the two readings tries again.
#[inline]
fn paired(read_ns: impl Fn() -> u64) -> (u64, u64) {
    let (mut closest, mut pair) = (u64::MAX, (0, 0));
    for _ in 0..PAIR_TRIES {
        let before = tsc();
        let now_ns = read_ns();
        let gap = tsc().wrapping_sub(before);
        if gap < closest {
            (closest, pair) = (gap, (before, now_ns));
        }
        if gap <= PAIR_COUNTS_MAX {
            break;
        }
    }
    pair
}

impl CountedClock {
    /// On the counter's rate, which the first clock of the process measures, for some milliseconds. Cold.
    pub fn new() -> CountedClock {
        static MEASURED: OnceLock<CountedClock> = OnceLock::new();
        *MEASURED.get_or_init(|| {
            let source = std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
            CountedClock::measured(cfg!(target_arch = "x86_64") && source.is_ok_and(|name| name.trim() == "tsc"))
        })
    }

    fn measured(trusted: bool) -> CountedClock {
        let mut clock = CountedClock { counted: 0, looked_ns: 0, look_counts: 0, rate: 0 };
        if trusted {
            let (counts, start) = paired(monotonic_ns);
            while monotonic_ns() - start < CALIBRATION_NS {
                std::hint::spin_loop();
            }
            let (counts_end, end) = paired(monotonic_ns);
            let (counts, passed) = (counts_end - counts, end - start);
            if counts > 0 {
                clock.rate = ((u128::from(passed) << RATE_BITS) / u128::from(counts)) as u64;
                clock.look_counts = (u128::from(counts) * u128::from(LOOK_NS) / u128::from(passed)) as u64;
            }
        }
        clock
    }

    #[inline(never)]
    fn look(&mut self) -> u64 {
        (self.counted, self.looked_ns) = paired(|| SystemClock.now());
        self.looked_ns
    }
}

impl Default for CountedClock {
    fn default() -> Self {
        CountedClock::new()
    }
}

impl Clock for CountedClock {
    #[inline]
    fn now(&mut self) -> u64 {
        // Wraps to a large number, and so to a look, when this core's counter lags behind that of the last look.
        let counts = tsc().wrapping_sub(self.counted);
        if counts >= self.look_counts {
            return self.look();
        }
        self.looked_ns + ((counts * self.rate) >> RATE_BITS)
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
    fn a_counted_clock_stays_with_the_hosts_clock() {
        for trusted in [true, false] {
            let mut clock = CountedClock::measured(trusted);
            for _ in 0..20_000 {
                let (before, now, after) = (SystemClock.now(), clock.now(), SystemClock.now());
                // A tenth of a millisecond: the distance between two looks, steered by one part in ten.
                let slack = if trusted { LOOK_NS / 10 } else { 0 };
                assert!(now + slack >= before && now <= after + slack, "{before} {now} {after}");
            }
        }
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
