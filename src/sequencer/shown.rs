//! What the sequencer shows of logins and tickers: open orders and refusals, in tables that others map.
//!
//! Sequencer thread. It stores one row of each table in every turn that looks at the clock, one in 64, so that no turn
//! grows with the number of logins and a thousand of them are told again every ten milliseconds. Refusals are counted
//! where they happen.

use crate::engine::oms::Oms;
use crate::runtime::table::Row;
use crate::types::{SessionId, TickerId};

/// Its group of columns in the table of logins.
pub const SESSION_COLUMNS: [&str; 2] = ["open_orders", "refused"];
/// Its columns in the table of tickers.
pub const TICKER_COLUMNS: [&str; 1] = ["open_orders"];

/// The rows, and whose turn it is.
pub struct Shown {
    sessions: Vec<Row>,
    tickers: Vec<Row>,
    next: usize,
}

impl Shown {
    /// In these rows, by login and by ticker.
    pub fn new(sessions: Vec<Row>, tickers: Vec<Row>) -> Shown {
        Shown { sessions, tickers, next: 0 }
    }

    /// Nobody looks.
    pub const fn nowhere() -> Shown {
        Shown { sessions: Vec::new(), tickers: Vec::new(), next: 0 }
    }

    /// A record refuses what this login asked for; the venue has no row.
    #[inline]
    pub fn count_refusal(&self, session: SessionId) {
        if let Some(row) = self.sessions.get(session.index()) {
            row.add(1, 1);
        }
    }

    /// Stores the next row of each table.
    #[inline]
    pub fn refresh(&mut self, oms: &Oms) {
        let at = self.next;
        if let Some(row) = self.sessions.get(at) {
            row.set(0, oms.open_orders_of(SessionId(at as u16)).into());
        }
        if let Some(row) = self.tickers.get(at) {
            row.set(0, oms.open_orders_in(TickerId(at as u16)).into());
        }
        self.next = if at + 1 < self.sessions.len().max(self.tickers.len()) { at + 1 } else { 0 };
    }
}
