use std::time::Duration;

use plenary_bwe::receiver::{TwccConfig, TwccGenerator};
use plenary_rtp::extension::FeedbackRequest;
use plenary_rtp::rtcp::{Packet, ReferenceClock, packets};
use plenary_rtp::{SeqNo, Ssrc};
use plenary_wire::Bitrate;

use super::{Status, ms, statuses};

fn generator() -> TwccGenerator {
    TwccGenerator::new(TwccConfig { sender_ssrc: Ssrc(1), ..TwccConfig::default() })
}

fn came(generator: &mut TwccGenerator, seq: u16, at: u64) {
    generator.handle_packet(Ssrc(7), SeqNo(seq), ms(at));
}

/// What is written at that time; nothing before it is due.
fn written(generator: &mut TwccGenerator, at: u64) -> Vec<Status> {
    let mut out = Vec::new();
    assert!(!generator.write(ms(at) - Duration::from_nanos(1), 1200, &mut out), "it is not due");
    while generator.write(ms(at), 1200, &mut out) {}
    assert_eq!(generator.poll_timeout(), None);
    statuses(&out, &mut ReferenceClock::default())
}

#[test]
fn arrivals_are_told_with_what_is_missing_among_them() {
    let mut generator = generator();
    assert_eq!(generator.poll_timeout(), None);
    for (seq, at) in [(65_534, 0), (65_535, 1), (1, 3), (0, 4), (3, 5)] {
        came(&mut generator, seq, at);
    }
    assert_eq!(generator.poll_timeout(), Some(ms(25)));
    let told = [(65_534, 0), (65_535, 1000), (0, 4000), (1, 3000)].map(|(seq, at)| (seq, Some(at)));
    assert_eq!(written(&mut generator, 25), [&told[..], &[(2, None), (3, Some(5000))]].concat());
    // The next begins behind it, and names the stream that the last packet was of.
    generator.handle_packet(Ssrc(9), SeqNo(5), ms(60));
    let mut out = Vec::new();
    assert!(generator.write(ms(125), 1200, &mut out));
    let Some(Ok(Packet::Twcc(twcc))) = packets(&out).next() else { panic!("{out:?}") };
    assert_eq!((twcc.sender_ssrc, twcc.media_ssrc, twcc.feedback_count), (Ssrc(1), Ssrc(9), 1));
    assert_eq!(statuses(&out, &mut ReferenceClock::default()), [(4, None), (5, Some(60_000))]);
}

#[test]
fn feedback_leaves_in_intervals_and_after_a_pause_shortly_after_the_first_packet() {
    let mut generator = generator();
    let mut times = Vec::new();
    let mut out = Vec::new();
    for at in 0..1200 {
        if at % 10 == 0 && !(500..1000).contains(&at) {
            came(&mut generator, at as u16 / 10, at);
        }
        if generator.write(ms(at), 1200, &mut out) {
            times.push(at);
        }
    }
    assert_eq!(times, [25, 125, 225, 325, 425, 525, 1025, 1125]);
}

#[test]
fn the_interval_is_a_twentieth_of_the_rate_within_its_limits() {
    let kbps = |kbps| Bitrate::from_kbps(kbps);
    for (rate, interval) in
        [(kbps(10_000), 50), (kbps(218), 50), (kbps(136), 80), (kbps(109), 99), (kbps(40), 250), (Bitrate::ZERO, 250)]
    {
        let mut generator = generator();
        generator.set_rate(rate);
        came(&mut generator, 0, 0);
        assert_eq!(written(&mut generator, 25).len(), 1);
        came(&mut generator, 1, 26);
        let due = generator.poll_timeout().unwrap() - ms(25);
        assert_eq!(due.as_millis(), interval, "{rate}");
    }
}

#[test]
fn what_comes_after_it_was_reported_lost_is_reported_again_with_what_follows() {
    let mut generator = generator();
    for (seq, at) in [(0, 0), (2, 8), (3, 12)] {
        came(&mut generator, seq, at);
    }
    assert_eq!(written(&mut generator, 25)[1], (1, None));
    came(&mut generator, 1, 40);
    came(&mut generator, 4, 44);
    let told = [(1, 40), (2, 8), (3, 12), (4, 44)].map(|(seq, at)| (seq, Some(at * 1000)));
    assert_eq!(written(&mut generator, 125), told);
}

#[test]
fn a_packet_that_comes_again_changes_nothing() {
    let mut generator = generator();
    came(&mut generator, 0, 0);
    came(&mut generator, 0, 1);
    assert_eq!(written(&mut generator, 25), [(0, Some(0))]);
    came(&mut generator, 0, 30);
    assert_eq!((generator.poll_timeout(), generator.counters().duplicate), (None, 2));
}

#[test]
fn one_that_is_later_than_the_back_window_is_not_told_of() {
    for (at, told) in [(520, 2), (521, 0)] {
        let mut generator = generator();
        came(&mut generator, 1, 20);
        written(&mut generator, 45);
        came(&mut generator, 0, at);
        assert_eq!(generator.counters().out_of_range, 1 - told / 2);
        if told > 0 {
            assert_eq!(written(&mut generator, at + 25).len() as u64, told);
        }
    }
}

#[test]
fn numbers_that_begin_anew_are_followed_after_half_a_second() {
    let mut generator = generator();
    came(&mut generator, 30_000, 0);
    written(&mut generator, 25);
    // A packet of the old numbers between those of the new ones: they have not begun anew.
    came(&mut generator, 10, 600);
    came(&mut generator, 11, 900);
    came(&mut generator, 30_001, 1000);
    assert_eq!(written(&mut generator, 1025), [(30_001, Some(1_000_000))]);
    for (seq, at) in [(12, 2000), (13, 2499), (14, 2500), (15, 2501)] {
        came(&mut generator, seq, at);
    }
    assert_eq!(written(&mut generator, 2525), [(14, Some(2_500_000)), (15, Some(2_501_000))]);
    let counters = generator.counters();
    assert_eq!((counters.out_of_range, counters.restarts), (4, 1));
}

#[test]
fn as_many_arrivals_are_kept_as_the_limit_says() {
    let mut generator = TwccGenerator::new(TwccConfig { arrivals_max: 3, ..TwccConfig::default() });
    for seq in 0..5 {
        came(&mut generator, seq, 0);
    }
    // Those that it has forgotten are not told lost.
    assert_eq!(written(&mut generator, 25), [2, 3, 4].map(|seq| (seq, Some(0))));
    assert_eq!(generator.counters().forgotten, 2);
}

#[test]
fn what_does_not_fit_waits_and_is_due() {
    let mut generator = generator();
    for seq in 0..100 {
        // Every other: vectors of 14 symbols, and a byte for each that came.
        came(&mut generator, seq * 2, 0);
    }
    let mut out = Vec::new();
    assert!(!generator.write(ms(25), 20, &mut out));
    let mut sizes = Vec::new();
    let mut clock = ReferenceClock::default();
    let mut told = Vec::new();
    while generator.write(ms(25), 60, &mut out) {
        sizes.push(out.len());
        told.extend(statuses(&out, &mut clock));
        out.clear();
        assert_eq!(generator.poll_timeout().is_some(), told.len() < 199);
    }
    assert!(sizes.len() > 2 && sizes.iter().all(|size| *size <= 60), "{sizes:?}");
    let expected: Vec<_> = (0..199).map(|seq| (seq, (seq % 2 == 0).then_some(0))).collect();
    assert_eq!(told, expected);
}

#[test]
fn where_it_is_to_be_asked_for_nothing_is_told_unasked() {
    let config = TwccConfig { is_on_request: true, ..TwccConfig::default() };
    let mut generator = TwccGenerator::new(config);
    for seq in [0, 1, 3, 4] {
        came(&mut generator, seq, seq.into());
    }
    assert_eq!(generator.poll_timeout(), None);
    generator.handle_request(SeqNo(4), FeedbackRequest::new(true, 0).unwrap(), ms(4));
    assert_eq!(generator.poll_timeout(), None);
    generator.handle_request(SeqNo(4), FeedbackRequest::new(true, 3).unwrap(), ms(4));
    assert_eq!(written(&mut generator, 4), [(2, None), (3, Some(3000)), (4, Some(4000))]);
    // What was before that is forgotten: a request for more gets what there is.
    came(&mut generator, 5, 9);
    generator.handle_request(SeqNo(5), FeedbackRequest::new(false, 100).unwrap(), ms(9));
    assert_eq!(written(&mut generator, 9), [(2, None), (3, Some(3000)), (4, Some(4000)), (5, Some(9000))]);
}
