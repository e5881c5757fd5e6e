//! The sequencing stage: one hot agent that owns the OMS, the risk state and the writing end of the log.
//!
//! It takes commands from the gateways and the operator in bounded turns, lets the OMS decide, gives each the next
//! number and a time above the one before, appends it with its verdict, and sends it on: an accepted one to its
//! matcher, every one as a ticket to egress. What the OMS ignores (a resent request, a cancel of an order that is
//! gone) is no record. Fills come back from egress in number order and are applied first in each turn.
//!
//! Nothing is taken while a link ahead or the log has no room, so that a command popped here is always carried
//! through: nothing is dropped and nothing blocks. Before the journal is full [`Pressure`] narrows who is heard: new orders
//! are refused, with the cause in their record, then clients wait while operators are still taken. The mark of what is appended moves as soon as the record is in the log,
//! which outlives the process. Where that is the promise it is the commit mark; a safer one has another owner.
//!
//! Time that passes is a record too: [`Timer`] makes them, [`Calendar`] those that begin a phase, and price bands pause
//! tickers by records like an operator. Replay reads them like all others and makes none.

mod calendar;
mod shown;
mod timer;

pub use calendar::Calendar;
pub use shown::{SESSION_COLUMNS, Shown, TICKER_COLUMNS};
pub use timer::Timer;

use crate::config::CalendarEntry;
use crate::engine::oms::{AccountView, Decision, Oms, Position, Route};
use crate::journal::{Intake, Link, LogWriter, Pressure};
use crate::runtime::agent::Agent;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::link::{MarkWriter, Receiver, Sender};
use crate::runtime::prefetch::fetch;
use crate::runtime::runner::StopFlag;
use crate::runtime::stamps::{Sampler, Stamp, Stamper, tsc};
use crate::types::{
    AccountId, Command, CommandKind, Market, Nanos, Number, Outcome, Reject, Sequenced, SessionId, TickerId, Ticket,
    Verdict,
};

/// Commands taken from one input in one turn at most: the bound on what one gateway can put before another.
const COMMANDS_A_TURN_MAX: usize = 32;
/// Commands between the first look at a command and its decision, and between the second look and its decision.
const LOOK_FIRST: usize = 6;
const LOOK_SECOND: usize = 3;
/// Outcomes applied in one turn at most.
const OUTCOMES_A_TURN_MAX: usize = 512;

/// Where record times come from. The sequencer makes them rise.
pub trait TimeSource: Send {
    /// Now.
    fn now(&mut self) -> Nanos;
}

/// The ends of the links the sequencer holds.
pub struct SequencerLinks {
    /// Commands: one for each gateway, then the venue's own, such as the operator's.
    pub inputs: Vec<Receiver<Command>>,
    /// How many of the inputs are gateways'.
    pub gateways: usize,
    /// Says who may still write.
    pub pressure: Pressure,
    /// Events on their way back to the OMS.
    pub outcomes: Receiver<Outcome>,
    /// One for each matcher.
    pub matchers: Vec<Sender<Sequenced>>,
    /// To egress.
    pub tickets: Sender<Ticket>,
    /// The operator hears of each of its records.
    pub echoes: Sender<Sequenced>,
    /// Highest number in the log.
    pub appended: MarkWriter,
    /// Raised when no more input is to be taken: the exchange is about to stop.
    pub closed: StopFlag,
    /// Accounts somebody wants to see.
    pub pages_wanted: Receiver<AccountId>,
    /// The answers: a page for each ticker.
    pub pages: Sender<AccountPage>,
    /// Makes the records of passing time.
    pub timer: Timer,
    /// Which phase begins when.
    pub calendar: Vec<CalendarEntry>,
}

/// An account and one of its positions, as the OMS has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountPage {
    /// Which account.
    pub account: AccountId,
    /// Its money.
    pub view: AccountView,
    /// Which ticker.
    pub ticker: TickerId,
    /// Its position there.
    pub position: Position,
}

/// Counters of the stage.
pub struct SequencerCounters {
    /// Records appended.
    pub records: Counter,
    /// Commands without a record: resent or without an order.
    pub ignored: Counter,
    /// Records that refuse.
    pub refused: Counter,
    /// Turns cut short because a link ahead was full.
    pub held_back: Counter,
    /// Of them, those for want of room in the journal.
    pub shed: Counter,
}

impl SequencerCounters {
    /// Adds them all.
    pub fn new(counters: &mut Counters) -> SequencerCounters {
        let mut add = |name: &str| counters.add(&format!("sequencer.{name}"));
        SequencerCounters {
            records: add("records"),
            ignored: add("ignored"),
            refused: add("refused"),
            shed: add("shed"),
            held_back: add("held_back"),
        }
    }
}

/// The sequencing stage.
pub struct Sequencer<T> {
    oms: Oms,
    log: LogWriter,
    time: T,
    last_time: Nanos,
    number: Number,
    market_digest: u64,
    tickers: u16,
    calendar: Calendar,
    /// Bands moved since they were last asked what is due.
    bands_moved: bool,
    links: SequencerLinks,
    counters: SequencerCounters,
    shown: Shown,
    /// Which messages of the gateway are stamped, and the one at hand if it is one.
    sampler: Sampler,
    stamped: Option<u64>,
    stamps: [Stamper; 2],
}

impl<T: TimeSource> Sequencer<T> {
    /// Continues after `number`, the last record of the log (0 for a new one), whose time was `last_time`.
    /// `market_digest` enters the first record of a new log, so that a restart with other reference data is noticed.
    pub fn new(
        oms: Oms,
        log: LogWriter,
        mut time: T,
        last: (Number, Nanos),
        market: &Market,
        links: SequencerLinks,
        counters: SequencerCounters,
    ) -> Sequencer<T> {
        let (number, last_time) = last;
        let market_digest = crate::engine::digest::of_market(market);
        let tickers = market.tickers.len() as u16;
        let calendar = Calendar::new(&links.calendar, market, oms.calendar(), time.now());
        Sequencer {
            oms,
            log,
            time,
            last_time,
            number,
            market_digest,
            tickers,
            calendar,
            bands_moved: false,
            links,
            counters,
            shown: Shown::nowhere(),
            sampler: Sampler::new(0),
            stamped: None,
            stamps: [Stamper::off(), Stamper::off()],
        }
    }

    /// Stamps the records of some of the first input's commands, before and after they are in the log.
    pub fn with_stamps(mut self, sampler: Sampler, sequenced: Stamper, journalled: Stamper) -> Self {
        (self.sampler, self.stamps) = (sampler, [sequenced, journalled]);
        self
    }

    /// Shows what it knows of logins and tickers there.
    pub fn with_shown(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    fn apply_outcomes(&mut self) -> usize {
        for applied in 0..OUTCOMES_A_TURN_MAX {
            let Some(outcome) = self.links.outcomes.pop() else { return applied };
            self.oms.on_event(&outcome);
        }
        OUTCOMES_A_TURN_MAX
    }

    fn has_room(&mut self) -> bool {
        let links = &mut self.links;
        links.tickets.free() > 0 && links.matchers.iter_mut().all(|m| m.free() > 0)
    }

    fn take_from(&mut self, input: usize) -> usize {
        for taken in 0..COMMANDS_A_TURN_MAX {
            if self.links.inputs[input].is_empty() {
                return taken;
            }
            if !self.has_room() {
                self.counters.held_back.add(1);
                return taken;
            }
            let intake = self.intake();
            if intake >= Intake::OperatorOnly && !self.is_heard(input, intake) {
                return taken;
            }
            self.look_ahead(input);
            let Some(mut command) = self.links.inputs[input].pop() else { return taken };
            if intake != Intake::All {
                self.shed(&mut command);
            }
            if input == 0 && command.kind.is_answered() {
                self.stamped = self.sampler.pass();
            }
            self.decide(command);
        }
        COMMANDS_A_TURN_MAX
    }

    /// Who may write the next record.
    #[inline]
    fn intake(&mut self) -> Intake {
        let number = self.number.0;
        if self.links.pressure.is_calm(number, self.log.free_records_known()) {
            return Intake::All;
        }
        self.links.pressure.look(number, self.log.look_for_records())
    }

    /// Whether the input is still taken when clients are not: the venue's own, and only while there is room.
    #[cold]
    fn is_heard(&self, input: usize, intake: Intake) -> bool {
        intake == Intake::OperatorOnly && input >= self.links.gateways
    }

    /// Has a new order refused for want of room, as if the gateway had found it: the verdict and its cause stand in the
    /// record. What makes an order smaller passes.
    #[cold]
    fn shed(&mut self, command: &mut Command) {
        let is_new = match command.kind {
            CommandKind::Enter => true,
            CommandKind::Replace => !self.oms.only_shrinks(command),
            CommandKind::Cancel
            | CommandKind::Modify
            | CommandKind::MassCancel
            | CommandKind::DisableEntry
            | CommandKind::EnableEntry
            | CommandKind::AccountQuery
            | CommandKind::SessionLost
            | CommandKind::DayStart
            | CommandKind::DayEnd
            | CommandKind::Halt
            | CommandKind::Resume
            | CommandKind::KillOn
            | CommandKind::KillOff
            | CommandKind::SetLimit
            | CommandKind::StateDigest
            | CommandKind::Phase
            | CommandKind::Tick
            | CommandKind::Bust => false,
        };
        if is_new && command.refusal == Reject::None {
            let is_behind = self.links.pressure.is_behind();
            command.refusal = if is_behind { Reject::DiskBehind } else { Reject::JournalFull };
        }
    }

    /// Asks for what later commands will need, where several wait.
    #[inline]
    fn look_ahead(&mut self, input: usize) {
        let (oms, commands) = (&self.oms, &mut self.links.inputs[input]);
        commands.look_ahead(LOOK_FIRST, |command| fetch(oms.line_of_number(command)));
        commands.look_ahead(LOOK_SECOND, |command| {
            if let Some((_, order)) = oms.line_of_order(command) {
                fetch(order);
            }
        });
    }

    fn decide(&mut self, mut command: Command) {
        let time = self.time.now().max(Nanos(self.last_time.0 + 1));
        match self.oms.decide(&mut command, time) {
            Decision::Ignore(_) => {
                self.stamped = None;
                self.counters.ignored.add(1);
            }
            Decision::Record(verdict) => self.record(command, verdict, time),
        }
    }

    fn record(&mut self, command: Command, verdict: Verdict, time: Nanos) {
        self.number = self.number.next();
        self.last_time = time;
        let mut record = Sequenced { number: self.number, time, verdict, command };
        let stamped = self.stamped.take();
        if let Some(message) = stamped {
            self.stamps[0].push(Stamp { key: self.number.0, message, counted: tsc(), ..Stamp::default() });
        }
        let appended = self.log.append(&record);
        assert!(appended.is_ok(), "room in the log was seen before the command was taken");
        self.links.appended.set(self.number.0);
        if stamped.is_some() {
            self.stamps[1].stamp(self.number.0);
            // Behind the append: the journal knows nothing of it.
            record.verdict.reserved = 1;
        }
        let sources = self.route(&record);
        self.oms.apply(&record);
        let pushed = self.links.tickets.try_push(Ticket { record, sources });
        assert!(pushed.is_ok(), "room for a ticket was seen before the command was taken");
        self.counters.records.add(1);
        if !verdict.is_accepted() {
            self.counters.refused.add(1);
            self.shown.count_refusal(command.session);
            self.counters.shed.add(u64::from(matches!(verdict.reject, Reject::JournalFull | Reject::DiskBehind)));
        }
        // Nobody asked for a Tick.
        if command.session == SessionId::VENUE && command.kind != CommandKind::Tick {
            self.echo(record);
        }
    }

    /// Makes the record of passing time when it is due and can be taken; else a later turn does.
    #[cold]
    fn tick(&mut self) -> usize {
        if self.number == Number(0) || !self.has_room() {
            return 0;
        }
        let intake = self.intake();
        if intake == Intake::Nobody {
            return 0;
        }
        let now = self.time.now();
        let Some(command) = self.due(now, intake) else { return 0 };
        self.decide(command);
        1
    }

    /// The next record that time alone makes: the calendar first, then what price bands ask for since the last Tick. A
    /// Tick does not take the room that is kept for operators.
    fn due(&mut self, now: Nanos, intake: Intake) -> Option<Command> {
        if self.oms.day_ended() {
            return None;
        }
        if let Some(command) = self.calendar.due(now) {
            return Some(command);
        }
        if core::mem::take(&mut self.bands_moved)
            && let Some((ticker, phase)) = self.oms.band_due(now)
        {
            // There may be more of them.
            self.bands_moved = true;
            let mut command = Command::new(CommandKind::Phase);
            (command.ticker, command.value) = (ticker, u64::from(phase.letter()));
            command.client_order_id = crate::types::phase::BAND;
            return Some(command);
        }
        if intake == Intake::OperatorOnly {
            return None;
        }
        let tick = self.links.timer.take_due(now)?;
        self.bands_moved = true;
        Some(tick)
    }

    /// Sends the record to the matchers it concerns; gives their set.
    fn route(&mut self, record: &Sequenced) -> u64 {
        let matchers = &mut self.links.matchers;
        let sources = match self.oms.route(record) {
            Route::None => 0,
            Route::One(matcher) => 1 << matcher.0,
            Route::All => u64::MAX >> (64 - matchers.len()),
        };
        for (index, matcher) in matchers.iter_mut().enumerate() {
            if sources & (1 << index) != 0 {
                let pushed = matcher.try_push(*record);
                assert!(pushed.is_ok(), "room in every matcher's link was seen before the command was taken");
            }
        }
        sources
    }

    /// The operator's answer; when it does not listen, its link is full and the record stands all the same.
    #[cold]
    fn echo(&mut self, record: Sequenced) {
        let _unheard = self.links.echoes.try_push(record);
    }

    /// Somebody looks at an account: all its pages at once, so that they are of one moment.
    #[cold]
    fn show_account(&mut self) {
        if self.links.pages.free() < usize::from(self.tickers) {
            return;
        }
        let Some(account) = self.links.pages_wanted.pop() else { return };
        let view = self.oms.account(account);
        for ticker in (0..self.tickers).map(TickerId) {
            let position = self.oms.position(account, ticker);
            let pushed = self.links.pages.try_push(AccountPage { account, view, ticker, position });
            debug_assert!(pushed.is_ok(), "room for all pages was seen");
        }
    }

    /// What the next record would carry: where the journal ends.
    pub fn end(&self) -> Link {
        self.log.link()
    }

    /// The OMS, to compare with another after the run.
    pub fn oms(&self) -> &Oms {
        &self.oms
    }
}

impl<T: TimeSource> Agent for Sequencer<T> {
    fn name(&self) -> &str {
        "sequencer"
    }

    /// A new log starts with the day.
    fn start(&mut self) {
        if self.number == Number(0) {
            let mut command = Command::new(CommandKind::DayStart);
            command.value = self.market_digest;
            self.decide(command);
        }
    }

    fn work(&mut self) -> usize {
        let looks = self.links.timer.looks();
        if looks {
            self.links.outcomes.look();
            self.links.inputs.iter().for_each(Receiver::look);
        }
        let mut done = self.apply_outcomes();
        if !self.links.pages_wanted.is_empty() {
            self.show_account();
        }
        if self.links.closed.is_requested() {
            return done;
        }
        if looks {
            done += self.tick();
            self.shown.refresh(&self.oms);
        }
        for input in 0..self.links.inputs.len() {
            done += self.take_from(input);
        }
        done
    }

    /// Applies what egress has handed back, which by then makes no more: all of it belongs to the state that the run
    /// ends in. Test: the simulator, whose orderly stops come at any moment.
    fn stop(&mut self) {
        while self.apply_outcomes() > 0 {}
    }
}
