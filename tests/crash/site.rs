//! A venue's place on this machine and the program itself: configured, started, killed in many ways, started again.
//!
//! What outlives the process lies in a directory in memory, what outlives the power in one on the disk. The program is
//! the built one, in a process of its own; under strace when it is to die at its n-th system call of a kind.

#![allow(dead_code, reason = "two tests use it, each its part")]

use crate::disk::on_disk;
use crate::line::Place;
use crate::random::Random;
use pitlane::config::EXAMPLE;
use pitlane::os::pages;
use pitlane::runtime::counters::Counters;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SIGKILL: i32 = 9;
/// How long a stop may take; who gets here has hung.
const STOP_MAX: Duration = Duration::from_secs(60);

/// What a venue of this campaign promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// The log alone.
    ProcessCrash,
    /// The log, and segments behind it that nobody waits for.
    ProcessCrashWithSegments,
    PowerLoss,
}

/// At which system call a venue dies.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    pub call: &'static str,
    /// The n-th of a thread.
    pub passed: u64,
    /// Whether the kernel refuses io_uring, so that files are written with `pwrite64` and `fdatasync`.
    pub without_ring: bool,
}

/// Where a venue keeps what outlives the process, and what outlives the power.
pub struct Site {
    pub promise: Promise,
    /// Whether it can run where io_uring is refused.
    pub needs_ring: bool,
    memory: TempDir,
    disk: TempDir,
    /// What was drawn for it, to be told when something fails.
    pub drawn: String,
}

impl Site {
    /// A new venue with settings drawn at random; `None`, with a line, where there is no disk to test on.
    pub fn drawn(promise: Promise, random: &mut Random) -> Option<Site> {
        let disk = on_disk()?;
        let segments = disk.path().join("segments");
        let engine = random.of(&["auto", "plain", "io_uring"]);
        let matchers = 1 + random.below(2);
        let mut settings = vec![("engine", format!("{engine:?}")), ("matchers", matchers.to_string())];
        let mut drawn = format!("{promise:?}, engine {engine}, {matchers} matchers");
        if promise != Promise::ProcessCrash {
            // A log so small that it goes round many times, and snapshots that are many.
            let (log, snapshot) = (1 + random.below(3), random.of(&[0, 500, 3_000, 20_000]));
            let old = random.of(&["keep", "archive"]);
            settings.push(("log_mebibytes", log.to_string()));
            settings.push(("snapshot_records", snapshot.to_string()));
            settings.push(("old_segments", format!("{old:?}")));
            drawn += &format!(", log of {log} MiB, a snapshot every {snapshot} records, old segments: {old}");
        }
        let mut site = Site::at(promise, disk, &segments, &settings);
        site.needs_ring = engine == "io_uring";
        site.drawn = drawn;
        Some(site)
    }

    /// A venue with its segments in a place of its own.
    pub fn at(promise: Promise, disk: TempDir, segments: &Path, settings: &[(&str, String)]) -> Site {
        let mut named = tempfile::Builder::new();
        named.prefix("pitlane-crash-");
        let memory = named.tempdir_in(pages::memory_backed(256 << 20)).unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut text = EXAMPLE.to_owned();
        let general = [
            ("directory", format!("{:?}", memory.path().join("venue"))),
            ("orders_max", "65_536".into()),
            ("log_mebibytes", "32".into()),
            ("segment_mebibytes", "1".into()),
            ("idle", "\"yield\"".into()),
            ("placement", "\"shared\"".into()),
            ("listen", "\"127.0.0.1:0\"".into()),
            ("connections_max", "16".into()),
            ("stream_mebibytes", "16".into()),
            ("silence_ms_max", "99_999".into()),
            ("group", format!("\"239.195.7.7:{port}\"")),
            ("rerequest", "\"127.0.0.1:0\"".into()),
            ("store_mebibytes", "32".into()),
            // A client that died with the venue's connection keeps its orders.
            ("cancel_on_disconnect", "false".into()),
        ];
        general.iter().chain(settings).for_each(|(key, value)| set(&mut text, key, value));
        let segments = format!("segments = {segments:?}");
        match promise {
            Promise::ProcessCrash => {}
            Promise::ProcessCrashWithSegments => set(&mut text, "survives", &format!("\"process-crash\"\n{segments}")),
            Promise::PowerLoss => set(&mut text, "survives", &format!("\"power-loss\"\n{segments}")),
        }
        std::fs::write(disk.path().join("pitlane.toml"), text).unwrap();
        Site { promise, needs_ring: false, memory, disk, drawn: format!("{promise:?}") }
    }

    fn venue(&self) -> PathBuf {
        self.memory.path().join("venue")
    }

    /// Everything in memory is gone, as after a loss of power.
    pub fn lose_memory(&self) {
        // A venue that was killed before it began has left nothing.
        let _ = std::fs::remove_dir_all(self.venue());
    }

    /// Harms one of the files beside the segments that are made from them; whether there was one.
    pub fn harm_derived(&self, random: &mut Random) -> bool {
        let mut files = Vec::new();
        let mut directories = vec![self.disk.path().join("segments")];
        while let Some(directory) = directories.pop() {
            let Ok(entries) = std::fs::read_dir(directory) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    directories.push(path);
                } else if !name.starts_with("segment-") && !["lock", "clean-stop"].contains(&name.as_str()) {
                    files.push(path);
                }
            }
        }
        // The system lists them as it likes, the seed shall not depend on it.
        files.sort();
        let Some(path) = files.get(random.below(files.len().max(1) as u64) as usize) else { return false };
        let mut bytes = std::fs::read(path).unwrap();
        let at = random.below(bytes.len().max(1) as u64) as usize;
        match random.below(3) {
            0 => return std::fs::remove_file(path).is_ok(),
            1 => bytes.truncate(at),
            _ if bytes.is_empty() => return false,
            _ => bytes[at] ^= 1 << random.below(8),
        }
        std::fs::write(path, bytes).is_ok()
    }

    fn command(&self, program: &[&str], words: &[&str]) -> Command {
        let config = self.disk.path().join("pitlane.toml");
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args(words).arg("--config").arg(config);
        command
    }

    /// What a subcommand says.
    pub fn output(&self, words: &[&str]) -> Output {
        self.command(&[env!("CARGO_BIN_EXE_pitlane")], words).output().unwrap()
    }

    /// Starts the venue, to die at its n-th system call of a kind, if one is given.
    pub fn spawn(&self, death: Option<Death>) -> Venue {
        self.spawn_under(&death.as_ref().map_or(Vec::new(), strace_words))
    }

    /// Starts the venue behind the words of another program.
    pub fn spawn_under(&self, words: &[String]) -> Venue {
        let binary = env!("CARGO_BIN_EXE_pitlane");
        let program: Vec<&str> = words.iter().map(String::as_str).chain([binary]).collect();
        let errors = File::options().create(true).append(true).open(self.errors()).unwrap();
        let child = self.command(&program, &["run"]).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        Venue { child, began: Instant::now(), lines: Vec::new() }
    }

    /// A counter of the venue that runs, or ran last.
    pub fn counter(&self, name: &str) -> u64 {
        let counters = Counters::read(&self.venue().join("counters")).unwrap();
        counters.into_iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no counter {name}")).1
    }

    fn errors(&self) -> PathBuf {
        self.disk.path().join("stderr")
    }

    /// All that venues of this site have said on their standard error.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.errors()).unwrap_or_default()
    }

    /// Where a ready venue's order entry is.
    pub fn places(&self) -> (Place, Place, PathBuf) {
        let bytes = std::fs::read(self.venue().join("endpoints.json")).unwrap();
        let endpoints: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let text = |name: &str| endpoints[name].as_str().unwrap().to_owned();
        (
            Place::Tcp(text("orders").parse().unwrap()),
            Place::Shared(text("shared").into()),
            PathBuf::from(text("operator")),
        )
    }

    /// Leaves everything where it is; says where that is and what the venue said last.
    pub fn keep(mut self) -> String {
        self.memory.disable_cleanup(true);
        self.disk.disable_cleanup(true);
        let errors = self.said();
        let (memory, disk) = (self.memory.path().display(), self.disk.path().display());
        format!("{}; kept: {memory} and {disk}; its stderr: {errors}", self.drawn)
    }
}

/// Gives every `key` of the text another value; there must be one.
fn set(text: &mut String, key: &str, value: &str) {
    let mut found = false;
    let line = |line: &str| match line.strip_prefix(key).map(str::trim_start) {
        Some(rest) if rest.starts_with('=') => {
            found = true;
            format!("{key} = {value}\n")
        }
        _ => format!("{line}\n"),
    };
    *text = text.lines().map(line).collect();
    assert!(found, "the example has no {key}");
}

/// A venue that was started.
pub struct Venue {
    child: Child,
    began: Instant,
    pub lines: Vec<String>,
}

impl Venue {
    /// Waits until it is ready; the time that took, or `None` when it was killed before.
    ///
    /// # Panics
    /// When it ended by itself.
    pub fn ready(&mut self) -> Option<Duration> {
        for line in BufReader::new(self.child.stdout.as_mut().unwrap()).lines() {
            match line.unwrap().as_str() {
                "ready" => return Some(self.began.elapsed()),
                other => self.lines.push(other.to_owned()),
            }
        }
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL), "it refused to start: {status}, {:?}", self.lines);
        None
    }

    /// Waits for its end, which was to be killed.
    pub fn was_killed(&mut self) {
        let status = self.ended();
        assert_eq!(status.signal(), Some(SIGKILL), "it ended by itself: {status}, {:?}", self.lines);
    }

    /// Without warning.
    pub fn kill(&mut self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).map_or("0", str::trim);
        self.child.kill().unwrap();
        if tracer != "0" {
            // One that delays a call looks at nothing else meanwhile, and keeps the dead from being waited for.
            let _gone_already = Command::new("kill").args(["-KILL", tracer]).stderr(Stdio::null()).status();
        }
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for its end, which is under way.
    pub fn ended(&mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status,
                None => assert!(asked.elapsed() < STOP_MAX, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill();
        }
    }
}

/// Has strace kill what follows at a thread's n-th system call of a kind. The tracer is a grandchild, so that the child
/// is the program itself. Every system call is stopped at, 20 us each: strace 6.1 forgets signals to inject when a filter
/// in the kernel spares it the others (`--seccomp-bpf`).
fn strace_words(death: &Death) -> Vec<String> {
    let Death { call, passed, without_ring } = death;
    let inject = format!("inject={call}:signal=KILL:when={passed}");
    let without = without_ring.then_some("inject=io_uring_setup:error=ENOSYS");
    strace(&[Some(inject.as_str()), without].into_iter().flatten().collect::<Vec<_>>())
}

/// Words that run a program under strace with these expressions.
pub fn strace(expressions: &[&str]) -> Vec<String> {
    let before = ["strace", "-D", "-f", "-qq", "-o", "/dev/null"];
    let pairs = expressions.iter().flat_map(|expression| ["-e", expression]);
    before.into_iter().chain(pairs).map(str::to_owned).collect()
}

/// Whether programs can be killed at a system call here.
pub fn strace_works() -> bool {
    let words = strace_words(&Death { call: "execve", passed: 2, without_ring: false });
    let run = Command::new(&words[0]).args(&words[1..]).args(["sh", "-c", "exec true"]).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.signal() == Some(SIGKILL))
}
