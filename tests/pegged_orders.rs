//! Pegged orders, in examples: what each kind costs, when it sleeps, whom it meets and in which order, what requests and
//! phases do to it.

mod support;

use CancelReason::{Expired, ImmediateRemainder, PostOnly, System, User};
use SelfMatchMode::{CancelNewest, CancelOldest, Decrement};
use pitlane::engine::book::{EVENTS_MAX, Events, Progress, Shard};
use pitlane::types::*;
use support::script::*;

/// No limit at all.
const FREE_BUY: u32 = u32::MAX;
const FREE_SELL: u32 = 0;

/// A floor on which D shows a bid and an offer of 100 each: records 1 and 2.
fn quoted(bid: u32, offer: u32) -> Floor {
    let mut floor = Floor::new();
    floor.play(buy(D, 100, bid));
    floor.play(sell(D, 100, offer));
    floor
}

/// What the pegs of a side cost now.
fn prices(floor: &Floor, side: Side) -> Vec<Option<u32>> {
    floor.shard.pegs(TickerId(0), side).into_iter().map(|peg| peg.price.map(|price| price.0)).collect()
}

fn bids(floor: &Floor) -> Vec<Option<u32>> {
    prices(floor, Side::Buy)
}

mod price {
    use super::*;

    #[test]
    fn each_kind_follows_the_displayed_touch_and_a_positive_offset_is_nearer_to_the_other_side() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 1, 900).pegged(Peg::Midpoint, 0));
        floor.play(buy(A, 1, 900).pegged(Peg::Primary, 2));
        floor.play(buy(A, 1, 900).pegged(Peg::Market, -3));
        floor.play(sell(C, 1, 1).pegged(Peg::Primary, -4));
        floor.play(sell(C, 1, 1).pegged(Peg::Market, -9));
        assert_eq!(bids(&floor), [Some(105), Some(102), Some(107)]);
        assert_eq!(prices(&floor, Side::Sell), [Some(114), Some(109)]);
    }

    #[test]
    fn it_moves_with_the_touch_and_nothing_is_said() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 1, 900).pegged(Peg::Primary, 0));
        floor.play(buy(A, 1, 900).pegged(Peg::Midpoint, 0));
        assert_eq!(floor.play(buy(C, 5, 104)), [accepted(C), rests(C, 5)]);
        assert_eq!(bids(&floor), [Some(107), Some(104)]);
        assert_eq!(floor.play(cancel(C, 5, 0)), [canceled(C, 5, 0, User)]);
        assert_eq!(bids(&floor), [Some(105), Some(100)]);
    }

    #[test]
    fn hidden_orders_are_no_touch() {
        let mut floor = quoted(100, 110);
        floor.play(buy(C, 5, 104).hidden());
        floor.play(buy(A, 1, 900).pegged(Peg::Primary, 0));
        assert_eq!(bids(&floor), [Some(100)]);
    }

    #[test]
    fn it_never_locks_or_crosses_what_is_displayed() {
        let mut floor = quoted(100, 110);
        for peg in Peg::ALL {
            assert_eq!(floor.play(buy(A, 1, 900).pegged(peg, 50)), [accepted(A), rests(A, 1)]);
        }
        assert_eq!(bids(&floor), [Some(109), Some(109), Some(109)]);
        floor.play(sell(C, 1, 103).post_only());
        assert_eq!(floor.play(buy(A, 1, 1).hidden()), [accepted(A), rests(A, 1)]);
    }

    #[test]
    fn it_sleeps_beyond_its_limit_or_without_the_price_it_follows_and_wakes_with_it() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 1, 104).pegged(Peg::Midpoint, 0));
        floor.play(buy(A, 1, 100).pegged(Peg::Primary, 0));
        assert_eq!(bids(&floor), [None, Some(100)]);
        floor.play(cancel(D, 1, 0));
        assert_eq!(bids(&floor), [None, None], "no bid shows");
        floor.play(buy(D, 100, 90));
        assert_eq!(bids(&floor), [Some(100), Some(90)]);
    }

    #[test]
    fn a_midpoint_may_lie_between_two_ticks_and_is_rounded_down() {
        use crate::support::lanes::{execute, market as race_market};
        let mut shard = Shard::new(&race_market(16), MatcherId(1)).unwrap();
        let mut play = |slot: u32, mut record: Sequenced| {
            (record.command.ticker, record.verdict.slot) = (TickerId(3), Slot(slot));
            record.command.user_ref = UserRef(slot);
            execute(&mut shard, &record, &mut Events::new())
        };
        // Ticks of 7 from 56.
        play(0, buy(D, 1, 105));
        play(1, sell(D, 1, 112));
        play(2, buy(A, 1, 9_996).pegged(Peg::Midpoint, 0));
        let events = play(3, sell(C, 1, 105).immediate());
        assert!(matches!(events[1].1, Event::Filled { price: Price(108), .. }), "{events:?}");
    }
}

mod matching {
    use super::*;

    #[test]
    fn the_better_of_ladder_and_peg_fills_first_and_trades_are_at_the_pegs_price() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 5, 900).pegged(Peg::Midpoint, 0));
        floor.play(buy(C, 5, 103).hidden());
        let events = floor.play(sell(B, 12, 100));
        assert_eq!(events, [accepted(B), fills(A, B, 5, 105), fills(C, B, 5, 103), fills(D, B, 2, 100)]);
    }

    #[test]
    fn at_a_price_the_ladders_orders_go_first_then_midpoints_primary_and_market_pegs() {
        let mut floor = quoted(100, 102);
        floor.play(buy(A, 1, 900).pegged(Peg::Market, -1));
        floor.play(buy(B, 1, 900).pegged(Peg::Primary, 1));
        floor.play(buy(C, 1, 900).pegged(Peg::Midpoint, 0));
        floor.play(buy(D, 1, 101).hidden());
        let events = floor.play(sell(A, 4, 101));
        let order = [fills(D, A, 1, 101), fills(C, A, 1, 101), fills(B, A, 1, 101), fills(A, A, 1, 101)];
        assert_eq!(events, [&[accepted(A)][..], &order].concat());
    }

    #[test]
    fn of_a_kind_the_more_aggressive_goes_first_then_the_older_and_who_sleeps_is_passed() {
        let mut floor = quoted(100, 120);
        floor.play(buy(A, 1, 900).pegged(Peg::Primary, 1));
        floor.play(buy(B, 1, 900).pegged(Peg::Primary, 1));
        floor.play(buy(C, 1, 100).pegged(Peg::Primary, 3));
        floor.play(buy(D, 1, 900).pegged(Peg::Primary, 2));
        let events = floor.play(sell(C, 3, 101).immediate());
        assert_eq!(events, [accepted(C), fills(D, C, 1, 102), fills(A, C, 1, 101), fills(B, C, 1, 101)]);
    }

    #[test]
    fn a_primary_peg_trades_at_the_touch_with_the_order_that_takes_the_touch_away() {
        let mut floor = quoted(100, 110);
        floor.play(sell(A, 5, 1).pegged(Peg::Primary, 0));
        let events = floor.play(buy(B, 104, 110));
        assert_eq!(events, [accepted(B), fills(D, B, 100, 110), fills(A, B, 4, 110)]);
    }

    #[test]
    fn fill_or_kill_counts_active_pegs_and_no_others() {
        let mut floor = quoted(100, 110);
        floor.play(sell(A, 5, 1).pegged(Peg::Midpoint, 0));
        floor.play(sell(A, 5, 109).pegged(Peg::Midpoint, 0));
        let missed = floor.play(buy(B, 106, 110).at_least(106));
        assert_eq!(missed, [accepted(B), canceled(B, 106, 0, ImmediateRemainder)]);
        let whole = floor.play(buy(B, 105, 110).at_least(105));
        assert_eq!(whole, [accepted(B), fills(A, B, 5, 105), fills(D, B, 100, 110)]);
    }

    #[test]
    fn a_post_only_order_gives_way_to_an_active_peg_or_steps_back_from_it() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 5, 900).pegged(Peg::Midpoint, 0));
        assert_eq!(floor.play(sell(C, 5, 105).post_only()), [accepted(C), canceled(C, 5, 0, PostOnly)]);
        assert_eq!(floor.play(sell(C, 5, 104).steps_back()), [accepted(C), rests(C, 5)]);
        let offers = floor.shard.depth(TickerId(0), Side::Sell).next();
        // The offer that stepped back is the touch now: the midpoint is lower.
        assert_eq!((offers.map(|d| d.price), bids(&floor)), (Some(Price(106)), vec![Some(103)]));
    }

    #[test]
    fn flags_say_who_added_and_who_removed_at_the_midpoint() {
        let flag = |peg: Peg| {
            let mut floor = quoted(100, 110);
            floor.play(buy(A, 1, 900).pegged(peg, 0));
            let events = floor.events(sell(C, 1, 100));
            match events[1] {
                Event::Filled { liquidity, displayed: false, .. } => (liquidity, liquidity.of_remover()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(flag(Peg::Midpoint), (Liquidity::AddedMidpoint, Liquidity::RemovedMidpoint));
        assert_eq!(flag(Peg::Market), (Liquidity::AddedHidden, Liquidity::Removed));
    }

    #[test]
    fn self_match_prevention_holds_for_pegs_that_rest_and_that_come() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 5, 900).pegged(Peg::Midpoint, 0));
        let newest = floor.play(sell(B, 3, 100).self_match(CancelNewest));
        assert_eq!(newest, [accepted(B), self_match(B, 3, 0)]);
        let smaller = floor.play(sell(B, 3, 1).pegged(Peg::Midpoint, 0).self_match(Decrement));
        assert_eq!(smaller, [accepted(B), rests(B, 3), self_match(A, 3, 2), self_match(B, 3, 0)]);
        let oldest = floor.play(sell(B, 3, 100).self_match(CancelOldest));
        assert_eq!(oldest, [accepted(B), self_match(A, 2, 0), fills(D, B, 3, 100)]);
    }

    #[test]
    fn a_trade_with_a_peg_wakes_stops_and_can_be_broken() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 1, 900).pegged(Peg::Midpoint, 0));
        floor.play(buy(C, 2, 101).stop(105));
        let events = floor.events(sell(B, 1, 100));
        let Event::Filled { match_number, .. } = events[1] else { panic!("{events:?}") };
        assert!(matches!(events[2], Event::Triggered { .. }), "{events:?}");
        let mut bust = venue(CommandKind::Bust);
        (bust.command.ticker, bust.command.value) = (TickerId(0), match_number.0);
        assert_eq!(floor.play(bust), [Said::Broken { buy: A, sell: B, quantity: 1 }]);
    }
}

mod settling {
    use super::*;

    #[test]
    fn a_peg_that_comes_takes_hidden_orders_at_their_price_and_rests_with_what_is_left() {
        let mut floor = quoted(100, 110);
        floor.play(sell(C, 2, 103).hidden());
        floor.play(sell(C, 2, 105).hidden());
        let events = floor.play(buy(A, 5, 900).pegged(Peg::Midpoint, 0));
        assert_eq!(events, [accepted(A), rests(A, 5), fills(C, A, 2, 103), fills(C, A, 2, 105)]);
        assert_eq!(floor.play(cancel(A, 5, 0)), [canceled(A, 1, 0, User)]);
    }

    #[test]
    fn two_midpoints_meet_at_the_price_of_the_one_that_was_there() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 5, 900).pegged(Peg::Midpoint, 1));
        let events = floor.play(sell(C, 3, 1).pegged(Peg::Midpoint, 2));
        assert_eq!(events, [accepted(C), rests(C, 3), fills(A, C, 3, 106)]);
    }

    #[test]
    fn a_cancel_that_moves_the_touch_lets_two_pegs_meet() {
        let mut floor = quoted(100, 110);
        floor.play(buy(C, 1, 104));
        floor.play(buy(A, 2, 900).pegged(Peg::Market, -4));
        floor.play(sell(C, 5, 1).pegged(Peg::Midpoint, 0));
        // The midpoint falls from 107 to 105, and the bid of 106 was there first.
        assert_eq!(floor.play(cancel(C, 3, 0)), [canceled(C, 1, 0, User), fills(A, C, 2, 106)]);
    }

    #[test]
    fn a_touch_that_moves_lets_a_peg_meet_a_hidden_order_and_the_later_of_the_two_is_the_incoming_one() {
        let better_bid = |mut floor: Floor| floor.play(buy(D, 1, 102));
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 1, 900).pegged(Peg::Primary, 2));
        floor.play(sell(C, 1, 103).hidden());
        assert_eq!(better_bid(floor), [accepted(D), rests(D, 1), fills(A, C, 1, 104)]);
        let mut floor = quoted(100, 110);
        floor.play(sell(C, 1, 103).hidden());
        floor.play(buy(A, 1, 900).pegged(Peg::Primary, 2));
        assert_eq!(better_bid(floor), [accepted(D), rests(D, 1), fills(C, A, 1, 103)]);
    }

    #[test]
    fn a_peg_that_gives_less_than_a_hidden_order_wants_looks_behind_it() {
        let mut floor = quoted(100, 110);
        floor.play(sell(C, 10, 103).hidden_least(5));
        floor.play(sell(B, 10, 104).hidden());
        let events = floor.play(buy(A, 3, 900).pegged(Peg::Midpoint, 0));
        assert_eq!(events, [accepted(A), rests(A, 3), fills(B, A, 3, 104)]);
    }

    #[test]
    fn what_settles_is_longer_than_a_buffer_and_goes_on_in_turns() {
        let mut floor = quoted(100, 110);
        for _ in 0..300 {
            floor.play(buy(A, 1, 900).pegged(Peg::Primary, 1));
        }
        floor.play(sell(C, 300, 102).hidden());
        let mut better_bid = buy(D, 1, 101);
        (better_bid.verdict.slot, better_bid.command.user_ref) = (Slot(900), UserRef(900));
        let mut events = Events::new();
        let mut progress = floor.shard.execute(&better_bid, &mut events);
        let mut counts = vec![events.len()];
        while progress == Progress::More {
            progress = floor.shard.resume(&mut events);
            counts.push(events.len());
        }
        assert!(counts.len() > 2 && counts.iter().all(|&count| count <= EVENTS_MAX), "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>(), 302, "accepted, rests, and a trade for each peg");
        assert!(bids(&floor).is_empty());
    }
}

mod requests {
    use super::*;

    #[test]
    fn cancel_to_a_total_and_modify_keep_its_place() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 5, 900).pegged(Peg::Midpoint, 0));
        floor.play(buy(C, 5, 900).pegged(Peg::Midpoint, 0));
        assert_eq!(floor.play(cancel(A, 3, 4)), [canceled(A, 1, 4, User)]);
        assert_eq!(floor.play(modify(A, 3, SideCode::Buy, 3)).len(), 1);
        let events = floor.play(sell(B, 4, 105));
        assert_eq!(events, [accepted(B), fills(A, B, 3, 105), fills(C, B, 1, 105)]);
    }

    #[test]
    fn replace_keeps_kind_and_offset_unless_it_names_them_and_loses_the_place() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 5, 900).pegged(Peg::Primary, 3));
        floor.play(buy(C, 5, 900).pegged(Peg::Primary, 3));
        // The OMS names what the request does not.
        let kept = replace(A, 3, 5, 900).hidden().with(|command| command.price_type = b'R');
        assert_eq!(floor.play(kept), [replaced(A, 5, true)]);
        assert_eq!(floor.play(sell(B, 6, 103)), [accepted(B), fills(C, B, 5, 103), fills(A, B, 1, 103)]);
        let offset = kept.tag(7).with(|command| command.peg_offset = -2);
        assert_eq!((floor.play(offset), bids(&floor)), (vec![replaced(A, 4, true)], vec![Some(98)]));
        let kind = kept.tag(6).with(|command| command.price_type = b'm');
        assert_eq!((floor.play(kind), bids(&floor)), (vec![replaced(A, 4, true)], vec![Some(105)]), "no offset");
    }

    #[test]
    fn replace_makes_a_peg_of_a_plain_order_and_a_plain_order_of_a_peg() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 5, 104));
        assert_eq!(floor.play(replace(A, 3, 5, 900).pegged(Peg::Primary, 0)), [replaced(A, 5, true)]);
        assert_eq!(bids(&floor), [Some(100)], "it is no touch of its own");
        assert_eq!(floor.play(replace(A, 3, 5, 103).tag(6)), [replaced(A, 5, true)]);
        assert_eq!((bids(&floor), floor.shard.best(TickerId(0), Side::Buy)), (vec![], Some(Price(103))));
    }

    #[test]
    fn mass_cancel_lost_session_kill_and_expiry_take_pegs() {
        let mut floor = quoted(100, 110);
        let peg = |who| buy(who, 1, 900).pegged(Peg::Midpoint, 0);
        floor.play(peg(A));
        assert_eq!(floor.play(of_session(CommandKind::MassCancel, A)), [canceled(A, 1, 0, User)]);
        floor.play(peg(C));
        assert_eq!(floor.play(of_session(CommandKind::SessionLost, C)), [canceled(C, 1, 0, System)]);
        floor.play(peg(A).for_seconds(5));
        assert_eq!(floor.play(tick(6)), [canceled(A, 1, 0, Expired)]);
        floor.play(peg(A));
        let kill = of_session(CommandKind::KillOn, A).with(|command| command.scope = Scope::Account);
        assert_eq!(floor.play(kill), [canceled(A, 1, 0, CancelReason::Supervisory)]);
        assert!(bids(&floor).is_empty());
    }

    #[test]
    fn the_digest_tells_pegs_apart() {
        let end = |peg: Peg, offset: i32, limit: u32| {
            let mut floor = quoted(100, 110);
            floor.play(buy(A, 5, limit).pegged(peg, offset));
            floor.shard.digest()
        };
        let same = end(Peg::Midpoint, 1, 900);
        assert_eq!(same, end(Peg::Midpoint, 1, 900));
        let others = [end(Peg::Primary, 1, 900), end(Peg::Midpoint, 2, 900), end(Peg::Midpoint, 1, 901)];
        assert!(others.iter().all(|other| *other != same));
    }
}

mod phases {
    use super::*;

    #[test]
    fn a_peg_takes_no_part_in_a_cross_keeps_what_it_is_and_trades_when_trading_starts() {
        let mut floor = Floor::opening();
        floor.play(buy(A, 5, FREE_BUY).market().pegged(Peg::Midpoint, 0));
        floor.play(buy(D, 10, 100));
        floor.play(sell(D, 10, 110));
        floor.play(sell(C, 5, 104).hidden());
        let events = floor.enter(Phase::Trading);
        // The hidden offer is the later one, so that the peg's price holds.
        assert_eq!(events, [cross_done(0, 0), trades(), fills(A, C, 5, 105)]);
    }

    #[test]
    fn halted_pegs_stay_and_the_close_ends_those_of_the_day() {
        let mut floor = quoted(100, 110);
        floor.play(buy(A, 5, 900).pegged(Peg::Midpoint, 0));
        floor.play(sell(C, 5, FREE_SELL).market().pegged(Peg::Primary, 0).good_till_cancel());
        floor.play(venue(CommandKind::Halt));
        assert_eq!(bids(&floor).len(), 1);
        floor.play(venue(CommandKind::Resume));
        let events = floor.enter(Phase::Closed);
        assert!(events.contains(&canceled(A, 5, 0, Expired)), "{events:?}");
        assert_eq!((bids(&floor).len(), prices(&floor, Side::Sell)), (0, vec![None]));
    }

    #[test]
    fn a_band_bounds_what_a_peg_costs() {
        let mut floor = Floor::with(|auction| auction.band_static = 500);
        floor.play(venue(CommandKind::DayStart));
        floor.play(to_phase(Phase::Halted));
        floor.play(buy(D, 1, 500));
        floor.play(sell(D, 1, 700));
        floor.enter(Phase::Trading);
        floor.play(buy(A, 1, 900).pegged(Peg::Market, -1));
        // The reference of the configuration is 500.
        assert_eq!(bids(&floor), [Some(525)]);
    }
}
