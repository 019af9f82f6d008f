//! A sender of `rtc-interceptor` over one bottleneck, at the rate of one of our controllers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plenary_bwe::{Cause, Controller, Estimator, Gcc, Nada, Scream, Streams};
use plenary_rtp::rtcp::{Arrival, TwccWriter};
use plenary_rtp::{ExtendedSeqNo, Ssrc};
use plenary_wire::{Bitrate, DataSize};
use rtc_interceptor::{
    AttributedPacket, BandwidthEstimator, CongestionControlBuilder, CongestionControlInterceptor, Interceptor, Packet,
    RTCPFeedback, RTPHeaderExtension, StreamInfo, TaggedPacket,
};
use rtc_shared::TransportContext;
use sansio::Protocol;

const SSRC: u32 = 7;
const PAYLOAD: usize = 1160;
/// With RTP and its extension, UDP and IP.
const SIZE: DataSize = DataSize::from_bytes(PAYLOAD as u64 + 48);
/// Numbers wrap soon.
const FIRST: ExtendedSeqNo = ExtendedSeqNo(0x1_fe00);
const TRANSPORT_WIDE: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// A sender, a link and a receiver.
struct Call<C: Controller + Sync> {
    sender: CongestionControlInterceptor<Estimator<C>>,
    receiver: TwccWriter,
    /// The number behind the last that was reported.
    base: ExtendedSeqNo,
    capacity: Bitrate,
    one_way: Duration,
    start: Instant,
    now: Instant,
    next_send: Instant,
    next_feedback: Instant,
    busy_until: Instant,
    number: ExtendedSeqNo,
    on_the_way: VecDeque<(Instant, ExtendedSeqNo)>,
    /// What passed the link.
    passed: DataSize,
}

impl<C: Controller + Sync> Call<C> {
    fn new(mut controller: C, capacity: Bitrate) -> Self {
        let start = plenary_netsim::base();
        let (min, max) = (Bitrate::from_kbps(150), Bitrate::from_kbps(1500));
        controller.handle_streams(&Streams { min, max, start: min, ..Streams::default() }, start);
        let mut sender = CongestionControlBuilder::new(Estimator::new(controller)).build();
        let rtcp_feedback = vec![RTCPFeedback { typ: "transport-cc".to_owned(), parameter: String::new() }];
        let rtp_header_extensions = vec![RTPHeaderExtension { uri: TRANSPORT_WIDE.to_owned(), id: 5 }];
        let stream = StreamInfo {
            ssrc: SSRC,
            clock_rate: 90_000,
            rtcp_feedback,
            rtp_header_extensions,
            ..StreamInfo::default()
        };
        sender.bind_local_stream(&stream);
        Self {
            sender,
            receiver: TwccWriter::new(Ssrc(1), Ssrc(SSRC)),
            base: FIRST,
            capacity,
            one_way: Duration::from_millis(50),
            start,
            now: start,
            next_send: start,
            next_feedback: start + Duration::from_millis(50),
            busy_until: start,
            number: FIRST,
            on_the_way: VecDeque::new(),
            passed: DataSize::ZERO,
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.next_send.min(self.next_feedback);
            if self.next_send == self.now {
                self.send();
            }
            if self.next_feedback == self.now {
                self.report();
            }
        }
    }

    fn send(&mut self) {
        let target = Bitrate::from_bps(self.sender.estimator().target_bitrate() as u64);
        self.next_send = self.now + target.time_for(SIZE).unwrap();
        let number = self.number.seq_no().0;
        let mut header = rtc_rtp::Header { version: 2, sequence_number: number, ssrc: SSRC, ..Default::default() };
        header.set_extension(5, number.to_be_bytes().to_vec().into()).unwrap();
        let packet = rtc_rtp::Packet { header, payload: vec![0; PAYLOAD].into() };
        self.sender.handle_write(self.tagged(Packet::Rtp(packet))).unwrap();
        while self.sender.poll_write().is_some() {}
        let waits = self.busy_until.saturating_duration_since(self.now);
        if waits < Duration::from_millis(300) {
            self.busy_until = self.busy_until.max(self.now) + self.capacity.time_for(SIZE).unwrap();
            self.on_the_way.push_back((self.busy_until + self.one_way, self.number));
            self.passed += SIZE;
        }
        self.number.0 += 1;
    }

    /// What the receiver has by now, as transport-wide feedback; the way back is the way there.
    fn report(&mut self) {
        self.next_feedback += Duration::from_millis(50);
        let reported_at = self.now - self.one_way.min(self.now - self.start);
        let arrived = self.on_the_way.iter().take_while(|(at, _)| *at <= reported_at).count();
        let arrival = |(at, seq): (Instant, ExtendedSeqNo)| Arrival { seq, at: at - self.start };
        let arrivals: Vec<_> = self.on_the_way.drain(..arrived).map(arrival).collect();
        let Some(newest) = arrivals.last() else { return };
        let mut bytes = Vec::new();
        self.receiver.write(self.base, &arrivals, 1200, &mut bytes).unwrap();
        self.base = ExtendedSeqNo(newest.seq.0 + 1);
        let feedback = rtc_rtcp::packet::unmarshal(&mut &*bytes).unwrap();
        self.sender.handle_read(self.tagged(Packet::Rtcp(feedback))).unwrap();
        while self.sender.poll_read().is_some() {}
        self.sender.handle_timeout(self.now).unwrap();
    }

    fn tagged(&self, packet: Packet) -> TaggedPacket {
        let (now, transport) = (self.now, TransportContext::default());
        TaggedPacket { now, transport, message: AttributedPacket::new(packet) }
    }
}

/// Fills most of a megabit, then follows down to half of it.
fn follows_the_link<C: Controller + Sync>(controller: C) -> Call<C> {
    let mut call = Call::new(controller, Bitrate::from_mbps(1));
    call.run(Duration::from_secs(30));
    let before = call.passed;
    call.run(Duration::from_secs(10));
    let used = (call.passed - before).rate_over(Duration::from_secs(10)).unwrap();
    assert!((Bitrate::from_kbps(800)..=Bitrate::from_kbps(1010)).contains(&used), "{used:?} of a megabit");
    call.capacity = Bitrate::from_kbps(500);
    call.run(Duration::from_secs(15));
    let target = call.sender.estimator().target_bitrate();
    assert!((250_000.0..600_000.0).contains(&target), "{target} of half a megabit");
    call
}

#[test]
fn nada_is_driven_by_it() {
    let call = follows_the_link(Nada::default());
    assert_ne!(call.sender.estimator().controller().explain().cause, Cause::Start);
    let stats = call.sender.estimator().stats();
    assert!(stats.round_trip_time.is_some_and(|round_trip| round_trip >= Duration::from_millis(100)), "{stats:?}");
}

#[test]
fn scream_is_driven_by_it() {
    let _call = follows_the_link(Scream::default());
}

#[test]
fn gcc_is_driven_by_it() {
    let call = follows_the_link(Gcc::default());
    assert_ne!(call.sender.estimator().controller().explain().cause, Cause::Start);
    // It looks at the time itself, where that crate lets it.
    assert!(call.sender.estimator().poll_timeout().is_some_and(|at| at > call.now));
}
