//! What is sent: RFC 8867 §4.3 and §4.4.

use std::collections::VecDeque;
use std::time::Duration;

use plenary_netsim::Random;
use plenary_wire::Bitrate;

/// RTP packets are of so many bytes at most, with their headers.
pub(crate) const PACKET_MAX: usize = 1_200;
/// RTP's header and the extension for the transport-wide number.
pub(crate) const RTP_HEADER: usize = 20;
/// IP's and UDP's: what links see of a packet more than its sender.
pub(crate) const IP_UDP_HEADERS: usize = 28;

const HEADERS: u64 = (RTP_HEADER + IP_UDP_HEADERS) as u64;
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
/// 20 kbit/s for 20 ms.
const AUDIO_PAYLOAD: usize = 50;

/// Audio with its headers: 98 bytes each 20 ms.
pub(crate) const AUDIO_RATE: Bitrate = Bitrate::from_bps((AUDIO_PAYLOAD as u64 + HEADERS) * 8 * 50);
/// Video of the highest quality with its headers.
pub(crate) const VIDEO_RATE_MAX: Bitrate = with_headers(1_500_000);
/// Video of the lowest quality with its headers.
pub(crate) const VIDEO_RATE_MIN: Bitrate = with_headers(150_000);

/// How long the encoder takes to follow.
pub(crate) const ENCODER_REACTION: Duration = Duration::from_millis(100);
/// It is off by up to so many thousandths of a second's worth, drawn anew each second: so a second is off by twice that at
/// most, and it makes up for it in the next.
const DEVIATION: u32 = 25;
/// Frames are of about so many bits, between 10 and 30 each second.
const FRAME_BITS: u64 = 20_000;

/// As packets carry about 1000 bytes.
const fn with_headers(payload: u64) -> Bitrate {
    Bitrate::from_bps(payload + payload * HEADERS / 1_000)
}

/// Audio of constant rate: a payload each 20 ms.
#[derive(Debug)]
pub(crate) struct Audio {
    next: Duration,
}

impl Audio {
    pub(crate) const fn new(start: Duration) -> Self {
        Self { next: start }
    }

    pub(crate) const fn poll_timeout(&self) -> Duration {
        self.next
    }

    /// Bytes of the payload that is due.
    pub(crate) fn poll_payload(&mut self, now: Duration) -> Option<usize> {
        if now < self.next {
            return None;
        }
        self.next += AUDIO_INTERVAL;
        Some(AUDIO_PAYLOAD)
    }

    /// There was none until now.
    pub(crate) fn resume(&mut self, now: Duration) {
        self.next = self.next.max(now);
    }
}

/// A video encoder of variable rate, that follows what it is told after [`ENCODER_REACTION`] and never quite.
#[derive(Debug)]
pub(crate) struct Video {
    random: Random,
    /// What it follows now, and what it will follow when: bits each second, with headers.
    rate: u64,
    told: VecDeque<(Duration, u64)>,
    /// Thousandths of a second's worth that it has made too much by the end of this second, from 0 for the least.
    deviation: u64,
    /// Thousandths of the rate that it makes in this second.
    factor: u64,
    factor_until: Duration,
    next: Duration,
}

impl Video {
    pub(crate) fn new(start: Duration, random: Random) -> Self {
        Self {
            random,
            rate: VIDEO_RATE_MIN.as_bps(),
            told: VecDeque::new(),
            deviation: u64::from(DEVIATION),
            factor: 1_000,
            factor_until: start,
            next: start,
        }
    }

    pub(crate) const fn poll_timeout(&self) -> Duration {
        self.next
    }

    /// What it may use from now on, with headers.
    pub(crate) fn follow(&mut self, rate: Bitrate, now: Duration) {
        let rate = rate.clamp(VIDEO_RATE_MIN, VIDEO_RATE_MAX).as_bps();
        if self.told.back().map_or(self.rate, |last| last.1) != rate {
            self.told.push_back((now + ENCODER_REACTION, rate));
        }
    }

    /// Bytes of the frame that is due, with the headers of its packets.
    pub(crate) fn poll_frame(&mut self, now: Duration) -> Option<usize> {
        if now < self.next {
            return None;
        }
        while let Some((_, rate)) = self.told.front().filter(|(at, _)| *at <= now) {
            self.rate = *rate;
            self.told.pop_front();
        }
        if self.factor_until <= now {
            let deviation = u64::from(self.random.below(2 * DEVIATION + 1));
            self.factor = 1_000 + deviation - self.deviation;
            self.deviation = deviation;
            self.factor_until = now + Duration::from_secs(1);
        }
        let per_second = (self.rate / FRAME_BITS).clamp(10, 30);
        self.next = now + Duration::from_nanos(1_000_000_000 / per_second);
        Some((self.rate * self.factor / (8_000 * per_second)) as usize)
    }

    /// There was none until now: it begins anew.
    pub(crate) fn resume(&mut self, now: Duration) {
        self.next = self.next.max(now);
    }
}

/// Sizes of one frame's packets: as few as fit, about equally large.
pub(crate) fn packets_of(frame: usize) -> impl Iterator<Item = usize> {
    let count = frame.div_ceil(PACKET_MAX + IP_UDP_HEADERS).max(1);
    (0..count).map(move |index| (frame * (index + 1)) / count - frame * index / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_cut_into_few_even_packets() {
        assert_eq!(packets_of(1_228).collect::<Vec<_>>(), [1_228]);
        assert_eq!(packets_of(1_229).collect::<Vec<_>>(), [614, 615]);
        assert_eq!(packets_of(5_000).sum::<usize>(), 5_000);
        assert_eq!(AUDIO_RATE, Bitrate::from_bps(39_200));
        assert_eq!(VIDEO_RATE_MAX, Bitrate::from_bps(1_572_000));
    }

    #[test]
    fn the_encoder_follows_after_its_reaction_and_never_quite() {
        let mut video = Video::new(Duration::ZERO, Random::new(1, 1));
        let ms = Duration::from_millis;
        let mut bits = [0; 12];
        let mut first = None;
        video.follow(Bitrate::from_mbps(1), Duration::ZERO);
        while video.poll_timeout() < Duration::from_secs(12) {
            let now = video.poll_timeout();
            let size = video.poll_frame(now).unwrap();
            bits[now.as_secs() as usize] += size * 8;
            if size > 2_500 {
                first.get_or_insert(now);
            }
        }
        assert_eq!(first, Some(ms(100)));
        assert!(bits[1..].iter().all(|bits| (940_000..=1_060_000).contains(bits)), "{bits:?}");
        assert!(bits[1..].iter().any(|bits| bits.abs_diff(1_000_000) > 20_000), "{bits:?}");
        // What is off does not add up.
        assert!(bits[1..].iter().sum::<usize>().abs_diff(11_000_000) < 60_000, "{bits:?}");
    }
}
