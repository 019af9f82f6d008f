//! One call over one link: an encoder after RFC 8867 §4, a pacer, feedback every 100 ms.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_bwe::{
    ArrivalTime, Controller, Feedback, PacketReport, ProbeCluster, ProbeId, Purpose, SentPacket, Streams,
};
use plenary_netsim::{Link, LinkConfig, Packet, Random, base};
use plenary_wire::{Bitrate, DataSize, Ecn};

const SIZE: u64 = 1_200;
const FRAME: Duration = Duration::from_micros(33_333);
const FEEDBACK: Duration = Duration::from_millis(100);
/// The encoder follows the target so much later.
const LAG: Duration = Duration::from_millis(100);

/// What is sent: video within limits, or nothing but sound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media {
    pub(crate) min: Bitrate,
    pub(crate) max: Bitrate,
}

impl Media {
    /// What a controller is told of it.
    pub(crate) fn streams(&self) -> Streams {
        Streams { demand: self.max, ..Streams::default() }
    }
}

pub(crate) struct Call<'c> {
    pub(crate) controller: &'c mut dyn Controller,
    pub(crate) media: Media,
    zero: Instant,
    now: Duration,
    link: Link<u64>,
    random: Random,
    /// Targets that the encoder has not followed yet.
    targets: VecDeque<(Duration, Bitrate)>,
    encoding: Bitrate,
    next_frame: Duration,
    /// Bytes that wait in the pacer.
    waiting: f64,
    next_media: Duration,
    probes: VecDeque<ProbeCluster>,
    /// When the first probe began, its packets and bytes.
    probing: Option<(Duration, u32, u64)>,
    /// What left and is not reported on, from the first number on.
    unreported: VecDeque<(SentPacket, Option<Duration>)>,
    number: u64,
    in_flight: u64,
    next_feedback: Duration,
    feedback: VecDeque<(Duration, Vec<PacketReport>)>,
    /// For each packet that the queue took, how long it waits there.
    waits: Vec<Duration>,
    arrived: Vec<(Duration, u64)>,
    targets_seen: Vec<(Duration, Bitrate)>,
    lost: u64,
}

impl<'c> Call<'c> {
    pub(crate) fn new(controller: &'c mut dyn Controller, media: Media, link: LinkConfig, seed: u64) -> Self {
        Self {
            controller,
            media,
            zero: base(),
            now: Duration::ZERO,
            link: Link::new(link, seed, 1),
            random: Random::new(seed, 2),
            targets: VecDeque::new(),
            encoding: media.min,
            next_frame: Duration::ZERO,
            waiting: 0.0,
            next_media: Duration::ZERO,
            probes: VecDeque::new(),
            probing: None,
            unreported: VecDeque::new(),
            number: 0,
            in_flight: 0,
            next_feedback: FEEDBACK,
            feedback: VecDeque::new(),
            waits: Vec::new(),
            arrived: Vec::new(),
            targets_seen: Vec::new(),
            lost: 0,
        }
    }

    pub(crate) fn set_streams(&mut self, streams: Streams) {
        self.controller.handle_streams(&streams, self.at(self.now));
    }

    pub(crate) const fn now(&self) -> Duration {
        self.now
    }

    fn at(&self, time: Duration) -> Instant {
        self.zero + time
    }

    /// In steps of half a millisecond.
    pub(crate) fn run_until(&mut self, end: Duration) {
        while self.now < end {
            self.now += Duration::from_micros(500);
            let now = self.at(self.now);
            if self.controller.poll_timeout().is_some_and(|at| at <= now) {
                self.controller.handle_timeout(now);
            }
            while let Some(arrival) = self.link.poll_arrival(self.now) {
                let first = self.unreported.front().map_or(0, |(sent, _)| sent.number);
                let Some(place) = arrival.packet.payload.checked_sub(first) else { continue };
                self.unreported[place as usize].1 = Some(arrival.at);
                self.arrived.push((arrival.at, arrival.packet.size.as_bytes()));
            }
            self.encode();
            self.pace();
            self.report();
            while let Some(cluster) = self.controller.poll_probe() {
                self.probes.push_back(cluster);
            }
            let target = self.controller.rates().target;
            if self.targets_seen.last().is_none_or(|(_, last)| *last != target) {
                self.targets_seen.push((self.now, target));
            }
        }
    }

    fn encode(&mut self) {
        let rates = self.controller.rates();
        self.targets.push_back((self.now + LAG, rates.target));
        while self.targets.front().is_some_and(|(at, _)| *at <= self.now) {
            self.encoding = self.targets.pop_front().unwrap().1.min(self.media.max).max(self.media.min);
        }
        if self.now >= self.next_frame {
            self.next_frame += FRAME;
            let unevenness = 0.95 + 0.1 * self.random.unit();
            self.waiting += self.encoding.data_in(FRAME).as_bytes() as f64 * unevenness;
        }
    }

    fn pace(&mut self) {
        if let Some(cluster) = self.probes.front().copied() {
            let (began, packets, bytes) = *self.probing.get_or_insert((self.now, 0, 0));
            let due = began + cluster.rate.time_for(DataSize::from_bytes(bytes)).unwrap();
            if due <= self.now {
                let is_padding = self.waiting < SIZE as f64;
                self.waiting -= if is_padding { 0.0 } else { SIZE as f64 };
                self.send(Some(cluster.id), if is_padding { Purpose::Padding } else { Purpose::Video });
                self.probing = Some((began, packets + 1, bytes + SIZE));
                let enough = cluster.rate.data_in(cluster.duration).as_bytes();
                if packets + 1 >= cluster.packets_min && bytes + SIZE >= enough {
                    self.probes.pop_front();
                    self.probing = None;
                }
            }
            return;
        }
        while self.waiting >= SIZE as f64 && self.next_media <= self.now {
            self.waiting -= SIZE as f64;
            let pacing = self.controller.rates().pacing.max(Bitrate::from_kbps(5));
            self.next_media = self.next_media.max(self.now - Duration::from_micros(500))
                + pacing.time_for(DataSize::from_bytes(SIZE)).unwrap();
            self.send(None, Purpose::Video);
        }
    }

    fn send(&mut self, probe: Option<ProbeId>, purpose: Purpose) {
        let size = DataSize::from_bytes(SIZE);
        self.in_flight += SIZE;
        let sent = SentPacket {
            number: self.number,
            at: self.at(self.now),
            size,
            untracked: DataSize::ZERO,
            purpose,
            probe,
            in_flight: DataSize::from_bytes(self.in_flight),
        };
        self.number += 1;
        self.controller.handle_sent(&sent);
        self.unreported.push_back((sent, None));
        let rate = self.link.config().rate.at(self.now);
        let wait = rate.time_for(self.link.queued()).unwrap_or_default();
        let packet = Packet { size, ecn: Ecn::NotEct, payload: sent.number };
        match self.link.send(packet, self.now) {
            Ok(()) => self.waits.push(wait),
            Err(_) => self.lost += 1,
        }
    }

    fn report(&mut self) {
        if self.now >= self.next_feedback {
            self.next_feedback += FEEDBACK;
            let known = self.unreported.iter().rposition(|(_, arrived)| arrived.is_some()).map_or(0, |last| last + 1);
            let reports: Vec<_> = self
                .unreported
                .drain(..known)
                .map(|(sent, arrived)| PacketReport {
                    sent,
                    arrived: arrived.map(|at| ArrivalTime::from_micros(at.as_micros() as i64 / 250 * 250)),
                    ecn: Ecn::NotEct,
                    is_recovered: false,
                })
                .collect();
            if !reports.is_empty() {
                self.feedback.push_back((self.now + self.link.config().delay, reports));
            }
        }
        while self.feedback.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, packets) = self.feedback.pop_front().unwrap();
            self.in_flight -= SIZE * packets.len() as u64;
            let in_flight = DataSize::from_bytes(self.in_flight);
            let now = self.at(self.now);
            let round_trip = Some(now - packets[packets.len() - 1].sent.at);
            self.controller.handle_feedback(&Feedback { packets: &packets, in_flight, round_trip }, now);
        }
    }

    /// What arrived in that span, in bit/s.
    pub(crate) fn throughput(&self, from: u64, to: u64) -> f64 {
        let span = Duration::from_secs(from)..Duration::from_secs(to);
        let bytes: u64 = self.arrived.iter().filter(|(at, _)| span.contains(at)).map(|(_, size)| size).sum();
        bytes as f64 * 8.0 / (to - from) as f64
    }

    /// Of waits in the queue, in milliseconds.
    pub(crate) fn wait_percentile(&self, percent: usize) -> f64 {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1e3
    }

    /// The part of packets that the queue did not take, 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        self.lost as f64 / (self.lost as usize + self.waits.len()) as f64
    }

    /// When the target first was so high, from then on.
    pub(crate) fn reached(&self, rate: Bitrate, from: Duration) -> Option<Duration> {
        self.targets_seen.iter().find(|(at, target)| *at >= from && *target >= rate).map(|(at, _)| *at)
    }
}
