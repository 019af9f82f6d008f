//! Clients of an engine, for the target `sfu_engine`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Instant;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use plenary_ice::{Candidate, Credentials, LocalCandidate, Role};
use plenary_rtp::extension::{Mid, Rid, TransportSequence};
use plenary_rtp::payload::Codec;
use plenary_rtp::{Header, Packet, PacketWriter, RtpTime, SeqNo, SeqUnwrapper, Ssrc};
use plenary_sdp::offer_answer::{
    Answer, CodecOrder, DtlsRole, LocalCodec, LocalExtension, LocalTransport, NegotiatedTransport, Policy, RtpPolicy,
    answer,
};
use plenary_sdp::{
    Description, Direction, Fingerprint, HashFunction, IcePwd, IceUfrag, Limits, Origin, Text, Token, Word,
};
use plenary_transport::{Certificate, Config, DtlsVersions, Parameters, Setup, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit};

/// A certificate that all have.
pub static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    let seed = include_bytes!("../seeds/transport_certificate/small");
    let (length, rest) = seed.split_first_chunk().expect("two bytes");
    let (der, key) = rest.split_at(u16::from_be_bytes(*length).into());
    Certificate::from_der(der, key).expect("they belong together")
});

/// The engine's socket.
pub fn server() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 3478))
}

/// One packet of media. Its numbers go on from those of the last of its SSRC.
#[derive(Arbitrary, Debug)]
pub struct Media<'a> {
    ssrc: u8,
    payload_type: u8,
    marker: bool,
    step: u8,
    time: u8,
    mid: Option<u8>,
    rid: Option<u8>,
    descriptor: Option<[u8; 3]>,
    sequence: Option<u8>,
    padding: u8,
    /// So many more bytes of it, for packets as long as real ones.
    filling: u16,
    /// The payload begins as a key frame of VP8.
    is_key: bool,
    payload: &'a [u8],
}

/// A client.
pub struct Client {
    /// Its side of the path.
    pub transport: Transport,
    /// Where it is.
    pub address: SocketAddr,
    /// What it sends by itself.
    pub outbox: VecDeque<Vec<u8>>,
    sent: BTreeMap<u8, (u64, u32)>,
    received: BTreeMap<u32, Stream>,
    heard: VecDeque<(Ssrc, SeqNo)>,
}

/// What came of one SSRC.
#[derive(Default)]
struct Stream {
    unwrapper: SeqUnwrapper,
    numbers: BTreeSet<u64>,
    bytes: usize,
    padding: usize,
}

/// Numbers that a source may leap over, and more: a leap costs SRTP its count.
const LEAP_MAX: u64 = 8000;
/// What SRTP adds.
const OVERHEAD: usize = 16;
const HEARD_MAX: usize = 64;

impl Client {
    /// Not connected yet.
    pub fn new(number: u8, now: Instant) -> Self {
        let address = SocketAddr::from(([10, 0, 0, number], 5000));
        let mut config = Config::new(CERTIFICATE.clone(), [number; 32]);
        config.ice.role = Role::Controlling;
        config.dtls_client = DtlsVersions::Dtls12;
        let mut transport = Transport::new(config, now).expect("within the ranges");
        transport.add_local_candidate(LocalCandidate::host(FlowId(0), address), now).expect("one");
        transport.end_local_candidates(now);
        let (outbox, heard) = (VecDeque::new(), VecDeque::new());
        Self { transport, address, outbox, sent: BTreeMap::new(), received: BTreeMap::new(), heard }
    }

    /// What leaves now.
    pub fn leaving(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut leaving: Vec<_> = self.outbox.drain(..).collect();
        let mut out = Vec::new();
        while self.transport.poll_transmit(now, Limit::DATAGRAM, &mut out).is_some() {
            leaving.push(std::mem::take(&mut out));
        }
        while self.transport.poll_event().is_some() {}
        leaving
    }

    /// Queues a packet of media.
    pub fn send(&mut self, media: &Media<'_>) {
        let Some(profile) = self.transport.profile() else { return };
        let begin = (100 + u64::from(media.ssrc), 9000);
        let (index, timestamp) = self.sent.entry(media.ssrc).or_insert(begin);
        (*index, *timestamp) = (*index + u64::from(media.step), timestamp.wrapping_add(u32::from(media.time) * 90));
        let (index, mut packet) = (*index, Vec::new());
        if media.write(index, *timestamp, &mut packet).is_none() {
            return;
        }
        packet.resize(packet.len() + profile.rtp_overhead(), 0);
        if self.transport.protect_rtp(&mut packet, Some(index)).is_ok() {
            self.outbox.push_back(packet);
        }
    }

    /// Queues RTCP, of whatever form.
    pub fn report(&mut self, bytes: &[u8]) {
        let Some(profile) = self.transport.profile() else { return };
        let mut packet = bytes.to_vec();
        packet.resize(packet.len().max(8) + profile.rtcp_overhead(), 0);
        (packet[0], packet[1]) = (packet[0] & 0x3f | 0x80, 200 + packet[1] % 8);
        if self.transport.protect_rtcp(&mut packet).is_ok() {
            self.outbox.push_back(packet);
        }
    }

    /// The stream and number of a packet that was heard, so far back.
    pub fn heard(&self, back: u8) -> Option<(Ssrc, SeqNo)> {
        self.heard.get(usize::from(back) % self.heard.len().max(1)).copied()
    }

    /// Takes a datagram of the engine, and holds what it forwards against what holds for all slots.
    pub fn take(&mut self, mut bytes: Vec<u8>, now: Instant) {
        let (flow, local, remote, ecn) = (FlowId(0), self.address, server(), Ecn::NotEct);
        let datagram = Datagram { flow, local, remote, ecn, bytes: &mut bytes };
        let Handled::Rtp(packet) = self.transport.handle_datagram(datagram, now) else { return };
        let packet = Packet::parse(packet).expect("what is forwarded is RTP");
        let stream = self.received.entry(packet.ssrc().0).or_default();
        let newest = stream.unwrapper.newest();
        let number = stream.unwrapper.unwrap(packet.sequence_number()).0;
        assert!(stream.numbers.insert(number), "the number {number} twice");
        assert!(newest.is_none_or(|newest| number < newest.0 + LEAP_MAX), "a leap to {number} from {newest:?}");
        stream.bytes += packet.bytes().len() + OVERHEAD;
        if !packet.payload().is_empty() {
            stream.padding += usize::from(packet.padding_len());
            assert!(stream.padding * 100 <= stream.bytes * 3, "{} of {} are padding", stream.padding, stream.bytes);
        }
        self.heard.push_front((packet.ssrc(), packet.sequence_number()));
        self.heard.truncate(HEARD_MAX);
    }

    /// Takes what is offered in these codecs, or all, and sends in all that is asked for.
    pub fn answer(&mut self, offer: &str, codecs: &[Codec], now: Instant) -> Option<String> {
        let offer = Description::parse(offer, &Limits::default()).expect("what the engine offers is a description");
        let Answer { negotiated, .. } = answer(&offer, &self.policy(codecs));
        if let Some(agreed) = &negotiated.transport {
            self.take_remote(agreed, now)?;
        }
        let Answer { description, .. } = answer(&offer, &self.policy(codecs));
        Some(description.to_string())
    }

    fn policy(&self, codecs: &[Codec]) -> Policy {
        let extensions = ["urn:ietf:params:rtp-hdrext:sdes:mid", "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"];
        let extension =
            |uri: &str| LocalExtension { uri: Word::new(uri).expect("a word"), direction: Direction::SendRecv };
        let local = |audio: bool| -> Vec<LocalCodec> {
            let own = codecs.iter().filter(|codec| (**codec == Codec::Opus) == audio);
            own.map(|codec| local_codec(*codec)).collect()
        };
        let rtp = |audio: bool| RtpPolicy {
            direction: Direction::SendRecv,
            codecs: local(audio),
            order: CodecOrder::Offer,
            extensions: extensions.map(extension).into(),
            receive_streams_max: 0,
            send_streams_max: 3,
            msids: Vec::new(),
            sources: Vec::new(),
            ssrc_groups: Vec::new(),
        };
        Policy {
            origin: Origin::new(7),
            transport: self.local_transport(),
            audio: Some(rtp(true)),
            video: Some(rtp(false)),
            data: None,
            sections: BTreeMap::new(),
        }
    }

    fn local_transport(&self) -> LocalTransport {
        let parameters = self.transport.local_parameters();
        let candidates = self.transport.ice().local_candidates();
        let line = |it: &Candidate| Text::new(it.to_string().trim_start_matches("candidate:")).expect("a line");
        LocalTransport {
            ufrag: IceUfrag::new(parameters.ice.credentials.ufrag()).expect("ice-chars"),
            pwd: IcePwd::new(parameters.ice.credentials.password()).expect("ice-chars"),
            ice_lite: false,
            ice_options: vec![Token::new("trickle").expect("a token")],
            fingerprints: vec![
                Fingerprint::new(HashFunction::Sha256, parameters.fingerprints[0].bytes()).expect("32 bytes"),
            ],
            preferred_role: DtlsRole::Client,
            candidates: candidates.iter().map(line).collect(),
            end_of_candidates: true,
            in_every_section: true,
        }
    }

    fn take_remote(&mut self, agreed: &NegotiatedTransport, now: Instant) -> Option<()> {
        let remote = &agreed.remote;
        let (ufrag, pwd) = (remote.ufrag.as_ref()?.as_str(), remote.pwd.as_ref()?.as_str());
        let mut ice = plenary_ice::Parameters::new(Credentials::new(ufrag, pwd).ok()?);
        ice.lite = remote.ice_lite;
        let fingerprints = remote.fingerprints.iter();
        let fingerprints = fingerprints.filter_map(|it| plenary_transport::Fingerprint::parse(&it.to_string()).ok());
        let setup = if agreed.role == DtlsRole::Client { Setup::Passive } else { Setup::Active };
        let parameters = Parameters { ice, fingerprints: fingerprints.collect(), setup, data: None };
        self.transport.set_remote(parameters, now).ok()?;
        for candidate in &remote.candidates {
            let candidate = Candidate::parse(&format!("candidate:{candidate}")).ok()?;
            self.transport.add_remote_candidate(candidate, now);
        }
        Some(())
    }
}

fn local_codec(codec: Codec) -> LocalCodec {
    let (format, parameters) = match codec {
        Codec::Vp8 => ("VP8/90000", ""),
        Codec::Vp9 => ("VP9/90000", "profile-id=0"),
        Codec::H264 => ("H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
        Codec::Av1 => ("AV1/90000", "level-idx=5;profile=0;tier=0"),
        Codec::Opus => ("opus/48000/2", "minptime=10;useinbandfec=1"),
    };
    let local = if codec == Codec::Opus {
        LocalCodec::audio(format, parameters)
    } else {
        LocalCodec::video(format, parameters)
    };
    local.expect("well-formed")
}

impl Media<'_> {
    fn write(&self, index: u64, timestamp: u32, out: &mut Vec<u8>) -> Option<()> {
        let header = Header {
            marker: self.marker,
            payload_type: self.payload_type & 0x7f,
            sequence_number: SeqNo(index as u16),
            timestamp: RtpTime(timestamp),
            ssrc: Ssrc(self.ssrc.into()),
            csrcs: &[],
        };
        let mut writer = PacketWriter::begin(&header, out).ok()?;
        if let Some(mid) = self.mid {
            let mid = if mid & 1 == 0 { format!("p{}", mid >> 1 & 3) } else { (mid >> 1 & 3).to_string() };
            writer.element(3, &Mid::new(&mid).ok()?).ok()?;
        }
        if let Some(rid) = self.rid {
            writer.element(8, &Rid::new(["q", "h", "f", "x"][usize::from(rid & 3)]).ok()?).ok()?;
        }
        if let Some(descriptor) = &self.descriptor {
            writer.extension(10, descriptor).ok()?;
        }
        if let Some(sequence) = self.sequence {
            writer.element(7, &TransportSequence(SeqNo(sequence.into()))).ok()?;
        }
        let mut payload = writer.into_payload();
        if self.is_key {
            payload.append(&[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0x68, 1, 0, 0]);
        }
        payload.append(self.payload);
        payload.append(&[0; 1200][..usize::from(self.filling % 1200)]);
        payload.finish_padded(self.padding % 8);
        Some(())
    }
}
