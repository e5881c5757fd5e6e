//! Orders that are not plain, in examples: reserve, least quantity, stop, expiry, good till cancel and post-only that steps
//! back. What Replace, Modify and Cancel do to each, and the faults that other venues' engines had.

mod support;

use CancelReason::{Expired, ImmediateRemainder, PostOnly, Supervisory, User};
use SelfMatchMode::{CancelNewest, CancelOldest, Decrement};
use pitlane::engine::book::{EVENTS_MAX, Events, Progress, Shard};
use pitlane::types::*;
use support::script::*;

/// Prices and shares of a side as the feed shows them.
fn shown(floor: &Floor, side: Side) -> Vec<(u32, u64)> {
    floor.shard.depth(TickerId(0), side).map(|depth| (depth.price.0, depth.quantity)).collect()
}

mod reserve {
    use super::*;

    #[test]
    fn the_shown_part_refills_at_the_back_of_the_queue() {
        let mut floor = Floor::new();
        assert_eq!(floor.play(sell(A, 25, 100).showing(10)), [accepted(A), rests(A, 25)]);
        floor.play(sell(B, 10, 100));
        assert_eq!(shown(&floor, Side::Sell), [(100, 20)]);
        let events = floor.play(buy(D, 12, 100));
        assert_eq!(events, [accepted(D), fills(A, D, 10, 100), refills(A, 10, 5), fills(B, D, 2, 100)]);
        let events = floor.play(buy(D, 20, 100));
        let expected = [accepted(D), fills(B, D, 8, 100), fills(A, D, 10, 100), refills(A, 5, 0), fills(A, D, 2, 100)];
        assert_eq!(events, expected);
    }

    #[test]
    fn an_order_for_all_of_it_takes_every_part() {
        let mut floor = Floor::new();
        floor.play(sell(A, 25, 100).showing(10));
        let events = floor.play(buy(D, 26, 100));
        let parts = [fills(A, D, 10, 100), refills(A, 10, 5), fills(A, D, 10, 100), refills(A, 5, 0)];
        assert_eq!(events, [&[accepted(D)][..], &parts, &[fills(A, D, 5, 100), rests(D, 1)]].concat());
    }

    #[test]
    fn it_takes_with_all_it_has_and_shows_a_part_of_the_rest() {
        let mut floor = Floor::new();
        floor.play(sell(A, 7, 100));
        assert_eq!(floor.play(buy(D, 30, 100).showing(10)), [accepted(D), fills(A, D, 7, 100), rests(D, 23)]);
        assert_eq!(shown(&floor, Side::Buy), [(100, 10)]);
    }

    #[test]
    fn a_part_is_cancelled_from_what_does_not_show_and_keeps_the_place() {
        let mut floor = Floor::new();
        floor.play(sell(A, 25, 100).showing(10));
        floor.play(sell(B, 10, 100));
        assert_eq!(floor.play(cancel(A, 1, 12)), [canceled(A, 13, 12, User)]);
        assert_eq!(shown(&floor, Side::Sell), [(100, 20)]);
        assert_eq!(floor.play(modify(A, 1, SideCode::SellShort, 4)).len(), 1);
        assert_eq!(shown(&floor, Side::Sell), [(100, 14)]);
        assert_eq!(floor.play(buy(D, 5, 100)), [accepted(D), fills(A, D, 4, 100), fills(B, D, 1, 100)]);
    }

    #[test]
    fn a_whole_cancel_takes_both_parts() {
        let mut floor = Floor::new();
        floor.play(sell(A, 25, 100).showing(10));
        assert_eq!(floor.play(cancel(A, 1, 0)), [canceled(A, 25, 0, User)]);
        assert_eq!(floor.play(buy(D, 1, 100)), [accepted(D), rests(D, 1)]);
    }

    #[test]
    fn a_replaced_iceberg_keeps_its_reserve() {
        let mut floor = Floor::new();
        floor.play(sell(A, 25, 101).showing(10));
        assert_eq!(floor.play(replace(A, 1, 40, 100)), [replaced(A, 40, true)]);
        assert_eq!(shown(&floor, Side::Sell), [(100, 10)]);
        assert_eq!(floor.play(replace(A, 1, 40, 100).showing(15)), [replaced(A, 40, true)]);
        assert_eq!(shown(&floor, Side::Sell), [(100, 15)], "unless it says otherwise");
        assert_eq!(floor.play(replace(A, 1, 40, 100).showing(0)), [replaced(A, 40, true)]);
        assert_eq!(shown(&floor, Side::Sell), [(100, 40)]);
    }

    #[test]
    fn a_zero_display_iceberg_cannot_loop() {
        let mut floor = Floor::new();
        floor.play(sell(A, 25, 100).showing(0));
        assert_eq!(shown(&floor, Side::Sell), [(100, 25)], "nothing to show at a time means all of it");
        // The checks refuse a random part of the whole floor; here it is asked of the book all the same.
        let mut floor = Floor::new();
        floor.play(sell(A, 25, 100).showing(2).tag(13).with(|command| command.random_reserve = 9));
        let parts = floor.play(buy(D, 25, 100)).into_iter().filter(|said| matches!(said, Said::Refills { .. })).count();
        assert!((1..25).contains(&parts), "{parts} refills");
    }

    #[test]
    fn a_replace_cannot_make_it_refill_more_than_a_thousand_times() {
        let mut floor = Floor::new();
        floor.play(sell(A, 10, 100).showing(1));
        floor.play(replace(A, 1, 500_000, 100));
        assert_eq!(shown(&floor, Side::Sell), [(100, 500)]);
    }

    #[test]
    fn random_refills_stay_around_the_floor_and_are_the_same_again() {
        let sizes = || {
            let mut floor = Floor::new();
            floor.play(sell(A, 1_000, 100).showing(20).tag(13).with(|command| command.random_reserve = 5));
            let said = floor.play(buy(D, 1_000, 100));
            let sizes = said.iter().filter_map(|said| match said {
                Said::Refills { shows, keeps, .. } if *keeps > 0 => Some(*shows),
                _ => None,
            });
            sizes.collect::<Vec<_>>()
        };
        let drawn = sizes();
        assert!(drawn.iter().all(|size| (15..=25).contains(size)));
        assert!(drawn.iter().min() != drawn.iter().max(), "they vary: {drawn:?}");
        assert_eq!(drawn, sizes());
    }

    #[test]
    fn self_match_prevention_counts_it_whole() {
        let mut floor = Floor::new();
        floor.play(sell(A, 25, 100).showing(10));
        let events = floor.play(buy(B, 20, 100).self_match(Decrement));
        assert_eq!(events, [accepted(B), self_match(A, 20, 5), self_match(B, 20, 0)]);
        assert_eq!(shown(&floor, Side::Sell), [(100, 5)]);
        assert_eq!(floor.play(buy(B, 1, 100).self_match(CancelOldest))[1], self_match(A, 5, 0));
    }
}

mod least_quantity {
    use super::*;

    #[test]
    fn who_gives_less_goes_by_and_the_order_keeps_its_place() {
        let mut floor = Floor::new();
        floor.play(sell(A, 20, 100).hidden_least(10));
        floor.play(sell(B, 5, 100).hidden());
        assert_eq!(floor.play(buy(D, 5, 100)), [accepted(D), fills(B, D, 5, 100)]);
        floor.play(sell(B, 5, 100).hidden());
        let events = floor.play(buy(D, 10, 100));
        assert_eq!(events, [accepted(D), fills(A, D, 10, 100)], "before the one behind it");
    }

    #[test]
    fn less_than_its_least_is_enough_when_it_is_all_that_is_left() {
        let mut floor = Floor::new();
        floor.play(sell(A, 14, 100).hidden_least(10));
        assert_eq!(floor.play(buy(D, 10, 100)), [accepted(D), fills(A, D, 10, 100)]);
        assert_eq!(floor.play(buy(D, 3, 100)), [accepted(D), rests(D, 3)], "4 are left");
        floor.play(cancel(D, 3, 0));
        assert_eq!(floor.play(buy(D, 4, 100)), [accepted(D), fills(A, D, 4, 100)]);
    }

    #[test]
    fn what_an_incoming_order_has_left_is_what_counts() {
        let mut floor = Floor::new();
        floor.play(sell(B, 5, 99));
        floor.play(sell(A, 20, 100).hidden_least(10));
        floor.play(sell(C, 5, 101));
        let events = floor.play(buy(D, 14, 101));
        assert_eq!(events, [accepted(D), fills(B, D, 5, 99), fills(C, D, 5, 101), rests(D, 4)]);
    }

    #[test]
    fn it_enters_without_trading_when_it_would_get_too_little() {
        let mut floor = Floor::new();
        floor.play(buy(D, 5, 100));
        assert_eq!(floor.play(sell(A, 20, 100).hidden_least(10)), [accepted(A), rests(A, 20)]);
        assert_eq!(shown(&floor, Side::Sell), [], "what shows is not crossed");
        floor.play(buy(D, 5, 100));
        assert_eq!(
            floor.play(sell(B, 12, 100).hidden_least(10)),
            [accepted(B), fills(D, B, 5, 100), fills(D, B, 5, 100), rests(B, 2)],
            "two together are enough"
        );
    }

    #[test]
    fn fill_or_kill_never_prints_a_part() {
        let book = || {
            let mut floor = Floor::new();
            floor.play(sell(A, 20, 100).hidden_least(10));
            floor.play(sell(B, 30, 100).showing(10));
            floor.play(sell(C, 5, 101));
            floor
        };
        // All of B's parts, then 20 of A, then C.
        let mut floor = book();
        let events = floor.play(buy(D, 55, 101).at_least(55));
        assert_eq!(events.iter().filter(|said| matches!(said, Said::Fills { .. })).count(), 5);
        for (quantity, price) in [(56, 101), (39, 100), (31, 100), (51, 100)] {
            let events = book().play(buy(D, quantity, price).at_least(quantity));
            assert_eq!(events, [accepted(D), canceled(D, quantity, 0, ImmediateRemainder)], "{quantity} at {price}");
        }
        let events = book().play(buy(D, 35, 101).at_least(35));
        assert_eq!(events.last(), Some(&fills(C, D, 5, 101)), "it goes by A with 5 left");
    }

    #[test]
    fn an_own_iceberg_stops_fill_or_kill_where_it_would_stop_the_sweep() {
        let mut floor = Floor::new();
        floor.play(sell(A, 30, 100).showing(10));
        floor.play(sell(D, 30, 100).showing(10));
        let order = |quantity| buy(D, quantity, 100).at_least(quantity).self_match(CancelNewest);
        assert_eq!(floor.play(order(11)), [accepted(D), canceled(D, 11, 0, ImmediateRemainder)]);
        assert_eq!(floor.play(order(10)), [accepted(D), fills(A, D, 10, 100), refills(A, 10, 10)]);
    }

    #[test]
    fn thousands_passed_over_hold_nobody_for_longer_than_a_turn() {
        let mut market = market();
        market.orders_max = 6_000;
        let mut shard = Shard::new(&market, MatcherId(0)).unwrap();
        let mut events = Events::new();
        let mut play = |shard: &mut Shard, n: u32, mut record: Sequenced| {
            (record.verdict.slot, record.command.user_ref) = (Slot(n), UserRef(n));
            let (mut turns, mut said) = (1, 0);
            let mut progress = shard.execute(&record, &mut events);
            loop {
                said += events.len();
                assert!(events.len() <= EVENTS_MAX);
                if progress == Progress::Done {
                    return (turns, said);
                }
                turns += 1;
                progress = shard.resume(&mut events);
            }
        };
        (1..=5_000).for_each(|n| assert_eq!(play(&mut shard, n, sell(A, 50, 100).hidden_least(50)), (1, 2)));
        let (turns, said) = play(&mut shard, 5_001, buy(D, 10, 100));
        assert_eq!(said, 2);
        assert!(turns >= 5_000 / 200, "{turns} turns for 5,000 looks");
        let (turns, said) = play(&mut shard, 5_002, buy(D, 10, 100).at_least(10));
        assert_eq!(said, 2);
        assert!(turns >= 5_000 / 200, "{turns} turns to look ahead");
    }
}

mod stop {
    use super::*;

    /// A trade at this price.
    fn trade_at(floor: &mut Floor, price: u32) -> Vec<Said> {
        floor.play(sell(A, 1, price));
        floor.play(buy(D, 1, price))
    }

    #[test]
    fn it_sleeps_unseen_until_a_trade_reaches_it() {
        let mut floor = Floor::new();
        trade_at(&mut floor, 100);
        assert_eq!(floor.play(buy(C, 5, 106).stop(105)), [accepted(C)]);
        assert_eq!(shown(&floor, Side::Buy), []);
        assert_eq!(trade_at(&mut floor, 104).len(), 2);
        let events = trade_at(&mut floor, 105);
        assert_eq!(events, [accepted(D), fills(A, D, 1, 105), wakes(C, 5), rests(C, 5)]);
        assert_eq!(shown(&floor, Side::Buy), [(106, 5)]);
    }

    #[test]
    fn before_the_first_trade_it_sleeps_and_where_the_last_one_was_it_wakes_at_once() {
        let mut floor = Floor::new();
        assert_eq!(floor.play(sell(B, 5, 90).stop(1_000)), [accepted(B)], "no trade has been anywhere");
        let events = trade_at(&mut floor, 100);
        assert_eq!(events, [accepted(D), fills(A, D, 1, 100), wakes(B, 5), rests(B, 5)]);
        assert_eq!(floor.play(buy(C, 5, 80).stop(100)), [accepted(C), wakes(C, 5), rests(C, 5)]);
        assert_eq!(floor.play(buy(C, 5, 80).stop(101)), [accepted(C)]);
    }

    #[test]
    fn the_nearest_wakes_first_and_of_two_at_a_price_the_older() {
        let mut floor = Floor::new();
        floor.play(buy(A, 1, 10).stop(103));
        floor.play(buy(B, 2, 10).stop(102));
        floor.play(buy(C, 3, 10).stop(103));
        floor.play(buy(D, 4, 10).stop(101));
        let events = trade_at(&mut floor, 103);
        let order: Vec<_> = events.into_iter().filter(|said| matches!(said, Said::Wakes { .. })).collect();
        assert_eq!(order, [wakes(D, 4), wakes(B, 2), wakes(A, 1), wakes(C, 3)]);
    }

    #[test]
    fn every_trade_of_a_sweep_counts() {
        let mut floor = Floor::new();
        floor.play(sell(B, 5, 10).stop(97));
        floor.play(sell(A, 1, 97));
        floor.play(sell(A, 1, 105));
        let events = floor.play(buy(D, 2, 105));
        let expected = [accepted(D), fills(A, D, 1, 97), fills(A, D, 1, 105), wakes(B, 5), rests(B, 5)];
        assert_eq!(events, expected, "the trade at 97 reached it though 105 came last");
    }

    #[test]
    fn a_plain_stop_becomes_a_market_order_with_the_collar_it_was_accepted_with() {
        let mut floor = Floor::new();
        floor.play(sell(B, 10, 103));
        floor.play(sell(B, 10, 110));
        floor.play(buy(C, 15, 108).market().stop(102));
        let events = trade_at(&mut floor, 102);
        let woken = [wakes(C, 15), fills(B, C, 10, 103), canceled(C, 5, 0, CancelReason::Collar)];
        assert_eq!(events[2..], woken);
    }

    #[test]
    fn one_wakes_the_next_until_none_is_left() {
        let mut floor = Floor::new();
        for price in 101..=300 {
            floor.play(sell(B, 1, price));
            floor.play(buy(C, 1, price + 1).stop(price));
        }
        let said = trade_at(&mut floor, 100);
        assert_eq!(said.len(), 2, "100 reaches none");
        let said = floor.play(buy(D, 1, 101));
        assert_eq!(said.iter().filter(|said| matches!(said, Said::Wakes { .. })).count(), 200);
        assert!(said.len() > EVENTS_MAX, "in more than one turn");
        assert_eq!(floor.shard.stops(TickerId(0), Side::Buy), []);
    }

    #[test]
    fn it_is_cancelled_reduced_and_killed_in_its_sleep() {
        let mut floor = Floor::new();
        floor.play(buy(C, 5, 106).stop(105));
        floor.play(buy(C, 6, 106).stop(105));
        floor.play(buy(C, 7, 106).stop(105));
        assert_eq!(floor.play(cancel(D, 1, 0)), [Said::Nothing], "not by another");
        assert_eq!(floor.play(cancel(C, 1, 2)), [canceled(C, 3, 2, User)]);
        assert_eq!(floor.play(cancel(C, 2, 0)), [canceled(C, 6, 0, User)]);
        let kill = of_session(CommandKind::KillOn, C).with(|command| command.scope = Scope::All);
        assert_eq!(floor.play(kill), [canceled(C, 2, 0, Supervisory), canceled(C, 7, 0, Supervisory)]);
        assert_eq!(trade_at(&mut floor, 105).len(), 2);
    }

    #[test]
    fn a_replace_keeps_the_stop_or_moves_it_and_loses_its_place() {
        let mut floor = Floor::new();
        floor.play(buy(C, 5, 10).stop(105));
        floor.play(buy(B, 6, 10).stop(105));
        assert_eq!(floor.play(replace(C, 1, 7, 12)), [replaced(C, 7, false)]);
        let order: Vec<_> = floor.shard.stops(TickerId(0), Side::Buy).iter().map(|s| (s.slot.0, s.stop.0)).collect();
        assert_eq!(order, [(2, 105), (1, 105)]);
        floor.play(replace(C, 1, 7, 12).stop(104));
        trade_at(&mut floor, 104);
        assert_eq!(shown(&floor, Side::Buy), [(12, 7)]);
        assert_eq!(floor.play(replace(C, 1, 7, 12).stop(200)), [replaced(C, 7, false)], "awake, and asleep again");
        assert_eq!(shown(&floor, Side::Buy), []);
    }

    #[test]
    fn a_reserve_order_behind_a_stop_shows_a_part_when_it_rests() {
        let mut floor = Floor::new();
        floor.play(buy(C, 50, 99).stop(105).showing(10));
        trade_at(&mut floor, 105);
        assert_eq!(shown(&floor, Side::Buy), [(99, 10)]);
    }
}

mod time {
    use super::*;

    #[test]
    fn orders_leave_in_the_order_of_their_ends() {
        let mut floor = Floor::new();
        floor.play(buy(A, 1, 10).for_seconds(30));
        floor.play(buy(B, 2, 11).for_seconds(10));
        floor.play(buy(C, 3, 12).for_seconds(10).showing(1));
        floor.play(buy(D, 4, 13).for_seconds(20).stop(50));
        assert_eq!(floor.play(tick(9)), [Said::Nothing]);
        assert_eq!(floor.play(tick(10)), [canceled(B, 2, 0, Expired), canceled(C, 3, 0, Expired)]);
        assert_eq!(floor.play(tick(40)), [canceled(D, 4, 0, Expired), canceled(A, 1, 0, Expired)]);
        assert_eq!(floor.play(tick(50)), [Said::Nothing]);
    }

    #[test]
    fn who_traded_or_left_does_not_expire() {
        let mut floor = Floor::new();
        floor.play(sell(A, 1, 10).for_seconds(10));
        floor.play(sell(A, 1, 11).for_seconds(10));
        floor.play(sell(A, 1, 12).for_seconds(10));
        floor.play(buy(D, 1, 10));
        floor.play(cancel(A, 2, 0));
        assert_eq!(floor.play(buy(D, 9, 12).for_seconds(5).with(|c| c.post_only = 1)).len(), 2, "it never rests");
        assert_eq!(floor.play(tick(10)), [canceled(A, 1, 0, Expired)]);
    }

    #[test]
    fn a_replace_names_a_new_end_or_keeps_the_old_one_or_has_none() {
        let mut floor = Floor::new();
        let good_till_time = |record: Sequenced| record.with(|c| c.time_in_force = TimeInForce::GoodTillTime);
        for _ in 0..3 {
            floor.play(buy(A, 1, 10).for_seconds(10));
        }
        floor.play(good_till_time(replace(A, 1, 2, 10)));
        floor.play(replace(A, 2, 3, 10).for_seconds(20));
        floor.play(replace(A, 3, 4, 10));
        assert_eq!(floor.play(tick(10)), [canceled(A, 2, 0, Expired)]);
        assert_eq!(floor.play(tick(20)), [canceled(A, 3, 0, Expired)]);
        assert_eq!(floor.play(tick(99)), [Said::Nothing], "the third is a day order now");
    }

    #[test]
    fn good_till_cancel_outlives_the_day() {
        let mut floor = Floor::new();
        floor.play(buy(A, 1, 10).good_till_cancel());
        floor.play(buy(B, 2, 10));
        floor.play(buy(C, 3, 10).good_till_cancel());
        floor.play(buy(D, 4, 10).for_seconds(9_999));
        floor.play(buy(A, 5, 10).good_till_cancel().stop(50));
        assert_eq!(floor.play(replace(A, 1, 7, 11)), [replaced(A, 7, true)], "a Replace leaves it so");
        assert_eq!(floor.play(replace(C, 3, 8, 11).tag(0)), [replaced(C, 8, true)], "unless it says otherwise");
        let end = floor.play(venue(CommandKind::DayEnd));
        let gone = [canceled(B, 2, 0, Expired), canceled(C, 8, 0, Expired), canceled(D, 4, 0, Expired)];
        assert_eq!(end, [&gone[..], &[Said::State(TradingState::Halted)]].concat());
        assert_eq!(shown(&floor, Side::Buy), [(11, 7)]);
        assert_eq!(floor.shard.stops(TickerId(0), Side::Buy).len(), 1);
    }
}

mod post_only {
    use super::*;

    #[test]
    fn it_steps_back_to_one_tick_from_the_best_price() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100));
        floor.play(sell(A, 5, 98).hidden());
        assert_eq!(floor.play(buy(D, 5, 100).steps_back()), [accepted(D), rests(D, 5)]);
        assert_eq!(shown(&floor, Side::Buy), [(97, 5)], "also from a hidden one");
        assert_eq!(floor.play(buy(D, 5, 90).steps_back()), [accepted(D), rests(D, 5)]);
        assert_eq!(shown(&floor, Side::Buy), [(97, 5), (90, 5)], "no step where none is needed");
    }

    #[test]
    fn where_there_is_no_price_to_step_back_to_it_leaves() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 1));
        assert_eq!(floor.play(buy(D, 5, 10).steps_back()), [accepted(D), canceled(D, 5, 0, PostOnly)]);
    }

    #[test]
    fn an_amended_post_only_still_refuses_to_take() {
        let mut floor = Floor::new();
        floor.play(sell(A, 5, 100));
        floor.play(buy(D, 5, 90).post_only());
        floor.play(buy(D, 5, 90).steps_back());
        floor.play(buy(D, 5, 90).post_only());
        assert_eq!(floor.play(replace(D, 2, 5, 100)), [replaced(D, 5, false), canceled(D, 5, 0, PostOnly)]);
        assert_eq!(floor.play(replace(D, 3, 5, 105)), [replaced(D, 5, true)]);
        assert_eq!(shown(&floor, Side::Buy), [(99, 5), (90, 5)], "or steps back again");
        let told = replace(D, 4, 5, 105).tag(8).with(|command| command.post_only = 2);
        assert_eq!(floor.play(told), [replaced(D, 5, true)], "from now on");
        assert_eq!(shown(&floor, Side::Buy), [(99, 10)]);
    }
}

#[test]
fn another_accounts_special_order_cannot_be_touched() {
    let mut floor = Floor::new();
    floor.play(sell(A, 25, 100).showing(10));
    floor.play(sell(A, 25, 100).hidden_least(10));
    floor.play(sell(A, 25, 100).stop(50));
    let before = floor.shard.digest();
    for nth in 1..=3 {
        assert_eq!(floor.play(cancel(D, nth, 0)), [Said::Nothing]);
        assert_eq!(floor.play(modify(D, nth, SideCode::SellShort, 1)), [Said::Nothing]);
        assert_eq!(floor.play(replace(D, nth, 50, 99).showing(1)), [Said::ReplaceIgnored { who: D }]);
    }
    assert_eq!(floor.shard.digest(), before);
}

#[test]
fn mass_cancel_takes_special_orders_in_the_order_of_their_entry_every_time() {
    let all = || {
        let mut floor = Floor::new();
        floor.play(sell(A, 25, 100).showing(10));
        floor.play(buy(A, 9, 106).stop(105));
        floor.play(sell(A, 8, 100).hidden_least(5));
        floor.play(sell(A, 7, 90).stop(80).for_seconds(60));
        floor.play(buy(D, 10, 100));
        floor.play(of_session(CommandKind::MassCancel, A))
    };
    let expected =
        [canceled(A, 15, 0, User), canceled(A, 9, 0, User), canceled(A, 8, 0, User), canceled(A, 7, 0, User)];
    assert_eq!(all(), expected);
    assert_eq!(all(), all());
}
