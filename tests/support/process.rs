//! The program itself as a process of its own: a site with its files, started, killed and stopped. Included with `#[path]`,
//! beside `disk` and `support` (the exchange), which it uses.

#![allow(dead_code, reason = "each test file uses its part")]

use crate::disk::on_disk;
use crate::support::{free_group, wait_until};
use pitlane::config::EXAMPLE;
use pitlane::launch::endpoints::Endpoints;
use pitlane::os::pages;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// Where a venue keeps what outlives the process, and what outlives the power.
pub struct Site {
    /// Goes with the power.
    pub memory: TempDir,
    disk: TempDir,
    /// The configuration.
    pub config: PathBuf,
}

impl Site {
    /// With segments and this promise, and more changes of the example's text. `None`, with a line, where there is no disk to
    /// test on.
    pub fn new(survives: &str, changes: &[(&str, &str)]) -> Option<Site> {
        let disk = on_disk()?;
        let memory = tempfile::tempdir_in(pages::memory_backed(256 << 20)).unwrap();
        let config = disk.path().join("pitlane.toml");
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let segments = format!("segments = {:?}\n", disk.path().join("segments"));
        let text = EXAMPLE
            .replace("\"/dev/shm/pitlane\"", &format!("{:?}", memory.path().join("venue")))
            .replace("orders_max = 1_048_576", "orders_max = 65_536")
            .replace("tick_ms = 1_000", "tick_ms = 0")
            .replace("log_mebibytes = 512", "log_mebibytes = 16")
            .replace("survives = \"process-crash\"", &format!("{segments}survives = \"{survives}\""))
            .replace("segment_mebibytes = 64", "segment_mebibytes = 1")
            .replace("idle = \"auto\"", "idle = \"yield\"")
            .replace("placement = \"auto\"", "placement = \"shared\"")
            .replace("127.0.0.1:15000", &free.to_string())
            .replace("127.0.0.1:26401", "127.0.0.1:0")
            .replace("239.195.1.1:26400", &free_group().to_string());
        let text = changes.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{from} is in the example");
            text.replace(from, to)
        });
        std::fs::write(&config, text).unwrap();
        Some(Site { memory, disk, config })
    }

    /// Directory of log, sockets and counters.
    pub fn venue(&self) -> PathBuf {
        self.memory.path().join("venue")
    }

    /// Directory of the segments.
    pub fn segments(&self) -> PathBuf {
        self.disk.path().join("segments")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pitlane"));
        command.args(words).arg("--config").arg(&self.config);
        command
    }

    /// A command from start to end.
    pub fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// A running exchange.
    pub fn start(&self) -> Venue {
        let mut child = self.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
            match line.unwrap().as_str() {
                "ready" => return Venue { endpoints: Endpoints::read(&self.venue()).unwrap(), child, lines },
                other => lines.push(other.to_owned()),
            }
        }
        panic!("it did not start: {:?}", child.wait_with_output());
    }
}

/// A running exchange.
pub struct Venue {
    child: Child,
    /// Where it is reached.
    pub endpoints: Endpoints,
    /// What it said at start.
    pub lines: Vec<String>,
}

impl Venue {
    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for its end; code, and what it said about faults.
    pub fn end(mut self) -> (Option<i32>, String) {
        wait_until("the process ends", || self.child.try_wait().unwrap().is_some());
        let code = self.child.wait().unwrap().code();
        let mut said = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
        (code, said)
    }

    /// SIGTERM, and its code.
    pub fn stop(self) -> i32 {
        self.terminate();
        self.end().0.unwrap()
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
