//! Operators: a local Unix socket on which people with the right to do so halt, kill, set limits, ask, and stop.
//!
//! One line of JSON a request, one line of JSON an answer; see [`Request`]. Only the venue's own user and root are
//! heard, by the kernel's word for who is at the other end; anybody else is closed unheard. What changes state
//! becomes a command like any other, numbered and journalled with its author (`uid:<n>`), and is answered when the
//! sequencer has given the record back and it is committed; so "ok" means that it holds, also after a restart. What only asks is answered
//! by the [`StatusSource`] that the composition root brings.
//!
//! Cold: an agent of a cold thread, one system call a turn while nobody asks. Bounded: [`CLIENTS_MAX`] connections,
//! one request of each at a time, lines of [`LINE_BYTES_MAX`].

mod request;

pub use request::{BadRequest, KillScope, LimitName, Request};

use crate::os::clock::Clock;
use crate::os::unix::{self, Watch};
use crate::runtime::agent::Agent;
use crate::runtime::link::{MarkReader, Receiver, Sender};
use crate::runtime::runner::StopFlag;
use crate::types::{AccountId, Command, Market, Nanos, Reject, Sequenced, SessionId, UserRef};
use request::{Names, author};
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Connections at once.
pub const CLIENTS_MAX: usize = 8;
/// Longest request.
pub const LINE_BYTES_MAX: usize = 4096;
/// How long a command may take to become a record before its author is told that its fate is unknown.
pub const RECORD_LIMIT_NS: u64 = 10 * Nanos::SECOND;
/// Permission bits of the socket: the owner's; root needs none.
const SOCKET_MODE: u32 = 0o600;
/// Name of the listening socket in the watch; connections have their index.
const LISTENER: u64 = u64::MAX;

/// Answers questions about the running venue. Called on the operator's cold thread.
pub trait StatusSource: Send {
    /// How the venue is.
    fn status(&mut self) -> Value;

    /// One account's portfolio.
    fn portfolio(&mut self, account: AccountId) -> Value;
}

/// The operator's links to the sequencer.
pub struct OperatorLinks {
    /// Into the sequencer.
    pub commands: Sender<Command>,
    /// Every record of [`SessionId::VENUE`], in order.
    pub records: Receiver<Sequenced>,
    /// Highest committed number: a record that is not committed is not told.
    pub committed: MarkReader,
}

/// A request whose record has not come back.
struct Pending {
    command: Command,
    sent: bool,
    until_ns: u64,
}

struct Client {
    stream: UnixStream,
    uid: u32,
    input: Vec<u8>,
    output: Vec<u8>,
    pending: Option<Pending>,
}

/// The agent.
pub struct Operator<S, C> {
    names: Names,
    links: OperatorLinks,
    source: S,
    clock: C,
    stop: StopFlag,
    path: PathBuf,
    listener: UnixListener,
    watch: Watch,
    clients: [Option<Client>; CLIENTS_MAX],
    /// Goes into a command's otherwise unused `user_ref`, to know its record again.
    serial: u32,
    /// Commands of the venue's other cold agents, which have no way into the sequencer of their own.
    relayed: Option<Receiver<Command>>,
}

impl<S: StatusSource, C: Clock + Send> Operator<S, C> {
    /// Listens at `path`. `clock` does not go back. Cold.
    ///
    /// # Errors
    /// What the system said; `AddrInUse` when another venue listens there.
    pub fn open(
        path: &Path,
        market: &Market,
        links: OperatorLinks,
        source: S,
        clock: C,
        stop: StopFlag,
    ) -> io::Result<Operator<S, C>> {
        let listener = unix::listen(path, SOCKET_MODE)?;
        let watch = Watch::new()?;
        watch.add(listener.as_fd(), LISTENER)?;
        Ok(Operator {
            names: Names::new(market),
            links,
            source,
            clock,
            stop,
            path: path.to_owned(),
            listener,
            watch,
            clients: [const { None }; CLIENTS_MAX],
            serial: 0,
            relayed: None,
        })
    }

    /// Passes on the commands of another cold agent: a third input would cost the sequencer a look in every turn.
    #[must_use]
    pub fn relaying(self, commands: Receiver<Command>) -> Operator<S, C> {
        Operator { relayed: Some(commands), ..self }
    }

    fn relay(&mut self) -> usize {
        let Some(relayed) = &mut self.relayed else { return 0 };
        let mut done = 0;
        while let Some(command) = relayed.peek().copied()
            && self.links.commands.try_push(command).is_ok()
        {
            relayed.skip();
            done += 1;
        }
        done
    }

    fn accept(&mut self) {
        while let Ok(Some(stream)) = unix::accept(&self.listener) {
            // Who may not, and who finds no place, is closed by dropping the stream.
            let Ok(peer) = unix::peer(&stream) else { continue };
            if !may_operate(peer.uid) {
                continue;
            }
            let Some(index) = self.clients.iter().position(Option::is_none) else { continue };
            if self.watch.add(stream.as_fd(), index as u64).is_ok() {
                let (input, output) = (Vec::with_capacity(LINE_BYTES_MAX), Vec::new());
                self.clients[index] = Some(Client { stream, uid: peer.uid, input, output, pending: None });
            }
        }
    }

    /// Reads what a client sent; drops it when it is gone or its line has no end. While requests wait nothing more is
    /// read than one line may have.
    fn read(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else { return };
        let room = LINE_BYTES_MAX - client.input.len();
        if room == 0 {
            return;
        }
        let mut bytes = [0; LINE_BYTES_MAX];
        let gone = match client.stream.read(&mut bytes[..room]) {
            Ok(0) => true,
            Ok(count) => {
                client.input.extend_from_slice(&bytes[..count]);
                client.input.len() == LINE_BYTES_MAX && !client.input.contains(&b'\n')
            }
            Err(fault) => !matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        };
        if gone {
            self.clients[index] = None;
        }
    }

    /// Answers the next request of a client, if one is there and the one before it is answered.
    fn serve(&mut self, index: usize) -> usize {
        let Some(client) = &mut self.clients[index] else { return 0 };
        if client.pending.is_some() || !client.output.is_empty() {
            return 0;
        }
        let Some(end) = client.input.iter().position(|&byte| byte == b'\n') else { return 0 };
        let line: Vec<u8> = client.input.drain(..=end).collect();
        let uid = client.uid;
        match self.take(&line, uid) {
            Ok(Outcome::Answer(answer)) => self.answer(index, &answer),
            Ok(Outcome::Send(command)) => {
                let until_ns = self.clock.now() + RECORD_LIMIT_NS;
                let pending = Pending { command, sent: false, until_ns };
                self.clients[index].as_mut().expect("it was there").pending = Some(pending);
            }
            Err(bad) => self.answer(index, &refused(&bad.to_string())),
        }
        1
    }

    fn take(&mut self, line: &[u8], uid: u32) -> Result<Outcome, BadRequest> {
        let request: Request =
            serde_json::from_slice(line).map_err(|fault| BadRequest::Unreadable(fault.to_string()))?;
        if let Some(mut command) = self.names.command(&request)? {
            self.serial = self.serial.wrapping_add(1);
            command.session = SessionId::VENUE;
            command.user_ref = UserRef(self.serial);
            command.client_order_id = author(uid);
            return Ok(Outcome::Send(command));
        }
        Ok(Outcome::Answer(match request {
            Request::Portfolio { account } => {
                let account = self.names.account(&account)?;
                json!({ "ok": true, "portfolio": self.source.portfolio(account) })
            }
            Request::Stop => {
                self.stop.request();
                json!({ "ok": true })
            }
            Request::Status => json!({ "ok": true, "status": self.source.status() }),
            other => unreachable!("{other:?} is a command"),
        }))
    }

    fn answer(&mut self, index: usize, answer: &Value) {
        if let Some(client) = &mut self.clients[index] {
            client.pending = None;
            client.output = answer.to_string().into_bytes();
            client.output.push(b'\n');
        }
        self.write(index);
    }

    fn write(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else { return };
        while !client.output.is_empty() {
            match client.stream.write(&client.output) {
                Ok(count) if count > 0 => drop(client.output.drain(..count)),
                Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
                Ok(_) | Err(_) => {
                    self.clients[index] = None;
                    return;
                }
            }
        }
    }

    /// Moves waiting commands on: into the link as there is room, or to their end when no record came.
    fn pursue(&mut self, index: usize) -> usize {
        let Some(Pending { command, sent, until_ns }) = self.clients[index].as_mut().and_then(|c| c.pending.as_mut())
        else {
            return 0;
        };
        if !*sent && self.links.commands.try_push(*command).is_ok() {
            *sent = true;
            return 1;
        }
        if self.clock.now() < *until_ns {
            return 0;
        }
        let fate =
            if *sent { "no record yet: whether it holds is not known" } else { "the sequencer takes no commands" };
        self.answer(index, &refused(fate));
        1
    }

    /// A record of the venue is committed: whoever asked for it is answered.
    fn on_committed(&mut self, record: &Sequenced) {
        let of =
            |client: &Client| client.pending.as_ref().is_some_and(|p| p.sent && is_same(&p.command, &record.command));
        let found = self.clients.iter().position(|client| client.as_ref().is_some_and(of));
        let Some(index) = found else { return };
        let answer = match record.verdict.reject {
            Reject::None => json!({ "ok": true, "number": record.number.0, "time": record.time.0 }),
            reject => json!({ "ok": false, "number": record.number.0, "error": reject.text() }),
        };
        self.answer(index, &answer);
    }
}

enum Outcome {
    Answer(Value),
    Send(Command),
}

/// Users that are heard: the venue's own, and root.
fn may_operate(uid: u32) -> bool {
    uid == 0 || uid == unix::own_uid()
}

fn is_same(asked: &Command, recorded: &Command) -> bool {
    let key = |command: &Command| (command.kind, command.session, command.user_ref, command.client_order_id);
    key(asked) == key(recorded)
}

fn refused(why: &str) -> Value {
    json!({ "ok": false, "error": why })
}

impl<S: StatusSource, C: Clock + Send> Agent for Operator<S, C> {
    fn name(&self) -> &str {
        "operator"
    }

    fn work(&mut self) -> usize {
        let mut names = [0; Watch::EVENTS_MAX];
        let count = self.watch.ready(&mut names);
        for &name in &names[..count] {
            match name {
                LISTENER => self.accept(),
                index => self.read(index as usize),
            }
        }
        let mut done = count + self.relay();
        let committed = self.links.committed.value();
        while self.links.records.peek().is_some_and(|record| record.number.0 <= committed)
            && let Some(record) = self.links.records.pop()
        {
            self.on_committed(&record);
            done += 1;
        }
        for index in 0..CLIENTS_MAX {
            self.write(index);
            done += self.serve(index) + self.pursue(index);
        }
        done
    }

    fn stop(&mut self) {
        self.clients = [const { None }; CLIENTS_MAX];
        // The path is free for the next start; that one would clear it away too.
        let _ = std::fs::remove_file(&self.path);
    }
}
