//! Allocations from the first request to the last.

use plenary_stun::{Attribute, Method};
use plenary_turn::{Event, Released};

use crate::lab::{Client, Lab, PEER, RELAY, RELAY6, Took, UDP, at};

const CLIENT: &str = "5.5.5.5:5000";

fn even(reserve: bool) -> (Attribute, Vec<u8>) {
    (Attribute::EVEN_PORT, vec![if reserve { 0x80 } else { 0 }])
}

fn family(number: u8) -> (Attribute, Vec<u8>) {
    (Attribute::REQUESTED_ADDRESS_FAMILY, vec![number, 0, 0, 0])
}

fn additional(number: u8) -> (Attribute, Vec<u8>) {
    (Attribute::ADDITIONAL_ADDRESS_FAMILY, vec![number, 0, 0, 0])
}

fn token(token: &[u8]) -> (Attribute, Vec<u8>) {
    (Attribute::RESERVATION_TOKEN, token.to_vec())
}

/// The code of an Allocate with these attributes.
fn code(attributes: &[(Attribute, Vec<u8>)]) -> u16 {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let code = client.allocate_with(&mut lab, attributes).code();
    assert_eq!(lab.server.allocations(), usize::from(code == 0));
    code
}

#[test]
fn an_allocation_tells_relayed_and_mapped_address() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let answer = client.allocate_with(&mut lab, &[]);
    assert_eq!(answer.code(), 0);
    let relayed = answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    assert_eq!(relayed.ip().to_string(), RELAY);
    assert_eq!(answer.address(Attribute::XOR_MAPPED_ADDRESS), Some(at(CLIENT)));
    assert_eq!(answer.number(Attribute::LIFETIME), Some(600));
    assert_eq!(answer.get(Attribute::RESERVATION_TOKEN), None);
    let [Event::Allocated { username, client: tuple, relayed: told, .. }] = &lab.events[..] else { panic!() };
    assert_eq!((&**username, tuple.remote, *told), (&b"user"[..], at(CLIENT), [Some(relayed), None]));
}

#[test]
fn the_transport_is_udp_or_442() {
    let transport = |value: &[u8]| {
        let mut lab = Lab::new();
        let mut client = Client::challenged(&mut lab, CLIENT);
        client.ask(&mut lab, Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, value.to_vec())]).code()
    };
    assert_eq!(transport(&UDP), 0);
    assert_eq!(transport(&[99, 0, 0, 0]), 442);
    assert_eq!(transport(&[17, 0, 0]), 400);
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    assert_eq!(client.ask(&mut lab, Method::ALLOCATE, &[]).code(), 400, "none");
}

#[test]
fn a_retransmission_is_answered_alike() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let bytes = client.signed(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec()), even(true)]);
    let first = client.exchange(&mut lab, &bytes);
    lab.pass(3);
    assert_eq!(client.exchange(&mut lab, &bytes), first);
    assert_eq!(lab.server.allocations(), 1);
    assert_eq!(lab.server.counters().allocated, 1);
}

#[test]
fn a_second_allocate_of_the_same_client_is_437() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.allocate(&mut lab);
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 437);
    let mut other = Client::challenged(&mut lab, "5.5.5.5:5001");
    other.allocate(&mut lab);
    assert_eq!(lab.server.allocations(), 2);
}

#[test]
fn lifetimes_are_clamped() {
    for (asked, granted) in [(0, 600), (1, 600), (600, 600), (1000, 1000), (3600, 3600), (3601, 3600), (u32::MAX, 3600)]
    {
        let mut lab = Lab::new();
        let mut client = Client::challenged(&mut lab, CLIENT);
        let answer = client.allocate_with(&mut lab, &[(Attribute::LIFETIME, asked.to_be_bytes().to_vec())]);
        assert_eq!((answer.code(), answer.number(Attribute::LIFETIME)), (0, Some(granted)), "{asked}");
        if asked > 0 {
            assert_eq!(client.refresh(&mut lab, asked).number(Attribute::LIFETIME), Some(granted));
        }
    }
    assert_eq!(code(&[(Attribute::LIFETIME, vec![0, 0])]), 400);
}

#[test]
fn an_allocation_that_is_not_refreshed_ends() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let relayed = client.allocate(&mut lab);
    lab.pass(599);
    assert_eq!(client.refresh(&mut lab, 600).code(), 0);
    lab.pass(599);
    assert_eq!(lab.server.allocations(), 1);
    lab.events.clear();
    lab.pass(1);
    assert_eq!(lab.server.allocations(), 0);
    assert_eq!(lab.closed(), [lab.sockets[&relayed]]);
    assert!(matches!(lab.events[1], Event::Released { reason: Released::Expired, .. }));
    assert_eq!(lab.server.poll_timeout(), None);
    client.learn(&mut lab);
    assert_eq!(client.refresh(&mut lab, 600).code(), 437);
}

#[test]
fn a_refresh_of_zero_deletes() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let relayed = client.allocate(&mut lab);
    let answer = client.refresh(&mut lab, 0);
    assert_eq!((answer.code(), answer.number(Attribute::LIFETIME)), (0, Some(0)));
    assert_eq!(lab.closed(), [lab.sockets[&relayed]]);
    assert_eq!(client.refresh(&mut lab, 600).code(), 437, "it is no more");
    assert_eq!(client.permit(&mut lab, &[PEER]).code(), 437);
    assert_eq!(client.bind(&mut lab, 0x4000, PEER).code(), 437);
    let again = client.allocate(&mut lab);
    assert_ne!(again, relayed);
}

#[test]
fn families_are_asked_for_or_440() {
    assert_eq!([code(&[family(1)]), code(&[family(2)]), code(&[family(3)]), code(&[family(0)])], [0, 0, 440, 440]);
    assert_eq!(code(&[(Attribute::REQUESTED_ADDRESS_FAMILY, vec![1])]), 400);
    let mut lab = Lab::with(|config| (config.ipv4, config.ipv6) = (false, true));
    let mut client = Client::challenged(&mut lab, CLIENT);
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 440, "IPv4 is what is meant without a word");
    let answer = client.allocate_with(&mut lab, &[family(2)]);
    assert_eq!(answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap().ip().to_string(), RELAY6);
    assert_eq!(client.ask(&mut lab, Method::REFRESH, &[family(1)]).code(), 443);
    assert_eq!(client.ask(&mut lab, Method::REFRESH, &[family(2)]).code(), 0);
}

#[test]
fn both_families_at_once() {
    assert_eq!([code(&[additional(1)]), code(&[additional(2)]), code(&[additional(3)])], [400, 0, 440]);
    assert_eq!(code(&[family(1), additional(2)]), 400);
    assert_eq!(code(&[additional(2), even(true)]), 400);
    assert_eq!(code(&[additional(2), even(false)]), 0);
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let answer = client.allocate_with(&mut lab, &[additional(2)]);
    let message = answer.message();
    let relayed: Vec<_> = message.attributes().filter(|(kind, _)| *kind == Attribute::XOR_RELAYED_ADDRESS).collect();
    let families: Vec<_> = relayed.iter().map(|(_, value)| value[1]).collect();
    assert_eq!(families, [1, 2]);
    assert_eq!(answer.get(Attribute::ADDRESS_ERROR_CODE), None);
    assert_eq!(client.permit(&mut lab, &["9.9.9.9:1", "[2600::9]:1"]).code(), 0);
    // One may go, and the other stays.
    let zero = (Attribute::LIFETIME, vec![0; 4]);
    assert_eq!(client.ask(&mut lab, Method::REFRESH, &[family(1), zero.clone()]).code(), 0);
    assert_eq!((lab.closed().len(), lab.server.allocations()), (1, 1));
    assert_eq!(client.permit(&mut lab, &["9.9.9.9:1"]).code(), 443);
    assert_eq!(client.permit(&mut lab, &["[2600::9]:1"]).code(), 0);
    assert_eq!(client.ask(&mut lab, Method::REFRESH, &[family(2), zero]).code(), 0);
    assert_eq!((lab.closed().len(), lab.server.allocations()), (2, 0));
}

#[test]
fn a_family_that_is_not_there_is_told_beside_the_other() {
    let mut lab = Lab::with(|config| config.ipv6 = false);
    let mut client = Client::challenged(&mut lab, CLIENT);
    let answer = client.allocate_with(&mut lab, &[additional(2)]);
    assert_eq!(answer.code(), 0);
    let error = answer.get(Attribute::ADDRESS_ERROR_CODE).unwrap();
    assert_eq!(&error[..4], [2, 0, 4, 40]);
    assert!(answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap().is_ipv4());
}

#[test]
fn an_even_port_and_the_one_above_it() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let answer = client.allocate_with(&mut lab, &[even(false)]);
    assert_eq!(answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap().port() % 2, 0);
    assert_eq!(answer.get(Attribute::RESERVATION_TOKEN), None);
    let mut first = Client::challenged(&mut lab, "5.5.5.5:5001");
    let answer = first.allocate_with(&mut lab, &[even(true)]);
    let rtp = answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    let reserved = answer.get(Attribute::RESERVATION_TOKEN).unwrap();
    let mut second = Client::challenged(&mut lab, "5.5.5.5:5002");
    assert_eq!(second.allocate_with(&mut lab, &[token(&reserved), even(false)]).code(), 400);
    assert_eq!(second.allocate_with(&mut lab, &[token(&reserved), family(1)]).code(), 400);
    assert_eq!(second.allocate_with(&mut lab, &[token(&reserved), additional(2)]).code(), 400);
    assert_eq!(second.allocate_with(&mut lab, &[token(&reserved[..7])]).code(), 400);
    let answer = second.allocate_with(&mut lab, &[token(&reserved)]);
    assert_eq!(answer.code(), 0);
    let rtcp = answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    assert_eq!((rtcp.ip(), rtcp.port()), (rtp.ip(), rtp.port() + 1));
    assert_eq!(second.permit(&mut lab, &[PEER]).code(), 0);
    let flow = plenary_wire::FlowId(lab.sockets[&rtp].0 + 1);
    assert!(matches!(lab.receive(flow, rtcp, at(PEER), b"data"), Took::Relay(_)));
}

#[test]
fn a_token_is_good_once_for_its_user_and_thirty_seconds() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let reserved = client.allocate_with(&mut lab, &[even(true)]).get(Attribute::RESERVATION_TOKEN).unwrap();
    let mut guess = reserved.clone();
    guess[7] ^= 1;
    let mut thief = Client::challenged(&mut lab, "5.5.5.6:1");
    assert_eq!(thief.allocate_with(&mut lab, &[token(&guess)]).code(), 508);
    thief.username = b"other".to_vec();
    assert_eq!(thief.allocate_with(&mut lab, &[token(&reserved)]).code(), 508, "it is another's");
    let mut second = Client::challenged(&mut lab, "5.5.5.5:5001");
    lab.pass(29);
    assert_eq!(second.allocate_with(&mut lab, &[token(&reserved)]).code(), 0);
    let mut third = Client::challenged(&mut lab, "5.5.5.5:5002");
    assert_eq!(third.allocate_with(&mut lab, &[token(&reserved)]).code(), 508, "it was used");
    let late = third.allocate_with(&mut lab, &[even(true)]).get(Attribute::RESERVATION_TOKEN).unwrap();
    lab.pass(30);
    assert_eq!(lab.closed().len(), 1, "the reserved socket");
    let mut fourth = Client::challenged(&mut lab, "5.5.5.5:5003");
    assert_eq!(fourth.allocate_with(&mut lab, &[token(&late)]).code(), 508, "it is too old");
}

#[test]
fn reservations_are_limited() {
    let mut lab = Lab::with(|config| config.reservations_max = 1);
    for (port, code) in [(1, 0), (2, 508)] {
        let mut client = Client::challenged(&mut lab, &format!("5.5.5.5:{port}"));
        assert_eq!(client.allocate_with(&mut lab, &[even(true)]).code(), code);
    }
}

#[test]
fn dont_fragment_is_refused_where_it_can_not_be_done() {
    let asked = (Attribute::DONT_FRAGMENT, Vec::new());
    assert_eq!(code(std::slice::from_ref(&asked)), 0);
    let mut lab = Lab::with(|config| config.dont_fragment = false);
    let mut client = Client::challenged(&mut lab, CLIENT);
    let answer = client.allocate_with(&mut lab, &[asked]);
    assert_eq!(answer.code(), 420);
    assert_eq!(answer.get(Attribute::UNKNOWN_ATTRIBUTES), Some(vec![0, 0x1a]));
}

// RFC 8656 §7.2 gives the checks an order.
#[test]
fn of_several_mistakes_the_first_in_the_order_of_the_rfc_is_told() {
    let mut lab = Lab::with(|config| config.dont_fragment = false);
    let mut client = Client::challenged(&mut lab, CLIENT);
    let transport = |protocol| (Attribute::REQUESTED_TRANSPORT, vec![protocol, 0, 0, 0]);
    let fragment = (Attribute::DONT_FRAGMENT, vec![]);
    let both = [family(9), additional(2)];
    let mut ask = |first: &[(Attribute, Vec<u8>)], more: &[(Attribute, Vec<u8>)]| {
        client.ask(&mut lab, Method::ALLOCATE, &[first, more].concat()).code()
    };
    assert_eq!(ask(&[transport(99), fragment.clone(), token(&[0; 8])], &both), 442);
    assert_eq!(ask(&[transport(17), fragment, token(&[0; 8])], &both), 420);
    assert_eq!(ask(&[transport(17), token(&[0; 8])], &both), 400);
    assert_eq!(ask(&[transport(17)], &both), 400);
    assert_eq!(ask(&[transport(17), family(9)], &[even(true)]), 440);
}

#[test]
fn quotas_are_486_and_a_full_server_508() {
    let mut lab = Lab::with(|config| {
        (config.allocations_max, config.allocations_per_user_max, config.allocations_per_address_max) = (5, 2, 3);
    });
    let mut allocate = |name: &[u8], address: &str| {
        let mut client = Client::challenged(&mut lab, address);
        client.username = name.to_vec();
        client.allocate_with(&mut lab, &[]).code()
    };
    assert_eq!([allocate(b"user", "5.5.5.5:1"), allocate(b"user", "5.5.5.5:2")], [0, 0]);
    assert_eq!(allocate(b"user", "5.5.5.6:1"), 486, "the user has two");
    assert_eq!(allocate(b"other", "5.5.5.5:3"), 0);
    assert_eq!(allocate(b"other", "5.5.5.5:4"), 486, "the address has three");
    assert_eq!(allocate(b"other", "5.5.5.6:2"), 0);
    let mut lab = Lab::with(|config| config.allocations_max = 1);
    for (port, code) in [(1, 0), (2, 508)] {
        let mut client = Client::challenged(&mut lab, &format!("5.5.5.5:{port}"));
        assert_eq!(client.allocate_with(&mut lab, &[]).code(), code);
    }
    let mut client = Client::challenged(&mut lab, "5.5.5.5:1");
    assert_eq!(client.refresh(&mut lab, 0).code(), 0);
    client.allocate(&mut lab);
}

#[test]
fn what_the_caller_revokes_is_gone() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.allocate(&mut lab);
    let [Event::Allocated { allocation, .. }] = lab.events[..] else { panic!() };
    assert_eq!(lab.server.usage(allocation), Some(plenary_turn::Usage::default()));
    lab.server.revoke(allocation);
    lab.server.revoke(allocation);
    lab.drain();
    assert_eq!(lab.closed().len(), 1);
    assert!(matches!(lab.events[2], Event::Released { reason: Released::Revoked, .. }));
    assert_eq!((lab.events.len(), lab.server.usage(allocation)), (3, None));
    assert_eq!(client.refresh(&mut lab, 600).code(), 437);
}
