//! The product itself as a process of its own: the very program that is shipped, with a configuration for the bench.

use pitlane::client::orders::{Address, OrderOptions, OrderSession};
use pitlane::config::EXAMPLE;
use pitlane::launch::endpoints::Endpoints;
use pitlane::os::pages;
use pitlane::runtime::counters::Counters;
use std::io::{self, BufRead, BufReader};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a start may take: it touches all memory the configuration asks for.
const START_MAX: Duration = Duration::from_secs(60);
/// Password behind the example's hashes.
const PASSWORD: &str = "SECRET";

/// What differs between the exchanges of one run.
#[derive(Clone, Copy)]
pub struct Setup {
    /// `plain` or `io_uring`.
    pub engine: &'static str,
    pub logins: usize,
    pub log_mebibytes: usize,
    pub stream_mebibytes: usize,
    /// One message in so many is stamped on its way; 0: none.
    pub sample: u32,
}

/// The program as built with this bench.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pitlane");

/// A running exchange. Ends, with its files, when dropped.
pub struct Exchange {
    process: Child,
    /// Held open, so that its last words have where to go.
    _words: BufReader<ChildStdout>,
    directory: PathBuf,
    endpoints: Endpoints,
    /// What it said about its threads and its network.
    pub announced: Vec<String>,
}

/// The example with this many logins in place of its four; one hash serves them all. Hot agents share the last core.
fn configuration(setup: Setup) -> String {
    let (text, logins) = EXAMPLE.split_once("# The password of these").expect("the example's logins come last");
    let hash = logins.split('"').find(|text| text.starts_with("$argon2id$")).expect("the example has a login");
    let mut text = text
        .replace("placement = \"auto\"", "placement = \"shared\"")
        .replace("engine = \"auto\"", &format!("engine = \"{}\"", setup.engine))
        .replace("log_mebibytes = 512", &format!("log_mebibytes = {}", setup.log_mebibytes))
        .replace("stream_mebibytes = 64", &format!("stream_mebibytes = {}", setup.stream_mebibytes))
        .replace("sample = 251 ", &format!("sample = {} ", setup.sample));
    for login in 0..setup.logins {
        let user = user(login);
        text += &format!("[[login]]\nuser = \"{user}\"\naccount = \"maker-one\"\npassword_hash = \"{hash}\"\n");
    }
    text
}

fn user(login: usize) -> String {
    format!("U{login:04}")
}

impl Exchange {
    /// Starts one and waits until it is ready. To be called from a thread that is not pinned: the child would inherit
    /// that.
    pub fn start(program: &str, setup: Setup) -> io::Result<Exchange> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = pages::memory_backed(2 << 30).join(format!("pitlane-bench-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let config = directory.join("bench.toml");
        std::fs::write(&config, configuration(setup))?;
        let free = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(&config).arg("--directory").arg(&directory);
        command.args(["--listen", "127.0.0.1:0", "--rerequest", "127.0.0.1:0"]);
        command.args(["--feed", &format!("239.195.1.1:{free}")]);
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut words = BufReader::new(stdout);
        let mut announced = Vec::new();
        let mut line = String::new();
        while words.read_line(&mut line)? > 0 && line.trim_end() != "ready" {
            if ["network", "placement", "thread"].iter().any(|start| line.starts_with(start)) {
                announced.push(line.trim_end().to_owned());
            }
            line.clear();
        }
        let endpoints = match await_endpoints(&directory) {
            Ok(endpoints) => endpoints,
            Err(error) => {
                let _ended_already = process.kill();
                let _reaped = process.wait();
                return Err(error);
            }
        };
        Ok(Exchange { process, _words: words, directory, endpoints, announced })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Logs in over TCP or over shared memory; nothing is kept to be sent again.
    pub fn log_in(&self, login: usize, shared: bool) -> io::Result<OrderSession> {
        let address = match (&self.endpoints.shared, shared) {
            (Some(path), true) => Address::Shared(path.clone()),
            (None, true) => return Err(io::Error::other("the exchange has no shared memory")),
            (_, false) => Address::Tcp(self.endpoints.orders),
        };
        let options = OrderOptions { unanswered_max: 0, ..OrderOptions::new(address, &user(login), PASSWORD) };
        OrderSession::connect(options).map_err(io::Error::other)
    }

    /// One of its counters; 0 when there is none of that name.
    pub fn counter(&self, name: &str) -> io::Result<u64> {
        let all = Counters::read(&self.endpoints.counters)?;
        Ok(all.iter().find(|(found, _)| found == name).map_or(0, |(_, value)| *value))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
        let _gone = std::fs::remove_dir_all(&self.directory);
    }
}

fn await_endpoints(directory: &std::path::Path) -> io::Result<Endpoints> {
    let started = Instant::now();
    loop {
        match Endpoints::read(directory) {
            Err(_) if started.elapsed() < START_MAX => std::thread::sleep(Duration::from_millis(5)),
            read => return read,
        }
    }
}
