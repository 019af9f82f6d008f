//! What one peer is told by RTCP: how its media arrives, what is missing of it, and how ours is timed.

use std::time::{Duration, Instant};

use plenary_bwe::receiver::{TwccConfig, TwccGenerator};
use plenary_rtp::Ssrc;
use plenary_rtp::rtcp::{ReportBlock, SenderReport};
use plenary_stream::{Departure, NtpClock, ReportWriter};
use plenary_wire::{DataSize, Ecn, Limit, Transmit};
use slotmap::SlotMap;

use super::Connection;
use crate::ids::TrackKey;
use crate::track::{Kind, Track};

/// Bytes of a compound, so that it fits every path with what is put around it.
const COMPOUND_MAX: usize = 1160;

/// Sender reports of one compound at most: 52 bytes each with the name, which leaves room for a report block on each of a
/// dozen layers.
const SENDERS_MAX: usize = 14;

/// How often transport-wide feedback leaves: what rates above 218 kb/s make it, as long as none is known.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes of IP and UDP, which count as RTCP's too (RFC 3550 §6.2).
const LOWER_LAYERS: usize = 28;

/// Scratch for the reports of one compound.
#[derive(Debug, Default)]
pub(super) struct Compound {
    senders: Vec<SenderReport<'static>>,
    blocks: Vec<ReportBlock>,
    /// The slot that is reported on first.
    next: usize,
}

/// What tells a peer when its packets came.
pub(super) fn twcc(sender_ssrc: Ssrc) -> TwccGenerator {
    TwccGenerator::new(TwccConfig { sender_ssrc, interval: FEEDBACK_INTERVAL, ..TwccConfig::default() })
}

impl Connection {
    /// When RTCP is due; `None` as long as there is no way to send it.
    pub(crate) fn reports_due(&mut self, now: Instant) -> Option<Instant> {
        if self.transport.profile().is_none() || self.transport.path().is_none() {
            return None;
        }
        let due = self.twcc.poll_timeout();
        let waits = due.filter(|due| *due > now);
        if waits.is_none() && due.is_some() {
            // From here on it is the schedule's affair, which may make it wait.
            self.schedule.request_feedback();
        }
        let scheduled = self.schedule.poll_timeout();
        Some(waits.map_or(scheduled, |due| due.min(scheduled)))
    }

    /// Whether there is feedback that should not wait for the next report.
    pub(crate) fn note_feedback(&mut self, tracks: &SlotMap<TrackKey, Track>, now: Instant) {
        let waits = self.tracks.iter().filter_map(|track| tracks.get(*track)).any(|track| track.has_feedback(now));
        if waits {
            self.schedule.request_feedback();
        }
    }

    /// Writes a datagram of RTCP, if one is due.
    pub(crate) fn report(
        &mut self,
        tracks: &mut SlotMap<TrackKey, Track>,
        (now, limit): (Instant, Limit),
        (clock, cname): (&NtpClock, &[u8]),
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        let profile = self.transport.profile()?;
        let path = self.transport.path()?;
        let overhead = profile.rtcp_overhead();
        let frame = if path.framed { 2 } else { 0 };
        if limit.segments == 0 || limit.bytes < COMPOUND_MAX + overhead + frame {
            return None;
        }
        let departure = self.schedule.poll(now)?;
        let start = out.len();
        out.resize(start + frame, 0);
        let body = out.len();
        if departure != Departure::ReducedSize {
            self.write_reports(tracks, now, (clock, cname), out);
        }
        self.write_feedback(tracks, now, body, out);
        let len = out.len() - body;
        let size = if len == 0 { 0 } else { len + overhead + LOWER_LAYERS };
        self.schedule.handle_sent(DataSize::from_bytes(size as u64), now);
        if len == 0 {
            out.truncate(start);
            return None;
        }
        out.resize(out.len() + overhead, 0);
        if self.transport.protect_rtcp(&mut out[body..]).is_err() {
            out.truncate(start);
            return None;
        }
        if frame > 0 {
            let len = (out.len() - body) as u16;
            out[start..body].copy_from_slice(&len.to_be_bytes());
        }
        let range = start..out.len();
        let (flow, local, remote) = (path.flow, path.local, path.remote);
        Some(Transmit { flow, local, remote, segment: range.len(), range, ecn: Ecn::NotEct })
    }

    fn write_reports(
        &mut self,
        tracks: &mut SlotMap<TrackKey, Track>,
        now: Instant,
        (clock, cname): (&NtpClock, &[u8]),
        out: &mut Vec<u8>,
    ) {
        let Compound { senders, blocks, next } = &mut self.compound;
        senders.clear();
        blocks.clear();
        // In turn, as far as there is room for them.
        let count = self.slots.len();
        for step in 0..count {
            let index = (*next + step) % count;
            if senders.len() == SENDERS_MAX {
                *next = index;
                break;
            }
            senders.extend(self.slots[index].sender_report(clock, now));
        }
        for track in &self.tracks {
            let layers = tracks.get_mut(*track).map(|track| track.layers.iter_mut()).into_iter().flatten();
            blocks.extend(layers.filter_map(|layer| layer.received.as_mut()?.stream.report_block(now)));
        }
        let _ = ReportWriter::new(self.ssrc, cname, senders, blocks).write(COMPOUND_MAX, out);
    }

    fn write_feedback(&mut self, tracks: &mut SlotMap<TrackKey, Track>, now: Instant, body: usize, out: &mut Vec<u8>) {
        let room = |out: &Vec<u8>| COMPOUND_MAX.saturating_sub(out.len() - body);
        for key in &self.tracks {
            let Some(track) = tracks.get_mut(*key) else { continue };
            let is_video = track.kind == Kind::Video;
            for received in track.layers.iter_mut().filter_map(|layer| layer.received.as_mut()) {
                while let Ok(true) = received.stream.write_nack(self.ssrc, now, room(out), out) {}
                if is_video && room(out) >= 20 {
                    let _ = received.request.write(self.ssrc, now, out);
                }
            }
        }
        // What does not fit comes with the next datagram.
        self.twcc.write(now, room(out), out);
    }
}
