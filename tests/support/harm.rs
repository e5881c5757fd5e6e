//! Valid files and states, harmed by arbitrary bytes and then read: what the fuzzer feeds for hours and a test for seconds.
//! Included with `#[path]`, beside `journal` (journals made of random requests).
//!
//! The first byte of an input says which checksums are made right again afterwards, because what lies behind a checksum is
//! reached by no other way; then come harms of three bytes, a place and what it is changed by. Each function states what
//! must hold whatever the input, and says whether it was accepted.

#![allow(dead_code, reason = "each user takes its part")]

use crate::journal_maker::{Maker, with_segments};
use pitlane::config::Config;
use pitlane::engine::book::Shard;
use pitlane::engine::oms::Oms;
use pitlane::gateway::operator::Request;
use pitlane::journal::clean::{self, LastStop};
use pitlane::journal::segments::{segment_path, survey};
use pitlane::journal::{
    LogOptions, LogWriter, RECORD_BYTES, SegmentOptions, SegmentWriter, Segments, SystemDisk, TailState, recover,
};
use pitlane::os::pages;
use pitlane::types::bytes::{Reader, Writer};
use pitlane::types::{Command, CommandKind, Market, MatcherId, Nanos, Number, Price, Sequenced, UserRef};
use pitlane::wire::log_mark::LOG_MARK_BYTES;
use pitlane::wire::record::{Link, RECORDS_START};
use pitlane::wire::segment::{MARKS_AT, SegmentMark};
use pitlane::wire::snapshot::{SectionHeader, SnapshotHeader};
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

const GROUP: u64 = 0x4A12;
/// Records of the files here.
const RECORDS: u64 = 12;
const SEGMENT_BYTES: usize = SegmentOptions::bytes_for(16);
const LOG_BYTES: usize = LogOptions::bytes_for(9);

/// Bits of an input's first byte: checksums to make right again.
const SEAL_HEADER: u8 = 1;
const SEAL_MARKS: u8 = 2;
const SEAL_RECORDS: u8 = 4;

/// A copy of `whole` with the harms of `input`, and the input's first byte.
fn harmed(whole: &[u8], input: &[u8]) -> (Vec<u8>, u8) {
    let (seals, harms) = input.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
    let mut bytes = whole.to_vec();
    for harm in harms.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([harm[0], harm[1]])) % bytes.len();
        bytes[at] ^= harm[2];
    }
    (bytes, seals)
}

/// Writes the CRC32C of what stands before it into the last four bytes of `range`.
fn seal(bytes: &mut [u8], range: std::ops::Range<usize>) {
    let (covered, place) = (range.start..range.end - 4, range.end - 4..range.end);
    let crc = crc32c::crc32c(&bytes[covered]).to_le_bytes();
    bytes[place].copy_from_slice(&crc);
}

fn seal_file(bytes: &mut [u8], seals: u8, mark_bytes: usize) {
    if seals & SEAL_HEADER != 0 {
        seal(bytes, 0..64);
    }
    if seals & SEAL_MARKS != 0 {
        MARKS_AT.iter().for_each(|at| seal(bytes, *at..*at + mark_bytes));
    }
    if seals & SEAL_RECORDS != 0 {
        for start in (RECORDS_START..bytes.len() - RECORD_BYTES + 1).step_by(RECORD_BYTES) {
            let crc = crc32c::crc32c(&bytes[start + 64..start + RECORD_BYTES]).to_le_bytes();
            bytes[start + 56..start + 60].copy_from_slice(&crc);
            seal(bytes, start..start + 64);
        }
    }
}

fn record(number: u64) -> Sequenced {
    let mut record = Sequenced { number: Number(number), time: Nanos(50 + number), ..Sequenced::default() };
    record.command = Command::new(CommandKind::Enter);
    record.command.user_ref = UserRef(number as u32);
    record.command.value = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    record
}

fn directory() -> TempDir {
    tempfile::tempdir_in(pages::memory_backed(32 << 20)).unwrap()
}

thread_local! {
    /// Where files to read are put; an input leaves nothing behind but what the next one replaces.
    static PLACE: TempDir = directory();
}

fn log_options(directory: &Path, bytes: usize) -> LogOptions {
    LogOptions { path: directory.join("log"), bytes, lock: false }
}

/// A segment under way, synced in groups of four.
fn whole_segment() -> &'static [u8] {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let (place, mut disk) = (directory(), SystemDisk::plain());
        let options = log_options(place.path(), LogOptions::bytes_for(64));
        let mut log = LogWriter::create(options.clone(), GROUP, 1).unwrap();
        let taken = Segments::take(&place.path().join("segments"), GROUP, |_| {}).unwrap();
        let mut segments = SegmentWriter::new(taken, SEGMENT_BYTES, log.link(), &mut disk).unwrap();
        for first in (1..=RECORDS).step_by(4) {
            (first..first + 4).for_each(|number| log.append(&record(number)).unwrap());
            let bytes = std::fs::read(&options.path).unwrap();
            let start = RECORDS_START + (first as usize - 1) * RECORD_BYTES;
            segments.append(&bytes[start..start + 4 * RECORD_BYTES], log.link(), &mut disk).unwrap();
        }
        std::fs::read(segment_path(&place.path().join("segments"), 1)).unwrap()
    })
}

/// A harmed segment is read as far as it holds what was written, and refused otherwise.
pub fn segment(input: &[u8]) -> bool {
    let (mut bytes, seals) = harmed(whole_segment(), input);
    seal_file(&mut bytes, seals, size_of::<SegmentMark>());
    PLACE.with(|place| {
        std::fs::write(segment_path(place.path(), 1), &bytes).unwrap();
        let mut count = 0;
        let accepted = survey(
            place.path(),
            Some(GROUP),
            |read| {
                count += 1;
                assert!(seals & SEAL_RECORDS != 0 || *read == record(count), "{read:?}");
            },
            |found| assert!(found.at <= found.bytes),
        );
        assert!(count <= RECORDS + 4);
        accepted.is_ok()
    })
}

/// A log that went round: of twelve records the last seven are there.
fn whole_log() -> &'static [u8] {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let place = directory();
        let options = log_options(place.path(), LOG_BYTES);
        let mut log = LogWriter::create(options.clone(), GROUP, 1).unwrap();
        let (mut release, mut links) = (log.release(), vec![log.link()]);
        for number in 1..=RECORDS {
            if number > 5 {
                release.release(links[number.min(10) as usize - 5]);
            }
            log.append(&record(number)).unwrap();
            links.push(log.link());
        }
        drop((log, release));
        std::fs::read(options.path).unwrap()
    })
}

/// A harmed log gives records as they were written, or is refused; and what a start goes on from, another start accepts.
pub fn log(input: &[u8]) -> bool {
    let (mut bytes, seals) = harmed(whole_log(), input);
    seal_file(&mut bytes, seals, LOG_MARK_BYTES);
    PLACE.with(|place| {
        let options = log_options(place.path(), LOG_BYTES);
        std::fs::write(&options.path, &bytes).unwrap();
        let Ok((mut reader, tail)) = recover(&options, GROUP) else { return false };
        let mut last = tail.first_link().number - 1;
        while let Ok(Some(read)) = reader.next() {
            last += 1;
            assert_eq!(read.number.0, last);
            assert!(seals & SEAL_RECORDS != 0 || read == record(last), "{read:?}");
        }
        assert_eq!(last, tail.last_number());
        if let TailState::Torn(torn) = tail.state() {
            std::fs::remove_file(torn.quarantine.as_ref().expect("what is cut is kept")).unwrap();
        }
        drop((reader, tail));
        let (_, again) = recover(&options, GROUP).expect("what a start accepted, the next accepts");
        assert_eq!((again.last_number(), again.state()), (last, &TailState::Clean));
        true
    })
}

/// A small market, and its state after some thousand random requests.
struct State {
    market: Market,
    orders: Vec<u8>,
    book: Vec<u8>,
}

fn state() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| {
        let place = directory();
        let mut config = Config::example();
        with_segments(&mut config, &place.path().join("segments"), 1 << 20);
        config.market.tickers.truncate(1);
        (config.market.orders_max, config.market.trades_kept) = (256, 64);
        let ticker = &mut config.market.tickers[0];
        ticker.price_min = Price(ticker.reference.0 - 300 * ticker.tick.0);
        ticker.price_max = Price(ticker.reference.0 + 300 * ticker.tick.0);
        let mut maker = Maker::new(&config, 5);
        (0..2_000).for_each(|_| maker.step());
        let twin = maker.finish();
        let (mut orders, mut book) = (Writer::new(0), Writer::new(0));
        twin.oms().save(&mut orders);
        twin.shards()[0].save(&mut book);
        State { market: config.market, orders: orders.into_bytes(), book: book.into_bytes() }
    })
}

/// Harmed order management is refused, or is a state that can be taken down and read again.
pub fn order_state(input: &[u8]) -> bool {
    let State { market, orders, .. } = state();
    let (bytes, _) = harmed(orders, input);
    let load = |bytes: &[u8]| Oms::new(market).load(&mut Reader::new(bytes));
    let Ok(oms) = load(&bytes) else { return false };
    let mut out = Writer::new(0);
    oms.save(&mut out);
    let again = load(&out.into_bytes()).expect("what is taken down can be read");
    assert_eq!(again.digest(), oms.digest());
    true
}

/// The same of a shard.
pub fn book_state(input: &[u8]) -> bool {
    let State { market, book, .. } = state();
    let (bytes, _) = harmed(book, input);
    let load = |bytes: &[u8]| Shard::new(market, MatcherId(0)).unwrap().load(&mut Reader::new(bytes));
    let Ok(shard) = load(&bytes) else { return false };
    let mut out = Writer::new(0);
    shard.save(&mut out);
    let again = load(&out.into_bytes()).expect("what is taken down can be read");
    assert_eq!(again.digest(), shard.digest());
    true
}

/// A harmed snapshot file gives its sections as they were, or is refused.
pub fn snapshot(input: &[u8]) -> bool {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    let parts: [&[u8]; 3] = [b"the first section", b"", b"another one behind it"];
    let whole = WHOLE.get_or_init(|| {
        let table = parts.map(|part| SectionHeader {
            kind: 1.into(),
            index: (part.len() as u16).into(),
            crc: crc32c::crc32c(part).into(),
            bytes: (part.len() as u64).into(),
        });
        let bytes =
            size_of::<SnapshotHeader>() + size_of_val(&table) + parts.iter().map(|part| part.len()).sum::<usize>();
        let header = SnapshotHeader {
            sections: 3.into(),
            number: 7.into(),
            bytes: (bytes as u64).into(),
            ..zerocopy::FromZeros::new_zeroed()
        };
        let header = header.seal(&table);
        [zerocopy::IntoBytes::as_bytes(&header), zerocopy::IntoBytes::as_bytes(&table), &parts.concat()].concat()
    });
    assert!(SnapshotHeader::parse(whole).is_ok());
    let (mut bytes, seals) = harmed(whole, input);
    if seals & SEAL_HEADER != 0 {
        seal(&mut bytes, 0..size_of::<SnapshotHeader>());
    }
    // As many bytes as the input has may be missing.
    bytes.truncate(bytes.len() - usize::from(seals >> 4) % bytes.len());
    let Ok((_, sections)) = SnapshotHeader::parse(&bytes) else { return false };
    assert!(sections.iter().map(|(_, part)| *part).eq(parts), "{sections:?}");
    true
}

/// A harmed mark of a clean stop is refused, unless nothing of it was changed; whatever its checksum, it never speaks for
/// another end of the journal.
pub fn stop_mark(input: &[u8]) -> bool {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    const NEXT: Link = Link { number: 77, chain: 0x5EA1 };
    PLACE.with(|place| {
        let whole = WHOLE.get_or_init(|| {
            let place = directory();
            clean::write(place.path(), GROUP, NEXT, &mut SystemDisk::plain()).unwrap();
            std::fs::read(clean::path(place.path())).unwrap()
        });
        let (mut bytes, seals) = harmed(whole, input);
        let sum = bytes.len() - "checksum 01234567\n".len();
        if seals & SEAL_HEADER != 0 {
            let line = format!("checksum {:08x}\n", crc32c::crc32c(&bytes[..sum]));
            bytes.splice(sum.., line.into_bytes());
        }
        if seals & SEAL_MARKS != 0 {
            bytes.truncate(usize::from(seals) % (bytes.len() + 1));
        }
        std::fs::write(clean::path(place.path()), &bytes).unwrap();
        let accepted = clean::check(place.path(), Some(GROUP), NEXT).is_ok_and(|stop| stop == LastStop::Clean);
        // Without its checksum it is one of an earlier version.
        assert_eq!(accepted, bytes == *whole || bytes == whole[..sum]);
        assert!(
            clean::check(place.path(), Some(GROUP), Link { number: 76, ..NEXT }).is_err() || seals & SEAL_HEADER != 0
        );
        accepted
    })
}

/// What an operator may send is a request that means the same when it is written again, or none.
pub fn operator_request(input: &[u8]) -> bool {
    let Ok(request) = serde_json::from_slice::<Request>(input) else { return false };
    let again = serde_json::to_vec(&request).unwrap();
    assert_eq!(serde_json::from_slice::<Request>(&again).unwrap(), request);
    true
}
