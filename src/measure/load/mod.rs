//! Plays a flow against a venue through its clients' door, and measures what a client would feel.
//!
//! Open loop: each step has a time at which it is meant to be sent, whatever the venue does, and its latency runs from
//! *that* time to the first answer. A venue (or a player) that stalls is charged for every request that should have
//! gone out meanwhile; a closed loop would just send fewer. What the player itself adds shows as *slip*.
//!
//! One thread drives all sessions, over TCP and shared memory in any mix: it sends what is due, then polls, and never
//! sleeps. All memory is taken in [`Player::new`]; playing allocates nothing. Requests in flight are bounded by a
//! window a session; a step that finds it full holds back all behind it, and its waiting counts as latency.
//!
//! [`Pacing::Flood`] sends as fast as the windows allow, to find the most the venue takes; [`Player::ping`] is a
//! closed loop of one request, to find the least a round trip takes.

pub mod kernel;
mod map;
mod orders;
pub mod report;
pub mod schedule;
mod seat;
mod waiting;

pub use report::{LoadReport, Measured, PingReport, Progress, Rejects, SessionCounts, Transport};

use super::flow::FlowStep;
use super::latency::Latencies;
use crate::client::orders::{Fault, Incoming, NewOrder, OrderSession, Refusal};
use crate::os::clock::monotonic_ns;
use crate::os::kernel_stamps::Offset;
use crate::os::pairs::Pairs;
use crate::types::{Channel, Quantity, Symbol};
use crate::wire::ouch::Outbound;
use orders::Orders;
use seat::{Seat, Step};
use std::fmt;

/// Sends of one turn at most, so that a player behind its schedule still hears its answers.
const SENDS_PER_TURN: usize = 16;
/// Messages taken from a session in one turn at most, so that one session cannot keep the others waiting.
const MESSAGES_PER_TURN: usize = 32;
/// Silence of a session that has requests in flight after which it asks what is answered always. Long against any
/// answer, so that only requests that get none come to it, and only when they hold up what is due.
const QUERY_AFTER_NS: u64 = 100_000_000;
/// Time between two calls of the progress function.
const PROGRESS_NS: u64 = 1_000_000_000;
/// Time from the start of a run to its first intended send, so that the first steps are not late already.
const LEAD_NS: u64 = 1_000_000;

/// Bounds of a player.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlayerOptions {
    /// Orders that may live at once, all sessions together.
    pub orders_max: usize,
    /// Requests of a session without an answer. The session's own `unanswered_max` must be 0 (keep none) or above.
    pub in_flight_max: usize,
    /// Measured requests of each transport that are kept one by one, 32 bytes each; 0 keeps only histograms.
    pub samples_max: usize,
    /// Readings of counter and clock together, [`PAIR_EVERY_NS`](crate::os::pairs::PAIR_EVERY_NS) apart, for who wants to join what is kept with the
    /// venue's own stamps; 0 takes none.
    pub pairs_max: usize,
    /// Requests of each transport that are followed through the kernel, on sessions that have it stamp; 0 follows none.
    pub followed_max: usize,
}

impl Default for PlayerOptions {
    /// 65,536 orders, 1,024 requests, no samples, no readings, none followed.
    fn default() -> Self {
        PlayerOptions { orders_max: 65_536, in_flight_max: 1_024, samples_max: 0, pairs_max: 0, followed_max: 0 }
    }
}

/// When steps are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pacing {
    /// At their times, counted from the start.
    Scheduled,
    /// As soon as the window of their session allows; a step's intended time is when it is sent.
    Flood,
    /// Each when everything before it has been answered, whoever sent it: sessions race each other on their way to the
    /// venue, so only this plays a recording in its order. A step's intended time is when it is sent.
    InTurn,
}

/// One run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// When steps are sent.
    pub pacing: Pacing,
    /// Steps of so long from the start are played but not measured.
    pub unmeasured_ns: u64,
    /// The run ends before the first step that would be sent later than this.
    pub duration_ns: u64,
    /// A player behind its schedule gives up so long after the end of the plan, with steps unsent.
    pub overtime_ns: u64,
    /// How long the last answers may take.
    pub drain_ns: u64,
}

impl Plan {
    /// All steps at their times, all measured; 5 s for the last answers.
    pub const SCHEDULED: Plan = Plan {
        pacing: Pacing::Scheduled,
        unmeasured_ns: 0,
        duration_ns: u64::MAX,
        overtime_ns: u64::MAX,
        drain_ns: 5_000_000_000,
    };
    /// All steps as fast as the windows allow.
    pub const FLOOD: Plan = Plan { pacing: Pacing::Flood, ..Plan::SCHEDULED };
    /// All steps one after the other.
    pub const IN_TURN: Plan = Plan { pacing: Pacing::InTurn, ..Plan::SCHEDULED };
}

/// Why there is nothing to report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadFault {
    /// The session of this index lost its connection.
    Lost(usize, Fault),
    /// The session of this index got no answer in the time given.
    Silent(usize),
    /// The session of this index had its order rejected with this code.
    Rejected(usize, u16),
    /// There is no session of this index.
    NoSession(usize),
}

impl fmt::Display for LoadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadFault::Lost(index, fault) => write!(f, "session {index}: {fault}"),
            LoadFault::Silent(index) => write!(f, "session {index}: the venue does not answer"),
            LoadFault::Rejected(index, code) => write!(f, "session {index}: order rejected with code {code:#06x}"),
            LoadFault::NoSession(index) => write!(f, "there is no session {index}"),
        }
    }
}

impl std::error::Error for LoadFault {}

/// Plays flows; see the file's essay.
pub struct Player {
    seats: Vec<Seat>,
    orders: Orders,
    symbols: Vec<Symbol>,
    measured: Vec<Measured>,
    pairs: Pairs,
    /// Steps due before this were held back by the venue.
    held_until_ns: u64,
}

impl Player {
    /// Takes sessions that are logged in, and the names of the tickers by their id. A step's session is the index here
    /// (modulo their number, so that few sessions can play a flow of many).
    /// # Panics
    /// Without sessions nothing can be played.
    pub fn new(sessions: Vec<(OrderSession, Transport)>, symbols: Vec<Symbol>, options: PlayerOptions) -> Player {
        assert!(!sessions.is_empty(), "a player needs a session");
        let in_use = |transport: &Transport| sessions.iter().any(|(_, t)| t == transport);
        let transports: Vec<Transport> = Transport::ALL.into_iter().filter(in_use).collect();
        let orders = Orders::new(options.orders_max, sessions.len() * options.in_flight_max.max(1) * 2);
        let seat = |(index, (session, transport)): (usize, (OrderSession, Transport))| {
            let measured = transports.iter().position(|&t| t == transport).expect("collected from the sessions");
            let seat = Seat::new(session, index as u16, measured, options.in_flight_max);
            if options.followed_max > 0 { seat.following() } else { seat }
        };
        let seats = sessions.into_iter().enumerate().map(seat).collect();
        let measured =
            transports.into_iter().map(|t| Measured::new(t, options.samples_max, options.followed_max)).collect();
        let pairs = Pairs::new(options.pairs_max);
        Player { seats, orders, symbols, measured, pairs, held_until_ns: 0 }
    }

    /// Before the first run: takes in whatever the venue has to say of before, and the number each session's next
    /// request may have. Cold.
    /// # Errors
    /// A session without a connection, or one that gets no answer.
    pub fn synchronize(&mut self, limit_ns: u64) -> Result<(), LoadFault> {
        for (index, seat) in self.seats.iter_mut().enumerate() {
            let until = monotonic_ns().saturating_add(limit_ns);
            let mut asked = false;
            loop {
                if !asked {
                    asked = match seat.session.query(Channel::NONE) {
                        Ok(()) => true,
                        Err(Refusal::NotConnected) => return Err(LoadFault::Lost(index, Fault::Closed)),
                        Err(_) => false,
                    };
                }
                match seat.session.poll().map_err(|fault| LoadFault::Lost(index, fault))? {
                    Some(Incoming::Message { message: Outbound::AccountQueryResponse(_), .. }) => break,
                    Some(Incoming::EndOfSession) => return Err(LoadFault::Lost(index, Fault::Closed)),
                    Some(Incoming::Message { .. }) => {}
                    None if monotonic_ns() > until => return Err(LoadFault::Silent(index)),
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Plays a flow to its end, or to the end of the plan, and waits for the last answers. Orders that live at the end
    /// are known to the next run. `on_second` is called about once a second on this thread: what it does delays what is
    /// due meanwhile, and counts.
    pub fn play(
        &mut self,
        mut steps: impl Iterator<Item = FlowStep>,
        plan: Plan,
        mut on_second: Option<&mut dyn FnMut(&Progress)>,
    ) -> LoadReport {
        self.measured.iter_mut().for_each(Measured::clear);
        self.held_until_ns = 0;
        self.pairs.clear();
        self.pairs.note();
        let before = Offset::now();
        let start = monotonic_ns() + LEAD_NS;
        for seat in &mut self.seats {
            (seat.counts, seat.heard_ns, seat.answered_ns) = (SessionCounts::default(), start, start);
        }
        let (mut next, mut last_send, mut progress_at) = (steps.next(), start, start + PROGRESS_NS);
        let mut held = false;
        while next.is_some_and(|step| !is_over(&step, &plan, start, monotonic_ns())) {
            let mut now = monotonic_ns();
            let mut sends = 0;
            while let Some(step) = next
                && sends < SENDS_PER_TURN
                && is_due(&step, &plan, start, now)
            {
                held = !self.is_its_turn(&plan) || self.send(&step, &plan, start, now, held) == Step::Held;
                if held {
                    break;
                }
                next = steps.next();
                now = monotonic_ns();
                last_send = now;
                sends += 1;
            }
            self.poll(now, held);
            self.pairs.note_if_due(now);
            if self.seats.iter().all(|seat| seat.is_over) {
                break;
            }
            if let Some(on_second) = &mut on_second
                && now >= progress_at
            {
                progress_at += PROGRESS_NS;
                on_second(&self.progress(&plan, next.as_ref(), start, now));
            }
        }
        self.drain(plan.drain_ns);
        self.pairs.note();
        self.report(start, last_send, [before, Offset::now()])
    }

    /// Round trips one at a time on one session: a new order, its Accepted; a cancel, its Canceled. The order should
    /// be one that rests. `skip` trips are made but not measured.
    /// # Errors
    /// A lost connection, a rejected order, or no answer within a second.
    pub fn ping(&mut self, index: usize, order: &NewOrder, skip: u64, count: u64) -> Result<PingReport, LoadFault> {
        let Some(seat) = self.seats.get_mut(index) else { return Err(LoadFault::NoSession(index)) };
        let transport = self.measured[seat.measured].transport;
        let mut report = PingReport { transport, enter: Latencies::new(), cancel: Latencies::new() };
        for trip in 0..skip.saturating_add(count) {
            let sent = monotonic_ns();
            let user_ref = send(index, &mut seat.session, |session| session.enter(order))?;
            let accepted = await_answer(index, &mut seat.session, sent, |message| match message {
                Outbound::Accepted(m) if m.user_ref == user_ref => Some(Ok(())),
                Outbound::Rejected(m) if m.user_ref == user_ref => Some(Err(LoadFault::Rejected(index, m.reason))),
                _ => None,
            })?;
            let cancelled = monotonic_ns();
            send(index, &mut seat.session, |session| session.cancel(Channel::NONE, user_ref, Quantity(0)))?;
            let mut leaves = order.quantity.0;
            let canceled = await_answer(index, &mut seat.session, cancelled, |message| match message {
                Outbound::Canceled(m) if m.user_ref == user_ref => Some(Ok(())),
                Outbound::Executed(m) if m.user_ref == user_ref => {
                    leaves = leaves.saturating_sub(m.quantity.0);
                    // Somebody took all of it: the cancel gets no answer, the fill has to do.
                    (leaves == 0).then_some(Ok(()))
                }
                _ => None,
            })?;
            if trip >= skip {
                report.enter.record(accepted - sent);
                report.cancel.record(canceled - cancelled);
            }
        }
        Ok(report)
    }

    /// One of the sessions, for what is no part of a flow: a disconnect, an order of its own. Between two runs only.
    pub fn session_mut(&mut self, index: usize) -> Option<&mut OrderSession> {
        self.seats.get_mut(index).map(|seat| &mut seat.session)
    }

    /// Orders that live now, as far as the venue has said.
    pub fn orders(&self) -> usize {
        self.orders.count()
    }

    /// Gives the sessions back.
    pub fn into_sessions(self) -> Vec<OrderSession> {
        self.seats.into_iter().map(|seat| seat.session).collect()
    }

    #[inline]
    fn is_its_turn(&self, plan: &Plan) -> bool {
        match plan.pacing {
            Pacing::Scheduled | Pacing::Flood => true,
            Pacing::InTurn => self.seats.iter().all(|seat| seat.waiting.open() == 0),
        }
    }

    fn send(&mut self, step: &FlowStep, plan: &Plan, start: u64, now: u64, was_held: bool) -> Step {
        use super::flow::FlowAction::{Cancel, Enter, Reduce, Replace};
        let slot = match step.action {
            Enter { .. } => None,
            Replace { key, .. } | Reduce { key, .. } | Cancel { key } => self.orders.by_key(key),
        };
        // What is done with an order is done by the session that entered it.
        let index = match slot {
            Some(slot) => usize::from(self.orders.order(slot).session),
            None => usize::from(step.session) % self.seats.len(),
        };
        let seat = &mut self.seats[index];
        let symbol = self.symbols.get(step.ticker.index()).copied().unwrap_or(Symbol::BLANK);
        let (due, measured) = match plan.pacing {
            Pacing::Scheduled => (Some(start + step.at_ns), step.at_ns >= plan.unmeasured_ns),
            Pacing::Flood | Pacing::InTurn => (None, now.saturating_sub(start) >= plan.unmeasured_ns),
        };
        let was_full = seat.waiting.is_full();
        let sent = seat.send(&step.action, slot, symbol, &mut self.orders, due, measured);
        if sent == Step::Held && !was_held {
            seat.counts.stalls_window += u64::from(was_full);
            seat.counts.stalls_transport += u64::from(!was_full);
        }
        if sent == Step::Sent && was_held {
            self.held_until_ns = now;
        }
        if sent == Step::Sent
            && measured
            && let Some(due) = due
        {
            seat.counts.lateness.note(now.saturating_sub(due), due < self.held_until_ns);
        }
        sent
    }

    fn poll(&mut self, now: u64, held: bool) {
        for seat in &mut self.seats {
            seat.poll(&mut self.orders, &mut self.measured[seat.measured], MESSAGES_PER_TURN);
            if held && seat.waiting.open() > 0 && now.saturating_sub(seat.heard_ns) > QUERY_AFTER_NS {
                seat.unblock(now);
            }
        }
    }

    /// Waits for what is still to be answered; each session asks one question more, which settles the rest. All are
    /// polled all the time: a client that does not read is one the venue drops.
    fn drain(&mut self, limit_ns: u64) {
        let start = monotonic_ns();
        self.seats.iter_mut().for_each(|seat| seat.asked_last = false);
        let mut now = start;
        while now - start < limit_ns {
            self.pairs.note_if_due(now);
            for seat in &mut self.seats {
                seat.asked_last = seat.asked_last || seat.is_over || seat.query(now).is_ok();
                seat.poll(&mut self.orders, &mut self.measured[seat.measured], MESSAGES_PER_TURN);
            }
            if self.seats.iter().all(|seat| seat.is_over || seat.asked_last && seat.waiting.is_empty()) {
                break;
            }
            now = monotonic_ns();
        }
        for seat in &mut self.seats {
            seat.give_up(&mut self.orders);
        }
    }

    #[cold]
    fn progress(&self, plan: &Plan, next: Option<&FlowStep>, start: u64, now: u64) -> Progress {
        let sum = |count: fn(&Seat) -> u64| self.seats.iter().map(count).sum();
        let behind = |step: &FlowStep| match plan.pacing {
            Pacing::Scheduled => now.saturating_sub(start + step.at_ns),
            Pacing::Flood | Pacing::InTurn => 0,
        };
        Progress {
            elapsed_ns: now.saturating_sub(start),
            sent: sum(|seat| seat.counts.sent()),
            answered: sum(|seat| seat.counts.answered()),
            waiting: sum(|seat| seat.waiting.open() as u64),
            behind_ns: next.map_or(0, behind),
        }
    }

    fn report(&self, start: u64, last_send: u64, offsets: [Offset; 2]) -> LoadReport {
        let elapsed_ns = self.seats.iter().map(|seat| seat.answered_ns).max().unwrap_or(start).saturating_sub(start);
        LoadReport {
            start_ns: start,
            elapsed_ns,
            sending_ns: last_send.saturating_sub(start),
            sessions: self.seats.iter().map(|seat| seat.counts).collect(),
            measured: self.measured.clone(),
            pairs: self.pairs.clone(),
            offsets,
        }
    }
}

#[inline]
fn is_due(step: &FlowStep, plan: &Plan, start: u64, now: u64) -> bool {
    !is_over(step, plan, start, now)
        && match plan.pacing {
            Pacing::Scheduled => start.saturating_add(step.at_ns) <= now,
            Pacing::Flood | Pacing::InTurn => start <= now,
        }
}

/// Whether the plan ends before this step.
#[inline]
fn is_over(step: &FlowStep, plan: &Plan, start: u64, now: u64) -> bool {
    match plan.pacing {
        Pacing::Scheduled => {
            let behind_ns = now.saturating_sub(start).saturating_sub(plan.duration_ns);
            step.at_ns > plan.duration_ns || behind_ns > plan.overtime_ns
        }
        Pacing::Flood | Pacing::InTurn => now.saturating_sub(start) > plan.duration_ns,
    }
}

/// How long [`Player::ping`] waits.
const PING_LIMIT_NS: u64 = 1_000_000_000;

/// Sends as soon as there is room.
#[inline]
fn send<T>(
    index: usize,
    session: &mut OrderSession,
    mut request: impl FnMut(&mut OrderSession) -> Result<T, Refusal>,
) -> Result<T, LoadFault> {
    let until = monotonic_ns() + PING_LIMIT_NS;
    loop {
        match request(session) {
            Ok(sent) => return Ok(sent),
            Err(Refusal::NotConnected) => return Err(LoadFault::Lost(index, Fault::Closed)),
            Err(_) if monotonic_ns() > until => return Err(LoadFault::Silent(index)),
            Err(_) => {}
        }
    }
}

/// Spins until `is_answer` has found one; gives the time.
#[inline]
fn await_answer(
    index: usize,
    session: &mut OrderSession,
    since: u64,
    mut is_answer: impl FnMut(&Outbound) -> Option<Result<(), LoadFault>>,
) -> Result<u64, LoadFault> {
    let mut polls = 0u32;
    loop {
        match session.poll().map_err(|fault| LoadFault::Lost(index, fault))? {
            Some(Incoming::Message { message, .. }) => {
                if let Some(answer) = is_answer(&message) {
                    return answer.map(|()| monotonic_ns());
                }
            }
            Some(Incoming::EndOfSession) => return Err(LoadFault::Lost(index, Fault::Closed)),
            None => {
                polls = polls.wrapping_add(1);
                // Now and then is enough: the clock costs as much as a poll of a ring.
                if polls.is_multiple_of(1 << 12) && monotonic_ns() - since > PING_LIMIT_NS {
                    return Err(LoadFault::Silent(index));
                }
            }
        }
    }
}
