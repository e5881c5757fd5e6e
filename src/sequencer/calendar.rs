//! The trading calendar: which phase begins when, as records made by the live sequencer.
//!
//! An entry is due each day (UTC, by the record clock) at its second. What is due becomes one Phase record a ticker, in
//! the order of time and, within a second, of the configuration; replay makes none, it finds them in the journal. How far
//! the calendar has come is part of the OMS' state ([`CalendarMark`]): a start continues behind the last record, however
//! it ended, and makes up in order for what was missed while the process was down. A first start makes up for the day so
//! far. Hot only in so far as [`Calendar::due`] is asked: one comparison until something is due.

use crate::config::CalendarEntry;
use crate::engine::risk::phases::CalendarMark;
use crate::types::{Command, CommandKind, Market, Nanos, Phase, TickerId, phase};

const DAY_SECONDS: u64 = 86_400;

/// One phase of one ticker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Turn {
    /// Second of the day.
    at: u64,
    ticker: TickerId,
    phase: Phase,
}

/// The calendar on its way through the days.
pub struct Calendar {
    /// By time of day.
    turns: Box<[Turn]>,
    /// The next turn and the second it is due; `u64::MAX` without a calendar.
    next: usize,
    next_at: u64,
}

impl Calendar {
    /// Continues behind `mark`; a journal without records of the calendar begins with the day of `now`.
    pub fn new(entries: &[CalendarEntry], market: &Market, mark: CalendarMark, now: Nanos) -> Calendar {
        let mut turns: Vec<Turn> = Vec::new();
        for entry in entries {
            let all = (0..market.tickers.len() as u16).map(TickerId);
            let tickers = all.filter(|ticker| entry.tickers.is_empty() || entry.tickers.contains(ticker));
            turns.extend(tickers.map(|ticker| Turn { at: u64::from(entry.at), ticker, phase: entry.phase }));
        }
        turns.sort_by_key(|turn| turn.at);
        let mut calendar = Calendar { turns: turns.into(), next: 0, next_at: u64::MAX };
        let from = if mark.count == 0 { now.0 / Nanos::SECOND / DAY_SECONDS * DAY_SECONDS } else { mark.second };
        calendar.begin(from);
        for _ in 0..mark.count {
            if calendar.next_at == mark.second {
                calendar.advance();
            }
        }
        calendar
    }

    /// The first turn due at `second` or later.
    fn begin(&mut self, second: u64) {
        if self.turns.is_empty() {
            return;
        }
        let (day, of_day) = (second / DAY_SECONDS, second % DAY_SECONDS);
        let at = self.turns.partition_point(|turn| turn.at < of_day);
        let (day, at) = if at == self.turns.len() { (day + 1, 0) } else { (day, at) };
        (self.next, self.next_at) = (at, day * DAY_SECONDS + self.turns[at].at);
    }

    fn advance(&mut self) {
        let (day, at) = (self.next_at / DAY_SECONDS, self.next + 1);
        let (day, at) = if at == self.turns.len() { (day + 1, 0) } else { (day, at) };
        (self.next, self.next_at) = (at, day * DAY_SECONDS + self.turns[at].at);
    }

    /// The record that is due at `now`, if one is. Whoever asks makes it.
    #[inline]
    pub fn due(&mut self, now: Nanos) -> Option<Command> {
        if now.0 / Nanos::SECOND < self.next_at {
            return None;
        }
        let turn = self.turns[self.next];
        let mut command = Command::new(CommandKind::Phase);
        command.ticker = turn.ticker;
        command.value = self.next_at << 8 | u64::from(turn.phase.letter());
        command.client_order_id = phase::CALENDAR;
        self.advance();
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const MIDNIGHT: u64 = 20_000 * DAY_SECONDS;

    fn entry(at: u32, phase: Phase, tickers: &[u16]) -> CalendarEntry {
        CalendarEntry { at, phase, tickers: tickers.iter().map(|&t| TickerId(t)).collect() }
    }

    fn entries() -> [CalendarEntry; 3] {
        [entry(36_000, Phase::Trading, &[]), entry(28_800, Phase::PreOpen, &[]), entry(36_000, Phase::PreClose, &[1])]
    }

    fn at(second: u64) -> Nanos {
        Nanos((MIDNIGHT + second) * Nanos::SECOND + 5)
    }

    /// Ticker and phase of each record until `second`, and the mark they leave.
    fn run(calendar: &mut Calendar, second: u64) -> (Vec<(u16, Phase)>, CalendarMark) {
        let (mut turns, mut mark) = (Vec::new(), CalendarMark::default());
        while let Some(command) = calendar.due(at(second)) {
            turns.push((command.ticker.0, Phase::from_letter(command.value as u8).unwrap()));
            let second = command.value >> 8;
            mark = CalendarMark { second, count: if second == mark.second { mark.count + 1 } else { 1 } };
        }
        (turns, mark)
    }

    fn market() -> Market {
        let mut market = Config::example().market;
        market.tickers.truncate(2);
        market
    }

    fn new(mark: CalendarMark, second: u64) -> Calendar {
        Calendar::new(&entries(), &market(), mark, at(second))
    }

    #[test]
    fn turns_come_in_the_order_of_time_day_after_day() {
        let mut calendar = new(CalendarMark::default(), 0);
        assert_eq!(run(&mut calendar, 28_799).0, []);
        assert_eq!(run(&mut calendar, 28_800).0, [(0, Phase::PreOpen), (1, Phase::PreOpen)]);
        let open = [(0, Phase::Trading), (1, Phase::Trading), (1, Phase::PreClose)];
        assert_eq!(run(&mut calendar, 50_000).0, open);
        assert_eq!(run(&mut calendar, DAY_SECONDS + 28_800).0, [(0, Phase::PreOpen), (1, Phase::PreOpen)]);
    }

    #[test]
    fn a_first_start_makes_up_for_the_day_so_far() {
        let (turns, _) = run(&mut new(CalendarMark::default(), 40_000), 40_000);
        assert_eq!(turns.len(), 5);
        assert_eq!(turns[4], (1, Phase::PreClose));
    }

    #[test]
    fn a_restart_goes_on_behind_the_last_record_wherever_it_was_cut() {
        let whole = run(&mut new(CalendarMark::default(), 0), 2 * DAY_SECONDS).0;
        for cut in 0..whole.len() {
            let mut calendar = new(CalendarMark::default(), 0);
            let mut mark = CalendarMark::default();
            for _ in 0..cut {
                let second = calendar.due(at(2 * DAY_SECONDS)).unwrap().value >> 8;
                mark = CalendarMark { second, count: if second == mark.second { mark.count + 1 } else { 1 } };
            }
            let rest = run(&mut new(mark, 50_000), 2 * DAY_SECONDS).0;
            // Before the first record a journal knows no day but the one it starts in.
            assert_eq!(rest, whole[cut..], "cut after {cut}");
        }
    }

    #[test]
    fn without_a_calendar_nothing_is_ever_due() {
        let mut calendar = Calendar::new(&[], &market(), CalendarMark::default(), at(0));
        assert_eq!(calendar.due(Nanos(u64::MAX)), None);
    }
}
