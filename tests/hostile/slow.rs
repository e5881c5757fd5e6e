//! Clients that send faster than they may, or do not read what they are sent.

use crate::rig::Venue;
use crate::support::{AAPL, limit, wait_until};
use pitlane::client::orders::{Incoming, NewOrder, OrderSession, Refusal};
use pitlane::types::{Price, Quantity, SideCode};
use pitlane::wire::ouch::Outbound;

/// Orders of a burst.
const BURST: u32 = 120;
/// Bound of a flood: some megabytes of answers, far above what the system takes in between.
const FLOOD_MAX: u32 = 100_000;

#[test]
fn a_burst_above_the_rate_is_read_more_slowly_and_answered_whole_and_in_order() {
    // A tenth of it at once, the rest as time goes by.
    let mut venue = Venue::open(|config| config.gateway.throttle_per_second = 400);
    for (user, shared) in [("USER02", false), ("USER03", true)] {
        let before = venue.counter("gateway.throttled");
        let mut session = venue.login(user, shared);
        for _ in 0..BURST {
            session.enter(&limit(SideCode::Buy, 10, 5_800_000)).unwrap();
        }
        venue.bystander.trade();
        let mut answered = Vec::new();
        wait_until("every order is answered", || {
            while let Some(incoming) = session.poll().unwrap() {
                if let Incoming::Message { message: Outbound::Accepted(accepted), .. } = incoming {
                    answered.push(accepted.user_ref.0);
                }
            }
            answered.len() == BURST as usize
        });
        assert_eq!(answered, (1..=BURST).collect::<Vec<_>>());
        assert!(venue.counter("gateway.throttled") > before, "it was above its rate");
    }
    venue.close();
}

#[test]
fn what_a_ring_client_sent_above_its_rate_is_taken_although_it_left() {
    let mut venue = Venue::open(|config| config.gateway.throttle_per_second = 400);
    let mut session = venue.login("USER02", true);
    for _ in 0..BURST {
        session.enter(&limit(SideCode::Buy, 10, 5_800_000)).unwrap();
    }
    drop(session);
    venue.counts("gateway.closed.gone", 1);
    venue.counts("gateway.messages_in", 2 + u64::from(BURST));
    venue.bystander.trade();
    // Each was taken in its turn, and then they were lost with the connection, as this login wants.
    let mut back = venue.login("USER02", true);
    let (mut accepted, mut lost) = (0, 0);
    wait_until("the orders' ends are told", || {
        while let Some(incoming) = back.poll().unwrap() {
            let Incoming::Message { message, .. } = incoming else { continue };
            accepted += u32::from(matches!(message, Outbound::Accepted(_)));
            lost += u32::from(matches!(message, Outbound::Canceled(c) if c.reason == b'Z'));
        }
        lost == BURST
    });
    assert_eq!(accepted, BURST);
    venue.close();
}

/// An order that is answered twice, accepted and cancelled, and leaves nothing behind.
fn in_vain() -> NewOrder {
    NewOrder::limit(SideCode::Buy, Quantity(1), AAPL, Price(5_600_000)).immediate()
}

/// Sends and never reads, until the venue has had enough of it. Gives the orders that went out.
fn flood(venue: &mut Venue, shared: bool) -> u32 {
    let mut options = venue.options("USER02", shared);
    options.unanswered_max = 0;
    let mut session = OrderSession::connect(options).unwrap();
    let mut sent = 0;
    while venue.counter("gateway.closed.lagging") == 0 {
        for _ in 0..200 {
            match session.enter(&in_vain()) {
                Ok(_) => sent += 1,
                Err(Refusal::Full | Refusal::NotConnected) => break,
                Err(other) => panic!("{other}"),
            }
        }
        venue.bystander.trade();
        assert!(sent < FLOOD_MAX, "the lag is never seen");
    }
    sent
}

/// What came of the flood is all there for it: each order that was taken, in order, accepted and cancelled.
fn reads_its_stream(venue: &Venue, shared: bool, sent: u32) {
    let mut session = venue.login("USER02", shared);
    session.query(pitlane::types::Channel::NONE).unwrap();
    let mut last = 0;
    let mut canceled = 0;
    wait_until("the stream is read", || {
        while let Some(incoming) = session.poll().unwrap() {
            match incoming {
                Incoming::Message { message: Outbound::Accepted(accepted), .. } => {
                    assert_eq!(accepted.user_ref.0, last + 1, "no answer is missing");
                    last += 1;
                }
                Incoming::Message { message: Outbound::Canceled(c), .. } => {
                    assert_eq!((c.user_ref.0, c.reason), (last, b'I'));
                    canceled += 1;
                }
                Incoming::Message { message: Outbound::AccountQueryResponse(answer), .. } => {
                    assert_eq!(answer.next_user_ref.0, last + 1, "what was taken is what was answered");
                    return true;
                }
                _ => {}
            }
        }
        false
    });
    assert_eq!(canceled, last);
    assert!(last <= sent);
}

#[test]
fn a_tcp_client_that_never_reads_is_dropped_alone_and_finds_its_answers_later() {
    let mut venue = Venue::open(|config| {
        config.gateway.lag_bytes_max = 64 << 10;
        config.gateway.stream_bytes = 16 << 20;
        config.journal.log_bytes = 32 << 20;
        config.feed.store_bytes = 16 << 20;
    });
    let sent = flood(&mut venue, false);
    assert_eq!(venue.counter("gateway.closed.lagging"), 1);
    reads_its_stream(&venue, false, sent);
    venue.close();
}

#[test]
fn a_ring_client_that_never_reads_is_dropped_alone_and_finds_its_answers_later() {
    let mut venue = Venue::open(|config| {
        config.gateway.lag_bytes_max = 64 << 10;
        config.gateway.ring_bytes = 16 << 10;
    });
    let sent = flood(&mut venue, true);
    assert_eq!(venue.counter("gateway.closed.lagging"), 1);
    reads_its_stream(&venue, true, sent);
    venue.close();
}
