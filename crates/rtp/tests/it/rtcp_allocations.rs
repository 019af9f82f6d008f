//! Reading RTCP, and writing NACK and transport-wide feedback, allocates nothing.

use std::time::Duration;

use plenary_rtp::rtcp::{
    Arrival, Chunk, Item, NackWriter, Packet, Pli, ReportBlock, Sdes, SenderReport, TwccWriter, packets,
};
use plenary_rtp::{ExtendedSeqNo, SeqNo, Ssrc};

fn arrivals() -> Vec<Arrival> {
    (0..100)
        .filter(|seq| seq % 9 != 4)
        .map(|seq| Arrival {
            seq: ExtendedSeqNo(seq),
            at: Duration::from_micros(1_000_000 + seq * 1_300 + seq % 5 * 70_000),
        })
        .collect()
}

fn compound() -> Vec<u8> {
    let mut out = Vec::new();
    let reports = [ReportBlock { ssrc: Ssrc(9), ..Default::default() }; 2];
    SenderReport { ssrc: Ssrc(1), reports: reports[..].into(), ..Default::default() }.write(&mut out).expect("valid");
    let items = [Item { kind: Item::CNAME, text: b"somebody" }];
    let chunks = [Chunk { ssrc: Ssrc(1), items: items[..].into() }];
    Sdes { chunks: chunks[..].into() }.write(&mut out).expect("valid");
    TwccWriter::new(Ssrc(1), Ssrc(2)).write(ExtendedSeqNo(0), &arrivals(), 1200, &mut out).expect("valid");
    NackWriter::new(Ssrc(1), Ssrc(2), [4, 13, 22, 31].map(SeqNo)).write(1200, &mut out).expect("valid");
    Pli { sender_ssrc: Ssrc(1), media_ssrc: Ssrc(2) }.write(&mut out).expect("valid");
    out
}

#[test]
fn a_compound_is_read_without_allocation() {
    let datagram = compound();
    let mut seen = [0; 5];
    let allocations = allocation_counter::measure(|| {
        for packet in packets(&datagram) {
            match packet {
                Ok(Packet::SenderReport(report)) => {
                    seen[0] += report.reports.iter().filter(|r| r.ssrc == Ssrc(9)).count()
                }
                Ok(Packet::Sdes(sdes)) => {
                    let names = sdes.chunks.iter().flatten().filter_map(|chunk| chunk.cname());
                    seen[1] += names.filter(|name| *name == b"somebody").count();
                }
                Ok(Packet::Twcc(feedback)) => {
                    seen[2] += feedback.statuses().filter(|(_, delta)| delta.is_some()).count();
                }
                Ok(Packet::Nack(nack)) => seen[3] += nack.lost().count(),
                Ok(Packet::Pli(_)) => seen[4] += 1,
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(seen, [2, 1, 89, 4, 1]);
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn nack_and_transport_feedback_are_written_without_allocation() {
    let arrivals = arrivals();
    let mut out = Vec::with_capacity(1200);
    let mut writer = TwccWriter::new(Ssrc(1), Ssrc(2));
    assert_eq!(writer.write(ExtendedSeqNo(0), &arrivals, 1200, &mut out), Ok(89), "the writer's own buffer grows once");
    let len = out.len();
    out.clear();
    let allocations = allocation_counter::measure(|| {
        assert_eq!(writer.write(ExtendedSeqNo(0), &arrivals, 1200, &mut out), Ok(89));
        let mut nack = NackWriter::new(Ssrc(1), Ssrc(2), (0..400).step_by(3).map(SeqNo));
        assert_eq!(nack.write(1000, &mut out), Ok(true));
        assert_eq!(nack.write(1000, &mut out), Ok(false));
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(out.len(), len + 12 + 4 * 23);
}
