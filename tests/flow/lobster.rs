//! Recorded flow: the replayed book must be the recorded one.

use crate::book::Book;
use pitlane::measure::flow::lobster::{Agreement, Cause, Recording, Replay, ReplayOptions};
use pitlane::measure::flow::{FlowAction, FlowStep};
use pitlane::types::{Price, Quantity, Side, TickerId};

/// Directory of `messages.csv` and `orderbook10.csv`, for the test against a real recording.
const DIRECTORY_VARIABLE: &str = "PITLANE_LOBSTER_DIR";

fn options(reveal: bool, infer: bool) -> ReplayOptions {
    ReplayOptions { reveal, infer, ..ReplayOptions::new(TickerId(0)) }
}

fn play(recording: &Recording, options: ReplayOptions) -> (Agreement, Replay, Book) {
    let replay = Replay::new(recording, options);
    let (mut book, mut agreement) = (Book::default(), Agreement::default());
    replay.seeds.iter().for_each(|step| book.play(step));
    for (index, recorded) in recording.books.iter().enumerate() {
        replay.event(index).iter().for_each(|step| book.play(step));
        agreement.compare(&replay, index, recorded, &book.snapshot());
    }
    (agreement, replay, book)
}

fn actions(steps: &[FlowStep]) -> Vec<FlowAction> {
    steps.iter().map(|step| step.action).collect()
}

/// Ten bids from `best` down by 100, all of size 50, without those named as missing; `size` for those named.
fn bids(best: u32, named: &[(u32, u64)]) -> String {
    let mut levels = Vec::new();
    let mut price = best;
    while levels.len() < 10 {
        let size = named.iter().find(|(p, _)| *p == price).map_or(50, |&(_, size)| size);
        if size > 0 {
            levels.push(format!("9999999999,0,{price},{size}"));
        }
        price -= 100;
    }
    levels.join(",")
}

#[test]
fn seeds_are_the_first_line_without_its_own_event() {
    let books = "10100,30,10000,118";
    let recording = Recording::parse("1.0,1,7,18,10000,1", books).unwrap();
    let (agreement, replay, _) = play(&recording, options(true, true));
    let seeded: Vec<_> = actions(&replay.seeds);
    let [FlowAction::Enter { side, quantity, price, .. }, FlowAction::Enter { quantity: ask, .. }] = seeded[..] else {
        panic!("two seeds, not {seeded:?}");
    };
    assert_eq!((side.side(), quantity, price, ask), (Side::Buy, Quantity(100), Price(10_000), Quantity(30)));
    assert_eq!((agreement.share(), agreement.books_equal), (10_000, 1));
}

#[test]
fn a_first_event_that_empties_a_level_has_its_order_seeded() {
    let recording = Recording::parse("1.0,3,7,18,10000,1", "10100,30,9900,5").unwrap();
    let (agreement, replay, book) = play(&recording, options(true, true));
    assert_eq!((replay.seeds.len(), replay.counts.orders_unknown), (3, 1));
    assert_eq!((agreement.books_equal, book.late), (1, 0));
}

#[test]
fn each_kind_of_event_becomes_what_a_client_would_have_sent() {
    let messages =
        "1.0,1,7,100,10000,1\n1.5,2,7,40,10000,1\n2.0,4,7,10,10000,1\n2.0,5,0,25,10050,-1\n3.0,3,7,50,10000,1";
    let books = "10100,30,10000,100\n10100,30,10000,60\n10100,30,10000,50\n10100,30,10000,50\n10100,30,-9999999999,0";
    let recording = Recording::parse(messages, books).unwrap();
    let (agreement, replay, book) = play(&recording, options(true, true));
    assert_eq!(agreement.books_equal, 5);
    let price = Price(10_000);
    assert_eq!(actions(replay.event(0)), [FlowAction::rest(7, Side::Buy, Quantity(100), price)]);
    assert_eq!(actions(replay.event(1)), [FlowAction::Reduce { key: 7, by: Quantity(40) }]);
    let taken = replay.event(2);
    assert_eq!(actions(taken), [FlowAction::take(taken[0].action.key(), Side::Sell, Quantity(10), price)]);
    assert_eq!((taken[0].session, taken[0].at_ns), (1, 1_000_000_000));
    let hidden = replay.event(3);
    let (first, second) = (hidden[0].action.key(), hidden[1].action.key());
    let inside = Price(10_050);
    assert_eq!(
        actions(hidden),
        [
            FlowAction::hide(first, Side::Sell, Quantity(25), inside),
            FlowAction::take(second, Side::Buy, Quantity(25), inside)
        ]
    );
    assert_eq!(actions(replay.event(4)), [FlowAction::Cancel { key: 7 }]);
    assert_eq!(book.trades, [(price, 10, true), (inside, 25, false)]);
}

#[test]
fn a_level_that_scrolls_into_view_was_there_from_the_start() {
    let messages = "1.0,1,7,18,20000,1\n2.0,3,7,18,20000,1\n3.0,3,8,50,19900,1";
    let books = [bids(20_000, &[(20_000, 18)]), bids(19_900, &[]), bids(19_800, &[])].join("\n");
    let recording = Recording::parse(messages, &books).unwrap();
    let (agreement, replay, _) = play(&recording, options(true, true));
    assert_eq!((agreement.books_equal, replay.counts.seeds_revealed), (3, 2));
    let (agreement, ..) = play(&recording, options(false, false));
    assert_eq!((agreement.levels_equal, agreement.count(Cause::NotVisibleAtStart)), (27, 3));
}

#[test]
fn a_change_out_of_view_is_played_before_it_is_seen() {
    let messages = "1.0,1,7,18,20000,1\n2.0,3,7,18,20000,1\n3.0,1,9,18,20000,1\n4.0,3,9,18,20000,1";
    let books = [
        bids(20_000, &[(20_000, 18)]),
        bids(19_900, &[]),
        bids(20_000, &[(20_000, 18)]),
        bids(19_900, &[(19_000, 20)]),
    ];
    let recording = Recording::parse(messages, &books.join("\n")).unwrap();
    let (agreement, replay, _) = play(&recording, options(true, true));
    assert_eq!((agreement.books_equal, replay.counts.changes_unseen), (4, 1));
    let (agreement, ..) = play(&recording, options(true, false));
    assert_eq!((agreement.books_equal, agreement.count(Cause::ChangedOutOfView)), (3, 1));
}

#[test]
fn an_order_executed_out_of_turn_leaves_its_level_as_recorded() {
    let messages = "1.0,1,7,10,10000,1\n2.0,1,8,20,10000,1\n3.0,4,8,15,10000,1\n4.0,3,8,5,10000,1\n5.0,3,7,10,10000,1";
    let books = "10100,1,10000,10\n10100,1,10000,30\n10100,1,10000,15\n10100,1,10000,10\n10100,1";
    let recording = Recording::parse(messages, books).unwrap();
    let (agreement, replay, book) = play(&recording, options(true, true));
    assert_eq!((agreement.books_equal, book.late, book.orders()), (5, 0, 1));
    assert_eq!(replay.counts.executions_out_of_turn, 1, "the oldest order went first, as everywhere");
}

#[test]
fn what_our_rules_would_play_differently_is_counted() {
    let messages = "1.0,1,7,10,10000,1\n2.0,1,8,20,9900,1\n3.0,4,8,20,9900,1\n4.0,5,0,9,10000,1\n5.0,5,0,9,10100,1\n6.0,7,0,0,-1,-1";
    let books = "10100,1,10000,10\n10100,1,10000,10,0,0,9900,20\n10100,1,10000,10\n10100,1,10000,10\n10100,1,10000,10\n10100,1,10000,10"
        .replace(",0,0,9900", ",9999999999,0,9900");
    let recording = Recording::parse(messages, &books).unwrap();
    let (agreement, replay, book) = play(&recording, options(true, true));
    assert_eq!((agreement.books_equal, book.trades.len()), (6, 0));
    let counts = replay.counts;
    assert_eq!((counts.executions_behind_best, counts.hidden_not_inside, counts.skipped), (1, 2, 1));
}

/// Prints what the recording in the directory named by the environment comes to. Without one there is nothing to
/// compare with: the recording may not be copied here.
#[test]
fn a_real_recording_is_replayed_to_the_level() {
    let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) else {
        println!("skipped: {DIRECTORY_VARIABLE} names no directory with messages.csv and orderbook10.csv");
        return;
    };
    let recording = Recording::open(directory.as_ref()).unwrap();
    for (name, reveal, infer) in
        [("first line only", false, false), ("levels revealed", true, false), ("and unseen changes", true, true)]
    {
        let (agreement, replay, book) = play(&recording, options(reveal, infer));
        println!("{name}: {agreement}");
        println!("    {:?}, {} trades", replay.counts, book.trades.len());
        if infer {
            assert_eq!(agreement.share(), 10_000, "every level of every book");
            assert_eq!(book.late, 0, "no step finds its order gone");
        }
    }
}
