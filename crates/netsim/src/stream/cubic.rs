use std::time::Duration;

use super::STREAM_SEGMENT;

/// C of RFC 9438 §4.1, in segments per cubic second.
const SCALE: f64 = 0.4;
/// β of §4.6: to what a window is reduced.
const REDUCTION: f64 = 0.7;
/// α of §4.3: what makes it grow as fast as Reno would on average.
const FRIENDLY: f64 = 3.0 * (1.0 - REDUCTION) / (1.0 + REDUCTION);

/// CUBIC's growth, RFC 9438. Windows are in segments. All is the four operations and `libm`.
#[derive(Debug, Default)]
pub(super) struct Cubic {
    /// W_max: where the last congestion was, or a little below (fast convergence).
    origin: f64,
    /// cwnd_prior: the window at the last congestion.
    prior: f64,
    epoch: Option<Epoch>,
    /// A part of a byte that is left over.
    rest: f64,
}

/// A stage of congestion avoidance.
#[derive(Debug)]
struct Epoch {
    start: Duration,
    /// K: after how long the window is back at the origin.
    back: f64,
    /// W_est: what Reno would have.
    estimate: f64,
}

impl Cubic {
    /// By how many bytes the window grows.
    pub(super) fn growth(&mut self, bytes: u64, acknowledged: u64, round_trip: Duration, now: Duration) -> u64 {
        let window = segments(bytes);
        let acknowledged = segments(acknowledged);
        let origin = &mut self.origin;
        let epoch = self.epoch.get_or_insert_with(|| {
            *origin = libm::fmax(*origin, window);
            let back = libm::cbrt((*origin - window) / SCALE);
            Epoch { start: now, back, estimate: window }
        });
        let friendly = if epoch.estimate < self.prior { FRIENDLY } else { 1.0 };
        epoch.estimate += friendly * acknowledged / window;
        let time = now.saturating_sub(epoch.start).as_secs_f64();
        let cubic = |time: f64| {
            let away = time - epoch.back;
            SCALE * away * away * away + self.origin
        };
        let grown = if cubic(time) < epoch.estimate {
            libm::fmax(epoch.estimate, window)
        } else {
            let target = cubic(time + round_trip.as_secs_f64()).clamp(window, 1.5 * window);
            window + (target - window) / window * acknowledged
        };
        self.rest += (grown - window) * STREAM_SEGMENT as f64;
        let whole = libm::floor(self.rest);
        self.rest -= whole;
        whole as u64
    }

    /// To how many bytes the window is reduced.
    pub(super) fn reduced(&mut self, bytes: u64, flight: u64) -> u64 {
        let window = segments(bytes);
        let gives_way = window < self.origin;
        self.origin = if gives_way { window * (1.0 + REDUCTION) / 2.0 } else { window };
        self.prior = window;
        self.epoch = None;
        (flight as f64 * REDUCTION) as u64
    }

    /// After a timeout growth begins at whatever the window then is (§4.8).
    pub(super) fn forget(&mut self) {
        self.origin = 0.0;
        self.epoch = None;
    }
}

fn segments(bytes: u64) -> f64 {
    bytes as f64 / STREAM_SEGMENT as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = STREAM_SEGMENT as u64;

    /// The window after these times (in ms) of acknowledgements of all of it, once in each round trip.
    fn windows(cubic: &mut Cubic, mut bytes: u64, round_trip: u64, times: &[u64]) -> Vec<u64> {
        let mut now = 0;
        let mut at = |time: &u64| {
            while now < *time {
                for _ in 0..bytes / SEGMENT {
                    let millis = Duration::from_millis;
                    bytes += cubic.growth(bytes, SEGMENT, millis(round_trip), millis(now));
                }
                now += round_trip;
            }
            bytes / SEGMENT
        };
        times.iter().map(&mut at).collect()
    }

    /// RFC 9438 §4.2: from 70 of 100 segments it is back after ∛(30 / 0.4) = 4.2 s, flat around there. What Reno would
    /// have, 105 after 6.3 s, is more for a while.
    #[test]
    fn it_is_concave_up_to_the_last_congestion_and_convex_beyond() {
        let mut cubic = Cubic::default();
        assert_eq!(cubic.reduced(100 * SEGMENT, 100 * SEGMENT), 70 * SEGMENT);
        let windows = windows(&mut cubic, 70 * SEGMENT, 100, &[1_000, 2_100, 4_200, 6_300, 8_400]);
        assert_eq!(windows, [85, 95, 99, 105, 128]);
    }

    /// §4.3: with little delay Reno would be faster, so that is what it does.
    #[test]
    fn it_is_as_fast_as_reno_where_that_is_faster() {
        let mut cubic = Cubic::default();
        cubic.reduced(20 * SEGMENT, 20 * SEGMENT);
        // 6 segments at 0.53 in each round trip, and beyond one in each.
        let windows = windows(&mut cubic, 14 * SEGMENT, 10, &[60, 120, 220]);
        assert_eq!(windows, [17, 20, 30]);
    }

    /// §4.7: who is reduced below the last maximum makes room.
    #[test]
    fn it_converges_fast() {
        let mut cubic = Cubic::default();
        cubic.reduced(100 * SEGMENT, 100 * SEGMENT);
        cubic.reduced(80 * SEGMENT, 80 * SEGMENT);
        assert_eq!((cubic.origin, cubic.prior), (68.0, 80.0));
    }
}
