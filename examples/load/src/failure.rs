/// Why a client can't go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the WebSocket: {0}")]
    WebSocket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("the server's message: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the server's offer: {0}")]
    Description(#[from] plenary_sdp::ParseError),
    #[error("a description: {0}")]
    Sdp(#[from] plenary_sdp::Error),
    #[error("the server's offer: {0}")]
    Offer(&'static str),
    #[error("the server says: {0}")]
    Refused(String),
    #[error("the server has ended the session or the connection")]
    Ended,
    #[error("the transport: {0}")]
    Transport(String),
    #[error("the server takes {0:?}: the floor is of another")]
    Profile(plenary_srtp::Profile),
    #[error("{connected} of {clients} clients were connected, and {receiving} received, after {seconds} s")]
    Slow { connected: usize, receiving: usize, clients: usize, seconds: u64 },
    #[error("a task: {0}")]
    Task(#[from] tokio::task::JoinError),
}
