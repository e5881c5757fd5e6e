//! Why an exchange cannot start or go on. All cold; each says what was attempted, on what, and what to do.

use super::checks::Mismatch;
use crate::journal::JournalFault;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A start or a run that failed.
#[derive(Debug)]
pub enum LaunchFault {
    /// Knobs that contradict the machine or each other.
    Configuration(String),
    /// The journal was begun with other reference data.
    OtherMarket {
        /// Digest in the journal.
        found: u64,
        /// Digest of the configuration.
        expected: u64,
        /// The log.
        path: PathBuf,
    },
    /// A replay came to another state than the run did.
    State(Mismatch),
    /// The journal cannot be read or continued.
    Journal(JournalFault),
    /// The system refused.
    System {
        /// What was attempted.
        attempted: &'static str,
        /// On what.
        on: String,
        /// Its answer.
        error: io::Error,
    },
    /// A thread could not be made, or an agent failed.
    Thread(String),
}

impl fmt::Display for LaunchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LaunchFault::Configuration(text) | LaunchFault::Thread(text) => f.write_str(text),
            LaunchFault::OtherMarket { found, expected, path } => write!(
                f,
                "{} was begun with other tickers, accounts, logins or shards (digest {found:016x}, the configuration \
                 gives {expected:016x}); run it with the configuration it was begun with, or begin a new day in \
                 another partition.directory",
                path.display()
            ),
            LaunchFault::State(mismatch) => write!(f, "journal: {mismatch}"),
            LaunchFault::Journal(fault) => write!(f, "journal: {fault}"),
            LaunchFault::System { attempted, on, error } => write!(f, "{attempted} {on}: {error}"),
        }
    }
}

impl std::error::Error for LaunchFault {}

impl From<JournalFault> for LaunchFault {
    fn from(fault: JournalFault) -> LaunchFault {
        LaunchFault::Journal(fault)
    }
}

impl LaunchFault {
    /// Wraps a system error.
    pub fn system(attempted: &'static str, on: impl ToString) -> impl FnOnce(io::Error) -> LaunchFault {
        let on = on.to_string();
        move |error| LaunchFault::System { attempted, on, error }
    }
}
