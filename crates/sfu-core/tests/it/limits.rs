//! Callers that can take little at a time, and packets that can't be protected.

use std::time::Instant;

use plenary_rtp::rtcp::NackWriter;
use plenary_rtp::{Packet, Ssrc};
use plenary_sfu_core::RoomConfig;
use plenary_wire::{Limit, PacketKind};

use crate::lab::{Camera, Lab, ms};

const SMALL: Limit = Limit { bytes: 600, segments: 64 };

/// Drives the engine alone up to this instant, and answers what it wrote: sizes, and whether it is RTP. Panics if it wants
/// to be called without end.
fn drive(lab: &mut Lab, end: Instant, limit: Limit) -> Vec<(usize, bool)> {
    let mut written = Vec::new();
    for _ in 0..1000 {
        let mut out = Vec::new();
        while let Some(transmit) = lab.sfu.poll_transmit(lab.now, limit, &mut out) {
            assert!(transmit.range.len() <= limit.bytes);
            let is_rtp = PacketKind::of(transmit.bytes(&out)) == Some(PacketKind::Rtp);
            written.push((transmit.range.len(), is_rtp));
            out.clear();
        }
        let Some(due) = lab.sfu.poll_timeout().filter(|due| *due <= end) else {
            lab.now = end;
            return written;
        };
        lab.now = lab.now.max(due);
        lab.sfu.handle_timeout(lab.now);
    }
    panic!("a thousand timeouts until {:?}", end - lab.now);
}

/// One who publishes, one who watches, and a picture of two packets that has come in.
fn pictured(sizes: &[usize]) -> (Lab, Camera) {
    let mut lab = Lab::new();
    let (publisher, subscriber) = (lab.join(), lab.join());
    let (track, mut camera) = lab.publish_camera(publisher);
    lab.add_video_slot(subscriber, 0);
    lab.sfu.subscribe(lab.clients[subscriber].session, track, lab.now).unwrap();
    lab.run(ms(1));
    lab.take_in(publisher, camera.frame(true, sizes));
    (lab, camera)
}

#[test]
fn what_does_not_fit_waits_for_a_limit_that_it_fits() {
    let (mut lab, _) = pictured(&[1000, 300]);
    let none = Limit { bytes: 65_507, segments: 0 };
    let (now, later) = (lab.now, lab.now + ms(20));
    assert_eq!(drive(&mut lab, now, none), []);
    assert_eq!(drive(&mut lab, later, SMALL), []);
    // Nothing has come in since.
    assert_eq!(drive(&mut lab, later, Limit::DATAGRAM).len(), 2);
    assert_eq!(drive(&mut lab, later, Limit::DATAGRAM), []);
}

#[test]
fn reports_and_repairs_that_do_not_fit_wait_too() {
    let (mut lab, _) = pictured(&[1000, 300]);
    lab.run(ms(1));
    let lost = Packet::parse(&lab.clients[1].rtp[0]).unwrap().sequence_number();
    let mut nack = Vec::new();
    NackWriter::new(Ssrc(9), Ssrc(100), [lost]).write(1200, &mut nack).unwrap();
    lab.clients[1].report(nack);
    lab.take_in(1, []);
    // Long enough for reports; the log keeps a packet for as long as nothing newer comes.
    let later = lab.now + ms(3000);
    let written = drive(&mut lab, later, SMALL);
    assert!(written.iter().all(|(_, is_rtp)| !is_rtp), "{written:?}");
    let written = drive(&mut lab, later, Limit::GSO);
    assert!(written.iter().any(|(size, is_rtp)| *is_rtp && *size > 1000), "{written:?}");
    assert!(written.iter().filter(|(_, is_rtp)| !is_rtp).count() >= 2, "reports to both: {written:?}");
}

#[test]
fn a_packet_that_cannot_be_protected_holds_up_nobody() {
    // Keys for one stream, which the second slot's takes.
    let mut lab = Lab::configured(RoomConfig::default(), |config| config.transport.srtp_sender.ssrcs_max = 1);
    let [first, second, subscriber] = [(); 3].map(|()| lab.join());
    let [(one, mut refused), (other, mut sent)] = [first, second].map(|client| lab.publish_camera(client));
    let session = lab.clients[subscriber].session;
    lab.add_video_slot(subscriber, 0);
    lab.sfu.subscribe(session, one, lab.now).unwrap();
    lab.add_video_slot(subscriber, 1);
    lab.sfu.subscribe(session, other, lab.now).unwrap();
    lab.take_in(second, sent.frame(true, &[500]));
    lab.run(ms(1));
    assert_eq!(lab.clients[subscriber].rtp.len(), 1);
    lab.take_in(first, refused.frame(true, &[500]));
    lab.take_in(second, sent.frame(false, &[500]));
    lab.run(ms(1));
    let ssrcs: Vec<_> = lab.clients[subscriber].rtp.iter().map(|bytes| Packet::parse(bytes).unwrap().ssrc()).collect();
    assert_eq!(ssrcs, [Ssrc(101), Ssrc(101)]);
}
