/// How packets are encrypted and authenticated: a protection profile of DTLS-SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// `SRTP_AEAD_AES_128_GCM` (RFC 7714): the cheapest on processors with AES instructions.
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM` (RFC 7714).
    AeadAes256Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80` (RFC 5764): what every implementation has.
    Aes128CmHmacSha1_80,
    /// `SRTP_AES128_CM_HMAC_SHA1_32` (RFC 5764): RTP with a tag of 4 bytes, RTCP still with one of 10.
    Aes128CmHmacSha1_32,
}

impl Profile {
    /// All profiles, the one to prefer first.
    pub const ALL: [Self; 4] =
        [Self::AeadAes128Gcm, Self::AeadAes256Gcm, Self::Aes128CmHmacSha1_80, Self::Aes128CmHmacSha1_32];

    /// The profile with this number in IANA's registry of DTLS-SRTP protection profiles, if it is one of ours.
    pub const fn from_id(id: u16) -> Option<Self> {
        match id {
            0x0001 => Some(Self::Aes128CmHmacSha1_80),
            0x0002 => Some(Self::Aes128CmHmacSha1_32),
            0x0007 => Some(Self::AeadAes128Gcm),
            0x0008 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// Its number in the `use_srtp` extension of DTLS (RFC 5764 §4.1.2, RFC 7714 §14.2).
    pub const fn id(self) -> u16 {
        match self {
            Self::Aes128CmHmacSha1_80 => 0x0001,
            Self::Aes128CmHmacSha1_32 => 0x0002,
            Self::AeadAes128Gcm => 0x0007,
            Self::AeadAes256Gcm => 0x0008,
        }
    }

    /// Bytes of the master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 => 14,
        }
    }

    /// Bytes that an RTP packet grows by when it is protected: its tag.
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::Aes128CmHmacSha1_80 => 10,
            Self::Aes128CmHmacSha1_32 => 4,
        }
    }

    /// Bytes of the tag of an RTCP packet.
    pub const fn rtcp_tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 => 10,
        }
    }

    /// Bytes that an RTCP packet grows by when it is protected: its tag, the E flag and the index.
    pub const fn rtcp_overhead(self) -> usize {
        self.rtcp_tag_len() + 4
    }

    /// Bytes to export from DTLS for both directions; [`MasterKey::from_dtls`](crate::MasterKey::from_dtls) takes them.
    pub const fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_comes_back_from_its_number() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_id(profile.id()), Some(profile));
        }
        // The NULL ciphers and the retired AES-256-CM are not ours.
        for id in [0, 3, 4, 5, 6, 9, 0xffff] {
            assert_eq!(Profile::from_id(id), None);
        }
    }

    // RFC 5764 §4.1.2: the profile with the short tag keeps the long one for RTCP.
    #[test]
    fn the_short_tag_is_for_rtp_alone() {
        let profile = Profile::Aes128CmHmacSha1_32;
        assert_eq!((profile.rtp_overhead(), profile.rtcp_overhead()), (4, 14));
        assert_eq!(Profile::Aes128CmHmacSha1_80.rtp_overhead(), 10);
        assert_eq!(Profile::AeadAes256Gcm.keying_material_len(), 88);
        assert_eq!(Profile::Aes128CmHmacSha1_80.keying_material_len(), 60);
    }
}
