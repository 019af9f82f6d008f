//! From what both descriptions agree on to what the engine does.

use plenary_ice::{Candidate, Credentials};
use plenary_rtp::Ssrc;
use plenary_sdp::offer_answer::{DtlsRole, Negotiated, NegotiatedTransport, RtpSection, Section as Agreed};
use plenary_sdp::{GroupSemantics, IcePwd, IceUfrag};
use plenary_transport::{Fingerprint, Parameters, Setup};

use super::codecs;
use super::{NegotiationError, Publishing, Purpose, RoomCodec, Section};
use crate::{Extensions, Format, Kind, LAYERS_MAX, LayerConfig, Publication};

/// What holds from now on.
#[derive(Debug)]
pub(crate) struct Agreement {
    /// The client's side of the transport; `None` if every section was rejected.
    pub(crate) peer: Option<Peer>,
    /// Ids of header extensions that the client sends.
    pub(crate) received: Extensions,
    /// Those that it takes.
    pub(crate) sent: Extensions,
    /// For each section.
    pub(crate) outcomes: Vec<Outcome>,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) parameters: Parameters,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) end_of_candidates: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The client publishes; `None`: nothing for now.
    Publish(Option<Publication>),
    /// What the client takes in the slot; nothing if it receives nothing there for now.
    Slot(Vec<Format>),
    /// It was rejected, or is over.
    Free,
}

impl Agreement {
    pub(crate) fn new(sections: &[Section], negotiated: &Negotiated) -> Result<Self, NegotiationError> {
        let (mut received, mut sent) = (Extensions::default(), Extensions::default());
        let mut outcomes = Vec::with_capacity(sections.len());
        for (section, agreed) in sections.iter().zip(&negotiated.sections) {
            let outcome = match (&section.purpose, agreed) {
                (Purpose::Publish(it), Agreed::Rtp(agreed)) => {
                    note(&mut received, agreed, false);
                    let is_live = agreed.direction.receives() && !it.is_stopped;
                    Outcome::Publish(is_live.then(|| publication(section, it, agreed)).flatten())
                }
                (Purpose::Slot(_), Agreed::Rtp(agreed)) => {
                    note(&mut sent, agreed, true);
                    Outcome::Slot(if agreed.direction.sends() { formats(agreed) } else { Vec::new() })
                }
                _ => Outcome::Free,
            };
            outcomes.push(outcome);
        }
        let peer = negotiated.transport.as_ref().map(Peer::new).transpose()?;
        Ok(Self { peer, received, sent, outcomes })
    }
}

/// RFC 9143 §9.1.2: within the group an id means the same in all sections.
fn note(extensions: &mut Extensions, agreed: &RtpSection, sends: bool) {
    for one in &agreed.extensions {
        if if sends { one.direction.sends() } else { one.direction.receives() } {
            extensions.set(one.uri.as_str(), one.id.number());
        }
    }
}

fn publication(section: &Section, it: &Publishing, agreed: &RtpSection) -> Option<Publication> {
    let (codec, known) = agreed.codecs.iter().find_map(|known| Some((codecs::of_format(&known.format)?, known)))?;
    // Of alternatives the first is preferred (RFC 8853 §5.2).
    let rids = agreed.simulcast.recv.iter().filter_map(|alternatives| alternatives.first());
    let of_rid =
        |rid: &plenary_sdp::RidId| LayerConfig { rid: Some(rid.as_str().to_owned()), ssrc: None, rtx_ssrc: None };
    let mut layers: Vec<_> = rids.map(|one| of_rid(&one.rid)).take(LAYERS_MAX).collect();
    if layers.is_empty() {
        layers.push(signalled(agreed));
    }
    Some(Publication {
        kind: it.request.kind,
        mid: section.mid.as_str().to_owned(),
        codec,
        payload_type: known.payload_type.number(),
        rtx_payload_type: known.rtx.map(|rtx| rtx.number()),
        others: formats(agreed).into_iter().filter(|other| other.codec != codec).collect(),
        nack: it.request.kind == Kind::Video && RoomCodec::asks_again(&known.feedback),
        opaque: it.request.opaque,
        stream: it.request.stream.clone(),
        layers,
    })
}

/// The SSRCs of the only encoding, if the client says them; else its packets do.
fn signalled(agreed: &RtpSection) -> LayerConfig {
    let is_fid = |group: &&plenary_sdp::SsrcGroup| group.semantics == GroupSemantics::Fid;
    let pair = agreed.remote_ssrc_groups.iter().find(is_fid).map(|group| &group.ssrcs[..]);
    let (ssrc, rtx) = match pair {
        Some([ssrc, rtx, ..]) => (Some(*ssrc), Some(*rtx)),
        _ => (agreed.remote_sources.first().map(|source| source.ssrc), None),
    };
    LayerConfig { rid: None, ssrc: ssrc.map(Ssrc), rtx_ssrc: rtx.map(Ssrc) }
}

fn formats(agreed: &RtpSection) -> Vec<Format> {
    let format = |known: &plenary_sdp::offer_answer::NegotiatedCodec| {
        let codec = codecs::of_format(&known.format)?;
        let rtx_payload_type = known.rtx.map(|rtx| rtx.number());
        Some(Format { codec, payload_type: known.payload_type.number(), rtx_payload_type })
    };
    agreed.codecs.iter().filter_map(format).collect()
}

impl Peer {
    fn new(agreed: &NegotiatedTransport) -> Result<Self, NegotiationError> {
        let remote = &agreed.remote;
        let ufrag = remote.ufrag.as_ref().map_or("", IceUfrag::as_str);
        let password = remote.pwd.as_ref().map_or("", IcePwd::as_str);
        let credentials = Credentials::new(ufrag, password).map_err(|_| NegotiationError::Credentials)?;
        let mut ice = plenary_ice::Parameters::new(credentials);
        let has = |name: &str| remote.ice_options.iter().any(|option| *option == name);
        (ice.lite, ice.renomination, ice.trickle) = (remote.ice_lite, has("renomination"), has("trickle"));
        // Those of hash functions that are too weak say nothing.
        let fingerprints = remote.fingerprints.iter().filter_map(|it| Fingerprint::parse(&it.to_string()).ok());
        // The roles are settled: what the peer is said to be is what it becomes.
        let setup = if agreed.role == DtlsRole::Server { Setup::Active } else { Setup::Passive };
        let parameters = Parameters { ice, fingerprints: fingerprints.collect(), setup, data: None };
        // One that is malformed, or of a kind that is not used, is passed over: others may work.
        let candidates = remote.candidates.iter().filter_map(|it| Candidate::parse(&format!("candidate:{it}")).ok());
        Ok(Self { parameters, candidates: candidates.collect(), end_of_candidates: remote.end_of_candidates })
    }
}
