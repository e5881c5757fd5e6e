//! What `doctor` says of machines, good and poor.

use crate::fake::{UNTUNED, contents, machine, pitlane, put, said, untuned};
use pitlane::cli::tuning::examine::{Finding, examine};
use pitlane::cli::tuning::looks::Verdict;
use pitlane::cli::tuning::machine::{Asked, Machine};
use pitlane::cli::tuning::table::{Profile, Table};
use pitlane::cli::tuning::tree::FileTree;
use pitlane::os::pages::Room;
use pitlane::os::timesync::Agreement;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn good() -> Asked {
    let shm = Some(Room { total_bytes: 4 << 30, free_bytes: 2 << 30, in_memory: true, kind: "tmpfs" });
    let agreement = Ok(Agreement { is_in_step: true, error_us_max: 20 });
    Asked { ring: Ok(()), memlock_bytes: None, locks: true, shm, latency_device: Ok(()), agreement }
}

fn examined(root: &Path, asked: Asked) -> Vec<Finding> {
    let machine = Machine { asked: Some(asked), ..Machine::read(root, 1, None).unwrap() };
    examine(&Table::built_in(), Profile::Latency, &machine, &FileTree::new(root))
}

fn verdict(findings: &[Finding], name: &str) -> Verdict {
    findings.iter().find(|finding| finding.name == name).unwrap_or_else(|| panic!("{name}")).verdict
}

/// The untuned server with everything done that the report asks for.
fn tuned() -> tempfile::TempDir {
    let root = untuned();
    for (path, text) in [
        ("proc/cmdline", "isolcpus=managed_irq,domain,4-7 nohz_full=4-7\n"),
        ("sys/devices/system/cpu/isolated", "4-7\n"),
        ("sys/devices/system/cpu/nohz_full", "4-7\n"),
        ("proc/77/comm", "chronyd\n"),
        ("proc/swaps", "Filename Type Size Used Priority\n"),
    ] {
        put(root.path(), path, text);
    }
    let applied = pitlane(root.path(), &["tune", "apply", "--with", "partition,huge-pages,rt-throttling,memlock"]);
    assert!(applied.status.success(), "{}", said(&applied));
    root
}

#[test]
fn a_tuned_machine_has_nothing_to_complain_of() {
    let root = tuned();
    let findings = examined(root.path(), good());
    let is_fine = |finding: &&Finding| !matches!(finding.verdict, Verdict::Ok | Verdict::Absent);
    let complaints: Vec<_> = findings.iter().filter(is_fine).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(findings.iter().filter(|finding| finding.verdict == Verdict::Ok).count() > 35);
}

#[test]
fn an_untuned_machine_hears_of_each_setting_who_can_change_it() {
    let root = untuned();
    let findings = examined(root.path(), good());
    let expected = [
        (
            Verdict::Change,
            &["irq-affinity", "workqueues", "governor", "thp", "ksm", "clock-source", "rps", "swappiness"][..],
        ),
        (Verdict::Request, &["partition", "rt-throttling", "huge-pages"]),
        (Verdict::Reboot, &["isolcpus", "nohz-full", "rcu-nocbs"]),
        (Verdict::Yours, &["irqbalance", "swap"]),
        (Verdict::Absent, &["turbo", "energy-preference", "xps", "busy-poll"]),
        (Verdict::Ok, &["smt", "siblings", "numa", "cores", "kernel", "counter", "time-sync"]),
    ];
    for (wanted, names) in expected {
        for name in names {
            assert_eq!(verdict(&findings, name), wanted, "{name}");
        }
    }
}

#[test]
fn what_the_system_refuses_is_found() {
    let root = untuned();
    let findings = examined(
        root.path(),
        Asked {
            ring: Err("not permitted".into()),
            memlock_bytes: Some(8 << 20),
            locks: false,
            shm: None,
            latency_device: Err("not permitted".into()),
            agreement: Ok(Agreement { is_in_step: false, error_us_max: 16_000_000 }),
        },
    );
    for name in ["io-uring", "shm", "dma-latency", "time-sync"] {
        assert_eq!(verdict(&findings, name), Verdict::Yours, "{name}");
    }
    assert_eq!(verdict(&findings, "memlock"), Verdict::Request);
}

#[test]
fn poor_facts_are_told() {
    let root = untuned();
    for (path, text) in [
        ("proc/sys/kernel/osrelease", "5.10.0\n"),
        ("proc/cpuinfo", "flags : fpu hypervisor\n"),
        ("sys/class/net/eth0/device/numa_node", "0\n"),
        ("sys/devices/system/cpu/isolated", "6-7\n"),
    ] {
        put(root.path(), path, text);
    }
    let findings = examined(root.path(), good());
    for name in ["kernel", "counter", "metal", "numa"] {
        assert_eq!(verdict(&findings, name), Verdict::Yours, "{name}");
    }
}

#[test]
fn cgroup_v1_and_too_few_cores_are_said_to_have_no_partition() {
    let root = untuned();
    fs::remove_dir_all(root.path().join("sys/fs/cgroup")).unwrap();
    let found =
        |findings: Vec<Finding>| findings.into_iter().find(|finding| finding.name == "partition").unwrap().found;
    assert!(found(examined(root.path(), good())).contains("cgroup v1"));
    let small = machine(UNTUNED);
    put(small.path(), "sys/devices/system/cpu/online", "0-1\n");
    assert!(found(examined(small.path(), good())).contains("two cores beside the hot ones"));
}

#[test]
fn one_core_is_not_told_to_isolate_itself() {
    let root = machine(UNTUNED);
    put(root.path(), "sys/devices/system/cpu/online", "0\n");
    let findings = examined(root.path(), good());
    for name in ["isolcpus", "nohz-full", "rcu-nocbs"] {
        assert_eq!(verdict(&findings, name), Verdict::Absent, "{name}");
    }
}

#[test]
fn the_report_fits_its_page_and_as_json_reads_back() {
    let root = untuned();
    let before = contents(root.path());
    let text = said(&pitlane(root.path(), &["doctor"]));
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    for words in [
        "Nothing was changed",
        "Cores: who else",
        "hot cores  4-7",
        "isolcpus=managed_irq,domain,4-7",
        "make tune-plan",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let findings: Vec<Value> = serde_json::from_slice(&pitlane(root.path(), &["doctor", "--json"]).stdout).unwrap();
    assert_eq!(findings.len(), Table::built_in().settings.len());
    assert_eq!(findings.iter().find(|finding| finding["name"] == "thp").unwrap()["verdict"], "change");
    assert_eq!(contents(root.path()), before);
}

#[test]
fn this_machine_and_an_empty_one_are_examined() {
    let own = pitlane(Path::new("/"), &["doctor", "--json"]);
    assert!(own.status.success(), "{}", said(&own));
    let none = pitlane(tempfile::tempdir().unwrap().path(), &["doctor"]);
    assert_eq!(none.status.code(), Some(3));
    assert!(said(&none).contains("reading the cores in "), "{}", said(&none));
}

#[test]
fn the_printed_table_is_the_one_in_the_documentation() {
    let readme = include_str!("../../tuning/README.md");
    assert!(readme.contains(&Table::built_in().markdown()), "print it anew: pitlane tune table");
}
