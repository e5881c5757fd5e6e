//! Marks of orders that are not plain, in the order's own line, and which requests make such orders. Hot.
//!
//! The frequent paths ask one byte of the order, [`Special`], and leave through a cold call when it says so; what a marked order
//! has beside its line stands in [`super::beside`].

use crate::types::{Command, TimeInForce};

/// Option tags that make a new order special: least quantity, floor, price type, random refills, good till cancel, stop price.
const TAGS_SPECIAL: u32 =
    1 << TAG_MIN_QUANTITY | 1 << TAG_FLOOR | 1 << TAG_PEG | 1 << TAG_RANDOM | 1 << TAG_KEPT | 1 << TAG_STOP;
/// Tags 129 and 128 of the wire stand in these bits of [`Command::tags`].
pub(super) const TAG_KEPT: u8 = 0;
pub(super) const TAG_STOP: u8 = 31;
pub(super) const TAG_MIN_QUANTITY: u8 = 3;
pub(super) const TAG_FLOOR: u8 = 5;
pub(super) const TAG_PEG: u8 = 6;
pub(super) const TAG_OFFSET: u8 = 7;
pub(super) const TAG_RANDOM: u8 = 13;

/// Whether the request says more than a plain order's does.
#[inline(always)]
pub(super) fn is_special(command: &Command) -> bool {
    let waits = !matches!(command.time_in_force, TimeInForce::Day | TimeInForce::ImmediateOrCancel);
    waits | (command.tags & TAGS_SPECIAL != 0)
}

/// Whether it is a day order's and says no more than a plain order's does: the frequent case, in two comparisons.
#[inline(always)]
pub(super) fn is_plain_day(command: &Command) -> bool {
    (command.time_in_force == TimeInForce::Day) & (command.tags & TAGS_SPECIAL == 0)
}

/// Marks of an order. None of them: a plain order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(super) struct Special(pub u8);

impl Special {
    pub const NONE: Special = Special(0);
    /// It shows a part; `leaves` in its line are that part.
    pub const RESERVE: Special = Special(1);
    /// It rests, and trades only with an order that gives at least its minimum.
    pub const MINIMUM: Special = Special(1 << 1);
    /// In no level: a stop that has not woken, or a peg.
    pub const ASIDE: Special = Special(1 << 2);
    /// It waits for its expiry.
    pub const TIMED: Special = Special(1 << 3);
    /// Its entry in the table means something.
    pub const TERMS: Special = Special(1 << 4);
    /// It outlives the day.
    pub const KEPT: Special = Special(1 << 5);
    /// The part it shows came from its reserve.
    pub const REFILLED: Special = Special(1 << 6);
    /// A sleeping stop that will not rest.
    pub const IMMEDIATE: Special = Special(1 << 7);

    /// What a fill or a cancel must ask about.
    const CARE: u8 = Special::RESERVE.0 | Special::MINIMUM.0 | Special::ASIDE.0 | Special::TIMED.0;

    #[inline(always)]
    pub fn needs_care(self) -> bool {
        self.0 & Special::CARE != 0
    }

    #[inline(always)]
    pub fn has(self, mark: Special) -> bool {
        self.0 & mark.0 != 0
    }

    pub fn set(&mut self, mark: Special, on: bool) {
        self.0 = if on { self.0 | mark.0 } else { self.0 & !mark.0 };
    }
}
