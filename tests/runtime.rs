//! Agents, links, counters and the runner together: a small pipeline, and what it may not do.

use pitlane::os::pages;
use pitlane::runtime::agent::Agent;
use pitlane::runtime::counters::{Counter, Counters};
use pitlane::runtime::idle::IdleStrategy;
use pitlane::runtime::link::{MarkReader, MarkWriter, Receiver, Sender, bounded, mark};
use pitlane::runtime::runner::{Runner, StopFlag, ThreadPlan};

/// What travels: as large as a sequenced command.
type Message = [u64; 16];

const MESSAGES: u64 = 50_000;
/// Most messages an agent takes in a turn.
const TURN_MAX: usize = 32;

/// Sends numbered messages, and asks for the stop when the last one has come out at the other end.
struct Source {
    sent: u64,
    out: Sender<Message>,
    arrived: MarkReader,
    stop: StopFlag,
}

impl Agent for Source {
    fn name(&self) -> &str {
        "source"
    }

    fn work(&mut self) -> usize {
        let count = self.out.free().min(TURN_MAX).min((MESSAGES - self.sent) as usize);
        for _ in 0..count {
            self.sent += 1;
            self.out.try_push([self.sent; 16]).expect("free said so");
        }
        if self.arrived.value() == MESSAGES {
            self.stop.request();
        }
        count
    }
}

/// Hands messages on, doubled.
struct Stage {
    input: Receiver<Message>,
    out: Sender<Message>,
    handed_on: Counter,
}

impl Agent for Stage {
    fn name(&self) -> &str {
        "stage"
    }

    fn work(&mut self) -> usize {
        let mut done = 0;
        while done < TURN_MAX && self.out.has_room(1) {
            let Some(message) = self.input.pop() else { break };
            self.out.try_push(message.map(|word| word * 2)).expect("there is room");
            done += 1;
        }
        self.handed_on.add(done as u64);
        done
    }
}

/// Checks order and content, and publishes how far it came.
struct Sink {
    input: Receiver<Message>,
    arrived: MarkWriter,
}

impl Agent for Sink {
    fn name(&self) -> &str {
        "sink"
    }

    fn work(&mut self) -> usize {
        let mut done = 0;
        while done < TURN_MAX {
            let Some(message) = self.input.pop() else { break };
            done += 1;
            let expected = self.arrived.value() + 1;
            assert_eq!(message, [expected * 2; 16]);
            self.arrived.set(expected);
        }
        done
    }
}

/// Runs the pipeline with its agents on so many threads, and gives what the counters say afterwards.
fn play(threads: usize) -> Vec<(String, u64)> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("counters");
    let mut counters = Counters::create(&path, 1).unwrap();
    let ((first, input), (second, output)) = (bounded(64), bounded(16));
    let ((arrived, seen), stop) = (mark(), StopFlag::new());
    let agents: Vec<Box<dyn Agent>> = vec![
        Box::new(Source { sent: 0, out: first, arrived: seen, stop: stop.clone() }),
        Box::new(Stage { input, out: second, handed_on: counters.add("stage.handed_on") }),
        Box::new(Sink { input: output, arrived }),
    ];
    let mut plans: Vec<ThreadPlan> = (0..threads)
        .map(|thread| ThreadPlan { name: format!("thread-{thread}"), core: None, agents: Vec::new() })
        .collect();
    agents.into_iter().enumerate().for_each(|(index, agent)| plans[index % threads].agents.push(agent));
    let runner = Runner::spawn(plans, IdleStrategy::Yield, stop).unwrap();
    assert_eq!(runner.join().unwrap().len(), 3);
    Counters::read(&path).unwrap()
}

#[test]
fn a_pipeline_hands_all_messages_on_in_order_however_its_agents_are_placed() {
    for threads in 1..=3 {
        assert_eq!(play(threads), [("stage.handed_on".to_string(), MESSAGES)], "on {threads} threads");
    }
}

#[test]
fn a_stage_that_panics_ends_the_others_and_is_named() {
    let ((mut first, input), (arrived, _)) = (bounded(4), mark());
    first.try_push([7; 16]).unwrap();
    let sink: Box<dyn Agent> = Box::new(Sink { input, arrived });
    let ((out, _kept), (_, seen), stop) = (bounded(4), mark(), StopFlag::new());
    let source: Box<dyn Agent> = Box::new(Source { sent: 0, out, arrived: seen, stop: stop.clone() });
    let plan = |name: &str, agent| ThreadPlan { name: name.into(), core: None, agents: vec![agent] };
    let runner = Runner::spawn(vec![plan("front", source), plan("back", sink)], IdleStrategy::Yield, stop).unwrap();
    let fault = runner.join().err().expect("the sink does not take a message that is not its next");
    assert_eq!(fault.thread, "back");
}

#[test]
fn the_first_lap_of_a_link_faults_no_page() {
    const CAPACITY: usize = 16_384;
    let (mut sender, mut receiver) = bounded::<Message>(CAPACITY);
    let mut counters = Counters::anonymous(1).unwrap();
    let counter = counters.add("passed");
    // One message first: the code's own pages are not what is asked about.
    sender.try_push([0; 16]).unwrap();
    receiver.pop().unwrap();
    counter.add(1);
    let before = pages::faults();
    for value in 0..2 * CAPACITY as u64 {
        sender.try_push([value; 16]).expect("it is taken out at once");
        counter.add(receiver.pop().map_or(0, |_| 1));
    }
    assert_eq!((pages::faults(), counter.value()), (before, 2 * CAPACITY as u64 + 1));
}
