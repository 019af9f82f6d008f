//! Paths that end, and paths that come back.

use std::time::Duration;

use std::net::SocketAddr;

use plenary_ice::{
    Change, Config, Credentials, DropReason, Event, Failed, Failure, LocalCandidate, Parameters, Policy, Reason, Role,
    State, TcpType,
};
use plenary_wire::{Datagram, Ecn, FlowId, Handled};

use crate::alone::{Alone, FLOW, PASSWORD};
use crate::lab::{A, B, Lab, address, config, lite_config, ms};
use crate::raw;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// The trap: a phone leaves Wi-Fi for a minute, and comes back to the address that it had there.
#[test]
fn a_lite_agent_follows_a_peer_back_to_where_it_was() {
    let mut alone = Alone::lite();
    let mut number = 0;
    let mut stay = |alone: &mut Alone, from: &str| {
        for _ in 0..20 {
            number += 1;
            let request = alone.nominating(number);
            assert_eq!(alone.receive(from, request), Ok(()));
            alone.sent();
            assert_eq!(alone.selected(), Some(address(from)));
            alone.pass(seconds(2));
        }
    };
    stay(&mut alone, "192.0.2.2:2000");
    stay(&mut alone, "198.51.100.2:2000");
    stay(&mut alone, "192.0.2.2:2000");
    assert_eq!(alone.agent.state(), State::Completed);
}

// The trap: the pair in use ends while another that the peer nominated earlier goes on.
#[test]
fn a_lite_agent_falls_back_to_a_pair_that_lives() {
    let mut alone = Alone::lite();
    let (best, second) = ("192.0.2.2:2000", "192.0.2.2:3000");
    let request = alone.nominating(1);
    assert_eq!(alone.receive(best, request), Ok(()));
    let request = alone.nominating(2);
    assert_eq!(alone.receive(second, request), Ok(()));
    assert_eq!(alone.selected(), Some(address(best)), "of equals the first stays");
    // From now on only consent checks come, and only on the second.
    for number in 3..20 {
        alone.sent();
        alone.pass(seconds(2));
        let request = alone.signed(number);
        assert_eq!(alone.receive(second, request), Ok(()));
    }
    assert_eq!(alone.selected(), Some(address(second)));
    assert_eq!(alone.agent.state(), State::Connected);
}

// The trap: a lite agent chooses no pair, so nothing noticed that the one chosen for it is gone.
#[test]
fn a_lite_agent_stops_sending_on_a_stream_that_is_closed() {
    let mut alone = Alone::lite();
    let (listener, stream, from) = (address("192.0.2.1:443"), FlowId(50), address("192.0.2.2:41000"));
    alone.agent.add_local_candidate(LocalCandidate::tcp(FlowId(5), TcpType::Passive, listener), alone.now).unwrap();
    alone.agent.handle_accepted(stream, listener, alone.now).unwrap();
    let mut bytes = alone.nominating(1);
    let datagram = Datagram { flow: stream, local: listener, remote: from, ecn: Ecn::NotEct, bytes: &mut bytes };
    assert_eq!(alone.agent.handle_datagram(datagram, alone.now), Handled::Consumed);
    assert_eq!(alone.agent.selected().map(|it| it.flow), Some(stream));
    alone.agent.handle_closed(stream, alone.now).unwrap();
    assert_eq!(alone.agent.selected(), None);
    assert_eq!(alone.agent.state(), State::Checking, "the peer may come back by another");
    alone.pass(seconds(40));
    assert_eq!(alone.agent.state(), State::Failed(Failed::FlowClosed));
}

#[test]
fn the_pair_of_before_a_restart_ends_with_its_socket() {
    let mut alone = Alone::lite();
    let request = alone.nominating(1);
    assert_eq!(alone.receive("192.0.2.2:2000", request), Ok(()));
    alone.agent.restart(alone.now);
    assert_eq!(alone.selected(), Some(address("192.0.2.2:2000")));
    alone.agent.remove_flow(FLOW, alone.now).unwrap();
    assert_eq!(alone.selected(), None);
}

#[test]
fn between_lite_agents_a_removed_socket_is_not_chosen_again() {
    let mut lab = Lab::new(lite_config(1), lite_config(2));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.signal();
    assert!(lab.is_usable());
    lab.agents[A].remove_flow(FlowId(1), lab.now).unwrap();
    assert_eq!(lab.selected(A), None);
}

/// Lets time go by; the peer answers all checks but those that `silent` names.
fn answering(alone: &mut Alone, span: Duration, silent: impl Fn(SocketAddr, &[u8]) -> bool) {
    let end = alone.now + span;
    while alone.now < end {
        for (to, bytes) in alone.sent() {
            if bytes[0] == 0 && !silent(to, &bytes) {
                let response = raw::success(&bytes, [192, 0, 2, 1], 1000, PASSWORD);
                assert_eq!(alone.receive(&to.to_string(), response), Ok(()));
            }
        }
        alone.pass(ms(20));
    }
}

// The trap: the nominated pair was left, and of so many others it is no spare that is asked.
#[test]
fn a_nominated_pair_that_answers_again_is_used_again() {
    let mut alone = Alone::full(Role::Controlled);
    for port in 1990..2000 {
        alone.candidate(&format!("192.0.2.2:{port}"), port);
    }
    let nominated = address("192.0.2.2:1990");
    answering(&mut alone, seconds(1), |_, _| false);
    let request = alone.nominating(1);
    assert_eq!(alone.receive("192.0.2.2:1990", request), Ok(()));
    answering(&mut alone, seconds(1), |_, _| false);
    assert_eq!(alone.selected(), Some(nominated));
    answering(&mut alone, seconds(4), |to, _| to == nominated);
    assert_eq!(alone.selected(), Some(address("192.0.2.2:1999")));
    answering(&mut alone, seconds(16), |_, _| false);
    assert_eq!(alone.selected(), Some(nominated));
}

// RFC 7675 §5.2. The trap: a nomination was on its way, and went on being sent again for ten seconds; and a 487 to
// another check began the pair anew.
#[test]
fn nothing_that_was_on_its_way_is_sent_after_revocation() {
    let mut alone = Alone::full(Role::Controlling);
    let revoked = address("192.0.2.2:2000");
    alone.candidate("192.0.2.2:2000", 2);
    alone.candidate("192.0.2.2:1999", 1);
    let nominates = |_, bytes: &[u8]| raw::attribute(bytes, raw::USE_CANDIDATE).is_some();
    answering(&mut alone, ms(100), nominates);
    assert_eq!(alone.selected(), Some(revoked));
    let mut keeps = Vec::new();
    while keeps.len() < 2 {
        let (to, check) = alone.next_check();
        if to == revoked && !nominates(to, &check) {
            keeps.push(check);
        }
    }
    assert_eq!(alone.receive("192.0.2.2:2000", raw::error(&keeps[0], 403, PASSWORD)), Ok(()));
    assert_eq!(alone.selected(), Some(address("192.0.2.2:1999")));
    let late = alone.receive("192.0.2.2:2000", raw::error(&keeps[1], 487, PASSWORD));
    assert_eq!(late, Err(DropReason::UnknownTransaction));
    for _ in 0..200 {
        assert!(alone.sent().iter().all(|(to, _)| *to != revoked));
        alone.pass(ms(20));
    }
}

// The trap: with more valid pairs than spares, those that we stopped asking counted as without consent for ever.
#[test]
fn a_pair_that_was_no_longer_asked_can_still_be_nominated() {
    let mut alone = Alone::full(Role::Controlled);
    for port in 2001..=2006 {
        alone.candidate(&format!("192.0.2.2:{port}"), port);
    }
    answering(&mut alone, seconds(40), |_, _| false);
    assert_eq!(alone.selected(), Some(address("192.0.2.2:2006")));
    let unused = |alone: &Alone| {
        let pairs = alone.agent.explain().pairs;
        pairs.iter().filter(|pair| pair.reason == Reason::Failed(Failure::Unused)).count()
    };
    assert_eq!(unused(&alone), 2);
    let request = alone.nominating(1);
    assert_eq!(alone.receive("192.0.2.2:2001", request), Ok(()));
    answering(&mut alone, ms(100), |_, _| false);
    assert_eq!(alone.selected(), Some(address("192.0.2.2:2001")));
    assert_eq!(alone.agent.state(), State::Completed);
}

// RFC 8445 §7.2.5.1. The trap: a lite peer whose answer to a nomination was 487 was never asked again.
#[test]
fn a_nomination_that_a_lite_peer_refuses_with_487_is_repeated() {
    let mut alone = Alone::new(config(1, Role::Controlling));
    let credentials = Credentials::new("peer", PASSWORD).unwrap();
    let parameters = Parameters { lite: true, ..Parameters::new(credentials) };
    alone.agent.set_remote_parameters(parameters, alone.now);
    alone.candidate("192.0.2.2:2000", 2);
    let nominates = |_, bytes: &[u8]| raw::attribute(bytes, raw::USE_CANDIDATE).is_some();
    answering(&mut alone, ms(20), nominates);
    let (_, nomination) = alone.next_check();
    assert!(nominates(address("192.0.2.2:2000"), &nomination));
    assert_eq!(alone.receive("192.0.2.2:2000", raw::error(&nomination, 487, PASSWORD)), Ok(()));
    assert_eq!(alone.agent.role(), Role::Controlling);
    answering(&mut alone, ms(500), |_, _| false);
    assert_eq!(alone.agent.state(), State::Completed);
}

// The trap: after a failure nothing of before was known, so that a late copy of the old description was the answer.
#[test]
fn an_echo_of_old_parameters_does_not_answer_a_restart() {
    let mut alone = Alone::full(Role::Controlling);
    alone.candidate("192.0.2.2:2000", 1);
    answering(&mut alone, ms(100), |_, _| false);
    alone.pass(seconds(40));
    assert_eq!(alone.agent.state(), State::Failed(Failed::ConsentExpired));
    alone.agent.restart(alone.now);
    let parameters = |ufrag| Parameters::new(Credentials::new(ufrag, PASSWORD).unwrap());
    assert_eq!(alone.agent.set_remote_parameters(parameters("peer"), alone.now), Change::Same);
    let ours = alone.agent.local_parameters();
    assert_eq!(alone.agent.set_remote_parameters(parameters("peer2"), alone.now), Change::First);
    assert_eq!(alone.agent.local_parameters(), ours, "no second restart");
}

// The trap: a socket gives the scope of a link-local address, and a candidate line does not.
#[test]
fn a_link_local_peer_answers_with_the_scope_that_its_socket_adds() {
    let mut alone = Alone::new(config(1, Role::Controlling));
    let flow = FlowId(9);
    alone.agent.add_local_candidate(LocalCandidate::host(flow, address("[fe80::1%3]:1000")), alone.now).unwrap();
    alone.parameters(false);
    alone.agent.add_remote_candidate("candidate:1 1 udp 1 fe80::2 2000 typ host".parse().unwrap(), alone.now);
    let (to, check) = alone.next_check();
    assert_eq!(to, address("[fe80::2]:2000"));
    let mut bytes = raw::success(&check, [192, 0, 2, 1], 1000, PASSWORD);
    let (local, remote) = (address("[fe80::1%3]:1000"), address("[fe80::2%3]:2000"));
    let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
    assert_eq!(alone.agent.handle_datagram(datagram, alone.now), Handled::Consumed);
    assert_eq!(alone.selected(), Some(to));
}

// The trap: who knows the host's address checks it, and media goes where it must not.
#[test]
fn relayed_only_takes_no_check_at_the_host() {
    let mut alone = Alone::new(Config { policy: Policy::RelayedOnly, ..config(1, Role::Controlled) });
    alone.parameters(false);
    let request = alone.nominating(1);
    assert_eq!(alone.receive("192.0.2.2:2000", request), Err(DropReason::UnknownFlow));
    alone.pass(ms(500));
    assert_eq!((alone.sent(), alone.selected()), (vec![], None));
}

// The trap: a peer that moves for ever, and a caller that does not look at events for as long.
#[test]
fn events_of_addresses_that_are_gone_are_not_kept() {
    let mut alone = Alone::lite();
    for port in 1..=500u16 {
        let request = alone.nominating(port as u8);
        assert_eq!(alone.receive(&format!("192.0.2.2:{port}"), request), Ok(()));
        alone.sent();
        alone.pass(ms(6000));
    }
    let events = std::iter::from_fn(|| alone.agent.poll_event());
    assert_eq!(events.filter(|event| matches!(event, Event::Heard { .. })).count(), 16);
}

#[test]
fn secrets_do_not_show() {
    let shown = format!("{:?}", config(77, Role::Controlling));
    assert!(!shown.contains("77") && shown.contains("pairs_max: 100"), "{shown}");
}
