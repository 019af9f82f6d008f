#![no_main]

// A server under whatever clients, peers and its own caller do: raw bytes, requests that are signed as they should be,
// streams in pieces, sockets that come late or not at all. Strangers are sent little, what is sent is a message, and
// when time has passed nothing is left.

// The laboratory of the crate's own tests.
#[allow(dead_code, reason = "its tests need more of it")]
#[path = "../../crates/turn/tests/it/lab.rs"]
mod lab;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_stun::{Algorithm, Attribute, Message, Method};
use plenary_turn::{Authenticated, BindError, Bound, ConnectError, Denied, Event, Icmp, Keys};
use plenary_wire::FlowId;

use crate::lab::{Client, Lab, Took, at, peer_attribute};

const TOLD: [Attribute; 3] = [Attribute::RESERVATION_TOKEN, Attribute::CONNECTION_ID, Attribute::MOBILITY_TICKET];
const PEERS: [&str; 6] =
    ["9.9.9.1:1", "9.9.9.2:2", "[2600::9]:9", "8.8.4.4:50003", "[::ffff:127.0.0.1]:80", "[2002:505:505::]:0"];

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Raw {
        client: u8,
        bytes: &'a [u8],
    },
    /// A request with the right credentials, and any attributes. A ticket, token or id of one byte is one that the
    /// server has told, so many before the last.
    Signed {
        client: u8,
        method: u8,
        attributes: Vec<(u16, &'a [u8])>,
        peer: Option<u8>,
        form: u8,
    },
    Send {
        client: u8,
        peer: u8,
        data: &'a [u8],
    },
    /// To the relay that was bound last, or before.
    Hear {
        relay: u8,
        peer: u8,
        bytes: &'a [u8],
    },
    Icmp {
        relay: u8,
        peer: u8,
        kind: u8,
        code: u8,
    },
    Accept {
        client: u8,
    },
    /// A piece of the client's stream; what is not used comes again with the next.
    Piece {
        client: u8,
        bytes: &'a [u8],
    },
    Close {
        flow: u8,
    },
    Answer {
        which: u8,
        good: bool,
        family: bool,
    },
    Peer {
        relay: u8,
        peer: u8,
    },
    Revoke,
    Pass(u16),
}

struct World {
    lab: Lab,
    clients: Vec<Client>,
    streams: Vec<(Option<FlowId>, Vec<u8>)>,
    relays: Vec<Bound>,
    /// Tickets, tokens and ids, the last first: chance can't guess them.
    told: VecDeque<(Attribute, Vec<u8>)>,
    next: u32,
}

impl World {
    fn client(&mut self, which: u8) -> usize {
        usize::from(which) % self.clients.len()
    }

    fn peer(which: u8) -> SocketAddr {
        at(PEERS[usize::from(which) % PEERS.len()])
    }

    fn relay(&self, which: u8) -> Option<Bound> {
        self.relays.get(usize::from(which) % self.relays.len().max(1)).copied()
    }

    fn flow(&mut self) -> FlowId {
        self.next += 2;
        FlowId(self.next)
    }

    /// What was sent to a client is a message, and sets its nonce.
    fn answers(&mut self) -> usize {
        let mut bytes = 0;
        for (to, answer) in self.lab.answers.drain(..) {
            bytes += answer.len();
            let message = Message::parse(&answer).expect("a message");
            for kind in TOLD {
                if let Some(value) = message.get(kind) {
                    self.told.push_front((kind, value.to_vec()));
                }
            }
            let client = self.clients.iter_mut().find(|client| client.address == to);
            if let (Some(client), Some(nonce)) = (client, message.get(Attribute::NONCE)) {
                client.nonce = nonce.to_vec();
            }
        }
        bytes
    }

    fn apply(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Raw { client, bytes } => {
                let client = self.client(client);
                self.answers();
                self.lab.send(self.clients[client].address, bytes);
                let answered = self.answers();
                assert!(answered <= 2 * bytes.len(), "{answered} bytes for {}", bytes.len());
            }
            Operation::Signed { client, method, attributes, peer, form } => {
                let client = self.client(client);
                let bytes = self.signed(client, method, &attributes, peer, form);
                match self.streams[client].0 {
                    Some(flow) if form & 0x80 != 0 => _ = self.lab.stream(flow, &bytes),
                    _ => _ = self.lab.send(self.clients[client].address, &bytes),
                }
            }
            Operation::Send { client, peer, data } => {
                let client = self.client(client);
                let bytes = self.clients[client].send(&Self::peer(peer).to_string(), data, &[]);
                self.relayed(self.clients[client].address, &bytes, data);
            }
            Operation::Hear { relay, peer, bytes } => {
                let Some(relay) = self.relay(relay) else { return };
                if let Took::Relay(relayed) = self.lab.receive(relay.flow, relay.local, Self::peer(peer), bytes) {
                    assert!(relayed.bytes.windows(bytes.len().max(1)).any(|it| it == bytes) || bytes.is_empty());
                }
            }
            Operation::Icmp { relay, peer, kind, code } => {
                let Some(relay) = self.relay(relay) else { return };
                let icmp = Icmp { flow: relay.flow, peer: Self::peer(peer), kind, code, data: [1; 4] };
                let _ = self.lab.server.handle_icmp(icmp, self.lab.now);
            }
            Operation::Accept { client } => {
                let client = self.client(client);
                let flow = self.lab.accept(self.clients[client].address);
                self.streams[client] = (Some(flow), Vec::new());
            }
            Operation::Piece { client, bytes } => {
                let client = self.client(client);
                let (Some(flow), mut kept) = std::mem::take(&mut self.streams[client]) else { return };
                kept.extend_from_slice(bytes);
                let (used, _) = self.lab.stream(flow, &kept);
                kept.drain(..used);
                assert!(kept.len() < 65_556);
                self.streams[client] = (Some(flow), kept);
            }
            Operation::Close { flow } => self.lab.server.handle_closed(FlowId(100 + u32::from(flow))),
            Operation::Answer { which, good, family } => self.answer(which, good, family),
            Operation::Peer { relay, peer } => {
                let (flow, Some(relay)) = (self.flow(), self.relay(relay)) else { return };
                let _ = self.lab.server.handle_peer_accepted(relay.flow, flow, Self::peer(peer), self.lab.now);
            }
            Operation::Revoke => {
                let allocated = |event: &Event| {
                    if let Event::Allocated { allocation, .. } = event { Some(*allocation) } else { None }
                };
                if let Some(allocation) = self.lab.events.iter().find_map(allocated) {
                    self.lab.server.revoke(allocation);
                }
            }
            Operation::Pass(seconds) => self.lab.pass(u64::from(seconds % 1000)),
        }
        self.lab.drain();
        self.answers();
    }

    fn relayed(&mut self, from: SocketAddr, bytes: &[u8], data: &[u8]) {
        if let Took::Relay(relayed) = self.lab.send(from, bytes) {
            let is_own = relayed.flow == lab::LISTENER;
            assert!(is_own || relayed.bytes == data);
        }
    }

    fn signed(&mut self, which: usize, method: u8, attributes: &[(u16, &[u8])], peer: Option<u8>, form: u8) -> Vec<u8> {
        let mut all: Vec<_> =
            attributes.iter().take(8).map(|(kind, value)| (Attribute(*kind), value.to_vec())).collect();
        for (kind, value) in &mut all {
            value.truncate(600);
            if let ([back], true) = (&value[..], TOLD.contains(kind)) {
                let told = self.told.iter().filter(|(other, _)| other == kind).nth(usize::from(*back));
                *value = told.map_or_else(Vec::new, |(_, told)| told.clone());
            }
        }
        let client = &mut self.clients[which];
        client.mac = if form & 1 == 0 { Algorithm::Sha1 } else { Algorithm::Sha256 };
        client.algorithm = match form >> 1 & 3 {
            0 => Some(Algorithm::Sha1),
            1 => Some(Algorithm::Sha256),
            _ => None,
        };
        client.userhash = form & 8 != 0;
        let method = [
            Method::ALLOCATE,
            Method::REFRESH,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
            Method::CONNECT,
            Method::CONNECTION_BIND,
            Method(u16::from(method)),
        ][usize::from(method) % 7];
        if let Some(peer) = peer {
            all.push(peer_attribute(PEERS[usize::from(peer) % PEERS.len()], client.clone().next_transaction()));
        }
        if method == Method::ALLOCATE && form & 16 == 0 {
            all.insert(0, (Attribute::REQUESTED_TRANSPORT, vec![if form & 32 == 0 { 17 } else { 6 }, 0, 0, 0]));
        }
        client.signed(method, &all)
    }

    /// Answers one of the questions that wait, in any way and any number of times.
    fn answer(&mut self, which: u8, good: bool, family: bool) {
        let asked =
            |event: &&Event| matches!(event, Event::Bind { .. } | Event::Authenticate { .. } | Event::Connect { .. });
        let questions: Vec<_> = self.lab.events.iter().filter(asked).cloned().collect();
        let Some(question) = questions.get(usize::from(which) % questions.len().max(1)) else { return };
        let now = self.lab.now;
        let _ = match question {
            Event::Bind { request, family: asked, port, .. } => {
                let mut bound = self.lab.socket(*asked, *port);
                self.next = self.next.max(bound.flow.0);
                bound.next = (*port == plenary_turn::PortWish::EvenAndNext).then(|| self.flow());
                self.relays.push(bound);
                let error = if family { BindError::Family } else { BindError::NoPort };
                self.lab.server.handle_bound(*request, if good { Ok(bound) } else { Err(error) }, now)
            }
            Event::Authenticate { request, .. } => self.lab.server.handle_authenticated(*request, told(good), now),
            Event::Connect { request, .. } => {
                let flow = self.flow();
                self.lab.server.handle_connected(*request, if good { Ok(flow) } else { Err(ConnectError) }, now)
            }
            _ => return,
        };
    }
}

fn told(good: bool) -> Result<Authenticated, Denied> {
    let keys = Keys::from_password(b"far", b"turn", b"secret");
    if good { Ok(Authenticated { username: b"far".to_vec(), keys }) } else { Err(Denied) }
}

fuzz_target!(|input: (bool, Vec<Operation<'_>>)| {
    let (binds, operations) = input;
    let mut lab = Lab::with(|config| {
        (config.tcp, config.asks) = (true, true);
        config.unauthenticated_per_second = 60_000;
    });
    lab.binds = binds;
    let mut clients: Vec<_> = (0..3).map(|it| Client::challenged(&mut lab, &format!("5.5.5.{it}:5000"))).collect();
    clients[1].username = b"other".to_vec();
    clients[2].username = b"far".to_vec();
    let mut world = World {
        lab,
        clients,
        streams: vec![(None, Vec::new()); 3],
        relays: Vec::new(),
        told: VecDeque::new(),
        next: 10_000,
    };
    for operation in operations.into_iter().take(100) {
        world.apply(operation);
    }
    world.lab.pass(10_000);
    world.answers();
    assert_eq!((world.lab.server.allocations(), world.lab.server.poll_timeout()), (0, None));
    let closed = world.lab.closed();
    assert_eq!(closed.iter().collect::<BTreeSet<_>>().len(), closed.len(), "no socket is closed twice");
});
