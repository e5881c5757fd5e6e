//! What a load came to: counts that account for every step, latencies, and both as people and programs read them.

use super::super::latency::{Latencies, Percentiles, time};
use super::super::table::Table;
use super::kernel::KernelSamples;
use super::schedule::{Lateness, Samples};
use crate::client::orders::Fault;
use crate::os::kernel_stamps::Offset;
use crate::os::pairs::Pairs;
use crate::types::Reject;
use std::fmt;

/// How a session reaches the venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// SoupBinTCP.
    Tcp,
    /// Rings in shared memory.
    Shared,
}

impl Transport {
    /// Both.
    pub const ALL: [Transport; 2] = [Transport::Tcp, Transport::Shared];

    /// What people read.
    pub const fn text(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Shared => "shared memory",
        }
    }
}

/// Highest reject code of the protocol.
const REJECT_CODE_MAX: usize = 0x40;

/// Rejects by their code on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejects {
    /// By code; those outside the protocol's at 0.
    counts: [u64; REJECT_CODE_MAX + 1],
}

impl Default for Rejects {
    fn default() -> Self {
        Rejects { counts: [0; REJECT_CODE_MAX + 1] }
    }
}

impl Rejects {
    #[inline]
    pub(super) fn count(&mut self, code: u16) {
        let code = usize::from(code);
        self.counts[if code <= REJECT_CODE_MAX { code } else { 0 }] += 1;
    }

    fn add(&mut self, other: &Rejects) {
        self.counts.iter_mut().zip(other.counts).for_each(|(sum, count)| *sum += count);
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Codes that came, with how often. A code stands for all causes that share it; its text names the first.
    pub fn by_code(&self) -> impl Iterator<Item = (u16, &'static str, u64)> + '_ {
        let text = |code: u16| Reject::ALL.iter().find(|r| r.wire() == code).map_or("unknown code", |r| r.text());
        let came = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        came.map(move |(code, &count)| (code as u16, text(code as u16), count))
    }
}

/// What one session sent and what came back. Requests add up: sent = answered + overtaken + lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionCounts {
    /// New orders sent.
    pub entered: u64,
    /// Replaces sent.
    pub replaced: u64,
    /// Cancels and reductions sent.
    pub cancelled: u64,
    /// Answers: Accepted.
    pub answers_accepted: u64,
    /// Answers: Replaced.
    pub answers_replaced: u64,
    /// Answers: Canceled, to a cancel; or to a replace whose terms were refused.
    pub answers_canceled: u64,
    /// Answers: Rejected.
    pub rejects: Rejects,
    /// Requests that get no answer, because the order had ended when they arrived.
    pub overtaken: u64,
    /// Requests without an answer at the end.
    pub lost: u64,
    /// Executions.
    pub fills: u64,
    /// Shares executed.
    pub fill_shares: u64,
    /// Remainders of immediate orders that were cancelled.
    pub remainders: u64,
    /// Other cancels nobody asked for (self-match prevention, the venue, an operator).
    pub cancels_unasked: u64,
    /// Reports about orders this run does not know.
    pub foreign: u64,
    /// Steps not sent: their order had ended already, or was never entered.
    pub steps_gone: u64,
    /// Steps not sent: as many orders live as may, or the key is in use.
    pub steps_no_room: u64,
    /// Steps not sent: their session had lost its connection.
    pub steps_disconnected: u64,
    /// Steps that had to wait: as many requests without an answer as may.
    pub stalls_window: u64,
    /// Steps that had to wait: the transport was full.
    pub stalls_transport: u64,
    /// Whether sends were made in time.
    pub lateness: Lateness,
    /// Why the connection was lost, if it was.
    pub fault: Option<Fault>,
}

impl SessionCounts {
    /// Requests sent.
    pub const fn sent(&self) -> u64 {
        self.entered + self.replaced + self.cancelled
    }

    /// Requests answered.
    pub fn answered(&self) -> u64 {
        self.answers_accepted + self.answers_replaced + self.answers_canceled + self.rejects.total()
    }

    /// Adds another session's counts.
    pub fn add(&mut self, other: &SessionCounts) {
        self.entered += other.entered;
        self.replaced += other.replaced;
        self.cancelled += other.cancelled;
        self.answers_accepted += other.answers_accepted;
        self.answers_replaced += other.answers_replaced;
        self.answers_canceled += other.answers_canceled;
        self.rejects.add(&other.rejects);
        self.overtaken += other.overtaken;
        self.lost += other.lost;
        self.fills += other.fills;
        self.fill_shares += other.fill_shares;
        self.remainders += other.remainders;
        self.cancels_unasked += other.cancels_unasked;
        self.foreign += other.foreign;
        self.steps_gone += other.steps_gone;
        self.steps_no_room += other.steps_no_room;
        self.steps_disconnected += other.steps_disconnected;
        self.stalls_window += other.stalls_window;
        self.stalls_transport += other.stalls_transport;
        self.lateness.add(&other.lateness);
        self.fault = self.fault.or(other.fault);
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        let rejects: serde_json::Map<String, serde_json::Value> =
            self.rejects.by_code().map(|(code, text, count)| (format!("{code:#06x} {text}"), count.into())).collect();
        serde_json::json!({
            "sent": self.sent(), "answered": self.answered(), "overtaken": self.overtaken, "lost": self.lost,
            "entered": self.entered, "replaced": self.replaced, "cancelled": self.cancelled,
            "answers_accepted": self.answers_accepted, "answers_replaced": self.answers_replaced,
            "answers_canceled": self.answers_canceled, "rejected": self.rejects.total(), "rejects": rejects,
            "fills": self.fills, "fill_shares": self.fill_shares, "remainders": self.remainders,
            "cancels_unasked": self.cancels_unasked, "foreign": self.foreign,
            "steps_gone": self.steps_gone, "steps_no_room": self.steps_no_room,
            "steps_disconnected": self.steps_disconnected,
            "stalls_window": self.stalls_window, "stalls_transport": self.stalls_transport,
            "late": self.lateness.late, "late_held": self.lateness.held, "late_ns_max": self.lateness.worst_ns,
            "fault": self.fault.map(|fault| fault.to_string()),
        })
    }
}

/// Latencies of all sessions of one transport.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Which.
    pub transport: Transport,
    /// From the intended time of sending to the first answer.
    pub intended: Latencies,
    /// From the sending itself to the first answer: what a closed-loop client would call latency.
    pub service: Latencies,
    /// From the intended time of sending to the sending: the player's own lateness, contained in `intended`.
    pub slip: Latencies,
    /// Each of them, where they are kept.
    pub samples: Samples,
    /// Those that were followed through the kernel.
    pub kernel: KernelSamples,
}

impl Measured {
    pub(super) fn new(transport: Transport, samples_max: usize, followed_max: usize) -> Measured {
        let (intended, service, slip) = (Latencies::new(), Latencies::new(), Latencies::new());
        let (samples, kernel) = (Samples::new(samples_max), KernelSamples::new(followed_max));
        Measured { transport, intended, service, slip, samples, kernel }
    }

    pub(super) fn clear(&mut self) {
        [&mut self.intended, &mut self.service, &mut self.slip].into_iter().for_each(Latencies::clear);
        self.samples.clear();
        self.kernel.clear();
    }
}

/// The whole of a run.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// The first intended send, in the host's steady time.
    pub start_ns: u64,
    /// From the first intended send to the last answer.
    pub elapsed_ns: u64,
    /// From the first intended send to the last send.
    pub sending_ns: u64,
    /// By session.
    pub sessions: Vec<SessionCounts>,
    /// By transport, those in use.
    pub measured: Vec<Measured>,
    /// Counter and clock from before the first send to behind the last answer, where readings are taken.
    pub pairs: Pairs,
    /// The host's clock against the steady one, before and behind.
    pub offsets: [Offset; 2],
}

impl LoadReport {
    /// All sessions together.
    pub fn total(&self) -> SessionCounts {
        let mut total = SessionCounts::default();
        self.sessions.iter().for_each(|counts| total.add(counts));
        total
    }

    /// Requests a second that were sent.
    pub fn rate_sent(&self) -> u64 {
        per_second(self.total().sent(), self.sending_ns)
    }

    /// Requests a second that were answered.
    pub fn rate_answered(&self) -> u64 {
        per_second(self.total().answered(), self.elapsed_ns)
    }

    /// Percentiles, a row each.
    pub fn table(&self) -> Table {
        self.measured.iter().fold(Table::new(), |table, measured| {
            let name = measured.transport.text();
            let rows = [("intended", &measured.intended), ("service", &measured.service), ("slip", &measured.slip)];
            rows.iter().fold(table, |table, (what, l)| table.row(&format!("{name}, {what}"), l.percentiles()))
        })
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "elapsed_ns": self.elapsed_ns,
            "sending_ns": self.sending_ns,
            "rate_sent": self.rate_sent(),
            "rate_answered": self.rate_answered(),
            "total": self.total().json(),
            "sessions": self.sessions.iter().map(SessionCounts::json).collect::<Vec<_>>(),
            "latencies": self.table().json(),
        })
    }
}

fn per_second(count: u64, ns: u64) -> u64 {
    (u128::from(count) * 1_000_000_000 / u128::from(ns.max(1))) as u64
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        writeln!(
            f,
            "{} requests in {} ({}/s): {} answered, {} overtaken, {} lost",
            total.sent(),
            time(self.sending_ns),
            self.rate_sent(),
            total.answered(),
            total.overtaken,
            total.lost
        )?;
        writeln!(f, "{} fills of {} shares, {} remainders", total.fills, total.fill_shares, total.remainders)?;
        for (code, text, count) in total.rejects.by_code() {
            writeln!(f, "{count} rejected: {text} ({code:#06x})")?;
        }
        let odd = [
            (total.cancels_unasked, "cancels nobody asked for"),
            (total.foreign, "reports about orders of others or of before"),
            (total.steps_gone, "steps not sent: the order had ended"),
            (total.steps_no_room, "steps not sent: too many live orders, or the key in use"),
            (total.steps_disconnected, "steps not sent: connection lost"),
            (total.stalls_window, "steps held back: too many requests without an answer"),
            (total.stalls_transport, "steps held back: the transport was full"),
        ];
        odd.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, text)| writeln!(f, "{count} {text}"))?;
        let Lateness { sends, late, held, worst_ns } = total.lateness;
        if late + held > 0 {
            let worst = time(worst_ns);
            writeln!(
                f,
                "{late} of {sends} sends late by the player's own fault (at worst {worst}), {held} by the venue's"
            )?;
        }
        if sends > 0 && !total.lateness.is_valid() {
            writeln!(f, "INVALID: the player did not keep its schedule; what follows says more about its core")?;
        }
        for (index, counts) in self.sessions.iter().enumerate() {
            if let Some(fault) = counts.fault {
                writeln!(f, "session {index} lost its connection: {fault}")?;
            }
        }
        write!(f, "{}", self.table())
    }
}

/// Where a run stands, once a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Since the first intended send.
    pub elapsed_ns: u64,
    /// Requests sent so far.
    pub sent: u64,
    /// Answered so far.
    pub answered: u64,
    /// Without an answer now.
    pub waiting: u64,
    /// How far the next send is behind its time.
    pub behind_ns: u64,
}

/// What closed-loop round trips came to.
#[derive(Clone, Debug)]
pub struct PingReport {
    /// How the session reaches the venue.
    pub transport: Transport,
    /// From sending a new order to its Accepted.
    pub enter: Latencies,
    /// From sending a cancel to its Canceled.
    pub cancel: Latencies,
}

impl PingReport {
    /// Both kinds together.
    pub fn all(&self) -> Percentiles {
        let mut all = self.enter.clone();
        all.merge(&self.cancel);
        all.percentiles()
    }

    /// Percentiles, a row each.
    pub fn table(&self) -> Table {
        let name = self.transport.text();
        Table::new()
            .row(&format!("{name}, enter to accepted"), self.enter.percentiles())
            .row(&format!("{name}, cancel to canceled"), self.cancel.percentiles())
    }
}
