//! The long-term credential mechanism, as a client (RFC 8489 §9.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plenary_stun::{Algorithm, Attribute, Key, Message, Writer, userhash};

use super::config::TEXT_MAX;
use super::transaction::Signature;
use super::{Config, DropReason, Failure};

/// RFC 8489 §9.2: a nonce that begins with it tells in the next four characters which features the server has.
const COOKIE: &[u8; 9] = b"obMatJos2";

/// What the server wants requests to show.
pub(crate) struct Authentication {
    realm: Box<[u8]>,
    nonce: Box<[u8]>,
    /// PASSWORD-ALGORITHMS, to be said back as it was.
    algorithms: Option<Box<[u8]>>,
    algorithm: Algorithm,
    hides_name: bool,
    key: Key<'static>,
}

/// Why there is no answer to a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is no challenge.
    Bad(DropReason),
    Fatal(Failure),
}

impl Authentication {
    /// Reads a 401 or 438. What was known before fills in a realm that is not said again.
    pub(crate) fn read(message: &Message<'_>, config: &Config, known: Option<&Self>) -> Result<Self, Unusable> {
        let is_text = |text: &&[u8]| (1..=TEXT_MAX).contains(&text.len());
        let realm = message.get(Attribute::REALM).or_else(|| known.map(|it| &*it.realm)).filter(is_text);
        let nonce = message.get(Attribute::NONCE).filter(is_text);
        let (Some(realm), Some(nonce)) = (realm, nonce) else { return Err(Unusable::Bad(DropReason::BadResponse)) };
        if config.realm.as_ref().is_some_and(|wanted| wanted.as_bytes() != realm) {
            return Err(Unusable::Fatal(Failure::Realm));
        }
        let features = Features::of(nonce);
        let algorithms = message.get(Attribute::PASSWORD_ALGORITHMS);
        // Who takes the cookie off the nonce as well makes one that the server refuses; and does not get a weaker key
        // from who has used a better one.
        let had_algorithms = known.is_some_and(|known| known.algorithms.is_some());
        if algorithms.is_none() && (features.password_algorithms || had_algorithms) {
            return Err(Unusable::Fatal(Failure::BidDown));
        }
        let algorithm = match algorithms {
            None => Algorithm::Sha1,
            Some(list) => first_known(list).ok_or(Unusable::Fatal(Failure::Algorithm))?,
        };
        Ok(Self {
            key: Key::long_term(config.username.as_bytes(), realm, config.password.as_bytes(), algorithm),
            realm: realm.into(),
            nonce: nonce.into(),
            algorithms: algorithms.map(Into::into),
            algorithm,
            hides_name: features.username_anonymity,
        })
    }

    /// Whether a request with it shows the same as with the other, but for the nonce.
    pub(crate) fn shows_what(&self, other: &Self) -> bool {
        self.realm == other.realm
            && self.algorithms == other.algorithms
            && self.hides_name == other.hides_name
            && self.key == other.key
    }

    /// Signs a request: RFC 8489 §9.2.3.2, §9.2.5.
    pub(crate) fn sign(&self, mut writer: Writer<'_>, username: &str) -> Signature {
        if self.hides_name {
            writer.attribute(Attribute::USERHASH, &[&userhash(username.as_bytes(), &self.realm)]);
        } else {
            writer.attribute(Attribute::USERNAME, &[username.as_bytes()]);
        }
        writer.attribute(Attribute::REALM, &[&self.realm]);
        writer.attribute(Attribute::NONCE, &[&self.nonce]);
        let mac = match &self.algorithms {
            Some(algorithms) => {
                writer.attribute(Attribute::PASSWORD_ALGORITHMS, &[algorithms]);
                writer.attribute(Attribute::PASSWORD_ALGORITHM, &[&self.algorithm.number().to_be_bytes(), &[0, 0]]);
                Algorithm::Sha256
            }
            None => Algorithm::Sha1,
        };
        writer.integrity(&self.key, mac);
        writer.fingerprint();
        Signature { key: self.key, mac }
    }
}

/// The security features that a nonce tells (RFC 8489 §18.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Features {
    password_algorithms: bool,
    username_anonymity: bool,
}

impl Features {
    fn of(nonce: &[u8]) -> Self {
        let mut bits = [0; 3];
        let told = nonce.strip_prefix(COOKIE).and_then(|rest| rest.first_chunk::<4>());
        match told.map(|told| STANDARD.decode_slice(told, &mut bits)) {
            // The first of the 24 bits is bit 0.
            Some(Ok(3)) => Self { password_algorithms: bits[0] & 0x80 != 0, username_anonymity: bits[0] & 0x40 != 0 },
            _ => Self::default(),
        }
    }
}

/// The first algorithm of PASSWORD-ALGORITHMS (RFC 8489 §14.11) that is known here. Neither has parameters.
fn first_known(mut list: &[u8]) -> Option<Algorithm> {
    while let Some((&[high, low, length_high, length_low], rest)) = list.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        match Algorithm::from_number(u16::from_be_bytes([high, low])) {
            Some(algorithm) if length == 0 => return Some(algorithm),
            _ => list = rest.get(length.next_multiple_of(4)..)?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_tells_features_only_behind_the_cookie() {
        let features = |password_algorithms, username_anonymity| Features { password_algorithms, username_anonymity };
        for (nonce, told) in [
            (&b"obMatJos2wAAAxyz"[..], features(true, true)),
            (b"obMatJos2gAAAxyz", features(true, false)),
            (b"obMatJos2QAAAxyz", features(false, true)),
            (b"obMatJos2AAAAxyz", features(false, false)),
            (b"obMatJos2wAA", features(false, false)),
            (b"obMatJos2!!!!xyz", features(false, false)),
            (b"xbMatJos2wAAAxyz", features(false, false)),
        ] {
            assert_eq!(Features::of(nonce), told, "{}", String::from_utf8_lossy(nonce));
        }
    }

    #[test]
    fn the_first_known_algorithm_is_taken() {
        assert_eq!(first_known(&[0, 2, 0, 0, 0, 1, 0, 0]), Some(Algorithm::Sha256));
        assert_eq!(first_known(&[0, 1, 0, 0, 0, 2, 0, 0]), Some(Algorithm::Sha1));
        assert_eq!(first_known(&[0, 9, 0, 1, 7, 0, 0, 0, 0, 2, 0, 0]), Some(Algorithm::Sha256));
        assert_eq!(first_known(&[0, 9, 0, 0]), None);
        assert_eq!(first_known(&[0, 9, 255, 255]), None);
        assert_eq!(first_known(&[]), None);
    }
}
