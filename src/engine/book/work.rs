//! What is under way in a shard between two turns of one record.

use super::noii::TickWalk;
use super::passage::PhaseWalk;
use super::peg_trees::Touch;
use super::survey::{Past, Survey};
use super::taker::Taker;
use super::tape::BustWalk;
use super::walk::Walk;
use crate::types::{CommandKind, Nanos, Sequenced, TickerId};

/// A settlement under way: of the ticker, then of all up to the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settlement {
    pub next: u16,
    pub end: u16,
}

impl Settlement {
    /// Of all tickers of a shard.
    pub const ALL: Settlement = Settlement { next: 0, end: u16::MAX };

    /// Of those that the record may have changed.
    pub fn after(record: &Sequenced) -> Settlement {
        let at = record.command.ticker.0;
        match record.command.kind {
            CommandKind::Enter | CommandKind::Cancel | CommandKind::Replace | CommandKind::Modify => {
                Settlement { next: at, end: at.saturating_add(1) }
            }
            CommandKind::MassCancel
            | CommandKind::SessionLost
            | CommandKind::KillOn
            | CommandKind::DayStart
            | CommandKind::DayEnd
            | CommandKind::Halt
            | CommandKind::Resume
            | CommandKind::Phase
            | CommandKind::Bust
            | CommandKind::Tick
            | CommandKind::DisableEntry
            | CommandKind::EnableEntry
            | CommandKind::AccountQuery
            | CommandKind::KillOff
            | CommandKind::SetLimit
            | CommandKind::StateDigest => Settlement::ALL,
        }
    }
}

/// A record that could not be finished in one call.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "one value a shard, in place")]
pub(super) enum Work {
    None,
    Sweep(Taker),
    SweepPast(Taker, Past),
    Survey(Taker, Survey),
    SweepAmong(Taker, Touch, Option<Past>),
    /// Stops of the ticker are due.
    Wake(TickerId),
    Expire {
        now: Nanos,
        spoke: bool,
    },
    Cancel(Walk),
    Phases(PhaseWalk),
    Tick(TickWalk),
    Bust(BustWalk),
    /// Pegs that may have come across somebody.
    Settle(Settlement),
}
