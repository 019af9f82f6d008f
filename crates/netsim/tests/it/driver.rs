//! Machines, driven.

use std::cell::Cell;
use std::env;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use plenary_netsim::{
    Closed, LinkConfig, Loss, Machine, NodeId, Probability, QueueLimit, STREAM_BUFFER_MAX, Simulation, SiteConfig,
    SiteId, TIME_MAX,
};
use plenary_wire::{Bitrate, Datagram, Ecn, FlowId, Limit, Transmit};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Sends a numbered datagram each `interval`, if it has one, and tells each that comes, with the time it took.
struct Talker {
    flow: FlowId,
    local: SocketAddr,
    peer: SocketAddr,
    next: Option<Instant>,
    interval: Duration,
    sent: u64,
    burst: u64,
    heard: Option<u64>,
}

impl Machine for Talker {
    type Event = u64;

    fn handle_datagram(&mut self, datagram: Datagram<'_>, _: Instant) {
        assert_eq!((datagram.flow, datagram.local), (self.flow, self.local));
        self.heard = datagram.bytes.first_chunk().map(|number| u64::from_be_bytes(*number));
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(next) = self.next.filter(|next| *next <= now) {
            self.next = Some(next + self.interval);
            self.burst = 3;
        }
    }

    fn poll_transmit(&mut self, _: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        let count = self.burst.min(limit.segments as u64).min(limit.bytes as u64 / 100);
        if count == 0 {
            return None;
        }
        self.burst -= count;
        let start = out.len();
        for _ in 0..count {
            out.extend_from_slice(&self.sent.to_be_bytes());
            out.resize(out.len() + 92, 0);
            self.sent += 1;
        }
        let (flow, local, remote) = (self.flow, self.local, self.peer);
        Some(Transmit { flow, local, remote, range: start..out.len(), segment: 100, ecn: Ecn::NotEct })
    }

    fn poll_event(&mut self) -> Option<u64> {
        self.heard.take()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

fn talk(seed: u64) -> (Simulation<Talker>, [NodeId; 2]) {
    let mut sim = Simulation::new(seed);
    let link = LinkConfig {
        rate: Bitrate::from_mbps(1).into(),
        delay: ms(30),
        jitter: ms(5),
        loss: Loss::percent(20),
        duplicate: Probability::from_percent(3),
        queue: QueueLimit::ms(300),
        ..LinkConfig::default()
    };
    let addresses = [SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 2], 2))];
    let nodes = [(addresses[0], addresses[1]), (addresses[1], addresses[0])].map(|(local, peer)| {
        let node = sim.network_mut().add_node();
        sim.network_mut().attach(node, SiteId::INTERNET, &[local.ip()], [link.clone(), LinkConfig::default()]);
        let flow = sim.bind(node, local);
        let next = Some(sim.now());
        let talker = Talker { flow, local, peer, next, interval: ms(20), sent: 0, burst: 0, heard: None };
        sim.place(node, talker);
        node
    });
    (sim, nodes)
}

/// The trace of ten seconds, on every platform and with every compiler. If a change is meant to change what happens
/// in a network, the new hash is to be written here and the change noted; if not, it is a bug.
#[test]
fn the_same_seed_is_the_same_run_everywhere() {
    let run = |seed, limit| {
        let (mut sim, _) = talk(seed);
        sim.set_limit(limit);
        let events = sim.run_until(Duration::from_secs(10));
        (events, sim.network().trace_hash())
    };
    let (events, hash) = run(1, Limit::GSO);
    assert!(run(1, Limit::GSO) == (events.clone(), hash), "the second run is the first");
    assert_ne!(run(2, Limit::GSO).1, hash);
    // How many segments a transmit has changes the turns of the machines at one instant, but nothing on a link.
    assert!(run(1, Limit::DATAGRAM).0 == events, "segments are datagrams");
    assert_eq!(hash, 0x435d_5431_2050_cf0e, "0x{hash:016x}");
}

#[test]
fn events_come_in_order_with_their_time() {
    let (mut sim, nodes) = talk(3);
    let mut last = ms(0);
    let mut count = 0;
    while let Some(occurrence) = sim.next_event(ms(5_000)) {
        assert!(occurrence.at >= last && occurrence.at == sim.elapsed());
        last = occurrence.at;
        count += 1;
    }
    assert_eq!(sim.elapsed(), ms(5_000));
    // 250 bursts of three by each; of a burst, one event is heard at each of its arrival instants.
    assert!((1_000..1_500).contains(&count), "{count}");
    let sent: u64 = nodes.into_iter().map(|node| sim.machine(node).sent).sum();
    assert_eq!(sim.network().counters().sent, sent);
}

/// Two machines with a burst each share a bottleneck: the order there is the order of their turns.
#[test]
fn machines_take_turns() {
    let mut sim = Simulation::new(1);
    sim.set_limit(Limit::DATAGRAM);
    let up = LinkConfig { rate: Bitrate::from_mbps(1).into(), ..LinkConfig::default() };
    let site = sim.network_mut().add_site(SiteId::INTERNET, SiteConfig { up, ..SiteConfig::default() });
    let sink = SocketAddr::from(([192, 0, 2, 9], 9));
    let hosts =
        [(site, [192, 0, 2, 1], 3, 0), (site, [192, 0, 2, 2], 3, 100), (SiteId::INTERNET, [192, 0, 2, 9], 0, 0)];
    for (site, address, burst, sent) in hosts {
        let node = sim.network_mut().add_host(site, &[address.into()]);
        let local = SocketAddr::from((address, 9));
        let flow = sim.bind(node, local);
        sim.place(node, Talker { flow, local, peer: sink, next: None, interval: ms(0), sent, burst, heard: None });
    }
    let heard: Vec<_> = sim.run_until(ms(100)).into_iter().map(|told| told.event).collect();
    assert_eq!(heard, [0, 100, 1, 101, 2, 102]);
}

#[test]
fn entropy_is_of_the_seed_and_never_twice() {
    let draw = |seed| {
        let mut sim = Simulation::<Talker>::new(seed);
        [sim.entropy(), sim.entropy()]
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert_ne!(draw(1)[0], draw(1)[1]);
}

/// Does nothing but what a test wants it to do wrong.
#[derive(Default)]
struct Broken {
    transmit: Option<Transmit>,
    event: Option<()>,
    timeout: Option<Instant>,
}

impl Machine for Broken {
    type Event = ();

    fn handle_datagram(&mut self, _: Datagram<'_>, _: Instant) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, _: Instant, _: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        out.push(1);
        self.transmit.clone()
    }

    fn poll_event(&mut self) -> Option<()> {
        self.event
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }
}

fn broken(seed: u64) -> (Simulation<Broken>, NodeId, SocketAddr, FlowId) {
    let mut sim = Simulation::new(seed);
    let node = sim.network_mut().add_host(SiteId::INTERNET, &[IpAddr::from([192, 0, 2, 1])]);
    let local = SocketAddr::from(([192, 0, 2, 1], 1));
    let flow = sim.bind(node, local);
    (sim, node, local, flow)
}

#[test]
#[should_panic(expected = "seed 0xbeef: the machine on node 0 never stops transmitting")]
fn a_machine_that_never_stops_transmitting_is_found() {
    let (mut sim, node, local, flow) = broken(0xbeef);
    let transmit = Transmit { flow, local, remote: local, range: 0..1, segment: 1, ecn: Ecn::NotEct };
    sim.place(node, Broken { transmit: Some(transmit), ..Broken::default() });
    sim.run_until(ms(1));
}

#[test]
#[should_panic(expected = "seed 0xbeef: the machine on node 0 does not come to rest")]
fn a_machine_that_does_not_come_to_rest_is_found() {
    let (mut sim, node, ..) = broken(0xbeef);
    let timeout = Some(sim.now());
    sim.place(node, Broken { timeout, ..Broken::default() });
    sim.run_until(ms(1));
}

#[test]
#[should_panic(expected = "seed 0xbeef: the machine on node 0 never stops telling")]
fn a_machine_that_never_stops_telling_is_found() {
    let (mut sim, node, ..) = broken(0xbeef);
    sim.place(node, Broken { event: Some(()), ..Broken::default() });
    sim.run_until(ms(1));
}

#[test]
fn without_an_end_it_goes_on_until_all_is_quiet() {
    let (mut sim, [first, second]) = talk(3);
    for node in [first, second] {
        sim.machine_mut(node).next = None;
        sim.machine_mut(node).burst = 3;
    }
    let last = sim.run_until(Duration::MAX).last().map(|told| told.at);
    // Less than 3 × 0.8 ms of sending, 30 ms of delay and 15 ms of jitter.
    assert!(last.is_some() && sim.elapsed() > ms(30) && sim.elapsed() < ms(50), "{:?}", sim.elapsed());
    sim.machine_mut(first).burst = 1;
    // What is due after the end of time never happens, and hinders nothing.
    let never = [LinkConfig::delay(Duration::MAX), LinkConfig::default()];
    let far = SocketAddr::from(([192, 0, 2, 3], 3));
    let node = sim.network_mut().add_node();
    sim.network_mut().attach(node, SiteId::INTERNET, &[far.ip()], never);
    let flow = sim.bind(node, far);
    let peer = sim.machine(first).local;
    let next = Some(sim.now());
    let interval = TIME_MAX;
    sim.place(node, Talker { flow, local: far, peer, next, interval, sent: 0, burst: 0, heard: None });
    sim.run_for(Duration::MAX);
    assert_eq!((sim.network().in_flight(), sim.machine(node).sent), (3, 3));
    sim.run_until(TIME_MAX);
    assert_eq!((sim.elapsed(), sim.network().in_flight()), (TIME_MAX, 3));
}

/// In a process of its own, where it fails.
#[test]
fn a_failure_prints_the_seed_and_the_instant() {
    const NAME: &str = "driver::a_failure_prints_the_seed_and_the_instant";
    if env::var_os("NETSIM_FAILS").is_some() {
        let (mut sim, _) = talk(0xbeef);
        sim.run_until(ms(1_500));
        panic!("an assertion of the test");
    }
    let this = env::current_exe().expect("the path of this program");
    let run = Command::new(this).args(["--exact", NAME, "--nocapture"]).env("NETSIM_FAILS", "1").output();
    let output = run.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("netsim: failed at 1.5s of seed 0xbeef"), "{said}");
}

/// A client that pushes blocks into a stream as fast as it may, or a server that counts what comes.
#[derive(Default)]
struct Pusher {
    stream: Option<(FlowId, SocketAddr, SocketAddr)>,
    blocks: u32,
    received: usize,
    closed: Option<Closed>,
    unsent: Rc<Cell<u32>>,
}

impl Machine for Pusher {
    type Event = Closed;

    fn handle_datagram(&mut self, _: Datagram<'_>, _: Instant) {}

    fn handle_connected(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, _: Instant) {
        self.stream = Some((flow, local, remote));
    }

    fn handle_stream(&mut self, _: FlowId, bytes: &mut [u8], _: Instant) {
        self.received += bytes.len();
    }

    fn handle_closed(&mut self, _: FlowId, reason: Closed, _: Instant) {
        self.closed = Some(reason);
    }

    fn handle_unsent(&mut self, _: &Transmit, _: Instant) {
        self.unsent.set(self.unsent.get() + 1);
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, _: Instant, _: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        let (flow, local, remote) = self.stream?;
        self.blocks = self.blocks.checked_sub(1)?;
        let start = out.len();
        out.resize(start + 10_000, 1);
        Some(Transmit { flow, local, remote, range: start..out.len(), segment: 10_000, ecn: Ecn::NotEct })
    }

    fn poll_event(&mut self) -> Option<Closed> {
        self.closed.take()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn a_stream_takes_whole_transmits_or_none() {
    let mut sim = Simulation::new(1);
    let [client, server] = [1, 2].map(|host| {
        let node = sim.network_mut().add_node();
        let links = [LinkConfig::delay(ms(20)), LinkConfig::default()];
        sim.network_mut().attach(node, SiteId::INTERNET, &[IpAddr::from([192, 0, 2, host])], links);
        node
    });
    let address = SocketAddr::from(([192, 0, 2, 2], 443));
    sim.listen(server, address);
    let unsent = Rc::new(Cell::new(0));
    sim.place(client, Pusher { blocks: 8, unsent: Rc::clone(&unsent), ..Pusher::default() });
    sim.place(server, Pusher::default());
    let flow = sim.connect(client, SocketAddr::from(([192, 0, 2, 1], 0)), address);
    sim.run_until(ms(2_000));
    // Of eight blocks at one instant the buffer of 65,536 bytes holds six.
    assert_eq!(STREAM_BUFFER_MAX / 10_000, 6);
    assert_eq!((unsent.get(), sim.unsent()), (2, 2));
    assert_eq!(sim.machine(server).received, 60_000);
    let now = sim.elapsed();
    sim.network_mut().close(client, flow, now);
    let closed: Vec<_> = sim.run_for(ms(100)).into_iter().map(|told| (told.at, told.node, told.event)).collect();
    assert_eq!(closed, [(ms(2_020), server, Closed::Ended)]);
}
