use plenary_wire::{Bitrate, Ecn};
use proptest::prelude::*;

use super::tests::{nack_packets, one, written};
use super::*;
use crate::{CompactNtp, NtpTime, RtpTime, SeqNo, Ssrc};

fn comes_back(packet: Packet<'_>) {
    assert_eq!(one(&written(packet)), packet);
}

/// Walks all that a datagram holds. Gives how many things it has seen.
fn walk(datagram: &[u8]) -> usize {
    packets(datagram)
        .flatten()
        .map(|packet| match packet {
            Packet::SenderReport(report) => report.reports.iter().count(),
            Packet::ReceiverReport(report) => report.reports.iter().count(),
            Packet::Sdes(sdes) => sdes.chunks.iter().flatten().map(|chunk| chunk.items.iter().count()).sum(),
            Packet::Bye(bye) => bye.sources.len(),
            Packet::Nack(nack) => nack.lost().count(),
            Packet::Twcc(feedback) => feedback.statuses().count(),
            Packet::Ccfb(feedback) => feedback.blocks.iter().flatten().map(|block| block.numbered().count()).sum(),
            Packet::Fir(fir) => fir.entries.len(),
            Packet::Remb(remb) => remb.ssrcs.len(),
            Packet::Xr(xr) => xr.blocks.iter().count(),
            _ => 1,
        })
        .sum()
}

fn ssrc() -> impl Strategy<Value = Ssrc> {
    any::<u32>().prop_map(Ssrc)
}

fn report_block() -> impl Strategy<Value = ReportBlock> {
    (any::<[u32; 5]>(), any::<u8>(), -0x80_0000..0x80_0000).prop_map(|(words, fraction_lost, cumulative_lost)| {
        let [ssrc, highest_seq, jitter, last_sr, delay] = words;
        ReportBlock {
            ssrc: Ssrc(ssrc),
            fraction_lost,
            cumulative_lost,
            highest_seq,
            jitter,
            last_sr: CompactNtp(last_sr),
            delay_since_last_sr: CompactNtp(delay),
        }
    })
}

fn words(count: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<[u8; 4]>(), 0..count).prop_map(|words| words.concat())
}

fn metric() -> impl Strategy<Value = Metric> {
    prop_oneof![
        Just(Metric::Lost),
        (0..4_u8, 0..9000_u64).prop_map(|(ecn, ticks)| Metric::Received {
            ecn: Ecn::from_bits(ecn),
            offset: ArrivalOffset::from_ticks(ticks),
        }),
    ]
}

proptest! {
    #[test]
    fn reports_come_back(
        head: [u32; 4],
        ntp: u64,
        reports in prop::collection::vec(report_block(), 0..=31),
        extension in words(4),
    ) {
        let [ssrc, rtp_timestamp, packet_count, octet_count] = head;
        let (ssrc, ntp, rtp_timestamp) = (Ssrc(ssrc), NtpTime(ntp), RtpTime(rtp_timestamp));
        let (reports, extension) = (reports[..].into(), &extension[..]);
        let sr = SenderReport { ssrc, ntp, rtp_timestamp, packet_count, octet_count, reports, extension };
        comes_back(Packet::SenderReport(sr));
        let rr = ReceiverReport { ssrc, reports, extension };
        comes_back(Packet::ReceiverReport(rr));
    }

    #[test]
    fn descriptions_come_back(
        chunks in prop::collection::vec(
            (ssrc(), prop::collection::vec((1..=255_u8, prop::collection::vec(any::<u8>(), 0..=255)), 0..4)),
            0..=31,
        ),
    ) {
        let items: Vec<Vec<Item<'_>>> = chunks
            .iter()
            .map(|(_, items)| items.iter().map(|(kind, text)| Item { kind: *kind, text }).collect())
            .collect();
        let chunks: Vec<_> =
            chunks.iter().zip(&items).map(|((ssrc, _), items)| Chunk { ssrc: *ssrc, items: items[..].into() }).collect();
        let sdes = Packet::Sdes(Sdes { chunks: chunks[..].into() });
        comes_back(sdes);
    }

    #[test]
    fn farewells_and_applications_come_back(
        sources in prop::collection::vec(ssrc(), 0..=31),
        reason in prop::option::of(prop::collection::vec(any::<u8>(), 0..=255)),
        subtype in 0..=31_u8,
        ssrc in ssrc(),
        name: [u8; 4],
        data in words(20),
    ) {
        let bye = Packet::Bye(Bye { sources: sources[..].into(), reason: reason.as_deref() });
        comes_back(bye);
        let app = Packet::App(App { subtype, ssrc, name, data: &data });
        comes_back(app);
    }

    #[test]
    fn feedback_comes_back(
        sender_ssrc in ssrc(),
        media_ssrc in ssrc(),
        pairs in prop::collection::vec(any::<(u16, u16)>(), 1..40),
        entries in prop::collection::vec((ssrc(), any::<u8>()), 1..40),
        mantissa in 0..1_u64 << 18,
        exponent in 0..=46_u32,
        ssrcs in prop::collection::vec(ssrc(), 0..=255),
    ) {
        let pairs: Vec<_> = pairs.into_iter().map(|(seq, following)| NackPair { seq: SeqNo(seq), following }).collect();
        let nack = Packet::Nack(Nack { sender_ssrc, media_ssrc, pairs: pairs[..].into() });
        comes_back(nack);
        let entries: Vec<_> = entries.into_iter().map(|(ssrc, seq)| FirEntry { ssrc, seq }).collect();
        let fir = Packet::Fir(Fir { sender_ssrc, media_ssrc, entries: entries[..].into() });
        comes_back(fir);
        let pli = Packet::Pli(Pli { sender_ssrc, media_ssrc });
        comes_back(pli);
        let bitrate = Bitrate::from_bps(mantissa << exponent);
        let remb = Packet::Remb(Remb { sender_ssrc, bitrate, ssrcs: ssrcs[..].into() });
        comes_back(remb);
    }

    #[test]
    fn congestion_feedback_comes_back(
        sender_ssrc in ssrc(),
        timestamp: u32,
        blocks in prop::collection::vec((any::<u32>(), any::<u16>(), prop::collection::vec(metric(), 0..20)), 0..6),
    ) {
        let blocks: Vec<_> = blocks
            .iter()
            .map(|(ssrc, begin_seq, metrics)| CcfbBlock {
                ssrc: Ssrc(*ssrc),
                begin_seq: SeqNo(*begin_seq),
                metrics: metrics[..].into(),
            })
            .collect();
        let ccfb = Packet::Ccfb(Ccfb { sender_ssrc, blocks: blocks[..].into(), timestamp: CompactNtp(timestamp) });
        comes_back(ccfb);
    }

    #[test]
    fn extended_reports_come_back(
        ssrc in ssrc(),
        ntp: u64,
        reports in prop::collection::vec(any::<[u32; 3]>(), 0..10),
        kind in 6..=255_u8,
        type_specific: u8,
        body in words(10),
    ) {
        let reports: Vec<_> = reports
            .into_iter()
            .map(|[ssrc, last_rr, delay_since_last_rr]| DlrrReport {
                ssrc: Ssrc(ssrc),
                last_rr: CompactNtp(last_rr),
                delay_since_last_rr: CompactNtp(delay_since_last_rr),
            })
            .collect();
        let blocks = [
            XrBlock::Dlrr(reports[..].into()),
            XrBlock::Other { kind, type_specific, body: &body },
            XrBlock::ReferenceTime { ntp: NtpTime(ntp) },
        ];
        let xr = Packet::Xr(Xr { ssrc, blocks: blocks[..].into() });
        comes_back(xr);
    }

    #[test]
    fn lost_numbers_come_back_in_the_fewest_pairs(
        first: u16,
        gaps in prop::collection::vec(1..40_u16, 0..200),
        size_max in 16..100_usize,
    ) {
        let lost: Vec<u16> = std::iter::once(first)
            .chain(gaps.iter().scan(first, |seq, gap| { *seq = seq.wrapping_add(*gap); Some(*seq) }))
            .collect();
        let packets = nack_packets(&lost, size_max);
        let mut read = Vec::new();
        let mut pairs = 0;
        for packet in &packets {
            prop_assert!(packet.len() <= size_max);
            let Packet::Nack(nack) = one(packet) else { panic!("another type") };
            read.extend(nack.lost().map(|seq| seq.0));
            pairs += nack.pairs.len();
        }
        // Numbers that are 17 or more apart can't share a pair: a set of those needs as many pairs.
        let mut apart = 1;
        let mut last = 0;
        let mut at = 0;
        for gap in &gaps {
            at += usize::from(*gap);
            if at - last > 16 {
                apart += 1;
                last = at;
            }
        }
        prop_assert_eq!(read, lost);
        prop_assert_eq!(pairs, apart);
        prop_assert_eq!(packets.len(), pairs.div_ceil((size_max - 12) / 4));
    }

    #[test]
    fn any_bytes_are_walked_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        walk(&bytes);
    }

    #[test]
    fn any_content_of_any_type_is_walked_and_written_again(
        headers in prop::collection::vec((0..64_u8, 199..209_u8, prop::collection::vec(any::<u8>(), 0..60)), 1..5),
    ) {
        let mut datagram = Vec::new();
        for (first, kind, mut body) in headers {
            body.truncate(body.len() / 4 * 4);
            datagram.extend_from_slice(&[0x80 | first, kind, 0, (body.len() / 4) as u8]);
            datagram.extend_from_slice(&body);
        }
        walk(&datagram);
        for packet in packets(&datagram).flatten() {
            let mut again = Vec::new();
            if packet.write(&mut again).is_ok() {
                prop_assert_eq!(one(&again), packet);
            }
        }
    }
}
