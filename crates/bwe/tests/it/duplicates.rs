use std::time::{Duration, Instant};

use plenary_bwe::history::{Config, Departure, History};
use plenary_bwe::{Controller, Purpose, Rates, Streams};
use plenary_rtp::rtcp::{Arrival, Packet, TwccWriter, packets};
use plenary_rtp::{ExtendedSeqNo, Ssrc};
use plenary_wire::{Bitrate, DataSize, Ecn};

use super::controllers;

/// Twenty packets of a message.
const MESSAGE: u64 = 20;

struct Sender<'c> {
    history: History,
    controller: &'c mut dyn Controller,
    start: Instant,
}

impl Sender<'_> {
    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn handle(&mut self, message: &[u8], now: Instant) {
        if let Some(Ok(Packet::Twcc(twcc))) = packets(message).next()
            && let Some(feedback) = self.history.handle_twcc(&twcc, now)
        {
            self.controller.handle_feedback(&feedback, now);
        }
    }
}

/// Twelve seconds of packets, 10 ms apart, and after each message that is on them as many repetitions of it and of older ones.
fn run(controller: &mut dyn Controller, start: Instant, repetitions: usize) -> Vec<Rates> {
    let history = History::new(Config::default()).unwrap();
    let mut sender = Sender { history, controller, start };
    let streams = Streams { max: Bitrate::from_mbps(5), demand: Bitrate::from_mbps(2), ..Streams::default() };
    sender.controller.handle_streams(&streams, start);
    let mut writer = TwccWriter::new(Ssrc(1), Ssrc(2));
    let (mut messages, mut rates) = (Vec::new(), Vec::new());
    for number in 0..60 {
        let first = number * MESSAGE;
        for packet in first..first + MESSAGE {
            let now = sender.at(10 * packet);
            let (size, purpose) = (DataSize::from_bytes(1200), Purpose::Video);
            let sent =
                sender.history.handle_sent(Departure { size, purpose, probe: None, ecn: Ecn::NotEct, rtp: None }, now);
            sender.controller.handle_sent(&sent);
        }
        // A queue comes and goes, and one of forty is lost.
        let queue = |packet: u64| 50 + packet % 400 / 10;
        let arrived = (first..first + MESSAGE).filter(|packet| packet % 40 != 7);
        let arrivals: Vec<_> = arrived
            .map(|packet| Arrival {
                seq: ExtendedSeqNo(packet),
                at: Duration::from_millis(10 * packet + queue(packet)),
            })
            .collect();
        let mut message = Vec::new();
        writer.write(ExtendedSeqNo(first), &arrivals, 60_000, &mut message).unwrap();
        let now = sender.at(10 * (first + MESSAGE) + 150);
        sender.handle(&message, now);
        messages.push(message);
        for repetition in 0..repetitions {
            let older = messages.len() - 1 - repetition % messages.len().min(30);
            sender.handle(&messages[older], now);
        }
        sender.controller.handle_timeout(now);
        rates.push(sender.controller.rates());
    }
    rates
}

#[test]
fn a_thousand_duplicates_of_each_message_change_nothing() {
    let start = plenary_netsim::base();
    for ((name, mut once), (_, mut again)) in controllers().into_iter().zip(controllers()) {
        let rates = run(&mut *once, start, 0);
        assert_eq!(rates, run(&mut *again, start, 1_000), "{name}");
        assert_eq!(once.explain(), again.explain(), "{name}");
    }
}
