use crate::SeqNo;

/// What grows at the end of a caller's `Vec`, packet by packet, until it is whole.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends so far: the length of the `Vec`.
    end: usize,
    next_sequence_number: SeqNo,
}

impl Unfinished {
    /// One without bytes, which the packet with this number begins.
    pub(super) const fn begin(sequence_number: SeqNo, out: &[u8]) -> Self {
        Self { start: out.len(), end: out.len(), next_sequence_number: sequence_number }
    }

    pub(super) const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether the packet follows the last one, and the `Vec` is as that left it.
    pub(super) fn goes_on(&self, sequence_number: SeqNo, out: &[u8]) -> bool {
        self.next_sequence_number == sequence_number && self.end == out.len()
    }

    pub(super) fn append(&mut self, sequence_number: SeqNo, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(bytes);
        self.end = out.len();
        self.next_sequence_number = sequence_number.wrapping_add(1);
    }

    /// Takes it off the `Vec`, unless the caller has changed that.
    pub(super) fn cut_off(self, out: &mut Vec<u8>) {
        if out.len() == self.end {
            out.truncate(self.start);
        }
    }
}
