//! Generated flow: it plays without end, stays what its own book says, and has the figures of the sample.

use crate::book::Book;
use pitlane::measure::flow::generator::{Generator, GeneratorOptions, GeneratorTicker};
use pitlane::measure::flow::{FlowAction, FlowStep, Pace, Paced};
use pitlane::types::{
    AuctionSpec, Display, Fees, MatcherId, Price, Quantity, Side, Symbol, TickerId, TickerSpec, TimeInForce,
};
use std::collections::HashMap;

fn spec(reference: u32, price_max: u32, lot: u32) -> TickerSpec {
    TickerSpec {
        symbol: Symbol::from_text("AAPL").unwrap(),
        tick: Price(100),
        lot: Quantity(lot),
        price_min: Price(100),
        price_max: Price(price_max),
        reference: Price(reference),
        matcher: MatcherId(0),
        fees: Fees::default(),
        auction: AuctionSpec::default(),
    }
}

fn ticker(id: u16) -> GeneratorTicker {
    GeneratorTicker::new(TickerId(id), &spec(5_850_000, 20_000_000, 1)).unwrap()
}

/// What a ticker's steps came to, in the words of the calibration table.
#[derive(Default)]
struct Tally {
    events: u64,
    new: u64,
    deleted: u64,
    executed: u64,
    completed: u64,
    hidden: u64,
    new_better: u64,
    new_at: u64,
    new_near: u64,
    deleted_at: u64,
    deleted_near: u64,
    spreads: u64,
    sizes: HashMap<u32, u64>,
}

impl Tally {
    /// Counts a step before the book plays it.
    fn on_step(&mut self, book: &Book, step: &FlowStep) {
        let best = |side| book.best(side).map_or(0, |p: Price| i64::from(p.0));
        let behind = |side, price: Price| match side {
            Side::Buy => (best(side) - i64::from(price.0)) / 100,
            Side::Sell => (i64::from(price.0) - best(side)) / 100,
        };
        match step.action {
            FlowAction::Enter { display: Display::Hidden, .. } => self.hidden += 1,
            FlowAction::Enter { time_in_force: TimeInForce::Day, side, price, quantity, .. } => {
                self.new += 1;
                let distance = behind(side.side(), price);
                self.new_better += u64::from(distance < 0);
                self.new_at += u64::from(distance == 0);
                self.new_near += u64::from((1..=5).contains(&distance));
                *self.sizes.entry(quantity.0).or_default() += 1;
            }
            FlowAction::Enter { .. } => self.executed += 1,
            FlowAction::Cancel { key } => {
                let (side, price) = book.place(key).unwrap();
                self.deleted += 1;
                self.deleted_at += u64::from(behind(side, price) == 0);
                self.deleted_near += u64::from((1..=5).contains(&behind(side, price)));
            }
            FlowAction::Replace { .. } | FlowAction::Reduce { .. } => {}
        }
        self.spreads += ((best(Side::Sell) - best(Side::Buy)) / 100) as u64;
        self.events += 1;
    }
}

fn assert_near(what: &str, per_mille: u64, wanted: u64, tolerance: u64) {
    println!("{what}: {}.{} %", per_mille / 10, per_mille % 10);
    assert!(per_mille.abs_diff(wanted) <= tolerance, "{what}: {per_mille} per mille, sample {wanted}");
}

#[test]
fn a_million_steps_have_the_figures_of_the_sample() {
    let mut generator = Generator::new(GeneratorOptions::new(1, vec![ticker(0)]));
    let (mut book, mut tally) = (Book::default(), Tally::default());
    let opening = generator.opening_steps();
    generator.by_ref().take(opening).for_each(|step| book.play(&step));
    for step in generator.take(1_000_000) {
        tally.on_step(&book, &step);
        let orders = book.orders();
        book.play(&step);
        let is_taker = matches!(step.action, FlowAction::Enter { time_in_force: TimeInForce::ImmediateOrCancel, .. });
        tally.completed += u64::from(is_taker && book.orders() < orders);
        assert!(book.orders() >= 16, "the book runs dry");
    }
    assert_eq!((book.late, book.self_matches), (0, 0), "the generator's book and the plain one are the same");
    // A hidden execution is one event of two steps.
    let (events, displayed) = (tally.events - tally.hidden, tally.executed - tally.hidden);
    assert_near("new", tally.new * 1_000 / events, 478, 40);
    assert_near("deleted", tally.deleted * 1_000 / events, 343, 40);
    assert_near("executed", displayed * 1_000 / events, 118, 10);
    assert_near("executed hidden", tally.hidden * 1_000 / events, 60, 10);
    // A hidden execution too ends an order: the hidden one.
    assert_near("completed", (tally.completed - tally.hidden) * 1_000 / displayed, 662, 60);
    assert_near("new better", tally.new_better * 1_000 / tally.new, 339, 40);
    assert_near("new at best", tally.new_at * 1_000 / tally.new, 164, 40);
    assert_near("new 1 to 5 behind", tally.new_near * 1_000 / tally.new, 280, 30);
    assert_near("deleted at best", tally.deleted_at * 1_000 / tally.deleted, 335, 60);
    assert_near("deleted 1 to 5 behind", tally.deleted_near * 1_000 / tally.deleted, 490, 100);
    assert_near("size 18", tally.sizes[&18] * 1_000 / tally.new, 397, 10);
    assert_near("size 100", tally.sizes[&100] * 1_000 / tally.new, 174, 10);
    assert_near("size 320", tally.sizes[&320] * 1_000 / tally.new, 52, 5);
    let spread = tally.spreads * 10 / tally.events;
    println!("spread {}.{} ticks, {} orders at the end", spread / 10, spread % 10, book.orders());
    assert!((100..350).contains(&spread), "mean spread {spread} tenths of a tick; sample 227");
}

#[test]
fn gaps_are_as_bursty_as_the_sample() {
    let mut generator = Generator::new(GeneratorOptions::new(2, vec![ticker(0)]));
    let opening = generator.opening_steps();
    let mut times: Vec<u64> = generator.by_ref().skip(opening).take(400_000).map(|step| step.at_ns).collect();
    let mean = (times[times.len() - 1] - times[0]) / (times.len() as u64 - 1);
    println!("mean gap {mean} ns of a step, by the tables {}", Generator::MEAN_GAP_NS);
    assert!(mean.abs_diff(Generator::MEAN_GAP_NS) < Generator::MEAN_GAP_NS / 30);
    // The sample's gaps are between events; a hidden execution's second step adds a gap of 0 that is none.
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let share = |below: u64| gaps.iter().filter(|&&gap| gap < below).count() as u64 * 1_000 / gaps.len() as u64;
    assert_near("gaps of 0", share(1), 152, 60);
    assert_near("gaps below 100 us", share(100_000), 506, 50);
    assert_near("gaps below 1 ms", share(1_000_000), 671, 40);
    times.dedup();
    assert!(times.is_sorted());
}

#[test]
fn the_same_seed_gives_the_same_flow() {
    let flow = |seed| Generator::new(GeneratorOptions::new(seed, vec![ticker(0), ticker(3)])).take(20_000);
    assert!(flow(9).eq(flow(9)));
    assert!(!flow(9).eq(flow(10)));
}

#[test]
fn every_ticker_and_session_gets_its_part() {
    let mut options = GeneratorOptions::new(5, vec![ticker(0), ticker(1), ticker(2)]);
    (options.makers, options.takers) = (4, 2);
    let (mut by_ticker, mut by_session) = ([0; 3], [0; 6]);
    for step in Generator::new(options).take(60_000) {
        by_ticker[step.ticker.index()] += 1;
        by_session[usize::from(step.session)] += 1;
        if let FlowAction::Enter { time_in_force: TimeInForce::ImmediateOrCancel, .. } = step.action {
            assert!(step.session >= 4, "takers take");
        } else {
            assert!(step.session < 4, "makers rest");
        }
    }
    assert!(
        by_ticker.iter().all(|&n| n > 18_000) && by_session.iter().all(|&n| n > 4_000),
        "{by_ticker:?} {by_session:?}"
    );
}

#[test]
fn replaces_and_reductions_come_when_asked_for() {
    let mut options = GeneratorOptions::new(6, vec![ticker(0)]);
    (options.reduced_per_mille, options.replaced_per_mille) = (200, 500);
    let (mut reduced, mut replaced, mut cancelled) = (0, 0, 0);
    let mut book = Book::default();
    for step in Generator::new(options).take(100_000) {
        match step.action {
            FlowAction::Reduce { key, by } => {
                reduced += 1;
                assert!(by < book.quantity(key).unwrap(), "a reduction leaves something");
            }
            FlowAction::Replace { .. } => replaced += 1,
            FlowAction::Cancel { .. } => cancelled += 1,
            FlowAction::Enter { .. } => {}
        }
        book.play(&step);
    }
    assert_eq!((book.late, book.self_matches), (0, 0));
    assert!(reduced > 3_000 && replaced > 15_000 && cancelled > 8_000, "{reduced} {replaced} {cancelled}");
}

#[test]
fn whole_lots_and_prices_in_range_whatever_the_ticker() {
    // A cheap ticker whose range starts right below it, one whose range ends right above, and round lots.
    for (reference, price_max, lot) in [(5_000, 2_000_000, 1), (30_000, 30_100, 1), (1_000_000, 2_000_000, 100)] {
        let spec = spec(reference, price_max, lot);
        let ticker = GeneratorTicker::new(TickerId(0), &spec).unwrap();
        let mut book = Book::default();
        let mut options = GeneratorOptions::new(7, vec![ticker]);
        options.resting = 64;
        for step in Generator::new(options).take(50_000) {
            if let FlowAction::Enter { quantity, price, .. } = step.action {
                assert!(quantity.0 > 0 && quantity.0.is_multiple_of(lot) && quantity <= Quantity::ORDER_MAX);
                assert!(price >= spec.price_min && price <= spec.price_max && price.0.is_multiple_of(100));
            }
            book.play(&step);
        }
        assert_eq!((book.late, book.self_matches), (0, 0));
    }
    assert!(GeneratorTicker::new(TickerId(0), &spec(5_000, 10_000, 1)).is_none(), "100 prices are too few");
}

#[test]
fn a_rate_set_from_the_mean_gap_is_met() {
    let steps = 200_000;
    let generator = Generator::new(GeneratorOptions::new(8, vec![ticker(0)]));
    let pace = Pace::Scaled { mean_gap_ns: Generator::MEAN_GAP_NS, per_second: 100_000 };
    let last = Paced::new(generator, pace).take(steps).last().unwrap();
    let wanted = steps as u64 * 10_000;
    assert!(last.at_ns.abs_diff(wanted) < wanted / 20, "{} ns for {wanted}", last.at_ns);
}
