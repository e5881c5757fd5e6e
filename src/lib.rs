//! Pitlane: an ultra-low-latency trading platform. See the README for the life of an order.
//!
//! The folders stand in the order of an order's life; `tests/layout.rs` holds which may import which.

pub mod types;
