//! A sender and a receiver on two links, in virtual time: all of the crate at once, RTCP as bytes.

use std::time::{Duration, Instant};

use plenary_netsim::{Link, LinkConfig, Packet as OnLink, base};
use plenary_rtp::rtcp::{self, Packet as Rtcp, Xr, XrBlock};
use plenary_rtp::{ClockRate, ExtendedSeqNo, NtpTime, RtpTime, SeqNo, Ssrc};
use plenary_stream::{
    Departure, HistoryConfig, NtpClock, ReceiveConfig, ReceiveStream, Received, ReceivedPacket, ReferenceTime, Repair,
    ReportWriter, RoundTrip, Schedule, ScheduleConfig, SendConfig, SendHistory, SendStream, SentPacket,
};
use plenary_wire::{DataSize, Ecn};

const MEDIA: Ssrc = Ssrc(7);
const RECEIVER: Ssrc = Ssrc(1);
const PAYLOAD_LEN: usize = 1000;
/// The wrap comes within the first second.
const FIRST: u16 = 65_300;

/// What the link up carries.
#[derive(Clone)]
pub(crate) enum Up {
    Media { packet: ReceivedPacket, place: u64 },
    Rtx { original: SeqNo, place: u64 },
    Rtcp(Vec<u8>),
}

/// One packet every two milliseconds.
pub(crate) struct Call {
    start: Instant,
    /// Milliseconds since the start.
    ms: u64,
    pub(crate) up: Link<Up>,
    pub(crate) down: Link<Vec<u8>>,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
}

pub(crate) struct Sender {
    clock: NtpClock,
    pub(crate) stream: SendStream,
    pub(crate) history: SendHistory,
    /// What a plain endpoint keeps: a ring of payloads, as long as the history. Here a payload is the packet's place.
    payloads: Vec<u64>,
    pub(crate) sent: u64,
    pub(crate) round_trip: RoundTrip,
    reference: ReferenceTime,
    schedule: Schedule,
}

pub(crate) struct Receiver {
    clock: NtpClock,
    pub(crate) stream: ReceiveStream,
    pub(crate) round_trip: RoundTrip,
    reference: ReferenceTime,
    schedule: Schedule,
    /// Which places came, from the media or by repair.
    pub(crate) came: Vec<bool>,
    settled: ExtendedSeqNo,
}

impl Call {
    pub(crate) fn new(up: LinkConfig, down: LinkConfig, config: ReceiveConfig, seed: u64) -> Self {
        let start = base();
        let schedule = |entropy| Schedule::new(ScheduleConfig { entropy, ..ScheduleConfig::default() }, start).unwrap();
        let history = HistoryConfig { rtx_first: SeqNo(9), ..HistoryConfig::default() };
        let payloads = vec![0; history.packets_max.into()];
        Self {
            start,
            ms: 0,
            up: Link::new(up, seed, 0),
            down: Link::new(down, seed, 1),
            sender: Sender {
                clock: NtpClock::new(start, NtpTime(0xe000_0000_0000_0000)),
                stream: SendStream::new(SendConfig { ssrc: MEDIA, clock_rate: ClockRate::VIDEO }),
                history: SendHistory::new(history, start).unwrap(),
                payloads,
                sent: 0,
                round_trip: RoundTrip::new(),
                reference: ReferenceTime::new(),
                schedule: schedule(seed),
            },
            receiver: Receiver {
                clock: NtpClock::new(start, NtpTime(0x1234_5678_9abc_def0)),
                stream: ReceiveStream::new(ReceiveConfig { ssrc: MEDIA, ..config }, start).unwrap(),
                round_trip: RoundTrip::new(),
                reference: ReferenceTime::new(),
                schedule: schedule(seed + 1),
                came: Vec::new(),
                settled: ExtendedSeqNo(0),
            },
        }
    }

    /// Goes on for so many milliseconds, and sends meanwhile or not.
    pub(crate) fn run(&mut self, ms: u64, sends: bool) {
        for _ in 0..ms {
            self.ms += 1;
            let (now, at) = (self.start + Duration::from_millis(self.ms), Duration::from_millis(self.ms));
            if sends && self.ms.is_multiple_of(2) {
                let media = self.sender.media(now);
                // What the queue refuses is lost as well.
                let _ = self.up.send(on_link(PAYLOAD_LEN + 40, media), at);
            }
            while let Some(arrival) = self.up.poll_arrival(at) {
                self.receiver.handle(arrival.packet.payload, now);
            }
            while let Some(arrival) = self.down.poll_arrival(at) {
                for packet in self.sender.handle_rtcp(&arrival.packet.payload, now) {
                    let _ = self.up.send(on_link(PAYLOAD_LEN + 42, packet), at);
                }
            }
            self.sender.rtcp(now, |datagram| {
                let _ = self.up.send(on_link(datagram.len() + 28, Up::Rtcp(datagram)), at);
            });
            self.receiver.tick(now);
            self.receiver.rtcp(now, |datagram| {
                let _ = self.down.send(on_link(datagram.len() + 28, datagram), at);
            });
        }
    }
}

fn on_link<P>(size: usize, payload: P) -> OnLink<P> {
    OnLink { size: DataSize::from_bytes(size as u64), ecn: Ecn::NotEct, payload }
}

impl Sender {
    fn media(&mut self, now: Instant) -> Up {
        let place = self.sent;
        self.sent += 1;
        let sequence_number = SeqNo(FIRST.wrapping_add(place as u16));
        let timestamp = RtpTime((place * 180) as u32);
        let slot = place % self.payloads.len() as u64;
        self.payloads[slot as usize] = place;
        self.stream.handle_sent(&SentPacket { timestamp, payload_len: PAYLOAD_LEN, sampled_at: now });
        self.history.handle_sent(sequence_number, slot, DataSize::from_bytes(1040), now);
        Up::Media { packet: ReceivedPacket { sequence_number, timestamp, payload_len: PAYLOAD_LEN }, place }
    }

    /// The retransmissions that were asked for.
    fn handle_rtcp(&mut self, datagram: &[u8], now: Instant) -> Vec<Up> {
        let mut again = Vec::new();
        for packet in rtcp::packets(datagram) {
            match packet.unwrap() {
                Rtcp::ReceiverReport(report) => {
                    for block in report.reports {
                        if let Some(sample) = self.stream.handle_report_block(&block, &self.clock, now) {
                            self.round_trip.handle_sample(sample);
                            self.history.set_round_trip(self.round_trip.smoothed().unwrap());
                        }
                    }
                }
                Rtcp::Nack(nack) => {
                    for packet in self.history.handle_nack(nack.lost(), now) {
                        self.stream.handle_retransmitted(PAYLOAD_LEN + 2);
                        again.push(Up::Rtx { original: packet.original, place: self.payloads[packet.token as usize] });
                    }
                }
                Rtcp::Xr(report) => {
                    for block in report.blocks.iter() {
                        if let XrBlock::ReferenceTime { ntp } = block.unwrap() {
                            self.reference.handle_request(report.ssrc, ntp, now);
                        }
                    }
                }
                Rtcp::Sdes(_) => {}
                other => panic!("{other:?}"),
            }
        }
        again
    }

    fn rtcp(&mut self, now: Instant, send: impl FnOnce(Vec<u8>)) {
        let Some(Departure::Regular) = self.schedule.poll(now) else { return };
        let mut out = Vec::new();
        let report = self.stream.sender_report(&self.clock, now);
        ReportWriter::new(MEDIA, b"sender", report.as_slice(), &[]).write(1200, &mut out).unwrap();
        if let Some(answer) = self.reference.answer(now) {
            let answers = [answer];
            let blocks = [XrBlock::Dlrr(answers[..].into())];
            Xr { ssrc: MEDIA, blocks: blocks[..].into() }.write(&mut out).unwrap();
        }
        self.schedule.handle_sent(DataSize::from_bytes(out.len() as u64), now);
        send(out);
    }
}

impl Receiver {
    fn handle(&mut self, up: Up, now: Instant) {
        let (place, seq) = match up {
            Up::Media { packet, place } => match self.stream.handle_packet(&packet, now) {
                Received::New { seq, .. } | Received::Restart { seq } => (place, seq),
                Received::Late { seq, .. } | Received::Duplicate { seq } => (place, seq),
                Received::Jump => return,
            },
            Up::Rtx { original, place } => match self.stream.handle_repair(original) {
                Repair::Repaired { seq, .. } | Repair::Duplicate { seq } => (place, seq),
                Repair::Unknown => return,
            },
            Up::Rtcp(datagram) => return self.handle_rtcp(&datagram, now),
        };
        assert_eq!(seq.seq_no().0, FIRST.wrapping_add(place as u16), "a repair is the packet that it says");
        self.came.resize(self.came.len().max(place as usize + 1), false);
        self.came[place as usize] = true;
    }

    fn handle_rtcp(&mut self, datagram: &[u8], now: Instant) {
        for packet in rtcp::packets(datagram) {
            match packet.unwrap() {
                Rtcp::SenderReport(report) => self.stream.handle_sender_report(&report, now),
                Rtcp::Xr(report) => {
                    let Some(Ok(XrBlock::Dlrr(answers))) = report.blocks.iter().next() else { panic!("a DLRR block") };
                    for answer in answers.iter().filter(|answer| answer.ssrc == RECEIVER) {
                        if let Some(sample) = self.reference.handle_dlrr(&answer, &self.clock, now) {
                            self.round_trip.handle_sample(sample);
                            self.stream.set_round_trip(self.round_trip.smoothed().unwrap());
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        if self.stream.poll_timeout().is_some_and(|due| due <= now) {
            self.stream.handle_timeout(now);
            assert!(self.stream.poll_timeout().is_none_or(|due| due > now), "nothing stays due");
        }
        if self.stream.has_nack(now) {
            self.schedule.request_feedback();
        }
        let settled = self.stream.settled().unwrap_or_default();
        assert!(settled >= self.settled, "what is settled stays so");
        self.settled = settled;
    }

    fn rtcp(&mut self, now: Instant, mut send: impl FnMut(Vec<u8>)) {
        let Some(departure) = self.schedule.poll(now) else { return };
        let mut out = Vec::new();
        if departure == Departure::Regular {
            let block = self.stream.report_block(now);
            ReportWriter::new(RECEIVER, b"receiver", &[], block.as_slice()).write(1200, &mut out).unwrap();
            let blocks = [self.reference.request(&self.clock, now)];
            Xr { ssrc: RECEIVER, blocks: blocks[..].into() }.write(&mut out).unwrap();
        }
        while self.stream.write_nack(RECEIVER, now, 1200 - out.len(), &mut out).unwrap() {}
        self.schedule.handle_sent(DataSize::from_bytes(out.len() as u64), now);
        if !out.is_empty() {
            send(out);
        }
    }
}
