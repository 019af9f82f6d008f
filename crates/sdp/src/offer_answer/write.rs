//! From types to the lines of a description.

use crate::{
    Address, Attribute, Codec, DataChannel, Description, Direction, ExtMap, Fmtp, Formats, Group, GroupKind, Media,
    MediaKind, Mid, Msid, Origin, Protocol, Rid, RtcpFb, RtpMap, Setup, Simulcast, Source, SsrcGroup, Text, Token,
    Word,
};

use super::{DtlsRole, LocalTransport};

/// What an RTP section of an offer says, apart from its transport.
#[derive(Clone, Debug)]
pub struct RtpMedia {
    /// Audio or video.
    pub kind: MediaKind,
    /// Its name.
    pub mid: Mid,
    /// What we do.
    pub direction: Direction,
    /// Codecs with payload types of our choice, the preferred first; `rtx` and `red` are among them.
    pub codecs: Vec<Codec>,
    /// Header extensions. An id stands for the same one in all sections of a description.
    pub extensions: Vec<ExtMap>,
    /// Encodings that we send or receive.
    pub rids: Vec<Rid>,
    /// Encodings at once. Not written if it is empty.
    pub simulcast: Simulcast,
    /// What our track belongs to.
    pub msids: Vec<Msid>,
    /// Our sources.
    pub sources: Vec<Source>,
    /// What our sources are to each other.
    pub ssrc_groups: Vec<SsrcGroup>,
}

impl RtpMedia {
    /// The section, with RTP and RTCP on one port and reduced-size RTCP.
    #[must_use]
    pub fn into_media(self) -> Media {
        let payload_types = self.codecs.iter().map(|codec| codec.payload_type).collect();
        let mut media = Media::empty(self.kind, Protocol::rtp(), Formats::PayloadTypes(payload_types));
        let lines = &mut media.attributes;
        lines.push(Attribute::Mid(self.mid));
        lines.extend(self.extensions.into_iter().map(Attribute::ExtMap));
        lines.push(Attribute::Direction(self.direction));
        lines.extend(self.msids.into_iter().map(Attribute::Msid));
        lines.extend([Attribute::RtcpMux, Attribute::RtcpRsize]);
        self.codecs.into_iter().for_each(|codec| write_codec(lines, codec));
        lines.extend(self.rids.into_iter().map(Attribute::Rid));
        if !self.simulcast.is_empty() {
            lines.push(Attribute::Simulcast(self.simulcast));
        }
        lines.extend(self.ssrc_groups.into_iter().map(Attribute::SsrcGroup));
        lines.extend(self.sources.into_iter().map(Attribute::Source));
        media
    }
}

impl Media {
    /// A section for data channels.
    #[must_use]
    pub fn data(mid: Mid, channel: DataChannel) -> Self {
        let format = Word::new("webrtc-datachannel").expect("it is visible");
        let mut media = Self::empty(MediaKind::Application, Protocol::sctp(), Formats::Words(vec![format]));
        media.attributes = vec![
            Attribute::Mid(mid),
            Attribute::SctpPort(channel.sctp_port),
            Attribute::MaxMessageSize(channel.max_message_size),
        ];
        media
    }

    pub(super) fn empty(kind: MediaKind, protocol: Protocol, formats: Formats) -> Self {
        Self {
            kind,
            port: 9,
            protocol,
            formats,
            lines: Vec::new(),
            connection: Some(Address::ip([0, 0, 0, 0].into())),
            bandwidths: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// The section rejected: with its kind, protocol, formats and name, and nothing else.
    #[must_use]
    pub fn rejected(&self) -> Self {
        let mut media = Self::empty(self.kind.clone(), self.protocol.clone(), self.formats.clone());
        media.port = 0;
        media.attributes.extend(self.mid().cloned().map(Attribute::Mid));
        media.attributes.push(Attribute::Direction(Direction::Inactive));
        media
    }
}

/// An offer of these sections, all in one BUNDLE group but for those that are rejected, to whoever opens DTLS.
///
/// Sections that were in an earlier offer keep their place and their name (RFC 3264 §8); one that is given up is
/// [`rejected`](Media::rejected). The next offer has [`Origin::next`] if anything changed.
///
/// ```
/// use plenary_sdp::codec::Codec;
/// use plenary_sdp::offer_answer::{DtlsRole, LocalTransport, RtpMedia, Section, apply_answer, offer};
/// use plenary_sdp::*;
///
/// let codec = |number, name, parameters| {
///     let format = Format { encoding: Token::new(name)?, clock_rate: 90_000, channels: None };
///     let (payload_type, parameters) = (PayloadType::new(number)?, Parameters::new(parameters)?);
///     Ok::<_, Error>(Codec { payload_type, format, parameters, feedback: vec![Feedback::Nack] })
/// };
/// // A video section that we send in, with retransmissions, and both of its sources named.
/// let slot = RtpMedia {
///     kind: MediaKind::Video,
///     mid: Mid::new("0")?,
///     direction: Direction::SendOnly,
///     codecs: vec![codec(96, "VP8", "")?, codec(97, "rtx", "apt=96")?],
///     extensions: Vec::new(),
///     rids: Vec::new(),
///     simulcast: Simulcast::default(),
///     msids: vec![Msid { stream: Some(Word::new("slot-0")?), track: None }],
///     sources: [1, 2].map(|ssrc| Source { ssrc, attribute: SourceAttribute::Cname(Text::new("us").unwrap()) }).to_vec(),
///     ssrc_groups: vec![SsrcGroup { semantics: GroupSemantics::Fid, ssrcs: vec![1, 2] }],
/// };
/// let transport = LocalTransport {
///     ufrag: IceUfrag::new("ours")?,
///     pwd: IcePwd::new("ourPasswordOurPassword")?,
///     ice_lite: true,
///     ice_options: Vec::new(),
///     fingerprints: vec![Fingerprint::new(HashFunction::Sha256, &[0xab; 32])?],
///     preferred_role: DtlsRole::Server, // of answers; an offer leaves it to the other side
///     candidates: vec![Text::new("1 1 udp 2130706431 192.0.2.1 3478 typ host")?],
///     end_of_candidates: true,
///     in_every_section: true,
/// };
/// let offer = offer(Origin::new(1), &transport, vec![slot.into_media()]);
/// assert!(offer.to_string().contains("a=ssrc-group:FID 1 2\r\na=ssrc:1 cname:us\r\n"));
///
/// let answer = "v=0\r\no=- 9 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
///     m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\n\
///     a=ice-ufrag:them\r\na=ice-pwd:theirPasswordTheirPassw\r\na=setup:active\r\n\
///     a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB\r\n\
///     a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
/// let agreed = apply_answer(&offer, &Description::parse(answer, &Limits::default())?)?;
/// let Section::Rtp(video) = &agreed.sections[0] else { panic!("accepted") };
/// assert_eq!((video.direction, video.codecs[0].rtx), (Direction::SendOnly, Some(PayloadType::new(97)?)));
/// assert_eq!(agreed.transport.expect("accepted").role, DtlsRole::Server);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn offer(origin: Origin, transport: &LocalTransport, media: Vec<Media>) -> Description {
    let mids = media.iter().filter(|media| !media.is_rejected()).filter_map(|media| media.mid().cloned()).collect();
    let mut offer = Description::new(origin);
    offer.media = media;
    finish(&mut offer, mids, transport, Setup::ActPass);
    offer
}

/// Adds what the session says, and the transport's lines. `mids` are the group: the first has the candidates.
pub(super) fn finish(description: &mut Description, mids: Vec<Mid>, transport: &LocalTransport, setup: Setup) {
    let mut is_first = true;
    // A section that has no name is alone, and is the first.
    let tagged = mids.first().cloned();
    for media in description.media.iter_mut().filter(|media| !media.is_rejected()) {
        let is_tagged = if tagged.is_some() { media.mid() == tagged.as_ref() } else { is_first };
        is_first = false;
        if is_tagged || transport.in_every_section {
            transport.write(&mut media.attributes, setup, is_tagged);
        }
    }
    let lines = &mut description.attributes;
    if !mids.is_empty() {
        lines.push(Attribute::Group(Group { kind: GroupKind::Bundle, mids }));
    }
    if transport.ice_lite {
        lines.push(Attribute::IceLite);
    }
    lines.push(Attribute::ExtmapAllowMixed);
    let semantic = Token::new("msid-semantic").expect("it is a token");
    lines.push(Attribute::Other(semantic, Some(Text::new("WMS *").expect("it is a text"))));
}

impl LocalTransport {
    fn write(&self, lines: &mut Vec<Attribute>, setup: Setup, with_candidates: bool) {
        lines.push(Attribute::IceUfrag(self.ufrag.clone()));
        lines.push(Attribute::IcePwd(self.pwd.clone()));
        if !self.ice_options.is_empty() {
            lines.push(Attribute::IceOptions(self.ice_options.clone()));
        }
        lines.extend(self.fingerprints.iter().cloned().map(Attribute::Fingerprint));
        lines.push(Attribute::Setup(setup));
        if with_candidates {
            lines.extend(self.candidates.iter().cloned().map(Attribute::Candidate));
            lines.extend(self.end_of_candidates.then_some(Attribute::EndOfCandidates));
        }
    }
}

impl DtlsRole {
    pub(super) const fn setup(self) -> Setup {
        match self {
            Self::Client => Setup::Active,
            Self::Server => Setup::Passive,
        }
    }
}

pub(super) fn write_codec(lines: &mut Vec<Attribute>, codec: Codec) {
    let payload_type = codec.payload_type;
    lines.push(Attribute::RtpMap(RtpMap { payload_type, format: codec.format }));
    let feedback = codec.feedback.into_iter();
    lines.extend(feedback.map(|feedback| Attribute::RtcpFb(RtcpFb { payload_type: Some(payload_type), feedback })));
    if !codec.parameters.is_empty() {
        lines.push(Attribute::Fmtp(Fmtp { payload_type, parameters: codec.parameters }));
    }
}
