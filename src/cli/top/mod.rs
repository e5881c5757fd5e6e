//! `pitlane top`: a running exchange at a glance, from the files it maps and its operator's socket.
//!
//! Reading costs the hot threads nothing: they write their counters in any case. On a terminal it is a screen where the
//! program was built with the feature `dashboard`; into a pipe, with `--plain`, or without the feature it is lines.

mod board;
#[cfg(feature = "dashboard")]
mod screen;

use super::{ConfigArgument, Failure, Outcome, endpoints};
use crate::client::operator;
use crate::launch::endpoints::Endpoints;
use board::{Board, Look};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// How long the operator's answer may take before a look goes without it.
const STATUS_MAX: Duration = Duration::from_millis(500);

/// Arguments of `top`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Milliseconds between two looks.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    every_ms: u64,
    /// Looks after which it ends; without it when it is told to, or the exchange is gone.
    #[arg(long)]
    looks: Option<u64>,
    /// Lines, also on a terminal.
    #[arg(long)]
    plain: bool,
}

/// Watches.
///
/// # Errors
/// No running exchange, or one that ends while it is watched.
pub fn main(arguments: Arguments) -> Outcome {
    let endpoints = endpoints(&arguments.config)?;
    #[cfg(feature = "dashboard")]
    if !arguments.plain && io::IsTerminal::is_terminal(&io::stdout()) {
        return screen::show(&arguments, &endpoints);
    }
    lines(&arguments, &endpoints)
}

/// The operator's status; `None` where it does not answer, or not to this user.
fn status(endpoints: &Endpoints) -> Option<Value> {
    let answer = operator::ask(&endpoints.operator, &json!({"do": "status"}), STATUS_MAX).ok()?;
    Some(answer.get("status").cloned().unwrap_or(answer))
}

fn look(endpoints: &Endpoints) -> Result<Look, Failure> {
    Look::take(endpoints, status(endpoints)).map_err(|e| Failure::Fault(format!("the exchange is gone: {e}")))
}

fn lines(arguments: &Arguments, endpoints: &Endpoints) -> Outcome {
    let mut before = look(endpoints)?;
    let mut shown = 0;
    while arguments.looks.is_none_or(|looks| shown < looks) {
        std::thread::sleep(Duration::from_millis(arguments.every_ms));
        // Its files outlive an exchange; that it runs is what it says of itself where it is reached.
        if !endpoints.operator.exists() {
            return Err(Failure::Fault("the exchange has ended".to_owned()));
        }
        let now = look(endpoints)?;
        if writeln!(io::stdout(), "{}", Board::between(&before, &now)).is_err() {
            // Whoever read has seen enough.
            return Ok(());
        }
        before = now;
        shown += 1;
    }
    Ok(())
}
