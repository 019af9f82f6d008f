//! Header extension elements (RFC 8285): what stands in one, read and written.

use crate::ParseError;

/// The content of one header extension element, as a type.
///
/// Which id carries which element is negotiated by [`URI`](Self::URI); the id is not part of the content.
pub trait Element<'a>: Sized {
    /// What names the element in an `a=extmap` line.
    const URI: &'static str;

    /// Reads the whole of an element's data.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the data is not of the form that the element's specification gives.
    fn parse(data: &'a [u8]) -> Result<Self, ParseError>;

    /// How many bytes [`write`](Self::write) fills.
    fn encoded_len(&self) -> usize;

    /// Writes the element's data.
    ///
    /// # Panics
    ///
    /// If `data` is not [`encoded_len`](Self::encoded_len) bytes long.
    fn write(&self, data: &mut [u8]);
}
