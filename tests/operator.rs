//! The operator's socket with the client that the command line uses: what changes state is answered by its record,
//! what only asks by the status source. The sequencer is played by the test.

#[path = "support/market.rs"]
mod market;

use market::{WIDE, account, ticker};
use pitlane::client::operator::{OperatorClient, ask};
use pitlane::gateway::operator::{CLIENTS_MAX, LINE_BYTES_MAX, Operator, OperatorLinks, RECORD_LIMIT_NS, StatusSource};
use pitlane::os::clock::ManualClock;
use pitlane::os::unix;
use pitlane::runtime::agent::Agent;
use pitlane::runtime::link::{self, Receiver, Sender};
use pitlane::runtime::runner::StopFlag;
use pitlane::types::*;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything here takes; who waits so long has hung.
const LONG: Duration = Duration::from_secs(60);

fn market() -> Market {
    let limits = Limits {
        order_quantity_max: Quantity(1000),
        order_notional_max: Money(1000),
        open_orders_max: 10,
        position_max: 1000,
        gross_exposure_max: Money(1000),
        ..WIDE
    };
    Market {
        session_name: *b"    DAY001",
        tickers: vec![ticker("AAPL")],
        accounts: vec![account("alpha", "ALFA", limits), account("beta", "BETA", limits)],
        sessions: Vec::new(),
        matchers: 1,
        orders_max: 100,
        trades_kept: 1_024,
    }
}

struct Source;

impl StatusSource for Source {
    fn status(&mut self) -> Value {
        json!({ "state": "trading", "filler": "x".repeat(300_000) })
    }

    fn portfolio(&mut self, account: AccountId) -> Value {
        json!({ "account": account.0, "cash": "10.00" })
    }
}

/// What becomes of a command in the test's sequencer.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Recorded(Reject),
    /// Another record of the venue comes back first.
    RecordedSecond,
    Forgotten,
}

struct Venue {
    directory: tempfile::TempDir,
    quit: StopFlag,
    asked_to_stop: StopFlag,
    commands: mpsc::Receiver<Command>,
    thread: Option<JoinHandle<()>>,
}

impl Venue {
    fn open(fate: Fate) -> Venue {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("operator");
        let (commands, commands_far) = link::bounded(4);
        let (committed, committed_far) = link::bounded(4);
        let (mut mark, mark_far) = link::mark();
        mark.set(u64::MAX);
        let links = OperatorLinks { commands, records: committed_far, committed: mark_far };
        // Each reading takes a while, so that a command without a record is given up after some turns.
        let clock = ManualClock { now_ns: 0, step_ns: RECORD_LIMIT_NS / 1000 };
        let asked_to_stop = StopFlag::new();
        let operator = Operator::open(&path, &market(), links, Source, clock, asked_to_stop.clone()).unwrap();
        let quit = StopFlag::new();
        let (seen, commands) = mpsc::channel();
        let until = quit.clone();
        let thread = std::thread::spawn(move || play(operator, commands_far, committed, fate, &until, &seen));
        Venue { directory, quit, asked_to_stop, commands, thread: Some(thread) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("operator")
    }

    fn ask(&self, request: Value) -> Value {
        ask(&self.path(), &request, LONG).unwrap()
    }
}

fn play(
    mut operator: Operator<Source, ManualClock>,
    mut commands: Receiver<Command>,
    mut committed: Sender<Sequenced>,
    fate: Fate,
    until: &StopFlag,
    seen: &mpsc::Sender<Command>,
) {
    let mut number = 0;
    while !until.is_requested() {
        if operator.work() == 0 {
            std::thread::yield_now();
        }
        let Some(command) = commands.pop() else { continue };
        let _ = seen.send(command);
        let mut record = |command, reject| {
            number += 1;
            let verdict = Verdict::refused(reject);
            committed.try_push(Sequenced { number: Number(number), time: Nanos(5), verdict, command }).unwrap();
        };
        match fate {
            Fate::Recorded(reject) => record(command, reject),
            Fate::RecordedSecond => {
                record(Command::new(CommandKind::StateDigest), Reject::None);
                record(command, Reject::None);
            }
            Fate::Forgotten => {}
        }
    }
    operator.stop();
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.quit.request();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
        assert!(!self.path().exists(), "the socket is cleared away");
    }
}

#[test]
fn what_changes_state_is_a_command_with_its_author_and_answered_by_its_record() {
    let venue = Venue::open(Fate::Recorded(Reject::None));
    let author = format!("uid:{}", unix::own_uid());
    let run = |request: Value| {
        assert_eq!(venue.ask(request.clone())["ok"], json!(true), "{request}");
        let command = venue.commands.recv_timeout(LONG).unwrap();
        assert_eq!((command.session, command.client_order_id.text()), (SessionId::VENUE, author.clone()));
        command
    };
    let halt = run(json!({ "do": "halt", "ticker": "AAPL" }));
    assert_eq!((halt.kind, halt.ticker), (CommandKind::Halt, TickerId(0)));
    let resume = run(json!({ "do": "resume", "ticker": "all" }));
    assert_eq!((resume.kind, resume.ticker), (CommandKind::Resume, TickerId::ALL));
    let kill = run(json!({ "do": "kill", "scope": "account", "name": "beta" }));
    assert_eq!((kill.kind, kill.scope, kill.account), (CommandKind::KillOn, Scope::Account, AccountId(1)));
    let kill = run(json!({ "do": "kill", "scope": "firm", "name": "ALFA" }));
    assert_eq!((kill.scope, kill.firm), (Scope::Firm, Firm::from_text("ALFA").unwrap()));
    let unkill = run(json!({ "do": "unkill", "scope": "all" }));
    assert_eq!((unkill.kind, unkill.scope), (CommandKind::KillOff, Scope::All));
    let limit = run(json!({ "do": "set-limit", "account": "alpha", "limit": "credit", "value": "12.5" }));
    assert_eq!((limit.kind, limit.account, limit.limit), (CommandKind::SetLimit, AccountId(0), Limit::Credit));
    assert_eq!(limit.value, 125_000);
    assert_eq!(run(json!({ "do": "end-day" })).kind, CommandKind::DayEnd);
    assert_eq!(venue.ask(json!({ "do": "end-day" })), json!({ "ok": true, "number": 8, "time": 5 }));
}

#[test]
fn questions_are_answered_by_the_status_source() {
    let venue = Venue::open(Fate::Forgotten);
    let mut client = OperatorClient::connect(&venue.path(), LONG).unwrap();
    let status = client.ask(&json!({ "do": "status" })).unwrap();
    assert_eq!((&status["ok"], &status["status"]["state"]), (&json!(true), &json!("trading")));
    let portfolio = client.ask(&json!({ "do": "portfolio", "account": "beta" })).unwrap();
    assert_eq!(portfolio, json!({ "ok": true, "portfolio": { "account": 1, "cash": "10.00" } }));
    assert!(!venue.asked_to_stop.is_requested());
    assert_eq!(client.ask(&json!({ "do": "stop" })).unwrap(), json!({ "ok": true }));
    assert!(venue.asked_to_stop.is_requested());
    assert!(venue.commands.try_recv().is_err(), "none of these is a command");
}

#[test]
fn a_record_is_known_among_others_and_its_refusal_told() {
    let venue = Venue::open(Fate::RecordedSecond);
    assert_eq!(venue.ask(json!({ "do": "end-day" }))["number"], json!(2));
    let venue = Venue::open(Fate::Recorded(Reject::Other));
    let answer = venue.ask(json!({ "do": "end-day" }));
    assert_eq!(answer, json!({ "ok": false, "number": 1, "error": "other" }));
}

#[test]
fn a_command_without_a_record_is_given_up_without_a_claim() {
    let venue = Venue::open(Fate::Forgotten);
    let answer = venue.ask(json!({ "do": "halt", "ticker": "all" }));
    assert_eq!(answer["ok"], json!(false));
    assert_eq!(answer["error"], json!("no record yet: whether it holds is not known"));
}

#[test]
fn what_cannot_be_done_is_said_and_the_connection_stays() {
    let venue = Venue::open(Fate::Recorded(Reject::None));
    let mut client = OperatorClient::connect(&venue.path(), LONG).unwrap();
    let mut refused = |request: Value| {
        let answer = client.ask(&request).unwrap();
        assert_eq!(answer["ok"], json!(false), "{request}");
        answer["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused(json!({ "do": "halt", "ticker": "NONE" })), "no ticker \"NONE\" here");
    assert_eq!(refused(json!({ "do": "portfolio", "account": "x" })), "no account \"x\" here");
    assert_eq!(refused(json!({ "do": "kill", "scope": "firm", "name": "NONE" })), "no firm \"NONE\" here");
    let scope = "scope account or firm needs a name, scope all takes none";
    assert_eq!(refused(json!({ "do": "kill", "scope": "account" })), scope);
    assert_eq!(refused(json!({ "do": "kill", "scope": "all", "name": "alpha" })), scope);
    let value = refused(json!({ "do": "set-limit", "account": "alpha", "limit": "credit", "value": "lots" }));
    assert_eq!(value, "\"lots\" is not a value of this limit");
    assert!(refused(json!({ "do": "dance" })).starts_with("request not understood"));
    assert!(refused(json!(42)).starts_with("request not understood"));
    assert!(venue.commands.try_recv().is_err());
}

#[test]
fn bytes_that_are_no_lines_harm_nobody() {
    let venue = Venue::open(Fate::Recorded(Reject::None));
    let mut endless = UnixStream::connect(venue.path()).unwrap();
    endless.set_read_timeout(Some(LONG)).unwrap();
    // The venue may close while this is still being written.
    let _ = endless.write_all(&[b'x'; 2 * LINE_BYTES_MAX]);
    let ended = endless.read(&mut [0; 1]);
    assert!(!matches!(ended, Ok(1..)), "a line without end is not answered");
    let mut noise = UnixStream::connect(venue.path()).unwrap();
    noise.set_read_timeout(Some(LONG)).unwrap();
    noise.write_all(b"\xff\xfe\n\n{\n").unwrap();
    let mut answers = String::new();
    while answers.lines().count() < 3 {
        let mut bytes = [0; 512];
        let count = noise.read(&mut bytes).unwrap();
        answers.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    assert!(answers.lines().all(|line| line.contains("request not understood")));
    assert_eq!(venue.ask(json!({ "do": "status" }))["ok"], json!(true));
}

#[test]
fn connections_are_bounded_and_a_place_comes_free() {
    let venue = Venue::open(Fate::Recorded(Reject::None));
    let status = json!({ "do": "status" });
    let mut clients: Vec<_> = (0..CLIENTS_MAX).map(|_| OperatorClient::connect(&venue.path(), LONG).unwrap()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.ask(&status).unwrap()["ok"], json!(true)));
    assert!(ask(&venue.path(), &status, LONG).is_err());
    drop(clients.pop());
    while ask(&venue.path(), &status, LONG).is_err() {
        std::thread::yield_now();
    }
}
