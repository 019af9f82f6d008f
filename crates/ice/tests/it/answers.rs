//! One agent, and a peer that answers, nominates and claims roles as it should not.

use plenary_ice::{DropReason, Event, Failed, Failure, Reason, Role, State};

use crate::alone::{Alone, PASSWORD};
use crate::lab::{address, config, ms};
use crate::raw::{self, Stun, check};

#[test]
fn a_response_that_nobody_asked_for_is_dropped() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let (_, request) = alone.next_check();
    let mut other = request.clone();
    other[8] ^= 1;
    let response = raw::success(&other, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("192.0.2.2:2000", response), Err(DropReason::UnknownTransaction));
    let forged = raw::success(&request, [192, 0, 2, 1], 1000, "wrongwrongwrongwrongwrong");
    assert_eq!(alone.receive("192.0.2.2:2000", forged), Err(DropReason::Integrity));
    let unsigned = Stun::new(raw::SUCCESS, request[8..20].try_into().unwrap()).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", unsigned), Err(DropReason::Integrity));
    let empty = Stun::new(raw::SUCCESS, request[8..20].try_into().unwrap()).signed(PASSWORD).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", empty), Err(DropReason::BadResponse));
    assert_eq!(alone.selected(), None);
    let right = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("192.0.2.2:2000", right.clone()), Ok(()), "and the right one still counts");
    assert_eq!(alone.selected(), Some(address("192.0.2.2:2000")));
    assert_eq!(alone.receive("192.0.2.2:2000", right), Err(DropReason::UnknownTransaction), "once");
}

// RFC 8445 §7.2.5.2.1.
#[test]
fn a_response_from_another_address_fails_the_pair() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let (_, request) = alone.next_check();
    let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("192.0.2.2:2001", response), Ok(()));
    assert_eq!(alone.selected(), None);
    assert_eq!(alone.agent.explain().pairs[0].reason, Reason::Failed(Failure::AsymmetricPath));
}

#[test]
fn a_late_success_after_failure_changes_nothing() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let (_, request) = alone.next_check();
    alone.pass(ms(10_001));
    assert_eq!(alone.agent.explain().pairs[0].reason, Reason::Failed(Failure::NoResponse));
    let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("192.0.2.2:2000", response), Err(DropReason::UnknownTransaction));
    assert_eq!(alone.selected(), None);
}

// Where a worse pair is in use, the peer checks the better one less often, and may open its side late.
#[test]
fn a_better_pair_than_the_one_in_use_is_checked_until_its_time_is_over() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 2);
    alone.candidate("192.0.2.3:3000", 1);
    let mut answered = false;
    let mut last = alone.now;
    let begun = alone.now;
    while alone.now < begun + ms(9_900) {
        for (to, request) in alone.sent().into_iter().filter(|(_, bytes)| bytes[0] == 0) {
            if to == address("192.0.2.3:3000") {
                let answer = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
                answered |= alone.receive("192.0.2.3:3000", answer).is_ok();
            } else {
                assert!(alone.now - last <= ms(501), "{:?}", alone.now - begun);
                last = alone.now;
            }
        }
        alone.pass(ms(1));
    }
    assert!(answered && alone.selected() == Some(address("192.0.2.3:3000")));
    assert!(alone.now - last <= ms(501));
}

#[test]
fn an_error_response_fails_the_pair_and_is_explained() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let (_, request) = alone.next_check();
    assert_eq!(alone.receive("192.0.2.2:2000", raw::error(&request, 500, PASSWORD)), Ok(()));
    assert_eq!(alone.agent.explain().pairs[0].reason, Reason::Failed(Failure::Error(500)));
}

// RFC 8445 §7.2.5.1.
#[test]
fn a_487_switches_the_role_and_a_stale_one_does_not() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 2);
    alone.candidate("192.0.2.2:2001", 1);
    let (one, first) = alone.next_check();
    let (two, second) = alone.next_check();
    let tie_breaker = raw::attribute(&first, raw::ICE_CONTROLLING).expect("it controls");
    assert_eq!(alone.receive(&one.to_string(), raw::error(&first, 487, PASSWORD)), Ok(()));
    assert_eq!(alone.agent.role(), Role::Controlled);
    assert_eq!(alone.receive(&two.to_string(), raw::error(&second, 487, PASSWORD)), Ok(()));
    assert_eq!(alone.agent.role(), Role::Controlled, "the second was sent in the old role");
    let (_, again) = alone.next_check();
    let fresh = raw::attribute(&again, raw::ICE_CONTROLLED).expect("it repeats the check in the new role");
    assert_ne!(fresh, tie_breaker, "with a new tie-breaker: else equal ones fight for ever");
}

#[test]
fn ping_pong_of_487_ends_with_the_peers_patience_not_with_ours() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 2);
    let mut packets = 0;
    for _ in 0..500 {
        let (_, request) = alone.next_check();
        packets += 1;
        assert_eq!(alone.receive("192.0.2.2:2000", raw::error(&request, 487, PASSWORD)), Ok(()));
    }
    assert_eq!(packets, 500);
    assert!(alone.agent.poll_timeout().is_some_and(|at| at >= alone.now), "no faster than the pacing");
    let roles = std::iter::from_fn(|| alone.agent.poll_event()).filter(|it| matches!(it, Event::Role(_))).count();
    assert_eq!(roles, 1, "events of one kind are coalesced");
}

// RFC 8445 §7.3.1.1, in all four cases, and the equal one.
#[test]
fn the_larger_tie_breaker_keeps_its_role() {
    for (role, attribute) in [(Role::Controlling, raw::ICE_CONTROLLING), (Role::Controlled, raw::ICE_CONTROLLED)] {
        for (theirs, switches) in [(0, role == Role::Controlled), (u64::MAX, role == Role::Controlling)] {
            let mut alone = Alone::full(role);
            let request = check(&alone.ours, 1).with(attribute, &theirs.to_be_bytes());
            let request = request.signed(alone.ours.password()).fingerprint();
            assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
            assert_eq!(alone.answers(), [if switches { 0 } else { 487 }], "{role:?} against {theirs}");
            assert_eq!(alone.agent.role(), if switches { role.reversed() } else { role });
        }
    }
}

#[test]
fn an_equal_tie_breaker_loses_to_ours() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 2);
    let (_, ours) = alone.next_check();
    let equal = raw::attribute(&ours, raw::ICE_CONTROLLING).unwrap();
    let request = check(&alone.ours, 1).with(raw::ICE_CONTROLLING, &equal);
    let request = request.signed(alone.ours.password()).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    assert_eq!((alone.answers(), alone.agent.role()), (vec![487], Role::Controlling));
}

#[test]
fn a_lite_agent_never_controls_a_full_one() {
    let mut alone = Alone::lite();
    let request = check(&alone.ours, 1).with(raw::ICE_CONTROLLED, &[0; 8]);
    let request = request.signed(alone.ours.password()).fingerprint();
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    assert_eq!((alone.answers(), alone.agent.role()), (vec![487], Role::Controlled));
}

#[test]
fn a_403_of_a_stranger_revokes_nothing() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let (_, request) = alone.next_check();
    let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
    assert_eq!(alone.receive("192.0.2.2:2000", response), Ok(()));
    alone.sent();
    alone.pass(ms(600));
    let (_, keep) = alone.next_check();
    let forged = raw::error(&keep, 403, "wrongwrongwrongwrongwrong");
    assert_eq!(alone.receive("192.0.2.2:2000", forged), Err(DropReason::Integrity));
    assert!(alone.selected().is_some());
    assert_eq!(alone.receive("192.0.2.2:2000", raw::error(&keep, 403, PASSWORD)), Ok(()));
    assert_eq!(alone.agent.state(), State::Failed(Failed::ConsentRevoked));
}

/// Connects a controlled agent over both ports of the peer, nominating as told.
fn controlled(renomination: bool) -> Alone {
    let mut alone = Alone::new(config(1, Role::Controlled));
    alone.parameters(renomination);
    alone.candidate("192.0.2.2:2000", 2000);
    alone.candidate("192.0.2.2:1999", 1999);
    for _ in 0..2 {
        let (to, request) = alone.next_check();
        let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
        assert_eq!(alone.receive(&to.to_string(), response), Ok(()));
    }
    alone
}

#[test]
fn of_aggressive_nominations_the_best_pair_counts() {
    for order in [["192.0.2.2:2000", "192.0.2.2:1999"], ["192.0.2.2:1999", "192.0.2.2:2000"]] {
        let mut alone = controlled(false);
        for (number, from) in order.into_iter().enumerate() {
            let request = alone.nominating(number as u8);
            assert_eq!(alone.receive(from, request), Ok(()));
        }
        assert_eq!(alone.selected(), Some(address("192.0.2.2:2000")));
        assert_eq!(alone.agent.state(), State::Completed);
    }
}

// What a peer does that has left the better pair: it names only the other one, again and again.
#[test]
fn a_nomination_that_is_repeated_outlives_one_that_is_not() {
    let (better, other) = ("192.0.2.2:2000", "192.0.2.2:1999");
    let mut alone = controlled(false);
    let nominate = |alone: &mut Alone, from: &str, selected: &str| {
        let request = alone.nominating(1);
        assert_eq!(alone.receive(from, request), Ok(()));
        alone.sent();
        assert_eq!(alone.selected(), Some(address(selected)), "at {from}");
    };
    nominate(&mut alone, better, better);
    alone.now += ms(4000);
    nominate(&mut alone, other, better);
    nominate(&mut alone, better, better);
    for _ in 0..6 {
        nominate(&mut alone, other, better);
        alone.now += ms(500);
    }
    nominate(&mut alone, other, other);
    nominate(&mut alone, better, better);
}

#[test]
fn a_lite_agent_takes_the_best_of_aggressive_nominations_and_follows_when_it_is_left() {
    let mut alone = Alone::lite();
    let with = |alone: &Alone, number: u8, priority: u32| {
        let request = Stun::new(raw::REQUEST, [number; 12])
            .with(raw::USERNAME, format!("{}:peer", alone.ours.ufrag()).as_bytes());
        let request = request.with(raw::PRIORITY, &priority.to_be_bytes()).with(raw::USE_CANDIDATE, &[]);
        request.signed(alone.ours.password()).fingerprint()
    };
    let (good, bad) = (with(&alone, 1, 2000), with(&alone, 2, 1000));
    assert_eq!(alone.receive("192.0.2.2:1000", bad.clone()), Ok(()));
    assert_eq!(alone.receive("192.0.2.2:2000", good), Ok(()));
    assert_eq!(alone.selected(), Some(address("192.0.2.2:2000")));
    assert_eq!(alone.receive("192.0.2.2:1000", bad.clone()), Ok(()));
    assert_eq!(alone.selected(), Some(address("192.0.2.2:2000")), "no flapping");
    alone.pass(ms(600));
    assert_eq!(alone.receive("192.0.2.2:1000", bad), Ok(()));
    assert_eq!(alone.selected(), Some(address("192.0.2.2:1000")), "the better one was silent");
}

// draft-thatcher-ice-renomination §3: the highest value wins, whatever the priority.
#[test]
fn a_nomination_of_a_higher_value_wins_and_a_stale_one_does_not() {
    for lite in [false, true] {
        let mut alone = if lite { Alone::lite() } else { controlled(true) };
        let nominate = |alone: &mut Alone, from: &str, value: u32| {
            let request = check(&alone.ours, value as u8).with(raw::USE_CANDIDATE, &[]);
            let request =
                request.with(raw::NOMINATION, &value.to_be_bytes()).signed(alone.ours.password()).fingerprint();
            assert_eq!(alone.receive(from, request), Ok(()));
            alone.sent();
        };
        nominate(&mut alone, "192.0.2.2:2000", 1);
        nominate(&mut alone, "192.0.2.2:1999", 2);
        assert_eq!(alone.selected(), Some(address("192.0.2.2:1999")), "lite {lite}");
        nominate(&mut alone, "192.0.2.2:2000", 1);
        assert_eq!(alone.selected(), Some(address("192.0.2.2:1999")), "the first is stale");
        nominate(&mut alone, "192.0.2.2:2000", 0x0700_0001);
        assert_eq!(alone.selected(), Some(address("192.0.2.2:1999")), "§4: of 4 bytes, 3 are the value");
        nominate(&mut alone, "192.0.2.2:2000", 3);
        assert_eq!(alone.selected(), Some(address("192.0.2.2:2000")));
        nominate(&mut alone, "192.0.2.2:1999", 0x00ff_ffff);
        assert_eq!(alone.selected(), Some(address("192.0.2.2:1999")));
    }
}

#[test]
fn use_candidate_means_nothing_to_who_controls() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    let (_, request) = alone.next_check();
    let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
    let nominating = alone.nominating(9);
    assert_eq!(alone.receive("192.0.2.2:2000", nominating), Ok(()));
    assert_eq!(alone.receive("192.0.2.2:2000", response), Ok(()));
    assert_eq!(alone.agent.state(), State::Connected, "not Completed: our own nomination is on its way");
}
