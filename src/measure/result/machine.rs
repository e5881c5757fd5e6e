//! Where and when it was measured: without it no figure means anything, and no two runs can be compared.
//!
//! Cold; reads files below a root that tests replace. What a machine does not tell is empty.

use crate::os::affinity::{self, Topology};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// Runnable tasks beside ours above which the figures are somebody else's.
const LOAD_MAX: f64 = 1.5;

/// A host.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Processor, as it calls itself.
    pub processor: String,
    /// Cores online.
    pub cores: usize,
    /// Whether cores have siblings that share their units, as far as the host says.
    pub smt: bool,
    /// Cores left alone by the scheduler.
    pub isolated: Vec<usize>,
    /// Kernel.
    pub kernel: String,
    /// Clock source of the kernel.
    pub clock: String,
    /// Frequency governor of the first core, or why there is none.
    pub governor: String,
    /// Whether it is a virtual machine, by the processor's own word.
    pub is_virtual: bool,
    /// Memory in MiB.
    pub memory_mebibytes: u64,
    /// Runnable tasks over the last minute, before the run and after it.
    pub load: [f64; 2],
    /// Parts in 1,000 of the processor time during the run that the host gave to others.
    pub stolen_per_mille: u64,
}

/// Processor time so far, in ticks: stolen, and all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ticks {
    stolen: u64,
    all: u64,
}

fn first_line(root: &Path, path: &str) -> String {
    let text = fs::read_to_string(root.join(path)).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn load(root: &Path) -> f64 {
    first_line(root, "proc/loadavg").split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

impl Ticks {
    /// Up to now.
    pub fn read(root: &Path) -> Ticks {
        let line = first_line(root, "proc/stat");
        let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        // The last two, guest time, are in the first two already (proc_stat(5)).
        Ticks { stolen: ticks.get(7).copied().unwrap_or_default(), all: ticks.iter().take(8).sum() }
    }
}

impl Machine {
    /// The host below `root` (`/`), before a run.
    pub fn read(root: &Path) -> Machine {
        let info = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
        let memory = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
        let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kibibytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default();
        let below = affinity::SYSFS_CPU.trim_start_matches('/');
        let topology = Topology::read(&root.join(below)).unwrap_or_default();
        let governor = first_line(root, &format!("{below}/cpu0/cpufreq/scaling_governor"));
        Machine {
            processor: field("model name").map_or_else(String::new, |(_, value)| value.trim().to_owned()),
            cores: topology.cores.len(),
            smt: topology.has_smt(),
            isolated: topology.isolated,
            kernel: first_line(root, "proc/sys/kernel/osrelease"),
            clock: first_line(root, "sys/devices/system/clocksource/clocksource0/current_clocksource"),
            governor: if governor.is_empty() { "not shown by this machine".to_owned() } else { governor },
            is_virtual: field("flags").is_some_and(|(_, flags)| flags.split(' ').any(|flag| flag == "hypervisor")),
            memory_mebibytes: kibibytes / 1_024,
            load: [load(root), 0.0],
            stolen_per_mille: 0,
        }
    }

    /// After the run that began at `before`.
    pub fn conclude(&mut self, root: &Path, before: Ticks) {
        let now = Ticks::read(root);
        self.load[1] = load(root);
        self.stolen_per_mille = 1_000 * (now.stolen - before.stolen) / (now.all - before.all).max(1);
    }

    /// What about it spoils a measurement, one sentence each.
    pub fn marks(&self) -> Vec<String> {
        let mut marks = Vec::new();
        if self.cores < 2 {
            marks.push("one core: client and exchange take each other's time, and no figure means anything".to_owned());
        }
        if self.load[0] > LOAD_MAX {
            marks.push(format!("others ran: the load was {:.1} before the start", self.load[0]));
        }
        if self.stolen_per_mille > 20 {
            let percent = self.stolen_per_mille as f64 / 10.0;
            marks.push(format!("the host kept {percent:.1} % of the processor time to itself"));
        }
        marks
    }

    /// Whether figures of the two may be compared: the same kind of machine, whatever its load.
    pub fn is_like(&self, other: &Machine) -> bool {
        let kind = |m: &Machine| (m.processor.clone(), m.cores, m.kernel.clone(), m.clock.clone());
        kind(self) == kind(other)
    }

    /// Lines for people: what, and its value.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let virtual_note = if self.is_virtual { ", virtual machine" } else { "" };
        let isolated = if self.isolated.is_empty() { "none".to_owned() } else { format!("{:?}", self.isolated) };
        vec![
            ("processor", format!("{}{virtual_note}", self.processor)),
            ("cores", format!("{}{}", self.cores, if self.smt { ", with siblings" } else { "" })),
            ("isolated cores", isolated),
            ("kernel", self.kernel.clone()),
            ("clock source", self.clock.clone()),
            ("frequency governor", self.governor.clone()),
            ("memory", format!("{} MiB", self.memory_mebibytes)),
            ("load before and after", format!("{:.2}, {:.2}", self.load[0], self.load[1])),
            ("time kept by the host", format!("{:.1} %", self.stolen_per_mille as f64 / 10.0)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_machine_is_read_from_its_files_and_an_empty_one_is_no_fault() {
        let root = tree(&[
            ("proc/cpuinfo", "processor : 0\nmodel name\t: A Chip 9\nflags\t\t: fpu hypervisor sse\n"),
            ("proc/meminfo", "MemTotal:       2048000 kB\n"),
            ("proc/loadavg", "2.50 1.0 1.0 1/10 1\n"),
            ("proc/stat", "cpu 10 0 10 60 0 0 0 20 0 0\n"),
            ("proc/sys/kernel/osrelease", "6.18.1\n"),
            ("sys/devices/system/cpu/online", "0-1\n"),
        ]);
        let before = Ticks::read(root.path());
        let mut machine = Machine::read(root.path());
        assert_eq!((machine.processor.as_str(), machine.cores, machine.is_virtual), ("A Chip 9", 2, true));
        assert_eq!((machine.kernel.as_str(), machine.memory_mebibytes), ("6.18.1", 2_000));
        fs::write(root.path().join("proc/stat"), "cpu 20 0 20 130 0 0 0 30 0 0\n").unwrap();
        machine.conclude(root.path(), before);
        assert_eq!(machine.stolen_per_mille, 100);
        assert_eq!(machine.marks().len(), 2, "{:?}", machine.marks());
        let bare = Machine::read(tree(&[]).path());
        assert_eq!((bare.cores, bare.load), (0, [0.0, 0.0]));
        assert!(!bare.is_like(&machine) && machine.is_like(&machine.clone()));
    }
}
