//! What is sent in one section: packets of ours, and again what the peer asks for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plenary_rtp::rtcp::{ReportBlock, SenderReport};
use plenary_rtp::{ClockRate, Error, Header, Packet, PacketWriter, RtpTime, SeqNo, Ssrc};
use plenary_sdp::Mid;
use plenary_sdp::offer_answer::{NegotiatedCodec, RtpSection};
use plenary_stream::{HistoryConfig, HistoryCounters, NtpClock, SendConfig, SendHistory, SendStream, SentPacket};
use plenary_wire::DataSize;

use crate::call::Wire;
use crate::chance::draw;
use crate::description::MID;

/// Packets that may be asked for again: two seconds of 3 Mbit/s, and 0.7 MB of payload.
const HISTORY_PACKETS: u16 = 512;

pub(crate) struct Outgoing {
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx_ssrc: Ssrc,
    clock_rate: ClockRate,
    /// The id and value of the MID element that each packet has, if it was agreed on.
    mid: Option<(u8, Mid)>,
    /// Payload types, each with that of its retransmissions (RFC 4588 §4).
    rtx: BTreeMap<u8, u8>,
    stream: SendStream,
    history: SendHistory,
    /// What the tokens of the history stand for. Filled in turn, so that none of them is stale.
    sent: Vec<Sent>,
    place: usize,
    /// Behind the newest number, unwrapped.
    next: u64,
    /// The newest timestamp, and when it was sent.
    newest: Option<(RtpTime, Instant)>,
}

/// A packet in the clear.
#[derive(Default)]
struct Sent {
    payload_type: u8,
    marker: bool,
    timestamp: RtpTime,
    payload: Vec<u8>,
}

/// From a source's numbers and timestamps to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    number: u64,
    timestamp: u32,
}

impl Outgoing {
    pub(crate) fn new(clock_rate: ClockRate, now: Instant) -> Self {
        let [first, rtx_first] = [(); 2].map(|()| SeqNo(u16::from_ne_bytes(draw()) >> 1));
        let [ssrc, rtx_ssrc] = [(); 2].map(|()| Ssrc(u32::from_ne_bytes(draw())));
        let config = HistoryConfig { packets_max: HISTORY_PACKETS, rtx_first, ..HistoryConfig::default() };
        Self {
            ssrc,
            rtx_ssrc,
            clock_rate,
            mid: None,
            rtx: BTreeMap::new(),
            stream: SendStream::new(SendConfig { ssrc, clock_rate }),
            history: SendHistory::new(config, now).expect("the limit is within its range"),
            sent: Vec::new(),
            place: 0,
            next: first.0.into(),
            newest: None,
        }
    }

    /// What was agreed on holds from now on.
    pub(crate) fn agree(&mut self, section: &RtpSection) {
        let id = section.extension_id(MID, true).map(|id| id.number());
        self.mid = id.zip(section.mid.clone());
        let rtx = |codec: &NegotiatedCodec| Some((codec.payload_type.number(), codec.rtx?.number()));
        self.rtx = section.codecs.iter().filter_map(rtx).collect();
    }

    /// How a source goes on where the one before it was: with the next number, and as much later as it is.
    pub(crate) fn follow(&self, number: u64, timestamp: RtpTime, now: Instant) -> Shift {
        let continued = self.newest.map_or(timestamp, |(newest, at)| {
            newest.wrapping_add(self.clock_rate.ticks(now.saturating_duration_since(at)) as u32)
        });
        Shift { number: self.next.wrapping_sub(number), timestamp: continued.0.wrapping_sub(timestamp.0) }
    }

    /// Sends a packet of a source under our number for its `number`.
    pub(crate) fn send(
        &mut self,
        (number, shift): (u64, Shift),
        packet: &Packet<'_>,
        captured_at: Instant,
        now: Instant,
        wire: &mut Wire<'_>,
    ) {
        let index = number.wrapping_add(shift.number);
        let header = Header {
            marker: packet.marker(),
            payload_type: packet.payload_type(),
            sequence_number: SeqNo(index as u16),
            timestamp: packet.timestamp().wrapping_add(shift.timestamp),
            ssrc: self.ssrc,
            csrcs: &[],
        };
        let payload = packet.payload();
        let mut size = 0;
        let is_sent = wire.rtp(Some(index), |out| {
            size = write(&header, self.mid.as_ref(), &[payload], packet.padding_len(), out)?;
            Ok(())
        });
        // Refused is what is older than our first number, or than what comes after a source that was replaced.
        if !is_sent {
            return;
        }
        let timestamp = header.timestamp;
        if index >= self.next {
            self.next = index + 1;
            self.newest = Some((timestamp, now));
        }
        self.stream.handle_sent(&SentPacket { timestamp, payload_len: payload.len(), sampled_at: captured_at });
        if self.rtx.contains_key(&header.payload_type) {
            let place = self.keep(&header, payload);
            self.history.handle_sent(header.sequence_number, place, DataSize::from_bytes(size as u64), now);
        }
    }

    /// Keeps a packet in the place of the oldest.
    fn keep(&mut self, header: &Header<'_>, payload: &[u8]) -> u64 {
        let place = self.place;
        if place == self.sent.len() {
            self.sent.push(Sent::default());
        }
        let sent = &mut self.sent[place];
        (sent.payload_type, sent.marker, sent.timestamp) = (header.payload_type, header.marker, header.timestamp);
        sent.payload.clear();
        sent.payload.extend_from_slice(payload);
        self.place = (place + 1) % usize::from(HISTORY_PACKETS);
        place as u64
    }

    /// Answers a NACK.
    pub(crate) fn handle_nack(&mut self, lost: impl Iterator<Item = SeqNo>, now: Instant, wire: &mut Wire<'_>) {
        for again in self.history.handle_nack(lost, now) {
            let sent = &self.sent[again.token as usize];
            let Some(&payload_type) = self.rtx.get(&sent.payload_type) else { continue };
            let header = Header {
                marker: sent.marker,
                payload_type,
                sequence_number: again.sequence_number,
                timestamp: sent.timestamp,
                ssrc: self.rtx_ssrc,
                csrcs: &[],
            };
            let payload = [&again.original.0.to_be_bytes(), &sent.payload[..]];
            if wire.rtp(None, |out| write(&header, self.mid.as_ref(), &payload, 0, out).map(|_| ())) {
                self.stream.handle_retransmitted(payload.iter().map(|part| part.len()).sum());
            }
        }
    }

    pub(crate) fn sender_report(&mut self, clock: &NtpClock, now: Instant) -> Option<SenderReport<'static>> {
        self.stream.sender_report(clock, now)
    }

    /// Takes a report of the peer's, and answers the round-trip time that it proves.
    pub(crate) fn handle_report(&mut self, block: &ReportBlock, clock: &NtpClock, now: Instant) -> Option<Duration> {
        self.stream.handle_report_block(block, clock, now)
    }

    pub(crate) fn set_round_trip(&mut self, round_trip: Duration) {
        self.history.set_round_trip(round_trip);
    }

    /// Packets sent, retransmissions among them.
    pub(crate) const fn packets(&self) -> u64 {
        self.stream.packets()
    }

    pub(crate) const fn repeats(&self) -> &HistoryCounters {
        self.history.counters()
    }
}

/// Writes a packet, and says how long it is.
fn write(
    header: &Header<'_>,
    mid: Option<&(u8, Mid)>,
    payload: &[&[u8]],
    padding: u8,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    let mut writer = PacketWriter::begin(header, out)?;
    if let Some((id, mid)) = mid {
        writer.extension(*id, mid.as_str().as_bytes())?;
    }
    let mut writer = writer.into_payload();
    payload.iter().for_each(|part| writer.append(part));
    Ok(writer.finish_padded(padding).len())
}
