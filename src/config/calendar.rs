//! The `[[calendar]]` of a configuration: which phase begins at which time of day, in which tickers. Cold.

use super::reader::Section;
use super::{PHASES, Phase};
use crate::types::{Symbol, TickerId, TickerSpec};

const SECONDS_OF_DAY: u32 = 86_400;

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CalendarEntry {
    /// Second of the day, UTC by the record clock.
    pub at: u32,
    /// What begins then.
    pub phase: Phase,
    /// Where; everywhere when empty.
    pub tickers: Vec<TickerId>,
}

impl CalendarEntry {
    fn concerns(&self, ticker: TickerId) -> bool {
        self.tickers.is_empty() || self.tickers.contains(&ticker)
    }
}

/// Reads all entries. A ticker that one of them concerns starts its day closed, unless it says where else.
pub(super) fn read_calendar(root: &Section<'_, '_>, tickers: &mut [TickerSpec]) -> Vec<CalendarEntry> {
    let mut entries: Vec<CalendarEntry> = Vec::new();
    for section in root.sections("calendar") {
        let text = section.required_text("at", "a time of day such as \"09:30:00\"");
        let at = seconds(&text).unwrap_or_else(|| {
            section.refuse("at", format!("{text:?}"), "a time of day from \"00:00:00\" to \"23:59:59\"");
            0
        });
        let phase = section.word("phase", PHASES, Phase::Closed);
        if section.text_or_absent("phase").is_none() {
            section.refuse("phase", "nothing", "the phase that begins");
        }
        let entry = CalendarEntry { at, phase, tickers: read_tickers(&section, tickers) };
        for (index, ticker) in tickers.iter_mut().enumerate() {
            let id = TickerId(index as u16);
            if entry.concerns(id) && entries.iter().any(|other| other.at == at && other.concerns(id)) {
                section.refuse("at", &text, format!("one phase a second for {}", ticker.symbol));
            }
            if entry.concerns(id) && ticker.auction.phase_start == Phase::Trading {
                ticker.auction.phase_start = Phase::Closed;
            }
        }
        section.finish();
        entries.push(entry);
    }
    entries
}

fn read_tickers(section: &Section<'_, '_>, tickers: &[TickerSpec]) -> Vec<TickerId> {
    let find = |name: &str| tickers.iter().position(|ticker| Some(ticker.symbol) == Symbol::from_text(name));
    let known = |name: &&str| {
        let found = find(name).map(|index| TickerId(index as u16));
        if found.is_none() {
            section.refuse("tickers", format!("{name:?}"), "symbols of a [[ticker]]");
        }
        found
    };
    section.texts("tickers").iter().filter_map(known).collect()
}

/// `HH:MM` or `HH:MM:SS` as seconds since midnight.
fn seconds(text: &str) -> Option<u32> {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &&str| if part.len() == 2 { part.parse::<u32>().ok() } else { None };
    let numbers = parts.iter().map(number).collect::<Option<Vec<_>>>()?;
    let (hours, minutes, seconds) = match numbers[..] {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let total = hours * 3_600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total < SECONDS_OF_DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, EXAMPLE};
    use super::*;

    fn with(calendar: &str) -> Result<Config, super::super::ConfigFaults> {
        Config::parse("x.toml", &format!("{EXAMPLE}\n{calendar}"))
    }

    #[test]
    fn a_calendar_is_read_and_its_tickers_start_closed() {
        let text = "[[calendar]]\nat = \"09:30\"\nphase = \"trading\"\ntickers = [\"AAPL\"]\n";
        let config = with(text).unwrap();
        let entry = CalendarEntry { at: 34_200, phase: Phase::Trading, tickers: vec![TickerId(0)] };
        assert_eq!(config.calendar, [entry]);
        let starts: Vec<_> = config.market.tickers.iter().map(|t| t.auction.phase_start).collect();
        assert_eq!(starts[..2], [Phase::Closed, Phase::Trading]);
    }

    #[test]
    fn a_wrong_entry_names_its_line() {
        let lines = EXAMPLE.lines().count() + 2;
        for (text, key) in [
            ("at = \"25:00\"\nphase = \"trading\"", "calendar[0].at"),
            ("at = \"09:00\"\nphase = \"lunch\"", "calendar[0].phase"),
            ("at = \"09:00\"\nphase = \"closed\"\ntickers = [\"NOPE\"]", "calendar[0].tickers"),
            ("at = \"09:00\"", "calendar[0].phase"),
        ] {
            let faults = with(&format!("[[calendar]]\n{text}\n")).unwrap_err().faults;
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].key, key);
            assert!(faults[0].line >= lines, "{faults:?}");
        }
        let twice = "[[calendar]]\nat = \"09:00\"\nphase = \"trading\"\ntickers = [\"AAPL\"]\n";
        assert_eq!(with(&twice.repeat(2)).unwrap_err().faults.len(), 1, "one phase a second");
    }

    #[test]
    fn times_of_day_are_two_digits_each() {
        assert_eq!(seconds("00:00"), Some(0));
        assert_eq!(seconds("23:59:59"), Some(86_399));
        assert!(["24:00", "9:30", "09:60", "09:30:60", "0930", "", "09:30:00:00"].iter().all(|t| seconds(t).is_none()));
    }
}
