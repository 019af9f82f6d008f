//! How loud the audio in a packet is.

use super::{Element, exactly};
use crate::{Error, ParseError};

const LEVEL_MAX: u8 = 127;

/// The level of the audio in a packet, as its sender measured it (RFC 6464).
///
/// The data is one byte in either header form. The second byte in RFC 6464's figure of the two-byte form is padding
/// between elements and not a part of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioLevel {
    voice: bool,
    level: u8,
}

impl AudioLevel {
    /// A level of `-level` dBov: 0 is the loudest, 127 silence.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if the level is above 127.
    pub const fn new(voice: bool, level: u8) -> Result<Self, Error> {
        if level > LEVEL_MAX {
            return Err(Error::OutOfRange);
        }
        Ok(Self { voice, level })
    }

    /// Whether the sender believes that there is speech in the packet. False too if it does not look: `vad=off`.
    pub const fn voice(self) -> bool {
        self.voice
    }

    /// The negated level in dBov: 0 is the loudest, 127 silence.
    pub const fn level(self) -> u8 {
        self.level
    }
}

impl Element<'_> for AudioLevel {
    const URI: &'static str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

    fn parse(data: &[u8]) -> Result<Self, ParseError> {
        exactly(data).map(|[byte]| Self { voice: byte & 0x80 != 0, level: byte & LEVEL_MAX })
    }

    fn encoded_len(&self) -> usize {
        1
    }

    fn write(&self, data: &mut [u8]) {
        data.copy_from_slice(&[u8::from(self.voice) << 7 | self.level]);
    }
}

/// The level of each source that a mixer put into a packet (RFC 6465), in the order of the packet's CSRCs.
///
/// There are as many levels as CSRCs. None at all can be written in the two-byte form only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MixedLevels<'a>(&'a [u8]);

impl<'a> MixedLevels<'a> {
    /// A packet has no more CSRCs.
    const COUNT_MAX: usize = 15;

    /// Levels of `-level` dBov each: 0 is the loudest, 127 silence.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] above 15 levels, [`Error::OutOfRange`] if one is above 127.
    pub fn new(levels: &'a [u8]) -> Result<Self, Error> {
        if levels.len() > Self::COUNT_MAX {
            return Err(Error::TooLong);
        }
        if levels.iter().any(|&level| level > LEVEL_MAX) {
            return Err(Error::OutOfRange);
        }
        Ok(Self(levels))
    }

    /// The negated level in dBov of each source: 0 is the loudest, 127 silence.
    pub fn levels(self) -> impl ExactSizeIterator<Item = u8> + use<'a> {
        // RFC 6465 §3: the first bit is reserved and not looked at.
        self.0.iter().map(|byte| byte & LEVEL_MAX)
    }
}

impl<'a> Element<'a> for MixedLevels<'a> {
    const URI: &'static str = "urn:ietf:params:rtp-hdrext:csrc-audio-level";

    fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        if data.len() > Self::COUNT_MAX { Err(ParseError::TooMany) } else { Ok(Self(data)) }
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn write(&self, data: &mut [u8]) {
        data.copy_from_slice(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{both_ways, refused};
    use super::*;

    #[test]
    fn level_is_seven_bits_beside_the_voice_bit() {
        both_ways(&AudioLevel::new(true, 23).unwrap(), &[0x97]);
        both_ways(&AudioLevel::new(false, 127).unwrap(), &[0x7f]);
        assert_eq!(AudioLevel::new(false, 128), Err(Error::OutOfRange));
        refused::<AudioLevel>(&[], ParseError::Truncated);
        refused::<AudioLevel>(&[0x97, 0], ParseError::Overrun);
    }

    #[test]
    fn mixed_levels_are_a_byte_each() {
        let levels = [0, 64, 127];
        both_ways(&MixedLevels::new(&levels).unwrap(), &levels);
        both_ways(&MixedLevels::new(&[]).unwrap(), &[]);
        let reserved = MixedLevels::parse(&[0x80, 0xff]).unwrap();
        assert_eq!(reserved.levels().collect::<Vec<_>>(), [0, 127]);
        refused::<MixedLevels<'_>>(&[0; 16], ParseError::TooMany);
        assert_eq!(MixedLevels::new(&[0; 16]), Err(Error::TooLong));
        assert_eq!(MixedLevels::new(&[128]), Err(Error::OutOfRange));
    }
}
