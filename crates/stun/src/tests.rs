use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::message::{FINGERPRINT_XOR, MAGIC_COOKIE};

const TRANSACTION: TransactionId =
    TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
const PASSWORD: Key<'_> = Key::short_term(b"VOkJxbRl1RmTxUk/WvJxBt");

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits")).collect()
}

fn rfc5769_request() -> Vec<u8> {
    bytes(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932f\
         f9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf",
    )
}

#[test]
fn rfc5769_sample_request() {
    let bytes = rfc5769_request();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction(), TRANSACTION);
    assert_eq!(message.get(Attribute::USERNAME), Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.get(Attribute::SOFTWARE), Some(&b"STUN test client"[..]));
    assert_eq!(message.get_u32(Attribute::PRIORITY), Ok(Some(0x6e00_01ff)));
    assert_eq!(message.get_array(Attribute::ICE_CONTROLLED), Ok(Some(0x932f_f9b1_5126_3b36_u64.to_be_bytes())));
    assert!(message.has_fingerprint() && message.is_signed_with(&PASSWORD, Algorithm::Sha1));
    assert!(!message.is_signed_with(&Key::short_term(b"VOkJxbRl1RmTxUk/WvJxBu"), Algorithm::Sha1));
    assert!(!message.has_integrity(Algorithm::Sha256) && !message.is_signed_with(&PASSWORD, Algorithm::Sha256));
    assert_eq!(request_username(&bytes), Some(&b"evtj:h6vY"[..]));
}

#[test]
fn rfc5769_sample_ipv4_response() {
    let bytes = bytes(
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91\
         f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
    );
    let message = Message::parse(&bytes).unwrap();
    let mapped = message.get_xor_address(Attribute::XOR_MAPPED_ADDRESS);
    assert_eq!((message.class(), mapped), (Class::Success, Ok(Some("192.0.2.1:32853".parse().unwrap()))));
    assert!(message.has_fingerprint() && message.is_signed_with(&PASSWORD, Algorithm::Sha1));
    assert_eq!(request_username(&bytes), None);
}

#[test]
fn rfc5769_sample_ipv6_response() {
    let bytes = bytes(
        "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25\
         f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
    );
    let message = Message::parse(&bytes).unwrap();
    let address = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
    assert_eq!(message.get_xor_address(Attribute::XOR_MAPPED_ADDRESS), Ok(Some(address)));
    assert!(message.has_fingerprint() && message.is_signed_with(&PASSWORD, Algorithm::Sha1));
}

#[test]
fn rfc5769_sample_request_with_long_term_authentication() {
    let bytes = bytes(
        "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c662f2f343939\
         6b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e071\
         2e85c9a28ca89666",
    );
    let message = Message::parse(&bytes).unwrap();
    let username = "マトリックス".as_bytes();
    assert_eq!(message.get(Attribute::USERNAME), Some(username));
    let key = Key::long_term(username, b"example.org", b"TheMatrIX", Algorithm::Sha1);
    assert!(!message.has_fingerprint() && message.is_signed_with(&key, Algorithm::Sha1));
}

/// With erratum 6268.
#[test]
fn rfc8489_sample_request_with_userhash_and_sha256() {
    let sample = bytes(
        "000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f\
         1704001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c394653547679363473410000000014000b\
         6578616d706c652e6f726700001d000400020000001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc651\
         8e65",
    );
    let message = Message::parse(&sample).unwrap();
    let (username, realm) = ("マトリックス".as_bytes(), b"example.org");
    assert_eq!(message.get(Attribute::USERHASH), Some(&userhash(username, realm)[..]));
    let key = Key::long_term(username, realm, b"TheMatrIX", Algorithm::Sha256);
    assert!(message.is_signed_with(&key, Algorithm::Sha256) && !message.has_integrity(Algorithm::Sha1));

    let mut out = Vec::new();
    let mut writer = Writer::new(Class::Request, Method::BINDING, message.transaction(), &mut out);
    writer.attribute(Attribute::USERHASH, &[&userhash(username, realm)]);
    writer.attribute(Attribute::NONCE, &[b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"]);
    writer.attribute(Attribute::REALM, &[realm]);
    writer.attribute(Attribute::PASSWORD_ALGORITHM, &[&Algorithm::Sha256.number().to_be_bytes(), &[0, 0]]);
    writer.integrity(&key, Algorithm::Sha256);
    assert_eq!(out, sample);
}

#[test]
fn every_flipped_bit_of_the_sample_request_is_noticed() {
    let sample = rfc5769_request();
    for at in 0..sample.len() {
        for bit in 0..8 {
            let mut bytes = sample.clone();
            bytes[at] ^= 1 << bit;
            let is_right = |it: Message<'_>| it.has_fingerprint() && it.is_signed_with(&PASSWORD, Algorithm::Sha1);
            assert!(!Message::parse(&bytes).is_ok_and(is_right), "byte {at}, bit {bit}");
        }
    }
}

fn signed(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(Class::Request, Method::BINDING, TRANSACTION, &mut out);
    write(&mut writer);
    writer.integrity(&PASSWORD, Algorithm::Sha1);
    writer.fingerprint();
    out
}

/// A message with this type, length field and rest, and the right cookie.
fn raw(kind: u16, length: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.extend(MAGIC_COOKIE);
    bytes.extend(TRANSACTION.0);
    bytes.extend(rest);
    bytes
}

#[test]
fn headers_that_are_cut_short_are_not_stun() {
    let sample = rfc5769_request();
    for length in 0..HEADER_LEN {
        assert_eq!(Message::parse(&sample[..length]), Err(ParseError::NotStun), "{length} bytes");
    }
    assert_eq!(Message::parse(&sample[..HEADER_LEN]), Err(ParseError::Length));
}

#[test]
fn a_wrong_cookie_or_top_bits_are_not_stun() {
    let mut wrong = rfc5769_request();
    wrong[4] = 0;
    assert_eq!(Message::parse(&wrong), Err(ParseError::NotStun));
    for top in [0x40, 0x80, 0xc0] {
        let mut wrong = rfc5769_request();
        wrong[0] |= top;
        assert_eq!(Message::parse(&wrong), Err(ParseError::NotStun));
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    assert_eq!(Message::parse(&raw(1, 3, &[0; 3])), Err(ParseError::Length), "no multiple of 4");
    assert_eq!(Message::parse(&raw(1, 8, &[0; 4])), Err(ParseError::Length), "beyond the datagram");
    assert_eq!(Message::parse(&raw(1, 0, &[0; 4])), Err(ParseError::Length), "trailing bytes");
    assert_eq!(Message::parse(&raw(1, 4, &[0, 6, 0, 1])), Err(ParseError::Attributes), "an attribute overruns");
    assert_eq!(Message::parse(&raw(1, 4, &[0, 6, 0xff, 0xff])), Err(ParseError::Attributes), "by very much");
    assert!(Message::parse(&raw(1, 0, &[])).is_ok());
    assert!(Message::parse(&raw(1, 4, &[0, 6, 0, 0])).is_ok(), "an empty attribute");
}

#[test]
fn five_hundred_attributes_are_refused() {
    let many = [0x80, 0x00, 0, 0].repeat(500);
    assert_eq!(Message::parse(&raw(1, 2000, &many)), Err(ParseError::Attributes));
    let enough = [0x80, 0x00, 0, 0].repeat(ATTRIBUTES_MAX);
    assert!(Message::parse(&raw(1, 4 * ATTRIBUTES_MAX as u16, &enough)).is_ok());
}

#[test]
fn methods_and_classes_are_the_bits_of_rfc_8489() {
    let of = |kind| Message::parse(&raw(kind, 0, &[])).map(|it| (it.class(), it.method())).unwrap();
    assert_eq!(of(0x0001), (Class::Request, Method::BINDING));
    assert_eq!(of(0x0113), (Class::Error, Method::ALLOCATE));
    assert_eq!(of(0x0016), (Class::Indication, Method::SEND));
    assert_eq!(of(0x0109), (Class::Success, Method::CHANNEL_BIND));
    for method in 0..0x100 {
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            let mut out = Vec::new();
            let _ = Writer::new(class, Method(method), TRANSACTION, &mut out);
            let read = Message::parse(&out).unwrap();
            assert_eq!((read.class(), read.method()), (class, Method(method)));
        }
    }
    // RFC 8489 §18.2: what begins otherwise is another protocol's (RFC 7983).
    assert_eq!(Message::parse(&raw(0x0400, 0, &[])), Err(ParseError::NotStun));
}

#[test]
fn of_duplicates_the_first_counts() {
    let out = signed(|writer| {
        writer.attribute(Attribute::PRIORITY, &[&[0, 0, 0, 1]]);
        writer.attribute(Attribute::PRIORITY, &[&[0, 0, 0, 2]]);
    });
    assert_eq!(Message::parse(&out).unwrap().get_u32(Attribute::PRIORITY), Ok(Some(1)));
}

#[test]
fn behind_the_integrity_only_the_longer_one_and_the_fingerprint_count() {
    let mut out = Vec::new();
    let mut writer = Writer::new(Class::Request, Method::BINDING, TRANSACTION, &mut out);
    writer.attribute(Attribute::REALM, &[b"first"]);
    writer.integrity(&PASSWORD, Algorithm::Sha1);
    writer.attribute(Attribute::USE_CANDIDATE, &[]);
    writer.attribute(Attribute(0x7fff), &[]);
    writer.integrity(&PASSWORD, Algorithm::Sha256);
    writer.integrity(&Key::short_term(b"another"), Algorithm::Sha1);
    writer.fingerprint();
    let message = Message::parse(&out).unwrap();
    assert!(message.is_signed_with(&PASSWORD, Algorithm::Sha1) && message.is_signed_with(&PASSWORD, Algorithm::Sha256));
    assert_eq!(message.attributes().collect::<Vec<_>>(), [(Attribute::REALM, &b"first"[..])]);
    assert!(message.unknown(|_| false).is_empty() || message.unknown(|_| false).iter().eq([Attribute::REALM]));
}

#[test]
fn a_longer_integrity_that_is_cut_proves_nothing() {
    for length in [0, 4, 12, 15, 16, 20, 28, 31, 32, 36] {
        let mut whole = Vec::new();
        let mut writer = Writer::new(Class::Request, Method::BINDING, TRANSACTION, &mut whole);
        writer.attribute(Attribute::PRIORITY, &[&[1; 4]]);
        let before = whole.len();
        // The length that is covered is that of the shorter one, where a usage allows it.
        let mut covered = whole.clone();
        covered[2..4].copy_from_slice(&((before + 4 + length - HEADER_LEN) as u16).to_be_bytes());
        let mut mac = <hmac::Hmac<sha2::Sha256> as hmac::Mac>::new_from_slice(b"key").unwrap();
        hmac::Mac::update(&mut mac, &covered);
        let mut value = hmac::Mac::finalize(mac).into_bytes().to_vec();
        value.resize(length, 0);
        whole.extend([0, 0x1c, 0, length as u8]);
        whole.extend(&value);
        whole.resize(before + 4 + length.next_multiple_of(4), 0);
        let stated = (whole.len() - HEADER_LEN) as u16;
        whole[2..4].copy_from_slice(&stated.to_be_bytes());
        let is_signed = Message::parse(&whole).unwrap().is_signed_with(&Key::short_term(b"key"), Algorithm::Sha256);
        assert_eq!(is_signed, length == 32, "{length} bytes");
    }
}

#[test]
fn a_fingerprint_that_is_wrong_or_not_last_is_refused() {
    let mut wrong = rfc5769_request();
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(Message::parse(&wrong), Err(ParseError::Fingerprint));
    let mut out = raw(1, 16, &[]);
    let crc = crc32fast::hash(&out) ^ FINGERPRINT_XOR;
    out.extend([0x80, 0x28, 0, 4]);
    out.extend(crc.to_be_bytes());
    out.extend([0, 0x24, 0, 4, 0, 0, 0, 0]);
    assert_eq!(Message::parse(&out), Err(ParseError::Fingerprint));
    for length in [0, 3, 5, 8] {
        let mut out = raw(1, 4 + 8, &[0x80, 0x28, 0, length]);
        out.extend([0; 8]);
        assert!(Message::parse(&out).is_err(), "{length} bytes of fingerprint");
    }
}

#[test]
fn sizes_and_families_that_are_wrong_are_told() {
    let out = signed(|writer| {
        writer.attribute(Attribute::LIFETIME, &[&[0; 3]]);
        writer.attribute(Attribute::ERROR_CODE, &[&[0; 3]]);
    });
    let message = Message::parse(&out).unwrap();
    assert_eq!(message.get_u32(Attribute::LIFETIME), Err(ParseError::Value(Attribute::LIFETIME.0)));
    assert_eq!(message.get_error_code(), Err(ParseError::Value(Attribute::ERROR_CODE.0)));
    let short = raw(1, 16, &[0, 8, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Message::parse(&short), Err(ParseError::Value(Attribute::MESSAGE_INTEGRITY.0)));
    for (family, length) in [(0, 4), (3, 4), (1, 3), (1, 16), (2, 4), (2, 17)] {
        let value = [&[0, family, 0, 0][..], &vec![0; length]].concat();
        let out = signed(|writer| {
            writer.attribute(Attribute::XOR_PEER_ADDRESS, &[&value]);
            writer.attribute(Attribute::ALTERNATE_SERVER, &[&value]);
        });
        let message = Message::parse(&out).unwrap();
        assert!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS).is_err(), "family {family}, {length} bytes");
        assert!(message.get_address(Attribute::ALTERNATE_SERVER).is_err(), "family {family}, {length} bytes");
    }
}

#[test]
fn an_ipv4_address_inside_ipv6_is_an_ipv4_address() {
    let mapped = "[::ffff:192.0.2.1]:5000".parse().unwrap();
    let out = signed(|writer| writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, mapped));
    let address = Message::parse(&out).unwrap().get_xor_address(Attribute::XOR_MAPPED_ADDRESS);
    assert_eq!(address, Ok(Some("192.0.2.1:5000".parse().unwrap())));
}

#[test]
fn plain_addresses_are_read() {
    let out = signed(|writer| writer.attribute(Attribute::ALTERNATE_SERVER, &[&[0, 1, 0x0d, 0x96, 192, 0, 2, 7]]));
    let address = Message::parse(&out).unwrap().get_address(Attribute::ALTERNATE_SERVER);
    assert_eq!(address, Ok(Some("192.0.2.7:3478".parse().unwrap())));
    for address in ["192.0.2.7:3478", "[2001:db8::7]:3478"].map(|text| text.parse().unwrap()) {
        let out = signed(|writer| writer.address(Attribute::ALTERNATE_SERVER, address));
        assert_eq!(Message::parse(&out).unwrap().get_address(Attribute::ALTERNATE_SERVER), Ok(Some(address)));
    }
}

#[test]
fn unknown_attributes_are_named_when_they_must_be_understood() {
    let request = signed(|writer| {
        writer.attribute(Attribute(0x7f01), &[b"x"]);
        writer.attribute(Attribute(0xff01), &[b"optional"]);
        writer.attribute(Attribute::PRIORITY, &[&[0; 4]]);
        for kind in 0x7f02..0x7f10 {
            writer.attribute(Attribute(kind), &[]);
        }
    });
    let unknown = Message::parse(&request).unwrap().unknown(|kind| kind == Attribute::PRIORITY);
    assert!(unknown.iter().map(|kind| kind.0).eq(0x7f01..0x7f05));
    let mut out = Vec::new();
    let mut writer = Writer::new(Class::Error, Method::BINDING, TRANSACTION, &mut out);
    writer.error_code(ErrorCode::UNKNOWN_ATTRIBUTE, ErrorCode::UNKNOWN_ATTRIBUTE.reason());
    writer.unknown_attributes(&unknown);
    let answer = Message::parse(&out).unwrap();
    assert_eq!(answer.get_error_code(), Ok(Some(ErrorCode(420))));
    assert_eq!(answer.get(Attribute::UNKNOWN_ATTRIBUTES), Some(&bytes("7f017f027f037f04")[..]));
}

#[test]
fn a_usual_request_is_read_and_written_without_allocation() {
    let request = rfc5769_request();
    let mut out = Vec::with_capacity(200);
    let mut act = || {
        out.clear();
        let message = Message::parse(&request).unwrap();
        assert!(message.is_signed_with(&PASSWORD, Algorithm::Sha1));
        let mut writer = Writer::new(Class::Success, message.method(), message.transaction(), &mut out);
        writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, "192.0.2.1:5000".parse().unwrap());
        writer.integrity(&PASSWORD, Algorithm::Sha256);
        writer.fingerprint();
    };
    assert_eq!(allocation_counter::measure(&mut act).count_total, 0);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), stun: bool) {
        if stun && bytes.len() >= HEADER_LEN {
            let length = (bytes.len() - HEADER_LEN) as u16;
            bytes[..8].copy_from_slice(&[0, 1, (length >> 8) as u8, length as u8, 0x21, 0x12, 0xa4, 0x42]);
        }
        if let Ok(message) = Message::parse(&bytes) {
            for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
                prop_assert!(!message.is_signed_with(&Key::short_term(b"key"), algorithm));
            }
            for (kind, value) in message.attributes() {
                let _ = (message.xor_address(kind, value), message.get_address(kind), message.get_u32(kind));
            }
            let _ = message.get_error_code();
        }
        let _ = request_username(&bytes);
    }

    #[test]
    fn what_was_written_is_read(
        transaction: [u8; 12], username in "[a-z:]{0,40}", data in prop::collection::vec(any::<u8>(), 0..300),
        ip: IpAddr, port: u16, sha256: bool,
    ) {
        let address = SocketAddr::new(ip.to_canonical(), port);
        let algorithm = if sha256 { Algorithm::Sha256 } else { Algorithm::Sha1 };
        let key = Key::long_term(username.as_bytes(), b"realm", b"password", algorithm);
        let mut out = vec![0xaa; 3];
        let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId(transaction), &mut out);
        writer.attribute(Attribute::USERNAME, &[username.as_bytes()]);
        writer.attribute(Attribute::DATA, &[&data]);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, address);
        writer.integrity(&key, algorithm);
        writer.fingerprint();
        let message = Message::parse(&out[3..]).unwrap();
        prop_assert!(message.has_fingerprint() && message.is_signed_with(&key, algorithm));
        prop_assert_eq!(message.get(Attribute::USERNAME), Some(username.as_bytes()));
        prop_assert_eq!(message.get(Attribute::DATA), Some(&data[..]));
        prop_assert_eq!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(address)));
        prop_assert_eq!((message.class(), message.method()), (Class::Indication, Method::SEND));
    }
}
