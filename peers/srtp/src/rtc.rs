use plenary_srtp::Profile;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::RingProvider;
use rtc_srtp::context::Context;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

/// A context of rtc-srtp for both directions, under this master key and salt, with replay windows of 1024 packets.
///
/// # Panics
///
/// If rtc-srtp does not know the profile or the key has not its length.
#[must_use]
pub fn rtc_srtp(profile: Profile, key: &[u8], salt: &[u8]) -> Context {
    let profile = match profile {
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        Profile::Aes128CmHmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Profile::Aes128CmHmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        other => panic!("rtc-srtp has no {other:?}"),
    };
    let (rtp, rtcp) = (srtp_replay_protection(1024), srtcp_replay_protection(1024));
    Context::new(key, salt, profile, Some(rtp), Some(rtcp), RingProvider::new().crypto()).expect("its key and salt")
}
