use std::fs::File;
use std::net::{SocketAddr, TcpStream, UdpSocket};
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
        // A port that was free just now.
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("it is bound");
        drop(socket);
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
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "it does not listen: see {}", folder.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        coturn
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
