//! The edge towards clients: bytes of a login become [`crate::types::Command`]s, reports become the numbered stream
//! of bytes that the client reads.
//!
//! Nothing here knows markets; it knows sessions. The parts that a transport shares, whatever carries its bytes:
//! - [`session`]: SoupBinTCP as a state machine without input or output; [`login`]: who may log in, on a cold thread
//! - [`inbound`]: OUCH bytes to a command; [`outbound`]: a report to OUCH bytes; [`streams`]: all of them, to replay
//! - [`throttle`]: how fast a session may send; [`shown`]: what others on the host see of sessions
//!
//! The transports: [`tcp`] over the engines of [`net`], [`shared`] over rings in shared memory. [`agent`] turns them
//! all on one thread and owns what they share; [`operator`] takes the operators' requests.

pub mod agent;
pub mod core;
#[cfg(test)]
mod fixture;
pub mod inbound;
pub mod login;
pub mod net;
pub mod operator;
pub mod outbound;
pub mod session;
pub mod shared;
pub mod shown;
pub mod streams;
pub mod tcp;
pub mod throttle;
