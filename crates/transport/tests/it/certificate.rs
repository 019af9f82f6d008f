//! Certificates as peers may have them.

use plenary_transport::{Certificate, CloseReason, Config, DropReason, DtlsVersions, Setup};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::lab::{A, B, Lab, config};

/// One of about so many bytes.
pub(crate) fn of_size(bytes: usize) -> Certificate {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    let content = vec![7; bytes.saturating_sub(350)];
    params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999], content));
    let certificate = params.self_signed(&key).unwrap();
    Certificate::from_der(certificate.der(), &key.serialize_der()).unwrap()
}

#[test]
fn certificates_of_all_sizes_connect() {
    for versions in [DtlsVersions::Dtls12, DtlsVersions::Dtls13] {
        for setup in [Setup::Active, Setup::Passive] {
            for bytes in [400, 1500, 2100, 4000] {
                let [mut a, mut b] = [config(A), config(B)];
                for it in [&mut a, &mut b] {
                    (it.dtls_client, it.dtls_server) = (versions, versions);
                    it.certificate = of_size(bytes);
                }
                b.setup = setup;
                let mut lab = Lab::signalled(1, 50, 0, [a, b]);
                lab.run(2000);
                assert!(lab.keys_after().is_some(), "{versions:?}, {setup:?}, {bytes} bytes");
                let there = lab.transport(A).peer_certificate().map(<[u8]>::len);
                assert!(there.is_some_and(|len| len.abs_diff(bytes) < 100), "{there:?}");
            }
        }
    }
}

/// A Certificate message (RFC 5246 §7.4.2) with one of so many bytes, in records of fragments (RFC 6347 §4.2.3).
fn certificate_message(bytes: usize) -> Vec<Vec<u8>> {
    let length = |bytes: usize| (bytes as u32).to_be_bytes()[1..].to_vec();
    let body = [length(bytes + 3), length(bytes), vec![0x30; bytes]].concat();
    let record = |(number, part): (usize, &[u8])| {
        let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 1, number as u8];
        record.extend((part.len() as u16 + 12).to_be_bytes());
        record.push(11);
        record.extend([length(body.len()), vec![0, 1], length(number * 1400), length(part.len())].concat());
        record.extend(part);
        record
    };
    body.chunks(1400).enumerate().map(record).collect()
}

// The trap: `dimpl` panics where the certificate finds no room in the buffer for its output. A stranger can choose it.
#[test]
fn a_certificate_of_any_size_ends_with_a_reason() {
    for (bytes, reason) in [
        (2000, CloseReason::Fingerprint),
        (2049, CloseReason::Fingerprint),
        (10_000, CloseReason::Fingerprint),
        (16 * 1400 - 6, CloseReason::Fingerprint),
        (16 * 1400 - 5, CloseReason::Handshake),
        (100_000, CloseReason::Handshake),
    ] {
        let mut lab = Lab::signalled(1, 100, 0, [config(A), config(B)]);
        lab.run(210); // The server has answered the hello.
        let remote = lab.peer(B).local;
        for record in certificate_message(bytes) {
            lab.inject(A, remote, &record);
        }
        lab.run(1);
        assert_eq!(lab.closed(A), Some(reason), "{bytes} bytes");
    }
}

#[test]
fn a_datagram_larger_than_a_network_carries_is_dropped() {
    let mut lab = Lab::signalled(1, 100, 0, [config(A), config(B)]);
    let remote = lab.peer(B).local;
    for stage in 0..3 {
        lab.inject(A, remote, &[22; Config::DATAGRAM_MAX + 1]);
        assert_eq!(lab.transport(A).dropped(DropReason::Size), stage + 1);
        lab.run(210);
    }
    assert!(lab.keys_after().is_some());
}
