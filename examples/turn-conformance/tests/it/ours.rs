//! `plenary-turn` on sockets, in the plainest way there is.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use plenary_turn::{
    BindError, Bound, Carries, Config, ConnectError, Event, Family, FiveTuple, Handled, Keys, PeerPolicy, PortWish,
    Server, Streamed, User,
};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};
use socket2::{Domain, Socket, Type};

/// Runs until it is dropped.
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ours {
    /// With what is permitted beside the public addresses.
    pub(crate) fn start(allow: &[&str]) -> Self {
        let (listener, streams) = (0..100).find_map(|_| listeners()).expect("some port is free");
        let address = listener.local_addr().expect("it is bound");
        let is_over = Arc::new(AtomicBool::new(false));
        let mut driver = Driver::new(listener, streams, allow);
        let thread = thread::spawn({
            let is_over = Arc::clone(&is_over);
            move || {
                while !is_over.load(Ordering::Relaxed) {
                    if !driver.turn() {
                        thread::sleep(Duration::from_micros(200));
                    }
                }
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }
}

/// A panic of the server is one of the test.
impl Drop for Ours {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().expect("it is taken once").join();
        if !thread::panicking() {
            ended.expect("the server panicked");
        }
    }
}

/// A port for both: a stream's may be taken where the datagrams' is free.
fn listeners() -> Option<(UdpSocket, TcpListener)> {
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    let streams = TcpListener::bind(datagrams.local_addr().ok()?).ok()?;
    Some((datagrams, streams))
}

/// What a client has not read: beyond it datagrams are lost.
const UNREAD_MAX: usize = 1 << 20;

/// A connection, what of it the server has not used, and what the client has not read.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    unread: Vec<u8>,
    /// The connection to which its bytes go, and nowhere else: RFC 6062.
    joined: Option<FlowId>,
    /// A peer's, from which nothing is read until it is joined.
    is_peer: bool,
}

impl Connection {
    fn flush(&mut self) {
        while !self.unread.is_empty()
            && let Ok(len) = self.stream.write(&self.unread)
        {
            self.unread.drain(..len);
        }
    }
}

struct Driver {
    server: Server,
    listener: TcpListener,
    sockets: BTreeMap<FlowId, UdpSocket>,
    connections: BTreeMap<FlowId, Connection>,
    /// Where peers connect.
    relays: BTreeMap<FlowId, TcpListener>,
    next: u32,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

const LISTENER: FlowId = FlowId(0);

impl Driver {
    fn new(datagrams: UdpSocket, listener: TcpListener, allow: &[&str]) -> Self {
        let user = |name: &[u8], password: &[u8]| User {
            name: name.to_vec(),
            keys: Keys::from_password(name, b"turn", password),
        };
        let mut config = Config {
            unix_time: SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970"),
            users: vec![user(b"u", b"p"), user(b"other", b"q")],
            ipv6: true,
            tcp: true,
            peers: PeerPolicy {
                allow: allow.iter().map(|network| network.parse().expect("a network")).collect(),
                ..PeerPolicy::default()
            },
            // All probes come from one address.
            unauthenticated_per_second: 60_000,
            ..Config::default()
        };
        getrandom::fill(&mut config.entropy).expect("entropy");
        let mut server = Server::new(config, Instant::now()).expect("a good configuration");
        datagrams.set_nonblocking(true).expect("a socket");
        listener.set_nonblocking(true).expect("a socket");
        server.listen(LISTENER, datagrams.local_addr().expect("it is bound")).expect("a new flow");
        let sockets = BTreeMap::from([(LISTENER, datagrams)]);
        Self {
            server,
            listener,
            sockets,
            connections: BTreeMap::new(),
            relays: BTreeMap::new(),
            next: 1,
            buffer: vec![0; 65_536],
            out: Vec::new(),
        }
    }

    /// Everything that can be done now; whether there was anything.
    fn turn(&mut self) -> bool {
        self.server.handle_timeout(Instant::now());
        let flows: Vec<FlowId> = self.sockets.keys().copied().collect();
        let received = flows.into_iter().filter(|flow| self.receive(*flow)).count();
        while let Ok((stream, remote)) = self.listener.accept() {
            self.accept(stream, remote);
        }
        self.take_peers();
        let flows: Vec<FlowId> = self.connections.keys().copied().collect();
        let read = flows.into_iter().filter(|flow| self.read(*flow)).count();
        self.drain();
        received + read > 0
    }

    fn accept(&mut self, stream: TcpStream, remote: SocketAddr) {
        let Ok(local) = stream.local_addr() else { return };
        let flow = self.connection(stream, false);
        self.server
            .handle_accepted(FiveTuple { flow, local, remote }, Carries::Stream, Instant::now())
            .expect("a new flow");
    }

    fn take_peers(&mut self) {
        let accept = |(flow, listener): (&FlowId, &TcpListener)| listener.accept().ok().map(|it| (*flow, it));
        let accepted: Vec<_> = self.relays.iter().filter_map(accept).collect();
        for (relay, (stream, peer)) in accepted {
            let flow = self.connection(stream, true);
            let _ = self.server.handle_peer_accepted(relay, flow, peer, Instant::now());
            self.drain();
        }
    }

    fn connection(&mut self, stream: TcpStream, is_peer: bool) -> FlowId {
        stream.set_nonblocking(true).expect("a socket");
        let flow = self.new_flow();
        self.connections
            .insert(flow, Connection { stream, received: Vec::new(), unread: Vec::new(), joined: None, is_peer });
        flow
    }

    fn new_flow(&mut self) -> FlowId {
        self.next += 1;
        FlowId(self.next)
    }

    /// From the address at which peers reach the allocation; on loopback that takes no time.
    fn connect(&mut self, local: SocketAddr, peer: SocketAddr) -> Option<FlowId> {
        let socket = reusing(local).ok()?;
        socket.connect_timeout(&peer.into(), Duration::from_secs(1)).ok()?;
        Some(self.connection(socket.into(), true))
    }

    /// Takes what a client has sent; whether there was anything.
    fn read(&mut self, flow: FlowId) -> bool {
        let Some(connection) = self.connections.get_mut(&flow) else { return false };
        connection.flush();
        if connection.is_peer && connection.joined.is_none() {
            return false;
        }
        let is_over = match connection.stream.read(&mut self.buffer) {
            Ok(len) => {
                connection.received.extend_from_slice(&self.buffer[..len]);
                len == 0
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => true,
        };
        let received = std::mem::take(&mut connection.received);
        let mut at = 0;
        loop {
            if let Some(other) = self.connections.get(&flow).and_then(|it| it.joined) {
                self.out.clear();
                self.out.extend_from_slice(&received[at..]);
                at = received.len();
                self.send(other, self.listener.local_addr().expect("it is bound"));
                break;
            }
            let Streamed { used, handled } = self.server.handle_stream(flow, &received[at..], Instant::now());
            at += used;
            if let Handled::Relay(relay) = handled {
                self.out.clear();
                relay.write(&mut self.out);
                let (flow, to) = (relay.flow, relay.to);
                self.send(flow, to);
            }
            self.drain();
            if used == 0 || at == received.len() {
                break;
            }
        }
        if let Some(connection) = self.connections.get_mut(&flow) {
            connection.received = received[at..].to_vec();
        }
        if is_over {
            self.server.handle_closed(flow);
            self.connections.remove(&flow);
        }
        true
    }

    /// Sends all of `out`; what can't be sent is lost.
    fn send(&mut self, flow: FlowId, to: SocketAddr) {
        if let Some(socket) = self.sockets.get(&flow) {
            let _ = socket.send_to(&self.out, to);
        } else if let Some(connection) = self.connections.get_mut(&flow)
            && connection.unread.len() < UNREAD_MAX
        {
            connection.unread.extend_from_slice(&self.out);
            connection.flush();
        }
    }

    fn receive(&mut self, flow: FlowId) -> bool {
        let mut is_busy = false;
        while let Some(socket) = self.sockets.get(&flow)
            && let Ok((len, remote)) = socket.recv_from(&mut self.buffer)
        {
            is_busy = true;
            let local = socket.local_addr().expect("it is bound");
            let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut self.buffer[..len] };
            if let Handled::Relay(relay) = self.server.handle_datagram(datagram, Instant::now()) {
                self.out.clear();
                relay.write(&mut self.out);
                let (flow, to) = (relay.flow, relay.to);
                self.send(flow, to);
            }
            self.drain();
        }
        is_busy
    }

    fn drain(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Bind { request, family, port, tcp } => {
                    let bound = if tcp { self.listen(family) } else { self.bind(family, port) };
                    let bound = bound.ok_or(BindError::NoPort);
                    let _ = self.server.handle_bound(request, bound, Instant::now());
                }
                Event::Connect { request, local, peer, .. } => {
                    let connected = self.connect(local, peer).ok_or(ConnectError);
                    let _ = self.server.handle_connected(request, connected, Instant::now());
                }
                Event::Join { client, peer } => {
                    for (one, other) in [(client, peer), (peer, client)] {
                        if let Some(connection) = self.connections.get_mut(&one) {
                            connection.joined = Some(other);
                        }
                    }
                }
                Event::Close { flow } => {
                    self.sockets.remove(&flow);
                    self.connections.remove(&flow);
                    self.relays.remove(&flow);
                }
                _ => {}
            }
        }
        self.out.clear();
        while let Some(transmit) = self.server.poll_transmit(Instant::now(), Limit::DATAGRAM, &mut self.out) {
            self.send(transmit.flow, transmit.remote);
            self.out.clear();
        }
    }

    fn bind(&mut self, family: Family, wish: PortWish) -> Option<Bound> {
        let ip = loopback(family);
        (0..200).find_map(|_| {
            let socket = UdpSocket::bind((ip, 0)).ok()?;
            let local = socket.local_addr().ok()?;
            if wish != PortWish::Any && !local.port().is_multiple_of(2) {
                return None;
            }
            let above = match wish {
                PortWish::EvenAndNext => Some(UdpSocket::bind((ip, local.port() + 1)).ok()?),
                PortWish::Any | PortWish::Even => None,
            };
            let flow = self.add(socket);
            let next = above.map(|socket| self.add(socket));
            Some(Bound { flow, local, relayed: local, next })
        })
    }

    fn listen(&mut self, family: Family) -> Option<Bound> {
        let socket = reusing((loopback(family), 0).into()).ok()?;
        socket.listen(16).and_then(|()| socket.set_nonblocking(true)).ok()?;
        let listener = TcpListener::from(socket);
        let local = listener.local_addr().ok()?;
        let flow = self.new_flow();
        self.relays.insert(flow, listener);
        Some(Bound { flow, local, relayed: local, next: None })
    }

    fn add(&mut self, socket: UdpSocket) -> FlowId {
        socket.set_nonblocking(true).expect("a socket");
        let flow = self.new_flow();
        self.sockets.insert(flow, socket);
        flow
    }
}

fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}

/// A socket whose address another one may have as well: who listens and who connects.
fn reusing(local: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&local.into())?;
    Ok(socket)
}
