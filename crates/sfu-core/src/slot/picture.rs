//! Running numbers in payloads and descriptors, over changes of their source.

use plenary_rtp::extension::dependency::Header as DescriptorHeader;
use plenary_rtp::payload::{Codec, PictureId, vp8, vp9};

use crate::frame::Facts;

/// The numbers that the slot has come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pictures {
    picture_id: u16,
    tl0_pic_idx: u8,
    key_idx: u8,
    frame_number: u16,
}

/// What is added to a source's numbers, modulo what each has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    picture_id: u16,
    tl0_pic_idx: u8,
    key_idx: u8,
    frame_number: u16,
}

impl Pictures {
    pub(super) const fn starting_at(picture_id: u16) -> Self {
        Self { picture_id, tl0_pic_idx: 0, key_idx: 0, frame_number: 0 }
    }

    /// For a source that begins with this packet: its numbers are to follow on those that were sent.
    pub(super) fn join(&self, first: &Facts) -> Shift {
        let numbers = &first.numbers;
        let picture_id = numbers.picture_id.map_or(0, PictureId::value);
        Shift {
            picture_id: self.picture_id.wrapping_add(1).wrapping_sub(picture_id),
            tl0_pic_idx: self.tl0_pic_idx.wrapping_add(1).wrapping_sub(numbers.tl0_pic_idx.unwrap_or(0)),
            key_idx: self.key_idx.wrapping_add(1).wrapping_sub(numbers.key_idx.unwrap_or(0)),
            frame_number: self.frame_number.wrapping_add(1).wrapping_sub(first.frame_number().unwrap_or(0)),
        }
    }

    /// Takes note of what was sent.
    pub(super) fn sent(&mut self, facts: &Facts, shift: &Shift) {
        let numbers = &facts.numbers;
        if let Some(id) = numbers.picture_id {
            let sent = id.value().wrapping_add(shift.picture_id);
            // The width is the source's: what wraps at 7 bits is compared there. Counted are all 16, for the next source.
            let spare = 16 - id.width();
            let step = (sent.wrapping_sub(self.picture_id) << spare).cast_signed() >> spare;
            self.picture_id = self.picture_id.wrapping_add_signed(step.max(0));
        }
        let newer = |newest: &mut u8, sent: u8| {
            if sent.wrapping_sub(*newest).cast_signed() > 0 {
                *newest = sent;
            }
        };
        if let Some(index) = numbers.tl0_pic_idx {
            newer(&mut self.tl0_pic_idx, index.wrapping_add(shift.tl0_pic_idx));
        }
        if let Some(index) = numbers.key_idx {
            self.key_idx = index.wrapping_add(shift.key_idx) & vp8::KEY_IDX_MAX;
        }
        if let Some(number) = facts.frame_number() {
            let sent = number.wrapping_add(shift.frame_number);
            if sent.wrapping_sub(self.frame_number).cast_signed() > 0 {
                self.frame_number = sent;
            }
        }
    }
}

impl Shift {
    /// Changes the numbers in a payload that these facts were read from.
    pub(super) fn apply(&self, codec: Codec, facts: &Facts, payload: &mut [u8]) {
        let numbers = &facts.numbers;
        // They were all found there: none can be missing, and none is wider than it was.
        if let Some(id) = numbers.picture_id {
            let shifted = id.value().wrapping_add(self.picture_id) & id.max();
            let _ = match codec {
                Codec::Vp9 => vp9::set_picture_id(payload, shifted),
                _ => vp8::set_picture_id(payload, shifted),
            };
        }
        if let Some(index) = numbers.tl0_pic_idx {
            let shifted = index.wrapping_add(self.tl0_pic_idx);
            let _ = match codec {
                Codec::Vp9 => vp9::set_tl0_pic_idx(payload, shifted),
                _ => vp8::set_tl0_pic_idx(payload, shifted),
            };
        }
        if let Some(index) = numbers.key_idx {
            let _ = vp8::set_key_idx(payload, index.wrapping_add(self.key_idx) & vp8::KEY_IDX_MAX);
        }
    }

    /// Changes the frame number in a dependency descriptor that these facts were read from.
    pub(super) fn apply_to_descriptor(&self, facts: &Facts, descriptor: &mut [u8]) {
        if let Some(number) = facts.frame_number() {
            let _ = DescriptorHeader::set_frame_number(descriptor, number.wrapping_add(self.frame_number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Numbers;

    fn facts(id: PictureId) -> Facts {
        Facts { numbers: Numbers { picture_id: Some(id), ..Numbers::default() }, ..Facts::default() }
    }

    #[test]
    fn short_picture_ids_do_not_pull_long_ones_back() {
        let mut pictures = Pictures::starting_at(0x1ffa);
        for source in
            [&[PictureId::Fifteen(5)][..], &[PictureId::Seven(127), PictureId::Seven(0)], &[PictureId::Fifteen(9)]]
        {
            let shift = pictures.join(&facts(source[0]));
            source.iter().for_each(|id| pictures.sent(&facts(*id), &shift));
        }
        assert_eq!(pictures.picture_id, 0x1ffa + 4);
    }
}
