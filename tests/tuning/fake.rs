//! Copies of machines: files in a temporary directory, and a layer above them that answers as kernels do.

use pitlane::cli::tuning::tree::{FileTree, Tree};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A server of eight cores and two sockets, as it comes: path and content.
pub const UNTUNED: &[(&str, &str)] = &[
    ("proc/sys/kernel/random/boot_id", "first-boot\n"),
    ("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet\n"),
    ("proc/cpuinfo", "processor : 0\nflags : fpu constant_tsc nonstop_tsc\n"),
    ("proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n"),
    ("proc/1/comm", "systemd\n"),
    ("proc/77/comm", "irqbalance\n"),
    ("proc/sys/kernel/osrelease", "6.12.3\n"),
    ("proc/sys/kernel/numa_balancing", "1\n"),
    ("proc/sys/kernel/nmi_watchdog", "1\n"),
    ("proc/sys/kernel/watchdog_cpumask", "0-7\n"),
    ("proc/sys/kernel/timer_migration", "1\n"),
    ("proc/sys/kernel/sched_autogroup_enabled", "1\n"),
    ("proc/sys/kernel/sched_rt_runtime_us", "950000\n"),
    ("proc/sys/vm/stat_interval", "1\n"),
    ("proc/sys/vm/swappiness", "60\n"),
    ("proc/sys/vm/nr_hugepages", "0\n"),
    ("proc/sys/vm/compaction_proactiveness", "20\n"),
    ("proc/irq/24/smp_affinity_list", "0-7\n"),
    ("proc/irq/25/smp_affinity_list", "5\n"),
    ("proc/irq/26/smp_affinity_list", "0-1\n"),
    ("proc/irq/default_smp_affinity", "ff\n"),
    ("sys/devices/virtual/workqueue/cpumask", "ff\n"),
    ("sys/devices/virtual/workqueue/writeback/cpumask", "ff\n"),
    ("sys/devices/system/cpu/online", "0-7\n"),
    ("sys/devices/system/cpu/isolated", "\n"),
    ("sys/devices/system/cpu/nohz_full", "(null)\n"),
    ("sys/devices/system/cpu/smt/control", "notsupported\n"),
    ("sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n"),
    ("sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines\n"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
    ("sys/kernel/mm/ksm/run", "1\n"),
    ("sys/class/net/lo/queues/rx-0/rps_cpus", "ff\n"),
    ("sys/class/net/eth0/device/numa_node", "1\n"),
    ("sys/class/net/eth0/queues/rx-0/rps_cpus", "00\n"),
    ("sys/class/net/eth0/queues/rx-1/rps_cpus", "f0\n"),
    ("ethtool/eth0/rx-usecs", "50\n"),
    ("ethtool/eth0/adaptive-rx", "1\n"),
    ("mount/dev/shm/huge", "never\n"),
    ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu memory\n"),
    ("sys/fs/cgroup/cgroup.subtree_control", "cpu memory\n"),
];

/// Hot cores that are chosen there: the socket of the card.
pub const HOT: &str = "4-7";
/// And all others.
pub const SYSTEM: &str = "0-3";

/// Files below a directory of their own.
pub fn machine(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        put(root.path(), path, content);
    }
    root
}

/// The untuned server.
pub fn untuned() -> TempDir {
    let root = machine(UNTUNED);
    for core in 0..8 {
        let directory = format!("sys/devices/system/cpu/cpu{core}");
        put(root.path(), &format!("{directory}/node{}/present", core / 4), "\n");
        put(root.path(), &format!("{directory}/cpufreq/scaling_governor"), "powersave\n");
        put(root.path(), &format!("{directory}/power/pm_qos_resume_latency_us"), "0\n");
    }
    root
}

pub fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Every file and what it holds; what is saved of the tuning is not the machine's.
pub fn contents(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            match path.is_dir() {
                true if name.starts_with("var/") => {}
                true => directories.push(path),
                false => drop(found.insert(name, fs::read_to_string(&path).unwrap())),
            }
        }
    }
    found
}

/// Runs `pitlane` on a copy.
pub fn pitlane(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pitlane"));
    command.args(arguments).arg("--root").arg(root).output().unwrap()
}

/// What it printed.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The same in one line, however it was broken.
pub fn words(output: &Output) -> String {
    said(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A rule for writes to paths that contain this text.
pub enum Rule {
    /// Refused with this error of the system's.
    Refuse(i32),
    /// Taken, and told in other words.
    Reword(fn(&str) -> String),
    /// Taken without an error, and without effect.
    Ignore,
}

/// A machine that has a mind of its own.
pub struct Stubborn<'r> {
    files: FileTree,
    rules: Vec<(&'r str, Rule)>,
    /// Writes until it stops dead.
    pub writes_left: Cell<Option<u32>>,
}

impl<'r> Stubborn<'r> {
    pub fn new(root: &Path, rules: Vec<(&'r str, Rule)>) -> Stubborn<'r> {
        Stubborn { files: FileTree::new(root), rules, writes_left: Cell::new(None) }
    }

    /// As a crash: nothing after it runs.
    fn count(&self) {
        if let Some(left) = self.writes_left.get() {
            assert!(left > 0, "the machine stops here");
            self.writes_left.set(Some(left - 1));
        }
    }
}

impl Tree for Stubborn<'_> {
    fn read(&self, path: &str) -> io::Result<String> {
        self.files.read(path)
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        self.count();
        match self.rules.iter().find(|(part, _)| path.contains(part)).map(|(_, rule)| rule) {
            Some(Rule::Refuse(error)) => Err(io::Error::from_raw_os_error(*error)),
            Some(Rule::Reword(words)) => self.files.write(path, &words(text)),
            Some(Rule::Ignore) => Ok(()),
            None => self.files.write(path, text),
        }
    }

    fn create(&self, path: &str, text: &str) -> io::Result<()> {
        self.count();
        match self.rules.iter().find(|(part, _)| path.contains(part)).map(|(_, rule)| rule) {
            Some(Rule::Refuse(error)) => Err(io::Error::from_raw_os_error(*error)),
            Some(Rule::Reword(words)) => self.files.create(path, &words(text)),
            Some(Rule::Ignore) => Ok(()),
            None => self.files.create(path, text),
        }
    }

    fn make_directory(&self, path: &str) -> io::Result<()> {
        self.count();
        self.files.make_directory(path)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.count();
        self.files.remove(path)
    }

    fn exists(&self, path: &str) -> bool {
        self.files.exists(path)
    }

    fn names(&self, directory: &str) -> Vec<String> {
        self.files.names(directory)
    }
}
