//! Which orders a ticker takes in which phase, and what the OMS keeps of phases beside: when they change by themselves.
//!
//! [`TABLE`] is the whole of the first: a row a kind of order, a column a phase. Plain orders in continuous trading, which
//! is nearly all, do not come here. Phases change by records only, here as in the books, so both always agree. Cold.

use super::ticker::Ticker;
use super::{Request, Risk};
use crate::engine::digest::Digest;
use crate::types::{Command, CommandKind, Market, Nanos, Phase, Reject, TickerId, TickerSpec, TimeInForce, phase};

/// What an order is to a phase. A time in force that is not immediate rests, so it makes no difference here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A limit order that rests, a peg too.
    Limit,
    /// One that must not take.
    PostOnly,
    /// Immediate or cancel, fill or kill too.
    Immediate,
    /// A market order of continuous trading.
    Market,
    /// A stop: it sleeps until a trade of continuous trading or a cross reaches it.
    Stop,
    /// For the opening cross: market, limit, imbalance-only.
    OnOpen,
    /// For the closing cross.
    OnClose,
}

const OK: Reject = Reject::None;

/// What each kind is answered in each phase, in the order of [`Kind`] and of [`Phase::ALL`].
#[rustfmt::skip]
pub const TABLE: [[Reject; 7]; 7] = [
    //               closed          pre-open                    trading            pre-close          halted          halt-auction                paused
    /* limit     */ [Reject::Closed, OK,                         OK,                OK,                Reject::Halted, OK,                         OK],
    /* post only */ [Reject::Closed, OK,                         OK,                OK,                Reject::Halted, OK,                         OK],
    /* immediate */ [Reject::Closed, Reject::ImmediateInAuction, OK,                OK,                Reject::Halted, Reject::ImmediateInAuction, Reject::ImmediateInAuction],
    /* market    */ [Reject::Closed, Reject::MarketInAuction,    OK,                OK,                Reject::Halted, Reject::MarketInAuction,    Reject::MarketInAuction],
    /* stop      */ [Reject::Closed, OK,                         OK,                OK,                Reject::Halted, OK,                         OK],
    /* on open   */ [Reject::Closed, OK,                         Reject::NoOpening, Reject::NoOpening, Reject::Halted, Reject::NoOpening,          Reject::NoOpening],
    /* on close  */ [Reject::Closed, Reject::NoClosing,          OK,                OK,                Reject::Halted, Reject::NoClosing,          Reject::NoClosing],
];

impl Kind {
    /// All of them, in the order of the table's rows.
    pub const ALL: [Kind; 7] =
        [Kind::Limit, Kind::PostOnly, Kind::Immediate, Kind::Market, Kind::Stop, Kind::OnOpen, Kind::OnClose];

    /// What an Enter or a Replace with the cross of its order asks for.
    pub fn of(command: &Command) -> Kind {
        match command.cross {
            b'O' => Kind::OnOpen,
            b'C' => Kind::OnClose,
            _ if command.stop_at().is_some() => Kind::Stop,
            _ if command.time_in_force == TimeInForce::ImmediateOrCancel => Kind::Immediate,
            // One without a limit is priced all the same.
            _ if command.peg().is_some() => Kind::Limit,
            _ if command.price.is_market() => Kind::Market,
            _ if command.post_only != 0 => Kind::PostOnly,
            _ => Kind::Limit,
        }
    }

    /// Its answer in a phase.
    pub const fn answer(self, phase: Phase) -> Reject {
        TABLE[self as usize][phase.index()]
    }
}

/// An order for a cross waits for one moment and one price: what other orders say of time, price and parts has no meaning.
fn is_simple(command: &Command) -> Result<(), Reject> {
    let is_partial = !command.max_floor.is_zero() && command.max_floor < command.quantity;
    let lasts = match command.time_in_force {
        TimeInForce::Day | TimeInForce::ImmediateOrCancel => false,
        TimeInForce::GoodTillTime | TimeInForce::GoodTillCancel => true,
        TimeInForce::ExtendedHours | TimeInForce::AfterHours => true,
    };
    let faults = [
        (command.post_only != 0 || command.stop_at().is_some(), Reject::InvalidCross),
        (is_partial || command.random_reserve != 0, Reject::InvalidMaxFloor),
        (!command.min_quantity.is_zero(), Reject::InvalidMinQuantity),
        (command.peg().is_some(), Reject::InvalidPegType),
        (lasts || command.expire_seconds != 0, Reject::TimeInForce),
    ];
    faults.into_iter().find(|(is, _)| *is).map_or(Ok(()), |(_, reject)| Err(reject))
}

/// What is kept of a ticker's day beside its phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day {
    phase_start: Phase,
    cross_orders: bool,
    /// Fee a share of both sides of a cross.
    pub(super) fee_cross: i32,
    limit_ns: u64,
    pause_ns: u64,
    /// Since when orders press against a bound, 0 when none do.
    pub(super) limit_since: Nanos,
    /// Since when the ticker is paused by its band, 0 when it is not.
    pub(super) paused_since: Nanos,
}

const MS: u64 = 1_000_000;

impl Day {
    pub(super) fn new(spec: &TickerSpec) -> Day {
        let auction = &spec.auction;
        Day {
            phase_start: auction.phase_start,
            cross_orders: auction.cross_orders,
            fee_cross: spec.fees.cross,
            limit_ns: u64::from(auction.band_limit_ms) * MS,
            pause_ns: u64::from(auction.band_pause_ms) * MS,
            limit_since: Nanos(0),
            paused_since: Nanos(0),
        }
    }

    pub(super) fn of(market: &Market) -> Box<[Day]> {
        market.tickers.iter().map(Day::new).collect()
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.add(self.limit_since.0);
        digest.add(self.paused_since.0);
    }
}

impl Risk {
    /// Whether the ticker takes this order in the phase it is in, for what is not a plain order in continuous trading.
    #[cold]
    #[inline(never)]
    pub(super) fn fits_phase(&self, request: &Request<'_>, ticker: &Ticker) -> Result<(), Reject> {
        let command = request.command;
        if self.day_ended {
            return Err(Reject::Halted);
        }
        match Kind::of(command).answer(ticker.phase) {
            Reject::None => {}
            reject => return Err(reject),
        }
        if !command.is_cross() {
            return if command.is_imbalance_only() { Err(Reject::InvalidImbalanceOnly) } else { Ok(()) };
        }
        if !self.days[request.ticker.index()].cross_orders {
            return Err(Reject::CrossNotServed);
        }
        if command.is_imbalance_only() && command.price.is_market() {
            return Err(Reject::InvalidImbalanceOnly);
        }
        is_simple(command)
    }

    /// The phase of a listed ticker.
    pub(crate) fn phase(&self, ticker: TickerId) -> Phase {
        self.tickers[ticker.index()].phase
    }

    /// Whether a record of the venue may change the phase: the calendar does not start what an operator or a band stopped.
    pub(crate) fn may_enter(&self, command: &Command) -> Result<(), Reject> {
        let Some(to) = Phase::from_letter(command.value as u8) else { return Err(Reject::Other) };
        let by_calendar = command.client_order_id == phase::CALENDAR && to != Phase::Closed;
        match self.tickers.get(command.ticker.index()).map(|ticker| ticker.phase) {
            Some(Phase::Halted | Phase::HaltAuction | Phase::Paused) if by_calendar => Err(Reject::StoppedByOperator),
            _ => Ok(()),
        }
    }

    /// A record of the venue at `time` changes the phase of its ticker or of all.
    pub(crate) fn change_phase(&mut self, command: &Command, time: Nanos) {
        let all = command.ticker == TickerId::ALL;
        let concerned = |at: usize| all || at == command.ticker.index();
        let tickers = self.tickers.iter_mut().zip(&mut self.days).enumerate();
        for (_, (ticker, day)) in tickers.filter(|(at, _)| concerned(*at)) {
            let to = ticker.phase.after(command);
            let by_band = to == Phase::Paused && command.client_order_id == phase::BAND;
            day.paused_since = if by_band { time } else { Nanos(0) };
            ticker.phase = to;
        }
        if command.kind == CommandKind::Phase && command.client_order_id == phase::CALENDAR {
            self.calendar.on_record(command.value >> 8);
        }
    }

    /// All tickers to where their day starts, or to its end.
    pub(crate) fn end_day(&mut self, ended: bool) {
        self.day_ended = ended;
        for (ticker, day) in self.tickers.iter_mut().zip(&mut self.days) {
            ticker.phase = if ended { Phase::Closed } else { day.phase_start };
            day.paused_since = Nanos(0);
        }
    }

    /// Orders began or ceased to press against a bound, in the record of `time`.
    pub(crate) fn on_band(&mut self, ticker: TickerId, limit: bool, time: Nanos) {
        let day = &mut self.days[ticker.index()];
        day.limit_since = match (limit, day.limit_since) {
            (false, _) => Nanos(0),
            (true, Nanos(0)) => time,
            (true, since) => since,
        };
    }

    /// The first ticker that a band should pause or let go on at `time`. Walks the tickers.
    pub(crate) fn band_due(&self, time: Nanos) -> Option<(TickerId, Phase)> {
        let due = |since: Nanos, after: u64| since != Nanos(0) && time.since(since) >= after;
        self.tickers.iter().zip(&self.days).enumerate().find_map(|(at, (ticker, day))| {
            let at = TickerId(at as u16);
            if ticker.phase.matches() && day.limit_ns != 0 && due(day.limit_since, day.limit_ns) {
                return Some((at, Phase::Paused));
            }
            let over = ticker.phase == Phase::Paused && due(day.paused_since, day.pause_ns);
            over.then_some((at, Phase::Trading))
        })
    }
}

/// How far the calendar's records have come: the second of the newest, and how many there are of it. A start continues
/// after them, so that no entry of the calendar is lost or made twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CalendarMark {
    /// Second since the Unix epoch that the newest record was due.
    pub second: u64,
    /// Records of that second.
    pub count: u32,
}

impl CalendarMark {
    fn on_record(&mut self, second: u64) {
        if second == self.second {
            self.count += 1;
        } else {
            *self = CalendarMark { second, count: 1 };
        }
    }
}
