//! Which kinds of order go together: one table, and the few facts of each kind that stand alone. Warm.
//!
//! A plain order, for the day or immediate, at a limit or at the market, passes with one test of its option tags. What says
//! more is sorted into [`Kind`]s, and each pair of kinds has a cell in [`MATRIX`] with the refusal it meets. The book itself
//! has a meaning for every mixture, so that this is policy: what nobody can have meant is told to whoever sent it.
//!
//! A Replace is judged by what it says. What it leaves as it was may not fit what it says; then the book lets the part that
//! has no use any more rest: an immediate order shows no reserve, a displayed one asks for no least quantity.

use super::Request;
use super::ticker::Ticker;
use crate::types::{Command, Display, Peg, Price, Quantity, Reject, TimeInForce};

/// Most parts in which a reserve order may be shown: bounds how often one order refills.
pub const FLOORS_MAX: u32 = 1_000;
/// Longest life of an order with an expiry: a second less than a day (OUCH 5.0, option tag 15).
pub const EXPIRE_SECONDS_MAX: u32 = 86_399;

const TAG_FLOOR: u8 = 5;
const TAG_PEG: u8 = 6;
const TAG_OFFSET: u8 = 7;
const TAG_RANDOM: u8 = 13;
/// The house's tags 129 and 130 have these bits.
const TAG_KEPT: u8 = 0;
const TAG_POST_ONLY_ACTION: u8 = 8;
/// Options that make an order more than plain.
const TAGS_KIND: u32 = 1 << 3
    | 1 << TAG_FLOOR
    | 1 << TAG_PEG
    | 1 << TAG_OFFSET
    | 1 << TAG_RANDOM
    | 1 << 15
    | 1 << 31
    | 1 << TAG_KEPT
    | 1 << TAG_POST_ONLY_ACTION;

/// What an order can be beside a displayed limit order for the day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// At the market, and no stop.
    Market = 0,
    /// A stop that becomes a market order.
    Stop = 1,
    /// A stop that becomes a limit order.
    StopLimit = 2,
    /// Immediate or cancel.
    Immediate = 3,
    /// Fill or kill.
    Whole = 4,
    /// Good till time.
    Timed = 5,
    /// Good till cancel.
    Kept = 6,
    /// Not shown.
    Hidden = 7,
    /// Must not take.
    PostOnly = 8,
    /// Steps back rather than take.
    StepsBack = 9,
    /// Shows a part.
    Reserve = 10,
    /// Has a least quantity below its own.
    Minimum = 11,
    /// Follows the touch. It is hidden, which makes it no other kind.
    Pegged = 12,
}

/// How many there are.
const KINDS_COUNT: usize = 13;

/// All of them, in the order of rows and columns.
pub const KINDS: [Kind; KINDS_COUNT] = [
    Kind::Market,
    Kind::Stop,
    Kind::StopLimit,
    Kind::Immediate,
    Kind::Whole,
    Kind::Timed,
    Kind::Kept,
    Kind::Hidden,
    Kind::PostOnly,
    Kind::StepsBack,
    Kind::Reserve,
    Kind::Minimum,
    Kind::Pegged,
];

/// What two kinds in one order are refused for. Both halves are written out, so that a row reads by itself. Two kinds that
/// one field cannot say at once (a market and a stop-limit order, say) stand as allowed: nobody can send them.
pub const MATRIX: [[Reject; KINDS_COUNT]; KINDS_COUNT] = {
    const N: Reject = Reject::None;
    const F: Reject = Reject::InvalidMaxFloor;
    const T: Reject = Reject::TimeInForce;
    const P: Reject = Reject::InvalidPostOnly;
    const M: Reject = Reject::InvalidMinQuantity;
    const G: Reject = Reject::InvalidPegType;
    [
        // Mkt Stp SLm IOC FOK GTT GTC Hid Pst Bck Rsv Min Peg
        [N, N, N, N, N, T, T, N, P, P, F, N, N],
        [N, N, N, N, N, N, N, N, P, P, F, N, G],
        [N, N, N, N, N, N, N, N, P, P, N, N, G],
        [N, N, N, N, N, T, T, N, P, P, F, N, G],
        [N, N, N, N, N, T, T, N, P, P, F, N, G],
        [T, N, N, T, T, N, T, N, N, N, N, N, N],
        [T, N, N, T, T, T, N, N, N, N, N, N, N],
        [N, N, N, N, N, N, N, N, N, N, F, N, N],
        [P, P, P, P, P, N, N, N, N, N, N, N, G],
        [P, P, P, P, P, N, N, N, N, N, N, N, G],
        [F, F, N, F, F, N, N, F, N, N, N, M, G],
        [N, N, N, N, N, N, N, N, N, N, M, N, G],
        [N, G, G, G, G, N, N, N, G, G, G, G, N],
    ]
};

/// For each kind the others that it meets in [`MATRIX`] with a refusal, as bits.
const REFUSED: [u16; KINDS_COUNT] = {
    let mut refused = [0; KINDS_COUNT];
    let mut row = 0;
    while row < KINDS_COUNT {
        let mut column = 0;
        while column < KINDS_COUNT {
            assert!(MATRIX[row][column].code() == MATRIX[column][row].code(), "both halves say the same");
            if MATRIX[row][column].code() != 0 {
                refused[row] |= 1 << column;
            }
            column += 1;
        }
        row += 1;
    }
    refused
};

/// The kinds of an order, as bits. `opens`: a Replace at the market may be of a stop that it does not name.
pub fn kinds_of(command: &Command, opens: bool) -> u16 {
    // A peg without a limit says so as a market order does.
    let is_peg = command.peg().is_some();
    let is_market = command.price.is_market() && !is_peg;
    let is_stop = command.stop_at().is_some() || (is_market && !opens);
    let immediate = command.time_in_force == TimeInForce::ImmediateOrCancel;
    let whole = command.is_fill_or_kill();
    let floor = command.max_floor;
    let marks = [
        (Kind::Market, is_market && !is_stop),
        (Kind::Stop, (is_market || (is_peg && command.price.is_market())) && is_stop),
        (Kind::StopLimit, !command.price.is_market() && is_stop),
        (Kind::Immediate, immediate && !whole),
        (Kind::Whole, whole),
        (Kind::Timed, command.time_in_force == TimeInForce::GoodTillTime || command.expire_seconds != 0),
        (Kind::Kept, command.time_in_force == TimeInForce::GoodTillCancel),
        (Kind::Hidden, command.display == Display::Hidden && !is_peg),
        (Kind::PostOnly, command.post_only == 1),
        (Kind::StepsBack, command.post_only == 2),
        (Kind::Reserve, !floor.is_zero() && floor < command.quantity),
        (Kind::Minimum, !command.min_quantity.is_zero() && !whole),
        (Kind::Pegged, is_peg),
    ];
    marks.into_iter().filter(|(_, is)| *is).fold(0, |kinds, (kind, _)| kinds | 1 << kind as u16)
}

/// Checks 10 to 14: what a request says beyond a plain order.
#[inline(always)]
pub(super) fn fits(request: &Request<'_>, ticker: &Ticker) -> Result<(), Reject> {
    let command = request.command;
    let waits = !matches!(command.time_in_force, TimeInForce::Day | TimeInForce::ImmediateOrCancel);
    let is_limit = command.price_type == b'L';
    if command.tags & TAGS_KIND == 0 && !waits && command.post_only == 0 && is_limit {
        return Ok(());
    }
    fits_rare(request, ticker)
}

#[cold]
#[inline(never)]
fn fits_rare(request: &Request<'_>, ticker: &Ticker) -> Result<(), Reject> {
    let command = request.command;
    let random = Quantity(command.random_reserve);
    let fits = [
        (Reject::InvalidMaxFloor, floor_fits(command, ticker) && random_fits(command, random, request.opens, ticker)),
        (Reject::TimeInForce, expiry_fits(command, request.opens)),
        (Reject::InvalidPostOnly, !request.opens || command.post_only != 0 || !steps_back(command)),
        (Reject::InvalidStop, command.stop_at().is_none_or(|stop| stop != Price::MARKET && ticker.takes_price(stop))),
        (Reject::InvalidPegType, peg_fits(command, ticker)),
    ];
    if let Some((reject, _)) = fits.into_iter().find(|(_, fits)| !fits) {
        return Err(reject);
    }
    let kinds = kinds_of(command, request.opens);
    for (row, refused) in REFUSED.iter().enumerate().filter(|(row, _)| kinds & (1 << row) != 0) {
        let met = kinds & refused;
        if met != 0 {
            return Err(MATRIX[row][met.trailing_zeros() as usize]);
        }
    }
    Ok(())
}

/// A floor is whole lots, no more than the order, and no less than a thousandth of it. 0 shows all.
fn floor_fits(command: &Command, ticker: &Ticker) -> bool {
    let floor = command.max_floor;
    if !command.has_tag(TAG_FLOOR) || floor.is_zero() {
        return true;
    }
    let sound = ticker.takes_quantity(floor) && floor <= command.quantity;
    sound && command.quantity.0 <= floor.0.saturating_mul(FLOORS_MAX)
}

/// The random part of a refill is whole lots and below the floor, so that there is always something to show.
fn random_fits(command: &Command, random: Quantity, opens: bool, ticker: &Ticker) -> bool {
    if !command.has_tag(TAG_RANDOM) || random.is_zero() {
        return true;
    }
    let below = random < command.max_floor || (!opens && !command.has_tag(TAG_FLOOR));
    below && ticker.takes_quantity(random)
}

/// A peg does not show, and where its price is to be on the tick its offset is; no other order has an offset.
fn peg_fits(command: &Command, ticker: &Ticker) -> bool {
    let offset = command.peg_offset;
    match command.peg() {
        None => offset == 0,
        Some(Peg::Midpoint) => command.display == Display::Hidden,
        Some(Peg::Primary | Peg::Market) => command.display == Display::Hidden && ticker.is_in_ticks(offset),
    }
}

/// An order good till a time says how long; no other does. A Replace may leave the end where it is.
fn expiry_fits(command: &Command, opens: bool) -> bool {
    let seconds = command.expire_seconds;
    match command.time_in_force {
        TimeInForce::GoodTillTime if seconds == 0 => !opens && !command.has_tag(15),
        TimeInForce::GoodTillTime => seconds <= EXPIRE_SECONDS_MAX,
        TimeInForce::Day | TimeInForce::ImmediateOrCancel | TimeInForce::GoodTillCancel => seconds == 0,
        TimeInForce::ExtendedHours | TimeInForce::AfterHours => false,
    }
}

/// Whether the request says that a post-only order steps back; the book decides for an order that is no such one.
fn steps_back(command: &Command) -> bool {
    command.has_tag(TAG_POST_ONLY_ACTION)
}
