//! Paths that end, and paths that come back.

use std::time::Duration;

use plenary_ice::{Failed, LocalCandidate, State, TcpType};
use plenary_wire::{Datagram, Ecn, FlowId, Handled};

use crate::alone::{Alone, FLOW};
use crate::lab::{A, B, Lab, address, lite_config};

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
    alone.agent.handle_accepted(stream, listener).unwrap();
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
