//! An engine and its peers in one process: datagrams go over at once, unless a test loses them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use plenary_ice::{LocalCandidate, Mode, Role};
use plenary_netsim::base;
use plenary_rtp::payload::{Codec, PictureId, vp8};
use plenary_rtp::{Header, NtpTime, PacketWriter, RtpTime, SeqNo, Ssrc};
use plenary_sfu_core::{
    Config, Event, Format, Kind, LayerConfig, Publication, RoomConfig, RoomId, SessionId, Sfu, SlotConfig, TrackId,
    TransportId,
};
use plenary_transport::{Certificate, CloseReason, DropReason, DtlsVersions, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit, PacketKind};

pub(crate) const VP8: Format = Format { codec: Codec::Vp8, payload_type: 96, rtx_payload_type: Some(97) };

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn certificate(of: usize) -> Certificate {
    static CERTIFICATES: LazyLock<[Certificate; 2]> = LazyLock::new(|| {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        [(); 2].map(|()| Certificate::generate(now, Duration::from_secs(86_400)).unwrap())
    });
    CERTIFICATES[of].clone()
}

pub(crate) fn server() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 3478))
}

/// A peer: its transport, and what came to it.
pub(crate) struct Client {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    pub(crate) session: SessionId,
    /// Its end at the engine.
    pub(crate) id: TransportId,
    /// Packets that came, decrypted.
    pub(crate) rtp: Vec<Vec<u8>>,
    pub(crate) rtcp: Vec<Vec<u8>>,
    /// What waits to be sent.
    pub(crate) outbox: VecDeque<Vec<u8>>,
    /// Nothing goes over its path any more, either way.
    pub(crate) is_cut: bool,
}

impl Client {
    /// Queues an RTP packet.
    pub(crate) fn send(&mut self, mut packet: Vec<u8>, index: u64) {
        let overhead = self.transport.profile().expect("connected").rtp_overhead();
        packet.resize(packet.len() + overhead, 0);
        self.transport.protect_rtp(&mut packet, Some(index)).unwrap();
        self.outbox.push_back(packet);
    }

    /// Queues RTCP.
    pub(crate) fn report(&mut self, mut packet: Vec<u8>) {
        let overhead = self.transport.profile().expect("connected").rtcp_overhead();
        packet.resize(packet.len() + overhead, 0);
        self.transport.protect_rtcp(&mut packet).unwrap();
        self.outbox.push_back(packet);
    }
}

pub(crate) struct Lab {
    pub(crate) sfu: Sfu,
    pub(crate) room: RoomId,
    pub(crate) clients: Vec<Client>,
    /// How many were ever there.
    joined: u16,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    /// Datagrams of each transmit of media, for runs to be seen.
    pub(crate) runs: Vec<usize>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(RoomConfig::default())
    }

    /// With a room of these codecs.
    pub(crate) fn with(room: RoomConfig) -> Self {
        Self::configured(room, |_| {})
    }

    /// With an engine that is configured otherwise.
    pub(crate) fn configured(room: RoomConfig, change: impl FnOnce(&mut Config)) -> Self {
        let now = base();
        let mut transport = plenary_transport::Config::new(certificate(0), [1; 32]);
        transport.ice.mode = Mode::Lite;
        transport.dtls_server = DtlsVersions::Dtls12;
        let config = Config::new(transport, vec![(FlowId(0), server())], NtpTime::from_unix(ms(1_800_000_000_000)));
        let mut config = Config { room_sessions_max: 20_000, ..config };
        change(&mut config);
        let mut sfu = Sfu::new(config, now).unwrap();
        let room = sfu.create_room(room).unwrap();
        Self { sfu, room, clients: Vec::new(), joined: 0, now, events: Vec::new(), runs: Vec::new() }
    }

    /// A peer joins, and has a transport. The answer is its number.
    pub(crate) fn enter(&mut self) -> usize {
        let session = self.sfu.join(self.room).unwrap();
        self.enter_again(session)
    }

    /// A session has one more transport, which a peer at another address is at the end of. The answer is its number.
    pub(crate) fn enter_again(&mut self, session: SessionId) -> usize {
        let id = self.sfu.add_transport(session, self.now).unwrap();
        let number = self.clients.len();
        self.joined += 1;
        let [high, low] = self.joined.to_be_bytes();
        let address = SocketAddr::from(([10, 0, high, low], 5000));
        let mut config = plenary_transport::Config::new(certificate(1), [high ^ low; 32]);
        config.ice.entropy[..2].copy_from_slice(&[high, low]);
        config.ice.role = Role::Controlling;
        config.dtls_client = DtlsVersions::Dtls12;
        let mut transport = Transport::new(config, self.now).unwrap();
        transport.add_local_candidate(LocalCandidate::host(FlowId(0), address), self.now).unwrap();
        transport.end_local_candidates(self.now);
        let (rtp, rtcp, outbox) = (Vec::new(), Vec::new(), VecDeque::new());
        self.clients.push(Client { transport, address, session, id, rtp, rtcp, outbox, is_cut: false });
        number
    }

    /// Time passes until a peer that was told of the engine, and the other way round, is connected.
    pub(crate) fn connect(&mut self, number: usize) {
        for _ in 0..50 {
            if self.clients[number].transport.profile().is_some() {
                break;
            }
            self.run(ms(10));
        }
        assert!(self.clients[number].transport.profile().is_some(), "client {number} is connected");
    }

    /// A peer joins and connects, without descriptions. The answer is its number.
    pub(crate) fn join(&mut self) -> usize {
        let number = self.enter();
        self.meet(number);
        number
    }

    /// The same, as one more transport of a session.
    pub(crate) fn join_again(&mut self, session: SessionId) -> usize {
        let number = self.enter_again(session);
        self.meet(number);
        number
    }

    /// Both sides are told of each other, once more after a restart, and connect.
    pub(crate) fn meet(&mut self, number: usize) {
        let Client { transport, id, .. } = &mut self.clients[number];
        transport.set_remote(self.sfu.local_parameters(*id).unwrap(), self.now).unwrap();
        for candidate in self.sfu.local_candidates(*id).unwrap() {
            transport.add_remote_candidate(candidate, self.now);
        }
        transport.end_remote_candidates(self.now);
        self.sfu.set_remote(*id, transport.local_parameters(), self.now).unwrap();
        self.connect(number);
    }

    /// Lets this much time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let due = self.clients.iter().filter_map(|client| client.transport.poll_timeout());
            let due = due.chain(self.sfu.poll_timeout()).min().filter(|due| *due <= end);
            let Some(due) = due else { break };
            self.now = self.now.max(due);
            self.sfu.handle_timeout(self.now);
            for client in &mut self.clients {
                if client.transport.poll_timeout().is_some_and(|due| due <= self.now) {
                    client.transport.handle_timeout(self.now);
                }
            }
        }
        self.now = end;
    }

    /// Carries datagrams both ways until there are no more.
    pub(crate) fn exchange(&mut self) {
        loop {
            let up = self.carry_up();
            let down = self.carry_down();
            while let Some(event) = self.sfu.poll_event() {
                self.events.push(event);
            }
            if !up && !down {
                return;
            }
        }
    }

    fn carry_up(&mut self) -> bool {
        let mut some = false;
        for client in &mut self.clients {
            let mut out = Vec::new();
            while client.transport.poll_transmit(self.now, Limit::DATAGRAM, &mut out).is_some() {
                client.outbox.push_back(std::mem::take(&mut out));
            }
            while client.transport.poll_event().is_some() {}
            while let Some(mut bytes) = client.outbox.pop_front() {
                if client.is_cut {
                    continue;
                }
                some = true;
                let (flow, local, remote, ecn) = (FlowId(0), server(), client.address, Ecn::NotEct);
                let _ = self.sfu.handle_datagram(Datagram { flow, local, remote, ecn, bytes: &mut bytes }, self.now);
            }
        }
        some
    }

    /// Packets of a client come in. Nothing is asked for yet.
    pub(crate) fn take_in(&mut self, client: usize, packets: impl IntoIterator<Item = (u64, Vec<u8>)>) {
        let it = &mut self.clients[client];
        packets.into_iter().for_each(|(index, packet)| it.send(packet, index));
        let remote = it.address;
        for mut bytes in it.outbox.drain(..) {
            let (flow, local, ecn) = (FlowId(0), server(), Ecn::NotEct);
            let _ = self.sfu.handle_datagram(Datagram { flow, local, remote, ecn, bytes: &mut bytes }, self.now);
        }
    }

    fn carry_down(&mut self) -> bool {
        let mut some = false;
        let mut out = Vec::new();
        while let Some(transmit) = self.sfu.poll_transmit(self.now, Limit::GSO, &mut out) {
            some = true;
            let client = self.clients.iter_mut().find(|client| client.address == transmit.remote);
            // Or one that a benchmark has let go.
            let Some(client) = client.filter(|client| !client.is_cut) else { continue };
            if PacketKind::of(transmit.bytes(&out)) == Some(PacketKind::Rtp) {
                self.runs.push(transmit.datagrams(&out).len());
            }
            for bytes in transmit.datagrams(&out) {
                let mut bytes = bytes.to_vec();
                let (flow, local, remote, ecn) = (FlowId(0), client.address, server(), Ecn::NotEct);
                match client
                    .transport
                    .handle_datagram(Datagram { flow, local, remote, ecn, bytes: &mut bytes }, self.now)
                {
                    Handled::Rtp(packet) => client.rtp.push(packet.to_vec()),
                    Handled::Rtcp(packet) => client.rtcp.push(packet.to_vec()),
                    // The engine answers a goodbye, and nobody is there any more.
                    Handled::Dropped(DropReason::Closed) if client.transport.closed() == Some(CloseReason::Local) => {}
                    Handled::Dropped(reason) => panic!("a client drops what the engine sent: {reason:?}"),
                    _ => {}
                }
            }
            out.clear();
        }
        some
    }

    pub(crate) fn publish_camera(&mut self, client: usize) -> (TrackId, Camera) {
        let (camera, publication) = camera(client);
        (self.sfu.publish(self.clients[client].id, publication, self.now).unwrap(), camera)
    }

    pub(crate) fn add_video_slot(&mut self, client: usize, number: u32) {
        let config = SlotConfig {
            kind: Kind::Video,
            mid: format!("v{number}"),
            ssrc: Ssrc(100 + number),
            rtx_ssrc: Some(Ssrc(200 + number)),
            pair: None,
            formats: vec![VP8],
        };
        self.sfu.add_slot(self.clients[client].id, config, self.now).unwrap();
    }
}

/// A client's camera, and what it is published as.
pub(crate) fn camera(client: usize) -> (Camera, Publication) {
    let ssrc = Ssrc(1000 + client as u32);
    let publication = Publication {
        kind: Kind::Video,
        mid: "0".into(),
        codec: Codec::Vp8,
        payload_type: 96,
        rtx_payload_type: Some(97),
        others: Vec::new(),
        nack: true,
        opaque: false,
        stream: String::new(),
        layers: vec![LayerConfig { rid: None, ssrc: Some(ssrc), rtx_ssrc: Some(Ssrc(2000 + client as u32)) }],
    };
    (Camera { ssrc, next: 100, rtx_next: 1, timestamp: 5000, picture: 77, sent: Vec::new() }, publication)
}

/// Makes packets of VP8.
pub(crate) struct Camera {
    pub(crate) ssrc: Ssrc,
    next: u64,
    rtx_next: u16,
    timestamp: u32,
    picture: u16,
    /// Packets that were made.
    pub(crate) sent: Vec<(u64, Vec<u8>)>,
}

impl Camera {
    /// The packets of a frame, each with its index; 33 ms behind the last.
    pub(crate) fn frame(&mut self, is_key: bool, sizes: &[usize]) -> Vec<(u64, Vec<u8>)> {
        self.timestamp = self.timestamp.wrapping_add(2970);
        self.picture = self.picture.wrapping_add(1) & 0x7fff;
        let packets = sizes.iter().enumerate().map(|(index, size)| {
            let descriptor = vp8::Descriptor {
                start_of_partition: index == 0,
                picture_id: Some(PictureId::Fifteen(self.picture)),
                ..vp8::Descriptor::default()
            };
            let header = Header {
                marker: index + 1 == sizes.len(),
                payload_type: 96,
                sequence_number: SeqNo(self.next as u16),
                timestamp: RtpTime(self.timestamp),
                ssrc: self.ssrc,
                csrcs: &[],
            };
            let mut payload = Vec::new();
            descriptor.write(&mut payload).unwrap();
            if index == 0 {
                let key = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0x68, 1];
                payload.extend(if is_key { &key[..] } else { &[0x11, 0, 0] });
            }
            payload.resize(*size, index as u8);
            let mut out = Vec::new();
            let mut writer = PacketWriter::begin(&header, &mut out).unwrap().into_payload();
            writer.append(&payload);
            writer.finish();
            self.next += 1;
            (self.next - 1, out)
        });
        let packets: Vec<_> = packets.collect();
        self.sent.extend(packets.iter().cloned());
        packets
    }

    /// A packet again, as RTX.
    pub(crate) fn again(&mut self, number: SeqNo) -> (u64, Vec<u8>) {
        let (_, bytes) = self.sent.iter().find(|(index, _)| *index as u16 == number.0).expect("it was sent");
        let original = plenary_rtp::Packet::parse(bytes).unwrap();
        let header = Header {
            marker: original.marker(),
            payload_type: 97,
            sequence_number: SeqNo(self.rtx_next),
            timestamp: original.timestamp(),
            ssrc: Ssrc(self.ssrc.0 + 1000),
            csrcs: &[],
        };
        let mut out = Vec::new();
        let mut writer = PacketWriter::begin(&header, &mut out).unwrap().into_payload();
        writer.append(&number.0.to_be_bytes());
        writer.append(original.payload());
        writer.finish();
        self.rtx_next += 1;
        (u64::from(self.rtx_next) - 1, out)
    }
}
