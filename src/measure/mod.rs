//! Load and its measurement: order flow to play, an open-loop player, and the percentiles of what it saw.
//!
//! Everything here runs on the client's side of the wire, in a process or on a core of its own, and knows the
//! exchange only by its protocols. `flow` says what is sent, `load` when, `floor` what the machine itself takes for it;
//! `latency`, `spread` and `table` what came of it, `trace` where the time of single messages went, `result` keeps it and
//! `report` shows it.

pub mod floor;
pub mod flow;
pub mod jitter;
pub mod latency;
pub mod load;
pub mod report;
pub mod result;
pub mod spread;
pub mod table;
pub mod trace;
