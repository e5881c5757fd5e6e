//! Where a running exchange can be reached: written beside its log when it is ready, removed when it stops, so that
//! tools on the host find ports that the system chose. Cold.

use serde::{Deserialize, Serialize};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

/// Addresses and socket paths.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoints {
    /// OUCH over SoupBinTCP.
    pub orders: SocketAddr,
    /// Shared-memory order entry, if it runs.
    pub shared: Option<PathBuf>,
    /// The operator's socket.
    pub operator: PathBuf,
    /// ITCH over MoldUDP64.
    pub feed: SocketAddrV4,
    /// Interface the feed is sent on.
    pub feed_interface: Ipv4Addr,
    /// Re-request server.
    pub rerequest: SocketAddr,
    /// Depth cache file.
    pub depth: PathBuf,
    /// Counters file.
    pub counters: PathBuf,
    /// File of stage times.
    pub stages: PathBuf,
    /// File of logins, a row each. An exchange of an earlier build tells none of these.
    #[serde(default)]
    pub sessions: PathBuf,
    /// File of tickers: what the depth cache does not have.
    #[serde(default)]
    pub tickers: PathBuf,
    /// File of the lengths of links.
    #[serde(default)]
    pub queues: PathBuf,
    /// File of the last ways, one by one.
    pub ways: PathBuf,
    /// Trading session's name on the wire.
    pub session: String,
}

impl Endpoints {
    fn path(directory: &Path) -> PathBuf {
        directory.join("endpoints.json")
    }

    /// Writes them, whole or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let unfinished = directory.join("endpoints.new");
        std::fs::write(&unfinished, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(unfinished, Endpoints::path(directory))
    }

    /// Those of the exchange that runs in this directory.
    ///
    /// # Errors
    /// None runs there.
    pub fn read(directory: &Path) -> io::Result<Endpoints> {
        let bytes = std::fs::read(Endpoints::path(directory))?;
        serde_json::from_slice(&bytes).map_err(io::Error::from)
    }

    /// The exchange has stopped. A file that is gone already is as good.
    pub fn remove(directory: &Path) {
        let _gone_already = std::fs::remove_file(Endpoints::path(directory));
    }

    /// Of an exchange whose files lie in `directory`, reached nowhere.
    #[cfg(test)]
    pub fn of_files(directory: &Path) -> Endpoints {
        let at = |name: &str| directory.join(name);
        Endpoints {
            orders: "127.0.0.1:1".parse().unwrap(),
            shared: None,
            operator: at("operator.sock"),
            feed: "239.1.1.1:1".parse().unwrap(),
            feed_interface: [127, 0, 0, 1].into(),
            rerequest: "127.0.0.1:2".parse().unwrap(),
            depth: at("depth"),
            counters: at("counters"),
            stages: at("stages"),
            sessions: at("sessions"),
            tickers: at("tickers"),
            queues: at("queues"),
            ways: at("ways"),
            session: "PITLANE001".into(),
        }
    }

    /// Lines for people.
    pub fn lines(&self) -> Vec<String> {
        let shared = self.shared.as_ref().map_or("off".to_owned(), |path| path.display().to_string());
        vec![
            format!("orders     tcp {}, shared memory {shared}", self.orders),
            format!("feed       {} on {}, re-requests {}", self.feed, self.feed_interface, self.rerequest),
            format!("operator   {}", self.operator.display()),
        ]
    }
}
