//! `pitlane measure` and `pitlane report` as a user runs them: what they leave behind, and what they say when something
//! is wrong. Times are never judged: this machine may be busy, and then the marks say so.

use pitlane::measure::load::kernel::KERNEL_STEPS;
use pitlane::measure::result::files;
use pitlane::measure::result::histograms::merged;
use pitlane::measure::trace::{ALL, SLOWEST_MAX, STEPS};
use pitlane::runtime::points::{SPANS, WHOLE};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Far above anything a slice of milliseconds needs, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn pitlane(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pitlane")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A small measurement into `out`.
fn measure(out: &Path, more: &[&str]) -> Output {
    let base = [
        "measure",
        "--jitter-seconds",
        "1",
        "--set",
        "stages.sample=7",
        "--rates",
        "2000",
        "--slices",
        "2",
        "--slice-ms",
        "40",
        "--unmeasured-ms",
        "10",
    ];
    pitlane(&[&base[..], &["--out", out.to_str().unwrap()], more].concat())
}

#[test]
fn a_run_leaves_distributions_tables_and_a_page_that_agree() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let output = measure(&out, &["--sessions", "2"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (run, series) = files::read(&out).unwrap();
    let names: Vec<&str> = run.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["shared-2000", "tcp-2000"]);
    for case in &run.cases {
        // 40 ms at 2,000 a second, behind a warm-up of 10 ms, both ends included: 81 requests a slice, all answered.
        assert_eq!((case.intended.count, case.slices.len(), case.lost), (2 * 81, 2, 0), "{case:?}");
        assert_eq!(case.floor.unwrap().count, 2 * 81);
        assert!(case.ratio(|p| p.p50).unwrap().median > 0.0);
        // One in 7 of some 80 orders, joined with what the client noted of them: each step, and the sums.
        let stages: Vec<&str> = case.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(stages, [&STEPS[..], &[SPANS[WHOLE], ALL]].concat(), "{case:?}");
        let trace = case.trace.as_ref().unwrap();
        assert!(trace.joined > 0 && trace.joined <= trace.stamped && trace.missed == 0, "{trace:?}");
        assert!(case.stages.iter().all(|stage| stage.percentiles.count == trace.joined));
        assert_eq!(trace.slowest.len(), SLOWEST_MAX.min(trace.joined as usize));
        for slow in &trace.slowest {
            assert_eq!(slow.steps_ns.iter().sum::<u64>(), slow.total_ns, "{slow:?}");
            assert!(slow.total_ns <= case.intended.max && slow.session < 2 && slow.slice < 2, "{slow:?}");
        }
        for name in case.series() {
            assert_eq!(merged(&series[&name]).count(), 2 * 81, "{name}");
            let hgrm = fs::read_to_string(out.join(format!("{name}.hgrm"))).unwrap();
            assert!(hgrm.contains("Total count    =          162]"), "{hgrm}");
        }
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("tcp, 2 k/s") && page.contains(&run.machine.kernel), "the page says what and where");
    assert_eq!(page.matches("<svg").count(), 2 + 2 + 1 + 1, "distributions, times, throughput, stages");
    assert_eq!(page.matches("<details>").count(), 2 + 2, "steps and the slowest messages, over each transport");
    assert!(text(&output.stdout).contains("slowest stamped"), "{}", text(&output.stdout));
    assert!(!run.jitter.is_empty() && page.contains("What the machine does by itself"));
    assert_eq!(fs::read_to_string(out.join("summary.csv")).unwrap().lines().count(), 1 + 2 * 3);
    // A second run into the same place would leave nobody knowing which is which.
    let again = measure(&out, &[]);
    assert_eq!((again.status.code(), text(&again.stderr).contains("holds a run already")), (Some(2), true));

    // The run beside itself: alike, and too short to tell more.
    let path = out.to_str().unwrap();
    let page = directory.path().join("compare.html");
    let compared = pitlane(&["report", "--compare", path, path, "--out", page.to_str().unwrap()]);
    assert!(compared.status.success(), "{}", text(&compared.stderr));
    assert!(text(&compared.stdout).contains("fewer than 5 slices"), "{}", text(&compared.stdout));
    assert!(fs::read_to_string(page).unwrap().contains("Two runs side by side"));

    // Another flow is another question.
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::copy(out.join("run.hlog"), other.join("run.hlog")).unwrap();
    let json = fs::read_to_string(out.join("run.json")).unwrap();
    fs::write(other.join("run.json"), json.replace("\"flow\": \"ping\"", "\"flow\": \"generated\"")).unwrap();
    let refused = pitlane(&["report", "--compare", path, other.to_str().unwrap()]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains("cannot be compared: flow: ping against generated"), "{said}");
}

#[test]
fn stamps_of_the_kernel_are_taken_over_tcp_or_said_to_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let output = measure(&out, &["--kernel-stamps"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (run, _) = files::read(&out).unwrap();
    let [shared, tcp] = &run.cases[..] else { panic!("{:?}", run.cases) };
    assert_eq!((&shared.kernel, run.setting.kernel_stamps), (&None, true), "no kernel is on the way of a ring");
    let kernel = tcp.kernel.as_ref().unwrap();
    assert!(kernel.followed > 0 && tcp.lost == 0, "{kernel:?}");
    assert!(kernel.transmitted <= kernel.followed && kernel.received <= kernel.followed, "{kernel:?}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("What the kernel saw") && text(&output.stdout).contains(&kernel.said()));
    if kernel.steps.is_empty() {
        eprintln!("not checked any further: {}", kernel.said());
        return assert!(page.contains("NO STAMPS") || kernel.clock_set > 0, "{}", kernel.said());
    }
    let steps: Vec<&str> = kernel.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(steps, KERNEL_STEPS);
    assert!(kernel.steps.iter().all(|step| step.percentiles.max <= tcp.service.max), "each is a part of the whole");
    // A run without them is another measurement.
    let plain = directory.path().join("plain");
    assert!(measure(&plain, &["--transport", "tcp"]).status.success());
    let refused = pitlane(&["report", "--compare", plain.to_str().unwrap(), out.to_str().unwrap()]);
    let said = text(&refused.stderr);
    assert!(said.contains("cannot be compared: stamps of the kernel: false against true"), "{said}");
}

#[test]
fn a_directory_that_is_no_run_or_a_damaged_one_is_named_with_its_fault() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let refused = |wanted: &str| {
        let output = pitlane(&["report", out.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(wanted), "{said}");
    };
    refused("run.json: No such file");
    assert!(measure(&out, &["--transport", "tcp"]).status.success());
    let (log, json) = (fs::read(out.join("run.hlog")).unwrap(), fs::read_to_string(out.join("run.json")).unwrap());
    fs::write(out.join("run.hlog"), "hello\n").unwrap();
    refused("run.hlog: line 1 is no line of a histogram log");
    fs::write(out.join("run.hlog"), &log[..log.len() / 2]).unwrap();
    refused("run.hlog: ");
    fs::write(out.join("run.hlog"), &log).unwrap();
    fs::write(out.join("run.json"), json.replace("\"format\": 1", "\"format\": 99")).unwrap();
    refused("format 99, this program reads 1");
    fs::write(out.join("run.json"), &json[..json.len() / 2]).unwrap();
    refused("run.json: EOF while parsing");
}

#[test]
fn rates_and_knobs_that_make_no_sense_are_refused_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let refused = |more: &[&str], wanted: &str| {
        let output = pitlane(&[&["measure", "--out", out.to_str().unwrap()], more].concat());
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(wanted), "{said}");
        assert!(!out.join("run.json").exists());
    };
    refused(&["--rates", "0"], "0 is not in 1..=10000000");
    refused(&["--rates", "1000000", "--slices", "1000", "--slice-ms", "1000"], "at most 20000000");
    refused(&["--set", "journal"], "wanted SECTION.KEY=VALUE");
    refused(&["--set", "journal.survives=\"host-loss\"", "--transport", "tcp"], "starting an exchange");
    refused(&["--flow", "/nowhere/at/all", "--transport", "tcp"], "/nowhere/at/all");
}

/// The exchange that this process has started.
fn exchange_of(parent: u32) -> Option<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let mut ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|id| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        of == Some(parent) && command.split(|&byte| byte == 0).nth(1) == Some(b"run")
    })
}

#[test]
fn an_exchange_that_dies_mid_run_ends_in_a_marked_page_and_code_3() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let arguments = ["--transport", "tcp", "--rates", "1000", "--slices", "200", "--slice-ms", "100"];
    let mut child: Child = Command::new(env!("CARGO_BIN_EXE_pitlane"))
        .args(["measure", "--out", out.to_str().unwrap()])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    // The log of histograms grows after each slice, its buffer of some kilobytes being full: so it is under way.
    while fs::metadata(out.join("run.hlog")).map_or(0, |file| file.len()) == 0 {
        assert!(started.elapsed() < PATIENCE && child.try_wait().unwrap().is_none(), "the run begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    let exchange = exchange_of(child.id()).expect("it runs an exchange");
    assert!(Command::new("kill").args(["-9", &exchange.to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let (run, _) = files::read(&out).unwrap();
    assert!(run.marks[0].contains("the exchange died or left"), "{:?}", run.marks);
    assert!(run.cases[0].slices.len() < 200 && !run.cases[0].slices.is_empty());
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains("the run ended early"));
}
