//! What a venue may send to a client, whole streams of it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::wire::soup::ServerPacket;

fuzz_target!(|bytes: &[u8]| {
    let mut out = vec![0; bytes.len() + 3];
    let mut rest = bytes;
    while let Ok(Some((packet, taken))) = ServerPacket::next(rest) {
        assert!((3..=rest.len()).contains(&taken));
        let length = packet.encode(&mut out);
        // An answer to a login is written in its canonical form, everything else as it came.
        assert!(matches!(packet, ServerPacket::LoginAccepted(_)) || out[..length] == rest[..taken]);
        rest = &rest[taken..];
    }
});
