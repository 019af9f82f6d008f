use super::*;
use crate::{ArrivalTime, Branch, PacketReport, ProbeId, Purpose};
use plenary_wire::{DataSize, Ecn};

fn kbps(kbps: u64) -> Bitrate {
    Bitrate::from_kbps(kbps)
}

/// A sender of packets of 1,000 bytes, and a receiver that says what it is told to.
struct Peer {
    gcc: Gcc,
    start: Instant,
    /// In microseconds.
    now: i64,
    number: u64,
    waiting: Vec<PacketReport>,
    fastest: Bitrate,
}

impl Peer {
    fn new(streams: Streams) -> Self {
        let mut gcc = Gcc::default();
        let start = plenary_netsim::base();
        gcc.handle_streams(&streams, start);
        Self { gcc, start, now: 0, number: 0, waiting: Vec::new(), fastest: Bitrate::ZERO }
    }

    fn at(&self, micros: i64) -> Instant {
        self.start + duration(micros)
    }

    fn target(&self) -> Bitrate {
        self.gcc.rates().target
    }

    /// Sends at `kbps`, or at the target if that is less, with feedback each 100 ms of what arrives 50 ms later, or when
    /// `arrival` says.
    fn run(&mut self, ms: i64, kbps: u64, arrival: impl Fn(i64) -> Option<i64>) {
        let end = self.now + ms * 1_000;
        let mut report_at = self.now + 100_000;
        while self.now < end {
            let rate = self.target().min(Bitrate::from_kbps(kbps)).max(Bitrate::from_kbps(1));
            let next = self.now + (8_000_000_000 / rate.as_bps()) as i64;
            while report_at < next && report_at <= end {
                self.now = report_at;
                self.report();
                report_at += 100_000;
            }
            self.now = next;
            self.send(None, arrival(next));
        }
    }

    fn send(&mut self, probe: Option<ProbeId>, arrival: Option<i64>) {
        let size = DataSize::from_bytes(1_000);
        let sent = SentPacket {
            number: self.number,
            at: self.at(self.now),
            size,
            untracked: DataSize::ZERO,
            purpose: Purpose::Video,
            probe,
            in_flight: size,
        };
        self.number += 1;
        self.gcc.handle_sent(&sent);
        let arrived = arrival.map(ArrivalTime::from_micros);
        self.waiting.push(PacketReport { sent, arrived, ecn: Ecn::NotEct, is_recovered: false });
    }

    fn report(&mut self) {
        let now = self.at(self.now);
        self.gcc.handle_timeout(now);
        let packets = std::mem::take(&mut self.waiting);
        if !packets.is_empty() {
            let feedback = Feedback { packets: &packets, in_flight: DataSize::ZERO, round_trip: None };
            self.gcc.handle_feedback(&feedback, now);
        }
        self.fastest = self.fastest.max(self.target());
    }

    /// Sends what is to be probed, 20 ms from now on, arriving as it left.
    fn probe(&mut self) -> Vec<u64> {
        let clusters: Vec<_> = std::iter::from_fn(|| self.gcc.poll_probe()).collect();
        for cluster in &clusters {
            for _ in 0..cluster.rate.data_in(cluster.duration).as_bytes() / 1_000 + 5 {
                self.now += (8_000_000_000 / cluster.rate.as_bps()) as i64;
                self.send(Some(cluster.id), Some(self.now + 50_000));
            }
        }
        self.now += 80_000;
        self.report();
        clusters.iter().map(|cluster| cluster.rate.as_bps() / 1_000).collect()
    }
}

const HONEST: fn(i64) -> Option<i64> = |now| Some(now + 50_000);

#[test]
fn it_begins_at_the_start_within_the_limits() {
    assert_eq!(Gcc::default().rates().target, kbps(300));
    assert_eq!(Gcc::default().poll_timeout(), None);
    let peer = Peer::new(Streams { start: kbps(500), max: kbps(400), ..Streams::default() });
    let rates = peer.gcc.rates();
    assert_eq!((rates.target, rates.pacing, rates.padding), (kbps(400), kbps(1_000), Bitrate::ZERO));
    assert_eq!(peer.gcc.explain().cause, Cause::Streams);
    assert_eq!(peer.gcc.poll_timeout(), Some(peer.at(100_000)));
}

#[test]
fn probes_raise_the_target_and_say_so() {
    let mut peer = Peer::new(Streams { demand: kbps(2_500), ..Streams::default() });
    assert_eq!(peer.probe(), [900, 1_800]);
    let why = peer.gcc.explain();
    assert_eq!((why.cause, why.from), (Cause::Probe(ProbeId(1)), kbps(300)));
    assert!((kbps(1_700)..=kbps(1_801)).contains(&why.to), "{}", why.to);
    assert_eq!(why.evidence.packets, Some((0, peer.number - 1)));
    // Packets that have arrived are paced closer to the target.
    assert_eq!(peer.gcc.rates().pacing, scaled(why.to, 1.1));
    assert_eq!(peer.probe().len(), 1);
}

#[test]
fn sound_alone_proves_little_and_video_is_probed_for() {
    let sound = Streams { demand: kbps(40), ..Streams::default() };
    let mut peer = Peer::new(sound);
    peer.run(60_000, 40, HONEST);
    assert_eq!((peer.gcc.poll_probe(), peer.target(), peer.fastest), (None, kbps(300), kbps(300)));
    let now = peer.at(peer.now);
    peer.gcc.handle_streams(&Streams { demand: kbps(2_500), ..sound }, now);
    let from = peer.now;
    let mut probed = Vec::new();
    while peer.target() < kbps(2_300) && probed.len() < 9 {
        probed.extend(peer.probe());
    }
    assert!(peer.now - from < 1_000_000, "{} us: {probed:?}", peer.now - from);
}

#[test]
fn who_sends_nothing_is_probed_for_too() {
    let mut peer = Peer::new(Streams { demand: kbps(200), ..Streams::default() });
    peer.run(1_000, 200, HONEST);
    // All is paused, and nothing leaves, until there is a rate for it.
    let streams = Streams { demand: kbps(3_000), ..Streams::default() };
    peer.gcc.handle_streams(&streams, peer.at(peer.now));
    let mut probed = false;
    for _ in 0..280 {
        peer.now += 25_000;
        peer.gcc.handle_timeout(peer.at(peer.now));
        probed |= peer.gcc.poll_probe().is_some();
    }
    assert!(probed);
}

#[test]
fn the_target_stays_below_one_and_a_half_of_what_is_sent() {
    let mut peer = Peer::new(Streams { max: Bitrate::from_mbps(100), start: kbps(100), ..Streams::default() });
    peer.run(120_000, 200, HONEST);
    // And 10 kbit/s.
    assert!(peer.fastest > kbps(290) && peer.fastest <= kbps(311), "{}", peer.fastest);
}

#[test]
fn arrivals_that_are_made_up_prove_nothing() {
    let lies: [fn(i64) -> Option<i64>; 6] = [
        |_| Some(0),
        |now| Some(-now),
        |now| Some(now / 100),
        |now| Some(if now / 100_000 % 2 == 0 { i64::MAX } else { i64::MIN }),
        |now| Some(now * 1_000),
        |now| (now / 1_000_000 % 3 > 0).then_some(now % 7_919),
    ];
    for (index, lie) in lies.into_iter().enumerate() {
        let mut peer = Peer::new(Streams { max: Bitrate::from_mbps(100), ..Streams::default() });
        peer.run(60_000, 200, lie);
        // Of a half second 13 packets, 208 kbit/s.
        assert!(peer.fastest <= kbps(416), "{index}: {}", peer.fastest);
        assert!(peer.target() >= kbps(10));
    }
}

#[test]
fn probes_that_are_said_to_arrive_faster_show_nothing() {
    let mut peer = Peer::new(Streams { demand: kbps(10_000), ..Streams::default() });
    let cluster = peer.gcc.poll_probe().unwrap();
    for packet in 0..20 {
        peer.now += (8_000_000_000 / cluster.rate.as_bps()) as i64;
        peer.send(Some(cluster.id), Some(packet));
    }
    peer.now += 100_000;
    peer.report();
    // The least step up.
    assert_eq!(peer.target(), kbps(301));
}

#[test]
fn a_slow_probe_does_not_lower_it_below_what_arrives() {
    let mut peer = Peer::new(Streams { start: kbps(1_000), ..Streams::default() });
    peer.run(5_000, 1_000, HONEST);
    let (rate, duration) = (kbps(2_000), Duration::from_millis(15));
    let id = ProbeId(9);
    peer.gcc.probe_estimator.expect(&ProbeCluster { id, rate, duration, packets_min: 5, interval: duration });
    let from = peer.now;
    for packet in 0..6 {
        peer.now = from + packet * 4_000;
        peer.send(Some(id), Some(from + 50_000 + packet * 40_000));
    }
    peer.now = from + 400_000;
    peer.report();
    assert_eq!(peer.gcc.explain().cause, Cause::Probe(id));
    // The probe shows 190 kbit/s.
    let acknowledged = peer.gcc.acknowledged().unwrap();
    assert!(acknowledged > kbps(800), "{acknowledged}");
    assert_eq!(peer.target(), scaled(acknowledged, 0.85));
}

#[test]
fn who_sends_too_little_for_it_to_rise_is_probed_for() {
    let mut peer = Peer::new(Streams { demand: kbps(3_000), ..Streams::default() });
    while peer.gcc.poll_probe().is_some() {}
    peer.run(30_000, 600, HONEST);
    // Two thirds of the target are sent: the application is not the limit, but the target does not rise.
    assert!((kbps(895)..=kbps(925)).contains(&peer.target()), "{}", peer.target());
    assert_eq!(peer.gcc.application_limit.since(), None);
    assert!(peer.gcc.poll_probe().is_some_and(|cluster| cluster.rate > kbps(1_700)));
}

#[test]
fn a_large_fall_that_ends_is_probed_for() {
    let mut peer = Peer::new(Streams { start: kbps(1_000), demand: kbps(2_000), ..Streams::default() });
    while peer.gcc.poll_probe().is_some() {}
    peer.run(3_000, 300, HONEST);
    let before = peer.target();
    // A queue comes, and goes.
    let from = peer.now;
    peer.run(800, 300, |now| Some(now + 50_000 + (now - from) / 2));
    assert!(peer.target() < scaled(before, 0.6), "{}", peer.target());
    let (from, queue) = (peer.now, (peer.now - from) / 2);
    peer.run(3_200, 300, |now| Some(now + 50_000 + (queue - (now - from) / 2).max(0)));
    let probed = peer.gcc.poll_probe().map(|cluster| cluster.rate);
    assert_eq!(probed, Some(scaled(before, 0.85)));
}

#[test]
fn the_receivers_limit_holds_until_it_is_lifted() {
    let mut peer = Peer::new(Streams::default());
    peer.run(5_000, 1_000, HONEST);
    let before = peer.target();
    peer.gcc.handle_remote_limit(Some(kbps(150)), peer.at(peer.now));
    let why = peer.gcc.explain();
    assert_eq!((why.cause, why.from, why.to), (Cause::RemoteLimit, before, kbps(150)));
    peer.gcc.handle_remote_limit(None, peer.at(peer.now));
    assert_eq!(peer.target(), before);
}

#[test]
fn without_feedback_reports_of_loss_move_it() {
    let mut peer = Peer::new(Streams::default());
    for second in 1..=20 {
        for _ in 0..40 {
            peer.now = second * 1_000_000;
            peer.send(None, None);
        }
        peer.waiting.clear();
        peer.gcc.handle_remote_limit(Some(kbps(5_000)), peer.at(peer.now));
        peer.gcc.handle_loss(0, 40, peer.at(peer.now));
    }
    // 320 kbit/s leave, in one half second: 640 of it.
    assert_eq!(peer.target(), kbps(1_280));
    peer.gcc.handle_loss(20, 40, peer.at(peer.now));
    assert_eq!((peer.target(), peer.gcc.explain().cause), (kbps(960), Cause::Loss));
}

#[test]
fn silence_lowers_it() {
    let mut peer = Peer::new(Streams::default());
    peer.run(1_000, 300, HONEST);
    let before = peer.target();
    for _ in 0..200 {
        peer.now += 25_000;
        peer.send(None, None);
        peer.gcc.handle_timeout(peer.at(peer.now));
    }
    assert!(peer.target() < scaled(before, 0.7), "{}", peer.target());
    assert_eq!(peer.gcc.explain().cause, Cause::Silence);
}

#[test]
fn another_route_begins_anew() {
    let mut peer = Peer::new(Streams { demand: kbps(1_000), ..Streams::default() });
    peer.probe();
    peer.run(3_000, 200, HONEST);
    peer.gcc.handle_route_change(&Route { id: 1, known: None }, peer.at(peer.now));
    // No more than what arrived on the old one.
    let why = peer.gcc.explain();
    assert_eq!(why.cause, Cause::Route);
    assert!((kbps(190)..kbps(300)).contains(&why.to), "{}", why.to);
    assert_eq!(peer.gcc.poll_probe().map(|cluster| cluster.rate), Some(scaled(why.to, 3.0)));
    peer.gcc.handle_route_change(&Route { id: 2, known: Some(kbps(700)) }, peer.at(peer.now));
    assert_eq!((peer.target(), peer.gcc.acknowledged()), (kbps(700), None));
}

#[test]
fn the_window_drops_frames_lowers_or_stops() {
    let run = |beyond| {
        let window = WindowConfig { beyond, ..WindowConfig::default() };
        let mut gcc = Gcc::new(GccConfig { window, ..GccConfig::default() });
        let mut peer = Peer::new(Streams::default());
        std::mem::swap(&mut peer.gcc, &mut gcc);
        peer.gcc.handle_streams(&Streams::default(), peer.at(0));
        peer.run(2_000, 300, HONEST);
        let before = peer.target();
        let size = DataSize::from_bytes(1_000_000);
        let (at, untracked, purpose) = (peer.at(peer.now), DataSize::ZERO, Purpose::Video);
        let number = peer.number;
        let sent = SentPacket { number, at, size, untracked, purpose, probe: None, in_flight: size };
        peer.gcc.handle_sent(&sent);
        let lowered = peer.target() == scaled(before, 0.9);
        ((peer.gcc.excess() * 100.0) as u32, lowered, peer.gcc.rates().window.is_some())
    };
    assert_eq!(run(Beyond::Ignore), (0, false, false));
    assert_eq!(run(Beyond::DropFrames), (10, false, false));
    assert_eq!(run(Beyond::Lower), (0, true, false));
    assert_eq!(run(Beyond::Stop), (0, false, true));
}

#[test]
fn it_goes_the_same_way_from_a_snapshot() {
    let mut peer = Peer::new(Streams { demand: kbps(2_500), ..Streams::default() });
    peer.run(5_000, 2_000, HONEST);
    let snapshot = peer.gcc.snapshot();
    let (now, number) = (peer.now, peer.number);
    let mut run = || {
        (peer.now, peer.number) = (now, number);
        peer.waiting.clear();
        peer.run(20_000, 2_000, |now| Some(now + 50_000 + now % 3_001 * 9));
        (peer.target(), peer.gcc.explain(), format!("{:?}", peer.gcc.target))
    };
    let first = run();
    peer.gcc.restore(&snapshot).unwrap();
    let (now, number) = (now, number);
    (peer.now, peer.number) = (now, number);
    peer.waiting.clear();
    peer.run(20_000, 2_000, |now| Some(now + 50_000 + now % 3_001 * 9));
    assert_eq!(first, (peer.target(), peer.gcc.explain(), format!("{:?}", peer.gcc.target)));
}
