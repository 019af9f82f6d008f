//! Bits, most significant first, as RTP's younger formats are written.

use crate::ParseError;

/// Reads bits from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bits read so far.
    pub(crate) const fn position(&self) -> usize {
        self.position
    }

    /// Bits left.
    pub(crate) const fn remaining(&self) -> usize {
        self.bytes.len() * 8 - self.position
    }

    /// Passes over `count` bits.
    pub(crate) fn skip(&mut self, count: usize) -> Result<(), ParseError> {
        if self.remaining() < count {
            return Err(ParseError::Truncated);
        }
        self.position += count;
        Ok(())
    }

    pub(crate) fn bit(&mut self) -> Result<bool, ParseError> {
        let byte = *self.bytes.get(self.position / 8).ok_or(ParseError::Truncated)?;
        let bit = byte >> (7 - self.position % 8) & 1 == 1;
        self.position += 1;
        Ok(bit)
    }

    /// An unsigned number of `count` bits, 32 at most.
    pub(crate) fn bits(&mut self, count: u32) -> Result<u32, ParseError> {
        debug_assert!(count <= 32, "a number of up to 32 bits");
        if self.remaining() < count as usize {
            return Err(ParseError::Truncated);
        }
        let mut value = 0u32;
        let mut left = count;
        while left > 0 {
            let offset = (self.position % 8) as u32;
            let take = left.min(8 - offset);
            let byte = u32::from(self.bytes[self.position / 8]);
            let part = byte >> (8 - offset - take) & ((1 << take) - 1);
            value = (u64::from(value) << take) as u32 | part;
            self.position += take as usize;
            left -= take;
        }
        Ok(value)
    }

    /// A number from 0 to `n - 1` in as few bits as can tell them apart: `ns(n)` of the AV1 specification, §4.10.7.
    pub(crate) fn non_symmetric(&mut self, n: u32) -> Result<u32, ParseError> {
        debug_assert!(n > 0, "there is a value to choose");
        let (width, short) = non_symmetric_split(n);
        if width == 0 {
            return Ok(0);
        }
        let value = self.bits(width - 1)?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1) - short + self.bits(1)?)
    }
}

/// Writes bits to the front of a slice. Bits that it does not reach keep their value.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    bytes: &'a mut [u8],
    position: usize,
}

impl<'a> BitWriter<'a> {
    pub(crate) const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Writes on from bit `position`.
    pub(crate) const fn at(bytes: &'a mut [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    /// Bits written so far.
    pub(crate) const fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn bit(&mut self, bit: bool) {
        self.bits(u32::from(bit), 1);
    }

    /// The low `count` bits of `value`. The slice is large enough: the caller has computed its length.
    pub(crate) fn bits(&mut self, value: u32, count: u32) {
        debug_assert!(count <= 32 && (count == 32 || value >> count == 0), "the value fits its bits");
        let mut left = count;
        while left > 0 {
            let offset = (self.position % 8) as u32;
            let take = left.min(8 - offset);
            let part = (u64::from(value) >> (left - take)) as u32 & ((1 << take) - 1);
            let shift = 8 - offset - take;
            let mask = (((1u32 << take) - 1) << shift) as u8;
            let byte = &mut self.bytes[self.position / 8];
            *byte = *byte & !mask | (part << shift) as u8;
            self.position += take as usize;
            left -= take;
        }
    }

    /// Counterpart of [`BitReader::non_symmetric`].
    pub(crate) fn non_symmetric(&mut self, value: u32, n: u32) {
        debug_assert!(value < n, "the value is one of n");
        let (width, short) = non_symmetric_split(n);
        if width == 0 {
            return;
        }
        if value < short {
            self.bits(value, width - 1);
        } else {
            self.bits(value + short, width);
        }
    }

    /// Zero bits up to the next byte.
    pub(crate) fn align(&mut self) {
        let rest = (8 - self.position % 8) % 8;
        self.bits(0, rest as u32);
    }
}

/// Bits that [`BitWriter::non_symmetric`] writes for `value`.
pub(crate) const fn non_symmetric_len(value: u32, n: u32) -> u32 {
    let (width, short) = non_symmetric_split(n);
    if width == 0 {
        0
    } else if value < short {
        width - 1
    } else {
        width
    }
}

/// The longer width, and how many values get one bit less.
const fn non_symmetric_split(n: u32) -> (u32, u32) {
    let width = if n <= 1 { 0 } else { 32 - (n - 1).leading_zeros() };
    let width = if n.is_power_of_two() && n > 1 { width + 1 } else { width };
    let short = ((1u64 << width) - n as u64) as u32;
    (width, short)
}

/// Reads an unsigned LEB128 (AV1 specification §4.10.5): the value and how many bytes it took, 8 at most.
pub(crate) fn read_leb128(bytes: &[u8]) -> Result<(u64, usize), ParseError> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, index + 1));
        }
    }
    Err(if bytes.len() < 8 { ParseError::Truncated } else { ParseError::Overrun })
}

/// Bytes that [`write_leb128`] takes.
pub(crate) const fn leb128_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Writes an unsigned LEB128 in as few bytes as hold it, and says how many. The slice is large enough.
pub(crate) fn write_leb128(mut value: u64, bytes: &mut [u8]) -> usize {
    let length = leb128_len(value);
    for (index, byte) in bytes[..length].iter_mut().enumerate() {
        let more = if index + 1 < length { 0x80 } else { 0 };
        *byte = (value & 0x7f) as u8 | more;
        value >>= 7;
    }
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(fields in prop::collection::vec((any::<u32>(), 1..=32u32), 0..20)) {
            let mut bytes = [0xa5; 80];
            let mut writer = BitWriter::new(&mut bytes);
            for &(value, count) in &fields {
                writer.bits(value & (u64::MAX >> (64 - count)) as u32, count);
            }
            let end = writer.position();
            let mut reader = BitReader::new(&bytes);
            for &(value, count) in &fields {
                prop_assert_eq!(reader.bits(count), Ok(value & (u64::MAX >> (64 - count)) as u32));
            }
            prop_assert_eq!(reader.position(), end);

            // From the last field on.
            if let Some(&(value, count)) = fields.last() {
                let last = end - count as usize;
                let value = value & (u64::MAX >> (64 - count)) as u32;
                let mut reader = BitReader::new(&bytes);
                prop_assert_eq!(reader.skip(last), Ok(()));
                prop_assert_eq!(reader.bits(count), Ok(value));
                prop_assert_eq!(reader.skip(bytes.len() * 8 - end + 1), Err(ParseError::Truncated));
                BitWriter::at(&mut bytes, last).bits(!value & (u64::MAX >> (64 - count)) as u32, count);
                let mut reader = BitReader::new(&bytes);
                prop_assert_eq!(reader.skip(last), Ok(()));
                prop_assert_eq!(reader.bits(count), Ok(!value & (u64::MAX >> (64 - count)) as u32));
            }
        }

        #[test]
        fn non_symmetric_values_come_back(n in 1..10_000u32, choice: u32) {
            let value = choice % n;
            let mut bytes = [0; 4];
            let mut writer = BitWriter::new(&mut bytes);
            writer.non_symmetric(value, n);
            let written = writer.position();
            prop_assert_eq!(written, non_symmetric_len(value, n) as usize);
            let mut reader = BitReader::new(&bytes);
            prop_assert_eq!(reader.non_symmetric(n), Ok(value));
            prop_assert_eq!(reader.position(), written);
        }

        #[test]
        fn leb128_comes_back(value in 0..1u64 << 56) {
            let mut bytes = [0xff; 10];
            let length = write_leb128(value, &mut bytes);
            prop_assert_eq!(length, leb128_len(value));
            prop_assert_eq!(read_leb128(&bytes), Ok((value, length)));
            prop_assert_eq!(read_leb128(&bytes[..length - 1]), Err(ParseError::Truncated));
        }
    }

    // AV1 specification §4.10.7, the table for n = 5.
    #[test]
    fn non_symmetric_of_five_is_the_table_of_the_specification() {
        for (value, bits, length) in [(0, 0b00, 2), (1, 0b01, 2), (2, 0b10, 2), (3, 0b110, 3), (4, 0b111, 3)] {
            let mut bytes = [0];
            BitWriter::new(&mut bytes).non_symmetric(value, 5);
            assert_eq!(bytes[0] >> (8 - length), bits);
        }
    }

    #[test]
    fn an_endless_leb128_is_refused() {
        assert_eq!(read_leb128(&[0x80; 9]), Err(ParseError::Overrun));
        assert_eq!(read_leb128(&[]), Err(ParseError::Truncated));
    }
}
