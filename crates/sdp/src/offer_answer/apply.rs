use std::collections::BTreeSet;

use thiserror::Error as ThisError;

use crate::{Attribute, Codec, Description, Direction, Group, Media, MediaKind, Mid, Protocol, Rid, Setup, Simulcast};

use super::bundle::{group_order, is_rejected, transport_of};
use super::matching::{agree, has_media, may_carry, negotiated, retransmissions};
use super::{
    DataSection, DtlsRole, Negotiated, NegotiatedCodec, NegotiatedExtension, NegotiatedTransport, Rejection,
    RtpSection, Section,
};

/// Why an answer does not fit the offer: nothing of it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[error("media section {section} of the answer: {fault}")]
pub struct AnswerError {
    /// Counted from 0. The number of the first that is missing or too many, for [`AnswerFault::SectionCount`].
    pub section: usize,
    /// What is wrong.
    pub fault: AnswerFault,
}

/// What is wrong with a section of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum AnswerFault {
    /// RFC 3264 §6: the answer has as many sections as the offer.
    #[error("the answer has another number of them than the offer")]
    SectionCount,
    /// RFC 3264 §6: in the same places.
    #[error("another kind of media or another protocol than offered")]
    Kind,
    /// RFC 8829 §5.3.1: with the same names.
    #[error("another a=mid than offered")]
    Mid,
    /// RFC 3264 §6: what is offered with port 0 is answered with it.
    #[error("it was offered as rejected")]
    Revived,
    /// RFC 9143 §7.3: the group has only what was offered in it, and what is accepted is in it.
    #[error("not as offered in the BUNDLE group")]
    Bundle,
    /// RFC 5761 §5.1.1: without it RTCP would come to another port.
    #[error("RTP and RTCP are not on one port")]
    RtcpMux,
    /// RFC 3264 §6.1: who was offered to send only is not sent to, and so on.
    #[error("a direction that was not offered")]
    Direction,
    /// None of the answered codecs was offered.
    #[error("no codec that was offered")]
    NoCommonCodec,
    /// RFC 3264 §6.1: a payload type that was offered stands for the same codec.
    #[error("a payload type stands for another codec than offered")]
    PayloadType,
    /// RFC 8285 §7: an id and its header extension are as offered.
    #[error("a header extension that was not offered so")]
    Extension,
    /// RFC 8851 §6.4: the encodings are among the offered, in the other direction.
    #[error("an a=rid that was not offered so")]
    Rid,
    /// RFC 8841 §10: what was offered as data channels is answered as them.
    #[error("no data channel where one was offered")]
    DataChannel,
    /// There are no ICE credentials, or no fingerprint.
    #[error("the transport is not complete")]
    Transport,
    /// RFC 8842 §5.3: the answer to actpass is active or passive, to active passive, to passive active.
    #[error("a=setup does not fit the offer")]
    Setup,
}

/// Takes the other side's answer to an offer of ours.
///
/// Payload types that were not offered are passed over (RFC 3264 §6.1 allows them, and we can't send them), as are
/// codecs that come back in another configuration than was offered.
///
/// # Errors
///
/// [`AnswerError`] if the answer breaks a rule: what was agreed before the offer still holds.
pub fn apply_answer(offer: &Description, answer: &Description) -> Result<Negotiated, AnswerError> {
    if offer.media.len() != answer.media.len() {
        let section = offer.media.len().min(answer.media.len());
        return Err(AnswerError { section, fault: AnswerFault::SectionCount });
    }
    let groups = Groups::new(offer.bundle(), answer.bundle());
    let mut sections = Vec::with_capacity(offer.media.len());
    let mut is_first = true;
    for (index, pair) in offer.media.iter().zip(&answer.media).enumerate() {
        let fail = |fault| AnswerError { section: index, fault };
        let section = apply_section((offer, pair.0), (answer, pair.1)).map_err(fail)?;
        if !matches!(section, Section::Rejected(_)) {
            groups.check(pair.1.mid(), is_first).map_err(fail)?;
            is_first = false;
        }
        sections.push(section);
    }
    groups.check_names().map_err(|fault| AnswerError { section: 0, fault })?;
    let order = group_order(answer, &sections);
    let transport = match order.first() {
        Some(&section) => Some(apply_transport(offer, answer, &order).map_err(|fault| AnswerError { section, fault })?),
        None => None,
    };
    Ok(Negotiated { transport, sections })
}

/// The BUNDLE groups of both sides.
struct Groups<'a> {
    offered: Option<BTreeSet<&'a Mid>>,
    answered: Option<BTreeSet<&'a Mid>>,
}

impl<'a> Groups<'a> {
    fn new(offered: Option<&'a Group>, answered: Option<&'a Group>) -> Self {
        let set = |group: Option<&'a Group>| group.map(|group| group.mids.iter().collect());
        Self { offered: set(offered), answered: set(answered) }
    }

    fn check_names(&self) -> Result<(), AnswerFault> {
        match (&self.offered, &self.answered) {
            (_, None) => Ok(()),
            (Some(offered), Some(answered)) if answered.is_subset(offered) => Ok(()),
            (_, Some(_)) => Err(AnswerFault::Bundle),
        }
    }

    /// Whether an accepted section may be accepted: all share one transport.
    fn check(&self, mid: Option<&Mid>, is_first: bool) -> Result<(), AnswerFault> {
        let fits = match &self.answered {
            Some(answered) => mid.is_some_and(|mid| answered.contains(mid)),
            None => is_first,
        };
        if fits { Ok(()) } else { Err(AnswerFault::Bundle) }
    }
}

fn apply_section(
    (offer, offered): (&Description, &Media),
    (answer, answered): (&Description, &Media),
) -> Result<Section, AnswerFault> {
    if offered.kind != answered.kind || offered.protocol != answered.protocol {
        return Err(AnswerFault::Kind);
    }
    let has_rejected = is_rejected(answer, answered);
    // Rejected sections of old implementations come back without a name.
    let is_named = offered.mid() == answered.mid() || (has_rejected && answered.mid().is_none());
    if !is_named {
        return Err(AnswerFault::Mid);
    }
    if is_rejected(offer, offered) {
        return if has_rejected { Ok(Section::Rejected(Rejection::ByOffer)) } else { Err(AnswerFault::Revived) };
    }
    if has_rejected {
        return Ok(Section::Rejected(Rejection::ByAnswer));
    }
    if let (MediaKind::Application, Protocol::Sctp(_)) = (&answered.kind, &answered.protocol) {
        let channel = answered.data_channel().ok_or(AnswerFault::DataChannel)?;
        return Ok(Section::Data(DataSection {
            mid: offered.mid().cloned(),
            remote_sctp_port: channel.sctp_port,
            remote_max_message_size: channel.max_message_size,
        }));
    }
    apply_rtp((offer, offered), (answer, answered)).map(Section::Rtp)
}

fn apply_rtp(
    (offer, offered): (&Description, &Media),
    (answer, answered): (&Description, &Media),
) -> Result<RtpSection, AnswerFault> {
    if !answered.has(&Attribute::RtcpMux) {
        return Err(AnswerFault::RtcpMux);
    }
    let ours = offer.direction(offered);
    let direction = answer.direction(answered).reversed();
    if direction != direction.and(ours) {
        return Err(AnswerFault::Direction);
    }
    let codecs = apply_codecs(&offered.codecs(), &answered.codecs())?;
    let extensions = apply_extensions((offer, offered), (answer, answered))?;
    let (rids, simulcast) = apply_simulcast(offered, answered)?;
    Ok(RtpSection {
        mid: offered.mid().cloned(),
        kind: offered.kind.clone(),
        direction,
        codecs,
        extensions,
        mixed_extensions: offer.allows_mixed_extensions(offered) && answer.allows_mixed_extensions(answered),
        reduced_size: offered.has(&Attribute::RtcpRsize) && answered.has(&Attribute::RtcpRsize),
        rids,
        simulcast,
        remote_msids: answered.msids().cloned().collect(),
        remote_sources: answered.sources().cloned().collect(),
        remote_ssrc_groups: answered.ssrc_groups().cloned().collect(),
        remote_bandwidths: answered.bandwidths.clone(),
    })
}

fn apply_codecs(offered: &[Codec], answered: &[Codec]) -> Result<Vec<NegotiatedCodec>, AnswerFault> {
    let mut kept: Vec<NegotiatedCodec> = Vec::new();
    let find = |codec: &Codec| offered.iter().find(|ours| ours.payload_type == codec.payload_type);
    for codec in answered {
        let Some(ours) = find(codec) else { continue };
        if !ours.format.is_same(&codec.format) {
            return Err(AnswerFault::PayloadType);
        }
        if codec.is("rtx") || codec.payload_type.looks_like_rtcp() {
            continue;
        }
        let Some(agreed) = agree(&ours.format, &ours.parameters, &codec.parameters) else { continue };
        kept.push(negotiated(codec, &ours.feedback, agreed));
    }
    let is_kept = |kept: &[NegotiatedCodec], one| kept.iter().any(|codec| may_carry(codec, one));
    let carried: Vec<bool> = kept
        .iter()
        .map(|codec| {
            let answer = answered.iter().find(|one| one.payload_type == codec.payload_type);
            answer.is_none_or(|one| one.carries().into_iter().all(|one| is_kept(&kept, one)))
        })
        .collect();
    let mut carried = carried.into_iter();
    kept.retain(|_| carried.next().unwrap_or(true));
    if !has_media(&kept) {
        return Err(AnswerFault::NoCommonCodec);
    }
    let (ours, theirs) = (retransmissions(offered.iter()), retransmissions(answered.iter()));
    for codec in &mut kept {
        let both = theirs.iter().find(|one| one.repeats(codec) && ours.contains(one));
        codec.rtx = both.map(|one| one.payload_type);
    }
    Ok(kept)
}

fn apply_extensions(
    (offer, offered): (&Description, &Media),
    (answer, answered): (&Description, &Media),
) -> Result<Vec<NegotiatedExtension>, AnswerFault> {
    let mut kept = Vec::new();
    for map in answer.extensions(answered) {
        let ours = offer.extensions(offered).find(|ours| ours.id == map.id && ours.uri == map.uri);
        let ours = ours.ok_or(AnswerFault::Extension)?;
        let direction = map.direction.unwrap_or_default().reversed().and(ours.direction.unwrap_or_default());
        // The session's lines may repeat those of the section.
        let is_taken = kept.iter().any(|one: &NegotiatedExtension| one.id == map.id);
        if direction != Direction::Inactive && !is_taken {
            kept.push(NegotiatedExtension { id: map.id, uri: map.uri.clone(), direction });
        }
    }
    Ok(kept)
}

/// What is left of our simulcast, as we see it. Encodings keep the restrictions of the answer.
fn apply_simulcast(offered: &Media, answered: &Media) -> Result<(Vec<Rid>, Simulcast), AnswerFault> {
    let mut rids = Vec::new();
    for rid in answered.rids() {
        let ours = Rid { direction: rid.direction.reversed(), ..rid.clone() };
        if !offered.rids().any(|one| one.id == ours.id && one.direction == ours.direction) {
            return Err(AnswerFault::Rid);
        }
        rids.push(ours);
    }
    let simulcast = match (offered.simulcast(), answered.simulcast()) {
        (Some(offered), Some(answered)) => {
            let both = Simulcast { send: answered.recv, recv: answered.send };
            // An encoding may have a line of its own, and yet be no part of the simulcast.
            let mut known = both.clone();
            known.retain(|direction, id| offered.streams(direction).iter().flatten().any(|one| one.rid == *id));
            if known != both {
                return Err(AnswerFault::Rid);
            }
            both
        }
        (_, None) => Simulcast::default(),
        // RFC 8853 §5.3.2: an answer has no simulcast where none was offered.
        (None, Some(_)) => return Err(AnswerFault::Rid),
    };
    rids.retain(|rid| simulcast.streams(rid.direction).iter().flatten().any(|one| one.rid == rid.id));
    Ok((rids, simulcast))
}

fn apply_transport(
    offer: &Description,
    answer: &Description,
    order: &[usize],
) -> Result<NegotiatedTransport, AnswerFault> {
    let remote = transport_of(answer, order).ok_or(AnswerFault::Transport)?;
    let offered = transport_of(offer, order).and_then(|transport| transport.setup);
    let role = match (offered, remote.setup) {
        (Some(Setup::ActPass | Setup::Passive), Some(Setup::Active)) => DtlsRole::Server,
        (Some(Setup::ActPass | Setup::Active) | None, Some(Setup::Passive)) => DtlsRole::Client,
        _ => return Err(AnswerFault::Setup),
    };
    Ok(NegotiatedTransport { remote, role })
}
