//! Single rules of RFC 8445 and RFC 7675, with one agent and the test in the place of the peer.

use plenary_ice::{
    Agent, CandidateKind, Config, Credentials, DropReason, Error, Event, Failed, Failure, LocalCandidate, PairReport,
    PairState, Parameters, Reason, Role, State,
};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit};

use crate::alone::{Alone, FLOW, PASSWORD};
use crate::lab::{address, config, lite_config, ms};
use crate::raw::{self, Stun, check};

/// Makes the pair with this port of the peer valid.
fn validate(alone: &mut Alone, port: u16) {
    let to = format!("192.0.2.2:{port}");
    for _ in 0..1000 {
        let (at, request) = alone.next_check();
        if at == address(&to) {
            let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
            assert_eq!(alone.receive(&to, response), Ok(()));
            return;
        }
    }
    panic!("no check to {to}");
}

// RFC 8445 §7.3.1.2, §7.3.2.
#[test]
fn the_answer_says_where_the_check_came_from_and_goes_back_there() {
    let mut alone = Alone::lite();
    let request = alone.signed(7);
    assert_eq!(alone.receive("198.51.100.7:4567", request), Ok(()));
    let mut out = Vec::new();
    let transmit = alone.agent.poll_transmit(alone.now, Limit::DATAGRAM, &mut out).unwrap();
    assert_eq!((transmit.local, transmit.remote), (address("192.0.2.1:1000"), address("198.51.100.7:4567")));
    assert_eq!(out, raw::success(&out_request(7), [198, 51, 100, 7], 4567, alone.ours.password()));
}

/// A message with the transaction id of `check(_, number)`.
fn out_request(number: u8) -> Vec<u8> {
    Stun::new(raw::REQUEST, [number; 12]).bytes
}

#[test]
fn a_lite_agent_is_controlled_even_before_it_knows_the_peer() {
    let mut alone = Alone::new(Config { role: Role::Controlling, ..lite_config(1) });
    assert_eq!(alone.agent.role(), Role::Controlled);
    let request = check(&alone.ours, 1).with(raw::ICE_CONTROLLING, &[0; 8]).with(raw::USE_CANDIDATE, &[]);
    let request = request.signed(alone.ours.password()).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    assert_eq!((alone.answers(), alone.selected()), (vec![0], Some(address("192.0.2.2:2000"))));
}

#[test]
fn a_lite_agent_sends_nothing_of_its_own() {
    let mut alone = Alone::lite();
    alone.candidate("192.0.2.2:2000", 1);
    let request = alone.nominating(1);
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    assert_eq!(alone.answers(), [0]);
    for _ in 0..40 {
        alone.pass(ms(1000));
        assert_eq!(alone.sent(), []);
    }
}

// RFC 8445 §8.2, §7.3.2.
#[test]
fn a_lite_agent_uses_a_pair_only_when_it_is_nominated() {
    let mut alone = Alone::lite();
    let request = alone.signed(1);
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    assert_eq!(alone.selected(), None);
    assert_eq!(alone.agent.explain().pairs[0].reason, Reason::NotNominated);
    let request = alone.nominating(2);
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    assert_eq!((alone.selected(), alone.agent.state()), (Some(address("192.0.2.2:2000")), State::Completed));
}

/// When checks are sent in the next `span`, from the first on; each is answered if told so.
fn times(alone: &mut Alone, span: u64, answered: bool) -> Vec<u128> {
    let (begun, mut times) = (alone.now, Vec::new());
    while alone.now - begun < ms(span) {
        for (to, request) in alone.sent() {
            times.push((alone.now - begun).as_millis());
            if answered {
                let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
                assert_eq!(alone.receive(&to.to_string(), response), Ok(()));
            }
        }
        alone.pass(ms(1));
    }
    times
}

// A departure from RFC 8445 §14.3; see the README.
#[test]
fn a_check_is_sent_again_each_50_ms_for_two_seconds() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let expected: Vec<_> = (0..=40).map(|number| 50 * number).chain((5..=8).map(|number| 500 * number)).collect();
    assert_eq!(times(&mut alone, 4010, false), expected);
}

// The same for RFC 7675 §5.1, which asks for 5 s.
#[test]
fn the_pair_in_use_is_checked_each_500_ms() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut alone = Alone::full(role);
        alone.candidate("192.0.2.2:2000", 1);
        times(&mut alone, 2000, true);
        let checks = times(&mut alone, 10_000, true);
        assert_eq!(checks.len(), 20, "{checks:?}");
        assert!(checks.windows(2).all(|two| two[1] - two[0] == 500), "{checks:?}");
    }
}

// RFC 8445 §6.1.4.2: triggered checks go before ordinary ones.
#[test]
fn a_triggered_check_goes_first() {
    let mut alone = Alone::full(Role::Controlled);
    for port in 2000..2020 {
        // Each has a foundation of its own: else it would be the only one that waits.
        let line = format!("candidate:{port} 1 udp {port} 192.0.2.2 {port} typ host");
        alone.agent.add_remote_candidate(line.parse().unwrap(), alone.now);
    }
    alone.next_check();
    let request = alone.signed(1);
    assert_eq!(alone.receive("192.0.2.2:2001", request), Ok(()));
    let (to, _) = alone.next_check();
    assert_eq!(to, address("192.0.2.2:2001"), "although nineteen of higher priority wait");
}

// RFC 8445 §6.1.4.2: by priority; and of one foundation, the others behind all that wait.
#[test]
fn checks_go_by_priority_and_frozen_pairs_come_last() {
    let mut alone = Alone::full(Role::Controlling);
    for (foundation, port) in [(1, 30), (3, 15), (1, 20), (2, 10)] {
        let line = format!("candidate:{foundation} 1 udp {port} 192.0.2.2 {port} typ host");
        alone.agent.add_remote_candidate(line.parse().unwrap(), alone.now);
    }
    let states: Vec<_> = alone.agent.explain().pairs.iter().map(|pair| pair.state).collect();
    assert_eq!(states, [PairState::InProgress, PairState::Frozen, PairState::Waiting, PairState::Waiting]);
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(alone.next_check().0.port());
    }
    assert_eq!(order, [30, 15, 10, 20]);
}

#[test]
fn success_thaws_the_pairs_of_its_foundation() {
    let mut alone = Alone::full(Role::Controlling);
    for port in [30, 20] {
        alone.candidate(&format!("192.0.2.2:{port}"), port);
    }
    assert_eq!(alone.agent.explain().pairs[1].state, PairState::Frozen);
    validate(&mut alone, 30);
    assert_ne!(alone.agent.explain().pairs[1].state, PairState::Frozen);
}

// RFC 8445 §7.3.1.5.
#[test]
fn a_nomination_before_our_own_check_has_succeeded_counts_then() {
    let mut alone = Alone::full(Role::Controlled);
    alone.candidate("192.0.2.2:2000", 2);
    alone.candidate("192.0.2.2:1999", 1);
    validate(&mut alone, 2000);
    let request = alone.nominating(1);
    assert_eq!(alone.receive("192.0.2.2:1999", request), Ok(()));
    assert_eq!(alone.selected(), Some(address("192.0.2.2:2000")));
    validate(&mut alone, 1999);
    assert_eq!(alone.selected(), Some(address("192.0.2.2:1999")));
    assert_eq!(alone.agent.state(), State::Completed);
}

// RFC 8445 §8.1.1.
#[test]
fn the_nomination_is_a_second_check_and_the_first_says_nothing_of_it() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let (_, first) = alone.next_check();
    assert_eq!(raw::attribute(&first, raw::USE_CANDIDATE), None);
    let response = raw::success(&first, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("192.0.2.2:2000", response), Ok(()));
    assert_eq!(alone.agent.state(), State::Connected);
    let (_, second) = alone.next_check();
    assert_eq!(raw::attribute(&second, raw::USE_CANDIDATE), Some(vec![]));
    assert_eq!(raw::attribute(&second, raw::NOMINATION), None, "the peer did not offer renomination");
    let response = raw::success(&second, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("192.0.2.2:2000", response), Ok(()));
    assert_eq!(alone.agent.state(), State::Completed);
}

#[test]
fn a_nomination_that_fails_goes_to_the_next_pair() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 2);
    alone.candidate("192.0.2.2:1999", 1);
    validate(&mut alone, 2000);
    validate(&mut alone, 1999);
    let nomination = |alone: &mut Alone| loop {
        let (to, request) = alone.next_check();
        if raw::attribute(&request, raw::USE_CANDIDATE).is_some() {
            return (to, request);
        }
    };
    let (to, request) = nomination(&mut alone);
    assert_eq!(to, address("192.0.2.2:2000"));
    assert_eq!(alone.receive("192.0.2.2:2000", raw::error(&request, 500, PASSWORD)), Ok(()));
    assert_eq!(alone.selected(), Some(address("192.0.2.2:1999")));
    let (to, _) = nomination(&mut alone);
    assert_eq!(to, address("192.0.2.2:1999"));
}

#[test]
fn a_dead_pair_is_left_before_its_successor_is_nominated() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 2);
    alone.candidate("192.0.2.2:1999", 1);
    validate(&mut alone, 2000);
    validate(&mut alone, 1999);
    let (mut dead_since, begun) = (None, alone.now);
    while alone.selected() != Some(address("192.0.2.2:1999")) {
        assert!(alone.now - begun < ms(4000), "{}", alone.agent.explain());
        alone.pass(ms(1));
        for (to, request) in alone.sent() {
            let nominates = raw::attribute(&request, raw::USE_CANDIDATE).is_some();
            let good = to.port() == 2000;
            let alive = dead_since.is_none_or(|since| alone.now < since);
            // The good pair answers until it is nominated; the other one always, but no nomination.
            if good && alive || !good && !nominates {
                let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
                assert_eq!(alone.receive(&to.to_string(), response), Ok(()));
            }
            if good && nominates {
                dead_since.get_or_insert(alone.now);
            }
        }
    }
    assert!(alone.now - dead_since.unwrap() <= ms(1500));
}

#[test]
fn renomination_values_rise_when_the_peer_understands_them() {
    let mut alone = Alone::new(config(1, Role::Controlling));
    alone.parameters(true);
    let mut values = Vec::new();
    for port in [1000u16, 2000] {
        alone.candidate(&format!("192.0.2.2:{port}"), port.into());
        validate(&mut alone, port);
        for _ in 0..100 {
            let (to, request) = alone.next_check();
            if let Some(value) = raw::attribute(&request, raw::NOMINATION) {
                values.push(u32::from_be_bytes(value.try_into().unwrap()));
                let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
                assert_eq!(alone.receive(&to.to_string(), response), Ok(()));
                break;
            }
        }
        assert_eq!(alone.selected(), Some(address(&format!("192.0.2.2:{port}"))));
    }
    assert_eq!(values, [1, 2]);
}

// A departure from RFC 8445 §8.1.1, where a nomination is said once: who has forgotten it hears it again.
#[test]
fn each_check_of_the_nominated_pair_says_so_and_no_other() {
    for renomination in [true, false] {
        let mut alone = Alone::new(config(1, Role::Controlling));
        alone.parameters(renomination);
        alone.candidate("192.0.2.2:2000", 2000);
        alone.candidate("192.0.2.2:1999", 1999);
        times(&mut alone, 1000, true);
        let mut seen = [0, 0];
        for _ in 0..30 {
            let (to, keep) = alone.next_check();
            let nominated = to.port() == 2000;
            seen[usize::from(nominated)] += 1;
            assert_eq!(raw::attribute(&keep, raw::USE_CANDIDATE), nominated.then(Vec::new), "to {to}");
            let value = (nominated && renomination).then(|| vec![0, 0, 0, 1]);
            assert_eq!(raw::attribute(&keep, raw::NOMINATION), value, "to {to}");
            let response = raw::success(&keep, [192, 0, 2, 1], 1000, PASSWORD);
            assert_eq!(alone.receive(&to.to_string(), response), Ok(()));
        }
        assert!(seen[0] >= 2 && seen[1] >= 20, "{seen:?}");
    }
}

#[test]
fn a_change_of_role_reorders_the_pairs() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", u32::MAX / 2);
    let before = alone.agent.explain().pairs[0].priority;
    alone.agent.set_role_to(Role::Controlled, alone.now);
    let after = alone.agent.explain().pairs[0].priority;
    assert_eq!(before.abs_diff(after), 1, "RFC 8445 §6.1.2.3: the last bit says who of the two is larger");
}

// RFC 7675 §5.1: after consent is lost, the same credentials are not used on the path again.
#[test]
fn a_path_that_lost_consent_is_not_taken_up_again() {
    let mut alone = Alone::full(Role::Controlled);
    alone.candidate("192.0.2.2:2000", 2);
    alone.candidate("192.0.2.2:1999", 1);
    validate(&mut alone, 2000);
    validate(&mut alone, 1999);
    let (at, keep) = loop {
        let (to, request) = alone.next_check();
        if to == address("192.0.2.2:2000") {
            break (to, request);
        }
    };
    assert_eq!(alone.receive(&at.to_string(), raw::error(&keep, 403, PASSWORD)), Ok(()));
    assert_eq!(alone.selected(), Some(address("192.0.2.2:1999")));
    let request = alone.nominating(5);
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()), "its checks are answered");
    alone.sent();
    for _ in 0..100 {
        alone.pass(ms(10));
        assert!(alone.sent().iter().all(|(to, _)| *to != at), "but ours stay away");
    }
    assert_eq!(
        alone
            .agent
            .explain()
            .pairs
            .iter()
            .filter(|pair| pair.reason == Reason::Failed(Failure::ConsentRevoked))
            .count(),
        1
    );
}

/// The peer's answer to the next check there is 403.
fn revoke(alone: &mut Alone, port: u16) {
    let to = format!("192.0.2.2:{port}");
    let keep = loop {
        let (at, request) = alone.next_check();
        if at == address(&to) {
            break request;
        }
    };
    assert_eq!(alone.receive(&to, raw::error(&keep, 403, PASSWORD)), Ok(()));
}

/// Nominated by the peer, or not: no check goes there.
fn stays_lost(alone: &mut Alone, port: u16) {
    let from = format!("192.0.2.2:{port}");
    for (request, answer) in [(alone.signed(1), 0), (alone.nominating(2), 403)] {
        alone.sent();
        assert_eq!(alone.receive(&from, request), Ok(()));
        assert_eq!(alone.answers(), [answer]);
        for _ in 0..100 {
            alone.pass(ms(10));
            assert!(alone.sent().iter().all(|(to, _)| *to != address(&from)));
        }
    }
    let lost = |pair: &PairReport| {
        pair.remote == address(&from) && matches!(pair.reason, Reason::Failed(Failure::ConsentRevoked))
    };
    assert!(alone.agent.explain().pairs.iter().any(lost));
}

// The trap: the pair makes room for others, and is made anew.
#[test]
fn a_path_that_lost_consent_is_remembered_when_its_pair_makes_room() {
    let mut alone = Alone::new(Config { pairs_max: 2, ..config(1, Role::Controlled) });
    alone.parameters(false);
    alone.candidate("192.0.2.2:2000", 2000);
    validate(&mut alone, 2000);
    alone.candidate("192.0.2.2:1999", 1999);
    validate(&mut alone, 1999);
    revoke(&mut alone, 2000);
    alone.candidate("192.0.2.2:1998", 1998);
    let ports: Vec<_> = alone.agent.explain().pairs.iter().map(|pair| pair.remote.port()).collect();
    assert_eq!(ports, [1999, 1998]);
    alone.pass(ms(11_000)); // until the last one has failed, and has to make room in turn
    stays_lost(&mut alone, 2000);
}

#[test]
fn a_path_that_lost_consent_is_remembered_when_its_candidate_makes_room() {
    let mut alone = Alone::new(Config { peer_reflexive_max: 1, ..config(1, Role::Controlled) });
    alone.parameters(false);
    alone.candidate("192.0.2.2:1999", 1999);
    validate(&mut alone, 1999);
    let request = alone.signed(1);
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    validate(&mut alone, 2000);
    revoke(&mut alone, 2000);
    for (port, lost) in [(2001, 2000), (2000, 2000)] {
        alone.pass(ms(6000));
        let request = alone.signed(2);
        assert_eq!(alone.receive(&format!("192.0.2.2:{port}"), request), Ok(()));
        let has = alone.agent.explain().pairs.iter().any(|pair| pair.remote.port() == lost);
        assert_eq!(has, port == lost);
    }
    stays_lost(&mut alone, 2000);
}

#[test]
fn paths_that_lost_consent_are_bounded() {
    let mut alone = Alone::new(Config { pairs_max: 3, remote_candidates_max: 100, ..config(1, Role::Controlled) });
    alone.parameters(false);
    alone.candidate("192.0.2.2:9000", 9000);
    validate(&mut alone, 9000);
    let mut taken = 0;
    for port in 1..=50u16 {
        alone.candidate(&format!("192.0.2.2:{port}"), 10_000 + u32::from(port));
        if alone.agent.explain().pairs.iter().any(|pair| pair.remote.port() == port) {
            validate(&mut alone, port);
            revoke(&mut alone, port);
            taken += 1;
        }
    }
    assert_eq!(taken, 5, "two in the table, and three for which there was no place");
    alone.agent.restart(alone.now);
    alone.agent.set_remote_parameters(Parameters::new(Credentials::new("peer2", PASSWORD).unwrap()), alone.now);
    alone.candidate("192.0.2.2:1", 1);
    validate(&mut alone, 1); // other credentials may
}

// RFC 7675 §5.1: only an answer is consent. The peer's own checks are none.
#[test]
fn the_peers_checks_are_no_consent() {
    let mut alone = Alone::full(Role::Controlled);
    alone.candidate("192.0.2.2:2000", 2);
    validate(&mut alone, 2000);
    for number in 0..31 {
        let request = alone.signed(number);
        alone.receive("192.0.2.2:2000", request).ok();
        alone.agent.note_authenticated(FlowId(1), address("192.0.2.2:2000"), alone.now);
        alone.sent();
        alone.pass(ms(1000));
    }
    assert_eq!(alone.agent.state(), State::Failed(Failed::ConsentExpired));
}

// RFC 8445 §5.1.1.2, §5.1.3.
#[test]
fn a_stun_server_is_believed_only_from_its_own_address() {
    let server = address("203.0.113.9:3478");
    let mut alone = Alone::new(Config { stun_servers: vec![server], ..config(1, Role::Controlling) });
    let (to, request) = alone.next_check();
    assert_eq!(to, server);
    let response = |port: u16| raw::success(&request, [198, 51, 100, 1], port, PASSWORD);
    assert_eq!(alone.receive("203.0.113.10:3478", response(7)), Err(DropReason::UnknownTransaction));
    let empty = Stun::new(raw::SUCCESS, request[8..20].try_into().unwrap()).fingerprint();
    assert_eq!(alone.receive("203.0.113.9:3478", empty), Err(DropReason::BadResponse));
    assert_eq!(alone.agent.local_candidates().len(), 1);
    assert_eq!(alone.receive("203.0.113.9:3478", response(7)), Ok(()));
    let told = alone.agent.local_candidates();
    assert_eq!((told[1].kind, told[1].address.ip()), (CandidateKind::ServerReflexive, Some(address("198.51.100.1:7"))));
    assert_ne!(told[0].foundation, told[1].foundation);
    assert_eq!(told[1].related, Some(address("192.0.2.1:1000").into()));
    assert_eq!(alone.receive("203.0.113.9:3478", response(8)), Err(DropReason::UnknownTransaction), "once");
}

#[test]
fn without_a_nat_a_reflexive_candidate_is_redundant() {
    let server = address("203.0.113.9:3478");
    let mut alone = Alone::new(Config { stun_servers: vec![server], ..config(1, Role::Controlling) });
    let (_, request) = alone.next_check();
    let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("203.0.113.9:3478", response), Ok(()));
    assert_eq!(alone.agent.local_candidates().len(), 1);
}

// RFC 8445 §5.1.1.2: a TURN server's answer tells it too.
#[test]
fn what_another_server_has_mapped_is_a_candidate_of_the_socket() {
    let mut alone = Alone::new(Config { local_candidates_max: 3, ..config(1, Role::Controlling) });
    let (base, server) = (address("192.0.2.1:1000"), address("203.0.113.9:3478"));
    let mut add = |flow, base, mapped| alone.agent.add_mapped_address(flow, address(base), address(mapped), server);
    assert_eq!(add(FlowId(77), "192.0.2.1:1000", "198.51.100.1:7000"), Err(Error::UnknownFlow), "no socket of ICE's");
    assert_eq!(add(FLOW, "192.0.2.1:1001", "198.51.100.1:7000"), Err(Error::UnknownFlow), "not its address");
    assert_eq!(add(FLOW, "192.0.2.1:1000", "192.0.2.1:1000"), Err(Error::Duplicate), "no NAT");
    assert_eq!(add(FLOW, "192.0.2.1:1000", "0.0.0.0:7000"), Err(Error::Address));
    assert_eq!(add(FLOW, "192.0.2.1:1000", "[::ffff:198.51.100.1]:7000"), Ok(()));
    assert_eq!(add(FLOW, "192.0.2.1:1000", "198.51.100.1:7000"), Err(Error::Duplicate), "it is there");
    assert_eq!(add(FLOW, "192.0.2.1:1000", "198.51.100.1:7001"), Ok(()));
    assert_eq!(add(FLOW, "192.0.2.1:1000", "198.51.100.1:7002"), Err(Error::LocalCandidates));
    let told = alone.agent.local_candidates();
    assert_eq!(
        (told[1].kind, told[1].address.ip()),
        (CandidateKind::ServerReflexive, Some(address("198.51.100.1:7000")))
    );
    assert_eq!(told[1].related, Some(base.into()));
    assert_eq!(told[1].foundation, told[2].foundation, "of one server");
    assert!(told[0].priority > told[1].priority && told[1].priority > told[2].priority);
    alone.agent.close();
    let closed = alone.agent.add_mapped_address(FLOW, base, address("198.51.100.1:7003"), server);
    assert_eq!(closed, Err(Error::Closed));
}

// RFC 8445 §5.3, §9: at least 24 and 128 random bits, new with each restart.
#[test]
fn credentials_are_long_and_new_with_each_generation() {
    let mut alone = Alone::full(Role::Controlling);
    let mut seen = vec![alone.ours.clone()];
    for _ in 0..50 {
        alone.agent.restart(alone.now);
        seen.push(alone.agent.local_parameters().credentials);
    }
    assert!(seen.iter().all(|it| it.ufrag().len() >= 4 && it.password().len() >= 22));
    let mut ufrags: Vec<_> = seen.iter().map(|it| it.ufrag().to_owned()).collect();
    let mut passwords: Vec<_> = seen.iter().map(|it| it.password().to_owned()).collect();
    for list in [&mut ufrags, &mut passwords] {
        list.sort_unstable();
        list.dedup();
        assert_eq!(list.len(), 51);
    }
    let generations: Vec<_> = alone.agent.local_candidates().iter().map(|it| it.generation()).collect();
    assert_eq!(generations, [Some(50)]);
}

#[test]
fn candidates_of_a_flow_with_two_addresses_are_told_apart() {
    let mut alone = Alone::lite();
    let other = address("192.0.2.77:1000");
    alone.agent.add_local_candidate(LocalCandidate::host(FlowId(1), other), alone.now).unwrap();
    let mut bytes = alone.nominating(1);
    let remote = address("192.0.2.2:2000");
    let datagram = Datagram { flow: FlowId(1), local: other, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
    assert_eq!(alone.agent.handle_datagram(datagram, alone.now), Handled::Consumed);
    assert_eq!(alone.agent.selected().unwrap().local, other, "what comes to an address is answered from it");
}

#[test]
fn the_peer_is_told_once_per_address() {
    let mut alone = Alone::lite();
    for number in 0..5 {
        let request = alone.signed(number);
        assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    }
    let events: Vec<_> = std::iter::from_fn(|| Agent::poll_event(&mut alone.agent)).collect();
    let heard = events.iter().filter(|event| matches!(event, Event::Heard { .. })).count();
    assert_eq!(heard, 1);
    let unsigned = check(&alone.ours, 9).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2001", unsigned), Err(DropReason::Unauthenticated));
    assert_eq!(alone.agent.poll_event(), None, "a stranger is not worth an event");
}
