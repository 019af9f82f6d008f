use std::time::{Duration, Instant};

use plenary_bwe::receiver::{RembConfig, RembGenerator};
use plenary_rtp::extension::AbsSendTime;
use plenary_rtp::rtcp::{Packet, packets};
use plenary_rtp::{NtpTime, Ssrc};
use plenary_wire::{Bitrate, DataSize};

use super::ms;

const SIZE: DataSize = DataSize::from_bytes(1200);
const ONE_WAY: Duration = Duration::from_millis(25);

/// A sender that does as it is told, a link with a queue of half a second, and the receiver.
struct Path {
    generator: RembGenerator,
    start: Instant,
    capacity: Bitrate,
    /// When the link has sent what it holds.
    free: Instant,
    now: Instant,
    rate: Bitrate,
    rate_max: Bitrate,
    /// What was said, and when: before the sender knows of it.
    said: Vec<(Instant, Bitrate)>,
    known: usize,
    delay_max: Duration,
}

impl Path {
    fn new(capacity: Bitrate, rate_max: Bitrate) -> Self {
        let start = ms(0);
        let mut generator = RembGenerator::new(RembConfig { sender_ssrc: Ssrc(1), ..RembConfig::default() });
        generator.set_round_trip(2 * ONE_WAY);
        Self {
            generator,
            start,
            capacity,
            free: start,
            now: start,
            rate: Bitrate::from_kbps(300),
            rate_max,
            said: Vec::new(),
            known: 0,
            delay_max: Duration::ZERO,
        }
    }

    /// Packets leave until so many seconds after the start.
    fn run(&mut self, until: u64) {
        self.delay_max = Duration::ZERO;
        while self.now < self.start + Duration::from_secs(until) {
            while let Some((at, rate)) = self.said.get(self.known).filter(|(at, _)| *at + ONE_WAY <= self.now) {
                assert!(*at <= self.now);
                self.rate = (*rate).min(self.rate_max);
                self.known += 1;
            }
            self.send();
            self.now += self.rate.time_for(SIZE).unwrap();
        }
    }

    fn send(&mut self) {
        let begins = self.free.max(self.now);
        if begins - self.now > Duration::from_millis(500) {
            return;
        }
        self.free = begins + self.capacity.time_for(SIZE).unwrap();
        let arrival = self.free + ONE_WAY;
        self.delay_max = self.delay_max.max(arrival - self.now - ONE_WAY);
        let departure = AbsSendTime::from_ntp(NtpTime::from_unix(self.now - self.start));
        self.generator.handle_packet(Ssrc(7), departure, SIZE, arrival);
        let mut out = Vec::new();
        if self.generator.write(arrival, 1200, &mut out) {
            let Some(Ok(Packet::Remb(remb))) = packets(&out).next() else { panic!("{out:?}") };
            assert_eq!((remb.sender_ssrc, remb.ssrcs.iter().collect::<Vec<_>>()), (Ssrc(1), vec![Ssrc(7)]));
            self.said.push((arrival, remb.bitrate));
        }
    }
}

#[test]
fn the_rate_follows_the_link_up_and_down_with_a_short_queue() {
    let mut path = Path::new(Bitrate::from_mbps(1), Bitrate::from_mbps(3));
    path.run(30);
    assert!((700_000..1_060_000).contains(&path.rate.as_bps()), "{}", path.rate);
    path.run(90);
    assert!((700_000..1_060_000).contains(&path.rate.as_bps()), "after departures have wrapped: {}", path.rate);
    assert!(path.delay_max < Duration::from_millis(250), "{:?}", path.delay_max);
    path.capacity = Bitrate::from_kbps(400);
    path.run(93);
    assert!((250_000..420_000).contains(&path.rate.as_bps()), "{}", path.rate);
    path.run(110);
    assert!(path.delay_max < Duration::from_millis(250), "{:?}", path.delay_max);
    path.capacity = Bitrate::from_mbps(2);
    path.run(150);
    assert!((1_400_000..2_100_000).contains(&path.rate.as_bps()), "{}", path.rate);
}

#[test]
fn even_packets_at_the_start_are_a_first_estimate() {
    let mut path = Path::new(Bitrate::from_mbps(5), Bitrate::from_kbps(300));
    path.run(1);
    let (at, first) = path.said[0];
    assert!(at - path.start < Duration::from_millis(250), "{:?}", at - path.start);
    assert!((299_000..302_000).contains(&first.as_bps()), "{first}");
}

#[test]
fn messages_are_200_ms_apart_but_for_drops() {
    let mut path = Path::new(Bitrate::from_mbps(1), Bitrate::from_mbps(3));
    path.run(60);
    let (mut drops, mut early) = (0, 0);
    for pair in path.said.windows(2) {
        let [(before, high), (after, low)] = pair else { continue };
        let is_drop = low.as_bps() * 103 / 100 <= high.as_bps();
        let is_early = *after - *before < Duration::from_millis(200);
        drops += u32::from(is_drop);
        early += u32::from(is_early);
        assert!(is_drop || !is_early, "{pair:?}");
    }
    assert!(early > 0 && path.said.len() > 200, "{drops} {early} {}", path.said.len());
}

#[test]
fn without_a_probe_it_takes_five_seconds() {
    let mut generator = RembGenerator::new(RembConfig::default());
    for at in (0..10_000).step_by(20) {
        let departure = AbsSendTime::from_ntp(NtpTime::from_unix(Duration::from_millis(at)));
        generator.handle_packet(Ssrc(7), departure, DataSize::from_bytes(200), ms(at));
        assert_eq!(generator.estimate().is_some(), at >= 5_040, "{at}");
    }
    // Never above one and a half times what comes, and 10 kbit/s.
    assert!(generator.estimate().unwrap() <= Bitrate::from_kbps(130), "{:?}", generator.estimate());
}

#[test]
fn streams_are_named_while_they_are_heard_and_as_many_as_the_limit_says() {
    let mut generator = RembGenerator::new(RembConfig { streams_max: 2, ..RembConfig::default() });
    let mut named = Vec::new();
    let mut out = Vec::new();
    for at in (0..20_000_u64).step_by(10) {
        let ssrc = match at {
            // Three in turn, and then one.
            0..10_000 => Ssrc(at as u32 / 10 % 3),
            _ => Ssrc(9),
        };
        let departure = AbsSendTime::from_ntp(NtpTime::from_unix(Duration::from_millis(at)));
        generator.handle_packet(ssrc, departure, SIZE, ms(at));
        out.clear();
        assert!(!generator.write(ms(at), 23, &mut out), "no room for a stream");
        if generator.write(ms(at), 28, &mut out) {
            let Some(Ok(Packet::Remb(remb))) = packets(&out).next() else { panic!("{out:?}") };
            named.push((at, remb.ssrcs.iter().map(|ssrc| ssrc.0).collect::<Vec<_>>()));
            assert_eq!(generator.poll_timeout(), None);
        }
    }
    assert!(named.iter().all(|(at, ssrcs)| (*at > 12_000) != (ssrcs.len() == 2)), "{named:?}");
    assert_eq!(named.last().unwrap().1, [9]);
}

#[test]
fn hostile_departures_leave_it_sane() {
    let mut generator = RembGenerator::new(RembConfig::default());
    let mut bits = 0_u32;
    let mut out = Vec::new();
    for step in 0..300_000_u32 {
        bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let departure = match step % 3 {
            0 => bits >> 8,
            1 => 0,
            _ => step.wrapping_mul(0x7f_ffff) & 0xff_ffff,
        };
        let size = DataSize::from_bytes(if step % 7 == 0 { u64::MAX } else { 1000 });
        generator.handle_packet(Ssrc(bits % 100), AbsSendTime::new(departure).unwrap(), size, ms(step.into()));
        out.clear();
        generator.write(ms(step.into()), 1200, &mut out);
    }
    assert!(generator.estimate().is_some());
}
