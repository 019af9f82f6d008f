//! The long-term credential mechanism (RFC 8489 §9.2.4).

use std::time::Instant;

use plenary_stun::{Algorithm, Attribute, ErrorCode, Message};

use crate::DropReason;
use crate::answer::{Request, Signer};
use crate::challenge::PASSWORD_ALGORITHMS;
use crate::credentials::{Keys, Known, Name, Owner};
use crate::nonce::Nonce;
use crate::pending::Authenticated;
use crate::server::Server;

/// Bytes of a name at most: RFC 8489 §14.3 has 508, others sent 513.
const USERNAME_MAX: usize = 513;

/// Who has proven itself by a request.
pub(crate) struct Session {
    pub(crate) signer: Signer,
    pub(crate) user: Whose,
}

pub(crate) enum Whose {
    /// The user of the client's allocation.
    Allocations,
    /// Somebody else, or there is none.
    Own(Owner),
}

/// What becomes of a request that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unproven {
    /// 401 or 438.
    Challenge(ErrorCode),
    /// 400.
    Bad,
    /// The caller is asked.
    Ask,
}

/// What a request says to prove itself.
struct Proof<'m> {
    name: Name<'m>,
    /// Of the key.
    algorithm: Algorithm,
    mac: Algorithm,
}

impl Proof<'_> {
    fn holds(&self, message: &Message<'_>, keys: &Keys) -> bool {
        keys.get(self.algorithm).is_some_and(|key| message.is_signed_with(key, self.mac))
    }

    fn signer(&self, keys: &Keys) -> Option<Signer> {
        keys.get(self.algorithm).map(|key| Signer { key: *key, mac: self.mac })
    }
}

impl Server {
    /// Finds out whose a request is. `told` is what the caller has said of it, once asked.
    pub(crate) fn authenticate(
        &mut self,
        request: &Request<'_>,
        told: Option<Authenticated>,
        now: Instant,
    ) -> Result<Session, Unproven> {
        let proof = self.read_proof(request, now)?;
        let message = &request.message;
        let by_ticket = |server: &Self| server.by_ticket(message).map(|(key, _)| key);
        if let Some(key) = self.allocations.of_client(&request.from).or_else(|| by_ticket(self)) {
            let owner = &self.allocations[key].owner;
            // The keys that have made an allocation are good for it as long as it lasts, whatever becomes of the name.
            if owner.is_named(&proof.name, self.credentials.realm())
                && proof.holds(message, &owner.keys)
                && let Some(signer) = proof.signer(&owner.keys)
            {
                return Ok(Session { signer, user: Whose::Allocations });
            }
        }
        let owner = match told {
            Some(told) => {
                let owner = Owner { username: told.username.into(), keys: told.keys };
                let holds = owner.is_named(&proof.name, self.credentials.realm()) && proof.holds(message, &owner.keys);
                if holds { Known::Right(owner) } else { Known::Wrong }
            }
            None => self.credentials.check(&proof.name, self.seconds(now), |keys| proof.holds(message, keys)),
        };
        match owner {
            Known::Right(owner) => {
                let signer = proof.signer(&owner.keys).ok_or(Unproven::Challenge(ErrorCode::UNAUTHENTICATED))?;
                Ok(Session { signer, user: Whose::Own(owner) })
            }
            Known::Unknown if self.config.asks => Err(Unproven::Ask),
            Known::Wrong | Known::Unknown => Err(Unproven::Challenge(ErrorCode::UNAUTHENTICATED)),
        }
    }

    /// All that can be looked at before the user is known. The nonce is, so that nobody is asked and nothing is hashed for
    /// a source address that was forged.
    fn read_proof<'m>(&self, request: &Request<'m>, now: Instant) -> Result<Proof<'m>, Unproven> {
        let message = &request.message;
        let mac = if message.has_integrity(Algorithm::Sha256) {
            Algorithm::Sha256
        } else if message.has_integrity(Algorithm::Sha1) {
            Algorithm::Sha1
        } else {
            return Err(Unproven::Challenge(ErrorCode::UNAUTHENTICATED));
        };
        let name = name_of(message)?;
        let realm = message.get(Attribute::REALM).ok_or(Unproven::Bad)?;
        let nonce = message.get(Attribute::NONCE).ok_or(Unproven::Bad)?;
        let Nonce::Fresh { features } = self.nonces.check(nonce, request.from.remote, self.seconds(now) as u32) else {
            return Err(Unproven::Challenge(ErrorCode::STALE_NONCE));
        };
        let algorithm = algorithm_of(message, features)?;
        if realm != self.credentials.realm().as_bytes() {
            return Err(Unproven::Challenge(ErrorCode::UNAUTHENTICATED));
        }
        Ok(Proof { name, algorithm, mac })
    }

    /// What a request of a stranger gets.
    pub(crate) fn answer_unproven(
        &mut self,
        request: &Request<'_>,
        unproven: Unproven,
        now: Instant,
    ) -> Result<(), DropReason> {
        match unproven {
            Unproven::Challenge(code) => self.challenge(request, code, now),
            Unproven::Bad => self.refuse_stranger(request, ErrorCode::BAD_REQUEST, now),
            Unproven::Ask => self.ask(request, now),
        }
    }
}

pub(crate) fn name_of<'m>(message: &Message<'m>) -> Result<Name<'m>, Unproven> {
    if let Some(name) = message.get(Attribute::USERNAME) {
        return if (1..=USERNAME_MAX).contains(&name.len()) { Ok(Name::Plain(name)) } else { Err(Unproven::Bad) };
    }
    match message.get_array(Attribute::USERHASH) {
        Ok(Some(hash)) => Ok(Name::Hash(hash)),
        Ok(None) | Err(_) => Err(Unproven::Bad),
    }
}

/// RFC 8489 §9.2.4: who was told of the algorithms says them back, as they were, or shows that it knows nothing of them.
fn algorithm_of(message: &Message<'_>, features: bool) -> Result<Algorithm, Unproven> {
    let chosen = message.get(Attribute::PASSWORD_ALGORITHM);
    let told = message.get(Attribute::PASSWORD_ALGORITHMS);
    match (chosen, told) {
        (None, None) => Ok(Algorithm::Sha1),
        (Some(&[high, low, 0, 0]), Some(told)) if features && told == PASSWORD_ALGORITHMS => {
            Algorithm::from_number(u16::from_be_bytes([high, low])).ok_or(Unproven::Bad)
        }
        _ => Err(Unproven::Bad),
    }
}
