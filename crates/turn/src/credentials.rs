//! Who is a user, and what proves it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use plenary_stun::{Algorithm, Key, userhash};
use sha1::Sha1;

use crate::config::User;

/// What a user's requests are proven with: the hashes of name, realm and password (RFC 8489 §9.2.2), or one of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    md5: Option<Key<'static>>,
    sha256: Option<Key<'static>>,
}

impl Keys {
    /// From a password, as OpaqueString (RFC 8265 §4.2) leaves it: ASCII is left alone. The realm is the server's.
    #[must_use]
    pub fn from_password(username: &[u8], realm: &[u8], password: &[u8]) -> Self {
        let key = |algorithm| Some(Key::long_term(username, realm, password, algorithm));
        Self { md5: key(Algorithm::Sha1), sha256: key(Algorithm::Sha256) }
    }

    /// From hashes of `username:realm:password`, where the password is not stored. A user without the hash that its
    /// client wants is refused.
    #[must_use]
    pub fn from_hashes(md5: Option<[u8; 16]>, sha256: Option<[u8; 32]>) -> Self {
        Self { md5: md5.map(Key::from_md5), sha256: sha256.map(Key::from_sha256) }
    }

    pub(crate) const fn get(&self, algorithm: Algorithm) -> Option<&Key<'static>> {
        match algorithm {
            Algorithm::Sha1 => self.md5.as_ref(),
            Algorithm::Sha256 => self.sha256.as_ref(),
        }
    }
}

/// Nothing of the secrets.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// How a request names its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name<'m> {
    Plain(&'m [u8]),
    /// RFC 8489 §14.4.
    Hash([u8; 32]),
}

/// A user, known by name.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) username: Box<[u8]>,
    pub(crate) keys: Keys,
}

impl Owner {
    /// Whose quota it is: of a time-limited name that behind the colon.
    pub(crate) fn account(&self) -> &[u8] {
        match split(&self.username) {
            Some((_, user)) => user,
            None => &self.username,
        }
    }

    pub(crate) fn is_named(&self, name: &Name<'_>, realm: &str) -> bool {
        match name {
            Name::Plain(name) => **name == *self.username,
            Name::Hash(hash) => *hash == userhash(&self.username, realm.as_bytes()),
        }
    }
}

/// What the configuration says of a user.
pub(crate) enum Known {
    /// It is this one.
    Right(Owner),
    /// There is such a user, and this is not it; or its time is over.
    Wrong,
    /// Nothing is known.
    Unknown,
}

pub(crate) struct Credentials {
    realm: String,
    users: BTreeMap<Box<[u8]>, Keys>,
    names: BTreeMap<[u8; 32], Box<[u8]>>,
    secrets: Vec<Vec<u8>>,
}

impl Credentials {
    pub(crate) fn new(realm: String, users: Vec<User>, secrets: Vec<Vec<u8>>) -> Self {
        let hash = |user: &User| (userhash(&user.name, realm.as_bytes()), user.name.clone().into());
        let names = users.iter().map(hash).collect();
        let users = users.into_iter().map(|user| (user.name.into(), user.keys)).collect();
        Self { realm, users, names, secrets }
    }

    pub(crate) fn set_secrets(&mut self, secrets: Vec<Vec<u8>>) {
        self.secrets = secrets;
    }

    pub(crate) fn realm(&self) -> &str {
        &self.realm
    }

    /// Finds out whose a request is; `proves` says whether keys fit it. `seconds` are those since 1970.
    pub(crate) fn check(&self, name: &Name<'_>, seconds: u64, proves: impl Fn(&Keys) -> bool) -> Known {
        let plain = match name {
            Name::Plain(plain) => Some(*plain),
            Name::Hash(hash) => self.names.get(hash).map(|name| &**name),
        };
        let Some(plain) = plain else { return Known::Unknown };
        let owner = |keys: Keys| Owner { username: plain.into(), keys };
        if let Some(keys) = self.users.get(plain) {
            return if proves(keys) { Known::Right(owner(*keys)) } else { Known::Wrong };
        }
        let Some((expiry, _)) = split(plain).filter(|_| !self.secrets.is_empty()) else { return Known::Unknown };
        if expiry < seconds {
            return Known::Wrong;
        }
        let mut keys = self.secrets.iter().map(|secret| time_limited(secret, plain, &self.realm));
        keys.find(|keys| proves(keys)).map_or(Known::Wrong, |keys| Known::Right(owner(keys)))
    }
}

/// `expiry:user`: seconds since 1970, and anything.
fn split(username: &[u8]) -> Option<(u64, &[u8])> {
    let colon = username.iter().position(|&byte| byte == b':')?;
    let (digits, user) = username.split_at(colon);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let expiry = std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    Some((expiry, &user[1..]))
}

/// The keys of a name whose password comes from a secret.
fn time_limited(secret: &[u8], username: &[u8], realm: &str) -> Keys {
    Keys::from_password(username, realm.as_bytes(), &password(secret, username))
}

/// base64(HMAC-SHA1(secret, name)).
fn password(secret: &[u8], username: &[u8]) -> [u8; 28] {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(username);
    let mut password = [0; 28];
    BASE64.encode_slice(mac.finalize().into_bytes(), &mut password).expect("20 bytes are 28 characters");
    password
}

/// A name that holds until a time, and its password: for a client that is to use a server which has one of
/// [`Config::secrets`](crate::Config::secrets).
#[derive(Clone, PartialEq, Eq)]
pub struct TimeLimited {
    /// `expires:user`.
    pub username: String,
    /// 28 characters.
    pub password: String,
}

impl TimeLimited {
    /// Issues them until `expires`, in time since 1970, of which the whole seconds count. Quotas are those of the `user`.
    #[must_use]
    pub fn new(secret: &[u8], expires: Duration, user: &str) -> Self {
        let username = format!("{}:{user}", expires.as_secs());
        let password = password(secret, username.as_bytes()).map(char::from).iter().collect();
        Self { username, password }
    }
}

/// Without the password.
impl std::fmt::Debug for TimeLimited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimeLimited").field("username", &self.username).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        let user = User { name: b"user".to_vec(), keys: Keys::from_password(b"user", b"turn", b"secret") };
        Credentials::new("turn".to_owned(), vec![user], vec![b"new".to_vec(), b"old".to_vec()])
    }

    /// What a client that has this password may do.
    fn check(name: &[u8], password: &[u8], seconds: u64) -> Known {
        let theirs = Keys::from_password(name, b"turn", password);
        credentials().check(&Name::Plain(name), seconds, |keys| *keys == theirs)
    }

    #[test]
    fn a_configured_user_has_its_password() {
        assert!(matches!(check(b"user", b"secret", 0), Known::Right(owner) if *owner.username == *b"user"));
        assert!(matches!(check(b"user", b"other", 0), Known::Wrong));
        assert!(matches!(check(b"nobody", b"secret", 0), Known::Unknown));
    }

    #[test]
    fn a_configured_user_may_come_as_a_hash() {
        let hash = Name::Hash(userhash(b"user", b"turn"));
        assert!(matches!(credentials().check(&hash, 0, |_| true), Known::Right(owner) if *owner.username == *b"user"));
        let other = Name::Hash(userhash(b"user", b"other"));
        assert!(matches!(credentials().check(&other, 0, |_| true), Known::Unknown));
    }

    // The password as coturn's documentation makes it: openssl dgst -sha1 -hmac new -binary | base64.
    #[test]
    fn time_limited_names_work_with_each_secret_until_their_time() {
        let name = b"1000:alice";
        for (secret, password) in
            [(&b"new"[..], b"toIODf7x4BIGaUMw6SYmzch8BDY="), (b"old", b"68fKqY5NsnraL7UZ83pTyRlfFCU=")]
        {
            assert_eq!(time_limited(secret, name, "turn"), Keys::from_password(name, b"turn", password));
            assert!(matches!(check(name, password, 1000), Known::Right(owner) if owner.account() == b"alice"));
            assert!(matches!(check(name, password, 1001), Known::Wrong), "expired");
        }
        assert!(matches!(check(name, b"other", 0), Known::Wrong));
    }

    #[test]
    fn what_is_issued_is_taken_until_its_time() {
        let issued = TimeLimited::new(b"old", Duration::from_millis(1_000_999), "me:too");
        assert_eq!(issued.username, "1000:me:too");
        let check = |seconds| check(issued.username.as_bytes(), issued.password.as_bytes(), seconds);
        assert!(matches!(check(1000), Known::Right(_)));
        assert!(matches!(check(1001), Known::Wrong));
        assert!(!format!("{issued:?}").contains(&issued.password));
    }

    #[test]
    fn what_is_no_time_is_a_name() {
        for (name, split_at) in [
            (&b"18446744073709551615:far"[..], Some((u64::MAX, &b"far"[..]))),
            (b"18446744073709551616:farther", None),
            (b"1000:", Some((1000, b""))),
            (b"1000:a:b", Some((1000, b"a:b"))),
            (b"+1:a", None),
            (b":a", None),
            (b"1000", None),
            (b"1000\0:a", None),
            (b"1000:a\0b", Some((1000, b"a\0b"))),
        ] {
            assert_eq!(split(name), split_at, "{name:?}");
        }
    }

    #[test]
    fn hashes_do_for_a_password() {
        let keys = Keys::from_hashes(Some([1; 16]), None);
        assert_eq!(keys.get(Algorithm::Sha1), Some(&Key::from_md5([1; 16])));
        assert_eq!(keys.get(Algorithm::Sha256), None);
        assert_eq!(format!("{keys:?}"), "Keys");
    }
}
