use proptest::prelude::*;

use super::*;

const TRANSACTION: TransactionId = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

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
    assert_eq!((message.class, message.transaction), (Class::Request, TRANSACTION));
    assert_eq!(message.username, Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.username_first(), Some(&b"evtj"[..]));
    assert_eq!((message.priority, message.controlled), (Some(0x6e00_01ff), Some(0x932f_f9b1_5126_3b36)));
    assert!(message.has_fingerprint && message.is_signed_with(PASSWORD));
    assert!(!message.is_signed_with(b"VOkJxbRl1RmTxUk/WvJxBu"));
    assert_eq!(request_ufrag(&bytes), Some(&b"evtj"[..]));
}

#[test]
fn rfc5769_sample_ipv4_response() {
    let bytes = bytes(
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91\
         f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
    );
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class, message.mapped), (Class::Success, Some("192.0.2.1:32853".parse().unwrap())));
    assert!(message.has_fingerprint && message.is_signed_with(PASSWORD));
    assert_eq!(request_ufrag(&bytes), None);
}

#[test]
fn rfc5769_sample_ipv6_response() {
    let bytes = bytes(
        "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25\
         f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
    );
    let message = Message::parse(&bytes).unwrap();
    let address = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
    assert_eq!((message.class, message.mapped), (Class::Success, Some(address)));
    assert!(message.has_fingerprint && message.is_signed_with(PASSWORD));
}

#[test]
fn rfc5769_sample_request_with_long_term_authentication() {
    let bytes = bytes(
        "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c662f2f343939\
         6b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e071\
         2e85c9a28ca89666",
    );
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username, Some("マトリックス".as_bytes()));
    // MD5 of user, realm and password with colons between: this crate makes no long-term keys itself.
    let key = [0xe8, 0xca, 0x7a, 0xd5, 0x9d, 0x5e, 0xb0, 0x51, 0x8e, 0x31, 0x29, 0x11, 0xd2, 0xda, 0xb2, 0xa9];
    assert!(!message.has_fingerprint && message.is_signed_with(&key));
}

#[test]
fn every_flipped_bit_of_the_sample_request_is_noticed() {
    let sample = rfc5769_request();
    for at in 0..sample.len() {
        for bit in 0..8 {
            let mut bytes = sample.clone();
            bytes[at] ^= 1 << bit;
            // The three bytes behind the software name's type are covered by nothing weaker than both checks.
            let fooled = Message::parse(&bytes).is_ok_and(|it| it.has_fingerprint && it.is_signed_with(PASSWORD));
            assert!(!fooled, "byte {at}, bit {bit}");
        }
    }
}

fn signed(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(Class::Request, TRANSACTION, &mut out);
    write(&mut writer);
    writer.integrity(PASSWORD);
    writer.finish();
    out
}

/// A message with this type, length field and rest, and the right cookie.
fn raw(kind: u16, length: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.extend(MAGIC_COOKIE);
    bytes.extend(TRANSACTION);
    bytes.extend(rest);
    bytes
}

#[test]
fn headers_that_are_cut_short_are_not_stun() {
    let sample = rfc5769_request();
    for length in 0..HEADER_LEN {
        assert_eq!(Message::parse(&sample[..length]), Err(DropReason::NotStun), "{length} bytes");
    }
    assert_eq!(Message::parse(&sample[..HEADER_LEN]), Err(DropReason::Malformed));
}

#[test]
fn a_wrong_cookie_or_top_bits_are_not_stun() {
    let mut wrong = rfc5769_request();
    wrong[4] = 0;
    assert_eq!(Message::parse(&wrong), Err(DropReason::NotStun));
    for top in [0x40, 0x80, 0xc0] {
        let mut wrong = rfc5769_request();
        wrong[0] |= top;
        assert_eq!(Message::parse(&wrong), Err(DropReason::NotStun));
    }
}

#[test]
fn lengths_that_lie_are_malformed() {
    assert_eq!(Message::parse(&raw(1, 3, &[0; 3])), Err(DropReason::Malformed), "no multiple of 4");
    assert_eq!(Message::parse(&raw(1, 8, &[0; 4])), Err(DropReason::Malformed), "beyond the datagram");
    assert_eq!(Message::parse(&raw(1, 0, &[0; 4])), Err(DropReason::Malformed), "trailing bytes");
    assert_eq!(Message::parse(&raw(1, 4, &[0, 6, 0, 1])), Err(DropReason::Malformed), "an attribute overruns");
    assert_eq!(Message::parse(&raw(1, 4, &[0, 6, 0xff, 0xff])), Err(DropReason::Malformed), "by very much");
    assert!(Message::parse(&raw(1, 0, &[])).is_ok());
    assert!(Message::parse(&raw(1, 4, &[0, 6, 0, 0])).is_ok(), "an empty attribute");
}

#[test]
fn other_methods_and_their_classes_are_refused() {
    for kind in [0x0000, 0x0002, 0x0003, 0x0103, 0x0113, 0x0004, 0x03ff, 0x0201] {
        assert_eq!(Message::parse(&raw(kind, 0, &[])), Err(DropReason::Method), "type {kind:#06x}");
    }
    assert_eq!(Message::parse(&raw(0x0011, 0, &[])).unwrap().class, Class::Indication);
    assert_eq!(Message::parse(&raw(0x0111, 0, &[])).unwrap().class, Class::Error);
}

#[test]
fn five_hundred_attributes_are_malformed() {
    let many = [0x80, 0x00, 0, 0].repeat(500);
    assert_eq!(Message::parse(&raw(1, 2000, &many)), Err(DropReason::Malformed));
    let enough = [0x80, 0x00, 0, 0].repeat(ATTRIBUTES_MAX);
    assert!(Message::parse(&raw(1, 4 * ATTRIBUTES_MAX as u16, &enough)).is_ok());
}

#[test]
fn of_duplicates_the_first_counts() {
    let out = signed(|writer| {
        writer.attribute(PRIORITY, &[&[0, 0, 0, 1]]);
        writer.attribute(PRIORITY, &[&[0, 0, 0, 2]]);
    });
    assert_eq!(Message::parse(&out).unwrap().priority, Some(1));
}

#[test]
fn attributes_behind_the_integrity_are_ignored() {
    let mut out = Vec::new();
    let mut writer = Writer::new(Class::Request, TRANSACTION, &mut out);
    writer.integrity(PASSWORD);
    writer.attribute(USE_CANDIDATE, &[]);
    writer.attribute(0x7fff, &[]);
    writer.finish();
    let message = Message::parse(&out).unwrap();
    assert!(message.is_signed_with(PASSWORD) && !message.use_candidate);
    assert_eq!(message.unknown(), []);
}

#[test]
fn a_fingerprint_that_is_wrong_or_not_last_is_refused() {
    let mut wrong = rfc5769_request();
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(Message::parse(&wrong), Err(DropReason::Fingerprint));
    let mut out = Vec::new();
    let mut writer = Writer::new(Class::Request, TRANSACTION, &mut out);
    writer.state_length(16);
    let crc = crc32fast::hash(&writer.out[..]) ^ FINGERPRINT_XOR;
    writer.attribute(FINGERPRINT, &[&crc.to_be_bytes()]);
    writer.attribute(PRIORITY, &[&[0; 4]]);
    assert_eq!(Message::parse(&out), Err(DropReason::Malformed));
}

#[test]
fn fixed_sizes_are_fixed() {
    for (kind, length) in [(PRIORITY, 3), (PRIORITY, 5), (ICE_CONTROLLED, 4), (USE_CANDIDATE, 1), (NOMINATION, 0)] {
        let out = signed(|writer| writer.attribute(kind, &[&vec![0; length]]));
        assert_eq!(Message::parse(&out), Err(DropReason::Malformed), "attribute {kind:#06x} of {length} bytes");
    }
    let out = signed(|writer| writer.attribute(USERNAME, &[&[b'a'; 514]]));
    assert_eq!(Message::parse(&out), Err(DropReason::Malformed), "a username of 514 bytes");
    let out = signed(|writer| writer.attribute(USERNAME, &[&[0xff; 513]]));
    assert_eq!(Message::parse(&out).unwrap().username_first(), None, "no UTF-8 and no colon, but no harm");
}

#[test]
fn addresses_of_a_wrong_family_or_size_are_malformed() {
    for (family, length) in [(0, 4), (3, 4), (1, 3), (1, 16), (2, 4), (2, 17)] {
        let out = signed(|writer| writer.attribute(XOR_MAPPED_ADDRESS, &[&[0, family, 0, 0], &vec![0; length]]));
        assert_eq!(Message::parse(&out), Err(DropReason::Malformed), "family {family}, {length} bytes");
    }
}

#[test]
fn an_ipv4_address_inside_ipv6_is_an_ipv4_address() {
    let mapped = "[::ffff:192.0.2.1]:5000".parse().unwrap();
    let out = signed(|writer| writer.xor_mapped_address(mapped));
    assert_eq!(Message::parse(&out).unwrap().mapped, Some("192.0.2.1:5000".parse().unwrap()));
}

#[test]
fn unknown_attributes_are_named_when_they_must_be_understood() {
    let out = signed(|writer| {
        writer.attribute(0x7f01, &[b"x"]);
        writer.attribute(0xff01, &[b"optional"]);
        for kind in 0x7f02..0x7f10 {
            writer.attribute(kind, &[]);
        }
    });
    assert_eq!(Message::parse(&out).unwrap().unknown(), [0x7f01, 0x7f02, 0x7f03, 0x7f04]);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), stun: bool) {
        if stun && bytes.len() >= HEADER_LEN {
            let length = (bytes.len() - HEADER_LEN) as u16;
            bytes[..8].copy_from_slice(&[0, 1, (length >> 8) as u8, length as u8, 0x21, 0x12, 0xa4, 0x42]);
        }
        if let Ok(message) = Message::parse(&bytes) {
            message.is_signed_with(b"key");
        }
        request_ufrag(&bytes);
    }

    #[test]
    fn what_was_written_is_read(
        transaction: TransactionId, username in "[a-z]{1,20}:[a-z]{1,20}", priority: u32, tie: u64, ip: IpAddr,
        port: u16, nomination in 0..=NOMINATION_MAX,
    ) {
        let address = SocketAddr::new(ip.to_canonical(), port);
        let mut out = vec![0xaa; 3];
        let mut writer = Writer::new(Class::Request, transaction, &mut out);
        writer.attribute(USERNAME, &[username.as_bytes()]);
        writer.attribute(PRIORITY, &[&priority.to_be_bytes()]);
        writer.attribute(ICE_CONTROLLING, &[&tie.to_be_bytes()]);
        writer.attribute(NOMINATION, &[&nomination.to_be_bytes()]);
        writer.xor_mapped_address(address);
        writer.integrity(username.as_bytes());
        writer.finish();
        let message = Message::parse(&out[3..]).unwrap();
        prop_assert!(message.is_signed_with(username.as_bytes()) && message.has_fingerprint);
        prop_assert_eq!(message.username, Some(username.as_bytes()));
        prop_assert_eq!((message.priority, message.controlling, message.nomination), (Some(priority), Some(tie), Some(nomination)));
        prop_assert_eq!((message.transaction, message.mapped), (transaction, Some(address)));
    }
}
