//! What a running exchange shows of itself: its counters, stage times, links, logins and tickers, read from the files
//! that it maps by whoever may read them. Cold; the exchange does nothing for it and does not notice.
//!
//! `pitlane top`, the metrics and the operator's status tell the same things because all three look through here. Each
//! number is whole; together they are not one instant, but within the rhythm in which rows are stored: a login's row is at
//! most a sixth of a second old.

use super::endpoints::Endpoints;
use crate::client::depth::{DepthReader, Snapshot};
use crate::gateway::shown;
use crate::runtime::table::{Table, TableView};
use crate::sequencer::{SESSION_COLUMNS, TICKER_COLUMNS};
use crate::types::{Price, TickerId};
use serde::Serialize;
use std::io;
use std::path::Path;

/// Transports of the gateway in the order in which it was given them, behind nobody.
pub const TRANSPORTS: [&str; 3] = ["", "tcp", "shared"];

/// A login as it stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct SessionSeen {
    /// Its name.
    pub user: String,
    /// Whose orders it sends.
    pub account: String,
    /// How it is connected; empty when it is not.
    pub transport: String,
    /// Connections that became live in this run.
    pub logins: u64,
    /// Messages taken from it in this run.
    pub messages_in: u64,
    /// Messages of its stream so far.
    pub messages_out: u64,
    /// Bytes of its stream so far.
    pub stream_bytes: u64,
    /// Bytes of them that its transport would not take yet.
    pub unsent_bytes: u64,
    /// Bytes in its ring that it has not read, in whole slots; what its socket holds is not known.
    pub unread_bytes: u64,
    /// Orders it has open.
    pub open_orders: u64,
    /// Records of this run that refuse what it asked for.
    pub refused: u64,
    /// Time since it last sent something, in ms; none when it has not in this run.
    pub idle_ms: Option<u64>,
}

impl SessionSeen {
    /// Bytes of its stream that it is behind.
    pub fn behind_bytes(&self) -> u64 {
        self.unsent_bytes + self.unread_bytes
    }
}

/// A ticker as it stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct TickerSeen {
    /// Its symbol.
    pub ticker: String,
    /// State of trading.
    pub state: String,
    /// Best displayed prices and the shares there; empty where a side has none.
    pub bid: String,
    /// See `bid`.
    pub bid_quantity: u64,
    /// See `bid`.
    pub ask: String,
    /// See `bid`.
    pub ask_quantity: u64,
    /// Price of the last trade; empty before the first.
    pub last: String,
    /// Trades of the day.
    pub trades: u64,
    /// Shares traded.
    pub volume: u64,
    /// Open orders, displayed or not.
    pub open_orders: u64,
}

/// The name of a login's row: what a person calls it, and its account behind it.
pub fn session_name(user: &str, account: &str) -> String {
    format!("{user} {account}")
}

fn named<T>(path: &Path, read: io::Result<T>) -> io::Result<T> {
    read.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

/// The columns of these names, wherever they stand.
fn columns<const N: usize>(view: &TableView, names: [&str; N]) -> io::Result<[usize; N]> {
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        let missing = || io::Error::new(io::ErrorKind::InvalidData, format!("the table has no column {name:?}"));
        *place = view.column(name).ok_or_else(missing)?;
    }
    Ok(places)
}

/// All logins, in the order of the configuration. `now_ns`: the host's steady clock.
///
/// # Errors
/// The file and what is wrong with it.
pub fn sessions(endpoints: &Endpoints, now_ns: u64) -> io::Result<Vec<SessionSeen>> {
    let path = &endpoints.sessions;
    let view = named(path, Table::read(path))?;
    let [transport, logins, messages_in, messages_out, stream, unsent, unread, active] =
        named(path, columns(&view, shown::COLUMNS))?;
    let [open, refused] = named(path, columns(&view, SESSION_COLUMNS))?;
    let session = |(name, values): &(String, Vec<u64>)| {
        let (user, account) = name.split_once(' ').unwrap_or((name, ""));
        let active_ns = values[active];
        SessionSeen {
            user: user.to_owned(),
            account: account.to_owned(),
            transport: TRANSPORTS.get(values[transport] as usize).copied().unwrap_or("unknown").to_owned(),
            logins: values[logins],
            messages_in: values[messages_in],
            messages_out: values[messages_out],
            stream_bytes: values[stream],
            unsent_bytes: values[unsent],
            unread_bytes: values[unread],
            open_orders: values[open],
            refused: values[refused],
            idle_ms: (active_ns > 0).then(|| now_ns.saturating_sub(active_ns) / 1_000_000),
        }
    };
    Ok(view.rows.iter().map(session).collect())
}

/// All tickers, in the order of the configuration.
///
/// # Errors
/// The file and what is wrong with it.
pub fn tickers(endpoints: &Endpoints) -> io::Result<Vec<TickerSeen>> {
    let path = &endpoints.tickers;
    let view = named(path, Table::read(path))?;
    let [open] = named(path, columns(&view, TICKER_COLUMNS))?;
    let depth = DepthReader::open(&endpoints.depth)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", endpoints.depth.display())))?;
    let ticker = |(index, (name, values)): (usize, &(String, Vec<u64>))| {
        // One that changes without end, whose writer stands still in a change, is told without its prices.
        let snapshot = depth.read(TickerId(index as u16)).ok();
        TickerSeen {
            ticker: name.clone(),
            open_orders: values[open],
            ..snapshot.map_or_else(TickerSeen::default, priced)
        }
    };
    Ok(view.rows.iter().enumerate().map(ticker).collect())
}

fn priced(snapshot: Snapshot) -> TickerSeen {
    let price = |price: Price| if price == Price(0) { String::new() } else { price.to_string() };
    let (facts, bid, ask) = (snapshot.facts, snapshot.bids().first(), snapshot.asks().first());
    TickerSeen {
        state: format!("{:?}", facts.state).to_lowercase(),
        bid: bid.map_or_else(String::new, |level| price(level.price)),
        bid_quantity: bid.map_or(0, |level| level.quantity),
        ask: ask.map_or_else(String::new, |level| price(level.price)),
        ask_quantity: ask.map_or(0, |level| level.quantity),
        last: price(facts.last_price),
        trades: facts.trades,
        volume: facts.volume,
        ..TickerSeen::default()
    }
}
