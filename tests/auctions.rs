//! Crosses, phases, bands and busts in examples, and the price of a cross against every price there is.

mod support;

use CancelReason::{Closed, Expired, OpeningHalted};
use SelfMatchMode::{CancelNewest, CancelOldest, Decrement};
use pitlane::engine::book::{EVENTS_MAX, Events, Progress, Shard};
use pitlane::types::*;
use proptest::prelude::*;
use support::lanes::{execute, ticker};
use support::script::*;

/// The reference of the script's ticker.
const REFERENCE: u32 = 500;

mod price {
    use super::*;

    /// Side, quantity, limit (none: market), how it takes part.
    type Asked = (bool, u32, Option<u32>, bool);

    /// What trades at a price, what is left over there.
    fn at(orders: &[Asked], price: u32) -> (u64, u64) {
        let sum = |buys: bool| -> u64 {
            let within = |limit: Option<u32>| limit.is_none_or(|l| if buys { l >= price } else { l <= price });
            orders.iter().filter(|o| o.0 == buys && within(o.2)).map(|o| u64::from(o.1)).sum()
        };
        let (demand, supply) = (sum(true), sum(false));
        (demand.min(supply), demand.abs_diff(supply))
    }

    /// Looks at every tick of the ladder.
    fn exhaustive(orders: &[Asked]) -> Option<(u64, u32)> {
        let better = |price: &u32| {
            let (paired, imbalance) = at(orders, *price);
            (paired, std::cmp::Reverse(imbalance), std::cmp::Reverse(price.abs_diff(REFERENCE)), *price)
        };
        let best = (1..=1_000u32).max_by_key(better).unwrap();
        let paired = at(orders, best).0;
        (paired > 0).then_some((paired, best))
    }

    fn enter(floor: &mut Floor, (buys, quantity, limit, waits): Asked) {
        let price = limit.unwrap_or(REFERENCE);
        let order = if buys { buy(A, quantity, price) } else { sell(D, quantity, price) };
        let order = if limit.is_none() { order.market() } else { order };
        floor.play(if waits || limit.is_none() { order.on_open() } else { order });
    }

    fn crossed(said: &[Said]) -> Option<(u64, u32)> {
        let done = said.iter().find_map(|said| match *said {
            Said::CrossDone { quantity, price } => Some((quantity, price)),
            _ => None,
        });
        done.filter(|(quantity, _)| *quantity > 0)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn the_cross_has_the_price_that_an_exhaustive_search_finds(
            orders in prop::collection::vec(
                (any::<bool>(), 1u32..50, prop_oneof![8 => (450u32..550).prop_map(Some),
                    1 => (1u32..=1_000).prop_map(Some), 1 => Just(None)], any::<bool>()),
                0..40,
            ),
        ) {
            let mut floor = Floor::opening();
            orders.iter().for_each(|order| enter(&mut floor, *order));
            let said = floor.enter(Phase::Trading);
            prop_assert_eq!(crossed(&said), exhaustive(&orders));
            let best = [Side::Buy, Side::Sell].map(|side| floor.shard.best(TickerId(0), side));
            if let [Some(bid), Some(offer)] = best {
                prop_assert!(bid < offer, "crossed after the cross");
            }
        }
    }

    #[test]
    fn of_equal_volume_and_imbalance_the_nearest_to_the_reference_is_taken_also_between_limits() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 10, 600));
        floor.play(sell(D, 10, 400));
        let expected = [crosses(A, D, 10, REFERENCE), cross_done(10, REFERENCE), trades()];
        assert_eq!(floor.enter(Phase::Trading), expected);
    }

    #[test]
    fn least_imbalance_comes_before_the_reference() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 10, 600));
        floor.play(sell(D, 10, 400));
        floor.play(sell(C, 5, 450));
        // From 450 on 15 are for sale and 10 are wanted: up to 449 nothing is left over.
        assert_eq!(floor.enter(Phase::Trading)[..2], [crosses(A, D, 10, 449), cross_done(10, 449)]);
    }

    #[test]
    fn market_orders_alone_trade_at_the_reference() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 7, 1).market().on_open());
        floor.play(sell(D, 5, 1).market().on_open());
        let left = canceled(A, 2, 0, Expired);
        assert_eq!(
            floor.enter(Phase::Trading),
            [crosses(A, D, 5, REFERENCE), cross_done(5, REFERENCE), left, trades()]
        );
    }
}

mod priority {
    use super::*;

    #[test]
    fn market_then_better_prices_then_at_the_price_displayed_waiting_and_hidden_by_time() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 1, 500).hidden());
        floor.play(buy(B, 1, 500).on_open());
        floor.play(buy(C, 1, 500));
        floor.play(buy(A, 1, 500));
        floor.play(buy(B, 1, 501).hidden());
        floor.play(buy(C, 1, 1).market().on_open());
        floor.play(sell(D, 6, 500));
        let order = [C, B, C, A, B, A].map(|who| crosses(who, D, 1, 500));
        assert_eq!(floor.enter(Phase::Trading), [&order[..], &[cross_done(6, 500), trades()]].concat());
    }

    #[test]
    fn imbalance_only_orders_join_against_the_larger_side_only_better_prices_first() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 10, 500));
        floor.play(sell(D, 4, 500));
        floor.play(sell(B, 3, 500).on_open().imbalance_only());
        floor.play(sell(C, 2, 499).on_open().imbalance_only());
        floor.play(sell(C, 9, 501).on_open().imbalance_only());
        floor.play(buy(B, 9, 600).on_open().imbalance_only());
        let events = floor.events(to_phase(Phase::Trading));
        let flags: Vec<_> = events
            .iter()
            .filter_map(|event| match *event {
                Event::Crossed { sell, quantity, sell_liquidity, .. } => {
                    Some((sell.session.0, quantity.0, sell_liquidity))
                }
                _ => None,
            })
            .collect();
        use Liquidity::{OpeningCross, OpeningImbalanceOnly};
        let expected = [(D, 4, OpeningCross), (C, 2, OpeningImbalanceOnly), (B, 3, OpeningImbalanceOnly)];
        assert_eq!(flags, expected);
        let gone: Vec<_> = events.iter().filter(|event| matches!(event, Event::Canceled { .. })).collect();
        assert_eq!(gone.len(), 2, "those that could not join leave with the cross");
    }

    #[test]
    fn of_two_own_orders_the_later_ones_rule_says_who_gives_way() {
        let cases = [
            (CancelNewest, vec![self_match(B, 5, 0), cross_done(0, 0)]),
            (CancelOldest, vec![self_match(A, 5, 0), cross_done(0, 0)]),
            (Decrement, vec![self_match(A, 5, 0), self_match(B, 5, 0), cross_done(0, 0)]),
        ];
        for (mode, expected) in cases {
            let mut floor = Floor::opening();
            floor.play(buy(A, 5, 500));
            floor.play(sell(B, 5, 500).self_match(mode));
            assert_eq!(floor.enter(Phase::Trading), [expected, vec![trades()]].concat(), "{mode:?}");
        }
    }

    #[test]
    fn what_prevention_leaves_crossed_trades_at_a_price_of_its_own() {
        let mut floor = Floor::opening();
        floor.play(sell(A, 5, 490));
        floor.play(buy(D, 5, 502));
        floor.play(sell(D, 5, 501));
        floor.play(buy(B, 5, 502).self_match(CancelOldest));
        let said = floor.enter(Phase::Trading);
        assert_eq!(*said.last().unwrap(), trades());
        let best = [Side::Buy, Side::Sell].map(|side| floor.shard.best(TickerId(0), side));
        assert!(!matches!(best, [Some(bid), Some(offer)] if bid >= offer), "{said:?}");
    }

    #[test]
    fn a_reserve_order_trades_whole_and_refills_at_the_back_of_what_shows() {
        let mut floor = Floor::opening();
        floor.play(sell(A, 25, 500).showing(10));
        floor.play(sell(B, 10, 500));
        floor.play(buy(D, 30, 500));
        let expected = [
            crosses(D, A, 10, 500),
            refills(A, 10, 5),
            crosses(D, B, 10, 500),
            crosses(D, A, 10, 500),
            refills(A, 5, 0),
            cross_done(30, 500),
            trades(),
        ];
        assert_eq!(floor.enter(Phase::Trading), expected);
        let left: Vec<_> = floor.shard.orders(TickerId(0), Side::Sell).map(|o| (o.leaves.0, o.shown.0)).collect();
        assert_eq!(left, [(5, 5)]);
    }

    #[test]
    fn orders_entered_in_an_auction_keep_what_they_are() {
        let mut floor = Floor::opening();
        floor.play(sell(A, 30, 510).showing(10));
        floor.play(sell(B, 5, 512).post_only());
        floor.play(buy(C, 5, 400).good_till_cancel());
        floor.play(buy(C, 5, 401));
        floor.enter(Phase::Trading);
        let part = floor.play(buy(D, 10, 510));
        assert_eq!(part[1..], [fills(A, D, 10, 510), refills(A, 10, 10)], "still a reserve");
        floor.play(buy(D, 3, 505));
        let refused = floor.play(replace(B, 2, 5, 505));
        assert_eq!(refused[1..], [canceled(B, 5, 0, CancelReason::PostOnly)], "still post-only");
        let close = floor.enter(Phase::Closed);
        let left: Vec<_> = floor.shard.orders(TickerId(0), Side::Buy).map(|o| o.price.0).collect();
        assert_eq!(left, [400], "the good till cancel stays over the close: {close:?}");
    }
}

mod phases {
    use super::*;

    #[test]
    fn nothing_trades_before_the_cross_and_what_is_left_of_the_day_stays_after_it() {
        let mut floor = Floor::opening();
        assert_eq!(floor.play(sell(A, 5, 490)), [accepted(A), rests(A, 5)]);
        assert_eq!(floor.play(buy(D, 8, 510)), [accepted(D), rests(D, 8)]);
        assert_eq!(floor.play(buy(C, 1, 400).on_open()), [accepted(C)]);
        let said = floor.enter(Phase::Trading);
        assert_eq!(said, [crosses(D, A, 5, 500), cross_done(5, 500), canceled(C, 1, 0, Expired), trades()]);
        assert_eq!(floor.play(sell(A, 1, 510)), [accepted(A), fills(D, A, 1, 510)]);
    }

    #[test]
    fn an_opening_without_a_trade_is_told_all_the_same() {
        assert_eq!(Floor::opening().enter(Phase::Trading), [cross_done(0, 0), trades()]);
    }

    #[test]
    fn orders_for_the_close_stand_apart_until_it_comes() {
        let mut floor = Floor::opening();
        floor.enter(Phase::Trading);
        floor.play(buy(A, 5, 600).on_close());
        assert_eq!(floor.play(sell(D, 5, 500)), [accepted(D), rests(D, 5)], "it does not meet the book");
        floor.enter(Phase::PreClose);
        floor.play(buy(C, 1, 300).good_till_cancel());
        let said = floor.enter(Phase::Closed);
        let halted = Said::State(TradingState::Halted);
        assert_eq!(said, [crosses(A, D, 5, 500), cross_done(5, 500), halted]);
        assert_eq!(floor.shard.orders(TickerId(0), Side::Buy).count(), 1);
    }

    #[test]
    fn a_cross_that_does_not_come_gives_its_orders_back() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 5, 500).on_open());
        let halted = Said::State(TradingState::Halted);
        assert_eq!(floor.enter(Phase::Halted), [canceled(A, 5, 0, OpeningHalted), halted]);
        floor.enter(Phase::Trading);
        floor.play(buy(A, 5, 500).on_close());
        floor.enter(Phase::HaltAuction);
        assert_eq!(floor.enter(Phase::Trading), [cross_done(0, 0), trades()], "it waits through a halt");
        floor.enter(Phase::Halted);
        assert_eq!(floor.enter(Phase::Closed), [canceled(A, 5, 0, Closed), halted]);
    }

    #[test]
    fn a_halted_auction_is_crossed_when_trading_comes_back() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 5, 510));
        floor.play(sell(D, 5, 490));
        floor.play(venue(CommandKind::Halt));
        let said = floor.play(venue(CommandKind::Resume));
        assert_eq!(said, [crosses(A, D, 5, 500), cross_done(5, 500), trades()]);
        floor.play(venue(CommandKind::Halt));
        assert_eq!(floor.play(venue(CommandKind::Resume)), [trades()], "nothing to cross, nothing to tell");
    }

    #[test]
    fn a_stop_sleeps_through_the_auction_and_wakes_by_its_price() {
        let mut floor = Floor::opening();
        floor.play(sell(D, 5, 480));
        floor.play(buy(A, 5, 480));
        floor.play(sell(B, 3, 470).stop(481));
        floor.play(buy(C, 3, 475));
        let said = floor.enter(Phase::Trading);
        let cross = [crosses(A, D, 5, 480), cross_done(5, 480), trades()];
        assert_eq!(said, [&cross[..], &[wakes(B, 3), fills(C, B, 3, 475)]].concat());
    }

    #[test]
    fn cross_orders_are_cancelled_and_replaced_like_others() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 10, 500).on_open());
        assert_eq!(floor.play(cancel(A, 1, 4)), [canceled(A, 6, 4, CancelReason::User)]);
        assert_eq!(floor.play(replace(A, 1, 8, 501)), [replaced(A, 8, true)]);
        let waiting: Vec<_> =
            floor.shard.cross_orders(TickerId(0), Side::Buy).map(|o| (o.price.0, o.leaves.0)).collect();
        assert_eq!(waiting, [(501, 8)]);
        assert_eq!(floor.play(of_session(CommandKind::MassCancel, A)), [canceled(A, 8, 0, CancelReason::User)]);
    }

    #[test]
    fn the_imbalance_is_told_on_each_tick_while_a_cross_builds_up() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 10, 510));
        floor.play(sell(D, 4, 490));
        floor.play(sell(D, 2, 520).on_open());
        let expected = Event::Imbalance {
            cross: CrossKind::Opening,
            paired: 4,
            imbalance: 6,
            direction: b'B',
            near: Price(500),
            far: Price(0),
            reference: Price(500),
            variation: b'L',
        };
        assert_eq!(floor.events(venue(CommandKind::Tick)), [expected]);
        floor.enter(Phase::Trading);
        assert_eq!(floor.events(venue(CommandKind::Tick)), [Event::Nothing]);
    }
}

mod bounded {
    use super::*;

    /// Plays one record turn by turn; how many events each turn gave.
    fn turns(shard: &mut Shard, record: &Sequenced) -> Vec<usize> {
        let mut events = Events::new();
        let mut progress = shard.execute(record, &mut events);
        let mut counts = vec![events.len()];
        while progress == Progress::More {
            progress = shard.resume(&mut events);
            counts.push(events.len());
        }
        counts
    }

    /// Orders of one share each, a price apart, from the middle outwards or across it.
    fn shard_with(orders: u32, across: bool) -> Shard {
        let mut market = market();
        market.orders_max = orders + 1;
        market.tickers = vec![ticker("X", 0, 1, 1, 2 * orders)];
        market.tickers[0].auction.phase_start = Phase::PreOpen;
        let mut shard = Shard::new(&market, MatcherId(0)).unwrap();
        for nth in 0..orders {
            let away = 1 + nth / 2;
            let price = if (nth % 2 == 0) == across { orders + away } else { orders - away };
            let mut record = if nth % 2 == 0 { buy(A, 1, price) } else { sell(D, 1, price) };
            (record.verdict.slot, record.command.user_ref) = (Slot(nth), UserRef(nth + 1));
            turns(&mut shard, &record);
        }
        shard
    }

    #[test]
    fn a_cross_of_many_orders_and_levels_is_taken_in_small_turns() {
        const ORDERS: u32 = 60_000;
        let mut shard = shard_with(ORDERS, true);
        let counts = turns(&mut shard, &to_phase(Phase::Trading));
        assert!(counts.iter().all(|&count| count <= EVENTS_MAX));
        assert_eq!(counts.iter().sum::<usize>(), ORDERS as usize / 2 + 2, "a trade a pair, the end, the state");
        assert!(counts.len() > ORDERS as usize / 1_024, "{} turns", counts.len());
    }

    #[test]
    fn a_close_that_cancels_many_orders_is_taken_in_small_turns() {
        let mut shard = shard_with(10_000, false);
        turns(&mut shard, &to_phase(Phase::Trading));
        let counts = turns(&mut shard, &to_phase(Phase::Closed));
        assert!(counts.iter().all(|&count| count <= EVENTS_MAX));
        assert_eq!(counts.iter().sum::<usize>(), 10_002);
    }

    #[test]
    fn an_imbalance_over_many_levels_is_looked_for_in_small_turns() {
        let mut shard = shard_with(20_000, true);
        let counts = turns(&mut shard, &venue(CommandKind::Tick));
        assert_eq!(counts.iter().sum::<usize>(), 1);
        assert!(counts.len() > 10, "{} turns", counts.len());
    }
}

mod bands {
    use super::*;

    fn banded() -> Floor {
        Floor::with(|auction| auction.band_dynamic = 1_000)
    }

    fn tick(floor: &mut Floor) -> Vec<Said> {
        floor.play(venue(CommandKind::Tick))
    }

    #[test]
    fn an_order_beyond_the_band_is_taken_at_its_bound() {
        let mut floor = banded();
        assert_eq!(tick(&mut floor), [Said::Band { lower: 450, upper: 550, limit: false }]);
        let events = floor.events(buy(A, 5, 700));
        assert!(matches!(events[0], Event::Accepted { price: Price(550), .. }));
        assert_eq!(floor.shard.best(TickerId(0), Side::Buy), Some(Price(550)));
        assert_eq!(tick(&mut floor), [Said::Band { lower: 450, upper: 550, limit: true }], "the limit state");
        floor.play(sell(D, 5, 550));
        // The trade at the bound moves the band.
        assert_eq!(tick(&mut floor), [Said::Band { lower: 495, upper: 605, limit: false }]);
    }

    #[test]
    fn bounds_stay_while_orders_press_against_one() {
        let mut floor = banded();
        tick(&mut floor);
        floor.play(buy(A, 9, 700));
        floor.play(sell(D, 5, 550));
        let pressed = Said::Band { lower: 450, upper: 550, limit: true };
        assert_eq!(tick(&mut floor), [pressed], "the trade at the bound does not let the price go on");
        assert_eq!(tick(&mut floor), [Said::Nothing]);
        floor.play(sell(D, 4, 550));
        assert_eq!(tick(&mut floor), [Said::Band { lower: 495, upper: 605, limit: false }]);
    }

    #[test]
    fn a_market_order_stops_at_the_bound() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 540));
        floor.play(sell(A, 5, 560));
        let mut floor = banded();
        floor.play(sell(A, 5, 540));
        floor.play(sell(A, 5, 560));
        tick(&mut floor);
        let said = floor.play(buy(D, 10, u32::MAX).market());
        assert_eq!(said, [accepted(D), fills(A, D, 5, 540), canceled(D, 5, 0, CancelReason::Collar)]);
    }

    #[test]
    fn a_pause_gathers_orders_and_its_cross_moves_the_bands() {
        let mut floor = Floor::with(|auction| auction.band_static = 500);
        tick(&mut floor);
        floor.play(buy(A, 5, 600));
        assert_eq!(tick(&mut floor), [Said::Band { lower: 475, upper: 525, limit: true }]);
        let paused = floor.enter(Phase::Paused);
        assert_eq!(paused, [Said::State(TradingState::Paused), Said::Band { lower: 475, upper: 525, limit: false }]);
        floor.play(sell(D, 5, 560));
        floor.play(buy(C, 5, 560));
        let moved = Said::Band { lower: 532, upper: 588, limit: false };
        assert_eq!(floor.enter(Phase::Trading), [crosses(C, D, 5, 560), cross_done(5, 560), trades(), moved]);
    }
}

mod bust {
    use super::*;

    fn bust(number: u64) -> Sequenced {
        let mut record = venue(CommandKind::Bust);
        (record.command.ticker, record.command.value) = (TickerId(0), number << 16 | 1);
        record
    }

    #[test]
    fn a_trade_is_broken_once() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100));
        floor.play(buy(D, 3, 100));
        assert_eq!(floor.play(bust(1)), [Said::Broken { buy: D, sell: A, quantity: 3 }]);
        assert_eq!(floor.play(bust(1)), [Said::Nothing]);
        assert_eq!(floor.play(bust(2)), [Said::Nothing]);
        assert_eq!(floor.play(buy(D, 2, 100)), [accepted(D), fills(A, D, 2, 100)], "the book is as it was");
    }

    #[test]
    fn only_the_last_trades_are_remembered() {
        let mut market = market();
        market.trades_kept = 4;
        let (mut shard, mut events) = (Shard::new(&market, MatcherId(0)).unwrap(), Events::new());
        let mut play = |mut record: Sequenced, nth: u32| {
            (record.verdict.slot, record.command.user_ref) = (Slot(nth), UserRef(nth));
            execute(&mut shard, &record, &mut events)
        };
        play(sell(A, 100, 100), 1);
        (2..8).for_each(|nth| drop(play(buy(D, 1, 100), nth)));
        let mut broken = |number| matches!(play(bust(number), 0)[0].1, Event::Broken { .. });
        assert_eq!([1, 2, 3, 4, 5, 6, 7].map(&mut broken), [false, false, true, true, true, true, false]);
    }
}
