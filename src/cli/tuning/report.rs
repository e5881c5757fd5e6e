//! Findings, plans and outcomes as people read them, a hundred letters wide. Cold; writes where it is told to.

use super::apply::{Became, Outcome};
use super::cores::list;
use super::examine::{Change, Finding};
use super::looks::Verdict;
use super::machine::Machine;
use super::table::{Profile, Table};
use std::io::{self, Write};

/// Letters of a line.
const WIDTH: usize = 100;
/// Where a finding's text begins.
const INDENT: usize = 10;

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Change => "tune",
        Verdict::Request => "ask",
        Verdict::Reboot => "reboot",
        Verdict::Yours => "yours",
        Verdict::Absent | Verdict::Unwanted => "-",
    }
}

/// What was looked at and for what.
fn head(out: &mut dyn Write, profile: Profile, machine: &Machine) -> io::Result<()> {
    let choice = &machine.choice;
    let idle = if choice.idle.is_empty() { String::new() } else { format!("; left idle {}", list(&choice.idle)) };
    let (hot, system) = (list(&choice.hot), list(&choice.system));
    writeln!(out, "profile    {profile} (of latency, throughput, laptop)")?;
    writeln!(out, "hot cores  {hot}: the exchange's busy threads; the system and all else: {system}{idle}")?;
    choice.reasons.iter().try_for_each(|reason| writeln!(out, "           {reason}"))
}

/// The whole report of `doctor`.
///
/// # Errors
/// What `out` says.
pub fn doctor(
    out: &mut dyn Write,
    table: &Table,
    profile: Profile,
    machine: &Machine,
    findings: &[Finding],
) -> io::Result<()> {
    writeln!(out, "What this machine gives an exchange, and what it withholds. Nothing was changed.\n")?;
    head(out, profile, machine)?;
    writeln!(out, "\n  ok      as it should be")?;
    writeln!(out, "  tune    `make tune` changes it, `make untune` gives back what was found")?;
    writeln!(out, "  ask     the same, only if you name it: make tune WITH=name")?;
    writeln!(out, "  reboot  needs a parameter on the kernel's command line; all of them stand at the end")?;
    writeln!(out, "  yours   only you can change it; `->` says how")?;
    writeln!(out, "  -       not on this machine, or nothing this profile cares about")?;
    for group in &table.groups {
        writeln!(out, "\n{}\n", group.title)?;
        for finding in findings.iter().filter(|finding| finding.group == group.name) {
            one(out, finding)?;
        }
    }
    writeln!(out, "\n{}", counts(findings))?;
    boot(out, findings)?;
    if findings.iter().any(|finding| finding.verdict == Verdict::Change) {
        writeln!(out, "Next: make tune-plan shows each write before anything is changed.")?;
    }
    Ok(())
}

fn one(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let Finding { name, what, why, found, wanted, verdict, how, .. } = finding;
    let mark = word(*verdict);
    match verdict {
        Verdict::Unwanted => writeln!(out, "  {mark:7} {what}: left as it is by this profile"),
        Verdict::Ok => wrapped(out, &format!("  {mark:7} "), &format!("{what}: {found}")),
        Verdict::Absent => wrapped(out, &format!("  {mark:7} "), &format!("{what} ({found})")),
        Verdict::Change | Verdict::Request | Verdict::Reboot | Verdict::Yours => {
            let room = WIDTH - INDENT - name.len() - 2;
            writeln!(out, "  {mark:7} {what:room$}[{name}]")?;
            wrapped(out, "          ", &format!("found {found}; wanted {wanted}"))?;
            wrapped(out, "          ", why)?;
            if *verdict == Verdict::Yours || (*verdict == Verdict::Request && finding.changes.len() != 1) {
                wrapped(out, "          -> ", how)?;
            }
            Ok(())
        }
    }
}

/// A text after `start`, broken between words, later lines indented as far.
fn wrapped(out: &mut dyn Write, start: &str, text: &str) -> io::Result<()> {
    let mut line = start.to_owned();
    let mut is_begun = false;
    for word in text.split_whitespace() {
        if is_begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{line}")?;
            line = " ".repeat(start.len());
            is_begun = false;
        }
        if is_begun {
            line.push(' ');
        }
        line += word;
        is_begun = true;
    }
    writeln!(out, "{line}")
}

fn counts(findings: &[Finding]) -> String {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    format!(
        "{} ok, {} for make tune, {} on request, {} after a reboot, {} yours, {} not on this machine",
        count(Verdict::Ok),
        count(Verdict::Change),
        count(Verdict::Request),
        count(Verdict::Reboot),
        count(Verdict::Yours),
        count(Verdict::Absent)
    )
}

/// The kernel's command line to be.
fn boot(out: &mut dyn Write, findings: &[Finding]) -> io::Result<()> {
    let missing = findings.iter().filter(|finding| finding.verdict == Verdict::Reboot);
    let parameters = missing.map(|finding| finding.wanted.as_str()).collect::<Vec<_>>().join(" ");
    if parameters.is_empty() {
        return Ok(());
    }
    writeln!(out, "For the kernel's command line: {parameters}")?;
    writeln!(out, "  Debian, Ubuntu: into GRUB_CMDLINE_LINUX in /etc/default/grub; update-grub; reboot")?;
    writeln!(out, "  Fedora, RHEL: grubby --update-kernel=ALL --args=\"...\" (back: --remove-args); reboot")?;
    writeln!(out, "  Pitlane never edits it. To undo: take them out again. To check: cat /proc/cmdline")
}

/// What would be written.
///
/// # Errors
/// What `out` says.
pub fn plan(
    out: &mut dyn Write,
    profile: Profile,
    machine: &Machine,
    findings: &[Finding],
    changes: &[Change],
    every: bool,
) -> io::Result<()> {
    writeln!(out, "What `make tune` would write here: file, value now -> value then. Nothing was changed.\n")?;
    head(out, profile, machine)?;
    if changes.is_empty() {
        writeln!(out, "\nNothing: all that can be written is as wanted.")?;
    }
    for finding in findings {
        let own: Vec<&Change> = changes.iter().filter(|change| change.setting == finding.name).collect();
        if own.is_empty() {
            continue;
        }
        writeln!(out, "\n  {}: {}", finding.name, finding.what)?;
        for line in lines(&own, every) {
            wrapped(out, "      ", &line)?;
        }
        // The usual way of both, reading back and writing back what was found, is told once, at the end.
        if finding.verify != "read back" {
            wrapped(out, "      check: ", &finding.verify)?;
        }
        if !finding.undo.starts_with("what was found") {
            wrapped(out, "      undo:  ", &finding.undo)?;
        }
    }
    let names = |verdict: Verdict| {
        let with = findings.iter().filter(|finding| finding.verdict == verdict);
        with.filter(|finding| !changes.iter().any(|change| change.setting == finding.name))
            .map(|finding| finding.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    writeln!(out)?;
    for (verdict, what) in [
        (Verdict::Request, "Only if you name them (make tune WITH=name): "),
        (Verdict::Yours, "Only you can change (make doctor says how):  "),
        (Verdict::Absent, "Not on this machine:                         "),
    ] {
        if !names(verdict).is_empty() {
            wrapped(out, what, &names(verdict))?;
        }
    }
    boot(out, findings)?;
    if !changes.is_empty() {
        let settings = findings.iter().filter(|finding| changes.iter().any(|change| change.setting == finding.name));
        let (count, files) = (settings.count(), changes.len());
        writeln!(
            out,
            "Next: make tune (as root) saves what is found, writes these {count} settings ({files} files), reads each"
        )?;
        writeln!(
            out,
            "back and says what the machine refused. make untune writes back what was found; so, for all that"
        )?;
        writeln!(out, "is no installed file, does a reboot.")?;
    }
    Ok(())
}

/// Changes of one setting, those alike together.
fn lines(changes: &[&Change], every: bool) -> Vec<String> {
    let mut kinds: Vec<(String, Vec<&str>)> = Vec::new();
    for change in changes {
        let value = change.values.first().map_or("", String::as_str);
        let found = change.found.as_deref().unwrap_or("not there");
        let text = if value.contains('\n') {
            format!("{found} -> the file of tuning/")
        } else {
            format!("{found} -> {value}")
        };
        match kinds.iter_mut().find(|(kind, _)| *kind == text && !every) {
            Some((_, paths)) => paths.push(&change.path),
            None => kinds.push((text, vec![&change.path])),
        }
    }
    kinds.into_iter().map(|(text, paths)| format!("{}: {text}", named(&paths))).collect()
}

/// One path, or what several have in common: `/proc/irq/{24,25}/smp_affinity_list`.
fn named(paths: &[&str]) -> String {
    let Some((first, rest)) = paths.split_first() else { return String::new() };
    if rest.is_empty() {
        return rooted(first);
    }
    let parts: Vec<Vec<&str>> = paths.iter().map(|path| path.split('/').collect()).collect();
    let differing = |at: usize| parts.iter().any(|path| path.get(at) != parts[0].get(at));
    let places: Vec<usize> = (0..parts[0].len()).filter(|at| differing(*at)).collect();
    match places.as_slice() {
        [at] if parts.iter().all(|path| path.len() == parts[0].len()) => {
            let mut names: Vec<&str> = parts.iter().map(|path| path[*at]).collect();
            names.sort_unstable();
            // Cores and interrupts have numbers, which the kernel's own list format tells shortly.
            let (name, _) = numbered(names[0]);
            let numbers: Option<Vec<usize>> = names.iter().map(|n| n.strip_prefix(name)?.parse().ok()).collect();
            let inner = numbers.map_or_else(|| names.join(","), |numbers| list(&numbers));
            let name = if inner.contains(names[0]) && !name.is_empty() { "" } else { name };
            let before = parts[0][..*at].join("/");
            let after = parts[0][*at + 1..].iter().map(|part| format!("/{part}")).collect::<String>();
            rooted(&format!("{before}/{name}{{{inner}}}{after}"))
        }
        _ => format!("{} and {} more", rooted(first), rest.len()),
    }
}

/// A name's letters, and the digits at its end.
fn numbered(name: &str) -> (&str, &str) {
    name.split_at(name.trim_end_matches(|c: char| c.is_ascii_digit()).len())
}

/// As people know it: with its slash, or as the name of what is no file.
fn rooted(path: &str) -> String {
    if path.starts_with("ethtool/") || path.starts_with("mount/") { path.to_owned() } else { format!("/{path}") }
}

/// What became of the files of each setting, and how many of each kind.
///
/// # Errors
/// What `out` says.
pub fn outcomes(out: &mut dyn Write, outcomes: &[Outcome]) -> io::Result<()> {
    let mut told: Vec<(&str, String, Vec<&str>)> = Vec::new();
    for outcome in outcomes {
        let text = told_of(outcome);
        let paths = told.iter_mut().find(|(setting, known, _)| *setting == outcome.setting && *known == text);
        match paths {
            Some((_, _, paths)) => paths.push(&outcome.path),
            None => told.push((&outcome.setting, text, vec![&outcome.path])),
        }
    }
    for (setting, text, paths) in told {
        let (mark, rest) = text.split_once('|').unwrap_or(("", &text));
        wrapped(out, &format!("  {mark:9} {setting:17} "), &format!("{}: {rest}", named(&paths)))?;
    }
    Ok(())
}

/// A mark, a bar, and the rest of the line.
fn told_of(outcome: &Outcome) -> String {
    let text = |value: &Option<String>| match value.as_deref() {
        None => "not there".to_owned(),
        Some("") => "there".to_owned(),
        Some(value) if value.contains('\n') => "a file of tuning/".to_owned(),
        Some(value) => value.to_owned(),
    };
    let (before, now) = (text(&outcome.before), text(&outcome.now));
    match &outcome.became {
        Became::Changed => format!("changed|{before} -> {now}"),
        Became::Kept => format!("as it was|{now}"),
        Became::Partly => format!("PARTLY|{before} -> {now}, less than asked for"),
        Became::Refused(why) => format!("REFUSED|{before} stays; {why}"),
        Became::Restored => format!("restored|{before} -> {now}"),
        Became::Left(why) => format!("LEFT|{now} stays; {why}"),
        Became::Gone => "gone|the device or the setting is not there any more".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_between_words_and_indented() {
        let mut out = Vec::new();
        wrapped(&mut out, "  mark  ", &"word ".repeat(30)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with("        word"), "{text}");
    }

    #[test]
    fn paths_alike_are_told_once() {
        assert_eq!(named(&["proc/irq/24/list", "proc/irq/25/list", "proc/irq/9/list"]), "/proc/irq/{9,24-25}/list");
        assert_eq!(named(&["cpu/cpu1/x", "cpu/cpu2/x"]), "/cpu/cpu{1-2}/x");
        assert_eq!(named(&["net/core/busy_read", "net/core/busy_poll"]), "/net/core/{busy_poll,busy_read}");
        assert_eq!(named(&["a/b"]), "/a/b");
        assert_eq!(named(&["a/b", "c/d"]), "/a/b and 1 more");
        assert_eq!(named(&["mount/dev/shm/huge"]), "mount/dev/shm/huge");
    }
}
