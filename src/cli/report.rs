//! `pitlane report`: a page for people from what `pitlane measure` left, or two such side by side.

use super::{Failure, Outcome};
use crate::measure::report::{self, compare};
use crate::measure::result::files;
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `report`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Directory of a run.
    #[arg(value_name = "DIR", required_unless_present = "compare")]
    run: Option<PathBuf>,
    /// Two directories: what was, and what is.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "run")]
    compare: Option<Vec<PathBuf>>,
    /// The file written; without it `report.html` in the run's directory, or `compare.html` in B's.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the page and says where it is; of two runs also what moved.
///
/// # Errors
/// A run that cannot be read, two that cannot be compared, a file that cannot be written.
pub fn main(arguments: Arguments) -> Outcome {
    match (arguments.run, arguments.compare.as_deref()) {
        (Some(run), _) => {
            let out = arguments.out.unwrap_or_else(|| run.join("report.html"));
            write_page(&run, &out)
        }
        (None, Some([first, second])) => {
            let out = arguments.out.unwrap_or_else(|| second.join("compare.html"));
            two(first, second, &out)
        }
        (None, _) => Err(Failure::Usage("report needs the directory of a run".to_owned())),
    }
}

/// The page of one run.
///
/// # Errors
/// As [`main`].
pub fn write_page(directory: &Path, out: &Path) -> Outcome {
    let (run, series) = files::read(directory).map_err(Failure::Usage)?;
    write(out, &report::html(&run, &series))
}

fn write(out: &Path, page: &str) -> Outcome {
    std::fs::write(out, page).map_err(|e| Failure::Fault(format!("writing {}: {e}", out.display())))?;
    println!("report   {}", out.display());
    Ok(())
}

fn two(first: &Path, second: &Path, out: &Path) -> Outcome {
    let a = files::read(first).map_err(Failure::Usage)?;
    let b = files::read(second).map_err(Failure::Usage)?;
    let apart = compare::differences(&a.0, &b.0);
    if !apart.is_empty() {
        let (first, second) = (first.display(), second.display());
        return Err(Failure::Usage(format!("{first} and {second} cannot be compared: {}", apart.join("; "))));
    }
    let changes = compare::changes(&a.0, &b.0);
    for change in &changes {
        let cells = compare::cells(change);
        let verdict = cells[6].trim_start_matches('!');
        println!("{:<16} {:<6} {:<34} {:<34} {verdict}", cells[0], cells[1], cells[2], cells[3]);
    }
    let name = |path: &Path| path.display().to_string();
    write(out, &compare::html([&name(first), &name(second)], &a, &b))
}
