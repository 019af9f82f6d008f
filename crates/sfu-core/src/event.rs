use plenary_rtp::{RtpTime, Ssrc};

use crate::ids::{SessionId, SubscriptionId, TrackId};

/// Something that the caller should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A session's media may flow.
    Connected(SessionId),
    /// A session's transport tells or asks something: candidates, names, streams.
    Ice(SessionId, plenary_ice::Event),
    /// A session's transport is over. The session stays until [`Sfu::leave`](crate::Sfu::leave).
    Closed(SessionId, plenary_transport::CloseReason),
    /// What a slot shows has changed.
    Slot(SlotChange),
}

/// What a slot shows from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// The subscriber.
    pub session: SessionId,
    /// The slot's MID.
    pub mid: String,
    /// What is in it; `None` if it is empty: the page hides what it still shows.
    pub content: Option<SlotContent>,
}

/// What is in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotContent {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The track.
    pub track: TrackId,
    /// Who publishes it.
    pub source: SessionId,
    /// The layer that is sent; `None` while nothing is, for want of a key frame or as it is paused.
    pub layer: Option<u8>,
    /// The first timestamp of what is sent now: what was shown before it is of another source. `None` with no layer.
    pub timestamp: Option<RtpTime>,
    /// The contributing source in its packets, if it is sound.
    pub csrc: Ssrc,
}
