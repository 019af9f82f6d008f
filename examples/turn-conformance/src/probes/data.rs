use plenary_stun::{Attribute, Class, Message, Method};

use crate::client::{Client, From, NOTHING};
use crate::draft::{Draft, channel_data};
use crate::outcome::{Stop, Verdict, ensure};
use crate::peer::Peer;
use crate::probe::{Rule, rule};
use crate::{Probe, Target, Transport};

const SEND: Rule = rule("RFC 8656 §11.2", "the data of a Send goes to its peer as a datagram");
const DATA: Rule = rule("RFC 8656 §11.3", "a datagram of a permitted peer comes as a Data indication");
const OUT: Rule = rule("RFC 8656 §12.6", "ChannelData goes to the channel's peer as a datagram");
const IN: Rule = rule("RFC 8656 §12.7", "a datagram of a channel's peer comes as ChannelData");
const DROPPED: Rule = rule("RFC 8656 §11.2", "a Send that lacks something, or has what is not understood, is dropped");
const PERMISSION: Rule = rule("RFC 8656 §11.2", "without a permission nothing is sent");
const UNBOUND: Rule = rule("RFC 8656 §12.6", "ChannelData of no channel, or of a wrong length, is dropped");
const PADDED: Rule = rule("RFC 8656 §12.5", "padding of ChannelData may come over UDP, and is no data");
const FROM: Rule = rule("RFC 8656 §11.2", "peers see the relayed address");
const RELAYS: Rule = rule("RFC 8656 §21.1.7", "two relays of one server reach each other, and no relay its own server");

/// Bytes of payload. The last is near what a datagram of loopback takes with a Data indication around it.
const SIZES: [usize; 12] = [0, 1, 2, 3, 4, 5, 100, 1200, 1473, 9000, 32_768, 65_000];

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = Vec::new();
    for size in SIZES {
        probes.extend(sized(size));
    }
    probes.extend(dropped());
    probes.extend(odd());
    probes.extend(channels());
    probes.extend(lengths());
    probes.extend(relays());
    probes.extend(servers());
    probes
}

/// What a server may be too small to relay: then not even a part of it is.
const CARRIED: usize = 9000;

struct Scene<'t> {
    client: Client<'t>,
    peer: Peer,
}

fn permitted(target: &Target) -> Result<Scene<'_>, Stop> {
    Ok(Scene { client: Client::permitted(target)?, peer: Peer::bind(target.peer_bind)? })
}

fn bound(target: &Target) -> Result<Scene<'_>, Stop> {
    let mut scene = Scene { client: Client::allocated(target)?, peer: Peer::bind(target.peer_bind)? };
    scene.client.bind(0x4000, scene.peer.address)?;
    Ok(scene)
}

impl Scene<'_> {
    /// The peer has this next, from the relay.
    fn reached_by(&self, data: &[u8]) -> Verdict {
        let Some((seen, from)) = self.peer.receive(3 * self.client.target.patience) else {
            if data.len() > CARRIED {
                return Ok("nothing".to_owned());
            }
            return Err(Stop::Fault("nothing reached the peer".to_owned()));
        };
        let holds = seen == data && from == self.client.relayed();
        ensure(holds, format!("{} bytes from {from}{}", seen.len(), if seen == data { "" } else { ", others" }))
    }

    /// Nothing has reached the peer, and the server lives.
    fn unreached(&mut self) -> Verdict {
        self.client.is_alive()?;
        let seen = self.peer.receive(self.client.target.grace());
        ensure(seen.is_none(), seen.map_or_else(|| "nothing".to_owned(), |(data, _)| format!("{} bytes", data.len())))
    }

    fn told(&mut self, from: From, data: &[u8]) -> Verdict {
        let (seen_from, seen) = match self.client.next_data() {
            Err(Stop::Fault(seen)) if seen == NOTHING && data.len() > CARRIED => return Ok(seen),
            other => other?,
        };
        let holds = seen_from == from && seen == data;
        ensure(holds, format!("{seen_from:?}: {} bytes{}", seen.len(), if seen == data { "" } else { ", others" }))
    }
}

/// Bytes that show when they are cut or moved.
fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

fn sized(size: usize) -> Vec<Probe> {
    let of = |name: &str, rule, what: &str, expected: &str, script: fn(&Target, &[u8]) -> Verdict| {
        let input = format!("{what} of {size} bytes");
        Probe::scripted(format!("data.{name}-{size}"), rule, input, expected, move |target| {
            script(target, &payload(size))
        })
    };
    vec![
        of("send", SEND, "a Send", "the same at the peer", |target, data| {
            let mut scene = permitted(target)?;
            let bytes = Draft::send(scene.peer.address, data).unsigned();
            scene.client.link.send(&bytes);
            scene.reached_by(data)
        }),
        of("indication", DATA, "a peer's datagram", "a Data indication with it", |target, data| {
            let mut scene = permitted(target)?;
            scene.peer.send(data, scene.client.relayed());
            scene.told(From::Peer(scene.peer.address), data)
        }),
        of("channel-out", OUT, "ChannelData", "the same at the peer", |target, data| {
            let mut scene = bound(target)?;
            let mut bytes = channel_data(0x4000, data.len() as u16, data);
            if target.transport != Transport::Udp {
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            scene.client.link.send(&bytes);
            scene.reached_by(data)
        }),
        of("channel-in", IN, "a peer's datagram", "ChannelData with it", |target, data| {
            let mut scene = bound(target)?;
            scene.peer.send(data, scene.client.relayed());
            scene.told(From::Channel(0x4000), data)
        }),
    ]
}

/// A message after which nothing must have come to the peer.
fn lost(
    id: &str,
    rule: Rule,
    input: &str,
    scene: for<'t> fn(&'t Target) -> Result<Scene<'t>, Stop>,
    make: fn(&Peer) -> Vec<u8>,
) -> Probe {
    Probe::scripted(format!("data.{id}"), rule, input, "nothing reaches the peer", move |target| {
        let mut scene = scene(target)?;
        let bytes = make(&scene.peer);
        scene.client.link.send(&bytes);
        scene.unreached()
    })
}

fn allocated(target: &Target) -> Result<Scene<'_>, Stop> {
    // A permission shows that peers here are not denied as such: another allocation has it.
    drop(Client::permitted(target)?);
    Ok(Scene { client: Client::allocated(target)?, peer: Peer::bind(target.peer_bind)? })
}

fn dropped() -> Vec<Probe> {
    vec![
        lost("send-unpermitted", PERMISSION, "a Send to a peer without permission", allocated, |peer| {
            Draft::send(peer.address, b"hello").unsigned()
        }),
        lost("send-no-peer", DROPPED, "a Send without XOR-PEER-ADDRESS", bound, |_| {
            Draft::indication(Method::SEND).with(Attribute::DATA, b"hello").unsigned()
        }),
        lost("send-no-data", DROPPED, "a Send without DATA", permitted, |peer| {
            Draft::indication(Method::SEND).peer(peer.address).unsigned()
        }),
        lost("send-unknown", DROPPED, "a Send with the unknown 7f01", permitted, |peer| {
            Draft::send(peer.address, b"hello").with(Attribute(0x7f01), b"what").unsigned()
        }),
        lost("send-request", DROPPED, "a Send that is a request", permitted, |peer| {
            Draft::request(Method::SEND).peer(peer.address).with(Attribute::DATA, b"hello").unsigned()
        }),
        lost("send-success", DROPPED, "a Send that is a success", permitted, |peer| {
            Draft::of(Class::Success, Method::SEND).peer(peer.address).with(Attribute::DATA, b"hello").unsigned()
        }),
        lost("data-indication", DROPPED, "a Data indication of a client", permitted, |peer| {
            Draft::indication(Method::DATA).peer(peer.address).with(Attribute::DATA, b"hello").unsigned()
        }),
        lost("send-fingerprint", DROPPED, "a Send with a wrong fingerprint", permitted, |peer| {
            let mut bytes = Draft::send(peer.address, b"hello").fingerprinted();
            let len = bytes.len();
            bytes[len - 1] ^= 1;
            bytes
        }),
        lost("send-family", DROPPED, "a Send to a peer of family 3", permitted, |peer| {
            let mut bytes = Draft::send(peer.address, b"hello").unsigned();
            bytes[25] = 3;
            bytes
        }),
    ]
}

/// What is not lost, though it has more than it needs.
fn odd() -> Vec<Probe> {
    vec![
        Probe::scripted(
            "data.send-optional",
            rule("RFC 8489 §14", "attributes from 0x8000 on that are not understood are ignored"),
            "a Send with the unknown ff01",
            "reaches the peer",
            |target| {
                let mut scene = permitted(target)?;
                let bytes = Draft::send(scene.peer.address, b"hello").with(Attribute(0xff01), b"what").unsigned();
                scene.client.link.send(&bytes);
                scene.reached_by(b"hello")
            },
        ),
        Probe::scripted(
            "data.send-twice",
            rule("RFC 8489 §14", "of an attribute that comes twice the first counts"),
            "a Send with two DATA",
            "the first at the peer",
            |target| {
                let mut scene = permitted(target)?;
                let bytes = Draft::send(scene.peer.address, b"first").with(Attribute::DATA, b"second").unsigned();
                scene.client.link.send(&bytes);
                scene.reached_by(b"first")
            },
        ),
        Probe::scripted("data.send-fingerprinted", SEND, "a Send with a fingerprint", "reaches the peer", |target| {
            let mut scene = permitted(target)?;
            let bytes = Draft::send(scene.peer.address, b"hello").fingerprinted();
            scene.client.link.send(&bytes);
            scene.reached_by(b"hello")
        }),
        Probe::scripted("data.send-unanswered", SEND, "a Send", "no answer", |target| {
            let mut scene = permitted(target)?;
            let bytes = Draft::send(scene.peer.address, b"hello").unsigned();
            scene.client.judge(&bytes, crate::want::Want::Silence)?;
            scene.reached_by(b"hello")
        }),
        Probe::scripted(
            "data.unpermitted-in",
            rule("RFC 8656 §11.3", "a datagram of a peer without permission is dropped"),
            "a peer's datagram",
            "nothing",
            |target| {
                let mut scene = allocated(target)?;
                scene.peer.send(b"hello", scene.client.relayed());
                scene.client.is_alive()?;
                let seen = scene.client.next(target.grace()).map(|bytes| crate::answer::describe(&bytes));
                ensure(seen.is_none(), seen.unwrap_or_else(|| "nothing".to_owned()))
            },
        ),
    ]
}

fn channels() -> Vec<Probe> {
    let mut probes = vec![
        lost("channel-unbound", UNBOUND, "ChannelData of a channel that is not bound", bound, |_| {
            channel_data(0x4001, 4, b"data")
        }),
        lost("channel-reserved", UNBOUND, "ChannelData of the channel 5000", bound, |_| {
            channel_data(0x5000, 4, b"data")
        }),
        lost("channel-last", UNBOUND, "ChannelData of the channel 4fff", bound, |_| channel_data(0x4fff, 4, b"data")),
    ];
    probes.push(Probe::scripted(
        "data.channel-order",
        OUT,
        "20 of ChannelData, one after the other",
        "20 at the peer",
        |target| {
            let mut scene = bound(target)?;
            (0..20).for_each(|at| scene.client.link.send(&channel_data(0x4000, 4, &[at; 4])));
            let mut seen = Vec::new();
            while let Some((data, _)) = scene.peer.receive(target.patience) {
                seen.push(data.first().copied());
                if seen.len() == 20 {
                    break;
                }
            }
            ensure(seen.iter().copied().eq((0..20).map(Some)), format!("{seen:?}"))
        },
    ));
    probes
}

/// ChannelData whose length is not that of what comes with it.
fn lengths() -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut of = |name: String, rule: Rule, input: String, bytes: Vec<u8>, through: Option<usize>| {
        let expected = if through.is_some() { "what it says" } else { "nothing reaches the peer" };
        probes.push(Probe::scripted(format!("data.channel-{name}"), rule, input, expected, move |target| {
            if target.transport != Transport::Udp {
                return Err(Stop::Skipped("is about datagrams".to_owned()));
            }
            let mut scene = bound(target)?;
            scene.client.link.send(&bytes);
            match through {
                Some(len) => scene.reached_by(&payload(len)),
                None => scene.unreached(),
            }
        }));
    };
    for (stated, len) in [(5_u16, 4_usize), (100, 4), (0xffff, 4), (1, 0), (0xffff, 0)] {
        let input = format!("ChannelData that says {stated} bytes, and has {len}");
        of(format!("long-{stated}-{len}"), UNBOUND, input, channel_data(0x4000, stated, &payload(len)), None);
    }
    for (stated, len) in [(1_u16, 4_usize), (4, 8), (3, 4), (0, 4)] {
        let input = format!("ChannelData that says {stated} bytes, with padding to {len}");
        let bytes = channel_data(0x4000, stated, &payload(len));
        of(format!("padded-{stated}-{len}"), PADDED, input, bytes, Some(stated.into()));
    }
    for len in [1, 2, 3] {
        let input = format!("the first {len} bytes of ChannelData");
        of(format!("short-{len}"), UNBOUND, input, [0x40, 0, 0][..len].to_vec(), None);
    }
    probes
}

fn relays() -> Vec<Probe> {
    vec![
        Probe::scripted(
            "data.from-relay",
            FROM,
            "a Send of each of two clients",
            "two addresses at the peer",
            |target| {
                let mut scene = permitted(target)?;
                let bytes = Draft::send(scene.peer.address, b"one").unsigned();
                scene.client.link.send(&bytes);
                scene.reached_by(b"one")?;
                let mut other = Client::permitted(target)?;
                other.link.send(&Draft::send(scene.peer.address, b"two").unsigned());
                let seen = scene.peer.receive(3 * target.patience);
                ensure(seen.as_ref().is_some_and(|(_, from)| *from == other.relayed()), format!("{seen:?}"))
            },
        ),
        Probe::scripted(
            "data.relay-to-relay",
            RELAYS,
            "a Send to another client's relayed address",
            "a Data indication there",
            |target| {
                let (mut one, mut other) = (Client::allocated(target)?, Client::allocated(target)?);
                let (from, to) = (one.relayed(), other.relayed());
                one.permit(to.ip())?;
                other.permit(from.ip())?;
                one.link.send(&Draft::send(to, b"across").unsigned());
                let (seen, data) = other.next_data()?;
                ensure(seen == From::Peer(from) && data == b"across", format!("{seen:?}: {data:?}"))
            },
        ),
        Probe::scripted(
            "data.relay-unpermitted",
            RELAYS,
            "the same, but the other has not permitted it",
            "nothing",
            |target| {
                let (mut one, mut other) = (Client::allocated(target)?, Client::allocated(target)?);
                let to = other.relayed();
                one.permit(to.ip())?;
                one.link.send(&Draft::send(to, b"across").unsigned());
                one.is_alive()?;
                other.is_alive()?;
                let seen = other.next(target.grace()).map(|bytes| crate::answer::describe(&bytes));
                ensure(seen.is_none(), seen.unwrap_or_else(|| "nothing".to_owned()))
            },
        ),
    ]
}

fn servers() -> Vec<Probe> {
    vec![
        Probe::scripted(
            "data.own-listener",
            RELAYS,
            "a Binding request, relayed to the server itself",
            "no answer, or no permission",
            |target| {
                let mut client = Client::allocated(target)?;
                let answer = client.ask(&Draft::permission(target.server.ip()))?;
                if !answer.is_success() {
                    return ensure(answer.code() == 403, answer.to_string());
                }
                client.link.send(&Draft::send(target.server, &Draft::binding().unsigned()).unsigned());
                client.is_alive()?;
                let seen = client.next(target.grace()).map(|bytes| crate::answer::describe(&bytes));
                ensure(seen.is_none(), seen.unwrap_or_else(|| "no answer".to_owned()))
            },
        ),
        Probe::scripted(
            "data.indication-bare",
            DATA,
            "a peer's datagram",
            "an indication with a new id and nothing to sign",
            |target| {
                let mut scene = permitted(target)?;
                let mut ids = Vec::new();
                for _ in 0..2 {
                    scene.peer.send(b"hello", scene.client.relayed());
                    let bytes =
                        scene.client.next(3 * target.patience).ok_or_else(|| Stop::Fault("nothing came".to_owned()))?;
                    let message = Message::parse(&bytes).map_err(|error| Stop::Fault(error.to_string()))?;
                    let signed = message.has_integrity(plenary_stun::Algorithm::Sha1);
                    if message.class() != Class::Indication || message.method() != Method::DATA || signed {
                        return Err(Stop::Fault(crate::answer::describe(&bytes)));
                    }
                    ids.push(message.transaction());
                }
                ensure(ids[0] != ids[1], format!("{ids:?}"))
            },
        ),
        Probe::scripted(
            "data.no-allocation",
            UNBOUND,
            "a Send of a client that has no allocation",
            "nothing reaches the peer",
            |target| {
                let peer = Peer::bind(target.peer_bind)?;
                let mut client = Client::fresh(target)?;
                client.link.send(&Draft::send(peer.address, b"hello").unsigned());
                client.link.send(&channel_data(0x4000, 4, b"data"));
                client.is_alive()?;
                let seen = peer.receive(target.grace());
                ensure(seen.is_none(), format!("{seen:?}"))
            },
        ),
    ]
}
