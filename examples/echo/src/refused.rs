use plenary_sdp::offer_answer::{AnswerError, Rejection};

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no such call")]
    NoCall,
    #[error("as many calls as there may be")]
    TooManyCalls,
    #[error("there is no offer of ours that waits for an answer")]
    NoOffer,
    #[error("the text is not UTF-8")]
    NotText,
    #[error("{0}")]
    Malformed(#[from] plenary_sdp::ParseError),
    #[error("{0}")]
    Answer(#[from] AnswerError),
    #[error("no section can be accepted: {0:?}")]
    NothingInCommon(Vec<Rejection>),
    #[error("ICE: {0}")]
    Ice(#[from] plenary_ice::ParseError),
    #[error("{0}")]
    Transport(#[from] plenary_transport::Error),
    /// Not the peer's fault.
    #[error("{0}")]
    Config(#[from] plenary_transport::ConfigError),
    /// Chance, once in a million calls.
    #[error("{0}")]
    UfragTaken(#[from] plenary_ice::UfragTaken),
}
