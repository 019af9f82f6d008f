use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use plenary_stun::{Attribute, Class, Message, Method, ParseError};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};

use crate::admission::Admission;
use crate::allocation::{Bucket, Key};
use crate::allocations::Allocations;
use crate::answer::{Done, Refusal, Request};
use crate::authenticate::Session;
use crate::bind::Family;
use crate::config::{Config, SECRETS_MAX};
use crate::counters::Counted;
use crate::credentials::Credentials;
use crate::entropy::Entropy;
use crate::event::{Event, Released, RequestId};
use crate::flood::Flood;
use crate::handled::Handled;
use crate::mobility::Tickets;
use crate::nonce::Nonces;
use crate::outbox::Outbox;
use crate::peers::Peers;
use crate::pending::{Authenticated, Pending};
use crate::quota::{Counts, Quota};
use crate::reservation::Reservations;
use crate::settings::Settings;
use crate::stream::{Carries, Stream};
use crate::tcp::Connections;
use crate::timers::Timers;
use crate::tuple::{ByNumber, FiveTuple, Mixed, Places};
use crate::{AllocationId, ConfigError, Counters, DropReason, Error};

/// A TURN server (RFC 8656) for any number of clients.
///
/// Requests are answered by [`poll_transmit`](Self::poll_transmit). What is to be relayed is handed back by
/// [`handle_datagram`](Self::handle_datagram), to be sent at once.
pub struct Server {
    pub(crate) config: Settings,
    start: Instant,
    unix_time: Duration,
    pub(crate) places: Places,
    pub(crate) flows: ByNumber<FlowId, Flow>,
    pub(crate) allocations: Allocations,
    /// Sockets that are awaited, by request.
    pub(crate) binds: BTreeMap<RequestId, Key>,
    pub(crate) reservations: Reservations,
    pub(crate) pending: Pending,
    pub(crate) streams: ByNumber<FlowId, Stream>,
    /// How many of them are of which address.
    pub(crate) connected: Counts<IpAddr>,
    pub(crate) tcp: Connections,
    pub(crate) tickets: Tickets,
    pub(crate) credentials: Credentials,
    pub(crate) nonces: Nonces,
    pub(crate) peers: Peers,
    pub(crate) quota: Quota,
    pub(crate) flood: Flood,
    pub(crate) total: Bucket,
    pub(crate) entropy: Entropy,
    pub(crate) outbox: Outbox,
    pub(crate) events: VecDeque<Event>,
    pub(crate) timers: Timers<Timer>,
    pub(crate) counted: Counted,
    pub(crate) admission: Admission,
    requests: u64,
}

/// What a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Clients come in by it.
    Listener,
    /// The socket of an allocation.
    Relay(Key, Family),
    /// A socket that is kept for one.
    Reserved,
    /// A client's connection.
    Stream,
    /// A peer's connection (RFC 6062).
    Peer(u32),
    /// A client's connection that is joined with a peer's.
    Joined(u32),
}

/// Whose time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Allocation(Key),
    Reservation([u8; 8]),
    Pending(RequestId),
    Stream(FlowId),
    Connection(u32),
}

/// Where something of a client comes from.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) tuple: FiveTuple,
    /// The connection's kind; `None` is a datagram whose address is unproven.
    pub(crate) via: Option<Carries>,
    pub(crate) ecn: Ecn,
}

impl Server {
    /// A server without listeners: [`listen`](Self::listen).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is outside its range.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut entropy = Entropy::new(config.entropy);
        let places = Places::new(entropy.bytes());
        let nonce_key = [entropy.bytes::<32>()];
        let nonce_keys = if config.nonce_keys.is_empty() { &nonce_key[..] } else { &config.nonce_keys };
        Ok(Self {
            start: now,
            unix_time: config.unix_time,
            places,
            flows: ByNumber::with_hasher(Mixed::default()),
            allocations: Allocations::new(places),
            binds: BTreeMap::new(),
            reservations: Reservations::default(),
            pending: Pending::default(),
            streams: ByNumber::with_hasher(Mixed::default()),
            connected: Counts::new(),
            tcp: Connections::default(),
            tickets: Tickets::new(entropy.bytes()),
            nonces: Nonces::new(nonce_keys, config.nonce_lifetime.as_secs() as u32, config.secrets.is_empty()),
            peers: Peers::new(config.peers.clone()),
            quota: Quota::new(&config),
            flood: Flood::new(places, config.unauthenticated_per_second, now),
            total: Bucket::new(now),
            outbox: Outbox::new(config.answers_max as usize),
            events: VecDeque::new(),
            timers: Timers::new(),
            counted: Counted::default(),
            admission: Admission::Open,
            requests: 0,
            config: Settings::of(&config),
            credentials: Credentials::new(config.realm, config.users, config.secrets),
            entropy,
        })
    }

    /// Takes clients from a UDP socket.
    ///
    /// # Errors
    ///
    /// The flow is in use, or there are `Config::flows_max`.
    pub fn listen(&mut self, flow: FlowId, local: SocketAddr) -> Result<(), Error> {
        self.check_flow(flow)?;
        self.flows.insert(flow, Flow::Listener);
        self.peers.add_listener(local);
        Ok(())
    }

    pub(crate) fn check_flow(&self, flow: FlowId) -> Result<(), Error> {
        if self.flows.contains_key(&flow) {
            return Err(Error::FlowInUse);
        }
        // Those of relays have a limit of their own.
        if self.flows.len() - self.relays() >= self.config.flows_max as usize { Err(Error::Flows) } else { Ok(()) }
    }

    fn relays(&self) -> usize {
        self.reservations.len() + self.allocations.relays()
    }

    /// A datagram that came in by a listener, or by the socket of an allocation.
    pub fn handle_datagram<'d>(&mut self, datagram: Datagram<'d>, now: Instant) -> Handled<'d> {
        let handled = match self.flows.get(&datagram.flow) {
            Some(&Flow::Relay(key, family)) => self.handle_peer(key, family, datagram, now),
            Some(Flow::Listener) => {
                let Datagram { flow, local, remote, ecn, bytes } = datagram;
                let tuple = FiveTuple { flow, local, remote };
                self.handle_client(bytes, Source { tuple, via: None, ecn }, now)
            }
            Some(Flow::Stream) => {
                let tuple = self.streams.get(&datagram.flow).filter(|it| it.carries == Carries::Datagrams);
                match tuple.map(|stream| stream.tuple) {
                    Some(tuple) => {
                        let source = Source { tuple, via: Some(Carries::Datagrams), ecn: datagram.ecn };
                        self.handle_client(datagram.bytes, source, now)
                    }
                    None => Err(DropReason::UnknownFlow),
                }
            }
            Some(Flow::Reserved | Flow::Peer(_) | Flow::Joined(_)) | None => Err(DropReason::UnknownFlow),
        };
        self.handled(handled)
    }

    pub(crate) fn handled<'d>(&mut self, done: Result<Handled<'d>, DropReason>) -> Handled<'d> {
        done.unwrap_or_else(|reason| {
            self.counted.drop(reason);
            Handled::Dropped(reason)
        })
    }

    /// One message of a client, without the padding that it has in a stream.
    pub(crate) fn handle_client<'d>(
        &mut self,
        bytes: &'d [u8],
        source: Source,
        now: Instant,
    ) -> Result<Handled<'d>, DropReason> {
        match bytes.first() {
            Some(0x40..=0x4f) => self.channel_data(bytes, source.ecn, &source.tuple, now),
            Some(0..=3) => self.message(bytes, source, now),
            _ => Err(DropReason::NotTurn),
        }
    }

    fn message<'d>(&mut self, bytes: &'d [u8], source: Source, now: Instant) -> Result<Handled<'d>, DropReason> {
        let message = Message::parse(bytes).map_err(|error| match error {
            ParseError::NotStun => DropReason::NotTurn,
            ParseError::Fingerprint => DropReason::Fingerprint,
            ParseError::Length | ParseError::Attributes | ParseError::Value(_) => DropReason::Malformed,
        })?;
        let Source { tuple: from, via, ecn } = source;
        let request = Request { message, from, via };
        match (message.class(), message.method()) {
            (Class::Indication, Method::SEND) => return self.send_indication(&message, ecn, &from, now),
            // RFC 8489 §6.3.2: it keeps a binding of a NAT alive.
            (Class::Indication, Method::BINDING) => {}
            (Class::Request, Method::BINDING) => self.binding(&request, now)?,
            (Class::Request, method) if self.serves(method) => self.handle_request(&request, None, now)?,
            _ => return Err(DropReason::Method),
        }
        Ok(Handled::Consumed)
    }

    fn serves(&self, method: Method) -> bool {
        match method {
            Method::ALLOCATE | Method::REFRESH | Method::CREATE_PERMISSION | Method::CHANNEL_BIND => true,
            Method::CONNECT | Method::CONNECTION_BIND => self.config.tcp,
            _ => false,
        }
    }

    /// A request that is answered to who has proven itself. `told` is what the caller has said of it, if it was asked.
    pub(crate) fn handle_request(
        &mut self,
        request: &Request<'_>,
        told: Option<Authenticated>,
        now: Instant,
    ) -> Result<(), DropReason> {
        // Without room for an answer nothing is begun.
        self.outbox.check()?;
        let session = match self.authenticate(request, told, now) {
            Ok(session) => session,
            Err(unproven) => return self.answer_unproven(request, unproven, now),
        };
        let (reply, signer) = (request.reply(), session.signer);
        let unknown = request.message.unknown(is_known);
        if !unknown.is_empty() {
            return self.refuse(&reply, &signer, Refusal::Unknown(unknown));
        }
        // Some are answered later: once sockets are bound, or a peer is connected.
        let done = match reply.method {
            Method::ALLOCATE => self.allocate(request, session, now).map(|()| None),
            Method::CONNECTION_BIND => self.connection_bind(request, &session).map(|()| Some(Done::default())),
            _ => self.on_allocation(request, &session, now),
        };
        match done {
            Ok(Some(done)) => self.succeed(&reply, &signer, |writer| done.write(writer)),
            Ok(None) => Ok(()),
            Err(refusal) => self.refuse(&reply, &signer, refusal),
        }
    }

    /// A request about an allocation that is there (RFC 8656 §5).
    fn on_allocation(
        &mut self,
        request: &Request<'_>,
        session: &Session,
        now: Instant,
    ) -> Result<Option<Done>, Refusal> {
        let key = self.allocation_of(request, session)?;
        match request.message.method() {
            Method::REFRESH => return self.refresh(request, key, now).map(Some),
            Method::CREATE_PERMISSION => self.create_permission(request, key, now)?,
            Method::CONNECT => return self.connect(request, key, session.signer, now),
            _ => self.channel_bind(request, key, now)?,
        }
        Ok(Some(Done::default()))
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Allocation(key) => self.allocation_is_due(key, now),
                Timer::Reservation(token) => self.expire_reservation(&token),
                Timer::Pending(request) => self.expire_pending(request),
                Timer::Stream(flow) => self.stream_is_due(flow, now),
                Timer::Connection(id) => self.connection_is_due(id),
            }
        }
    }

    pub(crate) fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(&self, now: Instant) -> u64 {
        (self.unix_time + now.saturating_duration_since(self.start)).as_secs()
    }

    /// One answer, as [`Transmit`] says. May have more after any `handle_*`.
    pub fn poll_transmit(&mut self, _now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        self.outbox.poll(limit, out)
    }

    /// The next event. May have more after any `handle_*`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. Changes with any `handle_*`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What has happened.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counted.all
    }

    /// How many datagrams and messages were dropped for a reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.counted.dropped(reason)
    }

    /// How many requests were refused with a code, such as 401.
    #[must_use]
    pub fn refused(&self, code: u16) -> u64 {
        self.counted.refused(code)
    }

    /// How many allocations there are, with those whose sockets are awaited.
    #[must_use]
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// What an allocation has relayed; `None` if it is no more.
    #[must_use]
    pub fn usage(&self, allocation: AllocationId) -> Option<crate::Usage> {
        self.allocations.get(Key::of(allocation)).map(|allocation| allocation.usage)
    }

    /// Ends an allocation: its user may no more.
    pub fn revoke(&mut self, allocation: AllocationId) {
        let key = Key::of(allocation);
        if self.allocations.get(key).is_some_and(|allocation| allocation.binding.is_none()) {
            self.remove(key, Some(Released::Revoked));
        }
    }

    /// Replaces the keys of nonces; the first signs from now on, and the others verify. Keep the old one for
    /// `Config::nonce_lifetime`.
    ///
    /// # Errors
    ///
    /// There are none, or more than 4.
    pub fn set_nonce_keys(&mut self, keys: &[[u8; 32]]) -> Result<(), Error> {
        if !(1..=4).contains(&keys.len()) {
            return Err(Error::NonceKeys);
        }
        self.nonces.set_keys(keys);
        Ok(())
    }

    /// Replaces the secrets of time-limited names; without one there are no such names. Allocations that were made with
    /// another go on.
    ///
    /// # Errors
    ///
    /// There are more than 8: a wrong password costs two hashes for each.
    pub fn set_secrets(&mut self, secrets: Vec<Vec<u8>>) -> Result<(), Error> {
        if secrets.len() > SECRETS_MAX {
            return Err(Error::Secrets);
        }
        self.nonces.set_hides_names(secrets.is_empty());
        self.credentials.set_secrets(secrets);
        Ok(())
    }
}

/// The attributes that a server understands in a request; where one has no place it is ignored (RFC 8489 §6.3).
pub(crate) fn is_known(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::USERNAME
            | Attribute::USERHASH
            | Attribute::REALM
            | Attribute::NONCE
            | Attribute::MESSAGE_INTEGRITY
            | Attribute::MESSAGE_INTEGRITY_SHA256
            | Attribute::PASSWORD_ALGORITHM
            | Attribute::CHANNEL_NUMBER
            | Attribute::LIFETIME
            | Attribute::XOR_PEER_ADDRESS
            | Attribute::DATA
            | Attribute::REQUESTED_ADDRESS_FAMILY
            | Attribute::EVEN_PORT
            | Attribute::REQUESTED_TRANSPORT
            | Attribute::DONT_FRAGMENT
            | Attribute::RESERVATION_TOKEN
            | Attribute::CONNECTION_ID
    )
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("allocations", &self.allocations.len()).finish_non_exhaustive()
    }
}
