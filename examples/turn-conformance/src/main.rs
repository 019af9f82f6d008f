//! The command: see the crate's README.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use plenary_turn_conformance::{Probe, Status, Target, Transport, all, json, markdown, run, summary};

/// Probes a STUN and TURN server by the rules of its RFCs
#[derive(Clone, Debug, Parser)]
#[command(name = "plenary-turn-conformance")]
struct Options {
    /// Where the server listens, as `host:port`
    #[arg(long, value_parser = resolve, required_unless_present = "list")]
    server: Option<SocketAddr>,
    #[arg(long, default_value = "")]
    username: String,
    #[arg(long, default_value = "")]
    password: String,
    /// What the server's realm must be [default: whatever it says]
    #[arg(long)]
    realm: Option<String>,
    /// A second user, for the rules about others' allocations
    #[arg(long, requires = "other_password")]
    other_username: Option<String>,
    #[arg(long, requires = "other_username")]
    other_password: Option<String>,
    /// What clients speak, but in the families `stream` and `tcp`, which are about TCP or TLS
    #[arg(long, value_enum, default_value_t = Speaks::Udp)]
    transport: Speaks,
    /// The local address of peers: one that the server permits
    #[arg(long, default_value = "127.0.0.1")]
    peer_bind: IpAddr,
    /// Only probes whose id begins so; may come more than once
    #[arg(long)]
    only: Vec<String>,
    /// Milliseconds that an answer may take; each request is sent three times
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(20..=2000))]
    patience: u64,
    /// Probes at the same time
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=32))]
    together: u8,
    /// Seconds after which no more probes begin
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    within: u64,
    #[arg(long)]
    json: Option<PathBuf>,
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Print the probes, and run none
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Speaks {
    Udp,
    Tcp,
    /// Its certificate is not looked at
    Tls,
}

fn main() -> ExitCode {
    match act(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("plenary-turn-conformance: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether nothing failed.
fn act(options: &Options) -> Result<bool, Box<dyn Error>> {
    let mut probes = all();
    if !options.only.is_empty() {
        probes.retain(|probe| options.only.iter().any(|start| probe.id().starts_with(start)));
    }
    let Some(target) = options.target() else {
        let text: String = probes.iter().map(line).collect();
        let _ = io::stdout().write_all(text.as_bytes());
        return Ok(true);
    };
    let rows = run(&target, &probes, options.together.into(), Duration::from_secs(options.within));
    let mut text: String =
        rows.iter().filter(|row| row.outcome.status != Status::Passed).map(|row| format!("{row}\n")).collect();
    text.push_str(&summary(&rows));
    // Who reads only the beginning has seen enough.
    let _ = io::stdout().write_all(text.as_bytes());
    if let Some(path) = &options.json {
        fs::write(path, json(&rows))?;
    }
    if let Some(path) = &options.markdown {
        fs::write(path, markdown(&rows))?;
    }
    let is_good = |status| matches!(status, Status::Passed | Status::Skipped);
    Ok(rows.iter().all(|row| is_good(row.outcome.status))
        && rows.iter().any(|row| row.outcome.status == Status::Passed))
}

fn line(probe: &Probe) -> String {
    let rule = probe.rule();
    format!("{}: {}: {}; {} -> {}\n", probe.id(), rule.section, rule.words, probe.input(), probe.expected())
}

impl Options {
    /// `None` if no server is to be probed.
    fn target(&self) -> Option<Target> {
        let server = self.server.filter(|_| !self.list)?;
        Some(Target {
            server,
            transport: match self.transport {
                Speaks::Udp => Transport::Udp,
                Speaks::Tcp => Transport::Tcp,
                Speaks::Tls => Transport::Tls,
            },
            username: self.username.clone(),
            password: self.password.clone(),
            realm: self.realm.clone(),
            other: self.other_username.clone().zip(self.other_password.clone()),
            peer_bind: self.peer_bind,
            patience: Duration::from_millis(self.patience),
        })
    }
}

fn resolve(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| format!("{text} has no address"))
}
