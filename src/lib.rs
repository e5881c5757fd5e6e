//! Pitlane: an ultra-low-latency trading platform. See the README for the life of an order.
//!
//! The folders stand in the order of an order's life; `tests/layout.rs` holds which may import which.

pub mod cli;
pub mod client;
pub mod config;
pub mod egress;
pub mod engine;
pub mod feed;
pub mod gateway;
pub mod journal;
pub mod launch;
pub mod matcher;
pub mod measure;
pub mod os;
pub mod runtime;
pub mod sequencer;
pub mod types;
pub mod wire;
