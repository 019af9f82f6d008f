//! Integrity of messages that no writer makes.

use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::draft::{appended, state_length};

/// Appends a right MESSAGE-INTEGRITY to these very bytes; the key is that of MD5.
pub(crate) fn sign_sha1(client: &Client<'_>, mut bytes: Vec<u8>) -> Vec<u8> {
    let key = secret::<Md5>(client);
    bytes.extend([0; 24]);
    state_length(&mut bytes);
    bytes.truncate(bytes.len() - 24);
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(&bytes);
    let value = mac.finalize().into_bytes();
    appended(bytes, &[&[0, 8, 0, 20][..], &value].concat())
}

/// Appends a MESSAGE-INTEGRITY-SHA256 of so many bytes, right as far as it goes; the key is that of SHA-256.
pub(crate) fn sign_sha256(client: &Client<'_>, mut bytes: Vec<u8>, len: u8) -> Vec<u8> {
    let key = secret::<Sha256>(client);
    let padded = usize::from(len).next_multiple_of(4);
    bytes.resize(bytes.len() + 4 + padded, 0);
    state_length(&mut bytes);
    bytes.truncate(bytes.len() - 4 - padded);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(&bytes);
    let mut value = mac.finalize().into_bytes().to_vec();
    value.resize(len.into(), 0);
    value.resize(padded, 0);
    appended(bytes, &[&[0, 0x1c, 0, len][..], &value].concat())
}

fn secret<D: Digest>(client: &Client<'_>) -> Vec<u8> {
    let (username, password) = (&client.target.username, &client.target.password);
    let parts = [username.as_bytes(), b":", &client.realm, b":", password.as_bytes()];
    parts.iter().fold(D::new(), |digest, part| digest.chain_update(part)).finalize().to_vec()
}
