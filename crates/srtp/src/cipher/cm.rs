//! AES in counter mode with HMAC-SHA1 (RFC 3711).

use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::iv::FixedLength;
use hmac::{Hmac, Mac};
use plenary_rtp::Ssrc;
use sha1::Sha1;

use super::{E_FLAG, NotAuthentic};
use crate::key::{MasterKey, key_stream, label};
use crate::packet::{RTCP_HEADER_LEN, RtpHeader};

/// Also with the short tag for RTP (RFC 5764 §4.1.2).
pub(super) const RTCP_TAG_LEN: usize = 10;

#[derive(Debug)]
pub(crate) struct Cm {
    rtp: Keys,
    rtcp: Keys,
    rtp_tag_len: usize,
}

struct Keys {
    stream: EncryptingKey,
    /// Times 2^16, as a number of 128 bits.
    salt: u128,
    /// Keyed, and cloned for each packet: two of its four blocks are done.
    mac: Hmac<Sha1>,
}

impl Cm {
    pub(super) fn new(master: &MasterKey) -> Self {
        Self {
            rtp: Keys::new(
                &master.derive(label::RTP_KEY),
                &master.derive(label::RTP_AUTH),
                *master.derive(label::RTP_SALT),
            ),
            rtcp: Keys::new(
                &master.derive(label::RTCP_KEY),
                &master.derive(label::RTCP_AUTH),
                *master.derive(label::RTCP_SALT),
            ),
            rtp_tag_len: master.profile().rtp_overhead(),
        }
    }

    #[inline]
    pub(super) fn protect_rtp(&self, packet: &mut [u8], header: &RtpHeader, index: u64) {
        let (packet, tag) = packet.split_at_mut(packet.len() - self.rtp_tag_len);
        self.rtp.encrypt(&mut packet[header.len..], header.ssrc, index);
        tag.copy_from_slice(&self.rtp.tag(packet, &roc(index))[..self.rtp_tag_len]);
    }

    #[inline]
    pub(super) fn unprotect_rtp(&self, packet: &mut [u8], header: &RtpHeader, index: u64) -> Result<(), NotAuthentic> {
        let end = packet.len().checked_sub(self.rtp_tag_len).ok_or(NotAuthentic)?;
        let (packet, tag) = packet.split_at_mut(end);
        self.rtp.verify(packet, &roc(index), tag)?;
        self.rtp.encrypt(&mut packet[header.len..], header.ssrc, index);
        Ok(())
    }

    // RFC 3711 §3.4: what was RTCP, then the word with the E flag and the index, then the tag.
    pub(super) fn protect_rtcp(&self, packet: &mut [u8], ssrc: Ssrc, word: u32) {
        let (packet, tag) = packet.split_last_chunk_mut::<RTCP_TAG_LEN>().expect("there is room for the tag");
        let (text, last) = packet.split_last_chunk_mut().expect("there is room for the word");
        *last = word.to_be_bytes();
        if word & E_FLAG != 0 {
            self.rtcp.encrypt(&mut text[RTCP_HEADER_LEN..], ssrc, u64::from(word & !E_FLAG));
        }
        tag.copy_from_slice(&self.rtcp.tag(packet, &[])[..RTCP_TAG_LEN]);
    }

    pub(super) fn unprotect_rtcp(&self, packet: &mut [u8], ssrc: Ssrc, word: u32) -> Result<(), NotAuthentic> {
        let (packet, tag) = packet.split_last_chunk_mut::<RTCP_TAG_LEN>().ok_or(NotAuthentic)?;
        self.rtcp.verify(packet, &[], tag)?;
        let (text, _) = packet.split_last_chunk_mut::<4>().ok_or(NotAuthentic)?;
        if word & E_FLAG != 0 {
            let text = text.get_mut(RTCP_HEADER_LEN..).ok_or(NotAuthentic)?;
            self.rtcp.encrypt(text, ssrc, u64::from(word & !E_FLAG));
        }
        Ok(())
    }
}

// RFC 3711 §4.2: behind the packet, the rollover counter is authenticated.
#[inline]
fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

impl Keys {
    fn new(key: &[u8; 16], auth: &[u8; 20], salt: [u8; 14]) -> Self {
        let salt = salt.iter().fold(0, |number, &byte| number << 8 | u128::from(byte)) << 16;
        Self { stream: key_stream(key), salt, mac: Hmac::new_from_slice(auth).expect("a key of any length") }
    }

    // RFC 3711 §4.1.1: salt · 2^16 ⊕ SSRC · 2^64 ⊕ index · 2^16; the last two bytes count blocks.
    #[inline]
    fn encrypt(&self, text: &mut [u8], ssrc: Ssrc, index: u64) {
        let counter = (self.salt ^ u128::from(ssrc.0) << 64 ^ u128::from(index) << 16).to_be_bytes();
        self.stream
            .less_safe_encrypt(text, EncryptionContext::Iv128(FixedLength::from(counter)))
            .expect("counter mode takes any length");
    }

    #[inline]
    fn tag(&self, packet: &[u8], end: &[u8]) -> [u8; 20] {
        self.mac.clone().chain_update(packet).chain_update(end).finalize().into_bytes().into()
    }

    #[inline]
    fn verify(&self, packet: &[u8], end: &[u8], tag: &[u8]) -> Result<(), NotAuthentic> {
        let expected = self.tag(packet, end);
        verify_slices_are_equal(&expected[..tag.len()], tag).map_err(|_| NotAuthentic)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;
    use crate::testing::hex;

    // RFC 3711 has no vector of a whole packet: this one is of libsrtp's self-test, under the keys of B.3.
    #[test]
    fn a_packet_of_libsrtp_comes_out() {
        let (key, salt) = (hex("E1F97A0D3E018BE0D64FA32C06DE4139"), hex("0EC675AD498AFEEBB6960B3AABE6"));
        let clear = hex("800f1234decafbadcafebabeabababababababababababababababab");
        let header = RtpHeader::read(&clear).unwrap();
        let protected = hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
        for (profile, tag_len) in [(Profile::Aes128CmHmacSha1_80, 10), (Profile::Aes128CmHmacSha1_32, 4)] {
            let cm = Cm::new(&MasterKey::new(profile, &key, &salt).unwrap());
            let mut packet = [&clear[..], &vec![0xff; tag_len]].concat();
            cm.protect_rtp(&mut packet, &header, 0x1234);
            assert_eq!(packet, protected[..28 + tag_len]);
            assert_eq!(cm.unprotect_rtp(&mut packet, &header, 0x1_1234), Err(NotAuthentic));
            assert_eq!(packet, protected[..28 + tag_len]);
            assert_eq!(cm.unprotect_rtp(&mut packet, &header, 0x1234), Ok(()));
            assert_eq!(packet[..28], clear);
        }
    }
}
