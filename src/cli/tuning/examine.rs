//! One row of the table against one machine: what is found, whether it will do, and what would change it.
//!
//! Reads only. The same findings are what `doctor` prints, what `tune plan` shows, what `tune` applies and what
//! `tune verify` asks again. Cold.

use super::cores::{self, list, mask, parse_mask};
use super::looks::{self, Verdict};
use super::machine::Machine;
use super::table::{Compare, Kind, Profile, Setting, Table, alternatives};
use super::tree::Tree;
use crate::os::affinity::parse_list;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;

/// The control group of the partition.
pub const PARTITION: &str = "sys/fs/cgroup/pitlane";
/// Where cgroup v2 says which controllers children have.
const SUBTREE: &str = "sys/fs/cgroup/cgroup.subtree_control";
/// What is installed: contents by the name of the file.
const INSTALLED: &str = include_str!("../../../tuning/90-pitlane.conf");
/// Lockable memory for a log, the books and the tables of a small site.
const MEMLOCK_WANTED_BYTES: u64 = 1 << 30;

/// How a change is made, and so how it is taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Make {
    /// A value in a file that is there.
    Write,
    /// A file that is made; taken back by removing it or by its old content.
    File,
    /// A directory that is made; what is written inside goes with it.
    Directory,
    /// A file inside such a directory.
    Inside,
    /// A word that is added to a list of the kernel's by `+word`, and taken off by `-word`.
    Word,
}

/// One change of one file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// The setting it belongs to.
    pub setting: String,
    /// The file.
    pub path: String,
    /// What it holds now; nothing when there is no such file.
    pub found: Option<String>,
    /// What to write: the first that is taken.
    pub values: Vec<String>,
    /// How.
    pub make: Make,
    /// When a value will do.
    #[serde(skip)]
    pub compare: Compare,
}

impl Change {
    /// Whether `found` is what this change is after.
    pub fn is_done_by(&self, found: &str) -> bool {
        match self.make {
            Make::Word => found.split_whitespace().any(|word| self.values.iter().any(|value| value[1..] == *word)),
            _ => suits(self.compare, found, &self.values),
        }
    }
}

/// One setting of one machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What people call it on the command line.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The thing, in plain words.
    pub what: String,
    /// What it costs to leave it.
    pub why: String,
    /// Its present value.
    pub found: String,
    /// The value wanted.
    pub wanted: String,
    /// How it stands.
    pub verdict: Verdict,
    /// How it is changed.
    pub how: String,
    /// How that is undone.
    pub undo: String,
    /// How to see that it is in force.
    pub verify: String,
    /// What it takes.
    pub needs: String,
    /// What would be written.
    pub changes: Vec<Change>,
}

/// All findings of a machine, in the order of the table.
pub fn examine(table: &Table, profile: Profile, machine: &Machine, tree: &dyn Tree) -> Vec<Finding> {
    table.settings.iter().map(|setting| Look { setting, machine, tree }.finding(profile)).collect()
}

/// What was found, how it stands, what would change it.
struct Seen {
    found: String,
    verdict: Verdict,
    changes: Vec<Change>,
}

impl Seen {
    fn plain(found: impl Into<String>, verdict: Verdict) -> Seen {
        Seen { found: found.into(), verdict, changes: Vec::new() }
    }
}

/// One setting on one machine.
struct Look<'l> {
    setting: &'l Setting,
    machine: &'l Machine,
    tree: &'l dyn Tree,
}

impl Look<'_> {
    fn finding(&self, profile: Profile) -> Finding {
        let setting = self.setting;
        let wanted = setting.wanted.by(profile).map(|text| self.filled(text));
        let seen = match &wanted {
            None => Seen::plain("", Verdict::Unwanted),
            Some(wanted) => match setting.kind {
                Kind::Look => self.looked(wanted),
                Kind::Boot => self.boot(wanted),
                Kind::Write => self.files(wanted),
                Kind::Install => self.installed(),
                Kind::Cpuset => self.partition(),
            },
        };
        Finding {
            name: setting.name.clone(),
            group: setting.group.clone(),
            what: setting.what.clone(),
            why: setting.why.clone(),
            found: seen.found,
            wanted: wanted.as_deref().map_or_else(String::new, alternatives),
            verdict: seen.verdict,
            how: self.filled(&setting.how()),
            undo: setting.undo().to_owned(),
            verify: setting.verify().to_owned(),
            needs: setting.needs.clone(),
            changes: seen.changes,
        }
    }

    /// A text with the cores in their places.
    fn filled(&self, text: &str) -> String {
        let choice = &self.machine.choice;
        let pairs = [
            ("{hot}", list(&choice.hot)),
            ("{system}", list(&choice.system)),
            ("{hot-mask}", mask(&choice.hot)),
            ("{system-mask}", mask(&choice.system)),
        ];
        pairs.iter().fold(text.to_owned(), |text, (place, cores)| text.replace(place, cores))
    }

    /// Files of this machine that a pattern names.
    fn expanded(&self, pattern: &str) -> Vec<String> {
        let core = |cores: &[usize]| cores.iter().map(|id| format!("cpu{id}")).collect::<Vec<_>>();
        let mut paths = vec![String::new()];
        for part in pattern.split('/') {
            let longer = |path: &String| {
                let names = match part {
                    "{hot}" => core(&self.machine.choice.hot),
                    "{core}" => core(&self.machine.topology.cores.iter().map(|core| core.id).collect::<Vec<_>>()),
                    "{nic}" => self.machine.cards.clone(),
                    "*" => self.tree.names(path),
                    plain => vec![plain.to_owned()],
                };
                let joined = |name: String| if path.is_empty() { name } else { format!("{path}/{name}") };
                names.into_iter().map(joined).collect::<Vec<_>>()
            };
            paths = paths.iter().flat_map(longer).collect();
        }
        paths.into_iter().filter(|path| self.tree.exists(path)).collect()
    }

    fn looked(&self, wanted: &str) -> Seen {
        let (found, verdict) = looks::look(&self.setting.name, wanted, self.machine, self.tree);
        Seen::plain(found, verdict)
    }

    fn files(&self, wanted: &str) -> Seen {
        let paths: Vec<String> = self.setting.paths.iter().flat_map(|pattern| self.expanded(pattern)).collect();
        let compare = self.setting.compare;
        let alternatives: Vec<String> = wanted.split('|').map(str::to_owned).collect();
        let (mut values, mut unread, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths {
            let found = match self.tree.read(&path) {
                Ok(text) => shown(compare, &text),
                // A file that is named but has nothing to say, as the sending queue of a card with only one.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    unread.push(format!("{path}: {error}"));
                    continue;
                }
            };
            if !suits(compare, &found, &alternatives) {
                let setting = self.setting.name.clone();
                let values = alternatives.iter().filter(|value| !value.starts_with('=')).cloned().collect();
                changes.push(Change { setting, path, found: Some(found.clone()), values, make: Make::Write, compare });
            }
            values.push(found);
        }
        let verdict = match (values.is_empty(), unread.is_empty(), changes.is_empty()) {
            (true, true, _) => return Seen::plain(self.setting.absent(), Verdict::Absent),
            (true, false, _) => return Seen::plain(unread.join("; "), Verdict::Yours),
            (false, _, true) => Verdict::Ok,
            (false, _, false) if self.setting.on_request => Verdict::Request,
            (false, _, false) => Verdict::Change,
        };
        Seen { found: counted(&values), verdict, changes }
    }

    fn boot(&self, wanted: &str) -> Seen {
        if !self.machine.is_parted() {
            return Seen::plain("one core: nothing to keep apart", Verdict::Absent);
        }
        let key = wanted.split('=').next().unwrap_or(wanted);
        let line = self.tree.read("proc/cmdline").unwrap_or_default();
        let mut cores = cores_of(&line, key);
        if let [path] = self.setting.paths.as_slice() {
            match self.tree.read(path) {
                Ok(text) => cores.extend(parse_list(&text).unwrap_or_default()),
                Err(_) => return Seen::plain(self.setting.absent(), Verdict::Absent),
            }
        }
        match key {
            "isolcpus" if self.partition_state().as_deref() == Some("isolated") => {
                let held = self.tree.read(&format!("{PARTITION}/cpuset.cpus")).unwrap_or_default();
                cores.extend(parse_list(&held).unwrap_or_default());
            }
            // The kernel takes the one for the other.
            "rcu_nocbs" => cores.extend(cores_of(&line, "nohz_full")),
            _ => {}
        }
        let is_done = self.machine.choice.hot.iter().all(|core| cores.contains(core));
        let found = if cores.is_empty() { "none".to_owned() } else { list(&cores) };
        Seen::plain(found, if is_done { Verdict::Ok } else { Verdict::Reboot })
    }

    fn installed(&self) -> Seen {
        let found = match &self.machine.asked {
            Some(asked) => match asked.memlock_bytes {
                None => return Seen::plain("no limit", Verdict::Ok),
                Some(bytes) if bytes >= MEMLOCK_WANTED_BYTES => return Seen::plain(looks::size(bytes), Verdict::Ok),
                Some(bytes) if asked.locks => {
                    return Seen::plain(format!("{}, but this user may exceed it", looks::size(bytes)), Verdict::Ok);
                }
                Some(bytes) => looks::size(bytes),
            },
            None => "not asked: this is a copy".to_owned(),
        };
        let path = self.setting.paths[0].clone();
        let there = self.tree.read(&path).ok();
        if there.as_deref() == Some(INSTALLED.trim()) {
            return Seen::plain(format!("{found}; the file is there, log in again"), Verdict::Ok);
        }
        let (setting, values) = (self.setting.name.clone(), vec![INSTALLED.trim().to_owned()]);
        let change = Change { setting, path, found: there, values, make: Make::File, compare: Compare::Equal };
        Seen { found, verdict: Verdict::Request, changes: vec![change] }
    }

    fn partition_state(&self) -> Option<String> {
        self.tree.read(&format!("{PARTITION}/cpuset.cpus.partition")).ok()
    }

    fn partition(&self) -> Seen {
        let Ok(controllers) = self.tree.read("sys/fs/cgroup/cgroup.controllers") else {
            return Seen::plain("this machine uses cgroup v1; take isolcpus", Verdict::Absent);
        };
        if !controllers.split_whitespace().any(|name| name == "cpuset") {
            return Seen::plain("cgroup v2 is here without its cpuset controller; take isolcpus", Verdict::Absent);
        }
        // One core inside is for the exchange's own cold threads: nothing is balanced there, so that whoever starts
        // on a hot core stays on it.
        let (Some(cold), true) = (self.machine.choice.system.last(), self.machine.choice.system.len() >= 2) else {
            return Seen::plain("needs two cores beside the hot ones; take isolcpus", Verdict::Absent);
        };
        let mut inside = self.machine.choice.hot.clone();
        inside.push(*cold);
        let (found, is_done) = match self.partition_state() {
            None => ("none".to_owned(), false),
            Some(state) => {
                let held = self.tree.read(&format!("{PARTITION}/cpuset.cpus")).unwrap_or_default();
                let same = parse_list(&held).is_ok_and(|held| list(&held) == list(&inside));
                (format!("{state}: {held}"), state == "isolated" && same)
            }
        };
        if is_done {
            return Seen::plain(found, Verdict::Ok);
        }
        Seen { found, verdict: Verdict::Request, changes: self.partition_changes(&list(&inside)) }
    }

    fn partition_changes(&self, cores: &str) -> Vec<Change> {
        let change = |path: String, found, value: &str, make| Change {
            setting: self.setting.name.clone(),
            path,
            found,
            values: vec![value.to_owned()],
            make,
            compare: Compare::Equal,
        };
        let mut changes = Vec::new();
        let children = self.tree.read(SUBTREE).unwrap_or_default();
        if !children.split_whitespace().any(|name| name == "cpuset") {
            changes.push(change(SUBTREE.to_owned(), Some(children), "+cpuset", Make::Word));
        }
        if !self.tree.exists(PARTITION) {
            changes.push(change(PARTITION.to_owned(), None, "", Make::Directory));
        }
        let inside = |name: &str| format!("{PARTITION}/{name}");
        let mut written = |name: &str, value: &str| {
            let found = self.tree.read(&inside(name)).ok();
            changes.push(change(inside(name), found, value, Make::Inside));
        };
        written("cpuset.cpus", cores);
        written("cpuset.cpus.partition", "isolated");
        changes
    }
}

/// Cores that a parameter of the kernel's command line names; its flags are no cores.
fn cores_of(line: &str, key: &str) -> Vec<usize> {
    let values = line.split_whitespace().filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    values.flat_map(|value| value.split(',')).flat_map(|part| parse_list(part).unwrap_or_default()).collect()
}

/// What a file's text says: the chosen word where several stand.
fn shown(compare: Compare, text: &str) -> String {
    match compare {
        Compare::Chosen => chosen(text).to_owned(),
        _ => text.to_owned(),
    }
}

/// The word in brackets, as the kernel marks the chosen one of several; else the whole text.
pub fn chosen(text: &str) -> &str {
    text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or(text, |(word, _)| word)
}

/// Whether what is found will do.
fn suits(compare: Compare, found: &str, alternatives: &[String]) -> bool {
    let found = shown(compare, found);
    let wanted = |value: &String| value.trim_start_matches('=').to_owned();
    let number = |text: &str| text.parse::<i64>().ok();
    alternatives.iter().map(wanted).any(|wanted| match compare {
        Compare::Equal | Compare::Chosen | Compare::Holds => found == wanted,
        Compare::AtLeast => number(&found).zip(number(&wanted)).is_some_and(|(found, wanted)| found >= wanted),
        Compare::AtMost => number(&found).zip(number(&wanted)).is_some_and(|(found, wanted)| found <= wanted),
        Compare::Within => {
            let lists = parse_list(&found).ok().zip(parse_list(&wanted).ok());
            lists.is_some_and(|(found, wanted)| found.iter().all(|core| wanted.contains(core)))
        }
        Compare::WithinMask => {
            let masks = parse_mask(&found).ok().zip(parse_mask(&wanted).ok());
            masks.is_some_and(|(found, wanted)| found.iter().all(|core| wanted.contains(core)))
        }
    })
}

/// Whether two texts of one file mean the same: masks and lists are told in more than one way.
pub fn same(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let as_list = |text: &str| parse_list(text).ok();
    let as_mask = |text: &str| parse_mask(text).ok().map(|cores| cores::mask(&cores));
    let lists = as_list(one).zip(as_list(other)).is_some_and(|(one, other)| one == other);
    // A number in a file of another kind reads as a mask too, and is then the same only when it is equal.
    lists || as_mask(one).zip(as_mask(other)).is_some_and(|(one, other)| one == other)
}

/// Equal values told once, with how many files have them.
fn counted(values: &[String]) -> String {
    let mut kinds: Vec<(&String, usize)> = Vec::new();
    for value in values {
        match kinds.iter_mut().find(|(kind, _)| *kind == value) {
            Some((_, count)) => *count += 1,
            None => kinds.push((value, 1)),
        }
    }
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    match kinds.as_slice() {
        [(value, _)] => (*value).clone(),
        several => {
            let text = |(value, count): &(&String, usize)| format!("{value} ({count} of {})", values.len());
            several.iter().take(3).map(text).collect::<Vec<_>>().join(", ")
        }
    }
}
