//! One seed from beginning to end: lives of the venue under faults, each ended and judged, then a healed one in which
//! everything must finish.

use crate::client::Client;
use crate::disk::{DiskFaults, Ended, SimulatedDisk};
use crate::feed::Air;
use crate::files;
use crate::judge::Judge;
use crate::network::Wires;
use crate::person::Person;
use crate::plan::{End, LogFate, Plan};
use crate::support::random::Random;
use crate::time::Time;
use crate::trace::{Tally, Trace};
use crate::venue::{Ground, Venue, ground};
use pitlane::config::{Config, SnapshotKnobs, Survives};
use pitlane::launch::LaunchFault;
use pitlane::launch::closing::Closing;
use pitlane::launch::counters_path;
use pitlane::os::pages;
use pitlane::runtime::counters::Counters;
use tempfile::TempDir;

/// Tries to start on a failing disk before the disk is healed.
const STARTS_MAX: usize = 12;
/// Rounds in which a healed venue must have finished.
const ROUNDS_MAX: u64 = 4_000;
/// Turns of each agent in such a round, taken in turns: more than between two looks at any clock.
const ROUND_TURNS: u64 = 66;
/// Rounds without anything new after which all is said.
const QUIET_ROUNDS: u64 = 4;
/// Reads after the last stop; each takes all that has come.
const LAST_READS: usize = 10;
/// Rounds that an orderly stop may take to drain.
const STOP_TURNS_MAX: u64 = 20_000;

/// A bug planted in the world, to see that the judge finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// The disk says that it has synced, and has not.
    DiskLies,
    /// The last record of the log is lost between two lives of the process.
    LosesLastRecord,
    /// Power is lost, and only a process crash was promised.
    PromiseTooWeak,
    /// The network delivers a piece of the venue's answers twice.
    AnswersTwice,
    /// A bit of the live books is another than the journal says.
    BookDiffers,
}

/// What a seed gave.
pub struct Outcome {
    pub hash: u64,
    pub tally: Tally,
}

struct Run {
    plan: Plan,
    config: Config,
    random: Random,
    trace: Trace,
    ground: Ground,
    clients: Vec<Client>,
    person: Person,
    judge: Judge,
    bug: Option<Bug>,
    older_log: Option<Vec<u8>>,
    /// What has just happened is beyond the promise.
    may_lose: bool,
    _directory: TempDir,
}

/// Runs a seed; panics with what is wrong.
pub fn run(seed: u64, printed: bool, bug: Option<Bug>) -> Outcome {
    let trace = Trace::new(printed);
    let mut run = Run::new(seed, &trace, bug);
    trace.tell(|| format!("seed {seed}: {:?}", run.plan));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.play()));
    if let Err(panic) = result {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        panic!("seed {seed}, step {}: {}", trace.steps(), text.unwrap_or("a panic without words"));
    }
    let passed_ms = (run.ground.time.now_ns() - 1_000_000_000) / 1_000_000;
    trace.add("simulated milliseconds", passed_ms);
    trace.add("steps", trace.steps());
    trace.add("records", run.judge.records());
    trace.add("orders", run.judge.orders);
    trace.add("requests", run.clients.iter().map(Client::requests).sum());
    Outcome { hash: trace.hash(), tally: trace.tally() }
}

/// A directory in memory where there is one: a seed makes and removes a dozen files.
fn directory() -> TempDir {
    tempfile::tempdir_in(pages::memory_backed(32 << 20)).expect("a temporary directory")
}

impl Run {
    fn new(seed: u64, trace: &Trace, bug: Option<Bug>) -> Run {
        let mut random = Random::new(seed);
        let mut plan = Plan::draw(&mut random);
        match bug {
            Some(Bug::DiskLies) => plan.disk = DiskFaults { lies: true, ..plan.disk },
            Some(Bug::AnswersTwice) => plan.weather.doubles = true,
            Some(Bug::PromiseTooWeak) => {
                plan.survives = Survives::ProcessCrash;
                plan.segment_records.get_or_insert(40);
                plan.lives.push((600, End::Power));
            }
            Some(Bug::BookDiffers) => {
                plan.segment_records.get_or_insert(40);
                plan.snapshots = SnapshotKnobs { records: 30, digest_records: 5, ..plan.snapshots };
                plan.disk = DiskFaults::default();
            }
            Some(Bug::LosesLastRecord) | None => {}
        }
        let directory = directory();
        let config = plan.config(directory.path());
        std::fs::create_dir(&config.directory).expect("the directory is new");
        let fork = |salt: u64| Random::new(seed ^ salt.wrapping_mul(0xA076_1D64_78BD_642F));
        let time = Time::new();
        let wires = Wires::new(fork(1), time.clone(), trace.clone(), plan.weather);
        let air = Air::new(fork(2), trace.clone(), plan.datagrams_lost, plan.datagrams_full);
        let graves = directory.path().join("graves");
        let disk = SimulatedDisk::new(fork(3), trace.clone(), plan.disk, &graves);
        let client = |index: usize| {
            let about = (index as u64, plan.habits[index], plan.trades(&config, index));
            let user = &config.market.sessions[index].user;
            Client::new(user, about, fork(10 + index as u64), time.clone(), wires.clone(), trace.clone())
        };
        let clients = (0..plan.clients).map(client).collect();
        let flips = (bug == Some(Bug::BookDiffers)).then(|| fork(5));
        let ground = ground(&plan, &config.market, (&time, &wires, &air), &disk, flips);
        Run {
            clients,
            person: Person::new(fork(4), trace.clone()),
            judge: Judge::default(),
            trace: trace.clone(),
            older_log: None,
            may_lose: false,
            _directory: directory,
            plan,
            config,
            random,
            ground,
            bug,
        }
    }

    fn play(&mut self) {
        for (steps, end) in self.plan.lives.clone() {
            let Some(venue) = self.open() else { return };
            self.live(venue, steps, end);
        }
        self.finish();
    }

    /// Starts the venue and judges what it found. None when the run is over: damage was found, as it had to be.
    fn open(&mut self) -> Option<Venue> {
        for attempt in 0.. {
            if attempt == STARTS_MAX {
                self.ground.disk.heal();
            }
            self.trace.count("start", &[self.ground.boot]);
            self.ground.disk.take_troubled();
            match Venue::open(&self.config, self.ground.clone()) {
                Ok(mut venue) => {
                    if venue.began_behind_snapshot() {
                        self.trace.count("start behind a snapshot", &[]);
                    }
                    self.judge();
                    venue.start();
                    return Some(venue);
                }
                Err(fault) => {
                    if !self.outlive(&fault) {
                        return None;
                    }
                }
            }
        }
        unreachable!("the loop has no end of its own")
    }

    /// A start that failed: because the disk did, or because of damage that was done.
    fn outlive(&mut self, fault: &LaunchFault) -> bool {
        self.trace.tell(|| format!("no start: {fault}"));
        match self.ground.disk.take_ended() {
            Some(Ended::Power) => self.lose_power(),
            Some(Ended::Killed) => {}
            None if self.ground.disk.take_troubled() => self.ground.disk.set_full(self.random.percent(20)),
            None if self.ground.disk.was_misdirected() && is_damage(fault) => {
                self.trace.count("damage refused", &[]);
                return false;
            }
            None => panic!("the venue does not start: {fault}"),
        }
        self.ground.time.pass(1_000_000_000);
        true
    }

    fn judge(&mut self) -> Closing {
        let may_lose = std::mem::take(&mut self.may_lose);
        let parts = (self.clients.as_mut_slice(), &self.ground.air, &mut self.person);
        self.judge.check(&self.config, may_lose, parts, &self.trace)
    }

    /// Steps until the life ends in its way, or by a disk that fails.
    fn live(&mut self, mut venue: Venue, steps: u64, end: End) {
        for _ in 0..steps {
            self.step(&mut venue);
            match self.ground.disk.take_ended() {
                Some(Ended::Power) => return self.end_by_power(venue),
                Some(Ended::Killed) => return self.end_by_kill(venue),
                None => {}
            }
            if venue.wants_to_end() {
                venue.hold_to_the_shadow();
                self.ground.disk.take_troubled();
                return if self.random.percent(50) { self.end_by_kill(venue) } else { self.end_in_order(venue) };
            }
        }
        match end {
            End::Killed => self.end_by_kill(venue),
            End::Power => self.end_by_power(venue),
            End::Stopped => self.end_in_order(venue),
        }
    }

    /// One choice of the scheduler.
    fn step(&mut self, venue: &mut Venue) {
        let choice = self.random.bits();
        self.trace.step(choice);
        let step = self.trace.steps();
        self.ground.time.pass(choice % self.plan.step_ns);
        match self.random.below(100) {
            0..72 => {
                let agent = self.random.below(venue.agents() as u64) as usize;
                venue.turn(agent, step, self.random.of(&[1, 1, 2, 5, 40]));
            }
            72..95 => {
                let client = self.random.below(self.clients.len() as u64) as usize;
                self.clients[client].turn();
            }
            95..97 => self.ground.air.turn(),
            97 => self.operate(venue),
            _ => self.disturb(venue, step),
        }
    }

    fn operate(&mut self, venue: &Venue) {
        if !self.plan.operator {
            return;
        }
        self.person.turn();
        if self.random.percent(40) {
            let market = &self.config.market;
            let symbols: Vec<String> = market.tickers.iter().map(|ticker| ticker.symbol.text().to_string()).collect();
            let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
            let accounts: Vec<&str> = market.accounts.iter().map(|account| account.name.as_str()).collect();
            self.person.ask(&venue.operator_socket(), &symbols, &accounts);
        }
    }

    /// Something in the world goes its own way.
    fn disturb(&mut self, venue: &mut Venue, step: u64) {
        match self.random.below(6) {
            0 if self.plan.starves => {
                let agent = self.random.below(venue.agents() as u64) as usize;
                let until = step + self.random.below(300);
                self.trace.count("agent starved", &[agent as u64, until]);
                venue.starve(agent, until);
            }
            1 if self.plan.clock_jumps => {
                let by = self.random.below(7_200_000_000_000) as i64 - 3_600_000_000_000;
                self.trace.count("clock set", &[by as u64]);
                self.ground.time.set_wall(by);
            }
            2 => self.ground.time.pass(self.random.below(300_000_000)),
            3 if self.random.percent(10) => self.ground.time.pass(self.random.below(30_000_000_000)),
            4 if self.plan.disk_fills => {
                let full = self.random.percent(50);
                self.trace.note("disk fills", &[u64::from(full)]);
                self.ground.disk.set_full(full);
            }
            5 if self.plan.log_fate == LogFate::Mixed && self.random.percent(20) => {
                self.older_log = files::copy_of_log(&self.config);
            }
            _ => {}
        }
    }

    fn end_by_kill(&mut self, venue: Venue) {
        self.trace.count("process killed", &[venue.appended(), venue.delivered()]);
        self.process_ends(&venue);
        let last = venue.appended();
        drop(venue);
        self.fall();
        if self.plan.torn_appends && self.random.percent(50) {
            files::tear_append(&self.config, last, &mut self.random, &self.trace);
        }
        if self.bug == Some(Bug::LosesLastRecord) {
            files::lose_last_record(&self.config, last);
        }
    }

    fn end_by_power(&mut self, venue: Venue) {
        self.process_ends(&venue);
        self.trace.count("power lost", &[venue.appended(), venue.delivered()]);
        drop(venue);
        self.fall();
        self.lose_power();
    }

    fn end_in_order(&mut self, venue: Venue) {
        self.process_ends(&venue);
        self.trace.count("stopped in order", &[venue.appended()]);
        let (closing, delivered) = venue.stop(&self.config, STOP_TURNS_MAX);
        self.judge.acknowledged = self.judge.acknowledged.max(delivered);
        self.fall();
        match self.ground.disk.take_ended() {
            Some(Ended::Power) => self.lose_power(),
            // What the log has is there; whether the stages ended the same cannot be told.
            Some(Ended::Killed) => {}
            None => self.compare(closing),
        }
        self.ground.disk.take_troubled();
    }

    /// What must be there from now on, if only the process goes: all of the log; and else what had left.
    fn process_ends(&mut self, venue: &Venue) {
        for (name, value) in Counters::read(&counters_path(&self.config)).expect("the venue counts") {
            let what = match name.as_str() {
                "shadow.digests" => "digests of the state told",
                "shadow.summaries" => "live books compared with the shadow's",
                "shadow.snapshots" => "snapshots taken",
                _ => continue,
            };
            self.trace.add(what, value);
        }
        self.judge.floor = venue.appended();
        self.judge.acknowledged = self.judge.acknowledged.max(venue.delivered());
    }

    /// How the stages ended against a replay.
    fn compare(&mut self, closing: Option<Closing>) {
        let Some(closing) = closing else { return };
        let replayed = self.judge();
        assert_eq!(closing.differences(&replayed), Vec::<String>::new(), "stages and replay end alike");
        self.trace.add("ends compared with a replay", 1);
    }

    /// The process is gone.
    fn fall(&mut self) {
        self.ground.wires.fall();
        self.person.on_fall();
        if self.plan.spoils {
            files::spoil_derived(&self.config, &mut self.random, &self.trace);
        }
    }

    fn lose_power(&mut self) {
        self.ground.boot += 1;
        self.judge.floor = self.judge.acknowledged;
        self.ground.disk.lose_power();
        files::lose_memory(&self.config, self.plan.log_fate, self.older_log.as_ref(), &mut self.random, &self.trace);
        self.older_log = None;
        let promised = self.plan.survives == Survives::PowerLoss || self.bug == Some(Bug::PromiseTooWeak);
        // A sector that went astray into the very last group cannot be told from a write cut off; only a replica could.
        if !promised || self.ground.disk.was_misdirected() {
            // Nobody was promised anything: what is under way, and all that the journal has no more, is forgotten.
            self.may_lose = true;
            self.ground.wires.forget();
        }
    }

    /// A life without faults in which everybody behaves: all must be said, and all must have heard it.
    fn finish(&mut self) {
        self.ground.wires.heal();
        self.ground.air.heal();
        self.ground.disk.heal();
        self.clients.iter_mut().for_each(Client::reform);
        let Some(mut venue) = self.open() else { return };
        venue.feed_all();
        self.settle(&mut venue, "everybody is connected", Client::is_connected);
        if self.plan.operator {
            self.person.ask_to_resume(&venue.operator_socket());
        }
        self.clients.iter_mut().for_each(Client::send_last);
        self.settle(&mut venue, "everybody's last order is answered", Client::is_settled);
        if self.plan.ends_day && !self.person.is_waiting() && !self.is_short_of_room() {
            self.person.ask_to_end(&venue.operator_socket());
            self.settle(&mut venue, "everybody's day has ended", Client::has_ended);
        }
        let short = self.is_short_of_room();
        self.process_ends(&venue);
        let (closing, _) = venue.stop(&self.config, STOP_TURNS_MAX);
        let closing = closing.expect("a healed venue stops in order");
        // What was said last is still under way.
        for _ in 0..LAST_READS {
            self.ground.time.pass(1_000_000);
            self.clients.iter_mut().for_each(Client::turn);
        }
        self.fall();
        let replayed = self.judge();
        assert_eq!(closing.differences(&replayed), Vec::<String>::new(), "stages and replay end alike");
        // A venue that is short of room sends away whoever asks for more, and does so again.
        if !short {
            self.judge.check_all_heard(&self.config, &self.clients, &self.ground.air);
        }
    }

    /// Rounds of all agents and clients until all is quiet; `done` must hold of every client by then.
    fn settle(&mut self, venue: &mut Venue, what: &str, done: fn(&Client) -> bool) {
        let (mut quiet, mut before) = (0, (0, 0));
        for round in 0..ROUNDS_MAX {
            self.trace.step(round);
            self.ground.time.pass(if quiet == 0 && round < 50 { 1_000_000 } else { 100_000_000 });
            for _ in 0..ROUND_TURNS {
                (0..venue.agents()).for_each(|agent| venue.turn(agent, u64::MAX, 1));
            }
            for _ in 0..4 {
                self.clients.iter_mut().for_each(Client::turn);
            }
            self.ground.air.turn();
            self.person.turn();
            assert!(!venue.wants_to_end(), "{what}: a healed venue gives up: {}", venue.fault());
            let now = (venue.delivered(), self.clients.iter().map(|client| client.heard().len()).sum());
            let finished =
                venue.delivered() == venue.appended() && self.ground.air.is_settled() && !self.person.is_waiting();
            let idle = now == before || self.plan.tick_ms > 0;
            let short = self.is_short_of_room();
            let done = finished && idle && self.clients.iter().all(|client| short || done(client));
            quiet = if done { quiet + 1 } else { 0 };
            before = now;
            if quiet == QUIET_ROUNDS {
                return;
            }
        }
        let clients: Vec<String> = self.clients.iter().map(Client::state).collect();
        let counters = Counters::read(&counters_path(&self.config)).expect("the venue counts");
        let counted: Vec<_> = counters.into_iter().filter(|(_, value)| *value > 0).collect();
        let (delivered, appended) = (venue.delivered(), venue.appended());
        panic!(
            "{what}: not within {ROUNDS_MAX} rounds; delivered {delivered} of {appended}; {clients:#?}; {counted:?}"
        );
    }

    /// Whether the intake is narrowed because the journal is short of room.
    fn is_short_of_room(&self) -> bool {
        let counters = Counters::read(&counters_path(&self.config)).expect("the venue counts");
        counters.iter().any(|(name, value)| name == "sequencer.intake" && *value > 0)
    }
}

fn is_damage(fault: &LaunchFault) -> bool {
    matches!(fault, LaunchFault::Journal(fault) if fault.is_damage())
}
