#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use plenary_netsim::base;
use plenary_rtp::rtcp::{ReportBlock, SenderReport};
use plenary_rtp::{ClockRate, CompactNtp, ExtendedSeqNo, NtpTime, RtpTime, SeqNo, Ssrc};
use plenary_stream::{
    HistoryConfig, NackConfig, NtpClock, ReceiveConfig, ReceiveStream, ReceivedPacket, SendConfig, SendHistory,
    SendStream, SentPacket,
};
use plenary_wire::DataSize;

const LISTED_MAX: u16 = 100;

// Operations of five bytes in any order, at any pace: the books of a receiver and of a sender balance.
fuzz_target!(|bytes: &[u8]| {
    let mut now = base();
    let clock = NtpClock::new(now, NtpTime(1 << 40));
    let nack = NackConfig { listed_max: LISTED_MAX, ..NackConfig::default() };
    let config = ReceiveConfig { nack: Some(nack), misorder_max: 256, ..ReceiveConfig::video(Ssrc(7)) };
    let mut received = ReceiveStream::new(config, now).expect("sound");
    let mut sent = SendStream::new(SendConfig { ssrc: Ssrc(7), clock_rate: ClockRate::VIDEO });
    let history = HistoryConfig { packets_max: 300, ..HistoryConfig::default() };
    let (budget_max, mut first_sent) = (history.budget_max.as_bytes(), 0);
    let mut history = SendHistory::new(history, now).expect("sound");
    let (mut next, mut settled, mut out) = (SeqNo(0), ExtendedSeqNo(0), Vec::new());

    for &[operation, high, low, pause, more] in bytes.as_chunks().0 {
        let value = u16::from_be_bytes([high, low]);
        now += Duration::from_micros(u64::from(pause) * u64::from(pause) * 10);
        let timestamp = RtpTime(u32::from(value) << (more % 17));
        match operation % 10 {
            0 | 1 => {
                next = next.wrapping_add(value % 12);
                let packet = ReceivedPacket { sequence_number: next, timestamp, payload_len: more.into() };
                received.handle_packet(&packet, now);
            }
            2 => {
                let packet = ReceivedPacket { sequence_number: SeqNo(value), timestamp, payload_len: more.into() };
                received.handle_packet(&packet, now);
            }
            3 => drop(received.handle_repair(next.wrapping_sub(value % 300))),
            4 => received.set_round_trip(Duration::from_millis(value.into())),
            5 => received.handle_key_frame(ExtendedSeqNo(settled.0 + u64::from(more))),
            6 => {
                let ntp = NtpTime(u64::from(value) << 24);
                received.handle_sender_report(&SenderReport { ssrc: Ssrc(7), ntp, ..Default::default() }, now);
                if let Some(block) = received.report_block(now) {
                    assert!((-0x80_0000..=0x7f_ffff).contains(&block.cumulative_lost));
                    let last_sr = sent.sender_report(&clock, now).map_or(CompactNtp(1), |report| report.ntp.compact());
                    let delay_since_last_sr = CompactNtp(u32::from(value) << (more % 17));
                    sent.handle_report_block(&ReportBlock { last_sr, delay_since_last_sr, ..block }, &clock, now);
                }
            }
            7 => {
                sent.handle_sent(&SentPacket { timestamp, payload_len: more.into(), sampled_at: now });
                let size = u64::from(more) + 1;
                first_sent += size;
                history.handle_sent(SeqNo(value), value.into(), DataSize::from_bytes(size), now);
            }
            8 => {
                let lost = (0..u16::from(more)).map(|step| SeqNo(value).wrapping_add(step));
                for again in history.handle_nack(lost, now) {
                    assert_eq!(again.token, u64::from(again.original.0));
                }
            }
            _ => {
                out.clear();
                while received.write_nack(Ssrc(1), now, 16 + usize::from(more), &mut out).expect("room for one") {}
                assert!(!received.has_nack(now));
            }
        }
        received.handle_timeout(now);
        assert!(received.poll_timeout().is_none_or(|due| due > now));
        assert!(received.missing() <= usize::from(LISTED_MAX));
        let so_far = received.settled().unwrap_or_default();
        assert!(so_far >= settled);
        settled = so_far;
        assert!(history.len() <= 300);
    }
    assert!(history.counters().retransmitted <= budget_max + first_sent / 2);
});
