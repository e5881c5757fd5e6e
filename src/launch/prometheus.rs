//! What a running exchange shows of itself, as Prometheus text (exposition format 0.0.4). Cold.
//!
//! Counters keep their names; what there is many of (stages, links, logins, tickers) is one name with a label. A file that
//! cannot be read is said in a comment, and the rest is told.

use super::endpoints::Endpoints;
use super::seen::{self, SessionSeen, TickerSeen};
use crate::runtime::counters::Counters;
use crate::runtime::queues::QueueLengths;
use crate::runtime::spans::{SpanCounts, Spans};
use std::fmt::{self, Write as _};

/// Parts of 10,000 told of each span.
const QUANTILES: [(u64, &str); 4] = [(5_000, "0.5"), (9_000, "0.9"), (9_900, "0.99"), (9_990, "0.999")];

/// All of it as of `now_ns` of the host's steady clock.
pub fn text(endpoints: &Endpoints, now_ns: u64) -> String {
    let mut text = Text(String::new());
    match Counters::read(&endpoints.counters) {
        Ok(counters) => counters.iter().for_each(|(name, value)| counter(&mut text, name, *value)),
        Err(fault) => text.missing("counters", &fault),
    }
    match Spans::read(&endpoints.stages) {
        Ok(spans) => stages(&mut text, &spans),
        Err(fault) => text.missing("stage times", &fault),
    }
    match QueueLengths::read(&endpoints.queues) {
        Ok(queues) => links(&mut text, &queues),
        Err(fault) => text.missing("links", &fault),
    }
    match seen::sessions(endpoints, now_ns) {
        Ok(all) => sessions(&mut text, &all),
        Err(fault) => text.missing("logins", &fault),
    }
    match seen::tickers(endpoints) {
        Ok(all) => tickers(&mut text, &all),
        Err(fault) => text.missing("tickers", &fault),
    }
    text.0
}

/// The text on its way. Writing to it cannot fail.
struct Text(String);

impl Text {
    fn line(&mut self, arguments: fmt::Arguments<'_>) {
        let _never = writeln!(self.0, "{arguments}");
    }

    fn missing(&mut self, what: &str, fault: &dyn fmt::Display) {
        self.line(format_args!("# the file of {what} cannot be read: {fault}"));
    }

    fn heading(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP pitlane_{name} {help}"));
        self.line(format_args!("# TYPE pitlane_{name} {kind}"));
    }

    /// One name with a value for each of `all` that has one.
    fn family<T>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        all: &[T],
        of: impl Fn(&T) -> Option<(String, String)>,
    ) {
        self.heading(name, kind, help);
        for (labels, value) in all.iter().filter_map(of) {
            self.line(format_args!("pitlane_{name}{{{labels}}} {value}"));
        }
    }
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// `gateway.frames_in` becomes `pitlane_gateway_frames_in`. Levels and rising counts look alike in the file, so that none is
/// promised to rise.
fn counter(text: &mut Text, name: &str, value: u64) {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    text.line(format_args!("# TYPE pitlane_{name} untyped\npitlane_{name} {value}"));
}

fn stages(text: &mut Text, spans: &[SpanCounts]) {
    text.heading("stage_seconds", "summary", "Time from stage to stage of the messages that are stamped.");
    for span in spans {
        let name = escaped(&span.name);
        for (part, quantile) in QUANTILES {
            let seconds = span.at(part) as f64 / 1e9;
            text.line(format_args!("pitlane_stage_seconds{{span=\"{name}\",quantile=\"{quantile}\"}} {seconds}"));
        }
        let sum = span.sum_ns() as f64 / 1e9;
        text.line(format_args!("pitlane_stage_seconds_sum{{span=\"{name}\"}} {sum}"));
        text.line(format_args!("pitlane_stage_seconds_count{{span=\"{name}\"}} {}", span.count()));
    }
}

fn links(text: &mut Text, queues: &[QueueLengths]) {
    let label = |queue: &QueueLengths| format!("link=\"{}\"", escaped(&queue.name));
    text.family("link_capacity", "gauge", "Values a link between two stages holds at most.", queues, |queue| {
        Some((label(queue), queue.capacity.to_string()))
    });
    let help = "Values that waited in a link, in the looks that found some.";
    text.heading("link_length", "histogram", help);
    for queue in queues {
        let label = label(queue);
        for (length, turns) in queue.cumulated().take_while(|(length, _)| *length < 2 * queue.capacity) {
            text.line(format_args!("pitlane_link_length_bucket{{{label},le=\"{length}\"}} {turns}"));
        }
        text.line(format_args!("pitlane_link_length_bucket{{{label},le=\"+Inf\"}} {}", queue.count()));
        text.line(format_args!("pitlane_link_length_sum{{{label}}} {}", queue.sum()));
        text.line(format_args!("pitlane_link_length_count{{{label}}} {}", queue.count()));
    }
}

/// A family of the logins: its name, kind and help, and what stands for a login.
type SessionFamily = (&'static str, &'static str, &'static str, fn(&SessionSeen) -> u64);

const SESSION_FAMILIES: [SessionFamily; 7] = [
    ("session_logins_total", "counter", "Connections that became live.", |s| s.logins),
    ("session_messages_in_total", "counter", "Messages taken from the login.", |s| s.messages_in),
    ("session_messages_out_total", "counter", "Messages of the login's stream.", |s| s.messages_out),
    ("session_refused_total", "counter", "Records that refuse what the login asked for.", |s| s.refused),
    ("session_open_orders", "gauge", "Orders the login has open.", |s| s.open_orders),
    ("session_unsent_bytes", "gauge", "Bytes of its stream that its transport takes not yet.", |s| s.unsent_bytes),
    ("session_unread_bytes", "gauge", "Bytes in its ring that it has not read.", |s| s.unread_bytes),
];

fn sessions(text: &mut Text, all: &[SessionSeen]) {
    let label = |s: &SessionSeen| format!("user=\"{}\",account=\"{}\"", escaped(&s.user), escaped(&s.account));
    text.family("session_connected", "gauge", "Whether somebody is connected as the login, and how.", all, |session| {
        let connected = u8::from(!session.transport.is_empty());
        Some((format!("{},transport=\"{}\"", label(session), escaped(&session.transport)), connected.to_string()))
    });
    for (name, kind, help, of) in SESSION_FAMILIES {
        text.family(name, kind, help, all, |session| Some((label(session), of(session).to_string())));
    }
    text.family("session_idle_seconds", "gauge", "Time since the login last sent something.", all, |session| {
        Some((label(session), (session.idle_ms? as f64 / 1e3).to_string()))
    });
}

fn tickers(text: &mut Text, all: &[TickerSeen]) {
    let label = |t: &TickerSeen| format!("ticker=\"{}\"", escaped(&t.ticker));
    text.family("ticker_state", "gauge", "State of trading: 1 for the one it is in.", all, |ticker| {
        Some((format!("{},state=\"{}\"", label(ticker), escaped(&ticker.state)), "1".to_owned()))
    });
    type Count = (&'static str, &'static str, &'static str, fn(&TickerSeen) -> u64);
    let counts: [Count; 5] = [
        ("ticker_open_orders", "gauge", "Open orders, displayed or not.", |t| t.open_orders),
        ("ticker_trades_total", "counter", "Trades of the day.", |t| t.trades),
        ("ticker_volume_total", "counter", "Shares traded this day.", |t| t.volume),
        ("ticker_bid_shares", "gauge", "Displayed shares at the best bid.", |t| t.bid_quantity),
        ("ticker_ask_shares", "gauge", "Displayed shares at the best offer.", |t| t.ask_quantity),
    ];
    for (name, kind, help, of) in counts {
        text.family(name, kind, help, all, |ticker| Some((label(ticker), of(ticker).to_string())));
    }
    type PriceOf = (&'static str, &'static str, fn(&TickerSeen) -> &str);
    let prices: [PriceOf; 3] = [
        ("ticker_bid_price", "Best displayed bid; absent where there is none.", |t| &t.bid),
        ("ticker_ask_price", "Best displayed offer; absent where there is none.", |t| &t.ask),
        ("ticker_last_price", "Price of the last trade; absent before the first.", |t| &t.last),
    ];
    for (name, help, of) in prices {
        text.family(name, "gauge", help, all, |ticker| {
            let price = of(ticker);
            (!price.is_empty()).then(|| (label(ticker), price.to_owned()))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::shown;
    use crate::runtime::queues::Queues;
    use crate::runtime::table::Table;
    use crate::sequencer::SESSION_COLUMNS;

    #[test]
    fn every_kind_of_figure_is_told_with_its_labels_and_a_missing_file_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let endpoints = Endpoints::of_files(directory.path());
        let mut counters = Counters::create(&endpoints.counters, 2).unwrap();
        counters.add("gateway.messages_in").add(42);
        Spans::create(&endpoints.stages, &["read to written"]).unwrap().record(0, 1_000);
        let mut queues = Queues::create(&endpoints.queues, vec!["gateway to sequencer".into()]).unwrap();
        let queue = queues.take("gateway to sequencer", 64);
        [1, 1, 3].into_iter().for_each(|length| queue.note(length));
        let groups: [&[&str]; 2] = [&shown::COLUMNS, &SESSION_COLUMNS];
        let rows = ["USER01 maker \"one\"".to_owned(), "USER02 taker".to_owned()];
        let table = Table::create(&endpoints.sessions, &rows, &groups).unwrap();
        let (gateway, sequencer) = (table.group(0), table.group(1));
        [(0, 2), (2, 1_000), (5, 300), (7, 1_500_000_000)]
            .into_iter()
            .for_each(|(at, value)| gateway[0].set(at, value));
        sequencer[0].set(0, 17);
        let said = text(&endpoints, 4_000_000_000);
        for line in [
            "pitlane_gateway_messages_in 42",
            "pitlane_stage_seconds_count{span=\"read to written\"} 1",
            "pitlane_stage_seconds{span=\"read to written\",quantile=\"0.99\"} 0.000001007",
            "pitlane_link_capacity{link=\"gateway to sequencer\"} 64",
            "pitlane_link_length_bucket{link=\"gateway to sequencer\",le=\"1\"} 2",
            "pitlane_link_length_bucket{link=\"gateway to sequencer\",le=\"3\"} 3",
            "pitlane_link_length_bucket{link=\"gateway to sequencer\",le=\"+Inf\"} 3",
            "pitlane_session_connected{user=\"USER01\",account=\"maker \\\"one\\\"\",transport=\"shared\"} 1",
            "pitlane_session_connected{user=\"USER02\",account=\"taker\",transport=\"\"} 0",
            "pitlane_session_messages_in_total{user=\"USER01\",account=\"maker \\\"one\\\"\"} 1000",
            "pitlane_session_open_orders{user=\"USER01\",account=\"maker \\\"one\\\"\"} 17",
            "pitlane_session_unsent_bytes{user=\"USER01\",account=\"maker \\\"one\\\"\"} 300",
            "pitlane_session_idle_seconds{user=\"USER01\",account=\"maker \\\"one\\\"\"} 2.5",
        ] {
            assert!(said.lines().any(|told| told == line), "{line}\nis not in\n{said}");
        }
        assert!(!said.contains("idle_seconds{user=\"USER02\""), "who never spoke has no time since then");
        assert!(
            said.contains("# the file of tickers cannot be read: ") && said.contains("tickers: No such file"),
            "{said}"
        );
        // As the format wants it: each name is declared once, and before its values.
        let declared: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let mut names: Vec<&str> = declared.iter().filter_map(|line| line.split(' ').next()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
