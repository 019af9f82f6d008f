//! Between the types of `plenary-sdp` and those of the machines.

use plenary_ice::Credentials;
use plenary_sdp::offer_answer::{
    CodecOrder, DtlsRole, LocalCodec, LocalExtension, LocalTransport, NegotiatedTransport, RtpMedia, RtpPolicy, Section,
};
use plenary_sdp::{
    Codec, DataChannel, Direction, ExtMap, ExtensionId, Feedback, GroupSemantics, IcePwd, IceUfrag, Media, MediaKind,
    Mid, Msid, Parameters, PayloadType, Simulcast, Source, SourceAttribute, SsrcGroup, Text, Token, Word,
};
use plenary_transport::{DataParameters, Fingerprint, Setup, Transport};

use crate::refused::Refused;

pub(crate) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// What is passed back without being understood needs no more than a name. The peer's order holds.
const AUDIO: [(&str, &str); 1] = [("opus/48000/2", "minptime=10;useinbandfec=1")];
const VIDEO: [(&str, &str); 4] = [
    ("VP8/90000", ""),
    ("VP9/90000", "profile-id=0"),
    ("H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    ("AV1/90000", "level-idx=5;profile=0;tier=0"),
];

/// The SSRCs that a section sends with, and who sends them.
pub(crate) struct Sources<'a> {
    pub(crate) ssrc: u32,
    /// None without retransmission.
    pub(crate) rtx: Option<u32>,
    pub(crate) cname: &'a str,
}

/// Our side, as it is put into a description.
pub(crate) fn local_transport(transport: &Transport, preferred_role: DtlsRole) -> LocalTransport {
    let parameters = transport.local_parameters();
    let line = |candidate: plenary_ice::Candidate| text(candidate.to_string().trim_start_matches("candidate:"));
    let renomination = parameters.ice.renomination.then_some("renomination");
    let fingerprint = |it: &Fingerprint| {
        plenary_sdp::Fingerprint::new(plenary_sdp::HashFunction::Sha256, it.bytes()).expect("SHA-256 is what is said")
    };
    LocalTransport {
        ufrag: IceUfrag::new(parameters.ice.credentials.ufrag()).expect("ICE draws ice-chars"),
        pwd: IcePwd::new(parameters.ice.credentials.password()).expect("ICE draws ice-chars"),
        ice_lite: parameters.ice.lite,
        // No `trickle`: candidates are complete here, and there is no way to bring more.
        ice_options: ["ice2"].into_iter().chain(renomination).map(token).collect(),
        fingerprints: parameters.fingerprints.iter().map(fingerprint).collect(),
        preferred_role,
        candidates: transport.ice().local_candidates().into_iter().map(line).collect(),
        end_of_candidates: true,
        in_every_section: true,
    }
}

/// The peer's side, for the transport.
pub(crate) fn remote_parameters(
    agreed: &NegotiatedTransport,
    sections: &[Section],
) -> Result<plenary_transport::Parameters, Refused> {
    let remote = &agreed.remote;
    let credential = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let ufrag = credential(remote.ufrag.as_ref().map(IceUfrag::as_str));
    let password = credential(remote.pwd.as_ref().map(IcePwd::as_str));
    let mut ice = plenary_ice::Parameters::new(Credentials::new(&ufrag, &password)?);
    ice.lite = remote.ice_lite;
    ice.renomination = remote.ice_options.iter().any(|option| *option == "renomination");
    ice.trickle = remote.ice_options.iter().any(|option| *option == "trickle");
    // Those of hash functions that are too weak say nothing.
    let fingerprints = remote.fingerprints.iter().filter_map(|it| Fingerprint::parse(&it.to_string()).ok());
    // The roles are settled: what the peer is said to be is what it becomes.
    let setup = if agreed.role == DtlsRole::Server { Setup::Active } else { Setup::Passive };
    let data = sections.iter().find_map(|section| match section {
        Section::Data(data) => {
            Some(DataParameters { sctp_port: data.remote_sctp_port, message_bytes_max: data.remote_max_message_size })
        }
        _ => None,
    });
    Ok(plenary_transport::Parameters { ice, fingerprints: fingerprints.collect(), setup, data })
}

/// What we say of data channels.
pub(crate) fn data_channel(transport: &Transport) -> Option<DataChannel> {
    let data = transport.local_parameters().data?;
    Some(DataChannel { sctp_port: data.sctp_port, max_message_size: data.message_bytes_max })
}

/// The section of an offer of ours.
pub(crate) fn offered_data(channel: DataChannel) -> Media {
    Media::data(Mid::new("2").expect("it is a token"), channel)
}

pub(crate) fn rtp_policy(kind: &MediaKind, sources: &Sources<'_>) -> RtpPolicy {
    RtpPolicy {
        direction: Direction::SendRecv,
        codecs: codecs(kind),
        order: CodecOrder::Offer,
        extensions: vec![LocalExtension { uri: word(MID), direction: Direction::SendRecv }],
        receive_streams_max: 0,
        send_streams_max: 0,
        msids: vec![msid()],
        sources: sources.lines(),
        ssrc_groups: sources.group(),
    }
}

/// A section of an offer of ours.
pub(crate) fn offered_section(kind: MediaKind, mid: Mid, sources: &Sources<'_>) -> Media {
    let mid_extension =
        ExtMap { id: ExtensionId::new(1).expect("in range"), direction: None, uri: word(MID), attributes: None };
    let first = if kind == MediaKind::Audio { 111 } else { 96 };
    RtpMedia {
        mid,
        direction: Direction::SendRecv,
        codecs: numbered(codecs(&kind), first),
        kind,
        extensions: vec![mid_extension],
        rids: Vec::new(),
        simulcast: Simulcast::default(),
        msids: vec![msid()],
        sources: sources.lines(),
        ssrc_groups: sources.group(),
    }
    .into_media()
}

fn codecs(kind: &MediaKind) -> Vec<LocalCodec> {
    let audio = |(format, parameters): &(&str, &str)| {
        let codec = LocalCodec::audio(format, parameters).expect("the table is well formed");
        LocalCodec { feedback: Vec::new(), ..codec }
    };
    // Nobody here measures the bandwidth.
    let feedback = vec![Feedback::CcmFir, Feedback::Nack, Feedback::NackPli];
    let video = |codec| LocalCodec { feedback: feedback.clone(), rtx: true, ..audio(codec) };
    if *kind == MediaKind::Audio { AUDIO.iter().map(audio).collect() } else { VIDEO.iter().map(video).collect() }
}

/// Gives codecs their payload types, with retransmissions behind each.
fn numbered(codecs: Vec<LocalCodec>, first: u8) -> Vec<Codec> {
    let mut numbers = (first..).map(|number| PayloadType::new(number).expect("the table is short"));
    let mut next = || numbers.next().expect("the table is short");
    let mut numbered = Vec::new();
    for LocalCodec { format, parameters, feedback, rtx } in codecs {
        let payload_type = next();
        let clock_rate = format.clock_rate;
        numbered.push(Codec { payload_type, format, parameters, feedback });
        if rtx {
            let parameters = Parameters::new(&format!("apt={payload_type}")).expect("a number is a text");
            let format = plenary_sdp::Format { encoding: token("rtx"), clock_rate, channels: None };
            numbered.push(Codec { payload_type: next(), format, parameters, feedback: Vec::new() });
        }
    }
    numbered
}

impl Sources<'_> {
    fn ssrcs(&self) -> Vec<u32> {
        [Some(self.ssrc), self.rtx].into_iter().flatten().collect()
    }

    fn lines(&self) -> Vec<Source> {
        let line = |ssrc| Source { ssrc, attribute: SourceAttribute::Cname(text(self.cname)) };
        self.ssrcs().into_iter().map(line).collect()
    }

    /// Firefox finds no retransmissions without it.
    fn group(&self) -> Vec<SsrcGroup> {
        let group = self.rtx.map(|_| SsrcGroup { semantics: GroupSemantics::Fid, ssrcs: self.ssrcs() });
        group.into_iter().collect()
    }
}

/// One stream for all: what the page plays together.
fn msid() -> Msid {
    Msid { stream: Some(word("echo")), track: None }
}

fn word(text: &str) -> Word {
    Word::new(text).expect("it has no spaces")
}

fn token(text: &str) -> Token {
    Token::new(text).expect("it is a token")
}

fn text(line: &str) -> Text {
    Text::new(line).expect("it is one line")
}
