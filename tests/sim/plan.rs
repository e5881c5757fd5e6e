//! What a seed makes of the world: sizes, promise, faults and habits, each drawn for itself, so that seeds differ in kind
//! and not only in order. With all faults in each seed most would hide behind the commonest.

use crate::client::{Habits, Trades};
use crate::disk::DiskFaults;
use crate::network::Weather;
use crate::support::random::Random;
use pitlane::config::{Config, OldSegments, Placement, SegmentKnobs, SnapshotKnobs, Survives};
use pitlane::engine::book::EVENTS_MAX;
use pitlane::journal::{LogOptions, SegmentOptions};
use pitlane::launch::seams::Rooms;
use pitlane::types::{Firm, MatcherId, Price};
use std::path::Path;

/// How a life of the venue's process may end, beside faults of the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Killed between any two turns.
    Killed,
    /// The host loses power.
    Power,
    /// Stopped in order.
    Stopped,
}

/// What becomes of the log when the power goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFate {
    /// It was in memory.
    Gone,
    /// It was on a disk: each page is of any time since it was made.
    Mixed,
}

/// All that is drawn before the first step.
#[derive(Clone, Debug)]
pub struct Plan {
    pub survives: Survives,
    /// Records of a segment; none without segments.
    pub segment_records: Option<usize>,
    pub log_records: usize,
    pub reserve_percent: u32,
    pub snapshots: SnapshotKnobs,
    /// Whether files that can be made again are lost or damaged between two lives.
    pub spoils: bool,
    pub grace_ms: u32,
    /// Records that the disk may be behind before orders are refused; 0 for any number.
    pub unsynced_max: u64,
    pub matchers: u16,
    pub tickers: usize,
    pub clients: usize,
    pub rooms: Rooms,
    pub throttle: u32,
    pub tick_ms: u32,
    pub connections: u32,
    pub weather: Weather,
    pub disk: DiskFaults,
    pub disk_fills: bool,
    pub datagrams_lost: u64,
    pub datagrams_full: u64,
    pub starves: bool,
    pub torn_appends: bool,
    pub log_fate: LogFate,
    pub clock_jumps: bool,
    pub operator: bool,
    pub ends_day: bool,
    pub lives: Vec<(u64, End)>,
    pub step_ns: u64,
    pub habits: Vec<Habits>,
}

impl Plan {
    pub fn draw(random: &mut Random) -> Plan {
        let (survives, has_segments) = random.of(&[
            (Survives::PowerLoss, true),
            (Survives::PowerLoss, true),
            (Survives::ProcessCrash, true),
            (Survives::ProcessCrash, false),
        ]);
        let clients = 2 + random.below(3) as usize;
        let matchers = 1 + random.below(3) as u16;
        let snapshots = snapshots(random);
        let is_needed = snapshots.old_segments == OldSegments::Delete;
        Plan {
            survives,
            segment_records: has_segments.then(|| random.of(&[4, 11, 40, 150])),
            log_records: match has_segments {
                // With segments it goes round.
                true => random.of(&[24, 64, 200, 1_500]),
                false if random.percent(10) => 30 + random.below(150) as usize,
                false => 1_500,
            },
            reserve_percent: random.of(&[5, 25, 50]),
            snapshots,
            // Where old segments go, a start cannot do without them.
            spoils: random.percent(30) && !is_needed,
            grace_ms: random.of(&[0, 50, 30_000]),
            unsynced_max: if has_segments { random.of(&[0, 0, 12]) } else { 0 },
            matchers,
            tickers: usize::from(matchers) + random.below(2) as usize,
            clients,
            rooms: rooms(random),
            throttle: if random.percent(20) { 2_000 } else { 0 },
            tick_ms: random.of(&[0, 0, 20, 1_000]),
            connections: random.of(&[clients as u32 + 1, 8, 16]),
            weather: weather(random),
            disk: disk_faults(random, has_segments),
            disk_fills: has_segments && random.percent(20),
            datagrams_lost: if random.percent(30) { 20 } else { 0 },
            datagrams_full: if random.percent(20) { 30 } else { 0 },
            starves: random.percent(50),
            torn_appends: random.percent(50),
            log_fate: random.of(&[LogFate::Gone, LogFate::Mixed]),
            clock_jumps: random.percent(25),
            operator: random.percent(50),
            ends_day: random.percent(25),
            lives: lives(random, has_segments),
            step_ns: random.of(&[500, 20_000, 2_000_000]),
            habits: (0..clients).map(|_| habits(random)).collect(),
        }
    }

    /// The venue's configuration, with its files below `root`.
    pub fn config(&self, root: &Path) -> Config {
        let mut config = Config::example();
        config.directory = root.join("run");
        config.tick_ms = self.tick_ms;
        config.market.orders_max = 512;
        config.market.trades_kept = 32;
        config.market.matchers = self.matchers;
        config.market.tickers.truncate(self.tickers);
        for (index, ticker) in config.market.tickers.iter_mut().enumerate() {
            // Narrow, so that orders meet.
            (ticker.price_min, ticker.price_max, ticker.reference) =
                (Price(PRICE_LOW), Price(PRICE_HIGH), Price(20_000));
            ticker.matcher = MatcherId(index as u16 % self.matchers);
        }
        config.market.sessions.truncate(self.clients);
        config.password_hashes.truncate(self.clients);
        config.journal.log_bytes = LogOptions::bytes_for(self.log_records);
        config.journal.survives = self.survives;
        config.journal.snapshots = self.snapshots;
        config.gateway.grace_ms = self.grace_ms;
        config.journal.reserve_percent = self.reserve_percent;
        config.journal.unsynced_records_max = self.unsynced_max;
        config.journal.segments = self.segment_records.map(|records| SegmentKnobs {
            directory: root.join("segments"),
            bytes: SegmentOptions::bytes_for(records),
            line: 1,
        });
        config.gateway.connections_max = self.connections;
        config.gateway.stream_bytes = 1 << 17;
        config.gateway.throttle_per_second = self.throttle;
        config.gateway.shared_memory = false;
        config.feed.store_bytes = 1 << 17;
        config.stages.ways = 64;
        config.threads.placement = Placement::Dedicated;
        config
    }

    pub fn trades(&self, config: &Config, client: usize) -> Trades {
        let account = config.market.sessions[client].account;
        let firm: Firm = config.market.accounts[account.index()].firm;
        let symbols = config.market.tickers.iter().map(|ticker| ticker.symbol).collect();
        Trades { symbols, firm, price_low: 19_500, price_steps: 11 }
    }
}

const PRICE_LOW: u32 = 18_000;
const PRICE_HIGH: u32 = 22_000;

fn snapshots(random: &mut Random) -> SnapshotKnobs {
    SnapshotKnobs {
        records: random.of(&[0, 7, 30, 100]),
        seconds: random.of(&[0, 0, 1]),
        digest_records: random.of(&[5, 16, 60, 1 << 16]),
        old_segments: random.of(&[OldSegments::Keep, OldSegments::Archive, OldSegments::Delete]),
    }
}

fn rooms(random: &mut Random) -> Rooms {
    let mut size = |usual: usize| if random.percent(50) { usual } else { random.of(&[1, 2, 5, 16]) };
    Rooms {
        commands: size(Rooms::RUNNING.commands),
        records: size(Rooms::RUNNING.records),
        outward: size(Rooms::RUNNING.outward),
        cold: size(Rooms::RUNNING.cold),
        held: size(256),
        events: EVENTS_MAX + 1,
        cache_levels: 64,
    }
}

fn weather(random: &mut Random) -> Weather {
    Weather {
        down_bytes_max: random.of(&[40, 300, 1 << 16, 1 << 16]),
        delay_ns_max: random.of(&[0, 50_000, 20_000_000]),
        in_parts: random.percent(60),
        doubles: false,
    }
}

fn disk_faults(random: &mut Random, has_segments: bool) -> DiskFaults {
    let mut chance = |share: u64| if has_segments && random.percent(share) { 1 + random.below(300) } else { 0 };
    let (power_cut, killed, sync_error, short_write) = (chance(50), chance(40), chance(20), chance(10));
    DiskFaults { power_cut, killed, sync_error, short_write, misdirected: random.percent(15), lies: false }
}

fn lives(random: &mut Random, has_segments: bool) -> Vec<(u64, End)> {
    let ends =
        if has_segments { [End::Killed, End::Power, End::Stopped] } else { [End::Killed, End::Killed, End::Stopped] };
    let steps_max = random.of(&[60, 600, 3_000]);
    (0..random.below(5)).map(|_| (random.below(steps_max), random.of(&ends))).collect()
}

fn habits(random: &mut Random) -> Habits {
    let mut seldom = |share: u64, most: u64| if random.percent(share) { 1 + random.below(most) } else { 0 };
    let (breaks, deaf, nonsense, repeats) = (seldom(50, 30), seldom(30, 10), seldom(25, 10), seldom(50, 50));
    Habits { blind: random.percent(40), breaks, deaf, nonsense, repeats, trades: random.of(&[10, 50, 95]) }
}
