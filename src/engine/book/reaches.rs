//! What incoming orders read of a ticker's phase and price band: numbers that stand ready, one comparison each. Hot.
//!
//! Who makes them follow the band is [`super::bands`].

use super::scale::{Rank, Scale};
use crate::types::{Price, Side};

/// Where limits of a side are taken as they are: `span` ranks from `first`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    pub first: Rank,
    pub span: u32,
}

/// The bounds of a ticker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Band {
    pub lower: Price,
    pub upper: Price,
    /// Orders press against a bound.
    pub limit: bool,
}

impl Band {
    pub const NONE: Band = Band { lower: Price(0), upper: Price(0), limit: false };
}

/// What orders read of phase and band, by side of the incoming order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reaches {
    pub lanes: [Lane; 2],
    /// First rank of the other side that must not trade; 0 while nothing does.
    pub walk_max: [u32; 2],
}

impl Reaches {
    /// Of a ticker with these bounds.
    ///
    /// `pegs`: there are pegs, which an order may meet where the ladder has nobody. Then no order goes straight into the book,
    /// by a lane that has no width: those who ask need not ask about pegs.
    pub fn new(scale: &Scale, band: Band, matches: bool, pegs: bool) -> Reaches {
        let mut reaches = Reaches::wide(scale, band, matches);
        if pegs {
            reaches.lanes.iter_mut().for_each(|lane| lane.span = 0);
        }
        reaches
    }

    fn wide(scale: &Scale, band: Band, matches: bool) -> Reaches {
        let ticks = scale.ticks();
        let open = Reaches { lanes: [Lane { first: 0, span: ticks }; 2], walk_max: [ticks; 2] };
        if !matches {
            return Reaches { walk_max: [0; 2], ..open };
        }
        if band == Band::NONE {
            return open;
        }
        let first = [scale.rank(Side::Buy, band.upper), scale.rank(Side::Sell, band.lower)];
        Reaches {
            lanes: first.map(|first| Lane { first, span: ticks - first }),
            walk_max: first.map(|first| scale.walk_end(first)),
        }
    }
}
