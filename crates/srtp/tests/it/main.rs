//! `plenary-srtp` as its callers see it.

mod allocation;
mod hostile;
mod receiver;
mod sender;

use std::time::Instant;

use plenary_srtp::{MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig};

/// A key of this profile; all tests use the same one.
fn key(profile: Profile) -> MasterKey {
    MasterKey::new(profile, &vec![0x4b; profile.key_len()], &vec![0x53; profile.salt_len()]).unwrap()
}

fn sender(profile: Profile) -> Sender {
    Sender::new(key(profile), SenderConfig::default()).unwrap()
}

fn receiver(profile: Profile) -> Receiver {
    Receiver::new(&key(profile), ReceiverConfig::default()).unwrap()
}

/// An RTP packet whose payload tells it from others, without room for a tag.
fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0x12, 0x34]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(format!("packet {sequence} of {ssrc}").bytes());
    packet
}

/// A receiver report with nothing to report, without room for a tag.
fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x80, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    packet
}

/// `packet`, protected with this index.
fn protect(sender: &mut Sender, mut packet: Vec<u8>, index: Option<u64>) -> Vec<u8> {
    packet.resize(packet.len() + sender.profile().rtp_overhead(), 0xee);
    sender.protect_rtp(&mut packet, index).unwrap();
    packet
}

/// `packet`, an RTCP packet, protected.
fn protect_rtcp(sender: &mut Sender, mut packet: Vec<u8>) -> Vec<u8> {
    packet.resize(packet.len() + sender.profile().rtcp_overhead(), 0xee);
    sender.protect_rtcp(&mut packet).unwrap();
    packet
}

#[allow(clippy::disallowed_methods, reason = "an instant to start from; the tests add to it")]
fn start() -> Instant {
    Instant::now()
}
