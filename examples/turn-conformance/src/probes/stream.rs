//! What only streams have: framing. These probes speak TCP, whatever the others do.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, From};
use crate::draft::{Draft, channel_data};
use crate::outcome::{Stop, Verdict, ensure};
use crate::peer::Peer;
use crate::probe::{Rule, rule};
use crate::{Probe, Target};

const CUT: Rule = rule("RFC 8489 §6.2.2", "a message may come in any pieces of a stream");
const MANY: Rule = rule("RFC 8489 §6.2.2", "messages may come together, and each is answered");
const PADDED: Rule = rule("RFC 8656 §12.5", "over TCP ChannelData is padded to a multiple of 4");
const GARBAGE: Rule = rule("RFC 8489 §6.2.2", "a stream that is no STUN harms no other");
const BOUND: Rule = rule("RFC 8489 §16.1.2", "a client that never reads, or never ends its message, harms no other");

/// A probe of a client over TCP, skipped where the server has none.
fn probe(
    id: impl Into<String>,
    rule: Rule,
    input: impl Into<String>,
    expected: &str,
    script: impl Fn(Client<'_>, &Target) -> Verdict + Send + Sync + 'static,
) -> Probe {
    Probe::scripted(format!("stream.{}", id.into()), rule, input, expected, move |target| {
        let target = target.by_stream();
        let client = Client::fresh(&target).map_err(|stop| match stop {
            Stop::Setup(seen) => Stop::Skipped(format!("no TCP: {seen}")),
            other => other,
        })?;
        script(client, &target)
    })
}

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = cuts();
    probes.extend(together());
    probes.extend(channels());
    probes.extend(hostile());
    probes.extend(ends());
    probes
}

/// The client has the answers to these, in any order, and nothing else.
fn answered(client: &mut Client<'_>, requests: &[Vec<u8>]) -> Verdict {
    let mut missing: Vec<&[u8]> = requests.iter().map(|request| &request[8..20]).collect();
    let deadline = Instant::now() + 3 * client.target.patience;
    while !missing.is_empty() {
        let Some(message) = client.next(deadline.saturating_duration_since(Instant::now())) else { break };
        missing.retain(|id| message.get(8..20) != Some(*id) || message[..2] != [1, 1]);
    }
    ensure(missing.is_empty(), format!("{} of {} answered", requests.len() - missing.len(), requests.len()))
}

fn cuts() -> Vec<Probe> {
    let mut probes = Vec::new();
    for at in [1_usize, 2, 4, 19, 20, 21, 24, 27] {
        let input = format!("a Binding request of 28 bytes, cut at {at}");
        probes.push(probe(format!("cut-{at}"), CUT, input, "success", move |mut client, _| {
            let request = Draft::binding().fingerprinted();
            client.link.send(&request[..at]);
            thread::sleep(Duration::from_millis(20));
            client.link.send(&request[at..]);
            answered(&mut client, &[request])
        }));
    }
    probes.push(probe("bytes", CUT, "a Binding request, byte by byte", "success", |mut client, _| {
        let request = Draft::binding().fingerprinted();
        for byte in &request {
            client.link.send(&[*byte]);
            thread::sleep(Duration::from_millis(2));
        }
        answered(&mut client, &[request])
    }));
    probes.push(probe("bytes-allocate", CUT, "an Allocate, in pieces of 7 bytes", "success", |mut client, target| {
        client.challenge()?;
        let request = client.sign(&Draft::allocate());
        let (head, last) = request.split_at(request.len() - 7);
        for piece in head.chunks(7) {
            client.link.send(piece);
            thread::sleep(Duration::from_millis(2));
        }
        // The last piece, and the wait for the answer: another request may follow, and is refused.
        client.link.send(last);
        let message = client.next(3 * target.patience).ok_or_else(|| Stop::Fault("no answer".to_owned()))?;
        let holds = message[..2] == [1, 3] && message[8..20] == request[8..20];
        client.ask(&Draft::refresh(0)).map_err(Stop::before)?;
        ensure(holds, crate::answer::describe(&message))
    }));
    probes
}

fn together() -> Vec<Probe> {
    let mut probes = Vec::new();
    for count in [2, 20, 200] {
        let input = format!("{count} Binding requests in one write");
        probes.push(probe(format!("many-{count}"), MANY, input, "as many answers", move |mut client, _| {
            let requests: Vec<_> = (0..count).map(|_| Draft::binding().unsigned()).collect();
            client.link.send(&requests.concat());
            answered(&mut client, &requests)
        }));
    }
    probes.push(probe(
        "one-and-a-half",
        MANY,
        "one request and a half in one write, then the rest",
        "two answers",
        |mut client, _| {
            let requests = [Draft::binding().unsigned(), Draft::binding().unsigned()];
            let both = requests.concat();
            client.link.send(&both[..30]);
            thread::sleep(Duration::from_millis(20));
            client.link.send(&both[30..]);
            answered(&mut client, &requests)
        },
    ));
    probes.push(probe(
        "mixed",
        MANY,
        "a request, ChannelData and a request in one write",
        "two answers, and the data at the peer",
        |client, target| {
            let (mut client, peer) = bound(client, target)?;
            let requests = [Draft::binding().unsigned(), Draft::binding().unsigned()];
            let data = channel_data(0x4000, 4, b"data");
            client.link.send(&[&requests[0][..], &data, &requests[1]].concat());
            answered(&mut client, &requests)?;
            let seen = peer.receive(3 * target.patience);
            ensure(seen.as_ref().is_some_and(|(data, _)| data == b"data"), format!("{seen:?}"))
        },
    ));
    probes
}

fn bound<'t>(mut client: Client<'t>, target: &Target) -> Result<(Client<'t>, Peer), Stop> {
    client.challenge()?;
    client.allocate(&Draft::allocate()).map_err(Stop::before)?;
    let peer = Peer::bind(target.peer_bind)?;
    client.bind(0x4000, peer.address)?;
    Ok((client, peer))
}

fn channels() -> Vec<Probe> {
    let mut probes = Vec::new();
    for size in [0_usize, 1, 2, 3, 4, 1201, 60_001] {
        let input = format!("ChannelData of {size} bytes twice, padded");
        probes.push(probe(format!("channel-out-{size}"), PADDED, input, "both at the peer", move |client, target| {
            let (mut client, peer) = bound(client, target)?;
            for byte in [1, 2] {
                let mut bytes = channel_data(0x4000, size as u16, &vec![byte; size]);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                client.link.send(&bytes);
            }
            let seen: Vec<_> = (0..2).filter_map(|_| peer.receive(3 * target.patience)).map(|(data, _)| data).collect();
            let lens: Vec<_> = seen.iter().map(Vec::len).collect();
            ensure(seen == [vec![1; size], vec![2; size]], format!("{lens:?} bytes"))
        }));
        let input = format!("a peer's datagrams of {size} bytes, twice");
        probes.push(probe(
            format!("channel-in-{size}"),
            PADDED,
            input,
            "both as ChannelData",
            move |client, target| {
                let (mut client, peer) = bound(client, target)?;
                for byte in [1, 2] {
                    peer.send(&vec![byte; size], client.relayed());
                    let (from, data) = client.next_data()?;
                    if from != From::Channel(0x4000) || data != vec![byte; size] {
                        return Err(Stop::Fault(format!("{from:?}: {} bytes", data.len())));
                    }
                }
                Ok("both".to_owned())
            },
        ));
    }
    probes
}

/// A connection on which this is sent, and another that must be served meanwhile and then.
fn harmless(id: &'static str, rule: Rule, input: &str, bytes: fn() -> Vec<u8>) -> Probe {
    probe(id, rule, input, "another connection is served", move |mut client, target| {
        client.link.send(&bytes());
        let mut other = Client::fresh(target)?;
        other.is_alive()?;
        // What the server makes of the first connection is its affair, unless it answers with a success.
        match client.next(target.grace()) {
            Some(message) if message[..2] == [1, 1] => Err(Stop::Fault(crate::answer::describe(&message))),
            _ => other.is_alive().map(|()| "it is".to_owned()),
        }
    })
}

fn hostile() -> Vec<Probe> {
    vec![
        harmless("garbage-http", GARBAGE, "a request of HTTP", || b"GET / HTTP/1.1\r\nHost: example\r\n\r\n".to_vec()),
        harmless("garbage-ones", GARBAGE, "1000 bytes ff", || vec![0xff; 1000]),
        harmless("garbage-tls", GARBAGE, "a TLS record", || [&[0x16, 3, 1, 0, 200][..], &[1; 200]].concat()),
        harmless("cookie", GARBAGE, "a Binding request with a wrong cookie", || {
            let mut bytes = Draft::binding().unsigned();
            bytes[4] ^= 1;
            bytes
        }),
        harmless("odd-length", GARBAGE, "a Binding request of 3 more bytes", || {
            crate::draft::appended(Draft::binding().unsigned(), &[0; 3])
        }),
        harmless("half", BOUND, "half a Binding request, and no more", || Draft::binding().unsigned()[..10].to_vec()),
        harmless("endless", BOUND, "a request that says 65,532 bytes and has 30,000", || {
            let mut bytes = Draft::binding().unsigned();
            bytes[2..4].copy_from_slice(&[0xff, 0xfc]);
            bytes.resize(30_000, 0);
            bytes
        }),
        harmless("endless-channel", BOUND, "ChannelData that says 65,535 bytes and has 4", || {
            channel_data(0x4000, 0xffff, b"data")
        }),
        probe(
            "never-reading",
            BOUND,
            "40,000 Binding requests from one that does not read",
            "another is served",
            |mut client, target| {
                let batch = (0..1000).map(|_| Draft::binding().unsigned()).collect::<Vec<_>>().concat();
                let mut other = Client::fresh(target)?;
                let patience = Instant::now() + Duration::from_secs(2);
                for _ in 0..40 {
                    client.link.send(&batch);
                    if Instant::now() > patience {
                        break;
                    }
                }
                other.is_alive().map(|()| "it is".to_owned())
            },
        ),
    ]
}

fn ends() -> Vec<Probe> {
    vec![
        probe(
            "half-closed",
            MANY,
            "a Binding request and the end of what is sent",
            "success, or the end",
            |mut client, target| {
                let request = Draft::binding().unsigned();
                client.link.send(&request);
                client.link.finish();
                match client.next(3 * target.patience) {
                    Some(message) => ensure(message[..2] == [1, 1], crate::answer::describe(&message)),
                    None => Client::fresh(target)?.is_alive().map(|()| "the end".to_owned()),
                }
            },
        ),
        probe("binding", MANY, "a Binding request over TCP", "the client's port", |mut client, _| {
            let answer = client.answer(&Draft::binding().unsigned())?;
            let mapped = answer.address(plenary_stun::Attribute::XOR_MAPPED_ADDRESS)?;
            let local = client.link.local().map_or(0, |local| local.port());
            ensure(mapped.port() == local, format!("{mapped}, sent from port {local}"))
        }),
        probe(
            "foreign-nonce",
            rule("RFC 8489 §9.2.4", "no two source addresses and ports share a nonce"),
            "an Allocate with another connection's nonce",
            "438",
            |mut client, target| {
                client.challenge()?;
                client.nonce = Client::known(target)?.nonce.clone();
                let bytes = client.sign(&Draft::allocate());
                client.judge(&bytes, crate::want::Want::Error(&[438]))
            },
        ),
    ]
}
