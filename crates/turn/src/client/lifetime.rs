//! The allocation: refreshed, moved, released (RFC 8656 §8, RFC 8016).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_stun::{Attribute, Message};
use plenary_wire::FlowId;

use super::transaction::{Purpose, Transaction};
use super::{Allocated, Client, DropReason, Error, Event, Failure, Path, State};

/// How long before its end an allocation is refreshed: more than a request takes that gets no answer.
const MARGIN: Duration = Duration::from_secs(60);
/// How soon a refresh is tried again that the server could not do.
const PAUSE: Duration = Duration::from_secs(5);
/// What a server says is believed so far.
const LIFETIME_MAX: Duration = Duration::from_secs(86_400);
/// Bytes of a ticket at most, so that requests with it stay one datagram.
const TICKET_MAX: usize = 512;

#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) told: Allocated,
    /// By the time at which the server was asked.
    pub(crate) expires_at: Instant,
    /// `None` while it is being refreshed.
    pub(crate) refresh_at: Option<Instant>,
    pub(crate) ticket: Option<Box<[u8]>>,
}

impl Allocation {
    fn set_lifetime(&mut self, lifetime: Duration, asked_at: Instant) {
        self.told.lifetime = lifetime;
        self.expires_at = asked_at + lifetime;
        // A lifetime of a second makes one request a second at most.
        let after = lifetime.saturating_sub(MARGIN).max(lifetime / 2).max(Duration::from_millis(500));
        self.refresh_at = Some(asked_at + after);
    }
}

impl Client {
    /// Releases the allocation: requests go out by [`poll_transmit`](Self::poll_transmit) until the server has answered, or
    /// for `Config::close_within`. Then comes [`Event::Closed`], and the flow may go.
    pub fn close(&mut self, now: Instant) {
        let may_be_there = match self.state {
            // The server may have made one, though the answer is not here.
            State::Allocating => self.transactions.iter().any(|it| it.signature.is_some()),
            State::Allocated(_) => true,
            State::Releasing { .. } | State::Ended => return,
        };
        if !may_be_there {
            return self.end(Event::Closed);
        }
        self.transactions.clear();
        self.permissions.clear();
        self.channels.clear();
        self.keep_alive_is_due = false;
        self.state = State::Releasing { until: now + self.config.close_within };
        self.begin(Purpose::Release, 0, now);
    }

    /// Moves the allocation to another socket or address of ours (RFC 8016): peers notice nothing. Datagrams go the old way
    /// until [`Event::Migrated`]. Both are listened to, also after that: the server sends the old way until it hears
    /// something by the new one. A round trip later the old one may be closed.
    ///
    /// # Errors
    ///
    /// [`Error::NoTicket`] without `Config::mobility`, where the server does not do it, or while another move is tried;
    /// [`Error::NoAllocation`].
    pub fn migrate(&mut self, flow: FlowId, local: SocketAddr, now: Instant) -> Result<(), Error> {
        let State::Allocated(allocation) = &self.state else { return Err(Error::NoAllocation) };
        let is_moving = self.transactions.iter().any(|it| it.purpose == Purpose::Migrate);
        if allocation.ticket.is_none() || is_moving || local.is_ipv4() != self.server.is_ipv4() {
            return Err(Error::NoTicket);
        }
        self.begin_on(Path { flow, local }, Purpose::Migrate, 0, now);
        Ok(())
    }

    /// Refreshes the allocation when it is time, and notes its end.
    pub(super) fn keep_allocation(&mut self, now: Instant) {
        let State::Allocated(allocation) = &mut self.state else { return };
        if allocation.expires_at <= now {
            return self.fail(Failure::Expired);
        }
        if allocation.refresh_at.is_some_and(|at| at <= now) {
            allocation.refresh_at = None;
            self.begin(Purpose::Refresh, 0, now);
        }
    }

    /// The server has made an allocation (RFC 8656 §7.3).
    pub(super) fn allocated_by(&mut self, message: &Message<'_>, asked_at: Instant) -> Result<(), DropReason> {
        let mapped = message.get_xor_address(Attribute::XOR_MAPPED_ADDRESS)?.ok_or(DropReason::BadResponse)?;
        let lifetime = read_lifetime(message)?.filter(|it| !it.is_zero()).ok_or(DropReason::BadResponse)?;
        let mut told = Allocated { ipv4: None, ipv6: None, mapped, lifetime };
        for (kind, value) in message.attributes() {
            if kind == Attribute::XOR_RELAYED_ADDRESS {
                let relayed = message.xor_address(kind, value)?;
                let place = if relayed.is_ipv4() { &mut told.ipv4 } else { &mut told.ipv6 };
                place.get_or_insert(relayed);
            }
        }
        let mut relayed = told.ipv4.into_iter().chain(told.ipv6).peekable();
        if relayed.peek().is_none() || !relayed.all(super::is_sendable) {
            return Err(DropReason::BadResponse);
        }
        let mut allocation = Allocation { told, expires_at: asked_at, refresh_at: None, ticket: read_ticket(message) };
        allocation.set_lifetime(lifetime, asked_at);
        self.state = State::Allocated(allocation);
        self.tell(Event::Allocated(told));
        Ok(())
    }

    /// The server has refreshed the allocation, perhaps to where it moves.
    pub(super) fn refreshed(&mut self, message: &Message<'_>, transaction: &Transaction) -> Result<(), DropReason> {
        let lifetime = read_lifetime(message)?.ok_or(DropReason::BadResponse)?;
        let State::Allocated(allocation) = &mut self.state else { return Err(DropReason::UnknownTransaction) };
        if lifetime.is_zero() {
            self.fail(Failure::Expired);
            return Ok(());
        }
        allocation.set_lifetime(lifetime, transaction.first_sent_at);
        if let Some(ticket) = read_ticket(message) {
            allocation.ticket = Some(ticket);
        }
        if transaction.purpose == Purpose::Migrate {
            let (from, to) = (self.path, transaction.path);
            self.path = to;
            self.path_before = Some(from);
            self.transactions.iter_mut().filter(|it| it.path == from).for_each(|it| it.restart(to));
            // RFC 8016 §3.2: peers' data comes the new way once something else has gone by it.
            self.keep_alive_is_due = true;
            self.tell(Event::Migrated);
        }
        Ok(())
    }

    /// A request was given up.
    pub(super) fn unanswered(&mut self, purpose: &Purpose, now: Instant) {
        match purpose {
            Purpose::Allocate => self.fail(Failure::TimedOut),
            Purpose::Release => self.end(Event::Closed),
            Purpose::Refresh => self.refresh_again(now),
            Purpose::Migrate => self.tell(Event::MigrationFailed),
            Purpose::Permit(ips) => self.permissions.unanswered(ips, now),
            Purpose::Bind(number) => self.channels.unanswered(*number, now),
        }
    }

    /// As long as the allocation lasts.
    pub(super) fn refresh_again(&mut self, now: Instant) {
        if let State::Allocated(allocation) = &mut self.state {
            allocation.refresh_at.get_or_insert(now + PAUSE);
        }
    }
}

fn read_lifetime(message: &Message<'_>) -> Result<Option<Duration>, DropReason> {
    let seconds = message.get_u32(Attribute::LIFETIME)?;
    Ok(seconds.map(|seconds| Duration::from_secs(seconds.into()).min(LIFETIME_MAX)))
}

fn read_ticket(message: &Message<'_>) -> Option<Box<[u8]>> {
    message.get(Attribute::MOBILITY_TICKET).filter(|ticket| (1..=TICKET_MAX).contains(&ticket.len())).map(Into::into)
}
