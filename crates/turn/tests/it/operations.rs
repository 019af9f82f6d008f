//! Whatever clients do: the server does what a model of a page says.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use plenary_stun::{Attribute, Message};
use proptest::prelude::*;

use crate::lab::{Client, Lab, Took, at, channel_data};

const CLIENTS: usize = 3;
const PEERS: [&str; 3] = ["9.9.9.1:1", "9.9.9.1:2", "9.9.9.2:1"];
const DATA: &[u8] = b"12345";

#[derive(Clone, Copy, Debug)]
enum Operation {
    Allocate(usize),
    Refresh(usize, u32),
    /// Peers beyond the three are the relays of clients.
    Permit(usize, usize),
    Bind(usize, u16, usize),
    Send(usize, usize),
    Channel(usize, u16),
    Hear(usize, usize),
    Pass(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let (client, peer, number) = (0..CLIENTS, 0..PEERS.len() + CLIENTS, 0x4000..0x4003_u16);
    prop_oneof![
        2 => client.clone().prop_map(Operation::Allocate),
        1 => (client.clone(), prop_oneof![Just(0), Just(600), Just(1000)]).prop_map(|(it, time)| Operation::Refresh(it, time)),
        2 => (client.clone(), peer.clone()).prop_map(|(client, peer)| Operation::Permit(client, peer)),
        2 => (client.clone(), number.clone(), peer.clone()).prop_map(|(it, number, peer)| Operation::Bind(it, number, peer)),
        3 => (client.clone(), peer).prop_map(|(client, peer)| Operation::Send(client, peer)),
        3 => (client.clone(), number).prop_map(|(client, number)| Operation::Channel(client, number)),
        3 => (client, 0..PEERS.len()).prop_map(|(client, peer)| Operation::Hear(client, peer)),
        1 => (1..400_u64).prop_map(Operation::Pass),
    ]
}

/// An allocation as the RFC has it: what ends when, in seconds since the start.
#[derive(Clone, Debug)]
struct Model {
    relayed: SocketAddr,
    ends: u64,
    permissions: BTreeMap<IpAddr, u64>,
    channels: BTreeMap<u16, (SocketAddr, u64)>,
}

impl Model {
    fn permits(&self, ip: IpAddr, now: u64) -> bool {
        self.permissions.get(&ip).is_some_and(|ends| *ends > now)
    }

    fn channel_of(&self, peer: SocketAddr, now: u64) -> Option<u16> {
        self.channels.iter().find(|(_, (bound, ends))| *bound == peer && *ends > now).map(|(number, _)| *number)
    }
}

/// What becomes of data.
#[derive(Debug, PartialEq)]
enum Fate {
    Lost,
    ToPeer(SocketAddr),
    /// By a channel, or by an indication.
    ToClient(SocketAddr, Option<u16>),
}

struct World {
    lab: Lab,
    now: u64,
    clients: Vec<Client>,
    models: Vec<Option<Model>>,
    /// Where relays are, or were.
    relays: [SocketAddr; CLIENTS],
}

impl World {
    fn new() -> Self {
        let mut lab = Lab::new();
        let clients = (0..CLIENTS).map(|it| Client::challenged(&mut lab, &format!("5.5.5.{it}:5000"))).collect();
        let relays = [at("8.8.4.4:1"), at("8.8.4.4:2"), at("8.8.4.4:3")];
        Self { lab, now: 0, clients, models: vec![None; CLIENTS], relays }
    }

    fn peer(&self, peer: usize) -> SocketAddr {
        PEERS.get(peer).map_or_else(|| self.relays[peer - PEERS.len()], |peer| at(peer))
    }

    fn apply(&mut self, operation: Operation) -> Result<(), TestCaseError> {
        match operation {
            Operation::Pass(seconds) => {
                self.now += seconds;
                self.lab.pass(seconds);
                for model in &mut self.models {
                    model.take_if(|model| model.ends <= self.now);
                }
                for client in &mut self.clients {
                    client.learn(&mut self.lab);
                }
            }
            Operation::Allocate(client) => {
                let answer = self.clients[client].allocate_with(&mut self.lab, &[]);
                prop_assert_eq!(answer.code(), if self.models[client].is_some() { 437 } else { 0 });
                if let Some(relayed) = answer.address(Attribute::XOR_RELAYED_ADDRESS) {
                    let (permissions, channels) = (BTreeMap::new(), BTreeMap::new());
                    self.models[client] = Some(Model { relayed, ends: self.now + 600, permissions, channels });
                    self.relays[client] = relayed;
                }
            }
            Operation::Refresh(client, lifetime) => {
                let answer = self.clients[client].refresh(&mut self.lab, lifetime);
                prop_assert_eq!(answer.code(), if self.models[client].is_some() { 0 } else { 437 });
                match &mut self.models[client] {
                    model if lifetime == 0 => *model = None,
                    Some(model) => model.ends = self.now + u64::from(lifetime),
                    None => {}
                }
            }
            Operation::Permit(client, peer) => {
                let peer = self.peer(peer);
                let answer = self.clients[client].permit(&mut self.lab, &[&peer.to_string()]);
                prop_assert_eq!(answer.code(), if self.models[client].is_some() { 0 } else { 437 });
                if let Some(model) = &mut self.models[client] {
                    model.permissions.insert(peer.ip(), self.now + 300);
                }
            }
            Operation::Bind(client, number, peer) => self.bind(client, number, peer)?,
            Operation::Send(client, peer) => {
                let peer = self.peer(peer);
                let bytes = self.clients[client].send(&peer.to_string(), DATA, &[]);
                let permitted = self.models[client].as_ref().is_some_and(|model| model.permits(peer.ip(), self.now));
                let fate = if permitted { self.fate(client, peer) } else { Fate::Lost };
                self.send(client, &bytes, fate)?;
            }
            Operation::Channel(client, number) => {
                let bound = self.models[client].as_ref().and_then(|model| model.channels.get(&number));
                let peer = bound.filter(|(_, ends)| *ends > self.now).map(|(peer, _)| *peer);
                let fate = peer.map_or(Fate::Lost, |peer| self.fate(client, peer));
                self.send(client, &channel_data(number, DATA), fate)?;
            }
            Operation::Hear(client, peer) => {
                let Some(relayed) = self.models[client].as_ref().map(|model| model.relayed) else { return Ok(()) };
                let fate = self.heard(client, self.peer(peer));
                let took = self.lab.send_to_relay(relayed, PEERS[peer], DATA);
                self.check(took, fate, self.peer(peer))?;
            }
        }
        let living = self.models.iter().flatten().count();
        prop_assert_eq!(self.lab.server.allocations(), living);
        Ok(())
    }

    fn bind(&mut self, client: usize, number: u16, peer: usize) -> Result<(), TestCaseError> {
        let (peer, now) = (self.peer(peer), self.now);
        let code = self.clients[client].bind(&mut self.lab, number, &peer.to_string()).code();
        let Some(model) = &mut self.models[client] else {
            prop_assert_eq!(code, 437);
            return Ok(());
        };
        model.channels.retain(|_, (_, ends)| *ends > now);
        let is_free = model.channels.iter().all(|(known, (bound, _))| (*known == number) == (*bound == peer));
        prop_assert_eq!(code, if is_free { 0 } else { 400 });
        if is_free {
            model.channels.insert(number, (peer, now + 600));
            model.permissions.insert(peer.ip(), now + 300);
        }
        Ok(())
    }

    /// What becomes of data that a client may send to a peer.
    fn fate(&self, client: usize, peer: SocketAddr) -> Fate {
        if peer.ip() != self.relays[0].ip() {
            return Fate::ToPeer(peer);
        }
        let other = self.models.iter().position(|model| model.as_ref().is_some_and(|model| model.relayed == peer));
        other.map_or(Fate::Lost, |other| self.heard(other, self.relays[client]))
    }

    fn heard(&self, client: usize, peer: SocketAddr) -> Fate {
        match &self.models[client] {
            Some(model) if model.permits(peer.ip(), self.now) => {
                Fate::ToClient(self.clients[client].address, model.channel_of(peer, self.now))
            }
            _ => Fate::Lost,
        }
    }

    fn send(&mut self, client: usize, bytes: &[u8], fate: Fate) -> Result<(), TestCaseError> {
        let took = self.lab.send(self.clients[client].address, bytes);
        self.check(took, fate, self.relays[client])
    }

    fn check(&self, took: Took, fate: Fate, from: SocketAddr) -> Result<(), TestCaseError> {
        let relayed = match took {
            Took::Relay(relayed) => relayed,
            other => {
                prop_assert_eq!(fate, Fate::Lost, "{:?}", other);
                return Ok(());
            }
        };
        match fate {
            Fate::Lost => prop_assert!(false, "relayed: {relayed:?}"),
            Fate::ToPeer(peer) => prop_assert_eq!((relayed.to, relayed.bytes), (peer, DATA.to_vec())),
            Fate::ToClient(client, Some(number)) => {
                prop_assert_eq!((relayed.to, relayed.bytes), (client, channel_data(number, DATA)));
            }
            Fate::ToClient(client, None) => {
                let message = Message::parse(&relayed.bytes).unwrap();
                prop_assert_eq!(relayed.to, client);
                prop_assert_eq!(message.get(Attribute::DATA), Some(DATA));
                prop_assert_eq!(message.get_xor_address(Attribute::XOR_PEER_ADDRESS), Ok(Some(from)));
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn the_server_does_as_the_model_says(operations in prop::collection::vec(operation(), 0..60)) {
        let mut world = World::new();
        for operation in operations {
            world.apply(operation)?;
        }
        world.lab.pass(1000);
        prop_assert_eq!((world.lab.server.allocations(), world.lab.server.poll_timeout()), (0, None));
        let mut closed = world.lab.closed();
        closed.sort();
        let all: Vec<_> = world.lab.sockets.values().copied().collect();
        prop_assert_eq!(closed, all, "each socket is closed once");
    }
}
