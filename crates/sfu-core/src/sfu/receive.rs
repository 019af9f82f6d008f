//! The way in: a datagram to its transport, a packet to its layer's log, reports to whom they are about.

use std::time::Instant;

use plenary_rtp::extension::{Mid, RepairedRid, Rid, TransportSequence};
use plenary_rtp::rtcp::{self, Packet as Rtcp};
use plenary_rtp::{Packet, Ssrc};
use plenary_wire::{Datagram, Handled};

use super::{Sfu, agent_of};
use crate::connection::Place;
use crate::ids::{TrackKey, TransportKey};
use crate::{DropReason, Event, TrackId, TransportId};

impl Sfu {
    pub(super) fn receive(
        &mut self,
        key: TransportKey,
        datagram: Datagram<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let connection = self.connections.get_mut(key).ok_or(DropReason::Stranger)?;
        let (flow, remote) = (datagram.flow, datagram.remote);
        match connection.transport.handle_datagram(datagram, now) {
            Handled::Rtp(bytes) => self.receive_rtp(key, bytes, now),
            Handled::Rtcp(bytes) => {
                self.receive_rtcp(key, bytes, now);
                self.settle(key, now);
                Ok(())
            }
            Handled::Dropped(reason) => Err(DropReason::Transport(reason)),
            Handled::Consumed => {
                self.bind_address(key, flow, remote, now);
                self.settle(key, now);
                Ok(())
            }
        }
    }

    fn receive_rtp(&mut self, key: TransportKey, bytes: &mut [u8], now: Instant) -> Result<(), DropReason> {
        let packet = Packet::parse(bytes).map_err(|_| DropReason::Malformed)?;
        let connection = self.connections.get_mut(key).ok_or(DropReason::Stranger)?;
        let ids = connection.extensions;
        if ids.transport_sequence != 0
            && let Some(Ok(TransportSequence(sequence))) = packet.element(ids.transport_sequence)
        {
            connection.twcc.handle_packet(packet.ssrc(), sequence, now);
        }
        let (known, payload_type) = (connection.incoming.place(packet.ssrc()), packet.payload_type());
        let place = match known {
            Some(place) => place,
            None => self.place(key, &packet, now)?,
        };
        let track = self.tracks.get_mut(place.track).ok_or(DropReason::UnknownSource)?;
        if !place.repairs && track.change_format(payload_type, now) {
            self.begin_anew(place.track, now);
        }
        let track = self.tracks.get_mut(place.track).ok_or(DropReason::UnknownSource)?;
        let kept = if place.repairs {
            track.repair(place.layer, bytes, &ids, now)
        } else {
            track.receive(place.layer, &packet, &ids, now)
        };
        match kept {
            Ok(true) => self.news.push((place.track, place.layer)),
            Err(DropReason::PayloadType) => self.note_payload_type(place.track, payload_type),
            _ => {}
        }
        self.settle_feedback(key, now);
        kept.map(|_| ())
    }

    /// Finds out what a new SSRC carries, by what its packets say (RFC 8843 §9.2, RFC 8852).
    fn place(&mut self, key: TransportKey, packet: &Packet<'_>, now: Instant) -> Result<Place, DropReason> {
        let connection = self.connections.get_mut(key).ok_or(DropReason::UnknownSource)?;
        let ids = connection.extensions;
        let mid = packet.element::<Mid<'_>>(ids.mid).and_then(Result::ok);
        let rid = packet.element::<Rid<'_>>(ids.rid).and_then(Result::ok);
        let repaired = packet.element::<RepairedRid<'_>>(ids.repaired_rid).and_then(Result::ok);
        let track = connection.incoming.track_of(mid.map(Mid::as_str)).ok_or(DropReason::UnknownSource)?;
        let it = self.tracks.get_mut(track).ok_or(DropReason::UnknownSource)?;
        let name = rid.map(Rid::as_str).or_else(|| repaired.map(RepairedRid::as_str));
        let layer = it.layers.iter().position(|layer| layer.rid.as_deref() == name);
        let layer = layer.ok_or(DropReason::UnknownSource)?;
        let Some(repeats) = it.repeats(packet.payload_type()) else {
            self.note_payload_type(track, packet.payload_type());
            return Err(DropReason::PayloadType);
        };
        let repairs = repaired.is_some() || repeats;
        let place = Place { track, layer: layer as u8, repairs };
        let layer = &mut it.layers[layer];
        // One that has a stream already keeps it: an encoder does not change its SSRC.
        let is_taken = !repairs && layer.received.is_some();
        if is_taken || !connection.incoming.bind(packet.ssrc(), place) {
            return Err(DropReason::UnknownSource);
        }
        if !repairs {
            layer.bind(packet.ssrc(), it.nack, now);
        }
        Ok(place)
    }

    /// Tells once that a publisher sends what nobody agreed on: else it would be silent, and nobody knew why.
    fn note_payload_type(&mut self, track: TrackKey, payload_type: u8) {
        if let Some(it) = self.tracks.get_mut(track)
            && it.note_unknown(payload_type)
        {
            let (transport, track) = (TransportId(it.transport), TrackId(track));
            self.events.push_back(Event::UnknownPayloadType { transport, track, payload_type });
        }
    }

    /// What is missing is asked for at once: but for that, a packet changes no timer of its transport.
    fn settle_feedback(&mut self, key: TransportKey, now: Instant) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.note_feedback(&self.tracks, now);
            if connection.reports_due(now).is_some_and(|due| due <= now) {
                self.queue(key);
            }
        }
        self.settle_timer(key, now);
    }

    fn receive_rtcp(&mut self, key: TransportKey, bytes: &[u8], now: Instant) {
        for packet in rtcp::packets(bytes).flatten() {
            match packet {
                Rtcp::SenderReport(report) => {
                    if let Some(received) = self.received(key, report.ssrc) {
                        received.stream.handle_sender_report(&report, now);
                    }
                    report.reports.iter().for_each(|block| self.receive_block(key, &block, now));
                }
                Rtcp::ReceiverReport(report) => {
                    report.reports.iter().for_each(|block| self.receive_block(key, &block, now));
                }
                Rtcp::Nack(nack) => {
                    let slot = self.slot_of(key, nack.media_ssrc);
                    if let Some((slot, connection)) = slot.zip(self.connections.get_mut(key)) {
                        connection.handle_nack(slot, nack.lost(), now);
                    }
                }
                Rtcp::Pli(pli) => self.wants_key_frame(key, pli.media_ssrc, now),
                Rtcp::Fir(fir) => fir.entries.iter().for_each(|entry| self.wants_key_frame(key, entry.ssrc, now)),
                _ => {}
            }
        }
    }

    fn receive_block(&mut self, key: TransportKey, block: &rtcp::ReportBlock, now: Instant) {
        let Some(slot) = self.slot_of(key, block.ssrc) else { return };
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(it) = connection.slots.get_mut(usize::from(slot)) else { return };
        let Some(sample) = it.handle_report_block(block, &self.clock, now) else { return };
        connection.handle_round_trip(sample);
        // It sends to us over the same path: what it publishes is asked for at the same pace.
        let Some(round_trip) = connection.round_trip.smoothed() else { return };
        for track in &connection.tracks {
            let layers = self.tracks.get_mut(*track).map(|track| track.layers.iter_mut());
            for received in layers.into_iter().flatten().filter_map(|layer| layer.received.as_mut()) {
                received.stream.set_round_trip(round_trip);
                received.request.set_round_trip(round_trip);
            }
        }
    }

    /// A subscriber's decoder asks for a key frame. Of an empty slot it does so once it misses what was there: that is
    /// nobody's affair.
    fn wants_key_frame(&mut self, key: TransportKey, ssrc: Ssrc, now: Instant) {
        if let Some(slot) = self.slot_of(key, ssrc) {
            self.request_key_frame_for(key, slot, now);
        }
    }

    fn received(&mut self, key: TransportKey, ssrc: Ssrc) -> Option<&mut crate::track::ReceivedLayer> {
        let place = self.connections.get(key)?.incoming.place(ssrc).filter(|place| !place.repairs)?;
        self.tracks.get_mut(place.track)?.layers.get_mut(usize::from(place.layer))?.received.as_mut()
    }

    fn slot_of(&self, key: TransportKey, ssrc: Ssrc) -> Option<u16> {
        let slots = &self.connections.get(key)?.slots;
        slots.iter().position(|slot| slot.config.ssrc == ssrc).map(|index| index as u16)
    }

    /// An authenticated request came from there: what comes from there is the transport's from now on, unless another's peer
    /// was heard there lately, whose media somebody might draw to himself by forged addresses.
    fn bind_address(
        &mut self,
        key: TransportKey,
        flow: plenary_wire::FlowId,
        remote: std::net::SocketAddr,
        now: Instant,
    ) {
        let is_proven =
            self.connections.get(key).is_some_and(|connection| connection.transport.ice().is_proven(flow, remote));
        let owner = self.mux.owner(flow, remote);
        if !is_proven || owner == Some(agent_of(key)) {
            return;
        }
        let owner = owner.and_then(|owner| self.connections.get(super::key_of(owner)));
        let heard = owner.and_then(|owner| owner.transport.ice().alive_at(flow, remote));
        if heard.is_none_or(|at| now.saturating_duration_since(at) > TAKEOVER_AFTER) {
            self.mux.bind(flow, remote, agent_of(key));
        }
    }
}

/// An address is another transport's once its own peer was silent there for so long.
const TAKEOVER_AFTER: std::time::Duration = std::time::Duration::from_secs(10);
