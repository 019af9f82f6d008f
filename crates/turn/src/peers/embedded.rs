use std::net::{Ipv4Addr, Ipv6Addr};

use super::Prefix;

/// The IPv4 addresses that an IPv6 address stands for, by whatever translator or tunnel may be on its way.
///
/// Each is where a datagram could end. That the address was not meant so does no harm: then it is refused for nothing.
pub(crate) fn embedded<'p>(ip: Ipv6Addr, nat64: &'p [Prefix]) -> impl Iterator<Item = Ipv4Addr> + use<'p> {
    let bytes = ip.octets();
    let last = || v4(&bytes, [12, 13, 14, 15]);
    let by_prefix = [
        // RFC 4291 §2.5.5: IPv4-compatible and IPv4-mapped. RFC 7915: IPv4-translated. RFC 6052 §2.1: the well-known
        // prefix of NAT64.
        (bytes[..12] == [0; 12]).then(last),
        (bytes[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]).then(last),
        (bytes[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0]).then(last),
        (bytes[..12] == [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]).then(last),
        // RFC 3056 §2: 6to4.
        (bytes[..2] == [0x20, 2]).then(|| v4(&bytes, [2, 3, 4, 5])),
        // RFC 4380 §4: Teredo's server, and the client behind its NAT.
        (bytes[..4] == [0x20, 1, 0, 0]).then(|| v4(&bytes, [4, 5, 6, 7])),
        (bytes[..4] == [0x20, 1, 0, 0]).then(|| Ipv4Addr::from_bits(!last().to_bits())),
        // RFC 5214 §6.1: ISATAP.
        (bytes[8] & !2 == 0 && bytes[9..12] == [0, 0x5e, 0xfe]).then(last),
    ];
    let by_nat64 = nat64.iter().filter(move |prefix| prefix.contains(ip.into()));
    by_prefix.into_iter().flatten().chain(by_nat64.filter_map(move |prefix| by_rfc6052(&bytes, prefix.bits())))
}

/// RFC 6052 §2.2: behind the prefix, but around the octet at 8, which is not used.
fn by_rfc6052(bytes: &[u8; 16], bits: u8) -> Option<Ipv4Addr> {
    Some(match bits {
        32 => v4(bytes, [4, 5, 6, 7]),
        40 => v4(bytes, [5, 6, 7, 9]),
        48 => v4(bytes, [6, 7, 9, 10]),
        56 => v4(bytes, [7, 9, 10, 11]),
        64 => v4(bytes, [9, 10, 11, 12]),
        96 => v4(bytes, [12, 13, 14, 15]),
        _ => return None,
    })
}

fn v4(bytes: &[u8; 16], at: [usize; 4]) -> Ipv4Addr {
    Ipv4Addr::from(at.map(|at| bytes[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_gives_its_address() {
        let nat64: Vec<Prefix> = [
            "2001:db8::/32",
            "2001:db9:100::/40",
            "2001:dba:122::/48",
            "2001:dbb:122:300::/56",
            "2001:dbc:122:344::/64",
            "2001:dbd:122:344::/96",
        ]
        .map(|it| it.parse().unwrap())
        .to_vec();
        for (form, address) in [
            ("::192.0.2.33", "192.0.2.33"),
            ("::ffff:192.0.2.33", "192.0.2.33"),
            ("::ffff:0:192.0.2.33", "192.0.2.33"),
            ("64:ff9b::192.0.2.33", "192.0.2.33"),
            ("2002:c000:221::1", "192.0.2.33"),
            ("fe80::5efe:192.0.2.33", "192.0.2.33"),
            ("2400::200:5efe:192.0.2.33", "192.0.2.33"),
            // RFC 6052 §2.4, with a prefix of its own each.
            ("2001:db8:c000:221::", "192.0.2.33"),
            ("2001:db9:1c0:2:21::", "192.0.2.33"),
            ("2001:dba:122:c000:2:2100::", "192.0.2.33"),
            ("2001:dbb:122:3c0:0:221::", "192.0.2.33"),
            ("2001:dbc:122:344:c0:2:2100::", "192.0.2.33"),
            ("2001:dbd:122:344::192.0.2.33", "192.0.2.33"),
        ] {
            let found: Vec<_> = embedded(form.parse().unwrap(), &nat64).collect();
            assert_eq!(found, [address.parse::<Ipv4Addr>().unwrap()], "{form}");
        }
        // RFC 4380 §4's example: both ends of the tunnel.
        let teredo: Vec<_> = embedded("2001:0:4136:e378:8000:63bf:3fff:fdd2".parse().unwrap(), &[]).collect();
        assert_eq!(teredo, [Ipv4Addr::new(65, 54, 227, 120), Ipv4Addr::new(192, 0, 2, 45)]);
        assert_eq!(embedded("2400:1::1".parse().unwrap(), &nat64).count(), 0);
    }
}
