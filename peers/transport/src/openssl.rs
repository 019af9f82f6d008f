use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A certificate with its key, in files.
#[derive(Clone, Debug)]
pub struct Identity {
    folder: PathBuf,
}

impl Identity {
    /// Makes one in this folder. The arguments say which key: those of `openssl req` from `-newkey` on.
    pub fn generate(folder: &Path, key: &[&str]) -> Self {
        fs::create_dir_all(folder).expect("a folder for the tests");
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=peer", "-outform", "PEM"]).args(key);
        command.args(["-keyout", "key.pem", "-out", "certificate.pem"]).current_dir(folder);
        run(&mut command);
        run(Command::new("openssl")
            .args(["x509", "-in", "certificate.pem", "-outform", "DER", "-out", "certificate.der"])
            .current_dir(folder));
        Self { folder: folder.to_owned() }
    }

    /// The certificate in DER.
    pub fn der(&self) -> Vec<u8> {
        fs::read(self.folder.join("certificate.der")).expect("it was made")
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("openssl, of the package of that name");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A running `openssl s_client` or `s_server`, which ends with this.
#[derive(Debug)]
pub struct OpenSsl {
    child: Child,
    printed: PathBuf,
}

impl OpenSsl {
    /// A DTLS 1.2 client that connects there.
    pub fn client(to: SocketAddr, folder: &Path, arguments: &[&str]) -> Self {
        Self::start("s_client", &["-connect", &to.to_string()], folder, arguments)
    }

    /// A DTLS 1.2 server, and where it listens.
    pub fn server(folder: &Path, arguments: &[&str]) -> (Self, SocketAddr) {
        let server = Self::start("s_server", &["-accept", "127.0.0.1:0"], folder, arguments);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(address) = server.after("ACCEPT ") {
                return (server, address.parse().expect("an address"));
            }
            assert!(Instant::now() < deadline, "{}", server.printed());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn start(program: &str, place: &[&str], folder: &Path, arguments: &[&str]) -> Self {
        let printed = folder.join("printed.txt");
        let out = File::create(&printed).expect("a folder for the tests");
        let err = out.try_clone().expect("a second handle");
        let mut command = Command::new("openssl");
        command.args([program, "-dtls1_2", "-mtu", "1200"]).args(place).args(arguments).current_dir(folder);
        // Its input stays open, or it would end.
        let child = command.stdin(Stdio::piped()).stdout(out).stderr(err).spawn().expect("openssl");
        Self { child, printed }
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.printed).unwrap_or_default()).into_owned()
    }

    /// The rest of the line that has this in it.
    pub fn after(&self, text: &str) -> Option<String> {
        let printed = self.printed();
        let (_, rest) = printed.split_once(text)?;
        // A line that has not ended may not be whole.
        rest.split_once('\n').map(|(line, _)| line.trim().to_owned())
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
