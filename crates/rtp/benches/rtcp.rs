//! RTCP: ours against `rtc-rtcp`.

use std::hint::black_box;
use std::time::Duration;

use divan::{AllocProfiler, Bencher};
use plenary_rtp::rtcp::{
    Arrival, Chunk, Item, NackWriter, Packet, Packets, ReportBlock, Sdes, SenderReport, TwccWriter, packets,
};
use plenary_rtp::{ExtendedSeqNo, SeqNo, Ssrc};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// 100 packets in bursts of five, 4 % lost, each tenth reordered.
fn arrivals() -> Vec<Arrival> {
    (0..104)
        .filter(|seq| seq % 26 != 13)
        .map(|seq| {
            let late = if seq % 10 == 7 { 3_000 } else { 0 };
            Arrival {
                seq: ExtendedSeqNo(65_500 + seq),
                at: Duration::from_micros(5_000_000 + seq / 5 * 5_000 + seq % 5 * 300 + late),
            }
        })
        .collect()
}

fn feedback() -> Vec<u8> {
    let mut out = Vec::new();
    TwccWriter::new(Ssrc(1), Ssrc(2)).write(ExtendedSeqNo(65_500), &arrivals(), 1200, &mut out).expect("it fits");
    out
}

/// SR with two blocks, SDES with a CNAME, feedback on 100 packets.
fn compound() -> Vec<u8> {
    let mut out = Vec::new();
    let reports = [ReportBlock { ssrc: Ssrc(9), jitter: 40, ..Default::default() }; 2];
    SenderReport { ssrc: Ssrc(1), reports: reports[..].into(), ..Default::default() }.write(&mut out).expect("valid");
    let items = [Item { kind: Item::CNAME, text: b"a-name-of-24-characters!" }];
    let chunks = [Chunk { ssrc: Ssrc(1), items: items[..].into() }];
    Sdes { chunks: chunks[..].into() }.write(&mut out).expect("valid");
    out.extend_from_slice(&feedback());
    out
}

/// Looks at all there is.
fn sum(packets: Packets<'_>) -> u64 {
    packets
        .map(|packet| match packet {
            Ok(Packet::SenderReport(report)) => report.reports.iter().map(|block| u64::from(block.jitter)).sum(),
            Ok(Packet::Sdes(sdes)) => {
                sdes.chunks.iter().flatten().filter_map(|chunk| chunk.cname()).map(|name| name.len() as u64).sum()
            }
            Ok(Packet::Twcc(feedback)) => {
                feedback.statuses().filter_map(|(_, delta)| delta).map(|delta| delta.as_micros() as u64).sum()
            }
            Ok(Packet::Nack(nack)) => nack.lost().map(|seq| u64::from(seq.0)).sum(),
            _ => 0,
        })
        .fold(0, u64::wrapping_add)
}

#[divan::bench]
fn read_compound_ours(bencher: Bencher<'_, '_>) {
    let datagram = compound();
    bencher.bench(|| sum(packets(black_box(&datagram))));
}

/// Its parse alone: the content is not looked at.
#[divan::bench]
fn read_compound_rtc_rtcp(bencher: Bencher<'_, '_>) {
    let datagram = compound();
    bencher.bench(|| rtc_rtcp::packet::unmarshal(&mut black_box(&datagram[..])).map(|packets| packets.len()));
}

#[divan::bench]
fn read_twcc_of_100(bencher: Bencher<'_, '_>) {
    let datagram = feedback();
    bencher.bench(|| sum(packets(black_box(&datagram))));
}

#[divan::bench]
fn write_twcc_of_100(bencher: Bencher<'_, '_>) {
    let arrivals = arrivals();
    let mut out = Vec::with_capacity(1200);
    let mut writer = TwccWriter::new(Ssrc(1), Ssrc(2));
    bencher.bench_local(|| {
        out.clear();
        writer.write(ExtendedSeqNo(65_500), black_box(&arrivals), 1200, &mut out)
    });
}

#[divan::bench]
fn write_twcc_after_a_gap_of_30000(bencher: Bencher<'_, '_>) {
    let arrivals = arrivals();
    let mut out = Vec::with_capacity(1200);
    let mut writer = TwccWriter::new(Ssrc(1), Ssrc(2));
    bencher.bench_local(|| {
        out.clear();
        writer.write(ExtendedSeqNo(35_500), black_box(&arrivals), 1200, &mut out)
    });
}

fn lost() -> impl Iterator<Item = SeqNo> {
    (0..40).map(|index| SeqNo(65_500).wrapping_add(index * 7))
}

#[divan::bench]
fn write_nack_of_40(bencher: Bencher<'_, '_>) {
    let mut out = Vec::with_capacity(1200);
    bencher.bench_local(|| {
        out.clear();
        NackWriter::new(Ssrc(1), Ssrc(2), black_box(lost())).write(1200, &mut out)
    });
}

#[divan::bench]
fn read_nack_of_40(bencher: Bencher<'_, '_>) {
    let mut out = Vec::new();
    NackWriter::new(Ssrc(1), Ssrc(2), lost()).write(1200, &mut out).expect("it fits");
    bencher.bench(|| sum(packets(black_box(&out))));
}
