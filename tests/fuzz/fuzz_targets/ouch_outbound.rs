//! Order entry, venue to client.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::wire::ouch::{MESSAGE_MAX, Outbound};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Outbound::parse(bytes) {
        let mut out = [0; MESSAGE_MAX];
        let length = message.encode(&mut out);
        let again = Outbound::parse(&out[..length]).expect("what we write, we read");
        assert!(message.tags().fault.is_some() || again == message);
    }
});
