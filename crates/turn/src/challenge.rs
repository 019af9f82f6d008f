//! Answers to who has not shown a password: never much longer than what they answer, and few.

use std::time::Instant;

use plenary_stun::{Attribute, Class, ErrorCode, HEADER_LEN, Writer};

use crate::DropReason;
use crate::answer::Request;
use crate::nonce::{COMPACT_LEN, FULL_LEN};
use crate::server::{Server, is_known};
use crate::tuple::canonical;

/// What PASSWORD-ALGORITHMS says, the best first (RFC 8489 §14.11): SHA-256 and MD5, without parameters.
pub(crate) const PASSWORD_ALGORITHMS: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

/// How much a challenge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// With the cookie of RFC 8489 §9.2, and the password algorithms.
    Full,
    /// With a short nonce: for those who know MD5 only.
    Compact,
}

/// The fullest form of at most twice the request's bytes.
///
/// The header has 20 bytes, ERROR-CODE without a phrase 8, a fingerprint 8, REALM 4 and the realm, NONCE 4 and 16 or
/// 32, PASSWORD-ALGORITHMS 12. A browser's first Allocate has 28 bytes: 56 are what a compact one has with a realm of 4.
fn form_for(request: usize, realm: usize, has_fingerprint: bool) -> Option<Form> {
    let attribute = |value: usize| 4 + value.next_multiple_of(4);
    let least = HEADER_LEN + attribute(4) + if has_fingerprint { 8 } else { 0 } + attribute(realm);
    let compact = least + attribute(COMPACT_LEN);
    let full = least + attribute(FULL_LEN) + attribute(PASSWORD_ALGORITHMS.len());
    match request * 2 {
        room if room >= full => Some(Form::Full),
        room if room >= compact => Some(Form::Compact),
        _ => None,
    }
}

impl Server {
    /// RFC 8489 §9.2.4: a 401 or 438, with what the client needs to try again. Without room for it, a 400.
    pub(crate) fn challenge(&mut self, request: &Request<'_>, code: ErrorCode, now: Instant) -> Result<(), DropReason> {
        let has_fingerprint = request.message.has_fingerprint();
        let form = if request.via.is_some() {
            Some(Form::Full) // the address is proven
        } else {
            form_for(request.message.bytes().len(), self.credentials.realm().len(), has_fingerprint)
        };
        let Some(form) = form else { return self.refuse_stranger(request, ErrorCode::BAD_REQUEST, now) };
        self.check_flood(request, now)?;
        self.counted.refuse(code);
        let reply = request.reply();
        let (nonce, len) = self.nonces.write(form == Form::Full, request.from.remote, self.seconds(now) as u32);
        let realm = self.credentials.realm();
        self.outbox.write(reply.to, |out| {
            let mut writer = Writer::new(Class::Error, reply.method, reply.transaction, out);
            writer.error_code(code, "");
            writer.attribute(Attribute::REALM, &[realm.as_bytes()]);
            writer.attribute(Attribute::NONCE, &[&nonce[..len]]);
            if form == Form::Full {
                writer.attribute(Attribute::PASSWORD_ALGORITHMS, &[&PASSWORD_ALGORITHMS]);
            }
            if has_fingerprint {
                writer.fingerprint();
            }
        })
    }

    /// An error without anything else.
    pub(crate) fn refuse_stranger(
        &mut self,
        request: &Request<'_>,
        code: ErrorCode,
        now: Instant,
    ) -> Result<(), DropReason> {
        self.check_flood(request, now)?;
        self.counted.refuse(code);
        let reply = request.reply();
        let has_fingerprint = request.message.has_fingerprint();
        self.outbox.write(reply.to, |out| {
            let mut writer = Writer::new(Class::Error, reply.method, reply.transaction, out);
            writer.error_code(code, "");
            if has_fingerprint {
                writer.fingerprint();
            }
        })
    }

    /// RFC 8489 §12: tells a client its address.
    pub(crate) fn binding(&mut self, request: &Request<'_>, now: Instant) -> Result<(), DropReason> {
        let unknown = request.message.unknown(is_known);
        self.check_flood(request, now)?;
        let reply = request.reply();
        let has_fingerprint = request.message.has_fingerprint();
        let is_understood = unknown.is_empty();
        let class = if is_understood { Class::Success } else { Class::Error };
        if is_understood {
            self.counted.all.succeeded += 1;
        } else {
            self.counted.refuse(ErrorCode::UNKNOWN_ATTRIBUTE);
        }
        self.outbox.write(reply.to, |out| {
            let mut writer = Writer::new(class, reply.method, reply.transaction, out);
            if is_understood {
                writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, canonical(reply.to.remote));
            } else {
                writer.error_code(ErrorCode::UNKNOWN_ATTRIBUTE, "");
                writer.unknown_attributes(&unknown);
            }
            if has_fingerprint {
                writer.fingerprint();
            }
        })
    }

    fn check_flood(&mut self, request: &Request<'_>, now: Instant) -> Result<(), DropReason> {
        self.outbox.check()?;
        if request.via.is_some() || self.flood.allows(request.from.remote.ip(), now) {
            Ok(())
        } else {
            Err(DropReason::RateLimited)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_as_much_as_there_is_room_for() {
        for (request, realm, has_fingerprint, form) in [
            (20, 4, false, None),
            (28, 4, false, Some(Form::Compact)),
            (28, 5, false, None),
            (32, 5, false, Some(Form::Compact)),
            (36, 4, true, Some(Form::Compact)),
            (40, 4, false, Some(Form::Compact)),
            (42, 4, false, Some(Form::Full)),
            (44, 4, true, Some(Form::Compact)),
            (46, 4, true, Some(Form::Full)),
            (100, 127, true, Some(Form::Compact)),
            (92, 127, true, None),
        ] {
            assert_eq!(form_for(request, realm, has_fingerprint), form, "{request} {realm} {has_fingerprint}");
        }
    }
}
