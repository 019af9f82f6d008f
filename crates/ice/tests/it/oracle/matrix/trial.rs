//! One run: two of a cast on the network of a cell, and what must come of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use plenary_ice::{
    Address, Candidate, CandidateKind, Config, Event, LocalCandidate, Mode, Parameters, Role, Selected, State, TcpType,
    Transport,
};
use plenary_netsim::{Occurrence, Random};
use plenary_wire::FlowId;

use super::cast::{Cast, Seat};
use super::cell::{Trial, Turn};
use super::station::{Told, active_flow};
use super::verdict::{Base, Known, Path, Remote, Verdict};
use super::world::{World, stun_server};
use crate::lab::ms;

/// `Config::patience`, by default.
const PATIENCE: Duration = Duration::from_millis(39_500);
/// After the losses end: a pair that was left for them is shunned for 10 s.
const SETTLE: Duration = Duration::from_secs(14);
/// How long a loss of 20 % or more lasts where all goes by streams. TCP doubles its timer with each loss, and so may stand
/// still for as long again, or in one of 20,000 runs for longer than anyone's patience, if the loss goes on.
const SPELL: Duration = Duration::from_secs(3);
/// How long after the end all that was held elsewhere is given back: TCP may have stood still for as long before.
const FAREWELL: Duration = Duration::from_secs(70);
/// Numbers of the media that shows on which path it arrives.
const LAST: u32 = u32::MAX;

/// An address of each family.
const ANY: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0)];

/// The configuration of an agent.
pub(crate) fn config(seat: &Seat, entropy: [u8; 32]) -> Config {
    let (cell, peer) = (seat.cell, seat.peer);
    let role = if cell.controlling() == peer { Role::Controlling } else { Role::Controlled };
    let lite = cell.is_lite(peer);
    let mode = if lite { Mode::Lite } else { Mode::Full };
    let stun_servers = if lite { vec![] } else { ANY.map(|any| stun_server(cell, peer, any)).to_vec() };
    Config { entropy, role, mode, stun_servers, ..Config::default() }
}

/// With this local preference, IPv4 with one less.
pub(crate) fn preferred(candidate: LocalCandidate, preference: u16) -> LocalCandidate {
    let preference = Some(preference - u16::from(candidate.address.is_ipv4()));
    LocalCandidate { preference, ..candidate }
}

enum Signal {
    Parameters(Parameters),
    Candidate(Candidate),
    End,
}

pub(crate) struct Run<'v> {
    trial: Trial,
    verdict: &'v Verdict,
    pub(crate) world: World,
    /// Signals under way: when they arrive, in which order, and where.
    signals: BTreeMap<(Duration, usize), (usize, Signal)>,
    signalled: usize,
    /// When the last one to each arrives: none overtakes another.
    signalled_until: [Duration; 2],
    delays: Random,
    /// Each candidate is told as soon as it is known.
    trickles: bool,
    /// How many relayed addresses each has.
    relayed: [usize; 2],
    gathered: [bool; 2],
    known: [Known; 2],
    /// Since when each knows the other's parameters.
    pub(crate) begun: [Option<Duration>; 2],
    pub(crate) usable: [Option<Duration>; 2],
    failed: [Option<Duration>; 2],
    /// How long the run may take until then.
    pub(crate) patience: Duration,
    /// When the next media is sent, in runs without loss.
    media_at: Option<Duration>,
    media_sent: [u32; 2],
}

/// Runs it to its end; says what was wrong, or the hash of all that happened.
pub(crate) fn run(cast: &dyn Cast, trial: Trial, verdict: &Verdict) -> Result<u64, String> {
    let mut run = Run::new(cast, trial, verdict);
    let outcome = if verdict.best.is_some() { run.connects() } else { run.fails() };
    match outcome.and_then(|()| run.closes()) {
        Ok(()) => Ok(run.world.sim.network().trace_hash()),
        Err(wrong) => {
            let explained = [0, 1].map(|peer| run.world.station(peer).subject().ice().explain().to_string());
            let at = run.world.sim.elapsed();
            Err(format!(
                "{trial}: at {at:?} {wrong}; works: {:?}\nA: {}\nB: {}",
                verdict.works, explained[0], explained[1]
            ))
        }
    }
}

impl<'v> Run<'v> {
    pub(crate) fn new(cast: &dyn Cast, trial: Trial, verdict: &'v Verdict) -> Self {
        let world = World::new(cast, trial.cell, trial.seed, ms(trial.rtt));
        let mut run = Self {
            trial,
            verdict,
            world,
            signals: BTreeMap::new(),
            signalled: 0,
            signalled_until: [Duration::ZERO; 2],
            delays: Random::new(trial.seed, 0x5161),
            trickles: trial.trickle && trial.loss == 0,
            relayed: [0; 2],
            gathered: [false; 2],
            known: [Known::default(), Known::default()],
            begun: [None; 2],
            usable: [None; 2],
            failed: [None; 2],
            patience: Duration::from_secs(45) + cast.gathers_within(),
            media_at: (trial.loss == 0).then_some(Duration::ZERO),
            media_sent: [0; 2],
        };
        for peer in [0, 1] {
            run.add_hosts(peer);
        }
        run
    }

    fn add_hosts(&mut self, peer: usize) {
        let (cell, now) = (self.trial.cell, self.world.sim.now());
        let (udp, listeners) = (self.world.udp[peer].clone(), self.world.listeners[peer].clone());
        let active = cell.tcp && !cell.is_open(peer) && !cell.is_lite(peer);
        let subject = self.world.station_mut(peer).subject_mut();
        let hosts = udp.iter().map(|&(flow, local)| LocalCandidate::host(flow, local));
        let passive = listeners.iter().map(|&(flow, local)| LocalCandidate::tcp(flow, TcpType::Passive, local));
        let connecting = |&(_, local): &(_, SocketAddr)| {
            active.then(|| LocalCandidate::tcp(active_flow(local), TcpType::Active, local))
        };
        for candidate in hosts.chain(passive).chain(udp.iter().filter_map(connecting)) {
            subject.add_local_candidate(preferred(candidate, 65_535), now);
        }
        if self.verdict.relayed[peer] == 0 {
            subject.end_local_candidates(now);
        }
        if self.trickles {
            let parameters = self.world.station(peer).subject().ice().local_parameters();
            self.signal(peer, Signal::Parameters(parameters));
        }
    }

    /// On its way to the other: up to two round trips and 30 ms with trickle, else 10 ms, so that the pacing of the last
    /// question to a STUN server is over.
    fn signal(&mut self, from: usize, signal: Signal) {
        let most = ms(2 * self.trial.rtt + 30).as_micros() as u64;
        let delay = if self.trial.trickle { self.delays.next_u64() % most } else { 10_000 };
        let (at, to) = (self.world.sim.elapsed() + Duration::from_micros(delay), 1 - from);
        self.signalled_until[to] = at.max(self.signalled_until[to]);
        self.signals.insert((self.signalled_until[to], self.signalled), (to, signal));
        self.signalled += 1;
    }

    /// One thing that happens before `until`; `false` if there is none.
    pub(crate) fn step(&mut self, until: Duration) -> bool {
        let due = self.signals.first_key_value().map(|((at, _), _)| *at).into_iter().chain(self.media_at).min();
        let stop = due.map_or(until, |due| due.min(until));
        if let Some(told) = self.world.sim.next_event(stop) {
            self.hear(told);
            return true;
        }
        if due.is_none_or(|due| due > until) {
            return false;
        }
        if self.signals.first_key_value().is_some_and(|((at, _), _)| *at <= stop) {
            // All that comes at one instant is told before anything is sent: candidates come in one description.
            while let Some(first) = self.signals.first_entry().filter(|first| first.key().0 <= stop) {
                let (to, signal) = first.remove();
                self.tell(to, signal);
            }
        } else if let Some(at) = self.media_at {
            self.media_at = Some(at + ms(20));
            for peer in [0, 1] {
                let number = self.media_sent[peer];
                let now = self.world.sim.now();
                self.media_sent[peer] += u32::from(self.world.station_mut(peer).send_media(number, now));
            }
        }
        true
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.world.sim.elapsed() + time;
        while self.step(until) {}
    }

    fn tell(&mut self, to: usize, signal: Signal) {
        let (cell, now) = (self.trial.cell, self.world.sim.now());
        let subject = self.world.station_mut(to).subject_mut();
        match signal {
            Signal::Parameters(parameters) => {
                subject.set_remote(parameters, now);
                self.begun[to] = Some(self.world.sim.elapsed());
            }
            Signal::Candidate(candidate) => {
                let address = candidate.address.ip().expect("no candidate here has a name");
                for named in cell.names(to, address) {
                    subject.add_remote_candidate(Candidate { address: Address::Ip(named), ..candidate.clone() }, now);
                }
            }
            Signal::End => subject.end_remote_candidates(now),
        }
    }

    fn hear(&mut self, told: Occurrence<Told>) {
        let peer = self.world.peer_of(told.node);
        let now = self.world.sim.now();
        match told.event {
            Told::Allocated(relayed) => {
                let subject = self.world.station_mut(peer).subject_mut();
                subject.handle_allocated(relayed, now);
                self.relayed[peer] += 1;
                if self.relayed[peer] == self.verdict.relayed[peer] {
                    subject.end_local_candidates(now);
                }
            }
            Told::Ice(Event::Candidate(candidate)) => {
                if self.note(peer, &candidate) && self.trickles {
                    self.signal(peer, Signal::Candidate(candidate));
                }
            }
            Told::Ice(Event::GatheringComplete) => {
                self.gathered[peer] = true;
                if self.trickles {
                    self.signal(peer, Signal::End);
                } else if self.gathered == [true; 2] {
                    self.signal_all();
                }
            }
            Told::Ice(Event::Connect { request, remote, .. }) => {
                let flow = self.world.connect(peer, remote);
                self.world.station_mut(peer).streams.entry(flow).or_default().0 = Some(request);
            }
            Told::Ice(Event::CloseStream(flow)) => {
                let at = self.world.sim.elapsed();
                self.world.sim.network_mut().close(told.node, flow, at);
            }
            Told::Selected => {
                self.usable[peer].get_or_insert(told.at);
            }
            Told::Ice(Event::State(State::Failed(_))) => {
                self.failed[peer].get_or_insert(told.at);
            }
            Told::Ice(_) => {}
        }
    }

    /// Notes a candidate, and whether the other side is to know it.
    fn note(&mut self, peer: usize, candidate: &Candidate) -> bool {
        let address = candidate.address.ip().expect("no candidate here has a name");
        let base = candidate.related.as_ref().and_then(Address::ip).unwrap_or(address);
        let remote = match (candidate.transport, candidate.kind) {
            (Transport::Udp, CandidateKind::Host) if self.trial.cell.hides_hosts() => return false,
            (Transport::Udp, CandidateKind::Host) => Remote::Host,
            (Transport::Udp, CandidateKind::ServerReflexive) => Remote::Mapped,
            (Transport::Udp, _) => Remote::Relay,
            (Transport::Tcp(TcpType::Passive), _) => Remote::Listener,
            (Transport::Tcp(_), _) => return true,
        };
        self.known[peer].add(address, remote, base);
        true
    }

    /// Both know all of their own: they tell each other at one instant, and from now on packets are lost.
    fn signal_all(&mut self) {
        self.world.lose(self.trial.loss);
        for peer in [0, 1] {
            let agent = self.world.station(peer).subject().ice();
            let (parameters, candidates) = (agent.local_parameters(), agent.local_candidates());
            self.signal(peer, Signal::Parameters(parameters));
            for candidate in candidates {
                if self.note(peer, &candidate) {
                    self.signal(peer, Signal::Candidate(candidate));
                }
            }
            self.signal(peer, Signal::End);
        }
    }

    /// The paths in use.
    pub(crate) fn paths(&self) -> [Option<Path>; 2] {
        [0, 1].map(|peer| Some(self.path(peer, self.world.station(peer).subject().ice().selected()?)))
    }

    fn path(&self, peer: usize, selected: Selected) -> Path {
        self.path_to(peer, selected.flow, selected.remote)
    }

    fn path_to(&self, peer: usize, flow: FlowId, to: SocketAddr) -> Path {
        self.known[1 - peer].path((self.trial.cell, peer), self.world.is_stream(peer, flow), flow, to)
    }

    /// A cell that can't: both fail, but not before their patience ends, and then are quiet.
    fn fails(&mut self) -> Result<(), String> {
        while self.failed.contains(&None) {
            if !self.step(self.patience + PATIENCE) {
                return Err("has not failed".into());
            }
            if self.usable != [None; 2] {
                return Err(format!("is usable, {:?}", self.usable));
            }
        }
        let rtt = ms(self.trial.rtt);
        for peer in [0, 1] {
            let (begun, failed) = (self.begun[peer].unwrap_or_default(), self.failed[peer].unwrap_or_default());
            if failed < begun + PATIENCE {
                return Err(format!("{peer} has failed at {failed:?} already, begun at {begun:?}"));
            }
        }
        self.run_for(rtt * 2);
        let quiet_from = self.world.sim.now();
        self.run_for(Duration::from_secs(20));
        for peer in [0, 1] {
            let sent = &self.world.station(peer).sent;
            if let Some((to, _)) = sent.iter().find(|(_, at)| **at > quiet_from) {
                return Err(format!("{peer} still sends to {to:?} after it has failed"));
            }
        }
        Ok(())
    }

    /// A cell that can: both are usable, end on the best path, agree, and try no other for ever.
    fn connects(&mut self) -> Result<(), String> {
        if self.trial.loss >= 20 && self.needs_streams() {
            while self.begun.contains(&None) && self.step(self.patience) {}
            let end = self.world.sim.elapsed() + SPELL;
            while self.usable.contains(&None) && self.step(end) {}
            self.world.lose(0);
        }
        while self.usable.contains(&None) {
            if !self.step(self.patience) {
                return Err(format!("is not usable on both sides, {:?}", self.usable));
            }
        }
        self.run_for(ms(1_500));
        self.world.lose(0);
        self.run_for(ms(1_500));
        self.media_at = None;
        self.run_for(SETTLE - ms(2_000));
        let quiet_from = self.world.sim.now();
        self.run_for(ms(2_000));
        self.is_best()?;
        self.is_quiet(quiet_from)?;
        self.no_media_was_lost()?;
        self.agree()
    }

    /// Whether each path that works goes by a stream somewhere.
    fn needs_streams(&self) -> bool {
        let cell = self.trial.cell;
        let by_stream = matches!(cell.turn, Turn::Tcp | Turn::Tls);
        let needs = |path: &Path| match (path.base, path.remote) {
            (Base::Stream, _) => true,
            (Base::Relay, _) | (_, Remote::Relay) => by_stream,
            (Base::Udp, _) => false,
        };
        self.verdict.works[cell.controlling()].iter().all(needs)
    }

    fn is_best(&self) -> Result<(), String> {
        for peer in [0, 1] {
            let agent = self.world.station(peer).subject().ice();
            let (lite, state) = (self.trial.cell.is_lite(peer), agent.state());
            if state != State::Completed {
                return Err(format!("{peer} (lite {lite}) is {state:?}"));
            }
            let Some(selected) = agent.selected() else { return Err(format!("{peer} has no pair")) };
            let path = self.path(peer, selected);
            let controls = self.trial.cell.controlling() == peer;
            if controls && Some(path) != self.verdict.best {
                return Err(format!("{path:?} is in use, and not {:?}", self.verdict.best));
            }
            if !lite && !self.verdict.works[peer].contains(&path) {
                return Err(format!("{peer} uses {path:?}, which does not work"));
            }
        }
        Ok(())
    }

    fn is_quiet(&self, since: std::time::Instant) -> Result<(), String> {
        for peer in (0..2).filter(|&peer| !self.trial.cell.is_lite(peer)) {
            let sent = self.world.station(peer).sent.iter().filter(|(_, at)| **at > since);
            let servers = ANY.map(|any| stun_server(self.trial.cell, peer, any));
            for (&(flow, to), _) in sent.filter(|((_, to), _)| !servers.contains(to)) {
                let path = self.path_to(peer, flow, to);
                if !self.verdict.works[peer].contains(&path) {
                    return Err(format!("{peer} still sends to {to} by {path:?}"));
                }
            }
        }
        Ok(())
    }

    /// From the first pair to the best, nothing is lost where the network loses nothing.
    fn no_media_was_lost(&self) -> Result<(), String> {
        for peer in [0, 1] {
            let came = &self.world.station(1 - peer).media;
            let (sent, came, proven) =
                (self.media_sent[peer], came.len() as u32, came.iter().filter(|media| media.is_proven).count() as u32);
            if (came, proven) != (sent, sent) {
                return Err(format!("{peer} has sent {sent} of media, {came} came, {proven} from a proven address"));
            }
        }
        Ok(())
    }

    /// What one sends on its pair comes to the other on its own.
    fn agree(&mut self) -> Result<(), String> {
        for peer in [0, 1] {
            let now = self.world.sim.now();
            self.world.station_mut(peer).send_media(LAST, now);
        }
        self.run_for(ms(self.trial.rtt + 1_000));
        for peer in [0, 1] {
            let station = self.world.station(peer);
            let Some(selected) = station.subject().ice().selected() else {
                return Err(format!("{peer} has lost its pair"));
            };
            let came: Vec<_> = station.media.iter().filter(|media| media.number == LAST).collect();
            let on: Vec<(_, SocketAddr)> = came.iter().map(|media| (media.flow, media.remote)).collect();
            if on != [(selected.flow, selected.remote)] {
                return Err(format!("{peer} hears the other on {on:?}, and uses {selected:?}"));
            }
        }
        Ok(())
    }

    /// Once both have closed, nothing of them is left.
    fn closes(&mut self) -> Result<(), String> {
        self.world.lose(0);
        let now = self.world.sim.now();
        for peer in [0, 1] {
            self.world.station_mut(peer).subject_mut().close(now);
        }
        self.run_for(FAREWELL);
        let wrong = [0, 1].iter().find_map(|peer| self.world.station(*peer).subject().wrong());
        wrong.or_else(|| self.world.leftovers()).map_or(Ok(()), Err)
    }
}
