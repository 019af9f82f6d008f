use plenary_bwe::receiver::{CcfbConfig, CcfbGenerator, Received};
use plenary_rtp::rtcp::{ArrivalOffset, Metric, Packet, packets};
use plenary_rtp::{NtpTime, SeqNo, Ssrc};
use plenary_wire::{Bitrate, Ecn};
use std::time::Duration;

use super::ms;

/// A block: its stream, its first number and its metrics.
type Block = (u32, u16, Vec<Metric>);

fn generator() -> CcfbGenerator {
    CcfbGenerator::new(CcfbConfig { sender_ssrc: Ssrc(1), ..CcfbConfig::default() })
}

fn packet(ssrc: u32, seq: u16) -> Received {
    Received { ssrc: Ssrc(ssrc), seq: SeqNo(seq), ecn: Ecn::NotEct, marker: false }
}

fn at(ticks: u64) -> Metric {
    Metric::Received { ecn: Ecn::NotEct, offset: ArrivalOffset::from_ticks(ticks) }
}

fn blocks(bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for packet in packets(bytes) {
        let Ok(Packet::Ccfb(ccfb)) = packet else { panic!("{packet:?}") };
        for block in ccfb.blocks.iter().map(Result::unwrap) {
            blocks.push((block.ssrc.0, block.begin_seq.0, block.metrics.iter().collect()));
        }
    }
    blocks
}

/// What is written at that time; nothing before it is due.
fn written(generator: &mut CcfbGenerator, after: u64) -> Vec<Block> {
    let mut out = Vec::new();
    let early = ms(after) - Duration::from_nanos(1);
    assert!(!generator.write(early, NtpTime(0), 1200, &mut out), "it is not due");
    while generator.write(ms(after), NtpTime(0), 1200, &mut out) {}
    assert_eq!(generator.poll_timeout(), None);
    blocks(&out)
}

#[test]
fn arrivals_are_told_by_stream_with_their_age_and_their_marks() {
    let mut generator = generator();
    assert_eq!(generator.poll_timeout(), None);
    generator.handle_packet(&packet(9, 65_535), ms(0));
    generator.handle_packet(&Received { ecn: Ecn::Ce, ..packet(7, 3) }, ms(5));
    generator.handle_packet(&packet(9, 1), ms(15));
    let mut out = Vec::new();
    assert!(generator.write(ms(25), NtpTime(0x1234_5678_9abc_def0), 1200, &mut out));
    let Some(Ok(Packet::Ccfb(ccfb))) = packets(&out).next() else { panic!("{out:?}") };
    assert_eq!((ccfb.sender_ssrc, ccfb.timestamp.0), (Ssrc(1), 0x5678_9abc));
    let marked = Metric::Received { ecn: Ecn::Ce, offset: ArrivalOffset::from_ticks(20) };
    assert_eq!(blocks(&out), [(7, 3, vec![marked]), (9, 65_535, vec![at(25), Metric::Lost, at(10)])]);
}

#[test]
fn feedback_waits_for_the_end_of_a_frame_25_ms_at_most_and_25_ms_after_the_last() {
    let mut generator = generator();
    generator.handle_packet(&packet(7, 0), ms(0));
    assert_eq!(generator.poll_timeout(), Some(ms(25)));
    generator.handle_packet(&Received { marker: true, ..packet(7, 1) }, ms(3));
    assert_eq!(written(&mut generator, 0).len(), 1, "the caller is late, not we");
    generator.handle_packet(&Received { marker: true, ..packet(7, 2) }, ms(4));
    assert_eq!(generator.poll_timeout(), Some(ms(25)));
    written(&mut generator, 25);
    generator.handle_packet(&packet(7, 3), ms(100));
    assert_eq!(generator.poll_timeout(), Some(ms(125)));
}

#[test]
fn the_first_copy_counts_for_the_time_and_a_mark_on_any_for_the_mark() {
    let mut generator = generator();
    generator.handle_packet(&packet(7, 0), ms(0));
    generator.handle_packet(&Received { ecn: Ecn::Ect0, ..packet(7, 0) }, ms(10));
    assert_eq!(generator.counters().duplicate, 1);
    assert_eq!(written(&mut generator, 25), [(7, 0, vec![at(25)])]);
    // One that comes after the report makes another.
    generator.handle_packet(&Received { ecn: Ecn::Ce, ..packet(7, 0) }, ms(30));
    let marked = Metric::Received { ecn: Ecn::Ce, offset: ArrivalOffset::from_ticks(56) };
    assert_eq!(written(&mut generator, 55), [(7, 0, vec![marked])]);
    generator.handle_packet(&Received { ecn: Ecn::Ce, ..packet(7, 0) }, ms(60));
    assert_eq!((generator.poll_timeout(), generator.counters().duplicate), (None, 2));
}

#[test]
fn what_comes_after_it_was_reported_lost_is_reported_again_with_what_follows() {
    let mut generator = generator();
    for seq in [10, 12] {
        generator.handle_packet(&packet(7, seq), ms(0));
    }
    assert_eq!(written(&mut generator, 25), [(7, 10, vec![at(25), Metric::Lost, at(25)])]);
    generator.handle_packet(&packet(7, 11), ms(50));
    assert_eq!(written(&mut generator, 75), [(7, 11, vec![at(25), at(76)])]);
    // Packets that left before the first, and come after it, too.
    generator.handle_packet(&packet(7, 9), ms(100));
    assert_eq!(written(&mut generator, 125).concat_numbers(), [9, 10, 11, 12]);
}

trait Numbers {
    fn concat_numbers(&self) -> Vec<u16>;
}

impl Numbers for Vec<Block> {
    fn concat_numbers(&self) -> Vec<u16> {
        self.iter().flat_map(|(_, begin, metrics)| *begin..*begin + metrics.len() as u16).collect()
    }
}

#[test]
fn what_came_more_than_8_s_ago_is_over_range() {
    let mut generator = generator();
    generator.handle_packet(&packet(7, 0), ms(0));
    generator.handle_packet(&packet(7, 1), ms(3));
    let mut out = Vec::new();
    assert!(generator.write(ms(8000), NtpTime(0), 1200, &mut out));
    let over = Metric::Received { ecn: Ecn::NotEct, offset: ArrivalOffset::OVER_RANGE };
    assert_eq!(blocks(&out), [(7, 0, vec![over, at(8188)])]);
}

/// How many messages and bytes of feedback leave in 10 s, for one packet each so many microseconds.
fn load(rate: Option<Bitrate>, interval: u64) -> (usize, usize, Duration) {
    let mut generator = generator();
    if let Some(rate) = rate {
        generator.set_rate(rate);
    }
    let (mut messages, mut size, mut last, mut gap_max) = (0, 0, ms(0), Duration::ZERO);
    let mut out = Vec::new();
    for index in 0..10_000_000 / interval {
        let now = ms(0) + Duration::from_micros(index * interval);
        generator.handle_packet(&packet(7, index as u16), now);
        while generator.write(now, NtpTime(0), 60_000, &mut out) {
            gap_max = gap_max.max(now - last);
            last = now;
            messages += 1;
            size += out.len();
            out.clear();
        }
    }
    (messages, size, gap_max)
}

#[test]
fn feedback_takes_no_more_than_its_rate_and_waits_no_longer_than_the_interval() {
    // 5,000 packets a second are 80 kb/s of metrics, and each message has 20 bytes more.
    let (messages, size, _) = load(None, 200);
    assert_eq!((messages, size), (396, 107_712));
    let (messages, size, _) = load(Some(Bitrate::from_kbps(1660)), 200);
    assert!((80_500..83_500).contains(&(size * 8 / 10)), "{} b/s", size * 8 / 10);
    assert!((150..220).contains(&messages), "{messages}");
    // All packets are reported, however little the rate is: half a second between two.
    let (messages, size, gap_max) = load(Some(Bitrate::ZERO), 200);
    assert!((20..24).contains(&messages) && size > 95_000, "{messages} {size}");
    assert!(gap_max <= Duration::from_millis(501), "{gap_max:?}");
}

#[test]
fn many_streams_and_long_ones_are_told_over_several_messages_in_turn() {
    let mut generator = generator();
    for ssrc in 0..50 {
        for seq in 0..3 {
            generator.handle_packet(&packet(ssrc, seq), ms(0));
        }
    }
    for seq in 0..2000 {
        generator.handle_packet(&packet(99, seq), ms(0));
    }
    let mut told = Vec::new();
    let mut out = Vec::new();
    assert!(!generator.write(ms(25), NtpTime(0), 23, &mut out), "too little for one packet");
    while generator.write(ms(25), NtpTime(0), 400, &mut out) {
        assert!(out.len() <= 400, "{}", out.len());
        told.extend(blocks(&out));
        out.clear();
    }
    for ssrc in 0..50 {
        let of = told.iter().filter(|(of, ..)| *of == ssrc).map(|(_, begin, metrics)| (*begin, metrics.len()));
        assert_eq!(of.collect::<Vec<_>>(), [(0, 3)]);
    }
    let long: Vec<_> = told.into_iter().filter(|(ssrc, ..)| *ssrc == 99).collect();
    assert!(long.len() > 2);
    assert_eq!(long.concat_numbers(), (0..2000).collect::<Vec<_>>());
}

#[test]
fn a_leap_beyond_16384_packets_is_believed_after_half_a_second() {
    let mut generator = generator();
    generator.handle_packet(&packet(7, 0), ms(0));
    // The first has room for 63 before it.
    generator.handle_packet(&packet(7, 16_320), ms(1));
    generator.handle_packet(&packet(7, 16_321), ms(1));
    assert_eq!(generator.counters().out_of_range, 1);
    assert_eq!(written(&mut generator, 25).concat_numbers().len(), 16_321);
    for (seq, after) in [(16_321, 99), (65_000, 100), (65_001, 599), (65_002, 600), (65_004, 601)] {
        generator.handle_packet(&packet(7, seq), ms(after));
    }
    let counters = generator.counters();
    assert_eq!((counters.out_of_range, counters.restarts), (3, 1));
    let mut out = Vec::new();
    assert!(generator.write(ms(700), NtpTime(0), 1200, &mut out));
    assert_eq!(blocks(&out).concat_numbers(), [65_002, 65_003, 65_004]);
}

#[test]
fn as_many_streams_and_statuses_are_kept_as_the_limits_say() {
    let config = CcfbConfig { streams_max: 2, statuses_max: 200, ..CcfbConfig::default() };
    let mut generator = CcfbGenerator::new(config);
    for (index, ssrc) in [7, 8, 7, 9].into_iter().enumerate() {
        generator.handle_packet(&packet(ssrc, index as u16), ms(index as u64));
    }
    assert_eq!(generator.counters().forgotten, 1, "stream 8 has made room");
    // 64 for the start of 9, 66 of 7: 70 more.
    generator.handle_packet(&packet(9, 3 + 70), ms(9));
    generator.handle_packet(&packet(9, 3 + 71), ms(9));
    assert_eq!(generator.counters().out_of_range, 1);
    let told = written(&mut generator, 25);
    assert_eq!(
        told.iter().map(|(ssrc, begin, metrics)| (*ssrc, *begin, metrics.len())).collect::<Vec<_>>(),
        [(7, 0, 3), (9, 3, 71)]
    );
    generator.handle_packet(&packet(9, 3 + 71), ms(50));
    assert_eq!(written(&mut generator, 75).concat_numbers(), [74]);
}
