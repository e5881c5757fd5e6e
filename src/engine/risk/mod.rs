//! Pre-trade risk and the portfolio: what each account may do, what it holds, and the worst its open orders could
//! come to.
//!
//! One thread, the sequencer's; hot; everything is allocated in [`Risk::new`]. The OMS knows orders and calls in here
//! with reservations and fills; this folder knows accounts and tickers. `checks` is the written order of checks.
//!
//! **Never understated.** An order is reserved in full when its record is applied and released by its events. For each
//! limit the level counted is such that no event can raise it:
//!
//! | level | an order counts | a fill of it then counts |
//! |---|---|---|
//! | position, each side | its open shares | the same shares in the position |
//! | gross exposure | open shares at the higher of its limit price and the mark | shares at the mark, or less when they close |
//! | cash | buys at the limit price, both sides with the worst fee | the trade price, not above the limit, and the fee |
//! | open orders | one | nothing once it ends |
//!
//! So an order admitted while events were still on their way stays within the limits once they are in, in the live
//! run and in a replay that gets them at once. The price for it: a pending replace counts at the worst of old and new,
//! and orders that would close a position still add to gross exposure.
//!
//! **Mark.** Gross exposure values positions at the ticker's reference price of the day, which no trade moves: marking
//! to the last trade would make one account's trade push another above its limit, and need a walk over all accounts
//! at each trade. Profit that people read is marked to the last trade. The price collar follows the last trade too.

mod account;
mod broken;
mod checks;
mod holding;
mod kinds;
pub mod phases;
mod rate;
mod snapshot;
mod ticker;
mod view;

pub use checks::CHECKS;
pub(crate) use checks::Request;
pub(crate) use holding::Holding;
pub use kinds::{FLOORS_MAX, KINDS, Kind, MATRIX, kinds_of};
pub use view::{AccountView, Breach, Position};

use crate::types::{
    AccountId, Command, Firm, Limit, Liquidity, Market, MatchNumber, MatcherId, Money, Nanos, Price, Quantity, Scope,
    Side, TickerId,
};
use account::{Account, Ceiling};
use broken::Broken;
use phases::{CalendarMark, Day};
use ticker::Ticker;

/// What an order could still do: trade `quantity` shares at no worse than `price`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reservation {
    /// Most shares that may still trade.
    pub quantity: Quantity,
    /// Highest limit price they may have.
    pub price: Price,
}

impl Reservation {
    /// Of an order that has ended.
    pub const NONE: Reservation = Reservation { quantity: Quantity(0), price: Price(0) };

    /// The worse of two in each respect: an order that may become the other one at any moment.
    #[inline]
    pub(crate) fn or(self, other: Reservation) -> Reservation {
        Reservation { quantity: self.quantity.max(other.quantity), price: self.price.max(other.price) }
    }
}

/// What an order was in a trade; it sets the fee.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// It rested.
    Maker,
    /// It took.
    Taker,
    /// It traded in a cross.
    Cross,
}

impl Role {
    /// By the flag of its report.
    pub(crate) const fn of(liquidity: Liquidity) -> Role {
        match liquidity {
            Liquidity::Added | Liquidity::AddedHidden | Liquidity::AddedReserve | Liquidity::AddedMidpoint => {
                Role::Maker
            }
            Liquidity::Removed | Liquidity::RemovedMidpoint => Role::Taker,
            Liquidity::OpeningCross
            | Liquidity::ClosingCross
            | Liquidity::HaltCross
            | Liquidity::OpeningImbalanceOnly
            | Liquidity::ClosingImbalanceOnly => Role::Cross,
        }
    }
}

/// An order as the risk side sees it.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) account: AccountId,
    pub(crate) ticker: TickerId,
    pub(crate) side: Side,
}

/// State of all accounts and tickers.
pub(crate) struct Risk {
    accounts: Box<[Account]>,
    /// Account after account, a line for each ticker.
    holdings: Box<[Holding]>,
    tickers: Box<[Ticker]>,
    /// A kill switch for each firm.
    firms: Box<[(Firm, bool)]>,
    venue_killed: bool,
    day_ended: bool,
    /// By ticker: what its phases need beside.
    days: Box<[Day]>,
    calendar: CalendarMark,
    broken: Broken,
    ceilings: Box<[Ceiling]>,
    /// Cash of all accounts at the start; trades only move it, fees only take from it.
    cash_start: Money,
}

impl Risk {
    pub(crate) fn new(market: &Market) -> Risk {
        let mut firms: Vec<(Firm, bool)> = Vec::new();
        let mut accounts = Vec::with_capacity(market.accounts.len());
        for spec in &market.accounts {
            let known = firms.iter().position(|&(firm, _)| firm == spec.firm);
            let firm = known.unwrap_or_else(|| {
                firms.push((spec.firm, false));
                firms.len() - 1
            });
            accounts.push(Account::new(spec, firm as u16));
        }
        Risk {
            ceilings: accounts.iter().map(|account| account.ceiling(0)).collect(),
            holdings: vec![Holding::NONE; market.accounts.len() * market.tickers.len()].into_boxed_slice(),
            tickers: market.tickers.iter().map(Ticker::new).collect(),
            cash_start: market.accounts.iter().map(|account| account.cash).sum(),
            accounts: accounts.into_boxed_slice(),
            firms: firms.into_boxed_slice(),
            venue_killed: false,
            day_ended: false,
            days: Day::of(market),
            calendar: CalendarMark::default(),
            broken: Broken::new(),
        }
    }

    /// Which shard has the book of `ticker`; none for a ticker that is not listed.
    #[inline]
    pub(crate) fn matcher(&self, ticker: TickerId) -> Option<MatcherId> {
        self.tickers.get(ticker.index()).map(|ticker| ticker.matcher)
    }

    pub(crate) fn has_account(&self, account: AccountId) -> bool {
        account.index() < self.accounts.len()
    }

    pub(crate) fn has_firm(&self, firm: Firm) -> bool {
        self.firms.iter().any(|&(known, _)| known == firm)
    }

    /// Counts a message of `account` that became a record.
    #[inline]
    pub(crate) fn count_message(&mut self, account: AccountId, time: Nanos) {
        self.accounts[account.index()].rate.add(time);
    }

    /// Counts an order that opens.
    #[inline]
    pub(crate) fn open_order(&mut self, account: AccountId) {
        self.accounts[account.index()].open_orders += 1;
    }

    /// Counts an order that ends.
    #[inline]
    pub(crate) fn close_order(&mut self, account: AccountId) {
        self.accounts[account.index()].open_orders -= 1;
    }

    /// An order's reservation was `from` and is now `to`.
    #[inline]
    pub(crate) fn reserve(&mut self, owner: Owner, from: Reservation, to: Reservation) {
        if from == to {
            return;
        }
        let ticker = &self.tickers[owner.ticker.index()];
        let cash = ticker.cash(owner.side, to) - ticker.cash(owner.side, from);
        let exposure = ticker.exposure(to) - ticker.exposure(from);
        let account = &mut self.accounts[owner.account.index()];
        account.reserved.0 += i128::from(cash);
        account.exposure.0 += i128::from(exposure);
        let at = self.place(owner.account, owner.ticker);
        self.holdings[at].open[owner.side.index()] += i64::from(to.quantity.0) - i64::from(from.quantity.0);
    }

    /// A trade of an order: position, cash, fee and exposure. The caller lowers its reservation.
    #[inline]
    pub(crate) fn fill(&mut self, owner: Owner, quantity: Quantity, price: Price, role: Role) {
        let (received, fee) = self.amounts(owner, quantity, price, role);
        self.move_shares(owner, quantity, price);
        let account = &mut self.accounts[owner.account.index()];
        account.cash.0 += i128::from(received - fee);
        account.fees.0 += i128::from(fee);
    }

    /// Undoes a trade that was booked with the same values: the opposite trade at the same price, the fee given back. What
    /// the account may come to by that is no breach of its limits.
    #[cold]
    pub(crate) fn unfill(&mut self, owner: Owner, quantity: Quantity, price: Price, role: Role) {
        let (received, fee) = self.amounts(owner, quantity, price, role);
        self.move_shares(Owner { side: owner.side.opposite(), ..owner }, quantity, price);
        let account = &mut self.accounts[owner.account.index()];
        account.cash.0 -= i128::from(received - fee);
        account.fees.0 -= i128::from(fee);
        let mark = self.tickers[owner.ticker.index()].mark;
        let grace = &mut self.ceilings[owner.account.index()].broken;
        grace.position += i64::from(quantity.0);
        grace.exposure += Money::notional(mark, quantity);
        grace.cash += Money(i128::from((received - fee).max(0)));
    }

    /// What a trade brings, and its fee. Exact: 20 bits of quantity by 32 of price or fee.
    #[inline]
    fn amounts(&self, owner: Owner, quantity: Quantity, price: Price, role: Role) -> (i64, i64) {
        let ticker = &self.tickers[owner.ticker.index()];
        let rate = match role {
            Role::Maker => ticker.fee_maker,
            Role::Taker => ticker.fee_taker,
            Role::Cross => self.days[owner.ticker.index()].fee_cross,
        };
        let amount = i64::from(quantity.0) * i64::from(price.0);
        let received = match owner.side {
            Side::Buy => -amount,
            Side::Sell => amount,
        };
        (received, i64::from(quantity.0) * i64::from(rate))
    }

    #[inline]
    fn move_shares(&mut self, owner: Owner, quantity: Quantity, price: Price) {
        let mark = self.tickers[owner.ticker.index()].mark;
        let at = self.place(owner.account, owner.ticker);
        let holding = &mut self.holdings[at];
        let before = holding.quantity.abs();
        holding.trade(owner.side, quantity, price);
        let moved = i128::from(holding.quantity.abs() - before) * i128::from(mark.0);
        self.accounts[owner.account.index()].exposure.0 += moved;
    }

    /// The last trade of `ticker` was at `price`.
    #[inline]
    pub(crate) fn trade(&mut self, ticker: TickerId, price: Price) {
        self.tickers[ticker.index()].last = price;
    }

    /// Switches the kill switch that `command` names. Switches of wider and narrower scope stay as they are.
    pub(crate) fn kill(&mut self, command: &Command, on: bool) {
        match command.scope {
            Scope::None => {}
            Scope::Account => self.accounts[command.account.index()].killed = on,
            Scope::Firm => {
                self.firms.iter_mut().filter(|(firm, _)| *firm == command.firm).for_each(|(_, killed)| *killed = on);
            }
            Scope::All => self.venue_killed = on,
        }
    }

    /// Sets a limit. From here on the account may stand within it, or where it stands now.
    pub(crate) fn set_limit(&mut self, account: AccountId, limit: Limit, value: u64) {
        self.accounts[account.index()].set_limit(limit, value);
        let from = self.place(account, TickerId(0));
        let holdings = &self.holdings[from..from + self.tickers.len()];
        let worst = holdings.iter().map(|h| h.worst(Side::Buy).max(h.worst(Side::Sell))).max().unwrap_or(0);
        let ceiling = &mut self.ceilings[account.index()];
        *ceiling = Ceiling { broken: ceiling.broken, ..self.accounts[account.index()].ceiling(worst) };
    }

    /// A trade was broken.
    pub(crate) fn note_broken(&mut self, number: MatchNumber) {
        self.broken.add(number);
    }

    /// Whether a trade was broken lately.
    pub(crate) fn is_broken(&self, number: MatchNumber) -> bool {
        self.broken.has(number)
    }

    /// How far the calendar's records have come.
    pub(crate) fn calendar(&self) -> CalendarMark {
        self.calendar
    }

    /// Whether the day is over.
    pub(crate) fn day_ended(&self) -> bool {
        self.day_ended
    }

    #[inline]
    fn is_killed(&self, account: &Account) -> bool {
        self.venue_killed || account.killed || self.firms[account.firm as usize].1
    }

    #[inline]
    fn place(&self, account: AccountId, ticker: TickerId) -> usize {
        account.index() * self.tickers.len() + ticker.index()
    }
}
