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
}

impl Turn {
    /// Starts it. By it clients reach these sockets too, though they are near.
    pub(crate) fn start(mut config: Config, services: Vec<SocketAddr>) -> Result<Self, StartError> {
        let secret = match config.turn.secrets.first() {
            Some(secret) => secret.clone(),
            None => draw::<32>().to_vec(),
        };
        config.turn.secrets = vec![secret.clone()];
        config.turn.peers.services = services;
        Ok(Self { relay: Relay::start(config)?, secret })
    }

    /// What a client is told, which is for it alone.
    pub(crate) fn servers(&self) -> Vec<IceServer> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let user = format!("{:016x}", u64::from_ne_bytes(draw()));
        let TimeLimited { username, password } = TimeLimited::new(&self.secret, now + CREDENTIALS_LIFETIME, &user);
        vec![IceServer { urls: self.urls(), username, credential: password }]
    }

    fn urls(&self) -> Vec<String> {
        let transports = |address: &SocketAddr| ["udp", "tcp"].map(|by| format!("turn:{address}?transport={by}"));
        self.relay.listeners().iter().flat_map(transports).collect()
    }

    pub(crate) const fn relay(&self) -> &Relay {
        &self.relay
    }
}
