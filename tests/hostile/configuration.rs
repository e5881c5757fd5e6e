//! `pitlane run` with a configuration that is wrong: exit code 2, each fault with its file and line; nothing starts.

use pitlane::config::EXAMPLE;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pitlane")).args(["run", "--config"]).arg(config).output().unwrap()
}

/// Writes the example with one text in place of another; gives its path and the line of the change.
fn spoiled(directory: &Path, from: &str, to: &str) -> (std::path::PathBuf, usize) {
    let at = EXAMPLE.find(from).unwrap_or_else(|| panic!("the example has {from}"));
    let partition = directory.join("partition");
    let text = EXAMPLE.replacen(from, to, 1).replace("/dev/shm/pitlane", partition.to_str().unwrap());
    let path = directory.join("bad.toml");
    fs::write(&path, text).unwrap();
    (path, 1 + EXAMPLE[..at].matches('\n').count())
}

#[test]
fn a_wrong_knob_ends_the_start_with_code_2_and_its_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let cases = [
        ("orders_max = 1_048_576", "orders_max = 1", "orders_max"),
        ("awake = true", "awake = 1", "awake"),
        ("log_mebibytes = 512", "log_mebibytes = 0", "log_mebibytes"),
        ("digest_records = 65_536", "digest_records = 15", "digest_records"),
        ("engine = \"auto\"", "engine = \"magic\"", "engine"),
        ("listen = \"127.0.0.1:15000\"", "listen = \"localhost\"", "listen"),
        ("ring_kibibytes = 256", "ring_kibibytes = 255", "ring_kibibytes"),
        ("silence_ms_max = 15_000", "silence_ms_max = \"long\"", "silence_ms_max"),
        ("stream_mebibytes = 64", "stream_mebibites = 64", "stream_mebibites"),
        ("tick = 0.01", "tick = 0.00001", "tick"),
        ("account = \"maker-one\"", "account = \"nobody\"", "account"),
        ("password_hash = \"$argon2id$", "password_hash = \"SECRET", "password_hash"),
        ("group = \"239.195.1.1:26400\"", "group = 7", "group"),
    ];
    for (from, to, key) in cases {
        let (path, line) = spoiled(directory.path(), from, to);
        let output = run(&path);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{to}: {said}");
        assert!(said.contains(&format!("{}:{line}: ", path.display())), "{to}, line {line}: {said}");
        assert!(said.contains(key) && said.contains("allowed: "), "{to}: {said}");
        assert!(!directory.path().join("partition").exists(), "{to}: nothing was begun");
    }
}

#[test]
fn a_file_that_is_no_configuration_or_not_there_ends_the_start_with_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.toml");
    let output = run(&path);
    assert_eq!(output.status.code(), Some(2));
    for text in ["", "[partition\n", "\u{0}\u{1}", "[[ticker]]\n"] {
        fs::write(&path, text).unwrap();
        let output = run(&path);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text:?}: {said}");
        assert!(said.contains(&format!("{}:", path.display())), "{text:?}: {said}");
    }
}

#[test]
fn a_placement_that_does_not_fit_the_machine_ends_the_start_with_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = spoiled(directory.path(), "placement = \"auto\"", "placement = \"shared\"\nshared_core = 1_023");
    let text = fs::read_to_string(&path).unwrap();
    let small = text
        .replace("orders_max = 1_048_576", "orders_max = 1_024")
        .replace("log_mebibytes = 512", "log_mebibytes = 1")
        .replace("stream_mebibytes = 64", "stream_mebibytes = 1")
        .replace("store_mebibytes = 256", "store_mebibytes = 1")
        .replace("127.0.0.1:15000", "127.0.0.1:0")
        .replace("127.0.0.1:26401", "127.0.0.1:0");
    fs::write(&path, small).unwrap();
    let output = run(&path);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("threads.shared_core = 1023"), "{said}");
}
