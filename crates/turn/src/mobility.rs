//! Allocations that move with their client (RFC 8016): made at the new address before they break at the old one.

use hmac::{Hmac, Mac};
use plenary_stun::{Attribute, ErrorCode, Message, Method};
use sha2::Sha256;

use crate::AllocationId;
use crate::FiveTuple;
use crate::allocation::Key;
use crate::answer::{Refusal, Request};
use crate::authenticate::{Session, Whose};
use crate::event::{Event, Released};
use crate::server::Server;
use crate::stream::Carries;

/// Bytes of a ticket: the allocation, which ticket of it, and a MAC.
pub(crate) const TICKET_LEN: usize = 28;

/// What a mobile allocation knows of its moves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mobility {
    /// The ticket that was given last. The one before it is good too, as the answer may have been lost.
    generation: u32,
    /// Where the client has asked from, and whence nothing has come yet but that.
    pub(crate) next: Option<FiveTuple>,
}

/// The key of tickets: of this server alone, as are its allocations.
pub(crate) struct Tickets(Hmac<Sha256>);

impl Tickets {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"))
    }

    fn write(&self, key: Key, generation: u32) -> [u8; TICKET_LEN] {
        let mut ticket = [0; TICKET_LEN];
        ticket[..8].copy_from_slice(&key.id().number().to_be_bytes());
        ticket[8..12].copy_from_slice(&generation.to_be_bytes());
        let mac = self.mac(&ticket[..12]).finalize().into_bytes();
        ticket[12..].copy_from_slice(&mac[..16]);
        ticket
    }

    fn read(&self, ticket: &[u8]) -> Option<(Key, u32)> {
        let (stated, mac) = ticket.split_first_chunk::<12>()?;
        if mac.len() != 16 || self.mac(stated).verify_truncated_left(mac).is_err() {
            return None;
        }
        let id = u64::from_be_bytes(*stated.first_chunk()?);
        let generation = u32::from_be_bytes(*stated.last_chunk()?);
        Some((Key::of(AllocationId::from_number(id)), generation))
    }

    fn mac(&self, stated: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(b"plenary-turn ticket");
        mac.update(stated);
        mac
    }
}

impl Server {
    /// RFC 8016 §3.1.2: whether a client asks for a ticket with its Allocate.
    pub(crate) fn wants_ticket(&self, message: &Message<'_>) -> Result<bool, Refusal> {
        match message.get(Attribute::MOBILITY_TICKET) {
            None => Ok(false),
            Some([]) if self.config.mobility => Ok(true),
            Some([]) => Err(ErrorCode::MOBILITY_FORBIDDEN.into()),
            Some(_) => Err(ErrorCode::BAD_REQUEST.into()),
        }
    }

    /// The newest ticket of an allocation, if it has any.
    pub(crate) fn ticket(&self, key: Key) -> Option<[u8; TICKET_LEN]> {
        self.allocations[key].mobility.map(|mobility| self.tickets.write(key, mobility.generation))
    }

    /// The allocation that a Refresh has a ticket for, and whether it is the newest. The last two are good.
    pub(crate) fn by_ticket(&self, message: &Message<'_>) -> Option<(Key, bool)> {
        let (key, generation) = self.tickets.read(message.get(Attribute::MOBILITY_TICKET)?)?;
        let mobility = self.allocations.get(key)?.mobility?;
        let is_newest = generation == mobility.generation;
        (is_newest || generation.wrapping_add(1) == mobility.generation).then_some((key, is_newest))
    }

    /// The allocation that a request is about, whose user has made it. RFC 8016 §3.2.2: by a ticket a Refresh takes it up from elsewhere; what is
    /// for the client still goes to where it was.
    pub(crate) fn allocation_of(&mut self, request: &Request<'_>, session: &Session) -> Result<Key, Refusal> {
        let own = self.allocations.of_client(&request.from);
        if request.message.method() != Method::REFRESH || request.message.get(Attribute::MOBILITY_TICKET).is_none() {
            let key = own.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
            self.check_owner(key, session)?;
            self.heard_from(key, &request.from);
            return Ok(key);
        }
        if !self.config.mobility {
            return Err(ErrorCode::MOBILITY_FORBIDDEN.into());
        }
        let (key, is_newest) = self.by_ticket(&request.message).ok_or(ErrorCode::BAD_REQUEST)?;
        if own.is_some_and(|own| own != key) {
            return Err(ErrorCode::ALLOCATION_MISMATCH.into());
        }
        self.check_owner(key, session)?;
        let allocation = &mut self.allocations[key];
        let Some(mobility) = allocation.mobility.as_mut() else { return Err(ErrorCode::BAD_REQUEST.into()) };
        if is_newest {
            // A retransmission has the one before, and gets this again.
            mobility.generation = mobility.generation.wrapping_add(1);
        }
        if allocation.tuple != request.from && mobility.next != Some(request.from) {
            if let Some(old) = mobility.next.replace(request.from) {
                self.allocations.forget_client(&old, key);
            }
            self.allocations.add_client(&request.from, key);
        }
        Ok(key)
    }

    fn check_owner(&self, key: Key, session: &Session) -> Result<(), Refusal> {
        let allocation = &self.allocations[key];
        let is_owner = match &session.user {
            Whose::Allocations => true,
            // The same name with another password: the user's was changed.
            Whose::Own(owner) => owner.username == allocation.owner.username,
        };
        if !is_owner {
            return Err(ErrorCode::WRONG_CREDENTIALS.into());
        }
        // Its sockets are still awaited: there is no allocation yet.
        if allocation.binding.is_some() { Err(ErrorCode::ALLOCATION_MISMATCH.into()) } else { Ok(()) }
    }

    /// Something has come from a client: if from where it has moved to, what is for it goes there from now on.
    pub(crate) fn heard_from(&mut self, key: Key, from: &FiveTuple) {
        let allocation = &mut self.allocations[key];
        let Some(mobility) = allocation.mobility.as_mut().filter(|mobility| mobility.next.is_some()) else { return };
        if mobility.next != Some(*from) {
            return;
        }
        mobility.next = None;
        allocation.is_away = false;
        let old = std::mem::replace(&mut allocation.tuple, *from);
        allocation.is_stream = self.streams.get(&from.flow).is_some_and(|it| it.carries == Carries::Stream);
        let account = allocation.owner.account();
        self.quota.give_back(account, old.remote);
        self.quota.take(account, from.remote);
        self.allocations.forget_client(&old, key);
        self.events.push_back(Event::Moved { allocation: key.id(), client: *from });
    }

    /// A client's connection is gone, and its allocation with it, unless it may come back or is elsewhere already.
    pub(crate) fn leave(&mut self, key: Key, from: &FiveTuple, reason: Released) {
        let allocation = &mut self.allocations[key];
        match allocation.mobility.as_mut() {
            _ if allocation.binding.is_some() => self.remove(key, None),
            None => self.remove(key, Some(reason)),
            Some(mobility) if mobility.next == Some(*from) => {
                mobility.next = None;
                self.allocations.forget_client(from, key);
            }
            Some(_) => allocation.is_away = true,
        }
    }
}
