/// What a datagram on a multiplexed socket is, by its first two bytes (RFC 7983 §7 with RFC 9443 §2, RFC 5761 §4).
///
/// It is a guess for the demultiplexer, not a proof: the machine that gets the datagram still checks all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// First byte 0 to 3.
    Stun,
    /// First byte 16 to 19.
    Zrtp,
    /// First byte 20 to 63.
    Dtls,
    /// First byte 64 to 79: TURN ChannelData, where the sender is a TURN server; QUIC otherwise.
    TurnChannel,
    /// First byte 80 to 127, or 192 to 255.
    Quic,
    /// First byte 128 to 191, and the second is none of RTCP's.
    Rtp,
    /// First byte 128 to 191, second 192 to 223.
    Rtcp,
}

impl PacketKind {
    /// The kind of a datagram, or `None` for an empty one, one of the unassigned first bytes 4 to 15, or a single
    /// byte that could be RTP or RTCP.
    #[inline]
    pub const fn of(bytes: &[u8]) -> Option<Self> {
        // RTP first, as by far the most common.
        match *bytes {
            // RFC 5761 §4: RTCP packet types are 192 to 223, which is why payload types 64 to 95 stay unused.
            [128..=191, 192..=223, ..] => Some(Self::Rtcp),
            [128..=191, _, ..] => Some(Self::Rtp),
            [0..=3, ..] => Some(Self::Stun),
            [20..=63, ..] => Some(Self::Dtls),
            [64..=79, ..] => Some(Self::TurnChannel),
            [16..=19, ..] => Some(Self::Zrtp),
            [80..=127 | 192..=255, ..] => Some(Self::Quic),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_has_its_kind() {
        for first in 0..=u8::MAX {
            let expected = match first {
                0..=3 => Some(PacketKind::Stun),
                4..=15 => None,
                16..=19 => Some(PacketKind::Zrtp),
                20..=63 => Some(PacketKind::Dtls),
                64..=79 => Some(PacketKind::TurnChannel),
                80..=127 => Some(PacketKind::Quic),
                128..=191 => Some(PacketKind::Rtp),
                192..=255 => Some(PacketKind::Quic),
            };
            assert_eq!(PacketKind::of(&[first, 0]), expected, "first byte {first}");
        }
    }

    #[test]
    fn rtcp_is_told_by_the_second_byte_alone() {
        for second in 0..=u8::MAX {
            let expected = if (192..=223).contains(&second) { PacketKind::Rtcp } else { PacketKind::Rtp };
            assert_eq!(PacketKind::of(&[0x80, second]), Some(expected), "second byte {second}");
        }
    }

    #[test]
    fn too_short_is_no_kind() {
        assert_eq!(PacketKind::of(&[]), None);
        assert_eq!(PacketKind::of(&[0x80]), None);
    }
}
