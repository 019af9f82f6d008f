use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Attribute, Codec, DataChannel, Description, Direction, ExtMap, Format, Formats, Media, MediaKind, Mid, Parameters,
    PayloadType, Protocol, Rid, RidDirection, Setup, Simulcast,
};

use super::bundle::{group_order, is_rejected, transport_of};
use super::matching::{agree, is_red, select_codecs, select_extensions};
use super::write::{finish, write_codec};
use super::{
    DataSection, DtlsRole, Negotiated, NegotiatedCodec, NegotiatedTransport, Policy, Rejection, RtpPolicy, RtpSection,
    Section,
};

/// An answer, and what it agrees to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What to send back.
    pub description: Description,
    /// What holds from now on.
    pub negotiated: Negotiated,
}

/// Answers an offer: each section with what both sides can do, or rejected with a reason.
///
/// Payload types, header extension ids and names are the offerer's. The first accepted section of the BUNDLE group,
/// in the group's order, has the transport (RFC 9143 §7.3.1).
#[must_use]
pub fn answer(offer: &Description, policy: &Policy) -> Answer {
    let bundled: Option<BTreeSet<&Mid>> = offer.bundle().map(|group| group.mids.iter().collect());
    let is_bundled = |media: &Media, sections: &[Section]| match &bundled {
        Some(mids) => media.mid().is_some_and(|mid| mids.contains(mid)),
        // Without a group each section has a transport of its own, and ours is for the first that we accept.
        None => sections.iter().all(|section| matches!(section, Section::Rejected(_))),
    };
    let mut clashes = Clashes::default();
    let mut sections: Vec<Section> = Vec::with_capacity(offer.media.len());
    for media in &offer.media {
        let section = match negotiate(offer, media, policy) {
            Ok(_) if !is_bundled(media, &sections) => Err(Rejection::NotBundled),
            Ok(Section::Rtp(section)) => clashes.check(&section).map(|()| Section::Rtp(section)),
            other => other,
        };
        sections.push(section.unwrap_or_else(Section::Rejected));
    }
    let order = group_order(offer, &sections);
    let transport = match negotiate_transport(offer, &order, policy) {
        Ok(transport) => transport,
        Err(reason) => {
            for section in &mut sections {
                if !matches!(section, Section::Rejected(_)) {
                    *section = Section::Rejected(reason);
                }
            }
            None
        }
    };
    let description = describe(offer, &sections, &order, policy, transport.as_ref());
    Answer { description, negotiated: Negotiated { transport, sections } }
}

fn negotiate(offer: &Description, media: &Media, policy: &Policy) -> Result<Section, Rejection> {
    if is_rejected(offer, media) {
        return Err(Rejection::ByOffer);
    }
    match (&media.kind, &media.protocol) {
        (MediaKind::Application, Protocol::Sctp(_)) => {
            let refused = media.mid().is_some_and(|mid| matches!(policy.sections.get(mid), Some(None)));
            if policy.data.is_none() || refused {
                return Err(Rejection::Policy);
            }
            let channel = media.data_channel().ok_or(Rejection::NoDataChannel)?;
            Ok(Section::Data(DataSection {
                mid: media.mid().cloned(),
                remote_sctp_port: channel.sctp_port,
                remote_max_message_size: channel.max_message_size,
            }))
        }
        (kind, Protocol::Rtp(_)) => {
            let own = policy.rtp(kind, media.mid()).ok_or(Rejection::Policy)?;
            negotiate_rtp(offer, media, own).map(Section::Rtp)
        }
        _ => Err(Rejection::Policy),
    }
}

fn negotiate_rtp(offer: &Description, media: &Media, policy: &RtpPolicy) -> Result<RtpSection, Rejection> {
    // RFC 8858 §4: an endpoint that needs rtcp-mux rejects what comes without.
    if !media.has(&Attribute::RtcpMux) {
        return Err(Rejection::NoRtcpMux);
    }
    let codecs = select_codecs(&media.codecs(), &policy.codecs, policy.order);
    if codecs.is_empty() {
        return Err(Rejection::NoCommonCodec);
    }
    let direction = offer.direction(media).reversed().and(policy.direction);
    let (rids, simulcast) = negotiate_simulcast(media, policy, direction, &codecs);
    Ok(RtpSection {
        mid: media.mid().cloned(),
        kind: media.kind.clone(),
        direction,
        codecs,
        extensions: select_extensions(offer.extensions(media), &policy.extensions),
        mixed_extensions: offer.allows_mixed_extensions(media),
        reduced_size: media.has(&Attribute::RtcpRsize),
        rids,
        simulcast,
        remote_msids: media.msids().cloned().collect(),
        remote_sources: media.sources().cloned().collect(),
        remote_ssrc_groups: media.ssrc_groups().cloned().collect(),
        remote_bandwidths: media.bandwidths.clone(),
    })
}

/// The simulcast streams that we take part in, and their encodings, as we see them.
///
/// RFC 8851 §6.2.2: an encoding is left out that has no payload type left, or a restriction that we do not know. Encodings
/// outside `a=simulcast` are left out too.
fn negotiate_simulcast(
    media: &Media,
    policy: &RtpPolicy,
    direction: Direction,
    codecs: &[NegotiatedCodec],
) -> (Vec<Rid>, Simulcast) {
    let Some(offered) = media.simulcast() else { return (Vec::new(), Simulcast::default()) };
    let mut rids: Vec<Rid> = media.rids().filter_map(|rid| reversed_rid(rid, codecs)).collect();
    // RFC 8853 §5.3.2: what is offered as sent is answered as received, and the other way round.
    let mut simulcast = Simulcast { send: offered.recv, recv: offered.send };
    simulcast.retain(|direction, id| rids.iter().any(|rid| rid.id == *id && rid.direction == direction));
    simulcast.recv.truncate(if direction.receives() { policy.receive_streams_max } else { 0 });
    simulcast.send.truncate(if direction.sends() { policy.send_streams_max } else { 0 });
    rids.retain(|rid| simulcast.streams(rid.direction).iter().flatten().any(|one| one.rid == rid.id));
    (rids, simulcast)
}

fn reversed_rid(rid: &Rid, codecs: &[NegotiatedCodec]) -> Option<Rid> {
    rid.restrictions()?;
    let mut parameters = rid.parameters.clone();
    let offered = rid.payload_types();
    if !offered.is_empty() {
        let is_kept = |one: &&PayloadType| codecs.iter().any(|codec| codec.payload_type == **one);
        let kept: Vec<_> = offered.iter().filter(is_kept).map(ToString::to_string).collect();
        if kept.is_empty() {
            return None;
        }
        if kept.len() < offered.len() {
            parameters = parameters.with("pt", &kept.join(","));
        }
    }
    Some(Rid { id: rid.id.clone(), direction: rid.direction.reversed(), parameters })
}

/// What payload types and header extension ids stand for, in all sections of the group.
#[derive(Default)]
struct Clashes {
    codecs: BTreeMap<PayloadType, Meaning>,
    extensions: BTreeMap<u8, crate::Word>,
}

/// What a payload type stands for.
struct Meaning {
    kind: MediaKind,
    format: Format,
    parameters: Parameters,
    /// It is for retransmissions of this one.
    repeats: Option<PayloadType>,
}

impl Meaning {
    fn all(section: &RtpSection) -> impl Iterator<Item = (PayloadType, Self)> {
        section.codecs.iter().flat_map(|codec| {
            let meaning = |repeats| Self {
                kind: section.kind.clone(),
                format: codec.format.clone(),
                parameters: codec.send.clone(),
                repeats,
            };
            let rtx = codec.rtx.map(|rtx| (rtx, meaning(Some(codec.payload_type))));
            core::iter::once((codec.payload_type, meaning(None))).chain(rtx)
        })
    }

    /// RFC 9143 §9.1.1: kind, name, clock, and what changes the configuration of the codec.
    fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.format.is_same(&other.format)
            && self.repeats == other.repeats
            && agree(&self.format, &self.parameters, &other.parameters).is_some()
            && (!is_red(&self.format) || self.parameters == other.parameters)
    }
}

impl Clashes {
    /// Takes note of a section, unless one of its numbers stands for something else already.
    fn check(&mut self, section: &RtpSection) -> Result<(), Rejection> {
        let codecs: Vec<_> = Meaning::all(section).collect();
        if codecs.iter().any(|(number, meaning)| self.codecs.get(number).is_some_and(|known| !known.is_same(meaning))) {
            return Err(Rejection::PayloadTypeClash);
        }
        let known = |id: u8| self.extensions.get(&id);
        if section.extensions.iter().any(|one| known(one.id.number()).is_some_and(|uri| *uri != one.uri)) {
            return Err(Rejection::ExtensionClash);
        }
        self.codecs.extend(codecs);
        self.extensions.extend(section.extensions.iter().map(|one| (one.id.number(), one.uri.clone())));
        Ok(())
    }
}

fn negotiate_transport(
    offer: &Description,
    order: &[usize],
    policy: &Policy,
) -> Result<Option<NegotiatedTransport>, Rejection> {
    if order.is_empty() {
        return Ok(None);
    }
    let remote = transport_of(offer, order).ok_or(Rejection::NoTransport)?;
    let role = match remote.setup {
        Some(Setup::ActPass) => policy.transport.preferred_role,
        // RFC 4145 §4: an offer that says nothing means active.
        Some(Setup::Active) | None => DtlsRole::Server,
        Some(Setup::Passive) => DtlsRole::Client,
        Some(Setup::HoldConn) => return Err(Rejection::NoDtlsRole),
    };
    Ok(Some(NegotiatedTransport { remote, role }))
}

fn describe(
    offer: &Description,
    sections: &[Section],
    order: &[usize],
    policy: &Policy,
    transport: Option<&NegotiatedTransport>,
) -> Description {
    let mut description = Description::new(policy.origin.clone());
    // RFC 3264 §6: the t= line is the offer's.
    let times = offer.lines.iter().filter(|line| matches!(line.letter(), 't' | 'r' | 'z'));
    description.lines = times.cloned().collect();
    description.media = offer
        .media
        .iter()
        .zip(sections)
        .map(|(media, section)| match section {
            Section::Rejected(_) => media.rejected(),
            Section::Rtp(rtp) => describe_rtp(media, rtp, policy),
            Section::Data(data) => describe_data(media, data, policy.data),
        })
        .collect();
    let is_grouped = offer.bundle().is_some() && transport.is_some();
    let mids = if is_grouped {
        order.iter().filter_map(|&index| offer.media[index].mid().cloned()).collect()
    } else {
        Vec::new()
    };
    let setup = transport.map_or(Setup::Passive, |transport| transport.role.setup());
    finish(&mut description, mids, &policy.transport, setup);
    // RFC 8285 §6: it is answered where it was offered, by the session or by a section.
    let mixed = |section: &Section| matches!(section, Section::Rtp(rtp) if rtp.mixed_extensions);
    let by_session = offer.attributes.contains(&Attribute::ExtmapAllowMixed);
    if !by_session || !sections.iter().any(mixed) {
        description.attributes.retain(|line| *line != Attribute::ExtmapAllowMixed);
    }
    if !by_session {
        let of_their_own = description.media.iter_mut().zip(sections).filter(|(_, section)| mixed(section));
        of_their_own.for_each(|(media, _)| media.attributes.push(Attribute::ExtmapAllowMixed));
    }
    description
}

fn describe_rtp(media: &Media, section: &RtpSection, policy: &Policy) -> Media {
    let codecs: Vec<Codec> = section.codecs.iter().flat_map(answered_codecs).collect();
    let formats = Formats::PayloadTypes(codecs.iter().map(|codec| codec.payload_type).collect());
    let mut written = Media::empty(media.kind.clone(), media.protocol.clone(), formats);
    let lines = &mut written.attributes;
    lines.extend(section.mid.clone().map(Attribute::Mid));
    lines.extend(section.extensions.iter().map(|one| {
        let direction = Some(one.direction).filter(|direction| *direction != Direction::SendRecv);
        Attribute::ExtMap(ExtMap { id: one.id, direction, uri: one.uri.clone(), attributes: None })
    }));
    lines.push(Attribute::Direction(section.direction));
    let own = policy.rtp(&media.kind, media.mid()).filter(|_| section.direction.sends());
    lines.extend(own.iter().flat_map(|own| &own.msids).cloned().map(Attribute::Msid));
    lines.push(Attribute::RtcpMux);
    // RFC 8858 §4: the answer to rtcp-mux-only is rtcp-mux.
    lines.extend(section.reduced_size.then_some(Attribute::RtcpRsize));
    codecs.into_iter().for_each(|codec| write_codec(lines, codec));
    lines.extend(section.rids.iter().cloned().map(Attribute::Rid));
    if section.simulcast.streams(RidDirection::Send).len() + section.simulcast.recv.len() > 0 {
        lines.push(Attribute::Simulcast(section.simulcast.clone()));
    }
    lines.extend(own.iter().flat_map(|own| &own.ssrc_groups).cloned().map(Attribute::SsrcGroup));
    lines.extend(own.iter().flat_map(|own| &own.sources).cloned().map(Attribute::Source));
    written
}

/// A codec as the answer has it, with its retransmissions behind it.
fn answered_codecs(codec: &NegotiatedCodec) -> impl Iterator<Item = Codec> {
    let own = Codec {
        payload_type: codec.payload_type,
        format: codec.format.clone(),
        parameters: codec.receive.clone(),
        feedback: codec.feedback.clone(),
    };
    let rtx = codec.rtx.map(|payload_type| Codec {
        payload_type,
        format: Format {
            encoding: crate::Token::new("rtx").expect("it is a token"),
            clock_rate: codec.format.clock_rate,
            channels: None,
        },
        parameters: Parameters::new(&format!("apt={}", codec.payload_type)).expect("a number is a text"),
        feedback: Vec::new(),
    });
    core::iter::once(own).chain(rtx)
}

fn describe_data(media: &Media, section: &DataSection, ours: Option<DataChannel>) -> Media {
    let mut written = Media::empty(media.kind.clone(), media.protocol.clone(), media.formats.clone());
    written.attributes.extend(section.mid.clone().map(Attribute::Mid));
    if let Some(ours) = ours {
        written.attributes.push(Attribute::SctpPort(ours.sctp_port));
        written.attributes.push(Attribute::MaxMessageSize(ours.max_message_size));
    }
    written
}
