use std::time::Duration;

use plenary_bwe::history::{Config, ConfigError, History};
use plenary_rtp::rtcp::{ArrivalOffset, Metric};
use plenary_wire::Ecn;

use super::wire::{Twcc, ccfb, handle};
use super::{bytes, departure, ms, of_stream, sent, told};

#[test]
fn as_many_packets_are_held_as_the_limit_says() {
    for packets_max in [0, 32_768] {
        let refused = History::new(Config { packets_max, ..Config::default() });
        assert_eq!(refused.err(), Some(ConfigError::PacketsMax(packets_max)));
    }
    let mut history = History::new(Config { packets_max: 3, ..Config::default() }).unwrap();
    for index in 0..5 {
        history.handle_sent(departure(), ms(index));
    }
    assert_eq!(history.in_flight(), bytes(3 * 1028));
    let feedback = Twcc { base: 0, reference: 0, count: 0, statuses: &[Some(4); 5] };
    let expected = [(2, Some(3), false), (3, Some(4), false), (4, Some(5), false)];
    assert_eq!(told(feedback.to(&mut history, ms(50))), expected);
    let counters = history.counters();
    assert_eq!((counters.forgotten, counters.unanswered), (2, 2));
}

#[test]
fn the_most_packets_that_numbers_can_tell_apart_are_all_told() {
    let mut history = History::new(Config { packets_max: 32_767, ..Config::default() }).unwrap();
    for index in 0..32_767 {
        history.handle_sent(departure(), ms(index / 10));
    }
    let feedback = Twcc { base: 0, reference: 0, count: 0, statuses: &[Some(0); 32_767] };
    assert_eq!(told(feedback.to(&mut history, ms(4000))).len(), 32_767);
}

#[test]
fn a_packet_waits_for_feedback_as_long_as_the_limit_says() {
    let mut history = sent(0, 2);
    history.handle_sent(departure(), ms(10_001));
    assert_eq!((history.in_flight(), history.counters().unanswered), (bytes(2 * 1028), 1));
    let feedback = Twcc { base: 0, reference: 0, count: 0, statuses: &[Some(4); 2] };
    assert_eq!(told(feedback.to(&mut history, ms(10_001))), [(1, Some(2), false)]);
}

#[test]
fn a_packet_is_recovered_as_late_as_the_limit_says() {
    for (late, recovered) in [(1000, 1), (1001, 0)] {
        let mut history = sent(0, 1);
        history.handle_sent(departure(), ms(late));
        let feedback = Twcc { base: 0, reference: 0, count: 0, statuses: &[None, Some(4)] };
        assert_eq!(told(feedback.to(&mut history, ms(2000))).len(), 2);
        let late = Twcc { base: 0, reference: 0, count: 1, statuses: &[Some(8), Some(-4)] };
        assert_eq!(told(late.to(&mut history, ms(2000))).len(), recovered);
        assert_eq!(history.counters().forgotten, 1 - recovered as u64);
        assert_eq!(history.counters().unanswered, 0, "it was told of");
    }
}

#[test]
fn as_many_streams_are_followed_as_the_limit_says_and_stale_ones_make_room() {
    let config = Config { streams_max: 2, age_max: Duration::from_millis(100), ..Config::default() };
    let mut history = History::new(config).unwrap();
    for ssrc in [5, 7, 6] {
        history.handle_sent(of_stream(ssrc, 0), ms(0));
    }
    assert_eq!(history.counters().streams_full, 1);
    let metrics: &[Metric] = &[Metric::Received { ecn: Ecn::NotEct, offset: ArrivalOffset::from_ticks(0) }];
    let report = ccfb(&[(5, 0, metrics), (6, 0, metrics), (7, 0, metrics)], 0);
    assert_eq!(told(handle(&mut history, &report, ms(1))), [(0, Some(0), false), (1, Some(0), false)]);
    history.handle_sent(of_stream(6, 0), ms(101));
    assert_eq!(told(handle(&mut history, &ccfb(&[(6, 0, metrics)], 0), ms(102))), [(3, Some(0), false)]);
    assert_eq!(history.counters().streams_full, 1);
}
