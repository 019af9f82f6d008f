//! Byte streams through networks.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plenary_netsim::{
    Closed, GilbertElliott, Input, LinkConfig, Loss, NatConfig, Network, NodeId, Probability, RateSchedule, Reorder,
    STREAM_BUFFER_MAX, SiteConfig, SiteId,
};
use plenary_wire::{Bitrate, FlowId};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// Runs until `until` and returns all that arrived.
fn run(network: &mut Network, until: Duration) -> Vec<(Duration, NodeId, FlowId, Input)> {
    let mut all = vec![];
    while let Some(next) = network.poll_timeout().filter(|next| *next <= until) {
        while let Some(delivery) = network.poll(next) {
            all.push((next, delivery.node, delivery.flow, delivery.input));
        }
    }
    all
}

/// A client behind `nat` and a server in the internet, with `link` in each direction.
fn pair(link: LinkConfig, nat: Option<NatConfig>) -> (Network, NodeId, NodeId) {
    let mut network = Network::new(5);
    let site = network.add_site(SiteId::INTERNET, SiteConfig { up: link.clone(), down: link, gateway: nat });
    let client = network.add_host(site, &[ip("10.0.0.2")]);
    let server = network.add_host(SiteId::INTERNET, &[ip("192.0.2.1")]);
    (network, client, server)
}

const CLIENT: &str = "10.0.0.2:0";
const SERVER: &str = "192.0.2.1:443";

#[test]
fn it_opens_in_a_round_trip_and_echoes() {
    let (mut network, client, server) = pair(LinkConfig::delay(ms(50)), None);
    network.listen(server, at(SERVER));
    let flow = network.connect(client, at(CLIENT), at(SERVER), ms(0));
    assert_eq!(network.write(client, flow, b"hello", ms(0)), 5);
    let all = run(&mut network, ms(1_000));
    let accepted = all[1].2;
    assert_eq!(all[0], (ms(100), client, flow, Input::Connected));
    assert_eq!(all[1], (ms(150), server, accepted, Input::Accepted));
    assert_eq!(all[2], (ms(150), server, accepted, Input::Stream(b"hello".to_vec())));
    assert_eq!(network.stream_addresses(server, accepted), Some((at(SERVER), at("10.0.0.2:49152"))));

    network.close(client, flow, ms(1_000));
    let all = run(&mut network, ms(2_000));
    assert_eq!(all, [(ms(1_050), server, accepted, Input::Closed(Closed::Ended))]);
    assert!(!network.is_open(client, flow) && !network.is_open(server, accepted));
    assert_eq!((network.poll_timeout(), network.in_flight()), (None, 0));
}

#[test]
fn nobody_listens_and_nobody_answers() {
    let (mut network, client, server) = pair(LinkConfig::delay(ms(50)), None);
    let flow = network.connect(client, at(CLIENT), at(SERVER), ms(0));
    assert_eq!(run(&mut network, ms(1_000)), [(ms(100), client, flow, Input::Closed(Closed::Refused))]);

    let flow = network.connect(client, at(CLIENT), at("192.0.2.77:443"), ms(1_000));
    let all = run(&mut network, Duration::from_secs(100));
    assert_eq!(all, [(ms(60_000), client, flow, Input::Closed(Closed::TimedOut))]);
    assert_eq!(network.write(server, FlowId(7), b"no such stream", ms(60_000)), 0);
}

#[test]
fn a_firewall_without_udp_lets_one_port_out_and_nothing_in() {
    let nat = NatConfig::port_restricted(ip("203.0.113.1")).udp_blocked(&[443]);
    let (mut network, client, server) = pair(LinkConfig::delay(ms(5)), Some(nat));
    network.listen(server, at(SERVER));
    network.listen(server, at("192.0.2.1:80"));
    network.listen(client, at("10.0.0.2:443"));
    let good = network.connect(client, at(CLIENT), at(SERVER), ms(0));
    let bad = network.connect(client, at(CLIENT), at("192.0.2.1:80"), ms(0));
    let inwards = network.connect(server, at("192.0.2.1:0"), at("203.0.113.1:443"), ms(0));
    let all = run(&mut network, Duration::from_secs(100));
    let of = |flow, node| {
        let of = all.iter().filter(|(_, at, on, _)| (*at, *on) == (node, flow));
        of.map(|(.., input)| input.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(good, client), [Input::Connected]);
    assert_eq!(of(bad, client), [Input::Closed(Closed::TimedOut)]);
    assert_eq!(of(inwards, server), [Input::Closed(Closed::TimedOut)]);
    // The server sees the NAT.
    let accepted = all.iter().find(|(.., input)| *input == Input::Accepted).expect("a stream was accepted");
    let seen = network.stream_addresses(server, accepted.2).map(|(_, remote)| remote.ip());
    assert_eq!(seen, Some(ip("203.0.113.1")));
}

/// Writes `length` bytes as there is room, and says when the last arrived.
fn transfer(link: LinkConfig, length: usize) -> Duration {
    let (mut network, client, server) = pair(link, None);
    network.listen(server, at(SERVER));
    let flow = network.connect(client, at(CLIENT), at(SERVER), ms(0));
    let bytes: Vec<u8> = (0..length).map(|index| (index % 253) as u8).collect();
    let (mut written, mut received, mut now) = (0, vec![], ms(0));
    while received.len() < length {
        written += network.write(client, flow, &bytes[written..], now);
        for (at, node, _, input) in run(&mut network, now) {
            match input {
                Input::Stream(data) if node == server => received.extend(data),
                Input::Closed(reason) => panic!("closed at {at:?}: {reason:?}"),
                _ => {}
            }
        }
        now += ms(1);
        assert!(now < Duration::from_secs(600), "{} of {length} bytes after ten minutes", received.len());
    }
    assert!(received == bytes, "what was written is what was read");
    now
}

/// As `the_same_seed_is_the_same_run_everywhere` of the driver, for what it has none of: bursts of loss, reordering, a
/// trace of rates, random ports of a NAT, and streams.
#[test]
fn streams_and_nats_are_the_same_everywhere() {
    let rough = LinkConfig {
        rate: RateSchedule::repeating(&[(ms(0), Bitrate::from_mbps(2)), (ms(70), Bitrate::from_kbps(300))], ms(100)),
        jitter: ms(3),
        loss: Loss::GilbertElliott(GilbertElliott::bursts(Probability::from_percent(2), 2)),
        reorder: Reorder { fraction: Probability::from_percent(2), extra: ms(15) },
        ..LinkConfig::delay(ms(20))
    };
    let (mut network, client, server) = pair(rough, Some(NatConfig::symmetric(ip("203.0.113.1"))));
    network.listen(server, at(SERVER));
    let streams = [0, 1].map(|_| network.connect(client, at(CLIENT), at(SERVER), ms(0)));
    let mut received = 0;
    for second in 0..10 {
        let now = Duration::from_secs(second);
        network.write(client, streams[0], &[7; 30_000], now);
        let all = run(&mut network, now + ms(999));
        received +=
            all.iter().map(|(.., input)| if let Input::Stream(data) = input { data.len() } else { 0 }).sum::<usize>();
    }
    assert_eq!(received, 300_000);
    let hash = network.trace_hash();
    assert_eq!(hash, 0xf4e9_a420_6d6e_f4e7, "0x{hash:016x}");
}

#[test]
fn a_stream_fills_the_rate_of_its_link() {
    let rate = LinkConfig { rate: Bitrate::from_mbps(1).into(), ..LinkConfig::delay(ms(50)) };
    // 1 MB at 1 Mb/s takes 8 s, with 40 bytes of header for each 1200 it is 8.27 s.
    let time = transfer(rate, 1_000_000);
    assert!((8_300..10_000).contains(&time.as_millis()), "{time:?}");
}

#[test]
fn loss_shows_as_delay() {
    let clean = transfer(LinkConfig::delay(ms(20)), 300_000);
    let lossy = transfer(LinkConfig { loss: Loss::percent(10), ..LinkConfig::delay(ms(20)) }, 300_000);
    assert!(clean < ms(600), "{clean:?}");
    assert!(lossy > 3 * clean, "{lossy:?}, and {clean:?} without loss");
}

#[test]
fn forty_percent_loss_is_slow_but_not_the_end() {
    transfer(LinkConfig { loss: Loss::percent(40), ..LinkConfig::delay(ms(20)) }, 10_000);
}

#[test]
fn what_a_stream_holds_is_bounded() {
    let (mut network, client, server) = pair(LinkConfig::delay(ms(50)), None);
    network.listen(server, at(SERVER));
    let flow = network.connect(client, at(CLIENT), at(SERVER), ms(0));
    assert_eq!(network.write(client, flow, &vec![0; 10 * STREAM_BUFFER_MAX], ms(0)), STREAM_BUFFER_MAX);
    assert_eq!(network.stream_room(client, flow), 0);
    run(&mut network, ms(2_000));
    assert_eq!(network.stream_room(client, flow), STREAM_BUFFER_MAX);
}

#[test]
fn an_abort_resets_the_peer() {
    let (mut network, client, server) = pair(LinkConfig::delay(ms(50)), None);
    network.listen(server, at(SERVER));
    let flow = network.connect(client, at(CLIENT), at(SERVER), ms(0));
    run(&mut network, ms(500));
    network.abort(client, flow, ms(500));
    let all = run(&mut network, ms(1_000));
    assert!(matches!(all[..], [(_, node, _, Input::Closed(Closed::Reset))] if node == server), "{all:?}");
    assert!(run(&mut network, ms(100_000)).is_empty() && network.poll_timeout().is_none());
}

/// Who has not heard of a stream does not hear of its end.
#[test]
fn a_stream_given_up_before_it_opened_is_not_told_to_the_listener() {
    let (mut network, client, server) = pair(LinkConfig::delay(ms(50)), None);
    network.listen(server, at(SERVER));
    let flow = network.connect(client, at(CLIENT), at(SERVER), ms(0));
    network.abort(client, flow, ms(10));
    assert_eq!(run(&mut network, Duration::from_secs(100)), []);
    assert!(!network.is_open(client, flow) && network.poll_timeout().is_none());
}

/// The reset is lost, so that the server still has the old stream; the new one comes from another port.
#[test]
fn a_client_may_come_back_at_once() {
    let (mut network, client, server) = pair(LinkConfig::delay(ms(50)), None);
    network.listen(server, at(SERVER));
    let (up, _) = network.node_links(client);
    let old = network.connect(client, at(CLIENT), at(SERVER), ms(0));
    run(&mut network, ms(500));
    network.update_link(up, ms(500), |link| link.loss = Loss::percent(100));
    network.abort(client, old, ms(500));
    network.update_link(up, ms(500), |link| link.loss = Loss::None);
    let new = network.connect(client, at(CLIENT), at(SERVER), ms(500));
    assert_eq!(network.local_address(client, new), Some(at("10.0.0.2:49153")));
    assert_eq!(run(&mut network, ms(600)), [(ms(600), client, new, Input::Connected)]);
}

#[test]
#[should_panic(expected = "node 0 does not own 192.0.2.9:5000")]
fn a_stream_leaves_from_an_address_of_its_node() {
    let (mut network, client, _) = pair(LinkConfig::default(), None);
    network.connect(client, at("192.0.2.9:5000"), at(SERVER), ms(0));
}

#[test]
fn a_node_may_connect_to_itself() {
    let (mut network, _, server) = pair(LinkConfig::default(), None);
    network.listen(server, at(SERVER));
    let flow = network.connect(server, at("192.0.2.1:0"), at(SERVER), ms(0));
    network.write(server, flow, &[1; 50_000], ms(0));
    let all = run(&mut network, ms(10));
    let bytes: usize = all.iter().map(|(.., input)| if let Input::Stream(data) = input { data.len() } else { 0 }).sum();
    assert_eq!(bytes, 50_000);
}
