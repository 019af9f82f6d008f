//! The common header and the reading of whole words, for all packet types.

use crate::{Error, NtpTime, ParseError, SeqNo, Ssrc};

pub(super) const HEADER_LEN: usize = 4;

/// The largest value of the five bits that hold a count, a format or a subtype.
pub(super) const COUNT_MAX: usize = 31;

/// Appends one packet: header, what `body` appends, and the length. Nothing is appended where it fails.
pub(super) fn write(
    out: &mut Vec<u8>,
    kind: u8,
    count: usize,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    if count > COUNT_MAX {
        return Err(Error::TooLong);
    }
    let start = out.len();
    out.extend_from_slice(&[0x80 | count as u8, kind, 0, 0]);
    let result = body(out).and_then(|()| words(out.len() - start));
    match result {
        Ok(words) => {
            out[start + 2..start + HEADER_LEN].copy_from_slice(&words.to_be_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// The length field of a packet of `len` bytes: its 32-bit words less one.
fn words(len: usize) -> Result<u16, Error> {
    if !len.is_multiple_of(4) {
        return Err(Error::OutOfRange);
    }
    u16::try_from(len / 4 - 1).map_err(|_| Error::TooLong)
}

/// Takes the next `N` bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], ParseError> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(ParseError::Truncated)?;
    *bytes = rest;
    Ok(*head)
}

pub(super) fn take_ssrc(bytes: &mut &[u8]) -> Result<Ssrc, ParseError> {
    take_u32(bytes).map(Ssrc)
}

pub(super) fn take_seq_no(bytes: &mut &[u8]) -> Result<SeqNo, ParseError> {
    take_u16(bytes).map(SeqNo)
}

pub(super) fn take_ntp(bytes: &mut &[u8]) -> Result<NtpTime, ParseError> {
    take(bytes).map(u64::from_be_bytes).map(NtpTime)
}

pub(super) fn take_u16(bytes: &mut &[u8]) -> Result<u16, ParseError> {
    take(bytes).map(u16::from_be_bytes)
}

pub(super) fn take_u32(bytes: &mut &[u8]) -> Result<u32, ParseError> {
    take(bytes).map(u32::from_be_bytes)
}

/// Takes the next `len` bytes off the front.
pub(super) fn take_slice<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], ParseError> {
    let (head, rest) = bytes.split_at_checked(len).ok_or(ParseError::Truncated)?;
    *bytes = rest;
    Ok(head)
}
