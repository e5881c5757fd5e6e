//! What is known about a machine before any setting is looked at: its cores and how they are shared out, its network
//! cards, and the answers that stand in no file. Cold; needs no rights, and says where it lacked them.

use super::cores::{self, Choice};
use super::tree::{FileTree, Tree};
use crate::launch::stages;
use crate::os::affinity::{self, Topology};
use crate::os::mapped::Mapped;
use crate::os::pages::{self, Room};
use crate::os::timesync::{self, Agreement};
use io_uring::{IoUring, cqueue, squeue};
use std::fs::OpenOptions;
use std::path::Path;

/// What is locked to see whether locking works, whatever the limit says.
const LOCK_PROBE_BYTES: usize = 16 << 20;
/// Entries of the ring made to see whether io_uring is there.
const RING_PROBE_ENTRIES: u32 = 8;

/// Answers that only the system itself can give.
#[derive(Clone, Debug)]
pub struct Asked {
    /// A ring with the flags the gateway wants: made, or why not.
    pub ring: Result<(), String>,
    /// The limit on locked memory; `None` is no limit.
    pub memlock_bytes: Option<u64>,
    /// Whether memory can in fact be locked.
    pub locks: bool,
    /// The file system of shared memory.
    pub shm: Option<Room>,
    /// Whether the latency device can be opened.
    pub latency_device: Result<(), String>,
    /// How well the time of day is kept.
    pub agreement: Result<Agreement, String>,
}

impl Asked {
    /// Asks this host.
    pub fn ask() -> Asked {
        let ring = IoUring::<squeue::Entry, cqueue::Entry>::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(RING_PROBE_ENTRIES);
        let device = OpenOptions::new().write(true).open(pages::CPU_DMA_LATENCY);
        Asked {
            ring: ring.map(drop).map_err(|error| error.to_string()),
            memlock_bytes: pages::memlock_limit_bytes().unwrap_or(Some(0)),
            locks: Mapped::anonymous(LOCK_PROBE_BYTES).is_ok_and(|memory| memory.lock().is_ok()),
            shm: pages::room(Path::new("/dev/shm")).ok(),
            latency_device: device.map(drop).map_err(|error| error.to_string()),
            agreement: timesync::agreement().map_err(|error| error.to_string()),
        }
    }
}

/// One machine, or a copy of parts of one.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its cores.
    pub topology: Topology,
    /// Those this process may use.
    pub allowed: Vec<usize>,
    /// Who runs where.
    pub choice: Choice,
    /// Network cards: interfaces with a device behind them.
    pub cards: Vec<String>,
    /// What the system said; `None` for a copy, which cannot be asked.
    pub asked: Option<Asked>,
}

impl Machine {
    /// Reads the machine below `root`, for an exchange of `matchers` matchers. `hot` in place of the cores that would
    /// be chosen.
    ///
    /// # Errors
    /// No list of online cores below the root, or hot cores that leave none or are not there.
    pub fn read(root: &Path, matchers: u16, hot: Option<&[usize]>) -> Result<Machine, String> {
        let tree = FileTree::new(root);
        let sysfs = root.join("sys/devices/system/cpu");
        let topology =
            Topology::read(&sysfs).map_err(|error| format!("reading the cores in {}: {error}", sysfs.display()))?;
        let online: Vec<usize> = topology.cores.iter().map(|core| core.id).collect();
        let allowed = match tree.is_live() {
            true => affinity::allowed().map_err(|error| format!("reading the cores this process may use: {error}"))?,
            false => online.iter().copied().filter(|id| !topology.isolated.contains(id)).collect(),
        };
        // As a plan without a map orders them: an interrupt that cannot be moved can still be avoided.
        let allowed = affinity::busiest_first(allowed, &tree.read("proc/interrupts").unwrap_or_default());
        let cards = cards(&tree);
        let agents = stages::hot_names(matchers);
        let choice = match hot {
            Some(hot) => given(&topology, &online, hot, &agents)?,
            None => cores::choose(&topology, &allowed, node_of(&tree, &cards), &agents),
        };
        let asked = tree.is_live().then(Asked::ask);
        Ok(Machine { topology, allowed, choice, cards, asked })
    }

    /// Whether hot threads have cores of their own at all.
    pub fn is_parted(&self) -> bool {
        self.choice.hot.iter().all(|core| !self.choice.system.contains(core))
    }
}

fn given(topology: &Topology, online: &[usize], hot: &[usize], agents: &[String]) -> Result<Choice, String> {
    if let Some(stranger) = hot.iter().find(|core| !online.contains(core)) {
        return Err(format!("core {stranger} is not online; online are {}", cores::list(online)));
    }
    if hot.is_empty() || online.iter().all(|core| hot.contains(core)) {
        return Err(format!("hot cores {} leave the system none of {}", cores::list(hot), cores::list(online)));
    }
    // As if they were isolated already: those, and no others.
    let meant = Topology { isolated: hot.to_vec(), ..topology.clone() };
    let others: Vec<usize> = online.iter().copied().filter(|core| !hot.contains(core)).collect();
    let chosen = cores::choose(&meant, &others, None, agents);
    let reasons = vec![format!("hot cores as given, or tuned for: {}", cores::list(hot))];
    Ok(Choice { hot: hot.to_vec(), reasons, ..chosen })
}

/// Interfaces with a device behind them: not loopback, bridges and tunnels.
fn cards(tree: &dyn Tree) -> Vec<String> {
    let names = tree.names("sys/class/net").into_iter();
    names.filter(|name| tree.exists(&format!("sys/class/net/{name}/device"))).collect()
}

/// The memory node of the cards, when they agree on one.
fn node_of(tree: &dyn Tree, cards: &[String]) -> Option<usize> {
    let node = |card: &String| tree.read(&format!("sys/class/net/{card}/device/numa_node")).ok()?.parse().ok();
    let mut nodes: Vec<usize> = cards.iter().filter_map(node).collect();
    nodes.dedup();
    if nodes.len() == 1 { nodes.pop() } else { None }
}
