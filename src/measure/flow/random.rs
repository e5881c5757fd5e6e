//! A small generator of numbers for flows: the same seed gives the same flow on every machine and in every version.
//!
//! xoshiro256** seeded by splitmix64 (Blackman and Vigna, public domain). Whole numbers only: a library's logarithm
//! may differ in its last bit from one machine to the next, and one bit changes everything after it.

/// The generator of numbers. 32 bytes of state, about a nanosecond a number.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// From a seed; all seeds are good, 0 too.
    pub fn new(seed: u64) -> Random {
        let mut word = seed;
        let mut splitmix = || {
            word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        Random { state: [splitmix(), splitmix(), splitmix(), splitmix()] }
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound` (0 when `bound` is 0), by multiplication: biased by less than `bound` / 2^64.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included. The caller guarantees `low <= high`.
    #[inline]
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `parts` of `whole` cases.
    #[inline]
    pub fn chance(&mut self, parts: u32, whole: u32) -> bool {
        self.below(u64::from(whole)) < u64::from(parts)
    }
}

/// Values to draw from, each as often as its weight says: one entry for each unit of weight, so that a draw is one
/// number and one load. Meant for weights that sum to hundreds.
#[derive(Clone, Debug)]
pub struct Table<T> {
    values: Box<[T]>,
}

impl<T: Copy> Table<T> {
    /// From values with their weights.
    /// # Panics
    /// All weights are 0.
    pub fn new(weighted: &[(T, u32)]) -> Table<T> {
        let values: Box<[T]> = weighted.iter().flat_map(|&(value, weight)| (0..weight).map(move |_| value)).collect();
        assert!(!values.is_empty(), "a table without weights has nothing to draw");
        Table { values }
    }

    /// One of the values.
    #[inline]
    pub fn draw(&self, random: &mut Random) -> T {
        self.values[random.below(self.values.len() as u64) as usize]
    }
}

/// Sum of the weights of a table.
pub const fn weights<T: Copy>(table: &[(T, u32)]) -> u32 {
    let (mut sum, mut index) = (0, 0);
    while index < table.len() {
        sum += table[index].1;
        index += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence_comes_out() {
        // splitmix64 from seed 0: first output as published with the algorithm.
        assert_eq!(Random::new(0).state[0], 0xE220_A839_7B1D_CDAF);
        let mut random = Random { state: [1, 2, 3, 4] };
        assert_eq!([random.bits(), random.bits(), random.bits()], [11_520, 0, 1_509_978_240]);
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(7);
        let mut seen = [false; 6];
        for _ in 0..200 {
            seen[random.between(2, 5) as usize] = true;
        }
        assert_eq!(seen, [false, false, true, true, true, true]);
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn tables_are_drawn_by_weight() {
        let table = Table::new(&[(b'a', 1), (b'b', 0), (b'c', 3)]);
        let mut random = Random::new(1);
        let drawn: Vec<u8> = (0..4_000).map(|_| table.draw(&mut random)).collect();
        let count = |letter| drawn.iter().filter(|&&drawn| drawn == letter).count();
        assert!((850..1_150).contains(&count(b'a')) && count(b'b') == 0, "{} of 4000", count(b'a'));
    }
}
