//! RFC 6062: connections that are relayed.

use plenary_stun::{Attribute, Class, Message, Method};
use plenary_turn::{ConnectError, DropReason, Event, RequestId};
use plenary_wire::FlowId;

use crate::lab::{Answer, Client, Lab, PEER, RELAY, Took, UDP, at, channel_data, peer_attribute};

const CLIENT: &str = "5.5.5.5:5000";
const TCP: (Attribute, [u8; 4]) = (Attribute::REQUESTED_TRANSPORT, [6, 0, 0, 0]);

fn lab() -> Lab {
    Lab::with(|config| config.tcp = true)
}

/// A client with a listening relay.
fn listening(lab: &mut Lab) -> (Client, FlowId) {
    let mut client = Client::connected(lab, CLIENT);
    let answer = client.ask(lab, Method::ALLOCATE, &[(TCP.0, TCP.1.to_vec())]);
    assert_eq!(answer.code(), 0);
    let relayed = answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    lab.events.clear();
    (client, lab.sockets[&relayed])
}

fn connect(lab: &mut Lab, client: &mut Client, peer: &str) -> Result<RequestId, u16> {
    let transaction = client.clone().next_transaction();
    let bytes = client.signed(Method::CONNECT, &[peer_attribute(peer, transaction)]);
    client.say(lab, &bytes);
    match lab.events.pop() {
        Some(Event::Connect { request, peer: to, .. }) => {
            assert_eq!(to, at(peer));
            assert!(lab.answers.is_empty());
            let events = lab.events.len();
            client.say(lab, &bytes);
            assert_eq!((lab.answers.len(), lab.events.len()), (0, events), "a retransmission waits too");
            Ok(request)
        }
        _ => Err(lab.answer(client.address).code()),
    }
}

fn connected(lab: &mut Lab, request: RequestId, answer: Result<FlowId, ConnectError>) {
    let _ = lab.server.handle_connected(request, answer, lab.now);
    lab.drain();
}

/// A second connection of the client, which binds a connection of a peer.
fn bind(lab: &mut Lab, username: &[u8], id: u32) -> (FlowId, Answer) {
    let mut data = Client::connected(lab, "5.5.5.5:5001");
    data.username = username.to_vec();
    let answer = data.ask(lab, Method::CONNECTION_BIND, &[(Attribute::CONNECTION_ID, id.to_be_bytes().to_vec())]);
    (data.flow.unwrap(), answer)
}

#[test]
fn a_client_connects_to_a_peer() {
    let mut lab = lab();
    let (mut client, _) = listening(&mut lab);
    let request = connect(&mut lab, &mut client, PEER).unwrap();
    assert_eq!(connect(&mut lab, &mut client, PEER), Err(446), "while it connects");
    connected(&mut lab, request, Ok(FlowId(900)));
    let answer = lab.answer(client.address);
    let id = answer.number(Attribute::CONNECTION_ID).unwrap();
    assert_eq!(answer.code(), 0);
    assert_eq!(connect(&mut lab, &mut client, PEER), Err(446), "and once it has");
    let (flow, answer) = bind(&mut lab, b"user", id);
    assert_eq!(answer.code(), 0);
    assert_eq!(lab.events, [Event::Join { client: flow, peer: FlowId(900) }]);
    assert_eq!(bind(&mut lab, b"user", id).1.code(), 400, "it is taken");
    lab.events.clear();
    lab.pass(60);
    assert_eq!(lab.closed().len(), 1, "nothing but the connection that was too late");
    lab.events.clear();
    // One side closes, and so does the other.
    lab.server.handle_closed(FlowId(900));
    lab.drain();
    assert_eq!(lab.closed(), [flow]);
    assert!(connect(&mut lab, &mut client, PEER).is_ok());
}

#[test]
fn a_peer_connects_to_a_client_that_permits_it() {
    let mut lab = lab();
    let (mut client, relay) = listening(&mut lab);
    let accept = |lab: &mut Lab, flow| {
        let took = Took::from(lab.server.handle_peer_accepted(relay, flow, at("9.9.9.9:1234"), lab.now));
        lab.drain();
        took
    };
    assert_eq!(accept(&mut lab, FlowId(900)), Took::Dropped(DropReason::NoPermission));
    assert_eq!(lab.closed(), [FlowId(900)]);
    client.permit(&mut lab, &[PEER]);
    lab.events.clear();
    assert_eq!(accept(&mut lab, FlowId(901)), Took::Consumed);
    let (_, bytes) = lab.answers.pop_front().unwrap();
    let attempt = Message::parse(&bytes).unwrap();
    assert_eq!((attempt.class(), attempt.method()), (Class::Indication, Method::CONNECTION_ATTEMPT));
    assert_eq!(attempt.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(at("9.9.9.9:1234"))));
    let id = attempt.get_u32(Attribute::CONNECTION_ID).unwrap().unwrap();
    assert_eq!(bind(&mut lab, b"user", id.wrapping_add(1)).1.code(), 400, "a guess");
    assert_eq!(bind(&mut lab, b"other", id).1.code(), 441);
    let (flow, answer) = bind(&mut lab, b"user", id);
    assert_eq!(answer.code(), 0);
    assert_eq!(lab.events, [Event::Join { client: flow, peer: FlowId(901) }]);
}

#[test]
fn what_is_not_bound_in_time_is_closed() {
    let mut lab = lab();
    let (mut client, relay) = listening(&mut lab);
    client.permit(&mut lab, &["9.9.9.8:1"]);
    let request = connect(&mut lab, &mut client, PEER).unwrap();
    connected(&mut lab, request, Ok(FlowId(900)));
    let id = lab.answer(client.address).number(Attribute::CONNECTION_ID).unwrap();
    let _ = lab.server.handle_peer_accepted(relay, FlowId(901), at("9.9.9.8:1"), lab.now);
    lab.drain();
    lab.answers.clear();
    lab.events.clear();
    lab.pass(29);
    assert_eq!(lab.closed(), []);
    lab.pass(1);
    let mut closed = lab.closed();
    closed.sort();
    assert_eq!(closed, [FlowId(900), FlowId(901)]);
    assert_eq!(bind(&mut lab, b"user", id).1.code(), 400, "late");
}

#[test]
fn a_peer_that_can_not_be_reached_is_447() {
    let mut lab = lab();
    let (mut client, _) = listening(&mut lab);
    let request = connect(&mut lab, &mut client, PEER).unwrap();
    connected(&mut lab, request, Err(ConnectError));
    assert_eq!(lab.answer(client.address).code(), 447);
    let request = connect(&mut lab, &mut client, PEER).unwrap();
    assert_eq!(lab.events, [], "there is nothing to abandon");
    lab.pass(30);
    assert_eq!(lab.answer(client.address).code(), 447, "without a word for 30 s");
    assert_eq!(lab.events, [Event::Abandon { request }]);
    connected(&mut lab, request, Ok(FlowId(900)));
    assert_eq!((lab.closed(), lab.answers.len()), (vec![FlowId(900)], 0), "late");
}

#[test]
fn all_of_an_allocation_ends_with_it() {
    let mut lab = lab();
    let (mut client, relay) = listening(&mut lab);
    let first = connect(&mut lab, &mut client, PEER).unwrap();
    connected(&mut lab, first, Ok(FlowId(900)));
    let id = lab.answer(client.address).number(Attribute::CONNECTION_ID).unwrap();
    let (data, _) = bind(&mut lab, b"user", id);
    let second = connect(&mut lab, &mut client, "9.9.9.8:1").unwrap();
    lab.events.clear();
    lab.server.handle_closed(client.flow.unwrap());
    lab.drain();
    assert_eq!(lab.closed(), [data, FlowId(900), relay]);
    assert!(lab.events.contains(&Event::Abandon { request: second }));
    assert_eq!((lab.server.allocations(), lab.server.poll_timeout()), (0, None));
    lab.events.clear();
    connected(&mut lab, second, Ok(FlowId(901)));
    assert_eq!((lab.closed(), lab.answers.len()), (vec![FlowId(901)], 0), "nobody is there any more");
    lab.server.handle_closed(data);
    lab.drain();
    assert_eq!(lab.closed().len(), 1);
}

#[test]
fn peers_are_those_of_the_policy_and_few() {
    let mut lab = Lab::with(|config| (config.tcp, config.connections_max) = (true, 2));
    let (mut client, relay) = listening(&mut lab);
    for (peer, code) in [
        ("127.0.0.1:80", 403),
        ("169.254.169.254:80", 403),
        ("[2600::9]:80", 443),
        ("9.9.9.9:0", 400),
        ("8.8.4.4:22", 403),
    ] {
        assert_eq!(connect(&mut lab, &mut client, peer), Err(code), "{peer}");
    }
    assert_eq!(RELAY, "8.8.4.4");
    for host in [1, 2] {
        connect(&mut lab, &mut client, &format!("9.9.9.{host}:80")).unwrap();
    }
    assert_eq!(connect(&mut lab, &mut client, PEER), Err(508));
    client.permit(&mut lab, &[PEER]);
    let handled = lab.server.handle_peer_accepted(relay, FlowId(900), at(PEER), lab.now);
    assert_eq!(Took::from(handled), Took::Dropped(DropReason::ConnectionsLimit));
}

#[test]
fn relays_that_listen_reach_each_other() {
    let mut lab = lab();
    let (mut client, relay) = listening(&mut lab);
    let mut other = Client::connected(&mut lab, "5.5.5.5:5002");
    let mut relayed = |lab: &mut Lab, transport: [u8; 4]| {
        let answer = other.ask(lab, Method::ALLOCATE, &[(TCP.0, transport.to_vec())]);
        other = Client::connected(lab, "5.5.5.5:5003");
        answer.address(Attribute::XOR_RELAYED_ADDRESS).unwrap().to_string()
    };
    let (listens, does_not) = (relayed(&mut lab, TCP.1), relayed(&mut lab, UDP));
    let own = lab.sockets.iter().find(|(_, flow)| **flow == relay).unwrap().0.to_string();
    assert!(connect(&mut lab, &mut client, &listens).is_ok(), "{listens}");
    assert_eq!(connect(&mut lab, &mut client, &does_not), Err(403), "it is of datagrams");
    assert_eq!(connect(&mut lab, &mut client, &own), Err(403), "it is the client's own");
}

#[test]
fn an_allocation_of_connections_is_asked_for_as_the_rfc_says() {
    let transport = (TCP.0, TCP.1.to_vec());
    let mut off = Lab::new();
    let mut client = Client::connected(&mut off, CLIENT);
    assert_eq!(client.ask(&mut off, Method::ALLOCATE, std::slice::from_ref(&transport)).code(), 442, "it is off");
    let mut lab = lab();
    let mut client = Client::challenged(&mut lab, CLIENT);
    assert_eq!(client.ask(&mut lab, Method::ALLOCATE, std::slice::from_ref(&transport)).code(), 400, "by datagrams");
    let mut client = Client::connected(&mut lab, CLIENT);
    for more in [
        (Attribute::EVEN_PORT, vec![0]),
        (Attribute::DONT_FRAGMENT, vec![]),
        (Attribute::RESERVATION_TOKEN, vec![0; 8]),
    ] {
        assert_eq!(client.ask(&mut lab, Method::ALLOCATE, &[transport.clone(), more]).code(), 400);
    }
    lab.binds = false;
    let bytes = client.signed(Method::ALLOCATE, &[transport]);
    client.say(&mut lab, &bytes);
    assert!(matches!(lab.events[..], [Event::Bind { tcp: true, .. }]));
}

#[test]
fn datagrams_and_connections_do_not_mix() {
    let mut lab = lab();
    let (mut client, _) = listening(&mut lab);
    let flow = client.flow.unwrap();
    assert_eq!(client.bind(&mut lab, 0x4001, PEER).code(), 400);
    client.permit(&mut lab, &[PEER]);
    let indication = client.send(PEER, b"data", &[]);
    assert_eq!(lab.stream(flow, &indication).1, [Took::Dropped(DropReason::NoChannel)]);
    assert_eq!(lab.stream(flow, &channel_data(0x4001, b"data")).1, [Took::Dropped(DropReason::NoChannel)]);
    let mut other = Client::connected(&mut lab, "5.5.5.5:5009");
    let answer = other.ask(&mut lab, Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec())]);
    assert_eq!(answer.code(), 0);
    assert_eq!(connect(&mut lab, &mut other, PEER), Err(400), "an allocation of datagrams");
    let id = (Attribute::CONNECTION_ID, vec![0; 4]);
    assert_eq!(other.ask(&mut lab, Method::CONNECTION_BIND, &[id]).code(), 400, "a connection with an allocation");
    assert_eq!(other.ask(&mut lab, Method::CONNECTION_BIND, &[]).code(), 400);
    let took = Took::from(lab.server.handle_peer_accepted(FlowId(7), FlowId(900), at(PEER), lab.now));
    assert_eq!(took, Took::Dropped(DropReason::UnknownFlow));
}
