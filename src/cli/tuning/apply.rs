//! Changing, checking and giving back.
//!
//! Every change goes one way: what was found is saved for all of them, durably, before the first is made; then each
//! is written, read back and told. What the machine refuses is told with its reason and forgotten when it changed
//! nothing. Asked again, what is in force already is left alone and the first memory of it is kept. Giving back goes
//! in reverse, and leaves alone what somebody else has changed since, unless told to take it anyway. Cold.

use super::examine::{Change, Make, chosen, same};
use super::state::{Entry, Saved, Store};
use super::table::Profile;
use super::tree::Tree;
use crate::os::unix;
use serde::Serialize;
use std::io;

/// What became of one file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// Changed, read back.
    Changed,
    /// It was so already.
    Kept,
    /// The machine took less than was asked.
    Partly,
    /// The machine refused, for this reason.
    Refused(String),
    /// Given back.
    Restored,
    /// Somebody else, or a reboot, has changed it since; left alone, for this reason.
    Left(String),
    /// The file is not there any more, as when a device was taken out: nothing to give back.
    Gone,
}

/// One file, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Outcome {
    /// The setting it belongs to.
    pub setting: String,
    /// The file.
    pub path: String,
    /// What it held before.
    pub before: Option<String>,
    /// What it holds now.
    pub now: Option<String>,
    /// What happened.
    pub became: Became,
}

/// Why nothing was begun.
#[derive(Debug)]
pub enum ApplyFault {
    /// This machine is tuned for something else.
    Otherwise(String),
    /// What was found could not be saved or read.
    Store(io::Error),
}

impl From<io::Error> for ApplyFault {
    fn from(error: io::Error) -> ApplyFault {
        ApplyFault::Store(error)
    }
}

/// What a run is for.
#[derive(Clone, Debug)]
pub struct Purpose {
    /// The profile.
    pub profile: Profile,
    /// Hot cores.
    pub hot: Vec<usize>,
    /// This boot's name.
    pub boot: String,
}

/// The kernel's random name for this boot.
pub fn boot(tree: &dyn Tree) -> String {
    tree.read("proc/sys/kernel/random/boot_id").unwrap_or_else(|_| "unknown".to_owned())
}

/// Makes the changes.
///
/// # Errors
/// Nothing was changed: the machine is tuned for something else already, or what was found cannot be saved.
pub fn apply(
    tree: &dyn Tree,
    store: &Store,
    purpose: &Purpose,
    changes: &[Change],
) -> Result<Vec<Outcome>, ApplyFault> {
    let mut saved = begun(store, purpose)?;
    for change in changes {
        if !saved.entries.iter().any(|entry| entry.path == change.path) {
            let Change { setting, path, make, found, .. } = change.clone();
            saved.entries.push(Entry { setting, path, make, found, holds: None });
        }
    }
    store.write(&saved)?;
    let outcomes: Vec<Outcome> = changes.iter().map(|change| make(tree, change)).collect();
    for outcome in &outcomes {
        let at = saved.entries.iter().position(|entry| entry.path == outcome.path).expect("each change has its entry");
        let entry = &mut saved.entries[at];
        let as_before = match (&entry.found, &outcome.now) {
            (Some(found), Some(now)) => same(found, now),
            (found, now) => found.is_none() && now.is_none(),
        };
        if as_before {
            saved.entries.remove(at);
        } else {
            entry.holds = outcome.now.clone();
        }
    }
    store.write(&saved)?;
    Ok(outcomes)
}

/// What is saved already, if it goes with this purpose.
fn begun(store: &Store, purpose: &Purpose) -> Result<Saved, ApplyFault> {
    let mut fresh = Saved::new(purpose.boot.clone(), purpose.profile, purpose.hot.clone());
    let Some(saved) = store.read()? else { return Ok(fresh) };
    if saved.boot != purpose.boot {
        // The reboot has reset what was written; what was installed still stands.
        fresh.entries.extend(saved.entries.into_iter().filter(|entry| entry.make == Make::File));
        return Ok(fresh);
    }
    if (saved.profile, &saved.hot) != (purpose.profile, &purpose.hot) {
        return Err(ApplyFault::Otherwise(format!(
            "this machine is tuned for {} with hot cores {:?}, asked for {} with {:?}; give it back first: make untune",
            saved.profile, saved.hot, purpose.profile, purpose.hot
        )));
    }
    Ok(saved)
}

/// What a file holds: nothing when it is not there, of several words the chosen one.
fn held(tree: &dyn Tree, path: &str, make: Make) -> Option<String> {
    match make {
        Make::Directory => tree.exists(path).then(String::new),
        Make::File => tree.read(path).ok(),
        Make::Write | Make::Inside | Make::Word => tree.read(path).ok().map(|text| chosen(&text).to_owned()),
    }
}

fn make(tree: &dyn Tree, change: &Change) -> Outcome {
    let before = held(tree, &change.path, change.make);
    let outcome = |now: Option<String>, became| Outcome {
        setting: change.setting.clone(),
        path: change.path.clone(),
        before: before.clone(),
        now,
        became,
    };
    if before.as_ref().is_some_and(|found| change.make == Make::Directory || change.is_done_by(found)) {
        return outcome(before.clone(), Became::Kept);
    }
    let mut refused = None;
    for value in &change.values {
        let written = match change.make {
            Make::Write | Make::Word => tree.write(&change.path, value),
            Make::File | Make::Inside => tree.create(&change.path, value),
            Make::Directory => tree.make_directory(&change.path),
        };
        match written {
            Ok(()) => {
                refused = None;
                break;
            }
            Err(error) => refused = Some(refused.unwrap_or_else(|| reason(&error))),
        }
    }
    let now = held(tree, &change.path, change.make);
    let became = match (refused, &now) {
        (Some(why), _) => Became::Refused(why),
        (None, Some(_)) if change.make == Make::Directory => Became::Changed,
        (None, Some(now)) if change.is_done_by(now) => Became::Changed,
        (None, Some(now)) if before.as_ref().is_some_and(|before| same(before, now)) => {
            Became::Refused(format!("taken without an error, and without effect: it still reads {now:?}"))
        }
        (None, Some(_)) => Became::Partly,
        (None, None) => Became::Refused("written, and gone when read back".to_owned()),
    };
    outcome(now, became)
}

/// A system's error in words that help.
fn reason(error: &io::Error) -> String {
    let hint = match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) if unix::own_uid() != 0 => "run as root",
        Some(libc::EACCES | libc::EPERM) => {
            "not even root may: its driver keeps it (a managed interrupt), or a container does"
        }
        Some(libc::EROFS) => "read-only here: a container",
        Some(libc::EINVAL) => "this kernel does not take that value here",
        Some(libc::EIO) => "its driver keeps it (a managed interrupt)",
        Some(libc::EBUSY) => "in use: stop what runs there first",
        Some(libc::ENODEV | libc::EOPNOTSUPP | libc::ENXIO) => "this device has no such setting",
        Some(libc::ENOSPC) => "no room for it: the kernel could not hold so much",
        _ => return error.to_string(),
    };
    format!("{error}; {hint}")
}

/// Gives back what was found, in reverse. With `force` also what somebody else has changed since.
///
/// # Errors
/// What is saved cannot be read, or not updated.
pub fn restore(tree: &dyn Tree, store: &Store, force: bool) -> io::Result<Vec<Outcome>> {
    let Some(mut saved) = store.read()? else { return Ok(Vec::new()) };
    let rebooted = saved.boot != boot(tree);
    let made: Vec<String> =
        saved.entries.iter().filter(|entry| entry.make == Make::Directory).map(|entry| entry.path.clone()).collect();
    let goes_with_its_directory = |entry: &Entry| {
        entry.make == Make::Inside && made.iter().any(|path| entry.path.starts_with(&format!("{path}/")))
    };
    let mut outcomes = Vec::new();
    let mut kept = Vec::new();
    for entry in saved.entries.drain(..).rev() {
        if goes_with_its_directory(&entry) {
            continue;
        }
        let outcome = give_back(tree, &entry, rebooted, force);
        match &outcome.became {
            Became::Refused(_) => kept.push(entry),
            // After a reboot there is nothing left to take back by force.
            Became::Left(_) if !rebooted || entry.make == Make::File => kept.push(entry),
            _ => {}
        }
        outcomes.push(outcome);
    }
    kept.reverse();
    saved.entries = kept;
    store.write(&saved)?;
    Ok(outcomes)
}

fn give_back(tree: &dyn Tree, entry: &Entry, rebooted: bool, force: bool) -> Outcome {
    let before = held(tree, &entry.path, entry.make);
    let outcome = |now: Option<String>, became| Outcome {
        setting: entry.setting.clone(),
        path: entry.path.clone(),
        before: before.clone(),
        now,
        became,
    };
    let is = |text: &Option<String>| match (&before, text) {
        (Some(now), Some(text)) => same(now, text),
        (now, text) => now.is_none() && text.is_none(),
    };
    if is(&entry.found) {
        return outcome(before.clone(), Became::Kept);
    }
    if before.is_none() && entry.make != Make::File {
        return outcome(None, Became::Gone);
    }
    let ours = entry.holds.is_none() || is(&entry.holds);
    if !ours && !force {
        let set = entry.holds.as_deref().unwrap_or_default();
        let found = entry.found.as_deref().unwrap_or("nothing");
        let why = match rebooted {
            true => format!("a reboot has reset it since: set {set:?}, found {found:?}"),
            false => format!("changed by somebody else since: set {set:?}, found {found:?}; --force takes it anyway"),
        };
        return outcome(before.clone(), Became::Left(why));
    }
    let written = match (&entry.found, entry.make) {
        (_, Make::Word) => tree.write(&entry.path, "-cpuset"),
        (Some(found), Make::File) => tree.create(&entry.path, found),
        (Some(found), _) => tree.write(&entry.path, found),
        (None, _) => tree.remove(&entry.path),
    };
    let now = held(tree, &entry.path, entry.make);
    let became = match (written, &now, &entry.found) {
        (Err(error), _, _) => Became::Refused(reason(&error)),
        (Ok(()), None, None) => Became::Restored,
        (Ok(()), Some(now), Some(found)) if same(now, found) || entry.make == Make::Word => Became::Restored,
        (Ok(()), now, found) => Became::Refused(format!("written {found:?}, and it reads {now:?}")),
    };
    outcome(now, became)
}

/// Whether what was changed is still in force.
pub fn verify(tree: &dyn Tree, saved: &Saved) -> Vec<Outcome> {
    let look = |entry: &Entry| {
        let now = held(tree, &entry.path, entry.make);
        let became = match (&entry.holds, &now) {
            (None, _) => Became::Left("begun and not finished: run `make tune` again, or `make untune`".to_owned()),
            (Some(set), Some(now)) if same(set, now) => Became::Kept,
            (Some(set), now) => Became::Left(format!("set {set:?}, reads {:?}", now.as_deref().unwrap_or("nothing"))),
        };
        let Entry { setting, path, found, .. } = entry.clone();
        Outcome { setting, path, before: found, now, became }
    };
    saved.entries.iter().map(look).collect()
}
