//! Byte layouts, nothing else: each message is parsed once and trusted afterwards.
pub mod depth;
pub mod itch;
pub mod mold;
pub mod ouch;
pub mod record;
pub mod soup;
