//! What clients may keep of the server.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections of signalling at once; each has a socket of the system, and its queues.
    pub(crate) connections_max: usize,
    /// How long a connection may be used for requests; one that has become a WebSocket goes on.
    pub(crate) requests_within: Duration,
    /// How long a client may take to say who it is.
    pub(crate) join_within: Duration,
    /// How often a client is asked whether it is there.
    pub(crate) ping_every: Duration,
    /// After how long a silence it is not.
    pub(crate) silence_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            requests_within: Duration::from_secs(10),
            join_within: Duration::from_secs(10),
            ping_every: Duration::from_secs(15),
            silence_max: Duration::from_secs(45),
        }
    }
}
