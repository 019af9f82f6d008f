//! RFC 8016: a client goes elsewhere, and its allocation follows.

use plenary_stun::{Attribute, Method};
use plenary_turn::{DropReason, Event};

use crate::lab::{Answer, Client, Lab, PEER, Took, channel_data};

const CLIENT: &str = "5.5.5.5:5000";
const ELSEWHERE: &str = "6.6.6.6:6000";

fn ticket(ticket: &[u8]) -> (Attribute, Vec<u8>) {
    (Attribute::MOBILITY_TICKET, ticket.to_vec())
}

/// A client with a ticket and a channel, and itself at another address.
fn mobile(lab: &mut Lab) -> (Client, Client, std::net::SocketAddr, Vec<u8>) {
    let mut client = Client::challenged(lab, CLIENT);
    let answer = client.allocate_with(lab, &[ticket(&[])]);
    assert_eq!(answer.code(), 0);
    let relayed = answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    client.bind(lab, 0x4001, PEER);
    (client, Client::challenged(lab, ELSEWHERE), relayed, answer.get(Attribute::MOBILITY_TICKET).unwrap())
}

fn take_up(lab: &mut Lab, client: &mut Client, with: &[u8]) -> Answer {
    client.ask(lab, Method::REFRESH, &[ticket(with)])
}

#[test]
fn an_allocation_is_made_elsewhere_before_it_breaks_here() {
    let mut lab = Lab::new();
    let (client, mut moved, relayed, first) = mobile(&mut lab);
    let answer = take_up(&mut lab, &mut moved, &first);
    assert_eq!((answer.code(), answer.number(Attribute::LIFETIME)), (0, Some(600)));
    assert_ne!(answer.get(Attribute::MOBILITY_TICKET), Some(first), "a new one");
    // Both ways are open, and data still goes to where it went.
    assert_eq!(lab.send_to_relay(relayed, PEER, b"x").relay().to, client.address);
    lab.send(client.address, &channel_data(0x4001, b"x")).relay();
    lab.events.clear();
    lab.send(moved.address, &channel_data(0x4001, b"x")).relay();
    assert!(matches!(lab.events[..], [Event::Moved { client: tuple, .. }] if tuple.remote == moved.address));
    assert_eq!(lab.send_to_relay(relayed, PEER, b"x").relay().to, moved.address);
    assert_eq!(lab.send(client.address, &channel_data(0x4001, b"x")), Took::Dropped(DropReason::NoAllocation));
    // The old place is free, and the new one is a client's like any other.
    let mut client = client;
    assert_eq!(client.refresh(&mut lab, 600).code(), 437);
    client.allocate(&mut lab);
    assert_eq!(moved.allocate_with(&mut lab, &[]).code(), 437);
    assert_eq!(moved.refresh(&mut lab, 0).code(), 0);
    assert_eq!(lab.server.allocations(), 1);
}

#[test]
fn an_answer_that_is_lost_does_no_harm() {
    let mut lab = Lab::new();
    let (_, mut moved, _, first) = mobile(&mut lab);
    let answer = take_up(&mut lab, &mut moved, &first);
    for _ in 0..3 {
        let again = take_up(&mut lab, &mut moved, &first);
        assert_eq!(again.get(Attribute::MOBILITY_TICKET), answer.get(Attribute::MOBILITY_TICKET));
    }
    let second = answer.get(Attribute::MOBILITY_TICKET).unwrap();
    assert_eq!(take_up(&mut lab, &mut moved, &second).code(), 0);
    assert_eq!(take_up(&mut lab, &mut moved, &first).code(), 400, "too old");
}

#[test]
fn a_ticket_is_its_users_and_can_not_be_made_up() {
    let mut lab = Lab::new();
    let (_, moved, _, first) = mobile(&mut lab);
    let mut thief = moved.clone();
    thief.username = b"other".to_vec();
    assert_eq!(take_up(&mut lab, &mut thief, &first).code(), 441);
    let mut moved = moved;
    for bit in 0..first.len() * 8 {
        let mut forged = first.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(take_up(&mut lab, &mut moved, &forged).code(), 400, "bit {bit}");
    }
    assert_eq!(take_up(&mut lab, &mut moved, &first[..27]).code(), 400);
    assert_eq!(take_up(&mut lab, &mut moved, &first).code(), 0);
}

#[test]
fn a_ticket_ends_with_its_allocation() {
    let mut lab = Lab::new();
    let (mut client, mut moved, _, first) = mobile(&mut lab);
    assert_eq!(client.refresh(&mut lab, 0).code(), 0);
    client.allocate(&mut lab);
    assert_eq!(take_up(&mut lab, &mut moved, &first).code(), 400);
}

#[test]
fn who_has_an_allocation_takes_up_no_other() {
    let mut lab = Lab::new();
    let (_, mut moved, _, first) = mobile(&mut lab);
    moved.allocate(&mut lab);
    assert_eq!(take_up(&mut lab, &mut moved, &first).code(), 437);
}

#[test]
fn a_client_may_move_twice_before_it_is_heard() {
    let mut lab = Lab::new();
    let (_, mut moved, relayed, first) = mobile(&mut lab);
    let second = take_up(&mut lab, &mut moved, &first).get(Attribute::MOBILITY_TICKET).unwrap();
    let mut third = Client::challenged(&mut lab, "7.7.7.7:7");
    assert_eq!(take_up(&mut lab, &mut third, &second).code(), 0);
    assert_eq!(moved.refresh(&mut lab, 600).code(), 437, "the place between is forgotten");
    assert_eq!(third.permit(&mut lab, &["9.9.9.8:1"]).code(), 0);
    assert_eq!(lab.send_to_relay(relayed, PEER, b"x").relay().to, third.address);
}

#[test]
fn without_mobility_a_ticket_is_405() {
    let mut lab = Lab::with(|config| config.mobility = false);
    let mut client = Client::challenged(&mut lab, CLIENT);
    assert_eq!(client.allocate_with(&mut lab, &[ticket(&[])]).code(), 405);
    client.allocate(&mut lab);
    assert_eq!(take_up(&mut lab, &mut client, &[1; 28]).code(), 405);
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    assert_eq!(client.allocate_with(&mut lab, &[ticket(&[1; 28])]).code(), 400, "an Allocate asks with nothing");
    let answer = client.allocate_with(&mut lab, &[]);
    assert_eq!(answer.get(Attribute::MOBILITY_TICKET), None, "who does not ask gets none");
    assert_eq!(take_up(&mut lab, &mut client, &[]).code(), 400);
}

#[test]
fn an_allocation_outlives_the_connection_that_it_leaves() {
    let mut lab = Lab::new();
    let mut client = Client::connected(&mut lab, CLIENT);
    let answer = client.allocate_with(&mut lab, &[ticket(&[])]);
    let first = answer.get(Attribute::MOBILITY_TICKET).unwrap();
    let relayed = answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    client.bind(&mut lab, 0x4001, PEER);
    lab.server.handle_closed(client.flow.unwrap());
    lab.drain();
    assert_eq!(lab.server.allocations(), 1);
    assert_eq!(lab.send_to_relay(relayed, PEER, b"12345"), Took::Dropped(DropReason::Away), "nobody is there");
    let mut moved = Client::connected(&mut lab, ELSEWHERE);
    assert_eq!(take_up(&mut lab, &mut moved, &first).code(), 0);
    assert_eq!(moved.bind(&mut lab, 0x4001, PEER).code(), 0);
    let back = lab.send_to_relay(relayed, PEER, b"12345").relay();
    assert_eq!((Some(back.flow), back.bytes.len()), (moved.flow, 12), "padded, as it is a stream");
    // And back to datagrams, which have no padding.
    let second = moved.ask(&mut lab, Method::REFRESH, &[ticket(&[0; 0])]);
    assert_eq!(second.code(), 400);
    lab.pass(600);
    assert_eq!(lab.server.allocations(), 0, "its time ends as any other's");
}
