//! A slot, the tracks that it looks at, and what comes out of it.

use plenary_netsim::base;
use plenary_rtp::Packet;
use slotmap::SlotMap;

use super::super::*;
use super::capture::IDS;
use crate::extensions::Extensions;
use crate::ids::{SessionKey, TransportKey};
use crate::track::Layer;

pub(super) const SSRC: Ssrc = Ssrc(5);
pub(super) const RTX_SSRC: Ssrc = Ssrc(6);
/// What is sent to the subscriber has other ids than what came in.
pub(super) const DESCRIPTOR_ID: u8 = 12;
pub(super) const OVERHEAD: usize = 16;
/// Packets of a run at most.
const SEGMENTS: usize = 64;

pub(super) const FORMATS: [Format; 5] = [
    Format { codec: Codec::Vp8, payload_type: 96, rtx_payload_type: Some(97) },
    Format { codec: Codec::H264, payload_type: 98, rtx_payload_type: Some(99) },
    Format { codec: Codec::Vp9, payload_type: 100, rtx_payload_type: Some(101) },
    Format { codec: Codec::Av1, payload_type: 102, rtx_payload_type: Some(103) },
    Format { codec: Codec::Opus, payload_type: 111, rtx_payload_type: Some(112) },
];

pub(super) struct Bench {
    pub(super) tracks: SlotMap<TrackKey, Track>,
    pub(super) slot: Slot,
    pub(super) now: Instant,
    pub(super) sent: Vec<Vec<u8>>,
    /// Runs of one size that they left in.
    pub(super) runs: usize,
    /// When each was sent.
    pub(super) sent_at: Vec<Instant>,
    /// The first timestamps of what is sent from each switch on.
    pub(super) switches: Vec<RtpTime>,
    pub(super) needed_key_frame: bool,
    /// What is known of what comes in.
    pub(super) ids: Extensions,
    extensions: Extensions,
}

impl Bench {
    pub(super) fn new(kind: Kind, takes_descriptors: bool) -> Self {
        let now = base();
        let config = SlotConfig {
            kind,
            mid: "v0".into(),
            ssrc: SSRC,
            rtx_ssrc: Some(RTX_SSRC),
            pair: None,
            formats: FORMATS.to_vec(),
        };
        let begin = Beginnings {
            sequence_number: 32_700,
            rtx_sequence_number: 9,
            timestamp: u32::MAX - 1000,
            picture_id: 0x1ffa,
        };
        let dependency_descriptor = if takes_descriptors { DESCRIPTOR_ID } else { 0 };
        Self {
            tracks: SlotMap::with_key(),
            slot: Slot::new(config, &begin, u8::MAX, now),
            now,
            sent: Vec::new(),
            runs: 0,
            sent_at: Vec::new(),
            switches: Vec::new(),
            needed_key_frame: false,
            ids: IDS,
            extensions: Extensions { mid: 1, dependency_descriptor, ..Extensions::default() },
        }
    }

    pub(super) fn publish(&mut self, codec: Codec, payload_type: u8, layers: usize, opaque: bool) -> TrackKey {
        let kind = if codec == Codec::Opus { Kind::Audio } else { Kind::Video };
        let mut layers: Vec<_> = (0..layers).map(|_| Layer::new(kind, None)).collect();
        for (layer, ssrc) in layers.iter_mut().zip(1000..) {
            layer.bind(Ssrc(ssrc), true, self.now);
        }
        self.tracks.insert(Track {
            session: SessionKey::default(),
            transport: TransportKey::default(),
            kind,
            codec,
            payload_type,
            rtx_payload_type: Some(payload_type + 1),
            others: Vec::new(),
            unknown: 0,
            changed_at: None,
            nack: true,
            opaque,
            stream: String::new(),
            layers,
            subscriptions: Vec::new(),
            csrc: Ssrc(7),
        })
    }

    pub(super) fn attach(&mut self, track: TrackKey, layer: Option<u8>) {
        let format = self.slot.format(self.tracks[track].codec).unwrap();
        self.slot.attach(Source::new(SubscriptionKey::default(), track, format, Ssrc(7)));
        self.slot.want(layer);
    }

    /// A datagram comes in, as the engine takes it. Answers whether it was kept.
    pub(super) fn arrive(&mut self, track: TrackKey, layer: u8, repairs: bool, bytes: &[u8]) -> bool {
        let (track, mut bytes) = (&mut self.tracks[track], bytes.to_vec());
        if repairs {
            return track.repair(layer, &mut bytes, &self.ids, self.now).is_ok();
        }
        track.receive(layer, &Packet::parse(&bytes).unwrap(), &self.ids, self.now).is_ok()
    }

    /// Sends what there is, in runs.
    pub(super) fn drain(&mut self) {
        let (mut count, mut size) = (0, 0);
        while let Some(key) = self.slot.source().map(|source| source.track) {
            let (track, mut switched) = (&self.tracks[key], None);
            let next = self.slot.next(track, &mut switched);
            self.switches.extend(switched.map(|switched| switched.timestamp));
            self.needed_key_frame |= next == Next::NeedsKeyFrame;
            if next != Next::Packet {
                return;
            }
            if count == 0 {
                self.slot.even_out(track, SEGMENTS);
            }
            let mut out = Vec::new();
            let envelope = Envelope { extensions: &self.extensions, overhead: OVERHEAD };
            let written = self.slot.write(track, &envelope, &mut out).unwrap();
            if count > 0 && written.len > size {
                // It is the first of the next.
                count = 0;
                continue;
            }
            self.runs += usize::from(count == 0);
            size = if count == 0 { written.len } else { size };
            count = if written.len < size || count + 1 == SEGMENTS { 0 } else { count + 1 };
            self.slot.commit(track, &written, self.now).unwrap();
            assert_eq!(written.number as u16, u16::from_be_bytes([out[2], out[3]]));
            out.truncate(out.len() - OVERHEAD);
            self.sent.push(out);
            self.sent_at.push(self.now);
        }
    }

    /// Asks for one of the packets again, and holds the repair against it. `false` if it can't be had any more.
    pub(super) fn ask_again(&mut self, index: usize) -> bool {
        let original = Packet::parse(&self.sent[index]).unwrap();
        let repairs: Vec<_> = self.slot.handle_nack([original.sequence_number()], self.now).collect();
        let [repair] = &repairs[..] else { return false };
        let Some(track) = self.slot.track_of(repair).and_then(|key| self.tracks.get(key)) else { return false };
        let (mut out, envelope) = (Vec::new(), Envelope { extensions: &self.extensions, overhead: OVERHEAD });
        let Some(again) = self.slot.write_again(repair, track, &envelope, &mut out) else { return false };
        self.slot.commit_again(again);
        let again = Packet::parse(&out[..out.len() - OVERHEAD]).unwrap();
        let format = FORMATS.iter().find(|format| format.payload_type == original.payload_type()).unwrap();
        assert_eq!((again.ssrc(), Some(again.payload_type())), (RTX_SSRC, format.rtx_payload_type));
        assert_eq!((again.timestamp(), again.marker()), (original.timestamp(), original.marker()));
        assert!(again.csrcs().eq(original.csrcs()) && again.extensions().eq(original.extensions()));
        assert_eq!(again.payload()[..2], original.sequence_number().0.to_be_bytes());
        assert_eq!(&again.payload()[2..], original.payload());
        true
    }

    pub(super) fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }
}
