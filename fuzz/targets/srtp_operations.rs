#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_rtp::Ssrc;
use plenary_srtp::{DropReason, Error, MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig};

const INDEXES: u64 = 1 << 48;
const SENDER_SSRCS_MAX: usize = 5;
const RECEIVER_SSRCS_MAX: usize = 3;
const IDLE: Duration = Duration::from_secs(10);
/// What the receiver's documentation says of RTCP.
const RTCP_WINDOW: u64 = 128;

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    /// Without an index: the sequence number is so far from the highest.
    Protect {
        ssrc: u8,
        step: i16,
        payload: &'a [u8],
    },
    /// With the index so far from the highest.
    ProtectIndex {
        ssrc: u8,
        step: i32,
        payload: &'a [u8],
    },
    ProtectAt {
        ssrc: u8,
        index: u64,
    },
    ProtectRtcp {
        ssrc: u8,
        reports: u8,
    },
    Retire {
        ssrc: u8,
    },
    /// One of the packets that were protected, counted from the newest; also again.
    Deliver {
        which: u8,
    },
    Forge {
        which: u8,
        at: u8,
        mask: u8,
    },
    ExpectRollover {
        ssrc: u8,
        roc: u32,
    },
    Pass {
        seconds: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    profile: u8,
    window: u8,
    encrypt_rtcp: bool,
    accept_clear_rtcp: bool,
    operations: Vec<Operation<'a>>,
}

/// A packet on its way.
struct Protected {
    ssrc: u32,
    index: u64,
    rtcp: bool,
    clear: Vec<u8>,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Sent {
    used: BTreeSet<u64>,
    /// Indexes below this count as used.
    retired_below: u64,
    rtcp: u32,
}

struct Received {
    rtp: BTreeSet<u64>,
    rtcp: BTreeSet<u64>,
    first_roc: u32,
    heard: Instant,
}

struct World {
    sender: Sender,
    receiver: Receiver,
    profile: Profile,
    window: u64,
    now: Instant,
    encrypt_rtcp: bool,
    accept_clear_rtcp: bool,
    sent: BTreeMap<u32, Sent>,
    received: BTreeMap<u32, Received>,
    evicted: u64,
    wire: Vec<Protected>,
}

fuzz_target!(|input: Input<'_>| {
    let mut world = World::new(&input);
    for operation in &input.operations {
        world.apply(operation);
        assert_eq!(world.receiver.ssrcs(), world.received.len());
        assert!(world.received.len() <= RECEIVER_SSRCS_MAX && world.sent.len() <= SENDER_SSRCS_MAX);
        assert_eq!(world.receiver.stats().ssrcs_evicted, world.evicted);
    }
});

impl World {
    fn new(input: &Input<'_>) -> Self {
        #[allow(clippy::disallowed_methods, reason = "an instant to start from")]
        let now = Instant::now();
        let profile = Profile::ALL[usize::from(input.profile) % Profile::ALL.len()];
        let window = 64 << (input.window % 3);
        let key = MasterKey::new(profile, &[0x4b; 32][..profile.key_len()], &[0x53; 14][..profile.salt_len()]);
        let key = key.expect("the lengths are the profile's");
        let Input { encrypt_rtcp, accept_clear_rtcp, .. } = *input;
        let sender = SenderConfig { ssrcs_max: SENDER_SSRCS_MAX, window, encrypt_rtcp };
        let receiver = ReceiverConfig { ssrcs_max: RECEIVER_SSRCS_MAX, window, idle: IDLE, accept_clear_rtcp };
        Self {
            receiver: Receiver::new(&key, receiver).expect("in range"),
            sender: Sender::new(key, sender).expect("in range"),
            profile,
            window: window.into(),
            now,
            encrypt_rtcp,
            accept_clear_rtcp,
            sent: BTreeMap::new(),
            received: BTreeMap::new(),
            evicted: 0,
            wire: Vec::new(),
        }
    }

    fn apply(&mut self, operation: &Operation<'_>) {
        match *operation {
            Operation::Protect { ssrc, step, payload } => {
                let ssrc = name(ssrc);
                let highest = self.highest(ssrc);
                let sequence = (highest.unwrap_or_default() as u16).wrapping_add_signed(step);
                let index = match highest {
                    Some(highest) => closest(highest, sequence),
                    None => Some(sequence.into()),
                };
                self.protect(ssrc, sequence, None, index, payload);
            }
            Operation::ProtectIndex { ssrc, step, payload } => {
                let ssrc = name(ssrc);
                let index = self.highest(ssrc).unwrap_or_default().saturating_add_signed(step.into());
                self.protect(ssrc, index as u16, Some(index), Some(index), payload);
            }
            Operation::ProtectAt { ssrc, index } => {
                self.protect(name(ssrc), index as u16, Some(index), Some(index), b"far away");
            }
            Operation::ProtectRtcp { ssrc, reports } => self.protect_rtcp(name(ssrc), reports % 32),
            Operation::Retire { ssrc } => {
                let ssrc = name(ssrc);
                self.sender.retire(Ssrc(ssrc));
                if let Some(sent) = self.sent.get_mut(&ssrc) {
                    sent.retired_below = sent.used.last().map_or(0, |highest| highest + 1);
                }
            }
            Operation::Deliver { which } => self.deliver(which),
            Operation::Forge { which, at, mask } => self.forge(which, at, mask),
            Operation::ExpectRollover { ssrc, roc } => self.expect_rollover(name(ssrc), roc),
            Operation::Pass { seconds } => self.now += Duration::from_secs((seconds % 16).into()),
        }
    }

    fn highest(&self, ssrc: u32) -> Option<u64> {
        self.sent.get(&ssrc)?.used.last().copied()
    }

    /// `index` is what it should be protected with; `None` if that would be below 0.
    fn protect(&mut self, ssrc: u32, sequence: u16, told: Option<u64>, index: Option<u64>, payload: &[u8]) {
        let clear = rtp(ssrc, sequence, payload);
        let mut bytes = clear.clone();
        bytes.resize(clear.len() + self.profile.rtp_overhead(), 0xee);
        let untouched = bytes.clone();
        let protected = self.sender.protect_rtp(&mut bytes, told);
        let expected = self.may_protect(ssrc, told.is_some(), index);
        if expected == Err(None) {
            assert!(matches!(protected, Err(Error::IndexUsed | Error::IndexTooOld)), "{protected:?}");
        } else {
            assert_eq!(protected.map_err(Some), expected.map(|_| ()));
        }
        let Ok(index) = expected else {
            assert_eq!(bytes, untouched, "what is refused is not changed");
            return;
        };
        let fresh = self.sent.entry(ssrc).or_default().used.insert(index);
        assert!(fresh, "no index is protected twice");
        assert_eq!(self.sender.next_index(Ssrc(ssrc)), self.highest(ssrc).map(|highest| highest + 1));
        assert_eq!(bytes[..12], clear[..12]);
        self.wire.push(Protected { ssrc, index, rtcp: false, clear, bytes });
    }

    /// The index; or the error, where the documentation says which.
    fn may_protect(&self, ssrc: u32, told: bool, index: Option<u64>) -> Result<u64, Option<Error>> {
        let Some(index) = index else { return Err(None) };
        if index >= INDEXES {
            return Err(Some(if told { Error::IndexMismatch } else { Error::KeyExhausted }));
        }
        match self.sent.get(&ssrc) {
            None if self.sent.len() == SENDER_SSRCS_MAX => Err(Some(Error::TooManySsrcs)),
            None => Ok(index),
            Some(sent) => {
                let highest = sent.used.last().copied();
                let old = highest.is_some_and(|highest| index + self.window <= highest);
                if old || index < sent.retired_below || sent.used.contains(&index) { Err(None) } else { Ok(index) }
            }
        }
    }

    fn protect_rtcp(&mut self, ssrc: u32, reports: u8) {
        let clear = rtcp(ssrc, reports);
        let mut bytes = clear.clone();
        bytes.resize(clear.len() + self.profile.rtcp_overhead(), 0xee);
        let protected = self.sender.protect_rtcp(&mut bytes);
        if !self.sent.contains_key(&ssrc) && self.sent.len() == SENDER_SSRCS_MAX {
            return assert_eq!(protected, Err(Error::TooManySsrcs));
        }
        assert_eq!(protected, Ok(()));
        let sent = self.sent.entry(ssrc).or_default();
        let index = sent.rtcp;
        sent.rtcp += 1;
        // RFC 3711 §3.4, RFC 7714 §9.2: the index is before the tag of HMAC, and behind that of GCM.
        let gcm = matches!(self.profile, Profile::AeadAes128Gcm | Profile::AeadAes256Gcm);
        let at = bytes.len() - 4 - if gcm { 0 } else { self.profile.rtcp_tag_len() };
        let word = u32::from(self.encrypt_rtcp) << 31 | index;
        assert_eq!(bytes[at..at + 4], word.to_be_bytes());
        assert_eq!(bytes[8..clear.len()] == clear[8..], !self.encrypt_rtcp || clear.len() == 8);
        self.wire.push(Protected { ssrc, index: index.into(), rtcp: true, clear, bytes });
    }

    fn deliver(&mut self, which: u8) {
        let Some(place) = self.wire.len().checked_sub(1 + usize::from(which)) else { return };
        let Protected { ssrc, index, rtcp, .. } = self.wire[place];
        let expected = if rtcp { self.takes_rtcp(ssrc, index) } else { self.takes_rtp(ssrc, index) };
        let packet = &self.wire[place];
        let mut bytes = packet.bytes.clone();
        let opened = match rtcp {
            true => self.receiver.unprotect_rtcp(&mut bytes, self.now),
            false => self.receiver.unprotect_rtp(&mut bytes, self.now),
        };
        assert_eq!(opened.map(|opened| &*opened), expected.map(|()| &packet.clear[..]));
        if expected.is_ok() {
            let received = self.settle(ssrc);
            let indexes = if rtcp { &mut received.rtcp } else { &mut received.rtp };
            assert!(indexes.insert(index), "nothing comes twice");
        }
    }

    fn takes_rtp(&self, ssrc: u32, index: u64) -> Result<(), DropReason> {
        let sequence = index as u16;
        let estimate = match self.received.get(&ssrc) {
            None if self.is_full() => return Err(DropReason::TooManySsrcs),
            None => first(0, index),
            Some(known) => match known.rtp.last() {
                None => first(known.first_roc, index),
                Some(&highest) => {
                    let estimate = closest(highest, sequence).ok_or(DropReason::TooOld)?;
                    in_window(&known.rtp, estimate, self.window)?;
                    estimate
                }
            },
        };
        if estimate >= INDEXES {
            return Err(DropReason::KeyExhausted);
        }
        if estimate == index { Ok(()) } else { Err(DropReason::NotAuthentic) }
    }

    fn takes_rtcp(&self, ssrc: u32, index: u64) -> Result<(), DropReason> {
        if !self.encrypt_rtcp && !self.accept_clear_rtcp {
            return Err(DropReason::NotEncrypted);
        }
        match self.received.get(&ssrc) {
            None if self.is_full() => Err(DropReason::TooManySsrcs),
            None => Ok(()),
            Some(known) => in_window(&known.rtcp, index, RTCP_WINDOW),
        }
    }

    /// Whether there is neither room for another SSRC nor one that is idle.
    fn is_full(&self) -> bool {
        let idle = |received: &Received| self.now - received.heard >= IDLE;
        self.received.len() == RECEIVER_SSRCS_MAX && !self.received.values().any(idle)
    }

    fn settle(&mut self, ssrc: u32) -> &mut Received {
        if !self.received.contains_key(&ssrc) && self.received.len() == RECEIVER_SSRCS_MAX {
            let longest = self.received.iter().min_by_key(|(_, received)| received.heard).map(|(ssrc, _)| *ssrc);
            self.received.remove(&longest.expect("it is full"));
            self.evicted += 1;
        }
        let now = self.now;
        let new = || Received { rtp: BTreeSet::new(), rtcp: BTreeSet::new(), first_roc: 0, heard: now };
        let received = self.received.entry(ssrc).or_insert_with(new);
        received.heard = now;
        received
    }

    /// What was changed on the way is refused, and changes nothing: what follows is held to the model as before.
    fn forge(&mut self, which: u8, at: u8, mask: u8) {
        let Some(place) = self.wire.len().checked_sub(1 + usize::from(which)) else { return };
        let packet = &self.wire[place];
        let mut bytes = packet.bytes.clone();
        bytes[usize::from(at) % packet.bytes.len()] ^= mask.max(1);
        let rtcp = packet.rtcp;
        let dropped = self.receiver.stats().dropped_total();
        let opened = match rtcp {
            true => self.receiver.unprotect_rtcp(&mut bytes, self.now),
            false => self.receiver.unprotect_rtp(&mut bytes, self.now),
        };
        assert!(opened.is_err());
        assert_eq!(self.receiver.stats().dropped_total(), dropped + 1);
    }

    fn expect_rollover(&mut self, ssrc: u32, roc: u32) {
        let expected = match self.received.get(&ssrc) {
            Some(known) if !known.rtp.is_empty() => Err(Error::IndexUsed),
            None if self.is_full() => Err(Error::TooManySsrcs),
            _ => Ok(()),
        };
        assert_eq!(self.receiver.expect_rollover(Ssrc(ssrc), roc, self.now), expected);
        if expected.is_ok() {
            self.settle(ssrc).first_roc = roc;
        }
    }
}

/// Where the first packet of an SSRC is looked for: behind the first wrap too, if it is there.
fn first(roc: u32, index: u64) -> u64 {
    let (sequence, next) = (index & 0xffff, u64::from(roc) + 1);
    let turn = if sequence < 0x8000 && index >> 16 == next { next } else { next - 1 };
    turn << 16 | sequence
}

/// Replayed, too old, or neither.
fn in_window(seen: &BTreeSet<u64>, index: u64, window: u64) -> Result<(), DropReason> {
    match seen.last() {
        Some(highest) if index + window <= *highest => Err(DropReason::TooOld),
        _ if seen.contains(&index) => Err(DropReason::Replayed),
        _ => Ok(()),
    }
}

/// RFC 3711 §3.3.1: of the indexes with these low bits, the closest one; of two, that of the same 2^16. `None` is below
/// 0.
fn closest(highest: u64, sequence: u16) -> Option<u64> {
    let turn = (highest >> 16) as i64;
    let index = |turn: i64| turn << 16 | i64::from(sequence);
    let distance = |at: &i64| (index(*at).abs_diff(highest as i64), *at != turn);
    let closest = (turn - 1..=turn + 1).min_by_key(distance).map(index);
    closest.and_then(|index| u64::try_from(index).ok())
}

/// A few SSRCs, one more than a sender may have.
const fn name(ssrc: u8) -> u32 {
    0x0101_0101 * (ssrc % 6) as u32
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(&payload[..payload.len().min(200)]);
    packet
}

fn rtcp(ssrc: u32, reports: u8) -> Vec<u8> {
    let mut packet = vec![0x80 | reports, 201, 0, 1 + 6 * reports];
    packet.extend(ssrc.to_be_bytes());
    packet.resize(8 + 24 * usize::from(reports), 0);
    packet
}
