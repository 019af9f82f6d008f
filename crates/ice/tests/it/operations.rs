//! Whatever callers and networks do: both sides agree on one pair, or both have none.

use std::time::Duration;

use plenary_ice::{Config, Role, State};
use plenary_wire::FlowId;
use proptest::prelude::*;

use crate::lab::{A, B, Lab, address, config, lite_config, ms};

const HOSTS: [[&str; 3]; 2] = [
    ["192.0.2.1:1000", "198.51.100.1:1001", "203.0.113.1:1002"],
    ["192.0.2.2:2000", "198.51.100.2:2001", "203.0.113.2:2002"],
];

#[derive(Clone, Copy, Debug)]
enum Operation {
    Candidates(usize),
    Host(usize, usize),
    Remove(usize, usize),
    Restart(usize),
    Role(usize, bool),
    Loss(u64),
    Cut(usize),
    Heal,
    Pass(u16),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (0..2usize).prop_map(Operation::Candidates),
        (0..2usize, 0..3usize).prop_map(|(agent, host)| Operation::Host(agent, host)),
        (0..2usize, 0..3usize).prop_map(|(agent, host)| Operation::Remove(agent, host)),
        (0..2usize).prop_map(Operation::Restart),
        (0..2usize, any::<bool>()).prop_map(|(agent, controlling)| Operation::Role(agent, controlling)),
        (0..400u64).prop_map(Operation::Loss),
        (0..6usize).prop_map(Operation::Cut),
        Just(Operation::Heal),
        (0..3000u16).prop_map(Operation::Pass),
    ]
}

fn apply(lab: &mut Lab, operation: Operation) {
    let now = lab.now;
    match operation {
        Operation::Candidates(agent) => lab.candidates(agent),
        Operation::Host(agent, host) => add_host(lab, agent, host),
        Operation::Remove(agent, host) => {
            let flow = FlowId(host as u32);
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
        Operation::Loss(loss) => lab.loss = loss,
        Operation::Cut(host) => {
            let dead = address(HOSTS[host / 3][host % 3]);
            lab.cut = Some(Box::new(move |packet| packet.from == dead || packet.to == dead));
        }
        Operation::Heal => lab.cut = None,
        Operation::Pass(span) => lab.run(ms(span.into())),
    }
}

fn add_host(lab: &mut Lab, agent: usize, host: usize) {
    let (flow, at) = (FlowId(host as u32), HOSTS[agent][host]);
    let candidate = plenary_ice::LocalCandidate::host(flow, address(at));
    let now = lab.now;
    if lab.agents[agent].add_local_candidate(candidate, now).is_ok() {
        let known = lab.sockets.iter().any(|socket| socket.agent == agent && socket.flow == flow);
        if !known {
            lab.socket(agent, host as u32, at, at);
        }
    }
}

/// Lets it settle on a good network and looks at what both use.
fn settle(lab: &mut Lab) -> Result<(), TestCaseError> {
    (lab.loss, lab.cut) = (0, None);
    for agent in [A, B] {
        add_host(lab, agent, 0);
    }
    if lab.agents.iter().any(|agent| matches!(agent.state(), State::Failed(_))) {
        for agent in [A, B] {
            let now = lab.now;
            lab.agents[agent].restart(now);
        }
    }
    lab.signal();
    lab.run(Duration::from_secs(45));
    let (a, b) = (lab.selected(A), lab.selected(B));
    prop_assert_eq!(
        a.map(|(local, remote)| (remote, local)),
        b,
        "{}\n{}",
        lab.agents[A].explain(),
        lab.agents[B].explain()
    );
    prop_assert!(a.is_some(), "{}\n{}", lab.agents[A].explain(), lab.agents[B].explain());
    prop_assert_eq!(lab.agents[A].role(), lab.agents[B].role().reversed());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn both_agree_on_one_pair(
        operations in prop::collection::vec(operation(), 0..25), seed in 0..100u8, renomination: bool, lite: bool,
    ) {
        let with = |config| Config { renomination, ..config };
        let b = if lite { lite_config(seed + 100) } else { config(seed + 100, Role::Controlled) };
        let mut lab = Lab::new(with(config(seed, Role::Controlling)), with(b));
        lab.parameters();
        for operation in operations {
            apply(&mut lab, operation);
        }
        settle(&mut lab)?;
    }
}
