//! Who may, and what strangers get.

use plenary_stun::{Algorithm, Attribute, Method};
use plenary_turn::{Authenticated, Denied, DropReason, Error, Event, Identity, Keys, User};

use crate::lab::{Client, Lab, Took, UDP, UNIX_TIME, at};

const CLIENT: &str = "5.5.5.5:5000";

fn transport() -> (Attribute, Vec<u8>) {
    (Attribute::REQUESTED_TRANSPORT, UDP.to_vec())
}

// A browser's first request has 28 bytes, and twice as many is all that a forged source may be sent.
#[test]
fn a_challenge_has_at_most_twice_the_bytes_of_the_request() {
    let mut codes = Vec::new();
    for filler in 0..40 {
        // The hash of a name that holds until a time does not say which it is: where there are such, none is to be hidden.
        let hides_names = filler % 2 == 0;
        let mut lab = Lab::with(|config| {
            if hides_names {
                config.secrets.clear();
            }
        });
        let mut client = Client::new(CLIENT);
        let more =
            if filler == 0 { vec![transport()] } else { vec![transport(), (Attribute(0x8022), vec![b'x'; filler])] };
        let request = client.plain(Method::ALLOCATE, &more);
        lab.send(client.address, &request);
        let answer = lab.answer(client.address);
        assert!(answer.bytes.len() <= 2 * request.len(), "{} to {}", answer.bytes.len(), request.len());
        assert_eq!(answer.get(Attribute::REALM), Some(b"turn".to_vec()));
        let nonce = answer.get(Attribute::NONCE).unwrap();
        let has_features = nonce.starts_with(if hides_names { b"obMatJos2wAAA" } else { b"obMatJos2gAAA" });
        assert_eq!(answer.get(Attribute::PASSWORD_ALGORITHMS).is_some(), has_features);
        assert_eq!(has_features, request.len() >= 42, "as much as there is room for");
        codes.push((request.len(), answer.code()));
    }
    assert_eq!(codes[0], (28, 401));
    assert!(codes.iter().all(|(_, code)| *code == 401));
}

#[test]
fn without_room_for_a_challenge_there_is_a_400() {
    let mut lab = Lab::with(|config| config.realm = "a realm of some length".to_owned());
    let mut client = Client::new(CLIENT);
    for request in [client.plain(Method::ALLOCATE, &[]), client.plain(Method::ALLOCATE, &[transport()])] {
        lab.send(client.address, &request);
        let answer = lab.answer(client.address);
        assert!(answer.bytes.len() <= 2 * request.len());
        assert_eq!(answer.code(), 400);
    }
}

#[test]
fn a_stranger_leaves_no_trace() {
    let mut lab = Lab::with(|config| config.unauthenticated_per_second = 60_000);
    let mut count = 0;
    let info = allocation_counter::measure(|| {
        for host in 0..1_000_000_u32 {
            let address = std::net::SocketAddr::from(((0x0505_0000 + host).to_be_bytes(), 5000));
            let request = Client::new(CLIENT).plain(Method::ALLOCATE, &[transport()]);
            lab.send(address, &request);
            count += lab.answers.len();
            lab.answers.clear();
        }
    });
    assert_eq!(count, 1_000_000);
    assert!(info.bytes_current <= 4096, "{} bytes stay", info.bytes_current);
    assert_eq!((lab.server.allocations(), lab.server.poll_timeout(), lab.events.len()), (0, None, 0));
}

#[test]
fn a_network_is_not_flooded_with_answers() {
    let mut lab = Lab::with(|config| config.unauthenticated_per_second = 10);
    let request = Client::new(CLIENT).plain(Method::ALLOCATE, &[transport()]);
    let binding = Client::new(CLIENT).plain(Method::BINDING, &[]);
    let mut answered = 0;
    for host in 1..=100 {
        let from = std::net::SocketAddr::from(([5, 5, 5, host], 5000));
        lab.send(from, if host % 2 == 0 { &request } else { &binding });
        answered += lab.answers.drain(..).count();
    }
    assert_eq!(answered, 10);
    assert_eq!(lab.server.dropped(DropReason::RateLimited), 90);
    assert_eq!(lab.send(at("5.5.6.1:5000"), &request), Took::Consumed, "another network");
}

#[test]
fn a_request_lacks_nothing_of_its_proof() {
    let mut lab = Lab::new();
    let client = Client::challenged(&mut lab, CLIENT);
    for missing in [Attribute::USERNAME, Attribute::REALM, Attribute::NONCE] {
        let mut out = Vec::new();
        let class = plenary_stun::Class::Request;
        let mut writer =
            plenary_stun::Writer::new(class, Method::REFRESH, plenary_stun::TransactionId([1; 12]), &mut out);
        for (kind, value) in [
            (Attribute::USERNAME, &client.username),
            (Attribute::REALM, &client.realm),
            (Attribute::NONCE, &client.nonce),
        ] {
            if kind != missing {
                writer.attribute(kind, &[value]);
            }
        }
        writer.integrity(&client.key(), Algorithm::Sha1);
        assert_eq!(client.exchange(&mut lab, &out).code(), 400, "{missing:?}");
    }
    assert_eq!(lab.server.refused(400), 3);
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_401_with_a_nonce() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    for (name, password) in [(&b"user"[..], &b"wrong"[..]), (b"nobody", b"secret"), (b"user\0", b"secret")] {
        (client.username, client.password) = (name.to_vec(), password.to_vec());
        let answer = client.allocate_with(&mut lab, &[]);
        assert_eq!(answer.code(), 401);
        assert!(answer.get(Attribute::NONCE).is_some() && answer.get(Attribute::USERNAME).is_none());
    }
    (client.username, client.password) = (vec![b'u'; 514], b"secret".to_vec());
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 400);
    (client.username, client.realm) = (b"user".to_vec(), b"other".to_vec());
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 401);
    assert_eq!(lab.server.allocations(), 0);
}

#[test]
fn a_name_of_513_bytes_is_a_name() {
    let name = vec![b'n'; 508];
    let mut lab = Lab::with(|config| {
        let keys = Keys::from_password(&vec![b'n'; 508], b"turn", b"secret");
        config.users.push(User { name: vec![b'n'; 508], keys });
    });
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.username = name;
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 0);
    let mut other = Client::challenged(&mut lab, "5.5.5.5:5001");
    other.username = vec![b'n'; 513];
    assert_eq!(other.allocate_with(&mut lab, &[]).code(), 401, "read, and unknown");
    let mut odd = Client::challenged(&mut lab, "5.5.5.5:5002");
    odd.username = vec![0xff, 0xfe, 0x80];
    assert_eq!(odd.allocate_with(&mut lab, &[]).code(), 401, "bytes that are no UTF-8");
}

#[test]
fn garbage_for_a_nonce_is_438() {
    let mut lab = Lab::new();
    let mut client = Client::new(CLIENT);
    for nonce in [&b"x"[..], b"obMatJos2wAAA0123456789abcdef", &[b'n'; 128]] {
        client.nonce = nonce.to_vec();
        let answer = client.allocate_with(&mut lab, &[]);
        assert_eq!(answer.code(), 438);
        client.nonce = answer.get(Attribute::NONCE).unwrap();
        assert_eq!(client.refresh(&mut lab, 600).code(), 437, "the new one is good");
    }
}

#[test]
fn a_nonce_of_another_address_is_438() {
    let mut lab = Lab::new();
    let nonce = Client::challenged(&mut lab, CLIENT).nonce;
    for other in ["5.5.5.5:5001", "5.5.5.6:5000"] {
        let mut thief = Client::new(other);
        thief.nonce = nonce.clone();
        assert_eq!(thief.allocate_with(&mut lab, &[]).code(), 438);
    }
    assert_eq!(lab.server.allocations(), 0);
}

#[test]
fn an_old_nonce_is_438_and_the_allocation_goes_on() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    assert_eq!(client.allocate_with(&mut lab, &[(Attribute::LIFETIME, 3600_u32.to_be_bytes().to_vec())]).code(), 0);
    lab.pass(601);
    let answer = client.refresh(&mut lab, 600);
    assert_eq!(answer.code(), 438);
    client.nonce = answer.get(Attribute::NONCE).unwrap();
    assert_eq!(client.refresh(&mut lab, 600).code(), 0);
}

#[test]
fn each_form_of_integrity_is_answered_in_kind() {
    for (number, (algorithm, mac)) in [
        (None, Algorithm::Sha1),
        (None, Algorithm::Sha256),
        (Some(Algorithm::Sha1), Algorithm::Sha1),
        (Some(Algorithm::Sha256), Algorithm::Sha256),
        (Some(Algorithm::Sha256), Algorithm::Sha1),
    ]
    .into_iter()
    .enumerate()
    {
        for userhash in [false, true] {
            let mut lab = Lab::new();
            let mut client = Client::challenged(&mut lab, CLIENT);
            (client.algorithm, client.mac, client.userhash) = (algorithm, mac, userhash);
            assert_eq!(client.allocate_with(&mut lab, &[]).code(), 0, "form {number}, hashed {userhash}");
            assert_eq!(client.permit(&mut lab, &["9.9.9.9:1"]).code(), 0);
        }
    }
}

// RFC 8489 §14.5: behind the shorter one the longer one may stand, and then it is what proves the request.
#[test]
fn of_two_integrities_the_longer_one_counts() {
    for (sha1_is_right, sha256_is_right, code) in [(true, true, 0), (false, true, 0), (true, false, 401)] {
        let mut lab = Lab::new();
        let mut client = Client::challenged(&mut lab, CLIENT);
        client.mac = Algorithm::Sha256;
        let mut bytes = Vec::new();
        let class = plenary_stun::Class::Request;
        let mut writer = plenary_stun::Writer::new(class, Method::ALLOCATE, client.next_transaction(), &mut bytes);
        for (kind, value) in [
            (Attribute::REQUESTED_TRANSPORT, &UDP.to_vec()),
            (Attribute::USERNAME, &client.username),
            (Attribute::REALM, &client.realm),
            (Attribute::NONCE, &client.nonce),
        ] {
            writer.attribute(kind, &[value]);
        }
        let (right, wrong) = (client.key(), plenary_stun::Key::short_term(b"wrong"));
        writer.integrity(if sha1_is_right { &right } else { &wrong }, Algorithm::Sha1);
        writer.integrity(if sha256_is_right { &right } else { &wrong }, Algorithm::Sha256);
        assert_eq!(client.exchange(&mut lab, &bytes).code(), code, "{sha1_is_right} {sha256_is_right}");
    }
}

// RFC 8489 §9.2.1: what was told of the algorithms comes back as it was, or somebody in between has changed it.
#[test]
fn a_bid_down_is_a_400() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let chosen = (Attribute::PASSWORD_ALGORITHM, vec![0, 1, 0, 0]);
    let told = |list: &[u8]| (Attribute::PASSWORD_ALGORITHMS, list.to_vec());
    for attributes in [
        vec![chosen.clone()],
        vec![told(&[0, 2, 0, 0, 0, 1, 0, 0])],
        vec![chosen.clone(), told(&[0, 1, 0, 0])],
        vec![chosen.clone(), told(&[0, 1, 0, 0, 0, 2, 0, 0])],
        vec![(Attribute::PASSWORD_ALGORITHM, vec![0, 3, 0, 0]), told(&[0, 2, 0, 0, 0, 1, 0, 0])],
        vec![(Attribute::PASSWORD_ALGORITHM, vec![0, 2]), told(&[0, 2, 0, 0, 0, 1, 0, 0])],
    ] {
        assert_eq!(client.allocate_with(&mut lab, &attributes).code(), 400, "{attributes:?}");
    }
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 0, "who knows nothing of them uses MD5");
}

#[test]
fn time_limited_names_are_good_until_their_time() {
    let mut lab = Lab::new();
    // base64(HMAC-SHA1("old", "1700000060:alice")), by openssl.
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.username = format!("{}:alice", UNIX_TIME + 60).into_bytes();
    client.password = b"qI/w82kDFuAeJFpVrD6rmRsSHoQ=".to_vec();
    client.allocate(&mut lab);
    lab.pass(61);
    assert_eq!(client.refresh(&mut lab, 600).code(), 0, "an allocation outlives the name that made it");
    let mut late = client.clone();
    late.address = at("5.5.5.5:5001");
    late.learn(&mut lab);
    assert_eq!(late.allocate_with(&mut lab, &[]).code(), 401);
    // Nor does it need the secret any more.
    lab.server.set_secrets(vec![b"newer".to_vec()]).unwrap();
    assert_eq!(client.refresh(&mut lab, 600).code(), 0);
}

#[test]
fn secrets_are_eight_at_most_and_the_last_of_them_counts() {
    let secrets = |last: &[u8]| -> Vec<_> { (0..7).map(|it| vec![it]).chain([last.to_vec()]).collect() };
    let mut lab = Lab::with(|config| config.secrets = secrets(b"old"));
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.username = format!("{}:alice", UNIX_TIME + 60).into_bytes();
    client.password = b"qI/w82kDFuAeJFpVrD6rmRsSHoQ=".to_vec();
    let more: Vec<_> = secrets(b"new").into_iter().chain([b"newer".to_vec()]).collect();
    assert_eq!(lab.server.set_secrets(more), Err(Error::Secrets));
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 0, "those of before are still there");
    assert_eq!(client.refresh(&mut lab, 0).code(), 0);
    lab.server.set_secrets(secrets(b"new")).unwrap();
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 401);
    lab.server.set_secrets(Vec::new()).unwrap();
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 401, "there are no such names any more");
}

// RFC 8265 §4.2: OpaqueString composes what can be composed (NFC). Who configures a name does that, and so does its client:
// to the server what is not composed is another name.
#[test]
fn a_name_is_what_opaque_string_leaves_of_it() {
    let (composed, apart) = ("jos\u{e9}", "jose\u{301}");
    let user = || User {
        name: composed.as_bytes().to_vec(),
        keys: Keys::from_password(composed.as_bytes(), b"turn", b"secret"),
    };
    for userhash in [false, true] {
        for (name, code) in [(composed, 0), (apart, 401)] {
            let mut lab = Lab::with(|config| config.users.push(user()));
            let mut client = Client::challenged(&mut lab, CLIENT);
            (client.username, client.password, client.userhash) = (name.into(), b"secret".to_vec(), userhash);
            assert_eq!(client.allocate_with(&mut lab, &[]).code(), code, "{name}, hashed {userhash}");
        }
    }
}

#[test]
fn another_user_gets_441() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.allocate(&mut lab);
    client.username = b"other".to_vec();
    assert_eq!(client.refresh(&mut lab, 600).code(), 441);
    assert_eq!(client.permit(&mut lab, &["9.9.9.9:1"]).code(), 441);
    assert_eq!(client.bind(&mut lab, 0x4000, "9.9.9.9:1").code(), 441);
    assert_eq!(client.allocate_with(&mut lab, &[]).code(), 437);
    client.password = b"wrong".to_vec();
    assert_eq!(client.refresh(&mut lab, 600).code(), 401);
}

#[test]
fn the_caller_is_asked_once_for_who_is_unknown() {
    let mut lab = Lab::with(|config| config.asks = true);
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.username = b"far".to_vec();
    let bytes = client.signed(Method::ALLOCATE, &[transport()]);
    for _ in 0..3 {
        assert_eq!(lab.send(client.address, &bytes), Took::Consumed, "a retransmission asks for nothing");
    }
    let [Event::Authenticate { request, client: address, identity }] = &lab.events[..] else {
        panic!("{:?}", lab.events)
    };
    assert_eq!((*address, identity), (client.address, &Identity::Username(b"far".as_slice().into())));
    let (request, keys) = (*request, Keys::from_password(b"far", b"turn", b"secret"));
    let _ = lab.server.handle_authenticated(request, Ok(Authenticated { username: b"far".to_vec(), keys }), lab.now);
    lab.drain();
    let answer = lab.answer(client.address);
    assert_eq!(answer.code(), 0);
    assert!(answer.message().is_signed_with(&client.key(), Algorithm::Sha1));
    // The allocation knows its user from now on.
    lab.events.clear();
    assert_eq!(client.refresh(&mut lab, 600).code(), 0);
    assert_eq!(lab.events, []);
    // A second answer to the same question is none.
    let _ = lab.server.handle_authenticated(request, Err(Denied), lab.now);
    lab.drain();
    assert!(lab.answers.is_empty());
}

#[test]
fn who_is_denied_or_has_another_password_gets_401() {
    for wrong in [Err(Denied), Ok(b"other".to_vec())] {
        let mut lab = Lab::with(|config| config.asks = true);
        let mut client = Client::challenged(&mut lab, CLIENT);
        (client.username, client.userhash) = (b"far".to_vec(), true);
        let bytes = client.signed(Method::ALLOCATE, &[transport()]);
        lab.send(client.address, &bytes);
        let Some(Event::Authenticate { request, identity: Identity::Userhash(hash), .. }) = lab.events.pop() else {
            panic!("nobody was asked")
        };
        assert_eq!(hash, plenary_stun::userhash(b"far", b"turn"));
        let answer = wrong.clone().map(|password| {
            let keys = Keys::from_password(b"far", b"turn", &password);
            Authenticated { username: b"far".to_vec(), keys }
        });
        let _ = lab.server.handle_authenticated(request, answer, lab.now);
        lab.drain();
        assert_eq!(lab.answer(client.address).code(), 401);
        assert_eq!(lab.server.allocations(), 0);
    }
}

#[test]
fn questions_are_few_and_end() {
    let mut lab = Lab::with(|config| (config.asks, config.pending_max) = (true, 16));
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.username = b"far".to_vec();
    let mut ask = |lab: &mut Lab| {
        let bytes = client.signed(Method::ALLOCATE, &[transport()]);
        lab.send(client.address, &bytes)
    };
    assert_eq!([ask(&mut lab), ask(&mut lab)], [Took::Consumed, Took::Consumed]);
    assert_eq!(ask(&mut lab), Took::Dropped(DropReason::PendingLimit), "an eighth is of one address");
    for host in 1..=8 {
        let mut other = Client::challenged(&mut lab, &format!("6.6.6.{host}:6"));
        other.username = b"far".to_vec();
        for asked in [1, 2] {
            let bytes = other.signed(Method::ALLOCATE, &[transport()]);
            let has_room = (host - 1) * 2 + asked + 2 <= 16;
            let took = if has_room { Took::Consumed } else { Took::Dropped(DropReason::PendingLimit) };
            assert_eq!(lab.send(other.address, &bytes), took, "{host}, {asked}");
        }
    }
    lab.pass(5);
    assert_eq!(lab.server.poll_timeout(), None, "all are forgotten");
    assert_eq!(ask(&mut lab), Took::Consumed);
    let Event::Authenticate { request, .. } = lab.events[0] else { panic!() };
    let keys = Keys::from_password(b"far", b"turn", b"secret");
    let _ = lab.server.handle_authenticated(request, Ok(Authenticated { username: b"far".to_vec(), keys }), lab.now);
    lab.drain();
    assert_eq!((lab.answers.len(), lab.server.allocations()), (0, 0), "late");
    // A forged source has no nonce, and nobody is asked for it.
    let mut forged = Client::new("6.6.6.6:6");
    (forged.username, forged.nonce) = (b"far".to_vec(), b"none".to_vec());
    assert_eq!(forged.allocate_with(&mut lab, &[]).code(), 438);
}

#[test]
fn a_fleet_shares_its_nonces_and_rotates_their_keys() {
    let mut one = Lab::with(|config| config.nonce_keys = vec![[1; 32]]);
    let mut two = Lab::with(|config| (config.nonce_keys, config.entropy) = (vec![[2; 32], [1; 32]], [9; 32]));
    let mut client = Client::challenged(&mut one, CLIENT);
    assert_eq!(client.allocate_with(&mut two, &[]).code(), 0);
    let mut client = Client::challenged(&mut two, "5.5.5.5:5001");
    assert_eq!(client.allocate_with(&mut one, &[]).code(), 438);
    one.server.set_nonce_keys(&[[2; 32], [1; 32]]).unwrap();
    assert_eq!(client.allocate_with(&mut one, &[]).code(), 0);
    assert_eq!(one.server.set_nonce_keys(&[]), Err(Error::NonceKeys));
}
