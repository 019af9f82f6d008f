use std::net::SocketAddr;

use plenary_stun::{
    Algorithm, Attribute, Class, ErrorCode, Key, Message, Method, ParseError, TransactionId, Unknown, Writer,
};

use crate::DropReason;
use crate::allocation::{Allocation, Answered};
use crate::mobility::TICKET_LEN;
use crate::server::Server;
use crate::stream::Carries;
use crate::tuple::{FiveTuple, canonical};

/// A request, and where it came from.
#[derive(Clone, Copy)]
pub(crate) struct Request<'m> {
    pub(crate) message: Message<'m>,
    pub(crate) from: FiveTuple,
    /// The connection's kind; `None` is a datagram whose address is unproven.
    pub(crate) via: Option<Carries>,
}

impl Request<'_> {
    pub(crate) fn is_stream(&self) -> bool {
        self.via == Some(Carries::Stream)
    }

    pub(crate) const fn reply(&self) -> Reply {
        Reply { to: self.from, method: self.message.method(), transaction: self.message.transaction() }
    }
}

/// Which request an answer is to.
#[derive(Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) to: FiveTuple,
    pub(crate) method: Method,
    pub(crate) transaction: TransactionId,
}

/// How the answers to an authenticated request are signed: as it was (RFC 8489 §9.2.4).
#[derive(Clone, Copy)]
pub(crate) struct Signer {
    pub(crate) key: Key<'static>,
    pub(crate) mac: Algorithm,
}

/// Why an authenticated request is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Code(ErrorCode),
    /// 420.
    Unknown(Unknown),
    /// 300.
    Elsewhere(SocketAddr),
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

/// What the answer to a request states.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) lifetime: Option<u32>,
    pub(crate) ticket: Option<[u8; TICKET_LEN]>,
}

impl Done {
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        if let Some(lifetime) = self.lifetime {
            writer.attribute(Attribute::LIFETIME, &[&lifetime.to_be_bytes()]);
        }
        if let Some(ticket) = self.ticket {
            writer.attribute(Attribute::MOBILITY_TICKET, &[&ticket]);
        }
    }
}

/// An attribute of a wrong size.
impl From<ParseError> for Refusal {
    fn from(_: ParseError) -> Self {
        Self::Code(ErrorCode::BAD_REQUEST)
    }
}

impl Server {
    pub(crate) fn succeed(
        &mut self,
        reply: &Reply,
        signer: &Signer,
        write: impl FnOnce(&mut Writer<'_>),
    ) -> Result<(), DropReason> {
        self.counted.all.succeeded += 1;
        self.outbox.write(reply.to, |out| {
            let mut writer = Writer::new(Class::Success, reply.method, reply.transaction, out);
            write(&mut writer);
            writer.integrity(&signer.key, signer.mac);
            writer.fingerprint();
        })
    }

    pub(crate) fn refuse(&mut self, reply: &Reply, signer: &Signer, refusal: Refusal) -> Result<(), DropReason> {
        let code = match refusal {
            Refusal::Code(code) => code,
            Refusal::Unknown(_) => ErrorCode::UNKNOWN_ATTRIBUTE,
            Refusal::Elsewhere(_) => ErrorCode::TRY_ALTERNATE,
        };
        self.counted.refuse(code);
        self.outbox.write(reply.to, |out| {
            let mut writer = Writer::new(Class::Error, reply.method, reply.transaction, out);
            writer.error_code(code, code.reason());
            match refusal {
                Refusal::Code(_) => {}
                Refusal::Unknown(unknown) => writer.unknown_attributes(&unknown),
                Refusal::Elsewhere(server) => writer.address(Attribute::ALTERNATE_SERVER, server),
            }
            writer.integrity(&signer.key, signer.mac);
            writer.fingerprint();
        })
    }
}

/// RFC 8656 §7.2: what a client learns of its allocation.
pub(crate) fn write_allocated(writer: &mut Writer<'_>, allocation: &Allocation, ticket: Option<[u8; TICKET_LEN]>) {
    for relayed in allocation.relays.iter().flatten() {
        writer.xor_address(Attribute::XOR_RELAYED_ADDRESS, relayed.address);
    }
    let Answered { lifetime, token, failed, .. } = allocation.answered;
    writer.attribute(Attribute::LIFETIME, &[&lifetime.to_be_bytes()]);
    writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, canonical(allocation.tuple.remote));
    if let Some(token) = token {
        writer.attribute(Attribute::RESERVATION_TOKEN, &[&token]);
    }
    Done { lifetime: None, ticket }.write(writer);
    if let Some((family, ErrorCode(code))) = failed {
        let value = [family.number(), 0, (code / 100) as u8, (code % 100) as u8];
        writer.attribute(Attribute::ADDRESS_ERROR_CODE, &[&value, ErrorCode(code).reason().as_bytes()]);
    }
}
