//! Cores: which there are, which this process may use, and pinning a thread to one.
//!
//! The topology is read from sysfs, under a root that tests replace. Pinning goes through `core_affinity` and is
//! then read back, because a cpuset may narrow what was asked without an error. An isolated core (`isolcpus`, or an
//! isolated cpuset partition) is not among the cores a process starts with, yet pinning to it works: so a core is
//! addressed by its number and never looked up among the allowed ones. All cold, at start.

#![allow(unsafe_code)]

use core_affinity::CoreId;
use std::fs;
use std::io;
use std::path::Path;

/// Where Linux shows its cores.
pub const SYSFS_CPU: &str = "/sys/devices/system/cpu";

/// Numbers above this do not fit the system's fixed affinity mask.
const CORES_MAX: usize = libc::CPU_SETSIZE as usize;

/// One online core (a hardware thread, in the words of the vendors).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Core {
    /// Its number.
    pub id: usize,
    /// Socket.
    pub package: usize,
    /// Memory node.
    pub node: usize,
    /// The cores that share its execution units, itself among them.
    pub siblings: Vec<usize>,
}

/// The host's cores.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    /// Those online, in order of number.
    pub cores: Vec<Core>,
    /// Those the scheduler leaves alone.
    pub isolated: Vec<usize>,
    /// Those whose timer tick stops while one thread runs.
    pub nohz_full: Vec<usize>,
}

impl Topology {
    /// The topology as sysfs below `root` ([`SYSFS_CPU`]) tells it. What a kernel or a container leaves out gets the
    /// plain answer: one socket, one node, no siblings, nothing isolated.
    /// # Errors
    /// When the list of online cores itself is missing or unreadable.
    pub fn read(root: &Path) -> io::Result<Topology> {
        let online = parse_list(&fs::read_to_string(root.join("online"))?)?;
        let list = |name: &str| {
            fs::read_to_string(root.join(name)).ok().and_then(|text| parse_list(&text).ok()).unwrap_or_default()
        };
        let cores = online.into_iter().map(|id| read_core(root, id)).collect();
        Ok(Topology { cores, isolated: list("isolated"), nohz_full: list("nohz_full") })
    }

    /// The core of number `id`, when online.
    pub fn core(&self, id: usize) -> Option<&Core> {
        self.cores.iter().find(|core| core.id == id)
    }

    /// Whether two cores share execution units: two spinners there halve each other.
    pub fn are_siblings(&self, one: usize, other: usize) -> bool {
        one != other && self.core(one).is_some_and(|core| core.siblings.contains(&other))
    }

    /// Whether any core has a sibling.
    pub fn has_smt(&self) -> bool {
        self.cores.iter().any(|core| core.siblings.len() > 1)
    }
}

fn read_core(root: &Path, id: usize) -> Core {
    let directory = root.join(format!("cpu{id}"));
    let text = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let package = text("topology/physical_package_id").and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let siblings = text("topology/thread_siblings_list").and_then(|text| parse_list(&text).ok());
    Core { id, package, node: node_of(&directory), siblings: siblings.unwrap_or_else(|| vec![id]) }
}

/// A core's directory links to its node by a name like `node1`.
fn node_of(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("node")?.parse().ok()).min().unwrap_or(0)
}

/// The kernel's list format: `0-3,8,10-11`. An empty text is an empty list.
/// # Errors
/// `InvalidData` for anything else, for a range that falls and for numbers no mask can hold.
pub fn parse_list(text: &str) -> io::Result<Vec<usize>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("not a list of cores: {:?}", text.trim()));
    let mut cores = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
        if first > last || last >= CORES_MAX {
            return Err(wrong());
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    Ok(cores)
}

/// The cores the calling thread may run on now.
/// # Errors
/// What the system says.
pub fn allowed() -> io::Result<Vec<usize>> {
    let cores = core_affinity::get_core_ids().ok_or_else(io::Error::last_os_error)?;
    Ok(cores.into_iter().map(|core| core.id).collect())
}

/// The cores a thread of this process can be put on: those it may run on now, and isolated ones, which it has to ask
/// for by number. Whether an isolated core can be had is tried on a thread made for that.
/// # Errors
/// What the system says.
pub fn reachable() -> io::Result<Vec<usize>> {
    let mut cores = allowed()?;
    let isolated = Topology::read(Path::new(SYSFS_CPU)).map(|topology| topology.isolated).unwrap_or_default();
    let can_be_had = |core: &usize| {
        let core = *core;
        std::thread::spawn(move || pin(core).is_ok()).join().unwrap_or(false)
    };
    let more: Vec<usize> = isolated.into_iter().filter(|core| !cores.contains(core)).filter(can_be_had).collect();
    cores.extend(more);
    cores.sort_unstable();
    Ok(cores)
}

/// Keeps the calling thread, and those it starts, off these cores; gives the cores it is left with. Where it would be
/// left with none it stays as it is.
/// # Errors
/// What the system says.
pub fn keep_off(cores: &[usize]) -> io::Result<Vec<usize>> {
    let before = allowed()?;
    let others: Vec<usize> = before.iter().copied().filter(|core| !cores.contains(core)).collect();
    if others.is_empty() || others.len() == before.len() {
        return Ok(before);
    }
    // SAFETY: all zero is a valid value of this plain C structure: no core.
    let mut mask: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for core in &others {
        // SAFETY: `allowed` gives numbers below `CPU_SETSIZE` only, so that the bit lies inside the mask.
        unsafe { libc::CPU_SET(*core, &mut mask) };
    }
    // SAFETY: reads `mask`, which lives through the call, by its own size. Test: `a_thread_and_its_children_keep_off`.
    if unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const mask) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(others)
}

/// Where Linux counts interrupts.
pub const INTERRUPTS: &str = "/proc/interrupts";

/// What makes a difference in interrupts served a clear one: so many times as many, and so many more. Where threads go must
/// not change from one start to the next by chance.
const CLEAR_RATIO: u64 = 4;
const CLEAR_COUNT: u64 = 10_000;

/// `cores` in another order: those first that serve devices, as far as the host's interrupts so far (the text of
/// [`INTERRUPTS`]) tell them clearly from others. A thread that must not be held up goes on the last. On a host with few
/// cores the disk's one queue may be served by any of them for good: its interrupt cannot be moved, only avoided.
pub fn busiest_first(mut cores: Vec<usize>, interrupts: &str) -> Vec<usize> {
    let mut lines = interrupts.lines();
    let heading: Vec<usize> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|name| name.strip_prefix("CPU")?.parse().ok())
        .collect();
    let mut served = vec![0u64; heading.iter().max().map_or(0, |core| core + 1)];
    for line in lines {
        // Those of devices have a number; the kernel's own (timers, calls between cores) have letters.
        let Some((name, counts)) = line.split_once(':') else { continue };
        if name.trim().parse::<u32>().is_ok() {
            for (core, count) in heading.iter().zip(counts.split_whitespace()) {
                served[*core] += count.parse::<u64>().unwrap_or(0);
            }
        }
    }
    let served = |core: &usize| served.get(*core).copied().unwrap_or(0);
    let least = cores.iter().map(served).min().unwrap_or(0);
    cores.sort_by_key(|core| served(core) <= CLEAR_RATIO * least + CLEAR_COUNT);
    cores
}

/// The cores allowed, those that serve devices first: what measures or plays takes the first, the exchange the last. A
/// thread that is pinned sees its own core alone.
/// # Errors
/// What the system says about the cores; without its interrupts they stand in their order.
pub fn devices_first() -> io::Result<Vec<usize>> {
    let interrupts = std::fs::read_to_string(INTERRUPTS).unwrap_or_default();
    allowed().map(|cores| busiest_first(cores, &interrupts))
}

/// The core the calling thread runs on at this moment.
pub fn current() -> Option<usize> {
    // SAFETY: a plain call without arguments.
    let core = unsafe { libc::sched_getcpu() };
    usize::try_from(core).ok()
}

/// Pins the calling thread to one core and makes sure that it is there.
/// # Errors
/// `InvalidInput` for a number that is no core, what the system says (`EINVAL` also means: not in this cgroup's
/// cpuset), or that the thread was put elsewhere.
pub fn pin(core: usize) -> io::Result<()> {
    if core >= CORES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no core {core}")));
    }
    if !core_affinity::set_for_current(CoreId { id: core }) {
        let error = io::Error::last_os_error();
        return Err(io::Error::new(error.kind(), format!("pinning to core {core} refused: {error}")));
    }
    let (mask, now) = (allowed()?, current());
    if mask != [core] || now != Some(core) {
        return Err(io::Error::other(format!("asked for core {core}, stands on {now:?} with cores {mask:?} allowed")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sysfs tree: the file's path under the root, and its content.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    #[test]
    fn a_host_with_siblings_and_isolated_cores_is_read() {
        let root = tree(&[
            ("online", "0-1,4\n"),
            ("isolated", "4\n"),
            ("nohz_full", "(null)\n"),
            ("cpu0/topology/thread_siblings_list", "0,4\n"),
            ("cpu4/topology/thread_siblings_list", "0,4\n"),
            ("cpu4/topology/physical_package_id", "1\n"),
            ("cpu4/node1/meminfo", ""),
        ]);
        let topology = Topology::read(root.path()).unwrap();
        let core = |id, package, node, siblings: &[usize]| Core { id, package, node, siblings: siblings.to_vec() };
        assert_eq!(topology.cores, [core(0, 0, 0, &[0, 4]), core(1, 0, 0, &[1]), core(4, 1, 1, &[0, 4])]);
        assert_eq!((topology.isolated.as_slice(), topology.nohz_full.as_slice()), (&[4][..], &[][..]));
        assert!(topology.has_smt() && topology.are_siblings(0, 4) && !topology.are_siblings(0, 1));
    }

    #[test]
    fn a_tree_without_online_cores_is_refused() {
        assert!(Topology::read(tree(&[("isolated", "")]).path()).is_err());
    }

    #[test]
    fn lists_of_cores_are_read_and_nonsense_is_refused() {
        assert_eq!(parse_list("0-3,8\n").unwrap(), [0, 1, 2, 3, 8]);
        assert_eq!(parse_list("").unwrap(), [0usize; 0]);
        for nonsense in ["3-1", "a", "1-", "-", "0-99999999999", "1024"] {
            assert!(parse_list(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn this_host_is_read_and_a_thread_stands_where_it_was_pinned() {
        let topology = Topology::read(Path::new(SYSFS_CPU)).unwrap();
        let allowed = allowed().unwrap();
        assert!(allowed.iter().all(|id| topology.core(*id).is_some()));
        let last = *allowed.last().unwrap();
        let stands = std::thread::spawn(move || pin(last).map(|()| current())).join().unwrap();
        assert_eq!(stands.unwrap(), Some(last));
    }

    #[test]
    fn a_thread_and_its_children_keep_off() {
        let before = allowed().unwrap();
        let last = *before.last().unwrap();
        let left = std::thread::spawn(move || {
            let told = keep_off(&[last]).unwrap();
            (told, std::thread::spawn(|| allowed().unwrap()).join().unwrap())
        });
        let (told, child) = left.join().unwrap();
        let expected: Vec<usize> = if before.len() == 1 { before } else { before[..before.len() - 1].to_vec() };
        assert_eq!((told, child), (expected.clone(), expected));
        assert!(reachable().unwrap().contains(&last));
    }

    #[test]
    fn cores_that_serve_devices_come_first_when_the_difference_is_clear() {
        let text = "           CPU0       CPU1       CPU3\n\
                    LOC:  900000000          1          1   Local timer interrupts\n 36:          0    2466922          3   \
                    PCI-MSIX  virtio1-req.0\n 37:       4000          0       4100   PCI-MSIX  eth0\nERR:          0\n";
        assert_eq!(busiest_first(vec![0, 1, 3], text), [1, 0, 3]);
        assert_eq!(busiest_first(vec![3, 2, 1], text), [1, 3, 2], "one that is not named served none");
        assert_eq!(busiest_first(vec![0, 1], ""), [0, 1]);
        assert_eq!(busiest_first(vec![0, 1], "nonsense\n1: x y\n"), [0, 1]);
    }

    #[test]
    fn a_core_that_is_not_there_is_refused() {
        let refused = |core| std::thread::spawn(move || pin(core)).join().unwrap().is_err();
        assert!(refused(CORES_MAX - 1) && refused(CORES_MAX) && refused(usize::MAX));
    }
}
