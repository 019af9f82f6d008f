//! Two peers on a network: `A` offers and is ICE's controlling side, `B` answers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use plenary_ice::{LocalCandidate, Mode, Role};
use plenary_netsim::{LinkConfig, Loss, Machine, NodeId, Simulation, SiteConfig, SiteId};
use plenary_transport::{
    Certificate, CloseReason, Config, Connected, DataConfig, DropReason, Event, Message, Path, Setup, Transport,
};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit, Transmit};

pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn certificate(of: usize) -> Certificate {
    static CERTIFICATES: LazyLock<[Certificate; 3]> = LazyLock::new(|| {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        [(); 3].map(|()| Certificate::generate(now, Duration::from_secs(86_400)).unwrap())
    });
    CERTIFICATES[of].clone()
}

/// A transport on its node, with what came to it.
pub(crate) struct Peer {
    pub(crate) transport: Transport,
    pub(crate) flow: FlowId,
    pub(crate) local: SocketAddr,
    /// RTP packets, decrypted.
    pub(crate) rtp: Vec<Vec<u8>>,
    pub(crate) rtcp: Vec<Vec<u8>>,
    pub(crate) dropped: Vec<DropReason>,
    /// Messages of data channels, and whether they are taken as they come.
    pub(crate) messages: Vec<(Instant, Message)>,
    pub(crate) is_reading: bool,
    /// Datagrams that the transport wrote and that came in: the first byte, and how many bytes.
    pub(crate) written: Vec<(Instant, u8, usize)>,
    pub(crate) came: Vec<Vec<u8>>,
    /// The first DTLS datagram that it wrote.
    pub(crate) hello: Option<Vec<u8>>,
    /// Whether each ClientHello is sent in two datagrams, as if it were large.
    pub(crate) splits_hello: bool,
    /// The number of the DTLS datagram, from 0, that is lost on its way.
    pub(crate) loses: Option<usize>,
    /// Whether all of them are.
    pub(crate) mute: bool,
    outgoing: VecDeque<(Path, Vec<u8>)>,
}

impl Machine for Peer {
    type Event = Event;

    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        self.came.push(datagram.bytes.to_vec());
        match self.transport.handle_datagram(datagram, now) {
            Handled::Rtp(packet) => self.rtp.push(packet.to_vec()),
            Handled::Rtcp(packet) => self.rtcp.push(packet.to_vec()),
            Handled::Dropped(reason) => self.dropped.push(reason),
            _ => {}
        }
        self.read(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.transport.handle_timeout(now);
        self.read(now);
    }

    fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some((path, bytes)) = self.outgoing.pop_front() {
            let start = out.len();
            out.extend(&bytes);
            let Path { flow, local, remote, .. } = path;
            let range = start..out.len();
            return Some(Transmit { flow, local, remote, segment: range.len(), range, ecn: Ecn::NotEct });
        }
        let mut transmit = self.transport.poll_transmit(now, limit, out)?;
        let bytes = transmit.bytes(out).to_vec();
        let number = self.written.iter().filter(|(_, first, _)| *first >= 4).count();
        self.written.push((now, bytes[0], bytes.len()));
        if bytes[0] >= 4 && self.hello.is_none() {
            self.hello = Some(bytes.clone());
        }
        if bytes[0] >= 4 && (self.mute || self.loses == Some(number)) {
            out.truncate(transmit.range.start);
            return self.poll_transmit(now, limit, out);
        }
        if self.splits_hello && bytes[0] == 22 && bytes[13] == 1 {
            let [first, second] = split(&bytes);
            out.truncate(transmit.range.start);
            out.extend(first);
            transmit.range.end = out.len();
            transmit.segment = transmit.range.len();
            let (flow, local, remote) = (transmit.flow, transmit.local, transmit.remote);
            self.outgoing.push_back((Path { flow, local, remote, framed: false }, second));
        }
        Some(transmit)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.transport.poll_event()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.transport.poll_timeout()
    }
}

impl Peer {
    pub(crate) fn new(transport: Transport, flow: FlowId, local: SocketAddr) -> Self {
        Self {
            transport,
            flow,
            local,
            rtp: Vec::new(),
            rtcp: Vec::new(),
            dropped: Vec::new(),
            messages: Vec::new(),
            is_reading: true,
            written: Vec::new(),
            came: Vec::new(),
            hello: None,
            splits_hello: false,
            loses: None,
            mute: false,
            outgoing: VecDeque::new(),
        }
    }

    /// Has bytes sent as they are.
    pub(crate) fn push(&mut self, path: Path, bytes: Vec<u8>) {
        self.outgoing.push_back((path, bytes));
    }

    /// Takes what messages there are.
    pub(crate) fn read(&mut self, now: Instant) {
        while self.is_reading
            && let Some(message) = self.transport.poll_message()
        {
            self.messages.push((now, message));
        }
    }
}

/// One record with one handshake message as two records with half of it each (RFC 6347 §4.2.3).
fn split(record: &[u8]) -> [Vec<u8>; 2] {
    let (header, body) = (&record[..25], &record[25..]);
    let half = body.len() / 2;
    [(0, &body[..half]), (half, &body[half..])].map(|(offset, part)| {
        let mut bytes = header.to_vec();
        if offset > 0 {
            bytes[5] = 1; // a sequence number of its own, far from those of other records
        }
        bytes[11..13].copy_from_slice(&(part.len() as u16 + 12).to_be_bytes());
        bytes[19..22].copy_from_slice(&(offset as u32).to_be_bytes()[1..]);
        bytes[22..25].copy_from_slice(&(part.len() as u32).to_be_bytes()[1..]);
        bytes.extend(part);
        bytes
    })
}

pub(crate) fn config(of: usize) -> Config {
    let mut config = Config::new(certificate(of), [of as u8 + 1; 32]);
    config.ice.role = if of == A { Role::Controlling } else { Role::Controlled };
    config.setup = Setup::ActPass;
    config
}

/// With data channels.
pub(crate) fn data_config(of: usize) -> Config {
    Config { data: Some(DataConfig::default()), ..config(of) }
}

/// A server's: ICE lite.
pub(crate) fn lite_config(of: usize) -> Config {
    let mut config = config(of);
    config.ice.mode = Mode::Lite;
    config
}

pub(crate) struct Lab {
    pub(crate) sim: Simulation<Peer>,
    pub(crate) nodes: [NodeId; 2],
    pub(crate) site: SiteId,
    pub(crate) events: Vec<(Duration, usize, Event)>,
}

impl Lab {
    /// Round-trip time in milliseconds, per cent of loss each way; the peers know nothing of each other yet.
    pub(crate) fn new(seed: u64, rtt: u64, loss: u32, configs: [Config; 2]) -> Self {
        let mut sim = Simulation::new(seed);
        let link = LinkConfig { loss: Loss::percent(loss), ..LinkConfig::delay(ms(rtt) / 2) };
        let config = SiteConfig { up: link.clone(), down: link, gateway: None };
        let site = sim.network_mut().add_site(SiteId::INTERNET, config);
        let mut addresses = ["192.0.2.1:1000", "192.0.2.2:2000"].into_iter();
        let mut sites = [site, SiteId::INTERNET].into_iter();
        let nodes = configs.map(|mut config| {
            let local: SocketAddr = addresses.next().unwrap().parse().unwrap();
            let node = sim.network_mut().add_host(sites.next().unwrap(), &[local.ip()]);
            let flow = sim.bind(node, local);
            let now = sim.now();
            config.ice.entropy = sim.entropy();
            let mut transport = Transport::new(config, now).unwrap();
            transport.add_local_candidate(LocalCandidate::host(flow, local), now).unwrap();
            transport.end_local_candidates(now);
            let peer = Peer::new(transport, flow, local);
            sim.place(node, peer);
            node
        });
        Self { sim, nodes, site, events: Vec::new() }
    }

    /// The same, told of each other at the same instant.
    pub(crate) fn signalled(seed: u64, rtt: u64, loss: u32, configs: [Config; 2]) -> Self {
        let mut lab = Self::new(seed, rtt, loss, configs);
        lab.signal();
        lab
    }

    pub(crate) fn plain() -> Self {
        let mut lab = Self::signalled(1, 50, 0, [config(A), config(B)]);
        lab.run(1000);
        lab
    }

    pub(crate) fn signal(&mut self) {
        self.tell(A, B);
        self.tell(B, A);
    }

    /// An offer or an answer.
    pub(crate) fn tell(&mut self, from: usize, to: usize) {
        let now = self.sim.now();
        let parameters = self.transport(from).local_parameters();
        let candidates = self.transport(from).ice().local_candidates();
        let to = self.transport_mut(to);
        to.set_remote(parameters, now).unwrap();
        for candidate in candidates {
            to.add_remote_candidate(candidate, now);
        }
        to.end_remote_candidates(now);
    }

    pub(crate) fn peer(&self, of: usize) -> &Peer {
        self.sim.machine(self.nodes[of])
    }

    pub(crate) fn peer_mut(&mut self, of: usize) -> &mut Peer {
        self.sim.machine_mut(self.nodes[of])
    }

    pub(crate) fn transport(&self, of: usize) -> &Transport {
        &self.peer(of).transport
    }

    pub(crate) fn transport_mut(&mut self, of: usize) -> &mut Transport {
        &mut self.peer_mut(of).transport
    }

    pub(crate) fn run(&mut self, milliseconds: u64) {
        for told in self.sim.run_for(ms(milliseconds)) {
            let of = self.nodes.iter().position(|node| *node == told.node).unwrap();
            self.events.push((told.at, of, told.event));
        }
    }

    /// From now on nothing arrives but what is injected.
    pub(crate) fn cut(&mut self) {
        let (up, down) = self.sim.network().site_links(self.site);
        let now = self.sim.elapsed();
        for link in [up, down] {
            self.sim.network_mut().update_link(link, now, |link| link.loss = Loss::percent(100));
        }
    }

    pub(crate) fn connected(&self, of: usize) -> Option<(Duration, Connected)> {
        self.events.iter().find_map(|(at, whose, event)| match event {
            Event::Connected(connected) if *whose == of => Some((*at, *connected)),
            _ => None,
        })
    }

    pub(crate) fn closed(&self, of: usize) -> Option<CloseReason> {
        self.events.iter().find_map(|(_, whose, event)| match event {
            Event::Closed(reason) if *whose == of => Some(*reason),
            _ => None,
        })
    }

    /// When both had keys.
    pub(crate) fn keys_after(&self) -> Option<Duration> {
        Some(self.connected(A)?.0.max(self.connected(B)?.0))
    }

    /// Sends a packet of one stream.
    pub(crate) fn send_rtp(&mut self, from: usize, sequence: u16) {
        let peer = self.peer_mut(from);
        let overhead = peer.transport.profile().unwrap().rtp_overhead();
        let mut packet = rtp(sequence);
        packet.resize(packet.len() + overhead, 0);
        let path = peer.transport.protect_rtp(&mut packet, Some(u64::from(sequence))).unwrap();
        peer.outgoing.push_back((path, packet));
    }

    pub(crate) fn send_rtcp(&mut self, from: usize) {
        let peer = self.peer_mut(from);
        let overhead = peer.transport.profile().unwrap().rtcp_overhead();
        let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 9];
        packet.resize(packet.len() + overhead, 0);
        let path = peer.transport.protect_rtcp(&mut packet).unwrap();
        peer.outgoing.push_back((path, packet));
    }

    /// Puts bytes on the wire as if this peer had sent them.
    pub(crate) fn forge(&mut self, from: usize, bytes: &[u8]) {
        let remote = self.peer(1 - from).local;
        let peer = self.peer_mut(from);
        let path = Path { flow: peer.flow, local: peer.local, remote, framed: false };
        peer.outgoing.push_back((path, bytes.to_vec()));
    }

    /// Hands bytes over as if they had come from this address.
    pub(crate) fn inject(&mut self, to: usize, remote: SocketAddr, bytes: &[u8]) {
        let now = self.sim.now();
        let mut bytes = bytes.to_vec();
        let peer = self.peer_mut(to);
        let (flow, local) = (peer.flow, peer.local);
        peer.handle_datagram(Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut bytes }, now);
    }
}

pub(crate) fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend(b"a frame of media");
    packet
}
