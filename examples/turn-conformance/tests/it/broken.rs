//! A server that is wrong in one way, so that probes are seen to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use plenary_stun::{Attribute, Class, ErrorCode, Method, TransactionId, Writer};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Agrees to everything at length, looks at nothing, and relays whatever comes.
    Agrees,
    /// The same, but of an attribute that comes twice the last counts, wherever it stands.
    CountsLast,
    /// Answers everything with 400.
    Refuses,
    /// Asks for credentials, and then answers everything with 400.
    RefusesUsers,
    /// Makes a plain allocation, and then answers everything with 400.
    RefusesLater,
    /// Agrees to the first request of each method, and answers those behind it with 400.
    AgreesOnce,
    /// Agrees, and relays nothing.
    RelaysNothing,
    /// Agrees, and relays all but the last byte.
    Cuts,
    /// Agrees, and answers nothing more once data comes.
    Dies,
    /// Agrees, and says addresses that are none.
    Lies,
    /// Agrees without a word of what it did.
    SaysNothing,
    /// Sends back what it gets.
    Echoes,
    /// Answers nothing.
    Sleeps,
}

impl Fault {
    pub(crate) const ALL: [Self; 13] = [
        Self::Agrees,
        Self::Refuses,
        Self::RefusesUsers,
        Self::RefusesLater,
        Self::AgreesOnce,
        Self::RelaysNothing,
        Self::Lies,
        Self::SaysNothing,
        Self::CountsLast,
        Self::Cuts,
        Self::Dies,
        Self::Echoes,
        Self::Sleeps,
    ];
}

/// Runs until it is dropped.
pub(crate) struct Broken {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    fault: Fault,
    /// Nobody needs the server any more.
    is_over: AtomicBool,
    is_dead: AtomicBool,
    /// No two answers say the same port.
    port: AtomicU16,
    /// What was asked for.
    methods: Mutex<BTreeSet<u16>>,
    /// Of each client, and the last address that any has named.
    relays: Mutex<BTreeMap<SocketAddr, Arc<UdpSocket>>>,
    peer: Mutex<Option<SocketAddr>>,
    /// Connections with peers, which are never closed.
    streams: Mutex<Vec<TcpStream>>,
}

/// How a client is reached.
#[derive(Clone)]
enum Way {
    Datagram(Arc<UdpSocket>, SocketAddr),
    Stream(Arc<TcpStream>, SocketAddr),
}

impl Way {
    const fn client(&self) -> SocketAddr {
        match self {
            Self::Datagram(_, client) | Self::Stream(_, client) => *client,
        }
    }

    fn send(&self, bytes: &[u8]) {
        // A client that is gone has no use for it.
        match self {
            Self::Datagram(socket, client) => _ = socket.send_to(bytes, client),
            Self::Stream(stream, _) => _ = (&**stream).write_all(bytes),
        }
    }
}

const TICK: Duration = Duration::from_millis(20);
const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

impl Broken {
    pub(crate) fn start(fault: Fault) -> Self {
        // A stream's port may be taken where the datagrams' is free.
        let (socket, listener) = (0..100)
            .find_map(|_| {
                let socket = UdpSocket::bind(LOCAL).ok()?;
                let listener = TcpListener::bind(socket.local_addr().ok()?).ok()?;
                Some((Arc::new(socket), listener))
            })
            .expect("some port is free");
        let address = socket.local_addr().expect("it is bound");
        let state = Arc::new(State {
            fault,
            is_over: AtomicBool::new(false),
            is_dead: AtomicBool::new(false),
            port: AtomicU16::new(1),
            methods: Mutex::default(),
            relays: Mutex::default(),
            peer: Mutex::default(),
            streams: Mutex::default(),
        });
        socket.set_read_timeout(Some(TICK)).expect("a timeout");
        listener.set_nonblocking(true).expect("a listener");
        thread::spawn({
            let state = Arc::clone(&state);
            move || state.serve(&socket)
        });
        thread::spawn({
            let state = Arc::clone(&state);
            move || state.accept(&listener)
        });
        Self { address, state }
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn serve(self: &Arc<Self>, socket: &Arc<UdpSocket>) {
        let mut chunk = vec![0; 65_536];
        while !self.is_over() {
            if let Ok((len, from)) = socket.recv_from(&mut chunk) {
                self.handle(&chunk[..len], &Way::Datagram(Arc::clone(socket), from));
            }
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while !self.is_over() {
            let Ok((stream, from)) = listener.accept() else {
                thread::sleep(Duration::from_millis(2));
                continue;
            };
            let state = Arc::clone(self);
            thread::spawn(move || state.read(stream, from));
        }
    }

    /// What is read at once is taken for a message: framing is not known here.
    fn read(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let mut chunk = vec![0; 65_536];
        stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(TICK))).expect("a timeout");
        let stream = Arc::new(stream);
        while !self.is_over() {
            match (&*stream).read(&mut chunk) {
                Ok(0) => return,
                Ok(len) => self.handle(&chunk[..len], &Way::Stream(Arc::clone(&stream), from)),
                Err(_) => {}
            }
        }
    }

    fn handle(self: &Arc<Self>, bytes: &[u8], way: &Way) {
        match self.fault {
            Fault::Sleeps => {}
            Fault::Echoes => way.send(bytes),
            _ if self.is_dead.load(Ordering::Relaxed) => {}
            _ if !is_request(bytes) && self.fault == Fault::Dies => self.is_dead.store(true, Ordering::Relaxed),
            _ => {
                let request = Request::scan(bytes);
                if let Some(peer) = request.peer {
                    *lock(&self.peer) = Some(peer);
                }
                if request.method != Method::BINDING.0 {
                    self.relay_out(&request, way);
                }
                way.send(&self.answer(&request, way));
            }
        }
    }

    fn relay_out(&self, request: &Request<'_>, way: &Way) {
        let is_request = matches!(request.method, 3 | 4 | 8..=11);
        if is_request || self.fault == Fault::RelaysNothing {
            return;
        }
        let (Some(peer), relays) = (*lock(&self.peer), lock(&self.relays)) else { return };
        let data = request.data.unwrap_or_default();
        let data = if self.fault == Fault::Cuts { &data[..data.len().saturating_sub(1)] } else { data };
        let relay = relays.get(&way.client()).or_else(|| relays.values().next());
        match relay {
            Some(relay) => _ = relay.send_to(data, peer),
            None => _ = UdpSocket::bind(LOCAL).and_then(|socket| socket.send_to(data, peer)),
        }
    }

    fn answer(self: &Arc<Self>, request: &Request<'_>, way: &Way) -> Vec<u8> {
        // Who agrees to everything asks only with what every client begins with.
        let asks = request.method == 3 || self.fault != Fault::Agrees && matches!(request.method, 4 | 8..=11);
        let needs_user = asks && !request.is_signed;
        let is_plain = request.method == Method::ALLOCATE.0 && request.is_plain;
        match self.fault {
            Fault::Refuses => request.error(400),
            _ if needs_user => self.challenge(request),
            Fault::RefusesUsers => request.error(400),
            Fault::RefusesLater if !is_plain || lock(&self.relays).contains_key(&way.client()) => request.error(400),
            Fault::AgreesOnce if !lock(&self.methods).insert(request.method) => request.error(400),
            _ => self.success(request, way),
        }
    }

    /// The same to everyone, and much of it.
    fn challenge(&self, request: &Request<'_>) -> Vec<u8> {
        request.response(Class::Error, |writer| {
            writer.error_code(ErrorCode(401), "");
            writer.attribute(Attribute::REALM, &[b"broken"]);
            let nonce: &[u8] = if self.fault == Fault::Lies { b"nonce" } else { b"obMatJos2wAAAnonce" };
            writer.attribute(Attribute::NONCE, &[nonce]);
            writer.attribute(Attribute::PASSWORD_ALGORITHMS, &[&[0, 2, 0, 0, 0, 1, 0, 0]]);
            writer.attribute(Attribute::SOFTWARE, &[&[b's'; 700]]);
        })
    }

    fn success(self: &Arc<Self>, request: &Request<'_>, way: &Way) -> Vec<u8> {
        let relayed = (request.method == Method::ALLOCATE.0).then(|| self.allocate(way));
        if let (Method::CONNECT, Some(peer)) = (Method(request.method), request.peer) {
            // From some address, and whether someone listens or not.
            lock(&self.streams).extend(TcpStream::connect(peer));
        }
        let port = self.port.fetch_add(1, Ordering::Relaxed);
        request.response(Class::Success, |writer| {
            if self.fault == Fault::SaysNothing {
                return;
            }
            writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, (Ipv4Addr::LOCALHOST, port).into());
            if let Some(relayed) = relayed {
                let lie = "[::]:1".parse().expect("an address");
                writer
                    .xor_address(Attribute::XOR_RELAYED_ADDRESS, if self.fault == Fault::Lies { lie } else { relayed });
            }
            let seconds = if self.fault == Fault::CountsLast { request.lifetime } else { None };
            writer.attribute(Attribute::LIFETIME, &[&seconds.unwrap_or(5).to_be_bytes()]);
            writer.attribute(Attribute::CONNECTION_ID, &[b"conn"]);
            writer.attribute(Attribute::MOBILITY_TICKET, &[if self.fault == Fault::Lies { b"" } else { b"ticket" }]);
            if self.fault != Fault::Lies {
                writer.attribute(Attribute::RESERVATION_TOKEN, &[b"reserved"]);
            }
            writer.attribute(Attribute::SOFTWARE, &[&[b's'; 700]]);
        })
    }

    /// One more relay, from which everything goes to the client; the one before is kept as long as this server lives.
    fn allocate(self: &Arc<Self>, way: &Way) -> SocketAddr {
        let relay = Arc::new(UdpSocket::bind(LOCAL).expect("some port is free"));
        relay.set_read_timeout(Some(TICK)).expect("a timeout");
        let address = relay.local_addr().expect("it is bound");
        lock(&self.relays).insert(way.client(), Arc::clone(&relay));
        if let Ok(listener) = TcpListener::bind(address) {
            listener.set_nonblocking(true).expect("a listener");
            let (state, way) = (Arc::clone(self), way.clone());
            thread::spawn(move || state.take_peers(&listener, &way));
        }
        let (state, way) = (Arc::clone(self), way.clone());
        thread::spawn(move || state.relay_in(&relay, &way));
        address
    }

    /// Tells of whoever connects.
    fn take_peers(&self, listener: &TcpListener, way: &Way) {
        while !self.is_over() {
            thread::sleep(Duration::from_millis(2));
            let Ok((stream, peer)) = listener.accept() else { continue };
            lock(&self.streams).push(stream);
            if self.fault != Fault::RelaysNothing {
                let mut out = Vec::new();
                let id = TransactionId([7; 12]);
                let mut writer = Writer::new(Class::Indication, Method::CONNECTION_ATTEMPT, id, &mut out);
                writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
                writer.attribute(Attribute::CONNECTION_ID, &[b"conn"]);
                way.send(&out);
            }
        }
    }

    fn relay_in(&self, relay: &UdpSocket, way: &Way) {
        let mut chunk = vec![0; 65_536];
        while !self.is_over() {
            let Ok((len, from)) = relay.recv_from(&mut chunk) else { continue };
            if self.fault == Fault::RelaysNothing {
                continue;
            }
            let len = if self.fault == Fault::Cuts { len.saturating_sub(1) } else { len };
            let mut out = Vec::new();
            let mut writer = Writer::new(Class::Indication, Method::DATA, TransactionId([7; 12]), &mut out);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, from);
            writer.attribute(Attribute::DATA, &[&chunk[..len]]);
            way.send(&out);
        }
    }
}

fn is_request(bytes: &[u8]) -> bool {
    bytes.len() >= 20 && matches!(bytes[..2], [0, 1 | 3 | 4 | 8..=11])
}

/// What can be found in a message, right or wrong.
struct Request<'b> {
    method: u16,
    transaction: [u8; 12],
    is_signed: bool,
    /// Of an Allocate: nothing is asked but a relay.
    is_plain: bool,
    lifetime: Option<u32>,
    peer: Option<SocketAddr>,
    data: Option<&'b [u8]>,
}

impl<'b> Request<'b> {
    fn scan(bytes: &'b [u8]) -> Self {
        let word = |at: usize| bytes.get(at..at + 2).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]));
        let transaction = bytes.get(8..20).and_then(|id| id.try_into().ok()).unwrap_or([0; 12]);
        // The bits of RFC 8489 §5, of which the highest are not looked at.
        let kind = word(0);
        let method = kind & 0xf | kind >> 1 & 0x70 | kind >> 2 & 0xf80;
        let is_channel = bytes.first().is_some_and(|byte| byte >> 6 == 1);
        let mut found = Self {
            method: if is_channel || bytes.len() < 20 { 0 } else { method },
            transaction,
            is_signed: false,
            is_plain: true,
            lifetime: None,
            peer: None,
            data: is_channel.then(|| bytes.get(4..).unwrap_or_default()),
        };
        let mut at = 20;
        while at + 4 <= bytes.len() && !is_channel {
            let (kind, len) = (word(at), usize::from(word(at + 2)));
            let value = bytes.get(at + 4..).unwrap_or_default();
            found.note(Attribute(kind), &value[..len.min(value.len())]);
            at += 4 + len.next_multiple_of(4);
        }
        found
    }

    fn note(&mut self, attribute: Attribute, value: &'b [u8]) {
        match attribute {
            Attribute::MESSAGE_INTEGRITY | Attribute::MESSAGE_INTEGRITY_SHA256 => self.is_signed = true,
            Attribute::LIFETIME => self.lifetime = value.try_into().ok().map(u32::from_be_bytes),
            Attribute::DATA => self.data = Some(value),
            Attribute::XOR_PEER_ADDRESS if value.len() == 8 => {
                let port = u16::from_be_bytes([value[2] ^ 0x21, value[3] ^ 0x12]);
                let ip = [value[4] ^ 0x21, value[5] ^ 0x12, value[6] ^ 0xa4, value[7] ^ 0x42];
                self.peer = Some((Ipv4Addr::from(ip), port).into());
            }
            _ => {}
        }
        let is_usual = matches!(
            attribute,
            Attribute::REQUESTED_TRANSPORT
                | Attribute::MOBILITY_TICKET
                | Attribute::USERNAME
                | Attribute::REALM
                | Attribute::NONCE
                | Attribute::MESSAGE_INTEGRITY
        );
        self.is_plain &= is_usual;
    }

    fn error(&self, code: u16) -> Vec<u8> {
        self.response(Class::Error, |writer| writer.error_code(ErrorCode(code), ""))
    }

    fn response(&self, class: Class, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(class, Method(self.method), TransactionId(self.transaction), &mut out);
        write(&mut writer);
        out
    }
}
