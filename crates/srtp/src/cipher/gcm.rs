//! AES in Galois/Counter Mode (RFC 7714).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use plenary_rtp::Ssrc;

use super::{E_FLAG, NotAuthentic};
use crate::key::{MasterKey, label};
use crate::packet::{RTCP_HEADER_LEN, RtpHeader};

const TAG_LEN: usize = 16;

#[derive(Debug)]
pub(crate) struct Gcm {
    rtp: Keys,
    rtcp: Keys,
}

#[derive(Debug)]
struct Keys {
    key: LessSafeKey,
    /// In two parts, as the library copies nonces: stores that do not match its loads stall them.
    salt: (u64, u32),
}

impl Gcm {
    /// `N` is the length of the key, 16 or 32.
    pub(super) fn new<const N: usize>(master: &MasterKey) -> Self {
        let rtp = Keys::new(&*master.derive::<N>(label::RTP_KEY), *master.derive(label::RTP_SALT));
        let rtcp = Keys::new(&*master.derive::<N>(label::RTCP_KEY), *master.derive(label::RTCP_SALT));
        Self { rtp, rtcp }
    }

    #[inline(always)]
    pub(super) fn protect_rtp(&self, packet: &mut [u8], header: &RtpHeader, index: u64) {
        let (aad, body) = packet.split_at_mut(header.len);
        self.rtp.seal(self.rtp.nonce(header.ssrc, index), aad, body);
    }

    #[inline(always)]
    pub(super) fn unprotect_rtp(&self, packet: &mut [u8], header: &RtpHeader, index: u64) -> Result<(), NotAuthentic> {
        let (aad, body) = packet.split_at_mut(header.len);
        self.rtp.open(self.rtp.nonce(header.ssrc, index), aad, body)
    }

    // RFC 7714 §9.2 and §9.3: what was RTCP, then the tag, then the word with the E flag and the index.
    pub(super) fn protect_rtcp(&self, packet: &mut [u8], ssrc: Ssrc, word: u32) {
        let (packet, last) = packet.split_last_chunk_mut().expect("there is room for the word");
        *last = word.to_be_bytes();
        let nonce = self.rtcp.nonce(ssrc, u64::from(word & !E_FLAG));
        if word & E_FLAG != 0 {
            let (header, body) = packet.split_at_mut(RTCP_HEADER_LEN);
            self.rtcp.seal(nonce, &encrypted_aad(header, *last), body);
        } else {
            // The word is authenticated right behind the text: it stands there until the tag does.
            let (aad_end, text_end) = (packet.len() - TAG_LEN + last.len(), packet.len() - TAG_LEN);
            packet[text_end..aad_end].copy_from_slice(last);
            let mut tag = [0; TAG_LEN];
            self.rtcp.seal(nonce, &packet[..aad_end], &mut tag);
            packet[text_end..].copy_from_slice(&tag);
        }
    }

    pub(super) fn unprotect_rtcp(&self, packet: &mut [u8], ssrc: Ssrc, word: u32) -> Result<(), NotAuthentic> {
        let (packet, last) = packet.split_last_chunk_mut().ok_or(NotAuthentic)?;
        let nonce = self.rtcp.nonce(ssrc, u64::from(word & !E_FLAG));
        if word & E_FLAG != 0 {
            let (header, body) = packet.split_at_mut_checked(RTCP_HEADER_LEN).ok_or(NotAuthentic)?;
            self.rtcp.open(nonce, &encrypted_aad(header, *last), body)
        } else {
            let text_end = packet.len().checked_sub(TAG_LEN).ok_or(NotAuthentic)?;
            let mut tag = [0; TAG_LEN];
            tag.copy_from_slice(&packet[text_end..]);
            let aad_end = text_end + last.len();
            packet[text_end..aad_end].copy_from_slice(last);
            self.rtcp.open(nonce, &packet[..aad_end], &mut tag)
        }
    }
}

/// RFC 7714 §9.2: of an encrypted RTCP packet, the header and the word are authenticated beside the text.
fn encrypted_aad(header: &[u8], word: [u8; 4]) -> [u8; RTCP_HEADER_LEN + 4] {
    let mut aad = [0; RTCP_HEADER_LEN + 4];
    aad[..RTCP_HEADER_LEN].copy_from_slice(header);
    aad[RTCP_HEADER_LEN..].copy_from_slice(&word);
    aad
}

impl Keys {
    fn new(key: &[u8], salt: [u8; NONCE_LEN]) -> Self {
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = UnboundKey::new(algorithm, key).expect("the key is of the cipher's length");
        let salt = salt.iter().fold(0, |number, &byte| number << 8 | u128::from(byte));
        Self { key: LessSafeKey::new(key), salt: ((salt >> 32) as u64, salt as u32) }
    }

    // RFC 7714 §8.1 and §9.1: two zero bytes, SSRC, 48 bits of index, under the salt.
    //
    // Inlined, it is compiled to stores of single bytes, which stall the library's loads for longer than a call takes.
    #[inline(never)]
    fn nonce(&self, ssrc: Ssrc, index: u64) -> Nonce {
        let high = self.salt.0 ^ (u64::from(ssrc.0) << 16 | index >> 32);
        let low = self.salt.1 ^ index as u32;
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&high.to_be_bytes());
        nonce[8..].copy_from_slice(&low.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts `body` but for its last [`TAG_LEN`] bytes, which become the tag.
    #[inline]
    fn seal(&self, nonce: Nonce, aad: &[u8], body: &mut [u8]) {
        let (text, tag) = body.split_last_chunk_mut::<TAG_LEN>().expect("there is room for the tag");
        let sealed = self.key.seal_in_place_scatter(nonce, Aad::from(aad), text, &[], tag);
        sealed.expect("a packet is shorter than the cipher's limit");
    }

    /// Decrypts `body` but for its last [`TAG_LEN`] bytes, which are the tag.
    #[inline]
    fn open(&self, nonce: Nonce, aad: &[u8], body: &mut [u8]) -> Result<(), NotAuthentic> {
        let (text, tag) = body.split_last_chunk_mut::<TAG_LEN>().ok_or(NotAuthentic)?;
        match self.key.open_in_place_separate_tag(nonce, Aad::from(aad), tag, text) {
            Ok(_) => Ok(()),
            Err(_) => Err(NotAuthentic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::rtcp_ssrc;
    use crate::testing::hex;

    const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
    const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const RTP: &str =
        "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
    const RTCP: &str = concat!(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61",
        "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
    );

    /// RFC 7714 §16 and §17 give session keys.
    fn session(key: &str) -> Gcm {
        let keys = || Keys::new(&hex(key), *b"Quid pro quo");
        Gcm { rtp: keys(), rtcp: keys() }
    }

    #[track_caller]
    fn check_rtp(key: &str, protected: &str) {
        let clear = hex(RTP);
        let header = RtpHeader::read(&clear).unwrap();
        let mut packet = [&clear[..], &[0xff; TAG_LEN]].concat();
        session(key).protect_rtp(&mut packet, &header, header.sequence.into());
        assert_eq!(packet, hex(protected));
        assert_eq!(session(key).unprotect_rtp(&mut packet, &header, header.sequence.into()), Ok(()));
        assert_eq!(packet[..clear.len()], clear);
    }

    #[track_caller]
    fn check_rtcp(key: &str, word: u32, protected: &str) {
        let clear = hex(RTCP);
        let ssrc = rtcp_ssrc(&clear).unwrap();
        let mut packet = [&clear[..], &[0xff; TAG_LEN + 4]].concat();
        session(key).protect_rtcp(&mut packet, ssrc, word);
        assert_eq!(packet, hex(protected));
        let mut forged = packet.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(session(key).unprotect_rtcp(&mut forged, ssrc, word ^ 1), Err(NotAuthentic));
        assert_eq!(session(key).unprotect_rtcp(&mut packet, ssrc, word), Ok(()));
        assert_eq!(packet[..clear.len()], clear);
    }

    #[test]
    fn rfc_7714_16_1_rtp_with_aes_128() {
        check_rtp(
            KEY_128,
            concat!(
                "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a",
                "51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce"
            ),
        );
    }

    #[test]
    fn rfc_7714_16_2_rtp_with_aes_256() {
        check_rtp(
            KEY_256,
            concat!(
                "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a02",
                "76ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13"
            ),
        );
    }

    #[test]
    fn rfc_7714_17_1_encrypted_rtcp_with_aes_128() {
        check_rtcp(
            KEY_128,
            0x8000_05d4,
            concat!(
                "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda",
                "4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4"
            ),
        );
    }

    #[test]
    fn rfc_7714_17_2_encrypted_rtcp_with_aes_256() {
        check_rtcp(
            KEY_256,
            0x8000_05d4,
            concat!(
                "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be",
                "8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4"
            ),
        );
    }

    #[test]
    fn rfc_7714_17_3_clear_rtcp_with_aes_128() {
        check_rtcp(KEY_128, 0x5d4, &[RTCP, "841dd9683dd78ec92ae58790125f62b3000005d4"].concat());
    }

    #[test]
    fn rfc_7714_17_4_clear_rtcp_with_aes_256() {
        check_rtcp(KEY_256, 0x5d4, &[RTCP, "91db4afbfeee5a978fab4393ed2615fe000005d4"].concat());
    }
}
