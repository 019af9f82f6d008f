//! RTCP of one call: reports both ways, NACK both ways, and requests for key frames passed on.

use std::time::Instant;

use plenary_rtp::rtcp::{self, Packet, ReportBlock};
use plenary_rtp::{Error, Ssrc};
use plenary_stream::{Departure, ReportWriter};
use plenary_wire::DataSize;

use crate::call::Wire;
use crate::media::Media;
use crate::track::Track;

/// Bytes of one RTCP datagram, below any path's MTU with all that stands around it.
const DATAGRAM_BYTES: usize = 1200;

/// A request for a key frame: PLI has 12 bytes, FIR 20.
const PICTURE_REQUEST_BYTES: usize = 20;

/// Headers of IPv4 and UDP, which count as RTCP's (RFC 3550 §6.2).
const HEADERS_BYTES: u64 = 28;

impl Media {
    /// Takes RTCP in the clear.
    pub(crate) fn handle_rtcp(&mut self, datagram: &[u8], now: Instant, wire: &mut Wire<'_>) {
        self.counters.rtcp += 1;
        for packet in rtcp::packets(datagram) {
            match packet {
                Ok(Packet::SenderReport(report)) => {
                    for track in &mut self.tracks {
                        track.handle_sender_report(&report, &mut self.peer_clock, now);
                    }
                    self.handle_reports(report.reports.iter(), now);
                }
                Ok(Packet::ReceiverReport(report)) => self.handle_reports(report.reports.iter(), now),
                Ok(Packet::Nack(nack)) => {
                    if let Some(track) = self.sender(nack.media_ssrc) {
                        track.outgoing.handle_nack(nack.lost(), now, wire);
                    }
                }
                Ok(Packet::Pli(pli)) => self.pass_on(pli.media_ssrc),
                Ok(Packet::Fir(fir)) => fir.entries.iter().for_each(|entry| self.pass_on(entry.ssrc)),
                Ok(_) => {}
                Err(_) => self.counters.malformed += 1,
            }
        }
    }

    /// The track that sends with this SSRC.
    fn sender(&mut self, ssrc: Ssrc) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.outgoing.ssrc == ssrc)
    }

    /// Who watches needs a key frame: who sends is asked for it.
    fn pass_on(&mut self, ssrc: Ssrc) {
        if let Some(incoming) = self.sender(ssrc).and_then(|track| track.incoming.as_mut()) {
            incoming.picture.request();
        }
    }

    fn handle_reports(&mut self, blocks: impl Iterator<Item = ReportBlock>, now: Instant) {
        let clock = self.clock;
        for block in blocks {
            let round_trip = self.sender(block.ssrc).and_then(|it| it.outgoing.handle_report(&block, &clock, now));
            if let Some(sample) = round_trip {
                self.round_trip.handle_sample(sample);
            }
        }
        if let Some(round_trip) = self.round_trip.smoothed() {
            self.tracks.iter_mut().for_each(|track| track.set_round_trip(round_trip));
        }
    }

    /// Writes the RTCP that is due.
    pub(crate) fn drain(&mut self, now: Instant, wire: &mut Wire<'_>) {
        let Some(mut schedule) = self.schedule.take() else { return };
        let waits = |track: &Track| {
            track.incoming.as_ref().is_some_and(|it| it.receive.has_nack(now) || it.picture.is_due(now))
        };
        if self.tracks.iter().any(waits) {
            schedule.request_feedback();
        }
        while let Some(departure) = schedule.poll(now) {
            let mut size = 0;
            wire.rtcp(|out| {
                let start = out.len();
                if departure != Departure::ReducedSize {
                    self.write_reports(now, out)?;
                }
                self.write_feedback(start + DATAGRAM_BYTES, now, out)?;
                size = out.len() - start;
                Ok(())
            });
            let headers = if size == 0 { 0 } else { HEADERS_BYTES };
            schedule.handle_sent(DataSize::from_bytes(size as u64 + headers), now);
        }
        self.schedule = Some(schedule);
    }

    fn write_reports(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Error> {
        let clock = self.clock;
        let senders: Vec<_> =
            self.tracks.iter_mut().filter_map(|track| track.outgoing.sender_report(&clock, now)).collect();
        let incoming = self.tracks.iter_mut().filter_map(|track| track.incoming.as_mut());
        let blocks: Vec<_> = incoming.filter_map(|incoming| incoming.receive.report_block(now)).collect();
        let ssrc = self.tracks.first().map_or(Ssrc(0), |track| track.outgoing.ssrc);
        // One compound holds what as many tracks as there may be have to report.
        ReportWriter::new(ssrc, self.cname.as_bytes(), &senders, &blocks).write(DATAGRAM_BYTES, out).map(|_| ())
    }

    /// Up to where the datagram ends. What finds no room goes with the next.
    fn write_feedback(&mut self, end: usize, now: Instant, out: &mut Vec<u8>) -> Result<(), Error> {
        for track in &mut self.tracks {
            let ssrc = track.outgoing.ssrc;
            let Some(incoming) = &mut track.incoming else { continue };
            if end.saturating_sub(out.len()) >= PICTURE_REQUEST_BYTES {
                incoming.picture.write(ssrc, now, out)?;
            }
            while incoming.receive.write_nack(ssrc, now, end.saturating_sub(out.len()), out)? {}
        }
        Ok(())
    }
}
