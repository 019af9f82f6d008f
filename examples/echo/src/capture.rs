//! When media was captured, on our clock: so that sender reports of ours keep audio and video of the peer together.

use std::time::{Duration, Instant};

use plenary_rtp::rtcp::SenderReport;
use plenary_rtp::{ClockRate, RtpTime};
use plenary_stream::NtpClock;

/// A capture time further from now is not believed: the clocks have drifted apart, or the peer makes times up.
const DISTANCE_MAX: Duration = Duration::from_secs(1);

/// The peer's wall clock beside ours: set by its first report, the same for all of its streams.
#[derive(Debug, Default)]
pub(crate) struct PeerClock(Option<NtpClock>);

/// What a timestamp of a stream was, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    timestamp: RtpTime,
    at: Instant,
}

impl PeerClock {
    /// Takes a report of any stream of the peer's.
    pub(crate) fn anchor(&mut self, report: &SenderReport<'_>, now: Instant) -> Option<Anchor> {
        let clock = self.0.get_or_insert_with(|| NtpClock::new(now, report.ntp));
        clock.instant(report.ntp).map(|at| Anchor { timestamp: report.rtp_timestamp, at })
    }
}

/// When what a timestamp stands for was captured; now, as long as there is no report.
pub(crate) fn captured_at(anchor: Option<Anchor>, timestamp: RtpTime, clock_rate: ClockRate, now: Instant) -> Instant {
    let since = |anchor: Anchor| {
        let ticks = anchor.timestamp.distance_to(timestamp);
        let distance = clock_rate.duration(ticks.unsigned_abs().into());
        if ticks < 0 { anchor.at.checked_sub(distance) } else { anchor.at.checked_add(distance) }
    };
    let is_near =
        |at: &Instant| now.saturating_duration_since(*at).max(at.saturating_duration_since(now)) <= DISTANCE_MAX;
    anchor.and_then(since).filter(is_near).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use plenary_rtp::NtpTime;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn report(ntp: u64, timestamp: u32) -> SenderReport<'static> {
        SenderReport { ntp: NtpTime(ntp), rtp_timestamp: RtpTime(timestamp), ..SenderReport::default() }
    }

    // The audio of the peer was captured half a second before the picture, whatever its timestamps begin with.
    #[test]
    fn streams_of_one_peer_keep_their_distance() {
        let now = Instant::now();
        let mut clock = PeerClock::default();
        let video = clock.anchor(&report(10 << 32, 90_000), now);
        let audio = clock.anchor(&report((9 << 32) + (1 << 31), 4_294_967_000), now + MS(20));
        assert_eq!(captured_at(video, RtpTime(90_000 + 9_000), ClockRate::VIDEO, now), now + MS(100));
        assert_eq!(captured_at(audio, RtpTime(4_294_967_000), ClockRate::OPUS, now), now - MS(500));
        assert_eq!(captured_at(audio, RtpTime(480 - 296), ClockRate::OPUS, now), now - MS(490), "over the wrap");
    }

    #[test]
    fn without_a_report_or_with_an_absurd_one_it_is_now() {
        let now = Instant::now();
        assert_eq!(captured_at(None, RtpTime(7), ClockRate::VIDEO, now), now);
        let mut clock = PeerClock::default();
        let anchor = clock.anchor(&report(1, 0), now);
        assert_eq!(captured_at(anchor, RtpTime(90_000 * 2), ClockRate::VIDEO, now), now);
        for ntp in [1 << 63, u64::MAX] {
            let anchor = clock.anchor(&report(ntp, 0), now);
            assert_eq!(captured_at(anchor, RtpTime(90_000 * 2), ClockRate::VIDEO, now), now);
        }
    }
}
