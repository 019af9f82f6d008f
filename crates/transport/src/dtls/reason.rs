//! What `dimpl` says of a failure, in our words.

use dimpl::{CertificateError, CryptoError, Error, SecurityError};

use crate::CloseReason;

pub(super) fn of(error: &Error) -> CloseReason {
    match error {
        Error::Timeout(_) => CloseReason::HandshakeTimeout,
        Error::CertificateError(error) => of_certificate(error),
        Error::SecurityError(error) => of_security(error),
        Error::CryptoError(
            CryptoError::UnsupportedSignatureAlgorithm(_)
            | CryptoError::SignatureAlgorithmMismatch { .. }
            | CryptoError::SignatureAlgorithmNotOfferedByClient,
        ) => CloseReason::UnsupportedCertificate,
        _ => CloseReason::Handshake,
    }
}

/// The alert that tells the peer of it (RFC 8446 §6.2), where `dimpl` has not told already and there is still who listens.
pub(crate) const fn alert(reason: CloseReason) -> Option<u8> {
    match reason {
        CloseReason::Fingerprint => Some(42), // bad_certificate, as RFC 8122 §6.2 wants it
        CloseReason::UnsupportedCertificate => Some(43), // unsupported_certificate
        CloseReason::Version => Some(70),     // protocol_version
        CloseReason::NoCommonCipher | CloseReason::Handshake => Some(40), // handshake_failure
        _ => None,
    }
}

const fn of_certificate(error: &CertificateError) -> CloseReason {
    match error {
        CertificateError::NoServerCertificateReceived
        | CertificateError::NoClientCertificateReceived
        | CertificateError::NoClientCertificateForVerification
        | CertificateError::NoServerCertificateForVerification => CloseReason::NoCertificate,
        _ => CloseReason::UnsupportedCertificate,
    }
}

const fn of_security(error: &SecurityError) -> CloseReason {
    match error {
        SecurityError::FatalAlert { description } => CloseReason::Alert(*description),
        SecurityError::NoMutuallyAcceptableCipherSuite
        | SecurityError::NoCommonCipherSuite
        | SecurityError::NoCommonKeyExchangeGroup => CloseReason::NoCommonCipher,
        SecurityError::SignatureSchemeNotOffered(_)
        | SecurityError::SignatureAlgorithmMismatch { .. }
        | SecurityError::UnsupportedSignatureScheme(_)
        | SecurityError::SignatureSchemeCertificateCurveMismatch { .. } => CloseReason::UnsupportedCertificate,
        SecurityError::UnsupportedServerVersion(_)
        | SecurityError::UnsupportedClientVersion(_)
        | SecurityError::UnsupportedHelloVerifyRequestVersion(_)
        | SecurityError::ClientHelloMissingDtls13SupportedVersions
        | SecurityError::ServerDidNotNegotiateDtls13 => CloseReason::Version,
        _ => CloseReason::Handshake,
    }
}
