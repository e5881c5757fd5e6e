//! What an operator can look at: how far the stages are, the counters, an account's portfolio. Cold.
//!
//! The operator's agent asks; the answers come from the mapped counters, the marks of the stages, the depth cache, the tables of
//! logins and links, and, for a portfolio, from the sequencer itself, which sends an account's pages when it is asked to.

use super::alarms::alarms;
use super::endpoints::Endpoints;
use super::seen;
use crate::config::Config;
use crate::engine::oms::Position;
use crate::gateway::operator::StatusSource;
use crate::os::clock::monotonic_ns;
use crate::runtime::counters::Counters;
use crate::runtime::link::{MarkReader, Receiver, Sender};
use crate::runtime::queues::QueueLengths;
use crate::sequencer::AccountPage;
use crate::types::{AccountId, Market};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// How long an answer of the sequencer may take; it is turned all the time, so that only a stopped one does not.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The ends the status needs.
pub struct StatusLinks {
    /// Highest record in the log.
    pub appended: MarkReader,
    /// Highest committed record.
    pub committed: MarkReader,
    /// Highest record synced on a disk, where there are segments.
    pub synced: Option<MarkReader>,
    /// Highest record whose outputs have left.
    pub delivered: MarkReader,
    /// Asks for an account.
    pub pages_wanted: Sender<AccountId>,
    /// Its pages.
    pub pages: Receiver<AccountPage>,
}

/// Answers an operator's questions.
pub struct Status {
    market: Market,
    endpoints: Endpoints,
    links: StatusLinks,
    started: Instant,
}

impl Status {
    /// For a running exchange.
    pub fn new(config: &Config, endpoints: Endpoints, links: StatusLinks) -> Status {
        Status { market: config.market.clone(), endpoints, links, started: Instant::now() }
    }

    /// The pages of an account at one moment; none when the sequencer does not answer in time.
    fn pages(&mut self, account: AccountId) -> Option<Vec<AccountPage>> {
        while self.links.pages.pop().is_some() {}
        self.links.pages_wanted.try_push(account).ok()?;
        let asked = Instant::now();
        let mut pages = Vec::with_capacity(self.market.tickers.len());
        while pages.len() < self.market.tickers.len() {
            match self.links.pages.pop() {
                Some(page) => pages.push(page),
                None if asked.elapsed() > ANSWER_MAX => return None,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        // What the pages say was in the log by now; nothing of it is told before it is committed.
        let seen = self.links.appended.value();
        while self.links.committed.value() < seen {
            if asked.elapsed() > ANSWER_MAX {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Some(pages)
    }

    /// How much waited in each link since the start, in the looks that found something.
    fn links(&self) -> Vec<Value> {
        let queues = QueueLengths::read(&self.endpoints.queues).unwrap_or_default();
        let link = |queue: &QueueLengths| {
            let [p50, p99, longest] = [5_000, 9_900, 10_000].map(|part| queue.at(part));
            json!({"link": queue.name, "capacity": queue.capacity, "p50": p50, "p99": p99, "longest": longest})
        };
        queues.iter().map(link).collect()
    }

    fn shown(&self, account: AccountId, pages: &[AccountPage]) -> Value {
        let (name, view) = (&self.market.accounts[account.index()].name, pages[0].view);
        let positions: Vec<Value> = pages
            .iter()
            .filter(|page| is_used(&page.position))
            .map(|page| {
                let position = page.position;
                json!({
                    "ticker": self.market.tickers[page.ticker.index()].symbol.text(),
                    "quantity": position.quantity,
                    "average": position.average.to_string(),
                    "mark": position.mark.to_string(),
                    "realised": position.realised.to_string(),
                    "unrealised": position.unrealised.to_string(),
                    "open_buys": position.open_buys,
                    "open_sells": position.open_sells,
                })
            })
            .collect();
        json!({
            "account": name,
            "cash": view.cash.to_string(),
            "fees": view.fees.to_string(),
            "realised": view.realised.to_string(),
            "unrealised": view.unrealised.to_string(),
            "reserved": view.reserved.to_string(),
            "open_orders": view.open_orders,
            "gross_exposure": view.gross_exposure.to_string(),
            "killed": view.killed,
            "positions": positions,
        })
    }
}

/// Whether the account has anything to do with the ticker.
fn is_used(position: &Position) -> bool {
    position.quantity != 0 || position.realised.0 != 0 || position.open_buys + position.open_sells != 0
}

impl StatusSource for Status {
    fn status(&mut self) -> Value {
        let counters: Map<String, Value> = Counters::read(&self.endpoints.counters)
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect();
        json!({
            "session": self.endpoints.session,
            "seconds": self.started.elapsed().as_secs(),
            "appended": self.links.appended.value(),
            "committed": self.links.committed.value(),
            "synced": self.links.synced.as_ref().map(MarkReader::value),
            "delivered": self.links.delivered.value(),
            "endpoints": self.endpoints,
            // What cannot be read is missing, and the rest is told.
            "tickers": seen::tickers(&self.endpoints).unwrap_or_default(),
            "sessions": seen::sessions(&self.endpoints, monotonic_ns()).unwrap_or_default(),
            "links": self.links(),
            "alarms": alarms(&counters),
            "counters": counters,
        })
    }

    fn portfolio(&mut self, account: AccountId) -> Value {
        match self.pages(account) {
            Some(pages) => self.shown(account, &pages),
            None => json!({"error": "the sequencer or the disk does not answer in time; ask again"}),
        }
    }
}
