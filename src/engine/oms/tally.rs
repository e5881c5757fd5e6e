//! How many orders each login and each ticker has open: told to people, decides nothing.
//!
//! Not state: it follows from the order table, stands in no digest and no snapshot, and is counted again when a snapshot is
//! read. Four additions in an order's life, in two small arrays. Hot; sequencer thread.

use crate::types::{SessionId, TickerId};

/// The counts.
pub(super) struct Tally {
    sessions: Box<[u32]>,
    tickers: Box<[u32]>,
}

impl Tally {
    pub(super) fn new(sessions: usize, tickers: usize) -> Tally {
        Tally { sessions: vec![0; sessions].into(), tickers: vec![0; tickers].into() }
    }

    /// An order is open now.
    #[inline]
    pub(super) fn opened(&mut self, session: SessionId, ticker: TickerId) {
        self.sessions[session.index()] += 1;
        self.tickers[ticker.index()] += 1;
    }

    /// It has ended.
    #[inline]
    pub(super) fn closed(&mut self, session: SessionId, ticker: TickerId) {
        self.sessions[session.index()] -= 1;
        self.tickers[ticker.index()] -= 1;
    }

    pub(super) fn of_session(&self, session: SessionId) -> u32 {
        self.sessions[session.index()]
    }

    pub(super) fn in_ticker(&self, ticker: TickerId) -> u32 {
        self.tickers[ticker.index()]
    }

    /// Whether the counts are those of these orders. Walks all.
    pub(super) fn holds(&self, orders: impl Iterator<Item = (SessionId, TickerId)>) -> bool {
        let mut counted = Tally::new(self.sessions.len(), self.tickers.len());
        orders.for_each(|(session, ticker)| counted.opened(session, ticker));
        (counted.sessions, counted.tickers) == (self.sessions.clone(), self.tickers.clone())
    }
}
