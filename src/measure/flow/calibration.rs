//! What the generator imitates: figures counted in a real sample, with the tables the generator draws from.
//!
//! The sample is the first 600 events of AAPL on 21 June 2012 (27.4 s from the opening bell, LOBSTER, one venue). Weights
//! are counts in it, neighbours with single counts drawn together; the generated column is a million events of one
//! ticker with default options and seed 1, as the generator's test checks.
//!
//! | figure | sample | generated |
//! |---|---:|---:|
//! | new order, of all events | 47.8 % | @NEW |
//! | deletion | 34.3 % | @DEL |
//! | execution of a displayed order | 11.8 % | @EXE |
//! | execution of a hidden order | 6.0 % | @HID |
//! | partial cancel; replace | 0; 0 | 0; 0 (options) |
//! | executions that complete the order | 66 % | 66 % |
//! | new orders that better the best price | 33.9 % | @IMP |
//! | new orders at the best price | 16.4 % | @AT |
//! | new orders 1 to 5 ticks behind it | 28.0 % | @NEAR |
//! | deletions at the best price | 33.5 % | @DAT |
//! | deletions 1 to 5 ticks behind it | 49.0 % | @DNEAR |
//! | mean spread, ticks | 22.7 | @SPREAD |
//! | size of new orders: 18; 100; 320 | 39.7; 17.4; 5.2 % | as sample |
//! | gaps of 0; below 100 us; below 1 ms | 15.2; 50.6; 67.1 % | as sample |
//! | a gap below 1 ms after one below 1 ms; after one above | 72.1; 56.6 % | as sample |
//! | mean gap | 45.8 ms | @GAP |
//!
//! Two figures are not imitated, because the sample is the minute after an opening: its book grows (a book that lasts
//! has as many orders leaving as coming, so the shares of new orders and deletions meet in the middle), and it leans
//! to one side (37 % of new orders buy; generated: half, with a pull back to where the ticker started).

use super::random::weights;

/// Kinds of event, as the sample has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A displayed order comes to rest.
    New,
    /// An order is taken back (or, by option, reduced or replaced).
    Delete,
    /// An incoming order meets the oldest order at the best price.
    Execute,
    /// An incoming order meets a hidden one inside the spread.
    ExecuteHidden,
}

/// Events of the sample.
pub const KINDS: [(Kind, u32); 4] =
    [(Kind::New, 287), (Kind::Delete, 206), (Kind::Execute, 71), (Kind::ExecuteHidden, 36)];
/// The same in a book that has its full number of orders: fewer come and more go, enough to turn growth around.
pub const KINDS_FULL: [(Kind, u32); 4] =
    [(Kind::New, 259), (Kind::Delete, 234), (Kind::Execute, 71), (Kind::ExecuteHidden, 36)];

/// Sizes of new orders.
pub const SIZES_NEW: [(u32, u32); 24] = [
    (18, 114),
    (100, 50),
    (320, 15),
    (5, 9),
    (2, 7),
    (4, 7),
    (20, 7),
    (10, 6),
    (8, 5),
    (1, 4),
    (3, 4),
    (15, 4),
    (16, 4),
    (50, 4),
    (7, 3),
    (14, 3),
    (25, 3),
    (169, 3),
    (200, 3),
    (12, 5),
    (42, 11),
    (62, 8),
    (130, 5),
    (400, 3),
];
/// Sizes of hidden orders executed.
pub const SIZES_HIDDEN: [(u32, u32); 9] =
    [(100, 10), (200, 4), (300, 2), (77, 2), (48, 6), (26, 3), (20, 3), (11, 3), (2, 3)];

/// Where new orders are placed, in ticks behind the best price of their side; negative is better than it.
pub const DISTANCES_NEW: [(i32, u32); 30] = [
    (-26, 3),
    (-19, 2),
    (-11, 5),
    (-7, 1),
    (-6, 3),
    (-5, 2),
    (-4, 1),
    (-3, 35),
    (-2, 10),
    (-1, 35),
    (0, 47),
    (1, 39),
    (2, 24),
    (3, 13),
    (4, 3),
    (5, 1),
    (6, 4),
    (8, 3),
    (9, 4),
    (10, 4),
    (12, 5),
    (13, 15),
    (14, 2),
    (19, 7),
    (25, 4),
    (27, 3),
    (33, 4),
    (44, 3),
    (63, 2),
    (108, 2),
];
/// Where deleted orders rested, in ticks behind the best price of their side.
pub const DISTANCES_DELETE: [(i32, u32); 16] = [
    (0, 69),
    (1, 38),
    (2, 23),
    (3, 23),
    (4, 10),
    (5, 7),
    (6, 4),
    (10, 3),
    (12, 5),
    (16, 4),
    (19, 3),
    (25, 7),
    (30, 3),
    (38, 5),
    (96, 1),
    (146, 1),
];

/// Executions that complete the resting order, of [`EXECUTIONS`].
pub const EXECUTIONS_COMPLETE: u32 = 47;
/// Executions of displayed orders.
pub const EXECUTIONS: u32 = 71;

/// Gaps below [`GAP_SHORT_NS`]: lower bound of their decade in ns (0: no gap at all).
pub const GAPS_SHORT: [(u64, u32); 5] = [(0, 91), (100, 20), (1_000, 47), (10_000, 145), (100_000, 99)];
/// Gaps above it.
pub const GAPS_LONG: [(u64, u32); 4] = [(1_000_000, 57), (10_000_000, 72), (100_000_000, 63), (1_000_000_000, 5)];
/// What counts as a short gap.
pub const GAP_SHORT_NS: u64 = 1_000_000;
/// Longest gap. The sample's is 1.95 s; the decade it lies in would go on to 10 s.
pub const GAP_MAX_NS: u64 = 2_000_000_000;
/// Of 402 gaps that follow a short one, so many are short.
pub const SHORT_AFTER_SHORT: (u32, u32) = (290, 402);
/// Of 196 gaps that follow a long one, so many are short.
pub const SHORT_AFTER_LONG: (u32, u32) = (111, 196);

/// Bounds of eight steps of equal ratio in a decade, in thousandths: a gap is drawn evenly inside one of them.
/// Near enough to evenly on a logarithmic scale, and in whole numbers.
pub const DECADE: [u64; 9] = [1_000, 1_334, 1_778, 2_371, 3_162, 4_217, 5_623, 7_499, 10_000];

/// Mean of the gaps that [`GAPS_SHORT`], [`GAPS_LONG`] and their alternation give, in ns.
pub const MEAN_GAP_NS: u64 = {
    let (short, long) = (mean_of(&GAPS_SHORT), mean_of(&GAPS_LONG));
    // In the long run short gaps stand to long ones as leaving the long state to leaving the short one.
    let to_short = SHORT_AFTER_LONG.0 as u64 * SHORT_AFTER_SHORT.1 as u64;
    let to_long = (SHORT_AFTER_SHORT.1 - SHORT_AFTER_SHORT.0) as u64 * SHORT_AFTER_LONG.1 as u64;
    ((short as u128 * to_short as u128 + long as u128 * to_long as u128) / (to_short + to_long) as u128) as u64
};

const fn mean_of(table: &[(u64, u32)]) -> u64 {
    let (mut sum, mut index) = (0, 0);
    while index < table.len() {
        let (low, weight) = table[index];
        let mut step = 0;
        let mut decade = 0;
        while step < DECADE.len() - 1 {
            // Halfway through the step; the sum over eight steps, in 1/8 ns.
            let (from, to) = (low * DECADE[step] / 1_000, low * DECADE[step + 1] / 1_000);
            decade += (at_most(from, GAP_MAX_NS) + at_most(to, GAP_MAX_NS)) / 2;
            step += 1;
        }
        sum += decade / 8 * weight as u64;
        index += 1;
    }
    sum / weights(table) as u64
}

const fn at_most(value: u64, bound: u64) -> u64 {
    if value < bound { value } else { bound }
}
