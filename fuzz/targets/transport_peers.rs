#![no_main]
//! Two transports whose ICE is done, and between them a network that does what it wants with their DTLS.

use std::collections::{BTreeSet, VecDeque};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_ice::{LocalCandidate, Mode, Role};
use plenary_transport::{Certificate, CloseReason, Config, Connected, DtlsVersions, Event, Setup, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit};

/// More than a transport holds under the worst, see its README, and what the wire here holds of two.
const BYTES_MAX: u64 = 1_000_000;
/// Datagrams that may come of one call: two flights, and STUN.
const ANSWERS_MAX: usize = 48;
const WIRE_MAX: usize = 64;
/// So long after the start a handshake that nobody disturbs has still time to come to an end.
const IN_TIME: Duration = Duration::from_secs(3);

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    /// All that is on its way arrives in order, but for those that are lost: a bit for each of the first 8 to each side.
    Run {
        lost: u16,
    },
    /// One of the datagrams on their way to this side.
    Deliver {
        to: bool,
        which: u8,
    },
    /// The same, and it stays on its way.
    Copy {
        to: bool,
        which: u8,
    },
    Lose {
        to: bool,
        which: u8,
    },
    Damage {
        to: bool,
        which: u8,
        at: u16,
        mask: u8,
    },
    Cut {
        to: bool,
        which: u8,
        len: u16,
    },
    /// Two datagrams as one.
    Join {
        to: bool,
        which: u8,
        other: u8,
    },
    Raw {
        to: bool,
        bytes: &'a [u8],
    },
    /// A record, as anybody can write one.
    Record {
        to: bool,
        kind: u8,
        epoch: u8,
        number: u16,
        body: &'a [u8],
    },
    /// A fragment of a handshake message in one.
    Fragment {
        to: bool,
        kind: u8,
        message: u8,
        length: u16,
        offset: u16,
        part: &'a [u8],
    },
    /// A part of a fragment that is on its way, as a fragment of its own.
    Part {
        to: bool,
        which: u8,
        from: u16,
        len: u16,
    },
    Media {
        from: bool,
    },
    Pass {
        milliseconds: u16,
    },
    Close {
        side: bool,
    },
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    client: u8,
    server: u8,
    setup: u8,
    lite: bool,
    certificates: u8,
    operations: Vec<Operation<'a>>,
}

/// One as all have, and one that takes several datagrams.
static CERTIFICATES: LazyLock<[Certificate; 2]> = LazyLock::new(|| {
    [
        &include_bytes!("../seeds/transport_certificate/small")[..],
        include_bytes!("../seeds/transport_certificate/large"),
    ]
    .map(|seed| {
        let (length, rest) = seed.split_first_chunk().expect("two bytes");
        let (der, key) = rest.split_at(u16::from_be_bytes(*length).into());
        Certificate::from_der(der, key).expect("they belong together")
    })
});

struct Side {
    transport: Transport,
    connected: Option<Connected>,
    closed: Option<CloseReason>,
    /// On their way to this side.
    coming: VecDeque<Vec<u8>>,
    sent: u16,
    heard: BTreeSet<Vec<u8>>,
}

struct World {
    now: Instant,
    began: Instant,
    sides: [Side; 2],
    /// Whether anything but loss, order, copies and time was at work.
    tampered: bool,
    closes: bool,
}

fuzz_target!(|input: Input<'_>| {
    // Made once, and no part of what an input holds.
    LazyLock::force(&CERTIFICATES);
    let held = allocation_counter::measure(|| {
        let mut world = World::new(&input);
        for operation in &input.operations {
            world.apply(operation);
            world.check();
        }
        world.end();
    });
    assert!(held.bytes_max < BYTES_MAX, "{held:?}");
});

impl World {
    fn new(input: &Input<'_>) -> Self {
        #[allow(clippy::disallowed_methods, reason = "an instant to start from")]
        let now = Instant::now();
        let versions =
            |number: u8| [DtlsVersions::Dtls12, DtlsVersions::Dtls13, DtlsVersions::Both][usize::from(number) % 3];
        let side = |of: usize| {
            let mut config =
                Config::new(CERTIFICATES[usize::from(input.certificates >> of & 1)].clone(), [of as u8 + 1; 32]);
            (config.dtls_client, config.dtls_server) = (versions(input.client), versions(input.server));
            config.ice.role = if of == 0 { Role::Controlling } else { Role::Controlled };
            if of == 1 {
                config.setup = [Setup::Active, Setup::Passive][usize::from(input.setup) % 2];
                config.ice.mode = if input.lite { Mode::Lite } else { Mode::Full };
            }
            let mut transport = Transport::new(config, now).expect("within the ranges");
            transport.add_local_candidate(LocalCandidate::host(FlowId(0), address(of)), now).expect("one");
            let (coming, heard) = (VecDeque::new(), BTreeSet::new());
            Side { transport, connected: None, closed: None, coming, sent: 0, heard }
        };
        let mut world = Self { now, began: now, sides: [side(0), side(1)], tampered: false, closes: false };
        for (from, to) in [(0, 1), (1, 0)] {
            let parameters = world.sides[from].transport.local_parameters();
            let candidates = world.sides[from].transport.ice().local_candidates();
            let to = &mut world.sides[to].transport;
            to.set_remote(parameters, now).expect("a description");
            for candidate in candidates {
                to.add_remote_candidate(candidate, now);
            }
        }
        while world.sides.iter().any(|side| side.transport.path().is_none()) {
            world.pass(Duration::from_millis(10));
        }
        world.began = world.now;
        world
    }

    fn apply(&mut self, operation: &Operation<'_>) {
        match *operation {
            Operation::Run { lost } => {
                for to in [0, 1] {
                    let coming = std::mem::take(&mut self.sides[to].coming);
                    for (number, bytes) in coming.into_iter().enumerate() {
                        if number >= 8 || lost >> (8 * to + number) & 1 == 0 {
                            self.give(to, bytes);
                        }
                    }
                }
                self.pass(Duration::from_millis(10));
            }
            Operation::Deliver { to, which } => {
                if let Some(bytes) = self.take(to, which) {
                    self.give(to.into(), bytes);
                }
            }
            Operation::Copy { to, which } => {
                if let Some(bytes) = self.peek(to, which) {
                    self.give(to.into(), bytes);
                }
            }
            Operation::Lose { to, which } => {
                self.take(to, which);
            }
            Operation::Damage { to, which, at, mask } => {
                if let Some(mut bytes) = self.peek(to, which) {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] ^= mask;
                    self.forge(to, bytes);
                }
            }
            Operation::Cut { to, which, len } => {
                if let Some(mut bytes) = self.peek(to, which) {
                    bytes.truncate(usize::from(len) % bytes.len());
                    self.forge(to, bytes);
                }
            }
            Operation::Join { to, which, other } => {
                if let (Some(one), Some(other)) = (self.peek(to, which), self.peek(to, other)) {
                    self.give(to.into(), [one, other].concat());
                }
            }
            Operation::Raw { to, bytes } => self.forge(to, bytes.to_vec()),
            Operation::Record { to, kind, epoch, number, body } => self.forge(to, record(kind, epoch, number, body)),
            Operation::Fragment { to, kind, message, length, offset, part } => {
                let bytes = fragment([kind, message], length.into(), offset.into(), part);
                self.forge(to, record(22, 0, offset, &bytes));
            }
            Operation::Part { to, which, from, len } => {
                if let Some(bytes) = self.peek(to, which).and_then(|bytes| part(&bytes, from, len)) {
                    // Of later messages 1.2 takes no fragments that overlap.
                    self.tampered |= bytes[13] != 1;
                    self.give(to.into(), bytes);
                }
            }
            Operation::Media { from } => self.send(from.into()),
            Operation::Pass { milliseconds } => self.pass(Duration::from_millis(milliseconds.into())),
            Operation::Close { side } => {
                self.closes = true;
                self.sides[usize::from(side)].transport.close(self.now);
                self.drain();
            }
        }
    }

    fn take(&mut self, to: bool, which: u8) -> Option<Vec<u8>> {
        let coming = &mut self.sides[usize::from(to)].coming;
        coming.remove(usize::from(which) % coming.len().max(1))
    }

    fn peek(&self, to: bool, which: u8) -> Option<Vec<u8>> {
        let coming = &self.sides[usize::from(to)].coming;
        coming.get(usize::from(which) % coming.len().max(1)).cloned()
    }

    fn forge(&mut self, to: bool, bytes: Vec<u8>) {
        // An authenticated check would be ICE's business.
        if bytes.first().is_some_and(|&first| first >= 4) {
            self.tampered = true;
            self.give(to.into(), bytes);
        }
    }

    fn give(&mut self, to: usize, mut bytes: Vec<u8>) {
        let (local, remote) = (address(to), address(1 - to));
        let datagram = Datagram { flow: FlowId(0), local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
        let handled = self.sides[to].transport.handle_datagram(datagram, self.now);
        let media = if let Handled::Rtp(packet) = handled { Some(packet.to_vec()) } else { None };
        self.drain();
        if let Some(packet) = media {
            assert!(self.sides[to].connected.is_some(), "media only after keys");
            let number = u16::from_be_bytes([packet[2], packet[3]]);
            assert_eq!(packet, rtp(1 - to, number), "as it was sent");
            assert!(number < self.sides[1 - to].sent);
            assert!(self.sides[to].heard.insert(packet), "once");
        }
    }

    fn send(&mut self, from: usize) {
        let side = &mut self.sides[from];
        let Some(profile) = side.transport.profile() else { return };
        let mut packet = rtp(from, side.sent);
        packet.resize(packet.len() + profile.rtp_overhead(), 0);
        if side.transport.protect_rtp(&mut packet, Some(side.sent.into())).is_ok() {
            assert!(side.connected.is_some() && side.closed.is_none());
            side.sent += 1;
            self.put(1 - from, packet);
        }
    }

    fn put(&mut self, to: usize, bytes: Vec<u8>) {
        let coming = &mut self.sides[to].coming;
        if coming.len() == WIRE_MAX {
            coming.pop_front();
        }
        coming.push_back(bytes);
    }

    /// Time goes by, timer by timer.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.drain();
            let due = self.sides.iter().filter_map(|side| side.transport.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            for side in &mut self.sides {
                side.transport.handle_timeout(self.now);
                let due = side.transport.poll_timeout();
                assert!(due.is_none_or(|due| due > self.now), "it comes to rest");
            }
        }
        self.now = end;
    }

    /// STUN arrives at once, and comes to no harm; all else waits on its way.
    fn drain(&mut self) {
        let mut stun = true;
        while std::mem::take(&mut stun) {
            for from in [0, 1] {
                let (mut out, mut answers) = (Vec::new(), 0);
                while let Some(transmit) = self.sides[from].transport.poll_transmit(self.now, Limit::DATAGRAM, &mut out)
                {
                    answers += 1;
                    assert!(answers <= ANSWERS_MAX, "no end of datagrams");
                    let mut bytes = transmit.bytes(&out).to_vec();
                    if bytes[0] >= 4 {
                        self.put(1 - from, bytes);
                        continue;
                    }
                    stun = true;
                    let (local, remote) = (transmit.remote, transmit.local);
                    let datagram = Datagram { flow: FlowId(0), local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
                    let _ = self.sides[1 - from].transport.handle_datagram(datagram, self.now);
                }
                while let Some(event) = self.sides[from].transport.poll_event() {
                    self.sides[from].note(event);
                }
            }
        }
    }

    fn check(&self) {
        if let [Some(one), Some(other)] = [&self.sides[0], &self.sides[1]].map(|side| side.connected) {
            assert_eq!((one.version, one.profile), (other.version, other.profile));
            assert_ne!(one.role, other.role);
        }
        for side in &self.sides {
            assert_eq!(side.closed, side.transport.closed());
            assert_eq!(side.connected.is_some(), side.transport.profile().is_some());
            if side.connected.is_some() {
                assert!(side.transport.peer_certificate().is_some());
                assert!(side.closed.is_none() || self.closes, "what a stranger writes ends nothing: {:?}", side.closed);
            }
        }
    }

    /// From here on the network is as good as can be: whom nobody has disturbed connect.
    fn end(&mut self) {
        let in_time = self.now < self.began + IN_TIME;
        for _ in 0..600 {
            if self.sides.iter().all(|side| side.connected.is_some() || side.closed.is_some()) {
                break;
            }
            for to in [0, 1] {
                while let Some(bytes) = self.sides[to].coming.pop_front() {
                    self.give(to, bytes);
                }
            }
            self.pass(Duration::from_millis(50));
            self.check();
        }
        let same = self.sides.iter().any(|side| side.closed == Some(CloseReason::NoCommonCipher));
        if in_time && !self.tampered && !self.closes && !same {
            for side in &self.sides {
                assert!(side.connected.is_some(), "{:?}", self.sides.each_ref().map(|side| side.closed));
            }
        }
    }
}

impl Side {
    fn note(&mut self, event: Event) {
        match event {
            Event::Connected(connected) => {
                assert_eq!(self.connected.replace(connected), None, "once");
                assert_eq!(self.closed, None);
            }
            Event::Closed(reason) => assert_eq!(self.closed.replace(reason), None, "once"),
            _ => {}
        }
    }
}

fn address(of: usize) -> std::net::SocketAddr {
    ([192, 0, 2, of as u8 + 1], 1000).into()
}

fn rtp(from: usize, number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    vec![0x80, 96, high, low, 0, 0, 0, 0, 0, 0, 0, from as u8, 1, 2, 3]
}

fn record(kind: u8, epoch: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0];
    bytes.extend(number.to_be_bytes());
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// RFC 6347 §4.2.2.
fn fragment([kind, message]: [u8; 2], length: usize, offset: usize, part: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(&(length as u32).to_be_bytes()[1..]);
    bytes.extend([0, message]);
    bytes.extend(&(offset as u32).to_be_bytes()[1..]);
    bytes.extend(&(part.len() as u32).to_be_bytes()[1..]);
    bytes.extend(part);
    bytes
}

/// A part of the first record, if that is a whole handshake message in the clear.
fn part(datagram: &[u8], from: u16, len: u16) -> Option<Vec<u8>> {
    let (header, rest) = datagram.split_first_chunk::<13>()?;
    let body = rest.get(..u16::from_be_bytes([header[11], header[12]]).into())?;
    let (handshake, message) = body.split_first_chunk::<12>()?;
    if header[0] != 22 || header[4] != 0 || handshake[1..4] != handshake[9..12] {
        return None;
    }
    let from = usize::from(from) % message.len().max(1);
    let part = &message[from..message.len().min(from + usize::from(len))];
    let number = u16::from_be_bytes([header[9], header[10]]);
    Some(record(22, 0, number, &fragment([handshake[0], handshake[5]], message.len(), from, part)))
}
