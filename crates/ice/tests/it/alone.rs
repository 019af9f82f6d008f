//! One agent, and the test in the place of network and peer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_ice::{Agent, Config, Credentials, DropReason, LocalCandidate, Parameters, Role};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit};

use crate::lab::{address, config, lite_config, ms};
use crate::raw::{self, check};

pub(crate) const FLOW: FlowId = FlowId(1);
pub(crate) const PASSWORD: &str = "peerpeerpeerpeerpeerpeer";

/// An agent at 192.0.2.1:1000; the test is the network and the peer, whose ufrag is `peer`.
pub(crate) struct Alone {
    pub(crate) agent: Agent,
    pub(crate) now: Instant,
    pub(crate) ours: Credentials,
}

impl Alone {
    pub(crate) fn new(config: Config) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; time is virtual")]
        let now = Instant::now();
        let mut agent = Agent::new(config, now).unwrap();
        agent.add_local_candidate(LocalCandidate::host(FLOW, address("192.0.2.1:1000")), now).unwrap();
        let ours = agent.local_parameters().credentials;
        Self { agent, now, ours }
    }

    pub(crate) fn full(role: Role) -> Self {
        let mut alone = Self::new(config(1, role));
        alone.parameters(false);
        alone
    }

    pub(crate) fn lite() -> Self {
        let mut alone = Self::new(lite_config(1));
        alone.parameters(false);
        alone
    }

    pub(crate) fn parameters(&mut self, renomination: bool) {
        let credentials = Credentials::new("peer", PASSWORD).unwrap();
        self.agent.set_remote_parameters(Parameters { renomination, ..Parameters::new(credentials) }, self.now);
    }

    pub(crate) fn candidate(&mut self, at: &str, priority: u32) {
        let at = address(at);
        let line = format!("candidate:1 1 udp {priority} {} {} typ host", at.ip(), at.port());
        self.agent.add_remote_candidate(line.parse().unwrap(), self.now);
    }

    pub(crate) fn receive(&mut self, from: &str, mut bytes: Vec<u8>) -> Result<(), DropReason> {
        let (local, remote) = (address("192.0.2.1:1000"), address(from));
        let datagram = Datagram { flow: FLOW, local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
        match self.agent.handle_datagram(datagram, self.now) {
            Handled::Consumed => Ok(()),
            Handled::Dropped(reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn sent(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        while let Some(transmit) = self.agent.poll_transmit(self.now, Limit::DATAGRAM, &mut out) {
            sent.push((transmit.remote, transmit.bytes(&out).to_vec()));
        }
        sent
    }

    /// The responses among what is sent now.
    pub(crate) fn answers(&mut self) -> Vec<u16> {
        let is_answer = |bytes: &Vec<u8>| bytes[0] == 1;
        self.sent().into_iter().map(|(_, bytes)| bytes).filter(is_answer).map(|bytes| raw::code(&bytes)).collect()
    }

    /// The next check that it sends, within 10 s.
    pub(crate) fn next_check(&mut self) -> (SocketAddr, Vec<u8>) {
        for _ in 0..10_000 {
            if let Some(check) = self.sent().into_iter().find(|(_, bytes)| bytes[0] == 0) {
                return check;
            }
            self.pass(ms(1));
        }
        panic!("no check in 10 s");
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.agent.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.agent.handle_timeout(self.now);
            if at < end {
                continue;
            }
            break;
        }
        self.now = end;
    }

    pub(crate) fn signed(&self, number: u8) -> Vec<u8> {
        check(&self.ours, number).signed(self.ours.password()).fingerprint()
    }

    pub(crate) fn nominating(&self, number: u8) -> Vec<u8> {
        check(&self.ours, number).with(raw::USE_CANDIDATE, &[]).signed(self.ours.password()).fingerprint()
    }

    pub(crate) fn selected(&self) -> Option<SocketAddr> {
        self.agent.selected().map(|selected| selected.remote)
    }
}
