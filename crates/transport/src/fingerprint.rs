use std::fmt;

use aws_lc_rs::digest;

use crate::ParseError;

/// A hash function of fingerprints (RFC 8122 §5). The weaker ones of the RFC, from MD5 to SHA-224, are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashFunction {
    /// `sha-256`: what everyone has.
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

impl HashFunction {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Bytes of a fingerprint.
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Its name in a session description.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// The hash of a certificate (RFC 8122 §5). `Display` writes the value of the `fingerprint` attribute.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    hash: HashFunction,
    /// The first `output_len` bytes count, the rest is zero.
    bytes: [u8; 64],
}

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(hash: HashFunction, certificate: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..hash.output_len()].copy_from_slice(digest::digest(hash.algorithm(), certificate).as_ref());
        Self { hash, bytes }
    }

    /// Reads the value of a `fingerprint` attribute: `sha-256 4A:AD:…`. Case does not matter (RFC 8122 §5 wants
    /// upper-case digits; some write lower).
    ///
    /// # Errors
    ///
    /// [`ParseError::HashFunction`] for a hash function that is not used here: the caller passes the line over.
    pub fn parse(value: &str) -> Result<Self, ParseError> {
        let (name, digits) = value.trim().split_once(' ').ok_or(ParseError::Fingerprint)?;
        let hash = HashFunction::ALL.into_iter().find(|hash| name.eq_ignore_ascii_case(hash.name()));
        let hash = hash.ok_or(ParseError::HashFunction)?;
        let digits = digits.trim_start();
        if digits.len() != hash.output_len() * 3 - 1 {
            return Err(ParseError::Fingerprint);
        }
        let mut bytes = [0; 64];
        for (byte, pair) in bytes.iter_mut().zip(digits.split(':')) {
            let is_hex = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = is_hex.then(|| u8::from_str_radix(pair, 16).ok()).flatten().ok_or(ParseError::Fingerprint)?;
        }
        Ok(Self { hash, bytes })
    }

    /// The hash function.
    pub const fn hash(&self) -> HashFunction {
        self.hash
    }

    /// The hash.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.hash.output_len()]
    }

    /// Whether a certificate is one that its owner's fingerprints allow.
    ///
    /// RFC 8122 §6.2: of several, those of the strongest hash function count, and one of them must match.
    pub fn any_matches(fingerprints: &[Self], certificate: &[u8]) -> bool {
        let Some(strongest) = fingerprints.iter().map(|fingerprint| fingerprint.hash).max() else { return false };
        fingerprints.contains(&Self::of(strongest, certificate))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (index, byte) in self.bytes().iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { ' ' } else { ':' })?;
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

    const EMPTY: &str =
        "sha-256 E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55";

    #[test]
    fn a_fingerprint_goes_through_its_line() {
        assert_eq!(Fingerprint::of(HashFunction::Sha256, b"").to_string(), EMPTY);
        for hash in HashFunction::ALL {
            let fingerprint = Fingerprint::of(hash, b"certificate");
            assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Ok(fingerprint));
            assert_eq!(Fingerprint::parse(&fingerprint.to_string().to_lowercase()), Ok(fingerprint));
            assert_eq!(Fingerprint::parse(&fingerprint.to_string().to_uppercase()), Ok(fingerprint));
        }
    }

    #[test]
    fn what_is_no_fingerprint_is_refused() {
        assert_eq!(Fingerprint::parse("sha-1 AA:BB"), Err(ParseError::HashFunction));
        assert_eq!(Fingerprint::parse("md5 AA:BB"), Err(ParseError::HashFunction));
        for line in [
            "",
            "sha-256",
            "sha-256 AA:BB",
            &EMPTY[..EMPTY.len() - 3],
            &EMPTY.replace("E3", "+3"),
            &EMPTY.replace("E3", "GG"),
            &EMPTY.replace("E3:B0", "E3B:0"),
            &EMPTY.replace("E3:B0", "é:B0:"),
            &EMPTY.replace("sha-256", "sha-384"),
        ] {
            assert_eq!(Fingerprint::parse(line), Err(ParseError::Fingerprint), "{line}");
        }
    }

    // RFC 8122 §6.2: the preferred hash function decides, a weaker one that fits does not help.
    #[test]
    fn of_several_fingerprints_the_strongest_hash_decides() {
        let of = |hash, text: &str| Fingerprint::of(hash, text.as_bytes());
        let (weak, strong) = (HashFunction::Sha256, HashFunction::Sha512);
        assert!(Fingerprint::any_matches(&[of(weak, "it")], b"it"));
        assert!(Fingerprint::any_matches(&[of(weak, "other"), of(weak, "it")], b"it"));
        assert!(Fingerprint::any_matches(&[of(weak, "other"), of(strong, "it")], b"it"));
        assert!(!Fingerprint::any_matches(&[of(weak, "it"), of(strong, "other")], b"it"));
        assert!(!Fingerprint::any_matches(&[of(weak, "other")], b"it"));
        assert!(!Fingerprint::any_matches(&[], b"it"));
    }
}
