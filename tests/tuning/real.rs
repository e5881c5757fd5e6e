//! The same on the machine the tests run on, with settings that nobody notices for a moment; as root, else skipped
//! with a line.

use crate::fake::{pitlane, said};
use pitlane::os::{affinity, unix};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

/// How often the kernel counts memory, whether it tidies up in advance, and how gladly it swaps.
const HARMLESS: &[(&str, &str)] = &[
    ("stat-interval", "/proc/sys/vm/stat_interval"),
    ("compaction", "/proc/sys/vm/compaction_proactiveness"),
    ("swappiness", "/proc/sys/vm/swappiness"),
];

fn held() -> BTreeMap<&'static str, String> {
    HARMLESS.iter().filter_map(|(_, path)| Some((*path, fs::read_to_string(path).ok()?))).collect()
}

/// One machine: other runs of these tests wait. A directory that is always there stands for it.
fn alone() -> File {
    let machine = File::open("/sys/kernel/mm").unwrap();
    machine.lock().unwrap();
    machine
}

#[test]
fn this_machine_is_given_back_exactly_as_it_was_found() {
    if unix::own_uid() != 0 {
        println!("skipped: changing settings takes root");
        return;
    }
    let _alone = alone();
    let before = held();
    let state = tempfile::tempdir().unwrap();
    let names = HARMLESS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",");
    let tune = |action: &str, more: &[&str]| {
        let arguments = [&["tune", action, "--state", state.path().to_str().unwrap()], more].concat();
        pitlane(Path::new("/"), &arguments)
    };
    let applied = tune("apply", &["--only", &names]);
    let (now, verified) = (held(), tune("verify", &[]));
    // Before anything is judged: a test that fails must not leave a machine changed.
    let undone = tune("undo", &["--force"]);
    assert_eq!(held(), before, "{}{}", said(&applied), said(&undone));
    if !applied.status.success() {
        println!("skipped: root may change nothing here: {}", said(&applied));
        return;
    }
    if said(&applied).contains("as wanted already") {
        println!("skipped: this machine has these settings already");
        return;
    }
    assert_ne!(now, before, "{}", said(&applied));
    assert_eq!(verified.status.code(), Some(0), "{}{}", said(&applied), said(&verified));
    assert_eq!(undone.status.code(), Some(0), "{}", said(&undone));
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1, "the lock alone is left");
}

#[test]
fn a_setting_is_measured_with_and_without_and_given_back() {
    if unix::own_uid() != 0 || affinity::allowed().unwrap().len() < 2 {
        println!("skipped: measuring takes root and two cores");
        return;
    }
    let _alone = alone();
    let before = held();
    let state = tempfile::tempdir().unwrap();
    let arguments = ["tune", "measure", "--json", "--only", "stat-interval", "--pairs", "1", "--trips", "400"];
    let measured = pitlane(Path::new("/"), &[&arguments[..], &["--state", state.path().to_str().unwrap()]].concat());
    assert_eq!(held(), before, "{}", said(&measured));
    assert!(measured.status.success(), "{}", said(&measured));
    let rows: Vec<Value> = serde_json::from_slice(&measured.stdout).unwrap_or_else(|_| panic!("{}", said(&measured)));
    if rows.is_empty() {
        println!("skipped: this machine has this setting already, or may not change it");
        return;
    }
    for (way, trips) in [("shared", 400), ("tcp", 100)] {
        for side in ["without", "with"] {
            let side = &rows[0][way][side];
            assert_eq!(side["latency"]["count"], trips, "{rows:#?}");
            assert!(side["ratio_p50"].as_f64().unwrap() > 0.0, "{rows:#?}");
        }
        assert_eq!(rows[0][way]["moved"], "within its own spread", "one pair proves nothing");
    }
}
