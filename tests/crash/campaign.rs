//! The campaign: lives of venues, each a row of crashes, and what they came to.

use crate::desk::Desk;
use crate::random::Random;
use crate::site::{Death, Promise, Site, strace_works};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Crashes of one venue at most: its day grows with each, and is repeated after many of them.
const ROUNDS_OF_A_LIFE_MAX: u64 = 12;
/// Answers after which a venue that no system call has killed is killed by hand.
const ANSWERS_MAX: u64 = 6_000;

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
    harmed: u64,
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
            let site = Site::drawn(promises[(life % 3) as usize], &mut random)?;
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
        let mut desk = Desk::new();
        // Apart, so that what happens to a venue does not depend on how many requests were made by then.
        let mut flow = Random::new(random.bits());
        for _ in 0..rounds {
            self.told.rounds += 1;
            let plan = self.plan(site, random);
            let how = self.round(site, &mut desk, &plan, &mut flow);
            *self.told.ends.entry(how).or_default() += 1;
            desk.drain();
            if site.promise == Promise::PowerLoss && random.percent(50) {
                site.lose_memory();
                self.told.memory_lost += 1;
            }
            if random.percent(20) {
                self.told.harmed += u64::from(site.harm_derived(random));
            }
        }
        let (took, trades) = desk.last_run(site, &mut flow);
        self.told.trades += trades;
        self.told.longest_start = self.told.longest_start.max(took);
        self.told.answers += desk.message_count();
        self.told.repeated += desk.sum(|trader| trader.repeated);
        self.told.resent += desk.sum(|trader| trader.resent);
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
    fn round(&mut self, site: &Site, desk: &mut Desk, plan: &Plan, random: &mut Random) -> String {
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
        if desk.connect(site, random).is_err() || !desk.trade(enough, random) {
            venue.was_killed();
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

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { rounds, lives, memory_lost, harmed, .. } = self;
        writeln!(f, "{rounds} rounds in {lives} lives of a venue")?;
        writeln!(f, "  {memory_lost:>6}  memory lost\n  {harmed:>6}  snapshots and other derived files harmed")?;
        self.ends.iter().try_for_each(|(how, count)| writeln!(f, "  {count:>6}  {how}"))?;
        writeln!(f, "answers checked {}, and {} more when repeated", self.answers, self.repeated)?;
        writeln!(f, "trades with two sides {}, requests sent again {}", self.trades, self.resent)?;
        write!(f, "longest start {:.2} s", self.longest_start.as_secs_f64())
    }
}
