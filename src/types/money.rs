//! Prices, quantities and amounts. All are whole numbers; decimals exist only where people read or write them.

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A price in 1/10,000 of the currency unit, the scale of OUCH and ITCH. 150.34 is 1,503,400.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Price(pub u32);

impl Price {
    /// Units of a price in one currency unit.
    pub const SCALE: u32 = 10_000;
    /// Highest limit price of the protocol: 199,999.9900 (OUCH 5.0, data types).
    pub const LIMIT_MAX: Price = Price(1_999_999_900);
    /// A market order: 200,000.00 and above on the wire (OUCH 5.0, data types), kept as this one value.
    pub const MARKET: Price = Price(0x7FFF_FFFF);

    /// Whether this stands for a market order.
    #[inline]
    pub const fn is_market(self) -> bool {
        self.0 == Self::MARKET.0
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_market() {
            return f.pad("market");
        }
        f.pad(&Money(i128::from(self.0)).to_string())
    }
}

/// A number of shares.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Quantity(pub u32);

impl Quantity {
    /// Largest order of the protocol (OUCH 5.0, Enter Order).
    pub const ORDER_MAX: Quantity = Quantity(999_999);

    /// What is left after `taken`. The caller guarantees `taken <= self`.
    #[inline]
    pub fn less(self, taken: Quantity) -> Quantity {
        debug_assert!(taken.0 <= self.0, "more taken than there is");
        Quantity(self.0 - taken.0)
    }

    /// Whether nothing is left.
    #[inline]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An amount in 1/10,000 of the currency unit. Wide enough that no sum of products of prices and quantities overflows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Money(pub i128);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// Value of `quantity` shares at `price`. Cannot overflow: 32 + 32 bits fit in 127.
    #[inline]
    pub fn notional(price: Price, quantity: Quantity) -> Money {
        Money(i128::from(price.0) * i128::from(quantity.0))
    }
}

impl core::ops::Add for Money {
    type Output = Money;
    #[inline]
    fn add(self, other: Money) -> Money {
        Money(self.0 + other.0)
    }
}

impl core::ops::Sub for Money {
    type Output = Money;
    #[inline]
    fn sub(self, other: Money) -> Money {
        Money(self.0 - other.0)
    }
}

impl core::ops::Neg for Money {
    type Output = Money;
    #[inline]
    fn neg(self) -> Money {
        Money(-self.0)
    }
}

impl core::ops::AddAssign for Money {
    #[inline]
    fn add_assign(&mut self, other: Money) {
        self.0 += other.0;
    }
}

impl core::ops::SubAssign for Money {
    #[inline]
    fn sub_assign(&mut self, other: Money) {
        self.0 -= other.0;
    }
}

impl core::iter::Sum for Money {
    fn sum<I: Iterator<Item = Money>>(items: I) -> Money {
        Money(items.map(|m| m.0).sum())
    }
}

impl fmt::Display for Money {
    /// Decimal text with as many of the four decimals as the value needs, two at least.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        let (whole, part) = (size / u128::from(Price::SCALE), size % u128::from(Price::SCALE));
        let text = if part.is_multiple_of(100) {
            format!("{sign}{whole}.{:02}", part / 100)
        } else {
            format!("{sign}{whole}.{part:04}")
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_show_two_decimals_or_four() {
        assert_eq!(Money(1_503_400).to_string(), "150.34");
        assert_eq!(Money(1_503_401).to_string(), "150.3401");
        assert_eq!(Money(-5).to_string(), "-0.0005");
        assert_eq!(Price::MARKET.to_string(), "market");
    }

    #[test]
    fn the_largest_notional_does_not_overflow() {
        let largest = Money::notional(Price(u32::MAX), Quantity(u32::MAX));
        assert_eq!(largest.0, (i128::from(u32::MAX)).pow(2));
    }
}
