//! Whether packets take longer and longer: a line through the delays of the latest groups, by least squares.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/trendline_estimator.cc`, signalapp/webrtc bd635df347.
//! It differs in how the line is found: sums are kept in whole numbers, so that a group costs the same for any window
//! and nothing is lost over time.

use std::collections::VecDeque;

use super::inter_arrival::Deltas;
/// How delays become a trend.
#[derive(Clone, Debug, PartialEq)]
pub struct TrendlineConfig {
    /// Groups that the line goes through: fewer see congestion sooner, and jitter too. Range: 10 to 200, the nearest is
    /// taken. Default: 20.
    pub groups: usize,
    /// How much of the smoothed delay stays when a group arrives, 0 to 1. Default: 0.9.
    pub smoothing: f64,
    /// Whether points are ordered by arrival; they are already, but where feedback overtakes feedback. Default: no.
    pub is_sorted: bool,
    /// Bounds the slope by the least delays at the window's ends, which a spike between them does not raise. Default:
    /// none.
    pub cap: Option<SlopeCap>,
}

/// No slope is steeper than the line through the least delay of each end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlopeCap {
    /// Groups of the beginning, from 1; with those of the end no more than the window has.
    pub beginning: usize,
    /// Groups of the end, from 1.
    pub end: usize,
    /// Added to that line's slope. Range: 0 to 0.025, the nearest is taken.
    pub uncertainty: f64,
}

impl Default for TrendlineConfig {
    fn default() -> Self {
        Self { groups: 20, smoothing: 0.9, is_sorted: false, cap: None }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Trendline {
    config: TrendlineConfig,
    points: VecDeque<Point>,
    /// In milliseconds.
    first_arrival: Option<i64>,
    accumulated: f64,
    smoothed: f64,
    sums: Sums,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    /// Milliseconds since the first arrival, ±[`ARRIVAL_MAX`].
    arrival: i64,
    /// Smoothed delay in units of [`DELAY_UNITS`], ±[`DELAY_MAX`].
    smoothed: i64,
    /// Delay in milliseconds.
    raw: f64,
}

/// Of a millisecond.
const DELAY_UNITS: f64 = 1_048_576.0;
const DELAY_MAX: i64 = 1 << 50;
const ARRIVAL_MAX: i64 = 1 << 40;

impl Trendline {
    pub(crate) fn new(config: TrendlineConfig) -> Self {
        let groups = config.groups.clamp(10, 200);
        let cap = config.cap.map(|cap| {
            let beginning = cap.beginning.clamp(1, groups - 1);
            let end = cap.end.clamp(1, groups - beginning);
            SlopeCap { beginning, end, uncertainty: cap.uncertainty.clamp(0.0, 0.025) }
        });
        Self {
            points: VecDeque::with_capacity(groups + 1),
            config: TrendlineConfig { groups, cap, ..config },
            first_arrival: None,
            accumulated: 0.0,
            smoothed: 0.0,
            sums: Sums::default(),
        }
    }

    /// Forgets all.
    pub(crate) fn reset(&mut self) {
        self.points.clear();
        (self.first_arrival, self.accumulated, self.smoothed, self.sums) = (None, 0.0, 0.0, Sums::default());
    }

    /// The slope with this group, which arrived at that millisecond: of delay, over time; `None` while there are too few.
    pub(crate) fn add(&mut self, deltas: Deltas, arrival: i64) -> Option<f64> {
        let first = *self.first_arrival.get_or_insert(arrival);
        self.accumulated += deltas.arrived - deltas.sent;
        self.smoothed = self.config.smoothing * self.smoothed + (1.0 - self.config.smoothing) * self.accumulated;
        self.push(Point {
            arrival: arrival.saturating_sub(first).clamp(-ARRIVAL_MAX, ARRIVAL_MAX),
            smoothed: ((self.smoothed * DELAY_UNITS) as i64).clamp(-DELAY_MAX, DELAY_MAX),
            raw: self.accumulated,
        });
        if self.points.len() < self.config.groups {
            return None;
        }
        let slope = self.sums.slope(self.points.len())?;
        match self.config.cap.and_then(|cap| self.slope_cap(cap)) {
            Some(cap) if slope >= 0.0 => Some(libm::fmin(slope, cap)),
            _ => Some(slope),
        }
    }

    fn push(&mut self, point: Point) {
        self.points.push_back(point);
        if self.config.is_sorted {
            let mut place = self.points.len() - 1;
            while place > 0 && point.arrival < self.points[place - 1].arrival {
                self.points.swap(place, place - 1);
                place -= 1;
            }
        }
        self.sums.add(&point);
        if self.points.len() > self.config.groups
            && let Some(oldest) = self.points.pop_front()
        {
            self.sums.remove(&oldest);
        }
    }

    fn slope_cap(&self, cap: SlopeCap) -> Option<f64> {
        let least = |points: &mut dyn Iterator<Item = &Point>| {
            points.copied().reduce(|least, point| if point.raw < least.raw { point } else { least })
        };
        let early = least(&mut self.points.iter().take(cap.beginning))?;
        let late = least(&mut self.points.iter().skip(self.points.len() - cap.end))?;
        let time = late.arrival - early.arrival;
        (time >= 1).then(|| (late.raw - early.raw) / time as f64 + cap.uncertainty)
    }
}

/// Of all points' arrival (x) and smoothed delay (y).
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    x: i64,
    y: i64,
    xx: i128,
    xy: i128,
}

impl Sums {
    // 200 points of 2^40 ms and 2^50 units: x·y stays below 2^98.
    fn add(&mut self, point: &Point) {
        let (x, y) = (point.arrival, point.smoothed);
        self.x += x;
        self.y += y;
        self.xx += i128::from(x) * i128::from(x);
        self.xy += i128::from(x) * i128::from(y);
    }

    fn remove(&mut self, point: &Point) {
        let (x, y) = (point.arrival, point.smoothed);
        self.x -= x;
        self.y -= y;
        self.xx -= i128::from(x) * i128::from(x);
        self.xy -= i128::from(x) * i128::from(y);
    }

    /// `None` if all arrived at once.
    fn slope(&self, points: usize) -> Option<f64> {
        let n = points as i128;
        let numerator = n * self.xy - i128::from(self.x) * i128::from(self.y);
        let denominator = n * self.xx - i128::from(self.x) * i128::from(self.x);
        (denominator != 0).then(|| number(numerator) / number(denominator) / DELAY_UNITS)
    }
}

/// No path comes near what does not fit in 64 bits: that saturates.
fn number(whole: i128) -> f64 {
    i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX }) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups 10 ms apart; each takes `step` ms longer than the one before.
    fn run(trendline: &mut Trendline, from: i64, groups: i64, step: f64) -> Option<f64> {
        (from..from + groups)
            .map(|group| trendline.add(Deltas { sent: 10.0 - step, arrived: 10.0, size: 0 }, group * 10))
            .last()?
    }

    #[test]
    fn the_slope_is_that_of_least_squares() {
        let config = TrendlineConfig { smoothing: 0.0, ..TrendlineConfig::default() };
        let mut trendline = Trendline::new(config);
        assert_eq!(run(&mut trendline, 0, 19, 1.0), None);
        // 1 ms more in each 10 ms.
        let slope = run(&mut trendline, 19, 1, 1.0).unwrap();
        assert!((slope - 0.1).abs() < 1e-9, "{slope}");
        let slope = run(&mut trendline, 20, 30, -0.5).unwrap();
        assert!((slope + 0.05).abs() < 1e-9, "{slope}");
    }

    #[test]
    fn a_smoothed_step_is_what_was_computed_by_hand() {
        let mut trendline = Trendline::new(TrendlineConfig { groups: 10, ..TrendlineConfig::default() });
        run(&mut trendline, 0, 9, 0.0);
        // One group late by 8 ms: smoothed 0.8. Σ(x - 45)(y - 0.08) = 45 · 0.8 = 36; Σ(x - 45)² = 8,250.
        let slope = run(&mut trendline, 9, 1, 8.0).unwrap();
        assert!((slope - 36.0 / 8_250.0).abs() < 1e-8, "{slope}");
    }

    #[test]
    fn sums_are_as_exact_after_a_day_as_at_first() {
        let mut trendline = Trendline::new(TrendlineConfig::default());
        for group in 0..100_000 {
            run(&mut trendline, group * 86, 1, f64::from((group % 7) as u32) - 3.0);
        }
        let points: Vec<_> =
            trendline.points.iter().map(|p| (p.arrival as f64, p.smoothed as f64 / DELAY_UNITS)).collect();
        let n = points.len() as f64;
        let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
        let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>()
            / points.iter().map(|p| (p.0 - x) * (p.0 - x)).sum::<f64>();
        assert!((trendline.sums.slope(points.len()).unwrap() - slope).abs() < 1e-9);
    }

    #[test]
    fn a_spike_between_does_not_raise_a_capped_slope() {
        let config = TrendlineConfig { smoothing: 0.0, ..TrendlineConfig::default() };
        let cap = SlopeCap { beginning: 7, end: 7, uncertainty: 0.0 };
        let spike = |config| {
            let mut trendline = Trendline::new(config);
            run(&mut trendline, 0, 17, 0.0);
            run(&mut trendline, 17, 3, 20.0)
        };
        assert!(spike(config.clone()).unwrap() > 0.15);
        assert_eq!(spike(TrendlineConfig { cap: Some(cap), ..config }), Some(0.0));
    }

    #[test]
    fn points_can_be_sorted_and_arrivals_anything() {
        let mut trendline =
            Trendline::new(TrendlineConfig { groups: 10, is_sorted: true, ..TrendlineConfig::default() });
        for arrival in [5, 3, 4, 1, 2, 9, 8, 7, 6, 0] {
            trendline.add(Deltas { sent: 0.0, arrived: 0.0, size: 0 }, arrival);
        }
        assert!(trendline.points.iter().is_sorted_by_key(|point| point.arrival));
        for arrival in [i64::MAX, i64::MIN, 0].into_iter().cycle().take(30) {
            let deltas = Deltas { sent: -1e300, arrived: 1e300, size: 0 };
            trendline.add(deltas, arrival);
        }
        // All at once: there is no line.
        let mut trendline = Trendline::new(TrendlineConfig::default());
        for _ in 0..40 {
            assert_eq!(trendline.add(Deltas { sent: 1.0, arrived: 0.0, size: 0 }, 7), None);
        }
    }
}
