use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::message::{MAGIC_COOKIE, TransactionId};

/// Bytes of the value of an XOR-…-ADDRESS at most.
pub const XOR_ADDRESS_MAX: usize = 20;

/// RFC 8489 §14.2. An IPv4 address within an IPv6 one is an IPv4 address.
pub(crate) fn read_xor(value: &[u8], transaction: &TransactionId) -> Option<SocketAddr> {
    let (&[_, family, high, low], address) = value.split_first_chunk()?;
    let port = u16::from_be_bytes([high ^ MAGIC_COOKIE[0], low ^ MAGIC_COOKIE[1]]);
    let ip = match (family, address.len()) {
        (1, 4) => IpAddr::V4(Ipv4Addr::from(xored::<4>(address, transaction))),
        (2, 16) => IpAddr::V6(Ipv6Addr::from(xored::<16>(address, transaction))),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// RFC 8489 §14.1.
pub(crate) fn read_plain(value: &[u8]) -> Option<SocketAddr> {
    let (&[_, family, high, low], address) = value.split_first_chunk()?;
    let ip = match family {
        1 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        2 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), u16::from_be_bytes([high, low])))
}

/// The value of an XOR-…-ADDRESS attribute, and how long it is: 8 bytes or 20. For whoever writes a message by hand.
#[must_use]
pub fn write_xor(address: SocketAddr, transaction: &TransactionId) -> ([u8; XOR_ADDRESS_MAX], usize) {
    let mut value = [0; XOR_ADDRESS_MAX];
    let [high, low] = address.port().to_be_bytes();
    value[2..4].copy_from_slice(&[high ^ MAGIC_COOKIE[0], low ^ MAGIC_COOKIE[1]]);
    match address.ip() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&xored::<4>(&ip.octets(), transaction));
            (value, 8)
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..20].copy_from_slice(&xored::<16>(&ip.octets(), transaction));
            (value, 20)
        }
    }
}

/// The value of MAPPED-ADDRESS and its like, and how long it is.
pub(crate) fn write_plain(address: SocketAddr) -> ([u8; XOR_ADDRESS_MAX], usize) {
    let mut value = [0; XOR_ADDRESS_MAX];
    value[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&ip.octets());
            (value, 8)
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..20].copy_from_slice(&ip.octets());
            (value, 20)
        }
    }
}

fn xored<const N: usize>(address: &[u8], transaction: &TransactionId) -> [u8; N] {
    let mut bytes = [0; N];
    let mask = MAGIC_COOKIE.iter().chain(&transaction.0);
    for ((byte, &from), &mask) in bytes.iter_mut().zip(address).zip(mask) {
        *byte = from ^ mask;
    }
    bytes
}
