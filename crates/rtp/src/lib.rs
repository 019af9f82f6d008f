#![doc = include_str!("../README.md")]

mod bits;
mod error;
pub mod extension;
mod ntp;
pub mod payload;
pub mod rtcp;
mod rtp_time;
mod seq;
mod ssrc;

pub use error::{Error, ParseError};
pub use ntp::{CompactNtp, NtpTime};
pub use rtp_time::{ClockRate, ExtendedRtpTime, RtpTime, RtpTimeUnwrapper};
pub use seq::{ExtendedSeqNo, SeqNo, SeqUnwrapper};
pub use ssrc::Ssrc;
