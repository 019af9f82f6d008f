//! Channels: 4 bytes before the data instead of 36 or more (RFC 8656 §12).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::permissions;

/// The first of the numbers (RFC 8656 §12).
const FIRST: u16 = 0x4000;
/// How long a binding is used: it lasts 10 minutes from when the server has made it, which was before the answer came.
const LIFETIME: Duration = Duration::from_secs(570);
/// RFC 8656 §12: a number is another peer's no sooner than 5 minutes after the binding's end.
const RESERVED: Duration = Duration::from_secs(15 * 60);
/// The time in which the server may get a request that was sent.
const ON_THE_WAY: Duration = Duration::from_secs(60);
/// How long is waited before one is asked for again that got no answer.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Channels {
    /// By their numbers.
    slots: Vec<Channel>,
    by_peer: BTreeMap<SocketAddr, u16>,
    max: usize,
    due_at: Option<Instant>,
}

#[derive(Debug)]
struct Channel {
    peer: SocketAddr,
    phase: Phase,
    used_at: Instant,
    due_at: Option<Instant>,
    /// The binding is good so long.
    bound_until: Option<Instant>,
    /// The number is this peer's so long.
    reserved_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// So many datagrams went without it.
    Counting(u16),
    Wanted,
    Asked,
    Bound,
    Refused,
}

impl Channel {
    const fn new(peer: SocketAddr, now: Instant) -> Self {
        Self { peer, phase: Phase::Counting(0), used_at: now, due_at: None, bound_until: None, reserved_until: None }
    }

    fn is_reserved(&self, now: Instant) -> bool {
        self.reserved_until.is_some_and(|until| now < until)
    }
}

impl Channels {
    pub(crate) const fn new(max: u16) -> Self {
        Self { slots: Vec::new(), by_peer: BTreeMap::new(), max: max as usize, due_at: None }
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.by_peer.clear();
        self.due_at = None;
    }

    pub(crate) const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// The number of the peer's channel, if it has one, for a datagram that goes there.
    pub(crate) fn number(&mut self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let index = *self.by_peer.get(&peer)?;
        let channel = self.slots.get_mut(usize::from(index))?;
        channel.bound_until.filter(|until| now < *until)?;
        channel.used_at = now;
        Some(FIRST + index)
    }

    /// Whose channel it is. Data may come before the answer to the request does.
    pub(crate) fn peer(&self, number: u16, now: Instant) -> Option<SocketAddr> {
        let channel = self.slots.get(usize::from(number.checked_sub(FIRST)?))?;
        channel.is_reserved(now).then_some(channel.peer)
    }

    /// A datagram has gone to the peer without a channel: after so many more it gets one.
    pub(crate) fn count(&mut self, peer: SocketAddr, after: u16, idle: Duration, now: Instant) {
        let Some(index) = self.by_peer.get(&peer).copied().or_else(|| self.place(peer, idle, now)) else { return };
        let channel = &mut self.slots[usize::from(index)];
        channel.used_at = now;
        if channel.phase == Phase::Refused && !channel.is_reserved(now) {
            channel.phase = Phase::Counting(0);
        }
        if let Phase::Counting(sent) = channel.phase {
            channel.phase = Phase::Counting(sent.saturating_add(1));
            if sent >= after {
                self.want(index, now);
            }
        }
    }

    /// The caller wants one for the peer, if there is room.
    pub(crate) fn ask(&mut self, peer: SocketAddr, idle: Duration, now: Instant) {
        self.count(peer, 0, idle, now);
    }

    fn want(&mut self, index: u16, now: Instant) {
        let channel = &mut self.slots[usize::from(index)];
        (channel.phase, channel.due_at) = (Phase::Wanted, Some(now));
        self.find_due();
    }

    /// Room for a peer: a new number, or one that nobody uses.
    fn place(&mut self, peer: SocketAddr, idle: Duration, now: Instant) -> Option<u16> {
        let index = if self.slots.len() < self.max {
            self.slots.push(Channel::new(peer, now));
            self.slots.len() - 1
        } else {
            let is_idle = |it: &&Channel| now.saturating_duration_since(it.used_at) >= idle && !it.is_reserved(now);
            let spare = self.slots.iter().position(|it| is_idle(&it))?;
            self.by_peer.remove(&self.slots[spare].peer);
            self.slots[spare] = Channel::new(peer, now);
            spare
        } as u16;
        self.by_peer.insert(peer, index);
        Some(index)
    }

    /// The peers of this address are not sent to any more.
    pub(crate) fn forget(&mut self, ip: IpAddr) {
        for channel in self.slots.iter_mut().filter(|it| it.peer.ip() == ip && it.phase != Phase::Asked) {
            (channel.phase, channel.due_at, channel.bound_until) = (Phase::Counting(0), None, None);
        }
        self.find_due();
    }

    /// When a datagram last went to the address by a channel.
    pub(crate) fn used_at(&self, ip: IpAddr) -> Option<Instant> {
        self.slots.iter().filter(|it| it.peer.ip() == ip).map(|it| it.used_at).max()
    }

    /// Whether a channel has made a permission for the address, or will have.
    pub(crate) fn allows(&self, ip: IpAddr, now: Instant) -> bool {
        self.slots.iter().any(|it| it.peer.ip() == ip && it.is_reserved(now))
    }

    /// The next that must be asked for: its number and peer.
    pub(crate) fn take_due(&mut self, idle: Duration, now: Instant) -> Option<u16> {
        self.due_at.filter(|due| *due <= now)?;
        let mut found = None;
        for (index, it) in self.slots.iter_mut().enumerate() {
            if it.due_at.is_none_or(|due| due > now) {
                continue;
            }
            it.due_at = None;
            if now.saturating_duration_since(it.used_at) >= idle {
                // It is not used while its permission may have gone; the next datagram asks for both.
                (it.phase, it.bound_until) = (Phase::Counting(u16::MAX), None);
                continue;
            }
            it.phase = Phase::Asked;
            it.reserved_until = Some(now + RESERVED + ON_THE_WAY);
            found = Some(FIRST + index as u16);
            break;
        }
        self.find_due();
        found
    }

    /// The peer of a number that was taken.
    pub(crate) fn peer_of(&self, number: u16) -> Option<SocketAddr> {
        self.slots.get(usize::from(number.checked_sub(FIRST)?)).map(|it| it.peer)
    }

    pub(crate) fn bound(&mut self, number: u16, now: Instant) {
        self.change(number, |channel| {
            channel.phase = Phase::Bound;
            channel.due_at = Some(now + permissions::REFRESH);
            channel.bound_until = Some(now + LIFETIME);
            channel.reserved_until = Some(now + RESERVED);
        });
    }

    /// The server does not want it: the peer's datagrams go without.
    pub(crate) fn refused(&mut self, number: u16) {
        self.change(number, |channel| {
            (channel.phase, channel.due_at, channel.bound_until) = (Phase::Refused, None, None)
        });
    }

    /// There was no answer.
    pub(crate) fn unanswered(&mut self, number: u16, now: Instant) {
        self.change(number, |channel| (channel.phase, channel.due_at) = (Phase::Wanted, Some(now + PAUSE)));
    }

    fn change(&mut self, number: u16, change: impl FnOnce(&mut Channel)) {
        let index = number.checked_sub(FIRST).map(usize::from);
        if let Some(channel) = index.and_then(|index| self.slots.get_mut(index)) {
            change(channel);
        }
        self.find_due();
    }

    fn find_due(&mut self) {
        self.due_at = self.slots.iter().filter_map(|it| it.due_at).min();
    }
}
