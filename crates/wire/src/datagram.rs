use std::fmt;
use std::net::SocketAddr;

/// The caller's name for one UDP socket or one byte stream.
///
/// The caller chooses the number and never uses it again for another socket while a machine may still speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u32);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow {}", self.0)
    }
}

/// The two ECN bits of the IP header (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable. The default, and what a caller says whose socket can't tell.
    #[default]
    NotEct = 0b00,
    /// ECN-capable, code point ECT(1): L4S (RFC 9331).
    Ect1 = 0b01,
    /// ECN-capable, code point ECT(0).
    Ect0 = 0b10,
    /// Congestion experienced.
    Ce = 0b11,
}

impl Ecn {
    /// Reads the two low bits of an IPv4 TOS or IPv6 traffic class byte; the others are ignored.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The two bits, in the low end of the byte.
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// One received datagram, or one frame taken from a byte stream, with where it came in.
///
/// The bytes are the caller's and are mutable: machines decrypt and strip in place.
#[derive(Debug)]
pub struct Datagram<'d> {
    /// The socket or stream that it came in by.
    pub flow: FlowId,
    /// The address that it was sent to. On a socket bound to the unspecified address this is the destination
    /// address of the packet (`IP_PKTINFO`) where the caller knows it, else the bound address.
    pub local: SocketAddr,
    /// The address that it came from: unproven, as anyone can write it.
    pub remote: SocketAddr,
    /// The ECN bits as they arrived; [`Ecn::NotEct`] where the caller can't read them.
    pub ecn: Ecn,
    /// The payload of the datagram.
    pub bytes: &'d mut [u8],
}

/// What became of a datagram. `R` is the machine's own list of reasons to drop one.
///
/// What is handed back is a part of the caller's bytes: the machine's borrow has ended, so that the next layer can be
/// called with it at once. Crates name their own form, such as `pub type Handled<'d> = wire::Handled<'d, DropReason>`.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "media is handed back here, and nowhere else"]
pub enum Handled<'d, R> {
    /// The machine took it in. It may have something to send or to tell now.
    Consumed,
    /// It was not for this machine, or was bad. The machine has counted it under this reason, and nothing else changed.
    Dropped(R),
    /// An RTP packet: authenticated and in the clear where the machine does such things.
    Rtp(&'d mut [u8]),
    /// An RTCP compound, or a reduced-size one, likewise.
    Rtcp(&'d mut [u8]),
}

impl<'d, R> Handled<'d, R> {
    /// The same, with another layer's reason. A machine that is made of others uses it to pass theirs on.
    pub fn map_dropped<S>(self, reason: impl FnOnce(R) -> S) -> Handled<'d, S> {
        match self {
            Self::Consumed => Handled::Consumed,
            Self::Dropped(inner) => Handled::Dropped(reason(inner)),
            Self::Rtp(bytes) => Handled::Rtp(bytes),
            Self::Rtcp(bytes) => Handled::Rtcp(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecn_keeps_only_its_two_bits() {
        for byte in 0..=u8::MAX {
            assert_eq!(Ecn::from_bits(byte).bits(), byte & 0b11);
        }
    }

    #[test]
    fn a_mapped_reason_leaves_media_alone() {
        let mut bytes = [1, 2, 3];
        let handled: Handled<'_, u8> = Handled::Rtp(&mut bytes);
        assert_eq!(handled.map_dropped(u32::from), Handled::Rtp(&mut [1, 2, 3]));
        assert_eq!(Handled::Dropped(7u8).map_dropped(u32::from), Handled::Dropped(7u32));
    }
}
