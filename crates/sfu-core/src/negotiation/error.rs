use plenary_sdp::offer_answer::{AnswerError, Rejection};
use thiserror::Error as ThisError;

use crate::Error;

/// Why a description or a candidate of a client is not taken. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The text is no description: the line, and what is wrong with it.
    #[error("{0}")]
    Malformed(#[from] plenary_sdp::ParseError),
    /// The answer does not fit the offer: the media section, and what is wrong with it.
    #[error("{0}")]
    Answer(#[from] AnswerError),
    /// No offer of this version was made.
    #[error("there is no offer of this version")]
    NoOffer,
    /// An offer of the engine is in flight: the client is to answer it, and offer again. Browsers do so by themselves.
    #[error("an offer of this side is in flight")]
    Glare,
    /// A client's offer does not have the sections that there are, in their order (RFC 3264 §8): the first that differs,
    /// counted from 0.
    #[error("media section {0} is not the one that was there before")]
    Section(usize),
    /// A client's offer has nothing that can be accepted: why the first is not.
    #[error("no media section can be accepted: {0:?}")]
    Nothing(Rejection),
    /// ICE credentials that are malformed, that changed in an answer with no restart offered, or that did not with one
    /// (RFC 8839 §4.4.1.1.1): mostly an answer to another's offer.
    #[error("the ICE credentials do not fit the offer")]
    Credentials,
    /// An SSRC is said to be of two tracks; or a track is in the way that was published by typed parameters. In this
    /// media section, counted from 0.
    #[error("media section {0}: an SSRC or MID is in use")]
    InUse(usize),
    /// The line is no candidate.
    #[error("candidate: {0}")]
    Candidate(#[from] plenary_ice::ParseError),
    /// What the engine has against it: no such transport, a limit, the transport.
    #[error("{0}")]
    Engine(#[from] Error),
}

impl From<plenary_transport::Error> for NegotiationError {
    fn from(error: plenary_transport::Error) -> Self {
        Self::Engine(error.into())
    }
}
