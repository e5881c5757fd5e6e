//! What an operator can look at: how far the stages are, the counters, an account's portfolio. Cold.
//!
//! The operator's agent asks; the answers come from the mapped counters, the marks of the stages, and, for a
//! portfolio, from the sequencer itself, which sends an account's pages when it is asked to.

use super::endpoints::Endpoints;
use crate::config::Config;
use crate::runtime::counters::Counters;
use crate::runtime::link::{MarkReader, Receiver, Sender};
use crate::runtime::runner::StopFlag;
use crate::sequencer::AccountPage;
use crate::types::{AccountId, Market};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// How long an answer of the sequencer may take; it is turned all the time, so that only a stopped one does not.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The ends the status needs.
pub struct StatusLinks {
    /// Highest committed record.
    pub committed: MarkReader,
    /// Highest record whose outputs have left.
    pub delivered: MarkReader,
    /// Asks for an account.
    pub pages_wanted: Sender<AccountId>,
    /// Its pages.
    pub pages: Receiver<AccountPage>,
    /// Ends the run.
    pub stop: StopFlag,
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

    /// How it stands.
    pub fn status(&self) -> Value {
        let counters: Map<String, Value> = Counters::read(&self.endpoints.counters)
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect();
        json!({
            "session": self.endpoints.session,
            "seconds": self.started.elapsed().as_secs(),
            "committed": self.links.committed.value(),
            "delivered": self.links.delivered.value(),
            "endpoints": self.endpoints,
            "counters": counters,
        })
    }

    /// An account's money and positions at one moment.
    ///
    /// # Errors
    /// No such account, or a sequencer that does not answer.
    pub fn portfolio(&mut self, name: &str) -> Result<Value, String> {
        let account = self.market.account(name).ok_or_else(|| {
            let known: Vec<_> = self.market.accounts.iter().map(|a| a.name.as_str()).collect();
            format!("there is no account {name:?}; there are {}", known.join(", "))
        })?;
        while self.links.pages.pop().is_some() {}
        self.links.pages_wanted.try_push(account).map_err(|_| "the sequencer is busy; ask again".to_owned())?;
        let asked = Instant::now();
        let mut pages = Vec::with_capacity(self.market.tickers.len());
        while pages.len() < self.market.tickers.len() {
            match self.links.pages.pop() {
                Some(page) => pages.push(page),
                None if asked.elapsed() > ANSWER_MAX => return Err("the sequencer does not answer".to_owned()),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        Ok(self.shown(name, &pages))
    }

    fn shown(&self, name: &str, pages: &[AccountPage]) -> Value {
        let view = pages[0].view;
        let positions: Vec<Value> = pages
            .iter()
            .filter(|p| p.position.quantity != 0 || p.position.realised.0 != 0 || p.position.open_buys + p.position.open_sells != 0)
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

    /// Ends the run.
    pub fn stop(&mut self) {
        self.links.stop.request();
    }
}
