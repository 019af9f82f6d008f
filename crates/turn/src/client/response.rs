//! What the server answers (RFC 8489 §6.3, §9.2.5, §10).

use std::time::Instant;

use plenary_stun::{Attribute, Class, ErrorCode, Message};

use super::authentication::{Authentication, Unusable};
use super::config::is_sendable;
use super::transaction::{Purpose, Transaction};
use super::{Client, DropReason, Event, Failure, State, Transport};

impl Client {
    pub(super) fn handle_response(&mut self, message: &Message<'_>, now: Instant) -> Result<(), DropReason> {
        let is_its = |it: &Transaction| it.id == message.transaction() && it.purpose.method() == message.method();
        let index = self.transactions.iter().position(is_its).ok_or(DropReason::UnknownTransaction)?;
        if !message.unknown(is_known).is_empty() {
            return Err(DropReason::BadResponse);
        }
        let signature = self.transactions[index].signature;
        let is_proven = signature.is_some_and(|it| message.is_signed_with(&it.key, it.mac));
        if message.class() == Class::Success {
            if !is_proven {
                return self.doubt(index);
            }
            return self.succeeded(index, message, now);
        }
        let code = message.get_error_code()?.ok_or(DropReason::BadResponse)?;
        match code {
            ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE => self.challenged(index, code, message, now),
            // What proves nothing is taken from a server that knows of no user yet.
            _ if !is_proven && signature.is_some() => self.doubt(index),
            ErrorCode::TRY_ALTERNATE if self.transactions[index].purpose == Purpose::Allocate => {
                self.redirected(message, now)
            }
            _ => {
                self.refused(index, code, now);
                Ok(())
            }
        }
    }

    /// RFC 8489 §9.2.5: on datagrams it is as if it had not come; nobody else can write to a stream.
    fn doubt(&mut self, index: usize) -> Result<(), DropReason> {
        if self.config.transport == Transport::Stream && self.transactions[index].signature.is_some() {
            self.fail(Failure::Integrity);
        }
        Err(DropReason::Integrity)
    }

    fn succeeded(&mut self, index: usize, message: &Message<'_>, now: Instant) -> Result<(), DropReason> {
        let transaction = self.transactions.remove(index);
        let done = match &transaction.purpose {
            Purpose::Allocate => self.allocated_by(message, transaction.first_sent_at),
            Purpose::Refresh | Purpose::Migrate => self.refreshed(message, &transaction),
            Purpose::Release => {
                self.end(Event::Closed);
                Ok(())
            }
            Purpose::Permit(ips) => {
                self.permissions.granted(ips, now);
                Ok(())
            }
            Purpose::Bind(number) => {
                self.channels.bound(*number, now);
                Ok(())
            }
        };
        if done.is_err() {
            // It may be sent again, and answered better.
            self.transactions.push(transaction);
        }
        done
    }

    /// A 401 or 438, which nobody can sign.
    fn challenged(
        &mut self,
        index: usize,
        code: ErrorCode,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let known = self.authentication.as_ref();
        let authentication = match Authentication::read(message, &self.config, known) {
            Ok(authentication) => authentication,
            Err(Unusable::Bad(reason)) => return Err(reason),
            Err(Unusable::Fatal(failure)) => {
                self.fail(failure);
                return Ok(());
            }
        };
        let transaction = &self.transactions[index];
        // RFC 8489 §9.2.5: not again with what was refused.
        let shows_nothing_new = code == ErrorCode::UNAUTHENTICATED
            && transaction.signature.is_some()
            && known.is_some_and(|known| known.shows_what(&authentication));
        if shows_nothing_new || transaction.retries >= self.config.retries_max {
            self.refused(index, code, now);
            return Ok(());
        }
        self.authentication = Some(authentication);
        self.again(index, now);
        Ok(())
    }

    /// Makes a request anew.
    fn again(&mut self, index: usize, now: Instant) {
        let Transaction { purpose, path, retries, .. } = self.transactions.remove(index);
        self.begin_on(path, purpose, retries + 1, now);
    }

    /// RFC 8489 §10: another server is to be asked.
    fn redirected(&mut self, message: &Message<'_>, now: Instant) -> Result<(), DropReason> {
        let alternate = message.get_address(Attribute::ALTERNATE_SERVER)?.filter(|it| is_sendable(*it));
        let alternate = alternate.ok_or(DropReason::BadResponse)?;
        let is_reachable =
            self.config.transport == Transport::Datagrams && alternate.is_ipv4() == self.server.is_ipv4();
        if self.asked.contains(&alternate) || self.asked.len() > usize::from(self.config.redirects_max) {
            self.fail(Failure::Redirects);
        } else if !is_reachable {
            self.fail(Failure::Alternate(alternate));
        } else {
            self.server = alternate;
            self.asked.push(alternate);
            self.authentication = None;
            self.transactions.clear();
            self.tell(Event::Redirected(alternate));
            self.begin(Purpose::Allocate, 0, now);
        }
        Ok(())
    }

    /// The server does not do what it was asked for.
    fn refused(&mut self, index: usize, code: ErrorCode, now: Instant) {
        let transaction = &self.transactions[index];
        let may_retry = transaction.retries < self.config.retries_max;
        if transaction.purpose == Purpose::Allocate && may_retry {
            // RFC 8656 §7.4: without what the server does not know; RFC 8016 §3.1.2.
            let less = match code {
                ErrorCode::UNKNOWN_ATTRIBUTE => std::mem::take(&mut self.dont_fragment),
                ErrorCode::MOBILITY_FORBIDDEN => std::mem::take(&mut self.mobility),
                _ => false,
            };
            if less {
                return self.again(index, now);
            }
        }
        let purpose = self.transactions.remove(index).purpose;
        let is_mismatch = code == ErrorCode::ALLOCATION_MISMATCH;
        match purpose {
            // RFC 8656 §8.3: what is not there is released.
            Purpose::Release => self.end(Event::Closed),
            Purpose::Migrate => self.tell(Event::MigrationFailed),
            Purpose::Allocate => self.fail(Failure::Refused(code)),
            _ if is_mismatch || code == ErrorCode::WRONG_CREDENTIALS => self.fail(Failure::Refused(code)),
            // The server has trouble, which may pass.
            Purpose::Refresh if code.0 >= 500 => self.refresh_again(now),
            Purpose::Refresh => self.fail(Failure::Refused(code)),
            Purpose::Permit(ips) => self.permissions.refused(&ips, code, self.config.idle_after, now),
            Purpose::Bind(number) => {
                self.channels.refused(number);
                if code == ErrorCode::FORBIDDEN
                    && let Some(peer) = self.channels.peer_of(number)
                {
                    self.permissions.refused(&[peer.ip()], code, self.config.idle_after, now);
                }
            }
        }
        debug_assert!(self.transactions.is_empty() || !matches!(self.state, State::Ended), "the end clears all");
    }
}

/// What must be understood, and is.
const fn is_known(kind: Attribute) -> bool {
    matches!(
        kind,
        Attribute::MAPPED_ADDRESS
            | Attribute::USERNAME
            | Attribute::ERROR_CODE
            | Attribute::UNKNOWN_ATTRIBUTES
            | Attribute::CHANNEL_NUMBER
            | Attribute::LIFETIME
            | Attribute::XOR_PEER_ADDRESS
            | Attribute::DATA
            | Attribute::REALM
            | Attribute::NONCE
            | Attribute::XOR_RELAYED_ADDRESS
            | Attribute::REQUESTED_ADDRESS_FAMILY
            | Attribute::EVEN_PORT
            | Attribute::REQUESTED_TRANSPORT
            | Attribute::DONT_FRAGMENT
            | Attribute::PASSWORD_ALGORITHM
            | Attribute::USERHASH
            | Attribute::XOR_MAPPED_ADDRESS
            | Attribute::RESERVATION_TOKEN
    )
}
