//! How well a replayed book agrees with the recorded one, level by level, and why where it does not.
//!
//! Agreement is strict: level n agrees when it has the recorded price and the recorded size at the recorded place. One
//! foreign level therefore costs all the levels behind it; those count as *shifted*, the foreign one by its own cause.

use super::{Level, Replay, Snapshot};
use crate::types::Side;
use std::fmt;

/// Why a recorded level is not where it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The level is there with its size, at another place: some other level is wrong.
    Shifted,
    /// It rested from before the recording and was out of view at the start.
    NotVisibleAtStart,
    /// It was changed while it was out of view.
    ChangedOutOfView,
    /// None of these.
    Unexplained,
}

impl Cause {
    /// All of them, in the order of their index.
    pub const ALL: [Cause; 4] = [Cause::Shifted, Cause::NotVisibleAtStart, Cause::ChangedOutOfView, Cause::Unexplained];

    /// What people read.
    pub const fn text(self) -> &'static str {
        match self {
            Cause::Shifted => "shifted by another level",
            Cause::NotVisibleAtStart => "not visible at the start",
            Cause::ChangedOutOfView => "changed out of view",
            Cause::Unexplained => "unexplained",
        }
    }
}

/// Sums over all books compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Agreement {
    /// Books compared.
    pub books: u64,
    /// Books in which every recorded level agrees and no other is shown.
    pub books_equal: u64,
    /// Recorded levels compared.
    pub levels: u64,
    /// Of these, in their place with their size.
    pub levels_equal: u64,
    /// Best levels compared (two a book where both sides have any).
    pub best: u64,
    /// Of these, equal.
    pub best_equal: u64,
    /// Levels shown where the recording, which has fewer than ten there, shows none.
    pub levels_extra: u64,
    causes: [u64; 4],
}

impl Agreement {
    /// Compares the book after event `index` (from 0).
    pub fn compare(&mut self, replay: &Replay, index: usize, recorded: &Snapshot, actual: &Snapshot) {
        let equal_before = self.levels_equal;
        let extra_before = self.levels_extra;
        let mut levels = 0;
        for side in [Side::Buy, Side::Sell] {
            let (wanted, found) = (recorded.side(side), actual.side(side));
            levels += wanted.len() as u64;
            for (place, level) in wanted.iter().enumerate() {
                let equal = found.get(place) == Some(level);
                self.levels_equal += u64::from(equal);
                self.best += u64::from(place == 0);
                self.best_equal += u64::from(place == 0 && equal);
                if !equal {
                    self.causes[cause(replay, index, side, level, found) as usize] += 1;
                }
            }
            self.levels_extra += found.len().saturating_sub(wanted.len()) as u64;
        }
        self.levels += levels;
        self.books += 1;
        let equal = self.levels_equal - equal_before == levels && self.levels_extra == extra_before;
        self.books_equal += u64::from(equal);
    }

    /// Levels that do not agree, for a cause.
    pub const fn count(&self, cause: Cause) -> u64 {
        self.causes[cause as usize]
    }

    /// Levels that agree, in 1/10,000.
    pub const fn share(&self) -> u64 {
        match (self.levels_equal * 10_000).checked_div(self.levels) {
            Some(share) => share,
            None => 10_000,
        }
    }
}

fn cause(replay: &Replay, index: usize, side: Side, level: &Level, found: &[Level]) -> Cause {
    if found.contains(level) {
        Cause::Shifted
    } else if replay.unseen().is_changed(side, level.price, index) {
        Cause::ChangedOutOfView
    } else if replay.unseen().is_revealed(side, level.price) {
        Cause::NotVisibleAtStart
    } else {
        Cause::Unexplained
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.share();
        write!(
            f,
            "{} of {} levels equal ({}.{:02} %), best {} of {}, whole books {} of {}, extra levels {}",
            self.levels_equal,
            self.levels,
            share / 100,
            share % 100,
            self.best_equal,
            self.best,
            self.books_equal,
            self.books,
            self.levels_extra
        )?;
        for cause in Cause::ALL.into_iter().filter(|&cause| self.count(cause) > 0) {
            write!(f, "; {} {}", self.count(cause), cause.text())?;
        }
        Ok(())
    }
}
