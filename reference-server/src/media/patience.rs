//! Whether what has come of a picture waits for the rest of it. Its packets come within some tens of microseconds, and the
//! first of them wakes the loop: sent at once, it would cost each subscriber a call of its own.

use std::time::Duration;

use plenary_wire::PacketKind;

/// What a picture is held back, and at most the kernel's 50 µs of slack with it. A publisher on the same machine writes ten
/// packets meanwhile; longer brings no more.
pub(super) const PATIENCE: Duration = Duration::from_micros(60);

/// Encoders cut pictures into equal parts of about a datagram: what is shorter is sound, or a whole picture.
const PART_BYTES_MIN: usize = 500;

/// Sends that are to follow: to wait costs as much as some of them.
const SENDS_MIN: u32 = 16;

/// Waits in vain in a row, after which only one part in so many is waited behind: who paces packets one by one.
const VAIN_MAX: u32 = 4;
const TRY_EVERY: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct Patience {
    /// The latest part of a picture was not the last.
    is_open: bool,
    /// One has come since the last wait.
    is_new: bool,
    /// Sends since the latest part, and between the two before.
    sends: u32,
    sends_before: u32,
    vain: u32,
    passed: u32,
}

impl Patience {
    /// Takes note of a datagram that came in. The header of SRTP is in the clear, and the marker ends a picture.
    pub(super) fn handle_datagram(&mut self, bytes: &[u8]) {
        if bytes.len() < PART_BYTES_MIN || PacketKind::of(bytes) != Some(PacketKind::Rtp) {
            return;
        }
        self.is_open = bytes[1] & 0x80 == 0;
        if self.sends > 0 {
            self.sends_before = self.sends;
            self.sends = 0;
        }
        self.is_new = true;
    }

    /// Takes note of a send.
    pub(super) const fn handle_sent(&mut self) {
        self.sends = self.sends.saturating_add(1);
    }

    /// Whether to wait now, before what has come is sent.
    pub(super) fn begin(&mut self) -> bool {
        if !std::mem::take(&mut self.is_new) || !self.is_open || self.sends_before < SENDS_MIN {
            return false;
        }
        self.passed = (self.passed + 1) % TRY_EVERY;
        self.vain < VAIN_MAX || self.passed == 0
    }

    /// The wait is over.
    pub(super) fn end(&mut self) {
        self.vain = if std::mem::take(&mut self.is_new) { 0 } else { self.vain.saturating_add(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(is_last: bool) -> Vec<u8> {
        let mut bytes = vec![0; 1200];
        bytes[..2].copy_from_slice(&[0x80, if is_last { 0x80 | 96 } else { 96 }]);
        bytes
    }

    /// A part comes and is sent to so many; says whether the rest is waited for.
    fn waits(patience: &mut Patience, is_last: bool, sends: u32) -> bool {
        patience.handle_datagram(&part(is_last));
        let waits = patience.begin();
        if waits {
            patience.end();
        }
        (0..sends).for_each(|_| patience.handle_sent());
        waits
    }

    #[test]
    fn the_rest_of_a_picture_is_waited_for_if_many_are_sent_it() {
        let mut patience = Patience::default();
        assert!(!waits(&mut patience, false, SENDS_MIN), "nobody knows yet for how many");
        assert!(waits(&mut patience, false, SENDS_MIN));
        assert!(!waits(&mut patience, true, SENDS_MIN), "the last part");
        assert!(!patience.begin(), "nothing has come");
        let mut other = part(false);
        other.truncate(PART_BYTES_MIN - 1);
        patience.handle_datagram(&other);
        other.fill(0);
        patience.handle_datagram(&[&[22; 13][..], &[0; 600]].concat());
        assert!(!patience.begin(), "sound, and DTLS");
        assert!(waits(&mut patience, false, SENDS_MIN - 1));
        assert!(!waits(&mut patience, false, 9), "for too few");
    }

    #[test]
    fn who_waits_in_vain_waits_less() {
        let mut patience = Patience::default();
        waits(&mut patience, false, 100);
        let waited = (0..160).filter(|_| waits(&mut patience, false, 100)).count();
        assert_eq!(waited, VAIN_MAX as usize + 10);
        // The rest comes while it is waited for.
        while !patience.begin() {
            patience.handle_datagram(&part(false));
        }
        patience.handle_datagram(&part(true));
        patience.end();
        (0..100).for_each(|_| patience.handle_sent());
        assert!(waits(&mut patience, false, 100));
    }
}
