//! What a client of DTLS is answered before anything is kept of it (RFC 6347 §4.2.1): a cookie, which proves that it is where it
//! says.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};

/// How long a cookie is good, and for as long again at most: a client's second hello may be lost a few times.
const PERIOD: Duration = Duration::from_secs(20);

/// Bytes of a cookie, as the handshake behind it wants them: a MAC.
pub(crate) const COOKIE_BYTES: usize = 32;

/// A period, an address, a port, and the client's random.
const CLAIM_BYTES: usize = 8 + 16 + 2 + 32;

const RECORD_HEAD: usize = 13;
const HANDSHAKE_HEAD: usize = 12;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;

/// RFC 6347 §4.2.1: the version in it says nothing, and is that of DTLS 1.0. In records it is that of 1.2.
const VERSION_10: [u8; 2] = [0xfe, 0xff];
const VERSION_12: [u8; 2] = [0xfe, 0xfd];

/// A ClientHello that is whole, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello<'d> {
    /// Epoch and sequence number of its record.
    number: [u8; 8],
    /// 0 for the first of a client, 1 for the one that has a cookie.
    message: u16,
    version: [u8; 2],
    pub(crate) random: [u8; 32],
    cookie: &'d [u8],
}

impl<'d> Hello<'d> {
    /// Reads it from the first record of a datagram. One in pieces is none: it would have to be kept.
    pub(crate) fn parse(datagram: &'d [u8]) -> Option<Self> {
        let (head, rest) = datagram.split_first_chunk::<RECORD_HEAD>()?;
        let [HANDSHAKE, 0xfe, _, number @ .., l1, l2] = *head else { return None };
        let record = rest.get(..usize::from(u16::from_be_bytes([l1, l2])))?;
        let (head, body) = record.split_first_chunk::<HANDSHAKE_HEAD>()?;
        let [CLIENT_HELLO, length @ .., m1, m2, 0, 0, 0, _, _, _] = *head else { return None };
        let [.., f1, f2, f3] = *head;
        let is_whole = length == [f1, f2, f3] && body.len() == u32::from_be_bytes([0, f1, f2, f3]) as usize;
        if !is_whole || number[..2] != [0, 0] {
            return None;
        }
        let (&version, body) = body.split_first_chunk::<2>()?;
        let (random, body) = body.split_first_chunk::<32>()?;
        let (&session, body) = body.split_first()?;
        let (&cookie, body) = body.get(session.into()..)?.split_first()?;
        let cookie = body.get(..cookie.into())?;
        Some(Self { number, message: u16::from_be_bytes([m1, m2]), version, random: *random, cookie })
    }

    /// Whether its client speaks DTLS 1.0 and no other.
    pub(crate) fn is_of_old(&self) -> bool {
        self.version == VERSION_10
    }

    /// The alert that it is refused with, because of its version.
    pub(crate) fn refusal(&self, out: &mut Vec<u8>) {
        const ALERT: u8 = 21;
        const FATAL: u8 = 2;
        const PROTOCOL_VERSION: u8 = 70;
        out.push(ALERT);
        out.extend(VERSION_10);
        out.extend(self.number);
        out.extend([0, 2, FATAL, PROTOCOL_VERSION]);
    }

    /// The cookie, once it is looked at.
    pub(crate) fn cookie(&self) -> [u8; COOKIE_BYTES] {
        self.cookie.try_into().expect("a cookie that was looked at has its length")
    }
}

/// Makes cookies and looks at them.
#[derive(Debug)]
pub(crate) struct Cookies {
    key: Key,
    start: Instant,
}

impl Cookies {
    pub(crate) fn new(key: &[u8; 32], now: Instant) -> Self {
        Self { key: Key::new(HMAC_SHA256, key), start: now }
    }

    /// Whether a hello has a cookie of ours, for this address and these 32 bytes.
    pub(crate) fn is_proven(&self, hello: &Hello<'_>, from: SocketAddr, now: Instant) -> bool {
        let period = self.period(now);
        let is_ours = |period| verify(&self.key, &claim(period, hello, from), hello.cookie).is_ok();
        hello.message == 1 && (is_ours(period) || period > 0 && is_ours(period - 1))
    }

    /// The HelloVerifyRequest for a hello: less than that has.
    pub(crate) fn request(&self, hello: &Hello<'_>, from: SocketAddr, now: Instant, out: &mut Vec<u8>) {
        const LENGTH: u8 = 3 + COOKIE_BYTES as u8;
        let mac = sign(&self.key, &claim(self.period(now), hello, from));
        out.push(HANDSHAKE);
        out.extend(VERSION_12);
        // RFC 6347 §4.2.1: the number of the record that it answers.
        out.extend(hello.number);
        out.extend([0, HANDSHAKE_HEAD as u8 + LENGTH]);
        out.extend([HELLO_VERIFY_REQUEST, 0, 0, LENGTH, 0, 0, 0, 0, 0, 0, 0, LENGTH]);
        out.extend(VERSION_10);
        out.push(COOKIE_BYTES as u8);
        out.extend(mac.as_ref());
    }

    fn period(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / PERIOD.as_secs()
    }
}

/// What the MAC is of.
fn claim(period: u64, hello: &Hello<'_>, from: SocketAddr) -> [u8; CLAIM_BYTES] {
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut claim = [0; CLAIM_BYTES];
    claim[..8].copy_from_slice(&period.to_be_bytes());
    claim[8..24].copy_from_slice(&ip.octets());
    claim[24..26].copy_from_slice(&from.port().to_be_bytes());
    claim[26..].copy_from_slice(&hello.random);
    claim
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ClientHello with a suite and no extension.
    pub(crate) fn hello(message: u8, random: [u8; 32], cookie: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend(random);
        body.extend([0, cookie.len() as u8]);
        body.extend(cookie);
        body.extend([0, 2, 0xc0, 0x2b, 1, 0]);
        let length = body.len() as u8;
        let mut datagram = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, message, 0, length + 12];
        datagram.extend([1, 0, 0, length, 0, message, 0, 0, 0, 0, 0, length]);
        datagram.extend(body);
        datagram
    }

    fn asked(cookies: &Cookies, from: SocketAddr, now: Instant) -> Vec<u8> {
        let datagram = hello(0, [7; 32], &[]);
        let first = Hello::parse(&datagram).unwrap();
        assert!(!cookies.is_proven(&first, from, now));
        let mut out = Vec::new();
        cookies.request(&first, from, now, &mut out);
        assert!(out.len() < datagram.len(), "{} for {}", out.len(), datagram.len());
        assert_eq!(out[..13], [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 47]);
        out[28..].to_vec()
    }

    #[test]
    fn a_cookie_is_good_for_one_address_and_one_hello_and_a_while() {
        let now = Instant::now();
        let cookies = Cookies::new(&[1; 32], now);
        let from: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let later = now + PERIOD + Duration::from_secs(5);
        let cookie = asked(&cookies, from, later);
        let is_proven = |message, random, cookie: &[u8], from: &str, at| {
            let datagram = hello(message, random, cookie);
            cookies.is_proven(&Hello::parse(&datagram).unwrap(), from.parse().unwrap(), at)
        };
        assert!(is_proven(1, [7; 32], &cookie, "192.0.2.1:5000", later));
        assert!(is_proven(1, [7; 32], &cookie, "192.0.2.1:5000", later + PERIOD));
        assert!(!is_proven(1, [7; 32], &cookie, "192.0.2.1:5000", later + 2 * PERIOD));
        assert!(!is_proven(1, [7; 32], &cookie, "192.0.2.1:5000", now), "it is of the future");
        assert!(!is_proven(0, [7; 32], &cookie, "192.0.2.1:5000", later));
        assert!(!is_proven(1, [8; 32], &cookie, "192.0.2.1:5000", later));
        assert!(!is_proven(1, [7; 32], &cookie, "192.0.2.1:5001", later));
        assert!(!is_proven(1, [7; 32], &cookie, "192.0.2.2:5000", later));
        for at in 0..cookie.len() {
            let mut other = cookie.clone();
            other[at] ^= 1;
            assert!(!is_proven(1, [7; 32], &other, "192.0.2.1:5000", later), "byte {at}");
        }
        assert!(!is_proven(1, [7; 32], &cookie[..31], "192.0.2.1:5000", later));
        let other = Cookies::new(&[2; 32], now);
        let datagram = hello(1, [7; 32], &cookie);
        assert!(!other.is_proven(&Hello::parse(&datagram).unwrap(), from, later));
    }

    #[test]
    fn any_bytes_are_a_hello_or_none() {
        let whole = hello(1, [7; 32], &[9; 32]);
        for cut in 0..whole.len() {
            assert_eq!(Hello::parse(&whole[..cut]), None, "{cut} bytes");
        }
        let random = [7; 32];
        let found = Hello::parse(&whole).unwrap();
        assert_eq!((found.message, found.random, found.cookie()), (1, random, [9; 32]));
        for at in 0..whole.len() {
            for byte in [0, 1, 22, 127, 255] {
                let mut other = whole.clone();
                other[at] = byte;
                let _ = Hello::parse(&other);
            }
        }
        // In pieces, or of another epoch.
        for (at, byte) in [(4, 1), (21, 1), (24, 0), (16, 1)] {
            let mut other = whole.clone();
            other[at] = byte;
            assert_eq!(Hello::parse(&other), None, "{byte} at {at}");
        }
    }
}
