//! Load and its measurement: order flow to play, an open-loop player, and the percentiles of what it saw.
//!
//! Everything here runs on the client's side of the wire, in a process or on a core of its own, and knows the
//! exchange only by its protocols. `flow` says what is sent, `load` when, `latency` and `table` what came of it.

pub mod flow;
pub mod latency;
pub mod load;
pub mod table;
