//! (being written)
pub mod net;
pub mod operator;
pub mod shared;
