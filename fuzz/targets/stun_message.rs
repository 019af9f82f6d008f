#![no_main]

// Three bytes of how, and the bytes of a message. How: 1 mends the header's cookie and length, 2 signs by SHA-1, 4 by
// SHA-256, 8 adds the fingerprint; the other two bytes say which bit of what was written is flipped.

use libfuzzer_sys::fuzz_target;
use plenary_stun::{
    ATTRIBUTES_MAX, Algorithm, Attribute, HEADER_LEN, Key, Message, Writer, request_username, xor_address,
};

const KEY: Key<'_> = Key::short_term(b"the fuzzer's own");
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

fuzz_target!(|input: &[u8]| {
    let Some((&[how, high, low], bytes)) = input.split_first_chunk() else { return };
    // With room for what is written.
    let mut bytes = bytes[..bytes.len().min(60_000)].to_vec();
    if how & 1 > 0 && bytes.len() >= HEADER_LEN {
        bytes.truncate(bytes.len() / 4 * 4);
        let length = (bytes.len() - HEADER_LEN) as u16;
        (bytes[0], bytes[2], bytes[3]) = (bytes[0] & 3, (length >> 8) as u8, length as u8);
        bytes[4..8].copy_from_slice(&COOKIE);
    }
    let name = request_username(&bytes);
    let Ok(message) = Message::parse(&bytes) else { return };
    read(&message, name);
    let algorithms = [(2, Algorithm::Sha1), (4, Algorithm::Sha256)];
    let algorithms: Vec<_> = algorithms.iter().filter(|(bit, _)| how & bit > 0).map(|(_, it)| *it).collect();
    let written = write(&message, &algorithms, how & 8 > 0);
    flip(&written, &algorithms, how & 8 > 0, u16::from_be_bytes([high, low]).into());
});

/// What is read is what a plain walk finds.
fn read(message: &Message<'_>, name: Option<&[u8]>) {
    let bytes = message.bytes();
    assert!(bytes[0] < 4 && bytes[4..8] == COOKIE && bytes.len() == HEADER_LEN + usize::from(number(&bytes[2..])));
    let mut walked = Vec::new();
    let mut rest = &bytes[HEADER_LEN..];
    while !rest.is_empty() {
        let (kind, len) = (Attribute(number(rest)), usize::from(number(&rest[2..])));
        walked.push((kind, &rest[4..4 + len]));
        rest = &rest[4 + len.next_multiple_of(4)..];
    }
    assert!(walked.len() <= ATTRIBUTES_MAX);
    let is_proof =
        |kind: Attribute| [Attribute::MESSAGE_INTEGRITY, Attribute::MESSAGE_INTEGRITY_SHA256].contains(&kind);
    let fingerprint = walked.iter().position(|(kind, _)| *kind == Attribute::FINGERPRINT);
    assert_eq!(fingerprint, message.has_fingerprint().then(|| walked.len() - 1));
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        assert!(!message.is_signed_with(&KEY, algorithm), "forged");
    }
    let names = walked.iter().find(|(kind, _)| *kind == Attribute::USERNAME).map(|(_, name)| *name);
    let is_binding = bytes[..2] == [0, 1];
    assert_eq!(name, names.filter(|_| is_binding).map(|name| &name[..name.len().min(513)]));

    walked.truncate(walked.iter().position(|(kind, _)| is_proof(*kind)).unwrap_or(walked.len()));
    assert!(message.attributes().eq(walked.iter().copied()));
    for &(kind, value) in &walked {
        let first = message.get(kind).expect("it is there");
        assert_eq!(Some(first), walked.iter().find(|(other, _)| *other == kind).map(|(_, first)| *first));
        assert_eq!(message.get_array(kind), message.get_u32(kind).map(|it| it.map(u32::to_be_bytes)));
        assert_eq!(message.get_u32(kind).is_ok(), first.len() == 4);
        if let Ok(address) = message.xor_address(kind, value) {
            assert_eq!(address.ip(), address.ip().to_canonical());
            let (written, len) = xor_address(address, &message.transaction());
            assert_eq!(message.xor_address(kind, &written[..len]), Ok(address));
            assert_eq!(value.len(), if value[1] == 1 { 8 } else { 20 });
            assert!(len != value.len() || written[1..len] == value[1..]);
        }
        assert!(message.get_address(kind).is_err() || [8, 20].contains(&first.len()));
    }
    let code = message.get(Attribute::ERROR_CODE);
    assert_eq!(message.get_error_code().is_ok(), code.is_none_or(|value| value.len() >= 4));
    let unknown: Vec<_> = message.unknown(|kind| kind == Attribute::USERNAME).iter().collect();
    assert!(unknown.iter().all(|kind| kind.0 < 0x8000 && *kind != Attribute::USERNAME && message.get(*kind).is_some()));
}

/// What counts of a message, written anew behind something else, reads as it did.
fn write(message: &Message<'_>, algorithms: &[Algorithm], fingerprint: bool) -> Vec<u8> {
    let mut out = vec![0xaa; 5];
    let attributes: Vec<_> = message.attributes().filter(|(kind, _)| *kind != Attribute::FINGERPRINT).collect();
    let attributes = &attributes[..attributes.len().min(ATTRIBUTES_MAX - 3)];
    let mut writer = Writer::new(message.class(), message.method(), message.transaction(), &mut out);
    let mut len = HEADER_LEN;
    for (kind, value) in attributes {
        let (front, back) = value.split_at(value.len() / 3);
        writer.attribute(*kind, &[front, back]);
        len += 4 + value.len().next_multiple_of(4);
    }
    algorithms.iter().for_each(|algorithm| writer.integrity(&KEY, *algorithm));
    if fingerprint {
        writer.fingerprint();
    }
    let out = out.split_off(5);
    let proofs: usize = algorithms.iter().map(|it| if *it == Algorithm::Sha1 { 24 } else { 36 }).sum();
    assert_eq!(out.len(), len + proofs + if fingerprint { 8 } else { 0 });
    let read = Message::parse(&out).expect("what is written is a message");
    assert_eq!((read.class(), read.method()), (message.class(), message.method()));
    assert_eq!((read.transaction(), read.has_fingerprint()), (message.transaction(), fingerprint));
    let rest = (fingerprint && algorithms.is_empty()).then_some(Attribute::FINGERPRINT);
    assert!(read.attributes().map(|(kind, _)| kind).eq(attributes.iter().map(|(kind, _)| *kind).chain(rest)));
    assert!(read.attributes().zip(attributes).all(|(read, written)| read == *written));
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        let is_signed = algorithms.contains(&algorithm);
        assert_eq!((read.has_integrity(algorithm), read.is_signed_with(&KEY, algorithm)), (is_signed, is_signed));
    }
    out
}

/// One bit is noticed: by the fingerprint wherever it is, by the integrity if it is before its end.
fn flip(written: &[u8], algorithms: &[Algorithm], fingerprint: bool, bit: usize) {
    let mut flipped = written.to_vec();
    let bit = bit % (8 * flipped.len());
    flipped[bit / 8] ^= 1 << (bit % 8);
    let Ok(message) = Message::parse(&flipped) else { return };
    assert!(!fingerprint || !message.has_fingerprint());
    let mut end = written.len() - if fingerprint { 8 } else { 0 };
    for algorithm in algorithms.iter().rev() {
        assert!(bit / 8 >= end || !message.is_signed_with(&KEY, *algorithm), "bit {bit}, {algorithm:?}");
        end -= if *algorithm == Algorithm::Sha1 { 24 } else { 36 };
    }
}

fn number(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}
