//! The target: the least of what delay, loss, the receiver and round trips allow.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/send_side_bandwidth_estimation.cc`, signalapp/webrtc
//! bd635df347. It differs in that the target rises no higher than what is proven allows, and in that it follows delay, and
//! what probes show, at once while loss is no limit: upstream it does when loss is next looked at, 250 ms later.

use plenary_wire::Bitrate;

use super::GccConfig;
use super::legacy_loss::{LegacyLoss, Verdict};
use super::loss_based::{LossBased, Phase};
use super::number::{Time, micros, scaled};
use super::round_trip_backoff::RoundTripBackoff;
use crate::{Cause, Feedback};

/// For so long after the first report of loss, delay and the receiver are trusted if there is none.
const START: i64 = 2_000_000;

#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Target {
    current: Bitrate,
    min: Bitrate,
    max: Bitrate,
    /// It rises no higher.
    proven: Bitrate,
    remote_limit: Option<Bitrate>,
    /// And what set it.
    delay_limit: Option<(Bitrate, Cause)>,
    first_report: Option<Time>,
    /// Of the last change.
    cause: Cause,
    phase: Phase,
    pub(crate) backoff: RoundTripBackoff,
    loss_based: LossBased,
    legacy_loss: LegacyLoss,
    /// When it last fell, by loss of old or by round trips.
    fallen: Option<Time>,
    /// In microseconds.
    round_trip: i64,
}

impl Target {
    pub(crate) fn new(config: &GccConfig) -> Self {
        Self {
            current: Bitrate::ZERO,
            min: Bitrate::ZERO,
            max: Bitrate::MAX,
            remote_limit: None,
            delay_limit: None,
            proven: Bitrate::MAX,
            loss_based: LossBased::new(config.loss_based.clone()),
            phase: Phase::DelayBased,
            legacy_loss: LegacyLoss::new(config.legacy_loss.clone()),
            backoff: RoundTripBackoff::new(config.backoff.clone()),
            fallen: None,
            first_report: None,
            round_trip: 0,
            cause: Cause::Start,
        }
    }

    pub(crate) fn rate(&self) -> Bitrate {
        self.remote_limit.unwrap_or(Bitrate::MAX).min(self.current).max(self.min)
    }

    /// Why the rate is what it is.
    pub(crate) fn cause(&self) -> Cause {
        if self.remote_limit.is_some_and(|limit| limit < self.current) { Cause::RemoteLimit } else { self.cause }
    }

    /// Whether loss limits it, and how.
    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// The share that is lost, 0 to 1.
    pub(crate) const fn loss(&self) -> f64 {
        if self.first_report.is_some() { self.legacy_loss.fraction() } else { self.loss_based.loss() }
    }

    pub(crate) fn set_limits(&mut self, min: Bitrate, max: Bitrate) {
        (self.min, self.max) = (min, max);
        self.loss_based.set_limits(min, max);
        self.set(self.current, Cause::Streams);
    }

    pub(crate) const fn set_round_trip(&mut self, micros: i64) {
        self.round_trip = micros;
    }

    pub(crate) const fn set_proven(&mut self, rate: Bitrate) {
        self.proven = rate;
    }

    pub(crate) const fn set_acknowledged(&mut self, rate: Bitrate) {
        self.loss_based.set_acknowledged(rate);
    }

    /// Begins there, or goes there at once as a probe has shown.
    pub(crate) fn jump(&mut self, rate: Bitrate, cause: Cause, now: Time) {
        self.delay_limit = None;
        self.set(rate, cause);
        self.legacy_loss.restart(self.current, now);
    }

    pub(crate) fn set_remote_limit(&mut self, limit: Option<Bitrate>) {
        self.remote_limit = limit;
        self.set(self.current, self.cause);
    }

    pub(crate) fn set_delay_limit(&mut self, limit: Bitrate, cause: Cause) {
        self.delay_limit = Some((limit, cause));
        self.set(self.current, cause);
    }

    /// Transport-wide feedback came: its first packet left, and its last.
    pub(crate) fn add_feedback(
        &mut self,
        feedback: &Feedback<'_>,
        span: (Time, Time),
        is_application_limited: bool,
        now: Time,
    ) {
        let delay_limit = self.delay_limit.map(|(limit, _)| limit);
        self.loss_based.add(feedback, span, delay_limit, is_application_limited);
        self.update(now);
    }

    /// A receiver report came.
    pub(crate) fn add_loss(&mut self, lost: u64, expected: u64, now: Time) {
        self.first_report.get_or_insert(now);
        if self.legacy_loss.add(lost, expected, now) {
            self.update(now);
        }
    }

    pub(crate) fn update(&mut self, now: Time) {
        if self.backoff.is_above_limit() {
            return self.back_off(now);
        }
        if let Some(by_loss) = self.loss_based.rate() {
            self.phase = self.loss_based.phase();
            return match (self.phase, self.delay_limit) {
                (Phase::DelayBased, Some((limit, cause))) => self.set(limit, cause),
                _ => self.set(by_loss, Cause::Loss),
            };
        }
        let is_start = self.first_report.is_none_or(|first| now.since(first) < START);
        if is_start && self.legacy_loss.fraction() == 0.0 {
            let delay_limit = self.delay_limit.map(|(limit, _)| limit);
            let trusted = self.remote_limit.max(delay_limit).unwrap_or(Bitrate::ZERO);
            if trusted > self.current {
                self.legacy_loss.restart(self.current, now);
                return self.set(trusted, Cause::Increase);
            }
        }
        match self.legacy_loss.judge(self.current, self.fallen, self.round_trip, now) {
            Verdict::Rise(rate) => self.set(rate, Cause::Increase),
            Verdict::Stay => self.set(self.current, self.cause),
            Verdict::Fall(rate) => {
                self.fallen = Some(now);
                self.set(rate, Cause::Loss);
            }
        }
    }

    fn back_off(&mut self, now: Time) {
        let config = &self.backoff.config;
        let mut next = self.current;
        if now.is_past(self.fallen, micros(config.interval)) && next > config.floor {
            next = scaled(next, config.factor).max(config.floor);
            self.fallen = Some(now);
        }
        self.set(next, if self.backoff.is_silent() { Cause::Silence } else { Cause::RoundTrip });
    }

    fn set(&mut self, wanted: Bitrate, cause: Cause) {
        let (mut next, mut cause) = (wanted, cause);
        if let Some((limit, limit_cause)) = self.delay_limit
            && limit < next
        {
            (next, cause) = (limit, limit_cause);
        }
        if self.max < next {
            (next, cause) = (self.max, Cause::Streams);
        }
        if next > self.current {
            next = next.min(self.proven.max(self.current));
            if matches!(cause, Cause::Delay | Cause::Loss) {
                cause = Cause::Increase;
            }
        }
        next = next.max(self.min);
        if next != self.current {
            (self.current, self.cause) = (next, cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    fn kbps(kbps: u64) -> Bitrate {
        Bitrate::from_kbps(kbps)
    }

    fn target() -> Target {
        let mut target = Target::new(&GccConfig::default());
        target.set_limits(kbps(50), kbps(2_000));
        target.jump(kbps(300), Cause::Start, at(0));
        target
    }

    #[test]
    fn it_is_the_least_of_all_limits() {
        let mut target = target();
        target.set_delay_limit(kbps(250), Cause::Delay);
        assert_eq!((target.rate(), target.cause()), (kbps(250), Cause::Delay));
        target.set_remote_limit(Some(kbps(200)));
        assert_eq!((target.rate(), target.cause()), (kbps(200), Cause::RemoteLimit));
        target.set_remote_limit(Some(kbps(20)));
        assert_eq!(target.rate(), kbps(50));
        target.set_remote_limit(None);
        assert_eq!(target.rate(), kbps(250));
        target.set_limits(kbps(50), kbps(100));
        assert_eq!((target.rate(), target.cause()), (kbps(100), Cause::Streams));
    }

    #[test]
    fn at_first_delay_and_receiver_are_trusted() {
        let mut target = target();
        target.set_delay_limit(kbps(900), Cause::Delay);
        target.update(at(100));
        assert_eq!((target.rate(), target.cause()), (kbps(900), Cause::Increase));
        target.jump(kbps(300), Cause::Start, at(0));
        target.set_remote_limit(Some(kbps(700)));
        target.update(at(200));
        assert_eq!(target.rate(), kbps(700));
        // Two seconds after a report it is loss that moves it.
        target.add_loss(0, 100, at(1_000));
        target.set_remote_limit(Some(kbps(1_500)));
        target.update(at(3_000));
        assert_eq!(target.rate(), kbps(757));
    }

    #[test]
    fn it_rises_no_higher_than_what_is_proven() {
        let mut target = target();
        target.set_proven(kbps(400));
        target.set_delay_limit(kbps(900), Cause::Delay);
        target.update(at(100));
        assert_eq!(target.rate(), kbps(400));
        // Less proof does not lower it.
        target.set_proven(kbps(100));
        target.update(at(200));
        assert_eq!(target.rate(), kbps(400));
    }

    #[test]
    fn silence_and_long_round_trips_lower_it_each_second() {
        let mut target = target();
        target.backoff.add_sent(at(0));
        target.backoff.add_sent(at(3_001));
        target.update(at(3_001));
        assert_eq!((target.rate(), target.cause()), (kbps(240), Cause::Silence));
        target.update(at(4_000));
        assert_eq!(target.rate(), kbps(240));
        target.backoff.add_round_trip(3_500_000, at(4_001));
        target.update(at(4_001));
        assert_eq!((target.rate(), target.cause()), (kbps(192), Cause::RoundTrip));
    }
}
