//! The rate by delay: groups, trend, congestion, rate.
//!
//! Aligned to libwebrtc `modules/congestion_controller/goog_cc/delay_based_bwe.cc`, signalapp/webrtc bd635df347,
//! without the separate detector for sound, which is off there.

use plenary_wire::Bitrate;

use super::GccConfig;
use super::aimd::Aimd;
use super::arrivals::Arrived;
use super::inter_arrival::InterArrival;
use super::number::{Time, scaled};
use super::overuse::{Overuse, Usage};
use super::trendline::Trendline;

/// After so long without feedback the delays of before say nothing.
const SILENCE: i64 = 2_000_000;

/// What one feedback has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The rate by delay, if it was looked at.
    pub(crate) rate: Option<Bitrate>,
    /// It is that of a probe.
    pub(crate) is_probe: bool,
    /// The queue is empty again.
    pub(crate) has_recovered: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct DelayBased {
    inter_arrival: InterArrival,
    trendline: Trendline,
    overuse: Overuse,
    aimd: Aimd,
    last_feedback: Option<Time>,
    /// The queue got empty in this feedback.
    has_recovered: bool,
    /// The last rate that was given; zero if none was.
    last_rate: Bitrate,
}

impl DelayBased {
    pub(crate) fn new(config: &GccConfig) -> Self {
        Self {
            inter_arrival: InterArrival::default(),
            trendline: Trendline::new(config.trendline.clone()),
            overuse: Overuse::new(config.overuse.clone()),
            aimd: Aimd::new(config.aimd.clone()),
            last_feedback: None,
            has_recovered: false,
            last_rate: Bitrate::ZERO,
        }
    }

    pub(crate) const fn aimd(&mut self) -> &mut Aimd {
        &mut self.aimd
    }

    pub(crate) const fn usage(&self) -> Usage {
        self.overuse.usage()
    }

    pub(crate) const fn last_rate(&self) -> Bitrate {
        self.last_rate
    }

    /// Less arrives than the rate needs to rise: it is the application that sends too little.
    pub(crate) const fn is_bounded(&self) -> bool {
        self.aimd.is_bounded()
    }

    /// A packet arrived, after those before it.
    pub(crate) fn add(&mut self, packet: &Arrived, now: Time) {
        if now.is_past(self.last_feedback, SILENCE + 1) {
            self.inter_arrival = InterArrival::default();
            self.trendline.reset();
            self.overuse.reset();
        }
        self.last_feedback = Some(now);
        if let Some(deltas) = self.inter_arrival.add(packet.sent, packet.at, packet.size, now) {
            let before = self.overuse.usage();
            let arrival = packet.at.as_micros().div_euclid(1_000);
            let trend = self.trendline.add(deltas, arrival);
            self.overuse.update(trend, deltas.sent, arrival);
            self.has_recovered |= before == Usage::Under && self.overuse.usage() == Usage::Normal;
        }
    }

    /// All of a feedback was added, which was of something.
    pub(crate) fn update(&mut self, acknowledged: Option<Bitrate>, probed: Option<Bitrate>, now: Time) -> Change {
        let has_recovered = std::mem::take(&mut self.has_recovered);
        let mut change = self.change(acknowledged, probed, now);
        change.has_recovered = has_recovered && !change.is_probe && self.overuse.usage() != Usage::Over;
        self.last_rate = change.rate.unwrap_or(self.last_rate);
        change
    }

    fn change(&mut self, acknowledged: Option<Bitrate>, probed: Option<Bitrate>, now: Time) -> Change {
        let usage = self.overuse.usage();
        match (usage, acknowledged, probed) {
            (Usage::Over, Some(known), _) => {
                if self.aimd.may_reduce(known, now) {
                    self.aimd.update(usage, acknowledged, now);
                    return self.changed(false);
                }
            }
            (Usage::Over, None, _) => {
                if self.aimd.may_halve(now) {
                    self.aimd.set_rate(scaled(self.aimd.rate(), 0.5), now);
                    return self.changed(false);
                }
            }
            (_, _, Some(probed)) => {
                self.aimd.set_rate(probed, now);
                return self.changed(true);
            }
            (_, _, None) => {
                self.aimd.update(usage, acknowledged, now);
                if self.aimd.is_initialized() {
                    return self.changed(false);
                }
            }
        }
        Change::default()
    }

    const fn changed(&self, is_probe: bool) -> Change {
        Change { rate: Some(self.aimd.rate()), is_probe, has_recovered: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArrivalTime;

    /// Packets of 1,200 bytes, each 10 ms one; each takes `step` microseconds longer than the one before.
    fn run(delay_based: &mut DelayBased, from: i64, packets: i64, step: i64) -> Change {
        let mut change = Change::default();
        for packet in from..from + packets {
            let sent = packet * 10_000;
            let at = sent + 50_000 + (packet - from) * step;
            let arrived = Arrived {
                sent: Time::from_micros(sent),
                at: ArrivalTime::from_micros(at),
                size: 1_200,
                untracked: 0,
                probe: None,
            };
            let now = Time::from_micros(at + 50_000);
            delay_based.add(&arrived, now);
            change = delay_based.update(Some(Bitrate::from_kbps(960)), None, now);
            if change.has_recovered || delay_based.usage() == Usage::Over {
                break;
            }
        }
        change
    }

    fn started() -> DelayBased {
        let mut delay_based = DelayBased::new(&GccConfig::default());
        delay_based.aimd().set_start(Bitrate::from_kbps(1_000));
        delay_based
    }

    #[test]
    fn a_growing_queue_lowers_the_rate_and_an_empty_one_is_seen() {
        let mut delay_based = started();
        run(&mut delay_based, 0, 100, 0);
        assert_eq!(delay_based.usage(), Usage::Normal);
        assert!(delay_based.last_rate() > Bitrate::from_kbps(1_050));
        delay_based.aimd().set_round_trip(10_000);
        let change = run(&mut delay_based, 100, 60, 2_000);
        assert_eq!(delay_based.usage(), Usage::Over);
        // 85 % of 960, less 5.
        assert_eq!(change.rate, Some(Bitrate::from_kbps(811)));
        assert!(!change.has_recovered);
    }

    #[test]
    fn congestion_without_an_acknowledged_rate_halves() {
        let mut delay_based = started();
        delay_based.aimd().set_rate(Bitrate::from_kbps(1_000), Time::from_micros(0));
        for _ in 0..2 {
            delay_based.overuse.update(Some(10.0), 20.0, 0);
            delay_based.overuse.update(Some(10.0), 20.0, 0);
        }
        assert_eq!(delay_based.usage(), Usage::Over);
        let change = delay_based.change(None, None, Time::from_micros(199_000));
        // Below half of the rate it does not wait.
        assert_eq!(change.rate, Some(Bitrate::from_kbps(500)));
        let probed = Some(Bitrate::from_kbps(900));
        assert_eq!(delay_based.change(Some(Bitrate::from_kbps(400)), probed, Time::from_micros(200_000)).rate, None);
    }

    #[test]
    fn a_probe_sets_the_rate_and_silence_forgets() {
        let mut delay_based = started();
        run(&mut delay_based, 0, 10, 0);
        let packet = Arrived {
            sent: Time::from_micros(100_000),
            at: ArrivalTime::from_micros(150_000),
            size: 1_200,
            untracked: 0,
            probe: None,
        };
        let probed = Some(Bitrate::from_kbps(1_800));
        delay_based.add(&packet, Time::from_micros(200_000));
        let change = delay_based.update(None, probed, Time::from_micros(200_000));
        assert_eq!(change, Change { rate: probed, is_probe: true, has_recovered: false });
        let groups = delay_based.overuse.clone();
        delay_based.add(&packet, Time::from_micros(2_200_001));
        assert_ne!(format!("{groups:?}"), format!("{:?}", delay_based.overuse));
    }
}
