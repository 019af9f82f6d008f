//! What each packet costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use divan::{AllocProfiler, Bencher};
use plenary_netsim::base;
use plenary_rtp::rtcp::{NackWriter, Packet, packets};
use plenary_rtp::{ClockRate, RtpTime, SeqNo, Ssrc};
use plenary_stream::{
    HistoryConfig, NackConfig, ReceiveConfig, ReceiveStream, ReceivedPacket, SendConfig, SendHistory, SendStream,
    SentPacket,
};
use plenary_wire::DataSize;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Packets of each measurement: its time is that of a thousand.
const COUNT: u16 = 1000;
const INTERVAL: Duration = Duration::from_micros(500);

struct Source {
    now: Instant,
    number: SeqNo,
}

impl Source {
    fn next(&mut self) -> ReceivedPacket {
        self.now += INTERVAL;
        self.number = self.number.wrapping_add(1);
        let timestamp = RtpTime(u32::from(self.number.0 / 8) * 3000);
        ReceivedPacket { sequence_number: self.number, timestamp, payload_len: 1188 }
    }
}

fn stream() -> (ReceiveStream, Source) {
    let start = base();
    let stream = ReceiveStream::new(ReceiveConfig::video(Ssrc(7)), start).expect("sound");
    (stream, Source { now: start, number: SeqNo(60_000) })
}

#[divan::bench]
fn receive_1000_in_order(bencher: Bencher<'_, '_>) {
    let (mut stream, mut source) = stream();
    bencher.bench_local(|| {
        for _ in 0..COUNT {
            let packet = source.next();
            black_box(stream.handle_packet(black_box(&packet), source.now));
        }
        stream.poll_timeout()
    });
}

/// Each twentieth is lost, asked for in NACKs as they are due, and repaired 50 packets later.
#[divan::bench]
fn receive_1000_with_5_percent_repaired(bencher: Bencher<'_, '_>) {
    let (mut stream, mut source) = stream();
    let mut out = Vec::with_capacity(1200);
    bencher.bench_local(|| {
        for _ in 0..COUNT {
            let packet = source.next();
            if source.number.0 % 20 != 7 {
                black_box(stream.handle_packet(black_box(&packet), source.now));
            }
            let repaired = source.number.wrapping_sub(50);
            if repaired.0 % 20 == 7 {
                black_box(stream.handle_repair(repaired));
            }
            if stream.poll_timeout().is_some_and(|due| due <= source.now) {
                stream.handle_timeout(source.now);
                out.clear();
                while stream.write_nack(Ssrc(1), source.now, 1200, &mut out) == Ok(true) {}
            }
        }
    });
}

/// One NACK for 100 missing of 200 packets, with the listing and the giving up.
#[divan::bench]
fn list_and_ask_for_100(bencher: Bencher<'_, '_>) {
    let start = base();
    let nack = NackConfig { interval_min: Duration::ZERO, ..NackConfig::default() };
    let config = ReceiveConfig { nack: Some(nack), ..ReceiveConfig::video(Ssrc(7)) };
    let mut stream = ReceiveStream::new(config, start).expect("sound");
    let mut source = Source { now: start, number: SeqNo(0) };
    let mut out = Vec::with_capacity(1200);
    bencher.bench_local(|| {
        source.now += Duration::from_secs(1);
        stream.handle_timeout(source.now);
        for _ in 0..100 {
            source.next();
            let packet = source.next();
            stream.handle_packet(&packet, source.now);
        }
        out.clear();
        stream.write_nack(Ssrc(1), source.now, 1200, &mut out)
    });
}

#[divan::bench]
fn send_1000(bencher: Bencher<'_, '_>) {
    let start = base();
    let mut source = Source { now: start, number: SeqNo(60_000) };
    let mut stream = SendStream::new(SendConfig { ssrc: Ssrc(7), clock_rate: ClockRate::VIDEO });
    let mut history = SendHistory::new(HistoryConfig::default(), start).expect("sound");
    bencher.bench_local(|| {
        for _ in 0..COUNT {
            let packet = source.next();
            let ReceivedPacket { sequence_number, timestamp, payload_len } = black_box(packet);
            stream.handle_sent(&SentPacket { timestamp, payload_len, sampled_at: source.now });
            history.handle_sent(sequence_number, u64::from(sequence_number.0), DataSize::from_bytes(1216), source.now);
        }
    });
}

#[divan::bench]
fn answer_nack_of_40(bencher: Bencher<'_, '_>) {
    let start = base();
    let config = HistoryConfig { budget_max: DataSize::MAX, age_max: Duration::MAX, ..HistoryConfig::default() };
    let mut history = SendHistory::new(config, start).expect("sound");
    for number in 0..1000 {
        history.handle_sent(SeqNo(number), number.into(), DataSize::from_bytes(1), start);
    }
    let mut nack = Vec::new();
    let lost = (0..40).map(|index| SeqNo(index * 7));
    NackWriter::new(Ssrc(1), Ssrc(7), lost).write(1200, &mut nack).expect("it fits");
    let mut now = start;
    bencher.bench_local(|| {
        now += Duration::from_millis(10);
        let Some(Ok(Packet::Nack(nack))) = packets(black_box(&nack)).next() else { return 0 };
        history.handle_nack(nack.lost(), now).map(|packet| packet.token).sum()
    });
}
