//! One agent, and a peer or stranger that asks what it should not.

use std::time::Instant;

use plenary_ice::{Agent, Config, ConfigError, DropReason, Error, LocalCandidate, Mode, Reason, Role};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit};

use crate::alone::{Alone, PASSWORD};
use crate::lab::{address, config, ms};
use crate::raw::{self, Stun, check};

#[test]
fn a_request_without_integrity_or_username_gets_400() {
    let mut alone = Alone::lite();
    let bare = Stun::new(raw::REQUEST, [1; 12]).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", bare), Err(DropReason::Unauthenticated));
    let unsigned = check(&alone.ours, 2).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", unsigned), Err(DropReason::Unauthenticated));
    let nameless = Stun::new(raw::REQUEST, [3; 12]).signed(alone.ours.password()).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", nameless), Err(DropReason::Unauthenticated));
    assert_eq!(alone.answers(), [400, 400, 400]);
    assert_eq!(alone.agent.dropped(DropReason::Unauthenticated), 3);
    assert_eq!(alone.agent.explain().pairs, []);
}

#[test]
fn a_request_with_a_wrong_or_short_integrity_gets_401() {
    let mut alone = Alone::lite();
    let wrong = check(&alone.ours, 1).signed("wrongwrongwrongwrongwrong").fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", wrong), Err(DropReason::Integrity));
    let short = check(&alone.ours, 2).with(0x0008, &[0; 12]).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", short), Err(DropReason::Malformed));
    assert_eq!(alone.answers(), [401]);
    assert_eq!(alone.agent.explain().pairs, []);
}

#[test]
fn a_username_swapped_or_of_another_agent_gets_401() {
    let mut alone = Alone::lite();
    let (ufrag, password) = (alone.ours.ufrag().to_owned(), alone.ours.password().to_owned());
    for (number, username) in
        [format!("peer:{ufrag}"), "other:peer".to_owned(), format!("x{ufrag}:peer"), ufrag, String::new()]
            .into_iter()
            .enumerate()
    {
        let request = Stun::new(raw::REQUEST, [number as u8; 12]).with(raw::USERNAME, username.as_bytes());
        let request = request.with(raw::PRIORITY, &[0; 4]).signed(&password).fingerprint();
        assert_eq!(alone.receive("192.0.2.2:2000", request), Err(DropReason::Username), "{username}");
    }
    assert_eq!(alone.answers(), [401; 5]);
}

// RFC 8445 §7.3: the ufrag decides; the peer's own half is unknown before its answer is.
#[test]
fn a_check_before_the_peers_parameters_is_answered_and_remembered() {
    let mut alone = Alone::new(config(1, Role::Controlled));
    let request = alone.signed(1);
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    assert_eq!(alone.answers(), [0]);
    alone.pass(ms(500));
    assert_eq!(alone.sent(), [], "without the peer's password there is no check");
    assert_eq!(alone.agent.explain().pairs[0].reason, Reason::NoCredentials);
    alone.parameters(false);
    let (to, _) = alone.next_check();
    assert_eq!(to, address("192.0.2.2:2000"));
}

#[test]
fn an_unknown_attribute_that_must_be_understood_gets_420() {
    let mut alone = Alone::lite();
    let request = check(&alone.ours, 1).with(0x7ffe, b"x").signed(alone.ours.password()).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", request), Err(DropReason::UnknownAttribute));
    let sent = alone.sent();
    assert_eq!(raw::code(&sent[0].1), 420);
    assert_eq!(raw::attribute(&sent[0].1, 0x000a), Some(vec![0x7f, 0xfe]));
    assert!(raw::attribute(&sent[0].1, 0x0008).is_some(), "it is signed");
    let request = check(&alone.ours, 2).with(0xfffe, b"x").signed(alone.ours.password()).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
}

#[test]
fn a_first_check_without_priority_gets_400() {
    let mut alone = Alone::lite();
    let request =
        Stun::new(raw::REQUEST, [1; 12]).with(raw::USERNAME, format!("{}:peer", alone.ours.ufrag()).as_bytes());
    let request = request.signed(alone.ours.password()).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", request.clone()), Err(DropReason::NoPriority));
    assert_eq!(alone.answers(), [400]);
    let known = alone.signed(2);
    assert_eq!(alone.receive("192.0.2.2:2000", known), Ok(()));
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()), "from a known address it is not missed");
}

#[test]
fn strangers_get_few_answers_and_short_ones() {
    let mut alone = Alone::lite();
    let bare = Stun::new(raw::REQUEST, [1; 12]).fingerprint();
    let (mut received, mut answered) = (0, 0);
    for _ in 0..10_000 {
        received += bare.len();
        assert_eq!(alone.receive("203.0.113.1:1", bare.clone()), Err(DropReason::Unauthenticated));
        for (_, bytes) in alone.sent() {
            assert!(bytes.len() <= 36);
            answered += bytes.len();
        }
    }
    assert_eq!(answered, 20 * 36, "Config::errors_per_second");
    assert!(answered < received / 300);
    let unmarked = Stun::new(raw::REQUEST, [1; 12]).bytes;
    alone.pass(ms(1000));
    assert_eq!(alone.receive("203.0.113.1:1", unmarked), Err(DropReason::Unauthenticated));
    assert_eq!(alone.sent(), [], "without a fingerprint none at all");
}

#[test]
fn answers_that_nobody_collects_are_bounded() {
    let mut alone = Alone::lite();
    let limit = usize::from(Config::default().answers_max);
    for number in 0..200 {
        let request = alone.signed(number);
        let expected = if usize::from(number) < limit { Ok(()) } else { Err(DropReason::AnswersLimit) };
        assert_eq!(alone.receive("192.0.2.2:2000", request), expected);
    }
    assert_eq!(alone.answers().len(), limit);
}

#[test]
fn a_flood_of_peer_reflexive_addresses_is_bounded() {
    for mut alone in [Alone::lite(), Alone::full(Role::Controlled)] {
        let limit = usize::from(Config::default().peer_reflexive_max);
        for port in 1..=500u16 {
            let request = alone.signed(port as u8);
            let expected = if usize::from(port) <= limit { Ok(()) } else { Err(DropReason::PeerReflexiveLimit) };
            assert_eq!(alone.receive(&format!("192.0.2.2:{port}"), request), expected, "port {port}");
            alone.sent();
        }
        assert_eq!(alone.agent.explain().pairs.len(), limit);
        // Those that are not heard any more make room: a peer may move for ever.
        alone.pass(ms(5000));
        alone.sent();
        for port in 1000..1010u16 {
            let request = alone.signed(port as u8);
            assert_eq!(alone.receive(&format!("192.0.2.2:{port}"), request), Ok(()));
        }
        assert_eq!(alone.agent.explain().pairs.len(), limit);
    }
}

// A check tells an address, and a signalled candidate takes it out of what the limit of peer-reflexive ones counts.
#[test]
fn addresses_that_are_checked_and_then_signalled_are_bounded() {
    for mut alone in [Alone::lite(), Alone::full(Role::Controlled)] {
        let Config { remote_candidates_max, peer_reflexive_max, .. } = Config::default();
        for port in 1..=500u16 {
            let request = alone.signed(port as u8);
            let expected = if port <= remote_candidates_max + peer_reflexive_max {
                Ok(())
            } else {
                Err(DropReason::PeerReflexiveLimit)
            };
            assert_eq!(alone.receive(&format!("192.0.2.2:{port}"), request), expected, "port {port}");
            alone.sent();
            alone.candidate(&format!("192.0.2.2:{port}"), 1);
        }
        let limit = usize::from(remote_candidates_max + peer_reflexive_max);
        assert_eq!(alone.agent.explain().remote_candidates, limit);
    }
}

// RFC 8445 §7.1.2: USE-CANDIDATE is the controlling agent's, also where the role changes while the check waits.
#[test]
fn a_nomination_that_waits_ends_with_the_role() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 5);
    let (_, check) = alone.next_check();
    let answer = raw::success(&check, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("192.0.2.2:2000", answer), Ok(()));
    alone.agent.set_role_to(Role::Controlled, alone.now);
    let sent = alone.sent();
    assert_eq!(sent.len(), 1);
    assert!(raw::attribute(&sent[0].1, raw::ICE_CONTROLLED).is_some());
    assert_eq!(raw::attribute(&sent[0].1, raw::USE_CANDIDATE), None);
    let answer = raw::success(&sent[0].1, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("192.0.2.2:2000", answer), Ok(()));
    assert!(!alone.agent.explain().pairs[0].nominated, "the peer has nominated nothing");
}

#[test]
fn a_peer_that_moves_is_followed_for_ever() {
    let mut alone = Alone::lite();
    for port in 1..=500u16 {
        let request = alone.nominating(port as u8);
        let from = format!("192.0.2.2:{port}");
        assert_eq!(alone.receive(&from, request), Ok(()));
        alone.sent();
        assert_eq!(alone.selected(), Some(address(&from)), "move {port}");
        alone.pass(ms(6000));
    }
}

#[test]
fn a_flood_of_candidates_is_bounded() {
    let mut alone = Alone::full(Role::Controlling);
    let mut taken = 0;
    for number in 1..=1000u16 {
        let line = format!("candidate:{number} 1 udp {number} 192.0.2.2 {number} typ host");
        let outcome = alone.agent.add_remote_candidate(line.parse().unwrap(), alone.now);
        match outcome {
            plenary_ice::Taken::Added => taken += 1,
            other => assert_eq!(other, plenary_ice::Taken::TooMany),
        }
    }
    assert_eq!(taken, Config::default().remote_candidates_max);
    for _ in 0..10 {
        alone.pass(ms(1000));
        assert!(alone.sent().len() <= 256, "no more than Config::transactions_max can be on the way");
    }
}

#[test]
fn all_checks_together_keep_to_the_pacing() {
    let mut alone = Alone::full(Role::Controlling);
    for number in 1..=60 {
        alone.candidate(&format!("192.0.2.2:{number}"), 1000 - number);
    }
    let mut times = Vec::new();
    for _ in 0..2000 {
        times.extend(alone.sent().iter().map(|_| alone.now));
        alone.pass(ms(1));
    }
    // 200 a second, by pacing of 5 ms; a window of 100 ms may hold a few more, as retransmissions bunch.
    for (index, &from) in times.iter().enumerate() {
        let within = times[index..].iter().filter(|&&at| at - from < ms(500)).count();
        assert!(within <= 220, "{within} packets in half a second");
    }
}

#[test]
fn pairs_beyond_the_limit_are_the_worst() {
    let mut alone = Alone::new(Config { pairs_max: 5, ..config(1, Role::Controlling) });
    for number in 1..=20 {
        alone.candidate(&format!("192.0.2.2:{number}"), number);
    }
    alone.candidate("192.0.2.2:30", 10);
    let explained = alone.agent.explain();
    assert_eq!((explained.pairs.len(), explained.pairs_left_out), (5, 16));
    let ports: Vec<_> = explained.pairs.iter().map(|pair| pair.remote.port()).collect();
    assert_eq!(ports, [20, 19, 18, 17, 16]);
}

#[test]
fn no_more_requests_are_on_the_way_than_allowed() {
    let mut alone = Alone::new(Config { transactions_max: 5, ..config(1, Role::Controlling) });
    alone.parameters(false);
    for port in 2001..=2020 {
        alone.candidate(&format!("192.0.2.2:{port}"), port);
    }
    let mut asked = |seconds: u64| {
        let mut ports = Vec::new();
        for _ in 0..seconds * 100 {
            ports.extend(alone.sent().iter().map(|(to, _)| to.port()));
            alone.pass(ms(10));
        }
        ports.sort_unstable();
        ports.dedup();
        ports
    };
    assert_eq!(asked(9), [2001, 2017, 2018, 2019, 2020], "the first begins at once");
    // `Config::check_timeout` later they are given up, and others begin.
    asked(2);
    assert_eq!(asked(7), [2012, 2013, 2014, 2015, 2016]);
}

#[test]
fn no_more_local_candidates_are_taken_than_allowed() {
    let mut alone = Alone::new(config(1, Role::Controlling));
    let limit = usize::from(Config::default().local_candidates_max);
    let there = alone.agent.local_candidates().len();
    for port in 1..=100u16 {
        let candidate = LocalCandidate::host(FlowId(1000 + u32::from(port)), address(&format!("192.0.2.9:{port}")));
        let expected = if there + usize::from(port) <= limit { Ok(()) } else { Err(Error::LocalCandidates) };
        assert_eq!(alone.agent.add_local_candidate(candidate, alone.now), expected, "{port}");
    }
    assert_eq!(alone.agent.local_candidates().len(), limit);
}

#[test]
fn checks_of_the_generation_before_a_restart_are_answered_while_it_lives() {
    let mut alone = Alone::lite();
    let request = alone.nominating(1);
    assert_eq!(alone.receive("192.0.2.2:2000", request.clone()), Ok(()));
    alone.agent.restart(alone.now);
    alone.sent();
    assert_eq!(alone.receive("192.0.2.2:2000", request.clone()), Ok(()));
    assert_eq!(alone.answers(), [0], "signed with the old password");
    assert_eq!(
        alone.receive("192.0.2.2:2001", request.clone()),
        Err(DropReason::PeerReflexiveLimit),
        "but it learns nothing"
    );
    alone.parameters(false);
    alone.ours = alone.agent.local_parameters().credentials;
    let fresh = alone.nominating(2);
    assert_eq!(alone.receive("192.0.2.2:2000", fresh), Ok(()));
    assert_eq!(alone.receive("192.0.2.2:2000", request), Err(DropReason::Username), "the old is over");
}

#[test]
fn what_is_not_stun_is_not_for_the_agent() {
    let mut alone = Alone::full(Role::Controlling);
    for bytes in [vec![], vec![0], vec![0x80; 40], vec![22, 254, 253, 0], vec![0; 19]] {
        assert_eq!(alone.receive("192.0.2.2:2000", bytes), Err(DropReason::NotStun));
    }
    let indication = Stun::new(0x0011, [0; 12]).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", indication), Ok(()), "a keepalive of old peers");
    assert_eq!(alone.sent(), []);
}

#[test]
fn a_datagram_on_a_flow_of_others_is_dropped() {
    let mut alone = Alone::lite();
    let mut bytes = alone.signed(1);
    let (local, remote) = (address("192.0.2.1:1000"), address("192.0.2.2:2000"));
    let datagram = Datagram { flow: FlowId(99), local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
    assert_eq!(alone.agent.handle_datagram(datagram, alone.now), Handled::Dropped(DropReason::UnknownFlow));
}

#[test]
fn a_check_from_an_address_that_is_none_is_not_learned() {
    let mut alone = Alone::lite();
    for from in ["0.0.0.0:5", "192.0.2.2:0", "224.0.0.1:5", "255.255.255.255:5"] {
        let request = alone.signed(1);
        assert_eq!(alone.receive(from, request), Err(DropReason::PeerReflexiveLimit), "{from}");
    }
    assert_eq!((alone.sent(), alone.agent.explain().pairs), (vec![], vec![]));
}

#[test]
fn transmits_keep_to_the_limit() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let mut out = vec![7; 3];
    let small = Limit { bytes: 50, segments: 1 };
    assert_eq!(alone.agent.poll_transmit(alone.now, small, &mut out), None);
    assert_eq!(alone.agent.poll_transmit(alone.now, Limit { bytes: 5000, segments: 0 }, &mut out), None);
    assert_eq!(out, [7; 3]);
    let transmit = alone.agent.poll_transmit(alone.now, Limit::DATAGRAM, &mut out).unwrap();
    assert_eq!((transmit.range.start, transmit.segment), (3, transmit.range.len()));
}

#[test]
fn a_check_holds_what_it_must_and_in_that_order() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let (_, request) = alone.next_check();
    let kinds: Vec<_> = raw::attributes(&request).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [raw::USERNAME, raw::ICE_CONTROLLING, raw::PRIORITY, 0x0008, 0x8028]);
    let username = format!("peer:{}", alone.ours.ufrag());
    assert_eq!(raw::attribute(&request, raw::USERNAME), Some(username.into_bytes()));
    // RFC 8445 §7.1.1: of type peer-reflexive, else like the candidate's own.
    let local = alone.agent.local_candidates()[0].priority;
    let expected = (110 << 24) | (local & 0xff_ffff);
    assert_eq!(raw::attribute(&request, raw::PRIORITY), Some(expected.to_be_bytes().to_vec()));
}

#[test]
fn transaction_ids_do_not_repeat() {
    let mut alone = Alone::full(Role::Controlling);
    let mut seen = Vec::new();
    for number in 1..=50 {
        alone.candidate(&format!("192.0.2.2:{number}"), number);
    }
    for _ in 0..400 {
        seen.extend(alone.sent().into_iter().map(|(to, bytes)| (bytes[8..20].to_vec(), to)));
        alone.pass(ms(1));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 50, "one transaction to each, and its copies");
    seen.dedup_by_key(|(id, _)| id.clone());
    assert_eq!(seen.len(), 50);
}

#[test]
fn modes_and_limits_are_checked_at_the_start() {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; time is virtual")]
    let now = Instant::now();
    let error = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        Agent::new(config, now).err()
    };
    assert_eq!(error(|_| {}), None);
    assert_eq!(error(|it| it.pacing = ms(4)), Some(ConfigError::Pacing));
    assert_eq!(error(|it| it.retransmit = ms(9)), Some(ConfigError::Retransmit));
    assert_eq!(error(|it| it.liveness = Some(ms(99))), Some(ConfigError::Liveness));
    assert_eq!(error(|it| it.check_timeout = ms(999)), Some(ConfigError::CheckTimeout));
    assert_eq!(error(|it| it.patience = ms(600_001)), Some(ConfigError::Patience));
    assert_eq!(error(|it| it.pairs_max = 0), Some(ConfigError::Limit));
    assert_eq!(error(|it| it.stun_servers = vec![address("0.0.0.0:1")]), Some(ConfigError::StunServers));
    let lite = |it: &mut Config| (it.mode, it.stun_servers) = (Mode::Lite, vec![address("192.0.2.9:1")]);
    assert_eq!(error(lite), Some(ConfigError::LiteStunServers));
}
