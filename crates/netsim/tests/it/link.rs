//! One link alone.

use std::time::Duration;

use plenary_netsim::{
    Aqm, Arrival, CoDel, Conditions, DROPPED_KEPT_MAX, DropReason, DualPi2, GilbertElliott, Link, LinkConfig, Loss,
    Packet, Probability, QueueLimit, RateSchedule, Reorder,
};
use plenary_wire::{Bitrate, DataSize, Ecn};
use proptest::prelude::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn packet(number: usize, bytes: u64) -> Packet<usize> {
    Packet { size: DataSize::from_bytes(bytes), ecn: Ecn::NotEct, payload: number }
}

/// Sends `count` packets of a size, one each `interval`, and returns the number and arrival of each that came.
fn run(config: LinkConfig, count: usize, bytes: u64, interval: Duration) -> Vec<(usize, Duration)> {
    let mut link = Link::new(config, 1, 0);
    for number in 0..count {
        let _ = link.send(packet(number, bytes), interval * number as u32);
    }
    arrivals(&mut link)
}

fn arrivals(link: &mut Link<usize>) -> Vec<(usize, Duration)> {
    let mut arrivals = vec![];
    while let Some(next) = link.poll_timeout() {
        while let Some(arrival) = link.poll_arrival(next) {
            arrivals.push((arrival.packet.payload, arrival.at));
        }
    }
    arrivals
}

fn config(rate: Bitrate) -> LinkConfig {
    LinkConfig { rate: rate.into(), delay: ms(50), ..LinkConfig::default() }
}

#[test]
fn a_packet_takes_its_serialisation_and_the_delay() {
    // 1250 bytes at 1 Mb/s take 10 ms.
    let arrivals = run(config(Bitrate::from_mbps(1)), 3, 1_250, ms(5));
    assert_eq!(arrivals, [(0, ms(60)), (1, ms(70)), (2, ms(80))]);
}

#[test]
fn being_asked_late_moves_nothing() {
    let mut link = Link::new(config(Bitrate::from_mbps(1)), 1, 0);
    link.send(packet(0, 1_250), ms(0)).expect("there is room");
    link.send(packet(1, 1_250), ms(5)).expect("there is room");
    let late = ms(1_000);
    assert_eq!(link.poll_arrival(late).map(|arrival| arrival.at), Some(ms(60)));
    assert_eq!(link.poll_arrival(late).map(|arrival| arrival.at), Some(ms(70)));
    assert_eq!(link.poll_arrival(late), None);
}

#[test]
fn the_rate_follows_its_schedule_through_an_outage() {
    let rate = RateSchedule::steps(&[
        (ms(0), Bitrate::from_mbps(1)),
        (ms(15), Bitrate::ZERO),
        (ms(100), Bitrate::from_mbps(2)),
    ]);
    let arrivals = run(LinkConfig { rate, ..LinkConfig::default() }, 3, 1_250, ms(0));
    // The second is half sent when the outage comes; the other half goes at twice the rate.
    assert_eq!(
        arrivals,
        [(0, Duration::from_millis(10)), (1, Duration::from_micros(102_500)), (2, Duration::from_micros(107_500))]
    );
}

#[test]
fn a_change_counts_for_the_rest_of_a_packet() {
    let mut link = Link::new(config(Bitrate::from_mbps(1)), 1, 0);
    link.send(packet(0, 1_250), ms(0)).expect("there is room");
    link.update(ms(5), |config| config.rate = Bitrate::from_kbps(500).into());
    assert_eq!(arrivals(&mut link), [(0, ms(65))]);
    link.send(packet(1, 1_250), ms(100)).expect("there is room");
    link.update(ms(110), |config| config.rate = Bitrate::ZERO.into());
    assert_eq!(link.poll_timeout(), None);
    link.update(ms(200), |config| config.rate = Bitrate::from_mbps(1).into());
    assert_eq!(arrivals(&mut link), [(1, ms(255))]);
}

#[test]
fn a_queue_of_bytes_drops_its_tail() {
    let queue = QueueLimit::Bytes(DataSize::from_bytes(3_000));
    let mut link = Link::new(LinkConfig { queue, ..config(Bitrate::from_mbps(1)) }, 1, 0);
    // One on the transmitter, two of 1250 bytes waiting; the next only fits if it is small.
    let sent: Vec<_> = (0..5).map(|number| link.send(packet(number, 1_250), ms(0)).is_ok()).collect();
    assert_eq!(sent, [true, true, true, false, false]);
    assert_eq!(link.queued(), DataSize::from_bytes(2_500));
    assert_eq!(link.send(packet(5, 501), ms(0)).map_err(|(reason, _)| reason), Err(DropReason::QueueFull));
    assert!(link.send(packet(6, 500), ms(0)).is_ok());
    assert_eq!(link.counters().drops[DropReason::QueueFull], 3);
}

#[test]
fn a_queue_of_time_drops_what_would_wait_longer() {
    let queue = QueueLimit::ms(30);
    let rate = RateSchedule::steps(&[(ms(0), Bitrate::from_mbps(1)), (ms(1_000), Bitrate::ZERO)]);
    let mut link = Link::new(LinkConfig { rate, queue, ..LinkConfig::default() }, 1, 0);
    let mut send = |at| (0..9).filter(|&number| link.send(packet(number, 1_250), at).is_ok()).count();
    // Waits of 0, 10, 20 and 30 ms.
    assert_eq!(send(ms(0)), 4);
    // 5 ms later 35 ms are left to do; 5 ms more and it is 30 ms.
    assert_eq!(send(ms(5)), 0);
    assert_eq!(send(ms(10)), 1);
    // An outage keeps as much as the rate before it would.
    assert_eq!(send(ms(2_000)), 4);
}

#[test]
fn an_outage_measures_by_the_rate_before_it_though_nothing_was_sent_then() {
    let fast_then_none = RateSchedule::steps(&[(ms(0), Bitrate::from_mbps(1)), (ms(1_000), Bitrate::ZERO)]);
    let config = LinkConfig { queue: QueueLimit::ms(30), ..LinkConfig::default() };
    let room =
        |link: &mut Link<usize>, at| (0..9).filter(|&number| link.send(packet(number, 1_250), at).is_ok()).count();
    let mut link = Link::new(LinkConfig { rate: fast_then_none, ..config.clone() }, 1, 0);
    assert_eq!(room(&mut link, ms(2_000)), 4);
    let mut link = Link::new(LinkConfig { rate: Bitrate::from_mbps(1).into(), ..config }, 1, 0);
    link.update(ms(1_000), |config| config.rate = Bitrate::ZERO.into());
    assert_eq!(room(&mut link, ms(2_000)), 4);
}

/// A minute in steps of a millisecond: to add them all up for each packet took 76 ms.
#[test]
fn a_long_trace_costs_no_more_than_a_short_one() {
    let steps: Vec<_> = (0..60_000).map(|step| (ms(step), Bitrate::from_kbps(1_000 + step % 1_000))).collect();
    let rate = RateSchedule::repeating(&steps, ms(60_000));
    // 12 kB/s of the 187 kB/s that there are on average: what a step takes more than its share is soon done.
    let arrivals = run(LinkConfig { rate, ..LinkConfig::default() }, 20_000, 1_200, ms(100));
    assert_eq!(arrivals.len(), 20_000);
    assert!(arrivals.iter().all(|(number, at)| *at < ms(100) * *number as u32 + ms(10)));
}

#[test]
fn extremes_end_in_no_panic() {
    let max = Duration::MAX;
    let reorder = Reorder { fraction: Probability::ONE, extra: max };
    for config in [
        LinkConfig { delay: max, jitter: ms(5), ..LinkConfig::default() },
        LinkConfig { jitter: max, reorder, ..config(Bitrate::from_bps(1)) },
        LinkConfig { mtu: DataSize::MAX, queue: QueueLimit::Time(max), ..config(Bitrate::from_bps(1)) },
        LinkConfig { mtu: DataSize::ZERO, packets_max: 0, ..config(Bitrate::MAX) },
    ] {
        let mut link = Link::new(config, 1, 0);
        for (number, bytes) in [1, 1_500, u64::MAX, u64::MAX].into_iter().enumerate() {
            let _ = link.send(packet(number, bytes), ms(1));
        }
        while link.poll_arrival(max).is_some() {}
        link.update(max, |config| config.rate = Bitrate::MAX.into());
        while link.poll_arrival(max).is_some() {}
        assert_eq!(link.in_flight(), 0);
    }
}

#[test]
fn packets_lost_at_one_instant_can_all_be_had_back() {
    let mut link = Link::new(LinkConfig { loss: Loss::percent(100), ..LinkConfig::default() }, 1, 0);
    // So that the outage has a rate before it.
    link.update(ms(0), |config| config.rate = Bitrate::ZERO.into());
    for number in 0..5_000 {
        link.send(packet(number, 100), ms(1)).expect("there is room");
    }
    link.update(ms(2), |config| config.rate = Bitrate::MAX.into());
    assert_eq!(link.poll_arrival(ms(2)), None);
    assert_eq!(std::iter::from_fn(|| link.poll_dropped()).count(), 5_000);
    // Who doesn't ask does not keep them all.
    for number in 0..5_000 {
        link.send(packet(number, 100), ms(3)).expect("there is room");
    }
    assert_eq!(std::iter::from_fn(|| link.poll_dropped()).count(), DROPPED_KEPT_MAX + 1);
}

#[test]
fn larger_than_the_mtu_is_dropped() {
    let mut link = Link::new(LinkConfig { mtu: DataSize::from_bytes(1_280), ..LinkConfig::default() }, 1, 0);
    assert!(link.send(packet(0, 1_280), ms(0)).is_ok());
    let (reason, back) = link.send(packet(1, 1_281), ms(0)).expect_err("it is too large");
    assert_eq!((reason, back.payload), (DropReason::Mtu, 1));
    assert_eq!(link.counters().drops[DropReason::Mtu], 1);
}

#[test]
fn the_packets_of_a_link_are_bounded() {
    // Of nine the last has no room for a copy.
    for (packets_max, dropped) in [(10, 15), (9, 15)] {
        let config = LinkConfig { packets_max, delay: ms(50), duplicate: Probability::ONE, ..LinkConfig::default() };
        let mut link = Link::new(config, 1, 0);
        for number in 0..20 {
            let _ = link.send(packet(number, 100), ms(0));
        }
        assert_eq!(link.in_flight(), packets_max);
        assert_eq!(link.counters().drops[DropReason::LinkFull], dropped);
    }
}

#[test]
fn jitter_never_reorders_and_has_its_distribution() {
    let jitter = ms(5);
    // Far apart the delays are independent: |N(0, 5 ms)| has a mean of 3.99 ms, and 68 % are below 5 ms.
    let arrivals_apart = run(LinkConfig { jitter, ..config(Bitrate::MAX) }, 20_000, 1_200, ms(20));
    let late: Vec<_> = arrivals_apart.iter().map(|(number, at)| *at - ms(50) - ms(20) * *number as u32).collect();
    let mean = late.iter().sum::<Duration>() / 20_000;
    assert!((3_900..4_050).contains(&mean.as_micros()), "{mean:?}");
    assert!(late.iter().max() <= Some(&ms(15)) && late.iter().max() > Some(&ms(14)));
    let below = late.iter().filter(|late| **late < ms(5)).count();
    assert!((13_500..13_900).contains(&below), "{below} of 20,000 below one deviation");

    // Close together they would overtake each other. They don't: each comes its serialisation after the one before.
    let arrivals = run(LinkConfig { jitter, ..config(Bitrate::from_mbps(10)) }, 20_000, 1_250, ms(1));
    assert!(arrivals.is_sorted_by(|a, b| a.0 < b.0 && a.1 + ms(1) <= b.1));
    assert_eq!(arrivals.len(), 20_000);
}

#[test]
fn reordering_lets_later_packets_overtake() {
    let reorder = Reorder { fraction: Probability::from_percent(10), extra: ms(25) };
    let arrivals = run(LinkConfig { reorder, ..config(Bitrate::MAX) }, 10_000, 100, ms(10));
    let held = arrivals.iter().filter(|(number, at)| *at - ms(10) * *number as u32 == ms(75)).count();
    assert!((900..1_100).contains(&held), "{held} of 10,000 held back");
    let overtaken = arrivals.windows(2).filter(|pair| pair[1].0 < pair[0].0).count();
    assert!((800..1_000).contains(&overtaken), "{overtaken} overtaken");
    assert_eq!(arrivals.len(), 10_000);
}

#[test]
fn loss_is_as_frequent_as_it_says() {
    for percent in [1, 5, 20, 40] {
        let arrivals = run(LinkConfig { loss: Loss::percent(percent), ..config(Bitrate::MAX) }, 50_000, 100, ms(1));
        let lost = 50_000 - arrivals.len();
        // Four deviations of the binomial distribution at most.
        let expected = 500 * percent as usize;
        let deviation = (expected * (100 - percent as usize) / 100).isqrt();
        assert!(lost.abs_diff(expected) <= 4 * deviation, "{lost} lost at {percent} %");
    }
}

#[test]
fn what_jitter_does_changes_no_loss() {
    let loss = Loss::GilbertElliott(GilbertElliott::bursts(Probability::from_percent(5), 3));
    let numbers = |jitter| {
        let config = LinkConfig { loss: loss.clone(), jitter, ..config(Bitrate::MAX) };
        run(config, 5_000, 100, ms(20)).into_iter().map(|(number, _)| number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(ms(0)), numbers(ms(5)));
}

#[test]
fn a_trace_loses_what_it_lists() {
    let arrivals = run(LinkConfig { loss: Loss::indexes(&[0, 3], 4), ..config(Bitrate::MAX) }, 8, 100, ms(1));
    assert_eq!(arrivals.iter().map(|arrival| arrival.0).collect::<Vec<_>>(), [1, 2, 5, 6]);
}

#[test]
fn duplicates_come_twice_and_first_as_the_copy() {
    let duplicate = Probability::from_percent(10);
    let mut link = Link::new(LinkConfig { duplicate, ..config(Bitrate::MAX) }, 1, 0);
    for number in 0..10_000 {
        link.send(packet(number, 100), ms(number as u64)).expect("there is room");
    }
    let mut copies = 0;
    while let Some(arrival) = link.poll_arrival(ms(20_000)) {
        if arrival.copy {
            copies += 1;
            let original = link.poll_arrival(arrival.at).expect("it comes right after its copy");
            assert_eq!(original, Arrival { copy: false, ..arrival });
        }
    }
    assert!((880..1_120).contains(&copies), "{copies} copies of 10,000");
    assert_eq!(link.counters().duplicated, copies);
}

prop_compose! {
    fn any_link()(
        rate in prop_oneof![Just(Bitrate::MAX), Just(Bitrate::ZERO), (1..5_000u64).prop_map(Bitrate::from_kbps)],
        later in (0..5_000u64).prop_map(Bitrate::from_kbps),
        (delay, jitter) in (0..100u64, 0..20u64),
        (loss, duplicate, reorder) in (0..50u32, 0..50u32, 0..50u32),
        queue in prop_oneof![
            (0..20_000u64).prop_map(|bytes| QueueLimit::Bytes(DataSize::from_bytes(bytes))),
            (0..500u64).prop_map(QueueLimit::ms),
        ],
        aqm in prop_oneof![
            Just(Aqm::DropTail),
            (0..50u64).prop_map(|threshold| Aqm::Mark(ms(threshold))),
            any::<bool>().prop_map(|ecn| Aqm::CoDel(CoDel { ecn, ..CoDel::default() })),
            Just(Aqm::DualPi2(DualPi2::default())),
        ],
        packets_max in 1..200usize,
    ) -> LinkConfig {
        LinkConfig {
            rate: RateSchedule::steps(&[(ms(0), rate), (ms(300), later)]),
            delay: ms(delay),
            jitter: ms(jitter),
            loss: Loss::percent(loss),
            conditions: Conditions::default(),
            duplicate: Probability::from_percent(duplicate),
            reorder: Reorder { fraction: Probability::from_percent(reorder), extra: ms(30) },
            queue,
            aqm,
            mtu: DataSize::from_bytes(1_500),
            packets_max,
        }
    }
}

proptest! {
    /// No packet is invented, none vanishes, and none comes before its time.
    #[test]
    fn packets_are_conserved(
        config in any_link(),
        other in any_link(),
        seed: u64,
        sends in prop::collection::vec((0..20u64, 1..1_600u64), 1..300),
    ) {
        let least = config.delay.min(other.delay);
        let most = config.packets_max.max(other.packets_max);
        let mut link = Link::new(config, seed, 0);
        let (mut now, mut sent) = (ms(0), vec![]);
        for (number, &(wait, bytes)) in sends.iter().enumerate() {
            now += ms(wait);
            sent.push(now);
            let _ = link.send(packet(number, bytes), now);
            if number == 100 {
                link.update(now, |config| *config = other.clone());
            }
            while let Some(arrival) = link.poll_arrival(now) {
                prop_assert!(arrival.at <= now);
                prop_assert!(arrival.at >= sent[arrival.packet.payload] + least);
            }
            prop_assert!(link.in_flight() <= most);
            let counters = link.counters();
            let accounted = counters.delivered + counters.drops.total() + link.in_flight() as u64;
            prop_assert_eq!(counters.offered + counters.duplicated, accounted);
        }
    }
}
