//! The axes of the matrix, and its cells.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use plenary_netsim::Hairpin;

/// What is before a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    /// Nothing: a public address.
    Open,
    /// Mapping and filtering endpoint-independent.
    FullCone,
    /// Mapping endpoint-independent, filtering by address.
    Restricted,
    /// Mapping endpoint-independent, filtering by address and port.
    PortRestricted,
    /// Mapping and filtering by address and port, random ports.
    Symmetric,
    /// No UDP, and TCP to port 443 alone.
    Blocked,
}

pub(crate) const DOORS: [Door; 6] =
    [Door::Open, Door::FullCone, Door::Restricted, Door::PortRestricted, Door::Symmetric, Door::Blocked];

/// Where the two peers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Each behind a door of its own.
    Apart([Door; 2]),
    /// In one network behind one NAT. `hidden`: they do not tell each other their host candidates.
    Together { door: Door, hairpin: Loop, hidden: bool },
    /// Each behind a NAT of its own, both behind the same carrier's.
    Carrier { doors: [Door; 2], carrier: Door, hairpin: Loop },
    /// A behind two NATs, B behind another door.
    Double { home: Door, carrier: Door, other: Door },
}

/// Which families a peer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stack {
    V4,
    /// IPv6 alone. It is not translated: what is before the peer only filters, as its NAT would.
    V6,
    Dual,
    /// IPv6 alone, and what is before the peer is a NAT64 as well.
    Nat64,
}

impl Stack {
    pub(crate) const fn has_ipv4(self) -> bool {
        matches!(self, Self::V4 | Self::Dual)
    }

    pub(crate) const fn has_ipv6(self) -> bool {
        !matches!(self, Self::V4)
    }
}

/// The well-known prefix of NAT64, RFC 6052 §2.1.
pub(crate) const PREFIX: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

/// An IPv4 address as a peer behind a NAT64 names it.
pub(crate) fn synthesized(address: SocketAddr) -> SocketAddr {
    let SocketAddr::V4(it) = address else { return address };
    let ip = Ipv6Addr::from_bits(PREFIX.to_bits() | u128::from(it.ip().to_bits()));
    SocketAddr::new(ip.into(), it.port())
}

/// The address outside that it names.
pub(crate) fn unsynthesized(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(it) if it.ip().to_bits() >> 32 == PREFIX.to_bits() >> 32 => {
            SocketAddr::new(Ipv4Addr::from_bits(it.ip().to_bits() as u32).into(), it.port())
        }
        _ => address,
    }
}

/// [`Hairpin`], in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loop {
    Off,
    External,
    Internal,
}

impl From<Loop> for Hairpin {
    fn from(hairpin: Loop) -> Self {
        match hairpin {
            Loop::Off => Self::Off,
            Loop::External => Self::External,
            Loop::Internal => Self::Internal,
        }
    }
}

/// How peers reach their relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    None,
    Udp,
    Tcp,
    /// A stream that needs a round trip more before it is of use.
    Tls,
}

/// What the outcome depends on. A is index 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) place: Place,
    pub(crate) stacks: [Stack; 2],
    /// A peer behind a NAT64 knows its prefix (RFC 7050), and so can name IPv4 candidates of the other.
    pub(crate) prefix: bool,
    pub(crate) turn: Turn,
    /// Who has a relay.
    pub(crate) relayed: [bool; 2],
    /// Both have it at one server.
    pub(crate) one_server: bool,
    pub(crate) lite: Option<usize>,
    /// Where both are full.
    pub(crate) a_controls: bool,
    /// Open peers accept streams at port 443, the others open them.
    pub(crate) tcp: bool,
}

/// One run: a cell, and what must not matter for its outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) cell: Cell,
    /// Of 100, each way.
    pub(crate) loss: u8,
    /// In milliseconds.
    pub(crate) rtt: u64,
    /// Candidates are told one by one, and on their way for a while; without loss from the start, with loss once all are
    /// gathered. Else all at one instant.
    pub(crate) trickle: bool,
    pub(crate) seed: u64,
}

impl Cell {
    pub(crate) const fn controlling(&self) -> usize {
        match self.lite {
            Some(lite) => 1 - lite,
            None if self.a_controls => 0,
            None => 1,
        }
    }

    pub(crate) fn is_open(&self, peer: usize) -> bool {
        match self.place {
            _ if self.stacks[peer] == Stack::Nat64 => false,
            Place::Apart(doors) => doors[peer] == Door::Open,
            Place::Double { other, .. } => peer == 1 && other == Door::Open,
            Place::Together { .. } | Place::Carrier { .. } => false,
        }
    }

    pub(crate) const fn hides_hosts(&self) -> bool {
        matches!(self.place, Place::Together { hidden: true, .. })
    }

    pub(crate) const fn is_lite(&self, peer: usize) -> bool {
        matches!(self.lite, Some(lite) if lite == peer)
    }

    /// By which names this peer can send to an address of the other: from its relay as it is, and by its NAT64.
    pub(crate) fn names(&self, peer: usize, address: SocketAddr) -> Vec<SocketAddr> {
        let translated = address.is_ipv4() && self.stacks[peer] == Stack::Nat64 && self.prefix;
        [Some(address), translated.then(|| synthesized(address))].into_iter().flatten().collect()
    }

    pub(crate) const fn has_relay(&self, peer: usize) -> bool {
        self.relayed[peer] && !matches!(self.turn, Turn::None) && !self.is_lite(peer)
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { place, stacks, prefix, turn, relayed, one_server, lite, a_controls, tcp } = self.cell;
        write!(
            f,
            "{place:?}, {stacks:?}, prefix {prefix}, turn {turn:?} for {relayed:?}, one server {one_server}, \
             lite {lite:?}, A controls {a_controls}, ICE-TCP {tcp}"
        )?;
        let Self { loss, rtt, trickle, seed, .. } = self;
        write!(f, "; loss {loss} %, RTT {rtt} ms, trickle {trickle}, seed {seed:#x}")
    }
}

/// A place, and which families its peers have.
pub(crate) type Ground = (Place, [Stack; 2]);

pub(crate) const STACKS: [Stack; 4] = [Stack::V4, Stack::V6, Stack::Dual, Stack::Nat64];

/// Apart: all pairs of doors, with IPv4.
pub(crate) fn apart() -> Vec<Ground> {
    DOORS.into_iter().flat_map(|a| DOORS.map(|b| (Place::Apart([a, b]), [Stack::V4; 2]))).collect()
}

/// The same with all other pairs of stacks.
pub(crate) fn families() -> Vec<Ground> {
    let stacks = STACKS.into_iter().flat_map(|a| STACKS.map(|b| [a, b])).filter(|stacks| *stacks != [Stack::V4; 2]);
    stacks.flat_map(|stacks| apart().into_iter().map(move |(place, _)| (place, stacks))).collect()
}

/// Behind one NAT.
pub(crate) fn together(stacks: &[Stack]) -> Vec<Ground> {
    let mut grounds = Vec::new();
    for &stack in stacks {
        for &door in &DOORS[1..] {
            for hairpin in [Loop::Off, Loop::External, Loop::Internal] {
                grounds.extend([false, true].map(|hidden| (Place::Together { door, hairpin, hidden }, [stack; 2])));
            }
        }
    }
    grounds
}

/// Behind two.
pub(crate) fn nested() -> Vec<Ground> {
    let nats = [Door::FullCone, Door::Restricted, Door::PortRestricted, Door::Symmetric];
    let mut places = Vec::new();
    for home in nats {
        for carrier in nats {
            places.extend(DOORS.map(|other| Place::Double { home, carrier, other }));
            for hairpin in [Loop::Off, Loop::External] {
                places.extend([Door::FullCone, Door::PortRestricted, Door::Symmetric].map(|other| Place::Carrier {
                    doors: [home, other],
                    carrier,
                    hairpin,
                }));
            }
        }
    }
    places.into_iter().map(|place| (place, [Stack::V4; 2])).collect()
}

/// Ways to meet on a ground: each relay, and both full or one of them lite.
const WAYS: usize = 12;

/// The cells of these grounds: of the ways of each, one in `share` (1 to 12, a divisor of 12), others in each round; and
/// what else there is as the seed chooses.
pub(crate) fn cells(grounds: &[Ground], round: usize, share: usize) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (index, &(place, stacks)) in grounds.iter().enumerate() {
        for way in (0..WAYS).filter(|way| (index * 5 + round * 7 + way).is_multiple_of(share)) {
            // A permutation of 3 × 2 × 2 × 2 × 2.
            let choice = (cells.len() * 7 + round * 5) % 48;
            let is_set = |weight: usize| (choice / weight).is_multiple_of(2);
            cells.push(Cell {
                place,
                stacks,
                prefix: is_set(24),
                turn: [Turn::None, Turn::Udp, Turn::Tcp, Turn::Tls][way % 4],
                relayed: [[true, true], [true, false], [false, true]][choice % 3],
                one_server: is_set(12),
                lite: [None, Some(0), Some(1)][way / 4],
                a_controls: is_set(3),
                tcp: is_set(6),
            });
        }
    }
    cells
}
