//! What the commands of tuning are told: which machine, what it is for, which of its settings; and what is read by that.

use super::apply::{self, Purpose};
use super::examine::{Change, Finding, examine};
use super::looks::Verdict;
use super::machine::Machine;
use super::state::{self, Store};
use super::table::{Profile, Table};
use super::tree::FileTree;
use crate::cli::Failure;
use crate::os::affinity::parse_list;
use clap::Args;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Which machine.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Work on a copy of a machine's files below this directory.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Where what was found is saved; below the root unless named.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Place {
    /// The directory of what was found.
    pub fn state(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.root.join(state::DIRECTORY))
    }

    /// Its files.
    pub fn tree(&self) -> FileTree {
        FileTree::new(&self.root)
    }
}

/// Which settings, for what.
#[derive(Args, Clone, Debug)]
pub struct Selection {
    /// Which machine.
    #[command(flatten)]
    pub place: Place,
    /// What the machine is for.
    #[arg(long, value_enum, default_value_t = Profile::Latency)]
    pub profile: Profile,
    /// Matchers of the exchange that will run here: the more, the more cores are hot.
    #[arg(long, default_value_t = 1)]
    matchers: u16,
    /// Hot cores in place of the ones chosen, as a list: 2-5,8.
    #[arg(long, value_name = "CORES")]
    hot: Option<String>,
    /// Only these settings.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub only: Vec<String>,
    /// Not these settings.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    skip: Vec<String>,
    /// These too, which are changed only on request.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    with: Vec<String>,
}

/// A machine, what was found on it, and what of that is to be changed.
pub struct Selected {
    /// The machine.
    pub machine: Machine,
    /// All findings.
    pub findings: Vec<Finding>,
    /// The changes selected.
    pub changes: Vec<Change>,
}

impl Selection {
    /// Reads the machine and selects.
    ///
    /// # Errors
    /// A name that no setting has, a list that is none, cores that are not there.
    pub fn read(&self, table: &Table) -> Result<Selected, Failure> {
        let named = [&self.only, &self.skip, &self.with];
        if let Some(name) = named.into_iter().flatten().find(|name| table.setting(name).is_none()) {
            let names: Vec<&str> = table.settings.iter().map(|setting| setting.name.as_str()).collect();
            return Err(Failure::Usage(format!("no setting is called {name:?}; there are {}", names.join(", "))));
        }
        let hot = self.hot.as_deref().map(parse_list).transpose();
        let hot = hot.map_err(|error| Failure::Usage(format!("--hot: {error}")))?;
        let tuned = Store::hot(&self.place.state(), &apply::boot(&self.place.tree())).map_err(unsaved)?;
        let hot = hot.or(tuned);
        let machine = Machine::read(&self.place.root, self.matchers, hot.as_deref()).map_err(Failure::Fault)?;
        let findings = examine(table, self.profile, &machine, &self.place.tree());
        let is_selected = |finding: &&Finding| match finding.verdict {
            _ if self.skip.contains(&finding.name) => false,
            Verdict::Change => self.only.is_empty() || self.only.contains(&finding.name),
            Verdict::Request => self.with.contains(&finding.name) || self.only.contains(&finding.name),
            _ => false,
        };
        let changes = findings.iter().filter(is_selected).flat_map(|finding| finding.changes.clone()).collect();
        Ok(Selected { machine, findings, changes })
    }

    /// What a run on this machine is for.
    pub fn purpose(&self, machine: &Machine) -> Purpose {
        let boot = apply::boot(&self.place.tree());
        Purpose { profile: self.profile, hot: machine.choice.hot.clone(), boot }
    }
}

/// Takes the place where what was found is saved.
///
/// # Errors
/// It cannot be made, or another run holds it.
pub fn opened(place: &Place) -> Result<Store, Failure> {
    let directory = place.state();
    Store::open(&directory).map_err(|error| {
        let hint = if error.kind() == ErrorKind::PermissionDenied { "; run as root" } else { "" };
        Failure::Fault(format!("opening {}, where what was found is saved: {error}{hint}", directory.display()))
    })
}

/// What was found could not be read or saved.
pub fn unsaved(error: io::Error) -> Failure {
    Failure::Fault(format!("what was found before: {error}"))
}
