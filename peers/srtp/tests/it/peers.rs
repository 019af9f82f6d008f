//! The three implementations, behind one face.

use std::time::Instant;

use plenary_srtp::{MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig};
use plenary_srtp_peers::{Direction, Session, key_and_salt};
use rtc_srtp::context::Context;

use crate::traffic::Packet;

pub(crate) enum Peer {
    Plenary(Box<Plenary>),
    RtcSrtp(Box<Context>),
    Libsrtp { outbound: Session, inbound: Session },
}

pub(crate) struct Plenary {
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    now: Instant,
}

impl Peer {
    pub(crate) fn plenary(profile: Profile) -> Self {
        let (key, salt) = key_and_salt(profile);
        let master = MasterKey::new(profile, &key, &salt).unwrap();
        Self::Plenary(Box::new(Plenary {
            receiver: Receiver::new(&master, ReceiverConfig::default()).unwrap(),
            sender: Sender::new(master, SenderConfig::default()).unwrap(),
            now: crate::start(),
        }))
    }

    pub(crate) fn rtc_srtp(profile: Profile) -> Self {
        let (key, salt) = key_and_salt(profile);
        Self::RtcSrtp(Box::new(plenary_srtp_peers::rtc_srtp(profile, &key, &salt)))
    }

    pub(crate) fn libsrtp(profile: Profile) -> Self {
        let (key, salt) = key_and_salt(profile);
        let session = |direction| Session::new(profile, &key, &salt, direction);
        Self::Libsrtp { outbound: session(Direction::Outbound), inbound: session(Direction::Inbound) }
    }

    /// The packet, protected.
    pub(crate) fn protect(&mut self, packet: &Packet) -> Vec<u8> {
        let mut bytes = packet.bytes.clone();
        match self {
            Self::Plenary(plenary) => {
                let profile = plenary.sender.profile();
                if packet.rtcp {
                    bytes.resize(bytes.len() + profile.rtcp_overhead(), 0);
                    plenary.sender.protect_rtcp(&mut bytes).unwrap();
                } else {
                    bytes.resize(bytes.len() + profile.rtp_overhead(), 0);
                    plenary.sender.protect_rtp(&mut bytes, None).unwrap();
                }
            }
            Self::RtcSrtp(context) if packet.rtcp => bytes = context.encrypt_rtcp(&bytes).unwrap().to_vec(),
            Self::RtcSrtp(context) => bytes = context.encrypt_rtp(&bytes).unwrap().to_vec(),
            Self::Libsrtp { outbound, .. } => {
                bytes.resize(bytes.len() + 40, 0);
                let len = packet.bytes.len();
                let protected = if packet.rtcp {
                    outbound.protect_rtcp(&mut bytes, len)
                } else {
                    outbound.protect_rtp(&mut bytes, len)
                };
                bytes.truncate(protected.unwrap());
            }
        }
        bytes
    }

    /// What comes of `protected`, which may be a copy that must be refused.
    pub(crate) fn unprotect(&mut self, packet: &Packet, protected: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = protected.to_vec();
        match self {
            Self::Plenary(plenary) => {
                let Plenary { receiver, now, .. } = &mut **plenary;
                let unprotected = if packet.rtcp {
                    receiver.unprotect_rtcp(&mut bytes, *now)
                } else {
                    receiver.unprotect_rtp(&mut bytes, *now)
                };
                unprotected.ok().map(|clear| clear.to_vec())
            }
            Self::RtcSrtp(context) => {
                let unprotected = if packet.rtcp { context.decrypt_rtcp(&bytes) } else { context.decrypt_rtp(&bytes) };
                unprotected.ok().map(|clear| clear.to_vec())
            }
            Self::Libsrtp { inbound, .. } => {
                let unprotected =
                    if packet.rtcp { inbound.unprotect_rtcp(&mut bytes) } else { inbound.unprotect_rtp(&mut bytes) };
                bytes.truncate(unprotected.ok()?);
                Some(bytes)
            }
        }
    }
}
