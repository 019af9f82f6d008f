use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running `turnserver` on the loopback, which ends with this.
#[derive(Debug)]
pub struct Coturn {
    child: Child,
    address: SocketAddr,
}

impl Coturn {
    /// Starts one that knows the user `user` with the password `secret`. It keeps its files in this folder.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        std::fs::create_dir_all(folder).expect("a folder for the tests");
        // A port that was free may be another's by now.
        let started = (0..5).find_map(|_| Self::try_start(folder, arguments));
        started.unwrap_or_else(|| panic!("it does not listen: see {}", folder.display()))
    }

    fn try_start(folder: &Path, arguments: &[&str]) -> Option<Self> {
        let address = free_address();
        let printed = File::create(folder.join("printed.txt")).expect("a folder for the tests");
        let child = Command::new("turnserver")
            .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "-L", "127.0.0.1", "-E", "127.0.0.1"])
            .args(["-a", "-u", "user:secret", "-r", "example.org", "--allow-loopback-peers", "--log-file", "stdout"])
            .args(["-p", &address.port().to_string(), "--pidfile", "turnserver.pid", "--db", "turnserver.db"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(printed.try_clone().expect("a second handle"))
            .stderr(printed)
            .spawn()
            .expect("turnserver, of the package coturn");
        let coturn = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(coturn)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One where neither datagrams nor streams were anybody's just now, nor at the port behind it, which coturn takes as well.
fn free_address() -> SocketAddr {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("it is bound");
        let Some(next) = address.port().checked_add(1) else { continue };
        let behind = SocketAddr::new(address.ip(), next);
        let are_free = [address, behind].map(|address| TcpListener::bind(address).is_ok());
        if are_free == [true; 2] && UdpSocket::bind(behind).is_ok() {
            return address;
        }
    }
}
