//! An operator at the real local socket: asks for halts, kills, limits and busts, and keeps what it was answered.

use crate::support::random::Random;
use crate::trace::Trace;
use pitlane::types::CommandKind;
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// One who may operate.
pub struct Person {
    random: Random,
    trace: Trace,
    stream: Option<UnixStream>,
    asked: Option<CommandKind>,
    input: Vec<u8>,
    /// Records that the venue says it has made, and what they are.
    told: Vec<(u64, CommandKind)>,
}

impl Person {
    pub fn new(random: Random, trace: Trace) -> Person {
        Person { random, trace, stream: None, asked: None, input: Vec::new(), told: Vec::new() }
    }

    /// Records that it was told of.
    pub fn told(&self) -> &[(u64, CommandKind)] {
        &self.told
    }

    /// The venue's process is gone.
    pub fn on_fall(&mut self) {
        (self.stream, self.asked) = (None, None);
        self.input.clear();
    }

    pub fn forget_after(&mut self, number: u64) {
        self.told.retain(|told| told.0 <= number);
    }

    pub fn is_waiting(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks for something, if nothing is being asked.
    pub fn ask(&mut self, socket: &Path, symbols: &[&str], accounts: &[&str]) {
        if self.asked.is_some() {
            return;
        }
        let ticker = self.random.of(&[symbols[0], symbols[symbols.len() - 1], "all"]);
        let account = self.random.of(accounts);
        let (kind, request) = match self.random.below(12) {
            0 => (CommandKind::Halt, json!({"do": "halt", "ticker": ticker})),
            1..5 => (CommandKind::Resume, json!({"do": "resume", "ticker": ticker})),
            5 => (CommandKind::KillOn, json!({"do": "kill", "scope": "account", "name": account})),
            6..9 => (CommandKind::KillOff, json!({"do": "unkill", "scope": "account", "name": account})),
            9 => (
                CommandKind::Bust,
                json!({"do": "bust", "ticker": symbols[0], "match_number": 1 + self.random.below(30)}),
            ),
            10 => (CommandKind::Phase, json!({"do": "phase", "ticker": ticker, "phase": "halt-auction"})),
            _ => {
                let value = self.random.of(&["5", "100", "1000000"]);
                (
                    CommandKind::SetLimit,
                    json!({"do": "set-limit", "account": account, "limit": "open-orders", "value": value}),
                )
            }
        };
        self.send(socket, kind, &request);
    }

    /// Lets everybody trade again.
    pub fn ask_to_resume(&mut self, socket: &Path) {
        self.send(socket, CommandKind::Resume, &json!({"do": "resume", "ticker": "all"}));
    }

    /// Ends the day.
    pub fn ask_to_end(&mut self, socket: &Path) {
        self.send(socket, CommandKind::DayEnd, &json!({"do": "end-day"}));
    }

    fn send(&mut self, socket: &Path, kind: CommandKind, request: &Value) {
        if self.stream.is_none() {
            let stream = UnixStream::connect(socket).expect("the operator's socket is there");
            stream.set_nonblocking(true).expect("a socket can be non-blocking");
            self.stream = Some(stream);
        }
        let line = format!("{request}\n");
        self.trace.bytes("operator asks", 0, line.as_bytes());
        self.stream.as_mut().expect("it was made").write_all(line.as_bytes()).expect("a line fits into a socket");
        self.asked = Some(kind);
    }

    /// Reads what was answered.
    pub fn turn(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes) {
            Ok(count) => self.input.extend_from_slice(&bytes[..count]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "reading from the operator's socket: {error}")
            }
        }
        let Some(end) = self.input.iter().position(|&byte| byte == b'\n') else { return };
        let line: Vec<u8> = self.input.drain(..=end).collect();
        self.trace.bytes("operator is told", 0, &line);
        self.trace.add("operator's requests answered", 1);
        let answer: Value = serde_json::from_slice(&line).expect("the operator is answered in JSON");
        let kind = self.asked.take().expect("an answer to a question");
        if let Some(number) = answer["number"].as_u64() {
            self.told.push((number, kind));
        }
    }
}
