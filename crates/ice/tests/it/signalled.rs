//! Candidates, names, parameters, streams: what signalling brings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use plenary_ice::{
    Agent, Attribute, Candidate, CandidateKind, Config, Deframer, DropReason, Error, Event, Failed, Failure,
    LocalCandidate, Mapping, Network, Parameters, Reason, Remedy, Request, Role, State, Taken, TcpType,
};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit};

use crate::alone::{Alone, FLOW};
use crate::lab::{A, B, Lab, address, config, lite_config, ms};
use crate::raw;

fn remote(line: &str) -> Candidate {
    line.parse().unwrap()
}

fn lab() -> Lab {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    lab.host(A, 1, "192.0.2.1:1000");
    lab.host(B, 2, "192.0.2.2:2000");
    lab
}

fn add(lab: &mut Lab, line: &str) -> Taken {
    let now = lab.now;
    lab.agents[A].add_remote_candidate(remote(line), now)
}

#[test]
fn candidates_that_lead_nowhere_are_refused() {
    let mut lab = lab();
    lab.parameters();
    for (line, taken) in [
        ("candidate:1 1 udp 1 0.0.0.0 5 typ host", Taken::BadAddress),
        ("candidate:1 1 udp 1 :: 5 typ host", Taken::BadAddress),
        ("candidate:1 1 udp 1 192.0.2.2 0 typ host", Taken::BadAddress),
        ("candidate:1 1 udp 1 224.0.0.251 5353 typ host", Taken::BadAddress),
        ("candidate:1 1 udp 1 255.255.255.255 5 typ host", Taken::BadAddress),
        ("candidate:1 1 udp 1 ::ffff:0.0.0.0 5 typ host", Taken::BadAddress),
        ("candidate:1 2 udp 1 192.0.2.2 5 typ host", Taken::Unsupported),
        ("candidate:1 1 tcp 1 192.0.2.2 5 typ host tcptype so", Taken::Unsupported),
        ("candidate:1 1 udp 1 turn.example.org 5 typ relay", Taken::BadAddress),
        ("candidate:1 1 udp 1 a.local 0 typ host", Taken::BadAddress),
        ("candidate:1 1 udp 1 192.0.2.2 5 typ host ufrag other", Taken::OtherGeneration),
        ("candidate:1 1 udp 1 192.0.2.2 5 typ host", Taken::Added),
        ("candidate:2 1 udp 2 192.0.2.2 5 typ srflx", Taken::Known),
        ("candidate:2 1 udp 2 ::ffff:192.0.2.2 5 typ host", Taken::Known),
    ] {
        assert_eq!(add(&mut lab, line), taken, "{line}");
    }
    assert_eq!(lab.agents[A].explain().pairs.len(), 1);
}

#[test]
fn loopback_meets_only_loopback() {
    let mut lab = lab();
    lab.parameters();
    assert_eq!(add(&mut lab, "candidate:1 1 udp 1 127.0.0.1 5 typ host"), Taken::Added);
    assert_eq!(lab.agents[A].explain().pairs, []);
    lab.host(A, 3, "127.0.0.1:3000");
    let explained = lab.agents[A].explain();
    assert_eq!(explained.pairs.len(), 1);
    assert_eq!(
        (explained.pairs[0].local, explained.pairs[0].remote),
        (address("127.0.0.1:3000"), address("127.0.0.1:5"))
    );
}

#[test]
fn local_candidates_that_lead_nowhere_are_the_callers_error() {
    let mut lab = lab();
    let now = lab.now;
    let agent = &mut lab.agents[A];
    let mut add = |candidate| agent.add_local_candidate(candidate, now);
    assert_eq!(add(LocalCandidate::host(FlowId(5), address("0.0.0.0:5"))), Err(Error::Address));
    assert_eq!(add(LocalCandidate::host(FlowId(5), address("192.0.2.5:0"))), Err(Error::Address));
    // RFC 8445 §5.1.1.1: IPv4-compatible, site-local.
    for outdated in ["[::192.0.2.5]:5", "[fec0::5]:5"] {
        assert_eq!(add(LocalCandidate::host(FlowId(5), address(outdated))), Err(Error::Address));
        let reflexive = LocalCandidate {
            kind: CandidateKind::ServerReflexive,
            base: Some(address("[2001:db8::1]:5")),
            ..LocalCandidate::host(FlowId(5), address(outdated))
        };
        assert_eq!(add(reflexive), Err(Error::Address));
    }
    assert_eq!(add(LocalCandidate::host(FlowId(5), address("192.0.2.1:1000"))), Err(Error::Duplicate));
    for port in 2..=48 {
        assert_eq!(add(LocalCandidate::host(FlowId(5), SocketAddr::from(([192, 0, 2, 1], port)))), Ok(()));
    }
    assert_eq!(add(LocalCandidate::host(FlowId(5), address("192.0.2.5:5"))), Err(Error::LocalCandidates));
    let mut lite = Agent::new(lite_config(3), now).unwrap();
    let relayed = LocalCandidate::relayed(FlowId(5), address("192.0.2.5:5"));
    assert_eq!(lite.add_local_candidate(relayed, now), Err(Error::LiteHostsOnly));
    lite.close();
    assert_eq!(
        lite.add_local_candidate(LocalCandidate::host(FlowId(5), address("192.0.2.5:5")), now),
        Err(Error::Closed)
    );
}

#[test]
fn candidates_may_come_before_the_parameters_and_those_of_others_are_sorted_out() {
    let mut lab = lab();
    assert_eq!(add(&mut lab, "candidate:1 1 udp 1 192.0.2.9 5 typ host ufrag stale"), Taken::Added);
    for agent in [A, B] {
        lab.candidates(agent);
    }
    lab.run(ms(200));
    assert_eq!(lab.packets_sent, 0, "no check without credentials");
    lab.parameters();
    assert_eq!(lab.agents[A].explain().remote_candidates, 1, "the stale one is gone");
    assert!(lab.until(ms(1000), Lab::is_complete));
}

#[test]
fn a_name_is_resolved_by_the_caller() {
    let mut lab = lab();
    lab.parameters();
    let line = "candidate:1 1 udp 2113937151 4e1e63ee-0b7a-4c2f-8a8b-1d7c3f9f0a11.local 2000 typ host";
    assert_eq!(add(&mut lab, line), Taken::Resolving);
    assert_eq!(add(&mut lab, line), Taken::Known);
    let (request, name) = resolve(&mut lab.agents[A]).unwrap();
    assert_eq!(name, "4e1e63ee-0b7a-4c2f-8a8b-1d7c3f9f0a11.local");
    let now = lab.now;
    let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    assert_eq!(lab.agents[A].handle_resolved(request, Some(ip), now), Ok(()));
    assert_eq!(lab.agents[A].handle_resolved(request, Some(ip), now), Err(Error::UnknownRequest));
    assert!(lab.until(ms(1000), Lab::is_complete));
}

fn resolve(agent: &mut Agent) -> Option<(Request, String)> {
    std::iter::from_fn(|| agent.poll_event()).find_map(|event| match event {
        Event::Resolve { request, name } => Some((request, name)),
        _ => None,
    })
}

#[test]
fn late_failed_and_orphaned_resolutions_are_normal() {
    let mut lab = lab();
    lab.parameters();
    add(&mut lab, "candidate:1 1 udp 1 one.local 2000 typ host");
    let (request, _) = resolve(&mut lab.agents[A]).unwrap();
    let now = lab.now;
    assert_eq!(lab.agents[A].handle_resolved(request, None, now), Ok(()));
    assert_eq!(lab.agents[A].explain().remote_candidates, 0);
    add(&mut lab, "candidate:1 1 udp 1 two.local 2000 typ host");
    let (request, _) = resolve(&mut lab.agents[A]).unwrap();
    lab.agents[A].restart(now);
    let ip = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(lab.agents[A].handle_resolved(request, ip, now), Err(Error::UnknownRequest));
    add(&mut lab, "candidate:1 1 udp 1 three.local 2000 typ host");
    let (request, _) = resolve(&mut lab.agents[A]).unwrap();
    lab.agents[A].handle_resolved(request, Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), now).unwrap();
    assert_eq!(lab.agents[A].explain().remote_candidates, 0, "an answer that is no address");
}

// The trap: a name of other credentials comes before the parameters, and its address after.
#[test]
fn a_name_of_other_credentials_is_not_used_when_it_is_resolved() {
    let mut lab = lab();
    assert_eq!(add(&mut lab, "candidate:1 1 udp 1 a.local 5 typ host ufrag other"), Taken::Resolving);
    let (request, _) = resolve(&mut lab.agents[A]).unwrap();
    lab.parameters();
    let late = lab.agents[A].handle_resolved(request, Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))), lab.now);
    assert_eq!((late, lab.agents[A].explain().pairs.len()), (Err(Error::UnknownRequest), 0));
}

#[test]
fn a_bomb_of_names_asks_for_few() {
    let mut lab = lab();
    lab.parameters();
    let taken: Vec<_> =
        (0..1000).map(|number| add(&mut lab, &format!("candidate:1 1 udp 1 {number}.local 2000 typ host"))).collect();
    let limit = usize::from(Config::default().resolutions_max);
    assert_eq!(taken.iter().filter(|&&it| it == Taken::Resolving).count(), limit);
    assert_eq!(taken[limit..], vec![Taken::TooMany; 1000 - limit]);
}

#[test]
fn a_signalled_candidate_that_a_check_told_before_is_known_better() {
    let mut lab = lab();
    lab.parameters();
    lab.candidates(B);
    assert!(lab.until(ms(1000), Lab::is_complete));
    assert_eq!(lab.agents[B].selected().unwrap().remote_kind, CandidateKind::PeerReflexive);
    let before = lab.agents[B].explain().pairs[0].priority;
    lab.candidates(A);
    assert_eq!(lab.agents[B].selected().unwrap().remote_kind, CandidateKind::Host);
    assert_ne!(lab.agents[B].explain().pairs[0].priority, before);
    assert_eq!(lab.agents[B].explain().pairs.len(), 1);
}

// RFC 8421 §4.
#[test]
fn families_take_turns_and_ipv6_is_first() {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    for (flow, at) in
        ["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1", "192.0.2.1:2", "[2001:db8::2]:1"].iter().enumerate()
    {
        lab.host(A, flow as u32, at);
    }
    let mut candidates = lab.agents[A].local_candidates();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
    let order: Vec<_> = candidates.iter().map(|it| it.address.ip().unwrap().ip().to_string()).collect();
    assert_eq!(order, ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.1"]);
    let same = candidates.iter().filter(|it| it.address.ip().unwrap().ip().to_string() == "192.0.2.1");
    let foundations: Vec<_> = same.map(|it| it.foundation.as_str()).collect();
    assert_eq!(foundations[0], foundations[1], "RFC 8445 §5.1.1.3: one base address, one foundation");
    let mut all: Vec<_> = candidates.iter().map(|it| it.foundation.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4);
}

// RFC 8445 §5.1.2.1. The trap: two sockets of one address, two relays at one server, or what two STUN servers saw of one
// socket had one priority.
#[test]
fn each_candidate_of_a_type_has_a_preference_of_its_own() {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    let reflexive = |base: &str, mapped: &str| LocalCandidate {
        kind: CandidateKind::ServerReflexive,
        base: Some(address(base)),
        ..LocalCandidate::host(FlowId(9), address(mapped))
    };
    let now = lab.now;
    let mut add = |candidate| {
        lab.agents[A].add_local_candidate(candidate, now).unwrap();
        let candidate = lab.agents[A].local_candidates().pop().unwrap();
        (candidate.priority >> 8) as u16
    };
    let host = |at: &str| LocalCandidate::host(FlowId(1), address(at));
    assert_eq!(add(host("192.0.2.1:1")), 65_534);
    assert_eq!(add(host("192.0.2.1:2")), 65_532);
    assert_eq!(add(host("192.0.2.2:1")), 65_530);
    assert_eq!(add(reflexive("192.0.2.1:2", "198.51.100.1:2")), 65_532, "that of its base");
    assert_eq!(add(reflexive("192.0.2.1:1", "198.51.100.1:1")), 65_534);
    assert_eq!(add(reflexive("192.0.2.1:1", "198.51.100.1:3")), 65_528);
    let relayed = |at: &str| LocalCandidate::relayed(FlowId(2), address(at));
    assert_eq!(add(relayed("203.0.113.1:1")), 65_534);
    assert_eq!(add(relayed("203.0.113.1:2")), 65_532);
    let tcp = |kind, at: &str| LocalCandidate::tcp(FlowId(3), kind, address(at));
    assert_eq!(add(tcp(TcpType::Passive, "192.0.2.1:7")), (4 << 13) + 8190, "as that of the first by UDP");
    assert_eq!(add(tcp(TcpType::Passive, "192.0.2.1:8")), (4 << 13) + 8188);
    let told = lab.agents[A].local_candidates();
    let mut priorities: Vec<_> = told.iter().map(|it| it.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    assert_eq!(priorities.len(), told.len());
}

// The trap: after a socket with IPv6 it was IPv4's turn.
#[test]
fn of_two_relays_the_one_with_ipv6_is_better_whatever_sockets_there_are() {
    for hosts in [&["192.0.2.1:1"][..], &["[2001:db8::1]:1"], &["[2001:db8::1]:1", "192.0.2.1:1"]] {
        let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
        let (now, agent) = (lab.now, &mut lab.agents[A]);
        let hosts = hosts.iter().map(|at| LocalCandidate::host(FlowId(1), address(at)));
        let relays = ["203.0.113.1:1", "[2001:db8::9]:1"].map(|at| LocalCandidate::relayed(FlowId(2), address(at)));
        hosts.chain(relays).for_each(|candidate| agent.add_local_candidate(candidate, now).unwrap());
        let told = agent.local_candidates();
        let [.., ipv4, ipv6] = &told[..] else { panic!("{told:?}") };
        assert_eq!([ipv4, ipv6].map(|it| (it.priority >> 8) as u16), [65_534, 65_535]);
    }
}

// Lower than the last: a caller who gives the preferences may have taken those above.
#[test]
fn what_a_second_stun_server_saw_is_below_the_first_even_beside_preferences_of_the_caller() {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    let now = lab.now;
    for (port, preference) in [(1, 500), (2, 1), (3, 0)] {
        let base = SocketAddr::from(([192, 0, 2, 1], port));
        let host = LocalCandidate { preference: Some(preference), ..LocalCandidate::host(FlowId(1), base) };
        let mut seen = Vec::new();
        lab.agents[A].add_local_candidate(host.clone(), now).unwrap();
        for mapped in [10 + port, 20 + port] {
            let address = SocketAddr::from(([198, 51, 100, 1], mapped));
            let kind = CandidateKind::ServerReflexive;
            let candidate = LocalCandidate { kind, address, base: Some(base), preference: None, ..host.clone() };
            lab.agents[A].add_local_candidate(candidate, now).unwrap();
            seen.push((lab.agents[A].local_candidates().pop().unwrap().priority >> 8) as u16);
        }
        let expected = [[500, 498], [1, 65_535], [0, 65_534]][usize::from(port) - 1];
        assert_eq!(seen, expected, "unique, if nothing below is left");
    }
}

#[test]
fn a_preference_of_the_callers_counts() {
    let mut lab = Lab::new(config(1, Role::Controlling), config(2, Role::Controlled));
    let now = lab.now;
    let network = Some(Network { id: 7, cost: 900 });
    let host =
        LocalCandidate { preference: Some(5), network, ..LocalCandidate::host(FlowId(1), address("192.0.2.1:1")) };
    lab.agents[A].add_local_candidate(host, now).unwrap();
    let candidate = &lab.agents[A].local_candidates()[0];
    assert_eq!(candidate.priority, (126 << 24) | (5 << 8) | 255);
    assert_eq!((candidate.network_cost(), candidate.extension("network-id")), (Some(900), Some("7")));
    assert_eq!(candidate.ufrag(), Some(lab.agents[A].local_parameters().credentials.ufrag()));
    assert_eq!(candidate.generation(), Some(0));
    let parameters = lab.agents[B].local_parameters();
    lab.agents[A].set_remote_parameters(parameters, now);
    add(&mut lab, "candidate:1 1 udp 1 192.0.2.2 5 typ host");
    let mut out = Vec::new();
    lab.agents[A].poll_transmit(now, Limit::DATAGRAM, &mut out).unwrap();
    assert_eq!(raw::attribute(&out, 0xc057), Some(vec![0, 7, 3, 132]));
}

#[test]
fn a_public_address_handed_in_is_told_but_not_sent_from() {
    let mut lab = lab();
    let now = lab.now;
    let mapped = LocalCandidate {
        kind: CandidateKind::ServerReflexive,
        base: Some(address("192.0.2.1:1000")),
        ..LocalCandidate::host(FlowId(1), address("203.0.113.1:1000"))
    };
    lab.agents[A].add_local_candidate(mapped, now).unwrap();
    let told = lab.agents[A].local_candidates();
    assert_eq!(told[1].related, Some(address("192.0.2.1:1000").into()));
    lab.parameters();
    lab.candidates(B);
    assert_eq!(lab.agents[A].explain().pairs.len(), 1, "RFC 8445 §6.1.2.4: its base stands for it");
}

#[test]
fn parameters_go_through_their_lines() {
    let mut lab = lab();
    for agent in [A, B] {
        let lines = lab.agents[1 - agent].local_parameters().attributes();
        let text: Vec<_> = lines.iter().map(|line| format!("a={line}\r\n")).collect();
        let read: Vec<_> = text.iter().map(|line| Attribute::parse(line).unwrap()).collect();
        let now = lab.now;
        lab.agents[agent].set_remote_parameters(Parameters::from_attributes(&read).unwrap(), now);
    }
    lab.candidates(A);
    assert!(lab.until(ms(1000), Lab::is_complete));
}

#[test]
fn the_longer_pacing_counts() {
    let mut lab = lab();
    let mut parameters = lab.agents[B].local_parameters();
    assert_eq!(parameters.pacing, Some(ms(5)));
    parameters.pacing = Some(ms(100));
    lab.agents[A].set_remote_parameters(parameters, lab.now);
    for port in 1..=5 {
        add(&mut lab, &format!("candidate:{port} 1 udp {port} 192.0.2.9 {port} typ host"));
    }
    lab.cut = Some(Box::new(|_| true));
    lab.run(ms(399));
    let begun = lab.agents[A].explain().pairs.iter().filter(|pair| pair.checks_sent > 0).count();
    assert_eq!(begun, 4, "at 0, 100, 200 and 300 ms");
}

#[test]
fn gathering_ends_with_the_last_server_and_repeats_nothing() {
    let servers = vec![address("203.0.113.8:1"), address("203.0.113.9:1"), address("[2001:db8::9]:1")];
    let mut lab =
        Lab::new(Config { stun_servers: servers, ..config(1, Role::Controlling) }, config(2, Role::Controlled));
    lab.stun_servers = vec![address("203.0.113.9:1")];
    lab.natted(A, 1, "10.0.0.1:1000", "203.0.113.1:5001");
    let now = lab.now;
    lab.agents[A].end_local_candidates(now);
    lab.run(ms(300));
    let kinds: Vec<_> = lab.agents[A].local_candidates().iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [CandidateKind::Host, CandidateKind::ServerReflexive]);
    let complete = |lab: &Lab| lab.events.iter().any(|(_, _, event)| matches!(event, Event::GatheringComplete));
    assert!(!complete(&lab), "one server is silent");
    lab.run(ms(5000));
    assert!(complete(&lab));
    assert_eq!(lab.agents[A].explain().mapping, Mapping::EndpointIndependent);
    // RFC 8445 §5.1.1.4: the binding is kept while nothing is connected.
    let before = lab.packets_sent;
    lab.run(ms(30_000));
    assert!((1..=4).contains(&(lab.packets_sent - before)), "{} packets", lab.packets_sent - before);
}

#[test]
fn one_way_and_dead_pairs_are_explained() {
    let mut lab = Lab::full();
    lab.cut = Some(Box::new(|packet| packet.from == address("192.0.2.1:1000")));
    lab.run(ms(11_000));
    let (deaf, mute) = (lab.agents[B].explain(), lab.agents[A].explain());
    assert_eq!(deaf.pairs[0].reason, Reason::Failed(Failure::NoResponse));
    assert_eq!(mute.pairs[0].reason, Reason::OneWay, "it hears the peer, who does not hear it");
    assert_eq!(mute.pairs[0].remedy, Some(Remedy::OutboundPath));
    assert_eq!(mute.remedies, [Remedy::OutboundPath, Remedy::Relay]);
    let text = mute.to_string();
    assert!(text.contains("udp host 192.0.2.1:1000 -> host 192.0.2.2:2000: the peer is heard"), "{text}");
    let expected = concat!(
        r#"{"state":"Checking","role":"Controlling","mapping":"Unknown","localCandidates":1,"remoteCandidates":1,"#,
        r#""unresolved":0,"pairsLeftOut":0,"unauthenticated":0,"remedies":["OutboundPath","Relay"],"pairs":["#,
        r#"{"local":"192.0.2.1:1000","localKind":"host","remote":"192.0.2.2:2000","remoteKind":"host","#,
        r#""transport":"udp","priority":9151313343271665150,"state":"InProgress","selected":false,"#,
        r#""nominated":false,"reason":"OneWay","remedy":"OutboundPath","rttMs":null,"#,
        r#""checksSent":221,"responses":0,"requests":57}]}"#,
    );
    assert_eq!(mute.to_json(), expected);
    let json = deaf.to_json();
    assert!(json.contains(r#""reason":"Failed(NoResponse)","remedy":"InboundPath""#), "{json}");
}

#[test]
fn what_is_missing_is_explained() {
    let mut lab = lab();
    assert_eq!(lab.agents[A].explain().remedies, [Remedy::Parameters, Remedy::RemoteCandidates]);
    lab.parameters();
    add(&mut lab, "candidate:1 1 udp 1 2001:db8::1 5 typ host");
    assert_eq!(lab.agents[A].explain().remedies, [Remedy::LocalCandidates]);
    lab.candidates(B);
    assert!(lab.until(ms(1000), Lab::is_complete));
    let explained = lab.agents[A].explain();
    assert_eq!((explained.remedies, explained.mapping), (vec![], Mapping::None));
    assert_eq!(explained.pairs[0].reason, Reason::Works);
    let json = lab.agents[A].explain().to_json();
    assert!(json.contains(r#""nominated":true,"reason":"Works","remedy":null,"rttMs":100.000,"#), "{json}");
}

/// Two agents with TCP alone: A connects to B. Answers how many frames went.
struct Streams {
    flows: [FlowId; 2],
    agents: [Agent; 2],
    deframers: [Deframer; 2],
    frames: usize,
    /// How many bytes arrive at a time.
    cut: usize,
}

const STREAMS: [FlowId; 2] = [FlowId(100), FlowId(200)];
const ENDS: [&str; 2] = ["192.0.2.1:41000", "192.0.2.2:8443"];

impl Streams {
    fn new(b: Config, now: std::time::Instant) -> Self {
        let mut agents = [Agent::new(config(1, Role::Controlling), now).unwrap(), Agent::new(b, now).unwrap()];
        let active = LocalCandidate::tcp(FlowId(1), TcpType::Active, address("192.0.2.1:0"));
        agents[A].add_local_candidate(active, now).unwrap();
        let passive = LocalCandidate::tcp(FlowId(2), TcpType::Passive, address("192.0.2.2:8443"));
        agents[B].add_local_candidate(passive, now).unwrap();
        for agent in [A, B] {
            let (parameters, candidates) = (agents[1 - agent].local_parameters(), agents[1 - agent].local_candidates());
            agents[agent].set_remote_parameters(parameters, now);
            for candidate in candidates {
                agents[agent].add_remote_candidate(candidate, now);
            }
        }
        Self { agents, deframers: [Deframer::new(1500), Deframer::new(1500)], frames: 0, cut: 1, flows: STREAMS }
    }

    fn connect_request(&mut self) -> Option<(Request, SocketAddr)> {
        std::iter::from_fn(|| self.agents[A].poll_event()).find_map(|event| match event {
            Event::Connect { request, remote, .. } => Some((request, remote)),
            _ => None,
        })
    }

    fn pump(&mut self, mut now: std::time::Instant) {
        for _ in 0..10 {
            now += ms(5);
            self.agents.iter_mut().for_each(|agent| agent.handle_timeout(now));
            for agent in [A, B] {
                let (mut out, mut stream) = (Vec::new(), Vec::new());
                while let Some(transmit) = self.agents[agent].poll_transmit(now, Limit::DATAGRAM, &mut out) {
                    // What goes over a stream of before a restart is lost.
                    if transmit.flow == self.flows[agent] {
                        stream.extend_from_slice(transmit.bytes(&out));
                    }
                }
                for mut bytes in stream.chunks(self.cut) {
                    while let Some(frame) = self.deframers[1 - agent].take(&mut bytes).unwrap() {
                        self.frames += 1;
                        let (flow, local, remote) =
                            (self.flows[1 - agent], address(ENDS[1 - agent]), address(ENDS[agent]));
                        let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: frame };
                        assert_eq!(self.agents[1 - agent].handle_datagram(datagram, now), Handled::Consumed);
                    }
                }
            }
        }
    }
}

fn origin() -> std::time::Instant {
    lab().now
}

#[test]
fn a_connection_over_tcp_alone() {
    let now = origin();
    for (b, cut) in [(config(2, Role::Controlled), 1), (lite_config(2), 1000)] {
        let mut streams = Streams::new(b, now);
        streams.cut = cut;
        let lines: Vec<_> = streams.agents[A].local_candidates().iter().map(ToString::to_string).collect();
        assert!(
            lines[0].contains(" tcp ") && lines[0].contains(" 192.0.2.1 9 typ host tcptype active"),
            "{}",
            lines[0]
        );
        let (request, to) = streams.connect_request().expect("the active side is asked to connect");
        assert_eq!(to, address("192.0.2.2:8443"));
        assert_eq!(streams.connect_request(), None);
        streams.agents[B].handle_accepted(STREAMS[B], address(ENDS[B]), now).unwrap();
        streams.agents[A].handle_connected(request, Some((STREAMS[A], address(ENDS[A]))), now).unwrap();
        streams.pump(now);
        for agent in [A, B] {
            assert_eq!(streams.agents[agent].state(), State::Completed);
            let selected = streams.agents[agent].selected().unwrap();
            assert_eq!((selected.flow, selected.remote), (STREAMS[agent], address(ENDS[1 - agent])));
        }
        assert!(streams.frames >= 4);
        // The stream ends, and the pair with it; the active side opens another (RFC 6544 §11.1).
        streams.agents[A].handle_closed(STREAMS[A], now).unwrap();
        streams.agents[B].handle_closed(STREAMS[B], now).unwrap();
        assert!(streams.agents.iter().all(|agent| agent.selected().is_none()));
        assert_eq!(streams.agents[A].handle_closed(STREAMS[A], now), Err(Error::UnknownFlow));
        streams.agents[A].handle_timeout(now + ms(60));
        let (request, to) = streams.connect_request().expect("it is asked to connect again");
        assert_eq!(to, address("192.0.2.2:8443"));
        streams.agents[B].handle_accepted(STREAMS[B], address(ENDS[B]), now + ms(60)).unwrap();
        streams.agents[A].handle_connected(request, Some((STREAMS[A], address(ENDS[A]))), now + ms(60)).unwrap();
        streams.deframers = [Deframer::new(1500), Deframer::new(1500)];
        streams.pump(now + ms(60));
        assert!(streams.agents.iter().all(|agent| agent.state() == State::Completed));
    }
}

// RFC 8489 §6.2.2.
#[test]
fn a_stream_that_stalls_for_long_still_connects() {
    let now = origin();
    let mut streams = Streams::new(config(2, Role::Controlled), now);
    let (request, _) = streams.connect_request().unwrap();
    streams.agents[A].handle_connected(request, Some((STREAMS[A], address(ENDS[A]))), now).unwrap();
    let later = now + ms(12_000);
    streams.agents[A].handle_timeout(later);
    streams.agents[B].handle_accepted(STREAMS[B], address(ENDS[B]), later).unwrap();
    streams.pump(later);
    assert_eq!(streams.agents[A].state(), State::Completed);
}

#[test]
fn connections_that_fail_late_or_unwanted_are_normal() {
    let now = origin();
    let mut streams = Streams::new(config(2, Role::Controlled), now);
    let (request, _) = streams.connect_request().unwrap();
    streams.agents[A].handle_connected(request, None, now).unwrap();
    assert_eq!(streams.agents[A].explain().pairs[0].reason, Reason::Failed(Failure::ConnectFailed));
    let late = streams.agents[A].handle_connected(request, Some((STREAMS[A], address(ENDS[A]))), now);
    assert_eq!(late, Err(Error::UnknownRequest));

    let mut streams = Streams::new(config(2, Role::Controlled), now);
    let (request, _) = streams.connect_request().unwrap();
    // RFC 8489 §6.2.2: as long as a request over TCP.
    let later = now + ms(39_501);
    streams.agents[A].handle_timeout(now + ms(39_499));
    assert_ne!(streams.agents[A].explain().pairs[0].reason, Reason::Failed(Failure::ConnectFailed), "TCP may be slow");
    streams.agents[A].handle_timeout(later);
    assert_eq!(streams.agents[A].explain().pairs[0].reason, Reason::Failed(Failure::ConnectFailed), "nobody answered");
    assert_eq!(streams.agents[A].handle_connected(request, None, later), Err(Error::UnknownRequest));
}

#[test]
fn streams_from_strangers_are_bounded() {
    let now = origin();
    let mut streams = Streams::new(config(2, Role::Controlled), now);
    assert_eq!(streams.agents[B].handle_accepted(FlowId(1), address("192.0.2.2:8444"), now), Err(Error::UnknownFlow));
    for flow in 0..8 {
        assert_eq!(streams.agents[B].handle_accepted(FlowId(300 + flow), address(ENDS[B]), now), Ok(()));
    }
    assert_eq!(streams.agents[B].handle_accepted(FlowId(400), address(ENDS[B]), now), Err(Error::Streams));
    streams.agents[B].handle_closed(FlowId(300), now).unwrap();
    assert_eq!(streams.agents[B].handle_accepted(FlowId(400), address(ENDS[B]), now), Ok(()));
}

#[test]
fn no_more_streams_are_opened_than_allowed() {
    let now = origin();
    let mut agent = Agent::new(Config { streams_max: 1, ..config(1, Role::Controlling) }, now).unwrap();
    let active = LocalCandidate::tcp(FlowId(1), TcpType::Active, address("192.0.2.1:0"));
    agent.add_local_candidate(active, now).unwrap();
    let peer = Agent::new(config(2, Role::Controlled), now).unwrap();
    agent.set_remote_parameters(peer.local_parameters(), now);
    for port in [8443, 8444] {
        let line = format!("candidate:1 1 tcp 1 192.0.2.2 {port} typ host tcptype passive");
        agent.add_remote_candidate(line.parse().unwrap(), now);
    }
    let mut outcomes = Vec::new();
    for step in 0..20 {
        let now = now + ms(5 * step);
        agent.handle_timeout(now);
        while let Some(event) = agent.poll_event() {
            if let Event::Connect { request, .. } = event {
                let flow = FlowId(100 + outcomes.len() as u32);
                outcomes.push(agent.handle_connected(request, Some((flow, address(ENDS[A]))), now));
            }
        }
    }
    assert_eq!(outcomes, [Ok(()), Err(Error::Streams)]);
}

fn closed(agent: &mut Agent) -> Vec<FlowId> {
    let event = |event| if let Event::CloseStream(flow) = event { Some(flow) } else { None };
    std::iter::from_fn(|| agent.poll_event()).filter_map(event).collect()
}

// The trap: eight connections that say nothing keep the peer out for ever.
#[test]
fn streams_without_an_authentic_check_are_closed() {
    let now = origin();
    let mut streams = Streams::new(config(2, Role::Controlled), now);
    for flow in 0..8 {
        streams.agents[B].handle_accepted(FlowId(300 + flow), address(ENDS[B]), now).unwrap();
    }
    let end = now + ms(10_000);
    while let Some(at) = streams.agents[B].poll_timeout().filter(|&at| at < end) {
        streams.agents[B].handle_timeout(at);
    }
    assert_eq!((closed(&mut streams.agents[B]), streams.agents[B].poll_timeout()), (vec![], Some(end)));
    streams.agents[B].handle_timeout(end);
    assert_eq!(closed(&mut streams.agents[B]), (300..308).map(FlowId).collect::<Vec<_>>());
    assert_eq!(streams.agents[B].handle_closed(FlowId(300), end), Err(Error::UnknownFlow));
    streams.agents[B].handle_accepted(STREAMS[B], address(ENDS[B]), end).unwrap();
}

// The trap: each restart opens a stream, and those of before fill the table.
#[test]
fn streams_of_before_a_restart_are_closed() {
    let mut now = origin();
    let mut streams = Streams::new(config(2, Role::Controlled), now);
    for number in 0..12 {
        let ends = STREAMS.map(|flow| FlowId(flow.0 + 1000 * number));
        let (request, _) = streams.connect_request().expect("a new generation has a new stream");
        streams.agents[B].handle_accepted(ends[B], address(ENDS[B]), now).unwrap();
        streams.agents[A].handle_connected(request, Some((ends[A], address(ENDS[A]))), now).unwrap();
        streams.flows = ends;
        streams.deframers = [Deframer::new(1500), Deframer::new(1500)];
        streams.pump(now);
        assert_eq!(streams.agents[A].selected().map(|it| it.flow), Some(ends[A]));
        now += ms(60);
        streams.agents[A].restart(now);
        streams.agents[B].restart(now);
        for agent in [A, B] {
            let parameters = streams.agents[1 - agent].local_parameters();
            streams.agents[agent].set_remote_parameters(parameters, now);
        }
        for candidate in streams.agents[B].local_candidates() {
            streams.agents[A].add_remote_candidate(candidate, now);
        }
        now += ms(6000);
        streams.agents.iter_mut().for_each(|agent| agent.handle_timeout(now));
    }
    streams.agents[B].close();
    assert!(closed(&mut streams.agents[B]).contains(&streams.flows[B]), "what is closed needs no stream");
}

// Of a stream that is gone, the agent would not know that its answer is to be framed.
#[test]
fn nothing_is_sent_on_a_flow_that_is_gone() {
    let mut alone = Alone::lite();
    let (now, local, stream) = (alone.now, address("192.0.2.1:1000"), FlowId(10));
    alone.agent.add_local_candidate(LocalCandidate::tcp(FlowId(2), TcpType::Passive, local), now).unwrap();
    alone.agent.handle_accepted(stream, local, now).unwrap();
    for flow in [stream, FLOW] {
        let mut check = alone.signed(1);
        let datagram = Datagram { flow, local, remote: address("192.0.2.2:9"), ecn: Ecn::NotEct, bytes: &mut check };
        assert_eq!(alone.agent.handle_datagram(datagram, now), Handled::Consumed);
    }
    alone.agent.handle_closed(stream, now).unwrap();
    assert_eq!(alone.answers(), [0], "the UDP socket's");
    let check = alone.signed(2);
    assert_eq!(alone.receive("192.0.2.2:9", check), Ok(()));
    alone.agent.remove_flow(FLOW, now).unwrap();
    assert_eq!(alone.sent(), []);
}

// The same, where it is the agent that gives the stream up: an answer went out without its length.
#[test]
fn nothing_is_answered_on_a_stream_that_was_given_up() {
    let mut alone = Alone::lite();
    let (local, stream) = (address("192.0.2.1:1000"), FlowId(10));
    alone.agent.add_local_candidate(LocalCandidate::tcp(FlowId(2), TcpType::Passive, local), alone.now).unwrap();
    alone.agent.handle_accepted(stream, local, alone.now).unwrap();
    let mut stranger = raw::check(&alone.ours, 1).fingerprint();
    let datagram =
        Datagram { flow: stream, local, remote: address("192.0.2.2:9"), ecn: Ecn::NotEct, bytes: &mut stranger };
    assert_eq!(alone.agent.handle_datagram(datagram, alone.now), Handled::Dropped(DropReason::Unauthenticated));
    alone.pass(ms(10_000));
    assert_eq!(closed(&mut alone.agent), [stream]);
    assert_eq!(alone.sent(), []);
}

#[test]
fn a_check_that_waits_for_its_turn_ends_with_its_flow() {
    let mut alone = Alone::full(Role::Controlling);
    let (local, stream) = (address("192.0.2.1:1000"), FlowId(10));
    alone.agent.add_local_candidate(LocalCandidate::tcp(FlowId(2), TcpType::Passive, local), alone.now).unwrap();
    alone.agent.handle_accepted(stream, local, alone.now).unwrap();
    // The first takes the pacing's turn.
    for (flow, from) in [(FLOW, "192.0.2.2:1"), (FLOW, "192.0.2.2:2"), (stream, "192.0.2.2:9")] {
        let (mut check, remote) = (alone.signed(1), address(from));
        let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut check };
        assert_eq!(alone.agent.handle_datagram(datagram, alone.now), Handled::Consumed);
    }
    alone.agent.handle_closed(stream, alone.now).unwrap();
    alone.sent();
    assert_eq!(alone.next_check().0, address("192.0.2.2:2"));
    for _ in 0..20 {
        alone.pass(ms(5));
        assert!(alone.sent().iter().all(|(to, _)| *to != address("192.0.2.2:9")));
    }
}

#[test]
fn udp_is_preferred_to_tcp() {
    let now = origin();
    let mut agent = Agent::new(config(1, Role::Controlling), now).unwrap();
    for candidate in [
        LocalCandidate::tcp(FlowId(1), TcpType::Active, address("192.0.2.1:9")),
        LocalCandidate::tcp(FlowId(2), TcpType::Passive, address("192.0.2.1:443")),
        LocalCandidate::host(FlowId(3), address("192.0.2.1:1000")),
        LocalCandidate::relayed(FlowId(4), address("198.51.100.1:4000")),
    ] {
        agent.add_local_candidate(candidate, now).unwrap();
    }
    let mut candidates = agent.local_candidates();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
    let ports: Vec<_> = candidates.iter().map(|candidate| candidate.address.port()).collect();
    assert_eq!(ports, [1000, 9, 443, 4000]);
}

#[test]
fn candidates_after_the_end_are_refused() {
    let mut lab = lab();
    lab.parameters();
    assert_eq!(add(&mut lab, "candidate:1 1 udp 1 192.0.2.2 4 typ host"), Taken::Added);
    lab.agents[A].end_remote_candidates(lab.now);
    assert_eq!(add(&mut lab, "candidate:1 1 udp 1 192.0.2.2 5 typ host"), Taken::Ended, "RFC 8838 §14");
    lab.agents[A].restart(lab.now);
    assert_eq!(add(&mut lab, "candidate:1 1 udp 1 192.0.2.2 5 typ host"), Taken::Added, "the end is of one generation");
    lab.agents[A].revoke();
    assert_eq!(lab.agents[A].state(), State::Failed(Failed::ConsentRevoked));
    assert_eq!(add(&mut lab, "candidate:1 1 udp 1 192.0.2.2 5 typ host"), Taken::Ended);
}
