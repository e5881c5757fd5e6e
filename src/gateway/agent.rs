//! [`Gateway`]: the agent that turns everything of the edge on one thread.
//!
//! A turn: reports from egress enter the streams and go out at once to the connections that hold them; answers of the
//! login desk are handed on; then each transport takes input. Answers go before input because somebody waits for
//! them. Every part is bounded, so that no client and no burst holds the thread.
//!
//! Back-pressure, both ways: no room to the sequencer, and transports keep their bytes and read no further; a stream
//! without room, and no more reports are taken. Nothing is dropped and nothing waits inside a call.

use crate::gateway::core::{Core, Transport};
use crate::gateway::login::LoginAnswer;
use crate::gateway::shown::Shown;
use crate::os::clock::{Clock, SteadyClock};
use crate::runtime::agent::Agent;
use crate::runtime::link::Receiver;
use crate::runtime::runner::StopFlag;
use crate::runtime::stamps::Stamper;
use crate::types::{Report, ReportBody, SessionId};

/// Reports taken in a turn.
const REPORTS_PER_TURN: usize = 64;
/// Turns between two readings of the clock: 22 ns a reading, against a resolution nobody needs.
const CLOCK_TURNS: u32 = 32;
/// Turns at the end: enough to empty a link of a million reports, and an end if it never empties.
const STOP_TURNS_MAX: usize = 1 << 14;
/// Time between two rounds of heartbeats and time-outs.
const SWEEP_NS: u64 = 10_000_000;

/// The gateway. `C` is [`SteadyClock`] but in tests.
pub struct Gateway<C = SteadyClock> {
    core: Core,
    transports: Vec<Box<dyn Transport>>,
    reports: Receiver<Report>,
    answers: Receiver<LoginAnswer>,
    clock: C,
    turns: u32,
    swept_ns: u64,
    /// The process ends; and nobody is connected any more.
    ending: StopFlag,
    empty: StopFlag,
    /// Sessions whose stream grew in this turn, each once.
    grown: Vec<SessionId>,
    is_grown: Box<[bool]>,
    shown: Shown,
    stamps: Stamper,
    /// Records of stamped answers of this turn that are not with their transport yet.
    stamped: Vec<u64>,
}

impl<C: Clock + Send> Gateway<C> {
    /// A gateway on `core`, without transports: `reports` comes from egress, `answers` from the login desk. Cold.
    pub fn new(
        core: Core,
        sessions: usize,
        reports: Receiver<Report>,
        answers: Receiver<LoginAnswer>,
        clock: C,
    ) -> Self {
        Gateway {
            core,
            transports: Vec::new(),
            reports,
            answers,
            clock,
            turns: 0,
            swept_ns: 0,
            ending: StopFlag::new(),
            empty: StopFlag::new(),
            grown: Vec::with_capacity(sessions),
            is_grown: vec![false; sessions].into_boxed_slice(),
            shown: Shown::nowhere(),
            stamps: Stamper::off(),
            stamped: Vec::with_capacity(REPORTS_PER_TURN),
        }
    }

    /// Shows its sessions there.
    pub fn with_shown(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    /// Stamps the answers whose way is stamped, when they are with their transport.
    pub fn with_stamps(mut self, stamps: Stamper) -> Self {
        self.stamps = stamps;
        self
    }

    /// Has it end all sessions when `ending` is requested, by when every answer must be in its stream or on its way here.
    /// It then requests `empty` when no connection is open any more.
    pub fn with_ending(mut self, ending: StopFlag, empty: StopFlag) -> Self {
        (self.ending, self.empty) = (ending, empty);
        self
    }

    /// Adds a transport. Before the start.
    /// # Panics
    /// There are 256 already.
    pub fn add(&mut self, mut transport: Box<dyn Transport>) {
        transport.attach(u8::try_from(self.transports.len()).expect("a gateway has few transports"));
        self.transports.push(transport);
    }

    /// The shared state; for looking at streams and counters when the agent has come back from its thread.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The clock; tests move it.
    pub fn clock(&mut self) -> &mut C {
        &mut self.clock
    }

    /// Reports that have come and are in no stream yet: at the end, those that found no room.
    pub fn reports_waiting(&self) -> usize {
        self.reports.len()
    }

    #[inline]
    fn tick(&mut self) {
        self.turns = self.turns.wrapping_add(1);
        if !self.turns.is_multiple_of(CLOCK_TURNS) {
            return;
        }
        self.reports.look();
        self.core.set_now(self.clock.now());
        if self.core.now_ns() - self.swept_ns >= SWEEP_NS {
            self.swept_ns = self.core.now_ns();
            self.core.look_for_room();
            self.core.look_for_absent();
            if self.ending.is_requested() {
                self.end();
            }
            self.transports.iter_mut().for_each(|transport| transport.on_clock(&mut self.core));
            self.shown.refresh(&self.core, &self.transports);
        }
    }

    #[cold]
    fn end(&mut self) {
        // What egress has handed over by now belongs before the end.
        if !self.reports.is_empty() {
            return;
        }
        self.core.end();
        if self.transports.iter().all(|transport| transport.connections() == 0) {
            self.empty.request();
        }
    }

    /// Reports to streams, then each grown stream to its connection: several reports of one session go out as one.
    #[inline]
    fn take_reports(&mut self) -> usize {
        let mut taken = 0;
        while taken < REPORTS_PER_TURN {
            let Some(report) = self.reports.peek() else { break };
            let session = report.session;
            if let ReportBody::Answer(answer) = &report.body
                && answer.record.is_stamped()
            {
                self.stamped.push(report.number.0);
            }
            match self.core.streams.append(report) {
                Ok(true) => {
                    self.core.counters.messages_out.add(1);
                    if !self.is_grown[session.index()] {
                        self.is_grown[session.index()] = true;
                        self.grown.push(session);
                    }
                }
                Ok(false) => {}
                Err(_) => {
                    self.core.counters.stream_full.add(1);
                    break;
                }
            }
            self.reports.skip();
            taken += 1;
        }
        self.send_grown();
        if !self.stamped.is_empty() {
            self.stamp_answers();
        }
        taken
    }

    #[cold]
    fn stamp_answers(&mut self) {
        let Gateway { stamped, stamps, .. } = self;
        stamped.drain(..).for_each(|number| stamps.stamp(number));
    }

    #[inline]
    fn send_grown(&mut self) {
        while let Some(session) = self.grown.pop() {
            self.is_grown[session.index()] = false;
            if let Some(holder) = self.core.holder(session) {
                self.transports[usize::from(holder.transport)].on_stream(&mut self.core, holder.connection);
            }
        }
    }

    #[inline]
    fn take_answers(&mut self) -> usize {
        // One a turn: logins are rare, and each may begin a replay.
        let Some(answer) = self.answers.pop() else { return 0 };
        self.transports[usize::from(answer.asker.transport)].on_login(&mut self.core, answer);
        while let Some(before) = self.core.next_superseded() {
            self.transports[usize::from(before.transport)].on_superseded(&mut self.core, before);
        }
        1
    }
}

impl<C: Clock + Send> Agent for Gateway<C> {
    fn name(&self) -> &str {
        "gateway"
    }

    fn start(&mut self) {
        self.core.set_now(self.clock.now());
        self.swept_ns = self.core.now_ns();
        self.core.begin_grace();
        self.transports.iter_mut().for_each(|transport| transport.start());
    }

    #[inline]
    fn work(&mut self) -> usize {
        self.tick();
        let mut done = self.take_reports() + self.take_answers() + self.core.send_lost();
        for transport in &mut self.transports {
            done += transport.work(&mut self.core);
        }
        done
    }

    /// Takes what egress has handed over, which by then makes no more: an answer of the last turn belongs to its
    /// stream too.
    fn stop(&mut self) {
        for _ in 0..STOP_TURNS_MAX {
            if self.take_reports() == 0 {
                break;
            }
        }
        self.transports.iter_mut().for_each(|transport| transport.stop());
    }
}
