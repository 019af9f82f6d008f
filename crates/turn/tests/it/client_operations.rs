//! Whatever a caller does, a network loses and a stranger says, the client stays within its limits, goes on in time, and
//! leaves nothing behind.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use plenary_turn::client::{Client, Config, Event, Handled};
use plenary_turn::{Bound, Keys, Server, User};
use plenary_wire::{Datagram, Ecn, FlowId, Limit};

const FLOW: FlowId = FlowId(5);
const LISTENER: FlowId = FlowId(1);
const PERMISSIONS_MAX: u16 = 3;
const CHANNELS_MAX: u16 = 2;
const TRANSACTIONS_MAX: u16 = 4;

/// A client and a server, with a wire between them that may be cut.
struct World {
    client: Client,
    server: Server,
    now: Instant,
    /// Whether what is sent arrives: to the server, to the client.
    arrives: [bool; 2],
    next_port: u16,
    allocated: usize,
    ended: usize,
}

/// Runs a story, two bytes of it at a time: what is done, and with what.
pub(crate) fn run(story: &[u8]) {
    let mut world = World::new();
    for step in story.chunks_exact(2).take(300) {
        world.step(step[0], step[1]);
        world.exchange();
    }
    // In the end the wire is whole: what was allocated is released.
    world.arrives = [true; 2];
    world.client.close(world.now);
    world.pass(Duration::from_secs(10));
    assert!(world.client.is_ended());
    assert_eq!(world.ended, 1, "the end is told, once");
    assert!(world.allocated <= 1);
    assert_eq!(world.client.poll_timeout(), None);
}

impl World {
    fn new() -> Self {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary origin; time is virtual")]
        let now = Instant::now();
        let config = Config {
            entropy: [3; 32],
            server: server_address(),
            flow: FLOW,
            local: local(),
            username: "user".into(),
            password: "secret".into(),
            permissions_max: PERMISSIONS_MAX,
            channels_max: CHANNELS_MAX,
            transactions_max: TRANSACTIONS_MAX,
            channel_after: 1,
            ..Config::default()
        };
        let keys = Keys::from_password(b"user", b"turn", b"secret");
        let mut server = Server::new(
            plenary_turn::Config {
                entropy: [4; 32],
                unix_time: Duration::from_secs(1_700_000_000),
                users: vec![User { name: b"user".to_vec(), keys }],
                ..plenary_turn::Config::default()
            },
            now,
        )
        .expect("in range");
        server.listen(LISTENER, server_address()).expect("the first");
        let client = Client::new(config, now).expect("in range");
        Self { client, server, now, arrives: [true; 2], next_port: 50_000, allocated: 0, ended: 0 }
    }

    fn step(&mut self, what: u8, with: u8) {
        let peer = SocketAddr::from(([9, 9, 9, 1 + with % 5], 7000 + u16::from(with / 5 % 3)));
        let now = self.now;
        match what % 10 {
            0 | 1 => {
                let mut out = Vec::new();
                if let Ok(transmit) = self.client.send(peer, b"data", now, &mut out) {
                    assert_eq!((transmit.flow, transmit.remote), (FLOW, server_address()));
                    self.give_server(&mut out);
                }
            }
            2 => _ = self.client.permit(peer.ip(), now),
            3 => _ = self.client.bind(peer, now),
            4 => self.client.forget(peer.ip()),
            5 => self.arrives = [with & 1 == 0, with & 2 == 0],
            6 => self.pass(Duration::from_millis(u64::from(with) * 40)),
            7 => self.pass(Duration::from_secs(u64::from(with) * 3)),
            8 => self.stranger(with),
            _ if with == 0 => self.client.close(now),
            // A peer that the server forbids.
            _ => _ = self.client.permit(IpAddr::from([127, 0, 0, with]), now),
        }
    }

    /// Bytes that nobody has signed change nothing.
    fn stranger(&mut self, with: u8) {
        let mut bytes = vec![[0x00, 0x01, 0x40, 0x80][usize::from(with % 4)]; 24];
        (bytes[1], bytes[2], bytes[3]) = (with, 0, 4);
        bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        let before = (self.client.allocated().copied(), self.client.poll_timeout());
        let (local, remote) = (local(), server_address());
        let datagram = Datagram { flow: FLOW, local, remote, ecn: Ecn::NotEct, bytes: &mut bytes };
        assert_ne!(self.client.handle_datagram(datagram, self.now), Handled::Consumed);
        assert_eq!((self.client.allocated().copied(), self.client.poll_timeout()), before);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.exchange();
        let mut idle = 0;
        while let Some(due) = [self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min()
            && due <= end
        {
            idle = if due <= self.now { idle + 1 } else { 0 };
            assert!(idle < 10, "time stands still");
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.exchange();
        }
        self.now = end;
    }

    /// Until neither has anything to say.
    fn exchange(&mut self) {
        for _ in 0..1000 {
            let mut out = Vec::new();
            let mut sent = 0;
            while self.client.poll_transmit(self.now, Limit::DATAGRAM, &mut out).is_some() {
                sent += 1;
                // That of the allocation, and a sign of life.
                assert!(sent <= TRANSACTIONS_MAX + 2, "more than is allowed at once");
                self.give_server(&mut out);
                out.clear();
            }
            let answered = self.drain_server();
            self.drain_client();
            if sent == 0 && !answered {
                return;
            }
        }
        panic!("they never stop talking");
    }

    fn drain_client(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Allocated(told) => {
                    self.allocated += 1;
                    assert!(told.ipv4.is_some() && told.ipv6.is_none());
                }
                Event::Failed(_) | Event::Closed => self.ended += 1,
                Event::PermissionRefused(ip, _) => assert!(ip.is_loopback()),
                other => panic!("{other:?}"),
            }
        }
    }

    fn give_server(&mut self, bytes: &mut [u8]) {
        if self.arrives[0] {
            let (local, remote) = (server_address(), local());
            let datagram = Datagram { flow: LISTENER, local, remote, ecn: Ecn::NotEct, bytes };
            let _ = self.server.handle_datagram(datagram, self.now);
        }
    }

    fn drain_server(&mut self) -> bool {
        while let Some(event) = self.server.poll_event() {
            if let plenary_turn::Event::Bind { request, .. } = event {
                self.next_port += 1;
                let local = SocketAddr::new(server_address().ip(), self.next_port);
                let flow = FlowId(self.next_port.into());
                let bound = Bound { flow, local, relayed: local, next: None };
                let _ = self.server.handle_bound(request, Ok(bound), self.now);
            }
        }
        let (mut out, mut any) = (Vec::new(), false);
        while self.server.poll_transmit(self.now, Limit::DATAGRAM, &mut out).is_some() {
            any = true;
            if self.arrives[1] {
                let (local, remote) = (local(), server_address());
                let datagram = Datagram { flow: FLOW, local, remote, ecn: Ecn::NotEct, bytes: &mut out };
                // What comes after the end is nobody's.
                let _ = self.client.handle_datagram(datagram, self.now);
            }
            out.clear();
        }
        any
    }
}

fn server_address() -> SocketAddr {
    SocketAddr::from(([8, 8, 4, 4], 3478))
}

fn local() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_story_ends_well(story in prop::collection::vec(any::<u8>(), 0..600)) {
            super::run(&story);
        }
    }
}
