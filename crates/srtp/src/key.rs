//! Master keys, and the session keys that are derived from them.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::{Zeroize, Zeroizing};

use crate::{Error, Profile};

/// A master key and its salt, for one direction: the keys of all SSRCs come from it. Overwritten when dropped.
///
/// It can't be cloned: a [`Sender`](crate::Sender) takes it, so that no other sender uses its indexes again.
pub struct MasterKey {
    profile: Profile,
    /// The first `profile.key_len()` bytes count.
    key: [u8; 32],
    /// A shorter salt has zeros at its end.
    salt: [u8; 14],
}

impl MasterKey {
    /// The label under which DTLS exports keying material for SRTP (RFC 5764 §4.2), without a context.
    pub const DTLS_EXPORTER_LABEL: &'static str = "EXTRACTOR-dtls_srtp";

    /// A key that came by some other way than DTLS.
    ///
    /// # Errors
    ///
    /// [`Error::KeyLength`] or [`Error::SaltLength`] if one has not the length that `profile` asks for.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, Error> {
        if key.len() != profile.key_len() {
            return Err(Error::KeyLength);
        }
        if salt.len() != profile.salt_len() {
            return Err(Error::SaltLength);
        }
        let mut master = Self { profile, key: [0; 32], salt: [0; 14] };
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        Ok(master)
    }

    /// What DTLS exported, as the key that the DTLS *client* protects with and the one that the *server* protects
    /// with, in this order (RFC 5764 §4.2). Each side unprotects with the key of the other.
    ///
    /// # Errors
    ///
    /// [`Error::KeyingMaterialLength`] if it is not [`Profile::keying_material_len`] bytes.
    pub fn from_dtls(profile: Profile, exported: &[u8]) -> Result<(Self, Self), Error> {
        if exported.len() != profile.keying_material_len() {
            return Err(Error::KeyingMaterialLength);
        }
        let (keys, salts) = exported.split_at(2 * profile.key_len());
        let (client_key, server_key) = keys.split_at(profile.key_len());
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        Ok((Self::new(profile, client_key, client_salt)?, Self::new(profile, server_key, server_salt)?))
    }

    /// The profile that the key is for.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// RFC 3711 §4.3.3 with a key derivation rate of 0: `N` bytes of key stream under the master key.
    ///
    /// RFC 7714 §11: the salt of GCM, being shorter, has zeros at its end.
    pub(crate) fn derive<const N: usize>(&self, label: u8) -> Zeroizing<[u8; N]> {
        let mut block = [0; 16];
        block[..14].copy_from_slice(&self.salt);
        block[7] ^= label;
        let mut derived = Zeroizing::new([0; N]);
        key_stream(&self.key[..self.profile.key_len()])
            .less_safe_encrypt(derived.as_mut(), EncryptionContext::Iv128(FixedLength::from(block)))
            .expect("counter mode takes any length");
        derived
    }
}

/// AES in counter mode under `key`, of 16 or 32 bytes.
pub(crate) fn key_stream(key: &[u8]) -> EncryptingKey {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::ctr).expect("the key is of the cipher's length")
}

/// Says of which profile the key is, and not a byte of it.
impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterKey").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
    }
}

/// The labels of RFC 3711 §4.3.1 and §4.3.2: which key is derived.
pub(crate) mod label {
    pub(crate) const RTP_KEY: u8 = 0;
    pub(crate) const RTP_AUTH: u8 = 1;
    pub(crate) const RTP_SALT: u8 = 2;
    pub(crate) const RTCP_KEY: u8 = 3;
    pub(crate) const RTCP_AUTH: u8 = 4;
    pub(crate) const RTCP_SALT: u8 = 5;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    const RFC_3711_KEY: [u8; 16] =
        [0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41, 0x39];
    const RFC_3711_SALT: [u8; 14] =
        [0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6];

    #[test]
    fn rfc_3711_b3_keys_are_derived() {
        let master = MasterKey::new(Profile::Aes128CmHmacSha1_80, &RFC_3711_KEY, &RFC_3711_SALT).unwrap();
        assert_eq!(
            *master.derive::<16>(label::RTP_KEY),
            [0xc6, 0x1e, 0x7a, 0x93, 0x74, 0x4f, 0x39, 0xee, 0x10, 0x73, 0x4a, 0xfe, 0x3f, 0xf7, 0xa0, 0x87]
        );
        assert_eq!(
            *master.derive::<14>(label::RTP_SALT),
            [0x30, 0xcb, 0xbc, 0x08, 0x86, 0x3d, 0x8c, 0x85, 0xd4, 0x9d, 0xb3, 0x4a, 0x9a, 0xe1]
        );
        assert_eq!(
            *master.derive::<94>(label::RTP_AUTH),
            *hex(concat!(
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE",
                "E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25",
                "6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2"
            ))
        );
    }

    // RFC 3711 B.2.
    #[test]
    fn rfc_3711_b2_key_stream_comes_out() {
        let stream = key_stream(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        let mut bytes = vec![0; 0xff03 * 16];
        let mut block = [0; 16];
        block[..14].copy_from_slice(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
        stream.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(FixedLength::from(block))).unwrap();
        for (number, expected) in [
            (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
            (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
            (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
            (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
            (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
            (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
        ] {
            assert_eq!(bytes[number * 16..][..16], *hex(expected), "block {number}");
        }
    }

    // RFC 5764 §4.2: client key, server key, client salt, server salt.
    #[test]
    fn dtls_exports_keys_before_salts() {
        let exported: Vec<u8> = (0..56).collect();
        let (client, server) = MasterKey::from_dtls(Profile::AeadAes128Gcm, &exported).unwrap();
        assert_eq!((client.key[..16].to_vec(), client.salt[..12].to_vec()), ((0..16).collect(), (32..44).collect()));
        assert_eq!((server.key[..16].to_vec(), server.salt[..12].to_vec()), ((16..32).collect(), (44..56).collect()));
        assert_eq!(MasterKey::from_dtls(Profile::AeadAes256Gcm, &exported).unwrap_err(), Error::KeyingMaterialLength);
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for profile in Profile::ALL {
            let (key, salt) = (vec![1; profile.key_len()], vec![2; profile.salt_len()]);
            assert!(MasterKey::new(profile, &key, &salt).is_ok());
            assert_eq!(MasterKey::new(profile, &key[1..], &salt).unwrap_err(), Error::KeyLength);
            assert_eq!(MasterKey::new(profile, &key, &salt[1..]).unwrap_err(), Error::SaltLength);
        }
    }

    // RFC 7714 §11: the master salt has two zero bytes at its end. Made with OpenSSL's AES-CTR.
    #[test]
    fn the_shorter_salt_of_gcm_ends_with_zeros() {
        let key: Vec<u8> = (0..32).collect();
        let salt = hex("a0a1a2a3a4a5a6a7a8a9aaab");
        let master = MasterKey::new(Profile::AeadAes128Gcm, &key[..16], &salt).unwrap();
        assert_eq!(*master.derive::<16>(label::RTP_KEY), *hex("077c6143cb221bc355ff23d5f984a16e"));
        assert_eq!(*master.derive::<12>(label::RTP_SALT), *hex("9af3e95364ebac9c99c5a7c4"));
        assert_eq!(*master.derive::<16>(label::RTCP_KEY), *hex("615dcd9042600666f6fd4d9e4fe4519f"));
        assert_eq!(*master.derive::<12>(label::RTCP_SALT), *hex("fcca937b9112a500dac72269"));
        let master = MasterKey::new(Profile::AeadAes256Gcm, &key, &salt).unwrap();
        assert_eq!(
            *master.derive::<32>(label::RTP_KEY),
            *hex("b7a435ce454463b760dc82c838468a115c699625af4b93a0f8220a2a6119c5d0")
        );
        assert_eq!(*master.derive::<12>(label::RTCP_SALT), *hex("258c540cf38ddd40848ceaed"));
    }

    #[test]
    fn debug_shows_no_key() {
        let master = MasterKey::new(Profile::Aes128CmHmacSha1_80, &RFC_3711_KEY, &RFC_3711_SALT).unwrap();
        assert_eq!(format!("{master:?}"), "MasterKey { profile: Aes128CmHmacSha1_80, .. }");
    }
}
