//! The STUN of ICE (RFC 8445 §16): what a Binding message holds that an agent has a use for.

use std::net::SocketAddr;

use plenary_stun::{Algorithm, Attribute, Class, Key, Method, ParseError, TransactionId, Unknown, Writer};

use crate::DropReason;

/// NOMINATION's value is the 3 least significant of its 4 bytes.
pub(crate) const NOMINATION_MAX: u32 = 0x00ff_ffff;
/// RFC 8489 §14.3 has 508; others sent 513.
const USERNAME_MAX: usize = 513;

/// A Binding message that has been walked once. Its fingerprint is right or absent; its integrity is unproven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    stun: plenary_stun::Message<'a>,
    pub(crate) username: Option<&'a [u8]>,
    pub(crate) priority: Option<u32>,
    pub(crate) use_candidate: bool,
    pub(crate) controlling: Option<u64>,
    pub(crate) controlled: Option<u64>,
    pub(crate) mapped: Option<SocketAddr>,
    pub(crate) error_code: Option<u16>,
    pub(crate) nomination: Option<u32>,
    /// Attributes that must be understood and are not; the first few of them.
    pub(crate) unknown: Unknown,
}

impl<'a> Message<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, DropReason> {
        let stun = plenary_stun::Message::parse(bytes)?;
        if stun.method() != Method::BINDING {
            return Err(DropReason::Method);
        }
        let mut message = Self {
            unknown: stun.unknown(is_known),
            error_code: stun.get_error_code()?.map(|code| code.0),
            stun,
            username: None,
            priority: None,
            use_candidate: false,
            controlling: None,
            controlled: None,
            mapped: None,
            nomination: None,
        };
        for (kind, value) in stun.attributes() {
            message.take(kind, value)?;
        }
        Ok(message)
    }

    /// RFC 8489 §14: of an attribute that comes twice, the first counts.
    fn take(&mut self, kind: Attribute, value: &'a [u8]) -> Result<(), DropReason> {
        match kind {
            Attribute::USERNAME => {
                if value.len() > USERNAME_MAX {
                    return Err(DropReason::Malformed);
                }
                self.username.get_or_insert(value);
            }
            Attribute::PRIORITY => _ = self.priority.get_or_insert(u32::from_be_bytes(fixed(value)?)),
            Attribute::NOMINATION => {
                self.nomination.get_or_insert(u32::from_be_bytes(fixed(value)?) & NOMINATION_MAX);
            }
            Attribute::USE_CANDIDATE => {
                fixed::<0>(value)?;
                self.use_candidate = true;
            }
            Attribute::ICE_CONTROLLING => _ = self.controlling.get_or_insert(u64::from_be_bytes(fixed(value)?)),
            Attribute::ICE_CONTROLLED => _ = self.controlled.get_or_insert(u64::from_be_bytes(fixed(value)?)),
            Attribute::XOR_MAPPED_ADDRESS => {
                let address = self.stun.xor_address(kind, value)?;
                self.mapped.get_or_insert(address);
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) const fn class(&self) -> Class {
        self.stun.class()
    }

    pub(crate) const fn transaction(&self) -> TransactionId {
        self.stun.transaction()
    }

    pub(crate) const fn has_fingerprint(&self) -> bool {
        self.stun.has_fingerprint()
    }

    pub(crate) const fn has_integrity(&self) -> bool {
        self.stun.has_integrity(Algorithm::Sha1)
    }

    /// Whether MESSAGE-INTEGRITY is there and was made with the password; compared in constant time.
    pub(crate) fn is_signed_with(&self, password: &[u8]) -> bool {
        self.stun.is_signed_with(&Key::short_term(password), Algorithm::Sha1)
    }

    /// The part of USERNAME before the colon: in a request, the ufrag of who receives it.
    pub(crate) fn username_first(&self) -> Option<&'a [u8]> {
        first_part(self.username?)
    }
}

/// What ICE has a use for, and what else a STUN endpoint knows.
const fn is_known(kind: Attribute) -> bool {
    matches!(
        kind,
        Attribute::MAPPED_ADDRESS
            | Attribute::USERNAME
            | Attribute::ERROR_CODE
            | Attribute::UNKNOWN_ATTRIBUTES
            | Attribute::REALM
            | Attribute::NONCE
            | Attribute::PASSWORD_ALGORITHM
            | Attribute::USERHASH
            | Attribute::XOR_MAPPED_ADDRESS
            | Attribute::PRIORITY
            | Attribute::USE_CANDIDATE
    )
}

impl From<ParseError> for DropReason {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::NotStun => Self::NotStun,
            ParseError::Fingerprint => Self::Fingerprint,
            ParseError::Length | ParseError::Attributes | ParseError::Value(_) => Self::Malformed,
        }
    }
}

/// The ufrag, of a datagram that is a STUN request with a USERNAME: nothing else of it is looked at.
pub(crate) fn request_ufrag(bytes: &[u8]) -> Option<&[u8]> {
    // RFC 8839 §5.4: a ufrag has 256 characters at most; who sends more has none of ours.
    let username = plenary_stun::request_username(bytes)?;
    first_part(username.get(..257).unwrap_or(username))
}

fn first_part(username: &[u8]) -> Option<&[u8]> {
    let colon = username.iter().position(|&byte| byte == b':')?;
    Some(&username[..colon])
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], DropReason> {
    value.try_into().map_err(|_| DropReason::Malformed)
}

/// Begins a Binding message at the end of a buffer.
pub(crate) fn binding(class: Class, transaction: TransactionId, out: &mut Vec<u8>) -> Writer<'_> {
    Writer::new(class, Method::BINDING, transaction, out)
}

/// Ends a message with integrity and fingerprint.
pub(crate) fn sign(mut writer: Writer<'_>, password: &[u8]) {
    writer.integrity(&Key::short_term(password), Algorithm::Sha1);
    writer.fingerprint();
}

#[cfg(test)]
mod tests;
