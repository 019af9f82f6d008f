#![no_main]

use libfuzzer_sys::fuzz_target;
use plenary_rtp::rtcp::{CcfbBlock, Packet, Pli, ReferenceClock, packets};
use plenary_rtp::{Error, Ssrc};

fuzz_target!(|datagram: &[u8]| {
    let found: Vec<_> = packets(datagram).collect();
    assert!(found.len() <= datagram.len().div_ceil(4));

    // A good packet in front changes nothing in what follows.
    let mut compound = Vec::new();
    let pli = Packet::Pli(Pli { sender_ssrc: Ssrc(1), media_ssrc: Ssrc(2) });
    pli.write(&mut compound).expect("a packet of fixed length");
    compound.extend_from_slice(datagram);
    assert!(packets(&compound).eq([Ok(pli)].into_iter().chain(found.iter().copied())));

    for packet in found.into_iter().flatten() {
        let things = walk(&packet);
        let limit = if matches!(packet, Packet::Twcc(_)) { usize::from(u16::MAX) } else { 5 * datagram.len() };
        assert!(things <= limit, "{things} things in {packet:?}");
        write_again(&packet);
    }
});

/// Walks all that a packet lists, and counts it.
fn walk(packet: &Packet<'_>) -> usize {
    match packet {
        Packet::SenderReport(report) => report.reports.iter().count(),
        Packet::ReceiverReport(report) => report.reports.iter().count(),
        Packet::Sdes(sdes) => {
            sdes.chunks.iter().map(|chunk| 1 + chunk.map_or(0, |chunk| chunk.items.iter().count())).sum()
        }
        Packet::Bye(bye) => bye.sources.iter().count(),
        Packet::Nack(nack) => {
            let lost = nack.lost().count();
            assert!((nack.pairs.len()..=17 * nack.pairs.len()).contains(&lost));
            lost
        }
        Packet::Twcc(feedback) => {
            let clock = ReferenceClock::default().micros(feedback.reference_time);
            assert_eq!(clock, i64::from(feedback.reference_time) * 64_000);
            let statuses = feedback.statuses();
            assert_eq!(statuses.len(), usize::from(feedback.status_count()));
            let count = statuses.inspect(|(_, delta)| {
                assert!(delta.is_none_or(|delta| (-8_192_000..=8_191_750).contains(&delta.as_micros())));
            });
            let count = count.count();
            assert_eq!(count, usize::from(feedback.status_count()), "what is announced is there");
            count
        }
        Packet::Ccfb(feedback) => {
            let blocks = feedback.blocks.iter().map(|block| 1 + block.map_or(0, |block| block.numbered().count()));
            blocks.inspect(|&count| assert!(count <= 1 + CcfbBlock::METRICS_MAX)).sum()
        }
        Packet::Fir(fir) => fir.entries.iter().count(),
        Packet::Remb(remb) => remb.ssrcs.iter().count(),
        Packet::Xr(xr) => xr.blocks.iter().count(),
        _ => 1,
    }
}

fn write_again(packet: &Packet<'_>) {
    let mut out = b"before".to_vec();
    match packet.write(&mut out) {
        Ok(()) => {
            let mut read = packets(&out[6..]);
            assert_eq!(read.next(), Some(Ok(*packet)));
            assert_eq!(read.next(), None);
        }
        // What the reader leaves to the walk, and what the padding has cut off within a word.
        Err(error) => {
            assert_eq!((error, &out[..]), (Error::OutOfRange, &b"before"[..]));
            let sound = match packet {
                Packet::SenderReport(report) => report.extension.len().is_multiple_of(4),
                Packet::ReceiverReport(report) => report.extension.len().is_multiple_of(4),
                Packet::Sdes(sdes) => sdes.chunks.iter().all(|chunk| chunk.is_ok()),
                Packet::App(app) => app.data.len().is_multiple_of(4),
                Packet::Ccfb(feedback) => feedback.blocks.iter().all(|block| block.is_ok()),
                Packet::Xr(xr) => xr.blocks.iter().all(|block| block.is_ok()),
                Packet::Other(raw) => raw.body.len().is_multiple_of(4),
                _ => true,
            };
            assert!(!sound, "{packet:?}");
        }
    }
}
