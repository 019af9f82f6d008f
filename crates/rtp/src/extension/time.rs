//! When a packet left, and when what it carries was captured.

use super::{Element, exactly};
use crate::{Error, NtpTime, ParseError};

/// When a packet was sent (libwebrtc, `abs-send-time`): seconds in 24 bits, 6 before the point and 18 after it.
///
/// The value wraps every 64 seconds and steps by 3.8 µs: bits 14 to 37 of an [`NtpTime`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbsSendTime(u32);

impl AbsSendTime {
    const MASK: u32 = 0x00ff_ffff;
    /// How many more bits of a fraction an [`NtpTime`] has.
    const FINER_BITS: u32 = 32 - 18;

    /// From 24 bits as they stand in the element.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if the value has more bits.
    pub const fn new(bits: u32) -> Result<Self, Error> {
        if bits > Self::MASK {
            return Err(Error::OutOfRange);
        }
        Ok(Self(bits))
    }

    /// The part of a time that the element carries, rounded down.
    pub const fn from_ntp(time: NtpTime) -> Self {
        Self((time.0 >> Self::FINER_BITS) as u32 & Self::MASK)
    }

    /// The time nearest to `reference` that the element can mean: less than 32 s after it, or at most 32 s before.
    ///
    /// The reference is the receiver's clock at arrival, or the time of a neighbouring packet: sender and receiver need
    /// not agree on the time for differences to be right.
    pub const fn nearest(self, reference: NtpTime) -> NtpTime {
        // Both are shifted to the top of 32 bits, so that the sign of their difference is the direction.
        let distance = (self.0 << 8).wrapping_sub(Self::from_ntp(reference).0 << 8).cast_signed() >> 8;
        let whole = reference.0 >> Self::FINER_BITS << Self::FINER_BITS;
        NtpTime(whole.wrapping_add_signed((distance as i64) << Self::FINER_BITS))
    }

    /// The 24 bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl Element<'_> for AbsSendTime {
    const URI: &'static str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";

    fn parse(data: &[u8]) -> Result<Self, ParseError> {
        exactly(data).map(|[a, b, c]| Self(u32::from_be_bytes([0, a, b, c])))
    }

    fn encoded_len(&self) -> usize {
        3
    }

    fn write(&self, data: &mut [u8]) {
        data.copy_from_slice(&self.0.to_be_bytes()[1..]);
    }
}

/// When the first sample or line of what a packet carries was captured (libwebrtc, `abs-capture-time`).
///
/// Browsers send it about once a second; in between, it follows from the RTP timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbsCaptureTime {
    /// By the clock of the one who captured.
    pub timestamp: NtpTime,
    /// What to add to the timestamp for the clock of the sender of this packet, in 2^-32 s. `None`: not known.
    pub clock_offset: Option<i64>,
}

impl Element<'_> for AbsCaptureTime {
    const URI: &'static str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";

    fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let (timestamp, rest) = data.split_first_chunk().ok_or(ParseError::Truncated)?;
        let clock_offset = if rest.is_empty() { None } else { Some(i64::from_be_bytes(exactly(rest)?)) };
        Ok(Self { timestamp: NtpTime(u64::from_be_bytes(*timestamp)), clock_offset })
    }

    fn encoded_len(&self) -> usize {
        if self.clock_offset.is_some() { 16 } else { 8 }
    }

    fn write(&self, data: &mut [u8]) {
        match self.clock_offset {
            None => data.copy_from_slice(&self.timestamp.0.to_be_bytes()),
            Some(offset) => {
                let (timestamp, rest) = data.split_at_mut(8);
                timestamp.copy_from_slice(&self.timestamp.0.to_be_bytes());
                rest.copy_from_slice(&offset.to_be_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{both_ways, refused};
    use super::*;

    #[test]
    fn send_time_is_six_bits_of_seconds_and_eighteen_of_fraction() {
        both_ways(&AbsSendTime::new(0x12_3456).unwrap(), &[0x12, 0x34, 0x56]);
        refused::<AbsSendTime>(&[1, 2], ParseError::Truncated);
        refused::<AbsSendTime>(&[1, 2, 3, 4], ParseError::Overrun);
        assert_eq!(AbsSendTime::new(1 << 24), Err(Error::OutOfRange));
    }

    #[test]
    fn send_time_wraps_every_64_seconds() {
        let now = NtpTime((64 * 1000 + 1) << 32 | 1 << 31);
        assert_eq!(AbsSendTime::from_ntp(now).bits(), 3 << 17);
        let at = |bits| AbsSendTime::new(bits).unwrap();
        let before_the_wrap = at(63 << 18).nearest(now);
        assert_eq!(before_the_wrap, NtpTime((64 * 1000 - 1) << 32));
        assert_eq!(at(1 << 18).nearest(before_the_wrap), NtpTime((64 * 1000 + 1) << 32));
        let now = NtpTime((64 * 1000 + 1) << 32);
        assert_eq!(at(33 << 18).nearest(now), NtpTime((64 * 1000 - 31) << 32), "32 s before, not after");
        assert_eq!(at(32 << 18).nearest(now), NtpTime((64 * 1000 + 32) << 32));
    }

    #[test]
    fn capture_time_has_an_offset_or_not() {
        let timestamp = NtpTime(0x0102_0304_0506_0708);
        both_ways(&AbsCaptureTime { timestamp, clock_offset: None }, &[1, 2, 3, 4, 5, 6, 7, 8]);
        both_ways(
            &AbsCaptureTime { timestamp, clock_offset: Some(-2) },
            &[1, 2, 3, 4, 5, 6, 7, 8, 255, 255, 255, 255, 255, 255, 255, 254],
        );
        refused::<AbsCaptureTime>(&[0; 7], ParseError::Truncated);
        refused::<AbsCaptureTime>(&[0; 15], ParseError::Truncated);
        refused::<AbsCaptureTime>(&[0; 17], ParseError::Overrun);
    }

    proptest! {
        #[test]
        fn send_time_is_found_near_any_reference(time: u64, off in -31_999..32_000i64) {
            let reference = NtpTime(time.wrapping_add_signed((off << 32) / 1000));
            let found = AbsSendTime::from_ntp(NtpTime(time)).nearest(reference);
            prop_assert_eq!(found.0, time >> 14 << 14);
        }
    }
}
