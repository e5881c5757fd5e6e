//! `pitlane top`: a running exchange at a glance, from the files it maps.
//!
//! Looking costs the hot threads nothing: they write their figures in any case, and nobody asks them. On a terminal it is
//! a screen where the program was built with the feature `dashboard`; into a pipe, with `--plain`, or without the feature
//! it is lines, and with `--json` an object for each look. Without `--config` and `--directory` it finds the exchange that
//! runs: the example's, else a demonstration's.

mod board;
mod lines;
#[cfg(any(feature = "dashboard", test))]
mod screen;

use super::running::find;
use super::{ConfigArgument, Failure, Outcome};
use crate::launch::endpoints::Endpoints;
use board::Look;
use clap::Args;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Pause between two looks for an exchange that is waited for.
const WAIT: Duration = Duration::from_millis(100);

/// Arguments of `top`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Directory of the exchange, in place of the configuration's.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Wait for an exchange where none runs yet; its end is then no fault.
    #[arg(long)]
    wait: bool,
    /// Milliseconds between two looks.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    every_ms: u64,
    /// Looks after which it ends; without it when it is told to, or the exchange is gone.
    #[arg(long)]
    looks: Option<u64>,
    /// Lines, also on a terminal.
    #[arg(long)]
    plain: bool,
    /// A line of JSON for each look, one look unless --looks says more: times in ns, rates a second.
    #[arg(long, conflicts_with = "plain")]
    json: bool,
}

/// Why it ended.
enum End {
    /// As often as it was told to, or whoever looked has seen enough.
    Seen,
    /// The exchange has stopped.
    Stopped,
}

/// Watches.
///
/// # Errors
/// No running exchange, or one that ends while it is watched.
pub fn main(arguments: Arguments) -> Outcome {
    let (_, endpoints) = found(&arguments)?;
    let end = if is_screen(&arguments) { show(&arguments, &endpoints)? } else { lines::show(&arguments, &endpoints)? };
    match end {
        End::Seen => Ok(()),
        End::Stopped if arguments.wait => {
            println!("the exchange has ended");
            Ok(())
        }
        End::Stopped => Err(Failure::Fault("the exchange has ended".to_owned())),
    }
}

/// The exchange meant; with `--wait` as soon as it is there.
fn found(arguments: &Arguments) -> Result<(PathBuf, Endpoints), Failure> {
    let mut is_told = false;
    loop {
        match find(arguments.directory.as_deref(), &arguments.config) {
            Err(Failure::Fault(why)) if arguments.wait => {
                if !std::mem::replace(&mut is_told, true) {
                    eprintln!("{why}\nwaiting for one");
                }
                std::thread::sleep(WAIT);
            }
            other => return other,
        }
    }
}

fn is_screen(arguments: &Arguments) -> bool {
    let is_wanted = !arguments.plain && !arguments.json;
    cfg!(any(feature = "dashboard", test)) && is_wanted && io::IsTerminal::is_terminal(&io::stdout())
}

#[cfg(any(feature = "dashboard", test))]
fn show(arguments: &Arguments, endpoints: &Endpoints) -> Result<End, Failure> {
    screen::show(arguments, endpoints)
}

#[cfg(not(any(feature = "dashboard", test)))]
fn show(arguments: &Arguments, endpoints: &Endpoints) -> Result<End, Failure> {
    lines::show(arguments, endpoints)
}

/// A look; `None` once the exchange has stopped in order.
fn look(endpoints: &Endpoints) -> Result<Option<Look>, Failure> {
    let looked = Look::take(endpoints);
    // Its files outlive it; that it runs is what its operator's socket says.
    if !endpoints.operator.exists() {
        return Ok(None);
    }
    looked.map(Some).map_err(|e| Failure::Fault(format!("looking at the exchange: {e}")))
}
