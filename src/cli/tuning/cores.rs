//! Choosing cores: from the machine's topology to who runs where.
//!
//! Hot cores are physical cores of one memory node, one hardware thread each, away from the core that serves devices
//! (the first, unless interrupts say otherwise), which is the system's; cores that were isolated already go first, because somebody meant them. What is left is the system's:
//! other programs, interrupts, Pitlane's cold threads. The stages are dealt to the hot cores there are, the dearest
//! neighbourhoods last: the feed, whose system calls nobody waits for, gets a core first, then the gateway, then
//! egress and matchers.
//!
//! Cold, pure: topology in, choice out.

use crate::os::affinity::Topology;
use std::fmt::Write as _;

/// Who runs where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Cores of the hot threads, in the order of `threads`.
    pub hot: Vec<usize>,
    /// Cores for everything else; never empty.
    pub system: Vec<usize>,
    /// Siblings of hot cores, best left idle; no part of the other two.
    pub idle: Vec<usize>,
    /// Hot threads: core and agents in the order of their turns.
    pub threads: Vec<(usize, Vec<String>)>,
    /// What was decided and why, a line each.
    pub reasons: Vec<String>,
}

/// Chooses for `agents` (hot, in the order of an order's way: gateway, sequencer, matchers, egress, feed) among the
/// cores of `topology` that this process may use, the one that serves devices in front. `near` is the memory node of
/// the network card, if one is known.
///
/// # Panics
/// Without any core.
pub fn choose(topology: &Topology, allowed: &[usize], near: Option<usize>, agents: &[String]) -> Choice {
    let online = |id: &usize| topology.core(*id).is_some();
    let usable: Vec<usize> = allowed.iter().copied().filter(online).collect();
    let isolated: Vec<usize> = topology.isolated.iter().copied().filter(online).collect();
    let first = usable.first().or(isolated.first()).copied().expect("a process may use at least one core");
    let mut reasons = Vec::new();
    if usable.iter().any(|id| *id < first) {
        reasons.push(format!("core {first} serves the devices' interrupts, so it is the system's"));
    }
    let candidates = if isolated.is_empty() {
        let apart = |id: &usize| *id != first && !topology.are_siblings(first, *id);
        let mut candidates: Vec<usize> = usable.iter().copied().filter(apart).collect();
        candidates.sort_unstable();
        candidates
    } else {
        reasons.push(format!("isolated cores are taken: {}", list(&isolated)));
        isolated.clone()
    };
    let physical = one_a_core(topology, &candidates);
    let hot = on_one_node(topology, physical, near, agents.len(), &mut reasons);
    let hot = if hot.is_empty() { vec![last_resort(topology, &usable, first, &mut reasons)] } else { hot };
    let threads = deal(agents, &hot);
    let hot: Vec<usize> = threads.iter().map(|(core, _)| *core).collect();
    let rest = |id: &usize| !hot.contains(id);
    let is_idle = |id: &usize| rest(id) && *id != first && hot.iter().any(|core| topology.are_siblings(*core, *id));
    let idle: Vec<usize> = usable.iter().copied().filter(is_idle).collect();
    let unused = |id: &usize| rest(id) && !idle.contains(id) && !isolated.contains(id);
    let mut system: Vec<usize> = usable.iter().copied().filter(unused).collect();
    if system.is_empty() {
        system.push(first);
    }
    reasons.extend(sharing(agents, &threads));
    if !idle.is_empty() {
        reasons.push(format!("siblings of hot cores, best left idle: {}", list(&idle)));
    }
    Choice { hot, system, idle, threads, reasons }
}

/// One hardware thread of each physical core.
fn one_a_core(topology: &Topology, candidates: &[usize]) -> Vec<usize> {
    let mut taken: Vec<usize> = Vec::new();
    for &id in candidates {
        if !taken.iter().any(|other| topology.are_siblings(*other, id)) {
            taken.push(id);
        }
    }
    taken
}

/// Those of the node of the card if they are enough, else of the node that has most.
fn on_one_node(
    topology: &Topology,
    cores: Vec<usize>,
    near: Option<usize>,
    agents: usize,
    reasons: &mut Vec<String>,
) -> Vec<usize> {
    let node = |id: usize| topology.core(id).map_or(0, |core| core.node);
    let count = |wanted: usize| cores.iter().filter(|id| node(**id) == wanted).count();
    let mut nodes: Vec<usize> = topology.cores.iter().map(|core| core.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    if nodes.len() < 2 {
        return cores;
    }
    let best = nodes.iter().copied().max_by_key(|n| (count(*n).min(agents), near == Some(*n), std::cmp::Reverse(*n)));
    let chosen = best.expect("there are nodes");
    let because = if near == Some(chosen) { "the network card's" } else { "it has the cores" };
    reasons.push(format!("all on memory node {chosen}: {because}"));
    cores.into_iter().filter(|id| node(*id) == chosen).collect()
}

/// Where no core can be had that is not the system's or its sibling.
fn last_resort(topology: &Topology, usable: &[usize], first: usize, reasons: &mut Vec<String>) -> usize {
    let last = usable.iter().copied().filter(|id| *id != first).max();
    reasons.push(match last {
        Some(id) if topology.are_siblings(first, id) => {
            format!("core {id} shares its units with core {first}, the system's: expect half a core")
        }
        Some(_) => "no core apart from the system's".to_owned(),
        None => "one core: hot threads, clients and the system take turns on it, milliseconds each".to_owned(),
    });
    last.unwrap_or(first)
}

/// Deals the agents to the cores; uses no more cores than there are agents.
fn deal(agents: &[String], cores: &[usize]) -> Vec<(usize, Vec<String>)> {
    let named =
        |wanted: &dyn Fn(&str) -> bool| -> Vec<String> { agents.iter().filter(|name| wanted(name)).cloned().collect() };
    let matchers = named(&|name| name.starts_with("matcher"));
    let one = |name: &str| named(&|found| found == name);
    let groups: Vec<Vec<String>> = match cores.len() {
        // The order of turns is the one `placement = "shared"` has, for the reason told there.
        1 => vec![[one("sequencer"), matchers, one("egress"), one("gateway"), one("feed")].concat()],
        2 => vec![[one("sequencer"), matchers, one("egress"), one("gateway")].concat(), one("feed")],
        3 => vec![one("gateway"), [one("sequencer"), matchers, one("egress")].concat(), one("feed")],
        count => {
            // Egress hands each fill back to the sequencer: neighbours until every matcher has a core.
            let apart = count > matchers.len() + 3;
            let shards = if apart { matchers.len() } else { count - 3 };
            let mut groups = vec![one("gateway"), one("sequencer")];
            groups.extend((0..shards).map(|shard| matchers.iter().skip(shard).step_by(shards).cloned().collect()));
            if apart {
                groups.push(one("egress"));
            } else {
                groups[1].extend(one("egress"));
            }
            groups.push(one("feed"));
            groups
        }
    };
    cores.iter().copied().zip(groups).filter(|(_, agents)| !agents.is_empty()).collect()
}

fn sharing(agents: &[String], threads: &[(usize, Vec<String>)]) -> Option<String> {
    let (agents, cores) = (agents.len(), threads.len());
    let hot = if cores == 1 { "one hot core".to_owned() } else { format!("{cores} hot cores") };
    (cores < agents).then(|| format!("{hot} for {agents} stages, so they take turns"))
}

impl Choice {
    /// The `[threads]` section of a configuration.
    pub fn toml(&self) -> String {
        let mut text = String::from("[threads]\nplacement = \"map\"\nidle = \"auto\"\nawake = true\n");
        for (core, agents) in &self.threads {
            let names: Vec<String> = agents.iter().map(|name| format!("\"{name}\"")).collect();
            let _infallible = write!(text, "\n[[threads.map]]\ncore = {core}\nagents = [{}]\n", names.join(", "));
        }
        text
    }
}

/// Cores in the kernel's list format, `0-3,8`.
pub fn list(cores: &[usize]) -> String {
    let mut sorted = cores.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < sorted.len() {
        let first = at;
        while at + 1 < sorted.len() && sorted[at + 1] == sorted[at] + 1 {
            at += 1;
        }
        parts.push(if first == at { sorted[at].to_string() } else { format!("{}-{}", sorted[first], sorted[at]) });
        at += 1;
    }
    parts.join(",")
}

/// Cores in the kernel's mask format: hexadecimal, in words of 32 cores with a comma between.
pub fn mask(cores: &[usize]) -> String {
    let words = cores.iter().max().map_or(1, |last| last / 32 + 1);
    let word = |index: usize| cores.iter().filter(|id| **id / 32 == index).fold(0u32, |word, id| word | 1 << (id % 32));
    let mut parts = vec![format!("{:x}", word(words - 1))];
    parts.extend((0..words - 1).rev().map(|index| format!("{:08x}", word(index))));
    parts.join(",")
}

/// The cores of a mask.
///
/// # Errors
/// The text, when it is none.
pub fn parse_mask(text: &str) -> Result<Vec<usize>, String> {
    let mut cores = Vec::new();
    for (index, word) in text.trim().rsplit(',').enumerate() {
        let bits = u32::from_str_radix(word.trim_start_matches("0x"), 16).map_err(|_| text.to_owned())?;
        cores.extend((0..32).filter(|bit| bits >> bit & 1 == 1).map(|bit| index * 32 + bit));
    }
    Ok(cores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, EXAMPLE};
    use crate::launch::{placement, stages};
    use crate::os::affinity::Core;

    /// Cores with their siblings and nodes.
    fn machine(cores: &[(usize, &[usize], usize)], isolated: &[usize]) -> Topology {
        let core = |&(id, siblings, node): &(usize, &[usize], usize)| Core {
            id,
            package: node,
            node,
            siblings: siblings.to_vec(),
        };
        Topology { cores: cores.iter().map(core).collect(), isolated: isolated.to_vec(), nohz_full: Vec::new() }
    }

    fn plain(count: usize) -> Topology {
        Topology {
            cores: (0..count).map(|id| Core { id, package: 0, node: 0, siblings: vec![id] }).collect(),
            ..Topology::default()
        }
    }

    fn choose_for(topology: &Topology, near: Option<usize>, matchers: u16) -> Choice {
        let allowed: Vec<usize> =
            topology.cores.iter().map(|core| core.id).filter(|id| !topology.isolated.contains(id)).collect();
        let agents = stages::hot_names(matchers);
        let choice = choose(topology, &allowed, near, &agents);
        accepted(&choice, &agents, matchers);
        choice
    }

    /// What is printed is read back by the configuration, and planned as it stands.
    fn accepted(choice: &Choice, agents: &[String], matchers: u16) {
        let start = EXAMPLE.find("[threads]").unwrap();
        let end = EXAMPLE.find("[journal]").unwrap();
        let text = format!("{}{}{}", &EXAMPLE[..start], choice.toml(), &EXAMPLE[end..]);
        let text = text.replace("matchers = 1 ", &format!("matchers = {matchers} "));
        let config = Config::parse("chosen", &text).unwrap_or_else(|faults| panic!("{faults}"));
        let plan = placement::plan(&config.threads, agents, &choice.hot).unwrap();
        let planned: Vec<_> = plan.threads.into_iter().map(|thread| (thread.core.unwrap(), thread.agents)).collect();
        assert_eq!(planned, choice.threads);
    }

    fn names(groups: &[&str]) -> Vec<Vec<String>> {
        groups.iter().map(|group| group.split(' ').map(String::from).collect()).collect()
    }

    fn agents_of(choice: &Choice) -> Vec<Vec<String>> {
        choice.threads.iter().map(|(_, agents)| agents.clone()).collect()
    }

    #[test]
    fn one_core_is_everybodys() {
        let choice = choose_for(&plain(1), None, 1);
        assert_eq!((choice.hot.as_slice(), choice.system.as_slice()), (&[0][..], &[0][..]));
        assert!(choice.reasons[0].starts_with("one core"), "{:?}", choice.reasons);
    }

    #[test]
    fn of_two_cores_the_second_is_hot() {
        let choice = choose_for(&plain(2), None, 1);
        assert_eq!((choice.hot.as_slice(), choice.system.as_slice()), (&[1][..], &[0][..]));
        assert_eq!(agents_of(&choice), names(&["sequencer matcher.0 egress gateway feed"]));
    }

    #[test]
    fn the_core_that_serves_devices_is_the_systems() {
        let choice = choose(&plain(2), &[1, 0], None, &stages::hot_names(1));
        assert_eq!((choice.hot.as_slice(), choice.system.as_slice()), (&[0][..], &[1][..]));
        assert!(choice.reasons[0].starts_with("core 1 serves the devices"), "{:?}", choice.reasons);
        let choice = choose(&plain(4), &[2, 0, 1, 3], None, &stages::hot_names(1));
        assert_eq!(choice.hot, [0, 1, 3]);
    }

    #[test]
    fn two_siblings_are_told_that_they_share() {
        let choice = choose_for(&machine(&[(0, &[0, 1], 0), (1, &[0, 1], 0)], &[]), None, 1);
        assert_eq!((choice.hot.as_slice(), choice.system.as_slice()), (&[1][..], &[0][..]));
        assert!(choice.reasons[0].contains("shares its units with core 0"), "{:?}", choice.reasons);
    }

    #[test]
    fn four_cores_part_gateway_and_feed_from_the_middle() {
        let choice = choose_for(&plain(4), None, 1);
        assert_eq!(choice.hot, [1, 2, 3]);
        assert_eq!(agents_of(&choice), names(&["gateway", "sequencer matcher.0 egress", "feed"]));
    }

    #[test]
    fn eight_cores_on_two_nodes_stay_on_the_cards_node() {
        let cores: Vec<(usize, [usize; 1], usize)> = (0..8).map(|id| (id, [id], id / 4)).collect();
        let cores: Vec<(usize, &[usize], usize)> = cores.iter().map(|(id, own, node)| (*id, &own[..], *node)).collect();
        let far = choose_for(&machine(&cores, &[]), Some(1), 1);
        assert_eq!(far.hot, [4, 5, 6, 7]);
        assert_eq!(agents_of(&far), names(&["gateway", "sequencer egress", "matcher.0", "feed"]));
        assert_eq!(far.system, [0, 1, 2, 3]);
        let unknown = choose_for(&machine(&cores, &[]), None, 1);
        assert_eq!(unknown.hot, [4, 5, 6, 7], "the first node has a core less to give");
    }

    #[test]
    fn siblings_of_hot_cores_are_left_idle() {
        let siblings: Vec<[usize; 2]> = (0..8).map(|id| [id % 4, id % 4 + 4]).collect();
        let cores: Vec<(usize, &[usize], usize)> =
            siblings.iter().enumerate().map(|(id, own)| (id, &own[..], 0)).collect();
        let choice = choose_for(&machine(&cores, &[]), None, 1);
        assert_eq!(choice.hot, [1, 2, 3]);
        assert_eq!((choice.system.as_slice(), choice.idle.as_slice()), (&[0, 4][..], &[5, 6, 7][..]));
    }

    #[test]
    fn isolated_cores_go_first() {
        let cores: Vec<(usize, [usize; 1], usize)> = (0..8).map(|id| (id, [id], 0)).collect();
        let cores: Vec<(usize, &[usize], usize)> = cores.iter().map(|(id, own, node)| (*id, &own[..], *node)).collect();
        let choice = choose_for(&machine(&cores, &[2, 3, 6, 7]), None, 1);
        assert_eq!((choice.hot.as_slice(), choice.system.as_slice()), (&[2, 3, 6, 7][..], &[0, 1, 4, 5][..]));
    }

    #[test]
    fn many_cores_give_every_stage_its_own_and_no_more() {
        let choice = choose_for(&plain(16), None, 3);
        assert_eq!(choice.hot, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(agents_of(&choice), stages::hot_names(3).into_iter().map(|name| vec![name]).collect::<Vec<_>>());
        let crowded = choose_for(&plain(6), None, 3);
        let expected = ["gateway", "sequencer egress", "matcher.0 matcher.2", "matcher.1", "feed"];
        assert_eq!(agents_of(&crowded), names(&expected));
    }

    #[test]
    fn lists_and_masks_are_the_kernels() {
        assert_eq!((list(&[3, 0, 1, 2, 8]).as_str(), list(&[]).as_str()), ("0-3,8", ""));
        assert_eq!((mask(&[0, 1]).as_str(), mask(&[33, 0]).as_str(), mask(&[]).as_str()), ("3", "2,00000001", "0"));
        assert_eq!(parse_mask("2,00000001\n").unwrap(), [0, 33]);
        assert_eq!(parse_mask("00000000,00000000").unwrap(), [0usize; 0]);
        assert!(parse_mask("0-3").is_err());
    }
}
