//! As many orders as the exchange takes: clients keep a window of requests in flight and send without waiting.
//!
//! Two flows. *Resting*: each order rests and is cancelled a while later; both are requests with a record each.
//! *Trading*: every other order takes the one before it, so every request is an order, half of them trade. One thread
//! drives all sessions. Who the limit is shows in the client's idle time: a client that waits for answers most of the
//! time is held by the exchange; one that never waits is the limit itself. A burst leaves in one call, as a trader's
//! program would send it.

use crate::exchange::Exchange;
use crate::series::Spread;
use pitlane::client::orders::{Incoming, NewOrder, OrderSession, Refusal};
use pitlane::os::clock::monotonic_ns;
use pitlane::types::order::SideCode;
use pitlane::types::{Channel, Price, Quantity, Symbol, UserRef};
use pitlane::wire::ouch::Outbound;
use std::io;

/// Requests sent to a session before another has its turn.
const BURST: u64 = 16;
/// Orders a session has resting before it cancels the oldest.
const RESTING: u32 = 64;
/// Without an answer for so long a run is over.
const SILENCE_NS: u64 = 5_000_000_000;

/// What clients send.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Resting,
    Trading,
}

/// What came of one repeat.
pub struct Run {
    pub requests_a_second: f64,
    pub orders_a_second: f64,
    /// Part of the time in which the client had nothing to send and nothing to read.
    pub client_idle: f64,
}

/// A session and what it has under way.
struct Pipe {
    session: OrderSession,
    sent: u64,
    answered: u64,
    trades: u64,
    first: UserRef,
}

/// Clients of one exchange.
pub struct Pipes {
    pipes: Vec<Pipe>,
    order: NewOrder,
}

impl Pipes {
    /// Logs in.
    pub fn log_in(exchange: &Exchange, sessions: usize, shared: bool) -> io::Result<Pipes> {
        let symbol = Symbol::from_text("AAPL").expect("a symbol");
        let order = NewOrder::limit(SideCode::Buy, Quantity(100), symbol, Price(5_600_000));
        let pipe = |login| {
            let session = exchange.log_in(login, shared)?;
            Ok::<_, io::Error>(Pipe { session, sent: 0, answered: 0, trades: 0, first: UserRef(0) })
        };
        Ok(Pipes { pipes: (0..sessions).map(pipe).collect::<io::Result<_>>()?, order })
    }

    /// One repeat: so many requests from each session, at most `window` of them unanswered.
    pub fn run(&mut self, flow: Flow, requests: u64, window: u64) -> io::Result<Run> {
        for pipe in &mut self.pipes {
            (pipe.sent, pipe.answered, pipe.trades) = (0, 0, 0);
            pipe.first = pipe.session.next_user_ref(Channel::NONE);
        }
        let start = monotonic_ns();
        let (mut idle_ns, mut idle_since) = (0, None);
        loop {
            let mut done = 0;
            for pipe in &mut self.pipes {
                done += pipe.send(flow, &self.order, requests, window)? + pipe.receive()?;
            }
            if done > 0 {
                if let Some(since) = idle_since.take() {
                    idle_ns += monotonic_ns() - since;
                }
                if self.pipes.iter().all(|pipe| pipe.answered == requests) {
                    break;
                }
            } else {
                let now = monotonic_ns();
                if now - *idle_since.get_or_insert(now) > SILENCE_NS {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        let seconds = (monotonic_ns() - start) as f64 / 1e9;
        let all = (requests * self.pipes.len() as u64) as f64;
        let orders = if flow == Flow::Trading { all } else { all / 2.0 };
        self.settle(flow)?;
        Ok(Run {
            requests_a_second: all / seconds,
            orders_a_second: orders / seconds,
            client_idle: idle_ns as f64 / 1e9 / seconds,
        })
    }

    /// Cancels what a repeat leaves resting.
    fn settle(&mut self, flow: Flow) -> io::Result<()> {
        if flow == Flow::Trading {
            return Ok(());
        }
        for pipe in &mut self.pipes {
            let next = pipe.session.next_user_ref(Channel::NONE).0;
            let wanted = pipe.answered + u64::from(RESTING.min(next - pipe.first.0));
            for user_ref in next - RESTING.min(next - pipe.first.0)..next {
                while let Err(refusal) = pipe.session.cancel(Channel::NONE, UserRef(user_ref), Quantity(0)) {
                    pipe.on_refusal(refusal)?;
                }
            }
            let since = monotonic_ns();
            while pipe.answered < wanted {
                pipe.receive()?;
                if monotonic_ns() - since > SILENCE_NS {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }
}

impl Pipe {
    fn send(&mut self, flow: Flow, order: &NewOrder, requests: u64, window: u64) -> io::Result<u64> {
        let room = window.saturating_sub(self.sent - self.answered).min(requests - self.sent).min(BURST);
        if room == 0 {
            return Ok(0);
        }
        self.session.hold();
        for sent in 0..room {
            if let Err(refusal) = self.request(flow, order) {
                self.on_refusal(refusal)?;
                return Ok(sent);
            }
            self.sent += 1;
        }
        self.session.release().map_err(io::Error::other)?;
        Ok(room)
    }

    fn request(&mut self, flow: Flow, order: &NewOrder) -> Result<(), Refusal> {
        match flow {
            Flow::Trading => {
                let side = if self.sent.is_multiple_of(2) { SideCode::Buy } else { SideCode::Sell };
                self.session.enter(&NewOrder { side, quantity: Quantity(1), ..*order }).map(|_| ())
            }
            // The first RESTING requests are orders, then cancels and orders take turns.
            Flow::Resting if self.sent < u64::from(RESTING) || self.sent % 2 == 1 => {
                self.session.enter(order).map(|_| ())
            }
            Flow::Resting => {
                let oldest = UserRef(self.first.0 + ((self.sent - u64::from(RESTING)) / 2) as u32);
                self.session.cancel(Channel::NONE, oldest, Quantity(0))
            }
        }
    }

    /// A full way passes; anything else ends the run.
    fn on_refusal(&mut self, refusal: Refusal) -> io::Result<()> {
        match refusal {
            Refusal::Full | Refusal::Unanswered => self.receive().map(|_| ()),
            other => Err(io::Error::other(other)),
        }
    }

    fn receive(&mut self) -> io::Result<u64> {
        for taken in 0..4 * BURST {
            match self.session.poll().map_err(io::Error::other)? {
                None => return Ok(taken),
                Some(Incoming::Message { message, .. }) => match message {
                    Outbound::Accepted(_) | Outbound::Canceled(_) => self.answered += 1,
                    Outbound::Executed(_) => self.trades += 1,
                    Outbound::Rejected(reject) => {
                        return Err(io::Error::other(format!("order rejected with code {:#06x}", reject.reason)));
                    }
                    _ => {}
                },
                Some(Incoming::EndOfSession) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(4 * BURST)
    }
}

/// Medians over the repeats, with the lowest and the highest, and who the limit is.
pub fn lines(what: &str, runs: &[Run], orders_required: f64) -> Vec<String> {
    let of = |value: fn(&Run) -> f64| Spread::of(runs.iter().map(value).collect());
    let (requests, orders, idle) = (of(|r| r.requests_a_second), of(|r| r.orders_a_second), of(|r| r.client_idle));
    let met = if requests.median >= orders_required { "met" } else { "NOT met" };
    let limit = match idle.median {
        part if part > 0.2 => "the exchange's core is the limit",
        part if part < 0.05 => "the client's core is the limit",
        _ => "both cores are about full",
    };
    vec![
        format!(
            "    {what:<34} {:>9.0} requests/s [{:.0}-{:.0}]  {:>9.0} orders/s  (required {orders_required:.0}: {met})",
            requests.median, requests.low, requests.high, orders.median
        ),
        format!("    {:<34} client idle {:.0} %: {limit}", "", idle.median * 100.0),
    ]
}
