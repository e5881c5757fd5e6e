//! The composition root: opens, recovers, builds links and agents, places and runs them, and stops in reverse.
//!
//! Nothing else in the crate ties stages together, so this is where the whole path can be read: [`Exchange::open`]
//! rebuilds the state from the log, hands OMS, books, streams and feed to their agents, and gives each link its two
//! ends. Cold but for what it starts. A stop drains: the edge takes nothing more, the stages finish what is under
//! way, and then each agent's end is written down, so that a replay can be held against it.

pub mod alarms;
pub mod checks;
pub mod closing;
pub mod derived;
pub mod endpoints;
pub mod fault;
pub mod following;
pub mod home;
pub mod metrics;
pub mod placement;
pub mod prometheus;
pub mod promise;
pub mod pulse;
pub mod rebuild;
pub mod replayed;
pub mod restore;
pub mod seams;
pub mod seen;
pub mod shadow;
pub mod spent;
pub mod stages;
pub mod status;
pub mod stores;
pub mod supply;
pub mod twin;
pub mod watched;

pub use fault::LaunchFault;

use crate::config::{Config, Placement, Survives};
use crate::journal::{Disk, Failure, Persister, SystemDisk, clean};
use crate::os::{affinity, signal};
use crate::runtime::idle::IdleStrategy;
use crate::runtime::link::MarkReader;
use crate::runtime::runner::{Runner, StopFlag, ThreadPlan};
use crate::types::Number;
use closing::Closing;
use endpoints::Endpoints;
use following::{Cause, Following};
use placement::Plan;
use seams::SystemSeams;
use spent::Phase;
use stages::{Ends, Stages};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use supply::Supply;

/// How often the foreground looks whether it shall stop.
const WATCH_PERIOD: Duration = Duration::from_millis(20);
/// How long a stop waits for what is under way; a stage that has not finished by then has failed.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long a stop waits for clients to close after it has sent them the end of their session.
const ENDING_MAX: Duration = Duration::from_secs(1);
/// Pause of the cold agents (logins, operator) between two looks, while there is work and when there has been none.
const COLD_PAUSE: Duration = Duration::from_micros(500);
const COLD_PAUSE_MAX: Duration = Duration::from_millis(20);
/// The same of the persister while acknowledgements wait for it: a tenth of a sync, and one sync when nobody trades.
const AWAITED_PAUSE: Duration = Duration::from_micros(20);
const AWAITED_PAUSE_MAX: Duration = Duration::from_millis(1);

/// A running exchange.
pub struct Exchange {
    hot: Runner,
    cold: Runner,
    persister: Option<Runner>,
    shadow: Option<Runner>,
    /// Brings the rest of the memory.
    supply: Supply,
    /// Why the persister ended, if it did.
    failure: Failure,
    /// Why the shadow ended the run, if it did.
    cause: Cause,
    /// Ends the run; the operator's stop and signals raise it.
    stop: StopFlag,
    /// Ends the intake: gateways take no more input.
    closed: StopFlag,
    /// Ends the sessions, and whether nobody is connected any more.
    ending: StopFlag,
    empty: StopFlag,
    appended: MarkReader,
    delivered: MarkReader,
    ends: Arc<Ends>,
    endpoints: Endpoints,
    announcement: Vec<String>,
    config: Config,
    /// For the mark of how it ended. Locked only so that other threads may look at an exchange.
    disk: Mutex<Box<dyn Disk>>,
}

impl Exchange {
    /// Recovers and starts. Returns when every agent works.
    ///
    /// # Errors
    /// A journal that cannot be continued, a machine that refuses memory, sockets or threads, a placement that does
    /// not fit it. Nothing is left running.
    pub fn open(config: Config) -> Result<Exchange, LaunchFault> {
        Exchange::open_on(config, Box::new(SystemDisk::new()))
    }

    /// The same with another disk beneath the segments: the seam where tests put a slow or a failing one.
    ///
    /// # Errors
    /// As [`Exchange::open`].
    pub fn open_on(config: Config, disk: Box<dyn Disk>) -> Result<Exchange, LaunchFault> {
        let directory = &config.directory;
        std::fs::create_dir_all(directory)
            .map_err(LaunchFault::system("creating the directory", directory.display()))?;
        let allowed = cores(&config).map_err(LaunchFault::system("reading the cores", "this process may use"))?;
        let names = stages::hot_names(config.market.matchers);
        let plan = placement::plan(&config.threads, &names, &allowed).map_err(LaunchFault::Configuration)?;
        let mut own = disk.another();
        let stages = Stages::build(&config, &plan, SystemSeams::on(disk))?;
        Closing::forget(directory)
            .map_err(LaunchFault::system("removing the closing.json of an earlier run in", directory.display()))?;
        let mut announcement = announcement(&config, &stages, &plan);
        clean::forget(home::mark_home(&config), &mut *own)?;
        let Stages { hot, cold, persister, shadow, cause, stop, closed, ending, empty, .. } = stages;
        let Stages { appended, failure, delivered, ends, endpoints, mut spent, rests, .. } = stages;
        // A core of its own where one is left; behind a map it keeps off the hot ones like all else.
        let spare = plan.spare(&allowed).filter(|_| !matches!(config.threads.placement, Placement::Map(_)));
        // First, so that the disk is ready by the time orders come.
        let persister = persister.map(|agent| aside(&plan, || persist(agent, config.journal.survives, spare)));
        let persister = persister.transpose()?;
        let hot = Runner::spawn(threads(&plan, hot), plan.idle, StopFlag::new()).map_err(thread_fault)?;
        let cold = vec![ThreadPlan { name: "cold".into(), core: None, agents: cold }];
        let idle = IdleStrategy::Sleep(COLD_PAUSE, COLD_PAUSE_MAX);
        let cold = aside(&plan, || Runner::spawn(cold, idle, StopFlag::new())).map_err(thread_fault)?;
        let shadow = shadow.map(|agent| aside(&plan, || follow(agent))).transpose()?;
        let supply = Supply::behind_the_start(rests, plan.cores())?;
        announcement.extend(hot.placements().iter().map(|placement| format!("thread     {placement}")));
        endpoints.write(directory).map_err(LaunchFault::system("writing the endpoints into", directory.display()))?;
        spent.ends(Phase::Threads);
        announcement.push(format!("start      {spent}"));
        Ok(Exchange {
            hot,
            cold,
            persister,
            shadow,
            supply,
            failure,
            cause,
            stop,
            closed,
            ending,
            empty,
            appended,
            delivered,
            ends,
            endpoints,
            announcement,
            config,
            disk: Mutex::new(own),
        })
    }

    /// What to tell people at start: lines of what was found, chosen and taken.
    pub fn announcement(&self) -> &[String] {
        &self.announcement
    }

    /// Where clients reach it.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Raising it ends [`Exchange::run`].
    pub fn stop_flag(&self) -> StopFlag {
        self.stop.clone()
    }

    /// Waits in the foreground until the operator, a signal or [`Exchange::stop_flag`] asks for the end; then stops.
    ///
    /// # Errors
    /// A stage that failed meanwhile, or did not finish what was under way.
    pub fn run(self) -> Result<Closing, LaunchFault> {
        signal::watch_termination().map_err(LaunchFault::system("watching", "termination signals"))?;
        let failed = self.hot.stop_flag().clone();
        while !self.stop.is_requested() && !failed.is_requested() && !signal::termination_requested() {
            std::thread::sleep(WATCH_PERIOD);
        }
        self.close()
    }

    /// Stops in reverse: intake, then what is under way, then the sessions, then the threads; writes down how it ended, and
    /// marks the journal when all of it is in its place.
    ///
    /// # Errors
    /// As [`Exchange::run`].
    pub fn close(self) -> Result<Closing, LaunchFault> {
        let Exchange {
            hot,
            cold,
            persister,
            shadow,
            supply,
            failure,
            cause,
            closed,
            ending,
            empty,
            appended,
            delivered,
            ends,
            config,
            disk,
            ..
        } = self;
        closed.request();
        supply.end();
        let drained = drain(&hot, &failure, &appended, &delivered);
        if drained.is_ok() && !failure.happened() {
            ending.request();
            let began = Instant::now();
            while !empty.is_requested() && !hot.stop_flag().is_requested() && began.elapsed() < ENDING_MAX {
                std::thread::sleep(WATCH_PERIOD / 10);
            }
        }
        hot.stop_flag().request();
        hot.join().map_err(thread_fault)?;
        // After the last append: it moves what is left, and says in a mark that all is synced.
        if let Some(persister) = persister {
            persister.stop_flag().request();
            persister.join().map_err(thread_fault)?;
        }
        // After the last sync: it takes a last snapshot, if that is worth one.
        if let Some(shadow) = shadow {
            shadow.stop_flag().request();
            shadow.join().map_err(thread_fault)?;
        }
        cold.stop_flag().request();
        cold.join().map_err(thread_fault)?;
        Endpoints::remove(&config.directory);
        if let Some(fault) = cause.take() {
            return Err(fault);
        }
        // The narrower cause first: a failed disk or a full store also keeps the stages from draining.
        if let Some(fault) = failure.take() {
            return Err(LaunchFault::Journal(fault));
        }
        if let Some(text) = ends.unsaid() {
            return Err(LaunchFault::Thread(text));
        }
        drained?;
        let closing = ends.closing(Number(appended.value()), &config.market);
        closing.write(&config.directory).map_err(LaunchFault::system("writing", "closing.json"))?;
        let end = ends.journal_end().expect("the sequencer has stopped");
        let mut disk = disk.into_inner().expect("nobody locks it before");
        clean::write(home::mark_home(&config), home::group(&config.market), end, &mut *disk)?;
        Ok(closing)
    }
}

/// The cores there are for a plan: where the configuration names cores, isolated ones count too; where it does not, those
/// that serve devices come first, to be left to others.
fn cores(config: &Config) -> std::io::Result<Vec<usize>> {
    match (&config.threads.placement, config.threads.shared_core) {
        (Placement::Map(_), _) | (_, Some(_)) => affinity::reachable(),
        _ => affinity::devices_first(),
    }
}

/// Starts cold threads where they are in nobody's way: off the cores that hot threads are pinned to, where others are left.
/// To the scheduler a spinning core and one with a busy client are alike, and a cold thread put on the first takes it away
/// from the exchange for milliseconds. A thread has its cores from the one that made it, hence one is made for that.
fn aside<T: Send>(plan: &Plan, start: impl FnOnce() -> T + Send) -> T {
    let hot = plan.cores();
    if hot.is_empty() {
        return start();
    }
    std::thread::scope(|scope| {
        let started = scope.spawn(|| {
            // Refused, they start where they may.
            let _cores = affinity::keep_off(&hot);
            start()
        });
        started.join().expect("starting a thread does not panic")
    })
}

/// Waits until the last record's outputs have left egress and nothing new has come for a while. Behind a disk that has
/// failed nothing moves any more.
fn drain(hot: &Runner, failure: &Failure, appended: &MarkReader, delivered: &MarkReader) -> Result<(), LaunchFault> {
    let started = Instant::now();
    let mut quiet_since = Instant::now();
    let mut last = appended.value();
    while quiet_since.elapsed() < 5 * WATCH_PERIOD {
        std::thread::sleep(WATCH_PERIOD);
        let now = appended.value();
        if now != last || delivered.value() != now {
            quiet_since = Instant::now();
            last = now;
        }
        if hot.stop_flag().is_requested() || failure.happened() {
            return Ok(());
        }
        if started.elapsed() > DRAIN_MAX {
            let (to, from) = (delivered.value(), now);
            return Err(LaunchFault::Thread(format!("stopping: outputs stand at record {to} of {from}")));
        }
    }
    Ok(())
}

/// The thread that moves the log to disk. Where orders wait for it, it looks for new records many times in the time one
/// sync takes; where they do not, as seldom as other cold threads. It keeps off the cores of hot threads where one is left.
fn persist(agent: Persister, survives: Survives, core: Option<usize>) -> Result<Runner, LaunchFault> {
    let idle = match survives {
        Survives::PowerLoss => IdleStrategy::Sleep(AWAITED_PAUSE, AWAITED_PAUSE_MAX),
        Survives::ProcessCrash => IdleStrategy::Sleep(COLD_PAUSE, COLD_PAUSE_MAX),
    };
    let plan = ThreadPlan { name: "persister".into(), core, agents: vec![Box::new(agent)] };
    Runner::spawn(vec![plan], idle, StopFlag::new()).map_err(thread_fault)
}

/// The thread of the shadow. Its owner never waits for it, so that it looks as seldom as the other cold ones.
fn follow(agent: Following) -> Result<Runner, LaunchFault> {
    let plan = ThreadPlan { name: "shadow".into(), core: None, agents: vec![Box::new(agent)] };
    Runner::spawn(vec![plan], IdleStrategy::Sleep(COLD_PAUSE, COLD_PAUSE_MAX), StopFlag::new()).map_err(thread_fault)
}

fn threads(plan: &Plan, agents: Vec<Box<dyn crate::runtime::agent::Agent>>) -> Vec<ThreadPlan> {
    let mut agents: Vec<_> = agents.into_iter().map(Some).collect();
    let mut taken = |name: &String| {
        let at = agents.iter().position(|a| a.as_ref().is_some_and(|a| a.name() == name));
        at.and_then(|at| agents[at].take()).expect("the plan places each agent once")
    };
    let thread = |planned: &placement::PlannedThread| ThreadPlan {
        name: match planned.agents.as_slice() {
            [only] => only.clone(),
            _ => "hot".to_owned(),
        },
        core: planned.core,
        agents: planned.agents.iter().map(&mut taken).collect(),
    };
    plan.threads.iter().map(thread).collect()
}

fn thread_fault(fault: crate::runtime::runner::RunnerFault) -> LaunchFault {
    LaunchFault::Thread(fault.to_string())
}

fn announcement(config: &Config, stages: &Stages, plan: &Plan) -> Vec<String> {
    let market = &config.market;
    let mebibytes = |bytes: usize| bytes.div_ceil(1 << 20);
    let streams = config.gateway.stream_bytes * market.sessions.len();
    let mut lines = vec![
        format!(
            "exchange   {}: {} tickers, {} accounts, {} logins, {} matcher(s)",
            String::from_utf8_lossy(&market.session_name),
            market.tickers.len(),
            market.accounts.len(),
            market.sessions.len(),
            market.matchers
        ),
        format!(
            "memory     log {} MiB, streams {} MiB, feed {} MiB, books and orders {} MiB; {} MiB of it on huge pages",
            mebibytes(config.journal.log_bytes),
            mebibytes(streams),
            mebibytes(config.feed.store_bytes),
            mebibytes(stages.engine_bytes),
            mebibytes(stages.huge_bytes),
        ),
        format!("network    {}", stages.network_line),
    ];
    lines.splice(1..1, stages.journal_lines.iter().cloned());
    lines.extend(stages.endpoints.lines());
    lines.push(format!("placement  {}; {}", plan.reason, plan.idle));
    lines.extend(stages.notes.iter().map(|note| format!("note       {note}")));
    lines
}

/// Where the files of a partition lie.
pub fn counters_path(config: &Config) -> PathBuf {
    config.directory.join("counters")
}

/// Times from stage to stage.
pub fn stages_path(config: &Config) -> PathBuf {
    config.directory.join("stages")
}

/// The last ways that were stamped, one by one.
pub fn ways_path(config: &Config) -> PathBuf {
    config.directory.join("ways")
}
