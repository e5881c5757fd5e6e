//! The four clients together: two over TCP and two over shared memory, turned by one thread.

#![allow(dead_code, reason = "two tests use it, each its part")]

use crate::check;
use crate::random::Random;
use crate::site::Site;
use crate::trader::Trader;
use std::io;
use std::time::{Duration, Instant};

/// Bound of every wait; who gets here has hung.
const PATIENCE: Duration = Duration::from_secs(120);
/// Logins of the example, their accounts, and the cash these begin with, in 1/10,000.
const ACCOUNTS: [(&str, &str, i128); 4] = [
    ("USER01", "maker-one", 500_000_000 * 10_000),
    ("USER02", "maker-two", 500_000_000 * 10_000),
    ("USER03", "taker-one", 200_000_000 * 10_000),
    ("USER04", "taker-two", 200_000_000 * 10_000),
];

/// The clients.
pub struct Desk {
    traders: Vec<Trader>,
}

impl Desk {
    /// Before the day's first message.
    pub fn new() -> Desk {
        Desk { traders: ACCOUNTS.iter().map(|(user, account, _)| Trader::new(user, account)).collect() }
    }

    /// A number of each client, added up.
    pub fn sum(&self, of: impl Fn(&Trader) -> u64) -> u64 {
        self.traders.iter().map(of).sum()
    }

    /// Messages they have seen.
    pub fn message_count(&self) -> u64 {
        self.sum(|trader| trader.message_count() as u64)
    }

    /// Logs everybody in again. An error means that the venue is gone, and who cannot log in for another reason stops the
    /// test.
    pub fn connect(&mut self, site: &Site, random: &mut Random) -> io::Result<()> {
        let (tcp, shared, _) = site.places();
        let mut places = [&tcp, &shared].into_iter().cycle();
        self.traders.iter_mut().try_for_each(|trader| trader.connect(places.next().unwrap(), random))
    }

    /// Trades until so many answers more have come; false when the venue is gone before.
    pub fn trade(&mut self, answers: u64, random: &mut Random) -> bool {
        let enough = self.message_count() + answers;
        self.trade_until(random, |desk| desk.message_count() >= enough)
    }

    /// Trades until something holds; false when the venue, or a connection, is gone before.
    pub fn trade_until(&mut self, random: &mut Random, mut holds: impl FnMut(&Desk) -> bool) -> bool {
        let mut last = (self.message_count(), Instant::now());
        while !holds(self) {
            let is_there = self.traders.iter_mut().all(|trader| {
                (0..random.below(8)).for_each(|_| trader.trade(random));
                trader.take()
            });
            if !is_there {
                return holds(self);
            }
            if self.message_count() != last.0 {
                last = (self.message_count(), Instant::now());
            }
            assert!(last.1.elapsed() < PATIENCE, "no answers any more: {}", last.0);
        }
        true
    }

    /// Cancels every open order and waits until none is.
    pub fn cancel_all(&mut self) {
        self.await_answers();
        self.traders.iter_mut().for_each(Trader::cancel_all);
        let began = Instant::now();
        while self.sum(|trader| trader.open_count()) > 0 {
            for trader in &mut self.traders {
                assert!(trader.take(), "{}: the connection is gone", trader.user);
            }
            assert!(began.elapsed() < PATIENCE, "cancels do not pass");
        }
    }

    /// Takes in what a venue that is gone has left.
    pub fn drain(&mut self) {
        self.traders.iter_mut().for_each(|trader| while trader.take() {});
    }

    /// Bounds the requests of each client that wait for an answer.
    pub fn unanswered_max(&mut self, requests: usize) {
        self.traders.iter_mut().for_each(|trader| trader.unanswered_max = requests);
    }

    /// Waits until everything sent is answered, and all that follows from it is told.
    pub fn settle(&mut self) {
        self.await_answers();
        self.traders.iter_mut().for_each(Trader::enter_barrier);
        self.await_answers();
    }

    fn await_answers(&mut self) {
        let began = Instant::now();
        while !self.traders.iter().all(Trader::is_answered) {
            for trader in &mut self.traders {
                assert!(trader.take(), "{}: the connection is gone", trader.user);
            }
            assert!(began.elapsed() < PATIENCE, "some orders are never answered");
        }
    }

    /// A run in which nobody kills the venue: everything is answered, all agree, it stops in order, and its journal is
    /// sound. How long it took to start, and how many trades there were.
    pub fn last_run(&mut self, site: &Site, random: &mut Random) -> (Duration, u64) {
        let mut venue = site.spawn(None);
        let took = venue.ready().expect("nobody kills it");
        self.connect(site, random).unwrap();
        self.settle();
        let trades = check::trades_match(&self.traders);
        let cash = ACCOUNTS.iter().map(|(_, account, cash)| (*account, *cash)).collect();
        check::accounts_agree(&self.traders, &site.places().2, &cash);
        venue.terminate();
        let status = venue.ended();
        assert!(status.success(), "the last stop ends with {status}");
        check::journal_is_sound(site);
        (took, trades)
    }
}
