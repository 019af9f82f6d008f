use plenary_stun::{Attribute, Method};

use super::AUTHENTICATED;
use crate::client::{Client, Reply};
use crate::draft::Draft;
use crate::outcome::{Stop, ensure};
use crate::probe::{Rule, rule};
use crate::{Probe, Transport};

const BINDING: Rule =
    rule("RFC 8489 §16.1.2", "no one is flooded through the server: a Binding answer is at most 1.6 times its request");
const CHALLENGE: Rule = rule(
    "RFC 8489 §16.1.2",
    "no one is flooded through the server: an unauthenticated request's answer is at most twice as long",
);

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = vec![
        ratio("binding", BINDING, "a Binding request of 20 bytes", 1.6, || Draft::binding().unsigned()),
        ratio("binding-fingerprint", BINDING, "one of 28 bytes", 1.6, || Draft::binding().fingerprinted()),
        ratio("binding-software", BINDING, "one of 224 bytes", 1.6, || {
            Draft::binding().with(Attribute::SOFTWARE, &[b's'; 200]).unsigned()
        }),
        ratio("unknown", CHALLENGE, "a Binding request with the unknown 7f01", 2.0, || {
            Draft::binding().with(Attribute(0x7f01), b"").unsigned()
        }),
        ratio("many-unknown", CHALLENGE, "a Binding request with 40 unknown ones", 2.0, || {
            (0..40).fold(Draft::binding(), |draft, at| draft.with(Attribute(0x7f00 + at), b"")).unsigned()
        }),
        ratio("allocate-bare", CHALLENGE, "an Allocate of 20 bytes", 2.0, || {
            Draft::request(Method::ALLOCATE).unsigned()
        }),
        ratio("allocate-fingerprint", CHALLENGE, "an Allocate with a fingerprint, of 36 bytes", 2.0, || {
            Draft::allocate().fingerprinted()
        }),
        ratio("allocate-lifetime", CHALLENGE, "an Allocate with a lifetime, of 36 bytes", 2.0, || {
            Draft::allocate().with(Attribute::LIFETIME, &[0, 0, 2, 0x58]).unsigned()
        }),
        ratio("allocate-long", CHALLENGE, "an Allocate of 128 bytes", 2.0, || {
            Draft::allocate().with(Attribute::SOFTWARE, &[b's'; 96]).unsigned()
        }),
        ratio("partial", CHALLENGE, "an Allocate with MESSAGE-INTEGRITY and no name", 2.0, || {
            Draft::allocate().with(Attribute::MESSAGE_INTEGRITY, &[0; 20]).unsigned()
        }),
    ];
    for (name, method) in AUTHENTICATED {
        let input = format!("an unsigned {name} with what it needs");
        probes.push(ratio(name, CHALLENGE, &input, 2.0, move || {
            Draft::authenticated(method, [93, 184, 216, 34].into()).unsigned()
        }));
    }
    probes
}

fn ratio(name: &str, rule: Rule, input: &str, limit: f64, make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Probe {
    let expected = format!("an answer of at most {limit} times its bytes, or none");
    Probe::scripted(format!("amplification.{name}"), rule, input, expected, move |target| {
        if target.transport != Transport::Udp {
            return Err(Stop::Skipped("is about datagrams".to_owned()));
        }
        let mut client = Client::fresh(target)?;
        let request = make();
        match client.exchange(&request)? {
            Reply::Answer(answer) => {
                let (out, of) = (answer.bytes().len(), request.len());
                ensure(
                    out as f64 <= limit * of as f64,
                    format!("{answer}: {out} bytes for {of}: {:.2}", out as f64 / of as f64),
                )
            }
            Reply::Nothing | Reply::Closed => client.is_alive().map(|()| "no answer".to_owned()),
        }
    })
}
