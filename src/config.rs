//! Every knob of a partition: unit, range, default and reason, checked together at start. Cold.
//!
//! The file is TOML; an example that runs as it is lies in [`EXAMPLE`] (`pitlane config` prints it). All faults of
//! a file are reported at once, each with its line, what was found and what is allowed; a configuration with a
//! fault never starts. After start the values are passed on by value and do not change: what may change while
//! trading goes on (limits, halts, switches) changes by sequenced records.

mod calendar;
mod reader;

pub use calendar::CalendarEntry;

use crate::types::{
    AccountId, AccountSpec, AuctionSpec, Fees, Firm, Limits, Market, MatcherId, Phase, Price, Quantity, SelfMatch,
    SelfMatchMode, SessionSpec, Symbol, TickerSpec,
};
use reader::{Faults, Section};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

/// A configuration that starts as it is: five tickers, four accounts, one gateway.
pub const EXAMPLE: &str = include_str!("config/example.toml");

/// Most levels of one ticker's price ladder; bounds the memory a mistyped price range could ask for.
pub const LADDER_LEVELS_MAX: u32 = 1 << 22;

/// One wrong knob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigFault {
    /// Line of the file, from 1.
    pub line: usize,
    /// Which knob.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
}

/// All that is wrong with a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigFaults {
    /// The file, or "embedded".
    pub file: String,
    /// Each fault.
    pub faults: Vec<ConfigFault>,
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            let ConfigFault { line, key, found, allowed } = fault;
            writeln!(f, "{}:{line}: {key}: found {found}; allowed: {allowed}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigFaults {}

/// The whole configuration of one partition.
#[derive(Clone, Debug)]
pub struct Config {
    /// Reference data: tickers, accounts, logins.
    pub market: Market,
    /// Password hash of each login, in the order of `market.sessions`.
    pub password_hashes: Vec<String>,
    /// Where the log and the sockets live.
    pub directory: PathBuf,
    /// Milliseconds between two records of passing time, which orders with an expiry, imbalances and price bands
    /// wait for; 0 makes none.
    pub tick_ms: u32,
    /// Which phase begins when.
    pub calendar: Vec<CalendarEntry>,
    /// Which thread runs what.
    pub threads: Threads,
    /// Log.
    pub journal: JournalKnobs,
    /// Order entry.
    pub gateway: GatewayKnobs,
    /// Price feed.
    pub feed: FeedKnobs,
    /// Stamps on the way of messages.
    pub stages: StageKnobs,
    /// Where counters and stage times are told as Prometheus text; absent: nowhere.
    pub metrics_listen: Option<SocketAddr>,
}

/// Most ways that may be kept one by one.
pub const WAYS_MAX: u32 = 1 << 20;

/// Stamps on the way of messages through the stages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StageKnobs {
    /// One message in so many is stamped; 0: none. A prime by default, so that no rhythm of a flow hides part of it.
    pub sample: u32,
    /// Ways kept one by one, the newest, 72 bytes each: a million orders' worth by default, and 1.2 MB.
    pub ways: u32,
}

/// Which agents share a thread, and on which core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Placement {
    /// `dedicated` when there is a core for every hot agent and one to spare, else `shared`.
    Auto,
    /// All hot agents take turns on one core.
    Shared,
    /// A core each.
    Dedicated,
    /// As written: core and agents.
    Map(Vec<(usize, Vec<String>)>),
}

/// Thread knobs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Threads {
    /// Which agents share a thread.
    pub placement: Placement,
    /// Core of the shared thread; the last allowed one when absent, since the first serves most interrupts.
    pub shared_core: Option<usize>,
    /// Whether an idle thread gives way: `None` decides by the topology.
    pub yields: Option<bool>,
    /// Whether idle cores are asked not to sleep while the exchange runs.
    pub awake: bool,
}

/// What a commit waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Survives {
    /// The record is in the log, which outlives the process.
    ProcessCrash,
    /// The record is in a segment, synced on a disk.
    PowerLoss,
}

/// Where the journal lies on a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentKnobs {
    /// Directory of the segments.
    pub directory: PathBuf,
    /// Size of a new segment in bytes.
    pub bytes: usize,
    /// Line of the file that names the directory: what is wrong with it shows only at start.
    pub line: usize,
}

/// Log knobs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalKnobs {
    /// Directory of the log; absent: the partition's. One on hugetlbfs puts the log on huge pages.
    pub log_directory: Option<PathBuf>,
    /// Size of the log in bytes; taken and touched at start. A record is 192 bytes.
    pub log_bytes: usize,
    /// Whether a refused `mlock` refuses the start.
    pub lock_required: bool,
    /// What an acknowledged order survives.
    pub survives: Survives,
    /// Where the log's records are moved to; absent: they are in the log alone.
    pub segments: Option<SegmentKnobs>,
    /// Snapshots of the state beside the segments.
    pub snapshots: SnapshotKnobs,
    /// Room, in hundredths of the log, below which new orders are refused while cancels pass.
    pub reserve_percent: u32,
    /// Records in the log and not yet on the disk from which on new orders are refused; 0: only the log bounds them.
    pub unsynced_records_max: u64,
    /// Age of the oldest record not yet on the disk that raises the alarm, in ms; 0 never does.
    pub sync_alarm_ms: u32,
}

/// When snapshots are made, and what becomes of the segments they make dispensable. Without segments there are none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotKnobs {
    /// Records between two snapshots; 0 makes none, and then no shadow of the state is kept.
    pub records: u64,
    /// Seconds after which there is one even if fewer records came; 0 for no such bound.
    pub seconds: u64,
    /// Records between two digests of the state, which its shadow tells the journal; more often finds a state that differs
    /// earlier, and costs a walk over all orders each time.
    pub digest_records: u64,
    /// What becomes of segments that two snapshots stand behind.
    pub old_segments: OldSegments,
}

/// What becomes of segments that a start does not need any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OldSegments {
    /// They stay as they are.
    Keep,
    /// They are packed, and stay readable.
    Archive,
    /// They go. The journal can then not be replayed from its beginning any more.
    Delete,
}

/// Which system interface serves the sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// By the number of sessions, and by what the machine allows.
    Auto,
    /// io_uring.
    Uring,
    /// Non-blocking sockets.
    Plain,
}

/// Order entry knobs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayKnobs {
    /// TCP address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Network engine.
    pub engine: Engine,
    /// Most connections at once, logged in or not.
    pub connections_max: u32,
    /// Bytes of each session's stream of answers; kept until the session ends.
    pub stream_bytes: usize,
    /// A client whose unread answers exceed this many bytes is disconnected.
    pub lag_bytes_max: usize,
    /// Messages a second a session may send before the gateway reads more slowly; 0 for no bound.
    pub throttle_per_second: u32,
    /// Milliseconds of silence after which a client is gone, unless its login names its own.
    pub silence_ms_max: u32,
    /// Milliseconds a connection may take to log in.
    pub login_ms_max: u32,
    /// Milliseconds that sessions with open orders of an earlier run have to log in after the start, before their orders are
    /// cancelled as after a lost connection; 0 waits for ever.
    pub grace_ms: u32,
    /// Whether the shared-memory listener runs.
    pub shared_memory: bool,
    /// Bytes of each direction of a shared ring.
    pub ring_bytes: usize,
}

/// Feed knobs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedKnobs {
    /// Where datagrams go: a multicast group, or one address.
    pub group: SocketAddrV4,
    /// Interface multicast leaves by.
    pub interface: Ipv4Addr,
    /// Hops multicast may travel.
    pub ttl: u8,
    /// Address of the re-request server; port 0 picks a free one.
    pub rerequest: SocketAddrV4,
    /// Bytes of the store of messages; kept for the day.
    pub store_bytes: usize,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or has wrong knobs: all of them, each with its line.
    pub fn load(path: &Path) -> Result<Config, ConfigFaults> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| ConfigFaults {
            file: file.clone(),
            faults: vec![ConfigFault {
                line: 0,
                key: "file".into(),
                found: e.to_string(),
                allowed: "a readable file (`pitlane config` prints an example)".into(),
            }],
        })?;
        Config::parse(&file, &text)
    }

    /// The example configuration.
    ///
    /// # Panics
    /// Never: a test holds the example valid.
    pub fn example() -> Config {
        Config::parse("embedded", EXAMPLE).expect("the embedded example is a valid configuration")
    }

    /// Checks a text; `file` names it in faults.
    ///
    /// # Errors
    /// Every fault, each with its line.
    pub fn parse(file: &str, text: &str) -> Result<Config, ConfigFaults> {
        let refused = |faults| ConfigFaults { file: file.to_owned(), faults };
        let faults = Faults::of(text);
        let document = match toml::de::DeTable::parse(text) {
            Ok(document) => document,
            Err(e) => {
                let at = e.span().map_or(0, |s| s.start);
                faults.note(at, "TOML", e.message(), "a TOML document");
                return Err(refused(faults.into_found()));
            }
        };
        let root = Section::root(document.get_ref(), &faults);
        let config = read_config(&root);
        root.finish();
        let found = faults.into_found();
        if found.is_empty() { Ok(config) } else { Err(refused(found)) }
    }
}

fn read_config(root: &Section<'_, '_>) -> Config {
    let partition = root.section("partition");
    let name = partition.text("name", "PITLANE001");
    let session_name = <[u8; 10]>::try_from(name.as_bytes()).ok().filter(|n| n.iter().all(u8::is_ascii_alphanumeric));
    if session_name.is_none() {
        partition.refuse(
            "name",
            format!("{name:?}"),
            "exactly ten letters or digits: it names the session on the wire",
        );
    }
    let directory = PathBuf::from(partition.text("directory", "/dev/shm/pitlane"));
    let matchers = partition.integer("matchers", 1..=64, 1) as u16;
    let orders_max = partition.integer("orders_max", 1_024..=1 << 27, 1 << 20) as u32;
    let trades_kept = partition.integer("trades_kept", 1..=1 << 24, 1 << 16) as u32;
    let tick_ms = partition.integer("tick_ms", 0..=60_000, 1_000) as u32;
    partition.finish();
    let mut tickers = read_tickers(root, matchers);
    let calendar = calendar::read_calendar(root, &mut tickers);
    let accounts = read_accounts(root);
    let (sessions, password_hashes) = read_logins(root, &accounts);
    Config {
        market: Market {
            session_name: session_name.unwrap_or(*b"PITLANE001"),
            tickers,
            accounts,
            sessions,
            matchers,
            orders_max,
            trades_kept,
        },
        password_hashes,
        directory,
        tick_ms,
        calendar,
        threads: read_threads(root),
        journal: read_journal(root),
        gateway: read_gateway(root),
        feed: read_feed(root),
        stages: read_stages(root),
        metrics_listen: read_metrics(root),
    }
}

fn read_stages(root: &Section<'_, '_>) -> StageKnobs {
    let section = root.section("stages");
    let knobs = StageKnobs {
        sample: section.integer("sample", 0..=1 << 20, 61) as u32,
        ways: section.integer("ways", 0..=i64::from(WAYS_MAX), 16_384) as u32,
    };
    section.finish();
    knobs
}

fn read_metrics(root: &Section<'_, '_>) -> Option<SocketAddr> {
    let section = root.section("metrics");
    let listen = section.text_or_absent("listen").and_then(|text| {
        let address = text.parse().ok();
        if address.is_none() {
            section.refuse("listen", format!("{text:?}"), "an address and a port, such as 127.0.0.1:9100");
        }
        address
    });
    section.finish();
    listen
}

fn read_tickers(root: &Section<'_, '_>, matchers: u16) -> Vec<TickerSpec> {
    let mut tickers: Vec<TickerSpec> = Vec::new();
    for (index, section) in root.sections("ticker").into_iter().enumerate() {
        let symbol = section.required_text("symbol", "a name of up to eight capitals or digits");
        let is_name =
            |s: &&String| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let symbol = Some(&symbol).filter(is_name).and_then(|s| Symbol::from_text(s)).unwrap_or_else(|| {
            section.refuse("symbol", format!("{symbol:?}"), "up to eight capitals or digits");
            Symbol::BLANK
        });
        if tickers.iter().any(|t| t.symbol == symbol) {
            section.refuse("symbol", symbol, "each symbol once");
        }
        let tick = section.price_or("tick", Price(100));
        let spec = TickerSpec {
            symbol,
            tick,
            lot: Quantity(section.integer("lot", 1..=100_000, 1) as u32),
            price_min: section.price("price_min"),
            price_max: section.price("price_max"),
            reference: section.price("reference"),
            matcher: MatcherId(section.integer("matcher", 0..=63, (index % usize::from(matchers)) as i64) as u16),
            fees: Fees {
                maker: section.money("maker_fee", -1..=1, 0).0 as i32,
                taker: section.money("taker_fee", -1..=1, 0).0 as i32,
                cross: section.money("cross_fee", -1..=1, 0).0 as i32,
            },
            auction: read_auction(&section),
        };
        check_ticker(&section, &spec, matchers);
        section.finish();
        tickers.push(spec);
    }
    if tickers.is_empty() {
        root.refuse("ticker", "none", "at least one [[ticker]]");
    }
    tickers
}

/// Phases by the words people use; the calendar and the operator read them too.
pub const PHASES: &[(&str, Phase)] = &[
    ("closed", Phase::Closed),
    ("pre-open", Phase::PreOpen),
    ("trading", Phase::Trading),
    ("pre-close", Phase::PreClose),
    ("halted", Phase::Halted),
    ("halt-auction", Phase::HaltAuction),
    ("paused", Phase::Paused),
];

fn read_auction(section: &Section<'_, '_>) -> AuctionSpec {
    let default = AuctionSpec::default();
    // A day that a calendar opens starts closed: see there.
    AuctionSpec {
        cross_orders: section.switch("cross_orders", default.cross_orders),
        phase_start: section.word("phase_at_start", PHASES, default.phase_start),
        band_dynamic: section.integer("band_dynamic", 0..=10_000, 0) as u32,
        band_static: section.integer("band_static", 0..=10_000, 0) as u32,
        band_limit_ms: section.integer("band_limit_ms", 0..=3_600_000, default.band_limit_ms.into()) as u32,
        band_pause_ms: section.integer("band_pause_ms", 1..=86_400_000, default.band_pause_ms.into()) as u32,
    }
}

fn check_ticker(section: &Section<'_, '_>, spec: &TickerSpec, matchers: u16) {
    let TickerSpec { tick, price_min, price_max, reference, matcher, .. } = *spec;
    if price_min > price_max {
        section.refuse("price_max", price_max, format!("at least price_min, {price_min}"));
        return;
    }
    for (key, price) in [("price_min", price_min), ("price_max", price_max), ("reference", reference)] {
        if price.0 % tick.0 != 0 {
            section.refuse(key, price, format!("a multiple of the tick, {tick}"));
        }
    }
    if reference < price_min || reference > price_max {
        section.refuse("reference", reference, format!("from price_min {price_min} to price_max {price_max}"));
    }
    let levels = (price_max.0 - price_min.0) / tick.0 + 1;
    if levels > LADDER_LEVELS_MAX {
        let allowed =
            format!("a range of at most {LADDER_LEVELS_MAX} ticks, so that the ladder's memory stays bounded");
        section.refuse("price_max", format!("a range of {levels} ticks"), allowed);
    }
    if matcher.0 >= matchers {
        section.refuse("matcher", matcher, format!("below partition.matchers, {matchers}"));
    }
}

fn read_accounts(root: &Section<'_, '_>) -> Vec<AccountSpec> {
    const LARGEST: i64 = 1_000_000_000_000;
    let mut accounts: Vec<AccountSpec> = Vec::new();
    for section in root.sections("account") {
        let name = section.required_text("name", "a name");
        if accounts.iter().any(|a| a.name == name) {
            section.refuse("name", &name, "each account once");
        }
        let firm = section.required_text("firm", "four capitals");
        let firm = Some(&firm)
            .filter(|f| f.len() == 4 && f.bytes().all(|b| b.is_ascii_uppercase()))
            .and_then(|f| Firm::from_text(f))
            .unwrap_or_else(|| {
                section.refuse("firm", format!("{firm:?}"), "four capitals");
                Firm::BLANK
            });
        let limits = Limits {
            enabled: section.switch("enabled", true),
            order_quantity_max: Quantity(section.integer("order_quantity_max", 1..=999_999, 100_000) as u32),
            order_notional_max: section.money("order_notional_max", 1..=LARGEST, 100_000_000),
            open_orders_max: section.integer("open_orders_max", 1..=1 << 27, 1 << 17) as u32,
            position_max: section.integer("position_max", 1..=LARGEST, 10_000_000) as u64,
            gross_exposure_max: section.money("gross_exposure_max", 1..=LARGEST, 10_000_000_000),
            messages_per_second_max: section.integer("messages_per_second_max", 0..=100_000_000, 0) as u32,
            price_collar: section.integer("price_collar", 0..=100_000, 1_000) as u32,
            credit: section.money("credit", 0..=LARGEST, 0),
        };
        let cash = section.money("cash", -LARGEST..=LARGEST, 0);
        section.finish();
        accounts.push(AccountSpec { name, firm, cash, limits });
    }
    if accounts.is_empty() {
        root.refuse("account", "none", "at least one [[account]]");
    }
    accounts
}

/// Self-match rules a login may have for orders that name none; the letter is what reports show.
const SELF_MATCH_RULES: &[(&str, SelfMatch)] = &[
    ("off", SelfMatch::OFF),
    ("cancel-newest", SelfMatch { mode: SelfMatchMode::CancelNewest, firm_wide: 0, detailed: 1, letter: b'W' }),
    ("cancel-oldest", SelfMatch { mode: SelfMatchMode::CancelOldest, firm_wide: 0, detailed: 1, letter: b'O' }),
    ("cancel-both", SelfMatch { mode: SelfMatchMode::CancelBoth, firm_wide: 0, detailed: 1, letter: b'*' }),
    ("decrement", SelfMatch { mode: SelfMatchMode::Decrement, firm_wide: 0, detailed: 1, letter: b'D' }),
];

fn read_logins(root: &Section<'_, '_>, accounts: &[AccountSpec]) -> (Vec<SessionSpec>, Vec<String>) {
    let mut sessions: Vec<SessionSpec> = Vec::new();
    let mut hashes = Vec::new();
    for section in root.sections("login") {
        let user = section.required_text("user", "up to six capitals or digits");
        if !(1..=6).contains(&user.len()) || !user.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            section.refuse("user", format!("{user:?}"), "up to six capitals or digits (SoupBinTCP, Login Request)");
        }
        if sessions.iter().any(|s| s.user == user) {
            section.refuse("user", &user, "each user once");
        }
        let account = section.required_text("account", "the name of an [[account]]");
        let account = accounts.iter().position(|a| a.name == account).unwrap_or_else(|| {
            section.refuse("account", format!("{account:?}"), "the name of an [[account]]");
            0
        });
        let hash = section.required_text("password_hash", "what `pitlane password` prints");
        if !hash.starts_with("$argon2id$") {
            section.refuse("password_hash", "something else", "what `pitlane password` prints, $argon2id$…");
        }
        sessions.push(SessionSpec {
            user,
            account: AccountId(account as u16),
            self_match: section.word("self_match", SELF_MATCH_RULES, SelfMatch::OFF),
            cancel_on_disconnect: section.switch("cancel_on_disconnect", true),
        });
        hashes.push(hash);
        section.finish();
    }
    if sessions.is_empty() {
        root.refuse("login", "none", "at least one [[login]]");
    }
    (sessions, hashes)
}

/// Names an explicit map may place; matchers are numbered.
const AGENTS: [&str; 4] = ["gateway", "sequencer", "egress", "feed"];

fn read_threads(root: &Section<'_, '_>) -> Threads {
    let section = root.section("threads");
    let words = [("auto", 0), ("shared", 1), ("dedicated", 2), ("map", 3)];
    let placement = section.word("placement", &words, 0);
    let shared_core = section.integer_or_absent("shared_core", 0..=1_023).map(|n| n as usize);
    let yields = section.word("idle", &[("auto", None), ("spin", Some(false)), ("yield", Some(true))], None);
    let awake = section.switch("awake", true);
    let mut map = Vec::new();
    for entry in section.sections("map") {
        let core = entry.integer("core", 0..=1_023, 0) as usize;
        let agents: Vec<String> = entry.texts("agents").into_iter().map(str::to_owned).collect();
        for agent in &agents {
            let numbered = agent.strip_prefix("matcher.").is_some_and(|n| n.parse::<u16>().is_ok());
            if !numbered && !AGENTS.contains(&agent.as_str()) {
                entry.refuse("agents", format!("{agent:?}"), "gateway, sequencer, matcher.0 and up, egress, feed");
            }
        }
        entry.finish();
        map.push((core, agents));
    }
    if placement == 3 && map.is_empty() {
        section.refuse("map", "nothing", "[[threads.map]] tables with core and agents");
    }
    section.finish();
    let placement = match placement {
        0 => Placement::Auto,
        1 => Placement::Shared,
        2 => Placement::Dedicated,
        _ => Placement::Map(map),
    };
    Threads { placement, shared_core, yields, awake }
}

fn read_journal(root: &Section<'_, '_>) -> JournalKnobs {
    let section = root.section("journal");
    let bytes = mebibytes(&section, "segment_mebibytes", 1..=1 << 14, 64);
    let segments = section.text_or_absent("segments").map(|directory| {
        if directory.is_empty() {
            section.refuse("segments", "nothing", "a directory on a disk");
        }
        SegmentKnobs { directory: PathBuf::from(directory), bytes, line: section.line("segments") }
    });
    let log_directory = section.text_or_absent("log").map(|directory| {
        if directory.is_empty() {
            section.refuse("log", "nothing", "a directory in memory, on tmpfs or hugetlbfs");
        }
        PathBuf::from(directory)
    });
    let knobs = JournalKnobs {
        log_directory,
        log_bytes: mebibytes(&section, "log_mebibytes", 1..=1 << 20, 512),
        lock_required: section.switch("lock_required", false),
        survives: read_survives(&section, segments.is_some()),
        segments,
        snapshots: SnapshotKnobs {
            records: section.integer("snapshot_records", 0..=1 << 40, 1_000_000) as u64,
            seconds: section.integer("snapshot_seconds", 0..=86_400, 0) as u64,
            digest_records: section.integer("digest_records", 16..=1 << 32, 1 << 16) as u64,
            old_segments: section.word("old_segments", OLD_SEGMENTS, OldSegments::Archive),
        },
        reserve_percent: section.integer("reserve_percent", 1..=50, 5) as u32,
        unsynced_records_max: section.integer("unsynced_records_max", 0..=1 << 32, 0) as u64,
        sync_alarm_ms: section.integer("sync_alarm_ms", 0..=3_600_000, 1_000) as u32,
    };
    check_unsynced(&section, &knobs);
    section.finish();
    knobs
}

const OLD_SEGMENTS: &[(&str, OldSegments)] =
    &[("keep", OldSegments::Keep), ("archive", OldSegments::Archive), ("delete", OldSegments::Delete)];

/// A limit that the log reaches first would be none.
fn check_unsynced(section: &Section<'_, '_>, knobs: &JournalKnobs) {
    const KEY: &str = "unsynced_records_max";
    let records = (knobs.log_bytes / RECORD_BYTES) as u64;
    let most = records - records * u64::from(knobs.reserve_percent) / 100;
    if knobs.unsynced_records_max > most {
        let allowed = format!("0, or at most {most}: the records of journal.log_mebibytes less the reserve");
        section.refuse(KEY, knobs.unsynced_records_max, allowed);
    }
    if knobs.unsynced_records_max > 0 && knobs.segments.is_none() {
        section.refuse(KEY, knobs.unsynced_records_max, "0 without journal.segments: there is no disk to be behind");
    }
}

/// Bytes of a record in the log; `journal::RECORD_BYTES`, which this folder does not import; `launch` holds the two together.
pub const RECORD_BYTES: usize = 192;

fn read_survives(section: &Section<'_, '_>, has_segments: bool) -> Survives {
    const KEY: &str = "survives";
    if section.text_or_absent(KEY) == Some("host-loss") {
        let allowed = "\"process-crash\", \"power-loss\": surviving the loss of the host takes a replica on another \
                       one, and replication is not built yet";
        section.refuse(KEY, "\"host-loss\"", allowed);
        return Survives::ProcessCrash;
    }
    let words = [("process-crash", Survives::ProcessCrash), ("power-loss", Survives::PowerLoss)];
    let survives = section.word(KEY, &words, Survives::ProcessCrash);
    if survives == Survives::PowerLoss && !has_segments {
        let allowed =
            "that only with journal.segments, a directory on a disk: what is in memory alone goes with the power";
        section.refuse(KEY, "\"power-loss\"", allowed);
    }
    survives
}

fn mebibytes(section: &Section<'_, '_>, key: &str, range: std::ops::RangeInclusive<i64>, default: i64) -> usize {
    (section.integer(key, range, default) as usize) << 20
}

fn read_gateway(root: &Section<'_, '_>) -> GatewayKnobs {
    let section = root.section("gateway");
    let engines = [("auto", Engine::Auto), ("io_uring", Engine::Uring), ("plain", Engine::Plain)];
    let knobs = GatewayKnobs {
        listen: section
            .parsed("listen", "127.0.0.1:0", "an address and port such as 127.0.0.1:15000")
            .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        engine: section.word("engine", &engines, Engine::Auto),
        connections_max: section.integer("connections_max", 1..=4_096, 128) as u32,
        stream_bytes: mebibytes(&section, "stream_mebibytes", 1..=1 << 16, 64),
        lag_bytes_max: mebibytes(&section, "lag_mebibytes_max", 1..=1 << 16, 16),
        throttle_per_second: section.integer("throttle_per_second", 0..=100_000_000, 0) as u32,
        silence_ms_max: section.integer("silence_ms_max", 1_000..=99_999, 15_000) as u32,
        login_ms_max: section.integer("login_ms_max", 100..=99_999, 10_000) as u32,
        grace_ms: section.integer("grace_ms", 0..=3_600_000, 30_000) as u32,
        shared_memory: section.switch("shared_memory", true),
        ring_bytes: (section.integer("ring_kibibytes", 4..=65_536, 256) as usize) << 10,
    };
    if !knobs.ring_bytes.is_power_of_two() {
        section.refuse("ring_kibibytes", knobs.ring_bytes >> 10, "a power of two: ring positions wrap by a mask");
    }
    section.finish();
    knobs
}

fn read_feed(root: &Section<'_, '_>) -> FeedKnobs {
    let section = root.section("feed");
    let address = "an IPv4 address and port such as 239.195.1.1:26400";
    let fallback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let knobs = FeedKnobs {
        group: section.parsed("group", "239.195.1.1:26400", address).unwrap_or(fallback),
        interface: section.parsed("interface", "127.0.0.1", "an IPv4 address").unwrap_or(Ipv4Addr::LOCALHOST),
        ttl: section.integer("ttl", 0..=255, 0) as u8,
        rerequest: section.parsed("rerequest", "127.0.0.1:0", address).unwrap_or(fallback),
        store_bytes: mebibytes(&section, "store_mebibytes", 1..=1 << 20, 256),
    };
    section.finish();
    knobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_valid() {
        let config = Config::example();
        assert_eq!(config.market.tickers.len(), 5);
        assert_eq!(config.market.tickers[0].tick, Price(100));
        assert_eq!(config.password_hashes.len(), config.market.sessions.len());
    }

    #[test]
    fn a_wrong_value_names_line_found_and_allowed() {
        let text = EXAMPLE.replace("\norders_max = ", "\norders_max = -");
        let faults = Config::parse("x.toml", &text).unwrap_err();
        let line = 2 + EXAMPLE[..EXAMPLE.find("\norders_max").unwrap()].matches('\n').count();
        assert_eq!(faults.faults.len(), 1, "{faults}");
        assert_eq!(faults.faults[0].line, line);
        assert!(faults.to_string().contains("allowed: a whole number from 1024"), "{faults}");
    }

    #[test]
    fn a_mistyped_key_is_refused() {
        let text = EXAMPLE.replace("\norders_max", "\norder_max");
        let faults = Config::parse("x.toml", &text).unwrap_err();
        assert_eq!(faults.faults[0].key, "partition.order_max");
        assert_eq!(faults.faults[0].found, "an unknown key");
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let text = EXAMPLE.replace("price_min", "price_mim").replace("engine = \"auto\"", "engine = \"fast\"");
        let faults = Config::parse("x.toml", &text).unwrap_err();
        assert!(faults.faults.len() > 5, "{faults}");
    }

    /// The faults of the example with other words for what it survives.
    fn faults_of_journal(text: &str) -> String {
        let text = EXAMPLE.replace("survives = \"process-crash\"", text);
        Config::parse("x.toml", &text).map_or_else(|faults| faults.to_string(), |_| String::new())
    }

    #[test]
    fn a_promise_that_cannot_be_kept_is_refused_with_its_line() {
        let line = 1 + EXAMPLE[..EXAMPLE.find("survives = ").unwrap()].matches('\n').count();
        let faults = faults_of_journal("survives = \"host-loss\"");
        assert!(faults.starts_with(&format!("x.toml:{line}: journal.survives: found \"host-loss\"")), "{faults}");
        assert!(faults.contains("replication is not built yet"), "{faults}");
        let faults = faults_of_journal("survives = \"power-loss\"");
        assert!(faults.starts_with(&format!("x.toml:{line}: journal.survives")), "{faults}");
        assert!(faults.contains("journal.segments"), "{faults}");
        assert_eq!(faults_of_journal("survives = \"power-loss\"\nsegments = \"somewhere\""), "");
    }

    #[test]
    fn a_limit_of_unsynced_records_that_the_log_or_no_disk_makes_idle_is_refused() {
        let unsynced = |records: &str, segments: &str| {
            let text =
                EXAMPLE.replace("unsynced_records_max = 0 ", &format!("unsynced_records_max = {records}{segments} "));
            Config::parse("x.toml", &text).map_or_else(|faults| faults.to_string(), |_| String::new())
        };
        let some = "\nsegments = \"somewhere\"";
        assert_eq!((unsynced("1000000", some), unsynced("0", "")), (String::new(), String::new()));
        assert!(unsynced("3000000", some).contains("allowed: 0, or at most 2656"), "{}", unsynced("3000000", some));
        assert!(unsynced("1000", "").contains("no disk to be behind"), "{}", unsynced("1000", ""));
    }

    #[test]
    fn text_that_is_not_toml_is_refused_with_its_line() {
        let faults = Config::parse("x.toml", "[partition]\nname = \n").unwrap_err();
        assert_eq!(faults.faults[0].line, 2);
    }
}
