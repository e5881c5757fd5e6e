//! `pitlane run`: an exchange in the foreground until the operator or a signal stops it.

use super::replay::failure;
use super::{ConfigArgument, Failure, Outcome};
use crate::launch::Exchange;
use clap::Args;
use std::io::Write;

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Say nothing but faults.
    #[arg(long)]
    quiet: bool,
}

/// Runs it.
///
/// # Errors
/// A configuration, a journal or a machine that does not let it start; a stage that failed.
pub fn main(arguments: Arguments) -> Outcome {
    let config = arguments.config.load()?;
    let exchange = Exchange::open(config).map_err(failure)?;
    if !arguments.quiet {
        for line in exchange.announcement() {
            println!("{line}");
        }
        println!("ready");
        std::io::stdout().flush().map_err(|e| Failure::Fault(format!("writing to standard output: {e}")))?;
    }
    let closing = exchange.run().map_err(failure)?;
    if !arguments.quiet {
        println!("stopped after record {}, state {}", closing.number, closing.state);
    }
    Ok(())
}
