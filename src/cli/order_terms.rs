//! The options of `pitlane order enter` that make an order more than plain. Cold.

use super::Failure;
use crate::client::orders::NewOrder;
use crate::types::{CrossKind, Peg, Price, Quantity};
use clap::{Args, ValueEnum};
use rust_decimal::Decimal;

/// Crosses that orders can be for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Cross {
    /// The opening cross.
    Open,
    /// The closing cross.
    Close,
}

/// Reserve, stop, peg, cross and how long.
#[derive(Args, Debug)]
pub struct Terms {
    /// Show only so many shares at a time; each part that is used up is followed by the next, last in the queue.
    #[arg(long, value_name = "SHARES")]
    show: Option<u32>,
    /// Let each part differ from that by up to so many shares.
    #[arg(long, value_name = "SHARES", requires = "show")]
    random: Option<u32>,
    /// Wait until a trade reaches this price.
    #[arg(long, value_name = "PRICE")]
    stop: Option<String>,
    /// Follow the best displayed prices, hidden: their midpoint, that of the own side or that of the other.
    #[arg(long, value_enum)]
    peg: Option<PegKind>,
    /// Be nearer to the other side than that by so much, or further for less than zero: "0.05".
    #[arg(long, value_name = "PRICE", requires = "peg", allow_hyphen_values = true)]
    offset: Option<String>,
    /// Leave after so many seconds.
    #[arg(long, conflicts_with = "gtc")]
    seconds: Option<u32>,
    /// Stay over the end of the day.
    #[arg(long)]
    gtc: bool,
    /// Only for this cross; at `market` it takes the price the cross finds.
    #[arg(long, value_name = "CROSS")]
    on: Option<Cross>,
    /// Of an order for a cross: trade only with what the other side has too much.
    #[arg(long, requires = "on")]
    imbalance_only: bool,
    /// Of a post-only order: go one tick back from the best price rather than leave.
    #[arg(long, requires = "post_only")]
    step_back: bool,
}

/// What a price follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum PegKind {
    /// The middle between best bid and offer.
    Midpoint,
    /// The best price of the order's own side.
    Primary,
    /// The best price of the other side.
    Market,
}

impl PegKind {
    const fn peg(self) -> Peg {
        match self {
            PegKind::Midpoint => Peg::Midpoint,
            PegKind::Primary => Peg::Primary,
            PegKind::Market => Peg::Market,
        }
    }
}

impl Terms {
    /// The order with these terms.
    pub fn of(&self, mut order: NewOrder) -> Result<NewOrder, Failure> {
        if let Some(floor) = self.show {
            order = order.showing(Quantity(floor));
        }
        if let Some(random) = self.random {
            order.tags = order.tags.with_random_reserves(Quantity(random));
        }
        if let Some(stop) = &self.stop {
            order = order.stopped_at(parse_price(stop)?);
        }
        if let Some(kind) = self.peg {
            order = order.pegged(kind.peg(), self.offset.as_deref().map_or(Ok(0), parse_offset)?);
        }
        if let Some(seconds) = self.seconds {
            order = order.for_seconds(seconds);
        }
        if self.gtc {
            order = order.good_till_cancel();
        }
        if let Some(cross) = self.on {
            order = order.on(if cross == Cross::Open { CrossKind::Opening } else { CrossKind::Closing });
        }
        if self.imbalance_only {
            order = order.imbalance_only();
        }
        if self.step_back {
            order.tags = order.tags.with_post_only_action(b'R');
        }
        Ok(order)
    }
}

/// A difference of prices, with a sign perhaps.
fn parse_offset(text: &str) -> Result<i32, Failure> {
    let (sign, size) = text.strip_prefix('-').map_or((1, text), |size| (-1, size));
    let size = parse_price(size)?;
    let fits = i32::try_from(size.0).ok().filter(|_| !size.is_market());
    fits.map(|size| sign * size).ok_or_else(|| Failure::Usage(format!("{text:?} is no offset")))
}

/// A price in dollars, or the word for none.
pub(super) fn parse_price(text: &str) -> Result<Price, Failure> {
    if text == "market" {
        return Ok(Price::MARKET);
    }
    let scaled = text.parse::<Decimal>().ok().and_then(|d| d.checked_mul(Decimal::from(Price::SCALE)));
    scaled
        .filter(Decimal::is_integer)
        .and_then(|d| u32::try_from(d).ok())
        .map(Price)
        .ok_or_else(|| Failure::Usage(format!("{text:?} is no price: a number such as 150.34, or \"market\"")))
}
