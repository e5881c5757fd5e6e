//! Byte layouts, nothing else: each message is parsed once and trusted afterwards.
//!
//! A layout is a `#[repr(C)]` type of big-endian (journal: little-endian) fields whose size the compiler checks, so
//! that an offset is never written by hand. Readers take arbitrary bytes and give a value or a small error; they
//! do not judge letters, prices or state, which is the business of whoever can answer the client. Writers fill the
//! caller's buffer and say how much. Nothing here allocates, waits or knows a socket: any thread may call it, and
//! the hot ones do.

pub mod depth;
mod field;
pub mod itch;
pub mod log_mark;
pub mod mold;
pub mod ouch;
pub mod record;
pub mod segment;
pub mod snapshot;
pub mod soup;

pub use field::U48;
