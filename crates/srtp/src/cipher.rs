//! The ciphers: each in its module, both with the same four functions.

mod cm;
mod gcm;

use cm::Cm;
use gcm::Gcm;
use plenary_rtp::Ssrc;

use crate::Profile;
use crate::key::MasterKey;
use crate::packet::RtpHeader;

/// The E flag of SRTCP (RFC 3711 §3.4): the packet is encrypted, not only authenticated.
pub(crate) const E_FLAG: u32 = 1 << 31;

/// The tag does not fit. What was to be decrypted may be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAuthentic;

/// The session keys of one direction.
#[derive(Debug)]
pub(crate) enum Cipher {
    Gcm(Box<Gcm>),
    Cm(Box<Cm>),
}

impl Cipher {
    pub(crate) fn new(master: &MasterKey) -> Self {
        match master.profile() {
            Profile::AeadAes128Gcm => Self::Gcm(Box::new(Gcm::new::<16>(master))),
            Profile::AeadAes256Gcm => Self::Gcm(Box::new(Gcm::new::<32>(master))),
            Profile::Aes128CmHmacSha1_80 | Profile::Aes128CmHmacSha1_32 => Self::Cm(Box::new(Cm::new(master))),
        }
    }

    /// Encrypts all behind the header and fills in the tag, for which `packet` has room at its end.
    #[inline]
    pub(crate) fn protect_rtp(&self, packet: &mut [u8], header: &RtpHeader, index: u64) {
        match self {
            Self::Gcm(gcm) => gcm.protect_rtp(packet, header, index),
            Self::Cm(cm) => cm.protect_rtp(packet, header, index),
        }
    }

    /// Checks the tag at the end of `packet` and decrypts what lies between it and the header.
    #[inline]
    pub(crate) fn unprotect_rtp(&self, packet: &mut [u8], header: &RtpHeader, index: u64) -> Result<(), NotAuthentic> {
        match self {
            Self::Gcm(gcm) => gcm.unprotect_rtp(packet, header, index),
            Self::Cm(cm) => cm.unprotect_rtp(packet, header, index),
        }
    }

    /// Encrypts an RTCP packet if the E flag is in `word`, and fills in `word` and the tag.
    pub(crate) fn protect_rtcp(&self, packet: &mut [u8], ssrc: Ssrc, word: u32) {
        match self {
            Self::Gcm(gcm) => gcm.protect_rtcp(packet, ssrc, word),
            Self::Cm(cm) => cm.protect_rtcp(packet, ssrc, word),
        }
    }

    /// The word with E flag and index, where this cipher has it. `packet` is long enough.
    pub(crate) fn rtcp_word(&self, packet: &[u8]) -> u32 {
        let end = match self {
            Self::Gcm(_) => packet.len(),
            Self::Cm(_) => packet.len() - cm::RTCP_TAG_LEN,
        };
        let word = packet[..end].last_chunk().expect("the packet has room for the word");
        u32::from_be_bytes(*word)
    }

    /// Checks the tag of an RTCP packet with that `word`, and decrypts it if the E flag is set.
    pub(crate) fn unprotect_rtcp(&self, packet: &mut [u8], ssrc: Ssrc, word: u32) -> Result<(), NotAuthentic> {
        match self {
            Self::Gcm(gcm) => gcm.unprotect_rtcp(packet, ssrc, word),
            Self::Cm(cm) => cm.unprotect_rtcp(packet, ssrc, word),
        }
    }
}
