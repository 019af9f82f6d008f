//! Network address translators and firewalls, in the words of RFC 4787 (UDP) and RFC 5382 (TCP); NAT64 as in RFC 6146.

mod ports;
mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{DropReason, Protocol, Random};
use ports::PortChoice;
use table::{Binding, Table, all_ports};

/// On what a mapping or a filter depends (RFC 4787 §4.1, §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dependence {
    /// Only on the internal endpoint.
    EndpointIndependent,
    /// Also on the remote address.
    Address,
    /// Also on the remote address and port.
    AddressAndPort,
}

/// Which external port a new mapping gets (RFC 4787 §4.2). Where the one wanted is taken, the next free one above it
/// is, from the lowest on again after the highest; parity stays. No port is ever overloaded: REQ-3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortPolicy {
    /// The internal port.
    Preserve,
    /// One more than the last.
    Sequential,
    /// Any.
    Random,
    /// Any that is even or odd as the internal one is.
    Parity,
}

/// Which of several external addresses a mapping gets (RFC 4787 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// Always the same for one internal address.
    Paired,
    /// Any.
    Arbitrary,
}

/// What becomes of a packet from inside to one of the external addresses (RFC 4787 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hairpin {
    /// It is dropped.
    Off,
    /// It comes in, from its sender's external endpoint, as REQ-9a asks.
    External,
    /// It comes in, from its sender's internal endpoint.
    Internal,
}

/// Which packets make a mapping live longer (RFC 4787 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refresh {
    /// Only those from inside.
    Outbound,
    /// Those from outside as well.
    Both,
}

/// Which destination ports a firewall lets TCP connections out to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TcpRule {
    /// All.
    All,
    /// Only these, such as 443.
    Ports(Vec<u16>),
    /// None.
    None,
}

/// What happens to the mappings of a NAT that restarts or moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rebind {
    /// All are forgotten: what comes from outside is dropped until something is sent again, and a new mapping may
    /// get the old port if the port policy leads there.
    Forget,
    /// Each lives on with its filter, at another external port; the old one is dead.
    Move,
}

/// What a NAT or firewall is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatConfig {
    /// Its addresses on the outer side. An address family that has none here is not translated but only filtered:
    /// without any it is a stateful firewall, with IPv4 alone it is the usual home router.
    pub external: Vec<IpAddr>,
    /// The 96 bits of a NAT64's prefix (RFC 6052 §2.2), the rest zero: what comes from an IPv6 address inside to one
    /// that begins so is translated to IPv4, by the rules of this NAT, and back. `64:ff9b::` is the well-known one.
    /// Default: none.
    pub nat64: Option<Ipv6Addr>,
    /// Which packets of one internal endpoint share an external one. Without translation it has no meaning.
    pub mapping: Dependence,
    /// Who may send to an external endpoint: anyone, or those whom its own mapping has sent to.
    pub filtering: Dependence,
    /// Which port a mapping gets.
    pub ports: PortPolicy,
    /// The ports there are. Default: 1024 to 65535.
    pub port_range: RangeInclusive<u16>,
    /// Which address a mapping gets.
    pub pooling: Pooling,
    /// Whether inside reaches inside by way of the external addresses.
    pub hairpin: Hairpin,
    /// How long a UDP mapping, or permission of a filter, lives unrefreshed. Default: 120 s, the least that RFC 4787
    /// REQ-5 allows; many live for 30 s.
    pub lifetime: Duration,
    /// How long one of TCP does. Default: 2 h 4 min (RFC 5382 REQ-5).
    pub tcp_lifetime: Duration,
    /// What refreshes them.
    pub refresh: Refresh,
    /// Whether UDP passes at all.
    pub udp: bool,
    /// Which TCP connections may be opened from inside.
    pub tcp: TcpRule,
    /// How many mappings there are at most, of about 300 bytes each. Default: 4096. A packet that needs another is
    /// dropped ([`DropReason::NatFull`]).
    pub mappings_max: usize,
    /// How many destinations the filter of one mapping remembers, of about 100 bytes each. Default: 1024. The one
    /// that would expire first is forgotten for a new one.
    pub destinations_max: usize,
}

impl NatConfig {
    /// What RFC 4787 asks for, but with a filter: mapping endpoint-independent, filtering as given, ports preserved,
    /// hairpinning on, 120 s, refreshed by outbound packets.
    pub fn new(external: &[IpAddr], mapping: Dependence, filtering: Dependence) -> Self {
        Self {
            external: external.to_vec(),
            nat64: None,
            mapping,
            filtering,
            ports: PortPolicy::Preserve,
            port_range: 1_024..=u16::MAX,
            pooling: Pooling::Paired,
            hairpin: Hairpin::External,
            lifetime: Duration::from_secs(120),
            tcp_lifetime: Duration::from_secs(7_440),
            refresh: Refresh::Outbound,
            udp: true,
            tcp: TcpRule::All,
            mappings_max: 4_096,
            destinations_max: 1_024,
        }
    }

    /// Endpoint-independent mapping and filtering: the full cone of RFC 3489.
    pub fn full_cone(external: IpAddr) -> Self {
        Self::new(&[external], Dependence::EndpointIndependent, Dependence::EndpointIndependent)
    }

    /// Endpoint-independent mapping, address-dependent filtering: the restricted cone.
    pub fn address_restricted(external: IpAddr) -> Self {
        Self::new(&[external], Dependence::EndpointIndependent, Dependence::Address)
    }

    /// Endpoint-independent mapping, address- and port-dependent filtering: the port-restricted cone.
    pub fn port_restricted(external: IpAddr) -> Self {
        Self::new(&[external], Dependence::EndpointIndependent, Dependence::AddressAndPort)
    }

    /// Address- and port-dependent mapping and filtering, random ports: the symmetric NAT.
    pub fn symmetric(external: IpAddr) -> Self {
        let nat = Self::new(&[external], Dependence::AddressAndPort, Dependence::AddressAndPort);
        Self { ports: PortPolicy::Random, ..nat }
    }

    /// A stateful firewall: no translation, and nothing comes in that was not asked for.
    pub fn firewall() -> Self {
        Self::new(&[], Dependence::EndpointIndependent, Dependence::AddressAndPort)
    }

    /// Also a NAT64 with this prefix, for hosts that have IPv6 alone; combine it with a NAT of an IPv4 address. Other IPv6
    /// is filtered as that NAT filters.
    pub fn nat64(self, prefix: Ipv6Addr) -> Self {
        Self { nat64: Some(prefix), ..self }
    }

    /// No UDP, and TCP only to these ports; combine it with the translation of another.
    pub fn udp_blocked(self, tcp_ports: &[u16]) -> Self {
        Self { udp: false, tcp: TcpRule::Ports(tcp_ports.to_vec()), ..self }
    }
}

/// A NAT or firewall: which packets pass, and by which names. Sans-I/O: the network hands it addresses.
#[derive(Debug)]
pub struct Nat {
    config: NatConfig,
    table: Table,
    ports: PortChoice,
}

impl Nat {
    /// One without mappings. `seed` and `label` name its stream of chance.
    ///
    /// # Panics
    ///
    /// If the range of ports is empty, or a NAT64 has no external IPv4 address or a prefix that is longer than 96 bits.
    pub fn new(config: NatConfig, seed: u64, label: u64) -> Self {
        assert!(!config.port_range.is_empty(), "a NAT has a port: {:?} is empty", config.port_range);
        if let Some(prefix) = config.nat64 {
            assert!(prefix.to_bits() as u32 == 0, "{prefix} is longer than 96 bits");
            assert!(config.external.iter().any(IpAddr::is_ipv4), "a NAT64 has an external IPv4 address");
        }
        Self { config, table: Table::default(), ports: PortChoice::new(Random::new(seed, label)) }
    }

    /// How it is.
    pub const fn config(&self) -> &NatConfig {
        &self.config
    }

    /// Changes how it is. Mappings stay; external addresses and the prefix of a NAT64 must stay too, as the network routes
    /// by them.
    ///
    /// # Panics
    ///
    /// If the external addresses or the prefix are others, or the range of ports is empty.
    pub fn update(&mut self, change: impl FnOnce(&mut NatConfig)) {
        let (external, prefix) = (self.config.external.clone(), self.config.nat64);
        change(&mut self.config);
        assert!(self.config.external == external, "the external addresses of a NAT do not change");
        assert!(self.config.nat64 == prefix, "the prefix of a NAT64 does not change");
        assert!(!self.config.port_range.is_empty(), "a NAT has a port: {:?} is empty", self.config.port_range);
    }

    /// Mappings in its table, those too that have expired and were not yet asked for.
    pub fn mappings(&self) -> usize {
        self.table.len()
    }

    /// Whether it is one of the external addresses.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.config.external.contains(&address)
    }

    /// Whether there is an external address of this family: then what goes to addresses of it is translated.
    pub fn translates(&self, address: IpAddr) -> bool {
        self.translates_to(address.is_ipv4())
    }

    fn translates_to(&self, ipv4: bool) -> bool {
        self.config.external.iter().any(|external| external.is_ipv4() == ipv4)
    }

    /// The destination outside that a destination inside stands for: for one in the prefix of a NAT64 the IPv4 address in
    /// its last 32 bits (RFC 6052 §2.3), for all others itself.
    pub fn beyond(&self, destination: SocketAddr) -> SocketAddr {
        let (SocketAddr::V6(inside), Some(prefix)) = (destination, self.config.nat64) else { return destination };
        let (bits, prefix) = (inside.ip().to_bits(), prefix.to_bits());
        if bits >> 32 != prefix >> 32 {
            return destination;
        }
        SocketAddr::new(Ipv4Addr::from_bits(bits as u32).into(), inside.port())
    }

    /// The source that `internal` sees of a source outside: the other way around.
    pub fn within(&self, source: SocketAddr, internal: SocketAddr) -> SocketAddr {
        match (source, internal, self.config.nat64) {
            (SocketAddr::V4(outside), SocketAddr::V6(_), Some(prefix)) => {
                let ip = Ipv6Addr::from_bits(prefix.to_bits() | u128::from(outside.ip().to_bits()));
                SocketAddr::new(ip.into(), outside.port())
            }
            _ => source,
        }
    }

    /// Whether packets between an address inside and one outside can pass: both are of one family, or there is a NAT64.
    fn connects(&self, internal: SocketAddr, outside: SocketAddr) -> bool {
        let nat64 = self.config.nat64.is_some() && outside.is_ipv4();
        internal.is_ipv4() == outside.is_ipv4() || nat64
    }

    /// Opens a port for good: what comes to `external` from anyone goes to `internal`, whose packets leave by it.
    /// A mapping by traffic that either of them has is replaced.
    ///
    /// # Errors
    ///
    /// [`DropReason::NatFull`] if the table is full, or one of the two is forwarded already.
    ///
    /// # Panics
    ///
    /// If `external` is none of the addresses of a NAT that translates this family, or of another one if the two
    /// differ.
    pub fn forward(
        &mut self,
        protocol: Protocol,
        external: SocketAddr,
        internal: SocketAddr,
    ) -> Result<(), DropReason> {
        let translated = self.owns(external.ip()) && self.connects(internal, external);
        let possible = if self.translates(external.ip()) { translated } else { external == internal };
        assert!(possible, "{external} can't be forwarded to {internal}");
        let binding = Binding { protocol, internal, ipv4: external.is_ipv4(), remote: None };
        let before = self.table.external_of(&binding);
        let taken = [Some(external), before].into_iter().flatten().any(|at| self.table.is_forward(protocol, at));
        if taken {
            return Err(DropReason::NatFull);
        }
        self.table.remove(protocol, external);
        if let Some(before) = before {
            self.table.remove(protocol, before);
        }
        if self.table.len() >= self.config.mappings_max {
            return Err(DropReason::NatFull);
        }
        self.table.insert_forward(binding, external);
        Ok(())
    }

    /// A packet from inside: the source that it has outside. Its destination is one outside: see
    /// [`beyond`](Self::beyond).
    ///
    /// # Errors
    ///
    /// Why it does not pass.
    pub fn outbound(
        &mut self,
        protocol: Protocol,
        source: SocketAddr,
        destination: SocketAddr,
        now: Duration,
    ) -> Result<SocketAddr, DropReason> {
        if !self.connects(source, destination) {
            return Err(DropReason::BadSource);
        }
        if protocol == Protocol::Udp && !self.config.udp {
            return Err(DropReason::Blocked);
        }
        let (binding, forwarded) = self.binding(protocol, source, destination);
        let known = self.table.external_of(&forwarded).map(|external| (forwarded, external));
        let known = known.or_else(|| self.table.external_of(&binding).map(|external| (binding, external)));
        let live = known.filter(|&(_, external)| self.table.is_live(protocol, external, now));
        if !live.is_some_and(|(_, external)| self.table.has_sent(protocol, external, destination, now))
            && !self.may_open(protocol, destination)
        {
            return Err(DropReason::Blocked);
        }
        let external = match live {
            Some((_, external)) => external,
            None => self.open(binding, now)?,
        };
        let expires = now.saturating_add(self.lifetime(protocol));
        self.table.refresh(protocol, external, expires);
        let max = self.config.destinations_max;
        self.table.note_destination((protocol, external), destination, (now, expires), max);
        Ok(external)
    }

    /// A packet from outside to `external`: the internal endpoint that it goes to.
    ///
    /// # Errors
    ///
    /// Why it does not pass.
    pub fn inbound(
        &mut self,
        protocol: Protocol,
        source: SocketAddr,
        external: SocketAddr,
        now: Duration,
    ) -> Result<SocketAddr, DropReason> {
        if protocol == Protocol::Udp && !self.config.udp {
            return Err(DropReason::Blocked);
        }
        if !self.table.is_live(protocol, external, now) {
            self.table.remove(protocol, external);
            return Err(DropReason::NoMapping);
        }
        let allowed = match self.config.filtering {
            Dependence::EndpointIndependent => true,
            Dependence::Address => self.table.has_sent_to_address(protocol, external, source.ip(), now),
            Dependence::AddressAndPort => self.table.has_sent(protocol, external, source, now),
        };
        if !allowed && !self.table.is_forward(protocol, external) {
            return Err(DropReason::Filtered);
        }
        let expires = now.saturating_add(self.lifetime(protocol));
        if protocol == Protocol::Tcp {
            // The answers of an accepted connection leave by it, whatever may be opened from inside.
            let max = self.config.destinations_max;
            self.table.note_destination((protocol, external), source, (now, expires), max);
        }
        if self.config.refresh == Refresh::Both {
            self.table.refresh(protocol, external, expires);
            let by_address = self.config.filtering == Dependence::Address;
            let refreshed = if by_address { all_ports(source.ip()) } else { source..=source };
            self.table.refresh_destinations((protocol, external), refreshed, (now, expires));
        }
        self.table.internal_of(protocol, external).ok_or(DropReason::NoMapping)
    }

    /// Restarts or moves it. Forwarded ports stay.
    pub fn rebind(&mut self, rebind: Rebind, now: Duration) {
        for (binding, external) in self.table.dynamic() {
            let free = match rebind {
                Rebind::Move if self.translates(external.ip()) => {
                    let candidates = self.ports.any(&self.config.port_range);
                    self.table.free_port(binding.protocol, external.ip(), candidates, now)
                }
                // A firewall has no port to move to: what it knew goes on.
                Rebind::Move => Some(external.port()),
                Rebind::Forget => None,
            };
            match free {
                Some(port) => self.table.relocate(binding.protocol, external, port),
                None => self.table.remove(binding.protocol, external),
            }
        }
    }

    fn lifetime(&self, protocol: Protocol) -> Duration {
        match protocol {
            Protocol::Udp => self.config.lifetime,
            Protocol::Tcp => self.config.tcp_lifetime,
        }
    }

    fn may_open(&self, protocol: Protocol, destination: SocketAddr) -> bool {
        protocol == Protocol::Udp
            || match &self.config.tcp {
                TcpRule::All => true,
                TcpRule::Ports(ports) => ports.contains(&destination.port()),
                TcpRule::None => false,
            }
    }

    /// What a mapping of this packet is found by, and what one by [`forward`](Self::forward) would be.
    fn binding(&self, protocol: Protocol, internal: SocketAddr, remote: SocketAddr) -> (Binding, Binding) {
        let forwarded = Binding { protocol, internal, ipv4: remote.is_ipv4(), remote: None };
        let remote = match self.config.mapping {
            _ if !self.translates(remote.ip()) => None,
            Dependence::EndpointIndependent => None,
            Dependence::Address => Some((remote.ip(), 0)),
            Dependence::AddressAndPort => Some((remote.ip(), remote.port())),
        };
        (Binding { remote, ..forwarded }, forwarded)
    }

    fn open(&mut self, binding: Binding, now: Duration) -> Result<SocketAddr, DropReason> {
        if let Some(expired) = self.table.external_of(&binding) {
            self.table.remove(binding.protocol, expired);
        }
        if self.table.len() >= self.config.mappings_max {
            self.table.purge(now);
        }
        if self.table.len() >= self.config.mappings_max {
            return Err(DropReason::NatFull);
        }
        let expires = now.saturating_add(self.lifetime(binding.protocol));
        let external = if self.translates_to(binding.ipv4) {
            let address = self.ports.address(&self.config, binding.internal.ip(), binding.ipv4);
            let wanted = self.ports.wanted(&self.config, binding.internal.port());
            let port = self.table.free_port(binding.protocol, address, wanted, now).ok_or(DropReason::NatFull)?;
            SocketAddr::new(address, port)
        } else {
            binding.internal
        };
        self.table.insert(binding, external, expires);
        Ok(external)
    }
}
