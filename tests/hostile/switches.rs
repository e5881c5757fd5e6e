//! What operators switch while clients trade: halts and kill switches, and that they hold across a restart.

use crate::rig::Venue;
use crate::support::{accepted, canceled, limit, rejected, until};
use pitlane::types::{Channel, Quantity, Reject, SideCode};
use pitlane::wire::ouch::Outbound;
use serde_json::json;

#[test]
fn a_halted_ticker_refuses_orders_lets_cancels_pass_and_stays_halted_across_a_restart() {
    let mut venue = Venue::open(|_| {});
    let order = limit(SideCode::Sell, 100, 5_855_000);
    let mut session = venue.login("USER02", false);
    let [first, second] = [(); 2].map(|()| session.enter(&order).unwrap());
    accepted(&mut session, second);
    assert_eq!(venue.operate(json!({"do": "halt", "ticker": "AAPL"}))["ok"], true);
    let refused = session.enter(&order).unwrap();
    assert_eq!(rejected(&mut session, refused), Reject::Halted.wire());
    session.cancel(Channel::NONE, first, Quantity(0)).unwrap();
    assert_eq!(canceled(&mut session, first), (100, b'U'));
    venue.bystander.trade();
    drop(session);
    let venue = venue.restart();
    let mut session = venue.login("USER02", true);
    assert_eq!(canceled(&mut session, second), (100, b'Z'), "lost with its connection, as this login wants");
    let refused = session.enter(&order).unwrap();
    assert_eq!(rejected(&mut session, refused), Reject::Halted.wire());
    assert_eq!(venue.operate(json!({"do": "resume", "ticker": "AAPL"}))["ok"], true);
    let taken = session.enter(&order).unwrap();
    accepted(&mut session, taken);
    venue.close();
}

#[test]
fn a_kill_switch_cancels_and_refuses_one_account_and_is_still_on_after_a_restart() {
    let mut venue = Venue::open(|_| {});
    let order = limit(SideCode::Sell, 100, 5_855_000);
    let mut killed = venue.login("USER02", true);
    let mut other = venue.login("USER03", false);
    let [open, open_too] = [&mut killed, &mut other].map(|session| {
        let open = session.enter(&order).unwrap();
        accepted(session, open);
        open
    });
    let account = |action: &str| json!({"do": action, "scope": "account", "name": "maker-two"});
    assert_eq!(venue.operate(account("kill"))["ok"], true);
    assert_eq!(canceled(&mut killed, open), (100, b'S'));
    let refused = killed.enter(&order).unwrap();
    assert_eq!(rejected(&mut killed, refused), Reject::KillSwitch.wire());
    other.cancel(Channel::NONE, open_too, Quantity(40)).unwrap();
    assert_eq!(canceled(&mut other, open_too), (60, b'U'), "nobody else's orders are touched");
    venue.bystander.trade();
    drop((killed, other));
    let venue = venue.restart();
    let mut killed = venue.login("USER02", false);
    // A program that starts in the middle of the day asks for its next number.
    killed.query(Channel::NONE).unwrap();
    until(&mut killed, "the next number", |m| matches!(m, Outbound::AccountQueryResponse(_)));
    let refused = killed.enter(&order).unwrap();
    assert_eq!(rejected(&mut killed, refused), Reject::KillSwitch.wire());
    assert_eq!(venue.operate(json!({"do": "portfolio", "account": "maker-two"}))["portfolio"]["killed"], true);
    assert_eq!(venue.operate(account("unkill"))["ok"], true);
    let taken = killed.enter(&order).unwrap();
    accepted(&mut killed, taken);
    venue.close();
}

#[test]
fn requests_that_no_operator_can_mean_are_answered_and_change_nothing() {
    let venue = Venue::open(|_| {});
    let before = venue.counter("sequencer.records");
    for request in [
        json!({"do": "halt", "ticker": "NOWHERE"}),
        json!({"do": "kill", "scope": "account", "name": "nobody"}),
        json!({"do": "kill", "scope": "all", "name": "maker-one"}),
        json!({"do": "set-limit", "account": "maker-one", "limit": "order-quantity", "value": "-1"}),
        json!({"do": "set-limit", "account": "maker-one", "limit": "credit", "value": "1.00001"}),
        json!({"do": "open-the-safe"}),
        json!(["halt"]),
    ] {
        let answer = venue.operate(request.clone());
        assert_eq!(answer["ok"], false, "{request}");
        assert!(answer["error"].is_string(), "{request}");
    }
    assert_eq!(venue.counter("sequencer.records"), before);
    venue.close();
}
