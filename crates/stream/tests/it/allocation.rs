//! What is promised to allocate nothing is counted.

use std::hint::black_box;
use std::time::{Duration, Instant};

use plenary_netsim::base;
use plenary_rtp::{ClockRate, NtpTime, RtpTime, SeqNo, Ssrc};
use plenary_stream::{
    HistoryConfig, NtpClock, ReceiveConfig, ReceiveStream, ReceivedPacket, ReportWriter, Schedule, ScheduleConfig,
    SendConfig, SendHistory, SendStream, SentPacket,
};
use plenary_wire::DataSize;

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(vec![0u8; 9]))), 1);
}

#[test]
fn a_lossy_stream_is_received_asked_for_and_repaired_without_allocating() {
    let start = base();
    let mut stream = ReceiveStream::new(ReceiveConfig::video(Ssrc(7)), start).unwrap();
    let mut out = Vec::with_capacity(1200);
    let mut second = |from: u32| {
        for place in from..from + 1000 {
            let now = start + Duration::from_millis(place.into());
            let sequence_number = SeqNo(place as u16);
            // A fifth is lost, a half of it repaired, each fiftieth comes late, in bursts too.
            if place % 5 != 0 && place % 50 != 11 {
                let packet = ReceivedPacket { sequence_number, timestamp: RtpTime(place * 90), payload_len: 1 };
                stream.handle_packet(&packet, now);
            }
            match place % 50 {
                40 | 45 => drop(black_box(stream.handle_repair(sequence_number.wrapping_sub(30)))),
                16 => {
                    let sequence_number = sequence_number.wrapping_sub(5);
                    let packet = ReceivedPacket { sequence_number, timestamp: RtpTime(place * 90), payload_len: 1 };
                    stream.handle_packet(&packet, now);
                }
                _ => {}
            }
            stream.handle_timeout(now);
            out.clear();
            while stream.write_nack(Ssrc(1), now, 1200, &mut out).unwrap() {}
        }
        stream.report_block(start + Duration::from_millis((from + 1000).into())).unwrap();
        stream.poll_given_up();
    };
    second(0);
    assert_eq!(allocations(|| (1..100).for_each(|index| second(index * 1000))), 0);
    let counters = stream.counters();
    assert!(counters.repaired > 1000 && counters.given_up > 1000 && counters.late > 1000, "{counters:?}");
}

#[test]
fn a_stream_is_sent_repeated_and_reported_without_allocating() {
    let start = base();
    let clock = NtpClock::new(start, NtpTime(0));
    let mut stream = SendStream::new(SendConfig { ssrc: Ssrc(7), clock_rate: ClockRate::VIDEO });
    let mut history = SendHistory::new(HistoryConfig::default(), start).unwrap();
    let mut schedule = Schedule::new(ScheduleConfig::default(), start).unwrap();
    let mut out = Vec::with_capacity(1200);
    let mut second = |from: u32| {
        for place in from..from + 1000 {
            let now: Instant = start + Duration::from_millis(place.into());
            stream.handle_sent(&SentPacket { timestamp: RtpTime(place * 90), payload_len: 1000, sampled_at: now });
            history.handle_sent(SeqNo(place as u16), place.into(), DataSize::from_bytes(1000), now);
            let lost = [1u16, 50, 700].map(|back| SeqNo((place as u16).wrapping_sub(back)));
            black_box(history.handle_nack(lost, now).count());
            if schedule.poll(now).is_some() {
                out.clear();
                let report = stream.sender_report(&clock, now);
                ReportWriter::new(Ssrc(1), b"name", report.as_slice(), &[]).write(1200, &mut out).unwrap();
                schedule.handle_sent(DataSize::from_bytes(out.len() as u64), now);
            }
        }
    };
    (0..3).for_each(|index| second(index * 1000));
    assert_eq!(allocations(|| (3..20).for_each(|index| second(index * 1000))), 0);
    assert!(history.counters().retransmitted > 1000);
}
