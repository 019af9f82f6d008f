//! Slots that have something to send.

use crate::Kind;

/// Slots of a transport at most.
pub(crate) const SLOTS_MAX: usize = 256;

/// A set of slots. Sound comes first, as it can't wait; then the lowest number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    audio: Slots,
    video: Slots,
}

impl Pending {
    pub(super) fn insert(&mut self, slot: u16, kind: Kind) {
        match kind {
            Kind::Audio => self.audio.insert(slot),
            Kind::Video => self.video.insert(slot),
        }
    }

    pub(super) fn remove(&mut self, slot: u16) {
        self.audio.remove(slot);
        self.video.remove(slot);
    }

    pub(super) fn first(&self) -> Option<u16> {
        self.audio.first().or_else(|| self.video.first())
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slots {
    words: [u64; SLOTS_MAX / 64],
}

impl Slots {
    fn insert(&mut self, slot: u16) {
        if let Some(word) = self.words.get_mut(usize::from(slot / 64)) {
            *word |= 1 << (slot % 64);
        }
    }

    fn remove(&mut self, slot: u16) {
        if let Some(word) = self.words.get_mut(usize::from(slot / 64)) {
            *word &= !(1 << (slot % 64));
        }
    }

    fn first(&self) -> Option<u16> {
        let (index, word) = (0..).zip(&self.words).find(|(_, word)| **word != 0)?;
        Some(index * 64 + word.trailing_zeros() as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_comes_first_and_then_the_lowest() {
        let mut pending = Pending::default();
        for slot in [255, 64, 3, 256, 999] {
            pending.insert(slot, Kind::Video);
        }
        for slot in [250, 63] {
            pending.insert(slot, Kind::Audio);
        }
        for slot in [63, 250, 3, 64, 255] {
            assert_eq!(pending.first(), Some(slot));
            pending.remove(slot);
        }
        pending.remove(999);
        assert_eq!(pending.first(), None);
    }
}
