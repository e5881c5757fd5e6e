//! One life of the venue's process: the very agents that run on threads, built on simulated seams and turned one by one.

use crate::disk::SimulatedDisk;
use crate::feed::Air;
use crate::network::{Venue as Wire, Wires};
use crate::plan::Plan;
use crate::support::random::Random;
use crate::time::{Time, WallTime};
use pitlane::config::{Config, GatewayKnobs};
use pitlane::engine::book::Shard;
use pitlane::feed::{FeedOptions, FeedPorts};
use pitlane::gateway::login::Authenticator;
use pitlane::journal::{Disk, clean};
use pitlane::launch::LaunchFault;
use pitlane::launch::closing::Closing;
use pitlane::launch::home::{group, mark_home};
use pitlane::launch::placement;
use pitlane::launch::seams::{Rooms, Seams};
use pitlane::launch::stages::{Stages, hot_names};
use pitlane::runtime::agent::Agent;
use pitlane::runtime::idle::IdleStrategy;
use pitlane::types::bytes::{Reader, Writer};
use pitlane::types::{Market, MatcherId, Number, SessionId};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// What a life stands on.
#[derive(Clone)]
pub struct Ground {
    pub time: Time,
    pub wires: Wires,
    pub air: Air,
    pub disk: SimulatedDisk,
    pub boot: u64,
    pub rooms: Rooms,
    /// Flips a bit of each life's books.
    pub flips: Option<Random>,
    pub market: Market,
}

impl Seams for Ground {
    type Time = WallTime;
    type Steady = Time;
    type Network = Wire;
    type Port = Air;

    fn time(&self) -> WallTime {
        WallTime(self.time.clone())
    }

    fn steady(&self) -> Time {
        self.time.clone()
    }

    fn network(&mut self, knobs: &GatewayKnobs) -> Result<(Wire, SocketAddr, String), LaunchFault> {
        Ok((self.wires.listen(knobs.connections_max), (Ipv4Addr::LOCALHOST, 1).into(), "simulated".into()))
    }

    fn feed(&mut self, _options: &FeedOptions) -> io::Result<FeedPorts<Air>> {
        Ok(self.air.ports())
    }

    fn disk(&mut self) -> Box<dyn Disk> {
        Box::new(self.disk.clone())
    }

    /// One password for all; hashing it would be most of a seed's time.
    fn logins(&mut self, config: &Config) -> Result<Box<dyn Authenticator>, LaunchFault> {
        let users: Vec<String> = config.market.sessions.iter().map(|session| session.user.clone()).collect();
        Ok(Box::new(move |user: &str, password: &[u8]| {
            let index = users.iter().position(|name| name == user)?;
            (password == b"SECRET").then_some(SessionId(index as u16))
        }))
    }

    fn boot(&self) -> u64 {
        self.boot
    }

    fn promise(&self, _config: &Config) -> Result<Vec<String>, LaunchFault> {
        Ok(Vec::new())
    }

    fn rooms(&self) -> Rooms {
        self.rooms
    }

    fn rebuilt(&mut self, shards: &mut [Shard]) {
        if let Some(random) = &mut self.flips {
            flip(&self.market, &mut shards[0], random);
        }
    }

    fn settle(&mut self) -> usize {
        0
    }
}

/// Tries to find a bit whose other value makes another book that holds together.
const FLIPS_MAX: usize = 2_000;

/// One bit of a shard's state becomes another one, and it shows in what live matchers tell.
fn flip(market: &Market, shard: &mut Shard, random: &mut Random) {
    let mut out = Writer::default();
    shard.save(&mut out);
    let bytes = out.into_bytes();
    for _ in 0..FLIPS_MAX {
        let mut other = bytes.clone();
        other[random.below(bytes.len() as u64) as usize] ^= 1 << random.below(8);
        let made = Shard::new(market, MatcherId(0)).expect("it was made before").load(&mut Reader::new(&other));
        if let Ok(made) = made.map_err(drop)
            && made.summary() != shard.summary()
        {
            *shard = made;
            return;
        }
    }
}

/// Rounds and turns in them for sessions to end: three seconds, and more turns than between two looks at a clock.
const ENDING_ROUNDS: usize = 15;
const ENDING_TURNS: usize = 34;

/// An agent and how long the scheduler passes it over.
struct Turned {
    agent: Box<dyn Agent>,
    starved_until: u64,
}

/// A running venue.
pub struct Venue {
    stages: Stages,
    agents: Vec<Turned>,
    time: Time,
    disk: SimulatedDisk,
}

impl Venue {
    /// Recovers, and has everything ready to start.
    pub fn open(config: &Config, ground: Ground) -> Result<Venue, LaunchFault> {
        let names = hot_names(config.market.matchers);
        let threads = names.iter().map(|name| placement::PlannedThread { core: None, agents: vec![name.clone()] });
        let plan = placement::Plan { threads: threads.collect(), idle: IdleStrategy::Spin, reason: String::new() };
        let (time, mut disk) = (ground.time.clone(), ground.disk.clone());
        let mut stages = Stages::build(config, &plan, ground)?;
        let mut agents: Vec<Box<dyn Agent>> = std::mem::take(&mut stages.hot);
        agents.extend(stages.persister.take().map(|persister| Box::new(persister) as Box<dyn Agent>));
        agents.extend(stages.shadow.take().map(|shadow| Box::new(shadow) as Box<dyn Agent>));
        agents.append(&mut stages.cold);
        clean::forget(mark_home(config), &mut disk)?;
        let agents = agents.into_iter().map(|agent| Turned { agent, starved_until: 0 }).collect();
        Ok(Venue { stages, agents, time, disk })
    }

    /// The first turn is near.
    pub fn start(&mut self) {
        self.agents.iter_mut().for_each(|turned| turned.agent.start());
    }

    pub fn agents(&self) -> usize {
        self.agents.len()
    }

    /// So many turns of one agent; none while it is starved.
    pub fn turn(&mut self, index: usize, step: u64, turns: u64) {
        let Turned { agent, starved_until } = &mut self.agents[index];
        if *starved_until > step {
            return;
        }
        // A look at the operator's socket costs a system call.
        let turns = if agent.name() == "operator" { 1 } else { turns };
        for _ in 0..turns {
            agent.work();
        }
    }

    /// The agent gets no turn before `step`.
    pub fn starve(&mut self, index: usize, step: u64) {
        self.agents[index].starved_until = step;
    }

    pub fn feed_all(&mut self) {
        self.agents.iter_mut().for_each(|turned| turned.starved_until = 0);
    }

    /// Highest record whose outputs have left, and highest record.
    pub fn delivered(&self) -> u64 {
        self.stages.delivered.value()
    }

    pub fn appended(&self) -> u64 {
        self.stages.appended.value()
    }

    /// A disk has failed: the process is about to end itself.
    pub fn wants_to_end(&self) -> bool {
        self.stages.stop.is_requested()
    }

    /// Why it does.
    pub fn fault(&self) -> String {
        let fault = self.stages.failure.take().map(LaunchFault::Journal).or_else(|| self.stages.cause.take());
        fault.map_or_else(|| "nobody says why".to_owned(), |fault| fault.to_string())
    }

    /// Whether it began behind a snapshot and not with the first record.
    pub fn began_behind_snapshot(&self) -> bool {
        self.stages.journal_lines.iter().any(|line| line.contains("from the snapshot behind"))
    }

    pub fn operator_socket(&self) -> PathBuf {
        self.stages.endpoints.operator.clone()
    }

    /// Ends in order, as `Exchange::close` does on threads. The closing is there when everything could be said; and how
    /// far outputs had left.
    pub fn stop(mut self, config: &Config, turns_max: u64) -> (Option<Closing>, u64) {
        self.feed_all();
        self.stages.closed.request();
        for _ in 0..turns_max {
            (0..self.agents.len()).for_each(|index| self.turn(index, 0, 2));
            if self.delivered() == self.appended() {
                break;
            }
        }
        let drained = self.delivered() == self.appended();
        if drained && !self.stages.failure.happened() {
            self.end_sessions();
        }
        // In the order of their way: stages, persister, shadow, cold ones.
        self.agents.iter_mut().for_each(|turned| turned.agent.stop());
        let whole = drained && !self.stages.failure.happened() && self.stages.ends.unsaid().is_none();
        self.hold_to_the_shadow();
        if !whole {
            return (None, self.delivered());
        }
        let end = self.stages.ends.journal_end().expect("the sequencer has stopped");
        let closing = self.stages.ends.closing(Number(self.appended()), &config.market);
        let marked = clean::write(mark_home(config), group(&config.market), end, &mut self.disk);
        (marked.is_ok().then_some(closing), self.delivered())
    }

    /// No shadow has ended the run: its state is that of the live stages, and of the journal.
    pub fn hold_to_the_shadow(&self) {
        if let Some(fault) = self.stages.cause.take() {
            panic!("the shadow ends the run: {fault}");
        }
    }
}

impl Venue {
    /// Tells everybody that the run ends, and waits until they have gone or the time for that is over.
    fn end_sessions(&mut self) {
        self.stages.ending.request();
        for _ in 0..ENDING_ROUNDS {
            self.time.pass(200_000_000);
            for _ in 0..ENDING_TURNS {
                (0..self.agents.len()).for_each(|index| self.turn(index, 0, 1));
            }
            if self.stages.empty.is_requested() {
                return;
            }
        }
    }
}

/// A plan's seams over the given parts.
pub fn ground(
    plan: &Plan,
    market: &Market,
    (time, wires, air): (&Time, &Wires, &Air),
    disk: &SimulatedDisk,
    flips: Option<Random>,
) -> Ground {
    Ground {
        flips,
        market: market.clone(),
        time: time.clone(),
        wires: wires.clone(),
        air: air.clone(),
        disk: disk.clone(),
        boot: 1,
        rooms: plan.rooms,
    }
}
