//! What a lite agent weighs, with its place in the mux.

use std::net::SocketAddr;
use std::time::Instant;

use plenary_ice::{Agent, AgentKey, Config, Event, LocalCandidate, Mode, Mux, State, Taken};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit};

const AGENTS: u32 = 100_000;
const FLOW: FlowId = FlowId(0);

fn agent(seed: u32, mode: Mode, at: SocketAddr, now: Instant) -> Agent {
    let mut entropy = [mode as u8; 32];
    entropy[..4].copy_from_slice(&seed.to_be_bytes());
    let mut agent = Agent::new(Config { entropy, mode, ..Config::default() }, now).unwrap();
    agent.add_local_candidate(LocalCandidate::host(FLOW, at), now).unwrap();
    agent
}

/// Drives the two until the full one is satisfied.
fn connect(full: &mut Agent, lite: &mut Agent, here: SocketAddr, there: SocketAddr, now: Instant) {
    let mut out = Vec::new();
    for _ in 0..4 {
        for to_lite in [true, false] {
            let (from, to, address, remote) =
                if to_lite { (&mut *full, &mut *lite, there, here) } else { (&mut *lite, &mut *full, here, there) };
            out.clear();
            while let Some(transmit) = from.poll_transmit(now, Limit::DATAGRAM, &mut out) {
                let bytes = &mut out[transmit.range];
                let datagram = Datagram { flow: FLOW, local: address, remote, ecn: Ecn::NotEct, bytes };
                assert_eq!(to.handle_datagram(datagram, now), Handled::Consumed);
            }
        }
    }
}

#[test]
fn a_check_allocates_nothing_once_there_is_a_pair() {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    let now = Instant::now();
    let (here, there) = (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 2], 2)));
    let (mut full, mut lite) = (agent(1, Mode::Full, here, now), agent(1, Mode::Lite, there, now));
    full.set_remote_parameters(lite.local_parameters(), now);
    lite.set_remote_parameters(full.local_parameters(), now);
    for candidate in lite.local_candidates() {
        full.add_remote_candidate(candidate, now);
    }
    connect(&mut full, &mut lite, here, there, now);
    while lite.poll_event().is_some() {}
    let later = now + std::time::Duration::from_millis(500);
    full.handle_timeout(later);
    let (mut check, mut answer) = (Vec::new(), Vec::with_capacity(500));
    full.poll_transmit(later, Limit::DATAGRAM, &mut check).expect("a liveness check is due");
    let info = allocation_counter::measure(|| {
        let datagram = Datagram { flow: FLOW, local: there, remote: here, ecn: Ecn::NotEct, bytes: &mut check };
        assert_eq!(lite.handle_datagram(datagram, later), Handled::Consumed);
        assert!(lite.poll_transmit(later, Limit::DATAGRAM, &mut answer).is_some());
        assert!(lite.poll_event().is_none() && lite.poll_timeout().is_some());
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_hundred_thousand_connected_lite_agents_are_two_kilobytes_each() {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    let now = Instant::now();
    let there = SocketAddr::from(([192, 0, 2, 2], 2));
    let mut kept = Vec::new();
    let mut mux = None;
    let info = allocation_counter::measure(|| {
        let mut agents = Vec::with_capacity(AGENTS as usize);
        let mut table = Mux::new([1; 32], 4);
        for number in 0..AGENTS {
            let here = SocketAddr::from(((10 << 24 | number).to_be_bytes(), 5000));
            let (mut full, mut lite) = (agent(number, Mode::Full, here, now), agent(number, Mode::Lite, there, now));
            table.insert(lite.local_parameters().credentials.ufrag(), AgentKey(number.into())).unwrap();
            full.set_remote_parameters(lite.local_parameters(), now);
            lite.set_remote_parameters(full.local_parameters(), now);
            for candidate in lite.local_candidates() {
                full.add_remote_candidate(candidate, now);
            }
            // What a browser with two interfaces and a TURN server signals, and the name that hides a host.
            for port in 1..=8 {
                let line = format!("candidate:{port} 1 udp 1 198.51.100.7 {port} typ srflx raddr 0.0.0.0 rport 0");
                assert_eq!(lite.add_remote_candidate(line.parse().unwrap(), now), Taken::Added);
            }
            let name = "candidate:9 1 udp 2 0d1ba3a4-2f6c-4f7f-9b8e-16d3e1a2c111.local 53234 typ host";
            assert_eq!(lite.add_remote_candidate(name.parse().unwrap(), now), Taken::Unneeded);
            connect(&mut full, &mut lite, here, there, now);
            while let Some(event) = lite.poll_event() {
                if let Event::Heard { flow, remote } = event {
                    table.bind(flow, remote, AgentKey(number.into()));
                }
            }
            assert_eq!(lite.state(), State::Completed);
            agents.push(lite);
        }
        (kept, mux) = (agents, Some(table));
    });
    let each = info.bytes_current / i64::from(AGENTS);
    assert_eq!((kept.len(), mux.unwrap().bound()), (AGENTS as usize, AGENTS as usize));
    println!("{each} bytes each, {} of them the struct", size_of::<Agent>());
    assert!(each <= 2048, "{each} bytes each, {} of them the struct", size_of::<Agent>());
}
