use plenary_netsim::base;
use plenary_rtp::{NtpTime, SeqNo};
use plenary_wire::DataSize;
use proptest::prelude::*;

use super::*;
use crate::ConfigError;

const MS: fn(u64) -> Duration = Duration::from_millis;
const SSRC: Ssrc = Ssrc(7);

fn stream() -> SendStream {
    SendStream::new(SendConfig { ssrc: SSRC, clock_rate: ClockRate::VIDEO })
}

fn packet(timestamp: u32, payload_len: usize, sampled_at: Instant) -> SentPacket {
    SentPacket { timestamp: RtpTime(timestamp), payload_len, sampled_at }
}

#[test]
fn a_sender_report_counts_payload_and_tells_the_timestamp_of_its_own_instant() {
    let start = base();
    let clock = NtpClock::new(start, NtpTime(9 << 32));
    let mut stream = stream();
    assert_eq!(stream.sender_report(&clock, start), None, "nothing was sent");
    stream.handle_sent(&packet(u32::MAX, 1000, start));
    stream.handle_sent(&packet(2999, 500, start + MS(33)));
    // The second packet of the frame left later, and padding later still: neither moves the time of the frame.
    stream.handle_sent(&packet(2999, 500, start + MS(40)));
    stream.handle_sent(&packet(2999, 0, start + MS(300)));
    stream.handle_retransmitted(502);
    let report = stream.sender_report(&clock, start + MS(533)).unwrap();
    assert_eq!(report.rtp_timestamp, RtpTime(2999 + 45_000));
    assert_eq!(report.ntp, clock.at(start + MS(533)));
    assert_eq!((report.ssrc, report.packet_count, report.octet_count), (SSRC, 5, 2502));
    assert_eq!((stream.packets(), stream.payload_bytes()), (5, 2502));
}

// Trap: an encoder that begins anew has another timestamp, in half of all cases an older one.
#[test]
fn a_timestamp_that_steps_back_far_is_followed_and_one_of_reordered_frames_is_not() {
    let start = base();
    let clock = NtpClock::new(start, NtpTime(9 << 32));
    let mut stream = stream();
    stream.handle_sent(&packet(1_000_000, 9, start));
    stream.handle_sent(&packet(1_000_000 - 450_000, 9, start + MS(100)));
    assert_eq!(stream.sender_report(&clock, start + MS(200)).unwrap().rtp_timestamp, RtpTime(1_018_000));
    stream.handle_sent(&packet(1_000_000 - 450_001, 9, start + MS(200)));
    assert_eq!(stream.sender_report(&clock, start + MS(300)).unwrap().rtp_timestamp, RtpTime(549_999 + 9000));
}

// RFC 3550 §6.4: an SR if data was sent since the last report or the one before it.
#[test]
fn a_stream_that_is_silent_for_two_intervals_has_no_sender_report() {
    let start = base();
    let clock = NtpClock::new(start, NtpTime(0));
    let mut stream = stream();
    stream.handle_sent(&packet(0, 1, start));
    let reported: Vec<_> = (1..=4).map(|s| stream.sender_report(&clock, start + MS(1000 * s)).is_some()).collect();
    assert_eq!(reported, [true, true, false, false]);
    stream.handle_sent(&packet(450_000, 1, start + MS(5000)));
    assert_eq!(stream.sender_report(&clock, start + MS(5000)).unwrap().rtp_timestamp, RtpTime(450_000));
}

#[test]
fn a_report_block_that_quotes_a_report_of_ours_measures_the_round_trip() {
    let start = base();
    let clock = NtpClock::new(start, NtpTime(9 << 32));
    let mut stream = stream();
    stream.handle_sent(&packet(0, 1, start));
    let report = stream.sender_report(&clock, start).unwrap();
    let block = ReportBlock {
        ssrc: SSRC,
        fraction_lost: 64,
        cumulative_lost: 5,
        highest_seq: 77,
        jitter: 900,
        last_sr: report.ntp.compact(),
        delay_since_last_sr: CompactNtp::from_duration(MS(500)),
    };
    let measured = stream.handle_report_block(&block, &clock, start + MS(580)).unwrap();
    assert!(measured.abs_diff(MS(80)) < Duration::from_micros(50), "{measured:?}");
    let reception = *stream.reception().unwrap();
    assert_eq!((reception.fraction_lost, reception.cumulative_lost, reception.highest_seq), (64, 5, 77));
    assert_eq!((reception.jitter, reception.at), (MS(10), start + MS(580)));

    for unknown in [CompactNtp(0), CompactNtp(block.last_sr.0 ^ 1)] {
        let block = ReportBlock { last_sr: unknown, ..block };
        assert_eq!(stream.handle_report_block(&block, &clock, start + MS(600)), None);
    }
    assert_eq!(stream.reception().unwrap().round_trip, None);
    assert_eq!(stream.handle_report_block(&ReportBlock { ssrc: Ssrc(8), ..block }, &clock, start + MS(700)), None);
    assert_eq!(stream.reception().unwrap().at, start + MS(600), "another stream's");
}

#[test]
fn padding_before_the_first_payload_tells_no_time() {
    let start = base();
    let clock = NtpClock::new(start, NtpTime(9 << 32));
    let mut stream = stream();
    stream.handle_sent(&packet(1_000_000, 0, start));
    assert_eq!(stream.sender_report(&clock, start), None);
    stream.handle_sent(&packet(5, 100, start));
    assert_eq!(stream.sender_report(&clock, start).unwrap().rtp_timestamp, RtpTime(5));
}

// RFC 3550 §6.4.1: an LSR of 0 says that there was no report, even if the clock once shows just that.
#[test]
fn an_lsr_of_zero_quotes_nothing() {
    let start = base();
    let clock = NtpClock::new(start, NtpTime(1 << 60));
    let mut stream = stream();
    stream.handle_sent(&packet(0, 1, start));
    assert_eq!(stream.sender_report(&clock, start).unwrap().ntp.compact(), CompactNtp(0));
    let block = ReportBlock { ssrc: SSRC, ..Default::default() };
    assert_eq!(stream.handle_report_block(&block, &clock, start + MS(500)), None);
}

#[test]
fn reports_older_than_those_known_prove_nothing() {
    let start = base();
    let clock = NtpClock::new(start, NtpTime(9 << 32));
    let mut stream = stream();
    let mut reports = Vec::new();
    for second in 0..=REPORTS_KNOWN as u64 {
        stream.handle_sent(&packet(0, 1, start));
        reports.push(stream.sender_report(&clock, start + MS(1000 * second)).unwrap().ntp.compact());
    }
    let mut quote = |last_sr| {
        let block = ReportBlock { ssrc: SSRC, last_sr, ..Default::default() };
        stream.handle_report_block(&block, &clock, start + MS(9000)).map(|time| time.as_secs())
    };
    assert_eq!([quote(reports[0]), quote(reports[1]), quote(reports[8])], [None, Some(8), Some(1)]);
}

/// A history in virtual time: milliseconds since its start.
struct Story {
    start: Instant,
    history: SendHistory,
}

impl Story {
    fn new(config: HistoryConfig) -> Self {
        let start = base();
        Self { start, history: SendHistory::new(config, start).unwrap() }
    }

    /// Packets of 1000 bytes, whose tokens are their numbers plus a million.
    fn send(&mut self, ms: u64, numbers: impl IntoIterator<Item = u16>) {
        for number in numbers {
            let token = 1_000_000 + u64::from(number);
            self.history.handle_sent(SeqNo(number), token, DataSize::from_bytes(1000), self.start + MS(ms));
        }
    }

    fn nack(&mut self, ms: u64, numbers: impl IntoIterator<Item = u16>) -> Vec<u16> {
        let lost = numbers.into_iter().map(SeqNo);
        let again: Vec<_> = self.history.handle_nack(lost, self.start + MS(ms)).collect();
        for packet in &again {
            assert_eq!(packet.token, 1_000_000 + u64::from(packet.original.0));
            assert_eq!(packet.size, DataSize::from_bytes(1000));
        }
        again.iter().map(|packet| packet.original.0).collect()
    }
}

fn ample() -> HistoryConfig {
    HistoryConfig { budget_max: DataSize::MAX, ..HistoryConfig::default() }
}

#[test]
fn what_was_sent_is_found_over_the_wrap_and_what_was_not_is_refused() {
    let mut story = Story::new(ample());
    assert_eq!(story.nack(0, [1]), [0; 0]);
    story.send(0, [65_533, 65_534, 65_535, 2, 3]);
    assert_eq!(story.nack(1, [65_532, 65_533, 0, 1, 2, 3, 4, 40_000]), [65_533, 2, 3]);
    assert_eq!(story.history.counters().unknown, 6);
    assert_eq!((story.history.len(), story.history.size()), (7, DataSize::from_bytes(5000)));
}

#[test]
fn a_packet_is_not_repeated_twice_within_a_round_trip() {
    let mut story = Story::new(ample());
    story.history.set_round_trip(MS(50));
    story.send(0, [1, 2]);
    assert_eq!(story.nack(0, [1, 1, 2]), [1, 2]);
    assert_eq!(story.nack(49, [1, 2]), [0; 0]);
    assert_eq!(story.nack(50, [1]), [1]);
    assert_eq!(story.nack(60, [1, 2]), [2]);
    assert_eq!(story.history.counters().too_soon, 4);
}

#[test]
fn again_min_holds_where_the_round_trip_is_shorter_or_unknown() {
    let mut story = Story::new(ample());
    story.send(0, [1]);
    let again: Vec<_> = (0..25).filter(|ms| !story.nack(*ms, [1]).is_empty()).collect();
    assert_eq!(again, [0, 10, 20]);
}

#[test]
fn packets_max_size_max_and_age_max_forget_the_oldest() {
    let mut story = Story::new(HistoryConfig { packets_max: 3, ..ample() });
    story.send(0, 1..=5);
    assert_eq!(story.nack(0, 1..=5), [3, 4, 5]);

    let mut story = Story::new(HistoryConfig { size_max: DataSize::from_bytes(2500), ..ample() });
    story.send(0, 1..=5);
    assert_eq!(story.nack(0, 1..=5), [4, 5]);

    let mut story = Story::new(HistoryConfig { age_max: MS(100), ..ample() });
    story.send(0, [1]);
    story.send(60, [2]);
    assert_eq!(story.nack(100, [1, 2]), [1, 2]);
    assert_eq!(story.nack(160, [1, 2]), [2]);
    assert_eq!(story.nack(161, [1, 2]), [0; 0]);
    assert!(story.history.is_empty());
}

#[test]
fn who_is_too_old_is_gone_an_eighth_of_the_age_later() {
    let mut story = Story::new(HistoryConfig { age_max: MS(80), ..ample() });
    let mut longest = 0;
    for number in 0..1000 {
        story.send(number.into(), [number]);
        longest = longest.max(story.history.len());
    }
    assert_eq!(longest, 90, "81 are young enough, and nine more wait");
    story.nack(999, []);
    assert_eq!(story.history.len(), 81);
}

// A hostile peer that asks for everything as often as it may.
#[test]
fn retransmissions_are_held_to_the_budget() {
    let config = HistoryConfig { budget_max: DataSize::from_bytes(10_000), ..HistoryConfig::default() };
    let mut story = Story::new(config);
    let mut repeated = 0;
    for number in 0..1000u16 {
        let ms = u64::from(number) * 10;
        story.send(ms, [number]);
        repeated += story.nack(ms, (0..100).map(|back| number.wrapping_sub(back))).len();
    }
    assert_eq!(repeated, 10 + 500 - 1, "the first packet adds to a full budget");
    assert!(story.history.counters().over_budget > 90_000);
}

// Trap: a forwarder fills a hole late. That must not cost what can be repaired of the rest.
#[test]
fn a_number_that_is_sent_late_fills_its_place() {
    let mut story = Story::new(ample());
    story.send(0, [65_534, 1, 2]);
    story.send(5, [65_535]);
    assert_eq!(story.nack(5, [65_534, 65_535, 0, 1, 2]), [65_534, 65_535, 1, 2]);
    assert_eq!((story.history.len(), story.history.size()), (5, DataSize::from_bytes(4000)));
    // One that is sent again is the later packet, once.
    story.history.handle_sent(SeqNo(1), 7, DataSize::from_bytes(300), story.start + MS(6));
    let again: Vec<_> = story.history.handle_nack([SeqNo(1)], story.start + MS(6)).map(|again| again.token).collect();
    assert_eq!((again, story.history.size()), (vec![7], DataSize::from_bytes(3300)));
    // It is forgotten in its turn, and then it is too late for it.
    story.send(1002, [3]);
    assert_eq!((story.history.len(), story.history.size()), (1, DataSize::from_bytes(1000)));
    story.send(1003, [2]);
    assert_eq!(story.nack(1004, [1, 2, 3]), [3]);
}

#[test]
fn a_number_further_than_packets_max_begins_a_new_history() {
    let mut story = Story::new(ample());
    story.send(0, [2000, 2001, 2001 + 1023]);
    assert_eq!(story.nack(0, [2000, 2001, 3024]), [2001, 3024], "the last beside it");
    story.send(1, [2001]);
    assert_eq!(story.nack(1, [2001]), [2001], "sent again, and no new history");
    assert_eq!(story.history.len(), 1024);
    story.send(1, [2000]);
    assert_eq!(story.nack(20, [2000, 2001, 3024]), [2000]);
    story.send(20, [2000 + 1025]);
    assert_eq!(story.nack(20, [2000, 3025]), [3025]);
}

// Trap: the `now` of a NACK may be read before that of the packets sent while it was on its way through the program.
#[test]
fn a_time_that_goes_back_forgets_nothing() {
    let mut story = Story::new(ample());
    story.send(10, [1, 2]);
    assert_eq!(story.nack(9, [1]), [1]);
    assert_eq!(story.nack(8, [1, 2]), [2], "1 was repeated just now");
}

// Trap: a ring that grows before it forgets takes twice its room.
#[test]
fn a_history_takes_the_memory_that_it_says() {
    let mut story = Story::new(ample());
    story.send(0, 0..3000);
    story.send(0, [3000 + 500, 3500 + 1000]);
    assert_eq!((story.history.len(), story.history.capacity()), (1024, 1024));
}

#[test]
fn retransmissions_and_probes_share_the_numbers_of_the_rtx_stream() {
    let mut story = Story::new(HistoryConfig { rtx_first: SeqNo(65_535), ..ample() });
    story.send(0, [1, 2, 3]);
    let lost = [1, 9, 3].map(SeqNo);
    let numbers: Vec<_> = story.history.handle_nack(lost, story.start).map(|packet| packet.sequence_number.0).collect();
    assert_eq!(numbers, [65_535, 0]);
    assert_eq!(story.history.take_rtx_number(), SeqNo(1));
    // What is not taken has not happened.
    let first = story.history.handle_nack([2, 3].map(SeqNo), story.start + MS(99)).next().unwrap();
    assert_eq!((first.original, first.sequence_number), (SeqNo(2), SeqNo(2)));
    assert_eq!(story.history.counters().retransmitted, 3);
}

#[test]
fn packets_max_has_its_range() {
    for packets_max in [0, 32_768] {
        let refused = SendHistory::new(HistoryConfig { packets_max, ..ample() }, base()).map(|_| ()).unwrap_err();
        assert_eq!(refused, ConfigError::PacketsMax(packets_max));
    }
}

proptest! {
    // Against a list that is searched from its end.
    #[test]
    fn the_history_is_the_last_packets_that_were_sent(
        first: u16,
        steps in prop::collection::vec((1..5u16, 0..40u64), 1..300),
        asked in prop::collection::vec(-400..10i32, 1..50),
    ) {
        let config = HistoryConfig { packets_max: 64, age_max: MS(500), ..ample() };
        let mut story = Story::new(config);
        let mut sent = Vec::new();
        let (mut ms, mut number, mut place) = (0, first, 0u64);
        for (step, pause) in steps {
            number = number.wrapping_add(step);
            place += u64::from(step);
            ms += pause;
            story.send(ms, [number]);
            sent.push((number, place, ms));
        }
        for offset in asked {
            ms += 1;
            let asked = number.wrapping_add(offset as u16);
            let known = sent.iter().any(|(sent, at_place, at)| *sent == asked && ms - at <= 500 && place - at_place < 64);
            // Asked again, it may be too soon.
            let before = story.history.counters().too_soon;
            let found = story.nack(ms, [asked]) == [asked] || story.history.counters().too_soon > before;
            prop_assert_eq!(found, known, "{} of {:?}", asked, &sent);
        }
    }
}
