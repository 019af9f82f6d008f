//! A client that speaks SDP: `plenary-sdp` answers for it.

use std::collections::BTreeMap;
use std::time::Instant;

use plenary_ice::{Candidate, Credentials};
use plenary_sdp::offer_answer::{
    Answer, CodecOrder, DtlsRole, LocalCodec, LocalExtension, LocalTransport, Negotiated, Policy, RtpMedia, RtpPolicy,
    Section, answer, apply_answer, offer,
};
use plenary_sdp::{
    Codec, Description, Direction, ExtMap, ExtensionId, Fingerprint, HashFunction, IcePwd, IceUfrag, Limits, Media,
    MediaKind, Mid, Origin, PayloadType, Rid, Simulcast, Text, Token, Word,
};
use plenary_sfu_core::{Answered, Event, Kind, PublishRequest, RoomConfig, SessionId, TransportId};
use plenary_transport::{Parameters, Setup, Transport};

use crate::lab::Lab;

/// A page with a camera and a microphone.
pub(super) struct Page {
    /// Its number in the laboratory.
    pub(super) number: usize,
    pub(super) session: SessionId,
    pub(super) transport: TransportId,
    /// What it takes.
    pub(super) codecs: Vec<LocalCodec>,
    /// Its first payload type of video, where it offers.
    pub(super) payload_types_from: u8,
    /// What it sends in sections that ask for it.
    pub(super) sends: bool,
    /// The answer of last time, as it understands it.
    pub(super) negotiated: Option<Negotiated>,
    /// Offers that it has seen.
    pub(super) offers: Vec<(u64, String)>,
}

const EXTENSIONS: [&str; 7] = [
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "urn:3gpp:video-orientation",
];

pub(super) const OPUS: (&str, &str) = ("opus/48000/2", "minptime=10;useinbandfec=1");
pub(super) const VP8: (&str, &str) = ("VP8/90000", "");
pub(super) const H264: (&str, &str) =
    ("H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f");

impl Page {
    pub(super) fn enter(lab: &mut Lab) -> Self {
        Self::with(lab, &[OPUS, VP8])
    }

    pub(super) fn with(lab: &mut Lab, codecs: &[(&str, &str)]) -> Self {
        let number = lab.enter();
        Self::of(lab, number, codecs)
    }

    /// The same one over another transport.
    pub(super) fn again(&self, lab: &mut Lab) -> Self {
        let number = lab.enter_again(self.session);
        Self::of(lab, number, &[OPUS, VP8])
    }

    fn of(lab: &Lab, number: usize, codecs: &[(&str, &str)]) -> Self {
        let local = |(format, parameters): &(&str, &str)| {
            let is_audio = format.starts_with("opus");
            let make = if is_audio { LocalCodec::audio } else { LocalCodec::video };
            make(format, parameters).unwrap()
        };
        let codecs = codecs.iter().map(local).collect();
        let (session, transport) = (lab.clients[number].session, lab.clients[number].id);
        Self {
            number,
            session,
            transport,
            codecs,
            payload_types_from: 96,
            sends: true,
            negotiated: None,
            offers: Vec::new(),
        }
    }

    /// The newest offer for this page, if there is one that it has not seen.
    pub(super) fn offer(&mut self, lab: &mut Lab) -> Option<(u64, String)> {
        while let Some(event) = lab.sfu.poll_event() {
            lab.events.push(event);
        }
        let mut offers = lab.events.iter().filter_map(|event| match event {
            Event::Offer { transport, version, sdp } if *transport == self.transport => Some((*version, sdp.clone())),
            _ => None,
        });
        let last = offers.next_back()?;
        let is_new = self.offers.last().is_none_or(|(version, _)| *version < last.0);
        self.offers.extend(is_new.then(|| last.clone()));
        is_new.then_some(last)
    }

    /// Answers the next offer, and the engine takes the answer.
    pub(super) fn settle(&mut self, lab: &mut Lab) -> Option<u64> {
        let (version, offer) = self.offer(lab)?;
        let answer = self.answer(lab, &offer);
        let taken = lab.sfu.handle_answer(self.transport, version, &answer, lab.now).expect(&answer);
        assert_eq!(taken, Answered::Applied);
        self.drain(lab);
        Some(version)
    }

    /// Lets the events come in.
    pub(super) fn drain(&self, lab: &mut Lab) {
        while let Some(event) = lab.sfu.poll_event() {
            lab.events.push(event);
        }
    }

    /// Answers an offer, and takes the engine's side of the transport.
    pub(super) fn answer(&mut self, lab: &mut Lab, offer: &str) -> String {
        let offer = Description::parse(offer, &Limits::default()).unwrap();
        let now = lab.now;
        let transport = &mut lab.clients[self.number].transport;
        let Answer { negotiated, .. } = answer(&offer, &self.policy(transport));
        if let Some(agreed) = &negotiated.transport {
            take_remote(transport, agreed, now);
        }
        // With the credentials of now: the offer may have restarted ICE.
        let Answer { description, .. } = answer(&offer, &self.policy(transport));
        self.negotiated = Some(negotiated);
        description.to_string()
    }

    fn policy(&self, transport: &Transport) -> Policy {
        let of_kind = |audio: bool| -> Vec<LocalCodec> {
            let is_audio = |codec: &LocalCodec| codec.format.encoding.as_str() == "opus";
            self.codecs.iter().filter(|codec| is_audio(codec) == audio).cloned().collect()
        };
        let direction = if self.sends { Direction::SendRecv } else { Direction::RecvOnly };
        let extension = |uri: &&str| LocalExtension { uri: Word::new(uri).unwrap(), direction: Direction::SendRecv };
        let rtp = |audio: bool| RtpPolicy {
            direction,
            codecs: of_kind(audio),
            order: CodecOrder::Offer,
            extensions: EXTENSIONS.iter().map(extension).collect(),
            receive_streams_max: 0,
            send_streams_max: 3,
            msids: Vec::new(),
            sources: Vec::new(),
            ssrc_groups: Vec::new(),
        };
        Policy {
            origin: Origin::new(7),
            transport: local_transport(transport),
            audio: Some(rtp(true)),
            video: Some(rtp(false)),
            data: None,
            sections: BTreeMap::new(),
        }
    }

    /// Offers what there is, and sections for more; restarts ICE first, if it is to.
    pub(super) fn make_offer(&mut self, lab: &mut Lab, more: &[(Kind, Direction)], restarts: bool) -> String {
        let transport = &mut lab.clients[self.number].transport;
        if restarts {
            transport.restart(lab.now);
        }
        let last = self.offers.last().map(|(_, text)| Description::parse(text, &Limits::default()).unwrap());
        let known = last.iter().flat_map(|last| &last.media);
        let mut media: Vec<Media> = known.map(|media| mirrored(media, last.as_ref().unwrap())).collect();
        for (kind, direction) in more {
            let mid = Mid::new(&media.len().to_string()).unwrap();
            media.push(section(*kind, mid, *direction, (&self.codecs, self.payload_types_from)));
        }
        offer(Origin::new(7), &local_transport(transport), media).to_string()
    }

    /// Takes the engine's answer to an offer of its own.
    pub(super) fn take_answer(&mut self, lab: &mut Lab, offer: &str, answer: &str) {
        let [offered, answered] = [offer, answer].map(|text| Description::parse(text, &Limits::default()).unwrap());
        let negotiated = apply_answer(&offered, &answered).unwrap();
        let now = lab.now;
        if let Some(agreed) = &negotiated.transport {
            take_remote(&mut lab.clients[self.number].transport, agreed, now);
        }
        self.negotiated = Some(negotiated);
        // What holds is kept as if the engine had offered it.
        let version = self.offers.last().map_or(0, |(version, _)| *version);
        self.offers.push((version, mirror_of(&offered).to_string()));
    }

    /// MIDs of the sections that it sends in.
    pub(super) fn sending(&self) -> Vec<String> {
        let sections = self.negotiated.iter().flat_map(|agreed| &agreed.sections);
        let sends = sections.filter_map(|section| match section {
            Section::Rtp(it) if it.direction.sends() => it.mid.as_ref(),
            _ => None,
        });
        sends.map(|mid| mid.as_str().to_owned()).collect()
    }
}

pub(super) fn local_transport(transport: &Transport) -> LocalTransport {
    let parameters = transport.local_parameters();
    LocalTransport {
        ufrag: IceUfrag::new(parameters.ice.credentials.ufrag()).unwrap(),
        pwd: IcePwd::new(parameters.ice.credentials.password()).unwrap(),
        ice_lite: false,
        ice_options: vec![Token::new("trickle").unwrap()],
        fingerprints: vec![Fingerprint::new(HashFunction::Sha256, parameters.fingerprints[0].bytes()).unwrap()],
        preferred_role: DtlsRole::Client,
        candidates: transport
            .ice()
            .local_candidates()
            .iter()
            .map(|it| Text::new(it.to_string().trim_start_matches("candidate:")).unwrap())
            .collect(),
        end_of_candidates: false,
        in_every_section: true,
    }
}

pub(super) fn take_remote(
    transport: &mut Transport,
    agreed: &plenary_sdp::offer_answer::NegotiatedTransport,
    now: Instant,
) {
    let remote = &agreed.remote;
    let (ufrag, pwd) = (remote.ufrag.as_ref().unwrap().as_str(), remote.pwd.as_ref().unwrap().as_str());
    let mut ice = plenary_ice::Parameters::new(Credentials::new(ufrag, pwd).unwrap());
    ice.lite = remote.ice_lite;
    let fingerprints =
        remote.fingerprints.iter().map(|it| plenary_transport::Fingerprint::parse(&it.to_string()).unwrap()).collect();
    let setup = if agreed.role == DtlsRole::Client { Setup::Passive } else { Setup::Active };
    transport.set_remote(Parameters { ice, fingerprints, setup, data: None }, now).unwrap();
    for candidate in &remote.candidates {
        transport.add_remote_candidate(Candidate::parse(&format!("candidate:{candidate}")).unwrap(), now);
    }
}

/// A section of the engine's, as the page offers it again.
fn mirrored(media: &Media, description: &Description) -> Media {
    if media.is_rejected() {
        return media.clone();
    }
    let simulcast = media.simulcast().unwrap_or_default();
    RtpMedia {
        kind: media.kind.clone(),
        mid: media.mid().unwrap().clone(),
        direction: description.direction(media).reversed(),
        codecs: media.codecs(),
        extensions: media.extensions().cloned().collect(),
        rids: media.rids().map(|rid| Rid { direction: rid.direction.reversed(), ..rid.clone() }).collect(),
        simulcast: Simulcast { send: simulcast.recv, recv: simulcast.send },
        msids: Vec::new(),
        sources: Vec::new(),
        ssrc_groups: Vec::new(),
    }
    .into_media()
}

fn mirror_of(description: &Description) -> Description {
    let media = description.media.iter().map(|media| mirrored(media, description)).collect();
    Description { media, ..description.clone() }
}

/// A section that the page adds, with numbers of its own.
fn section(kind: Kind, mid: Mid, direction: Direction, (codecs, first): (&[LocalCodec], u8)) -> Media {
    let audio = kind == Kind::Audio;
    let is_of_kind = |codec: &&LocalCodec| (codec.format.encoding.as_str() == "opus") == audio;
    let numbered =
        codecs.iter().filter(is_of_kind).zip((if audio { 111 } else { first })..).map(|(codec, number)| Codec {
            payload_type: PayloadType::new(number).unwrap(),
            format: codec.format.clone(),
            parameters: codec.parameters.clone(),
            feedback: codec.feedback.clone(),
        });
    let extension = ExtMap {
        id: ExtensionId::new(3).unwrap(),
        direction: None,
        uri: Word::new(EXTENSIONS[0]).unwrap(),
        attributes: None,
    };
    RtpMedia {
        kind: if audio { MediaKind::Audio } else { MediaKind::Video },
        mid,
        direction,
        codecs: numbered.collect(),
        extensions: vec![extension],
        rids: Vec::new(),
        simulcast: Simulcast::default(),
        msids: Vec::new(),
        sources: Vec::new(),
        ssrc_groups: Vec::new(),
    }
    .into_media()
}

pub(super) fn camera() -> PublishRequest {
    PublishRequest { kind: Kind::Video, simulcast: true, opaque: false, stream: "camera".into(), codecs: Vec::new() }
}

pub(super) fn microphone() -> PublishRequest {
    PublishRequest { kind: Kind::Audio, simulcast: false, opaque: false, stream: "camera".into(), codecs: Vec::new() }
}

/// A room of these codecs.
pub(super) fn room(codecs: &[plenary_rtp::payload::Codec]) -> RoomConfig {
    RoomConfig { codecs: codecs.iter().map(|codec| (*codec).into()).collect() }
}
