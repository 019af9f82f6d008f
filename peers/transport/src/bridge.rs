use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use plenary_ice::{Agent, LocalCandidate, Role};
use plenary_transport::{Config, Connected, Event, Fingerprint, HashFunction, Parameters, Setup, Transport};
use plenary_wire::{Datagram, Ecn, FlowId, Handled, Limit, Transmit};

const OURS: &str = "192.0.2.1:1000";
const THEIRS: &str = "192.0.2.2:2000";

/// A transport whose peer is in two parts: its ICE is an agent here, and its DTLS a program behind a socket.
#[derive(Debug)]
pub struct Bridge {
    /// The transport under test.
    pub transport: Transport,
    /// What it has agreed on.
    pub connected: Option<Connected>,
    agent: Agent,
    socket: UdpSocket,
    program: Option<SocketAddr>,
}

impl Bridge {
    /// A transport that takes `setup`, and whose peer should have this certificate, in DER. Its path is there already.
    pub fn new(mut config: Config, setup: Setup, certificate: &[u8]) -> Self {
        let now = Instant::now();
        let [ours, theirs] = [OURS, THEIRS].map(|address| address.parse().expect("an address"));
        config.setup = setup;
        config.ice.role = Role::Controlled;
        let entropy = config.ice.entropy.map(|byte| byte ^ 0xff);
        let mut agent =
            Agent::new(plenary_ice::Config { entropy, role: Role::Controlling, ..plenary_ice::Config::default() }, now)
                .expect("the defaults");
        agent.add_local_candidate(LocalCandidate::host(FlowId(0), theirs), now).expect("one");
        let mut transport = Transport::new(config, now).expect("within the ranges");
        transport.add_local_candidate(LocalCandidate::host(FlowId(0), ours), now).expect("one");
        let fingerprints = vec![Fingerprint::of(HashFunction::Sha256, certificate)];
        let parameters = Parameters { ice: agent.local_parameters(), fingerprints, setup: Setup::ActPass, data: None };
        transport.set_remote(parameters, now).expect("it has all it needs");
        agent.set_remote_parameters(transport.local_parameters().ice, now);
        for candidate in transport.ice().local_candidates() {
            agent.add_remote_candidate(candidate, now);
        }
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(2))).expect("not zero");
        let mut bridge = Self { transport, connected: None, agent, socket, program: None };
        while bridge.transport.path().is_none() {
            bridge.carry();
        }
        bridge
    }

    /// Where a client is to connect to.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// Where the server is.
    pub fn set_program(&mut self, program: SocketAddr) {
        self.program = Some(program);
    }

    /// Goes on until this is so, for ten seconds at most; answers whether it is.
    pub fn run_until(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so(self) && Instant::now() < deadline {
            self.step();
        }
        is_so(self)
    }

    /// Goes on for a while.
    pub fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step();
        }
    }

    /// Hands the transport a datagram of its peer.
    pub fn receive<'d>(&mut self, bytes: &'d mut [u8]) -> Handled<'d, plenary_transport::DropReason> {
        let [local, remote] = [OURS, THEIRS].map(|address| address.parse().expect("an address"));
        let datagram = Datagram { flow: FlowId(0), local, remote, ecn: Ecn::NotEct, bytes };
        self.transport.handle_datagram(datagram, Instant::now())
    }

    fn step(&mut self) {
        self.carry();
        let mut buffer = [0; 65_536];
        if let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            self.program = Some(from);
            let _ = self.receive(&mut buffer[..len]);
        }
        while let Some(event) = self.transport.poll_event() {
            if let Event::Connected(connected) = event {
                self.connected = Some(connected);
            }
        }
    }

    /// STUN goes to and fro at once, DTLS to the program.
    fn carry(&mut self) {
        let now = Instant::now();
        self.transport.handle_timeout(now);
        self.agent.handle_timeout(now);
        let mut out = Vec::new();
        while let Some(transmit) = self.transport.poll_transmit(now, Limit::DATAGRAM, &mut out) {
            let is_stun = transmit.bytes(&out)[0] < 4;
            if is_stun {
                let _ = self.agent.handle_datagram(turned(&transmit, &mut out), now);
            } else if let Some(program) = self.program {
                self.socket.send_to(transmit.bytes(&out), program).expect("loopback");
            }
        }
        while let Some(transmit) = self.agent.poll_transmit(now, Limit::DATAGRAM, &mut out) {
            let _ = self.transport.handle_datagram(turned(&transmit, &mut out), now);
        }
    }
}

/// What was sent, as it is received.
fn turned<'d>(transmit: &Transmit, out: &'d mut [u8]) -> Datagram<'d> {
    let (flow, local, remote) = (transmit.flow, transmit.remote, transmit.local);
    Datagram { flow, local, remote, ecn: Ecn::NotEct, bytes: &mut out[transmit.range.clone()] }
}
