//! `pitlane tune measure`: what each setting is worth on this machine. Cold but for the round trips themselves.
//!
//! For each setting an exchange is started without it and with it, in turns and several times, each time anew: some
//! settings only count for memory that is taken after them. Beside the exchange stand floors that do nothing but carry
//! the same bytes, on the same core; so each figure comes with its ratio to what the machine could do at best in that
//! moment. A setting counts as moving a figure only when every pair of runs says so.
//!
//! What is changed goes through the same saving and giving back as `tune apply`. A machine that others use meanwhile
//! gives figures of the others; the head of the table says how busy it was.

pub mod contest;

use super::apply::{self, Became};
use super::examine::Change;
use super::selection::{Selected, Selection, opened, unsaved};
use super::state::Store;
use super::table::Table;
use super::tree::Tree;
use crate::cli::{Failure, Outcome};
use crate::measure::latency::{Latencies, Percentiles, time};
use crate::os::signal;
use clap::Args;
use contest::{NAMES, Rig, Sample};
use serde_json::json;

/// Pairs of runs below which agreement says little: by chance, seven agree once in sixty-four.
const PAIRS_MIN: usize = 7;

/// Pairs that may be taken again, for each that is wanted.
const UNEQUAL_SHARE: usize = 2;

/// What the exchange itself asks for: measured as the settings are.
const AWAKE: &str = "dma-latency";

/// Arguments of `tune measure`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Pairs of runs, without and with, of each setting.
    #[arg(long, default_value_t = PAIRS_MIN)]
    pairs: usize,
    /// Round trips over shared memory in a run, in four slices; a quarter as many over TCP.
    #[arg(long, default_value_t = 60_000)]
    trips: usize,
}

/// What is put in and taken out together.
struct Subject<'c> {
    name: String,
    changes: Vec<&'c Change>,
    /// Whether the exchange asks that cores stay awake.
    awake: bool,
}

/// All runs of one subject: without and with.
struct Runs {
    name: String,
    pairs: Vec<[Sample; 2]>,
    /// Pairs taken again, because the host gave the second run another machine than the first.
    unequal: usize,
}

/// Measures.
///
/// # Errors
/// A tuned machine, one core, an exchange that does not start, or a setting that does not come back.
pub fn main(table: &Table, arguments: &Arguments) -> Outcome {
    let selection = &arguments.selection;
    let Selected { machine, changes, .. } = selection.read(table)?;
    if !machine.is_parted() {
        return Err(Failure::Fault("one core: client and exchange would take each other's time".to_owned()));
    }
    let store = opened(&selection.place)?;
    if store.read().map_err(unsaved)?.is_some() {
        return Err(Failure::Refused("this machine is tuned: give it back first (make untune)".to_owned()));
    }
    let tree = selection.place.tree();
    let rig = Rig::new(&machine, arguments.trips);
    signal::watch_termination().map_err(|error| Failure::Fault(format!("watching signals: {error}")))?;
    let mut all = Vec::new();
    for subject in subjects(&changes) {
        let changes: Vec<Change> = subject.changes.iter().map(|change| (*change).clone()).collect();
        let with = || -> Result<Option<Sample>, Failure> {
            let outcomes = apply::apply(&tree, &store, &selection.purpose(&machine), &changes)?;
            let in_force = |outcome: &apply::Outcome| matches!(outcome.became, Became::Changed | Became::Partly);
            let counts = subject.awake || outcomes.iter().any(in_force);
            let sample = if counts { Some(rig.run(subject.awake)) } else { None };
            given_back(&tree, &store)?;
            sample.transpose()
        };
        let (mut pairs, mut unequal) = (Vec::new(), 0);
        while pairs.len() < arguments.pairs.max(1) {
            if signal::termination_requested() {
                return Err(Failure::Refused("ended early; the machine is as it was found".to_owned()));
            }
            eprint!("\r{:<20} pair {} of {}   ", subject.name, pairs.len() + 1, arguments.pairs);
            // Each comes first as often as the other.
            let (without, with) = if (pairs.len() + unequal) % 2 == 0 {
                (rig.run(false)?, with()?)
            } else {
                let with = with()?;
                (rig.run(false)?, with)
            };
            let Some(with) = with else { break };
            // Of a host that never keeps still pairs are taken as they come.
            if !without.is_like(&with) && unequal < arguments.pairs * UNEQUAL_SHARE {
                unequal += 1;
                continue;
            }
            pairs.push([without, with]);
        }
        all.push(Runs { name: subject.name, pairs, unequal });
    }
    eprint!("\r{:60}\r", "");
    print(arguments, &all);
    Ok(())
}

/// Each setting by itself, then all of them together.
fn subjects(changes: &[Change]) -> Vec<Subject<'_>> {
    let mut subjects: Vec<Subject<'_>> = Vec::new();
    for change in changes {
        match subjects.iter_mut().find(|subject| subject.name == change.setting) {
            Some(subject) => subject.changes.push(change),
            None => subjects.push(Subject { name: change.setting.clone(), changes: vec![change], awake: false }),
        }
    }
    if subjects.len() > 1 {
        subjects.push(Subject { name: AWAKE.to_owned(), changes: Vec::new(), awake: true });
        subjects.push(Subject { name: "all of these".to_owned(), changes: changes.iter().collect(), awake: true });
    }
    subjects
}

fn given_back(tree: &dyn Tree, store: &Store) -> Result<(), Failure> {
    let outcomes = apply::restore(tree, store, true).map_err(unsaved)?;
    match outcomes.iter().find(|outcome| matches!(outcome.became, Became::Refused(_))) {
        Some(outcome) => Err(Failure::Fault(format!("{} was not given back: {:?}", outcome.path, outcome.became))),
        None => Ok(()),
    }
}

/// One of the percentiles.
type Figure = fn(&Percentiles) -> u64;

/// Medians over the runs of one side, maxima over all.
struct Side {
    all: Percentiles,
    ratio: f64,
}

impl Runs {
    fn side(&self, with: usize, contestant: usize) -> Side {
        let mut all = Latencies::new();
        self.pairs.iter().for_each(|pair| all.merge(&pair[with].latencies[contestant]));
        let mut ratios: Vec<f64> = self.pairs.iter().map(|pair| pair[with].ratio(contestant, |p| p.p50)).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        Side { all: all.percentiles(), ratio: ratios[ratios.len() / 2] }
    }

    /// By how much a figure moves, when every pair agrees on the direction.
    fn moved(&self, contestant: usize, of: Figure) -> Option<f64> {
        let figure = |sample: &Sample| of(&sample.latencies[contestant].percentiles()).max(1) as f64;
        let mut quotients: Vec<f64> = self.pairs.iter().map(|[without, with]| figure(with) / figure(without)).collect();
        let agree =
            quotients.iter().all(|quotient| *quotient < 1.0) || quotients.iter().all(|quotient| *quotient > 1.0);
        quotients.sort_unstable_by(f64::total_cmp);
        (agree && quotients.len() >= PAIRS_MIN).then(|| quotients[quotients.len() / 2])
    }

    /// What it was without and with, figure by figure, and what moved.
    fn told(&self, contestant: usize) -> String {
        let [without, with] = [0, 1].map(|side| self.side(side, contestant));
        let both = |of: Figure| format!("{}, {}", time(of(&without.all)), time(of(&with.all)));
        let figures = [both(|p| p.p50), both(|p| p.p99), both(|p| p.p99_9), both(|p| p.max)].join(" | ");
        format!("{figures} | {:.2}, {:.2} | {}", without.ratio, with.ratio, self.said(contestant))
    }

    fn said(&self, contestant: usize) -> String {
        let figures: [(&str, Figure); 3] = [("p50", |p| p.p50), ("p99", |p| p.p99), ("p99.9", |p| p.p99_9)];
        let moved = figures.iter().filter_map(|(name, of)| Some((name, self.moved(contestant, *of)?)));
        let told: Vec<String> = moved.map(|(name, by)| format!("{name} {:+.0} %", (by - 1.0) * 100.0)).collect();
        if told.is_empty() { "within its own spread".to_owned() } else { told.join(", ") }
    }
}

fn print(arguments: &Arguments, all: &[Runs]) {
    if arguments.selection.place.json {
        let side = |runs: &Runs, with, contestant| {
            let side = runs.side(with, contestant);
            json!({ "latency": side.all.json(), "ratio_p50": side.ratio })
        };
        let row = |runs: &Runs| {
            let by = |contestant: usize| {
                json!({ "without": side(runs, 0, contestant), "with": side(runs, 1, contestant),
                        "moved": runs.said(contestant) })
            };
            json!({ "setting": runs.name, "pairs": runs.pairs.len(), "taken_again": runs.unequal, "shared": by(contest::SHARED), "tcp": by(contest::TCP) })
        };
        let rows: Vec<_> = all.iter().filter(|runs| !runs.pairs.is_empty()).map(row).collect();
        println!("{}", serde_json::to_string_pretty(&rows).expect("rows are plain values"));
        return;
    }
    println!("{}", contest::described(arguments.pairs, arguments.trips));
    println!(
        "Each figure without the setting, then with it; the ratio is p50 to the floor's, the median of the runs.\n"
    );
    println!("| setting | by | p50 | p99 | p99.9 | max | ratio | moved in every pair |");
    println!("|---|---|---|---|---|---|---|---|");
    for runs in all {
        if runs.pairs.is_empty() {
            println!("| `{}` | refused by this machine | | | | | | |", runs.name);
            continue;
        }
        for contestant in [contest::SHARED, contest::TCP] {
            println!("| `{}` | {} | {} |", runs.name, NAMES[contestant], runs.told(contestant));
        }
    }
    let again: Vec<String> =
        all.iter().filter(|runs| runs.unequal > 0).map(|runs| format!("{} {}", runs.name, runs.unequal)).collect();
    if !again.is_empty() {
        println!(
            "\nPairs taken again, since the bare ring's p50 moved by a quarter between two runs: {}.",
            again.join(", ")
        );
    }
}
