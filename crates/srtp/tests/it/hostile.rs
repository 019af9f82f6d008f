use plenary_srtp::{DropReason, Profile};
use proptest::prelude::*;

use super::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let version_2 = (0x80u8..0xc0, prop::collection::vec(any::<u8>(), 0..120)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    });
    prop_oneof![version_2, prop::collection::vec(any::<u8>(), 0..120)]
}

proptest! {
    #[test]
    fn any_bytes_are_dropped_without_a_trace(packet in bytes()) {
        for profile in Profile::ALL {
            let mut receiver = receiver(profile);
            prop_assert!(receiver.unprotect_rtp(&mut packet.clone(), start()).is_err());
            prop_assert!(receiver.unprotect_rtcp(&mut packet.clone(), start()).is_err());
            prop_assert_eq!(receiver.stats().dropped_total(), 2);
            prop_assert_eq!(receiver.ssrcs(), 0);
        }
    }

    #[test]
    fn what_can_be_protected_comes_back(packet in bytes()) {
        for profile in Profile::ALL {
            let (mut sender, mut receiver) = (sender(profile), receiver(profile));
            let mut rtp = packet.clone();
            rtp.resize(packet.len() + profile.rtp_overhead(), 0);
            if sender.protect_rtp(&mut rtp, None).is_ok() {
                prop_assert_eq!(receiver.unprotect_rtp(&mut rtp, start()), Ok(&mut packet.clone()[..]));
            }
            let mut rtcp = packet.clone();
            rtcp.resize(packet.len() + profile.rtcp_overhead(), 0);
            if sender.protect_rtcp(&mut rtcp).is_ok() {
                prop_assert_eq!(receiver.unprotect_rtcp(&mut rtcp, start()), Ok(&mut packet.clone()[..]));
            }
        }
    }
}

// A packet of each length up to the shortest that could be whole, and a little more.
#[test]
fn short_packets_are_malformed() {
    for profile in Profile::ALL {
        let mut receiver = receiver(profile);
        let reason = |whole| if whole { DropReason::NotAuthentic } else { DropReason::Malformed };
        for len in 0..60 {
            let unprotected = receiver.unprotect_rtp(&mut vec![0x80; len], start()).map(|_| ());
            assert_eq!(unprotected, Err(reason(len >= 12 + profile.rtp_overhead())), "{profile:?}, {len} bytes");
            let unprotected = receiver.unprotect_rtcp(&mut vec![0x80; len], start()).map(|_| ());
            assert_eq!(unprotected, Err(reason(len >= 8 + profile.rtcp_overhead())), "{profile:?}, {len} bytes");
        }
    }
}
