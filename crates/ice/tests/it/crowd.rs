//! Several lite agents behind one socket, as the loop in the documentation of `Mux` drives them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_ice::{Agent, AgentKey, Credentials, Handled, LocalCandidate, Mux, Parameters};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

use crate::alone::PASSWORD;
use crate::lab::{address, lite_config};
use crate::raw::{self, check};

const FLOW: FlowId = FlowId(0);
const MEDIA: &[u8] = &[0x80, 96, 0, 0];

struct Crowd {
    mux: Mux,
    agents: BTreeMap<AgentKey, Agent>,
    now: Instant,
}

impl Crowd {
    fn new(addresses_max: usize) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; time is virtual")]
        let now = Instant::now();
        let (mut mux, mut agents) = (Mux::new([1; 32], addresses_max), BTreeMap::new());
        for number in 1..=2 {
            let mut agent = Agent::new(lite_config(number), now).unwrap();
            agent.add_local_candidate(LocalCandidate::host(FLOW, address("192.0.2.1:443")), now).unwrap();
            agent.set_remote_parameters(Parameters::new(Credentials::new("peer", PASSWORD).unwrap()), now);
            let key = AgentKey(number.into());
            mux.insert(agent.local_parameters().credentials.ufrag(), key).unwrap();
            agents.insert(key, agent);
        }
        Self { mux, agents, now }
    }

    /// The peer of an agent nominates from an address; or somebody who forges it.
    fn nominate(&mut self, agent: u64, from: &str) {
        let ours = self.agents[&AgentKey(agent)].local_parameters().credentials;
        let request = check(&ours, 1).with(raw::USE_CANDIDATE, &[]).signed(ours.password()).fingerprint();
        self.receive(address(from), request);
    }

    fn receive(&mut self, remote: SocketAddr, mut bytes: Vec<u8>) {
        let key = self.mux.route(FLOW, remote, &bytes).unwrap();
        let datagram =
            Datagram { flow: FLOW, local: address("192.0.2.1:443"), remote, ecn: Ecn::NotEct, bytes: &mut bytes };
        let agent = self.agents.get_mut(&key).unwrap();
        let handled = agent.handle_datagram(datagram, self.now);
        agent.poll_transmit(self.now, Limit::DATAGRAM, &mut Vec::new());
        if handled == Handled::Consumed && agent.is_proven(FLOW, remote) {
            let owner = self.mux.owner(FLOW, remote).and_then(|owner| self.agents.get(&owner));
            let heard = owner.and_then(|owner| owner.alive_at(FLOW, remote));
            if heard.is_none_or(|at| self.now.saturating_duration_since(at) > Duration::from_secs(10)) {
                self.mux.bind(FLOW, remote, key);
            }
        }
    }

    fn owner(&self, of: &str) -> Option<u64> {
        self.mux.route(FLOW, address(of), MEDIA).map(|key| key.0)
    }
}

// The trap: who is the peer of one agent forges the address of another's peer, and draws its media away.
#[test]
fn a_forged_address_is_not_taken_from_who_is_there() {
    let mut crowd = Crowd::new(4);
    crowd.nominate(1, "192.0.2.2:2000");
    for _ in 0..20 {
        crowd.now += Duration::from_secs(5);
        crowd.nominate(1, "192.0.2.2:2000");
        crowd.nominate(2, "192.0.2.2:2000");
        assert_eq!(crowd.owner("192.0.2.2:2000"), Some(1));
    }
    // A NAT gives the address to another host once the first is silent.
    crowd.now += Duration::from_secs(11);
    crowd.nominate(2, "192.0.2.2:2000");
    assert_eq!(crowd.owner("192.0.2.2:2000"), Some(2));
    assert_eq!(crowd.mux.owner(FLOW, address("192.0.2.2:2001")), None);
}

// The trap: the address in use is the oldest, and is pushed out by those that were only checked.
#[test]
fn an_address_that_was_pushed_out_comes_back_with_its_next_check() {
    let mut crowd = Crowd::new(2);
    for port in 2000..2003 {
        crowd.nominate(1, &format!("192.0.2.2:{port}"));
    }
    assert_eq!(crowd.owner("192.0.2.2:2000"), None);
    crowd.now += Duration::from_secs(1);
    crowd.nominate(1, "192.0.2.2:2000");
    assert_eq!(crowd.owner("192.0.2.2:2000"), Some(1));
    assert_eq!(crowd.mux.bound(), 2);
}
