//! One section of a call: what comes in it, and goes back.

use std::time::{Duration, Instant};

use plenary_rtp::payload::{Codec, rtx};
use plenary_rtp::rtcp::SenderReport;
use plenary_rtp::{ClockRate, ExtendedSeqNo, Packet, PacketMut, Ssrc};
use plenary_sdp::offer_answer::{NegotiatedCodec, RtpPolicy, RtpSection};
use plenary_sdp::{Feedback, GroupSemantics, Media, MediaKind, Mid, PayloadType};
use plenary_stream::{
    NackConfig, PictureRequest, PictureRequestConfig, ReceiveConfig, ReceiveStream, Received, Repair, RequestKind,
};

use crate::call::Wire;
use crate::capture::{Anchor, PeerClock, captured_at};
use crate::description::{self, Sources};
use crate::outgoing::{Outgoing, Shift};

/// A picture can wait for a missing packet as long as the page's jitter buffer waits for the picture.
const PATIENCE: Duration = Duration::from_millis(500);

pub(crate) struct Track {
    pub(crate) mid: Mid,
    pub(crate) kind: MediaKind,
    /// What was agreed on.
    pub(crate) section: Option<RtpSection>,
    pub(crate) incoming: Option<Incoming>,
    pub(crate) outgoing: Outgoing,
    clock_rate: ClockRate,
}

/// The stream that the peer sends.
pub(crate) struct Incoming {
    pub(crate) receive: ReceiveStream,
    /// Asked by the peer, as who watches, of the peer, as who sends.
    pub(crate) picture: PictureRequest,
    pub(crate) frames: u64,
    pub(crate) key_frames: u64,
    shift: Option<Shift>,
    anchor: Option<Anchor>,
}

impl Track {
    pub(crate) fn new(mid: Mid, kind: MediaKind, now: Instant) -> Self {
        let clock_rate = if kind == MediaKind::Audio { ClockRate::OPUS } else { ClockRate::VIDEO };
        let outgoing = Outgoing::new(clock_rate, now);
        Self { mid, kind, section: None, incoming: None, outgoing, clock_rate }
    }

    pub(crate) fn policy(&self, cname: &str) -> RtpPolicy {
        description::rtp_policy(&self.kind, &self.sources(cname))
    }

    pub(crate) fn offer(&self, cname: &str) -> Media {
        description::offered_section(self.kind.clone(), self.mid.clone(), &self.sources(cname))
    }

    fn sources<'a>(&self, cname: &'a str) -> Sources<'a> {
        let repeats = |section: &RtpSection| section.codecs.iter().any(|codec| codec.rtx.is_some());
        let rtx = self.section.as_ref().map_or(self.kind == MediaKind::Video, repeats);
        Sources { ssrc: self.outgoing.ssrc.0, rtx: rtx.then_some(self.outgoing.rtx_ssrc.0), cname }
    }

    /// What was agreed on holds from now on.
    pub(crate) fn agree(&mut self, section: &RtpSection) {
        self.outgoing.agree(section);
        self.section = Some(section.clone());
    }

    /// Whether packets of this source are the track's, as the peer's description or an earlier packet says.
    pub(crate) fn has(&self, ssrc: Ssrc) -> bool {
        let Some(section) = &self.section else { return false };
        self.incoming.as_ref().is_some_and(|incoming| incoming.receive.ssrc() == ssrc)
            || section.remote_sources.iter().any(|source| source.ssrc == ssrc.0)
            || fid(section).any(|group| group.contains(&ssrc.0))
    }

    pub(crate) fn codec(&self, payload_type: u8) -> Option<&NegotiatedCodec> {
        self.section.as_ref()?.codec(PayloadType::new(payload_type).ok()?)
    }

    /// Takes a packet, and sends it back. Says whether it was of use.
    pub(crate) fn handle_rtp(&mut self, bytes: &mut [u8], now: Instant, wire: &mut Wire<'_>) -> bool {
        let Ok(packet) = Packet::parse(bytes) else { return false };
        let Some(codec) = self.codec(packet.payload_type()) else { return false };
        let (media, rtx) = (codec.payload_type.number(), codec.rtx.map(PayloadType::number));
        if rtx == Some(packet.payload_type()) {
            let payload = packet.payload_range();
            return self.handle_repair(bytes, payload, media, now, wire);
        }
        if self.incoming.as_ref().is_none_or(|incoming| incoming.receive.ssrc() != packet.ssrc()) {
            self.incoming = Some(self.receive(packet.ssrc(), now));
        }
        let Some(incoming) = &mut self.incoming else { return false };
        let seq = match incoming.receive.handle_packet(&(&packet).into(), now) {
            Received::New { seq, .. } | Received::Late { seq, .. } => seq,
            Received::Restart { seq } => {
                incoming.shift = None;
                seq
            }
            Received::Duplicate { .. } | Received::Jump => return false,
        };
        self.send_back(seq, &packet, now, wire);
        true
    }

    /// Takes a retransmission (RFC 4588). Probes for bandwidth repeat what is here, or nothing.
    fn handle_repair(
        &mut self,
        bytes: &mut [u8],
        payload: std::ops::Range<usize>,
        payload_type: u8,
        now: Instant,
        wire: &mut Wire<'_>,
    ) -> bool {
        let Some(incoming) = &mut self.incoming else { return false };
        let Ok(Some((number, original))) = rtx::strip(bytes, payload) else { return false };
        let Repair::Repaired { seq, .. } = incoming.receive.handle_repair(number) else { return false };
        let Ok(mut packet) = PacketMut::parse(original) else { return false };
        if packet.set_payload_type(payload_type).is_err() {
            return false;
        }
        self.send_back(seq, &packet.as_packet(), now, wire);
        true
    }

    fn send_back(&mut self, seq: ExtendedSeqNo, packet: &Packet<'_>, now: Instant, wire: &mut Wire<'_>) {
        let Some(section) = &self.section else { return };
        let sends = section.direction.sends();
        let codec = PayloadType::new(packet.payload_type()).ok().and_then(|it| section.codec(it)).and_then(payload);
        let Some(incoming) = &mut self.incoming else { return };
        incoming.frames += u64::from(packet.marker() || self.kind == MediaKind::Audio);
        if let Some(Ok(description)) = codec.map(|codec| codec.describe(packet.payload()))
            && description.starts_frame
            && description.key_frame
        {
            incoming.key_frames += 1;
            incoming.picture.handle_key_frame();
        }
        if sends {
            let follow = || self.outgoing.follow(seq.0, packet.timestamp(), now);
            let shift = *incoming.shift.get_or_insert_with(follow);
            let captured_at = captured_at(incoming.anchor, packet.timestamp(), self.clock_rate, now);
            self.outgoing.send((seq.0, shift), packet, captured_at, now, wire);
        }
    }

    /// The stream of a new source.
    fn receive(&self, ssrc: Ssrc, now: Instant) -> Incoming {
        let has = |feedback| {
            let codecs = self.section.iter().flat_map(|section| &section.codecs);
            codecs.flat_map(|codec| &codec.feedback).any(|one| *one == feedback)
        };
        let nack = NackConfig { patience_margin: PATIENCE, patience_max: 2 * PATIENCE, ..NackConfig::default() };
        let nack = has(Feedback::Nack).then_some(nack);
        let config = ReceiveConfig { nack, ..ReceiveConfig::new(ssrc, self.clock_rate) };
        let kind = if has(Feedback::NackPli) { RequestKind::Pli } else { RequestKind::Fir };
        let picture = PictureRequestConfig { kind, ..PictureRequestConfig::pli(ssrc) };
        Incoming {
            receive: ReceiveStream::new(config, now).expect("the limits are the default ones"),
            picture: PictureRequest::new(picture).expect("the interval is the default one"),
            frames: 0,
            key_frames: 0,
            shift: None,
            anchor: None,
        }
    }

    /// Takes the report of the peer on its stream.
    pub(crate) fn handle_sender_report(&mut self, report: &SenderReport<'_>, clock: &mut PeerClock, now: Instant) {
        if let Some(incoming) = self.incoming.as_mut().filter(|incoming| incoming.receive.ssrc() == report.ssrc) {
            incoming.receive.handle_sender_report(report, now);
            incoming.anchor = clock.anchor(report, now);
        }
    }

    pub(crate) fn set_round_trip(&mut self, round_trip: Duration) {
        self.outgoing.set_round_trip(round_trip);
        if let Some(incoming) = &mut self.incoming {
            incoming.receive.set_round_trip(round_trip);
            incoming.picture.set_round_trip(round_trip);
        }
    }
}

/// A stream and its retransmissions, in pairs.
fn fid(section: &RtpSection) -> impl Iterator<Item = &Vec<u32>> {
    section.remote_ssrc_groups.iter().filter(|group| group.semantics == GroupSemantics::Fid).map(|group| &group.ssrcs)
}

/// Codecs whose key frames are of interest.
fn payload(codec: &NegotiatedCodec) -> Option<Codec> {
    Some(match codec.format.encoding.as_str().to_ascii_uppercase().as_str() {
        "VP8" => Codec::Vp8,
        "VP9" => Codec::Vp9,
        "H264" => Codec::H264,
        "AV1" => Codec::Av1,
        _ => return None,
    })
}
