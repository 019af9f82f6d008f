//! The number of a packet among all that its transport carries.

use super::{Element, exactly};
use crate::{Error, ParseError, SeqNo};

/// The transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
///
/// It counts the packets of all streams of one transport, modulo 2^16, and each retransmission anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportSequence(pub SeqNo);

impl Element<'_> for TransportSequence {
    const URI: &'static str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

    fn parse(data: &[u8]) -> Result<Self, ParseError> {
        exactly(data).map(|bytes| Self(SeqNo(u16::from_be_bytes(bytes))))
    }

    fn encoded_len(&self) -> usize {
        2
    }

    fn write(&self, data: &mut [u8]) {
        data.copy_from_slice(&self.0.0.to_be_bytes());
    }
}

/// The transport-wide sequence number with a request for feedback (libwebrtc, `transport-wide-cc-02`).
///
/// Where this is negotiated, feedback is sent only when asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportSequenceV2 {
    /// As in [`TransportSequence`].
    pub sequence: SeqNo,
    /// A request for feedback at once.
    pub request: Option<FeedbackRequest>,
}

/// What feedback shall tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedbackRequest {
    timing: bool,
    count: u16,
}

impl FeedbackRequest {
    const COUNT_MAX: u16 = 0x7fff;

    /// Asks for the last `count` packets, this one included, with arrival times if `timing`. A count of 0 asks for
    /// nothing: it is there so that elements can keep one length.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if the count is above 32,767.
    pub const fn new(timing: bool, count: u16) -> Result<Self, Error> {
        if count > Self::COUNT_MAX {
            return Err(Error::OutOfRange);
        }
        Ok(Self { timing, count })
    }

    /// Whether the feedback shall have arrival times.
    pub const fn timing(self) -> bool {
        self.timing
    }

    /// How many packets the feedback shall cover: 0 to 32,767.
    pub const fn count(self) -> u16 {
        self.count
    }
}

impl Element<'_> for TransportSequenceV2 {
    const URI: &'static str = "http://www.webrtc.org/experiments/rtp-hdrext/transport-wide-cc-02";

    fn parse(data: &[u8]) -> Result<Self, ParseError> {
        if let Ok(TransportSequence(sequence)) = TransportSequence::parse(data) {
            return Ok(Self { sequence, request: None });
        }
        let [high, low, request @ ..] = exactly::<4>(data)?;
        let request = u16::from_be_bytes(request);
        let request = FeedbackRequest { timing: request >> 15 == 1, count: request & FeedbackRequest::COUNT_MAX };
        Ok(Self { sequence: SeqNo(u16::from_be_bytes([high, low])), request: Some(request) })
    }

    fn encoded_len(&self) -> usize {
        if self.request.is_some() { 4 } else { 2 }
    }

    fn write(&self, data: &mut [u8]) {
        let sequence = self.sequence.0.to_be_bytes();
        match self.request {
            None => data.copy_from_slice(&sequence),
            Some(FeedbackRequest { timing, count }) => {
                let request = (u16::from(timing) << 15 | count).to_be_bytes();
                data.copy_from_slice(&[sequence[0], sequence[1], request[0], request[1]]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{both_ways, refused};
    use super::*;

    #[test]
    fn sequence_is_two_bytes() {
        both_ways(&TransportSequence(SeqNo(0x1234)), &[0x12, 0x34]);
        refused::<TransportSequence>(&[0x12], ParseError::Truncated);
        refused::<TransportSequence>(&[0x12, 0x34, 0], ParseError::Overrun);
    }

    #[test]
    fn the_second_version_may_ask_for_feedback() {
        both_ways(&TransportSequenceV2 { sequence: SeqNo(0x1234), request: None }, &[0x12, 0x34]);
        let request = FeedbackRequest::new(true, 0x0102).ok();
        both_ways(&TransportSequenceV2 { sequence: SeqNo(7), request }, &[0, 7, 0x81, 2]);
        let request = FeedbackRequest::new(false, 0).ok();
        both_ways(&TransportSequenceV2 { sequence: SeqNo(7), request }, &[0, 7, 0, 0]);
        refused::<TransportSequenceV2>(&[0, 7, 0], ParseError::Truncated);
        refused::<TransportSequenceV2>(&[0, 7, 0, 0, 0], ParseError::Overrun);
        assert_eq!(FeedbackRequest::new(false, 0x8000), Err(Error::OutOfRange));
    }
}
