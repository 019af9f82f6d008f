use super::*;

const TRANSACTION: TransactionId = TransactionId([7; 12]);
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

fn signed(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = binding(Class::Request, TRANSACTION, &mut out);
    write(&mut writer);
    sign(writer, PASSWORD);
    out
}

#[test]
fn a_check_is_read() {
    let out = signed(|writer| {
        writer.attribute(Attribute::USERNAME, &[b"evtj:h6vY"]);
        writer.attribute(Attribute::PRIORITY, &[&0x6e00_01ff_u32.to_be_bytes()]);
        writer.attribute(Attribute::ICE_CONTROLLED, &[&9_u64.to_be_bytes()]);
        writer.attribute(Attribute::USE_CANDIDATE, &[]);
        writer.attribute(Attribute::NOMINATION, &[&[0xff, 0, 0, 3]]);
        writer.attribute(Attribute::NETWORK_COST, &[&[0; 4]]);
    });
    let message = Message::parse(&out).unwrap();
    assert_eq!((message.class(), message.transaction()), (Class::Request, TRANSACTION));
    assert_eq!((message.username_first(), request_ufrag(&out)), (Some(&b"evtj"[..]), Some(&b"evtj"[..])));
    assert_eq!((message.priority, message.controlled, message.controlling), (Some(0x6e00_01ff), Some(9), None));
    assert_eq!((message.use_candidate, message.nomination), (true, Some(3)));
    assert!(message.has_integrity() && message.is_signed_with(PASSWORD) && !message.is_signed_with(b"another"));
    assert!(message.unknown.is_empty());
}

#[test]
fn what_does_not_hold_together_is_malformed() {
    let sample = signed(|_| {});
    assert_eq!(Message::parse(&sample[..19]), Err(DropReason::NotStun));
    assert_eq!(Message::parse(&sample[..sample.len() - 4]), Err(DropReason::Malformed));
    let mut wrong = sample.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(Message::parse(&wrong), Err(DropReason::Fingerprint));
    let mut overrun = sample;
    overrun[23] = 0xff;
    assert_eq!(Message::parse(&overrun), Err(DropReason::Malformed));
}

#[test]
fn other_methods_are_refused() {
    for method in [Method::ALLOCATE, Method::REFRESH, Method(0), Method(0xff)] {
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            let mut out = Vec::new();
            Writer::new(class, method, TRANSACTION, &mut out).fingerprint();
            assert_eq!(Message::parse(&out), Err(DropReason::Method), "{method:?}");
        }
    }
}

#[test]
fn of_duplicates_the_first_counts() {
    let out = signed(|writer| {
        writer.attribute(Attribute::PRIORITY, &[&[0, 0, 0, 1]]);
        writer.attribute(Attribute::PRIORITY, &[&[0, 0, 0, 2]]);
    });
    assert_eq!(Message::parse(&out).unwrap().priority, Some(1));
}

#[test]
fn attributes_behind_the_integrity_are_ignored() {
    let mut out = Vec::new();
    let mut writer = binding(Class::Request, TRANSACTION, &mut out);
    writer.integrity(&Key::short_term(PASSWORD), Algorithm::Sha1);
    writer.attribute(Attribute::USE_CANDIDATE, &[]);
    writer.attribute(Attribute(0x7fff), &[]);
    writer.fingerprint();
    let message = Message::parse(&out).unwrap();
    assert!(message.is_signed_with(PASSWORD) && !message.use_candidate && message.unknown.is_empty());
}

#[test]
fn fixed_sizes_are_fixed() {
    for (kind, length) in [
        (Attribute::PRIORITY, 3),
        (Attribute::PRIORITY, 5),
        (Attribute::ICE_CONTROLLED, 4),
        (Attribute::USE_CANDIDATE, 1),
        (Attribute::NOMINATION, 0),
        (Attribute::ERROR_CODE, 3),
    ] {
        let out = signed(|writer| writer.attribute(kind, &[&vec![0; length]]));
        assert_eq!(Message::parse(&out), Err(DropReason::Malformed), "{kind:?} of {length} bytes");
    }
    let out = signed(|writer| writer.attribute(Attribute::USERNAME, &[&[b'a'; 514]]));
    assert_eq!(Message::parse(&out), Err(DropReason::Malformed), "a username of 514 bytes");
    let out = signed(|writer| writer.attribute(Attribute::USERNAME, &[&[0xff; 513]]));
    assert_eq!(Message::parse(&out).unwrap().username_first(), None, "no UTF-8 and no colon, but no harm");
}

#[test]
fn addresses_of_a_wrong_family_or_size_are_malformed() {
    for (family, length) in [(0, 4), (3, 4), (1, 3), (1, 16), (2, 4), (2, 17)] {
        let write = |writer: &mut Writer<'_>| {
            writer.attribute(Attribute::XOR_MAPPED_ADDRESS, &[&[0, family, 0, 0], &vec![0; length]]);
        };
        assert_eq!(Message::parse(&signed(write)), Err(DropReason::Malformed), "family {family}, {length} bytes");
    }
}

#[test]
fn unknown_attributes_are_named_when_they_must_be_understood() {
    let out = signed(|writer| {
        writer.attribute(Attribute(0x7f01), &[b"x"]);
        writer.attribute(Attribute(0xff01), &[b"optional"]);
        writer.attribute(Attribute::REALM, &[b"known"]);
        for kind in 0x7f02..0x7f10 {
            writer.attribute(Attribute(kind), &[]);
        }
    });
    let unknown = Message::parse(&out).unwrap().unknown;
    assert!(unknown.iter().map(|kind| kind.0).eq(0x7f01..0x7f05));
}
