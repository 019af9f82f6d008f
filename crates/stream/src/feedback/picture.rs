//! Asking for key frames, without asking too often.

use std::time::{Duration, Instant};

use plenary_rtp::rtcp::{Fir, FirEntry, Pli};
use plenary_rtp::{Error, Ssrc};

use crate::{ConfigError, RoundTrip};

/// How key frames are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureRequestConfig {
    /// The stream that is asked.
    pub media_ssrc: Ssrc,
    /// In which words: what was negotiated.
    pub kind: RequestKind,
    /// The least time between two requests, whoever wants them. Default: 300 ms; a key frame costs ten times a frame, and
    /// encoders refuse more. From 1 ms to a minute.
    pub interval_min: Duration,
    /// A request that was not answered is repeated after a round trip and this, and not before `interval_min`. Default:
    /// 200 ms, for the encoder and the pacer that a key frame goes through.
    pub retry_margin: Duration,
}

impl PictureRequestConfig {
    /// PLI at the default pace.
    pub const fn pli(media_ssrc: Ssrc) -> Self {
        Self {
            media_ssrc,
            kind: RequestKind::Pli,
            interval_min: Duration::from_millis(300),
            retry_margin: Duration::from_millis(200),
        }
    }
}

/// The message that asks for a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// Picture loss indication (RFC 4585 §6.3.1).
    Pli,
    /// Full intra request (RFC 5104 §4.3.1).
    Fir,
}

/// The wish for a key frame of one stream. All who want one share it: it is repeated until a key frame comes.
#[derive(Clone, Debug)]
pub struct PictureRequest {
    config: PictureRequestConfig,
    round_trip: Duration,
    wanted: bool,
    /// When the wish was last sent.
    sent: Option<Instant>,
    /// Of the wish that is open: whether it was sent already.
    repeats: bool,
    /// RFC 5104 §4.3.1.1: one number for each request, repeats included.
    number: u8,
    requests: u64,
}

impl PictureRequest {
    /// No wish yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError::IntervalMin`] if the least interval is out of its range.
    pub fn new(config: PictureRequestConfig) -> Result<Self, ConfigError> {
        if config.interval_min < Duration::from_millis(1) || config.interval_min > Duration::from_secs(60) {
            return Err(ConfigError::IntervalMin);
        }
        let config = PictureRequestConfig { retry_margin: config.retry_margin.min(RoundTrip::SAMPLE_MAX), ..config };
        let (round_trip, number) = (Duration::from_millis(100), 0);
        Ok(Self { config, round_trip, wanted: false, sent: None, repeats: false, number, requests: 0 })
    }

    /// Somebody needs a key frame.
    pub const fn request(&mut self) {
        self.wanted = true;
    }

    /// Nobody needs one any more, or the stream has paused.
    pub const fn cancel(&mut self) {
        self.wanted = false;
        self.repeats = false;
    }

    /// A key frame has come: all wishes are granted, whatever made it.
    pub const fn handle_key_frame(&mut self) {
        self.cancel();
    }

    /// The round-trip time to the sender. Default: 100 ms. Held to [`RoundTrip::SAMPLE_MAX`].
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.min(RoundTrip::SAMPLE_MAX);
    }

    /// Appends the request if it is due, and says whether it was: 12 bytes of PLI, 20 of FIR.
    ///
    /// # Errors
    ///
    /// None; it is a `Result` as with every packet.
    pub fn write(&mut self, sender_ssrc: Ssrc, now: Instant, out: &mut Vec<u8>) -> Result<bool, Error> {
        if !self.is_due(now) {
            return Ok(false);
        }
        let media_ssrc = self.config.media_ssrc;
        match self.config.kind {
            RequestKind::Pli => Pli { sender_ssrc, media_ssrc }.write(out)?,
            RequestKind::Fir => {
                if !self.repeats {
                    self.number = self.number.wrapping_add(1);
                }
                let entries = [FirEntry { ssrc: media_ssrc, seq: self.number }];
                Fir { sender_ssrc, media_ssrc: Ssrc(0), entries: entries[..].into() }.write(out)?;
            }
        }
        self.sent = Some(now);
        self.repeats = true;
        self.requests += 1;
        Ok(true)
    }

    /// Whether [`write`](Self::write) has something to write. Where a [`Schedule`](crate::Schedule) says when RTCP leaves,
    /// this is what asks it.
    pub fn is_due(&self, now: Instant) -> bool {
        self.wanted && self.due().is_none_or(|due| due <= now)
    }

    /// When the next request will be due; `None` if none is wanted, or one is due already. It changes with every other call.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.due().filter(|due| self.wanted && *due > now)
    }

    /// The earliest instant of the next request, but for the first.
    fn due(&self) -> Option<Instant> {
        let retry = if self.repeats { self.round_trip + self.config.retry_margin } else { Duration::ZERO };
        self.sent.map(|sent| sent + retry.max(self.config.interval_min))
    }

    /// Whether a key frame is wanted.
    pub const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Requests sent.
    pub const fn requests(&self) -> u64 {
        self.requests
    }
}

#[cfg(test)]
mod tests {
    use plenary_netsim::base;
    use plenary_rtp::rtcp::{Packet, packets};

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// The milliseconds at which requests leave, of a run of 2 s in which `act` is called each millisecond.
    fn times(config: PictureRequestConfig, mut act: impl FnMut(&mut PictureRequest, u64)) -> Vec<u64> {
        let start = base();
        let mut request = PictureRequest::new(config).unwrap();
        let mut out = Vec::new();
        (0..2000)
            .filter(|ms| {
                act(&mut request, *ms);
                request.write(Ssrc(1), start + MS(*ms), &mut out).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_request_is_repeated_until_a_key_frame_comes() {
        let sent = times(PictureRequestConfig::pli(Ssrc(7)), |request, ms| match ms {
            10 => request.request(),
            800 => request.handle_key_frame(),
            _ => {}
        });
        assert_eq!(sent, [10, 310, 610]);
    }

    #[test]
    fn a_longer_round_trip_is_waited_for() {
        let sent = times(PictureRequestConfig::pli(Ssrc(7)), |request, ms| {
            if ms == 0 {
                request.set_round_trip(MS(400));
                request.request();
            }
        });
        assert_eq!(sent, [0, 600, 1200, 1800]);
    }

    #[test]
    fn many_wishes_are_one_request_and_never_closer_than_the_least_interval() {
        let sent = times(PictureRequestConfig::pli(Ssrc(7)), |request, ms| {
            request.request();
            if ms % 100 == 50 {
                request.handle_key_frame();
            }
        });
        assert_eq!(sent, [0, 300, 600, 900, 1200, 1500, 1800]);
    }

    #[test]
    fn a_repeated_fir_keeps_its_number_and_a_new_one_has_the_next() {
        let start = base();
        let config = PictureRequestConfig { kind: RequestKind::Fir, ..PictureRequestConfig::pli(Ssrc(7)) };
        let mut request = PictureRequest::new(config).unwrap();
        let mut out = Vec::new();
        assert_eq!((request.is_due(start), request.poll_timeout(start)), (false, None));
        request.request();
        assert_eq!((request.is_due(start), request.poll_timeout(start)), (true, None));
        for ms in [0, 1000, 2000] {
            assert_eq!(request.write(Ssrc(1), start + MS(ms), &mut out), Ok(true));
            if ms == 1000 {
                request.handle_key_frame();
                request.request();
            }
        }
        let numbers: Vec<_> = packets(&out)
            .map(|packet| match packet.unwrap() {
                Packet::Fir(fir) => fir.entries.iter().next().unwrap(),
                other => panic!("{other:?}"),
            })
            .map(|entry| (entry.ssrc.0, entry.seq))
            .collect();
        assert_eq!(numbers, [(7, 1), (7, 1), (7, 2)]);
        assert_eq!(request.requests(), 3);
    }

    #[test]
    fn a_cancelled_wish_is_not_sent_and_intervals_have_their_range() {
        let sent = times(PictureRequestConfig::pli(Ssrc(7)), |request, _| {
            request.request();
            request.cancel();
            assert!(!request.is_wanted());
        });
        assert!(sent.is_empty());
        for interval_min in [Duration::ZERO, MS(60_001)] {
            let config = PictureRequestConfig { interval_min, ..PictureRequestConfig::pli(Ssrc(7)) };
            assert_eq!(PictureRequest::new(config).map(|_| ()), Err(ConfigError::IntervalMin));
        }
    }
}
