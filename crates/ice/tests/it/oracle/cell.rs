//! The axes of the matrix, and its cells.

use std::fmt;

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
}

/// What the outcome depends on. A is index 0 and controls if `a_controls`, or if B is lite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) place: Place,
    pub(crate) turn: Turn,
    /// Who has a relay.
    pub(crate) relayed: [bool; 2],
    pub(crate) b_is_lite: bool,
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
        if self.a_controls || self.b_is_lite { 0 } else { 1 }
    }

    pub(crate) fn is_open(&self, peer: usize) -> bool {
        match self.place {
            Place::Apart(doors) => doors[peer] == Door::Open,
            Place::Double { other, .. } => peer == 1 && other == Door::Open,
            Place::Together { .. } | Place::Carrier { .. } => false,
        }
    }

    pub(crate) const fn hides_hosts(&self) -> bool {
        matches!(self.place, Place::Together { hidden: true, .. })
    }

    pub(crate) const fn is_lite(&self, peer: usize) -> bool {
        self.b_is_lite && peer == 1
    }

    pub(crate) const fn has_relay(&self, peer: usize) -> bool {
        self.relayed[peer] && !matches!(self.turn, Turn::None) && !self.is_lite(peer)
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { place, turn, relayed, b_is_lite, a_controls, tcp } = self.cell;
        write!(
            f,
            "{place:?}, turn {turn:?} for {relayed:?}, lite {b_is_lite}, A controls {a_controls}, ICE-TCP {tcp}"
        )?;
        let Self { loss, rtt, trickle, seed, .. } = self;
        write!(f, "; loss {loss} %, RTT {rtt} ms, trickle {trickle}, seed {seed:#x}")
    }
}

/// Apart: all pairs of doors.
pub(crate) fn apart() -> Vec<Place> {
    DOORS.into_iter().flat_map(|a| DOORS.map(|b| Place::Apart([a, b]))).collect()
}

/// Behind one NAT.
pub(crate) fn together() -> Vec<Place> {
    let mut places = Vec::new();
    for &door in &DOORS[1..] {
        for hairpin in [Loop::Off, Loop::External, Loop::Internal] {
            places.extend([false, true].map(|hidden| Place::Together { door, hairpin, hidden }));
        }
    }
    places
}

/// Behind two.
pub(crate) fn nested() -> Vec<Place> {
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
    places
}

/// The cells of these places: each relay, full and lite, and what the seed chooses.
pub(crate) fn cells(places: &[Place], round: u64) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &place in places {
        for turn in [Turn::None, Turn::Udp, Turn::Tcp] {
            for b_is_lite in [false, true] {
                // Who has the relay, who controls, and whether there is ICE-TCP: a permutation of 3 × 2 × 2.
                let choice = (cells.len() as u64).wrapping_mul(7).wrapping_add(round.wrapping_mul(5)) % 12;
                let relayed = [[true, true], [true, false], [false, true]][(choice % 3) as usize];
                let (a_controls, tcp) = ([0, 1, 2, 6, 7, 8].contains(&choice), choice < 6);
                cells.push(Cell { place, turn, relayed, b_is_lite, a_controls, tcp });
            }
        }
    }
    cells
}
