//! Padding (RFC 3550 §5.1) that makes packets of one size, so that more of them leave as one run: encoders cut a frame into
//! packets that differ by a byte or two.

use crate::log::{Entry, Position};

/// Padding is at most this part of a slot's bytes, in percent.
const SHARE_MAX: u64 = 3;

/// How much a slot may pad, and has.
#[derive(Debug)]
pub(super) struct Padding {
    /// Bytes of one packet's.
    max: u8,
    /// Bytes that were sent, those of padding among them.
    sent: u64,
    padded: u64,
}

/// Packets that are to be of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Even {
    /// Those that lie before this one.
    until: Position,
    /// With so much of payload and padding.
    len: usize,
}

impl Padding {
    pub(super) const fn new(max: u8) -> Self {
        Self { max, sent: 0, padded: 0 }
    }

    /// A packet was sent: so many bytes, so many of them padding.
    pub(super) const fn sent(&mut self, len: usize, padding: u8) {
        self.sent += len as u64;
        self.padded += padding as u64;
    }

    const fn spare(&self) -> usize {
        (self.sent * SHARE_MAX / 100).saturating_sub(self.padded) as usize
    }

    /// How far packets can be made of one size, of those that wait from this position on. The last of a run may be shorter:
    /// it is left as it is. `None` if there is nothing to be done.
    pub(super) fn plan<'e>(&self, cursor: Position, entries: impl Iterator<Item = &'e Entry>) -> Option<Even> {
        let (max, spare) = (usize::from(self.max), self.spare());
        let mut entries = (cursor..).zip(entries);
        let (_, first) = entries.next()?;
        let (mut least, mut most) = (first.payload_len(), first.payload_len());
        let (mut until, mut count, mut bytes) = (cursor, 1, most);
        for (position, entry) in entries {
            let len = entry.payload_len();
            if len == 0 {
                // Left out, or too short for any run.
                continue;
            }
            let is_longer = len > least + max || count * most.max(len) - bytes > spare;
            if is_longer || entry.facts.shape() != first.facts.shape() {
                break;
            }
            (until, most, least) = (position, most.max(len), least.min(len));
            if len + max < most {
                break;
            }
            (count, bytes) = (count + 1, bytes + len);
        }
        (most > least).then_some(Even { until, len: most })
    }
}

impl Even {
    /// The padding of this packet.
    pub(super) fn padding(self, position: Position, payload_len: usize) -> u8 {
        if position < self.until { self.len.saturating_sub(payload_len).try_into().unwrap_or(0) } else { 0 }
    }
}
