//! `pitlane tune cores`: the choice of cores as a configuration's `[threads]` section, shown or written. Cold.
//!
//! Written is a whole configuration: the given one (or the example) with that section in place of its own, checked as
//! `pitlane run` checks it before a byte is written.

use super::apply::boot;
use super::cores::{Choice, list};
use super::machine::Machine;
use super::state::{self, Store};
use super::tree::FileTree;
use crate::cli::{ConfigArgument, Failure};
use crate::config::{Config, EXAMPLE};
use crate::launch::{placement, stages};
use clap::Args;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `tune cores`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Write the configuration with its new [threads] section to this new file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Choose from a copy of a machine's /sys below this directory.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// What was chosen, and where it was written.
#[derive(Debug)]
pub struct Placed {
    choice: Choice,
    written: Option<PathBuf>,
}

impl Arguments {
    /// Chooses, and writes if asked to.
    ///
    /// # Errors
    /// A configuration or a topology that cannot be read, a file that exists already, or a result that `pitlane run`
    /// would refuse.
    pub fn choose(&self) -> Result<Placed, Failure> {
        let config = self.config.load()?;
        let directory = self.root.join(state::DIRECTORY);
        let tuned = Store::hot(&directory, &boot(&FileTree::new(&self.root)))
            .map_err(|error| Failure::Fault(format!("what this machine is tuned for: {error}")))?;
        let machine = Machine::read(&self.root, config.market.matchers, tuned.as_deref()).map_err(Failure::Fault)?;
        let choice = machine.choice;
        if let Some(path) = &self.write {
            let text = match &self.config.config {
                Some(file) => std::fs::read_to_string(file)
                    .map_err(|error| Failure::Fault(format!("reading {}: {error}", file.display())))?,
                None => EXAMPLE.to_owned(),
            };
            let text = with_threads(&text, &choice.toml());
            accept(path, &text, &choice)?;
            create(path, &text)?;
        }
        Ok(Placed { choice, written: self.write.clone() })
    }
}

/// The text with this section, and its sub-tables, in place of its own `[threads]`.
pub fn with_threads(text: &str, section: &str) -> String {
    let is_own = |line: &str| {
        let head = line.trim_start().trim_start_matches('[').trim_start();
        head.starts_with("threads]") || head.starts_with("threads.")
    };
    let is_head = |line: &str| line.trim_start().starts_with('[');
    let (mut before, mut after) = (String::new(), String::new());
    let (mut inside, mut seen) = (false, false);
    for line in text.split_inclusive('\n') {
        if is_head(line) {
            inside = is_own(line);
            seen |= inside;
        }
        if !inside {
            if seen { &mut after } else { &mut before }.push_str(line);
        }
    }
    let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
    format!("{before}{gap}{section}\n{after}")
}

/// As `pitlane run` will look at it, on the cores the machine has.
fn accept(path: &Path, text: &str, choice: &Choice) -> Result<(), Failure> {
    let config =
        Config::parse(&path.display().to_string(), text).map_err(|faults| Failure::Usage(faults.to_string()))?;
    let agents = stages::hot_names(config.market.matchers);
    let cores: Vec<usize> = choice.hot.iter().chain(&choice.system).copied().collect();
    placement::plan(&config.threads, &agents, &cores).map(drop).map_err(Failure::Usage)
}

fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    made.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::Fault(format!("writing {}: {error}", path.display())))
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Choice { hot, system, reasons, .. } = &self.choice;
        writeln!(f, "# hot cores {}; everything else on {}", list(hot), list(system))?;
        for reason in reasons {
            writeln!(f, "# {reason}")?;
        }
        match &self.written {
            Some(path) => writeln!(f, "# written to {}; start with: pitlane run --config {0}", path.display()),
            None => write!(f, "\n{}", self.choice.toml()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_takes_the_place_of_the_old_one_and_its_map() {
        let old = "[partition]\nname = \"A\"\n\n[threads]\nplacement = \"map\"\n[[threads.map]]\ncore = 9\n\n[feed]\nttl = 0\n";
        let new = with_threads(old, "[threads]\nplacement = \"shared\"\n");
        assert_eq!(new, "[partition]\nname = \"A\"\n\n[threads]\nplacement = \"shared\"\n\n[feed]\nttl = 0\n");
        assert_eq!(with_threads("[feed]\nttl = 0\n", "[threads]\n"), "[feed]\nttl = 0\n\n[threads]\n\n");
    }
}
