//! Ports that EVEN-PORT has reserved (RFC 8656 §7.2, §18.10).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_stun::ErrorCode;
use plenary_wire::FlowId;

use crate::Event;
use crate::allocation::{Key, Relayed};
use crate::bind::{Bound, Family};
use crate::server::{Flow, Server, Timer};

/// RFC 8656 §7.2: at least 30 s.
const LIFETIME: Duration = Duration::from_secs(30);

/// By token.
#[derive(Default)]
pub(crate) struct Reservations(BTreeMap<[u8; 8], Reservation>);

struct Reservation {
    relayed: Relayed,
    /// Who may have it.
    account: Box<[u8]>,
    expires: Instant,
}

impl Reservations {
    /// The family of a reservation of this account.
    pub(crate) fn find(&self, token: &[u8; 8], account: &[u8]) -> Result<Family, ErrorCode> {
        let reservation = self.0.get(token).filter(|reservation| *reservation.account == *account);
        reservation.map(|it| Family::of(it.relayed.address.ip())).ok_or(ErrorCode::INSUFFICIENT_CAPACITY)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Server {
    /// Keeps the socket with the next port for who knows the token.
    pub(crate) fn reserve(&mut self, key: Key, bound: Bound, flow: FlowId, now: Instant) -> [u8; 8] {
        let token = self.entropy.bytes::<8>();
        // The port is even, so that there is one above it.
        let next = |address: SocketAddr| SocketAddr::new(address.ip(), address.port() | 1);
        let relayed = Relayed { flow, local: next(bound.local), address: next(bound.relayed) };
        let account = self.allocations[key].owner.account().into();
        let expires = now + LIFETIME;
        self.reservations.0.insert(token, Reservation { relayed, account, expires });
        self.flows.insert(flow, Flow::Reserved);
        self.timers.add(expires, Timer::Reservation(token));
        token
    }

    pub(crate) fn take_reservation(&mut self, token: &[u8; 8]) -> Option<(Family, Relayed)> {
        let reservation = self.reservations.0.remove(token)?;
        self.timers.remove(reservation.expires, Timer::Reservation(*token));
        self.flows.remove(&reservation.relayed.flow);
        Some((Family::of(reservation.relayed.address.ip()), reservation.relayed))
    }

    pub(crate) fn expire_reservation(&mut self, token: &[u8; 8]) {
        if let Some((_, relayed)) = self.take_reservation(token) {
            self.events.push_back(Event::Close { flow: relayed.flow });
        }
    }
}
