//! Answers to the server's offers.

use std::collections::BTreeMap;
use std::time::Instant;

use plenary_ice::{Candidate, Credentials};
use plenary_sdp::offer_answer::{
    Answer, CodecOrder, DtlsRole, LocalCodec, LocalExtension, LocalTransport, NegotiatedTransport, Policy, RtpPolicy,
    RtpSection, Section, answer,
};
use plenary_sdp::{
    Description, Direction, Fingerprint, HashFunction, IcePwd, IceUfrag, Limits, Mid, Origin, Source, SourceAttribute,
    Text, Token, Word,
};
use plenary_transport::{Parameters, Setup, Transport};

use crate::failure::Failure;

pub(crate) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// The section that we send in, and with which source.
pub(crate) struct Sending {
    pub(crate) mid: String,
    pub(crate) ssrc: u32,
}

/// Answers an offer, takes the server's side of the transport, and tells the sections.
pub(crate) fn take_offer(
    text: &str,
    sending: Option<&Sending>,
    origin: &Origin,
    transport: &mut Transport,
    now: Instant,
) -> Result<(String, Vec<RtpSection>), Failure> {
    let offer = Description::parse(text, &Limits::default())?;
    let policy = policy(sending, origin, transport)?;
    let Answer { description, negotiated } = answer(&offer, &policy);
    let agreed = negotiated.transport.as_ref().ok_or(Failure::Offer("nothing in common"))?;
    take_remote(transport, agreed, now)?;
    let sections = negotiated.sections.into_iter().filter_map(|section| match section {
        Section::Rtp(section) => Some(section),
        _ => None,
    });
    Ok((description.to_string(), sections.collect()))
}

fn policy(sending: Option<&Sending>, origin: &Origin, transport: &Transport) -> Result<Policy, Failure> {
    let rtp = |codec: LocalCodec| RtpPolicy {
        direction: Direction::RecvOnly,
        codecs: vec![codec],
        order: CodecOrder::Offer,
        extensions: vec![LocalExtension {
            uri: Word::new(MID).expect("it has no spaces"),
            direction: Direction::SendRecv,
        }],
        receive_streams_max: 0,
        send_streams_max: 0,
        msids: Vec::new(),
        sources: Vec::new(),
        ssrc_groups: Vec::new(),
    };
    let audio = rtp(LocalCodec::audio("opus/48000/2", "minptime=10;useinbandfec=1")?);
    let video = rtp(LocalCodec::video("VP8/90000", "")?);
    let mut sections = BTreeMap::new();
    if let Some(Sending { mid, ssrc }) = sending {
        let cname = SourceAttribute::Cname(Text::new("plenary-load").expect("it is one line"));
        let both = RtpPolicy {
            direction: Direction::SendOnly,
            codecs: [&audio, &video].into_iter().flat_map(|it| it.codecs.clone()).collect(),
            sources: vec![Source { ssrc: *ssrc, attribute: cname }],
            ..video.clone()
        };
        sections.insert(Mid::new(mid).map_err(|_| Failure::Offer("a MID that is none"))?, Some(both));
    }
    let transport = local_transport(transport);
    Ok(Policy { origin: origin.clone(), transport, audio: Some(audio), video: Some(video), data: None, sections })
}

fn local_transport(transport: &Transport) -> LocalTransport {
    let parameters = transport.local_parameters();
    let line = |candidate: Candidate| {
        Text::new(candidate.to_string().trim_start_matches("candidate:")).expect("it is one line")
    };
    let fingerprint = |it: &plenary_transport::Fingerprint| {
        Fingerprint::new(HashFunction::Sha256, it.bytes()).expect("SHA-256 is what is said")
    };
    LocalTransport {
        ufrag: IceUfrag::new(parameters.ice.credentials.ufrag()).expect("ICE draws ice-chars"),
        pwd: IcePwd::new(parameters.ice.credentials.password()).expect("ICE draws ice-chars"),
        ice_lite: false,
        ice_options: vec![Token::new("ice2").expect("it is a token")],
        fingerprints: parameters.fingerprints.iter().map(fingerprint).collect(),
        preferred_role: DtlsRole::Client,
        candidates: transport.ice().local_candidates().into_iter().map(line).collect(),
        end_of_candidates: true,
        in_every_section: true,
    }
}

fn take_remote(transport: &mut Transport, agreed: &NegotiatedTransport, now: Instant) -> Result<(), Failure> {
    let remote = &agreed.remote;
    let ufrag = remote.ufrag.as_ref().map(IceUfrag::as_str).unwrap_or_default();
    let pwd = remote.pwd.as_ref().map(IcePwd::as_str).unwrap_or_default();
    let credentials = Credentials::new(ufrag, pwd).map_err(|_| Failure::Offer("no ICE credentials"))?;
    let mut ice = plenary_ice::Parameters::new(credentials);
    ice.lite = remote.ice_lite;
    let fingerprint = |it: &Fingerprint| plenary_transport::Fingerprint::parse(&it.to_string()).ok();
    let fingerprints = remote.fingerprints.iter().filter_map(fingerprint).collect();
    let setup = if agreed.role == DtlsRole::Client { Setup::Passive } else { Setup::Active };
    transport
        .set_remote(Parameters { ice, fingerprints, setup, data: None }, now)
        .map_err(|_| Failure::Offer("the transport can't be taken"))?;
    for candidate in &remote.candidates {
        // One of a kind that is not used is passed over.
        if let Ok(candidate) = Candidate::parse(&format!("candidate:{candidate}")) {
            transport.add_remote_candidate(candidate, now);
        }
    }
    Ok(())
}
