//! A trading client of the simulator, written from the protocol and not from our own client: an independent record of what
//! it sent and what it was told.
//!
//! It sends orders, cancels and replaces, breaks off at any byte, stops reading, comes back and asks from its next number,
//! and sends again what has no answer, sometimes after asking which number the venue takes next and sometimes blindly. What
//! it holds against the venue at once: each message has the number it waits for, each answer is to something it sent, and
//! no order is acknowledged twice or executed beyond what is open of it.

use crate::network::{Read, WireId, Wires};
use crate::support::random::Random;
use crate::time::Time;
use crate::trace::Trace;
use pitlane::client::orders::{NewOrder, Replacement};
use pitlane::types::order::{Display, SideCode, TimeInForce};
use pitlane::types::{Firm, Price, Quantity, Symbol, UserRef};
use pitlane::wire::ouch::inbound::{AccountQuery, CancelOrder, DisableEntry, EnableEntry, Inbound, MassCancel};
use pitlane::wire::ouch::outbound::DAY_END;
use pitlane::wire::ouch::{MESSAGE_MAX, Outbound, Tags};
use pitlane::wire::soup::{
    CLIENT_HEARTBEAT, LOGOUT, LoginReject, LoginRequest, ServerPacket, SessionName, unsequenced_header,
};
use std::collections::{BTreeMap, VecDeque};

/// Requests without an answer at most; then it waits.
const UNANSWERED_MAX: usize = 40;
/// Own silence after which it gives a sign of life.
const HEARTBEAT_NS: u64 = 1_000_000_000;
/// Silence of the venue after which it gives a connection up; and as long for a login's answer.
const SILENCE_NS: u64 = 20_000_000_000;

/// How a client behaves; drawn for each.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Sends again without asking what the venue has.
    pub blind: bool,
    /// Times in a thousand turns that it breaks off.
    pub breaks: u64,
    /// Times in a thousand turns that it stops reading for a while.
    pub deaf: u64,
    /// Times in a thousand turns that it sends nonsense.
    pub nonsense: u64,
    /// Times in a thousand turns that it sends an answered request again.
    pub repeats: u64,
    /// Orders and the like in a hundred turns.
    pub trades: u64,
}

impl Habits {
    /// Well-behaved.
    pub const GOOD: Habits = Habits { blind: false, breaks: 0, deaf: 0, nonsense: 0, repeats: 0, trades: 0 };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    Down,
    /// Sent its login, waits for the answer.
    Entering(WireId),
    Live(WireId),
}

/// A request that uses up its number.
struct Request {
    user_ref: u32,
    message: Vec<u8>,
}

/// What it trades in.
#[derive(Clone, Debug)]
pub struct Trades {
    pub symbols: Vec<Symbol>,
    pub firm: Firm,
    /// Lowest price of an order, and prices above it.
    pub price_low: u32,
    pub price_steps: u64,
}

/// What is open of its orders, by number, as the messages say.
#[derive(Default)]
struct Ledger {
    open: BTreeMap<u32, u64>,
    acknowledged: BTreeMap<u32, ()>,
}

/// One login and its program.
pub struct Client {
    pub user: String,
    pub habits: Habits,
    index: u64,
    random: Random,
    time: Time,
    wires: Wires,
    trace: Trace,
    trades: Trades,
    link: Link,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// Every message of the stream so far, without its header; the next has the number after.
    heard: Vec<Vec<u8>>,
    ledger: Ledger,
    /// All numbered requests ever sent, the oldest first.
    sent: Vec<Request>,
    /// Indexes of `sent` without an answer, in their order.
    unanswered: VecDeque<usize>,
    next_ref: u32,
    /// Waits for the venue to say which number it takes next.
    asking: bool,
    spoke_ns: u64,
    heard_ns: u64,
    deaf_until_ns: u64,
    dial_after_ns: u64,
    ended: bool,
}

impl Client {
    pub fn new(
        user: &str,
        (index, habits, trades): (u64, Habits, Trades),
        random: Random,
        time: Time,
        wires: Wires,
        trace: Trace,
    ) -> Client {
        Client {
            user: user.to_owned(),
            habits,
            index,
            random,
            time,
            wires,
            trace,
            trades,
            link: Link::Down,
            inbox: Vec::new(),
            outbox: Vec::new(),
            heard: Vec::new(),
            ledger: Ledger::default(),
            sent: Vec::new(),
            unanswered: VecDeque::new(),
            next_ref: 1,
            asking: false,
            spoke_ns: 0,
            heard_ns: 0,
            deaf_until_ns: 0,
            dial_after_ns: 0,
            ended: false,
        }
    }

    /// The stream as it came.
    pub fn heard(&self) -> &[Vec<u8>] {
        &self.heard
    }

    /// Whether it is connected and all that it has to say is on its way.
    pub fn is_connected(&self) -> bool {
        self.ended || matches!(self.link, Link::Live(_)) && !self.asking && self.outbox.is_empty()
    }

    /// Whether all that it said is answered, too.
    pub fn is_settled(&self) -> bool {
        self.is_connected() && (self.ended || self.unanswered.is_empty())
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Requests it made.
    pub fn requests(&self) -> u64 {
        self.sent.len() as u64
    }

    pub fn state(&self) -> String {
        format!("{:?}, {} heard, unanswered {:?}, asking {}", self.link, self.heard.len(), self.unanswered, self.asking)
    }

    /// The promise allowed the venue to forget what came after the first `count` messages.
    pub fn forget_after(&mut self, count: usize) {
        if self.heard.len() <= count {
            return;
        }
        self.trace.count("client set back", &[self.index, count as u64]);
        self.heard.truncate(count);
        self.ledger = Ledger::default();
        for at in 0..count {
            let message = Outbound::parse(&self.heard[at]).expect("it was read before");
            self.ledger.take(&message, &self.user);
        }
    }

    /// From here on it behaves, and reads at once.
    pub fn reform(&mut self) {
        self.habits = Habits::GOOD;
        (self.deaf_until_ns, self.dial_after_ns) = (0, 0);
    }

    /// A last order, behind which every earlier request is known to be settled.
    pub fn send_last(&mut self) {
        if matches!(self.link, Link::Live(_)) && !self.asking && !self.ended {
            self.enter();
        }
    }

    /// One turn of its program.
    pub fn turn(&mut self) {
        let now_ns = self.time.now_ns();
        match self.link {
            _ if self.ended => {}
            Link::Down if now_ns >= self.dial_after_ns => self.dial(now_ns),
            Link::Down => {}
            Link::Entering(wire) | Link::Live(wire) => {
                self.push(wire);
                if now_ns >= self.deaf_until_ns {
                    self.pull(wire, now_ns);
                }
                self.act(now_ns);
            }
        }
    }

    fn dial(&mut self, now_ns: u64) {
        let Some(wire) = self.wires.connect() else {
            self.dial_after_ns = now_ns + self.random.below(50_000_000);
            return;
        };
        let password = if self.random.below(1000) < self.habits.nonsense { "WRONG" } else { "SECRET" };
        let name = SessionName::BLANK;
        let login = LoginRequest::new(&self.user, password, name, self.heard.len() as u64 + 1).expect("a login");
        let mut packet = [0; LoginRequest::BYTES_MAX];
        let length = login.encode(&mut packet);
        (self.inbox, self.outbox) = (Vec::new(), packet[..length].to_vec());
        (self.spoke_ns, self.heard_ns, self.asking) = (now_ns, now_ns, false);
        self.link = Link::Entering(wire);
        self.trace.note("dials", &[self.index, self.heard.len() as u64 + 1]);
    }

    fn push(&mut self, wire: WireId) {
        if !self.outbox.is_empty() {
            let count = self.wires.send(wire, &self.outbox);
            self.outbox.drain(..count);
        }
    }

    fn pull(&mut self, wire: WireId, now_ns: u64) {
        match self.wires.receive(wire) {
            Read::Bytes(bytes) => {
                self.trace.bytes("hears", self.index, &bytes);
                self.heard_ns = now_ns;
                self.inbox.extend_from_slice(&bytes);
                self.read(wire);
            }
            Read::Nothing if now_ns - self.heard_ns > SILENCE_NS => self.hang_up(false),
            Read::Nothing => {}
            Read::Closed => self.hang_up(false),
        }
    }

    /// Takes whole packets off the inbox.
    fn read(&mut self, wire: WireId) {
        loop {
            let inbox = std::mem::take(&mut self.inbox);
            let next =
                ServerPacket::next(&inbox).unwrap_or_else(|bad| panic!("{} reads what is no packet: {bad}", self.user));
            let Some((packet, length)) = next else {
                self.inbox = inbox;
                return;
            };
            match packet {
                ServerPacket::LoginAccepted(accepted) => self.enter_session(wire, accepted.sequence),
                ServerPacket::LoginRejected(reason) => self.on_refused(reason),
                ServerPacket::Sequenced(message) => self.on_message(message.to_vec()),
                ServerPacket::EndOfSession => self.on_end(),
                ServerPacket::Heartbeat | ServerPacket::Debug(_) => {}
                ServerPacket::Unsequenced(_) => panic!("{} is sent something outside its stream", self.user),
            }
            self.inbox = inbox[length..].to_vec();
        }
    }

    /// The day is over, or only this run of the venue, which may come back.
    fn on_end(&mut self) {
        let last = self.heard.last().and_then(|bytes| Outbound::parse(bytes).ok());
        match last {
            Some(Outbound::SystemEvent(event)) if event.event == DAY_END => self.ended = true,
            _ => self.hang_up(true),
        }
    }

    fn enter_session(&mut self, wire: WireId, sequence: Option<u64>) {
        assert_eq!(sequence, Some(self.heard.len() as u64 + 1), "{} goes on where it asked to", self.user);
        self.trace.count("login", &[self.index]);
        self.link = Link::Live(wire);
        if self.unanswered.is_empty() {
            return;
        }
        if self.habits.blind {
            self.send_again(0);
        } else {
            self.asking = true;
            self.say(&Inbound::AccountQuery(AccountQuery { tags: Tags::NONE }));
        }
    }

    /// A login that the venue does not take: ours was wrong, or the venue has lost what we heard.
    fn on_refused(&mut self, reason: LoginReject) {
        assert_eq!(reason, LoginReject::NotAuthorized, "{} asked for message {}", self.user, self.heard.len() + 1);
        self.trace.count("login refused", &[self.index]);
    }

    /// Sends what has no answer from a number on, in its order.
    fn send_again(&mut self, from: u32) {
        self.unanswered.retain(|&at| self.sent[at].user_ref >= from);
        for position in 0..self.unanswered.len() {
            let message = self.sent[self.unanswered[position]].message.clone();
            self.trace.count("request sent again", &[self.index]);
            self.put(&message);
        }
    }

    fn on_message(&mut self, bytes: Vec<u8>) {
        let message = Outbound::parse(&bytes).unwrap_or_else(|bad| panic!("{} is told nonsense: {bad}", self.user));
        self.heard.push(bytes);
        self.trace.add("messages delivered", 1);
        self.trace.tell(|| format!("{} hears {}: {message:?}", self.user, self.heard.len()));
        self.ledger.take(&message, &self.user);
        let answered = match &message {
            Outbound::Accepted(m) => m.user_ref,
            Outbound::Replaced(m) => m.user_ref,
            Outbound::Rejected(m) => m.user_ref,
            Outbound::MassCancelResponse(m) => m.user_ref,
            Outbound::DisableResponse(m) => m.user_ref,
            Outbound::EnableResponse(m) => m.user_ref,
            Outbound::AccountQueryResponse(m) => return self.on_next_ref(m.next_user_ref.0),
            _ => return,
        };
        let known = self.sent.binary_search_by_key(&answered.0, |request| request.user_ref);
        assert!(known.is_ok(), "{} is answered a request that it never sent: {message:?}", self.user);
        // The venue answers in its order: what came before has no answer of its own any more.
        while self.unanswered.front().is_some_and(|&at| self.sent[at].user_ref <= answered.0) {
            self.unanswered.pop_front();
        }
    }

    fn on_next_ref(&mut self, next: u32) {
        if std::mem::take(&mut self.asking) {
            self.send_again(next);
        }
    }

    /// What it does of its own accord.
    fn act(&mut self, now_ns: u64) {
        let thousandth = self.random.below(1000);
        let Habits { breaks, deaf, nonsense, repeats, trades, .. } = self.habits;
        if thousandth < breaks {
            return self.hang_up(thousandth.is_multiple_of(2));
        }
        if thousandth < breaks + deaf {
            self.deaf_until_ns = now_ns + self.random.below(5_000_000_000);
            return self.trace.count("client stops reading", &[self.index]);
        }
        if !matches!(self.link, Link::Live(_)) || self.asking {
            return;
        }
        if thousandth < breaks + deaf + nonsense {
            return self.talk_nonsense();
        }
        if thousandth < breaks + deaf + nonsense + repeats {
            return self.repeat();
        }
        if self.random.percent(trades) && self.unanswered.len() < UNANSWERED_MAX && self.outbox.len() < 4096 {
            self.trade();
        } else if now_ns - self.spoke_ns > HEARTBEAT_NS {
            self.outbox.extend_from_slice(&CLIENT_HEARTBEAT);
            self.spoke_ns = now_ns;
        }
    }

    fn trade(&mut self) {
        match self.random.below(100) {
            0..60 => self.enter(),
            60..80 => self.cancel(),
            80..93 => self.replace(),
            93..96 => self.mass_cancel(),
            96..98 => {
                let user_ref = self.take_ref();
                let firm = self.trades.firm;
                let off = self.random.percent(50);
                let message = if off {
                    Inbound::DisableEntry(DisableEntry { user_ref, firm, tags: Tags::NONE })
                } else {
                    Inbound::EnableEntry(EnableEntry { user_ref, firm, tags: Tags::NONE })
                };
                self.request(&message);
            }
            _ => self.say(&Inbound::AccountQuery(AccountQuery { tags: Tags::NONE })),
        }
    }

    fn price(&mut self) -> Price {
        Price(self.trades.price_low + 100 * self.random.below(self.trades.price_steps) as u32)
    }

    fn enter(&mut self) {
        let symbol = self.random.of(&self.trades.symbols);
        let side = self.random.of(&[SideCode::Buy, SideCode::Sell]);
        let quantity = Quantity(1 + self.random.below(200) as u32);
        let mut order = NewOrder::limit(side, quantity, symbol, self.price());
        match self.random.below(20) {
            0..3 => order = order.immediate(),
            3 => order.display = Display::Hidden,
            4 if quantity.0 > 10 => order = order.showing(Quantity(10)),
            5 => order.tags = order.tags.with_post_only(b'P'),
            6 => order.price = Price::MARKET,
            7 => order = order.stopped_at(self.price()),
            8 => order = order.for_seconds(1 + self.random.below(10) as u32),
            9 => order.time_in_force = TimeInForce::Day,
            10 => order.quantity = Quantity(0),
            _ => {}
        }
        let user_ref = self.take_ref();
        self.request(&Inbound::Enter(order.message(user_ref)));
    }

    /// One of its live orders, or any number.
    fn some_order(&mut self) -> UserRef {
        let count = self.ledger.open.len() as u64;
        if count == 0 || self.random.percent(5) {
            return UserRef(1 + self.random.below(u64::from(self.next_ref)) as u32);
        }
        let at = self.random.below(count) as usize;
        UserRef(*self.ledger.open.keys().nth(at).expect("it was counted"))
    }

    fn cancel(&mut self) {
        let user_ref = self.some_order();
        let quantity = Quantity(self.random.of(&[0, 0, 5, 50]));
        self.say(&Inbound::Cancel(CancelOrder { user_ref, quantity, tags: Tags::NONE }));
    }

    fn replace(&mut self) {
        let original = self.some_order();
        let by = Replacement::limit(Quantity(1 + self.random.below(200) as u32), self.price());
        let user_ref = self.take_ref();
        self.request(&Inbound::Replace(by.message(original, user_ref)));
    }

    fn mass_cancel(&mut self) {
        let symbol = if self.random.percent(50) { Symbol::BLANK } else { self.random.of(&self.trades.symbols) };
        let (user_ref, firm) = (self.take_ref(), self.trades.firm);
        self.request(&Inbound::MassCancel(MassCancel { user_ref, firm, symbol, tags: Tags::NONE }));
    }

    /// An old request once more: the venue must know it again.
    fn repeat(&mut self) {
        let answered = self.sent.len() - self.unanswered.len();
        if answered > 0 && self.unanswered.is_empty() {
            let at = self.random.below(answered as u64) as usize;
            let message = self.sent[at].message.clone();
            self.trace.count("old request repeated", &[self.index]);
            self.put(&message);
        }
    }

    fn talk_nonsense(&mut self) {
        let bytes: Vec<u8> = (0..1 + self.random.below(40)).map(|_| self.random.bits() as u8).collect();
        self.trace.count("nonsense sent", &[self.index]);
        if self.random.percent(50) {
            self.put(&bytes);
        } else {
            self.outbox.extend_from_slice(&bytes);
        }
    }

    fn take_ref(&mut self) -> UserRef {
        let user_ref = UserRef(self.next_ref);
        // Numbers must rise, not be dense.
        self.next_ref += if self.random.percent(5) { 3 } else { 1 };
        user_ref
    }

    fn request(&mut self, message: &Inbound) {
        let user_ref = message.user_ref_consumed().expect("a numbered request").0;
        let mut bytes = [0; MESSAGE_MAX];
        let length = message.encode(&mut bytes);
        self.unanswered.push_back(self.sent.len());
        self.sent.push(Request { user_ref, message: bytes[..length].to_vec() });
        self.trace.tell(|| format!("{} asks {message:?}", self.user));
        self.put(&bytes[..length]);
    }

    fn say(&mut self, message: &Inbound) {
        let mut bytes = [0; MESSAGE_MAX];
        let length = message.encode(&mut bytes);
        self.trace.tell(|| format!("{} says {message:?}", self.user));
        self.put(&bytes[..length]);
    }

    fn put(&mut self, message: &[u8]) {
        self.outbox.extend_from_slice(&unsequenced_header(message.len()));
        self.outbox.extend_from_slice(message);
        self.spoke_ns = self.time.now_ns();
    }

    fn hang_up(&mut self, politely: bool) {
        let (Link::Entering(wire) | Link::Live(wire)) = self.link else { return };
        self.trace.count(if politely { "client leaves" } else { "client breaks off" }, &[self.index]);
        if politely {
            self.outbox.extend_from_slice(&LOGOUT);
            self.push(wire);
            self.wires.close(wire);
        } else {
            self.wires.reset(wire);
        }
        (self.link, self.asking) = (Link::Down, false);
        self.dial_after_ns = self.time.now_ns() + self.random.below(20_000_000);
    }
}

impl Ledger {
    /// Takes a message in, and refuses what cannot be.
    fn take(&mut self, message: &Outbound, user: &str) {
        match message {
            Outbound::Accepted(m) => self.acknowledge(m.user_ref, m.quantity, user),
            Outbound::Replaced(m) => {
                self.open.remove(&m.original.0);
                self.acknowledge(m.user_ref, m.quantity, user);
            }
            Outbound::Rejected(m) => {
                let before = self.acknowledged.insert(m.user_ref.0, ());
                assert!(before.is_none(), "{user}: request {} is answered twice", m.user_ref.0);
            }
            Outbound::Executed(m) => self.reduce(m.user_ref, m.quantity, user),
            Outbound::Canceled(m) => self.reduce(m.user_ref, m.quantity, user),
            Outbound::SelfMatchCanceled(m) => self.reduce(m.user_ref, m.quantity, user),
            _ => {}
        }
    }

    fn acknowledge(&mut self, user_ref: UserRef, quantity: Quantity, user: &str) {
        let before = self.acknowledged.insert(user_ref.0, ());
        assert!(before.is_none(), "{user}: order {} is acknowledged twice", user_ref.0);
        self.open.insert(user_ref.0, u64::from(quantity.0));
    }

    fn reduce(&mut self, user_ref: UserRef, quantity: Quantity, user: &str) {
        let open = self.open.get_mut(&user_ref.0).unwrap_or_else(|| panic!("{user}: order {} is not open", user_ref.0));
        let left = open.checked_sub(u64::from(quantity.0));
        *open = left.unwrap_or_else(|| panic!("{user}: order {} loses more than is open", user_ref.0));
        if *open == 0 {
            self.open.remove(&user_ref.0);
        }
    }
}
