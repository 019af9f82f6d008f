use std::time::Instant;

use plenary_wire::Bitrate;

use crate::{Cause, Controller, Explanation, Feedback, Rates, Streams};

/// Knows what the path will take, and when: what no controller can beat. Others are measured by what they miss of it.
///
/// Its target is 20/21 of what is known, and it paces at all of it: so what an encoder makes too much leaves soon.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// In the order of time.
    schedule: Vec<(Instant, Bitrate)>,
    /// Which of it holds.
    current: usize,
    streams: Streams,
    explanation: Explanation,
}

impl Oracle {
    /// Knows this schedule: from each instant on, that rate. Before the first, the first holds; without any it sends at the
    /// least.
    #[must_use]
    pub fn new(mut schedule: Vec<(Instant, Bitrate)>) -> Self {
        schedule.sort_by_key(|(at, _)| *at);
        Self { schedule, current: 0, streams: Streams::default(), explanation: Explanation::default() }
    }

    fn known(&self) -> Bitrate {
        self.schedule.get(self.current).map_or(Bitrate::ZERO, |(_, rate)| *rate)
    }

    fn target(&self) -> Bitrate {
        let (whole, rest) = (self.known().as_bps() / 21, self.known().as_bps() % 21);
        self.streams.clamp(Bitrate::from_bps(whole * 20 + rest * 20 / 21))
    }
}

impl Controller for Oracle {
    fn handle_feedback(&mut self, _feedback: &Feedback<'_>, _now: Instant) {}

    fn handle_streams(&mut self, streams: &Streams, _now: Instant) {
        self.streams = *streams;
    }

    fn handle_timeout(&mut self, now: Instant) {
        let from = self.target();
        while self.poll_timeout().is_some_and(|at| at <= now) {
            self.current += 1;
        }
        let to = self.target();
        if from != to {
            self.explanation =
                Explanation { cause: Cause::Schedule, at: Some(now), from, to, ..Explanation::default() };
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.get(self.current + 1).map(|(at, _)| *at)
    }

    fn rates(&self) -> Rates {
        let target = self.target();
        Rates { pacing: self.known().max(target), ..Rates::target(target) }
    }

    fn explain(&self) -> Explanation {
        self.explanation
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Branch;

    #[test]
    fn it_follows_its_schedule_and_branches() {
        let start = plenary_netsim::base();
        let at = |seconds| start + Duration::from_secs(seconds);
        let [slow, fast] = [Bitrate::from_kbps(600), Bitrate::from_kbps(2400)];
        let all = |rate: Bitrate| Bitrate::from_bps(rate.as_bps() * 21 / 20);
        let mut oracle = Oracle::new(vec![(at(40), all(fast)), (at(0), all(slow))]);
        assert_eq!((oracle.rates().target, oracle.poll_timeout()), (slow, Some(at(40))));
        assert_eq!(oracle.rates().pacing, all(slow));
        let before = oracle.snapshot();
        oracle.handle_timeout(at(39));
        assert_eq!(oracle.explain().cause, Cause::Start);
        oracle.handle_timeout(at(40));
        assert_eq!((oracle.rates().target, oracle.poll_timeout()), (fast, None));
        let why = oracle.explain();
        assert_eq!((why.cause, why.at, why.from, why.to), (Cause::Schedule, Some(at(40)), slow, fast));
        oracle.restore(&before).unwrap();
        assert_eq!(oracle.rates().target, slow);
        assert!(crate::Fixed::new(slow).restore(&before).is_err());
    }
}
