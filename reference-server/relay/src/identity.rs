use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerConfig, UnbufferedServerConnection};

use crate::dtls::Certificate;

/// RFC 7443 §3: what a client that offers protocols must have among them.
const PROTOCOL: &[u8] = b"stun.turn";

/// Who a relay is to clients that come by TLS and DTLS: a certificate with its chain, and its key. Cheap to clone; `Debug`
/// shows nothing of the key.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    dtls: Option<Certificate>,
}

/// Why an identity is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no `CERTIFICATE`.
    #[error("no certificate in PEM")]
    NoCertificate,
    /// One of the chain can't be read.
    #[error("a certificate that can't be read")]
    Certificate,
    /// There is no `PRIVATE KEY`, of any kind, in the clear.
    #[error("no private key in PEM: PKCS #8, SEC 1 or PKCS #1, without a password")]
    NoKey,
    /// It can't be read, or it is of another kind.
    #[error("a key that can't be read, or is neither of ECDSA, Ed25519 nor RSA")]
    Key,
    /// The first certificate is of another key.
    #[error("the key is not that of the first certificate")]
    OtherKey,
}

impl Identity {
    /// Takes a chain of certificates, the relay's first, and its private key, both in PEM. Whether clients trust them, and for
    /// which names and how long, is not looked at.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] says which of them is missing or wrong.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|_| IdentityError::Certificate)?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            PemError::NoItemsFound => IdentityError::NoKey,
            _ => IdentityError::Key,
        })?;
        let dtls = Certificate::new(&chain[0], key.secret_der());
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("the provider has suites of both versions");
        let config = builder.with_no_client_auth().with_single_cert(chain, key);
        let mut config = config.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => IdentityError::OtherKey,
            rustls::Error::InvalidCertificate(_) => IdentityError::Certificate,
            _ => IdentityError::Key,
        })?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        // A connection lasts as long as its allocation: nothing is kept for who might come again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), dtls })
    }

    /// Whether there is DTLS with it: that takes an ECDSA key on P-256 or P-384. Of the chain it sends the first certificate.
    #[must_use]
    pub const fn speaks_dtls(&self) -> bool {
        self.dtls.is_some()
    }

    pub(crate) const fn dtls(&self) -> Option<&Certificate> {
        self.dtls.as_ref()
    }

    /// What a connection begins with.
    pub(crate) fn session(&self) -> UnbufferedServerConnection {
        let session = UnbufferedServerConnection::new(Arc::clone(&self.config));
        session.expect("what a session is refused for is not in this configuration")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A certificate for `localhost` and its key, both in DER.
    pub(crate) fn made() -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    }

    fn pem(kind: &str, der: &[u8]) -> String {
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", BASE64_STANDARD.encode(der))
    }

    /// An identity, and its certificate in DER.
    pub(crate) fn identity() -> (Identity, Vec<u8>) {
        let (der, key) = made();
        let identity = Identity::from_pem(pem("CERTIFICATE", &der).as_bytes(), pem("PRIVATE KEY", &key).as_bytes());
        (identity.unwrap(), der)
    }

    fn pair() -> (String, String) {
        let (der, key) = made();
        (pem("CERTIFICATE", &der), pem("PRIVATE KEY", &key))
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (certificate, key) = pair();
        let broken = |pem: &str| pem.replacen("MI", "AA", 1);
        let chain = certificate.clone() + &pair().0;
        assert!(!format!("{:?}", Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()).contains("key"));
        for (certificate, key, error) in [
            ("", &key, IdentityError::NoCertificate),
            (&key, &key, IdentityError::NoCertificate),
            (&broken(&certificate), &key, IdentityError::Certificate),
            (&certificate, &String::new(), IdentityError::NoKey),
            (&certificate, &certificate, IdentityError::NoKey),
            (&certificate, &broken(&key), IdentityError::Key),
            (&certificate, &pair().1, IdentityError::OtherKey),
        ] {
            assert_eq!(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err(), error);
        }
    }
}
