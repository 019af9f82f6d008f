//! A server, and clients that say what a test wants them to.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_stun::{Algorithm, Attribute, Class, Key, Message, Method, TransactionId, Writer};
use plenary_turn::{
    Bound, Carries, Config, DropReason, Event, Family, FiveTuple, Handled, Keys, PortWish, RequestId, Server, User,
};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

pub(crate) const LISTENER: FlowId = FlowId(1);
pub(crate) const SERVER: &str = "8.8.4.4:3478";
/// Where relays are.
pub(crate) const RELAY: &str = "8.8.4.4";
pub(crate) const RELAY6: &str = "2600::1";
pub(crate) const PEER: &str = "9.9.9.9:7000";
pub(crate) const UNIX_TIME: u64 = 1_700_000_000;

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn config() -> Config {
    let user = |name: &[u8]| User { name: name.to_vec(), keys: Keys::from_password(name, b"turn", b"secret") };
    Config {
        entropy: [7; 32],
        unix_time: Duration::from_secs(UNIX_TIME),
        users: vec![user(b"user"), user(b"other")],
        secrets: vec![b"new".to_vec(), b"old".to_vec()],
        ipv6: true,
        dont_fragment: true,
        fast_path: true,
        ..Config::default()
    }
}

/// What was handed back to be relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relayed {
    pub(crate) flow: FlowId,
    pub(crate) local: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) ecn: Ecn,
    pub(crate) dont_fragment: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Took {
    Consumed,
    Dropped(DropReason),
    Relay(Relayed),
}

impl Took {
    pub(crate) fn relay(self) -> Relayed {
        match self {
            Self::Relay(relayed) => relayed,
            other => panic!("nothing to relay: {other:?}"),
        }
    }
}

impl From<Handled<'_>> for Took {
    fn from(handled: Handled<'_>) -> Self {
        match handled {
            Handled::Consumed => Self::Consumed,
            Handled::Dropped(reason) => Self::Dropped(reason),
            Handled::Relay(relay) => {
                let mut bytes = Vec::new();
                relay.write(&mut bytes);
                assert_eq!(bytes.len(), relay.len());
                let (flow, local, to, ecn, dont_fragment) =
                    (relay.flow, relay.local, relay.to, relay.ecn, relay.dont_fragment);
                Self::Relay(Relayed { flow, local, to, bytes, ecn, dont_fragment })
            }
        }
    }
}

pub(crate) struct Lab {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    /// Answers, and to whom.
    pub(crate) answers: VecDeque<(SocketAddr, Vec<u8>)>,
    /// All events but binds that were answered.
    pub(crate) events: Vec<Event>,
    /// Whether sockets are bound as soon as they are asked for.
    pub(crate) binds: bool,
    /// All that ever were given.
    pub(crate) sockets: BTreeMap<SocketAddr, FlowId>,
    next_flow: u32,
    next_port: u16,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; time is virtual")]
        let start = Instant::now();
        let mut config = config();
        change(&mut config);
        let mut server = Server::new(config, start).unwrap();
        server.listen(LISTENER, at(SERVER)).unwrap();
        Self {
            server,
            now: start,
            answers: VecDeque::new(),
            events: Vec::new(),
            binds: true,
            sockets: BTreeMap::new(),
            next_flow: 100,
            next_port: 50_000,
        }
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
            self.drain();
            assert!(self.server.poll_timeout().is_none_or(|next| next > due), "a timer that does not go");
        }
        self.now = end;
    }

    /// A datagram of a client.
    pub(crate) fn send(&mut self, from: SocketAddr, bytes: &[u8]) -> Took {
        self.receive(LISTENER, at(SERVER), from, bytes)
    }

    /// A client's connection.
    pub(crate) fn accept(&mut self, remote: SocketAddr) -> FlowId {
        self.next_flow += 2;
        let flow = FlowId(self.next_flow);
        let tuple = FiveTuple { flow, local: at(SERVER), remote };
        self.server.handle_accepted(tuple, Carries::Stream, self.now).unwrap();
        flow
    }

    /// What a connection brings, and how much of it is used.
    pub(crate) fn stream(&mut self, flow: FlowId, bytes: &[u8]) -> (usize, Vec<Took>) {
        let (mut used, mut took) = (0, Vec::new());
        while used < bytes.len() {
            let streamed = self.server.handle_stream(flow, &bytes[used..], self.now);
            if streamed.used == 0 {
                assert_eq!(streamed.handled, Handled::Consumed);
                break;
            }
            used += streamed.used;
            took.push(streamed.handled.into());
            self.drain();
        }
        (used, took)
    }

    /// A datagram of a peer, to a relayed address.
    pub(crate) fn send_to_relay(&mut self, relayed: SocketAddr, from: &str, bytes: &[u8]) -> Took {
        self.receive(self.sockets[&relayed], relayed, at(from), bytes)
    }

    pub(crate) fn receive(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) -> Took {
        let mut bytes = bytes.to_vec();
        let datagram = Datagram { flow, local, remote, ecn: Ecn::Ect1, bytes: &mut bytes };
        let took = self.server.handle_datagram(datagram, self.now).into();
        self.drain();
        took
    }

    pub(crate) fn drain(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Bind { request, family, port, .. } if self.binds => self.bind(request, family, port),
                event => self.events.push(event),
            };
        }
        let mut out = Vec::new();
        while let Some(transmit) = self.server.poll_transmit(self.now, Limit::DATAGRAM, &mut out) {
            assert!(transmit.flow != LISTENER || transmit.local == at(SERVER));
            assert!(!self.closed().contains(&transmit.flow), "sent to a connection that is closed");
            self.answers.push_back((transmit.remote, transmit.bytes(&out).to_vec()));
        }
    }

    /// A socket such as is asked for, on a new port.
    pub(crate) fn socket(&mut self, family: Family, port: PortWish) -> Bound {
        self.next_port = (self.next_port + 2) & !1;
        let port = if port == PortWish::Any { self.next_port + 1 } else { self.next_port };
        let ip = if family == Family::V4 { RELAY } else { RELAY6 };
        let local = SocketAddr::new(ip.parse().unwrap(), port);
        self.next_flow += 2;
        self.sockets.insert(local, FlowId(self.next_flow));
        Bound { flow: FlowId(self.next_flow), local, relayed: local, next: None }
    }

    pub(crate) fn bind(&mut self, request: RequestId, family: Family, port: PortWish) {
        let mut bound = self.socket(family, port);
        bound.next = (port == PortWish::EvenAndNext).then_some(FlowId(bound.flow.0 + 1));
        assert_eq!(self.server.handle_bound(request, Ok(bound), self.now), Handled::Consumed);
        self.drain();
    }

    /// The one answer that waits, which is to this client.
    pub(crate) fn answer(&mut self, to: SocketAddr) -> Answer {
        let (remote, bytes) = self.answers.pop_front().expect("an answer");
        assert_eq!(remote, to);
        assert!(self.answers.is_empty(), "more than one answer");
        Answer::new(bytes)
    }

    pub(crate) fn closed(&self) -> Vec<FlowId> {
        let flow = |event: &Event| if let Event::Close { flow } = event { Some(*flow) } else { None };
        self.events.iter().filter_map(flow).collect()
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Message::parse(&bytes).expect("what the server sends is a message");
        Self { bytes }
    }

    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }

    /// The code of an error; 0 of a success.
    pub(crate) fn code(&self) -> u16 {
        match self.message().class() {
            Class::Success => 0,
            Class::Error => self.message().get_error_code().unwrap().unwrap().0,
            other => panic!("no response: {other:?}"),
        }
    }

    pub(crate) fn get(&self, attribute: Attribute) -> Option<Vec<u8>> {
        self.message().get(attribute).map(<[u8]>::to_vec)
    }

    pub(crate) fn address(&self, attribute: Attribute) -> Option<SocketAddr> {
        self.message().get_xor_address(attribute).unwrap()
    }

    pub(crate) fn number(&self, attribute: Attribute) -> Option<u32> {
        self.message().get_u32(attribute).unwrap()
    }
}

/// What attributes a test adds to a request.
pub(crate) type Attributes<'a> = &'a [(Attribute, Vec<u8>)];

pub(crate) const UDP: [u8; 4] = [17, 0, 0, 0];

/// A client that knows the long-term mechanism, and does what it is told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) username: Vec<u8>,
    pub(crate) password: Vec<u8>,
    pub(crate) realm: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) mac: Algorithm,
    /// Of the key, with which PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS are sent.
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) userhash: bool,
    /// The connection that it comes by; without, datagrams.
    pub(crate) flow: Option<FlowId>,
    transaction: u32,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: at(address),
            username: b"user".to_vec(),
            password: b"secret".to_vec(),
            realm: b"turn".to_vec(),
            nonce: Vec::new(),
            mac: Algorithm::Sha1,
            algorithm: None,
            userhash: false,
            flow: None,
            transaction: 0,
        }
    }

    /// One that has a nonce, and comes by a connection.
    pub(crate) fn connected(lab: &mut Lab, address: &str) -> Self {
        let mut client = Self::new(address);
        client.flow = Some(lab.accept(client.address));
        client.learn(lab);
        client
    }

    /// One that has a nonce.
    pub(crate) fn challenged(lab: &mut Lab, address: &str) -> Self {
        let mut client = Self::new(address);
        client.learn(lab);
        client
    }

    /// Asks for a nonce, by a request with room for the full answer.
    pub(crate) fn learn(&mut self, lab: &mut Lab) -> Answer {
        let padding = (Attribute(0x8022), vec![b'x'; 60]);
        let bytes = self.plain(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec()), padding]);
        self.say(lab, &bytes);
        let answer = lab.answer(self.address);
        assert_eq!(answer.code(), 401);
        self.nonce = answer.get(Attribute::NONCE).unwrap();
        self.realm = answer.get(Attribute::REALM).unwrap();
        answer
    }

    pub(crate) fn next_transaction(&mut self) -> TransactionId {
        self.transaction += 1;
        let mut bytes = [9; 12];
        bytes[..4].copy_from_slice(&self.transaction.to_be_bytes());
        TransactionId(bytes)
    }

    /// A request without credentials.
    pub(crate) fn plain(&mut self, method: Method, attributes: Attributes<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(Class::Request, method, self.next_transaction(), &mut out);
        for (kind, value) in attributes {
            writer.attribute(*kind, &[value]);
        }
        out
    }

    pub(crate) fn key(&self) -> Key<'static> {
        let algorithm = self.algorithm.unwrap_or(Algorithm::Sha1);
        Key::long_term(&self.username, &self.realm, &self.password, algorithm)
    }

    /// A request with all that the mechanism wants.
    pub(crate) fn signed(&mut self, method: Method, attributes: Attributes<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(Class::Request, method, self.next_transaction(), &mut out);
        for (kind, value) in attributes {
            writer.attribute(*kind, &[value]);
        }
        if self.userhash {
            let hash = plenary_stun::userhash(&self.username, &self.realm);
            writer.attribute(Attribute::USERHASH, &[&hash]);
        } else {
            writer.attribute(Attribute::USERNAME, &[&self.username]);
        }
        writer.attribute(Attribute::REALM, &[&self.realm]);
        writer.attribute(Attribute::NONCE, &[&self.nonce]);
        if let Some(algorithm) = self.algorithm {
            writer.attribute(Attribute::PASSWORD_ALGORITHM, &[&algorithm.number().to_be_bytes(), &[0, 0]]);
            writer.attribute(Attribute::PASSWORD_ALGORITHMS, &[&[0, 2, 0, 0, 0, 1, 0, 0]]);
        }
        writer.integrity(&self.key(), self.mac);
        writer.fingerprint();
        out
    }

    /// A signed request, and its answer, whose signature is looked at if it has one.
    pub(crate) fn ask(&mut self, lab: &mut Lab, method: Method, attributes: Attributes<'_>) -> Answer {
        let bytes = self.signed(method, attributes);
        self.exchange(lab, &bytes)
    }

    /// Sends a message, which is taken.
    pub(crate) fn say(&self, lab: &mut Lab, bytes: &[u8]) {
        match self.flow {
            None => assert_eq!(lab.send(self.address, bytes), Took::Consumed),
            Some(flow) => assert_eq!(lab.stream(flow, bytes), (bytes.len(), vec![Took::Consumed])),
        }
    }

    pub(crate) fn exchange(&self, lab: &mut Lab, bytes: &[u8]) -> Answer {
        self.say(lab, bytes);
        let answer = lab.answer(self.address);
        let (request, response) = (Message::parse(bytes).unwrap(), answer.message());
        assert_eq!((response.transaction(), response.method()), (request.transaction(), request.method()));
        if ![400, 401, 438].contains(&answer.code()) && request.method() != Method::BINDING {
            assert!(response.is_signed_with(&self.key(), self.mac), "signed as the request was");
            assert!(response.has_fingerprint());
        }
        answer
    }

    pub(crate) fn allocate(&mut self, lab: &mut Lab) -> SocketAddr {
        let answer = self.allocate_with(lab, &[]);
        assert_eq!(answer.code(), 0);
        answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap()
    }

    pub(crate) fn allocate_with(&mut self, lab: &mut Lab, attributes: Attributes<'_>) -> Answer {
        let transport = (Attribute::REQUESTED_TRANSPORT, UDP.to_vec());
        self.ask(lab, Method::ALLOCATE, &[&[transport], attributes].concat())
    }

    pub(crate) fn refresh(&mut self, lab: &mut Lab, lifetime: u32) -> Answer {
        self.ask(lab, Method::REFRESH, &[(Attribute::LIFETIME, lifetime.to_be_bytes().to_vec())])
    }

    pub(crate) fn permit(&mut self, lab: &mut Lab, peers: &[&str]) -> Answer {
        let transaction = TransactionId(self.clone().next_transaction().0);
        let peers: Vec<_> = peers.iter().map(|peer| peer_attribute(peer, transaction)).collect();
        self.ask(lab, Method::CREATE_PERMISSION, &peers)
    }

    pub(crate) fn bind(&mut self, lab: &mut Lab, number: u16, peer: &str) -> Answer {
        let transaction = self.clone().next_transaction();
        let number = (Attribute::CHANNEL_NUMBER, [&number.to_be_bytes()[..], &[0, 0]].concat());
        self.ask(lab, Method::CHANNEL_BIND, &[number, peer_attribute(peer, transaction)])
    }

    pub(crate) fn send(&mut self, peer: &str, data: &[u8], more: Attributes<'_>) -> Vec<u8> {
        let transaction = self.next_transaction();
        let mut out = Vec::new();
        let mut writer = Writer::new(Class::Indication, Method::SEND, transaction, &mut out);
        writer.attribute(Attribute::XOR_PEER_ADDRESS, &[&peer_attribute(peer, transaction).1]);
        for (kind, value) in more {
            writer.attribute(*kind, &[value]);
        }
        writer.attribute(Attribute::DATA, &[data]);
        out
    }
}

/// XOR-PEER-ADDRESS, exactly as it is written: no form of an address is made another.
pub(crate) fn peer_attribute(peer: &str, transaction: TransactionId) -> (Attribute, Vec<u8>) {
    let (value, len) = plenary_stun::xor_address(at(peer), &transaction);
    (Attribute::XOR_PEER_ADDRESS, value[..len].to_vec())
}

pub(crate) fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}
