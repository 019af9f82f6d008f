use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Parser;
use plenary_relay::{Config, Identity, RelayAddress};
use plenary_turn::{Keys, Prefix, User};
use plenary_wire::Bitrate;

/// A TURN server.
#[derive(Clone, Debug, Parser)]
#[command(name = "plenary-turn-server")]
pub(crate) struct Options {
    /// Where clients come in, by UDP and TCP; may be repeated. With port 0 it is a free one
    #[arg(long, default_value = "127.0.0.1:3478")]
    listen: Vec<SocketAddr>,
    /// Where clients come in by TLS, and by DTLS if the key is ECDSA; may be repeated
    #[arg(long, requires = "certificate")]
    listen_tls: Vec<SocketAddr>,
    /// The server's certificate and those that it is signed by, in PEM
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// An address that relays have, one of each family at most. Without it that of the first listener
    #[arg(long)]
    relay_ip: Vec<IpAddr>,
    /// The address that clients and peers are told, if a NAT that keeps ports is in front
    #[arg(long)]
    public_ip: Option<IpAddr>,
    /// Ports of relays
    #[arg(long, default_value = "49152-65535", value_parser = ports)]
    ports: RangeInclusive<u16>,
    /// Threads. Without it: one for each core
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// The realm: 1 to 4 characters, or browsers can't use it
    #[arg(long, default_value = "turn")]
    realm: String,
    /// A user and its password, as name:password; may be repeated
    #[arg(long, value_parser = user)]
    user: Vec<(String, String)>,
    /// A secret of time-limited names; may be repeated, to be replaced
    #[arg(long)]
    secret: Vec<String>,
    /// A network whose addresses may be peers although they are not public; may be repeated
    #[arg(long)]
    allow_peers: Vec<Prefix>,
    /// A network whose addresses may be no peers; may be repeated
    #[arg(long)]
    deny_peers: Vec<Prefix>,
    /// Allocations in all
    #[arg(long, default_value_t = 10_000)]
    allocations: u32,
    /// Allocations of one user, at each thread
    #[arg(long, default_value_t = 16)]
    allocations_per_user: u32,
    /// Allocations of one client address, at each thread
    #[arg(long, default_value_t = 1_000)]
    allocations_per_address: u32,
    /// Answers per second to unauthenticated requests of one network, at each thread
    #[arg(long, default_value_t = 200)]
    unauthenticated_per_second: u16,
    /// What one allocation may relay in each direction, in kbit/s. Without it as much as there is room for
    #[arg(long)]
    allocation_kbps: Option<u64>,
    /// What all allocations may relay together, likewise
    #[arg(long)]
    total_kbps: Option<u64>,
    /// Relays TCP connections too (RFC 6062): with one thread
    #[arg(long)]
    tcp: bool,
    /// Where figures are served, at /metrics
    #[arg(long)]
    pub(crate) metrics: Option<SocketAddr>,
}

fn user(text: &str) -> Result<(String, String), String> {
    let (name, password) = text.split_once(':').ok_or("it is not name:password")?;
    if name.is_empty() || password.is_empty() {
        return Err("a name and a password have a character at least".to_owned());
    }
    Ok((name.to_owned(), password.to_owned()))
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let ends = text.split_once('-').map(|(first, last)| (first.parse(), last.parse()));
    match ends {
        Some((Ok(first), Ok(last))) if first <= last => Ok(first..=last),
        _ => Err("it is not first-last, such as 49152-65535".to_owned()),
    }
}

impl Options {
    /// What a relay is told.
    pub(crate) fn config(&self) -> Result<Config, String> {
        let relay_ips = if self.relay_ip.is_empty() { vec![self.listen[0].ip()] } else { self.relay_ip.clone() };
        let told = |ip: IpAddr| self.public_ip.filter(|told| told.is_ipv4() == ip.is_ipv4()).unwrap_or(ip);
        let relays: Vec<RelayAddress> =
            relay_ips.into_iter().map(|bind| RelayAddress { bind, told: told(bind) }).collect();
        if let Some(relay) = relays.iter().find(|relay| relay.told.is_unspecified()) {
            return Err(format!("peers can't send to {}: give --relay-ip, or --public-ip", relay.told));
        }
        if self.user.is_empty() && self.secret.is_empty() {
            return Err("nobody can use it: give --user name:password, or --secret".to_owned());
        }
        let user = |(name, password): &(String, String)| User {
            name: name.clone().into_bytes(),
            keys: Keys::from_password(name.as_bytes(), self.realm.as_bytes(), password.as_bytes()),
        };
        let mut turn = plenary_turn::Config {
            realm: self.realm.clone(),
            users: self.user.iter().map(user).collect(),
            secrets: self.secret.iter().map(|secret| secret.clone().into_bytes()).collect(),
            tcp: self.tcp,
            allocations_max: self.allocations,
            allocations_per_user_max: self.allocations_per_user,
            allocations_per_address_max: self.allocations_per_address,
            unauthenticated_per_second: self.unauthenticated_per_second,
            allocation_bitrate: self.allocation_kbps.map(Bitrate::from_kbps),
            total_bitrate: self.total_kbps.map(Bitrate::from_kbps),
            ..plenary_turn::Config::default()
        };
        turn.peers.allow.clone_from(&self.allow_peers);
        turn.peers.deny.clone_from(&self.deny_peers);
        Ok(Config {
            listen: self.listen.clone(),
            listen_tls: self.listen_tls.clone(),
            identity: self.identity()?,
            told: self.public_ip,
            relays,
            ports: self.ports.clone(),
            threads: self.threads,
            turn,
        })
    }
}

impl Options {
    fn identity(&self) -> Result<Option<Identity>, String> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else { return Ok(None) };
        let read = |path: &PathBuf| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let identity = Identity::from_pem(&read(certificate)?, &read(key)?);
        identity.map(Some).map_err(|error| format!("{}, {}: {error}", certificate.display(), key.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> Result<Config, String> {
        let line = format!("plenary-turn-server {line}");
        let options = Options::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?;
        options.config()
    }

    #[test]
    fn what_is_said_is_what_the_relay_is_told() {
        let line = "--listen 192.0.2.1:3478 --listen [2001:db8::1]:3478 --relay-ip 192.0.2.1 --relay-ip 2001:db8::1 \
            --public-ip 198.51.100.1 --user a:b:c --allow-peers 10.0.0.0/8 --ports 50000-50009 --threads 2 \
            --allocation-kbps 500 --total-kbps 100000";
        let config = config(line).unwrap();
        assert_eq!(config.listen.len(), 2);
        let told: Vec<String> = config.relays.iter().map(|relay| format!("{} {}", relay.bind, relay.told)).collect();
        assert_eq!(told, ["192.0.2.1 198.51.100.1", "2001:db8::1 2001:db8::1"]);
        assert_eq!(config.ports, 50_000..=50_009);
        assert_eq!(config.turn.users[0].name, b"a");
        assert_eq!(config.turn.peers.allow.len(), 1);
        let bitrates = [config.turn.allocation_bitrate, config.turn.total_bitrate];
        assert_eq!(bitrates, [Some(Bitrate::from_kbps(500)), Some(Bitrate::from_mbps(100))]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, part) in [
            ("", "--user"),
            ("--user a", "name:password"),
            ("--user a:", "character"),
            ("--user a:b --ports 5-4", "first-last"),
            ("--user a:b --listen 0.0.0.0:3478", "--public-ip"),
            ("--user a:b --listen-tls 127.0.0.1:0", "--certificate"),
            ("--user a:b --certificate /a/file --key /a/file", "/a/file"),
            ("--user a:b --certificate Cargo.toml --key Cargo.toml", "no certificate"),
            ("--user a:b --allow-peers 10.0.0.0/33", "10.0.0.0/33"),
        ] {
            let error = config(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
