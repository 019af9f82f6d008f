//! Addresses that no client should reach through a relay, in every form in which they can be written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use plenary_stun::Attribute;

use crate::client::Client;
use crate::draft::Draft;
use crate::outcome::Stop;
use crate::probe::{Rule, rule};
use crate::want::Want::Error;
use crate::{Probe, Target};

const DENIED: Rule = rule("RFC 8656 §10.2, RFC 6890", "peers at special-purpose addresses are denied by default");
const BIND: Rule = rule("RFC 8656 §12.2, RFC 6890", "channels to special-purpose addresses are denied by default");
const HIDDEN: Rule =
    rule("RFC 8656 §10.2, RFC 6890", "an IPv6 address that stands for a denied IPv4 address is denied");

/// One of each network of the registry, and what cannot be a peer: the network, an address in it, its bits.
const V4: [(&str, [u8; 4], u8); 20] = [
    ("this-network", [0, 0, 0, 0], 8),
    ("this-host", [0, 1, 2, 3], 8),
    ("private-10", [10, 1, 2, 3], 8),
    ("shared", [100, 64, 1, 2], 10),
    ("loopback", [127, 0, 0, 1], 8),
    ("loopback-end", [127, 255, 255, 254], 8),
    ("link-local", [169, 254, 1, 2], 16),
    ("metadata", [169, 254, 169, 254], 16),
    ("private-172", [172, 16, 1, 2], 12),
    ("private-172-end", [172, 31, 255, 254], 12),
    ("protocols", [192, 0, 0, 8], 24),
    ("documentation-1", [192, 0, 2, 1], 24),
    ("private-192", [192, 168, 1, 2], 16),
    ("benchmark", [198, 19, 1, 2], 15),
    ("documentation-2", [198, 51, 100, 1], 24),
    ("documentation-3", [203, 0, 113, 1], 24),
    ("multicast", [224, 0, 0, 1], 4),
    ("multicast-end", [239, 255, 255, 250], 4),
    ("reserved", [240, 0, 0, 1], 4),
    ("broadcast", [255, 255, 255, 255], 4),
];

const V6: [(&str, [u16; 8]); 12] = [
    ("unspecified", [0; 8]),
    ("loopback", [0, 0, 0, 0, 0, 0, 0, 1]),
    ("discard", [0x100, 0, 0, 0, 0, 0, 0, 1]),
    ("documentation", [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    ("documentation-2", [0x3fff, 0, 0, 0, 0, 0, 0, 1]),
    ("benchmark", [0x2001, 2, 0, 0, 0, 0, 0, 1]),
    ("unique-local", [0xfd12, 0x3456, 0, 0, 0, 0, 0, 1]),
    ("metadata", [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),
    ("link-local", [0xfe80, 0, 0, 0, 0, 0, 0, 1]),
    ("site-local", [0xfec0, 0, 0, 0, 0, 0, 0, 1]),
    ("multicast-link", [0xff02, 0, 0, 0, 0, 0, 0, 1]),
    ("multicast-global", [0xff0e, 0, 0, 0, 0, 0, 0, 1]),
];

/// The words of an IPv6 address, from the two of an IPv4 address.
type Form = fn([u16; 2]) -> [u16; 8];

/// How an IPv4 address is written in an IPv6 one.
const FORMS: [(&str, Form); 6] = [
    ("mapped", |[a, b]| [0, 0, 0, 0, 0, 0xffff, a, b]),
    ("compatible", |[a, b]| [0, 0, 0, 0, 0, 0, a, b]),
    ("translated", |[a, b]| [0, 0, 0, 0, 0xffff, 0, a, b]),
    ("nat64", |[a, b]| [0x64, 0xff9b, 0, 0, 0, 0, a, b]),
    ("6to4", |[a, b]| [0x2002, a, b, 0, 0, 0, 0, 1]),
    ("teredo", |[a, b]| [0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !a, !b]),
];

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, octets, bits) in V4 {
        let ip = Ipv4Addr::from(octets);
        let run_of = Some((ip, bits));
        probes.push(denied(format!("special.v4-{name}"), DENIED, ip.into(), run_of));
        probes.push(channel(format!("special.channel-{name}"), ip, bits));
        let [a, b, c, d] = octets.map(u16::from);
        for (form, write) in FORMS {
            let ip = Ipv6Addr::from(write([a << 8 | b, c << 8 | d]));
            probes.push(denied(format!("special.{form}-{name}"), HIDDEN, ip.into(), run_of));
        }
    }
    for (name, segments) in V6 {
        probes.push(denied(format!("special.v6-{name}"), DENIED, Ipv6Addr::from(segments).into(), None));
    }
    probes
}

/// Peers of this run are in the network: then it is permitted on purpose.
fn is_ours(target: &Target, network: Option<(Ipv4Addr, u8)>) -> bool {
    match (target.peer_bind, network) {
        (IpAddr::V4(peer), Some((ip, bits))) => (peer.to_bits() ^ ip.to_bits()) >> (32 - u32::from(bits)) == 0,
        _ => false,
    }
}

/// A client whose relay has the family of this address, if the server has it at all.
fn reaching(target: &Target, is_v6: bool) -> Result<Client<'_>, Stop> {
    if !is_v6 {
        return Client::allocated(target);
    }
    let mut client = Client::known(target)?;
    match client.allocate(&Draft::allocate().with(Attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0])) {
        Ok(_) => Ok(client),
        Err(_) => Client::allocated(target),
    }
}

/// The relays of a server may reach each other, wherever they are.
fn may_be_relay(client: &Client<'_>, ip: IpAddr) -> Result<(), Stop> {
    if client.relayed().ip() != ip.to_canonical() {
        return Ok(());
    }
    Err(Stop::Skipped("the server relays there".to_owned()))
}

fn denied(id: String, rule: Rule, ip: IpAddr, network: Option<(Ipv4Addr, u8)>) -> Probe {
    // An IPv4 relay refuses an IPv6 peer as such, unless it sees what that is.
    let want = if ip.is_ipv4() { Error(&[403]) } else { Error(&[403, 443]) };
    Probe::scripted(id, rule, format!("a CreatePermission for {ip}"), want, move |target| {
        if is_ours(target, network) {
            return Err(Stop::Skipped("the peers of this run are there".to_owned()));
        }
        let mut client = reaching(target, ip.is_ipv6())?;
        may_be_relay(&client, ip)?;
        let bytes = client.sign(&Draft::permission(ip));
        client.judge(&bytes, want)
    })
}

fn channel(id: String, ip: Ipv4Addr, bits: u8) -> Probe {
    let want = Error(&[403]);
    Probe::scripted(id, BIND, format!("a ChannelBind to {ip}"), want, move |target| {
        if is_ours(target, Some((ip, bits))) {
            return Err(Stop::Skipped("the peers of this run are there".to_owned()));
        }
        let mut client = Client::allocated(target)?;
        may_be_relay(&client, ip.into())?;
        let bytes = client.sign(&Draft::channel(0x4000, SocketAddr::new(ip.into(), 9)));
        client.judge(&bytes, want)
    })
}
