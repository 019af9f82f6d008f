#![no_main]

// The agents' laboratory of the crate's own tests.
#[allow(dead_code, reason = "its tests need more of it")]
#[path = "../../crates/ice/tests/it/lab.rs"]
mod lab;
#[path = "../../crates/ice/tests/it/oracle/matrix/stun_answer.rs"]
mod stun_answer;

mod oracle {
    pub(crate) mod matrix {
        pub(crate) use crate::stun_answer;
    }
}

use std::net::SocketAddr;
use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_ice::{Agent, Config, LocalCandidate, Role, State};
use plenary_wire::FlowId;

use crate::lab::{A, B, Lab, Packet, address, config, lite_config, ms};

/// Of each agent: three hosts, a relayed address, and a host behind a NAT with what others see of it.
const PLACES: [[&str; 6]; 2] = [
    ["192.0.2.1:1000", "198.51.100.1:1001", "203.0.113.1:1002", "203.0.113.9:1003", "10.0.0.1:1004", "192.0.2.91:1904"],
    ["192.0.2.2:2000", "198.51.100.2:2001", "203.0.113.2:2002", "203.0.113.8:2003", "10.0.0.2:2004", "192.0.2.92:2904"],
];
const RELAY: usize = 3;
const NATTED: usize = 4;

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Candidates {
        agent: bool,
    },
    OneCandidate {
        agent: bool,
        which: u8,
    },
    End {
        agent: bool,
    },
    /// With `told` the other side hears of it at once.
    Place {
        agent: bool,
        place: u8,
        told: bool,
    },
    Remove {
        agent: bool,
        place: u8,
    },
    Restart {
        agent: bool,
        answered_after: u8,
    },
    Role {
        agent: bool,
        controlling: bool,
    },
    /// There and back, before the other side can notice.
    Flip {
        agent: bool,
    },
    Revoke {
        agent: bool,
    },
    Loss(u8),
    Delay(u8),
    Reorder(bool),
    Duplicate(bool),
    Cut {
        agent: bool,
        place: u8,
    },
    Heal,
    Garbage {
        agent: bool,
        place: u8,
        from: u8,
        bytes: &'a [u8],
    },
    Pass(u16),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    seed: u8,
    renomination: [bool; 2],
    lite: bool,
    both_control: bool,
    operations: Vec<Operation<'a>>,
}

fuzz_target!(|input: Input<'_>| {
    let seed = input.seed % 100;
    let with = |config, agent: usize| Config { renomination: input.renomination[agent], ..config };
    let b = match input.lite {
        true => lite_config(seed + 100),
        false => config(seed + 100, if input.both_control { Role::Controlling } else { Role::Controlled }),
    };
    let mut lab = Lab::new(with(config(seed, Role::Controlling), A), with(b, B));
    lab.parameters();
    for operation in input.operations.iter().take(30) {
        apply(&mut lab, operation);
        for agent in [A, B] {
            let report = lab.agents[agent].explain();
            assert!(report.pairs.len() <= 100 && report.local_candidates <= 5 && report.remote_candidates <= 64 + 16);
        }
    }
    settle(&mut lab);
});

fn apply(lab: &mut Lab, operation: &Operation<'_>) {
    let now = lab.now;
    match *operation {
        Operation::Candidates { agent } => lab.candidates(agent.into()),
        Operation::OneCandidate { agent, which } => {
            let candidates = lab.agents[usize::from(agent)].local_candidates();
            if let Some(candidate) = candidates.get(usize::from(which % 8)) {
                lab.agents[usize::from(!agent)].add_remote_candidate(candidate.clone(), now);
            }
        }
        Operation::End { agent } => {
            // After all candidates (RFC 8838 §14).
            lab.candidates(agent.into());
            lab.agents[usize::from(agent)].end_local_candidates(now);
            lab.agents[usize::from(!agent)].end_remote_candidates(now);
        }
        Operation::Place { agent, place, told } => {
            add(lab, agent.into(), usize::from(place % 5));
            if told {
                lab.candidates(agent.into());
            }
        }
        Operation::Remove { agent, place } => {
            // It may not be there.
            lab.agents[usize::from(agent)].remove_flow(FlowId(u32::from(place % 5)), now).ok();
        }
        Operation::Restart { agent, answered_after } => {
            let (agent, other) = (usize::from(agent), usize::from(!agent));
            lab.agents[agent].restart(now);
            let parameters = lab.agents[agent].local_parameters();
            lab.agents[other].set_remote_parameters(parameters, now);
            lab.run(ms(answered_after.into()));
            let (parameters, now) = (lab.agents[other].local_parameters(), lab.now);
            lab.agents[agent].set_remote_parameters(parameters, now);
        }
        Operation::Role { agent, controlling } => {
            let role = if controlling { Role::Controlling } else { Role::Controlled };
            lab.agents[usize::from(agent)].set_role_to(role, now);
        }
        Operation::Flip { agent } => {
            let agent = &mut lab.agents[usize::from(agent)];
            let role = agent.role();
            agent.set_role_to(role.reversed(), now);
            agent.set_role_to(role, now);
        }
        Operation::Revoke { agent } => lab.agents[usize::from(agent)].revoke(),
        Operation::Loss(loss) => lab.loss = 2 * u64::from(loss),
        Operation::Delay(delay) => lab.delay = ms(delay.into()),
        Operation::Reorder(reorder) => lab.reorder = reorder,
        Operation::Duplicate(duplicate) => lab.duplicate = duplicate,
        Operation::Cut { agent, place } => {
            let dead = address(PLACES[usize::from(agent)][usize::from(place % 6)]);
            lab.cut = Some(Box::new(move |packet| packet.from == dead || packet.to == dead));
        }
        Operation::Heal => lab.cut = None,
        Operation::Garbage { agent, place, from, bytes } => {
            let to = address(PLACES[usize::from(agent)][usize::from(place % 6)]);
            let from = address(PLACES[usize::from(!agent)][usize::from(from % 6)]);
            if !bytes.is_empty() {
                lab.arrive(Packet { at: now, from, to, bytes: bytes.to_vec() });
            }
        }
        Operation::Pass(span) => lab.run(ms(u64::from(span) % 4000)),
    }
}

fn add(lab: &mut Lab, agent: usize, place: usize) {
    let (flow, local) = (FlowId(place as u32), PLACES[agent][place]);
    let candidate = match place {
        RELAY => LocalCandidate::relayed(flow, address(local)),
        _ => LocalCandidate::host(flow, address(local)),
    };
    let now = lab.now;
    // A lite agent has no relayed ones, and it may be there.
    if lab.agents[agent].add_local_candidate(candidate, now).is_ok()
        && !lab.sockets.iter().any(|socket| socket.agent == agent && socket.flow == flow)
    {
        lab.socket(agent, flow.0, local, if place == NATTED { PLACES[agent][5] } else { local });
    }
}

/// On a good network both come to use one pair, or both fail; and after a restart, with a host on each side, they use one.
fn settle(lab: &mut Lab) {
    (lab.loss, lab.cut, lab.delay) = (0, None, ms(50));
    // Patience, or consent and then patience, and what a check takes beyond.
    come_to(lab, Duration::from_secs(120), |lab| agree(lab) || lab.agents.iter().all(has_failed));
    if lab.agents.iter().any(has_failed) {
        let now = lab.now;
        lab.agents.iter_mut().for_each(|agent| agent.restart(now));
        for agent in [A, B] {
            add(lab, agent, 0);
        }
        lab.signal();
        come_to(lab, Duration::from_secs(10), agree);
    }
    assert_eq!(lab.agents[A].role(), lab.agents[B].role().reversed(), "{}", explained(lab));
}

/// It comes to that; and again if a side leaves its pair as the loss ends, which it avoids for 10 s and then checks within 6.
fn come_to(lab: &mut Lab, within: Duration, settled: impl Fn(&Lab) -> bool) {
    lab.until(within, |lab| settled(lab) && lab.agents.iter().all(is_at_rest));
    assert!(settled(lab), "{}", explained(lab));
    lab.run(Duration::from_secs(20));
    assert!(settled(lab), "{}", explained(lab));
}

fn is_at_rest(agent: &Agent) -> bool {
    agent.state() == State::Completed || has_failed(agent)
}

fn has_failed(agent: &Agent) -> bool {
    matches!(agent.state(), State::Failed(_))
}

fn explained(lab: &Lab) -> String {
    format!("{}\n{}", lab.agents[A].explain(), lab.agents[B].explain())
}

/// Whether both use one pair, as it looks between them.
fn agree(lab: &Lab) -> bool {
    let seen = |at: SocketAddr| lab.sockets.iter().find(|socket| socket.address == at).map_or(at, |it| it.public);
    match (lab.selected(A), lab.selected(B)) {
        (Some(a), Some(b)) => (seen(a.0), seen(a.1)) == (seen(b.1), seen(b.0)),
        _ => false,
    }
}
