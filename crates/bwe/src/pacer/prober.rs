use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_wire::DataSize;

use crate::{ProbeCluster, ProbeId};

/// How a [`Prober`] behaves. Defaults are libwebrtc's (`modules/pacing/bitrate_prober`), which also waits with a probe for a
/// packet of 200 bytes, so as not to begin it with sound: sound is never part of a probe here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProberConfig {
    /// Clusters that wait at most: the oldest gives way. Default: 5.
    pub clusters_max: usize,
    /// A cluster that could not begin for so long is given up. Default: 5 s.
    pub wait_max: Duration,
    /// A cluster whose next packets are later than this is given up: it would measure our own delay. Default: 10 ms.
    pub delay_max: Duration,
}

impl Default for ProberConfig {
    fn default() -> Self {
        Self { clusters_max: 5, wait_max: Duration::from_secs(5), delay_max: Duration::from_millis(10) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Cluster {
    config: ProbeCluster,
    asked_at: Instant,
    began_at: Option<Instant>,
    sent: DataSize,
    packets: u32,
}

impl Cluster {
    /// When the next packets are to leave.
    fn due(&self) -> Instant {
        let Some(began) = self.began_at else { return self.asked_at };
        began + self.config.rate.time_for(self.sent).unwrap_or(Duration::ZERO)
    }

    fn is_done(&self) -> bool {
        let size = self.config.rate.data_in(self.config.duration);
        self.sent >= size && self.packets >= self.config.packets_min
    }
}

/// Spaces the packets of probes. A [`Pacer`](crate::Pacer) has one; it can be used alone.
#[derive(Clone, Debug)]
pub struct Prober {
    config: ProberConfig,
    clusters: VecDeque<Cluster>,
}

impl Prober {
    /// Without clusters.
    #[must_use]
    pub fn new(config: ProberConfig) -> Self {
        Self { config, clusters: VecDeque::with_capacity(config.clusters_max) }
    }

    /// Another probe. Its rate is more than zero; others are ignored.
    pub fn handle_cluster(&mut self, config: ProbeCluster, now: Instant) {
        if config.rate.as_bps() == 0 || self.config.clusters_max == 0 {
            return;
        }
        while self.clusters.len() >= self.config.clusters_max {
            self.clusters.pop_front();
        }
        let (sent, packets) = (DataSize::ZERO, 0);
        self.clusters.push_back(Cluster { config, asked_at: now, began_at: None, sent, packets });
    }

    /// The probe whose packets are to leave now, and how many bytes of them.
    pub fn poll(&mut self, now: Instant) -> Option<(ProbeId, DataSize)> {
        while let Some(cluster) = self.clusters.front() {
            let late = now.saturating_duration_since(cluster.due());
            let patience = if cluster.began_at.is_some() { self.config.delay_max } else { self.config.wait_max };
            if late <= patience {
                let size = cluster.config.rate.data_in(cluster.config.interval).max(DataSize::from_bytes(1));
                return (cluster.due() <= now).then_some((cluster.config.id, size));
            }
            self.clusters.pop_front();
        }
        None
    }

    /// Packets of a probe left.
    pub fn handle_sent(&mut self, id: ProbeId, packets: u32, size: DataSize, now: Instant) {
        let Some(cluster) = self.clusters.front_mut().filter(|cluster| cluster.config.id == id) else { return };
        cluster.began_at.get_or_insert(now);
        cluster.sent = cluster.sent.saturating_add(size);
        cluster.packets = cluster.packets.saturating_add(packets);
        if cluster.is_done() {
            self.clusters.pop_front();
        }
    }

    /// When packets of the next probe are due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.clusters.front().map(Cluster::due)
    }
}
