#![no_main]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use plenary_ice::{AgentKey, Mux, UfragTaken};
use plenary_wire::FlowId;

const UFRAGS: [&str; 8] = ["a", "b", "c", "d", "ab", "b/", "+", "abcdefghijklmnopqrstuvwxyz"];

/// Small numbers, so that the same come again.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Origin {
    flow: bool,
    port: u8,
    form: u8,
}

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Insert { ufrag: u8, agent: u8 },
    Bind { from: Origin, agent: u8 },
    Remove { agent: u8 },
    Request { ufrag: u8, from: Origin, before: &'a [u8] },
    Datagram { from: Origin, bytes: &'a [u8] },
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    addresses_max: u8,
    entropy: [u8; 32],
    operations: Vec<Operation<'a>>,
}

/// What the mux should know, in tables that are slow and plain.
#[derive(Default)]
struct Model {
    agents: BTreeMap<AgentKey, Known>,
    addresses_max: usize,
}

/// Of an agent, oldest first.
#[derive(Default)]
struct Known {
    ufrags: Vec<&'static str>,
    addresses: Vec<(FlowId, SocketAddr)>,
}

impl Model {
    fn insert(&mut self, ufrag: &'static str, agent: AgentKey) -> Result<(), UfragTaken> {
        match self.by_ufrag(ufrag) {
            Some(owner) if owner == agent => return Ok(()),
            Some(_) => return Err(UfragTaken),
            None => {}
        }
        let ufrags = &mut self.agents.entry(agent).or_default().ufrags;
        ufrags.push(ufrag);
        if ufrags.len() > 2 {
            ufrags.remove(0);
        }
        Ok(())
    }

    fn bind(&mut self, address: (FlowId, SocketAddr), agent: AgentKey) {
        if !self.agents.contains_key(&agent) || self.by_address(address) == Some(agent) {
            return;
        }
        for known in self.agents.values_mut() {
            known.addresses.retain(|known| *known != address);
        }
        let addresses = &mut self.agents.entry(agent).or_default().addresses;
        addresses.push(address);
        if addresses.len() > self.addresses_max {
            addresses.remove(0);
        }
    }

    fn by_ufrag(&self, ufrag: &str) -> Option<AgentKey> {
        self.agents.iter().find(|(_, known)| known.ufrags.contains(&ufrag)).map(|(agent, _)| *agent)
    }

    fn by_address(&self, address: (FlowId, SocketAddr)) -> Option<AgentKey> {
        self.agents.iter().find(|(_, known)| known.addresses.contains(&address)).map(|(agent, _)| *agent)
    }
}

impl Origin {
    /// As the mux is told, and as the model knows it.
    fn address(self) -> ((FlowId, SocketAddr), (FlowId, SocketAddr)) {
        let flow = FlowId(self.flow.into());
        let port = u16::from(self.port % 3) + 1;
        let v4 = SocketAddr::from(([192, 0, 2, 1], port));
        match self.form % 3 {
            0 => ((flow, v4), (flow, v4)),
            1 => ((flow, SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201], port))), (flow, v4)),
            _ => {
                let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], port));
                ((flow, v6), (flow, v6))
            }
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let addresses_max = usize::from(input.addresses_max % 4);
    let mut mux = Mux::new(input.entropy, addresses_max);
    let mut model = Model { addresses_max: addresses_max.max(1), ..Model::default() };
    for operation in input.operations {
        match operation {
            Operation::Insert { ufrag, agent } => {
                let (ufrag, agent) = (UFRAGS[usize::from(ufrag % 8)], key(agent));
                assert_eq!(mux.insert(ufrag, agent), model.insert(ufrag, agent));
            }
            Operation::Bind { from, agent } => {
                let ((flow, remote), known) = from.address();
                mux.bind(flow, remote, key(agent));
                model.bind(known, key(agent));
            }
            Operation::Remove { agent } => {
                mux.remove(key(agent));
                model.agents.remove(&key(agent));
            }
            Operation::Request { ufrag, from, before } => {
                let ufrag = UFRAGS[usize::from(ufrag % 8)];
                let ((flow, remote), _) = from.address();
                assert_eq!(mux.route(flow, remote, &request(ufrag, before)), model.by_ufrag(ufrag));
            }
            Operation::Datagram { from, bytes } => datagram(&mux, &model, from, bytes),
        }
        let bound: usize = model.agents.values().map(|known| known.addresses.len()).sum();
        assert_eq!(mux.bound(), bound);
    }
    for ufrag in UFRAGS {
        let anywhere = SocketAddr::from(([198, 51, 100, 1], 1));
        assert_eq!(mux.route(FlowId(9), anywhere, &request(ufrag, &[])), model.by_ufrag(ufrag));
    }
});

fn datagram(mux: &Mux, model: &Model, from: Origin, bytes: &[u8]) {
    let ((flow, remote), known) = from.address();
    let to = mux.route(flow, remote, bytes);
    if bytes.starts_with(&[0, 1]) {
        // It may be a request.
        assert!(to.is_none_or(|agent| model.agents.contains_key(&agent)));
    } else {
        assert_eq!(to, model.by_address(known));
    }
}

fn key(agent: u8) -> AgentKey {
    AgentKey((agent % 3).into())
}

/// A request with one attribute before its USERNAME.
fn request(ufrag: &str, before: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    out.extend([7; 12]);
    for (kind, value) in [(0xc057u16, before), (0x0006, format!("{ufrag}:peer").as_bytes())] {
        out.extend(kind.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    let length = (out.len() - 20) as u16;
    out[2..4].copy_from_slice(&length.to_be_bytes());
    out
}
