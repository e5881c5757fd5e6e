//! `pitlane doctor`: what this host offers a busy-polling process, what it should, and what to do about it.
//!
//! Changes nothing, needs no rights, and says where it lacked them. What is looked at stands in the table of
//! `tuning/settings.toml`; the looking is `cli::tuning`.

use super::tuning::apply::boot;
use super::tuning::examine::examine;
use super::tuning::machine::Machine;
use super::tuning::report;
use super::tuning::state::{self, Store};
use super::tuning::table::{Profile, Table};
use super::tuning::tree::FileTree;
use super::{Failure, Outcome};
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// What the machine is for.
    #[arg(long, value_enum, default_value_t = Profile::Latency)]
    profile: Profile,
    /// Matchers of the exchange that will run here: the more, the more cores are hot.
    #[arg(long, default_value_t = 1)]
    matchers: u16,
    /// Look at a copy of a machine's /sys and /proc below this directory.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Examines this host and prints what was found.
///
/// # Errors
/// A root without a machine below it; a host that offers little is a finding, not a failure.
pub fn main(arguments: Arguments) -> Outcome {
    let tree = FileTree::new(&arguments.root);
    // Unreadable, it is no reason to examine nothing.
    let tuned = Store::hot(&arguments.root.join(state::DIRECTORY), &boot(&tree)).unwrap_or_default();
    let machine = Machine::read(&arguments.root, arguments.matchers, tuned.as_deref()).map_err(Failure::Fault)?;
    let table = Table::built_in();
    let findings = examine(&table, arguments.profile, &machine, &tree);
    let out = &mut io::stdout().lock();
    let printed = match arguments.json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&findings).expect("findings are plain values")),
        false => report::doctor(out, &table, arguments.profile, &machine, &findings),
    };
    // A reader that has seen enough is no fault.
    let _closed_pipe = printed;
    Ok(())
}
