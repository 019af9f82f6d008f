use std::fmt;

use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::message::HEADER_LEN;

/// What integrity is made with (RFC 8489 §18.5), and what long-term keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// MESSAGE-INTEGRITY; long-term keys by MD5.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256; long-term keys by SHA-256.
    Sha256,
}

impl Algorithm {
    /// Its number in PASSWORD-ALGORITHM: 1 is MD5, 2 is SHA-256.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256 => 2,
        }
    }

    /// The algorithm of a number in PASSWORD-ALGORITHM.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Sha1),
            2 => Some(Self::Sha256),
            _ => None,
        }
    }

    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// What HMAC takes. Short-term keys are passwords; long-term keys are hashes of name, realm and password (RFC 8489 §9).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key<'k>(Bytes<'k>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bytes<'k> {
    Password(&'k [u8]),
    Md5([u8; 16]),
    Sha256([u8; 32]),
}

impl<'k> Key<'k> {
    /// The password of a session, as OpaqueString (RFC 8265 §4.2) leaves it: ASCII is left alone.
    #[must_use]
    pub const fn short_term(password: &'k [u8]) -> Self {
        Self(Bytes::Password(password))
    }

    /// The key of a user, from what OpaqueString leaves of name, realm and password: ASCII is left alone.
    ///
    /// The algorithm is that of PASSWORD-ALGORITHM (§18.5), and MD5, [`Algorithm::Sha1`]'s, without one.
    #[must_use]
    pub fn long_term(username: &[u8], realm: &[u8], password: &[u8], algorithm: Algorithm) -> Self {
        let parts = [username, b":", realm, b":", password];
        Self(match algorithm {
            Algorithm::Sha1 => Bytes::Md5(hash::<Md5>(&parts).into()),
            Algorithm::Sha256 => Bytes::Sha256(hash::<Sha256>(&parts).into()),
        })
    }

    /// The key of a user whose password is not at hand: MD5 of `username:realm:password`.
    #[must_use]
    pub const fn from_md5(hash: [u8; 16]) -> Self {
        Self(Bytes::Md5(hash))
    }

    /// Likewise, SHA-256 of `username:realm:password`.
    #[must_use]
    pub const fn from_sha256(hash: [u8; 32]) -> Self {
        Self(Bytes::Sha256(hash))
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Password(bytes) => bytes,
            Bytes::Md5(bytes) => bytes,
            Bytes::Sha256(bytes) => bytes,
        }
    }
}

/// Nothing of the secret.
impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// USERHASH (RFC 8489 §14.4): SHA-256 of `username:realm`.
#[must_use]
pub fn userhash(username: &[u8], realm: &[u8]) -> [u8; 32] {
    hash::<Sha256>(&[username, b":", realm]).into()
}

fn hash<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    parts.iter().fold(D::new(), |digest, part| digest.chain_update(part)).finalize()
}

/// Whether `stated` is the integrity of what comes before it, in constant time.
pub(crate) fn verify(key: &Key<'_>, algorithm: Algorithm, before: &[u8], stated: &[u8]) -> bool {
    // RFC 8489 §14.6: all 32 bytes, unless the usage allows fewer; neither TURN nor ICE does.
    let covered = algorithm.len() + 4;
    match algorithm {
        Algorithm::Sha1 => mac::<Hmac<Sha1>>(key, before, covered).verify_slice(stated).is_ok(),
        Algorithm::Sha256 => mac::<Hmac<Sha256>>(key, before, covered).verify_slice(stated).is_ok(),
    }
}

/// The integrity of what is written so far; as many bytes of it as the algorithm has.
pub(crate) fn sign(key: &Key<'_>, algorithm: Algorithm, before: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let covered = algorithm.len() + 4;
    match algorithm {
        Algorithm::Sha1 => {
            out[..20].copy_from_slice(&mac::<Hmac<Sha1>>(key, before, covered).finalize().into_bytes());
        }
        Algorithm::Sha256 => {
            out.copy_from_slice(&mac::<Hmac<Sha256>>(key, before, covered).finalize().into_bytes());
        }
    }
    out
}

/// Over a message up to its integrity, with a length that counts that (RFC 8489 §14.5).
fn mac<M: Mac + hmac::digest::KeyInit>(key: &Key<'_>, before: &[u8], covered: usize) -> M {
    let mut mac = <M as Mac>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    let length = (before.len() - HEADER_LEN + covered) as u16;
    mac.update(&before[..2]);
    mac.update(&length.to_be_bytes());
    mac.update(&before[4..]);
    mac
}
