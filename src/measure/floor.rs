//! The floor under a load: the same messages, at the same times, to something that only sends them back.
//!
//! Open loop like the player's, from the same thread: each message has its time, and its latency counts from that. What
//! answers is another process on the exchange's core, halted while the exchange runs. So the quotient of the two says
//! what the exchange adds to what this machine asks for in any case, at this rate and in this run. An order and its
//! cancel go in turn, in their lengths on the wire; answers are as much longer as an Accepted is than its order.

use super::flow::even_at;
use super::latency::Latencies;
use super::load::schedule::{Lateness, Sample, Samples};
use crate::client::floor::Floor;
use crate::os::clock::monotonic_ns;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// An order and its cancel as they travel in a ring: a type letter and the message.
pub const RING_BYTES: [usize; 2] = [48, 12];
/// And over TCP, with the two bytes of the packet's length.
pub const TCP_BYTES: [usize; 2] = [50, 14];
/// By how much Accepted is longer than its order. A Canceled is 9 bytes longer than its cancel; the floor makes it 17
/// too, which moves no further cache line.
pub const LONGER_BYTES: usize = 17;
/// Messages sent before answers are looked for again, as the player does.
const SENDS_PER_TURN: usize = 16;
/// Answers taken from a lane in one turn.
const ANSWERS_PER_TURN: usize = 32;
/// Without an answer for so long a floor is broken.
const SILENCE_NS: u64 = 30_000_000_000;

/// One way there and back.
pub trait Lane {
    /// Sends the next of order and cancel, which come in turn from the lane's first to its last; false while there is
    /// no room.
    /// # Errors
    /// The other side is gone.
    fn try_send(&mut self) -> io::Result<bool>;

    /// Whether the next answer is there; takes it.
    /// # Errors
    /// The other side is gone.
    fn try_receive(&mut self) -> io::Result<bool>;
}

/// Two rings and the process behind them.
pub struct RingLane {
    floor: Floor,
    kind: usize,
}

impl RingLane {
    /// Over a floor that was started with [`LONGER_BYTES`].
    pub fn new(floor: Floor) -> RingLane {
        RingLane { floor, kind: 0 }
    }

    /// The other process.
    pub fn echo_id(&self) -> u32 {
        self.floor.echo_id()
    }
}

impl Lane for RingLane {
    #[inline]
    fn try_send(&mut self) -> io::Result<bool> {
        let is_sent = self.floor.try_send(&[0x5A; RING_BYTES[0]][..RING_BYTES[self.kind]])?;
        self.kind ^= usize::from(is_sent);
        Ok(is_sent)
    }

    #[inline]
    fn try_receive(&mut self) -> io::Result<bool> {
        self.floor.try_receive()
    }
}

/// A connection to an echo that makes each answer [`LONGER_BYTES`] longer than its message.
pub struct TcpLane {
    stream: TcpStream,
    kind: usize,
    /// Lengths of the answers to come, oldest first.
    expected: VecDeque<usize>,
    /// Bytes here that belong to answers not yet told.
    received: usize,
}

impl TcpLane {
    /// Connects.
    /// # Errors
    /// What the system says.
    pub fn connect(address: SocketAddr) -> io::Result<TcpLane> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(TcpLane { stream, kind: 0, expected: VecDeque::with_capacity(1 << 16), received: 0 })
    }

    fn take(&mut self) -> bool {
        match self.expected.front() {
            Some(&bytes) if self.received >= bytes => {
                self.received -= bytes;
                self.expected.pop_front();
                true
            }
            Some(_) | None => false,
        }
    }
}

impl Lane for TcpLane {
    fn try_send(&mut self) -> io::Result<bool> {
        if self.expected.len() == self.expected.capacity() {
            return Ok(false);
        }
        let message = &[0x5A; TCP_BYTES[0]][..TCP_BYTES[self.kind]];
        match self.stream.write(message) {
            Ok(count) if count == message.len() => {}
            // Part of so short a message: the socket is full by a hair. The rest must follow, or the echo is out of step.
            Ok(count) => write_rest(&mut self.stream, &message[count..])?,
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(fault) => return Err(fault),
        }
        self.kind ^= 1;
        self.expected.push_back(message.len() + LONGER_BYTES);
        Ok(true)
    }

    fn try_receive(&mut self) -> io::Result<bool> {
        if self.take() {
            return Ok(true);
        }
        if self.expected.is_empty() {
            return Ok(false);
        }
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.received += count;
                Ok(self.take())
            }
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

#[cold]
fn write_rest(stream: &mut TcpStream, mut rest: &[u8]) -> io::Result<()> {
    let until = monotonic_ns() + SILENCE_NS;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(fault) if fault.kind() == ErrorKind::WouldBlock && monotonic_ns() < until => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// When a floor's messages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FloorPlan {
    /// Messages a second.
    pub per_second: u64,
    /// So many at once, then a pause that keeps the average; 1 sends evenly.
    pub burst: u64,
    /// Sent and not measured, from the start.
    pub unmeasured_ns: u64,
    /// Nothing is due later than this.
    pub duration_ns: u64,
    /// Messages of a lane without an answer.
    pub in_flight_max: usize,
}

/// What a floor came to.
pub struct FloorReport {
    /// From the intended time of sending to the answer.
    pub intended: Latencies,
    /// From the sending to the answer.
    pub service: Latencies,
    /// Whether messages were sent in time.
    pub lateness: Lateness,
    /// Each measured message.
    pub samples: Samples,
}

impl FloorReport {
    /// Empty, with memory for so many samples.
    pub fn new(samples_max: usize) -> FloorReport {
        let (intended, service) = (Latencies::new(), Latencies::new());
        FloorReport { intended, service, lateness: Lateness::default(), samples: Samples::new(samples_max) }
    }

    fn clear(&mut self) {
        self.intended.clear();
        self.service.clear();
        self.samples.clear();
        self.lateness = Lateness::default();
    }
}

/// Plays over lanes in turn and waits for all answers; what was in the report before is forgotten.
/// # Errors
/// A lane whose other side is gone or silent.
pub fn play<L: Lane>(lanes: &mut [L], plan: FloorPlan, report: &mut FloorReport) -> io::Result<()> {
    report.clear();
    let mut waiting: Vec<VecDeque<(u64, u64)>> =
        lanes.iter().map(|_| VecDeque::with_capacity(plan.in_flight_max)).collect();
    let start = monotonic_ns() + 1_000_000;
    let (mut sent, mut heard_ns, mut held_until) = (0u64, start, 0);
    let mut held = false;
    loop {
        let mut now = monotonic_ns();
        for _ in 0..SENDS_PER_TURN {
            let at = even_at(sent - sent % plan.burst.max(1), plan.per_second);
            if at > plan.duration_ns || start + at > now {
                break;
            }
            // As the ping flow does it: an order and its cancel through the same door, then the next door.
            let lane = (sent / 2) as usize % lanes.len();
            let due = start + at;
            let had_to_wait = held;
            held = waiting[lane].len() == plan.in_flight_max || !lanes[lane].try_send()?;
            if held {
                break;
            }
            if had_to_wait {
                held_until = now;
            }
            if at >= plan.unmeasured_ns {
                report.lateness.note(now - due, due < held_until);
            }
            waiting[lane].push_back((due, now));
            sent += 1;
            now = monotonic_ns();
        }
        for (lane, waiting) in lanes.iter_mut().zip(&mut waiting) {
            for _ in 0..ANSWERS_PER_TURN {
                if !lane.try_receive()? {
                    break;
                }
                let answered_ns = monotonic_ns();
                heard_ns = answered_ns;
                let Some((due_ns, sent_ns)) = waiting.pop_front() else { return Err(ErrorKind::InvalidData.into()) };
                if due_ns >= start + plan.unmeasured_ns {
                    let sample = Sample { due_ns, sent_ns, answered_ns, ..Sample::default() };
                    report.intended.record(sample.intended_ns());
                    report.service.record(sample.service_ns());
                    report.samples.push(sample);
                }
            }
        }
        let is_quiet = waiting.iter().all(VecDeque::is_empty);
        if is_quiet && even_at(sent, plan.per_second) > plan.duration_ns {
            return Ok(());
        }
        if !is_quiet && now.saturating_sub(heard_ns) > SILENCE_NS {
            return Err(ErrorKind::TimedOut.into());
        }
        if is_quiet {
            heard_ns = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers after some polls.
    struct Slow {
        waiting: usize,
        polls: usize,
        sent: usize,
    }

    impl Lane for Slow {
        fn try_send(&mut self) -> io::Result<bool> {
            self.waiting += 1;
            self.sent += 1;
            Ok(true)
        }

        fn try_receive(&mut self) -> io::Result<bool> {
            self.polls += 1;
            let answers = self.waiting > 0 && self.polls.is_multiple_of(3);
            self.waiting -= usize::from(answers);
            Ok(answers)
        }
    }

    #[test]
    fn every_message_due_is_sent_answered_and_after_the_warm_up_measured() {
        let slow = || Slow { waiting: 0, polls: 0, sent: 0 };
        let mut lanes = [slow(), slow()];
        let plan = FloorPlan {
            per_second: 1_000_000,
            burst: 4,
            unmeasured_ns: 1_000_000,
            duration_ns: 4_999_999,
            in_flight_max: 3,
        };
        let mut report = FloorReport::new(10_000);
        play(&mut lanes, plan, &mut report).unwrap();
        // Every microsecond one, from 0 to 4,999; measured from 1,000 on.
        assert_eq!(lanes.iter().map(|lane| lane.sent).sum::<usize>(), 5_000);
        assert_eq!(lanes[1].sent, 2_500, "lanes take turns");
        assert_eq!((report.intended.count(), report.lateness.sends), (4_000, 4_000));
        assert_eq!((report.samples.kept().len(), report.samples.beyond()), (4_000, 0));
    }
}
