//! The STUN of ICE (RFC 8489, RFC 8445 §16): Binding messages with SHA-1 integrity and a fingerprint.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::DropReason;

pub(crate) const HEADER_LEN: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// More than any ICE message has, and few enough that walking them costs nothing.
const ATTRIBUTES_MAX: usize = 64;
/// Unknown attributes that a 420 response names.
pub(crate) const UNKNOWN_MAX: usize = 4;

pub(crate) const MAPPED_ADDRESS: u16 = 0x0001;
pub(crate) const USERNAME: u16 = 0x0006;
pub(crate) const MESSAGE_INTEGRITY: u16 = 0x0008;
pub(crate) const ERROR_CODE: u16 = 0x0009;
pub(crate) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub(crate) const PRIORITY: u16 = 0x0024;
pub(crate) const USE_CANDIDATE: u16 = 0x0025;
pub(crate) const FINGERPRINT: u16 = 0x8028;
pub(crate) const ICE_CONTROLLED: u16 = 0x8029;
pub(crate) const ICE_CONTROLLING: u16 = 0x802a;
/// draft-thatcher-ice-renomination, as clients send it.
pub(crate) const NOMINATION: u16 = 0xc001;
/// Its value is the 3 least significant of the 4 bytes.
pub(crate) const NOMINATION_MAX: u32 = 0x00ff_ffff;
/// Network id and cost, as clients send it.
pub(crate) const NETWORK_COST: u16 = 0xc057;

pub(crate) type TransactionId = [u8; 12];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

impl Class {
    /// The type field of a Binding message of this class (RFC 8489 §5).
    const fn binding(self) -> u16 {
        match self {
            Self::Request => 0x0001,
            Self::Indication => 0x0011,
            Self::Success => 0x0101,
            Self::Error => 0x0111,
        }
    }
}

/// A Binding message that has been walked once. Its fingerprint is right or absent; its integrity is unproven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    pub(crate) class: Class,
    pub(crate) transaction: TransactionId,
    pub(crate) username: Option<&'a [u8]>,
    pub(crate) priority: Option<u32>,
    pub(crate) use_candidate: bool,
    pub(crate) controlling: Option<u64>,
    pub(crate) controlled: Option<u64>,
    pub(crate) mapped: Option<SocketAddr>,
    pub(crate) error_code: Option<u16>,
    pub(crate) nomination: Option<u32>,
    pub(crate) has_fingerprint: bool,
    /// Where MESSAGE-INTEGRITY starts.
    integrity_at: Option<usize>,
    unknown: [u16; UNKNOWN_MAX],
    unknown_len: u8,
}

impl<'a> Message<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, DropReason> {
        let (header, _) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(DropReason::NotStun)?;
        if header[0] > 3 || header[4..8] != MAGIC_COOKIE {
            return Err(DropReason::NotStun);
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        // A datagram is one message: bytes behind it, which no integrity would cover, are refused with it.
        if !length.is_multiple_of(4) || bytes.len() != HEADER_LEN + length {
            return Err(DropReason::Malformed);
        }
        let class = match u16::from_be_bytes([header[0], header[1]]) {
            0x0001 => Class::Request,
            0x0011 => Class::Indication,
            0x0101 => Class::Success,
            0x0111 => Class::Error,
            _ => return Err(DropReason::Method),
        };
        let mut message = Self {
            bytes,
            class,
            transaction: header[8..].first_chunk().copied().expect("a header has 20 bytes"),
            username: None,
            priority: None,
            use_candidate: false,
            controlling: None,
            controlled: None,
            mapped: None,
            error_code: None,
            nomination: None,
            has_fingerprint: false,
            integrity_at: None,
            unknown: [0; UNKNOWN_MAX],
            unknown_len: 0,
        };
        message.walk()?;
        Ok(message)
    }

    fn walk(&mut self) -> Result<(), DropReason> {
        let mut at = HEADER_LEN;
        for _ in 0..ATTRIBUTES_MAX {
            let Some((head, rest)) = self.bytes.get(at..).and_then(|rest| rest.split_first_chunk::<4>()) else {
                // The length is a multiple of 4, so what is left is nothing.
                return Ok(());
            };
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = rest.get(..length).ok_or(DropReason::Malformed)?;
            if self.has_fingerprint {
                return Err(DropReason::Malformed); // RFC 8489 §14.7: FINGERPRINT is the last
            }
            if kind == FINGERPRINT {
                self.check_fingerprint(at, value)?;
            } else if self.integrity_at.is_none() {
                // RFC 8489 §14.5: what follows MESSAGE-INTEGRITY is ignored.
                self.take(kind, value, at)?;
            }
            at += 4 + length.next_multiple_of(4);
            if at > self.bytes.len() {
                return Err(DropReason::Malformed);
            }
        }
        if at == self.bytes.len() { Ok(()) } else { Err(DropReason::Malformed) }
    }

    /// RFC 8489 §14: of an attribute that comes twice, the first counts.
    fn take(&mut self, kind: u16, value: &'a [u8], at: usize) -> Result<(), DropReason> {
        match kind {
            USERNAME => {
                if value.len() > 513 {
                    return Err(DropReason::Malformed);
                }
                self.username.get_or_insert(value);
            }
            MESSAGE_INTEGRITY => {
                fixed::<20>(value)?;
                self.integrity_at = Some(at);
            }
            PRIORITY => _ = self.priority.get_or_insert(u32::from_be_bytes(fixed(value)?)),
            NOMINATION => _ = self.nomination.get_or_insert(u32::from_be_bytes(fixed(value)?) & NOMINATION_MAX),
            USE_CANDIDATE => {
                fixed::<0>(value)?;
                self.use_candidate = true;
            }
            ICE_CONTROLLING => _ = self.controlling.get_or_insert(u64::from_be_bytes(fixed(value)?)),
            ICE_CONTROLLED => _ = self.controlled.get_or_insert(u64::from_be_bytes(fixed(value)?)),
            XOR_MAPPED_ADDRESS => {
                let address = read_xor_address(value, &self.transaction).ok_or(DropReason::Malformed)?;
                self.mapped.get_or_insert(address);
            }
            ERROR_CODE => {
                let [_, _, class, number, ..] = *value else { return Err(DropReason::Malformed) };
                let code = u16::from(class & 7) * 100 + u16::from(number);
                self.error_code.get_or_insert(code);
            }
            // What else a STUN endpoint knows and an ICE agent has no use for: MAPPED-ADDRESS, UNKNOWN-ATTRIBUTES,
            // REALM, NONCE, MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM, USERHASH.
            MAPPED_ADDRESS | UNKNOWN_ATTRIBUTES | 0x0014 | 0x0015 | 0x001c..=0x001e => {}
            0x8000.. => {}
            unknown => {
                if let Some(slot) = self.unknown.get_mut(usize::from(self.unknown_len)) {
                    *slot = unknown;
                    self.unknown_len += 1;
                }
            }
        }
        Ok(())
    }

    fn check_fingerprint(&mut self, at: usize, value: &[u8]) -> Result<(), DropReason> {
        let stated = u32::from_be_bytes(fixed(value)?);
        // RFC 8489 §14.7: over the message up to the attribute, with a length that counts it. As it is the last one,
        // that is the length of the header as it stands; were it not, the walk refuses what comes behind.
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.bytes[..at]);
        if crc.finalize() ^ FINGERPRINT_XOR != stated {
            return Err(DropReason::Fingerprint);
        }
        self.has_fingerprint = true;
        Ok(())
    }

    pub(crate) const fn has_integrity(&self) -> bool {
        self.integrity_at.is_some()
    }

    /// Whether MESSAGE-INTEGRITY is there and was made with `key`; compared in constant time.
    pub(crate) fn is_signed_with(&self, key: &[u8]) -> bool {
        let Some(at) = self.integrity_at else { return false };
        let Some(stated) = self.bytes.get(at + 4..at + 24) else { return false };
        integrity(key, &self.bytes[..at]).verify_slice(stated).is_ok()
    }

    /// Attributes that must be understood and are not; the first few of them.
    pub(crate) fn unknown(&self) -> &[u16] {
        &self.unknown[..usize::from(self.unknown_len)]
    }

    /// The part of USERNAME before the colon: in a request, the ufrag of who receives it.
    pub(crate) fn username_first(&self) -> Option<&'a [u8]> {
        let username = self.username?;
        let colon = username.iter().position(|&byte| byte == b':')?;
        Some(&username[..colon])
    }
}

/// The ufrag, of a datagram that is a STUN request with a USERNAME: nothing else of it is looked at.
pub(crate) fn request_ufrag(bytes: &[u8]) -> Option<&[u8]> {
    let (header, mut rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    if header[..2] != [0, 1] || header[4..8] != MAGIC_COOKIE {
        return None;
    }
    for _ in 0..ATTRIBUTES_MAX {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if u16::from_be_bytes([head[0], head[1]]) == USERNAME {
            // RFC 8839 §5.4: a ufrag has 256 characters at most; who sends more has none of ours.
            let username = tail.get(..length.min(257))?;
            let colon = username.iter().position(|&byte| byte == b':')?;
            return Some(&username[..colon]);
        }
        rest = tail.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// HMAC-SHA1 over a message up to its MESSAGE-INTEGRITY, with a length that counts it (RFC 8489 §14.5).
fn integrity(key: &[u8], before: &[u8]) -> Hmac<Sha1> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    let length = (before.len() - HEADER_LEN + 24) as u16;
    mac.update(&before[..2]);
    mac.update(&length.to_be_bytes());
    mac.update(&before[4..]);
    mac
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], DropReason> {
    value.try_into().map_err(|_| DropReason::Malformed)
}

fn read_xor_address(value: &[u8], transaction: &TransactionId) -> Option<SocketAddr> {
    let (&[_, family, high, low], address) = value.split_first_chunk()?;
    let port = u16::from_be_bytes([high ^ MAGIC_COOKIE[0], low ^ MAGIC_COOKIE[1]]);
    let ip = match (family, address.len()) {
        (1, 4) => IpAddr::V4(Ipv4Addr::from(xored::<4>(address, transaction))),
        (2, 16) => IpAddr::V6(Ipv6Addr::from(xored::<16>(address, transaction))),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn xored<const N: usize>(address: &[u8], transaction: &TransactionId) -> [u8; N] {
    let mut bytes = [0; N];
    let mask = MAGIC_COOKIE.iter().chain(transaction);
    for ((byte, &from), &mask) in bytes.iter_mut().zip(address).zip(mask) {
        *byte = from ^ mask;
    }
    bytes
}

/// Writes one Binding message at the end of a buffer.
#[derive(Debug)]
pub(crate) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    transaction: TransactionId,
}

impl<'o> Writer<'o> {
    pub(crate) fn new(class: Class, transaction: TransactionId, out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&class.binding().to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE);
        out.extend_from_slice(&transaction);
        Self { out, start, transaction }
    }

    /// The value is our own, and short: 513 bytes at most.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[&[u8]]) {
        let length: usize = value.iter().map(|part| part.len()).sum();
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&(length as u16).to_be_bytes());
        for part in value {
            self.out.extend_from_slice(part);
        }
        let padded = self.out.len() + (length.next_multiple_of(4) - length);
        self.out.resize(padded, 0);
        self.state_length(0);
    }

    pub(crate) fn xor_mapped_address(&mut self, address: SocketAddr) {
        let port = address.port() ^ u16::from_be_bytes([MAGIC_COOKIE[0], MAGIC_COOKIE[1]]);
        let [high, low] = port.to_be_bytes();
        match address.ip() {
            IpAddr::V4(ip) => {
                let ip = xored::<4>(&ip.octets(), &self.transaction);
                self.attribute(XOR_MAPPED_ADDRESS, &[&[0, 1, high, low], &ip]);
            }
            IpAddr::V6(ip) => {
                let ip = xored::<16>(&ip.octets(), &self.transaction);
                self.attribute(XOR_MAPPED_ADDRESS, &[&[0, 2, high, low], &ip]);
            }
        }
    }

    pub(crate) fn error_code(&mut self, code: u16) {
        self.attribute(ERROR_CODE, &[&[0, 0, (code / 100) as u8, (code % 100) as u8]]);
    }

    pub(crate) fn integrity(&mut self, key: &[u8]) {
        let mac = integrity(key, &self.out[self.start..]).finalize().into_bytes();
        self.attribute(MESSAGE_INTEGRITY, &[&mac]);
    }

    /// Ends the message with its fingerprint.
    pub(crate) fn finish(mut self) {
        self.state_length(8);
        let crc = crc32fast::hash(&self.out[self.start..]) ^ FINGERPRINT_XOR;
        self.attribute(FINGERPRINT, &[&crc.to_be_bytes()]);
    }

    /// Sets the length field to what is written, and `more`.
    fn state_length(&mut self, more: usize) {
        let length = (self.out.len() - self.start - HEADER_LEN + more) as u16;
        self.out[self.start + 2..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
