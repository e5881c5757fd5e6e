//! The campaign: lives of venues, each a row of crashes, and what they came to.

use crate::check;
use crate::random::Random;
use crate::site::{Death, Promise, Site, Venue, strace_works};
use crate::trader::Trader;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// Crashes of one venue at most: its day grows with each, and is repeated after many of them.
const ROUNDS_OF_A_LIFE_MAX: u64 = 12;
/// Bound of every wait; who gets here has hung.
const PATIENCE: Duration = Duration::from_secs(120);
/// Answers after which a venue that no system call has killed is killed by hand.
const ANSWERS_MAX: u64 = 6_000;

/// Cash that the example's accounts begin with, in 1/10,000.
const ACCOUNTS: [(&str, &str, i128); 4] = [
    ("USER01", "maker-one", 500_000_000 * 10_000),
    ("USER02", "maker-two", 500_000_000 * 10_000),
    ("USER03", "taker-one", 200_000_000 * 10_000),
    ("USER04", "taker-two", 200_000_000 * 10_000),
];

/// System calls to die at while orders come and go, and how many to let pass at most.
const CALLS_RUNNING: [(&str, u64); 8] = [
    ("io_uring_enter", 2_000),
    ("pwrite64", 200),
    ("fdatasync", 100),
    ("rename", 2),
    ("fallocate", 2),
    ("openat", 4),
    ("fsync", 2),
    ("sendto", 500),
];
/// And while it starts.
const CALLS_STARTING: [(&str, u64); 14] = [
    ("openat", 40),
    ("mmap", 60),
    ("munmap", 20),
    ("ftruncate", 8),
    ("fallocate", 10),
    ("flock", 4),
    ("fsync", 4),
    ("fdatasync", 6),
    ("pwrite64", 6),
    ("io_uring_enter", 8),
    ("rename", 4),
    ("unlink", 5),
    ("madvise", 20),
    ("mlock", 3),
];

/// How a venue is to end.
#[derive(Clone, Debug)]
enum Plan {
    /// Killed after so many answers.
    Answers(u64),
    /// Killed so long after it was started.
    Starting(Duration),
    /// Killed at its n-th system call of a kind.
    Call(Death),
    /// Told to stop after so many answers, and killed while it does.
    Stopping(u64, Duration),
    /// Told to stop, and left to do so.
    Stopped(u64),
}

/// What happened, for the line at the end.
#[derive(Default)]
struct Told {
    rounds: u64,
    lives: u64,
    ends: BTreeMap<String, u64>,
    memory_lost: u64,
    answers: u64,
    repeated: u64,
    resent: u64,
    trades: u64,
    longest_start: Duration,
}

/// Crashes of a seed.
pub struct Campaign {
    seed: u64,
    told: Told,
    has_strace: bool,
}

impl Campaign {
    pub fn new(seed: u64) -> Campaign {
        let has_strace = strace_works();
        if !has_strace {
            eprintln!("not checked: deaths at chosen system calls, because strace does not work here");
        }
        Campaign { seed, told: Told::default(), has_strace }
    }

    /// Runs so many crashes. Gives what they were; `None` where there is no disk to test on.
    pub fn run(mut self, rounds: u64) -> Option<String> {
        while self.told.rounds < rounds {
            let life = self.told.lives;
            let mut random = Random::new(self.seed.wrapping_add(life << 32));
            let promises = [Promise::PowerLoss, Promise::ProcessCrash, Promise::ProcessCrashWithSegments];
            // Two lives at least, so that more than one promise is kept.
            let rounds = (rounds - self.told.rounds).min(ROUNDS_OF_A_LIFE_MAX).min(rounds.div_ceil(2));
            let site = Site::new(promises[(life % 3) as usize], &mut random)?;
            let lived = catch_unwind(AssertUnwindSafe(|| self.live(&site, rounds, &mut random)));
            if let Err(cause) = lived {
                let (seed, round) = (self.seed, self.told.rounds);
                eprintln!("seed {seed} failed in life {life}, round {round}: {}", site.keep());
                resume_unwind(cause);
            }
            self.told.lives += 1;
        }
        Some(format!("seed {}: {}", self.seed, self.told))
    }

    fn live(&mut self, site: &Site, rounds: u64, random: &mut Random) {
        let mut traders: Vec<Trader> = ACCOUNTS.iter().map(|(user, account, _)| Trader::new(user, account)).collect();
        // Apart, so that what happens to a venue does not depend on how many requests were made by then.
        let mut flow = Random::new(random.bits());
        for _ in 0..rounds {
            self.told.rounds += 1;
            let plan = self.plan(site, random);
            let how = self.round(site, &mut traders, &plan, &mut flow);
            *self.told.ends.entry(how).or_default() += 1;
            traders.iter_mut().for_each(|trader| while trader.take() {});
            if site.promise == Promise::PowerLoss && random.percent(50) {
                site.lose_memory();
                self.told.memory_lost += 1;
            }
        }
        self.end(site, &mut traders, &mut flow);
        self.told.answers += traders.iter().map(|trader| trader.message_count() as u64).sum::<u64>();
        self.told.repeated += traders.iter().map(|trader| trader.repeated).sum::<u64>();
        self.told.resent += traders.iter().map(|trader| trader.resent).sum::<u64>();
    }

    fn plan(&self, site: &Site, random: &mut Random) -> Plan {
        let magnitude = random.below(12);
        let answers = 1 + random.below(1 << magnitude);
        match random.below(100) {
            0..30 => Plan::Answers(answers),
            30..40 => Plan::Starting(Duration::from_micros(random.below(400_000))),
            40..65 if self.has_strace => Plan::Call(death_at(site, random, &CALLS_RUNNING)),
            65..85 if self.has_strace => Plan::Call(death_at(site, random, &CALLS_STARTING)),
            85..95 => Plan::Stopping(answers, Duration::from_micros(random.below(300_000))),
            _ => Plan::Stopped(answers),
        }
    }

    /// One run of the venue, to its end; says what that was.
    fn round(&mut self, site: &Site, traders: &mut [Trader], plan: &Plan, random: &mut Random) -> String {
        let mut venue = site.spawn(match plan {
            Plan::Call(death) => Some(*death),
            Plan::Answers(_) | Plan::Starting(_) | Plan::Stopping(..) | Plan::Stopped(_) => None,
        });
        if let Plan::Starting(after) = plan {
            std::thread::sleep(*after);
            venue.kill();
            return "killed while starting".into();
        }
        let Some(took) = venue.ready() else { return format!("killed while starting, at {}", call_of(plan)) };
        self.told.longest_start = self.told.longest_start.max(took);
        let enough = match plan {
            Plan::Answers(answers) | Plan::Stopping(answers, _) | Plan::Stopped(answers) => *answers,
            Plan::Call(_) | Plan::Starting(_) => ANSWERS_MAX,
        };
        if !connect(site, &mut venue, traders, random) || !trade(&mut venue, traders, enough, random) {
            return format!("killed while running, at {}", call_of(plan));
        }
        match plan {
            Plan::Stopping(_, after) => {
                venue.terminate();
                std::thread::sleep(*after);
                venue.kill();
                "killed while stopping".into()
            }
            Plan::Stopped(_) => {
                venue.terminate();
                let status = venue.ended();
                assert!(status.success(), "a stop in order ends with {status}");
                "stopped in order".into()
            }
            Plan::Answers(_) | Plan::Call(_) | Plan::Starting(_) => {
                // With requests under way in every stage.
                std::thread::sleep(Duration::from_micros(random.below(3_000)));
                venue.kill();
                "killed while running".into()
            }
        }
    }

    /// The last run: everything is answered, all agree, and the journal is sound.
    fn end(&mut self, site: &Site, traders: &mut [Trader], random: &mut Random) {
        let mut venue = site.spawn(None);
        let took = venue.ready().expect("nobody kills it");
        self.told.longest_start = self.told.longest_start.max(took);
        assert!(connect(site, &mut venue, traders, random));
        settle(&mut venue, traders);
        traders.iter_mut().for_each(Trader::enter_barrier);
        settle(&mut venue, traders);
        self.told.trades += check::trades_match(traders);
        let cash = ACCOUNTS.iter().map(|(_, account, cash)| (*account, *cash)).collect();
        check::accounts_agree(traders, &site.places().2, &cash);
        venue.terminate();
        let status = venue.ended();
        assert!(status.success(), "the last stop ends with {status}");
        check::journal_is_sound(site);
    }
}

fn death_at(site: &Site, random: &mut Random, calls: &[(&'static str, u64)]) -> Death {
    let (call, passed) = random.of(calls);
    let is_plain = matches!(call, "pwrite64" | "fdatasync");
    // Few more often than many: a venue that lives too long is killed by hand.
    let magnitude = random.below(11);
    Death { call, passed: 1 + random.below(passed.min(1 << magnitude)), without_ring: is_plain && !site.needs_ring }
}

fn call_of(plan: &Plan) -> &'static str {
    match plan {
        Plan::Call(death) => death.call,
        other => panic!("nobody killed it: {other:?}"),
    }
}

/// Logs everybody in; false when the venue was killed meanwhile.
fn connect(site: &Site, venue: &mut Venue, traders: &mut [Trader], random: &mut Random) -> bool {
    let (tcp, shared, _) = site.places();
    for (index, trader) in traders.iter_mut().enumerate() {
        if let Err(fault) = trader.connect(if index % 2 == 0 { &tcp } else { &shared }, random) {
            let began = Instant::now();
            while !venue.was_killed() {
                assert!(began.elapsed() < PATIENCE, "{} cannot log in: {fault}", trader.user);
                std::thread::sleep(Duration::from_millis(1));
            }
            return false;
        }
    }
    true
}

/// Trades until so many answers have come; false when the venue was killed before.
fn trade(venue: &mut Venue, traders: &mut [Trader], answers: u64, random: &mut Random) -> bool {
    let count = |traders: &[Trader]| traders.iter().map(Trader::message_count).sum::<usize>() as u64;
    let enough = count(traders) + answers;
    let mut last = (count(traders), Instant::now());
    while last.0 < enough {
        for trader in traders.iter_mut() {
            (0..random.below(8)).for_each(|_| trader.trade(random));
            if !trader.take() {
                wait_for_death(venue);
                return false;
            }
        }
        let now = count(traders);
        if now != last.0 {
            last = (now, Instant::now());
        }
        assert!(last.1.elapsed() < PATIENCE, "no answers any more: {now} of {enough}");
    }
    true
}

/// A connection is gone: the venue must be, too.
fn wait_for_death(venue: &mut Venue) {
    let began = Instant::now();
    while !venue.was_killed() {
        assert!(began.elapsed() < PATIENCE, "a living venue dropped a client");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until everything sent is answered.
fn settle(venue: &mut Venue, traders: &mut [Trader]) {
    let began = Instant::now();
    while !traders.iter().all(Trader::is_answered) {
        for trader in traders.iter_mut() {
            assert!(trader.take(), "{}: the connection is gone", trader.user);
        }
        assert!(!venue.was_killed());
        assert!(began.elapsed() < PATIENCE, "some orders are never answered");
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} rounds in {} lives of a venue, memory lost {} times",
            self.rounds, self.lives, self.memory_lost
        )?;
        self.ends.iter().try_for_each(|(how, count)| writeln!(f, "  {count:>6}  {how}"))?;
        writeln!(f, "answers checked {}, and {} more when repeated", self.answers, self.repeated)?;
        writeln!(f, "trades with two sides {}, requests sent again {}", self.trades, self.resent)?;
        write!(f, "longest start {:.2} s", self.longest_start.as_secs_f64())
    }
}
