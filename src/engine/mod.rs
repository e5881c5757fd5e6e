//! (being written)
#![forbid(unsafe_code)]
pub mod book;
pub mod oms;
