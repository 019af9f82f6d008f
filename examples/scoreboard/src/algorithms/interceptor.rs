use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plenary_bwe::{Controller, Feedback, PacketReport, Rates, Streams};
use plenary_wire::{Bitrate, Ecn};
use rtc_interceptor::{BandwidthEstimator, Gcc};
use rtc_rtcp::transport_feedbacks::cc_feedback_report as ccfb;

use super::Setup;

/// GCC of the crate `rtc-interceptor`. It gives a target and no probes; what is sent is paced a tenth above that, as
/// libwebrtc does.
///
/// It can't be cloned: snapshots share it.
#[derive(Clone)]
pub(super) struct Interceptor {
    gcc: Arc<Mutex<Gcc>>,
    streams: Streams,
    reports: Vec<rtc_interceptor::PacketReport>,
}

impl fmt::Debug for Interceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interceptor").field("rates", &self.rates()).finish_non_exhaustive()
    }
}

impl Interceptor {
    pub(super) fn new(setup: &Setup) -> Self {
        let bps = |rate: Bitrate| rate.as_bps() as f64;
        let Streams { start, min, max, .. } = setup.streams;
        let gcc = Arc::new(Mutex::new(Gcc::new(bps(start), bps(min), bps(max))));
        Self { gcc, streams: setup.streams, reports: Vec::new() }
    }

    fn gcc(&self) -> MutexGuard<'_, Gcc> {
        self.gcc.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Controller for Interceptor {
    fn handle_feedback(&mut self, feedback: &Feedback<'_>, now: Instant) {
        self.reports.clear();
        self.reports.extend(feedback.packets.iter().map(report_of));
        self.gcc().on_reports(now, &self.reports);
    }

    fn handle_streams(&mut self, streams: &Streams, _now: Instant) {
        self.streams = *streams;
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.gcc().handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.gcc().poll_timeout()
    }

    fn rates(&self) -> Rates {
        let target = self.streams.clamp(Bitrate::from_bps(self.gcc().target_bitrate() as u64));
        let pacing = Bitrate::from_bps(target.as_bps() + target.as_bps() / 10);
        Rates { pacing, ..Rates::target(target) }
    }
}

fn report_of(packet: &PacketReport) -> rtc_interceptor::PacketReport {
    let arrival = packet.arrived.map(|at| Duration::from_micros(at.as_micros().unsigned_abs()));
    rtc_interceptor::PacketReport {
        ssrc: 1,
        id: packet.sent.number,
        rtp_sequence_number: packet.sent.number as u16,
        is_twcc: true,
        twcc_sequence_number: packet.sent.number as u16,
        size: packet.sent.size.as_bytes() as usize,
        arrived: arrival.is_some(),
        departure: packet.sent.at,
        arrival,
        ecn: match packet.ecn {
            Ecn::NotEct => ccfb::Ecn::NotEct,
            Ecn::Ect1 => ccfb::Ecn::Ect1,
            Ecn::Ect0 => ccfb::Ecn::Ect0,
            Ecn::Ce => ccfb::Ecn::Ce,
        },
    }
}
