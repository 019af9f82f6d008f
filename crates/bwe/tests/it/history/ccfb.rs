use std::time::Duration;

use plenary_bwe::history::{Config, Departure, EcnPath, History};
use plenary_rtp::rtcp::{ArrivalOffset, Metric};
use plenary_wire::Ecn;

use super::wire::{ccfb, handle};
use super::{bytes, departure, ms, of_stream, told};

/// A second, in the unit of a report's timestamp.
const SECOND: u32 = 1 << 16;

fn history() -> History {
    History::new(Config::default()).unwrap()
}

/// Arrived so many 1024ths of a second before the report.
fn at(ticks: u64) -> Metric {
    Metric::Received { ecn: Ecn::NotEct, offset: ArrivalOffset::from_ticks(ticks) }
}

#[test]
fn packets_of_several_streams_are_told_in_the_order_in_which_they_left() {
    let mut history = history();
    for (index, (ssrc, seq)) in [(7, 65_535), (9, 4), (7, 0), (9, 5)].into_iter().enumerate() {
        history.handle_sent(of_stream(ssrc, seq), ms(index as u64));
    }
    let report = ccfb(&[(9, 4, &[at(512), at(256)]), (7, 65_535, &[at(768), Metric::Lost])], SECOND);
    let joined = handle(&mut history, &report, ms(500)).unwrap();
    // The newest left at 3 ms, and waited 250 ms for the report.
    assert_eq!(joined.round_trip, Some(Duration::from_millis(500 - 3 - 250)));
    assert_eq!(joined.in_flight, bytes(0));
    let expected = [(0, Some(250), false), (1, Some(500), false), (2, None, false), (3, Some(750), false)];
    assert_eq!(told(Some(joined)), expected);
    for _ in 0..1000 {
        assert_eq!(told(handle(&mut history, &report, ms(501))), []);
    }
    assert_eq!(history.counters().again, 3000);
}

#[test]
fn a_stream_of_which_nothing_arrived_is_lost_as_far_as_others_show() {
    let mut history = history();
    for (index, ssrc) in [9, 7, 9, 7, 9].into_iter().enumerate() {
        history.handle_sent(of_stream(ssrc, index as u16 / 2), ms(index as u64));
    }
    let report = ccfb(&[(7, 0, &[at(64), at(32)])], SECOND);
    let joined = handle(&mut history, &report, ms(500)).unwrap();
    assert_eq!(joined.in_flight, bytes(1028), "the last may still come");
    // The first left before all that the report is on: perhaps an earlier one was, and did not come.
    assert_eq!(told(Some(joined)), [(1, Some(937), false), (2, None, false), (3, Some(968), false)]);
    let late = ccfb(&[(9, 1, &[at(64)])], SECOND);
    assert_eq!(told(handle(&mut history, &late, ms(500))), [(2, Some(937), true)]);
}

#[test]
fn a_packet_that_two_blocks_speak_of_is_told_once() {
    let mut history = history();
    history.handle_sent(of_stream(7, 0), ms(0));
    history.handle_sent(of_stream(7, 1), ms(1));
    let lie = ccfb(&[(7, 0, &[Metric::Lost]), (7, 0, &[at(64)]), (7, 0, &[at(128), Metric::Lost])], SECOND);
    assert_eq!(told(handle(&mut history, &lie, ms(50))), [(0, Some(937), false), (1, None, false)]);
}

#[test]
fn a_time_that_is_not_known_is_the_reports_own_and_one_too_long_ago_the_longest() {
    let mut history = history();
    history.handle_sent(of_stream(7, 0), ms(0));
    history.handle_sent(of_stream(7, 1), ms(1));
    let [over_range, unavailable] =
        [ArrivalOffset::OVER_RANGE, ArrivalOffset::UNAVAILABLE].map(|offset| Metric::Received { ecn: Ecn::Ce, offset });
    let report = ccfb(&[(7, 0, &[over_range, unavailable])], 10 * SECOND);
    let joined = handle(&mut history, &report, ms(50)).unwrap();
    assert_eq!(joined.round_trip, Some(Duration::from_millis(49)));
    assert_eq!(joined.packets.iter().filter(|report| report.ecn == Ecn::Ce).count(), 2);
    assert_eq!(told(Some(joined)), [(0, Some(2001), false), (1, Some(10_000), false)]);
}

#[test]
fn the_time_of_reports_wraps_and_a_hold_beyond_the_round_trip_leaves_none() {
    let mut history = history();
    history.handle_sent(of_stream(7, 0), ms(0));
    history.handle_sent(of_stream(7, 1), ms(1));
    let before = told(handle(&mut history, &ccfb(&[(7, 0, &[at(0)])], u32::MAX - SECOND + 1), ms(50)));
    let report = ccfb(&[(7, 1, &[at(1024)])], SECOND);
    let joined = handle(&mut history, &report, ms(60)).unwrap();
    assert_eq!(joined.round_trip, Some(Duration::ZERO));
    assert_eq!(told(Some(joined))[0].1.unwrap() - before[0].1.unwrap(), 1000);
}

#[test]
fn a_clock_that_is_wound_up_begins_anew() {
    let mut history = history();
    // Half a cycle ahead, and again: 9 h each.
    let mut last = i64::MIN;
    let steps = (1_u64 << 48) / ((1 << 31) - 1) + 10;
    let mut restarts = 0;
    for step in 0..steps {
        history.handle_sent(of_stream(7, step as u16), ms(step));
        let timestamp = (step as u32).wrapping_mul((1 << 31) - 1);
        let report = ccfb(&[(7, step as u16, &[at(0)])], timestamp);
        let at = told(handle(&mut history, &report, ms(step)))[0].1.unwrap();
        restarts += u32::from(at < last);
        last = at;
    }
    assert_eq!(restarts, 1);
}

#[test]
fn numbers_that_are_repeated_leap_or_go_back_are_those_sent_last() {
    let mut history = history();
    for (index, seq) in [10, 11, 11, 12, 40_000, 39_999, 60_000].into_iter().enumerate() {
        history.handle_sent(of_stream(7, seq), ms(index as u64));
    }
    let metrics: &[Metric] = &[at(10), at(9), at(8)];
    // A leap has begun the stream anew: what was sent before it is not known.
    assert_eq!(told(handle(&mut history, &ccfb(&[(7, 10, metrics)], SECOND), ms(50))), []);
    assert_eq!(history.counters().unsent, 3);
    assert_eq!(told(handle(&mut history, &ccfb(&[(7, 60_000, &[at(1)])], SECOND), ms(50))).len(), 1);

    let mut history = self::history();
    for (index, seq) in [10, 11, 11, 12].into_iter().enumerate() {
        history.handle_sent(of_stream(7, seq), ms(index as u64));
    }
    let numbers: Vec<_> = told(handle(&mut history, &ccfb(&[(7, 10, metrics)], SECOND), ms(50)));
    assert_eq!(numbers, [(0, Some(990), false), (1, None, false), (2, Some(991), false), (3, Some(992), false)]);
}

#[test]
fn malformed_blocks_are_counted_and_the_good_ones_before_them_kept() {
    let mut history = history();
    history.handle_sent(of_stream(7, 0), ms(0));
    let mut report = ccfb(&[(7, 0, &[at(64), at(32)]), (9, 0, &[at(64)])], SECOND);
    // The second block says that it has 0x4001 metrics.
    let count = report.len() - 10;
    report[count..count + 2].copy_from_slice(&0x4001_u16.to_be_bytes());
    assert_eq!(told(handle(&mut history, &report, ms(50))), [(0, Some(937), false)]);
    let counters = history.counters();
    assert_eq!((counters.malformed_blocks, counters.unsent), (1, 1));
}

#[test]
fn a_report_without_blocks_tells_nothing() {
    let mut history = history();
    history.handle_sent(of_stream(7, 0), ms(0));
    assert_eq!(told(handle(&mut history, &ccfb(&[], SECOND), ms(50))), []);
    assert_eq!(history.in_flight(), bytes(1028));
}

#[test]
fn ten_packets_in_a_row_show_what_a_path_does_to_marks() {
    let mut history = history();
    let mut seq = 0;
    let mut arrives = |history: &mut History, sent: Ecn, arrived: Ecn, times: u16| {
        for _ in 0..times {
            let now = ms(seq.into());
            history.handle_sent(Departure { ecn: sent, ..of_stream(7, seq) }, now);
            let metric = Metric::Received { ecn: arrived, offset: ArrivalOffset::from_ticks(0) };
            let ecn = handle(history, &ccfb(&[(7, seq, &[metric])], SECOND), now).unwrap().packets[0].ecn;
            assert_eq!(ecn, arrived);
            seq += 1;
        }
        history.ecn()
    };
    assert_eq!(arrives(&mut history, Ecn::NotEct, Ecn::NotEct, 50), EcnPath::Untested);
    assert_eq!(arrives(&mut history, Ecn::Ect1, Ecn::NotEct, 9), EcnPath::Untested);
    assert_eq!(arrives(&mut history, Ecn::Ect1, Ecn::NotEct, 1), EcnPath::Bleached);
    assert_eq!(arrives(&mut history, Ecn::Ect1, Ecn::Ce, 5), EcnPath::Bleached);
    assert_eq!(arrives(&mut history, Ecn::Ect1, Ecn::Ect1, 5), EcnPath::Capable);
    assert_eq!(arrives(&mut history, Ecn::Ect1, Ecn::NotEct, 9), EcnPath::Capable);
    assert_eq!(arrives(&mut history, Ecn::Ect1, Ecn::Ect0, 10), EcnPath::Rewritten);
    history.handle_route_change(Config::default().overhead);
    assert_eq!(history.ecn(), EcnPath::Untested);
}

#[test]
fn a_route_that_changed_leaves_what_was_sent_before_out_of_reports() {
    let mut history = history();
    history.handle_sent(of_stream(7, 0), ms(0));
    history.handle_route_change(Config::default().overhead);
    history.handle_sent(of_stream(7, 1), ms(1));
    history.handle_sent(departure(), ms(1));
    let report = ccfb(&[(7, 0, &[at(64), at(32)])], SECOND);
    assert_eq!(told(handle(&mut history, &report, ms(50))), [(1, Some(968), false)]);
}
