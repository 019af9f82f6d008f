use std::net::SocketAddr;

use plenary_turn::client::{ConfigError, Error, Failure as End};

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    System(#[from] nix::Error),
    #[error("the client: {0:?}")]
    Config(ConfigError),
    #[error("the client: {0:?}")]
    Client(Error),
    #[error("the server refuses: {0:?}")]
    Refused(End),
    #[error("{0} does not answer")]
    Silent(SocketAddr),
    #[error("nothing of {0} packets has arrived")]
    NothingArrived(u64),
}
