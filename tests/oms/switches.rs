//! Switches: kill, halt, the session's own, limits; and where records go.

use crate::desk::*;
use pitlane::engine::oms::Route;
use pitlane::types::{
    AccountId, Channel, Command, CommandKind, Firm, Limit, MatcherId, Money, Reject, Scope, TickerId, UserRef,
};

fn kill(kind: CommandKind, scope: Scope) -> Command {
    Command { scope, account: AccountId(0), firm: Firm(*b"AAAA"), ..Command::new(kind) }
}

/// Whom the switch covers, by asking each of them for an order.
fn refused(desk: &mut Desk) -> [bool; 3] {
    [ADA, BOB, CYD].map(|session| {
        let user_ref = desk.oms.next_user_ref(session, Channel::NONE).0;
        match desk.ask(buy(session, user_ref, 10, 10_000)) {
            Reject::None => false,
            Reject::KillSwitch => true,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn a_kill_switch_covers_its_account_its_firm_or_everybody() {
    for (scope, covered) in
        [(Scope::Account, [true, false, false]), (Scope::Firm, [true, false, true]), (Scope::All, [true; 3])]
    {
        let mut desk = Desk::new(&market());
        desk.ask(kill(CommandKind::KillOn, scope));
        assert_eq!(refused(&mut desk), covered, "{scope:?}");
        assert_eq!(desk.oms.account(AccountId(0)).killed, covered[0]);
    }
}

#[test]
fn a_kill_switch_stays_on_until_its_own_scope_is_switched_off() {
    let mut desk = Desk::new(&market());
    for scope in [Scope::Account, Scope::All, Scope::All] {
        desk.ask(kill(CommandKind::KillOn, scope));
    }
    desk.ask(kill(CommandKind::KillOff, Scope::Firm));
    assert_eq!(refused(&mut desk), [true; 3], "that one was not on");
    desk.ask(kill(CommandKind::KillOff, Scope::All));
    assert_eq!(refused(&mut desk), [true, false, false], "the account's is another switch");
    desk.ask(kill(CommandKind::KillOff, Scope::Account));
    assert_eq!(refused(&mut desk), [false; 3]);
}

#[test]
fn a_kill_cancels_and_every_reservation_returns() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.ask(Command { ticker: BETA, ..sell(ADA2, 1, 100, REFERENCE) });
    desk.ask(buy(BOB, 1, 100, REFERENCE));
    desk.send(replace(ADA, 1, 2, 200, REFERENCE));
    desk.ask(kill(CommandKind::KillOn, Scope::Account));
    let ada = desk.oms.account(AccountId(0));
    assert_eq!((ada.open_orders, ada.reserved, ada.gross_exposure), (0, Money::ZERO, Money::ZERO));
    assert_eq!(desk.oms.account(AccountId(1)).open_orders, 1);
}

#[test]
fn a_kill_of_nobody_is_refused() {
    let mut desk = Desk::new(&market());
    assert_eq!(desk.ask(kill(CommandKind::KillOn, Scope::None)), Reject::Other);
    let stranger = Command { firm: Firm(*b"ZZZZ"), ..kill(CommandKind::KillOn, Scope::Firm) };
    assert_eq!(desk.ask(stranger), Reject::Other);
    assert_eq!(refused(&mut desk), [false; 3]);
}

#[test]
fn a_halt_stops_orders_of_its_ticker_and_lets_cancels_pass() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 10, REFERENCE));
    desk.ask(Command { ticker: ALFA, ..Command::new(CommandKind::Halt) });
    assert_eq!(desk.ask(buy(ADA, 2, 10, REFERENCE)), Reject::Halted);
    assert_eq!(desk.ask(Command { ticker: BETA, ..buy(ADA, 3, 10, REFERENCE) }), Reject::None);
    assert_eq!(desk.ask(cancel(ADA, 1, 0)), Reject::None);
    desk.ask(Command::new(CommandKind::Resume));
    assert_eq!(desk.ask(buy(ADA, 4, 10, REFERENCE)), Reject::None);
    let nowhere = Command { ticker: TickerId::UNKNOWN, ..Command::new(CommandKind::Halt) };
    assert_eq!(desk.ask(nowhere), Reject::InvalidSymbol);
}

#[test]
fn after_the_day_nothing_enters() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 10, REFERENCE));
    desk.ask(Command::new(CommandKind::DayEnd));
    assert_eq!(desk.ask(buy(ADA, 2, 10, REFERENCE)), Reject::Halted);
    assert_eq!(desk.oms.orders().count(), 0);
}

#[test]
fn a_session_switches_its_own_entry_off_and_on() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 10, REFERENCE));
    assert_eq!(desk.ask(request(CommandKind::DisableEntry, ADA, 2, "BBBB")), Reject::FirmNotAuthorized);
    assert_eq!(desk.ask(request(CommandKind::DisableEntry, ADA, 3, "AAAA")), Reject::None);
    assert_eq!(desk.ask(buy(ADA, 4, 10, REFERENCE)), Reject::SessionDisabled);
    assert_eq!(desk.ask(buy(ADA2, 1, 10, REFERENCE)), Reject::None, "the account's other session goes on");
    assert_eq!(desk.ask(cancel(ADA, 1, 0)), Reject::None);
    assert_eq!(desk.ask(request(CommandKind::EnableEntry, ADA, 5, "AAAA")), Reject::None);
    assert_eq!(desk.ask(buy(ADA, 6, 10, REFERENCE)), Reject::None);
}

#[test]
fn a_mass_cancel_needs_the_sessions_firm_and_a_listed_ticker() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 10, REFERENCE));
    desk.ask(Command { ticker: BETA, ..buy(ADA, 2, 10, REFERENCE) });
    let mass = |user_ref, firm, ticker| Command { ticker, ..request(CommandKind::MassCancel, ADA, user_ref, firm) };
    assert_eq!(desk.ask(mass(3, "    ", ALFA)), Reject::FirmNotAuthorized);
    assert_eq!(desk.ask(mass(4, "AAAA", TickerId::UNKNOWN)), Reject::InvalidSymbol);
    assert_eq!(desk.ask(mass(5, "AAAA", ALFA)), Reject::None);
    assert!(desk.oms.order(ADA, Channel::NONE, UserRef(1)).is_none());
    assert!(desk.oms.order(ADA, Channel::NONE, UserRef(2)).is_some());
}

#[test]
fn limits_change_by_records_and_a_lowered_one_only_stops_growth() {
    let mut desk = Desk::new(&market());
    desk.ask(buy(ADA, 1, 100, REFERENCE));
    desk.ask(buy(ADA, 2, 100, REFERENCE));
    for (limit, value) in [(Limit::OpenOrders, 1), (Limit::Position, 50), (Limit::GrossExposure, 5), (Limit::Credit, 5)]
    {
        assert_eq!(desk.ask(set_limit(0, limit, value)), Reject::None);
        assert_eq!(desk.oms.limits_hold(), Ok(()), "what stood before may stand");
    }
    assert_eq!(desk.ask(buy(ADA, 3, 10, REFERENCE)), Reject::OpenOrders);
    assert_eq!(desk.oms.account(AccountId(0)).limits.open_orders_max, 1);
    assert_eq!(desk.ask(set_limit(0, Limit::None, 1)), Reject::Other);
    assert_eq!(desk.ask(set_limit(9, Limit::Enabled, 1)), Reject::Other);
}

#[test]
fn records_go_to_the_matcher_of_their_ticker_or_to_all() {
    let mut desk = Desk::new(&market());
    let beta = |command: Command| Command { ticker: BETA, ..command };
    let ticker = |kind, ticker| Command { ticker, ..Command::new(kind) };
    let (first, second) = (Route::One(MatcherId(0)), Route::One(MatcherId(1)));
    for (command, route) in [
        (buy(ADA, 1, 10, REFERENCE), first),
        (beta(buy(ADA, 2, 10, REFERENCE)), second),
        (cancel(ADA, 2, 0), second),
        (buy(ADA, 3, 15, REFERENCE), Route::None),
        (request(CommandKind::MassCancel, ADA, 4, "AAAA"), Route::All),
        (beta(request(CommandKind::MassCancel, ADA, 5, "AAAA")), second),
        (request(CommandKind::DisableEntry, ADA, 6, "AAAA"), Route::None),
        (request(CommandKind::EnableEntry, ADA, 7, "AAAA"), Route::None),
        (request(CommandKind::AccountQuery, ADA, 0, "AAAA"), Route::None),
        (Command { session: ADA, ..Command::new(CommandKind::SessionLost) }, Route::All),
        (ticker(CommandKind::Halt, ALFA), first),
        (ticker(CommandKind::Resume, TickerId::ALL), Route::All),
        (kill(CommandKind::KillOn, Scope::Account), Route::All),
        (kill(CommandKind::KillOn, Scope::None), Route::None),
        (Command::new(CommandKind::StateDigest), Route::All),
        (set_limit(0, Limit::Enabled, 1), Route::None),
        (Command::new(CommandKind::DayStart), Route::All),
        (Command::new(CommandKind::DayEnd), Route::All),
    ] {
        desk.send(command);
        assert_eq!(desk.oms.route(desk.journal.last().expect("a record")), route, "{command:?}");
    }
}
