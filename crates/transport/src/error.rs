use thiserror::Error as ThisError;

use crate::DataDropReason;

/// What a caller asked for that can't be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The transport is closed, or about to be.
    #[error("the transport is closed")]
    Closed,
    /// DTLS is not done yet: there are no keys.
    #[error("there are no keys yet")]
    NoKeys,
    /// ICE has no pair to send on, or the peer no longer consents.
    #[error("there is no path to send on")]
    NoPath,
    /// Both sides would be the DTLS client, or both the server (RFC 4145 §4).
    #[error("both sides take the same DTLS role")]
    Setup,
    /// The peer's description has no fingerprint of a hash function that is known here.
    #[error("the description has no fingerprint that is known")]
    NoFingerprint,
    /// More fingerprints than [`Parameters::FINGERPRINTS_MAX`](crate::Parameters::FINGERPRINTS_MAX).
    #[error("too many fingerprints")]
    Fingerprints,
    /// The peer is already authenticated by another certificate: new keys need a new transport (RFC 8842 §4).
    #[error("the peer has another certificate: make a new transport")]
    NewAssociation,
    /// SRTP refused the packet; nothing was changed.
    #[error("SRTP: {0}")]
    Srtp(#[from] plenary_srtp::Error),
    /// SRTP refused a packet of a run; those before it are protected and spent.
    #[error("SRTP: {0}")]
    Run(#[from] plenary_srtp::RunError),
}

/// Why there is no relay, or it does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum RelayError {
    /// The transport is closed.
    #[error("the transport is closed")]
    Closed,
    /// The flow is in use; or is no relay's.
    #[error("the flow is in use, or is no relay")]
    Flow,
    /// There are as many relays as `Config::relays_max` allows.
    #[error("no more relays: Config::relays_max")]
    Limit,
    /// The client's configuration.
    #[error("turn: {0}")]
    Config(#[from] plenary_turn::client::ConfigError),
    /// The client can't move.
    #[error("turn: {0}")]
    Move(#[from] plenary_turn::client::Error),
}

/// Which field of a `Config` is outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum ConfigError {
    /// In `ice`.
    #[error("ice: {0}")]
    Ice(#[from] plenary_ice::ConfigError),
    /// In `srtp_sender` or `srtp_receiver`.
    #[error("srtp: {0}")]
    Srtp(#[from] plenary_srtp::ConfigError),
    /// `handshake_timeout` is not from 1 s to 10 minutes.
    #[error("handshake_timeout is not from 1 s to 10 minutes")]
    HandshakeTimeout,
    /// `retransmit` is not from 10 ms to 3 s.
    #[error("retransmit is not from 10 ms to 3 s")]
    Retransmit,
    /// `early_datagrams_max` is above 64.
    #[error("early_datagrams_max is above 64")]
    EarlyDatagrams,
    /// `data.sctp_port` is 0.
    #[error("data.sctp_port is 0")]
    SctpPort,
    /// `data.channels_max` is not from 1 to 1024.
    #[error("data.channels_max is not from 1 to 1024")]
    Channels,
    /// `data.name_bytes_max` is above 131,070.
    #[error("data.name_bytes_max is above 131,070")]
    ChannelName,
    /// `data.message_bytes_max` is not from 1024 to 2^30.
    #[error("data.message_bytes_max is not from 1024 to 2^30")]
    MessageBytes,
    /// `data.send_buffer_bytes_max` is not from 1024 to 2^30.
    #[error("data.send_buffer_bytes_max is not from 1024 to 2^30")]
    SendBuffer,
    /// `data.receive_buffer_bytes_max` is not from twice `message_bytes_max` to 2^30.
    #[error("data.receive_buffer_bytes_max is not from twice message_bytes_max to 2^30")]
    ReceiveBuffer,
}

/// Why a certificate can't be made or taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum CertificateError {
    /// The key is no ECDSA key on P-256 in PKCS #8.
    #[error("the key is no PKCS #8 key on P-256")]
    Key,
    /// The certificate is not of this key.
    #[error("the certificate is not of this key")]
    OtherKey,
    /// The certificate is larger than [`DER_MAX`](crate::Certificate::DER_MAX).
    #[error("the certificate is larger than 4096 bytes")]
    Size,
    /// The times are before 1970 or after 9999.
    #[error("the times are outside what a certificate can say")]
    Time,
    /// The crypto provider failed: it has no randomness.
    #[error("the crypto provider failed")]
    Provider,
}

/// Why a line of a session description is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum ParseError {
    /// A hash function other than SHA-256, SHA-384 and SHA-512: to be passed over.
    #[error("a hash function that is not used here")]
    HashFunction,
    /// Not pairs of hexadecimal digits with colons between them, or not as many as the hash function makes.
    #[error("not a fingerprint of the hash function's length")]
    Fingerprint,
    /// None of `active`, `passive` and `actpass`.
    #[error("not a role")]
    Setup,
}

/// Why a datagram was dropped. Each is counted, see [`Transport::dropped`](crate::Transport::dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// A STUN message that ICE did not take.
    Ice(plenary_ice::DropReason),
    /// What a TURN server sent, and its client did not take.
    Relay(plenary_turn::client::DropReason),
    /// A media packet that SRTP did not take.
    Srtp(plenary_srtp::DropReason),
    /// A packet or message of data channels. (Its datagram is `Consumed`: DTLS has taken it.)
    Data(DataDropReason),
    /// Media before there are keys.
    NoKeys,
    /// Media or DTLS from an address that ICE has not proven.
    Unproven,
    /// A DTLS datagram before ICE has a path, and as many as `Config::early_datagrams_max` are kept.
    Early,
    /// A DTLS datagram larger than [`DATAGRAM_MAX`](crate::Config::DATAGRAM_MAX).
    Size,
    /// A DTLS datagram that can't be the first of the peer. (What DTLS itself passes over is `Consumed`.)
    Dtls,
    /// Neither STUN, DTLS, RTP nor RTCP.
    Kind,
    /// The transport is closed.
    Closed,
}

impl DropReason {
    /// All reasons: those of the transport, then those of ICE, of SRTP, of data channels and of relays.
    pub fn all() -> impl Iterator<Item = Self> {
        let own: [Self; Self::OWN] =
            [Self::NoKeys, Self::Unproven, Self::Early, Self::Size, Self::Dtls, Self::Kind, Self::Closed];
        let ice = plenary_ice::DropReason::ALL.map(Self::Ice);
        let media = plenary_srtp::DropReason::ALL.map(Self::Srtp);
        let relays = plenary_turn::client::DropReason::ALL.map(Self::Relay);
        own.into_iter().chain(ice).chain(media).chain(DataDropReason::ALL.map(Self::Data)).chain(relays)
    }

    /// Its place among the counters, if it is one of the transport's own.
    pub(crate) const fn own(self) -> Option<usize> {
        match self {
            Self::Ice(_) | Self::Srtp(_) | Self::Data(_) | Self::Relay(_) => None,
            Self::NoKeys => Some(0),
            Self::Unproven => Some(1),
            Self::Early => Some(2),
            Self::Size => Some(3),
            Self::Dtls => Some(4),
            Self::Kind => Some(5),
            Self::Closed => Some(6),
        }
    }

    pub(crate) const OWN: usize = 7;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reasons_are_told_once() {
        let all: Vec<_> = DropReason::all().collect();
        let own: Vec<_> = all.iter().filter_map(|reason| reason.own()).collect();
        assert_eq!(own, (0..DropReason::OWN).collect::<Vec<_>>());
        let ice: Vec<_> =
            all.iter().filter_map(|it| if let DropReason::Ice(it) = it { Some(*it as usize) } else { None }).collect();
        assert_eq!(ice, (0..plenary_ice::DropReason::COUNT).collect::<Vec<_>>());
        let data: Vec<_> =
            all.iter().filter_map(|it| if let DropReason::Data(it) = it { Some(*it as usize) } else { None }).collect();
        assert_eq!(data, (0..DataDropReason::COUNT).collect::<Vec<_>>());
        let rest = plenary_srtp::DropReason::ALL.len() + plenary_turn::client::DropReason::ALL.len();
        assert_eq!(all.len(), own.len() + ice.len() + data.len() + rest);
    }
}
