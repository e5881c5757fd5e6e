//! The way out: one hot agent that puts everything outward into journal order and behind the commit gate.
//!
//! Matchers run at their own pace; tickets come in number order and say which matchers work on a record. Egress
//! takes the next ticket, drains each of those matchers to its mark, in their order, and only then takes the one
//! after: so every output stream is in journal order whatever the threads' timing was. What the OMS must know goes
//! back at once. What leaves the process waits in a bounded queue until its record is committed. When that queue or
//! a link ahead is full, egress stops taking tickets; it drops nothing.

pub mod fan;

use crate::runtime::agent::Agent;
use crate::runtime::counters::Counter;
use crate::runtime::link::{MarkReader, MarkWriter, Receiver, Sender};
use crate::runtime::queues::Queue;
use crate::runtime::stamps::Stamper;
use crate::types::{Number, Outcome, Published, Report, Sequenced, SessionId, Stamped, Ticket};
use fan::Outlet;
use std::collections::VecDeque;

/// Events handled in one turn at most.
const EVENTS_A_TURN_MAX: usize = 256;
/// Turns between two looks at how much waits, to be counted.
const TURNS_A_LOOK: u32 = 64;

/// The ends of the links egress holds.
pub struct EgressLinks {
    /// From the sequencer.
    pub tickets: Receiver<Ticket>,
    /// One from each matcher.
    pub matchers: Vec<Receiver<Stamped>>,
    /// Back to the OMS.
    pub outcomes: Sender<Outcome>,
    /// One to each gateway.
    pub gateways: Vec<Sender<Report>>,
    /// To the feed.
    pub feed: Sender<Published>,
    /// Highest committed number.
    pub committed: MarkReader,
    /// Highest number whose outputs have all left.
    pub delivered: MarkWriter,
    /// Outward values waiting for their commit at most, beside what one record sends to every session.
    pub held_max: usize,
}

/// A value on its way out of the process.
#[derive(Clone, Copy)]
#[allow(clippy::large_enum_variant, reason = "values of one size in a preallocated queue")]
enum Outward {
    Report(Report),
    Public(Published),
    /// All of this record has been said; whether its way is stamped.
    Delivered(Number, bool),
}

impl Outward {
    fn number(&self) -> Number {
        match self {
            Outward::Report(report) => report.number,
            Outward::Public(published) => published.number,
            Outward::Delivered(number, _) => *number,
        }
    }
}

/// The gate: what is committed leaves, the rest waits, in order.
struct Gate {
    gateways: Vec<Sender<Report>>,
    /// Which gateway serves a session, by session.
    gateway_of: Vec<u16>,
    feed: Sender<Published>,
    committed: MarkReader,
    delivered: MarkWriter,
    held: VecDeque<Outward>,
    held_max: usize,
    stamps: Stamper,
}

impl Gate {
    /// Whether what belongs to this record may leave now: it is committed, and nothing waits before it.
    #[inline]
    fn is_open_for(&self, number: Number) -> bool {
        self.held.is_empty() && self.committed.value() >= number.0
    }

    /// It waits.
    #[cold]
    fn hold(&mut self, outward: Outward) {
        debug_assert!(self.held.len() < self.held.capacity(), "room was seen before the event was taken");
        self.held.push_back(outward);
    }

    /// All of a record has been said.
    #[inline]
    fn deliver(&mut self, number: Number, is_stamped: bool) {
        if !self.is_open_for(number) {
            return self.hold(Outward::Delivered(number, is_stamped));
        }
        self.delivered.set(number.0);
        if is_stamped {
            self.stamps.stamp(number.0);
        }
    }

    /// Hands it on; false when the link ahead is full.
    fn pass(&mut self, outward: Outward) -> bool {
        match outward {
            Outward::Report(report) => {
                let gateway = self.gateway_of[report.session.index()];
                self.gateways[usize::from(gateway)].try_push(report).is_ok()
            }
            Outward::Public(published) => self.feed.try_push(published).is_ok(),
            Outward::Delivered(number, is_stamped) => {
                self.delivered.set(number.0);
                if is_stamped {
                    self.stamps.stamp(number.0);
                }
                true
            }
        }
    }

    /// Lets out what has been committed since.
    fn release(&mut self) -> usize {
        let committed = self.committed.value();
        let mut released = 0;
        while let Some(&outward) = self.held.front() {
            if outward.number().0 > committed || !self.pass(outward) {
                break;
            }
            self.held.pop_front();
            released += 1;
        }
        released
    }

    fn has_room(&self) -> bool {
        self.held.len() < self.held_max
    }
}

impl Outlet for Gate {
    /// Straight into the link where nothing stands in the way: these are the largest values of the path, and each
    /// wrapping would be a copy.
    #[inline]
    fn report(&mut self, report: Report) {
        let refused = if self.is_open_for(report.number) {
            let gateway = usize::from(self.gateway_of[report.session.index()]);
            self.gateways[gateway].try_push(report).err()
        } else {
            Some(report)
        };
        if let Some(report) = refused {
            self.hold(Outward::Report(report));
        }
    }

    #[inline]
    fn publish(&mut self, published: Published) {
        let refused =
            if self.is_open_for(published.number) { self.feed.try_push(published).err() } else { Some(published) };
        if let Some(published) = refused {
            self.hold(Outward::Public(published));
        }
    }
}

/// The egress stage.
pub struct Egress {
    tickets: Receiver<Ticket>,
    matchers: Vec<Receiver<Stamped>>,
    outcomes: Sender<Outcome>,
    gate: Gate,
    /// Whether the first of the tickets is being drained. It stays in its link until that is done: nothing is copied.
    is_open: bool,
    /// Matchers of it that are not drained yet.
    sources: u64,
    sessions: u16,
    events: Counter,
    /// How much waits for its commit.
    held: Queue,
    turns: u32,
}

impl Egress {
    /// `gateway_of` says which gateway serves each session.
    pub fn new(links: EgressLinks, gateway_of: Vec<u16>, events: Counter) -> Egress {
        let sessions = gateway_of.len() as u16;
        // One record says at most two things to every session (end of day) beside the bound.
        let capacity = links.held_max + 2 * usize::from(sessions) + 8;
        // Written once, so that its pages are there before the first value has to wait.
        let mut held = VecDeque::from(vec![Outward::Delivered(Number(0), false); capacity]);
        held.clear();
        let gate = Gate {
            gateways: links.gateways,
            gateway_of,
            feed: links.feed,
            committed: links.committed,
            delivered: links.delivered,
            held,
            held_max: links.held_max,
            stamps: Stamper::off(),
        };
        Egress {
            tickets: links.tickets,
            matchers: links.matchers,
            outcomes: links.outcomes,
            gate,
            is_open: false,
            sources: 0,
            sessions,
            events,
            held: Queue::unwatched(),
            turns: 0,
        }
    }

    /// Has it count how much waits for its commit.
    pub fn with_held(mut self, held: Queue) -> Egress {
        self.held = held;
        self
    }

    /// Stamps the records whose way is stamped, when all they say has left.
    pub fn with_stamps(mut self, stamps: Stamper) -> Egress {
        self.gate.stamps = stamps;
        self
    }

    /// Counts how much waits here.
    #[cold]
    fn look(&self) {
        self.held.note(self.gate.held.len());
        self.tickets.look();
        self.matchers.iter().for_each(Receiver::look);
    }

    /// One step: opens the next record, or handles one event of the open one. False when there is nothing to do.
    #[inline]
    fn step(&mut self) -> bool {
        let Some(Ticket { record, sources }) = self.tickets.peek() else { return false };
        if !self.is_open {
            fan::opening(record, self.sessions, &mut self.gate);
            (self.is_open, self.sources) = (true, *sources);
        } else {
            let events = &mut self.matchers[self.sources.trailing_zeros() as usize];
            let Some(stamped) = events.peek() else { return false };
            assert_eq!(stamped.number, record.number, "a matcher's events come in the order of its records");
            let Sequenced { number, time, .. } = *record;
            let outcome = Outcome { number, time, ticker: stamped.ticker, event: stamped.event };
            let pushed = self.outcomes.try_push(outcome);
            assert!(pushed.is_ok(), "room for an outcome was seen before the event was taken");
            fan::event(record, stamped.ticker, &stamped.event, &mut self.gate);
            self.events.add(1);
            if stamped.last {
                self.sources &= self.sources - 1;
            }
            events.skip();
        }
        if self.sources == 0 {
            fan::closing(record, self.sessions, &mut self.gate);
            self.gate.deliver(record.number, record.is_stamped());
            self.is_open = false;
            self.tickets.skip();
        }
        true
    }
}

impl Agent for Egress {
    fn name(&self) -> &str {
        "egress"
    }

    fn work(&mut self) -> usize {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(TURNS_A_LOOK) {
            self.look();
        }
        let released = if self.gate.held.is_empty() { 0 } else { self.gate.release() };
        for done in 0..EVENTS_A_TURN_MAX {
            if !self.gate.has_room() || self.outcomes.free() == 0 || !self.step() {
                return released + done;
            }
        }
        released + EVENTS_A_TURN_MAX
    }
}

/// Which gateway serves each session when there is one gateway: the first.
pub fn one_gateway(sessions: usize) -> Vec<u16> {
    debug_assert!(sessions <= usize::from(SessionId::VENUE.0), "session ids are 16 bits");
    vec![0; sessions]
}
