//! What RFC 8489 added to credentials: these apply to servers that offer it.

use plenary_stun::{Algorithm, Attribute, userhash};

use crate::client::Client;
use crate::draft::Draft;
use crate::outcome::{Stop, Verdict, ensure};
use crate::probe::{Rule, rule};
use crate::want::Want::{self, Error};
use crate::{Probe, Target, mac};

const OFFER: Rule = rule("RFC 8489 §9.2.4", "PASSWORD-ALGORITHMS and the nonce's feature bit come together");
const ACCEPT: Rule = rule("RFC 8489 §9.2.4", "a password algorithm that was offered is accepted");
const ANSWER: Rule =
    rule("RFC 8489 §9.2.4", "who names a password algorithm is answered with MESSAGE-INTEGRITY-SHA256");
const BID_DOWN: Rule = rule("RFC 8489 §9.2.4", "PASSWORD-ALGORITHMS other than offered, or one of the two alone: 400");
const HASH: Rule = rule("RFC 8489 §9.2.4", "a USERHASH names the user where anonymity is offered");
const SHORT: Rule = rule("RFC 8489 §14.6", "MESSAGE-INTEGRITY-SHA256 is not cut below 16 bytes, nor to an odd size");
const WRONG: Rule = rule("RFC 8489 §9.2.4", "a wrong MESSAGE-INTEGRITY-SHA256: 401");

const MD5: [u8; 4] = [0, 1, 0, 0];
const SHA256: [u8; 4] = [0, 2, 0, 0];

/// Changes a value on its way.
type Edit = fn(Vec<u8>) -> Vec<u8>;

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = vec![offered()];
    probes.extend(accepted());
    probes.extend(bids());
    probes.extend(hashes());
    probes.extend(cuts());
    probes
}

/// The feature bits of a nonce: password algorithms, and anonymous names.
fn features(nonce: &[u8]) -> Option<(bool, bool)> {
    let rest = nonce.strip_prefix(b"obMatJos2")?;
    // Bits are counted from the left, so both are in the first character of base64.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = alphabet.iter().position(|byte| Some(byte) == rest.first())?;
    Some((value & 32 != 0, value & 16 != 0))
}

fn offered() -> Probe {
    Probe::scripted("sha256.offer", OFFER, "an unsigned Allocate", "both or neither", |target| {
        let client = Client::known(target)?;
        let bit = features(&client.nonce).is_some_and(|(algorithms, _)| algorithms);
        let listed = client.algorithms.is_some();
        ensure(bit == listed, format!("bit {bit}, list {listed}"))
    })
}

/// A client of a server that offers SHA-256.
fn offering(target: &Target) -> Result<Client<'_>, Stop> {
    let client = Client::known(target)?;
    let list = client.algorithms.as_deref().unwrap_or_default();
    if list.chunks_exact(4).any(|entry| entry == SHA256) {
        Ok(client)
    } else {
        Err(Stop::Skipped("the server does not offer SHA-256".to_owned()))
    }
}

fn anonymous(target: &Target) -> Result<Client<'_>, Stop> {
    let client = Client::known(target)?;
    if features(&client.nonce).is_some_and(|(_, anonymity)| anonymity) {
        Ok(client)
    } else {
        Err(Stop::Skipped("the server does not offer anonymous names".to_owned()))
    }
}

/// A request with the offered list and one algorithm; not yet signed.
fn chosen(client: &Client<'_>, algorithm: &[u8]) -> Draft {
    let list = client.algorithms.clone().unwrap_or_default();
    client
        .named(&Draft::allocate())
        .with(Attribute::PASSWORD_ALGORITHMS, &list)
        .with(Attribute::PASSWORD_ALGORITHM, algorithm)
}

fn with_sha256(draft: &Draft, client: &Client<'_>) -> Vec<u8> {
    draft.signed(&client.key(Algorithm::Sha256), Algorithm::Sha256)
}

fn probe(id: &str, rule: Rule, input: &str, want: Want, make: fn(&Client<'_>) -> Vec<u8>) -> Probe {
    Probe::scripted(format!("sha256.{id}"), rule, input, want, move |target| {
        let mut client = offering(target)?;
        let bytes = make(&client);
        client.judge(&bytes, want)
    })
}

fn accepted() -> Vec<Probe> {
    let mut probes = vec![
        probe("accept", ACCEPT, "an Allocate with SHA-256", Want::Success, |client| {
            with_sha256(&chosen(client, &SHA256), client)
        }),
        probe(
            "accept-none",
            rule("RFC 8489 §9.2.4", "without both attributes the algorithm is MD5"),
            "an Allocate as of RFC 5389",
            Want::Success,
            |client| client.sign(&Draft::allocate()),
        ),
    ];
    let answered = |target: &Target, algorithm: Algorithm| -> Verdict {
        let mut client = offering(target)?;
        let entry = if algorithm == Algorithm::Sha256 { SHA256 } else { MD5 };
        let list = client.algorithms.as_deref().unwrap_or_default();
        if !list.chunks_exact(4).any(|offered| offered == entry) {
            return Err(Stop::Skipped("the server does not offer MD5".to_owned()));
        }
        // MD5 or SHA-256 make the key; the integrity is SHA-256's in both cases.
        let key = client.key(algorithm);
        let bytes = chosen(&client, &entry).signed(&key, Algorithm::Sha256);
        client.judge(&bytes, Want::Success)?;
        let draft = client
            .named(&Draft::refresh(600))
            .with(Attribute::PASSWORD_ALGORITHMS, &client.algorithms.clone().unwrap_or_default());
        let answer =
            client.answer(&draft.with(Attribute::PASSWORD_ALGORITHM, &entry).signed(&key, Algorithm::Sha256))?;
        let holds = answer.message().is_signed_with(&key, Algorithm::Sha256);
        ensure(answer.is_success() && holds, format!("{answer}, signed so: {holds}"))
    };
    for (name, algorithm) in [("sha256", Algorithm::Sha256), ("md5", Algorithm::Sha1)] {
        let input = format!("a Refresh with PASSWORD-ALGORITHM {name}");
        let id = format!("sha256.answer-{name}");
        probes
            .push(Probe::scripted(id, ANSWER, input, "success, so signed", move |target| answered(target, algorithm)));
    }
    for (name, at) in [("first", 32), ("last", 1)] {
        let input = format!("an Allocate whose MESSAGE-INTEGRITY-SHA256 is wrong in its {name} bit");
        probes.push(Probe::scripted(format!("sha256.wrong-{name}"), WRONG, input, 401, move |target| {
            let mut client = offering(target)?;
            let mut bytes = with_sha256(&chosen(&client, &SHA256), &client);
            let len = bytes.len();
            bytes[len - at] ^= 1;
            client.judge(&bytes, Error(&[401]))
        }));
    }
    let input = "an Allocate with SHA-256, signed with the key of MD5";
    probes.push(probe("wrong-key", WRONG, input, Error(&[401]), |client| {
        chosen(client, &SHA256).signed(&client.key(Algorithm::Sha1), Algorithm::Sha256)
    }));
    probes
}

fn bids() -> Vec<Probe> {
    let bad = Error(&[400]);
    let list = |client: &Client<'_>| client.algorithms.clone().unwrap_or_default();
    let mut probes = vec![
        probe("bid-list-alone", BID_DOWN, "PASSWORD-ALGORITHMS alone", bad, move |client| {
            let list = client.algorithms.clone().unwrap_or_default();
            with_sha256(&client.named(&Draft::allocate()).with(Attribute::PASSWORD_ALGORITHMS, &list), client)
        }),
        probe("bid-choice-alone", BID_DOWN, "PASSWORD-ALGORITHM alone", bad, |client| {
            with_sha256(&client.named(&Draft::allocate()).with(Attribute::PASSWORD_ALGORITHM, &SHA256), client)
        }),
        probe("bid-unknown", BID_DOWN, "PASSWORD-ALGORITHM 99", bad, |client| {
            with_sha256(&chosen(client, &[0, 99, 0, 0]), client)
        }),
        probe("bid-zero", BID_DOWN, "PASSWORD-ALGORITHM 0, which is reserved", bad, |client| {
            with_sha256(&chosen(client, &[0; 4]), client)
        }),
    ];
    let edits: [(&str, Edit); 5] = [
        ("only-md5", |_| MD5.to_vec()),
        ("empty", |_| Vec::new()),
        ("more", |list| [&list[..], &[0, 9, 0, 0]].concat()),
        ("reversed", |list| list.chunks(4).rev().flatten().copied().chain(SHA256).collect()),
        ("cut", |list| list[..list.len() - 2].to_vec()),
    ];
    for (name, edit) in edits {
        let input = format!("PASSWORD-ALGORITHMS that was changed on its way: {name}");
        probes.push(Probe::scripted(format!("sha256.bid-{name}"), BID_DOWN, input, bad, move |target| {
            let mut client = offering(target)?;
            let draft = client.named(&Draft::allocate()).with(Attribute::PASSWORD_ALGORITHMS, &edit(list(&client)));
            let bytes =
                draft.with(Attribute::PASSWORD_ALGORITHM, &MD5).signed(&client.key(Algorithm::Sha1), Algorithm::Sha1);
            client.judge(&bytes, bad)
        }));
    }
    for (name, value) in [("first", "AAAA"), ("ones", "////"), ("algorithms", "gAAA"), ("anonymity", "QAAA")] {
        let stale = rule("RFC 8489 §9.2.1", "feature bits that were changed on their way make the nonce invalid");
        let input = format!("a nonce whose features are {value}");
        probes.push(Probe::scripted(format!("sha256.bid-bits-{name}"), stale, input, "438 or 400", move |target| {
            let mut client = offering(target)?;
            if client.nonce[9..13] == *value.as_bytes() {
                return Err(Stop::Skipped("these are the server's features".to_owned()));
            }
            client.nonce[9..13].copy_from_slice(value.as_bytes());
            let bytes = client.sign(&Draft::allocate());
            client.judge(&bytes, Error(&[400, 438]))
        }));
    }
    probes
}

/// An Allocate of a hidden name, or what shall be one.
fn hidden(client: &Client<'_>, hash: &[u8]) -> Vec<u8> {
    let list = client.algorithms.clone();
    let draft = Draft::allocate().with(Attribute::USERHASH, hash).with(Attribute::REALM, &client.realm);
    let draft = draft.with(Attribute::NONCE, &client.nonce);
    match list {
        None => draft.signed(&client.key(Algorithm::Sha1), Algorithm::Sha1),
        Some(list) => {
            let draft = draft.with(Attribute::PASSWORD_ALGORITHMS, &list);
            let draft = draft.with(Attribute::PASSWORD_ALGORITHM, &SHA256);
            draft.signed(&client.key(Algorithm::Sha256), Algorithm::Sha256)
        }
    }
}

fn hashes() -> Vec<Probe> {
    let edits: [(&str, &str, Want, Edit); 5] = [
        ("right", "the user's", Want::Success, |hash| hash),
        ("wrong", "another's", Error(&[401]), |mut hash| {
            hash[31] ^= 1;
            hash
        }),
        ("zero", "zeros", Error(&[401]), |_| vec![0; 32]),
        ("short", "31 bytes of it", Error(&[400, 401]), |hash| hash[..31].to_vec()),
        ("long", "33 bytes", Error(&[400, 401]), |hash| [&hash[..], &[0]].concat()),
    ];
    let of = |(name, what, want, edit): (&str, &str, Want, Edit)| {
        let input = format!("an Allocate whose USERHASH is {what}");
        Probe::scripted(format!("sha256.userhash-{name}"), HASH, input, want, move |target| {
            let mut client = anonymous(target)?;
            let hash = userhash(target.username.as_bytes(), &client.realm);
            let bytes = hidden(&client, &edit(hash.to_vec()));
            client.judge(&bytes, want)
        })
    };
    edits.map(of).into()
}

fn cuts() -> Vec<Probe> {
    let of = |len: u8| {
        let input = format!("an Allocate with the first {len} bytes of MESSAGE-INTEGRITY-SHA256");
        let want = Want::ErrorOrSilence(&[400, 401]);
        Probe::scripted(format!("sha256.cut-{len}"), SHORT, input, want, move |target| {
            let mut client = offering(target)?;
            let bytes = mac::sign_sha256(&client, chosen(&client, &SHA256).unsigned(), len);
            client.judge(&bytes, want)
        })
    };
    [0, 4, 8, 12, 15, 17, 31, 36].map(of).into()
}
