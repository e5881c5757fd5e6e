//! What holds for any bytes: readers neither panic nor read too far, and what was written reads back.

use crate::ouch_table::{Appendage, INBOUND, OUTBOUND, Row, message, value_bytes};
use crate::vectors::{ITCH, MOLD, SOUP, lines};
use pitlane::wire::mold::{self, MoldPacket, PacketWriter, Request};
use pitlane::wire::ouch::{Inbound, MESSAGE_MAX, OuchError, Outbound, TagFault};
use pitlane::wire::record::{self, LogHeader, Record, RecordError, RecordHeader};
use pitlane::wire::segment::SegmentHeader;
use pitlane::wire::soup::{ClientPacket, LoginRequest, ServerPacket, SessionName, SoupError};
use pitlane::wire::{U48, itch};
use proptest::collection::vec;
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Feeds bytes to every reader. Each must answer, whatever they are.
fn eat(bytes: &[u8]) {
    if let Ok(Some((_, taken))) = ClientPacket::next(bytes) {
        assert!((3..=bytes.len()).contains(&taken));
    }
    if let Ok(Some((_, taken))) = ServerPacket::next(bytes) {
        assert!((3..=bytes.len()).contains(&taken));
    }
    let mut out = [0; MESSAGE_MAX];
    if let Ok(message) = Inbound::parse(bytes) {
        let length = message.encode(&mut out);
        let again = Inbound::parse(&out[..length]).expect("what we write, we read");
        assert!(message.tags().fault.is_some() || again == message);
    }
    if let Ok(message) = Outbound::parse(bytes) {
        let length = message.encode(&mut out);
        let again = Outbound::parse(&out[..length]).expect("what we write, we read");
        assert!(message.tags().fault.is_some() || again == message);
    }
    if let Ok(message) = itch::parse(bytes) {
        assert_eq!(message.as_bytes(), bytes);
    }
    if let Ok(packet) = MoldPacket::parse(bytes) {
        let blocks: usize = packet.messages().map(|(_, message)| message.len() + mold::BLOCK_HEAD_BYTES).sum();
        assert_eq!(mold::HEADER_BYTES + blocks + packet.trailing_bytes(), bytes.len());
        assert_eq!(packet.messages().count(), usize::from(packet.count()));
    }
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(request.encode()[..], *bytes);
    }
    if let Ok(Some(found)) = Record::parse(bytes) {
        assert!(found.header.record_bytes() <= bytes.len());
    }
    let _ = LogHeader::parse(bytes);
    let _ = SegmentHeader::parse(bytes);
}

/// Damage of the kinds that streams suffer.
fn damaged(mut bytes: Vec<u8>, changes: &[(u8, u16, u8)]) -> Vec<u8> {
    for &(how, at, value) in changes {
        let place = usize::from(at) % (bytes.len() + 1);
        match how % 4 {
            0 => bytes.truncate(place),
            1 => bytes.insert(place, value),
            2 if place < bytes.len() => bytes[place] = value,
            3 if place < bytes.len() => bytes[place] ^= 1 << (value % 8),
            _ => bytes.push(value),
        }
    }
    bytes
}

fn record_of(number: u64, payload: &[u8]) -> Vec<u8> {
    let mut padded = payload.to_vec();
    padded.resize(record::padded_bytes(payload.len()), 0);
    let header = RecordHeader { number: number.into(), ..RecordHeader::default() }.seal(payload.len(), &padded);
    [header.as_bytes(), &padded].concat()
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in vec(any::<u8>(), 0..300)) {
        eat(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_known_type_get_an_answer(
        kind in proptest::sample::select(b"OUXMCDEQSABJPITRGKLHZ+FYVWNh".to_vec()),
        bytes in vec(any::<u8>(), 0..120),
    ) {
        eat(&[&[kind], &bytes[..]].concat());
        eat(&[&(bytes.len() as u16 + 1).to_be_bytes()[..], &[kind], &bytes[..]].concat());
    }

    #[test]
    fn damaged_messages_get_an_answer(
        message in prop_oneof![message(INBOUND), message(OUTBOUND)],
        changes in vec(any::<(u8, u16, u8)>(), 1..5),
    ) {
        eat(&damaged(message, &changes));
    }

    #[test]
    fn damaged_vectors_get_an_answer(pick in any::<usize>(), changes in vec(any::<(u8, u16, u8)>(), 1..5)) {
        for text in [SOUP, ITCH, MOLD] {
            let mut all = lines(text);
            let (_, bytes) = all.swap_remove(pick % all.len());
            eat(&damaged(bytes, &changes));
        }
    }

    #[test]
    fn inbound_messages_come_back(bytes in message(INBOUND)) {
        let message = Inbound::parse(&bytes).unwrap();
        prop_assert_eq!(message.tags().fault, None);
        let mut out = [0; MESSAGE_MAX];
        let length = message.encode(&mut out);
        prop_assert_eq!(&out[..length], &bytes[..]);
        prop_assert_eq!(message.kind(), bytes[0]);
    }

    #[test]
    fn outbound_messages_come_back(bytes in message(OUTBOUND)) {
        let message = Outbound::parse(&bytes).unwrap();
        prop_assert_eq!(message.tags().fault, None);
        let mut out = [0; MESSAGE_MAX];
        let length = message.encode(&mut out);
        prop_assert_eq!(&out[..length], &bytes[..]);
        prop_assert_eq!(message.kind(), bytes[0]);
    }

    #[test]
    fn a_message_cut_anywhere_is_no_other_message(bytes in message(INBOUND)) {
        for cut in 0..bytes.len() {
            // Only the forms without an appendage are whole messages too.
            if let Ok(shorter) = Inbound::parse(&bytes[..cut]) {
                prop_assert!(b"XMQ".contains(&bytes[0]));
                prop_assert_eq!(shorter.tags().present(), 0);
            }
        }
    }

    #[test]
    fn packets_split_anywhere_are_the_same_packets(
        payloads in vec(vec(any::<u8>(), 0..40), 1..6),
        cut in any::<usize>(),
    ) {
        let mut stream = vec![0; 4096];
        let mut end = 0;
        for payload in &payloads {
            end += ClientPacket::Unsequenced(payload).encode(&mut stream[end..]);
        }
        let first_half = cut % (end + 1);
        let (mut at, mut seen) = (0, Vec::new());
        for limit in [first_half, end] {
            while let Some((ClientPacket::Unsequenced(payload), taken)) = ClientPacket::next(&stream[at..limit]).unwrap() {
                seen.push(payload.to_vec());
                at += taken;
            }
        }
        prop_assert_eq!(seen, payloads);
        prop_assert_eq!(at, end);
    }

    #[test]
    fn logins_come_back(
        user in "[A-Za-z0-9]{1,6}",
        password in "[A-Za-z0-9]{1,10}",
        session in "[A-Z0-9]{0,10}",
        sequence in any::<u64>(),
        timeout in proptest::option::of(0u32..100_000),
    ) {
        let name = SessionName::from_text(&session).unwrap();
        let mut login = LoginRequest::new(&user, &password, name, sequence).unwrap();
        login.heartbeat_timeout_ms = timeout;
        let mut out = [0; LoginRequest::BYTES_MAX];
        let length = login.encode(&mut out);
        prop_assert_eq!(length, if timeout.is_some() { 54 } else { 49 });
        let (packet, taken) = ClientPacket::next(&out[..length]).unwrap().unwrap();
        prop_assert_eq!(taken, length);
        prop_assert_eq!(packet, ClientPacket::Login(login));
        prop_assert!(login.is_user(&user.to_lowercase()));
        prop_assert_eq!(login.password(), password.as_bytes());
    }

    #[test]
    fn datagrams_come_back(
        session in any::<[u8; 10]>(),
        sequence in 1u64..u64::MAX - 70_000,
        messages in vec(vec(any::<u8>(), 0..60), 0..60),
    ) {
        let mut out = [0; mold::DATAGRAM_MAX];
        let mut writer = PacketWriter::new(&mut out, session, sequence);
        let mut kept = Vec::new();
        for (number, message) in (sequence..).zip(&messages) {
            let fits = writer.room().is_some_and(|room| message.len() <= room);
            prop_assert_eq!(writer.try_push(message).is_ok(), fits);
            if !fits {
                break;
            }
            kept.push((number, &message[..]));
        }
        let length = writer.finish();
        let packet = MoldPacket::parse(&out[..length]).unwrap();
        prop_assert_eq!((packet.session(), packet.sequence()), (session, sequence));
        prop_assert_eq!(packet.messages().collect::<Vec<_>>(), kept);
        prop_assert_eq!(packet.trailing_bytes(), 0);
    }

    #[test]
    fn a_datagram_cut_anywhere_is_refused(messages in vec(vec(any::<u8>(), 0..40), 1..5)) {
        let mut out = [0; mold::DATAGRAM_MAX];
        let mut writer = PacketWriter::new(&mut out, *b"0123456789", 1);
        for message in &messages {
            writer.try_push(message).unwrap();
        }
        let length = writer.finish();
        for cut in 0..length {
            prop_assert!(MoldPacket::parse(&out[..cut]).is_err());
        }
    }

    #[test]
    fn records_come_back(number in any::<u64>(), payload in vec(any::<u8>(), 1..400)) {
        let bytes = record_of(number, &payload);
        prop_assert!(bytes.len().is_multiple_of(record::ALIGNMENT));
        let found = Record::parse(&bytes).unwrap().unwrap();
        prop_assert_eq!(found.payload, &payload[..]);
        prop_assert_eq!(found.header.number.get(), number);
        prop_assert_eq!(found.header.record_bytes(), bytes.len());
        for cut in 0..bytes.len() {
            prop_assert_eq!(Record::parse(&bytes[..cut]), Err(RecordError::Truncated));
        }
    }

    #[test]
    fn chains_of_different_records_differ(
        before in any::<u64>(), payload in any::<u32>(), header in any::<u32>(), change in 1u64..
    ) {
        let value = record::chain(before, payload, header);
        prop_assert_ne!(value, record::chain(before ^ change, payload, header));
        let (low, high) = (change as u32, (change >> 32) as u32);
        prop_assert_ne!(value, record::chain(before, payload ^ high, header ^ low));
    }

    #[test]
    fn forty_eight_bits_come_back(value in 0..=U48::MAX) {
        prop_assert_eq!(U48::new(value).get(), value);
        let six = U48::new(value);
        prop_assert_eq!(six.as_bytes(), &value.to_be_bytes()[2..]);
    }
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    let bytes = record_of(7, &[0xA5; 112]);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!matches!(Record::parse(&flipped), Ok(Some(_))), "bit {bit} went unnoticed");
    }
}

#[test]
fn the_next_record_is_known_by_number_and_chain() {
    let file = LogHeader::new(3, 99, 1 << 20);
    let sealed = |number: u64, chain: u64| {
        RecordHeader { number: number.into(), chain: chain.into(), ..RecordHeader::default() }.seal(64, &[1; 64])
    };
    let first = sealed(file.link().number, file.link().chain);
    let second = sealed(2, first.link().chain);
    let record = |header| Record { header, payload: &[1; 64] };
    assert_eq!(record(&first).follows(file.link()), Ok(()));
    assert_eq!(record(&second).follows(first.link()), Ok(()));
    assert_eq!(record(&first).follows(first.link()), Err(RecordError::Number { expected: 2, found: 1 }));
    // Sound and rightly numbered, but of another file.
    let foreign = sealed(1, LogHeader::new(3, 98, 1 << 20).link().chain);
    assert_eq!(record(&foreign).follows(file.link()), Err(RecordError::Chain));
}

#[test]
fn tag_faults_are_flagged_and_the_message_still_read() {
    let enter = |elements: &[u8]| {
        let mut bytes = vec![b'O'; 45];
        bytes.extend((elements.len() as u16).to_be_bytes());
        bytes.extend(elements);
        Inbound::parse(&bytes)
    };
    let channel_5 = [2, 28, 5];
    for (elements, fault) in [
        (&[2, 8, 0][..], TagFault::Unknown(8)),
        (&[2, 31, 0], TagFault::Unknown(31)),
        (&[1, 255], TagFault::Unknown(255)),
        (&[5, 14, 0, 0, 0, 0], TagFault::NotAllowed(14)),
        (&[2, 3, 0], TagFault::WrongSize(3)),
        (&[1, 12], TagFault::WrongSize(12)),
        (&[2, 12, b'P', 2, 12, b'P'], TagFault::Duplicate(12)),
        // The first fault is the one kept.
        (&[2, 8, 0, 2, 3, 0], TagFault::Unknown(8)),
    ] {
        let message = enter(&[elements, &channel_5].concat()).unwrap();
        assert_eq!(message.tags().fault, Some(fault));
        assert_eq!(message.tags().user_ref_index(), Some(5), "the channel of the refusal is known");
    }
    for elements in [&[0][..], &[0, 3], &[2], &[3, 28, 5], &[255, 28, 5], &[2, 28, 5, 1]] {
        assert_eq!(enter(elements), Err(OuchError::Appendage { kind: b'O' }), "{elements:?}");
    }
}

#[test]
fn an_appendage_may_be_left_out_only_where_the_document_says_so() {
    let inbound = INBOUND.iter().map(|row| (row, true));
    for (Row(kind, fixed, class, _), inbound) in inbound.chain(OUTBOUND.iter().map(|row| (row, false))) {
        let read = |appendage: &[u8]| {
            let bytes = [&vec![*kind; *fixed][..], appendage].concat();
            if inbound { Inbound::parse(&bytes).is_ok() } else { Outbound::parse(&bytes).is_ok() }
        };
        let expected = match class {
            Appendage::None => [true, false, false],
            Appendage::Required => [false, true, false],
            Appendage::Written | Appendage::LeftOut => [true, true, false],
        };
        assert_eq!([read(&[]), read(&[0, 0]), read(&[0])], expected, "{}", *kind as char);
    }
}

#[test]
fn sizes_stand_as_in_the_document() {
    for Row(kind, fixed, _, tags) in INBOUND.iter().chain(OUTBOUND) {
        let longest = fixed + 2 + tags.iter().map(|&tag| 2 + value_bytes(tag)).sum::<usize>();
        assert!(longest <= MESSAGE_MAX, "{} can be {longest} long", *kind as char);
    }
}

#[test]
fn lengths_no_packet_can_have_are_refused_at_once() {
    assert_eq!(ClientPacket::next(&[0, 0]), Err(SoupError::ZeroLength));
    assert_eq!(ClientPacket::next(&[0]), Ok(None));
    assert_eq!(ClientPacket::next(&[0, 1]), Ok(None));
    assert_eq!(ClientPacket::next(&[0, 2, b'R']), Err(SoupError::WrongLength { kind: b'R', length: 2 }));
    assert_eq!(ClientPacket::next(&[0, 48, b'L']), Err(SoupError::WrongLength { kind: b'L', length: 48 }));
    assert_eq!(ClientPacket::next(&[0, 5, b'S']), Err(SoupError::UnknownType(b'S')));
    assert_eq!(ClientPacket::next_within(&[0xFF, 0xFF], 512), Err(SoupError::TooLong(0xFFFF)));
    assert_eq!(ClientPacket::next_within(&[1, 254, b'U'], 512), Ok(None));
    assert_eq!(ServerPacket::next(&[0, 3, b'J']), Err(SoupError::WrongLength { kind: b'J', length: 3 }));
}

#[test]
fn logins_padded_on_either_side_are_one_login() {
    let login = |username: &[u8; 6], session: &[u8; 10], sequence: &[u8; 20]| {
        let bytes = [&[0, 47, b'L'], &username[..], b"SECRET    ", session, sequence].concat();
        let Ok(Some((ClientPacket::Login(login), 49))) = ClientPacket::next(&bytes) else { panic!("a login") };
        login
    };
    let right = login(b"USER  ", b"S1        ", b"42                  ");
    let left = login(b"  user", b"        S1", b"                  42");
    assert_eq!((right.session, right.sequence), (left.session, left.sequence));
    assert_eq!(right.sequence, Some(42));
    assert!(right.is_user("USER") && left.is_user("USER") && !left.is_user("USER2"));
    // Blank is 0; what is no number, or none that a stream can reach, is neither.
    assert_eq!(login(b"USER  ", b"          ", &[b' '; 20]).sequence, Some(0));
    assert_eq!(login(b"USER  ", b"          ", b"                 4 2").sequence, None);
    assert_eq!(login(b"USER  ", b"          ", b"99999999999999999999").sequence, None);
    assert!(login(b"USER  ", b"          ", &[b' '; 20]).session.is_blank());
}
