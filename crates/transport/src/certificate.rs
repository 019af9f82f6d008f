use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};

use crate::{CertificateError, Fingerprint, HashFunction};

/// A certificate with its private key, on P-256: who this side is. Cheap to clone; `Debug` does not show the key.
#[derive(Clone)]
pub struct Certificate {
    parts: Arc<Parts>,
}

struct Parts {
    der: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Bytes of the largest certificate that can be ours: it is sent in each handshake. One of [`generate`](Self::generate)
    /// has some 330.
    pub const DER_MAX: usize = 4096;

    /// Makes a self-signed certificate with a new key, valid from an hour before `now` for `lifetime` from `now`.
    /// Peers go by the fingerprint and seldom look at the times; browsers use 30 days. Key, serial number and signature
    /// are drawn from the crypto provider's own random source.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Time`] if the times can't be said in a certificate.
    pub fn generate(now: SystemTime, lifetime: Duration) -> Result<Self, CertificateError> {
        const YEARS_8000: u64 = 8000 * 365 * 24 * 3600;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| CertificateError::Time)?;
        let end = now.checked_add(lifetime).filter(|end| end.as_secs() < YEARS_8000).ok_or(CertificateError::Time)?;
        let epoch = date_time_ymd(1970, 1, 1);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| CertificateError::Provider)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "WebRTC");
        params.is_ca = IsCa::NoCa;
        params.not_before = epoch + now.saturating_sub(Duration::from_secs(3600));
        params.not_after = epoch + end;
        // A serial number that another of our certificates has makes Firefox refuse both. RFC 5280 §4.1.2.2: positive.
        let mut serial = [0; 16];
        aws_lc_rs::rand::fill(&mut serial).map_err(|_| CertificateError::Provider)?;
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(serial.to_vec().into());
        let certificate = params.self_signed(&key).map_err(|_| CertificateError::Provider)?;
        Self::from_der(certificate.der(), &key.serialize_der())
    }

    /// Takes a certificate in DER and its private key in PKCS #8, as they were kept.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] if the key is not on P-256, the certificate is not of this key, or is too large.
    pub fn from_der(certificate: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        if certificate.len() > Self::DER_MAX {
            return Err(CertificateError::Size);
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key).map_err(|_| CertificateError::Key)?;
        let public = pair.public_key().as_ref();
        if !certificate.windows(public.len()).any(|window| window == public) {
            return Err(CertificateError::OtherKey);
        }
        Ok(Self { parts: Arc::new(Parts { der: certificate.to_vec(), key: key.to_vec() }) })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.parts.der
    }

    /// The private key in PKCS #8: to be kept secret.
    pub fn private_key(&self) -> &[u8] {
        &self.parts.key
    }

    /// Its fingerprint, for a session description.
    pub fn fingerprint(&self, hash: HashFunction) -> Fingerprint {
        Fingerprint::of(hash, self.der())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.fingerprint(HashFunction::Sha256)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_certificate_survives_being_kept() {
        let made = Certificate::generate(SystemTime::UNIX_EPOCH + 20_000 * DAY, 30 * DAY).unwrap();
        let kept = Certificate::from_der(made.der(), made.private_key()).unwrap();
        let hash = HashFunction::Sha256;
        assert_eq!(kept.fingerprint(hash), made.fingerprint(hash));
        assert!(!format!("{made:?}").contains("key"));
        // 2024-10-04, an hour before it, and 30 days after it.
        let says = |text: &[u8]| made.der().windows(text.len()).any(|window| window == text);
        assert!(says(b"241003230000Z") && says(b"241103000000Z"));
    }

    #[test]
    fn no_two_certificates_are_alike() {
        let [one, two] = [(); 2].map(|()| Certificate::generate(SystemTime::UNIX_EPOCH, DAY).unwrap());
        let hash = HashFunction::Sha256;
        assert_ne!(one.fingerprint(hash), two.fingerprint(hash));
        let mixed = Certificate::from_der(one.der(), two.private_key());
        assert_eq!(mixed.unwrap_err(), CertificateError::OtherKey);
        assert_eq!(Certificate::from_der(one.der(), b"key").unwrap_err(), CertificateError::Key);
        let long = [one.der(), &[0; Certificate::DER_MAX]].concat();
        assert_eq!(Certificate::from_der(&long, one.private_key()).unwrap_err(), CertificateError::Size);
    }

    #[test]
    fn times_that_no_certificate_can_say_are_refused() {
        let before = SystemTime::UNIX_EPOCH - DAY;
        assert_eq!(Certificate::generate(before, DAY).unwrap_err(), CertificateError::Time);
        assert_eq!(Certificate::generate(SystemTime::UNIX_EPOCH, Duration::MAX).unwrap_err(), CertificateError::Time);
    }
}
