//! Clients that come by TCP or TLS.

use plenary_stun::{Attribute, Method};
use plenary_turn::{Carries, DropReason, Event, FiveTuple, Released};
use plenary_wire::FlowId;

use crate::lab::{Client, Lab, PEER, SERVER, Took, UDP, at, channel_data, peer_attribute};

const CLIENT: &str = "5.5.5.5:5000";

fn padded(number: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = channel_data(number, data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A client with a relay and a channel.
fn relayed(lab: &mut Lab) -> (Client, FlowId, std::net::SocketAddr) {
    let mut client = Client::connected(lab, CLIENT);
    let relayed = client.allocate(lab);
    assert_eq!(client.bind(lab, 0x4001, PEER).code(), 0);
    let flow = client.flow.unwrap();
    (client, flow, relayed)
}

#[test]
fn a_connection_carries_requests_and_data() {
    let mut lab = Lab::new();
    let (mut client, flow, relayed) = relayed(&mut lab);
    let (used, took) = lab.stream(flow, &padded(0x4001, b"12345"));
    assert_eq!((used, took.len()), (12, 1));
    assert_eq!(took[0].clone().relay().bytes, b"12345");
    let back = lab.send_to_relay(relayed, PEER, b"12345").relay();
    assert_eq!((back.flow, back.to, back.bytes), (flow, client.address, padded(0x4001, b"12345")));
    client.permit(&mut lab, &["9.9.9.8:1"]);
    let back = lab.send_to_relay(relayed, "9.9.9.8:1", b"12345").relay();
    let message = plenary_stun::Message::parse(&back.bytes).unwrap();
    assert_eq!(message.get(Attribute::DATA), Some(&b"12345"[..]));
}

#[test]
fn a_byte_at_a_time_is_as_good_as_all_at_once() {
    let mut lab = Lab::new();
    let (mut client, flow, _) = relayed(&mut lab);
    let refresh = client.signed(Method::REFRESH, &[]);
    let all = [padded(0x4001, b"12345"), refresh, padded(0x4001, b""), client.send(PEER, b"abc", &[])].concat();
    let (used, took) = lab.stream(flow, &all);
    assert_eq!((used, took.len()), (all.len(), 4));
    let mut kept = Vec::new();
    let mut slowly = Vec::new();
    for byte in &all {
        kept.push(*byte);
        let (used, took) = lab.stream(flow, &kept);
        kept.drain(..used);
        slowly.extend(took);
    }
    assert_eq!((kept.len(), &slowly), (0, &took));
    assert_eq!(lab.answers.len(), 2);
}

#[test]
fn a_thousand_messages_in_one_segment() {
    let mut lab = Lab::new();
    let (_, flow, _) = relayed(&mut lab);
    let all = padded(0x4001, &[7; 100]).repeat(1000);
    let (used, took) = lab.stream(flow, &all);
    assert_eq!((used, took.len()), (all.len(), 1000));
    assert!(took.iter().all(|took| matches!(took, Took::Relay(_))));
}

// RFC 8656 §12.5: there is no way to know where the next message begins.
#[test]
fn channel_data_without_padding_takes_it_from_what_follows_and_the_connection_ends() {
    let mut lab = Lab::new();
    let (mut client, flow, _) = relayed(&mut lab);
    let refresh = client.signed(Method::REFRESH, &[]);
    let whole = channel_data(0x4001, b"12345");
    assert_eq!(lab.stream(flow, &whole), (0, vec![]), "it waits for three bytes more");
    let all = [whole, refresh].concat();
    let (used, took) = lab.stream(flow, &all);
    assert_eq!((used, took.len()), (all.len(), 2));
    assert_eq!(took[0].clone().relay().bytes, b"12345");
    assert_eq!(took[1], Took::Dropped(DropReason::NotTurn));
    assert_eq!(lab.closed().last(), Some(&flow));
    assert_eq!((lab.server.allocations(), lab.answers.len()), (0, 0));
}

#[test]
fn what_is_no_turn_ends_the_connection() {
    for (bytes, reason) in [
        (&b"POST / HTTP/1.1\r\n"[..], DropReason::NotTurn),
        (b"GET / HTTP/1.1\r\n", DropReason::Malformed), // as a channel's, it is too long for a stranger
        (&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x43], DropReason::NotTurn),
        (&[0, 1, 0xff, 0xfc], DropReason::Malformed),
        (&[0x16, 3, 1, 2], DropReason::NotTurn),
    ] {
        let mut lab = Lab::new();
        let flow = lab.accept(at(CLIENT));
        assert_eq!(lab.stream(flow, bytes), (bytes.len(), vec![Took::Dropped(reason)]), "{bytes:?}");
        assert_eq!((lab.closed(), lab.server.poll_timeout()), (vec![flow], None));
        assert_eq!(lab.stream(flow, b"more").1, [Took::Dropped(DropReason::UnknownFlow)]);
    }
}

#[test]
fn who_has_an_allocation_may_send_long_messages() {
    let mut lab = Lab::new();
    let (_, flow, _) = relayed(&mut lab);
    let whole = padded(0x4001, &[7; 65_535]);
    assert_eq!(lab.stream(flow, &whole[..4]), (0, vec![]));
    assert_eq!(lab.stream(flow, &whole[..whole.len() - 1]), (0, vec![]));
    let (used, took) = lab.stream(flow, &whole);
    assert_eq!((used, took[0].clone().relay().bytes.len()), (whole.len(), 65_535));
}

#[test]
fn a_connection_without_an_allocation_is_closed() {
    let mut lab = Lab::new();
    let client = Client::connected(&mut lab, CLIENT);
    let slow = client.flow.unwrap();
    assert_eq!(lab.stream(slow, &[0, 3]), (0, vec![]), "slowly");
    lab.pass(9);
    assert_eq!(lab.closed(), []);
    lab.pass(1);
    assert_eq!(lab.closed(), [slow]);
    // One with an allocation stays, and then has as long again.
    let mut lab = Lab::new();
    let (mut client, flow, _) = relayed(&mut lab);
    lab.pass(590);
    client.refresh(&mut lab, 0);
    lab.events.clear();
    lab.pass(30);
    assert_eq!((lab.closed(), lab.server.poll_timeout()), (vec![flow], None));
}

#[test]
fn a_connection_takes_its_allocation_with_it() {
    let mut lab = Lab::new();
    let (client, flow, relayed) = relayed(&mut lab);
    lab.server.handle_closed(flow);
    lab.server.handle_closed(flow);
    lab.drain();
    assert_eq!((lab.server.allocations(), lab.closed()), (0, vec![lab.sockets[&relayed]]));
    assert!(lab.events.iter().any(|it| matches!(it, Event::Released { reason: Released::ConnectionClosed, .. })));
    assert_eq!(lab.server.poll_timeout(), None);
    // The same address may come again.
    let mut again = Client::connected(&mut lab, CLIENT);
    assert_ne!(again.flow, client.flow);
    again.allocate(&mut lab);
}

#[test]
fn a_connection_that_closes_before_its_socket_is_bound() {
    let mut lab = Lab::new();
    lab.binds = false;
    let mut client = Client::connected(&mut lab, CLIENT);
    let bytes = client.signed(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec())]);
    client.say(&mut lab, &bytes);
    let Some(Event::Bind { request, family, port, .. }) = lab.events.pop() else { panic!() };
    lab.server.handle_closed(client.flow.unwrap());
    lab.drain();
    assert_eq!((lab.server.allocations(), lab.events.len()), (0, 0));
    let socket = lab.socket(family, port);
    let _ = lab.server.handle_bound(request, Ok(socket), lab.now);
    lab.drain();
    assert_eq!((lab.closed(), lab.answers.len()), (vec![socket.flow], 0));
}

// Its address is proven: nobody is sent what another has asked for.
#[test]
fn a_challenge_by_connection_is_always_full() {
    let mut lab = Lab::with(|config| config.unauthenticated_per_second = 1);
    let mut client = Client::new(CLIENT);
    client.flow = Some(lab.accept(client.address));
    for _ in 0..5 {
        let bytes = client.plain(Method::ALLOCATE, &[]);
        client.say(&mut lab, &bytes);
        let answer = lab.answer(client.address);
        assert_eq!(answer.code(), 401);
        assert!(answer.get(Attribute::PASSWORD_ALGORITHMS).is_some());
    }
}

#[test]
fn flows_are_limited_and_of_one_use() {
    let mut lab = Lab::with(|config| config.flows_max = 3);
    let flow = lab.accept(at(CLIENT));
    let accept = |lab: &mut Lab, flow| {
        let tuple = FiveTuple { flow, local: at(SERVER), remote: at(CLIENT) };
        lab.server.handle_accepted(tuple, Carries::Stream, lab.now)
    };
    assert_eq!(accept(&mut lab, flow), Err(plenary_turn::Error::FlowInUse));
    assert_eq!(lab.server.listen(flow, at("8.8.4.4:3479")), Err(plenary_turn::Error::FlowInUse));
    assert_eq!(accept(&mut lab, FlowId(5)), Ok(()));
    assert_eq!(accept(&mut lab, FlowId(6)), Err(plenary_turn::Error::Flows));
    lab.server.handle_closed(flow);
    assert_eq!(accept(&mut lab, FlowId(6)), Ok(()));
}

#[test]
fn connections_of_one_address_are_limited() {
    let mut lab = Lab::with(|config| config.connections_per_address_max = 2);
    let flows = [lab.accept(at("5.5.5.5:1")), lab.accept(at("[::ffff:5.5.5.5]:2"))];
    let accept = |lab: &mut Lab, flow, remote| {
        let tuple = FiveTuple { flow: FlowId(flow), local: at(SERVER), remote: at(remote) };
        lab.server.handle_accepted(tuple, Carries::Stream, lab.now)
    };
    assert_eq!(accept(&mut lab, 5, "5.5.5.5:3"), Err(plenary_turn::Error::Flows));
    assert_eq!(accept(&mut lab, 5, "5.5.5.6:3"), Ok(()));
    lab.server.handle_closed(flows[0]);
    assert_eq!(accept(&mut lab, 6, "5.5.5.5:3"), Ok(()));
    assert_eq!(accept(&mut lab, 7, "5.5.5.5:4"), Err(plenary_turn::Error::Flows));
    // With IPv6 all of a /64 is one's.
    assert_eq!([accept(&mut lab, 7, "[2600::1]:1"), accept(&mut lab, 8, "[2600::2:2]:1")], [Ok(()); 2]);
    assert_eq!(accept(&mut lab, 9, "[2600::3]:1"), Err(plenary_turn::Error::Flows));
    assert_eq!(accept(&mut lab, 9, "[2600:0:0:1::3]:1"), Ok(()));
}

// DTLS: the caller decrypts, and each association is a flow with datagrams.
#[test]
fn a_dtls_association_carries_datagrams_of_one_client() {
    let mut lab = Lab::new();
    let tuple = FiveTuple { flow: FlowId(9), local: at(SERVER), remote: at(CLIENT) };
    lab.server.handle_accepted(tuple, Carries::Datagrams, lab.now).unwrap();
    let mut client = Client::new(CLIENT);
    let request = client.plain(Method::ALLOCATE, &[]);
    assert_eq!(lab.receive(FlowId(9), at(SERVER), at(CLIENT), &request), Took::Consumed);
    client.nonce = lab.answer(client.address).get(Attribute::NONCE).unwrap();
    let request = client.signed(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec())]);
    assert_eq!(lab.receive(FlowId(9), at(SERVER), at(CLIENT), &request), Took::Consumed);
    let relayed = lab.answer(client.address).address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    let transaction = client.clone().next_transaction();
    let number = (Attribute::CHANNEL_NUMBER, vec![0x40, 1, 0, 0]);
    let bind = client.signed(Method::CHANNEL_BIND, &[number, peer_attribute(PEER, transaction)]);
    assert_eq!(lab.receive(FlowId(9), at(SERVER), at(CLIENT), &bind), Took::Consumed);
    assert_eq!(lab.answer(client.address).code(), 0);
    let back = lab.send_to_relay(relayed, PEER, b"12345").relay();
    assert_eq!((back.flow, back.bytes), (FlowId(9), channel_data(0x4001, b"12345")), "without padding");
    assert_eq!(lab.stream(FlowId(9), &request).1, [Took::Dropped(DropReason::UnknownFlow)], "it is no stream");
    lab.server.handle_closed(FlowId(9));
    assert_eq!((lab.server.allocations(), lab.server.poll_timeout()), (0, None));
    let stream = lab.accept(at(CLIENT));
    let took = lab.receive(stream, at(SERVER), at(CLIENT), &request);
    assert_eq!(took, Took::Dropped(DropReason::UnknownFlow), "nor are there datagrams in a stream");
}
