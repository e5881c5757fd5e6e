//! What a stopped exchange leaves behind to be checked against: how far it came and the digests of all it produced.
//!
//! Written once, after the last agent has stopped; `pitlane replay --verify` and the demonstration replay the journal
//! and compare. The file is derived: deleting it loses a check, no data.

use super::twin::combined_digest;
use crate::types::{Market, Number};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Digest and length of one output stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamEnd {
    /// Login, or "feed".
    pub name: String,
    /// Messages in it.
    pub messages: u64,
    /// Digest of every byte.
    pub digest: String,
}

/// The end of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Closing {
    /// Last record.
    pub number: u64,
    /// Digest of OMS and books.
    pub state: String,
    /// Every client's stream.
    pub streams: Vec<StreamEnd>,
    /// The price feed.
    pub feed: StreamEnd,
}

/// Digests as they are written and compared.
pub fn hex(digest: u64) -> String {
    format!("{digest:016x}")
}

impl Closing {
    /// Where it lies.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join("closing.json")
    }

    /// From the digests of the parts: the OMS, each shard in order, each session in order, the feed.
    pub fn of(
        number: Number,
        oms: u64,
        shards: impl Iterator<Item = u64>,
        market: &Market,
        streams: impl Iterator<Item = (u64, u64)>,
        feed: (u64, u64),
    ) -> Closing {
        let end = |name: &str, (messages, digest): (u64, u64)| StreamEnd {
            name: name.to_owned(),
            messages,
            digest: hex(digest),
        };
        Closing {
            number: number.0,
            state: hex(combined_digest(oms, shards)),
            streams: market.sessions.iter().zip(streams).map(|(s, ends)| end(&s.user, ends)).collect(),
            feed: end("feed", feed),
        }
    }

    /// Writes it beside the log, whole or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let path = Closing::path(directory);
        let unfinished = path.with_extension("new");
        std::fs::write(&unfinished, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(unfinished, path)
    }

    /// Takes away what an earlier run left: a run that ends without its last words must not be checked against those.
    ///
    /// # Errors
    /// What the system says, but for there being none.
    pub fn forget(directory: &Path) -> io::Result<()> {
        match std::fs::remove_file(Closing::path(directory)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// There is none, or it is not one.
    pub fn read(directory: &Path) -> io::Result<Closing> {
        let bytes = std::fs::read(Closing::path(directory))?;
        serde_json::from_slice(&bytes).map_err(io::Error::from)
    }

    /// What differs from another, a line each; empty when nothing does.
    pub fn differences(&self, replayed: &Closing) -> Vec<String> {
        let mut lines = Vec::new();
        if self.number != replayed.number {
            lines.push(format!("last record: live {}, replayed {}", self.number, replayed.number));
        }
        if self.state != replayed.state {
            lines.push(format!("state digest: live {}, replayed {}", self.state, replayed.state));
        }
        let pairs = self.streams.iter().zip(&replayed.streams).chain([(&self.feed, &replayed.feed)]);
        for (live, again) in pairs.filter(|(live, again)| live != again) {
            lines.push(format!(
                "stream {}: live {} messages {}, replayed {} messages {}",
                live.name, live.messages, live.digest, again.messages, again.digest
            ));
        }
        lines
    }
}
