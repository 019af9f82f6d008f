use plenary_netsim::base;
use plenary_rtp::rtcp::{self, Packet as Rtcp};
use plenary_rtp::{CompactNtp, NtpTime};
use proptest::prelude::*;

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;
const SSRC: Ssrc = Ssrc(7);

/// A stream in virtual time: milliseconds since its start.
struct Story {
    start: Instant,
    stream: ReceiveStream,
}

impl Story {
    fn new(nack: NackConfig) -> Self {
        Self::with(ReceiveConfig { nack: Some(nack), ..ReceiveConfig::video(SSRC) })
    }

    fn with(config: ReceiveConfig) -> Self {
        let start = base();
        Self { start, stream: ReceiveStream::new(config, start).unwrap() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + MS(ms)
    }

    fn packet(&mut self, ms: u64, number: u16) -> Received {
        let packet =
            ReceivedPacket { sequence_number: SeqNo(number), timestamp: RtpTime(90 * ms as u32), payload_len: 9 };
        self.stream.handle_packet(&packet, self.at(ms))
    }

    fn packets(&mut self, ms: u64, numbers: impl IntoIterator<Item = u16>) {
        for number in numbers {
            self.packet(ms, number);
        }
    }

    /// What is asked for at this time, over as many NACKs as that takes.
    fn asked_within(&mut self, ms: u64, size_max: usize) -> Vec<u16> {
        let now = self.at(ms);
        let mut out = Vec::new();
        while self.stream.write_nack(Ssrc(1), now, size_max, &mut out).unwrap() {}
        rtcp::packets(&out)
            .flat_map(|packet| match packet.unwrap() {
                Rtcp::Nack(nack) => nack.lost().map(|number| number.0).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn asked(&mut self, ms: u64) -> Vec<u16> {
        self.asked_within(ms, 1200)
    }

    fn given_up(&mut self, ms: u64) -> Option<u16> {
        self.stream.handle_timeout(self.at(ms));
        self.stream.poll_given_up().map(|seq| seq.seq_no().0)
    }

    /// Milliseconds until something is due.
    fn timeout(&self) -> Option<u64> {
        self.stream.poll_timeout().map(|at| (at - self.start).as_millis() as u64)
    }
}

#[test]
fn a_missing_packet_is_asked_for_at_once_and_again_after_a_round_trip_until_it_comes() {
    let mut story = Story::new(NackConfig { patience_margin: MS(500), patience_max: MS(500), ..NackConfig::default() });
    story.stream.set_round_trip(MS(50));
    story.packet(0, 65534);
    assert_eq!(story.timeout(), None);
    story.packets(0, [2]);
    assert_eq!(story.timeout(), Some(0));
    assert_eq!(story.asked(0), [65535, 0, 1]);
    assert_eq!(story.timeout(), Some(60));
    assert_eq!(story.asked(59), [0; 0]);
    assert_eq!(story.stream.handle_repair(SeqNo(0)), Repair::Repaired { seq: ExtendedSeqNo(0x2_0000), awaited: true });
    assert_eq!(story.asked(60), [65535, 1]);
    assert_eq!(story.packet(61, 1), Received::Late { seq: ExtendedSeqNo(0x2_0001), awaited: true });
    assert_eq!(story.asked(120), [65535]);
    assert_eq!(
        story.stream.handle_repair(SeqNo(65535)),
        Repair::Repaired { seq: ExtendedSeqNo(0x1_ffff), awaited: true }
    );
    assert_eq!((story.timeout(), story.stream.missing()), (None, 0));
    let counters = story.stream.counters();
    assert_eq!((counters.asked, counters.repaired, counters.late, counters.given_up), (6, 2, 1, 0));
}

#[test]
fn a_hole_is_given_up_once_two_asks_could_have_been_answered() {
    let mut story = Story::new(NackConfig::default());
    story.stream.set_round_trip(MS(40));
    story.packets(5, [1, 3, 4]);
    assert_eq!(story.stream.settled(), Some(ExtendedSeqNo(0x1_0002)));
    assert_eq!(story.asked(5), [2]);
    assert_eq!(story.asked(55), [2]);
    assert_eq!(story.asked(105), [2]);
    assert_eq!(story.timeout(), Some(155));
    assert_eq!(story.given_up(154), None);
    assert_eq!(story.given_up(155), Some(5));
    assert_eq!(story.stream.settled(), Some(ExtendedSeqNo(0x1_0005)));
    assert_eq!(story.timeout(), None);
    assert_eq!(story.stream.handle_repair(SeqNo(2)), Repair::Repaired { seq: ExtendedSeqNo(0x1_0002), awaited: false });
}

#[test]
fn patience_max_ends_the_wait_of_a_long_round_trip() {
    let mut story = Story::new(NackConfig::default());
    story.stream.set_round_trip(MS(400));
    story.packets(0, [1, 3]);
    assert_eq!(story.asked(0), [2]);
    assert_eq!(story.asked(410), [2]);
    assert_eq!(story.given_up(499), None);
    assert_eq!(story.given_up(500), Some(4));
}

#[test]
fn asks_max_ends_the_asking_and_not_the_wait() {
    let mut story = Story::new(NackConfig { asks_max: 3, ..NackConfig::default() });
    story.stream.set_round_trip(MS(0));
    story.packets(0, [1, 3]);
    let asked: Vec<_> = (0..50).filter(|ms| story.asked(*ms) == [2]).collect();
    assert_eq!(asked, [0, 10, 20]);
    assert_eq!(story.timeout(), Some(70));
    assert_eq!(story.given_up(70), Some(4));
}

#[test]
fn listed_max_gives_up_the_oldest() {
    let mut story = Story::new(NackConfig { listed_max: 4, ..NackConfig::default() });
    story.packets(0, [0, 4, 6]);
    assert_eq!(story.stream.missing(), 4);
    assert_eq!(story.stream.poll_given_up(), None);
    story.packet(0, 8);
    assert_eq!((story.stream.missing(), story.stream.counters().given_up), (4, 1));
    assert_eq!(story.stream.poll_given_up(), Some(ExtendedSeqNo(0x1_0002)));
    assert_eq!(story.asked(0), [2, 3, 5, 7]);
}

#[test]
fn a_gap_of_more_than_listed_max_is_not_asked_for() {
    let mut story = Story::new(NackConfig { listed_max: 4, ..NackConfig::default() });
    story.packets(0, [0, 2, 8]);
    assert_eq!((story.stream.missing(), story.stream.counters().given_up), (0, 6));
    assert_eq!(story.stream.poll_given_up(), Some(ExtendedSeqNo(0x1_0009)));
    assert_eq!(story.asked(0), [0; 0]);
}

#[test]
fn nacks_are_interval_min_apart() {
    let mut story = Story::new(NackConfig::default());
    story.packets(0, [0, 2]);
    assert_eq!(story.asked(0), [1]);
    story.packets(1, [4]);
    assert_eq!(story.timeout(), Some(5));
    story.packets(3, [6]);
    assert_eq!(story.asked(4), [0; 0]);
    assert_eq!(story.asked(5), [3, 5]);
}

#[test]
fn what_does_not_fit_one_nack_goes_into_the_next() {
    let mut story = Story::new(NackConfig::default());
    story.packets(0, (0..=400).map(|index| index * 2));
    let expected: Vec<_> = (0..400).map(|index| index * 2 + 1).collect();
    assert_eq!(story.asked_within(0, 100), expected);
    assert_eq!(story.stream.write_nack(Ssrc(1), story.at(0), 15, &mut Vec::new()), Ok(false), "nothing is due");
    story.packet(6, 900);
    let mut out = Vec::new();
    assert_eq!(story.stream.write_nack(Ssrc(1), story.at(6), 15, &mut out), Ok(false), "no room");
    assert!(out.is_empty() && story.stream.has_nack(story.at(6)));
    assert_eq!(story.stream.write_nack(Ssrc(1), story.at(6), 16, &mut out), Ok(true));
    assert_eq!(out.len(), 16);
}

// A NACK that has to wait for its bandwidth does not keep the loop of the caller busy.
#[test]
fn a_nack_that_is_not_written_waits_without_a_timeout() {
    let mut story = Story::new(NackConfig::default());
    story.packets(0, [0, 2]);
    assert_eq!((story.timeout(), story.stream.has_nack(story.at(0))), (Some(0), true));
    story.stream.handle_timeout(story.at(0));
    assert_eq!((story.timeout(), story.stream.has_nack(story.at(0))), (Some(270), true), "until it is given up");
    story.packets(20, [4]);
    assert_eq!(story.asked(20), [1, 3]);
    assert!(!story.stream.has_nack(story.at(20)));
    // What comes meanwhile is not asked for.
    story.packets(140, [6]);
    story.stream.handle_timeout(story.at(140));
    story.packets(141, [5]);
    assert_eq!((story.stream.missing(), story.asked(149)), (2, vec![1, 3]));
}

#[test]
fn a_key_frame_cuts_off_what_is_missing_before_it() {
    let mut story = Story::new(NackConfig::default());
    story.packets(0, [0, 3, 5, 7]);
    story.stream.handle_key_frame(ExtendedSeqNo(0x1_0005));
    assert_eq!(story.asked(0), [6]);
    assert_eq!(story.stream.settled(), Some(ExtendedSeqNo(0x1_0006)));
    assert_eq!(story.stream.counters().given_up, 3);
}

// Trap: a key frame is asked for where `poll_given_up` answers. If it told what a key frame cuts off, each would cause
// the next.
#[test]
fn what_a_key_frame_cuts_off_asks_for_no_other() {
    let mut story = Story::new(NackConfig::default());
    story.packets(0, [0, 2, 4, 5]);
    story.stream.handle_key_frame(ExtendedSeqNo(0x1_0005));
    assert_eq!((story.stream.missing(), story.given_up(0)), (0, None));

    // Given up before the key frame came, and not told before it did.
    story.packets(0, [7]);
    story.stream.handle_timeout(story.at(270));
    story.packets(270, [10]);
    story.stream.handle_key_frame(ExtendedSeqNo(0x1_000a));
    assert_eq!(story.stream.poll_given_up(), None);

    // What is given up behind it is told.
    story.packets(280, [12]);
    story.stream.handle_timeout(story.at(550));
    story.stream.handle_key_frame(ExtendedSeqNo(0x1_000a));
    assert_eq!(story.stream.poll_given_up(), Some(ExtendedSeqNo(0x1_000d)));
    assert_eq!(story.stream.poll_given_up(), None);
}

// A compound has the reports of all streams of the peer.
#[test]
fn a_sender_report_of_another_stream_is_not_quoted() {
    let mut story = Story::new(NackConfig::default());
    story.packets(0, [1]);
    let report = SenderReport { ssrc: Ssrc(SSRC.0 + 1), ntp: NtpTime(9 << 32), ..Default::default() };
    story.stream.handle_sender_report(&report, story.at(0));
    assert_eq!(story.stream.report_block(story.at(1)).unwrap().last_sr, CompactNtp(0));
}

#[test]
fn where_reordering_is_usual_the_first_gap_is_not_asked_for() {
    let mut story = Story::new(NackConfig::default());
    let mut asked = 0;
    for index in 0..100u16 {
        // Each fourth packet comes two packets later than it should.
        let first = index * 4;
        for (offset, number) in [1, 2, 0, 3].into_iter().enumerate() {
            let ms = u64::from(first) * 5 + offset as u64 * 5;
            story.packet(ms, first + number);
            asked += story.asked(ms).len();
        }
    }
    assert_eq!(asked, 1, "only before the habit was known");
    // A loss is now asked for when more newer packets have come …
    story.packets(2000, [401, 402]);
    assert_eq!(story.asked(2000), [0; 0]);
    story.packet(2005, 403);
    assert_eq!(story.asked(2005), [400]);
    // … or after the longest wait, where the stream is slow.
    story.packet(2010, 405);
    assert_eq!((story.asked(2010), story.timeout()), (vec![], Some(2030)));
    assert_eq!(story.asked(2030), [404]);
}

// A new path that loses where the old one reordered: nothing repairs, so only what is given up can tell.
#[test]
fn losses_that_are_given_up_end_the_habit_of_waiting() {
    let mut story = Story::new(NackConfig::default());
    for index in 0..20u16 {
        story.packets(u64::from(index) * 10, [1, 2, 0, 3].map(|number| index * 4 + number));
    }
    for index in 0..40u16 {
        let ms = 1000 + u64::from(index) * 300;
        story.packet(ms, 81 + index * 2);
        story.stream.handle_timeout(story.at(ms + 280));
    }
    story.packet(20_000, 161);
    assert_eq!(story.asked(20_000), [160]);
}

#[test]
fn repairs_tell_what_they_are() {
    let mut story = Story::new(NackConfig::default());
    assert_eq!(story.stream.handle_repair(SeqNo(5)), Repair::Unknown);
    story.packets(0, [5, 7]);
    let six = ExtendedSeqNo(0x1_0006);
    assert_eq!(story.stream.handle_repair(SeqNo(5)), Repair::Duplicate { seq: ExtendedSeqNo(0x1_0005) });
    assert_eq!(story.stream.handle_repair(SeqNo(8)), Repair::Unknown);
    assert_eq!(story.stream.handle_repair(SeqNo(6)), Repair::Repaired { seq: six, awaited: true });
    // The probe that repeats one packet a hundred times, and the original that was only late.
    assert_eq!(story.stream.handle_repair(SeqNo(6)), Repair::Duplicate { seq: six });
    assert_eq!(story.packet(1, 6), Received::Duplicate { seq: six });
    assert_eq!(story.stream.counters().repair_duplicates, 2);
}

#[test]
fn a_repaired_loss_is_a_loss_in_reports() {
    let mut story = Story::new(NackConfig::default());
    story.packets(0, [0, 1, 2, 4]);
    story.stream.handle_repair(SeqNo(3));
    let block = story.stream.report_block(story.at(0)).unwrap();
    assert_eq!((block.cumulative_lost, block.fraction_lost, block.highest_seq), (1, 51, 4));
}

#[test]
fn a_restart_is_a_new_life_of_the_counts_and_asks_for_the_packet_that_hinted_at_it() {
    let mut story = Story::new(NackConfig::default());
    story.packets(0, [1000, 1002]);
    assert_eq!(story.packet(1, 40_000), Received::Jump);
    assert_eq!(story.packet(1, 40_001), Received::Restart { seq: ExtendedSeqNo(0x3_0000 + 40_001) });
    assert_eq!(story.stream.poll_given_up(), Some(ExtendedSeqNo(0x3_0000 + 40_000)), "what was missing before");
    assert_eq!(story.asked(1), [40_000]);
    let block = story.stream.report_block(story.at(1)).unwrap();
    assert_eq!((block.highest_seq, block.cumulative_lost, block.fraction_lost), (40_001, 0, 0));
    assert_eq!((story.stream.counters().jumps, story.stream.counters().restarts), (1, 1));
}

// RFC 3550 §8.2: two sources with one SSRC. Packet by packet the one that was first is heard; in bursts they take turns.
#[test]
fn of_two_sources_with_one_ssrc_the_numbers_still_only_grow() {
    let mut story = Story::new(NackConfig::default());
    for step in 0..200u16 {
        let received = story.packet(step.into(), 1000 + step);
        assert_eq!(received, Received::New { seq: ExtendedSeqNo(0x1_0000 + 1000 + u64::from(step)), gap: 0 });
        assert_eq!(story.packet(step.into(), 40_000 + step), Received::Jump);
    }
    assert_eq!((story.stream.counters().restarts, story.stream.missing()), (0, 0));

    let (mut settled, mut newest) = (story.stream.settled(), story.stream.newest());
    for burst in 0..100u16 {
        let first = if burst % 2 == 0 { 50_000 } else { 2_000 } + burst * 5;
        for step in 0..5 {
            story.packet(200 + u64::from(burst), first + step);
            let before = (settled, newest);
            (settled, newest) = (story.stream.settled(), story.stream.newest());
            assert!((settled, newest) >= before && story.stream.missing() <= 1);
        }
        story.asked(200 + u64::from(burst));
    }
    let counters = story.stream.counters();
    assert_eq!((counters.restarts, counters.jumps), (100, 200 + 100));
    assert!(counters.asked <= 100, "the packet that hinted, each time");
}

// What a sender can make us do by leaping: a list of the size that was said, asked for at the pace that was said.
#[test]
fn a_sender_that_leaps_costs_a_bounded_list_at_a_bounded_pace() {
    let config = NackConfig::default();
    let mut story = Story::new(config);
    let (mut number, mut bytes, mut writes) = (0u16, 0, 0);
    for ms in 0..1000 {
        number = number.wrapping_add(config.listed_max + 1);
        story.packet(ms, number);
        assert!(story.stream.missing() <= config.listed_max.into());
        let (now, mut out) = (story.at(ms), Vec::new());
        while story.stream.write_nack(Ssrc(1), now, 1200, &mut out).unwrap() {
            writes += 1;
        }
        bytes += out.len();
        story.stream.handle_timeout(now);
    }
    // Every 5 ms two NACKs for 512 numbers in a row: 31 pairs in all, each pair 4 bytes.
    assert_eq!((writes, bytes), (400, 200 * (2 * 12 + 31 * 4)));
    assert_eq!(story.stream.counters().asked, 200 * u64::from(config.listed_max));
}

// A peer decides what the round trip is. Longest: 10 s. Shortest: none at all.
#[test]
fn any_round_trip_leaves_the_pace_and_the_patience_in_bounds() {
    for (round_trip, asks, given_up_at) in
        [(Duration::ZERO, 7, 70), (MS(10_000), 1, 500), (Duration::MAX, 1, 500), (Duration::from_nanos(1), 7, 71)]
    {
        let mut story = Story::new(NackConfig::default());
        story.stream.set_round_trip(round_trip);
        story.packets(0, [1, 3]);
        let mut asked = 0;
        let given_up = (0..1000).find(|ms| {
            let gone = story.given_up(*ms);
            asked += story.asked(*ms).len();
            gone.is_some()
        });
        assert_eq!((asked, given_up, story.timeout()), (asks, Some(given_up_at), None), "{round_trip:?}");
    }
}

// Trap: the `now` of a packet may be read before that of the timer that ran ahead of it.
#[test]
fn a_time_that_goes_back_asks_and_gives_up_as_before() {
    let mut story = Story::new(NackConfig::default());
    story.packets(100, [1, 3]);
    assert_eq!(story.asked(100), [2]);
    story.packets(90, [5]);
    story.stream.handle_timeout(story.at(80));
    assert_eq!((story.stream.missing(), story.asked(104)), (2, vec![]));
    assert_eq!(story.asked(105), [4]);
    assert_eq!((story.given_up(369), story.given_up(370)), (None, Some(6)), "in the order of their numbers");
}

// A padding-only packet takes a number of the stream and repeats the timestamp before it, seconds later.
#[test]
fn padding_only_packets_are_received_packets_without_payload_or_jitter() {
    let mut story = Story::new(NackConfig::default());
    for (ms, number, timestamp, payload_len) in [(0, 1, 0, 100), (500, 2, 0, 0), (1000, 3, 90_000, 100)] {
        let packet = ReceivedPacket { sequence_number: SeqNo(number), timestamp: RtpTime(timestamp), payload_len };
        story.stream.handle_packet(&packet, story.at(ms));
    }
    let counters = story.stream.counters();
    assert_eq!((counters.packets, counters.payload_bytes, counters.padding_packets), (3, 200, 1));
    assert_eq!((story.stream.jitter(), story.stream.cumulative_lost()), (0, 0));
}

#[test]
fn jitter_is_a_sixteenth_of_each_change_and_steps_of_the_timestamp_are_none() {
    let mut story = Story::new(NackConfig::default());
    let mut send = |ms, number, timestamp| {
        let packet = ReceivedPacket { sequence_number: SeqNo(number), timestamp: RtpTime(timestamp), payload_len: 1 };
        story.stream.handle_packet(&packet, story.start + MS(ms));
        story.stream.jitter()
    };
    assert_eq!(send(0, 1, u32::MAX), 0);
    assert_eq!(send(16, 2, 0), 89, "1439 ticks late, a sixteenth of it");
    assert_eq!(send(16, 3, 5_000_000), 89, "another source");
    assert_eq!(send(32, 4, 5_001_440), 84);
}

#[test]
fn reports_quote_the_last_sender_report_and_stop_with_the_stream() {
    let mut story = Story::new(NackConfig::default());
    assert_eq!(story.stream.report_block(story.at(0)), None);
    story.packet(0, 65_535);
    let block = story.stream.report_block(story.at(0)).unwrap();
    assert_eq!((block.ssrc, block.last_sr, block.delay_since_last_sr), (SSRC, CompactNtp(0), CompactNtp(0)));
    assert_eq!(block.highest_seq, 65_535, "the first cycle is 0");
    assert_eq!(story.stream.report_block(story.at(1000)), None, "nothing came since");
    let report = SenderReport { ssrc: SSRC, ntp: NtpTime(0x1111_2222_3333_4444), ..Default::default() };
    story.stream.handle_sender_report(&report, story.at(1000));
    story.packet(1250, 0);
    let block = story.stream.report_block(story.at(1500)).unwrap();
    assert_eq!((block.last_sr, block.delay_since_last_sr), (CompactNtp(0x2222_3333), CompactNtp(0x8000)));
    assert_eq!(block.highest_seq, 65_536);
}

#[test]
fn duplicates_make_the_loss_negative_and_its_fraction_zero() {
    let mut story = Story::new(NackConfig::default());
    story.packets(0, [0, 1, 1, 1, 3]);
    let block = story.stream.report_block(story.at(0)).unwrap();
    assert_eq!((block.cumulative_lost, block.fraction_lost), (-1, 0));
}

#[test]
fn each_limit_of_the_configuration_is_held() {
    let refused = |config| ReceiveStream::new(config, base()).map(|_| ()).unwrap_err();
    let sound = ReceiveConfig::video(SSRC);
    for misorder_max in [0, 32, 100, 65_535] {
        assert_eq!(refused(ReceiveConfig { misorder_max, ..sound }), ConfigError::MisorderMax(misorder_max));
    }
    for dropout_max in [0, 32_768] {
        assert_eq!(refused(ReceiveConfig { dropout_max, ..sound }), ConfigError::DropoutMax(dropout_max));
    }
    let nack = |nack| ReceiveConfig { nack: Some(nack), ..sound };
    for listed_max in [0, 32_768] {
        let config = NackConfig { listed_max, ..NackConfig::default() };
        assert_eq!(refused(nack(config)), ConfigError::ListedMax(listed_max));
    }
    assert_eq!(refused(nack(NackConfig { asks_max: 0, ..NackConfig::default() })), ConfigError::AsksMax);
    let endless = NackConfig { patience_max: Duration::MAX, ..NackConfig::default() };
    assert_eq!(refused(nack(endless)), ConfigError::NackTime);
}

/// The code of RFC 3550 appendix A.1, A.3 and A.8 (its integer form), in Rust and otherwise as it stands there, without
/// probation; with our limits, and with our rule that a packet in sequence ends the suspicion of a restart.
#[derive(Default)]
struct Appendix {
    started: bool,
    max_seq: u16,
    cycles: u32,
    base_seq: u32,
    bad_seq: u32,
    received: u32,
    expected_prior: u32,
    received_prior: u32,
    transit: Option<i64>,
    jitter: u64,
}

impl Appendix {
    fn init_seq(&mut self, seq: u16) {
        let (transit, jitter) = (None, self.jitter);
        let bad_seq = 0x1_0001;
        *self = Self { started: true, base_seq: seq.into(), max_seq: seq, bad_seq, transit, jitter, ..Self::default() };
    }

    fn update_seq(&mut self, seq: u16, misorder_max: u16, dropout_max: u16) -> bool {
        if !self.started {
            self.init_seq(seq);
            self.received += 1;
            return true;
        }
        let udelta = seq.wrapping_sub(self.max_seq);
        if udelta < dropout_max {
            if seq < self.max_seq {
                self.cycles += 0x1_0000;
            }
            self.max_seq = seq;
            if udelta > 0 {
                self.bad_seq = 0x1_0001;
            }
        } else if u32::from(udelta) <= 0x1_0000 - u32::from(misorder_max) {
            if u32::from(seq) == self.bad_seq {
                self.init_seq(seq);
            } else {
                self.bad_seq = u32::from(seq.wrapping_add(1));
                return false;
            }
        }
        self.received += 1;
        true
    }

    fn arrived(&mut self, arrival: i64, timestamp: i64) {
        let transit = arrival - timestamp;
        if let Some(before) = self.transit.replace(transit) {
            self.jitter += transit.abs_diff(before);
            self.jitter -= (self.jitter - transit.abs_diff(before) + 8) >> 4;
        }
    }

    fn report(&mut self) -> (i32, u8, u32, u32) {
        let extended_max = self.cycles + u32::from(self.max_seq);
        let expected = extended_max - self.base_seq + 1;
        let lost = i64::from(expected) - i64::from(self.received);
        let expected_interval = expected - self.expected_prior;
        self.expected_prior = expected;
        let received_interval = self.received - self.received_prior;
        self.received_prior = self.received;
        let lost_interval = i64::from(expected_interval) - i64::from(received_interval);
        let fraction = if expected_interval == 0 || lost_interval <= 0 {
            0
        } else {
            (lost_interval << 8) / i64::from(expected_interval)
        };
        (lost as i32, fraction as u8, extended_max, (self.jitter >> 4) as u32)
    }
}

/// How the next number differs from the newest: mostly by a little, sometimes by a lot.
fn step() -> impl Strategy<Value = i32> {
    prop_oneof![6 => Just(1), 3 => -8..8i32, 1 => -200..3100i32, 1 => -40_000..40_000i32]
}

proptest! {
    #[test]
    fn any_arrivals_report_what_the_appendices_of_rfc_3550_do(
        first: u16,
        arrivals in prop::collection::vec((step(), 0..60u64, 0..30i32, any::<bool>()), 1..300),
    ) {
        let config = ReceiveConfig { misorder_max: 128, ..ReceiveConfig::video(SSRC) };
        let mut story = Story::with(config);
        let mut appendix = Appendix::default();
        let (mut ms, mut base_ms, mut last) = (0, 0i64, first);
        for (step, pause, sent, reports) in arrivals {
            let number = last.wrapping_add(step as u16);
            (last, ms, base_ms) = (number, ms + pause, base_ms + i64::from(sent));
            let timestamp = RtpTime((base_ms * 90) as u32);
            let packet = ReceivedPacket { sequence_number: SeqNo(number), timestamp, payload_len: 1 };
            let received = story.stream.handle_packet(&packet, story.at(ms));
            let valid = appendix.update_seq(number, 128, 3000);
            prop_assert_eq!(received != Received::Jump, valid);
            if valid {
                appendix.arrived(ms as i64 * 90, base_ms * 90);
            }
            if reports && let Some(block) = story.stream.report_block(story.at(ms)) {
                let ours = (block.cumulative_lost, block.fraction_lost, block.highest_seq, block.jitter);
                prop_assert_eq!(ours, appendix.report());
            }
        }
    }

    // What fuzzing does with a list of operations: whatever comes, the books balance.
    #[test]
    fn any_operations_keep_the_books(
        operations in prop::collection::vec((0..6u8, any::<u16>(), 0..120u64), 0..400),
        listed_max in 1..40u16,
    ) {
        let mut story = Story::new(NackConfig { listed_max, ..NackConfig::default() });
        let (mut ms, mut next) = (0, 0u16);
        for (operation, number, pause) in operations {
            ms += pause;
            let now = story.at(ms);
            match operation {
                0 | 1 => {
                    next = next.wrapping_add(number % 8);
                    story.packet(ms, next);
                }
                2 => { story.packet(ms, number); }
                3 => { story.stream.handle_repair(SeqNo(next.wrapping_sub(number % 16))); }
                4 => story.stream.set_round_trip(MS(number.into())),
                _ => {}
            }
            story.stream.handle_timeout(now);
            if operation > 0 {
                story.asked_within(ms, usize::from(number % 64) + 16);
            }
            prop_assert!(story.stream.poll_timeout().is_none_or(|due| due > now));
            prop_assert!(story.stream.missing() <= usize::from(listed_max));
            prop_assert!(story.stream.settled() <= story.stream.newest().map(|newest| ExtendedSeqNo(newest.0 + 1)));
            prop_assert_eq!(story.stream.missing() == 0, story.stream.poll_timeout().is_none());
        }
        let counters = *story.stream.counters();
        prop_assert!(counters.late + counters.duplicates <= counters.packets);
    }
}
