//! Every recorded line is read, written again and compared. Lines that are not the form we write are named.

use pitlane::wire::mold::{MoldPacket, PacketWriter, Request};
use pitlane::wire::ouch::{Inbound, MESSAGE_MAX, Outbound};
use pitlane::wire::soup::{ClientPacket, PACKET_MAX, ServerPacket};
use pitlane::wire::{itch, mold};

/// The lines of a vector file.
pub fn lines(text: &str) -> Vec<(&str, Vec<u8>)> {
    let bytes_of = |hex: &str| -> Vec<u8> {
        assert!(hex.len().is_multiple_of(2), "half a byte in {hex}");
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, hex)| (name, bytes_of(hex)))
        .collect();
    assert!(!lines.is_empty());
    lines
}

pub const SOUP: &str = include_str!("../vectors/soupbintcp.hex.txt");
pub const OUCH_IN: &str = include_str!("../vectors/ouch-5.0-in.hex.txt");
pub const OUCH_OUT: &str = include_str!("../vectors/ouch-5.0-out.hex.txt");
pub const ITCH: &str = include_str!("../vectors/itch-5.0.hex.txt");
pub const MOLD: &str = include_str!("../vectors/moldudp64.hex.txt");

#[test]
fn soup_lines_come_back_the_same() {
    // Who may send which: `+` and `U` travel both ways.
    let both = ["soup_debug", "soup_unseq"];
    let client = ["soup_login", "soup_hb_client", "soup_logout"];
    let mut out = vec![0; PACKET_MAX];
    for (name, bytes) in lines(SOUP) {
        let from_client = client.iter().any(|prefix| name.starts_with(prefix));
        if from_client || both.contains(&name) {
            let (packet, taken) = ClientPacket::next(&bytes).unwrap().unwrap();
            assert_eq!(taken, bytes.len(), "{name}");
            let length = packet.encode(&mut out);
            assert_eq!(out[..length], bytes, "{name}");
        }
        if !from_client {
            let (packet, taken) = ServerPacket::next(&bytes).unwrap().unwrap();
            assert_eq!(taken, bytes.len(), "{name}");
            let length = packet.encode(&mut out);
            assert_eq!(out[..length], bytes, "{name}");
        } else {
            assert!(ServerPacket::next(&bytes).is_err(), "{name} is no packet of a server");
        }
    }
}

#[test]
fn ouch_inbound_lines_come_back_the_same() {
    let mut out = [0; MESSAGE_MAX];
    for (name, bytes) in lines(OUCH_IN) {
        let message = Inbound::parse(&bytes).unwrap();
        assert_eq!(message.tags().fault, None, "{name}");
        let length = message.encode(&mut out);
        match name {
            // The appendage's length of 0 may be left out, and we leave it out.
            "ouch_in_X_applen0" => assert_eq!(out[..length], bytes[..9], "{name}"),
            // Options in another order than ours, lowest tag first; both mean the same.
            "ouch_in_C_side_group" => assert_eq!(Inbound::parse(&out[..length]), Ok(message), "{name}"),
            _ => assert_eq!(out[..length], bytes, "{name}"),
        }
    }
}

#[test]
fn ouch_outbound_lines_come_back_the_same() {
    let mut out = [0; MESSAGE_MAX];
    for (name, bytes) in lines(OUCH_OUT) {
        let message = Outbound::parse(&bytes).unwrap();
        assert_eq!(message.tags().fault, None, "{name}");
        let length = message.encode(&mut out);
        match name {
            // Options in another order than ours, lowest tag first; both mean the same.
            "ouch_out_X" | "ouch_out_R_refresh" => assert_eq!(Outbound::parse(&out[..length]), Ok(message), "{name}"),
            _ => assert_eq!(out[..length], bytes, "{name}"),
        }
    }
}

#[test]
fn itch_lines_are_read_in_place() {
    let mut kinds = std::collections::BTreeSet::new();
    for (name, bytes) in lines(ITCH) {
        let message = itch::parse(&bytes).unwrap();
        assert_eq!(message.as_bytes(), bytes, "{name}");
        assert_eq!(message.head().time.get(), 34_200_000_000_123, "{name}");
        assert_eq!(itch::message_bytes(bytes[0]), Some(bytes.len()), "{name}");
        kinds.insert(bytes[0]);
    }
    assert_eq!(kinds.len(), 23, "every type occurs");
}

#[test]
fn mold_lines_come_back_the_same() {
    for (name, bytes) in lines(MOLD) {
        if name.starts_with("mold_req") {
            assert_eq!(Request::parse(&bytes).unwrap().encode()[..], bytes, "{name}");
            continue;
        }
        let packet = MoldPacket::parse(&bytes).unwrap();
        assert_eq!(packet.trailing_bytes(), 0, "{name}");
        let mut out = [0; mold::DATAGRAM_MAX];
        let length = match packet.kind() {
            mold::Kind::EndOfSession => {
                let header = mold::Header::end_of_session(packet.session(), packet.sequence());
                zerocopy::IntoBytes::write_to_prefix(&header, &mut out).unwrap();
                mold::HEADER_BYTES
            }
            mold::Kind::Data | mold::Kind::Heartbeat => {
                let mut writer = PacketWriter::new(&mut out, packet.session(), packet.sequence());
                for (_, message) in packet.messages() {
                    writer.try_push(message).unwrap();
                }
                writer.finish()
            }
        };
        assert_eq!(out[..length], bytes, "{name}");
    }
}

#[test]
fn mold_blocks_are_numbered_from_the_header() {
    let (_, bytes) = lines(MOLD).into_iter().find(|(name, _)| *name == "mold_data3").unwrap();
    let packet = MoldPacket::parse(&bytes).unwrap();
    let seen: Vec<(u64, u8)> = packet.messages().map(|(number, message)| (number, message[0])).collect();
    assert_eq!(seen, [(2, b'R'), (3, b'A'), (4, b'E')]);
    assert_eq!(packet.next_sequence(), 5);
    assert!(packet.messages().all(|(_, message)| itch::parse(message).is_ok()));
}
