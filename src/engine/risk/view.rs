//! Looking at the portfolio from outside, and the proofs that limits hold and nothing is made from nothing. Cold but
//! for [`Risk::limits_hold_at`].

use super::holding::Holding;
use super::ticker::Ticker;
use super::{Owner, Reservation, Risk};
use crate::engine::digest::Digest;
use crate::types::{AccountId, Limit, Limits, Money, Price, Side, TickerId};

/// A limit that does not hold, which would be a bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Breach {
    /// Whose.
    pub account: AccountId,
    /// Where, for a position.
    pub ticker: Option<TickerId>,
    /// Which limit; [`Limit::Credit`] for buying power.
    pub limit: Limit,
    /// Where the account stands.
    pub level: i128,
    /// How far it may go.
    pub allowed: i128,
}

/// Money of one account, as people read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountView {
    /// Cash now.
    pub cash: Money,
    /// Fees paid so far; below zero when rebates exceed them.
    pub fees: Money,
    /// Profit of closed positions, without fees.
    pub realised: Money,
    /// Profit of open positions at the last trades.
    pub unrealised: Money,
    /// Cash that open orders could still take.
    pub reserved: Money,
    /// Open orders.
    pub open_orders: u32,
    /// Positions at the mark of the day and open orders at their reserved prices.
    pub gross_exposure: Money,
    /// Whether a kill switch covers it: its own, its firm's or the venue's.
    pub killed: bool,
    /// Its limits now.
    pub limits: Limits,
}

/// One account's position in one ticker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Shares; below zero when sold short.
    pub quantity: i64,
    /// What the open shares cost; below zero what a short sale brought.
    pub cost: Money,
    /// Cost of one open share, rounded toward zero.
    pub average: Money,
    /// Profit of closed shares, without fees.
    pub realised: Money,
    /// Profit of open shares at `mark`.
    pub unrealised: Money,
    /// Last trade, before it the reference.
    pub mark: Price,
    /// Most shares open buy orders could still trade.
    pub open_buys: u64,
    /// Most shares open sell orders could still trade.
    pub open_sells: u64,
}

impl Risk {
    /// What people read of an account. Walks its tickers; cold.
    pub(crate) fn account(&self, id: AccountId) -> AccountView {
        let account = &self.accounts[id.index()];
        let from = self.place(id, TickerId(0));
        let holdings = &self.holdings[from..from + self.tickers.len()];
        AccountView {
            cash: account.cash,
            fees: account.fees,
            realised: holdings.iter().map(|holding| holding.realised).sum(),
            unrealised: holdings.iter().zip(&self.tickers).map(|(h, ticker)| h.unrealised(ticker.last)).sum(),
            reserved: account.reserved,
            open_orders: account.open_orders,
            gross_exposure: account.exposure,
            killed: self.is_killed(account),
            limits: account.limits,
        }
    }

    /// What people read of a position.
    pub(crate) fn position(&self, account: AccountId, ticker: TickerId) -> Position {
        let holding = &self.holdings[self.place(account, ticker)];
        let mark = self.tickers[ticker.index()].last;
        Position {
            quantity: holding.quantity,
            cost: holding.cost,
            average: holding.average(),
            realised: holding.realised,
            unrealised: holding.unrealised(mark),
            mark,
            open_buys: holding.open[0].unsigned_abs(),
            open_sells: holding.open[1].unsigned_abs(),
        }
    }

    /// Whether `account` stands within its limits, in `ticker` as far as positions go. O(1).
    pub(crate) fn limits_hold_at(&self, id: AccountId, ticker: TickerId) -> Result<(), Breach> {
        let (account, ceiling) = (&self.accounts[id.index()], &self.ceilings[id.index()]);
        let breach = |limit, ticker, level: i128, allowed: i128| {
            if level <= allowed { Ok(()) } else { Err(Breach { account: id, ticker, limit, level, allowed }) }
        };
        let holding = &self.holdings[self.place(id, ticker)];
        let worst = holding.worst(Side::Buy).max(holding.worst(Side::Sell));
        breach(Limit::OpenOrders, None, account.open_orders.into(), ceiling.open_orders.into())?;
        breach(Limit::Position, Some(ticker), worst.into(), ceiling.position().into())?;
        breach(Limit::GrossExposure, None, account.exposure.0, ceiling.exposure().0)?;
        breach(Limit::Credit, None, -account.available().0, -ceiling.available().0)
    }

    /// Whether every account stands within its limits everywhere. Walks all; cold.
    pub(crate) fn limits_hold(&self) -> Result<(), Breach> {
        let accounts = 0..self.accounts.len() as u16;
        accounts
            .flat_map(|account| (0..self.tickers.len() as u16).map(move |ticker| (account, ticker)))
            .try_for_each(|(account, ticker)| self.limits_hold_at(AccountId(account), TickerId(ticker)))
    }

    /// Whether nothing was made from nothing: shares of each ticker sum to zero, and cash only left as fees. Cold.
    pub(crate) fn is_balanced(&self) -> bool {
        let tickers = self.tickers.len().max(1);
        let flat = (0..self.tickers.len())
            .all(|ticker| self.holdings.iter().skip(ticker).step_by(tickers).map(|h| h.quantity).sum::<i64>() == 0);
        let cash: Money = self.accounts.iter().map(|account| account.cash + account.fees).sum();
        flat && cash == self.cash_start
    }

    /// Exposure of `account` added up anew from its positions, without orders. Cold.
    pub(crate) fn position_exposure(&self, account: AccountId) -> Money {
        let from = self.place(account, TickerId(0));
        let holdings = &self.holdings[from..from + self.tickers.len()];
        let worth = |(h, t): (&Holding, &Ticker)| Money(i128::from(h.quantity.abs()) * i128::from(t.mark.0));
        holdings.iter().zip(&self.tickers).map(worth).sum()
    }

    /// Cash and exposure of one order's reservation. Cold.
    pub(crate) fn worth(&self, owner: Owner, held: Reservation) -> (Money, Money) {
        let ticker = &self.tickers[owner.ticker.index()];
        (Money(ticker.cash(owner.side, held).into()), Money(ticker.exposure(held).into()))
    }

    pub(crate) fn digest(&self, digest: &mut Digest) {
        self.accounts.iter().for_each(|account| account.digest(digest));
        for holding in &self.holdings {
            digest.add(holding.quantity as u64);
            holding.open.iter().for_each(|&open| digest.add(open as u64));
            digest.add_wide(holding.cost.0);
            digest.add_wide(holding.realised.0);
        }
        for ticker in &self.tickers {
            digest.add(u64::from(ticker.last.0) << 8 | u64::from(ticker.phase.letter()));
        }
        self.days.iter().for_each(|day| day.digest(digest));
        self.broken.digest(digest);
        digest.add(self.calendar.second);
        digest.add(u64::from(self.calendar.count));
        self.firms.iter().for_each(|&(_, killed)| digest.add(killed.into()));
        digest.add(u64::from(self.venue_killed) << 1 | u64::from(self.day_ended));
    }
}
