//! Machines that refuse, answer in other words, take half, or stop in the middle.

use crate::fake::{Rule, Stubborn, contents, machine, untuned};
use pitlane::cli::tuning::apply::{Became, Outcome, Purpose, apply, boot, restore, verify};
use pitlane::cli::tuning::examine::{Change, examine};
use pitlane::cli::tuning::looks::Verdict;
use pitlane::cli::tuning::machine::Machine;
use pitlane::cli::tuning::state::Store;
use pitlane::cli::tuning::table::{Profile, Table};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// All that may be changed there, what needs naming included.
fn changes(root: &Path, tree: &Stubborn<'_>) -> Vec<Change> {
    let machine = Machine::read(root, 1, None).unwrap();
    let findings = examine(&Table::built_in(), Profile::Latency, &machine, tree);
    let may = |verdict| matches!(verdict, Verdict::Change | Verdict::Request);
    findings.into_iter().filter(|finding| may(finding.verdict)).flat_map(|finding| finding.changes).collect()
}

fn purpose(tree: &Stubborn<'_>) -> Purpose {
    Purpose { profile: Profile::Latency, hot: vec![4, 5, 6, 7], boot: boot(tree) }
}

fn store(root: &Path) -> Store {
    Store::open(&root.join("var/lib/pitlane/tuning")).unwrap()
}

fn of<'o>(outcomes: &'o [Outcome], path: &str) -> &'o Became {
    &outcomes.iter().find(|outcome| outcome.path.contains(path)).unwrap_or_else(|| panic!("{path}")).became
}

#[test]
fn what_is_refused_is_told_with_its_reason_and_the_rest_goes_on() {
    let root = untuned();
    let before = contents(root.path());
    let rules = vec![
        ("irq/25/", Rule::Refuse(libc::EIO)),
        ("swappiness", Rule::Refuse(libc::EROFS)),
        ("nmi_watchdog", Rule::Refuse(libc::EACCES)),
        ("current_clocksource", Rule::Refuse(libc::EINVAL)),
        ("rx-usecs", Rule::Refuse(libc::EOPNOTSUPP)),
        ("timer_migration", Rule::Ignore),
    ];
    let tree = Stubborn::new(root.path(), rules);
    let store = store(root.path());
    let outcomes = apply(&tree, &store, &purpose(&tree), &changes(root.path(), &tree)).unwrap();
    let expected = [
        ("irq/25/", "managed interrupt"),
        ("swappiness", "read-only here"),
        ("nmi_watchdog", "ermission denied"),
        ("current_clocksource", "does not take that value"),
        ("rx-usecs", "no such setting"),
        ("timer_migration", "without effect"),
    ];
    for (path, words) in expected {
        assert!(matches!(of(&outcomes, path), Became::Refused(why) if why.contains(words)), "{path}: {outcomes:?}");
    }
    assert_eq!(*of(&outcomes, "irq/24/"), Became::Changed);
    let saved = store.read().unwrap().unwrap();
    assert!(saved.entries.iter().all(|entry| !entry.path.contains("swappiness")), "nothing to give back there");
    assert!(verify(&tree, &saved).iter().all(|outcome| outcome.became == Became::Kept));
    assert!(restore(&tree, &store, false).unwrap().iter().all(|outcome| outcome.became == Became::Restored));
    assert_eq!(contents(root.path()), before);
}

#[test]
fn a_crash_at_any_write_is_taken_back_exactly() {
    let root = untuned();
    let before = contents(root.path());
    let all = changes(root.path(), &Stubborn::new(root.path(), Vec::new())).len() as u32;
    assert!(all > 30, "{all} writes");
    for writes in 0..=all {
        let mut tree = Stubborn::new(root.path(), Vec::new());
        tree.writes_left = Cell::new(Some(writes));
        let store = store(root.path());
        let changes = changes(root.path(), &tree);
        let crashed = catch_unwind(AssertUnwindSafe(|| apply(&tree, &store, &purpose(&tree), &changes).is_ok()));
        assert_eq!(crashed.is_err(), writes < all, "after {writes} writes");
        tree.writes_left.set(None);
        let outcomes = restore(&tree, &store, false).unwrap();
        let is_back = |outcome: &Outcome| matches!(outcome.became, Became::Restored | Became::Kept);
        assert!(outcomes.iter().all(is_back), "after {writes} writes: {outcomes:?}");
        assert_eq!(contents(root.path()), before, "after {writes} writes");
        assert_eq!(store.read().unwrap(), None);
    }
}

#[test]
fn a_crash_while_giving_back_is_taken_up_again() {
    let root = untuned();
    let before = contents(root.path());
    let mut tree = Stubborn::new(root.path(), Vec::new());
    let store = store(root.path());
    apply(&tree, &store, &purpose(&tree), &changes(root.path(), &tree)).unwrap();
    tree.writes_left = Cell::new(Some(7));
    assert!(catch_unwind(AssertUnwindSafe(|| restore(&tree, &store, false))).is_err());
    tree.writes_left.set(None);
    assert!(restore(&tree, &store, false).is_ok());
    assert_eq!(contents(root.path()), before);
}

#[test]
fn a_machine_that_tells_masks_in_other_words_is_understood() {
    let root = untuned();
    let before = contents(root.path());
    let rules = vec![("workqueue", Rule::Reword(|mask| format!("00000000,{mask:0>8}")))];
    let tree = Stubborn::new(root.path(), rules);
    let store = store(root.path());
    let outcomes = apply(&tree, &store, &purpose(&tree), &changes(root.path(), &tree)).unwrap();
    assert_eq!(*of(&outcomes, "workqueue/cpumask"), Became::Changed);
    assert!(restore(&tree, &store, false).unwrap().iter().all(|outcome| outcome.became == Became::Restored));
    let now = contents(root.path());
    assert_eq!(now["sys/devices/virtual/workqueue/cpumask"], "00000000,000000ff\n");
    assert_eq!(now.len(), before.len());
}

#[test]
fn a_machine_that_takes_half_is_told_apart_from_one_that_takes_all() {
    let root = untuned();
    let before = contents(root.path());
    let rules = vec![
        ("nr_hugepages", Rule::Reword(|wanted| if wanted == "512" { "100".into() } else { wanted.into() })),
        ("cpuset.cpus.partition", Rule::Reword(|_| "isolated invalid (Cpu list in cpuset.cpus not exclusive)".into())),
    ];
    let tree = Stubborn::new(root.path(), rules);
    let store = store(root.path());
    let outcomes = apply(&tree, &store, &purpose(&tree), &changes(root.path(), &tree)).unwrap();
    assert_eq!(*of(&outcomes, "nr_hugepages"), Became::Partly);
    assert_eq!(*of(&outcomes, "cpuset.cpus.partition"), Became::Partly);
    assert!(restore(&tree, &store, false).unwrap().iter().all(|outcome| outcome.became == Became::Restored));
    assert_eq!(contents(root.path()), before);
}

#[test]
fn what_cannot_be_given_back_now_is_remembered_for_later() {
    let root = untuned();
    let before = contents(root.path());
    let tree = Stubborn::new(root.path(), Vec::new());
    let store = store(root.path());
    apply(&tree, &store, &purpose(&tree), &changes(root.path(), &tree)).unwrap();
    let busy = Stubborn::new(root.path(), vec![("swappiness", Rule::Refuse(libc::EBUSY))]);
    let outcomes = restore(&busy, &store, false).unwrap();
    assert!(matches!(of(&outcomes, "swappiness"), Became::Refused(why) if why.contains("in use")), "{outcomes:?}");
    assert_eq!(store.read().unwrap().unwrap().entries.len(), 1);
    assert!(restore(&tree, &store, false).unwrap().iter().all(|outcome| outcome.became == Became::Restored));
    assert_eq!(contents(root.path()), before);
}

#[test]
fn a_machine_without_any_of_it_is_left_in_peace() {
    let root = machine(&[("sys/devices/system/cpu/online", "0\n")]);
    let tree = Stubborn::new(root.path(), Vec::new());
    let mut changes = changes(root.path(), &tree);
    // The one file that any machine can be given, if it is asked for.
    changes.retain(|change| change.setting != "memlock");
    assert_eq!(changes, []);
}

#[test]
fn what_is_not_there_any_more_needs_no_giving_back() {
    let root = untuned();
    let tree = Stubborn::new(root.path(), Vec::new());
    let store = store(root.path());
    apply(&tree, &store, &purpose(&tree), &changes(root.path(), &tree)).unwrap();
    std::fs::remove_dir_all(root.path().join("proc/irq/24")).unwrap();
    let outcomes = restore(&tree, &store, false).unwrap();
    assert_eq!(*of(&outcomes, "irq/24/"), Became::Gone);
    assert_eq!(store.read().unwrap(), None);
}
