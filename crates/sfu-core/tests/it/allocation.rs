//! In its steady state the engine allocates nothing, in or out.

use plenary_wire::{Datagram, Ecn, FlowId, Limit};

use crate::lab::{Lab, ms, server};

#[test]
fn a_packet_costs_no_allocation() {
    let mut lab = Lab::new();
    let publisher = lab.join();
    let (track, mut camera) = lab.publish_camera(publisher);
    for _ in 0..10 {
        let subscriber = lab.join();
        lab.add_video_slot(subscriber, 0);
        lab.sfu.subscribe(lab.clients[subscriber].session, track, lab.now).unwrap();
    }
    let mut out = Vec::with_capacity(1 << 20);
    let mut most = 0;
    for frame in 0..400 {
        lab.now += ms(10);
        for (index, packet) in camera.frame(frame == 0, &[1100, 1100, 900]) {
            lab.clients[publisher].send(packet, index);
        }
        camera.sent.clear();
        let mut datagrams: Vec<_> = lab.clients[publisher].outbox.drain(..).collect();
        let (remote, now, sfu) = (lab.clients[publisher].address, lab.now, &mut lab.sfu);
        let mut sent = 0;
        let counted = allocation_counter::measure(|| {
            for bytes in &mut datagrams {
                let (flow, local, ecn) = (FlowId(0), server(), Ecn::NotEct);
                let _ = sfu.handle_datagram(Datagram { flow, local, remote, ecn, bytes }, now);
            }
            while let Some(transmit) = sfu.poll_transmit(now, Limit::GSO, &mut out) {
                sent += transmit.datagrams(&out).len();
            }
            out.clear();
        });
        if frame >= 300 {
            assert!(sent >= 30, "frame {frame}: {sent}");
            most = most.max(counted.count_total);
        }
        while sfu.poll_event().is_some() {}
    }
    assert_eq!(most, 0);
}
