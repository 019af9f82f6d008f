//! What callers may not do or have, what they can take at a time, and packets that can't be protected.

use std::time::Instant;

use plenary_rtp::payload::Codec;
use plenary_rtp::rtcp::NackWriter;
use plenary_rtp::{Packet, Ssrc};
use plenary_sfu_core::{Config, ConfigError, Error, LayerConfig, Publication, RoomCodec, RoomConfig, Sfu};
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

#[test]
fn rooms_sessions_and_subscriptions_have_limits() {
    let mut lab = Lab::configured(RoomConfig::default(), |config| {
        (config.rooms_max, config.sessions_max, config.room_sessions_max) = (2, 3, 2);
        config.session_subscriptions_max = 1;
    });
    let other = lab.sfu.create_room(RoomConfig::default()).unwrap();
    assert_eq!(lab.sfu.create_room(RoomConfig::default()), Err(Error::Limit("rooms_max")));
    let [one, two] = [lab.join(), lab.join()];
    assert_eq!(lab.sfu.join(lab.room), Err(Error::Limit("room_sessions_max")));
    lab.sfu.join(other).unwrap();
    assert_eq!(lab.sfu.join(other), Err(Error::Limit("sessions_max")));
    let [first, second] = [one, two].map(|client| lab.publish_camera(client).0);
    let session = lab.clients[two].session;
    let subscription = lab.sfu.subscribe(session, first, lab.now).unwrap();
    assert_eq!(lab.sfu.subscribe(session, second, lab.now), Err(Error::Limit("session_subscriptions_max")));
    assert_eq!(lab.sfu.select_layer(subscription, Some(1), lab.now), Err(Error::NoLayer));
    // What ends makes room.
    lab.sfu.unsubscribe(subscription, lab.now).unwrap();
    lab.sfu.subscribe(session, second, lab.now).unwrap();
    lab.sfu.leave(session, lab.now).unwrap();
    lab.sfu.join(lab.room).unwrap();
}

#[test]
fn what_can_not_be_published_is_refused() {
    let mut lab = Lab::new();
    let client = lab.join();
    let (_, good) = crate::lab::camera(client);
    let layers = |count| vec![LayerConfig::default(); count];
    let cases = [
        (Publication { layers: layers(0), ..good.clone() }, Error::Layers),
        (Publication { layers: layers(5), ..good.clone() }, Error::Layers),
        (Publication { payload_type: 128, ..good.clone() }, Error::OutOfRange),
        (Publication { rtx_payload_type: Some(128), ..good.clone() }, Error::OutOfRange),
        (Publication { stream: "x".repeat(65), ..good.clone() }, Error::OutOfRange),
    ];
    for (publication, error) in cases {
        let taken = lab.sfu.publish(lab.clients[client].id, publication.clone(), lab.now);
        assert_eq!(taken, Err(error), "{publication:?}");
    }
    lab.sfu.publish(lab.clients[client].id, good.clone(), lab.now).unwrap();
    assert_eq!(lab.sfu.publish(lab.clients[client].id, good, lab.now), Err(Error::InUse));
    let malformed = RoomCodec { codec: Codec::H264, parameters: "profile-level-id=x".into() };
    for codecs in [vec![Codec::Vp8.into(), Codec::Vp8.into()], vec![malformed]] {
        assert_eq!(lab.sfu.create_room(RoomConfig { codecs }), Err(Error::Codecs));
    }
    let mut unreachable: Option<Config> = None;
    Lab::configured(RoomConfig::default(), |config| unreachable = Some(Config { flows: vec![], ..config.clone() }));
    assert_eq!(Sfu::new(unreachable.unwrap(), lab.now).err(), Some(ConfigError::Flows));
}

#[test]
fn transports_that_come_and_go_unpolled_leave_nothing() {
    let mut lab = Lab::new();
    let session = lab.sfu.join(lab.room).unwrap();
    let before = format!("{:?}", lab.sfu);
    for _ in 0..100 {
        let transport = lab.sfu.add_transport(session, lab.now).unwrap();
        lab.sfu.remove_transport(transport, lab.now).unwrap();
    }
    assert_eq!(format!("{:?}", lab.sfu), before);
}
