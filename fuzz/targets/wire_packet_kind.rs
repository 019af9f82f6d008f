#![no_main]

use libfuzzer_sys::fuzz_target;
use plenary_wire::PacketKind;

// The tables of RFC 7983 §7 and RFC 9443 §2, and RFC 5761 §4, written another way than in the crate.
fuzz_target!(|bytes: &[u8]| {
    let first = bytes.first().copied().unwrap_or(4);
    let expected = match (first, bytes.get(1)) {
        (128..192, None) => None,
        (128..192, Some(second)) if *second >= 192 && *second < 224 => Some(PacketKind::Rtcp),
        (128..192, Some(_)) => Some(PacketKind::Rtp),
        (0..4, _) => Some(PacketKind::Stun),
        (4..16, _) => None,
        (16..20, _) => Some(PacketKind::Zrtp),
        (20..64, _) => Some(PacketKind::Dtls),
        (64..80, _) => Some(PacketKind::TurnChannel),
        (80..128 | 192.., _) => Some(PacketKind::Quic),
    };
    assert_eq!(PacketKind::of(bytes), expected);
});
