//! Stamps on the way of a message: hot threads write the raw counter, a cold one makes times of it.
//!
//! One message in so many is stamped, of those that are answered by a report of their own (a cancel is not: its order's
//! is). The gateway and the sequencer count the messages that pass between them, so both know which; from there on a flag travels in the record's own cache line. A stamp is pushed into a bounded link of
//! its point and never waited for: a link that is full loses it, and the way is told without it. What everybody pays
//! is a count or a flag in a line that is there anyway, and a branch; the message that is stamped pays some 15 ns a
//! point. So the choice of what is stamped depends on nothing that happens, and slow ways are told as often as fast.
//!
//! [`Ways`] is the cold end: it puts the stamps of a record together, counts the time from point to point, and writes the
//! way down whole, under the number by which its client knows it: only the gateway's stamp carries that.

use super::link::{Receiver, Sender, bounded};
use super::points::{POINTS, Point, WHOLE};
use super::spans::Spans;
use super::way_file::{ToldWay, WayFile, Who};
pub use crate::os::clock::tsc;
use crate::os::counts::Counts;
use crate::runtime::agent::Agent;
use crate::runtime::counters::{Counter, Counters};
use std::collections::VecDeque;

/// Stamps of a point that may wait: at the highest rates and the longest pause of the cold thread some hundreds.
const STAMPS_LINK: usize = 2_048;
/// Ways that may be under way at once, between the gateway's stamp and the last.
const WAYS_MAX: usize = 4_096;
/// Age after which a way that has no last stamp is told as far as it went: one was lost, or its answer was another's. Longer
/// than any disk lets an answer wait, or slow ways would be told less often than fast ones.
const AGE_MS_MAX: u64 = 5_000;
/// Turns between two refinements of the counter's rate.
const REFINE_TURNS: u32 = 256;

/// One stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    /// The record's number; of the gateway's stamps the count of the message.
    pub key: u64,
    /// Of the sequencer's first stamp the count of the message.
    pub message: u64,
    /// Of the gateway's first stamp whose request it is.
    pub who: Who,
    /// The counter.
    pub counted: u64,
}

/// The hot end of one point.
#[derive(Debug)]
pub struct Stamper {
    link: Option<Sender<Stamp>>,
}

impl Stamper {
    /// One that stamps nothing.
    pub const fn off() -> Stamper {
        Stamper { link: None }
    }

    /// Stamps now. The caller has seen that it is to be stamped, which is rare.
    #[cold]
    #[inline(never)]
    pub fn stamp(&mut self, key: u64) {
        self.push(Stamp { key, counted: tsc(), ..Stamp::default() });
    }

    /// Pushes a stamp made before.
    #[cold]
    #[inline(never)]
    pub fn push(&mut self, stamp: Stamp) {
        if let Some(link) = &mut self.link {
            // A full link loses the stamp: nobody waits for a measurement.
            let _lost = link.try_push(stamp);
        }
    }
}

/// Says which messages are stamped: the last of every so many. Both sides of a link have one and count the same.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    every: u32,
    left: u32,
    message: u64,
}

impl Sampler {
    /// One in so many; 0 is none.
    pub const fn new(every: u32) -> Sampler {
        // None is one in four thousand million, which then finds no link to push to.
        Sampler { every, left: every, message: 0 }
    }

    /// Whether the message at hand is the one. It may still be refused; only [`Sampler::pass`] counts it.
    #[inline]
    pub const fn is_due(&self) -> bool {
        self.left == 1
    }

    /// The message has passed. Gives its count among the stamped when it is one.
    #[inline]
    pub const fn pass(&mut self) -> Option<u64> {
        self.left = self.left.wrapping_sub(1);
        if self.left != 0 {
            return None;
        }
        self.left = self.every;
        self.message += 1;
        Some(self.message)
    }
}

/// The hot ends, for who builds the stages.
#[derive(Debug)]
pub struct Stampers {
    /// The gateway's first stamp, and its choice.
    pub read: Stamper,
    /// The sequencer's two.
    pub sequenced: Stamper,
    /// After the append.
    pub journalled: Stamper,
    /// One of each matcher.
    pub matched: Vec<Stamper>,
    /// Egress.
    pub committed: Stamper,
    /// The gateway's last.
    pub written: Stamper,
    /// Which messages: a copy for each side.
    pub sampler: Sampler,
}

/// A way under way.
#[derive(Clone, Copy, Debug)]
struct Way {
    number: u64,
    who: Who,
    at: [Option<u64>; POINTS],
}

/// The cold end: joins stamps, counts spans.
pub struct Ways {
    links: Vec<(Point, Receiver<Stamp>)>,
    reads: VecDeque<Stamp>,
    ways: VecDeque<Way>,
    counts: Counts,
    spans: Spans,
    file: WayFile,
    turns: u32,
    khz: Counter,
    drift: Counter,
    whole: Counter,
}

/// Both ends of all points: one message in `every` is stamped, 0 stamps none. Durations go to `spans`, ways to `file`.
pub fn stamps(every: u32, matchers: usize, spans: Spans, file: WayFile, counters: &mut Counters) -> (Stampers, Ways) {
    let mut links = Vec::new();
    let mut point = |point| {
        if every == 0 {
            return Stamper::off();
        }
        let (sender, receiver) = bounded(STAMPS_LINK);
        links.push((point, receiver));
        Stamper { link: Some(sender) }
    };
    let stampers = Stampers {
        read: point(Point::Read),
        sequenced: point(Point::Sequenced),
        journalled: point(Point::Journalled),
        matched: (0..matchers).map(|_| point(Point::Matched)).collect(),
        committed: point(Point::Committed),
        written: point(Point::Written),
        sampler: Sampler::new(every),
    };
    let ways = Ways {
        links,
        reads: VecDeque::with_capacity(WAYS_MAX),
        ways: VecDeque::with_capacity(WAYS_MAX),
        counts: Counts::new(),
        spans,
        file,
        turns: 0,
        khz: counters.add("stages.tsc_khz"),
        drift: counters.add("stages.tsc_drift_ppm"),
        whole: counters.add("stages.ways_whole"),
    };
    (stampers, ways)
}

impl Ways {
    /// Takes stamps in, point by point in the order of the way, so that what a stamp follows is there before it.
    fn take(&mut self) -> usize {
        let Ways { links, reads, ways, .. } = self;
        let mut taken = 0;
        for (point, link) in links {
            while let Some(&stamp) = link.peek() {
                match point {
                    Point::Read if reads.len() < WAYS_MAX => reads.push_back(stamp),
                    Point::Read => {}
                    Point::Sequenced => begin(reads, ways, stamp),
                    Point::Journalled | Point::Matched | Point::Committed | Point::Written => {
                        // One newer than all that are known here has its first stamps still to come in.
                        if ways.back().is_none_or(|way| way.number < stamp.key) {
                            break;
                        }
                        note(ways, *point, stamp);
                    }
                }
                link.skip();
                taken += 1;
            }
        }
        taken
    }

    /// Counts the ways that have ended: all, or those with a last stamp and those too old to get one. None waits for
    /// another, so that one without an end holds nobody up.
    fn tell(&mut self, all: bool) {
        let Ways { ways, spans, file, counts, whole, .. } = self;
        let (now, old) = (tsc(), counts.khz() * AGE_MS_MAX);
        let all = all || ways.len() >= WAYS_MAX;
        ways.retain(|way| {
            let began = way.at[Point::Sequenced as usize].unwrap_or(now);
            let is_over = all || way.at[POINTS - 1].is_some() || now.saturating_sub(began) > old;
            if is_over {
                count(way, spans, counts, whole);
                file.push(&way.told());
            }
            !is_over
        });
    }
}

impl Way {
    fn told(&self) -> ToldWay {
        ToldWay { number: self.number, who: self.who, at: self.at.map(|counted| counted.unwrap_or(0)) }
    }
}

/// Counts the spans of a way of which both ends are there.
fn count(way: &Way, spans: &Spans, counts: &Counts, whole: &Counter) {
    let between = |from: usize, to: usize| Some(counts.ns(way.at[to]?.saturating_sub(way.at[from]?)));
    for point in 1..POINTS {
        if let Some(ns) = between(point - 1, point) {
            spans.record(point - 1, ns);
        }
    }
    if let Some(ns) = between(0, POINTS - 1) {
        spans.record(WHOLE, ns);
        whole.add(1);
    }
}

/// A record has its number: its way begins, with the gateway's stamp if that is there. Stamps of messages that became
/// no record are older and go.
fn begin(reads: &mut VecDeque<Stamp>, ways: &mut VecDeque<Way>, stamp: Stamp) {
    while reads.front().is_some_and(|read| read.key < stamp.message) {
        reads.pop_front();
    }
    let mut way = Way { number: stamp.key, who: Who::NOBODY, at: [None; POINTS] };
    if let Some(read) = reads.pop_front_if(|read| read.key == stamp.message) {
        way.who = read.who;
        way.at[Point::Read as usize] = Some(read.counted);
    }
    way.at[Point::Sequenced as usize] = Some(stamp.counted);
    if ways.len() < WAYS_MAX {
        ways.push_back(way);
    }
}

/// A later point of a way; one that has been told already is passed over. Only the first answer of a record counts.
fn note(ways: &mut VecDeque<Way>, point: Point, stamp: Stamp) {
    if let Ok(at) = ways.binary_search_by_key(&stamp.key, |way| way.number) {
        ways[at].at[point as usize].get_or_insert(stamp.counted);
    }
}

impl Agent for Ways {
    fn name(&self) -> &str {
        "stages"
    }

    fn work(&mut self) -> usize {
        let taken = self.take();
        self.turns = self.turns.wrapping_add(1);
        if !self.counts.is_known() || self.turns.is_multiple_of(REFINE_TURNS) {
            self.counts.refine();
            self.khz.set(self.counts.khz());
            self.drift.set(self.counts.drift_ppm());
        }
        if self.counts.is_known() {
            self.tell(false);
        }
        // A few stamps wait well where they are: told as work, they would keep the cold thread awake at its shortest
        // pause, and each of its wake-ups takes a core from a spinner, which was the p99 of every order.
        if taken < STAMPS_LINK { 0 } else { taken }
    }

    /// What is there is told as far as it went.
    fn stop(&mut self) {
        self.take();
        if self.counts.is_known() {
            self.tell(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::points::SPANS;

    use crate::types::{Channel, SessionId, UserRef};

    fn both(every: u32) -> (Stampers, Ways) {
        let mut counters = Counters::anonymous(8).unwrap();
        let (spans, file) = (Spans::anonymous(&SPANS).unwrap(), WayFile::anonymous(8).unwrap());
        let (hot, mut ways) = stamps(every, 1, spans, file, &mut counters);
        ways.counts = Counts::settled();
        (hot, ways)
    }

    fn stamp(key: u64, counted: u64) -> Stamp {
        Stamp { key, counted, ..Stamp::default() }
    }

    /// Counts and the longest of each span.
    fn told(ways: &Ways) -> Vec<(u64, u64)> {
        ways.spans.counts().iter().map(|span| (span.count(), span.at(10_000))).collect()
    }

    #[test]
    fn both_sides_of_a_link_choose_the_same_messages_and_none_where_none_is_wanted() {
        let (mut one, mut other) = (Sampler::new(4), Sampler::new(4));
        let mut chosen = Vec::new();
        for message in 1..=9 {
            let is_due = one.is_due();
            let (passed, twin) = (one.pass(), other.pass());
            assert_eq!((passed, is_due), (twin, passed.is_some()));
            chosen.extend(passed.map(|count| (message, count)));
        }
        assert_eq!(chosen, [(4, 1), (8, 2)]);
        let mut never = Sampler::new(0);
        assert!((0..100_000).all(|_| !never.is_due() && never.pass().is_none()));
    }

    #[test]
    fn a_way_is_told_span_by_span_whatever_order_its_stamps_come_in() {
        let (mut hot, mut ways) = both(64);
        let counts = |ns: u64| ns * ways.counts.khz() / 1_000_000;
        let at = [0, 1_000, 3_000, 6_000, 10_000, 15_000].map(|ns| 1 + counts(ns));
        // The later points come before the cold end knows of the record.
        hot.written.push(stamp(640, at[5]));
        hot.matched[0].push(stamp(640, at[3]));
        ways.work();
        assert_eq!(told(&ways)[WHOLE].0, 0);
        // A message that became no record, then this one.
        hot.read.push(stamp(6, 1));
        let who = Who::of(SessionId(2), Channel::NONE, UserRef(41));
        hot.read.push(Stamp { who, ..stamp(7, at[0]) });
        hot.sequenced.push(Stamp { message: 7, ..stamp(640, at[1]) });
        hot.journalled.push(stamp(640, at[2]));
        hot.committed.push(stamp(640, at[4]));
        hot.written.push(stamp(640, at[5] + 99));
        ways.work();
        let near = |(count, ns): (u64, u64), wanted: u64| count == 1 && ns.abs_diff(wanted) <= wanted / 50 + 2;
        let told = told(&ways);
        let wanted = [1_000, 2_000, 3_000, 4_000, 5_000, 15_000];
        assert!(told.iter().zip(wanted).all(|(&span, wanted)| near(span, wanted)), "{told:?}");
        assert_eq!(ways.whole.value(), 1);
        assert_eq!(ways.file.kept(), [ToldWay { number: 640, who, at }]);
    }

    #[test]
    fn a_way_without_an_end_is_told_as_far_as_it_went_and_lost_stamps_hold_nothing_up() {
        let (mut hot, mut ways) = both(64);
        hot.sequenced.push(Stamp { message: 1, ..stamp(64, 100) });
        hot.journalled.push(stamp(64, 200));
        // Of a record whose first stamp was lost: it waits until a newer one is known, and goes.
        hot.committed.push(stamp(99, 1));
        ways.work();
        ways.work();
        let counts: Vec<u64> = told(&ways).iter().map(|span| span.0).collect();
        assert_eq!(counts, [0, 1, 0, 0, 0, 0]);
        hot.sequenced.push(Stamp { message: 2, ..stamp(128, 100) });
        hot.journalled.push(stamp(128, 150));
        hot.committed.push(stamp(128, 900));
        ways.work();
        ways.stop();
        let counts: Vec<u64> = told(&ways).iter().map(|span| span.0).collect();
        assert_eq!(counts, [0, 2, 0, 0, 0, 0], "what lies between two points that are missing is not told");
        let told = |number, at| ToldWay { number, who: Who::NOBODY, at };
        assert_eq!(ways.file.kept(), [told(64, [0, 100, 200, 0, 0, 0]), told(128, [0, 100, 150, 0, 900, 0])]);
        assert!(ways.ways.is_empty() && ways.links.iter().all(|(_, link)| link.is_empty()));
    }

    #[test]
    fn a_full_link_loses_stamps_and_keeps_nobody_waiting() {
        let (mut hot, mut ways) = both(64);
        (0..3 * STAMPS_LINK as u64).for_each(|n| hot.read.push(stamp(n, n)));
        assert_eq!(ways.work(), STAMPS_LINK);
        let mut off = both(0).0;
        off.read.stamp(1);
        off.matched[0].stamp(1);
    }
}
