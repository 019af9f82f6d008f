//! What is bounded stays so.

use std::time::Duration;

use plenary_stun::{Attribute, Method};
use plenary_turn::{Admission, Authenticated, Config, ConfigError, DropReason, Event, Keys, Server, Usage};
use plenary_wire::{Datagram, Ecn, Limit};

use crate::lab::{self, Client, LISTENER, Lab, PEER, SERVER, Took, UDP, at, channel_data};

const CLIENT: &str = "5.5.5.5:5000";

/// Sends without draining.
fn push(lab: &mut Lab, client: &Client, bytes: &[u8]) -> Took {
    let mut bytes = bytes.to_vec();
    let datagram =
        Datagram { flow: LISTENER, local: at(SERVER), remote: client.address, ecn: Ecn::NotEct, bytes: &mut bytes };
    lab.server.handle_datagram(datagram, lab.now).into()
}

#[test]
fn answers_that_nobody_takes_are_few_and_nothing_is_begun_without_room() {
    let mut lab = Lab::with(|config| config.answers_max = 3);
    let mut client = Client::challenged(&mut lab, CLIENT);
    let mut other = Client::challenged(&mut lab, "5.5.5.5:5001");
    other.allocate(&mut lab);
    for _ in 0..3 {
        let bytes = client.plain(Method::BINDING, &[]);
        assert_eq!(push(&mut lab, &client, &bytes), Took::Consumed);
    }
    let binding = client.plain(Method::BINDING, &[]);
    let allocate = client.signed(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec())]);
    let refresh = other.signed(Method::REFRESH, &[(Attribute::LIFETIME, vec![0; 4])]);
    for (client, bytes) in [(&client, binding), (&client, allocate), (&other, refresh)] {
        assert_eq!(push(&mut lab, client, &bytes), Took::Dropped(DropReason::AnswersLimit));
    }
    assert_eq!((lab.server.allocations(), lab.server.dropped(DropReason::AnswersLimit)), (1, 3));
    let mut out = Vec::new();
    let mut count = 0;
    while lab.server.poll_transmit(lab.now, Limit { bytes: 100, segments: 1 }, &mut out).is_some() {
        count += 1;
    }
    assert_eq!((count, out.len()), (3, 3 * 32));
}

#[test]
fn a_limit_that_is_too_small_leaves_an_answer_where_it_is() {
    let mut lab = Lab::new();
    let mut client = Client::new(CLIENT);
    let bytes = client.plain(Method::BINDING, &[]);
    push(&mut lab, &client, &bytes);
    let mut out = Vec::new();
    for limit in [Limit { bytes: 31, segments: 1 }, Limit { bytes: 32, segments: 0 }] {
        assert_eq!(lab.server.poll_transmit(lab.now, limit, &mut out), None);
    }
    assert!(out.is_empty());
    assert!(lab.server.poll_transmit(lab.now, Limit { bytes: 32, segments: 1 }, &mut out).is_some());
}

#[test]
fn an_idle_allocation_is_small() {
    let mut lab = Lab::with(|config| {
        (config.allocations_per_user_max, config.allocations_per_address_max) = (10_000, 10_000);
        (config.fast_path, config.unauthenticated_per_second) = (false, 60_000);
    });
    let one = |lab: &mut Lab, port: u16| {
        let mut client = Client::challenged(lab, &format!("5.5.5.5:{port}"));
        client.allocate(lab);
        client.permit(lab, &["9.9.9.1:1", "9.9.9.2:1"]);
        client.bind(lab, 0x4000, PEER);
        lab.events.clear();
        lab.sockets.clear();
    };
    one(&mut lab, 1);
    let info = allocation_counter::measure(|| (2..2002).for_each(|port| one(&mut lab, port)));
    let each = info.bytes_current / 2000;
    assert!((800..=1100).contains(&each), "{each} bytes each");
}

#[test]
fn a_churn_leaves_nothing() {
    let mut lab = Lab::new();
    let round = |lab: &mut Lab| {
        for port in 1..=8 {
            let mut client = Client::challenged(lab, &format!("5.5.5.5:{port}"));
            let ticket = (Attribute::MOBILITY_TICKET, vec![]);
            let answer = client.allocate_with(lab, &[(Attribute::EVEN_PORT, vec![0x80]), ticket]);
            client.permit(lab, &["9.9.9.1:1", "9.9.9.2:1"]);
            client.bind(lab, 0x4000, PEER);
            let mut moved = Client::challenged(lab, &format!("6.6.6.6:{port}"));
            let ticket = (Attribute::MOBILITY_TICKET, answer.get(Attribute::MOBILITY_TICKET).unwrap());
            assert_eq!(moved.ask(lab, Method::REFRESH, &[ticket]).code(), 0);
            if port % 2 == 0 {
                assert_eq!(moved.refresh(lab, 0).code(), 0);
            }
        }
        lab.pass(600);
        assert_eq!((lab.server.allocations(), lab.server.poll_timeout()), (0, None));
        lab.events = Vec::new();
        lab.sockets.clear();
    };
    round(&mut lab);
    let info = allocation_counter::measure(|| (0..50).for_each(|_| round(&mut lab)));
    assert!(info.bytes_current.abs() < 1024, "{} bytes stay", info.bytes_current);
}

#[test]
fn no_flipped_bit_of_a_signed_request_is_taken() {
    let mut lab = Lab::with(|config| config.unauthenticated_per_second = 60_000);
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.allocate(&mut lab);
    lab.events.clear();
    let mut good = client.signed(Method::REFRESH, &[(Attribute::LIFETIME, vec![0; 4])]);
    // Without the fingerprint, which proves nothing and would drop them all.
    good.truncate(good.len() - 8);
    let length = (good.len() - 20) as u16;
    good[2..4].copy_from_slice(&length.to_be_bytes());
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        lab.send(client.address, &bad);
        for (_, answer) in lab.answers.drain(..) {
            assert_ne!(lab::Answer::new(answer).code(), 0, "bit {bit}");
        }
        assert_eq!((lab.server.allocations(), lab.events.len()), (1, 0), "bit {bit}");
    }
    assert_eq!(client.exchange(&mut lab, &good).code(), 0);
}

#[test]
fn a_server_that_is_closed_keeps_what_it_has() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.allocate(&mut lab);
    lab.server.set_admission(Admission::Closed);
    let mut other = Client::challenged(&mut lab, "5.5.5.5:5001");
    assert_eq!(other.allocate_with(&mut lab, &[]).code(), 508);
    assert_eq!(client.refresh(&mut lab, 600).code(), 0);
    lab.server.set_admission(Admission::Elsewhere(at("1.2.3.4:3478")));
    let answer = other.allocate_with(&mut lab, &[]);
    assert_eq!(answer.code(), 300);
    assert_eq!(answer.message().get_address(Attribute::ALTERNATE_SERVER), Ok(Some(at("1.2.3.4:3478"))));
    let mut third = Client::challenged(&mut lab, "[2600::5]:1");
    assert_eq!(third.allocate_with(&mut lab, &[]).code(), 508, "of the other family");
    lab.server.set_admission(Admission::Open);
    other.allocate(&mut lab);
}

#[test]
fn a_fast_path_gives_its_counters_back() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.allocate(&mut lab);
    let Event::Allocated { allocation, .. } = lab.events[0] else { panic!() };
    client.bind(&mut lab, 0x4001, PEER);
    lab.send(client.address, &channel_data(0x4001, b"12345")).relay();
    let outside = Usage { to_peers: 1, to_peers_bytes: 10, to_client: 2, to_client_bytes: u64::MAX };
    lab.server.add_usage(allocation, outside);
    lab.server.add_usage(allocation, Usage { to_client: 1, to_client_bytes: 1, ..Usage::default() });
    let all = Usage { to_peers: 2, to_peers_bytes: 15, to_client: 3, to_client_bytes: u64::MAX };
    assert_eq!(lab.server.usage(allocation), Some(all));
    assert_eq!(lab.server.counters().to_clients, 3);
    client.refresh(&mut lab, 0);
    assert!(lab.events.iter().any(|it| matches!(it, Event::Released { usage, .. } if *usage == all)));
    lab.server.add_usage(allocation, outside);
    assert_eq!(lab.server.usage(allocation), None);
}

// The trap: the client of a connection is gone before anybody has said who it was.
#[test]
fn an_answer_for_a_connection_that_is_closed_makes_no_allocation() {
    let mut lab = Lab::with(|config| config.asks = true);
    let mut client = Client::connected(&mut lab, CLIENT);
    client.username = b"far".to_vec();
    let bytes = client.signed(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, UDP.to_vec())]);
    client.say(&mut lab, &bytes);
    let Some(Event::Authenticate { request, .. }) = lab.events.pop() else { panic!() };
    lab.server.handle_closed(client.flow.unwrap());
    let keys = Keys::from_password(b"far", b"turn", b"secret");
    let _ = lab.server.handle_authenticated(request, Ok(Authenticated { username: b"far".to_vec(), keys }), lab.now);
    lab.drain();
    assert_eq!((lab.server.allocations(), lab.answers.len(), lab.events.len()), (0, 0, 0));
}

#[test]
fn a_configuration_out_of_range_is_named() {
    let now = Lab::new().now;
    type Change = fn(&mut Config);
    let cases: [(Change, ConfigError); 18] = [
        (|it| it.realm = String::new(), ConfigError::Realm),
        (|it| it.realm = "x".repeat(128), ConfigError::Realm),
        (|it| it.realm = "a\"b".to_owned(), ConfigError::Realm),
        (|it| it.unix_time = Duration::ZERO, ConfigError::UnixTime),
        (|it| it.nonce_keys = vec![[1; 32]; 5], ConfigError::NonceKeys),
        (|it| it.secrets = vec![vec![1]; 9], ConfigError::Secrets),
        (|it| it.nonce_lifetime = Duration::from_secs(9), ConfigError::NonceLifetime),
        (|it| it.nonce_lifetime = Duration::from_secs(3601), ConfigError::NonceLifetime),
        (|it| it.lifetime = Duration::from_secs(59), ConfigError::Lifetime),
        (|it| it.lifetime_max = Duration::from_secs(599), ConfigError::Lifetime),
        (|it| it.answer_within = Duration::from_millis(99), ConfigError::AnswerWithin),
        (|it| it.idle_connection = Duration::from_millis(60_001), ConfigError::AnswerWithin),
        (|it| (it.ipv4, it.ipv6) = (false, false), ConfigError::Families),
        (|it| (it.users, it.secrets) = (Vec::new(), Vec::new()), ConfigError::Credentials),
        (|it| it.users[0].name = vec![b'x'; 509], ConfigError::Limit),
        (|it| it.channels_max = 0, ConfigError::Limit),
        (|it| it.allocations_max = 1_000_001, ConfigError::Limit),
        (|it| it.unauthenticated_per_second = 60_001, ConfigError::Limit),
    ];
    for (at, (change, error)) in cases.into_iter().enumerate() {
        let mut config = lab::config();
        change(&mut config);
        assert_eq!(Server::new(config, now).err(), Some(error), "case {at}");
    }
    let at_the_limits = Config { secrets: vec![vec![1]; 8], nonce_keys: vec![[1; 32]; 4], ..lab::config() };
    assert!(Server::new(at_the_limits, now).is_ok());
}
