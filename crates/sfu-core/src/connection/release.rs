//! What goes out to one peer: runs of packets, written, numbered and protected at once.

use std::collections::VecDeque;
use std::time::Instant;

use plenary_srtp::Segment;
use plenary_stream::Retransmission;
use plenary_transport::Path;
use plenary_wire::{Ecn, Limit, Transmit};
use slotmap::SlotMap;

use super::Connection;
use crate::ids::TrackKey;
use crate::slot::{Envelope, Next, Switched};
use crate::track::Track;

/// Packets that wait to be sent again at most; what is asked for beyond them has to be asked for again.
const REPAIRS_MAX: usize = 512;

/// Bytes in front of a packet on a stream: its length (RFC 4571 §2).
const FRAME_LEN: usize = 2;

/// What was noticed while packets went out, to be seen to by who owns the tracks.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Slots that went over to another layer.
    pub(crate) switched: Vec<(u16, Switched)>,
    /// Slots that wait for a key frame.
    pub(crate) wishes: Vec<u16>,
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.switched.is_empty() && self.wishes.is_empty()
    }
}

/// What came of asking a peer's connection for what it has to send.
#[derive(Debug)]
pub(crate) enum Release {
    /// This is to be sent.
    Transmit(Transmit),
    /// There is something, and it does not fit the limit.
    TooLong,
    Nothing,
}

/// What was written of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Run,
    TooLong,
    Nothing,
}

/// Packets to be sent again, in the order that they were asked for.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    queue: VecDeque<(u16, Retransmission)>,
}

impl Connection {
    /// Queues what the peer's NACK asks for.
    pub(crate) fn handle_nack(&mut self, slot: u16, lost: impl IntoIterator<Item = plenary_rtp::SeqNo>, now: Instant) {
        let room = REPAIRS_MAX - self.repairs.queue.len();
        if let Some(it) = self.slots.get_mut(usize::from(slot)) {
            self.repairs.queue.extend(it.handle_nack(lost, now).take(room).map(|again| (slot, again)));
        }
    }

    /// Writes the next packets for this peer, all of one slot: as many as go out as one.
    pub(crate) fn release(
        &mut self,
        tracks: &SlotMap<TrackKey, Track>,
        (now, limit): (Instant, Limit),
        notes: &mut Notes,
        out: &mut Vec<u8>,
    ) -> Release {
        let (Some(profile), Some(path)) = (self.transport.profile(), self.transport.path()) else {
            return Release::Nothing;
        };
        let overhead = profile.rtp_overhead();
        // On a stream each packet is a frame of its own.
        let frame = if path.framed { FRAME_LEN } else { 0 };
        let segments = if path.framed { limit.segments.min(1) } else { limit.segments };
        let limit = Limit { bytes: limit.bytes.saturating_sub(frame), segments };
        let start = out.len();
        loop {
            out.resize(start + frame, 0);
            let mut written = self.write_repair(tracks, overhead, limit, out);
            if written == Written::Nothing {
                written = self.write_slots(tracks, (now, limit), notes, (overhead, out));
            }
            if written != Written::Run {
                out.truncate(start);
                return if written == Written::TooLong { Release::TooLong } else { Release::Nothing };
            }
            // One that can't be protected is gone, and the next has its turn.
            if let Some(transmit) = self.protect(path, start, frame, out) {
                return Release::Transmit(transmit);
            }
        }
    }

    fn protect(&mut self, path: Path, start: usize, frame: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        if self.transport.protect_rtp_run(&mut out[start + frame..], &self.run).is_err() {
            // An index that was used, or a key that is: what was numbered is lost, and nothing leaves in the clear.
            out.truncate(start);
            return None;
        }
        if frame > 0 {
            let len = (out.len() - start - frame) as u16;
            out[start..start + frame].copy_from_slice(&len.to_be_bytes());
        }
        let Path { flow, local, remote, .. } = path;
        let segment = self.run.first().map_or(0, |first| first.len) + frame;
        Some(Transmit { flow, local, remote, range: start..out.len(), segment, ecn: Ecn::NotEct })
    }

    fn write_repair(
        &mut self,
        tracks: &SlotMap<TrackKey, Track>,
        overhead: usize,
        limit: Limit,
        out: &mut Vec<u8>,
    ) -> Written {
        let envelope = Envelope { extensions: &self.sent_extensions, overhead };
        while let Some((index, repair)) = self.repairs.queue.front() {
            let slot = self.slots.get_mut(usize::from(*index));
            let start = out.len();
            let written = slot.and_then(|slot| {
                let track = tracks.get(slot.track_of(repair)?)?;
                Some((slot.write_again(repair, track, &envelope, out)?, slot))
            });
            let fits = out.len() - start <= limit.bytes && limit.segments > 0;
            if written.is_none() || !fits {
                out.truncate(start);
            }
            if written.is_some() && !fits {
                return Written::TooLong;
            }
            self.repairs.queue.pop_front();
            if let Some((again, slot)) = written {
                slot.commit_again(again);
                self.run.clear();
                self.run.push(Segment { len: out.len() - start, index: None });
                return Written::Run;
            }
        }
        Written::Nothing
    }

    fn write_slots(
        &mut self,
        tracks: &SlotMap<TrackKey, Track>,
        (now, limit): (Instant, Limit),
        notes: &mut Notes,
        (overhead, out): (usize, &mut Vec<u8>),
    ) -> Written {
        while let Some(index) = self.pending.first() {
            let slot = self.slots.get(usize::from(index));
            let track = slot.and_then(|slot| slot.source()).and_then(|source| tracks.get(source.track));
            let Some(track) = track else {
                self.pending.remove(index);
                continue;
            };
            self.run.clear();
            self.write_run(index, track, (now, limit), notes, (overhead, out));
            if !self.run.is_empty() {
                return Written::Run;
            }
            if self.pending.first() == Some(index) {
                return Written::TooLong;
            }
        }
        Written::Nothing
    }

    /// Writes packets of one slot as long as they are of one size; one that is shorter ends the run.
    fn write_run(
        &mut self,
        index: u16,
        track: &Track,
        (now, limit): (Instant, Limit),
        notes: &mut Notes,
        (overhead, out): (usize, &mut Vec<u8>),
    ) {
        let Some(slot) = self.slots.get_mut(usize::from(index)) else { return };
        let envelope = Envelope { extensions: &self.sent_extensions, overhead };
        let start = out.len();
        while self.run.len() < limit.segments {
            let mut switched = None;
            let next = slot.next(track, &mut switched);
            notes.switched.extend(switched.map(|switched| (index, switched)));
            if next != Next::Packet {
                self.pending.remove(index);
                if next == Next::NeedsKeyFrame {
                    notes.wishes.push(index);
                }
                return;
            }
            if self.run.is_empty() {
                slot.even_out(track, limit.segments);
            }
            let before = out.len();
            let Some(written) = slot.write(track, &envelope, out) else {
                out.truncate(before);
                slot.pass_over();
                continue;
            };
            let first = self.run.first().map_or(written.len, |first| first.len);
            if written.len > first || out.len() - start > limit.bytes {
                out.truncate(before);
                return;
            }
            slot.commit(track, &written, now);
            self.run.push(Segment { len: written.len, index: Some(written.number) });
            if written.len < first {
                return;
            }
        }
    }
}
