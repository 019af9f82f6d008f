use crate::ParseError;
use crate::bits::{leb128_len, read_leb128, write_leb128};

const FORBIDDEN: u8 = 0x80;
const EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

/// What an OBU is (AV1 specification §6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObuType {
    /// 1
    SequenceHeader,
    /// 2: never sent over RTP.
    TemporalDelimiter,
    /// 3
    FrameHeader,
    /// 4
    TileGroup,
    /// 5
    Metadata,
    /// 6: frame header and tile group in one.
    Frame,
    /// 7
    RedundantFrameHeader,
    /// 8: never sent over RTP.
    TileList,
    /// 15
    Padding,
    /// A type for which there is no meaning yet.
    Reserved(u8),
}

impl ObuType {
    const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::SequenceHeader,
            2 => Self::TemporalDelimiter,
            3 => Self::FrameHeader,
            4 => Self::TileGroup,
            5 => Self::Metadata,
            6 => Self::Frame,
            7 => Self::RedundantFrameHeader,
            8 => Self::TileList,
            15 => Self::Padding,
            other => Self::Reserved(other),
        }
    }
}

/// The layer of an OBU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Layer {
    /// 0 to 7.
    pub temporal_id: u8,
    /// 0 to 3.
    pub spatial_id: u8,
}

/// The header of an OBU (AV1 specification §5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObuHeader {
    /// What it is.
    pub obu_type: ObuType,
    /// The layer, if the header has its extension.
    pub layer: Option<Layer>,
    /// A size stands behind the header.
    pub has_size: bool,
}

impl ObuHeader {
    /// Reads a header from the front of `bytes`: the header, and how many bytes it took.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if its extension is missing, [`ParseError::Reserved`] if the forbidden bit is set.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), ParseError> {
        let &first = bytes.first().ok_or(ParseError::Truncated)?;
        if first & FORBIDDEN != 0 {
            return Err(ParseError::Reserved);
        }
        let layer = if first & EXTENSION == 0 {
            None
        } else {
            let &extension = bytes.get(1).ok_or(ParseError::Truncated)?;
            Some(Layer { temporal_id: extension >> 5, spatial_id: extension >> 3 & 3 })
        };
        let obu_type = ObuType::from_number(first >> 3 & 0xf);
        let len = if layer.is_some() { 2 } else { 1 };
        Ok((Self { obu_type, layer, has_size: first & HAS_SIZE != 0 }, len))
    }
}

/// A whole OBU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'a> {
    /// Its header.
    pub header: ObuHeader,
    /// The header's one or two bytes, without the size.
    header_bytes: &'a [u8],
    /// What follows header and size.
    pub payload: &'a [u8],
}

impl<'a> Obu<'a> {
    /// Takes `bytes` for one OBU. If it has a size, what follows it is not looked at.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it ends early, [`ParseError::Overrun`] if its size reaches beyond `bytes`,
    /// [`ParseError::Reserved`] if the forbidden bit is set.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::split_from(&mut &*bytes)
    }

    /// Takes an OBU from the front of `rest`: all of it, if it has no size.
    fn split_from(rest: &mut &'a [u8]) -> Result<Self, ParseError> {
        let (header, len) = ObuHeader::parse(rest)?;
        let (header_bytes, mut after) = rest.split_at(len);
        let mut payload = std::mem::take(&mut after);
        if header.has_size {
            let (size, prefix) = read_leb128(payload)?;
            let size = usize::try_from(size).map_err(|_| ParseError::Overrun)?;
            (payload, after) = payload[prefix..].split_at_checked(size).ok_or(ParseError::Overrun)?;
        }
        *rest = after;
        Ok(Self { header, header_bytes, payload })
    }

    /// The bytes of the OBU as an RTP element wants it, without a size.
    pub(super) fn element_len(&self) -> usize {
        self.header_bytes.len() + self.payload.len()
    }

    /// Appends the bytes from `start` to `end` of that form.
    pub(super) fn write_element(&self, start: usize, end: usize, out: &mut Vec<u8>) {
        let split = self.header_bytes.len();
        out.extend(
            self.header_bytes
                .iter()
                .enumerate()
                .take(end)
                .skip(start)
                .map(|(index, byte)| if index == 0 { byte & !HAS_SIZE } else { *byte }),
        );
        out.extend_from_slice(&self.payload[start.saturating_sub(split)..end.saturating_sub(split)]);
    }
}

/// Gives the OBU that reaches from `start` to the end of `out` the size that the low-overhead format wants.
///
/// # Errors
///
/// As of [`Obu::parse`]. `out` is as before then.
pub(super) fn add_size(start: usize, out: &mut Vec<u8>) -> Result<ObuHeader, ParseError> {
    let obu = Obu::parse(&out[start..])?;
    let (header, header_len, payload_len) = (obu.header, obu.header_bytes.len(), obu.payload.len());
    let mut size = [0; 8];
    let size_len = write_leb128(payload_len as u64, &mut size);
    let body = start + header_len;
    let old_size_len = if header.has_size { read_leb128(&out[body..])?.1 } else { 0 };
    debug_assert_eq!(size_len, leb128_len(payload_len as u64));
    out.truncate(body + old_size_len + payload_len);
    out.splice(body..body + old_size_len, size[..size_len].iter().copied());
    out[start] |= HAS_SIZE;
    Ok(header)
}

/// The OBUs of a stream in the low-overhead format (AV1 specification §5.2), in order. Only the last may lack its size.
///
/// Ends behind the first OBU that is not whole.
#[derive(Clone, Debug)]
pub struct Obus<'a> {
    rest: &'a [u8],
}

impl<'a> Obus<'a> {
    /// The OBUs of `stream`.
    #[must_use]
    pub const fn new(stream: &'a [u8]) -> Self {
        Self { rest: stream }
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let obu = Obu::split_from(&mut self.rest);
        if obu.is_err() {
            self.rest = &[];
        }
        Some(obu)
    }
}
