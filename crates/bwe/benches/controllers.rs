//! What a controller costs: for each packet that leaves, for each feedback on ten, and each time that it looks at the time.

use std::time::{Duration, Instant};

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use plenary_bwe::{ArrivalTime, Controller, Feedback, Gcc, Nada, PacketReport, Purpose, Scream, SentPacket, Streams};
use plenary_netsim::{Random, base};
use plenary_wire::{Bitrate, DataSize, Ecn};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const NAMES: [&str; 3] = ["gcc", "nada", "scream"];

fn controller(name: &str) -> Box<dyn Controller> {
    match name {
        "gcc" => Box::new(Gcc::default()),
        "nada" => Box::new(Nada::default()),
        _ => Box::new(Scream::default()),
    }
}

/// Packets of 1,200 bytes, which wait up to 5 ms at random; one of a hundred is lost.
struct Path {
    /// Between two of them, in milliseconds.
    gap: u64,
    now: Instant,
    number: u64,
    random: Random,
}

impl Path {
    fn new(gap: u64) -> Self {
        Self { gap, now: base(), number: 0, random: Random::new(1, 1) }
    }

    fn packet(&mut self) -> SentPacket {
        self.number += 1;
        self.now += Duration::from_millis(self.gap);
        let size = DataSize::from_bytes(1_200);
        SentPacket {
            number: self.number,
            at: self.now,
            size,
            untracked: DataSize::ZERO,
            purpose: Purpose::Video,
            probe: None,
            in_flight: DataSize::from_bytes(24_000),
        }
    }

    fn report(&mut self) -> PacketReport {
        let sent = self.packet();
        let arrived = (sent.number * self.gap * 1_000) as i64 + i64::from(self.random.below(20)) * 250;
        let arrived = (!sent.number.is_multiple_of(100)).then(|| ArrivalTime::from_micros(arrived));
        PacketReport { sent, arrived, ecn: Ecn::NotEct, is_recovered: false }
    }

    fn reports(&mut self) -> ([PacketReport; 10], Instant) {
        let reports = std::array::from_fn(|_| self.report());
        (reports, self.now + Duration::from_millis(60))
    }
}

fn tell(controller: &mut dyn Controller, reports: &[PacketReport], now: Instant) {
    let round_trip = Some(Duration::from_millis(60));
    let feedback = Feedback { packets: reports, in_flight: DataSize::from_bytes(24_000), round_trip };
    controller.handle_feedback(black_box(&feedback), now);
}

/// One that has been told for a minute.
fn warm(name: &str) -> (Box<dyn Controller>, Path) {
    let (mut controller, mut path) = (controller(name), Path::new(10));
    let streams = Streams { max: Bitrate::from_kbps(2_500), ..Streams::default() };
    controller.handle_streams(&streams, path.now);
    for _ in 0..600 {
        let (reports, now) = path.reports();
        reports.iter().for_each(|report| controller.handle_sent(&report.sent));
        tell(&mut *controller, &reports, now);
        controller.handle_timeout(now);
    }
    (controller, path)
}

#[divan::bench(args = NAMES)]
fn feedback_10(bencher: Bencher<'_, '_>, name: &str) {
    let (mut controller, mut path) = warm(name);
    bencher.with_inputs(|| path.reports()).bench_local_values(|(reports, now)| {
        tell(&mut *controller, &reports, now);
    });
}

/// Ten thousand of them, each told in its turn, twenty times in a second: what they know is no more in any cache.
#[divan::bench(args = NAMES, sample_count = 20, sample_size = 1)]
fn feedback_10_to_10000(bencher: Bencher<'_, '_>, name: &str) {
    const CONTROLLERS: usize = 10_000;
    let mut controllers: Vec<_> = (0..CONTROLLERS).map(|_| controller(name)).collect();
    let mut path = Path::new(5);
    for _ in 0..100 {
        let (reports, now) = path.reports();
        controllers.iter_mut().for_each(|controller| tell(&mut **controller, &reports, now));
    }
    bencher.counter(ItemsCount::new(CONTROLLERS)).with_inputs(|| path.reports()).bench_local_values(
        |(reports, now)| {
            controllers.iter_mut().for_each(|controller| tell(&mut **controller, &reports, now));
        },
    );
}

#[divan::bench(args = NAMES)]
fn sent_1000(bencher: Bencher<'_, '_>, name: &str) {
    let (mut controller, mut path) = warm(name);
    let packets = || (0..1_000).map(|_| path.packet()).collect::<Vec<_>>();
    bencher.counter(ItemsCount::new(1_000_u64)).with_inputs(packets).bench_local_refs(|packets| {
        packets.iter().for_each(|packet| controller.handle_sent(black_box(packet)));
    });
}

#[divan::bench(args = NAMES)]
fn timeout(bencher: Bencher<'_, '_>, name: &str) {
    let (mut controller, path) = warm(name);
    let mut now = path.now;
    bencher.bench_local(|| {
        now += Duration::from_millis(25);
        controller.handle_timeout(black_box(now));
    });
}
