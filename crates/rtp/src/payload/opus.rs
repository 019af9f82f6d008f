//! Opus (RFC 6716 §3, RFC 7587): the TOC byte and the frames behind it.

use std::time::Duration;

use crate::{Error, ParseError};

/// The longest packet, in ticks of the 48 kHz RTP clock: 120 ms (RFC 6716 §3.4, R5).
pub const PACKET_TICKS_MAX: u32 = 5760;
/// The longest frame in bytes (RFC 6716 §3.4, R2).
pub const FRAME_BYTES_MAX: usize = 1275;
/// The most frames of a packet: 48 of 2.5 ms.
pub const FRAMES_MAX: usize = 48;

/// The byte at the front of every Opus packet (RFC 6716 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Toc(u8);

impl Toc {
    /// Takes any byte: there is none that is not a TOC.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// A TOC of a configuration (0 to 31), mono or stereo, and a frame count code (0 to 3).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if one is larger.
    pub const fn new(config: u8, stereo: bool, code: u8) -> Result<Self, Error> {
        if config > 31 || code > 3 {
            return Err(Error::OutOfRange);
        }
        Ok(Self(config << 3 | (stereo as u8) << 2 | code))
    }

    /// The byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// The configuration, 0 to 31: mode, bandwidth and frame duration in one number.
    #[must_use]
    pub const fn config(self) -> u8 {
        self.0 >> 3
    }

    /// How the packet says how many frames it has: 0 to 3.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0 & 3
    }

    /// Two channels.
    #[must_use]
    pub const fn is_stereo(self) -> bool {
        self.0 & 4 != 0
    }

    /// Which of its two codecs made the packet.
    #[must_use]
    pub const fn mode(self) -> Mode {
        match self.config() {
            0..=11 => Mode::Silk,
            12..=15 => Mode::Hybrid,
            _ => Mode::Celt,
        }
    }

    /// The audio bandwidth.
    #[must_use]
    pub const fn bandwidth(self) -> Bandwidth {
        match self.config() {
            0..=3 | 16..=19 => Bandwidth::Narrow,
            4..=7 => Bandwidth::Medium,
            8..=11 | 20..=23 => Bandwidth::Wide,
            12 | 13 | 24..=27 => Bandwidth::SuperWide,
            _ => Bandwidth::Full,
        }
    }

    /// The duration of one frame in ticks of the 48 kHz RTP clock: 120 (2.5 ms) to 2880 (60 ms).
    #[must_use]
    pub const fn frame_ticks(self) -> u32 {
        let step = self.config() & 3;
        match self.mode() {
            Mode::Silk if step == 3 => 2880,
            Mode::Silk => 480 << step,
            Mode::Hybrid => 480 << (step & 1),
            Mode::Celt => 120 << step,
        }
    }
}

impl std::fmt::Debug for Toc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channels = if self.is_stereo() { "stereo" } else { "mono" };
        let (mode, bandwidth, ticks) = (self.mode(), self.bandwidth(), self.frame_ticks());
        write!(f, "Toc({mode:?} {bandwidth:?} {channels}, {ticks} ticks, code {})", self.code())
    }
}

/// Which codec made a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Speech.
    Silk,
    /// SILK below 8 kHz and CELT above.
    Hybrid,
    /// Music, and anything with little delay.
    Celt,
}

/// The audio bandwidth of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bandwidth {
    /// 4 kHz.
    Narrow,
    /// 6 kHz.
    Medium,
    /// 8 kHz.
    Wide,
    /// 12 kHz.
    SuperWide,
    /// 20 kHz.
    Full,
}

/// An Opus packet taken apart: its lengths have been checked against R1 to R7 of RFC 6716 §3.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The byte in front.
    pub toc: Toc,
    /// Bytes of the whole payload.
    len: usize,
    frames: Frames<'a>,
}

impl<'a> Packet<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it ends early, [`ParseError::Overrun`] if a frame or the padding reaches beyond it,
    /// [`ParseError::TooMany`] if it lasts longer than 120 ms, [`ParseError::Reserved`] if a frame is longer than
    /// [`FRAME_BYTES_MAX`], frames of one length do not divide the bytes, or there is no frame.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let (&toc, rest) = payload.split_first().ok_or(ParseError::Truncated)?;
        let toc = Toc(toc);
        let frames = match toc.code() {
            0 => Frames::equal(rest, 1)?,
            1 => Frames::equal(rest, 2)?,
            2 => {
                let mut data = rest;
                let first = read_frame_len(&mut data)?;
                let lengths = &rest[..rest.len() - data.len()];
                Frames::unequal(lengths, first, data, 2)?
            }
            _ => Self::parse_counted(toc, rest)?,
        };
        Ok(Self { toc, len: payload.len(), frames })
    }

    /// Code 3: a count, perhaps padding, perhaps lengths (RFC 6716 §3.2.5).
    fn parse_counted(toc: Toc, rest: &'a [u8]) -> Result<Frames<'a>, ParseError> {
        let (&head, mut rest) = rest.split_first().ok_or(ParseError::Truncated)?;
        let count = head & 0x3f;
        if count == 0 {
            return Err(ParseError::Reserved);
        }
        if u32::from(count) * toc.frame_ticks() > PACKET_TICKS_MAX {
            return Err(ParseError::TooMany);
        }
        if head & 0x40 != 0 {
            let padding = read_padding_len(&mut rest)?;
            let data_len = rest.len().checked_sub(padding).ok_or(ParseError::Overrun)?;
            rest = &rest[..data_len];
        }
        if head & 0x80 == 0 {
            return Frames::equal(rest, count);
        }
        let mut data = rest;
        let mut total = 0;
        for _ in 1..count {
            total += read_frame_len(&mut data)?;
        }
        let lengths = &rest[..rest.len() - data.len()];
        Frames::unequal(lengths, total, data, count)
    }

    /// The frames, in order. Empty ones stand for silence or loss.
    #[must_use]
    pub fn frames(&self) -> Frames<'a> {
        self.frames.clone()
    }

    /// How many frames there are: 1 to [`FRAMES_MAX`].
    #[must_use]
    pub const fn frame_count(&self) -> u8 {
        self.frames.count
    }

    /// The duration in ticks of the 48 kHz RTP clock: [`PACKET_TICKS_MAX`] at most.
    #[must_use]
    pub const fn ticks(&self) -> u32 {
        self.frames.count as u32 * self.toc.frame_ticks()
    }

    /// The duration: 120 ms at most.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        Duration::from_nanos(self.ticks() as u64 * 1_000_000_000 / 48_000)
    }

    /// The sender has fallen silent: the payload has at most 2 bytes, which is libopus's sign that the packet need not be
    /// sent. Browsers send some with 1: a TOC and a frame without bytes (RFC 6716 §3.2.1).
    #[must_use]
    pub const fn is_dtx(&self) -> bool {
        self.len <= 2
    }

    /// The packet carries the one before again, in low quality (in-band FEC, RFC 6716 §4.2.4). Never in CELT mode.
    #[must_use]
    pub fn has_fec(&self) -> bool {
        if self.toc.mode() == Mode::Celt {
            return false;
        }
        let Some(&first) = self.frames().next().and_then(<[u8]>::first) else {
            return false;
        };
        // RFC 6716 §4.2.3: for each channel a voice activity bit per 20 ms, then the LBRR flag. All are coded with even
        // odds at the front of the range coder, so they stand as plain bits.
        let voice_bits = self.toc.frame_ticks().div_ceil(960);
        let flag = |channel: u32| first >> (8 - (channel + 1) * (voice_bits + 1)) & 1 == 1;
        flag(0) || self.toc.is_stereo() && flag(1)
    }
}

/// The frames of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames<'a> {
    /// Lengths of all frames but the last, coded. Empty if all are of the same length.
    lengths: &'a [u8],
    data: &'a [u8],
    /// Frames to come.
    count: u8,
}

impl<'a> Frames<'a> {
    fn equal(data: &'a [u8], count: u8) -> Result<Self, ParseError> {
        let each = data.len() / usize::from(count);
        if each * usize::from(count) != data.len() || each > FRAME_BYTES_MAX {
            return Err(ParseError::Reserved);
        }
        Ok(Self { lengths: &[], data, count })
    }

    /// `total` is the sum of `lengths`: of all frames but the last.
    fn unequal(lengths: &'a [u8], total: usize, data: &'a [u8], count: u8) -> Result<Self, ParseError> {
        let last = data.len().checked_sub(total).ok_or(ParseError::Overrun)?;
        if last > FRAME_BYTES_MAX {
            return Err(ParseError::Reserved);
        }
        Ok(Self { lengths, data, count })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let len = match self.count {
            0 => return None,
            1 => self.data.len(),
            _ if self.lengths.is_empty() => self.data.len() / usize::from(self.count),
            _ => read_frame_len(&mut self.lengths).ok()?,
        };
        let (frame, data) = self.data.split_at_checked(len)?;
        self.data = data;
        self.count -= 1;
        Some(frame)
    }
}

/// RFC 6716 §3.2.1: one byte up to 251, else two.
fn read_frame_len(rest: &mut &[u8]) -> Result<usize, ParseError> {
    let (&first, after) = rest.split_first().ok_or(ParseError::Truncated)?;
    *rest = after;
    if first < 252 {
        return Ok(first.into());
    }
    let (&second, after) = after.split_first().ok_or(ParseError::Truncated)?;
    *rest = after;
    Ok(usize::from(second) * 4 + usize::from(first))
}

/// RFC 6716 §3.2.5: each 255 adds 254 and is followed by another byte.
fn read_padding_len(rest: &mut &[u8]) -> Result<usize, ParseError> {
    let mut padding = 0;
    loop {
        let (&byte, after) = rest.split_first().ok_or(ParseError::Truncated)?;
        *rest = after;
        if byte < 255 {
            return Ok(padding + usize::from(byte));
        }
        padding += 254;
    }
}

#[cfg(test)]
mod tests;
