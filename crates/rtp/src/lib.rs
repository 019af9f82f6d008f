#![doc = include_str!("../README.md")]

mod bits;
mod block;
mod edit;
mod error;
pub mod extension;
mod ntp;
mod packet;
pub mod payload;
mod resolution;
pub mod rtcp;
mod rtp_time;
mod seq;
mod serial;
mod ssrc;
mod write;

pub use edit::PacketEdit;
pub use error::{Error, ParseError};
pub use ntp::{CompactNtp, NtpTime};
pub use packet::{Extensions, Packet, PacketMut};
pub use resolution::Resolution;
pub use rtp_time::{ClockRate, ExtendedRtpTime, RtpTime, RtpTimeUnwrapper};
pub use seq::{ExtendedSeqNo, SeqNo, SeqUnwrapper};
pub use ssrc::Ssrc;
pub use write::{Header, PacketWriter, PayloadWriter};
