//! `pitlane top` as lines: for pipes, files and terminals without a screen, for people and for programs.

use super::board::{Board, age, bytes, grouped};
use super::{Arguments, End, Failure, look};
use crate::launch::endpoints::Endpoints;
use crate::measure::latency::time;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

/// Prints a board for each look.
///
/// # Errors
/// Files of the exchange that cannot be read.
pub fn show(arguments: &Arguments, endpoints: &Endpoints) -> Result<End, Failure> {
    let Some(mut before) = look(endpoints)? else { return Ok(End::Stopped) };
    let looks = arguments.looks.or(arguments.json.then_some(1));
    let mut shown = 0;
    while looks.is_none_or(|looks| shown < looks) {
        std::thread::sleep(Duration::from_millis(arguments.every_ms));
        let Some(now) = look(endpoints)? else { return Ok(End::Stopped) };
        let board = Board::between(&before, &now);
        let text = if arguments.json { json(&board)? } else { board.to_string() };
        if writeln!(io::stdout(), "{text}").is_err() {
            // Whoever read has seen enough.
            return Ok(End::Seen);
        }
        before = now;
        shown += 1;
    }
    Ok(End::Seen)
}

fn json(board: &Board) -> Result<String, Failure> {
    serde_json::to_string(board).map_err(|e| Failure::Fault(format!("writing JSON: {e}")))
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  up {}", self.session, age(self.seconds))?;
        self.alarms.iter().try_for_each(|alarm| writeln!(f, "  ALARM {alarm}"))?;
        writeln!(f, "  pace      {}", self.pace().join(", "))?;
        let words = journal(self);
        let (log, beneath) = words.split_at(LOG_WORDS.min(words.len()));
        writeln!(f, "  journal   {}\n  disk      {}", log.join(", "), beneath.join(", "))?;
        for row in &self.sessions {
            let s = &row.seen;
            let how = if s.transport.is_empty() { "off" } else { &s.transport };
            let idle = s.idle_ms.map_or("never".to_owned(), |ms| age(ms / 1_000));
            writeln!(
                f,
                "  login     {:<6} {:<14} {how:<7} open {:>7}  in {:>9}/s  out {:>9}/s  refused {:>7}  behind {:>9}  idle {idle}",
                s.user,
                s.account,
                grouped(s.open_orders),
                grouped(row.in_per_second),
                grouped(row.out_per_second),
                grouped(s.refused),
                bytes(s.behind_bytes()),
            )?;
        }
        for row in &self.tickers {
            let t = &row.seen;
            writeln!(
                f,
                "  ticker    {:<8} {:<12} bid {:>10}  ask {:>10}  last {:>10}  trades {:>7}/s  volume {:>12}  open {:>8}",
                t.ticker,
                t.state,
                t.bid,
                t.ask,
                t.last,
                grouped(row.trades_per_second),
                grouped(t.volume),
                grouped(t.open_orders),
            )?;
        }
        for stage in &self.stages {
            let [p50, p99, p99_9, longest] = [stage.p50, stage.p99, stage.p99_9, stage.longest].map(time);
            let step = &stage.step;
            writeln!(
                f,
                "  step      {step:<28} p50 {p50:>8}  p99 {p99:>8}  p99.9 {p99_9:>8}  longest {longest:>8}  n {}",
                stage.count
            )?;
        }
        for link in &self.links {
            let [p50, p99, longest, capacity] = [link.p50, link.p99, link.longest, link.capacity].map(grouped);
            let name = &link.link;
            let full = match (link.is_full(), link.was_full()) {
                (true, _) => "  FULL",
                (false, true) => "  was full",
                (false, false) => "",
            };
            writeln!(f, "  link      {name:<28} p50 {p50:>8}  p99 {p99:>8}  longest {longest:>6} of {capacity}{full}")?;
        }
        for rate in self.counters.iter().filter(|rate| rate.value > 0) {
            let (value, more) = (grouped(rate.value), grouped(rate.per_second));
            writeln!(f, "  counter   {:<34} {value:>22}  {more:>12}/s", rate.name)?;
        }
        Ok(())
    }
}

/// Of what [`journal`] says, so much is about the log; the rest lies beneath it.
pub const LOG_WORDS: usize = 5;

/// The journal in a few words each.
pub fn journal(board: &Board) -> Vec<String> {
    let journal = &board.journal;
    let used = percent(journal.log_used, journal.log_records);
    let mut words = vec![
        format!("record {}", grouped(journal.appended)),
        format!("{}/s", grouped(journal.per_second)),
        format!("log {used} % full"),
        format!("{} not committed", grouped(journal.appended.saturating_sub(journal.committed))),
        format!("{} not delivered", grouped(journal.appended.saturating_sub(journal.delivered))),
    ];
    if let Some(disk) = &journal.disk {
        words.push(format!("disk {} ms behind, at most {}", disk.behind_ms, disk.behind_ms_max));
        words.push(format!("{} syncs/s", grouped(disk.syncs_per_second)));
        words.push(format!("segment {} has room for {}", disk.segments, grouped(disk.segment_free)));
    } else {
        words.push("no segments".to_owned());
    }
    if let Some(snapshot) = &journal.snapshot {
        let when = snapshot.age_seconds.map_or("an earlier run".to_owned(), |seconds| format!("{} ago", age(seconds)));
        words.push(format!("snapshot {when}, at {}, took {} ms", grouped(snapshot.number), snapshot.took_ms));
    }
    words
}

/// Parts of a hundred, rounded up: what is not empty does not show as 0.
pub fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100).div_ceil(u128::from(whole.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::looks;
    use super::*;

    #[test]
    fn lines_say_what_there_is_and_leave_out_counters_at_0() {
        let (before, now) = looks(0, &[("disk.slow", 1)]);
        let text = Board::between(&before, &now).to_string();
        assert!(text.starts_with("PITLANE001  up 1 h 02 min\n  ALARM the disk is behind"), "{text}");
        for words in [
            "journal   record 120, 0/s, log 2 % full, 10 not committed, 20 not delivered\n  disk      no segments\n",
            "login     USER01 maker-one      tcp     open       0  in     1,000/s",
            "ticker    AAPL ",
            "step      read to written ",
            "link      gateway to sequencer         p50        1  p99       15  longest     15 of 64",
            "4,467,134/s",
        ] {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
        assert!(!text.contains("link_full"), "{text}");
    }

    #[test]
    fn json_is_one_object_with_every_part() {
        let (before, now) = looks(0, &[]);
        let said: serde_json::Value = serde_json::from_str(&json(&Board::between(&before, &now)).unwrap()).unwrap();
        assert_eq!((&said["session"], &said["seconds"]), (&"PITLANE001".into(), &3_725.into()));
        assert_eq!(said["sessions"][0]["user"], "USER01");
        assert_eq!(said["sessions"][0]["in_per_second"], 1_000);
        assert_eq!(said["links"][0]["longest"], 15);
        assert_eq!(said["tickers"][0]["trades_per_second"], 100);
        assert!(said["stages"][0]["p50"].as_u64().unwrap() > 800 && said["journal"]["disk"].is_null(), "{said}");
    }
}
