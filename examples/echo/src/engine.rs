//! All calls behind the one socket.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use plenary_ice::{AgentKey, Mux, Role};
use plenary_rtp::NtpTime;
use plenary_stream::NtpClock;
use plenary_transport::Certificate;
use plenary_wire::{Datagram, FlowId};

use crate::call::{Call, Local};
use crate::chance::draw;
use crate::options::Options;
use crate::refused::Refused;
use crate::socket::Outbox;

/// Calls at once; one takes up to 12 MB, half of it packets that may be asked for again, half messages. Those that have
/// ended make room.
const CALLS_MAX: usize = 64;

/// Addresses of one peer: as many as a full agent has candidates of it.
const ADDRESSES_MAX: usize = 80;

/// An address is taken from a call that has heard nothing from there for so long.
const ADDRESS_IDLE: Duration = Duration::from_secs(10);

/// Browsers make certificates for as long.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

pub(crate) struct Engine {
    local: Local,
    pub(crate) mux: Mux,
    /// A call's id is drawn at random: who knows it may change the call.
    calls: BTreeMap<AgentKey, Call>,
}

impl Engine {
    pub(crate) fn new(options: Options, address: SocketAddr, now: Instant) -> Result<Self, Box<dyn Error>> {
        let wall_clock = SystemTime::now();
        let certificate = Certificate::generate(wall_clock, CERTIFICATE_LIFETIME)?;
        let clock = NtpClock::new(now, NtpTime::from_unix(wall_clock.duration_since(SystemTime::UNIX_EPOCH)?));
        let mux = Mux::new(draw(), ADDRESSES_MAX);
        Ok(Self { local: Local { options, certificate, address, clock }, mux, calls: BTreeMap::new() })
    }

    /// A new call, by an offer of the peer's. Answers with its id and the answer.
    pub(crate) fn take_offer(&mut self, offer: &str, now: Instant) -> Result<(String, String), Refused> {
        let mut call = Call::new(&self.local, Role::Controlled, now)?;
        let answer = call.take_offer(offer, now)?;
        Ok((self.add(call)?, answer))
    }

    /// A new call, by an offer of ours. Answers with its id and the offer.
    pub(crate) fn make_offer(&mut self, now: Instant) -> Result<(String, String), Refused> {
        let mut call = Call::new(&self.local, Role::Controlling, now)?;
        let offer = call.make_offer(now);
        Ok((self.add(call)?, offer))
    }

    fn add(&mut self, call: Call) -> Result<String, Refused> {
        if self.calls.len() >= CALLS_MAX {
            let ended = self.calls.iter().find(|(_, call)| call.has_ended()).map(|(key, _)| *key);
            self.remove(ended.ok_or(Refused::TooManyCalls)?);
        }
        let key = AgentKey(u64::from_ne_bytes(draw()));
        self.mux.insert(&call.ufrag(), key)?;
        self.calls.insert(key, call);
        Ok(format!("{:016x}", key.0))
    }

    /// Another offer of the peer's in a call.
    pub(crate) fn take_offer_again(&mut self, id: &str, offer: &str, now: Instant) -> Result<String, Refused> {
        let call = self.call(id)?;
        let answer = call.take_offer(offer, now)?;
        let ufrag = call.ufrag();
        self.mux.insert(&ufrag, key(id)?)?;
        Ok(answer)
    }

    pub(crate) fn call(&mut self, id: &str) -> Result<&mut Call, Refused> {
        self.calls.get_mut(&key(id)?).ok_or(Refused::NoCall)
    }

    /// Ends a call; the goodbye leaves with the next [`drain`](Self::drain).
    pub(crate) fn hang_up(&mut self, id: &str, now: Instant) -> Result<(), Refused> {
        self.call(id)?.hang_up(now);
        Ok(())
    }

    fn remove(&mut self, key: AgentKey) {
        self.mux.remove(key);
        self.calls.remove(&key);
    }

    /// Ends all calls.
    pub(crate) fn close(&mut self, now: Instant) {
        self.calls.values_mut().for_each(|call| call.hang_up(now));
    }

    pub(crate) fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant, outbox: &mut Outbox) {
        let (flow, remote) = (datagram.flow, datagram.remote);
        let Some(key) = self.mux.route(flow, remote, datagram.bytes) else { return };
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.handle_datagram(datagram, now, outbox);
        if call.is_at(flow, remote) {
            self.bind(flow, remote, key, now);
        }
    }

    /// What comes from there without a ufrag is for this call, unless another one is alive there.
    fn bind(&mut self, flow: FlowId, remote: SocketAddr, key: AgentKey, now: Instant) {
        let owner = self.mux.owner(flow, remote);
        if owner == Some(key) {
            return;
        }
        let heard = owner.and_then(|owner| self.calls.get(&owner)?.heard_at(flow, remote));
        if heard.is_none_or(|at| now.saturating_duration_since(at) > ADDRESS_IDLE) {
            self.mux.bind(flow, remote, key);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for call in self.calls.values_mut().filter(|call| call.poll_timeout(now).is_some_and(|due| due <= now)) {
            call.handle_timeout(now);
        }
    }

    /// A server with thousands of calls would keep them in a queue by this time.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.calls.values().filter_map(|call| call.poll_timeout(now)).min()
    }

    /// Writes all that there is to send.
    pub(crate) fn drain(&mut self, now: Instant, outbox: &mut Outbox) {
        let mut checked = Vec::new();
        for (key, call) in &mut self.calls {
            call.drain(now, outbox, |flow, remote| checked.push((flow, remote, *key)));
        }
        // The answers to a full agent's checks have no ufrag.
        for (flow, remote, key) in checked {
            self.bind(flow, remote, key, now);
        }
    }
}

fn key(id: &str) -> Result<AgentKey, Refused> {
    u64::from_str_radix(id, 16).map(AgentKey).map_err(|_| Refused::NoCall)
}
