//! When packets leave.

use std::collections::VecDeque;
use std::time::Duration;

use plenary_bwe::{ProbeCluster, ProbeId, Purpose, Rates};
use plenary_wire::{Bitrate, DataSize};

use crate::media::{IP_UDP_HEADERS, PACKET_MAX};

/// A queue that would take longer than this drains faster.
const QUEUE_TIME_MAX: Duration = Duration::from_secs(2);
/// What was not sent in time is made up for, up to this.
const BURST: Duration = Duration::from_millis(5);

/// What waits: bytes with all headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) size: usize,
    pub(crate) purpose: Purpose,
    pub(crate) captured: Duration,
    /// The last of its frame.
    pub(crate) ends_frame: bool,
}

#[derive(Debug)]
pub(crate) struct Pacer {
    audio: VecDeque<Waiting>,
    video: VecDeque<Waiting>,
    video_bytes: u64,
    /// When the next may leave.
    next: Duration,
    padding_next: Duration,
    rates: Rates,
    probes: VecDeque<ProbeCluster>,
    probe: Option<Probe>,
    has_sent_video: bool,
}

#[derive(Debug)]
struct Probe {
    cluster: ProbeCluster,
    started: Duration,
    bytes: u64,
    packets: u32,
}

impl Pacer {
    pub(crate) const fn new(rates: Rates) -> Self {
        Self {
            audio: VecDeque::new(),
            video: VecDeque::new(),
            video_bytes: 0,
            next: Duration::ZERO,
            padding_next: Duration::ZERO,
            rates,
            probes: VecDeque::new(),
            probe: None,
            has_sent_video: false,
        }
    }

    pub(crate) const fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
    }

    pub(crate) fn add_probe(&mut self, cluster: ProbeCluster) {
        self.probes.push_back(cluster);
    }

    pub(crate) fn push(&mut self, packet: Waiting) {
        if packet.purpose == Purpose::Audio {
            self.audio.push_back(packet);
        } else {
            self.video_bytes += packet.size as u64;
            self.video.push_back(packet);
        }
    }

    pub(crate) fn poll_timeout(&self, in_flight: DataSize) -> Duration {
        if !self.audio.is_empty() {
            return Duration::ZERO;
        }
        if let Some(probe) = &self.probe {
            return probe.due();
        }
        if !self.probes.is_empty() && self.has_sent_video {
            return Duration::ZERO;
        }
        let video = if self.video.is_empty() || self.is_full(in_flight) { Duration::MAX } else { self.next };
        let pads = self.rates.padding > Bitrate::ZERO && self.has_sent_video && !self.is_full(in_flight);
        let padding = if pads { self.next.max(self.padding_next) } else { Duration::MAX };
        video.min(padding)
    }

    fn is_full(&self, in_flight: DataSize) -> bool {
        self.rates.window.is_some_and(|window| in_flight >= window)
    }

    /// What leaves now, and for which probe.
    pub(crate) fn poll(&mut self, in_flight: DataSize, now: Duration) -> Option<(Waiting, Option<ProbeId>)> {
        if self.probe.is_none() && self.has_sent_video {
            let start = |cluster| Probe { cluster, started: now, bytes: 0, packets: 0 };
            self.probe = self.probes.pop_front().map(start);
        }
        if self.poll_timeout(in_flight) > now {
            return None;
        }
        let packet = if let Some(audio) = self.audio.pop_front() {
            audio
        } else if let Some(video) = self.video.pop_front() {
            self.video_bytes -= video.size as u64;
            self.has_sent_video = true;
            video
        } else {
            let size = PACKET_MAX + IP_UDP_HEADERS;
            Waiting { size, purpose: Purpose::Padding, captured: now, ends_frame: false }
        };
        let probe = self.probe.as_ref().map(|probe| probe.cluster.id);
        self.charge(packet.size, now);
        Some((packet, probe))
    }

    fn charge(&mut self, size: usize, now: Duration) {
        let data = DataSize::from_bytes(size as u64);
        let drain = DataSize::from_bytes(self.video_bytes).rate_over(QUEUE_TIME_MAX).unwrap_or(Bitrate::ZERO);
        let rate = self.rates.pacing.max(drain);
        let time = |rate: Bitrate| rate.time_for(data).unwrap_or(Duration::from_secs(1));
        self.next = self.next.max(now.saturating_sub(BURST)) + time(rate);
        self.padding_next = self.padding_next.max(now.saturating_sub(BURST)) + time(self.rates.padding);
        if let Some(probe) = &mut self.probe {
            probe.bytes += size as u64;
            probe.packets += 1;
            let is_long = probe.bytes >= probe.cluster.rate.data_in(probe.cluster.duration).as_bytes();
            if is_long && probe.packets >= probe.cluster.packets_min {
                self.probe = None;
            }
        }
    }
}

impl Probe {
    fn due(&self) -> Duration {
        let sent = self.cluster.rate.time_for(DataSize::from_bytes(self.bytes)).unwrap_or(Duration::ZERO);
        self.started + sent
    }
}
