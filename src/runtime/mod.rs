//! What stages run on: agents and the threads that turn them, bounded links between them, shared rings to other
//! processes, counters others can read.
pub mod agent;
pub mod counters;
pub mod idle;
pub mod link;
pub mod points;
pub mod queues;
pub mod runner;
pub mod shared_ring;
pub mod spans;
pub mod stamps;
pub mod table;
pub mod way_file;

// For stages, which reach the system only through here.
pub use crate::os::prefetch;
