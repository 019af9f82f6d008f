/// A running hash of all that happened in a network: two runs are the same if their hashes are.
///
/// It is the step of FNV-1a over whole 64-bit words instead of bytes, with a rotation so that high bits come down
/// again: `hash = (hash.rotate_left(23) ^ word) * 0x100000001b3`, from FNV's offset basis `0xcbf29ce484222325`. Bytes
/// are taken as little-endian words, the last filled up with zeros, with their length before them. It finds changes,
/// it does not withstand anyone who wants to forge one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Trace {
    /// The hash so far.
    pub const fn hash(self) -> u64 {
        self.hash
    }

    /// Adds a word.
    pub const fn word(&mut self, word: u64) {
        self.hash = (self.hash.rotate_left(23) ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// Adds bytes and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> u64 {
        let mut trace = Trace::default();
        trace.bytes(bytes);
        trace.hash()
    }

    #[test]
    fn order_length_and_content_count() {
        let all: Vec<_> = [&b""[..], b"\0", b"\0\0", b"abcdefgh", b"abcdefg", b"abcdefghi", b"bacdefgh"]
            .into_iter()
            .map(hash)
            .collect();
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "number {index} collides");
        }
    }
}
