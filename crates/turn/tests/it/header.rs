//! What is no message, or none for a server.

use plenary_stun::{Attribute, Class, ErrorCode, Method, TransactionId, Writer};
use plenary_turn::DropReason;

use crate::lab::{Client, Lab, Took, UDP, at};

const CLIENT: &str = "5.5.5.5:5000";

fn binding() -> Vec<u8> {
    Client::new(CLIENT).plain(Method::BINDING, &[])
}

fn sent(bytes: &[u8]) -> (Took, Option<u16>) {
    let mut lab = Lab::new();
    let took = lab.send(at(CLIENT), bytes);
    let code = (!lab.answers.is_empty()).then(|| lab.answer(at(CLIENT)).code());
    (took, code)
}

fn is_dropped(bytes: &[u8], reason: DropReason) {
    assert_eq!(sent(bytes), (Took::Dropped(reason), None), "{bytes:?}");
}

#[test]
fn a_binding_request_tells_the_address_in_few_bytes() {
    let mut lab = Lab::new();
    for (client, has_fingerprint, most) in
        [(CLIENT, false, 32), (CLIENT, true, 44), ("[2600::5]:5", false, 44), ("[::ffff:5.5.5.5]:5000", false, 32)]
    {
        let mut request = Vec::new();
        let writer = Writer::new(Class::Request, Method::BINDING, TransactionId([1; 12]), &mut request);
        if has_fingerprint {
            writer.fingerprint();
        }
        assert_eq!(lab.send(at(client), &request), Took::Consumed);
        let answer = lab.answer(at(client));
        assert_eq!(answer.message().transaction(), TransactionId([1; 12]));
        let mapped = answer.address(Attribute::XOR_MAPPED_ADDRESS).unwrap();
        assert_eq!((mapped.ip(), mapped.port()), (at(client).ip().to_canonical(), at(client).port()));
        assert_eq!(answer.message().has_fingerprint(), has_fingerprint);
        assert!(answer.bytes.len() <= most, "{client}: {} bytes", answer.bytes.len());
    }
    assert_eq!(lab.server.allocations(), 0);
}

#[test]
fn headers_that_are_cut_are_dropped() {
    let whole = binding();
    for length in 0..20 {
        is_dropped(&whole[..length], DropReason::NotTurn);
    }
}

#[test]
fn lengths_that_lie_are_dropped() {
    for length in [1, 2, 3, 4, 65_535_u16] {
        let mut bytes = binding();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        is_dropped(&bytes, DropReason::Malformed);
    }
    is_dropped(&[&binding()[..], &[0; 4]].concat(), DropReason::Malformed);
}

#[test]
fn a_wrong_cookie_is_dropped() {
    let mut bytes = binding();
    bytes[4] ^= 1;
    is_dropped(&bytes, DropReason::NotTurn);
}

#[test]
fn other_protocols_are_dropped() {
    for first in (0x04..0x40_u8).chain(0x50..=0xff) {
        let mut bytes = binding();
        bytes[0] = first;
        is_dropped(&bytes, DropReason::NotTurn);
    }
}

#[test]
fn responses_and_unknown_methods_are_dropped() {
    for (class, method) in [
        (Class::Success, Method::BINDING),
        (Class::Error, Method::ALLOCATE),
        (Class::Indication, Method::DATA),
        (Class::Indication, Method::ALLOCATE),
        (Class::Request, Method::SEND),
        (Class::Request, Method(0x002)),
        (Class::Request, Method(0x0ff)),
    ] {
        let mut bytes = Vec::new();
        Writer::new(class, method, TransactionId([1; 12]), &mut bytes);
        is_dropped(&bytes, DropReason::Method);
    }
}

#[test]
fn a_transaction_of_zeros_is_one_like_others() {
    let mut bytes = Vec::new();
    Writer::new(Class::Request, Method::BINDING, TransactionId([0; 12]), &mut bytes);
    assert_eq!(sent(&bytes), (Took::Consumed, Some(0)));
}

#[test]
fn a_wrong_fingerprint_is_dropped() {
    let mut bytes = Vec::new();
    Writer::new(Class::Request, Method::BINDING, TransactionId([1; 12]), &mut bytes).fingerprint();
    bytes[25] ^= 1;
    is_dropped(&bytes, DropReason::Fingerprint);
}

#[test]
fn an_attribute_that_runs_over_the_end_is_dropped() {
    for length in [5, 9, 65_535_u16] {
        let mut bytes = Client::new(CLIENT).plain(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec())]);
        bytes[22..24].copy_from_slice(&length.to_be_bytes());
        is_dropped(&bytes, DropReason::Malformed);
    }
}

#[test]
fn five_hundred_attributes_are_dropped() {
    let many = vec![(Attribute(0x8fff), vec![1]); 500];
    is_dropped(&Client::new(CLIENT).plain(Method::BINDING, &many), DropReason::Malformed);
}

#[test]
fn unknown_attributes_are_named_if_they_must_be_understood() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let transport = (Attribute::REQUESTED_TRANSPORT, UDP.to_vec());
    let answer = client.ask(&mut lab, Method::ALLOCATE, &[transport, (Attribute(0x7ffe), vec![])]);
    assert_eq!(answer.code(), ErrorCode::UNKNOWN_ATTRIBUTE.0);
    assert_eq!(answer.get(Attribute::UNKNOWN_ATTRIBUTES), Some(vec![0x7f, 0xfe]));
    assert_eq!(lab.server.allocations(), 0);
    let answer = client.allocate_with(&mut lab, &[(Attribute(0xfffe), vec![1, 2, 3])]);
    assert_eq!(answer.code(), 0, "one that need not be understood is none");
    // Of a Binding too, which nobody signs.
    let bytes = client.plain(Method::BINDING, &[(Attribute(0x7ffe), vec![])]);
    let answer = client.exchange(&mut lab, &bytes);
    assert_eq!(answer.code(), 420);
    assert!(answer.bytes.len() <= 2 * bytes.len());
}

#[test]
fn attributes_of_no_bytes_or_of_many_are_refused_or_ignored() {
    for (attribute, code) in [
        (Attribute::LIFETIME, 400),
        (Attribute::EVEN_PORT, 400),
        (Attribute::RESERVATION_TOKEN, 400),
        (Attribute::REQUESTED_ADDRESS_FAMILY, 400),
        (Attribute::ADDITIONAL_ADDRESS_FAMILY, 400),
        (Attribute::PASSWORD_ALGORITHM, 400),
        (Attribute::PASSWORD_ALGORITHMS, 400),
        (Attribute::SOFTWARE, 0),
        (Attribute::CHANNEL_NUMBER, 0), // it has no place in an Allocate
        (Attribute::XOR_PEER_ADDRESS, 0),
        (Attribute::DATA, 0),
    ] {
        for length in [0, 128, 763, 2000] {
            let mut lab = Lab::new();
            let mut client = Client::challenged(&mut lab, CLIENT);
            let answer = client.allocate_with(&mut lab, &[(attribute, vec![b'x'; length])]);
            assert_eq!(answer.code(), code, "{attribute:?} of {length} bytes");
        }
    }
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    for length in [0, 128, 763] {
        client.realm = vec![b'x'; length];
        assert_eq!(client.allocate_with(&mut lab, &[]).code(), 401, "a realm of {length} bytes");
    }
    (client.realm, client.username) = (b"turn".to_vec(), Vec::new());
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 400, "a name of 0 bytes");
}

#[test]
fn of_attributes_that_come_twice_the_first_counts() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let transport = |protocol| (Attribute::REQUESTED_TRANSPORT, vec![protocol, 0, 0, 0]);
    assert_eq!(client.ask(&mut lab, Method::ALLOCATE, &[transport(99), transport(17)]).code(), 442);
    assert_eq!(client.ask(&mut lab, Method::ALLOCATE, &[transport(17), transport(99)]).code(), 0);
}

#[test]
fn what_is_behind_the_integrity_counts_for_nothing() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let key = client.key();
    let mut bytes = client.signed(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec())]);
    bytes.truncate(bytes.len() - 32);
    let length = (bytes.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let mut out = Vec::new();
    let mut writer = Writer::new(Class::Request, Method::ALLOCATE, client.next_transaction(), &mut out);
    let message = plenary_stun::Message::parse(&bytes).unwrap();
    for (kind, value) in message.attributes() {
        writer.attribute(kind, &[value]);
    }
    writer.integrity(&key, plenary_stun::Algorithm::Sha1);
    writer.attribute(Attribute::LIFETIME, &[&3000_u32.to_be_bytes()]);
    writer.fingerprint();
    let answer = client.exchange(&mut lab, &out);
    assert_eq!((answer.code(), answer.number(Attribute::LIFETIME)), (0, Some(600)));
}

#[test]
fn padding_may_hold_anything_and_is_sent_as_zeros() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let mut bytes = client.plain(Method::BINDING, &[(Attribute(0x8fff), vec![1])]);
    bytes[25..28].copy_from_slice(&[0xff; 3]);
    assert_eq!(client.exchange(&mut lab, &bytes).code(), 0);
    // The phrase of a 437 is of 19 bytes: its padding is there to be seen.
    let answer = client.refresh(&mut lab, 600);
    let at = answer.bytes.windows(8).position(|it| it == b"Mismatch").unwrap();
    assert_eq!((answer.code(), answer.bytes[at + 8]), (437, 0));
}

#[test]
fn a_flow_that_is_not_known_is_none() {
    let mut lab = Lab::new();
    let took = lab.receive(plenary_wire::FlowId(77), at("8.8.4.4:77"), at(CLIENT), &binding());
    assert_eq!(took, Took::Dropped(DropReason::UnknownFlow));
    assert_eq!(lab.server.dropped(DropReason::UnknownFlow), 1);
    assert_eq!(lab.server.counters().dropped, 1);
}
