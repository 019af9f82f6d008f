use std::time::Instant;

use plenary_wire::Bitrate;

use crate::{Cause, Controller, Explanation, Feedback, Rates, Streams};

/// Always the same rate, within the limits: what a comparison begins with.
#[derive(Clone, Debug)]
pub struct Fixed {
    rate: Bitrate,
    streams: Streams,
}

impl Fixed {
    /// Sends at this rate.
    #[must_use]
    pub fn new(rate: Bitrate) -> Self {
        Self { rate, streams: Streams::default() }
    }
}

impl Controller for Fixed {
    fn handle_feedback(&mut self, _feedback: &Feedback<'_>, _now: Instant) {}

    fn handle_streams(&mut self, streams: &Streams, _now: Instant) {
        self.streams = *streams;
    }

    fn rates(&self) -> Rates {
        Rates::target(self.streams.clamp(self.rate))
    }

    fn explain(&self) -> Explanation {
        Explanation { cause: Cause::Start, to: self.rates().target, ..Explanation::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_the_limits() {
        let now = plenary_netsim::base();
        let mut fixed = Fixed::new(Bitrate::from_mbps(3));
        assert_eq!(fixed.rates(), Rates::target(Bitrate::from_mbps(3)));
        assert_eq!(fixed.explain().cause, Cause::Start);
        fixed.handle_streams(&Streams { max: Bitrate::from_mbps(2), ..Streams::default() }, now);
        assert_eq!(fixed.rates().target, Bitrate::from_mbps(2));
    }
}
