use super::observations::Below;
use super::*;
use crate::{ArrivalTime, PacketReport, Purpose, SentPacket};
use plenary_wire::{DataSize, Ecn};

/// Packets of 1,250 bytes, 10 kbit, at equal distance.
struct Path {
    loss_based: LossBased,
    number: u64,
    now: i64,
}

impl Path {
    fn new() -> Self {
        let mut loss_based = LossBased::new(LossBasedConfig::default());
        loss_based.set_limits(Bitrate::from_kbps(10), Bitrate::from_mbps(10));
        Self { loss_based, number: 0, now: 0 }
    }

    /// Observations of 300 ms at that rate, of which each packet that `is_lost` says is lost; all else is acknowledged.
    fn run(&mut self, observations: u64, kbps: u64, delay_based: u64, is_lost: impl Fn(u64) -> bool) {
        for _ in 0..observations {
            let packets: Vec<_> = (0..kbps * 300 / 10_000)
                .map(|_| {
                    self.now += 10_000_000 / kbps as i64;
                    self.number += 1;
                    report(self.number, !is_lost(self.number))
                })
                .collect();
            let feedback = Feedback { packets: &packets, in_flight: DataSize::ZERO, round_trip: None };
            let first = Time::from_micros(self.now - 290_000);
            let span = (first, Time::from_micros(self.now));
            self.loss_based.add(&feedback, span, Some(Bitrate::from_kbps(delay_based)), false);
        }
    }

    fn rate(&self) -> Option<u64> {
        self.loss_based.rate().map(|rate| rate.as_bps() / 1_000)
    }
}

fn report(number: u64, has_arrived: bool) -> PacketReport {
    let size = DataSize::from_bytes(1_250);
    let sent = SentPacket {
        number,
        at: plenary_netsim::base(),
        size,
        untracked: DataSize::ZERO,
        purpose: Purpose::Video,
        probe: None,
        in_flight: size,
    };
    let arrived = has_arrived.then(|| ArrivalTime::from_micros(0));
    PacketReport { sent, arrived, ecn: Ecn::NotEct, is_recovered: false }
}

const NONE: fn(u64) -> bool = |_| false;

#[test]
fn without_loss_delay_is_the_limit() {
    let mut path = Path::new();
    path.run(3, 1_000, 900, NONE);
    // The first feedback has nothing before it: its observation is of 290 ms.
    assert_eq!(path.rate(), Some(900));
    path.run(1, 1_000, 1_200, NONE);
    assert_eq!((path.rate(), path.loss_based.phase()), (Some(1_200), Phase::DelayBased));
    assert_eq!(path.loss_based.loss(), 0.0);
}

#[test]
fn it_is_not_ready_before_three_observations() {
    let mut path = Path::new();
    path.run(2, 1_000, 900, NONE);
    assert_eq!(path.rate(), None);
}

#[test]
fn random_loss_is_inherent_and_much_of_it_is_not() {
    let mut path = Path::new();
    path.run(4, 1_000, 1_200, NONE);
    // Each fiftieth: 2 %.
    path.loss_based.set_acknowledged(Bitrate::from_kbps(980));
    path.run(20, 1_000, 1_200, |number| number % 50 == 0);
    assert!(path.rate() >= Some(980), "{:?}", path.rate());
    // Half of it: the rate is what is acknowledged.
    path.loss_based.set_acknowledged(Bitrate::from_kbps(500));
    path.run(20, 1_000, 1_200, |number| number % 2 == 0);
    assert_eq!((path.rate(), path.loss_based.phase()), (Some(500), Phase::Decreasing));
    assert!((0.45..=0.5).contains(&path.loss_based.loss()), "{}", path.loss_based.loss());
}

#[test]
fn a_hold_is_held_and_then_it_rises_by_steps() {
    let mut path = Path::new();
    path.run(4, 1_000, 1_200, NONE);
    path.loss_based.set_acknowledged(Bitrate::from_kbps(600));
    path.run(10, 1_000, 1_200, |number| number % 5 < 2);
    assert_eq!(path.loss_based.phase(), Phase::Decreasing);
    let held = path.rate().unwrap();
    assert!((600..620).contains(&held), "{held}");
    let mut last = held;
    for _ in 0..40 {
        path.loss_based.set_acknowledged(Bitrate::from_kbps(last));
        path.run(1, last, 1_200, NONE);
        let rate = path.rate().unwrap();
        // 1.3 of the channel, 1.5 of what is acknowledged.
        assert!(rate * 10 <= last * 15 + 10, "{last} {rate}");
        last = rate;
    }
    assert_eq!((last, path.loss_based.phase()), (1_200, Phase::DelayBased));
}

#[test]
fn candidates_are_the_factors_what_is_acknowledged_and_delay() {
    let mut path = Path::new();
    path.run(4, 1_000, 1_000, NONE);
    path.loss_based.set_acknowledged(Bitrate::from_kbps(700));
    let channel = Channel { inherent_loss: 0.01, bandwidth: 1e6 };
    let bounds = path.loss_based.bounds(Some(1.1e6));
    assert_eq!((bounds.lower, bounds.upper, bounds.max), (7e5, 1e7, 1e7));
    let now = Time::from_micros(path.now);
    let candidates = path.loss_based.bandwidths(channel, &bounds, false, now);
    assert_eq!(candidates, [Some(1.02e6), Some(1e6), Some(0.95e6), Some(7e5), Some(1.1e6)]);
    let bounds = path.loss_based.bounds(Some(9e5));
    let candidates = path.loss_based.bandwidths(channel, &bounds, true, now);
    assert_eq!(candidates[3..], [None, None]);
}

#[test]
fn likelihood_is_what_was_computed_by_hand() {
    let config = LossBasedConfig::default();
    let mut observations = Observations::new(&config);
    // 25 packets of 1,250 bytes, five of them lost, at 1 Mbit/s in 250 ms.
    let packets: Vec<_> = (0..25).map(|number| report(number, number % 5 != 0)).collect();
    let feedback = Feedback { packets: &packets, in_flight: DataSize::ZERO, round_trip: None };
    assert!(observations.add(&feedback, Time::from_micros(0), Time::from_micros(249_999)).is_none());
    let empty = Feedback { packets: &[], ..feedback };
    assert!(observations.add(&empty, Time::from_micros(0), Time::from_micros(250_000)).is_some());
    assert_eq!(observations.loss(), 0.2);
    let (lost, arrived) = (6.25, 25.0);

    // At 800 kbit/s a fifth is lost for the rate, and 1 % of the rest: 0.01 + 0.99 · 0.2.
    let channel = Channel { inherent_loss: 0.01, bandwidth: 8e5 };
    let below = Below::of(&observations, channel.bandwidth);
    let loss = 0.01 + 0.99 * 0.2;
    assert!((channel.loss(1e6) - loss).abs() < 1e-12);
    assert_eq!(channel.loss(8e5), 0.01);
    // Of that much loss no bandwidth is preferred.
    let expected = lost * libm::log(loss) + arrived * libm::log(1.0 - loss);
    assert!((channel.objective(&observations, &below, &config) - expected).abs() < 1e-9);

    let (first, second) =
        (lost / loss - arrived / (1.0 - loss), -(lost / (loss * loss) + arrived / ((1.0 - loss) * (1.0 - loss))));
    let inherent = 0.01 - 0.75 * first / second;
    let improved = channel.improved(&observations, &below, &config);
    assert!((improved.inherent_loss - inherent.max(1e-3)).abs() < 1e-12);
    // At most 5 %, and 100 of 800 kbit/s.
    let lossy = Channel { inherent_loss: 0.9, bandwidth: 8e5 }.feasible(&config);
    assert!((lossy.inherent_loss - 0.175).abs() < 1e-12);
}

#[test]
fn a_packet_that_arrives_after_all_counts_once() {
    let config = LossBasedConfig::default();
    let mut observations = Observations::new(&config);
    let lost: Vec<_> = (0..10).map(|number| report(number, false)).collect();
    let recovered: Vec<_> = (0..10).map(|number| PacketReport { is_recovered: true, ..report(number, true) }).collect();
    let feedback = |packets| Feedback { packets, in_flight: DataSize::ZERO, round_trip: None };
    observations.add(&feedback(&lost), Time::from_micros(0), Time::from_micros(100_000));
    observations.add(&feedback(&recovered), Time::from_micros(0), Time::from_micros(250_000));
    assert_eq!((observations.loss(), observations.total()), (0.0, 12.5));
    // In the next it is over.
    observations.add(&feedback(&recovered), Time::from_micros(0), Time::from_micros(500_000));
    assert_eq!((observations.loss(), observations.total()), (0.0, 11.25));
}

#[test]
fn a_spike_of_loss_does_not_count_but_of_a_burst() {
    let observed = |spike: u64, packets: u64| {
        let mut observations = Observations::new(&LossBasedConfig::default());
        for round in 0..6 {
            let count = if round == 3 { packets } else { 25 };
            let reports: Vec<_> = (0..count).map(|number| report(number, round != 3 || number >= spike)).collect();
            let feedback = Feedback { packets: &reports, in_flight: DataSize::ZERO, round_trip: None };
            observations.add(&feedback, Time::from_micros(round * 250_000), Time::from_micros((round + 1) * 250_000));
        }
        observations.loss()
    };
    assert_eq!(observed(20, 25), 0.0);
    assert!(observed(20, 50) > 0.05);
}

const fn at(ms: i64) -> Time {
    Time::from_micros(ms * 1_000)
}

/// Bounds of a path where delay allows 2 Mbit/s.
const fn bounds(acknowledged: f64) -> Bounds {
    Bounds { lower: 0.0, upper: 1e7, max: 1e7, delay_based: Some(2e6), acknowledged: Some(acknowledged) }
}

#[test]
fn each_hold_is_twice_as_long() {
    let mut state = State::new(&LossBasedConfig::default());
    let mut now = 0;
    for hold in [300, 600, 1_200] {
        state.update(1e6, 1e6, &bounds(1e6), at(now));
        assert_eq!((state.phase(), state.rate()), (Phase::Decreasing, 1e6));
        // What is more is not taken until it is over.
        state.update(1.2e6, 1.2e6, &bounds(1e6), at(now + hold - 1));
        assert_eq!(state.rate(), 1e6, "{hold}");
        state.update(1.2e6, 1.2e6, &bounds(1e6), at(now + hold));
        assert_eq!((state.phase(), state.rate()), (Phase::Padding, 1.2e6));
        now += hold + 10_000;
    }
    // Up to a minute.
    for hold in [2_400, 4_800, 9_600, 19_200, 38_400, 60_000, 60_000] {
        state.update(1e6, 1e6, &bounds(1e6), at(now));
        state.update(1.2e6, 1.2e6, &bounds(1e6), at(now + hold - 1));
        assert_eq!(state.rate(), 1e6, "{hold}");
        state.update(1.2e6, 1.2e6, &bounds(1e6), at(now + hold));
        assert_eq!(state.rate(), 1.2e6, "{hold}");
        now += hold + 10_000;
    }
    // When delay is the limit again, holds begin with the first.
    state.update(2e6, 2e6, &bounds(1e6), at(now));
    assert_eq!(state.phase(), Phase::DelayBased);
    state.update(1e6, 1e6, &bounds(1e6), at(now));
    state.update(1.2e6, 1.2e6, &bounds(1e6), at(now + 300));
    assert_eq!(state.rate(), 1.2e6);
}

#[test]
fn padding_lasts_two_seconds_after_a_rise() {
    let mut state = State::new(&LossBasedConfig::default());
    state.update(1e6, 1e6, &bounds(1e6), at(0));
    state.update(1.2e6, 1.2e6, &bounds(1e6), at(300));
    state.update(1.2e6, 1.2e6, &bounds(1e6), at(2_300));
    assert_eq!((state.phase(), state.is_padding(at(2_300))), (Phase::Padding, true));
    assert!(!state.is_padding(at(2_301)));
    state.update(1.2e6, 1.2e6, &bounds(1e6), at(2_301));
    assert_eq!(state.phase(), Phase::Decreasing);
}

#[test]
fn while_loss_limits_it_a_rise_is_bounded() {
    let mut state = State::new(&LossBasedConfig::default());
    assert_eq!(state.bound_increase(1e6, 9e6, &bounds(1e6), at(0)), 9e6);
    state.update(1e6, 1e6, &bounds(1e6), at(0));
    // 1.3 of the channel, within 300 ms.
    assert_eq!(state.limit(), Some(1.3e6));
    assert_eq!(state.bound_increase(1e6, 9e6, &bounds(5e6), at(299)), 1.3e6);
    // After them 1.5 of what is acknowledged, which has to be 1.3 of what was held; else 1.2.
    assert_eq!(state.bound_increase(1e6, 9e6, &bounds(1.4e6), at(300)), 1.5 * 1.4e6);
    assert_eq!(state.bound_increase(1e6, 9e6, &bounds(1.2e6), at(300)), 1.2 * 1.2e6);
    // It rises at least by the bit that ends the fall.
    assert_eq!(state.bound_increase(1e6, 9e6, &bounds(0.5e6), at(300)), 1e6 + 1.0);
    assert_eq!(state.bound_increase(1e6, 0.9e6, &bounds(0.5e6), at(300)), 0.9e6);
}

#[test]
fn it_does_not_rise_while_more_is_lost_than_the_path_loses_anyway() {
    let mut path = Path::new();
    path.run(4, 450, 500, NONE);
    path.run(10, 450, 500, |number| number % 40 == 0);
    path.run(3, 450, 500, |number| number % 14 == 0);
    path.run(1, 450, 900, |number| number % 14 == 0);
    let channel = path.loss_based.channel.unwrap();
    assert!(path.loss_based.loss() > channel.inherent_loss, "{} {channel:?}", path.loss_based.loss());
    assert_eq!(path.rate(), Some(500));
    // Once it loses no more, it does.
    path.run(12, 450, 900, NONE);
    assert_eq!(path.rate(), Some(900));
}
