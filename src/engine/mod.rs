//! The deterministic core: order books with their matching, and the order management with its risk checks.
//!
//! State, record and time go in, events come out. Nothing here reads a clock, starts a thread, opens a file, draws a
//! random number or iterates in an order that an address decides: the same records give the same bytes on every
//! machine, which is what replay, fail-over and the proofs of the tests stand on. Everything is preallocated.

#![forbid(unsafe_code)]

pub mod book;
pub mod digest;
pub mod oms;
pub mod risk;
