//! The matching stage: one agent a shard, hot. Pops a record, lets the shard's books execute it, pushes the events.
//!
//! The shard says when a record made more events than one buffer holds; the agent then passes those on and lets it
//! go on in its next turn, so that a sweep through a deep book needs no unbounded memory and other agents of the
//! thread get their turns. A record is taken only when a whole buffer of events fits the link: a full link stops
//! the intake here and, through the links before it, at the edge. The last event of a record is marked, and a record
//! that changes nothing here sends one `Nothing`, because egress waits for the mark.

use crate::engine::book::{EVENTS_MAX, Events, Progress, Shard};
use crate::runtime::agent::Agent;
use crate::runtime::counters::Counter;
use crate::runtime::link::{Receiver, Sender};
use crate::runtime::prefetch::fetch;
use crate::runtime::stamps::Stamper;
use crate::types::{CommandKind, Event, Number, Sequenced, Stamped, TickerId};

/// Records taken in one turn at most, so that agents sharing the thread wait a bounded time.
const RECORDS_A_TURN_MAX: usize = 32;

/// Records between the first look at a record and its execution, and between the second look and its execution: with
/// a million orders open, an order and then its neighbours are in far memory, and each takes some 100 ns to come. Where
/// one record waits at a time there is nothing to look at, and it costs a comparison.
const LOOK_FIRST: usize = 6;
const LOOK_SECOND: usize = 3;

/// Turns between two looks at how much waits, to be counted: a look in each turn cost an order some 10 ns.
const TURNS_A_LOOK: u32 = 64;

/// What a shard's books came to behind a record that tells a digest of the state, for the shadow to compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The record.
    pub number: Number,
    /// See [`Shard::summary`].
    pub summary: u64,
}

/// One matching shard on its way through the records.
pub struct Matcher {
    name: String,
    shard: Shard,
    commands: Receiver<Sequenced>,
    events: Sender<Stamped>,
    out: Events,
    /// The record that has more to say, if any.
    unfinished: Option<Number>,
    executed: Counter,
    stamps: Stamper,
    turns: u32,
    summaries: Option<Sender<Summary>>,
}

impl Matcher {
    /// Shape: `events` must hold at least one whole buffer.
    ///
    /// # Panics
    /// When the link of events is smaller than one buffer: nothing would ever be taken.
    pub fn new(
        index: usize,
        shard: Shard,
        commands: Receiver<Sequenced>,
        events: Sender<Stamped>,
        executed: Counter,
    ) -> Matcher {
        assert!(events.capacity() > EVENTS_MAX, "the link of events holds a whole buffer and its mark");
        Matcher {
            name: format!("matcher.{index}"),
            shard,
            commands,
            events,
            out: Events::new(),
            unfinished: None,
            executed,
            stamps: Stamper::off(),
            turns: 0,
            summaries: None,
        }
    }

    /// Has it tell what its books come to whenever a digest of the state is told.
    #[must_use]
    pub fn with_summaries(self, summaries: Sender<Summary>) -> Matcher {
        Matcher { summaries: Some(summaries), ..self }
    }

    /// O(tickers), once in tens of thousands of records. Who does not listen misses it.
    #[cold]
    #[inline(never)]
    fn tell_summary(&mut self, number: Number) {
        if let Some(summaries) = &mut self.summaries {
            let _missed = summaries.try_push(Summary { number, summary: self.shard.summary() });
        }
    }

    /// Stamps the records whose way is stamped, when they are executed.
    pub fn with_stamps(mut self, stamps: Stamper) -> Matcher {
        self.stamps = stamps;
        self
    }

    /// The shard, to compare with another after the run.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Asks for what later records will touch.
    #[inline]
    fn look_ahead(&mut self) {
        let shard = &self.shard;
        self.commands.look_ahead(LOOK_FIRST, |record| shard.lines_of(record).into_iter().for_each(fetch));
        self.commands.look_ahead(LOOK_SECOND, |record| shard.lines_beside(record).into_iter().for_each(fetch));
    }

    /// Passes on what the buffer holds; the caller made sure that it fits. `done` marks the last.
    fn flush(&mut self, number: Number, done: bool) {
        let count = self.out.len();
        for (index, &(ticker, event)) in self.out.iter().enumerate() {
            push(&mut self.events, Stamped { number, ticker, last: done && index + 1 == count, event });
        }
        if done && count == 0 {
            push(&mut self.events, Stamped { number, ticker: TickerId::ALL, last: true, event: Event::Nothing });
        }
        self.unfinished = if done { None } else { Some(number) };
    }
}

fn push(events: &mut Sender<Stamped>, stamped: Stamped) {
    let pushed = events.try_push(stamped);
    assert!(pushed.is_ok(), "room for a whole buffer was seen before the record was executed");
}

impl Agent for Matcher {
    fn name(&self) -> &str {
        &self.name
    }

    fn work(&mut self) -> usize {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(TURNS_A_LOOK) {
            self.commands.look();
        }
        for taken in 0..RECORDS_A_TURN_MAX {
            if !self.events.has_room(EVENTS_MAX + 1) {
                return taken;
            }
            let (number, progress) = match self.unfinished {
                Some(number) => (number, self.shard.resume(&mut self.out)),
                None => {
                    // Executed where it lies in the link, and let go of afterwards.
                    self.look_ahead();
                    let Some(record) = self.commands.peek() else { return taken };
                    let done = (record.number, self.shard.execute(record, &mut self.out));
                    // Of a line that was just read.
                    let tells_digest = record.command.kind == CommandKind::StateDigest;
                    let is_stamped = record.is_stamped();
                    self.commands.skip();
                    self.executed.add(1);
                    if is_stamped {
                        self.stamps.stamp(done.0.0);
                    }
                    if tells_digest {
                        self.tell_summary(done.0);
                    }
                    done
                }
            };
            self.flush(number, progress == Progress::Done);
        }
        RECORDS_A_TURN_MAX
    }
}
