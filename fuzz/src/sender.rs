//! A sender with a controller of each kind, for hostile feedback.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plenary_bwe::history::{Config, Departure, History};
use plenary_bwe::{Controller, Feedback, Gcc, Nada, Purpose, Scream, Streams};
use plenary_rtp::rtcp::{Packet, packets};
use plenary_rtp::{SeqNo, Ssrc};
use plenary_wire::{Bitrate, DataSize, Ecn};

/// Packets that are held: so few that limits are reached.
const PACKETS_MAX: u16 = 500;
const SIZE: u64 = 1200;

/// Sends, and is told of it by a peer that lies.
pub struct Sender {
    history: History,
    controllers: [Box<dyn Controller>; 3],
    now: Instant,
    /// What each packet was told of: lost, arrived.
    told: BTreeMap<u64, [bool; 2]>,
}

/// The limits that no feedback makes a rate leave.
const STREAMS: Streams = Streams {
    min: Bitrate::from_kbps(50),
    max: Bitrate::from_mbps(5),
    start: Bitrate::from_kbps(300),
    demand: Bitrate::from_mbps(5),
    padding_max: Bitrate::from_mbps(1),
    is_application_limited: false,
    priority: 256,
};

impl Sender {
    /// Nothing is sent yet.
    #[expect(clippy::new_without_default, reason = "it is only made here")]
    pub fn new() -> Self {
        let now = plenary_netsim::base();
        let mut controllers: [Box<dyn Controller>; 3] =
            [Box::new(Gcc::default()), Box::new(Nada::default()), Box::new(Scream::default())];
        for controller in &mut controllers {
            controller.handle_streams(&STREAMS, now);
        }
        let config = Config { packets_max: PACKETS_MAX, first: SeqNo(65_000), ..Config::default() };
        let history = History::new(config).expect("sound");
        Self { history, controllers, now, told: BTreeMap::new() }
    }

    /// Does what the bytes say, again and again: so many packets leave, so many milliseconds apart, and then RTCP comes of a
    /// length in two bytes, all that is left if there is less. With a length that is odd the bytes are a datagram; else
    /// the body of one packet of feedback of this format.
    pub fn act(&mut self, format: u8, mut bytes: &[u8]) {
        while let [count, gap, high, low, rest @ ..] = bytes {
            for _ in 0..*count {
                self.now += Duration::from_millis(u64::from(*gap % 32));
                self.send();
            }
            let len = u16::from_be_bytes([*high, *low]);
            let (body, behind) = rest.split_at(rest.len().min(len.into()));
            bytes = behind;
            self.now += Duration::from_millis(20);
            if len % 2 == 1 {
                self.receive(body);
            } else {
                self.receive(&feedback(format, body));
            }
        }
    }

    fn send(&mut self) {
        let number = self.history.next_number();
        let departure = Departure {
            size: DataSize::from_bytes(SIZE),
            purpose: Purpose::Video,
            probe: None,
            ecn: Ecn::Ect1,
            rtp: Some((Ssrc(number as u32 % 3), SeqNo(number as u16 / 3))),
        };
        let sent = self.history.handle_sent(departure, self.now);
        assert_eq!(sent.number, number);
        self.told.insert(number, [false; 2]);
        for controller in &mut self.controllers {
            controller.handle_sent(&sent);
        }
    }

    fn receive(&mut self, datagram: &[u8]) {
        for packet in packets(datagram).flatten() {
            let joined = match &packet {
                Packet::Twcc(twcc) => self.history.handle_twcc(twcc, self.now),
                Packet::Ccfb(ccfb) => self.history.handle_ccfb(ccfb, self.now),
                _ => None,
            };
            if let Some(joined) = joined {
                check(&joined, &mut self.told);
                for controller in &mut self.controllers {
                    controller.handle_feedback(&joined, self.now);
                }
            }
        }
        assert!(self.history.in_flight().as_bytes() <= u64::from(PACKETS_MAX) * (SIZE + 28));
        for controller in &mut self.controllers {
            if controller.poll_timeout().is_some_and(|due| due <= self.now) {
                controller.handle_timeout(self.now);
            }
            let target = controller.rates().target;
            assert!(STREAMS.min <= target && target <= STREAMS.max, "{controller:?}: {target}");
        }
    }
}

/// In order, each once, and nothing that was told before.
fn check(joined: &Feedback<'_>, told: &mut BTreeMap<u64, [bool; 2]>) {
    assert!(!joined.packets.is_empty());
    assert!(joined.packets.windows(2).all(|pair| pair[0].sent.number < pair[1].sent.number));
    for report in joined.packets {
        let [lost, arrived] = told.get_mut(&report.sent.number).expect("it was sent");
        assert!(!*arrived && (report.arrived.is_some() || !*lost), "{report:?}");
        assert_eq!(report.is_recovered, *lost);
        *(if report.arrived.is_some() { arrived } else { lost }) = true;
    }
}

/// One packet of feedback, cut to whole words.
fn feedback(format: u8, body: &[u8]) -> Vec<u8> {
    let words = body.len() / 4;
    let mut packet = vec![0x80 | format, 205];
    packet.extend((words as u16).to_be_bytes());
    packet.extend(body.iter().take(words * 4));
    packet
}
