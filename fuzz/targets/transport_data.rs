#![no_main]

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use libfuzzer_sys::fuzz_target;
use plenary_ice::{LocalCandidate, Role};
use plenary_netsim::base;
use plenary_transport::{
    Certificate, ChannelConfig, ChannelId, Config, DataCloseReason, DataConfig, DataParameters, Event, MessageKind,
    Reliability, Transport,
};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    Certificate::generate(now, Duration::from_secs(86_400)).expect("made")
});

const CHANNELS_MAX: u16 = 8;
const MESSAGE_BYTES_MAX: usize = 4096;

/// Two transports with data channels, and datagrams between them.
struct Pair {
    now: Instant,
    peers: [Transport; 2],
    wire: VecDeque<(usize, Vec<u8>)>,
    /// Channels by peer.
    channels: [Vec<ChannelId>; 2],
    /// How a channel calls itself in what it sends, and how many messages that were; the same of what was read.
    sent: [BTreeMap<ChannelId, [u32; 2]>; 2],
    read: [BTreeMap<ChannelId, [u32; 2]>; 2],
    next_name: u32,
}

impl Pair {
    fn new(lies: bool) -> Self {
        let now = base();
        let mut peers = [0_u8, 1].map(|of| {
            let mut config = Config::new(CERTIFICATE.clone(), [of + 1; 32]);
            config.ice.role = if of == 0 { Role::Controlling } else { Role::Controlled };
            let (send_buffer_bytes_max, receive_buffer_bytes_max) = (16 * 1024, 16 * 1024);
            config.data = Some(DataConfig {
                channels_max: CHANNELS_MAX,
                message_bytes_max: MESSAGE_BYTES_MAX,
                send_buffer_bytes_max,
                receive_buffer_bytes_max,
                ..DataConfig::default()
            });
            let mut transport = Transport::new(config, now).expect("sound");
            let local = format!("192.0.2.{}:1000", of + 1).parse().expect("an address");
            transport.add_local_candidate(LocalCandidate::host(FlowId(0), local), now).expect("new");
            transport.end_local_candidates(now);
            transport
        });
        for of in [1, 0] {
            let mut parameters = peers[1 - of].local_parameters();
            if lies {
                parameters.data = Some(DataParameters { sctp_port: 5000, message_bytes_max: 0 });
            }
            peers[of].set_remote(parameters, now).expect("sound");
            for candidate in peers[1 - of].ice().local_candidates() {
                peers[of].add_remote_candidate(candidate, now);
            }
        }
        let (channels, sent, read) = Default::default();
        Self { now, peers, wire: VecDeque::new(), channels, sent, read, next_name: 0 }
    }

    /// Time goes by. Each datagram takes a millisecond, but every so many-th is lost.
    fn run(&mut self, milliseconds: u64, lost: usize, reads: bool) {
        let end = self.now + Duration::from_millis(milliseconds);
        let mut number = 0;
        while self.now < end {
            for of in [0, 1] {
                let mut out = Vec::new();
                while let Some(transmit) = self.peers[of].poll_transmit(self.now, Limit::DATAGRAM, &mut out) {
                    self.wire.push_back((1 - of, transmit.bytes(&out).to_vec()));
                    out.clear();
                }
                self.take(of, reads);
            }
            let due = self.peers.iter().filter_map(Transport::poll_timeout).min().unwrap_or(end);
            let next = if self.wire.is_empty() { due } else { self.now };
            self.now = next.max(self.now + Duration::from_millis(1)).min(end);
            for (to, mut bytes) in std::mem::take(&mut self.wire) {
                number += 1;
                if lost != 0 && number % lost == 0 {
                    continue;
                }
                let [local, remote] =
                    [to, 1 - to].map(|of| format!("192.0.2.{}:1000", of + 1).parse().expect("an address"));
                let datagram = Datagram { flow: FlowId(0), local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
                let _ = self.peers[to].handle_datagram(datagram, self.now);
            }
            for peer in &mut self.peers {
                if peer.poll_timeout().is_some_and(|due| due <= self.now) {
                    peer.handle_timeout(self.now);
                }
            }
        }
    }

    /// Takes events and messages: those of a reliable channel are the ones that were sent, each once and in order.
    fn take(&mut self, of: usize, reads: bool) {
        while let Some(event) = self.peers[of].poll_event() {
            match event {
                Event::ChannelOpened(channel) if !self.channels[of].contains(&channel) => {
                    self.channels[of].push(channel);
                }
                Event::ChannelClosed(channel) => {
                    assert!(self.peers[of].channel(channel).is_none());
                    self.channels[of].retain(|other| *other != channel);
                }
                Event::DataClosed(reason) => assert_ne!(reason, DataCloseReason::NoAnswer),
                Event::Closed(reason) => panic!("{reason:?}"),
                _ => {}
            }
        }
        assert!(self.channels[of].len() <= usize::from(CHANNELS_MAX));
        while reads && let Some(message) = self.peers[of].poll_message() {
            assert!(message.bytes.len() <= MESSAGE_BYTES_MAX);
            let is_reliable = self.peers[of].channel(message.channel).is_some_and(|channel| {
                let ChannelConfig { ordered, reliability, negotiated, .. } = channel.config;
                *ordered && *reliability == Reliability::Reliable && negotiated.is_none()
            });
            let Some((head, _)) = message.bytes.split_first_chunk::<8>().filter(|_| is_reliable) else { continue };
            let [n0, n1, n2, n3, c0, c1, c2, c3] = *head;
            let [name, count] = [[n0, n1, n2, n3], [c0, c1, c2, c3]].map(u32::from_be_bytes);
            let known = self.read[of].entry(message.channel).or_insert([name, 0]);
            assert_eq!(*known, [name, count]);
            known[1] += 1;
        }
    }

    fn open(&mut self, of: usize, value: u8) {
        let reliability = match value % 3 {
            0 => Reliability::Reliable,
            1 => Reliability::MaxRetransmits((value / 64).into()),
            _ => Reliability::MaxLifetime(Duration::from_millis(value.into())),
        };
        let negotiated = (value % 5 == 4).then_some((value / 8).into());
        let label = "x".repeat(usize::from(value) * 5);
        let config =
            ChannelConfig { label, ordered: value & 8 == 0, reliability, negotiated, ..ChannelConfig::default() };
        if let Ok(channel) = self.peers[of].open_channel(config) {
            self.channels[of].push(channel);
        }
    }

    fn send(&mut self, of: usize, channel: usize, size: usize, mark: u8) {
        let Some(&channel) = self.channels[of].get(channel % usize::from(CHANNELS_MAX)) else { return };
        let [name, count] = *self.sent[of].entry(channel).or_insert_with(|| {
            self.next_name += 1;
            [self.next_name, 0]
        });
        let bytes = [&name.to_be_bytes()[..], &count.to_be_bytes(), &vec![mark; size]].concat();
        if self.peers[of].send_message(channel, MessageKind::Binary, &bytes).is_ok() {
            self.sent[of].insert(channel, [name, count + 1]);
        }
    }
}

// Operations of three bytes on two transports: none is closed by what happens in data channels, and what is read in a
// reliable one is what was sent. The first byte says whether the descriptions lie about how much is taken.
fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let mut pair = Pair::new(first & 1 == 1);
    pair.run(300, 0, true);
    for &[operation, value, more] in bytes.as_chunks().0.iter().take(100) {
        let of = usize::from(operation & 1);
        match operation / 2 % 6 {
            0 => pair.open(of, value),
            1 | 2 => pair.send(of, value.into(), usize::from(more) * usize::from(value), more),
            3 => {
                if let Some(&channel) = pair.channels[of].get(usize::from(value % 8)) {
                    pair.peers[of].close_channel(channel).expect("it is known");
                }
            }
            4 => pair.run(value.into(), usize::from(more % 8), more < 128),
            _ => pair.peers[of].restart(pair.now),
        }
        if operation >= 250 {
            pair.run(5, 0, true);
        }
    }
    pair.run(3000, 0, true);
});
