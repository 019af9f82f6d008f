use std::time::{Duration, Instant};

use plenary_rtp::rtcp::{DlrrReport, XrBlock};
use plenary_rtp::{CompactNtp, NtpTime, Ssrc};

use crate::NtpClock;

/// Round-trip time for endpoints that send no sender reports (RFC 3611 §4.4, §4.5): a reference time goes out, a DLRR
/// block answers it. It plays both parts for one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReferenceTime {
    /// The last that we have sent.
    sent: Option<CompactNtp>,
    /// The last of the peer's, and when it came.
    received: Option<(Ssrc, CompactNtp, Instant)>,
}

impl ReferenceTime {
    /// Nothing sent or received yet.
    pub const fn new() -> Self {
        Self { sent: None, received: None }
    }

    /// The block that asks, to be written now.
    pub fn request(&mut self, clock: &NtpClock, now: Instant) -> XrBlock<'static> {
        let ntp = clock.at(now);
        self.sent = Some(ntp.compact());
        XrBlock::ReferenceTime { ntp }
    }

    /// Notes the peer's question. A later one replaces it, from whichever SSRC.
    pub const fn handle_request(&mut self, ssrc: Ssrc, ntp: NtpTime, now: Instant) {
        self.received = Some((ssrc, ntp.compact(), now));
    }

    /// The answer to the peer's last question, to be written now in a DLRR block; `None` if there was none.
    pub fn answer(&self, now: Instant) -> Option<DlrrReport> {
        let (ssrc, last_rr, at) = self.received?;
        let held = CompactNtp::from_duration(now.saturating_duration_since(at));
        Some(DlrrReport { ssrc, last_rr, delay_since_last_rr: held })
    }

    /// The round-trip time that an answer to our last question proves. `None` for an answer to anything else.
    ///
    /// Whether it is addressed to us, by its SSRC, is the caller's to see.
    pub fn handle_dlrr(&self, report: &DlrrReport, clock: &NtpClock, now: Instant) -> Option<Duration> {
        let sent = self.sent.filter(|sent| *sent == report.last_rr)?;
        clock.at(now).compact().round_trip(sent, report.delay_since_last_rr)
    }
}

#[cfg(test)]
mod tests {
    use plenary_netsim::base;

    use super::*;

    #[test]
    fn the_answer_to_our_own_question_measures_the_round_trip() {
        let ms = Duration::from_millis;
        let start = base();
        // The two clocks have nothing in common.
        let clocks = [NtpClock::new(start, NtpTime(1 << 40)), NtpClock::new(start, NtpTime(7 << 50))];
        let (mut asker, mut answerer) = (ReferenceTime::new(), ReferenceTime::new());
        assert_eq!(answerer.answer(start), None);

        let XrBlock::ReferenceTime { ntp } = asker.request(&clocks[0], start) else { panic!("a reference time") };
        answerer.handle_request(Ssrc(4), ntp, start + ms(40));
        let answer = answerer.answer(start + ms(140)).unwrap();
        assert_eq!((answer.ssrc, answer.delay_since_last_rr.to_duration().as_millis()), (Ssrc(4), 100));

        let measured = asker.handle_dlrr(&answer, &clocks[0], start + ms(190)).unwrap();
        assert!(measured.abs_diff(ms(90)) < Duration::from_micros(50), "{measured:?}");
        let forged = DlrrReport { last_rr: CompactNtp(answer.last_rr.0 + 1), ..answer };
        assert_eq!(asker.handle_dlrr(&forged, &clocks[0], start + ms(190)), None);
        assert_eq!(ReferenceTime::new().handle_dlrr(&DlrrReport::default(), &clocks[0], start), None);
    }
}
