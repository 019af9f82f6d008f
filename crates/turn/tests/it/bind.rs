//! Sockets come late, fail, or come when nobody wants them any more.

use plenary_stun::{Attribute, Method};
use plenary_turn::{BindError, Bound, Event, Family, Handled, PortWish, RequestId};
use plenary_wire::FlowId;

use crate::lab::{Client, Lab, Took, UDP, at};

const CLIENT: &str = "5.5.5.5:5000";

/// What an [`Event::Bind`] says.
type Wish = (RequestId, Family, PortWish);

/// A client that waits for its sockets, and what it was that asked for them.
fn waiting(attributes: &[(Attribute, Vec<u8>)]) -> (Lab, Client, Vec<u8>, Vec<Wish>) {
    let mut lab = Lab::new();
    lab.binds = false;
    let mut client = Client::challenged(&mut lab, CLIENT);
    let transport = (Attribute::REQUESTED_TRANSPORT, UDP.to_vec());
    let bytes = client.signed(Method::ALLOCATE, &[&[transport], attributes].concat());
    assert_eq!(lab.send(client.address, &bytes), Took::Consumed);
    assert!(lab.answers.is_empty());
    let wish = |event: Event| match event {
        Event::Bind { request, family, port, tcp: false } => (request, family, port),
        other => panic!("{other:?}"),
    };
    let wishes = lab.events.drain(..).map(wish).collect();
    (lab, client, bytes, wishes)
}

fn bound(lab: &mut Lab, request: RequestId, answer: Result<Bound, BindError>) {
    assert_eq!(lab.server.handle_bound(request, answer, lab.now), Handled::Consumed);
    lab.drain();
}

fn additional() -> (Attribute, Vec<u8>) {
    (Attribute::ADDITIONAL_ADDRESS_FAMILY, vec![2, 0, 0, 0])
}

#[test]
fn a_socket_may_come_later() {
    let (mut lab, mut client, bytes, wishes) = waiting(&[]);
    let [(request, Family::V4, PortWish::Any)] = wishes[..] else { panic!("{wishes:?}") };
    assert_eq!(lab.send(client.address, &bytes), Took::Consumed, "a retransmission waits too");
    assert_eq!(lab.events, []);
    assert_eq!(client.refresh(&mut lab, 600).code(), 437, "there is nothing to refresh yet");
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 437);
    lab.pass(2);
    let socket = lab.socket(Family::V4, PortWish::Any);
    bound(&mut lab, request, Ok(socket));
    let answer = lab.answer(client.address);
    assert_eq!((answer.code(), answer.address(Attribute::XOR_RELAYED_ADDRESS)), (0, Some(socket.relayed)));
    assert_eq!(client.exchange(&mut lab, &bytes), answer);
    lab.pass(599);
    assert_eq!(lab.server.allocations(), 1, "its time begins with the answer");
}

#[test]
fn a_socket_that_fails_is_508_and_without_the_family_440() {
    for (error, code) in [(BindError::NoPort, 508), (BindError::System, 508), (BindError::Family, 440)] {
        let (mut lab, client, _, wishes) = waiting(&[]);
        bound(&mut lab, wishes[0].0, Err(error));
        assert_eq!(lab.answer(client.address).code(), code);
        assert_eq!((lab.server.allocations(), lab.events.len(), lab.server.poll_timeout()), (0, 0, None));
    }
}

#[test]
fn a_socket_that_is_too_late_is_closed_again() {
    let (mut lab, client, bytes, wishes) = waiting(&[]);
    lab.pass(5);
    assert_eq!(lab.answer(client.address).code(), 508);
    assert_eq!(lab.server.allocations(), 0);
    let socket = lab.socket(Family::V4, PortWish::Any);
    bound(&mut lab, wishes[0].0, Ok(socket));
    assert_eq!(lab.closed(), [socket.flow]);
    assert!(lab.answers.is_empty());
    // Nor does it come to the allocation that the client has made since.
    lab.binds = true;
    assert_eq!(client.exchange(&mut lab, &bytes).code(), 0);
    bound(&mut lab, wishes[0].0, Err(BindError::NoPort));
    assert_eq!(lab.server.allocations(), 1);
}

#[test]
fn a_socket_that_nobody_asked_for_is_closed() {
    let (mut lab, client, _, wishes) = waiting(&[]);
    let socket = lab.socket(Family::V4, PortWish::Any);
    bound(&mut lab, wishes[0].0, Ok(socket));
    assert_eq!(lab.answer(client.address).code(), 0);
    lab.events.clear();
    let second = Bound { next: Some(FlowId(901)), ..lab.socket(Family::V4, PortWish::Any) };
    bound(&mut lab, wishes[0].0, Ok(second));
    assert_eq!(lab.closed(), [second.flow, FlowId(901)]);
    bound(&mut lab, wishes[0].0, Ok(socket));
    assert_eq!(lab.closed().len(), 2, "the one in use is not closed");
}

#[test]
fn a_socket_of_another_kind_than_was_asked_for_is_closed() {
    let even = (Attribute::EVEN_PORT, vec![0]);
    let reserve = (Attribute::EVEN_PORT, vec![0x80]);
    let socket = |address: &str, next| Bound { flow: FlowId(900), local: at(address), relayed: at(address), next };
    for (attributes, wrong) in [
        (vec![], socket("[2600::1]:2", None)),
        (vec![], socket("8.8.4.4:0", None)),
        (vec![], socket("8.8.4.4:2", Some(FlowId(901)))),
        (vec![even], socket("8.8.4.4:3", None)),
        (vec![reserve], socket("8.8.4.4:2", None)),
        (vec![], Bound { flow: crate::lab::LISTENER, ..socket("8.8.4.4:2", None) }),
    ] {
        let (mut lab, client, _, wishes) = waiting(&attributes);
        bound(&mut lab, wishes[0].0, Ok(wrong));
        assert_eq!(lab.answer(client.address).code(), 508, "{wrong:?}");
        let expected: Vec<_> = [Some(wrong.flow), wrong.next].into_iter().flatten().collect();
        let expected = if wrong.flow == crate::lab::LISTENER { vec![] } else { expected };
        assert_eq!((lab.closed(), lab.server.allocations()), (expected, 0));
    }
}

#[test]
fn an_address_that_another_allocation_has_is_not_taken_twice() {
    let mut lab = Lab::new();
    let mut first = Client::challenged(&mut lab, CLIENT);
    let relayed = first.allocate(&mut lab);
    lab.binds = false;
    let mut second = Client::challenged(&mut lab, "5.5.5.5:5001");
    let bytes = second.signed(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec())]);
    lab.send(second.address, &bytes);
    let Some(Event::Bind { request, .. }) = lab.events.pop() else { panic!() };
    bound(&mut lab, request, Ok(Bound { flow: FlowId(900), local: relayed, relayed, next: None }));
    assert_eq!(lab.answer(second.address).code(), 508);
    assert_eq!(lab.closed(), [FlowId(900)]);
}

#[test]
fn of_two_families_one_may_fail() {
    for lost in [Family::V4, Family::V6] {
        for first in [0, 1] {
            let (mut lab, client, _, wishes) = waiting(&[additional()]);
            for (request, family, _) in [wishes[first], wishes[1 - first]] {
                assert!(lab.answers.is_empty());
                let socket = lab.socket(family, PortWish::Any);
                bound(&mut lab, request, if family == lost { Err(BindError::NoPort) } else { Ok(socket) });
            }
            let answer = lab.answer(client.address);
            assert_eq!(answer.code(), 0);
            let error = answer.get(Attribute::ADDRESS_ERROR_CODE).unwrap();
            assert_eq!(&error[..4], [lost as u8 + 1, 0, 5, 8]);
            assert_eq!(answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap().is_ipv4(), lost == Family::V6);
        }
    }
}

#[test]
fn of_two_families_one_may_be_late() {
    let (mut lab, client, _, wishes) = waiting(&[additional()]);
    let socket = lab.socket(Family::V4, PortWish::Any);
    bound(&mut lab, wishes[0].0, Ok(socket));
    lab.pass(5);
    let answer = lab.answer(client.address);
    assert_eq!((answer.code(), answer.address(Attribute::XOR_RELAYED_ADDRESS)), (0, Some(socket.relayed)));
    assert_eq!(&answer.get(Attribute::ADDRESS_ERROR_CODE).unwrap()[..4], [2, 0, 5, 8]);
    let late = lab.socket(Family::V6, PortWish::Any);
    bound(&mut lab, wishes[1].0, Ok(late));
    assert_eq!(lab.closed(), [late.flow]);
    // It ends as others do.
    lab.pass(599);
    assert_eq!(lab.server.allocations(), 1);
    lab.pass(1);
    assert_eq!((lab.server.allocations(), lab.server.poll_timeout()), (0, None));
    assert_eq!(lab.closed(), [late.flow, socket.flow]);
}

#[test]
fn when_both_families_fail_there_is_none() {
    let (mut lab, client, _, wishes) = waiting(&[additional()]);
    for (request, ..) in wishes {
        bound(&mut lab, request, Err(BindError::System));
    }
    assert_eq!(lab.answer(client.address).code(), 508);
    assert_eq!(lab.server.allocations(), 0);
}
