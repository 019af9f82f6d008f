//! The server of `plenary-turn` on its sockets.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use plenary_netsim::{Closed, Machine};
use plenary_turn::{Bound, Carries, Config, Event, Family, FiveTuple, Handled, Keys, PeerPolicy, Relay, Server, User};
use plenary_wire::{Datagram, FlowId, Limit, Transmit};

use super::matrix::cast::Serves;
use super::matrix::server::Sockets;
use super::matrix::station::Told;
use super::matrix::wire::Piece;

/// What stands for a handshake of TLS: the client says it first, the server says it back.
pub(crate) const HANDSHAKE: &[u8; 6] = b"\x16hello";

/// The networks of the laboratory (RFC 5737, RFC 3849), which are public there.
const PUBLIC: [&str; 4] = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"];

pub(crate) struct Served {
    server: Server,
    /// Sockets that are free for allocations, and those that are taken.
    free: Vec<(FlowId, SocketAddr)>,
    taken: Vec<(FlowId, SocketAddr)>,
    /// What has come by each connection and is not used yet.
    streams: BTreeMap<FlowId, Vec<u8>>,
    out: VecDeque<Piece>,
    events: VecDeque<Told>,
    /// The addresses that were let in.
    pub(crate) permitted: Vec<IpAddr>,
}

impl Served {
    pub(crate) fn new(sockets: Sockets, entropy: [u8; 32], now: Instant) -> Self {
        let user = User { name: b"user".to_vec(), keys: Keys::from_password(b"user", b"turn", b"secret") };
        let allow = PUBLIC.map(|prefix| prefix.parse().expect("a prefix")).to_vec();
        let config = Config {
            entropy,
            unix_time: Duration::from_secs(1_700_000_000),
            users: vec![user],
            ipv6: true,
            fast_path: true,
            peers: PeerPolicy { allow, ..PeerPolicy::default() },
            ..Config::default()
        };
        let mut server = Server::new(config, now).expect("the configuration is in range");
        for (flow, local) in sockets.udp {
            server.listen(flow, local).expect("the flow is new");
        }
        let (taken, streams, permitted) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { server, free: sockets.ports, taken, streams, out: VecDeque::new(), events: VecDeque::new(), permitted }
    }

    pub(crate) fn allocations(&self) -> usize {
        self.server.allocations()
    }

    /// Does what the server asks for.
    fn serve(&mut self, now: Instant) {
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Bind { request, family, .. } => {
                    let is_fit = |socket: &(FlowId, SocketAddr)| Family::of(socket.1.ip()) == family;
                    let at = self.free.iter().position(is_fit).expect("there are two clients and two ports");
                    let (flow, local) = self.free.remove(at);
                    self.taken.push((flow, local));
                    let bound = Bound { flow, local, relayed: local, next: None };
                    let _ = self.server.handle_bound(request, Ok(bound), now);
                }
                Event::Close { flow } => {
                    if let Some(at) = self.taken.iter().position(|socket| socket.0 == flow) {
                        self.free.push(self.taken.remove(at));
                    } else {
                        self.streams.remove(&flow);
                        self.events.push_back(Told::Ice(plenary_ice::Event::CloseStream(flow)));
                    }
                }
                Event::PermissionAdded { peer, .. } => self.permitted.push(peer),
                _ => {}
            }
        }
    }
}

/// A copy of what is to be sent on.
fn piece(relay: &Relay<'_>) -> Piece {
    let mut bytes = Vec::new();
    relay.write(&mut bytes);
    Piece { flow: relay.flow, local: relay.local, remote: relay.to, bytes }
}

impl Machine for Served {
    type Event = Told;

    fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        if let Handled::Relay(relay) = self.server.handle_datagram(datagram, now) {
            self.out.push_back(piece(&relay));
        }
        self.serve(now);
    }

    fn handle_accepted(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) {
        let tuple = FiveTuple { flow, local, remote };
        self.server.handle_accepted(tuple, Carries::Stream, now).expect("there is room for two");
        self.streams.insert(flow, Vec::new());
    }

    fn handle_stream(&mut self, flow: FlowId, bytes: &mut [u8], now: Instant) {
        let Some(stream) = self.streams.get_mut(&flow) else { return };
        stream.extend_from_slice(bytes);
        if stream.starts_with(HANDSHAKE) {
            stream.drain(..HANDSHAKE.len());
            let any = self.free.iter().chain(&self.taken).next().expect("a server has sockets").1;
            self.out.push_back(Piece { flow, local: any, remote: any, bytes: HANDSHAKE.to_vec() });
        }
        let stream = std::mem::take(stream);
        let mut rest = &stream[..];
        // A part of a handshake waits for the others.
        while !HANDSHAKE.starts_with(rest) {
            let streamed = self.server.handle_stream(flow, rest, now);
            if let Handled::Relay(relay) = &streamed.handled {
                self.out.push_back(piece(relay));
            }
            if streamed.used == 0 {
                break;
            }
            rest = &rest[streamed.used..];
        }
        self.streams.insert(flow, rest.to_vec());
        self.serve(now);
    }

    fn handle_closed(&mut self, flow: FlowId, _reason: Closed, now: Instant) {
        self.streams.remove(&flow);
        self.server.handle_closed(flow);
        self.serve(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.server.handle_timeout(now);
        self.serve(now);
    }

    fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        // An answer to a client comes before the data that it lets in.
        let answer = self.server.poll_transmit(now, limit, out);
        answer.or_else(|| Some(self.out.pop_front()?.write(out)))
    }

    fn poll_event(&mut self) -> Option<Told> {
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout()
    }
}

impl Serves for Served {
    fn leftovers(&self) -> Option<String> {
        let (allocations, sockets, streams) = (self.server.allocations(), &self.taken, self.streams.len());
        let is_clean = allocations == 0 && sockets.is_empty() && streams == 0;
        (!is_clean).then(|| format!("a server has {allocations} allocations, {sockets:?}, {streams} streams"))
    }
}
