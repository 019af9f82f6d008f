use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::ports::Wanted;
use crate::Protocol;

/// What makes packets from inside share a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Binding {
    pub(super) protocol: Protocol,
    pub(super) internal: SocketAddr,
    /// The family outside, which with NAT64 is not always that inside.
    pub(super) ipv4: bool,
    /// As much of the destination as the mapping depends on.
    pub(super) remote: Option<(IpAddr, u16)>,
}

#[derive(Debug)]
struct Mapping {
    binding: Binding,
    /// Opened for good by [`Nat::forward`](super::Nat::forward).
    forwarded: bool,
    /// The first instant at which it is gone, but for forwarded ones.
    expires: Duration,
    /// Whom it has sent to, and until when that counts.
    destinations: BTreeMap<SocketAddr, Duration>,
}

type External = (Protocol, SocketAddr);

/// The mappings of a NAT, by either end.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_external: BTreeMap<External, Mapping>,
    by_binding: BTreeMap<Binding, SocketAddr>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.by_external.len()
    }

    pub(super) fn external_of(&self, binding: &Binding) -> Option<SocketAddr> {
        self.by_binding.get(binding).copied()
    }

    pub(super) fn internal_of(&self, protocol: Protocol, external: SocketAddr) -> Option<SocketAddr> {
        Some(self.by_external.get(&(protocol, external))?.binding.internal)
    }

    pub(super) fn is_live(&self, protocol: Protocol, external: SocketAddr, now: Duration) -> bool {
        self.by_external.get(&(protocol, external)).is_some_and(|mapping| mapping.is_live(now))
    }

    pub(super) fn is_forward(&self, protocol: Protocol, external: SocketAddr) -> bool {
        self.by_external.get(&(protocol, external)).is_some_and(|mapping| mapping.forwarded)
    }

    /// A new mapping. Both of its ends are free.
    pub(super) fn insert(&mut self, binding: Binding, external: SocketAddr, expires: Duration) {
        self.put(external, Mapping { binding, forwarded: false, expires, destinations: BTreeMap::new() });
    }

    /// A mapping for good. Both of its ends are free.
    pub(super) fn insert_forward(&mut self, binding: Binding, external: SocketAddr) {
        let mapping = Mapping { binding, forwarded: true, expires: Duration::MAX, destinations: BTreeMap::new() };
        self.put(external, mapping);
    }

    fn put(&mut self, external: SocketAddr, mapping: Mapping) {
        self.by_binding.insert(mapping.binding, external);
        self.by_external.insert((mapping.binding.protocol, external), mapping);
    }

    pub(super) fn remove(&mut self, protocol: Protocol, external: SocketAddr) {
        if let Some(mapping) = self.by_external.remove(&(protocol, external)) {
            self.by_binding.remove(&mapping.binding);
        }
    }

    /// The same mapping at another port.
    pub(super) fn relocate(&mut self, protocol: Protocol, external: SocketAddr, port: u16) {
        if let Some(mapping) = self.by_external.remove(&(protocol, external)) {
            let moved = SocketAddr::new(external.ip(), port);
            self.by_binding.insert(mapping.binding, moved);
            self.by_external.insert((protocol, moved), mapping);
        }
    }

    /// All but forwarded ports.
    pub(super) fn dynamic(&self) -> Vec<(Binding, SocketAddr)> {
        let dynamic = self.by_external.iter().filter(|(_, mapping)| !mapping.forwarded);
        dynamic.map(|((_, external), mapping)| (mapping.binding, *external)).collect()
    }

    pub(super) fn purge(&mut self, now: Duration) {
        self.by_external.retain(|_, mapping| {
            let live = mapping.is_live(now);
            if !live {
                self.by_binding.remove(&mapping.binding);
            }
            live
        });
    }

    /// The first of the wanted ports that no live mapping has; an expired one makes room.
    pub(super) fn free_port(
        &mut self,
        protocol: Protocol,
        address: IpAddr,
        wanted: Wanted,
        now: Duration,
    ) -> Option<u16> {
        let mut ports = wanted.ports();
        let port = ports.find(|port| !self.is_live(protocol, SocketAddr::new(address, *port), now))?;
        self.remove(protocol, SocketAddr::new(address, port));
        Some(port)
    }

    pub(super) fn refresh(&mut self, protocol: Protocol, external: SocketAddr, expires: Duration) {
        if let Some(mapping) = self.by_external.get_mut(&(protocol, external)) {
            mapping.expires = mapping.expires.max(expires);
        }
    }

    /// A destination that it has sent to counts from now on until it expires.
    pub(super) fn note_destination(
        &mut self,
        external: External,
        destination: SocketAddr,
        (now, expires): (Duration, Duration),
        max: usize,
    ) {
        let Some(mapping) = self.by_external.get_mut(&external) else { return };
        let destinations = &mut mapping.destinations;
        if !destinations.contains_key(&destination) && destinations.len() >= max {
            destinations.retain(|_, expires| now < *expires);
            let first = destinations.iter().min_by_key(|(_, expires)| **expires).map(|(destination, _)| *destination);
            if let Some(first) = first.filter(|_| destinations.len() >= max) {
                destinations.remove(&first);
            }
        }
        destinations.insert(destination, expires);
    }

    /// Those of these destinations that still count do so from now on until they expire.
    pub(super) fn refresh_destinations(
        &mut self,
        external: External,
        destinations: RangeInclusive<SocketAddr>,
        (now, until): (Duration, Duration),
    ) {
        let Some(mapping) = self.by_external.get_mut(&external) else { return };
        for (_, expires) in mapping.destinations.range_mut(destinations).filter(|(_, expires)| now < **expires) {
            *expires = until;
        }
    }

    pub(super) fn has_sent(
        &self,
        protocol: Protocol,
        external: SocketAddr,
        destination: SocketAddr,
        now: Duration,
    ) -> bool {
        let mapping = self.by_external.get(&(protocol, external));
        mapping.and_then(|mapping| mapping.destinations.get(&destination)).is_some_and(|expires| now < *expires)
    }

    pub(super) fn has_sent_to_address(
        &self,
        protocol: Protocol,
        external: SocketAddr,
        address: IpAddr,
        now: Duration,
    ) -> bool {
        let Some(mapping) = self.by_external.get(&(protocol, external)) else { return false };
        mapping.destinations.range(all_ports(address)).any(|(_, expires)| now < *expires)
    }
}

impl Mapping {
    fn is_live(&self, now: Duration) -> bool {
        self.forwarded || now < self.expires
    }
}

/// All endpoints of an address.
pub(super) const fn all_ports(address: IpAddr) -> RangeInclusive<SocketAddr> {
    SocketAddr::new(address, 0)..=SocketAddr::new(address, u16::MAX)
}
