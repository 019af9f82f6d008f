//! What the receiver tells the sender of arrivals, as RTCP.

use std::time::{Duration, Instant};

use plenary_bwe::Feedback;
use plenary_bwe::history::History;
use plenary_bwe::receiver::{CcfbConfig, CcfbGenerator, Received, TwccConfig, TwccGenerator};
use plenary_rtp::rtcp::{Packet, packets};
use plenary_rtp::{NtpTime, SeqNo};
use plenary_wire::Ecn;

use crate::media::{IP_UDP_HEADERS, PACKET_MAX};
use crate::sender::Departure;

/// In which format an algorithm wants its feedback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// By transport-wide numbers, each 100 ms; it can't tell of ECN.
    Twcc,
    /// RFC 8888, at the end of each frame.
    Ccfb,
}

/// A message of feedback, on its way.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    rtcp: Vec<u8>,
    made: Duration,
    /// What the latest packet took to get there.
    way: Duration,
}

impl Message {
    /// Bytes with IP and UDP headers.
    pub(crate) const fn size(&self) -> usize {
        self.rtcp.len() + IP_UDP_HEADERS
    }

    /// What a report of RTCP would show: the round trip without the time that the receiver waited.
    pub(crate) fn round_trip(&self, now: Duration) -> Duration {
        self.way + (now - self.made)
    }

    /// What it tells.
    pub(crate) fn read<'h>(&self, history: &'h mut History, now: Instant) -> Option<Feedback<'h>> {
        match packets(&self.rtcp).next()? {
            Ok(Packet::Twcc(twcc)) => history.handle_twcc(&twcc, now),
            Ok(Packet::Ccfb(ccfb)) => history.handle_ccfb(&ccfb, now),
            _ => None,
        }
    }
}

/// The receiver's side.
#[derive(Debug)]
pub(crate) struct Reporter {
    base: Instant,
    generator: Generator,
    way: Duration,
}

#[derive(Debug)]
enum Generator {
    Twcc(Box<TwccGenerator>),
    Ccfb(Box<CcfbGenerator>),
}

impl Reporter {
    pub(crate) fn new(format: Format, base: Instant) -> Self {
        let generator = match format {
            Format::Twcc => Generator::Twcc(Box::new(TwccGenerator::new(TwccConfig::default()))),
            Format::Ccfb => Generator::Ccfb(Box::new(CcfbGenerator::new(CcfbConfig::default()))),
        };
        Self { base, generator, way: Duration::ZERO }
    }

    pub(crate) fn handle_packet(&mut self, packet: &Departure, ecn: Ecn, now: Duration) {
        self.way = now - packet.sent;
        let (ssrc, seq) = packet.rtp;
        let instant = self.base + now;
        match &mut self.generator {
            Generator::Twcc(twcc) => twcc.handle_packet(ssrc, SeqNo(packet.number as u16), instant),
            Generator::Ccfb(ccfb) => {
                ccfb.handle_packet(&Received { ssrc, seq, ecn, marker: packet.ends_frame }, instant);
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Duration {
        let due = match &self.generator {
            Generator::Twcc(twcc) => twcc.poll_timeout(),
            Generator::Ccfb(ccfb) => ccfb.poll_timeout(),
        };
        due.map_or(Duration::MAX, |at| at.saturating_duration_since(self.base))
    }

    pub(crate) fn poll_feedback(&mut self, now: Duration) -> Option<Message> {
        let mut rtcp = Vec::new();
        let instant = self.base + now;
        let is_written = match &mut self.generator {
            Generator::Twcc(twcc) => twcc.write(instant, PACKET_MAX, &mut rtcp),
            Generator::Ccfb(ccfb) => ccfb.write(instant, NtpTime::from_unix(now), PACKET_MAX, &mut rtcp),
        };
        is_written.then_some(Message { rtcp, made: now, way: self.way })
    }
}
