//! The book of one ticker: its sides, what bounds them, what sleeps beside them, and how far an order reaches in it. Hot.

use super::ladder::Ladder;
use super::order::FOR_CROSS;
use super::peg_trees::Pegs;
use super::reaches::{Band, Reaches};
use super::scale::{Rank, Scale};
use super::waiting::Tree;
use crate::types::{
    AuctionSpec, MatchNumber, OrderReference, Phase, Price, Quantity, Sequenced, Side, TickerSpec, TimeInForce,
};

/// The numbers a ticker gives. Counted for each ticker, so that they do not depend on how tickers are sharded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub references: u64,
    pub matches: u64,
    locate: u16,
}

impl Numbers {
    #[inline]
    pub fn next_reference(&mut self) -> OrderReference {
        self.references += 1;
        OrderReference(self.references << 16 | u64::from(self.locate))
    }

    #[inline]
    pub fn next_match(&mut self) -> MatchNumber {
        self.matches += 1;
        MatchNumber(self.matches << 16 | u64::from(self.locate))
    }
}

/// What the trades of a ticker have reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trades {
    /// The last price; 0 before the first trade.
    pub last: Price,
    /// Highest and lowest since stops were last looked at.
    pub high: Price,
    pub low: Price,
}

impl Trades {
    pub const NONE: Trades = Trades { last: Price(0), high: Price(0), low: Price(u32::MAX) };

    /// A trade printed.
    #[inline(always)]
    pub fn note(&mut self, price: Price) {
        *self = Trades { last: price, high: self.high.max(price), low: self.low.min(price) };
    }

    /// Stops were looked at: from here on only the last price counts.
    #[inline]
    pub fn settle(&mut self) {
        if self.last != Price(0) {
            (self.high, self.low) = (self.last, self.last);
        }
    }
}

/// The sleeping stops of a ticker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stops {
    pub trees: [Tree; 2],
    /// Lowest stop price of the buys, highest of the sells: the one comparison of those who only ask.
    pub nearest: [Price; 2],
}

/// Where no trade reaches.
pub(super) const OUT_OF_REACH: [Price; 2] = [Price(u32::MAX), Price(0)];

impl Stops {
    pub const NONE: Stops = Stops { trees: [Tree::EMPTY; 2], nearest: OUT_OF_REACH };
}

/// Both sides of one ticker.
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub scale: Scale,
    /// Bids and offers; then those that wait for a cross.
    pub sides: [Ladder; 4],
    /// What orders read of phase and band.
    pub reaches: Reaches,
    pub numbers: Numbers,
    /// Whether the ticker belongs to this shard. Entries of others are there only so that a ticker is its index.
    pub ours: bool,
    pub phase: Phase,
    /// Smallest step of quantities.
    pub lot: Quantity,
    pub trades: Trades,
    pub stops: Stops,
    pub pegs: Pegs,
    pub spec: AuctionSpec,
    pub band: Band,
    /// Price of the configuration, before the first trade.
    first_reference: Price,
    /// Price of the last cross, before it that of the configuration.
    pub static_reference: Price,
}

/// How far an order reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Its limit: that of the request, or the bound of the price band.
    pub price: Price,
    /// Rank of its limit on its own side.
    pub rank: Rank,
    /// First rank of the other side that is too dear.
    pub walk_end: Rank,
    /// What does not trade at once rests.
    pub stays: bool,
    /// It rests and the other side has nothing within its limit: it goes into the book as it is.
    pub rests: bool,
}

impl Book {
    pub fn new(scale: Scale, spec: &TickerSpec, locate: u16, ours: bool) -> Book {
        let ticks = if ours { scale.ticks() } else { 0 };
        let waiting = if ours && spec.auction.cross_orders { ticks + 1 } else { 0 };
        let (phase, band) = (spec.auction.phase_start, Band::NONE);
        Book {
            scale,
            sides: [ticks, ticks, waiting, waiting].map(Ladder::new),
            reaches: Reaches::new(&scale, band, phase.matches(), false),
            numbers: Numbers { references: 0, matches: 0, locate },
            ours,
            phase,
            lot: Quantity(spec.lot.0.max(1)),
            trades: Trades::NONE,
            stops: Stops::NONE,
            pegs: Pegs::NONE,
            spec: spec.auction,
            band,
            first_reference: spec.reference,
            static_reference: spec.reference,
        }
    }

    /// Price of the last trade, before it the reference of the configuration.
    pub fn reference(&self) -> Price {
        if self.trades.last == Price(0) { self.first_reference } else { self.trades.last }
    }

    /// Orders of a side that wait for a cross.
    #[inline]
    pub fn for_cross(&self, side: Side) -> &Ladder {
        &self.sides[side.index() + usize::from(FOR_CROSS)]
    }

    #[inline]
    pub fn side(&self, side: Side) -> &Ladder {
        &self.sides[side.index()]
    }

    /// How far an order of `side` with the record's price and time in force reaches now. `bounded`: a limit beyond the price
    /// band is taken at its bound.
    #[inline]
    pub fn reach(&self, side: Side, record: &Sequenced, bounded: bool) -> Reach {
        let (command, reaches, at) = (&record.command, &self.reaches, side.index());
        let first = if bounded { reaches.lanes[at].first } else { 0 };
        let (price, rank, walk_end) = if command.price.is_market() {
            (command.price, 0, self.scale.walk_end_of(side, record.verdict.limit_price))
        } else {
            let rank = self.scale.rank(side, command.price);
            let price = if rank < first { self.scale.price(side, first) } else { command.price };
            let rank = rank.max(first);
            (price, rank, self.scale.walk_end(rank))
        };
        let walk_end = walk_end.min(reaches.walk_max[at]);
        let stays = !command.price.is_market() & (command.time_in_force != TimeInForce::ImmediateOrCancel);
        let rests = stays & (self.side(side.opposite()).best() >= walk_end);
        Reach { price, rank, walk_end, stays, rests }
    }

    /// Moves a limit that would trade to one tick from the best price of the other side, hidden orders and pegs there counted: then
    /// it rests. Where the ladder has no such price it stays, and the order leaves as one that may not step back.
    /// `best`: rank of that price.
    pub fn step_back(&self, side: Side, best: u32, reach: &mut Reach, price: Price) -> Price {
        if price.is_market() || best >= reach.walk_end || best == 0 {
            return price;
        }
        reach.rank = self.scale.ticks() - best;
        reach.walk_end = best;
        reach.rests = reach.stays;
        self.scale.price(side, reach.rank)
    }
}
