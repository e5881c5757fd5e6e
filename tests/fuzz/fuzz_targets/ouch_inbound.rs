//! Order entry, client to venue.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::wire::ouch::{Inbound, MESSAGE_MAX};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Inbound::parse(bytes) {
        let mut out = [0; MESSAGE_MAX];
        let length = message.encode(&mut out);
        let again = Inbound::parse(&out[..length]).expect("what we write, we read");
        assert!(message.tags().fault.is_some() || again == message);
    }
});
