//! What several tests share: a random generator with a seed, and the slow twins the fast structures race against.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod allocations;
pub mod flow;
pub mod lanes;
pub mod random;
pub mod script;
pub mod twin;
pub mod twin_cross;
pub mod twin_pegs;
