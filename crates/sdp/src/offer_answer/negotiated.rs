use crate::{
    Bandwidth, Direction, ExtensionId, Feedback, Format, MediaKind, Mid, Msid, Parameters, PayloadType, Rid, Simulcast,
    Source, SsrcGroup, TransportDescription, Word,
};

/// What an offer and its answer agree on, seen from our side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The one transport; `None` if every section was rejected.
    pub transport: Option<NegotiatedTransport>,
    /// As many as the descriptions have media sections, in their order.
    pub sections: Vec<Section>,
}

/// The transport of all sections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedTransport {
    /// What the other side said: credentials, fingerprints, candidates.
    pub remote: TransportDescription,
    /// What we are in the DTLS handshake.
    pub role: DtlsRole,
}

/// Who opens the DTLS association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtlsRole {
    /// We send the ClientHello: `a=setup:active`.
    Client,
    /// We wait for it: `a=setup:passive`.
    Server,
}

/// What became of a media section.
#[expect(clippy::large_enum_variant, reason = "a session has one for each media section, and most are the large one")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    /// Nothing will be sent in it.
    Rejected(Rejection),
    /// Audio or video.
    Rtp(RtpSection),
    /// Data channels.
    Data(DataSection),
}

/// Why a section is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The offer itself has it rejected: port 0.
    ByOffer,
    /// The answer rejects it: port 0.
    ByAnswer,
    /// Our policy has nothing for its kind, its name or its protocol.
    Policy,
    /// It is not in the BUNDLE group, and we have one transport.
    NotBundled,
    /// It does not offer RTP and RTCP on one port (RFC 8858, RFC 8834 §4.5).
    NoRtcpMux,
    /// There is no codec that both sides have.
    NoCommonCodec,
    /// An id stands for another header extension in another section of the group (RFC 9143 §12).
    ExtensionClash,
    /// A payload type stands for another codec in another section of the group (RFC 9143 §9.1.1).
    PayloadTypeClash,
    /// It does not offer `webrtc-datachannel`.
    NoDataChannel,
    /// The offer lacks ICE credentials or a fingerprint.
    NoTransport,
    /// The offer wants no DTLS association now: `a=setup:holdconn`.
    NoDtlsRole,
}

/// What is agreed on for audio or video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpSection {
    /// Its name; `None` if the offer gave none.
    pub mid: Option<Mid>,
    /// Audio or video.
    pub kind: MediaKind,
    /// What we do.
    pub direction: Direction,
    /// Codecs that both sides have; at least one. The first is the answerer's wish.
    pub codecs: Vec<NegotiatedCodec>,
    /// Header extensions that both sides have.
    pub extensions: Vec<NegotiatedExtension>,
    /// One-byte and two-byte header extensions may come in one stream.
    pub mixed_extensions: bool,
    /// RTCP may be sent in reduced size (RFC 5506).
    pub reduced_size: bool,
    /// The encodings of [`simulcast`](Self::simulcast): `recv` are those that we receive.
    pub rids: Vec<Rid>,
    /// What we send and receive. Empty: one stream each way.
    pub simulcast: Simulcast,
    /// What the other side's track belongs to.
    pub remote_msids: Vec<Msid>,
    /// The other side's sources.
    pub remote_sources: Vec<Source>,
    /// What the other side's sources are to each other.
    pub remote_ssrc_groups: Vec<SsrcGroup>,
    /// What the other side wants at most.
    pub remote_bandwidths: Vec<Bandwidth>,
}

/// A codec that both sides have, with one payload type both ways: the offerer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedCodec {
    /// Its payload type.
    pub payload_type: PayloadType,
    /// Name, clock and channels.
    pub format: Format,
    /// What we may receive: our parameters.
    pub receive: Parameters,
    /// What we may send: the other side's parameters. For H264 without level asymmetry, at the lower level.
    pub send: Parameters,
    /// RTCP feedback that both sides have.
    pub feedback: Vec<Feedback>,
    /// The payload type of its retransmissions, if there are any.
    pub rtx: Option<PayloadType>,
}

/// A header extension that both sides have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedExtension {
    /// Its id on packets.
    pub id: ExtensionId,
    /// Its name.
    pub uri: Word,
    /// Whether we send it, receive it, or both.
    pub direction: Direction,
}

/// What is agreed on for data channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSection {
    /// Its name; `None` if the offer gave none.
    pub mid: Option<Mid>,
    /// The other side's SCTP port.
    pub remote_sctp_port: u16,
    /// The largest message that the other side takes, in bytes; 0 is any size.
    pub remote_max_message_size: u64,
}

impl RtpSection {
    /// The codec that has this payload type, or whose retransmissions have it.
    #[must_use]
    pub fn codec(&self, payload_type: PayloadType) -> Option<&NegotiatedCodec> {
        self.codecs.iter().find(|codec| codec.payload_type == payload_type || codec.rtx == Some(payload_type))
    }

    /// The id of a header extension that we may send (`sends`) or receive.
    #[must_use]
    pub fn extension_id(&self, uri: &str, sends: bool) -> Option<ExtensionId> {
        let may = |direction: Direction| if sends { direction.sends() } else { direction.receives() };
        self.extensions.iter().find(|one| one.uri == *uri && may(one.direction)).map(|one| one.id)
    }
}
