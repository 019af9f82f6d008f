use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_bwe::{Grant, Pacer, PacerConfig, ProbeCluster, ProbeId, Purpose, Rates, StreamId};
use plenary_wire::DataSize;

use crate::media::{IP_UDP_HEADERS, PACKET_MAX};

const AUDIO: StreamId = StreamId(0);
const VIDEO: StreamId = StreamId(1);
/// Beyond it frames are skipped.
const LATE: Duration = Duration::from_millis(500);

/// A packet that waits to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// Bytes with all headers.
    pub(crate) size: usize,
    pub(crate) purpose: Purpose,
    /// When it came from the camera or the microphone.
    pub(crate) captured: Duration,
    /// The last of its frame.
    pub(crate) ends_frame: bool,
}

/// What waits, and the pacer that lets it go.
#[derive(Debug)]
pub(crate) struct Outbox {
    base: Instant,
    pacer: Pacer,
    audio: VecDeque<Waiting>,
    video: VecDeque<Waiting>,
}

impl Outbox {
    pub(crate) fn new(base: Instant) -> Self {
        let mut pacer = Pacer::new(PacerConfig::default(), base);
        pacer.add_stream(AUDIO, Purpose::Audio, false).expect("it is the first");
        pacer.add_stream(VIDEO, Purpose::Video, true).expect("it is the second");
        Self { base, pacer, audio: VecDeque::new(), video: VecDeque::new() }
    }

    pub(crate) fn set_rates(&mut self, rates: &Rates, now: Duration) {
        self.pacer.set_rates(rates, self.base + now);
    }

    pub(crate) fn set_in_flight(&mut self, in_flight: DataSize) {
        self.pacer.set_in_flight(in_flight);
    }

    pub(crate) fn probe(&mut self, cluster: ProbeCluster, now: Duration) {
        self.pacer.handle_probe(cluster, self.base + now);
    }

    pub(crate) fn push(&mut self, packet: Waiting, now: Duration) {
        let stream = if packet.purpose == Purpose::Audio { AUDIO } else { VIDEO };
        self.queue(stream).push_back(packet);
        self.tell(stream, now);
    }

    /// Video has waited for so long that a camera had better skip a frame.
    pub(crate) fn is_late(&self, now: Duration) -> bool {
        self.video.front().is_some_and(|oldest| now - oldest.captured > LATE)
    }

    pub(crate) fn poll_timeout(&self) -> Duration {
        self.pacer.poll_timeout().map_or(Duration::MAX, |at| at.saturating_duration_since(self.base))
    }

    /// What leaves now, and for which probe.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<(Waiting, Option<ProbeId>)> {
        let grant = self.pacer.poll(self.base + now)?;
        let packet = if grant.purpose == Purpose::Padding {
            padding(&grant, now)
        } else {
            self.queue(grant.stream).pop_front().expect("the pacer was told of it")
        };
        self.pacer.handle_sent(&grant, 1, DataSize::from_bytes(packet.size as u64), self.base + now);
        self.tell(grant.stream, now);
        Some((packet, grant.probe))
    }

    fn queue(&mut self, stream: StreamId) -> &mut VecDeque<Waiting> {
        if stream == AUDIO { &mut self.audio } else { &mut self.video }
    }

    fn tell(&mut self, stream: StreamId, now: Duration) {
        let base = self.base;
        let queue = self.queue(stream);
        let size = queue.iter().map(|packet| packet.size as u64).sum();
        let since = queue.front().map_or(now, |packet| packet.captured);
        let told = self.pacer.set_waiting(stream, DataSize::from_bytes(size), base + since, base + now);
        told.expect("the stream was added");
    }
}

/// Padding is old media once more, over RTX: packets may be as large as any.
fn padding(grant: &Grant, now: Duration) -> Waiting {
    let size = (grant.size.as_bytes() as usize).clamp(200, PACKET_MAX + IP_UDP_HEADERS);
    Waiting { size, purpose: Purpose::Padding, captured: now, ends_frame: false }
}
