//! How the program ends: in order, and when the ground goes from under it; and what the next start says of it.

#[path = "support/disk.rs"]
mod disk;
#[path = "support/process.rs"]
mod process;
#[path = "support/exchange.rs"]
mod support;

use pitlane::client::feed::{FeedHandler, FeedSource, FeedState};
use pitlane::client::orders::{Incoming, OrderSession};
use pitlane::journal::{LogOptions, RECORD_BYTES};
use pitlane::launch::endpoints::Endpoints;
use pitlane::launch::home::log_path;
use pitlane::launch::{Exchange, LaunchFault};
use pitlane::os::clock::monotonic_ns;
use pitlane::types::{Channel, Quantity, SideCode, UserRef};
use pitlane::wire::ouch::Outbound;
use process::Site;
use std::fs::OpenOptions;
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use support::{PATIENCE, accepted, canceled, config, counter, limit, login, login_at, trade, until, wait_until};

#[test]
fn a_file_cut_short_under_the_venue_ends_it_with_code_5_and_its_name() {
    let Some(site) = Site::new("process-crash", &[]) else { return };
    // Files that the venue has mapped and writes; the log last, for the venue does not go on after that.
    for name in ["counters", "depth", "log"] {
        let venue = site.start();
        let mut session = login_at(&venue.endpoints, "USER01", true);
        trade(&mut session, 3);
        OpenOptions::new().write(true).open(site.venue().join(name)).unwrap().set_len(0).unwrap();
        let _ = session.enter(&limit(SideCode::Sell, 1, 5_855_000));
        let (code, said) = venue.end();
        assert_eq!(code, Some(5), "{said}");
        let path = site.venue().join(name);
        assert!(said.contains("SIGBUS at 0x0000") && said.contains(path.to_str().unwrap()), "{said}");
    }
    // Its records were not all on the disk, perhaps: nobody guesses.
    let start = site.output(&["run"]);
    let said = String::from_utf8_lossy(&start.stderr);
    assert_eq!(start.status.code(), Some(3), "{said}");
    assert!(said.contains("is not a usable log: it is empty"), "{said}");
}

/// The answers to come, to the end of the session; `None` when the connection goes without one.
fn to_the_end(session: &mut OrderSession) -> Option<Vec<Outbound>> {
    let mut messages = Vec::new();
    loop {
        match session.wait(PATIENCE) {
            Ok(Some(Incoming::Message { message, .. })) => messages.push(message),
            Ok(Some(Incoming::EndOfSession)) => return Some(messages),
            Ok(None) => panic!("nothing comes"),
            Err(_) => return None,
        }
    }
}

fn follow(endpoints: &Endpoints) -> FeedHandler {
    let mut source = FeedSource::new(endpoints.feed, vec![endpoints.rerequest]);
    source.session = endpoints.session.as_bytes().try_into().ok();
    source.interface = endpoints.feed_interface;
    FeedHandler::join(&source).unwrap()
}

/// Polls the feed until it is in `state`.
fn until_state(feed: &mut FeedHandler, state: FeedState) {
    wait_until("the feed is in the state awaited", || {
        feed.poll(monotonic_ns(), |_, _| {}).unwrap();
        feed.state() == state
    });
}

#[test]
fn a_stop_ends_every_session_behind_its_last_answer_and_the_next_start_goes_on_with_it() {
    let Some(site) = Site::new("process-crash", &[]) else { return };
    let venue = site.start();
    assert!(!venue.lines.iter().any(|line| line.starts_with("last stop")), "{:?}", venue.lines);
    let mut feed = follow(&venue.endpoints);
    until_state(&mut feed, FeedState::Live);
    let mut sessions =
        [("USER01", true), ("USER02", false)].map(|(user, shared)| login_at(&venue.endpoints, user, shared));
    let idle = TcpStream::connect(venue.endpoints.orders).unwrap();
    sessions.iter_mut().for_each(|session| trade(session, 5));
    // Answers under way when the signal comes.
    for session in &mut sessions {
        for _ in 0..20 {
            session.enter(&limit(SideCode::Sell, 1, 5_855_000)).unwrap();
        }
    }
    for session in &mut sessions {
        until(session, "the last answer but some", |m| matches!(m, Outbound::Accepted(a) if a.user_ref.0 == 10));
    }
    venue.terminate();
    for session in &mut sessions {
        let messages = to_the_end(session).expect("End of Session comes");
        let day_is_over = messages.iter().any(|message| matches!(message, Outbound::SystemEvent(_)));
        assert!(!day_is_over, "the day goes on: {messages:?}");
    }
    until_state(&mut feed, FeedState::Ended);
    drop(idle);
    assert_eq!(venue.end(), (Some(0), String::new()));
    assert!(site.segments().join("clean-stop").exists());

    let venue = site.start();
    assert!(venue.lines.iter().any(|line| line.starts_with("last stop  in order, after record")), "{:?}", venue.lines);
    // The same session from the next number: what was on its way is there, each once, and the day goes on.
    for session in &mut sessions {
        session.reconnect().unwrap();
        wait_until("what had no answer is settled", || {
            while session.poll().unwrap().is_some() {}
            !session.is_recovering() && session.unanswered() == 0
        });
        let order = session.enter(&limit(SideCode::Sell, 1, 5_855_000)).unwrap();
        accepted(session, order);
        assert_eq!(order.0, 26);
    }
    // The feed's session, too, is not over any more.
    until_state(&mut feed, FeedState::Live);
    venue.kill();
    let venue = site.start();
    assert!(venue.lines.iter().any(|line| line.starts_with("last stop  not in order")), "{:?}", venue.lines);
    assert_eq!(venue.stop(), 0);
}

#[test]
fn a_log_that_lost_its_last_record_after_a_clean_stop_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let exchange = Exchange::open(config.clone()).unwrap();
    let mut session = login(&exchange, "USER01", false);
    trade(&mut session, 5);
    drop(session);
    let closing = exchange.close().unwrap();
    // Zeros to the end are how any log ends: nothing but the mark could tell.
    let log = OpenOptions::new().write(true).open(log_path(directory.path())).unwrap();
    let last = LogOptions::bytes_for(5) as u64;
    log.write_all_at(&[0; RECORD_BYTES], last).unwrap();
    let refused = Exchange::open(config.clone()).err().expect("a record is missing");
    assert!(matches!(&refused, LaunchFault::Journal(fault) if fault.is_damage()), "{refused}");
    let words = refused.to_string();
    assert!(
        words.contains("clean-stop") && words.contains("last record 6") && words.contains("ends with record 5"),
        "{words}"
    );
    // Refused again, and taken by whoever deletes the mark.
    assert!(Exchange::open(config.clone()).is_err());
    std::fs::remove_file(directory.path().join("clean-stop")).unwrap();
    assert_eq!(Exchange::open(config).unwrap().close().unwrap().number, closing.number - 1);
}

#[test]
fn verify_says_how_the_last_run_ended_and_a_mark_that_is_damaged_or_does_not_fit_is_damage() {
    let Some(site) = Site::new("process-crash", &[]) else { return };
    let verify = |words: &[&str]| {
        let output = site.output(&[&["verify"][..], words].concat());
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let venue = site.start();
    trade(&mut login_at(&venue.endpoints, "USER01", true), 3);
    venue.kill();
    let (code, said) = verify(&[]);
    assert!(code == Some(0) && said.contains("last stop  not in order, or none: there is no mark of one"), "{said}");
    let venue = site.start();
    assert_eq!(venue.stop(), 0);
    let (code, said) = verify(&[]);
    assert!(code == Some(0) && said.contains("last stop  in order, after record 4: its mark fits"), "{said}");
    let mark = site.segments().join("clean-stop");
    let whole = std::fs::read_to_string(&mark).unwrap();
    std::fs::write(&mark, whole.replace("last record 4", "last record 5")).unwrap();
    let (code, said) = verify(&[]);
    assert!(code == Some(4) && said.contains("clean-stop: it is damaged: its lines come to checksum "), "{said}");
    // One that is sound and says more than there is: the journal lost its end.
    let next = pitlane::wire::record::Link { number: 9, chain: 1 };
    let group = u64::from_str_radix(whole.lines().nth(1).unwrap().strip_prefix("group ").unwrap(), 16).unwrap();
    pitlane::journal::clean::write(&site.segments(), group, next, &mut pitlane::journal::SystemDisk::plain()).unwrap();
    for (code, said) in [verify(&[]), {
        let run = site.output(&["run"]);
        (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
    }] {
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("in order with last record 8") && said.contains("ends with record 4"), "{said}");
    }
    std::fs::remove_file(&mark).unwrap();
    assert_eq!(verify(&[]).0, Some(0));
}

/// An order of `session` that waits in the book.
fn rest(session: &mut OrderSession) -> UserRef {
    let order = session.enter(&limit(SideCode::Sell, 10, 5_855_000)).unwrap();
    accepted(session, order);
    order
}

#[test]
fn orders_of_a_session_that_stays_away_after_a_crash_go_by_a_record_and_it_is_told_later() {
    let Some(site) = Site::new("power-loss", &[("grace_ms = 30_000", "grace_ms = 300")]) else { return };
    let venue = site.start();
    // USER01 keeps its orders when its connection goes, the others do not.
    let mut sessions = ["USER01", "USER02", "USER03"].map(|user| login_at(&venue.endpoints, user, false));
    let orders: Vec<_> = sessions.iter_mut().map(rest).collect();
    venue.kill();
    let venue = site.start();
    wait_until("those who stay away are given up", || counter(&venue.endpoints, "gateway.absent") == 2);
    let (mut first, mut second) =
        (login_at(&venue.endpoints, "USER01", true), login_at(&venue.endpoints, "USER02", true));
    assert_eq!(canceled(&mut second, orders[1]), (10, b'Z'));
    // What is left of the book is the first one's.
    first.cancel(Channel::NONE, orders[0], Quantity(0)).unwrap();
    assert_eq!(canceled(&mut first, orders[0]), (10, b'U'));
    assert_eq!(venue.stop(), 0);
    // It was a record: replayed, it gives the same, and the next start gives up nobody.
    assert!(site.output(&["replay", "--verify"]).status.success());
    let venue = site.start();
    let mut third = login_at(&venue.endpoints, "USER03", false);
    assert_eq!(canceled(&mut third, orders[2]), (10, b'Z'));
    assert_eq!(counter(&venue.endpoints, "gateway.absent"), 0);
    assert_eq!(venue.stop(), 0);
}

#[test]
fn orders_of_a_session_that_comes_back_after_a_crash_in_time_stay() {
    let Some(site) = Site::new("power-loss", &[("grace_ms = 30_000", "grace_ms = 3_600_000")]) else { return };
    let venue = site.start();
    let mut session = login_at(&venue.endpoints, "USER02", false);
    let order = rest(&mut session);
    venue.kill();
    let venue = site.start();
    wait_until("its connection is gone", || session.poll().is_err());
    session.reconnect().unwrap();
    session.cancel(Channel::NONE, order, Quantity(0)).unwrap();
    assert_eq!(canceled(&mut session, order), (10, b'U'));
    assert_eq!(venue.stop(), 0);
}
