use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_stun::{Attribute, ErrorCode};

use crate::Event;
use crate::allocation::Key;
use crate::answer::{Refusal, Request};
use crate::server::Server;

/// RFC 8656 §12.
pub(crate) const LIFETIME: Duration = Duration::from_secs(600);

/// RFC 8656 §12: higher ones are reserved, and others' (RFC 7983).
const NUMBERS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;

/// The channels of an allocation, by number.
#[derive(Debug, Default)]
pub(crate) struct Channels(Vec<Channel>);

#[derive(Clone, Copy, Debug)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    expires: Instant,
}

impl Channels {
    pub(crate) fn peer(&self, number: u16, now: Instant) -> Option<SocketAddr> {
        let channel = &self.0[self.find(number).ok()?];
        (channel.expires > now).then_some(channel.peer)
    }

    /// The number of a peer's channel: a walk over few, which are of one cache line each two.
    pub(crate) fn number(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let channel = self.0.iter().find(|channel| channel.peer == peer)?;
        (channel.expires > now).then_some(channel.number)
    }

    fn find(&self, number: u16) -> Result<usize, usize> {
        self.0.binary_search_by_key(&number, |channel| channel.number)
    }

    /// Whether a number and a peer may be bound: both free, or bound to each other.
    fn may_bind(&self, number: u16, peer: SocketAddr) -> bool {
        self.0.iter().all(|channel| (channel.number == number) == (channel.peer == peer))
    }

    fn bind(&mut self, number: u16, peer: SocketAddr, expires: Instant) -> bool {
        match self.find(number) {
            Ok(at) => {
                self.0[at].expires = expires;
                false
            }
            Err(at) => {
                if self.0.capacity() == self.0.len() {
                    self.0.reserve_exact(self.0.len().max(1));
                }
                self.0.insert(at, Channel { number, peer, expires });
                true
            }
        }
    }

    pub(crate) fn expire(&mut self, now: Instant, mut expired: impl FnMut(u16)) {
        self.0.retain(|channel| {
            let stays = channel.expires > now;
            if !stays {
                expired(channel.number);
            }
            stays
        });
    }

    pub(crate) fn first_expiry(&self) -> Option<Instant> {
        self.0.iter().map(|channel| channel.expires).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Server {
    /// RFC 8656 §12.2.
    pub(crate) fn channel_bind(&mut self, request: &Request<'_>, key: Key, now: Instant) -> Result<(), Refusal> {
        let number = request.message.get_array(Attribute::CHANNEL_NUMBER)?;
        let peer = request.message.get_xor_address(Attribute::XOR_PEER_ADDRESS)?;
        let (Some([high, low, _, _]), Some(peer)) = (number, peer) else { return Err(ErrorCode::BAD_REQUEST.into()) };
        let number = u16::from_be_bytes([high, low]);
        if !NUMBERS.contains(&number) || peer.port() == 0 || self.allocations[key].is_tcp {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        self.expire(key, now);
        if !self.allocations[key].channels.may_bind(number, peer) {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        self.check_peer(key, peer.ip())?;
        if !self.peers.allows_socket(peer) {
            return Err(ErrorCode::FORBIDDEN.into());
        }
        let limit = usize::from(self.config.channels_max);
        let channels = &self.allocations[key].channels;
        if channels.find(number).is_err() && channels.len() >= limit {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
        }
        // A channel is a permission too, and binding it anew makes that new.
        self.permit(key, peer.ip(), now)?;
        let expires = now + LIFETIME;
        if self.allocations[key].channels.bind(number, peer, expires) {
            self.tell_fast_path(Event::ChannelAdded { allocation: key.id(), number, peer });
        }
        self.look_at(key, expires);
        Ok(())
    }
}
