use std::time::Instant;

use plenary_rtp::rtcp::Twcc;

use super::History;
use crate::{ArrivalTime, Feedback};

impl History {
    /// Transport-wide feedback came: what it tells that was not known, if anything.
    ///
    /// The work is linear in its bytes and in the packets that are held, however many it claims to be on.
    pub fn handle_twcc(&mut self, twcc: &Twcc<'_>, now: Instant) -> Option<Feedback<'_>> {
        self.reports.clear();
        self.note_feedback_count(twcc.feedback_count);
        let base = self.unwrap(twcc.base_seq);
        let end = base + u64::from(twcc.status_count());
        self.pass(end);
        let mut micros = self.reference.micros(twcc.reference_time);
        let mut next = base;
        for (seq, delta) in twcc.received() {
            micros += i64::from(delta.as_micros());
            let number = base + u64::from(seq.wrapping_sub(twcc.base_seq.0).0);
            self.mark_lost(next..number);
            self.mark_arrived(number, ArrivalTime::from_micros(micros), None);
            next = number + 1;
        }
        self.mark_lost(next..end);
        self.finish(now, None)
    }

    /// Feedback counts itself, in 8 bits: what is missing was lost on its way.
    fn note_feedback_count(&mut self, count: u8) {
        let step = self.feedback_count.map_or(1, |last| count.wrapping_sub(last).cast_signed());
        if step > 0 {
            self.feedback_count = Some(count);
            self.counters.feedback_missing += u64::from(step.unsigned_abs()) - 1;
        } else {
            self.counters.feedback_late += 1;
        }
    }
}
