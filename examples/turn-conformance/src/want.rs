use std::fmt;

use crate::answer::Answer;

/// What a rule allows as the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    Success,
    /// One of these errors.
    Error(&'static [u16]),
    /// Success, or one of these errors.
    SuccessOr(&'static [u16]),
    /// One of these errors, or no answer by a server that still lives.
    ErrorOrSilence(&'static [u16]),
    /// Any answer but a success.
    AnyError,
    /// No answer by a server that still lives.
    Silence,
}

impl Want {
    pub(crate) fn fits(self, answer: &Answer) -> bool {
        let is = |codes: &[u16]| !answer.is_success() && codes.contains(&answer.code());
        match self {
            Self::Success => answer.is_success(),
            Self::Error(codes) | Self::ErrorOrSilence(codes) => is(codes),
            Self::SuccessOr(codes) => answer.is_success() || is(codes),
            Self::AnyError => !answer.is_success() && (300..700).contains(&answer.code()),
            Self::Silence => false,
        }
    }

    pub(crate) const fn fits_silence(self) -> bool {
        matches!(self, Self::ErrorOrSilence(_) | Self::Silence)
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |codes: &[u16]| codes.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        match self {
            Self::Success => f.write_str("success"),
            Self::Error(codes) => f.write_str(&list(codes)),
            Self::SuccessOr(codes) => write!(f, "success or {}", list(codes)),
            Self::ErrorOrSilence(codes) => write!(f, "{} or no answer", list(codes)),
            Self::AnyError => f.write_str("an error"),
            Self::Silence => f.write_str("no answer"),
        }
    }
}
