//! What a probe has shown: how fast its packets left, and how fast they arrived.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/probe_bitrate_estimator.cc`, signalapp/webrtc bd635df347.

use plenary_wire::Bitrate;

use super::arrivals::Arrived;
use super::number::{Time, bps, bytes, rate, rate_of};
use crate::{ArrivalTime, ProbeCluster, ProbeId};

/// Of its packets, and of its bytes, so much must have arrived.
const RECEIVED_MIN: f64 = 0.8;
/// It can't arrive that much faster than it left.
const RATIO_MAX: f64 = 2.0;
/// If it arrives slower than this, the link is full.
const RATIO_UNSATURATED: f64 = 0.9;
/// Then what arrives is what the link can carry, of which this much is used.
const UTILISATION: f64 = 0.95;
/// No probe takes longer, at either end.
const TIME_MAX: i64 = 1_000_000;
/// Probes that are waited for at once: the oldest is given up for a new one.
const PROBES_MAX: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct ProbeEstimator {
    /// Where the next one goes.
    next: usize,
    probes: [Option<Probe>; PROBES_MAX],
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    id: ProbeId,
    packets_min: u32,
    bytes_min: i64,
    packets: u32,
    bytes: i64,
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    first_sent: Time,
    last_sent: Time,
    last_sent_size: i64,
    first_arrival: ArrivalTime,
    first_arrival_size: i64,
    last_arrival: ArrivalTime,
}

impl ProbeEstimator {
    pub(crate) const fn new() -> Self {
        Self { next: 0, probes: [None; PROBES_MAX] }
    }

    /// This one is going to be sent.
    pub(crate) fn expect(&mut self, cluster: &ProbeCluster) {
        self.probes[self.next] = Some(Probe {
            id: cluster.id,
            packets_min: (f64::from(cluster.packets_min) * RECEIVED_MIN) as u32,
            bytes_min: (bytes(cluster.rate.data_in(cluster.duration)) as f64 * RECEIVED_MIN) as i64,
            packets: 0,
            bytes: 0,
            seen: None,
        });
        self.next = (self.next + 1) % PROBES_MAX;
    }

    /// A packet of a probe arrived. The probe's rate, once enough of it has.
    pub(crate) fn add(&mut self, id: ProbeId, packet: &Arrived) -> Option<Bitrate> {
        let probe = self.probes.iter_mut().flatten().find(|probe| probe.id == id)?;
        if probe.seen.is_some_and(|seen| packet.at.micros_since(seen.last_arrival) > TIME_MAX) {
            (probe.packets, probe.bytes, probe.seen) = (0, 0, None);
        }
        probe.add(packet)
    }
}

impl Probe {
    fn add(&mut self, packet: &Arrived) -> Option<Bitrate> {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(packet.size);
        let seen = self.seen.get_or_insert(Seen {
            first_sent: packet.sent,
            last_sent: packet.sent,
            last_sent_size: packet.size,
            first_arrival: packet.at,
            first_arrival_size: packet.size,
            last_arrival: packet.at,
        });
        seen.add(packet);
        let is_enough = self.packets >= self.packets_min && self.bytes >= self.bytes_min;
        if is_enough { seen.rate(self.bytes) } else { None }
    }
}

impl Seen {
    fn add(&mut self, packet: &Arrived) {
        self.first_sent = self.first_sent.min(packet.sent);
        if packet.sent > self.last_sent {
            (self.last_sent, self.last_sent_size) = (packet.sent, packet.size);
        }
        if packet.at < self.first_arrival {
            (self.first_arrival, self.first_arrival_size) = (packet.at, packet.size);
        }
        self.last_arrival = self.last_arrival.max(packet.at);
    }

    fn rate(&self, bytes: i64) -> Option<Bitrate> {
        let sending = self.last_sent.since(self.first_sent);
        let arriving = self.last_arrival.micros_since(self.first_arrival);
        if !(1..=TIME_MAX).contains(&sending) || !(1..=TIME_MAX).contains(&arriving) {
            return None;
        }
        // The last packet takes its time after the others have left, the first before they arrived.
        let sent = rate_of(bytes - self.last_sent_size, sending);
        let arrived = rate_of(bytes - self.first_arrival_size, arriving);
        if bps(arrived) > RATIO_MAX * bps(sent) {
            return None;
        }
        if bps(arrived) < RATIO_UNSATURATED * bps(sent) {
            return Some(rate(UTILISATION * bps(arrived)));
        }
        Some(sent.min(arrived))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Five packets of 1,000 bytes that leave 5 ms apart, and arrive so many microseconds apart.
    fn probed(gap: i64, packets: i64) -> Option<Bitrate> {
        let mut estimator = ProbeEstimator::new();
        let cluster = ProbeCluster {
            id: ProbeId(7),
            rate: Bitrate::from_kbps(1_600),
            duration: Duration::from_millis(20),
            packets_min: 5,
            interval: Duration::from_millis(2),
        };
        estimator.expect(&cluster);
        (0..packets).map(|n| estimator.add(ProbeId(7), &packet(n * 5_000, 100_000 + n * gap))).last().flatten()
    }

    fn packet(sent: i64, at: i64) -> Arrived {
        Arrived {
            sent: Time::from_micros(sent),
            at: ArrivalTime::from_micros(at),
            size: 1_000,
            untracked: 0,
            probe: Some(ProbeId(7)),
        }
    }

    #[test]
    fn the_rate_is_the_slower_of_both_ends() {
        assert_eq!(probed(5_000, 5), Some(Bitrate::from_kbps(1_600)));
        assert_eq!(probed(4_000, 5), Some(Bitrate::from_kbps(1_600)));
        assert_eq!(probed(5_500, 5), Some(Bitrate::from_bps(1_454_545)));
        // 4,000 bytes in 40 ms are 800 kbit/s: less than 90 % of 1,600, so the link is full.
        assert_eq!(probed(10_000, 5), Some(Bitrate::from_kbps(760)));
        // 80 % of the packets are enough.
        assert_eq!(probed(5_000, 4), Some(Bitrate::from_kbps(1_600)));
        assert_eq!(probed(5_000, 3), None);
    }

    #[test]
    fn what_makes_no_sense_shows_nothing() {
        // 3,200 kbit/s are twice as fast, just.
        assert_eq!(probed(2_500, 5), Some(Bitrate::from_kbps(1_600)));
        assert_eq!(probed(2_499, 5), None);
        assert_eq!(probed(0, 5), None);
        assert_eq!(probed(250_001, 5), None);
        let mut estimator = ProbeEstimator::new();
        assert_eq!(estimator.add(ProbeId(7), &packet(0, 0)), None);
    }

    #[test]
    fn a_probe_too_many_ends_the_oldest() {
        let mut estimator = ProbeEstimator::new();
        for id in 0..=PROBES_MAX as u32 {
            let (rate, duration) = (Bitrate::from_kbps(1), Duration::from_millis(1));
            estimator.expect(&ProbeCluster { id: ProbeId(id), rate, duration, packets_min: 1, interval: duration });
        }
        let known = |id| estimator.probes.iter().flatten().any(|probe| probe.id == ProbeId(id));
        assert!(!known(0) && known(1) && known(PROBES_MAX as u32));
    }
}
