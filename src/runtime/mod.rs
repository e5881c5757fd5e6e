//! What stages run on: agents and the threads that turn them, bounded links between them, shared rings to other
//! processes, counters others can read.
pub mod agent;
pub mod counters;
pub mod idle;
pub mod link;
pub mod prefetch;
pub mod runner;
pub mod shared_ring;
