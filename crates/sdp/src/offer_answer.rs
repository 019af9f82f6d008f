//! Offer and answer (RFC 3264, RFC 8829, RFC 9143) as pure functions: descriptions go in, a description and what was
//! agreed come out.
//!
//! There is one transport: all accepted sections are in one BUNDLE group, with RTP and RTCP on one port. What does not
//! fit is rejected with a reason.

mod answer;
mod apply;
mod bundle;
mod local;
mod matching;
mod negotiated;
mod write;

pub use answer::{Answer, answer};
pub use apply::{AnswerError, AnswerFault, apply_answer};
pub use local::{CodecOrder, LocalCodec, LocalExtension, LocalTransport, Policy, RtpPolicy};
pub use negotiated::{
    DataSection, DtlsRole, Negotiated, NegotiatedCodec, NegotiatedExtension, NegotiatedTransport, Rejection,
    RtpSection, Section,
};
pub use write::{RtpMedia, offer};
