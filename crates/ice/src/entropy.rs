//! All that the agent chooses at random, drawn from 32 bytes of the caller's.

use hmac::{Hmac, Mac};
use sha1::Sha1;

/// The alphabet of ufrag and password: ice-char of RFC 8839 §5.1, 6 bits each.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// HMAC-SHA1 in counter mode (NIST SP 800-108 §4.1): a pseudo-random function, whose outputs tell nothing of the next.
///
/// It is 40 bytes small; a buffered stream cipher takes 300, which an agent in a crowd would feel.
#[derive(Clone)]
pub(crate) struct Entropy {
    key: [u8; 32],
    counter: u64,
}

impl Entropy {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self { key, counter: 0 }
    }

    fn block(&mut self) -> [u8; 20] {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(&self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        mac.finalize().into_bytes().into()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(20) {
            let block = self.block();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        bytes
    }

    pub(crate) fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    /// A number from 0 to `n - 1`; the bias of 2^-64 × n does not matter to timers.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(n)) >> 64) as u64
    }

    /// `length` characters of 6 random bits each.
    pub(crate) fn text(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        while text.len() < length {
            for byte in self.block() {
                if text.len() < length {
                    text.push(char::from(ICE_CHARS[usize::from(byte & 63)]));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seeds_differ_and_one_repeats() {
        let (mut one, mut same, mut other) = (Entropy::new([1; 32]), Entropy::new([1; 32]), Entropy::new([2; 32]));
        let first: [u8; 50] = one.bytes();
        assert_eq!(first, same.bytes());
        assert_ne!(first, other.bytes());
        assert_ne!(first, one.bytes(), "no block comes twice");
    }

    #[test]
    fn text_is_ice_chars_of_the_asked_length() {
        let mut entropy = Entropy::new([3; 32]);
        for length in [0, 1, 8, 24, 100] {
            let text = entropy.text(length);
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| ICE_CHARS.contains(&byte)));
        }
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut entropy = Entropy::new([4; 32]);
        let drawn: Vec<_> = (0..200).map(|_| entropy.below(4)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&0), Some(&3)));
    }
}
