//! The floor: as many packets in as many calls, each copied, protected and sent, and nothing else.

mod singles;

use std::error::Error;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use plenary_srtp::{MasterKey, Profile, Segment, Sender, SenderConfig};
use quinn_udp::{Transmit, UdpSocketState};
use serde_json::json;
use tokio::io::Interest;

use crate::options::Floor;
use singles::Singles;

/// What the clients of a call and the server agree on, as each of them sees to.
pub(crate) const PROFILE: Profile = Profile::AeadAes256Gcm;

/// Packets that are copied from: a picture or two, as a forwarder has them at hand.
const PACKETS: usize = 32;

/// What the sending socket may hold, as that of the server.
const KERNEL_BYTES: usize = 4 << 20;

/// Says `{"packets":…,"cpu_ns":…}`: of the sending thread alone.
pub(crate) fn run(options: &Floor) -> Result<(), Box<dyn Error>> {
    let (ready, wait) = std::sync::mpsc::channel();
    let subscribers = options.subscribers;
    // It ends with the program.
    std::thread::spawn(move || {
        if let Err(error) = drain(subscribers, &ready) {
            eprintln!("the receiver: {error}");
        }
    });
    let addresses = wait.recv()?;
    let mut sending = Sending::new(&addresses, options)?;
    let cpu = cpu_ns()?;
    let start = Instant::now();
    sending.all(options)?;
    let (cpu, seconds) = (cpu_ns()? - cpu, start.elapsed().as_secs_f64());
    let Sending { packets, calls, refused, .. } = sending;
    println!(
        "{}",
        json!({ "packets": packets, "calls": calls, "refused": refused, "cpu_ns": cpu, "seconds": seconds })
    );
    Ok(())
}

struct Sending {
    socket: UdpSocket,
    state: UdpSocketState,
    peers: Vec<Peer>,
    source: Vec<Vec<u8>>,
    out: Vec<u8>,
    run: Vec<Segment>,
    singles: Singles,
    runs: u64,
    packets: u64,
    calls: u64,
    refused: u64,
}

struct Peer {
    address: SocketAddr,
    sender: Sender,
    next: u64,
}

impl Sending {
    fn new(addresses: &[SocketAddr], options: &Floor) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        state.set_send_buffer_size((&socket).into(), KERNEL_BYTES)?;
        let peer = |(number, address): (usize, &SocketAddr)| {
            let key = [number as u8; 32];
            let sender = Sender::new(MasterKey::new(PROFILE, &key, &[7; 12])?, SenderConfig::default())?;
            Ok::<_, Box<dyn Error>>(Peer { address: *address, sender, next: 1 })
        };
        let clear = usize::from(options.datagram) - PROFILE.rtp_overhead();
        let packet = |number: usize| {
            let mut packet = vec![number as u8; clear];
            packet[..12].copy_from_slice(&[0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            packet
        };
        Ok(Self {
            socket,
            state,
            peers: addresses.iter().enumerate().map(peer).collect::<Result<_, _>>()?,
            source: (0..PACKETS).map(packet).collect(),
            out: Vec::with_capacity(1 << 16),
            run: Vec::new(),
            singles: Singles::new(options.together.into()),
            runs: 0,
            packets: 0,
            calls: 0,
            refused: 0,
        })
    }

    /// Spreads the runs over the time, a burst of them at each tick.
    fn all(&mut self, options: &Floor) -> Result<(), Box<dyn Error>> {
        let tick = Duration::from_millis(options.tick);
        let ticks = (options.seconds * 1000 / options.tick).max(1);
        let runs = options.runs.count();
        let mut lengths = options.runs.mixed();
        let start = Instant::now();
        for number in 0..ticks {
            let due = start + tick * number as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            while self.runs < runs * (number + 1) / ticks {
                let peer = self.runs as usize % self.peers.len();
                self.runs += 1;
                match lengths.next().expect("they have no end") {
                    1 => self.single(peer)?,
                    length => self.run(peer, length)?,
                }
            }
        }
        self.send_singles();
        Ok(())
    }

    /// Writes a packet for one peer behind others, and sends all of them if they are as many as go together.
    fn single(&mut self, peer: usize) -> Result<(), Box<dyn Error>> {
        let start = self.singles.buffer().len();
        let peer = &mut self.peers[peer];
        write(peer, &self.source, &mut self.run, self.singles.buffer(), 1);
        peer.sender.protect_rtp_run(&mut self.singles.buffer()[start..], &self.run)?;
        if self.singles.push(peer.address, start) {
            self.send_singles();
        }
        Ok(())
    }

    fn send_singles(&mut self) {
        let told = self.singles.send(&self.socket);
        self.calls += told.calls;
        self.packets += told.sent;
        self.refused += told.refused;
    }

    /// Writes a run for one peer, and sends it.
    fn run(&mut self, peer: usize, length: usize) -> Result<(), Box<dyn Error>> {
        let peer = &mut self.peers[peer];
        self.out.clear();
        write(peer, &self.source, &mut self.run, &mut self.out, length);
        peer.sender.protect_rtp_run(&mut self.out, &self.run)?;
        let transmit = Transmit {
            destination: peer.address,
            ecn: None,
            contents: &self.out,
            segment_size: Some(self.run[0].len),
            src_ip: None,
        };
        self.calls += 1;
        match self.state.try_send((&self.socket).into(), &transmit) {
            Ok(()) => self.packets += length as u64,
            Err(_) => self.refused += length as u64,
        }
        Ok(())
    }
}

/// Appends so many packets with the peer's next numbers, in the clear but with room for their tags.
fn write(peer: &mut Peer, source: &[Vec<u8>], run: &mut Vec<Segment>, out: &mut Vec<u8>, length: usize) {
    run.clear();
    for _ in 0..length {
        let start = out.len();
        out.extend_from_slice(&source[peer.next as usize % PACKETS]);
        out[start + 2..start + 4].copy_from_slice(&(peer.next as u16).to_be_bytes());
        out.resize(out.len() + PROFILE.rtp_overhead(), 0);
        run.push(Segment { len: out.len() - start, index: Some(peer.next) });
        peer.next += 1;
    }
}

/// Receives as the clients of a call do: a task for each socket, and each datagram by itself.
#[tokio::main(flavor = "current_thread")]
async fn drain(count: u16, ready: &std::sync::mpsc::Sender<Vec<SocketAddr>>) -> io::Result<()> {
    let mut addresses = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        addresses.push(socket.local_addr()?);
        tasks.spawn(async move {
            let mut buffer = vec![0; 2048];
            loop {
                socket.ready(Interest::READABLE).await?;
                while socket.try_recv_from(&mut buffer).is_ok() {}
            }
        });
    }
    let _ = ready.send(addresses);
    tasks.join_next().await.map_or(Ok(()), |ended| ended.unwrap_or(Ok(())))
}

/// What the scheduler has counted for this thread.
fn cpu_ns() -> Result<u64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().ok_or("an empty schedstat")?.parse()?)
}
