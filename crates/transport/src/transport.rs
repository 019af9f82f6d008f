use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_ice::Agent;
use plenary_wire::{Datagram, Ecn, FlowId, Limit, PacketKind, Transmit};

use crate::data::{Data, DataEvent};
use crate::dtls::{Assembly, Association, Hello, Progress, Start};
use crate::early::Early;
use crate::media::{Media, SIGN_OF_LIFE};
use crate::relay::Relays;
use crate::{
    CloseReason, Config, ConfigError, Connected, DataCloseReason, DataDropReason, DataParameters, DropReason, DtlsRole,
    DtlsVersion, Event, Fingerprint, Parameters, Path,
};

mod signalling;

/// What became of a datagram: taken, dropped, or media, decrypted in place.
pub type Handled<'d> = plenary_wire::Handled<'d, DropReason>;

/// One peer: ICE finds the path, DTLS agrees on keys over it, and media goes over it as SRTP. See the crate's front page
/// for the drive loop.
pub struct Transport {
    pub(crate) config: Config,
    pub(crate) agent: Agent,
    pub(crate) relays: Relays,
    /// The peer's fingerprints, and our role towards it.
    pub(crate) remote: Option<Remote>,
    pub(crate) association: Option<Box<Association>>,
    /// The peer's certificate, once it was found to be that of its description.
    pub(crate) certificate: Option<Box<[u8]>>,
    pub(crate) media: Option<Box<Media>>,
    /// From the first channel of ours on, or once DTLS is done and data channels are negotiated.
    pub(crate) data: Option<Box<Data>>,
    pub(crate) path: Option<Path>,
    /// The last address that ICE called proven, so that media need not ask again.
    proven: Option<(FlowId, SocketAddr)>,
    /// When the peer was first heard, before DTLS has begun.
    heard_at: Option<Instant>,
    /// When there must be keys; known from when there was a path.
    keys_by: Option<Instant>,
    early: Early,
    /// The client's hello, as far as it has come.
    hello: Assembly,
    events: VecDeque<Event>,
    pub(crate) closed: Option<CloseReason>,
    dropped: [u64; DropReason::OWN],
    /// Packets of data channels while there were none.
    unasked: u64,
}

/// What the peer's description said.
pub(crate) struct Remote {
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) role: DtlsRole,
    pub(crate) data: Option<DataParameters>,
}

impl Transport {
    /// Makes a transport that knows neither its own addresses nor the peer.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is outside its range.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            agent: Agent::new(config.ice.clone(), now)?,
            config,
            relays: Relays::default(),
            remote: None,
            association: None,
            certificate: None,
            media: None,
            data: None,
            path: None,
            proven: None,
            heard_at: None,
            keys_by: None,
            early: Early::default(),
            hello: Assembly::default(),
            events: VecDeque::new(),
            closed: None,
            dropped: [0; DropReason::OWN],
            unasked: 0,
        })
    }

    /// What the peer is to be told. It changes with [`restart`](Self::restart), and `setup` is settled by
    /// [`set_remote`](Self::set_remote).
    pub fn local_parameters(&self) -> Parameters {
        let fingerprint = self.config.certificate.fingerprint(crate::HashFunction::Sha256);
        let role = self.remote.as_ref().map(|remote| remote.role);
        Parameters {
            ice: self.agent.local_parameters(),
            fingerprints: vec![fingerprint],
            setup: role.map_or(self.config.setup, Into::into),
            data: self.config.data.as_ref().map(|data| DataParameters {
                sctp_port: data.sctp_port,
                message_bytes_max: data.message_bytes_max as u64,
            }),
        }
    }

    /// ICE, to ask: its state, its pair, and why there is none.
    pub const fn ice(&self) -> &Agent {
        &self.agent
    }

    /// The peer's certificate in DER, once it is known to be that of its description.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// Why it is closed, if it is.
    pub const fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// How many datagrams were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::Ice(reason) => u64::from(self.agent.dropped(reason)),
            DropReason::Relay(reason) => self.relays.dropped(reason),
            DropReason::Srtp(reason) => self.media.as_ref().map_or(0, |media| media.receiver.stats().dropped(reason)),
            DropReason::Data(DataDropReason::NotNegotiated) => self.unasked,
            DropReason::Data(reason) => self.data.as_ref().map_or(0, |data| data.dropped(reason)),
            _ => reason.own().map_or(0, |own| self.dropped[own]),
        }
    }

    /// Takes in a datagram, or one frame of a TCP stream ([`Deframer`](plenary_ice::Deframer)). Media is handed back,
    /// decrypted where it lies.
    pub fn handle_datagram<'d>(&mut self, datagram: Datagram<'d>, now: Instant) -> Handled<'d> {
        if self.relays.is_empty() {
            return self.handle_unwrapped(datagram, now);
        }
        match self.unwrap(datagram, now) {
            Ok(Some(datagram)) => self.handle_unwrapped(datagram, now),
            Ok(None) => {
                self.advance(now);
                Handled::Consumed
            }
            Err(reason) => Handled::Dropped(reason),
        }
    }

    fn handle_unwrapped<'d>(&mut self, datagram: Datagram<'d>, now: Instant) -> Handled<'d> {
        if self.closed.is_some() {
            return self.drop(DropReason::Closed);
        }
        match PacketKind::of(datagram.bytes) {
            Some(kind @ (PacketKind::Rtp | PacketKind::Rtcp)) => self.handle_media(datagram, kind, now),
            Some(PacketKind::Stun) => {
                let (flow, remote) = (datagram.flow, datagram.remote);
                let handled = self.agent.handle_datagram(datagram, now).map_dropped(DropReason::Ice);
                if self.heard_at.is_none() && self.agent.is_proven(flow, remote) {
                    self.heard_at = Some(now);
                }
                self.advance(now);
                handled
            }
            Some(PacketKind::Dtls) => match self.handle_dtls(&datagram, now) {
                Ok(()) => Handled::Consumed,
                Err(reason) => self.drop(reason),
            },
            _ => self.drop(DropReason::Kind),
        }
    }

    fn drop<'d>(&mut self, reason: DropReason) -> Handled<'d> {
        if let Some(own) = reason.own() {
            self.dropped[own] = self.dropped[own].saturating_add(1);
        }
        Handled::Dropped(reason)
    }

    fn handle_media<'d>(&mut self, datagram: Datagram<'d>, kind: PacketKind, now: Instant) -> Handled<'d> {
        let Datagram { flow, remote, bytes, .. } = datagram;
        if !self.is_proven(flow, remote) {
            return self.drop(DropReason::Unproven);
        }
        let Some(media) = &mut self.media else { return self.drop(DropReason::NoKeys) };
        let handled = match kind {
            PacketKind::Rtp => media.receiver.unprotect_rtp(bytes, now).map(Handled::Rtp),
            _ => media.receiver.unprotect_rtcp(bytes, now).map(Handled::Rtcp),
        };
        match handled {
            Ok(handled) => {
                if media.told_at.is_none_or(|at| now.saturating_duration_since(at) >= SIGN_OF_LIFE) {
                    media.told_at = Some(now);
                    self.agent.note_authenticated(flow, remote, now);
                    self.advance(now);
                }
                handled
            }
            Err(reason) => self.drop(DropReason::Srtp(reason)),
        }
    }

    /// Whether the peer is at this address. ICE need not be asked again before it has run again.
    fn is_proven(&mut self, flow: FlowId, remote: SocketAddr) -> bool {
        if self.proven == Some((flow, remote)) {
            return true;
        }
        let proven = self.agent.is_proven(flow, remote);
        if proven {
            self.proven = Some((flow, remote));
        }
        proven
    }

    fn handle_dtls(&mut self, datagram: &Datagram<'_>, now: Instant) -> Result<(), DropReason> {
        let (flow, remote) = (datagram.flow, datagram.remote);
        if datagram.bytes.len() > Config::DATAGRAM_MAX {
            return Err(DropReason::Size);
        }
        if !self.may_begin() && self.association.is_none() {
            let kept = self.early.keep(flow, remote, datagram.bytes, self.config.early_datagrams_max);
            return if kept { Ok(()) } else { Err(DropReason::Early) };
        }
        if !self.is_proven(flow, remote) {
            return Err(DropReason::Unproven);
        }
        self.feed_dtls(datagram.bytes, now)
    }

    /// Whether there is a path, and it is known who should be at its end.
    const fn may_begin(&self) -> bool {
        self.path.is_some() && self.remote.is_some()
    }

    /// Hands DTLS a datagram from a proven address.
    fn feed_dtls(&mut self, bytes: &[u8], now: Instant) -> Result<(), DropReason> {
        let Some(association) = &mut self.association else {
            if let Some(hello) = self.hello.take(bytes)? {
                self.answer_hello(&hello, now);
            }
            return Ok(());
        };
        let progress = association.handle_datagram(bytes, now).ok_or(DropReason::Dtls)?;
        self.settle(progress, now);
        Ok(())
    }

    /// A server begins when it has a whole hello.
    fn answer_hello(&mut self, hello: &Hello, now: Instant) {
        self.start_dtls(now);
        let Some(association) = &mut self.association else { return };
        if hello.offers_a_suite(self.config.dtls_server) {
            let progress = association.handle_hello(hello, now);
            self.settle(progress, now);
        } else {
            self.refuse(CloseReason::NoCommonCipher, now);
        }
    }

    /// The instant of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.relays_timeout(now);
        self.agent.handle_timeout(now);
        if self.keys_due().is_some_and(|due| due <= now) {
            self.end(CloseReason::HandshakeTimeout);
        }
        if self.closed.is_none()
            && let Some(association) = &mut self.association
            && association.poll_timeout().is_some_and(|due| due <= now)
        {
            let progress = association.handle_timeout(now);
            self.settle(progress, now);
        }
        if let Some(data) = &mut self.data {
            data.handle_timeout(now);
        }
        self.advance(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); changed by every other call but the pure accessors.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let relays = self.relays.poll_timeout();
        if self.closed.is_some() {
            return relays;
        }
        let dtls = self.association.as_ref().and_then(|association| association.poll_timeout());
        let data = self.data.as_ref().and_then(|data| data.poll_timeout());
        [self.agent.poll_timeout(), dtls, data, self.keys_due(), relays].into_iter().flatten().min()
    }

    fn keys_due(&self) -> Option<Instant> {
        self.keys_by.filter(|_| self.media.is_none())
    }

    /// Writes the next datagram of ICE, DTLS or a relay, if there is one and it fits. Media is the caller's to send, see
    /// [`protect_rtp`](Self::protect_rtp).
    pub fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        loop {
            // What lets the peer in comes before what the peer is to answer.
            if let Some(transmit) = self.transmit_relays(now, limit, out) {
                return Some(transmit);
            }
            let transmit = self.transmit_own(now, self.within(limit), out)?;
            let start = transmit.range.start;
            match self.wrap_run(transmit, now, out) {
                Ok(transmit) => return Some(transmit),
                // There is no way to the peer any more: it is lost.
                Err(_) => out.truncate(start),
            }
        }
    }

    fn transmit_own(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some(transmit) = self.agent.poll_transmit(now, limit, out) {
            return Some(transmit);
        }
        self.feed_data_to_dtls(now);
        let transmit = self.transmit_dtls(limit, out);
        if self.closed.is_some() && self.association.as_ref().is_none_or(|association| association.is_drained()) {
            self.finish();
        }
        transmit
    }

    /// SCTP's packets stay with it until DTLS has sent all else: its queue drops what does not fit.
    fn feed_data_to_dtls(&mut self, now: Instant) {
        while let (Some(data), Some(association)) = (&mut self.data, &mut self.association)
            && self.path.is_some()
            && self.closed.is_none()
            && association.is_drained()
            && let Some(packet) = data.next(now)
        {
            let progress = association.send(&packet, now);
            self.settle(progress, now);
        }
    }

    fn transmit_dtls(&mut self, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        let path = self.path?;
        let association = self.association.as_mut()?;
        let datagram = association.next()?;
        let overhead = if path.framed { 2 } else { 0 };
        if limit.segments == 0 || datagram.len() + overhead > limit.bytes {
            return None;
        }
        let start = out.len();
        if path.framed {
            plenary_ice::write_frame(datagram, out).expect("DTLS datagrams are shorter than a frame can be");
        } else {
            out.extend_from_slice(datagram);
        }
        association.sent();
        let range = start..out.len();
        let Path { flow, local, remote, .. } = path;
        Some(Transmit { flow, local, remote, segment: range.len(), range, ecn: Ecn::NotEct })
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        match self.agent.poll_event() {
            Some(plenary_ice::Event::Selected(selected)) => Some(Event::PathChanged(selected.into())),
            Some(event) => Some(Event::Ice(event)),
            None => self.poll_relay_event().or_else(|| self.poll_own_event()),
        }
    }

    /// The end comes after what there is to say of channels.
    fn poll_own_event(&mut self) -> Option<Event> {
        if let None | Some(Event::Closed(_)) = self.events.front()
            && let Some(event) = self.data.as_mut().and_then(|data| data.poll_event())
        {
            return Some(match event {
                DataEvent::Opened(channel) => Event::ChannelOpened(channel),
                DataEvent::Drained(channel) => Event::ChannelDrained(channel),
                DataEvent::Closed(channel) => Event::ChannelClosed(channel),
                DataEvent::Ended(reason) => Event::DataClosed(reason),
            });
        }
        self.events.pop_front()
    }

    /// Says goodbye to the peer and stops: what [`poll_transmit`](Self::poll_transmit) still has is to be sent, once.
    pub fn close(&mut self, now: Instant) {
        if self.closed.is_none() {
            if let Some(association) = &mut self.association {
                association.close(now);
            }
            self.end(CloseReason::Local);
        }
    }

    /// Takes note of what ICE has come to, and begins DTLS when it may.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.proven = None;
        self.path = self.agent.selected().map(Path::from);
        if self.closed.is_some() || !self.may_begin() {
            return;
        }
        self.keys_by.get_or_insert(now + self.config.handshake_timeout);
        if self.association.is_none() && self.remote.as_ref().is_some_and(|remote| remote.role == DtlsRole::Client) {
            self.start_dtls(now);
        }
        while let Some((flow, remote, bytes)) = self.early.take() {
            let fed =
                if self.is_proven(flow, remote) { self.feed_dtls(&bytes, now) } else { Err(DropReason::Unproven) };
            if let Err(reason) = fed {
                let _ = self.drop(reason);
            }
        }
    }

    fn start_dtls(&mut self, now: Instant) {
        let Some(remote) = self.remote.as_ref().filter(|_| self.closed.is_none()) else { return };
        let role = remote.role;
        let versions = if role == DtlsRole::Client { self.config.dtls_client } else { self.config.dtls_server };
        let start = Start { role, versions, certificate: &self.config.certificate, retransmit: self.retransmit(now) };
        let (association, progress) = Association::start(&start, now);
        self.association = Some(Box::new(association));
        self.settle(progress, now);
    }

    /// The first retransmission. RFC 9147 §5.8.2 allows less than 1 s where the round-trip time is known.
    fn retransmit(&self, now: Instant) -> Duration {
        // A quarter less must still be more than it.
        let from_rtt = |rtt: Duration| (rtt * 3 / 2 + Duration::from_millis(20)).min(Duration::from_secs(3));
        if let Some(rtt) = self.agent.selected().and_then(|selected| selected.rtt) {
            return from_rtt(rtt);
        }
        // A lite agent knows none. But what has led to DTLS was the answer to the first check: so it is no longer than
        // what has gone by since then, if any has.
        let since = self.heard_at.map(|at| now.saturating_duration_since(at)).filter(|since| !since.is_zero());
        since.map_or(self.config.retransmit, |since| from_rtt(since).min(self.config.retransmit))
    }

    /// Begins with data channels if DTLS is done and both sides have them, and ends them if one no longer has.
    pub(crate) fn advance_data(&mut self, now: Instant) {
        let retransmit = self.retransmit(now);
        let (Some(limits), Some(remote)) = (&self.config.data, &self.remote) else { return };
        if self.media.is_none() || self.closed.is_some() {
            return;
        }
        match (remote.data, &mut self.data) {
            (Some(peer), data) => {
                let data = data.get_or_insert_with(|| Box::new(Data::new(limits.clone())));
                data.start(remote.role, peer, retransmit, now);
            }
            (None, Some(data)) if data.is_running() => data.end(DataCloseReason::Removed),
            (None, _) => {}
        }
    }

    /// Acts on what DTLS has come to.
    fn settle(&mut self, progress: Progress, now: Instant) {
        if let Some(certificate) = progress.certificate {
            let allowed =
                self.remote.as_ref().is_some_and(|it| Fingerprint::any_matches(&it.fingerprints, &certificate));
            if !allowed {
                // RFC 8122 §6.2: the session ends. Nothing of the handshake's next flight may leave.
                return self.refuse(CloseReason::Fingerprint, now);
            }
            self.certificate = Some(certificate.into());
        }
        if let Some(reason) = progress.failed {
            return self.refuse(reason, now);
        }
        if progress.connected
            && let Err(reason) = self.connect(progress.keys)
        {
            if let Some(association) = &mut self.association {
                association.close(now);
            }
            return self.end(reason);
        }
        if progress.connected {
            self.advance_data(now);
        }
        for packet in progress.packets {
            match self.data.as_mut().filter(|data| data.is_running()) {
                Some(data) => data.handle_packet(packet, now),
                None => self.unasked = self.unasked.saturating_add(1),
            }
        }
        if progress.goodbye {
            self.end(CloseReason::Peer);
        }
    }

    /// The handshake is done: from here on there is media.
    fn connect(&mut self, keys: Option<(plenary_srtp::Profile, Vec<u8>)>) -> Result<(), CloseReason> {
        let association = self.association.as_ref().ok_or(CloseReason::Handshake)?;
        if self.certificate.is_none() {
            return Err(CloseReason::NoCertificate);
        }
        let (profile, exported) = keys.ok_or(CloseReason::NoSrtpProfile)?;
        let role = association.role();
        let media = Media::new(profile, &exported, role, &self.config).ok_or(CloseReason::NoSrtpProfile)?;
        let version = association.version().unwrap_or(DtlsVersion::Dtls12);
        self.media = Some(Box::new(media));
        self.events.push_back(Event::Connected(Connected { version, role, profile }));
        Ok(())
    }

    /// Ends it because of what the peer did, and tells the peer.
    fn refuse(&mut self, reason: CloseReason, now: Instant) {
        if let Some(association) = &mut self.association {
            association.refuse(reason, now);
        }
        self.end(reason);
    }

    /// Ends it, but for the goodbye that may wait to be sent.
    fn end(&mut self, reason: CloseReason) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason);
        self.events.push_back(Event::Closed(reason));
        self.early.clear();
        self.hello = Assembly::default();
        if let Some(data) = &mut self.data {
            data.end(DataCloseReason::Transport);
        }
        let waits = self.association.as_ref().is_some_and(|association| !association.is_drained());
        if !waits || self.path.is_none() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.association = None;
        self.path = None;
        self.agent.close();
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("ice", &self.agent)
            .field("path", &self.path)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
