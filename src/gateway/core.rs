//! What the transports of a gateway share: the streams, the way to the sequencer, and which connection holds which
//! session.
//!
//! A transport owns connections and moves bytes; it asks here before it does anything that concerns a session. One
//! connection holds a session at a time: a newer login takes it over, wherever it came in, and the older connection is
//! told to close. When the last one goes and the session wants its orders cancelled then, that becomes a command
//! ahead of anything a later connection of the session sends. The same happens to a session with orders of an earlier run of
//! the process that does not come back in time. Owned by the gateway's thread; hot, O(1).

use crate::gateway::inbound::Inbound;
use crate::gateway::login::{Holder, LoginAnswer, LoginAttempt};
use crate::gateway::session::{CloseCause, Credentials};
use crate::gateway::streams::Streams;
use crate::gateway::throttle::Throttle;
use crate::journal::IntakeReader;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::link::Sender;
use crate::runtime::stamps::{Sampler, Stamp, Stamper, tsc};
use crate::runtime::way_file::Who;
use crate::types::{Command, CommandKind, Market, SessionId};
use crate::wire::soup::SessionName;

/// Connections of one kind, turned by the gateway. A connection's name is the transport's own number.
pub trait Transport: Send {
    /// Learns its index among the gateway's transports; it goes into every [`Holder`].
    fn attach(&mut self, index: u8);

    /// Runs once on the gateway's thread before the first turn.
    fn start(&mut self) {}

    /// One bounded turn: input, and output that had to wait. Says how much it did.
    fn work(&mut self, core: &mut Core) -> usize;

    /// The stream of the session that `connection` holds has grown: send. Hot.
    fn on_stream(&mut self, core: &mut Core, connection: u32);

    /// A login asked for with [`Core::ask`] is decided. The asker may be gone; compare its serial.
    fn on_login(&mut self, core: &mut Core, answer: LoginAnswer);

    /// A newer login took the session that this connection held: close it, without [`Core::release`].
    fn on_superseded(&mut self, core: &mut Core, holder: Holder);

    /// Some milliseconds have passed: heartbeats and time-outs. While the process ends ([`Core::is_ending`]) each session
    /// is sent what is left and the end of session, and who has not logged in is closed.
    fn on_clock(&mut self, core: &mut Core);

    /// What the session that `connection` holds has not taken of its stream. Now and then, to be shown.
    fn backlog(&self, core: &Core, connection: u32) -> Backlog;

    /// Connections that are open.
    fn connections(&self) -> usize;

    /// Runs once on the same thread after the last turn.
    fn stop(&mut self) {}
}

/// Bytes of its stream that a client has not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Not handed to the transport yet: its socket or ring takes no more.
    pub unsent: u64,
    /// In its ring, in whole slots, and not read. What a socket holds is the kernel's affair and not known.
    pub unread: u64,
}

/// What became of a client's message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Submission {
    /// It is on its way.
    Taken,
    /// Not now: the way to the sequencer is full. Keep it and read no further.
    LinkFull,
    /// Not now: the session is above its rate. Keep it and read no further.
    Throttled,
    /// It is no message: disconnect.
    Malformed,
    /// The journal has room for cancels only, this is none, and the session has been told often enough: disconnect. It
    /// was not looked at any further; who comes back finds its number unused.
    NoRoom,
}

/// How fast a session may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rate {
    /// Messages a second on average; 0 for no limit.
    pub messages_per_second: u32,
    /// Messages at once.
    pub burst: u32,
}

/// What gateways count. Names begin with `gateway.`.
#[derive(Debug)]
pub struct GatewayCounters {
    /// Messages turned into commands.
    pub messages_in: Counter,
    /// Reports that became messages of a stream.
    pub messages_out: Counter,
    /// Logins that became live.
    pub logins: Counter,
    /// Turns in which a message had to wait for room to the sequencer.
    pub link_full: Counter,
    /// Turns in which a message had to wait for its session's rate.
    pub throttled: Counter,
    /// Turns in which reports had to wait because a stream is full.
    pub stream_full: Counter,
    /// Sessions whose orders were cancelled because they did not come back after the start.
    pub absent: Counter,
    /// Connections now.
    pub connections: Counter,
    /// Connections closed at once for want of a place.
    pub connections_refused: Counter,
    /// Times the ring had no buffer of a connection left.
    pub buffers_empty: Counter,
    /// Calls into the ring.
    pub ring_enters: Counter,
    /// Calls into the ring, or accepts, that failed.
    pub network_faults: Counter,
    closed: [Counter; CloseCause::ALL.len()],
}

impl GatewayCounters {
    /// How many [`GatewayCounters::new`] adds.
    pub const COUNT: usize = 12 + CloseCause::ALL.len();

    /// Adds them all.
    pub fn new(counters: &mut Counters) -> GatewayCounters {
        let mut add = |name: &str| counters.add(&format!("gateway.{name}"));
        GatewayCounters {
            messages_in: add("messages_in"),
            messages_out: add("messages_out"),
            logins: add("logins"),
            link_full: add("link_full"),
            throttled: add("throttled"),
            stream_full: add("stream_full"),
            absent: add("absent"),
            connections: add("connections"),
            connections_refused: add("connections_refused"),
            buffers_empty: add("buffers_empty"),
            ring_enters: add("ring_enters"),
            network_faults: add("network_faults"),
            closed: CloseCause::ALL.map(|cause| add(&format!("closed.{}", cause.word()))),
        }
    }

    /// Connections closed for `cause`.
    pub fn closed(&self, cause: CloseCause) -> &Counter {
        &self.closed[cause.index()]
    }
}

/// A session as the gateway sees it.
struct Place {
    holder: Option<Holder>,
    throttle: Throttle,
    cancels_when_lost: bool,
    /// Messages taken, and logins that became live.
    messages: u64,
    logins: u64,
    /// Requests other than cancels since the journal has had room for cancels only: queries, and all others.
    asked: [u64; 2],
}

/// See the file's head.
pub struct Core {
    /// What clients are sent.
    pub streams: Streams,
    /// What is counted.
    pub counters: GatewayCounters,
    inbound: Inbound,
    commands: Sender<Command>,
    attempts: Sender<LoginAttempt>,
    name: SessionName,
    places: Box<[Place]>,
    intake: IntakeReader,
    /// Which messages' ways are stamped; the sequencer counts the same.
    sampler: Sampler,
    stamps: Stamper,
    /// What `asked` of a place may come to.
    asked_max: u64,
    /// Some place has asked.
    has_asked: bool,
    /// Sessions with open orders of an earlier run that have not logged in since; their orders go at `grace_until_ns`.
    awaited: Vec<SessionId>,
    grace_ns: u64,
    grace_until_ns: u64,
    /// Sessions whose loss the sequencer has not been told yet, each once.
    lost: Vec<SessionId>,
    /// Holders that a newer login has replaced and that do not know it yet.
    superseded: Vec<Holder>,
    is_ending: bool,
    now_ns: u64,
    serial: u32,
}

impl Core {
    /// For the sessions of `market` with streams built for it; `commands` leads to the sequencer, `attempts` to the
    /// login desk. Cold.
    pub fn new(
        market: &Market,
        streams: Streams,
        commands: Sender<Command>,
        attempts: Sender<LoginAttempt>,
        rate: Rate,
        counters: &mut Counters,
    ) -> Core {
        let place = |spec: &crate::types::SessionSpec| Place {
            holder: None,
            throttle: Throttle::new(rate.messages_per_second, rate.burst),
            cancels_when_lost: spec.cancel_on_disconnect,
            messages: 0,
            logins: 0,
            asked: [0; 2],
        };
        Core {
            streams,
            counters: GatewayCounters::new(counters),
            inbound: Inbound::new(market),
            commands,
            attempts,
            name: SessionName(market.session_name),
            places: market.sessions.iter().map(place).collect(),
            intake: IntakeReader::unbounded(),
            sampler: Sampler::new(0),
            stamps: Stamper::off(),
            asked_max: 0,
            has_asked: false,
            awaited: Vec::new(),
            grace_ns: 0,
            grace_until_ns: u64::MAX,
            lost: Vec::with_capacity(market.sessions.len()),
            superseded: Vec::with_capacity(market.sessions.len()),
            is_ending: false,
            now_ns: 0,
            serial: 0,
        }
    }

    /// The process ends: every answer is in its stream.
    pub(super) fn end(&mut self) {
        self.is_ending = true;
    }

    /// Whether the process ends.
    pub fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// Whether nothing will be said to the session beyond its stream as it is: its day is over, or the process ends.
    #[inline]
    pub fn is_over(&self, session: SessionId) -> bool {
        self.is_ending || self.streams.is_ended(session)
    }

    /// Has it hear who may still write into the journal. When that has room for cancels only, each session may ask for
    /// `asked_max` other things, each of which becomes a refusal, and as many queries, before it is disconnected.
    pub fn with_intake(mut self, intake: IntakeReader, asked_max: u64) -> Core {
        (self.intake, self.asked_max) = (intake, asked_max);
        self
    }

    /// Stamps some of the messages, when they are read.
    pub fn with_stamps(mut self, sampler: Sampler, stamps: Stamper) -> Core {
        (self.sampler, self.stamps) = (sampler, stamps);
        self
    }

    /// Has it cancel the orders of those of `awaited` that want it when their connection is lost, and that do not log in
    /// within `grace_ns` of the start; 0 waits for ever. They are sessions with open orders, whose connections went with an
    /// earlier run, so that no connection of this one could be lost.
    pub fn with_grace(mut self, mut awaited: Vec<SessionId>, grace_ns: u64) -> Core {
        awaited.retain(|session| self.places[session.index()].cancels_when_lost);
        (self.awaited, self.grace_ns) = (awaited, grace_ns);
        self
    }

    /// The time of the start: grace begins.
    pub(super) fn begin_grace(&mut self) {
        if self.grace_ns > 0 {
            self.grace_until_ns = self.now_ns.saturating_add(self.grace_ns);
        }
    }

    /// Gives up those who have not come in time. Now and then.
    pub(super) fn look_for_absent(&mut self) {
        if self.awaited.is_empty() || self.now_ns < self.grace_until_ns {
            return;
        }
        while let Some(session) = self.awaited.pop() {
            if !self.streams.is_ended(session) {
                self.counters.absent.add(1);
                self.lost.push(session);
            }
        }
    }

    /// The gateway's coarse time: some turns old, never goes back.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Moves the time on.
    pub(super) fn set_now(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
    }

    /// Name of the trading session, as logins and their answers carry it.
    pub fn session_name(&self) -> SessionName {
        self.name
    }

    /// A number that tells a new connection from earlier ones with its name.
    pub fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    /// Has a login checked; the answer comes to the transport's `on_login`. False when too many wait: close.
    pub fn ask(&mut self, asker: Holder, credentials: Credentials) -> bool {
        self.attempts.try_push(LoginAttempt { asker, credentials }).is_ok()
    }

    /// `holder` is live for `session` from now on; whoever held it before will be told.
    pub fn claim(&mut self, session: SessionId, holder: Holder) {
        self.counters.logins.add(1);
        self.places[session.index()].logins += 1;
        self.awaited.retain(|&awaited| awaited != session);
        if let Some(before) = self.places[session.index()].holder.replace(holder) {
            self.superseded.push(before);
        }
    }

    /// `holder` is gone. If it still held `session` and the session wants it, its orders will be cancelled.
    pub fn release(&mut self, session: SessionId, holder: Holder) {
        let place = &mut self.places[session.index()];
        if place.holder != Some(holder) {
            return;
        }
        place.holder = None;
        if place.cancels_when_lost && !self.streams.is_ended(session) && !self.lost.contains(&session) {
            self.lost.push(session);
        }
    }

    /// Who holds the session.
    #[inline]
    pub fn holder(&self, session: SessionId) -> Option<Holder> {
        self.places[session.index()].holder
    }

    /// Logins of the session and messages taken from it, in this run.
    pub(super) fn heard(&self, session: SessionId) -> (u64, u64) {
        let place = &self.places[session.index()];
        (place.logins, place.messages)
    }

    /// Sends a message of `session` on its way. Only [`Submission::Taken`] uses it up.
    #[inline]
    pub fn try_submit(&mut self, session: SessionId, message: &[u8]) -> Submission {
        let read = if self.sampler.is_due() { tsc() } else { 0 };
        // A loss that waits goes first, or it would cancel what the session sent after coming back.
        if !self.lost.is_empty() || !self.commands.has_room(1) {
            self.counters.link_full.add(1);
            return Submission::LinkFull;
        }
        let command = match self.inbound.to_command(message, session) {
            Ok(command) => command,
            Err(_) => return Submission::Malformed,
        };
        if !self.intake.takes_requests() && !self.may_ask(session, command.kind) {
            return Submission::NoRoom;
        }
        let place = &mut self.places[session.index()];
        if !place.throttle.try_take(self.now_ns) {
            self.counters.throttled.add(1);
            return Submission::Throttled;
        }
        place.messages += 1;
        let pushed = self.commands.try_push(command);
        assert!(pushed.is_ok(), "a link with room takes a command");
        if command.kind.is_answered()
            && let Some(key) = self.sampler.pass()
        {
            let who = Who::of(session, command.channel, command.user_ref);
            self.stamps.push(Stamp { key, who, counted: read, ..Stamp::default() });
        }
        self.counters.messages_in.add(1);
        Submission::Taken
    }

    /// Whether a client is heard when the journal has room for cancels only.
    #[cold]
    fn may_ask(&mut self, session: SessionId, kind: CommandKind) -> bool {
        if reduces(kind) {
            return true;
        }
        // Apart, so that who was cut off for its orders still learns by a query which of them count.
        let asked = &mut self.places[session.index()].asked[usize::from(kind != CommandKind::AccountQuery)];
        *asked += 1;
        self.has_asked = true;
        *asked <= self.asked_max
    }

    /// Forgets who asked when there is room again. Now and then.
    pub(super) fn look_for_room(&mut self) {
        if self.has_asked && self.intake.takes_requests() {
            self.has_asked = false;
            self.places.iter_mut().for_each(|place| place.asked = [0; 2]);
        }
    }

    /// Tells the sequencer of lost sessions, as far as there is room.
    #[inline]
    pub(super) fn send_lost(&mut self) -> usize {
        if self.lost.is_empty() { 0 } else { self.send_lost_now() }
    }

    #[cold]
    fn send_lost_now(&mut self) -> usize {
        let mut sent = 0;
        while let Some(&session) = self.lost.last() {
            if self.commands.try_push(self.inbound.session_lost(session)).is_err() {
                break;
            }
            self.lost.pop();
            sent += 1;
        }
        sent
    }

    /// The next connection that must learn that it was replaced.
    pub(super) fn next_superseded(&mut self) -> Option<Holder> {
        self.superseded.pop()
    }
}

/// What a client may ask when there is room for cancels only.
fn reduces(kind: CommandKind) -> bool {
    matches!(kind, CommandKind::Cancel | CommandKind::Modify | CommandKind::MassCancel | CommandKind::DisableEntry)
}

impl Inbound {
    /// The command that cancels what `session` has open, because its connection is lost.
    pub fn session_lost(&self, session: SessionId) -> Command {
        let mut command = Command::new(CommandKind::SessionLost);
        command.session = session;
        (command.account, command.firm) = self.owner(session);
        command
    }
}
