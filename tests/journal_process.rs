//! The journal in processes of its own: killed without warning, and watched for system calls and page faults.
//!
//! Each check runs this very program again with a role in its environment; the child's part is `as_told`.

use pitlane::journal::{LogOptions, LogWriter, TailState, host_boot, recover};
use pitlane::os::{pages, quiet};
use pitlane::types::{Nanos, Number, Sequenced};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const GROUP: u64 = 9;
const ROLE: &str = "PITLANE_TEST_ROLE";
const LOG: &str = "PITLANE_TEST_LOG";
const RECORDS: usize = 100_000;
/// What a child says when it has done all it should.
const DONE: &str = "all appended in silence";
/// What it says where the check is impossible.
const REFUSED: &str = "this system refuses the filter, so that nothing is proved";

fn record(number: u64) -> Sequenced {
    Sequenced { number: Number(number), time: Nanos(number * 3), ..Sequenced::default() }
}

fn options(path: PathBuf) -> LogOptions {
    LogOptions { path, bytes: LogOptions::bytes_for(RECORDS), lock: false }
}

fn child(role: &str, log: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "as_told", "--nocapture", "--test-threads=1"]).env(ROLE, role).env(LOG, log);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The child's part; does nothing in an ordinary run.
#[test]
fn as_told() {
    let (Ok(role), Some(path)) = (std::env::var(ROLE), std::env::var_os(LOG)) else { return };
    // Straight to the pipe: neither the test harness nor a buffer may come between.
    let mut out = File::options().write(true).open("/proc/self/fd/1").unwrap();
    // What the harness printed stands on the first line, so that ours begin after it.
    out.write_all(b"\n").unwrap();
    match role.as_str() {
        "append" => append_and_tell(options(path.into()), &mut out),
        "quiet" => append_in_silence(options(path.into()), &mut out),
        other => panic!("no role {other}"),
    }
}

/// Appends until the log is full and tells each 64th number after it was appended; then waits to be killed.
fn append_and_tell(options: LogOptions, out: &mut File) {
    let mut writer = if options.path.exists() {
        let (_, tail) = recover(&options, GROUP).unwrap();
        LogWriter::resume(options, tail).unwrap()
    } else {
        LogWriter::create(options, GROUP, host_boot()).unwrap()
    };
    while writer.append(&record(writer.number_next())).is_ok() {
        if writer.records().is_multiple_of(64) {
            out.write_all(format!("appended {}\n", writer.records()).as_bytes()).unwrap();
        }
    }
    out.write_all(b"appended 0\n").unwrap();
    // Ends with the parent, too, should that one die first.
    let _ = std::io::stdin().read(&mut [0]);
}

fn append_in_silence(options: LogOptions, out: &mut File) {
    let mut writer = LogWriter::create(options, GROUP, host_boot()).unwrap();
    if let Err(refused) = quiet::forbid_system_calls() {
        eprintln!("{REFUSED}: {refused}");
    }
    for number in 1..=RECORDS as u64 {
        writer.append(&record(number)).expect("there is room");
    }
    // The only call left. What follows it ends this process, by the filter or by itself.
    out.write_all(DONE.as_bytes()).unwrap();
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_it_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    for round in 1..=12 {
        let mut writer = child("append", &path);
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let told = lines.filter_map(|line| line.unwrap().strip_prefix("appended ")?.parse::<u64>().ok());
        let told = told.take(round * 5).take_while(|number| *number > 0).last();
        writer.kill().unwrap();
        writer.wait().unwrap();
        let (mut reader, tail) = recover(&options(path.clone()), GROUP).unwrap();
        let last = tail.last_number();
        assert!(told.is_none_or(|told| last >= told), "told {told:?}, found {last}");
        assert!(!matches!(tail.state(), TailState::Torn(torn) if torn.published), "{:?}", tail.state());
        assert_eq!(tail.boot(), host_boot());
        (1..=last).for_each(|number| assert_eq!(reader.next().unwrap(), Some(record(number))));
        if last == RECORDS as u64 {
            break;
        }
    }
}

#[test]
fn appending_makes_no_system_call() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut writer = child("quiet", &path);
    let (mut out, mut err) = (String::new(), String::new());
    writer.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    writer.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    let end = writer.wait().unwrap();
    assert!(out.contains(DONE), "{out}\n{err}");
    if !err.contains(REFUSED) {
        assert_eq!(end.signal(), Some(libc::SIGSYS), "the filter was in force: the way out ran into it");
    }
    let (_, tail) = recover(&options(path), GROUP).unwrap();
    assert_eq!((tail.last_number(), tail.state()), (RECORDS as u64, &TailState::Clean));
}

#[test]
fn appending_faults_no_page() {
    // In memory where there is a tmpfs, as in service: write-back of a disk's file protects its pages again.
    let directory = tempfile::tempdir_in(pages::memory_backed(32 << 20)).unwrap();
    let mut writer = LogWriter::create(options(directory.path().join("log")), GROUP, 0).unwrap();
    // The first append also touches this thread's stack and the program's own pages.
    writer.append(&record(1)).unwrap();
    let before = pages::faults();
    for number in 2..=RECORDS as u64 {
        writer.append(&record(number)).expect("there is room");
    }
    assert_eq!(pages::faults(), before);
}
