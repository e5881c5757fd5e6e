//! Which agents share a thread, and on which core: from the configuration and the machine to a plan. Cold.
//!
//! A spinner that shares its core with another costs both their time slices, milliseconds each, so a plan never asks
//! for more spinning threads than there are cores allowed. `auto` gives each hot agent a core when that leaves one
//! for the rest of the system, and otherwise lets them take turns on one, which on few cores is also the quickest.
//!
//! The order of turns on a shared thread is the order of an order's way, with one exception: the gateway comes last but
//! for the feed, right behind egress. So an answer leaves in the same round in which its order was matched, and what
//! the feed does about it, a system call included, falls into the time in which the client reads.

use crate::config::{Placement, Threads};
use crate::runtime::idle::IdleStrategy;

/// One thread to be: its core and the names of its agents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedThread {
    /// Core to pin to.
    pub core: Option<usize>,
    /// Agents, in the order of their turns.
    pub agents: Vec<String>,
}

/// The whole plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Threads.
    pub threads: Vec<PlannedThread>,
    /// What an idle thread does.
    pub idle: IdleStrategy,
    /// One line for people: what was chosen and why.
    pub reason: String,
}

impl Plan {
    /// Whether the agent has to let others take turns on its thread.
    pub fn is_shared(&self, agent: &str) -> bool {
        self.threads.iter().any(|thread| thread.agents.len() > 1 && thread.agents.iter().any(|name| name == agent))
    }

    /// The cores that hot threads are pinned to.
    pub fn cores(&self) -> Vec<usize> {
        self.threads.iter().filter_map(|thread| thread.core).collect()
    }

    /// A core without a hot thread, for a cold one that is busy; the first, which serves most interrupts anyway.
    pub fn spare(&self, allowed: &[usize]) -> Option<usize> {
        allowed.iter().copied().find(|core| self.threads.iter().all(|thread| thread.core != Some(*core)))
    }
}

/// Plans `agents` (hot, in the order of an order's way) on the cores this process may use, in the order in which they are
/// better left to others: those that serve devices first.
///
/// # Errors
/// A map that leaves an agent out, names one twice or one that does not exist, or a core that is not allowed.
pub fn plan(threads: &Threads, agents: &[String], allowed: &[usize]) -> Result<Plan, String> {
    let enough = allowed.len() > agents.len();
    let (planned, reason) = match &threads.placement {
        Placement::Auto if enough => (dedicated(agents, allowed), "auto: a core for each hot agent and one to spare"),
        Placement::Auto => (shared(threads, agents, allowed)?, "auto: fewer cores than hot agents, so they take turns"),
        Placement::Shared => (shared(threads, agents, allowed)?, "shared: hot agents take turns on one core"),
        Placement::Dedicated if enough => (dedicated(agents, allowed), "dedicated: a core for each hot agent"),
        Placement::Dedicated => {
            let need = agents.len() + 1;
            return Err(format!("threads.placement = \"dedicated\" needs {need} cores, {} are allowed", allowed.len()));
        }
        Placement::Map(map) => (mapped(map, agents, allowed)?, "map: as configured"),
    };
    let cores: Vec<_> = planned.iter().map(|t| t.core).collect();
    let idle = match threads.yields {
        None => IdleStrategy::choose(&cores, allowed.len()),
        Some(true) => IdleStrategy::Yield,
        Some(false) => IdleStrategy::Spin,
    };
    Ok(Plan { threads: planned, idle, reason: reason.to_owned() })
}

fn shared(threads: &Threads, agents: &[String], allowed: &[usize]) -> Result<Vec<PlannedThread>, String> {
    let core = match threads.shared_core {
        Some(core) if !allowed.contains(&core) => {
            return Err(format!("threads.shared_core = {core} is not among the cores allowed, {allowed:?}"));
        }
        Some(core) => Some(core),
        None => allowed.last().copied(),
    };
    Ok(vec![PlannedThread { core, agents: turns(agents) }])
}

/// The order of turns on one thread; see the file's head.
fn turns(agents: &[String]) -> Vec<String> {
    let rank = |name: &String| match name.as_str() {
        "gateway" => 1,
        "feed" => 2,
        _ => 0,
    };
    let mut turns = agents.to_vec();
    turns.sort_by_key(rank);
    turns
}

/// The first allowed core is left to the system; it serves most interrupts.
fn dedicated(agents: &[String], allowed: &[usize]) -> Vec<PlannedThread> {
    let cores = allowed.iter().skip(1);
    agents.iter().zip(cores).map(|(a, &core)| PlannedThread { core: Some(core), agents: vec![a.clone()] }).collect()
}

fn mapped(map: &[(usize, Vec<String>)], agents: &[String], allowed: &[usize]) -> Result<Vec<PlannedThread>, String> {
    let named: Vec<&String> = map.iter().flat_map(|(_, names)| names).collect();
    for agent in agents {
        match named.iter().filter(|n| **n == agent).count() {
            0 => return Err(format!("threads.map places no {agent}; it must place {}", agents.join(", "))),
            1 => {}
            _ => return Err(format!("threads.map places {agent} more than once")),
        }
    }
    if let Some(stranger) = named.iter().find(|n| !agents.contains(n)) {
        return Err(format!("threads.map places {stranger}, which this configuration does not have"));
    }
    if let Some((core, _)) = map.iter().find(|(core, _)| !allowed.contains(core)) {
        return Err(format!("threads.map uses core {core}, allowed are {allowed:?}"));
    }
    Ok(map.iter().map(|(core, names)| PlannedThread { core: Some(*core), agents: names.clone() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents() -> Vec<String> {
        ["gateway", "sequencer", "matcher.0", "egress", "feed"].map(String::from).to_vec()
    }

    fn threads(placement: Placement) -> Threads {
        Threads { placement, shared_core: None, yields: None, awake: false }
    }

    #[test]
    fn two_cores_let_all_agents_take_turns_on_the_last() {
        let plan = plan(&threads(Placement::Auto), &agents(), &[0, 1]).unwrap();
        let turns = ["sequencer", "matcher.0", "egress", "gateway", "feed"].map(String::from).to_vec();
        assert_eq!(plan.threads, [PlannedThread { core: Some(1), agents: turns }]);
        assert!(plan.is_shared("feed"));
        assert_eq!((plan.spare(&[0, 1]), plan.spare(&[1])), (Some(0), None));
        assert_eq!(plan.idle, IdleStrategy::Spin);
    }

    #[test]
    fn enough_cores_give_each_agent_its_own_and_leave_the_first() {
        let plan = plan(&threads(Placement::Auto), &agents(), &[0, 2, 3, 4, 5, 6, 7]).unwrap();
        let cores: Vec<_> = plan.threads.iter().map(|t| t.core.unwrap()).collect();
        assert_eq!(cores, [2, 3, 4, 5, 6]);
        assert!(!plan.is_shared("feed"));
    }

    #[test]
    fn a_map_must_place_every_agent_once_on_an_allowed_core() {
        let all = agents();
        let place = |map: Vec<(usize, Vec<String>)>| plan(&threads(Placement::Map(map)), &all, &[0, 1]);
        assert!(place(vec![(0, all[..2].to_vec()), (1, all[2..].to_vec())]).is_ok());
        assert!(place(vec![(0, all[..2].to_vec())]).unwrap_err().contains("places no matcher.0"));
        assert!(place(vec![(0, all.clone()), (1, all[..1].to_vec())]).unwrap_err().contains("more than once"));
        assert!(place(vec![(9, all.clone())]).unwrap_err().contains("core 9"));
    }

    #[test]
    fn dedicated_on_too_few_cores_is_refused() {
        assert!(plan(&threads(Placement::Dedicated), &agents(), &[0, 1]).unwrap_err().contains("needs 6 cores"));
    }
}
