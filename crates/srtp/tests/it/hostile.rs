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

/// What happens next to the receiver that is attacked.
#[derive(Clone, Debug)]
enum Step {
    /// The sender goes on by so many numbers, and the packet arrives; or is lost.
    Rtp {
        ssrc: u8,
        step: u16,
        lost: bool,
    },
    Rtcp {
        ssrc: u8,
    },
    /// A packet that was sent arrives again, as it was or changed at one place.
    Again {
        which: prop::sample::Index,
        at: prop::sample::Index,
        mask: u8,
    },
    Noise(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let step = prop_oneof![4 => 1..4u16, 1 => 0x6000..0x7fffu16];
    prop_oneof![
        4 => (0..3u8, step, prop::bool::weighted(0.2)).prop_map(|(ssrc, step, lost)| Step::Rtp { ssrc, step, lost }),
        1 => (0..3u8).prop_map(|ssrc| Step::Rtcp { ssrc }),
        4 => (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>())
            .prop_map(|(which, at, mask)| Step::Again { which, at, mask }),
        2 => bytes().prop_map(Step::Noise),
    ]
}

proptest! {
    // Two receivers of the same packets, one of them under attack, say the same of each.
    #[test]
    fn what_is_dropped_changes_nothing(steps in prop::collection::vec(step(), 1..80), which in 0..Profile::ALL.len()) {
        let profile = Profile::ALL[which];
        let (mut sender, mut left_alone, mut attacked) = (sender(profile), receiver(profile), receiver(profile));
        let (mut indexes, mut sent, mut dropped) = ([0x7ff0u64; 3], Vec::new(), 0);
        for step in steps {
            let (genuine, rtcp) = match step {
                Step::Rtp { ssrc, step, lost } => {
                    indexes[usize::from(ssrc)] += u64::from(step);
                    let index = indexes[usize::from(ssrc)];
                    let packet = protect(&mut sender, rtp(ssrc.into(), index as u16), Some(index));
                    sent.push((packet.clone(), false));
                    if lost {
                        continue;
                    }
                    (packet, false)
                }
                Step::Rtcp { ssrc } => {
                    let packet = protect_rtcp(&mut sender, rtcp(ssrc.into()));
                    sent.push((packet.clone(), true));
                    (packet, true)
                }
                Step::Again { .. } if sent.is_empty() => continue,
                Step::Again { which, mask: 0, .. } => which.get(&sent).clone(),
                Step::Again { which, at, mask } => {
                    let (mut forged, rtcp) = which.get(&sent).clone();
                    let at = at.index(forged.len());
                    forged[at] ^= mask;
                    let opened = match rtcp {
                        true => attacked.unprotect_rtcp(&mut forged, start()),
                        false => attacked.unprotect_rtp(&mut forged, start()),
                    };
                    prop_assert!(opened.is_err());
                    dropped += 1;
                    continue;
                }
                Step::Noise(noise) => {
                    prop_assert!(attacked.unprotect_rtp(&mut noise.clone(), start()).is_err());
                    prop_assert!(attacked.unprotect_rtcp(&mut noise.clone(), start()).is_err());
                    dropped += 2;
                    continue;
                }
            };
            let open = |receiver: &mut Receiver| {
                let mut bytes = genuine.clone();
                let opened = match rtcp {
                    true => receiver.unprotect_rtcp(&mut bytes, start()),
                    false => receiver.unprotect_rtp(&mut bytes, start()),
                };
                opened.map(|clear| clear.to_vec())
            };
            prop_assert_eq!(open(&mut left_alone), open(&mut attacked));
            prop_assert_eq!(left_alone.ssrcs(), attacked.ssrcs());
        }
        prop_assert_eq!(left_alone.stats().dropped_total() + dropped, attacked.stats().dropped_total());
        prop_assert_eq!(left_alone.stats().rtp_packets, attacked.stats().rtp_packets);
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
