//! How well a stream is received: what a report block says (RFC 3550 §6.4.1, appendices A.3 and A.8).

use std::time::{Duration, Instant};

use plenary_rtp::rtcp::ReportBlock;
use plenary_rtp::{ClockRate, CompactNtp, ExtendedSeqNo, NtpTime, RtpTime, Ssrc};

/// The transit time may change by this much from one packet to the next; more is a step of the timestamps (another
/// source, a new encoder), which would take RFC 3550's filter a hundred packets to forget.
const TRANSIT_STEP_MAX: Duration = Duration::from_secs(5);

/// Counts and jitter of one life of a stream.
#[derive(Debug)]
pub(crate) struct Reception {
    clock_rate: ClockRate,
    /// Where transit times count from: the arrival of the first packet.
    epoch: Instant,
    /// The first number of this life. RFC 3550: `base_seq`.
    base: ExtendedSeqNo,
    /// Packets of this life, duplicates too.
    received: u64,
    received_prior: u64,
    expected_prior: u64,
    /// The transit time of the packet before, in ticks from no particular point.
    transit: Option<u32>,
    /// In ticks, 16 times.
    jitter: u64,
    /// The last sender report, and when it came.
    sender_report: Option<(CompactNtp, Instant)>,
}

impl Reception {
    pub(crate) const fn new(clock_rate: ClockRate, now: Instant) -> Self {
        Self {
            clock_rate,
            epoch: now,
            base: ExtendedSeqNo(0),
            received: 0,
            received_prior: 0,
            expected_prior: 0,
            transit: None,
            jitter: 0,
            sender_report: None,
        }
    }

    /// RFC 3550 §A.1, `init_seq`: all counts begin anew. Jitter goes on: the path is the same.
    pub(crate) const fn start(&mut self, base: ExtendedSeqNo) {
        self.base = base;
        self.received = 0;
        self.received_prior = 0;
        self.expected_prior = 0;
        self.transit = None;
    }

    pub(crate) const fn count(&mut self) {
        self.received += 1;
    }

    /// RFC 3550 §A.8: a sixteenth of each change of the transit time.
    #[inline]
    pub(crate) fn note_arrival(&mut self, timestamp: RtpTime, now: Instant) {
        let arrival = self.clock_rate.ticks(now.saturating_duration_since(self.epoch)) as u32;
        let transit = arrival.wrapping_sub(timestamp.0);
        if let Some(before) = self.transit.replace(transit) {
            let step = u64::from(transit.wrapping_sub(before).cast_signed().unsigned_abs());
            if step <= u64::from(self.clock_rate.hz()) * TRANSIT_STEP_MAX.as_secs() {
                self.jitter = self.jitter + step - ((self.jitter + 8) >> 4);
            }
        }
    }

    pub(crate) const fn note_sender_report(&mut self, ntp: NtpTime, now: Instant) {
        self.sender_report = Some((ntp.compact(), now));
    }

    /// In ticks.
    pub(crate) const fn jitter(&self) -> u32 {
        (self.jitter >> 4) as u32
    }

    /// Packets expected less packets received.
    pub(crate) const fn cumulative_lost(&self, newest: ExtendedSeqNo) -> i64 {
        self.expected(newest).cast_signed() - self.received.cast_signed()
    }

    const fn expected(&self, newest: ExtendedSeqNo) -> u64 {
        newest.0 - self.base.0 + 1
    }

    /// The block, which ends the interval that its fraction is of; `None` if nothing came in it.
    pub(crate) fn report(&mut self, ssrc: Ssrc, newest: ExtendedSeqNo, now: Instant) -> Option<ReportBlock> {
        let received = self.received - self.received_prior;
        if received == 0 {
            return None;
        }
        let expected = self.expected(newest) - self.expected_prior;
        self.received_prior = self.received;
        self.expected_prior = self.expected(newest);
        // RFC 3550 §A.3: a negative loss, from duplicates, is none. `received` is not 0: the quotient is below 256.
        let lost = expected.saturating_sub(received);
        let fraction_lost = (lost << 8).checked_div(expected).unwrap_or(0) as u8;
        let (last_sr, delay_since_last_sr) = match self.sender_report {
            Some((ntp, at)) => (ntp, CompactNtp::from_duration(now.saturating_duration_since(at))),
            None => Default::default(),
        };
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost: self.cumulative_lost(newest).clamp(-0x80_0000, 0x7f_ffff) as i32,
            // The first cycle of a life is 0; the upper of its 16 bits of cycles are lost.
            highest_seq: newest.0.wrapping_sub(self.base.cycle() << 16) as u32,
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr,
        })
    }
}
