//! Slots that have something to send.

/// Slots of a transport at most.
pub(crate) const SLOTS_MAX: usize = 256;

/// A set of slots, in the order of their numbers: sound has the lower ones, and so comes first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    words: [u64; SLOTS_MAX / 64],
}

impl Pending {
    pub(super) fn insert(&mut self, slot: u16) {
        if let Some(word) = self.words.get_mut(usize::from(slot / 64)) {
            *word |= 1 << (slot % 64);
        }
    }

    pub(super) fn remove(&mut self, slot: u16) {
        if let Some(word) = self.words.get_mut(usize::from(slot / 64)) {
            *word &= !(1 << (slot % 64));
        }
    }

    pub(super) fn first(&self) -> Option<u16> {
        let (index, word) = (0..).zip(&self.words).find(|(_, word)| **word != 0)?;
        Some(index * 64 + word.trailing_zeros() as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_comes_first() {
        let mut pending = Pending::default();
        for slot in [255, 64, 63, 256, 999] {
            pending.insert(slot);
        }
        for slot in [63, 64, 255] {
            assert_eq!(pending.first(), Some(slot));
            pending.remove(slot);
        }
        pending.remove(999);
        assert_eq!(pending.first(), None);
    }
}
