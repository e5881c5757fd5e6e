//! What an operator should know at a glance: the counters that mean trouble, as sentences with what to do. Cold.
//!
//! A counter that is an alarm is listed here and nowhere else, so that `pitlane admin status` and whoever watches the
//! counters themselves speak of the same things.

use crate::journal::Intake;
use serde_json::{Map, Value};

/// A sentence for each alarm that is on, the worst first.
pub fn alarms(counters: &Map<String, Value>) -> Vec<String> {
    let value = |name: &str| counters.get(name).and_then(Value::as_u64).unwrap_or(0);
    let mut lines = Vec::new();
    if value("persister.failed") != 0 {
        lines.push(
            "the disk has failed: the intake is closed and the process ends; replace the disk, then start".into(),
        );
    }
    lines.extend(intake(value("sequencer.intake")).map(str::to_owned));
    if value("persister.disk_full") != 0 {
        lines.push("no room on the segments' disk for another segment: free some, the rest goes on by itself".into());
    }
    if value("disk.slow") != 0 {
        let (ms, records) = (value("disk.behind_ms"), value("disk.behind_records"));
        lines.push(format!("the disk is behind: its oldest record has waited {ms} ms, with it {records}"));
    }
    if value("shadow.failed") != 0 {
        lines.push(
            "no snapshot can be taken: the disk refuses, or files beside the segments cannot be used; the journal goes \
             on, the next start takes longer"
                .into(),
        );
    }
    if value("memory.failed") != 0 {
        lines.push(
            "the system gives no more memory for streams and feed: what is there is used up, then nothing is taken; free \
             some, then start again"
                .into(),
        );
    }
    for (name, knob) in
        [("gateway.stream_full", "gateway.stream_mebibytes"), ("feed.store_full", "feed.store_mebibytes")]
    {
        if value(name) != 0 {
            lines.push(format!("{name}: nothing more is taken; raise {knob} and start again"));
        }
    }
    lines
}

fn intake(level: u64) -> Option<&'static str> {
    let is = |intake: Intake| level == intake as u64;
    [
        (Intake::NoOrders, "the journal is short of room: new orders are refused, cancels pass"),
        (Intake::CancelsOnly, "the journal is shorter of room: clients may only cancel"),
        (Intake::OperatorOnly, "the journal has room for operators only: clients are not read"),
        (Intake::Nobody, "the log is full: nothing is taken"),
    ]
    .into_iter()
    .find_map(|(intake, text)| is(intake).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(counters: Value) -> Vec<String> {
        alarms(counters.as_object().unwrap())
    }

    #[test]
    fn what_is_in_order_says_nothing_and_each_alarm_says_what_to_do() {
        assert_eq!(lines(json!({"sequencer.intake": 0, "disk.slow": 0, "disk.behind_ms": 3})), Vec::<String>::new());
        let all = json!({"persister.failed": 1, "sequencer.intake": 2, "persister.disk_full": 1, "disk.slow": 1,
            "disk.behind_ms": 1500, "disk.behind_records": 7, "memory.failed": 1, "feed.store_full": 1});
        let all = lines(all);
        let words = [
            "replace the disk",
            "only cancel",
            "free some",
            "1500 ms, with it 7",
            "no more memory",
            "feed.store_mebibytes",
        ];
        assert_eq!(all.len(), words.len());
        assert!(all.iter().zip(words).all(|(line, word)| line.contains(word)), "{all:?}");
    }
}
