//! STUN by hand, to say what no agent says.

use hmac::{Hmac, Mac};
use plenary_ice::Credentials;
use sha1::Sha1;

pub(crate) const REQUEST: u16 = 0x0001;
pub(crate) const SUCCESS: u16 = 0x0101;
pub(crate) const ERROR: u16 = 0x0111;

pub(crate) const PRIORITY: u16 = 0x0024;
pub(crate) const USE_CANDIDATE: u16 = 0x0025;
pub(crate) const USERNAME: u16 = 0x0006;
pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub(crate) const ERROR_CODE: u16 = 0x0009;
pub(crate) const ICE_CONTROLLED: u16 = 0x8029;
pub(crate) const ICE_CONTROLLING: u16 = 0x802a;
pub(crate) const NOMINATION: u16 = 0xc001;

/// A message under construction.
#[derive(Clone, Debug)]
pub(crate) struct Stun {
    pub(crate) bytes: Vec<u8>,
}

impl Stun {
    pub(crate) fn new(kind: u16, transaction: [u8; 12]) -> Self {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend([0, 0, 0x21, 0x12, 0xa4, 0x42]);
        bytes.extend(transaction);
        Self { bytes }
    }

    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend((value.len() as u16).to_be_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.length(0);
        self
    }

    fn length(&mut self, more: usize) {
        let length = (self.bytes.len() - 20 + more) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }

    pub(crate) fn signed(mut self, password: &str) -> Self {
        self.length(24);
        let mut mac = Hmac::<Sha1>::new_from_slice(password.as_bytes()).unwrap();
        mac.update(&self.bytes);
        let mac = mac.finalize().into_bytes();
        self.with(0x0008, &mac)
    }

    pub(crate) fn fingerprint(mut self) -> Vec<u8> {
        self.length(8);
        let crc = crc32fast::hash(&self.bytes) ^ 0x5354_554e;
        self.with(0x8028, &crc.to_be_bytes()).bytes
    }
}

/// A check as the peer `theirs` sends it to the agent with the credentials `ours`.
pub(crate) fn check(ours: &Credentials, number: u8) -> Stun {
    Stun::new(REQUEST, [number; 12])
        .with(USERNAME, format!("{}:peer", ours.ufrag()).as_bytes())
        .with(PRIORITY, &0x6e00_1eff_u32.to_be_bytes())
}

/// The attributes of a message.
pub(crate) fn attributes(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = &bytes[20..];
    while rest.len() >= 4 {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        found.push((u16::from_be_bytes([rest[0], rest[1]]), rest[4..4 + length].to_vec()));
        rest = &rest[4 + length.next_multiple_of(4)..];
    }
    found
}

pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<Vec<u8>> {
    attributes(bytes).into_iter().find(|(known, _)| *known == kind).map(|(_, value)| value)
}

/// The code of an error response, or 0 of a success.
pub(crate) fn code(bytes: &[u8]) -> u16 {
    match u16::from_be_bytes([bytes[0], bytes[1]]) {
        SUCCESS => 0,
        ERROR => attribute(bytes, ERROR_CODE).map(|it| u16::from(it[2]) * 100 + u16::from(it[3])).unwrap(),
        kind => panic!("no response: {kind:#06x}"),
    }
}

/// A success response to the request, as seen from `mapped`.
pub(crate) fn success(request: &[u8], mapped: [u8; 4], port: u16, password: &str) -> Vec<u8> {
    let mut value = vec![0, 1];
    value.extend((port ^ 0x2112).to_be_bytes());
    value.extend((u32::from_be_bytes(mapped) ^ 0x2112_a442).to_be_bytes());
    let transaction = request[8..20].try_into().unwrap();
    Stun::new(SUCCESS, transaction).with(XOR_MAPPED_ADDRESS, &value).signed(password).fingerprint()
}

pub(crate) fn error(request: &[u8], code: u16, password: &str) -> Vec<u8> {
    let transaction = request[8..20].try_into().unwrap();
    let value = [0, 0, (code / 100) as u8, (code % 100) as u8];
    Stun::new(ERROR, transaction).with(ERROR_CODE, &value).signed(password).fingerprint()
}
