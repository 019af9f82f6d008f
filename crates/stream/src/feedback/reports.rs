//! Compounds of reports (RFC 3550 §6.1).

use plenary_rtp::rtcp::{Chunk, Item, ReceiverReport, ReportBlock, Sdes, SenderReport};
use plenary_rtp::{Error, Ssrc};

/// Report blocks in a report, chunks in a description.
const COUNT_MAX: usize = 31;
const HEADER_LEN: usize = 4;
const RECEIVER_REPORT_LEN: usize = HEADER_LEN + 4;
const SENDER_REPORT_LEN: usize = HEADER_LEN + 24;
const BLOCK_LEN: usize = 24;

/// Writes sender reports and report blocks as compounds, as many as a size limit makes of them.
///
/// Each compound is as RFC 3550 §6.1 wants it: a report comes first, then the others, then the CNAME of each source that
/// reports. Feedback may be appended behind it. There is always one compound, if only an empty receiver report.
///
/// ```
/// use plenary_rtp::rtcp::{Packet, ReportBlock, packets};
/// use plenary_rtp::Ssrc;
/// use plenary_stream::ReportWriter;
///
/// let blocks = [ReportBlock { ssrc: Ssrc(7), ..Default::default() }];
/// let mut writer = ReportWriter::new(Ssrc(1), b"a name", &[], &blocks);
/// let mut out = Vec::new();
/// assert_eq!(writer.write(1200, &mut out), Ok(true));
/// assert_eq!(writer.write(1200, &mut out), Ok(false), "all is written");
/// let kinds: Vec<_> = packets(&out).collect();
/// assert!(matches!(kinds[..], [Ok(Packet::ReceiverReport(_)), Ok(Packet::Sdes(_))]));
/// ```
#[derive(Clone, Debug)]
pub struct ReportWriter<'a> {
    ssrc: Ssrc,
    cname: &'a [u8],
    senders: &'a [SenderReport<'a>],
    blocks: &'a [ReportBlock],
    written: bool,
}

impl<'a> ReportWriter<'a> {
    /// A writer of what the streams of one endpoint have to report. Blocks that the `senders` have already are written as
    /// they are replaced: by none, or by those of `blocks`. `ssrc` is the endpoint's that reports where no sender does; `cname`
    /// its name, 255 bytes at most.
    pub const fn new(ssrc: Ssrc, cname: &'a [u8], senders: &'a [SenderReport<'a>], blocks: &'a [ReportBlock]) -> Self {
        Self { ssrc, cname, senders, blocks, written: false }
    }

    /// Appends one compound of `size_max` bytes at most with as much as it can hold, and says whether it did: `false` is
    /// when nothing is left.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if `size_max` is too little for one report with a block and its CNAME; [`Error::TooLong`] if the
    /// CNAME is. Nothing is appended then.
    pub fn write(&mut self, size_max: usize, out: &mut Vec<u8>) -> Result<bool, Error> {
        if self.written && self.senders.is_empty() && self.blocks.is_empty() {
            return Ok(false);
        }
        if self.cname.len() > 255 {
            return Err(Error::TooLong);
        }
        let chunk_len = 4 + (self.cname.len() + 3).next_multiple_of(4);
        let mut left = size_max.checked_sub(HEADER_LEN).ok_or(Error::NoRoom)?;
        let mut sources = [Ssrc(0); COUNT_MAX];
        let mut count = 0;
        let start = out.len();
        while count == 0 || !(self.senders.is_empty() && self.blocks.is_empty()) {
            let report_len = if self.senders.is_empty() { RECEIVER_REPORT_LEN } else { SENDER_REPORT_LEN };
            // Whoever has reported in this compound is named already.
            let known = self.senders.is_empty() && sources[..count].contains(&self.ssrc);
            let name_len = if known { 0 } else { chunk_len };
            let block_len = if self.blocks.is_empty() { 0 } else { BLOCK_LEN };
            let Some(room) = left.checked_sub(report_len + name_len + block_len) else { break };
            if !known && count == COUNT_MAX {
                break;
            }
            let blocks = self.blocks.len().min(COUNT_MAX).min((room + block_len) / BLOCK_LEN);
            let source = self.write_report(blocks, out)?;
            left -= report_len + name_len + blocks * BLOCK_LEN;
            if !known {
                sources[count] = source;
                count += 1;
            }
        }
        if count == 0 {
            return Err(Error::NoRoom);
        }
        let items = [Item { kind: Item::CNAME, text: self.cname }];
        let chunks = sources.map(|ssrc| Chunk { ssrc, items: items[..].into() });
        Sdes { chunks: chunks[..count].into() }.write(out)?;
        debug_assert!(out.len() - start <= size_max, "the lengths are those that were written");
        self.written = true;
        Ok(true)
    }

    /// Appends the next report with this many blocks, and says whose it is.
    fn write_report(&mut self, blocks: usize, out: &mut Vec<u8>) -> Result<Ssrc, Error> {
        let (blocks, rest) = self.blocks.split_at(blocks);
        let source = match self.senders.split_first() {
            Some((sender, senders)) => {
                SenderReport { reports: blocks.into(), extension: &[], ..*sender }.write(out)?;
                self.senders = senders;
                sender.ssrc
            }
            None => {
                ReceiverReport { ssrc: self.ssrc, reports: blocks.into(), extension: &[] }.write(out)?;
                self.ssrc
            }
        };
        self.blocks = rest;
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use plenary_rtp::rtcp::{Packet, packets};
    use proptest::prelude::*;

    use super::*;

    fn senders(count: u32) -> Vec<SenderReport<'static>> {
        (0..count)
            .map(|ssrc| SenderReport { ssrc: Ssrc(100 + ssrc), packet_count: ssrc, ..Default::default() })
            .collect()
    }

    fn blocks(count: u32) -> Vec<ReportBlock> {
        (0..count).map(|ssrc| ReportBlock { ssrc: Ssrc(1000 + ssrc), ..Default::default() }).collect()
    }

    #[test]
    fn an_endpoint_with_nothing_to_say_still_says_who_it_is() {
        let mut out = Vec::new();
        let mut writer = ReportWriter::new(Ssrc(1), b"name", &[], &[]);
        assert_eq!(writer.write(1200, &mut out), Ok(true));
        assert_eq!(
            out,
            [&[0x80, 201, 0, 1, 0, 0, 0, 1][..], &[0x81, 202, 0, 3, 0, 0, 0, 1, 1, 4], b"name", &[0; 2]].concat()
        );
        assert_eq!(writer.write(1200, &mut out), Ok(false));
    }

    #[test]
    fn a_limit_too_small_for_one_report_and_its_name_is_refused() {
        // SR 28, a block 24, SDES 4 + 4 + 8.
        let (senders, blocks) = (senders(1), blocks(1));
        let mut out = Vec::new();
        let mut writer = ReportWriter::new(Ssrc(1), b"name", &senders, &blocks);
        assert_eq!(writer.write(67, &mut out), Err(Error::NoRoom));
        assert_eq!(writer.write(0, &mut out), Err(Error::NoRoom));
        assert!(out.is_empty());
        assert_eq!(writer.write(68, &mut out), Ok(true));
        assert_eq!(out.len(), 68);
        assert_eq!(ReportWriter::new(Ssrc(1), &[0; 256], &[], &[]).write(1200, &mut out), Err(Error::TooLong));
    }

    proptest! {
        #[test]
        fn every_compound_is_whole_and_nothing_is_said_twice(
            sender_count in 0..70u32,
            block_count in 0..130u32,
            name_len in 0..=255usize,
            size_max in 320..1500usize,
        ) {
            let (senders, blocks, name) = (senders(sender_count), blocks(block_count), vec![b'n'; name_len]);
            let mut writer = ReportWriter::new(Ssrc(1), &name, &senders, &blocks);
            let (mut seen_senders, mut seen_blocks) = (Vec::new(), Vec::new());
            let mut out = Vec::new();
            while writer.write(size_max, &mut out).unwrap() {
                prop_assert!(out.len() <= size_max);
                let parts: Vec<_> = packets(&out).collect::<Result<_, _>>().unwrap();
                let (last, reports) = parts.split_last().unwrap();
                prop_assert!(!reports.is_empty());
                let mut sources = Vec::new();
                for report in reports {
                    let (source, reports) = match report {
                        Packet::SenderReport(report) => {
                            seen_senders.push(report.ssrc);
                            (report.ssrc, report.reports)
                        }
                        Packet::ReceiverReport(report) => (report.ssrc, report.reports),
                        other => panic!("{other:?}"),
                    };
                    if !sources.contains(&source) {
                        sources.push(source);
                    }
                    seen_blocks.extend(reports.iter().map(|block| block.ssrc));
                }
                let Packet::Sdes(description) = last else { panic!("{last:?}") };
                let named: Vec<_> = description.chunks.iter().map(|chunk| chunk.unwrap()).collect();
                prop_assert!(named.iter().all(|chunk| chunk.cname() == Some(&name[..])));
                prop_assert_eq!(named.iter().map(|chunk| chunk.ssrc).collect::<Vec<_>>(), sources);
                out.clear();
            }
            prop_assert!(out.is_empty());
            prop_assert_eq!(seen_senders, senders.iter().map(|report| report.ssrc).collect::<Vec<_>>());
            prop_assert_eq!(seen_blocks, blocks.iter().map(|block| block.ssrc).collect::<Vec<_>>());
        }
    }
}
