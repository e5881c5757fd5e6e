//! What the kernel says about some of the player's requests: when it gave them to the network device, and when their
//! answers came from there.
//!
//! One measured request in [`FOLLOW_EVERY`] of a session is followed, one at a time, since its stamps cost some calls more;
//! the others go as ever. So a client's figure falls into what the client's own kernel and thread took on the way out, what
//! lies behind the device, and what they took on the way in. Where both sides share a host, the device is the loopback:
//! the exchange's part of the kernel then lies between the two stamps.
//!
//! Noting a sample is hot and allocates nothing; making times of it ([`KernelTally`]) is cold.

use super::super::latency::Latencies;
use crate::client::orders::KernelTimes;
use crate::measure::result::{KernelFigures, StageFigures};
use crate::os::kernel_stamps::Offset;

/// One request in so many: a prime, so that both of an order and its cancel come up.
pub const FOLLOW_EVERY: u32 = 17;
/// A request that has had no answer for so long is given up for another.
const LOST_NS: u64 = 100_000_000;
/// When the host's clock has been set by more than this during a run, its stamps are not times of the steady clock.
const SET_NS_MAX: u64 = 1_000;

/// Steps that the stamps tell apart.
pub const KERNEL_STEPS: [&str; 3] =
    ["call to kernel transmit", "kernel transmit to kernel receive", "kernel receive to read"];

/// Which request of a session is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    left: u32,
    /// Number of the request followed last; 0 is none.
    mark: u32,
    /// When it was sent, while its answer is out.
    since_ns: Option<u64>,
}

impl Follower {
    pub fn new() -> Follower {
        Follower { left: FOLLOW_EVERY, mark: 0, since_ns: None }
    }

    /// Whether the request at hand may be followed.
    #[inline]
    pub fn is_due(&mut self, now_ns: u64) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0 && self.since_ns.is_none_or(|since| now_ns.saturating_sub(since) > LOST_NS)
    }

    /// It was sent; gives its mark.
    pub fn follow(&mut self, now_ns: u64) -> u32 {
        self.left = FOLLOW_EVERY;
        self.mark = self.mark.wrapping_add(1).max(1);
        self.since_ns = Some(now_ns);
        self.mark
    }

    /// The request of this mark has its answer: whether it is the one that is followed. It no longer is.
    pub fn is_answered(&mut self, mark: u32) -> bool {
        mark == self.mark && self.since_ns.take().is_some()
    }
}

/// One request that was followed to its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelSample {
    /// When it was sent, in steady time.
    pub sent_ns: u64,
    /// What the kernel said, in ns since the epoch.
    pub kernel: KernelTimes,
    /// When its answer was there, in steady time.
    pub answered_ns: u64,
}

/// Samples, as many as there was memory taken for.
#[derive(Clone, Debug, Default)]
pub struct KernelSamples {
    kept: Vec<KernelSample>,
}

impl KernelSamples {
    /// Room for so many, touched.
    pub fn new(capacity: usize) -> KernelSamples {
        let mut kept = vec![KernelSample { sent_ns: 1, kernel: KernelTimes::default(), answered_ns: 1 }; capacity];
        kept.clear();
        KernelSamples { kept }
    }

    /// Keeps one, while there is room.
    pub fn push(&mut self, sample: KernelSample) {
        if self.kept.len() < self.kept.capacity() {
            self.kept.push(sample);
        }
    }

    /// Forgets all; keeps the memory.
    pub fn clear(&mut self) {
        self.kept.clear();
    }
}

/// What the stamps of one or more runs come to.
pub struct KernelTally {
    steps: [Latencies; KERNEL_STEPS.len()],
    figures: KernelFigures,
}

impl Default for KernelTally {
    fn default() -> Self {
        KernelTally::new()
    }
}

impl KernelTally {
    /// Of no run.
    pub fn new() -> KernelTally {
        KernelTally { steps: [Latencies::new(), Latencies::new(), Latencies::new()], figures: KernelFigures::default() }
    }

    /// Takes a run's samples in; `offsets` are the host's clock's before and behind it.
    pub fn add(&mut self, samples: &KernelSamples, [before, behind]: [Offset; 2]) {
        let figures = &mut self.figures;
        figures.followed += samples.kept.len() as u64;
        let error_ns = before.error_ns().max(behind.error_ns()) + before.apart_ns(&behind);
        if before.apart_ns(&behind) > SET_NS_MAX {
            figures.clock_set += samples.kept.len() as u64;
            return;
        }
        figures.clock_error_ns = figures.clock_error_ns.max(error_ns);
        for sample in &samples.kept {
            let [sent, received] = [sample.kernel.transmitted_ns, sample.kernel.received_ns];
            figures.transmitted += u64::from(sent.is_some());
            figures.received += u64::from(received.is_some());
            figures.shared_reads += u64::from(sample.kernel.shared_read);
            let (Some(sent), Some(received)) = (sent, received) else { continue };
            let [transmitted_ns, received_ns] = [sent, received].map(|at_ns| before.steady_ns(at_ns));
            let instants = [sample.sent_ns, transmitted_ns, received_ns, sample.answered_ns];
            for (step, latencies) in self.steps.iter_mut().enumerate() {
                latencies.record(instants[step + 1].saturating_sub(instants[step]));
            }
        }
    }

    /// The figures; `None` where nothing was followed.
    pub fn finish(mut self) -> Option<KernelFigures> {
        let named = KERNEL_STEPS.iter().zip(&self.steps).filter(|(_, latencies)| latencies.count() > 0);
        let figures = |(name, latencies): (&&str, &Latencies)| StageFigures {
            name: (*name).to_owned(),
            percentiles: latencies.percentiles(),
        };
        self.figures.steps = named.map(figures).collect();
        (self.figures.followed > 0).then_some(self.figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_in_so_many_is_followed_and_one_at_a_time() {
        let mut follower = Follower::new();
        let due = |follower: &mut Follower, now_ns| (1..=FOLLOW_EVERY * 3).find(|_| follower.is_due(now_ns));
        assert_eq!(due(&mut follower, 0), Some(FOLLOW_EVERY));
        let first = follower.follow(0);
        assert_eq!(due(&mut follower, 1), None, "the first has no answer yet");
        assert!(follower.is_answered(first) && !follower.is_answered(first));
        assert_eq!(due(&mut follower, 2), Some(1), "one is overdue");
        let second = follower.follow(2);
        assert!(!follower.is_answered(first) && second != first);
        assert_eq!(due(&mut follower, 3 + LOST_NS), Some(FOLLOW_EVERY), "the second got no answer");
        let third = follower.follow(3 + LOST_NS);
        assert!(!follower.is_answered(second) && follower.is_answered(third));
    }

    fn sample(kernel: [Option<u64>; 2]) -> KernelSample {
        let [transmitted_ns, received_ns] = kernel;
        KernelSample {
            sent_ns: 1_000,
            kernel: KernelTimes { transmitted_ns, received_ns, shared_read: false },
            answered_ns: 9_000,
        }
    }

    fn of(samples: &[KernelSample]) -> KernelSamples {
        let mut all = KernelSamples::new(samples.len());
        samples.iter().for_each(|&sample| all.push(sample));
        all
    }

    #[test]
    fn steps_are_times_of_the_clients_clock_and_missing_stamps_are_counted() {
        let epoch = 1_700_000_000_000_000_000;
        let offset = Offset::of(epoch, 30);
        let at = |ns: u64| Some(epoch + ns);
        let mut tally = KernelTally::new();
        tally.add(&of(&[sample([at(1_500), at(8_000)]), sample([None, at(8_000)]), sample([None, None])]), [offset; 2]);
        let figures = tally.finish().unwrap();
        let counts = (figures.followed, figures.transmitted, figures.received, figures.clock_set);
        assert_eq!((counts, figures.clock_error_ns), ((3, 1, 2, 0), 30));
        let steps: Vec<(&str, u64)> = figures.steps.iter().map(|s| (s.name.as_str(), s.percentiles.p50)).collect();
        let wanted = KERNEL_STEPS.into_iter().zip([500, 6_500, 1_000]);
        assert!(steps.iter().copied().zip(wanted).all(|(a, b)| a.0 == b.0 && a.1.abs_diff(b.1) <= b.1 / 1_000));
        assert_eq!(steps.len(), 3);
    }

    #[test]
    fn stamps_of_a_clock_that_was_set_meanwhile_make_no_times() {
        let mut tally = KernelTally::new();
        tally.add(&of(&[sample([Some(5), Some(6)])]), [Offset::of(0, 10), Offset::of(SET_NS_MAX + 1, 10)]);
        let figures = tally.finish().unwrap();
        assert_eq!((figures.followed, figures.clock_set, figures.transmitted), (1, 1, 0));
        assert!(figures.steps.is_empty());
        assert!(KernelTally::new().finish().is_none());
    }

    #[test]
    fn samples_beyond_the_memory_taken_are_dropped() {
        let mut samples = KernelSamples::new(1);
        (0..3).for_each(|_| samples.push(sample([None, None])));
        assert_eq!(samples.kept.len(), 1);
        samples.clear();
        assert!(samples.kept.is_empty());
    }
}
