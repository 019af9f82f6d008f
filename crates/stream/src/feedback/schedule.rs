//! RTCP timing between two endpoints (RFC 3550 §6.2, §6.3; RFC 4585 §3).

use std::time::{Duration, Instant};

use plenary_wire::{Bitrate, DataSize};

use crate::ConfigError;

/// When RTCP is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleConfig {
    /// The mean time between two regular reports. Default: 1 s, as browsers do with video; they take 5 s for audio alone,
    /// the minimum of RFC 3550. From 10 ms to an hour.
    pub interval: Duration,
    /// Chance for the times of reports, so that endpoints started together do not stay so. It need not be secret.
    pub entropy: u64,
    /// What RTCP may take, on average. Default: 100 kbit/s, 5 % of a session of 2 Mbit/s (RFC 3550 §6.2).
    pub bandwidth: Bitrate,
    /// What it may take at once. Default: 6000 bytes, five datagrams.
    pub burst: DataSize,
    /// Whether both ends agreed on `a=rtcp-rsize` (RFC 5506): then early feedback goes without reports. Default: yes.
    pub reduced_size: bool,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            entropy: 0,
            bandwidth: Bitrate::from_kbps(100),
            burst: DataSize::from_bytes(6000),
            reduced_size: true,
        }
    }
}

/// A datagram of RTCP that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Departure {
    /// The regular compound: reports and CNAME first, by [`ReportWriter`](crate::ReportWriter), then whatever feedback
    /// waits.
    Regular,
    /// Feedback that waits, alone (RFC 5506).
    ReducedSize,
    /// Feedback that waits, behind reports and CNAME as in a regular compound: reduced size was not agreed on.
    Early,
}

/// Says when RTCP leaves: regular reports at random times about an interval apart, feedback at once while the bandwidth
/// lasts.
///
/// There are two members, so that feedback is not dithered (RFC 4585 §3.4: `T_dither_max` is 0), and neither counts members
/// nor reconsiders its times.
#[derive(Clone, Debug)]
pub struct Schedule {
    config: ScheduleConfig,
    random: u64,
    regular: Instant,
    /// Whether feedback waits.
    early: bool,
    /// When what was sent so far will have been paid for by the bandwidth.
    paid: Instant,
    /// How far ahead of now `paid` may be.
    credit: Duration,
}

impl Schedule {
    /// A schedule whose first report is due after half an interval, on average (RFC 3550 §6.2).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a field of the configuration is out of its range.
    pub fn new(config: ScheduleConfig, now: Instant) -> Result<Self, ConfigError> {
        if config.interval < Duration::from_millis(10) || config.interval > Duration::from_secs(3600) {
            return Err(ConfigError::Interval);
        }
        let credit = config.bandwidth.time_for(config.burst).ok_or(ConfigError::Bandwidth)?;
        let credit = credit.min(Duration::from_secs(3600));
        let mut schedule = Self { config, random: config.entropy, regular: now, early: false, paid: now, credit };
        schedule.regular = now + schedule.spread(config.interval / 2);
        Ok(schedule)
    }

    /// Feedback waits: it wants to be sent as soon as may be.
    pub const fn request_feedback(&mut self) {
        self.early = true;
    }

    /// What is to be sent now. A regular report comes once; early feedback until [`handle_sent`](Self::handle_sent).
    pub fn poll(&mut self, now: Instant) -> Option<Departure> {
        if self.regular <= now {
            self.regular = now + self.spread(self.config.interval);
            return Some(Departure::Regular);
        }
        (self.early && self.gate() <= now).then_some(if self.config.reduced_size {
            Departure::ReducedSize
        } else {
            Departure::Early
        })
    }

    /// So many bytes of RTCP were sent, of whatever departure, with all the feedback that waited. Lower layers' headers
    /// count too (RFC 3550 §6.2): 28 bytes of IPv4 and UDP, what SRTCP adds.
    pub fn handle_sent(&mut self, size: DataSize, now: Instant) {
        self.early = false;
        // The bandwidth is not 0: `new` has seen to it. A datagram costs an hour at most.
        let cost = self.config.bandwidth.time_for(size).unwrap_or_default().min(Duration::from_secs(3600));
        self.paid = self.paid.max(now) + cost;
        // Whatever is sent, the debt is bounded.
        self.paid = self.paid.min(now + Duration::from_secs(7200));
    }

    /// When early feedback may go.
    fn gate(&self) -> Instant {
        self.paid.checked_sub(self.credit).unwrap_or(self.paid)
    }

    /// When [`poll`](Self::poll) will answer. It changes with every other call.
    pub fn poll_timeout(&self) -> Instant {
        if self.early { self.regular.min(self.gate()) } else { self.regular }
    }

    /// RFC 3550 §6.2: from half to one and a half of a time, all equally likely.
    fn spread(&mut self, time: Duration) -> Duration {
        // SplitMix64: one multiplication more than is needed to spread times.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let thousandths = 500 + (((mixed >> 32) * 1001) >> 32) as u32;
        time * thousandths / 1000
    }
}

#[cfg(test)]
mod tests {
    use plenary_netsim::base;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn schedule(config: ScheduleConfig) -> (Schedule, Instant) {
        let start = base();
        (Schedule::new(config, start).unwrap(), start)
    }

    #[test]
    fn regular_reports_are_half_to_one_and_a_half_intervals_apart() {
        let (mut schedule, start) = schedule(ScheduleConfig::default());
        let first = schedule.poll_timeout() - start;
        assert!(first >= MS(250) && first <= MS(750), "{first:?}");
        let (mut shortest, mut longest, mut total) = (Duration::MAX, Duration::ZERO, Duration::ZERO);
        let mut now = schedule.poll_timeout();
        for _ in 0..1000 {
            assert_eq!(schedule.poll(now), Some(Departure::Regular));
            assert_eq!(schedule.poll(now), None);
            let pause = schedule.poll_timeout() - now;
            (shortest, longest, total) = (shortest.min(pause), longest.max(pause), total + pause);
            now += pause;
        }
        assert!(shortest >= MS(500) && shortest < MS(510), "{shortest:?}");
        assert!(longest <= MS(1500) && longest > MS(1490), "{longest:?}");
        assert!(total > MS(970_000) && total < MS(1_030_000), "{total:?}");
    }

    #[test]
    fn the_same_entropy_makes_the_same_times_and_another_others() {
        let first = |entropy| {
            let (schedule, start) = schedule(ScheduleConfig { entropy, ..ScheduleConfig::default() });
            schedule.poll_timeout() - start
        };
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }

    #[test]
    fn feedback_leaves_at_once_and_does_not_move_the_regular_report() {
        let (mut schedule, start) = schedule(ScheduleConfig::default());
        let regular = schedule.poll_timeout();
        assert_eq!(schedule.poll(start), None);
        schedule.request_feedback();
        assert_eq!(schedule.poll(start), Some(Departure::ReducedSize));
        schedule.handle_sent(DataSize::from_bytes(60), start);
        assert_eq!(schedule.poll(start), None);
        assert_eq!(schedule.poll_timeout(), regular);
    }

    #[test]
    fn feedback_that_waits_leaves_with_the_regular_report() {
        let (mut schedule, _) = schedule(ScheduleConfig::default());
        let regular = schedule.poll_timeout();
        schedule.request_feedback();
        assert_eq!(schedule.poll(regular), Some(Departure::Regular));
        schedule.handle_sent(DataSize::from_bytes(100), regular);
        assert_eq!(schedule.poll(regular), None);
    }

    #[test]
    fn without_reduced_size_feedback_needs_reports() {
        let (mut schedule, start) = schedule(ScheduleConfig { reduced_size: false, ..ScheduleConfig::default() });
        schedule.request_feedback();
        assert_eq!(schedule.poll(start), Some(Departure::Early));
    }

    // 100 kbit/s is 12.5 bytes a millisecond; the burst is 480 ms of it.
    #[test]
    fn feedback_waits_once_its_bandwidth_and_burst_are_spent() {
        let (mut schedule, start) = schedule(ScheduleConfig { interval: MS(60_000), ..ScheduleConfig::default() });
        let mut sent = 0;
        let mut now = start;
        while now < start + MS(10_000) {
            schedule.request_feedback();
            if schedule.poll(now).is_some() {
                schedule.handle_sent(DataSize::from_bytes(125), now);
                sent += 125;
            }
            now += MS(1);
        }
        assert!((6_000 + 125_000 - 250..=6_000 + 125_000 + 250).contains(&sent), "{sent}");
        schedule.request_feedback();
        assert!(schedule.poll_timeout() > now - MS(1) && schedule.poll_timeout() <= now + MS(10));
    }

    #[test]
    fn each_limit_of_the_configuration_is_held() {
        let start = base();
        let refused = |config| Schedule::new(config, start).map(|_| ()).unwrap_err();
        let sound = ScheduleConfig::default();
        assert_eq!(refused(ScheduleConfig { interval: MS(9), ..sound }), ConfigError::Interval);
        assert_eq!(refused(ScheduleConfig { interval: MS(3_600_001), ..sound }), ConfigError::Interval);
        assert_eq!(refused(ScheduleConfig { bandwidth: Bitrate::ZERO, ..sound }), ConfigError::Bandwidth);
        let mut slow = Schedule::new(ScheduleConfig { bandwidth: Bitrate::from_bps(1), ..sound }, start).unwrap();
        for _ in 0..100 {
            slow.handle_sent(DataSize::MAX, start);
        }
        slow.request_feedback();
        assert!(slow.poll_timeout() <= start + MS(7_200_000));
    }
}
