//! Packets of a slot: the only copy that is made of them for a subscriber.

use std::time::Instant;

use plenary_rtp::extension::Mid;
use plenary_rtp::{Header, PacketWriter, SeqNo};
use plenary_stream::{Retransmission, SentPacket};
use plenary_wire::DataSize;

use super::{Slot, Span};
use crate::extensions::Extensions;
use crate::log::{Entry, Log};
use crate::track::Track;

/// What all packets to one subscriber have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'e> {
    pub(crate) extensions: &'e Extensions,
    /// Bytes that SRTP adds.
    pub(crate) overhead: usize,
}

/// A packet that was written. It counts once it is [committed](Slot::commit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its sequence number, unwrapped.
    pub(crate) number: u64,
    /// Its bytes, with the room that SRTP needs.
    pub(crate) len: usize,
    /// Bytes of padding among them.
    pub(crate) padding: u8,
}

/// A packet that was written once more. It counts once it is [committed](Slot::commit_again).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Again {
    payload_len: usize,
}

/// Bytes of the original's number, in front of the payload (RFC 4588 §4).
const ORIGINAL_LEN: usize = 2;

/// Bytes of the longest dependency descriptor that is forwarded: an element of the two-byte form.
const DESCRIPTOR_MAX: usize = 255;

impl Slot {
    /// Appends the packet at the cursor, which [`next`](Self::next) has called one. Nothing is spent yet.
    pub(crate) fn write(&self, track: &Track, envelope: &Envelope<'_>, out: &mut Vec<u8>) -> Option<Written> {
        let run = self.source.as_ref()?.run.as_ref()?;
        let log = &track.layers.get(usize::from(run.span.layer))?.log;
        let entry = log.get(run.cursor)?;
        let number = run.sequence.number(entry.seq)?;
        let header = Header {
            marker: entry.marker || run.is_first,
            payload_type: run.span.format.payload_type,
            sequence_number: SeqNo(number as u16),
            timestamp: entry.timestamp.wrapping_add(run.span.timestamp),
            ssrc: self.config.ssrc,
            csrcs: run.span.csrc.as_slice(),
        };
        let start = out.len();
        let padding = run.even.map_or(0, |even| even.padding(run.cursor, entry.payload_len()));
        self.write_packet(&header, (log, entry), &run.span, (envelope, None, padding), out)?;
        out.resize(out.len() + envelope.overhead, 0);
        Some(Written { number, len: out.len() - start, padding })
    }

    /// Appends a packet that was sent before as one of the RTX stream, if it is still there.
    pub(crate) fn write_again(
        &self,
        repair: &Retransmission,
        track: &Track,
        envelope: &Envelope<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Again> {
        let (span, position, is_first) = self.span_of(repair.token)?;
        let log = &track.layers.get(usize::from(span.layer))?.log;
        let entry = log.get(position)?;
        let header = Header {
            marker: entry.marker || is_first,
            payload_type: span.format.rtx_payload_type?,
            sequence_number: repair.sequence_number,
            timestamp: entry.timestamp.wrapping_add(span.timestamp),
            ssrc: self.config.rtx_ssrc?,
            csrcs: span.csrc.as_slice(),
        };
        self.write_packet(&header, (log, entry), &span, (envelope, Some(repair.original), 0), out)?;
        out.resize(out.len() + envelope.overhead, 0);
        Some(Again { payload_len: entry.payload_len() + ORIGINAL_LEN })
    }

    /// The packet was sent again as it was written.
    pub(crate) const fn commit_again(&mut self, again: Again) {
        self.stream.handle_retransmitted(again.payload_len);
    }

    /// The track of a packet that is to be sent again, if it is known.
    pub(crate) fn track_of(&self, repair: &Retransmission) -> Option<crate::ids::TrackKey> {
        self.span_of(repair.token).map(|(span, ..)| span.track)
    }

    fn write_packet(
        &self,
        header: &Header<'_>,
        (log, entry): (&Log, &Entry),
        span: &Span,
        (envelope, original, padding): (&Envelope<'_>, Option<SeqNo>, u8),
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let mut writer = PacketWriter::begin(header, out).ok()?;
        self.write_elements(&mut writer, (log, entry), span, envelope)?;
        let mut payload = writer.into_payload();
        if let Some(original) = original {
            payload.append(&original.0.to_be_bytes());
        }
        payload.append(log.payload(entry));
        if entry.is_empty() {
            payload.finish_padded(1);
            return Some(());
        }
        let end = payload.finish_padded(padding).end - usize::from(padding);
        span.shift.apply(span.format.codec, &entry.facts, &mut out[end - entry.payload_len()..end]);
        Some(())
    }

    fn write_elements(
        &self,
        writer: &mut PacketWriter<'_>,
        (log, entry): (&Log, &Entry),
        span: &Span,
        envelope: &Envelope<'_>,
    ) -> Option<()> {
        let (ids, facts) = (envelope.extensions, &entry.facts);
        if ids.mid != 0 && !self.mid_acknowledged {
            writer.element(ids.mid, &Mid::new(&self.config.mid).ok()?).ok()?;
        }
        if ids.dependency_descriptor != 0
            && let Some((range, _)) = &facts.descriptor
        {
            let descriptor = log.header(entry, range.clone());
            let mut shifted = [0; DESCRIPTOR_MAX];
            let shifted = shifted.get_mut(..descriptor.len())?;
            shifted.copy_from_slice(descriptor);
            span.shift.apply_to_descriptor(facts, shifted);
            writer.extension(ids.dependency_descriptor, shifted).ok()?;
        }
        for (id, element) in [(ids.audio_level, facts.audio_level), (ids.orientation, facts.orientation)] {
            if let Some(byte) = element.filter(|_| id != 0) {
                writer.extension(id, &[byte]).ok()?;
            }
        }
        Some(())
    }

    /// The packet at the cursor was sent as it was written.
    pub(crate) fn commit(&mut self, track: &Track, written: &Written, now: Instant) -> Option<()> {
        let run = self.source.as_mut()?.run.as_mut()?;
        let entry = track.layers.get(usize::from(run.span.layer))?.log.get(run.cursor)?;
        let timestamp = entry.timestamp.wrapping_add(run.span.timestamp);
        let first = if run.is_first { FIRST } else { 0 };
        let token = u64::from(self.spans_begun) << SPAN_SHIFT | first | run.cursor & POSITION_MASK;
        run.sequence.sent(entry.seq);
        run.cursor += 1;
        run.is_first = false;
        self.next = self.next.max(written.number + 1);
        self.padding.sent(written.len, written.padding);
        self.pictures.sent(&entry.facts, &run.span.shift);
        // Padding that had to be sent is missed like any other packet, but stands for no time of its own.
        if !entry.is_empty() {
            let sampled_at = self.timeline.sent(timestamp, entry.arrived);
            self.stream.handle_sent(&SentPacket { timestamp, payload_len: entry.payload_len(), sampled_at });
        }
        if self.config.rtx_ssrc.is_some() {
            self.history.handle_sent(
                SeqNo(written.number as u16),
                token,
                DataSize::from_bytes(written.len as u64),
                now,
            );
        }
        Some(())
    }

    /// The span and the position that a token names, and whether it is the first of a run of sound.
    fn span_of(&self, token: u64) -> Option<(Span, u64, bool)> {
        let back = self.spans_begun.wrapping_sub((token >> SPAN_SHIFT) as u16);
        let index = self.spans.len().checked_sub(usize::from(back) + 1)?;
        self.spans.get(index).map(|span| (*span, token & POSITION_MASK, token & FIRST != 0))
    }
}

/// A token is the number of a span, a bit for the first of a run, and the position of a packet: four years at a million
/// packets a second.
const SPAN_SHIFT: u32 = 48;
const FIRST: u64 = 1 << 47;
const POSITION_MASK: u64 = FIRST - 1;
