use allocation_counter::measure;
use plenary_srtp::{Profile, Segment};

use super::*;

#[test]
fn a_known_ssrc_costs_no_allocation() {
    let now = start();
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = (sender(profile), receiver(profile));
        let room = profile.rtp_overhead();
        let mut first = protect(&mut sender, rtp(1, 0), None);
        receiver.unprotect_rtp(&mut first, now).unwrap();
        let mut first = protect_rtcp(&mut sender, rtcp(1));
        receiver.unprotect_rtcp(&mut first, now).unwrap();

        let packets: Vec<_> = (1..100).map(|sequence| rtp(1, sequence)).collect();
        let run: Vec<_> = packets.iter().map(|packet| Segment { len: packet.len() + room, index: None }).collect();
        let mut bytes: Vec<u8> =
            packets.iter().flat_map(|packet| packet.iter().copied().chain(std::iter::repeat_n(0, room))).collect();
        let mut report = [rtcp(1), vec![0; profile.rtcp_overhead()]].concat();
        let (mut forged, mut reports) = (bytes.clone(), 0);
        let allocated = measure(|| {
            sender.protect_rtp_run(&mut bytes, &run).unwrap();
            let mut rest = &mut bytes[..];
            for segment in &run {
                let (packet, after) = rest.split_at_mut(segment.len);
                receiver.unprotect_rtp(packet, now).unwrap();
                receiver.unprotect_rtp(&mut forged[..segment.len], now).unwrap_err();
                rest = after;
            }
            sender.protect_rtcp(&mut report).unwrap();
            receiver.unprotect_rtcp(&mut report, now).unwrap();
            reports += 1;
        });
        assert_eq!((allocated.count_total, reports), (0, 1), "{profile:?}");
        assert_eq!(receiver.stats().rtp_packets, 100);
    }
}
