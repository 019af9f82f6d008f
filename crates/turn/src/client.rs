//! A client of a TURN server (RFC 8656): one allocation, by which peers are reached that nothing else reaches.
//!
//! See the crate's front page for how to drive it.

mod authentication;
mod channels;
mod config;
mod data;
mod deframer;
mod error;
mod event;
mod lifetime;
mod permissions;
mod request;
mod response;
mod transaction;

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use plenary_stun::{Class, Method, TransactionId, Writer};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};

pub use self::config::{Config, Families, Transport};
pub use self::data::{Envelope, Handled};
pub use self::deframer::Deframer;
pub use self::error::{ConfigError, DropReason, Error, StreamError};
pub use self::event::{Allocated, Event, Failure};

use self::authentication::Authentication;
use self::channels::Channels;
use self::config::is_sendable;
use self::lifetime::Allocation;
use self::permissions::Permissions;
use self::transaction::{Purpose, Transaction};
use crate::entropy::Entropy;
use crate::tuple::canonical;

/// One allocation on a TURN server, from the request for it to its release.
pub struct Client {
    config: Config,
    server: SocketAddr,
    /// Servers that were asked, the present one last.
    asked: Vec<SocketAddr>,
    path: Path,
    /// Where the allocation was before it has moved here: some may still be on its way there.
    path_before: Option<Path>,
    state: State,
    /// Whether the server keeps datagrams from being fragmented: it has not said no.
    dont_fragment: bool,
    /// Whether it may give a ticket, likewise.
    mobility: bool,
    authentication: Option<Authentication>,
    transactions: Vec<Transaction>,
    permissions: Permissions,
    channels: Channels,
    entropy: Entropy,
    events: VecDeque<Event>,
    /// When something was last sent to the server.
    sent_at: Instant,
    keep_alive_is_due: bool,
    dropped: [u64; DropReason::COUNT],
}

/// By which socket and address of ours the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) flow: FlowId,
    pub(crate) local: SocketAddr,
}

#[derive(Debug)]
enum State {
    Allocating,
    Allocated(Allocation),
    Releasing { until: Instant },
    Ended,
}

impl Client {
    /// A client that asks for an allocation at once: [`poll_transmit`](Self::poll_transmit).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is outside its range.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let server = canonical(config.server);
        let mut client = Self {
            server,
            asked: vec![server],
            path: Path { flow: config.flow, local: config.local },
            path_before: None,
            state: State::Allocating,
            dont_fragment: config.dont_fragment,
            mobility: config.mobility,
            authentication: None,
            transactions: Vec::new(),
            permissions: Permissions::new(config.permissions_max),
            channels: Channels::new(config.channels_max),
            entropy: Entropy::new(config.entropy),
            events: VecDeque::new(),
            sent_at: now,
            keep_alive_is_due: false,
            dropped: [0; DropReason::COUNT],
            config,
        };
        client.begin(Purpose::Allocate, 0, now);
        Ok(client)
    }

    /// The server that is asked: that of the configuration, unless it has sent the client to another.
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// What the server has given, while it is there.
    pub const fn allocated(&self) -> Option<&Allocated> {
        match &self.state {
            State::Allocated(allocation) => Some(&allocation.told),
            _ => None,
        }
    }

    /// Whether all is over: there was [`Event::Failed`] or [`Event::Closed`], and nothing comes any more.
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// How many datagrams were dropped for this reason.
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Takes in a datagram of the server, or one message of its stream ([`Deframer`]; `remote` is the server then). A
    /// peer's data is handed back where it lies. What is [`DropReason::NotServer`] is untouched, for somebody else.
    pub fn handle_datagram<'d>(&mut self, datagram: Datagram<'d>, now: Instant) -> Handled<'d> {
        self.take(datagram, now).unwrap_or_else(|reason| {
            let count = &mut self.dropped[reason as usize];
            *count = count.saturating_add(1);
            Handled::Dropped(reason)
        })
    }

    fn take<'d>(&mut self, datagram: Datagram<'d>, now: Instant) -> Result<Handled<'d>, DropReason> {
        let Datagram { flow, remote, bytes, .. } = datagram;
        if !self.expects(flow, remote) {
            return Err(DropReason::NotServer);
        }
        if self.is_ended() {
            return Err(DropReason::Ended);
        }
        match bytes.first() {
            Some(0x40..=0x4f) => self.take_channel_data(bytes, now),
            Some(0..=3) => self.take_message(bytes, now),
            _ => Err(DropReason::NotTurn),
        }
    }

    /// Whether what comes by this flow from there is from the server.
    pub fn expects(&self, flow: FlowId, remote: SocketAddr) -> bool {
        let moves = || self.transactions.iter().map(|it| it.path).chain(self.path_before).any(|it| it.flow == flow);
        (flow == self.path.flow || moves()) && (remote == self.server || canonical(remote) == self.server)
    }

    /// The server's stream has ended, and with it the allocation.
    pub fn handle_closed(&mut self, flow: FlowId) {
        if flow == self.path.flow && self.config.transport == Transport::Stream {
            match self.state {
                State::Allocating | State::Allocated(_) => self.fail(Failure::StreamClosed),
                State::Releasing { .. } => self.end(Event::Closed),
                State::Ended => {}
            }
        }
    }

    /// The instant of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if matches!(self.state, State::Releasing { until } if until <= now) {
            self.end(Event::Closed);
        }
        let transport = self.config.transport;
        while let Some(index) = self.transactions.iter().position(|it| it.due_at().is_some_and(|due| due <= now)) {
            if self.transactions[index].is_over(transport) {
                let transaction = self.transactions.remove(index);
                self.unanswered(&transaction.purpose, now);
            }
        }
        self.keep_allocation(now);
        if self.keep_alive_at().is_some_and(|due| due <= now) {
            self.keep_alive_is_due = true;
        }
        self.ask(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); changed by every other call but the pure accessors.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let transactions = self.transactions.iter().filter_map(Transaction::due_at).min();
        let rest = match &self.state {
            State::Allocated(allocation) => {
                let tables =
                    if self.has_room() { [self.permissions.due_at(), self.channels.due_at()] } else { [None; 2] };
                let of_allocation = [Some(allocation.expires_at), allocation.refresh_at, self.keep_alive_at()];
                tables.into_iter().chain(of_allocation).flatten().min()
            }
            State::Releasing { until } => Some(*until),
            State::Allocating | State::Ended => None,
        };
        transactions.into_iter().chain(rest).min()
    }

    fn keep_alive_at(&self) -> Option<Instant> {
        let is_used = matches!(self.state, State::Allocated(_)) && self.config.transport == Transport::Datagrams;
        let keep_alive = self.config.keep_alive.filter(|_| is_used && !self.keep_alive_is_due);
        keep_alive.map(|keep_alive| self.sent_at + keep_alive)
    }

    /// Writes the next request, if there is one and it fits. On a stream it is the next piece of it.
    pub fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        self.ask(now);
        if limit.segments == 0 {
            return None;
        }
        let start = out.len();
        let next = self.transactions.iter_mut().find(|it| it.is_queued && it.bytes.len() <= limit.bytes);
        let path = if let Some(transaction) = next {
            out.extend_from_slice(&transaction.bytes);
            transaction.sent(self.config.transport, self.config.retransmit, now);
            transaction.path
        } else if self.keep_alive_is_due && limit.bytes >= KEEP_ALIVE_LEN {
            let transaction = TransactionId(self.entropy.transaction());
            Writer::new(Class::Indication, Method::BINDING, transaction, out).fingerprint();
            self.path
        } else {
            return None;
        };
        if path == self.path {
            (self.sent_at, self.keep_alive_is_due) = (now, false);
        }
        Some(self.transmit(path, start, out))
    }

    fn transmit(&self, path: Path, start: usize, out: &[u8]) -> Transmit {
        let Path { flow, local } = path;
        let range = start..out.len();
        Transmit { flow, local, remote: self.server, segment: range.len(), range, ecn: Ecn::NotEct }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let refusal = self.permissions.next_refusal().map(|(ip, code)| Event::PermissionRefused(ip, code));
        refusal.or_else(|| self.events.pop_front())
    }

    /// Has an address let in, and keeps it so until [`forget`](Self::forget). Addresses that are sent to need not be
    /// named, and are let in while they are. Before there is an allocation, it is noted for then.
    ///
    /// # Errors
    ///
    /// [`Error::Peer`], [`Error::Permissions`], [`Error::Refused`], and [`Error::NoAllocation`] once the client is closed.
    pub fn permit(&mut self, peer: IpAddr, now: Instant) -> Result<(), Error> {
        let peer = peer.to_canonical();
        self.check_peer(SocketAddr::new(peer, 1))?;
        self.permissions.want(peer, true, self.config.idle_after, now)
    }

    /// Has an address let in as if a datagram had gone there: for as long as some go, and `Config::idle_after`.
    ///
    /// # Errors
    ///
    /// As of [`permit`](Self::permit).
    pub fn admit(&mut self, peer: IpAddr, now: Instant) -> Result<(), Error> {
        let peer = peer.to_canonical();
        self.check_peer(SocketAddr::new(peer, 1))?;
        self.permissions.want(peer, false, self.config.idle_after, now)
    }

    /// Asks for a channel to a peer, which lets it in as well. Without room for one nothing happens. It stays while it is
    /// used.
    ///
    /// # Errors
    ///
    /// As of [`permit`](Self::permit).
    pub fn bind(&mut self, peer: SocketAddr, now: Instant) -> Result<(), Error> {
        let peer = canonical(peer);
        self.check_peer(peer)?;
        self.permissions.want(peer.ip(), false, self.config.idle_after, now)?;
        self.channels.ask(peer, self.config.idle_after, now);
        Ok(())
    }

    /// An address is not wanted any more: its permission and channels run out at the server.
    pub fn forget(&mut self, peer: IpAddr) {
        let peer = peer.to_canonical();
        self.permissions.forget(peer);
        self.channels.forget(peer);
    }

    /// Whether a peer can be sent to.
    fn check_peer(&self, peer: SocketAddr) -> Result<(), Error> {
        let can_reach = match &self.state {
            State::Allocating => match self.config.families {
                Families::V4 => peer.is_ipv4(),
                Families::V6 => peer.is_ipv6(),
                Families::Both => true,
            },
            State::Allocated(allocation) if peer.is_ipv4() => allocation.told.ipv4.is_some(),
            State::Allocated(allocation) => allocation.told.ipv6.is_some(),
            State::Releasing { .. } | State::Ended => return Err(Error::NoAllocation),
        };
        if can_reach && is_sendable(peer) { Ok(()) } else { Err(Error::Peer) }
    }

    /// Events are few kinds, each told once.
    fn tell(&mut self, event: Event) {
        self.events.retain(|it| std::mem::discriminant(it) != std::mem::discriminant(&event));
        self.events.push_back(event);
    }

    fn fail(&mut self, failure: Failure) {
        self.end(Event::Failed(failure));
    }

    fn end(&mut self, event: Event) {
        self.state = State::Ended;
        self.transactions.clear();
        self.permissions.clear();
        self.channels.clear();
        self.keep_alive_is_due = false;
        self.tell(event);
    }
}

/// A Binding indication: its header and fingerprint.
const KEEP_ALIVE_LEN: usize = 28;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .field("path", &self.path)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

// Promises kept at compile time: a client crosses threads, and what is handed back stays small.
const _: () = {
    const fn send<T: Send>() {}
    send::<Client>();
    send::<Event>();
    assert!(size_of::<Handled<'static>>() <= 64);
};
