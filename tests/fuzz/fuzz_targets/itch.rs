//! The feed's messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::wire::itch;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = itch::parse(bytes) {
        assert_eq!(message.as_bytes(), bytes);
        assert_eq!(itch::message_bytes(message.head().kind), Some(bytes.len()));
    }
});
