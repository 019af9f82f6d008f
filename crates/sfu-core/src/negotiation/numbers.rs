//! Payload types and ids of header extensions on one transport.

use std::collections::BTreeSet;

use plenary_rtp::extension::{
    AbsCaptureTime, AbsSendTime, AudioLevel, Element, Mid, RepairedRid, Rid, TransportSequence, VideoLayersAllocation,
    VideoOrientation, dependency,
};
use plenary_rtp::payload::Codec;
use plenary_sdp::offer_answer::{Negotiated, Section};
use plenary_sdp::{Description, Formats, Media};

use super::codecs;

/// The same on all transports, so that packets mostly go on with the payload type that they came with; but where a client has
/// offered first, its numbers hold, as a number means one thing within a BUNDLE group (RFC 9143 §9.1.1, RFC 8285 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    payload_types: Vec<PayloadTypes>,
    /// URIs with their ids; 0 where there is none left.
    extensions: Vec<(&'static str, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PayloadTypes {
    codec: Codec,
    media: u8,
    rtx: Option<u8>,
}

const PAYLOAD_TYPES: [PayloadTypes; 5] = [
    PayloadTypes { codec: Codec::Opus, media: 111, rtx: None },
    PayloadTypes { codec: Codec::Vp8, media: 96, rtx: Some(97) },
    PayloadTypes { codec: Codec::H264, media: 98, rtx: Some(99) },
    PayloadTypes { codec: Codec::Vp9, media: 100, rtx: Some(101) },
    PayloadTypes { codec: Codec::Av1, media: 102, rtx: Some(103) },
];

/// As Firefox numbers those that it has; with others its own offers, which keep ours, would run out of ids. See the table of
/// quirks.
const EXTENSIONS: [(&str, u8); 10] = [
    (AudioLevel::URI, 1),
    (Mid::URI, 3),
    (AbsSendTime::URI, 4),
    (TransportSequence::URI, 7),
    (Rid::URI, 8),
    (RepairedRid::URI, 9),
    (dependency::URI, 10),
    (VideoOrientation::URI, 11),
    (VideoLayersAllocation::URI, 12),
    (AbsCaptureTime::URI, 13),
];

impl Default for Numbers {
    fn default() -> Self {
        Self { payload_types: PAYLOAD_TYPES.into(), extensions: EXTENSIONS.into() }
    }
}

impl Numbers {
    /// Payload types of a codec and of its retransmissions.
    pub(super) fn payload_types(&self, codec: Codec) -> (u8, Option<u8>) {
        let known = self.payload_types.iter().find(|known| known.codec == codec);
        known.map(|known| (known.media, known.rtx)).expect("the table has all codecs")
    }

    /// The id of an extension, if there is one for it.
    pub(super) fn extension(&self, uri: &str) -> Option<u8> {
        self.extensions.iter().find(|(known, _)| *known == uri).map(|(_, id)| *id).filter(|id| *id != 0)
    }

    /// Takes over a client's numbers, and gets out of the way of those that it has offered for something else.
    pub(crate) fn adopt(&mut self, offer: &Description, negotiated: &Negotiated) {
        let (mut codecs, mut extensions) = (Vec::new(), Vec::new());
        for section in &negotiated.sections {
            let Section::Rtp(section) = section else { continue };
            codecs.extend(section.codecs.iter().filter_map(|known| {
                let rtx = known.rtx.map(|rtx| rtx.number());
                let codec = codecs::of_format(&known.format)?;
                Some(PayloadTypes { codec, media: known.payload_type.number(), rtx })
            }));
            extensions.extend(section.extensions.iter().map(|known| (known.uri.as_str(), known.id.number())));
        }
        self.adopt_payload_types(&codecs, &offer.media);
        let used = offer.media.iter().flat_map(|media| offer.extensions(media)).map(|map| map.id.number()).collect();
        self.adopt_extensions(&extensions, used);
    }

    fn adopt_payload_types(&mut self, theirs: &[PayloadTypes], media: &[Media]) {
        let of = |media: &Media| if let Formats::PayloadTypes(list) = &media.formats { list.clone() } else { vec![] };
        let mut used: BTreeSet<u8> = media.iter().flat_map(of).map(|number| number.number()).collect();
        let is_theirs = |codec| theirs.iter().find(|known: &&PayloadTypes| known.codec == codec);
        let ours = self.payload_types.iter().filter(|own| is_theirs(own.codec).is_none());
        let ours: Vec<_> = ours.flat_map(|own| [Some(own.media), own.rtx]).flatten().collect();
        let mut free = move |number: u8| {
            let is_free = |number: &u8| !used.contains(number) && !ours.contains(number);
            let found = if used.contains(&number) { (96..=127).chain(35..=63).find(is_free) } else { Some(number) };
            // A client that has offered all of them can't be offered more than that.
            let found = found.unwrap_or(number);
            used.insert(found);
            found
        };
        for own in &mut self.payload_types {
            let has_rtx = own.rtx.is_some();
            match is_theirs(own.codec) {
                Some(known) => {
                    own.media = known.media;
                    own.rtx = known.rtx.or_else(|| own.rtx.map(&mut free)).filter(|_| has_rtx);
                }
                None => {
                    own.media = free(own.media);
                    own.rtx = own.rtx.map(&mut free);
                }
            }
        }
    }

    fn adopt_extensions(&mut self, theirs: &[(&str, u8)], mut used: BTreeSet<u8>) {
        // Ids above 14 need the two-byte form: what has none of these left is not offered.
        let mut ours: BTreeSet<u8> = self.extensions.iter().map(|(_, id)| *id).collect();
        for (uri, id) in &mut self.extensions {
            if let Some((_, known)) = theirs.iter().find(|(known, _)| known == uri) {
                *id = *known;
            } else if used.contains(id) || *id == 0 {
                *id = (1..=14).find(|id| !used.contains(id) && !ours.contains(id)).unwrap_or(0);
                ours.insert(*id);
            }
            used.insert(*id);
        }
    }
}
