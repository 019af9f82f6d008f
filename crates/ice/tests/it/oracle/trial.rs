//! One run: two agents on the network of a cell, and what must come of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use plenary_ice::{
    Agent, Candidate, CandidateKind, Config, Event, LocalCandidate, Mode, Parameters, Role, Selected, State, TcpType,
    Transport,
};
use plenary_netsim::{Occurrence, Random};

use super::cell::Trial;
use super::station::{ACTIVE, Brain, RELAYED, Told};
use super::verdict::{Known, Path, Verdict};
use super::world::{STUN_SERVER, World};
use crate::lab::{address, ms};

/// `Config::patience`, by default.
const PATIENCE: Duration = Duration::from_millis(39_500);
/// After the losses end: a pair that was left for them is shunned for 10 s.
const SETTLE: Duration = Duration::from_secs(14);
/// Numbers of the media that shows on which path it arrives.
const LAST: u32 = u32::MAX;

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
    gathered: [bool; 2],
    known: [Known; 2],
    /// Since when each knows the other's parameters.
    pub(crate) begun: [Option<Duration>; 2],
    pub(crate) usable: [Option<Duration>; 2],
    failed: [Option<Duration>; 2],
    /// When the next media is sent, in runs without loss.
    media_at: Option<Duration>,
    media_sent: [u32; 2],
}

/// Runs it to its end; says what was wrong, or the hash of all that happened.
pub(crate) fn run(trial: Trial, verdict: &Verdict) -> Result<u64, String> {
    let mut run = Run::new(trial, verdict);
    let outcome = if verdict.best.is_some() { run.connects() } else { run.fails() };
    match outcome {
        Ok(()) => Ok(run.world.sim.network().trace_hash()),
        Err(wrong) => {
            let explained = [0, 1].map(|peer| run.world.station(peer).agent().explain().to_string());
            let at = run.world.sim.elapsed();
            Err(format!(
                "{trial}: at {at:?} {wrong}; works: {:?}\nA: {}\nB: {}",
                verdict.works, explained[0], explained[1]
            ))
        }
    }
}

impl<'v> Run<'v> {
    pub(crate) fn new(trial: Trial, verdict: &'v Verdict) -> Self {
        let cell = trial.cell;
        let world = World::new(cell, trial.seed, ms(trial.rtt), |peer, sim| {
            let role = if cell.controlling() == peer { Role::Controlling } else { Role::Controlled };
            let lite = cell.is_lite(peer);
            let mode = if lite { Mode::Lite } else { Mode::Full };
            let stun_servers = if lite { vec![] } else { vec![address(STUN_SERVER)] };
            let config = Config { entropy: sim.entropy(), role, mode, stun_servers, ..Config::default() };
            Brain::Agent(Box::new(Agent::new(config, sim.now()).expect("the configuration is in range")))
        });
        let mut run = Self {
            trial,
            verdict,
            world,
            signals: BTreeMap::new(),
            signalled: 0,
            signalled_until: [Duration::ZERO; 2],
            delays: Random::new(trial.seed, 0x5161),
            trickles: trial.trickle && trial.loss == 0,
            gathered: [false; 2],
            known: [Known::default(), Known::default()],
            begun: [None; 2],
            usable: [None; 2],
            failed: [None; 2],
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
        let ((flow, local), listener) = (self.world.udp[peer], self.world.listeners[peer]);
        let agent = self.world.station_mut(peer).agent_mut();
        let mut candidates = vec![LocalCandidate::host(flow, local)];
        if let Some((flow, local)) = listener {
            candidates.push(LocalCandidate::tcp(flow, TcpType::Passive, local));
        } else if cell.tcp && !cell.is_open(peer) && !cell.is_lite(peer) {
            candidates.push(LocalCandidate::tcp(ACTIVE, TcpType::Active, local));
        }
        for candidate in candidates {
            let candidate = LocalCandidate { preference: Some(65_535), ..candidate };
            agent.add_local_candidate(candidate, now).expect("the candidate is sound");
        }
        if !self.verdict.relayed[peer] {
            agent.end_local_candidates(now);
        }
        if self.trickles {
            let parameters = self.world.station(peer).agent().local_parameters();
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
        if let Some(first) = self.signals.first_entry().filter(|first| first.key().0 <= stop) {
            let (to, signal) = first.remove();
            self.tell(to, signal);
        } else if let Some(at) = self.media_at {
            self.media_at = Some(at + ms(20));
            for peer in [0, 1] {
                let number = self.media_sent[peer];
                self.media_sent[peer] += u32::from(self.world.station_mut(peer).send_media(number));
            }
        }
        true
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.world.sim.elapsed() + time;
        while self.step(until) {}
    }

    fn tell(&mut self, to: usize, signal: Signal) {
        let now = self.world.sim.now();
        let agent = self.world.station_mut(to).agent_mut();
        match signal {
            Signal::Parameters(parameters) => {
                agent.set_remote_parameters(parameters, now);
                self.begun[to] = Some(self.world.sim.elapsed());
            }
            Signal::Candidate(candidate) => drop(agent.add_remote_candidate(candidate, now)),
            Signal::End => agent.end_remote_candidates(now),
        }
    }

    fn hear(&mut self, told: Occurrence<Told>) {
        let peer = self.world.peer_of(told.node);
        let now = self.world.sim.now();
        match told.event {
            Told::Allocated(relayed) => {
                let candidate =
                    LocalCandidate { preference: Some(65_000), ..LocalCandidate::relayed(RELAYED, relayed) };
                let agent = self.world.station_mut(peer).agent_mut();
                agent.add_local_candidate(candidate, now).expect("the candidate is sound");
                agent.end_local_candidates(now);
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
            Told::Ice(Event::Selected(_)) => {
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
        let at = candidate.address.ip();
        let known = &mut self.known[peer];
        match (candidate.transport, candidate.kind) {
            (Transport::Udp, CandidateKind::Host) if self.trial.cell.hides_hosts() => return false,
            (Transport::Udp, CandidateKind::Host) => known.host = at,
            (Transport::Udp, CandidateKind::ServerReflexive) => known.mapped = at,
            (Transport::Udp, _) => known.relayed = at,
            (Transport::Tcp(TcpType::Passive), _) => known.listener = at,
            (Transport::Tcp(_), _) => {}
        }
        true
    }

    /// Both know all of their own: they tell each other at one instant, and from now on packets are lost.
    fn signal_all(&mut self) {
        self.world.lose(self.trial.loss);
        for peer in [0, 1] {
            let agent = self.world.station(peer).agent();
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
        [0, 1].map(|peer| Some(self.path(peer, self.world.station(peer).agent().selected()?)))
    }

    fn path(&self, peer: usize, selected: Selected) -> Path {
        self.known[1 - peer].path(selected.flow, self.world.udp[peer].0, selected.remote)
    }

    /// A cell that can't: both fail, but not before their patience ends, and then are quiet.
    fn fails(&mut self) -> Result<(), String> {
        while self.failed.contains(&None) {
            if !self.step(Duration::from_secs(80)) {
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
        while self.usable.contains(&None) {
            if !self.step(Duration::from_secs(45)) {
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

    fn is_best(&self) -> Result<(), String> {
        for peer in [0, 1] {
            let agent = self.world.station(peer).agent();
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
        let server = address(STUN_SERVER);
        for peer in (0..2).filter(|&peer| !self.trial.cell.is_lite(peer)) {
            let sent = self.world.station(peer).sent.iter().filter(|(_, at)| **at > since);
            for (&(flow, to), _) in sent.filter(|((_, to), _)| *to != server) {
                let path = self.known[1 - peer].path(flow, self.world.udp[peer].0, to);
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
                (self.media_sent[peer], came.len() as u32, came.iter().filter(|media| media.3).count() as u32);
            if (came, proven) != (sent, sent) {
                return Err(format!("{peer} has sent {sent} of media, {came} came, {proven} from a proven address"));
            }
        }
        Ok(())
    }

    /// What one sends on its pair comes to the other on its own.
    fn agree(&mut self) -> Result<(), String> {
        for peer in [0, 1] {
            self.world.station_mut(peer).send_media(LAST);
        }
        self.run_for(ms(self.trial.rtt + 1_000));
        for peer in [0, 1] {
            let station = self.world.station(peer);
            let Some(selected) = station.agent().selected() else { return Err(format!("{peer} has lost its pair")) };
            let came: Vec<_> = station.media.iter().filter(|media| media.2 == LAST).collect();
            let on: Vec<(_, SocketAddr)> = came.iter().map(|media| (media.0, media.1)).collect();
            if on != [(selected.flow, selected.remote)] {
                return Err(format!("{peer} hears the other on {on:?}, and uses {selected:?}"));
            }
        }
        Ok(())
    }
}
