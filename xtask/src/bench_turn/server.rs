//! The servers, each on the second core and the load on the first, where there are two.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::child::{Child, bounded};

/// Until a server says where it is.
const START_WITHIN: Duration = Duration::from_secs(10);

/// Servers end after so long, whatever becomes of this program.
const SERVER_SECONDS: u64 = 900;

/// No load takes as long.
const LOAD_SECONDS: u64 = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plenary,
    /// Debian's.
    Coturn,
    /// A relay without TURN, by the name that `plenary-turn-load floor` has for it.
    Floor(&'static str),
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Plenary, Self::Coturn, Self::Floor("call"), Self::Floor("batch"), Self::Floor("segments")];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plenary => "plenary",
            Self::Coturn => "coturn",
            Self::Floor(name) => name,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    /// It ends with this.
    child: Child,
    address: String,
    load: PathBuf,
}

impl Server {
    /// Starts one with a thread for packets, which knows the user `user`, and has no limits that the loads would reach.
    pub(crate) fn start(kind: Kind, programs: &Path, folder: &Path) -> Result<Self, String> {
        let load = programs.join("plenary-turn-load");
        let (child, address) = match kind {
            Kind::Plenary => start_plenary(programs)?,
            Kind::Coturn => start_coturn(folder)?,
            Kind::Floor(name) => {
                let child = Child::start(on_core(1, SERVER_SECONDS, &load).args(["floor", name]))?;
                let address = child.line(START_WITHIN)?;
                (child, address)
            }
        };
        Ok(Self { kind, child, address, load })
    }

    /// What `plenary-turn-load` says of this server by these arguments.
    pub(crate) fn measure(&self, arguments: &str) -> Result<Value, String> {
        let mut command = on_core(0, LOAD_SECONDS, &self.load);
        command.args(arguments.split_whitespace());
        command.args(["--server", &self.address, "--pid", &self.child.pid()?.to_string()]);
        if !matches!(self.kind, Kind::Floor(_)) {
            command.args(["--user", "user:secret"]);
        }
        let mut load = Child::start(&mut command)?;
        let told = load.line(Duration::from_secs(LOAD_SECONDS));
        let told = told.map_err(|error| format!("{}: {error}", self.kind.name()))?;
        load.end_by_itself()?;
        serde_json::from_str(&told).map_err(|error| format!("{told}: {error}"))
    }
}

/// A program that is ended by force after so long.
fn on_core(core: usize, seconds: u64, program: &Path) -> Command {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return bounded(seconds, program);
    }
    let mut command = bounded(seconds, "taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// The relayed port of UDP is what it prints first.
fn start_plenary(programs: &Path) -> Result<(Child, String), String> {
    let mut command = on_core(1, SERVER_SECONDS, &programs.join("plenary-turn-server"));
    command.args(["--listen", "127.0.0.1:0", "--relay-ip", "127.0.0.1", "--allow-peers", "127.0.0.0/8"]);
    command.args(["--user", "user:secret", "--threads", "1", "--allocations", "20000"]);
    command.args(["--allocations-per-user", "20000", "--allocations-per-address", "20000"]);
    let child = Child::start(&mut command)?;
    loop {
        let line = child.line(START_WITHIN)?;
        let address = line.strip_prefix("turn:").and_then(|it| it.strip_suffix("?transport=udp"));
        if let Some(address) = address {
            return Ok((child, address.to_owned()));
        }
    }
}

fn start_coturn(folder: &Path) -> Result<(Child, String), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut command = on_core(1, SERVER_SECONDS, Path::new("turnserver"));
    let address = free_address()?;
    command.args(["-n", "--no-cli", "--no-tls", "--no-dtls", "-L", "127.0.0.1", "-E", "127.0.0.1", "-a"]);
    command.args(["-u", "user:secret", "-r", "turn", "--allow-loopback-peers", "--relay-threads", "1"]);
    // To write down what it does costs it time that others do not spend.
    command.args([
        "--no-stdout-log",
        "--log-file",
        "/dev/null",
        "--pidfile",
        "turnserver.pid",
        "--db",
        "turnserver.db",
    ]);
    command.args(["--listening-port", &address.port().to_string()]).current_dir(folder).stderr(Stdio::null());
    let child = Child::start(&mut command)?;
    let deadline = Instant::now() + START_WITHIN;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            return Err("coturn does not listen: is `turnserver` there, of the package coturn?".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok((child, address.to_string()))
}

/// One where neither datagrams nor streams were anybody's just now, nor at the port behind it, which coturn takes as well.
fn free_address() -> Result<SocketAddr, String> {
    for _ in 0..100 {
        let Ok(socket) = UdpSocket::bind("127.0.0.1:0") else { continue };
        let Ok(address) = socket.local_addr() else { continue };
        let behind = SocketAddr::new(address.ip(), address.port().wrapping_add(1));
        let are_free = [address, behind].map(|address| TcpListener::bind(address).is_ok());
        if are_free == [true; 2] && UdpSocket::bind(behind).is_ok() {
            return Ok(address);
        }
    }
    Err("no port is free".to_owned())
}
