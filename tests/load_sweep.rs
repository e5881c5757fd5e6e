//! `pitlane load` against an exchange that runs already: what a sweep leaves behind, and what is said when the exchange is
//! not there, lets nobody in, refuses, or goes away. Times are never judged.

#[path = "support/exchange.rs"]
mod support;

use pitlane::launch::Exchange;
use pitlane::measure::result::files;
use pitlane::measure::result::histograms::merged;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{config, counter, wait_until};

fn pitlane(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pitlane"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A small sweep of pings against the exchange in `directory`.
fn sweep(directory: &Path, out: &Path, more: &[&str]) -> Command {
    let [directory, out] = [directory, out].map(|path| path.to_str().unwrap());
    let base =
        ["load", "--directory", directory, "--out", out, "--flow", "ping", "--slice-ms", "40", "--unmeasured-ms", "10"];
    let rates: &[&str] = if more.contains(&"--rates") { &[] } else { &["--rates", "500,1000", "--slices", "2"] };
    pitlane(&[&base[..], rates, more].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_sweep_leaves_a_run_that_report_reads_and_compares_and_that_says_it_has_no_floor() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::open(config(&directory.path().join("exchange"))).unwrap();
    let at = directory.path().join("exchange");
    let out = directory.path().join("run");
    let output = sweep(&at, &out, &[]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let (run, series) = files::read(&out).unwrap();
    let names: Vec<&str> = run.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["shared-500", "shared-1000", "tcp-500", "tcp-1000"]);
    for case in &run.cases {
        // Both ends of 40 ms, twice.
        let requests = 2 * (case.rate * 40 / 1_000 + 1);
        assert_eq!((case.intended.count, case.slices.len(), case.lost), (requests, 2, 0), "{case:?}");
        assert!(
            case.floor.is_none() && case.ratio(|p| p.p50).is_none() && case.slices.iter().all(|s| s.floor.is_none())
        );
        assert_eq!(merged(&series[&case.name]).count(), requests);
        assert!(!series.contains_key(&format!("{}-floor", case.name)));
    }
    assert!(run.marks.iter().any(|mark| mark.starts_with("no floor was measured")), "{:?}", run.marks);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(
        page.contains("no floor was measured") && page.contains("without a floor") && !page.contains("floor beside it")
    );
    let path = out.to_str().unwrap();
    let compared =
        pitlane(&["report", "--compare", path, path, "--out", directory.path().join("c.html").to_str().unwrap()]);
    let compared = { compared }.output().unwrap();
    assert!(compared.status.success(), "{}", said(&compared));
    // The book is as it was: each order was followed by its cancel.
    assert_eq!(counter(exchange.endpoints(), "gateway.stream_full"), 0);
    let again = sweep(&at, &out, &[]).output().unwrap();
    assert_eq!((again.status.code(), said(&again).contains("holds a run already")), (Some(2), true));
    exchange.close().unwrap();
}

#[test]
fn refusals_in_place_of_answers_are_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut halted = config(&directory.path().join("exchange"));
    let ticker = &mut halted.market.tickers[0];
    ticker.auction.phase_start = pitlane::types::Phase::Closed;
    let exchange = Exchange::open(halted).unwrap();
    let out = directory.path().join("run");
    let output = sweep(&directory.path().join("exchange"), &out, &["--transport", "tcp"]).output().unwrap();
    assert!(said(&output).contains(" requests were rejected, most of them: "), "{}", said(&output));
    exchange.close().unwrap();
}

#[test]
fn an_exchange_that_is_missing_or_lets_nobody_in_is_said_and_nothing_is_left_that_looks_like_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let (at, out) = (directory.path().join("exchange"), directory.path().join("run"));
    let output = sweep(&at, &out, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("no exchange runs in "), "{}", said(&output));
    assert!(!out.exists());
    let exchange = Exchange::open(config(&at)).unwrap();
    let output = sweep(&at, &out, &["--password", "WRONG"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("logging in as USER01: "), "{}", said(&output));
    assert!(!out.join(files::RUN).exists());
    let output = sweep(&at, &out, &["--ticker", "NOWHERE"]).output().unwrap();
    assert_eq!((output.status.code(), said(&output).contains("NOWHERE is not listed")), (Some(2), true));
    exchange.close().unwrap();
    // Half of what a sweep needs is no sweep.
    for arguments in [&["load", "--rates", "1000"][..], &["load", "--slices", "3"], &["load", "--out", "x"]] {
        let output = pitlane(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn an_exchange_that_leaves_mid_run_marks_the_run_and_what_was_measured_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (at, out) = (directory.path().join("exchange"), directory.path().join("run"));
    let exchange = Exchange::open(config(&at)).unwrap();
    let more = ["--transport", "tcp", "--rates", "1000,2000", "--slices", "1000"];
    let playing = sweep(&at, &out, &more).spawn().unwrap();
    wait_until("some requests are sent", || counter(exchange.endpoints(), "gateway.messages_in") > 200);
    exchange.close().unwrap();
    let output = playing.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("the exchange died or left, and the run ended early"), "{}", said(&output));
    let (run, _) = files::read(&out).unwrap();
    assert_eq!(run.cases.len(), 1, "the second rate was not tried");
    assert!(
        run.cases[0].intended.count > 0 && run.cases[0].marks.iter().any(|mark| mark.contains("was lost in slice"))
    );
}

#[test]
fn a_single_run_that_loses_its_exchange_prints_its_report_and_fails() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::open(config(directory.path())).unwrap();
    let at = directory.path().to_str().unwrap();
    let arguments =
        ["load", "--directory", at, "--flow", "ping", "--rate", "1000", "--seconds", "600", "--transport", "tcp"];
    let playing = pitlane(&arguments).spawn().unwrap();
    wait_until("some requests are sent", || counter(exchange.endpoints(), "gateway.messages_in") > 200);
    exchange.close().unwrap();
    let output = playing.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains(" requests in "), "{}", said(&output));
    assert!(said(&output).contains("the exchange died or left: session "), "{}", said(&output));
}
