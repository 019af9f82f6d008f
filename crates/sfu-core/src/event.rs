use plenary_rtp::{RtpTime, Ssrc};

use crate::ids::{SessionId, SubscriptionId, TrackId, TransportId};

/// Something that the caller should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A transport's media may flow.
    Connected(TransportId),
    /// A transport tells or asks something: candidates, names, streams.
    Ice(TransportId, plenary_ice::Event),
    /// A transport is over: its peer has said goodbye, or it came to no keys. What was in its slots has gone to others of
    /// its session, or waits for one. It stays, and with it what is published over it, until
    /// [`Sfu::remove_transport`](crate::Sfu::remove_transport) or [`Sfu::leave`](crate::Sfu::leave).
    ///
    /// One that has lost its path is not: that is told by [`Ice`](Self::Ice), and it may come back by
    /// [`Sfu::restart_ice`](crate::Sfu::restart_ice).
    Closed(TransportId, plenary_transport::CloseReason),
    /// What a slot shows has changed.
    Slot(SlotChange),
    /// A client is to be told this description, and to answer it: [`Sfu::handle_answer`](crate::Sfu::handle_answer). There
    /// is one at a time for each transport; what changes until it is answered comes with the next.
    Offer {
        /// Whose.
        transport: TransportId,
        /// Goes with the answer. Counts up from 1.
        version: u64,
        /// The text.
        sdp: String,
    },
    /// A client publishes what it was asked for, or what it offered by itself. What was published in that section before
    /// is over.
    Published {
        /// Who.
        session: SessionId,
        /// Over which.
        transport: TransportId,
        /// What: [`Sfu::track`](crate::Sfu::track).
        track: TrackId,
        /// The section.
        mid: String,
    },
    /// A client does not publish in this section: it has stopped, or does not do what it was asked for.
    Unpublished {
        /// Who.
        session: SessionId,
        /// Over which.
        transport: TransportId,
        /// What it published; `None` if it never did.
        track: Option<TrackId>,
        /// The section.
        mid: String,
    },
    /// A publisher sends packets in a payload type that was not agreed on, which are dropped: told once of each.
    UnknownPayloadType {
        /// Over which they come.
        transport: TransportId,
        /// What they are said to be of.
        track: TrackId,
        /// Theirs.
        payload_type: u8,
    },
    /// A subscription that waits for a slot gets none: the subscriber's answers have left out the track's codec.
    NoCommonCodec(SubscriptionId),
}

impl Event {
    /// The transport that it is about.
    pub(crate) const fn transport(&self) -> Option<TransportId> {
        match self {
            Self::Connected(transport)
            | Self::Ice(transport, _)
            | Self::Closed(transport, _)
            | Self::Slot(SlotChange { transport, .. })
            | Self::Offer { transport, .. }
            | Self::Published { transport, .. }
            | Self::Unpublished { transport, .. }
            | Self::UnknownPayloadType { transport, .. } => Some(*transport),
            Self::NoCommonCodec(_) => None,
        }
    }
}

/// What a slot shows from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// The subscriber's.
    pub transport: TransportId,
    /// The slot's MID on it.
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
    /// The slot beside it, of the same pair and transport, has what belongs with it: the browser plays both in step.
    pub synced: bool,
}
