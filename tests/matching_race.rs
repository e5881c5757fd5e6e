//! The books race their slow twin on random records, and say in examples what they do.
//!
//! Every record goes to a shard and to its twin; the whole lists of events must be equal, and every few hundred records the
//! whole books. `PITLANE_RACE_COMMANDS` and `PITLANE_RACE_SEED` scale the race; a failure prints its seed.

mod support;

use pitlane::engine::book::{EVENTS_MAX, Events, Progress, Shard};
use pitlane::types::{CommandKind, Event, Liquidity, MatcherId, Sequenced, TickerId};
use support::allocations::{Counting, allocations};
use support::flow::Flow;
use support::lanes::{Lane, MATCHERS, market};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Records of the race when nobody says otherwise.
const COMMANDS_DEFAULT: u64 = 400_000;
/// Records of one run: one seed, one size of the arena.
const RUN_COMMANDS: u64 = 50_000;
/// Records between two comparisons of whole books.
const CHECK_EVERY: u64 = 500;
/// Slots a shard, from always full to long queues.
const ORDERS_MAX: [u32; 4] = [600, 3_000, 24, 150];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What a run went through, so that a race that tests nothing shows.
#[derive(Default, Debug)]
struct Seen {
    records: u64,
    events: u64,
    /// Sweeps and mass cancels whose events did not fit one buffer.
    sweeps_long: u64,
    cancels_long: u64,
    orders_most: usize,
    /// Crosses that traded, those whose events did not fit one buffer, and imbalance-only shares that traded in them.
    crosses: u64,
    crosses_long: u64,
    leftovers: u64,
    imbalances: u64,
    limit_states: u64,
    broken: u64,
    refills: u64,
    /// Stops that woke, and records that woke more than one.
    woken: u64,
    chains: u64,
    expired: u64,
    /// Books that an order with a least quantity stood across when they were compared.
    crossed: u64,
    /// Trades of pegs, those of them that nobody came for, and pegs that slept when books were compared.
    pegs_traded: u64,
    pegs_settled: u64,
    pegs_asleep: u64,
}

impl Seen {
    fn note(&mut self, record: &Sequenced, said: &[(TickerId, Event)]) {
        self.events += said.len() as u64;
        let is_long = said.len() > EVENTS_MAX;
        match record.command.kind {
            CommandKind::Enter => self.sweeps_long += u64::from(is_long),
            CommandKind::Phase | CommandKind::Halt | CommandKind::Resume => self.crosses_long += u64::from(is_long),
            _ => self.cancels_long += u64::from(is_long),
        }
        let count = |fact: fn(&Event) -> bool| said.iter().filter(|(_, event)| fact(event)).count() as u64;
        self.refills += count(|event| matches!(event, Event::Refreshed { .. }));
        let woken = count(|event| matches!(event, Event::Triggered { .. }));
        self.woken += woken;
        self.chains += u64::from(woken > 1);
        if record.command.kind == CommandKind::Tick {
            self.expired += count(|event| matches!(event, Event::Canceled { .. }));
        }
        for (_, event) in said {
            use Liquidity::{ClosingImbalanceOnly, OpeningImbalanceOnly};
            match *event {
                Event::CrossDone { quantity, .. } => self.crosses += u64::from(quantity > 0),
                Event::Crossed { buy_liquidity, sell_liquidity, .. } => {
                    let leftover = |flag| flag == OpeningImbalanceOnly || flag == ClosingImbalanceOnly;
                    self.leftovers += u64::from(leftover(buy_liquidity) || leftover(sell_liquidity));
                }
                Event::Imbalance { paired, .. } => self.imbalances += u64::from(paired > 0),
                Event::Band { limit, .. } => self.limit_states += u64::from(limit),
                Event::Broken { .. } => self.broken += 1,
                _ => {}
            }
        }
    }
}

/// Prints the seed when the run does not end well.
struct OnFailure(u64, u64);

impl Drop for OnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with PITLANE_RACE_SEED={} PITLANE_RACE_COMMANDS={}", self.0, self.1);
        }
    }
}

fn run(seed: u64, commands: u64, orders_max: u32, seen: &mut Seen) {
    let _report = OnFailure(seed, commands);
    let market = market(orders_max);
    let mut lanes: Vec<_> = (0..MATCHERS).map(|m| Lane::new(&market, MatcherId(m))).collect();
    let mut flow = Flow::new(seed, &market);
    let mut events = Events::new();
    for count in 1..=commands {
        let (to, record) = flow.next(&mut lanes);
        for lane in &mut lanes[to] {
            let said = lane.play(&record, &mut events);
            seen.note(&record, &said);
        }
        if count % CHECK_EVERY == 0 {
            lanes.iter_mut().for_each(|lane| lane.check(&market));
            seen.crossed += lanes.iter().map(|lane| lane.crossed_books(&market)).sum::<u64>();
            seen.orders_most = lanes.iter().map(Lane::open_count).max().unwrap().max(seen.orders_most);
        }
    }
    seen.records += commands;
    for lane in &lanes {
        seen.pegs_traded += lane.pegs_traded;
        seen.pegs_settled += lane.pegs_settled;
        seen.pegs_asleep += lane.pegs_asleep;
    }
}

#[test]
fn the_book_says_what_its_slow_twin_says() {
    let commands = setting("PITLANE_RACE_COMMANDS", COMMANDS_DEFAULT);
    let first_seed = setting("PITLANE_RACE_SEED", 1);
    let mut seen = Seen::default();
    for at in 0..commands.div_ceil(RUN_COMMANDS) {
        let seed = first_seed + at;
        let orders_max = ORDERS_MAX[seed as usize % ORDERS_MAX.len()];
        run(seed, RUN_COMMANDS.min(commands - at * RUN_COMMANDS), orders_max, &mut seen);
    }
    println!("seeds from {first_seed}: {seen:?}");
    if commands >= COMMANDS_DEFAULT {
        assert!(seen.sweeps_long > 0 && seen.cancels_long > 0, "no record was long enough to be resumed");
        assert!(seen.orders_most > 1_000, "the books stayed shallow");
        assert!(seen.crosses > 100 && seen.crosses_long > 0 && seen.leftovers > 0, "few crosses");
        assert!(seen.imbalances > 0 && seen.limit_states > 0 && seen.broken > 0, "a timer or a bust did nothing");
        let special = [seen.refills, seen.woken, seen.chains, seen.expired];
        assert!(seen.crossed > 20, "no least quantity kept a book crossed");
        let pegs = [seen.pegs_traded, seen.pegs_settled, seen.pegs_asleep];
        assert!(pegs.iter().all(|&count| count > 1_000), "pegs did little: {seen:?}");
        assert!(special.iter().all(|&count| count > 100), "orders that are not plain did little: {seen:?}");
    }
}

#[test]
fn replay_of_the_same_records_allocates_nothing_and_ends_in_the_same_state() {
    let market = market(3_000);
    let mut lanes: Vec<_> = (0..MATCHERS).map(|m| Lane::new(&market, MatcherId(m))).collect();
    let mut flow = Flow::new(77, &market);
    let mut events = Events::new();
    let mut records = Vec::new();
    for _ in 0..30_000 {
        let (to, record) = flow.next(&mut lanes);
        lanes[to.clone()].iter_mut().for_each(|lane| drop(lane.play(&record, &mut events)));
        records.push((to, record));
    }
    let mut shards = [0, 1, 2].map(|m| Shard::new(&market, MatcherId(m)).unwrap());
    let before = allocations();
    for (to, record) in &records {
        for shard in &mut shards[to.clone()] {
            let mut progress = shard.execute(record, &mut events);
            while progress == Progress::More {
                progress = shard.resume(&mut events);
            }
        }
    }
    assert_eq!(allocations() - before, 0);
    let digests = shards.map(|shard| shard.digest());
    assert!(lanes.iter().map(|lane| lane.shard.digest()).eq(digests));
}

mod examples {
    use super::support::lanes::{execute, market as race_market, ticker};
    use super::support::script::*;
    use CancelReason::{Collar, Expired, ImmediateRemainder, PostOnly, Supervisory, System, User};
    use SelfMatchMode::{CancelBoth, CancelNewest, CancelOldest, Decrement};
    use pitlane::engine::book::{EVENTS_MAX, Events, Progress, Shard, ShardFault, TICKS_MAX};
    use pitlane::types::*;

    #[test]
    fn earlier_order_at_a_price_fills_first() {
        let events = play([sell(A, 5, 100), sell(B, 5, 100), buy(D, 7, 100)]);
        let expected =
            [accepted(A), rests(A, 5), accepted(B), rests(B, 5), accepted(D), fills(A, D, 5, 100), fills(B, D, 2, 100)];
        assert_eq!(events, expected);
    }

    #[test]
    fn better_price_fills_before_earlier_time_and_trades_are_at_the_resting_price() {
        let mut floor = Floor::new();
        floor.play(buy(A, 5, 100));
        floor.play(buy(B, 5, 101));
        assert_eq!(floor.play(sell(D, 8, 90)), [accepted(D), fills(B, D, 5, 101), fills(A, D, 3, 100)]);
    }

    #[test]
    fn displayed_order_fills_before_an_earlier_hidden_one() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100).hidden());
        floor.play(sell(B, 5, 100));
        assert_eq!(floor.play(buy(D, 7, 100)), [accepted(D), fills(B, D, 5, 100), fills(A, D, 2, 100)]);
    }

    #[test]
    fn hidden_orders_are_not_in_the_depth() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100).hidden());
        floor.play(sell(B, 7, 101));
        floor.play(sell(B, 2, 101));
        floor.play(sell(C, 9, 101).hidden());
        let depth: Vec<_> =
            floor.shard.depth(TickerId(0), Side::Sell).map(|d| (d.price.0, d.quantity, d.count)).collect();
        assert_eq!(depth, [(101, 9, 2)]);
        assert_eq!(floor.shard.best(TickerId(0), Side::Sell), Some(Price(100)));
        assert_eq!(floor.shard.best(TickerId(0), Side::Buy), None);
    }

    #[test]
    fn what_a_limit_order_cannot_trade_rests_and_an_immediate_one_cancels() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100));
        assert_eq!(floor.play(buy(D, 8, 100)), [accepted(D), fills(A, D, 5, 100), rests(D, 3)]);
        let immediate = floor.play(sell(B, 4, 100).immediate());
        assert_eq!(immediate, [accepted(B), fills(D, B, 3, 100), canceled(B, 1, 0, ImmediateRemainder)]);
    }

    #[test]
    fn fill_or_kill_trades_wholly_or_not_at_all() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100));
        floor.play(sell(B, 5, 101).hidden());
        assert_eq!(floor.play(buy(D, 11, 101).at_least(11)), [accepted(D), canceled(D, 11, 0, ImmediateRemainder)]);
        let whole = floor.play(buy(D, 10, 101).at_least(10));
        assert_eq!(whole, [accepted(D), fills(A, D, 5, 100), fills(B, D, 5, 101)]);
    }

    #[test]
    fn least_quantity_is_met_before_anything_trades() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100));
        assert_eq!(floor.play(buy(D, 20, 100).at_least(6)), [accepted(D), canceled(D, 20, 0, ImmediateRemainder)]);
        let met = floor.play(buy(D, 20, 100).at_least(5));
        assert_eq!(met, [accepted(D), fills(A, D, 5, 100), canceled(D, 15, 0, ImmediateRemainder)]);
    }

    #[test]
    fn own_orders_do_not_count_for_fill_or_kill() {
        for (mode, trades) in [(CancelNewest, false), (CancelOldest, true), (CancelBoth, false), (Decrement, false)] {
            let mut floor = Floor::new();
            floor.play(sell(D, 5, 100));
            floor.play(sell(A, 5, 100));
            floor.play(sell(D, 5, 101));
            let events = floor.play(buy(B, 10, 101).at_least(10).self_match(mode));
            if trades {
                assert_eq!(
                    events,
                    [accepted(B), fills(D, B, 5, 100), self_match(A, 5, 0), fills(D, B, 5, 101)],
                    "{mode:?}"
                );
            } else {
                assert_eq!(events, [accepted(B), canceled(B, 10, 0, ImmediateRemainder)], "{mode:?}");
            }
        }
    }

    #[test]
    fn market_order_stops_at_its_collar_and_never_rests() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100));
        floor.play(sell(A, 5, 110));
        let collared = floor.play(buy(D, 20, 109).market());
        assert_eq!(collared, [accepted(D), fills(A, D, 5, 100), canceled(D, 15, 0, Collar)]);
        let exhausted = floor.play(buy(D, 20, u32::MAX).market());
        assert_eq!(exhausted, [accepted(D), fills(A, D, 5, 110), canceled(D, 15, 0, ImmediateRemainder)]);
        assert_eq!(floor.play(sell(D, 1, 0).market()), [accepted(D), canceled(D, 1, 0, ImmediateRemainder)]);
    }

    #[test]
    fn post_only_order_that_would_trade_is_cancelled_even_by_a_hidden_one() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100).hidden());
        assert_eq!(floor.play(buy(D, 5, 100).post_only()), [accepted(D), canceled(D, 5, 0, PostOnly)]);
        assert_eq!(floor.play(buy(D, 5, 99).post_only()), [accepted(D), rests(D, 5)]);
    }

    #[test]
    fn cancel_names_the_total_that_may_execute_and_keeps_priority() {
        let mut floor = Floor::new();
        floor.play(sell(A, 10, 100));
        floor.play(sell(B, 10, 100));
        assert_eq!(floor.play(buy(D, 4, 100)), [accepted(D), fills(A, D, 4, 100)]);
        assert_eq!(floor.play(cancel(A, 1, 10)), [Said::Nothing], "as large as it is");
        assert_eq!(floor.play(cancel(A, 1, 5)), [canceled(A, 5, 1, User)]);
        assert_eq!(floor.play(buy(D, 2, 100)), [accepted(D), fills(A, D, 1, 100), fills(B, D, 1, 100)]);
        assert_eq!(floor.play(cancel(B, 2, 0)), [canceled(B, 9, 0, User)]);
    }

    #[test]
    fn request_about_an_order_that_is_gone_or_somebody_elses_changes_nothing() {
        let mut floor = Floor::new();
        floor.play(sell(A, 10, 100));
        assert_eq!(floor.play(cancel(D, 1, 0)), [Said::Nothing], "another session");
        assert_eq!(floor.play(cancel(A, 900, 0)), [Said::Nothing], "an empty slot");
        assert_eq!(floor.play(cancel(A, u32::MAX, 0)), [Said::Nothing], "no slot");
        floor.play(buy(D, 10, 100));
        assert_eq!(floor.play(cancel(A, 1, 0)), [Said::Nothing], "filled");
        assert_eq!(floor.play(modify(A, 1, SideCode::Sell, 1)), [Said::Nothing]);
        assert_eq!(floor.play(replace(A, 1, 20, 100)), [Said::ReplaceIgnored { who: A }]);
    }

    #[test]
    fn replace_loses_priority_and_counts_what_was_executed() {
        let mut floor = Floor::new();
        floor.play(sell(A, 10, 100));
        floor.play(sell(B, 10, 100));
        floor.play(buy(D, 4, 100));
        assert_eq!(floor.play(replace(A, 1, 9, 100)), [replaced(A, 5, true)]);
        let events = floor.play(buy(D, 12, 100));
        assert_eq!(events, [accepted(D), fills(B, D, 10, 100), fills(A, D, 2, 100)]);
        assert_eq!(floor.play(replace(A, 1, 6, 100)), [canceled(A, 3, 0, User)], "no more than was executed");
    }

    #[test]
    fn replace_that_crosses_trades_and_its_remainder_rests() {
        let mut floor = Floor::new();
        floor.play(buy(D, 4, 99));
        floor.play(sell(A, 10, 100));
        let events = floor.play(replace(A, 2, 10, 99));
        assert_eq!(events, [replaced(A, 10, false), fills(D, A, 4, 99), rests(A, 6)]);
        let mass = of_session(CommandKind::MassCancel, A);
        assert_eq!(floor.play(mass), [canceled(A, 6, 0, User)], "its session still has it");
    }

    #[test]
    fn replace_keeps_post_only_unless_it_says_otherwise() {
        let mut floor = Floor::new();
        floor.play(buy(D, 4, 99));
        floor.play(sell(A, 10, 101).post_only());
        floor.play(sell(A, 10, 101).post_only());
        let kept = floor.play(replace(A, 2, 10, 99));
        assert_eq!(kept, [replaced(A, 10, false), canceled(A, 10, 0, PostOnly)]);
        let dropped = floor.play(replace(A, 3, 10, 99).tag(12));
        assert_eq!(dropped, [replaced(A, 10, false), fills(D, A, 4, 99), rests(A, 6)]);
    }

    #[test]
    fn refused_replace_of_a_live_order_cancels_it() {
        let mut floor = Floor::new();
        floor.play(sell(A, 10, 100));
        let mut refused = replace(A, 1, 1_000_000, 100);
        refused.verdict.reject = Reject::InvalidQuantity;
        assert_eq!(floor.play(refused), [canceled(A, 10, 0, User)]);
        assert_eq!(floor.play(refused), [Said::Nothing], "the reference was never taken, so none is given back");
    }

    #[test]
    fn modify_changes_the_kind_of_selling_and_keeps_priority() {
        let mut floor = Floor::new();
        floor.play(sell(A, 10, 100));
        floor.play(sell(B, 10, 100));
        let short = Said::Modified { who: A, side: SideCode::SellShort, leaves: 6 };
        assert_eq!(floor.play(modify(A, 1, SideCode::SellShort, 6)), [short]);
        assert_eq!(floor.play(modify(A, 1, SideCode::Buy, 6)), [Said::Nothing], "never to the other side");
        assert_eq!(floor.play(modify(A, 1, SideCode::Sell, 7)), [Said::Nothing], "never larger");
        assert_eq!(floor.play(buy(D, 2, 100)), [accepted(D), fills(A, D, 2, 100)]);
        let ended = Said::Modified { who: A, side: SideCode::SellShort, leaves: 0 };
        assert_eq!(floor.play(modify(A, 1, SideCode::SellShort, 2)), [ended], "down to what was executed");
        assert_eq!(floor.play(buy(D, 2, 100)), [accepted(D), fills(B, D, 2, 100)]);
    }

    #[test]
    fn self_match_rule_of_the_incoming_order_says_who_gives_way() {
        let cases = [
            (CancelNewest, vec![self_match(B, 7, 0)]),
            (CancelOldest, vec![self_match(A, 5, 0), fills(D, B, 5, 101), rests(B, 2)]),
            (CancelBoth, vec![self_match(A, 5, 0), self_match(B, 7, 0)]),
            (Decrement, vec![self_match(A, 5, 0), self_match(B, 5, 2), fills(D, B, 2, 101)]),
        ];
        for (mode, expected) in cases {
            let mut floor = Floor::new();
            floor.play(sell(A, 5, 100).self_match(CancelNewest));
            floor.play(sell(D, 5, 101));
            let events = floor.play(buy(B, 7, 101).self_match(mode));
            assert_eq!(events, [vec![accepted(B)], expected].concat(), "{mode:?}");
        }
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100).self_match(CancelNewest));
        assert_eq!(
            floor.play(buy(B, 5, 100)),
            [accepted(B), fills(A, B, 5, 100)],
            "a resting order's rule is not asked"
        );
    }

    #[test]
    fn self_match_reaches_the_firm_and_the_group_as_far_as_the_rule_says() {
        let firm_wide = |command: &mut Command| command.self_match.firm_wide = 1;
        let group = |name: [u8; 2]| move |command: &mut Command| command.self_match_group = name;
        let mut floor = Floor::new();
        floor.play(sell(C, 5, 100).with(group(*b"G1")));
        let account_only = floor.play(buy(A, 1, 100).self_match(CancelNewest));
        assert_eq!(account_only, [accepted(A), fills(C, A, 1, 100)]);
        let whole_firm = floor.play(buy(A, 1, 100).self_match(CancelNewest).with(firm_wide));
        assert_eq!(whole_firm, [accepted(A), self_match(A, 1, 0)]);
        let other_group = buy(A, 1, 100).self_match(CancelNewest).with(firm_wide).with(group(*b"G2"));
        assert_eq!(floor.play(other_group), [accepted(A), fills(C, A, 1, 100)]);
        let same_group = buy(A, 1, 100).self_match(CancelNewest).with(firm_wide).with(group(*b"G1"));
        assert_eq!(floor.play(same_group), [accepted(A), self_match(A, 1, 0)]);
    }

    #[test]
    fn shares_removed_by_self_match_count_as_used_in_a_replace() {
        let mut floor = Floor::new();
        floor.play(sell(A, 10, 100));
        let events = floor.play(buy(B, 3, 100).self_match(Decrement));
        assert_eq!(events, [accepted(B), self_match(A, 3, 7), self_match(B, 3, 0)]);
        assert_eq!(floor.play(replace(A, 1, 8, 100)), [replaced(A, 5, true)]);
    }

    #[test]
    fn mass_cancel_takes_the_sessions_own_orders_oldest_first() {
        let mut floor = Floor::new();
        floor.play(sell(A, 1, 110).group(1));
        floor.play(buy(A, 2, 90));
        floor.play(sell(B, 3, 105));
        floor.play(sell(A, 4, 100).group(1));
        let group = |group: u16| of_session(CommandKind::MassCancel, A).group(group).tag(24);
        assert_eq!(floor.play(group(2)), [Said::Nothing]);
        assert_eq!(floor.play(group(1)), [canceled(A, 1, 0, User), canceled(A, 4, 0, User)]);
        let selling = of_session(CommandKind::MassCancel, A).with(|c| c.side = SideCode::Sell).tag(27);
        assert_eq!(floor.play(selling), [Said::Nothing]);
        assert_eq!(floor.play(group(0)), [canceled(A, 2, 0, User)], "group 0 is those without a group");
        assert_eq!(floor.play(of_session(CommandKind::SessionLost, B)), [canceled(B, 3, 0, System)]);
    }

    #[test]
    fn kill_switch_cancels_its_scope_session_by_session() {
        let kill = |scope: Scope, who: u16| of_session(CommandKind::KillOn, who).with(|command| command.scope = scope);
        let mut floor = Floor::new();
        for who in [D, C, B, A] {
            floor.play(buy(who, 1, 100));
        }
        let both = [canceled(A, 1, 0, Supervisory), canceled(B, 1, 0, Supervisory)];
        assert_eq!(floor.play(kill(Scope::Account, A)), both);
        assert_eq!(floor.play(kill(Scope::Firm, A)), [canceled(C, 1, 0, Supervisory)]);
        assert_eq!(floor.play(kill(Scope::All, A)), [canceled(D, 1, 0, Supervisory)]);
        assert_eq!(floor.play(kill(Scope::All, A)), [Said::Nothing]);
    }

    #[test]
    fn halt_keeps_the_orders_and_the_days_end_does_not() {
        let mut floor = Floor::new();
        assert_eq!(floor.play(venue(CommandKind::DayStart)), [Said::State(TradingState::Trading)]);
        floor.play(buy(D, 1, 100));
        assert_eq!(floor.play(venue(CommandKind::Halt)), [Said::State(TradingState::Halted)]);
        assert_eq!(floor.shard.state(TickerId(0)), TradingState::Halted);
        assert_eq!(floor.play(venue(CommandKind::Resume)), [Said::State(TradingState::Trading)]);
        let end = floor.play(venue(CommandKind::DayEnd));
        assert_eq!(end, [canceled(D, 1, 0, Expired), Said::State(TradingState::Halted)]);
    }

    #[test]
    fn sweep_longer_than_the_buffer_goes_on_where_it_stopped() {
        let mut floor = Floor::new();
        for _ in 0..600 {
            floor.play(sell(A, 1, 100));
        }
        let mut record = buy(D, 601, 100);
        (record.verdict.slot, record.command.user_ref) = (Slot(700), UserRef(700));
        let mut events = Events::new();
        let mut progress = floor.shard.execute(&record, &mut events);
        let mut counts = vec![events.len()];
        while progress == Progress::More {
            progress = floor.shard.resume(&mut events);
            counts.push(events.len());
        }
        assert!(counts.iter().all(|&count| count <= EVENTS_MAX));
        assert_eq!(counts.iter().sum::<usize>(), 602, "accepted, 600 fills, the rest rests");
        assert_eq!(floor.shard.orders(TickerId(0), Side::Buy).map(|o| o.leaves.0).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn equal_records_give_equal_digests_and_a_lost_share_does_not() {
        let end = |last: u32| {
            let mut floor = Floor::new();
            floor.play(sell(A, 10, 100));
            floor.play(sell(B, 10, 100).hidden());
            floor.play(buy(D, last, 100));
            floor.shard.digest()
        };
        assert_eq!(end(4), end(4));
        assert_ne!(end(4), end(5));
    }

    #[test]
    fn numbers_do_not_depend_on_how_tickers_are_sharded() {
        let order = |ticker: u16| {
            let mut record = sell(A, 1, 10_000).with(|command| command.ticker = TickerId(ticker));
            (record.verdict.slot, record.command.user_ref) = (Slot(u32::from(ticker)), UserRef(1));
            record
        };
        let references = |matchers: &[u16]| {
            let mut market = race_market(16);
            market.tickers.iter_mut().zip(matchers.iter().cycle()).for_each(|(t, m)| t.matcher = MatcherId(*m));
            let mut shards = [0, 1].map(|m| Shard::new(&market, MatcherId(m)).unwrap());
            let mut play = |t: u16| {
                let matcher = market.tickers[usize::from(t)].matcher.index();
                execute(&mut shards[matcher], &order(t), &mut Events::new())[0]
            };
            [0u16, 4, 6].map(&mut play)
        };
        assert_eq!(references(&[0]), references(&[0, 1, 1]));
    }

    #[test]
    fn ladders_beyond_the_memory_allowed_are_refused_before_any_is_taken() {
        let mut market = market();
        market.tickers = vec![ticker("BIG", 0, 1, 1, 1_999_999_900)];
        let fault = Shard::new(&market, MatcherId(0)).unwrap_err();
        assert_eq!(fault, ShardFault::TooManyTicks { ticks: 1_999_999_900 });
        assert!(fault.to_string().contains(&TICKS_MAX.to_string()));
        market.tickers = vec![ticker("EMPTY", 0, 100, 101, 199)];
        let fault = Shard::new(&market, MatcherId(0)).unwrap_err();
        assert_eq!(fault, ShardFault::NoLadder { ticker: TickerId(0) });
    }
}
