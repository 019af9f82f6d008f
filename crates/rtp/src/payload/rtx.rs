//! Retransmissions (RFC 4588): the payload of an earlier packet behind its sequence number.

use std::ops::Range;

use crate::{ParseError, SeqNo};

const OSN_LEN: usize = 2;

/// A retransmission taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// OSN: the sequence number that the packet had in its own stream.
    pub original_sequence_number: SeqNo,
    /// The payload that it had. May be empty.
    pub data: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Reads the payload of an RTX packet. `None` if it is empty: a packet of padding only, which probes for bandwidth and
    /// repeats nothing.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it is one byte long.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, ParseError> {
        if payload.is_empty() {
            return Ok(None);
        }
        let (number, data) = payload.split_first_chunk().ok_or(ParseError::Truncated)?;
        Ok(Some(Self { original_sequence_number: SeqNo(u16::from_be_bytes(*number)), data }))
    }

    /// Appends the payload of an RTX packet.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.original_sequence_number.0.to_be_bytes());
        out.extend_from_slice(self.data);
    }
}

/// Takes the original sequence number out of an RTX packet in place.
///
/// `payload` is the packet's [`payload_range`](crate::Packet::payload_range). The header moves two bytes back over the
/// number, so that the payload need not move. The answer is the number, and the packet that begins two bytes later; its
/// payload type, sequence number and SSRC are still those of the retransmission. `None` and no change if the payload is
/// empty.
///
/// ```
/// use plenary_rtp::payload::rtx;
/// use plenary_rtp::{Packet, PacketMut, ParseError, SeqNo, Ssrc};
///
/// let mut bytes = [0x80, 97, 0, 1, 0, 0, 0, 9, 0, 0, 0, 6, 0x12, 0x34, b'h', b'i'];
/// let payload = Packet::parse(&bytes)?.payload_range();
/// let Some((number, original)) = rtx::strip(&mut bytes, payload)? else { panic!("not a probe") };
/// let mut packet = PacketMut::parse(original)?;
/// packet.set_sequence_number(number);
/// packet.set_ssrc(Ssrc(5)); // of the stream that this one repairs
/// packet.set_payload_type(96).expect("a payload type");
/// assert_eq!((packet.as_packet().sequence_number(), packet.as_packet().payload()), (SeqNo(0x1234), &b"hi"[..]));
/// # Ok::<(), ParseError>(())
/// ```
///
/// # Errors
///
/// [`ParseError::Truncated`] if the payload is one byte long, or reaches beyond the packet. Nothing is changed then.
pub fn strip(packet: &mut [u8], payload: Range<usize>) -> Result<Option<(SeqNo, &mut [u8])>, ParseError> {
    let header_len = payload.start;
    let view = packet.get(payload).ok_or(ParseError::Truncated)?;
    let Some(Payload { original_sequence_number, .. }) = Payload::parse(view)? else {
        return Ok(None);
    };
    packet.copy_within(..header_len, OSN_LEN);
    Ok(Some((original_sequence_number, &mut packet[OSN_LEN..])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(number: u16, data in prop::collection::vec(any::<u8>(), 0..20)) {
            let payload = Payload { original_sequence_number: SeqNo(number), data: &data };
            let mut bytes = Vec::new();
            payload.write(&mut bytes);
            prop_assert_eq!(Payload::parse(&bytes), Ok(Some(payload)));
        }

        #[test]
        fn a_stripped_packet_is_the_original(
            header in prop::collection::vec(any::<u8>(), 12..40),
            data in prop::collection::vec(any::<u8>(), 0..20),
            padding in prop::collection::vec(any::<u8>(), 0..4),
            number: u16,
        ) {
            let mut packet = header.clone();
            Payload { original_sequence_number: SeqNo(number), data: &data }.write(&mut packet);
            let payload = header.len()..packet.len();
            packet.extend_from_slice(&padding);
            let (found, original) = strip(&mut packet, payload).unwrap().unwrap();
            prop_assert_eq!(found, SeqNo(number));
            prop_assert_eq!(&*original, &[header, data, padding].concat()[..]);
        }

        #[test]
        fn any_range_is_stripped_or_refused(mut packet in prop::collection::vec(any::<u8>(), 0..8), start in 0..10, end in 0..10) {
            let _ = strip(&mut packet, start as usize..end as usize);
        }
    }

    #[test]
    fn padding_only_packets_repeat_nothing() {
        assert_eq!(Payload::parse(&[]), Ok(None));
        assert_eq!(Payload::parse(&[1]), Err(ParseError::Truncated));
        assert_eq!(Payload::parse(&[1, 2]), Ok(Some(Payload { original_sequence_number: SeqNo(0x102), data: &[] })));
        let mut packet = *b"header.....!pad";
        assert_eq!(strip(&mut packet, 12..12), Ok(None));
        assert_eq!(strip(&mut packet, 12..13), Err(ParseError::Truncated));
        assert_eq!(strip(&mut packet, 12..16), Err(ParseError::Truncated));
        assert_eq!(&packet, b"header.....!pad");
    }
}
