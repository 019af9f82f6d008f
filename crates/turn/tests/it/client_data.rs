//! How peers are let in, and their data wrapped and taken out.

use std::time::Duration;

use plenary_stun::{Attribute, Class, ErrorCode, Message, Method, TransactionId, Writer};
use plenary_turn::Head;
use plenary_turn::client::{Client, Config, Deframer, DropReason, Error, Event, Handled, StreamError};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};
use proptest::prelude::*;

use crate::client_lab::{Asked, FLOW, LOCAL, Lab, PEER, SERVER, Took, stream};
use crate::lab::{at, channel_data};

const OTHER: &str = "203.0.113.10:7000";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn quiet_nat(config: &mut Config) {
    config.keep_alive = None;
}

fn with_channels_at_once(config: &mut Config) {
    (config.keep_alive, config.channel_after) = (None, 0);
}

fn data_indication(peer: &str, attributes: &[(Attribute, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Class::Indication, Method::DATA, TransactionId([4; 12]), &mut bytes);
    writer.xor_address(Attribute::XOR_PEER_ADDRESS, at(peer));
    attributes.iter().for_each(|(kind, value)| writer.attribute(*kind, &[value]));
    bytes
}

impl Lab {
    /// Answers a request with success, whatever it is.
    fn accept(&mut self, asked: &Asked) {
        self.succeed(asked, |writer| writer.attribute(Attribute::LIFETIME, &[&600u32.to_be_bytes()]));
    }

    /// The peer has a channel, of this number.
    fn channel(&mut self, peer: &str) -> u16 {
        self.send(peer, b"first");
        loop {
            let asked = self.next();
            self.accept(&asked);
            if asked.method() == Method::CHANNEL_BIND {
                while let Some(asked) = self.quiet() {
                    self.accept(&asked);
                }
                return asked.number();
            }
        }
    }
}

#[test]
fn a_datagram_lets_its_peer_in() {
    let mut lab = Lab::allocated(quiet_nat);
    let sent = lab.send(PEER, b"hello");
    let message = Message::parse(&sent).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::SEND));
    assert_eq!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(at(PEER))));
    assert_eq!(message.get(Attribute::DATA), Some(&b"hello"[..]));
    assert_eq!(message.get(Attribute::DONT_FRAGMENT), None);
    let asked = lab.next();
    assert_eq!((asked.method(), asked.peers()), (Method::CREATE_PERMISSION, vec![at("203.0.113.9:0")]));
    assert_eq!(lab.quiet(), None);
    let again = lab.send(PEER, b"hello");
    assert_ne!(again, sent, "each indication is a transaction of its own");
    assert_eq!(lab.quiet(), None, "once is enough");
}

// The trap: one private address in a description kept the others out for a round trip.
#[test]
fn new_peers_are_let_in_one_by_one_and_kept_together() {
    let mut lab = Lab::allocated(quiet_nat);
    for host in 1..=40 {
        lab.client.permit(at(&format!("203.0.113.{host}:1")).ip(), lab.now).unwrap();
    }
    for room in [16, 16, 8] {
        let asked: Vec<_> = std::iter::from_fn(|| lab.quiet()).collect();
        assert_eq!(asked.len(), room, "at once, as many as there is room for");
        assert!(asked.iter().all(|asked| asked.peers().len() == 1));
        asked.iter().for_each(|asked| lab.accept(asked));
    }
    let first = lab.until_sent(secs(240)).unwrap();
    let second = lab.next();
    assert_eq!((first.peers().len(), second.peers().len()), (32, 8));
    assert!(first.bytes.len() <= 1200);
    assert_eq!(lab.quiet(), None);
}

#[test]
fn who_is_named_before_there_is_an_allocation_is_let_in_then() {
    let mut lab = Lab::with(quiet_nat);
    lab.client.permit(at(PEER).ip(), lab.now).unwrap();
    assert_eq!(lab.client.permit(at("[2001:db8::1]:1").ip(), lab.now), Err(Error::Peer), "IPv4 was asked for");
    let first = lab.next();
    lab.challenge(&first, 401, b"nonce");
    let asked = lab.next();
    assert_eq!(lab.quiet(), None);
    lab.grant(&asked, secs(600), &[]);
    assert_eq!(lab.next().method(), Method::CREATE_PERMISSION);
}

#[test]
fn permissions_in_use_or_named_are_asked_for_every_four_minutes() {
    let mut lab = Lab::allocated(quiet_nat);
    lab.client.permit(at(OTHER).ip(), lab.now).unwrap();
    lab.send(PEER, b"x");
    lab.serve_until(239);
    lab.send(PEER, b"x");
    let asked = lab.until_sent(secs(240)).unwrap();
    assert_eq!((lab.ms(), asked.peers().len()), (240_000, 2));
    lab.accept(&asked);
    // 241 s later it has not been used for so long yet, but then it has.
    let asked = lab.until_sent(secs(480)).unwrap();
    assert_eq!((lab.ms(), asked.peers().len()), (480_000, 2));
    lab.accept(&asked);
    let sent = lab.serve_until(1500);
    let permissions = sent.iter().filter(|asked| asked.method() == Method::CREATE_PERMISSION);
    assert!(permissions.clone().count() == 4 && permissions.clone().all(|it| it.peers() == [at("203.0.113.10:0")]));

    lab.client.forget(at(OTHER).ip());
    assert!(lab.serve_until(3000).iter().all(|asked| asked.method() == Method::REFRESH));
}

#[test]
fn one_that_is_refused_does_not_keep_the_others_out() {
    let mut lab = Lab::allocated(quiet_nat);
    for peer in [PEER, OTHER, "203.0.113.11:1"] {
        lab.send(peer, b"x");
    }
    for host in [9, 10, 11] {
        let asked = lab.next();
        assert_eq!(asked.peers(), [at(&format!("203.0.113.{host}:0"))]);
        lab.accept(&asked);
    }
    let asked = lab.until_sent(secs(240)).unwrap();
    assert_eq!(asked.peers().len(), 3);
    lab.refuse(&asked, 403);
    assert_eq!(lab.client.poll_event(), None, "whose fault it was is not known");
    for host in [9, 10, 11] {
        let asked = lab.next();
        assert_eq!(asked.peers(), [at(&format!("203.0.113.{host}:0"))]);
        if host == 10 { lab.refuse(&asked, 403) } else { lab.accept(&asked) }
    }
    assert_eq!(lab.event(), Event::PermissionRefused(at(OTHER).ip(), ErrorCode::FORBIDDEN));
    assert_eq!((lab.client.poll_event(), lab.quiet()), (None, None));
    let mut out = Vec::new();
    assert_eq!(lab.client.send(at(OTHER), b"x", lab.now, &mut out), Err(Error::Refused));
    assert!(out.is_empty());
    // After a while it may be asked for again.
    lab.serve_until(541);
    assert!(lab.client.send(at(OTHER), b"x", lab.now, &mut out).is_ok());
    assert_eq!(lab.next().peers(), [at("203.0.113.10:0")]);
}

#[test]
fn an_unanswered_permission_is_asked_for_again() {
    let mut lab = Lab::allocated(quiet_nat);
    lab.send(PEER, b"x");
    let mut times = Vec::new();
    while let Some(asked) = lab.until_sent(secs(41)) {
        assert_eq!(asked.method(), Method::CREATE_PERMISSION);
        times.push(lab.ms());
    }
    assert_eq!(times, [0, 500, 1500, 3500, 7500, 15_500, 31_500, 40_500, 41_000]);
    assert_eq!(lab.client.poll_event(), None);
}

#[test]
fn permissions_have_a_limit_and_the_idle_make_room() {
    let mut lab = Lab::allocated(|config| (config.permissions_max, config.keep_alive) = (2, None));
    lab.client.permit(at(PEER).ip(), lab.now).unwrap();
    lab.send(OTHER, b"x");
    let mut out = Vec::new();
    assert_eq!(lab.client.send(at("203.0.113.11:1"), b"x", lab.now, &mut out), Err(Error::Permissions));
    assert_eq!(lab.client.permit(at("203.0.113.11:1").ip(), lab.now), Err(Error::Permissions));
    lab.now += secs(300);
    assert!(lab.client.send(at("203.0.113.11:1"), b"x", lab.now, &mut out).is_ok());
    assert_eq!(lab.client.send(at(OTHER), b"x", lab.now, &mut out), Err(Error::Permissions));
}

#[test]
fn a_peer_that_cant_be_reached_is_refused() {
    let mut lab = Lab::allocated(quiet_nat);
    let mut out = Vec::new();
    for peer in ["[2001:db8::1]:7000", "0.0.0.0:7000", "203.0.113.9:0", "224.0.0.1:7000", "255.255.255.255:7"] {
        assert_eq!(lab.client.send(at(peer), b"x", lab.now, &mut out), Err(Error::Peer), "{peer}");
    }
    assert_eq!(lab.client.send(at(PEER), &[0; 65_453], lab.now, &mut out), Err(Error::TooLong));
    assert!(lab.client.send(at("[::ffff:203.0.113.9]:7000"), &[0; 65_452], lab.now, &mut out).is_ok());
    assert!(out.len() <= 65_507);
}

#[test]
fn dont_fragment_goes_with_each_indication() {
    let mut lab = Lab::allocated(|config| config.dont_fragment = true);
    let sent = lab.send(PEER, b"hello");
    let message = Message::parse(&sent).unwrap();
    assert_eq!(
        (message.get(Attribute::DONT_FRAGMENT), message.get(Attribute::DATA)),
        (Some(&[][..]), Some(&b"hello"[..]))
    );
}

#[test]
fn a_peer_with_traffic_gets_a_channel() {
    let mut lab = Lab::allocated(quiet_nat);
    for sent in 1..=9 {
        assert_eq!(lab.send(PEER, b"hello").len(), 20 + 12 + 4 + 8, "datagram {sent}");
        let binds = std::iter::from_fn(|| lab.quiet()).filter(|it| it.method() == Method::CHANNEL_BIND).count();
        assert_eq!(binds, usize::from(sent == 9), "datagram {sent}");
    }
}

#[test]
fn a_channel_is_used_once_it_is_bound() {
    let mut lab = Lab::allocated(with_channels_at_once);
    lab.send(PEER, b"x");
    let asked = lab.next();
    assert_eq!((asked.method(), asked.number(), asked.peers()), (Method::CHANNEL_BIND, 0x4000, vec![at(PEER)]));
    assert_eq!(lab.send(PEER, b"x")[0], 0, "not yet");
    // The server may use it before its answer is here.
    assert_eq!(lab.give(&channel_data(0x4000, b"early")), Took::Data(at(PEER), b"early".to_vec()));
    lab.accept(&asked);
    assert_eq!(lab.send(PEER, b"hello"), channel_data(0x4000, b"hello"));
    assert_eq!(lab.send("[::ffff:203.0.113.9]:7000", b""), channel_data(0x4000, b""));
    assert_eq!(lab.channel(OTHER), 0x4001);
}

#[test]
fn what_is_asked_for_by_name_gets_a_channel_at_once() {
    let mut lab = Lab::allocated(quiet_nat);
    lab.client.bind(at(PEER), lab.now).unwrap();
    assert_eq!(lab.next().method(), Method::CHANNEL_BIND);
    assert_eq!(lab.client.bind(at("[2001:db8::1]:1"), lab.now), Err(Error::Peer));
}

#[test]
fn a_channel_in_use_is_bound_again_every_four_minutes() {
    let mut lab = Lab::allocated(with_channels_at_once);
    let number = lab.channel(PEER);
    let mut binds = Vec::new();
    for second in (10..3600).step_by(10) {
        for asked in lab.serve_until(second) {
            if asked.method() == Method::CHANNEL_BIND {
                assert_eq!(asked.number(), number);
                binds.push(lab.ms() / 1000);
            }
        }
        assert_eq!(lab.send(PEER, b"x"), channel_data(number, b"x"), "at {second} s");
    }
    assert_eq!(binds.len(), 14);
}

#[test]
fn an_idle_channel_runs_out_and_its_number_waits() {
    let mut lab = Lab::allocated(|config| {
        with_channels_at_once(config);
        config.channels_max = 1;
    });
    assert_eq!(lab.channel(PEER), 0x4000);
    let sent = lab.serve_until(899);
    assert_eq!(sent.iter().filter(|it| it.method() == Method::CHANNEL_BIND).count(), 1, "it was used within 5 minutes");
    // It is the old peer's for so long as it may be bound, and 5 minutes more.
    lab.send(OTHER, b"x");
    assert_eq!(lab.next().method(), Method::CREATE_PERMISSION);
    assert_eq!(lab.give(&channel_data(0x4000, b"late")), Took::Data(at(PEER), b"late".to_vec()));
    lab.serve_until(240 + 900);
    assert_eq!(lab.give(&channel_data(0x4000, b"late")), Took::Dropped(DropReason::NoChannel));
    lab.send(OTHER, b"x");
    let asked = lab.next();
    assert_eq!((asked.method(), asked.number(), asked.peers()), (Method::CHANNEL_BIND, 0x4000, vec![at(OTHER)]));
}

#[test]
fn a_peer_that_comes_back_has_its_number_again() {
    let mut lab = Lab::allocated(with_channels_at_once);
    assert_eq!(lab.channel(PEER), 0x4000);
    lab.serve_until(700);
    assert_eq!(lab.send(PEER, b"x")[0], 0, "its permission may be gone, so that it is asked for first");
    let asked = [lab.next(), lab.next()].map(|it| it.method());
    assert_eq!(asked, [Method::CHANNEL_BIND, Method::CREATE_PERMISSION]);
}

#[test]
fn without_a_channel_there_are_indications() {
    for code in [400, 403, 508] {
        let mut lab = Lab::allocated(with_channels_at_once);
        lab.send(PEER, b"x");
        let asked = lab.next();
        lab.refuse(&asked, code);
        if code == 403 {
            assert_eq!(lab.event(), Event::PermissionRefused(at(PEER).ip(), ErrorCode::FORBIDDEN));
        } else {
            assert_eq!(lab.send(PEER, b"x")[0], 0);
            assert_eq!(lab.client.poll_event(), None);
        }
    }
}

#[test]
fn requests_have_a_limit_and_the_others_wait() {
    let mut lab = Lab::allocated(|config| {
        with_channels_at_once(config);
        config.transactions_max = 2;
    });
    for host in 1..=5 {
        lab.send(&format!("203.0.113.{host}:7000"), b"x");
    }
    let asked = [lab.next(), lab.next()];
    assert_eq!(lab.quiet(), None);
    asked.iter().for_each(|asked| lab.accept(asked));
    assert_eq!([lab.next(), lab.next()].map(|it| it.number()), [0x4002, 0x4003]);
    assert_eq!(lab.quiet(), None);
}

#[test]
fn a_peers_data_is_handed_back_where_it_lies() {
    let mut lab = Lab::allocated(with_channels_at_once);
    let number = lab.channel(PEER);
    let now = lab.now;
    for (mut bytes, start) in [
        (channel_data(number, b"hello"), 4),
        ([channel_data(number, b"hello"), vec![0; 3]].concat(), 4),
        (data_indication(PEER, &[(Attribute::DATA, b"hello")]), 20 + 12 + 4),
        (
            data_indication("203.0.113.9:1", &[(Attribute(0x8022), b"abc"), (Attribute::DATA, b"hello")]),
            20 + 12 + 8 + 4,
        ),
    ] {
        let expected = bytes[start..].as_ptr();
        let datagram =
            Datagram { flow: FLOW, local: at(LOCAL), remote: at(SERVER), ecn: Ecn::NotEct, bytes: &mut bytes };
        let Handled::Data { peer, bytes } = lab.client.handle_datagram(datagram, now) else { panic!("no data") };
        assert_eq!((&*bytes, peer.ip()), (&b"hello"[..], at(PEER).ip()));
        assert_eq!(bytes.as_ptr(), expected);
    }
}

#[test]
fn data_that_nobody_asked_for_is_dropped() {
    let mut lab = Lab::allocated(with_channels_at_once);
    let number = lab.channel(PEER);
    for (bytes, reason) in [
        (channel_data(number + 1, b"x"), DropReason::NoChannel),
        (channel_data(0x4fff, b"x"), DropReason::NoChannel),
        (data_indication(OTHER, &[(Attribute::DATA, b"x")]), DropReason::NoPermission),
        (data_indication(PEER, &[]), DropReason::Malformed),
        (data_indication(PEER, &[(Attribute(0x7fff), b""), (Attribute::DATA, b"x")]), DropReason::Malformed),
        (channel_data(number, b"xy")[..5].to_vec(), DropReason::Malformed),
        (vec![0x40, 0, 0], DropReason::Malformed),
        (vec![0x80; 20], DropReason::NotTurn),
        (vec![], DropReason::NotTurn),
        (vec![0, 1, 0], DropReason::NotTurn),
    ] {
        assert_eq!(lab.give(&bytes), Took::Dropped(reason), "{bytes:?}");
    }
    let mut request = Vec::new();
    Writer::new(Class::Request, Method::DATA, TransactionId([1; 12]), &mut request);
    assert_eq!(lab.give(&request), Took::Dropped(DropReason::Method));
    let mut broken = data_indication(PEER, &[(Attribute::DATA, b"x")]);
    broken[2] = 0xff;
    assert_eq!(lab.give(&broken), Took::Dropped(DropReason::Malformed));
    assert_eq!(lab.client.dropped(DropReason::Malformed), 5);
}

#[test]
fn icmp_is_told() {
    let mut lab = Lab::allocated(quiet_nat);
    lab.send(PEER, b"x");
    lab.next();
    let value = [0, 0, 3 << 1, 4, 0, 0, 5, 0];
    let took = lab.give(&data_indication(PEER, &[(Attribute::ICMP, &value)]));
    assert_eq!(took, Took::Icmp(at(PEER), 3, 4, [0, 0, 5, 0]));
    assert_eq!(lab.give(&data_indication(PEER, &[(Attribute::ICMP, &[0; 4])])), Took::Dropped(DropReason::Malformed));
}

#[test]
fn on_a_stream_channel_data_is_padded() {
    let mut lab = Lab::allocated(|config| {
        stream(config);
        config.channel_after = 0;
    });
    let number = lab.channel(PEER);
    assert_eq!(lab.send(PEER, b"hello"), [channel_data(number, b"hello"), vec![0; 3]].concat());
    assert_eq!(lab.send(PEER, b"four"), channel_data(number, b"four"));
}

/// Wraps `total` bytes as a run of datagrams to the peer, behind 7 other bytes.
fn wrap_run(lab: &mut Lab, total: usize, segment: usize, out: &mut Vec<u8>) -> Transmit {
    out.clear();
    out.resize(7, 0xee);
    out.extend((0..total).map(|at| at as u8));
    let (local, ecn) = (at("0.0.0.0:0"), Ecn::Ect1);
    let run = Transmit { flow: FlowId(99), local, remote: at(PEER), range: 7..7 + total, segment, ecn };
    lab.client.wrap_run(run, lab.now, out).unwrap()
}

#[test]
fn a_run_to_a_channel_stays_a_run() {
    let mut lab = Lab::allocated(with_channels_at_once);
    let number = lab.channel(PEER);
    let mut out = Vec::with_capacity(8000);
    for (total, segment, sizes) in [
        (4000, 1000, vec![1004; 4]),
        (3500, 1000, vec![1004, 1004, 1004, 504]),
        (3001, 1000, vec![1004, 1004, 1004, 5]),
        (999, 333, vec![337; 3]),
        (1000, 1000, vec![1004]),
        (0, 1000, vec![4]),
        (2, 1, vec![5, 5]),
    ] {
        let mut wrapped = None;
        let info = allocation_counter::measure(|| wrapped = Some(wrap_run(&mut lab, total, segment, &mut out)));
        assert_eq!(info.count_total, 0, "{total} bytes");
        let wrapped = wrapped.unwrap();
        assert_eq!((wrapped.flow, wrapped.local, wrapped.remote), (FLOW, at(LOCAL), at(SERVER)));
        assert_eq!((wrapped.range.clone(), wrapped.ecn, &out[..7]), (7..out.len(), Ecn::Ect1, &[0xee; 7][..]));
        let data: Vec<_> = (0..total).map(|at| at as u8).collect();
        let written: Vec<_> = wrapped.datagrams(&out).collect();
        assert_eq!(written.iter().map(|it| it.len()).collect::<Vec<_>>(), sizes);
        let mut parts = data.chunks(segment);
        for datagram in written {
            assert_eq!(datagram, channel_data(number, parts.next().unwrap_or_default()));
        }
    }
}

#[test]
fn a_run_of_indications_is_one_of_transactions() {
    let mut lab = Lab::allocated(quiet_nat);
    let mut out = Vec::new();
    let wrapped = wrap_run(&mut lab, 250, 50, &mut out);
    assert_eq!(wrapped.segment, 20 + 12 + 4 + 52, "a padded run");
    let mut seen = Vec::new();
    for (index, datagram) in wrapped.datagrams(&out).enumerate() {
        let message = Message::parse(datagram).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::SEND));
        assert_eq!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(at(PEER))));
        let data: Vec<_> = (0..50).map(|at| (50 * index + at) as u8).collect();
        assert_eq!(message.get(Attribute::DATA), Some(&data[..]));
        assert!(!seen.contains(&message.transaction()), "{index}");
        seen.push(message.transaction());
    }
    assert_eq!(seen.len(), 5);
}

#[test]
fn a_run_on_a_stream_is_its_next_bytes() {
    let mut lab = Lab::allocated(|config| {
        stream(config);
        config.channel_after = 0;
    });
    let number = lab.channel(PEER);
    let mut out = Vec::new();
    let wrapped = wrap_run(&mut lab, 12, 5, &mut out);
    let part = |data: &[u8], padding| [channel_data(number, data), vec![0; padding]].concat();
    let expected = [part(&[0, 1, 2, 3, 4], 3), part(&[5, 6, 7, 8, 9], 3), part(&[10, 11], 2)].concat();
    assert_eq!((wrapped.bytes(&out), wrapped.segment), (&expected[..], expected.len()));
}

#[test]
fn a_run_that_can_not_be_sent_is_left_alone() {
    let mut lab = Lab::new();
    let mut out = b"one two".to_vec();
    let run = Transmit { flow: FLOW, local: at(LOCAL), remote: at(PEER), range: 0..7, segment: 4, ecn: Ecn::NotEct };
    assert_eq!(lab.client.wrap_run(run, lab.now, &mut out), Err(Error::NoAllocation));
    assert_eq!(out, b"one two");
}

#[test]
fn in_place_and_copied_are_the_same() {
    for change in [with_channels_at_once, stream as fn(&mut Config)] {
        let (mut copied, mut in_place) = (Lab::allocated(change), Lab::allocated(change));
        for datagram in 0..4 {
            let mut buffer = vec![0; Head::MAX];
            buffer.extend_from_slice(b"hello");
            let envelope = in_place.client.wrap(at(PEER), 5, in_place.now).unwrap();
            let head = envelope.head.as_bytes();
            let start = Head::MAX - head.len();
            buffer[start..Head::MAX].copy_from_slice(head);
            buffer.resize(buffer.len() + usize::from(envelope.padding), 0);
            assert_eq!(copied.send(PEER, b"hello"), buffer[start..], "datagram {datagram}");
            for lab in [&mut copied, &mut in_place] {
                while let Some(asked) = lab.quiet() {
                    lab.accept(&asked);
                }
            }
        }
    }
}

#[test]
fn a_stream_is_cut_into_messages() {
    let messages = [
        data_indication(PEER, &[(Attribute::DATA, b"hello")]),
        [channel_data(0x4000, b"hello"), vec![0; 3]].concat(),
        channel_data(0x4001, b""),
        channel_data(0x4fff, b"four"),
    ];
    let stream: Vec<u8> = std::iter::repeat_n(messages.concat(), 250).flatten().collect();
    for cut in [1, 2, 3, 5, 7, 100, stream.len()] {
        let mut deframer = Deframer::new(100);
        let mut found = 0;
        for mut bytes in stream.chunks(cut) {
            while let Some(frame) = deframer.take(&mut bytes).unwrap() {
                assert_eq!(frame, messages[found % 4]);
                found += 1;
            }
            assert!(bytes.is_empty());
        }
        assert_eq!(found, 1000);
    }
}

#[test]
fn a_stream_that_is_not_turn_is_refused() {
    for (bytes, error) in [
        (&[0x80, 0, 0, 0][..], StreamError::NotTurn),
        (&[0x50, 0, 0, 0], StreamError::NotTurn),
        (&[0x00, 1, 0, 3], StreamError::NotTurn),
        (&[0x40, 0, 0, 97], StreamError::TooLong),
        (&[0x01, 1, 0xff, 0xfc], StreamError::TooLong),
    ] {
        let mut deframer = Deframer::new(100);
        let mut rest = bytes;
        assert_eq!(deframer.take(&mut rest), Err(error), "{bytes:?}");
        assert_eq!(deframer.take(&mut rest), Err(error));
    }
    let mut deframer = Deframer::new(100);
    assert_eq!(deframer.take(&mut &[0x40, 0, 0, 96][..]), Ok(None));
}

#[test]
fn data_allocates_nothing() {
    let mut lab = Lab::allocated(with_channels_at_once);
    let number = lab.channel(PEER);
    let (mut from_channel, mut from_indication) =
        (channel_data(number, &[7; 1000]), data_indication(PEER, &[(Attribute::DATA, &[7; 1000])]));
    lab.send("203.0.113.9:7001", b"x");
    while lab.quiet().is_some() {}
    let mut out = Vec::with_capacity(4000);
    let (client, now) = (&mut lab.client, lab.now);
    let (local, remote, unbound) = (at(LOCAL), at(SERVER), at("203.0.113.9:7001"));
    let allocations = allocation_counter::measure(|| {
        for _ in 0..100 {
            out.clear();
            client.send(at(PEER), &[7; 1000], now, &mut out).unwrap();
            client.send(unbound, &[7; 1000], now, &mut out).unwrap();
            for bytes in [&mut from_channel, &mut from_indication] {
                let datagram = Datagram { flow: FLOW, local, remote, ecn: Ecn::NotEct, bytes };
                assert!(matches!(client.handle_datagram(datagram, now), Handled::Data { .. }));
            }
            assert_eq!(client.poll_transmit(now, Limit::DATAGRAM, &mut out), None);
        }
    });
    assert_eq!(allocations.count_total, 0);
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_dropped(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20), kind in 0..5u8,
    ) {
        let mut lab = Lab::allocated(with_channels_at_once);
        lab.channel(PEER);
        for mut bytes in datagrams {
            if let Some(first) = bytes.first_mut() {
                *first = [*first, 0x40, 0, 1, 0][usize::from(kind)];
            }
            if kind > 1 && bytes.len() >= 20 {
                let length = ((bytes.len() - 20) as u16).to_be_bytes();
                bytes[2..4].copy_from_slice(&length);
                bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
            }
            let took = lab.give(&bytes);
            prop_assert!(took != Took::Consumed);
        }
        prop_assert!(lab.client.allocated().is_some());
    }

    #[test]
    fn any_stream_is_cut_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..500), cut in 1..50usize) {
        let (mut deframer, mut taken) = (Deframer::new(200), 0);
        'stream: for mut piece in bytes.chunks(cut) {
            loop {
                match deframer.take(&mut piece) {
                    Ok(Some(frame)) => {
                        prop_assert!(frame.len() <= 200 && frame.len().is_multiple_of(4));
                        prop_assert_eq!(&*frame, &bytes[taken..taken + frame.len()]);
                        taken += frame.len();
                    }
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
    }
}

#[test]
fn a_client_is_small() {
    assert!(size_of::<Client>() <= 1024, "{}", size_of::<Client>());
}
