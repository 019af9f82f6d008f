//! How a client gets its allocation.

use std::time::Duration;

use plenary_stun::{Algorithm, Attribute, Class, ErrorCode, Method, Writer};
use plenary_turn::client::{Allocated, Client, ConfigError, DropReason, Event, Failure, Families};
use plenary_wire::FlowId;

use crate::client_lab::{
    ALGORITHMS, Asked, FLOW, Knows, LOCAL, Lab, MAPPED, REALM, RELAYED, SERVER, Took, config, stream, unsigned,
};
use crate::lab::at;

const LIFETIME: Duration = Duration::from_secs(600);

fn refused(code: u16) -> Event {
    Event::Failed(Failure::Refused(ErrorCode(code)))
}

#[test]
fn the_first_request_shows_no_name() {
    let asked = Lab::new().next();
    let message = asked.message();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::ALLOCATE));
    assert_eq!((asked.transmit.flow, asked.transmit.local), (FLOW, at(LOCAL)));
    assert_eq!(asked.get(Attribute::REQUESTED_TRANSPORT), Some(vec![17, 0, 0, 0]));
    assert_eq!(asked.get(Attribute::LIFETIME), Some(vec![0, 0, 2, 88]));
    for attribute in [Attribute::USERNAME, Attribute::USERHASH, Attribute::REALM, Attribute::NONCE] {
        assert_eq!(asked.get(attribute), None, "{attribute:?}");
    }
    assert!(!message.has_integrity(Algorithm::Sha1) && !message.has_integrity(Algorithm::Sha256));
    assert!(message.has_fingerprint());
    // Twice as much has room for a challenge with a realm of 127 bytes and all the algorithms.
    assert_eq!(asked.bytes.len(), 108);
}

#[test]
fn a_challenge_is_answered_with_what_the_server_knows() {
    for knows in [Knows::Md5, Knows::Sha256] {
        let mut lab = Lab::new();
        lab.knows = knows;
        let first = lab.next();
        lab.challenge(&first, 401, b"nonce");
        let asked = lab.next();
        assert_ne!(asked.message().transaction(), first.message().transaction());
        lab.check_proof(&asked, b"nonce");
        lab.grant(&asked, LIFETIME, &[]);
        let told =
            Allocated { ipv4: Some(at(RELAYED)), ipv6: None, mapped: at(MAPPED), lifetime: Duration::from_secs(600) };
        assert_eq!(lab.event(), Event::Allocated(told));
        assert_eq!(lab.client.allocated(), Some(&told));
        assert_eq!((lab.quiet(), lab.client.poll_event()), (None, None));
    }
}

#[test]
fn without_a_name_to_hide_it_is_shown() {
    let mut lab = Lab::new();
    let first = lab.next();
    let attributes = [
        (Attribute::REALM, REALM),
        (Attribute::NONCE, &b"obMatJos2gAAAx"[..]),
        (Attribute::PASSWORD_ALGORITHMS, &[0, 1, 0, 0, 0, 2, 0, 0]),
    ];
    assert_eq!(lab.unsigned(&first, 401, &attributes), Took::Consumed);
    let asked = lab.next();
    assert_eq!(asked.get(Attribute::USERNAME), Some(b"user".to_vec()));
    // The first that the server names is taken, and integrity is SHA-256's all the same (RFC 8489 §9.2.5).
    assert_eq!(asked.get(Attribute::PASSWORD_ALGORITHM), Some(vec![0, 1, 0, 0]));
    let key = plenary_stun::Key::long_term(b"user", REALM, b"secret", Algorithm::Sha1);
    assert!(asked.message().is_signed_with(&key, Algorithm::Sha256));
    assert!(!asked.message().has_integrity(Algorithm::Sha1));
}

#[test]
fn algorithms_that_were_cut_off_end_it() {
    let nonce = (Attribute::NONCE, &b"obMatJos2wAAAx"[..]);
    let mut lab = Lab::new();
    let first = lab.next();
    assert_eq!(lab.unsigned(&first, 401, &[(Attribute::REALM, REALM), nonce]), Took::Consumed);
    assert_eq!(lab.event(), Event::Failed(Failure::BidDown));
    assert_eq!((lab.quiet(), lab.client.is_ended()), (None, true));

    // Later, with the cookie cut off as well.
    let mut lab = Lab::new();
    lab.knows = Knows::Sha256;
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    assert_eq!(lab.unsigned(&asked, 438, &[(Attribute::REALM, REALM), (Attribute::NONCE, b"plain")]), Took::Consumed);
    assert_eq!(lab.event(), Event::Failed(Failure::BidDown));
}

#[test]
fn a_server_without_a_known_algorithm_ends_it() {
    let mut lab = Lab::new();
    let first = lab.next();
    let attributes =
        [(Attribute::REALM, REALM), (Attribute::NONCE, &b"x"[..]), (Attribute::PASSWORD_ALGORITHMS, &[0, 9, 0, 0])];
    lab.unsigned(&first, 401, &attributes);
    assert_eq!(lab.event(), Event::Failed(Failure::Algorithm));
}

#[test]
fn a_wrong_password_is_tried_once() {
    let mut lab = Lab::new();
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    lab.challenge(&asked, 401, b"another nonce");
    assert_eq!(lab.event(), refused(401));
}

#[test]
fn nonces_are_renewed_so_often_and_no_more() {
    let mut lab = Lab::new();
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    for nonce in [&b"one"[..], b"two", b"three"] {
        let asked = lab.next();
        lab.challenge(&asked, 438, nonce);
    }
    assert_eq!(lab.event(), refused(438));

    // A realm that changes each time is no way round that.
    let mut lab = Lab::new();
    for realm in [&b"1"[..], b"2", b"3", b"4"] {
        let asked = lab.next();
        lab.unsigned(&asked, 401, &[(Attribute::REALM, realm), (Attribute::NONCE, b"x")]);
    }
    assert_eq!(lab.event(), refused(401));
}

#[test]
fn a_stale_nonce_may_come_without_a_realm() {
    let mut lab = Lab::new();
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    assert_eq!(lab.unsigned(&asked, 438, &[(Attribute::NONCE, b"new")]), Took::Consumed);
    let asked = lab.next();
    lab.check_proof(&asked, b"new");
}

#[test]
fn a_challenge_without_nonce_or_realm_is_none() {
    let mut lab = Lab::new();
    let first = lab.next();
    let long = [b'x'; 764];
    for attributes in [
        &[(Attribute::REALM, REALM)][..],
        &[(Attribute::NONCE, b"x")],
        &[(Attribute::REALM, b""), (Attribute::NONCE, b"x")],
        &[(Attribute::REALM, REALM), (Attribute::NONCE, &long)],
    ] {
        assert_eq!(lab.unsigned(&first, 401, attributes), Took::Dropped(DropReason::BadResponse));
    }
    assert_eq!(lab.client.poll_event(), None);
}

#[test]
fn another_realm_than_the_users_ends_it() {
    let mut lab = Lab::with(|config| config.realm = Some("elsewhere".into()));
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    assert_eq!(lab.event(), Event::Failed(Failure::Realm));
}

#[test]
fn a_request_is_sent_seven_times() {
    let mut lab = Lab::new();
    let (mut times, mut requests) = (Vec::new(), Vec::new());
    while let Some(asked) = lab.until_sent(Duration::from_millis(39_499)) {
        times.push(lab.ms());
        requests.push(asked.bytes);
    }
    assert_eq!(times, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert!(requests.iter().all(|bytes| *bytes == requests[0]));
    assert_eq!(lab.client.poll_event(), None);
    assert_eq!(lab.until_sent(Duration::from_millis(39_500)), None);
    assert_eq!(lab.event(), Event::Failed(Failure::TimedOut));
    assert_eq!(lab.client.poll_timeout(), None);
}

#[test]
fn on_a_stream_a_request_is_sent_once() {
    let mut lab = Lab::with(stream);
    lab.next();
    assert_eq!(lab.until_sent(Duration::from_millis(39_499)), None);
    assert_eq!(lab.client.poll_event(), None);
    assert_eq!(lab.until_sent(Duration::from_millis(39_500)), None);
    assert_eq!(lab.event(), Event::Failed(Failure::TimedOut));
}

#[test]
fn a_stream_that_ends_ends_it() {
    let mut lab = Lab::with(stream);
    lab.client.handle_closed(FlowId(77));
    assert_eq!(lab.client.poll_event(), None);
    lab.client.handle_closed(FLOW);
    assert_eq!(lab.event(), Event::Failed(Failure::StreamClosed));
}

fn success(asked: &Asked) -> Vec<u8> {
    let mut bytes = Vec::new();
    let message = asked.message();
    let mut writer = Writer::new(Class::Success, message.method(), message.transaction(), &mut bytes);
    writer.xor_address(Attribute::XOR_RELAYED_ADDRESS, at(RELAYED));
    writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, at(MAPPED));
    writer.attribute(Attribute::LIFETIME, &[&[0, 0, 2, 88]]);
    bytes
}

#[test]
fn only_who_knows_the_password_is_believed() {
    let mut lab = Lab::new();
    let first = lab.next();
    assert_eq!(lab.give(&success(&first)), Took::Dropped(DropReason::Integrity));
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    assert_eq!(lab.give(&success(&asked)), Took::Dropped(DropReason::Integrity));
    for code in [300, 400, 403, 437, 486, 500] {
        assert_eq!(lab.unsigned(&asked, code, &[]), Took::Dropped(DropReason::Integrity));
    }
    assert_eq!(lab.client.dropped(DropReason::Integrity), 8);
    // It is as if nothing had come.
    assert_eq!(lab.until_sent(Duration::from_secs(1)).unwrap().bytes, asked.bytes);
    lab.grant(&asked, LIFETIME, &[]);
    assert!(matches!(lab.event(), Event::Allocated(_)));

    let mut lab = Lab::with(stream);
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    assert_eq!(lab.give(&success(&asked)), Took::Dropped(DropReason::Integrity));
    assert_eq!(lab.event(), Event::Failed(Failure::Integrity));
}

#[test]
fn integrity_is_of_the_kind_that_was_asked_with() {
    let mut lab = Lab::new();
    lab.knows = Knows::Sha256;
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    let (key, _) = lab.key();
    let mut bytes = success(&asked);
    let message = asked.message();
    bytes.clear();
    let mut writer = Writer::new(Class::Success, message.method(), message.transaction(), &mut bytes);
    writer.xor_address(Attribute::XOR_RELAYED_ADDRESS, at(RELAYED));
    writer.integrity(&key, Algorithm::Sha1);
    assert_eq!(lab.give(&bytes), Took::Dropped(DropReason::Integrity));
}

#[test]
fn refusals_have_their_code() {
    for code in [400, 403, 420, 437, 440, 441, 442, 486, 500, 508] {
        let mut lab = Lab::new();
        let first = lab.next();
        lab.challenge(&first, 401, b"nonce");
        let asked = lab.next();
        lab.refuse(&asked, code);
        assert_eq!(lab.event(), refused(code));
        assert_eq!((lab.quiet(), lab.client.poll_timeout()), (None, None));
    }
    // Who refuses everybody has no key to sign with.
    let mut lab = Lab::new();
    let first = lab.next();
    lab.unsigned(&first, 403, &[]);
    assert_eq!(lab.event(), refused(403));
}

#[test]
fn what_the_server_does_not_do_is_not_asked_again() {
    let mut lab = Lab::with(|config| (config.dont_fragment, config.mobility) = (true, true));
    let first = lab.next();
    assert_eq!(first.get(Attribute::MOBILITY_TICKET), Some(vec![]));
    assert_eq!(first.get(Attribute::DONT_FRAGMENT), Some(vec![]));
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    lab.refuse(&asked, 420);
    let asked = lab.next();
    assert_eq!(asked.get(Attribute::DONT_FRAGMENT), None);
    lab.refuse(&asked, 405);
    let asked = lab.next();
    assert_eq!(asked.get(Attribute::MOBILITY_TICKET), None);
    lab.refuse(&asked, 420);
    assert_eq!(lab.event(), refused(420));
}

fn plain_address(address: &str) -> Vec<u8> {
    let address = at(address);
    let port = address.port().to_be_bytes();
    match address.ip() {
        std::net::IpAddr::V4(ip) => [&[0, 1][..], &port, &ip.octets()].concat(),
        std::net::IpAddr::V6(ip) => [&[0, 2][..], &port, &ip.octets()].concat(),
    }
}

#[test]
fn another_server_is_asked_but_not_in_circles() {
    let mut lab = Lab::new();
    for server in ["198.51.100.2:3478", "198.51.100.3:3478", "198.51.100.4:3478"] {
        let asked = lab.next();
        let alternate = plain_address(server);
        assert_eq!(lab.unsigned(&asked, 300, &[(Attribute::ALTERNATE_SERVER, &alternate)]), Took::Consumed);
        assert_eq!(lab.event(), Event::Redirected(at(server)));
        assert_eq!(lab.client.server(), at(server));
        // The one before is a stranger now.
        assert_eq!(lab.give_by(FLOW, at(LOCAL), at(SERVER), &asked.bytes), Took::Dropped(DropReason::NotServer));
    }
    let asked = lab.next();
    lab.unsigned(&asked, 300, &[(Attribute::ALTERNATE_SERVER, &plain_address("198.51.100.5:3478"))]);
    assert_eq!(lab.event(), Event::Failed(Failure::Redirects));

    let mut lab = Lab::new();
    let asked = lab.next();
    lab.unsigned(&asked, 300, &[(Attribute::ALTERNATE_SERVER, &plain_address(SERVER))]);
    assert_eq!(lab.event(), Event::Failed(Failure::Redirects));
}

#[test]
fn another_server_that_the_flow_cant_reach_is_told() {
    for (change, server) in
        [(stream as fn(&mut plenary_turn::client::Config), "198.51.100.2:3478"), (|_| (), "[2001:db8::1]:3478")]
    {
        let mut lab = Lab::with(change);
        let asked = lab.next();
        lab.unsigned(&asked, 300, &[(Attribute::ALTERNATE_SERVER, &plain_address(server))]);
        assert_eq!(lab.event(), Event::Failed(Failure::Alternate(at(server))));
    }
    let mut lab = Lab::new();
    let asked = lab.next();
    for bad in [vec![], plain_address("0.0.0.0:3478"), plain_address("198.51.100.2:0"), plain_address("224.0.0.1:1")] {
        let took = lab.unsigned(&asked, 300, &[(Attribute::ALTERNATE_SERVER, &bad)]);
        assert!(matches!(took, Took::Dropped(DropReason::BadResponse | DropReason::Malformed)), "{took:?}");
    }
}

#[test]
fn strangers_are_not_heard() {
    let mut lab = Lab::new();
    let asked = lab.next();
    let challenge = unsigned(&asked, 401, &[(Attribute::REALM, REALM), (Attribute::NONCE, b"x")]);
    for (flow, remote) in [(FLOW, "198.51.100.1:3479"), (FLOW, "198.51.100.9:3478"), (FlowId(6), SERVER)] {
        let took = lab.give_by(flow, at(LOCAL), at(remote), &challenge);
        assert_eq!(took, Took::Dropped(DropReason::NotServer), "{flow} {remote}");
    }
    assert_eq!(lab.quiet(), None);
    assert_eq!(lab.give_by(FLOW, at(LOCAL), at("[::ffff:198.51.100.1]:3478"), &challenge), Took::Consumed);
    assert!(lab.quiet().is_some());
    assert_eq!(lab.give(&challenge), Took::Dropped(DropReason::UnknownTransaction), "an answer counts once");
}

#[test]
fn both_families_are_asked_for_and_told() {
    let mut lab = Lab::with(|config| config.families = Families::Both);
    let first = lab.next();
    assert_eq!(first.get(Attribute::ADDITIONAL_ADDRESS_FAMILY), Some(vec![2, 0, 0, 0]));
    assert_eq!(first.get(Attribute::REQUESTED_ADDRESS_FAMILY), None);
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    let (six, len) = plenary_stun::xor_address(at("[2001:db8::5]:6000"), &asked.message().transaction());
    lab.grant(&asked, LIFETIME, &[(Attribute::XOR_RELAYED_ADDRESS, &six[..len])]);
    let Event::Allocated(told) = lab.event() else { panic!("not allocated") };
    assert_eq!((told.ipv4, told.ipv6), (Some(at(RELAYED)), Some(at("[2001:db8::5]:6000"))));

    let first = Lab::with(|config| config.families = Families::V6).next();
    assert_eq!(first.get(Attribute::REQUESTED_ADDRESS_FAMILY), Some(vec![2, 0, 0, 0]));
    assert_eq!(first.get(Attribute::ADDITIONAL_ADDRESS_FAMILY), None);
}

#[test]
fn an_allocation_without_what_it_needs_is_none() {
    let mut lab = Lab::new();
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    let relayed = |writer: &mut Writer<'_>, address| writer.xor_address(Attribute::XOR_RELAYED_ADDRESS, at(address));
    let mapped = |writer: &mut Writer<'_>| writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, at(MAPPED));
    let lasts = |writer: &mut Writer<'_>, last| writer.attribute(Attribute::LIFETIME, &[&[0, 0, 0, last]]);
    let bad: [&dyn Fn(&mut Writer<'_>); 6] = [
        &|writer| (mapped(writer), lasts(writer, 9)).1,
        &|writer| (relayed(writer, RELAYED), lasts(writer, 9)).1,
        &|writer| (relayed(writer, RELAYED), mapped(writer)).1,
        &|writer| (relayed(writer, RELAYED), mapped(writer), lasts(writer, 0)).2,
        &|writer| (relayed(writer, "0.0.0.0:1"), mapped(writer), lasts(writer, 9)).2,
        &|writer| (relayed(writer, RELAYED), mapped(writer), writer.attribute(Attribute(0x7fff), &[])).2,
    ];
    for write in bad {
        assert_eq!(lab.respond(Class::Success, &asked, write), Took::Dropped(DropReason::BadResponse));
    }
    lab.grant(&asked, LIFETIME, &[]);
    assert!(matches!(lab.event(), Event::Allocated(_)), "the request goes on");
}

#[test]
fn a_configuration_out_of_range_is_named() {
    let now = Lab::new().now;
    type Change = fn(&mut plenary_turn::client::Config);
    let cases: [(Change, ConfigError); 12] = [
        (|it| it.server = at("0.0.0.0:3478"), ConfigError::Server),
        (|it| it.server = at("198.51.100.1:0"), ConfigError::Server),
        (|it| it.local = at("[2001:db8::1]:4000"), ConfigError::Server),
        (|it| it.username = String::new(), ConfigError::Credentials),
        (|it| it.username = "x".repeat(509), ConfigError::Credentials),
        (|it| it.password = String::new(), ConfigError::Credentials),
        (|it| it.realm = Some(String::new()), ConfigError::Credentials),
        (|it| it.lifetime = Duration::from_secs(59), ConfigError::Lifetime),
        (|it| it.retransmit = Duration::from_millis(49), ConfigError::Retransmit),
        (|it| it.keep_alive = Some(Duration::ZERO), ConfigError::Time),
        (|it| it.permissions_max = 0, ConfigError::Limit),
        (|it| it.channels_max = 1001, ConfigError::Limit),
    ];
    for (change, error) in cases {
        let mut config = config();
        change(&mut config);
        assert_eq!(Client::new(config, now).err(), Some(error));
    }
    let text = format!("{:?}", config());
    assert!(text.contains("user") && !text.contains("secret"), "{text}");
    assert_eq!(ALGORITHMS[1], 2);
}
