//! What a transport's descriptions say: its m-lines in their order, the offer in flight, and what the next one adds.

mod agreement;
mod codecs;
mod describe;
mod drafts;
mod error;
mod numbers;
mod quirks;

use std::collections::BTreeMap;

use plenary_ice::Credentials;
use plenary_rtp::Ssrc;
use plenary_sdp::offer_answer::{LocalTransport, offer};
use plenary_sdp::{Description, Media, Mid, Origin, RidId};

use crate::ids::TrackKey;
use crate::{Kind, Publication};

pub(crate) use agreement::{Agreement, Outcome};
pub(crate) use codecs::kind;
pub use codecs::{RoomCodec, RoomConfig};
pub(crate) use describe::{Voice, answer_policy, local_transport};
pub(crate) use drafts::kind_of;
pub use error::NegotiationError;
pub(crate) use numbers::Numbers;
pub use quirks::{QUIRKS, Quirk};

/// What a client is asked to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    /// Sound or pictures.
    pub kind: Kind,
    /// Three encodings of a picture, the smallest first; of which the client may send fewer, or one. Not for sound.
    pub simulcast: bool,
    /// See [`Publication::opaque`].
    pub opaque: bool,
    /// See [`Publication::stream`].
    pub stream: String,
    /// The codecs that the client may send, of those of the room and in their order; empty for all of this kind. One alone
    /// is sent for certain: Chromium sends the first that it is offered, even if its answer has left that out.
    pub codecs: Vec<plenary_rtp::payload::Codec>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answered {
    /// It holds.
    Applied,
    /// It is the answer to an offer that was answered already: nothing was changed.
    Stale,
}

/// One m-line. It keeps its place for ever (RFC 3264 §8).
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) mid: Mid,
    pub(crate) purpose: Purpose,
}

#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// The client publishes in it.
    Publish(Publishing),
    /// The client receives in it.
    Slot(SlotSection),
    /// It was rejected or stopped; the next that is needed takes its place (RFC 8829 §5.2.2).
    Free(Media),
}

#[derive(Clone, Debug)]
pub(crate) struct Publishing {
    pub(crate) request: PublishRequest,
    pub(crate) rids: Vec<RidId>,
    /// What was agreed on, while it is published.
    pub(crate) published: Option<(TrackKey, Publication)>,
    /// The client has said whether it publishes.
    pub(crate) is_answered: bool,
    /// It is to end: the next offer rejects it.
    pub(crate) is_stopped: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct SlotSection {
    pub(crate) kind: Kind,
    /// Audio and video slots of one number share an msid.
    pub(crate) pair: u16,
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx_ssrc: Option<Ssrc>,
    /// The slot's number on the transport, once it was accepted.
    pub(crate) slot: Option<u16>,
}

impl PublishRequest {
    /// Whether it is for this codec.
    pub(crate) fn takes(&self, codec: plenary_rtp::payload::Codec) -> bool {
        kind(codec) == self.kind && (self.codecs.is_empty() || self.codecs.contains(&codec))
    }
}

impl Publishing {
    /// What the engine asks for itself.
    pub(crate) fn new(request: PublishRequest) -> Self {
        let rids =
            if request.simulcast { quirks::RIDS.map(|rid| RidId::new(rid).expect("letters")).into() } else { vec![] };
        Self { request, rids, published: None, is_answered: false, is_stopped: false }
    }
}

/// An offer that waits for its answer.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) description: Description,
    /// It has new ICE credentials: so must the answer.
    pub(crate) is_restart: bool,
}

/// The signalling of one transport.
#[derive(Debug)]
pub(crate) struct Negotiation {
    origin: Origin,
    pub(crate) numbers: Numbers,
    pub(crate) sections: Vec<Section>,
    /// What the next offer adds.
    pub(crate) wishes: Vec<Section>,
    pub(crate) in_flight: Option<InFlight>,
    /// How many MIDs were given for each purpose.
    named: BTreeMap<char, u32>,
    /// Of the last offer; 0 before the first.
    pub(crate) version: u64,
    /// Something changed that the client is to be told by an offer.
    pub(crate) is_wanted: bool,
    /// It stands in the engine's queue of those that want to offer.
    pub(crate) is_queued: bool,
    /// ICE is to be restarted once the offer in flight is answered.
    pub(crate) restart_next: bool,
    /// ICE was restarted, and the client has not been told.
    pub(crate) restarted: bool,
    /// The client's, as last heard.
    pub(crate) credentials: Option<Credentials>,
}

impl Negotiation {
    /// `session_id` is random and below 2^63.
    pub(crate) fn new(session_id: u64) -> Self {
        Self {
            origin: Origin::new(session_id),
            numbers: Numbers::default(),
            sections: Vec::new(),
            wishes: Vec::new(),
            in_flight: None,
            named: BTreeMap::new(),
            version: 0,
            is_wanted: false,
            is_queued: false,
            restart_next: false,
            restarted: false,
            credentials: None,
        }
    }

    /// All sections, those that were not offered yet last.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().chain(&self.wishes)
    }

    pub(crate) fn slots(&self, kind: Kind) -> impl Iterator<Item = &SlotSection> {
        self.all().filter_map(|section| section.slot()).filter(move |slot| slot.kind == kind)
    }

    pub(crate) fn publishing(&self) -> impl Iterator<Item = &Publishing> {
        self.all().filter_map(|section| section.publishing())
    }

    /// A MID that no section has or had.
    pub(crate) fn new_mid(&mut self, purpose: char) -> Mid {
        loop {
            let number = self.named.entry(purpose).or_default();
            let mid = Mid::new(&format!("{purpose}{number}")).expect("a letter and digits");
            *number += 1;
            if self.all().all(|section| section.mid != mid) {
                return mid;
            }
        }
    }

    /// The lowest number of a pair that has no slot of this kind.
    pub(crate) fn free_pair(&self, kind: Kind) -> u16 {
        (0..u16::MAX).find(|pair| self.slots(kind).all(|slot| slot.pair != *pair)).unwrap_or(u16::MAX)
    }

    /// Whether there is something to offer now.
    pub(crate) fn may_offer(&self) -> bool {
        self.is_wanted && self.in_flight.is_none() && self.all().next().is_some()
    }

    /// Makes the next offer, which is in flight from now on.
    pub(crate) fn make_offer(&mut self, voice: &Voice<'_>, transport: &LocalTransport) -> (u64, String) {
        for wish in std::mem::take(&mut self.wishes) {
            let free = self.sections.iter_mut().find(|section| matches!(section.purpose, Purpose::Free(_)));
            match free {
                Some(free) => *free = wish,
                None => self.sections.push(wish),
            }
        }
        let media = self.sections.iter().map(|section| describe::offered(section, voice, &self.numbers)).collect();
        let description = offer(self.next_origin(), transport, media);
        let text = description.to_string();
        self.version += 1;
        self.is_wanted = false;
        self.in_flight = Some(InFlight { description, is_restart: std::mem::take(&mut self.restarted) });
        (self.version, text)
    }

    /// The `o=` line of the description that is made now.
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The same, and the next one has another.
    pub(crate) fn next_origin(&mut self) -> Origin {
        let next = self.origin.next();
        std::mem::replace(&mut self.origin, next)
    }
}

impl Section {
    pub(crate) const fn publishing(&self) -> Option<&Publishing> {
        if let Purpose::Publish(it) = &self.purpose { Some(it) } else { None }
    }

    pub(crate) const fn publishing_mut(&mut self) -> Option<&mut Publishing> {
        if let Purpose::Publish(it) = &mut self.purpose { Some(it) } else { None }
    }

    pub(crate) const fn slot(&self) -> Option<&SlotSection> {
        if let Purpose::Slot(it) = &self.purpose { Some(it) } else { None }
    }
}
