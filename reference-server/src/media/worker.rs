//! The loop of a media thread: take in a batch, act on it, send, sleep.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use plenary_ice::Mode;
use plenary_rtp::NtpTime;
use plenary_sfu_core::{Config, Sfu};
use plenary_transport::Certificate;
use tokio::sync::mpsc::Receiver;

use super::counters::Counters;
use super::outgoing::Outgoing;
use super::patience::{PATIENCE, Patience};
use super::sleeper::{Sleeper, Waker};
use super::socket::{FLOW, Socket};
use crate::chance::draw;
use crate::meeting::{Command, Meetings, Rules};

/// Commands of one turn at most, and how long after its first another is begun: media waits meanwhile. Most take some
/// microseconds; the dearest, descriptions as long as a message may be, 2 ms.
const TURN_COMMANDS: usize = 16;
const TURN_COMMANDS_WITHIN: Duration = Duration::from_millis(1);

/// Bytes that one turn sends at most, and then receives again: 1 ms of a gigabit.
const TURN_BYTES: usize = 128 << 10;

/// The end of the server waits for room in the socket no longer.
const GOODBYES_WITHIN: Duration = Duration::from_millis(500);

/// Sessions of one engine; each takes some kilobytes if idle.
const SESSIONS_MAX: usize = 5000;

pub(super) struct Worker {
    socket: Socket,
    sleeper: Sleeper,
    sfu: Sfu,
    meetings: Meetings,
    commands: Receiver<Command>,
    outgoing: Outgoing,
    patience: Patience,
    counters: Arc<Counters>,
    is_stopped: bool,
}

impl Worker {
    pub(super) fn new(
        socket: Socket,
        (certificate, rules): (Certificate, Rules),
        commands: Receiver<Command>,
        counters: Arc<Counters>,
    ) -> Result<(Self, Waker), Box<dyn Error>> {
        let sleeper = Sleeper::new(&socket)?;
        let waker = sleeper.waker();
        let mut transport = plenary_transport::Config::new(certificate, draw());
        transport.ice.mode = Mode::Lite;
        let wall_clock = NtpTime::from_unix(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?);
        let mut config = Config::new(transport, vec![(FLOW, socket.told())], wall_clock);
        config.sessions_max = SESSIONS_MAX;
        config.room_sessions_max = rules.participants_max;
        let sfu = Sfu::new(config, Instant::now())?;
        let meetings = Meetings::new(rules.room);
        let (outgoing, patience) = (Outgoing::default(), Patience::default());
        let worker = Self { socket, sleeper, sfu, meetings, commands, outgoing, patience, counters, is_stopped: false };
        Ok((worker, waker))
    }

    pub(super) fn run(mut self) {
        while !self.is_stopped {
            let has_more = self.turn();
            if !has_more && !self.is_stopped {
                self.sleep();
            }
        }
        self.say_goodbye();
    }

    /// Sends what there is to send to those who were there to the end, as long as the socket takes it in time.
    fn say_goodbye(&mut self) {
        let until = Instant::now() + GOODBYES_WITHIN;
        while (self.send() || !self.outgoing.is_empty()) && Instant::now() < until {
            let slept = self.sleeper.sleep(&self.socket, Some(until), true);
            slept.expect("epoll takes what was added to it");
        }
    }

    /// Does a bounded part of what there is to do; says whether there is more.
    fn turn(&mut self) -> bool {
        let mut received = self.receive();
        if self.patience.begin() && self.outgoing.is_empty() {
            received |= self.wait_for_rest();
        }
        let commanded = self.act();
        self.sfu.handle_timeout(Instant::now());
        self.meetings.handle_timeout(&mut self.sfu, Instant::now());
        // Who is put into a slot is told before it is sent: the page has hidden the one before.
        self.tell();
        let sent = self.send();
        self.tell();
        self.counters.note(&self.sfu, self.meetings.meetings(), self.meetings.sessions());
        received || commanded || sent
    }

    fn receive(&mut self) -> bool {
        let now = Instant::now();
        let received = self.socket.receive(|datagram| {
            self.patience.handle_datagram(datagram.bytes);
            // What is dropped is counted by the engine.
            let _ = self.sfu.handle_datagram(datagram, now);
        });
        match received {
            Ok(batch) => {
                self.counters.add_batch(batch);
                batch.is_full
            }
            // Of some datagram that was sent, or of memory that is short: it passes.
            Err(_) => {
                self.counters.add_receive_error();
                false
            }
        }
    }

    /// Takes in more of a picture that has begun; says whether there is yet more. Sleep is not broken off: to wake for each
    /// of its packets would cost more than it saves.
    fn wait_for_rest(&mut self) -> bool {
        std::thread::sleep(PATIENCE);
        let received = self.receive();
        self.patience.end();
        received
    }

    fn act(&mut self) -> bool {
        let until = Instant::now() + TURN_COMMANDS_WITHIN;
        for _ in 0..TURN_COMMANDS {
            let Ok(command) = self.commands.try_recv() else { return false };
            self.is_stopped |= matches!(command, Command::Stop);
            let now = Instant::now();
            self.meetings.handle_command(command, &mut self.sfu, now);
            if now >= until {
                break;
            }
        }
        true
    }

    fn tell(&mut self) {
        while let Some(event) = self.sfu.poll_event() {
            self.meetings.handle_event(event, &mut self.sfu, Instant::now());
        }
    }

    fn send(&mut self) -> bool {
        let mut budget = TURN_BYTES;
        // What found no room in the turns before comes first.
        let mut has_room = self.flush();
        while has_room && budget > 0 {
            let polled = self.sfu.poll_transmit(Instant::now(), self.socket.limit(), self.outgoing.buffer());
            let Some(transmit) = polled else {
                self.flush();
                return false;
            };
            budget = budget.saturating_sub(transmit.range.len());
            self.patience.handle_sent();
            has_room = !self.outgoing.push(transmit) || self.flush();
        }
        has_room && self.flush()
    }

    fn flush(&mut self) -> bool {
        self.outgoing.send(&self.counters, |transmits, out| self.socket.send(transmits, out))
    }

    fn sleep(&mut self) {
        let until = [self.sfu.poll_timeout(), self.meetings.poll_timeout()].into_iter().flatten().min();
        let slept = self.sleeper.sleep(&self.socket, until, !self.outgoing.is_empty());
        slept.expect("epoll takes what was added to it");
    }
}
