use std::ops::Range;
use std::time::Instant;

use plenary_rtp::rtcp::{Ccfb, CcfbBlock, Metric};

use super::History;
use super::report_clock::ReportTime;
use crate::Feedback;

impl History {
    /// Feedback of RFC 8888 came: what it tells that was not known, if anything. Packets are found by what
    /// [`Departure::rtp`](super::Departure::rtp) said.
    ///
    /// Lost are packets that it says so of, and those that it does not name though it is on others that left before and
    /// after them: a stream of which nothing arrived need not be named (RFC 8888 §3.1).
    pub fn handle_ccfb(&mut self, ccfb: &Ccfb<'_>, now: Instant) -> Option<Feedback<'_>> {
        self.reports.clear();
        let reported = self.report_clock.unwrap(ccfb.timestamp);
        // The numbers that it is on.
        let mut range = Range { start: u64::MAX, end: 0 };
        for block in ccfb.blocks.iter() {
            match block {
                Ok(block) => self.handle_block(&block, reported, &mut range),
                Err(_) => self.counters.malformed_blocks += 1,
            }
        }
        self.pass(range.end);
        self.mark_lost(range);
        self.reports.sort_unstable_by_key(|report| report.sent.number);
        self.finish(now, Some(reported.arrival()))
    }

    fn handle_block(&mut self, block: &CcfbBlock<'_>, reported: ReportTime, range: &mut Range<u64>) {
        for (seq, metric) in block.numbered() {
            let number = self.streams.number(block.ssrc, seq);
            match (number, metric) {
                (Some(number), metric) => {
                    if number >= self.first {
                        *range = range.start.min(number)..range.end.max(number + 1);
                    }
                    if let Metric::Received { ecn, offset } = metric {
                        self.mark_arrived(number, reported.arrival_of(offset), Some(ecn));
                    }
                }
                (None, Metric::Received { .. }) => self.counters.unsent += 1,
                (None, Metric::Lost) => {}
            }
        }
    }
}
