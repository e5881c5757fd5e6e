//! The same on the machine the tests run on, with settings that nobody notices for a moment; as root, else skipped
//! with a line.

use crate::fake::{pitlane, said};
use pitlane::os::unix;
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

#[test]
fn this_machine_is_given_back_exactly_as_it_was_found() {
    if unix::own_uid() != 0 {
        println!("skipped: changing settings takes root");
        return;
    }
    // One machine: other runs of this test wait. A directory that is always there stands for it.
    let machine = File::open("/sys/kernel/mm").unwrap();
    machine.lock().unwrap();
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
