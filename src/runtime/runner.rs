//! [`Runner`]: pinned threads that turn agents until told to stop.
//!
//! A [`ThreadPlan`] names a thread, its core and the agents that take turns on it. Starting goes in step: every
//! thread pins itself and reads back where it stands, starts its agents, and waits until all threads have; so no
//! agent works while another still touches its memory. The loop between is all that is hot: the agents' turns and
//! one load of the stop flag, a line nobody writes.
//!
//! Stopping has two phases. [`StopFlag::request`] makes every thread leave its loop and wait; [`Runner::join`] then
//! lets them call their agents' `stop` one thread after the other, in the order of the plans. Draining is not done
//! here: the composition root asks for a stop when its own stages have nothing left in flight.
//!
//! An agent that panics is a bug. The release build aborts; where unwinding is on, the flag is raised so that the
//! other threads stop too, and `join` gives the fault.

use super::agent::Agent;
use super::idle::{Idle, IdleStrategy};
use crate::os::affinity;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// Agents that share a thread.
pub struct ThreadPlan {
    /// Name of the thread; the system shows its first 15 bytes.
    pub name: String,
    /// Core it is pinned to; `None` leaves it to the scheduler.
    pub core: Option<usize>,
    /// They take turns in this order.
    pub agents: Vec<Box<dyn Agent>>,
}

/// Asks all threads of a runner to leave their loops. Cheap to clone and to look at.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Not requested.
    pub fn new() -> StopFlag {
        StopFlag::default()
    }

    /// Requests the stop. Safe to call from a signal handler, as often as wanted.
    pub fn request(&self) {
        // Pairs with the load in `is_requested`.
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was requested.
    #[inline]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Where a thread stands, as read back from the system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    /// The thread's name.
    pub thread: String,
    /// The core asked for.
    pub wanted: Option<usize>,
    /// The core it is pinned to; why not, when it should be and is not; `Ok(None)` when it need not be.
    pub pinned: Result<Option<usize>, String>,
    /// Its agents' names.
    pub agents: Vec<String>,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.thread)?;
        match &self.pinned {
            Ok(Some(core)) => write!(f, "pinned to core {core}")?,
            Ok(None) => write!(f, "not pinned")?,
            Err(why) => write!(f, "NOT pinned: {why}")?,
        }
        write!(f, " ({})", self.agents.join(", "))
    }
}

/// A thread that could not start, or an agent that panicked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunnerFault {
    /// Which thread.
    pub thread: String,
    /// What happened.
    pub cause: String,
}

impl fmt::Display for RunnerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {}: {}", self.thread, self.cause)
    }
}

impl std::error::Error for RunnerFault {}

/// Threads at work.
pub struct Runner {
    threads: Vec<Worker>,
    placements: Vec<Placement>,
    stop: StopFlag,
}

/// A thread from outside: dropping `release` lets it stop its agents.
struct Worker {
    name: String,
    release: Option<mpsc::Sender<()>>,
    handle: JoinHandle<Result<Vec<Box<dyn Agent>>, String>>,
}

impl Runner {
    /// Starts the threads; returns when every agent has started and all of them work.
    /// # Errors
    /// When a thread cannot be made or an agent panics in `start`; then no agent has worked, and those that had
    /// started were stopped. A thread that cannot be pinned is no fault: see [`Runner::placements`].
    pub fn spawn(threads: Vec<ThreadPlan>, idle: IdleStrategy, stop: StopFlag) -> Result<Runner, RunnerFault> {
        let gate = Arc::new(Gate::default());
        let mut runner = Runner { threads: Vec::with_capacity(threads.len()), placements: Vec::new(), stop };
        let started = threads.into_iter().try_for_each(|plan| runner.add(plan, idle, &gate));
        gate.open(started.is_ok());
        started.map(|()| runner)
    }

    /// Makes one thread and waits until its agents have started. One after the other, because starting is cold and
    /// a fault then names its thread.
    fn add(&mut self, plan: ThreadPlan, idle: IdleStrategy, gate: &Arc<Gate>) -> Result<(), RunnerFault> {
        let name = plan.name.clone();
        let fault = |cause: String| RunnerFault { thread: name.clone(), cause };
        let (release, released) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let (stop, gate) = (self.stop.clone(), Arc::clone(gate));
        let handle = std::thread::Builder::new()
            .name(plan.name.clone())
            .spawn(move || run(plan, Idle::new(idle), &stop, &gate, ready, &released))
            .map_err(|error| fault(format!("cannot be made: {error}")))?;
        self.threads.push(Worker { name: name.clone(), release: Some(release), handle });
        let placement = is_ready.recv().map_err(|_| fault("an agent panicked in its start".into()))?;
        self.placements.push(placement);
        Ok(())
    }

    /// Where each thread stands, for the message at start and for refusing to trade unpinned.
    pub fn placements(&self) -> &[Placement] {
        &self.placements
    }

    /// The flag that ends it.
    pub fn stop_flag(&self) -> &StopFlag {
        &self.stop
    }

    /// Waits for the stop flag to take effect, stops the agents in the order of the plans and gives them back in
    /// that order. Does not raise the flag itself.
    /// # Errors
    /// The first thread with an agent that panicked; all others have stopped orderly.
    pub fn join(mut self) -> Result<Vec<Box<dyn Agent>>, RunnerFault> {
        self.join_all()
    }

    fn join_all(&mut self) -> Result<Vec<Box<dyn Agent>>, RunnerFault> {
        let mut agents = Vec::new();
        let mut fault = None;
        for mut worker in self.threads.drain(..) {
            drop(worker.release.take());
            match worker.handle.join().unwrap_or_else(|panic| Err(panic_text(&*panic))) {
                Ok(mut stopped) => agents.append(&mut stopped),
                Err(cause) => {
                    fault.get_or_insert(RunnerFault { thread: worker.name, cause });
                }
            }
        }
        fault.map_or(Ok(agents), Err)
    }
}

impl Drop for Runner {
    /// A runner let go without `join` (a test that failed, an early return) still leaves no thread behind.
    fn drop(&mut self) {
        self.stop.request();
        let _ = self.join_all();
    }
}

/// A thread's life. The agents are returned as they are after their `stop`.
fn run(
    mut plan: ThreadPlan,
    idle: Idle,
    stop: &StopFlag,
    gate: &Gate,
    ready: mpsc::Sender<Placement>,
    released: &mpsc::Receiver<()>,
) -> Result<Vec<Box<dyn Agent>>, String> {
    let mut worked = catch_unwind(AssertUnwindSafe(|| {
        let placement = place(&plan);
        plan.agents.iter_mut().for_each(|agent| agent.start());
        let _ = ready.send(placement);
        if gate.wait() {
            turn(&mut plan.agents, idle, stop);
        }
    }));
    if worked.is_err() {
        stop.request();
    }
    // Where `start` panicked nothing was sent, and the runner learns it from this end going away.
    drop(ready);
    // The runner never sends: it lets go of its end when it is this thread's time to stop.
    let _ = released.recv();
    if worked.is_ok() {
        worked = catch_unwind(AssertUnwindSafe(|| plan.agents.iter_mut().for_each(|agent| agent.stop())));
    }
    worked.map(|()| plan.agents).map_err(|panic| panic_text(&*panic))
}

/// The hot loop.
fn turn(agents: &mut [Box<dyn Agent>], mut idle: Idle, stop: &StopFlag) {
    while !stop.is_requested() {
        let mut done = 0;
        for agent in agents.iter_mut() {
            done += agent.work();
        }
        idle.after_turn(done);
    }
}

/// Pins the calling thread where the plan says and tells how that went.
fn place(plan: &ThreadPlan) -> Placement {
    let pinned = match plan.core {
        None => Ok(None),
        Some(core) => affinity::pin(core).map(|()| Some(core)).map_err(|error| error.to_string()),
    };
    let agents = plan.agents.iter().map(|agent| agent.name().to_string()).collect();
    Placement { thread: plan.name.clone(), wanted: plan.core, pinned, agents }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}

/// Holds the threads until all have started. Waiting here may sleep: nothing works yet.
#[derive(Default)]
struct Gate {
    /// `None` while closed; then whether to work or to give up.
    decision: Mutex<Option<bool>>,
    changed: Condvar,
}

impl Gate {
    fn open(&self, work: bool) {
        *self.decision.lock().expect("nobody panics while deciding") = Some(work);
        self.changed.notify_all();
    }

    fn wait(&self) -> bool {
        let closed = self.decision.lock().expect("nobody panics while deciding");
        let open = self.changed.wait_while(closed, |decision| decision.is_none());
        open.expect("nobody panics while deciding").expect("it opened")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Writes what it does into a common diary, and asks for the stop after some turns.
    struct Diarist {
        name: &'static str,
        diary: Arc<Mutex<Vec<String>>>,
        turns_left: usize,
        stop: StopFlag,
        panics_in: &'static str,
    }

    impl Diarist {
        fn note(&self, what: &str) {
            assert!(self.panics_in != what, "told to");
            self.diary.lock().unwrap().push(format!("{} {what}", self.name));
        }
    }

    impl Agent for Diarist {
        fn name(&self) -> &str {
            self.name
        }
        fn start(&mut self) {
            self.note("start");
        }
        fn work(&mut self) -> usize {
            match self.turns_left {
                0 => self.stop.request(),
                1 => self.note("work"),
                _ => {}
            }
            self.turns_left = self.turns_left.saturating_sub(1);
            self.turns_left.min(1)
        }
        fn stop(&mut self) {
            self.note("stop");
        }
    }

    /// Two threads, the second with two agents; `panics` names an agent and where it panics.
    fn play(panics: (&str, &'static str)) -> (Vec<String>, Result<Vec<String>, RunnerFault>) {
        let (diary, stop) = (Arc::new(Mutex::new(Vec::new())), StopFlag::new());
        let agent = |name: &'static str| -> Box<dyn Agent> {
            let panics_in = if panics.0 == name { panics.1 } else { "" };
            // Where one is to panic in its work, only that may end the run: another's stop could come before it.
            let turns_left = if panics.1 == "work" && panics.0 != name { usize::MAX } else { 3 };
            Box::new(Diarist { name, diary: diary.clone(), turns_left, stop: stop.clone(), panics_in })
        };
        let plan = |name: &str, agents| ThreadPlan { name: name.into(), core: None, agents };
        let plans = vec![plan("first", vec![agent("a")]), plan("second", vec![agent("b"), agent("c")])];
        let runner = Runner::spawn(plans, IdleStrategy::Yield, stop.clone());
        let names = |agents: Vec<Box<dyn Agent>>| agents.iter().map(|agent| agent.name().to_string()).collect();
        let joined = runner.and_then(Runner::join).map(names);
        let diary = diary.lock().unwrap().clone();
        (diary, joined)
    }

    #[test]
    fn all_start_before_any_works_and_all_stop_in_order() {
        let (diary, joined) = play(("", ""));
        assert_eq!(diary[..3], ["a start", "b start", "c start"]);
        assert!(diary[3..diary.len() - 3].iter().all(|entry| entry.ends_with("work")));
        assert_eq!(diary[diary.len() - 3..], ["a stop", "b stop", "c stop"]);
        assert_eq!(joined.unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn a_panic_in_work_stops_the_others_and_is_told() {
        let (diary, joined) = play(("a", "work"));
        let fault = joined.unwrap_err();
        assert_eq!((fault.thread.as_str(), fault.cause.as_str()), ("first", "panicked: told to"));
        assert!(!diary.contains(&"a stop".to_string()));
        assert_eq!(diary[diary.len() - 2..], ["b stop", "c stop"]);
    }

    #[test]
    fn a_panic_in_start_lets_nobody_work() {
        let (diary, joined) = play(("c", "start"));
        assert_eq!(joined.unwrap_err().thread, "second");
        assert_eq!(diary, ["a start", "b start", "a stop"]);
    }

    #[test]
    fn a_panic_in_stop_is_told() {
        let (diary, joined) = play(("b", "stop"));
        assert_eq!(joined.unwrap_err().thread, "second");
        assert_eq!(diary.last().unwrap(), "a stop");
    }

    #[test]
    fn the_placement_says_where_a_thread_stands() {
        struct Idler;
        impl Agent for Idler {
            fn name(&self) -> &str {
                "idler"
            }
            fn work(&mut self) -> usize {
                0
            }
        }
        let core = affinity::allowed().unwrap()[0];
        let plan = |core| ThreadPlan { name: "t".into(), core, agents: vec![Box::new(Idler)] };
        let plans = vec![plan(Some(core)), plan(Some(usize::MAX)), plan(None)];
        let runner = Runner::spawn(plans, IdleStrategy::Yield, StopFlag::new()).unwrap();
        let texts: Vec<String> = runner.placements().iter().map(Placement::to_string).collect();
        assert_eq!(texts[0], format!("t: pinned to core {core} (idler)"));
        assert!(texts[1].starts_with("t: NOT pinned: there is no core"), "{}", texts[1]);
        assert_eq!(texts[2], "t: not pinned (idler)");
        runner.stop_flag().request();
        assert_eq!(runner.join().unwrap().len(), 3);
    }

    #[test]
    fn a_runner_let_go_leaves_no_thread_behind() {
        struct Counting(Arc<AtomicUsize>);
        impl Agent for Counting {
            fn name(&self) -> &str {
                "counting"
            }
            fn work(&mut self) -> usize {
                0
            }
            fn stop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let stopped = Arc::new(AtomicUsize::new(0));
        let agents: Vec<Box<dyn Agent>> = vec![Box::new(Counting(stopped.clone()))];
        let plan = ThreadPlan { name: "t".into(), core: None, agents };
        drop(Runner::spawn(vec![plan], IdleStrategy::Yield, StopFlag::new()).unwrap());
        assert_eq!(stopped.load(Ordering::SeqCst), 1);
    }
}
