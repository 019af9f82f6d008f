//! Timestamps of what a slot sends, over changes of its source.

use std::time::{Duration, Instant};

use plenary_rtp::{ClockRate, RtpTime};

/// How much of the difference between when a frame came and when it was due by its timestamp moves the mapping to the
/// clock: one in this many, so that jitter averages out and a drift of clocks is followed.
const SMOOTHING: i32 = 128;

/// A difference beyond this is a break of the source's clock, and neither jitter nor a network that has stalled.
const BREAK: Duration = Duration::from_secs(2);

/// Timestamps that go on with the wall clock: while one source is sent they follow its own, and each new one begins where
/// the clock has come to by then, whether the one before was sent until now or an hour ago.
#[derive(Debug)]
pub(super) struct Timeline {
    clock_rate: ClockRate,
    /// Steps in which it may move between sources: 20 ms of sound, so that the receiver's audio buffer conceals nothing.
    step: u32,
    newest: Option<Newest>,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    timestamp: RtpTime,
    /// When what it stands for was, on our clock.
    at: Instant,
    arrived: Instant,
}

impl Timeline {
    pub(super) const fn new(clock_rate: ClockRate, step: u32) -> Self {
        Self { clock_rate, step, newest: None }
    }

    /// What is to be added to the timestamps of a source whose first packet has this one and came then. `random` is
    /// where the first source of all begins.
    pub(super) fn join(&self, timestamp: RtpTime, arrived: Instant, random: u32) -> u32 {
        let first = match &self.newest {
            None => RtpTime(random),
            Some(newest) => {
                let elapsed = self.clock_rate.ticks(arrived.saturating_duration_since(newest.at));
                let steps = (elapsed + u64::from(self.step) / 2) / u64::from(self.step);
                newest.timestamp.wrapping_add((steps.max(1) as u32).wrapping_mul(self.step))
            }
        };
        first.0.wrapping_sub(timestamp.0)
    }

    /// Whether the source's clock has jumped, so that it has to join anew.
    pub(super) fn is_broken_by(&self, timestamp: RtpTime, arrived: Instant) -> bool {
        let Some(newest) = self.newest else { return false };
        let steps = newest.timestamp.distance_to(timestamp);
        let distance = self.clock_rate.duration(u64::from(steps.unsigned_abs()));
        // The parts of one picture may take as long as they like.
        if steps <= 0 {
            return distance > BREAK;
        }
        let due = newest.at + distance;
        arrived.saturating_duration_since(due).max(due.saturating_duration_since(arrived)) > BREAK
    }

    /// A packet with this timestamp is sent. Answers when what it stands for was, on our clock.
    pub(super) fn sent(&mut self, timestamp: RtpTime, arrived: Instant) -> Instant {
        let Some(newest) = self.newest.filter(|newest| newest.timestamp != timestamp) else {
            return self.newest.get_or_insert(Newest { timestamp, at: arrived, arrived }).at;
        };
        let steps = newest.timestamp.distance_to(timestamp);
        if steps < 0 {
            let back = self.clock_rate.duration(u64::from(steps.unsigned_abs()));
            return newest.at.checked_sub(back).unwrap_or(newest.at);
        }
        let due = newest.at + self.clock_rate.duration(steps as u64);
        let at = smoothed(due, arrived);
        self.newest = Some(Newest { timestamp, at, arrived });
        at
    }

    /// When the newest that was sent had come in.
    pub(super) fn newest_arrival(&self) -> Option<Instant> {
        self.newest.map(|newest| newest.arrived)
    }
}

fn smoothed(due: Instant, arrived: Instant) -> Instant {
    let (late, early) = (arrived.saturating_duration_since(due), due.saturating_duration_since(arrived));
    let moved = due + late / SMOOTHING as u32;
    moved.checked_sub(early / SMOOTHING as u32).unwrap_or(moved)
}

#[cfg(test)]
mod tests {
    use plenary_netsim::base;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_source_joins_where_the_clock_is() {
        let (mut video, start) = (Timeline::new(ClockRate::VIDEO, 1), base());
        let delta = video.join(RtpTime(5000), start, 77);
        assert_eq!(RtpTime(5000).wrapping_add(delta), RtpTime(77));
        video.sent(RtpTime(77), start);
        video.sent(RtpTime(77 + 3000), start + ms(33));
        // Another one, 67 ms after the last picture, and one after an hour of nothing.
        for pause in [ms(67), ms(3_600_000)] {
            let arrived = start + ms(33) + pause;
            let delta = video.join(RtpTime(u32::MAX), arrived, 0);
            let joined = RtpTime(u32::MAX).wrapping_add(delta);
            let expected = ClockRate::VIDEO.ticks(pause);
            let off = RtpTime(77 + 3000).wrapping_add(expected as u32).distance_to(joined);
            assert!(off.abs() < 90, "{off} ticks off");
        }
        assert_eq!(video.join(RtpTime(9), start, 0).wrapping_add(9), 77 + 3001, "never back");
    }

    #[test]
    fn sound_joins_in_whole_steps() {
        let (mut audio, start) = (Timeline::new(ClockRate::new(48_000).unwrap(), 960), base());
        audio.sent(RtpTime(0), start);
        for (pause, steps) in [(5, 1), (29, 1), (31, 2), (5003, 250)] {
            assert_eq!(audio.join(RtpTime(123), start + ms(pause), 0).wrapping_add(123), steps * 960, "{pause} ms");
        }
    }

    #[test]
    fn jitter_does_not_shake_the_clock_and_drift_is_followed() {
        let (mut video, start) = (Timeline::new(ClockRate::VIDEO, 1), base());
        let mut at = video.sent(RtpTime(0), start);
        for frame in 1..2000u32 {
            // A camera whose clock runs 200 ppm slow, over a path with 0 to 18 ms of jitter.
            let captured = Duration::from_micros(u64::from(frame) * 33_340);
            let arrived = start + captured + ms(u64::from(frame * 7 % 19));
            let next = video.sent(RtpTime(frame * 3000), arrived);
            let step = next - at;
            assert!(step > ms(33) && step < ms(34), "{step:?}");
            at = next;
        }
        let (off, captured) = (at - start, Duration::from_micros(1999 * 33_340));
        assert!(off > captured && off < captured + ms(15), "{off:?} for {captured:?}");
    }

    #[test]
    fn a_late_frame_is_in_the_past_and_a_break_is_seen() {
        let (mut video, start) = (Timeline::new(ClockRate::VIDEO, 1), base());
        video.sent(RtpTime(900_000), start);
        assert_eq!(video.sent(RtpTime(891_000), start + ms(5)), start - ms(100));
        for (timestamp, after, broken) in [
            (900_000 + 90_000, 1000, false),
            (900_000, 9900, false),
            (900_001, 1900, false), // the network has stalled
            (900_001, 2100, true),  // the source has stopped its clock
            (900_000 + 200_000, 5, true),
            (891_000, 60_000, false),
            (700_000, 5, true),
        ] {
            assert_eq!(
                video.is_broken_by(RtpTime(timestamp), start + ms(after)),
                broken,
                "{timestamp} after {after} ms"
            );
        }
    }
}
