//! Restart, consent, failover, roles, and the end.

use std::time::Duration;

use plenary_ice::{Change, Config, Event, Failed, Failure, Reason, Role, State};
use plenary_wire::FlowId;

use crate::lab::{A, B, Lab, address, config, lite_config, ms};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two hosts on each side, so that there are other pairs to go to.
fn two_paths(a: Config, b: Config) -> Lab {
    let mut lab = Lab::new(a, b);
    lab.host(A, 1, "192.0.2.1:1000");
    lab.host(A, 3, "198.51.100.1:3000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.signal();
    assert!(lab.until(ms(2000), Lab::is_complete));
    lab.run(ms(3000));
    assert_eq!(lab.selected(A).unwrap().0, address("192.0.2.1:1000"));
    lab
}

fn cut_address(lab: &mut Lab, dead: &'static str) {
    lab.cut = Some(Box::new(move |packet| [packet.from, packet.to].contains(&address(dead))));
}

#[test]
fn a_dead_pair_is_left_within_one_and_a_half_seconds() {
    for renomination in [true, false] {
        for phase in 0..10 {
            let with = |seed, role| Config { renomination, ..config(seed, role) };
            let mut lab = two_paths(with(1, Role::Controlling), with(2, Role::Controlled));
            lab.run(ms(50 * phase));
            let begun = lab.now;
            cut_address(&mut lab, "192.0.2.1:1000");
            let moved = |lab: &Lab| {
                let other = address("198.51.100.1:3000");
                lab.selected(A).is_some_and(|it| it.0 == other) && lab.selected(B).is_some_and(|it| it.1 == other)
            };
            assert!(lab.until(seconds(5), moved), "renomination {renomination}, phase {phase}");
            assert!(lab.now - begun <= ms(1500), "{:?} at phase {phase}", lab.now - begun);
            assert!(lab.until(seconds(2), Lab::is_complete));
            lab.run(seconds(60));
            assert!(moved(&lab), "and it stays there");
        }
    }
}

#[test]
fn the_controlled_side_comes_back_to_what_the_other_never_left() {
    for renomination in [true, false] {
        let with = |seed, role| Config { renomination, ..config(seed, role) };
        let mut lab = two_paths(with(1, Role::Controlling), with(2, Role::Controlled));
        let on = |lab: &Lab, at| lab.selected(B).is_some_and(|it| it.1 == address(at));
        // All that B asks on the pair is lost, and nothing else.
        lab.cut = Some(Box::new(|packet| packet.to == address("192.0.2.1:1000") && packet.bytes[..2] == [0, 1]));
        assert!(lab.until(seconds(3), |lab| on(lab, "198.51.100.1:3000")));
        assert_eq!(lab.selected(A).unwrap().0, address("192.0.2.1:1000"), "A is answered");
        lab.run(seconds(12));
        assert!(on(&lab, "198.51.100.1:3000"), "not before it answers");
        lab.cut = None;
        lab.run(seconds(14));
        assert!(on(&lab, "192.0.2.1:1000"));
        assert!(lab.is_complete());
    }
}

#[test]
fn a_dead_pair_beside_a_lite_agent_is_left_too() {
    let mut lab = two_paths(config(1, Role::Controlling), lite_config(2));
    let begun = lab.now;
    cut_address(&mut lab, "192.0.2.1:1000");
    let other = address("198.51.100.1:3000");
    assert!(lab.until(seconds(5), |lab| lab.selected(A).is_some_and(|it| it.0 == other)));
    assert!(lab.now - begun <= ms(1500));
    assert!(lab.until(ms(200), |lab| lab.selected(B).is_some_and(|it| it.1 == other)), "the lite side follows");
}

#[test]
fn a_fifth_of_all_packets_lost_is_no_reason_to_leave() {
    let mut lab = two_paths(config(1, Role::Controlling), config(2, Role::Controlled));
    lab.events.clear();
    lab.loss = 200;
    lab.run(seconds(60));
    let moves = lab.events.iter().filter(|(_, _, event)| matches!(event, Event::Selected(_))).count();
    assert!(moves <= 4, "{moves} moves in a minute");
    assert!(lab.is_usable());
}

// RFC 7675 §5.1.
#[test]
fn consent_expires_30_seconds_after_the_last_answer() {
    let mut lab = Lab::full();
    assert!(lab.until(ms(1000), Lab::is_complete));
    lab.run(seconds(10));
    lab.cut = Some(Box::new(|_| true));
    let begun = lab.now;
    assert!(lab.until(seconds(40), |lab| lab.agents[A].selected().is_none()));
    let after = lab.now - begun;
    assert!((ms(29_000)..=ms(30_100)).contains(&after), "{after:?}");
    assert_eq!(lab.agents[A].state(), State::Failed(Failed::ConsentExpired));
    assert!(lab.states(A).contains(&State::Disconnected), "which was told before");
    let sent = lab.packets_sent;
    lab.run(seconds(5));
    lab.packets_sent = 0;
    lab.run(seconds(60));
    assert_eq!(lab.packets_sent, 0, "nothing is sent any more ({sent} before)");
}

// RFC 7675 §5.1: each interval is drawn anew, from 4 to 6 s, and no check is sent again.
#[test]
fn consent_checks_come_every_4_to_6_seconds() {
    let with = |seed, role| Config { liveness: None, ..config(seed, role) };
    let mut lab = Lab::new(with(1, Role::Controlling), lite_config(2));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.signal();
    assert!(lab.until(ms(1000), Lab::is_complete));
    let mut at = Vec::new();
    let mut seen = lab.agents[B].explain().pairs[0].requests;
    for _ in 0..6000 {
        lab.run(ms(10));
        let requests = lab.agents[B].explain().pairs[0].requests;
        if requests != seen {
            assert_eq!(requests, seen + 1);
            (seen, _) = (requests, at.push(lab.now));
        }
    }
    let gaps: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= 9, "{gaps:?}");
    assert!(gaps.iter().all(|gap| (ms(3990)..=ms(6010)).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().max().unwrap().abs_diff(*gaps.iter().min().unwrap()) > ms(200), "they differ: {gaps:?}");
}

// RFC 7675 §5.2.
#[test]
fn consent_revoked_with_403_ends_sending_at_once() {
    let mut lab = Lab::full();
    assert!(lab.until(ms(1000), Lab::is_complete));
    lab.agents[B].revoke();
    assert_eq!(lab.agents[B].state(), State::Failed(Failed::ConsentRevoked));
    assert_eq!(lab.selected(B), None);
    assert!(lab.until(ms(700), |lab| lab.agents[A].selected().is_none()), "with the next liveness check");
    assert_eq!(lab.agents[A].state(), State::Failed(Failed::ConsentRevoked));
    assert_eq!(lab.agents[A].explain().pairs[0].state, plenary_ice::PairState::Failed);
    lab.packets_sent = 0;
    lab.run(seconds(20));
    assert_eq!(lab.packets_sent, 0);
}

#[test]
fn a_lite_agent_lives_by_media_alone() {
    let mut lab = Lab::lite();
    assert!(lab.until(ms(1000), Lab::is_complete));
    lab.cut = Some(Box::new(|_| true));
    for _ in 0..60 {
        lab.run(seconds(1));
        let now = lab.now;
        lab.agents[B].note_authenticated(FlowId(2), address("192.0.2.1:1000"), now);
        assert_eq!(lab.agents[B].state(), State::Completed);
    }
    lab.run(seconds(7));
    assert_eq!(lab.agents[B].state(), State::Disconnected);
    assert!(lab.selected(B).is_some(), "but it goes on sending");
    let now = lab.now;
    lab.agents[B].note_authenticated(FlowId(2), address("192.0.2.1:1000"), now);
    assert_eq!(lab.agents[B].state(), State::Completed);
    lab.run(ms(30_001));
    assert_eq!(lab.agents[B].state(), State::Failed(Failed::ConsentExpired));
}

#[test]
fn media_from_an_unproven_address_is_no_sign_of_life() {
    let mut lab = Lab::lite();
    assert!(lab.until(ms(1000), Lab::is_complete));
    let (flow, known, other) = (FlowId(2), address("192.0.2.1:1000"), address("192.0.2.1:1001"));
    assert!(lab.agents[B].is_proven(flow, known) && !lab.agents[B].is_proven(flow, other));
    assert!(!lab.agents[B].is_proven(FlowId(9), known));
    lab.cut = Some(Box::new(|_| true));
    for _ in 0..31 {
        lab.run(seconds(1));
        let now = lab.now;
        lab.agents[B].note_authenticated(flow, other, now);
    }
    assert_eq!(lab.agents[B].state(), State::Failed(Failed::ConsentExpired));
}

#[test]
fn a_year_of_silence_is_survived() {
    for lite in [false, true] {
        let mut lab = if lite { Lab::lite() } else { Lab::full() };
        assert!(lab.until(ms(1000), Lab::is_complete));
        // The caller slept: no timer was served, and then all come at once.
        lab.now += seconds(365 * 24 * 3600);
        let now = lab.now;
        for agent in &mut lab.agents {
            agent.handle_timeout(now);
        }
        assert_eq!(lab.agents[B].state(), State::Failed(Failed::ConsentExpired));
        for agent in [A, B] {
            lab.agents[agent].restart(now);
        }
        lab.signal();
        assert!(lab.until(ms(1000), Lab::is_complete), "a restart heals it");
    }
}

#[test]
fn a_year_of_talk_stays_bounded() {
    let with = |seed, role| Config { liveness: None, ..config(seed, role) };
    let mut lab = Lab::new(with(1, Role::Controlling), with(2, Role::Controlled));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.signal();
    lab.run(seconds(24 * 3600));
    assert!(lab.is_complete());
    assert_eq!(lab.agents[A].explain().pairs.len(), 1);
    assert!(lab.events.len() < 20, "{} events", lab.events.len());
}

#[test]
fn a_clock_that_jumps_back_harms_nothing() {
    let mut lab = Lab::full();
    assert!(lab.until(ms(1000), Lab::is_complete));
    lab.run(seconds(20));
    let before = lab.now - seconds(15);
    for agent in &mut lab.agents {
        agent.handle_timeout(before);
    }
    lab.run(seconds(60));
    assert!(lab.is_complete());
}

// RFC 8445 §9.
#[test]
fn the_old_pair_goes_on_until_the_new_generation_has_one() {
    let mut lab = Lab::full();
    assert!(lab.until(ms(1000), Lab::is_complete));
    let old = lab.agents[A].local_parameters().credentials;
    let now = lab.now;
    lab.agents[A].restart(now);
    assert_ne!(lab.agents[A].local_parameters().credentials, old);
    assert!(lab.agents[A].selected().is_some());
    lab.run(seconds(40));
    assert!(lab.is_usable(), "consent of the old pair is kept, by the old credentials");
    let echo = lab.agents[B].local_parameters();
    assert_eq!(lab.agents[A].set_remote_parameters(echo, lab.now), Change::Same, "B has not answered yet");
    let parameters = lab.agents[A].local_parameters();
    assert_eq!(lab.agents[B].set_remote_parameters(parameters.clone(), lab.now), Change::Restarted);
    assert_eq!(lab.agents[B].set_remote_parameters(parameters, lab.now), Change::Same);
    let parameters = lab.agents[B].local_parameters();
    assert_eq!(lab.agents[A].set_remote_parameters(parameters, lab.now), Change::First);
    for agent in [A, B] {
        lab.candidates(agent);
    }
    let begun = lab.now;
    let never_silent = |lab: &Lab| {
        assert!(lab.is_usable());
        lab.is_complete()
    };
    assert!(lab.until(ms(1000), never_silent));
    assert!(lab.now - begun <= ms(300));
    assert_eq!(lab.agents[A].explain().pairs.len(), 1);
}

#[test]
fn both_sides_may_restart_at_once() {
    let mut lab = Lab::full();
    assert!(lab.until(ms(1000), Lab::is_complete));
    let now = lab.now;
    for agent in [A, B] {
        lab.agents[agent].restart(now);
    }
    lab.signal();
    lab.run(seconds(2));
    assert!(lab.is_complete());
    lab.run(seconds(60));
    assert!(lab.is_complete());
}

#[test]
fn a_lite_agent_restarts_too() {
    let mut lab = Lab::lite();
    assert!(lab.until(ms(1000), Lab::is_complete));
    let now = lab.now;
    lab.agents[A].restart(now);
    let parameters = lab.agents[A].local_parameters();
    assert_eq!(lab.agents[B].set_remote_parameters(parameters, now), Change::Restarted);
    let parameters = lab.agents[B].local_parameters();
    lab.agents[A].set_remote_parameters(parameters, now);
    lab.candidates(B);
    assert!(lab.is_usable());
    assert!(lab.until(ms(1000), |lab| lab.is_complete()
        && lab.agents[B].explain().pairs.first().is_some_and(|pair| pair.nominated)));
}

// RFC 8445 §7.3.1.1, §7.2.5.1.
#[test]
fn two_agents_of_one_role_settle_it() {
    for role in [Role::Controlling, Role::Controlled] {
        for seed in 0..20 {
            let mut lab = Lab::new(config(seed, role), config(seed + 100, role));
            lab.host(A, 1, "192.0.2.1:1000");
            lab.host(B, 2, "192.0.2.2:2000");
            lab.signal();
            assert!(lab.until(ms(2000), Lab::is_complete), "both {role:?}, seed {seed}");
            assert_eq!(lab.agents[A].role(), lab.agents[B].role().reversed());
            let switches = lab.events.iter().filter(|(_, _, event)| matches!(event, Event::Role(_))).count();
            assert_eq!(switches, 1, "one side switches, once");
        }
    }
}

#[test]
fn two_lite_agents_use_the_best_pair_unseen() {
    let mut lab = Lab::new(Config { role: Role::Controlling, ..lite_config(1) }, lite_config(2));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.signal();
    assert!(lab.until(ms(10), Lab::is_complete));
    assert_eq!(lab.packets_sent, 0);
    assert_eq!(lab.selected(A), Some((address("192.0.2.1:1000"), address("192.0.2.2:2000"))));
    assert_eq!((lab.agents[A].role(), lab.agents[B].role()), (Role::Controlling, Role::Controlled));
}

// RFC 8863 §4.
#[test]
fn nothing_fails_before_patience_is_over() {
    let mut lab = Lab::full();
    lab.cut = Some(Box::new(|_| true));
    for agent in [A, B] {
        let now = lab.now;
        lab.agents[agent].end_remote_candidates(now);
    }
    assert!(!lab.until(ms(39_400), |lab| lab.agents.iter().any(|it| matches!(it.state(), State::Failed(_)))));
    lab.run(ms(200));
    for agent in [A, B] {
        assert_eq!(lab.agents[agent].state(), State::Failed(Failed::NoPair));
    }
}

#[test]
fn a_peer_that_comes_late_but_in_time_is_met() {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.host(B, 2, "192.0.2.2:2000");
    let parameters = lab.agents[B].local_parameters();
    lab.agents[A].set_remote_parameters(parameters, lab.now);
    lab.candidates(B);
    lab.cut = Some(Box::new(|_| true));
    lab.run(seconds(30));
    assert_eq!(lab.agents[A].state(), State::Checking, "all its pairs have failed, but not it");
    lab.cut = None;
    lab.signal();
    assert!(lab.until(ms(1000), Lab::is_complete));
}

#[test]
fn an_agent_without_any_candidates_is_patient_too() {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.parameters();
    lab.run(ms(39_400));
    assert_eq!(lab.agents[A].state(), State::Checking);
    lab.run(ms(200));
    assert_eq!(lab.agents[A].state(), State::Failed(Failed::NoPair));
}

#[test]
fn a_removed_flow_takes_its_pairs_along() {
    let mut lab = two_paths(config(1, Role::Controlling), config(2, Role::Controlled));
    let now = lab.now;
    lab.agents[A].remove_flow(FlowId(1), now).unwrap();
    assert_eq!(lab.agents[A].selected().unwrap().flow, FlowId(3), "at once, to a pair that works");
    assert!(lab.agents[A].remove_flow(FlowId(1), now).is_err());
    lab.agents[A].remove_flow(FlowId(3), now).unwrap();
    assert_eq!(lab.agents[A].selected(), None);
    assert_eq!(lab.agents[A].state(), State::Checking, "there may be new ones");
    lab.host(A, 5, "203.0.113.5:5000");
    lab.candidates(A);
    assert!(lab.until(seconds(3), |lab| lab.agents[A].selected().is_some_and(|it| it.flow == FlowId(5))));
    let explained = lab.agents[A].explain();
    let gone = Reason::Failed(Failure::FlowClosed);
    assert_eq!(explained.pairs.iter().filter(|pair| pair.reason == gone).count(), 2);
}

#[test]
fn a_closed_agent_is_silent() {
    let mut lab = Lab::full();
    assert!(lab.until(ms(1000), Lab::is_complete));
    lab.agents[A].close();
    assert_eq!((lab.agents[A].state(), lab.agents[A].poll_timeout()), (State::Closed, None));
    lab.packets_sent = 0;
    lab.cut = Some(Box::new(|packet| packet.from == address("192.0.2.1:1000")));
    lab.run(seconds(31));
    let now = lab.now;
    lab.agents[A].restart(now);
    assert_eq!(lab.agents[A].state(), State::Closed);
    assert_eq!(lab.agents[B].state(), State::Failed(Failed::ConsentExpired));
}

/// Without renomination: in use is the first pair, through a relay, although a direct one works since.
pub(crate) fn settled_on_a_relay() -> Lab {
    let with = |seed, role| Config { renomination: false, ..config(seed, role) };
    let mut lab = Lab::new(with(1, Role::Controlling), with(2, Role::Controlled));
    lab.relay(A, 3, "198.51.100.1:3000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab.signal();
    assert!(lab.until(ms(2000), Lab::is_complete));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.candidates(A);
    lab.run(seconds(5));
    assert_eq!(lab.selected(B).unwrap().1, address("198.51.100.1:3000"));
    lab
}

// The trap: what was nominated is forgotten with the role, and there is only one nomination.
#[test]
fn who_changes_its_role_and_back_comes_back_to_the_nominated_pair() {
    for agent in [A, B] {
        let mut lab = settled_on_a_relay();
        let role = lab.agents[agent].role();
        for role in [role.reversed(), role] {
            let now = lab.now;
            lab.agents[agent].set_role_to(role, now);
        }
        // One that controls has forgotten it too, and takes the best.
        let expected = if agent == A { "192.0.2.1:1000" } else { "198.51.100.1:3000" };
        lab.run(seconds(1));
        for _ in 0..30 {
            lab.run(seconds(1));
            assert_eq!(lab.selected(A).unwrap().0, address(expected));
            assert_eq!(lab.selected(B).unwrap().1, address(expected));
            assert!(lab.is_complete());
        }
    }
}

// The trap: the controlled side lost consent on the pair that the other nominates, and may not use it again.
#[test]
fn a_nomination_of_a_pair_that_lost_consent_is_refused() {
    let mut lab = two_paths(config(1, Role::Controlling), config(2, Role::Controlled));
    // What B asks on the second path is lost, and nothing else.
    lab.cut = Some(Box::new(|packet| packet.to == address("198.51.100.1:3000") && packet.bytes[..2] == [0, 1]));
    lab.run(seconds(40));
    lab.agents[A].remove_flow(FlowId(1), lab.now).unwrap();
    assert_eq!(lab.selected(A).unwrap().0, address("198.51.100.1:3000"));
    lab.run(ms(300));
    assert_eq!(lab.selected(A), None, "B can't go there too");
    let revoked = Reason::Failed(Failure::ConsentRevoked);
    assert!(lab.agents[A].explain().pairs.iter().any(|pair| pair.reason == revoked));
    lab.run(seconds(60));
    assert!(lab.agents.iter().all(|agent| matches!(agent.state(), State::Failed(_))));
}

// The trap: an agent that had failed went on answering, so that the other side stayed alone on the pair.
#[test]
fn when_one_side_fails_the_other_does() {
    for lite in [false, true] {
        let mut lab = if lite { Lab::lite() } else { Lab::full() };
        assert!(lab.until(ms(1000), Lab::is_complete));
        let (failing, other) = if lite { (B, A) } else { (A, B) };
        let from = lab.sockets[other].address;
        // A full agent lacks the answers of the other, a lite one its checks.
        let kind = if lite { 0 } else { 1 };
        lab.cut = Some(Box::new(move |packet| packet.from == from && packet.bytes[0] == kind));
        lab.until(seconds(31), |lab| matches!(lab.agents[failing].state(), State::Failed(_)));
        assert_eq!(lab.agents[failing].state(), State::Failed(Failed::ConsentExpired));
        lab.cut = None;
        lab.run(seconds(2));
        assert!(matches!(lab.agents[other].state(), State::Failed(_)), "lite {lite}");
        assert_eq!(lab.selected(other), None);
    }
}

// The trap: a nomination of before a restart that got no answer ended its pair, but not its use.
#[test]
fn the_pair_of_before_a_restart_ends_with_its_nomination() {
    let mut lab = Lab::full();
    assert!(lab.until(ms(150), |lab| lab.agents[A].selected().is_some()));
    lab.run(ms(1));
    lab.cut = Some(Box::new(|_| true));
    lab.agents[A].restart(lab.now);
    assert!(lab.agents[A].selected().is_some());
    lab.run(seconds(11));
    assert_eq!(lab.selected(A), None);
    assert_eq!(lab.agents[A].state(), State::New, "it waits for the answer to its restart");
}
