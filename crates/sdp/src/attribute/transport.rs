use core::fmt;

use crate::{Error, Part, Reason};

/// Which side opens the DTLS association (RFC 4145 §4, RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The writer lets the other choose; in offers only.
    ActPass,
    /// The writer opens it: it is the DTLS client.
    Active,
    /// The writer waits: it is the DTLS server.
    Passive,
    /// No connection for now. WebRTC has no use for it.
    HoldConn,
}

impl Setup {
    pub(crate) fn parse(text: &str) -> Result<Self, Reason> {
        let all = [Self::ActPass, Self::Active, Self::Passive, Self::HoldConn];
        all.into_iter().find(|one| one.as_str() == text).ok_or(Reason::Malformed(Part::Setup))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
            Self::HoldConn => "holdconn",
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a fingerprint was made with (RFC 8122 §5). MD5 and MD2 are not here: they must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HashFunction {
    /// 20 bytes. Old, and nothing to trust alone.
    Sha1,
    /// 28 bytes.
    Sha224,
    /// 32 bytes: what every WebRTC implementation writes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

impl HashFunction {
    const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Bytes of its value.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }
}

/// The hash of a certificate (RFC 8122 §5).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    hash: HashFunction,
    digest: Box<[u8]>,
}

impl Fingerprint {
    /// A fingerprint of these bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Fingerprint`] if there are not as many as the hash function gives.
    pub fn new(hash: HashFunction, digest: &[u8]) -> Result<Self, Error> {
        if digest.len() != hash.digest_bytes() {
            return Err(Error::Fingerprint);
        }
        Ok(Self { hash, digest: digest.into() })
    }

    /// What it was made with.
    #[must_use]
    pub const fn hash(&self) -> HashFunction {
        self.hash
    }

    /// Its bytes: as many as the hash function gives.
    #[must_use]
    pub const fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// `None` for a hash function that is not known: RFC 8122 §5 has several lines for one certificate, and whoever
    /// reads them passes over those that it does not know.
    pub(crate) fn parse(value: &str) -> Result<Option<Self>, Reason> {
        let malformed = Reason::Malformed(Part::Fingerprint);
        let (name, digits) = value.split_once(' ').ok_or(malformed)?;
        let Some(hash) = HashFunction::ALL.into_iter().find(|hash| hash.as_str().eq_ignore_ascii_case(name)) else {
            return Ok(None);
        };
        let mut digest = Vec::with_capacity(hash.digest_bytes());
        for pair in digits.split(':').take(hash.digest_bytes() + 1) {
            if pair.len() != 2 || !pair.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(malformed);
            }
            digest.push(u8::from_str_radix(pair, 16).map_err(|_| malformed)?);
        }
        Self::new(hash, &digest).map(Some).map_err(|_| Reason::OutOfRange(Part::Fingerprint))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash.as_str())?;
        for (index, byte) in self.digest.iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_the_length_of_its_hash() {
        let twenty = ["0a"; 20].join(":");
        let read = Fingerprint::parse(&format!("SHA-1 {twenty}")).unwrap().unwrap();
        assert_eq!((read.hash(), read.digest()), (HashFunction::Sha1, &[10; 20][..]));
        assert_eq!(read.to_string(), format!("sha-1 {}", ["0A"; 20].join(":")));
        let out_of_range = Err(Reason::OutOfRange(Part::Fingerprint));
        assert_eq!(Fingerprint::parse(&format!("sha-1 {twenty}:0a")), out_of_range);
        assert_eq!(Fingerprint::parse(&format!("sha-256 {twenty}")), out_of_range);
        assert_eq!(Fingerprint::new(HashFunction::Sha512, &[0; 63]), Err(Error::Fingerprint));
    }

    #[test]
    fn digits_that_are_none_are_refused() {
        for bad in ["sha-256", "sha-1 ", "sha-1 0g:00", "sha-1 +1:00", "sha-1 0:00", "sha-1 é:00"] {
            assert_eq!(Fingerprint::parse(bad), Err(Reason::Malformed(Part::Fingerprint)), "{bad}");
        }
    }

    #[test]
    fn an_unknown_hash_function_is_none_of_ours() {
        assert_eq!(Fingerprint::parse("md5 00:11"), Ok(None));
        assert_eq!(Fingerprint::parse("sha3-256 what:ever"), Ok(None));
    }

    #[test]
    fn setups_are_four() {
        for (text, setup) in [
            ("actpass", Setup::ActPass),
            ("active", Setup::Active),
            ("passive", Setup::Passive),
            ("holdconn", Setup::HoldConn),
        ] {
            assert_eq!(Setup::parse(text), Ok(setup));
            assert_eq!(setup.to_string(), text);
        }
        assert_eq!(Setup::parse("Active"), Err(Reason::Malformed(Part::Setup)));
    }
}
