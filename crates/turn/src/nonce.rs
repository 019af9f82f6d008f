//! Nonces of which nothing is stored: what the server must know of one stands in it, under a MAC.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::tuple::{canonical, wide};

/// RFC 8489 §9.2: a nonce that begins with it tells in the next four characters which features the server has.
const COOKIE: &[u8; 9] = b"obMatJos2";

/// The features (RFC 8489 §18.1) in base64: password algorithms, which are bit 0, and user names that may be hidden, bit 1.
const HIDDEN_NAMES: &[u8; 4] = b"wAAA";
/// Password algorithms alone: the hash of a name that holds until a time does not say which it is.
const OPEN_NAMES: &[u8; 4] = b"gAAA";

/// Characters of time and MAC.
const TOKEN_LEN: usize = 16;

/// Bytes of the nonce that says nothing of features.
pub(crate) const COMPACT_LEN: usize = TOKEN_LEN;

/// Bytes of the nonce that does.
pub(crate) const FULL_LEN: usize = COOKIE.len() + HIDDEN_NAMES.len() + TOKEN_LEN;

/// Clocks of one fleet may differ by so many seconds.
const SKEW: u32 = 60;

/// What a nonce is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nonce {
    /// One of ours, for this client, and not too old.
    Fresh {
        /// Whether it told of the features, and so of the password algorithms.
        features: bool,
    },
    /// Too old, another client's, or none of ours.
    Stale,
}

/// The keys of a fleet: the first signs, all verify.
pub(crate) struct Nonces {
    keys: Vec<Hmac<Sha256>>,
    lifetime: u32,
    hides_names: bool,
}

impl Nonces {
    pub(crate) fn new(keys: &[[u8; 32]], lifetime: u32, hides_names: bool) -> Self {
        let prepare = |key: &[u8; 32]| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        Self { keys: keys.iter().map(prepare).collect(), lifetime, hides_names }
    }

    pub(crate) fn set_keys(&mut self, keys: &[[u8; 32]]) {
        self.keys = Self::new(keys, self.lifetime, self.hides_names).keys;
    }

    /// Whether clients are told that they may hide their names, from now on.
    pub(crate) const fn set_hides_names(&mut self, hides_names: bool) {
        self.hides_names = hides_names;
    }

    /// Writes a nonce for a client, and says how long it is: [`FULL_LEN`] or [`COMPACT_LEN`]. `seconds` are those since
    /// 1970.
    pub(crate) fn write(&self, features: bool, client: SocketAddr, seconds: u32) -> ([u8; FULL_LEN], usize) {
        let mut token = [0; 12];
        token[..4].copy_from_slice(&seconds.to_be_bytes());
        let told = if self.hides_names { HIDDEN_NAMES } else { OPEN_NAMES };
        let mac = mac(&self.keys[0], features.then_some(told), client, seconds).finalize().into_bytes();
        token[4..].copy_from_slice(&mac[..8]);
        let mut nonce = [0; FULL_LEN];
        let start = if features {
            nonce[..9].copy_from_slice(COOKIE);
            nonce[9..13].copy_from_slice(told);
            FULL_LEN - TOKEN_LEN
        } else {
            0
        };
        let written = BASE64.encode_slice(token, &mut nonce[start..start + TOKEN_LEN]);
        let len = start + written.expect("12 bytes are 16 characters");
        (nonce, len)
    }

    pub(crate) fn check(&self, nonce: &[u8], client: SocketAddr, seconds: u32) -> Nonce {
        let (told, token) = match nonce.strip_prefix(COOKIE).map(<[u8]>::split_first_chunk) {
            Some(Some((told, token))) => (Some(told), token),
            Some(None) => return Nonce::Stale,
            None => (None, nonce),
        };
        let mut bytes = [0; 12];
        let read = (token.len() == TOKEN_LEN).then(|| BASE64.decode_slice(token, &mut bytes));
        let (Some(Ok(12)), Some((time, stated))) = (read, bytes.split_first_chunk()) else { return Nonce::Stale };
        let time = u32::from_be_bytes(*time);
        let is_ours = |key| mac(key, told, client, time).verify_truncated_left(stated).is_ok();
        let is_in_time = seconds.saturating_sub(time) < self.lifetime && time.saturating_sub(seconds) <= SKEW;
        if is_in_time && self.keys.iter().any(is_ours) {
            Nonce::Fresh { features: told.is_some() }
        } else {
            Nonce::Stale
        }
    }
}

/// Over what makes a nonce: nobody else's is valid for this client, nor one whose features were changed.
fn mac(key: &Hmac<Sha256>, told: Option<&[u8; 4]>, client: SocketAddr, seconds: u32) -> Hmac<Sha256> {
    let client = canonical(client);
    let mut mac = key.clone();
    mac.update(b"plenary-turn nonce");
    mac.update(told.map_or(&[0], <[u8; 4]>::as_slice));
    mac.update(&seconds.to_be_bytes());
    mac.update(&wide(client.ip()));
    mac.update(&client.port().to_be_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 5000);

    fn nonce(nonces: &Nonces, features: bool, seconds: u32) -> Vec<u8> {
        let (bytes, len) = nonces.write(features, CLIENT.into(), seconds);
        bytes[..len].to_vec()
    }

    #[test]
    fn both_forms_are_known_again() {
        let nonces = Nonces::new(&[[1; 32]], 600, true);
        for (features, len) in [(false, 16), (true, 29)] {
            let nonce = nonce(&nonces, features, 1000);
            assert_eq!(nonce.len(), len);
            assert_eq!(nonces.check(&nonce, CLIENT.into(), 1000), Nonce::Fresh { features });
        }
        // RFC 8489 §18.1: the first bit of the 24 is bit 0.
        assert!(nonce(&nonces, true, 1000).starts_with(b"obMatJos2wAAA"));
        let bits = |text: &[u8; 4]| {
            let mut bits = [0; 3];
            BASE64.decode_slice(text, &mut bits).unwrap();
            bits
        };
        assert_eq!([bits(HIDDEN_NAMES), bits(OPEN_NAMES)], [[0b1100_0000, 0, 0], [0b1000_0000, 0, 0]]);
    }

    #[test]
    fn names_are_to_be_open_where_no_hash_says_which_it_is() {
        let mut nonces = Nonces::new(&[[1; 32]], 600, true);
        let hidden = nonce(&nonces, true, 1000);
        nonces.set_hides_names(false);
        let open = nonce(&nonces, true, 1000);
        assert!(open.starts_with(b"obMatJos2gAAA"));
        for good in [&hidden, &open] {
            assert_eq!(nonces.check(good, CLIENT.into(), 1000), Nonce::Fresh { features: true });
        }
        let changed = [&hidden[..13], &open[13..]].concat();
        assert_eq!(nonces.check(&changed, CLIENT.into(), 1000), Nonce::Stale);
    }

    #[test]
    fn a_nonce_ages() {
        let nonces = Nonces::new(&[[1; 32]], 600, true);
        let nonce = nonce(&nonces, true, 1000);
        for (seconds, fresh) in
            [(939, false), (940, true), (1000, true), (1599, true), (1600, false), (u32::MAX, false)]
        {
            assert_eq!(nonces.check(&nonce, CLIENT.into(), seconds) != Nonce::Stale, fresh, "at {seconds}");
        }
    }

    #[test]
    fn a_nonce_is_its_clients_alone() {
        let nonces = Nonces::new(&[[1; 32]], 600, true);
        let nonce = nonce(&nonces, false, 1000);
        for other in ["192.0.2.1:5001", "192.0.2.2:5000", "[2001:db8::1]:5000"] {
            assert_eq!(nonces.check(&nonce, other.parse().unwrap(), 1000), Nonce::Stale, "{other}");
        }
        let mapped = "[::ffff:192.0.2.1]:5000".parse().unwrap();
        assert_eq!(nonces.check(&nonce, mapped, 1000), Nonce::Fresh { features: false });
    }

    #[test]
    fn every_flipped_bit_makes_a_nonce_stale() {
        let nonces = Nonces::new(&[[1; 32]], 600, true);
        for features in [false, true] {
            let good = nonce(&nonces, features, 1000);
            for bit in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(nonces.check(&bad, CLIENT.into(), 1000), Nonce::Stale, "bit {bit}");
            }
            for cut in 0..good.len() {
                assert_eq!(nonces.check(&good[..cut], CLIENT.into(), 1000), Nonce::Stale);
            }
        }
    }

    // The trap of a bid-down: without the cookie a client never learns of the better algorithms.
    #[test]
    fn the_cookie_can_be_neither_cut_nor_pasted() {
        let nonces = Nonces::new(&[[1; 32]], 600, true);
        let full = nonce(&nonces, true, 1000);
        assert_eq!(nonces.check(&full[13..], CLIENT.into(), 1000), Nonce::Stale);
        let pasted = [&b"obMatJos2wAAA"[..], &nonce(&nonces, false, 1000)].concat();
        assert_eq!(nonces.check(&pasted, CLIENT.into(), 1000), Nonce::Stale);
    }

    #[test]
    fn keys_rotate_and_a_fleet_shares_them() {
        let mut one = Nonces::new(&[[1; 32]], 600, true);
        let other = Nonces::new(&[[2; 32], [1; 32]], 600, true);
        let old = nonce(&one, true, 1000);
        assert_ne!(other.check(&old, CLIENT.into(), 1000), Nonce::Stale, "another server of the fleet");
        one.set_keys(&[[2; 32], [1; 32]]);
        assert_ne!(one.check(&old, CLIENT.into(), 1000), Nonce::Stale, "the old key still verifies");
        one.set_keys(&[[2; 32]]);
        assert_eq!(one.check(&old, CLIENT.into(), 1000), Nonce::Stale);
    }
}
