use std::net::{IpAddr, Ipv4Addr};

use plenary_stun::{Attribute, Method};

use crate::Probe;
use crate::client::{Client, From};
use crate::draft::Draft;
use crate::outcome::{Stop, ensure};
use crate::peer::Peer;
use crate::probe::{Rule, rule};
use crate::want::Want::{Error, Success};

const MISSING: Rule = rule("RFC 8656 §10.2", "a CreatePermission has at least one XOR-PEER-ADDRESS, else 400");
const ALL: Rule = rule("RFC 8656 §10.2", "of several peers all are permitted or none");
const ADDRESS: Rule = rule("RFC 8656 §9", "a permission is for an address, whatever the port");
const BOUND: Rule = rule("RFC 8656 §10.2", "what an allocation holds is bounded: 508 beyond it");

pub(super) fn probes() -> Vec<Probe> {
    vec![
        Probe::allocated("permission.none", MISSING, "a CreatePermission of no one", Error(&[400]), |client| {
            client.sign(&Draft::request(Method::CREATE_PERMISSION))
        }),
        Probe::scripted("permission.one", ADDRESS, "a CreatePermission", Success, |target| {
            let mut client = Client::allocated(target)?;
            let answer = client.ask(&Draft::permission(target.peer_bind))?;
            match answer.code() {
                403 if !answer.is_success() => {
                    Err(Stop::Skipped("the server denies peers here: see --peer-bind".to_owned()))
                }
                _ => ensure(answer.is_success(), answer.to_string()),
            }
        }),
        Probe::scripted("permission.again", ADDRESS, "the same CreatePermission twice", Success, |target| {
            let mut client = Client::permitted(target)?;
            let bytes = client.sign(&Draft::permission(target.peer_bind));
            client.judge(&bytes, Success)
        }),
        many(4, true),
        many(16, true),
        many(60, false),
        Probe::scripted(
            "permission.all-or-none",
            ALL,
            "a good peer and one of family 3",
            "the good one is not permitted",
            |target| {
                let mut client = Client::allocated(target)?;
                let peer = Peer::bind(target.peer_bind)?;
                let draft = Draft::request(Method::CREATE_PERMISSION).peer(peer.address);
                let answer = client.ask(&draft.with(Attribute::XOR_PEER_ADDRESS, &[0, 3, 0, 9, 1, 2, 3, 4]))?;
                client.link.send(&Draft::send(peer.address, b"not permitted").unsigned());
                client.is_alive()?;
                let seen = peer.receive(target.grace());
                ensure(!answer.is_success() && seen.is_none(), format!("{answer}, and at the peer {seen:?}"))
            },
        ),
        Probe::scripted(
            "permission.other-port",
            ADDRESS,
            "data from another port of a permitted address",
            "is relayed",
            |target| {
                let mut client = Client::permitted(target)?;
                let peer = Peer::bind(target.peer_bind)?;
                peer.send(b"hello", client.relayed());
                let (from, data) = client.next_data()?;
                ensure(from == From::Peer(peer.address) && data == b"hello", format!("{from:?}: {data:?}"))
            },
        ),
        stranger("permission.stranger-in", "data from another address", |client, peer| {
            peer.send(b"hello", client.relayed());
            client.is_alive()?;
            let seen = client.next(client.target.grace());
            ensure(seen.is_none(), seen.map_or_else(|| "nothing".to_owned(), |bytes| crate::answer::describe(&bytes)))
        }),
        stranger("permission.stranger-out", "a Send to another address", |client, peer| {
            client.link.send(&Draft::send(peer.address, b"hello").unsigned());
            client.is_alive()?;
            let seen = peer.receive(client.target.grace());
            ensure(seen.is_none(), format!("{seen:?}"))
        }),
    ]
}

/// So many public peers in one request.
fn many(count: u8, must_succeed: bool) -> Probe {
    let input = format!("a CreatePermission of {count} peers");
    let id = format!("permission.many-{count}");
    let want = if must_succeed { Success } else { crate::want::Want::SuccessOr(&[486, 508]) };
    Probe::allocated(id, BOUND, input, want, move |client| {
        let address = |last: u8| IpAddr::from(Ipv4Addr::new(93, 184, 216, last));
        // An XOR-PEER-ADDRESS each, 12 bytes: 60 of them, and the credentials, are below 64 attributes.
        let draft = (1..=count)
            .fold(Draft::request(Method::CREATE_PERMISSION), |draft, last| draft.peer((address(last), 9).into()));
        client.sign(&draft)
    })
}

/// One peer is permitted, and this one has another address.
fn stranger(
    id: &'static str,
    input: &'static str,
    script: fn(&mut Client<'_>, &Peer) -> crate::outcome::Verdict,
) -> Probe {
    let rule = rule("RFC 8656 §9", "an address without permission is not relayed to nor from");
    Probe::scripted(id, rule, input, "nothing", move |target| {
        let IpAddr::V4(ip) = target.peer_bind else { return Err(Stop::Skipped("needs IPv4 peers".to_owned())) };
        if !ip.is_loopback() {
            return Err(Stop::Skipped("needs a second address: peers on loopback".to_owned()));
        }
        let mut client = Client::permitted(target)?;
        let other = Ipv4Addr::from_bits(ip.to_bits() ^ 0x0000_0106);
        script(&mut client, &Peer::bind(other.into())?)
    })
}
