//! All that the server chooses at random, drawn from 32 bytes of the caller's.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// HMAC-SHA-256 in counter mode (NIST SP 800-108 §4.1): outputs tell nothing of the next.
pub(crate) struct Entropy {
    key: [u8; 32],
    counter: u64,
    /// Of the numbers that need not be secret.
    weak: u64,
}

impl Entropy {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        let mut entropy = Self { key, counter: 0, weak: 0 };
        entropy.weak = u64::from_be_bytes(entropy.bytes());
        entropy
    }

    /// Up to 32 bytes that nobody can guess.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(&self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        *mac.finalize().into_bytes().first_chunk().expect("at most 32 bytes are asked for")
    }

    /// The transaction of an indication, to which no answer comes: distinct, and no secret. SplitMix64.
    pub(crate) fn transaction(&mut self) -> [u8; 12] {
        let mut transaction = [0; 12];
        for chunk in transaction.chunks_mut(8) {
            self.weak = self.weak.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.weak;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes()[..chunk.len()]);
        }
        transaction
    }
}
