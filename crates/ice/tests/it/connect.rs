//! How fast a pair is usable, which one it is, and that both sides agree.

use plenary_ice::{CandidateKind, Config, Event, Policy, Role, State};

use crate::lab::{A, B, Lab, address, config, lite_config, ms};
use crate::life::settled_on_a_relay;

#[test]
fn two_full_agents_are_usable_after_one_round_trip() {
    let mut lab = Lab::full();
    assert!(lab.until(ms(1000), Lab::is_complete));
    assert!(lab.usable_after(A).unwrap() <= ms(101), "controlling: {:?}", lab.usable_after(A));
    assert!(lab.usable_after(B).unwrap() <= ms(151), "controlled: {:?}", lab.usable_after(B));
    assert_eq!(lab.selected(A), Some((address("192.0.2.1:1000"), address("192.0.2.2:2000"))));
    assert_eq!(lab.selected(B), Some((address("192.0.2.2:2000"), address("192.0.2.1:1000"))));
    assert_eq!(lab.states(A), [State::Checking, State::Connected, State::Completed]);
    assert_eq!(lab.agents[A].selected().unwrap().rtt, Some(ms(100)));
}

#[test]
fn the_controlled_side_is_usable_in_time_when_it_learns_candidates_by_checks_alone() {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.parameters();
    lab.candidates(B);
    assert!(lab.until(ms(1000), Lab::is_complete));
    assert!(lab.usable_after(A).unwrap() <= ms(101));
    assert!(lab.usable_after(B).unwrap() <= ms(151));
    assert_eq!(lab.agents[B].selected().unwrap().remote_kind, CandidateKind::PeerReflexive);
}

#[test]
fn a_lite_agent_is_usable_after_one_and_a_half_round_trips() {
    let mut lab = Lab::lite();
    assert!(lab.until(ms(1000), Lab::is_complete));
    assert!(lab.usable_after(A).unwrap() <= ms(101));
    assert!(lab.usable_after(B).unwrap() <= ms(151));
    assert_eq!((lab.agents[A].role(), lab.agents[B].role()), (Role::Controlling, Role::Controlled));
}

#[test]
fn a_full_agent_beside_a_lite_one_controls_whatever_it_was_told() {
    let mut lab = Lab::new(config(1, Role::Controlled), lite_config(2));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.signal();
    assert!(lab.until(ms(1000), Lab::is_complete));
    assert_eq!(lab.agents[A].role(), Role::Controlling);
}

#[test]
fn only_relays_that_work_are_usable_after_one_round_trip_and_25_ms() {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    lab.host(A, 1, "10.0.0.1:1000");
    lab.host(B, 2, "10.9.0.2:2000");
    lab.relay(A, 3, "198.51.100.1:3000");
    lab.relay(B, 4, "198.51.100.2:4000");
    lab.cut = Some(Box::new(|packet| ![packet.from, packet.to].iter().all(|it| it.to_string().starts_with("198"))));
    lab.signal();
    assert!(lab.until(ms(5000), Lab::is_usable));
    assert!(lab.usable_after(A).unwrap() <= ms(125), "{:?}", lab.usable_after(A));
    assert!(lab.usable_after(B).unwrap() <= ms(125), "{:?}", lab.usable_after(B));
    assert!(lab.until(ms(5000), Lab::is_complete));
    assert_eq!(lab.selected(A), Some((address("198.51.100.1:3000"), address("198.51.100.2:4000"))));
}

/// Two sides whose relays alone reach each other, with as many hosts each as told.
fn relays_among_hosts(hosts: u32) -> Lab {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    for number in 1..=hosts {
        lab.host(A, number, &format!("10.0.0.{number}:1000"));
        lab.host(B, number, &format!("10.9.0.{number}:2000"));
    }
    lab.relay(A, 100, "198.51.100.1:3000");
    lab.relay(B, 100, "198.51.100.2:4000");
    lab.cut = Some(Box::new(|packet| ![packet.from, packet.to].iter().all(|it| it.to_string().starts_with("198"))));
    lab
}

#[test]
fn relays_do_not_wait_for_many_better_pairs() {
    for (hosts, better) in [(6, 36 + 12), (9, 81 + 18)] {
        let mut lab = relays_among_hosts(hosts);
        lab.signal();
        assert_eq!(lab.agents[A].explain().pairs.len(), better + 1);
        assert!(lab.until(ms(5000), Lab::is_usable));
        for agent in [A, B] {
            assert!(lab.usable_after(agent).unwrap() <= ms(125), "{:?}", lab.usable_after(agent));
        }
    }
}

#[test]
fn a_relay_that_comes_late_does_not_wait_either() {
    let mut lab = relays_among_hosts(6);
    lab.parameters();
    for agent in [A, B] {
        let (candidates, now) = (lab.agents[agent].local_candidates(), lab.now);
        for candidate in &candidates[..6] {
            lab.agents[1 - agent].add_remote_candidate(candidate.clone(), now);
        }
    }
    lab.run(ms(40));
    let begun = lab.now - lab.start;
    lab.signal();
    assert!(lab.until(ms(5000), Lab::is_usable));
    for agent in [A, B] {
        assert!(lab.usable_after(agent).unwrap() - begun <= ms(125), "{:?}", lab.usable_after(agent));
    }
}

// The trap: a table full of better pairs has no place for the one that works.
#[test]
fn a_full_table_has_a_place_for_relays() {
    let mut lab = relays_among_hosts(12);
    lab.signal();
    let explained = lab.agents[A].explain();
    assert_eq!((explained.pairs.len(), explained.pairs_left_out), (100, 144 + 24 + 1 - 100));
    assert!(lab.until(ms(5000), Lab::is_usable));
    assert_eq!(lab.selected(A), Some((address("198.51.100.1:3000"), address("198.51.100.2:4000"))));
    assert!(lab.usable_after(A).unwrap() <= ms(125));
}

#[test]
fn early_relays_cost_the_first_direct_pairs_nothing() {
    let mut lab = relays_among_hosts(3);
    // The third pair works.
    lab.cut = Some(Box::new(|packet| {
        let ends = [packet.from, packet.to].map(|it| it.to_string());
        !(ends.contains(&"10.0.0.2:1000".to_owned()) && ends.contains(&"10.9.0.1:2000".to_owned()))
    }));
    lab.signal();
    let pairs = lab.agents[A].explain().pairs;
    assert_eq!((pairs[2].local, pairs[2].remote), (address("10.0.0.2:1000"), address("10.9.0.1:2000")));
    assert!(lab.until(ms(5000), Lab::is_usable));
    assert!(lab.usable_after(A).unwrap() <= ms(110), "two better ones cost 5 ms each: {:?}", lab.usable_after(A));
}

/// The 95th percentile over 200 seeds of when both sides are usable, at 20 % loss and an RTT of `rtt` ms.
fn lossy_p95(rtt: u64, lite: bool) -> u64 {
    let mut times: Vec<_> = (0..200u8)
        .map(|seed| {
            let b = if lite { lite_config(seed ^ 0x55) } else { config(seed ^ 0x55, Role::Controlled) };
            let mut lab = Lab::new(config(seed, Role::Controlling), b);
            (lab.loss, lab.delay) = (200, ms(rtt) / 2);
            lab.host(A, 1, "192.0.2.1:1000");
            lab.host(B, 2, "192.0.2.2:2000");
            lab.signal();
            assert!(lab.until(ms(10_000), Lab::is_usable), "seed {seed}");
            (lab.now - lab.start).as_millis() as u64
        })
        .collect();
    times.sort_unstable();
    times[189]
}

#[test]
fn a_fifth_of_all_packets_lost_costs_little() {
    for rtt in [2, 50, 100, 300] {
        for lite in [false, true] {
            let p95 = lossy_p95(rtt, lite);
            assert!(p95 <= 3 * rtt + 250, "RTT {rtt} ms, lite {lite}: {p95} ms");
        }
    }
}

#[test]
fn loss_reordering_and_duplicates_together_still_connect() {
    for seed in 0..50 {
        let mut lab = Lab::new(config(seed, Role::Controlling), config(seed + 100, Role::Controlled));
        (lab.loss, lab.reorder, lab.duplicate) = (300, true, true);
        lab.host(A, 1, "192.0.2.1:1000");
        lab.host(B, 2, "192.0.2.2:2000");
        lab.signal();
        assert!(lab.until(ms(10_000), Lab::is_complete), "seed {seed}");
    }
}

#[test]
fn a_direct_pair_replaces_a_relayed_one() {
    for renomination in [true, false] {
        let with = |seed, role| Config { renomination, ..config(seed, role) };
        let mut lab = Lab::new(with(1, Role::Controlling), with(2, Role::Controlled));
        lab.relay(A, 3, "198.51.100.1:3000");
        lab.host(A, 1, "192.0.2.1:1000");
        lab.host(B, 2, "192.0.2.2:2000");
        lab.parameters();
        // The relayed path first, as when the others come late.
        let candidates: Vec<_> = lab.agents[A].local_candidates();
        lab.agents[B].add_remote_candidate(candidates[0].clone(), lab.now);
        lab.candidates(B);
        lab.agents[B].add_remote_candidate(candidates[1].clone(), lab.now);
        assert!(lab.until(ms(2000), Lab::is_complete));
        lab.run(ms(1000));
        assert_eq!(lab.selected(A), Some((address("192.0.2.1:1000"), address("192.0.2.2:2000"))));
        assert_eq!(lab.selected(B), Some((address("192.0.2.2:2000"), address("192.0.2.1:1000"))));
    }
}

#[test]
fn with_renomination_a_late_better_path_is_taken_within_two_round_trips() {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    lab.relay(A, 3, "198.51.100.1:3000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.signal();
    assert!(lab.until(ms(2000), Lab::is_complete));
    lab.run(ms(10_000));
    let begun = lab.now;
    lab.host(A, 1, "192.0.2.1:1000");
    lab.candidates(A);
    let direct = |lab: &Lab| {
        lab.selected(A).unwrap().0 == address("192.0.2.1:1000")
            && lab.selected(B).unwrap().1 == address("192.0.2.1:1000")
    };
    assert!(lab.until(ms(1000), direct));
    assert!(lab.now - begun <= ms(205), "{:?}", lab.now - begun);
}

#[test]
fn no_packet_is_lost_on_the_way_from_the_first_pair_to_the_best() {
    for (seed, lite) in (0..5).flat_map(|seed| [(seed, false), (seed, true)]) {
        let b = if lite { lite_config(seed + 100) } else { config(seed + 100, Role::Controlled) };
        let mut lab = Lab::new(config(seed, Role::Controlling), b);
        lab.relay(A, 3, "198.51.100.1:3000");
        lab.host(B, 2, "192.0.2.2:2000");
        lab.signal();
        let mut sent = 0;
        for millisecond in 0..2000 {
            if millisecond == 300 {
                lab.host(A, 1, "192.0.2.1:1000");
                lab.candidates(A);
            }
            for agent in [A, B] {
                if let Some(pair) = lab.agents[agent].selected() {
                    lab.send(agent, pair.flow, pair.remote, vec![0x80, 96]);
                    sent += 1;
                }
            }
            lab.run(ms(1));
        }
        lab.run(ms(100));
        assert_eq!(lab.media, sent, "seed {seed}, lite {lite}");
        assert_eq!(lab.selected(A).unwrap().0, address("192.0.2.1:1000"));
        assert_eq!(lab.selected(B).unwrap().1, address("192.0.2.1:1000"));
    }
}

#[test]
fn without_renomination_there_is_one_nomination() {
    let lab = settled_on_a_relay();
    assert_eq!(lab.selected(A).unwrap().0, address("198.51.100.1:3000"), "RFC 8445 §8.1.1: a restart is needed");
    assert_eq!(lab.selected(B).unwrap().1, address("198.51.100.1:3000"));
}

#[test]
fn two_agents_behind_nats_meet_by_reflexive_candidates() {
    let servers = vec![address("203.0.113.9:3478")];
    let with = |seed, role| Config { stun_servers: servers.clone(), ..config(seed, role) };
    let mut lab = Lab::new(with(1, Role::Controlling), with(2, Role::Controlled));
    lab.stun_servers = servers.clone();
    lab.natted(A, 1, "10.0.0.1:1000", "203.0.113.1:5001");
    lab.natted(B, 2, "10.0.0.2:2000", "203.0.113.2:5002");
    for agent in [A, B] {
        let now = lab.now;
        lab.agents[agent].end_local_candidates(now);
    }
    lab.run(ms(200));
    let gathered = |event: &Event| matches!(event, Event::GatheringComplete);
    assert_eq!(lab.events.iter().filter(|(_, _, event)| gathered(event)).count(), 2);
    lab.signal();
    assert!(lab.until(ms(1000), Lab::is_complete));
    assert_eq!(lab.selected(A), Some((address("10.0.0.1:1000"), address("203.0.113.2:5002"))));
    assert_eq!(lab.agents[A].selected().unwrap().local_kind, CandidateKind::ServerReflexive);
    assert_eq!(lab.selected(B), Some((address("10.0.0.2:2000"), address("203.0.113.1:5001"))));
}

#[test]
fn relayed_only_tells_no_other_address() {
    let only = Config { policy: Policy::RelayedOnly, ..config(1, Role::Controlling) };
    let mut lab = Lab::new(only, config(2, Role::Controlled));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.relay(A, 3, "198.51.100.1:3000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.signal();
    assert_eq!(lab.agents[A].local_candidates().len(), 1);
    assert!(lab.until(ms(2000), Lab::is_complete));
    assert_eq!(lab.selected(B).unwrap().1, address("198.51.100.1:3000"));
}

#[test]
fn a_connection_takes_few_packets() {
    let mut lab = Lab::full();
    assert!(lab.until(ms(1000), Lab::is_complete));
    assert!(lab.packets_sent <= 16, "{} packets", lab.packets_sent);
}
