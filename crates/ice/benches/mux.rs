//! Routing among 100,000 agents, and what one check costs a lite agent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use divan::{Bencher, black_box};
use plenary_ice::{Agent, AgentKey, Config, LocalCandidate, Mode, Mux};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit};

const FLOW: FlowId = FlowId(0);
const AGENTS: u32 = 100_000;

fn main() {
    divan::main();
}

fn peer(number: u32) -> SocketAddr {
    SocketAddr::from((number.wrapping_mul(2_654_435_761).to_be_bytes(), 5000))
}

fn mux() -> Mux {
    let mut mux = Mux::new([1; 32], 4);
    for number in 0..AGENTS {
        mux.insert(&format!("u{number:07}"), AgentKey(number.into())).unwrap();
        mux.bind(FLOW, peer(number), AgentKey(number.into()));
    }
    mux
}

#[divan::bench(sample_size = 1000)]
fn route_media_by_address(bencher: Bencher<'_, '_>) {
    let (mux, mut number) = (mux(), 0u32);
    bencher.bench_local(move || {
        number = (number + 7919) % AGENTS;
        black_box(mux.route(FLOW, peer(number), black_box(&[0x80, 96, 0, 0])))
    });
}

/// The same question to the table that first comes to mind, to compare with.
#[divan::bench(sample_size = 1000)]
fn plain_hash_map_by_address(bencher: Bencher<'_, '_>) {
    #[expect(clippy::disallowed_methods, reason = "it is what others would take")]
    let (mut map, mut number) = (HashMap::new(), 0u32);
    for number in 0..AGENTS {
        map.insert((FLOW, peer(number)), AgentKey(number.into()));
    }
    bencher.bench_local(move || {
        number = (number + 7919) % AGENTS;
        black_box(map.get(&(FLOW, peer(number))).copied())
    });
}

fn agent(seed: u8, mode: Mode, at: SocketAddr, now: Instant) -> Agent {
    let mut agent = Agent::new(Config { entropy: [seed; 32], mode, ..Config::default() }, now).unwrap();
    agent.add_local_candidate(LocalCandidate::host(FLOW, at), now).unwrap();
    agent
}

/// The first check of a full agent to a lite one, and the lite one.
fn first_check() -> (Agent, Vec<u8>, SocketAddr, SocketAddr, Instant) {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    let now = Instant::now();
    let (here, there) = (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 2], 2)));
    let (mut full, mut lite) = (agent(1, Mode::Full, here, now), agent(2, Mode::Lite, there, now));
    full.set_remote_parameters(lite.local_parameters(), now);
    lite.set_remote_parameters(full.local_parameters(), now);
    for candidate in lite.local_candidates() {
        full.add_remote_candidate(candidate, now);
    }
    let mut out = Vec::new();
    full.poll_transmit(now, Limit::DATAGRAM, &mut out).unwrap();
    (lite, out, here, there, now)
}

#[divan::bench(sample_size = 1000)]
fn route_a_request_by_ufrag(bencher: Bencher<'_, '_>) {
    let (lite, check, here, ..) = first_check();
    let mut mux = mux();
    mux.insert(lite.local_parameters().credentials.ufrag(), AgentKey(u64::MAX)).unwrap();
    bencher.bench_local(move || black_box(mux.route(FLOW, here, black_box(&check))));
}

/// Verify, note, sign: a consent round as a lite agent sees it.
#[divan::bench(sample_size = 1000)]
fn answer_a_check(bencher: Bencher<'_, '_>) {
    let (mut lite, mut check, here, there, now) = first_check();
    let mut out = Vec::new();
    bencher.bench_local(move || {
        let datagram = Datagram { flow: FLOW, local: there, remote: here, ecn: Ecn::NotEct, bytes: &mut check };
        assert_eq!(black_box(lite.handle_datagram(datagram, now)), Handled::Consumed);
        out.clear();
        lite.poll_transmit(now, Limit::DATAGRAM, &mut out).unwrap();
        while lite.poll_event().is_some() {}
    });
}
