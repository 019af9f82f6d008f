use super::frame::{self, take_ntp, take_ssrc, take_u32};
use super::records::{Record, word};
use super::{RawPacket, Records, kind};
use crate::{CompactNtp, Error, NtpTime, ParseError, RtpTime, Ssrc};

/// SR: what a sender has sent, and how it receives (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// The sender.
    pub ssrc: Ssrc,
    /// Wall-clock time of the report: zero if the sender has none.
    pub ntp: NtpTime,
    /// The same instant in units of the stream's RTP clock.
    pub rtp_timestamp: RtpTime,
    /// RTP packets sent so far; wraps.
    pub packet_count: u32,
    /// Payload bytes sent so far, without headers and padding; wraps.
    pub octet_count: u32,
    /// What it receives; 31 at most when written.
    pub reports: Records<'a, ReportBlock>,
    /// A profile's own data behind the blocks. Whole 32-bit words when written.
    pub extension: &'a [u8],
}

/// RR: how a receiver receives (RFC 3550 §6.4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// The receiver that reports.
    pub ssrc: Ssrc,
    /// What it receives; 31 at most when written.
    pub reports: Records<'a, ReportBlock>,
    /// A profile's own data behind the blocks. Whole 32-bit words when written.
    pub extension: &'a [u8],
}

/// How one source is received (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: Ssrc,
    /// Packets lost since the report before, in 256ths of those expected.
    pub fraction_lost: u8,
    /// Packets expected less packets received; negative where duplicates came. 24 bits: held to −8388608 to 8388607 when
    /// written, as RFC 3550 §A.3 has it.
    pub cumulative_lost: i32,
    /// Highest sequence number received in the low 16 bits, cycles of the sequence number above them.
    ///
    /// Here the first cycle is 0; that of a [`SeqUnwrapper`](crate::SeqUnwrapper) is 1: its number less 65536.
    pub highest_seq: u32,
    /// Interarrival jitter in units of the stream's RTP clock.
    pub jitter: u32,
    /// LSR: the middle 32 bits of the NTP time of the last SR from the source; 0 if there was none.
    pub last_sr: CompactNtp,
    /// DLSR: from that SR's arrival to this report, in 65536ths of a second; 0 if there was none.
    pub delay_since_last_sr: CompactNtp,
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        let ssrc = take_ssrc(&mut rest)?;
        let ntp = take_ntp(&mut rest)?;
        let rtp_timestamp = RtpTime(take_u32(&mut rest)?);
        let packet_count = take_u32(&mut rest)?;
        let octet_count = take_u32(&mut rest)?;
        let (reports, extension) = take_blocks(rest, raw.count)?;
        Ok(Self { ssrc, ntp, rtp_timestamp, packet_count, octet_count, reports, extension })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] with more than 31 reports; [`Error::OutOfRange`] if the extension is not whole words.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::SR, self.reports.len(), |out| {
            self.ssrc.append(out);
            out.extend_from_slice(&self.ntp.0.to_be_bytes());
            out.extend_from_slice(&self.rtp_timestamp.0.to_be_bytes());
            out.extend_from_slice(&self.packet_count.to_be_bytes());
            out.extend_from_slice(&self.octet_count.to_be_bytes());
            self.reports.append(out);
            out.extend_from_slice(self.extension);
            Ok(())
        })
    }
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        let mut rest = raw.body;
        let ssrc = take_ssrc(&mut rest)?;
        let (reports, extension) = take_blocks(rest, raw.count)?;
        Ok(Self { ssrc, reports, extension })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] with more than 31 reports; [`Error::OutOfRange`] if the extension is not whole words.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, kind::RR, self.reports.len(), |out| {
            self.ssrc.append(out);
            self.reports.append(out);
            out.extend_from_slice(self.extension);
            Ok(())
        })
    }
}

/// `count` blocks, and what follows them.
fn take_blocks(bytes: &[u8], count: u8) -> Result<(Records<'_, ReportBlock>, &[u8]), ParseError> {
    let len = usize::from(count) * ReportBlock::LEN;
    let (blocks, extension) = bytes.split_at_checked(len).ok_or(ParseError::Truncated)?;
    Ok((Records::from_wire(blocks), extension))
}

impl Record for ReportBlock {
    const LEN: usize = 24;

    fn read(bytes: &[u8]) -> Self {
        let lost = word(bytes, 4);
        Self {
            ssrc: Ssrc(word(bytes, 0)),
            fraction_lost: (lost >> 24) as u8,
            cumulative_lost: (lost << 8) as i32 >> 8,
            highest_seq: word(bytes, 8),
            jitter: word(bytes, 12),
            last_sr: CompactNtp(word(bytes, 16)),
            delay_since_last_sr: CompactNtp(word(bytes, 20)),
        }
    }

    fn append(&self, out: &mut Vec<u8>) {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        for word in [
            self.ssrc.0,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_seq,
            self.jitter,
            self.last_sr.0,
            self.delay_since_last_sr.0,
        ] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}
