use std::net::SocketAddr;

use crate::message::{FINGERPRINT_XOR, HEADER_LEN, MAGIC_COOKIE, message_type};
use crate::{Algorithm, Attribute, Class, ErrorCode, Key, Method, TransactionId, address, integrity};

/// Writes one message at the end of a buffer.
///
/// The length field is right after each call: a message without fingerprint ends by dropping the writer.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    transaction: TransactionId,
}

impl<'o> Writer<'o> {
    /// Begins a message.
    pub fn new(class: Class, method: Method, transaction: TransactionId, out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&message_type(class, method).to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE);
        out.extend_from_slice(&transaction.0);
        Self { out, start, transaction }
    }

    /// Appends an attribute, the value in parts. All of a message is below 65,536 bytes: that is the caller's to see to.
    pub fn attribute(&mut self, attribute: Attribute, value: &[&[u8]]) {
        let length: usize = value.iter().map(|part| part.len()).sum();
        self.out.extend_from_slice(&attribute.0.to_be_bytes());
        self.out.extend_from_slice(&(length as u16).to_be_bytes());
        for part in value {
            self.out.extend_from_slice(part);
        }
        let padded = self.out.len() + (length.next_multiple_of(4) - length);
        self.out.resize(padded, 0);
        self.state_length(0);
    }

    /// Appends an address in its exclusive-ored form.
    pub fn xor_address(&mut self, attribute: Attribute, address: SocketAddr) {
        let (value, length) = address::write_xor(address, &self.transaction);
        self.attribute(attribute, &[&value[..length]]);
    }

    /// Appends an address in its plain form.
    pub fn address(&mut self, attribute: Attribute, address: SocketAddr) {
        let (value, length) = address::write_plain(address);
        self.attribute(attribute, &[&value[..length]]);
    }

    /// Appends an ERROR-CODE, with or without its phrase.
    pub fn error_code(&mut self, code: ErrorCode, reason: &str) {
        let ErrorCode(code) = code;
        let number = [0, 0, (code / 100) as u8, (code % 100) as u8];
        self.attribute(Attribute::ERROR_CODE, &[&number, reason.as_bytes()]);
    }

    /// Appends UNKNOWN-ATTRIBUTES.
    pub fn unknown_attributes(&mut self, unknown: &crate::Unknown) {
        let mut list = [0; 2 * crate::UNKNOWN_MAX];
        let mut len = 0;
        for (place, kind) in list.chunks_exact_mut(2).zip(unknown.iter()) {
            place.copy_from_slice(&kind.0.to_be_bytes());
            len += 2;
        }
        self.attribute(Attribute::UNKNOWN_ATTRIBUTES, &[&list[..len]]);
    }

    /// Appends MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256. Only the latter and the fingerprint may follow.
    pub fn integrity(&mut self, key: &Key<'_>, algorithm: Algorithm) {
        let mac = integrity::sign(key, algorithm, &self.out[self.start..]);
        let attribute = match algorithm {
            Algorithm::Sha1 => Attribute::MESSAGE_INTEGRITY,
            Algorithm::Sha256 => Attribute::MESSAGE_INTEGRITY_SHA256,
        };
        self.attribute(attribute, &[&mac[..algorithm.len()]]);
    }

    /// Ends the message with its fingerprint.
    pub fn fingerprint(mut self) {
        self.state_length(8);
        let crc = crc32fast::hash(&self.out[self.start..]) ^ FINGERPRINT_XOR;
        self.attribute(Attribute::FINGERPRINT, &[&crc.to_be_bytes()]);
    }

    /// Sets the length field to what is written, and `more`.
    fn state_length(&mut self, more: usize) {
        let length = (self.out.len() - self.start - HEADER_LEN + more) as u16;
        self.out[self.start + 2..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }
}
