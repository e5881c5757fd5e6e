//! Logins that are wrong, late, too many or replaced, and logged-in clients that fall silent.

use crate::rig::{Raw, Venue, fault, login_bytes, message, packet};
use crate::support::{PATIENCE, accepted, canceled, limit};
use pitlane::client::orders::{Fault, OrderSession};
use pitlane::types::{Channel, Quantity, SideCode, UserRef};
use pitlane::wire::soup::{LoginReject, SessionName};
use std::io::Read;
use std::os::unix::net::UnixStream;

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_refusal_over_both_transports() {
    let mut venue = Venue::open(|_| {});
    for (user, shared) in [("USER02", false), ("USER03", true)] {
        let mut wrong = venue.options(user, shared);
        wrong.password = "WRONG".into();
        let mut unknown = venue.options("NOBODY", shared);
        unknown.password = "SECRET".into();
        for options in [wrong, unknown] {
            let refused = OrderSession::connect(options).err();
            assert_eq!(refused, Some(Fault::Rejected(LoginReject::NotAuthorized)));
        }
        venue.bystander.trade();
        // The wrong ones hold nobody else up.
        let mut right = venue.login(user, shared);
        let order = right.enter(&limit(SideCode::Buy, 10, 5_855_000)).unwrap();
        accepted(&mut right, order);
    }
    venue.counts("gateway.logins_refused", 4);
    venue.counts("gateway.closed.login_refused", 4);
    venue.close();
}

#[test]
fn another_session_or_a_place_beyond_the_stream_is_not_available() {
    let venue = Venue::open(|_| {});
    for shared in [false, true] {
        let mut other_day = venue.options("USER02", shared);
        other_day.session = SessionName::from_text("OTHERDAY").unwrap();
        let mut beyond = venue.options("USER02", shared);
        beyond.sequence = u64::MAX;
        for options in [other_day, beyond] {
            let refused = OrderSession::connect(options).err();
            assert_eq!(refused, Some(Fault::Rejected(LoginReject::SessionNotAvailable)));
        }
    }
    venue.counts("gateway.closed.login_refused", 4);
    venue.close();
}

#[test]
fn the_newer_login_of_a_user_takes_over_across_transports_and_its_orders_stay() {
    let mut venue = Venue::open(|_| {});
    // This login wants its orders cancelled when it is lost; being replaced is not being lost.
    let mut session = venue.login("USER02", false);
    let order = session.enter(&limit(SideCode::Sell, 100, 5_855_000)).unwrap();
    accepted(&mut session, order);
    for (round, shared) in [true, false, false, true, true].into_iter().enumerate() {
        let newer = venue.login("USER02", shared);
        assert!(matches!(fault(&mut session), Fault::Closed | Fault::System(_)));
        venue.counts("gateway.closed.superseded", round as u64 + 1);
        session = newer;
        venue.bystander.trade();
    }
    session.cancel(Channel::NONE, order, Quantity(0)).unwrap();
    assert_eq!(canceled(&mut session, order), (100, b'U'), "it was live until its owner cancelled it");
    venue.close();
}

#[test]
fn a_client_that_falls_silent_is_dropped_and_its_orders_with_it() {
    let venue = Venue::open(|_| {});
    let mut silent = Raw::log_in(venue.orders(), "USER02", Some(60));
    silent.send(&packet(&message(&limit(SideCode::Sell, 100, 5_855_000), 1)));
    assert_eq!(silent.until_closed(), "SS", "the day's start, the acceptance, and no more");
    venue.counts("gateway.closed.silent", 1);
    let mut back = venue.login("USER02", true);
    assert_eq!(canceled(&mut back, UserRef(1)), (100, b'Z'));
    venue.close();
}

#[test]
fn a_connection_that_never_logs_in_is_closed_on_either_transport() {
    // Long enough for the bystander on a busy host, short enough to wait for.
    let venue = Venue::open(|config| config.gateway.login_ms_max = 3_000);
    let mut tcp = Raw::connect(venue.orders());
    // Half a login is none.
    tcp.send(&login_bytes("USER02", None)[..20]);
    let mut local = UnixStream::connect(venue.exchange.endpoints().shared.as_ref().unwrap()).unwrap();
    local.set_read_timeout(Some(PATIENCE / 3)).unwrap();
    assert_eq!(tcp.until_closed(), "");
    // Kept waiting as long as the other and no longer: the same knob holds for both.
    assert_eq!(local.read(&mut [0; 1]).unwrap(), 0);
    venue.counts("gateway.closed.login_late", 2);
    venue.close();
}

#[test]
fn connections_beyond_the_places_are_closed_at_once_and_a_place_comes_free() {
    let mut venue = Venue::open(|config| {
        config.gateway.connections_max = 3;
        // On a busy machine the idle ones below would be late before the third comes.
        config.gateway.login_ms_max = 99_999;
    });
    // One place of each transport is the bystander's.
    let idle = [Raw::connect(venue.orders()), Raw::connect(venue.orders())];
    venue.counts("gateway.connections", 3);
    assert_eq!(Raw::connect(venue.orders()).until_closed(), "");
    venue.counts("gateway.connections_refused", 1);
    let path = venue.exchange.endpoints().shared.clone().unwrap();
    let local = [UnixStream::connect(&path).unwrap(), UnixStream::connect(&path).unwrap()];
    venue.counts("gateway.shared.connections", 3);
    let mut third = UnixStream::connect(&path).unwrap();
    assert_eq!(third.read(&mut [0; 1]).unwrap(), 0);
    venue.counts("gateway.shared.places_full", 1);
    venue.bystander.trade();
    drop((idle, local));
    venue.counts("gateway.closed.gone", 4);
    drop([venue.login("USER02", false), venue.login("USER03", true)]);
    venue.close();
}
