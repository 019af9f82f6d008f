//! Whether a trend is congestion: compared with a threshold that follows the trends there are.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/trendline_estimator.cc` (`Detect`, `UpdateThreshold`),
//! signalapp/webrtc bd635df347.

/// When a trend is congestion.
#[derive(Clone, Debug, PartialEq)]
pub struct OveruseConfig {
    /// How much a slope counts for each group that it was seen in. Default: 4.
    pub gain: f64,
    /// The first threshold, in milliseconds: of a slope times its groups (60 at most) times the gain. Default: 12.5.
    pub threshold: f64,
    /// How fast the threshold rises to what is above it, for each millisecond: slowly, else a flow that competes with
    /// TCP would starve. Default: 0.0087.
    pub rise: f64,
    /// How fast it falls to what is below it. Default: 0.039.
    pub fall: f64,
    /// A trend above the threshold is congestion after so many milliseconds. Default: 10.
    pub time_ms: f64,
}

impl Default for OveruseConfig {
    fn default() -> Self {
        Self { gain: 4.0, threshold: 12.5, rise: 0.0087, fall: 0.039, time_ms: 10.0 }
    }
}

/// A slope counts for so many groups at most.
const GROUPS_MAX: u32 = 60;
/// What is further above the threshold is an outage, and no reason to raise it.
const OUTLIER: f64 = 15.0;
const THRESHOLD_MIN: f64 = 6.0;
const THRESHOLD_MAX: f64 = 600.0;
/// The threshold moves for so long at most, whatever time has passed.
const STEP_MAX: i64 = 100;

/// What the path seems to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Usage {
    #[default]
    Normal,
    /// Its queue grows.
    Over,
    /// Its queue drains.
    Under,
}

#[derive(Clone, Debug)]
pub(crate) struct Overuse {
    config: OveruseConfig,
    threshold: f64,
    groups: u32,
    trend: f64,
    /// How long the trend is above the threshold; `None` if it is not.
    over: Option<f64>,
    over_groups: u32,
    /// In milliseconds.
    updated: Option<i64>,
    usage: Usage,
}

impl Overuse {
    pub(crate) fn new(config: OveruseConfig) -> Self {
        let threshold = config.threshold;
        Self {
            config,
            threshold,
            groups: 0,
            trend: 0.0,
            over: None,
            over_groups: 0,
            updated: None,
            usage: Usage::Normal,
        }
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.config.clone());
    }

    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }

    /// A group arrived at that millisecond, which left `sent` of them after the one before; `None` is no new trend.
    pub(crate) fn update(&mut self, trend: Option<f64>, sent: f64, arrival: i64) {
        self.groups = self.groups.saturating_add(1);
        if self.groups < 2 {
            return;
        }
        let trend = trend.unwrap_or(self.trend);
        let modified = f64::from(self.groups.min(GROUPS_MAX)) * trend * self.config.gain;
        if modified > self.threshold {
            // The first time it has been so for half of the time since the last group.
            let over = self.over.map_or(sent / 2.0, |over| over + sent);
            self.over = Some(over);
            self.over_groups += 1;
            if over > self.config.time_ms && self.over_groups > 1 && trend >= self.trend {
                (self.over, self.over_groups) = (Some(0.0), 0);
                self.usage = Usage::Over;
            }
        } else {
            (self.over, self.over_groups) = (None, 0);
            self.usage = if modified < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.trend = trend;
        self.adapt(libm::fabs(modified), arrival);
    }

    fn adapt(&mut self, modified: f64, now: i64) {
        let since = now.saturating_sub(*self.updated.get_or_insert(now)).clamp(0, STEP_MAX);
        self.updated = Some(now);
        if modified > self.threshold + OUTLIER {
            return;
        }
        let speed = if modified < self.threshold { self.config.fall } else { self.config.rise };
        self.threshold += speed * (modified - self.threshold) * since as f64;
        self.threshold = self.threshold.clamp(THRESHOLD_MIN, THRESHOLD_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Updates each 10 ms from `start` on.
    fn run(overuse: &mut Overuse, start: i64, trends: &[f64]) -> Usage {
        for (index, trend) in trends.iter().enumerate() {
            overuse.update(Some(*trend), 10.0, (start + index as i64) * 10);
        }
        overuse.usage()
    }

    #[test]
    fn congestion_is_a_trend_that_lasts_and_does_not_fall() {
        let mut overuse = Overuse::new(OveruseConfig::default());
        assert_eq!(run(&mut overuse, 0, &[0.0; 60]), Usage::Normal);
        // 60 · 4 · 0.06 = 14.4 ms, above what the threshold has fallen to: 5 ms, then 15.
        assert_eq!(run(&mut overuse, 60, &[0.06]), Usage::Normal);
        assert_eq!(run(&mut overuse, 61, &[0.06]), Usage::Over);
        assert_eq!(run(&mut overuse, 62, &[0.0]), Usage::Normal);
        assert_eq!(run(&mut overuse, 63, &[0.06, 0.059, 0.058]), Usage::Normal);
        assert_eq!(run(&mut overuse, 66, &[-0.1]), Usage::Under);
    }

    #[test]
    fn a_slope_counts_for_sixty_groups_at_most() {
        // The threshold is 6: 60 · 4 · 0.0251 are above it, 0.0249 are not.
        for (trend, usage) in [(0.0251, Usage::Over), (0.0249, Usage::Normal)] {
            let mut overuse = Overuse::new(OveruseConfig::default());
            run(&mut overuse, 0, &[0.0; 200]);
            assert_eq!(run(&mut overuse, 200, &[trend; 3]), usage);
        }
    }

    #[test]
    fn the_threshold_moves_as_computed_by_hand() {
        let mut overuse = Overuse::new(OveruseConfig::default());
        run(&mut overuse, 0, &[0.0, 0.0]);
        // The first time there is no time since.
        assert_eq!(overuse.threshold, 12.5);
        run(&mut overuse, 2, &[0.0]);
        assert!((overuse.threshold - (12.5 - 0.039 * 12.5 * 10.0)).abs() < 1e-12, "{}", overuse.threshold);
        run(&mut overuse, 3, &[0.0; 10]);
        assert_eq!(overuse.threshold, THRESHOLD_MIN);
        // 14 groups · 4 · 0.2 = 11.2; then an outlier, which changes nothing.
        run(&mut overuse, 13, &[0.2]);
        let risen = 6.0 + 0.0087 * (11.2 - 6.0) * 10.0;
        assert!((overuse.threshold - risen).abs() < 1e-9, "{}", overuse.threshold);
        run(&mut overuse, 14, &[2.0]);
        assert!((overuse.threshold - risen).abs() < 1e-9);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_move_the_threshold() {
        let mut overuse = Overuse::new(OveruseConfig::default());
        for arrival in [0, 1_000_000, i64::MIN, i64::MAX, -5] {
            overuse.update(Some(0.01), 10.0, arrival);
            assert!((THRESHOLD_MIN..=12.5).contains(&overuse.threshold));
        }
    }
}
