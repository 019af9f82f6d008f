use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::config::Config;

/// How many there are, of each.
pub(crate) struct Counts<K>(BTreeMap<K, u32>);

impl<K: Ord> Default for Counts<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord> Counts<K> {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> u32
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.get(key).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    pub(crate) fn take<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        if let Some(count) = self.0.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(key);
            }
        }
    }
}

/// What an address counts as: with IPv6 all of a /64, as who is on one link has as many addresses as it likes.
pub(crate) fn counted(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !0 << 64).into(),
        ip => ip,
    }
}

/// How many allocations there are, of whom.
pub(crate) struct Quota {
    all: u32,
    by_user: Counts<Box<[u8]>>,
    by_address: Counts<IpAddr>,
    all_max: u32,
    by_user_max: u32,
    by_address_max: u32,
}

/// What an Allocate fails by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// The user has enough, or its address.
    Quota,
    /// The server has no more.
    Capacity,
}

impl Quota {
    pub(crate) const fn new(config: &Config) -> Self {
        Self {
            all: 0,
            by_user: Counts::new(),
            by_address: Counts::new(),
            all_max: config.allocations_max,
            by_user_max: config.allocations_per_user_max,
            by_address_max: config.allocations_per_address_max,
        }
    }

    pub(crate) fn check(&self, user: &[u8], client: SocketAddr) -> Result<(), Exhausted> {
        let of_address = self.by_address.get(&counted(client.ip()));
        if self.by_user.get(user) >= self.by_user_max || of_address >= self.by_address_max {
            return Err(Exhausted::Quota);
        }
        if self.all >= self.all_max { Err(Exhausted::Capacity) } else { Ok(()) }
    }

    pub(crate) fn take(&mut self, user: &[u8], client: SocketAddr) {
        self.all += 1;
        self.by_user.add(user.into());
        self.by_address.add(counted(client.ip()));
    }

    pub(crate) fn give_back(&mut self, user: &[u8], client: SocketAddr) {
        self.all -= 1;
        self.by_user.take(user);
        self.by_address.take(&counted(client.ip()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The traps: a user's quota that acts as that of all, and one that counts in halves (coturn #243, #1568).
    #[test]
    fn each_quota_counts_its_own() {
        let config = Config {
            allocations_max: 4,
            allocations_per_user_max: 2,
            allocations_per_address_max: 3,
            ..Config::default()
        };
        let mut quota = Quota::new(&config);
        let at = |host: u8| SocketAddr::from(([192, 0, 2, host], 1));
        for _ in 0..2 {
            quota.check(b"a", at(1)).unwrap();
            quota.take(b"a", at(1));
        }
        assert_eq!(quota.check(b"a", at(2)), Err(Exhausted::Quota));
        assert_eq!(quota.check(b"b", at(1)), Ok(()));
        quota.take(b"b", at(1));
        assert_eq!(quota.check(b"b", at(1)), Err(Exhausted::Quota), "the address has three");
        assert_eq!(quota.check(b"b", at(2)), Ok(()));
        quota.take(b"b", at(2));
        assert_eq!(quota.check(b"c", at(3)), Err(Exhausted::Capacity));
        quota.give_back(b"a", at(1));
        assert_eq!(quota.check(b"a", at(3)), Ok(()));
        for (user, host) in [(b"a", 1), (b"b", 1), (b"b", 2)] {
            quota.give_back(user, at(host));
        }
        assert_eq!((quota.all, quota.by_user.0.len(), quota.by_address.0.len()), (0, 0, 0), "nothing stays");
    }
    // The trap: a host whose provider has given it a /64 is as many as it likes.
    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let mut quota = Quota::new(&Config { allocations_per_address_max: 1, ..Config::default() });
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 1);
        quota.take(b"a", at("2001:db8:0:1::1"));
        assert_eq!(quota.check(b"b", at("2001:db8:0:1:ffff::2")), Err(Exhausted::Quota));
        assert_eq!(quota.check(b"b", at("2001:db8:0:2::1")), Ok(()));
        quota.take(b"a", at("::ffff:192.0.2.1"));
        assert_eq!(quota.check(b"b", at("192.0.2.1")), Err(Exhausted::Quota));
        assert_eq!(quota.check(b"b", at("192.0.2.2")), Ok(()), "IPv4 counts one by one");
        quota.give_back(b"a", at("2001:db8:0:1::1"));
        assert_eq!(quota.check(b"b", at("2001:db8:0:1::1")), Ok(()));
    }
}
