use std::net::SocketAddr;

use crate::{Algorithm, Attribute, ErrorCode, Key, ParseError, address, integrity};

/// Bytes of a header.
pub const HEADER_LEN: usize = 20;

/// Attributes of a message at most: more than any has that means something, and few enough that a walk costs nothing.
pub const ATTRIBUTES_MAX: usize = 64;

/// Unknown attributes that are remembered, to be named by a 420.
pub const UNKNOWN_MAX: usize = 4;

pub(crate) const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
pub(crate) const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// What a message is about (RFC 8489 §18.2, RFC 8656 §17): up to 0xff, as higher ones collide with DTLS (RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(pub u16);

impl Method {
    /// RFC 8489.
    pub const BINDING: Self = Self(0x001);
    /// RFC 8656.
    pub const ALLOCATE: Self = Self(0x003);
    /// RFC 8656.
    pub const REFRESH: Self = Self(0x004);
    /// RFC 8656; only in indications.
    pub const SEND: Self = Self(0x006);
    /// RFC 8656; only in indications.
    pub const DATA: Self = Self(0x007);
    /// RFC 8656.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// RFC 8656.
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// RFC 6062.
    pub const CONNECT: Self = Self(0x00a);
    /// RFC 6062.
    pub const CONNECTION_BIND: Self = Self(0x00b);
    /// RFC 6062; only in indications.
    pub const CONNECTION_ATTEMPT: Self = Self(0x00c);
}

/// Which side of a transaction a message is (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// It was done.
    Success,
    /// It was not.
    Error,
}

/// Says which request a response is to: 96 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// The type field (RFC 8489 §5): the method's bits around the class's two.
pub(crate) const fn message_type(class: Class, method: Method) -> u16 {
    let method = method.0 & 0xfff;
    let class = match class {
        Class::Request => 0,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    (method & 0x00f) | (method & 0x070) << 1 | (method & 0xf80) << 2 | class
}

const fn class_and_method(kind: u16) -> (Class, Method) {
    let class = match kind & 0x0110 {
        0 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    (class, Method((kind & 0x000f) | (kind >> 1 & 0x0070) | (kind >> 2 & 0x0f80)))
}

/// A message that holds together: lengths are right, and so is the fingerprint if there is one. Its integrity is unproven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    method: Method,
    transaction: TransactionId,
    has_fingerprint: bool,
    /// Where MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 begin: at most 65,555, and never 0.
    sha1_at: u32,
    sha256_at: u32,
    /// What is behind it is ignored.
    end: u32,
}

impl<'a> Message<'a> {
    /// Reads a datagram, or a message cut from a stream: all of it is one message.
    ///
    /// # Errors
    ///
    /// [`ParseError`]; [`Value`](ParseError::Value) only of MESSAGE-INTEGRITY: others are looked at when they are asked for.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (header, _) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(ParseError::NotStun)?;
        if header[0] > 3 || header[4..8] != MAGIC_COOKIE {
            return Err(ParseError::NotStun);
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        // A datagram is one message: bytes behind it, which no integrity would cover, are refused with it.
        if !length.is_multiple_of(4) || bytes.len() != HEADER_LEN + length {
            return Err(ParseError::Length);
        }
        let (class, method) = class_and_method(u16::from_be_bytes([header[0], header[1]]));
        let transaction = TransactionId(header[8..].first_chunk().copied().expect("a header has 20 bytes"));
        let end = bytes.len() as u32;
        let mut message =
            Self { bytes, class, method, transaction, has_fingerprint: false, sha1_at: 0, sha256_at: 0, end };
        message.walk()?;
        Ok(message)
    }

    fn walk(&mut self) -> Result<(), ParseError> {
        let mut at = HEADER_LEN;
        for _ in 0..ATTRIBUTES_MAX {
            let Some((kind, value, next)) = attribute_at(self.bytes, at)? else { return Ok(()) };
            if self.has_fingerprint {
                return Err(ParseError::Fingerprint); // RFC 8489 §14.7: it is the last
            }
            match kind {
                Attribute::FINGERPRINT => self.check_fingerprint(at, value)?,
                Attribute::MESSAGE_INTEGRITY if self.sha1_at == 0 && self.sha256_at == 0 => {
                    array::<20>(kind, value)?;
                    (self.sha1_at, self.end) = (at as u32, at as u32);
                }
                // RFC 8489 §14.5: behind MESSAGE-INTEGRITY only this and the fingerprint count.
                Attribute::MESSAGE_INTEGRITY_SHA256 if self.sha256_at == 0 => {
                    self.sha256_at = at as u32;
                    self.end = self.end.min(at as u32);
                }
                _ => {}
            }
            at = next;
        }
        if at == self.bytes.len() { Ok(()) } else { Err(ParseError::Attributes) }
    }

    fn check_fingerprint(&mut self, at: usize, value: &[u8]) -> Result<(), ParseError> {
        let stated = <[u8; 4]>::try_from(value).ok().map(u32::from_be_bytes);
        // RFC 8489 §14.7: over the message up to the attribute, with a length that counts it. As it is the last one,
        // that is the length of the header as it stands; were it not, the walk refuses what comes behind.
        if stated != Some(crc32fast::hash(&self.bytes[..at]) ^ FINGERPRINT_XOR) {
            return Err(ParseError::Fingerprint);
        }
        self.has_fingerprint = true;
        Ok(())
    }

    /// Request, indication, success or error.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// What it is about.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Of which transaction.
    #[must_use]
    pub const fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// Whether it has a fingerprint, which is right.
    #[must_use]
    pub const fn has_fingerprint(&self) -> bool {
        self.has_fingerprint
    }

    /// Its attributes in their order, up to the first that proves its integrity: what comes behind counts for nothing.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { bytes: &self.bytes[..self.end as usize], at: HEADER_LEN }
    }

    /// The value of an attribute; of one that comes twice, the first (RFC 8489 §14).
    #[must_use]
    pub fn get(&self, attribute: Attribute) -> Option<&'a [u8]> {
        self.attributes().find(|(kind, _)| *kind == attribute).map(|(_, value)| value)
    }

    /// The value of an attribute of a fixed size.
    ///
    /// # Errors
    ///
    /// [`ParseError::Value`] if it has another.
    pub fn get_array<const N: usize>(&self, attribute: Attribute) -> Result<Option<[u8; N]>, ParseError> {
        self.get(attribute).map(|value| array(attribute, value)).transpose()
    }

    /// The value of an attribute of 32 bits.
    ///
    /// # Errors
    ///
    /// [`ParseError::Value`] if it has another size.
    pub fn get_u32(&self, attribute: Attribute) -> Result<Option<u32>, ParseError> {
        Ok(self.get_array(attribute)?.map(u32::from_be_bytes))
    }

    /// An address, by its exclusive-ored form.
    ///
    /// # Errors
    ///
    /// [`ParseError::Value`] if family or size are wrong.
    pub fn get_xor_address(&self, attribute: Attribute) -> Result<Option<SocketAddr>, ParseError> {
        self.get(attribute).map(|value| self.xor_address(attribute, value)).transpose()
    }

    /// An address of this message, of which [`attributes`](Self::attributes) gave the value.
    ///
    /// # Errors
    ///
    /// [`ParseError::Value`] if family or size are wrong.
    pub fn xor_address(&self, attribute: Attribute, value: &[u8]) -> Result<SocketAddr, ParseError> {
        address::read_xor(value, &self.transaction).ok_or(ParseError::Value(attribute.0))
    }

    /// An address, by its plain form: MAPPED-ADDRESS, ALTERNATE-SERVER.
    ///
    /// # Errors
    ///
    /// [`ParseError::Value`] if family or size are wrong.
    pub fn get_address(&self, attribute: Attribute) -> Result<Option<SocketAddr>, ParseError> {
        let read = |value| address::read_plain(value).ok_or(ParseError::Value(attribute.0));
        self.get(attribute).map(read).transpose()
    }

    /// The number in ERROR-CODE, or in ADDRESS-ERROR-CODE: 0 to 799.
    ///
    /// # Errors
    ///
    /// [`ParseError::Value`] if it is shorter than 4 bytes.
    pub fn get_error_code(&self) -> Result<Option<ErrorCode>, ParseError> {
        let Some(value) = self.get(Attribute::ERROR_CODE) else { return Ok(None) };
        let [_, _, class, number, ..] = *value else { return Err(ParseError::Value(Attribute::ERROR_CODE.0)) };
        Ok(Some(ErrorCode(u16::from(class & 7) * 100 + u16::from(number))))
    }

    /// The first attributes that must be understood and that `is_known` does not know.
    pub fn unknown(&self, is_known: impl Fn(Attribute) -> bool) -> Unknown {
        let mut unknown = Unknown::default();
        for (kind, _) in self.attributes() {
            if kind.must_be_understood() && !is_known(kind) {
                unknown.push(kind);
            }
        }
        unknown
    }

    /// Whether it says that its integrity can be proven, by this algorithm.
    #[must_use]
    pub const fn has_integrity(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Sha1 => self.sha1_at > 0,
            Algorithm::Sha256 => self.sha256_at > 0,
        }
    }

    /// Whether it has the integrity of this algorithm, made with this key; compared in constant time. One of SHA-256 that is
    /// cut proves nothing: no usage of STUN allows it (RFC 8489 §14.6).
    #[must_use]
    pub fn is_signed_with(&self, key: &Key<'_>, algorithm: Algorithm) -> bool {
        let at = match algorithm {
            Algorithm::Sha1 => self.sha1_at,
            Algorithm::Sha256 => self.sha256_at,
        } as usize;
        match attribute_at(self.bytes, at) {
            Ok(Some((_, stated, _))) if at > 0 => integrity::verify(key, algorithm, &self.bytes[..at], stated),
            _ => false,
        }
    }

    /// All of it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// An attribute: its type, its value, and where the next begins.
type Found<'a> = (Attribute, &'a [u8], usize);

/// The attribute that begins here; `None` at the end.
fn attribute_at(bytes: &[u8], at: usize) -> Result<Option<Found<'_>>, ParseError> {
    let Some((head, rest)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<4>()) else {
        // Lengths are multiples of 4, so what is left is nothing.
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let value = rest.get(..length).ok_or(ParseError::Attributes)?;
    let next = at + 4 + length.next_multiple_of(4);
    if next > bytes.len() {
        return Err(ParseError::Attributes);
    }
    Ok(Some((Attribute(u16::from_be_bytes([head[0], head[1]])), value, next)))
}

pub(crate) fn array<const N: usize>(attribute: Attribute, value: &[u8]) -> Result<[u8; N], ParseError> {
    value.try_into().map_err(|_| ParseError::Value(attribute.0))
}

/// The attributes of a message: [`Message::attributes`].
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (Attribute, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, value, next) = attribute_at(self.bytes, self.at).ok()??;
        self.at = next;
        Some((kind, value))
    }
}

/// Types of attributes that were not understood, [`UNKNOWN_MAX`] at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    kinds: [u16; UNKNOWN_MAX],
    len: u8,
}

impl Unknown {
    /// One alone.
    #[must_use]
    pub fn of(attribute: Attribute) -> Self {
        let mut unknown = Self::default();
        unknown.push(attribute);
        unknown
    }

    fn push(&mut self, kind: Attribute) {
        if let Some(slot) = self.kinds.get_mut(usize::from(self.len)) {
            *slot = kind.0;
            self.len += 1;
        }
    }

    /// There are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// In the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = Attribute> {
        self.kinds[..usize::from(self.len)].iter().copied().map(Attribute)
    }
}
