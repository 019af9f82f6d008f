//! What a controller costs: for each packet that leaves, for each feedback on ten, and each time that it looks at the time.

use std::cell::RefCell;
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

/// A packet each 5 ms, which waits up to 5 ms at random, as feedback does; one of a hundred is lost.
struct Path {
    now: Instant,
    number: u64,
    size: DataSize,
    random: Random,
}

/// Between two packets, in milliseconds.
const GAP: u64 = 5;
/// With full packets, of 1,200 bytes.
const RATE_MAX: Bitrate = Bitrate::from_kbps(1_920);

impl Path {
    fn new(seed: u64) -> Self {
        Self { now: base(), number: 0, size: DataSize::from_bytes(1_200), random: Random::new(seed, 1) }
    }

    /// What leaves from now on is as much as the controller lets.
    fn follow(&mut self, controller: &dyn Controller) {
        self.size = controller.rates().target.data_in(Duration::from_millis(GAP));
    }

    fn packet(&mut self) -> SentPacket {
        self.number += 1;
        self.now += Duration::from_millis(GAP);
        SentPacket {
            number: self.number,
            at: self.now,
            size: self.size,
            untracked: DataSize::ZERO,
            purpose: Purpose::Video,
            probe: None,
            in_flight: DataSize::from_bytes(24_000),
        }
    }

    fn report(&mut self) -> PacketReport {
        let sent = self.packet();
        let arrived = (sent.number * GAP * 1_000) as i64 + i64::from(self.random.below(20)) * 250;
        let arrived = (!sent.number.is_multiple_of(100)).then(|| ArrivalTime::from_micros(arrived));
        PacketReport { sent, arrived, ecn: Ecn::NotEct, is_recovered: false }
    }

    fn reports(&mut self) -> ([PacketReport; 10], Instant) {
        let reports = std::array::from_fn(|_| self.report());
        (reports, self.now + Duration::from_millis(60) + Duration::from_micros(250) * self.random.below(20))
    }
}

fn tell(controller: &mut dyn Controller, reports: &[PacketReport], now: Instant) {
    let round_trip = Some(Duration::from_millis(60));
    let feedback = Feedback { packets: reports, in_flight: DataSize::from_bytes(24_000), round_trip };
    controller.handle_feedback(black_box(&feedback), now);
}

fn started(name: &str, path: &Path) -> Box<dyn Controller> {
    let mut controller = controller(name);
    controller
        .handle_streams(&Streams { start: RATE_MAX, max: RATE_MAX, demand: RATE_MAX, ..Streams::default() }, path.now);
    controller
}

/// One that has been told for a minute.
fn warm(name: &str) -> (Box<dyn Controller>, Path) {
    let mut path = Path::new(1);
    let mut controller = started(name, &path);
    for _ in 0..600 {
        let (reports, now) = path.reports();
        reports.iter().for_each(|report| controller.handle_sent(&report.sent));
        tell(&mut *controller, &reports, now);
        controller.handle_timeout(now);
        while controller.poll_probe().is_some() {}
        path.follow(&*controller);
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
///
/// They have been told for ten seconds: probes have ended, and what they keep is full. Paths differ in what is late and lost,
/// and began one after the other, so that in each turn some look at loss. What leaves is told of before and not counted:
/// that is `sent_1000`. What a feedback says is in the cache, as a history that has just joined it leaves it.
#[divan::bench(args = NAMES, sample_count = 60, sample_size = 1)]
fn feedback_10_to_10000(bencher: Bencher<'_, '_>, name: &str) {
    let mut paths: Vec<_> = (0..10).map(Path::new).collect();
    let controllers = RefCell::new((0..10_000).map(|_| started(name, &paths[0])).collect::<Vec<_>>());
    for turn in 0..200 {
        let paths = &mut paths[..10.min(turn + 1)];
        let told = next_turn(&controllers, paths);
        tell_all(&mut controllers.borrow_mut(), &told);
        controllers.borrow_mut().iter_mut().for_each(|controller| while controller.poll_probe().is_some() {});
    }
    bencher
        .counter(ItemsCount::new(10_000_u64))
        .with_inputs(|| next_turn(&controllers, &mut paths))
        .bench_local_refs(|told| tell_all(&mut controllers.borrow_mut(), told));
}

type Told = ([PacketReport; 10], Instant);

/// Ten packets leave on each path. Every tenth controller is on the same, which follows the first of them.
fn next_turn(controllers: &RefCell<Vec<Box<dyn Controller>>>, paths: &mut [Path]) -> Vec<Told> {
    let mut controllers = controllers.borrow_mut();
    paths.iter_mut().zip(controllers.iter()).for_each(|(path, controller)| path.follow(&**controller));
    let told: Vec<_> = paths.iter_mut().map(Path::reports).collect();
    for controllers in controllers.chunks_mut(10) {
        for (controller, (reports, _)) in controllers.iter_mut().zip(&told) {
            reports.iter().for_each(|report| controller.handle_sent(&report.sent));
        }
    }
    told
}

fn tell_all(controllers: &mut [Box<dyn Controller>], told: &[Told]) {
    for controllers in controllers.chunks_mut(10) {
        for (controller, (reports, now)) in controllers.iter_mut().zip(told) {
            tell(&mut **controller, reports, *now);
        }
    }
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
