//! The receive side of one stream.

mod missing;
mod reception;
mod reordering;
mod sequence;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use plenary_rtp::rtcp::{NackWriter, ReportBlock, SenderReport};
use plenary_rtp::{ClockRate, Error, ExtendedSeqNo, Packet, RtpTime, SeqNo, Ssrc};

pub use missing::NackConfig;
pub use reordering::REORDERING_WAIT_PACKETS_MAX;

use crate::ConfigError;
use missing::Missing;
use reception::Reception;
use sequence::{Sequence, Step};

/// A NACK with one pair of a number and a mask.
const NACK_LEN_MIN: usize = 16;
const NACK_PAIR_LEN: usize = 4;

/// What a received stream is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveConfig {
    /// The stream.
    pub ssrc: Ssrc,
    /// Of its payload.
    pub clock_rate: ClockRate,
    /// How far behind the newest a packet may come, in packets: below it is late or a duplicate, above it hints at a
    /// restart. Default: 1024, two seconds of 6 Mbit/s, and 128 bytes. A power of two from 64 to 32768.
    pub misorder_max: u16,
    /// How far a packet may leap ahead, in packets: below the gap is a loss, above it hints at a restart. Default: 3000,
    /// as RFC 3550 has it. From 1 to 32767.
    pub dropout_max: u16,
    /// How missing packets are asked for; `None` if they are not: audio without NACK, an RTX stream.
    pub nack: Option<NackConfig>,
}

impl ReceiveConfig {
    /// A stream of which nothing is asked for again.
    pub const fn new(ssrc: Ssrc, clock_rate: ClockRate) -> Self {
        Self { ssrc, clock_rate, misorder_max: 1024, dropout_max: 3000, nack: None }
    }

    /// A video stream whose missing packets are asked for.
    pub fn video(ssrc: Ssrc) -> Self {
        Self { nack: Some(NackConfig::default()), ..Self::new(ssrc, ClockRate::VIDEO) }
    }
}

/// What a [`ReceiveStream`] needs to know of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedPacket {
    /// Its sequence number.
    pub sequence_number: SeqNo,
    /// Its timestamp.
    pub timestamp: RtpTime,
    /// Bytes of payload, without padding: 0 in a packet that is all padding.
    pub payload_len: usize,
}

impl From<&Packet<'_>> for ReceivedPacket {
    #[inline]
    fn from(packet: &Packet<'_>) -> Self {
        Self {
            sequence_number: packet.sequence_number(),
            timestamp: packet.timestamp(),
            payload_len: packet.payload().len(),
        }
    }
}

/// What a packet is to its stream.
///
/// Extended numbers only grow, over restarts too: each life of a stream begins above all numbers of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The newest so far.
    New {
        /// Its number.
        seq: ExtendedSeqNo,
        /// How many numbers before it are missing.
        gap: u16,
    },
    /// Older than the newest, and here for the first time.
    Late {
        /// Its number.
        seq: ExtendedSeqNo,
        /// Whether it was waited for. Else it had been given up, or never was listed.
        awaited: bool,
    },
    /// It came before, or its repair did.
    Duplicate {
        /// Its number.
        seq: ExtendedSeqNo,
    },
    /// It does not belong where the stream is. If the next packet follows on it, that is a [`Restart`](Self::Restart), and
    /// this one is asked for again; until then it has no number. Drop it.
    Jump,
    /// The sender has restarted, with this packet.
    Restart {
        /// Its number.
        seq: ExtendedSeqNo,
    },
}

/// What a repaired packet, out of a retransmission, is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// It was missing.
    Repaired {
        /// Its number.
        seq: ExtendedSeqNo,
        /// Whether it was still waited for.
        awaited: bool,
    },
    /// It is here already. Senders repeat packets to probe for bandwidth.
    Duplicate {
        /// Its number.
        seq: ExtendedSeqNo,
    },
    /// Its number is newer than all of the stream, or too old to know whether it came.
    Unknown,
}

/// What happened to a stream so far. Nothing is reset by a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveCounters {
    /// Packets of the stream, duplicates too, without repairs and jumps.
    pub packets: u64,
    /// Bytes of their payload, without padding.
    pub payload_bytes: u64,
    /// Those of the packets that were all padding.
    pub padding_packets: u64,
    /// Packets that came late, for the first time.
    pub late: u64,
    /// Packets that came again, or after their repair.
    pub duplicates: u64,
    /// Packets too far from where the stream was.
    pub jumps: u64,
    /// Restarts of the sender.
    pub restarts: u64,
    /// Numbers asked for, each time counted.
    pub asked: u64,
    /// Missing packets that a retransmission brought.
    pub repaired: u64,
    /// Retransmissions of what was here.
    pub repair_duplicates: u64,
    /// Missing packets given up.
    pub given_up: u64,
}

/// The receive side of one stream: unwraps its numbers, tells losses, duplicates and restarts, asks for what is missing,
/// and reports.
///
/// It sees what authentication has let through: it has no probation of new sources (RFC 3550 §A.1), since SRTP proves them.
#[derive(Debug)]
pub struct ReceiveStream {
    ssrc: Ssrc,
    sequence: Sequence,
    reception: Reception,
    missing: Option<Box<Missing>>,
    given_up_before: Option<ExtendedSeqNo>,
    counters: ReceiveCounters,
}

impl ReceiveStream {
    /// A stream of which nothing came yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a field of the configuration is out of its range.
    pub fn new(config: ReceiveConfig, now: Instant) -> Result<Self, ConfigError> {
        if !config.misorder_max.is_power_of_two() || config.misorder_max < 64 {
            return Err(ConfigError::MisorderMax(config.misorder_max));
        }
        if config.dropout_max == 0 || config.dropout_max > 32_767 {
            return Err(ConfigError::DropoutMax(config.dropout_max));
        }
        Ok(Self {
            ssrc: config.ssrc,
            sequence: Sequence::new(config.misorder_max, config.dropout_max),
            reception: Reception::new(config.clock_rate, now),
            missing: config.nack.map(Missing::new).transpose()?.map(Box::new),
            given_up_before: None,
            counters: ReceiveCounters::default(),
        })
    }

    /// Takes a packet. What is missing before it is listed, and may be due at once: ask
    /// [`write_nack`](Self::write_nack).
    #[inline]
    pub fn handle_packet(&mut self, packet: &ReceivedPacket, now: Instant) -> Received {
        let step = self.sequence.handle(packet.sequence_number);
        if step == Step::Jump {
            self.counters.jumps += 1;
            return Received::Jump;
        }
        let received = match step {
            Step::Ahead { seq, gap } => {
                self.note_newest(seq, gap, now);
                Received::New { seq, gap }
            }
            Step::Start { seq } => self.start(seq, now),
            Step::Behind { seq, new } => self.note_behind(seq, new, now),
            Step::Jump => Received::Jump,
        };
        self.reception.count();
        self.counters.packets += 1;
        self.counters.payload_bytes += packet.payload_len as u64;
        if packet.payload_len == 0 {
            // Padding repeats the timestamp of the packet before it, whenever it is sent: it would count as jitter.
            self.counters.padding_packets += 1;
        } else {
            self.reception.note_arrival(packet.timestamp, now);
        }
        received
    }

    #[inline]
    fn note_newest(&mut self, seq: ExtendedSeqNo, gap: u16, now: Instant) {
        let Some(missing) = &mut self.missing else { return };
        if gap > 0 {
            let given_up = missing.note_gap(seq, gap, now);
            self.note_given_up(given_up);
        }
        if let Some(missing) = &mut self.missing {
            missing.note_newest(seq, now);
        }
    }

    #[cold]
    fn start(&mut self, seq: ExtendedSeqNo, now: Instant) -> Received {
        self.reception.start(seq);
        if self.counters.packets == 0 {
            return Received::New { seq, gap: 0 };
        }
        self.counters.restarts += 1;
        let given_up = self.missing.as_mut().map_or(0, |missing| missing.cut_off(seq));
        // The packet that hinted at the restart was dropped.
        self.note_newest(seq, 1, now);
        self.note_given_up(given_up);
        Received::Restart { seq }
    }

    #[cold]
    fn note_behind(&mut self, seq: ExtendedSeqNo, new: bool, now: Instant) -> Received {
        if !new {
            self.counters.duplicates += 1;
            return Received::Duplicate { seq };
        }
        self.counters.late += 1;
        let newest = self.sequence.newest().unwrap_or(seq);
        let awaited = self.missing.as_mut().is_some_and(|missing| missing.note_late(seq, newest, now));
        Received::Late { seq, awaited }
    }

    /// Takes the original number of a retransmission (RFC 4588 §4: OSN), whose packet is then the stream's. It is not
    /// counted as received: report blocks tell what the path lost.
    pub fn handle_repair(&mut self, original: SeqNo) -> Repair {
        let Some(seq) = self.sequence.locate(original) else { return Repair::Unknown };
        if !self.sequence.mark(seq) {
            self.counters.repair_duplicates += 1;
            return Repair::Duplicate { seq };
        }
        self.counters.repaired += 1;
        let awaited = self.missing.as_mut().is_some_and(|missing| missing.note_repaired(seq));
        Repair::Repaired { seq, awaited }
    }

    /// A key frame begins with this packet: what is missing before it is given up, as no picture needs it any more. So
    /// [`poll_given_up`](Self::poll_given_up) does not tell of it, and forgets what it has not told yet: else each key
    /// frame behind a loss would cause the next.
    ///
    /// Not for streams with spatial layers of their own key frames, nor before the frame's first packet is surely known.
    pub fn handle_key_frame(&mut self, first: ExtendedSeqNo) {
        let given_up = self.missing.as_mut().map_or(0, |missing| missing.cut_off(first));
        self.counters.given_up += given_up as u64;
        self.given_up_before = self.given_up_before.filter(|before| *before > first);
    }

    /// Takes the source's sender report, for the next report block to quote; one of another stream is ignored.
    pub const fn handle_sender_report(&mut self, report: &SenderReport<'_>, now: Instant) {
        if report.ssrc.0 == self.ssrc.0 {
            self.reception.note_sender_report(report.ntp, now);
        }
    }

    /// The round-trip time to the sender, as it is best known. Held to [`RoundTrip::SAMPLE_MAX`](crate::RoundTrip::SAMPLE_MAX).
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        if let Some(missing) = &mut self.missing {
            missing.set_round_trip(round_trip);
        }
    }

    /// Gives up what has waited long enough, and takes note of what is to be asked for: see [`has_nack`](Self::has_nack).
    pub fn handle_timeout(&mut self, now: Instant) {
        let given_up = self.missing.as_mut().map_or(0, |missing| missing.handle_timeout(now));
        self.note_given_up(given_up);
    }

    fn note_given_up(&mut self, count: usize) {
        if count > 0 {
            self.counters.given_up += count as u64;
            self.given_up_before = self.settled();
        }
    }

    /// Everything before this number is here or given up; `None` before the first packet.
    ///
    /// A forwarder that keeps the order goes on up to here. It changes with all `handle_*`.
    pub fn settled(&self) -> Option<ExtendedSeqNo> {
        let missing = self.missing.as_ref().and_then(|missing| missing.first());
        missing.or_else(|| self.sequence.newest().map(|newest| ExtendedSeqNo(newest.0 + 1)))
    }

    /// Something was given up since the last call, and no key frame has made up for it: whatever is not here before this
    /// number. Without a patient decoder
    /// this is when to ask for a key frame.
    pub const fn poll_given_up(&mut self) -> Option<ExtendedSeqNo> {
        self.given_up_before.take()
    }

    /// Whether [`write_nack`](Self::write_nack) has something to write. Where a [`Schedule`](crate::Schedule) says when RTCP
    /// leaves, this is what asks it.
    pub fn has_nack(&self, now: Instant) -> bool {
        self.missing.as_ref().is_some_and(|missing| missing.is_due(now))
    }

    /// Appends a NACK of `size_max` bytes at most for the missing packets that are due, and says whether it did: call it
    /// until it answers `false`.
    ///
    /// The smallest NACK takes 16 bytes. With less room none is written: what is due stays so, and
    /// [`has_nack`](Self::has_nack) says it still, for the next datagram.
    ///
    /// # Errors
    ///
    /// None; it is a `Result` as with every packet.
    pub fn write_nack(
        &mut self,
        sender_ssrc: Ssrc,
        now: Instant,
        size_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let Some((missing, newest)) = self.missing.as_mut().zip(self.sequence.newest()) else { return Ok(false) };
        // Room is short where the peer has made the NACK before this one long: that is no error of the caller's.
        if !missing.is_due(now) || size_max < NACK_LEN_MIN {
            return Ok(false);
        }
        // So many fit even if no two share a pair.
        missing.ask(newest, now, (size_max - NACK_LEN_MIN) / NACK_PAIR_LEN + 1);
        self.counters.asked += missing.asked().len() as u64;
        NackWriter::new(sender_ssrc, self.ssrc, missing.asked().iter().copied()).write(size_max, out)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do. It changes with every call but those that only
    /// read. A NACK that is due and not written holds it up no longer: [`has_nack`](Self::has_nack) goes on saying so.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.missing.as_ref()?.poll_timeout()
    }

    /// The report block for now (RFC 3550 §6.4.1), which ends the interval that its fraction is of. `None` if no packet
    /// came since the last: such sources are not reported on.
    pub fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let newest = self.sequence.newest()?;
        self.reception.report(self.ssrc, newest, now)
    }

    /// The stream.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The newest number; `None` before the first packet.
    pub const fn newest(&self) -> Option<ExtendedSeqNo> {
        self.sequence.newest()
    }

    /// How many packets are missing and waited for.
    pub fn missing(&self) -> usize {
        self.missing.as_ref().map_or(0, |missing| missing.len())
    }

    /// Interarrival jitter in ticks of the clock rate (RFC 3550 §A.8).
    pub const fn jitter(&self) -> u32 {
        self.reception.jitter()
    }

    /// Packets expected less packets received since the stream's last restart (RFC 3550 §A.3): below zero where duplicates
    /// came.
    pub const fn cumulative_lost(&self) -> i64 {
        match self.sequence.newest() {
            Some(newest) => self.reception.cumulative_lost(newest),
            None => 0,
        }
    }

    /// What happened so far.
    pub const fn counters(&self) -> &ReceiveCounters {
        &self.counters
    }
}
