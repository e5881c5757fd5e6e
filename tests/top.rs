//! What others on the host see of a running exchange, by the program that shows it: logins, links, tickers and the journal,
//! from mapped files and without asking the exchange.

#[path = "support/exchange.rs"]
mod support;

use pitlane::client::operator;
use pitlane::client::orders::NewOrder;
use pitlane::launch::Exchange;
use pitlane::types::{Channel, Quantity, SideCode, Symbol};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use support::{AAPL, PATIENCE, accepted, canceled, config, executed, limit, login, rejected, wait_until};

fn top(directory: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pitlane"));
    command.args(["top", "--every-ms", "50", "--directory", directory.to_str().unwrap()]).args(more);
    command.output().unwrap()
}

/// One look.
fn seen(directory: &Path) -> Value {
    let output = top(directory, &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn named<'a>(seen: &'a Value, table: &str, key: &str, name: &str) -> &'a Value {
    let rows = seen[table].as_array().unwrap();
    rows.iter().find(|row| row[key] == name).unwrap_or_else(|| panic!("no {key} {name} in {rows:?}"))
}

/// Looks until `holds`; rows are stored a few times a second.
fn wait_for(directory: &Path, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = seen(directory);
    wait_until(what, || {
        last = seen(directory);
        holds(&last)
    });
    last
}

#[test]
fn logins_tickers_links_and_journal_are_shown_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::open(config(directory.path())).unwrap();
    let [mut maker, mut taker] =
        [("USER01", false), ("USER03", true)].map(|(user, shared)| login(&exchange, user, shared));
    let sell = maker.enter(&limit(SideCode::Sell, 100, 5_860_000)).unwrap();
    accepted(&mut maker, sell);
    let far = maker.enter(&limit(SideCode::Sell, 70, 5_870_000)).unwrap();
    accepted(&mut maker, far);
    let buy = taker.enter(&limit(SideCode::Buy, 40, 5_860_000)).unwrap();
    assert_eq!(executed(&mut taker, buy).0, 40);
    let nowhere = NewOrder { symbol: Symbol(*b"NOWHERE "), ..limit(SideCode::Buy, 1, 5_000_000) };
    let nowhere = taker.enter(&nowhere).unwrap();
    rejected(&mut taker, nowhere);

    let all = wait_for(directory.path(), "both logins are shown", |seen| {
        named(seen, "sessions", "user", "USER03")["messages_in"] == 2
            && named(seen, "sessions", "user", "USER01")["messages_out"].as_u64() >= Some(4)
            && named(seen, "sessions", "user", "USER01")["open_orders"] == 2
    });
    let [maker_row, taker_row, other] =
        ["USER01", "USER03", "USER02"].map(|user| named(&all, "sessions", "user", user));
    assert_eq!([&maker_row["transport"], &taker_row["transport"], &other["transport"]], ["tcp", "shared", ""]);
    assert_eq!(
        [&maker_row["account"], &maker_row["logins"], &maker_row["messages_in"]],
        [&json!("maker-one"), &json!(1), &json!(2)]
    );
    assert_eq!(
        (&taker_row["refused"], &taker_row["open_orders"], &other["idle_ms"]),
        (&json!(1), &json!(0), &Value::Null)
    );
    assert!(taker_row["idle_ms"].is_u64(), "{taker_row}");
    let ticker = named(&all, "tickers", "ticker", &AAPL.text());
    assert_eq!((&ticker["open_orders"], &ticker["trades"], &ticker["volume"]), (&json!(2), &json!(1), &json!(40)));
    assert_eq!((&ticker["ask"], &ticker["ask_quantity"], &ticker["bid"]), (&json!("586.00"), &json!(60), &json!("")));
    assert_eq!(named(&all, "links", "link", "gateway to sequencer")["capacity"].as_u64().unwrap().count_ones(), 1);
    let ask = || operator::ask(&exchange.endpoints().operator, &json!({"do": "status"}), PATIENCE).unwrap();
    assert_eq!(named(&ask()["status"], "sessions", "user", "USER01")["open_orders"], 2);
    let journal = &all["journal"];
    assert_eq!((&journal["appended"], &journal["log_used"], &journal["disk"]), (&json!(5), &json!(5), &Value::Null));
    assert_eq!(all["alarms"], json!([]));

    // Its answers lie in its ring, and it does not look at them.
    for _ in 0..20 {
        taker.enter(&limit(SideCode::Buy, 1, 5_000_000)).unwrap();
    }
    wait_for(directory.path(), "the client is behind", |seen| {
        named(seen, "sessions", "user", "USER03")["unread_bytes"].as_u64() >= Some(20 * 56)
    });
    drop(taker);
    wait_for(directory.path(), "the client is gone", |seen| {
        let row = named(seen, "sessions", "user", "USER03");
        row["transport"] == "" && row["unread_bytes"] == 0 && row["messages_in"] == 22
    });
    exchange.close().unwrap();
}

/// One turn in some dozens looks at its links, so it takes some orders until each has been found with something in it.
#[test]
fn links_are_told_with_how_much_waited_in_them() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::open(config(directory.path())).unwrap();
    let mut session = login(&exchange, "USER01", false);
    let links = ["gateway to sequencer", "sequencer to matcher.0", "sequencer to egress", "matcher.0 to egress"];
    wait_until("each link was found with something in it", || {
        for _ in 0..16 {
            let order = session.enter(&limit(SideCode::Buy, 1, 5_800_000)).unwrap();
            session.cancel(Channel::NONE, order, Quantity(0)).unwrap();
            canceled(&mut session, order);
        }
        let answer = operator::ask(&exchange.endpoints().operator, &json!({"do": "status"}), PATIENCE).unwrap();
        links.iter().all(|link| named(&answer["status"], "links", "link", link)["longest"].as_u64() >= Some(1))
    });
    exchange.close().unwrap();
}

#[test]
fn an_exchange_that_is_not_there_is_said_with_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let output = top(directory.path(), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("no exchange runs in ") && said.contains(directory.path().to_str().unwrap()), "{said}");
    let exchange = Exchange::open(config(directory.path())).unwrap();
    // Looked at as lines, which is what a pipe gets, until told.
    let output = top(directory.path(), &["--looks", "2"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.matches("  journal   record 1, ").count() == 2, "{said}");
    exchange.close().unwrap();
}

#[test]
fn a_harmed_file_is_named_with_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::open(config(directory.path())).unwrap();
    let sessions = exchange.endpoints().sessions.clone();
    // Moved aside, not changed: the exchange has it mapped.
    std::fs::rename(&sessions, directory.path().join("aside")).unwrap();
    std::fs::write(&sessions, "no table").unwrap();
    let output = top(directory.path(), &["--json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("sessions: not a file with a table"), "{said}");
    exchange.close().unwrap();
}
