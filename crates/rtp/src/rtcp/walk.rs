use super::{App, Bye, Ccfb, Fir, Nack, Pli, ReceiverReport, Remb, Sdes, SenderReport, Twcc, Xr, frame, kind};
use crate::{Error, ParseError};

/// Walks the packets of a datagram: a compound (RFC 3550 §6.1) or a reduced-size one (RFC 5506).
///
/// The walk follows the length fields. A packet that is not what it says is given as an error, and the walk goes on
/// behind it; one that is longer than the rest of the datagram is given as [`ParseError::Truncated`] and ends the walk.
/// It takes any first packet, and an empty datagram has no packets.
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: datagram }
}

/// Iterates over the packets of a datagram: see [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

/// One packet, as a view on the bytes of the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// SR.
    SenderReport(SenderReport<'a>),
    /// RR.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES.
    Sdes(Sdes<'a>),
    /// BYE.
    Bye(Bye<'a>),
    /// APP.
    App(App<'a>),
    /// Generic NACK.
    Nack(Nack<'a>),
    /// Transport-wide congestion control feedback.
    Twcc(Twcc<'a>),
    /// Congestion control feedback of RFC 8888.
    Ccfb(Ccfb<'a>),
    /// Picture loss indication.
    Pli(Pli),
    /// Full intra request.
    Fir(Fir<'a>),
    /// Receiver estimated maximum bitrate.
    Remb(Remb<'a>),
    /// Extended reports.
    Xr(Xr<'a>),
    /// A type or format that this crate has no view for.
    Other(RawPacket<'a>),
}

/// A packet of any type: what its header says, and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPacket<'a> {
    /// The packet type.
    pub kind: u8,
    /// The five bits of the header that are a count, a format or a subtype: 0 to 31.
    pub count: u8,
    /// What follows the header, without padding. Whole 32-bit words when written.
    pub body: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((packet, rest)) = split(self.rest) else {
            self.rest = &[];
            return Some(Err(ParseError::Truncated));
        };
        self.rest = rest;
        Some(RawPacket::parse(packet).and_then(Packet::parse))
    }
}

impl std::iter::FusedIterator for Packets<'_> {}

/// The first packet by its length field, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[_, _, high, low, ..] = bytes else { return None };
    let words = usize::from(u16::from_be_bytes([high, low])) + 1;
    bytes.split_at_checked(words * 4)
}

impl<'a> Packet<'a> {
    /// Gives a packet its type.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the content is not that of its type. A type that is not known is [`Packet::Other`].
    pub fn parse(raw: RawPacket<'a>) -> Result<Self, ParseError> {
        Ok(match (raw.kind, raw.count) {
            (kind::SR, _) => Self::SenderReport(SenderReport::parse(raw)?),
            (kind::RR, _) => Self::ReceiverReport(ReceiverReport::parse(raw)?),
            (kind::SDES, _) => Self::Sdes(Sdes::parse(raw)),
            (kind::BYE, _) => Self::Bye(Bye::parse(raw)?),
            (kind::APP, _) => Self::App(App::parse(raw)?),
            (kind::RTPFB, kind::RTPFB_NACK) => Self::Nack(Nack::parse(raw)?),
            (kind::RTPFB, kind::RTPFB_TWCC) => Self::Twcc(Twcc::parse(raw)?),
            (kind::RTPFB, kind::RTPFB_CCFB) => Self::Ccfb(Ccfb::parse(raw)?),
            (kind::PSFB, kind::PSFB_PLI) => Self::Pli(Pli::parse(raw)?),
            (kind::PSFB, kind::PSFB_FIR) => Self::Fir(Fir::parse(raw)?),
            (kind::PSFB, kind::PSFB_AFB) if Remb::is(raw) => Self::Remb(Remb::parse(raw)?),
            (kind::XR, _) => Self::Xr(Xr::parse(raw)?),
            _ => Self::Other(raw),
        })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// As the `write` of the packet's own type. What was read can be written, unless a list in it turns out to be
    /// malformed, or padding was not whole words; padding and reserved bits may differ.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::SenderReport(packet) => packet.write(out),
            Self::ReceiverReport(packet) => packet.write(out),
            Self::Sdes(packet) => packet.write(out),
            Self::Bye(packet) => packet.write(out),
            Self::App(packet) => packet.write(out),
            Self::Nack(packet) => packet.write(out),
            Self::Twcc(packet) => packet.write(out),
            Self::Ccfb(packet) => packet.write(out),
            Self::Pli(packet) => packet.write(out),
            Self::Fir(packet) => packet.write(out),
            Self::Remb(packet) => packet.write(out),
            Self::Xr(packet) => packet.write(out),
            Self::Other(packet) => packet.write(out),
        }
    }
}

impl<'a> RawPacket<'a> {
    /// Reads header and padding of one packet, which is all of `packet`.
    fn parse(packet: &'a [u8]) -> Result<Self, ParseError> {
        let (&[first, kind, _, _], body) = packet.split_first_chunk().ok_or(ParseError::Truncated)?;
        if first >> 6 != 2 {
            return Err(ParseError::Version);
        }
        let count = first & 0x1f;
        if first & 0x20 == 0 {
            return Ok(Self { kind, count, body });
        }
        Ok(Self { kind, count, body: without_padding(body)? })
    }

    /// Appends the packet.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if `count` is above 31 or the body above 65535 words; [`Error::OutOfRange`] if the body is
    /// not whole words.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        frame::write(out, self.kind, usize::from(self.count), |out| {
            out.extend_from_slice(self.body);
            Ok(())
        })
    }
}

// RFC 3550 §6.4.1 allows padding on the last packet of a compound only, in whole words. libwebrtc pads each transport
// feedback by one to three bytes, and puts several into one datagram; webrtc-rs pads a BYE so. It is taken off wherever
// it stands.
fn without_padding(body: &[u8]) -> Result<&[u8], ParseError> {
    let len = usize::from(*body.last().ok_or(ParseError::Padding)?);
    if len == 0 {
        return Err(ParseError::Padding);
    }
    body.len().checked_sub(len).and_then(|end| body.get(..end)).ok_or(ParseError::Padding)
}
