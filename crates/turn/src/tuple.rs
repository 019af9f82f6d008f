use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};

use plenary_wire::FlowId;
use siphasher::sip::SipHasher13;

/// What tells one client from another (RFC 8656 §2): the protocol and the server's port are the flow's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// The listener, or the client's own connection.
    pub flow: FlowId,
    /// The server's address.
    pub local: SocketAddr,
    /// The client's address.
    pub remote: SocketAddr,
}

/// An address without the forms that say the same: an IPv4 address within an IPv6 one is the former.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        // Flow label and scope stay where they are.
        IpAddr::V6(_) => address,
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
    }
}

/// Hashes of what strangers choose, with a key that they don't know.
#[derive(Clone, Copy)]
pub(crate) struct Places(SipHasher13);

impl Places {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(&key))
    }

    /// As few bytes as tell one client from another.
    pub(crate) fn of_client(&self, tuple: &FiveTuple) -> u64 {
        let mut bytes = [0; 40];
        bytes[..4].copy_from_slice(&tuple.flow.0.to_ne_bytes());
        bytes[4..6].copy_from_slice(&tuple.remote.port().to_ne_bytes());
        bytes[6..8].copy_from_slice(&tuple.local.port().to_ne_bytes());
        match (tuple.local.ip(), tuple.remote.ip()) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                bytes[8..12].copy_from_slice(&local.octets());
                bytes[12..16].copy_from_slice(&remote.octets());
                self.0.hash(&bytes[..16])
            }
            (local, remote) => {
                bytes[8..24].copy_from_slice(&wide(local));
                bytes[24..].copy_from_slice(&wide(remote));
                self.0.hash(&bytes)
            }
        }
    }

    pub(crate) fn of_address(&self, address: SocketAddr) -> u64 {
        let mut bytes = [0; 18];
        bytes[..16].copy_from_slice(&wide(address.ip()));
        bytes[16..].copy_from_slice(&address.port().to_ne_bytes());
        self.0.hash(&bytes)
    }

    pub(crate) fn of_bytes(&self, bytes: &[u8]) -> u64 {
        self.0.hash(bytes)
    }
}

/// 16 bytes of either family.
pub(crate) fn wide(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// A table by hashes, or by numbers of the caller's.
pub(crate) type ByNumber<K, V> = HashMap<K, V, Mixed>;

/// Spreads numbers that nobody hostile chooses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are written as one number")
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

impl BuildHasher for Mixed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}
