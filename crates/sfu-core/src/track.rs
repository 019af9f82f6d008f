//! What is published: a track, its layers, and for each layer what came in and who reads it.

mod arrival;
mod quality;

use std::time::{Duration, Instant};

use plenary_rtp::payload::Codec;
use plenary_rtp::{ClockRate, ExtendedSeqNo, Packet, RtpTime, Ssrc};
use plenary_stream::{NackConfig, PictureRequest, PictureRequestConfig, ReceiveConfig, ReceiveStream};

use crate::frame::{Facts, Unit};
use crate::ids::{SessionKey, SubscriptionKey, TransportKey};
use crate::log::{Log, LogLimits, Position};
use crate::slot::Format;

use quality::Quality;

/// What a track or a slot carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// A track changes its codec this often at most: each time all who receive it begin anew.
const CHANGED_MIN: Duration = Duration::from_secs(1);

/// How far back a key frame is looked for that began at a packet which came late.
const REORDERED_MAX: u64 = 512;

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) session: SessionKey,
    /// What it comes in by.
    pub(crate) transport: TransportKey,
    pub(crate) kind: Kind,
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
    pub(crate) rtx_payload_type: Option<u8>,
    /// What else it may come in.
    pub(crate) others: Vec<Format>,
    /// Payload types that nobody agreed on and that came nevertheless, a bit for each.
    pub(crate) unknown: u128,
    /// When it last went over to one of them.
    pub(crate) changed_at: Option<Instant>,
    pub(crate) nack: bool,
    /// The payload is encrypted between the ends: it is not looked at.
    pub(crate) opaque: bool,
    /// What it is played together with.
    pub(crate) stream: String,
    pub(crate) layers: Vec<Layer>,
    pub(crate) subscriptions: Vec<SubscriptionKey>,
    /// Stands in packets of sound as their contributing source.
    pub(crate) csrc: Ssrc,
}

impl Track {
    fn received(&self) -> impl Iterator<Item = &ReceivedLayer> {
        self.layers.iter().filter_map(|layer| layer.received.as_ref())
    }

    /// Whether what comes in this payload type repeats packets, if it was agreed on.
    pub(crate) fn repeats(&self, payload_type: u8) -> Option<bool> {
        let own = [(self.payload_type, self.rtx_payload_type)];
        let mut all = own.into_iter().chain(self.others.iter().map(|it| (it.payload_type, it.rtx_payload_type)));
        all.find_map(|(media, rtx)| match payload_type {
            it if it == media => Some(false),
            it if Some(it) == rtx => Some(true),
            _ => None,
        })
    }

    /// Whether it is the first packet in a payload type that was not agreed on.
    pub(crate) fn note_unknown(&mut self, payload_type: u8) -> bool {
        let bit = 1 << (payload_type & 0x7f);
        let is_news = self.repeats(payload_type).is_none() && self.unknown & bit == 0;
        self.unknown |= if is_news { bit } else { 0 };
        is_news
    }

    /// Goes over to the format with this payload type, if it was agreed on. What came before can't be begun with any more.
    pub(crate) fn change_format(&mut self, payload_type: u8, now: Instant) -> bool {
        if self.changed_at.is_some_and(|at| now.saturating_duration_since(at) < CHANGED_MIN) {
            return false;
        }
        let Some(other) = self.others.iter_mut().find(|other| other.payload_type == payload_type) else { return false };
        let Format { codec, payload_type, rtx_payload_type } = *other;
        *other = Format { codec: self.codec, payload_type: self.payload_type, rtx_payload_type: self.rtx_payload_type };
        (self.codec, self.payload_type, self.rtx_payload_type) = (codec, payload_type, rtx_payload_type);
        self.changed_at = Some(now);
        self.layers.iter_mut().for_each(|layer| layer.start = None);
        true
    }

    /// Whether its publisher is to be told of something at once.
    pub(crate) fn has_feedback(&self, now: Instant) -> bool {
        let is_video = self.kind == Kind::Video;
        self.received().any(|it| it.stream.has_nack(now) || is_video && it.request.is_due(now))
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let is_video = self.kind == Kind::Video;
        let requests = |it: &ReceivedLayer| it.request.poll_timeout(now).filter(|_| is_video);
        self.received().flat_map(|it| [it.stream.poll_timeout(), requests(it)]).flatten().min()
    }
}

/// Who reads a layer: a slot of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) transport: TransportKey,
    pub(crate) slot: u16,
}

/// One encoding of a track.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) rid: Option<String>,
    pub(crate) received: Option<ReceivedLayer>,
    pub(crate) log: Log,
    pub(crate) readers: Vec<Reader>,
    /// Something came in that the readers have not been told of.
    pub(crate) has_news: bool,
    start: Option<Start>,
    quality: Quality,
    kind: Kind,
}

/// What is known of a layer once its SSRC is.
#[derive(Debug)]
pub(crate) struct ReceivedLayer {
    pub(crate) stream: ReceiveStream,
    pub(crate) request: PictureRequest,
}

/// Where a decoder can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The first packet of a key frame.
    pub(crate) packet: Position,
    /// From where on the packets behind that one lie: further back, if some came before it.
    pub(crate) cursor: Position,
    seq: ExtendedSeqNo,
    timestamp: RtpTime,
    arrived: Instant,
}

impl Layer {
    pub(crate) fn new(kind: Kind, rid: Option<String>) -> Self {
        let limits = match kind {
            // A second of 16 Mbit/s; NACKs ask no further back.
            Kind::Video => {
                LogLimits { packets_max: 2048, bytes_max: 2 << 20, age_max: Duration::from_secs(1), chunk: 64 << 10 }
            }
            Kind::Audio => {
                LogLimits { packets_max: 128, bytes_max: 64 << 10, age_max: Duration::from_secs(1), chunk: 8 << 10 }
            }
        };
        let (received, log, readers, has_news, start) = (None, Log::new(limits), Vec::new(), false, None);
        Self { rid, received, log, readers, has_news, start, quality: Quality::default(), kind }
    }

    /// From here on packets of this SSRC are the layer's.
    pub(crate) fn bind(&mut self, ssrc: Ssrc, nack: bool, now: Instant) {
        let clock_rate = if self.kind == Kind::Video { ClockRate::VIDEO } else { ClockRate::OPUS };
        let nack = nack.then(NackConfig::default);
        let config = ReceiveConfig { nack, ..ReceiveConfig::new(ssrc, clock_rate) };
        let stream = ReceiveStream::new(config, now).expect("the default limits are within their ranges");
        let request =
            PictureRequest::new(PictureRequestConfig::pli(ssrc)).expect("the default pace is within its range");
        self.received = Some(ReceivedLayer { stream, request });
    }

    /// Keeps a packet, and says whether readers are to be told: the first since they were.
    pub(crate) fn append(&mut self, packet: &Packet<'_>, seq: ExtendedSeqNo, facts: Facts, now: Instant) -> bool {
        let (is_start, unit, timestamp) = (facts.starts_key_frame, facts.unit, packet.timestamp());
        let position = self.log.append(packet, seq, facts, now);
        let start = unit.and_then(|unit| self.start_of_access_unit(unit, (position, seq), timestamp));
        if let Some((first, seq)) = start.or_else(|| is_start.then_some((position, seq)))
            && self.kind == Kind::Video
        {
            self.note_start(first, seq, timestamp, now);
        }
        !std::mem::replace(&mut self.has_news, true)
    }

    /// Its sender has begun anew: nothing goes on from what came before, and whoever read it begins with a key frame.
    fn restart(&mut self) {
        self.log.clear();
        self.start = None;
    }

    /// The first packet of the access unit that this one is of, if a decoder can begin there: with a parameter set and an
    /// IDR picture, in whatever packets.
    fn start_of_access_unit(
        &self,
        unit: Unit,
        (newest, seq): (Position, ExtendedSeqNo),
        timestamp: RtpTime,
    ) -> Option<(Position, ExtendedSeqNo)> {
        let precedes_start = self.start.is_some_and(|start| start.timestamp == timestamp && seq < start.seq);
        if !unit.sps && !unit.idr && !precedes_start {
            return None;
        }
        let floor = self.log.start().max(newest.saturating_sub(REORDERED_MAX));
        let (mut all, mut first) = (Unit::default(), (newest, seq));
        for (position, entry) in (floor..).zip(self.log.from(floor)) {
            let Some(unit) = entry.facts.unit.filter(|_| entry.timestamp == timestamp) else { continue };
            all = Unit { sps: all.sps || unit.sps, idr: all.idr || unit.idr };
            if entry.seq < first.1 {
                first = (position, entry.seq);
            }
        }
        (all.sps && all.idr).then_some(first)
    }

    fn note_start(&mut self, packet: Position, seq: ExtendedSeqNo, timestamp: RtpTime, arrived: Instant) {
        let supersedes = self.start.is_none_or(|start| {
            // What comes late may say of an old key frame that it begins.
            timestamp.is_newer_than(start.timestamp) || timestamp == start.timestamp && seq < start.seq
        });
        if !supersedes {
            return;
        }
        let floor = self.log.start().max(packet.saturating_sub(REORDERED_MAX));
        let later = (floor..packet).rev().take_while(|at| self.log.get(*at).is_some_and(|entry| entry.seq > seq));
        let cursor = later.last().unwrap_or(packet);
        if cursor < packet && cursor == floor && floor > 0 {
            // Repaired so late that what follows on it may be gone: one would begin with it and go on with something else.
            return;
        }
        self.start = Some(Start { packet, cursor, seq, timestamp, arrived });
        if let Some(received) = &mut self.received {
            received.request.handle_key_frame();
            received.stream.handle_key_frame(seq);
        }
    }

    /// Where one can begin who was sent nothing that came in after this instant, so that no time passes twice. Sound begins anywhere: at the newest.
    pub(crate) fn start_after(&self, sent: Option<Instant>) -> Option<Start> {
        if self.kind == Kind::Audio {
            let packet = self.log.end().checked_sub(1)?;
            let entry = self.log.get(packet).filter(|entry| !entry.is_empty())?;
            let (seq, timestamp, arrived) = (entry.seq, entry.timestamp, entry.arrived);
            return Some(Start { packet, cursor: packet, seq, timestamp, arrived });
        }
        self.start.filter(|start| start.packet >= self.log.start() && sent.is_none_or(|sent| start.arrived >= sent))
    }

    /// Gives up what has been missing for too long, and what was kept for too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.log.handle_timeout(now);
        let Some(received) = &mut self.received else { return };
        received.stream.handle_timeout(now);
        let Some(before) = received.stream.poll_given_up() else { return };
        // Pictures are missing for good: nobody goes on well without a new beginning. But where nobody reads there is
        // nobody to go on, and encoders make a key frame of all layers if one is asked for.
        self.start = self.start.filter(|start| start.seq >= before);
        if !self.readers.is_empty() {
            received.request.request();
        }
    }

    /// Somebody needs a key frame.
    pub(crate) fn request_key_frame(&mut self) {
        if let Some(received) = &mut self.received {
            received.request.request();
        }
    }
}
