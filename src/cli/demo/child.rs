//! An exchange as a process of its own, on free ports, in a directory of its own that goes with it.

use crate::cli::Failure;
use crate::cli::room::memory_backed;
use crate::client::operator;
use crate::config::Config;
use crate::launch::endpoints::Endpoints;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take: it touches all memory the configuration asks for.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a stop may take.
const STOP_MAX: Duration = Duration::from_secs(30);

/// A running `pitlane run`.
pub struct Exchange {
    process: Child,
    /// Held open, so that its last words have where to go.
    _words: BufReader<ChildStdout>,
    /// Its directory.
    pub directory: PathBuf,
    /// Where it is reached.
    pub endpoints: Endpoints,
}

impl Exchange {
    /// Starts one with a configuration file, or with `text` as one, and waits until it is ready; its own words go to
    /// standard output, indented.
    ///
    /// # Errors
    /// It does not start; its own words say why.
    pub fn start(config: Option<&Path>, text: Option<&str>) -> Result<Exchange, Failure> {
        Exchange::start_heard(config, text, &mut |line| println!("  {line}"))
    }

    /// The same; its own words go where the caller wants them.
    ///
    /// # Errors
    /// As [`Exchange::start`].
    pub fn start_heard(
        config: Option<&Path>,
        text: Option<&str>,
        heard: &mut dyn FnMut(&str),
    ) -> Result<Exchange, Failure> {
        let directory = memory_backed(log_bytes(config, text)?).join(format!("pitlane-demo-{}", std::process::id()));
        let failed = |what: &str, e: std::io::Error| Failure::Fault(format!("{what}: {e}"));
        let program = std::env::current_exe().map_err(|e| failed("finding this program", e))?;
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).map_err(|e| failed("a free port", e))?;
        let mut command = Command::new(program);
        command.arg("run").arg("--directory").arg(&directory);
        command.args(["--listen", "127.0.0.1:0", "--rerequest", "127.0.0.1:0", "--feed"]);
        command.arg(format!("239.195.1.1:{}", free.port()));
        if let Some(text) = text {
            let path = directory.join("demo.toml");
            std::fs::create_dir_all(&directory)
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|e| failed("writing the configuration", e))?;
            command.arg("--config").arg(path);
        } else if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let mut process =
            command.stdout(Stdio::piped()).spawn().map_err(|e| failed("starting the exchange's process", e))?;
        let mut words = BufReader::new(process.stdout.take().expect("its standard output is a pipe"));
        let mut is_ready = false;
        for line in words.by_ref().lines() {
            let line = line.map_err(|e| failed("listening to the exchange", e))?;
            if line == "ready" {
                is_ready = true;
                break;
            }
            heard(&line);
        }
        if !is_ready {
            let _reaped = process.wait();
            return Err(Failure::Fault("the exchange did not start".to_owned()));
        }
        let endpoints = wait_for(&directory)?;
        Ok(Exchange { process, _words: words, directory, endpoints })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks its operator's socket.
    ///
    /// # Errors
    /// It refuses or does not answer.
    pub fn ask(&self, request: &Value) -> Result<Value, Failure> {
        let answer = operator::ask(&self.endpoints.operator, request, STOP_MAX)
            .map_err(|e| Failure::Fault(format!("asking the exchange: {e}")))?;
        if answer["ok"] == json!(true) { Ok(answer) } else { Err(Failure::Refused(format!("the exchange: {answer}"))) }
    }

    /// Stops it in order and waits for its end.
    ///
    /// # Errors
    /// It does not end well.
    pub fn stop(&mut self) -> Result<(), Failure> {
        self.ask(&json!({"do": "stop"}))?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_MAX {
            let ended =
                self.process.try_wait().map_err(|e| Failure::Fault(format!("waiting for the exchange: {e}")))?;
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Failure::Fault(format!("the exchange ended with {status}"))),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Err(Failure::Fault("the exchange did not stop".to_owned()))
    }
}

impl Drop for Exchange {
    /// Nothing is left behind: not the process, not its files.
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
        let _gone = std::fs::remove_dir_all(&self.directory);
    }
}

/// Bytes of the log that this configuration asks for.
fn log_bytes(config: Option<&Path>, text: Option<&str>) -> Result<usize, Failure> {
    let read = match (text, config) {
        (Some(text), _) => Config::parse("generated", text),
        (None, Some(path)) => Config::load(path),
        (None, None) => Ok(Config::example()),
    };
    read.map(|config| config.journal.log_bytes).map_err(|faults| Failure::Usage(faults.to_string()))
}

fn wait_for(directory: &Path) -> Result<Endpoints, Failure> {
    let started = Instant::now();
    loop {
        match Endpoints::read(directory) {
            Ok(endpoints) => return Ok(endpoints),
            Err(e) if started.elapsed() > START_MAX => {
                return Err(Failure::Fault(format!("the exchange's endpoints in {}: {e}", directory.display())));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
