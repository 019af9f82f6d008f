//! Allocations that come and go, or stay: what is held of them, and what is left.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use plenary_turn::client::{Client, Event, Handled};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};
use serde_json::{Value, json};

use crate::figures::Figures;
use crate::fleet::Fleet;
use crate::line::{self, BUSY, PEER, REST, channel, v4};
use crate::options::{Lives, Target};
use crate::{Failure, Result};

/// What is sent again is looked after so often.
const TICK: Duration = Duration::from_millis(50);

/// Allocations before those that are counted, so that all is where it is used.
const WARMUP: u32 = 1000;

/// Clients that a server may be too busy for.
const REFUSED_MAX: u32 = 10_000;

/// Until the server has let go of what it held.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);

/// Says what the server holds before, with all allocations and a channel in each, and after.
pub(crate) fn idle(options: &Lives) -> Result<Value> {
    let mut crowd = Crowd::new(options)?;
    let before = Figures::of(options.target.pid)?;
    crowd.admit(options.allocations, Wish::Stay)?;
    let with = Figures::of(options.target.pid)?;
    crowd.dismiss()?;
    let after = settled(options.target.pid, before)?;
    Ok(json!({
        "allocations": options.allocations,
        "before": before.told(), "with": with.told(), "after": after.told(),
    }))
}

/// Says what the server holds before and after, and what CPU an allocation costs from its first request to its release.
pub(crate) fn churn(options: &Lives) -> Result<Value> {
    let mut crowd = Crowd::new(options)?;
    let pid = options.target.pid;
    let empty = Figures::of(pid)?;
    crowd.admit(WARMUP.min(options.allocations), Wish::Go)?;
    let before = settled(pid, empty)?;
    let start = Instant::now();
    crowd.admit(options.allocations, Wish::Go)?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), Figures::of(pid)?.cpu_ns.saturating_sub(before.cpu_ns));
    let after = settled(pid, before)?;
    Ok(json!({
        "allocations": options.allocations, "seconds": seconds, "cpu_ns": cpu,
        "before": before.told(), "after": after.told(),
    }))
}

/// The figures once the server has no more files than before, or has had its time.
fn settled(pid: u32, before: Figures) -> Result<Figures> {
    let deadline = Instant::now() + SETTLE_WITHIN;
    loop {
        let figures = Figures::of(pid)?;
        if (figures.files <= before.files && figures.ports <= before.ports) || Instant::now() > deadline {
            return Ok(figures);
        }
        std::thread::sleep(TICK);
    }
}

/// What becomes of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Stay,
    Go,
}

/// Clients of one fleet.
struct Crowd {
    fleet: Fleet,
    server: SocketAddrV4,
    user: (String, String),
    peer: SocketAddrV4,
    together: usize,
    /// How many there have been, and are to be.
    count: u32,
    last: u32,
    refused: u32,
    /// No new ones until then: the server is to have some rest.
    rests_until: Instant,
    busy: BTreeMap<SocketAddrV4, Client>,
    idle: BTreeMap<SocketAddrV4, Client>,
    out: Vec<u8>,
}

impl Crowd {
    fn new(options: &Lives) -> Result<Self> {
        let Target { server, user, .. } = &options.target;
        let server = v4(*server);
        Ok(Self {
            fleet: Fleet::new(server)?,
            server,
            user: user.clone().unwrap_or_default(),
            // Nobody needs to be there.
            peer: SocketAddrV4::new(PEER, 9),
            together: options.together.into(),
            count: 0,
            last: 0,
            refused: 0,
            rests_until: Instant::now(),
            busy: BTreeMap::new(),
            idle: BTreeMap::new(),
            out: Vec::new(),
        })
    }

    fn admit(&mut self, count: u32, wish: Wish) -> Result<()> {
        self.last = self.count + count;
        let mut tick = Instant::now();
        while self.count < self.last || !self.busy.is_empty() {
            while self.count < self.last && self.busy.len() < self.together && Instant::now() >= self.rests_until {
                let local = self.fleet.address(self.count);
                let number = (self.count as u16).to_be_bytes();
                self.busy.insert(local, line::client(&self.user, self.server, local, number)?);
                self.count += 1;
                self.serve(local, wish)?;
            }
            self.turn(wish, &mut tick)?;
        }
        Ok(())
    }

    fn dismiss(&mut self) -> Result<()> {
        let mut tick = Instant::now();
        while !self.idle.is_empty() || !self.busy.is_empty() {
            while self.busy.len() < self.together
                && let Some((local, mut client)) = self.idle.pop_first()
            {
                client.close(Instant::now());
                self.busy.insert(local, client);
                self.serve(local, Wish::Go)?;
            }
            self.turn(Wish::Go, &mut tick)?;
        }
        Ok(())
    }

    /// Takes in a datagram, and what time has brought.
    fn turn(&mut self, wish: Wish, tick: &mut Instant) -> Result<()> {
        if let Some((local, bytes)) = self.fleet.receive(TICK)? {
            let (remote, now) = (self.server.into(), Instant::now());
            if let Some(client) = self.busy.get_mut(&local) {
                let datagram = Datagram { flow: FlowId(0), local: local.into(), remote, ecn: Ecn::NotEct, bytes };
                let (Handled::Consumed | Handled::Dropped(_) | Handled::Data { .. } | Handled::Icmp { .. }) =
                    client.handle_datagram(datagram, now);
                self.serve(local, wish)?;
            }
        }
        if tick.elapsed() >= TICK {
            *tick = Instant::now();
            let all: Vec<_> = self.busy.keys().copied().collect();
            all.into_iter().try_for_each(|local| self.serve(local, wish))?;
        }
        Ok(())
    }

    /// Does what a client is to do next, and sends what it has to send.
    fn serve(&mut self, local: SocketAddrV4, wish: Wish) -> Result<()> {
        let Some(client) = self.busy.get_mut(&local) else { return Ok(()) };
        let now = Instant::now();
        client.handle_timeout(now);
        while let Some(event) = client.poll_event() {
            match event {
                // Another comes in its place, later.
                Event::Failed(BUSY) if self.refused < REFUSED_MAX => {
                    (self.refused, self.last, self.rests_until) = (self.refused + 1, self.last + 1, now + REST);
                }
                Event::Failed(why) => return Err(Failure::Refused(why)),
                Event::Allocated(_) if wish == Wish::Go => client.close(now),
                _ => {}
            }
        }
        let is_bound = wish == Wish::Stay && channel(client, self.peer, now)?.is_some();
        while let Some(transmit) = client.poll_transmit(now, Limit::DATAGRAM, &mut self.out) {
            self.fleet.send(local, transmit.bytes(&self.out))?;
            self.out.clear();
        }
        if client.is_ended() {
            self.busy.remove(&local);
        } else if is_bound && let Some(client) = self.busy.remove(&local) {
            self.idle.insert(local, client);
        }
        Ok(())
    }
}
