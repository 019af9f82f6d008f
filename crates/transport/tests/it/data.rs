//! Data channels, on a network.

use std::time::Duration;

use plenary_netsim::Loss;
use plenary_transport::{
    ChannelConfig, ChannelError, ChannelId, ChannelState, Config, ConfigError, DataCloseReason, DataConfig,
    DataDropReason, DataParameters, DropReason, DtlsVersions, Event, MessageKind, Parameters, Reliability, Setup,
    Transport,
};

use crate::lab::{A, B, Lab, config, data_config, ms};

use MessageKind::{Binary, Text};

/// Two peers with keys and data channels.
fn lab(seed: u64, rtt: u64, loss: u32) -> Lab {
    let mut lab = Lab::signalled(seed, rtt, 0, [data_config(A), data_config(B)]);
    lab.run(1000);
    lose(&mut lab, loss);
    lab
}

fn lose(lab: &mut Lab, percent: u32) {
    let (up, down) = lab.sim.network().site_links(lab.site);
    let now = lab.sim.elapsed();
    for link in [up, down] {
        lab.sim.network_mut().update_link(link, now, |link| link.loss = Loss::percent(percent));
    }
}

fn open(lab: &mut Lab, of: usize, config: ChannelConfig) -> ChannelId {
    lab.transport_mut(of).open_channel(config).unwrap()
}

/// The channels of which a peer was told that they are open, and those that are closed.
fn told(lab: &Lab, of: usize) -> (Vec<ChannelId>, Vec<ChannelId>) {
    let (mut opened, mut closed) = (Vec::new(), Vec::new());
    for (_, whose, event) in &lab.events {
        match event {
            Event::ChannelOpened(channel) if *whose == of => opened.push(*channel),
            Event::ChannelClosed(channel) if *whose == of => closed.push(*channel),
            _ => {}
        }
    }
    (opened, closed)
}

fn data_closed(lab: &Lab, of: usize) -> Option<DataCloseReason> {
    lab.events.iter().find_map(|(_, whose, event)| match event {
        Event::DataClosed(reason) if *whose == of => Some(*reason),
        _ => None,
    })
}

fn send(lab: &mut Lab, of: usize, channel: ChannelId, bytes: &[u8]) {
    lab.transport_mut(of).send_message(channel, Binary, bytes).unwrap();
}

/// What a peer got in a channel.
fn got(lab: &Lab, of: usize, channel: ChannelId) -> Vec<&[u8]> {
    let of_channel = lab.peer(of).messages.iter().filter(|(_, message)| message.channel == channel);
    of_channel.map(|(_, message)| &message.bytes[..]).collect()
}

/// A channel of A, and the same at B.
fn pair(lab: &mut Lab, config: ChannelConfig) -> [ChannelId; 2] {
    let ours = open(lab, A, config);
    lab.run(1000);
    let theirs = *told(lab, B).0.last().expect("the peer hears of it");
    [ours, theirs]
}

#[test]
fn messages_go_both_ways_in_every_role_and_version() {
    for versions in [DtlsVersions::Dtls12, DtlsVersions::Dtls13] {
        for answer in [Setup::Active, Setup::Passive] {
            let configs = [A, B].map(|of| {
                let mut config = data_config(of);
                (config.dtls_client, config.dtls_server) = (versions, versions);
                if of == B {
                    config.setup = answer;
                }
                config
            });
            let mut lab = Lab::signalled(1, 50, 0, configs);
            // Before anything is known, and after.
            let early = open(&mut lab, A, ChannelConfig { label: "early".into(), ..ChannelConfig::default() });
            assert_eq!(lab.transport_mut(A).channel(early).unwrap().state, ChannelState::Connecting);
            assert_eq!(lab.transport_mut(A).send_message(early, Text, b"?"), Err(ChannelError::NotOpen));
            lab.run(1000);
            let reliability = Reliability::MaxLifetime(ms(700));
            let config = ChannelConfig {
                label: "späte".into(),
                protocol: "raw".into(),
                ordered: false,
                reliability,
                negotiated: None,
            };
            let late = open(&mut lab, B, config.clone());
            lab.run(100);
            let (opened, _) = told(&lab, A);
            assert_eq!((opened.len(), opened[0]), (2, early), "{versions:?}, {answer:?}");
            let theirs = lab.transport_mut(A).channel(opened[1]).unwrap();
            assert_eq!((theirs.config, theirs.state), (&config, ChannelState::Open));
            // RFC 8832 §6: even streams are the DTLS client's.
            assert_eq!(theirs.stream.unwrap() % 2, u16::from(answer == Setup::Passive));
            let (stream, first) = (lab.transport_mut(A).channel(early).unwrap().stream.unwrap(), told(&lab, B).0[0]);
            assert_eq!(stream, u16::from(answer == Setup::Active));
            for (of, channel) in [(A, early), (B, first), (A, opened[1]), (B, late)] {
                for (kind, bytes) in [(Text, &b"hello"[..]), (Binary, &[0; 5000]), (Text, b""), (Binary, b"")] {
                    lab.transport_mut(of).send_message(channel, kind, bytes).unwrap();
                }
            }
            lab.run(1000);
            for (of, channel) in [(A, early), (B, first), (A, opened[1]), (B, late)] {
                assert_eq!(got(&lab, of, channel), [&b"hello"[..], &[0; 5000], b"", b""]);
                let kinds = lab.peer(of).messages.iter().filter(|it| it.1.channel == channel).map(|it| it.1.kind);
                assert_eq!(kinds.collect::<Vec<_>>(), [Text, Binary, Text, Binary]);
                assert_eq!(lab.transport_mut(of).channel(channel).unwrap().buffered_bytes, 0);
            }
        }
    }
}

#[test]
fn what_is_not_negotiated_is_not_there() {
    for configs in [[config(A), data_config(B)], [data_config(A), config(B)]] {
        let mut lab = Lab::signalled(1, 50, 0, configs);
        let has = [A, B].map(|of| lab.transport(of).local_parameters().data.is_some());
        for of in [A, B] {
            let opened = lab.transport_mut(of).open_channel(ChannelConfig::default());
            assert_eq!(opened.err(), (!has[of]).then_some(ChannelError::NotConfigured));
        }
        lab.run(5000);
        assert!(lab.keys_after().is_some());
        for of in [A, B] {
            assert!(told(&lab, of).0.is_empty());
            // After the handshake there is nothing but STUN.
            let after = lab.connected(of).unwrap().0 + ms(200);
            let start = lab.sim.now() - lab.sim.elapsed();
            assert!(lab.peer(of).written.iter().all(|(at, first, _)| *at < start + after || *first < 4));
        }
    }
}

#[test]
fn a_description_without_them_ends_them_and_one_with_them_begins_them() {
    let mut lab = Lab::signalled(1, 50, 0, [data_config(A), data_config(B)]);
    let now = lab.sim.now();
    let known = lab.transport(B).local_parameters();
    assert_eq!(known.data, Some(DataParameters { sctp_port: 5000, message_bytes_max: 262_144 }));
    // At first the peer has none.
    let without = Parameters { data: None, ..known.clone() };
    lab.transport_mut(A).set_remote(without.clone(), now).unwrap();
    let ours = open(&mut lab, A, ChannelConfig::default());
    lab.run(1000);
    assert!(told(&lab, A).0.is_empty());
    let now = lab.sim.now();
    lab.transport_mut(A).set_remote(known, now).unwrap();
    lab.run(3000);
    assert_eq!(told(&lab, A).0, [ours]);
    let now = lab.sim.now();
    lab.transport_mut(A).set_remote(without, now).unwrap();
    lab.run(100);
    assert_eq!(data_closed(&lab, A), Some(DataCloseReason::Removed));
    assert_eq!(data_closed(&lab, B), Some(DataCloseReason::Peer));
    assert_eq!(told(&lab, A).1, [ours]);
    assert_eq!(told(&lab, B).1, told(&lab, B).0);
    for of in [A, B] {
        assert_eq!(lab.transport_mut(of).open_channel(ChannelConfig::default()), Err(ChannelError::Ended));
        lab.send_rtp(of, 1);
    }
    lab.run(100);
    assert_eq!((lab.peer(A).rtp.len(), lab.peer(B).rtp.len()), (1, 1), "media goes on");
}

#[test]
fn a_thousand_messages_come_in_order_under_loss_and_reordering() {
    for seed in 1..=4 {
        let mut lab = lab(seed, 40, 5);
        let (up, down) = lab.sim.network().site_links(lab.site);
        let now = lab.sim.elapsed();
        for link in [up, down] {
            lab.sim.network_mut().update_link(link, now, |link| link.jitter = ms(20));
        }
        let channels = pair(&mut lab, ChannelConfig::default());
        for number in 0..1000_u32 {
            for of in [A, B] {
                let bytes = [&number.to_be_bytes()[..], &vec![7; number as usize]].concat();
                send(&mut lab, of, channels[of], &bytes);
            }
            if number % 10 == 0 {
                lab.run(20);
            }
        }
        lab.run(60_000);
        for of in [A, B] {
            let got = got(&lab, of, channels[of]);
            assert_eq!(got.len(), 1000, "seed {seed}");
            let is_right = |(number, bytes): (usize, &&[u8])| {
                bytes.len() == number + 4 && bytes[..4] == (number as u32).to_be_bytes()
            };
            assert!(got.iter().enumerate().all(is_right), "seed {seed}");
        }
    }
}

#[test]
fn without_retransmission_some_is_lost_and_nothing_waits() {
    let mut lost = 0;
    for seed in 1..=4 {
        for ordered in [true, false] {
            let mut lab = lab(seed, 40, 10);
            let reliability = Reliability::MaxRetransmits(0);
            let channels = pair(&mut lab, ChannelConfig { ordered, reliability, ..ChannelConfig::default() });
            for number in 0..500_u32 {
                send(&mut lab, A, channels[A], &number.to_be_bytes());
                lab.run(20);
            }
            lose(&mut lab, 0);
            lab.run(5000);
            send(&mut lab, A, channels[A], b"last");
            lab.run(1000);
            let got = got(&lab, B, channels[B]);
            assert!(got.len() < 501 && got.len() > 350, "seed {seed}: {}", got.len());
            assert_eq!(got.last(), Some(&&b"last"[..]), "seed {seed}");
            let numbers = got[..got.len() - 1].iter().map(|bytes| u32::from_be_bytes(bytes[..].try_into().unwrap()));
            assert!(!ordered || numbers.is_sorted(), "seed {seed}");
            lost += 501 - got.len();
            assert_eq!(lab.transport_mut(A).channel(channels[A]).unwrap().buffered_bytes, 0);
        }
    }
    println!("{lost} of 4008 messages lost at 10 % each way");
}

#[test]
fn a_restart_of_ice_in_the_middle_loses_nothing() {
    let mut lab = lab(3, 50, 2);
    let channels = pair(&mut lab, ChannelConfig::default());
    for number in 0..300_u32 {
        send(&mut lab, A, channels[A], &number.to_be_bytes());
        if number == 100 {
            let now = lab.sim.now();
            lab.transport_mut(A).restart(now);
            lab.signal();
        }
        lab.run(10);
    }
    lab.run(10_000);
    assert_eq!(got(&lab, B, channels[B]).len(), 300);
    assert_eq!((data_closed(&lab, A), data_closed(&lab, B)), (None, None));
}

#[test]
fn both_sides_close_a_channel_and_its_stream_serves_again() {
    for from in [A, B] {
        let mut lab = lab(1, 50, 0);
        let channels = pair(&mut lab, ChannelConfig::default());
        let stream = lab.transport_mut(A).channel(channels[A]).unwrap().stream;
        // What was sent before is still delivered.
        send(&mut lab, from, channels[from], &[1; 30_000]);
        lab.transport_mut(from).close_channel(channels[from]).unwrap();
        assert_eq!(lab.transport_mut(from).send_message(channels[from], Text, b"x"), Err(ChannelError::NotOpen));
        lab.run(2000);
        assert_eq!(got(&lab, 1 - from, channels[1 - from]), [&[1; 30_000]]);
        for of in [A, B] {
            assert_eq!(told(&lab, of).1, [channels[of]]);
            assert_eq!(lab.transport_mut(of).channel(channels[of]), None);
            assert_eq!(lab.transport_mut(of).close_channel(channels[of]), Err(ChannelError::NoChannel));
        }
        for _ in 0..5 {
            let channels = pair(&mut lab, ChannelConfig::default());
            assert_eq!(lab.transport_mut(A).channel(channels[A]).unwrap().stream, stream);
            send(&mut lab, A, channels[A], b"again");
            lab.run(200);
            assert_eq!(got(&lab, B, channels[B]), [b"again"]);
            for of in [A, B] {
                lab.transport_mut(of).close_channel(channels[of]).unwrap();
            }
            lab.run(2000);
        }
        assert_eq!((told(&lab, A).1.len(), told(&lab, B).1.len()), (6, 6));
    }
}

#[test]
fn both_sides_open_and_close_at_once() {
    let mut lab = lab(1, 50, 0);
    let ours: Vec<_> = (0..20).map(|_| open(&mut lab, A, ChannelConfig::default())).collect();
    let theirs: Vec<_> = (0..20).map(|_| open(&mut lab, B, ChannelConfig::default())).collect();
    lab.run(500);
    assert_eq!((told(&lab, A).0.len(), told(&lab, B).0.len()), (40, 40));
    for (of, channels) in [(A, ours), (B, theirs)] {
        for channel in channels {
            lab.transport_mut(of).close_channel(channel).unwrap();
        }
    }
    lab.run(3000);
    assert_eq!((told(&lab, A).1.len(), told(&lab, B).1.len()), (40, 40));
}

#[test]
fn a_negotiated_channel_is_not_told_and_works_at_once() {
    let mut lab = lab(1, 50, 0);
    let config = ChannelConfig { negotiated: Some(7), ordered: false, ..ChannelConfig::default() };
    let channels = [A, B].map(|of| open(&mut lab, of, config.clone()));
    for of in [A, B] {
        assert_eq!(lab.transport_mut(of).open_channel(config.clone()), Err(ChannelError::Stream));
        send(&mut lab, of, channels[of], b"at once");
    }
    let none = ChannelConfig { negotiated: Some(65_535), ..config };
    assert_eq!(lab.transport_mut(A).open_channel(none), Err(ChannelError::Stream));
    lab.run(100);
    for of in [A, B] {
        assert_eq!(told(&lab, of).0, [channels[of]]);
        assert_eq!(got(&lab, of, channels[of]), [b"at once"]);
    }
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let mut b = data_config(B);
    b.data.as_mut().unwrap().message_bytes_max = 10_000;
    let mut lab = Lab::signalled(1, 50, 0, [data_config(A), b]);
    lab.run(1000);
    let channels = pair(&mut lab, ChannelConfig::default());
    let a = lab.transport_mut(A);
    let refused = a.send_message(channels[A], Binary, &[0; 10_001]);
    assert_eq!(refused, Err(ChannelError::MessageBytes { bytes_max: 10_000 }));
    a.set_channel_drained_at(channels[A], 100_000).unwrap();
    let mut sent = 0;
    let free_bytes = loop {
        match a.send_message(channels[A], Binary, &[0; 10_000]) {
            Ok(()) => sent += 1,
            Err(ChannelError::SendBuffer { free_bytes }) => break free_bytes,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((sent, free_bytes), (104, 1024 * 1024 - 1_040_000));
    assert_eq!(a.send_message(channels[A], Binary, &vec![0; free_bytes]), Ok(()));
    assert_eq!(a.channel(channels[A]).unwrap().buffered_bytes, 1024 * 1024);
    let is_drained = |lab: &Lab| {
        let of_channel = lab.events.iter().filter(|(_, _, event)| *event == Event::ChannelDrained(channels[A]));
        of_channel.count()
    };
    assert_eq!(is_drained(&lab), 0);
    lab.run(5000);
    assert_eq!(is_drained(&lab), 1);
    assert_eq!(got(&lab, B, channels[B]).len(), 105);
    let name = ChannelConfig { label: "x".repeat(1025), ..ChannelConfig::default() };
    assert_eq!(lab.transport_mut(A).open_channel(name), Err(ChannelError::Name));
    let reliability = Reliability::MaxLifetime(Duration::from_millis(1 << 32));
    let long = ChannelConfig { reliability, ..ChannelConfig::default() };
    assert_eq!(lab.transport_mut(A).open_channel(long), Err(ChannelError::Lifetime));
    while lab.transport_mut(A).open_channel(ChannelConfig::default()).is_ok() {}
    assert_eq!(lab.transport_mut(A).open_channel(ChannelConfig::default()), Err(ChannelError::Channels));
    lab.run(1000);
    assert_eq!((told(&lab, A).0.len(), told(&lab, B).0.len()), (256, 256));
}

#[test]
fn a_caller_who_does_not_read_holds_the_peer_back_and_loses_nothing() {
    for size in [20, 1000, 60_000] {
        let mut lab = lab(1, 20, 1);
        let channels = pair(&mut lab, ChannelConfig::default());
        lab.peer_mut(B).is_reading = false;
        let mut sent = 0_u32;
        let mut fill = |lab: &mut Lab| {
            let bytes = |sent: u32| [&sent.to_be_bytes()[..], &vec![0; size - 4]].concat();
            while lab.transport_mut(A).send_message(channels[A], Binary, &bytes(sent)).is_ok() {
                sent += 1;
            }
        };
        for _ in 0..30 {
            fill(&mut lab);
            lab.run(1000);
        }
        let waiting = lab.transport_mut(A).channel(channels[A]).unwrap().buffered_bytes;
        assert!(waiting > 900_000, "{size}: {waiting}");
        lab.peer_mut(B).is_reading = true;
        let now = lab.sim.now();
        lab.peer_mut(B).read(now);
        let held: usize = got(&lab, B, channels[B]).iter().map(|bytes| bytes.len() + 64).sum();
        println!("{size}: {held} bytes held");
        assert!(held <= 1280 * 1024 + 60_064, "{size}: {held}");
        lab.run(60_000);
        let got = got(&lab, B, channels[B]);
        assert_eq!(got.len() as u32, sent, "{size}");
        assert!(got.iter().enumerate().all(|(number, bytes)| bytes[..4] == (number as u32).to_be_bytes()));
    }
}

#[test]
fn closing_while_the_peer_sends_much_leaves_the_others_alone() {
    let mut lab = lab(1, 50, 0);
    let [bulk, other] = [pair(&mut lab, ChannelConfig::default()), pair(&mut lab, ChannelConfig::default())];
    for _ in 0..10 {
        while lab.transport_mut(B).send_message(bulk[B], Binary, &[0; 60_000]).is_ok() {}
        lab.run(50);
    }
    while lab.transport_mut(B).send_message(bulk[B], Binary, &[0; 60_000]).is_ok() {}
    lab.run(30);
    lab.transport_mut(A).close_channel(bulk[A]).unwrap();
    lab.run(5000);
    assert_eq!((data_closed(&lab, A), data_closed(&lab, B)), (None, None));
    assert_eq!((told(&lab, A).1, told(&lab, B).1), (vec![bulk[A]], vec![bulk[B]]));
    send(&mut lab, B, other[B], b"still there");
    lab.run(1000);
    assert_eq!(got(&lab, A, other[A]), [b"still there"]);
}

// A peer that lies about what it takes is one that others keep to no rule towards.
#[test]
fn a_message_above_the_limit_ends_data_and_not_media() {
    let mut b = data_config(B);
    b.data.as_mut().unwrap().message_bytes_max = 10_000;
    let mut lab = Lab::new(1, 50, 0, [data_config(A), b]);
    lab.signal();
    let now = lab.sim.now();
    let known = lab.transport(B).local_parameters();
    let data = Some(DataParameters { sctp_port: 5000, message_bytes_max: 0 });
    lab.transport_mut(A).set_remote(Parameters { data, ..known }, now).unwrap();
    lab.run(1000);
    let channels = pair(&mut lab, ChannelConfig::default());
    send(&mut lab, A, channels[A], &[0; 10_000]);
    send(&mut lab, A, channels[A], &[0; 10_001]);
    lab.run(1000);
    assert_eq!(got(&lab, B, channels[B]).len(), 1);
    assert_eq!(data_closed(&lab, B), Some(DataCloseReason::Violation));
    assert_eq!(data_closed(&lab, A), Some(DataCloseReason::Peer));
    assert_eq!((lab.closed(A), lab.closed(B)), (None, None));
    lab.send_rtp(A, 1);
    lab.send_rtp(B, 1);
    lab.run(100);
    assert_eq!((lab.peer(A).rtp.len(), lab.peer(B).rtp.len()), (1, 1));
}

#[test]
fn the_end_of_the_transport_ends_channels_after_their_messages() {
    let mut lab = lab(1, 50, 0);
    let channels = pair(&mut lab, ChannelConfig::default());
    lab.peer_mut(B).is_reading = false;
    send(&mut lab, A, channels[A], b"last words");
    lab.run(200);
    let now = lab.sim.now();
    lab.transport_mut(A).close(now);
    lab.run(200);
    assert_eq!(data_closed(&lab, A), Some(DataCloseReason::Transport));
    assert_eq!(data_closed(&lab, B), Some(DataCloseReason::Transport));
    assert_eq!((told(&lab, A).1, told(&lab, B).1), (vec![channels[A]], vec![]));
    let b = lab.transport_mut(B);
    assert_eq!(b.poll_message().map(|message| message.bytes), Some(b"last words".to_vec()));
    assert_eq!(b.poll_event(), Some(Event::ChannelClosed(channels[B])));
    assert_eq!(b.send_message(channels[B], Text, b"x"), Err(ChannelError::Ended));
    assert_eq!(b.open_channel(ChannelConfig::default()), Err(ChannelError::Ended));
}

#[test]
fn a_transport_without_channels_is_silent() {
    let mut lab = lab(1, 50, 0);
    lab.run(5000);
    let count = |lab: &Lab| [A, B].map(|of| lab.peer(of).written.iter().filter(|it| it.1 >= 20).count());
    let before = count(&lab);
    lab.run(60_000);
    assert_eq!(count(&lab), before, "nothing but STUN");
    let channels = pair(&mut lab, ChannelConfig::default());
    send(&mut lab, A, channels[A], b"still there");
    lab.run(100);
    assert_eq!(got(&lab, B, channels[B]), [b"still there"]);
}

#[test]
fn sixteen_megabytes_come_through() {
    for loss in [0, 1] {
        let mut lab = lab(9, 50, loss);
        let channels = pair(&mut lab, ChannelConfig::default());
        let message = vec![7; 64 * 1024];
        lab.transport_mut(A).set_channel_drained_at(channels[A], 512 * 1024).unwrap();
        let (mut left, start) = (256, lab.sim.elapsed());
        while got(&lab, B, channels[B]).len() < 256 {
            while left > 0 && lab.transport_mut(A).send_message(channels[A], Binary, &message).is_ok() {
                left -= 1;
            }
            lab.run(10);
            assert!(lab.sim.elapsed() - start < Duration::from_secs(600), "{left} left");
        }
        let took = lab.sim.elapsed() - start;
        println!("16 MB at 50 ms and {loss} % loss each way: {took:?}");
        assert!(took < Duration::from_secs(if loss == 0 { 10 } else { 120 }), "{took:?}");
        let sizes = lab.peer(A).written.iter().filter(|it| it.1 == 23 || it.1 & 0xe0 == 0x20).map(|it| it.2);
        assert!(sizes.clone().max() <= Some(1180), "{:?}", sizes.max());
    }
}

#[test]
fn a_configuration_of_data_out_of_range_is_named() {
    let now = lab(1, 50, 0).sim.now();
    let refused = |change: fn(&mut DataConfig)| {
        let mut config: Config = data_config(A);
        change(config.data.as_mut().unwrap());
        Transport::new(config, now).unwrap_err()
    };
    assert_eq!(refused(|it| it.sctp_port = 0), ConfigError::SctpPort);
    assert_eq!(refused(|it| it.channels_max = 0), ConfigError::Channels);
    assert_eq!(refused(|it| it.channels_max = 1025), ConfigError::Channels);
    assert_eq!(refused(|it| it.name_bytes_max = 131_071), ConfigError::ChannelName);
    assert_eq!(refused(|it| it.message_bytes_max = 1023), ConfigError::MessageBytes);
    assert_eq!(refused(|it| it.send_buffer_bytes_max = 1023), ConfigError::SendBuffer);
    assert_eq!(refused(|it| it.receive_buffer_bytes_max = 2 * 262_144 - 1), ConfigError::ReceiveBuffer);
}

#[test]
fn packets_of_data_that_nobody_asked_for_are_counted() {
    let mut lab = Lab::signalled(1, 50, 0, [data_config(A), data_config(B)]);
    let now = lab.sim.now();
    let without = Parameters { data: None, ..lab.transport(B).local_parameters() };
    lab.transport_mut(A).set_remote(without, now).unwrap();
    lab.run(2000);
    assert!(lab.transport(A).dropped(DropReason::Data(DataDropReason::NotNegotiated)) >= 1);
    assert_eq!(lab.closed(A), None);
}
