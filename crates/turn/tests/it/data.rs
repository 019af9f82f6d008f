//! What goes to peers and comes from them.

use plenary_stun::{Attribute, Class, Message, Method};
use plenary_turn::{DropReason, Event, Icmp};
use plenary_wire::{Bitrate, Ecn};

use crate::lab::{Client, LISTENER, Lab, PEER, RELAY, SERVER, Took, at, channel_data};

const CLIENT: &str = "5.5.5.5:5000";

/// A client with a relay.
fn relayed(lab: &mut Lab) -> (Client, std::net::SocketAddr) {
    let mut client = Client::challenged(lab, CLIENT);
    let relayed = client.allocate(lab);
    (client, relayed)
}

fn dropped(reason: DropReason) -> Took {
    Took::Dropped(reason)
}

#[test]
fn a_channel_carries_data_both_ways() {
    let mut lab = Lab::new();
    let (mut client, relayed) = relayed(&mut lab);
    assert_eq!(client.bind(&mut lab, 0x4001, PEER).code(), 0);
    for length in [0, 1, 3, 4, 200, 1200, 65_503] {
        let data = vec![7; length];
        let out = lab.send(client.address, &channel_data(0x4001, &data)).relay();
        assert_eq!((out.flow, out.local, out.to), (lab.sockets[&relayed], relayed, at(PEER)));
        assert_eq!((out.bytes, out.ecn, out.dont_fragment), (data.clone(), Ecn::Ect1, false));
        let back = lab.send_to_relay(relayed, PEER, &data).relay();
        assert_eq!((back.flow, back.local, back.to, back.ecn), (LISTENER, at(SERVER), client.address, Ecn::Ect1));
        assert_eq!(back.bytes, channel_data(0x4001, &data), "without padding on UDP");
    }
    let counters = lab.server.counters();
    assert_eq!((counters.to_peers, counters.to_peers_bytes), (7, 66_911));
    assert_eq!((counters.to_clients, counters.to_clients_bytes), (7, 66_911));
}

#[test]
fn channel_data_may_be_padded_and_not_cut() {
    let mut lab = Lab::new();
    let (mut client, _) = relayed(&mut lab);
    client.bind(&mut lab, 0x4001, PEER);
    let whole = channel_data(0x4001, b"12345");
    let padded = [&whole[..], &[0; 3]].concat();
    assert_eq!(lab.send(client.address, &padded).relay().bytes, b"12345");
    for length in 1..whole.len() {
        assert_eq!(lab.send(client.address, &whole[..length]), dropped(DropReason::BadData), "{length}");
    }
}

#[test]
fn data_without_allocation_or_channel_is_dropped() {
    let mut lab = Lab::new();
    let stranger = at("6.6.6.6:6");
    assert_eq!(lab.send(stranger, &channel_data(0x4001, b"x")), dropped(DropReason::NoAllocation));
    let indication = Client::new("6.6.6.6:6").send(PEER, b"x", &[]);
    assert_eq!(lab.send(stranger, &indication), dropped(DropReason::NoAllocation));
    let (mut client, _) = relayed(&mut lab);
    client.bind(&mut lab, 0x4001, PEER);
    assert_eq!(lab.send(client.address, &channel_data(0x4002, b"x")), dropped(DropReason::NoChannel));
    assert_eq!(lab.send(stranger, &channel_data(0x4001, b"x")), dropped(DropReason::NoAllocation));
}

#[test]
fn an_indication_carries_data_both_ways() {
    let mut lab = Lab::new();
    let (mut client, relayed) = relayed(&mut lab);
    assert_eq!(client.permit(&mut lab, &[PEER]).code(), 0);
    for length in [0, 1, 2, 3, 4, 1200] {
        let data = vec![5; length];
        let indication = client.send(PEER, &data, &[]);
        let out = lab.send(client.address, &indication).relay();
        assert_eq!((out.flow, out.to, out.bytes), (lab.sockets[&relayed], at(PEER), data.clone()));
        // Any port of an address that has a permission.
        let back = lab.send_to_relay(relayed, "9.9.9.9:7001", &data).relay();
        assert_eq!((back.flow, back.to), (LISTENER, client.address));
        let message = Message::parse(&back.bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        assert_eq!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(at("9.9.9.9:7001"))));
        assert_eq!(message.get(Attribute::DATA), Some(&data[..]));
    }
}

#[test]
fn an_indication_of_an_ipv6_peer() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let family = (Attribute::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    let relayed = client.allocate_with(&mut lab, &[family]).address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    assert_eq!(client.permit(&mut lab, &["[2600::9]:1"]).code(), 0);
    let back = lab.send_to_relay(relayed, "[2600::9]:7", b"abc").relay();
    let message = Message::parse(&back.bytes).unwrap();
    assert_eq!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(at("[2600::9]:7"))));
    assert_eq!(message.get(Attribute::DATA), Some(&b"abc"[..]));
    assert_eq!(back.bytes.last(), Some(&0), "padded with zeros");
    // As long as an indication can be, and longer.
    assert!(matches!(lab.send_to_relay(relayed, "[2600::9]:7", &[1; 65_500]), Took::Relay(_)));
    assert_eq!(lab.send_to_relay(relayed, "[2600::9]:7", &[1; 65_507]), dropped(DropReason::TooLong));
}

#[test]
fn a_send_indication_needs_peer_data_and_permission() {
    let mut lab = Lab::new();
    let (mut client, _) = relayed(&mut lab);
    let send = |lab: &mut Lab, bytes: &[u8]| lab.send(at(CLIENT), bytes);
    let good = client.send(PEER, b"data", &[]);
    assert_eq!(send(&mut lab, &good), dropped(DropReason::NoPermission));
    client.permit(&mut lab, &[PEER]);
    send(&mut lab, &good).relay();
    let no_port = client.send("9.9.9.9:0", b"data", &[]);
    assert_eq!(send(&mut lab, &no_port), dropped(DropReason::BadData));
    let mut unknown = client.send(PEER, b"data", &[(Attribute(0x7ffe), vec![])]);
    assert_eq!(send(&mut lab, &unknown), dropped(DropReason::BadData));
    unknown = client.send(PEER, b"data", &[(Attribute(0xfffe), vec![])]);
    send(&mut lab, &unknown).relay();
    for (attribute, value) in [(Attribute::DATA, b"data".to_vec()), (Attribute::XOR_PEER_ADDRESS, vec![0; 8])] {
        let mut bytes = Vec::new();
        let transaction = plenary_stun::TransactionId([3; 12]);
        plenary_stun::Writer::new(Class::Indication, Method::SEND, transaction, &mut bytes)
            .attribute(attribute, &[&value]);
        assert_eq!(send(&mut lab, &bytes), dropped(DropReason::BadData), "nothing but {attribute:?}");
    }
}

#[test]
fn dont_fragment_is_told_with_the_data() {
    let mut lab = Lab::new();
    let (mut client, _) = relayed(&mut lab);
    client.permit(&mut lab, &[PEER]);
    let indication = client.send(PEER, b"data", &[(Attribute::DONT_FRAGMENT, vec![])]);
    assert!(lab.send(client.address, &indication).relay().dont_fragment);
    let mut lab = Lab::with(|config| config.dont_fragment = false);
    let (mut client, _) = relayed(&mut lab);
    client.permit(&mut lab, &[PEER]);
    let indication = client.send(PEER, b"data", &[(Attribute::DONT_FRAGMENT, vec![])]);
    assert_eq!(lab.send(client.address, &indication), dropped(DropReason::BadData));
}

#[test]
fn a_peer_without_permission_is_not_heard() {
    let mut lab = Lab::new();
    let (mut client, relayed) = relayed(&mut lab);
    assert_eq!(lab.send_to_relay(relayed, PEER, b"data"), dropped(DropReason::NoPermission));
    client.permit(&mut lab, &["9.9.9.8:1"]);
    assert_eq!(lab.send_to_relay(relayed, PEER, b"data"), dropped(DropReason::NoPermission));
    lab.send_to_relay(relayed, "[::ffff:9.9.9.8]:5", b"data").relay();
    assert_eq!(lab.send_to_relay(relayed, "[2600::9]:5", b"data"), dropped(DropReason::NoPermission));
}

#[test]
fn a_permission_lasts_five_minutes_and_a_send_does_not_renew_it() {
    let mut lab = Lab::new();
    let (mut client, relayed) = relayed(&mut lab);
    client.refresh(&mut lab, 3600);
    client.permit(&mut lab, &[PEER]);
    lab.pass(299);
    let indication = client.send(PEER, b"data", &[]);
    lab.send(client.address, &indication).relay();
    lab.send_to_relay(relayed, PEER, b"data").relay();
    lab.pass(1);
    assert_eq!(lab.send_to_relay(relayed, PEER, b"data"), dropped(DropReason::NoPermission));
    assert_eq!(lab.send(client.address, &indication), dropped(DropReason::NoPermission));
    client.permit(&mut lab, &[PEER]);
    lab.pass(200);
    client.permit(&mut lab, &[PEER]);
    lab.pass(90);
    lab.send_to_relay(relayed, PEER, b"data").relay();
    client.learn(&mut lab);
    client.permit(&mut lab, &[PEER]);
    lab.pass(220);
    lab.send_to_relay(relayed, PEER, b"data").relay();
}

#[test]
fn a_channel_lasts_ten_minutes_and_its_permission_five() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let lifetime = (Attribute::LIFETIME, 3600_u32.to_be_bytes().to_vec());
    let relayed = client.allocate_with(&mut lab, &[lifetime]).address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    client.bind(&mut lab, 0x4001, PEER);
    lab.pass(300);
    assert_eq!(lab.send_to_relay(relayed, PEER, b"data"), dropped(DropReason::NoPermission));
    lab.send(client.address, &channel_data(0x4001, b"data")).relay();
    assert_eq!(client.bind(&mut lab, 0x4001, PEER).code(), 0);
    lab.send_to_relay(relayed, PEER, b"data").relay();
    lab.pass(599);
    lab.send(client.address, &channel_data(0x4001, b"data")).relay();
    lab.pass(1);
    assert_eq!(lab.send(client.address, &channel_data(0x4001, b"data")), dropped(DropReason::NoChannel));
    // The number and the peer are free again.
    client.learn(&mut lab);
    assert_eq!(client.bind(&mut lab, 0x4001, "9.9.9.8:1").code(), 0);
    assert_eq!(client.bind(&mut lab, 0x4002, PEER).code(), 0);
}

// The trap: a caller that is busy calls the timer late.
#[test]
fn what_has_ended_has_ended_though_the_timer_is_late() {
    let mut lab = Lab::new();
    let (mut client, relayed) = relayed(&mut lab);
    client.bind(&mut lab, 0x4001, PEER);
    lab.now += std::time::Duration::from_secs(300);
    assert_eq!(lab.send_to_relay(relayed, PEER, b"data"), dropped(DropReason::NoPermission));
    let indication = client.send(PEER, b"data", &[]);
    assert_eq!(lab.send(client.address, &indication), dropped(DropReason::NoPermission));
    lab.send(client.address, &channel_data(0x4001, b"data")).relay();
    lab.now += std::time::Duration::from_secs(300);
    assert_eq!(lab.send(client.address, &channel_data(0x4001, b"data")), dropped(DropReason::NoChannel));
}

#[test]
fn a_channel_is_of_one_number_and_one_peer() {
    let mut lab = Lab::new();
    let (mut client, _) = relayed(&mut lab);
    assert_eq!(client.bind(&mut lab, 0x4001, PEER).code(), 0);
    assert_eq!(client.bind(&mut lab, 0x4001, PEER).code(), 0, "bound to each other");
    assert_eq!(client.bind(&mut lab, 0x4001, "9.9.9.9:7001").code(), 400);
    assert_eq!(client.bind(&mut lab, 0x4002, PEER).code(), 400);
    assert_eq!(client.bind(&mut lab, 0x4002, "9.9.9.9:7001").code(), 0);
    for number in [0, 0x3fff, 0x5000, 0x7fff, 0xffff] {
        assert_eq!(client.bind(&mut lab, number, "9.9.9.9:9").code(), 400, "{number:#x}");
    }
    assert_eq!(client.bind(&mut lab, 0x4fff, "9.9.9.9:9").code(), 0);
    assert_eq!(client.bind(&mut lab, 0x4003, "9.9.9.9:0").code(), 400);
    assert_eq!(client.bind(&mut lab, 0x4003, "[2600::9]:1").code(), 443);
    assert_eq!(client.ask(&mut lab, Method::CHANNEL_BIND, &[]).code(), 400);
    let number = (Attribute::CHANNEL_NUMBER, vec![0x40, 3, 0, 0]);
    assert_eq!(client.ask(&mut lab, Method::CHANNEL_BIND, &[number]).code(), 400);
}

#[test]
fn a_permission_names_peers_of_the_right_form_or_none_is_given() {
    let mut lab = Lab::new();
    let (mut client, relayed) = relayed(&mut lab);
    assert_eq!(client.permit(&mut lab, &[]).code(), 400);
    for value in [vec![0, 0, 0, 1, 9, 9, 9, 9], vec![0, 3, 0, 1, 9, 9, 9, 9], vec![0, 1, 0, 1, 9, 9], vec![]] {
        let peer = (Attribute::XOR_PEER_ADDRESS, value);
        assert_eq!(client.ask(&mut lab, Method::CREATE_PERMISSION, &[peer]).code(), 400);
    }
    assert_eq!(client.permit(&mut lab, &["[2600::9]:1"]).code(), 443);
    assert_eq!(client.permit(&mut lab, &[PEER, "10.0.0.1:1"]).code(), 403);
    assert_eq!(lab.send_to_relay(relayed, PEER, b"data"), dropped(DropReason::NoPermission), "all or none");
    assert_eq!(client.permit(&mut lab, &["9.9.9.8:0", "[::ffff:9.9.9.9]:1"]).code(), 0);
    lab.send_to_relay(relayed, PEER, b"data").relay();
}

#[test]
fn permissions_and_channels_are_limited() {
    let mut lab = Lab::with(|config| (config.permissions_max, config.channels_max) = (3, 2));
    let (mut client, _) = relayed(&mut lab);
    assert_eq!(client.permit(&mut lab, &["9.9.9.1:1", "9.9.9.2:1", "9.9.9.3:1", "9.9.9.4:1"]).code(), 508);
    assert_eq!(client.permit(&mut lab, &["9.9.9.1:1", "9.9.9.2:1", "9.9.9.3:1"]).code(), 0);
    assert_eq!(client.permit(&mut lab, &["9.9.9.1:2"]).code(), 0, "an old one");
    assert_eq!(client.bind(&mut lab, 0x4000, "9.9.9.4:1").code(), 508, "a channel is a permission too");
    assert_eq!(client.bind(&mut lab, 0x4000, "9.9.9.1:1").code(), 0);
    assert_eq!(client.bind(&mut lab, 0x4001, "9.9.9.2:1").code(), 0);
    assert_eq!(client.bind(&mut lab, 0x4002, "9.9.9.3:1").code(), 508);
    let many: Vec<_> = (1..=50).map(|host| format!("9.9.8.{host}:1")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(client.permit(&mut lab, &many).code(), 508);
}

#[test]
fn a_fast_path_is_told_of_permissions_and_channels() {
    let mut lab = Lab::new();
    let (mut client, _) = relayed(&mut lab);
    let Event::Allocated { allocation, .. } = lab.events[0] else { panic!() };
    lab.events.clear();
    client.bind(&mut lab, 0x4001, PEER);
    client.bind(&mut lab, 0x4001, PEER);
    let peer = at(PEER).ip();
    let added = [
        Event::PermissionAdded { allocation, peer },
        Event::ChannelAdded { allocation, number: 0x4001, peer: at(PEER) },
    ];
    assert_eq!(lab.events, added, "once each");
    lab.events.clear();
    lab.pass(300);
    assert_eq!(lab.events, [Event::PermissionExpired { allocation, peer }]);
    lab.events.clear();
    client.refresh(&mut lab, 3600);
    lab.pass(300);
    assert_eq!(lab.events, [Event::ChannelExpired { allocation, number: 0x4001 }]);
}

#[test]
fn peers_near_the_server_are_refused_in_every_form() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    client.allocate_with(&mut lab, &[(Attribute::ADDITIONAL_ADDRESS_FAMILY, vec![2, 0, 0, 0])]);
    for near in [
        "127.0.0.1:80",
        "0.0.0.0:80",
        "10.0.0.1:80",
        "100.64.0.1:80",
        "169.254.169.254:80",
        "192.168.1.1:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "[::]:80",
        "[::1]:80",
        "[fe80::1]:80",
        "[fd00::1]:80",
        "[ff02::1]:80",
        "[::ffff:127.0.0.1]:80",
        "[::127.0.0.1]:80",
        "[2002:7f00:1::]:80",
        "[64:ff9b::169.254.169.254]:80",
        "[64:ff9b:1::a00:1]:80",
        "[2001:0:808:808::80ff:fffe]:80",
        "[::ffff:0:10.0.0.1]:80",
    ] {
        assert_eq!(client.permit(&mut lab, &[near]).code(), 403, "{near}");
        assert_eq!(client.bind(&mut lab, 0x4000, near).code(), 403, "{near}");
    }
}

#[test]
fn a_relay_of_this_server_is_reached_without_a_socket_and_by_its_rules() {
    let mut lab = Lab::new();
    let (mut one, first) = relayed(&mut lab);
    let mut two = Client::challenged(&mut lab, "6.6.6.6:6");
    let second = two.allocate(&mut lab);
    assert_eq!(one.bind(&mut lab, 0x4001, &second.to_string()).code(), 0);
    let data = channel_data(0x4001, b"data");
    assert_eq!(lab.send(one.address, &data), dropped(DropReason::OwnAddress), "the other has not permitted it");
    assert_eq!(two.permit(&mut lab, &[&first.to_string()]).code(), 0);
    let out = lab.send(one.address, &data).relay();
    assert_eq!((out.flow, out.local, out.to), (LISTENER, at(SERVER), two.address));
    let message = Message::parse(&out.bytes).unwrap();
    assert_eq!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(first)));
    assert_eq!(message.get(Attribute::DATA), Some(&b"data"[..]));
    // And back, by a channel of the other's.
    two.bind(&mut lab, 0x4002, &first.to_string());
    let back = lab.send(two.address, &channel_data(0x4002, b"back")).relay();
    assert_eq!((back.to, back.bytes), (one.address, channel_data(0x4001, b"back")));
    two.refresh(&mut lab, 0);
    assert_eq!(lab.send(one.address, &data), dropped(DropReason::OwnAddress), "it is no more");
}

#[test]
fn a_relay_may_be_its_own_peer_and_goes_round_once() {
    let mut lab = Lab::new();
    let (mut client, relayed) = relayed(&mut lab);
    client.bind(&mut lab, 0x4001, &relayed.to_string());
    let back = lab.send(client.address, &channel_data(0x4001, b"data")).relay();
    assert_eq!((back.to, back.bytes), (client.address, channel_data(0x4001, b"data")));
}

#[test]
fn listeners_and_neighbours_are_no_peers() {
    let mut lab = Lab::with(|config| config.peers.services = vec![at("8.8.4.4:9000")]);
    let (mut client, _) = relayed(&mut lab);
    assert_eq!(client.bind(&mut lab, 0x4001, SERVER).code(), 403);
    // Nobody is at another port of this host, as far as clients can tell.
    assert_eq!(client.bind(&mut lab, 0x4002, &format!("{RELAY}:22")).code(), 0);
    assert_eq!(lab.send(client.address, &channel_data(0x4002, b"x")), dropped(DropReason::OwnAddress));
    let indication = client.send(SERVER, b"x", &[]);
    assert_eq!(lab.send(client.address, &indication), dropped(DropReason::OwnAddress));
    assert_eq!(client.bind(&mut lab, 0x4003, "8.8.4.4:9000").code(), 0);
    assert_eq!(lab.send(client.address, &channel_data(0x4003, b"x")).relay().to, at("8.8.4.4:9000"));
}

#[test]
fn relays_of_other_threads_are_reached_through_the_caller() {
    let mut lab = Lab::with(|config| config.peers.siblings = Some(60_000..=60_009));
    let (mut client, _) = relayed(&mut lab);
    for (number, port, reached) in [(0x4001, 59_999, false), (0x4002, 60_000, true), (0x4003, 60_010, false)] {
        let peer = format!("{RELAY}:{port}");
        assert_eq!(client.bind(&mut lab, number, &peer).code(), 0);
        let sent = lab.send(client.address, &channel_data(number, b"x"));
        if reached {
            assert_eq!(sent.relay().to, at(&peer));
        } else {
            assert_eq!(sent, dropped(DropReason::OwnAddress), "{port}");
        }
    }
    // They are no way to what else is near.
    assert_eq!(client.bind(&mut lab, 0x4004, "127.0.0.1:60000").code(), 403);
}

// The trap: a listener on all addresses does not know which they are.
#[test]
fn an_address_that_clients_come_in_by_is_the_servers() {
    let mut lab = Lab::new();
    let (mut client, _) = relayed(&mut lab);
    lab.server.listen(plenary_wire::FlowId(9), at("0.0.0.0:443")).unwrap();
    assert_eq!(client.bind(&mut lab, 0x4001, "8.8.8.8:443").code(), 0);
    lab.send(client.address, &channel_data(0x4001, b"x")).relay();
    let mut other = Client::challenged(&mut lab, CLIENT);
    let bytes = other.signed(Method::ALLOCATE, &[(Attribute::REQUESTED_TRANSPORT, crate::lab::UDP.to_vec())]);
    let datagram = plenary_wire::Datagram {
        flow: plenary_wire::FlowId(9),
        local: at("8.8.8.8:443"),
        remote: at(CLIENT),
        ecn: Ecn::NotEct,
        bytes: &mut bytes.clone(),
    };
    assert_eq!(lab.server.handle_datagram(datagram, lab.now), plenary_turn::Handled::Consumed);
    lab.drain();
    assert_eq!(lab.answer(at(CLIENT)).code(), 0);
    assert_eq!(lab.send(client.address, &channel_data(0x4001, b"x")), dropped(DropReason::OwnAddress));
    assert_eq!(client.bind(&mut lab, 0x4002, "8.8.4.4:443").code(), 403);
}

#[test]
fn an_allocation_has_its_bandwidth_each_way_and_all_have_theirs() {
    let rate = Bitrate::from_bps(80_000); // 10 kB a second
    // With 28 bytes of headers: 10 of them.
    let count = |lab: &mut Lab, client: &Client, relayed| {
        let mut passed = (0, 0);
        for _ in 0..20 {
            passed.0 +=
                usize::from(matches!(lab.send(client.address, &channel_data(0x4001, &[0; 972])), Took::Relay(_)));
            passed.1 += usize::from(matches!(lab.send_to_relay(relayed, PEER, &[0; 972]), Took::Relay(_)));
        }
        passed
    };
    let mut lab = Lab::with(|config| config.allocation_bitrate = Some(rate));
    let (mut client, relayed) = relayed(&mut lab);
    client.bind(&mut lab, 0x4001, PEER);
    assert_eq!(count(&mut lab, &client, relayed), (10, 10));
    assert_eq!(lab.server.dropped(DropReason::Bandwidth), 20);
    lab.pass(1);
    // Those without anything in them are not free.
    let empty = (0..500).filter(|_| matches!(lab.send(client.address, &channel_data(0x4001, b"")), Took::Relay(_)));
    assert_eq!(empty.count(), 10_000 / 28);
    lab.pass(1);
    assert_eq!(count(&mut lab, &client, relayed), (10, 10));
    let mut lab = Lab::with(|config| config.total_bitrate = Some(rate));
    let (mut client, relayed) = self::relayed(&mut lab);
    client.bind(&mut lab, 0x4001, PEER);
    assert_eq!(count(&mut lab, &client, relayed), (5, 5));
}

#[test]
fn data_costs_no_memory() {
    let mut lab = Lab::new();
    let (mut client, relayed) = relayed(&mut lab);
    client.bind(&mut lab, 0x4001, PEER);
    client.permit(&mut lab, &["9.9.9.8:1"]);
    let indication = client.send("9.9.9.8:1", &[1; 1000], &[]);
    let channel = channel_data(0x4001, &[1; 1000]);
    let flow = lab.sockets[&relayed];
    let mut relayed_count = 0;
    let mut one = |remote, flow, local, bytes: &mut [u8]| {
        let datagram = plenary_wire::Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes };
        relayed_count +=
            u32::from(matches!(lab.server.handle_datagram(datagram, lab.now), plenary_turn::Handled::Relay(_)));
    };
    let (mut indication, mut channel, mut data) = (indication, channel, vec![1; 1000]);
    let info = allocation_counter::measure(|| {
        for _ in 0..100 {
            one(at(CLIENT), LISTENER, at(SERVER), &mut channel);
            one(at(CLIENT), LISTENER, at(SERVER), &mut indication);
            one(at(PEER), flow, relayed, &mut data);
            one(at("9.9.9.8:1"), flow, relayed, &mut data);
        }
    });
    assert_eq!((relayed_count, info.count_total), (400, 0));
}

#[test]
fn what_routers_say_is_told_to_who_may_hear_it() {
    let mut lab = Lab::new();
    let (mut client, relayed) = relayed(&mut lab);
    let unreachable = Icmp { flow: lab.sockets[&relayed], peer: at(PEER), kind: 3, code: 4, data: [0, 0, 5, 0] };
    let tell = |lab: &mut Lab, icmp| {
        let took = Took::from(lab.server.handle_icmp(icmp, lab.now));
        lab.drain();
        took
    };
    assert_eq!(tell(&mut lab, unreachable), dropped(DropReason::NoPermission));
    client.permit(&mut lab, &[PEER]);
    assert_eq!(tell(&mut lab, unreachable), Took::Consumed);
    let (to, bytes) = lab.answers.pop_front().unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((to, message.class(), message.method()), (client.address, Class::Indication, Method::DATA));
    assert_eq!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(at(PEER))));
    assert_eq!(message.get(Attribute::ICMP), Some(&[0, 0, 3 << 1, 4, 0, 0, 5, 0][..]));
    assert_eq!(message.get(Attribute::DATA), None);
    for kind in 0..=255 {
        let took = tell(&mut lab, Icmp { kind, ..unreachable });
        let is_told = matches!(kind, 3 | 11);
        assert_eq!(took, if is_told { Took::Consumed } else { dropped(DropReason::Icmp) }, "{kind}");
    }
    let unknown = Icmp { flow: LISTENER, ..unreachable };
    assert_eq!(tell(&mut lab, unknown), dropped(DropReason::UnknownFlow));
}

#[test]
fn what_routers_say_of_ipv6_is_told_too() {
    let mut lab = Lab::new();
    let mut client = Client::challenged(&mut lab, CLIENT);
    let family = (Attribute::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    let relayed = client.allocate_with(&mut lab, &[family]).address(Attribute::XOR_RELAYED_ADDRESS).unwrap();
    client.permit(&mut lab, &["[2600::9]:1"]);
    let peer = at("[2600::9]:7");
    let too_big = Icmp { flow: lab.sockets[&relayed], peer, kind: 2, code: 0, data: 1280_u32.to_be_bytes() };
    for kind in 0..=255 {
        let took = Took::from(lab.server.handle_icmp(Icmp { kind, ..too_big }, lab.now));
        lab.drain();
        assert_eq!(took, if (1..=3).contains(&kind) { Took::Consumed } else { dropped(DropReason::Icmp) }, "{kind}");
    }
    assert_eq!(lab.answers.len(), 3);
    let message = Message::parse(&lab.answers[1].1).unwrap();
    assert_eq!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(peer)));
    assert_eq!(message.get(Attribute::ICMP), Some(&[0, 0, 2 << 1, 0, 0, 0, 5, 0][..]));
}
