use std::time::{Duration, Instant};

use plenary_bwe::history::{self, History};
use plenary_bwe::{Cause, Controller, Purpose, Rates, Streams};
use plenary_netsim::Random;
use plenary_rtp::{SeqNo, Ssrc};
use plenary_wire::{Bitrate, DataSize, Ecn};

use crate::case::{Flow, is_within};
use crate::feedback::Message;
use crate::media::{AUDIO_RATE, Audio, IP_UDP_HEADERS, RTP_HEADER, VIDEO_RATE_MAX, VIDEO_RATE_MIN, Video, packets_of};
use crate::outbox::{Outbox, Waiting};

/// The sending end of a flow: encoders, pacer, the history of what left, and the controller that rules them.
#[derive(Debug)]
pub(crate) struct Sender {
    base: Instant,
    spec: Flow,
    streams: Streams,
    audio: Audio,
    video: Video,
    outbox: Outbox,
    history: History,
    controller: Box<dyn Controller>,
    rates: Rates,
    rates_told: Option<Rates>,
    ecn: Ecn,
    /// The next sequence number of each purpose.
    numbers: [u16; 4],
    round_trip_due: Duration,
    /// When media begin or end, the earliest last.
    changes: Vec<Duration>,
}

/// A packet that leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    pub(crate) number: u64,
    pub(crate) rtp: (Ssrc, SeqNo),
    /// With all headers.
    pub(crate) size: DataSize,
    pub(crate) ecn: Ecn,
    pub(crate) purpose: Purpose,
    pub(crate) sent: Duration,
    pub(crate) captured: Duration,
    pub(crate) ends_frame: bool,
}

/// How often RTCP shows the round trip.
const ROUND_TRIP_INTERVAL: Duration = Duration::from_secs(1);

/// What a flow may send at the start of a case, as its controller is told.
#[must_use]
pub(crate) fn streams_of(spec: &Flow, now: Duration) -> Streams {
    let audio = if is_within(&spec.audio, now) { AUDIO_RATE } else { Bitrate::ZERO };
    let video = if is_within(&spec.video, now) { VIDEO_RATE_MIN } else { Bitrate::ZERO };
    Streams {
        // Encoders can't go below.
        min: (audio + video).max(AUDIO_RATE),
        max: AUDIO_RATE + VIDEO_RATE_MAX,
        start: VIDEO_RATE_MIN + AUDIO_RATE,
        demand: spec.demand(now),
        padding_max: AUDIO_RATE + VIDEO_RATE_MAX,
        is_application_limited: !is_within(&spec.video, now),
        priority: spec.priority,
    }
}

impl Sender {
    pub(crate) fn new(
        spec: &Flow,
        (controller, ecn): (Box<dyn Controller>, Ecn),
        base: Instant,
        random: Random,
    ) -> Self {
        let start = |spans: &[(Duration, Duration)]| spans.first().map_or(Duration::MAX, |span| span.0);
        let mut changes: Vec<_> = spec.audio.iter().chain(&spec.video).flat_map(|span| [span.0, span.1]).collect();
        changes.sort_unstable_by(|a, b| b.cmp(a));
        changes.dedup();
        let rates = controller.rates();
        let mut outbox = Outbox::new(base);
        outbox.set_rates(&rates, Duration::ZERO);
        Self {
            base,
            spec: spec.clone(),
            streams: Streams::default(),
            audio: Audio::new(start(&spec.audio)),
            video: Video::new(start(&spec.video), random),
            outbox,
            history: History::new(history::Config::default()).expect("the defaults are in range"),
            controller,
            rates,
            rates_told: None,
            ecn,
            numbers: [0; 4],
            round_trip_due: Duration::ZERO,
            changes,
        }
    }

    pub(crate) const fn target(&self) -> Bitrate {
        self.rates.target
    }

    /// The rates, and why, if they are others than when this was last asked.
    pub(crate) fn poll_decision(&mut self) -> Option<(Rates, Cause)> {
        let is_new = self.rates_told.replace(self.rates) != Some(self.rates);
        is_new.then(|| (self.rates, self.controller.explain().cause))
    }

    pub(crate) fn poll_timeout(&self) -> Duration {
        let controller =
            self.controller.poll_timeout().map_or(Duration::MAX, |at| at.saturating_duration_since(self.base));
        let change = self.changes.last().copied().unwrap_or(Duration::MAX);
        let outbox = self.outbox.poll_timeout();
        let sources = self.audio.poll_timeout().min(self.video.poll_timeout());
        controller.min(change).min(outbox).min(sources)
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if self.changes.pop_if(|at| *at <= now).is_some() {
            self.change(now);
        }
        let instant = self.base + now;
        if self.controller.poll_timeout().is_some_and(|at| at <= instant) {
            self.controller.handle_timeout(instant);
            self.obey(now);
        }
        if let Some(payload) = self.audio.poll_payload(now) {
            let size = payload + RTP_HEADER + IP_UDP_HEADERS;
            self.outbox.push(Waiting { size, purpose: Purpose::Audio, captured: now, ends_frame: false }, now);
        }
        if let Some(frame) = self.video.poll_frame(now).filter(|_| !self.outbox.is_late(now)) {
            let mut sizes = packets_of(frame).peekable();
            while let Some(size) = sizes.next() {
                let ends_frame = sizes.peek().is_none();
                self.outbox.push(Waiting { size, purpose: Purpose::Video, captured: now, ends_frame }, now);
            }
        }
    }

    /// Media begin or end.
    fn change(&mut self, now: Duration) {
        let next = |spans: &[(Duration, Duration)]| {
            let later = spans.iter().find(|span| span.1 > now);
            later.map_or(Duration::MAX, |span| span.0)
        };
        self.audio.resume(next(&self.spec.audio).max(now));
        self.video.resume(next(&self.spec.video).max(now));
        let streams = streams_of(&self.spec, now);
        if self.streams != streams {
            self.streams = streams;
            self.controller.handle_streams(&streams, self.base + now);
            self.obey(now);
        }
    }

    pub(crate) fn handle_feedback(&mut self, message: &Message, now: Duration) {
        let instant = self.base + now;
        if self.round_trip_due <= now {
            self.round_trip_due = now + ROUND_TRIP_INTERVAL;
            self.controller.handle_round_trip(message.round_trip(now), instant);
        }
        if let Some(feedback) = message.read(&mut self.history, instant) {
            self.controller.handle_feedback(&feedback, instant);
        }
        self.obey(now);
    }

    /// Lets encoder and pacer follow.
    fn obey(&mut self, now: Duration) {
        self.rates = self.controller.rates();
        self.outbox.set_rates(&self.rates, now);
        self.outbox.set_in_flight(self.history.in_flight());
        while let Some(probe) = self.controller.poll_probe() {
            self.outbox.probe(probe, now);
        }
        let audio = if is_within(&self.spec.audio, now) { AUDIO_RATE } else { Bitrate::ZERO };
        self.video.follow(self.rates.target.checked_sub(audio).unwrap_or(Bitrate::ZERO), now);
    }

    pub(crate) fn poll_packet(&mut self, now: Duration) -> Option<Departure> {
        let (packet, probe) = self.outbox.poll(now)?;
        let Waiting { purpose, captured, ends_frame, .. } = packet;
        let rtp = self.number(purpose);
        let datagram = DataSize::from_bytes((packet.size - IP_UDP_HEADERS) as u64);
        let departure = history::Departure { size: datagram, purpose, probe, ecn: self.ecn, rtp: Some(rtp) };
        let sent = self.history.handle_sent(departure, self.base + now);
        self.outbox.set_in_flight(self.history.in_flight());
        self.controller.handle_sent(&sent);
        let (number, size, ecn) = (sent.number, sent.size, self.ecn);
        Some(Departure { number, rtp, size, ecn, purpose, sent: now, captured, ends_frame })
    }

    /// The stream that it goes by, and its number there.
    fn number(&mut self, purpose: Purpose) -> (Ssrc, SeqNo) {
        let stream = purpose as usize;
        let seq = self.numbers[stream];
        self.numbers[stream] = seq.wrapping_add(1);
        (Ssrc(1 + stream as u32), SeqNo(seq))
    }
}
