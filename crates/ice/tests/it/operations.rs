//! Whatever callers and networks do: both sides agree on one pair, or both fail.

use std::time::Duration;

use plenary_ice::{Config, LocalCandidate, Role, State};
use plenary_wire::FlowId;
use proptest::prelude::*;

use crate::lab::{A, B, Lab, address, config, lite_config, ms};

/// Two hosts of each, and a relayed address.
const PLACES: [[&str; 3]; 2] = [
    ["192.0.2.1:1000", "198.51.100.1:1001", "203.0.113.1:1002"],
    ["192.0.2.2:2000", "198.51.100.2:2001", "203.0.113.2:2002"],
];

#[derive(Clone, Copy, Debug)]
enum Operation {
    Candidates(usize),
    /// With `true` it is told to the other side at once.
    Place(usize, usize, bool),
    Remove(usize, usize),
    Restart(usize),
    Role(usize, bool),
    /// There and back, before the other side can notice.
    Flip(usize),
    Revoke(usize),
    Loss(u64),
    Cut(usize),
    Heal,
    Pass(u16),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        1 => (0..2usize).prop_map(Operation::Candidates),
        3 => (0..2usize, 0..3usize, any::<bool>()).prop_map(|(agent, place, told)| Operation::Place(agent, place, told)),
        1 => (0..2usize, 0..3usize).prop_map(|(agent, place)| Operation::Remove(agent, place)),
        1 => (0..2usize).prop_map(Operation::Restart),
        1 => (0..2usize, any::<bool>()).prop_map(|(agent, controlling)| Operation::Role(agent, controlling)),
        1 => (0..2usize).prop_map(Operation::Flip),
        1 => (0..2usize).prop_map(Operation::Revoke),
        1 => (0..400u64).prop_map(Operation::Loss),
        1 => (0..6usize).prop_map(Operation::Cut),
        1 => Just(Operation::Heal),
        3 => (0..3000u16).prop_map(Operation::Pass),
    ]
}

fn apply(lab: &mut Lab, operation: Operation) {
    let now = lab.now;
    match operation {
        Operation::Candidates(agent) => lab.candidates(agent),
        Operation::Place(agent, place, told) => {
            add(lab, agent, place);
            if told {
                lab.candidates(agent);
            }
        }
        Operation::Remove(agent, place) => {
            let flow = FlowId(place as u32);
            // It may not be there.
            lab.agents[agent].remove_flow(flow, now).ok();
        }
        Operation::Restart(agent) => {
            lab.agents[agent].restart(now);
            let parameters = lab.agents[agent].local_parameters();
            lab.agents[1 - agent].set_remote_parameters(parameters, now);
            let parameters = lab.agents[1 - agent].local_parameters();
            lab.agents[agent].set_remote_parameters(parameters, now);
        }
        Operation::Role(agent, controlling) => {
            lab.agents[agent].set_role_to(if controlling { Role::Controlling } else { Role::Controlled }, now);
        }
        Operation::Flip(agent) => {
            let role = lab.agents[agent].role();
            for role in [role.reversed(), role] {
                lab.agents[agent].set_role_to(role, now);
            }
        }
        Operation::Revoke(agent) => lab.agents[agent].revoke(),
        Operation::Loss(loss) => lab.loss = loss,
        Operation::Cut(place) => {
            let dead = address(PLACES[place / 3][place % 3]);
            lab.cut = Some(Box::new(move |packet| packet.from == dead || packet.to == dead));
        }
        Operation::Heal => lab.cut = None,
        Operation::Pass(span) => lab.run(ms(span.into())),
    }
}

fn add(lab: &mut Lab, agent: usize, place: usize) {
    let (flow, at, now) = (FlowId(place as u32), PLACES[agent][place], lab.now);
    let candidate = if place == 2 { LocalCandidate::relayed } else { LocalCandidate::host };
    // A lite agent has no relayed ones, and it may be there.
    if lab.agents[agent].add_local_candidate(candidate(flow, address(at)), now).is_ok()
        && !lab.sockets.iter().any(|socket| socket.agent == agent && socket.flow == flow)
    {
        lab.socket(agent, flow.0, at, at);
    }
}

/// Lets it settle on a good network, and looks at what both use.
fn settle(lab: &mut Lab) -> Result<(), TestCaseError> {
    (lab.loss, lab.cut) = (0, None);
    lab.until(Duration::from_secs(120), |lab| lab.is_complete() && agree(lab) || have_failed(lab));
    lab.run(Duration::from_secs(20));
    prop_assert!(agree(lab) || have_failed(lab), "{}", explained(lab));
    if have_failed(lab) {
        for agent in [A, B] {
            let now = lab.now;
            lab.agents[agent].restart(now);
            add(lab, agent, 0);
        }
        lab.signal();
        prop_assert!(lab.until(Duration::from_secs(10), |lab| lab.is_complete() && agree(lab)), "{}", explained(lab));
    }
    prop_assert_eq!(lab.agents[A].role(), lab.agents[B].role().reversed());
    Ok(())
}

fn agree(lab: &Lab) -> bool {
    lab.is_usable() && lab.selected(A) == lab.selected(B).map(|(local, remote)| (remote, local))
}

fn have_failed(lab: &Lab) -> bool {
    lab.agents.iter().all(|agent| matches!(agent.state(), State::Failed(_)))
}

fn explained(lab: &Lab) -> String {
    format!("{}\n{}", lab.agents[A].explain(), lab.agents[B].explain())
}

proptest! {
    #[test]
    fn both_agree_on_one_pair(
        operations in prop::collection::vec(operation(), 0..25), seed in 0..100u8, renomination: [bool; 2],
        lite: bool,
    ) {
        let with = |config, agent: usize| Config { renomination: renomination[agent], ..config };
        let b = if lite { lite_config(seed + 100) } else { config(seed + 100, Role::Controlled) };
        let mut lab = Lab::new(with(config(seed, Role::Controlling), A), with(b, B));
        lab.parameters();
        for operation in operations {
            apply(&mut lab, operation);
        }
        settle(&mut lab)?;
    }
}
