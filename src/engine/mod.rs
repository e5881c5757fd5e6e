//! (being written)
#![forbid(unsafe_code)]
pub mod book;
pub mod digest;
pub mod oms;
pub mod risk;
