use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::tuple::wide;

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    ip: IpAddr,
    bits: u8,
}

/// The text is no network: an address, a slash and a number of bits that the address has; or an address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network")]
pub struct PrefixError;

impl Prefix {
    /// The network of an address, which may have other bits set. `None` if the address has not so many bits.
    #[must_use]
    pub const fn new(ip: IpAddr, bits: u8) -> Option<Self> {
        let width = if ip.is_ipv4() { 32 } else { 128 };
        if bits > width { None } else { Some(Self { ip, bits }) }
    }

    /// Whether an address of the same family is in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ahead = if self.ip.is_ipv4() { 96 } else { 0 };
        let shift = 128 - (ahead + u32::from(self.bits));
        let differs = u128::from_be_bytes(wide(ip)) ^ u128::from_be_bytes(wide(self.ip));
        self.ip.is_ipv4() == ip.is_ipv4() && differs.checked_shr(shift).unwrap_or(0) == 0
    }

    pub(crate) const fn bits(&self) -> u8 {
        self.bits
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().map_err(|_| PrefixError)?;
        let all = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.parse().map_err(|_| PrefixError))?;
        Self::new(ip, bits).ok_or(PrefixError)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "ffff::", "0.0.0.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("fd00::1", "fd00::1", "fd00::2"),
        ] {
            let prefix: Prefix = network.parse().unwrap();
            assert!(prefix.contains(inside.parse().unwrap()), "{prefix}");
            assert!(!prefix.contains(outside.parse().unwrap()), "{prefix}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "::/129", "host/8", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError), "{text}");
        }
        assert_eq!("192.0.2.0/24".parse::<Prefix>().unwrap().to_string(), "192.0.2.0/24");
    }
}
