//! Disks that fill up, fail, stall and lose their power, for real: ext4 on a loop device, the program itself on it, and
//! clients that keep a record of their own. After each fault the program does what it says it does, and once the disk is
//! well again nothing is missing that was promised, although the memory was lost, too.
//!
//! Root only, in a mount namespace of its own for each test; elsewhere a line says what was not checked.

#[path = "../crash/check.rs"]
mod check;
#[path = "../crash/desk.rs"]
mod desk;
#[path = "../support/disk.rs"]
mod disk;
#[path = "../crash/line.rs"]
mod line;
mod loop_disk;
#[path = "../support/random.rs"]
mod random;
#[path = "../crash/site.rs"]
mod site;
#[path = "../crash/trader.rs"]
mod trader;
#[path = "../crash/wire.rs"]
mod wire;

use desk::Desk;
use loop_disk::{LoopDisk, is_inside};
use random::Random;
use site::{Promise, Site, Venue, strace, strace_works};
use std::path::Path;
use tempfile::TempDir;

/// Exit code of a machine that failed.
const FAULT: Option<i32> = Some(3);

/// A venue whose segments are on the disk given.
fn site_on(promise: Promise, disk: &Path, settings: &[(&str, String)]) -> Site {
    let place = TempDir::with_prefix_in("disk-fault-", env!("CARGO_TARGET_TMPDIR")).unwrap();
    Site::at(promise, place, &disk.join("segments"), settings)
}

fn open(site: &Site, desk: &mut Desk, random: &mut Random) -> Venue {
    let mut venue = site.spawn(None);
    venue.ready().expect("nobody kills it");
    desk.connect(site, random).unwrap();
    venue
}

/// Trades until the venue ends because of its disk, and says what it said.
fn trade_to_the_end(site: &Site, venue: &mut Venue, desk: &mut Desk, random: &mut Random) -> String {
    assert!(!desk.trade_until(random, |_| false));
    let status = venue.ended();
    assert_eq!(status.code(), FAULT, "{}", site.said());
    desk.drain();
    site.said()
}

/// How often the power is cut in an ordinary run of the tests.
const CUTS_OF_A_TEST: u64 = 6;

#[test]
fn a_power_cut_under_load_loses_nothing_acknowledged() {
    if !is_inside("a_power_cut_under_load_loses_nothing_acknowledged") {
        return;
    }
    let cuts = std::env::var("PITLANE_POWER_CUTS").map_or(CUTS_OF_A_TEST, |text| text.parse().unwrap());
    let (mut random, disk) = (Random::new(u64::from(std::process::id())), LoopDisk::new(96, 128));
    let (mut site, mut desk) = (site_on(Promise::PowerLoss, disk.path(), &[]), Desk::new());
    for cut in 1..=cuts {
        let mut venue = open(&site, &mut desk, &mut random);
        let magnitude = random.below(12);
        assert!(desk.trade(1 + random.below(1 << magnitude), &mut random));
        disk.cut_power();
        let said = trade_to_the_end(&site, &mut venue, &mut desk, &mut random);
        assert!(said.contains("the disk failed") && said.contains("not tried again"), "{said}");
        disk.restore_power();
        site.lose_memory();
        if cut % 10 == 0 {
            // A day of its own after ten cuts: the disk is not large.
            desk.last_run(&site, &mut random);
            std::fs::remove_dir_all(disk.path().join("segments")).unwrap();
            (site, desk) = (site_on(Promise::PowerLoss, disk.path(), &[]), Desk::new());
        }
    }
    desk.last_run(&site, &mut random);
    println!("{cuts} power cuts");
}

#[test]
fn a_sync_that_fails_is_the_last_and_nothing_acknowledged_is_lost() {
    if !strace_works() {
        eprintln!("not checked: a failing sync, because strace does not work here");
        return;
    }
    let mut random = Random::new(7);
    for promise in [Promise::PowerLoss, Promise::ProcessCrashWithSegments] {
        for nth in [9, 30] {
            let Some(place) = disk::on_disk() else { return };
            let (path, calls) = (place.path().to_owned(), place.path().join("calls"));
            let (site, mut desk) = (Site::at(promise, place, &path.join("segments"), &[]), Desk::new());
            let fails = format!("inject=fdatasync:error=EIO:when={nth}");
            let mut words = strace(&["trace=fdatasync,io_uring_setup", &fails, "inject=io_uring_setup:error=ENOSYS"]);
            *words.iter_mut().find(|word| *word == "/dev/null").unwrap() = calls.to_str().unwrap().to_owned();
            let mut venue = site.spawn_under(&words);
            venue.ready().expect("the first syncs succeed");
            // The sync that fails may be one of the next segment, before anybody has logged in.
            let _gone = desk.connect(&site, &mut random);
            let said = trade_to_the_end(&site, &mut venue, &mut desk, &mut random);
            assert!(said.contains("the disk failed: cannot write and sync") && said.contains("os error 5"), "{said}");
            nothing_was_synced_after_the_failure(&calls);
            if promise == Promise::PowerLoss {
                site.lose_memory();
            }
            desk.last_run(&site, &mut random);
        }
    }
}

/// Reads what strace wrote: of the thread whose sync failed there is none behind it.
fn nothing_was_synced_after_the_failure(calls: &Path) {
    let calls = std::fs::read_to_string(calls).unwrap();
    let failed = calls.lines().position(|line| line.contains("fdatasync") && line.contains("EIO")).unwrap();
    let thread = calls.lines().nth(failed).unwrap().split_whitespace().next().unwrap();
    let later = calls.lines().skip(failed + 1).filter(|line| line.starts_with(thread) && line.contains("fdatasync"));
    assert_eq!(later.count(), 0, "{calls}");
}

#[test]
fn a_full_disk_refuses_orders_lets_cancels_pass_and_goes_on_when_there_is_room() {
    if !is_inside("a_full_disk_refuses_orders_lets_cancels_pass_and_goes_on_when_there_is_room") {
        return;
    }
    let (mut random, disk) = (Random::new(3), LoopDisk::new(48, 64));
    let reserve = [("reserve_percent", "2".to_owned())];
    let (site, mut desk) = (site_on(Promise::PowerLoss, disk.path(), &reserve), Desk::new());
    desk.unanswered_max(20);
    let venue = open(&site, &mut desk, &mut random);
    let ballast = disk.fill();
    let refused = |desk: &Desk| desk.sum(|trader| trader.refused);
    assert!(desk.trade_until(&mut random, |desk| refused(desk) > 0));
    assert_eq!(site.counter("persister.disk_full"), 1);
    assert!(desk.sum(|trader| trader.open_count()) > 0);
    desk.cancel_all();
    std::fs::remove_file(ballast).unwrap();
    let (before, fills) = (refused(&desk), desk.sum(|trader| trader.fills.len() as u64));
    // Until the venue has looked at its disk again, who goes on with orders is sent away.
    while !desk.trade_until(&mut random, |desk| desk.sum(|trader| trader.fills.len() as u64) > fills + 100) {
        desk.connect(&site, &mut random).expect("the venue runs on");
    }
    println!("{before} orders were refused while the disk was full");
    assert_eq!(site.counter("persister.disk_full"), 0);
    drop(venue);
    desk.drain();
    site.lose_memory();
    desk.last_run(&site, &mut random);
}

#[test]
fn a_sync_that_does_not_return_delays_no_answer_that_does_not_wait_for_it() {
    let works = strace_works();
    let Some(place) = disk::on_disk().filter(|_| works) else {
        eprintln!("not checked: a sync that does not return, because it takes strace and a disk");
        return;
    };
    let (mut random, path) = (Random::new(11), place.path().to_owned());
    let site = Site::at(Promise::ProcessCrashWithSegments, place, &path.join("segments"), &[]);
    let mut desk = Desk::new();
    // An hour, at the 30th sync: the next segment is made by then.
    let stalls = "inject=fdatasync:delay_enter=3600000000:when=30";
    let mut venue =
        site.spawn_under(&strace(&["trace=fdatasync,io_uring_setup", stalls, "inject=io_uring_setup:error=ENOSYS"]));
    venue.ready().expect("nobody kills it");
    desk.connect(&site, &mut random).unwrap();
    // Records on the disk, and how many answers there were when they became so many.
    let mut stood = (0, 0);
    assert!(desk.trade_until(&mut random, |desk| {
        let (records, answers) = (site.counter("persister.records"), desk.message_count());
        if records != stood.0 {
            stood = (records, answers);
        }
        answers > stood.1 + 5_000 && site.counter("disk.slow") == 1
    }));
    venue.kill();
    desk.drain();
    desk.last_run(&site, &mut random);
}

#[test]
fn a_disk_whose_own_store_runs_out_loses_nothing_acknowledged() {
    if !is_inside("a_disk_whose_own_store_runs_out_loses_nothing_acknowledged") {
        return;
    }
    let (mut random, disk) = (Random::new(5), LoopDisk::new(96, 7));
    let (site, mut desk) = (site_on(Promise::PowerLoss, disk.path(), &[]), Desk::new());
    let mut venue = open(&site, &mut desk, &mut random);
    let said = trade_to_the_end(&site, &mut venue, &mut desk, &mut random);
    println!("{said}");
    disk.heal(128);
    disk.restore_power();
    site.lose_memory();
    desk.last_run(&site, &mut random);
}

#[test]
fn a_memory_without_room_for_the_log_refuses_the_start_and_leaves_nothing() {
    if !is_inside("a_memory_without_room_for_the_log_refuses_the_start_and_leaves_nothing") {
        return;
    }
    // Both on one small disk: the log is what finds no room.
    let disk = LoopDisk::new(16, 32);
    let memory = disk.path().join("memory");
    let directory = [("directory", format!("{memory:?}"))];
    let site = site_on(Promise::ProcessCrash, disk.path(), &directory);
    let output = site.output(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), FAULT, "{said}");
    assert!(said.contains("create the log") && said.contains("No space left"), "{said}");
    let left: Vec<_> = std::fs::read_dir(&memory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("log")), "{left:?}");
}
