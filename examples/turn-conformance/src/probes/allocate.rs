use std::net::SocketAddr;

use plenary_stun::{Attribute, Method};

use crate::answer::Answer;
use crate::client::Client;
use crate::draft::{Draft, draw};
use crate::outcome::{Stop, Verdict, ensure};
use crate::probe::{Rule, rule};
use crate::want::Want::{self, Error};
use crate::{Probe, Target, Transport};

const SUCCESS: Rule = rule("RFC 8656 §7.2", "a success has relayed address, lifetime and the client's address");
const TRANSPORT: Rule = rule("RFC 8656 §7.2", "REQUESTED-TRANSPORT is there, else 400; and is UDP, else 442");
const MISMATCH: Rule = rule("RFC 8656 §7.2", "a client has one allocation: another one is 437");
const AGAIN: Rule = rule("RFC 8656 §7.2", "a retransmission is answered like the first");
const LIFETIME: Rule = rule("RFC 8656 §7.2", "a lifetime is between the server's default and its maximum");
const FAMILY: Rule = rule("RFC 8656 §7.2", "an address family that the server does not have: 440");
const BOTH: Rule = rule("RFC 8656 §7.2", "ADDITIONAL-ADDRESS-FAMILY is IPv6 and stands alone, else 400");
const EVEN: Rule = rule("RFC 8656 §7.2", "EVEN-PORT gives an even port, and on request reserves the next");
const TOKEN: Rule = rule("RFC 8656 §7.2", "a RESERVATION-TOKEN gives the reserved port, once; else 508");
const CONFLICT: Rule = rule("RFC 8656 §7.2", "RESERVATION-TOKEN goes with no EVEN-PORT and no address family: 400");
const ORDER: Rule = rule("RFC 8656 §7.2", "the checks of an Allocate are in the order of the section");
const FRAGMENT: Rule = rule("RFC 8656 §7.2", "DONT-FRAGMENT is done, or refused by a 420 that names it");

const V4: [u8; 4] = [1, 0, 0, 0];
const V6: [u8; 4] = [2, 0, 0, 0];

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = basics();
    probes.extend(transports());
    probes.extend(lifetimes());
    probes.extend(families());
    probes.extend(ports());
    probes.extend(orders());
    probes
}

/// An Allocate that succeeds, and what to see in the answer.
fn allocation(name: &str, rule: Rule, input: &str, expected: &str, look: fn(&Answer) -> Verdict) -> Probe {
    Probe::scripted(format!("allocate.{name}"), rule, input, expected, move |target| {
        let mut client = Client::known(target)?;
        let answer = client.allocate(&Draft::allocate())?;
        look(&answer)
    })
}

fn basics() -> Vec<Probe> {
    vec![
        allocation("relayed", SUCCESS, "an Allocate", "XOR-RELAYED-ADDRESS", |answer| {
            answer.address(Attribute::XOR_RELAYED_ADDRESS).map(|it| it.to_string())
        }),
        allocation("lifetime", SUCCESS, "an Allocate", "LIFETIME", |answer| {
            answer.u32(Attribute::LIFETIME).map(|it| format!("{it} s"))
        }),
        allocation("mapped", SUCCESS, "an Allocate", "XOR-MAPPED-ADDRESS", |answer| {
            answer.address(Attribute::XOR_MAPPED_ADDRESS).map(|it| it.to_string())
        }),
        Probe::allocated("allocate.twice", MISMATCH, "a second Allocate", Error(&[437]), |client| {
            client.sign(&Draft::allocate())
        }),
        Probe::scripted("allocate.retransmitted", AGAIN, "the same Allocate twice", "the same address", |target| {
            let mut client = Client::known(target)?;
            let draft = Draft::allocate();
            let first = client.allocate(&draft)?.address(Attribute::XOR_RELAYED_ADDRESS)?;
            let second = client.ask(&draft)?;
            let seen = format!("{first}, then {second}");
            ensure(second.is_success() && second.address(Attribute::XOR_RELAYED_ADDRESS)? == first, seen)
        }),
        Probe::scripted("allocate.released", MISMATCH, "Allocate, Refresh 0, Allocate", "success", |target| {
            let mut client = Client::allocated(target)?;
            client.succeed(&Draft::refresh(0)).map_err(Stop::before)?;
            client.allocate(&Draft::allocate()).map(|answer| answer.to_string())
        }),
        Probe::scripted(
            "allocate.failed-first",
            MISMATCH,
            "an Allocate that is refused, then another",
            "success",
            |target| {
                let mut client = Client::known(target)?;
                let refused = client.ask(&Draft::request(Method::ALLOCATE))?;
                if refused.is_success() {
                    return Err(Stop::Fault("success without REQUESTED-TRANSPORT".to_owned()));
                }
                client.allocate(&Draft::allocate()).map(|answer| answer.to_string())
            },
        ),
        Probe::known("allocate.dont-fragment", FRAGMENT, "DONT-FRAGMENT", Want::SuccessOr(&[420]), |client| {
            client.sign(&Draft::allocate().with(Attribute::DONT_FRAGMENT, b""))
        }),
        Probe::scripted("allocate.dont-fragment-named", FRAGMENT, "DONT-FRAGMENT", "a 420 names it", |target| {
            let mut client = Client::known(target)?;
            let draft = Draft::allocate().with(Attribute::DONT_FRAGMENT, b"");
            let answer = client.ask(&draft)?;
            if answer.is_success() {
                client.succeed(&Draft::refresh(0))?;
                return Ok("success".to_owned());
            }
            let names = answer.get(Attribute::UNKNOWN_ATTRIBUTES) == Some(&[0, 0x1a]);
            ensure(answer.code() == 420 && names, format!("{answer}, names it: {names}"))
        }),
    ]
}

fn transports() -> Vec<Probe> {
    let mut probes = Vec::new();
    for protocol in [0_u8, 1, 2, 33, 58, 99, 132, 136, 255] {
        let input = format!("an Allocate of protocol {protocol}");
        let id = format!("allocate.transport-{protocol}");
        probes.push(Probe::known(id, TRANSPORT, input, Error(&[442]), move |client| {
            client.sign(&Draft::request(Method::ALLOCATE).with(Attribute::REQUESTED_TRANSPORT, &[protocol, 0, 0, 0]))
        }));
    }
    let none = |client: &Client<'_>| client.sign(&Draft::request(Method::ALLOCATE));
    probes.push(Probe::known("allocate.transport-none", TRANSPORT, "an Allocate without it", Error(&[400]), none));
    let tcp = rule("RFC 6062 §5.1", "a TCP allocation over UDP: 400; 442 if there are none");
    probes.push(Probe::scripted("allocate.transport-tcp", tcp, "protocol 6 over UDP", "400 or 442", |target| {
        if target.transport != Transport::Udp {
            return Err(Stop::Skipped("is about UDP".to_owned()));
        }
        let mut client = Client::known(target)?;
        let draft = Draft::request(Method::ALLOCATE).with(Attribute::REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
        let bytes = client.sign(&draft);
        client.judge(&bytes, Error(&[400, 442]))
    }));
    let reserved = |client: &Client<'_>| {
        client.sign(&Draft::request(Method::ALLOCATE).with(Attribute::REQUESTED_TRANSPORT, &[17, 0xff, 0xff, 0xff]))
    };
    let rule = rule("RFC 8656 §18.8", "the three reserved bytes are ignored");
    probes.push(Probe::known("allocate.transport-reserved", rule, "17 and three bytes ff", Want::Success, reserved));
    probes
}

/// Asked for, and what may come of it.
fn lifetimes() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (asked, low, high) in
        [(0, 300, 3600), (1, 300, 3600), (599, 300, 3600), (600, 600, 600), (777, 600, 777), (1800, 600, 1800)]
    {
        let input = format!("an Allocate of {asked} s");
        let expected = format!("{low} to {high} s");
        probes.push(lifetime(asked, input, expected, low, high));
    }
    for asked in [86_401, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let input = format!("an Allocate of {asked} s");
        probes.push(lifetime(asked, input, "a day at most".to_owned(), 600, 86_400));
    }
    probes
}

fn lifetime(asked: u32, input: String, expected: String, low: u32, high: u32) -> Probe {
    Probe::scripted(format!("allocate.lifetime-{asked}"), LIFETIME, input, expected, move |target| {
        let mut client = Client::known(target)?;
        let draft = Draft::allocate().with(Attribute::LIFETIME, &asked.to_be_bytes());
        let given = client.allocate(&draft)?.u32(Attribute::LIFETIME)?;
        ensure((low..=high).contains(&given), format!("{given} s"))
    })
}

fn families() -> Vec<Probe> {
    const REQUESTED: Attribute = Attribute::REQUESTED_ADDRESS_FAMILY;
    const ADDITIONAL: Attribute = Attribute::ADDITIONAL_ADDRESS_FAMILY;
    let mut probes = vec![
        family("family-1", FAMILY, "REQUESTED-ADDRESS-FAMILY IPv4", |target| {
            let mut client = Client::known(target)?;
            let relayed = client.allocate(&Draft::allocate().with(REQUESTED, &V4))?;
            let relayed = relayed.address(Attribute::XOR_RELAYED_ADDRESS)?;
            ensure(relayed.is_ipv4(), relayed.to_string())
        }),
        family("family-2", FAMILY, "REQUESTED-ADDRESS-FAMILY IPv6", |target| {
            let mut client = Client::known(target)?;
            let bytes = client.sign(&Draft::allocate().with(REQUESTED, &V6));
            client
                .judge(&bytes, Want::SuccessOr(&[440]))
                .and_then(|seen| ensure(seen == "440" || client.relayed().is_ipv6(), seen))
        }),
        family("additional-2", BOTH, "ADDITIONAL-ADDRESS-FAMILY IPv6", |target| {
            let mut client = Client::known(target)?;
            let answer = client.ask(&Draft::allocate().with(ADDITIONAL, &V6))?;
            if !answer.is_success() {
                return ensure(answer.code() == 440, answer.to_string());
            }
            let relayed: Vec<SocketAddr> = answer
                .message()
                .attributes()
                .filter(|(kind, _)| *kind == Attribute::XOR_RELAYED_ADDRESS)
                .filter_map(|(kind, value)| answer.message().xor_address(kind, value).ok())
                .collect();
            client.succeed(&Draft::refresh(0))?;
            let has = |v6| relayed.iter().any(|it| it.is_ipv6() == v6);
            let holds = has(false) && (has(true) || answer.has(Attribute::ADDRESS_ERROR_CODE));
            ensure(holds, format!("{relayed:?}, ADDRESS-ERROR-CODE {}", answer.has(Attribute::ADDRESS_ERROR_CODE)))
        }),
    ];
    for value in [0_u8, 3, 0x10, 0xff] {
        let input = format!("REQUESTED-ADDRESS-FAMILY {value}");
        let id = format!("allocate.family-{value}");
        probes.push(Probe::known(id, FAMILY, input, Error(&[400, 440]), move |client| {
            client.sign(&Draft::allocate().with(REQUESTED, &[value, 0, 0, 0]))
        }));
    }
    for value in [0_u8, 1, 3, 0xff] {
        let input = format!("ADDITIONAL-ADDRESS-FAMILY {value}");
        let id = format!("allocate.additional-{value}");
        // What is no family at all may be said to be unsupported.
        let want = if value == 1 { Error(&[400]) } else { Error(&[400, 440]) };
        probes.push(Probe::known(id, BOTH, input, want, move |client| {
            client.sign(&Draft::allocate().with(ADDITIONAL, &[value, 0, 0, 0]))
        }));
    }
    for value in [V4, V6] {
        let input = format!("REQUESTED-ADDRESS-FAMILY {} and ADDITIONAL-ADDRESS-FAMILY 2", value[0]);
        let id = format!("allocate.additional-and-requested-{}", value[0]);
        probes.push(Probe::known(id, BOTH, input, Error(&[400]), move |client| {
            client.sign(&Draft::allocate().with(REQUESTED, &value).with(ADDITIONAL, &V6))
        }));
    }
    let input = "ADDITIONAL-ADDRESS-FAMILY and EVEN-PORT that reserves";
    probes.push(Probe::known("allocate.additional-and-even", BOTH, input, Error(&[400]), move |client| {
        client.sign(&Draft::allocate().with(ADDITIONAL, &V6).with(Attribute::EVEN_PORT, &[0x80]))
    }));
    probes
}

fn family(name: &str, rule: Rule, input: &str, script: fn(&Target) -> Verdict) -> Probe {
    Probe::scripted(format!("allocate.{name}"), rule, input, "as asked, or 440", script)
}

/// An allocation with a reserved port beside it, and the token of that.
fn reserve(target: &Target) -> Result<(Client<'_>, Vec<u8>), Stop> {
    let mut client = Client::known(target)?;
    let draft = Draft::allocate().with(Attribute::EVEN_PORT, &[0x80]);
    let answer = client.allocate(&draft).map_err(Stop::before)?;
    let token = answer.get(Attribute::RESERVATION_TOKEN).map(<[u8]>::to_vec);
    let token = token.ok_or_else(|| Stop::Setup("no RESERVATION-TOKEN".to_owned()))?;
    Ok((client, token))
}

fn ports() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, value) in [("even", 0_u8), ("even-reserved-bits", 0x7f), ("even-reserves", 0x80)] {
        let input = format!("EVEN-PORT {value:02x}");
        probes.push(Probe::scripted(format!("allocate.{name}"), EVEN, input, "an even port", move |target| {
            let mut client = Client::known(target)?;
            let answer = client.allocate(&Draft::allocate().with(Attribute::EVEN_PORT, &[value]))?;
            let relayed = answer.address(Attribute::XOR_RELAYED_ADDRESS)?;
            ensure(relayed.port().is_multiple_of(2), relayed.to_string())
        }));
    }
    probes.push(Probe::scripted("allocate.token-given", EVEN, "EVEN-PORT 80", "a token of 8 bytes", |target| {
        let mut client = Client::known(target)?;
        let answer = client.allocate(&Draft::allocate().with(Attribute::EVEN_PORT, &[0x80]))?;
        let len = answer.get(Attribute::RESERVATION_TOKEN).map(<[u8]>::len);
        ensure(len == Some(8), format!("{len:?}"))
    }));
    probes.push(Probe::scripted("allocate.token-not-given", EVEN, "EVEN-PORT 0", "no token", |target| {
        let mut client = Client::known(target)?;
        let answer = client.allocate(&Draft::allocate().with(Attribute::EVEN_PORT, &[0]))?;
        let has = answer.has(Attribute::RESERVATION_TOKEN);
        ensure(!has, format!("a token: {has}"))
    }));
    probes.push(Probe::scripted("allocate.token-used", TOKEN, "the token in an Allocate", "the next port", |target| {
        let (client, token) = reserve(target)?;
        let mut other = Client::known(target)?;
        let answer = other.allocate(&Draft::allocate().with(Attribute::RESERVATION_TOKEN, &token))?;
        let relayed = answer.address(Attribute::XOR_RELAYED_ADDRESS)?;
        let holds = relayed.port() == client.relayed().port() + 1 && relayed.ip() == client.relayed().ip();
        ensure(holds, format!("{}, then {relayed}", client.relayed()))
    }));
    probes.push(Probe::scripted("allocate.token-twice", TOKEN, "the token in two Allocates", "508", |target| {
        let (_client, token) = reserve(target)?;
        let draft = || Draft::allocate().with(Attribute::RESERVATION_TOKEN, &token);
        let mut other = Client::known(target)?;
        other.allocate(&draft()).map_err(Stop::before)?;
        let mut third = Client::known(target)?;
        let bytes = third.sign(&draft());
        third.judge(&bytes, Error(&[508]))
    }));
    for (name, token) in [("random", None), ("zero", Some([0; 8])), ("ones", Some([0xff; 8]))] {
        let input = format!("a token that was never given: {name}");
        let id = format!("allocate.token-{name}");
        probes.push(Probe::known(id, TOKEN, input, Error(&[508]), move |client| {
            client.sign(&Draft::allocate().with(Attribute::RESERVATION_TOKEN, &token.unwrap_or_else(draw)))
        }));
    }
    for (name, attribute, value) in [
        ("even", Attribute::EVEN_PORT, &[0_u8][..]),
        ("family", Attribute::REQUESTED_ADDRESS_FAMILY, &V4),
        ("additional", Attribute::ADDITIONAL_ADDRESS_FAMILY, &V6),
    ] {
        let input = format!("a token and {attribute:?}");
        let id = format!("allocate.token-and-{name}");
        probes.push(Probe::known(id, CONFLICT, input, Error(&[400]), move |client| {
            let draft = Draft::allocate().with(Attribute::RESERVATION_TOKEN, &[1; 8]);
            client.sign(&draft.with(attribute, value))
        }));
    }
    probes
}

fn orders() -> Vec<Probe> {
    let bare = || Draft::request(Method::ALLOCATE);
    let odd = move || bare().with(Attribute::REQUESTED_TRANSPORT, &[99, 0, 0, 0]);
    let token = |draft: Draft| draft.with(Attribute::RESERVATION_TOKEN, &[1; 8]);
    vec![
        Probe::allocated(
            "allocate.order-437-442",
            ORDER,
            "a second Allocate, of protocol 99",
            Error(&[437]),
            move |client| client.sign(&odd()),
        ),
        Probe::allocated("allocate.order-437-400", ORDER, "a second Allocate, of none", Error(&[437]), move |client| {
            client.sign(&bare())
        }),
        Probe::allocated("allocate.order-437-440", ORDER, "a second Allocate, of family 3", Error(&[437]), |client| {
            client.sign(&Draft::allocate().with(Attribute::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0]))
        }),
        Probe::allocated(
            "allocate.order-437-508",
            ORDER,
            "a second Allocate, with a wrong token",
            Error(&[437]),
            move |client| client.sign(&token(Draft::allocate())),
        ),
        Probe::known("allocate.order-442-440", ORDER, "protocol 99 and family 3", Error(&[442]), move |client| {
            client.sign(&odd().with(Attribute::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0]))
        }),
        Probe::known("allocate.order-442-508", ORDER, "protocol 99 and a wrong token", Error(&[442]), move |client| {
            client.sign(&token(odd()))
        }),
        Probe::known("allocate.order-400-508", ORDER, "no protocol and a wrong token", Error(&[400]), move |client| {
            client.sign(&token(bare()))
        }),
        Probe::known(
            "allocate.order-420-442",
            ORDER,
            "protocol 99 and the unknown 7f01",
            Error(&[420]),
            move |client| client.sign(&odd().with(Attribute(0x7f01), b"what")),
        ),
    ]
}
