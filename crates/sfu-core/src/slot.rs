//! One stream that a subscriber receives: whatever source is in it, its numbers and times go on without a break.

mod padding;
mod picture;
mod sequence;
mod timeline;
mod write;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_rtp::payload::Codec;
use plenary_rtp::rtcp::{ReportBlock, SenderReport};
use plenary_rtp::{ClockRate, RtpTime, SeqNo, Ssrc};
use plenary_stream::{HistoryConfig, NtpClock, Retransmission, SendConfig, SendHistory, SendStream};

use crate::SlotContent;
use crate::ids::{SubscriptionKey, TrackKey};
use crate::log::Position;
use crate::track::{Kind, Track};

use padding::{Even, Padding};
use picture::{Pictures, Shift};
use sequence::Sequence;
use timeline::Timeline;

pub(crate) use write::Envelope;

/// Runs of sources whose packets may still be asked for. Older ones are not sent again.
const SPANS_MAX: usize = 16;

/// How a codec is sent in a slot, as the subscriber's answer has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// The payload type of its retransmissions, if the subscriber takes them.
    pub rtx_payload_type: Option<u8>,
}

/// What a slot is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotConfig {
    /// What it shows or plays.
    pub kind: Kind,
    /// Its MID, written into packets until the subscriber has reported on them.
    pub mid: String,
    /// What it is sent as.
    pub ssrc: Ssrc,
    /// What is repeated goes out as this stream (RFC 4588); `None` for no retransmission.
    pub rtx_ssrc: Option<Ssrc>,
    /// Audio and video slots of one number share a stream, and so are played in step by browsers; `None` if it is alone.
    pub pair: Option<u16>,
    /// What the subscriber takes here.
    pub formats: Vec<Format>,
}

/// Where a slot's numbers begin: random ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginnings {
    pub(crate) sequence_number: u16,
    pub(crate) rtx_sequence_number: u16,
    pub(crate) timestamp: u32,
    pub(crate) picture_id: u16,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) config: SlotConfig,
    mid_acknowledged: bool,
    /// The number of the next packet that is not the repair of a hole.
    next: u64,
    first_timestamp: u32,
    timeline: Timeline,
    padding: Padding,
    pictures: Pictures,
    /// The newest last; its number is that of all that were, less one.
    spans: VecDeque<Span>,
    spans_begun: u16,
    history: SendHistory,
    stream: SendStream,
    source: Option<Source>,
    /// What the page was told last.
    pub(crate) told: Option<SlotContent>,
    /// That is yet to be asked for.
    pub(crate) has_change: bool,
    is_closed: bool,
}

/// One run of a source, from where it begins to where another takes its place.
#[derive(Clone, Copy, Debug)]
struct Span {
    track: TrackKey,
    layer: u8,
    format: Format,
    timestamp: u32,
    shift: Shift,
    /// Stands in the packets of sound, for the page to know whom it hears.
    csrc: Option<Ssrc>,
}

/// What is in the slot.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) subscription: SubscriptionKey,
    pub(crate) track: TrackKey,
    pub(crate) format: Format,
    /// The layer that is to be sent; `None` while it is paused.
    pub(crate) wanted: Option<u8>,
    csrc: Ssrc,
    run: Option<Run>,
}

impl Source {
    /// Paused, until a layer is chosen.
    pub(crate) const fn new(subscription: SubscriptionKey, track: TrackKey, format: Format, csrc: Ssrc) -> Self {
        Self { subscription, track, format, wanted: None, csrc, run: None }
    }
}

/// What is sent at present.
#[derive(Debug)]
struct Run {
    cursor: Position,
    sequence: Sequence,
    span: Span,
    /// The next packet is marked, as sound begins there (RFC 3551 §4.1).
    is_first: bool,
    even: Option<Even>,
}

impl Run {
    fn is_behind(&self, track: &Track) -> bool {
        track.layers.get(usize::from(self.span.layer)).is_some_and(|layer| self.cursor < layer.log.start())
    }
}

/// What a slot has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The packet at the cursor is to be sent.
    Packet,
    /// All that came was sent.
    Idle,
    /// There is nothing to begin with: a key frame is to be asked for.
    NeedsKeyFrame,
}

/// What has changed in a slot while it was read, for whoever keeps the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switched {
    /// The layer that it does not read any more, if there was one.
    pub(crate) from: Option<u8>,
    pub(crate) to: u8,
    /// The first timestamp of what is sent from here on.
    pub(crate) timestamp: RtpTime,
}

impl Slot {
    pub(crate) fn new(config: SlotConfig, begin: &Beginnings, padding_max: u8, now: Instant) -> Self {
        let (clock_rate, step) = match config.kind {
            Kind::Audio => (ClockRate::OPUS, 960),
            Kind::Video => (ClockRate::VIDEO, 1),
        };
        // A stream begins below 2^15, else the loss of its first packets may cost the whole of it (RFC 3711 §3.3.1).
        let rtx_first = SeqNo(begin.rtx_sequence_number & 0x7fff);
        let history = HistoryConfig { rtx_first, ..HistoryConfig::default() };
        Self {
            mid_acknowledged: config.mid.is_empty(),
            next: u64::from(begin.sequence_number & 0x7fff),
            first_timestamp: begin.timestamp,
            timeline: Timeline::new(clock_rate, step),
            padding: Padding::new(padding_max),
            pictures: Pictures::starting_at(begin.picture_id & 0x7fff),
            spans: VecDeque::new(),
            spans_begun: 0,
            history: SendHistory::new(history, now).expect("the default limits are within their ranges"),
            stream: SendStream::new(SendConfig { ssrc: config.ssrc, clock_rate }),
            source: None,
            told: None,
            has_change: false,
            is_closed: false,
            config,
        }
    }

    /// How this codec is sent here, if the subscriber takes it.
    pub(crate) fn format(&self, codec: Codec) -> Option<Format> {
        self.config.formats.iter().copied().find(|format| format.codec == codec)
    }

    pub(crate) const fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// Puts a track into the slot. What was in it is gone.
    pub(crate) fn attach(&mut self, source: Source) {
        self.source = Some(source);
    }

    pub(crate) fn detach(&mut self) -> Option<Source> {
        self.source.take()
    }

    /// It is over: another may take its place.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.config.mid.clear();
    }

    /// Whether it is of this kind and nothing is in it.
    pub(crate) fn is_free(&self, kind: Kind) -> bool {
        self.config.kind == kind && self.source().is_none()
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Chooses the layer, or none. The one that is sent goes on until the other has a key frame.
    pub(crate) fn want(&mut self, layer: Option<u8>) {
        if let Some(source) = &mut self.source {
            source.wanted = layer;
            if layer.is_none() {
                source.run = None;
            }
        }
    }

    /// The layer that is read now.
    pub(crate) fn current(&self) -> Option<u8> {
        self.source.as_ref()?.run.as_ref().map(|run| run.span.layer)
    }

    /// Looks what is next, and goes over to the layer that is wanted if that can be done now.
    pub(crate) fn next(&mut self, track: &Track, switched: &mut Option<Switched>) -> Next {
        let Some(source) = &mut self.source else { return Next::Idle };
        let Some(wanted) = source.wanted else { return Next::Idle };
        // Who fell behind what the log keeps would go on with parts of pictures.
        source.run.take_if(|run| run.is_behind(track));
        let current = source.run.as_ref().map(|run| run.span.layer);
        if current != Some(wanted) {
            match self.begin(track, wanted) {
                Some(timestamp) => {
                    *switched = Some(Switched { from: current, to: wanted, timestamp });
                }
                None if current.is_none() && track.kind == Kind::Video => return Next::NeedsKeyFrame,
                None => {}
            }
        }
        self.advance(track)
    }

    /// Begins to read a layer, if there is a place to begin.
    fn begin(&mut self, track: &Track, wanted: u8) -> Option<RtpTime> {
        let layer = track.layers.get(usize::from(wanted))?;
        let start = layer.start_after(self.timeline.newest_arrival())?;
        let entry = layer.log.get(start.packet)?;
        let source = self.source.as_mut()?;
        let timestamp = self.timeline.join(entry.timestamp, entry.arrived, self.first_timestamp);
        let shift = self.pictures.join(&entry.facts);
        let is_audio = track.kind == Kind::Audio;
        let csrc = is_audio.then_some(source.csrc);
        let span = Span { track: source.track, layer: wanted, format: source.format, timestamp, shift, csrc };
        let sequence = Sequence::new(entry.seq, self.next);
        let cursor = start.cursor.max(layer.log.start());
        source.run = Some(Run { cursor, sequence, span, is_first: is_audio, even: None });
        self.keep(span);
        Some(entry.timestamp.wrapping_add(timestamp))
    }

    /// Makes the packets from the cursor on of one size, `count` at most, as far as little padding does it: they go out
    /// together.
    pub(crate) fn even_out(&mut self, track: &Track, count: usize) {
        let Some(run) = self.source.as_mut().and_then(|source| source.run.as_mut()) else { return };
        let log = track.layers.get(usize::from(run.span.layer)).map(|layer| &layer.log);
        run.even = log.and_then(|log| self.padding.plan(run.cursor, log.from(run.cursor).take(count)));
    }

    /// Leaves out the packet at the cursor, which can't be written.
    pub(crate) fn pass_over(&mut self) {
        if let Some(run) = self.source.as_mut().and_then(|source| source.run.as_mut()) {
            run.cursor += 1;
        }
    }

    /// Keeps a span for what of it may be asked for again.
    fn keep(&mut self, span: Span) {
        if self.spans.len() == SPANS_MAX {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
        self.spans_begun = self.spans_begun.wrapping_add(1);
    }

    /// Steps over what is not sent, up to a packet that is.
    fn advance(&mut self, track: &Track) -> Next {
        let Some(source) = &mut self.source else { return Next::Idle };
        let Some(run) = &mut source.run else { return Next::Idle };
        let Some(layer) = track.layers.get(usize::from(run.span.layer)) else { return Next::Idle };
        loop {
            if run.cursor == layer.log.end() {
                return Next::Idle;
            }
            let Some(entry) = layer.log.get(run.cursor) else { return Next::Idle };
            let has_number = run.sequence.number(entry.seq).is_some();
            if !has_number || entry.is_empty() && run.sequence.skip(entry.seq) {
                run.cursor += 1;
                continue;
            }
            let timestamp = entry.timestamp.wrapping_add(run.span.timestamp);
            if !entry.is_empty() && self.timeline.is_broken_by(timestamp, entry.arrived) {
                if run.sequence.is_late(entry.seq) {
                    // Of a time that is over: joined anew, it would come after what it was before.
                    run.cursor += 1;
                    continue;
                }
                run.span.timestamp = self.timeline.join(entry.timestamp, entry.arrived, self.first_timestamp);
                // With other times than those around them: what comes late from before has no place.
                run.sequence.forget_before(entry.seq);
                let span = run.span;
                self.keep(span);
            }
            return Next::Packet;
        }
    }

    pub(crate) fn handle_report_block(
        &mut self,
        block: &ReportBlock,
        clock: &NtpClock,
        now: Instant,
    ) -> Option<Duration> {
        // It has received packets by their SSRC and MID: from here on the SSRC is enough.
        self.mid_acknowledged = true;
        self.stream.handle_report_block(block, clock, now)
    }

    pub(crate) fn sender_report(&mut self, clock: &NtpClock, now: Instant) -> Option<SenderReport<'static>> {
        self.stream.sender_report(clock, now)
    }

    pub(crate) fn set_round_trip(&mut self, round_trip: Duration) {
        self.history.set_round_trip(round_trip);
    }

    /// What of these is to be sent again.
    pub(crate) fn handle_nack<'s, I: IntoIterator<Item = SeqNo> + 's>(
        &'s mut self,
        lost: I,
        now: Instant,
    ) -> impl Iterator<Item = Retransmission> + 's
    where
        I::IntoIter: 's,
    {
        self.history.handle_nack(lost, now)
    }
}

#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;
