//! System calls and mapped memory. The unsafe code lives here, each file around one kind of call.
pub mod affinity;
pub mod clock;
pub mod counts;
pub mod crc;
pub mod ethtool;
pub mod file_ring;
pub mod lost_memory;
pub mod mapped;
pub mod pages;
pub mod prefetch;
pub mod quiet;
pub mod signal;
pub mod socket;
pub mod timesync;
pub mod udp;
pub mod unix;
pub mod uring;
