//! Why each pair works or does not, and what would have made it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::agent::Agent;
use crate::checklist::Generation;
use crate::pair::Pair;
use crate::{CandidateKind, DropReason, Failure, Mode, PairState, Role, State, Transport};

/// All that an agent knows of its pairs. `Display` gives text for people, [`to_json`](Self::to_json) for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The state.
    pub state: State,
    /// The role.
    pub role: Role,
    /// How our NAT maps, as far as STUN servers and peers have shown.
    pub mapping: Mapping,
    /// How many local candidates there are.
    pub local_candidates: usize,
    /// How many candidates of the peer there are.
    pub remote_candidates: usize,
    /// Names that wait to be resolved.
    pub unresolved: usize,
    /// Pairs left out because of `Config::pairs_max`.
    pub pairs_left_out: u32,
    /// Datagrams with a wrong or missing password or ufrag: wrong signalling, or strangers.
    pub unauthenticated: u32,
    /// The pairs, best first.
    pub pairs: Vec<PairReport>,
    /// What would help the whole; empty if a pair works.
    pub remedies: Vec<Remedy>,
}

/// One pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairReport {
    /// Sent from.
    pub local: SocketAddr,
    /// The local candidate's kind, as the check has shown.
    pub local_kind: CandidateKind,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The remote candidate's kind.
    pub remote_kind: CandidateKind,
    /// UDP or TCP.
    pub transport: Transport,
    /// RFC 8445 §6.1.2.3.
    pub priority: u64,
    /// RFC 8445 §6.1.2.6.
    pub state: PairState,
    /// Whether data goes over it.
    pub selected: bool,
    /// Whether it is nominated.
    pub nominated: bool,
    /// Why it is as it is.
    pub reason: Reason,
    /// What would have made it work, where that is known.
    pub remedy: Option<Remedy>,
    /// The round-trip time.
    pub rtt: Option<Duration>,
    /// Checks sent.
    pub checks_sent: u32,
    /// Answers to them that were right.
    pub responses: u32,
    /// The peer's checks.
    pub requests: u32,
}

/// Why a pair is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It works.
    Works,
    /// It worked, was silent, and is the last choice for now.
    Silent,
    /// Its turn has not come, or it waits for another pair of its foundation.
    Waiting,
    /// The peer's credentials are not known, so that nothing can be checked.
    NoCredentials,
    /// A lite agent waits for the peer to nominate it.
    NotNominated,
    /// Its check is on the way; nothing was heard of the peer on it.
    Unheard,
    /// The peer's checks come in, but our own stay unanswered: what we send is lost.
    OneWay,
    /// It has failed, and nothing was heard of the peer on it.
    Failed(Failure),
}

/// What would help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remedy {
    /// Bring the peer's ufrag and password.
    Parameters,
    /// Bring candidates of the peer; or let it check first.
    RemoteCandidates,
    /// Add a local candidate of the peer's address family.
    LocalCandidates,
    /// Gather a relayed candidate on either side.
    Relay,
    /// Let what we send through the firewall or NAT on the way to the peer, or relay.
    OutboundPath,
    /// Let the peer's answers to this port through the firewall, or relay.
    InboundPath,
    /// Signal the newest credentials: those in use differ.
    Signalling,
    /// Restart: consent is lost for these credentials.
    Restart,
}

/// How a NAT before us maps (RFC 4787 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// Nothing has shown it.
    Unknown,
    /// There is none: others see our own address.
    None,
    /// One address for all destinations.
    EndpointIndependent,
    /// Another for each destination: only peers without such a NAT of their own are reached without a relay.
    EndpointDependent,
}

impl Agent {
    /// Tells what became of each pair of the current generation. It walks over all of them: for diagnosis.
    pub fn explain(&self) -> Report {
        let generation = &self.current;
        let mut pairs: Vec<_> = generation.pairs.iter().map(|pair| self.explain_pair(generation, pair)).collect();
        pairs.sort_by_key(|pair| (!pair.selected, std::cmp::Reverse(pair.priority)));
        let unauthenticated = [DropReason::Integrity, DropReason::Username, DropReason::Unauthenticated];
        let mut report = Report {
            state: self.state,
            role: self.role,
            mapping: self.mapping(),
            local_candidates: self.locals.len(),
            remote_candidates: generation.remotes.len(),
            unresolved: generation.unresolved.len(),
            pairs_left_out: generation.pairs_left_out,
            unauthenticated: unauthenticated.iter().map(|&reason| self.dropped(reason)).sum(),
            pairs,
            remedies: Vec::new(),
        };
        report.remedies = self.remedies(&report);
        report
    }

    fn explain_pair(&self, generation: &Generation, pair: &Pair) -> PairReport {
        let local = self.local(pair.local);
        let reason = self.reason(generation, pair);
        PairReport {
            local: pair.local_address,
            local_kind: self.mapped_kind(pair, local),
            remote: pair.remote_address,
            remote_kind: generation.remote_of(pair).map_or(CandidateKind::PeerReflexive, |remote| remote.kind),
            transport: local.map_or(Transport::Udp, |local| local.transport),
            priority: pair.priority,
            state: pair.state,
            selected: generation.selected == Some(pair.id),
            nominated: pair.nomination.is_some(),
            reason,
            remedy: remedy(reason),
            rtt: pair.rtt,
            checks_sent: pair.checks_sent,
            responses: pair.responses,
            requests: pair.requests,
        }
    }

    fn reason(&self, generation: &Generation, pair: &Pair) -> Reason {
        let one_way = pair.requests > 0 && pair.responses == 0 && pair.checks_sent > 0;
        match (pair.valid, pair.state, pair.failure) {
            (true, ..) if pair.shunned_until.is_some() && pair.unanswered_since.is_some() => Reason::Silent,
            (true, ..) => Reason::Works,
            _ if self.config.mode == Mode::Lite && pair.failure.is_none() => Reason::NotNominated,
            _ if generation.remote.is_none() => Reason::NoCredentials,
            (_, PairState::Failed, Some(Failure::NoResponse)) if one_way => Reason::OneWay,
            (_, PairState::Failed, failure) => Reason::Failed(failure.unwrap_or(Failure::NoResponse)),
            (_, PairState::InProgress, _) if one_way => Reason::OneWay,
            (_, PairState::InProgress, _) => Reason::Unheard,
            _ => Reason::Waiting,
        }
    }

    fn mapping(&self) -> Mapping {
        let mut independent = false;
        for host in self.locals.iter().filter(|local| local.kind == CandidateKind::Host && local.is_udp()) {
            let gathered =
                self.locals.iter().filter(|it| it.kind == CandidateKind::ServerReflexive && it.base == host.base);
            let seen_by_peers =
                self.current.pairs.iter().filter(|pair| pair.local == host.id).filter_map(|pair| pair.mapped);
            let mut seen: Vec<SocketAddr> = gathered.map(|it| it.address).chain(seen_by_peers).collect();
            seen.sort_unstable();
            seen.dedup();
            match seen[..] {
                [] => {}
                [one] if one == host.base => return Mapping::None,
                // One address seen twice, by a server and a peer, or by one alone: no contradiction.
                [_] => independent = true,
                _ => return Mapping::EndpointDependent,
            }
        }
        if independent { Mapping::EndpointIndependent } else { Mapping::Unknown }
    }

    fn remedies(&self, report: &Report) -> Vec<Remedy> {
        let mut remedies = Vec::new();
        if report.pairs.iter().any(|pair| pair.reason == Reason::Works) {
            return remedies;
        }
        if self.current.remote.is_none() {
            remedies.push(Remedy::Parameters);
        }
        if report.remote_candidates == 0 {
            remedies.push(Remedy::RemoteCandidates);
        } else if report.pairs.is_empty() {
            remedies.push(Remedy::LocalCandidates);
        }
        if report.unauthenticated > 0 {
            remedies.push(Remedy::Signalling);
        }
        remedies.extend(report.pairs.iter().filter_map(|pair| pair.remedy));
        let relayed = |pair: &PairReport| [pair.local_kind, pair.remote_kind].contains(&CandidateKind::Relayed);
        if !report.pairs.is_empty() && !report.pairs.iter().any(relayed) {
            remedies.push(Remedy::Relay);
        }
        let mut known = Vec::new();
        remedies.retain(|&remedy| {
            let fresh = !known.contains(&remedy);
            known.push(remedy);
            fresh
        });
        remedies
    }
}

const fn remedy(reason: Reason) -> Option<Remedy> {
    match reason {
        Reason::Works | Reason::Silent | Reason::Waiting | Reason::NotNominated => None,
        Reason::NoCredentials => Some(Remedy::Parameters),
        Reason::Unheard => None,
        Reason::OneWay => Some(Remedy::OutboundPath),
        Reason::Failed(failure) => match failure {
            Failure::NoResponse | Failure::ConnectFailed => Some(Remedy::InboundPath),
            Failure::AsymmetricPath => Some(Remedy::Relay),
            Failure::Error(_) => Some(Remedy::Signalling),
            Failure::ConsentExpired | Failure::ConsentRevoked => Some(Remedy::Restart),
            Failure::FlowClosed => Some(Remedy::LocalCandidates),
            Failure::Unused => None,
        },
    }
}

impl Report {
    /// The same as JSON (RFC 8259): one object, `pairs` an array of objects, enums as strings, times in milliseconds. A
    /// `priority` has up to 63 bits, of which a reader that takes all numbers for floats keeps 53.
    pub fn to_json(&self) -> String {
        let pairs: Vec<_> = self.pairs.iter().map(PairReport::to_json).collect();
        let remedies: Vec<_> = self.remedies.iter().map(|remedy| format!("\"{remedy:?}\"")).collect();
        format!(
            "{{\"state\":\"{:?}\",\"role\":\"{:?}\",\"mapping\":\"{:?}\",\"localCandidates\":{},\"remoteCandidates\":{},\
             \"unresolved\":{},\"pairsLeftOut\":{},\"unauthenticated\":{},\"remedies\":[{}],\"pairs\":[{}]}}",
            self.state,
            self.role,
            self.mapping,
            self.local_candidates,
            self.remote_candidates,
            self.unresolved,
            self.pairs_left_out,
            self.unauthenticated,
            remedies.join(","),
            pairs.join(","),
        )
    }
}

impl PairReport {
    fn to_json(&self) -> String {
        let remedy = self.remedy.map_or_else(|| "null".to_owned(), |remedy| format!("\"{remedy:?}\""));
        let rtt = self.rtt.map_or_else(|| "null".to_owned(), |rtt| format!("{:.3}", rtt.as_secs_f64() * 1000.0));
        format!(
            "{{\"local\":\"{}\",\"localKind\":\"{}\",\"remote\":\"{}\",\"remoteKind\":\"{}\",\"transport\":\"{}\",\
             \"priority\":{},\"state\":\"{:?}\",\"selected\":{},\"nominated\":{},\"reason\":\"{:?}\",\"remedy\":{remedy},\
             \"rttMs\":{rtt},\"checksSent\":{},\"responses\":{},\"requests\":{}}}",
            self.local,
            self.local_kind.as_str(),
            self.remote,
            self.remote_kind.as_str(),
            transport(self.transport),
            self.priority,
            self.state,
            self.selected,
            self.nominated,
            self.reason,
            self.checks_sent,
            self.responses,
            self.requests,
        )
    }
}

const fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp(_) => "tcp",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}, {:?}; NAT mapping: {:?}", self.state, self.role, self.mapping)?;
        writeln!(
            f,
            "{} local and {} remote candidates, {} unresolved, {} pairs left out, {} datagrams not authenticated",
            self.local_candidates, self.remote_candidates, self.unresolved, self.pairs_left_out, self.unauthenticated
        )?;
        for pair in &self.pairs {
            pair.fmt(f)?;
        }
        for remedy in &self.remedies {
            writeln!(f, "it would help: {remedy}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.selected { '*' } else { ' ' };
        write!(
            f,
            "{mark} {} {} {} -> {} {}: {} ({} sent, {} answered, {} of the peer's",
            transport(self.transport),
            self.local_kind.as_str(),
            self.local,
            self.remote_kind.as_str(),
            self.remote,
            self.reason,
            self.checks_sent,
            self.responses,
            self.requests
        )?;
        if let Some(rtt) = self.rtt {
            write!(f, ", {:.1} ms", rtt.as_secs_f64() * 1000.0)?;
        }
        writeln!(f, ")")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Works => "works",
            Self::Silent => "worked, but is silent",
            Self::Waiting => "waits for its turn",
            Self::NoCredentials => "can't be checked without the peer's credentials",
            Self::NotNominated => "waits for the peer to nominate it",
            Self::Unheard => "is being checked; nothing heard yet",
            Self::OneWay => "the peer is heard, but does not answer our checks: what we send is lost",
            Self::Failed(Failure::NoResponse) => "no answer, and nothing heard of the peer",
            Self::Failed(Failure::AsymmetricPath) => "the answer came by another path",
            Self::Failed(Failure::Error(code)) => return write!(f, "the peer refused with {code}"),
            Self::Failed(Failure::FlowClosed) => "the socket or stream is gone",
            Self::Failed(Failure::ConnectFailed) => "the TCP connection could not be opened",
            Self::Failed(Failure::ConsentExpired) => "worked, but the peer was silent for 30 s",
            Self::Failed(Failure::ConsentRevoked) => "worked, but the peer forbade it",
            Self::Failed(Failure::Unused) => "worked, but others are kept as spares",
        })
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameters => "the peer's ufrag and password",
            Self::RemoteCandidates => "candidates of the peer",
            Self::LocalCandidates => "a local candidate that fits the peer's",
            Self::Relay => "a relayed candidate on either side",
            Self::OutboundPath => "to let what we send through to the peer, or to relay it",
            Self::InboundPath => "to let the peer's answers through to this port, or to relay them",
            Self::Signalling => "to signal the credentials that are in use",
            Self::Restart => "a restart",
        })
    }
}
