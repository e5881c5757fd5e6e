//! However late the events come, the state after the last one is the same; limits hold at every step on the way; and
//! nothing is lost or made.

use crate::desk::*;
use crate::shards::Shards;
use pitlane::engine::oms::Oms;
use pitlane::types::bytes::{Reader, Writer};
use pitlane::types::{
    AccountId, Channel, Command, CommandKind, Display, Event, Firm, Limit, Limits, Market, Money, Nanos, Outcome,
    Phase, Price, Quantity, Scope, SelfMatch, SelfMatchMode, Sequenced, SessionId, SideCode, TickerId, TimeInForce,
    UserRef,
};
use proptest::prelude::*;

/// One thing a client, an operator or the wires may do. Numbers are taken as far as they make sense.
#[derive(Clone, Copy, Debug)]
enum Step {
    Enter { session: u16, ticker: u16, side: bool, lots: u32, level: u32, kind: u8, skip: u32 },
    Replace { session: u16, back: u32, lots: u32, level: u32, kind: u8 },
    Cancel { session: u16, back: u32, lots: u32, modify: bool },
    Session { session: u16, what: u8 },
    Operator { what: u8, whom: u16, value: u64 },
    Pass { nanos: u64 },
    LetIn { count: usize },
    Tick,
    Phase { ticker: u16, phase: usize },
    Bust { ticker: u16, back: usize },
}

/// What the slow venue understands.
const PLAIN: u8 = 10;
/// What only the real matchers do.
const ALL_KINDS: u8 = 31;

fn step(kinds: u8) -> impl Strategy<Value = Step> {
    let session = 0u16..4;
    prop_oneof![
        8 => (session.clone(), 0u16..2, any::<bool>(), 0u32..8, 0u32..8, 0..kinds, 0u32..3).prop_map(
            |(session, ticker, side, lots, level, kind, skip)| Step::Enter {
                session, ticker, side, lots, level, kind, skip
            }
        ),
        6 => (session.clone(), 0u32..5, 0u32..10, 0u32..8, 0..kinds)
            .prop_map(|(session, back, lots, level, kind)| Step::Replace { session, back, lots, level, kind }),
        4 => (session.clone(), 0u32..5, 0u32..8, any::<bool>())
            .prop_map(|(session, back, lots, modify)| Step::Cancel { session, back, lots, modify }),
        1 => (session, 0u8..8).prop_map(|(session, what)| Step::Session { session, what }),
        1 => (0u8..16, 0u16..3, 0u64..60).prop_map(|(what, whom, value)| Step::Operator { what, whom, value }),
        2 => (0u64..400_000_000).prop_map(|nanos| Step::Pass { nanos }),
        6 => (0usize..12).prop_map(|count| Step::LetIn { count }),
        1 => Just(Step::Tick),
        1 => venue_step(kinds),
    ]
}

/// What the operator does to a ticker. The slow venue has no phases.
fn venue_step(kinds: u8) -> impl Strategy<Value = Step> {
    let phase = prop_oneof![Just(2usize), Just(2), Just(3), 0usize..7];
    (0u16..2, phase, 0usize..6, any::<bool>()).prop_map(move |(ticker, phase, back, bust)| match (kinds, bust) {
        (PLAIN, _) => Step::Tick,
        (_, true) => Step::Bust { ticker, back },
        (_, false) => Step::Phase { ticker, phase },
    })
}

/// Limits tight enough to be met, and few slots, so that both are used again and again.
fn tight() -> Market {
    let mut market = market();
    market.orders_max = 6;
    for account in &mut market.accounts {
        account.cash = Money(30 * i128::from(REFERENCE));
        account.limits = Limits {
            open_orders_max: 5,
            position_max: 200,
            gross_exposure_max: Money(500 * i128::from(REFERENCE)),
            messages_per_second_max: 30,
            price_collar: 300,
            credit: Money(200 * i128::from(REFERENCE)),
            ..account.limits
        };
    }
    market
}

/// The same with orders for crosses, a fee for them, and a band around the last trade.
fn with_auctions() -> Market {
    let mut market = tight();
    for ticker in &mut market.tickers {
        ticker.fees.cross = 4;
        (ticker.auction.cross_orders, ticker.auction.band_dynamic) = (true, 2);
    }
    market
}

fn price(level: u32) -> Price {
    Price(REFERENCE - 400 + level * 100)
}

fn flavoured(command: Command, kind: u8) -> Command {
    let rule = |mode| SelfMatch { mode, firm_wide: 0, detailed: 1, letter: b'D' };
    match kind {
        0 => Command { price: Price::MARKET, ..command },
        1 => Command { time_in_force: TimeInForce::ImmediateOrCancel, ..command },
        2 => Command {
            time_in_force: TimeInForce::ImmediateOrCancel,
            min_quantity: command.quantity,
            tags: 1 << 3,
            ..command
        },
        3 => Command { post_only: 1, ..command },
        4 => Command { self_match: rule(SelfMatchMode::Decrement), ..command },
        5 => Command { self_match: rule(SelfMatchMode::CancelOldest), ..command },
        6 => Command { self_match: rule(SelfMatchMode::CancelNewest), ..command },
        PLAIN.. => special(command, kind),
        _ => command,
    }
}

/// Orders that are not plain, some of them refused.
fn special(command: Command, kind: u8) -> Command {
    let tagged = |tag: u32, command: Command| Command { tags: command.tags | 1 << tag, ..command };
    let stop = |command: Command| Command { value: u64::from(2 * REFERENCE - command.price.0), ..tagged(31, command) };
    let floor = |floor, command: Command| Command { max_floor: Quantity(floor), ..tagged(5, command) };
    let least = Command { min_quantity: Quantity(20), display: Display::Hidden, ..tagged(3, command) };
    let peg = |price_type, peg_offset, command: Command| {
        let hidden = Command { price_type, peg_offset, display: Display::Hidden, ..command };
        tagged(6, tagged(7, hidden))
    };
    let timed = Command { time_in_force: TimeInForce::GoodTillTime, expire_seconds: 1, ..tagged(15, command) };
    match kind {
        10 | 11 => floor(10, command),
        12 => Command { random_reserve: 10, ..tagged(13, floor(20, command)) },
        13 => least,
        14 => timed,
        15 => Command { time_in_force: TimeInForce::GoodTillCancel, ..tagged(0, command) },
        16 | 17 => stop(command),
        18 => Command { price: Price::MARKET, ..stop(command) },
        19 => stop(floor(10, timed)),
        20 => Command { post_only: 2, ..tagged(8, tagged(12, command)) },
        22 => Command { cross: b'O', ..command },
        23 => Command { cross: b'O', tags: Command::IMBALANCE_ONLY, ..command },
        24 => Command { cross: b'C', ..command },
        25 => Command { cross: b'C', price: Price::MARKET, ..command },
        26 => peg(b'M', 0, Command { price: Price::MARKET, ..command }),
        27 => peg(b'R', 100, command),
        28 => peg(b'P', -100, timed),
        // Of an order that follows something, perhaps.
        29 => Command { display: Display::Hidden, ..command },
        // Of an order that has an end already.
        _ => Command { time_in_force: TimeInForce::GoodTillTime, ..command },
    }
}

fn perform<B: Books>(desk: &mut Desk<B>, step: Step) {
    let next = |desk: &Desk<B>, session| desk.oms.next_user_ref(SessionId(session), Channel::NONE).0;
    match step {
        Step::Enter { session, ticker, side, lots, level, kind, skip } => {
            let side = if side { SideCode::Buy } else { SideCode::Sell };
            let user_ref = next(desk, session) + skip;
            let order = enter(SessionId(session), user_ref, side, lots * 10, price(level).0);
            desk.send(flavoured(Command { ticker: TickerId(ticker), ..order }, kind));
        }
        Step::Replace { session, back, lots, level, kind } => {
            let user_ref = next(desk, session);
            let original = user_ref.saturating_sub(back + 1);
            let command = replace(SessionId(session), original, user_ref, lots * 10, price(level).0);
            desk.send(flavoured(command, kind));
        }
        Step::Cancel { session, back, lots, modify } => {
            let user_ref = next(desk, session).saturating_sub(back + 1);
            let mut command = cancel(SessionId(session), user_ref, lots * 10);
            if modify {
                (command.kind, command.side) = (CommandKind::Modify, SideCode::SellShort);
            }
            desk.send(command);
        }
        Step::Session { session, what } => {
            let firm = desk.market.firm_of(SessionId(session));
            let kind = match what {
                0 => CommandKind::SessionLost,
                1 => CommandKind::DisableEntry,
                2..4 => CommandKind::EnableEntry,
                4..6 => CommandKind::MassCancel,
                _ => CommandKind::AccountQuery,
            };
            let user_ref = UserRef(next(desk, session));
            desk.send(Command { session: SessionId(session), firm, user_ref, ..Command::new(kind) });
        }
        Step::Operator { what, whom, value } => operate(desk, what, whom, value),
        Step::Pass { nanos } => desk.now = Nanos(desk.now.0 + nanos),
        Step::LetIn { count } => desk.let_in(count),
        Step::Tick => drop(desk.send(Command::new(CommandKind::Tick))),
        Step::Phase { ticker, phase } => {
            let value = u64::from(Phase::ALL[phase].letter());
            let ticker = TickerId(ticker);
            desk.send(Command { ticker, value, ..Command::new(CommandKind::Phase) });
        }
        Step::Bust { ticker, back } => {
            let number = |event: &Event| match *event {
                Event::Filled { match_number, .. } | Event::Crossed { match_number, .. } => Some(match_number.0),
                _ => None,
            };
            let ticker = TickerId(ticker);
            let of_ticker = desk.outcomes.iter().flatten().filter(|outcome| outcome.ticker == ticker);
            let traded: Vec<_> = of_ticker.filter_map(|outcome| number(&outcome.event)).collect();
            if let Some(at) = traded.len().checked_sub(back + 1) {
                desk.send(Command { ticker, value: traded[at], ..Command::new(CommandKind::Bust) });
            }
        }
    }
}

fn operate<B: Books>(desk: &mut Desk<B>, what: u8, whom: u16, value: u64) {
    let scope = |kind, scope| Command { scope, account: AccountId(whom), firm: Firm(*b"AAAA"), ..Command::new(kind) };
    let money = value * 10 * u64::from(REFERENCE);
    desk.send(match what {
        0 => scope(CommandKind::KillOn, Scope::Account),
        1 => scope(CommandKind::KillOn, Scope::Firm),
        2 => scope(CommandKind::KillOn, Scope::All),
        3 | 4 => scope(CommandKind::KillOff, Scope::Account),
        5 | 6 => scope(CommandKind::KillOff, Scope::Firm),
        7 | 8 => scope(CommandKind::KillOff, Scope::All),
        9 => Command { ticker: TickerId(whom % 2), ..Command::new(CommandKind::Halt) },
        10 | 11 => Command::new(CommandKind::Resume),
        12 => set_limit(whom, Limit::Position, value * 10),
        13 => set_limit(whom, Limit::OpenOrders, value / 8),
        14 => set_limit(whom, Limit::GrossExposure, money),
        _ => set_limit(whom, Limit::Credit, money),
    });
}

/// Applies the records again, with `lag(n)` events left waiting after record n as far as the records allow.
fn replay<B>(market: &Market, desk: &Desk<B>, seed: u64, lag: impl Fn(usize) -> usize, prove: bool) -> Oms {
    let mut oms = Oms::new(market);
    oms.seed_lookup(seed);
    let mut waiting: std::collections::VecDeque<Outcome> = Default::default();
    let proven = |oms: &Oms| {
        if prove {
            assert_eq!(oms.limits_hold(), Ok(()));
        }
    };
    for (n, (record, events)) in desk.journal.iter().zip(&desk.outcomes).enumerate() {
        while !oms.is_ready(record) {
            oms.on_event(&waiting.pop_front().expect("what a record waits for is on its way"));
        }
        oms.apply(record);
        proven(&oms);
        waiting.extend(events);
        while waiting.len() > lag(n) {
            oms.on_event(&waiting.pop_front().expect("not empty"));
            proven(&oms);
        }
    }
    waiting.iter().for_each(|outcome| oms.on_event(outcome));
    oms
}

/// The OMS and whoever executes know the same orders.
fn agrees_with_the_venue<B: Books>(desk: &Desk<B>) {
    let shard = |ticker: TickerId| desk.market.tickers[ticker.index()].matcher.0;
    let mut open: Vec<_> = desk.oms.orders().map(|o| (shard(o.ticker), o.slot.0, o.open.0)).collect();
    open.sort();
    assert_eq!(open, desk.venue.open());
}

/// And, as the slow venue can say, the same owners and the same used shares.
fn agrees_on_chains(desk: &Desk) {
    let shard = |ticker: TickerId| desk.market.tickers[ticker.index()].matcher.0;
    let mut chains: Vec<_> = desk.oms.orders().map(|o| (shard(o.ticker), o.slot, o.user_ref, o.used.0)).collect();
    chains.sort();
    assert_eq!(chains, desk.venue.chains());
}

fn saved(oms: &Oms) -> Vec<u8> {
    let mut out = Writer::new(oms.saved_bytes());
    oms.save(&mut out);
    out.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_state_does_not_depend_on_how_late_events_come(
        steps in prop::collection::vec(step(PLAIN), 1..250),
        lags in prop::collection::vec(0usize..40, 1..50),
        seed: u64,
    ) {
        let market = tight();
        let mut desk = Desk::new(&market);
        steps.into_iter().for_each(|step| perform(&mut desk, step));
        desk.settle();
        prop_assert!(desk.oms.is_balanced());
        agrees_with_the_venue(&desk);
        agrees_on_chains(&desk);
        let at_once = replay(&market, &desk, seed, |_| 0, true);
        let late = replay(&market, &desk, seed, |n| lags[n % lags.len()], false);
        let last = replay(&market, &desk, 0, |_| usize::MAX, false);
        let digest = desk.oms.digest();
        prop_assert_eq!([at_once.digest(), late.digest(), last.digest()], [digest; 3]);
        prop_assert!(at_once.is_balanced() && late.is_balanced() && last.is_balanced());
    }

    #[test]
    fn the_same_holds_before_the_real_matchers_with_crosses_bands_and_busts(
        steps in prop::collection::vec(step(ALL_KINDS), 1..250),
        lags in prop::collection::vec(0usize..40, 1..50),
    ) {
        let market = with_auctions();
        let mut desk = Desk::with(&market, Shards::new(&market));
        steps.into_iter().for_each(|step| perform(&mut desk, step));
        desk.settle();
        prop_assert!(desk.oms.is_balanced());
        agrees_with_the_venue(&desk);
        let at_once = replay(&market, &desk, 0, |_| 0, true);
        let late = replay(&market, &desk, 0, |n| lags[n % lags.len()], false);
        prop_assert_eq!([at_once.digest(), late.digest()], [desk.oms.digest(); 2]);
    }

    #[test]
    fn state_read_from_its_bytes_goes_on_where_the_first_one_stood(
        steps in prop::collection::vec(step(ALL_KINDS), 1..200),
        more in prop::collection::vec(step(ALL_KINDS), 1..150),
    ) {
        let market = with_auctions();
        let mut desk = Desk::with(&market, Shards::new(&market));
        steps.into_iter().for_each(|step| perform(&mut desk, step));
        desk.settle();
        let bytes = saved(&desk.oms);
        let mut from = Reader::new(&bytes);
        let oms = Oms::new(&market).load(&mut from).expect("what an OMS wrote");
        prop_assert_eq!(from.finish(), Ok(()));
        prop_assert_eq!(oms.digest(), desk.oms.digest());
        prop_assert_eq!(&saved(&oms), &bytes);
        (desk.oms, desk.venue) = (oms, desk.venue.reread());
        more.into_iter().for_each(|step| perform(&mut desk, step));
        desk.settle();
        prop_assert!(desk.oms.is_balanced());
        agrees_with_the_venue(&desk);
        // Straight through, without the bytes between, it is the same.
        prop_assert_eq!(replay(&market, &desk, 0, |_| 0, true).digest(), desk.oms.digest());
    }

    #[test]
    fn damaged_bytes_of_the_oms_are_never_a_panic(
        steps in prop::collection::vec(step(PLAIN), 1..60),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let market = tight();
        let mut desk = Desk::new(&market);
        steps.into_iter().for_each(|step| perform(&mut desk, step));
        desk.settle();
        let mut bytes = saved(&desk.oms);
        prop_assert!(Oms::new(&market).load(&mut Reader::new(&bytes[..cut.index(bytes.len())])).is_err());
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Ok(oms) = Oms::new(&market).load(&mut Reader::new(&bytes)) {
            oms.digest();
        }
    }

    #[test]
    fn a_replayed_oms_goes_on_where_the_first_one_stood(
        steps in prop::collection::vec(step(PLAIN), 1..150),
        lags in prop::collection::vec(0usize..40, 1..50),
        more in prop::collection::vec(step(PLAIN), 1..100),
    ) {
        let market = tight();
        let mut desk = Desk::new(&market);
        steps.into_iter().for_each(|step| perform(&mut desk, step));
        desk.settle();
        desk.oms = replay(&market, &desk, 0, |n| lags[n % lags.len()], false);
        more.into_iter().for_each(|step| perform(&mut desk, step));
        desk.settle();
        prop_assert!(desk.oms.is_balanced());
        agrees_with_the_venue(&desk);
        prop_assert_eq!(replay(&market, &desk, 0, |_| 0, true).digest(), desk.oms.digest());
    }

    #[test]
    fn when_every_order_has_ended_every_reservation_is_back(steps in prop::collection::vec(step(PLAIN), 1..150)) {
        let mut desk = Desk::new(&tight());
        steps.into_iter().for_each(|step| perform(&mut desk, step));
        desk.send(Command::new(CommandKind::DayEnd));
        desk.settle();
        prop_assert_eq!(desk.oms.orders().count(), 0);
        for account in 0..3 {
            let id = AccountId(account);
            let view = desk.oms.account(id);
            prop_assert_eq!((view.reserved, view.open_orders), (Money::ZERO, 0));
            for ticker in [ALFA, BETA] {
                let position = desk.oms.position(id, ticker);
                prop_assert_eq!((position.open_buys, position.open_sells), (0, 0));
            }
        }
        prop_assert!(desk.oms.is_balanced());
    }
}

#[test]
fn a_digest_sees_each_kind_of_change() {
    let digest = |commands: &[Command]| {
        let mut desk = Desk::new(&market());
        for &command in commands {
            desk.send(command);
        }
        desk.settle();
        desk.oms.digest()
    };
    let venue = |kind| Command { scope: Scope::All, ..Command::new(kind) };
    let order = buy(ADA, 1, 10, REFERENCE);
    let all: Vec<u64> = [
        &[][..],
        &[order],
        &[Command { quantity: Quantity(20), ..order }],
        &[Command { price: Price(REFERENCE + 100), ..order }],
        &[Command { side: SideCode::Sell, ..order }],
        &[Command { channel: Channel::named(1), ..order }],
        &[order, cancel(ADA, 1, 0)],
        &[order, sell(BOB, 1, 10, REFERENCE)],
        &[request(CommandKind::DisableEntry, ADA, 1, "AAAA")],
        &[request(CommandKind::EnableEntry, ADA, 1, "AAAA")],
        &[venue(CommandKind::KillOn)],
        &[venue(CommandKind::Halt)],
        &[venue(CommandKind::DayEnd)],
        &[set_limit(0, Limit::Credit, 1)],
    ]
    .into_iter()
    .map(digest)
    .collect();
    for (i, one) in all.iter().enumerate() {
        assert!(!all[i + 1..].contains(one), "state {i} shares its digest");
    }
    assert_eq!(size_of::<Sequenced>(), 128);
}
