//! Allocations that move with their client: these apply to servers that give tickets.

use plenary_stun::{Algorithm, Attribute, Key};

use crate::answer::Answer;
use crate::client::{Client, From};
use crate::draft::{Draft, draw};
use crate::outcome::{Stop, Verdict, ensure};
use crate::peer::Peer;
use crate::probe::{Rule, rule};
use crate::want::Want::{self, Error};
use crate::{Probe, Target};

const GIVEN: Rule = rule("RFC 8016 §3.1.2", "who asks with an Allocate is given a ticket, and no one else");
const EMPTY: Rule = rule("RFC 8016 §3.1.2", "the ticket of an Allocate is empty, else 400");
const MOVES: Rule = rule("RFC 8016 §3.2.2", "a Refresh with a ticket takes the allocation up from elsewhere");
const FORGED: Rule = rule("RFC 8016 §3.2.2", "a ticket that was not given: 400");
const OWNED: Rule = rule("RFC 8016 §3.2.2", "a ticket is worth nothing without its user's password");

const TICKET: Attribute = Attribute::MOBILITY_TICKET;

/// Changes a ticket.
type Edit = fn(&mut Vec<u8>);

/// A message of a client that has got hold of a ticket.
type Make = fn(&Target, &Client<'_>, &[u8]) -> Result<Vec<u8>, Stop>;

pub(super) fn probes() -> Vec<Probe> {
    let mut probes = gives();
    probes.extend(moves());
    probes.extend(relays());
    probes.extend(forgeries());
    probes
}

/// A client with an allocation and its ticket.
fn mobile(target: &Target) -> Result<(Client<'_>, Vec<u8>), Stop> {
    let mut client = Client::known(target)?;
    let draft = Draft::allocate().with(TICKET, b"");
    let answer = client.ask(&draft).map_err(Stop::before)?;
    if answer.code() == 405 {
        return Err(Stop::Skipped("the server has no mobility".to_owned()));
    }
    let relayed = answer.address(Attribute::XOR_RELAYED_ADDRESS).map_err(Stop::before)?;
    client.adopt(relayed);
    match answer.get(TICKET) {
        Some(ticket) => Ok((client, ticket.to_vec())),
        None => Err(Stop::Skipped("the server has no mobility".to_owned())),
    }
}

fn moved(seconds: u32, ticket: &[u8]) -> Draft {
    Draft::refresh(seconds).with(TICKET, ticket)
}

/// The answer to a Refresh with a ticket. The server may first want the nonce of where the allocation was.
fn ask(client: &mut Client<'_>, draft: &Draft) -> Result<Answer, Stop> {
    let answer = client.ask(draft)?;
    if answer.code() != 438 {
        return Ok(answer);
    }
    client.learn(&answer)?;
    client.ask(&draft.clone().transaction(draw()))
}

fn succeed(client: &mut Client<'_>, draft: &Draft) -> Result<Answer, Stop> {
    let answer = ask(client, draft)?;
    if answer.is_success() { Ok(answer) } else { Err(Stop::Fault(answer.to_string())) }
}

fn gives() -> Vec<Probe> {
    vec![
        Probe::scripted("mobility.given", GIVEN, "an Allocate with an empty ticket", "a ticket", |target| {
            let (_client, ticket) = mobile(target)?;
            ensure(!ticket.is_empty(), format!("{} bytes", ticket.len()))
        }),
        Probe::scripted("mobility.not-given", GIVEN, "an Allocate", "no ticket", |target| {
            let mut client = Client::known(target)?;
            let answer = client.allocate(&Draft::allocate())?;
            let has = answer.has(TICKET);
            ensure(!has, format!("a ticket: {has}"))
        }),
        Probe::scripted("mobility.apart", GIVEN, "Allocates of two clients", "two tickets", |target| {
            let ((_one, ticket), (_other, second)) = (mobile(target)?, mobile(target)?);
            ensure(ticket != second, format!("the same: {}", ticket == second))
        }),
        Probe::scripted("mobility.filled", EMPTY, "an Allocate with a ticket of 8 bytes", 400, |target| {
            drop(mobile(target)?);
            let mut client = Client::known(target)?;
            let bytes = client.sign(&Draft::allocate().with(TICKET, &[1; 8]));
            client.judge(&bytes, Error(&[400]))
        }),
    ]
}

/// What a second socket of the client does, which knows the ticket.
fn elsewhere(name: &str, input: &str, expected: &str, script: fn(Client<'_>, Client<'_>, Vec<u8>) -> Verdict) -> Probe {
    Probe::scripted(format!("mobility.{name}"), MOVES, input, expected, move |target| {
        let (client, ticket) = mobile(target)?;
        let other = Client::known(target)?;
        script(client, other, ticket)
    })
}

fn moves() -> Vec<Probe> {
    vec![
        elsewhere("moves", "a Refresh with the ticket, from elsewhere", "success", |client, mut other, ticket| {
            let answer = succeed(&mut other, &moved(600, &ticket))?;
            other.adopt(client.relayed());
            Ok(answer.to_string())
        }),
        elsewhere("again", "the same Refresh twice", "success", |client, mut other, ticket| {
            let draft = moved(600, &ticket);
            succeed(&mut other, &draft)?;
            other.adopt(client.relayed());
            succeed(&mut other, &draft).map(|answer| answer.to_string())
        }),
        elsewhere(
            "back",
            "a Refresh from elsewhere, and one with the new ticket back",
            "success",
            |mut client, mut other, ticket| {
                let answer = succeed(&mut other, &moved(600, &ticket))?;
                other.adopt(client.relayed());
                let Some(next) = answer.get(TICKET) else { return Err(Stop::Fault("no new ticket".to_owned())) };
                succeed(&mut client, &moved(600, next)).map(|answer| answer.to_string())
            },
        ),
    ]
}

/// What is relayed once the allocation has moved.
fn relays() -> Vec<Probe> {
    vec![
        elsewhere(
            "out",
            "a Send from elsewhere",
            "reaches the peer from the same relay",
            |mut client, mut other, ticket| {
                let target = client.target;
                client.permit(target.peer_bind)?;
                let peer = Peer::bind(target.peer_bind)?;
                succeed(&mut other, &moved(600, &ticket)).map_err(Stop::before)?;
                other.adopt(client.relayed());
                other.link.send(&Draft::send(peer.address, b"moved").unsigned());
                let seen = peer.receive(3 * target.patience);
                let holds = seen.as_ref().is_some_and(|(data, from)| data == b"moved" && *from == client.relayed());
                ensure(holds, format!("{seen:?}"))
            },
        ),
        elsewhere(
            "in",
            "a peer's datagram, once the client has sent from elsewhere",
            "comes there",
            |mut client, mut other, ticket| {
                let target = client.target;
                client.permit(target.peer_bind)?;
                let peer = Peer::bind(target.peer_bind)?;
                succeed(&mut other, &moved(600, &ticket)).map_err(Stop::before)?;
                other.adopt(client.relayed());
                other.link.send(&Draft::send(peer.address, b"moved").unsigned());
                if peer.receive(3 * target.patience).is_none() {
                    return Err(Stop::Fault("nothing reached the peer".to_owned()));
                }
                peer.send(b"hello", client.relayed());
                let (from, data) = other.next_data()?;
                ensure(from == From::Peer(peer.address) && data == b"hello", format!("{from:?}: {data:?}"))
            },
        ),
        elsewhere(
            "ends",
            "a Refresh of 0 with the ticket, from elsewhere",
            "the allocation ends",
            |mut client, mut other, ticket| {
                succeed(&mut other, &moved(0, &ticket))?;
                let bytes = client.sign(&Draft::refresh(600));
                client.judge(&bytes, Error(&[437]))
            },
        ),
    ]
}

fn forgeries() -> Vec<Probe> {
    let edits: [(&str, Edit); 7] = [
        ("first", |ticket| ticket[0] ^= 1),
        ("middle", |ticket| {
            let at = ticket.len() / 2;
            ticket[at] ^= 1;
        }),
        ("last", |ticket| *ticket.last_mut().expect("a ticket is not empty") ^= 1),
        ("short", |ticket| _ = ticket.pop()),
        ("long", |ticket| ticket.push(0)),
        ("empty", Vec::clear),
        ("zero", |ticket| ticket.fill(0)),
    ];
    let mut probes: Vec<_> = edits
        .into_iter()
        .map(|(name, edit)| {
            let input = format!("a Refresh from elsewhere with a ticket that was changed: {name}");
            let want = Error(&[400]);
            Probe::scripted(format!("mobility.forged-{name}"), FORGED, input, want, move |target| {
                let (_client, mut ticket) = mobile(target)?;
                if ticket.is_empty() {
                    return Err(Stop::Setup("an empty ticket".to_owned()));
                }
                edit(&mut ticket);
                let mut other = Client::known(target)?;
                let answer = ask(&mut other, &moved(600, &ticket))?;
                ensure(want.fits(&answer), answer.to_string())
            })
        })
        .collect();
    probes.push(owned("unsigned", "a Refresh with the ticket, unsigned", Error(&[401]), |_, _, ticket| {
        Ok(moved(600, ticket).with(Attribute::SOFTWARE, &[b'.'; 60]).unsigned())
    }));
    probes.push(owned("password", "one with another password", Error(&[401]), |_, other, ticket| {
        Ok(other.named(&moved(600, ticket)).signed(&Key::short_term(b"not it"), Algorithm::Sha1))
    }));
    probes.push(owned("other-user", "one of another user", Error(&[441]), |target, other, ticket| {
        let Some((username, password)) = &target.other else {
            return Err(Stop::Skipped("needs --other-username".to_owned()));
        };
        let draft = moved(600, ticket).with(Attribute::USERNAME, username.as_bytes());
        let draft = draft.with(Attribute::REALM, &other.realm).with(Attribute::NONCE, &other.nonce);
        let key = Key::long_term(username.as_bytes(), &other.realm, password.as_bytes(), Algorithm::Sha1);
        Ok(draft.signed(&key, Algorithm::Sha1))
    }));
    probes
}

fn owned(name: &str, input: &str, want: Want, make: Make) -> Probe {
    Probe::scripted(format!("mobility.{name}"), OWNED, input, want, move |target| {
        let (_client, ticket) = mobile(target)?;
        let mut other = Client::known(target)?;
        let bytes = make(target, &other, &ticket)?;
        other.judge(&bytes, want)
    })
}
