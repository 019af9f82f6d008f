//! The first byte says what the rest is: a packet, or what is XORed onto a packet that was protected.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use plenary_srtp::{DropReason, MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    #[allow(clippy::disallowed_methods, reason = "an instant to start from")]
    let now = Instant::now();
    for profile in Profile::ALL {
        let receiver = Receiver::new(&key(profile), ReceiverConfig::default()).expect("the default is in range");
        let mut peers = Peers { sender: sender(profile), receiver, now };
        let outcome = if choice % 2 == 0 { peers.forged(bytes) } else { peers.damaged(bytes) };
        // It can be found by chance, if the tag is short, or remembered from another run: then there is no more to say.
        let (Ok(()) | Err(Genuine)) = outcome;
    }
});

struct Peers {
    sender: Sender,
    receiver: Receiver,
    now: Instant,
}

/// Not forged: who has the key makes just these bytes.
struct Genuine;

fn key(profile: Profile) -> MasterKey {
    let key = MasterKey::new(profile, &[0x4b; 32][..profile.key_len()], &[0x53; 14][..profile.salt_len()]);
    key.expect("the lengths are the profile's")
}

fn sender(profile: Profile) -> Sender {
    Sender::new(key(profile), SenderConfig::default()).expect("the default is in range")
}

impl Peers {
    /// Bytes that nobody with the key has made, before and among packets that somebody has.
    fn forged(&mut self, bytes: &[u8]) -> Result<(), Genuine> {
        self.refused(bytes, 0)?;
        // Around packets of the SSRC and the sequence numbers that they claim.
        let ssrc = bytes.get(8..12).and_then(|ssrc| ssrc.first_chunk()).copied().unwrap_or([9; 4]);
        let claimed = bytes.get(2..4).map_or(0, |sequence| u16::from_be_bytes([sequence[0], sequence[1]]));
        let first = (claimed & 0x7fff).max(1);
        let before = self.protected_rtp(ssrc, first - 1);
        let report = self.protected_rtcp(ssrc);
        for (number, sequence) in [first, first + 1, first + 2].into_iter().enumerate() {
            let packet = self.protected_rtp(ssrc, sequence);
            self.passes(&packet, &rtp(ssrc, sequence));
            self.refused(bytes, 1)?;
            let stats = *self.receiver.stats();
            assert_eq!((stats.rtp_packets, stats.rtcp_packets), (number as u64 + 1, 0));
        }
        // What came late, too.
        self.passes(&before, &rtp(ssrc, first - 1));
        assert_eq!(self.receiver.unprotect_rtp(&mut before.clone(), self.now), Err(DropReason::Replayed));
        let opened = self.receiver.unprotect_rtcp(&mut report.clone(), self.now).map(|opened| opened.to_vec());
        assert_eq!(opened, Ok(rtcp(ssrc)));
        assert_eq!(self.receiver.unprotect_rtcp(&mut report.clone(), self.now), Err(DropReason::Replayed));
        assert_eq!(self.receiver.ssrcs(), 1);
        Ok(())
    }

    /// Packets that have changed on the way.
    fn damaged(&mut self, mask: &[u8]) -> Result<(), Genuine> {
        let ssrc = [1, 2, 3, 4];
        let (packet, report) = (self.protected_rtp(ssrc, 7), self.protected_rtcp(ssrc));
        for good in [&packet, &report] {
            let mut bad = good.clone();
            for (byte, mask) in bad.iter_mut().zip(mask) {
                *byte ^= mask;
            }
            bad.extend(mask.get(good.len()..).unwrap_or_default());
            if bad != *good {
                self.refused(&bad, 0)?;
            }
        }
        self.passes(&packet, &rtp(ssrc, 7));
        let opened = self.receiver.unprotect_rtcp(&mut report.clone(), self.now).map(|opened| opened.to_vec());
        assert_eq!(opened, Ok(rtcp(ssrc)));
        Ok(())
    }

    fn refused(&mut self, bytes: &[u8], ssrcs: usize) -> Result<(), Genuine> {
        let before = *self.receiver.stats();
        let (mut rtp, mut rtcp) = (bytes.to_vec(), bytes.to_vec());
        let profile = self.sender.profile();
        let reason = match self.receiver.unprotect_rtp(&mut rtp, self.now) {
            Ok(clear) if makes_rtp(profile, clear, bytes) => return Err(Genuine),
            opened => opened.map(|_| ()).expect_err("it is forged"),
        };
        assert_eq!(self.receiver.stats().dropped(reason), before.dropped(reason) + 1);
        match self.receiver.unprotect_rtcp(&mut rtcp, self.now) {
            Ok(clear) if makes_rtcp(profile, clear, bytes) => return Err(Genuine),
            opened => opened.map(|_| ()).expect_err("it is forged"),
        };

        let after = self.receiver.stats();
        assert_eq!(after.dropped_total(), before.dropped_total() + 2);
        assert_eq!((after.rtp_packets, after.rtcp_packets), (before.rtp_packets, before.rtcp_packets));
        assert_eq!((self.receiver.ssrcs(), after.ssrcs_evicted), (ssrcs, 0));
        // The headers are still those that came, so that a drop can be told of.
        let clear = |bytes: &[u8], len: usize| bytes[..len.min(bytes.len())].to_vec();
        assert_eq!(clear(&rtp, 12), clear(bytes, 12));
        assert_eq!(clear(&rtcp, 8), clear(bytes, 8));
        Ok(())
    }

    fn passes(&mut self, packet: &[u8], clear: &[u8]) {
        let mut packet = packet.to_vec();
        let opened = self.receiver.unprotect_rtp(&mut packet, self.now);
        assert_eq!(opened.as_deref(), Ok(clear));
    }

    fn protected_rtp(&mut self, ssrc: [u8; 4], sequence: u16) -> Vec<u8> {
        let mut packet = rtp(ssrc, sequence);
        packet.resize(packet.len() + self.sender.profile().rtp_overhead(), 0);
        assert_eq!(self.sender.protect_rtp(&mut packet, Some(sequence.into())), Ok(()));
        packet
    }

    fn protected_rtcp(&mut self, ssrc: [u8; 4]) -> Vec<u8> {
        let mut packet = rtcp(ssrc);
        packet.resize(packet.len() + self.sender.profile().rtcp_overhead(), 0);
        assert_eq!(self.sender.protect_rtcp(&mut packet), Ok(()));
        packet
    }
}

/// Whether the key makes `bytes` of this packet, in one of the turns in which a receiver looks for it.
fn makes_rtp(profile: Profile, clear: &[u8], bytes: &[u8]) -> bool {
    let sequence = u64::from(u16::from_be_bytes([clear[2], clear[3]]));
    [sequence, 1 << 16 | sequence].into_iter().any(|index| {
        let mut packet = clear.to_vec();
        packet.resize(clear.len() + profile.rtp_overhead(), 0);
        sender(profile).protect_rtp(&mut packet, Some(index)).is_ok() && packet == bytes
    })
}

/// As [`makes_rtp`], of its first RTCP packet: no other index has been shown to anyone, and tags are long.
fn makes_rtcp(profile: Profile, clear: &[u8], bytes: &[u8]) -> bool {
    let mut packet = clear.to_vec();
    packet.resize(clear.len() + profile.rtcp_overhead(), 0);
    sender(profile).protect_rtcp(&mut packet).is_ok() && packet == bytes
}

fn rtp(ssrc: [u8; 4], sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x90, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet.extend(ssrc);
    packet.extend([0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
    packet.extend(b"a payload of more than one block");
    packet
}

fn rtcp(ssrc: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc);
    packet.extend([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    packet
}
