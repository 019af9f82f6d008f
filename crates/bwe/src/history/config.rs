use std::net::SocketAddr;
use std::time::Duration;

use plenary_rtp::SeqNo;
use plenary_wire::DataSize;
use thiserror::Error;

/// What a [`History`](super::History) holds, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Packets that are held at most: 1 to 32,767, as of more the 16 bits of a number would not tell which. Default:
    /// 16,384, which is 10 s at 15 Mb/s; 72 bytes each, 1.2 MB. That many are only held while no feedback comes:
    /// commonly it is those of a round trip and of [`late_max`](Self::late_max).
    pub packets_max: u16,
    /// How long a packet waits for the first feedback that is on it, or beyond it. Default: 10 s, as neither format can
    /// tell of an arrival more than 8 s back. (libwebrtc: 60 s.)
    pub age_max: Duration,
    /// A packet is told of as recovered, or by feedback that was overtaken, if it left no longer than this before the
    /// newest packet that is known to have arrived. Default: 1 s; libwebrtc's receivers look back for 0.5 s.
    pub late_max: Duration,
    /// Streams at most whose sequence numbers are followed for feedback of RFC 8888: what is sent on more of them is not
    /// reported on. Default: 1024, two for each slot of a large meeting; 64 bytes each, and 8 for each packet.
    pub streams_max: u16,
    /// What is around each datagram. Default: UDP and IPv4.
    pub overhead: Overhead,
    /// The transport-wide number of the first packet. Default: 0.
    pub first: SeqNo,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            packets_max: 16_384,
            age_max: Duration::from_secs(10),
            late_max: Duration::from_secs(1),
            streams_max: 1024,
            overhead: Overhead::UDP_IPV4,
            first: SeqNo(0),
        }
    }
}

impl Config {
    pub(super) const fn check(&self) -> Result<(), ConfigError> {
        if self.packets_max == 0 || self.packets_max > i16::MAX as u16 {
            return Err(ConfigError::PacketsMax(self.packets_max));
        }
        Ok(())
    }
}

/// Why a configuration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// [`Config::packets_max`].
    #[error("packets_max is {0}, not from 1 to 32767")]
    PacketsMax(u16),
}

/// Bytes around each datagram that count against the path's capacity, but are not the sender's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Overhead(u16);

impl Overhead {
    /// None.
    pub const NONE: Self = Self(0);
    /// 8 bytes of UDP, and 20 of IPv4.
    pub const UDP_IPV4: Self = Self(28);
    /// 8 bytes of UDP, and 40 of IPv6.
    pub const UDP_IPV6: Self = Self(48);
    /// What a TURN server and its client put around what they relay over UDP: ChannelData (RFC 8656 §12.4).
    pub const TURN_CHANNEL: Self = Self(4);

    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u16) -> Self {
        Self(bytes)
    }

    /// UDP and IP to this address.
    #[must_use]
    pub const fn udp(remote: &SocketAddr) -> Self {
        if remote.is_ipv4() { Self::UDP_IPV4 } else { Self::UDP_IPV6 }
    }

    /// Both; saturates.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u16 {
        self.0
    }

    pub(super) const fn with(self, size: DataSize) -> DataSize {
        size.saturating_add(DataSize::from_bytes(self.0 as u64))
    }
}
