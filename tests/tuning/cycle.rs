//! Plan, apply, verify, undo by the command line, on a copy of a machine.

use crate::fake::{HOT, SYSTEM, contents, pitlane, put, said, untuned, words};
use serde_json::Value;
use std::fs;

/// Where what was found is saved.
const SAVED: &str = "var/lib/pitlane/tuning/found.json";

#[test]
fn a_plan_names_every_write_and_changes_nothing() {
    let root = untuned();
    let before = contents(root.path());
    let planned = pitlane(root.path(), &["tune", "plan", "--json"]);
    assert_eq!(planned.status.code(), Some(0), "{}", said(&planned));
    assert_eq!(contents(root.path()), before);
    assert!(!root.path().join(SAVED).exists());
    let changes: Vec<Value> = serde_json::from_slice(&planned.stdout).unwrap();
    let applied = pitlane(root.path(), &["tune", "apply"]);
    assert_eq!(applied.status.code(), Some(0), "{}", said(&applied));
    let after = contents(root.path());
    let written: Vec<&String> =
        after.iter().filter(|(path, text)| before[*path] != **text).map(|(path, _)| path).collect();
    let mut named: Vec<&str> = changes.iter().map(|change| change["path"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(written, named, "what was planned is what was written");
    let text = said(&pitlane(untuned().path(), &["tune", "plan"]));
    assert!(text.contains("/proc/irq/{24-25}/smp_affinity_list") || text.contains("/proc/irq/24/"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn what_is_applied_is_in_force_and_given_back_exactly() {
    let root = untuned();
    let before = contents(root.path());
    let with = ["--with", "partition,huge-pages,rt-throttling,memlock"];
    let applied = pitlane(root.path(), &[&["tune", "apply"], &with[..]].concat());
    assert_eq!(applied.status.code(), Some(0), "{}", said(&applied));
    let now = contents(root.path());
    let expected = [
        ("proc/irq/24/smp_affinity_list", SYSTEM),
        ("proc/irq/26/smp_affinity_list", "0-1"),
        ("proc/irq/default_smp_affinity", "f"),
        ("proc/sys/vm/swappiness", "1"),
        ("proc/sys/kernel/sched_rt_runtime_us", "-1"),
        ("proc/sys/vm/nr_hugepages", "512"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"),
        ("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "performance"),
        ("sys/devices/system/cpu/cpu3/power/pm_qos_resume_latency_us", "0"),
        ("sys/devices/system/cpu/cpu4/power/pm_qos_resume_latency_us", "n/a"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
        ("sys/class/net/eth0/queues/rx-1/rps_cpus", "f"),
        ("sys/class/net/lo/queues/rx-0/rps_cpus", "ff"),
        ("ethtool/eth0/rx-usecs", "0"),
        ("mount/dev/shm/huge", "within_size"),
        ("sys/fs/cgroup/cgroup.subtree_control", "cpu memory cpuset"),
        ("sys/fs/cgroup/pitlane/cpuset.cpus", "3-7"),
        ("sys/fs/cgroup/pitlane/cpuset.cpus.partition", "isolated"),
    ];
    for (path, wanted) in expected {
        assert_eq!(now.get(path).map(|text| text.trim()), Some(wanted), "{path}");
    }
    assert!(now["etc/security/limits.d/90-pitlane.conf"].contains("memlock    unlimited"));
    let verified = pitlane(root.path(), &["tune", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    let undone = pitlane(root.path(), &["tune", "undo"]);
    assert_eq!(undone.status.code(), Some(0), "{}", said(&undone));
    assert_eq!(contents(root.path()), before);
    assert!(!root.path().join(SAVED).exists(), "nothing is left to remember");
    let again = pitlane(root.path(), &["tune", "undo"]);
    assert!(again.status.success() && said(&again).contains("nothing to give back"), "{}", said(&again));
}

#[test]
fn applied_twice_is_applied_once_and_the_first_memory_stays() {
    let root = untuned();
    let before = contents(root.path());
    pitlane(root.path(), &["tune", "apply"]);
    let saved = fs::read_to_string(root.path().join(SAVED)).unwrap();
    let again = pitlane(root.path(), &["tune", "apply"]);
    assert!(said(&again).contains("all that can be written is as wanted already"), "{}", said(&again));
    assert_eq!(fs::read_to_string(root.path().join(SAVED)).unwrap(), saved);
    // Somebody turns one back; asked again it is set again, and what was found first is still known.
    put(root.path(), "proc/irq/24/smp_affinity_list", "6\n");
    assert_eq!(pitlane(root.path(), &["tune", "verify"]).status.code(), Some(1));
    pitlane(root.path(), &["tune", "apply"]);
    assert_eq!(pitlane(root.path(), &["tune", "verify"]).status.code(), Some(0));
    pitlane(root.path(), &["tune", "undo"]);
    assert_eq!(contents(root.path()), before);
}

#[test]
fn what_somebody_else_changed_since_is_left_and_told_unless_forced() {
    let root = untuned();
    let before = contents(root.path());
    pitlane(root.path(), &["tune", "apply"]);
    put(root.path(), "proc/sys/vm/swappiness", "33\n");
    let undone = pitlane(root.path(), &["tune", "undo"]);
    assert_eq!(undone.status.code(), Some(1));
    assert!(words(&undone).contains("changed by somebody else since: set \"1\", found \"60\""), "{}", said(&undone));
    let mut left = before.clone();
    left.insert("proc/sys/vm/swappiness".into(), "33\n".into());
    assert_eq!(contents(root.path()), left, "all others are given back");
    let forced = pitlane(root.path(), &["tune", "undo", "--force"]);
    assert_eq!(forced.status.code(), Some(0), "{}", said(&forced));
    assert_eq!(contents(root.path()), before);
}

#[test]
fn after_a_reboot_undo_says_that_the_settings_are_reset_and_takes_back_what_was_installed() {
    let root = untuned();
    let before = contents(root.path());
    pitlane(root.path(), &["tune", "apply", "--with", "memlock"]);
    // The reboot resets most, and another hand has set one anew.
    for (path, text) in before.iter().filter(|(path, _)| !path.starts_with("etc/")) {
        put(root.path(), path, text);
    }
    put(root.path(), "proc/sys/kernel/random/boot_id", "second-boot\n");
    put(root.path(), "proc/sys/vm/swappiness", "30\n");
    let lost = pitlane(root.path(), &["tune", "verify"]);
    assert!(lost.status.code() == Some(1) && said(&lost).contains("tuned before a reboot"), "{}", said(&lost));
    let undone = pitlane(root.path(), &["tune", "undo"]);
    assert!(words(&undone).contains("a reboot has reset it since: set \"1\", found \"60\""), "{}", said(&undone));
    let now = contents(root.path());
    assert_eq!(now["proc/sys/vm/swappiness"], "30\n");
    assert!(!now.contains_key("etc/security/limits.d/90-pitlane.conf"));
    assert!(!root.path().join(SAVED).exists());
}

#[test]
fn tuned_anew_after_a_reboot_the_new_values_are_remembered() {
    let root = untuned();
    pitlane(root.path(), &["tune", "apply"]);
    put(root.path(), "proc/sys/kernel/random/boot_id", "second-boot\n");
    put(root.path(), "proc/sys/vm/swappiness", "30\n");
    assert_eq!(pitlane(root.path(), &["tune", "apply"]).status.code(), Some(0));
    pitlane(root.path(), &["tune", "undo"]);
    assert_eq!(contents(root.path())["proc/sys/vm/swappiness"], "30\n");
}

#[test]
fn another_profile_or_other_cores_need_an_undo_first() {
    let root = untuned();
    pitlane(root.path(), &["tune", "apply", "--hot", HOT]);
    let tuned = contents(root.path());
    for other in [&["--profile", "throughput"][..], &["--hot", "6-7"]] {
        let refused = pitlane(root.path(), &[&["tune", "apply"], other].concat());
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(said(&refused).contains("give it back first"), "{}", said(&refused));
        assert_eq!(contents(root.path()), tuned, "nothing was changed");
    }
}

#[test]
fn only_and_skip_select_and_a_wrong_name_is_refused_with_the_right_ones() {
    let root = untuned();
    let paths = |arguments: &[&str]| -> Vec<String> {
        let planned = pitlane(root.path(), &[&["tune", "plan", "--json"], arguments].concat());
        let changes: Vec<Value> = serde_json::from_slice(&planned.stdout).unwrap();
        changes.iter().map(|change| change["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(paths(&["--only", "swappiness,ksm"]), ["proc/sys/vm/swappiness", "sys/kernel/mm/ksm/run"]);
    assert!(!paths(&["--skip", "swappiness"]).contains(&"proc/sys/vm/swappiness".to_owned()));
    assert!(!paths(&[]).contains(&"proc/sys/vm/nr_hugepages".to_owned()), "only on request");
    let wrong = pitlane(root.path(), &["tune", "apply", "--only", "swapiness"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("no setting is called \"swapiness\"; there are cores, "), "{}", said(&wrong));
    for hot in ["0-7", "9", "x"] {
        assert_ne!(pitlane(root.path(), &["tune", "plan", "--hot", hot]).status.code(), Some(0), "{hot}");
    }
}

#[test]
fn a_laptop_keeps_its_governor_and_its_wake_ups() {
    let root = untuned();
    let applied = pitlane(root.path(), &["tune", "apply", "--profile", "laptop"]);
    assert_eq!(applied.status.code(), Some(0), "{}", said(&applied));
    let now = contents(root.path());
    assert_eq!(now["sys/devices/system/cpu/cpu4/cpufreq/scaling_governor"], "powersave\n");
    assert_eq!(now["proc/irq/24/smp_affinity_list"], "0-7\n");
    assert_eq!(now["sys/devices/system/clocksource/clocksource0/current_clocksource"], "tsc\n");
}

#[test]
fn a_partition_that_hides_its_cores_does_not_move_the_choice() {
    let root = untuned();
    pitlane(root.path(), &["tune", "apply", "--with", "partition", "--hot", "2-3"]);
    // Whoever stands outside would choose others now.
    let shown = said(&pitlane(root.path(), &["tune", "cores"]));
    assert!(shown.contains("# hot cores 2-3; everything else on 0-1,4-7"), "{shown}");
    assert!(said(&pitlane(root.path(), &["doctor"])).contains("hot cores  2-3"));
    let again = pitlane(root.path(), &["tune", "apply", "--with", "partition"]);
    assert!(said(&again).contains("as wanted already"), "{}", said(&again));
}
