//! The records of a datagram.

/// Takes a datagram apart (RFC 6347 §4.1, RFC 9147 §4). What follows a record without a length, or is cut short, is one
/// with it.
pub(super) fn records(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (record, rest) = length(datagram).and_then(|length| datagram.split_at_checked(length))?;
        datagram = rest;
        Some(record)
    })
}

/// Bytes of the first record; `None` if there is none.
fn length(datagram: &[u8]) -> Option<usize> {
    let first = *datagram.first()?;
    // RFC 9147 §4: 001CSLEE. A connection id, C, is none that was asked for.
    let at = match first {
        0b0010_0000..0b0100_0000 if first & 0b0001_0100 != 0b0100 => return Some(datagram.len()),
        0b0010_0000..0b0100_0000 if first & 0b1000 == 0 => 2,
        0b0010_0000..0b0100_0000 => 3,
        _ => 11,
    };
    let length = datagram.get(at..).and_then(<[u8]>::first_chunk).map(|&length| u16::from_be_bytes(length));
    Some(length.map_or(datagram.len(), |length| (at + 2 + usize::from(length)).min(datagram.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_comes_apart_into_its_records() {
        let clear = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 7, 7];
        let short = [0b0010_0110, 9, 0, 3, 1, 2, 3];
        let long = [0b0010_1110, 9, 9, 0, 1, 5];
        let endless = [0b0010_0010, 9, 4, 4, 4];
        let datagram = [&clear[..], &short, &clear, &long, &endless].concat();
        let expected = [&clear[..], &short, &clear, &long, &endless];
        assert!(records(&datagram).eq(expected));
        // One that is cut short comes as it is.
        for cut in 1..clear.len() {
            assert!(records(&datagram[..22 + cut]).eq([&clear[..], &short, &clear[..cut]]), "{cut} bytes");
        }
        assert_eq!(records(&[]).count(), 0);
    }
}
