//! A client of the relay behind something that encrypts: it waits, with a deadline.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use plenary_relay::{Config, Identity, Relay};
use plenary_turn::client::{self, Handled, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};
use rcgen::{CertificateParams, KeyPair};

use crate::start::{FAR, PATIENCE, config};

/// What stands between a client and the relay.
pub(crate) trait Channel {
    const TRANSPORT: Transport;

    fn local(&self) -> SocketAddr;

    fn send(&mut self, message: &[u8]);

    /// One message; `None` if none comes until then, or it has ended.
    fn receive(&mut self, until: Instant) -> Option<Vec<u8>>;
}

/// A client with an allocation.
pub(crate) struct Client<C> {
    machine: client::Client,
    pub(crate) channel: C,
    data: Vec<(SocketAddr, Vec<u8>)>,
}

impl<C: Channel> Client<C> {
    pub(crate) fn allocated(channel: C, server: SocketAddr) -> Self {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).unwrap();
        let config = client::Config {
            entropy,
            server,
            local: channel.local(),
            transport: C::TRANSPORT,
            username: "user".to_owned(),
            password: "secret".to_owned(),
            ..client::Config::default()
        };
        let machine = client::Client::new(config, Instant::now()).unwrap();
        let mut client = Self { machine, channel, data: Vec::new() };
        client.run("an allocation", |client| client.machine.allocated().is_some());
        client
    }

    pub(crate) fn relayed(&self) -> SocketAddr {
        self.machine.allocated().and_then(|told| told.ipv4).expect("an allocation")
    }

    pub(crate) fn bind(&mut self, peer: SocketAddr) {
        self.machine.bind(peer, Instant::now()).unwrap();
        let head = |client: &mut Self| client.machine.wrap(peer, 0, Instant::now()).unwrap().head;
        self.run("a channel", |client| head(client).as_bytes().len() == 4);
    }

    pub(crate) fn send(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let mut out = Vec::new();
        self.machine.send(peer, bytes, Instant::now(), &mut out).unwrap();
        self.channel.send(&out);
    }

    /// What a peer has sent.
    pub(crate) fn expect(&mut self) -> (SocketAddr, Vec<u8>) {
        self.run("a datagram", |client| !client.data.is_empty());
        self.data.remove(0)
    }

    fn run(&mut self, what: &str, mut is_done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(self) {
            let now = Instant::now();
            assert!(now < deadline, "{what} does not come");
            self.machine.handle_timeout(now);
            let mut out = Vec::new();
            while let Some(transmit) = self.machine.poll_transmit(now, Limit::DATAGRAM, &mut out) {
                self.channel.send(transmit.bytes(&out));
            }
            let Some(mut bytes) = self.channel.receive(now + Duration::from_millis(100)) else { continue };
            let (remote, local) = (self.machine.server(), self.channel.local());
            let datagram = Datagram { flow: FlowId(0), local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
            if let Handled::Data { peer, bytes } = self.machine.handle_datagram(datagram, Instant::now()) {
                self.data.push((peer, bytes.to_vec()));
            }
        }
    }

    /// Sends datagrams to and fro, of these lengths.
    pub(crate) fn talk(&mut self, lengths: &[usize]) {
        let peer = peer();
        let address = peer.local_addr().unwrap();
        self.bind(address);
        let mut buffer = [0; 65_536];
        for (number, &length) in lengths.iter().enumerate() {
            let bytes = vec![number as u8; length];
            self.send(address, &bytes);
            let (count, from) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..count], from), (&bytes[..], self.relayed()));
            peer.send_to(&bytes[..length / 2], self.relayed()).unwrap();
            assert_eq!(self.expect(), (address, bytes[..length / 2].to_vec()));
        }
    }
}

pub(crate) fn peer() -> UdpSocket {
    let peer = UdpSocket::bind((FAR, 0)).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

/// A certificate for `localhost`, and its key, in PEM.
pub(crate) fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", BASE64_STANDARD.encode(der))
}

/// A relay of one thread that is reached by TLS alone, and its certificate.
pub(crate) fn relay(change: impl FnOnce(&mut Config)) -> (Relay, String) {
    let (certificate, key) = certificate();
    let mut config = config();
    config.listen_tls = std::mem::take(&mut config.listen);
    config.identity = Some(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap());
    change(&mut config);
    (Relay::start(config).unwrap(), certificate)
}
