//! Sockets that the caller binds.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use plenary_stun::{Class, ErrorCode, Method, Writer};
use plenary_wire::FlowId;

use crate::allocation::{Binding, Key, Relayed};
use crate::answer::{Reply, Signer, write_allocated};
use crate::event::{Event, RequestId};
use crate::server::{Flow, Server};
use crate::tuple::canonical;
use crate::{BindError, DropReason, Handled};

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address, which is IPv4 if it is one within an IPv6 address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// RFC 8489 §14.1.
    pub(crate) const fn number(self) -> u8 {
        self as u8 + 1
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::V4),
            2 => Some(Self::V6),
            _ => None,
        }
    }
}

/// Which port a socket should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortWish {
    /// Any.
    Any,
    /// An even one.
    Even,
    /// An even one, and a second socket with the port above it: [`Bound::next`].
    EvenAndNext,
}

/// A socket that was bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its flow, which is new to the server.
    pub flow: FlowId,
    /// What it is bound to.
    pub local: SocketAddr,
    /// The address by which peers reach it: the same, or that of a NAT in front of the server.
    pub relayed: SocketAddr,
    /// The flow of the socket with the next port, at the same addresses; it is for another allocation.
    pub next: Option<FlowId>,
}

impl Server {
    /// The answer to [`Event::Bind`]. If nobody waits for it any more, or it is not what was asked for, its sockets are to
    /// be closed again.
    pub fn handle_bound(
        &mut self,
        request: RequestId,
        answer: Result<Bound, BindError>,
        now: Instant,
    ) -> Handled<'static> {
        let Some(key) = self.binds.remove(&request) else {
            self.close_bound(answer.ok());
            return Handled::Consumed;
        };
        let Some(binding) = self.allocations[key].binding.as_mut() else {
            unreachable!("an allocation that is ready awaits nothing")
        };
        let awaited = binding.awaits.iter().position(|awaited| *awaited == Some(request));
        let family = Family::ALL[awaited.expect("the request is one of the two")];
        binding.awaits[family as usize] = None;
        let (even, reserves) = (binding.even, binding.reserves);
        let code = match answer {
            Ok(bound) if self.is_fit(&bound, family, even, reserves) => {
                self.take_bound(key, family, bound, now);
                None
            }
            Ok(bound) => {
                self.close_bound(Some(bound));
                Some(ErrorCode::INSUFFICIENT_CAPACITY)
            }
            Err(BindError::Family) => Some(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED),
            Err(BindError::NoPort | BindError::System) => Some(ErrorCode::INSUFFICIENT_CAPACITY),
        };
        let allocation = &mut self.allocations[key];
        if let Some(code) = code {
            allocation.answered.failed = Some((family, code));
        }
        if allocation.binding.as_ref().is_some_and(|binding| binding.awaits == [None; 2]) {
            let done = self.finish_allocate(key, now);
            return self.handled(done.map(|()| Handled::Consumed));
        }
        Handled::Consumed
    }

    fn is_fit(&self, bound: &Bound, family: Family, even: bool, reserves: bool) -> bool {
        let is_new = |flow: &FlowId| !self.flows.contains_key(flow);
        Family::of(bound.relayed.ip()) == family
            && bound.relayed.port() != 0
            && (!even || bound.relayed.port().is_multiple_of(2))
            && reserves == bound.next.is_some()
            && is_new(&bound.flow)
            && bound.next.iter().all(is_new)
            && self.allocations.at_relayed(canonical(bound.relayed)).is_none()
    }

    fn take_bound(&mut self, key: Key, family: Family, bound: Bound, now: Instant) {
        let bound = Bound { relayed: canonical(bound.relayed), ..bound };
        if let Some(next) = bound.next {
            let token = self.reserve(key, bound, next, now);
            self.allocations[key].answered.token = Some(token);
        }
        self.add_relay(key, family, bound.into());
    }

    pub(crate) fn add_relay(&mut self, key: Key, family: Family, relayed: Relayed) {
        self.flows.insert(relayed.flow, Flow::Relay(key, family));
        self.allocations.add_relayed(key, relayed);
        self.allocations[key].relays[family as usize] = Some(relayed);
        self.peers.add_own(relayed.address.ip());
        self.peers.add_own(relayed.local.ip());
    }

    fn close_bound(&mut self, bound: Option<Bound>) {
        let Some(bound) = bound else { return };
        for flow in [Some(bound.flow), bound.next].into_iter().flatten() {
            // A flow that is in use was given twice: the one that is in use stays.
            if !self.flows.contains_key(&flow) {
                self.events.push_back(Event::Close { flow });
            }
        }
    }

    /// All sockets are there, or will not be: the client gets its answer.
    pub(crate) fn finish_allocate(&mut self, key: Key, now: Instant) -> Result<(), DropReason> {
        let allocation = &mut self.allocations[key];
        let Some(binding) = allocation.binding.take() else { return Ok(()) };
        for (family, request) in Family::ALL.into_iter().zip(binding.awaits) {
            if let Some(request) = request {
                self.binds.remove(&request);
                allocation.answered.failed = Some((family, ErrorCode::INSUFFICIENT_CAPACITY));
            }
        }
        let Binding { key: user_key, mac, .. } = *binding;
        let signer = Signer { key: user_key, mac };
        let reply =
            Reply { to: allocation.tuple, method: Method::ALLOCATE, transaction: allocation.answered.transaction };
        if allocation.relays.iter().all(Option::is_none) {
            let failed = allocation.answered.failed.map(|(_, code)| code);
            self.remove(key, None);
            return self.refuse(&reply, &signer, failed.unwrap_or(ErrorCode::INSUFFICIENT_CAPACITY).into());
        }
        let lifetime = Duration::from_secs(allocation.answered.lifetime.into());
        allocation.expires = now + lifetime;
        self.counted.all.allocated += 1;
        self.look_at(key, now + lifetime);
        let allocation = &self.allocations[key];
        self.events.push_back(Event::Allocated {
            allocation: key.id(),
            username: allocation.owner.username.clone(),
            client: allocation.tuple,
            relayed: allocation.relays.map(|relayed| relayed.map(|relayed| relayed.address)),
        });
        self.answer_allocated(&reply, &signer, key)
    }

    pub(crate) fn answer_allocated(&mut self, reply: &Reply, signer: &Signer, key: Key) -> Result<(), DropReason> {
        let ticket = self.ticket(key);
        let Self { allocations, outbox, counted, .. } = self;
        counted.all.succeeded += 1;
        outbox.write(reply.to, |out| {
            let mut writer = Writer::new(Class::Success, reply.method, reply.transaction, out);
            write_allocated(&mut writer, &allocations[key], ticket);
            writer.integrity(&signer.key, signer.mac);
            writer.fingerprint();
        })
    }
}
