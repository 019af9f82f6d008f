//! All media of one call: which packet belongs to which section, and when something is due.

use std::time::Instant;

use plenary_rtp::Packet;
use plenary_rtp::extension::Mid as MidElement;
use plenary_sdp::offer_answer::{LocalTransport, Policy, Section};
use plenary_sdp::{Description, Media as MediaSection, MediaKind, Mid, Origin, Protocol};
use plenary_stream::{NtpClock, RoundTrip, Schedule, ScheduleConfig};

use crate::call::Wire;
use crate::capture::PeerClock;
use crate::chance::draw;
use crate::description::MID;
use crate::track::Track;

/// Sections of a call that have a track; each keeps up to 0.7 MB of packets. Others are rejected.
const TRACKS_MAX: usize = 8;

pub(crate) struct Media {
    pub(crate) tracks: Vec<Track>,
    /// Names the sender of all of our streams.
    pub(crate) cname: String,
    pub(crate) clock: NtpClock,
    pub(crate) peer_clock: PeerClock,
    pub(crate) round_trip: RoundTrip,
    /// When RTCP leaves; there is none before something was agreed on.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) counters: Counters,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// RTP packets and RTCP datagrams that were authentic.
    pub(crate) rtp: u64,
    pub(crate) rtcp: u64,
    /// Those of them that are not what they should be.
    pub(crate) malformed: u64,
    /// RTP packets of no section.
    pub(crate) unknown_source: u64,
    /// Duplicates, probes for bandwidth, and payload types that were not agreed on.
    pub(crate) unused: u64,
}

impl Media {
    pub(crate) fn new(clock: NtpClock) -> Self {
        Self {
            tracks: Vec::new(),
            cname: format!("{:016x}", u64::from_ne_bytes(draw())),
            clock,
            peer_clock: PeerClock::default(),
            round_trip: RoundTrip::new(),
            schedule: None,
            counters: Counters::default(),
        }
    }

    /// Makes a track for each section of audio and video that is new in an offer.
    pub(crate) fn make_tracks(&mut self, offer: &Description, now: Instant) {
        let is_media = |media: &&MediaSection| {
            matches!((&media.kind, &media.protocol), (MediaKind::Audio | MediaKind::Video, Protocol::Rtp(_)))
        };
        for media in offer.media.iter().filter(|media| !media.is_rejected()).filter(is_media) {
            let Some(mid) = media.mid() else { continue };
            if self.tracks.len() < TRACKS_MAX && !self.tracks.iter().any(|track| track.mid == *mid) {
                self.tracks.push(Track::new(mid.clone(), media.kind.clone(), now));
            }
        }
    }

    /// The sections of an offer of ours: audio and video.
    pub(crate) fn offer(&mut self, now: Instant) -> Vec<MediaSection> {
        for (mid, kind) in [("0", MediaKind::Audio), ("1", MediaKind::Video)] {
            self.tracks.push(Track::new(Mid::new(mid).expect("it is a token"), kind, now));
        }
        self.tracks.iter().map(|track| track.offer(&self.cname)).collect()
    }

    /// How an offer is answered: the sections that have a track are accepted, and no other.
    pub(crate) fn policy(&self, origin: Origin, transport: LocalTransport) -> Policy {
        let own = |track: &Track| (track.mid.clone(), Some(track.policy(&self.cname)));
        let sections = self.tracks.iter().map(own).collect();
        Policy { origin, transport, audio: None, video: None, data: None, sections }
    }

    /// What was agreed on holds from now on.
    pub(crate) fn agree(&mut self, sections: &[Section], now: Instant) {
        let mut reduced_size = true;
        for section in sections {
            let Section::Rtp(section) = section else { continue };
            reduced_size &= section.reduced_size;
            if let Some(track) = self.tracks.iter_mut().find(|track| Some(&track.mid) == section.mid.as_ref()) {
                track.agree(section);
            }
        }
        self.schedule.get_or_insert_with(|| {
            let config = ScheduleConfig { entropy: u64::from_ne_bytes(draw()), reduced_size, ..Default::default() };
            Schedule::new(config, now).expect("the limits are the default ones")
        });
    }

    /// Takes an RTP packet in the clear, and sends it back.
    pub(crate) fn handle_rtp(&mut self, bytes: &mut [u8], now: Instant, wire: &mut Wire<'_>) {
        self.counters.rtp += 1;
        let Ok(packet) = Packet::parse(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        match self.track_of(&packet) {
            Some(track) => {
                let used = self.tracks[track].handle_rtp(bytes, now, wire);
                self.counters.unused += u64::from(!used);
            }
            None => self.counters.unknown_source += 1,
        }
    }

    /// The section of a packet, as RFC 9143 §9.2 finds it: by a source that is known, by its MID, or by a payload type that
    /// only one section has.
    fn track_of(&self, packet: &Packet<'_>) -> Option<usize> {
        let by_source = self.tracks.iter().position(|track| track.has(packet.ssrc()));
        let by_mid = || {
            let mid_of = |track: &Track| {
                let id = track.section.as_ref()?.extension_id(MID, false)?;
                packet.element::<MidElement<'_>>(id.number())?.ok()
            };
            self.tracks.iter().position(|track| mid_of(track).is_some_and(|mid| *mid.as_str() == *track.mid.as_str()))
        };
        let by_payload_type = || {
            let mut having =
                (0..self.tracks.len()).filter(|it| self.tracks[*it].codec(packet.payload_type()).is_some());
            having.next().filter(|_| having.next().is_none())
        };
        by_source.or_else(by_mid).or_else(by_payload_type)
    }

    /// What is missing is given up or asked for.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for incoming in self.tracks.iter_mut().filter_map(|track| track.incoming.as_mut()) {
            incoming.receive.handle_timeout(now);
        }
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let incoming = self.tracks.iter().filter_map(|track| track.incoming.as_ref());
        let due = incoming.flat_map(|it| [it.receive.poll_timeout(), it.picture.poll_timeout(now)]);
        let regular = self.schedule.as_ref().map(Schedule::poll_timeout);
        due.chain([regular]).flatten().min()
    }
}
