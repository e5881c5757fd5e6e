//! A 64-bit digest of state, for replay and replicas to compare.
//!
//! Each word passes a mixing step that can be undone, so two states that differ in one word never share a digest, and
//! the position of a word counts. It resists accidents, not an opponent: nothing here is secret. Cold: digests walk
//! whole tables. Bounded by what its caller feeds it.

use crate::types::{Limits, Market, TickerSpec};

/// Digest of the reference data a journal is begun with: whatever of it a decision or a stream depends on. A restart
/// with another digest would read the same records differently and is refused.
pub fn of_market(market: &Market) -> u64 {
    let mut digest = Digest::new();
    digest.add_bytes(&market.session_name);
    digest.add(u64::from(market.matchers));
    digest.add(u64::from(market.orders_max));
    digest.add(u64::from(market.trades_kept));
    for ticker in &market.tickers {
        let TickerSpec { symbol, tick, lot, price_min, price_max, reference, matcher, fees, auction } = ticker;
        digest.add_bytes(&symbol.0);
        for word in [tick.0, lot.0, price_min.0, price_max.0, reference.0, u32::from(matcher.0)] {
            digest.add(u64::from(word));
        }
        digest.add(fees.maker as u64);
        digest.add(fees.taker as u64);
        digest.add(fees.cross as u64);
        digest.add(u64::from(auction.cross_orders) << 8 | u64::from(auction.phase_start.letter()));
        digest.add(u64::from(auction.band_dynamic) << 32 | u64::from(auction.band_static));
        digest.add(u64::from(auction.band_limit_ms) << 32 | u64::from(auction.band_pause_ms));
    }
    for account in &market.accounts {
        digest.add_bytes(account.name.as_bytes());
        digest.add_bytes(&account.firm.0);
        digest.add_wide(account.cash.0);
        add_limits(&mut digest, &account.limits);
    }
    for session in &market.sessions {
        digest.add_bytes(session.user.as_bytes());
        digest.add(u64::from(session.account.0));
    }
    digest.finish()
}

fn add_limits(digest: &mut Digest, limits: &Limits) {
    digest.add(u64::from(limits.enabled));
    digest.add(u64::from(limits.order_quantity_max.0));
    digest.add_wide(limits.order_notional_max.0);
    digest.add(u64::from(limits.open_orders_max));
    digest.add(limits.position_max);
    digest.add_wide(limits.gross_exposure_max.0);
    digest.add(u64::from(limits.messages_per_second_max));
    digest.add(u64::from(limits.price_collar));
    digest.add_wide(limits.credit.0);
}

/// A digest being made. Feed it the state in a fixed order, then [`Digest::finish`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Digest::new()
    }
}

impl Digest {
    /// The digest of nothing.
    pub const fn new() -> Digest {
        Digest(0x9E37_79B9_7F4A_7C15)
    }

    /// Takes in one word.
    #[inline]
    pub const fn add(&mut self, word: u64) {
        self.0 = mix(self.0 ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
    }

    /// Takes in a wide number: low half, then high half.
    #[inline]
    pub const fn add_wide(&mut self, value: i128) {
        self.add(value as u64);
        self.add((value >> 64) as u64);
    }

    /// Takes in bytes and their count, so that a trailing zero byte is seen.
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
        self.add(bytes.len() as u64);
    }

    /// The digest so far. It may go on.
    pub const fn finish(&self) -> u64 {
        mix(self.0)
    }
}

/// Spreads each bit over the whole word; every step can be undone, so no two words meet.
#[inline]
const fn mix(mut word: u64) -> u64 {
    word ^= word >> 30;
    word = word.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word ^= word >> 27;
    word = word.wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[u64]) -> u64 {
        let mut digest = Digest::new();
        words.iter().for_each(|&w| digest.add(w));
        digest.finish()
    }

    #[test]
    fn equal_words_in_equal_order_give_equal_digests() {
        assert_eq!(of(&[1, 2, 3]), of(&[1, 2, 3]));
        assert_ne!(of(&[1, 2, 3]), of(&[1, 3, 2]));
        assert_ne!(of(&[1, 2]), of(&[1, 2, 0]));
    }

    #[test]
    fn the_digest_is_the_same_on_every_machine() {
        assert_eq!(of(&[1, 2, 3]), 8_946_099_157_182_655_218);
    }

    #[test]
    fn a_trailing_zero_byte_is_seen() {
        let (mut short, mut long) = (Digest::new(), Digest::new());
        short.add_bytes(&[1, 2]);
        long.add_bytes(&[1, 2, 0]);
        assert_ne!(short.finish(), long.finish());
    }
}
