//! A shard: the books of one matcher, what is under way in them, and which request goes where.

use super::arena::Arena;
use super::beside::Specials;
use super::events::{Events, Progress};
use super::ladder::TICKS_MAX;
use super::passage::PhaseWalk;
use super::scale::Scale;
use super::tape::{BustWalk, Tape};
use super::ticker::Book;
use super::waiting::Tree;
use super::walk::{Owner, Walk};
use super::work::{Settlement, Work};
use crate::types::{CommandKind, Event, Firm, Market, MatcherId, Sequenced, TickerId, TickerSpec};
use core::fmt;

/// Why a shard cannot be built. Nothing was kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShardFault {
    /// The ticker's price range holds no price, or its tick is 0 or above 2^30.
    NoLadder {
        /// The ticker.
        ticker: TickerId,
    },
    /// The tickers of the shard have more ticks than [`TICKS_MAX`] together.
    TooManyTicks {
        /// How many they have.
        ticks: u64,
    },
}

impl fmt::Display for ShardFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShardFault::NoLadder { ticker } => {
                write!(f, "ticker {ticker}: tick, lowest and highest price do not make a price ladder")
            }
            ShardFault::TooManyTicks { ticks } => {
                write!(
                    f,
                    "price ladders of {ticks} ticks in one shard; at most {TICKS_MAX} (64 bytes each) are allowed"
                )
            }
        }
    }
}

impl core::error::Error for ShardFault {}

/// The books of one matcher. See the module for how it works.
#[derive(Clone, Debug)]
pub struct Shard {
    pub(super) arena: Arena,
    /// By ticker.
    pub(super) books: Box<[Book]>,
    /// By account.
    pub(super) firms: Box<[Firm]>,
    /// By session.
    pub(super) owners: Box<[Owner]>,
    pub(super) specials: Specials,
    /// Orders of all tickers that have an expiry.
    pub(super) expiries: Tree,
    pub(super) tape: Tape,
    pub(super) work: Work,
    /// Changes of phase to go on with when the work is done.
    pub(super) after: Option<PhaseWalk>,
    /// A settlement of pegs to go on with after that.
    pub(super) settling: Option<Settlement>,
    /// Pegs of all tickers: without any, nothing is to be settled.
    pub(super) pegs_count: u32,
}

impl Shard {
    /// The empty books of `matcher`'s tickers, all memory taken and written. Cold.
    ///
    /// # Errors
    /// [`ShardFault`] when a price range is unusable or the ladders together are too large.
    pub fn new(market: &Market, matcher: MatcherId) -> Result<Shard, ShardFault> {
        let scales = Self::scales(market, matcher)?;
        let books = scales
            .into_iter()
            .zip(&market.tickers)
            .enumerate()
            .map(|(index, (scale, spec))| {
                Book::new(scale, spec, TickerId(index as u16).locate(), spec.matcher == matcher)
            })
            .collect();
        let owners =
            market.sessions.iter().map(|s| Owner { account: s.account, firm: market.accounts[s.account.index()].firm });
        Ok(Shard {
            arena: Arena::new(market.orders_max, market.sessions.len()),
            books,
            firms: market.accounts.iter().map(|a| a.firm).collect(),
            owners: owners.collect(),
            specials: Specials::new(market.orders_max),
            expiries: Tree::EMPTY,
            tape: Tape::new(market.trades_kept),
            work: Work::None,
            after: None,
            settling: None,
            pegs_count: 0,
        })
    }

    /// Checks all ranges before any memory is taken.
    fn scales(market: &Market, matcher: MatcherId) -> Result<Vec<Scale>, ShardFault> {
        let scale = |(index, spec): (usize, &TickerSpec)| {
            Scale::new(spec).map_err(|_| ShardFault::NoLadder { ticker: TickerId(index as u16) })
        };
        let scales = market.tickers.iter().enumerate().map(scale).collect::<Result<Vec<_>, _>>()?;
        let of_matcher = scales.iter().zip(&market.tickers).filter(|(_, spec)| spec.matcher == matcher);
        // Orders that wait for a cross have a second pair of ladders.
        let pairs = |spec: &TickerSpec| 1 + u64::from(spec.auction.cross_orders);
        let ticks = of_matcher.map(|(scale, spec)| u64::from(scale.ticks()) * pairs(spec)).sum();
        if ticks > TICKS_MAX as u64 { Err(ShardFault::TooManyTicks { ticks }) } else { Ok(scales) }
    }

    /// Executes one record. `out` then holds what happened, at least one event once the record is finished.
    ///
    /// Shape: on [`Progress::More`] take the events and call [`Shard::resume`], before any other record.
    /// Cost: flat in the number of resting orders; no allocation; hot.
    ///
    /// # Panics
    /// When the record before is not finished, the ticker belongs to another shard, or a slot was given twice.
    #[inline(always)]
    pub fn execute(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        debug_assert!(matches!(self.work, Work::None), "the record before is not finished");
        out.clear();
        let progress = match record.command.kind {
            CommandKind::Enter => self.enter(record, out),
            CommandKind::Cancel => self.cancel(record, out),
            CommandKind::Replace => self.replace(record, out),
            _ => self.execute_rare(record, out),
        };
        if self.pegs_count == 0 { progress } else { self.settle_after(record, progress, out) }
    }

    /// The other kinds, in a function of their own: together they would take the registers of the frequent ones.
    #[inline(never)]
    fn execute_rare(&mut self, record: &Sequenced, out: &mut Events) -> Progress {
        let command = &record.command;
        match command.kind {
            CommandKind::Enter => self.enter(record, out),
            CommandKind::Cancel => self.cancel(record, out),
            CommandKind::Replace => self.replace(record, out),
            CommandKind::Modify => self.modify(record, out),
            CommandKind::MassCancel => self.walk(Walk::mass_cancel(command), out),
            CommandKind::SessionLost => self.walk(Walk::session_lost(command), out),
            CommandKind::KillOn => self.walk(Walk::kill(command, self.owners.len()), out),
            CommandKind::DayEnd => self.walk(Walk::day_end(self.owners.len()), out),
            CommandKind::DayStart => self.phases(PhaseWalk::START, out),
            CommandKind::Halt | CommandKind::Resume | CommandKind::Phase => {
                self.phases(PhaseWalk::record(command), out)
            }
            CommandKind::Bust => self.bust(BustWalk::new(command.ticker, command.value), out),
            CommandKind::DisableEntry
            | CommandKind::EnableEntry
            | CommandKind::AccountQuery
            | CommandKind::KillOff
            | CommandKind::SetLimit
            | CommandKind::StateDigest => nothing(command.ticker, out),
            CommandKind::Tick => self.expire(record.time, false, out),
        }
    }

    /// Goes on with a record that answered [`Progress::More`]. `out` then holds what happened since.
    pub fn resume(&mut self, out: &mut Events) -> Progress {
        out.clear();
        let progress = self.go_on(out);
        match (progress, self.after.take()) {
            (Progress::Done, Some(walk)) => {
                self.work = Work::Phases(walk);
                Progress::More
            }
            (Progress::Done, None) if self.pegs_count == 0 => {
                self.settling = None;
                Progress::Done
            }
            (Progress::Done, None) => {
                let settlement = self.settling.take().unwrap_or(Settlement::ALL);
                self.settle(settlement, out)
            }
            (Progress::More, after) => {
                self.after = after;
                Progress::More
            }
        }
    }

    fn go_on(&mut self, out: &mut Events) -> Progress {
        match core::mem::replace(&mut self.work, Work::None) {
            Work::None => Progress::Done,
            Work::Sweep(mut taker) => {
                let progress = self.sweep(&mut taker, out);
                self.awaken(taker.order.ticker, progress, out)
            }
            Work::SweepPast(mut taker, past) => {
                let progress = self.sweep_past(&mut taker, past, out);
                self.awaken(taker.order.ticker, progress, out)
            }
            Work::Survey(mut taker, survey) => {
                let progress = self.survey(&mut taker, survey, out);
                self.awaken(taker.order.ticker, progress, out)
            }
            Work::SweepAmong(mut taker, touch, past) => {
                let progress = self.sweep_among(&mut taker, &touch, past, out);
                self.awaken(taker.order.ticker, progress, out)
            }
            Work::Settle(settlement) => {
                self.settling = Some(settlement);
                Progress::Done
            }
            Work::Wake(ticker) => self.wake_due(ticker, out),
            Work::Expire { now, spoke } => self.expire(now, spoke, out),
            Work::Cancel(walk) => self.walk(walk, out),
            Work::Phases(walk) => self.phases(walk, out),
            Work::Tick(walk) => self.tick(walk, out),
            Work::Bust(walk) => self.bust(walk, out),
        }
    }
}

/// The answer of a record that changes nothing here.
pub(super) fn nothing(ticker: TickerId, out: &mut Events) -> Progress {
    out.push(ticker, Event::Nothing);
    Progress::Done
}
