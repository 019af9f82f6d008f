//! Cross traffic, alone and against each other.

use std::net::IpAddr;
use std::time::Duration;

use plenary_netsim::{
    Aqm, Cbr, CoDel, Congestion, DropReason, DualPi2, LinkConfig, LinkId, LinkLog, Network, NodeId, OnOff, Probability,
    QueueLimit, RateSchedule, ShortTcp, SiteConfig, SiteId, Tcp, Traffic, TrafficId,
};
use plenary_wire::{Bitrate, DataSize, Ecn};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Senders behind one bottleneck, each with a receiver of its own in the internet.
struct Dumbbell {
    network: Network,
    site: SiteId,
    bottleneck: LinkId,
    hosts: u8,
}

impl Dumbbell {
    /// 50 ms there, none back.
    fn new(rate: Bitrate, (queue, aqm): (QueueLimit, Aqm)) -> Self {
        let mut network = Network::new(7);
        let up = LinkConfig { rate: rate.into(), queue, aqm, ..LinkConfig::delay(ms(50)) };
        let site = network.add_site(SiteId::INTERNET, SiteConfig { up, ..SiteConfig::default() });
        let (bottleneck, _) = network.site_links(site);
        network.log_link(bottleneck, 10_000_000);
        Self { network, site, bottleneck, hosts: 0 }
    }

    fn pair(&mut self) -> [NodeId; 2] {
        self.hosts += 1;
        let from = self.network.add_host(self.site, &[IpAddr::from([10, 0, 0, self.hosts])]);
        let to = self.network.add_host(SiteId::INTERNET, &[IpAddr::from([192, 0, 2, self.hosts])]);
        [from, to]
    }

    fn add(&mut self, traffic: Traffic, until: Duration) -> TrafficId {
        let pair = self.pair();
        self.network.add_traffic(pair, traffic, ms(0)..until)
    }

    /// Runs until then: how many kb/s of payload have arrived of each source since `from`, and what the bottleneck did.
    fn rates(&mut self, sources: &[TrafficId], from: Duration, until: Duration) -> (Vec<u64>, LinkLog) {
        assert_eq!(self.network.poll(from), None);
        let received = |network: &Network| {
            let of = |source: &TrafficId| network.traffic_counters(*source).received.as_bytes();
            sources.iter().map(of).collect::<Vec<_>>()
        };
        let before = received(&self.network);
        self.network.take_link_log(self.bottleneck);
        assert_eq!(self.network.poll(until), None);
        let after = received(&self.network);
        let time = (until - from).as_millis() as u64;
        let rates = before.iter().zip(after).map(|(before, after)| (after - before) * 8 / time).collect();
        (rates, self.network.take_link_log(self.bottleneck))
    }

    /// Long flows of these kinds from the start, and what they do from second 20 to second 80.
    fn long(&mut self, kinds: &[Tcp]) -> (Vec<u64>, LinkLog) {
        let sources: Vec<_> = kinds.iter().map(|tcp| self.add(Traffic::LongTcp(*tcp), s(80))).collect();
        self.rates(&sources, s(20), s(80))
    }
}

const NEW_RENO: Tcp = Tcp { congestion: Congestion::NewReno, ecn: false, window: DataSize::from_bytes(4 << 20) };
const CUBIC: Tcp = Tcp { congestion: Congestion::Cubic, ..NEW_RENO };
const DCTCP: Tcp = Tcp { congestion: Congestion::Dctcp, ..NEW_RENO };
const DROP_TAIL: (QueueLimit, Aqm) = (QueueLimit::ms(300), Aqm::DropTail);

fn codel() -> (QueueLimit, Aqm) {
    (QueueLimit::ms(300), Aqm::CoDel(CoDel::default()))
}

fn dualpi2() -> (QueueLimit, Aqm) {
    (QueueLimit::ms(300), Aqm::DualPi2(DualPi2::default()))
}

/// The delays of 50, 95 and 99 of 100 packets.
fn delays(log: &LinkLog) -> [Duration; 3] {
    [50, 95, 99].map(|percent| log.queue_delay(Probability::from_percent(percent)).expect("packets have passed"))
}

#[test]
fn a_long_flow_fills_the_link_and_its_queue() {
    // 1240 bytes for each 1200: 1935 kb/s of 2 Mb/s.
    for (tcp, queue) in [(NEW_RENO, 300), (CUBIC, 300), (NEW_RENO, 1_000), (CUBIC, 1_000)] {
        let mut bell = Dumbbell::new(Bitrate::from_mbps(2), (QueueLimit::ms(queue), Aqm::DropTail));
        // NewReno takes 80 s to fill a second of queue again.
        let source = bell.add(Traffic::LongTcp(tcp), s(120));
        let (rates, log) = bell.rates(&[source], s(20), s(120));
        assert!((1_900..=1_936).contains(&rates[0]), "{tcp:?}: {rates:?} kb/s");
        let full = ms(queue - 5);
        assert!(log.records.iter().any(|record| record.waited > full), "{tcp:?} never fills {queue} ms");
    }
}

/// Its window holds what 20 Mb/s and a second of queue have on the way: 2.75 MB.
#[test]
fn a_long_flow_is_not_held_back_by_its_window() {
    let mut bell = Dumbbell::new(Bitrate::from_mbps(20), (QueueLimit::ms(1_000), Aqm::DropTail));
    let (rates, log) = bell.long(&[CUBIC]);
    assert!(rates[0] > 19_300 && delays(&log)[1] > ms(950), "{rates:?} kb/s, {:?}", delays(&log));
}

#[test]
fn two_flows_of_a_kind_share() {
    for (queue, tcp) in [(DROP_TAIL, NEW_RENO), (DROP_TAIL, CUBIC), (codel(), NEW_RENO), (codel(), CUBIC)] {
        let (rates, _) = Dumbbell::new(Bitrate::from_mbps(2), queue).long(&[tcp, tcp]);
        let (less, more) = (rates[0].min(rates[1]), rates[0].max(rates[1]));
        assert!(less + more > 1_850 && 3 * less > 2 * more, "{tcp:?}: {rates:?} kb/s");
    }
}

/// RFC 9438 §4.3: CUBIC gets no less than Reno would; on a path of much delay it gets more.
#[test]
fn cubic_takes_more_than_new_reno_where_there_is_much_delay() {
    let share = |queue| {
        let (rates, _) = Dumbbell::new(Bitrate::from_mbps(2), queue).long(&[NEW_RENO, CUBIC]);
        rates[1] * 100 / (rates[0] + rates[1])
    };
    let (short, long) = (share(codel()), share((QueueLimit::ms(1_000), Aqm::DropTail)));
    assert!((45..60).contains(&short), "{short} %");
    assert!((70..95).contains(&long), "{long} %");
}

/// RFC 8289: the standing queue of a flow that would fill 300 ms goes.
#[test]
fn codel_takes_a_standing_queue_away() {
    let mut bell = Dumbbell::new(Bitrate::from_mbps(20), codel());
    let (rates, log) = bell.long(&[CUBIC, CUBIC]);
    let [median, p95, p99] = delays(&log);
    assert!(rates[0] + rates[1] > 18_500, "{rates:?} kb/s");
    assert!(median < ms(5) && p95 < ms(8) && p99 < ms(10), "{median:?} {p95:?} {p99:?}");
}

#[test]
fn tcp_with_ecn_is_marked_and_sends_nothing_again() {
    let ecn = Tcp { ecn: true, ..CUBIC };
    let mut bell = Dumbbell::new(Bitrate::from_mbps(10), codel());
    let source = bell.add(Traffic::LongTcp(ecn), s(60));
    let (rates, log) = bell.rates(&[source], s(20), s(60));
    let counters = bell.network.traffic_counters(source);
    let marked = bell.network.link_counters(bell.bottleneck).marked;
    assert_eq!((counters.resent, counters.timeouts), (0, 0));
    assert!(rates[0] > 8_700 && marked > 20, "{rates:?} kb/s, {marked} marks");
    assert!(delays(&log)[1] < ms(10), "{:?}", delays(&log));
    assert!(log.records.iter().all(|record| matches!(record.ecn, Ecn::Ect0 | Ecn::Ce)));
}

/// RFC 9332: both kinds of flow get about the same, and the L4S one waits for next to nothing.
#[test]
fn dualpi2_couples_a_scalable_flow_with_another() {
    for other in [NEW_RENO, CUBIC] {
        let mut bell = Dumbbell::new(Bitrate::from_mbps(20), dualpi2());
        let (rates, mut log) = bell.long(&[other, DCTCP]);
        assert!(rates[0] + rates[1] > 18_500, "{rates:?} kb/s");
        assert!(2 * rates[0] > rates[1] && 2 * rates[1] > rates[0], "{rates:?} kb/s");
        let (mut classic, classic_destination) = (log.clone(), IpAddr::from([192, 0, 2, 1]));
        log.records.retain(|record| record.destination.ip() != classic_destination);
        classic.records.retain(|record| record.destination.ip() == classic_destination);
        assert!(delays(&log)[2] < Duration::from_micros(1_700), "{:?}", delays(&log));
        let [median, p95, _] = delays(&classic);
        assert!(median < ms(20) && (ms(10)..ms(30)).contains(&p95), "{median:?} {p95:?}");
    }
}

#[test]
fn background_traffic_leaves_what_the_schedule_says() {
    let free = RateSchedule::steps(&[
        (s(0), Bitrate::from_mbps(1)),
        (s(40), Bitrate::from_kbps(2_500)),
        (s(60), Bitrate::from_kbps(600)),
        (s(80), Bitrate::from_mbps(4)),
    ]);
    let mut bell = Dumbbell::new(Bitrate::from_mbps(4), DROP_TAIL);
    let source = bell.add(Traffic::Cbr(Cbr::leaving(&free, Bitrate::from_mbps(4))), s(100));
    bell.network.poll(s(200));
    let log = bell.network.take_link_log(bell.bottleneck);
    let bytes = |from, to| {
        let within = log.records.iter().filter(|record| (s(from)..s(to)).contains(&record.sent));
        within.map(|record| record.size.as_bytes()).sum::<u64>()
    };
    // 3, 1.5, 3.4 and 0 Mb/s, to the packet.
    assert_eq!(
        [bytes(0, 40), bytes(40, 60), bytes(60, 80), bytes(80, 100)].map(|bytes| bytes / 1_500),
        [9_999, 2_500, 5_667, 0]
    );
    let counters = *bell.network.traffic_counters(source);
    assert_eq!(counters.received, DataSize::from_bytes(counters.sent * 1_472));
    assert_eq!(bell.network.poll_timeout(), None);
}

#[test]
fn on_and_off_have_their_means() {
    let on_off = OnOff {
        rate: Bitrate::from_mbps(1),
        packet: DataSize::from_bytes(1_250),
        ecn: Ecn::Ect1,
        on: s(1),
        off: s(3),
        starts_on: true,
    };
    let mut bell = Dumbbell::new(Bitrate::from_mbps(4), DROP_TAIL);
    let source = bell.add(Traffic::OnOff(on_off), s(10_000));
    bell.network.poll(s(20_000));
    let counters = *bell.network.traffic_counters(source);
    // 2,500 times, and a quarter of the time 100 packets each second; four deviations of either at most.
    assert!((2_340..2_660).contains(&counters.begun), "{counters:?}");
    assert!((228_000..272_000).contains(&counters.sent), "{counters:?}");
    assert!(counters.begun - counters.completed <= 1, "{counters:?}");
    let log = bell.network.take_link_log(bell.bottleneck);
    assert!(log.records.iter().all(|record| record.ecn == Ecn::Ect1 && record.size == DataSize::from_bytes(1_250)));
    let gaps = log.records.windows(2).map(|pair| pair[1].sent - pair[0].sent);
    assert!(gaps.clone().all(|gap| gap >= ms(10)));
    let pauses = gaps.filter(|gap| *gap > ms(20)).count();
    assert!(pauses.abs_diff(counters.begun as usize) < 60, "{pauses} pauses");
}

#[test]
fn short_flows_come_and_go() {
    for starts_on in [true, false] {
        let mut bell = Dumbbell::new(Bitrate::from_mbps(10), DROP_TAIL);
        let source = bell.add(Traffic::ShortTcp(ShortTcp { starts_on, ..ShortTcp::default() }), s(20_000));
        bell.network.poll(ms(900));
        let counters = *bell.network.traffic_counters(source);
        assert_eq!(counters.begun, u64::from(starts_on));
        bell.network.poll(s(30_000));
        let counters = *bell.network.traffic_counters(source);
        // 10 s of idleness and 0.2 s of transfer on average: 1960, with a deviation of 44.
        assert!((1_780..2_140).contains(&counters.begun), "{counters:?}");
        assert_eq!(counters.completed, counters.begun);
        let mean = counters.received.as_bytes() / counters.completed;
        assert!((39_500..40_500).contains(&mean), "{mean} bytes");
        assert_eq!((bell.network.poll_timeout(), bell.network.in_flight()), (None, 0));
    }
}

#[test]
fn a_long_flow_ends_when_its_time_is_over() {
    let mut bell = Dumbbell::new(Bitrate::from_mbps(2), DROP_TAIL);
    let pair = bell.pair();
    let source = bell.network.add_traffic(pair, Traffic::LongTcp(CUBIC), s(5)..s(10));
    bell.network.poll(ms(4_999));
    assert_eq!(bell.network.traffic_counters(source).sent, 0);
    bell.network.poll(s(10));
    let during = bell.network.traffic_counters(source).received;
    bell.network.poll(s(20));
    let counters = *bell.network.traffic_counters(source);
    assert_eq!((counters.begun, counters.completed), (1, 1));
    // What the queue still held, 75 kB, and what is on the way.
    let after = counters.received.saturating_sub(during).as_bytes();
    assert!((50_000..120_000).contains(&after), "{after} bytes");
    assert_eq!((bell.network.poll_timeout(), bell.network.in_flight()), (None, 0));
}

#[test]
fn nats_apply_to_traffic() {
    let mut network = Network::new(1);
    let nat = plenary_netsim::NatConfig::port_restricted(IpAddr::from([203, 0, 113, 1]));
    let up = LinkConfig { rate: Bitrate::from_mbps(2).into(), ..LinkConfig::delay(ms(5)) };
    let home = network.add_site(SiteId::INTERNET, SiteConfig { up, ..SiteConfig::nat(nat) });
    let inside = network.add_host(home, &[IpAddr::from([10, 0, 0, 2])]);
    let outside = network.add_host(SiteId::INTERNET, &[IpAddr::from([192, 0, 2, 1])]);
    let cbr = || Traffic::Cbr(Cbr::new(Bitrate::from_kbps(120)));
    let pairs = [[inside, outside], [outside, inside]];
    let udp = pairs.map(|pair| network.add_traffic(pair, cbr(), s(0)..s(10)));
    let tcp = pairs.map(|pair| network.add_traffic(pair, Traffic::LongTcp(NEW_RENO), s(0)..s(1)));
    assert_eq!(network.poll(s(100)), None);
    let received = |source: TrafficId| network.traffic_counters(source).received > DataSize::ZERO;
    assert_eq!((udp.map(received), tcp.map(received)), ([true, false], [true, false]));
    assert_eq!(network.traffic_counters(tcp[1]).timeouts, 16);
    assert_eq!(network.counters().drops[DropReason::NoRoute], 99 + 16);
}

#[test]
#[should_panic(expected = "a rate that has no limit never stops")]
fn traffic_has_a_limit() {
    let mut bell = Dumbbell::new(Bitrate::from_mbps(2), DROP_TAIL);
    bell.add(Traffic::Cbr(Cbr::new(Bitrate::MAX)), s(1));
}

#[test]
#[should_panic(expected = "TCP without delay and limit never stops at 2s")]
fn tcp_without_delay_and_limit_is_found() {
    let mut network = Network::new(1);
    let pair = [1, 2].map(|host| network.add_host(SiteId::INTERNET, &[IpAddr::from([192, 0, 2, host])]));
    network.add_traffic(pair, Traffic::LongTcp(NEW_RENO), s(2)..s(3));
    network.poll(s(10));
}

#[test]
fn background_traffic_through_a_warm_network_allocates_nothing() {
    let mut bell = Dumbbell::new(Bitrate::from_mbps(2), dualpi2());
    bell.network = {
        // Without a log, which grows.
        let mut network = Network::new(7);
        let up = LinkConfig { rate: Bitrate::from_mbps(2).into(), aqm: dualpi2().1, ..LinkConfig::delay(ms(50)) };
        bell.site = network.add_site(SiteId::INTERNET, SiteConfig { up, ..SiteConfig::default() });
        network
    };
    for ecn in [Ecn::Ect1, Ecn::NotEct] {
        bell.add(Traffic::Cbr(Cbr { ecn, ..Cbr::new(Bitrate::from_kbps(1_100)) }), s(60));
    }
    assert_eq!(bell.network.poll(s(30)), None);
    assert_eq!(allocation_counter::measure(|| assert_eq!(bell.network.poll(s(60)), None)).count_total, 0);
}

/// All queues and kinds of traffic at once, to the byte: as the hashes of the driver and of streams, on every platform.
#[test]
fn traffic_is_the_same_everywhere() {
    let hashes = [DROP_TAIL, codel(), dualpi2(), (QueueLimit::ms(300), Aqm::Mark(ms(20)))].map(|queue| {
        let mut bell = Dumbbell::new(Bitrate::from_mbps(5), queue);
        for congestion in [Congestion::NewReno, Congestion::Cubic, Congestion::Dctcp] {
            bell.add(Traffic::LongTcp(Tcp { ecn: true, ..Tcp::new(congestion) }), s(30));
        }
        bell.add(Traffic::ShortTcp(ShortTcp { starts_on: true, idle: s(1), ..ShortTcp::default() }), s(30));
        bell.add(Traffic::Cbr(Cbr::new(Bitrate::from_kbps(300))), s(30));
        bell.network.poll(s(60));
        bell.network.trace_hash()
    });
    let expected = [0xd993_bf4a_8306_108a, 0xd9f0_9267_e202_bfcd, 0x2255_b13b_f12a_a413, 0xc96a_c133_8b0b_648f];
    assert_eq!(hashes, expected, "{hashes:#018x?}");
}
