use crate::bits::BitReader;
use crate::{ParseError, Resolution};

/// What an SFU or a recorder needs of a sequence header (AV1 specification §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceHeader {
    /// `seq_profile`: 0 to 2.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point: 0 to 31. Senders of SVC may set 0, which says nothing.
    pub level: u8,
    /// `seq_tier` of the first operating point.
    pub high_tier: bool,
    /// A single picture.
    pub still_picture: bool,
    /// 1 to 32.
    pub operating_points: u8,
    /// The largest frame that the sequence may hold.
    pub resolution_max: Resolution,
}

impl SequenceHeader {
    /// Reads the [payload](super::Obu::payload) of a sequence header OBU, up to the resolution.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it ends early, [`ParseError::Reserved`] for a profile above 2, and for a reduced
    /// header of what is no still picture.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let mut bits = BitReader::new(payload);
        let profile = bits.bits(3)? as u8;
        let still_picture = bits.bit()?;
        let reduced = bits.bit()?;
        if profile > 2 || reduced && !still_picture {
            return Err(ParseError::Reserved);
        }
        let points = if reduced {
            OperatingPoints { count: 1, level: bits.bits(5)? as u8, high_tier: false }
        } else {
            OperatingPoints::parse(&mut bits)?
        };
        let width_bits = bits.bits(4)? + 1;
        let height_bits = bits.bits(4)? + 1;
        let width_minus_one = bits.bits(width_bits)? as u16;
        let height_minus_one = bits.bits(height_bits)? as u16;
        Ok(Self {
            profile,
            level: points.level,
            high_tier: points.high_tier,
            still_picture,
            operating_points: points.count,
            resolution_max: Resolution::from_minus_one(width_minus_one, height_minus_one),
        })
    }
}

struct OperatingPoints {
    count: u8,
    level: u8,
    high_tier: bool,
}

impl OperatingPoints {
    fn parse(bits: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let delay_bits = skip_timing(bits)?;
        let initial_display_delay_present = bits.bit()?;
        let count = bits.bits(5)? as u8 + 1;
        let mut first = None;
        for _ in 0..count {
            bits.bits(12)?; // operating_point_idc
            let level = bits.bits(5)? as u8;
            let high_tier = level > 7 && bits.bit()?;
            first = first.or(Some((level, high_tier)));
            if let Some(delay_bits) = delay_bits
                && bits.bit()?
            {
                bits.bits(delay_bits)?; // decoder_buffer_delay
                bits.bits(delay_bits)?; // encoder_buffer_delay
                bits.bit()?; // low_delay_mode_flag
            }
            if initial_display_delay_present && bits.bit()? {
                bits.bits(4)?; // initial_display_delay_minus_1
            }
        }
        let (level, high_tier) = first.unwrap_or_default();
        Ok(Self { count, level, high_tier })
    }
}

/// Passes over timing and decoder model (AV1 specification §5.5.3, §5.5.4): how many bits a buffer delay has, if there is
/// a decoder model.
fn skip_timing(bits: &mut BitReader<'_>) -> Result<Option<u32>, ParseError> {
    if !bits.bit()? {
        return Ok(None);
    }
    bits.bits(32)?; // num_units_in_display_tick
    bits.bits(32)?; // time_scale
    if bits.bit()? {
        skip_uvlc(bits)?; // num_ticks_per_picture_minus_1
    }
    if !bits.bit()? {
        return Ok(None);
    }
    let delay_bits = bits.bits(5)? + 1;
    bits.bits(32)?; // num_units_in_decoding_tick
    bits.bits(5)?; // buffer_removal_time_length_minus_1
    bits.bits(5)?; // frame_presentation_time_length_minus_1
    Ok(Some(delay_bits))
}

/// AV1 specification §4.10.3: from 32 leading zeros on, nothing follows the one.
fn skip_uvlc(bits: &mut BitReader<'_>) -> Result<(), ParseError> {
    let mut zeros = 0;
    while !bits.bit()? {
        zeros += 1;
    }
    if zeros < 32 {
        bits.bits(zeros)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bits::BitWriter;

    fn written(write: impl FnOnce(&mut BitWriter<'_>)) -> Vec<u8> {
        let mut bytes = vec![0; 300];
        let mut writer = BitWriter::new(&mut bytes);
        write(&mut writer);
        let len = writer.position().div_ceil(8);
        bytes.truncate(len);
        bytes
    }

    proptest! {
        #[test]
        fn a_header_with_any_optional_part_is_read(
            (timing, picture_interval, decoder_model, display_delay) in any::<(bool, bool, bool, bool)>(),
            levels in prop::collection::vec(0..32u8, 1..=32),
            (width, height) in (1..=65_536u32, 1..=65_536u32),
        ) {
            let bytes = written(|bits| {
                bits.bits(1, 3);
                bits.bits(0, 2);
                bits.bit(timing);
                if timing {
                    bits.bits(1001, 32);
                    bits.bits(30_000, 32);
                    bits.bit(picture_interval);
                    if picture_interval {
                        bits.bits(0b00101, 5);
                    }
                    bits.bit(decoder_model);
                    if decoder_model {
                        bits.bits(9, 5);
                        bits.bits(7, 32);
                        bits.bits(0x155, 10);
                    }
                }
                bits.bit(display_delay);
                bits.bits(levels.len() as u32 - 1, 5);
                for &level in &levels {
                    bits.bits(0xabc, 12);
                    bits.bits(level.into(), 5);
                    if level > 7 {
                        bits.bit(true);
                    }
                    if timing && decoder_model {
                        bits.bit(true);
                        bits.bits(0x2aa, 10);
                        bits.bits(0x155, 10);
                        bits.bit(false);
                    }
                    if display_delay {
                        bits.bit(true);
                        bits.bits(9, 4);
                    }
                }
                bits.bits(15, 4);
                bits.bits(15, 4);
                bits.bits(width - 1, 16);
                bits.bits(height - 1, 16);
            });
            let expected = SequenceHeader {
                profile: 1,
                level: levels[0],
                high_tier: levels[0] > 7,
                still_picture: false,
                operating_points: levels.len() as u8,
                resolution_max: Resolution::new(width, height).unwrap(),
            };
            prop_assert_eq!(SequenceHeader::parse(&bytes), Ok(expected));
            prop_assert_eq!(SequenceHeader::parse(&bytes[..bytes.len() - 1]), Err(ParseError::Truncated));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(header) = SequenceHeader::parse(&bytes) {
                prop_assert!((1..=32).contains(&header.operating_points));
            }
        }
    }

    #[test]
    fn a_reduced_header_is_of_a_still_picture() {
        let reduced = |still| {
            written(|bits| {
                bits.bits(0, 3);
                bits.bit(still);
                bits.bit(true);
                bits.bits(5, 5);
                bits.bits(9, 4);
                bits.bits(8, 4);
                bits.bits(639, 10);
                bits.bits(359, 9);
            })
        };
        let header = SequenceHeader::parse(&reduced(true)).unwrap();
        assert_eq!(header.resolution_max, Resolution::new(640, 360).unwrap());
        assert_eq!((header.level, header.operating_points, header.still_picture), (5, 1, true));
        assert_eq!(SequenceHeader::parse(&reduced(false)), Err(ParseError::Reserved));
    }

    #[test]
    fn a_profile_above_2_is_refused() {
        assert_eq!(SequenceHeader::parse(&[0x60; 20]), Err(ParseError::Reserved));
    }
}
