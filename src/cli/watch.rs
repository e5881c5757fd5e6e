//! `pitlane watch`: a ticker's live book, built from the feed as any subscriber would.

use super::{ConfigArgument, Failure, Outcome, endpoints};
use crate::client::book::{BookBuilder, Building, TickerBook};
use crate::client::feed::{FeedHandler, FeedSource, FeedState};
use crate::os::clock::monotonic_ns;
use crate::types::{Price, Side, Symbol};
use clap::Args;
use serde_json::json;
use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

/// Arguments of `watch`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Ticker, as the feed names it.
    ticker: String,
    #[command(flatten)]
    config: ConfigArgument,
    /// Levels a side.
    #[arg(long, default_value_t = 10)]
    levels: usize,
    /// Stop after so many seconds; without it at the end of the day or by Ctrl-C.
    #[arg(long)]
    seconds: Option<u64>,
    /// One JSON object each time the book is shown.
    #[arg(long)]
    json: bool,
    /// Times a second the book is shown.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    rate: u32,
}

/// Follows the feed and shows the book.
///
/// # Errors
/// No running exchange, a ticker that is not listed, or a gap no server fills.
pub fn main(arguments: Arguments) -> Outcome {
    let symbol = Symbol::from_text(&arguments.ticker.to_ascii_uppercase())
        .ok_or_else(|| Failure::Usage(format!("{:?} is no ticker: at most eight letters", arguments.ticker)))?;
    let endpoints = endpoints(&arguments.config)?;
    let mut source = FeedSource::new(endpoints.feed, vec![endpoints.rerequest]);
    source.interface = endpoints.feed_interface;
    source.session = endpoints.session.as_bytes().try_into().ok();
    let mut handler = FeedHandler::join(&source)
        .map_err(|e| Failure::Fault(format!("joining the feed {} on {}: {e}", source.group, source.interface)))?;
    let mut builder = BookBuilder::new();
    let started = Instant::now();
    let period = Duration::from_secs(1) / arguments.rate;
    let mut shown = Instant::now() - period;
    let over = |now: Instant| arguments.seconds.is_some_and(|s| now.duration_since(started) >= Duration::from_secs(s));
    loop {
        let taken = handler
            .poll(monotonic_ns(), |_, message| builder.on_message(message))
            .map_err(|e| Failure::Fault(format!("following the feed: {e}")))?;
        let now = Instant::now();
        let ended = handler.state() == FeedState::Ended;
        if now.duration_since(shown) >= period || ended || over(now) {
            shown = now;
            show(&arguments, symbol, &builder, handler.state())?;
        }
        if ended || over(now) {
            return Ok(());
        }
        if taken == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

fn show(arguments: &Arguments, symbol: Symbol, builder: &BookBuilder, state: FeedState) -> Outcome {
    let listed: Vec<String> = builder.books().map(|(_, book)| book.symbol.text()).collect();
    let text = match builder.named(symbol) {
        None if listed.is_empty() => return Ok(()),
        None => return Err(Failure::Usage(format!("{symbol} is not listed; there are {}", listed.join(", ")))),
        Some(book) if arguments.json => format!("{}\n", as_json(book, arguments.levels)),
        Some(book) => as_text(book, arguments.levels, builder, state),
    };
    let clear = if stdout().is_terminal() && !arguments.json { "\x1b[H\x1b[2J" } else { "" };
    // A pipe that closes has seen enough.
    let _closed_pipe = stdout().write_all(format!("{clear}{text}").as_bytes());
    Ok(())
}

fn as_text(book: &TickerBook, levels: usize, builder: &BookBuilder, state: FeedState) -> String {
    let trading = book.state.map_or("unknown".to_owned(), |s| format!("{s:?}").to_lowercase());
    let last = book.last_trade().map_or("-".to_owned(), |t| format!("{} x {}", t.price, t.shares));
    let mut text = format!(
        "{}  {trading}  last {last}  volume {}  trades {}  ({state:?}, {} messages)\n",
        book.symbol.text(),
        book.volume,
        book.executions,
        builder.messages()
    );
    if let Some(building) = &book.building {
        text.push_str(&cross_line(building));
    }
    text.push_str("  orders     bid size        bid | ask        ask size     orders\n");
    let (bids, asks) = (book.depth(Side::Buy, levels), book.depth(Side::Sell, levels));
    for index in 0..bids.len().max(asks.len()) {
        let bid =
            bids.get(index).map_or(" ".repeat(31), |l| format!("{:>8} {:>12} {:>9}", l.orders, l.quantity, l.price));
        let ask =
            asks.get(index).map_or(String::new(), |l| format!("{:<9} {:>9} {:>10}", l.price, l.quantity, l.orders));
        text.push_str(&format!("{bid} | {ask}\n"));
    }
    text
}

/// A cross under way, in one line.
fn cross_line(building: &Building) -> String {
    let surplus = match building.larger {
        Some(Side::Buy) => format!("{} more to buy", building.imbalance),
        Some(Side::Sell) => format!("{} more to sell", building.imbalance),
        None => "no imbalance".to_owned(),
    };
    let price = |price: Price| if price == Price(0) { "-".to_owned() } else { price.to_string() };
    format!(
        "{} cross: {} paired, {surplus}; near {}, far {}, reference {}\n",
        format!("{:?}", building.cross).to_lowercase(),
        building.paired,
        price(building.near),
        price(building.far),
        price(building.reference)
    )
}

fn as_json(book: &TickerBook, levels: usize) -> serde_json::Value {
    let side = |side| -> Vec<_> {
        let depth = book.depth(side, levels);
        depth
            .iter()
            .map(|l| json!({"price": l.price.to_string(), "quantity": l.quantity, "orders": l.orders}))
            .collect()
    };
    json!({
        "ticker": book.symbol.text(),
        "state": book.state.map(|s| format!("{s:?}").to_lowercase()),
        "last": book.last_trade().map(|t| json!({"price": t.price.to_string(), "quantity": t.shares})),
        "volume": book.volume,
        "cross": book.building.map(|b| json!({
            "kind": format!("{:?}", b.cross).to_lowercase(),
            "paired": b.paired,
            "imbalance": b.imbalance,
            "larger": b.larger.map(|side| format!("{side:?}").to_lowercase()),
            "near": b.near.to_string(),
            "far": b.far.to_string(),
            "reference": b.reference.to_string(),
        })),
        "bids": side(Side::Buy),
        "asks": side(Side::Sell),
    })
}
