#![no_main]

// STUN by hand, as the crate's own tests make it.
#[allow(dead_code, reason = "its tests need more of it")]
#[path = "../../crates/ice/tests/it/raw.rs"]
mod raw;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_ice::{
    Agent, Candidate, Config, Credentials, Event, Handled, LocalCandidate, Mode, Parameters, Report, Role, TcpType,
};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

use crate::raw::Stun;

const PEER_PASSWORD: &str = "0123456789012345678901";
const PAIRS_MAX: usize = 8;
const REMOTES_MAX: usize = 2;
const REFLEXIVE_MAX: usize = 2;
const LOCALS_MAX: usize = 5;
const TRANSACTIONS_MAX: usize = 16;
const ANSWERS_MAX: usize = 4;
const STREAMS_MAX: usize = 2;
const RESOLUTIONS_MAX: usize = 2;
const ERRORS_PER_SECOND: usize = 5;
/// Flows from here on are TCP streams.
const STREAMS: u32 = 10;
/// What an error response to a stranger takes: header, ERROR-CODE, FINGERPRINT.
const REFUSAL_LEN: usize = 36;
/// A success response over IPv6, and no answer is longer: 20 + 24 + 24 + 8.
const ANSWER_LEN_MAX: usize = 76;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// Bytes as they are.
    Raw {
        path: Path,
        bytes: &'a [u8],
    },
    /// A message of who does not know the password.
    Stranger {
        path: Path,
        kind: u8,
        transaction: u8,
        attributes: Vec<Attribute<'a>>,
        signed: bool,
        fingerprint: bool,
    },
    /// A message of who does.
    Peer {
        path: Path,
        kind: u8,
        transaction: u8,
        attributes: Vec<Attribute<'a>>,
        polled: bool,
    },
    /// An answer to a request of the agent.
    Answer {
        which: u8,
        from_elsewhere: bool,
        ok: bool,
        attributes: Vec<Attribute<'a>>,
        signed: bool,
    },
    Candidate(Line<'a>),
    Stream {
        flow: u8,
    },
    StreamEnd {
        flow: u8,
    },
    Media(Path),
    Restart,
    Revoke,
    Role(bool),
    Pass(u16),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Path {
    flow: u8,
    port: u8,
    v6: bool,
}

#[derive(Arbitrary, Debug)]
enum Line<'a> {
    Port { port: u8, v6: bool, tcp: bool },
    Name(u8),
    Text(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Attribute<'a> {
    Priority(u32),
    UseCandidate,
    Controlling(u64),
    Controlled(u64),
    Nomination(u32),
    Mapped([u8; 6]),
    ErrorCode(u8, u8),
    Any(u16, &'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    lite: bool,
    controlling: bool,
    renomination: bool,
    gathers: bool,
    /// Whether the peer's parameters are known, and whether it is lite.
    peer: Option<bool>,
    steps: Vec<Step<'a>>,
}

struct World {
    agent: Agent,
    now: Instant,
    /// What the agent has sent last and awaits an answer to: the message, the flow, and where it went.
    requests: Vec<(Vec<u8>, FlowId, SocketAddr)>,
    /// Where messages with the right password came from.
    heard: BTreeSet<(FlowId, SocketAddr)>,
    /// When strangers were answered.
    refusals: Vec<Instant>,
    lite: bool,
    gathers: bool,
}

fuzz_target!(|input: Input<'_>| {
    let mut world = World::new(&input);
    for step in input.steps.iter().take(200) {
        world.step(step);
        world.check_limits();
    }
    // Left alone, it goes on in time or comes to rest.
    let end = world.now + Duration::from_secs(2);
    let mut idle = 0;
    while let Some(at) = world.agent.poll_timeout().filter(|&at| at <= end) {
        idle = if at <= world.now { idle + 1 } else { 0 };
        assert!(idle < 100, "time stands still");
        world.now = world.now.max(at);
        world.agent.handle_timeout(world.now);
        world.drain();
    }
});

impl World {
    fn new(input: &Input<'_>) -> Self {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary origin; time is virtual")]
        let now = Instant::now();
        let gathers = input.gathers && !input.lite;
        let config = Config {
            mode: if input.lite { Mode::Lite } else { Mode::Full },
            role: if input.controlling { Role::Controlling } else { Role::Controlled },
            renomination: input.renomination,
            stun_servers: if gathers { vec![address(0, 200, false)] } else { Vec::new() },
            local_candidates_max: LOCALS_MAX as u16,
            remote_candidates_max: REMOTES_MAX as u16,
            peer_reflexive_max: REFLEXIVE_MAX as u16,
            pairs_max: PAIRS_MAX as u16,
            transactions_max: TRANSACTIONS_MAX as u16,
            answers_max: ANSWERS_MAX as u16,
            streams_max: STREAMS_MAX as u16,
            resolutions_max: RESOLUTIONS_MAX as u16,
            errors_per_second: ERRORS_PER_SECOND as u16,
            ..Config::default()
        };
        let mut agent = Agent::new(config, now).expect("the limits are in range");
        for (flow, v6) in [(0, false), (1, true)] {
            agent.add_local_candidate(LocalCandidate::host(FlowId(flow), ours(v6)), now).expect("a host");
        }
        agent.add_local_candidate(LocalCandidate::tcp(FlowId(2), TcpType::Passive, ours(false)), now).expect("a host");
        // Two lite agents do not check: they prove nothing.
        if let Some(lite) = input.peer {
            agent.set_remote_parameters(peer(0, lite && !input.lite, input.renomination), now);
        }
        let mut world = Self {
            agent,
            now,
            requests: Vec::new(),
            heard: BTreeSet::new(),
            refusals: Vec::new(),
            lite: input.lite,
            gathers,
        };
        world.drain();
        world
    }

    fn step(&mut self, step: &Step<'_>) {
        let now = self.now;
        match step {
            Step::Raw { path, bytes } => self.stranger(*path, bytes.to_vec()),
            Step::Stranger { path, kind, transaction, attributes, signed, fingerprint } => {
                let mut stun = self.message(*kind, *transaction, attributes);
                if *signed {
                    stun = stun.signed("not the password that it should be");
                }
                let bytes = if *fingerprint { stun.fingerprint() } else { stun.bytes };
                self.stranger(*path, bytes);
            }
            Step::Peer { path, kind, transaction, attributes, polled } => {
                let password = self.ours().password().to_owned();
                let bytes = self.message(*kind, *transaction, attributes).signed(&password).fingerprint();
                self.peer(*path, bytes, *polled);
            }
            Step::Answer { which, from_elsewhere, ok, attributes, signed } => {
                self.answer(*which, *from_elsewhere, *ok, attributes, *signed);
            }
            Step::Candidate(line) => {
                if let Some(candidate) = line.candidate() {
                    self.agent.add_remote_candidate(candidate, now);
                }
            }
            Step::Stream { flow } => {
                // It may be one too many.
                self.agent.handle_accepted(FlowId(STREAMS + u32::from(flow % 4)), ours(false), now).ok();
            }
            Step::StreamEnd { flow } => _ = self.agent.handle_closed(FlowId(STREAMS + u32::from(flow % 4)), now),
            Step::Media(path) => {
                let (flow, remote) = path.ends();
                let proven = self.agent.is_proven(flow, remote);
                self.agent.note_authenticated(flow, remote, now);
                assert_eq!(self.agent.is_proven(flow, remote), proven, "media proves no new address");
            }
            Step::Restart => {
                self.agent.restart(now);
                self.agent.set_remote_parameters(peer(1, false, false), now);
            }
            Step::Revoke => self.agent.revoke(),
            Step::Role(controlling) => {
                self.agent.set_role_to(if *controlling { Role::Controlling } else { Role::Controlled }, now);
            }
            Step::Pass(span) => {
                self.now += Duration::from_millis(u64::from(*span) % 10_000);
                self.agent.handle_timeout(self.now);
            }
        }
        if !matches!(step, Step::Peer { polled: false, .. }) {
            self.drain();
        }
    }

    fn ours(&self) -> Credentials {
        self.agent.local_parameters().credentials
    }

    fn message(&self, kind: u8, transaction: u8, attributes: &[Attribute<'_>]) -> Stun {
        // A request more often than not.
        let kind = [raw::REQUEST, raw::SUCCESS, raw::ERROR, 0x0011, 0x0003].get(usize::from(kind)).copied();
        let username = format!("{}:peer", self.ours().ufrag());
        let stun = Stun::new(kind.unwrap_or(raw::REQUEST), [transaction; 12]).with(raw::USERNAME, username.as_bytes());
        attributes.iter().take(8).fold(stun, |stun, attribute| attribute.put(stun))
    }

    /// Hands a datagram in; whether it was consumed.
    fn hand_in(&mut self, flow: FlowId, remote: SocketAddr, mut bytes: Vec<u8>) -> bool {
        let local = ours(remote.is_ipv6());
        let datagram = Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
        match self.agent.handle_datagram(datagram, self.now) {
            Handled::Consumed => true,
            Handled::Dropped(reason) => {
                assert!(self.agent.dropped(reason) > 0);
                false
            }
            other => panic!("the agent hands nothing back: {other:?}"),
        }
    }

    /// Nothing that a stranger says changes anything, and what it is answered is short and rare.
    fn stranger(&mut self, path: Path, bytes: Vec<u8>) {
        self.drain();
        let (flow, remote) = path.ends();
        let before = self.told();
        let proven = self.agent.is_proven(flow, remote);
        let (len, transaction) = (bytes.len(), bytes.get(8..20).map(<[u8]>::to_vec));
        let is_request = bytes.starts_with(&[0, 1]);
        let consumed = self.hand_in(flow, remote, bytes);
        assert!(!consumed || !is_request);
        assert_eq!(self.agent.is_proven(flow, remote), proven);
        assert_eq!(self.told(), before);
        let answers = self.drain();
        assert!(answers.len() <= 1);
        for answer in answers {
            assert!(is_request);
            assert_eq!((answer.1, answer.2), (flow, remote));
            assert_eq!(Some(&answer.0[8..20]), transaction.as_deref());
            assert_eq!(answer.0.len(), REFUSAL_LEN);
            assert!(answer.0.len() <= len + 8, "it amplifies nothing");
            assert!(matches!(raw::code(&answer.0), 400 | 401));
            self.refusals.retain(|at| self.now - *at < Duration::from_secs(1));
            self.refusals.push(self.now);
            // Two allowances may meet within a second.
            assert!(self.refusals.len() <= 2 * ERRORS_PER_SECOND);
        }
    }

    /// What a stranger must not change. That it was there is told by a counter, and by the remedy that follows from it.
    fn told(&self) -> Report {
        Report { unauthenticated: 0, remedies: Vec::new(), ..self.agent.explain() }
    }

    fn peer(&mut self, path: Path, bytes: Vec<u8>, polled: bool) {
        let (flow, remote) = path.ends();
        let is_request = bytes.starts_with(&[0, 1]);
        self.heard.insert((flow, remote));
        if polled {
            self.drain();
        }
        let consumed = self.hand_in(flow, remote, bytes);
        if polled {
            let answers = self.drain();
            assert!(answers.len() <= usize::from(is_request));
            assert!(!consumed || !is_request || answers.len() == 1, "a request that is consumed is answered");
            for answer in answers {
                assert_eq!((answer.1, answer.2), (flow, remote));
            }
        }
    }

    fn answer(&mut self, which: u8, from_elsewhere: bool, ok: bool, attributes: &[Attribute<'_>], signed: bool) {
        let Some((request, flow, remote)) = self.requests.get(usize::from(which)).cloned() else { return };
        let transaction = request[8..20].first_chunk().copied().expect("12 bytes were taken");
        let kind = if ok { raw::SUCCESS } else { raw::ERROR };
        let mut stun = attributes.iter().take(8).fold(Stun::new(kind, transaction), |stun, it| it.put(stun));
        if ok {
            stun = Attribute::Mapped([192, 0, 2, 1, 3, 232]).put(stun);
        }
        if signed {
            stun = stun.signed(PEER_PASSWORD);
        }
        let from = if from_elsewhere { address(0, 99, false) } else { remote };
        let is_server = self.gathers && remote == address(0, 200, false);
        if signed {
            self.heard.insert((flow, from));
        }
        let before = self.told();
        let consumed = self.hand_in(flow, from, stun.fingerprint());
        if !signed && !is_server {
            assert!(!consumed);
            assert_eq!(self.told(), before);
        }
    }

    /// Takes all that is to be sent, and answers what of it are responses.
    fn drain(&mut self) -> Vec<(Vec<u8>, FlowId, SocketAddr)> {
        // What is due goes out now, not with the next datagram.
        self.agent.handle_timeout(self.now);
        self.agent.handle_timeout(self.now);
        let mut answers = Vec::new();
        let mut out = Vec::new();
        let mut sent = 0;
        while let Some(transmit) = self.agent.poll_transmit(self.now, Limit::DATAGRAM, &mut out) {
            let mut bytes = transmit.bytes(&out).to_vec();
            if transmit.flow.0 >= STREAMS {
                assert_eq!(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])), bytes.len() - 2);
                bytes.drain(..2);
            }
            sent += 1;
            assert!(sent <= TRANSACTIONS_MAX + ANSWERS_MAX);
            if bytes[0] == 1 {
                assert!(bytes.len() <= ANSWER_LEN_MAX && matches!(raw::code(&bytes), 0 | 400 | 401 | 403 | 420 | 487));
                answers.push((bytes, transmit.flow, transmit.remote));
            } else {
                assert!(bytes.starts_with(&[0, 1]), "an agent sends requests and responses");
                assert!(!self.lite, "a lite agent asks nothing");
                self.requests.insert(0, (bytes, transmit.flow, transmit.remote));
                self.requests.truncate(8);
            }
        }
        assert!(answers.len() <= ANSWERS_MAX);
        answers
    }

    fn check_limits(&mut self) {
        let mut events = 0;
        while let Some(event) = self.agent.poll_event() {
            events += 1;
            match event {
                Event::Heard { flow, remote } => assert!(self.heard.contains(&(flow, remote))),
                Event::Selected(selected) => assert!(self.heard.contains(&(selected.flow, selected.remote))),
                _ => {}
            }
        }
        assert!(events <= 32, "{events} events of one step");
        let report = self.agent.explain();
        assert!(report.pairs.len() <= PAIRS_MAX, "{report}");
        assert!(report.remote_candidates <= REMOTES_MAX + REFLEXIVE_MAX, "{report}");
        assert!(report.local_candidates <= LOCALS_MAX, "{report}");
        assert!(report.unresolved <= RESOLUTIONS_MAX, "{report}");
        if let Some(selected) = self.agent.selected() {
            assert!(self.agent.is_proven(selected.flow, selected.remote), "{report}");
            assert!(self.heard.contains(&(selected.flow, selected.remote)), "{report}");
        }
    }
}

impl Path {
    fn ends(self) -> (FlowId, SocketAddr) {
        match self.flow % 8 {
            flow @ 4..=7 => (FlowId(STREAMS + u32::from(flow - 4)), address(1, self.port, false)),
            3 => (FlowId(3), address(0, self.port, self.v6)),
            _ => (FlowId(self.v6.into()), address(0, self.port, self.v6)),
        }
    }
}

impl Line<'_> {
    fn candidate(&self) -> Option<Candidate> {
        let line = match self {
            Self::Text(text) => format!("candidate:1 1 udp 5 {text}"),
            Self::Name(name) => format!("candidate:{name} 1 udp 7 {name}.local 5000 typ host"),
            Self::Port { port, v6, tcp } => {
                let (remote, port) = (address(0, *port, *v6), u16::from(*port));
                let (protocol, tcp) = if *tcp { ("tcp", " tcptype active") } else { ("udp", "") };
                format!("candidate:1 1 {protocol} {} {} {} typ host{tcp}", 1000 + port, remote.ip(), remote.port())
            }
        };
        Candidate::parse(&line).ok()
    }
}

impl Attribute<'_> {
    fn put(&self, stun: Stun) -> Stun {
        match self {
            Self::Priority(value) => stun.with(raw::PRIORITY, &value.to_be_bytes()),
            Self::UseCandidate => stun.with(raw::USE_CANDIDATE, &[]),
            Self::Controlling(value) => stun.with(raw::ICE_CONTROLLING, &value.to_be_bytes()),
            Self::Controlled(value) => stun.with(raw::ICE_CONTROLLED, &value.to_be_bytes()),
            Self::Nomination(value) => stun.with(raw::NOMINATION, &value.to_be_bytes()),
            Self::Mapped(value) => stun.with(raw::XOR_MAPPED_ADDRESS, &[&[0, 1], &value[..]].concat()),
            Self::ErrorCode(class, number) => stun.with(raw::ERROR_CODE, &[0, 0, *class, *number]),
            Self::Any(kind, value) => stun.with(*kind, &value[..value.len().min(600)]),
        }
    }
}

fn peer(number: u8, lite: bool, renomination: bool) -> Parameters {
    let credentials = Credentials::new(&format!("peer{number}"), PEER_PASSWORD).expect("of the right form");
    Parameters { lite, renomination, ..Parameters::new(credentials) }
}

fn ours(v6: bool) -> SocketAddr {
    if v6 { "[2001:db8::1]:1000" } else { "192.0.2.1:1000" }.parse().expect("an address")
}

fn address(host: u8, port: u8, v6: bool) -> SocketAddr {
    let port = 2000 + u16::from(port % 16);
    if v6 {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10], port))
    } else {
        SocketAddr::from(([192, 0, 2, 16 + host], port))
    }
}
