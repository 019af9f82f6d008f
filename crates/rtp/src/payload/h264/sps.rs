use crate::{ParseError, Resolution};

/// Profiles whose parameter set says something about chroma (ITU-T H.264 §7.3.2.1.1).
const CHROMA_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// The largest edge of a picture, in macroblocks: twice what level 6.2 allows (ITU-T H.264 §A.3.1).
const EDGE_MACROBLOCKS_MAX: u32 = 2112;

/// What an SFU or a recorder needs of a sequence parameter set (ITU-T H.264 §7.3.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceParameterSet {
    /// `profile_idc`, the constraint flags and `level_idc`: the `profile-level-id` of SDP, in hexadecimal.
    pub profile_level_id: [u8; 3],
    /// `seq_parameter_set_id`: 0 to 31.
    pub id: u8,
    /// `max_num_ref_frames`: 0 to 16.
    pub reference_frames_max: u8,
    /// The picture as it is shown, cropped.
    pub resolution: Resolution,
}

impl SequenceParameterSet {
    /// Reads a NAL unit of type 7, its header included, up to the resolution.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it ends early, [`ParseError::Reserved`] if it is another unit or a value is out of
    /// its range.
    pub fn parse(unit: &[u8]) -> Result<Self, ParseError> {
        let (&header, body) = unit.split_first().ok_or(ParseError::Truncated)?;
        if header & 0x1f != 7 {
            return Err(ParseError::Reserved);
        }
        let mut bits = Bits::new(body);
        let profile_level_id = [bits.byte()?, bits.byte()?, bits.byte()?];
        let id = bits.up_to(31)? as u8;
        let mut chroma = Chroma { format: 1, separate_planes: false };
        if CHROMA_PROFILES.contains(&profile_level_id[0]) {
            chroma = Chroma::parse(&mut bits)?;
        }
        bits.up_to(12)?; // log2_max_frame_num_minus4
        skip_picture_order_count(&mut bits)?;
        let reference_frames_max = bits.up_to(16)? as u8;
        bits.bit()?; // gaps_in_frame_num_value_allowed_flag
        let resolution = parse_resolution(&mut bits, chroma)?;
        Ok(Self { profile_level_id, id, reference_frames_max, resolution })
    }
}

#[derive(Clone, Copy)]
struct Chroma {
    /// `chroma_format_idc`: 0 to 3.
    format: u32,
    separate_planes: bool,
}

impl Chroma {
    fn parse(bits: &mut Bits<'_>) -> Result<Self, ParseError> {
        let format = bits.up_to(3)?;
        let separate_planes = format == 3 && bits.bit()?;
        bits.up_to(6)?; // bit_depth_luma_minus8
        bits.up_to(6)?; // bit_depth_chroma_minus8
        bits.bit()?; // qpprime_y_zero_transform_bypass_flag
        if bits.bit()? {
            for list in 0..if format == 3 { 12 } else { 8 } {
                if bits.bit()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(Self { format, separate_planes })
    }

    /// `CropUnitX` and `CropUnitY` of a frame (ITU-T H.264 §7.4.2.1.1).
    const fn crop_unit(self) -> (u32, u32) {
        match self.format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        }
    }
}

/// ITU-T H.264 §7.3.2.1.1.1: the list ends early where a next scale of 0 stands.
fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Result<(), ParseError> {
    let mut last = 8i64;
    for _ in 0..size {
        let next = (last + i64::from(bits.signed()?)).rem_euclid(256);
        if next == 0 {
            break;
        }
        last = next;
    }
    Ok(())
}

fn skip_picture_order_count(bits: &mut Bits<'_>) -> Result<(), ParseError> {
    match bits.up_to(2)? {
        0 => {
            bits.up_to(12)?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.bit()?; // delta_pic_order_always_zero_flag
            bits.signed()?; // offset_for_non_ref_pic
            bits.signed()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.up_to(255)? {
                bits.signed()?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn parse_resolution(bits: &mut Bits<'_>, chroma: Chroma) -> Result<Resolution, ParseError> {
    let width = 16 * (bits.up_to(EDGE_MACROBLOCKS_MAX - 1)? + 1);
    let map_units = bits.up_to(EDGE_MACROBLOCKS_MAX - 1)? + 1;
    let frames_only = bits.bit()?;
    // A map unit is a macroblock, or a pair of them where fields may be coded.
    let fields = if frames_only { 1 } else { 2 };
    let height = 16 * map_units * fields;
    if !frames_only {
        bits.bit()?; // mb_adaptive_frame_field_flag
    }
    bits.bit()?; // direct_8x8_inference_flag
    let [mut left, mut right, mut top, mut bottom] = [0; 4];
    if bits.bit()? {
        for side in [&mut left, &mut right, &mut top, &mut bottom] {
            *side = bits.up_to(16 * 2 * EDGE_MACROBLOCKS_MAX)?;
        }
    }
    let (unit_x, unit_y) = if chroma.separate_planes { (1, 1) } else { chroma.crop_unit() };
    let cropped = |size: u32, crop: u32| size.checked_sub(crop).ok_or(ParseError::Reserved);
    let (width, height) = (cropped(width, (left + right) * unit_x), cropped(height, (top + bottom) * unit_y * fields));
    Resolution::new(width?, height?).map_err(|_| ParseError::Reserved)
}

/// Reads the bits of a NAL unit's body, passing over its emulation prevention bytes (ITU-T H.264 §7.4.1): the third byte
/// of 00 00 03 is not part of what the unit says.
struct Bits<'a> {
    rest: std::slice::Iter<'a, u8>,
    zeros: u32,
    byte: u8,
    /// Bits of `byte` not read yet.
    left: u32,
}

impl<'a> Bits<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self { rest: body.iter(), zeros: 0, byte: 0, left: 0 }
    }

    fn bit(&mut self) -> Result<bool, ParseError> {
        if self.left == 0 {
            let mut byte = *self.rest.next().ok_or(ParseError::Truncated)?;
            if self.zeros >= 2 && byte == 3 {
                byte = *self.rest.next().ok_or(ParseError::Truncated)?;
                self.zeros = 0;
            }
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
            self.byte = byte;
            self.left = 8;
        }
        self.left -= 1;
        Ok(self.byte >> self.left & 1 == 1)
    }

    fn bits(&mut self, count: u32) -> Result<u32, ParseError> {
        (0..count).try_fold(0, |value, _| Ok(value << 1 | u32::from(self.bit()?)))
    }

    fn byte(&mut self) -> Result<u8, ParseError> {
        self.bits(8).map(|byte| byte as u8)
    }

    /// `ue(v)` (ITU-T H.264 §9.1): at most 2^32 - 2.
    fn unsigned(&mut self) -> Result<u32, ParseError> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(ParseError::Reserved);
            }
        }
        Ok(self.bits(zeros)? + ((1 << zeros) - 1))
    }

    /// `ue(v)` with a range.
    fn up_to(&mut self, max: u32) -> Result<u32, ParseError> {
        let value = self.unsigned()?;
        if value <= max { Ok(value) } else { Err(ParseError::Reserved) }
    }

    /// `se(v)` (ITU-T H.264 §9.1.1).
    fn signed(&mut self) -> Result<i32, ParseError> {
        let value = self.unsigned()?;
        let half = value.div_ceil(2) as i32;
        Ok(if value % 2 == 1 { half } else { -half })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Puts bits and Exp-Golomb numbers into a parameter set.
    #[derive(Default)]
    struct SetWriter {
        bits: Vec<bool>,
    }

    impl SetWriter {
        fn fixed(&mut self, value: u32, count: u32) -> &mut Self {
            self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn golomb(&mut self, value: u32) -> &mut Self {
            let width = 32 - (value + 1).leading_zeros();
            self.fixed(0, width - 1).fixed(value + 1, width)
        }

        /// The NAL unit, with emulation prevention.
        fn unit(&self) -> Vec<u8> {
            let mut unit = vec![0x67];
            let mut zeros = 0;
            for chunk in self.bits.chunks(8) {
                let byte = (0..8).fold(0, |byte, bit| byte << 1 | u8::from(chunk.get(bit) == Some(&true)));
                if zeros >= 2 && byte <= 3 {
                    unit.push(3);
                    zeros = 0;
                }
                zeros = if byte == 0 { zeros + 1 } else { 0 };
                unit.push(byte);
            }
            unit
        }
    }

    proptest! {
        #[test]
        fn a_size_comes_back(width in 1..2000u32, height in 1..1000u32, crop in 0..8u32, fields: bool, high: bool) {
            let mut set = SetWriter::default();
            set.fixed(if high { 100 } else { 66 }, 8).fixed(0, 8).fixed(31, 8).golomb(0);
            if high {
                // 4:2:0, 8 bits, and no scaling matrix.
                set.golomb(1).golomb(0).golomb(0).fixed(0, 2);
            }
            set.golomb(0).golomb(2).golomb(1).fixed(0, 1).golomb(width - 1).golomb(height - 1);
            set.fixed(u32::from(!fields), 1);
            if fields {
                set.fixed(0, 1);
            }
            set.fixed(1, 1).fixed(1, 1).golomb(0).golomb(crop.min(3)).golomb(0).golomb(crop.min(3)).fixed(0, 1);
            let read = SequenceParameterSet::parse(&set.unit()).unwrap();
            let lines = if fields { 2 } else { 1 };
            let resolution = Resolution::new(width * 16 - crop.min(3) * 2, (height * 16 - crop.min(3) * 2) * lines).unwrap();
            prop_assert_eq!(read.resolution, resolution);
            prop_assert_eq!((read.id, read.reference_frames_max), (0, 1));
        }

        #[test]
        fn any_bytes_are_read_or_refused(profile in prop::sample::select(vec![66u8, 100]), body: [u8; 24], len in 0..24usize) {
            let mut unit = vec![0x67, profile];
            unit.extend_from_slice(&body[..len]);
            if let Ok(set) = SequenceParameterSet::parse(&unit) {
                prop_assert!(set.resolution.width() <= 16 * EDGE_MACROBLOCKS_MAX);
            }
        }
    }

    #[test]
    fn a_set_with_every_optional_part_is_read() {
        let mut set = SetWriter::default();
        set.fixed(100, 8).fixed(0, 8).fixed(40, 8).golomb(5);
        // 4:4:4 in separate planes, a scaling matrix whose first list has two entries and an end.
        set.golomb(3).fixed(1, 1).golomb(0).golomb(0).fixed(0, 1).fixed(1, 1);
        set.fixed(1, 1).golomb(1).golomb(2).golomb(16).fixed(0, 11);
        // Picture order counts of type 1 with a cycle of two.
        set.golomb(0).golomb(1).fixed(0, 1).golomb(1).golomb(2).golomb(2).golomb(3).golomb(4);
        set.golomb(4).fixed(0, 1).golomb(119).golomb(67).fixed(1, 1).fixed(1, 1);
        set.fixed(1, 1).golomb(0).golomb(0).golomb(0).golomb(8).fixed(0, 1);
        let expected = SequenceParameterSet {
            profile_level_id: [100, 0, 40],
            id: 5,
            reference_frames_max: 4,
            resolution: Resolution::new(1920, 1080).unwrap(),
        };
        assert_eq!(SequenceParameterSet::parse(&set.unit()), Ok(expected));
    }

    #[test]
    fn emulation_prevention_bytes_are_not_read() {
        let bits = |bytes: &[u8]| {
            let mut bits = Bits::new(bytes);
            std::iter::from_fn(|| bits.byte().ok()).collect::<Vec<_>>()
        };
        assert_eq!(bits(&[0, 0, 3, 1, 3]), [0, 0, 1, 3]);
        assert_eq!(bits(&[0, 0, 3, 0, 0, 3, 3]), [0, 0, 0, 0, 3]);
        assert_eq!(bits(&[0, 0, 0, 3, 3, 1]), [0, 0, 0, 3, 1]);
        assert_eq!(bits(&[0, 0, 3]), [0, 0]);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(SequenceParameterSet::parse(&[]), Err(ParseError::Truncated));
        assert_eq!(SequenceParameterSet::parse(&[0x68, 66, 0, 31]), Err(ParseError::Reserved));
        assert_eq!(SequenceParameterSet::parse(&[0x67, 66, 0, 31]), Err(ParseError::Truncated));
        // An Exp-Golomb number of more than 31 leading zeros.
        assert_eq!(SequenceParameterSet::parse(&[0x67, 66, 0, 31, 0, 0, 3, 0, 0, 3, 1]), Err(ParseError::Reserved));

        // A picture of 16x16 that is cropped to nothing.
        let mut set = SetWriter::default();
        set.fixed(66, 8).fixed(0, 8).fixed(31, 8).golomb(0).golomb(0).golomb(2).golomb(1).fixed(0, 1);
        set.golomb(0).golomb(0).fixed(1, 1).fixed(1, 1).fixed(1, 1).golomb(4).golomb(4).golomb(0).golomb(0);
        assert_eq!(SequenceParameterSet::parse(&set.unit()), Err(ParseError::Reserved));
    }
}
