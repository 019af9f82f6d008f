//! Transactions: their start, paced; their retransmission; their end; and the bytes of all that is sent.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plenary_wire::FlowId;

use crate::agent::Agent;
use crate::candidate::LocalId;
use crate::consent::CONSENT;
use crate::pair::{Pair, PairId, PairState};
use crate::stun::{self, binding};
use crate::{Event, Failure, Request, Role, State};
use plenary_stun::{Attribute, Class, ErrorCode, TransactionId, Unknown};

/// For how long checks are sent again at `Config::retransmit`; then every [`SLOW`].
const FAST_FOR: Duration = Duration::from_secs(2);
/// RFC 8445 §14.3: the least time between retransmissions once there is no hurry.
const SLOW: Duration = Duration::from_millis(500);
/// RFC 8489 §6.2.2: how long a stream may take to open, and an answer to come by it. TCP repeats what is lost, but in its
/// own time.
const RELIABLE_TIMEOUT: Duration = Duration::from_millis(39_500);
/// How long the answer to a check that is not sent again is waited for.
const KEEP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a pair that has failed without an answer is checked again, while none works and patience lasts; and how long
/// each such check waits.
const RETRY: Duration = Duration::from_secs(3);
/// Transactions of one pair whose late answers are still welcome.
const PER_PAIR_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A check; with `Some`, it nominates, and the number is renomination's.
    Check { pair: PairId, nominate: Option<u32> },
    /// Liveness and consent of a pair that works.
    Keep { pair: PairId },
    /// A server-reflexive address is asked for.
    Gather { local: LocalId },
    /// The caller opens a TCP connection.
    Connect { pair: PairId },
}

#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) id: TransactionId,
    pub(crate) generation: u32,
    pub(crate) purpose: Purpose,
    pub(crate) flow: FlowId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Our role when it was made.
    pub(crate) role: Role,
    pub(crate) reliable: bool,
    pub(crate) started_at: Instant,
    pub(crate) sends: u16,
    pub(crate) last_sent: Option<Instant>,
    /// `None`: it is not sent again.
    pub(crate) next_send: Option<Instant>,
    pub(crate) expires: Instant,
    pub(crate) queued: bool,
}

impl Transaction {
    pub(crate) const fn is_gathering(&self) -> bool {
        matches!(self.purpose, Purpose::Gather { .. })
    }

    pub(crate) const fn pair(&self) -> Option<PairId> {
        match self.purpose {
            Purpose::Check { pair, .. } | Purpose::Keep { pair } | Purpose::Connect { pair } => Some(pair),
            Purpose::Gather { .. } => None,
        }
    }

    fn is_check_of(&self, generation: u32, id: PairId) -> bool {
        self.generation == generation && matches!(self.purpose, Purpose::Check { pair, .. } if pair == id)
    }
}

/// A response to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) flow: FlowId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) transaction: TransactionId,
    /// The generation whose password signs it; `None` for errors to who is not authenticated.
    pub(crate) signed: Option<u32>,
    pub(crate) body: Body,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    Success,
    Error(u16),
    Unknown(Unknown),
}

#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    Request(TransactionId),
    Answer(Answer),
}

impl Agent {
    /// Starts what pacing allows: one transaction each Ta (RFC 8445 §14.2).
    pub(crate) fn start_due(&mut self, now: Instant) {
        if self.next_start.is_some_and(|next| now < next) {
            return;
        }
        if self.start_next(now) {
            self.next_start = Some(now + self.pacing());
        }
    }

    pub(crate) fn start_due_at(&self) -> Option<Instant> {
        let ready = self.current.remote.is_some() && self.config.mode == crate::Mode::Full && self.has_room();
        let ended = matches!(self.state, State::Failed(_));
        let waits = ready && (!self.current.triggered.is_empty() || self.current.has_waiting());
        let waits = !ended && (waits || (self.has_room() && self.gathering.is_waiting()));
        // Without `next_start`, `run` has started what it could at once.
        if waits {
            return self.next_start;
        }
        let (at, _) = self.next_retry().filter(|_| !ended && self.has_room())?;
        Some(self.next_start.map_or(at, |next| next.max(at)))
    }

    pub(crate) fn pacing(&self) -> Duration {
        let stated = self.current.remote.as_ref().and_then(|remote| remote.pacing);
        // RFC 8445 §14.2: of two values, the longer; what a peer may ask for has an end.
        stated.map_or(self.config.pacing, |stated| stated.clamp(self.config.pacing, Duration::from_secs(1)))
    }

    pub(crate) fn has_room(&self) -> bool {
        self.transactions.len() < usize::from(self.config.transactions_max)
    }

    fn start_next(&mut self, now: Instant) -> bool {
        if !self.has_room() {
            return false;
        }
        if self.current.remote.is_some() && self.config.mode == crate::Mode::Full {
            // RFC 8445 §6.1.4.2: triggered checks go first.
            while let Some(id) = self.current.triggered.pop_front() {
                if self.start_check(id, None, now) {
                    return true;
                }
            }
            if self.gathering.yields_to_checks()
                && let Some(id) = self.current.next_waiting()
            {
                return self.start_check(id, None, now);
            }
        }
        self.gather_next(now) || self.retry(now)
    }

    /// The pair that is to be checked again although no answer came, and when. A relay by TCP may stand still for longer
    /// than a check lasts; and where the peer is not heard, nothing triggers another (RFC 8863 §4).
    fn next_retry(&self) -> Option<(Instant, PairId)> {
        let patience_ends = self.patience_ends_at().filter(|_| !self.current.has_valid())?;
        let due = |pair: &Pair| {
            let at = pair.next_check_at.or(pair.started_at)?;
            let consent = pair.confirmed_at.is_none_or(|confirmed| at < confirmed + CONSENT);
            (pair.is_unanswered() && consent && at < patience_ends).then_some((at, Reverse(pair.priority), pair.id))
        };
        self.current.pairs.iter().filter_map(due).min().map(|(at, _, id)| (at, id))
    }

    /// The pair stays Failed until it is answered: it makes room for others, and nothing waits for it.
    fn retry(&mut self, now: Instant) -> bool {
        let generation = self.current.number;
        let Some((_, id)) = self.next_retry().filter(|(at, _)| *at <= now) else { return false };
        let Some(pair) = self.current.pair_mut(id) else { return false };
        pair.next_check_at = Some(now + RETRY);
        let Some(flow) = pair.flow else { return false };
        let path = (flow, pair.local_address, pair.remote_address);
        self.begin(generation, Purpose::Check { pair: id, nominate: None }, path, now + RETRY, now);
        true
    }

    /// Sends a check on a pair of the current generation.
    pub(crate) fn start_check(&mut self, id: PairId, nominate: Option<u32>, now: Instant) -> bool {
        let generation = self.current.number;
        let Some(pair) = self.current.pair_mut(id) else { return false };
        // It may have been triggered before it came to its end.
        let over = pair.failure == Some(Failure::FlowClosed) || pair.has_lost_consent();
        if (nominate.is_none() && pair.state == PairState::Succeeded) || (over && pair.state == PairState::Failed) {
            return false;
        }
        let (flow, local, remote) = (pair.flow, pair.local_address, pair.remote_address);
        if pair.state != PairState::Succeeded {
            pair.state = PairState::InProgress;
            pair.failure = None;
        }
        pair.started_at.get_or_insert(now);
        // RFC 8445 §7.3.1.4: what was on its way is sent no more, but its answer still counts.
        let mut others = 0;
        for transaction in &mut self.transactions {
            if transaction.is_check_of(generation, id) {
                transaction.next_send = None;
                others += 1;
            }
        }
        if others >= PER_PAIR_MAX {
            let oldest = self.transactions.iter().position(|it| it.is_check_of(generation, id));
            oldest.map(|index| self.transactions.remove(index));
        }
        let Some(flow) = flow else {
            return self.connect(id, local, remote, now);
        };
        let purpose = Purpose::Check { pair: id, nominate };
        let expires = now + self.check_timeout(flow);
        self.begin(generation, purpose, (flow, local, remote), expires, now);
        true
    }

    fn check_timeout(&self, flow: FlowId) -> Duration {
        let timeout = self.config.check_timeout;
        let is_stream = self.streams.iter().any(|stream| stream.flow == flow);
        if is_stream { timeout.max(RELIABLE_TIMEOUT) } else { timeout }
    }

    /// The peer was heard on a pair whose check is on its way (RFC 8445 §7.3.1.4): a check goes out at once. It is the same
    /// one again while it is young: a new one each time would be given up before its answer, where the way is long.
    pub(crate) fn hurry(&mut self, id: PairId, now: Instant) {
        let (generation, pacing) = (self.current.number, self.pacing());
        let young = |it: &&mut Transaction| {
            let age = now.saturating_duration_since(it.started_at);
            it.is_check_of(generation, id) && age < FAST_FOR && (it.next_send.is_some() || it.reliable)
        };
        match self.transactions.iter_mut().find(young) {
            None => self.current.trigger(id),
            Some(transaction) => {
                let recent = transaction.last_sent.is_none_or(|at| now.saturating_duration_since(at) < pacing);
                if !recent && !transaction.reliable {
                    transaction.next_send = Some(now);
                }
            }
        }
    }

    /// Asks the caller for a connection; the check follows it (RFC 6544 §7.1).
    fn connect(&mut self, id: PairId, local: SocketAddr, remote: SocketAddr, now: Instant) -> bool {
        let generation = self.current.number;
        let asked = |it: &Transaction| it.generation == generation && it.purpose == Purpose::Connect { pair: id };
        if self.transactions.iter().any(asked) {
            return false;
        }
        let request = Request(u64::from(generation) << 32 | u64::from(id.0));
        let expires = now + RELIABLE_TIMEOUT.max(self.config.check_timeout);
        self.begin(generation, Purpose::Connect { pair: id }, (FlowId(u32::MAX), local, remote), expires, now);
        if let Some(transaction) = self.transactions.last_mut() {
            transaction.next_send = None;
        }
        self.push_event(Event::Connect { request, local, remote });
        true
    }

    /// A check of a pair that works: for its liveness and consent. It is sent once (RFC 7675 §5.1).
    pub(crate) fn start_keep(&mut self, generation: u32, id: PairId, now: Instant) {
        let full = !self.has_room();
        let Some(pair) = self.generation_mut(generation).and_then(|it| it.pair_mut(id)) else { return };
        let (Some(flow), false) = (pair.flow, full) else { return };
        pair.unanswered_since.get_or_insert(now);
        let path = (flow, pair.local_address, pair.remote_address);
        self.begin(generation, Purpose::Keep { pair: id }, path, now + KEEP_TIMEOUT, now);
    }

    pub(crate) fn begin(
        &mut self,
        generation: u32,
        purpose: Purpose,
        path: (FlowId, SocketAddr, SocketAddr),
        expires: Instant,
        now: Instant,
    ) {
        let (flow, local, remote) = path;
        self.transactions.push(Transaction {
            id: TransactionId(self.entropy.bytes()),
            generation,
            purpose,
            flow,
            local,
            remote,
            role: self.role,
            reliable: self.streams.iter().any(|stream| stream.flow == flow),
            started_at: now,
            sends: 0,
            last_sent: None,
            next_send: Some(now),
            expires,
            queued: false,
        });
    }

    /// Queues for `poll_transmit` what is due.
    pub(crate) fn queue_due(&mut self, now: Instant) {
        for transaction in &mut self.transactions {
            if !transaction.queued && transaction.next_send.is_some_and(|due| due <= now) {
                transaction.queued = true;
                self.outbox.push_back(Outgoing::Request(transaction.id));
            }
        }
    }

    pub(crate) fn transactions_due_at(&self) -> Option<Instant> {
        let due = |it: &Transaction| {
            if it.queued { it.expires } else { it.next_send.map_or(it.expires, |next| next.min(it.expires)) }
        };
        self.transactions.iter().map(due).min()
    }

    /// A request was written: when to send it again?
    pub(crate) fn note_sent(&mut self, id: TransactionId, now: Instant) {
        let Some(index) = self.transactions.iter().position(|it| it.id == id) else { return };
        let again = self.retransmit_after(&self.transactions[index], now);
        let transaction = &mut self.transactions[index];
        transaction.queued = false;
        transaction.sends = transaction.sends.saturating_add(1);
        transaction.last_sent = Some(now);
        transaction.next_send = again.map(|after| now + after);
        let (generation, purpose) = (transaction.generation, transaction.purpose);
        if let Purpose::Check { pair, .. } | Purpose::Keep { pair } = purpose
            && let Some(pair) = self.generation_mut(generation).and_then(|it| it.pair_mut(pair))
        {
            pair.checks_sent = pair.checks_sent.saturating_add(1);
        }
    }

    fn retransmit_after(&self, transaction: &Transaction, now: Instant) -> Option<Duration> {
        if transaction.reliable {
            return None; // RFC 8489 §6.2.2
        }
        // RFC 8489 §6.2.1, from a shorter start.
        let doubled = |base: Duration| base * (1 << transaction.sends.min(5));
        match transaction.purpose {
            Purpose::Keep { .. } | Purpose::Connect { .. } => None,
            Purpose::Gather { .. } => Some(doubled(Duration::from_millis(100))),
            Purpose::Check { pair, nominate } => {
                let generation = self.generation(transaction.generation)?;
                let young = now.saturating_duration_since(transaction.started_at) < FAST_FOR;
                let pair = generation.pair(pair).filter(|pair| !pair.is_unanswered())?; // else `retry` sends the next
                let chosen = generation.selected_pair();
                let hurry = nominate.is_some() || chosen.is_none_or(|chosen| chosen.priority < pair.priority);
                if young && hurry {
                    // RFC 8445 §14.3: all checks together keep to the pacing.
                    let busy = generation.pairs.iter().filter(|pair| pair.state == PairState::InProgress).count();
                    return Some(self.config.retransmit.max(self.pacing() * busy as u32));
                }
                // What would be used goes on steadily: the peer may need long to open its side, where it is checked less.
                if hurry { Some(SLOW) } else { Some(doubled(SLOW)) }
            }
        }
    }

    /// Ends what has waited long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(index) = self.transactions.iter().position(|it| it.expires <= now) {
            let transaction = self.transactions.remove(index);
            match transaction.purpose {
                Purpose::Check { pair, .. } => self.check_failed(&transaction, pair, Failure::NoResponse),
                Purpose::Connect { pair } => self.check_failed(&transaction, pair, Failure::ConnectFailed),
                Purpose::Keep { .. } | Purpose::Gather { .. } => {}
            }
        }
        self.gathering_progress(now);
    }

    /// A check got no answer, or a bad one.
    pub(crate) fn check_failed(&mut self, transaction: &Transaction, id: PairId, failure: Failure) {
        let newer =
            |it: &Transaction| it.is_check_of(transaction.generation, id) && it.started_at > transaction.started_at;
        let others = self.transactions.iter().any(newer);
        let Some(generation) = self.generation_mut(transaction.generation) else { return };
        let nominating = matches!(transaction.purpose, Purpose::Check { nominate: Some(_), .. });
        if nominating && generation.nominating == Some(id) {
            generation.nominating = None;
        }
        let Some(pair) = generation.pair_mut(id) else { return };
        // A nomination that fails ends the pair (RFC 8445 §8.1.1); another check only if no newer one is on its way.
        if nominating || (pair.state == PairState::InProgress && !others) {
            pair.fail(failure);
        }
        generation.thaw();
    }

    /// Drops the checks of a pair that has been answered, but not its nomination.
    pub(crate) fn forget_checks(&mut self, generation: u32, id: PairId) {
        self.transactions
            .retain(|it| !(it.generation == generation && it.purpose == Purpose::Check { pair: id, nominate: None }));
    }

    /// Writes one message and answers its path; `None` if it has become pointless.
    pub(crate) fn write_outgoing(
        &self,
        outgoing: &Outgoing,
        out: &mut Vec<u8>,
    ) -> Option<(FlowId, SocketAddr, SocketAddr)> {
        let flow = match outgoing {
            Outgoing::Request(id) => self.transactions.iter().find(|it| it.id == *id)?.flow,
            Outgoing::Answer(answer) => answer.flow,
        };
        let framed = self.streams.iter().any(|stream| stream.flow == flow);
        let start = out.len();
        if framed {
            out.extend_from_slice(&[0, 0]);
        }
        let (local, remote) = match outgoing {
            Outgoing::Request(id) => self.write_request(id, out)?,
            Outgoing::Answer(answer) => self.write_answer(answer, out)?,
        };
        if framed {
            let length = (out.len() - start - 2) as u16;
            out[start..start + 2].copy_from_slice(&length.to_be_bytes());
        }
        Some((flow, local, remote))
    }

    fn write_request(&self, id: &TransactionId, out: &mut Vec<u8>) -> Option<(SocketAddr, SocketAddr)> {
        let transaction = self.transactions.iter().find(|it| it.id == *id)?;
        transaction.next_send?; // or it was cancelled since
        let path = (transaction.local, transaction.remote);
        let mut writer = binding(Class::Request, transaction.id, out);
        let (id, nominate) = match transaction.purpose {
            Purpose::Gather { .. } => {
                writer.fingerprint();
                return Some(path);
            }
            Purpose::Connect { .. } => return None,
            Purpose::Check { pair, nominate } => (pair, nominate),
            Purpose::Keep { pair } => (pair, self.nominated_still(transaction.generation, pair)),
        };
        let generation = self.generation(transaction.generation)?;
        let remote = generation.remote.as_ref()?;
        let pair: &Pair = generation.pair(id)?;
        let local = self.local(pair.local)?;
        // RFC 8445 §7.2.2: the peer's ufrag, a colon, and ours.
        let (theirs, ours) = (remote.credentials.ufrag().as_bytes(), generation.local.ufrag().as_bytes());
        writer.attribute(Attribute::USERNAME, &[theirs, b":", ours]);
        if let Some(network) = local.network {
            writer.attribute(Attribute::NETWORK_COST, &[&network.id.to_be_bytes(), &network.cost.to_be_bytes()]);
        }
        let tie_breaker = self.tie_breaker.to_be_bytes();
        match transaction.role {
            Role::Controlling => writer.attribute(Attribute::ICE_CONTROLLING, &[&tie_breaker]),
            Role::Controlled => writer.attribute(Attribute::ICE_CONTROLLED, &[&tie_breaker]),
        }
        if let Some(nomination) = nominate {
            writer.attribute(Attribute::USE_CANDIDATE, &[]);
            if nomination > 0 {
                writer.attribute(Attribute::NOMINATION, &[&nomination.to_be_bytes()]);
            }
        }
        // RFC 8445 §7.1.1: the priority that a peer-reflexive candidate from here would have.
        writer.attribute(Attribute::PRIORITY, &[&local.reflexive_priority().to_be_bytes()]);
        stun::sign(writer, remote.credentials.password().as_bytes());
        Some(path)
    }

    /// Each check of the nominated pair says that it still is: a peer that has followed an older nomination, or changed
    /// its role and forgotten this one, comes back.
    fn nominated_still(&self, number: u32, id: PairId) -> Option<u32> {
        let generation = self.generation(number)?;
        let chosen = self.role == Role::Controlling && generation.selected == Some(id);
        if chosen { generation.pair(id)?.nomination } else { None }
    }

    fn write_answer(&self, answer: &Answer, out: &mut Vec<u8>) -> Option<(SocketAddr, SocketAddr)> {
        let class = if matches!(answer.body, Body::Success) { Class::Success } else { Class::Error };
        let mut writer = binding(class, answer.transaction, out);
        match answer.body {
            Body::Success => writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, answer.remote),
            Body::Error(code) => writer.error_code(ErrorCode(code), ""),
            Body::Unknown(unknown) => {
                writer.error_code(ErrorCode::UNKNOWN_ATTRIBUTE, "");
                writer.unknown_attributes(&unknown);
            }
        }
        match answer.signed {
            Some(number) => stun::sign(writer, self.generation(number)?.local.password().as_bytes()),
            None => writer.fingerprint(),
        }
        Some((answer.local, answer.remote))
    }
}
