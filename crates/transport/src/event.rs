use std::net::SocketAddr;

use plenary_ice::{Selected, Transport};
use plenary_srtp::Profile;
use plenary_wire::FlowId;

use crate::{ChannelId, DataCloseReason};

/// Something that the caller should know or do.
///
/// The queue is bounded: each of the transport's own events comes once, or is replaced by a newer one. Each channel has
/// at most one of each kind, and is in the table of channels until its last is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer is who its description said, and media may be sent. Once.
    Connected(Connected),
    /// Media goes over this path from now on.
    PathChanged(Path),
    /// It is over, and why. Once, and the last but for what ICE and channels still have to say.
    Closed(CloseReason),
    /// Messages can be sent in this channel: one of ours, or a new one of the peer, which
    /// [`Transport::channel`](crate::Transport::channel) describes.
    ChannelOpened(ChannelId),
    /// What this channel has buffered for sending has fallen to its mark, see
    /// [`Transport::set_channel_drained_at`](crate::Transport::set_channel_drained_at).
    ChannelDrained(ChannelId),
    /// This channel is closed on both sides, and all of its messages were taken. It is unknown from now on.
    ChannelClosed(ChannelId),
    /// Data channels are over, and why; media goes on. Once. Each channel is told as closed as well.
    DataClosed(DataCloseReason),
    /// What ICE tells and asks: candidates for the peer, its state, names to resolve, streams to open and close. Answer
    /// by the `Transport`'s method of the same name. `Selected` comes as [`PathChanged`](Self::PathChanged).
    Ice(plenary_ice::Event),
    /// What has become of a relay, by the flow that it was given. Its candidate comes by [`Ice`](Self::Ice).
    Relay(FlowId, plenary_turn::client::Event),
}

/// What DTLS has agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The version.
    pub version: DtlsVersion,
    /// Which side of it this one was.
    pub role: DtlsRole,
    /// How media is protected: it says how many bytes a packet grows by.
    pub profile: Profile,
}

/// A version of DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtlsVersion {
    /// DTLS 1.2 (RFC 6347).
    Dtls12,
    /// DTLS 1.3 (RFC 9147).
    Dtls13,
}

/// A side of DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtlsRole {
    /// It speaks first: `a=setup:active`.
    Client,
    /// It answers: `a=setup:passive`.
    Server,
}

/// Where to send from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The socket, stream or allocation.
    pub flow: FlowId,
    /// The local address to send from.
    pub local: SocketAddr,
    /// The peer's address to send to.
    pub remote: SocketAddr,
    /// Whether it is a byte stream: each packet goes through [`write_frame`](plenary_ice::write_frame).
    pub framed: bool,
}

impl From<Selected> for Path {
    fn from(selected: Selected) -> Self {
        let Selected { flow, local, remote, transport, .. } = selected;
        Self { flow, local, remote, framed: matches!(transport, Transport::Tcp(_)) }
    }
}

/// Why a transport is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The caller closed it.
    Local,
    /// The peer said goodbye with a close alert.
    Peer,
    /// The peer's certificate is not the one of its description (RFC 8122 §6.2): someone else is there.
    Fingerprint,
    /// The peer has no certificate, or none that it can use with our algorithms.
    NoCertificate,
    /// The peer's certificate has no ECDSA key on P-256 or P-384: RSA, as a rule.
    UnsupportedCertificate,
    /// The peer offers no cipher suite or group of ours: one with an RSA certificate only has none for ECDSA.
    NoCommonCipher,
    /// The peer knows no protection profile of ours, or does not do SRTP at all.
    NoSrtpProfile,
    /// The peer offers no version of DTLS that is allowed here.
    Version,
    /// The peer ended it with this alert (RFC 8446 §6.2); 40, handshake_failure, is what a server with an RSA
    /// certificate only says to a client without RSA.
    Alert(u8),
    /// `Config::handshake_timeout` is over, or the last retransmission was.
    HandshakeTimeout,
    /// The peer broke a rule of DTLS, or its signature or Finished is wrong.
    Handshake,
}
