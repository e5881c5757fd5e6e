//! The quiet hot path, end to end: in steady state hot threads take no memory, fault no page, never wait and make no
//! system call but those of the sockets they own.
//!
//! Steady state: logged in, warmed up, orders, cancels, replaces and fills over TCP and shared memory at prices and
//! in numbers that the warm-up had not seen, so that memory that is only touched on first use would show. Logins and
//! disconnects are cold by design and not in the window. Files lie in memory, as the example has it: on a disk the
//! kernel's write-back would protect pages of the log and have each faulted in again.
#![allow(unsafe_code, reason = "a counting allocator, for the claim that hot threads take no memory")]

#[path = "support/exchange.rs"]
mod support;

use pitlane::client::operator;
use pitlane::client::orders::{Incoming, NewOrder, OrderSession, Replacement};
use pitlane::config::{Config, EXAMPLE, Engine, Placement};
use pitlane::launch::Exchange;
use pitlane::launch::endpoints::Endpoints;
use pitlane::os::affinity;
use pitlane::os::mapped::Mapped;
use pitlane::types::{Channel, Price, Quantity, SideCode, Symbol, UserRef};
use pitlane::wire::ouch::Outbound;
use serde_json::json;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::{AAPL, PATIENCE, config, free_group, login_at, verify, wait_until};
use tempfile::TempDir;

/// Threads this process ever has: a few of the harness, two to four of each exchange.
const THREADS_MAX: usize = 256;
/// Not counted yet.
const NO_PLACE: usize = usize::MAX;

/// The system's allocator, counting the calls of each thread where other threads can read them.
struct Counting;

static THREADS: [AtomicI32; THREADS_MAX] = [const { AtomicI32::new(0) }; THREADS_MAX];
static CALLS: [AtomicU64; THREADS_MAX] = [const { AtomicU64::new(0) }; THREADS_MAX];
static PLACES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(NO_PLACE) };
}

/// Relaxed throughout: who reads has talked with the counted thread over links in between, and a count seen late
/// would be seen in the next run.
fn count() {
    let mut place = PLACE.get();
    if place == NO_PLACE {
        place = PLACES.fetch_add(1, Relaxed);
        assert!(place < THREADS_MAX, "more threads than the table of counts has places");
        PLACE.set(place);
        // SAFETY: takes nothing, always succeeds.
        THREADS[place].store(unsafe { libc::gettid() }, Relaxed);
    }
    CALLS[place].fetch_add(1, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of the heap.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Calls of thread `tid` into the allocator so far.
fn allocator_calls(tid: i32) -> u64 {
    let of = |place: usize| if THREADS[place].load(Relaxed) == tid { CALLS[place].load(Relaxed) } else { 0 };
    (0..THREADS_MAX).map(of).sum()
}

/// What the system and the allocator know of a thread.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Noise {
    thread: i32,
    allocator_calls: u64,
    faults_minor: u64,
    faults_major: u64,
    /// Times it gave up its core to wait: for a lock, a timer, a page. Offering the core (`sched_yield`) is not one.
    waits: u64,
}

fn noise(process: u32, tid: i32) -> Noise {
    let task = PathBuf::from(format!("/proc/{process}/task/{tid}"));
    let stat = fs::read_to_string(task.join("stat")).unwrap();
    // The name stands in brackets and may hold anything; the fields behind it are numbered from 3 in proc(5).
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let field = |number: usize| fields[number - 3].parse().unwrap();
    let status = fs::read_to_string(task.join("status")).unwrap();
    let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    Noise {
        thread: tid,
        allocator_calls: if process == std::process::id() { allocator_calls(tid) } else { 0 },
        faults_minor: field(10),
        faults_major: field(12),
        waits: waits.trim().parse().unwrap(),
    }
}

/// Hot threads of a process, by their names: an agent alone gives its own, several together are `hot`.
fn hot_threads(process: u32) -> Vec<i32> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if matches!(name.trim(), "hot" | "gateway" | "sequencer" | "matcher.0" | "egress" | "feed") {
            found.push(task.file_name().to_str().unwrap().parse().unwrap());
        }
    }
    found
}

/// Clients of both transports, and what they have seen.
struct Clients {
    maker: OrderSession,
    taker: OrderSession,
    /// A second pair the other way round, so that each transport has a maker.
    ring_maker: OrderSession,
    tcp_taker: OrderSession,
    fills: u64,
    cancels: u64,
    replaces: u64,
}

impl Clients {
    fn log_in(endpoints: &Endpoints) -> Clients {
        let login = |user, shared| login_at(endpoints, user, shared);
        Clients {
            maker: login("USER01", false),
            taker: login("USER03", true),
            ring_maker: login("USER02", true),
            tcp_taker: login("USER04", false),
            fills: 0,
            cancels: 0,
            replaces: 0,
        }
    }

    /// Rounds from `first` on: two makers quote, move and cancel quotes over some thousand prices, two takers trade.
    fn play(&mut self, symbol: Symbol, middle: u32, first: u32, rounds: u32) {
        let order = |side, quantity, price| NewOrder::limit(side, Quantity(quantity), symbol, Price(price));
        let mut quotes = [[UserRef(0); 2]; 2];
        for round in first..first + rounds {
            let away = 100 * (1 + round.wrapping_mul(37) % 2_000);
            for (maker, quotes) in [&mut self.maker, &mut self.ring_maker].into_iter().zip(&mut quotes) {
                let [offer, bid] = *quotes;
                match round % 3 {
                    0 if offer.0 > 0 => maker.cancel(Channel::NONE, offer, Quantity(0)).unwrap(),
                    1 if bid.0 > 0 => {
                        let by = Replacement::limit(Quantity(200), Price(middle - away - 100));
                        maker.replace(bid, &by).unwrap();
                    }
                    _ => {}
                }
                let offer = maker.enter(&order(SideCode::Sell, 100, middle + away)).unwrap();
                let bid = maker.enter(&order(SideCode::Buy, 100, middle - away)).unwrap();
                *quotes = [offer, bid];
            }
            self.taker.enter(&order(SideCode::Buy, 30, middle + away).immediate()).unwrap();
            self.tcp_taker.enter(&order(SideCode::Sell, 30, middle - away).immediate()).unwrap();
            if round % 8 == 7 {
                self.settle();
            }
        }
        self.settle();
    }

    /// Takes in answers until nobody waits for one. The last request of each was an order, which is always answered.
    fn settle(&mut self) {
        let started = std::time::Instant::now();
        let Clients { maker, taker, ring_maker, tcp_taker, fills, cancels, replaces } = self;
        let mut sessions = [maker, taker, ring_maker, tcp_taker];
        loop {
            for session in &mut sessions {
                while let Some(incoming) = session.poll().unwrap() {
                    match incoming {
                        Incoming::Message { message: Outbound::Executed(_), .. } => *fills += 1,
                        Incoming::Message { message: Outbound::Canceled(_), .. } => *cancels += 1,
                        Incoming::Message { message: Outbound::Replaced(_), .. } => *replaces += 1,
                        Incoming::Message { message: Outbound::Rejected(j), .. } => panic!("refused: {j:?}"),
                        _ => {}
                    }
                }
            }
            if sessions.iter().all(|session| session.unanswered() == 0) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "answers come");
            std::thread::yield_now();
        }
    }
}

/// Exchanges of this file run one at a time: hot threads are known by name, and one process holds them all.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory in memory.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("Linux has a file system in memory at /dev/shm")
}

/// A ticker that nobody touches before the window; its reference price is 577.50.
const GOOG: Symbol = Symbol(*b"GOOG    ");
/// Rounds before the window, and in it for each ticker: six to eight requests a round.
const WARM_UP: u32 = 200;
const ROUNDS: u32 = 1_000;

/// Plays the window on an exchange in this process and gives each hot thread's noise before and after.
fn window(config: Config) -> Vec<(Noise, Noise)> {
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut clients = Clients::log_in(exchange.endpoints());
    clients.play(AAPL, 5_855_000, 1, WARM_UP);
    let process = std::process::id();
    let threads = hot_threads(process);
    let before: Vec<Noise> = threads.iter().map(|&tid| noise(process, tid)).collect();
    clients.play(AAPL, 5_855_000, WARM_UP + 1, ROUNDS);
    clients.play(GOOG, 5_775_000, 1, ROUNDS);
    let after = threads.iter().map(|&tid| noise(process, tid));
    let pairs = before.into_iter().zip(after).collect();
    assert!(clients.fills > 1_000 && clients.cancels > 1_000 && clients.replaces > 300, "the window had it all");
    drop(clients);
    let closing = exchange.close().unwrap();
    verify(&config, &closing);
    pairs
}

fn placed(engine: Engine, directory: &Path) -> Config {
    let mut config = config(directory);
    config.gateway.engine = engine;
    // Passing time makes records too, and they have to be as quiet.
    config.tick_ms = 5;
    config
}

fn assert_quiet(pairs: &[(Noise, Noise)], threads: usize) {
    assert_eq!(pairs.len(), threads, "hot threads");
    for (before, after) in pairs {
        assert_eq!(after, before, "a hot thread is as quiet after the window as before");
    }
}

#[test]
fn a_hot_thread_on_plain_sockets_takes_no_memory_faults_no_page_and_never_waits() {
    let (_alone, directory) = (alone(), directory());
    assert_quiet(&window(placed(Engine::Plain, directory.path())), 1);
}

#[test]
fn a_hot_thread_on_io_uring_takes_no_memory_faults_no_page_and_never_waits() {
    let (_alone, directory) = (alone(), directory());
    assert_quiet(&window(placed(Engine::Uring, directory.path())), 1);
}

#[test]
fn hot_threads_on_two_cores_are_as_quiet_as_one() {
    let (_alone, directory) = (alone(), directory());
    let mut config = placed(Engine::Plain, directory.path());
    let cores = affinity::allowed().unwrap();
    let agents = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    config.threads.placement = Placement::Map(vec![
        (cores[0], agents(&["gateway", "feed"])),
        (*cores.last().unwrap(), agents(&["sequencer", "matcher.0", "egress"])),
    ]);
    assert_quiet(&window(config), 2);
}

#[test]
fn the_counts_would_see_what_they_look_for() {
    const PAGES: usize = 4096;
    let _alone = alone();
    let (told, tell) = std::sync::mpsc::channel();
    let (go, went) = std::sync::mpsc::channel::<()>();
    let loud = std::thread::Builder::new().name("hot".into()).spawn(move || {
        // SAFETY: takes nothing, always succeeds.
        told.send(unsafe { libc::gettid() }).unwrap();
        went.recv().unwrap();
        // Fresh pages for certain: what the allocator gives may have been touched by somebody before.
        let fresh = Mapped::anonymous(PAGES * 4096).unwrap();
        (0..PAGES).for_each(|page| fresh.write(page * 4096, &[1]));
        let on_the_heap = std::hint::black_box(Box::new(1));
        told.send(*on_the_heap).unwrap();
        went.recv().unwrap();
    });
    let tid = tell.recv().unwrap();
    let process = std::process::id();
    let before = noise(process, tid);
    assert!(hot_threads(process).contains(&tid));
    go.send(()).unwrap();
    tell.recv().unwrap();
    let after = noise(process, tid);
    wait_until("it waits again", || noise(process, tid).waits > before.waits);
    go.send(()).unwrap();
    loud.unwrap().join().unwrap();
    assert!(after.allocator_calls > before.allocator_calls);
    // One fault a page, or one for each huge page.
    assert!(after.faults_minor >= before.faults_minor + 8);
}

/// `pitlane run` as a process of its own; killed when a test fails.
struct Venue {
    child: Child,
    endpoints: Endpoints,
    _directory: TempDir,
}

impl Venue {
    fn start(engine: &str) -> Venue {
        let directory = directory();
        let text = EXAMPLE
            .replace("engine = \"auto\"", &format!("engine = \"{engine}\""))
            .replace("placement = \"auto\"", "placement = \"shared\"")
            .replace("idle = \"auto\"", "idle = \"yield\"")
            .replace("orders_max = 1_048_576", "orders_max = 16_384")
            .replace("log_mebibytes = 512", "log_mebibytes = 8")
            .replace("stream_mebibytes = 64", "stream_mebibytes = 2")
            .replace("store_mebibytes = 256", "store_mebibytes = 4")
            .replace("connections_max = 128", "connections_max = 8");
        let path = directory.path().join("pitlane.toml");
        fs::write(&path, text).unwrap();
        let place = directory.path().join("partition");
        let mut child = Command::new(env!("CARGO_BIN_EXE_pitlane"))
            .args(["run", "--listen", "127.0.0.1:0", "--rerequest", "127.0.0.1:0"])
            .args(["--feed", &free_group().to_string(), "--config"])
            .arg(&path)
            .arg("--directory")
            .arg(&place)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.map_while(Result::ok).any(|line| line == "ready"), "the exchange starts");
        let endpoints = Endpoints::read(&place).unwrap();
        Venue { child, endpoints, _directory: directory }
    }

    fn stop(mut self) {
        let answer = operator::ask(&self.endpoints.operator, &json!({"do": "stop"}), PATIENCE).unwrap();
        assert_eq!(answer["ok"], true);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        // It has ended already but in a test that fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// strace on one thread, from now until [`Trace::end`].
struct Trace {
    strace: Child,
    file: tempfile::NamedTempFile,
}

impl Trace {
    /// `None` where there is no strace or the system lets it trace nobody; says so.
    fn begin(tid: i32) -> Option<Trace> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let spawned = Command::new("strace")
            .args(["-y", "-p", &tid.to_string(), "-o"])
            .arg(file.path())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut strace) = spawned else {
            println!("skipped: there is no strace here to see system calls with");
            return None;
        };
        let mut said = BufReader::new(strace.stderr.take().unwrap()).lines().map_while(Result::ok);
        let first = said.next().unwrap_or_default();
        if !first.contains("attached") {
            strace.wait().unwrap();
            println!("skipped: strace may not trace here: {first}");
            return None;
        }
        Some(Trace { strace, file })
    }

    /// Lets the thread go; the lines of its calls.
    fn end(mut self) -> Vec<String> {
        let kill = Command::new("kill").args(["-INT", &self.strace.id().to_string()]).status().unwrap();
        assert!(kill.success());
        self.strace.wait().unwrap();
        fs::read_to_string(self.file.path()).unwrap().lines().map(str::to_owned).collect()
    }
}

/// What a call is made on, as `strace -y` shows the descriptor.
fn is_made_on(line: &str, what: &[&str]) -> bool {
    let shown = line.split_once('<').map_or("", |(_, rest)| rest);
    what.iter().any(|what| shown.starts_with(what))
}

/// Calls a hot thread may make, each with what it is made on (nothing: it names no descriptor) and why.
const SOCKETS: &[&str] = &["socket:", "TCP:", "TCPv6:", "UDP:", "UNIX", "UDPv6:"];
const CALLS_ALLOWED: &[(&str, &[&str])] = &[
    // Client bytes (plain sockets: each connection each turn), and the feed's requests for missed messages.
    ("recvfrom", SOCKETS),
    // Answers to TCP clients with either engine, and the feed's datagrams.
    ("sendto", SOCKETS),
    // New connections, one look in a thousand turns (plain sockets): none in a window that is short.
    ("accept4", SOCKETS),
    // The Unix sockets behind shared memory: one look at all of them in 10 ms.
    ("epoll_wait", &["anon_inode:[eventpoll]"]),
    // The ring, when the kernel says that it has work for us (io_uring). Its descriptor is an index of the thread.
    ("io_uring_enter", &[]),
    // What an idle thread does when told that it shares its core (`threads.idle = "yield"`).
    ("sched_yield", &[]),
];

/// Names of the calls and how often each was made. Panics at one that is not allowed.
fn judged(lines: &[String]) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.starts_with('+')) {
        // A call that was under way when the tracing began has lost its arguments: `<... recvfrom resumed>`.
        let begun_before = line.strip_prefix("<... ");
        let name = begun_before.unwrap_or(line).split(['(', ' ']).next().unwrap();
        let allowed = CALLS_ALLOWED.iter().find(|(allowed, _)| *allowed == name);
        let on_its_own = allowed.is_some_and(|(_, on)| on.is_empty() || begun_before.is_some() || is_made_on(line, on));
        assert!(on_its_own, "a hot thread made a call that is not of its sockets: {line}");
        *names.entry(name.to_owned()).or_insert(0) += 1;
    }
    names
}

/// Runs the window on a process under strace and gives the calls of its hot thread.
fn traced(engine: &str) -> Option<BTreeMap<String, usize>> {
    let venue = Venue::start(engine);
    let mut clients = Clients::log_in(&venue.endpoints);
    clients.play(AAPL, 5_855_000, 1, WARM_UP);
    let process = venue.child.id();
    let [hot] = hot_threads(process)[..] else { panic!("one hot thread") };
    let before = noise(process, hot);
    let trace = Trace::begin(hot)?;
    clients.play(AAPL, 5_855_000, WARM_UP + 1, ROUNDS);
    clients.play(GOOG, 5_775_000, 1, ROUNDS);
    let lines = trace.end();
    let after = noise(process, hot);
    assert_eq!(after.faults_minor + after.faults_major, before.faults_minor + before.faults_major, "page faults");
    assert!(clients.fills > 100);
    drop(clients);
    venue.stop();
    Some(judged(&lines))
}

#[test]
fn on_plain_sockets_the_only_system_calls_are_of_its_own_sockets() {
    let _alone = alone();
    let Some(calls) = traced("plain") else { return };
    println!("{calls:?}");
    assert!(!calls.contains_key("futex") && !calls.contains_key("io_uring_enter"), "{calls:?}");
    assert!(calls["recvfrom"] > 0 && calls["sendto"] > 0, "{calls:?}");
}

#[test]
fn on_io_uring_the_only_system_calls_are_of_its_own_sockets() {
    let _alone = alone();
    let Some(calls) = traced("io_uring") else { return };
    println!("{calls:?}");
    assert!(!calls.contains_key("futex"), "{calls:?}");
    assert!(calls["sendto"] > 0, "{calls:?}");
}
