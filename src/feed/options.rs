//! Where, how and how soon the feed goes out.

use crate::os::udp::MulticastOut;
use std::net::{Ipv4Addr, SocketAddr};

/// How long what was taken may wait for a good moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hold {
    /// Time without a new fact after which it is sent: nobody is in the middle of something.
    pub quiet_ns: u64,
    /// Time since the first fact that waits after which it is sent in any case.
    pub wait_ns_max: u64,
}

impl Hold {
    /// For a feed that has a thread to itself.
    pub const NONE: Hold = Hold { quiet_ns: 0, wait_ns_max: 0 };
    /// For a feed that takes turns with the stages that answer clients. A send takes the thread for some 2 us. Whoever
    /// sends over TCP and waits for each answer is back within ten to thirty: less quiet than that met most of its orders. A stream
    /// of orders too thin to fill a datagram gives no quiet at all, and then one order in many waits for the send.
    pub const SHARED: Hold = Hold { quiet_ns: 30_000, wait_ns_max: 60_000 };
}

/// Where and how the feed goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedOptions {
    /// A multicast group, or any unicast address where the network carries no multicast.
    pub destination: SocketAddr,
    /// Interface, reach and local hearing of multicast.
    pub multicast: MulticastOut,
    /// Address of the request server; port 0 takes a free one.
    pub requests: SocketAddr,
    /// Silence after which a heartbeat goes out, in ns.
    pub heartbeat_ns: u64,
    /// Most answers a second for one requesting host.
    pub answers_per_second_max: u32,
    /// How long facts may be held back.
    pub hold: Hold,
}

impl Default for FeedOptions {
    /// The loopback interface of this host, to be heard by programs on it.
    fn default() -> Self {
        FeedOptions {
            destination: (Ipv4Addr::new(239, 255, 50, 1), 26400).into(),
            multicast: MulticastOut { interface: Ipv4Addr::LOCALHOST, ttl: 1, loopback: true },
            requests: (Ipv4Addr::LOCALHOST, 26401).into(),
            heartbeat_ns: 1_000_000_000,
            // A late joiner takes some ten million messages in six seconds.
            answers_per_second_max: 50_000,
            hold: Hold::NONE,
        }
    }
}
