use std::time::Duration;

use rand_core::Rng;
use rand_pcg::Pcg32;

/// How likely something is, in parts per million: whole numbers, so that no platform rounds it differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Probability(u32);

impl Probability {
    /// Never.
    pub const ZERO: Self = Self(0);
    /// Always.
    pub const ONE: Self = Self(Self::MILLION);

    const MILLION: u32 = 1_000_000;

    /// Parts per million.
    ///
    /// # Panics
    ///
    /// Above 1,000,000.
    pub const fn from_ppm(ppm: u32) -> Self {
        assert!(ppm <= Self::MILLION, "a probability is 1,000,000 ppm at most");
        Self(ppm)
    }

    /// Whole percent.
    ///
    /// # Panics
    ///
    /// Above 100.
    pub const fn from_percent(percent: u32) -> Self {
        assert!(percent <= 100, "a probability is 100 % at most");
        Self(percent * 10_000)
    }

    /// Parts per million.
    pub const fn as_ppm(self) -> u32 {
        self.0
    }
}

/// A stream of chance: PCG32 (XSH RR 64/32), whose output is fixed by its definition on every platform.
///
/// Each link, each NAT and each test draws from a stream of its own, named by a label: a change to one part of a
/// network does not shift the luck of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    pcg: Pcg32,
}

impl Random {
    /// The stream with this label of this seed.
    pub fn new(seed: u64, label: u64) -> Self {
        // PCG streams that differ only in their selector correlate: seed and label are mixed into both halves.
        let state = mixed(mixed(seed) ^ label);
        Self { pcg: Pcg32::new(state, mixed(state)) }
    }

    /// 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        self.pcg.next_u32()
    }

    /// 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        u64::from(self.next_u32()) << 32 | low
    }

    /// A number from 0 to `bound - 1`, all equally likely.
    ///
    /// # Panics
    ///
    /// If `bound` is zero.
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "there is a number to choose");
        // The lowest products are over-represented by 2^32 mod bound: drawn again.
        let uneven = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= uneven {
                return (product >> 32) as u32;
            }
        }
    }

    /// Whether something of this probability happens. Draws nothing at [`Probability::ZERO`].
    pub fn chance(&mut self, probability: Probability) -> bool {
        probability.0 > 0 && self.below(Probability::MILLION) < probability.0
    }

    /// A number above 0, and at most 1, in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A number of the normal distribution with mean 0 and standard deviation 1 (Box and Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.unit()));
        radius * libm::cos(2.0 * core::f64::consts::PI * self.unit())
    }

    /// |N(0, `deviation`)|, and three deviations for what lies beyond them.
    pub fn half_normal(&mut self, deviation: Duration) -> Duration {
        // RFC 8868 §4.5.3: |max(min(N(0, std²), 3 std), -3 std)|.
        scaled(deviation, libm::fmin(libm::fabs(self.normal()), 3.0))
    }

    /// A time of the exponential distribution with this mean.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        scaled(mean, -libm::log(self.unit()))
    }

    /// Fills a slice, such as a machine's `Config::entropy`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            let word = self.next_u32().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// Whole nanoseconds, rounded down; the factor is below 64.
fn scaled(time: Duration, factor: f64) -> Duration {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) as f64;
    Duration::from_nanos((nanos * factor) as u64)
}

/// The finaliser of SplitMix64.
const fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    // The first numbers of `pcg32-demo`, which the author of PCG publishes for state 42 and stream 54.
    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = Random { pcg: Pcg32::new(42, 54) };
        let expected = [0xa15c_02b7, 0x7b47_f409, 0xba1d_3330, 0x83d2_f293, 0xbfa4_784b, 0xcbed_606e];
        assert_eq!(expected.map(|_| random.next_u32()), expected);
    }

    #[test]
    fn streams_of_one_seed_differ_and_come_back() {
        let draw = |seed, label| {
            let mut random = Random::new(seed, label);
            [(); 4].map(|()| random.next_u32())
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn chance_is_as_likely_as_it_says() {
        let mut random = Random::new(7, 0);
        let hits = (0..100_000).filter(|_| random.chance(Probability::from_percent(20))).count();
        assert!((19_600..20_400).contains(&hits), "{hits} of 100,000");
        assert!(!random.chance(Probability::ZERO));
        assert!((0..1_000).all(|_| random.chance(Probability::ONE)));
    }

    #[test]
    fn normal_and_exponential_have_their_moments() {
        let mut random = Random::new(8, 0);
        let count = 100_000;
        let (mut sum, mut squares, mut exponential) = (0.0, 0.0, Duration::ZERO);
        for _ in 0..count {
            let normal = random.normal();
            sum += normal;
            squares += normal * normal;
            exponential += random.exponential(Duration::from_millis(10));
        }
        assert!((sum / f64::from(count)).abs() < 0.015);
        assert!((squares / f64::from(count) - 1.0).abs() < 0.02);
        let mean = exponential / count;
        assert!((9_850..10_150).contains(&mean.as_micros()), "{mean:?}");
    }

    #[test]
    fn half_normal_ends_at_three_deviations() {
        let mut random = Random::new(9, 0);
        let deviation = Duration::from_millis(5);
        let draws: Vec<_> = (0..50_000).map(|_| random.half_normal(deviation)).collect();
        assert_eq!(draws.iter().max(), Some(&Duration::from_millis(15)));
        // RFC 8868 cuts the tail, and does not draw again: 0.27 % are at the end, 135 with a deviation of 12.
        let cut = draws.iter().filter(|draw| **draw == Duration::from_millis(15)).count();
        assert!((90..180).contains(&cut), "{cut} of 50,000");
        // The mean of |N(0, 5 ms)| is 5 ms × √(2/π) = 3.99 ms; without its tail a little less.
        let mean = draws.iter().sum::<Duration>() / 50_000;
        assert!((3_900..4_010).contains(&mean.as_micros()), "{mean:?}");
    }
}
