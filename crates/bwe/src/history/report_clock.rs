use plenary_rtp::CompactNtp;
use plenary_rtp::rtcp::ArrivalOffset;

use crate::ArrivalTime;

/// How far from 0 the clock goes, in 65,536ths of a second: 136 years, so that microseconds never overflow.
const UNITS_MAX: u64 = 1 << 48;
/// Units in one of an [`ArrivalOffset`].
const UNITS_PER_TICK: i64 = 64;
/// The first offset that is over range.
const TICKS_MAX: i64 = 0x1ffe;

/// Unwraps the timestamps of one receiver's reports (RFC 8888 §3.1), which wrap every 18 hours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReportClock {
    last: Option<i64>,
}

/// When a report was made, in 65,536ths of a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportTime(i64);

impl ReportClock {
    /// The time that is nearest to that of the report before. Begins anew where a peer has wound it up.
    pub(super) fn unwrap(&mut self, timestamp: CompactNtp) -> ReportTime {
        let wrapped = i64::from(timestamp.0);
        let unwrapped = match self.last {
            None => wrapped,
            Some(last) => last + i64::from(timestamp.0.wrapping_sub(last as u32).cast_signed()),
        };
        let unwrapped = if unwrapped.unsigned_abs() > UNITS_MAX { wrapped } else { unwrapped };
        self.last = Some(unwrapped);
        ReportTime(unwrapped)
    }
}

impl ReportTime {
    pub(super) fn arrival(self) -> ArrivalTime {
        ArrivalTime::from_micros((self.0 * 15_625) >> 10)
    }

    /// When a packet arrived. One whose time is not known, or that came after the timestamp, is taken to have come with it;
    /// one that came longer ago than can be said, at the first instant that can't.
    pub(super) fn arrival_of(self, offset: ArrivalOffset) -> ArrivalTime {
        let ticks = match offset.ticks() {
            Some(ticks) => i64::from(ticks),
            None if offset == ArrivalOffset::OVER_RANGE => TICKS_MAX,
            None => 0,
        };
        Self(self.0 - ticks * UNITS_PER_TICK).arrival()
    }
}
