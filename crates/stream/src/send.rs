//! The send side of one stream.

mod history;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use plenary_rtp::rtcp::{Records, ReportBlock, SenderReport};
use plenary_rtp::{ClockRate, CompactNtp, RtpTime, Ssrc};

pub use history::{HistoryConfig, HistoryCounters, Retransmission, Retransmissions, SendHistory};

use crate::NtpClock;

/// How many of its last reports a stream knows again when they are quoted: at one per second, those of a round trip of
/// eight.
const REPORTS_KNOWN: usize = 8;

/// A timestamp that is older by more than this is of another source or encoder, and not of a frame out of order.
const TIMESTAMP_STEP_BACK: Duration = Duration::from_secs(5);

/// What a sent stream is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendConfig {
    /// The stream.
    pub ssrc: Ssrc,
    /// Of its payload.
    pub clock_rate: ClockRate,
}

/// What a [`SendStream`] needs to know of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentPacket {
    /// Its timestamp.
    pub timestamp: RtpTime,
    /// Bytes of payload, without padding: 0 in a packet that is all padding.
    pub payload_len: usize,
    /// When what the timestamp stands for was captured, on the clock of this endpoint. Who does not know says when it is
    /// sent: of several packets with one timestamp the first counts. A forwarder says what its timestamps were made from,
    /// never a source's time.
    pub sampled_at: Instant,
}

/// How the peer says that it receives the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reception {
    /// When it said so.
    pub at: Instant,
    /// Of the packets expected since its report before, in 256ths.
    pub fraction_lost: u8,
    /// Packets expected less packets received, in all.
    pub cumulative_lost: i32,
    /// The highest sequence number in the low 16 bits, cycles above.
    pub highest_seq: u32,
    /// Interarrival jitter.
    pub jitter: Duration,
    /// The round-trip time that its report proves, if it quotes one of our last.
    pub round_trip: Option<Duration>,
}

/// The send side of one stream: counts what is sent, writes sender reports and reads the peer's on it.
#[derive(Debug)]
pub struct SendStream {
    ssrc: Ssrc,
    clock_rate: ClockRate,
    packets: u64,
    payload_bytes: u64,
    /// A timestamp, and when it was.
    anchor: Option<(RtpTime, Instant)>,
    /// Whether a packet was sent since the last report, and between that and the one before.
    active: [bool; 2],
    /// The newest reports, the latest first.
    reports: [Option<CompactNtp>; REPORTS_KNOWN],
    reception: Option<Reception>,
}

impl SendStream {
    /// A stream of which nothing was sent yet.
    pub const fn new(config: SendConfig) -> Self {
        Self {
            ssrc: config.ssrc,
            clock_rate: config.clock_rate,
            packets: 0,
            payload_bytes: 0,
            anchor: None,
            active: [false; 2],
            reports: [None; REPORTS_KNOWN],
            reception: None,
        }
    }

    /// Counts a packet.
    #[inline]
    pub fn handle_sent(&mut self, packet: &SentPacket) {
        self.count(packet.payload_len);
        // Padding stands for no instant: it repeats a timestamp, or begins with any.
        let steps = self.anchor.is_none_or(|(newest, _)| {
            let back = u64::from(newest.0.wrapping_sub(packet.timestamp.0));
            packet.timestamp.is_newer_than(newest) || back > self.clock_rate.ticks(TIMESTAMP_STEP_BACK)
        });
        if steps && packet.payload_len > 0 {
            self.anchor = Some((packet.timestamp, packet.sampled_at));
        }
    }

    /// Counts a packet of the RTX stream that repeats this one, with its padding-only probes: browsers count both in the
    /// one report, and send none for RTX. `payload_len` is with the two bytes of the original number.
    ///
    /// For an RTX stream with reports of its own, use a `SendStream` of its own instead.
    pub const fn handle_retransmitted(&mut self, payload_len: usize) {
        self.count(payload_len);
    }

    #[inline]
    const fn count(&mut self, payload_len: usize) {
        self.packets += 1;
        self.payload_bytes += payload_len as u64;
        self.active[0] = true;
    }

    /// The sender report for now, without report blocks (RFC 3550 §6.4.1). Ask once for each regular report.
    ///
    /// `None` if nothing was sent since the report before the last: then a receiver report is due instead (§6.4).
    pub fn sender_report(&mut self, clock: &NtpClock, now: Instant) -> Option<SenderReport<'static>> {
        let [since_last, before] = self.active;
        self.active = [false, since_last];
        let (timestamp, at) = self.anchor.filter(|_| since_last || before)?;
        let ntp = clock.at(now);
        self.reports.rotate_right(1);
        self.reports[0] = Some(ntp.compact());
        let elapsed = self.clock_rate.ticks(now.saturating_duration_since(at)) as u32;
        Some(SenderReport {
            ssrc: self.ssrc,
            ntp,
            rtp_timestamp: timestamp.wrapping_add(elapsed),
            packet_count: self.packets as u32,
            octet_count: self.payload_bytes as u32,
            reports: Records::default(),
            extension: &[],
        })
    }

    /// Takes the peer's report block on this stream; one on another is ignored. Answers the round-trip time that it proves:
    /// a sample for [`RoundTrip`](crate::RoundTrip).
    pub fn handle_report_block(&mut self, block: &ReportBlock, clock: &NtpClock, now: Instant) -> Option<Duration> {
        if block.ssrc != self.ssrc {
            return None;
        }
        // A report that we have not sent lately proves nothing.
        let quoted = self.reports.contains(&Some(block.last_sr)).then_some(block.last_sr);
        let arrival = clock.at(now).compact();
        let round_trip = quoted.and_then(|report| arrival.round_trip(report, block.delay_since_last_sr));
        self.reception = Some(Reception {
            at: now,
            fraction_lost: block.fraction_lost,
            cumulative_lost: block.cumulative_lost,
            highest_seq: block.highest_seq,
            jitter: self.clock_rate.duration(block.jitter.into()),
            round_trip,
        });
        round_trip
    }

    /// The stream.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// How the peer receives it; `None` before its first report.
    pub const fn reception(&self) -> Option<&Reception> {
        self.reception.as_ref()
    }

    /// Packets sent.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Bytes of their payload, without padding.
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}
