//! What a client's offer makes of the sections.

use plenary_sdp::{Description, Media, MediaKind, Mid, RidId};

use super::{Negotiation, NegotiationError, PublishRequest, Publishing, Purpose, Section};
use crate::{Kind, LAYERS_MAX, Publication};

impl Negotiation {
    /// The sections that are there, each in its place (RFC 3264 §8), and those that are new, as yet for nothing. One that
    /// was free may have become another.
    pub(crate) fn draft(&self, offer: &Description) -> Result<Vec<Section>, NegotiationError> {
        if offer.media.len() < self.sections.len() {
            return Err(NegotiationError::Section(offer.media.len()));
        }
        let section = |(index, media): (usize, &Media)| {
            let is_wished = self.wishes.iter().any(|wish| media.mid() == Some(&wish.mid));
            let section = match self.sections.get(index) {
                Some(known) => known.offered_again(media),
                None => Some(Section::unused(media)),
            };
            section.filter(|_| !is_wished).ok_or(NegotiationError::Section(index))
        };
        offer.media.iter().enumerate().map(section).collect()
    }
}

impl Section {
    fn unused(media: &Media) -> Self {
        // What has no name stays refused, and is not asked for it.
        let mid = media.mid().cloned().unwrap_or_else(|| Mid::new("-").expect("a dash is a token"));
        Self { mid, purpose: Purpose::Free(media.rejected()) }
    }

    fn offered_again(&self, media: &Media) -> Option<Self> {
        let kind = match &self.purpose {
            Purpose::Free(_) => return Some(Self::unused(media)),
            Purpose::Publish(it) => it.request.kind,
            Purpose::Slot(it) => it.kind,
        };
        // Old implementations leave the name out of what they reject.
        let is_named = media.mid() == Some(&self.mid) || media.mid().is_none() && media.is_rejected();
        if !is_named || kind_of(&media.kind) != Some(kind) {
            return None;
        }
        let mut kept = self.clone();
        if let Some(it) = kept.publishing_mut() {
            let rids = offered_rids(media);
            if !rids.is_empty() {
                it.rids = rids;
            }
        }
        Some(kept)
    }
}

impl Publishing {
    /// What a client offers to publish by itself.
    pub(crate) fn offered(kind: Kind, media: &Media) -> Self {
        let streams = media.msids().filter_map(|msid| msid.stream.as_ref());
        let stream = streams.map(|stream| stream.as_str()).find(|stream| stream.len() <= Publication::STREAM_MAX);
        let rids = offered_rids(media);
        let request = PublishRequest {
            kind,
            simulcast: !rids.is_empty(),
            opaque: false,
            stream: stream.unwrap_or_default().to_owned(),
            codecs: Vec::new(),
        };
        Self { request, rids, published: None, is_answered: true, is_stopped: false }
    }
}

/// Sound or pictures, or none of them.
pub(crate) fn kind_of(kind: &MediaKind) -> Option<Kind> {
    match kind {
        MediaKind::Audio => Some(Kind::Audio),
        MediaKind::Video => Some(Kind::Video),
        _ => None,
    }
}

/// The encodings that a client would send, of alternatives the preferred.
fn offered_rids(media: &Media) -> Vec<RidId> {
    let streams = media.simulcast().map(|simulcast| simulcast.send).unwrap_or_default();
    streams.iter().filter_map(|stream| stream.first()).map(|one| one.rid.clone()).take(LAYERS_MAX).collect()
}
