//! [`Seams`]: all that the stages take from outside, put in by whoever builds them.
//!
//! Clocks, sockets, disk, password check and boot identity reach the stages through here and nowhere else, each as a
//! type of its own, so that the running exchange is compiled against the system's directly: no call through a table is
//! added. [`SystemSeams`] is the host. A simulator brings its own, and gets the very agents that run on threads, to turn
//! them one by one on a thread that knows no time but the one it makes. Cold: everything is asked for once, at start.

use super::{LaunchFault, promise};
use crate::config::{Config, Engine, GatewayKnobs};
use crate::engine::book::{EVENTS_MAX, Shard};
use crate::feed::{FeedOptions, FeedPorts, Port};
use crate::gateway::login::{Authenticator, Passwords};
use crate::gateway::net::{self, Network};
use crate::journal::{self, Disk};
use crate::os::clock::{Clock, CountedClock, SteadyClock};
use crate::os::pages;
use crate::sequencer::TimeSource;
use crate::types::Nanos;
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// What the stages stand on.
pub trait Seams {
    /// Times of records.
    type Time: TimeSource + 'static;
    /// Heartbeats, time-outs and pauses.
    type Steady: Clock + Clone + Send + 'static;
    /// Connections of order entry.
    type Network: Network + 'static;
    /// Datagrams of the feed.
    type Port: Port + 'static;

    /// The clock of record times.
    fn time(&self) -> Self::Time;

    /// A clock that does not go back.
    fn steady(&self) -> Self::Steady;

    /// The opened network engine, where it listens, and what to say about it.
    /// # Errors
    /// What the system says.
    fn network(&mut self, knobs: &GatewayKnobs) -> Result<(Self::Network, SocketAddr, String), LaunchFault>;

    /// The feed's way out and its request server's socket.
    /// # Errors
    /// What the system says.
    fn feed(&mut self, options: &FeedOptions) -> io::Result<FeedPorts<Self::Port>>;

    /// The disk beneath the segments and all that lies beside them.
    fn disk(&mut self) -> Box<dyn Disk>;

    /// Who decides about logins.
    /// # Errors
    /// Hashes that cannot be used.
    fn logins(&mut self, config: &Config) -> Result<Box<dyn Authenticator>, LaunchFault>;

    /// The run of the host that this is.
    fn boot(&self) -> u64;

    /// Holds the configured promise against what is there; gives lines to print.
    /// # Errors
    /// A promise that cannot be kept.
    fn promise(&self, config: &Config) -> Result<Vec<String>, LaunchFault>;

    /// Sizes of links and queues.
    fn rooms(&self) -> Rooms;

    /// What becomes of the live books after their state was rebuilt and before the first record: nothing. Who has to see
    /// that a state which differs is found flips a bit here.
    fn rebuilt(&mut self, _shards: &mut [Shard]) {}

    /// All memory is taken: a moment to lay it out well. Gives the bytes moved.
    fn settle(&mut self) -> usize;
}

/// Sizes of links and queues between stages.
///
/// The links between hot stages are small on purpose. A link's memory is walked round and round, so what counts for the
/// cache is its capacity and not what waits in it; together these stay below half of a core's second-level cache. The
/// terms: what a stage takes in one turn (32 commands or records, 256 events), and as much again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rooms {
    /// Commands between the edge and the sequencer.
    pub commands: usize,
    /// Records on their way to a matcher or to egress.
    pub records: usize,
    /// Events from a matcher: a whole buffer and as much again, so that one is drained while the next is filled.
    pub events: usize,
    /// Reports and public facts on their way to the edge, outcomes on their way back.
    pub outward: usize,
    /// Logins and operator's requests: people and reconnects.
    pub cold: usize,
    /// Outward values waiting for their commit, beside what one record sends to every session.
    pub held: usize,
    /// Price levels the depth cache keeps a side; beyond it the far ones are forgotten and counted.
    pub cache_levels: usize,
}

impl Rooms {
    /// What the running exchange has.
    pub const RUNNING: Rooms = Rooms {
        commands: 128,
        records: 128,
        events: 2 * EVENTS_MAX,
        outward: 256,
        cold: 64,
        held: 16_384,
        cache_levels: 1 << 16,
    };
}

const _: () = assert!(Rooms::RUNNING.events > EVENTS_MAX, "a matcher waits for room for a whole buffer");

/// The host, with a disk of the caller's choice.
pub struct SystemSeams {
    disk: Option<Box<dyn Disk>>,
}

impl SystemSeams {
    /// On this disk.
    pub fn on(disk: Box<dyn Disk>) -> SystemSeams {
        SystemSeams { disk: Some(disk) }
    }
}

/// The system's clock for record times.
pub struct RecordTime(CountedClock);

impl TimeSource for RecordTime {
    #[inline]
    fn now(&mut self) -> Nanos {
        Nanos(self.0.now())
    }
}

impl Seams for SystemSeams {
    type Time = RecordTime;
    type Steady = SteadyClock;
    type Network = net::AnyNetwork;
    type Port = UdpSocket;

    fn time(&self) -> RecordTime {
        RecordTime(CountedClock::new())
    }

    fn steady(&self) -> SteadyClock {
        SteadyClock
    }

    fn network(&mut self, knobs: &GatewayKnobs) -> Result<(net::AnyNetwork, SocketAddr, String), LaunchFault> {
        let failed = || LaunchFault::system("listening on", knobs.listen);
        let listener = net::listen(knobs.listen, net::SocketOptions::default()).map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let engine = match knobs.engine {
            Engine::Auto => net::Engine::Auto,
            Engine::Uring => net::Engine::Uring,
            Engine::Plain => net::Engine::Plain,
        };
        let (network, choice) = net::open(listener, engine, knobs.connections_max);
        Ok((network, address, choice.to_string()))
    }

    fn feed(&mut self, options: &FeedOptions) -> io::Result<FeedPorts<UdpSocket>> {
        FeedPorts::open(options)
    }

    fn disk(&mut self) -> Box<dyn Disk> {
        self.disk.take().expect("the stages ask for the disk once")
    }

    fn logins(&mut self, config: &Config) -> Result<Box<dyn Authenticator>, LaunchFault> {
        let passwords = Passwords::new(&config.market, &config.password_hashes);
        Ok(Box::new(passwords.map_err(|bad| LaunchFault::Configuration(bad.to_string()))?))
    }

    fn boot(&self) -> u64 {
        journal::host_boot()
    }

    fn promise(&self, config: &Config) -> Result<Vec<String>, LaunchFault> {
        promise::check(config)
    }

    fn rooms(&self) -> Rooms {
        Rooms::RUNNING
    }

    /// Moving it to huge pages costs some tenths of a second and no order.
    fn settle(&mut self) -> usize {
        pages::collapse_large_memory()
    }
}
