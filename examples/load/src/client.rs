//! One client: its signalling, its socket and its transport.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plenary_ice::{LocalCandidate, Role};
use plenary_rtp::Ssrc;
use plenary_sdp::Origin;
use plenary_sdp::offer_answer::RtpSection;
use plenary_stream::{NtpClock, ReportWriter};
use plenary_transport::{Certificate, Config, Event, Handled, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, PacketKind};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep_until;

use crate::chance::draw;
use crate::description::{self, MID, Sending};
use crate::failure::Failure;
use crate::floor::PROFILE;
use crate::options::{Kind, Media};
use crate::reception::{Figures, Reception};
use crate::signaling::Signaling;
use crate::source::{STAMP_BYTES, Source};

const FLOW: FlowId = FlowId(0);

/// How often browsers check a path that is in use, and how often they report on video.
const CHECK_EVERY: Duration = Duration::from_millis(2500);
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Datagrams that one turn receives at most: the others are to have theirs.
const TURN_DATAGRAMS: usize = 64;

/// Bytes of one RTCP datagram.
const REPORT_BYTES: usize = 1200;

/// What all clients have in common.
pub(crate) struct Setting {
    pub(crate) server: SocketAddr,
    pub(crate) meeting: String,
    pub(crate) certificate: Certificate,
    pub(crate) start: Instant,
    pub(crate) clock: NtpClock,
}

/// What one client is for.
pub(crate) struct Part {
    /// A publisher's.
    pub(crate) media: Option<Media>,
    /// Count packets by their headers, without decrypting.
    pub(crate) light: bool,
    pub(crate) figures: Arc<Figures>,
    pub(crate) connected: Arc<AtomicBool>,
}

pub(crate) struct Client {
    setting: Arc<Setting>,
    part: Part,
    signaling: Signaling,
    socket: UdpSocket,
    local: SocketAddr,
    transport: Transport,
    origin: Origin,
    source: Option<Source>,
    sending: Option<Sending>,
    /// The server takes our media.
    published: bool,
    burst_at: Instant,
    report_at: Instant,
    reception: Reception,
    out: Vec<u8>,
}

impl Client {
    /// Joins the meeting, and stays until it is dropped or something is wrong. `entering` is held until it is connected.
    pub(crate) async fn run(setting: Arc<Setting>, part: Part, entering: OwnedSemaphorePermit) -> Result<(), Failure> {
        let mut client = Self::join(setting, part).await?;
        let mut entering = Some(entering);
        let mut buffer = vec![0; 2048];
        loop {
            client.drain();
            if let Some(profile) = client.transport.profile().filter(|profile| *profile != PROFILE) {
                return Err(Failure::Profile(profile));
            }
            if client.part.connected.load(Ordering::Relaxed) {
                entering = None;
            }
            let due = client.due();
            tokio::select! {
                ready = client.socket.readable() => {
                    ready?;
                    client.receive(&mut buffer)?;
                }
                message = client.signaling.hear() => client.handle_message(&message?).await?,
                () = sleep_until(due.into()) => {}
            }
            client.handle_timeout();
            debug_assert!(entering.is_some() || client.transport.profile().is_some());
        }
    }

    async fn join(setting: Arc<Setting>, part: Part) -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (local, now) = (socket.local_addr()?, Instant::now());
        let mut config = Config::new(setting.certificate.clone(), draw());
        config.ice.role = Role::Controlled;
        config.ice.liveness = Some(CHECK_EVERY);
        let failed = |what: &dyn std::fmt::Debug| Failure::Transport(format!("{what:?}"));
        let mut transport = Transport::new(config, now).map_err(|error| failed(&error))?;
        transport.add_local_candidate(LocalCandidate::host(FLOW, local), now).map_err(|error| failed(&error))?;
        transport.end_local_candidates(now);
        let mut signaling = Signaling::connect(setting.server).await?;
        let join = json!({ "type": "join", "protocol": 1, "meeting": setting.meeting, "client": "plenary-load" });
        signaling.say(join).await?;
        if let Some(media) = part.media {
            let kind = if media.kind == Kind::Audio { "audio" } else { "video" };
            signaling.say(json!({ "type": "publish", "id": "load", "kind": kind })).await?;
        }
        // Reports of many are spread over the second.
        let report_at = now + REPORT_EVERY.mul_f64(f64::from(u16::from_ne_bytes(draw())) / 65_536.0);
        Ok(Self {
            source: part.media.map(Source::new),
            setting,
            part,
            signaling,
            socket,
            local,
            transport,
            origin: Origin::new(u64::from_ne_bytes(draw()) >> 1),
            sending: None,
            published: false,
            burst_at: now,
            report_at,
            reception: Reception::default(),
            out: Vec::with_capacity(1 << 16),
        })
    }
}

/// Signalling.
impl Client {
    async fn handle_message(&mut self, message: &Value) -> Result<(), Failure> {
        match message["type"].as_str().unwrap_or_default() {
            "offer" => self.handle_offer(message).await?,
            "publishing" => {
                let mid = message["mid"].as_str().unwrap_or_default().to_owned();
                self.sending = self.source.as_ref().map(|source| Sending { mid, ssrc: source.ssrc.0 });
            }
            "published" => {
                self.published = true;
                self.burst_at = Instant::now();
            }
            "error" => return Err(Failure::Refused(message.to_string())),
            "ended" => return Err(Failure::Ended),
            _ => {}
        }
        Ok(())
    }

    async fn handle_offer(&mut self, message: &Value) -> Result<(), Failure> {
        let (sdp, now) = (message["sdp"].as_str().unwrap_or_default(), Instant::now());
        let (sdp, sections) =
            description::take_offer(sdp, self.sending.as_ref(), &self.origin, &mut self.transport, now)?;
        self.origin = self.origin.next();
        let own = |section: &&RtpSection| {
            let mid = self.sending.as_ref().map(|sending| sending.mid.as_str());
            mid.is_some() && section.mid.as_ref().map(|mid| mid.as_str()) == mid
        };
        if let (Some(source), Some(section)) = (&mut self.source, sections.iter().find(own)) {
            let codec = section.codecs.first().ok_or(Failure::Offer("no codec to send"))?;
            let mid = section.mid.as_ref().map(|mid| mid.as_str().to_owned());
            source.agree(codec.payload_type.number(), section.extension_id(MID, true).map(|id| id.number()).zip(mid));
        }
        self.signaling.say(json!({ "type": "answer", "version": message["version"], "sdp": sdp })).await
    }
}

/// Media.
impl Client {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        for _ in 0..TURN_DATAGRAMS {
            match self.socket.try_recv_from(buffer) {
                Ok((len, remote)) => self.handle_datagram(remote, &mut buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn handle_datagram(&mut self, remote: SocketAddr, bytes: &mut [u8]) {
        let now = Instant::now();
        let is_rtp = PacketKind::of(bytes) == Some(PacketKind::Rtp);
        if is_rtp && self.part.light {
            return self.reception.handle_header(bytes, now, &self.part.figures);
        }
        let datagram = Datagram { flow: FLOW, local: self.local, remote, ecn: Ecn::NotEct, bytes };
        match self.transport.handle_datagram(datagram, now) {
            Handled::Rtp(packet) => {
                self.reception.handle_header(packet, now, &self.part.figures);
                if let Some(stamp) = packet.last_chunk::<STAMP_BYTES>() {
                    let age = micros(now, &self.setting).saturating_sub(u64::from_be_bytes(*stamp));
                    self.part.figures.note_latency(age);
                }
            }
            Handled::Rtcp(packets) => {
                if let Some(source) = &mut self.source {
                    source.handle_rtcp(packets);
                }
            }
            _ => {}
        }
    }

    fn due(&self) -> Instant {
        let burst = (self.source.is_some() && self.published).then_some(self.burst_at);
        [Some(self.report_at), burst, self.transport.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.report_at)
    }

    fn handle_timeout(&mut self) {
        let now = Instant::now();
        if self.transport.poll_timeout().is_some_and(|due| due <= now) {
            self.transport.handle_timeout(now);
        }
        if self.report_at <= now {
            self.report_at = now + REPORT_EVERY;
            self.report(now);
        }
        if self.published && self.burst_at <= now && self.transport.profile().is_some() {
            self.burst(now);
        }
    }

    fn burst(&mut self, now: Instant) {
        let (Some(media), Some(mut source)) = (self.part.media, self.source.take()) else { return };
        // Who is late catches up, but not with more than a second.
        let late = now.saturating_duration_since(self.burst_at);
        self.burst_at = if late > Duration::from_secs(1) { now } else { self.burst_at } + media.interval();
        source.advance();
        for place in 0..media.packets() {
            let stamp = micros(now, &self.setting);
            let (mut index, mut is_written) = (0, false);
            self.send(true, |out| {
                let written = source.write(place, stamp, now, out);
                (index, is_written) = (*written.as_ref().unwrap_or(&0), written.is_ok());
                is_written.then_some(index)
            });
            if is_written {
                self.part.figures.sent.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.source = Some(source);
    }

    fn report(&mut self, now: Instant) {
        let blocks = self.reception.reports(now);
        let source = self.source.as_mut();
        let ssrc = source.as_ref().map_or(Ssrc(1), |source| source.ssrc);
        let senders: Vec<_> = source.and_then(|it| it.report(&self.setting.clock, now)).into_iter().collect();
        if blocks.is_empty() && senders.is_empty() {
            return;
        }
        self.send(false, |out| {
            let written = ReportWriter::new(ssrc, b"plenary-load", &senders, &blocks).write(REPORT_BYTES, out);
            written.is_ok_and(|written| written).then_some(0)
        });
    }

    /// Sends what `write` appends, once there are keys. It answers the index of an RTP packet.
    fn send(&mut self, is_rtp: bool, write: impl FnOnce(&mut Vec<u8>) -> Option<u64>) {
        let Some(profile) = self.transport.profile() else { return };
        self.out.clear();
        let Some(index) = write(&mut self.out) else { return };
        let overhead = if is_rtp { profile.rtp_overhead() } else { profile.rtcp_overhead() };
        self.out.resize(self.out.len() + overhead, 0);
        let path = if is_rtp {
            self.transport.protect_rtp(&mut self.out, Some(index))
        } else {
            self.transport.protect_rtcp(&mut self.out)
        };
        if let Ok(path) = path {
            // What the kernel does not take is lost, and seen as such by who receives.
            let _ = self.socket.try_send_to(&self.out, path.remote);
        }
    }

    /// Sends what the transport has to send, and sees what has happened.
    fn drain(&mut self) {
        let now = Instant::now();
        self.out.clear();
        while let Some(transmit) = self.transport.poll_transmit(now, Limit::DATAGRAM, &mut self.out) {
            let _ = self.socket.try_send_to(transmit.bytes(&self.out), transmit.remote);
            self.out.clear();
        }
        while let Some(event) = self.transport.poll_event() {
            match event {
                Event::Connected(_) => self.part.connected.store(true, Ordering::Relaxed),
                Event::Closed(reason) => {
                    eprintln!("a transport was closed: {reason:?}");
                    self.part.connected.store(false, Ordering::Relaxed);
                }
                _ => {}
            }
        }
    }
}

fn micros(now: Instant, setting: &Setting) -> u64 {
    now.saturating_duration_since(setting.start).as_micros() as u64
}
