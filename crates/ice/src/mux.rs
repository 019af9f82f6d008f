use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};

use plenary_wire::{FlowId, PacketKind};
use siphasher::sip::SipHasher13;

use crate::stun::request_ufrag;

/// The caller's name for an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentKey(pub u64);

/// Tells which of many agents behind one UDP flow, or a few, a datagram is for.
///
/// A STUN request is routed by the ufrag in it, whatever address it comes from; so a known peer may move. Everything
/// else is routed by the address that it comes from. Addresses are bound by the caller, after each datagram that an
/// agent has consumed and that leaves the peer proven there ([`Agent::alive_at`](crate::Agent::alive_at)): strangers
/// can't make the tables grow. An address of another agent is taken over only if that agent has not heard its peer there
/// for a while; else a peer that forges source addresses could draw the media of others to itself, and so cut them off.
///
/// ```
/// use plenary_ice::{AgentKey, Mux};
/// use plenary_wire::FlowId;
///
/// let mut mux = Mux::new([7; 32], 16);
/// let peer = "192.0.2.1:5000".parse().unwrap();
/// mux.insert("abcdefgh", AgentKey(1)).unwrap();
/// mux.bind(FlowId(0), peer, AgentKey(1));
/// assert_eq!(mux.route(FlowId(0), peer, &[0x80, 96, 0, 0]), Some(AgentKey(1)));
/// mux.remove(AgentKey(1));
/// assert_eq!(mux.route(FlowId(0), peer, &[0x80, 96, 0, 0]), None);
/// ```
///
/// The loop of a server, for each datagram:
///
/// ```
/// # use std::{collections::HashMap, time::{Duration, Instant}};
/// # use plenary_ice::{Agent, AgentKey, Handled, Mux};
/// # use plenary_wire::Datagram;
/// fn receive(mux: &mut Mux, agents: &mut HashMap<AgentKey, Agent>, datagram: Datagram<'_>, now: Instant) {
///     let (flow, remote) = (datagram.flow, datagram.remote);
///     let Some(key) = mux.route(flow, remote, datagram.bytes) else { return };
///     // Media and DTLS are the caller's own; STUN is the agent's.
///     let Some(agent) = agents.get_mut(&key) else { return };
///     if agent.handle_datagram(datagram, now) == Handled::Consumed && agent.is_proven(flow, remote) {
///         let owner = mux.owner(flow, remote).and_then(|owner| agents.get(&owner));
///         let heard = owner.and_then(|owner| owner.alive_at(flow, remote));
///         if heard.is_none_or(|at| now.saturating_duration_since(at) > Duration::from_secs(10)) {
///             mux.bind(flow, remote, key);
///         }
///     }
///     // Then drain the agent. After a restart, `insert` its new ufrag; once it has ended, `remove` it.
/// }
/// # let _ = receive;
/// ```
///
/// What answers the checks of a *full* agent is routed by address too: bind where they go before they do. They are the
/// transmits that begin with the bytes 0 and 1 (RFC 8489 §5). Of the others some go to strangers, who may not bind.
pub struct Mux {
    by_ufrag: HashMap<Box<str>, AgentKey, Keyed>,
    /// By keyed hash of flow and address: entries of 16 bytes, of which 100,000 fit a core's cache. That two of the
    /// addresses share a hash has a chance of 2^-64 per pair, and would only bring an agent what it can't authenticate.
    by_address: HashMap<u64, AgentKey, AsIs>,
    address_hash: SipHasher13,
    agents: HashMap<AgentKey, Entry, Keyed>,
    addresses_max: usize,
}

/// What an agent has in the tables.
#[derive(Debug, Default)]
struct Entry {
    /// Two after a restart.
    ufrags: Vec<Box<str>>,
    /// Oldest first.
    addresses: Vec<u64>,
}

/// The ufrag belongs to another agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ufrag belongs to another agent")]
pub struct UfragTaken;

impl Mux {
    /// `entropy` keys the hashes, so that nobody can choose addresses that collide. Each agent has up to
    /// `addresses_max` addresses (at least 1); the oldest make room.
    pub fn new(entropy: [u8; 32], addresses_max: usize) -> Self {
        let key = |at: usize| entropy[at..at + 16].first_chunk().copied().expect("16 bytes were taken");
        let by_name = Keyed(key(0));
        Self {
            by_ufrag: HashMap::with_hasher(by_name.clone()),
            by_address: HashMap::with_hasher(AsIs(0)),
            address_hash: SipHasher13::new_with_key(&key(16)),
            agents: HashMap::with_hasher(by_name),
            addresses_max: addresses_max.max(1),
        }
    }

    /// Routes requests with this ufrag, which is the agent's own, to `agent`. After a restart the agent has two; more
    /// than that push out the oldest.
    ///
    /// # Errors
    ///
    /// [`UfragTaken`] if it is another agent's.
    pub fn insert(&mut self, ufrag: &str, agent: AgentKey) -> Result<(), UfragTaken> {
        match self.by_ufrag.get(ufrag) {
            Some(&owner) if owner == agent => return Ok(()),
            Some(_) => return Err(UfragTaken),
            None => {}
        }
        self.by_ufrag.insert(ufrag.into(), agent);
        let entry = self.agents.entry(agent).or_default();
        if entry.ufrags.len() == 2 {
            let oldest = entry.ufrags.remove(0);
            self.by_ufrag.remove(&oldest);
        }
        entry.ufrags.reserve_exact(1);
        entry.ufrags.push(ufrag.into());
        Ok(())
    }

    /// Routes what comes from this address to the agent, which has authenticated a request from there. An address has
    /// one agent, the newest: see [`owner`](Self::owner) for whom it would be taken from. An agent that was not inserted
    /// gets none.
    pub fn bind(&mut self, flow: FlowId, remote: SocketAddr, agent: AgentKey) {
        let address = self.place(flow, remote);
        if !self.agents.contains_key(&agent) {
            return;
        }
        match self.by_address.insert(address, agent) {
            Some(owner) if owner == agent => return,
            Some(owner) => {
                if let Some(other) = self.agents.get_mut(&owner) {
                    other.addresses.retain(|it| *it != address);
                }
            }
            None => {}
        }
        let entry = self.agents.entry(agent).or_default();
        if entry.addresses.len() >= self.addresses_max {
            let oldest = entry.addresses.remove(0);
            self.by_address.remove(&oldest);
        }
        entry.addresses.reserve_exact(1);
        entry.addresses.push(address);
    }

    /// The agent that an address is bound to.
    pub fn owner(&self, flow: FlowId, remote: SocketAddr) -> Option<AgentKey> {
        self.by_address.get(&self.place(flow, remote)).copied()
    }

    /// Forgets all of an agent. Nothing happens if it is not there.
    pub fn remove(&mut self, agent: AgentKey) {
        let Some(entry) = self.agents.remove(&agent) else { return };
        for ufrag in entry.ufrags {
            self.by_ufrag.remove(&ufrag);
        }
        for address in entry.addresses {
            self.by_address.remove(&address);
        }
    }

    /// The agent that a datagram is for. Nothing is proven by it, and nothing changes.
    pub fn route(&self, flow: FlowId, remote: SocketAddr, bytes: &[u8]) -> Option<AgentKey> {
        if PacketKind::of(bytes) == Some(PacketKind::Stun)
            && let Some(ufrag) = request_ufrag(bytes)
        {
            return self.by_ufrag.get(std::str::from_utf8(ufrag).ok()?).copied();
        }
        self.owner(flow, remote)
    }

    /// As few bytes as tell one address from another, as the hash is what a look-up costs beside its cache misses.
    fn place(&self, flow: FlowId, remote: SocketAddr) -> u64 {
        let mut bytes = [0; 22];
        bytes[..4].copy_from_slice(&flow.0.to_ne_bytes());
        bytes[4..6].copy_from_slice(&remote.port().to_ne_bytes());
        match remote.ip().to_canonical() {
            IpAddr::V4(ip) => {
                bytes[6..10].copy_from_slice(&ip.octets());
                self.address_hash.hash(&bytes[..10])
            }
            IpAddr::V6(ip) => {
                bytes[6..].copy_from_slice(&ip.octets());
                self.address_hash.hash(&bytes)
            }
        }
    }

    /// How many addresses are bound.
    pub fn bound(&self) -> usize {
        self.by_address.len()
    }
}

impl fmt::Debug for Mux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mux").field("agents", &self.agents.len()).field("bound", &self.bound()).finish_non_exhaustive()
    }
}

/// A place is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("places are written as one number")
    }

    fn write_u64(&mut self, place: u64) {
        self.0 = place;
    }
}

impl BuildHasher for AsIs {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

/// SipHash-1-3 with a secret key.
#[derive(Clone)]
struct Keyed([u8; 16]);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenary_stun::{Attribute, Class, TransactionId};

    use crate::stun::binding;

    const FLOW: FlowId = FlowId(0);
    const MEDIA: &[u8] = &[0x80, 96, 0, 0];

    fn peer(number: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], number))
    }

    fn request(username: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = binding(Class::Request, TransactionId([0; 12]), &mut out);
        writer.attribute(Attribute::USERNAME, &[username.as_bytes()]);
        writer.fingerprint();
        out
    }

    fn mux() -> Mux {
        let mut mux = Mux::new([1; 32], 2);
        mux.insert("one", AgentKey(1)).unwrap();
        mux.insert("two", AgentKey(2)).unwrap();
        mux
    }

    #[test]
    fn requests_go_by_ufrag_even_from_a_known_address() {
        let mut mux = mux();
        mux.bind(FLOW, peer(1), AgentKey(1));
        assert_eq!(mux.route(FLOW, peer(1), &request("two:x")), Some(AgentKey(2)));
        assert_eq!(mux.route(FLOW, peer(9), &request("one:x")), Some(AgentKey(1)));
        assert_eq!(mux.route(FLOW, peer(9), &request("three:x")), None);
        assert_eq!(mux.route(FLOW, peer(9), &request("no colon")), None);
        let long = "u".repeat(257);
        mux.insert(&long, AgentKey(3)).unwrap();
        assert_eq!(mux.route(FLOW, peer(9), &request(&format!("{long}:x"))), None, "no ufrag is that long");
        assert_eq!(mux.route(FLOW, peer(1), MEDIA), Some(AgentKey(1)));
        assert_eq!(mux.route(FlowId(1), peer(1), MEDIA), None, "an address is one of its flow");
    }

    #[test]
    fn routing_binds_nothing() {
        let mux = mux();
        for port in 1..1000 {
            assert_eq!(mux.route(FLOW, peer(port), &request("one:x")), Some(AgentKey(1)));
        }
        assert_eq!(mux.bound(), 0);
    }

    #[test]
    fn a_peer_that_moves_leaves_its_oldest_address() {
        let mut mux = mux();
        for port in 1..=3 {
            mux.bind(FLOW, peer(port), AgentKey(1));
        }
        assert_eq!(mux.bound(), 2);
        assert_eq!(mux.route(FLOW, peer(1), MEDIA), None);
        assert_eq!(mux.route(FLOW, peer(3), MEDIA), Some(AgentKey(1)));
    }

    #[test]
    fn an_address_goes_to_who_authenticated_last() {
        let mut mux = mux();
        mux.bind(FLOW, peer(1), AgentKey(1));
        mux.bind(FLOW, peer(1), AgentKey(2));
        assert_eq!(mux.route(FLOW, peer(1), MEDIA), Some(AgentKey(2)));
        mux.remove(AgentKey(1));
        assert_eq!(mux.route(FLOW, peer(1), MEDIA), Some(AgentKey(2)), "the first has no part in it any more");
        mux.bind(FLOW, peer(2), AgentKey(1));
        assert_eq!(mux.route(FLOW, peer(2), MEDIA), None, "a removed agent binds nothing");
    }

    #[test]
    fn a_restart_has_two_ufrags_for_a_while() {
        let mut mux = mux();
        mux.insert("one-b", AgentKey(1)).unwrap();
        assert_eq!(mux.route(FLOW, peer(1), &request("one:x")), Some(AgentKey(1)));
        mux.insert("one-c", AgentKey(1)).unwrap();
        assert_eq!(mux.route(FLOW, peer(1), &request("one:x")), None);
        assert_eq!(mux.insert("one-c", AgentKey(2)), Err(UfragTaken));
        assert_eq!(mux.insert("one-c", AgentKey(1)), Ok(()));
        mux.remove(AgentKey(1));
        assert_eq!(mux.insert("one-c", AgentKey(2)), Ok(()));
    }

    #[test]
    fn a_mapped_address_is_the_same_address() {
        let mut mux = mux();
        mux.bind(FLOW, "[::ffff:192.0.2.1]:1".parse().unwrap(), AgentKey(1));
        assert_eq!(mux.route(FLOW, peer(1), MEDIA), Some(AgentKey(1)));
    }
}
