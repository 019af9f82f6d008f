//! What a transport holds on the heap, with its own size.

use plenary_transport::{CloseReason, Config, DtlsVersions, Setup, Transport};

use crate::lab::{A, B, Lab, config, lite_config};

/// Bytes that are free again when it is dropped.
fn held(lab: &mut Lab, of: usize) -> usize {
    let other = Transport::new(config(2), lab.sim.now()).unwrap();
    let transport = std::mem::replace(lab.transport_mut(of), other);
    let freed = -allocation_counter::measure(|| drop(transport)).bytes_current;
    usize::try_from(freed).unwrap() + size_of::<Transport>()
}

// A full client, A, and a server that is lite or full, B.
#[test]
fn an_idle_transport_holds_little() {
    for (versions, connected_max) in [(DtlsVersions::Dtls12, 16_000), (DtlsVersions::Dtls13, 20_000)] {
        for (mode, server) in [("full", config as fn(usize) -> Config), ("lite", lite_config)] {
            let at = |time: u64| {
                let mut configs = [config(A), server(B)];
                for config in &mut configs {
                    (config.dtls_client, config.dtls_server) = (versions, versions);
                }
                configs[B].setup = Setup::Passive;
                let mut lab = Lab::signalled(1, 100, 0, configs);
                lab.run(time);
                [A, B].map(|of| held(&mut lab, of))
            };
            let [new, with_path, connected] = [at(0), at(145), at(5000)].map(|[_, server]| server);
            let [client, _] = at(5000);
            println!(
                "{versions:?}, {mode}: {new} bytes, with a path {with_path}, connected {connected}; client {client}"
            );
            assert!(new < 3500 && with_path < 3500, "{new}, {with_path}");
            assert!(connected < connected_max && client < connected_max, "{connected}, {client}");
        }
    }
}

// Invited peers whose ICE is up, and who begin a handshake and leave it at that.
#[test]
fn a_flood_of_half_open_handshakes_costs_what_is_said() {
    const PEERS: usize = 20;
    let half_open = |seed: usize, milliseconds: u64| {
        let mut b = lite_config(B);
        b.setup = Setup::Passive;
        let mut lab = Lab::signalled(seed as u64, 100, 0, [config(A), b]);
        lab.run(160); // The hello has come, and was answered.
        lab.peer_mut(A).mute = true;
        lab.run(milliseconds);
        assert!(lab.connected(B).is_none());
        (lab.closed(B), held(&mut lab, B))
    };
    let all: usize = (0..PEERS).map(|seed| half_open(seed, 25_000).1).sum();
    let (closed, after) = half_open(0, 31_000);
    println!("a half-open handshake: {} bytes, {after} when it was given up", all / PEERS);
    assert!(all / PEERS < 13_000, "{}", all / PEERS);
    assert_eq!(closed, Some(CloseReason::HandshakeTimeout));
    assert!(after < 3500, "{after}");
}
