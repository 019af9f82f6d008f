//! Which header extension element has which id.

use plenary_rtp::extension::{
    AbsCaptureTime, AbsSendTime, AudioLevel, Element, Mid, PlayoutDelay, RepairedRid, Rid, TransportSequence,
    VideoLayersAllocation, VideoOrientation, dependency,
};

/// The ids of header extension elements in one session, as they were negotiated; 0 is none, as no element has that id.
///
/// Within a BUNDLE group an id means the same in every section (RFC 8843 §9.2), so that a session has one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// MID, RFC 9143.
    pub mid: u8,
    /// RID, RFC 8852.
    pub rid: u8,
    /// RID of what a retransmission repairs, RFC 8852.
    pub repaired_rid: u8,
    /// AV1's dependency descriptor, for any codec.
    pub dependency_descriptor: u8,
    /// Client-to-mixer audio level, RFC 6464.
    pub audio_level: u8,
    /// Transport-wide sequence number.
    pub transport_sequence: u8,
    /// Absolute send time.
    pub send_time: u8,
    /// Absolute capture time.
    pub capture_time: u8,
    /// Coordination of video orientation.
    pub orientation: u8,
    /// Video layers allocation.
    pub layers_allocation: u8,
    /// Playout delay.
    pub playout_delay: u8,
}

impl Extensions {
    /// Takes note of the id of the element with this URI, and says whether it is one that is known here.
    pub fn set(&mut self, uri: &str, id: u8) -> bool {
        let field = match uri {
            Mid::URI => &mut self.mid,
            Rid::URI => &mut self.rid,
            RepairedRid::URI => &mut self.repaired_rid,
            dependency::URI => &mut self.dependency_descriptor,
            AudioLevel::URI => &mut self.audio_level,
            TransportSequence::URI => &mut self.transport_sequence,
            AbsSendTime::URI => &mut self.send_time,
            AbsCaptureTime::URI => &mut self.capture_time,
            VideoOrientation::URI => &mut self.orientation,
            VideoLayersAllocation::URI => &mut self.layers_allocation,
            PlayoutDelay::URI => &mut self.playout_delay,
            _ => return false,
        };
        *field = id;
        true
    }
}
