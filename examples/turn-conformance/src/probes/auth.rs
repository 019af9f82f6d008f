use plenary_stun::{Algorithm, Attribute, Key, Method};

use super::AUTHENTICATED;
use crate::Probe;
use crate::client::Client;
use crate::draft::{Draft, appended};
use crate::outcome::{Stop, Verdict, ensure};
use crate::probe::{Rule, rule};
use crate::want::Want::{self, AnyError, Error, ErrorOrSilence};

const CHALLENGE: Rule = rule("RFC 8489 §9.2.4", "a request without integrity: 401 with REALM and NONCE");
const PARTIAL: Rule = rule("RFC 8489 §9.2.4", "integrity without USERNAME, REALM or NONCE: 400");
const WRONG: Rule = rule("RFC 8489 §9.2.4", "a wrong MESSAGE-INTEGRITY: 401 with REALM and NONCE");
const STALE: Rule = rule("RFC 8489 §9.2.4", "a nonce that is not valid: 438 with REALM and a new NONCE");
const FOREIGN: Rule = rule("RFC 8489 §9.2.4", "no two source addresses and ports share a nonce");
const SIGNED: Rule = rule("RFC 8489 §9.2.4", "what answers an authenticated request is signed by its key");
const SIZE: Rule = rule("RFC 8489 §14.5", "MESSAGE-INTEGRITY has 20 bytes");
const OTHER: Rule = rule("RFC 8656 §5", "a request about another user's allocation: 441");
const BARE: Rule = rule("RFC 8489 §9.2.4", "a 401 has neither USERNAME nor integrity");

/// Changes what a client was told, or is called.
type Edit<T> = fn(&mut T);

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, method) in AUTHENTICATED {
        probes.extend(of(name, method));
    }
    probes.extend(nonces());
    probes.extend(names());
    probes.extend(integrities());
    probes
}

/// An allocated client for methods that need one, as errors about allocations come after those about users.
fn ready<'t>(target: &'t crate::Target, method: Method) -> Result<Client<'t>, Stop> {
    if method == Method::ALLOCATE { Client::known(target) } else { Client::allocated(target) }
}

/// A signed request in which something is changed, and the error that it must have.
fn changed(
    id: String,
    rule: Rule,
    input: String,
    (method, want): (Method, Want),
    make: impl Fn(&Client<'_>, &Draft) -> Vec<u8> + Send + Sync + 'static,
) -> Probe {
    Probe::scripted(id, rule, input, want, move |target| {
        let mut client = ready(target, method)?;
        let bytes = make(&client, &Draft::authenticated(method, target.peer_bind));
        client.judge(&bytes, want)
    })
}

/// What is the same for each method.
fn of(name: &'static str, method: Method) -> Vec<Probe> {
    let id = |what: &str| format!("auth.{what}-{name}");
    let mut probes = Vec::new();
    probes.push(Probe::scripted(
        id("challenge"),
        CHALLENGE,
        format!("an unsigned {name}"),
        "401 with both",
        move |target| {
            let draft = Draft::authenticated(method, target.peer_bind).with(Attribute::SOFTWARE, &[b'.'; 60]);
            let answer = Client::fresh(target)?.answer(&draft.unsigned())?;
            let has = |attribute| answer.get(attribute).is_some_and(|value| !value.is_empty());
            let holds = answer.code() == 401 && has(Attribute::REALM) && has(Attribute::NONCE);
            ensure(holds, answer.to_string())
        },
    ));
    for missing in [Attribute::USERNAME, Attribute::REALM, Attribute::NONCE] {
        let input = format!("a signed {name} without {missing:?}");
        let id = id(&format!("no-{}", format!("{missing:?}").to_lowercase()));
        probes.push(changed(id, PARTIAL, input, (method, Error(&[400])), move |client, draft| {
            let attributes = [
                (Attribute::USERNAME, client.target.username.as_bytes()),
                (Attribute::REALM, &client.realm[..]),
                (Attribute::NONCE, &client.nonce[..]),
            ];
            let left = attributes.iter().filter(|(kind, _)| *kind != missing);
            let draft = left.fold(draft.clone(), |draft, (kind, value)| draft.with(*kind, value));
            draft.signed(&client.key(Algorithm::Sha1), Algorithm::Sha1)
        }));
    }
    let input = format!("{name} signed with another password");
    probes.push(changed(id("wrong-password"), WRONG, input, (method, Error(&[401])), |client, draft| {
        let key = Key::long_term(client.target.username.as_bytes(), &client.realm, b"not it", Algorithm::Sha1);
        client.named(draft).signed(&key, Algorithm::Sha1)
    }));
    let input = format!("{name} with a nonce that is none");
    probes.push(Probe::scripted(id("garbage-nonce"), STALE, input, "438 with both", move |target| {
        let mut client = ready(target, method)?;
        stale(&mut client, method, b"garbage")
    }));
    let input = format!("{name} with another client's nonce");
    probes.push(Probe::scripted(id("foreign-nonce"), FOREIGN, input, "438", move |target| {
        let mut client = ready(target, method)?;
        let nonce = Client::known(target)?.nonce.clone();
        stale(&mut client, method, &nonce)
    }));
    let input = format!("a signed {name}");
    probes.push(Probe::scripted(id("answer-signed"), SIGNED, input, "a signed answer", move |target| {
        let mut client = ready(target, method)?;
        let draft = Draft::authenticated(method, target.peer_bind);
        let answer = if method == Method::ALLOCATE { client.allocate(&draft)? } else { client.ask(&draft)? };
        is_signed(&client, &answer)
    }));
    probes.push(replayed(id("replay"), name, method));
    probes
}

/// A message that one client has signed, from another one's address.
fn replayed(id: String, name: &str, method: Method) -> Probe {
    let input = format!("a {name} that another client has signed");
    Probe::scripted(id, FOREIGN, input, "438, or 437 as it has no allocation", move |target| {
        let client = ready(target, method)?;
        let bytes = client.sign(&Draft::authenticated(method, target.peer_bind));
        let mut other = Client::known(target)?;
        other.judge(&bytes, Error(&[437, 438]))
    })
}

fn stale(client: &mut Client<'_>, method: Method, nonce: &[u8]) -> Verdict {
    let good = std::mem::replace(&mut client.nonce, nonce.to_vec());
    let bytes = client.sign(&Draft::authenticated(method, client.target.peer_bind));
    client.nonce = good;
    let answer = client.answer(&bytes)?;
    let has = |attribute| answer.get(attribute).is_some_and(|value| !value.is_empty());
    let holds = answer.code() == 438 && has(Attribute::REALM) && has(Attribute::NONCE);
    ensure(holds && answer.get(Attribute::NONCE) != Some(nonce), answer.to_string())
}

fn is_signed(client: &Client<'_>, answer: &crate::answer::Answer) -> Verdict {
    let holds = answer.message().is_signed_with(&client.key(Algorithm::Sha1), Algorithm::Sha1);
    ensure(holds, format!("{answer}, {}", if holds { "signed" } else { "not signed" }))
}

fn nonces() -> Vec<Probe> {
    let mut probes = Vec::new();
    let edits: [(&str, Edit<Vec<u8>>); 6] = [
        ("first", |nonce| nonce[0] ^= 1),
        ("last", |nonce| *nonce.last_mut().expect("a nonce is not empty") ^= 1),
        ("cut", |nonce| _ = nonce.pop()),
        ("longer", |nonce| nonce.push(b'A')),
        ("twice", |nonce| nonce.extend_from_within(..)),
        ("reversed", |nonce| nonce.reverse()),
    ];
    for (name, edit) in edits {
        let input = format!("a nonce that was changed: {name}");
        let id = format!("auth.nonce-{name}");
        probes.push(Probe::known(id, STALE, input, Error(&[438]), move |client| {
            let mut nonce = client.nonce.clone();
            edit(&mut nonce);
            let draft = Draft::allocate().with(Attribute::USERNAME, client.target.username.as_bytes());
            let draft = draft.with(Attribute::REALM, &client.realm).with(Attribute::NONCE, &nonce);
            draft.signed(&client.key(Algorithm::Sha1), Algorithm::Sha1)
        }));
    }
    for len in [0, 1, 128, 763, 1000] {
        let input = format!("a nonce of {len} bytes");
        let id = format!("auth.nonce-size-{len}");
        probes.push(Probe::known(id, STALE, input, Error(&[400, 438]), move |client| {
            let draft = Draft::allocate().with(Attribute::USERNAME, client.target.username.as_bytes());
            let draft = draft.with(Attribute::REALM, &client.realm).with(Attribute::NONCE, &vec![b'n'; len]);
            draft.signed(&client.key(Algorithm::Sha1), Algorithm::Sha1)
        }));
    }
    let again = "the NONCE of a 438 is valid";
    let again = rule("RFC 8489 §9.2.4", again);
    probes.push(Probe::scripted("auth.nonce-of-438", again, "an Allocate with it", Want::Success, |target| {
        let mut client = Client::known(target)?;
        client.nonce = b"garbage".to_vec();
        let answer = client.ask(&Draft::allocate())?;
        if answer.code() != 438 {
            return Err(Stop::Fault(format!("{answer} to garbage")));
        }
        client.learn(&answer)?;
        client.allocate(&Draft::allocate()).map(|answer| answer.to_string())
    }));
    probes.push(Probe::scripted("auth.nonce-apart", FOREIGN, "401s to two clients", "two nonces", |target| {
        let (one, other) = (Client::known(target)?, Client::known(target)?);
        ensure(
            one.nonce != other.nonce,
            format!("{} the same", if one.nonce == other.nonce { "are" } else { "are not" }),
        )
    }));
    probes
}

/// An Allocate of another name, another realm.
fn names() -> Vec<Probe> {
    let mut probes = Vec::new();
    let rule_of = rule("RFC 8489 §9.2.4", "a USERNAME that is not valid: 401");
    let edits: [(&str, Edit<String>); 4] = [
        ("unknown", |name| *name = "nobody".to_owned()),
        ("longer", |name| name.push('x')),
        ("upper", |name| *name = name.to_uppercase()),
        ("space", |name| name.push(' ')),
    ];
    for (name, edit) in edits {
        let input = format!("a USERNAME that is not the user's: {name}");
        let id = format!("auth.username-{name}");
        // OpaqueString may find that it is no name at all.
        let want = if name == "space" { Error(&[400, 401]) } else { Error(&[401]) };
        probes.push(Probe::known(id, rule_of, input, want, move |client| {
            let mut username = client.target.username.clone();
            edit(&mut username);
            let draft = Draft::allocate().with(Attribute::USERNAME, username.as_bytes());
            let draft = draft.with(Attribute::REALM, &client.realm).with(Attribute::NONCE, &client.nonce);
            let password = client.target.password.as_bytes();
            draft
                .signed(&Key::long_term(username.as_bytes(), &client.realm, password, Algorithm::Sha1), Algorithm::Sha1)
        }));
    }
    for (name, realm) in [("other", &b"elsewhere.example"[..]), ("empty", b""), ("long", &[b'r'; 200])] {
        let input = format!("a REALM that is not the server's, and the key of it: {name}");
        let id = format!("auth.realm-{name}");
        let rule = rule("RFC 8489 §9.2.2", "the key is of the server's realm");
        probes.push(Probe::known(id, rule, input, AnyError, move |client| {
            let (username, password) = (client.target.username.as_bytes(), client.target.password.as_bytes());
            let draft = Draft::allocate().with(Attribute::USERNAME, username);
            let draft = draft.with(Attribute::REALM, realm).with(Attribute::NONCE, &client.nonce);
            draft.signed(&Key::long_term(username, realm, password, Algorithm::Sha1), Algorithm::Sha1)
        }));
    }
    for (name, method) in AUTHENTICATED.into_iter().skip(1) {
        let input = format!("a {name} of an allocation, signed by another user");
        probes.push(Probe::scripted(format!("auth.other-user-{name}"), OTHER, input, "441", move |target| {
            let Some((username, password)) = &target.other else {
                return Err(Stop::Skipped("needs --other-username".to_owned()));
            };
            let mut client = Client::allocated(target)?;
            let draft = Draft::authenticated(method, target.peer_bind).with(Attribute::USERNAME, username.as_bytes());
            let draft = draft.with(Attribute::REALM, &client.realm).with(Attribute::NONCE, &client.nonce);
            let key = Key::long_term(username.as_bytes(), &client.realm, password.as_bytes(), Algorithm::Sha1);
            client.judge(&draft.signed(&key, Algorithm::Sha1), Error(&[441]))
        }));
    }
    let realm = rule("RFC 8489 §9.2.4", "the REALM is the server's");
    probes.push(Probe::scripted("auth.realm", realm, "an unsigned Allocate", "the realm that is given", |target| {
        let client = Client::known(target)?;
        let seen = String::from_utf8_lossy(&client.realm).into_owned();
        let Some(realm) = &target.realm else { return Err(Stop::Skipped(format!("needs --realm; it is {seen}"))) };
        ensure(seen == *realm, seen)
    }));
    probes
}

fn integrities() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, at) in [("first", 20), ("middle", 10), ("last", 1)] {
        let input = format!("an Allocate whose integrity is wrong in its {name} bit");
        let id = format!("auth.integrity-{name}");
        probes.push(Probe::known(id, WRONG, input, Error(&[401]), move |client| {
            let mut bytes = client.sign(&Draft::allocate());
            let len = bytes.len();
            bytes[len - at] ^= 1;
            bytes
        }));
    }
    let input = "an Allocate that was changed under its integrity";
    probes.push(Probe::known("auth.integrity-changed", WRONG, input, Error(&[401]), |client| {
        let mut bytes = client.sign(&Draft::allocate().with(Attribute::LIFETIME, &[0, 0, 3, 0]));
        bytes[35] ^= 1; // the last byte of LIFETIME, behind the header and REQUESTED-TRANSPORT
        bytes
    }));
    for len in [0_u8, 4, 16, 19, 21, 32] {
        let input = format!("an Allocate with a MESSAGE-INTEGRITY of {len} bytes");
        let id = format!("auth.integrity-size-{len}");
        probes.push(Probe::known(id, SIZE, input, ErrorOrSilence(&[400, 401]), move |client| {
            let padded = usize::from(len).next_multiple_of(4);
            let bytes = client.named(&Draft::allocate()).unsigned();
            appended(bytes, &[&[0, 8, 0, len][..], &vec![0; padded]].concat())
        }));
    }
    let input = "an Allocate with a wrong password";
    probes.push(Probe::scripted("auth.wrong-bare", BARE, input, "401 without either", |target| {
        let mut client = Client::known(target)?;
        let key = Key::short_term(b"wrong");
        let bytes = client.named(&Draft::allocate()).signed(&key, Algorithm::Sha1);
        let answer = client.answer(&bytes)?;
        bare(&answer)
    }));
    probes.push(Probe::scripted("auth.challenge-bare", BARE, "an unsigned Allocate", "401 without either", |target| {
        let answer =
            Client::fresh(target)?.answer(&Draft::allocate().with(Attribute::SOFTWARE, &[b'.'; 60]).unsigned())?;
        bare(&answer)
    }));
    let input = "an Allocate where there is an allocation";
    probes.push(Probe::scripted("auth.error-signed", SIGNED, input, "a signed 437", |target| {
        let mut client = Client::allocated(target)?;
        let answer = client.ask(&Draft::allocate())?;
        if answer.code() != 437 {
            return Err(Stop::Fault(answer.to_string()));
        }
        is_signed(&client, &answer)
    }));
    let first = rule("RFC 8656 §5", "a request is authenticated before anything else of it is looked at");
    for (name, method) in AUTHENTICATED.into_iter().skip(1) {
        let input = format!("an unsigned {name} of a client without allocation");
        probes.push(Probe::scripted(format!("auth.before-437-{name}"), first, input, "401", move |target| {
            let draft = Draft::authenticated(method, target.peer_bind).with(Attribute::SOFTWARE, &[b'.'; 60]);
            Client::fresh(target)?.judge(&draft.unsigned(), Error(&[401]))
        }));
    }
    probes.push(Probe::scripted("auth.before-442", first, "an unsigned Allocate of transport 99", "401", |target| {
        let draft = Draft::request(Method::ALLOCATE).with(Attribute::REQUESTED_TRANSPORT, &[99, 0, 0, 0]);
        Client::fresh(target)?.judge(&draft.with(Attribute::SOFTWARE, &[b'.'; 60]).unsigned(), Error(&[401]))
    }));
    probes
}

fn bare(answer: &crate::answer::Answer) -> Verdict {
    let has = [Attribute::USERNAME, Attribute::USERHASH].into_iter().any(|kind| answer.has(kind));
    let signed = [Algorithm::Sha1, Algorithm::Sha256].into_iter().any(|it| answer.message().has_integrity(it));
    ensure(answer.code() == 401 && !has && !signed, answer.to_string())
}
