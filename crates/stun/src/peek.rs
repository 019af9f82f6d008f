use crate::Attribute;
use crate::message::{ATTRIBUTES_MAX, HEADER_LEN, MAGIC_COOKIE};

/// Bytes of a name that are looked at: RFC 8489 §14.3 has 508, others sent 513.
const USERNAME_MAX: usize = 513;

/// The USERNAME of a datagram that is a Binding request and has one: nothing else of it is looked at. For whoever has to
/// find out whose a request is.
#[must_use]
pub fn request_username(bytes: &[u8]) -> Option<&[u8]> {
    let (header, mut rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    if header[..2] != [0, 1] || header[4..8] != MAGIC_COOKIE {
        return None;
    }
    for _ in 0..ATTRIBUTES_MAX {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if u16::from_be_bytes([head[0], head[1]]) == Attribute::USERNAME.0 {
            return tail.get(..length.min(USERNAME_MAX));
        }
        rest = tail.get(length.next_multiple_of(4)..)?;
    }
    None
}
