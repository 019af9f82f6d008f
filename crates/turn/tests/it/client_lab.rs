//! A client, and a server that says what a test wants it to.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_stun::{Algorithm, Attribute, Class, ErrorCode, Key, Message, Method, Writer, userhash};
use plenary_turn::client::{Client, Config, Event, Handled, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};

use crate::lab::at;

pub(crate) const FLOW: FlowId = FlowId(5);
pub(crate) const LOCAL: &str = "192.0.2.1:4000";
pub(crate) const SERVER: &str = "198.51.100.1:3478";
pub(crate) const RELAYED: &str = "198.51.100.1:50000";
pub(crate) const MAPPED: &str = "203.0.113.1:4444";
pub(crate) const PEER: &str = "203.0.113.9:7000";
pub(crate) const REALM: &[u8] = b"example.org";
pub(crate) const ALGORITHMS: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

pub(crate) fn config() -> Config {
    Config {
        entropy: [3; 32],
        server: at(SERVER),
        flow: FLOW,
        local: at(LOCAL),
        username: "user".into(),
        password: "secret".into(),
        ..Config::default()
    }
}

/// What the scripted server knows of passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knows {
    Md5,
    Sha256,
}

pub(crate) struct Lab {
    pub(crate) client: Client,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) knows: Knows,
}

/// A request of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) transmit: Transmit,
    pub(crate) bytes: Vec<u8>,
}

impl Asked {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }

    pub(crate) fn method(&self) -> Method {
        self.message().method()
    }

    pub(crate) fn get(&self, attribute: Attribute) -> Option<Vec<u8>> {
        self.message().get(attribute).map(<[u8]>::to_vec)
    }

    pub(crate) fn peers(&self) -> Vec<SocketAddr> {
        let message = self.message();
        let peers = message.attributes().filter(|(kind, _)| *kind == Attribute::XOR_PEER_ADDRESS);
        peers.map(|(kind, value)| message.xor_address(kind, value).unwrap()).collect()
    }

    pub(crate) fn number(&self) -> u16 {
        let value = self.get(Attribute::CHANNEL_NUMBER).unwrap();
        assert_eq!((value.len(), &value[2..]), (4, &[0, 0][..]));
        u16::from_be_bytes([value[0], value[1]])
    }
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
        Self { client: Client::new(config, start).unwrap(), start, now: start, knows: Knows::Md5 }
    }

    /// With an allocation.
    pub(crate) fn allocated(change: impl FnOnce(&mut Config)) -> Self {
        let mut lab = Self::with(change);
        lab.allocate(Duration::from_secs(600));
        lab
    }

    pub(crate) fn allocate(&mut self, lifetime: Duration) {
        let asked = self.next();
        self.challenge(&asked, 401, b"nonce");
        let asked = self.next();
        self.grant(&asked, lifetime, &[]);
        assert!(matches!(self.event(), Event::Allocated(_)));
        assert_eq!(self.quiet(), None);
    }

    pub(crate) fn grant(&mut self, asked: &Asked, lifetime: Duration, more: &[(Attribute, &[u8])]) {
        assert_eq!(asked.method(), Method::ALLOCATE);
        let lifetime = (lifetime.as_secs() as u32).to_be_bytes();
        self.succeed(asked, |writer| {
            writer.xor_address(Attribute::XOR_RELAYED_ADDRESS, at(RELAYED));
            writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, at(MAPPED));
            writer.attribute(Attribute::LIFETIME, &[&lifetime]);
            more.iter().for_each(|(kind, value)| writer.attribute(*kind, &[value]));
        });
    }

    pub(crate) fn ms(&self) -> u128 {
        (self.now - self.start).as_millis()
    }

    /// The next that the client sends, if there is something.
    pub(crate) fn quiet(&mut self) -> Option<Asked> {
        let mut out = vec![7; 3];
        let transmit = self.client.poll_transmit(self.now, Limit::DATAGRAM, &mut out)?;
        assert_eq!((transmit.remote, transmit.segment), (self.client.server(), transmit.range.len()));
        assert_eq!(transmit.range.start, 3);
        let bytes = transmit.bytes(&out).to_vec();
        Some(Asked { transmit, bytes })
    }

    pub(crate) fn next(&mut self) -> Asked {
        self.quiet().expect("something to send")
    }

    /// Lets time go by until the client sends something, or until the end; answers what.
    pub(crate) fn until_sent(&mut self, end: Duration) -> Option<Asked> {
        let end = self.start + end;
        loop {
            if let Some(asked) = self.quiet() {
                return Some(asked);
            }
            let Some(due) = self.client.poll_timeout().filter(|due| *due <= end) else {
                self.now = self.now.max(end);
                return None;
            };
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
            assert!(self.client.poll_timeout().is_none_or(|next| next > due), "a timer that does not go");
        }
    }

    /// Goes on answering what is asked for, with success.
    pub(crate) fn serve_until(&mut self, seconds: u64) -> Vec<Asked> {
        let mut all = Vec::new();
        while let Some(asked) = self.until_sent(Duration::from_secs(seconds)) {
            let lifetime = 600u32.to_be_bytes();
            if asked.message().class() == Class::Request {
                self.succeed(&asked, |writer| writer.attribute(Attribute::LIFETIME, &[&lifetime]));
            }
            all.push(asked);
        }
        all
    }

    pub(crate) fn event(&mut self) -> Event {
        self.client.poll_event().expect("an event")
    }

    pub(crate) fn give(&mut self, bytes: &[u8]) -> Took {
        let local = at(LOCAL);
        self.give_by(FLOW, local, self.client.server(), bytes)
    }

    pub(crate) fn give_by(&mut self, flow: FlowId, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) -> Took {
        let mut bytes = bytes.to_vec();
        let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
        self.client.handle_datagram(datagram, self.now).into()
    }

    pub(crate) fn key(&self) -> (Key<'static>, Algorithm) {
        let algorithm = if self.knows == Knows::Md5 { Algorithm::Sha1 } else { Algorithm::Sha256 };
        (Key::long_term(b"user", REALM, b"secret", algorithm), algorithm)
    }

    /// A response, signed.
    pub(crate) fn succeed(&mut self, asked: &Asked, write: impl FnOnce(&mut Writer<'_>)) {
        assert_eq!(self.respond(Class::Success, asked, write), Took::Consumed);
    }

    /// An error, signed.
    pub(crate) fn refuse(&mut self, asked: &Asked, code: u16) {
        let took = self.respond(Class::Error, asked, |writer| writer.error_code(ErrorCode(code), ""));
        assert_eq!(took, Took::Consumed);
    }

    pub(crate) fn respond(&mut self, class: Class, asked: &Asked, write: impl FnOnce(&mut Writer<'_>)) -> Took {
        let request = asked.message();
        let (key, mac) = self.key();
        assert!(request.is_signed_with(&key, mac), "the client shows that it knows the password");
        let mut bytes = Vec::new();
        let mut writer = Writer::new(class, request.method(), request.transaction(), &mut bytes);
        write(&mut writer);
        writer.integrity(&key, mac);
        writer.fingerprint();
        self.give(&bytes)
    }

    /// A 401 or 438, as the server's knowledge is.
    pub(crate) fn challenge(&mut self, asked: &Asked, code: u16, nonce: &[u8]) {
        let took = match self.knows {
            Knows::Md5 => self.unsigned(asked, code, &[(Attribute::REALM, REALM), (Attribute::NONCE, nonce)]),
            Knows::Sha256 => {
                let nonce = [b"obMatJos2wAAA", nonce].concat();
                let algorithms = (Attribute::PASSWORD_ALGORITHMS, &ALGORITHMS[..]);
                self.unsigned(asked, code, &[(Attribute::REALM, REALM), (Attribute::NONCE, &nonce), algorithms])
            }
        };
        assert_eq!(took, Took::Consumed);
    }

    pub(crate) fn unsigned(&mut self, asked: &Asked, code: u16, attributes: &[(Attribute, &[u8])]) -> Took {
        let bytes = unsigned(asked, code, attributes);
        self.give(&bytes)
    }

    /// Asserts that the client shows what it must, and nothing else.
    pub(crate) fn check_proof(&self, asked: &Asked, nonce: &[u8]) {
        let (key, mac) = self.key();
        let message = asked.message();
        assert!(message.is_signed_with(&key, mac) && message.has_fingerprint());
        assert_eq!(message.get(Attribute::REALM), Some(REALM));
        if self.knows == Knows::Md5 {
            assert!(!message.has_integrity(Algorithm::Sha256));
            assert_eq!(message.get(Attribute::USERNAME), Some(&b"user"[..]));
            assert_eq!(message.get(Attribute::NONCE), Some(nonce));
            assert_eq!(message.get(Attribute::USERHASH), None);
            assert_eq!(message.get(Attribute::PASSWORD_ALGORITHMS), None);
            assert_eq!(message.get(Attribute::PASSWORD_ALGORITHM), None);
        } else {
            assert!(!message.has_integrity(Algorithm::Sha1));
            assert_eq!(message.get(Attribute::USERNAME), None);
            assert_eq!(message.get(Attribute::NONCE), Some(&[b"obMatJos2wAAA", nonce].concat()[..]));
            assert_eq!(message.get(Attribute::USERHASH), Some(&userhash(b"user", REALM)[..]));
            assert_eq!(message.get(Attribute::PASSWORD_ALGORITHMS), Some(&ALGORITHMS[..]));
            assert_eq!(message.get(Attribute::PASSWORD_ALGORITHM), Some(&[0, 2, 0, 0][..]));
        }
    }

    /// Sends to a peer, and says what came out.
    pub(crate) fn send(&mut self, peer: &str, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let transmit = self.client.send(at(peer), data, self.now, &mut out).unwrap();
        assert_eq!((transmit.remote, transmit.range.clone()), (self.client.server(), 0..out.len()));
        out
    }
}

pub(crate) fn unsigned(asked: &Asked, code: u16, attributes: &[(Attribute, &[u8])]) -> Vec<u8> {
    let request = asked.message();
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Class::Error, request.method(), request.transaction(), &mut bytes);
    writer.error_code(ErrorCode(code), "");
    attributes.iter().for_each(|(kind, value)| writer.attribute(*kind, &[value]));
    bytes
}

/// What became of a datagram, with bytes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Took {
    Consumed,
    Dropped(plenary_turn::client::DropReason),
    Data(SocketAddr, Vec<u8>),
    Icmp(SocketAddr, u8, u16, [u8; 4]),
}

impl From<Handled<'_>> for Took {
    fn from(handled: Handled<'_>) -> Self {
        match handled {
            Handled::Consumed => Self::Consumed,
            Handled::Dropped(reason) => Self::Dropped(reason),
            Handled::Data { peer, bytes } => Self::Data(peer, bytes.to_vec()),
            Handled::Icmp { peer, kind, code, data } => Self::Icmp(peer, kind, code, data),
        }
    }
}

pub(crate) fn stream(config: &mut Config) {
    config.transport = Transport::Stream;
}
