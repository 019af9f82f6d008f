use plenary_rtp::Ssrc;
use plenary_srtp::{ConfigError, DropReason, Error, PACKET_MAX, Profile, RunError, Segment, Sender, SenderConfig};

use super::*;

/// A packet with room, and what protecting it answers.
fn attempt(sender: &mut Sender, sequence: u16, index: Option<u64>) -> Result<(), Error> {
    let mut packet = rtp(1, sequence);
    packet.resize(packet.len() + sender.profile().rtp_overhead(), 0);
    let before = packet.clone();
    let result = sender.protect_rtp(&mut packet, index);
    assert_eq!(packet == before, result.is_err(), "what is refused is not changed");
    result
}

#[test]
fn one_index_is_protected_once() {
    for profile in Profile::ALL {
        let mut sender = sender(profile);
        assert_eq!(attempt(&mut sender, 100, None), Ok(()));
        assert_eq!(attempt(&mut sender, 100, None), Err(Error::IndexUsed));
        assert_eq!(attempt(&mut sender, 100, Some(100)), Err(Error::IndexUsed));
        assert_eq!(attempt(&mut sender, 98, None), Ok(()));
        assert_eq!(attempt(&mut sender, 98, None), Err(Error::IndexUsed));
        // The same sequence number one turn later is another index.
        assert_eq!(attempt(&mut sender, 100, Some(0x1_0064)), Ok(()));
        assert_eq!(attempt(&mut sender, 100, Some(100)), Err(Error::IndexTooOld));
        assert_eq!(attempt(&mut sender, 100, None), Err(Error::IndexUsed));
    }
}

#[test]
fn an_index_older_than_the_window_counts_as_used() {
    let mut sender = sender(Profile::AeadAes128Gcm);
    assert_eq!(attempt(&mut sender, 5000, None), Ok(()));
    assert_eq!(attempt(&mut sender, 5000 - 1023, None), Ok(()));
    assert_eq!(attempt(&mut sender, 5000 - 1024, None), Err(Error::IndexTooOld));
    // Before the first index of all.
    let mut sender = super::sender(Profile::AeadAes128Gcm);
    assert_eq!(attempt(&mut sender, 3, None), Ok(()));
    assert_eq!(attempt(&mut sender, 0xfff0, None), Err(Error::IndexTooOld));
}

#[test]
fn a_stream_with_skipped_packets_keeps_its_rollover_counter() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let mut index = 7u64;
        for step in [1, 0x7fff, 0x7fff, 0x7fff, 1, 0x4000, 0x7fff, 0x7fff, 0x7000, 0x7fff] {
            index += step;
            let packet = rtp(1, index as u16);
            let mut protected = protect(&mut sender, packet.clone(), None);
            assert_eq!(receiver.unprotect_rtp(&mut protected, start()), Ok(&mut packet.clone()[..]));
            assert_eq!(sender.next_index(Ssrc(1)), Some(index + 1));
        }
        assert_eq!(index >> 16, 3, "it has wrapped three times");
    }
}

#[test]
fn an_index_that_the_caller_knows_may_jump() {
    let mut sender = sender(Profile::AeadAes128Gcm);
    for index in [9, 9 + 0xc000, 0x7_0000, 0x6_ffff] {
        assert_eq!(attempt(&mut sender, index as u16, Some(index)), Ok(()));
    }
    assert_eq!(sender.next_index(Ssrc(1)), Some(0x7_0001));
    assert_eq!(attempt(&mut sender, 2, Some(0x7_0003)), Err(Error::IndexMismatch));
    // A receiver that is told the rollover counter follows.
    let mut protected = protect(&mut sender, rtp(1, 1), Some(0x7_0001));
    let mut receiver = receiver(Profile::AeadAes128Gcm);
    assert_eq!(receiver.unprotect_rtp(&mut protected.clone(), start()), Err(DropReason::NotAuthentic));
    assert_eq!(receiver.expect_rollover(Ssrc(1), 7, start()), Ok(()));
    assert_eq!(receiver.unprotect_rtp(&mut protected, start()), Ok(&mut rtp(1, 1)[..]));
    assert_eq!(receiver.expect_rollover(Ssrc(1), 8, start()), Err(Error::IndexUsed));
}

#[test]
fn a_retired_ssrc_uses_no_index_twice() {
    let mut sender = sender(Profile::AeadAes128Gcm);
    assert_eq!(attempt(&mut sender, 10, None), Ok(()));
    assert_eq!(attempt(&mut sender, 20, None), Ok(()));
    sender.retire(Ssrc(1));
    sender.retire(Ssrc(2));
    assert_eq!(attempt(&mut sender, 10, None), Err(Error::IndexTooOld));
    assert_eq!(attempt(&mut sender, 15, None), Err(Error::IndexTooOld));
    assert_eq!(attempt(&mut sender, 21, None), Ok(()));
    assert_eq!(attempt(&mut sender, 15, None), Err(Error::IndexUsed));
    assert_eq!(sender.next_index(Ssrc(1)), Some(22));
}

#[test]
fn ssrcs_are_limited_and_none_is_forgotten() {
    let config = SenderConfig { ssrcs_max: 2, ..SenderConfig::default() };
    let mut sender = Sender::new(key(Profile::AeadAes128Gcm), config).unwrap();
    protect(&mut sender, rtp(1, 1), None);
    protect_rtcp(&mut sender, rtcp(2));
    sender.retire(Ssrc(1));
    let mut packet = [rtp(3, 1), vec![0; 16]].concat();
    assert_eq!(sender.protect_rtp(&mut packet, None), Err(Error::TooManySsrcs));
    let mut packet = [rtcp(3), vec![0; 20]].concat();
    assert_eq!(sender.protect_rtcp(&mut packet), Err(Error::TooManySsrcs));
    assert_eq!(attempt(&mut sender, 1, None), Err(Error::IndexTooOld));
    protect(&mut sender, rtp(2, 1), None);
}

#[test]
fn a_run_is_protected_as_its_packets_would_be_one_by_one() {
    for profile in Profile::ALL {
        let (mut alone, mut together) = (sender(profile), sender(profile));
        let (mut expected, mut bytes, mut run) = (Vec::new(), Vec::new(), Vec::new());
        for (ssrc, index) in [(1, 5u64), (1, 6), (2, 0xffff), (2, 0x1_0000), (1, 0x9_0000), (1, 0x8_ffff)] {
            let packet = rtp(ssrc, index as u16);
            let index = (index != 6 && index != 0x1_0000).then_some(index);
            run.push(Segment { len: packet.len() + profile.rtp_overhead(), index });
            bytes.extend(&packet);
            bytes.resize(bytes.len() + profile.rtp_overhead(), 0);
            expected.extend(protect(&mut alone, packet, index));
        }
        assert_eq!(together.protect_rtp_run(&mut bytes, &run), Ok(()));
        assert_eq!(bytes, expected);

        let mut receiver = receiver(profile);
        let mut rest = &mut bytes[..run[0].len + run[1].len];
        let mut packets = Vec::new();
        for segment in &run[..2] {
            let (packet, after) = rest.split_at_mut(segment.len);
            packets.push(packet);
            rest = after;
        }
        let clear: Vec<_> =
            receiver.unprotect_rtp_run(packets, start()).map(|packet| packet.unwrap().to_vec()).collect();
        assert_eq!(clear, [rtp(1, 5), rtp(1, 6)]);
    }
}

#[test]
fn a_run_ends_at_the_packet_that_is_refused() {
    let mut sender = sender(Profile::AeadAes128Gcm);
    let packets: Vec<_> = [1, 2, 1, 3].into_iter().map(|sequence| [rtp(1, sequence), vec![0; 16]].concat()).collect();
    let run: Vec<_> = packets.iter().map(|packet| Segment { len: packet.len(), index: None }).collect();
    let mut bytes = packets.concat();
    let refused = sender.protect_rtp_run(&mut bytes, &run);
    assert_eq!(refused, Err(RunError { packet: 2, error: Error::IndexUsed }));
    let done = run[0].len + run[1].len;
    assert_ne!(bytes[..done], packets.concat()[..done]);
    assert_eq!(bytes[done..], packets.concat()[done..]);
    assert_eq!(sender.protect_rtp_run(&mut bytes[done + run[2].len..], &run[3..]), Ok(()));

    // Trap: bytes that no segment covers would leave in the clear. Nothing is spent before that is known.
    let clear = [rtp(1, 9), vec![0; 16]].concat();
    let mut bytes = clear.repeat(2);
    for beyond in [&[clear.len(), clear.len() + 1][..], &[clear.len()], &[], &[clear.len(), usize::MAX]] {
        let run: Vec<_> = beyond.iter().map(|&len| Segment { len, index: None }).collect();
        assert_eq!(sender.protect_rtp_run(&mut bytes, &run), Err(RunError { packet: 0, error: Error::RunLength }));
        assert_eq!(bytes, clear.repeat(2));
    }
    assert_eq!(sender.next_index(Ssrc(1)), Some(4));
}

#[test]
fn what_is_no_packet_is_refused() {
    for profile in Profile::ALL {
        let mut sender = sender(profile);
        let room = profile.rtp_overhead();
        assert_eq!(sender.protect_rtp(&mut vec![0x80; room - 1], None), Err(Error::NoRoom));
        assert_eq!(sender.protect_rtp(&mut vec![0x80; room + 11], None), Err(Error::NotAPacket));
        assert_eq!(sender.protect_rtp(&mut vec![0x40; room + 40], None), Err(Error::NotAPacket));
        assert_eq!(sender.protect_rtp(&mut vec![0x80; PACKET_MAX + 1], None), Err(Error::TooLong));
        assert_eq!(sender.protect_rtp(&mut vec![0x80; PACKET_MAX], None), Ok(()));
        let room = profile.rtcp_overhead();
        assert_eq!(sender.protect_rtcp(&mut vec![0x80; room - 1]), Err(Error::NoRoom));
        assert_eq!(sender.protect_rtcp(&mut vec![0x80; room + 7]), Err(Error::NotAPacket));
        assert_eq!(sender.protect_rtcp(&mut vec![0x80; PACKET_MAX + 1]), Err(Error::TooLong));
        assert_eq!(sender.protect_rtcp(&mut vec![0x80; room + 8]), Ok(()));
    }
}

#[test]
fn limits_out_of_range_are_named() {
    let new = |config| Sender::new(key(Profile::AeadAes128Gcm), config).map(|_| ());
    let config = SenderConfig::default;
    assert_eq!(new(SenderConfig { ssrcs_max: 0, ..config() }), Err(ConfigError::SsrcsMax));
    assert_eq!(new(SenderConfig { ssrcs_max: 65_537, ..config() }), Err(ConfigError::SsrcsMax));
    assert_eq!(new(SenderConfig { window: 63, ..config() }), Err(ConfigError::Window));
    assert_eq!(new(SenderConfig { window: 32_769, ..config() }), Err(ConfigError::Window));
    // A window is rounded up to a power of two.
    let config = SenderConfig { window: 65, ..config() };
    let mut sender = Sender::new(key(Profile::AeadAes128Gcm), config).unwrap();
    assert_eq!(attempt(&mut sender, 1000, None), Ok(()));
    assert_eq!(attempt(&mut sender, 1000 - 127, None), Ok(()));
    assert_eq!(attempt(&mut sender, 1000 - 128, None), Err(Error::IndexTooOld));
}
