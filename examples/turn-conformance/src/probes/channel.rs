use std::net::{Ipv4Addr, SocketAddr};

use plenary_stun::{Attribute, Method};

use crate::Probe;
use crate::client::{Client, From};
use crate::draft::{Draft, channel_data};
use crate::outcome::{Stop, ensure};
use crate::peer::Peer;
use crate::probe::{Rule, rule};
use crate::want::Want::{self, Error};

const RANGE: Rule = rule("RFC 8656 §12.2", "channels are 4000 to 4fff, else 400");
const MISSING: Rule = rule("RFC 8656 §12.2", "a ChannelBind has CHANNEL-NUMBER and XOR-PEER-ADDRESS, else 400");
const CONFLICT: Rule = rule("RFC 8656 §12.2", "a channel has one peer, and a peer one channel, else 400");
const AGAIN: Rule = rule("RFC 8656 §12.2", "the same channel and peer may be bound again");
const PERMITS: Rule = rule("RFC 8656 §12.2", "a ChannelBind makes a permission");
const RESERVED: Rule = rule("RFC 8656 §18.1", "the two reserved bytes are ignored");

/// Public, and nobody's in particular: nothing is sent there.
fn public(last: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(93, 184, 216, last), port).into()
}

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = Vec::new();
    for number in [0, 1, 0x3fff, 0x5000, 0x5fff, 0x6000, 0x7fff, 0x8000, 0xfffe, 0xffff] {
        let input = format!("channel {number:04x}");
        let id = format!("channel.number-{number:04x}");
        probes.push(Probe::allocated(id, RANGE, input, Error(&[400]), move |client| {
            client.sign(&Draft::channel(number, public(34, 9)))
        }));
    }
    for number in [0x4000, 0x4001, 0x4fff] {
        let input = format!("channel {number:04x}");
        let id = format!("channel.number-{number:04x}");
        probes.push(Probe::allocated(id, RANGE, input, Want::Success, move |client| {
            client.sign(&Draft::channel(number, public(34, 9)))
        }));
    }
    probes.extend(shapes());
    probes.extend(conflicts());
    probes.extend(uses());
    probes
}

fn shapes() -> Vec<Probe> {
    let mut probes = Vec::new();
    probes.push(Probe::allocated(
        "channel.no-number",
        MISSING,
        "a ChannelBind without a number",
        Error(&[400]),
        |client| client.sign(&Draft::request(Method::CHANNEL_BIND).peer(public(34, 9))),
    ));
    probes.push(Probe::allocated(
        "channel.no-peer",
        MISSING,
        "a ChannelBind without a peer",
        Error(&[400]),
        |client| client.sign(&Draft::request(Method::CHANNEL_BIND).with(Attribute::CHANNEL_NUMBER, &[0x40, 0, 0, 0])),
    ));
    probes.push(Probe::allocated("channel.neither", MISSING, "a ChannelBind of neither", Error(&[400]), |client| {
        client.sign(&Draft::request(Method::CHANNEL_BIND))
    }));
    probes.push(Probe::allocated("channel.reserved", RESERVED, "CHANNEL-NUMBER 4000ffff", Want::Success, |client| {
        let draft = Draft::request(Method::CHANNEL_BIND).with(Attribute::CHANNEL_NUMBER, &[0x40, 0, 0xff, 0xff]);
        client.sign(&draft.peer(public(34, 9)))
    }));
    probes
}

/// One channel is bound, and then this.
fn conflicts() -> Vec<Probe> {
    let mut probes = Vec::new();
    let pairs = [
        ("channel.other-peer", CONFLICT, "a bound channel for another peer", Error(&[400]), (0x4000, public(35, 9))),
        (
            "channel.other-port",
            CONFLICT,
            "a bound channel for another port of the peer",
            Error(&[400]),
            (0x4000, public(34, 10)),
        ),
        ("channel.other-number", CONFLICT, "another channel for a bound peer", Error(&[400]), (0x4001, public(34, 9))),
        ("channel.again", AGAIN, "the same ChannelBind anew", Want::Success, (0x4000, public(34, 9))),
        ("channel.second", CONFLICT, "another channel for another peer", Want::Success, (0x4001, public(35, 9))),
        (
            "channel.second-port",
            CONFLICT,
            "another channel for another port of the peer",
            Want::Success,
            (0x4001, public(34, 10)),
        ),
    ];
    for (id, rule, input, want, (number, peer)) in pairs {
        probes.push(Probe::scripted(id, rule, input, want, move |target| {
            let mut client = Client::allocated(target)?;
            client.bind(0x4000, public(34, 9))?;
            let bytes = client.sign(&Draft::channel(number, peer));
            client.judge(&bytes, want)
        }));
    }
    probes.push(Probe::scripted(
        "channel.retransmitted",
        AGAIN,
        "the very same ChannelBind twice",
        Want::Success,
        |target| {
            let mut client = Client::allocated(target)?;
            let bytes = client.sign(&Draft::channel(0x4000, public(34, 9)));
            client.judge(&bytes, Want::Success).map_err(Stop::before)?;
            client.judge(&bytes, Want::Success)
        },
    ));
    probes
}

fn uses() -> Vec<Probe> {
    vec![
        Probe::scripted(
            "channel.permits-send",
            PERMITS,
            "a Send to a peer with a channel only",
            "reaches it",
            |target| {
                let mut client = Client::allocated(target)?;
                let peer = Peer::bind(target.peer_bind)?;
                client.bind(0x4000, peer.address)?;
                client.link.send(&Draft::send(peer.address, b"hello").unsigned());
                let seen = peer.receive(3 * target.patience);
                ensure(seen.as_ref().is_some_and(|(data, _)| data == b"hello"), format!("{seen:?}"))
            },
        ),
        Probe::scripted(
            "channel.permits-port",
            PERMITS,
            "data of another port of a peer with a channel",
            "a Data indication",
            |target| {
                let mut client = Client::allocated(target)?;
                let (peer, other) = (Peer::bind(target.peer_bind)?, Peer::bind(target.peer_bind)?);
                client.bind(0x4000, peer.address)?;
                other.send(b"hello", client.relayed());
                let (from, data) = client.next_data()?;
                ensure(from == From::Peer(other.address) && data == b"hello", format!("{from:?}: {data:?}"))
            },
        ),
        Probe::scripted(
            "channel.failed",
            CONFLICT,
            "a channel that was refused to a peer, used",
            "the first peer has it",
            |target| {
                let mut client = Client::allocated(target)?;
                let (peer, other) = (Peer::bind(target.peer_bind)?, Peer::bind(target.peer_bind)?);
                client.bind(0x4000, peer.address)?;
                let answer = client.ask(&Draft::channel(0x4000, other.address))?;
                client.link.send(&channel_data(0x4000, 4, b"data"));
                let seen = (peer.receive(3 * target.patience).is_some(), other.receive(target.grace()).is_some());
                ensure(
                    !answer.is_success() && seen == (true, false),
                    format!("{answer}; reached first, second: {seen:?}"),
                )
            },
        ),
        Probe::scripted(
            "channel.others",
            rule("RFC 8656 §12", "a channel is its allocation's alone"),
            "another client's ChannelData with the number",
            "nothing",
            |target| {
                let mut client = Client::allocated(target)?;
                let peer = Peer::bind(target.peer_bind)?;
                client.bind(0x4000, peer.address)?;
                let mut other = Client::allocated(target)?;
                other.link.send(&channel_data(0x4000, 4, b"data"));
                other.is_alive()?;
                let seen = peer.receive(target.grace());
                ensure(seen.is_none(), format!("{seen:?}"))
            },
        ),
    ]
}
