//! `pitlane run`: an exchange in the foreground until the operator or a signal stops it.

use super::replay::failure;
use super::{ConfigArgument, Failure, Outcome};
use crate::launch::Exchange;
use crate::os::pages::{AwakeCores, CPU_DMA_LATENCY};
use clap::Args;
use std::io::Write;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Directory in place of the configuration's: a second exchange on the host needs its own.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// TCP address in place of the configuration's; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Feed group in place of the configuration's.
    #[arg(long, value_name = "ADDRESS")]
    feed: Option<SocketAddrV4>,
    /// Re-request address in place of the configuration's.
    #[arg(long, value_name = "ADDRESS")]
    rerequest: Option<SocketAddrV4>,
    /// Say nothing but faults.
    #[arg(long)]
    quiet: bool,
}

/// Runs it.
///
/// # Errors
/// A configuration, a journal or a machine that does not let it start; a stage that failed.
pub fn main(arguments: Arguments) -> Outcome {
    let mut config = arguments.config.load()?;
    let mut moved = config.journal.log_directory.clone().filter(|_| arguments.config.config.is_none());
    if let Some(directory) = arguments.directory {
        config.directory = directory;
        if moved.take().is_some() {
            config.journal.log_directory = None;
        }
    }
    config.gateway.listen = arguments.listen.unwrap_or(config.gateway.listen);
    config.feed.group = arguments.feed.unwrap_or(config.feed.group);
    config.feed.rerequest = arguments.rerequest.unwrap_or(config.feed.rerequest);
    // Held to the end of this function, so to the end of the process.
    let awake = config.threads.awake.then(|| AwakeCores::hold(Path::new(CPU_DMA_LATENCY)));
    let exchange = Exchange::open(config).map_err(failure)?;
    if !arguments.quiet {
        for line in exchange.announcement() {
            println!("{line}");
        }
        if let Some(path) = moved {
            println!("note       the log is in {}: memory had no room for it (`pitlane doctor`: shm)", path.display());
        }
        match &awake {
            None => println!("cores      may sleep (threads.awake = false)"),
            Some(Ok(_)) => println!("cores      kept awake ({CPU_DMA_LATENCY} held at 0)"),
            Some(Err(error)) => {
                println!("cores      may sleep: {CPU_DMA_LATENCY}: {error}; `pitlane doctor` says more")
            }
        }
        println!("ready");
        std::io::stdout().flush().map_err(|e| Failure::Fault(format!("writing to standard output: {e}")))?;
    }
    let closing = exchange.run().map_err(failure)?;
    if !arguments.quiet {
        // Whoever started it may have stopped listening by now.
        let _unheard = writeln!(std::io::stdout(), "stopped after record {}, state {}", closing.number, closing.state);
    }
    Ok(())
}
