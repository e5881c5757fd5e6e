//! What there is to see of a running exchange between two looks: rates, times, links, the journal, logins, tickers. Cold.

use crate::launch::alarms::alarms;
use crate::launch::endpoints::Endpoints;
use crate::launch::seen::{self, SessionSeen, TickerSeen};
use crate::os::clock::monotonic_ns;
use crate::runtime::counters::Counters;
use crate::runtime::queues::QueueLengths;
use crate::runtime::spans::{SpanCounts, Spans};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Silence after which an exchange is said to be halted or dead: it gives a sign of life fifty times a second.
const SILENCE_MS: u64 = 2_000;

/// One look.
pub struct Look {
    at_ns: u64,
    session: String,
    counters: Vec<(String, u64)>,
    spans: Vec<SpanCounts>,
    queues: Vec<QueueLengths>,
    sessions: Vec<SessionSeen>,
    tickers: Vec<TickerSeen>,
}

impl Look {
    /// Looks now.
    ///
    /// # Errors
    /// A file that is gone or not what it should be, with its name: the exchange is not there any more.
    pub fn take(endpoints: &Endpoints) -> io::Result<Look> {
        fn named<T>(path: &Path, read: fn(&Path) -> io::Result<T>) -> io::Result<T> {
            read(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
        }
        let counters = named(&endpoints.counters, Counters::read)?;
        let spans = named(&endpoints.stages, Spans::read)?;
        let queues = named(&endpoints.queues, QueueLengths::read)?;
        let at_ns = monotonic_ns();
        let (sessions, tickers) = (seen::sessions(endpoints, at_ns)?, seen::tickers(endpoints)?);
        Ok(Look { at_ns, session: endpoints.session.clone(), counters, spans, queues, sessions, tickers })
    }
}

/// A count: now, and how much more of it a second.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Rate {
    /// Its name.
    pub name: String,
    /// Now.
    pub value: u64,
    /// More of it a second since the look before.
    pub per_second: u64,
}

/// Times of a span since the look before, in ns.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StageRow {
    /// From and to.
    pub step: String,
    /// Stamped messages.
    pub count: u64,
    /// The half of them.
    pub p50: u64,
    /// All but one in a hundred.
    pub p99: u64,
    /// All but one in a thousand.
    pub p99_9: u64,
    /// The longest.
    pub longest: u64,
}

/// How much waited in a link since the look before, as whoever empties it saw thousands of times a second.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LinkRow {
    /// From and to.
    pub link: String,
    /// Most it holds.
    pub capacity: u64,
    /// Looks at it that found something.
    pub looks: u64,
    /// The half of them found at most so much.
    pub p50: u64,
    /// All but one in a hundred.
    pub p99: u64,
    /// The most.
    pub longest: u64,
}

impl LinkRow {
    /// Whether a look found it nearly full. In a burst that is how back-pressure works: links are small on purpose.
    pub fn was_full(&self) -> bool {
        self.is_nearly_full(self.longest)
    }

    /// Whether every other look did: whoever fills it waits all the time.
    pub fn is_full(&self) -> bool {
        self.is_nearly_full(self.p50)
    }

    fn is_nearly_full(&self, waiting: u64) -> bool {
        self.looks > 0 && waiting * 10 >= self.capacity * 9
    }
}

/// The journal.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct JournalRow {
    /// Highest record in the log.
    pub appended: u64,
    /// Highest committed record.
    pub committed: u64,
    /// Highest record whose outputs have left.
    pub delivered: u64,
    /// Records a second.
    pub per_second: u64,
    /// Records in the log, and how many it holds.
    pub log_used: u64,
    /// See `log_used`.
    pub log_records: u64,
    /// What only segments have.
    pub disk: Option<DiskRow>,
    /// The newest snapshot, if one was taken or found.
    pub snapshot: Option<SnapshotRow>,
}

/// The disk beneath.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DiskRow {
    /// Highest record synced.
    pub synced: u64,
    /// Age of the oldest record that is not, in ms, and the worst so far.
    pub behind_ms: u64,
    /// See `behind_ms`.
    pub behind_ms_max: u64,
    /// Groups synced a second.
    pub syncs_per_second: u64,
    /// Segments there are; the last is being written.
    pub segments: u64,
    /// Records it still takes.
    pub segment_free: u64,
}

/// A snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SnapshotRow {
    /// Its last record.
    pub number: u64,
    /// Time since it was written; none for one of an earlier run.
    pub age_seconds: Option<u64>,
    /// How long it took.
    pub took_ms: u64,
}

/// A login, with its rates.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SessionRow {
    /// As it stands.
    #[serde(flatten)]
    pub seen: SessionSeen,
    /// Messages from it, a second.
    pub in_per_second: u64,
    /// Messages to it, a second.
    pub out_per_second: u64,
}

/// A ticker, with its rates.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TickerRow {
    /// As it stands.
    #[serde(flatten)]
    pub seen: TickerSeen,
    /// Trades a second.
    pub trades_per_second: u64,
}

/// What two looks show.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Board {
    /// Name of the trading session.
    pub session: String,
    /// Age of the process.
    pub seconds: u64,
    /// What is wrong, the worst first; see `launch::alarms`.
    pub alarms: Vec<String>,
    /// The journal.
    pub journal: JournalRow,
    /// Stages in the order of the way.
    pub stages: Vec<StageRow>,
    /// Links in the order of the way.
    pub links: Vec<LinkRow>,
    /// Logins in the order of the configuration.
    pub sessions: Vec<SessionRow>,
    /// Tickers in the order of the configuration.
    pub tickers: Vec<TickerRow>,
    /// All counters.
    pub counters: Vec<Rate>,
}

impl Board {
    /// Of two looks, the later one second.
    pub fn between(before: &Look, now: &Look) -> Board {
        let passed = u128::from(now.at_ns.saturating_sub(before.at_ns).max(1));
        // A count that fell begins anew: the exchange was started again between the looks.
        let per_second = |now: u64, before: u64| {
            (u128::from(now.checked_sub(before).unwrap_or(now)) * 1_000_000_000 / passed) as u64
        };
        let earlier: BTreeMap<&str, u64> = before.counters.iter().map(|(name, value)| (&**name, *value)).collect();
        let rate = |(name, value): &(String, u64)| {
            let before = *earlier.get(&**name).unwrap_or(value);
            Rate { name: name.clone(), value: *value, per_second: per_second(*value, before) }
        };
        let counters: Vec<Rate> = now.counters.iter().map(rate).collect();
        let stages = now.spans.iter().zip(&before.spans).map(|(now, before)| stage(&now.since(before)));
        let links = now.queues.iter().zip(&before.queues).map(|(now, before)| link(&now.since(before)));
        let sessions = now.sessions.iter().zip(&before.sessions).map(|(now, before)| SessionRow {
            seen: now.clone(),
            in_per_second: per_second(now.messages_in, before.messages_in),
            out_per_second: per_second(now.messages_out, before.messages_out),
        });
        let tickers = now.tickers.iter().zip(&before.tickers).map(|(now, before)| TickerRow {
            seen: now.clone(),
            trades_per_second: per_second(now.trades, before.trades),
        });
        let mut board = Board {
            session: now.session.clone(),
            seconds: value(&counters, "process.seconds"),
            alarms: Vec::new(),
            journal: journal(&counters),
            stages: stages.collect(),
            links: links.collect(),
            sessions: sessions.collect(),
            tickers: tickers.collect(),
            counters,
        };
        board.alarms = board.alarms(now.at_ns);
        board
    }

    /// More of a counter a second; of one that is not there, none.
    pub fn rate(&self, name: &str) -> u64 {
        self.counters.iter().find(|rate| rate.name == name).map_or(0, |rate| rate.per_second)
    }

    /// What moves, in a few words each.
    pub fn pace(&self) -> Vec<String> {
        let connected = self.sessions.iter().filter(|row| !row.seen.transport.is_empty()).count();
        let trades = self.tickers.iter().map(|row| row.trades_per_second).sum();
        let rate = |name: &str, what: &str| format!("{what} {}/s", grouped(self.rate(name)));
        vec![
            rate("gateway.messages_in", "in"),
            rate("gateway.messages_out", "out"),
            format!("trades {}/s", grouped(trades)),
            rate("sequencer.refused", "refused"),
            format!("logins {connected} of {}", self.sessions.len()),
        ]
    }

    fn alarms(&self, now_ns: u64) -> Vec<String> {
        let mut all = Vec::new();
        let silent_ms = now_ns.saturating_sub(value(&self.counters, "process.alive_ns")) / 1_000_000;
        if silent_ms > SILENCE_MS {
            all.push(format!("no sign of life for {} s: the process is halted or dead", silent_ms / 1_000));
        }
        let counters: Map<String, Value> = self.counters.iter().map(|r| (r.name.clone(), r.value.into())).collect();
        all.extend(alarms(&counters));
        let full = self.links.iter().filter(|link| link.is_full());
        all.extend(full.map(|link| {
            let LinkRow { link, capacity, .. } = link;
            format!("the link {link} is full: every other look found all of {} waiting", grouped(*capacity))
        }));
        all
    }
}

fn value(counters: &[Rate], name: &str) -> u64 {
    counters.iter().find(|rate| rate.name == name).map_or(0, |rate| rate.value)
}

fn stage(span: &SpanCounts) -> StageRow {
    let [p50, p99, p99_9, longest] = [5_000, 9_900, 9_990, 10_000].map(|part| span.at(part));
    StageRow { step: span.name.clone(), count: span.count(), p50, p99, p99_9, longest }
}

fn link(queue: &QueueLengths) -> LinkRow {
    let [p50, p99, longest] = [5_000, 9_900, 10_000].map(|part| queue.at(part));
    LinkRow { link: queue.name.clone(), capacity: queue.capacity, looks: queue.count(), p50, p99, longest }
}

fn journal(counters: &[Rate]) -> JournalRow {
    let found = |name: &str| counters.iter().find(|rate| rate.name == name);
    let value = |name: &str| value(counters, name);
    // Only an exchange with segments, and one with snapshots, has these counters.
    let disk = found("persister.segments").map(|segments| DiskRow {
        synced: value("journal.synced"),
        behind_ms: value("disk.behind_ms"),
        behind_ms_max: value("disk.behind_ms_max"),
        syncs_per_second: found("persister.groups").map_or(0, |rate| rate.per_second),
        segments: segments.value,
        segment_free: value("persister.segment_free"),
    });
    let age = |taken_ns: u64| value("process.alive_ns").saturating_sub(taken_ns) / 1_000_000_000;
    let snapshot = found("shadow.snapshot_number").filter(|rate| rate.value > 0).map(|number| SnapshotRow {
        number: number.value,
        age_seconds: Some(value("shadow.snapshot_ns")).filter(|&taken_ns| taken_ns > 0).map(age),
        took_ms: value("shadow.snapshot_ms"),
    });
    JournalRow {
        appended: value("journal.appended"),
        committed: value("journal.committed"),
        delivered: value("journal.delivered"),
        per_second: found("journal.appended").map_or(0, |rate| rate.per_second),
        log_used: value("journal.log_used"),
        log_records: value("journal.log_records"),
        disk,
        snapshot,
    }
}

/// A count as people read it: 1,234,567.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as people read them, never wider than nine letters.
pub fn bytes(value: u64) -> String {
    match value {
        0..1_024 => format!("{value} B"),
        0x400..0x10_0000 => format!("{:.1} KiB", value as f64 / 1_024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", value as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", value as f64 / 1_073_741_824.0),
    }
}

/// A stretch of time as people read it.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::runtime::queues::Queues;

    fn counters(messages: u64, alive_ns: u64, more: &[(&str, u64)]) -> Vec<(String, u64)> {
        let fixed = [
            ("gateway.messages_in", messages),
            ("gateway.link_full", 0),
            ("process.seconds", 3_725),
            ("process.alive_ns", alive_ns),
            ("journal.appended", 120),
            ("journal.committed", 110),
            ("journal.delivered", 100),
            ("journal.log_used", 20),
            ("journal.log_records", 1_000),
        ];
        fixed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    fn look(at_ns: u64, counters: Vec<(String, u64)>, spans: &Spans, queues: &[QueueLengths]) -> Look {
        let session = |user: &str, messages_in| SessionSeen {
            user: user.into(),
            account: "maker-one".into(),
            transport: "tcp".into(),
            messages_in,
            ..SessionSeen::default()
        };
        let ticker = TickerSeen { ticker: "AAPL".into(), trades: at_ns / 10_000_000, ..TickerSeen::default() };
        Look {
            at_ns,
            session: "PITLANE001".into(),
            counters,
            spans: spans.counts(),
            queues: queues.to_vec(),
            sessions: vec![session("USER01", at_ns / 1_000_000), session("USER02", 7)],
            tickers: vec![ticker],
        }
    }

    /// Two looks half a second apart at an exchange that has just been busy; `more` counters of the second.
    pub fn looks(silent_ns: u64, more: &[(&str, u64)]) -> (Look, Look) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queues");
        let mut queues = Queues::create(&path, vec!["gateway to sequencer".into()]).unwrap();
        let queue = queues.take("gateway to sequencer", 64);
        let spans = Spans::anonymous(&["read to written"]).unwrap();
        queue.note(64);
        let before = look(0, counters(1_000, 0, &[]), &spans, &QueueLengths::read(&path).unwrap());
        (0..100).for_each(|_| spans.record(0, 850));
        [1, 1, 1, 9].into_iter().for_each(|length| queue.note(length));
        let now_ns = 500_000_000;
        let told = counters(2_234_567, now_ns - silent_ns.min(now_ns), more);
        let now = look(now_ns, told, &spans, &QueueLengths::read(&path).unwrap());
        (before, now)
    }

    #[test]
    fn two_looks_show_rates_times_links_logins_and_tickers() {
        let (before, now) = looks(0, &[]);
        let board = Board::between(&before, &now);
        assert_eq!((board.session.as_str(), board.seconds, board.alarms.len()), ("PITLANE001", 3_725, 0));
        assert_eq!(board.rate("gateway.messages_in"), 4_467_134);
        let pace = ["in 4,467,134/s", "out 0/s", "trades 100/s", "refused 0/s", "logins 2 of 2"];
        assert_eq!(board.pace(), pace);
        assert_eq!((board.stages[0].count, board.stages[0].p50.abs_diff(850) <= 14), (100, true));
        let link = &board.links[0];
        assert_eq!(
            (link.looks, link.p50, link.longest, link.is_full()),
            (4, 1, 15, false),
            "of this half second alone"
        );
        let sessions: Vec<_> = board.sessions.iter().map(|row| (&*row.seen.user, row.in_per_second)).collect();
        assert_eq!(sessions, [("USER01", 1_000), ("USER02", 0)]);
        assert_eq!(board.tickers[0].trades_per_second, 100);
        assert_eq!((board.journal.appended, board.journal.log_records), (120, 1_000));
        assert_eq!((&board.journal.disk, &board.journal.snapshot), (&None, &None), "no segments");
    }

    #[test]
    fn segments_and_snapshots_are_told_where_there_are_some() {
        let more = [
            ("persister.segments", 3),
            ("persister.segment_free", 77),
            ("persister.groups", 5),
            ("journal.synced", 118),
            ("disk.behind_ms", 4),
            ("disk.behind_ms_max", 9),
            ("shadow.snapshot_number", 90),
            ("shadow.snapshot_ms", 12),
            ("shadow.snapshot_ns", 0),
        ];
        let (before, now) = looks(0, &more);
        let journal = Board::between(&before, &now).journal;
        let disk = journal.disk.unwrap();
        assert_eq!(
            (disk.synced, disk.behind_ms, disk.behind_ms_max, disk.segments, disk.segment_free),
            (118, 4, 9, 3, 77)
        );
        assert_eq!(journal.snapshot, Some(SnapshotRow { number: 90, age_seconds: None, took_ms: 12 }));
    }

    #[test]
    fn trouble_is_told_worst_first_and_a_silent_process_before_all() {
        let (before, mut now) = looks(0, &[("sequencer.intake", 1), ("disk.slow", 1)]);
        assert_eq!(Board::between(&before, &now).alarms.len(), 2);
        now.at_ns += 3_000_000_000;
        let said = Board::between(&before, &now).alarms;
        assert!(said[0].starts_with("no sign of life for 3 s") && said[1].contains("short of room"), "{said:?}");
        let full = QueueLengths::clone(&before.queues[0]);
        let nothing = full.since(&full);
        let (before, mut now) = looks(0, &[]);
        (now.queues[0], now.at_ns) = (full, 500_000_000);
        let said = Board::between(&Look { queues: vec![nothing], ..before }, &now).alarms;
        assert_eq!(said, ["the link gateway to sequencer is full: every other look found all of 64 waiting"]);
    }

    #[test]
    fn an_exchange_that_is_gone_is_said_with_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let said = Look::take(&Endpoints::of_files(directory.path())).err().unwrap().to_string();
        assert!(said.contains("counters") && said.contains("No such file"), "{said}");
    }

    #[test]
    fn figures_are_written_as_people_read_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1_023, 1_024, 1_048_576, 3 << 30].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "3.0 GiB"]
        );
        assert_eq!([0, 59, 61, 3_725].map(age), ["0 s", "59 s", "1 min 01 s", "1 h 02 min"]);
    }
}
