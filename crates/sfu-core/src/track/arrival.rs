//! From a packet that came in to the log of its layer.

use std::time::Instant;

use plenary_rtp::payload::rtx;
use plenary_rtp::{ExtendedSeqNo, Packet, PacketMut};
use plenary_stream::{Received, Repair};

use super::{Kind, Track};
use crate::DropReason;
use crate::extensions::Extensions;
use crate::frame::Facts;

impl Track {
    /// Keeps a packet of a layer, and says whether its readers are to be told.
    ///
    /// # Errors
    ///
    /// Why it was dropped.
    pub(crate) fn receive(
        &mut self,
        layer: u8,
        packet: &Packet<'_>,
        ids: &Extensions,
        now: Instant,
    ) -> Result<bool, DropReason> {
        let it = self.layers.get_mut(usize::from(layer)).ok_or(DropReason::UnknownSource)?;
        let received = it.received.as_mut().ok_or(DropReason::UnknownSource)?;
        let seq = match received.stream.handle_packet(&packet.into(), now) {
            Received::New { seq, .. } | Received::Late { seq, .. } => seq,
            Received::Restart { seq } => {
                it.restart();
                seq
            }
            Received::Duplicate { .. } => return Err(DropReason::Duplicate),
            Received::Jump => return Err(DropReason::Jump),
        };
        // Its number was used for it, and would be asked for in vain.
        if packet.payload_type() != self.payload_type {
            return Err(DropReason::PayloadType);
        }
        self.append(layer, packet, (seq, ids), now)
    }

    /// Takes a retransmission apart, and keeps what it repairs. Says whether readers are to be told.
    ///
    /// # Errors
    ///
    /// Why it was dropped.
    pub(crate) fn repair(
        &mut self,
        layer: u8,
        bytes: &mut [u8],
        ids: &Extensions,
        now: Instant,
    ) -> Result<bool, DropReason> {
        let packet = Packet::parse(bytes).map_err(|_| DropReason::Malformed)?;
        let (payload_type, payload) = (packet.payload_type(), packet.payload_range());
        let is_own = self.rtx_payload_type.is_none_or(|own| own == payload_type);
        if !is_own && !self.others.iter().any(|other| other.rtx_payload_type == Some(payload_type)) {
            return Err(DropReason::PayloadType);
        }
        let stripped = rtx::strip(bytes, payload).map_err(|_| DropReason::Payload)?;
        let Some((original, bytes)) = stripped else { return Err(DropReason::Probe) };
        let it = self.layers.get_mut(usize::from(layer)).ok_or(DropReason::UnknownSource)?;
        let received = it.received.as_mut().ok_or(DropReason::Probe)?;
        let Repair::Repaired { seq, .. } = received.stream.handle_repair(original) else {
            return Err(DropReason::Probe);
        };
        if !is_own {
            // Of a codec that the track has left.
            return Err(DropReason::PayloadType);
        }
        let mut packet = PacketMut::parse(bytes).map_err(|_| DropReason::Malformed)?;
        packet.set_sequence_number(original);
        packet.set_ssrc(received.stream.ssrc());
        packet.set_payload_type(self.payload_type).map_err(|_| DropReason::PayloadType)?;
        self.append(layer, &packet.as_packet(), (seq, ids), now)
    }

    fn append(
        &mut self,
        layer: u8,
        packet: &Packet<'_>,
        (seq, ids): (ExtendedSeqNo, &Extensions),
        now: Instant,
    ) -> Result<bool, DropReason> {
        let facts = Facts::read(packet, self.codec, self.opaque, ids).map_err(|_| DropReason::Payload)?;
        let it = self.layers.get_mut(usize::from(layer)).ok_or(DropReason::UnknownSource)?;
        if self.kind == Kind::Video {
            it.quality.note(packet, &facts, Some(self.codec).filter(|_| !self.opaque), ids);
        }
        Ok(it.append(packet, seq, facts, now))
    }
}
