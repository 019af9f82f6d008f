use std::time::{Duration, Instant};

use super::ScreamConfig;

/// No padding so soon after the window shrank.
const CALM: Duration = Duration::from_secs(1);

/// When padding may be sent: for a while, and then for a while not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Padding {
    /// The while that is on ends here, or has ended.
    until: Option<Instant>,
    is_on: bool,
}

impl Padding {
    pub(super) fn handle_time(&mut self, config: &ScreamConfig, decreased_at: Option<Instant>, now: Instant) {
        let is_calm = decreased_at.is_none_or(|at| now.saturating_duration_since(at) > CALM);
        let ended = self.until.filter(|until| *until <= now);
        match (is_calm, self.until, ended) {
            (false, ..) => {
                self.until = self.until.map(|until| until.min(now));
                self.is_on = false;
            }
            (true, None, _) => self.begin(config, now),
            (true, _, Some(ended)) if now.saturating_duration_since(ended) >= config.padding_period => {
                self.begin(config, now);
            }
            (true, _, ended) => self.is_on = ended.is_none(),
        }
    }

    fn begin(&mut self, config: &ScreamConfig, now: Instant) {
        self.until = Some(now + config.padding_period);
        self.is_on = true;
    }

    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_and_off_in_turn_and_ends_with_congestion() {
        let start = plenary_netsim::base();
        let at = |ms| start + Duration::from_millis(ms);
        let (config, mut padding) = (ScreamConfig::default(), Padding::default());
        let mut is_on = |ms, decreased: Option<u64>| {
            padding.handle_time(&config, decreased.map(at), at(ms));
            padding.is_on()
        };
        assert!(is_on(0, None) && is_on(2900, None));
        assert!(!is_on(3000, None) && !is_on(5900, None));
        assert!(is_on(6000, None) && !is_on(7000, Some(7000)) && !is_on(8000, Some(7000)));
        // It was ended at 7 s.
        assert!(!is_on(9900, Some(7000)) && is_on(11_000, Some(7000)));
    }
}
