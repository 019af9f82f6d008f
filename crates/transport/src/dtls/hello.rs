//! What is looked at before `dimpl` sees it, as it would pass over it in silence or end because of it.

use crate::DtlsVersions;

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

/// Whether a client's first datagram offers a cipher suite for ECDSA certificates of these versions. `dimpl` passes over
/// a ClientHello without any, and its sender would learn nothing until all timers are over. Anything else is let pass.
pub(crate) fn offers_a_suite(datagram: &[u8], versions: DtlsVersions) -> bool {
    let Some(suites) = suites(datagram) else { return true };
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

/// The cipher suites of a ClientHello of which this is the whole or the first fragment (RFC 6347 §4.2.1); `None` if it
/// is none, or they are not all in it.
fn suites(datagram: &[u8]) -> Option<&[u8]> {
    let (record, rest) = datagram.split_first_chunk::<13>()?;
    let (handshake, body) = rest.split_first_chunk::<12>()?;
    if record[0] != 22 || handshake[0] != 1 || handshake[6..9] != [0, 0, 0] {
        return None;
    }
    let (_version_and_random, rest) = body.split_at_checked(34)?;
    let (&session_len, rest) = rest.split_first()?;
    let (_session, rest) = rest.split_at_checked(session_len.into())?;
    let (&cookie_len, rest) = rest.split_first()?;
    let (_cookie, rest) = rest.split_at_checked(cookie_len.into())?;
    let (suites_len, rest) = rest.split_first_chunk::<2>()?;
    rest.get(..u16::from_be_bytes(*suites_len).into())
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

    #[test]
    fn a_hello_without_a_suite_of_ours_is_seen() {
        let hello = |suite: u16| {
            let mut bytes = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48];
            bytes.extend([7; 34]);
            bytes.extend([1, 9, 2, 8, 8, 0, 4, 0xc0, 0x2f]);
            bytes.extend(suite.to_be_bytes());
            bytes
        };
        use DtlsVersions::{Both, Dtls12, Dtls13};
        for (suite, expected) in [
            (0xc030, [false, false, false]), // ECDHE with RSA
            (0xc02c, [true, false, true]),
            (0x1301, [false, true, true]),
        ] {
            let hello = hello(suite);
            assert_eq!([Dtls12, Dtls13, Both].map(|versions| offers_a_suite(&hello, versions)), expected);
            // A part of it proves nothing.
            for len in 0..hello.len() {
                assert!(offers_a_suite(&hello[..len], Dtls12), "{len} bytes");
            }
        }
    }
}
