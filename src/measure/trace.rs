//! Where a message's time went, from the client's intent to the client's answer: what the player noted of each request,
//! joined with the stamps that the venue put on some of them.
//!
//! The two know a request by session and number; numbers may come again on another day, so the times must agree, too. The
//! venue's stamps are counts of the processor's counter, made times by the player's own readings of counter and clock
//! around them. Both ends are on one host: between two hosts no counter means anything.
//!
//! Cold, between the slices of a run. The venue tells a way some milliseconds late, when its cold thread comes to it, so
//! the requests of a slice are kept until the next one has been played ([`SLICES_KEPT`]).

use super::latency::Latencies;
use super::load::schedule::Sample;
use super::result::{SlowMessage, StageFigures, Trace};
use crate::os::pairs::Pairs;
use crate::runtime::points::{POINTS, SPANS, WHOLE};
use crate::runtime::way_file::{ToldWay, Who};
use std::collections::VecDeque;

/// Steps of a joined way: the client's own lateness, the way to the gateway, those of the venue, the way back.
pub const STEPS: [&str; 3 + WHOLE] =
    ["due to sent", "sent to read", SPANS[0], SPANS[1], SPANS[2], SPANS[3], SPANS[4], "written to answered"];
/// All of them together: what the client's percentiles count.
pub const ALL: &str = "due to answered";
/// The slowest of a case that are kept one by one.
pub const SLOWEST_MAX: usize = 20;

/// Slices whose requests are kept: the one played last, and the one before.
const SLICES_KEPT: usize = 2;
/// Instants of a joined way: due, sent, the venue's points, answered.
const INSTANTS: usize = STEPS.len() + 1;
const _: () = assert!(INSTANTS == POINTS + 3, "each point of the venue stands between sent and answered");
/// By so much the venue's times may seem to lie outside of the client's and still be of the same request.
const SLACK_NS: u64 = 1_000_000;

/// What the player knows of a slice.
pub struct PlayedSlice {
    /// Its place in the case, from 0.
    pub index: usize,
    /// The first instant at which a measured request was due; what was read before is warm-up.
    pub measured_from_ns: u64,
    /// Its measured requests.
    pub samples: Vec<Sample>,
    /// Counter and clock around all of them.
    pub pairs: Pairs,
}

/// A request whose both ends are known.
#[derive(Clone, Copy, Debug)]
struct Joined {
    slice: usize,
    who: Who,
    number: u64,
    at_ns: [u64; INSTANTS],
}

impl Joined {
    fn steps(&self) -> [u64; STEPS.len()] {
        std::array::from_fn(|step| self.at_ns[step + 1] - self.at_ns[step])
    }

    fn total_ns(&self) -> u64 {
        self.at_ns[INSTANTS - 1] - self.at_ns[0]
    }
}

/// Joins the ways of a case.
pub struct Tracer {
    slices: VecDeque<PlayedSlice>,
    steps: Vec<Latencies>,
    inside: Latencies,
    all: Latencies,
    slowest: Vec<Joined>,
    trace: Trace,
}

impl Default for Tracer {
    fn default() -> Self {
        Tracer::new()
    }
}

impl Tracer {
    /// Without any.
    pub fn new() -> Tracer {
        Tracer {
            slices: VecDeque::with_capacity(SLICES_KEPT),
            steps: STEPS.iter().map(|_| Latencies::new()).collect(),
            inside: Latencies::new(),
            all: Latencies::new(),
            slowest: Vec::new(),
            trace: Trace { steps: STEPS.map(str::to_owned).to_vec(), ..Trace::default() },
        }
    }

    /// A slice has been played: its requests, in place of those of the slice before the last.
    pub fn on_slice(&mut self, mut slice: PlayedSlice) {
        slice.samples.retain(|sample| sample.who != Who::NOBODY);
        // A session's answers come in the order of its numbers: sorted already, but for other sessions' between.
        slice.samples.sort_unstable_by_key(|sample| sample.who);
        self.trace.clock_error_ns = self.trace.clock_error_ns.max(slice.pairs.error_ns());
        self.slices.truncate(SLICES_KEPT - 1);
        self.slices.push_front(slice);
    }

    /// Ways that the venue has told since the last time, and how many were overwritten before they could be read, in all.
    pub fn on_ways(&mut self, ways: &[ToldWay], missed: u64) {
        self.trace.missed = missed;
        for way in ways {
            self.on_way(way);
        }
        self.keep_slowest();
    }

    fn on_way(&mut self, way: &ToldWay) {
        // A question of the player's at the ends of a slice has no number, though the gateway's stamp is there.
        let is_asked = way.at[0] > 0 && way.who.user_ref().0 == 0;
        let first = way.at.iter().copied().find(|&counted| counted > 0).unwrap_or(0);
        let slice = self.slices.iter().find_map(|slice| Some((slice, slice.pairs.ns(first)?)));
        let Some((slice, first_ns)) = slice.filter(|_| !is_asked) else { return };
        if first_ns < slice.measured_from_ns {
            return;
        }
        self.trace.stamped += 1;
        let points = way.at.map(|counted| slice.pairs.ns(counted));
        let Some(points) = all(points).filter(|_| way.is_whole()) else {
            self.trace.incomplete += 1;
            return;
        };
        let Some(sample) = find(&slice.samples, way.who, points[0]) else { return };
        self.trace.joined += 1;
        self.trace.early += u64::from(points[POINTS - 1] > sample.answered_ns);
        let joined = Joined { slice: slice.index, who: way.who, number: way.number, at_ns: instants(sample, points) };
        for (latencies, ns) in self.steps.iter_mut().zip(joined.steps()) {
            latencies.record(ns);
        }
        self.inside.record(points[POINTS - 1].saturating_sub(points[0]));
        self.all.record(joined.total_ns());
        self.slowest.push(joined);
    }

    fn keep_slowest(&mut self) {
        self.slowest.sort_by_key(|joined| (std::cmp::Reverse(joined.total_ns()), joined.number));
        self.slowest.truncate(SLOWEST_MAX);
    }

    /// What it came to: figures of the steps, none where nothing was joined, and the rest.
    pub fn finish(mut self) -> (Vec<StageFigures>, Trace) {
        let slow = |joined: &Joined| SlowMessage {
            slice: joined.slice,
            session: joined.who.session().0,
            user_ref: joined.who.user_ref().0,
            number: joined.number,
            total_ns: joined.total_ns(),
            steps_ns: joined.steps().to_vec(),
        };
        self.trace.slowest = self.slowest.iter().map(slow).collect();
        let figures = |name: &str, latencies: &Latencies| StageFigures {
            name: name.to_owned(),
            percentiles: latencies.percentiles(),
        };
        let mut stages: Vec<StageFigures> = Vec::new();
        if self.trace.joined > 0 {
            stages.extend(STEPS.iter().zip(&self.steps).map(|(name, latencies)| figures(name, latencies)));
            stages.push(figures(SPANS[WHOLE], &self.inside));
            stages.push(figures(ALL, &self.all));
        }
        (stages, self.trace)
    }
}

/// All of them, or none.
fn all(points: [Option<u64>; POINTS]) -> Option<[u64; POINTS]> {
    let mut known = [0; POINTS];
    for (known, point) in known.iter_mut().zip(points) {
        *known = point?;
    }
    Some(known)
}

/// The request of this number that was under way when the venue read it.
fn find(samples: &[Sample], who: Who, read_ns: u64) -> Option<&Sample> {
    let first = samples.partition_point(|sample| sample.who < who);
    let same = samples[first..].iter().take_while(|sample| sample.who == who);
    let mut fits = same.filter(|s| s.sent_ns <= read_ns + SLACK_NS && read_ns <= s.answered_ns + SLACK_NS);
    fits.next()
}

/// The instants in their order. One that seems to lie before the one ahead of it (a matcher stamps when its events are on
/// their way already), or behind the answer (the client had it before the venue's call returned), is put beside it.
fn instants(sample: &Sample, points: [u64; POINTS]) -> [u64; INSTANTS] {
    let mut at_ns = [0; INSTANTS];
    (at_ns[0], at_ns[1], at_ns[INSTANTS - 1]) = (sample.due_ns.min(sample.sent_ns), sample.sent_ns, sample.answered_ns);
    at_ns[2..INSTANTS - 1].copy_from_slice(&points);
    for instant in 2..INSTANTS {
        at_ns[instant] = at_ns[instant].max(at_ns[instant - 1]).min(sample.answered_ns.max(sample.sent_ns));
    }
    at_ns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock::{monotonic_ns, tsc};
    use crate::types::{Channel, SessionId, UserRef};

    fn who(session: u16, user_ref: u32) -> Who {
        Who::of(SessionId(session), Channel::NONE, UserRef(user_ref))
    }

    /// Readings around now, and a counter between them with its time.
    fn around() -> (Pairs, Vec<(u64, u64)>) {
        let mut pairs = Pairs::new(1_000);
        pairs.note();
        let mut counts = Vec::new();
        while counts.len() < 16 {
            let until = monotonic_ns() + 20_000;
            while monotonic_ns() < until {}
            counts.push(tsc());
            pairs.note();
        }
        let known = counts.iter().filter_map(|&counted| Some((counted, pairs.ns(counted)?))).collect();
        (pairs, known)
    }

    /// A whole way through six of the counters, and the request it belongs to: sent 2 us before, answered 3 us behind.
    fn pair_of(who: Who, number: u64, at: &[(u64, u64)]) -> (ToldWay, Sample) {
        let way = ToldWay { number, who, at: std::array::from_fn(|point| at[point].0) };
        let (due_ns, sent_ns) = (at[0].1 - 5_000, at[0].1 - 2_000);
        (way, Sample { due_ns, sent_ns, answered_ns: at[5].1 + 3_000, who })
    }

    fn slice(samples: Vec<Sample>, pairs: Pairs) -> PlayedSlice {
        PlayedSlice { index: 0, measured_from_ns: 0, samples, pairs }
    }

    #[test]
    fn the_steps_of_a_joined_way_add_up_to_what_the_client_counted() {
        let (pairs, at) = around();
        let (way, sample) = pair_of(who(1, 7), 90, &at);
        let mut tracer = Tracer::new();
        tracer.on_slice(slice(vec![sample], pairs));
        tracer.on_ways(&[way], 3);
        let (stages, trace) = tracer.finish();
        assert_eq!((trace.stamped, trace.joined, trace.incomplete, trace.missed, trace.early), (1, 1, 0, 3, 0));
        let slow = &trace.slowest[0];
        assert_eq!((slow.number, slow.session, slow.user_ref, slow.total_ns), (90, 1, 7, sample.intended_ns()));
        assert_eq!(slow.steps_ns.iter().sum::<u64>(), slow.total_ns);
        assert_eq!((slow.steps_ns[0], slow.steps_ns[1], slow.steps_ns[7]), (3_000, 2_000, 3_000));
        let inside: Vec<u64> = (0..5).map(|point| at[point + 1].1 - at[point].1).collect();
        assert_eq!(slow.steps_ns[2..7], inside);
        let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, [&STEPS[..], &[SPANS[WHOLE], ALL]].concat());
    }

    #[test]
    fn ways_are_joined_a_slice_late_and_no_later() {
        let (pairs, at) = around();
        let (way, sample) = pair_of(who(0, 5), 1, &at);
        for (slices_later, joined) in [(0, 1), (1, 1), (2, 0)] {
            let mut tracer = Tracer::new();
            tracer.on_slice(slice(vec![sample], pairs.clone()));
            (0..slices_later).for_each(|_| tracer.on_slice(slice(Vec::new(), Pairs::new(0))));
            tracer.on_ways(&[way], 0);
            assert_eq!(tracer.finish().1.joined, joined, "{slices_later} slices later");
        }
    }

    #[test]
    fn lost_stamps_lost_requests_warm_ups_and_questions_are_told_apart() {
        let (pairs, at) = around();
        let (way, sample) = pair_of(who(0, 5), 1, &at);
        let counts = |change: &dyn Fn(&mut ToldWay, &mut PlayedSlice)| {
            let (mut way, mut slice) = (way, slice(vec![sample], pairs.clone()));
            change(&mut way, &mut slice);
            let mut tracer = Tracer::new();
            tracer.on_slice(slice);
            tracer.on_ways(&[way], 0);
            let (stages, trace) = tracer.finish();
            assert_eq!(stages.is_empty(), trace.joined == 0);
            (trace.stamped, trace.joined, trace.incomplete)
        };
        assert_eq!(counts(&|_, _| ()), (1, 1, 0));
        assert_eq!(counts(&|way, _| way.at[2] = 0), (1, 0, 1), "a stamp in the middle was lost");
        assert_eq!(counts(&|way, _| (way.who, way.at[0]) = (Who::NOBODY, 0)), (1, 0, 1), "the gateway's was lost");
        assert_eq!(counts(&|way, _| way.who = who(0, 6)), (1, 0, 0), "nobody knows the request");
        assert_eq!(counts(&|way, _| way.who = who(0, 0)), (0, 0, 0), "a question of the player");
        assert_eq!(counts(&|_, slice| slice.measured_from_ns = u64::MAX), (0, 0, 0), "a warm-up");
        assert_eq!(counts(&|way, _| way.at = way.at.map(|c| c / 2)), (0, 0, 0), "of another time");
    }

    #[test]
    fn a_number_that_came_twice_belongs_to_the_request_that_was_under_way() {
        let (pairs, at) = around();
        let (way, sample) = pair_of(who(0, 5), 1, &at);
        // The same number a second before and a second behind: another day's, to the venue.
        let moved = |by: i64| Sample {
            due_ns: sample.due_ns.wrapping_add_signed(by),
            sent_ns: sample.sent_ns.wrapping_add_signed(by),
            answered_ns: sample.answered_ns.wrapping_add_signed(by),
            who: sample.who,
        };
        let second = 1_000_000_000;
        for (samples, joined) in
            [(vec![moved(-second), sample, moved(second)], 1), (vec![moved(second), moved(-second)], 0)]
        {
            let mut tracer = Tracer::new();
            tracer.on_slice(slice(samples, pairs.clone()));
            tracer.on_ways(&[way], 0);
            let trace = tracer.finish().1;
            assert_eq!(trace.joined, joined);
            assert!(trace.slowest.iter().all(|slow| slow.total_ns == sample.intended_ns()));
        }
    }

    #[test]
    fn an_answer_that_is_there_before_the_venues_call_returns_leaves_no_step_below_nothing() {
        let sample = Sample { due_ns: 90, sent_ns: 100, answered_ns: 200, who: who(0, 1) };
        // Matched is stamped behind committed; written behind the answer.
        let at_ns = instants(&sample, [110, 120, 130, 150, 145, 230]);
        assert_eq!(at_ns, [90, 100, 110, 120, 130, 150, 150, 200, 200]);
        // A clock that is off by a little, and a send that was not late.
        let sample = Sample { due_ns: 105, ..sample };
        assert_eq!(instants(&sample, [99, 120, 130, 140, 150, 160]), [100, 100, 100, 120, 130, 140, 150, 160, 200]);
    }

    #[test]
    fn the_slowest_are_kept_slowest_first() {
        let (pairs, at) = around();
        let mut tracer = Tracer::new();
        let (ways, samples): (Vec<ToldWay>, Vec<Sample>) = (1..=50u64)
            .map(|n| {
                let (way, sample) = pair_of(who(0, n as u32), n, &at);
                (way, Sample { answered_ns: sample.answered_ns + (n * 37 % 50) * 1_000, ..sample })
            })
            .unzip();
        tracer.on_slice(slice(samples.clone(), pairs));
        // In two looks: the second has slower ones, too.
        tracer.on_ways(&ways[..25], 0);
        tracer.on_ways(&ways[25..], 0);
        let trace = tracer.finish().1;
        let mut wanted: Vec<u64> = samples.iter().map(Sample::intended_ns).collect();
        wanted.sort_unstable_by(|a, b| b.cmp(a));
        let totals: Vec<u64> = trace.slowest.iter().map(|slow| slow.total_ns).collect();
        assert_eq!((trace.joined, totals), (50, wanted[..SLOWEST_MAX].to_vec()));
    }
}
