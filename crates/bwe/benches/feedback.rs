//! What feedback costs: for each packet that is sent, for each message, and for each packet that it is on.

use std::hint::black_box;
use std::time::{Duration, Instant};

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use plenary_bwe::Purpose;
use plenary_bwe::history::{Config, Departure, History};
use plenary_bwe::receiver::{CcfbConfig, CcfbGenerator, Received, TwccConfig, TwccGenerator};
use plenary_netsim::base;
use plenary_rtp::rtcp::{Arrival, ArrivalOffset, Ccfb, CcfbBlock, Metric, Packet, TwccWriter, packets};
use plenary_rtp::{CompactNtp, ExtendedSeqNo, NtpTime, SeqNo, Ssrc};
use plenary_wire::{DataSize, Ecn};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Packets that are sent in each measurement of the send hook.
const COUNT: u64 = 1000;
const INTERVAL: Duration = Duration::from_millis(1);
/// What left waits for its feedback in this many packets: a round trip of 100 ms.
const WAITING: u64 = 100;

/// A sender, and the feedback on what it sends.
struct Path {
    history: History,
    now: Instant,
    seq: u64,
    writer: TwccWriter,
    feedback: Vec<u8>,
}

impl Path {
    fn new() -> Self {
        let history = History::new(Config::default()).expect("sound");
        let writer = TwccWriter::new(Ssrc(1), Ssrc(2));
        let mut path = Self { history, now: base(), seq: 0, writer, feedback: Vec::new() };
        path.send(WAITING, true);
        path
    }

    fn send(&mut self, count: u64, by_stream: bool) {
        for _ in 0..count {
            self.now += INTERVAL;
            let departure = Departure {
                size: DataSize::from_bytes(1200),
                purpose: Purpose::Video,
                probe: None,
                ecn: Ecn::NotEct,
                rtp: by_stream.then_some((Ssrc(7), SeqNo(self.seq as u16))),
            };
            black_box(self.history.handle_sent(black_box(departure), self.now));
            self.seq += 1;
        }
    }

    /// Sends as many, so that the oldest that wait are these; of twenty of them one is lost.
    fn arrivals(&mut self, count: u64) -> Vec<Arrival> {
        self.send(count, true);
        let first = self.seq - WAITING - count;
        let arrived = (first..first + count).filter(|seq| seq % 20 != 9);
        arrived.map(|seq| Arrival { seq: ExtendedSeqNo(seq), at: Duration::from_millis(seq) }).collect()
    }

    fn twcc(mut self, count: u64) -> Self {
        let arrivals = self.arrivals(count);
        let base = ExtendedSeqNo(self.seq - WAITING - count);
        self.writer.write(base, &arrivals, 60_000, &mut self.feedback).expect("in order");
        self
    }

    fn ccfb(mut self, count: u64) -> Self {
        let arrivals = self.arrivals(count);
        let base = self.seq - WAITING - count;
        let mut metrics = vec![Metric::Lost; count as usize];
        for arrival in arrivals {
            let offset = ArrivalOffset::from_ticks(base + count - arrival.seq.0);
            metrics[(arrival.seq.0 - base) as usize] = Metric::Received { ecn: Ecn::NotEct, offset };
        }
        let blocks = [CcfbBlock { ssrc: Ssrc(7), begin_seq: SeqNo(base as u16), metrics: metrics[..].into() }];
        let packet = Ccfb { sender_ssrc: Ssrc(1), blocks: blocks[..].into(), timestamp: CompactNtp(1 << 20) };
        packet.write(&mut self.feedback).expect("small");
        self
    }

    /// Reads and joins.
    fn handle(mut self) -> Self {
        match packets(black_box(&self.feedback)).next() {
            Some(Ok(Packet::Twcc(twcc))) => drop(black_box(self.history.handle_twcc(&twcc, self.now))),
            Some(Ok(Packet::Ccfb(ccfb))) => drop(black_box(self.history.handle_ccfb(&ccfb, self.now))),
            _ => unreachable!("it is one of them"),
        }
        self
    }
}

/// Warm: so much has been told before that nothing grows any more.
fn warm(count: u64) -> Path {
    let mut path = Path::new();
    for _ in 0..3 {
        path = path.twcc(count).handle();
        path.feedback.clear();
    }
    path
}

/// The send hook, as it is with transport-wide feedback, and with RFC 8888's: what is held is let go after 10 s.
#[divan::bench(args = [false, true])]
fn send_1000(bencher: Bencher<'_, '_>, by_stream: bool) {
    let mut path = Path::new();
    path.send(20_000, by_stream);
    bencher.counter(ItemsCount::new(COUNT)).bench_local(|| path.send(COUNT, by_stream));
}

#[divan::bench(args = [10, 100, 1000])]
fn join_twcc(bencher: Bencher<'_, '_>, count: u64) {
    let bencher = bencher.counter(ItemsCount::new(count)).with_inputs(|| warm(count).twcc(count));
    bencher.bench_local_values(Path::handle);
}

#[divan::bench(args = [10, 100, 1000])]
fn join_ccfb(bencher: Bencher<'_, '_>, count: u64) {
    let bencher = bencher.counter(ItemsCount::new(count)).with_inputs(|| warm(count).ccfb(count));
    bencher.bench_local_values(Path::handle);
}

/// Packets that came, 8 each 10 ms, of which one is lost; feedback is written as it is due.
#[divan::bench]
fn generate_twcc_1000(bencher: Bencher<'_, '_>) {
    let mut generator = TwccGenerator::new(TwccConfig::default());
    let (mut now, mut seq, mut out) = (base(), 0_u64, Vec::with_capacity(1500));
    bencher.counter(ItemsCount::new(COUNT)).bench_local(|| {
        for _ in 0..COUNT {
            seq += 1;
            now += if seq.is_multiple_of(8) { 10 * INTERVAL } else { Duration::ZERO };
            if !seq.is_multiple_of(20) {
                generator.handle_packet(Ssrc(7), black_box(SeqNo(seq as u16)), now);
            }
            if generator.poll_timeout().is_some_and(|due| due <= now) {
                out.clear();
                generator.write(now, 1200, &mut out);
            }
        }
    });
}

#[divan::bench]
fn generate_ccfb_1000(bencher: Bencher<'_, '_>) {
    let mut generator = CcfbGenerator::new(CcfbConfig::default());
    let (mut now, mut seq, mut out) = (base(), 0_u64, Vec::with_capacity(1500));
    bencher.counter(ItemsCount::new(COUNT)).bench_local(|| {
        for _ in 0..COUNT {
            seq += 1;
            now += if seq.is_multiple_of(8) { 10 * INTERVAL } else { Duration::ZERO };
            if !seq.is_multiple_of(20) {
                let seq = black_box(SeqNo(seq as u16));
                let packet = Received { ssrc: Ssrc(7), seq, ecn: Ecn::NotEct, marker: seq.0.is_multiple_of(8) };
                generator.handle_packet(&packet, now);
            }
            if generator.poll_timeout().is_some_and(|due| due <= now) {
                out.clear();
                generator.write(now, NtpTime(0), 1200, &mut out);
            }
        }
    });
}
