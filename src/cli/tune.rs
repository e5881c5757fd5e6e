//! `pitlane tune`: shows, makes, checks and takes back changes of this machine, and chooses its hot cores.
//!
//! What can be changed stands in the table of `tuning/settings.toml`. `plan` writes nothing; `apply` saves what it
//! found before it changes anything; `undo` gives exactly that back. What the machine refuses is told, file by file.

use super::tuning::apply::{self, ApplyFault, Became, Outcome as Told};
use super::tuning::measure::{self, contest};
use super::tuning::placed::{self, Placed};
use super::tuning::report;
use super::tuning::selection::{Place, Selected, Selection, opened, unsaved};
use super::tuning::state::Store;
use super::tuning::table::Table;
use super::tuning::tree::Tree;
use super::{Failure, Outcome};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::{self, Write};

/// Arguments of `tune`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(Subcommand, Debug)]
enum Action {
    /// Show every write that `apply` would make; change nothing.
    Plan(PlanArguments),
    /// Save what is found, then change what is not as wanted. Needs root.
    Apply(Selection),
    /// Check that what was changed is still in force.
    Verify(Place),
    /// Give back what was found. Needs root.
    Undo(UndoArguments),
    /// Choose hot cores from the machine's topology: the [threads] section for a configuration.
    Cores(placed::Arguments),
    /// Measure what each setting is worth here: with and without it, in turns. Needs root and a quiet machine.
    Measure(measure::Arguments),
    /// Apply, verify, undo on this machine, and compare: every file must hold again what it held. Needs root.
    Selftest(Selection),
    /// Print the table of settings as Markdown.
    Table,
    /// The other side of a floor that `measure` takes.
    #[command(hide = true)]
    Echo(contest::EchoArguments),
}

/// Arguments of `tune plan`.
#[derive(Args, Debug)]
struct PlanArguments {
    #[command(flatten)]
    selection: Selection,
    /// A line for every file.
    #[arg(long)]
    every: bool,
}

/// Arguments of `tune undo`.
#[derive(Args, Debug)]
struct UndoArguments {
    #[command(flatten)]
    place: Place,
    /// Also what somebody else has changed since.
    #[arg(long)]
    force: bool,
}

impl From<ApplyFault> for Failure {
    fn from(fault: ApplyFault) -> Failure {
        match fault {
            ApplyFault::Otherwise(text) => Failure::Refused(text),
            ApplyFault::Store(error) => unsaved(error),
        }
    }
}

/// Does it.
///
/// # Errors
/// A wrong command, a machine that cannot be read, what was found cannot be saved; or not all was done.
pub fn main(arguments: Arguments) -> Outcome {
    let table = Table::built_in();
    match arguments.action {
        Action::Plan(plan) => show(&table, &plan),
        Action::Apply(selection) => change(&table, &selection),
        Action::Verify(place) => check(&place),
        Action::Undo(undo) => give_back(&undo),
        Action::Cores(arguments) => print(&arguments.choose()?),
        Action::Measure(arguments) => measure::main(&table, &arguments),
        Action::Selftest(selection) => selftest(&table, &selection),
        Action::Echo(arguments) => contest::echo(&arguments),
        Action::Table => {
            print!("{}", table.markdown());
            Ok(())
        }
    }
}

fn print(placed: &Placed) -> Outcome {
    print!("{placed}");
    Ok(())
}

fn show(table: &Table, arguments: &PlanArguments) -> Outcome {
    let selection = &arguments.selection;
    let Selected { machine, findings, changes } = selection.read(table)?;
    if selection.place.json {
        return json(&changes);
    }
    let out = &mut io::stdout().lock();
    // A reader that has seen enough is no fault.
    let _closed_pipe = report::plan(out, selection.profile, &machine, &findings, &changes, arguments.every);
    Ok(())
}

fn json(value: &impl Serialize) -> Outcome {
    println!("{}", serde_json::to_string_pretty(value).expect("results are plain values"));
    Ok(())
}

fn told(outcomes: &[Told], as_json: bool) -> Outcome {
    if as_json {
        return json(&outcomes);
    }
    let _closed_pipe = report::outcomes(&mut io::stdout().lock(), outcomes);
    Ok(())
}

/// How many of them became so.
fn count(outcomes: &[Told], is: fn(&Became) -> bool) -> usize {
    outcomes.iter().filter(|outcome| is(&outcome.became)).count()
}

fn change(table: &Table, selection: &Selection) -> Outcome {
    let Selected { machine, changes, .. } = selection.read(table)?;
    let store = opened(&selection.place)?;
    let tree = selection.place.tree();
    let outcomes = apply::apply(&tree, &store, &selection.purpose(&machine), &changes)?;
    told(&outcomes, selection.place.json)?;
    let changed = count(&outcomes, |became| matches!(became, Became::Changed | Became::Partly));
    let refused = count(&outcomes, |became| matches!(became, Became::Refused(_)));
    if !selection.place.json {
        match outcomes.is_empty() {
            true => println!("all that can be written is as wanted already"),
            false => println!("{changed} files changed, {refused} refused; to give back what was found: make untune"),
        }
    }
    match refused > 0 && changed == 0 {
        true => Err(Failure::Refused("this machine let nothing be changed".to_owned())),
        false => Ok(()),
    }
}

fn check(place: &Place) -> Outcome {
    let saved = Store::peek(&place.state()).map_err(unsaved)?;
    let nothing = || Failure::Refused(format!("not tuned: nothing is saved in {}", place.state().display()));
    let saved = saved.ok_or_else(nothing)?;
    let tree = place.tree();
    if saved.boot != apply::boot(&tree) {
        return Err(Failure::Refused("tuned before a reboot, which has reset it: run make tune again".to_owned()));
    }
    let outcomes = apply::verify(&tree, &saved);
    told(&outcomes, place.json)?;
    let lost = count(&outcomes, |became| matches!(became, Became::Left(_)));
    if !place.json {
        println!("profile {}: {} of {} files hold what was set", saved.profile, outcomes.len() - lost, outcomes.len());
    }
    if lost == 0 { Ok(()) } else { Err(Failure::Refused(format!("{lost} are not in force any more"))) }
}

fn give_back(arguments: &UndoArguments) -> Outcome {
    let place = &arguments.place;
    // Nothing to give back needs no rights.
    if Store::peek(&place.state()).map_err(unsaved)?.is_none() {
        let _closed_pipe =
            writeln!(io::stdout(), "nothing to give back: nothing is saved in {}", place.state().display());
        return Ok(());
    }
    let store = opened(place)?;
    let outcomes = apply::restore(&place.tree(), &store, arguments.force).map_err(unsaved)?;
    told(&outcomes, place.json)?;
    let kept = count(&outcomes, |became| matches!(became, Became::Refused(_) | Became::Left(_)));
    if !place.json {
        println!("{} files are as they were found, {kept} not", outcomes.len() - kept);
    }
    if kept == 0 { Ok(()) } else { Err(Failure::Refused(format!("{kept} files were not given back"))) }
}

fn selftest(table: &Table, selection: &Selection) -> Outcome {
    let Selected { machine, changes, .. } = selection.read(table)?;
    let store = opened(&selection.place)?;
    if store.read().map_err(unsaved)?.is_some() {
        return Err(Failure::Refused("this machine is tuned: give it back first (make untune)".to_owned()));
    }
    let tree = selection.place.tree();
    let held = || changes.iter().map(|change| tree.read(&change.path).ok()).collect::<Vec<_>>();
    let before = held();
    let applied = apply::apply(&tree, &store, &selection.purpose(&machine), &changes)?;
    let verified = store.read().map_err(unsaved)?.map_or_else(Vec::new, |saved| apply::verify(&tree, &saved));
    let restored = apply::restore(&tree, &store, true).map_err(unsaved)?;
    told(&applied, selection.place.json)?;
    let after = held();
    let differing = changes.iter().zip(before.iter().zip(&after)).filter(|(_, (before, after))| before != after);
    for (change, (before, after)) in differing.clone() {
        println!("  NOT GIVEN BACK {}: held {before:?}, holds {after:?}", change.path);
    }
    let lost = count(&verified, |became| matches!(became, Became::Left(_)));
    let changed = count(&applied, |became| matches!(became, Became::Changed | Became::Partly));
    let refused = count(&applied, |became| matches!(became, Became::Refused(_)));
    let wrong = differing.count() + lost + count(&restored, |became| matches!(became, Became::Refused(_)));
    println!("{changed} files changed and {refused} refused; {lost} did not hold; {wrong} faults in all");
    match wrong {
        0 => Ok(()),
        wrong => Err(Failure::Refused(format!("{wrong} files do not hold what they held before"))),
    }
}
