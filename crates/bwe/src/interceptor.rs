use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use plenary_wire::{DataSize, Ecn};
use rtc_interceptor::{BandwidthEstimator, EstimatorStats};
use rtc_rtcp::transport_feedbacks::cc_feedback_report::Ecn as ReportedEcn;

use crate::{ArrivalTime, Controller, Feedback, PacketReport, Purpose, SentPacket};

/// Packets at most that left within the last round trip and are remembered, to know what was on the way.
const DEPARTURES_MAX: usize = 4096;

/// What IP and UDP add to each packet: `rtc-interceptor` counts RTP alone.
const LOWER_LAYERS: u64 = 28;

/// A [`Controller`] where `rtc-interceptor` (0.21) wants an estimator: webrtc-rs sends by it (feature `interceptor`).
///
/// That crate tells of packets only once they are reported on, and takes one number back. So probes, padding and window
/// have no effect; what was on the way is taken to be what left within the longest wait for a report before. Arrival times
/// of its RFC 8888 reports begin anew with each report, so that there is no delay to see: use transport-wide feedback.
pub struct Estimator<C> {
    controller: C,
    reports: Vec<PacketReport>,
    departures: VecDeque<(Instant, u64)>,
    on_the_way: u64,
    /// From a packet's departure to its report, at the longest.
    wait: Duration,
    round_trip: Option<Duration>,
    lost: f64,
}

impl<C: Controller> Estimator<C> {
    /// Tells this controller. Its limits are to be set before: [`Controller::handle_streams`].
    #[must_use]
    pub const fn new(controller: C) -> Self {
        Self {
            controller,
            reports: Vec::new(),
            departures: VecDeque::new(),
            on_the_way: 0,
            wait: Duration::from_millis(100),
            round_trip: None,
            lost: 0.0,
        }
    }

    /// The controller, to ask.
    pub const fn controller(&self) -> &C {
        &self.controller
    }

    /// The controller, to set.
    pub const fn controller_mut(&mut self) -> &mut C {
        &mut self.controller
    }

    fn departed(&mut self, at: Instant, size: u64) -> DataSize {
        let is_old = |(then, _): &(Instant, u64)| at.saturating_duration_since(*then) > self.wait;
        while self.departures.front().is_some_and(is_old) || self.departures.len() >= DEPARTURES_MAX {
            let (_, size) = self.departures.pop_front().unwrap_or((at, 0));
            self.on_the_way -= size;
        }
        self.departures.push_back((at, size));
        self.on_the_way += size;
        DataSize::from_bytes(self.on_the_way)
    }
}

impl<C: Controller + Sync> BandwidthEstimator for Estimator<C> {
    fn on_reports(&mut self, now: Instant, reports: &[rtc_interceptor::PacketReport]) {
        let [Some(oldest), Some(newest)] = [reports.first(), reports.last()] else { return };
        let round_trip = now.saturating_duration_since(newest.departure);
        self.wait = now.saturating_duration_since(oldest.departure);
        self.round_trip = Some(round_trip);
        self.reports.clear();
        for report in reports {
            let size = report.size as u64 + LOWER_LAYERS;
            let sent = SentPacket {
                number: report.id,
                at: report.departure,
                size: DataSize::from_bytes(size),
                untracked: DataSize::ZERO,
                purpose: Purpose::Video,
                probe: None,
                in_flight: self.departed(report.departure, size),
            };
            self.controller.handle_sent(&sent);
            let micros = |at: Duration| i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
            let arrival = report.arrival.filter(|_| report.arrived);
            let ecn = match report.ecn {
                ReportedEcn::NotEct => Ecn::NotEct,
                ReportedEcn::Ect1 => Ecn::Ect1,
                ReportedEcn::Ect0 => Ecn::Ect0,
                ReportedEcn::Ce => Ecn::Ce,
            };
            // That it arrived without anybody knowing when is no loss, and says nothing of the way.
            if arrival.is_some() || !report.arrived {
                let arrived = arrival.map(|at| ArrivalTime::from_micros(micros(at)));
                self.reports.push(PacketReport { sent, arrived, ecn, is_recovered: false });
            }
        }
        if self.reports.is_empty() {
            return;
        }
        let in_flight = DataSize::from_bytes(self.on_the_way);
        let feedback = Feedback { packets: &self.reports, in_flight, round_trip: Some(round_trip) };
        self.lost = feedback.lost() as f64 / self.reports.len() as f64;
        self.controller.handle_feedback(&feedback, now);
    }

    fn target_bitrate(&self) -> f64 {
        self.controller.rates().target.as_bps() as f64
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.controller.poll_timeout().is_some_and(|at| at <= now) {
            self.controller.handle_timeout(now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.controller.poll_timeout()
    }

    fn stats(&self) -> EstimatorStats {
        let mut stats = EstimatorStats::default();
        stats.packet_loss = Some(self.lost);
        stats.round_trip_time = self.round_trip;
        stats
    }
}

impl<C: fmt::Debug> fmt::Debug for Estimator<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Estimator").field("controller", &self.controller).finish_non_exhaustive()
    }
}
