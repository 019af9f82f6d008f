//! What is asked for, and how (RFC 8656 §7.1, §8.1, §10.1, §12.2).

use std::net::SocketAddr;
use std::time::Instant;

use plenary_stun::{Attribute, Class, TransactionId, Writer};

use super::transaction::{Purpose, Signature, Transaction};
use super::{Client, Families, Path, State};

/// UDP, in REQUESTED-TRANSPORT (RFC 8656 §18.8).
const UDP: [u8; 4] = [17, 0, 0, 0];
/// IPv6, in REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6).
const IPV6: [u8; 4] = [2, 0, 0, 0];
/// SOFTWARE of the request to which the server answers with a challenge. Servers keep such answers short, compared with
/// what they answer, so that they can't be used to flood others: the longer it is the more can stand in one.
const SOFTWARE: &str = "plenary-turn, which would like to be told of all algorithms.";

impl Client {
    /// Requests beside those of the allocation itself are limited.
    pub(super) fn has_room(&self) -> bool {
        self.transactions.len() < usize::from(self.config.transactions_max)
    }

    /// Asks for what is due of permissions and channels.
    pub(super) fn ask(&mut self, now: Instant) {
        if !matches!(self.state, State::Allocated(_)) {
            return;
        }
        let idle = self.config.idle_after;
        while self.has_room()
            && let Some(number) = self.channels.take_due(idle, now)
        {
            self.begin(Purpose::Bind(number), 0, now);
        }
        while self.has_room() {
            let ips = self.permissions.take_due(&self.channels, idle, now);
            if ips.is_empty() {
                return;
            }
            self.begin(Purpose::Permit(ips), 0, now);
        }
    }

    /// Queues a request.
    pub(super) fn begin(&mut self, purpose: Purpose, retries: u8, now: Instant) {
        self.begin_on(self.path, purpose, retries, now);
    }

    pub(super) fn begin_on(&mut self, path: Path, purpose: Purpose, retries: u8, now: Instant) {
        let id = TransactionId(self.entropy.bytes());
        let mut transaction = Transaction::new(id, purpose, path, retries, now);
        let mut bytes = Vec::with_capacity(256);
        transaction.signature = self.write(&transaction, &mut bytes);
        transaction.bytes = bytes;
        self.transactions.push(transaction);
    }

    fn write(&self, transaction: &Transaction, out: &mut Vec<u8>) -> Option<Signature> {
        let Transaction { id, purpose, .. } = transaction;
        let mut writer = Writer::new(Class::Request, purpose.method(), *id, out);
        let lifetime = self.config.lifetime.as_secs() as u32;
        match purpose {
            Purpose::Allocate => self.write_allocate(&mut writer, lifetime),
            Purpose::Refresh => writer.attribute(Attribute::LIFETIME, &[&lifetime.to_be_bytes()]),
            Purpose::Release => writer.attribute(Attribute::LIFETIME, &[&[0; 4]]),
            Purpose::Migrate => {
                writer.attribute(Attribute::LIFETIME, &[&lifetime.to_be_bytes()]);
                if let State::Allocated(allocation) = &self.state
                    && let Some(ticket) = &allocation.ticket
                {
                    writer.attribute(Attribute::MOBILITY_TICKET, &[ticket]);
                }
            }
            Purpose::Permit(ips) => {
                for ip in ips {
                    // RFC 8656 §10.1: the port means nothing.
                    writer.xor_address(Attribute::XOR_PEER_ADDRESS, SocketAddr::new(*ip, 0));
                }
            }
            Purpose::Bind(number) => {
                writer.attribute(Attribute::CHANNEL_NUMBER, &[&number.to_be_bytes(), &[0, 0]]);
                let peer = self.channels.peer_of(*number).expect("a channel that is asked for has a peer");
                writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
            }
        }
        if let Some(authentication) = &self.authentication {
            return Some(authentication.sign(writer, &self.config.username));
        }
        writer.attribute(Attribute::SOFTWARE, &[SOFTWARE.as_bytes()]);
        writer.fingerprint();
        None
    }

    fn write_allocate(&self, writer: &mut Writer<'_>, lifetime: u32) {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[&UDP]);
        writer.attribute(Attribute::LIFETIME, &[&lifetime.to_be_bytes()]);
        match self.config.families {
            Families::V4 => {}
            Families::V6 => writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[&IPV6]),
            Families::Both => writer.attribute(Attribute::ADDITIONAL_ADDRESS_FAMILY, &[&IPV6]),
        }
        if self.dont_fragment {
            writer.attribute(Attribute::DONT_FRAGMENT, &[]);
        }
        if self.mobility {
            writer.attribute(Attribute::MOBILITY_TICKET, &[]);
        }
    }
}
