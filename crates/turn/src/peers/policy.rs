use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::Prefix;
use super::embedded::embedded;
use crate::tuple::canonical;

/// Who may be a peer of a client.
///
/// By default that is every public address, and no address of this server but relayed ones. Not public are the IANA
/// registries of special-purpose addresses (RFC 6890), which have loopback, private, shared (CGNAT) and link-local ones,
/// and with these the metadata services of clouds; multicast and broadcast; and IPv6 outside 2000::/3. Each address is
/// also tested as every IPv4 address that it may stand for (IPv4-mapped, -compatible, -translated, 6to4, NAT64, Teredo,
/// ISATAP).
#[derive(Clone, Debug, Default)]
pub struct PeerPolicy {
    /// What is not public, but allowed. It allows no other form of the address: `::ffff:10.0.0.1` needs both.
    pub allow: Vec<Prefix>,
    /// What is denied, even if it is allowed.
    pub deny: Vec<Prefix>,
    /// Prefixes of NAT64 translators nearby (RFC 6052 §2.2), of 32, 40, 48, 56, 64 or 96 bits, beside the well-known one.
    pub nat64: Vec<Prefix>,
    /// Addresses of this host, beside those of listeners and relays: of its other interfaces, if it listens on all.
    /// Clients reach relays there, and `services`, and nothing else.
    pub own: Vec<IpAddr>,
    /// Sockets that clients may reach though they are near: the media server beside this one. Nothing else at their
    /// addresses can be.
    pub services: Vec<SocketAddr>,
    /// Ports of this host's addresses at which other servers of one program, one for each thread, have their relays. What
    /// clients send there is handed back as if it were far away, and the caller looks whether a relay has that port. None by
    /// default.
    pub siblings: Option<RangeInclusive<u16>>,
}

/// Special-purpose IPv4 addresses that are not public, and one that looks so: Azure's metadata.
const NOT_PUBLIC_V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([168, 63, 129, 16], 32),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([192, 175, 48, 0], 24),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3), // multicast, reserved, broadcast
];

/// Special-purpose networks within 2000::/3: the first two words, and bits.
const NOT_PUBLIC_V6: &[([u16; 2], u8)] =
    &[([0x2001, 0], 23), ([0x2001, 0xdb8], 32), ([0x2620, 0x4f], 32), ([0x3fff, 0], 20)];

/// The policy, and the addresses of the server as they are known.
pub(crate) struct Peers {
    policy: PeerPolicy,
    /// Sorted: looked at for each datagram that a client sends.
    own: Vec<IpAddr>,
    /// Where clients come in.
    listeners: Vec<SocketAddr>,
}

impl Peers {
    pub(crate) fn new(policy: PeerPolicy) -> Self {
        let own: Vec<IpAddr> = policy.own.iter().copied().chain(policy.services.iter().map(SocketAddr::ip)).collect();
        let mut peers = Self { policy, own: Vec::new(), listeners: Vec::new() };
        own.into_iter().for_each(|ip| peers.add_own(ip));
        peers
    }

    /// An address that turned out to be the server's.
    pub(crate) fn add_own(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        if let Err(at) = self.own.binary_search(&ip)
            && !ip.is_unspecified()
        {
            self.own.insert(at, ip);
        }
    }

    /// A socket of the server's own: who reached it by a relay could go round in circles (RFC 8656 §21.1.7).
    pub(crate) fn add_listener(&mut self, local: SocketAddr) {
        let local = canonical(local);
        self.add_own(local.ip());
        if !self.listeners.contains(&local) {
            self.listeners.push(local);
        }
    }

    /// Whether it is the server's, so that only its relays are there.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        self.own.binary_search(&ip).is_ok()
    }

    pub(crate) fn is_service(&self, peer: SocketAddr) -> bool {
        self.policy.services.contains(&peer)
    }

    /// Whether datagrams to an address of this host, where no relay of this server is, go out all the same.
    pub(crate) fn is_reached(&self, peer: SocketAddr) -> bool {
        self.policy.siblings.as_ref().is_some_and(|ports| ports.contains(&peer.port())) || self.is_service(peer)
    }

    /// Whether there may be a permission for an address.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        // What is sent there ends in this process, or at a service.
        if self.is_own(ip) {
            return true;
        }
        let IpAddr::V6(v6) = ip else { return self.allows_form(ip) };
        self.allows_form(ip)
            && embedded(v6, &self.policy.nat64).all(|v4| self.allows_form(v4.into()) && !self.is_own(v4.into()))
    }

    /// Whether a channel to a peer may be bound, whose address has a permission.
    pub(crate) fn allows_socket(&self, peer: SocketAddr) -> bool {
        let is_listener =
            |it: &SocketAddr| it.port() == peer.port() && (it.ip() == peer.ip() || it.ip().is_unspecified());
        !self.is_own(peer.ip()) || !self.listeners.iter().any(is_listener) || self.is_service(peer)
    }

    fn allows_form(&self, ip: IpAddr) -> bool {
        let within = |prefixes: &[Prefix]| prefixes.iter().any(|prefix| prefix.contains(ip));
        !within(&self.policy.deny) && (is_public(ip) || within(&self.policy.allow))
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let within = |&(network, bits): &([u8; 4], u8)| {
                (v4.to_bits() ^ u32::from_be_bytes(network)) >> (32 - u32::from(bits)) == 0
            };
            !NOT_PUBLIC_V4.iter().any(within)
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            let first = u32::from(segments[0]) << 16 | u32::from(segments[1]);
            let within = |&([high, low], bits): &([u16; 2], u8)| {
                (first ^ (u32::from(high) << 16 | u32::from(low))) >> (32 - u32::from(bits)) == 0
            };
            let is_nat64 = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            is_nat64 || segments[0] >> 13 == 1 && !NOT_PUBLIC_V6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn peers(policy: PeerPolicy) -> Peers {
        Peers::new(policy)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// All that may stand for an IPv4 address.
    fn forms(v4: Ipv4Addr) -> Vec<Ipv6Addr> {
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        vec![
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !0x0505, !0x0505),
            Ipv6Addr::new(0x2001, 0, 0x0505, 0x0505, 0, 0, !high, !low),
            Ipv6Addr::new(0x2400, 1, 2, 3, 0, 0x5efe, high, low),
            Ipv6Addr::new(0x2400, 1, 2, 3, 0x200, 0x5efe, high, low),
            Ipv6Addr::new(0x2400, 0x64, 0, 0, 0, 0, high, low),
        ]
    }

    /// Allows every IPv6 address, so that what is denied is denied as an IPv4 address.
    fn open_to_ipv6() -> PeerPolicy {
        let nat64 = vec!["2400:64::/96".parse().unwrap()];
        PeerPolicy { allow: vec!["::/0".parse().unwrap()], nat64, ..PeerPolicy::default() }
    }

    #[test]
    fn what_is_near_is_denied() {
        let peers = peers(PeerPolicy::default());
        for near in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "ff02::1",
            "100::1",
            "64:ff9b:1::1",
            "64:ff9b::10.0.0.1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!peers.allows(ip(near)), "{near}");
        }
    }

    #[test]
    fn what_is_public_is_allowed() {
        let peers = peers(PeerPolicy::default());
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2400::1",
            "2606:4700::1111",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(peers.allows(ip(public)), "{public}");
        }
    }

    #[test]
    fn allow_opens_and_deny_closes_again() {
        let peers = peers(PeerPolicy {
            allow: vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.1/32".parse().unwrap()],
            deny: vec!["10.1.0.0/16".parse().unwrap(), "1.1.1.0/24".parse().unwrap()],
            ..PeerPolicy::default()
        });
        for (address, allowed) in [
            ("10.0.0.1", true),
            ("10.1.0.1", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("1.1.1.1", false),
            ("1.1.2.1", true),
            ("::ffff:10.0.0.1", true),
            ("::10.0.0.1", false),
            ("2002:101:101::1", false),
        ] {
            assert_eq!(peers.allows(ip(address)), allowed, "{address}");
        }
    }

    #[test]
    fn own_addresses_have_relays_and_services_only() {
        let service: SocketAddr = "5.5.5.5:443".parse().unwrap();
        let mut peers = peers(PeerPolicy { services: vec![service], ..PeerPolicy::default() });
        peers.add_listener("0.0.0.0:443".parse().unwrap());
        peers.add_listener("[::ffff:10.0.0.1]:3478".parse().unwrap());
        assert!(peers.allows(ip("5.5.5.5")) && peers.allows(ip("10.0.0.1")));
        assert!(peers.is_own(ip("5.5.5.5")) && peers.is_own(ip("10.0.0.1")) && !peers.is_own(ip("0.0.0.0")));
        assert!(peers.is_service(service) && peers.allows_socket(service));
        for (socket, allowed) in [("10.0.0.1:443", false), ("10.0.0.1:3478", false), ("5.5.5.5:3478", true)] {
            assert_eq!(peers.allows_socket(socket.parse().unwrap()), allowed, "{socket}");
        }
        assert!(!peers.allows(ip("2002:505:505::1")), "not by a detour");
    }

    proptest! {
        #[test]
        fn each_denied_ipv4_address_is_denied_in_all_forms(bits: u32, near in 0..NOT_PUBLIC_V4.len()) {
            let closed = peers(open_to_ipv6());
            let (network, length) = NOT_PUBLIC_V4[near];
            let host = bits.checked_shr(length.into()).unwrap_or(0);
            let v4 = Ipv4Addr::from_bits(u32::from_be_bytes(network) | host);
            for form in forms(v4) {
                prop_assert!(!closed.allows(form.into()), "{form} is {v4}");
            }
            // What is denied by the operator, likewise.
            let v4 = Ipv4Addr::from_bits(bits);
            let deny = vec![Prefix::new(v4.into(), 32).unwrap()];
            let denied = peers(PeerPolicy { deny, ..open_to_ipv6() });
            for form in forms(v4) {
                prop_assert!(!denied.allows(form.into()), "{form} is {v4}");
            }
        }

        #[test]
        fn public_forms_are_no_reason_to_deny(bits: u32) {
            let open = peers(open_to_ipv6());
            let v4 = Ipv4Addr::from_bits(bits);
            for form in forms(v4) {
                prop_assert_eq!(open.allows(form.into()), is_public(v4.into()), "{}", form);
            }
        }
    }
}
