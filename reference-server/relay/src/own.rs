//! Addresses of this host as clients know them, and as its sockets do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::RelayAddress;
use crate::ports::Bound;

/// What clients may reach on this host: relays of all threads, and the services that the policy names.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    /// Those at which there are relays.
    addresses: Vec<Address>,
    /// All of them, in their order.
    host: Vec<IpAddr>,
    services: Vec<SocketAddr>,
}

#[derive(Clone, Debug)]
struct Address {
    told: IpAddr,
    /// How the host reaches itself: behind a NAT what is told leads elsewhere.
    near: IpAddr,
    bound: Bound,
}

impl Own {
    /// `host` is all that leads to this host, or is told to.
    pub(crate) fn new(relays: &[(RelayAddress, Bound)], mut host: Vec<IpAddr>, services: Vec<SocketAddr>) -> Self {
        let address = |(relay, bound): &(RelayAddress, Bound)| Address {
            told: relay.told,
            near: match relay.bind {
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            },
            bound: bound.clone(),
        };
        host.sort_unstable();
        host.dedup();
        Self { addresses: relays.iter().map(address).collect(), host, services }
    }

    /// Where to send what is for an address; `None` if it is of this host, and nobody is there that a client may reach.
    pub(crate) fn way_to(&self, to: SocketAddr) -> Option<SocketAddr> {
        match self.addresses.iter().find(|address| address.told == to.ip()) {
            Some(address) => self.is_reached(address, to).then(|| SocketAddr::new(address.near, to.port())),
            // Relays are reached by what is told of them alone.
            None if self.host.binary_search(&to.ip()).is_ok() => self.services.contains(&to).then_some(to),
            None => Some(to),
        }
    }

    /// Who has sent what came in from an address.
    pub(crate) fn told(&self, from: SocketAddr) -> SocketAddr {
        match self.addresses.iter().find(|address| address.near == from.ip()) {
            Some(address) => {
                let told = SocketAddr::new(address.told, from.port());
                if self.is_reached(address, told) { told } else { from }
            }
            None => from,
        }
    }

    fn is_reached(&self, address: &Address, told: SocketAddr) -> bool {
        address.bound.contains(told.port()) || self.services.contains(&told)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use plenary_turn::PortWish;

    use super::*;
    use crate::ports::Ports;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_near_is_reached_without_the_nat_and_nothing_else_is() {
        let bound = Bound::default();
        let mut ports = Ports::new(50_000..=50_001, 0, 1, bound.clone()).unwrap();
        let port = ports.take(PortWish::Any, Instant::now()).unwrap().unwrap();
        ports.open(port);
        let other = 100_001 - u32::from(port);
        for (bind, near) in [("0.0.0.0", "127.0.0.1"), ("10.0.0.1", "10.0.0.1"), ("198.51.100.1", "198.51.100.1")] {
            let relay = RelayAddress { bind: bind.parse().unwrap(), told: "198.51.100.1".parse().unwrap() };
            let host = ["127.0.0.1", "10.0.0.1", "192.0.2.7"].map(|ip| ip.parse().unwrap()).to_vec();
            let services = vec![at("198.51.100.1:9000"), at("192.0.2.7:9001")];
            let own = Own::new(&[(relay, bound.clone())], host, services);
            for port in [port, 9000] {
                let told = at(&format!("198.51.100.1:{port}"));
                assert_eq!(own.way_to(told), Some(at(&format!("{near}:{port}"))), "{bind}");
                assert_eq!(own.told(at(&format!("{near}:{port}"))), told, "{bind}");
            }
            for port in [other, 22] {
                assert_eq!(own.way_to(at(&format!("198.51.100.1:{port}"))), None, "{bind}");
                let stranger = at(&format!("{near}:{port}"));
                assert_eq!(own.told(stranger), stranger, "{bind}");
            }
            for ip in ["127.0.0.1", "10.0.0.1", "192.0.2.7"] {
                assert_eq!(own.way_to(at(&format!("{ip}:{port}"))), None, "{ip} is not what is told of {bind}");
            }
            assert_eq!(own.way_to(at("192.0.2.7:9001")), Some(at("192.0.2.7:9001")));
            assert_eq!(own.way_to(at("8.8.8.8:22")), Some(at("8.8.8.8:22")));
            assert_eq!(own.told(at("8.8.8.8:22")), at("8.8.8.8:22"));
        }
    }
}
