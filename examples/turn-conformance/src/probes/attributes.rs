use plenary_stun::{Algorithm, Attribute, Method};

use super::AUTHENTICATED;
use crate::Probe;
use crate::client::Client;
use crate::draft::{Draft, UDP, appended};
use crate::mac;
use crate::outcome::{Stop, ensure};
use crate::probe::{Rule, rule};
use crate::want::Want::{self, Error, ErrorOrSilence, SuccessOr};

const UNKNOWN: Rule =
    rule("RFC 8489 §6.3.1", "a request with attributes that must be understood and are not: 420, naming them");
const OPTIONAL: Rule = rule("RFC 8489 §14", "attributes from 0x8000 on that are not understood are ignored");
const OVERRUN: Rule = rule("RFC 8489 §6.3", "an attribute that ends behind its message is refused");
const SIZE: Rule = rule("RFC 8656 §18", "an attribute of a wrong size: 400");
const FIRST: Rule = rule("RFC 8489 §14", "of an attribute that comes twice the first counts");
const BEHIND: Rule = rule("RFC 8489 §14.5", "what comes behind MESSAGE-INTEGRITY is ignored");
const PADDING: Rule = rule("RFC 8489 §14", "padding may have any value");
const BOUND: Rule = rule("RFC 8489 §16.1.2", "a message of any form leaves the server as it was");

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = unknown();
    probes.extend(overruns());
    probes.extend(sizes());
    probes.extend(order());
    probes.extend(amounts());
    probes
}

/// A request that must be answered by a 420 that names these.
fn names(client: &mut Client<'_>, bytes: &[u8], unknown: &[u16]) -> crate::outcome::Verdict {
    let answer = client.answer(bytes)?;
    let list: Vec<u16> = answer
        .get(Attribute::UNKNOWN_ATTRIBUTES)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    let holds = answer.code() == 420 && unknown.iter().all(|kind| list.contains(kind));
    ensure(holds, format!("{answer} that names {list:04x?}"))
}

fn unknown() -> Vec<Probe> {
    let mut probes = Vec::new();
    for kinds in [&[0x0029_u16][..], &[0x3fff], &[0x4000], &[0x7ffe], &[0x7fff], &[0x7f01, 0x7f02]] {
        let id = format!("attributes.unknown-binding-{}", hex(kinds));
        let input = format!("a Binding request with {kinds:04x?}");
        probes.push(Probe::scripted(id, UNKNOWN, input, "420 that names them", move |target| {
            let draft = kinds.iter().fold(Draft::binding(), |draft, kind| draft.with(Attribute(*kind), b"what"));
            names(&mut Client::fresh(target)?, &draft.unsigned(), kinds)
        }));
    }
    for (name, method) in AUTHENTICATED {
        let input = format!("a signed {name} with 7f01");
        let id = format!("attributes.unknown-{name}");
        probes.push(Probe::scripted(id, UNKNOWN, input, "420 that names it", move |target| {
            let is_allocate = method == Method::ALLOCATE;
            let mut client = if is_allocate { Client::known(target)? } else { Client::allocated(target)? };
            let draft = Draft::authenticated(method, target.peer_bind).with(Attribute(0x7f01), b"what");
            let bytes = client.sign(&draft);
            names(&mut client, &bytes, &[0x7f01])
        }));
    }
    for kind in [0x8fff, 0xc000, 0xff00, 0xffff] {
        let make = move || Draft::binding().with(Attribute(kind), b"what").unsigned();
        let input = format!("a Binding request with {kind:04x}");
        let id = format!("attributes.optional-binding-{kind:04x}");
        probes.push(Probe::datagram(id, OPTIONAL, input, Want::Success, make));
    }
    let make = |client: &Client<'_>| client.sign(&Draft::allocate().with(Attribute(0xff00), b"what"));
    probes.push(Probe::known("attributes.optional-allocate", OPTIONAL, "an Allocate with ff00", Want::Success, make));
    probes
}

fn hex(kinds: &[u16]) -> String {
    kinds.iter().map(|kind| format!("{kind:04x}")).collect::<Vec<_>>().join("-")
}

fn overruns() -> Vec<Probe> {
    let mut probes = Vec::new();
    for stated in [1_u16, 4, 8, 0xfff0, 0xffff] {
        let input = format!("a Binding request with an attribute of {stated} bytes, of which none are there");
        let make = move || {
            let [high, low] = stated.to_be_bytes();
            appended(Draft::binding().unsigned(), &[0x80, 0x22, high, low])
        };
        let id = format!("attributes.overrun-{stated}");
        probes.push(Probe::datagram(id, OVERRUN, input, ErrorOrSilence(&[400]), make));
    }
    for stated in [9_u16, 0xffff] {
        let input = format!("an Allocate whose last attribute says {stated} bytes and has 8");
        let make = move || {
            let [high, low] = stated.to_be_bytes();
            appended(Draft::allocate().unsigned(), &[0x80, 0x22, high, low, 0, 0, 0, 0, 0, 0, 0, 0])
        };
        let id = format!("attributes.overrun-allocate-{stated}");
        probes.push(Probe::datagram(id, OVERRUN, input, ErrorOrSilence(&[400]), make));
    }
    let empty = || Draft::binding().with(Attribute::SOFTWARE, b"").unsigned();
    probes.push(Probe::datagram("attributes.empty", OPTIONAL, "an empty SOFTWARE", Want::Success, empty));
    probes
}

/// Requests in which one attribute has a wrong size.
fn sizes() -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut size = |method: &'static str, attribute: Attribute, sizes: &[usize], want: Want| {
        for &size in sizes {
            let input = format!("{method} with {attribute:?} of {size} bytes");
            let name = format!("{attribute:?}").to_lowercase().replace('_', "-");
            let id = format!("attributes.size-{method}-{name}-{size}");
            let value = vec![1; size];
            let make = move |client: &Client<'_>| {
                let draft = match (method, attribute) {
                    ("allocate", Attribute::REQUESTED_TRANSPORT) => Draft::request(Method::ALLOCATE),
                    ("allocate", _) => Draft::allocate(),
                    ("refresh", _) => Draft::request(Method::REFRESH),
                    ("create-permission", _) => Draft::request(Method::CREATE_PERMISSION),
                    (_, Attribute::CHANNEL_NUMBER) => {
                        Draft::request(Method::CHANNEL_BIND).peer((client.target.peer_bind, 9).into())
                    }
                    _ => Draft::request(Method::CHANNEL_BIND).with(Attribute::CHANNEL_NUMBER, &[0x40, 0, 0, 0]),
                };
                client.sign(&draft.with(attribute, &value))
            };
            probes.push(if method == "allocate" {
                Probe::known(id, SIZE, input, want, make)
            } else {
                Probe::allocated(id, SIZE, input, want, make)
            });
        }
    };
    let bad = Error(&[400]);
    size("allocate", Attribute::REQUESTED_TRANSPORT, &[0, 1, 3, 5, 8], bad);
    size("allocate", Attribute::LIFETIME, &[0, 1, 3, 5, 8], bad);
    size("allocate", Attribute::EVEN_PORT, &[0, 4], bad);
    size("allocate", Attribute::RESERVATION_TOKEN, &[0, 4, 7, 9], bad);
    size("allocate", Attribute::REQUESTED_ADDRESS_FAMILY, &[0, 1, 3, 5, 8], Error(&[400, 440]));
    size("allocate", Attribute::DONT_FRAGMENT, &[1, 4], Error(&[400, 420]));
    size("refresh", Attribute::LIFETIME, &[0, 1, 3, 5, 8], bad);
    size("refresh", Attribute::REQUESTED_ADDRESS_FAMILY, &[0, 3, 5], Error(&[400, 440, 443]));
    size("create-permission", Attribute::XOR_PEER_ADDRESS, &[0, 1, 4, 7, 9, 12, 19, 21], bad);
    size("channel-bind", Attribute::XOR_PEER_ADDRESS, &[0, 1, 4, 7, 9, 12, 19, 21], bad);
    size("channel-bind", Attribute::CHANNEL_NUMBER, &[0, 1, 2, 3, 5, 8], bad);
    probes
}

fn order() -> Vec<Probe> {
    let lifetime = |seconds: u32| (Attribute::LIFETIME, seconds.to_be_bytes());
    let twice = Probe::scripted("attributes.first-lifetime", FIRST, "LIFETIME 700, then 900", "700", move |target| {
        let mut client = Client::known(target)?;
        let draft =
            [lifetime(700), lifetime(900)].iter().fold(Draft::allocate(), |draft, (it, of)| draft.with(*it, of));
        let seconds = client.allocate(&draft)?.u32(Attribute::LIFETIME)?;
        ensure(seconds == 700, format!("{seconds} s"))
    });
    let transport =
        |client: &Client<'_>| client.sign(&Draft::allocate().with(Attribute::REQUESTED_TRANSPORT, &[99, 0, 0, 0]));
    let input = "REQUESTED-TRANSPORT 17, then 99";
    let transport = Probe::known("attributes.first-transport", FIRST, input, Want::Success, transport);
    let reversed = |client: &Client<'_>| {
        let draft = Draft::request(Method::ALLOCATE).with(Attribute::REQUESTED_TRANSPORT, &[99, 0, 0, 0]);
        client.sign(&draft.with(Attribute::REQUESTED_TRANSPORT, &UDP))
    };
    let input = "REQUESTED-TRANSPORT 99, then 17";
    let reversed = Probe::known("attributes.first-transport-bad", FIRST, input, Error(&[442, 400]), reversed);
    let channel = |client: &Client<'_>| {
        let peer = (client.target.peer_bind, 9).into();
        client.sign(&Draft::channel(0x4001, peer).with(Attribute::CHANNEL_NUMBER, &[0x3f, 0xff, 0, 0]))
    };
    let input = "CHANNEL-NUMBER 4001, then 3fff";
    let channel = Probe::allocated("attributes.first-channel", FIRST, input, SuccessOr(&[403]), channel);
    let behind = Probe::scripted("attributes.behind-lifetime", BEHIND, "LIFETIME 900 behind it", "not 900", |target| {
        let mut client = Client::known(target)?;
        let bytes = appended(client.sign(&Draft::allocate()), &[0, 0x0d, 0, 4, 0, 0, 3, 0x84]);
        client.judge(&bytes, Want::Success)?;
        let bytes = appended(client.sign(&Draft::request(Method::REFRESH)), &[0, 0x0d, 0, 4, 0, 0, 3, 0x84]);
        let seconds = client.answer(&bytes)?.u32(Attribute::LIFETIME)?;
        ensure(seconds != 900, format!("{seconds} s"))
    });
    let unknown = |client: &Client<'_>| appended(client.sign(&Draft::allocate()), &[0x7f, 1, 0, 4, 1, 2, 3, 4]);
    let input = "the unknown 7f01 behind it";
    let unknown = Probe::known("attributes.behind-unknown", BEHIND, input, Want::Success, unknown);
    vec![twice, transport, reversed, channel, behind, unknown, padded("00"), padded("ff")]
}

/// SOFTWARE of one byte, and three of padding, under the signature.
fn padded(with: &'static str) -> Probe {
    let input = format!("an Allocate with three bytes {with} of padding");
    let want = Want::Success;
    Probe::known(format!("attributes.padding-{with}"), PADDING, input, want, move |client| {
        let byte = if with == "ff" { 0xff } else { 0 };
        // Four bytes are written, and one is stated: the integrity is made of what stands there then.
        let mut bytes =
            client.named(&Draft::allocate()).with(Attribute::SOFTWARE, &[b'x', byte, byte, byte]).unsigned();
        let at = bytes.len() - 6;
        bytes[at..at + 2].copy_from_slice(&1_u16.to_be_bytes());
        mac::sign_sha1(client, bytes)
    })
}

fn amounts() -> Vec<Probe> {
    let mut probes = Vec::new();
    for count in [16, 500, 3000] {
        let input = format!("a Binding request with {count} empty attributes");
        let make = move || appended(Draft::binding().unsigned(), &[0x80, 0x22, 0, 0].repeat(count));
        let (want, id) =
            (if count == 16 { Want::Success } else { SuccessOr(&[400]) }, format!("attributes.many-{count}"));
        probes.push(Probe::scripted(id, BOUND, input, "the server lives", move |target| {
            let mut client = Client::fresh(target)?;
            match client.judge(&make(), want) {
                Err(Stop::Fault(seen)) if count > 16 && (seen == "no answer" || seen.ends_with("the connection")) => {}
                other => return other,
            }
            client.is_alive().map(|()| "no answer".to_owned())
        }));
    }
    for (len, want) in
        [(0, Error(&[400, 401])), (508, Error(&[401])), (513, Error(&[400, 401])), (763, Error(&[400, 401]))]
    {
        let rule = rule("RFC 8489 §14.3", "a USERNAME has up to 508 bytes; who it does not name is nobody");
        let id = format!("attributes.username-{len}");
        probes.push(Probe::known(id, rule, format!("a USERNAME of {len} bytes"), want, move |client| {
            let draft = Draft::allocate().with(Attribute::USERNAME, &vec![b'u'; len]);
            let draft = draft.with(Attribute::REALM, &client.realm).with(Attribute::NONCE, &client.nonce);
            draft.signed(&client.key(Algorithm::Sha1), Algorithm::Sha1)
        }));
    }
    for (name, username) in
        [("no-utf8", &b"\xff\xfe\xfd"[..]), ("nul", b"u\0u"), ("colon", b"a:b:c"), ("quote", b"' OR 1=1")]
    {
        let rule = rule("RFC 8489 §9.2.4", "a USERNAME that names nobody: 401, or 400 if it is no name");
        let id = format!("attributes.username-{name}");
        probes.push(Probe::known(id, rule, format!("USERNAME {username:02x?}"), Error(&[400, 401]), move |client| {
            let draft = Draft::allocate().with(Attribute::USERNAME, username);
            let draft = draft.with(Attribute::REALM, &client.realm).with(Attribute::NONCE, &client.nonce);
            draft.signed(&client.key(Algorithm::Sha1), Algorithm::Sha1)
        }));
    }
    probes
}
