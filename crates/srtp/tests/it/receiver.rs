use std::time::Duration;

use plenary_rtp::Ssrc;
use plenary_srtp::{DropReason, Error, Profile, Receiver, ReceiverConfig, SenderConfig, Stats};

use super::*;

#[test]
fn packets_come_back_as_they_were() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let mut packet = rtp(1, 1);
        packet[0] = 0xb1; // padding, extension, one CSRC
        packet.splice(12..12, [9, 9, 9, 9, 0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0]);
        let mut protected = protect(&mut sender, packet.clone(), None);
        assert_eq!(protected.len(), packet.len() + profile.rtp_overhead());
        assert_eq!(protected[..24], packet[..24], "the header stays in the clear");
        assert_ne!(protected[24..packet.len()], packet[24..]);
        assert_eq!(receiver.unprotect_rtp(&mut protected, start()), Ok(&mut packet[..]));

        let mut packet = rtcp(1);
        let mut protected = protect_rtcp(&mut sender, packet.clone());
        assert_eq!(protected.len(), packet.len() + profile.rtcp_overhead());
        assert_eq!(protected[..8], packet[..8], "the first header and SSRC stay in the clear");
        assert_ne!(protected[8..packet.len()], packet[8..]);
        assert_eq!(receiver.unprotect_rtcp(&mut protected, start()), Ok(&mut packet[..]));
        assert_eq!((receiver.stats().rtp_packets, receiver.stats().rtcp_packets), (1, 1));
    }
}

#[test]
fn a_packet_is_taken_once() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let protected: Vec<_> = [4000, 3999, 5023].map(|sequence| protect(&mut sender, rtp(1, sequence), None)).into();
        let mut take = |number: usize| receiver.unprotect_rtp(&mut protected[number].clone(), start()).map(|_| ());
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(0), Err(DropReason::Replayed));
        assert_eq!(take(2), Ok(()));
        assert_eq!(take(0), Err(DropReason::Replayed));
        assert_eq!(take(1), Err(DropReason::TooOld));

        let protected: Vec<_> = (0..130).map(|_| protect_rtcp(&mut sender, rtcp(1))).collect();
        let mut take = |number: usize| receiver.unprotect_rtcp(&mut protected[number].clone(), start()).map(|_| ());
        assert_eq!(take(1), Ok(()));
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(0), Err(DropReason::Replayed));
        assert_eq!(take(129), Ok(()));
        assert_eq!(take(1), Err(DropReason::TooOld));
        assert_eq!(take(2), Ok(()));
        assert_eq!(receiver.stats().dropped(DropReason::Replayed), 3);
        assert_eq!(receiver.stats().dropped(DropReason::TooOld), 2);
    }
}

#[test]
fn any_bit_changed_is_not_authentic_and_changes_nothing() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let good = protect(&mut sender, rtp(1, 0xfff0), None);
        let good_rtcp = protect_rtcp(&mut sender, rtcp(1));
        for bit in 0..good.len() * 8 {
            let mut forged = good.clone();
            forged[bit / 8] ^= 0x80 >> (bit % 8);
            let reason = receiver.unprotect_rtp(&mut forged, start()).unwrap_err();
            // A changed version, CSRC count or extension flag is seen before.
            let early = bit < 8 && reason == DropReason::Malformed;
            assert!(early || reason == DropReason::NotAuthentic, "bit {bit}: {reason}");
            assert_eq!(receiver.ssrcs(), 0, "no state before authentication");
        }
        for bit in 0..good_rtcp.len() * 8 {
            let mut forged = good_rtcp.clone();
            forged[bit / 8] ^= 0x80 >> (bit % 8);
            receiver.unprotect_rtcp(&mut forged, start()).unwrap_err();
            assert_eq!(receiver.ssrcs(), 0, "no state before authentication");
        }
        assert!(receiver.unprotect_rtp(&mut good.clone(), start()).is_ok());
        // A forged sequence number far ahead moves neither the window nor the rollover counter.
        for sequence in [0u16, 0x7000, 0x7fef, 0xffff] {
            let mut forged = good.clone();
            forged[2..4].copy_from_slice(&sequence.to_be_bytes());
            assert_eq!(receiver.unprotect_rtp(&mut forged, start()), Err(DropReason::NotAuthentic));
        }
        let mut next = protect(&mut sender, rtp(1, 0xfff1), None);
        assert_eq!(receiver.unprotect_rtp(&mut next, start()), Ok(&mut rtp(1, 0xfff1)[..]));
        assert!(receiver.unprotect_rtcp(&mut good_rtcp.clone(), start()).is_ok());
        assert_eq!(receiver.ssrcs(), 1);
    }
}

#[test]
fn forged_ssrcs_take_no_memory() {
    let mut receiver = receiver(Profile::AeadAes128Gcm);
    let forged: Vec<_> = (0..1000).map(|ssrc| [rtp(ssrc, 1), vec![0; 16]].concat()).collect();
    for packet in forged {
        assert_eq!(receiver.unprotect_rtp(&mut packet.clone(), start()), Err(DropReason::NotAuthentic));
    }
    assert_eq!(receiver.ssrcs(), 0);
    assert_eq!(receiver.stats().dropped(DropReason::NotAuthentic), 1000);
}

#[test]
fn idle_ssrcs_leave_when_room_is_needed() {
    let config = ReceiverConfig { ssrcs_max: 2, idle: Duration::from_secs(10), ..ReceiverConfig::default() };
    let mut receiver = Receiver::new(&key(Profile::AeadAes128Gcm), config).unwrap();
    let mut sender = sender(Profile::AeadAes128Gcm);
    let start = start();
    let mut send = |receiver: &mut Receiver, ssrc, sequence, seconds| {
        let mut packet = protect(&mut sender, rtp(ssrc, sequence), None);
        receiver.unprotect_rtp(&mut packet, start + Duration::from_secs(seconds)).map(|_| ())
    };
    assert_eq!(send(&mut receiver, 1, 1, 0), Ok(()));
    assert_eq!(send(&mut receiver, 2, 1, 1), Ok(()));
    assert_eq!(send(&mut receiver, 1, 2, 5), Ok(()));
    assert_eq!(send(&mut receiver, 3, 1, 10), Err(DropReason::TooManySsrcs));
    // A forged packet does not push an idle SSRC out.
    let mut forged = [rtp(9, 1), vec![0; 16]].concat();
    let late = start + Duration::from_secs(11);
    assert_eq!(receiver.unprotect_rtp(&mut forged, late), Err(DropReason::NotAuthentic));
    assert_eq!((receiver.ssrcs(), receiver.stats().ssrcs_evicted), (2, 0));
    // The one that has been silent longest does leave, and the other keeps its state.
    assert_eq!(send(&mut receiver, 3, 2, 11), Ok(()));
    assert_eq!((receiver.ssrcs(), receiver.stats().ssrcs_evicted), (2, 1));
    assert_eq!(send(&mut receiver, 2, 2, 12), Err(DropReason::TooManySsrcs));
    assert_eq!(send(&mut receiver, 1, 3, 12), Ok(()));
    // Who was the longest silent then has been heard since: it is another's turn, in its time.
    assert_eq!(send(&mut receiver, 2, 3, 20), Err(DropReason::TooManySsrcs));
    assert_eq!(send(&mut receiver, 2, 4, 21), Ok(()));
    assert_eq!(send(&mut receiver, 1, 4, 21), Ok(()));
    assert_eq!((receiver.ssrcs(), receiver.stats().ssrcs_evicted), (2, 2));
    assert_eq!(receiver.expect_rollover(Ssrc(7), 1, start), Err(Error::TooManySsrcs));
}

#[test]
fn rtcp_in_the_clear_needs_permission() {
    for profile in Profile::ALL {
        let config = SenderConfig { encrypt_rtcp: false, ..SenderConfig::default() };
        let mut sender = Sender::new(key(profile), config).unwrap();
        let packet = rtcp(1);
        let protected = protect_rtcp(&mut sender, packet.clone());
        assert_eq!(protected[..packet.len()], packet);
        let mut strict = receiver(profile);
        assert_eq!(strict.unprotect_rtcp(&mut protected.clone(), start()), Err(DropReason::NotEncrypted));

        let config = ReceiverConfig { accept_clear_rtcp: true, ..ReceiverConfig::default() };
        let mut lenient = Receiver::new(&key(profile), config).unwrap();
        let mut forged = protected.clone();
        forged[9] ^= 1;
        assert_eq!(lenient.unprotect_rtcp(&mut forged, start()), Err(DropReason::NotAuthentic));
        assert_eq!(lenient.unprotect_rtcp(&mut protected.clone(), start()), Ok(&mut packet.clone()[..]));
        let mut encrypted = protect_rtcp(&mut super::sender(profile), rtcp(2));
        assert_eq!(lenient.unprotect_rtcp(&mut encrypted, start()), Ok(&mut rtcp(2)[..]));
    }
}

// RFC 3711 §3.4: the first SRTCP index is 0, each SSRC counts for itself, and the E flag is set.
#[test]
fn the_srtcp_index_starts_at_zero_and_counts_per_ssrc() {
    let mut sender = sender(Profile::AeadAes128Gcm);
    let words = [1, 1, 2, 1].map(|ssrc| {
        let packet = protect_rtcp(&mut sender, rtcp(ssrc));
        u32::from_be_bytes(*packet.last_chunk().unwrap())
    });
    assert_eq!(words, [0x8000_0000, 0x8000_0001, 0x8000_0000, 0x8000_0002]);
}

#[test]
fn reordering_across_a_wrap_is_followed() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let sent: Vec<_> = (0xff00..0x1_0100u64)
            .map(|index| (index as u16, protect(&mut sender, rtp(1, index as u16), None)))
            .collect();
        for window in sent.chunks(64) {
            for (sequence, packet) in window.iter().rev() {
                assert_eq!(receiver.unprotect_rtp(&mut packet.clone(), start()), Ok(&mut rtp(1, *sequence)[..]));
            }
        }
        assert_eq!(receiver.stats().rtp_packets, 512);
    }
}

// A sender may begin anywhere below 2^16. What is lost up to its first wrap must not cost all that follows.
#[test]
fn packets_lost_before_the_first_wrap_do_not_lose_the_stream() {
    for profile in Profile::ALL {
        let mut sender = sender(profile);
        let mut sent: Vec<_> = (0xfff0..0x1_0008u64)
            .map(|index| (index as u16, protect(&mut sender, rtp(1, index as u16), Some(index))))
            .collect();
        let (mut report, mut alone, mut reported) =
            (protect_rtcp(&mut sender, rtcp(1)), receiver(profile), receiver(profile));
        assert!(reported.unprotect_rtcp(&mut report, start()).is_ok(), "its SSRC is known, not its RTP");
        sent.rotate_left(0x15);
        assert_eq!(sent[0].0, 5, "the first that arrives is behind the wrap, the rest is late");
        for receiver in [&mut alone, &mut reported] {
            for (sequence, packet) in &sent {
                assert_eq!(receiver.unprotect_rtp(&mut packet.clone(), start()), Ok(&mut rtp(1, *sequence)[..]));
                let again = receiver.unprotect_rtp(&mut packet.clone(), start()).map(|_| ());
                assert_eq!(again, Err(DropReason::Replayed));
            }
            assert_eq!(receiver.stats().dropped_total(), 0x18);
        }
    }
}

#[test]
fn the_first_packet_is_looked_for_in_two_turns_and_no_further() {
    for profile in Profile::ALL {
        let mut sender = sender(profile);
        let mut open = |told: Option<u32>, index: u64, len: usize| {
            let mut packet = rtp(index as u32, index as u16);
            packet.resize(len - profile.rtp_overhead(), 9);
            let mut receiver = receiver(profile);
            if let Some(roc) = told {
                receiver.expect_rollover(Ssrc(index as u32), roc, start()).unwrap();
            }
            let mut protected = protect(&mut sender, packet.clone(), Some(index));
            receiver.unprotect_rtp(&mut protected, start()).map(|clear| assert_eq!(clear, packet))
        };
        let refused = Err(DropReason::NotAuthentic);
        assert_eq!([open(None, 0x1_0000, 1500), open(None, 0x1_7fff, 100)], [Ok(()); 2]);
        assert_eq!([open(None, 0x1_0001, 1501), open(None, 0x1_8000, 100), open(None, 0x2_0000, 100)], [refused; 3]);
        assert_eq!([open(Some(6), 0x6_ffff, 1501), open(Some(6), 0x7_0003, 100)], [Ok(()); 2]);
        assert_eq!([open(Some(6), 0x5_0003, 100), open(Some(6), 0x8_0003, 100)], [refused; 2]);
        assert_eq!(open(Some(u32::MAX), 0x7_0009, 100), refused, "there is no turn behind the last");
    }
}

// The rollover counter of a receiver starts at 0: what was sent before its first packet is none of its business.
#[test]
fn packets_from_before_the_first_turn_are_too_old() {
    let (mut sender, mut receiver) = (sender(Profile::AeadAes128Gcm), receiver(Profile::AeadAes128Gcm));
    let mut packet = protect(&mut sender, rtp(1, 3), None);
    assert!(receiver.unprotect_rtp(&mut packet, start()).is_ok());
    let mut old = [rtp(1, 0xfff0), vec![0; 16]].concat();
    assert_eq!(receiver.unprotect_rtp(&mut old, start()), Err(DropReason::TooOld));
}

#[test]
fn the_key_ends_with_the_last_index() {
    let (mut sender, mut receiver) = (sender(Profile::AeadAes128Gcm), receiver(Profile::AeadAes128Gcm));
    receiver.expect_rollover(Ssrc(1), u32::MAX, start()).unwrap();
    let mut last = protect(&mut sender, rtp(1, 0xffff), Some((1 << 48) - 1));
    assert_eq!(receiver.unprotect_rtp(&mut last, start()), Ok(&mut rtp(1, 0xffff)[..]));
    let mut beyond = [rtp(1, 0), vec![0; 16]].concat();
    assert_eq!(receiver.unprotect_rtp(&mut beyond, start()), Err(DropReason::KeyExhausted));
    assert_eq!(receiver.stats().dropped_total(), 1);
}

#[test]
fn a_new_receiver_has_counted_nothing() {
    assert_eq!(*receiver(Profile::AeadAes256Gcm).stats(), Stats::default());
}
