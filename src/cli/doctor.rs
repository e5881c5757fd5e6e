//! `pitlane doctor`: what this host offers a busy-polling process, what it should, and what to do about it.
//!
//! Changes nothing. Each finding says what was found and what is wanted, why it matters (with the figure measured,
//! where there is one) and the remedy. Files are read below a root that tests replace; the few questions that only
//! the system can answer are asked in [`Probes::ask`]. Cold; needs no rights, and says where it lacked them.

use super::Outcome;
use crate::os::affinity::{self, Topology};
use crate::os::mapped::Mapped;
use crate::os::pages::{self, Room};
use clap::Args;
use io_uring::{IoUring, cqueue, squeue};
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Examines this host and prints what was found.
///
/// # Errors
/// None of its own: a host that offers little is a finding, not a failure.
pub fn main(arguments: Arguments) -> Outcome {
    // A reader that has seen enough is no fault.
    let _closed_pipe = print(&report(), arguments.json, &mut io::stdout().lock());
    Ok(())
}

/// How a finding stands to what is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As wanted.
    Ok,
    /// Runs, slower or with a longer tail; or the host does not say.
    Note,
    /// Trading on this would disappoint.
    Poor,
}

/// One thing looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What.
    pub name: &'static str,
    /// Its present value.
    pub found: String,
    /// The value wanted.
    pub wanted: &'static str,
    /// Whether that will do.
    pub verdict: Verdict,
    /// Why it matters.
    pub why: &'static str,
    /// How to change it.
    pub remedy: &'static str,
}

/// Cores for every stage to have its own: gateway, sequencer, matcher, egress with feed, and one for all else.
const CORES_DEDICATED: usize = 5;
/// Lockable memory for a log, the books and the tables of a small site.
const MEMLOCK_WANTED_BYTES: u64 = 1 << 30;
/// What is locked to see whether locking works, whatever the limit says.
const LOCK_PROBE_BYTES: usize = 16 << 20;
/// Room for a day's log of some million records, and shared rings.
const SHM_WANTED_BYTES: u64 = 1 << 30;
/// Entries of the ring made to see whether io_uring is there.
const RING_PROBE_ENTRIES: u32 = 8;

/// Answers that stand in no file.
#[derive(Debug)]
pub struct Probes {
    /// A ring with the flags the gateway wants: made, or why not.
    pub ring: Result<(), String>,
    /// Cores this process may use.
    pub allowed: Vec<usize>,
    /// The limit on locked memory; `None` is no limit.
    pub memlock_bytes: Option<u64>,
    /// Whether memory can in fact be locked.
    pub locks: bool,
    /// The file system of shared memory.
    pub shm: Option<Room>,
    /// Whether the latency device can be opened.
    pub latency_device: Result<(), String>,
}

impl Probes {
    /// Asks this host.
    pub fn ask() -> Probes {
        let ring = IoUring::<squeue::Entry, cqueue::Entry>::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(RING_PROBE_ENTRIES);
        let device = OpenOptions::new().write(true).open(pages::CPU_DMA_LATENCY);
        Probes {
            ring: ring.map(drop).map_err(|error| error.to_string()),
            allowed: affinity::allowed().unwrap_or_default(),
            memlock_bytes: pages::memlock_limit_bytes().unwrap_or(Some(0)),
            locks: Mapped::anonymous(LOCK_PROBE_BYTES).is_ok_and(|memory| memory.lock().is_ok()),
            shm: pages::room(Path::new("/dev/shm")).ok(),
            latency_device: device.map(drop).map_err(|error| error.to_string()),
        }
    }
}

/// All findings about this host.
pub fn report() -> Vec<Finding> {
    examine(&Host { root: PathBuf::from("/"), probes: Probes::ask() })
}

/// Writes findings for people, or as JSON.
/// # Errors
/// What `out` says.
pub fn print(findings: &[Finding], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", serde_json::to_string_pretty(findings).expect("findings are plain values"));
    }
    let name_width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
    for finding in findings {
        let Finding { name, found, wanted, verdict, why, remedy } = finding;
        match verdict {
            Verdict::Ok => writeln!(out, "ok    {name:name_width$}  {found}")?,
            Verdict::Note | Verdict::Poor => {
                let word = if *verdict == Verdict::Note { "note" } else { "POOR" };
                writeln!(out, "{word}  {name:name_width$}  {found}; wanted: {wanted}")?;
                writeln!(out, "      {:name_width$}  {why}", "")?;
                writeln!(out, "      {:name_width$}  -> {remedy}", "")?;
            }
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    writeln!(out, "{} ok, {} to note, {} poor", count(Verdict::Ok), count(Verdict::Note), count(Verdict::Poor))
}

/// Where the answers come from.
struct Host {
    root: PathBuf,
    probes: Probes,
}

impl Host {
    /// The trimmed text of a file, when it can be read.
    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok().map(|text| text.trim().to_string())
    }

    fn topology(&self) -> Topology {
        Topology::read(&self.root.join("sys/devices/system/cpu")).unwrap_or_default()
    }

    fn has_cpu_flag(&self, flag: &str) -> bool {
        let info = self.text("proc/cpuinfo").unwrap_or_default();
        info.lines().find(|line| line.starts_with("flags")).is_some_and(|line| line.split(' ').any(|word| word == flag))
    }
}

fn examine(host: &Host) -> Vec<Finding> {
    let mut findings = vec![kernel(host), io_uring(host), cores(host), isolated(host), nohz_full(host), siblings(host)];
    findings.extend([governor(host), virtual_machine(host), clock_source(host), tsc(host), latency_device(host)]);
    findings.extend([memlock(host), shared_memory(host), huge_pages(host), transparent_huge_pages(host), swap(host)]);
    findings.extend(SETTINGS.iter().filter_map(|setting| setting.examine(host)));
    findings
}

/// `Ok` when it is as wanted, else `otherwise`.
fn judge(is_wanted: bool, otherwise: Verdict) -> Verdict {
    if is_wanted { Verdict::Ok } else { otherwise }
}

fn kernel(host: &Host) -> Finding {
    let release = host.text("proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let otherwise = if version >= (5, 14) { Verdict::Note } else { Verdict::Poor };
    Finding {
        name: "kernel",
        found: release,
        wanted: "6.1 or later",
        verdict: judge(version >= (6, 1), otherwise),
        why: "6.1 brings deferred io_uring completions; 5.14 the call that touches a mapping without faults later",
        remedy: "install a newer kernel; the plain socket engine serves older ones",
    }
}

fn io_uring(host: &Host) -> Finding {
    let disabled = host.text("proc/sys/kernel/io_uring_disabled").filter(|value| value != "0");
    let found = match (&host.probes.ring, disabled) {
        (Ok(()), _) => "available".into(),
        (Err(why), Some(value)) => format!("refused: {why} (kernel.io_uring_disabled = {value})"),
        (Err(why), None) => format!("refused: {why}"),
    };
    Finding {
        name: "io_uring",
        found,
        wanted: "available, with deferred completions",
        verdict: judge(host.probes.ring.is_ok(), Verdict::Note),
        why: "serves many sessions at the cost of one; plain sockets are as fast up to some 16 sessions",
        remedy: "sysctl kernel.io_uring_disabled=0; in a container allow the io_uring_* calls; or network = \"plain\"",
    }
}

fn cores(host: &Host) -> Finding {
    let (allowed, online) = (host.probes.allowed.len(), host.topology().cores.len());
    Finding {
        name: "cores",
        found: format!("{allowed} allowed of {online} online"),
        wanted: "5 or more for a core each stage; 2 run all stages on one",
        verdict: judge(allowed >= CORES_DEDICATED, if allowed < 2 { Verdict::Poor } else { Verdict::Note }),
        why: "two spinning threads on one core cost 8 ms a round trip, against 9 us when they yield and 0.4 apart",
        remedy: "give the process more cores (cpuset, taskset, machine type), or place stages as \"shared\"",
    }
}

fn isolated(host: &Host) -> Finding {
    let isolated = host.topology().isolated;
    Finding {
        name: "isolated cores",
        found: if isolated.is_empty() { "none".into() } else { format!("{isolated:?}") },
        wanted: "the cores of the hot threads",
        verdict: judge(!isolated.is_empty(), Verdict::Note),
        why: "other tasks and kernel work on a hot core are the tail above 10 us",
        remedy: "an isolated cpuset partition, or isolcpus= at boot",
    }
}

fn nohz_full(host: &Host) -> Finding {
    let cores = host.topology().nohz_full;
    Finding {
        name: "tickless cores",
        found: if cores.is_empty() { "none".into() } else { format!("{cores:?}") },
        wanted: "the matchers' cores",
        verdict: judge(!cores.is_empty(), Verdict::Note),
        why: "the timer interrupts a busy core 250 to 1,000 times a second; in a virtual machine some 50 us each",
        remedy: "nohz_full= and rcu_nocbs= at boot; not for cores whose threads make system calls",
    }
}

fn siblings(host: &Host) -> Finding {
    let (topology, allowed) = (host.topology(), &host.probes.allowed);
    let pairs = allowed.iter().filter(|one| allowed.iter().any(|other| topology.are_siblings(**one, *other))).count();
    Finding {
        name: "hardware threads",
        found: if pairs == 0 { "none shared".into() } else { format!("{pairs} of the allowed share a core") },
        wanted: "one hot thread a physical core",
        verdict: judge(pairs == 0, Verdict::Note),
        why: "a spinning sibling takes up to half of the core from its neighbour",
        remedy: "place hot threads on different physical cores, or switch the siblings off",
    }
}

fn governor(host: &Host) -> Finding {
    let path = |core: usize| format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
    let mut governors: Vec<String> = host.probes.allowed.iter().filter_map(|core| host.text(&path(*core))).collect();
    governors.sort_unstable();
    governors.dedup();
    let is_wanted = governors.iter().all(|governor| governor == "performance");
    Finding {
        name: "frequency governor",
        found: if governors.is_empty() { "not ours to set".into() } else { governors.join(", ") },
        wanted: "performance",
        verdict: judge(is_wanted, Verdict::Poor),
        why: "a core that has slowed down takes tens of microseconds to speed up again",
        remedy: "cpupower frequency-set -g performance",
    }
}

fn virtual_machine(host: &Host) -> Finding {
    let is_guest = host.has_cpu_flag("hypervisor");
    Finding {
        name: "machine",
        found: if is_guest { "virtual".into() } else { "metal".into() },
        wanted: "metal",
        verdict: judge(!is_guest, Verdict::Note),
        why: "in a virtual machine p99.9 belongs to the host: 2-4 % of all time was seen to go in gaps of 45-60 us",
        remedy: "trade on metal; here compare ratios against the floor that the reports print",
    }
}

fn clock_source(host: &Host) -> Finding {
    let source = host.text("sys/devices/system/clocksource/clocksource0/current_clocksource");
    let is_wanted = source.as_deref() == Some("tsc");
    let is_fast = matches!(source.as_deref(), Some("kvm-clock" | "hyperv_clocksource_tsc_page" | "arch_sys_counter"));
    Finding {
        name: "clock source",
        found: source.unwrap_or_else(|| "unknown".into()),
        wanted: "tsc",
        verdict: judge(is_wanted, if is_fast { Verdict::Note } else { Verdict::Poor }),
        why: "each record takes a time: 22 ns when the counter tells it, a system call or slow hardware otherwise",
        remedy: "tsc=reliable at boot; see why the kernel dropped it with dmesg",
    }
}

fn tsc(host: &Host) -> Finding {
    let missing: Vec<_> = ["constant_tsc", "nonstop_tsc"].into_iter().filter(|flag| !host.has_cpu_flag(flag)).collect();
    Finding {
        name: "time-stamp counter",
        found: if missing.is_empty() { "constant, nonstop".into() } else { format!("without {}", missing.join(", ")) },
        wanted: "constant, nonstop",
        verdict: judge(missing.is_empty(), Verdict::Note),
        why: "stage latencies are differences of raw stamps between cores",
        remedy: "let the hypervisor show the invariant counter; without it trust end-to-end figures only",
    }
}

fn latency_device(host: &Host) -> Finding {
    let answer = &host.probes.latency_device;
    Finding {
        name: "/dev/cpu_dma_latency",
        found: answer.as_ref().map_or_else(|why| format!("refused: {why}"), |()| "can be held".into()),
        wanted: "can be held",
        verdict: judge(answer.is_ok(), Verdict::Note),
        why: "held at 0 it keeps idle cores awake: a blocking wake-up fell from 27-37 to 8-9 us, the best single knob",
        remedy: "run as root, or give the user write access by a udev rule",
    }
}

fn memlock(host: &Host) -> Finding {
    let limit = host.probes.memlock_bytes;
    let text = limit.map_or_else(|| "no limit".into(), |bytes| format!("limit {}", size(bytes)));
    let is_wanted = limit.is_none_or(|bytes| bytes >= MEMLOCK_WANTED_BYTES);
    let found = if is_wanted || !host.probes.locks { text } else { format!("{text}, but this user may exceed it") };
    Finding {
        name: "locked memory",
        found,
        wanted: "1 GiB or no limit",
        verdict: judge(is_wanted || host.probes.locks, Verdict::Note),
        why: "a log that is not locked may be swapped out, and a store then waits for a disk",
        remedy: "ulimit -l unlimited; LimitMEMLOCK=infinity in a unit file",
    }
}

fn shared_memory(host: &Host) -> Finding {
    let room = host.probes.shm.filter(|room| room.in_memory);
    Finding {
        name: "/dev/shm",
        found: room.map_or_else(
            || "no file system in memory".into(),
            |room| format!("{} free of {}", size(room.free_bytes), size(room.total_bytes)),
        ),
        wanted: "1 GiB free",
        verdict: judge(room.is_some_and(|room| room.free_bytes >= SHM_WANTED_BYTES), Verdict::Poor),
        why: "log and shared rings live there; into a disk's file, while it is synced, one store in 10,000 takes 160 us",
        remedy: "mount -o remount,size=2G /dev/shm; in a container --shm-size=2g",
    }
}

fn huge_pages(host: &Host) -> Finding {
    let pools = pages::huge_pages(&host.root.join("sys/kernel/mm/hugepages"));
    let reserved: Vec<_> = pools.iter().filter(|pool| pool.total > 0).collect();
    let text = |pool: &&pages::HugePages| format!("{} of {} x {} free", pool.free, pool.total, size(pool.page_bytes));
    Finding {
        name: "huge pages",
        found: if reserved.is_empty() {
            "none reserved".into()
        } else {
            reserved.iter().map(text).collect::<Vec<_>>().join(", ")
        },
        wanted: "reserved for the log",
        verdict: judge(reserved.iter().any(|pool| pool.free > 0), Verdict::Note),
        why: "p99.9 of an append was 0.36-0.42 us on small pages, 0.05-0.14 on huge ones",
        remedy: "sysctl vm.nr_hugepages=512, mount hugetlbfs, and put the log there",
    }
}

fn transparent_huge_pages(host: &Host) -> Finding {
    let modes = host.text("sys/kernel/mm/transparent_hugepage/enabled");
    let mode = modes.as_deref().and_then(|text| text.split(['[', ']']).nth(1)).unwrap_or("absent").to_string();
    Finding {
        name: "transparent huge pages",
        verdict: judge(mode != "always", Verdict::Note),
        found: mode,
        wanted: "madvise or never",
        why: "compaction on behalf of other memory stops a thread for milliseconds",
        remedy: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
    }
}

fn swap(host: &Host) -> Finding {
    let areas = host.text("proc/swaps").map_or(0, |text| text.lines().count().saturating_sub(1));
    Finding {
        name: "swap",
        found: if areas == 0 { "none".into() } else { format!("{areas} areas") },
        wanted: "none",
        verdict: judge(areas == 0, Verdict::Note),
        why: "memory that nobody locked, a log on tmpfs included, can be moved to a disk",
        remedy: "swapoff -a, or lock the log (lock = true)",
    }
}

/// A kernel setting that is a number in a file.
struct Setting {
    name: &'static str,
    path: &'static str,
    is_wanted: fn(u64) -> bool,
    wanted: &'static str,
    why: &'static str,
    remedy: &'static str,
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "kernel.numa_balancing",
        path: "proc/sys/kernel/numa_balancing",
        is_wanted: |value| value == 0,
        wanted: "0",
        why: "it unmaps pages to see who uses them: faults on hot threads",
        remedy: "sysctl kernel.numa_balancing=0",
    },
    Setting {
        name: "kernel.nmi_watchdog",
        path: "proc/sys/kernel/nmi_watchdog",
        is_wanted: |value| value == 0,
        wanted: "0",
        why: "interrupts every core, isolated ones too",
        remedy: "sysctl kernel.nmi_watchdog=0",
    },
    Setting {
        name: "vm.stat_interval",
        path: "proc/sys/vm/stat_interval",
        is_wanted: |value| value >= 10,
        wanted: "10 or more",
        why: "the kernel's statistics wake every core so often, in seconds",
        remedy: "sysctl vm.stat_interval=120",
    },
];

impl Setting {
    /// Nothing where the kernel does not have it.
    fn examine(&self, host: &Host) -> Option<Finding> {
        let found = host.text(self.path)?;
        let verdict = judge(found.parse().is_ok_and(self.is_wanted), Verdict::Note);
        Some(Finding { name: self.name, found, wanted: self.wanted, verdict, why: self.why, remedy: self.remedy })
    }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(|| format!("{bytes} B"), |(name, unit)| format!("{} {name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)], probes: Probes) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let host = Host { root: root.path().to_path_buf(), probes };
        (root, host)
    }

    fn good_probes() -> Probes {
        let shm = Some(Room { total_bytes: 4 << 30, free_bytes: 2 << 30, in_memory: true, kind: "tmpfs" });
        let allowed = vec![0, 1, 2, 3, 4];
        Probes { ring: Ok(()), allowed, memlock_bytes: None, locks: true, shm, latency_device: Ok(()) }
    }

    const GOOD: &[(&str, &str)] = &[
        ("proc/sys/kernel/osrelease", "6.12.3-rt\n"),
        ("proc/cpuinfo", "processor : 0\nflags : fpu constant_tsc nonstop_tsc sse4_2\n"),
        ("proc/swaps", "Filename Type Size Used Priority\n"),
        ("proc/sys/kernel/numa_balancing", "0\n"),
        ("sys/devices/system/cpu/online", "0-7\n"),
        ("sys/devices/system/cpu/isolated", "1-4\n"),
        ("sys/devices/system/cpu/nohz_full", "2-3\n"),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
        ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n"),
        ("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
    ];

    fn verdict_of(findings: &[Finding], name: &str) -> Verdict {
        findings.iter().find(|finding| finding.name == name).unwrap().verdict
    }

    #[test]
    fn a_tuned_host_has_nothing_to_complain_of() {
        let (_root, host) = host(GOOD, good_probes());
        let findings = examine(&host);
        let complaints: Vec<_> = findings.iter().filter(|finding| finding.verdict != Verdict::Ok).collect();
        assert!(complaints.is_empty(), "{complaints:?}");
        assert_eq!(findings.len(), 17, "a setting that the kernel lacks is left out");
    }

    #[test]
    fn a_poor_host_hears_what_is_wrong() {
        let mut files = GOOD.to_vec();
        files.extend([
            ("proc/sys/kernel/osrelease", "5.10.0\n"),
            ("proc/cpuinfo", "flags : fpu hypervisor\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,1\n"),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
            ("proc/swaps", "Filename Type\n/dev/sda2 partition\n"),
            ("proc/sys/kernel/numa_balancing", "1\n"),
            ("proc/sys/kernel/io_uring_disabled", "2\n"),
        ]);
        let mut probes = good_probes();
        (probes.ring, probes.latency_device) = (Err("not permitted".into()), Err("not permitted".into()));
        (probes.memlock_bytes, probes.locks, probes.shm) = (Some(8 << 20), false, None);
        let (_root, host) = host(&files, probes);
        let findings = examine(&host);
        for name in ["kernel", "frequency governor", "clock source", "/dev/shm"] {
            assert_eq!(verdict_of(&findings, name), Verdict::Poor, "{name}");
        }
        let notes = ["io_uring", "machine", "hardware threads", "time-stamp counter", "locked memory", "swap"];
        for name in notes.into_iter().chain(["transparent huge pages", "kernel.numa_balancing", "/dev/cpu_dma_latency"])
        {
            assert_eq!(verdict_of(&findings, name), Verdict::Note, "{name}");
        }
        let io_uring = findings.iter().find(|finding| finding.name == "io_uring").unwrap();
        assert_eq!(io_uring.found, "refused: not permitted (kernel.io_uring_disabled = 2)");
    }

    #[test]
    fn a_host_that_tells_nothing_is_still_examined() {
        let probes = Probes { allowed: Vec::new(), memlock_bytes: Some(0), shm: None, ..good_probes() };
        let (_root, host) = host(&[], probes);
        assert!(examine(&host).len() >= 16);
    }

    #[test]
    fn text_is_aligned_and_json_reads_back() {
        let (_root, host) = host(GOOD, Probes { latency_device: Err("no".into()), ..good_probes() });
        let findings = examine(&host);
        let mut text = Vec::new();
        print(&findings, false, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("\nok    swap                    none\n"), "{text}");
        assert!(text.contains("\nnote  /dev/cpu_dma_latency    refused: no; wanted: can be held\n"), "{text}");
        assert!(text.ends_with("16 ok, 1 to note, 0 poor\n"), "{text}");
        let mut json = Vec::new();
        print(&findings, true, &mut json).unwrap();
        let values: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(values[0]["verdict"], "ok");
        assert_eq!(values.as_array().unwrap().len(), findings.len());
    }

    #[test]
    fn this_host_can_be_examined() {
        assert!(!report().is_empty());
    }
}
