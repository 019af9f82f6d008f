use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use plenary_stun::{Attribute, Method};

use crate::Probe;
use crate::client::Client;
use crate::draft::Draft;
use crate::outcome::ensure;
use crate::probe::{Rule, rule};
use crate::want::Want::{Error, SuccessOr};

const FAMILY: Rule = rule("RFC 8489 §14.2", "the family of an address is 1 or 2, and its size is the family's");
const RESERVED: Rule = rule("RFC 8489 §14.2", "the first byte of an address is ignored");
const MISMATCH: Rule = rule("RFC 8656 §10.2", "a peer of a family that the allocation does not have: 443");
const MAPPED: Rule = rule("RFC 8656 §7.3", "XOR-MAPPED-ADDRESS is the client's address");
const RELAYED: Rule = rule("RFC 8656 §7.3", "XOR-RELAYED-ADDRESS is an address that peers can send to");

/// A public address that no one has lent out for documentation.
const PUBLIC_V6: Ipv6Addr = Ipv6Addr::new(0x2a00, 0x1450, 0x4001, 0x80e, 0, 0, 0, 0x200e);

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, method) in [("create-permission", Method::CREATE_PERMISSION), ("channel-bind", Method::CHANNEL_BIND)] {
        for family in [0, 3, 4, 0x11, 0xff] {
            let input = format!("{name} with an IPv4 address of family {family}");
            let id = format!("addresses.family-{name}-{family}");
            probes.push(malformed(id, input, method, family, 4));
        }
        for (family, size) in [(1, 16), (2, 4), (1, 3), (1, 5), (2, 15), (2, 17)] {
            let input = format!("{name} with {size} bytes of family {family}");
            let id = format!("addresses.form-{name}-{family}-{size}");
            probes.push(malformed(id, input, method, family, size));
        }
        let input = format!("{name} for an IPv6 peer of an IPv4 allocation");
        probes.push(Probe::scripted(format!("addresses.mismatch-{name}"), MISMATCH, input, 443, move |target| {
            let mut client = Client::allocated(target)?;
            if client.relayed().is_ipv6() {
                return Err(crate::outcome::Stop::Skipped("the server relays IPv6 by default".to_owned()));
            }
            let bytes = client.sign(&Draft::authenticated(method, PUBLIC_V6.into()));
            client.judge(&bytes, Error(&[443]))
        }));
        let input = format!("{name} with the address's first byte ff");
        let id = format!("addresses.reserved-{name}");
        probes.push(Probe::allocated(id, RESERVED, input, SuccessOr(&[403]), move |client| {
            let draft = Draft::request(method).with(Attribute::CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
            let draft = if method == Method::CHANNEL_BIND { draft } else { Draft::request(method) };
            let bytes = client.sign(&draft.peer((client.target.peer_bind, 9).into()));
            let at = find(&bytes, Attribute::XOR_PEER_ADDRESS);
            resigned(client, &bytes, at)
        }));
    }
    probes.extend(answers());
    probes
}

fn malformed(id: String, input: String, method: Method, family: u8, size: usize) -> Probe {
    let want = if size == 4 && !matches!(family, 1 | 2) { Error(&[400, 440, 443]) } else { Error(&[400]) };
    Probe::allocated(id, FAMILY, input, want, move |client| {
        let value = [&[0, family, 0x21, 0x13][..], &vec![8; size]].concat();
        let draft = Draft::request(method);
        let with_number = || draft.clone().with(Attribute::CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
        let draft = if method == Method::CHANNEL_BIND { with_number() } else { draft.clone() };
        client.sign(&draft.with(Attribute::XOR_PEER_ADDRESS, &value))
    })
}

/// Where the value of an attribute begins.
fn find(bytes: &[u8], attribute: Attribute) -> usize {
    let mut at = plenary_stun::HEADER_LEN;
    loop {
        let kind = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        if kind == attribute.0 {
            return at + 4;
        }
        at += 4 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])).next_multiple_of(4);
    }
}

/// The message with a byte set to ff, and signed anew.
fn resigned(client: &Client<'_>, bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len() - 24].to_vec();
    bytes[at] = 0xff;
    crate::mac::sign_sha1(client, bytes)
}

fn answers() -> Vec<Probe> {
    let mapped = Probe::scripted("addresses.mapped", MAPPED, "an Allocate", "the client's port", |target| {
        let mut client = Client::known(target)?;
        let answer = client.allocate(&Draft::allocate())?;
        let mapped = answer.address(Attribute::XOR_MAPPED_ADDRESS)?;
        // Behind a NAT it would be another.
        let local = client.link.local().map_or(0, |local| local.port());
        ensure(mapped.port() == local, format!("{mapped}, sent from port {local}"))
    });
    let relayed = Probe::scripted("addresses.relayed", RELAYED, "an Allocate", "an address and a port", |target| {
        let client = Client::allocated(target)?;
        let relayed = client.relayed();
        let is_one = |ip: IpAddr| !ip.is_unspecified() && !ip.is_multicast();
        ensure(is_one(relayed.ip()) && relayed.port() > 1023, relayed.to_string())
    });
    let apart =
        Probe::scripted("addresses.apart", RELAYED, "Allocates of two clients", "two relayed addresses", |target| {
            let (one, other) = (Client::allocated(target)?, Client::allocated(target)?);
            ensure(one.relayed() != other.relayed(), format!("{} and {}", one.relayed(), other.relayed()))
        });
    let default = Probe::scripted(
        "addresses.default-family",
        rule("RFC 8656 §7.2", "without REQUESTED-ADDRESS-FAMILY the relayed address is IPv4"),
        "an Allocate",
        "an IPv4 address",
        |target| {
            let client = Client::allocated(target)?;
            ensure(client.relayed().is_ipv4(), client.relayed().to_string())
        },
    );
    let port = Probe::allocated(
        "addresses.permission-port-0",
        rule("RFC 8656 §10.1", "the port of a permission's peer is ignored"),
        "a CreatePermission for port 0",
        SuccessOr(&[403]),
        |client| {
            let peer = SocketAddr::new(client.target.peer_bind, 0);
            client.sign(&Draft::request(Method::CREATE_PERMISSION).peer(peer))
        },
    );
    let mixed = Probe::allocated(
        "addresses.mixed-families",
        MISMATCH,
        "a CreatePermission for an IPv4 and an IPv6 peer",
        Error(&[443, 403]),
        |client| {
            let draft = Draft::permission(client.target.peer_bind);
            client.sign(&draft.peer((IpAddr::from(PUBLIC_V6), 9).into()))
        },
    );
    vec![mapped, relayed, apart, default, port, mixed]
}
