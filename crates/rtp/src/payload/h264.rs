//! H.264 (RFC 6184) in the single-NAL-unit and non-interleaved modes: single NAL units, STAP-A and FU-A.

mod assembler;
mod fragment;
mod sps;

pub use assembler::{Assembled, Assembler, Framing, Lost};
pub use fragment::{Part, Parts};
pub use sps::SequenceParameterSet;

use super::Description;
use crate::{Error, ParseError};

const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

/// The byte at the front of every NAL unit (RFC 6184 §1.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NalHeader(u8);

impl NalHeader {
    /// The byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// `forbidden_zero_bit`: the unit is known to be damaged.
    #[must_use]
    pub const fn is_damaged(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// `nal_ref_idc`: 0 to 3. No other picture needs a unit with 0.
    #[must_use]
    pub const fn ref_idc(self) -> u8 {
        self.0 >> 5 & 3
    }

    /// `nal_unit_type`: 1 to 23.
    #[must_use]
    pub const fn unit_type(self) -> UnitType {
        match self.0 & 0x1f {
            1 => UnitType::Slice,
            2 => UnitType::PartitionA,
            5 => UnitType::Idr,
            6 => UnitType::Sei,
            7 => UnitType::Sps,
            8 => UnitType::Pps,
            9 => UnitType::AccessUnitDelimiter,
            other => UnitType::Other(other),
        }
    }

    /// The header of a NAL unit: what is aggregated or fragmented is never an aggregate or a fragment itself.
    const fn parse(byte: u8) -> Result<Self, ParseError> {
        match byte & 0x1f {
            1..=23 => Ok(Self(byte)),
            _ => Err(ParseError::Reserved),
        }
    }
}

impl std::fmt::Debug for NalHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NalHeader({:?}, ref_idc {})", self.unit_type(), self.ref_idc())
    }
}

/// What a NAL unit is (ITU-T H.264 table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnitType {
    /// 1: a slice of a picture that is not an IDR picture.
    Slice,
    /// 2: the first partition of such a slice.
    PartitionA,
    /// 5: a slice of an IDR picture.
    Idr,
    /// 6: supplemental enhancement information.
    Sei,
    /// 7: a sequence parameter set.
    Sps,
    /// 8: a picture parameter set.
    Pps,
    /// 9: an access unit begins.
    AccessUnitDelimiter,
    /// One that an SFU need not know.
    Other(u8),
}

/// A whole NAL unit: its header and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NalUnit<'a> {
    header: NalHeader,
    bytes: &'a [u8],
}

impl<'a> NalUnit<'a> {
    /// Takes `bytes` for a NAL unit, without start code or length.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if there is none, [`ParseError::Reserved`] if its type is not 1 to 23.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header = NalHeader::parse(*bytes.first().ok_or(ParseError::Truncated)?)?;
        Ok(Self { header, bytes })
    }

    /// Its first byte.
    #[must_use]
    pub const fn header(&self) -> NalHeader {
        self.header
    }

    /// The unit, header included.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// A H264 payload taken apart.
#[derive(Clone, Debug)]
pub enum Payload<'a> {
    /// One NAL unit as it is.
    Single(NalUnit<'a>),
    /// STAP-A: some whole NAL units. All of them have been checked.
    Aggregate(NalUnits<'a>),
    /// FU-A: a part of a NAL unit.
    Fragment(Fragment<'a>),
    /// STAP-B, MTAP16, MTAP24 or FU-B, by type (25, 26, 27, 29): the interleaved mode, which no browser offers.
    Unsupported(u8),
}

impl<'a> Payload<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it ends early, [`ParseError::Overrun`] if an aggregated unit reaches beyond it,
    /// [`ParseError::Reserved`] for an aggregated unit without bytes, and for types that RFC 6184 §5.2 does not allow.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let (&first, rest) = payload.split_first().ok_or(ParseError::Truncated)?;
        match first & 0x1f {
            STAP_A => NalUnits::parse(rest).map(Self::Aggregate),
            FU_A => Fragment::parse(first, rest).map(Self::Fragment),
            other @ (25..=27 | 29) => Ok(Self::Unsupported(other)),
            _ => NalUnit::parse(payload).map(Self::Single),
        }
    }

    /// The whole NAL units of the payload: none for a fragment.
    #[must_use]
    pub fn units(&self) -> NalUnits<'a> {
        match self {
            Self::Single(unit) => NalUnits { single: Some(*unit), rest: &[] },
            Self::Aggregate(units) => units.clone(),
            Self::Fragment(_) | Self::Unsupported(_) => NalUnits { single: None, rest: &[] },
        }
    }

    /// What begins in this packet.
    #[must_use]
    pub fn contents(&self) -> Contents {
        let mut contents = Contents { discardable: true, ..Contents::default() };
        match self {
            Self::Fragment(fragment) if fragment.start => contents.add(fragment.header, fragment.data),
            Self::Fragment(fragment) => contents.discardable = fragment.header.ref_idc() == 0,
            Self::Unsupported(_) => contents.discardable = false,
            Self::Single(_) | Self::Aggregate(_) => {
                for unit in self.units() {
                    contents.add(unit.header, &unit.bytes[1..]);
                }
            }
        }
        contents
    }
}

/// What begins in a packet: of a fragmented unit, only its first fragment counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Contents {
    /// The first slice of an IDR picture.
    pub idr: bool,
    /// A sequence parameter set.
    pub sps: bool,
    /// A picture parameter set.
    pub pps: bool,
    /// The first slice of a picture, or a unit that stands only in front of one (ITU-T H.264 §7.4.1.2.3).
    pub starts_frame: bool,
    /// `nal_ref_idc` is 0 on all that the packet carries.
    pub discardable: bool,
}

impl Contents {
    fn add(&mut self, header: NalHeader, body: &[u8]) {
        // A slice begins with the number of its first macroblock, and one bit is 0 in Exp-Golomb.
        let first_slice = body.first().is_some_and(|byte| byte & 0x80 != 0);
        match header.unit_type() {
            UnitType::Idr => {
                self.idr |= first_slice;
                self.starts_frame |= first_slice;
            }
            UnitType::Slice | UnitType::PartitionA => self.starts_frame |= first_slice,
            UnitType::Sps => self.sps = true,
            UnitType::Pps => self.pps = true,
            _ => {}
        }
        self.starts_frame |= matches!(
            header.unit_type(),
            UnitType::Sps | UnitType::Pps | UnitType::Sei | UnitType::AccessUnitDelimiter | UnitType::Other(14..=18)
        );
        self.discardable &= header.ref_idc() == 0;
    }
}

/// Whole NAL units of one payload, in order.
#[derive(Clone, Debug)]
pub struct NalUnits<'a> {
    single: Option<NalUnit<'a>>,
    /// Units that have been checked, each behind its length in two bytes.
    rest: &'a [u8],
}

impl<'a> NalUnits<'a> {
    fn parse(aggregate: &'a [u8]) -> Result<Self, ParseError> {
        let mut rest = aggregate;
        if rest.is_empty() {
            return Err(ParseError::Truncated);
        }
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk().ok_or(ParseError::Truncated)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (unit, after) = after.split_at_checked(length).ok_or(ParseError::Overrun)?;
            // RFC 6184 §5.7.1: the size counts the unit's header, so it is never zero.
            NalHeader::parse(*unit.first().ok_or(ParseError::Reserved)?)?;
            rest = after;
        }
        Ok(Self { single: None, rest: aggregate })
    }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = NalUnit<'a>;

    fn next(&mut self) -> Option<NalUnit<'a>> {
        if let Some(unit) = self.single.take() {
            return Some(unit);
        }
        let (length, after) = self.rest.split_first_chunk()?;
        let (unit, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        self.rest = after;
        NalUnit::parse(unit).ok()
    }
}

/// A part of a NAL unit (RFC 6184 §5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The header that the whole unit has.
    pub header: NalHeader,
    /// S: the first part. Some senders set both S and E, which RFC 6184 forbids and does no harm.
    pub start: bool,
    /// E: the last part.
    pub end: bool,
    /// The part, without the unit's header. May be empty.
    pub data: &'a [u8],
}

impl<'a> Fragment<'a> {
    fn parse(indicator: u8, rest: &'a [u8]) -> Result<Self, ParseError> {
        let (&fu_header, data) = rest.split_first().ok_or(ParseError::Truncated)?;
        let header = NalHeader::parse(indicator & 0xe0 | fu_header & 0x1f)?;
        Ok(Self { header, start: fu_header & FU_START != 0, end: fu_header & FU_END != 0, data })
    }
}

/// Appends a STAP-A payload of whole NAL units (RFC 6184 §5.7.1).
///
/// # Errors
///
/// [`Error::TooLong`] if a unit is longer than 65535 bytes, [`Error::OutOfRange`] if there is no unit, or one that is not
/// a NAL unit of type 1 to 23. `out` is as before then.
pub fn write_aggregate(units: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut damaged = 0;
    let mut ref_idc = 0;
    for bytes in units {
        let byte = NalUnit::parse(bytes).map_err(|_| Error::OutOfRange)?.header.to_byte();
        u16::try_from(bytes.len()).map_err(|_| Error::TooLong)?;
        damaged |= byte & 0x80;
        ref_idc = ref_idc.max(byte & 0x60);
    }
    if units.is_empty() {
        return Err(Error::OutOfRange);
    }
    out.push(damaged | ref_idc | STAP_A);
    for bytes in units {
        out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        out.extend_from_slice(bytes);
    }
    Ok(())
}

pub(super) fn describe(payload: &[u8]) -> Result<Description, ParseError> {
    let payload = Payload::parse(payload)?;
    if let Payload::Unsupported(_) = payload {
        return Err(ParseError::Reserved);
    }
    let contents = payload.contents();
    Ok(Description {
        starts_frame: contents.starts_frame,
        key_frame: contents.idr || contents.sps,
        discardable: contents.discardable,
        ..Description::default()
    })
}

#[cfg(test)]
mod tests;
