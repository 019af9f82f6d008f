//! One peer connection: a transport, what comes in by it, and the slots that go out over it.

mod incoming;
mod pending;
mod placement;
mod release;
mod reports;

use std::time::Duration;

use plenary_bwe::receiver::TwccGenerator;
use plenary_rtp::Ssrc;
use plenary_stream::{RoundTrip, Schedule};
use plenary_transport::Transport;

use crate::extensions::Extensions;
use crate::ids::{SessionKey, TrackKey};
use crate::negotiation::Negotiation;
use crate::slot::Slot;

pub(crate) use incoming::{Incoming, Place};
use pending::Pending;
pub(crate) use pending::SLOTS_MAX;
pub(crate) use placement::Fit;
use release::Repairs;
pub(crate) use release::{Notes, Release};
use reports::{Compound, twcc};

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) session: SessionKey,
    pub(crate) transport: Transport,
    /// Ids of what it sends.
    pub(crate) extensions: Extensions,
    /// Ids of what it takes.
    pub(crate) sent_extensions: Extensions,
    pub(crate) negotiation: Negotiation,
    /// What is published over it.
    pub(crate) tracks: Vec<TrackKey>,
    pub(crate) incoming: Incoming,
    pub(crate) slots: Vec<Slot>,
    pending: Pending,
    repairs: Repairs,
    /// Whether it stands in the queue of those that may have something to send.
    pub(crate) is_queued: bool,
    /// Whether it stands in the queue of those that may have something to tell.
    pub(crate) is_telling: bool,
    /// Whether that may be more than media. Media alone changes neither what the transport and RTCP have to send nor when.
    pub(crate) is_stirred: bool,
    /// Its transport has closed, and its slots are empty since.
    pub(crate) is_over: bool,
    pub(crate) schedule: Schedule,
    /// Its own name in reports.
    pub(crate) ssrc: Ssrc,
    pub(crate) round_trip: RoundTrip,
    /// When its packets came.
    pub(crate) twcc: TwccGenerator,
    /// Scratch, for the segments of a run.
    run: Vec<plenary_srtp::Segment>,
    compound: Compound,
}

impl Connection {
    pub(crate) fn new(
        session: SessionKey,
        transport: Transport,
        negotiation: Negotiation,
        schedule: Schedule,
        ssrc: Ssrc,
    ) -> Self {
        Self {
            session,
            transport,
            extensions: Extensions::default(),
            sent_extensions: Extensions::default(),
            negotiation,
            tracks: Vec::new(),
            incoming: Incoming::default(),
            slots: Vec::new(),
            pending: Pending::default(),
            repairs: Repairs::default(),
            is_queued: false,
            is_telling: false,
            is_stirred: false,
            is_over: false,
            schedule,
            ssrc,
            round_trip: RoundTrip::new(),
            twcc: twcc(ssrc),
            run: Vec::new(),
            compound: Compound::default(),
        }
    }

    /// Whether media may flow.
    pub(crate) fn is_connected(&self) -> bool {
        let transport = &self.transport;
        transport.profile().is_some() && transport.path().is_some() && transport.closed().is_none()
    }

    /// There is something new for this slot.
    pub(crate) fn mark(&mut self, slot: u16) {
        if let Some(it) = self.slots.get(usize::from(slot)) {
            self.pending.insert(slot, it.config.kind);
        }
    }

    /// Takes a sample of the round-trip time, and tells all that go by it.
    pub(crate) fn handle_round_trip(&mut self, sample: Duration) {
        self.round_trip.handle_sample(sample);
        if let Some(smoothed) = self.round_trip.smoothed() {
            self.slots.iter_mut().for_each(|slot| slot.set_round_trip(smoothed));
        }
    }
}
