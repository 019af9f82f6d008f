#![no_main]
//! An engine, and clients of it that say and send what they want: typed commands, descriptions, media under valid keys, and
//! datagrams of anybody.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_fuzz::client::{CERTIFICATE, Client, Media, server};
use plenary_ice::Mode;
use plenary_rtp::payload::Codec;
use plenary_rtp::rtcp::{NackWriter, Pli};
use plenary_rtp::{NtpTime, Ssrc};
use plenary_sfu_core::{
    Config, Event, Extensions, Format, Kind, LayerConfig, Publication, PublishRequest, RoomConfig, RoomId, SessionId,
    Sfu, SlotConfig, SubscriptionId, TrackId, TransportId,
};
use plenary_transport::DtlsVersions;
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

/// More than the engine and its clients hold under the worst: the logs of 12 tracks are the most of it.
const BYTES_MAX: u64 = 64 << 20;
/// What may wait to be asked for: each payload type of each track, and what there is one of for each section and slot.
const EVENTS_MAX: usize = 3000;
/// Datagrams that may come of one operation: all that a log keeps, to all slots.
const DATAGRAMS_MAX: usize = 60_000;
/// Handshakes of one input, which take a millisecond each.
const HANDSHAKES_MAX: usize = 3;
const SMALL: Limit = Limit { bytes: 300, segments: 2 };

const CODECS: [(Codec, u8); 5] =
    [(Codec::Vp8, 96), (Codec::H264, 98), (Codec::Vp9, 100), (Codec::Av1, 102), (Codec::Opus, 111)];
const OFFERS: [&str; 2] = [
    include_str!("../../crates/sdp/tests/golden/chromium-156.offer.sdp"),
    include_str!("../../crates/sdp/tests/golden/firefox.offer.sdp"),
];

/// Small numbers, so that the same come again.
#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Join {
        room: bool,
    },
    Leave {
        session: u8,
    },
    AddTransport {
        session: u8,
    },
    RemoveTransport {
        transport: u8,
    },
    Connect {
        transport: u8,
    },
    Publish {
        transport: u8,
        codec: u8,
        other: u8,
        layers: u8,
        ssrc: u8,
        opaque: bool,
    },
    Unpublish {
        track: u8,
    },
    AddSlot {
        transport: u8,
        audio: bool,
        ssrc: u8,
        rtx: bool,
        formats: u8,
    },
    Subscribe {
        session: u8,
        track: u8,
    },
    Unsubscribe {
        subscription: u8,
    },
    Select {
        subscription: u8,
        layer: Option<u8>,
    },
    Ask {
        transport: u8,
        audio: bool,
        simulcast: bool,
        codecs: u8,
    },
    Stop {
        transport: u8,
        mid: u8,
    },
    Slots {
        transport: u8,
        audio: u8,
        video: u8,
    },
    Restart {
        transport: u8,
    },
    Answer {
        transport: u8,
        codecs: u8,
        edits: &'a [u8],
    },
    Offer {
        transport: u8,
        which: bool,
        edits: &'a [u8],
    },
    Candidate {
        transport: u8,
        line: &'a str,
    },
    Media {
        transport: u8,
        media: Media<'a>,
    },
    Report {
        transport: u8,
        bytes: &'a [u8],
    },
    Nack {
        transport: u8,
        back: u8,
        count: u8,
    },
    Pli {
        transport: u8,
        back: u8,
    },
    Raw {
        transport: u8,
        bytes: &'a [u8],
    },
    Pass {
        milliseconds: u16,
    },
    /// Takes what fits little; what does not fit stays.
    Little,
    /// Whether events are asked for from now on.
    Listen {
        listens: bool,
    },
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    padding_max: u8,
    codecs: u8,
    operations: Vec<Operation<'a>>,
}

struct World {
    now: Instant,
    sfu: Sfu,
    rooms: [RoomId; 2],
    sessions: Vec<SessionId>,
    transports: Vec<TransportId>,
    tracks: Vec<TrackId>,
    subscriptions: Vec<SubscriptionId>,
    peers: BTreeMap<TransportId, Client>,
    /// The newest offer that each was told.
    offers: BTreeMap<TransportId, (u64, String)>,
    handshakes: usize,
    joined: u8,
    listens: bool,
}

fuzz_target!(|input: Input<'_>| {
    // Made once, and no part of what an input holds.
    LazyLock::force(&CERTIFICATE);
    let held = allocation_counter::measure(|| {
        let mut world = World::new(&input);
        for operation in &input.operations {
            world.apply(operation);
            world.drain();
        }
        world.end();
    });
    assert!(held.bytes_max < BYTES_MAX, "{held:?}");
});

impl World {
    fn new(input: &Input<'_>) -> Self {
        #[allow(clippy::disallowed_methods, reason = "an instant to start from")]
        let now = Instant::now();
        let mut transport = plenary_transport::Config::new(CERTIFICATE.clone(), [1; 32]);
        transport.ice.mode = Mode::Lite;
        transport.dtls_server = DtlsVersions::Dtls12;
        let config = Config {
            rooms_max: 2,
            sessions_max: 4,
            transports_max: 6,
            room_sessions_max: 3,
            session_transports_max: 2,
            session_subscriptions_max: 4,
            transport_tracks_max: 2,
            transport_slots_max: 4,
            transport_sections_max: 6,
            padding_max: input.padding_max,
            ..Config::new(transport, vec![(FlowId(0), server())], NtpTime::from_unix(Duration::from_secs(1 << 30)))
        };
        let mut sfu = Sfu::new(config, now).expect("within the ranges");
        let codecs = chosen(input.codecs | 0x11).map(|(codec, _)| codec.into()).collect();
        let rooms = [RoomConfig { codecs }, RoomConfig::default()].map(|config| sfu.create_room(config).expect("two"));
        Self {
            now,
            sfu,
            rooms,
            sessions: Vec::new(),
            transports: Vec::new(),
            tracks: Vec::new(),
            subscriptions: Vec::new(),
            peers: BTreeMap::new(),
            offers: BTreeMap::new(),
            handshakes: 0,
            joined: 0,
            listens: true,
        }
    }

    fn apply(&mut self, operation: &Operation<'_>) {
        match *operation {
            Operation::Join { room } => {
                if let Ok(session) = self.sfu.join(self.rooms[usize::from(room)]) {
                    self.sessions.push(session);
                    self.add_transport(session);
                }
            }
            Operation::Leave { session } => {
                if let Some(session) = pick(&self.sessions, session) {
                    let _ = self.sfu.leave(session, self.now);
                }
            }
            Operation::AddTransport { session } => {
                if let Some(session) = pick(&self.sessions, session) {
                    self.add_transport(session);
                }
            }
            Operation::Unpublish { track } => {
                if let Some(track) = pick(&self.tracks, track) {
                    let _ = self.sfu.unpublish(track, self.now);
                }
            }
            Operation::Subscribe { session, track } => {
                if let (Some(session), Some(track)) = (pick(&self.sessions, session), pick(&self.tracks, track)) {
                    self.subscriptions.extend(self.sfu.subscribe(session, track, self.now));
                }
            }
            Operation::Unsubscribe { subscription } => {
                if let Some(subscription) = pick(&self.subscriptions, subscription) {
                    let _ = self.sfu.unsubscribe(subscription, self.now);
                }
            }
            Operation::Select { subscription, layer } => {
                if let Some(subscription) = pick(&self.subscriptions, subscription) {
                    let _ = self.sfu.select_layer(subscription, layer.map(|layer| layer % 5), self.now);
                }
            }
            Operation::Pass { milliseconds } => self.pass(Duration::from_millis(milliseconds.into())),
            Operation::Little => {
                self.transmit(SMALL);
            }
            Operation::Listen { listens } => self.listens = listens,
            _ => self.apply_to_transport(operation),
        }
    }

    fn apply_to_transport(&mut self, operation: &Operation<'_>) {
        let (Operation::RemoveTransport { transport }
        | Operation::Connect { transport }
        | Operation::Publish { transport, .. }
        | Operation::AddSlot { transport, .. }
        | Operation::Ask { transport, .. }
        | Operation::Stop { transport, .. }
        | Operation::Slots { transport, .. }
        | Operation::Restart { transport }
        | Operation::Answer { transport, .. }
        | Operation::Offer { transport, .. }
        | Operation::Candidate { transport, .. }
        | Operation::Media { transport, .. }
        | Operation::Report { transport, .. }
        | Operation::Nack { transport, .. }
        | Operation::Pli { transport, .. }
        | Operation::Raw { transport, .. }) = *operation
        else {
            return;
        };
        let Some(id) = pick(&self.transports, transport) else { return };
        match *operation {
            Operation::RemoveTransport { .. } => drop(self.sfu.remove_transport(id, self.now)),
            Operation::Connect { .. } => self.connect(id),
            Operation::Publish { codec, other, layers, ssrc, opaque, .. } => {
                let publication = publication([codec, other], layers % 6, ssrc, opaque);
                self.tracks.extend(self.sfu.publish(id, publication, self.now));
            }
            Operation::AddSlot { audio, ssrc, rtx, formats, .. } => {
                let _ = self.sfu.add_slot(id, slot(audio, ssrc, rtx, formats), self.now);
            }
            Operation::Ask { audio, simulcast, codecs, .. } => {
                let kind = if audio { Kind::Audio } else { Kind::Video };
                let codecs = chosen(codecs).map(|(codec, _)| codec).collect();
                let request = PublishRequest { kind, simulcast, opaque: false, stream: "s".to_owned(), codecs };
                let _ = self.sfu.ask_to_publish(id, request);
            }
            Operation::Stop { mid, .. } => {
                let _ = self.sfu.stop_publishing(id, &format!("p{}", mid % 4), self.now);
            }
            Operation::Slots { audio, video, .. } => drop(self.sfu.set_slots(id, audio.into(), video.into())),
            Operation::Restart { .. } => drop(self.sfu.restart_ice(id, self.now)),
            Operation::Answer { codecs, edits, .. } => self.answer(id, codecs, edits),
            Operation::Offer { which, edits, .. } => {
                let offer = edited(OFFERS[usize::from(which)], edits);
                let _ = self.sfu.handle_offer(id, &offer, self.now);
            }
            Operation::Candidate { line, .. } => drop(self.sfu.add_remote_candidate_line(id, line, self.now)),
            _ => self.send(id, operation),
        }
    }

    /// What goes over the network.
    fn send(&mut self, id: TransportId, operation: &Operation<'_>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let mut out = Vec::new();
        match *operation {
            Operation::Media { ref media, .. } => peer.send(media),
            Operation::Report { bytes, .. } => peer.report(bytes),
            Operation::Nack { back, count, .. } => {
                if let Some((ssrc, number)) = peer.heard(back) {
                    let lost = (0..count).map(|step| number.wrapping_sub(step.into()));
                    let _ = NackWriter::new(Ssrc(9), ssrc, lost).write(1200, &mut out);
                    peer.report(&out);
                }
            }
            Operation::Pli { back, .. } => {
                if let Some((media_ssrc, _)) = peer.heard(back) {
                    let _ = Pli { sender_ssrc: Ssrc(9), media_ssrc }.write(&mut out);
                    peer.report(&out);
                }
            }
            Operation::Raw { bytes, .. } => peer.outbox.push_back(bytes.to_vec()),
            _ => {}
        }
    }

    fn add_transport(&mut self, session: SessionId) {
        let Ok(transport) = self.sfu.add_transport(session, self.now) else { return };
        // As clients that are told by words alone have it.
        let ids =
            Extensions { mid: 3, rid: 8, dependency_descriptor: 10, transport_sequence: 7, ..Extensions::default() };
        let _ = self.sfu.set_extensions(transport, ids, ids);
        self.joined = self.joined.wrapping_add(1);
        self.peers.insert(transport, Client::new(self.joined, self.now));
        self.transports.push(transport);
    }

    fn connect(&mut self, id: TransportId) {
        let (Ok(parameters), Ok(candidates)) = (self.sfu.local_parameters(id), self.sfu.local_candidates(id)) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if self.handshakes == HANDSHAKES_MAX || peer.transport.profile().is_some() {
            return;
        }
        self.handshakes += 1;
        if peer.transport.set_remote(parameters, self.now).is_err() {
            return;
        }
        for candidate in candidates {
            peer.transport.add_remote_candidate(candidate, self.now);
        }
        let _ = self.sfu.set_remote(id, peer.transport.local_parameters(), self.now);
        for _ in 0..20 {
            if self.peers.get(&id).is_none_or(|peer| peer.transport.profile().is_some()) {
                break;
            }
            self.pass(Duration::from_millis(10));
        }
    }

    /// Answers the offer that was told last, but for the edits of its words.
    fn answer(&mut self, id: TransportId, codecs: u8, edits: &[u8]) {
        let (Some((version, offer)), Some(peer)) = (self.offers.get(&id), self.peers.get_mut(&id)) else { return };
        let codecs: Vec<_> = chosen(codecs).map(|(codec, _)| codec).collect();
        let Some(answer) = peer.answer(offer, &codecs, self.now) else { return };
        let _ = self.sfu.handle_answer(id, *version, &edited(&answer, edits), self.now);
    }

    /// Time goes by, timer by timer.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..100_000 {
            self.drain();
            let due = self.peers.values().filter_map(|peer| peer.transport.poll_timeout());
            let due = due.chain(self.sfu.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(due);
            self.sfu.handle_timeout(self.now);
            assert!(self.sfu.poll_timeout().is_none_or(|due| due > self.now), "what was due is done");
            for peer in self.peers.values_mut() {
                peer.transport.handle_timeout(self.now);
            }
        }
        panic!("it does not come to rest");
    }

    /// Datagrams arrive at once, both ways, until there are none.
    fn drain(&mut self) {
        for _ in 0..1000 {
            let mut some = self.transmit(Limit::GSO);
            for peer in self.peers.values_mut() {
                let (remote, local) = (peer.address, server());
                for mut bytes in peer.leaving(self.now) {
                    some = true;
                    let datagram = Datagram { flow: FlowId(0), local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
                    let _ = self.sfu.handle_datagram(datagram, self.now);
                }
            }
            if self.listens {
                self.listen();
            }
            if !some {
                return;
            }
        }
        panic!("one datagram leads to another");
    }

    fn transmit(&mut self, limit: Limit) -> bool {
        let (mut out, mut count) = (Vec::new(), 0);
        while let Some(transmit) = self.sfu.poll_transmit(self.now, limit, &mut out) {
            let datagrams: Vec<_> = transmit.datagrams(&out).map(<[u8]>::to_vec).collect();
            count += datagrams.len();
            assert!(transmit.range.len() <= limit.bytes && datagrams.len() <= limit.segments);
            assert!(count < DATAGRAMS_MAX, "no end of datagrams");
            if let Some(peer) = self.peers.values_mut().find(|peer| peer.address == transmit.remote) {
                datagrams.into_iter().for_each(|bytes| peer.take(bytes, self.now));
            }
            out.clear();
        }
        count > 0
    }

    fn listen(&mut self) {
        let mut count = 0;
        while let Some(event) = self.sfu.poll_event() {
            count += 1;
            assert!(count < EVENTS_MAX, "no end of events");
            match event {
                Event::Offer { transport, version, sdp } => drop(self.offers.insert(transport, (version, sdp))),
                Event::Published { track, .. } => self.tracks.push(track),
                _ => {}
            }
        }
    }

    /// All leave, and nothing is left of them.
    fn end(&mut self) {
        self.listen();
        for session in &self.sessions {
            let _ = self.sfu.leave(*session, self.now);
        }
        for track in &self.tracks {
            assert!(self.sfu.track(*track).is_err(), "a track without its publisher");
        }
        self.drain();
        self.listen();
        assert_eq!((self.sfu.poll_timeout(), self.sfu.poll_event()), (None, None));
        let left = format!("{:?}", self.sfu);
        for table in ["sessions: 0", "transports: 0", "tracks: 0", "subscriptions: 0"] {
            assert!(left.contains(table), "{left}");
        }
        for room in self.rooms {
            self.sfu.remove_room(room, self.now).expect("it was made");
        }
    }
}

fn pick<T: Copy>(all: &[T], which: u8) -> Option<T> {
    all.get(usize::from(which) % all.len().max(1)).copied()
}

/// A bit for each.
fn chosen(bits: u8) -> impl Iterator<Item = (Codec, u8)> {
    (0..).zip(CODECS).filter(move |(index, _)| bits >> index & 1 != 0).map(|(_, codec)| codec)
}

fn format((codec, payload_type): (Codec, u8)) -> Format {
    let rtx_payload_type = (codec != Codec::Opus).then_some(payload_type + 1);
    Format { codec, payload_type, rtx_payload_type }
}

fn publication([codec, other]: [u8; 2], layers: u8, ssrc: u8, opaque: bool) -> Publication {
    let [first, other] = [codec, other].map(|which| format(CODECS[usize::from(which) % CODECS.len()]));
    let kind = |format: Format| if format.codec == Codec::Opus { Kind::Audio } else { Kind::Video };
    let rids = ["q", "h", "f", "x", "y", "z"];
    let layer = |index: u8| LayerConfig {
        rid: (layers > 1).then(|| rids[usize::from(index)].to_owned()),
        ssrc: (ssrc & 0x80 != 0).then(|| Ssrc(u32::from(ssrc & 7) + 2 * u32::from(index))),
        rtx_ssrc: (ssrc & 0x40 != 0).then(|| Ssrc(u32::from(ssrc & 7) + 2 * u32::from(index) + 1)),
    };
    Publication {
        kind: kind(first),
        mid: format!("{}", ssrc >> 3 & 3),
        codec: first.codec,
        payload_type: first.payload_type,
        rtx_payload_type: first.rtx_payload_type,
        others: if first.codec != other.codec && kind(first) == kind(other) { vec![other] } else { Vec::new() },
        nack: kind(first) == Kind::Video,
        opaque,
        stream: String::new(),
        layers: (0..layers).map(layer).collect(),
    }
}

fn slot(audio: bool, ssrc: u8, rtx: bool, formats: u8) -> SlotConfig {
    SlotConfig {
        kind: if audio { Kind::Audio } else { Kind::Video },
        mid: format!("v{}", ssrc % 8),
        ssrc: Ssrc(100 + 2 * u32::from(ssrc % 8)),
        rtx_ssrc: rtx.then(|| Ssrc(101 + 2 * u32::from(ssrc % 8))),
        pair: Some((ssrc / 8 % 4).into()),
        formats: chosen(formats).filter(|(codec, _)| (*codec == Codec::Opus) == audio).map(format).collect(),
    }
}

/// The text with bytes of it replaced, or a line of it left out: of three bytes two say where.
fn edited(text: &str, edits: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for edit in edits.chunks_exact(3).take(8) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % bytes.len().max(1);
        if edit[2] == b'\n' {
            let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |len| at + len + 1);
            bytes.drain(at..end);
        } else if let Some(byte) = bytes.get_mut(at) {
            *byte = edit[2];
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
