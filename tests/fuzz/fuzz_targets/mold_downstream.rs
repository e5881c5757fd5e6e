//! The feed's datagrams.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::wire::mold::{BLOCK_HEAD_BYTES, HEADER_BYTES, MoldPacket};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(packet) = MoldPacket::parse(bytes) {
        let blocks: usize = packet.messages().map(|(_, message)| message.len() + BLOCK_HEAD_BYTES).sum();
        assert_eq!(HEADER_BYTES + blocks + packet.trailing_bytes(), bytes.len());
        assert_eq!(packet.messages().count(), usize::from(packet.count()));
        assert!(packet.messages().all(|(number, _)| number < packet.next_sequence()));
    }
});
