//! What the generator imitates: figures counted in a real sample, with the tables the generator draws from.
//!
//! The sample is the first 600 events of AAPL on 21 June 2012 (27.4 s from the opening bell, LOBSTER, one venue). Weights
//! are counts in it, neighbours with single counts drawn together; the generated column is a million events of one
//! ticker with default options and seed 1, as the generator's test checks.
//!
//! | figure | sample | generated |
//! |---|---:|---:|
//! | new order, of all events | 47.8 % | 45.0 % |
//! | deletion | 34.3 % | 37.0 % |
//! | execution of a displayed order | 11.8 % | 11.8 % |
//! | execution of a hidden order | 6.0 % | 6.0 % |
//! | partial cancel; replace | 0; 0 | 0; 0 (options) |
//! | executions that complete the order | 66.2 % | 67.3 % |
//! | new orders that better the best price | 33.9 % | 31.3 % |
//! | new orders at the best price | 16.4 % | 17.0 % |
//! | new orders 1 to 5 ticks behind it | 28.0 % | 28.9 % |
//! | deletions at the best price | 33.5 % | 33.5 % |
//! | deletions 1 to 5 ticks behind it | 49.0 % | 40.0 % |
//! | mean spread, ticks | 22.7 | 21.4 |
//! | size of new orders: 18; 100; 320 | 39.7; 17.4; 5.2 % | 39.6; 17.5; 5.2 % |
//! | gaps of 0; below 100 us; below 1 ms | 15.2; 50.6; 67.1 % | 19.9; 53.3; 68.9 % (of steps) |
//! | a gap below 1 ms after one below 1 ms; after one above | 72.1; 56.6 % | as sample |
//! | mean gap | 45.8 ms | 46 ms a step |
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

/// New orders that better the best price of their side, of [`PLACED`] whose distance is known; see [`SPREAD`].
pub const BETTER: u32 = 97;
/// New orders after the first line.
pub const PLACED: u32 = 286;
/// Ticks by which they better it.
pub const BETTERED: [(u32, u32); 10] =
    [(1, 35), (2, 10), (3, 35), (4, 1), (5, 2), (6, 3), (7, 1), (11, 5), (19, 2), (26, 3)];
/// Ticks the others are behind it.
pub const BEHIND: [(u32, u32); 20] = [
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
/// Spread in ticks at which prices are bettered as often as in the sample: more often when it is wider, less often when
/// it is narrower, in proportion. Drawn at one rate whatever the spread, it closes to one tick and stays there. A
/// little above the sample's mean of 22.7, because wide spreads weigh more.
pub const SPREAD: u32 = 24;
/// A price is bettered by at most this part of the spread, else by one tick: with larger steps the spread is smaller
/// than the sample's and prices are bettered less often.
pub const SPREAD_PART: u32 = 8;

/// Where deleted orders rested, in ticks behind the best price of their side.
pub const DISTANCES_DELETE: [(u32, u32); 16] = [
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

/// Gaps of less than [`GAP_SHORT_NS`], as ranges in ns (upper bound excluded) from which they are drawn evenly.
pub const GAPS_SHORT: [((u64, u64), u32); 11] = [
    ((0, 1), 91),
    ((400, 1_000), 20),
    ((1_000, 3_200), 21),
    ((3_200, 10_000), 26),
    ((10_000, 18_000), 17),
    ((18_000, 32_000), 53),
    ((32_000, 56_000), 40),
    ((56_000, 100_000), 35),
    ((100_000, 180_000), 49),
    ((180_000, 320_000), 25),
    ((320_000, 1_000_000), 25),
];
/// All other gaps. The longest of the sample is 1.95 s.
pub const GAPS_LONG: [((u64, u64), u32); 11] = [
    ((1_000_000, 3_200_000), 31),
    ((3_200_000, 10_000_000), 26),
    ((10_000_000, 18_000_000), 18),
    ((18_000_000, 32_000_000), 16),
    ((32_000_000, 56_000_000), 20),
    ((56_000_000, 100_000_000), 18),
    ((100_000_000, 180_000_000), 27),
    ((180_000_000, 320_000_000), 19),
    ((320_000_000, 560_000_000), 10),
    ((560_000_000, 1_000_000_000), 7),
    ((1_000_000_000, 2_000_000_000), 5),
];
/// What counts as a short gap.
pub const GAP_SHORT_NS: u64 = 1_000_000;
/// Of 402 gaps that follow a short one, so many are short.
pub const SHORT_AFTER_SHORT: (u32, u32) = (290, 402);
/// Of 196 gaps that follow a long one, so many are short.
pub const SHORT_AFTER_LONG: (u32, u32) = (111, 196);

/// Mean of the gaps that the tables and their alternation give, in ns.
pub const MEAN_GAP_NS: u64 = {
    let (short, long) = (mean_of(&GAPS_SHORT), mean_of(&GAPS_LONG));
    // In the long run short gaps stand to long ones as leaving the long state to leaving the short one.
    let to_short = SHORT_AFTER_LONG.0 as u64 * SHORT_AFTER_SHORT.1 as u64;
    let to_long = (SHORT_AFTER_SHORT.1 - SHORT_AFTER_SHORT.0) as u64 * SHORT_AFTER_LONG.1 as u64;
    ((short as u128 * to_short as u128 + long as u128 * to_long as u128) / (to_short + to_long) as u128) as u64
};

const fn mean_of(table: &[((u64, u64), u32)]) -> u64 {
    let (mut sum, mut index) = (0, 0);
    while index < table.len() {
        let ((low, high), weight) = table[index];
        sum += (low + high) / 2 * weight as u64;
        index += 1;
    }
    sum / weights(table) as u64
}
