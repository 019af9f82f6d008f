//! What is looked at, and changed, in packets of SCTP (RFC 9260 §3).

use crc::{CRC_32_ISCSI, Crc, Table};

/// Bytes of the common header: ports, verification tag, checksum.
const HEADER: usize = 12;

const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// Types of chunks.
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const INIT: u8 = 1;
    pub(crate) const INIT_ACK: u8 = 2;
    pub(crate) const SACK: u8 = 3;
    pub(crate) const HEARTBEAT: u8 = 4;
    pub(crate) const ABORT: u8 = 6;
    pub(crate) const ERROR: u8 = 9;
    pub(crate) const COOKIE_ECHO: u8 = 10;
    pub(crate) const RE_CONFIG: u8 = 130;
    pub(crate) const FORWARD_TSN: u8 = 192;
    pub(crate) const I_FORWARD_TSN: u8 = 194;
}

/// The chunks of a packet: type and value. It ends early where they are not whole.
pub(super) fn chunks(packet: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    parts(packet.get(HEADER..).unwrap_or_default()).map(|(head, value)| (head[0], value))
}

/// Chunks or parameters: two bytes of type, two of length with these four, padded to four.
pub(super) fn parts(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 2], &[u8])> {
    std::iter::from_fn(move || {
        let &[k0, k1, l0, l1] = rest.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(([k0, k1], value))
    })
}

pub(super) fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(place..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(place..)?.first_chunk()?))
}

/// RFC 9260 §1.6: whether one TSN comes after another.
pub(super) const fn is_after(tsn: u32, other: u32) -> bool {
    (tsn.wrapping_sub(other) as i32) > 0
}

/// Ports and tag of the packets that go one way.
pub(super) type Address = [u8; 8];

pub(super) fn address(packet: &[u8]) -> Option<Address> {
    packet.first_chunk().copied()
}

/// A packet with one chunk.
pub(super) fn packet(address: Address, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = address.to_vec();
    bytes.extend([0; 4]);
    bytes.extend([kind, 0]);
    bytes.extend((value.len() as u16 + 4).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    seal(&mut bytes);
    bytes
}

/// Writes the checksum (RFC 9260 appendix A).
pub(super) fn seal(packet: &mut [u8]) {
    let Some(field) = packet.get_mut(8..HEADER) else { return };
    field.fill(0);
    let checksum = CRC.checksum(packet).to_le_bytes();
    packet[8..HEADER].copy_from_slice(&checksum);
}

/// A SACK that fits a packet and says our own window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sack {
    address: Address,
    /// Cumulative TSN.
    tsn: [u8; 4],
    gaps: Vec<u8>,
}

impl Sack {
    /// Gap blocks beyond these say less than the next SACK will.
    const GAPS_MAX: usize = 256;

    /// The SACK of a packet that has nothing else in it, and the window that it says.
    pub(super) fn read(packet: &[u8]) -> Option<(Self, u32)> {
        let mut all = chunks(packet);
        let (kind::SACK, value) = all.next()? else { return None };
        if all.next().is_some() {
            return None;
        }
        let window = u32_at(value, 4)?;
        let gaps = usize::from(u16_at(value, 8)?).min(Self::GAPS_MAX);
        let gaps = value.get(12..12 + 4 * gaps)?.to_vec();
        Some((Self { address: address(packet)?, tsn: *value.first_chunk()?, gaps }, window))
    }

    /// Up to where all has come.
    pub(super) const fn tsn(&self) -> u32 {
        u32::from_be_bytes(self.tsn)
    }

    pub(super) fn write(&self, window: u32) -> Vec<u8> {
        let mut value = self.tsn.to_vec();
        value.extend(window.to_be_bytes());
        value.extend((self.gaps.len() as u16 / 4).to_be_bytes());
        value.extend([0; 2]);
        value.extend(&self.gaps);
        packet(self.address, kind::SACK, &value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9260 appendix A has no vector; this is CRC-32/ISCSI of "123456789" in the catalogue of parametrised CRCs.
    #[test]
    fn the_checksum_is_crc32c() {
        assert_eq!(CRC.checksum(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn parts_that_are_not_whole_end_it() {
        let bytes = [0, 1, 0, 5, 9, 0, 0, 0, 0, 2, 0, 4, 0, 3, 0, 9, 1];
        let all: Vec<_> = parts(&bytes).collect();
        assert_eq!(all, [([0, 1], &[9][..]), ([0, 2], &[])]);
        assert_eq!(parts(&[0, 1, 0, 3]).count(), 0, "a length below its own four bytes");
        assert_eq!(chunks(&[0; 11]).count(), 0);
    }

    #[test]
    fn a_sack_says_our_window_and_fits() {
        let mut value = vec![0, 0, 0, 7, 0, 0, 1, 0, 2, 0, 0, 1];
        for gap in 0..512_u16 {
            value.extend((2 * gap + 2).to_be_bytes());
            value.extend((2 * gap + 2).to_be_bytes());
        }
        value.extend([0, 0, 0, 3]);
        let bytes = packet([0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4], kind::SACK, &value);
        let (sack, window) = Sack::read(&bytes).unwrap();
        assert_eq!(window, 256);
        let written = sack.write(99);
        assert_eq!(written.len(), 12 + 16 + 4 * 256);
        assert_eq!(Sack::read(&written), Some((sack, 99)));
        let mut sealed = written.clone();
        seal(&mut sealed);
        assert_eq!(sealed, written);
    }
}
