//! What must be known of a packet before it can be decrypted.

use plenary_rtp::{Packet, Ssrc};

/// The longest packet that is protected or unprotected, in bytes, tag included: what UDP and RFC 4571 can carry. It is
/// far below the limits of the ciphers (1 MiB of key stream per packet for AES-CM).
pub const PACKET_MAX: usize = 65_535;

/// Bytes of an RTCP packet that stay in the clear: the first header, and the sender's SSRC.
pub(crate) const RTCP_HEADER_LEN: usize = 8;

/// What SRTP reads of an RTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtpHeader {
    pub(crate) ssrc: Ssrc,
    pub(crate) sequence: u16,
    /// Bytes that stay in the clear: fixed header, CSRCs, and extension.
    pub(crate) len: usize,
}

impl RtpHeader {
    /// Reads the header at the front of `packet`, which may be encrypted: nothing behind the header is looked at, so
    /// padding is not. `None` if the version is not 2, or the header is longer than `packet`.
    #[inline]
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let len = Packet::clear_header_len(packet).ok()?;
        let fixed: &[u8; 12] = packet.first_chunk()?;
        Some(Self {
            ssrc: Ssrc(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]])),
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            len,
        })
    }
}

/// The SSRC of the sender of an RTCP packet; `None` if the version is not 2, or the packet has no room for one.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Option<Ssrc> {
    let header: &[u8; RTCP_HEADER_LEN] = packet.first_chunk()?;
    (header[0] >> 6 == 2).then(|| Ssrc(u32::from_be_bytes([header[4], header[5], header[6], header[7]])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: [u8; 12] = [0x80, 96, 0x12, 0x34, 0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe];

    #[test]
    fn a_header_ends_after_its_csrcs_and_its_extension() {
        let header = RtpHeader::read(&PLAIN).unwrap();
        assert_eq!(header, RtpHeader { ssrc: Ssrc(0xcafe_babe), sequence: 0x1234, len: 12 });

        let mut packet = PLAIN.to_vec();
        packet[0] = 0x92; // two CSRCs, an extension
        packet.extend([0; 8]);
        packet.extend([0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
        assert_eq!(RtpHeader::read(&packet).unwrap().len, 28);
        for len in 0..packet.len() {
            assert_eq!(RtpHeader::read(&packet[..len]), None);
        }
    }

    #[test]
    fn rtp_version_0_is_refused() {
        for version in [0, 1, 3] {
            let mut packet = PLAIN;
            packet[0] = version << 6;
            assert_eq!(RtpHeader::read(&packet), None);
            assert_eq!(rtcp_ssrc(&packet), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(packet in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(header) = RtpHeader::read(&packet) {
                prop_assert!((12..=packet.len()).contains(&header.len));
            }
            prop_assert_eq!(rtcp_ssrc(&packet).is_some(), packet.len() >= 8 && packet[0] >> 6 == 2);
        }
    }
}
