//! The words that the machines of the oracle speak with each other. None begins as STUN does.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use plenary_wire::{Ecn, FlowId, Transmit};

/// To a server: what is my address?
pub(crate) const TELL: u8 = 0x51;
pub(crate) const TOLD: u8 = 0x52;
/// From peer to peer; then who asks, and where it was sent.
pub(crate) const PROBE: u8 = 0x53;
/// What is said back to it, with the same.
pub(crate) const ECHO: u8 = 0x54;
/// Media: the first byte of RTP.
pub(crate) const MEDIA: u8 = 0x80;
/// To a server and back, before a stream is of use: what TLS comes to.
pub(crate) const HELLO: u8 = 0x9f;
/// To a server: give me an address of this family.
pub(crate) const ALLOCATE: u8 = 0xa0;
pub(crate) const ALLOCATED: u8 = 0xa1;
/// To a relay: send this to that address.
pub(crate) const SEND: u8 = 0xa2;
/// From a relay: this came from that address.
pub(crate) const DATA: u8 = 0xa3;

/// What a machine sends.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) flow: FlowId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Piece {
    pub(crate) fn write(self, out: &mut Vec<u8>) -> Transmit {
        let Self { flow, local, remote, bytes } = self;
        let start = out.len();
        out.extend_from_slice(&bytes);
        Transmit { flow, local, remote, range: start..out.len(), segment: bytes.len(), ecn: Ecn::NotEct }
    }
}

/// Bytes of a packet of media at least: the header of RTP, and a number.
const MEDIA_LEN: usize = 16;

/// With a length that needs padding of each kind in its turn, where it is padded.
pub(crate) fn media(number: u32) -> Vec<u8> {
    let mut bytes = vec![0; MEDIA_LEN + number as usize % 4];
    bytes[0] = MEDIA;
    bytes[12..MEDIA_LEN].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The number of a packet of media; `None` if it is none, or not as it was sent.
pub(crate) fn number_of(bytes: &[u8]) -> Option<u32> {
    bytes.first().filter(|first| **first == MEDIA)?;
    let number = u32::from_be_bytes(*bytes.get(12..)?.first_chunk()?);
    (bytes == media(number)).then_some(number)
}

/// The length of a word with its address.
pub(crate) const HEAD: usize = 19;

pub(crate) fn with_address(word: u8, address: SocketAddr, rest: &[u8]) -> Vec<u8> {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = vec![word];
    bytes.extend(ip.octets());
    bytes.extend(address.port().to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// The address after the first byte.
pub(crate) fn address_of(bytes: &[u8]) -> SocketAddr {
    let ip: [u8; 16] = bytes[1..17].try_into().expect("16 bytes were taken");
    SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), u16::from_be_bytes([bytes[17], bytes[18]]))
}

pub(crate) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = (bytes.len() as u16).to_be_bytes().to_vec();
    frame.extend(bytes);
    frame
}

/// Frames of a stream: 16 bits of length, and so many bytes.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.bytes.extend(bytes);
        let mut frames = Vec::new();
        while let Some(head) = self.bytes.first_chunk::<2>() {
            let end = 2 + usize::from(u16::from_be_bytes(*head));
            if self.bytes.len() < end {
                break;
            }
            frames.push(self.bytes[2..end].to_vec());
            self.bytes.drain(..end);
        }
        frames
    }
}
