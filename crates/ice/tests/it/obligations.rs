//! Lines of the RFCs that need a test of their own, and are no story.

use plenary_ice::{Candidate, CandidateKind, Config, Credentials, LocalCandidate, Parameters, Role, State, Taken};
use plenary_wire::FlowId;

use crate::alone::{Alone, PASSWORD};
use crate::lab::{address, config, lite_config, ms};
use crate::raw;

// RFC 8445 §5.1.2.1 and §5.1.2.2: one for each type, from 0 to 126, and peer-reflexive above server-reflexive.
#[test]
fn each_type_has_its_preference() {
    use CandidateKind::{Host, PeerReflexive, Relayed, ServerReflexive};
    let preferences = [Host, PeerReflexive, ServerReflexive, Relayed].map(CandidateKind::preference);
    assert_eq!(preferences, [126, 110, 100, 0]);
}

// RFC 8445 §5.2.
#[test]
fn a_lite_agent_ranks_its_candidates_too() {
    let mut alone = Alone::lite();
    alone.agent.add_local_candidate(LocalCandidate::host(FlowId(7), address("[2001:db8::1]:1000")), alone.now).unwrap();
    let told = alone.agent.local_candidates();
    assert_eq!(told.iter().map(|it| it.priority >> 24).collect::<Vec<_>>(), [126, 126]);
    assert!(told[1].priority > told[0].priority, "IPv6 is preferred");
    assert_ne!(told[0].foundation, told[1].foundation);
}

// RFC 8445 §5.1.1.2 and §14.2: no more than one transaction each Ta, questions to servers too.
#[test]
fn questions_to_servers_keep_to_the_pacing() {
    let stun_servers = (1..=8).map(|host| address(&format!("203.0.113.{host}:3478"))).collect();
    let mut alone = Alone::new(Config { stun_servers, pacing: ms(20), ..config(1, Role::Controlling) });
    let mut asked = Vec::new();
    for at in 0..160 {
        asked.extend(alone.sent().into_iter().map(|(to, _)| (to, at)));
        alone.pass(ms(1));
    }
    let mut known = Vec::new();
    asked.retain(|(to, _)| !known.contains(to) && (known.push(*to), true).1);
    let times: Vec<_> = asked.iter().map(|(_, at)| *at).collect();
    assert_eq!(times, [0, 20, 40, 60, 80, 100, 120, 140]);
}

// RFC 8445 §16.1: one tie-breaker in all checks, until a 487 changes it.
#[test]
fn all_checks_have_one_tie_breaker() {
    let mut alone = Alone::full(Role::Controlling);
    for port in 1..=10 {
        alone.candidate(&format!("192.0.2.2:{port}"), port);
    }
    let mut seen = Vec::new();
    for _ in 0..20 {
        seen.push(raw::attribute(&alone.next_check().1, raw::ICE_CONTROLLING).unwrap());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1);
}

// RFC 8445 §7.1.2.
#[test]
fn a_controlled_agent_sends_no_use_candidate() {
    let mut alone = Alone::full(Role::Controlled);
    alone.candidate("192.0.2.2:2000", 1);
    for number in 1..=3 {
        let (_, request) = alone.next_check();
        assert_eq!(raw::attribute(&request, raw::USE_CANDIDATE), None);
        assert!(raw::attribute(&request, raw::ICE_CONTROLLED).is_some());
        let response = raw::success(&request, [192, 0, 2, 1], 1000, PASSWORD);
        assert_eq!(alone.receive("192.0.2.2:2000", response), Ok(()));
        let nominating = alone.nominating(number);
        assert_eq!(alone.receive("192.0.2.2:2000", nominating), Ok(()));
    }
    assert_eq!(alone.agent.state(), State::Completed);
}

// RFC 8445 §8.1.2: what is nominated does not end the answers to other checks.
#[test]
fn checks_on_other_pairs_are_answered_after_nomination() {
    let mut alone = Alone::lite();
    let nominating = alone.nominating(1);
    assert_eq!(alone.receive("192.0.2.2:2000", nominating), Ok(()));
    assert_eq!((alone.agent.state(), alone.answers()), (State::Completed, vec![0]));
    for (number, from) in (2..).zip(["192.0.2.2:2000", "192.0.2.3:2000", "198.51.100.7:9"]) {
        let request = alone.signed(number);
        assert_eq!(alone.receive(from, request), Ok(()));
        assert_eq!(alone.answers(), [0], "{from}");
    }
}

// RFC 8445 §6.1.1 and §9, RFC 8839 §4.4.1.1.1: a restart changes the credentials and nothing else of the agent.
#[test]
fn a_restart_keeps_role_and_options() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut alone = Alone::full(role);
        let before = alone.agent.local_parameters();
        alone.agent.restart(alone.now);
        let after = alone.agent.local_parameters();
        assert_eq!(alone.agent.role(), role);
        assert_ne!(before.credentials, after.credentials);
        assert_eq!(Parameters { credentials: after.credentials.clone(), ..before }, after);
    }
}

// RFC 8839 §4.3.1, §5.4: a lite agent has no pacing, a full one has; and both a short ufrag.
#[test]
fn parameters_fit_the_mode() {
    let (full, lite) = (Alone::full(Role::Controlling), Alone::new(lite_config(1)));
    let (full, lite) = (full.agent.local_parameters(), lite.agent.local_parameters());
    assert_eq!((full.lite, full.pacing), (false, Some(ms(5))));
    assert_eq!((lite.lite, lite.pacing), (true, None));
    for parameters in [full, lite] {
        let lines: Vec<_> = parameters.attributes().iter().map(ToString::to_string).collect();
        assert!(lines.iter().any(|line| line.starts_with("ice-options:") && line.contains("ice2")), "{lines:?}");
        assert!(parameters.credentials.ufrag().len() <= 32);
    }
}

// RFC 8839 §5.1 and §9.1: a related address for all but hosts, and of a relay one that tells nothing: port 9.
#[test]
fn a_relay_tells_no_address_behind_it() {
    let mut alone = Alone::full(Role::Controlling);
    for (flow, at) in [(7, "198.51.100.1:3000"), (8, "[2001:db8::1]:3000")] {
        alone.agent.add_local_candidate(LocalCandidate::relayed(FlowId(flow), address(at)), alone.now).unwrap();
    }
    let related: Vec<_> = alone.agent.local_candidates().into_iter().map(|it| it.related).collect();
    assert_eq!(related, [None, Some(address("0.0.0.0:9").into()), Some(address("[::]:9").into())]);
}

// RFC 8838 §10 and §11: where there is no room, pairs that have failed go first.
#[test]
fn failed_pairs_make_room_before_others() {
    let mut alone = Alone::new(Config { pairs_max: 2, ..config(1, Role::Controlling) });
    alone.parameters(false);
    alone.candidate("192.0.2.2:1", 9);
    let (_, request) = alone.next_check();
    assert_eq!(alone.receive("192.0.2.2:1", raw::error(&request, 500, PASSWORD)), Ok(()));
    alone.candidate("192.0.2.2:2", 5);
    alone.candidate("192.0.2.2:3", 1);
    let ports: Vec<_> = alone.agent.explain().pairs.iter().map(|pair| pair.remote.port()).collect();
    assert_eq!(ports, [2, 3], "that of the highest priority had failed");
}

// RFC 8838 §12: a pair that is there already is not there twice, whatever type it is told to be.
#[test]
fn a_candidate_that_is_told_twice_makes_one_pair() {
    let mut alone = Alone::full(Role::Controlling);
    let tell = |alone: &mut Alone, kind: &str| {
        let line = format!("candidate:1 1 udp 7 192.0.2.2 2000 typ {kind}");
        alone.agent.add_remote_candidate(line.parse::<Candidate>().unwrap(), alone.now)
    };
    assert_eq!([tell(&mut alone, "host"), tell(&mut alone, "srflx")], [Taken::Added, Taken::Known]);
    assert_eq!(alone.agent.explain().pairs.len(), 1);
}

// RFC 8839 §5.4: up to 256 characters are taken from a peer.
#[test]
fn a_peer_with_the_longest_credentials_is_checked() {
    let mut alone = Alone::new(config(1, Role::Controlling));
    let (ufrag, password) = ("u".repeat(256), "p".repeat(256));
    alone.agent.set_remote_parameters(Parameters::new(Credentials::new(&ufrag, &password).unwrap()), alone.now);
    alone.candidate("192.0.2.2:2000", 1);
    let (_, request) = alone.next_check();
    let username = format!("{ufrag}:{}", alone.ours.ufrag());
    assert_eq!(raw::attribute(&request, raw::USERNAME), Some(username.into_bytes()));
    let response = raw::success(&request, [192, 0, 2, 1], 1000, &password);
    assert_eq!(alone.receive("192.0.2.2:2000", response), Ok(()));
    assert_eq!(alone.selected(), Some(address("192.0.2.2:2000")));
}
