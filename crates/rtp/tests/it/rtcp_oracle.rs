//! Against `rtc-rtcp`: what either writes, the other reads as the same.

use std::time::Duration;

use plenary_rtp::rtcp::{
    Arrival, ArrivalOffset, Bye, Ccfb, CcfbBlock, Chunk, DlrrReport, Fir, FirEntry, Item, Metric, Nack, NackPair,
    Packet, Pli, ReceiverReport, Remb, ReportBlock, Sdes, SenderReport, Twcc, TwccWriter, Xr, XrBlock, packets,
};
use plenary_rtp::{CompactNtp, ExtendedSeqNo, NtpTime, RtpTime, SeqNo, Ssrc};
use plenary_wire::{Bitrate, Ecn};
use proptest::collection::vec;
use proptest::prelude::*;
use rtc_rtcp as theirs;
use rtc_shared::marshal::Marshal;
use theirs::transport_feedbacks::cc_feedback_report as their_ccfb;
use theirs::transport_feedbacks::transport_layer_cc as their_twcc;

fn agree(ours: Packet<'_>, theirs: impl theirs::packet::Packet + Clone + 'static) {
    let mut written = Vec::new();
    ours.write(&mut written).expect("it can be written");
    let read = theirs::packet::unmarshal(&mut &written[..]).expect("they read it");
    assert!(read.len() == 1 && read[0].equal(&theirs), "they read {read:?} of {ours:?}");
    assert_eq!(theirs_read_by_us(&theirs), ours);
}

fn leak(bytes: &[u8]) -> &'static [u8] {
    Box::leak(bytes.into())
}

/// Lives as long as the test, so that views on it can be compared.
fn theirs_read_by_us(packet: &impl Marshal) -> Packet<'static> {
    let bytes = leak(&packet.marshal().expect("they write it"));
    let mut packets = packets(bytes);
    let packet = packets.next().expect("a packet").expect("a good one");
    assert_eq!(packets.next(), None);
    packet
}

fn ssrc() -> impl Strategy<Value = Ssrc> {
    any::<u32>().prop_map(Ssrc)
}

fn report_blocks() -> impl Strategy<Value = Vec<ReportBlock>> {
    let block = (any::<[u32; 5]>(), any::<u8>(), 0..0x80_0000).prop_map(|(words, fraction_lost, cumulative_lost)| {
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
    });
    vec(block, 0..=31)
}

fn their_reports(reports: &[ReportBlock]) -> Vec<theirs::reception_report::ReceptionReport> {
    let report = |block: &ReportBlock| theirs::reception_report::ReceptionReport {
        ssrc: block.ssrc.0,
        fraction_lost: block.fraction_lost,
        total_lost: block.cumulative_lost as u32,
        last_sequence_number: block.highest_seq,
        jitter: block.jitter,
        last_sender_report: block.last_sr.0,
        delay: block.delay_since_last_sr.0,
    };
    reports.iter().map(report).collect()
}

proptest! {
    #[test]
    fn reports(head: [u32; 4], ntp: u64, blocks in report_blocks()) {
        let [ssrc, rtp_timestamp, packet_count, octet_count] = head;
        let (reports, extension) = (blocks[..].into(), &[][..]);
        let (ours, ntp_time, rtp_time) = (Ssrc(ssrc), NtpTime(ntp), RtpTime(rtp_timestamp));
        agree(
            Packet::SenderReport(SenderReport {
                ssrc: ours,
                ntp: ntp_time,
                rtp_timestamp: rtp_time,
                packet_count,
                octet_count,
                reports,
                extension,
            }),
            theirs::sender_report::SenderReport {
                ssrc,
                ntp_time: ntp,
                rtp_time: rtp_timestamp,
                packet_count,
                octet_count,
                reports: their_reports(&blocks),
                ..Default::default()
            },
        );
        agree(
            Packet::ReceiverReport(ReceiverReport { ssrc: ours, reports, extension }),
            theirs::receiver_report::ReceiverReport { ssrc, reports: their_reports(&blocks), ..Default::default() },
        );
    }

    #[test]
    fn descriptions(list in vec((any::<u32>(), vec((1..=8_u8, vec(any::<u8>(), 0..=255)), 0..4)), 0..=31)) {
        let items: Vec<Vec<Item<'_>>> = list
            .iter()
            .map(|(_, items)| items.iter().map(|(kind, text)| Item { kind: *kind, text }).collect())
            .collect();
        let chunks: Vec<_> =
            list.iter().zip(&items).map(|((ssrc, _), items)| Chunk { ssrc: Ssrc(*ssrc), items: items[..].into() }).collect();
        let their_chunk = |(source, items): &(u32, Vec<(u8, Vec<u8>)>)| {
            let item = |(kind, text): &(u8, Vec<u8>)| theirs::source_description::SourceDescriptionItem {
                sdes_type: (*kind).into(),
                text: text.clone().into(),
            };
            theirs::source_description::SourceDescriptionChunk {
                source: *source,
                items: items.iter().map(item).collect(),
            }
        };
        agree(
            Packet::Sdes(Sdes { chunks: chunks[..].into() }),
            theirs::source_description::SourceDescription { chunks: list.iter().map(their_chunk).collect() },
        );
    }

    // They write a reason always, an empty one too.
    #[test]
    fn farewells(sources in vec(ssrc(), 0..=31), reason in vec(any::<u8>(), 0..=255)) {
        agree(
            Packet::Bye(Bye { sources: sources[..].into(), reason: Some(&reason) }),
            theirs::goodbye::Goodbye { sources: sources.iter().map(|source| source.0).collect(), reason: reason.clone().into() },
        );
    }

    #[test]
    fn picture_requests(sender_ssrc in ssrc(), media_ssrc in ssrc(), list in vec(any::<(u32, u8)>(), 1..40)) {
        agree(
            Packet::Pli(Pli { sender_ssrc, media_ssrc }),
            theirs::payload_feedbacks::picture_loss_indication::PictureLossIndication {
                sender_ssrc: sender_ssrc.0,
                media_ssrc: media_ssrc.0,
            },
        );
        use theirs::payload_feedbacks::full_intra_request as their_fir;
        let entries: Vec<_> = list.iter().map(|&(ssrc, seq)| FirEntry { ssrc: Ssrc(ssrc), seq }).collect();
        let fir = list.iter().map(|&(ssrc, sequence_number)| their_fir::FirEntry { ssrc, sequence_number }).collect();
        agree(
            Packet::Fir(Fir { sender_ssrc, media_ssrc, entries: entries[..].into() }),
            their_fir::FullIntraRequest { sender_ssrc: sender_ssrc.0, media_ssrc: media_ssrc.0, fir },
        );
    }

    // Their rate is an f32: exact for 18 bits.
    #[test]
    fn maximum_bitrates(
        sender_ssrc in ssrc(),
        mantissa in 0..1_u64 << 18,
        exponent in 0..=46_u32,
        ssrcs in vec(ssrc(), 0..=255),
    ) {
        agree(
            Packet::Remb(Remb { sender_ssrc, bitrate: Bitrate::from_bps(mantissa << exponent), ssrcs: ssrcs[..].into() }),
            theirs::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate {
                sender_ssrc: sender_ssrc.0,
                bitrate: (mantissa << exponent) as f32,
                ssrcs: ssrcs.iter().map(|ssrc| ssrc.0).collect(),
            },
        );
    }

    #[test]
    fn negative_acknowledgements(sender_ssrc in ssrc(), media_ssrc in ssrc(), list in vec(any::<(u16, u16)>(), 1..200)) {
        use theirs::transport_feedbacks::transport_layer_nack as their_nack;
        let pairs: Vec<_> = list.iter().map(|&(seq, following)| NackPair { seq: SeqNo(seq), following }).collect();
        let pair = |&(packet_id, lost_packets): &(u16, u16)| their_nack::NackPair { packet_id, lost_packets };
        let nacks: Vec<_> = list.iter().map(pair).collect();
        let ours = Nack { sender_ssrc, media_ssrc, pairs: pairs[..].into() };
        let lost: Vec<_> = nacks.iter().flat_map(|pair| pair.into_iter()).map(SeqNo).collect();
        prop_assert_eq!(ours.lost().collect::<Vec<_>>(), lost);
        agree(Packet::Nack(ours), their_nack::TransportLayerNack { sender_ssrc: sender_ssrc.0, media_ssrc: media_ssrc.0, nacks });
    }

    #[test]
    fn congestion_feedback(
        sender_ssrc in ssrc(),
        report_timestamp: u32,
        list in vec((any::<u32>(), any::<u16>(), vec(prop::option::of((0..4_u8, 0..8190_u16)), 0..20)), 0..6),
    ) {
        let metric = |metric: &Option<(u8, u16)>| match *metric {
            None => Metric::Lost,
            Some((ecn, ticks)) => Metric::Received {
                ecn: Ecn::from_bits(ecn),
                offset: ArrivalOffset::from_ticks(ticks.into()),
            },
        };
        let metrics: Vec<Vec<_>> = list.iter().map(|(_, _, metrics)| metrics.iter().map(metric).collect()).collect();
        let blocks: Vec<_> = list
            .iter()
            .zip(&metrics)
            .map(|(&(ssrc, begin_seq, _), metrics)| CcfbBlock {
                ssrc: Ssrc(ssrc),
                begin_seq: SeqNo(begin_seq),
                metrics: metrics[..].into(),
            })
            .collect();
        let their_metric = |metric: &Option<(u8, u16)>| their_ccfb::CcFeedbackMetricBlock {
            received: metric.is_some(),
            ecn: match metric.map_or(0, |(ecn, _)| ecn) {
                0 => their_ccfb::Ecn::NotEct,
                1 => their_ccfb::Ecn::Ect1,
                2 => their_ccfb::Ecn::Ect0,
                _ => their_ccfb::Ecn::Ce,
            },
            arrival_time_offset: metric.map_or(0, |(_, ticks)| ticks),
        };
        let report_blocks = list
            .iter()
            .map(|(media_ssrc, begin_sequence, metrics)| their_ccfb::CcFeedbackReportBlock {
                media_ssrc: *media_ssrc,
                begin_sequence: *begin_sequence,
                metric_blocks: metrics.iter().map(their_metric).collect(),
            })
            .collect();
        agree(
            Packet::Ccfb(Ccfb { sender_ssrc, blocks: blocks[..].into(), timestamp: CompactNtp(report_timestamp) }),
            their_ccfb::CcFeedbackReport { sender_ssrc: sender_ssrc.0, report_blocks, report_timestamp },
        );
    }

    #[test]
    fn extended_reports(ssrc in ssrc(), ntp: u64, list in vec(any::<[u32; 3]>(), 0..10)) {
        use theirs::extended_report as their_xr;
        let reports: Vec<_> = list
            .iter()
            .map(|&[ssrc, last_rr, delay_since_last_rr]| DlrrReport {
                ssrc: Ssrc(ssrc),
                last_rr: CompactNtp(last_rr),
                delay_since_last_rr: CompactNtp(delay_since_last_rr),
            })
            .collect();
        let blocks = [XrBlock::Dlrr(reports[..].into()), XrBlock::ReferenceTime { ntp: NtpTime(ntp) }];
        let reports =
            list.iter().map(|&[ssrc, last_rr, dlrr]| their_xr::DLRRReport { ssrc, last_rr, dlrr }).collect();
        agree(
            Packet::Xr(Xr { ssrc, blocks: blocks[..].into() }),
            their_xr::ExtendedReport {
                sender_ssrc: ssrc.0,
                reports: vec![
                    Box::new(their_xr::DLRRReportBlock { reports }),
                    Box::new(their_xr::ReceiverReferenceTimeReportBlock { ntp_timestamp: ntp }),
                ],
            },
        );
    }
}

/// What their feedback tells: the delta of each number in microseconds.
fn their_statuses(feedback: &their_twcc::TransportLayerCc) -> Vec<(u16, Option<i64>)> {
    let mut symbols = Vec::new();
    for chunk in &feedback.packet_chunks {
        match chunk {
            their_twcc::PacketStatusChunk::RunLengthChunk(run) => {
                symbols.extend(std::iter::repeat_n(run.packet_status_symbol, run.run_length.into()));
            }
            their_twcc::PacketStatusChunk::StatusVectorChunk(vector) => symbols.extend(&vector.symbol_list),
        }
    }
    let mut deltas = feedback.recv_deltas.iter();
    let status = |(index, symbol)| {
        let received = symbol != their_twcc::SymbolTypeTcc::PacketNotReceived;
        let delta = received.then(|| deltas.next().expect("a delta").delta);
        (feedback.base_sequence_number.wrapping_add(index as u16), delta)
    };
    symbols.into_iter().take(feedback.packet_status_count.into()).enumerate().map(status).collect()
}

fn our_statuses(feedback: &Twcc<'_>) -> Vec<(u16, Option<i64>)> {
    feedback.statuses().map(|(seq, delta)| (seq.0, delta.map(|delta| delta.as_micros().into()))).collect()
}

fn symbol(index: u8) -> their_twcc::SymbolTypeTcc {
    u16::from(index).into()
}

/// One chunk of theirs: a run, or a vector of one or two bits.
fn their_chunk() -> impl Strategy<Value = their_twcc::PacketStatusChunk> {
    let vector = |symbol_size, symbols: Vec<u8>| {
        their_twcc::PacketStatusChunk::StatusVectorChunk(their_twcc::StatusVectorChunk {
            type_tcc: their_twcc::StatusChunkTypeTcc::StatusVectorChunk,
            symbol_size,
            symbol_list: symbols.into_iter().map(symbol).collect(),
        })
    };
    prop_oneof![
        (0..3_u8, 1..60_u16).prop_map(|(index, run_length)| their_twcc::PacketStatusChunk::RunLengthChunk(
            their_twcc::RunLengthChunk {
                type_tcc: their_twcc::StatusChunkTypeTcc::RunLengthChunk,
                packet_status_symbol: symbol(index),
                run_length,
            }
        )),
        vec(0..2_u8, 14).prop_map(move |symbols| vector(their_twcc::SymbolSizeTypeTcc::OneBit, symbols)),
        vec(0..3_u8, 7).prop_map(move |symbols| vector(their_twcc::SymbolSizeTypeTcc::TwoBit, symbols)),
    ]
}

proptest! {
    #[test]
    fn they_read_our_transport_feedback(
        base in 0..1_000_000_u64,
        steps in vec((prop_oneof![3 => Just(1_u64), 1 => 1..40_u64], -30_000..90_000_i64), 1..100),
    ) {
        let (mut seq, mut at) = (base, 100_000_000_i64);
        let mut arrivals = Vec::new();
        for (gap, delta) in steps {
            seq += gap;
            at += delta;
            arrivals.push(Arrival { seq: ExtendedSeqNo(seq), at: Duration::from_micros(at as u64) });
        }
        let mut bytes = Vec::new();
        prop_assert_eq!(TwccWriter::new(Ssrc(1), Ssrc(2)).write(ExtendedSeqNo(base), &arrivals, 4000, &mut bytes), Ok(arrivals.len()));
        let Some(Ok(Packet::Twcc(ours))) = packets(&bytes).next() else { panic!("another type") };
        let read = theirs::packet::unmarshal(&mut &bytes[..]).expect("they read it");
        let theirs = read[0].as_any().downcast_ref::<their_twcc::TransportLayerCc>().expect("feedback");
        prop_assert_eq!((theirs.sender_ssrc, theirs.media_ssrc, theirs.fb_pkt_count), (1, 2, 0));
        prop_assert_eq!(theirs.reference_time as i32, ours.reference_time);
        prop_assert_eq!(their_statuses(theirs), our_statuses(&ours));
        // And both read what was written.
        let mut micros = i64::from(ours.reference_time) * 64_000;
        let read: Vec<_> = our_statuses(&ours)
            .into_iter()
            .filter_map(|(seq, delta)| {
                micros += delta?;
                Some((seq, micros))
            })
            .collect();
        let written: Vec<_> =
            arrivals.iter().map(|a| (a.seq.0 as u16, a.at.as_micros() as i64 / 250 * 250)).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn we_read_their_transport_feedback(
        base: u16,
        reference_time in 0..1_u32 << 24,
        fb_pkt_count: u8,
        chunks in vec(their_chunk(), 1..20),
        deltas in vec(any::<i16>(), 1200),
    ) {
        let mut theirs = their_twcc::TransportLayerCc {
            sender_ssrc: 3,
            media_ssrc: 4,
            base_sequence_number: base,
            reference_time,
            fb_pkt_count,
            packet_chunks: chunks,
            ..Default::default()
        };
        theirs.packet_status_count = u16::MAX;
        let mut deltas = deltas.into_iter().map(i64::from);
        for chunk in &theirs.packet_chunks {
            let symbols = match chunk {
                their_twcc::PacketStatusChunk::RunLengthChunk(run) => {
                    vec![run.packet_status_symbol; run.run_length.into()]
                }
                their_twcc::PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
            };
            for symbol in symbols {
                let delta = deltas.next().expect("enough of them");
                let delta = match symbol {
                    their_twcc::SymbolTypeTcc::PacketReceivedSmallDelta => delta & 0xff,
                    their_twcc::SymbolTypeTcc::PacketReceivedLargeDelta => delta,
                    _ => continue,
                };
                theirs.recv_deltas.push(their_twcc::RecvDelta { type_tcc_packet: symbol, delta: delta * 250 });
            }
        }
        let len = their_statuses(&theirs).len();
        theirs.packet_status_count = len as u16;
        let Packet::Twcc(ours) = theirs_read_by_us(&theirs) else { panic!("another type") };
        prop_assert_eq!((ours.sender_ssrc, ours.media_ssrc, ours.base_seq), (Ssrc(3), Ssrc(4), SeqNo(base)));
        prop_assert_eq!((ours.reference_time as u32 & 0xff_ffff, ours.feedback_count), (reference_time, fb_pkt_count));
        prop_assert_eq!(our_statuses(&ours), their_statuses(&theirs));
    }
}

// Why the walk is ours.
#[test]
fn they_lose_the_compound_to_a_truncated_trailing_packet() {
    let mut datagram = Vec::new();
    SenderReport { ssrc: Ssrc(1), ..Default::default() }.write(&mut datagram).expect("valid");
    Pli { sender_ssrc: Ssrc(1), media_ssrc: Ssrc(2) }.write(&mut datagram).expect("valid");
    datagram.truncate(datagram.len() - 4);
    assert!(theirs::packet::unmarshal(&mut &datagram[..]).is_err());
    assert!(matches!(packets(&datagram).next(), Some(Ok(Packet::SenderReport(_)))));
}
