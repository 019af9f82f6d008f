//! One peer: its transport, and the media on it.

use std::net::SocketAddr;
use std::time::Instant;

use plenary_ice::{Candidate, LocalCandidate, Mode, Role};
use plenary_sdp::offer_answer::{
    Answer, DtlsRole, LocalTransport, Negotiated, Policy, Section, answer, apply_answer, offer,
};
use plenary_sdp::{Description, Limits, Origin};
use plenary_stream::NtpClock;
use plenary_transport::{Certificate, ChannelError, Config, Connected, DataConfig, Event, Handled, Message, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Limit, Transmit};

use crate::chance::draw;
use crate::description;
use crate::media::Media;
use crate::options::Options;
use crate::refused::Refused;
use crate::socket::{FLOW, Outbox};

/// This side of all calls.
pub(crate) struct Local {
    pub(crate) options: Options,
    pub(crate) certificate: Certificate,
    pub(crate) address: SocketAddr,
    pub(crate) clock: NtpClock,
}

pub(crate) struct Call {
    pub(crate) transport: Transport,
    pub(crate) connected: Option<Connected>,
    pub(crate) media: Media,
    /// Messages of data channels that were sent back.
    pub(crate) messages: u64,
    /// One that waits until the peer takes it. Meanwhile none is taken from the peer.
    message: Option<Message>,
    origin: Origin,
    /// What we are in DTLS: what we would like to be, then what was agreed on.
    role: DtlsRole,
    /// An offer of ours that waits for its answer.
    offered: Option<Description>,
}

impl Call {
    pub(crate) fn new(local: &Local, role: Role, now: Instant) -> Result<Self, Refused> {
        let Options { full, dtls, active, .. } = local.options;
        let mut config = Config::new(local.certificate.clone(), draw());
        config.ice.mode = if full { Mode::Full } else { Mode::Lite };
        config.ice.role = role;
        config.data = Some(DataConfig::default());
        if let Some(versions) = dtls {
            (config.dtls_client, config.dtls_server) = (versions.into(), versions.into());
        }
        let mut transport = Transport::new(config, now)?;
        let added = transport.add_local_candidate(LocalCandidate::host(FLOW, local.address), now);
        added.expect("the address was checked with the options");
        transport.end_local_candidates(now);
        Ok(Self {
            transport,
            connected: None,
            media: Media::new(local.clock),
            messages: 0,
            message: None,
            origin: Origin::new(u64::from_ne_bytes(draw()) >> 1),
            role: if active { DtlsRole::Client } else { DtlsRole::Server },
            offered: None,
        })
    }

    /// Our ufrag, by which the peer's checks are routed. It changes as ICE restarts.
    pub(crate) fn ufrag(&self) -> String {
        self.transport.local_parameters().ice.credentials.ufrag().to_owned()
    }

    /// Whether nothing will come of it any more.
    pub(crate) fn has_ended(&self) -> bool {
        let state = self.transport.ice().state();
        self.transport.closed().is_some() || matches!(state, plenary_ice::State::Failed(_))
    }

    /// Whether media may go.
    fn is_open(&self) -> bool {
        self.connected.is_some() && self.transport.closed().is_none()
    }

    pub(crate) fn hang_up(&mut self, now: Instant) {
        self.transport.close(now);
    }
}

/// Signalling.
impl Call {
    /// Takes the peer's offer, the first or another, and answers it.
    pub(crate) fn take_offer(&mut self, text: &str, now: Instant) -> Result<String, Refused> {
        let offer = Description::parse(text, &Limits::default())?;
        self.media.make_tracks(&offer, now);
        let Answer { negotiated, .. } = answer(&offer, &self.policy());
        self.agree(&negotiated, now)?;
        // Again, with the credentials of now: the offer may have restarted ICE.
        let Answer { description, .. } = answer(&offer, &self.policy());
        self.origin = self.origin.next();
        Ok(description.to_string())
    }

    /// Makes an offer of audio, video and data channels.
    pub(crate) fn make_offer(&mut self, now: Instant) -> String {
        let mut sections = self.media.offer(now);
        sections.extend(description::data_channel(&self.transport).map(description::offered_data));
        let offer = offer(self.origin.clone(), &self.local_transport(), sections);
        self.origin = self.origin.next();
        let text = offer.to_string();
        self.offered = Some(offer);
        text
    }

    /// Takes the peer's answer to it.
    pub(crate) fn take_answer(&mut self, text: &str, now: Instant) -> Result<(), Refused> {
        let offer = self.offered.as_ref().ok_or(Refused::NoOffer)?;
        let negotiated = apply_answer(offer, &Description::parse(text, &Limits::default())?)?;
        self.agree(&negotiated, now)?;
        self.offered = None;
        Ok(())
    }

    /// What both sides agree on holds from now on.
    fn agree(&mut self, negotiated: &Negotiated, now: Instant) -> Result<(), Refused> {
        let Some(agreed) = &negotiated.transport else {
            let reason = |section: &Section| if let Section::Rejected(reason) = section { Some(*reason) } else { None };
            return Err(Refused::NothingInCommon(negotiated.sections.iter().filter_map(reason).collect()));
        };
        self.transport.set_remote(description::remote_parameters(agreed, &negotiated.sections)?, now)?;
        self.role = agreed.role;
        for candidate in &agreed.remote.candidates {
            // One that is malformed, or of a kind that is not used, is passed over: others may work.
            if let Ok(candidate) = Candidate::parse(&format!("candidate:{candidate}")) {
                let _ = self.transport.add_remote_candidate(candidate, now);
            }
        }
        if agreed.remote.end_of_candidates {
            self.transport.end_remote_candidates(now);
        }
        self.media.agree(&negotiated.sections, now);
        Ok(())
    }

    fn policy(&self) -> Policy {
        let data = description::data_channel(&self.transport);
        Policy { data, ..self.media.policy(self.origin.clone(), self.local_transport()) }
    }

    fn local_transport(&self) -> LocalTransport {
        description::local_transport(&self.transport, self.role)
    }
}

/// Driving.
impl Call {
    pub(crate) fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant, outbox: &mut Outbox) {
        match self.transport.handle_datagram(datagram, now) {
            Handled::Rtp(packet) => self.media.handle_rtp(packet, now, &mut Wire::new(&mut self.transport, outbox)),
            Handled::Rtcp(packets) => self.media.handle_rtcp(packets, now, &mut Wire::new(&mut self.transport, outbox)),
            // Dropped ones are counted within.
            _ => {}
        }
    }

    /// Whether the peer has proven to be there.
    pub(crate) fn is_at(&self, flow: FlowId, remote: SocketAddr) -> bool {
        self.transport.ice().is_proven(flow, remote)
    }

    pub(crate) fn heard_at(&self, flow: FlowId, remote: SocketAddr) -> Option<Instant> {
        self.transport.ice().alive_at(flow, remote)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.transport.handle_timeout(now);
        self.media.handle_timeout(now);
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let media = if self.is_open() { self.media.poll_timeout(now) } else { None };
        self.transport.poll_timeout().into_iter().chain(media).min()
    }

    /// Acts on what has happened, and writes what is to be sent. Tells where checks go.
    pub(crate) fn drain(&mut self, now: Instant, outbox: &mut Outbox, mut checks: impl FnMut(FlowId, SocketAddr)) {
        while let Some(event) = self.transport.poll_event() {
            self.handle_event(event, now);
        }
        self.send_messages_back();
        while let Some(transmit) = self.transport.poll_transmit(now, Limit::GSO, &mut outbox.bytes) {
            // RFC 8489 §5: a request. Answers go to strangers too, to tell them that they are wrong.
            if transmit.bytes(&outbox.bytes).starts_with(&[0, 1]) {
                checks(transmit.flow, transmit.remote);
            }
            outbox.push(transmit);
        }
        if self.is_open() {
            self.media.drain(now, &mut Wire::new(&mut self.transport, outbox));
        }
    }

    fn send_messages_back(&mut self) {
        while let Some(message) = self.message.take().or_else(|| self.transport.poll_message()) {
            match self.transport.send_message(message.channel, message.kind, &message.bytes) {
                Ok(()) => self.messages += 1,
                Err(ChannelError::SendBuffer { .. }) => {
                    self.message = Some(message);
                    break;
                }
                // The channel is closed, or the peer sends larger ones than it takes.
                Err(_) => {}
            }
        }
    }

    fn handle_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Connected(connected) => self.connected = Some(connected),
            // A name, behind which a browser hides its address, and TCP: the peer's own checks come by UDP.
            Event::Ice(plenary_ice::Event::Resolve { request, .. }) => {
                let _ = self.transport.handle_resolved(request, None, now);
            }
            Event::Ice(plenary_ice::Event::Connect { request, .. }) => {
                let _ = self.transport.handle_connected(request, None, now);
            }
            // Candidates are in the description already; states are asked for.
            _ => {}
        }
    }
}

/// Where media is written to: protected in the outbox itself.
pub(crate) struct Wire<'a> {
    transport: &'a mut Transport,
    outbox: &'a mut Outbox,
}

impl<'a> Wire<'a> {
    fn new(transport: &'a mut Transport, outbox: &'a mut Outbox) -> Self {
        Self { transport, outbox }
    }

    /// Sends what `write` appends as one RTP packet, and says whether it could: else nothing is spent. `index` is the
    /// unwrapped sequence number, if known.
    pub(crate) fn rtp(
        &mut self,
        index: Option<u64>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), plenary_rtp::Error>,
    ) -> bool {
        let Some(overhead) = self.transport.profile().map(|profile| profile.rtp_overhead()) else { return false };
        self.send(overhead, write, |transport, packet| transport.protect_rtp(packet, index))
    }

    /// The same for RTCP. Nothing written is nothing sent.
    pub(crate) fn rtcp(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), plenary_rtp::Error>) -> bool {
        let Some(overhead) = self.transport.profile().map(|profile| profile.rtcp_overhead()) else { return false };
        self.send(overhead, write, Transport::protect_rtcp)
    }

    fn send(
        &mut self,
        overhead: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), plenary_rtp::Error>,
        protect: impl FnOnce(&mut Transport, &mut [u8]) -> Result<plenary_transport::Path, plenary_transport::Error>,
    ) -> bool {
        let bytes = &mut self.outbox.bytes;
        let start = bytes.len();
        let is_written = write(bytes).is_ok() && bytes.len() > start;
        bytes.resize(bytes.len() + overhead, 0);
        let path = is_written.then(|| protect(self.transport, &mut bytes[start..]).ok()).flatten();
        let Some(path) = path else {
            bytes.truncate(start);
            return false;
        };
        let range = start..bytes.len();
        let (flow, local, remote) = (path.flow, path.local, path.remote);
        self.outbox.push(Transmit { flow, local, remote, segment: range.len(), range, ecn: Ecn::NotEct });
        true
    }
}
