//! Requests that wait for the caller to say whose they are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use plenary_stun::{ErrorCode, Message};

use crate::answer::Request;
use crate::authenticate::name_of;
use crate::credentials::{Keys, Name};
use crate::event::{Event, Identity, RequestId};
use crate::quota::{Counts, counted};
use crate::server::{Server, Timer};
use crate::stream::Carries;
use crate::tuple::FiveTuple;
use crate::{DropReason, Handled};

/// Bytes of a request that may wait: any that is meant has less, with the longest names.
const REQUEST_MAX: usize = 2048;

/// The part of those that may wait that are of one client address: it takes several to keep all others out.
const SHARE: u32 = 8;

/// The caller's answer: a user that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Its name: the one that was asked for, or that whose hash was.
    pub username: Vec<u8>,
    /// What its requests must be signed with.
    pub keys: Keys,
}

/// The caller's answer: there is no such user, or it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied;

/// Requests of clients that have shown a nonce, but no password that is known here.
#[derive(Default)]
pub(crate) struct Pending {
    requests: BTreeMap<RequestId, Waiting>,
    /// By client and transaction: a retransmission asks for nothing.
    known: BTreeMap<(u64, [u8; 12]), RequestId>,
    of_address: Counts<IpAddr>,
}

struct Waiting {
    bytes: Box<[u8]>,
    from: FiveTuple,
    via: Option<Carries>,
    deadline: Instant,
    known_as: (u64, [u8; 12]),
}

impl Server {
    pub(crate) fn ask(&mut self, request: &Request<'_>, now: Instant) -> Result<(), DropReason> {
        let bytes = request.message.bytes();
        let Ok(name) = name_of(&request.message) else { return Err(DropReason::Malformed) };
        if bytes.len() > REQUEST_MAX {
            return self.refuse_stranger(request, ErrorCode::BAD_REQUEST, now);
        }
        let known_as = (self.places.of_client(&request.from), request.message.transaction().0);
        if self.pending.known.contains_key(&known_as) {
            return Ok(());
        }
        let (most, address) = (self.config.pending_max, counted(request.from.remote.ip()));
        let is_full = self.pending.requests.len() >= most as usize;
        if is_full || self.pending.of_address.get(&address) >= most.div_ceil(SHARE) {
            return Err(DropReason::PendingLimit);
        }
        let id = self.next_request();
        let deadline = now + self.config.answer_within;
        let Request { from, via, .. } = *request;
        self.pending.requests.insert(id, Waiting { bytes: bytes.into(), from, via, deadline, known_as });
        self.pending.known.insert(known_as, id);
        self.pending.of_address.add(address);
        self.timers.add(deadline, Timer::Pending(id));
        let identity = match name {
            Name::Plain(name) => Identity::Username(name.into()),
            Name::Hash(hash) => Identity::Userhash(hash),
        };
        self.events.push_back(Event::Authenticate { request: id, client: from.remote, identity });
        Ok(())
    }

    /// The answer to [`Event::Authenticate`]. One that comes too late changes nothing: the client tries again.
    pub fn handle_authenticated(
        &mut self,
        request: RequestId,
        answer: Result<Authenticated, Denied>,
        now: Instant,
    ) -> Handled<'static> {
        let Some(waiting) = self.forget_pending(request) else { return Handled::Consumed };
        self.timers.remove(waiting.deadline, Timer::Pending(request));
        // Who has closed its connection meanwhile is not there any more.
        if waiting.via.is_some() && !self.streams.contains_key(&waiting.from.flow) {
            return Handled::Consumed;
        }
        let message = Message::parse(&waiting.bytes).expect("it was parsed before it waited");
        let request = Request { message, from: waiting.from, via: waiting.via };
        let done = match answer {
            Ok(authenticated) => self.handle_request(&request, Some(authenticated), now),
            Err(Denied) => self.challenge(&request, ErrorCode::UNAUTHENTICATED, now),
        };
        self.handled(done.map(|()| Handled::Consumed))
    }

    /// Forgets a request whose time is over: its client hears nothing, and asks again.
    pub(crate) fn expire_pending(&mut self, request: RequestId) {
        self.forget_pending(request);
    }

    fn forget_pending(&mut self, request: RequestId) -> Option<Waiting> {
        let waiting = self.pending.requests.remove(&request)?;
        self.pending.known.remove(&waiting.known_as);
        self.pending.of_address.take(&counted(waiting.from.remote.ip()));
        Some(waiting)
    }
}
