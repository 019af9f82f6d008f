//! What is looked at before `dimpl` sees it, as it would pass over it in silence or end because of it.

use super::record::records;
use crate::{DropReason, DtlsVersions};

/// What the first datagram of a server is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// A whole HelloVerifyRequest, HelloRetryRequest or ServerHello.
    Hello,
    /// A fatal alert.
    Alert(u8),
    Other,
}

impl First {
    // RFC 6347 §4.1 and §4.2.2: record header of 13 bytes, handshake header of 12.
    pub(super) fn of(datagram: &[u8]) -> Self {
        let Some((header, rest)) = datagram.split_first_chunk::<13>() else { return Self::Other };
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let Some(record) = rest.get(..length) else { return Self::Other };
        let is_clear = header[3..5] == [0, 0];
        match (header[0], record) {
            (21, [2, alert, ..]) if is_clear && *alert != 0 => Self::Alert(*alert),
            (22, [2 | 3, l0, l1, l2, _, _, 0, 0, 0, f0, f1, f2, body @ ..]) if is_clear => {
                let whole = u32::from_be_bytes([0, *l0, *l1, *l2]);
                let is_whole = whole == u32::from_be_bytes([0, *f0, *f1, *f2]) && body.len() >= whole as usize;
                if is_whole { Self::Hello } else { Self::Other }
            }
            _ => Self::Other,
        }
    }
}

/// A ClientHello of which nothing is missing, as one record.
pub(crate) struct Hello(Vec<u8>);

impl Hello {
    pub(super) fn record(&self) -> &[u8] {
        &self.0
    }

    /// Whether it offers a cipher suite for ECDSA certificates of these versions. `dimpl` passes over one without any, and
    /// its sender would learn nothing until all timers are over. What can't be read is let pass.
    pub(crate) fn offers_a_suite(&self, versions: DtlsVersions) -> bool {
        let Some(suites) = self.suites() else { return true };
        suites.as_chunks::<2>().0.iter().any(|&suite| {
            // RFC 5289, RFC 7905, RFC 8446 §B.4.
            let of_12 = matches!(u16::from_be_bytes(suite), 0xc02b | 0xc02c | 0xcca9);
            let of_13 = matches!(u16::from_be_bytes(suite), 0x1301..=0x1303);
            match versions {
                DtlsVersions::Dtls12 => of_12,
                DtlsVersions::Dtls13 => of_13,
                DtlsVersions::Both => of_12 || of_13,
            }
        })
    }

    /// Its cipher suites (RFC 6347 §4.2.1).
    fn suites(&self) -> Option<&[u8]> {
        let (_version_and_random, rest) = self.0.get(HEADERS..)?.split_at_checked(34)?;
        let (&session_len, rest) = rest.split_first()?;
        let (_session, rest) = rest.split_at_checked(session_len.into())?;
        let (&cookie_len, rest) = rest.split_first()?;
        let (_cookie, rest) = rest.split_at_checked(cookie_len.into())?;
        let (suites_len, rest) = rest.split_first_chunk::<2>()?;
        rest.get(..u16::from_be_bytes(*suites_len).into())
    }
}

/// Bytes before a fragment: record header of 13 (RFC 6347 §4.1), handshake header of 12 (§4.2.2).
const HEADERS: usize = 25;

/// Bytes of the largest ClientHello that is taken. Those of browsers have 1500.
const HELLO_MAX: usize = 8192;

/// The first ClientHello, put together from its fragments. With a key of ML-KEM it has two, and where Firefox sends it
/// again they may be others (RFC 6347 §4.2.3 allows that): `dimpl` in 1.2 knows no fragments that overlap.
#[derive(Default)]
pub(crate) struct Assembly {
    record: Vec<u8>,
    /// Which bytes of the message have come.
    came: Vec<bool>,
}

impl Assembly {
    /// Takes a datagram in. It is an error if there is no part of a first ClientHello in it.
    pub(crate) fn take(&mut self, datagram: &[u8]) -> Result<Option<Hello>, DropReason> {
        let fragments = records(datagram).filter_map(|record| self.take_record(record)).count();
        if fragments == 0 {
            return Err(DropReason::Dtls);
        }
        let is_whole = self.came.iter().all(|&came| came);
        Ok(is_whole.then(|| Hello(std::mem::take(self).record)))
    }

    fn take_record(&mut self, record: &[u8]) -> Option<()> {
        let (headers, fragment) = record.split_first_chunk::<HEADERS>()?;
        // A handshake record in the clear, and in it the message of number 0, a ClientHello.
        let [22, _, _, 0, 0, _, _, _, _, _, _, _, _, 1, l0, l1, l2, 0, 0, o0, o1, o2, f0, f1, f2] = *headers else {
            return None;
        };
        let [length, offset, part] = [[l0, l1, l2], [o0, o1, o2], [f0, f1, f2]].map(|[a, b, c]| {
            let number = u32::from_be_bytes([0, a, b, c]);
            number as usize
        });
        let (end, fragment) = (offset + part, fragment.get(..part)?);
        if length > HELLO_MAX || end > length {
            return None;
        }
        if self.came.len() != length {
            self.came = vec![false; length];
            // RFC 6347 §4.2.3: the message as if it had come as one.
            self.record = headers.to_vec();
            self.record[11..13].copy_from_slice(&(length as u16 + 12).to_be_bytes());
            self.record[19..22].fill(0);
            self.record[22..25].copy_from_slice(&[l0, l1, l2]);
            self.record.resize(HEADERS + length, 0);
        }
        self.record[HEADERS + offset..HEADERS + end].copy_from_slice(fragment);
        self.came[offset..end].fill(true);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_hello_is_first() {
        let record = |kind: u8, body: &[u8]| {
            let mut bytes = vec![kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend((body.len() as u16).to_be_bytes());
            bytes.extend(body);
            bytes
        };
        let hello = record(22, &[2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
        assert_eq!(First::of(&hello), First::Hello);
        for len in 0..hello.len() {
            assert_eq!(First::of(&hello[..len]), First::Other, "{len} bytes");
        }
        let fragment = record(22, &[2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
        assert_eq!(First::of(&fragment), First::Other);
        let certificate = record(22, &[11, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
        assert_eq!(First::of(&certificate), First::Other);
        assert_eq!(First::of(&record(21, &[2, 40])), First::Alert(40));
        assert_eq!(First::of(&record(21, &[1, 0])), First::Other);
        assert_eq!(First::of(&record(21, &[2])), First::Other);
    }

    /// A ClientHello of 48 bytes with this cipher suite, as one record.
    fn hello(suite: u16) -> Vec<u8> {
        let mut bytes = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 60, 1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48];
        bytes.extend([7; 34]);
        bytes.extend([1, 9, 2, 8, 8, 0, 4, 0xc0, 0x2f]);
        bytes.extend(suite.to_be_bytes());
        bytes.extend([1, 0, 0]);
        bytes
    }

    /// Some bytes of its message, as a record of their own.
    fn fragment(hello: &[u8], part: std::ops::Range<usize>) -> Vec<u8> {
        let mut bytes = [&hello[..HEADERS], &hello[HEADERS..][part.clone()]].concat();
        (bytes[12], bytes[21], bytes[24]) = (part.len() as u8 + 12, part.start as u8, part.len() as u8);
        bytes
    }

    #[test]
    fn a_hello_without_a_suite_of_ours_is_seen() {
        use DtlsVersions::{Both, Dtls12, Dtls13};
        for (suite, expected) in [
            (0xc030, [false, false, false]), // ECDHE with RSA
            (0xc02c, [true, false, true]),
            (0x1301, [false, true, true]),
        ] {
            let hello = Assembly::default().take(&hello(suite)).unwrap().unwrap();
            assert_eq!([Dtls12, Dtls13, Both].map(|versions| hello.offers_a_suite(versions)), expected);
        }
        // What is too short to say is left to others.
        for len in 0..46 {
            let short = Hello(hello(0xc030)[..HEADERS + len].to_vec());
            assert_eq!(short.offers_a_suite(Dtls12), len < 45, "{len} bytes");
        }
    }

    #[test]
    fn fragments_come_together_whichever_they_are() {
        let whole = hello(0xc02b);
        for order in [
            &[0..48, 0..48][..1],
            &[0..20, 20..48],
            &[20..48, 0..20],
            &[0..30, 20..48],
            &[30..48, 0..10, 5..35],
            &[0..20, 0..20, 30..48, 0..48],
        ] {
            let mut assembly = Assembly::default();
            let (last, before) = order.split_last().unwrap();
            for part in before {
                assert!(assembly.take(&fragment(&whole, part.clone())).unwrap().is_none(), "{order:?}");
            }
            let hello = assembly.take(&fragment(&whole, last.clone())).unwrap().expect("whole");
            assert_eq!(hello.record(), whole, "{order:?}");
        }
        // Two records in one datagram, and between them one of another kind.
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0];
        let datagram = [&fragment(&whole, 0..20)[..], &alert, &fragment(&whole, 20..48)].concat();
        assert_eq!(Assembly::default().take(&datagram).unwrap().unwrap().record(), whole);
    }

    #[test]
    fn what_is_no_part_of_a_first_hello_is_refused() {
        let whole = hello(0xc02b);
        let mut assembly = Assembly::default();
        assert!(assembly.take(&fragment(&whole, 0..20)).unwrap().is_none());
        // Another content type, epoch, message, number, or a fragment beyond the message or without all of its bytes.
        for (place, value) in [(0, 21), (4, 1), (13, 2), (18, 1), (21, 1), (24, 49)] {
            let mut bytes = whole.clone();
            bytes[place] = value;
            assert_eq!(assembly.take(&bytes).err(), Some(DropReason::Dtls), "byte {place}");
        }
        assert_eq!(assembly.take(&whole[..whole.len() - 1]).err(), Some(DropReason::Dtls));
        // One byte too long.
        let mut long = fragment(&whole, 0..20);
        long[14..17].copy_from_slice(&(HELLO_MAX as u32 + 1).to_be_bytes()[1..]);
        assert_eq!(assembly.take(&long).err(), Some(DropReason::Dtls));
        assert_eq!(assembly.take(&fragment(&whole, 20..48)).unwrap().unwrap().record(), whole);
        // One of another length begins anew.
        assert!(assembly.take(&fragment(&whole, 0..20)).unwrap().is_none());
        let mut other = fragment(&whole, 20..48);
        other[16] = 49;
        assert!(assembly.take(&other).unwrap().is_none());
        assert!(assembly.take(&fragment(&whole, 20..48)).unwrap().is_none());
    }
}
