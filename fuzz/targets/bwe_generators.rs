#![no_main]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_bwe::receiver::{CcfbConfig, CcfbGenerator, Received, TwccConfig, TwccGenerator};
use plenary_netsim::base;
use plenary_rtp::extension::FeedbackRequest;
use plenary_rtp::rtcp::{ArrivalOffset, Metric, Packet, ReferenceClock, packets};
use plenary_rtp::{NtpTime, SeqNo, Ssrc};
use plenary_wire::{Bitrate, Ecn};

#[derive(Arbitrary, Debug)]
struct Input {
    is_on_request: bool,
    size_max: u16,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// The number goes on by so much, mostly by few.
    Packet {
        seq: u8,
        ssrc: u8,
        ecn: u8,
        marker: bool,
    },
    Leap(u16),
    Pause {
        millis: u8,
    },
    LongPause {
        millis: u16,
    },
    Request {
        count: u16,
    },
    Rate(u32),
}

/// When copies of a packet came, and how marked.
type Arrivals = Vec<(Instant, Ecn)>;

/// All that came: of what each message says, what happened must be somewhere here.
#[derive(Default)]
struct Truth {
    /// By stream and number, or by number in the transport.
    came: BTreeMap<(Option<u32>, u16), Arrivals>,
    first: Option<Instant>,
    clock: ReferenceClock,
}

const STREAMS_MAX: usize = 4;

fuzz_target!(|input: Input| {
    let config = TwccConfig { is_on_request: input.is_on_request, arrivals_max: 100, ..TwccConfig::default() };
    let mut twcc = TwccGenerator::new(config);
    let config = CcfbConfig { streams_max: STREAMS_MAX, statuses_max: 20_000, ..CcfbConfig::default() };
    let mut ccfb = CcfbGenerator::new(config);
    let size_max = usize::from(input.size_max % 1500);
    let (mut now, mut seq, mut truth) = (base(), SeqNo(65_500), Truth::default());
    for step in &input.steps {
        match *step {
            Step::Packet { seq: step, ssrc, ecn, marker } => {
                // Forward by 0 to 7, or back by 1 to 8.
                seq = if step < 240 {
                    seq.wrapping_add((step % 8).into())
                } else {
                    seq.wrapping_sub((step - 239).into())
                };
                let ssrc = Ssrc(u32::from(ssrc % 6));
                let ecn = Ecn::from_bits(ecn);
                truth.first.get_or_insert(now);
                truth.came.entry((None, seq.0)).or_default().push((now, ecn));
                truth.came.entry((Some(ssrc.0), seq.0)).or_default().push((now, ecn));
                twcc.handle_packet(ssrc, seq, now);
                ccfb.handle_packet(&Received { ssrc, seq, ecn, marker }, now);
            }
            Step::Leap(step) => seq = seq.wrapping_add(step),
            Step::Pause { millis } => now += Duration::from_millis(millis.into()),
            Step::LongPause { millis } => now += Duration::from_millis(millis.into()),
            Step::Request { count } => {
                twcc.handle_request(seq, FeedbackRequest::new(true, count >> 1).expect("15 bits"), now);
            }
            Step::Rate(rate) => {
                twcc.set_rate(Bitrate::from_bps(rate.into()));
                ccfb.set_rate(Bitrate::from_bps(rate.into()));
            }
        }
        let mut out = Vec::new();
        while twcc.write(now, size_max, &mut out) || ccfb.write(now, NtpTime(0), size_max, &mut out) {
            assert!(!out.is_empty() && out.len() <= size_max);
            truth.check(&out, now);
            out.clear();
        }
        assert!(size_max < 44 || twcc.poll_timeout().is_none_or(|due| due > now));
        assert!(size_max < 44 || ccfb.poll_timeout().is_none_or(|due| due > now));
    }
});

impl Truth {
    fn check(&mut self, bytes: &[u8], now: Instant) {
        match packets(bytes).next() {
            Some(Ok(Packet::Twcc(twcc))) => {
                let mut micros = self.clock.micros(twcc.reference_time);
                let first = self.first.expect("a packet came");
                let mut count = 0;
                for (seq, delta) in twcc.received() {
                    micros += i64::from(delta.as_micros());
                    count += 1;
                    let is_true = |(at, _): &(Instant, Ecn)| (*at - first).as_micros() as i64 / 250 * 250 == micros;
                    assert!(self.came[&(None, seq.0)].iter().any(is_true), "{seq} {micros}");
                }
                assert!(count > 0);
            }
            Some(Ok(Packet::Ccfb(ccfb))) => {
                for block in ccfb.blocks.iter() {
                    let block = block.expect("it is whole");
                    for (seq, metric) in block.numbered() {
                        let Metric::Received { ecn, offset } = metric else { continue };
                        let came = &self.came[&(Some(block.ssrc.0), seq.0)];
                        let age =
                            |at: Instant| ArrivalOffset::from_ticks((now - at).as_micros() as u64 * 1024 / 1_000_000);
                        assert!(came.iter().any(|(at, _)| age(*at) == offset), "{seq} {offset:?}");
                        assert!(came.iter().any(|(_, marked)| *marked == ecn), "{seq} {ecn:?}");
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }
}
