//! Header extension elements (RFC 8285): what stands in one, read and written.
//!
//! An element that stands for itself implements [`Element`]. The [dependency descriptor](dependency) can only be read
//! with the structure that an earlier packet brought, and has functions of its own.

mod audio;
pub mod dependency;
mod layers;
mod text;
mod time;
mod transport;
mod video;

pub use audio::{AudioLevel, MixedLevels};
pub use layers::{SpatialLayer, VideoLayersAllocation};
pub use text::{Mid, RepairedRid, Rid};
pub use time::{AbsCaptureTime, AbsSendTime};
pub use transport::{FeedbackRequest, TransportSequence, TransportSequenceV2};
pub use video::{PlayoutDelay, Rotation, VideoOrientation};

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

/// The only form of an element of fixed length.
fn exactly<const N: usize>(data: &[u8]) -> Result<[u8; N], ParseError> {
    match data.first_chunk() {
        Some(bytes) if data.len() == N => Ok(*bytes),
        Some(_) => Err(ParseError::Overrun),
        None => Err(ParseError::Truncated),
    }
}

/// What every element keeps to, for the tests of each.
#[cfg(test)]
mod check {
    use super::Element;
    use crate::ParseError;

    /// The element is written as `data`, and read back from it.
    #[track_caller]
    pub(super) fn both_ways<'a, E: Element<'a> + PartialEq + std::fmt::Debug>(element: &E, data: &'a [u8]) {
        let mut bytes = [0xa5; 300];
        let length = element.encoded_len();
        element.write(&mut bytes[..length]);
        assert_eq!(&bytes[..length], data);
        assert_eq!(E::parse(data).as_ref(), Ok(element));
    }

    #[track_caller]
    pub(super) fn refused<'a, E: Element<'a> + std::fmt::Debug>(data: &'a [u8], reason: ParseError) {
        assert_eq!(E::parse(data).map(|_| ()), Err(reason));
    }
}
