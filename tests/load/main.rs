//! The player against a small venue on loopback: every step and every answer is accounted for.

mod venue;

use pitlane::client::orders::{Address, NewOrder, OrderOptions, OrderSession};
use pitlane::measure::flow::generator::{Generator, GeneratorOptions, GeneratorTicker};
use pitlane::measure::flow::{FlowAction, FlowStep, Pace, Paced};
use pitlane::measure::load::{LoadReport, Plan, Player, PlayerOptions, Progress, Transport};
use pitlane::types::{AuctionSpec, Fees, MatcherId, Price, Quantity, Side, SideCode, Symbol, TickerId, TickerSpec};
use venue::{Manners, QUANTITY_MAX, QUANTITY_REJECT, Venue};

/// Far above anything loopback needs, even on a busy machine.
const LIMIT_NS: u64 = 30_000_000_000;

fn symbols() -> Vec<Symbol> {
    ["AAA", "BBB"].map(|name| Symbol::from_text(name).unwrap()).to_vec()
}

fn player(venue: &Venue, sessions: usize, options: PlayerOptions) -> Player {
    let connect = |index: usize| {
        let options = OrderOptions::new(Address::Tcp(venue.address), &format!("S{index}"), "secret");
        (OrderSession::connect(options).unwrap(), Transport::Tcp)
    };
    let mut player = Player::new((0..sessions).map(connect).collect(), symbols(), options);
    player.synchronize(LIMIT_NS).unwrap();
    player
}

fn small(in_flight_max: usize) -> PlayerOptions {
    PlayerOptions { orders_max: 1_000, in_flight_max, samples_max: 0, pairs_max: 0, followed_max: 0 }
}

fn step(session: u16, action: FlowAction) -> FlowStep {
    FlowStep { at_ns: 0, ticker: TickerId(0), session, action }
}

fn plan(plan: Plan) -> Plan {
    Plan { drain_ns: LIMIT_NS, ..plan }
}

fn generator(seed: u64) -> Generator {
    let ticker = |id: u16| {
        let spec = TickerSpec {
            symbol: symbols()[usize::from(id)],
            tick: Price(100),
            lot: Quantity(1),
            price_min: Price(100),
            price_max: Price(10_000_000),
            reference: Price(1_000_000),
            matcher: MatcherId(0),
            fees: Fees::default(),
            auction: AuctionSpec::default(),
        };
        GeneratorTicker::new(TickerId(id), &spec).unwrap()
    };
    let mut options = GeneratorOptions::new(seed, vec![ticker(0), ticker(1)]);
    (options.makers, options.takers) = (2, 1);
    (options.reduced_per_mille, options.replaced_per_mille) = (150, 300);
    Generator::new(options)
}

fn assert_accounted(report: &LoadReport, steps: u64) {
    let total = report.total();
    assert_eq!(total.sent(), total.answered() + total.overtaken + total.lost, "{report}");
    assert_eq!(total.sent() + total.steps_gone + total.steps_no_room + total.steps_disconnected, steps, "{report}");
    assert_eq!(report.measured.iter().map(|m| m.intended.count()).sum::<u64>(), total.answered(), "{report}");
}

#[test]
fn a_flood_through_a_small_window_is_accounted_for() {
    let venue = Venue::start(Manners::default());
    let mut player = player(&venue, 3, small(4));
    let report = player.play(generator(1).take(6_000), plan(Plan::FLOOD), None);
    assert_accounted(&report, 6_000);
    let total = report.total();
    assert_eq!((total.lost, total.foreign, total.rejects.total(), total.cancels_unasked), (0, 0, 0, 0), "{report}");
    assert!(total.fills > 600 && total.answers_replaced > 150 && total.stalls_window > 0, "{report}");
    assert_eq!(player.orders(), venue.stop(), "both sides agree on what lives");
}

#[test]
fn a_schedule_is_played_in_full_and_a_second_run_knows_the_first() {
    let venue = Venue::start(Manners::default());
    let mut player = player(&venue, 3, PlayerOptions::default());
    let mut flow = generator(2);
    let paced = |flow: std::iter::Take<&mut Generator>| {
        Paced::new(flow.collect::<Vec<_>>().into_iter(), Pace::Even { per_second: 200_000 })
    };
    let first = player.play(paced(flow.by_ref().take(5_000)), plan(Plan::SCHEDULED), None);
    let second = player.play(paced(flow.by_ref().take(5_000)), plan(Plan::SCHEDULED), None);
    for report in [&first, &second] {
        assert_accounted(report, 5_000);
        let total = report.total();
        assert_eq!((total.lost, total.foreign, total.steps_no_room), (0, 0, 0), "{report}");
        let measured = &report.measured[0];
        assert_eq!(measured.service.count(), measured.slip.count());
        assert!(measured.intended.percentiles().max >= measured.service.percentiles().max, "{report}");
        assert!(report.to_string().contains("tcp, intended"), "{report}");
    }
    assert_eq!(player.orders(), venue.stop());
}

#[test]
fn steps_after_the_end_of_the_plan_are_not_played() {
    let venue = Venue::start(Manners::default());
    let mut player = player(&venue, 1, small(8));
    let rest = |key, at_ns| FlowStep { at_ns, ..step(0, FlowAction::rest(key, Side::Buy, Quantity(1), Price(1_000))) };
    let flow = [rest(1, 0), rest(2, 1_000), rest(3, 2_000), rest(4, 2_001)];
    let bounded = Plan { unmeasured_ns: 1_000, duration_ns: 2_000, ..plan(Plan::SCHEDULED) };
    let report = player.play(flow.into_iter(), bounded, None);
    assert_eq!((report.total().entered, report.measured[0].intended.count()), (3, 2), "{report}");
    venue.stop();
}

#[test]
fn a_cancel_that_comes_too_late_is_overtaken_and_not_lost() {
    let venue = Venue::start(Manners::default());
    let mut player = player(&venue, 2, small(64));
    let mut flow = Vec::new();
    for key in 0..200 {
        flow.push(step(0, FlowAction::rest(2 * key, Side::Sell, Quantity(10), Price(1_000))));
        flow.push(step(1, FlowAction::take(2 * key + 1, Side::Buy, Quantity(10), Price(1_000))));
        flow.push(step(0, FlowAction::Cancel { key: 2 * key }));
    }
    let report = player.play(flow.into_iter(), plan(Plan::SCHEDULED), None);
    assert_accounted(&report, 600);
    let total = report.total();
    assert_eq!((total.lost, total.foreign, player.orders()), (0, 0, 0), "{report}");
    // Whoever was first at each order, each cancel is answered, overtaken, or not even sent.
    assert_eq!(total.answers_canceled + total.overtaken + total.steps_gone, 200, "{report}");
    venue.stop();
}

#[test]
fn a_window_of_requests_without_answers_opens_again() {
    let venue = Venue::start(Manners { cancels_swallowed: true, ..Manners::default() });
    let mut player = player(&venue, 1, small(2));
    let mut flow = vec![step(0, FlowAction::rest(1, Side::Buy, Quantity(10), Price(1_000)))];
    flow.extend((0..3).map(|_| step(0, FlowAction::Reduce { key: 1, by: Quantity(1) })));
    flow.push(step(0, FlowAction::rest(2, Side::Buy, Quantity(10), Price(1_000))));
    let report = player.play(flow.into_iter(), plan(Plan::FLOOD), None);
    assert_accounted(&report, 5);
    let total = report.total();
    assert_eq!((total.overtaken, total.answers_accepted, total.lost), (3, 2, 0), "{report}");
    venue.stop();
}

#[test]
fn steps_in_turn_keep_their_order_across_sessions() {
    let venue = Venue::start(Manners::default());
    let mut player = player(&venue, 2, small(64));
    let mut flow = Vec::new();
    for key in 0..300 {
        flow.push(step(0, FlowAction::rest(2 * key, Side::Sell, Quantity(10), Price(1_000))));
        flow.push(step(1, FlowAction::take(2 * key + 1, Side::Buy, Quantity(10), Price(1_000))));
    }
    let report = player.play(flow.into_iter(), plan(Plan::IN_TURN), None);
    assert_accounted(&report, 600);
    let total = report.total();
    assert_eq!((total.fills, total.remainders, player.orders()), (600, 0, 0), "each finds the one before it: {report}");
    venue.stop();
}

#[test]
fn rejects_are_counted_by_their_code() {
    let venue = Venue::start(Manners::default());
    let mut player = player(&venue, 1, small(8));
    let too_much = Quantity(QUANTITY_MAX + 1);
    let flow = [
        step(0, FlowAction::rest(1, Side::Buy, too_much, Price(1_000))),
        step(0, FlowAction::rest(2, Side::Buy, Quantity(5), Price(1_000))),
        // Terms that do not hold cancel the order: an answer too.
        step(0, FlowAction::Replace { key: 2, new_key: 3, quantity: too_much, price: Price(900) }),
    ];
    let report = player.play(flow.into_iter(), plan(Plan::SCHEDULED), None);
    assert_accounted(&report, 3);
    let total = report.total();
    let rejects: Vec<_> = total.rejects.by_code().collect();
    assert_eq!(rejects, [(QUANTITY_REJECT, "invalid quantity", 1)]);
    assert_eq!((total.answers_canceled, total.lost, player.orders()), (1, 0, 0), "{report}");
    assert_eq!(report.json()["total"]["rejects"]["0x0013 invalid quantity"], 1);
    venue.stop();
}

#[test]
fn what_cannot_be_sent_is_counted() {
    let venue = Venue::start(Manners::default());
    let mut player = player(
        &venue,
        1,
        PlayerOptions { orders_max: 1, in_flight_max: 8, samples_max: 0, pairs_max: 0, followed_max: 0 },
    );
    let flow = [
        step(0, FlowAction::Cancel { key: 9 }),
        step(0, FlowAction::rest(1, Side::Buy, Quantity(5), Price(1_000))),
        step(0, FlowAction::rest(2, Side::Buy, Quantity(5), Price(1_000))),
    ];
    let report = player.play(flow.into_iter(), plan(Plan::SCHEDULED), None);
    assert_accounted(&report, 3);
    assert_eq!((report.total().steps_gone, report.total().steps_no_room), (1, 1), "{report}");
    venue.stop();
}

#[test]
fn a_lost_connection_ends_the_run_with_its_reason() {
    // The first request is the question of `synchronize`.
    let venue = Venue::start(Manners { hangs_up_after: Some(11), ..Manners::default() });
    let mut player = player(&venue, 1, small(4));
    let rest = |key| step(0, FlowAction::rest(key, Side::Buy, Quantity(1), Price(1_000)));
    let report = player.play((0..100).map(rest), plan(Plan::FLOOD), None);
    let total = report.total();
    assert_eq!(total.sent(), total.answered() + total.lost, "{report}");
    assert!(total.fault.is_some() && total.answered() <= 10 && total.lost > 0, "{report}");
    assert!(report.to_string().contains("session 0 lost its connection"), "{report}");
    venue.stop();
}

#[test]
fn round_trips_are_made_one_at_a_time() {
    let venue = Venue::start(Manners::default());
    let mut player = player(&venue, 1, small(4));
    let order = NewOrder::limit(SideCode::Buy, Quantity(10), symbols()[0], Price(1_000));
    let report = player.ping(0, &order, 5, 50).unwrap();
    assert_eq!((report.enter.count(), report.cancel.count(), report.all().count), (50, 50, 100));
    assert!(report.table().to_string().contains("tcp, cancel to canceled"));
    let too_much = NewOrder { quantity: Quantity(QUANTITY_MAX + 1), ..order };
    assert_eq!(player.ping(0, &too_much, 0, 1).unwrap_err().to_string(), "session 0: order rejected with code 0x0013");
    assert_eq!(player.ping(7, &order, 0, 1).unwrap_err().to_string(), "there is no session 7");
    venue.stop();
}

/// A closed loop would see one slow answer: it sends nothing while it waits. Each request that was due meanwhile counts.
#[test]
fn a_planted_stall_of_10_ms_is_seen_in_full_whatever_the_window() {
    const RATE: u64 = 20_000;
    const STALL_MS: u64 = 10;
    const REQUESTS: usize = 1_000;
    for window in [2, 1_024] {
        let stalls_at = Some((300, std::time::Duration::from_millis(STALL_MS)));
        let venue = Venue::start(Manners { stalls_at, ..Manners::default() });
        let mut player = player(&venue, 1, PlayerOptions { orders_max: 10_000, samples_max: 10_000, ..small(window) });
        let rest = |key| step(0, FlowAction::rest(key, Side::Buy, Quantity(1), Price(1_000)));
        let flow = Paced::new((0..REQUESTS as u64).map(rest), Pace::Even { per_second: RATE });
        let report = player.play(flow, plan(Plan::SCHEDULED), None);
        let measured = &report.measured[0];
        assert_eq!((measured.samples.kept().len(), measured.samples.beyond()), (REQUESTS, 0));
        // The answer to the request at the stall's beginning comes at its end; whoever was due in the first half of
        // it waits for half of it at least, whatever else delays the machine.
        let at_least = |ms: u64| measured.samples.kept().iter().filter(|s| s.intended_ns() >= ms * 1_000_000).count();
        let due_in_half = (RATE * STALL_MS / 2 / 1_000) as usize;
        assert!(at_least(STALL_MS) >= 1 && at_least(STALL_MS / 2) >= due_in_half, "{report}");
        assert!(measured.intended.percentiles().max >= STALL_MS * 1_000_000, "{report}");
        let lateness = report.total().lateness;
        assert_eq!(lateness.sends, REQUESTS as u64);
        if window == 2 {
            assert!(lateness.held as usize >= due_in_half, "the venue is to blame for what it held back: {report}");
        }
        venue.stop();
    }
}

#[test]
fn progress_is_told_while_steps_are_due() {
    let venue = Venue::start(Manners::default());
    let mut player = player(&venue, 1, small(4));
    let rest = |n: u64| FlowStep {
        at_ns: n * 10_000_000,
        ..step(0, FlowAction::rest(n, Side::Buy, Quantity(1), Price(1_000)))
    };
    let mut seen: Vec<Progress> = Vec::new();
    let mut note = |progress: &Progress| seen.push(*progress);
    player.play((0..150).map(rest), plan(Plan::SCHEDULED), Some(&mut note));
    assert!(!seen.is_empty() && seen.iter().all(|p| p.sent >= p.answered && p.sent <= 150), "{seen:?}");
    venue.stop();
}
