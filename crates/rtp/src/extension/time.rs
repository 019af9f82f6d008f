//! When a packet left, and when what it carries was captured.

use core::time::Duration;

use super::{Element, exactly};
use crate::{Error, ParseError};

/// When a packet was sent (libwebrtc, `abs-send-time`): seconds in 24 bits, 6 before the point and 18 after it.
///
/// The value wraps every 64 seconds and steps by 3.8 µs. Browsers take it from their NTP clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbsSendTime(u32);

impl AbsSendTime {
    const FRACTION_BITS: u32 = 18;
    const MASK: u32 = 0x00ff_ffff;

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

    /// From a time in NTP's 32.32 format, rounded down.
    pub const fn from_ntp(ntp: u64) -> Self {
        Self((ntp >> (32 - Self::FRACTION_BITS)) as u32 & Self::MASK)
    }

    /// From the time since whichever epoch, rounded down.
    pub const fn from_duration(time: Duration) -> Self {
        let fraction = ((time.subsec_nanos() as u64) << Self::FRACTION_BITS) / 1_000_000_000;
        let seconds = (time.as_secs() & 0x3f) << Self::FRACTION_BITS;
        Self((seconds | fraction) as u32)
    }

    /// The 24 bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Modulo 64 seconds.
    pub const fn as_duration(self) -> Duration {
        Duration::from_nanos((self.0 as u64 * 1_000_000_000) >> Self::FRACTION_BITS)
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
    /// NTP time by the clock of the one who captured: seconds since 1900 in the high 32 bits, 2^-32 s in the low ones.
    pub timestamp: u64,
    /// What to add to the timestamp for the clock of the sender of this packet, in 2^-32 s. `None`: not known.
    pub clock_offset: Option<i64>,
}

impl Element<'_> for AbsCaptureTime {
    const URI: &'static str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";

    fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let (timestamp, rest) = data.split_first_chunk().ok_or(ParseError::Truncated)?;
        let clock_offset = if rest.is_empty() { None } else { Some(i64::from_be_bytes(exactly(rest)?)) };
        Ok(Self { timestamp: u64::from_be_bytes(*timestamp), clock_offset })
    }

    fn encoded_len(&self) -> usize {
        if self.clock_offset.is_some() { 16 } else { 8 }
    }

    fn write(&self, data: &mut [u8]) {
        match self.clock_offset {
            None => data.copy_from_slice(&self.timestamp.to_be_bytes()),
            Some(offset) => {
                let (timestamp, rest) = data.split_at_mut(8);
                timestamp.copy_from_slice(&self.timestamp.to_be_bytes());
                rest.copy_from_slice(&offset.to_be_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{both_ways, refused};
    use super::*;

    #[test]
    fn send_time_is_six_bits_of_seconds_and_eighteen_of_fraction() {
        both_ways(&AbsSendTime::new(0x12_3456).unwrap(), &[0x12, 0x34, 0x56]);
        refused::<AbsSendTime>(&[1, 2], ParseError::Truncated);
        refused::<AbsSendTime>(&[1, 2, 3, 4], ParseError::Overrun);
        assert_eq!(AbsSendTime::new(1 << 24), Err(Error::OutOfRange));
        assert_eq!(AbsSendTime::from_ntp(65 << 32 | 1 << 31).as_duration(), Duration::from_millis(1500));
        assert_eq!(AbsSendTime::from_duration(Duration::from_millis(65_500)).bits(), 0x06_0000);
        assert_eq!(AbsSendTime::from_duration(Duration::new(63, 999_999_999)).bits(), 0xff_ffff);
    }

    #[test]
    fn capture_time_has_an_offset_or_not() {
        let timestamp = 0x0102_0304_0506_0708;
        both_ways(&AbsCaptureTime { timestamp, clock_offset: None }, &[1, 2, 3, 4, 5, 6, 7, 8]);
        both_ways(
            &AbsCaptureTime { timestamp, clock_offset: Some(-2) },
            &[1, 2, 3, 4, 5, 6, 7, 8, 255, 255, 255, 255, 255, 255, 255, 254],
        );
        refused::<AbsCaptureTime>(&[0; 7], ParseError::Truncated);
        refused::<AbsCaptureTime>(&[0; 15], ParseError::Truncated);
        refused::<AbsCaptureTime>(&[0; 17], ParseError::Overrun);
    }
}
