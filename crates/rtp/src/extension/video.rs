//! How a picture is shown: turned, and when.

use std::time::Duration;

use super::{Element, exactly};
use crate::{Error, ParseError};

/// How the receiver turns a picture before it shows it: coordination of video orientation, 3GPP TS 26.114 §7.4.5.
///
/// This is the form with a granularity of 90°. The four bits that the finer form uses are not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VideoOrientation {
    /// The camera faces away from its user.
    pub back_camera: bool,
    /// The picture is mirrored left to right.
    pub flip: bool,
    /// The turn that the receiver makes.
    pub rotation: Rotation,
}

/// A turn clockwise, in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// Upright as it is.
    #[default]
    R0,
    /// A quarter.
    R90,
    /// Upside down.
    R180,
    /// Three quarters.
    R270,
}

impl Element<'_> for VideoOrientation {
    const URI: &'static str = "urn:3gpp:video-orientation";

    fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let [byte] = exactly(data)?;
        let rotation = match byte & 3 {
            0 => Rotation::R0,
            1 => Rotation::R90,
            2 => Rotation::R180,
            _ => Rotation::R270,
        };
        Ok(Self { back_camera: byte & 8 != 0, flip: byte & 4 != 0, rotation })
    }

    fn encoded_len(&self) -> usize {
        1
    }

    fn write(&self, data: &mut [u8]) {
        let byte = u8::from(self.back_camera) << 3 | u8::from(self.flip) << 2 | self.rotation as u8;
        data.copy_from_slice(&[byte]);
    }
}

/// Bounds for the delay from capture to display (libwebrtc, `playout-delay`): in steps of 10 ms, up to 40.95 s.
///
/// The minimum is not above the maximum; data that says so is refused, as libwebrtc does. 0 and 0 ask the receiver to
/// show each picture as soon as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlayoutDelay {
    /// In steps of 10 ms, 12 bits each.
    min: u16,
    max: u16,
}

impl PlayoutDelay {
    const STEP_MS: u16 = 10;
    const STEPS_MAX: u16 = 0x0fff;

    /// Both are rounded down to 10 ms.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if one is above 40.95 s (rounded), or the minimum above the maximum.
    pub fn new(min: Duration, max: Duration) -> Result<Self, Error> {
        let steps = |delay: Duration| {
            let steps = u16::try_from(delay.as_millis() / u128::from(Self::STEP_MS)).ok();
            steps.filter(|&steps| steps <= Self::STEPS_MAX).ok_or(Error::OutOfRange)
        };
        if min > max {
            return Err(Error::OutOfRange);
        }
        Ok(Self { min: steps(min)?, max: steps(max)? })
    }

    /// The least delay.
    pub const fn min(self) -> Duration {
        Duration::from_millis((self.min as u64) * Self::STEP_MS as u64)
    }

    /// The greatest delay.
    pub const fn max(self) -> Duration {
        Duration::from_millis((self.max as u64) * Self::STEP_MS as u64)
    }
}

impl Element<'_> for PlayoutDelay {
    const URI: &'static str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

    fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let [a, b, c] = exactly(data)?;
        let (min, max) = (u16::from(a) << 4 | u16::from(b >> 4), u16::from(b & 0x0f) << 8 | u16::from(c));
        if min > max {
            return Err(ParseError::Reserved);
        }
        Ok(Self { min, max })
    }

    fn encoded_len(&self) -> usize {
        3
    }

    fn write(&self, data: &mut [u8]) {
        let bits = u32::from(self.min) << 12 | u32::from(self.max);
        data.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{both_ways, refused};
    use super::*;

    #[test]
    fn orientation_is_four_bits() {
        both_ways(&VideoOrientation::default(), &[0]);
        both_ways(&VideoOrientation { back_camera: true, flip: false, rotation: Rotation::R90 }, &[0x09]);
        both_ways(&VideoOrientation { back_camera: false, flip: true, rotation: Rotation::R180 }, &[0x06]);
        both_ways(&VideoOrientation { back_camera: true, flip: true, rotation: Rotation::R270 }, &[0x0f]);
        assert_eq!(VideoOrientation::parse(&[0xf0]), Ok(VideoOrientation::default()), "the finer form's bits");
        refused::<VideoOrientation>(&[], ParseError::Truncated);
        refused::<VideoOrientation>(&[0, 0], ParseError::Overrun);
    }

    #[test]
    fn playout_delay_is_twice_twelve_bits() {
        let ms = Duration::from_millis;
        both_ways(&PlayoutDelay::new(ms(0x123 * 10), ms(0x456 * 10)).unwrap(), &[0x12, 0x34, 0x56]);
        both_ways(&PlayoutDelay::new(ms(0), ms(40_950)).unwrap(), &[0x00, 0x0f, 0xff]);
        assert_eq!(PlayoutDelay::new(ms(19), ms(20)).map(|d| (d.min(), d.max())), Ok((ms(10), ms(20))));
        assert_eq!(PlayoutDelay::new(ms(0), ms(40_960)), Err(Error::OutOfRange));
        assert_eq!(PlayoutDelay::new(ms(30), ms(20)), Err(Error::OutOfRange));
        assert_eq!(PlayoutDelay::new(Duration::ZERO, Duration::MAX), Err(Error::OutOfRange));
        refused::<PlayoutDelay>(&[0x00, 0x20, 0x01], ParseError::Reserved);
        refused::<PlayoutDelay>(&[0, 0], ParseError::Truncated);
        refused::<PlayoutDelay>(&[0, 0, 0, 0], ParseError::Overrun);
    }
}
