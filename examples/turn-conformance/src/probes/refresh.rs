use plenary_stun::{Attribute, Method};

use super::AUTHENTICATED;
use crate::Probe;
use crate::client::Client;
use crate::draft::{Draft, channel_data};
use crate::outcome::{Stop, ensure};
use crate::peer::Peer;
use crate::probe::{Rule, rule};
use crate::want::Want::{self, Error};

const LIFETIME: Rule = rule("RFC 8656 §8.2", "a lifetime is between the server's default and its maximum, or 0");
const MISMATCH: Rule = rule("RFC 8656 §5", "a request about no allocation: 437");
const ENDED: Rule = rule("RFC 8656 §8.2", "a Refresh of 0 ends the allocation");
const FAMILY: Rule = rule("RFC 8656 §8.2", "a REQUESTED-ADDRESS-FAMILY that the allocation does not have: 443");

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (asked, low, high) in [
        (1, 300, 3600),
        (599, 300, 3600),
        (600, 600, 600),
        (777, 600, 777),
        (86_401, 600, 86_400),
        (0x8000_0000, 600, 86_400),
        (0xffff_ffff, 600, 86_400),
    ] {
        let expected = format!("{low} to {high} s");
        probes.push(Probe::scripted(
            format!("refresh.lifetime-{asked}"),
            LIFETIME,
            format!("a Refresh of {asked} s"),
            expected,
            move |target| {
                let given = Client::allocated(target)?.succeed(&Draft::refresh(asked))?.u32(Attribute::LIFETIME)?;
                ensure((low..=high).contains(&given), format!("{given} s"))
            },
        ));
    }
    let input = "a Refresh without LIFETIME";
    probes.push(Probe::scripted("refresh.lifetime-none", LIFETIME, input, "300 to 3600 s", |target| {
        let draft = Draft::request(Method::REFRESH);
        let given = Client::allocated(target)?.succeed(&draft)?.u32(Attribute::LIFETIME)?;
        ensure((300..=3600).contains(&given), format!("{given} s"))
    }));
    for (name, method) in AUTHENTICATED.into_iter().skip(1) {
        let input = format!("a {name} of a client that never had one");
        probes.push(Probe::known(format!("refresh.never-{name}"), MISMATCH, input, Error(&[437]), move |client| {
            client.sign(&Draft::authenticated(method, client.target.peer_bind))
        }));
        let input = format!("a {name} after a Refresh of 0");
        probes.push(Probe::scripted(format!("refresh.ended-{name}"), ENDED, input, 437, move |target| {
            let mut client = Client::allocated(target)?;
            client.succeed(&Draft::refresh(0)).map_err(Stop::before)?;
            let bytes = client.sign(&Draft::authenticated(method, target.peer_bind));
            client.judge(&bytes, Error(&[437]))
        }));
    }
    probes.extend(families());
    probes.extend(ends());
    probes
}

fn families() -> Vec<Probe> {
    let of = |name: &'static str, family: u8, want: Want| {
        let input = format!("a Refresh with REQUESTED-ADDRESS-FAMILY {family}, of an IPv4 allocation");
        Probe::scripted(format!("refresh.family-{name}"), FAMILY, input, want, move |target| {
            let mut client = Client::allocated(target)?;
            if client.relayed().is_ipv6() {
                return Err(Stop::Skipped("the server relays IPv6 by default".to_owned()));
            }
            let draft = Draft::refresh(600).with(Attribute::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]);
            let bytes = client.sign(&draft);
            client.judge(&bytes, want)
        })
    };
    vec![
        of("own", 1, Want::Success),
        of("other", 2, Error(&[443])),
        of("zero", 0, Error(&[400, 440, 443])),
        of("unknown", 3, Error(&[400, 440, 443])),
    ]
}

fn ends() -> Vec<Probe> {
    vec![
        Probe::scripted("refresh.zero", ENDED, "a Refresh of 0", "LIFETIME 0", |target| {
            let given = Client::allocated(target)?.succeed(&Draft::refresh(0))?.u32(Attribute::LIFETIME)?;
            ensure(given == 0, format!("{given} s"))
        }),
        Probe::scripted("refresh.zero-again", ENDED, "the same Refresh of 0 twice", "success or 437", |target| {
            let mut client = Client::allocated(target)?;
            let draft = Draft::refresh(0);
            client.succeed(&draft)?;
            let bytes = client.sign(&draft);
            client.judge(&bytes, Want::SuccessOr(&[437]))
        }),
        Probe::scripted(
            "refresh.again",
            rule("RFC 8656 §8.2", "a retransmission is answered like the first"),
            "the same Refresh of 700 s twice",
            "success",
            |target| {
                let mut client = Client::allocated(target)?;
                let draft = Draft::refresh(700);
                client.succeed(&draft)?;
                client.succeed(&draft).map(|answer| answer.to_string())
            },
        ),
        ended("send", "a Send", |_, peer| Draft::send(peer, b"late").unsigned()),
        ended("channel-data", "ChannelData", |_, _| channel_data(0x4000, 4, b"late")),
        Probe::scripted("refresh.ended-peer", ENDED, "a peer's datagram after a Refresh of 0", "nothing", |target| {
            let mut client = Client::permitted(target)?;
            let peer = Peer::bind(target.peer_bind)?;
            client.succeed(&Draft::refresh(0)).map_err(Stop::before)?;
            peer.send(b"late", client.relayed());
            client.is_alive()?;
            match client.next(target.grace()) {
                None => Ok("nothing".to_owned()),
                Some(bytes) => Err(Stop::Fault(crate::answer::describe(&bytes))),
            }
        }),
        Probe::scripted(
            "refresh.keeps-channel",
            rule("RFC 8656 §8.2", "a Refresh leaves channels as they are"),
            "ChannelData after a Refresh",
            "reaches the peer",
            |target| {
                let mut client = Client::allocated(target)?;
                let peer = Peer::bind(target.peer_bind)?;
                client.bind(0x4000, peer.address)?;
                client.succeed(&Draft::refresh(700)).map_err(Stop::before)?;
                client.link.send(&channel_data(0x4000, 4, b"data"));
                let seen = peer.receive(3 * target.patience);
                ensure(seen.as_ref().is_some_and(|(data, _)| data == b"data"), format!("{seen:?}"))
            },
        ),
    ]
}

fn ended(name: &'static str, input: &'static str, make: fn(&Client<'_>, std::net::SocketAddr) -> Vec<u8>) -> Probe {
    let input = format!("{input} after a Refresh of 0");
    Probe::scripted(format!("refresh.ended-{name}"), ENDED, input, "nothing reaches the peer", move |target| {
        let mut client = Client::allocated(target)?;
        let peer = Peer::bind(target.peer_bind)?;
        client.bind(0x4000, peer.address)?;
        client.succeed(&Draft::refresh(0)).map_err(Stop::before)?;
        let bytes = make(&client, peer.address);
        client.link.send(&bytes);
        client.is_alive()?;
        let seen = peer.receive(target.grace());
        ensure(seen.is_none(), format!("{seen:?}"))
    })
}
