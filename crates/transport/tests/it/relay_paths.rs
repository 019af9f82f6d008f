//! Relays by other ways than one UDP socket: by streams, and by one after another.

use plenary_netsim::Rebind;
use plenary_transport::{ChannelConfig, DropReason, Event, MessageKind};
use plenary_turn::client::{self, Failure};
use plenary_wire::FlowId;

use crate::lab::{A, B, ms, rtp};
use crate::relay::{RELAY, STREAMS, World, at, is_connected, relayed_only};

/// By a stream, in a network that lets nothing else out.
fn by_stream(config: &mut client::Config, (world, of): (&mut World, usize)) {
    let site = world.sites[of];
    world.sim.network_mut().nat_mut(site).update(|nat| *nat = nat.clone().udp_blocked(&[at(STREAMS).port()]));
    config.flow = world.connect(of);
    (config.server, config.transport) = (at(STREAMS), client::Transport::Stream);
}

fn mobile(config: &mut client::Config, _: (&mut World, usize)) {
    config.mobility = true;
}

fn mobile_by_stream(config: &mut client::Config, way: (&mut World, usize)) {
    by_stream(config, way);
    config.mobility = true;
}

/// A packet of media with this many bytes more.
fn packet(sequence: u16, more: usize) -> Vec<u8> {
    let mut packet = rtp(sequence);
    packet.resize(packet.len() + more, 0x55);
    packet
}

/// Sends one of each length both ways, a pair each 20 ms, and says what is due to come.
fn exchange(world: &mut World, sequences: std::ops::Range<u16>) -> Vec<Vec<u8>> {
    let packets: Vec<_> = sequences.map(|it| packet(it, usize::from(it % 9) * 101)).collect();
    for packet in &packets {
        world.send(A, packet.clone());
        world.send(B, packet.clone());
        world.run(20);
    }
    packets
}

fn told(world: &World, of: usize, event: &client::Event) -> Option<std::time::Duration> {
    world.when(of, |it| *it == Event::Relay(RELAY, event.clone()))
}

#[test]
fn peers_that_have_tcp_alone_meet_by_relays() {
    for (seed, loss) in [(1, 0), (2, 5), (3, 5), (4, 5)] {
        let mut world = World::relayed_by(seed, loss, relayed_only, by_stream);
        world.run(if loss == 0 { 700 } else { 30_000 });
        for of in [A, B] {
            assert!(world.when(of, is_connected).is_some(), "seed {seed}: {of} is not connected");
        }
        // By indications, and then by channels; with each length of padding.
        let sent = exchange(&mut world, 0..100);
        world.run(if loss == 0 { 100 } else { 20_000 });
        for of in [A, B] {
            assert_eq!(world.peer(of).rtp, sent, "seed {seed}: in order, as streams are");
            // A check that was sent again is answered again.
            let again = DropReason::Ice(plenary_ice::DropReason::UnknownTransaction);
            let dropped = world.peer(of).dropped.iter().filter(|it| **it != again);
            assert_eq!(dropped.count(), 0, "seed {seed}: {:?}", world.peer(of).dropped);
        }
    }
}

#[test]
fn a_data_channel_goes_by_streams() {
    let mut world = World::relayed_by(5, 0, relayed_only, by_stream);
    world.run(1000);
    let channel = world.peer(A).transport.open_channel(ChannelConfig::default()).unwrap();
    world.run(500);
    let sent: Vec<u8> = (0..200_000u32).map(|it| it as u8).collect();
    world.peer(A).transport.send_message(channel, MessageKind::Binary, &sent).unwrap();
    world.run(10_000);
    let came = &world.peer(B).messages;
    assert_eq!(came.len(), 1);
    assert!(came[0].1.bytes == sent);
}

#[test]
fn an_allocation_ends_with_its_stream() {
    let mut world = World::relayed_by(6, 0, relayed_only, by_stream);
    world.run(1000);
    assert_eq!(world.server().allocations(), 2);
    let (flow, _) = world.peer(A).transport.relay(RELAY).unwrap().path();
    let (node, at) = (world.peers[A], world.sim.elapsed());
    world.sim.network_mut().abort(node, flow, at);
    let now = world.sim.now();
    // The caller, who has closed it, says so.
    assert_eq!(world.peer(A).transport.handle_closed(flow, now), Ok(()));
    world.run(100);
    assert!(told(&world, A, &client::Event::Failed(Failure::StreamClosed)).is_some());
    assert!(world.peer(A).transport.relay(RELAY).is_none());
    assert_eq!(world.server().allocations(), 1);
    assert_eq!(world.peer(A).transport.path(), None, "it had no other way");
    assert!(world.peer(A).transport.handle_closed(flow, now).is_err(), "it is nobody's any more");
}

#[test]
fn a_stream_is_closed_after_the_goodbye() {
    let mut world = World::relayed_by(7, 0, relayed_only, by_stream);
    world.run(1000);
    let now = world.sim.now();
    world.peer(A).transport.close(now);
    world.run(100);
    assert_eq!(told(&world, A, &client::Event::Closed), Some(ms(1220)));
    assert!(told(&world, B, &client::Event::Closed).is_some());
    assert_eq!(world.server().allocations(), 0);
    for of in [A, B] {
        assert_eq!(world.peer(of).transport.poll_timeout(), None);
    }
}

/// A second way to the server.
fn second(world: &mut World, of: usize, by_stream: bool) -> FlowId {
    if by_stream { world.connect(of) } else { world.sim.bind(world.peers[of], at("10.0.0.2:4001")) }
}

// A client goes from one socket, or one stream, to another, and its peer notices nothing.
#[test]
fn a_relay_moves_and_nothing_is_lost() {
    for (seed, streams) in [(8, false), (9, true)] {
        let way = if streams { mobile_by_stream } else { mobile };
        let mut world = World::relayed_by(seed, 0, relayed_only, way);
        world.run(1000);
        let mut sent = exchange(&mut world, 0..20);
        let relayed = world.peer(A).transport.relay(RELAY).unwrap().allocated().unwrap().ipv4;
        let (old, _) = world.peer(A).transport.relay(RELAY).unwrap().path();
        let new = second(&mut world, A, streams);
        let (now, local) = (world.sim.now(), at("10.0.0.2:4001"));
        world.peer(A).transport.migrate_relay(RELAY, (new, local), now).unwrap();
        sent.extend(exchange(&mut world, 20..40));
        assert!(told(&world, A, &client::Event::Migrated).is_some(), "streams {streams}");
        assert_eq!(world.peer(A).transport.relay(RELAY).unwrap().path(), (new, local));
        // The old one may go.
        let (node, at) = (world.peers[A], world.sim.elapsed());
        if streams {
            world.sim.network_mut().close(node, old, at);
        } else {
            world.sim.network_mut().unbind(node, old);
        }
        sent.extend(exchange(&mut world, 40..60));
        world.run(100);
        for of in [A, B] {
            assert_eq!(world.peer(of).rtp.len(), sent.len(), "{of}, streams {streams}");
            assert_eq!(world.peer(of).rtp, sent, "{of}, streams {streams}");
        }
        assert_eq!(world.peer(A).transport.relay(RELAY).unwrap().allocated().unwrap().ipv4, relayed);
        assert_eq!(world.server().allocations(), 2);
    }
}

// The NAT has another address: what goes by the old one is lost, and what goes after the move is not.
#[test]
fn a_relay_is_reached_again_when_the_nat_has_moved() {
    let mut world = World::relayed_by(10, 0, relayed_only, mobile);
    world.run(1000);
    let (site, at) = (world.sites[A], world.sim.elapsed());
    world.sim.network_mut().rebind(site, Rebind::Move, at);
    let now = world.sim.now();
    let (flow, local) = world.peer(A).transport.relay(RELAY).unwrap().path();
    world.peer(A).transport.migrate_relay(RELAY, (flow, local), now).unwrap();
    world.run(100);
    assert!(told(&world, A, &client::Event::Migrated).is_some());
    let sent = exchange(&mut world, 0..20);
    world.run(100);
    for of in [A, B] {
        assert_eq!(world.peer(of).rtp, sent, "{of}");
    }
}
