use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use plenary_turn::{Admission, Server};
use plenary_wire::{Bitrate, FlowId};

use crate::associations::Host;
use crate::buffers::Buffers;
use crate::chance::draw;
use crate::config::{Config, StartError};
use crate::counters::{self, Counters, Events};
use crate::dtls::{Cookies, Outcome};
use crate::flows::Flow;
use crate::identity::Identity;
use crate::listeners::{self, Listener, Sockets};
use crate::load::Load;
use crate::own::Own;
use crate::poller::{Poller, Waker};
use crate::ports::{Bound, Ports};
use crate::streams::BUFFER_BYTES;
use crate::udp::{Kind, Udp};
use crate::ways::Ways;
use crate::worker::{Command, Place, Worker};

/// A relay that runs, until it is stopped or dropped.
#[derive(Debug)]
pub struct Relay {
    threads: Vec<Thread>,
    listeners: Vec<SocketAddr>,
    listeners_tls: Vec<SocketAddr>,
    speaks_dtls: bool,
}

#[derive(Debug)]
struct Thread {
    commands: Sender<Command>,
    waker: Waker,
    counters: Arc<Counters>,
    ended: Mutex<Option<JoinHandle<()>>>,
}

impl Relay {
    /// Binds all sockets, and starts a thread for each core.
    ///
    /// # Errors
    ///
    /// [`StartError`] says which value is wrong, or what the system refused.
    pub fn start(mut config: Config) -> Result<Self, StartError> {
        config.check()?;
        let threads = config.threads();
        fill_in(&mut config, threads)?;
        for relay in &config.relays {
            let address = SocketAddr::new(relay.bind, 0);
            Udp::bind(address, Kind::Relay).map_err(|error| StartError::Listen(address, error))?;
        }
        let plain = listeners::open(&config.listen, None, threads)?;
        let secure = listeners::open(&config.listen_tls, config.identity.as_ref(), threads)?;
        let told = |listener: &Listener| {
            let ip = listener.address.ip();
            let told = config.told.filter(|told| told.is_ipv4() == ip.is_ipv4());
            SocketAddr::new(told.unwrap_or(ip), listener.address.port())
        };
        let (told_plain, told_secure) = (plain.iter().map(told).collect(), secure.iter().map(told).collect());
        let bound: Vec<Bound> = config.relays.iter().map(|_| Bound::default()).collect();
        let mut sockets: Vec<Vec<Sockets>> = (0..threads).map(|_| Vec::new()).collect();
        for listener in plain.into_iter().chain(secure) {
            sockets.iter_mut().zip(listener.sockets).for_each(|(of_thread, socket)| of_thread.push(socket));
        }
        let threads = sockets.into_iter().enumerate().map(|(index, sockets)| {
            let shares = Shares { index, threads, bound: bound.clone() };
            Thread::start(&config, &shares, sockets)
        });
        let (threads, speaks_dtls) =
            (threads.collect::<Result<_, _>>()?, config.identity.as_ref().is_some_and(Identity::speaks_dtls));
        Ok(Self { threads, listeners: told_plain, listeners_tls: told_secure, speaks_dtls })
    }

    /// Where clients come in by UDP and by TCP, as they are told.
    #[must_use]
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Where clients come in by TLS, as they are told.
    #[must_use]
    pub fn listeners_tls(&self) -> &[SocketAddr] {
        &self.listeners_tls
    }

    /// Where clients come in by DTLS: the same, or nowhere.
    #[must_use]
    pub fn listeners_dtls(&self) -> &[SocketAddr] {
        if self.speaks_dtls { &self.listeners_tls } else { &[] }
    }

    /// Whether new allocations are made, as long as the threads are not too busy for them. They are at first.
    pub fn set_admission(&self, admission: Admission) {
        self.tell(|| Command::Admission(admission));
    }

    /// Replaces the secrets of time-limited names, as [`plenary_turn::Server::set_secrets`] does.
    ///
    /// # Errors
    ///
    /// There are more than 8.
    pub fn set_secrets(&self, secrets: &[Vec<u8>]) -> Result<(), plenary_turn::Error> {
        if secrets.len() > 8 {
            return Err(plenary_turn::Error::Secrets);
        }
        self.tell(|| Command::Secrets(secrets.to_vec()));
        Ok(())
    }

    /// Replaces the keys of nonces, as [`plenary_turn::Server::set_nonce_keys`] does.
    ///
    /// # Errors
    ///
    /// There are none, or more than 4.
    pub fn set_nonce_keys(&self, keys: &[[u8; 32]]) -> Result<(), plenary_turn::Error> {
        if !(1..=4).contains(&keys.len()) {
            return Err(plenary_turn::Error::NonceKeys);
        }
        self.tell(|| Command::NonceKeys(keys.to_vec()));
        Ok(())
    }

    /// Figures, in the text format of Prometheus: each of each thread.
    #[must_use]
    pub fn metrics(&self) -> String {
        counters::text(self.threads.iter().map(|thread| &*thread.counters))
    }

    /// Allocations that there are.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        self.threads.iter().map(|thread| thread.counters.allocations()).sum()
    }

    /// How much of what it can do it does, from 0 to 1: of the threads' time, of ports and of allocations what is nearest to
    /// its end, averaged over the threads. For autoscaling. Looked at once a second.
    #[must_use]
    pub fn saturation(&self) -> f64 {
        let all: u64 = self.threads.iter().map(|thread| thread.counters.saturation()).sum();
        all as f64 / 1000.0 / self.threads.len() as f64
    }

    /// Whether all threads run, as they do until they are stopped: one that has panicked serves nobody any more, and a program
    /// had better end and be started anew.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let runs = |thread: &Thread| {
            let ended = thread.ended.lock().expect("nothing panics under this lock");
            ended.as_ref().is_some_and(|ended| !ended.is_finished())
        };
        self.threads.iter().all(runs)
    }

    /// Closes all sockets, and waits for the threads.
    pub fn stop(&self) {
        self.tell(|| Command::Stop);
        for thread in &self.threads {
            let ended = thread.ended.lock().expect("nothing panics under this lock").take();
            if let Some(ended) = ended {
                let _ = ended.join();
            }
        }
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for thread in &self.threads {
            // A thread ends with the relay only.
            let _ = thread.commands.send(command());
            thread.waker.wake();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What is the same for all threads, and no business of who writes a configuration.
fn fill_in(config: &mut Config, threads: usize) -> Result<(), StartError> {
    if config.turn.tcp && threads > 1 {
        return Err(StartError::Tcp(threads));
    }
    let turn = &mut config.turn;
    turn.mobility &= threads == 1;
    turn.dont_fragment = true;
    turn.ipv4 = config.relays.iter().any(|relay| relay.bind.is_ipv4());
    turn.ipv6 = config.relays.iter().any(|relay| relay.bind.is_ipv6());
    turn.allocations_max = turn.allocations_max.div_ceil(threads as u32);
    turn.flows_max = turn.flows_max.div_ceil(threads as u32);
    turn.total_bitrate = turn.total_bitrate.map(|rate| Bitrate::from_bps(rate.as_bps().div_ceil(threads as u64)));
    if turn.nonce_keys.is_empty() {
        turn.nonce_keys = vec![draw()?];
    }
    // What listens on all addresses does not know which they are.
    turn.peers
        .own
        .extend(config.listen.iter().chain(&config.listen_tls).map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()));
    turn.peers.own.extend(config.relays.iter().flat_map(|relay| [relay.bind, relay.told]));
    turn.peers.own.extend(config.told);
    turn.peers.own.extend(addresses()?);
    turn.peers.siblings = (threads > 1).then(|| config.ports.clone());
    Ok(())
}

/// The addresses of this host.
fn addresses() -> io::Result<Vec<IpAddr>> {
    let all = nix::ifaddrs::getifaddrs()?;
    Ok(all
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
        })
        .collect())
}

/// Which part of all is a thread's.
struct Shares {
    index: usize,
    threads: usize,
    /// Of all threads: of each address of relays.
    bound: Vec<Bound>,
}

impl Thread {
    fn start(config: &Config, shares: &Shares, sockets: Vec<Sockets>) -> Result<Self, StartError> {
        let (worker, commands) = worker(config, shares, sockets)?;
        let (waker, counters) = (worker.ways.poller.waker(), Arc::clone(&worker.counters));
        let thread = std::thread::Builder::new().name(format!("turn {}", shares.index));
        let ended = thread.spawn(move || worker.run())?;
        Ok(Self { commands, waker, counters, ended: Mutex::new(Some(ended)) })
    }
}

fn worker(config: &Config, shares: &Shares, sockets: Vec<Sockets>) -> Result<(Worker, Sender<Command>), StartError> {
    let now = Instant::now();
    let mut turn = config.turn.clone();
    turn.entropy = draw()?;
    turn.unix_time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let allocations_max = turn.allocations_max.into();
    let relays: Vec<_> = config.relays.iter().copied().zip(shares.bound.iter().cloned()).collect();
    let own = Own::new(&relays, turn.peers.own.clone(), turn.peers.services.clone());
    let mut server = Server::new(turn, now)?;
    let mut ways = Ways::new(Poller::new()?, own);
    for Sockets { datagrams, clients, identity } in sockets {
        if let Some(datagrams) = datagrams {
            let local = datagrams.local;
            let flow = add(&mut ways, Flow::Datagrams(datagrams))?;
            if identity.is_none() {
                server.listen(flow, local).map_err(io::Error::other)?;
            }
        }
        add(&mut ways, Flow::Clients(clients, identity))?;
    }
    let place = |(address, bound)| {
        let ports = Ports::new(config.ports.clone(), shares.index, shares.threads, bound)?;
        Ok(Place { address, ports })
    };
    let places = relays.into_iter().map(place).collect::<io::Result<_>>()?;
    let host = match config.identity.as_ref().and_then(Identity::dtls) {
        Some(certificate) => Some(Host { cookies: Cookies::new(&draw()?, now), certificate: certificate.clone() }),
        None => None,
    };
    let (commands, waiting) = channel();
    let worker = Worker {
        server,
        ways,
        places,
        buffers: Some(Buffers::new()),
        stream_buffer: vec![0; BUFFER_BYTES],
        commands: waiting,
        counters: Arc::default(),
        events: Events { admits: true, ..Events::default() },
        load: Load::new(now),
        allocations_max,
        admission: Admission::Open,
        answers: Vec::new(),
        out: Vec::new(),
        openings: BTreeMap::new(),
        host,
        outcome: Outcome::default(),
        accept_at: None,
        is_stopped: false,
    };
    Ok((worker, commands))
}

/// A worker without a thread: a test takes its turns.
#[cfg(test)]
pub(crate) fn lone_worker(mut config: Config) -> Worker {
    fill_in(&mut config, 1).unwrap();
    let plain = listeners::open(&config.listen, None, 1).unwrap();
    let secure = listeners::open(&config.listen_tls, config.identity.as_ref(), 1).unwrap();
    let sockets = plain.into_iter().chain(secure).flat_map(|listener| listener.sockets).collect();
    let bound = config.relays.iter().map(|_| Bound::default()).collect();
    worker(&config, &Shares { index: 0, threads: 1, bound }, sockets).unwrap().0
}

fn add(ways: &mut Ways, flow: Flow) -> io::Result<FlowId> {
    ways.add(flow).ok_or_else(|| io::Error::other("a listener can't be watched"))
}
