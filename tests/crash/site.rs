//! A venue's place on this machine and the program itself: configured, started, killed in many ways, started again.
//!
//! What outlives the process lies in a directory in memory, what outlives the power in one on the disk. The program is
//! the built one, in a process of its own; under strace when it is to die at its n-th system call of a kind.

use crate::disk::on_disk;
use crate::line::Place;
use crate::random::Random;
use pitlane::config::EXAMPLE;
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
    pub fn new(promise: Promise, random: &mut Random) -> Option<Site> {
        let disk = on_disk()?;
        let shared = Path::new("/dev/shm");
        let mut named = tempfile::Builder::new();
        named.prefix("pitlane-crash-");
        let memory = if shared.is_dir() { named.tempdir_in(shared) } else { named.tempdir() }.unwrap();
        let engine = random.of(&["auto", "plain", "io_uring"]);
        let matchers = 1 + random.below(2);
        let drawn = format!("{promise:?}, engine {engine}, {matchers} matchers");
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut text = EXAMPLE.to_owned();
        for (key, value) in [
            ("directory", format!("{:?}", memory.path().join("venue"))),
            ("matchers", matchers.to_string()),
            ("orders_max", "65_536".into()),
            ("log_mebibytes", "32".into()),
            ("segment_mebibytes", "1".into()),
            ("idle", "\"yield\"".into()),
            ("placement", "\"shared\"".into()),
            ("listen", "\"127.0.0.1:0\"".into()),
            ("engine", format!("{engine:?}")),
            ("connections_max", "16".into()),
            ("stream_mebibytes", "16".into()),
            ("silence_ms_max", "99_999".into()),
            ("group", format!("\"239.195.7.7:{port}\"")),
            ("rerequest", "\"127.0.0.1:0\"".into()),
            ("store_mebibytes", "32".into()),
            // A client that died with the venue's connection keeps its orders.
            ("cancel_on_disconnect", "false".into()),
        ] {
            set(&mut text, key, &value);
        }
        let segments = format!("segments = {:?}", disk.path().join("segments"));
        match promise {
            Promise::ProcessCrash => {}
            Promise::ProcessCrashWithSegments => set(&mut text, "survives", &format!("\"process-crash\"\n{segments}")),
            Promise::PowerLoss => set(&mut text, "survives", &format!("\"power-loss\"\n{segments}")),
        }
        std::fs::write(disk.path().join("pitlane.toml"), text).unwrap();
        Some(Site { promise, needs_ring: engine == "io_uring", memory, disk, drawn })
    }

    fn venue(&self) -> PathBuf {
        self.memory.path().join("venue")
    }

    /// Everything in memory is gone, as after a loss of power.
    pub fn lose_memory(&self) {
        // A venue that was killed before it began has left nothing.
        let _ = std::fs::remove_dir_all(self.venue());
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
        let binary = env!("CARGO_BIN_EXE_pitlane");
        let words = death.as_ref().map(strace_words);
        let program = match &words {
            Some(words) => words.iter().map(String::as_str).chain([binary]).collect(),
            None => vec![binary],
        };
        let errors = File::options().create(true).append(true).open(self.errors()).unwrap();
        let child = self.command(&program, &["run"]).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        Venue { child, began: Instant::now(), lines: Vec::new() }
    }

    fn errors(&self) -> PathBuf {
        self.disk.path().join("stderr")
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
        let errors = std::fs::read_to_string(self.errors()).unwrap_or_default();
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

    /// Whether it was killed; ended in another way it fails the test.
    pub fn was_killed(&mut self) -> bool {
        let Some(status) = self.child.try_wait().unwrap() else { return false };
        assert_eq!(status.signal(), Some(SIGKILL), "it ended by itself: {status}, {:?}", self.lines);
        true
    }

    /// Without warning.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status,
                None => assert!(asked.elapsed() < STOP_MAX, "it does not stop"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has strace kill what follows at a thread's n-th system call of a kind. The tracer is a grandchild, so that the child
/// is the program itself. Every system call is stopped at, 20 us each: strace 6.1 forgets signals to inject when a filter
/// in the kernel spares it the others (`--seccomp-bpf`).
fn strace_words(death: &Death) -> Vec<String> {
    let Death { call, passed, without_ring } = death;
    let inject = format!("inject={call}:signal=KILL:when={passed}");
    let mut words = vec!["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
    if *without_ring {
        words.extend(["-e", "inject=io_uring_setup:error=ENOSYS"]);
    }
    words.into_iter().map(str::to_owned).collect()
}

/// Whether programs can be killed at a system call here.
pub fn strace_works() -> bool {
    let words = strace_words(&Death { call: "execve", passed: 2, without_ring: false });
    let run = Command::new(&words[0]).args(&words[1..]).args(["sh", "-c", "exec true"]).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.signal() == Some(SIGKILL))
}
