use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use plenary_stun::Class;
use plenary_wire::{Datagram, FlowId, Limit, Transmit};

use crate::candidate::{Local, LocalId, canonical};
use crate::check::{Outgoing, Transaction};
use crate::checklist::{Generation, hash};
use crate::entropy::Entropy;
use crate::gather::Gathering;
use crate::pair::Pair;
use crate::stun::Message;
use crate::tcp::Stream;
use crate::{
    Config, ConfigError, Credentials, DropReason, Error, Event, Failed, Mode, Parameters, Policy, Role, Selected, State,
};

/// What became of a datagram: [`Consumed`](plenary_wire::Handled::Consumed) or dropped.
pub type Handled<'d> = plenary_wire::Handled<'d, DropReason>;

/// One side of an ICE session: one stream, one component. See the crate's front page for the drive loop.
pub struct Agent {
    pub(crate) config: Config,
    pub(crate) role: Role,
    pub(crate) tie_breaker: u64,
    pub(crate) entropy: Entropy,
    pub(crate) locals: Vec<Local>,
    pub(crate) locals_made: u32,
    pub(crate) current: Generation,
    /// The generation before a restart, whose pair goes on until the new one has its own.
    pub(crate) previous: Option<Box<Generation>>,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) outbox: VecDeque<Outgoing>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) gathering: Gathering,
    pub(crate) streams: Vec<Stream>,
    pub(crate) state: State,
    /// When the pacing allows the next transaction to start.
    pub(crate) next_start: Option<Instant>,
    pub(crate) errors_left: u16,
    pub(crate) errors_since: Instant,
    pub(crate) dropped: [u32; DropReason::COUNT],
}

impl Agent {
    /// Makes an agent that knows neither its own addresses nor the peer.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field that is outside its range.
    pub fn new(mut config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        config.stun_servers.iter_mut().for_each(|server| *server = canonical(*server));
        let mut entropy = Entropy::new(config.entropy);
        let tie_breaker = entropy.number();
        let current = Generation::new(0, credentials(&mut entropy));
        Ok(Self {
            role: if config.mode == Mode::Lite { Role::Controlled } else { config.role },
            tie_breaker,
            entropy,
            locals: Vec::new(),
            locals_made: 0,
            current,
            previous: None,
            transactions: Vec::new(),
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            gathering: Gathering::default(),
            streams: Vec::new(),
            state: State::New,
            next_start: None,
            errors_left: config.errors_per_second,
            errors_since: now,
            dropped: [0; DropReason::COUNT],
            config,
        })
    }

    /// What the peer is to be told. It changes with [`restart`](Self::restart).
    pub fn local_parameters(&self) -> Parameters {
        Parameters {
            credentials: self.current.local.clone(),
            lite: self.config.mode == Mode::Lite,
            renomination: self.config.renomination,
            trickle: true,
            pacing: (self.config.mode == Mode::Full).then_some(self.config.pacing),
        }
    }

    /// The state; the same that [`Event::State`] told last.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The role. It may change when the peer claims the same one.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// How many datagrams were dropped for this reason.
    pub const fn dropped(&self, reason: DropReason) -> u32 {
        self.dropped[reason as usize]
    }

    /// The pair to send data on; `None` before one is valid, and when sending must stop. After a restart the pair of
    /// before, until the new generation has one. It may change with each `handle_*` call.
    pub fn selected(&self) -> Option<Selected> {
        let (generation, pair) = self.selected_pair()?;
        let local = self.locals.iter().find(|local| local.id == pair.local);
        let remote = generation.remote_of(pair);
        let local_kind = self.mapped_kind(pair, local);
        Some(Selected {
            flow: pair.flow?,
            local: pair.local_address,
            remote: pair.remote_address,
            transport: local.map_or(crate::Transport::Udp, |local| local.transport),
            local_kind,
            remote_kind: remote.map_or(crate::CandidateKind::PeerReflexive, |remote| remote.kind),
            rtt: pair.rtt,
        })
    }

    /// Whether the peer has proven that it is at this address: by an authenticated check, or answer to one of ours.
    /// Nothing but STUN should be taken from elsewhere.
    pub fn is_proven(&self, flow: FlowId, remote: SocketAddr) -> bool {
        self.alive_at(flow, remote).is_some()
    }

    /// When the peer was last proven to be at this address: by an authenticated check, by the answer to one of ours, or
    /// by [`note_authenticated`](Self::note_authenticated). A [`Mux`](crate::Mux) is asked to take an address from an
    /// agent only if that is some time ago.
    pub fn alive_at(&self, flow: FlowId, remote: SocketAddr) -> Option<Instant> {
        let remote = canonical(remote);
        let there = |pair: &&Pair| pair.flow == Some(flow) && pair.remote_address == remote;
        let pairs = self.generations().flat_map(|generation| &generation.pairs);
        pairs.filter(there).filter_map(Pair::alive_at).max()
    }

    /// Tells the agent that RTP or RTCP came in and was authenticated by its own keys. For a lite agent it is a sign of
    /// life as good as STUN: some peers send none while media flows. Once a second and path is enough.
    pub fn note_authenticated(&mut self, flow: FlowId, remote: SocketAddr, now: Instant) {
        let remote = canonical(remote);
        for generation in [Some(&mut self.current), self.previous.as_deref_mut()].into_iter().flatten() {
            for pair in &mut generation.pairs {
                if pair.flow == Some(flow) && pair.remote_address == remote && pair.alive_at().is_some() {
                    pair.heard_at = pair.heard_at.max(Some(now));
                }
            }
        }
        if matches!(self.state, State::Disconnected) {
            self.run(now);
        }
    }

    /// Takes in a datagram, or one frame of a TCP stream ([`Deframer`](crate::Deframer)). Only STUN is for the agent.
    pub fn handle_datagram<'d>(&mut self, datagram: Datagram<'d>, now: Instant) -> Handled<'d> {
        match self.handle_stun(&datagram, now) {
            Ok(()) => {
                self.run(now);
                Handled::Consumed
            }
            Err(reason) => {
                let count = &mut self.dropped[reason as usize];
                *count = count.saturating_add(1);
                Handled::Dropped(reason)
            }
        }
    }

    fn handle_stun(&mut self, datagram: &Datagram<'_>, now: Instant) -> Result<(), DropReason> {
        if self.state == State::Closed {
            return Err(DropReason::Closed);
        }
        let message = Message::parse(datagram.bytes)?;
        let (flow, remote) = (datagram.flow, canonical(datagram.remote));
        let local = canonical(datagram.local);
        match message.class() {
            Class::Request => self.handle_request(&message, flow, local, remote, now),
            Class::Success | Class::Error => self.handle_response(&message, flow, local, remote, now),
            // RFC 8445 §11: keepalives of others. They are not authenticated, and so prove nothing.
            Class::Indication => Ok(()),
        }
    }

    /// The instant of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run(now);
    }

    /// Brings everything up to `now`: what is late ends, what is due begins.
    pub(crate) fn run(&mut self, now: Instant) {
        if matches!(self.state, State::Closed) {
            return;
        }
        self.expire(now);
        self.tend(now);
        self.nominate(now);
        self.choose(now);
        if !matches!(self.state, State::Failed(_)) {
            self.start_due(now);
        }
        self.queue_due(now);
        self.close_idle_streams(now);
        self.judge(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); changed by every other call but the pure accessors.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.state, State::Closed) {
            return None;
        }
        [
            self.start_due_at(),
            self.transactions_due_at(),
            self.gather_due_at(),
            self.tend_due_at(),
            self.judge_due_at(),
            self.nominate_due_at(),
            self.streams_due_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Writes the next STUN message, if there is one and it fits.
    pub fn poll_transmit(&mut self, now: Instant, limit: Limit, out: &mut Vec<u8>) -> Option<Transmit> {
        if limit.segments == 0 {
            return None;
        }
        while let Some(outgoing) = self.outbox.pop_front() {
            let start = out.len();
            let Some((flow, local, remote)) = self.write_outgoing(&outgoing, out) else {
                out.truncate(start);
                continue;
            };
            if out.len() - start > limit.bytes {
                out.truncate(start);
                self.outbox.push_front(outgoing);
                return None;
            }
            if let Outgoing::Request(id) = outgoing {
                self.note_sent(id, now);
            }
            let range = start..out.len();
            let segment = range.len();
            return Some(Transmit { flow, local, remote, range, segment, ecn: plenary_wire::Ecn::NotEct });
        }
        None
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            self.events = VecDeque::new(); // events are rare, and agents may be many
        }
        event
    }

    /// Stops at once: nothing is sent or answered any more, and streams are to be closed.
    pub fn close(&mut self) {
        self.end(State::Closed);
        self.close_streams();
    }

    /// Revokes consent (RFC 7675 §5.2), for example because DTLS was closed by the peer: sending stops at once, and the
    /// peer's checks are answered with 403 until a restart.
    pub fn revoke(&mut self) {
        if !matches!(self.state, State::Closed) {
            self.end(State::Failed(Failed::ConsentRevoked));
        }
    }

    pub(crate) fn end(&mut self, state: State) {
        self.transactions.clear();
        self.outbox.clear();
        self.previous = None;
        self.current.selected = None;
        self.current.triggered.clear();
        for pair in &mut self.current.pairs {
            pair.valid = false;
            pair.next_check_at = None;
        }
        self.gathering.stop();
        self.set_state(state);
    }

    /// Begins again with new credentials (RFC 8445 §9), which the peer must be told. The pair in use stays in use until
    /// the new generation has one; local candidates stay, and are told again.
    pub fn restart(&mut self, now: Instant) {
        if matches!(self.state, State::Closed) {
            return;
        }
        let number = self.current.number.wrapping_add(1);
        let fresh = Generation::new(number, credentials(&mut self.entropy));
        let mut old = std::mem::replace(&mut self.current, fresh);
        let before = old.remote.as_ref().map(|remote| hash(remote.credentials.ufrag()));
        self.current.remote_before = before.or(old.remote_before);
        if old.selected.is_some() {
            old.shrink();
            self.previous = Some(Box::new(old));
        }
        let kept = self.previous.as_ref().map(|previous| previous.number);
        self.transactions.retain(|it| it.is_gathering() || Some(it.generation) == kept);
        self.tie_breaker = self.entropy.number();
        // What was asked for the old generation is wanted no more, and what was told of it is to be told again.
        self.events.retain(|event| {
            matches!(
                event,
                Event::State(_) | Event::Selected(_) | Event::Role(_) | Event::Heard { .. } | Event::CloseStream(_)
            )
        });
        for index in 0..self.locals.len() {
            self.announce(index);
        }
        self.gathering.announce_again();
        if matches!(self.state, State::Failed(_)) {
            self.set_state(State::New);
        }
        self.run(now);
    }

    /// Removes a socket, or a relayed address that is gone: its candidates and pairs end.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownFlow`] if it is none of the agent's.
    pub fn remove_flow(&mut self, flow: FlowId, now: Instant) -> Result<(), Error> {
        let known = self.locals.len() + self.streams.len();
        self.locals.retain(|local| local.flow != flow);
        self.streams.retain(|stream| stream.flow != flow);
        if self.locals.len() + self.streams.len() == known {
            return Err(Error::UnknownFlow);
        }
        self.end_flow(flow);
        self.gathering.forget(&self.locals);
        self.run(now);
        Ok(())
    }

    pub(crate) fn end_flow(&mut self, flow: FlowId) {
        for generation in [Some(&mut self.current), self.previous.as_deref_mut()].into_iter().flatten() {
            for pair in generation.pairs.iter_mut().filter(|pair| pair.flow == Some(flow)) {
                pair.fail(crate::Failure::FlowClosed);
            }
        }
        self.forget_flow(flow);
    }

    /// Nothing more is sent on a flow, nor awaited. The caller may give its number to another.
    pub(crate) fn forget_flow(&mut self, flow: FlowId) {
        self.transactions.retain(|transaction| transaction.flow != flow);
        self.outbox.retain(|outgoing| !matches!(outgoing, Outgoing::Answer(answer) if answer.flow == flow));
    }

    pub(crate) fn generations(&self) -> impl Iterator<Item = &Generation> {
        [Some(&self.current), self.previous.as_deref()].into_iter().flatten()
    }

    pub(crate) fn generation(&self, number: u32) -> Option<&Generation> {
        self.generations().find(|generation| generation.number == number)
    }

    pub(crate) fn generation_mut(&mut self, number: u32) -> Option<&mut Generation> {
        [Some(&mut self.current), self.previous.as_deref_mut()]
            .into_iter()
            .flatten()
            .find(|generation| generation.number == number)
    }

    /// The pair that data goes over, and its generation.
    pub(crate) fn selected_pair(&self) -> Option<(&Generation, &Pair)> {
        self.generations().find_map(|generation| Some((generation, generation.selected_pair()?)))
    }

    pub(crate) fn local(&self, id: LocalId) -> Option<&Local> {
        self.locals.iter().find(|local| local.id == id)
    }

    /// The candidate that a datagram came to: by address, or where a caller can't tell that, by flow.
    pub(crate) fn local_at(&self, flow: FlowId, address: SocketAddr) -> Option<&Local> {
        if let Some(stream) = self.streams.iter().find(|stream| stream.flow == flow) {
            return self.local(stream.local);
        }
        let on_flow = || self.locals.iter().filter(|local| local.flow == flow && local.is_base() && local.is_udp());
        on_flow().find(|local| local.base == address).or_else(|| on_flow().next())
    }

    pub(crate) fn uses(&self, local: &Local) -> bool {
        self.config.policy == Policy::All || local.kind == crate::CandidateKind::Relayed
    }

    pub(crate) fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.push_event(Event::State(state));
        }
    }

    /// Queues an event; of state events only the newest stays.
    pub(crate) fn push_event(&mut self, event: Event) {
        self.events.retain(|old| match (old, &event) {
            (Event::State(_), Event::State(_))
            | (Event::Selected(_), Event::Selected(_))
            | (Event::Role(_), Event::Role(_))
            | (Event::GatheringComplete, Event::GatheringComplete) => false,
            (Event::Heard { flow, remote }, Event::Heard { flow: new_flow, remote: new_remote }) => {
                (flow, remote) != (new_flow, new_remote)
            }
            _ => true,
        });
        self.events.push_back(event);
    }

    /// The local kind of a pair: what the peer saw decides (RFC 8445 §7.2.5.3.1).
    pub(crate) fn mapped_kind(&self, pair: &Pair, local: Option<&Local>) -> crate::CandidateKind {
        let Some(local) = local else { return crate::CandidateKind::Host };
        match pair.mapped {
            Some(mapped) if mapped != local.base && local.is_udp() && local.kind == crate::CandidateKind::Host => {
                let known = self.locals.iter().find(|it| it.address == mapped && it.base == local.base);
                known.map_or(crate::CandidateKind::PeerReflexive, |known| known.kind)
            }
            _ => local.kind,
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("role", &self.role).field("state", &self.state).finish_non_exhaustive()
    }
}

/// 48 and 144 random bits, where RFC 8445 §5.3 asks for 24 and 128.
fn credentials(entropy: &mut Entropy) -> Credentials {
    Credentials::new(&entropy.text(8), &entropy.text(24)).expect("they are of the right form")
}
