//! Hellos of real browsers (`testdata/hellos`): too large for one datagram, as they bring a key of ML-KEM.

use std::path::Path;

use plenary_transport::{CloseReason, DtlsVersions, Setup};

use crate::lab::{A, B, Lab, config};

const X25519: u16 = 0x001d;
const AES_128_GCM_SHA256: u16 = 0x1301;
const ECDHE_ECDSA_AES_128_GCM_SHA256: u16 = 0xc02b;
const SRTP_AEAD_AES_256_GCM: u16 = 8;

/// The datagrams that a browser sent, in their order: two for each time that it sent its hello.
fn hello(browser: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/hellos").join(browser);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits = text.lines().map(|line| line.split_once(' ').expect("time and bytes").1);
    digits
        .map(|digits| {
            let pairs = digits.as_bytes().chunks(2);
            pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
        })
        .collect()
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte))
}

/// What a server says to a hello.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    suite: u16,
    /// Of the key exchange: in 1.3 of the key share, in 1.2 of the ServerKeyExchange.
    group: u16,
    /// In 1.3 it is encrypted.
    profile: Option<u16>,
}

impl Answer {
    /// Reads the handshake messages of a flight that are in the clear, none of which is in fragments.
    fn of(flight: &[Vec<u8>]) -> Option<Self> {
        let mut messages = Vec::new();
        for mut datagram in flight.iter().map(Vec::as_slice) {
            while let [22, _, _, _, _, _, _, _, _, _, _, l0, l1, rest @ ..] = datagram {
                let (record, rest) = rest.split_at(number(&[*l0, *l1]));
                assert_eq!(record[1..4], record[9..12], "whole");
                messages.push((record[0], record[12..].to_vec()));
                datagram = rest;
            }
        }
        let (_, server_hello) = messages.iter().find(|(kind, _)| *kind == 2)?;
        // RFC 5246 §7.4.1.3: version, random, session, suite, compression, extensions.
        let after_session = &server_hello[35 + usize::from(server_hello[34])..];
        assert_eq!(after_session[2], 0, "no compression");
        let extension = |wanted: usize| {
            let mut rest = &after_session[5..];
            while !rest.is_empty() {
                let (extension, after) = rest.split_at(4 + number(&rest[2..4]));
                if number(&extension[..2]) == wanted {
                    return Some(&extension[4..]);
                }
                rest = after;
            }
            None
        };
        let key_share = extension(51);
        assert_eq!(extension(43), key_share.map(|_| &[0xfe, 0xfc][..]), "the version is 1.3 if there is a share");
        // RFC 8422 §5.4: a named curve.
        let key_exchange = messages.iter().find(|(kind, _)| *kind == 12).map(|(_, body)| &body[1..]);
        Some(Self {
            suite: number(&after_session[..2]) as u16,
            group: number(&key_share.or(key_exchange)?[..2]) as u16,
            // RFC 5764 §4.1.1: one profile, and no MKI.
            profile: extension(14).map(|it| number(&it[2..4]) as u16),
        })
    }
}

/// What a server says to these datagrams of a client's, and whether it closes.
fn answer(versions: DtlsVersions, datagrams: &[&[u8]]) -> (Option<Answer>, Option<CloseReason>) {
    let [mut a, mut b] = [config(A), config(B)];
    (a.dtls_server, b.setup) = (versions, Setup::Active);
    let mut lab = Lab::new(1, 50, 0, [a, b]);
    lab.peer_mut(B).mute = true; // another speaks for it
    lab.signal();
    lab.run(100);
    let remote = lab.peer(B).local;
    let came = lab.peer(B).came.len();
    for datagram in datagrams {
        lab.inject(A, remote, datagram);
    }
    lab.run(40);
    let flight: Vec<_> = lab.peer(B).came[came..].iter().filter(|it| it[0] == 22).cloned().collect();
    (Answer::of(&flight), lab.closed(A))
}

fn check(what: &str, browser: &str, datagrams: &[&[u8]]) {
    for versions in [DtlsVersions::Dtls12, DtlsVersions::Dtls13, DtlsVersions::Both] {
        let expected = match versions {
            // Of the profiles that both offer the best, whatever comes first in their lists.
            DtlsVersions::Dtls12 => {
                let (suite, profile) = (ECDHE_ECDSA_AES_128_GCM_SHA256, Some(SRTP_AEAD_AES_256_GCM));
                Answer { suite, group: X25519, profile }
            }
            // Both browsers send a share of X25519 along, so that no HelloRetryRequest is needed.
            _ => Answer { suite: AES_128_GCM_SHA256, group: X25519, profile: None },
        };
        let (answer, closed) = answer(versions, datagrams);
        assert_eq!(answer, Some(expected), "{browser}, {versions:?}: {what}");
        assert_eq!(closed, None, "{browser}, {versions:?}: {what}");
    }
}

#[test]
fn a_hello_with_a_key_of_ml_kem_is_answered_however_it_comes() {
    for browser in ["chromium.txt", "firefox.txt"] {
        let hello = hello(browser);
        let sent: Vec<_> = hello.iter().map(Vec::as_slice).collect();
        let [first, second, first_again, second_again, ..] = sent[..] else { panic!("two, and again") };
        assert_ne!(first, first_again, "it has another number");
        check("in order", browser, &[first, second]);
        check("the wrong way round", browser, &[second, first]);
        check("all of it twice", browser, &[first, first, second, second]);
        check("copies of both ends", browser, &[second, first, second, first, first_again]);
        check("without the first", browser, &[second, first_again, second_again]);
        check("without the second", browser, &[first, first_again, second_again]);
        check("late", browser, &[second_again, second, first_again]);
    }
}

// The trap: RFC 6347 §4.2.3 lets a retransmission have other fragments, and from the fourth time on Firefox's has.
#[test]
fn fragments_of_a_hello_may_change_as_it_is_sent_again() {
    let hello = hello("firefox.txt");
    let sent: Vec<_> = hello.iter().map(Vec::as_slice).collect();
    let ([first, second], [other_first, other_second]) = ([sent[4], sent[5]], [sent[6], sent[7]]);
    assert_ne!(first.len(), other_first.len());
    check("only the second of before", "firefox.txt", &[second, other_first, other_second]);
    check("only the first of before", "firefox.txt", &[first, other_first, other_second]);
    check("the first of before is longer", "firefox.txt", &[first, other_second]);
    check("the second of before is shorter", "firefox.txt", &[other_first, second, other_second]);
    check("the wrong way round", "firefox.txt", &[other_second, first]);
}

#[test]
fn garbage_between_the_fragments_of_a_hello_does_no_harm() {
    for browser in ["chromium.txt", "firefox.txt"] {
        let hello = hello(browser);
        let record = |kind: u8, epoch: u8, body: &[u8]| {
            [&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 9, 9, 0, body.len() as u8][..], body].concat()
        };
        let mut garbage = vec![
            record(20, 0, &[1]),
            record(21, 0, &[1, 0]),
            record(21, 0, &[2, 40]),
            record(23, 0, &[7; 40]),
            record(23, 1, &[7; 40]),
            record(22, 1, &[7; 40]),
            record(22, 0, &[7; 5]),
            // A Finished, whole, and a ServerHello's beginning.
            record(22, 0, &[&[20, 0, 0, 12, 0, 4, 0, 0, 0, 0, 0, 12][..], &[7; 12]].concat()),
            record(22, 0, &[&[2, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 12][..], &[7; 12]].concat()),
            vec![0b0010_1110; 50],
            vec![22; 50],
            vec![63],
        ];
        garbage.extend([hello[0][..1000].to_vec(), hello[1][..25].to_vec(), hello[1][..12].to_vec()]);
        let mut datagrams = Vec::new();
        for datagram in [&hello[1], &hello[0]] {
            datagrams.extend(garbage.iter().map(Vec::as_slice));
            datagrams.push(datagram);
        }
        check("amid garbage", browser, &datagrams);
    }
}
