//! Journals made of random requests, straight into segments: as long and as varied as a test likes, without a venue that
//! runs. Included with `#[path]`.

#![allow(dead_code, reason = "each test file uses its part")]

use pitlane::config::{Config, SegmentKnobs, Survives};
use pitlane::egress::fan::Outlet;
use pitlane::engine::digest::of_market;
use pitlane::engine::oms::Decision;
use pitlane::journal::{Disk, SegmentWriter, Segments, SystemDisk};
use pitlane::launch::home::group;
use pitlane::launch::twin::Twin;
use pitlane::types::*;
use pitlane::wire::record::{KIND_COMMAND, Link, LogHeader, RecordHeader, padded_bytes};
use std::path::Path;
use zerocopy::IntoBytes;

/// Takes nothing down.
pub struct Nowhere;

impl Outlet for Nowhere {
    fn report(&mut self, _: Report) {}
    fn publish(&mut self, _: Published) {}
}

/// xorshift64*.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % bound
    }
}

/// A journal under way.
pub struct Maker {
    config: Config,
    pub twin: Twin,
    pub random: Random,
    pub number: Number,
    pub time: Nanos,
    segments: SegmentWriter,
    link: Link,
    bytes: Vec<u8>,
    /// Share of requests that only add to the book, of a hundred.
    pub adds: u64,
}

/// Segments of a configuration.
pub fn knobs(config: &Config) -> &SegmentKnobs {
    config.journal.segments.as_ref().expect("a configuration with segments")
}

/// Gives a configuration segments, and no shadow unless the test asks for one.
pub fn with_segments(config: &mut Config, directory: &Path, bytes: usize) {
    config.journal.segments = Some(SegmentKnobs { directory: directory.to_owned(), bytes, line: 1 });
    config.journal.survives = Survives::ProcessCrash;
    config.journal.snapshots.records = 0;
}

impl Maker {
    /// Begins a day in the configuration's segments.
    pub fn new(config: &Config, seed: u64) -> Maker {
        let (group, knobs) = (group(&config.market), knobs(config));
        let link = LogHeader::new(group, 7, 1 << 20).link();
        let segments = Segments::take(&knobs.directory, group, |_| {}).unwrap();
        let segments = SegmentWriter::new(segments, knobs.bytes, link, &mut SystemDisk::plain()).unwrap();
        let mut maker = Maker {
            twin: Twin::new(&config.market).unwrap(),
            config: config.clone(),
            random: Random(seed | 1),
            number: Number(0),
            time: Nanos(1_700_000_000 * Nanos::SECOND),
            segments,
            link,
            bytes: Vec::new(),
            adds: 30,
        };
        maker.send(Command { value: of_market(&config.market), ..Command::new(CommandKind::DayStart) });
        maker
    }

    /// Makes a record of a command, if it is worth one.
    pub fn send(&mut self, mut command: Command) {
        if command.session != SessionId::VENUE {
            command.account = self.config.market.sessions[command.session.index()].account;
        }
        self.time.0 += 1_000 + self.random.below(2_000_000);
        let Decision::Record(verdict) = self.twin.oms().decide(&mut command, self.time) else { return };
        self.number = self.number.next();
        let record = Sequenced { number: self.number, time: self.time, verdict, command };
        self.twin.apply(&record, &mut Nowhere);
        self.append(&record);
    }

    fn append(&mut self, record: &Sequenced) {
        let payload = &record.as_bytes()[16..];
        let mut padded = vec![0; padded_bytes(payload.len())];
        padded[..payload.len()].copy_from_slice(payload);
        let header = RecordHeader {
            kind: KIND_COMMAND.into(),
            number: record.number.0.into(),
            epoch: 1.into(),
            time: record.time.0.into(),
            chain: self.link.chain.into(),
            ..RecordHeader::default()
        };
        let header = header.seal(payload.len(), &padded);
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(&padded);
        self.link = header.link();
        let room = self.segments.free_records() * pitlane::journal::RECORD_BYTES;
        if self.bytes.len() >= room.min(1 << 20) {
            self.flush();
        }
    }

    /// Brings what was made to the disk.
    pub fn flush(&mut self) {
        let disk: &mut dyn Disk = &mut SystemDisk::plain();
        self.segments.append(&self.bytes, self.link, disk).unwrap();
        self.bytes.clear();
        if self.segments.free_records() == 0 {
            while self.segments.prepare(disk).unwrap() {}
            self.segments.roll(disk).unwrap();
        }
    }

    /// The journal ends here, orderly.
    pub fn finish(mut self) -> Twin {
        self.flush();
        self.segments.settle(&mut SystemDisk::plain()).unwrap();
        self.twin
    }

    fn next_ref(&self, session: SessionId) -> UserRef {
        self.twin.oms().next_user_ref(session, Channel::NONE)
    }

    /// One random request of a client or the venue.
    pub fn step(&mut self) {
        let session = SessionId(self.random.below(self.config.market.sessions.len() as u64) as u16);
        match self.random.below(100) {
            0 => self.send(Command::new(CommandKind::Tick)),
            1 => {
                let kind = if self.random.below(2) == 0 { CommandKind::SessionLost } else { CommandKind::AccountQuery };
                self.send(Command { session, user_ref: self.next_ref(session), ..Command::new(kind) });
            }
            2 => {
                let ticker = TickerId(self.random.below(self.config.market.tickers.len() as u64) as u16);
                let kind = if self.random.below(3) == 0 { CommandKind::Halt } else { CommandKind::Resume };
                self.send(Command { ticker, ..Command::new(kind) });
                self.send(Command { ticker, ..Command::new(CommandKind::Resume) });
            }
            3..20 => {
                let back = 1 + self.random.below(200) as u32;
                let user_ref = UserRef(self.next_ref(session).0.saturating_sub(back));
                self.send(Command { session, user_ref, ..Command::new(CommandKind::Cancel) });
            }
            20..26 => {
                let next = self.next_ref(session);
                let original = UserRef(next.0.saturating_sub(1 + self.random.below(200) as u32));
                let order = self.order(session);
                self.send(Command { kind: CommandKind::Replace, original, user_ref: next, ..order });
            }
            _ => {
                let order = self.order(session);
                self.send(order);
            }
        }
    }

    /// A new order around the reference: plain ones most of all, some of every kind that waits.
    fn order(&mut self, session: SessionId) -> Command {
        let ticker = TickerId(self.random.below(self.config.market.tickers.len() as u64) as u16);
        let spec = &self.config.market.tickers[ticker.index()];
        let (reference, tick) = (spec.reference.0, spec.tick.0);
        let side = if self.random.below(2) == 0 { SideCode::Buy } else { SideCode::Sell };
        let away = self.random.below(120) as u32 * tick;
        let rests = self.random.below(100) < self.adds + 50;
        let price = match (side == SideCode::Buy, rests) {
            (true, true) | (false, false) => reference - away,
            (true, false) | (false, true) => reference + away,
        };
        let mut command = Command {
            session,
            user_ref: self.next_ref(session),
            side,
            ticker,
            quantity: Quantity(spec.lot.0 * (1 + self.random.below(40) as u32)),
            price: Price(price),
            ..Command::new(CommandKind::Enter)
        };
        match self.random.below(16) {
            0 => (command.price_type, command.tags, command.display) = (b'M', 1 << 6, Display::Hidden),
            1 => (command.price_type, command.tags, command.display) = (b'R', 1 << 6, Display::Hidden),
            2 => (command.value, command.tags) = (u64::from(2 * reference - price), 1 << 31),
            3 => (command.max_floor, command.tags) = (spec.lot, 1 << 5),
            4 => {
                (command.time_in_force, command.tags) = (TimeInForce::GoodTillTime, 1 << 15);
                command.expire_seconds = 1 + self.random.below(20) as u32;
            }
            5 => command.display = Display::Hidden,
            6 => command.time_in_force = TimeInForce::ImmediateOrCancel,
            _ => {}
        }
        command
    }
}
