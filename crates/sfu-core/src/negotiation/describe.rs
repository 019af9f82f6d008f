//! From sections to the lines of a description.

use plenary_rtp::extension::{
    AbsCaptureTime, AbsSendTime, AudioLevel, Element, Mid as MidElement, RepairedRid, Rid as RidElement,
    TransportSequence, VideoLayersAllocation, VideoOrientation, dependency,
};
use plenary_rtp::payload;
use plenary_sdp::offer_answer::{
    CodecOrder, DtlsRole, LocalCodec, LocalExtension, LocalTransport, Policy, RtpMedia, RtpPolicy,
};
use plenary_sdp::{
    Codec, Direction, ExtMap, ExtensionId, Fingerprint, Format, GroupSemantics, HashFunction, IcePwd, IceUfrag, Media,
    MediaKind, Msid, Origin, Parameters, PayloadType, Rid, RidDirection, Simulcast, SimulcastId, Source,
    SourceAttribute, SsrcGroup, Text, Token, Word,
};
use plenary_transport::{Setup, Transport};

use super::codecs::{self, RoomCodec};
use super::{Numbers, Publishing, Purpose, Section, SlotSection};
use crate::{Kind, LAYERS_MAX};

/// What all sections of a description are written with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice<'v> {
    pub(crate) codecs: &'v [RoomCodec],
    pub(crate) cname: &'v str,
}

const PUBLISHED_AUDIO: &[&str] =
    &[MidElement::URI, AudioLevel::URI, TransportSequence::URI, AbsSendTime::URI, AbsCaptureTime::URI];
const PUBLISHED_VIDEO: &[&str] = &[
    MidElement::URI,
    RidElement::URI,
    RepairedRid::URI,
    TransportSequence::URI,
    AbsSendTime::URI,
    VideoOrientation::URI,
    dependency::URI,
    VideoLayersAllocation::URI,
    AbsCaptureTime::URI,
];
/// What slots write.
const SLOT_AUDIO: &[&str] = &[MidElement::URI, AudioLevel::URI];
const SLOT_VIDEO: &[&str] = &[MidElement::URI, VideoOrientation::URI, dependency::URI];

/// A section of our offer.
pub(super) fn offered(section: &Section, voice: &Voice<'_>, numbers: &Numbers) -> Media {
    match &section.purpose {
        Purpose::Free(media) => media.clone(),
        Purpose::Publish(it) => {
            let media = published(section, it, voice, numbers).into_media();
            if it.is_stopped { media.rejected() } else { media }
        }
        Purpose::Slot(it) => slot(section, it, voice, numbers).into_media(),
    }
}

fn published(section: &Section, it: &Publishing, voice: &Voice<'_>, numbers: &Numbers) -> RtpMedia {
    let kind = it.request.kind;
    let uris = if kind == Kind::Audio { PUBLISHED_AUDIO } else { PUBLISHED_VIDEO };
    let rid = |id: &plenary_sdp::RidId| Rid {
        id: id.clone(),
        direction: RidDirection::Recv,
        parameters: Parameters::empty(),
    };
    let streams = it.rids.iter().map(|id| vec![SimulcastId { rid: id.clone(), paused: false }]).collect();
    RtpMedia {
        kind: media_kind(kind),
        mid: section.mid.clone(),
        direction: Direction::RecvOnly,
        codecs: numbered(|codec| it.request.takes(codec), voice, numbers),
        extensions: extensions(uris, numbers),
        rids: it.rids.iter().map(rid).collect(),
        simulcast: Simulcast { send: Vec::new(), recv: streams },
        msids: Vec::new(),
        sources: Vec::new(),
        ssrc_groups: Vec::new(),
    }
}

fn slot(section: &Section, it: &SlotSection, voice: &Voice<'_>, numbers: &Numbers) -> RtpMedia {
    RtpMedia {
        kind: media_kind(it.kind),
        mid: section.mid.clone(),
        direction: Direction::SendOnly,
        codecs: numbered(|codec| codecs::kind(codec) == it.kind, voice, numbers),
        extensions: extensions(if it.kind == Kind::Audio { SLOT_AUDIO } else { SLOT_VIDEO }, numbers),
        rids: Vec::new(),
        simulcast: Simulcast::default(),
        msids: vec![it.msid(section)],
        sources: it.sources(voice.cname),
        ssrc_groups: it.group(),
    }
}

/// How a client's offer is answered: each section by what it is for, and others not at all.
pub(crate) fn answer_policy(
    sections: &[Section],
    voice: &Voice<'_>,
    origin: Origin,
    transport: LocalTransport,
) -> Policy {
    let own = |section: &Section| {
        let policy = match &section.purpose {
            Purpose::Publish(it) if !it.is_stopped => published_policy(it, voice),
            Purpose::Publish(_) | Purpose::Free(_) => return None,
            Purpose::Slot(it) => slot_policy(section, it, voice),
        };
        Some((section.mid.clone(), Some(policy)))
    };
    let sections = sections.iter().filter_map(own).collect();
    Policy { origin, transport, audio: None, video: None, data: None, sections }
}

fn published_policy(it: &Publishing, voice: &Voice<'_>) -> RtpPolicy {
    let kind = it.request.kind;
    let uris = if kind == Kind::Audio { PUBLISHED_AUDIO } else { PUBLISHED_VIDEO };
    RtpPolicy {
        direction: Direction::RecvOnly,
        codecs: local_codecs(|codec| it.request.takes(codec), voice),
        order: CodecOrder::Local,
        extensions: local_extensions(uris),
        receive_streams_max: LAYERS_MAX,
        send_streams_max: 0,
        msids: Vec::new(),
        sources: Vec::new(),
        ssrc_groups: Vec::new(),
    }
}

fn slot_policy(section: &Section, it: &SlotSection, voice: &Voice<'_>) -> RtpPolicy {
    let uris = if it.kind == Kind::Audio { SLOT_AUDIO } else { SLOT_VIDEO };
    RtpPolicy {
        direction: Direction::SendOnly,
        codecs: local_codecs(|codec| codecs::kind(codec) == it.kind, voice),
        order: CodecOrder::Local,
        extensions: local_extensions(uris),
        receive_streams_max: 0,
        send_streams_max: 0,
        msids: vec![it.msid(section)],
        sources: it.sources(voice.cname),
        ssrc_groups: it.group(),
    }
}

impl SlotSection {
    fn msid(&self, section: &Section) -> Msid {
        Msid { stream: Some(word(&format!("s{}", self.pair))), track: Some(word(section.mid.as_str())) }
    }

    fn ssrcs(&self) -> Vec<u32> {
        [Some(self.ssrc), self.rtx_ssrc].into_iter().flatten().map(|ssrc| ssrc.0).collect()
    }

    fn sources(&self, cname: &str) -> Vec<Source> {
        let line = |ssrc| Source { ssrc, attribute: SourceAttribute::Cname(text(cname)) };
        self.ssrcs().into_iter().map(line).collect()
    }

    fn group(&self) -> Vec<SsrcGroup> {
        let group = self.rtx_ssrc.map(|_| SsrcGroup { semantics: GroupSemantics::Fid, ssrcs: self.ssrcs() });
        group.into_iter().collect()
    }
}

fn local_codecs(takes: impl Fn(payload::Codec) -> bool, voice: &Voice<'_>) -> Vec<LocalCodec> {
    voice.codecs.iter().filter(|it| takes(it.codec)).map(RoomCodec::local).collect()
}

/// The room's codecs with this transport's numbers, retransmissions behind each.
fn numbered(takes: impl Fn(payload::Codec) -> bool, voice: &Voice<'_>, numbers: &Numbers) -> Vec<Codec> {
    let payload_type = |number| PayloadType::new(number).expect("the table is of payload types");
    let mut numbered = Vec::new();
    for it in voice.codecs.iter().filter(|it| takes(it.codec)) {
        let (media, rtx) = numbers.payload_types(it.codec);
        let LocalCodec { format, parameters, feedback, .. } = it.local();
        let clock_rate = format.clock_rate;
        numbered.push(Codec { payload_type: payload_type(media), format, parameters, feedback });
        numbered.extend(rtx.map(|rtx| Codec {
            payload_type: payload_type(rtx),
            format: Format { encoding: token("rtx"), clock_rate, channels: None },
            parameters: Parameters::new(&format!("apt={media}")).expect("a number is a text"),
            feedback: Vec::new(),
        }));
    }
    numbered
}

fn extensions(uris: &[&str], numbers: &Numbers) -> Vec<ExtMap> {
    let map = |uri: &&str| {
        let id = ExtensionId::new(numbers.extension(uri)?).ok()?;
        Some(ExtMap { id, direction: None, uri: word(uri), attributes: None })
    };
    uris.iter().filter_map(map).collect()
}

fn local_extensions(uris: &[&str]) -> Vec<LocalExtension> {
    // Who sends media sends them: the section's direction says the rest.
    uris.iter().map(|uri| LocalExtension { uri: word(uri), direction: Direction::SendRecv }).collect()
}

/// Our side of the transport, with all its candidates.
pub(crate) fn local_transport(transport: &Transport) -> LocalTransport {
    let parameters = transport.local_parameters();
    let line = |candidate: plenary_ice::Candidate| {
        let line = candidate.to_string();
        text(line.strip_prefix("candidate:").unwrap_or(&line))
    };
    let options = [("ice2", true), ("trickle", parameters.ice.trickle), ("renomination", parameters.ice.renomination)];
    LocalTransport {
        ufrag: IceUfrag::new(parameters.ice.credentials.ufrag()).expect("ICE draws ice-chars"),
        pwd: IcePwd::new(parameters.ice.credentials.password()).expect("ICE draws ice-chars"),
        ice_lite: parameters.ice.lite,
        ice_options: options.iter().filter(|(_, has)| *has).map(|(name, _)| token(name)).collect(),
        fingerprints: parameters.fingerprints.iter().map(fingerprint).collect(),
        // Who may choose waits: with DTLS 1.2 it is the server that has its choice of the SRTP profile.
        preferred_role: if parameters.setup == Setup::Active { DtlsRole::Client } else { DtlsRole::Server },
        candidates: transport.ice().local_candidates().into_iter().map(line).collect(),
        end_of_candidates: true,
        in_every_section: true,
    }
}

fn fingerprint(it: &plenary_transport::Fingerprint) -> Fingerprint {
    let hash = match it.hash() {
        plenary_transport::HashFunction::Sha256 => HashFunction::Sha256,
        plenary_transport::HashFunction::Sha384 => HashFunction::Sha384,
        plenary_transport::HashFunction::Sha512 => HashFunction::Sha512,
    };
    Fingerprint::new(hash, it.bytes()).expect("it is as long as its hash function says")
}

const fn media_kind(kind: Kind) -> MediaKind {
    match kind {
        Kind::Audio => MediaKind::Audio,
        Kind::Video => MediaKind::Video,
    }
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
