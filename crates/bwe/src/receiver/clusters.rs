use plenary_wire::{Bitrate, DataSize};

/// Deltas that make a cluster, at least.
const DELTAS_MIN: u32 = 4;
/// Probes that are kept while they make no cluster.
const PROBES_MAX: usize = 15;
/// Probes that are kept at all: as many clusters as are waited for, of twice as many as are kept without.
const HELD_MAX: usize = 2 * PROBES_MAX;
/// Clusters after which it begins anew.
const CLUSTERS: u32 = 3;
/// A delta between departures belongs to a cluster if it is no further from the mean, in milliseconds.
const SPREAD: f64 = 2.5;
/// What is closer together has left or arrived in one burst.
const BURST: f64 = 1.0;
/// Arrivals of a cluster that the link took are further apart than departures by no more than this, and closer by no more
/// than that.
const LATER_MAX: f64 = 2.0;
const SOONER_MAX: f64 = 5.0;

/// Finds packets that a sender has paced evenly, at the beginning of a call, and how fast the link took them.
///
/// libwebrtc's `modules/remote_bitrate_estimator/remote_bitrate_estimator_abs_send_time.cc` (revision bd635df347).
#[derive(Clone, Debug, Default)]
pub(super) struct Clusters {
    /// The oldest first.
    probes: Vec<Probe>,
}

/// A packet: when it left and came, in milliseconds, and its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) sent: f64,
    pub(super) came: f64,
    pub(super) size: DataSize,
}

/// Sums of deltas.
#[derive(Clone, Copy, Debug, Default)]
struct Cluster {
    sent: f64,
    came: f64,
    size: u64,
    deltas: u32,
    /// Deltas of what was no burst.
    apart: u32,
}

impl Clusters {
    /// A packet came: the rate that the clusters so far have shown, if it is above `known`.
    pub(super) fn add(&mut self, probe: Probe, known: Option<Bitrate>) -> Option<Bitrate> {
        if self.probes.len() >= HELD_MAX {
            self.probes.remove(0);
        }
        self.probes.push(probe);
        let (count, best) = self.best();
        if count == 0 {
            if self.probes.len() >= PROBES_MAX {
                self.probes.remove(0);
            }
            return None;
        }
        let better = best.filter(|best| known.is_none_or(|known| *best > known));
        if better.is_none() && count >= CLUSTERS {
            self.probes.clear();
        }
        better
    }

    /// How many clusters there are, and the highest rate of those before the first that the link did not take.
    fn best(&self) -> (u32, Option<Bitrate>) {
        let mut open = Cluster::default();
        let (mut count, mut best, mut is_over) = (0, None, false);
        let mut close = |cluster: Cluster| {
            let Some(rate) = cluster.rate() else { return };
            count += 1;
            is_over |= rate.is_zero();
            if !is_over {
                best = best.max(Some(rate.0));
            }
        };
        for pair in self.probes.windows(2) {
            let [before, probe] = pair else { continue };
            let (sent, came) = (probe.sent - before.sent, probe.came - before.came);
            // Upstream counts this before it looks whether the delta belongs to the cluster.
            open.apart += u32::from(sent >= BURST && came >= BURST);
            if !open.takes(sent) {
                close(std::mem::take(&mut open));
            }
            open.sent += sent;
            open.came += came;
            open.size += probe.size.as_bytes();
            open.deltas += 1;
        }
        close(open);
        (count, best)
    }
}

/// A cluster's rate; zero if the link did not take it.
struct ClusterRate(Bitrate);

impl ClusterRate {
    fn is_zero(&self) -> bool {
        self.0 == Bitrate::ZERO
    }
}

impl Cluster {
    fn takes(&self, sent: f64) -> bool {
        self.deltas == 0 || libm::fabs(sent - self.sent / f64::from(self.deltas)) < SPREAD
    }

    /// `None` if it is none.
    fn rate(&self) -> Option<ClusterRate> {
        if self.deltas < DELTAS_MIN || self.sent <= 0.0 || self.came <= 0.0 {
            return None;
        }
        let deltas = f64::from(self.deltas);
        let (sent, came) = (self.sent / deltas, self.came / deltas);
        let is_taken = self.apart > self.deltas / 2 && came - sent <= LATER_MAX && sent - came <= SOONER_MAX;
        let rate = self.size as f64 * 8.0 * 1000.0 / libm::fmax(self.sent, self.came);
        Some(ClusterRate(if is_taken { Bitrate::from_bps(rate as u64) } else { Bitrate::ZERO }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 1000 bytes at these times, and the last rate that they have shown.
    fn shown(times: &[(f64, f64)]) -> Option<Bitrate> {
        let mut clusters = Clusters::default();
        let mut known = None;
        for &(sent, came) in times {
            known = clusters.add(Probe { sent, came, size: DataSize::from_bytes(1000) }, known).or(known);
        }
        known
    }

    #[test]
    fn five_packets_that_come_as_they_left_show_their_rate() {
        let times: Vec<_> = (0..5).map(|index| f64::from(index) * 10.0).map(|at| (at, at + 50.0)).collect();
        assert_eq!(shown(&times[..4]), None);
        assert_eq!(shown(&times), Some(Bitrate::from_kbps(800)));
    }

    #[test]
    fn the_slower_of_departure_and_arrival_counts() {
        let paced = |sent: f64, came: f64| -> Vec<_> {
            (0..5).map(f64::from).map(|index| (index * sent, 50.0 + index * came)).collect()
        };
        assert_eq!(shown(&paced(10.0, 11.0)), Some(Bitrate::from_bps(727_272)));
        assert_eq!(shown(&paced(10.0, 6.0)), Some(Bitrate::from_kbps(800)));
        assert_eq!(shown(&paced(10.0, 12.1)), None, "the link did not take it");
        assert_eq!(shown(&paced(10.0, 4.9)), None, "they were held back, and let go");
        assert_eq!(shown(&paced(0.5, 0.5)), None, "a burst");
    }

    #[test]
    fn a_faster_cluster_behind_a_slower_one_counts_until_one_fails() {
        let mut times: Vec<_> = (0..6).map(f64::from).map(|index| (index * 20.0, index * 20.0)).collect();
        assert_eq!(shown(&times), Some(Bitrate::from_kbps(400)));
        times.extend((1..7).map(f64::from).map(|index| (100.0 + index * 5.0, 100.0 + index * 5.0)));
        assert_eq!(shown(&times), Some(Bitrate::from_kbps(1600)));
        let mut failed = vec![(0.0, 0.0)];
        failed.extend((1..6).map(f64::from).map(|index| (index * 20.0, index * 30.0)));
        failed.extend((1..7).map(f64::from).map(|index| (100.0 + index * 5.0, 150.0 + index * 5.0)));
        assert_eq!(shown(&failed), None);
    }

    #[test]
    fn no_more_are_held_than_the_limit() {
        let mut clusters = Clusters::default();
        for index in 0..1000_u32 {
            let sent = f64::from(index * index % 977);
            clusters.add(Probe { sent, came: sent, size: DataSize::from_bytes(1000) }, Some(Bitrate::MAX));
            assert!(clusters.probes.len() <= HELD_MAX);
        }
    }
}
