//! A peer that keeps to no rule, below DTLS.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::sctp::PATIENCE;
use super::wire::{self, Address, kind, u16_at, u32_at};
use super::*;

const PEER: DataParameters = DataParameters { sctp_port: 5000, message_bytes_max: 262_144 };
const RETRANSMIT: Duration = Duration::from_millis(400);
const MEGABYTE: u64 = 1024 * 1024;

/// The victim is the DTLS server; the other did SCTP's handshake, and writes its packets by hand from then on.
struct Lab {
    now: Instant,
    data: Data,
    /// Of packets to the victim.
    address: Address,
    /// The next TSN, and the next number of a reset.
    tsn: u32,
    reset: u32,
    /// What the victim has sent since.
    came: Vec<Bytes>,
}

/// A chunk: type, flags and value.
type Chunk = (u8, u8, Vec<u8>);

impl Lab {
    fn new() -> Self {
        Self::with(DataConfig::default())
    }

    #[expect(clippy::disallowed_methods, reason = "sctp-proto reads the clock for its first timer")]
    fn with(config: DataConfig) -> Self {
        let now = Instant::now();
        let mut data = Data::new(config.clone());
        data.start(DtlsRole::Server, PEER, RETRANSMIT, now);
        let mut peer = Data::new(config);
        peer.start(DtlsRole::Client, PEER, RETRANSMIT, now);
        let init = peer.next(now).expect("the client begins");
        let (_, value) = wire::chunks(&init).next().unwrap();
        let tsn = u32_at(value, 12).unwrap();
        data.handle_packet(init, now);
        let mut address = [0; 8];
        for _ in 0..3 {
            while let Some(packet) = data.next(now) {
                peer.handle_packet(packet, now);
            }
            while let Some(packet) = peer.next(now) {
                address = wire::address(&packet).unwrap();
                data.handle_packet(packet, now);
            }
        }
        assert!(data.is_up && peer.is_up);
        Self { now, data, address, tsn, reset: tsn, came: Vec::new() }
    }

    fn write(&self, chunks: &[Chunk]) -> Bytes {
        let mut bytes = [&self.address[..], &[0; 4]].concat();
        for (kind, flags, value) in chunks {
            bytes.extend([*kind, *flags]);
            bytes.extend((value.len() as u16 + 4).to_be_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        wire::seal(&mut bytes);
        bytes.into()
    }

    fn send(&mut self, chunks: &[Chunk]) {
        let packet = self.write(chunks);
        self.data.handle_packet(packet, self.now);
    }

    /// A piece of a message, with the next TSN: flags are 2 for the first and 1 for the last, 4 for out of order.
    fn piece(&mut self, flags: u8, stream: u16, ssn: u16, ppid: u32, bytes: &[u8]) -> Chunk {
        let mut value = self.tsn.to_be_bytes().to_vec();
        self.tsn = self.tsn.wrapping_add(1);
        value.extend(stream.to_be_bytes());
        value.extend(ssn.to_be_bytes());
        value.extend(ppid.to_be_bytes());
        value.extend(bytes);
        (kind::DATA, flags, value)
    }

    fn message(&mut self, stream: u16, ssn: u16, ppid: u32, bytes: &[u8]) {
        let piece = self.piece(3, stream, ssn, ppid, bytes);
        self.send(&[piece]);
    }

    fn open(&mut self, stream: u16) -> Option<ChannelId> {
        self.message(stream, 0, 50, &Dcep::open(&ChannelConfig::default()).unwrap());
        self.data.streams.get(&stream).copied()
    }

    fn reset(&mut self, number: u32, last: u32, streams: &[u16]) {
        let mut value = vec![0, 13];
        value.extend((16 + 2 * streams.len() as u16).to_be_bytes());
        value.extend(number.to_be_bytes());
        value.extend([0; 4]);
        value.extend(last.to_be_bytes());
        value.extend(streams.iter().flat_map(|stream| stream.to_be_bytes()));
        self.send(&[(kind::RE_CONFIG, 0, value)]);
    }

    /// Takes what the victim sends, for so long.
    fn run(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        loop {
            while let Some(packet) = self.data.next(self.now) {
                self.came.push(packet);
            }
            match self.data.poll_timeout().filter(|due| *due <= end) {
                Some(due) => self.now = self.now.max(due),
                None => break,
            }
            self.data.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn dropped(&self, reason: DataDropReason) -> u64 {
        self.data.dropped(reason)
    }

    fn last_window(&self) -> u32 {
        let sacks = self.came.iter().flat_map(|packet| wire::chunks(packet)).filter(|(kind, _)| *kind == kind::SACK);
        u32_at(sacks.last().expect("a SACK").1, 4).unwrap()
    }

    fn is_aborted(&self) -> bool {
        self.came.iter().any(|packet| wire::chunks(packet).any(|(kind, _)| kind == kind::ABORT))
    }
}

/// The most bytes held at once.
fn held(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).bytes_max
}

#[test]
fn of_65_535_channels_as_many_as_allowed_are_open() {
    let mut lab = Lab::new();
    let bytes = held(|| {
        for stream in (0..NO_STREAM).step_by(2).chain((1..NO_STREAM).step_by(2)) {
            lab.open(stream);
            if stream % 64 < 2 {
                lab.run(1);
            }
        }
    });
    assert_eq!(lab.data.streams.len(), 256);
    assert_eq!(lab.dropped(DataDropReason::Refused), 64);
    // The rest is passed over, and would be repeated.
    assert_eq!(lab.dropped(DataDropReason::Streams), 65_535 - 256 - 64);
    println!("{bytes} bytes held");
    assert!(bytes < MEGABYTE, "{bytes}");
    // It does not answer the resets of those that were refused.
    lab.run(120_000);
    assert_eq!(lab.data.ended, Some(DataCloseReason::ResetFailed));
    assert!(lab.is_aborted());
    assert!(lab.data.streams.is_empty());
}

// The table has room again when the caller has heard that a channel is closed, and not before.
#[test]
fn opening_and_closing_in_a_circle_piles_nothing_up() {
    let mut lab = Lab::new();
    let bytes = held(|| {
        for number in 0..5000_u32 {
            let stream = (number % 1000 * 2) as u16;
            lab.open(stream);
            lab.reset(lab.reset, lab.tsn.wrapping_sub(1), &[stream]);
            lab.reset = lab.reset.wrapping_add(1);
            if number % 10 == 0 {
                lab.run(10);
            }
        }
    });
    println!("{bytes} bytes held, {} events", lab.data.events.len());
    assert!(bytes < 4 * MEGABYTE, "{bytes}");
    assert!(lab.data.slots.len() <= 256 && lab.data.events.len() <= 2 * 256 + 1);
}

#[test]
fn resets_without_end_hold_little() {
    let mut lab = Lab::new();
    lab.open(0).unwrap();
    // Half a message, so that the stream can't be drained.
    let piece = lab.piece(2, 0, 1, 53, &[7]);
    lab.send(&[piece]);
    let bytes = held(|| {
        for number in 0..50_000_u32 {
            let reset = lab.reset.wrapping_add(number);
            lab.reset(reset, lab.tsn.wrapping_sub(1), if number % 2 == 0 { &[0] } else { &[] });
            if number % 10 == 0 {
                lab.run(1);
            }
        }
    });
    println!("{bytes} bytes held");
    assert!(bytes < MEGABYTE, "{bytes}");
    assert!(lab.dropped(DataDropReason::Resetting) > 40_000);
}

#[test]
fn garbage_of_dcep_is_counted_and_its_stream_reset() {
    let mut lab = Lab::new();
    for (stream, bytes) in [(0, &[9; 12][..]), (2, &[2, 2]), (4, &[3]), (6, &[2])] {
        lab.message(stream, 0, 50, bytes);
    }
    assert_eq!(lab.dropped(DataDropReason::Dcep), 4);
    // An OPEN for a stream that is in use.
    let channel = lab.open(8).unwrap();
    lab.message(8, 1, 50, &Dcep::open(&ChannelConfig::default()).unwrap());
    assert_eq!(lab.dropped(DataDropReason::Dcep), 5);
    assert_eq!(lab.data.slots[&channel].state, ChannelState::Closing);
    // One of our parity.
    assert_eq!(lab.open(1), None);
    assert_eq!(lab.dropped(DataDropReason::Refused), 1);
    lab.run(10);
    let resets = lab.came.iter().flat_map(|packet| wire::chunks(packet)).filter(|(kind, _)| *kind == kind::RE_CONFIG);
    assert_eq!(resets.count(), 1, "one request for all");
    assert_eq!(lab.data.ended, None);
}

#[test]
fn a_label_of_64_kb_is_refused() {
    let mut lab = Lab::new();
    let config = ChannelConfig { label: "x".repeat(65_535), ..ChannelConfig::default() };
    let message = Dcep::open(&config).unwrap();
    let count = message.chunks(1000).len();
    for (number, part) in message.chunks(1000).enumerate() {
        let flags = if number == 0 { 2 } else { u8::from(number + 1 == count) };
        let piece = lab.piece(flags, 0, 0, 50, part);
        lab.send(&[piece]);
    }
    assert_eq!(lab.dropped(DataDropReason::Refused), 1);
    assert!(lab.data.slots.is_empty());
    // What is just not too large is not refused.
    let config = ChannelConfig { label: "x".repeat(1024), ..ChannelConfig::default() };
    let piece = lab.piece(3, 2, 0, 50, &Dcep::open(&config).unwrap());
    lab.send(&[piece]);
    assert_eq!(lab.data.slots.len(), 1);
}

#[test]
fn messages_before_a_channel_are_dropped_and_it_can_be_opened_after() {
    let mut lab = Lab::new();
    lab.message(7, 0, 53, b"too early");
    lab.message(7, 1, 99, b"of no kind");
    assert_eq!((lab.dropped(DataDropReason::NoChannel), lab.dropped(DataDropReason::Kind)), (1, 1));
    let config = ChannelConfig { negotiated: Some(7), ..ChannelConfig::default() };
    let id = ChannelId(lab.data.next_id);
    lab.data.slots.insert(id, Slot::new(config, None, ChannelState::Connecting));
    lab.data.begin(id);
    lab.message(7, 2, 51, b"now");
    assert_eq!(lab.data.poll_message().map(|message| (message.channel, message.bytes)), Some((id, b"now".to_vec())));
}

#[test]
fn a_flood_of_messages_that_nobody_reads_fills_the_window_and_no_more() {
    for (size, per_packet) in [(1, 50), (1000, 1)] {
        let mut lab = Lab::new();
        lab.open(0).unwrap();
        let bytes = held(|| {
            for number in 0..4000_u16 {
                let pieces: Vec<_> = (0..per_packet)
                    .map(|place| {
                        lab.piece(3, 0, number.wrapping_mul(per_packet).wrapping_add(place + 1), 53, &vec![7; size])
                    })
                    .collect();
                lab.send(&pieces);
                if number % 8 == 0 {
                    lab.run(0);
                }
            }
        });
        println!("{size}: {bytes} bytes held");
        assert!(bytes < 6 * MEGABYTE, "{size}: {bytes}");
        assert!(lab.data.unread_bytes <= 1024 * 1024 + size + MESSAGE_OVERHEAD);
        assert_eq!(lab.last_window(), 0);
        assert_eq!(lab.data.ended, None);
        // Who reads hears of the window at once.
        lab.came.clear();
        while lab.data.poll_message().is_some() {}
        lab.run(0);
        assert!(lab.last_window() >= 1024 * 1024 / 4, "{}", lab.last_window());
    }
}

#[test]
fn pieces_that_never_become_whole_hold_little() {
    for step in [1, 2, 100] {
        let mut lab = Lab::new();
        lab.open(0).unwrap();
        let bytes = held(|| {
            for number in 0..20_000_u32 {
                // The first pieces of messages, in order, or with gaps of TSNs.
                // What is larger than it holds: a cookie that is none of ours.
                let padding = (kind::COOKIE_ECHO, 0, vec![0; 1024]);
                let piece = lab.piece(2, 0, (number as u16).wrapping_add(1), 53, &[7]);
                lab.send(&[piece, padding]);
                lab.tsn = lab.tsn.wrapping_add(step - 1);
                if number % 16 == 0 {
                    lab.run(0);
                }
            }
        });
        println!("steps of {step}: {bytes} bytes held, ended {:?}", lab.data.ended);
        assert!(bytes < 6 * MEGABYTE, "{bytes}");
    }
}

#[test]
fn floods_of_init_and_heartbeat_are_not_all_answered() {
    for established in [true, false] {
        let mut lab = Lab::new();
        if !established {
            let mut data = Data::new(DataConfig::default());
            data.start(DtlsRole::Server, PEER, RETRANSMIT, lab.now);
            lab.data = data;
        }
        let address = lab.address;
        let bytes = held(|| {
            for number in 1..20_000_u32 {
                // INIT has tag 0, and each another one of its own.
                lab.address[4..].fill(0);
                let fields = [&number.to_be_bytes()[..], &[0, 1, 0, 0, 255, 255, 255, 255], &[0, 0, 0, 7]].concat();
                lab.send(&[(kind::INIT, 0, fields)]);
                lab.address = address;
                lab.send(&[(kind::HEARTBEAT, 0, [&[0, 1, 0, 104][..], &[7; 100]].concat())]);
            }
        });
        println!("established {established}: {bytes} bytes held");
        assert!(bytes < MEGABYTE, "{bytes}");
        lab.run(1000);
        assert!(lab.came.len() < 60, "{}", lab.came.len());
        assert_eq!(lab.data.ended, None);
        if established {
            assert_eq!(lab.dropped(DataDropReason::Unexpected), 19_999);
            assert!(lab.open(0).is_some(), "the association is as it was");
        }
    }
}

#[test]
fn what_breaks_a_rule_of_sctp_ends_it_and_is_told() {
    let empty = |lab: &mut Lab| {
        let piece = lab.piece(3, 0, 0, 53, &[]);
        lab.send(&[piece]);
    };
    // It acknowledges what was never sent.
    let beyond = |lab: &mut Lab| lab.send(&[(kind::SACK, 0, [&[1; 8][..], &[0; 4]].concat())]);
    let too_large = |lab: &mut Lab| {
        lab.open(0).unwrap();
        for number in 0..263_u32 {
            let piece = lab.piece(if number == 0 { 2 } else { 0 }, 0, 1, 53, &[7; 1000]);
            lab.send(&[piece]);
            lab.run(0);
        }
    };
    for (name, work) in [("empty", &empty as &dyn Fn(&mut Lab)), ("beyond", &beyond), ("too large", &too_large)] {
        let mut lab = Lab::new();
        work(&mut lab);
        // The test's own acknowledgement may be behind what was sent, and is passed over then.
        if name == "beyond" && lab.data.ended.is_none() {
            lab.send(&[(kind::SACK, 0, [&[0x81; 8][..], &[0; 4]].concat())]);
        }
        lab.run(10);
        assert_eq!(lab.data.ended, Some(DataCloseReason::Violation), "{name}");
        assert!(lab.is_aborted(), "{name}");
        assert_eq!(lab.data.poll_timeout(), None);
    }
}

#[test]
fn the_peer_ends_it_by_abort_or_shutdown() {
    for chunk in [(kind::ABORT, 0, vec![]), (7, 0, vec![0; 4])] {
        let mut lab = Lab::new();
        let channel = lab.open(0).unwrap();
        lab.send(&[chunk]);
        assert_eq!(lab.data.ended, Some(DataCloseReason::Peer));
        lab.run(60_000);
        assert!(!lab.is_aborted());
        let events: Vec<_> = std::iter::from_fn(|| lab.data.poll_event()).collect();
        let expected =
            [DataEvent::Opened(channel), DataEvent::Closed(channel), DataEvent::Ended(DataCloseReason::Peer)];
        assert_eq!(events, expected);
    }
}

// What was not read can be read; the peer, who has no association any more, hears nothing of it.
#[test]
fn after_the_end_nothing_is_said() {
    let mut lab = Lab::new();
    lab.open(0).unwrap();
    for number in 0..2000 {
        lab.message(0, 1 + number, 53, &[7; 1000]);
        lab.run(0);
    }
    assert_eq!(lab.last_window(), 0);
    lab.send(&[(kind::ABORT, 0, vec![])]);
    lab.run(0);
    lab.came.clear();
    let read = std::iter::from_fn(|| lab.data.poll_message()).count();
    assert!(read > 900, "{read}");
    lab.run(60_000);
    lab.run(0);
    assert!(lab.came.is_empty());
}

#[test]
fn an_error_chunk_ends_nothing() {
    let mut lab = Lab::new();
    lab.send(&[(kind::ERROR, 0, vec![0, 6, 0, 4])]);
    assert_eq!(lab.dropped(DataDropReason::Unexpected), 1);
    assert!(lab.open(0).is_some());
}

#[test]
fn a_sack_that_names_too_much_is_not_looked_up() {
    let mut lab = Lab::new();
    let mut value = [&lab.tsn.to_be_bytes()[..], &[0, 1, 0, 0], &[0, 2, 0, 0]].concat();
    value.extend([0, 1, 0xff, 0xff, 0, 1, 0xff, 0xff]);
    lab.send(&[(kind::SACK, 0, value)]);
    assert_eq!(lab.dropped(DataDropReason::Malformed), 1);
}

#[test]
fn a_client_whose_init_is_not_answered_gives_up() {
    let mut lab = Lab::new();
    lab.data = Data::new(DataConfig::default());
    lab.data.start(DtlsRole::Client, PEER, RETRANSMIT, lab.now);
    lab.run(40_000);
    assert_eq!(lab.data.ended, None);
    lab.run(40_000);
    assert_eq!(lab.data.ended, Some(DataCloseReason::NoAnswer));
    let inits = lab.came.iter().filter(|packet| wire::chunks(packet).any(|(kind, _)| kind == kind::INIT));
    assert_eq!(inits.count(), 9);
    assert_eq!(lab.came.len(), 9);
}

/// Whether both come up, if packets are handed over at once from now on.
fn connect(peers: &mut [Data; 2], now: Instant) -> bool {
    for _ in 0..10 {
        for of in [0, 1] {
            while let Some(packet) = peers[of].next(now) {
                peers[1 - of].handle_packet(packet, now);
            }
        }
    }
    peers.iter().all(|peer| peer.is_up)
}

// Who begins is not agreed on anywhere: some go by their role in ICE, and then do not answer an INIT.
#[test]
fn whoever_begins_both_come_up() {
    use DtlsRole::{Client, Server};
    let now = Lab::new().now;
    let peer = |role| {
        let mut data = Data::new(DataConfig::default());
        data.start(role, PEER, RETRANSMIT, now);
        data
    };
    // One of them.
    assert!(connect(&mut [peer(Client), peer(Server)], now));
    // Both at once, and each INIT is left to the other: the first to lose patience has it.
    let mut both = [peer(Client), peer(Client)];
    let inits = both.each_mut().map(|peer| peer.next(now).unwrap());
    let [first, second] = inits;
    both[0].handle_packet(second, now);
    both[1].handle_packet(first, now);
    assert!(!connect(&mut both, now));
    let later = now + PATIENCE;
    both[0].handle_timeout(later);
    assert!(connect(&mut both, later));
    // Both wait: one loses patience.
    let mut none = [peer(Server), peer(Server)];
    assert!(!connect(&mut none, now));
    none[1].handle_timeout(later);
    assert!(connect(&mut none, later));
    assert_eq!(none.each_ref().map(|peer| peer.ended), [None, None]);
}

// RFC 9260 §5.2.1 has both go on where INITs cross, and so do browsers.
#[test]
fn an_answer_to_an_init_that_was_given_up_is_no_fault() {
    let now = Lab::new().now;
    let [mut data, mut peer, mut other] = [DtlsRole::Client, DtlsRole::Client, DtlsRole::Server].map(|role| {
        let mut data = Data::new(DataConfig::default());
        data.start(role, PEER, RETRANSMIT, now);
        data
    });
    let (ours, theirs) = (data.next(now).unwrap(), peer.next(now).unwrap());
    data.handle_packet(theirs, now);
    other.handle_packet(ours, now);
    data.handle_packet(other.next(now).expect("the answer to ours"), now);
    assert_eq!(DataDropReason::ALL.map(|reason| data.dropped(reason)), [0; DataDropReason::COUNT]);
    assert!(connect(&mut [data, peer], now), "by theirs");
}

/// A chunk of any type, with fields that are near what is right.
fn chunk() -> impl Strategy<Value = (u8, u8, Vec<u8>, i32)> {
    let kinds = prop::sample::select(vec![0, 0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 130, 192, 194, 64]);
    (kinds, 0..8_u8, prop::collection::vec(prop_oneof![0..16_u8, any::<u8>()], 0..60), -3..30_i32)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_packet_is_survived(
        packets in prop::collection::vec((prop::collection::vec(chunk(), 1..4), 0..300_u64), 1..60),
        reads in any::<bool>(),
    ) {
        let mut lab = Lab::new();
        lab.open(0);
        let config = ChannelConfig { negotiated: Some(3), ..ChannelConfig::default() };
        lab.data.slots.insert(ChannelId(99), Slot::new(config, None, ChannelState::Connecting));
        lab.data.begin(ChannelId(99));
        let first = lab.tsn;
        for (chunks, pause) in packets {
            let chunks: Vec<_> = chunks.into_iter().map(|(kind, flags, mut value, near)| {
                // TSNs and numbers of resets that are not far off.
                let place = if kind == 130 { 4 } else { 0 };
                if kind == 130 && value.len() >= 16 {
                    let length = value.len() as u16;
                    value[..2].copy_from_slice(&[0, 13]);
                    value[2..4].copy_from_slice(&length.to_be_bytes());
                    value[12..16].copy_from_slice(&first.wrapping_add_signed(near).to_be_bytes());
                }
                if let Some(field) = value.get_mut(place..place + 4) {
                    field.copy_from_slice(&first.wrapping_add_signed(near).to_be_bytes());
                }
                if kind == 0 && value.len() > 12 {
                    value[4] = 0;
                    value[5] %= 4;
                    value[6] = 0;
                    value[7] %= 8;
                }
                (kind, flags, value)
            }).collect();
            let packet = lab.write(&chunks);
            if lab.data.is_running() {
                lab.data.handle_packet(packet, lab.now);
            }
            lab.run(pause);
            while reads && lab.data.poll_message().is_some() {}
            while lab.data.poll_event().is_some() {}
        }
        lab.run(100_000);
        prop_assert!(lab.data.slots.len() <= 256);
        prop_assert!(lab.came.iter().all(|packet| u16_at(packet, 0).is_some() && packet.len() <= 4096));
    }

    #[test]
    fn any_bytes_are_survived(all in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..20)) {
        let mut lab = Lab::new();
        for bytes in all {
            let mut bytes = bytes;
            lab.data.handle_packet(bytes.clone().into(), lab.now);
            wire::seal(&mut bytes);
            lab.data.handle_packet(bytes.into(), lab.now);
        }
        prop_assert_eq!(lab.data.ended, None);
        prop_assert!(lab.dropped(DataDropReason::Malformed) > 0);
    }
}
