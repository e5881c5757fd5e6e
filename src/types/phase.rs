//! What a phase allows, and how one leads to the next: the rules that the OMS and the books must read alike.
//!
//! Both keep the phase of each ticker and change it by the same records, so that a verdict and the book it meets never
//! disagree. An auction runs when a record takes a ticker from a phase without matching to one with it, and at the close.

use super::{ClientOrderId, Command, CommandKind, CrossKind, Phase, TradingState};

/// Author of the records that the trading calendar makes. Their `value` holds the second they were due above the letter.
pub const CALENDAR: ClientOrderId = ClientOrderId(*b"CALENDAR      ");
/// Author of the records by which a price band pauses a ticker and lets it go on.
pub const BAND: ClientOrderId = ClientOrderId(*b"BAND          ");

/// What happens when a ticker goes from one phase to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passage {
    /// Nothing trades.
    Plain,
    /// This cross runs, and is told even when nothing traded.
    Cross(CrossKind),
    /// This cross runs if orders stand against each other: they may since an auction that was halted.
    CrossIfCrossed(CrossKind),
}

impl Phase {
    /// All of them, in the order of a day.
    pub const ALL: [Phase; 7] = [
        Phase::Closed,
        Phase::PreOpen,
        Phase::Trading,
        Phase::PreClose,
        Phase::Halted,
        Phase::HaltAuction,
        Phase::Paused,
    ];

    /// Its place in [`Phase::ALL`]: index of a table with an entry a phase.
    #[inline]
    pub const fn index(self) -> usize {
        match self {
            Phase::Closed => 0,
            Phase::PreOpen => 1,
            Phase::Trading => 2,
            Phase::PreClose => 3,
            Phase::Halted => 4,
            Phase::HaltAuction => 5,
            Phase::Paused => 6,
        }
    }

    /// Whether incoming orders trade with resting ones.
    #[inline]
    pub const fn matches(self) -> bool {
        match self {
            Phase::Trading | Phase::PreClose => true,
            Phase::Closed | Phase::PreOpen | Phase::Halted | Phase::HaltAuction | Phase::Paused => false,
        }
    }

    /// The cross that builds up, if one does.
    pub const fn building(self) -> Option<CrossKind> {
        match self {
            Phase::PreOpen => Some(CrossKind::Opening),
            Phase::PreClose => Some(CrossKind::Closing),
            Phase::HaltAuction | Phase::Paused => Some(CrossKind::Halt),
            Phase::Closed | Phase::Trading | Phase::Halted => None,
        }
    }

    /// What the feed calls it (ITCH 5.0, Stock Trading Action).
    pub const fn trading_state(self) -> TradingState {
        match self {
            Phase::Closed | Phase::Halted => TradingState::Halted,
            Phase::PreOpen | Phase::HaltAuction => TradingState::QuotationOnly,
            Phase::Paused => TradingState::Paused,
            Phase::Trading | Phase::PreClose => TradingState::Trading,
        }
    }

    /// The phase after a record of the venue: Phase, Halt or Resume. A halt does not open what is closed, and a resume
    /// concerns only what was stopped.
    pub const fn after(self, command: &Command) -> Phase {
        match command.kind {
            CommandKind::Phase => match Phase::from_letter(command.value as u8) {
                Some(phase) => phase,
                None => self,
            },
            CommandKind::Halt => match self {
                Phase::Closed => Phase::Closed,
                _ => Phase::Halted,
            },
            CommandKind::Resume => match self {
                Phase::Halted | Phase::HaltAuction | Phase::Paused => Phase::Trading,
                Phase::Closed | Phase::PreOpen | Phase::Trading | Phase::PreClose => self,
            },
            _ => self,
        }
    }

    /// What must happen on the way to `to`.
    pub const fn passage(self, to: Phase) -> Passage {
        match (self, to) {
            (Phase::PreOpen, Phase::Trading | Phase::PreClose) => Passage::Cross(CrossKind::Opening),
            (Phase::HaltAuction | Phase::Paused, Phase::Trading | Phase::PreClose) => Passage::Cross(CrossKind::Halt),
            (Phase::Halted, Phase::Trading | Phase::PreClose) => Passage::CrossIfCrossed(CrossKind::Halt),
            (Phase::Closed, Phase::Trading | Phase::PreClose) => Passage::CrossIfCrossed(CrossKind::Opening),
            (Phase::Trading | Phase::PreClose, Phase::Closed) => Passage::Cross(CrossKind::Closing),
            _ => Passage::Plain,
        }
    }

    /// Whether orders for a cross that stand in the ticker leave on the way to `to`: theirs has been, or will not come.
    pub const fn drops_cross_orders(self, to: Phase) -> bool {
        let (from, to) = (self as u8, to as u8);
        from != to && (from == Phase::PreOpen as u8 || to == Phase::PreOpen as u8 || to == Phase::Closed as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_stands_at_its_index() {
        assert!(Phase::ALL.iter().enumerate().all(|(at, phase)| phase.index() == at));
    }

    #[test]
    fn every_way_from_rest_to_trading_runs_a_cross() {
        for from in Phase::ALL {
            for to in Phase::ALL.into_iter().filter(|to| to.matches()) {
                assert_eq!(from.passage(to) == Passage::Plain, from.matches(), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_resume_concerns_only_what_was_stopped() {
        let resume = Command::new(CommandKind::Resume);
        assert_eq!(Phase::Halted.after(&resume), Phase::Trading);
        assert_eq!(Phase::PreOpen.after(&resume), Phase::PreOpen);
        assert_eq!(Phase::Closed.after(&Command::new(CommandKind::Halt)), Phase::Closed);
    }
}
