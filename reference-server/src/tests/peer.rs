//! The media of a client: a transport on a socket.

use std::net::UdpSocket;
use std::time::{Duration, Instant, SystemTime};

use plenary_ice::{Candidate, Credentials, LocalCandidate, Role};
use plenary_transport::{Certificate, CloseReason, Config, Fingerprint, Parameters, Setup, Transport};
use plenary_turn::client;
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

use super::PATIENCE;
use crate::chance::draw;
use crate::meeting::tests::answer_to;

pub(super) struct Peer {
    transport: Transport,
    socket: UdpSocket,
}

impl Peer {
    /// Takes the server's side of an offer, and says the answer. With a relay's name and password it comes by nothing else.
    pub(super) fn answer(offer: &str, relay: Option<client::Config>) -> (Self, String) {
        let now = Instant::now();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let certificate = Certificate::generate(SystemTime::now(), Duration::from_secs(3600)).unwrap();
        let mut config = Config::new(certificate, draw());
        config.ice.role = Role::Controlling;
        let mut transport = Transport::new(config, now).unwrap();
        let address = socket.local_addr().unwrap();
        match relay {
            Some(relay) => {
                let relay = client::Config { entropy: draw(), flow: FlowId(0), local: address, ..relay };
                transport.add_relay(FlowId(1), relay, now).unwrap();
            }
            None => transport.add_local_candidate(LocalCandidate::host(FlowId(0), address), now).unwrap(),
        }
        transport.end_local_candidates(now);

        let line = |key: &str| offer.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        let credentials = Credentials::new(line("a=ice-ufrag:"), line("a=ice-pwd:")).unwrap();
        let mut ice = plenary_ice::Parameters::new(credentials);
        ice.lite = true;
        let fingerprints = vec![Fingerprint::parse(line("a=fingerprint:")).unwrap()];
        let parameters = Parameters { ice, fingerprints, setup: Setup::Passive, data: None };
        transport.set_remote(parameters, now).unwrap();
        for candidate in offer.lines().filter_map(|line| line.strip_prefix("a=candidate:")) {
            transport.add_remote_candidate(Candidate::parse(&format!("candidate:{candidate}")).unwrap(), now);
        }
        transport.end_remote_candidates(now);

        let own = transport.local_parameters();
        let answer = answer_to(offer, 1);
        let lines = answer.lines().map(|line| match line.split_once(':') {
            Some(("a=ice-ufrag", _)) => format!("a=ice-ufrag:{}\r\n", own.ice.credentials.ufrag()),
            Some(("a=ice-pwd", _)) => format!("a=ice-pwd:{}\r\n", own.ice.credentials.password()),
            Some(("a=fingerprint", _)) => format!("a=fingerprint:{}\r\n", own.fingerprints[0]),
            _ => format!("{line}\r\n"),
        });
        let answer = lines.collect();
        (Self { transport, socket }, answer)
    }

    pub(super) const fn closed(&self) -> Option<CloseReason> {
        self.transport.closed()
    }

    /// Goes on until it has come to this.
    pub(super) async fn run_until(mut self, is_done: fn(&Transport) -> bool) -> Self {
        let run = move || {
            let start = Instant::now();
            while !is_done(&self.transport) {
                assert!(start.elapsed() < PATIENCE, "{:?}", self.transport);
                self.turn();
            }
            self
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    fn turn(&mut self) {
        let mut out = Vec::new();
        while let Some(transmit) = self.transport.poll_transmit(Instant::now(), Limit::DATAGRAM, &mut out) {
            self.socket.send_to(transmit.bytes(&out), transmit.remote).unwrap();
            out.clear();
        }
        while self.transport.poll_event().is_some() {}
        let mut bytes = [0; 1500];
        if let Ok((len, remote)) = self.socket.recv_from(&mut bytes) {
            let (flow, local, ecn) = (FlowId(0), self.socket.local_addr().unwrap(), Ecn::NotEct);
            let datagram = Datagram { flow, local, remote, ecn, bytes: &mut bytes[..len] };
            let _ = self.transport.handle_datagram(datagram, Instant::now());
        }
        if self.transport.poll_timeout().is_some_and(|due| due <= Instant::now()) {
            self.transport.handle_timeout(Instant::now());
        }
    }
}
