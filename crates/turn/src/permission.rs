use std::net::IpAddr;
use std::time::{Duration, Instant};

use plenary_stun::{Attribute, ErrorCode};

use crate::Event;
use crate::allocation::Key;
use crate::answer::{Refusal, Request};
use crate::server::Server;

/// RFC 8656 §9.
pub(crate) const LIFETIME: Duration = Duration::from_secs(300);

/// Addresses of peers that may send to a client, in their order.
#[derive(Debug, Default)]
pub(crate) struct Permissions(Vec<Permission>);

#[derive(Clone, Copy, Debug)]
struct Permission {
    ip: IpAddr,
    expires: Instant,
}

impl Permissions {
    pub(crate) fn allow(&self, ip: IpAddr, now: Instant) -> bool {
        self.find(ip).is_ok_and(|at| self.0[at].expires > now)
    }

    fn find(&self, ip: IpAddr) -> Result<usize, usize> {
        self.0.binary_search_by(|permission| permission.ip.cmp(&ip))
    }

    /// Adds it or makes it new; whether it was added.
    fn refresh(&mut self, ip: IpAddr, expires: Instant) -> bool {
        match self.find(ip) {
            Ok(at) => {
                self.0[at].expires = expires;
                false
            }
            Err(at) => {
                if self.0.capacity() == self.0.len() {
                    self.0.reserve_exact(self.0.len().max(2));
                }
                self.0.insert(at, Permission { ip, expires });
                true
            }
        }
    }

    pub(crate) fn expire(&mut self, now: Instant, mut expired: impl FnMut(IpAddr)) {
        self.0.retain(|permission| {
            let stays = permission.expires > now;
            if !stays {
                expired(permission.ip);
            }
            stays
        });
    }

    pub(crate) fn first_expiry(&self) -> Option<Instant> {
        self.0.iter().map(|permission| permission.expires).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Server {
    /// RFC 8656 §10.2: all of them, or none.
    pub(crate) fn create_permission(&mut self, request: &Request<'_>, key: Key, now: Instant) -> Result<(), Refusal> {
        let peers = request.message.attributes().filter(|(kind, _)| *kind == Attribute::XOR_PEER_ADDRESS);
        let (mut count, mut new) = (0, 0);
        self.expire(key, now);
        for (kind, value) in peers.clone() {
            let peer = request.message.xor_address(kind, value)?;
            self.check_peer(key, peer.ip())?;
            count += 1;
            new += usize::from(self.allocations[key].permissions.find(peer.ip()).is_err());
        }
        if count == 0 {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        if self.allocations[key].permissions.len() + new > usize::from(self.config.permissions_max) {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
        }
        for (kind, value) in peers {
            self.permit(key, request.message.xor_address(kind, value)?.ip(), now)?;
        }
        Ok(())
    }

    /// Whether an address may be a peer's of this allocation.
    pub(crate) fn check_peer(&self, key: Key, ip: IpAddr) -> Result<(), Refusal> {
        if self.allocations[key].relayed(ip).is_none() {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into());
        }
        if !self.peers.allows(ip) {
            return Err(ErrorCode::FORBIDDEN.into());
        }
        Ok(())
    }

    pub(crate) fn permit(&mut self, key: Key, ip: IpAddr, now: Instant) -> Result<(), Refusal> {
        let limit = usize::from(self.config.permissions_max);
        let permissions = &mut self.allocations[key].permissions;
        if permissions.find(ip).is_err() && permissions.len() >= limit {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
        }
        let expires = now + LIFETIME;
        if permissions.refresh(ip, expires) {
            self.tell_fast_path(Event::PermissionAdded { allocation: key.id(), peer: ip });
        }
        self.look_at(key, expires);
        Ok(())
    }
}
