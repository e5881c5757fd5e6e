//! The table of settings, `tuning/settings.toml`, as the program reads it: built in, checked by a test. Cold.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The table's text.
const TEXT: &str = include_str!("../../../tuning/settings.toml");

/// What a machine is tuned for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The shortest and steadiest answer; power and other programs come last.
    Latency,
    /// Much work on shared cores; batches are fine.
    Throughput,
    /// A machine that also has to be lived with.
    Laptop,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Profile::Latency => "latency",
            Profile::Throughput => "throughput",
            Profile::Laptop => "laptop",
        })
    }
}

/// How a setting is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// By a value in a file.
    #[default]
    Write,
    /// By the kernel's command line; never changed from here.
    Boot,
    /// By a file of `tuning/` put in its place.
    Install,
    /// By a partition of the cores.
    Cpuset,
    /// Not at all: looked at.
    Look,
}

/// When what is found will do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compare {
    /// The same text as one of the alternatives.
    #[default]
    Equal,
    /// The word in brackets is one of the alternatives.
    Chosen,
    /// A number not below.
    AtLeast,
    /// A number not above.
    AtMost,
    /// A list of cores with no other core in it.
    Within,
    /// The same, as masks.
    WithinMask,
    /// The parameter's cores are among those of the file.
    Holds,
}

/// Wanted values; a profile without one leaves the setting alone.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    latency: Option<String>,
    throughput: Option<String>,
    laptop: Option<String>,
}

impl Wanted {
    /// By a profile.
    pub fn by(&self, profile: Profile) -> Option<&str> {
        match profile {
            Profile::Latency => self.latency.as_deref(),
            Profile::Throughput => self.throughput.as_deref(),
            Profile::Laptop => self.laptop.as_deref(),
        }
    }
}

/// A wanted value in words; what would do and is never written is left out.
pub fn alternatives(wanted: &str) -> String {
    wanted.split('|').filter(|word| !word.starts_with('=')).collect::<Vec<_>>().join(" or ")
}

/// One row.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What people call it on the command line.
    pub name: String,
    /// Its group.
    pub group: String,
    /// How it is changed.
    #[serde(default)]
    pub kind: Kind,
    /// The thing, in plain words.
    pub what: String,
    /// What it costs to leave it.
    pub why: String,
    /// Files, as patterns.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Wanted values.
    pub wanted: Wanted,
    /// When what is found will do.
    #[serde(default)]
    pub compare: Compare,
    /// Changed only when named.
    #[serde(default)]
    pub on_request: bool,
    /// What it takes.
    pub needs: String,
    how: Option<String>,
    undo: Option<String>,
    verify: Option<String>,
    absent: Option<String>,
}

impl Setting {
    /// How it is changed, for people.
    pub fn how(&self) -> String {
        match (&self.how, self.kind) {
            (Some(how), _) => how.clone(),
            (None, Kind::Boot) => format!("kernel command line: {}", self.wanted.by(Profile::Latency).unwrap_or("")),
            (None, _) => format!("write to /{}", self.paths.join(", /")),
        }
    }

    /// How that is undone, for people.
    pub fn undo(&self) -> &str {
        match (&self.undo, self.kind) {
            (Some(undo), _) => undo,
            (None, Kind::Boot) => "take it off the command line, reboot",
            (None, Kind::Look) => "nothing was changed",
            (None, _) => "what was found is written back",
        }
    }

    /// How to see that it is in force, for people.
    pub fn verify(&self) -> &str {
        match (&self.verify, self.kind) {
            (Some(verify), _) => verify,
            (None, Kind::Boot) => "cat /proc/cmdline, and the file above",
            (None, Kind::Look) => "pitlane doctor",
            (None, _) => "read back",
        }
    }

    /// What it means when this machine has none of the files.
    pub fn absent(&self) -> &str {
        self.absent.as_deref().unwrap_or("this machine or kernel has no such setting")
    }
}

/// A heading.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What settings call it.
    pub name: String,
    /// What people read.
    pub title: String,
}

/// All rows.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Headings, in their order.
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
    /// Rows, in their order.
    #[serde(rename = "setting")]
    pub settings: Vec<Setting>,
}

impl Table {
    /// The one built in.
    ///
    /// # Panics
    /// Never: a test reads it.
    pub fn built_in() -> Table {
        toml::from_str(TEXT).expect("tuning/settings.toml is valid")
    }

    /// The row of this name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// As a table for `tuning/README.md`.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for group in &self.groups {
            text += &format!("\n### {}\n\n", group.title);
            text += "| setting | why | wanted: latency / throughput / laptop | changed by | undone by | verified by | needs |\n";
            text += "|---|---|---|---|---|---|---|\n";
            for setting in self.settings.iter().filter(|setting| setting.group == group.name) {
                let wanted = [Profile::Latency, Profile::Throughput, Profile::Laptop]
                    .map(|profile| setting.wanted.by(profile).map_or("as it is".to_owned(), alternatives));
                let cells = [
                    &format!("`{}`: {}", setting.name, setting.what),
                    &setting.why,
                    wanted.join(" / ").as_str(),
                    &(if setting.on_request { "on request: " } else { "" }.to_owned() + &setting.how()),
                    setting.undo(),
                    setting.verify(),
                    &setting.needs,
                ]
                .map(|cell| cell.replace('|', "\\|").replace('*', "\\*"));
                text += &format!("| {} |\n", cells.join(" | "));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_built_in_table_is_whole() {
        let table = Table::built_in();
        let names: BTreeSet<&str> = table.settings.iter().map(|setting| setting.name.as_str()).collect();
        assert_eq!(names.len(), table.settings.len(), "each name once");
        for setting in &table.settings {
            let name = &setting.name;
            assert!(table.groups.iter().any(|group| group.name == setting.group), "{name}: no such group");
            let takes_files = match setting.kind {
                Kind::Write | Kind::Install => !setting.paths.is_empty(),
                // The command line is asked, and one file where it says more.
                Kind::Boot => setting.paths.len() <= 1,
                Kind::Look | Kind::Cpuset => setting.paths.is_empty(),
            };
            assert!(takes_files, "{name}: files and kind contradict each other");
            assert_eq!(setting.kind == Kind::Boot, setting.compare == Compare::Holds, "{name}");
            assert!(setting.kind != Kind::Look || setting.how.is_some(), "{name}: who shall know what to do?");
            assert!(setting.what.len() <= 56, "{name}: {} letters do not fit the report", setting.what.len());
            assert!(setting.wanted.latency.is_some(), "{name}: not wanted by anybody");
        }
    }

    #[test]
    fn rows_of_a_group_stand_together() {
        let table = Table::built_in();
        let mut order: Vec<&str> = table.settings.iter().map(|setting| setting.group.as_str()).collect();
        order.dedup();
        let groups: Vec<&str> = table.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(order, groups);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<Table>(&TEXT.replacen("what =", "wath =", 1)).is_err());
    }
}
