//! The exchange that is measured: this very program as a process of its own, with a configuration for the purpose.
//!
//! It is the embedded example with as many logins as asked for, its hot agents on the last core, and room in its log
//! and streams for what one case sends. Every case gets a fresh one, so that none is measured with another's leftovers.

use super::contest::Subject;
use crate::cli::room::memory_backed;
use crate::client::orders::{Address, OrderOptions, OrderSession};
use crate::config::{Config, EXAMPLE};
use crate::launch::endpoints::Endpoints;
use crate::measure::load::Transport;
use crate::os::signal;
use std::io::{self, BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Password behind the example's hashes.
const PASSWORD: &str = "SECRET";
/// Bytes of a record in the log.
const RECORD_BYTES: u64 = 192;
/// Bytes of an answer in a session's stream, and of what one request adds to the feed, at most and on average.
const ANSWER_BYTES: u64 = 128;
const FEED_BYTES: u64 = 96;
/// Accounts of the example by their part in a flow.
const MAKERS: [&str; 2] = ["maker-one", "maker-two"];
const TAKERS: [&str; 2] = ["taker-one", "taker-two"];

/// What a case needs of its exchange.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// `auto`, `plain` or `io_uring`.
    pub engine: String,
    /// Client sessions.
    pub sessions: usize,
    /// Requests of the whole case.
    pub requests: u64,
    /// Lines of TOML more, by section: `("journal", "survives = …")`.
    pub knobs: Vec<(String, String)>,
}

/// A running exchange. Ends, with its files, when dropped.
pub struct Venue {
    process: Child,
    /// Held open, so that its last words have where to go.
    _words: BufReader<ChildStdout>,
    directory: PathBuf,
    endpoints: Endpoints,
    config: Config,
    /// What it said about its threads and its network.
    pub announced: Vec<String>,
}

/// The configuration as text.
fn text(wanted: &Wanted) -> String {
    let (text, logins) = EXAMPLE.split_once("# The password of these").expect("the example's logins come last");
    let hash = logins.split('"').find(|text| text.starts_with("$argon2id$")).expect("the example has a login");
    let mebibytes = |bytes: u64, at_least: u64| (bytes >> 20) + at_least;
    let each = wanted.requests / wanted.sessions.max(1) as u64;
    let mut text = text
        .replace("placement = \"auto\"", "placement = \"shared\"")
        .replace("ways = 16384 ", "ways = 65536 ")
        .replace("engine = \"auto\"", &format!("engine = \"{}\"", wanted.engine))
        .replace("connections_max = 128", &format!("connections_max = {}", wanted.sessions.max(8)))
        .replace("log_mebibytes = 512", &format!("log_mebibytes = {}", mebibytes(wanted.requests * RECORD_BYTES, 32)))
        .replace("stream_mebibytes = 64", &format!("stream_mebibytes = {}", mebibytes(each * ANSWER_BYTES * 2, 16)))
        .replace(
            "store_mebibytes = 256",
            &format!("store_mebibytes = {}", mebibytes(wanted.requests * FEED_BYTES, 32)),
        );
    for (section, line) in &wanted.knobs {
        text = with_knob(&text, section, line);
    }
    for login in 0..wanted.sessions {
        let half = wanted.sessions.div_ceil(2);
        let account = if login < half { MAKERS[login % 2] } else { TAKERS[(login - half) % 2] };
        let user = user(login);
        text += &format!("[[login]]\nuser = \"{user}\"\naccount = \"{account}\"\npassword_hash = \"{hash}\"\n");
        text += "self_match = \"off\"\ncancel_on_disconnect = false\n";
    }
    text
}

/// The text with this line in its section, in place of one that sets the same key.
fn with_knob(text: &str, section: &str, line: &str) -> String {
    let heading = format!("[{section}]");
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let (mut out, mut is_inside) = (String::new(), false);
    for old in text.lines() {
        if old.starts_with('[') {
            is_inside = old == heading;
        }
        if !is_inside || key(old) != key(line) {
            out += &format!("{old}\n");
        }
        if old == heading {
            out += &format!("{line}\n");
        }
    }
    // A section of its own: in front, where no table of an array is open.
    if out.contains(&format!("{heading}\n")) { out } else { format!("{heading}\n{line}\n{out}") }
}

fn user(login: usize) -> String {
    format!("U{login:04}")
}

/// A new directory in memory, where there is one.
fn directory(log_bytes: usize) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = memory_backed(log_bytes).join(format!("pitlane-measure-{}-{count}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

impl Venue {
    /// Starts one and waits until it is ready. To be called from a thread that is not pinned: the child inherits that.
    ///
    /// # Errors
    /// What the system says, or what the exchange said instead of starting.
    pub fn start(program: &Path, wanted: &Wanted) -> io::Result<Venue> {
        let config = Config::parse("measure", &text(wanted)).map_err(|faults| io::Error::other(faults.to_string()))?;
        let directory = directory(config.journal.log_bytes)?;
        let started = Venue::start_in(program, config, &text(wanted), &directory);
        if started.is_err() {
            let _gone = std::fs::remove_dir_all(&directory);
        }
        started
    }

    fn start_in(program: &Path, config: Config, text: &str, directory: &Path) -> io::Result<Venue> {
        let file = directory.join("measure.toml");
        std::fs::write(&file, text)?;
        let free = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(&file).arg("--directory").arg(directory);
        command.args(["--listen", "127.0.0.1:0", "--rerequest", "127.0.0.1:0"]);
        command.args(["--feed", &format!("239.195.1.1:{free}")]);
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut words = BufReader::new(stdout);
        let (mut announced, mut line, mut ready) = (Vec::new(), String::new(), false);
        while !ready && words.read_line(&mut line)? > 0 {
            ready = line.trim_end() == "ready";
            if ["journal", "network", "placement", "thread", "note"].iter().any(|start| line.starts_with(start)) {
                announced.push(line.trim_end().to_owned());
            }
            line.clear();
        }
        let endpoints = Endpoints::read(directory);
        match endpoints {
            Ok(endpoints) if ready => {
                let directory = directory.to_owned();
                Ok(Venue { process, _words: words, directory, endpoints, config, announced })
            }
            _ => {
                let _ended_already = process.kill();
                let _reaped = process.wait();
                Err(io::Error::other("the exchange did not start; what it said stands above"))
            }
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Logs all of its logins in; nothing is kept to be sent again.
    ///
    /// # Errors
    /// What a session says.
    pub fn log_in(&self, transport: Transport) -> io::Result<Vec<(OrderSession, Transport)>> {
        let address = match (transport, &self.endpoints.shared) {
            (Transport::Shared, Some(path)) => Address::Shared(path.clone()),
            (Transport::Shared, None) => return Err(io::Error::other("the exchange has no shared memory")),
            (Transport::Tcp, _) => Address::Tcp(self.endpoints.orders),
        };
        let connect = |login| {
            let options =
                OrderOptions { unanswered_max: 0, ..OrderOptions::new(address.clone(), &user(login), PASSWORD) };
            OrderSession::connect(options).map(|session| (session, transport)).map_err(io::Error::other)
        };
        (0..self.config.market.sessions.len()).map(connect).collect()
    }
}

impl Subject for Venue {
    fn config(&self) -> &Config {
        &self.config
    }

    fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    fn ended(&mut self) -> Option<String> {
        self.process.try_wait().ok().flatten().map(|status| status.to_string())
    }

    fn resume(&self) -> io::Result<()> {
        signal::resume(self.id())
    }

    fn halt(&self) -> io::Result<()> {
        signal::halt(self.id())
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
        let _gone = std::fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_valid_for_any_number_of_sessions_and_knobs_are_added() {
        for sessions in [1, 2, 7, 64] {
            let wanted = Wanted { engine: "plain".into(), sessions, requests: 1_000_000, knobs: Vec::new() };
            let config = Config::parse("measure", &text(&wanted)).unwrap();
            assert_eq!(config.market.sessions.len(), sessions);
            assert_eq!(config.stages.ways, 65_536);
            assert!(config.journal.log_bytes as u64 > wanted.requests * RECORD_BYTES);
            let knobs = vec![("journal".to_owned(), "lock_required = true".to_owned())];
            let changed = Config::parse("measure", &text(&Wanted { knobs, ..wanted.clone() })).unwrap();
            assert!(changed.journal.lock_required && !config.journal.lock_required);
            let knobs = vec![("nowhere".to_owned(), "knob = 1".to_owned())];
            let unknown = Config::parse("measure", &text(&Wanted { knobs, ..wanted })).unwrap_err();
            assert!(unknown.to_string().contains("nowhere"), "{unknown}");
        }
    }
}
