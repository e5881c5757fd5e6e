//! One client with a record of its own: every message it was sent, by number; every request it made; what its orders
//! came to. It reconnects after each crash, sees to it that nothing sent is left without an answer, and stops the
//! test at the first thing that cannot be.
//!
//! What it holds the venue to, from its own side alone:
//! - a login goes on exactly behind the last message seen, or repeats the whole day byte for byte;
//! - answers come in the order of the requests, one each: an entered order is accepted or refused, once, whether it
//!   was sent once or again;
//! - an order trades and is cancelled for no more than it has, and only while it lives;
//! - the number that the venue says it takes next is behind everything that was answered and before everything else.

#![allow(dead_code, reason = "two tests use it, each its part")]

use crate::line::{Line, Place, Polled};
use crate::random::Random;
use crate::wire::{self, Answer, Wish};
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// Requests without an answer at a time.
const UNANSWERED_MAX: usize = 200;
/// Answered requests that may be sent again, to be ignored.
const RECENT_MAX: usize = 32;
/// Orders that may be cancelled and replaced: so many of the last.
const LOOK_BACK_MAX: u64 = 500;
/// What the venue's example trades at, in 1/10,000.
const SYMBOLS: [([u8; 8], u64); 2] = [(*b"AAPL    ", 5_855_000), (*b"MSFT    ", 1_503_400)];

/// A request as it was sent.
#[derive(Clone, Debug)]
struct Request {
    bytes: Vec<u8>,
    /// Entered orders are answered; a replacement of an order that is gone is not.
    must_be_answered: bool,
}

/// An order that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub side: u8,
    pub symbol: [u8; 8],
    pub open: u32,
}

/// One side of a trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    pub trade: u64,
    pub side: u8,
    pub symbol: [u8; 8],
    pub quantity: u32,
    pub price: u64,
    pub is_maker: bool,
}

/// The client.
pub struct Trader {
    pub user: &'static str,
    pub account: &'static str,
    line: Option<Line>,
    /// Every message of the day, the first one at 0.
    messages: Vec<Box<[u8]>>,
    /// Number of the next message on this connection; below the end of `messages` while a day is repeated.
    next: u64,
    next_request: u32,
    unanswered: BTreeMap<u32, Request>,
    recent: VecDeque<(u32, Request)>,
    /// The venue was asked for its next number, and nothing new is sent before it has said it.
    asked: bool,
    pub orders: BTreeMap<u32, Order>,
    pub fills: Vec<Fill>,
    pub unanswered_max: usize,
    pub refused: u64,
    pub resent: u64,
    pub repeated: u64,
}

impl Trader {
    pub fn new(user: &'static str, account: &'static str) -> Trader {
        Trader {
            user,
            account,
            line: None,
            messages: Vec::new(),
            next: 1,
            next_request: 1,
            unanswered: BTreeMap::new(),
            recent: VecDeque::new(),
            asked: false,
            orders: BTreeMap::new(),
            fills: Vec::new(),
            unanswered_max: UNANSWERED_MAX,
            refused: 0,
            resent: 0,
            repeated: 0,
        }
    }

    /// Messages seen.
    pub fn message_count(&self) -> usize {
        self.messages.len()
    }

    /// Logs in again, behind the last message or from the first one on, and sends again what may have been lost.
    pub fn connect(&mut self, place: &Place, random: &mut Random) -> io::Result<()> {
        let behind = self.messages.len() as u64 + 1;
        let wanted = if random.percent(30) { 1 } else { behind };
        let (line, number) = Line::open(place, self.user, wanted)?;
        assert_eq!(number, wanted, "{}: has seen {} messages and asked for {wanted}", self.user, behind - 1);
        (self.line, self.next) = (Some(line), number);
        self.asked = random.percent(50);
        if self.asked {
            self.send(&wire::query());
        } else {
            // Blindly, and some that were answered, too.
            let from = random.below(RECENT_MAX as u64) as usize;
            let recent: Vec<Request> = self.recent.iter().skip(from).map(|(_, request)| request.clone()).collect();
            let lost: Vec<Request> = self.unanswered.values().cloned().collect();
            for request in recent.into_iter().chain(lost) {
                self.send_again(&request);
            }
        }
        Ok(())
    }

    fn send_again(&mut self, request: &Request) {
        let sent = self.send(&request.bytes);
        assert!(sent, "a fresh connection has room for what one client has under way");
        self.resent += 1;
    }

    fn send(&mut self, message: &[u8]) -> bool {
        self.line.as_mut().is_some_and(|line| line.send(message))
    }

    /// Takes in what has come; false when the venue is gone.
    pub fn take(&mut self) -> bool {
        while let Some(line) = &mut self.line {
            match line.poll() {
                Polled::Packet(b'S', message) => self.on_message(message.into()),
                Polled::Packet(b'H' | b'+', _) => {}
                // The end of a run that stops in order. The day goes on at the next start.
                Polled::Packet(b'Z', _) => {}
                Polled::Packet(other, _) => panic!("{}: a packet {:?}", self.user, char::from(other)),
                Polled::Nothing => return true,
                Polled::Gone => self.line = None,
            }
        }
        false
    }

    fn on_message(&mut self, message: Box<[u8]>) {
        let number = self.next;
        self.next += 1;
        if let Some(seen) = self.messages.get(number as usize - 1) {
            assert_eq!(**seen, *message, "{}: message {number} is another one now", self.user);
            self.repeated += 1;
            return;
        }
        self.on_answer(wire::answer(&message), number);
        self.messages.push(message);
    }

    fn on_answer(&mut self, answer: Answer, number: u64) {
        let user = self.user;
        match answer {
            Answer::Accepted { number, side, quantity, symbol, is_live } => {
                self.answered(number);
                let open = if is_live { quantity } else { 0 };
                assert!(self.orders.insert(number, Order { side, symbol, open }).is_none(), "{user}: {answer:?} twice");
            }
            Answer::Rejected { number } => {
                self.answered(number);
                self.refused += 1;
            }
            Answer::Replaced { original, number, open, is_live } => {
                self.answered(number);
                let old = self.orders.get_mut(&original).unwrap_or_else(|| panic!("{user}: {answer:?} of nothing"));
                assert!(old.open > 0, "{user}: {answer:?} of an order that had ended");
                let new = Order { open: if is_live { open } else { 0 }, ..*old };
                old.open = 0;
                assert!(self.orders.insert(number, new).is_none(), "{user}: {answer:?} twice");
            }
            Answer::Reduced { number, quantity } => {
                self.reduce(number, quantity, answer);
            }
            Answer::Executed { number, quantity, price, liquidity, trade } => {
                let Order { side, symbol, .. } = self.reduce(number, quantity, answer);
                self.fills.push(Fill { trade, side, symbol, quantity, price, is_maker: liquidity == b'A' });
            }
            Answer::Next(next) => self.on_next(next),
            Answer::System => assert_eq!(number, 1, "{user}: the day starts once"),
        }
    }

    /// Takes shares off an open order.
    fn reduce(&mut self, number: u32, quantity: u32, answer: Answer) -> Order {
        let user = self.user;
        let order = self.orders.get_mut(&number).unwrap_or_else(|| panic!("{user}: {answer:?} of nothing"));
        assert!((1..=order.open).contains(&quantity), "{user}: {answer:?}, but {order:?}");
        order.open -= quantity;
        *order
    }

    /// A request has its answer; those before it had theirs, or get none.
    fn answered(&mut self, number: u32) {
        let user = self.user;
        let request = self.unanswered.remove(&number);
        let request = request.unwrap_or_else(|| panic!("{user}: request {number} was answered before, or never made"));
        self.recent.push_back((number, request));
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        self.forget_before(number);
    }

    /// Requests below `number` were processed: those without an answer get none.
    fn forget_before(&mut self, number: u32) {
        let rest = self.unanswered.split_off(&number);
        let passed = std::mem::replace(&mut self.unanswered, rest);
        let lost = passed.iter().find(|(_, request)| request.must_be_answered);
        assert!(lost.is_none(), "{}: order {} has no answer, but a later request has", self.user, lost.unwrap().0);
    }

    fn on_next(&mut self, next: u32) {
        assert!(next <= self.next_request, "{}: {next} was never used", self.user);
        self.forget_before(next);
        if std::mem::take(&mut self.asked) {
            for request in self.unanswered.values().cloned().collect::<Vec<_>>() {
                self.send_again(&request);
            }
        }
    }

    /// Whether everything sent has its answer.
    pub fn is_answered(&self) -> bool {
        !self.asked && !self.unanswered.values().any(|request| request.must_be_answered) && !self.is_repeating()
    }

    /// Whether the day is being repeated.
    fn is_repeating(&self) -> bool {
        self.next <= self.messages.len() as u64
    }

    /// Makes a request of a random kind.
    pub fn trade(&mut self, random: &mut Random) {
        if self.asked || self.unanswered.len() >= self.unanswered_max || self.line.is_none() {
            return;
        }
        match random.below(100) {
            0..70 => {
                let (symbol, around) = random.of(&SYMBOLS);
                let side = random.of(b"BSBST");
                let price = around + 100 * random.below(40) - 2_000;
                let time_in_force = if random.percent(15) { b'3' } else { b'0' };
                let quantity = 1 + random.below(200) as u32;
                self.enter(&Wish { side, quantity, symbol, price, time_in_force });
            }
            70..85 => {
                let Some((original, order)) = self.open_order(random) else { return };
                let price = SYMBOLS.iter().find(|(symbol, _)| *symbol == order.symbol).unwrap().1;
                let (quantity, price) = (1 + random.below(300) as u32, price + 100 * random.below(40) - 2_000);
                let bytes = wire::replace(original, self.next_request, quantity, price);
                self.request(bytes, false);
            }
            _ => {
                // Without a number of its own: it may be lost for good.
                let Some((number, order)) = self.open_order(random) else { return };
                let total = if random.percent(70) { 0 } else { random.below(u64::from(order.open)) as u32 };
                self.send(&wire::cancel(number, total));
            }
        }
    }

    /// Orders that are open.
    pub fn open_count(&self) -> u64 {
        self.orders.values().filter(|order| order.open > 0).count() as u64
    }

    /// Cancels every order that is open.
    pub fn cancel_all(&mut self) {
        let open: Vec<u32> =
            self.orders.iter().filter(|(_, order)| order.open > 0).map(|(number, _)| *number).collect();
        for number in open {
            assert!(self.send(&wire::cancel(number, 0)), "{}: no room for a cancel", self.user);
        }
    }

    /// Enters an order that finds nobody to trade with and ends at once: when it is answered, all before it is.
    pub fn enter_barrier(&mut self) {
        let (symbol, around) = SYMBOLS[0];
        self.enter(&Wish { side: b'B', quantity: 1, symbol, price: around - 100_000, time_in_force: b'3' });
    }

    fn enter(&mut self, wish: &Wish) {
        self.request(wire::enter(self.next_request, wish), true);
    }

    fn request(&mut self, bytes: Vec<u8>, must_be_answered: bool) {
        if self.send(&bytes) {
            self.unanswered.insert(self.next_request, Request { bytes, must_be_answered });
            self.next_request += 1;
        }
    }

    /// A random order that is open, as far as is known.
    fn open_order(&self, random: &mut Random) -> Option<(u32, Order)> {
        let from = self.next_request.saturating_sub(random.below(LOOK_BACK_MAX) as u32);
        let mut later = self.orders.range(from..).filter(|(_, order)| order.open > 0);
        later.next().map(|(number, order)| (*number, *order))
    }
}
