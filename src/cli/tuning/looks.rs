//! What is looked at and never changed: facts of the machine, and programs that run on it. Cold.
//!
//! Each look gives what was found in words, and whether that will do. On a copy of a machine's files some questions
//! cannot be asked; they say so.

use super::cores::list;
use super::machine::{Asked, Machine};
use super::tree::Tree;
use serde::Serialize;

/// Cores for every stage to have its own, and one for all else.
const CORES_DEDICATED: usize = 6;
/// Cores without which clients and exchange take each other's time.
const CORES_LEAST: usize = 2;
/// Room for a day's log of some million records, and shared rings.
const SHM_WANTED_BYTES: u64 = 1 << 30;
/// Furthest a venue's clock may be off (MiFID II, RTS 25), in microseconds.
const CLOCK_ERROR_US_MAX: u64 = 100;

/// How a setting stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As wanted.
    Ok,
    /// `make tune` changes it.
    Change,
    /// `make tune` changes it when told to by name.
    Request,
    /// The kernel's command line changes it.
    Reboot,
    /// Only people can change it.
    Yours,
    /// This machine does not have it.
    Absent,
    /// The profile leaves it as it is.
    Unwanted,
}

/// Looks at the setting of this name.
///
/// # Panics
/// On a name that the table has and this file has not: a test looks at all of them.
pub fn look(name: &str, wanted: &str, machine: &Machine, tree: &dyn Tree) -> (String, Verdict) {
    match name {
        "cores" => number_of_cores(wanted, machine),
        "irqbalance" => irqbalance(tree),
        "siblings" => siblings(wanted, machine),
        "swap" => swap(wanted, tree),
        "numa" => numa(machine, tree),
        "nic-queues" => queues(machine, tree),
        "counter" => counter(tree),
        "kernel" => kernel(tree),
        "metal" => metal(tree),
        "mitigations" => mitigations(tree),
        "dma-latency" => asked(machine, |asked| {
            let held = &asked.latency_device;
            (held.as_ref().map_or_else(|why| format!("refused: {why}"), |()| "may be held".into()), held.is_ok())
        }),
        "shm" => asked(machine, |asked| match asked.shm.filter(|room| room.in_memory) {
            None => ("no file system in memory".into(), false),
            Some(room) => {
                let text = format!("{} free of {}", size(room.free_bytes), size(room.total_bytes));
                (text, room.free_bytes >= SHM_WANTED_BYTES)
            }
        }),
        "time-sync" => {
            let steered = steering(tree);
            asked(machine, |asked| match &asked.agreement {
                Err(why) => (format!("the kernel does not say: {why}"), false),
                Ok(now) if !now.is_in_step => (format!("nobody keeps it in step ({steered})"), false),
                Ok(now) => {
                    (format!("in step to {} us ({steered})", now.error_us_max), now.error_us_max <= CLOCK_ERROR_US_MAX)
                }
            })
        }
        "io-uring" => {
            let disabled = tree.read("proc/sys/kernel/io_uring_disabled").ok().filter(|value| value != "0");
            asked(machine, |asked| match (&asked.ring, disabled) {
                (Ok(()), _) => ("available".into(), true),
                (Err(why), Some(value)) => (format!("refused: {why} (kernel.io_uring_disabled = {value})"), false),
                (Err(why), None) => (format!("refused: {why}"), false),
            })
        }
        unknown => unreachable!("no look is called {unknown}"),
    }
}

fn judged(found: impl Into<String>, will_do: bool) -> (String, Verdict) {
    (found.into(), if will_do { Verdict::Ok } else { Verdict::Yours })
}

fn asked(machine: &Machine, answer: impl FnOnce(&Asked) -> (String, bool)) -> (String, Verdict) {
    match &machine.asked {
        None => ("not asked: this is a copy".into(), Verdict::Absent),
        Some(asked) => {
            let (found, will_do) = answer(asked);
            judged(found, will_do)
        }
    }
}

fn number_of_cores(wanted: &str, machine: &Machine) -> (String, Verdict) {
    let (allowed, online) = (machine.allowed.len(), machine.topology.cores.len());
    let least = if wanted.starts_with('2') { CORES_LEAST } else { CORES_DEDICATED };
    let found = if allowed == online { allowed.to_string() } else { format!("{allowed} of {online} online") };
    judged(found, allowed.max(machine.choice.hot.len() + machine.choice.system.len()) >= least)
}

fn irqbalance(tree: &dyn Tree) -> (String, Verdict) {
    let runs = running(tree, &["irqbalance"]);
    judged(if runs.is_empty() { "not running" } else { "running" }, runs.is_empty())
}

/// Which of these programs run.
fn running<'n>(tree: &dyn Tree, names: &[&'n str]) -> Vec<&'n str> {
    let processes = tree.names("proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let called: Vec<String> = processes.filter_map(|id| tree.read(&format!("proc/{id}/comm")).ok()).collect();
    // The kernel keeps fifteen letters of a name.
    names.iter().filter(|name| called.iter().any(|found| *found == name[..name.len().min(15)])).copied().collect()
}

fn siblings(wanted: &str, machine: &Machine) -> (String, Verdict) {
    if !machine.topology.has_smt() {
        return ("none: one hardware thread a core".into(), Verdict::Ok);
    }
    let (hot, idle) = (&machine.choice.hot, &machine.choice.idle);
    let shared = hot.iter().any(|core| machine.choice.system.iter().any(|c| machine.topology.are_siblings(*core, *c)));
    let found = if shared {
        format!("hot core {} shares its units with the system's", list(hot))
    } else {
        format!("hot {}, their siblings {} kept idle by the placement", list(hot), list(idle))
    };
    judged(found, !shared || wanted == "any")
}

fn swap(wanted: &str, tree: &dyn Tree) -> (String, Verdict) {
    let areas = tree.read("proc/swaps").map_or(0, |text| text.lines().count().saturating_sub(1));
    judged(if areas == 0 { "none".into() } else { format!("{areas}") }, areas == 0 || wanted == "any")
}

fn numa(machine: &Machine, tree: &dyn Tree) -> (String, Verdict) {
    let nodes = |cores: &[usize]| {
        let mut nodes: Vec<usize> = cores.iter().filter_map(|id| Some(machine.topology.core(*id)?.node)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    };
    let all: Vec<usize> = machine.topology.cores.iter().map(|core| core.id).collect();
    if nodes(&all).len() < 2 {
        return ("one node in all".into(), Verdict::Ok);
    }
    let hot = nodes(&machine.choice.hot);
    let card = |card: &String| {
        let node: usize = tree.read(&format!("sys/class/net/{card}/device/numa_node")).ok()?.parse().ok()?;
        (!hot.contains(&node)).then(|| format!("; card {card} is on node {node}"))
    };
    let far: String = machine.cards.iter().filter_map(card).collect();
    judged(format!("hot cores on node {}{far}", list(&hot)), hot.len() == 1 && far.is_empty())
}

fn queues(machine: &Machine, tree: &dyn Tree) -> (String, Verdict) {
    if machine.cards.is_empty() {
        return ("no network card here".into(), Verdict::Absent);
    }
    let receiving = |card: &String| {
        let names = tree.names(&format!("sys/class/net/{card}/queues"));
        (card.clone(), names.iter().filter(|name| name.starts_with("rx-")).count())
    };
    let cards: Vec<(String, usize)> = machine.cards.iter().map(receiving).collect();
    let will_do = cards.iter().all(|(_, count)| *count <= machine.choice.system.len());
    judged(cards.iter().map(|(card, count)| format!("{card}: {count}")).collect::<Vec<_>>().join(", "), will_do)
}

fn has_flag(tree: &dyn Tree, flag: &str) -> bool {
    let info = tree.read("proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    flags.is_some_and(|line| line.split_whitespace().any(|word| word == flag))
}

fn counter(tree: &dyn Tree) -> (String, Verdict) {
    let missing: Vec<_> = ["constant_tsc", "nonstop_tsc"].into_iter().filter(|flag| !has_flag(tree, flag)).collect();
    let found = if missing.is_empty() { "constant, nonstop".into() } else { format!("without {}", missing.join(", ")) };
    judged(found, missing.is_empty())
}

/// Who steers the clock, as far as it can be seen.
fn steering(tree: &dyn Tree) -> String {
    let known = ["chronyd", "ptp4l", "phc2sys", "ntpd", "ntpd-rs", "systemd-timesyncd"];
    let found = running(tree, &known);
    if found.is_empty() { "no chrony, ptp4l or ntpd seen".into() } else { found.join(", ") }
}

fn kernel(tree: &dyn Tree) -> (String, Verdict) {
    let release = tree.read("proc/sys/kernel/osrelease").unwrap_or_else(|_| "unknown".into());
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    judged(release.clone(), version >= (6, 1))
}

fn metal(tree: &dyn Tree) -> (String, Verdict) {
    let is_guest = has_flag(tree, "hypervisor");
    judged(if is_guest { "virtual machine" } else { "metal" }, !is_guest)
}

fn mitigations(tree: &dyn Tree) -> (String, Verdict) {
    let directory = "sys/devices/system/cpu/vulnerabilities";
    let all: Vec<String> =
        tree.names(directory).iter().filter_map(|name| tree.read(&format!("{directory}/{name}")).ok()).collect();
    if all.is_empty() {
        return ("the kernel does not say".into(), Verdict::Absent);
    }
    let count = |start: &str| all.iter().filter(|text| text.starts_with(start)).count();
    let (fended, open) = (count("Mitigation"), count("Vulnerable"));
    // A decision is never wrong; the count is for whoever takes it.
    (format!("{fended} in force, {open} flaws open, {} not concerned", count("Not affected")), Verdict::Ok)
}

/// Bytes as people read them.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(|| format!("{bytes} B"), |(name, unit)| format!("{} {name}", bytes / unit))
}
