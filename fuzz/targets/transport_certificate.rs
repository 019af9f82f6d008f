#![no_main]
//! A certificate and a key, as a caller kept them. The input is the length of the certificate in two bytes, the
//! certificate, and the key.

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use plenary_ice::{LocalCandidate, Role};
use plenary_transport::{Certificate, Config, DtlsVersions, HashFunction, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return };
    let Some((der, key)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else { return };
    let Ok(certificate) = Certificate::from_der(der, key) else { return };
    assert!(der.len() <= Certificate::DER_MAX);
    assert_eq!((certificate.der(), certificate.private_key()), (der, key));
    let hash = HashFunction::Sha256;
    let again = Certificate::from_der(certificate.der(), certificate.private_key()).expect("as before");
    assert_eq!(again.fingerprint(hash), certificate.fingerprint(hash));
    for versions in [DtlsVersions::Dtls12, DtlsVersions::Dtls13] {
        meet(&certificate, versions);
    }
});

/// Two that have this certificate meet; whatever comes of it, they come to an end.
fn meet(certificate: &Certificate, versions: DtlsVersions) {
    #[allow(clippy::disallowed_methods, reason = "an instant to start from")]
    let now = Instant::now();
    let address = |of: usize| ([192, 0, 2, of as u8 + 1], 1000).into();
    let mut sides = [0, 1].map(|of| {
        let mut config = Config::new(certificate.clone(), [of as u8 + 1; 32]);
        (config.dtls_client, config.dtls_server) = (versions, versions);
        config.ice.role = if of == 0 { Role::Controlling } else { Role::Controlled };
        let mut transport = Transport::new(config, now).expect("within the ranges");
        transport.add_local_candidate(LocalCandidate::host(FlowId(0), address(of)), now).expect("one");
        transport
    });
    for (from, to) in [(0, 1), (1, 0)] {
        let (parameters, candidates) = (sides[from].local_parameters(), sides[from].ice().local_candidates());
        sides[to].set_remote(parameters, now).expect("a description");
        for candidate in candidates {
            sides[to].add_remote_candidate(candidate, now);
        }
    }
    // What is no certificate but for the key in it is passed over, and the handshake's time runs out.
    for milliseconds in (0..1000).step_by(50).chain((1000..40_000).step_by(1000)) {
        let now = now + Duration::from_millis(milliseconds);
        for _ in 0..8 {
            for from in [0, 1] {
                sides[from].handle_timeout(now);
                let mut out = Vec::new();
                while let Some(transmit) = sides[from].poll_transmit(now, Limit::DATAGRAM, &mut out) {
                    let (flow, local, remote) = (FlowId(0), transmit.remote, transmit.local);
                    let bytes = &mut out[transmit.range.clone()];
                    let _ =
                        sides[1 - from].handle_datagram(Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes }, now);
                }
            }
        }
    }
    for side in &sides {
        assert!(side.profile().is_some() || side.closed().is_some(), "{side:?}");
    }
}
