//! (being written)
pub mod operator;
pub mod shared;
