//! The relay beside the media threads, and who may use it: clients are told with the answer to `join`.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plenary_relay::{Config, Relay, StartError};
use plenary_turn::TimeLimited;

use crate::chance::draw;
use crate::protocol::IceServer;

/// How long a client may make allocations with what it was told. Those that it has go on.
const CREDENTIALS_LIFETIME: Duration = Duration::from_secs(86_400);

/// A relay, and the secret of its names.
#[derive(Debug)]
pub(crate) struct Turn {
    relay: Relay,
    secret: Vec<u8>,
    urls: Vec<String>,
}

impl Turn {
    /// Starts it. By it clients reach these sockets too, though they are near. They may be told a host's name.
    pub(crate) fn start(mut config: Config, name: Option<&str>, services: Vec<SocketAddr>) -> Result<Self, StartError> {
        let secret = match config.turn.secrets.first() {
            Some(secret) => secret.clone(),
            None => draw::<32>().to_vec(),
        };
        config.turn.secrets = vec![secret.clone()];
        config.turn.peers.services = services;
        let relay = Relay::start(config)?;
        let urls = urls(&relay, name);
        Ok(Self { relay, secret, urls })
    }

    /// What a client is told, which is for it alone.
    pub(crate) fn servers(&self) -> Vec<IceServer> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let user = format!("{:016x}", u64::from_ne_bytes(draw()));
        let TimeLimited { username, password } = TimeLimited::new(&self.secret, now + CREDENTIALS_LIFETIME, &user);
        vec![IceServer { urls: self.urls.clone(), username, credential: password }]
    }

    pub(crate) const fn relay(&self) -> &Relay {
        &self.relay
    }
}

/// RFC 7065: the ways to the relay. Browsers know no DTLS.
fn urls(relay: &Relay, name: Option<&str>) -> Vec<String> {
    let host = |address: &SocketAddr| match name {
        Some(name) => format!("{name}:{}", address.port()),
        None => address.to_string(),
    };
    let plain = relay.listeners().iter().flat_map(|address| {
        let host = host(address);
        ["udp", "tcp"].map(|by| format!("turn:{host}?transport={by}"))
    });
    let secure = relay.listeners_tls().iter().map(|address| format!("turns:{}?transport=tcp", host(address)));
    plain.chain(secure).collect()
}
