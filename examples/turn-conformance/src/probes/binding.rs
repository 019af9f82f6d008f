use plenary_stun::{Attribute, Method};

use crate::Probe;
use crate::client::Client;
use crate::draft::Draft;
use crate::outcome::{Stop, ensure};
use crate::probe::{Rule, rule};
use crate::want::Want;

const MAPPED: Rule = rule("RFC 8489 §6.3.1.1", "a Binding success has the client's address in XOR-MAPPED-ADDRESS");
const TRANSACTION: Rule = rule("RFC 8489 §6.3.1", "a response has the request's transaction id");
const ANY: Rule = rule("RFC 8489 §6.3.1", "a Binding request is answered without credentials");
const KNOWN: Rule = rule("RFC 8489 §6.3", "attributes that are known but not expected are ignored");

pub(super) fn probes() -> Vec<Probe> {
    let mut probes =
        vec![Probe::scripted("binding.mapped", MAPPED, "a Binding request", "the client's port", |target| {
            let mut client = Client::fresh(target)?;
            let mapped = client.answer(&Draft::binding().unsigned())?.address(Attribute::XOR_MAPPED_ADDRESS)?;
            let local = client.link.local().map_or(0, |local| local.port());
            ensure(mapped.port() == local, format!("{mapped}, sent from port {local}"))
        })];
    for (name, id) in
        [("zero", [0; 12]), ("ones", [0xff; 12]), ("cookies", *b"\x21\x12\xa4\x42\x21\x12\xa4\x42\x21\x12\xa4\x42")]
    {
        let input = format!("a Binding request with the transaction id {id:02x?}");
        probes.push(Probe::scripted(
            format!("binding.transaction-{name}"),
            TRANSACTION,
            input,
            "its response",
            move |target| {
                let mut client = Client::fresh(target)?;
                let answer = client.answer(&Draft::binding().transaction(id).unsigned())?;
                let mapped = answer.address(Attribute::XOR_MAPPED_ADDRESS)?;
                let local = client.link.local().map_or(0, |local| local.port());
                ensure(answer.is_success() && mapped.port() == local, format!("{answer}: {mapped}"))
            },
        ));
    }
    let fingerprint =
        |target: &crate::Target| Client::fresh(target)?.judge(&Draft::binding().fingerprinted(), Want::Success);
    probes.push(Probe::scripted("binding.fingerprint", ANY, "one with a fingerprint", Want::Success, fingerprint));
    for (name, attribute, value) in [
        ("software", Attribute::SOFTWARE, &[b's'; 500][..]),
        ("username", Attribute::USERNAME, b"user"),
        ("realm", Attribute::REALM, b"realm"),
        ("nonce", Attribute::NONCE, b"nonce"),
    ] {
        let input = format!("a Binding request with {attribute:?}");
        probes.push(Probe::scripted(format!("binding.{name}"), KNOWN, input, Want::Success, move |target| {
            Client::fresh(target)?.judge(&Draft::binding().with(attribute, value).unsigned(), Want::Success)
        }));
    }
    probes.push(Probe::scripted("binding.retransmitted", ANY, "the same request twice", "the same answer", |target| {
        let mut client = Client::fresh(target)?;
        let bytes = Draft::binding().unsigned();
        let (one, other) = (client.answer(&bytes)?, client.answer(&bytes)?);
        let address = |answer: &crate::answer::Answer| answer.address(Attribute::XOR_MAPPED_ADDRESS);
        let same = address(&one)? == address(&other)?;
        ensure(same, format!("{one} and {other}, alike: {same}"))
    }));
    probes.push(Probe::scripted(
        "binding.allocated",
        ANY,
        "one from a client with an allocation",
        Want::Success,
        |target| Client::allocated(target)?.judge(&Draft::binding().unsigned(), Want::Success),
    ));
    probes.push(Probe::scripted("binding.pipelined", ANY, "16 without a wait", "16 answers", |target| {
        let mut client = Client::fresh(target)?;
        let requests: Vec<_> = (0..16).map(|_| Draft::request(Method::BINDING).unsigned()).collect();
        requests.iter().for_each(|request| client.link.send(request));
        let mut missing: Vec<&[u8]> = requests.iter().map(|request| &request[8..20]).collect();
        while let Some(message) = client.next(target.patience) {
            missing.retain(|id| message.get(8..20) != Some(*id) || message[..2] != [1, 1]);
            if missing.is_empty() {
                return Ok("16 answers".to_owned());
            }
        }
        Err(Stop::Fault(format!("{} answers", 16 - missing.len())))
    }));
    probes
}
