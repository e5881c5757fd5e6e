//! Recorded order flow in LOBSTER's two files: the events of one ticker, and the book after each of them.
//!
//! This file reads; [`replay`] turns events into what clients would have sent; [`agreement`] compares the book that
//! came of it with the recorded one. All of it is cold: files are read and turned into steps before a load starts.
//!
//! The message file has `time, type, order id, size, price, direction`, the book file `ask price, ask size, bid
//! price, bid size` for each level, best first; an empty level has a price of ±9999999999. Line n of the one belongs
//! to line n of the other. Prices are in 1/10,000, as ours.
//! # Source
//! LOBSTER, "Output structure" (lobsterdata.com).

pub mod agreement;
pub mod replay;

pub use agreement::{Agreement, Cause};
pub use replay::{Replay, ReplayCounts, ReplayOptions};

use crate::types::{Nanos, Price, Quantity, Side};
use std::fmt;
use std::path::{Path, PathBuf};

/// Levels a side that are read and compared; a deeper file is cut to them.
pub const LEVELS: usize = 10;
/// Events at most: the size of a whole day of the busiest tickers, so that a wrong file ends in an error.
pub const EVENTS_MAX: usize = 20_000_000;
/// Price (without its sign) of a level that is not there.
const EMPTY_PRICE: u64 = 9_999_999_999;

/// A price level: what is shown there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Level {
    /// Its price.
    pub price: Price,
    /// Shares shown.
    pub quantity: u64,
}

/// The best levels of both sides, best first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    levels: [[Level; LEVELS]; 2],
    counts: [usize; 2],
}

impl Snapshot {
    /// From levels given best first; those beyond [`LEVELS`] are left out.
    pub fn new(bids: impl IntoIterator<Item = Level>, asks: impl IntoIterator<Item = Level>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        bids.into_iter().take(LEVELS).for_each(|level| snapshot.push(Side::Buy, level));
        asks.into_iter().take(LEVELS).for_each(|level| snapshot.push(Side::Sell, level));
        snapshot
    }

    /// The levels of a side.
    pub fn side(&self, side: Side) -> &[Level] {
        &self.levels[side.index()][..self.counts[side.index()]]
    }

    /// Whether a price of this side lies where a level would have to be listed, had it any shares.
    fn covers(&self, side: Side, price: Price) -> bool {
        match self.side(side).last() {
            Some(last) if self.counts[side.index()] == LEVELS => !replay::is_better(side, last.price, price),
            _ => true,
        }
    }

    fn push(&mut self, side: Side, level: Level) {
        let count = &mut self.counts[side.index()];
        self.levels[side.index()][*count] = level;
        *count += 1;
    }
}

/// What happened (LOBSTER event types).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordedKind {
    /// 1: a limit order came to rest.
    New,
    /// 2: part of an order was cancelled.
    Reduced,
    /// 3: an order was deleted.
    Deleted,
    /// 4: a displayed order was executed.
    Executed,
    /// 5: a hidden order was executed.
    ExecutedHidden,
    /// 6 and 7: an auction trade, or a halt; not played.
    Other,
}

/// One line of the message file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// Time of day.
    pub time: Nanos,
    /// What happened.
    pub kind: RecordedKind,
    /// The resting order.
    pub id: u64,
    /// Shares.
    pub quantity: Quantity,
    /// Price of the resting order.
    pub price: Price,
    /// Side of the resting order.
    pub side: Side,
}

/// Both files: as many books as events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// What happened.
    pub events: Vec<Recorded>,
    /// The book after each event.
    pub books: Vec<Snapshot>,
}

/// Why a recording cannot be used.
#[derive(Debug)]
pub enum RecordingFault {
    /// A file could not be read.
    Read(PathBuf, std::io::Error),
    /// A line (from 1) of the named file does not follow the format.
    Line(&'static str, usize),
    /// The files do not have the same number of lines, or none, or more than [`EVENTS_MAX`].
    Lengths(usize, usize),
}

impl fmt::Display for RecordingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordingFault::Read(path, error) => write!(f, "reading {}: {error}", path.display()),
            RecordingFault::Line(file, line) => write!(f, "line {line} of the {file} file is not in LOBSTER's format"),
            RecordingFault::Lengths(events, books) => {
                write!(f, "{events} events and {books} books: need as many of each, from 1 to {EVENTS_MAX}")
            }
        }
    }
}

impl std::error::Error for RecordingFault {}

impl Recording {
    /// Reads `messages.csv` and `orderbook10.csv` of a directory.
    /// # Errors
    /// A file that cannot be read, or does not follow the format.
    pub fn open(directory: &Path) -> Result<Recording, RecordingFault> {
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read_to_string(&path).map_err(|error| RecordingFault::Read(path, error))
        };
        Recording::parse(&read("messages.csv")?, &read("orderbook10.csv")?)
    }

    /// From the text of both files.
    /// # Errors
    /// The first line that does not follow the format, or files that do not belong together.
    pub fn parse(messages: &str, books: &str) -> Result<Recording, RecordingFault> {
        let events = lines("message", messages, recorded)?;
        let books = lines("book", books, snapshot)?;
        if events.len() != books.len() || events.is_empty() || events.len() > EVENTS_MAX {
            return Err(RecordingFault::Lengths(events.len(), books.len()));
        }
        Ok(Recording { events, books })
    }
}

fn lines<T>(file: &'static str, text: &str, read: fn(&str) -> Option<T>) -> Result<Vec<T>, RecordingFault> {
    let line = |(index, line)| read(line).ok_or(RecordingFault::Line(file, index + 1));
    text.lines().enumerate().take(EVENTS_MAX + 1).map(line).collect()
}

fn recorded(line: &str) -> Option<Recorded> {
    let mut fields = line.trim().split(',');
    let time = seconds(fields.next()?)?;
    let kind = match fields.next()? {
        "1" => RecordedKind::New,
        "2" => RecordedKind::Reduced,
        "3" => RecordedKind::Deleted,
        "4" => RecordedKind::Executed,
        "5" => RecordedKind::ExecutedHidden,
        "6" | "7" => RecordedKind::Other,
        _ => return None,
    };
    let id = fields.next()?.parse().ok()?;
    let quantity = Quantity(fields.next()?.parse().ok()?);
    // A halt's line carries -1 where the price stands; it is not played, so any price does.
    let price = fields.next()?;
    let price = if kind == RecordedKind::Other { Price(0) } else { Price(price.parse().ok()?) };
    let side = match fields.next()? {
        "1" => Side::Buy,
        "-1" => Side::Sell,
        _ => return None,
    };
    Some(Recorded { time, kind, id, quantity, price, side })
}

/// Decimal seconds as whole ns: up to nine decimals, no floating point in between.
fn seconds(text: &str) -> Option<Nanos> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 9 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = part.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |sum, b| sum * 10 + u64::from(b - b'0'));
    Some(Nanos(whole.parse::<u64>().ok()?.checked_mul(Nanos::SECOND)?.checked_add(part)?))
}

fn snapshot(line: &str) -> Option<Snapshot> {
    let mut snapshot = Snapshot::default();
    let mut fields = line.trim().split(',');
    for _ in 0..LEVELS {
        for side in [Side::Sell, Side::Buy] {
            // A file with fewer levels than ten just ends here.
            let Some(price) = fields.next() else { return Some(snapshot) };
            let price: i64 = price.parse().ok()?;
            let quantity: u64 = fields.next()?.parse().ok()?;
            if price.unsigned_abs() != EMPTY_PRICE {
                snapshot.push(side, Level { price: Price(u32::try_from(price).ok()?), quantity });
            }
        }
    }
    Some(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_each_file_is_read() {
        let messages = "34200.004241176,1,16113575,18,5853300,1\n34200.1,5,0,100,5857900,-1\n";
        let books = "5859400,200,5853300,18\n5859400,200,-9999999999,0\n";
        let recording = Recording::parse(messages, books).unwrap();
        let (time, kind) = (Nanos(34_200_004_241_176), RecordedKind::New);
        let (quantity, price) = (Quantity(18), Price(5_853_300));
        assert_eq!(recording.events[0], Recorded { time, kind, id: 16_113_575, quantity, price, side: Side::Buy });
        assert_eq!(recording.events[1].time, Nanos(34_200_100_000_000));
        let ask = Level { price: Price(5_859_400), quantity: 200 };
        assert_eq!(recording.books[0], Snapshot::new([Level { price, quantity: 18 }], [ask]));
        assert_eq!(recording.books[1].side(Side::Buy), []);
    }

    #[test]
    fn a_bad_line_is_named() {
        let fault = |messages, books| Recording::parse(messages, books).unwrap_err().to_string();
        assert_eq!(
            fault("34200.0,1,5,18,100,1\nx", "1,1,1,1"),
            "line 2 of the message file is not in LOBSTER's format"
        );
        assert!(fault("34200.0,8,5,18,100,1", "1,1,1,1").starts_with("line 1 of the message"));
        assert!(fault("34200.0,1,5,18,100,1", "1,1,1").starts_with("line 1 of the book"));
        assert!(fault("34200.0,1,5,18,100,1", "").contains("1 events and 0 books"));
    }

    #[test]
    fn a_full_side_says_nothing_about_deeper_prices() {
        let asks: Vec<Level> = (1..=12).map(|n| Level { price: Price(n * 100), quantity: 1 }).collect();
        let book = Snapshot::new(asks[..3].iter().rev().copied(), asks.clone());
        assert_eq!(book.side(Side::Sell).len(), LEVELS);
        assert!(book.covers(Side::Sell, Price(1_000)) && !book.covers(Side::Sell, Price(1_001)));
        assert!(book.covers(Side::Buy, Price(1)), "three levels are all there are");
    }
}
