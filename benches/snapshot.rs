//! Snapshots: how long one of a million resting orders takes, and how long a start takes behind one after ten million records.
//!
//! What it measures: [`Shadow::take`], which writes, syncs, reads again and compares, at 1,000,000 resting orders; the
//! start of a whole exchange, sockets and memory included, after 10,000,000 records, behind a snapshot at 9,900,000 and
//! without any. A slip in the first makes the shadow fall behind by more; one in the second keeps the venue closed longer.
//! Beside the first stands the floor: the same bytes written and synced plainly. The journal is made beforehand, on the
//! disk that the target directory is on: some 2 GB, removed at the end.
//!
//! Between them: what the hot path notices of a snapshot ([`beside`]).
//!
//! `cargo bench --profile quick --bench snapshot`, `-- --only million`, `beside` or `starts`; `PITLANE_SNAPSHOT_RECORDS` for
//! another length.

#[path = "snapshot/beside.rs"]
mod beside;
#[path = "../tests/support/journal.rs"]
mod journal;

use journal::{Maker, knobs, with_segments};
use pitlane::config::{Config, Placement};
use pitlane::journal::SystemDisk;
use pitlane::launch::Exchange;
use pitlane::launch::shadow::Shadow;
use pitlane::os::touched::Touched;
use pitlane::types::{Command, Money, Price, Quantity, SessionId, SideCode, TickerId, UserRef};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

const RESTING: u64 = 1_000_000;
const RECORDS: u64 = 10_000_000;
/// Records behind the snapshot that a start replays.
const BEHIND: u64 = 100_000;

fn config(directory: &Path, orders_max: u32) -> Config {
    let mut config = Config::example();
    config.directory = memory_of(directory);
    std::fs::create_dir_all(&config.directory).expect("a directory");
    config.market.orders_max = orders_max;
    for account in &mut config.market.accounts {
        (account.cash, account.limits.credit) = (Money(1 << 60), Money(1 << 90));
        (account.limits.open_orders_max, account.limits.position_max) = (1 << 26, 1 << 40);
        (account.limits.gross_exposure_max, account.limits.order_notional_max) = (Money(1 << 90), Money(1 << 60));
        account.limits.order_quantity_max = Quantity(999_999);
    }
    config.gateway.listen = "127.0.0.1:0".parse().expect("an address");
    config.feed.rerequest = "127.0.0.1:0".parse().expect("an address");
    config.threads.placement = Placement::Shared;
    config.threads.yields = Some(true);
    config.tick_ms = 0;
    with_segments(&mut config, &directory.join("segments"), 64 << 20);
    config
}

/// Log and sockets lie in memory, as they should.
fn memory_of(directory: &Path) -> PathBuf {
    let name = format!("pitlane-bench-{}-{}", std::process::id(), directory.file_name().unwrap_or_default().display());
    if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm").join(name) } else { directory.join("memory") }
}

fn at_a_million(directory: &Path) {
    let config = config(directory, 2 * RESTING as u32);
    let mut maker = Maker::new(&config, 5);
    for count in 0..RESTING {
        let session = SessionId((count % 4) as u16);
        let buys = count % 2 == 0;
        let away = 100 * (1 + maker.random.below(2_000) as u32);
        let order = Command {
            session,
            user_ref: UserRef((count / 4) as u32 + 1),
            side: if buys { SideCode::Buy } else { SideCode::Sell },
            ticker: TickerId(0),
            quantity: Quantity(10),
            price: Price(if buys { 5_855_000 - away } else { 5_855_000 + away }),
            ..Command::new(pitlane::types::CommandKind::Enter)
        };
        maker.send(order);
    }
    let twin = maker.finish();
    assert_eq!(twin.oms().orders().count() as u64, RESTING, "every order rests");
    drop(twin);
    let mut shadow =
        Shadow::open(&config, knobs(&config), &mut Vec::new(), Box::new(SystemDisk::plain())).expect("a shadow");
    let started = Instant::now();
    while shadow.step(u64::MAX).expect("a sound journal").is_some() {}
    let followed = started.elapsed();
    let count = shadow.number().0;
    println!("followed {count} records in {followed:.2?}, {:.2} M/s", count as f64 / followed.as_secs_f64() / 1e6);
    let mut times = Vec::new();
    for _ in 0..5 {
        let taken = shadow.take().expect("a snapshot");
        let floor = Instant::now();
        let mut file = std::fs::File::create(directory.join("floor")).expect("a file");
        let bytes = vec![0xA5; taken.bytes];
        file.write_all(&bytes).and_then(|()| file.sync_all()).expect("a write");
        println!(
            "snapshot of {RESTING} orders: {} bytes in {:.2?}; plain write and sync {:.2?}",
            taken.bytes,
            taken.took,
            floor.elapsed()
        );
        times.push(taken.took);
    }
    times.sort();
    println!("median {:.2?}, worst {:.2?}; aim 2 s", times[2], times[4]);
}

fn starts(directory: &Path, records: u64) {
    let mut config = config(directory, 1 << 20);
    // Some 60 bytes of answers and 40 of feed a record.
    (config.gateway.stream_bytes, config.feed.store_bytes) = (40 * records as usize, 60 * records as usize);
    let mut maker = Maker::new(&config, 9);
    let began = Instant::now();
    while maker.number.0 < records {
        maker.step();
    }
    println!("made {} records in {:.1?}", maker.number, began.elapsed());
    println!("open orders {}", maker.finish().oms().orders().count());
    let start = |what: &str| {
        let began = Instant::now();
        let exchange = Exchange::open(config.clone()).expect("a start");
        let took = began.elapsed();
        let found = exchange.announcement().iter().find(|line| line.starts_with("journal")).cloned();
        let spent = exchange.announcement().iter().find(|line| line.starts_with("start")).cloned();
        println!("start {what}: {took:.2?}; {}", found.unwrap_or_default());
        println!("    {}", spent.unwrap_or_default());
        exchange.close().expect("a stop");
        std::fs::remove_file(config.directory.join("log")).expect("its log");
    };
    memory_floor(config.gateway.stream_bytes * config.market.sessions.len() + config.feed.store_bytes);
    start("without a snapshot");
    let mut shadow =
        Shadow::open(&config, knobs(&config), &mut Vec::new(), Box::new(SystemDisk::plain())).expect("a shadow");
    while shadow.number().0 < records - BEHIND {
        shadow.step(records - BEHIND).expect("a sound journal");
    }
    println!("snapshot {:?}", shadow.take().expect("a snapshot"));
    drop(shadow);
    (0..3).for_each(|_| start("behind a snapshot"));
}

/// As in the program: what is measured is its start.
#[global_allocator]
static MEMORY: pitlane::os::allocator::HugeAllocator = pitlane::os::allocator::HugeAllocator;

/// The floor of taking memory: plainly, with nothing else. A host that backs its guests' memory only when it is touched, and
/// takes it back when it is free, shows here: the first time is the host's.
fn memory_floor(bytes: usize) {
    for what in ["first", "again"] {
        let began = Instant::now();
        let taken = Touched::take(bytes).expect("memory");
        println!("{} MB of memory taken on one core, {what}: {:.2?}", taken.len() >> 20, began.elapsed());
    }
}

fn main() {
    let only = std::env::args().skip_while(|argument| argument != "--only").nth(1);
    let wanted = |part: &str| only.as_ref().is_none_or(|only| only == part);
    let records = std::env::var("PITLANE_SNAPSHOT_RECORDS").map_or(RECORDS, |text| text.parse().expect("a number"));
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let [million, starting] = ["million", "starts"].map(|name| directory.path().join(name));
    if wanted("million") || wanted("beside") {
        at_a_million(&million);
    }
    if wanted("beside") {
        beside::run(&million, 2 * RESTING as u32);
    }
    if wanted("starts") {
        starts(&starting, records);
    }
    for directory in [million, starting] {
        let _there_is_none = std::fs::remove_dir_all(memory_of(&directory));
    }
}
