//! The engine: it finds the transport that a datagram is for, and asks those that have something to send.

mod agreed;
mod placement;
mod publications;
mod ranking;
mod receive;
mod rooms;
mod signalling;
mod subscriptions;
mod transports;

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use plenary_ice::{AgentKey, Mux};
use plenary_stream::NtpClock;
use plenary_transport::Transport;
use plenary_wire::{Datagram, Limit, Transmit};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use slotmap::SlotMap;

use crate::connection::{Connection, Notes, Release};
use crate::ids::{RoomKey, SessionKey, SubscriptionKey, TrackKey, TransportId, TransportKey};
use crate::session::Session;
use crate::timers::Timers;
use crate::track::{Reader, Track};
use crate::{Config, ConfigError, DropReason, Event, RoomCodec};

pub use publications::{LAYERS_MAX, LayerConfig, Publication, TrackInfo};

/// What became of a datagram. Media stays inside: it is `Consumed`.
pub type Handled<'d> = plenary_wire::Handled<'d, DropReason>;

/// A selective forwarding unit: see the crate's front page for the drive loop.
pub struct Sfu {
    config: Config,
    clock: NtpClock,
    chance: ChaCha20Rng,
    /// The canonical name in reports (RFC 7022): random, and the same for all transports of an engine.
    cname: [u8; 16],
    mux: Mux,
    rooms: SlotMap<RoomKey, Room>,
    sessions: SlotMap<SessionKey, Session>,
    connections: SlotMap<TransportKey, Connection>,
    tracks: SlotMap<TrackKey, Track>,
    subscriptions: SlotMap<SubscriptionKey, Subscription>,
    /// Layers with packets that their readers have not been told of.
    news: Vec<(TrackKey, u8)>,
    /// Removed, with a goodbye to send.
    parting: VecDeque<Transport>,
    /// Transports that may have something to send.
    ready: VecDeque<TransportKey>,
    /// Scratch: those of them whose packets do not fit the caller's limit.
    stalled: Vec<TransportKey>,
    timers: Timers<TransportKey>,
    /// Transports that want to make an offer.
    offering: VecDeque<TransportKey>,
    events: VecDeque<Event>,
    /// Transports that may have something to tell.
    telling: VecDeque<TransportKey>,
    /// Slots whose page is to be told what they show: each once, however often it changes.
    changes: VecDeque<(TransportKey, u16)>,
    dropped: [u64; DropReason::COUNT],
    notes: Notes,
}

/// A room: who is in it, and in which codecs they speak.
#[derive(Debug)]
struct Room {
    codecs: Vec<RoomCodec>,
    sessions: Vec<SessionKey>,
    tracks: Vec<TrackKey>,
}

/// That a session receives a track.
#[derive(Clone, Copy, Debug)]
struct Subscription {
    session: SessionKey,
    track: TrackKey,
    /// `None` while it waits for one.
    slot: Option<Reader>,
    /// The layer that was chosen; `None` if it is paused.
    layer: Option<u8>,
}

impl Sfu {
    /// An engine without rooms.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is outside its range.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        if config.flows.is_empty() {
            return Err(ConfigError::Flows);
        }
        // What would fail for each transport fails here, once.
        let mut probe = Transport::new(config.transport.clone(), now)?;
        for (flow, address) in &config.flows {
            let candidate = plenary_ice::LocalCandidate::host(*flow, *address);
            probe.add_local_candidate(candidate, now).map_err(ConfigError::Address)?;
        }
        let mut chance = ChaCha20Rng::from_seed(config.transport.ice.entropy);
        let mut seed = [0; 32];
        chance.fill_bytes(&mut seed);
        let cname = *chance.next_u64().to_be_bytes().iter().fold(&mut [0; 16], |name, byte| {
            name.rotate_left(2);
            name[14..].copy_from_slice(&[b'a' + (byte >> 4), b'a' + (byte & 15)]);
            name
        });
        Ok(Self {
            clock: NtpClock::new(now, config.wall_clock),
            config,
            chance,
            cname,
            mux: Mux::new(seed, ADDRESSES_MAX),
            rooms: SlotMap::with_key(),
            sessions: SlotMap::with_key(),
            connections: SlotMap::with_key(),
            tracks: SlotMap::with_key(),
            subscriptions: SlotMap::with_key(),
            news: Vec::new(),
            parting: VecDeque::new(),
            ready: VecDeque::new(),
            stalled: Vec::new(),
            timers: Timers::new(),
            offering: VecDeque::new(),
            events: VecDeque::new(),
            telling: VecDeque::new(),
            changes: VecDeque::new(),
            dropped: [0; DropReason::COUNT],
            notes: Notes::default(),
        })
    }

    /// Takes in a datagram of one of the sockets. Media goes into its track's log; what comes of it is asked for by the
    /// `poll_*`.
    pub fn handle_datagram<'d>(&mut self, datagram: Datagram<'d>, now: Instant) -> Handled<'d> {
        let key = self.mux.route(datagram.flow, datagram.remote, datagram.bytes).map(key_of);
        let Some(key) = key.filter(|key| self.connections.contains_key(*key)) else {
            return self.drop(DropReason::Stranger);
        };
        match self.receive(key, datagram, now) {
            Ok(()) => Handled::Consumed,
            Err(reason) => self.drop(reason),
        }
    }

    fn drop<'d>(&mut self, reason: DropReason) -> Handled<'d> {
        self.dropped[reason.index()] += 1;
        Handled::Dropped(reason)
    }

    /// How many datagrams were dropped for this reason; of [`DropReason::Transport`] those of all transports' reasons.
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason.index()]
    }

    /// The instant of [`poll_timeout`](Self::poll_timeout) has come. Drain [`poll_transmit`](Self::poll_transmit) after it.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, key)) = self.timers.first()
            && due <= now
        {
            // Its next instant is known once it was asked what it has to send.
            self.timers.set(key, None);
            let Some(connection) = self.connections.get_mut(key) else { continue };
            connection.transport.handle_timeout(now);
            for track in &connection.tracks {
                let layers = self.tracks.get_mut(*track).map(|track| track.layers.iter_mut());
                layers.into_iter().flatten().for_each(|layer| layer.handle_timeout(now));
            }
            connection.note_feedback(&self.tracks, now);
            self.note_closed(key, now);
            self.note_telling(key);
            self.queue(key);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); changed by every other call but the pure accessors. What waits
    /// for [`poll_transmit`](Self::poll_transmit) to be called with a limit that it fits is no reason for one.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| due)
    }

    /// Writes what one peer is to be sent next: datagrams of one size to one destination.
    ///
    /// What does not fit the limit stays until it is asked for with another; what does goes before it.
    pub fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some(goodbye) = self.transmit_goodbye(now, limit, out) {
            return Some(goodbye);
        }
        self.tell_readers();
        let mut transmit = None;
        while let Some(&key) = self.ready.front()
            && transmit.is_none()
        {
            match self.transmit(key, now, limit, out) {
                Release::Transmit(it) => transmit = Some(it),
                Release::TooLong => {
                    self.ready.pop_front();
                    self.stalled.push(key);
                    self.settle_stalled(key, now);
                }
                Release::Nothing => {
                    self.ready.pop_front();
                    let Some(connection) = self.connections.get_mut(key) else { continue };
                    connection.is_queued = false;
                    if std::mem::take(&mut connection.is_stirred) {
                        self.settle_timer(key, now);
                    }
                }
            }
        }
        self.ready.extend(self.stalled.drain(..));
        transmit
    }

    fn transmit(&mut self, key: TransportKey, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Release {
        let Some(connection) = self.connections.get_mut(key) else { return Release::Nothing };
        let is_due = |connection: &mut Connection| connection.reports_due(now).is_some_and(|due| due <= now);
        let mut is_held_up = false;
        if connection.is_stirred {
            if let Some(transmit) = connection.transport.poll_transmit(now, limit, out) {
                return Release::Transmit(transmit);
            }
            if is_due(connection) {
                let clock = (&self.clock, &self.cname[..]);
                if let Some(transmit) = connection.report(&mut self.tracks, (now, limit), clock, out) {
                    return Release::Transmit(transmit);
                }
                is_held_up = is_due(connection);
            }
        }
        let release = connection.release(&self.tracks, (now, limit), &mut self.notes, out);
        if !self.notes.is_empty() {
            self.see_to_notes(key, now);
        }
        if is_held_up && matches!(release, Release::Nothing) { Release::TooLong } else { release }
    }

    /// Tells the transports that read a layer that there is more of it: once for all that came in since the last time.
    fn tell_readers(&mut self) {
        for (track, layer) in self.news.drain(..) {
            let layer = self.tracks.get_mut(track).and_then(|track| track.layers.get_mut(usize::from(layer)));
            let Some(layer) = layer else { continue };
            layer.has_news = false;
            for Reader { transport: key, slot } in &layer.readers {
                let Some(connection) = self.connections.get_mut(*key) else { continue };
                connection.mark(*slot);
                if !connection.is_queued {
                    connection.is_queued = true;
                    self.ready.push_back(*key);
                }
            }
        }
    }

    /// Readers that went over to another layer leave the one they read before; those that can't begin are seen to.
    fn see_to_notes(&mut self, key: TransportKey, now: Instant) {
        let mut notes = std::mem::take(&mut self.notes);
        for (slot, switched) in notes.switched.drain(..) {
            if let Some(from) = switched.from {
                self.stop_reading(key, slot, from);
            }
            self.tell_slot(key, slot, Some((switched.to, switched.timestamp)));
        }
        for slot in notes.wishes.drain(..) {
            self.request_key_frame_for(key, slot, now);
        }
        self.notes = notes;
    }

    /// The next event. Offers come last, and are made as they are asked for: what was commanded before is in them.
    pub fn poll_event(&mut self) -> Option<Event> {
        let told = self.events.pop_front().or_else(|| self.poll_transport());
        told.or_else(|| self.poll_change()).or_else(|| self.make_offer())
    }

    /// Queues a transport that may have something to send, and takes note of when it wants to be called.
    fn settle(&mut self, key: TransportKey, now: Instant) {
        self.note_closed(key, now);
        self.queue(key);
        self.note_telling(key);
        self.settle_timer(key, now);
    }

    fn settle_timer(&mut self, key: TransportKey, now: Instant) {
        let (transport, media) = self.due(key, now);
        self.timers.set(key, transport.into_iter().chain(media).min());
    }

    /// Reports that are due already are what does not fit: time alone changes nothing about that.
    fn settle_stalled(&mut self, key: TransportKey, now: Instant) {
        let (transport, media) = self.due(key, now);
        self.timers.set(key, transport.into_iter().chain(media.filter(|due| *due > now)).min());
    }

    /// When a transport wants to be called, and when its media.
    fn due(&mut self, key: TransportKey, now: Instant) -> (Option<Instant>, Option<Instant>) {
        let Some(connection) = self.connections.get_mut(key) else { return (None, None) };
        let layers = connection.tracks.iter().filter_map(|track| self.tracks.get(*track));
        let streams = layers.filter_map(|track| track.poll_timeout(now)).min();
        (connection.transport.poll_timeout(), streams.into_iter().chain(connection.reports_due(now)).min())
    }
}

/// Addresses of one transport at most: where it was heard from, the oldest go.
const ADDRESSES_MAX: usize = 8;

fn key_of(agent: AgentKey) -> TransportKey {
    TransportId::from_bits(agent.0).0
}

fn agent_of(transport: TransportKey) -> AgentKey {
    AgentKey(TransportId(transport).to_bits())
}

impl fmt::Debug for Sfu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sfu")
            .field("rooms", &self.rooms.len())
            .field("sessions", &self.sessions.len())
            .field("transports", &self.connections.len())
            .field("tracks", &self.tracks.len())
            .field("subscriptions", &self.subscriptions.len())
            .field("ready", &self.ready.len())
            .field("telling", &self.telling.len())
            .finish_non_exhaustive()
    }
}
