//! RTCP: the walk over a compound, reports, and feedback.
//!
//! [`packets`] walks a datagram and gives each packet as a typed view on the caller's bytes. A packet that is not what
//! it says is reported and skipped; the good ones beside it are kept. Nothing here allocates when reading, and writing
//! only appends to a `Vec` of the caller.
//!
//! Every packet type is one struct for both ways: what was read can be written again, and the lists in it
//! ([`Records`], [`List`]) stand on bytes from the network or on a slice of the caller's.
//!
//! ```
//! use plenary_rtp::Ssrc;
//! use plenary_rtp::rtcp::{self, Packet, Pli, ReceiverReport, ReportBlock};
//!
//! let blocks = [ReportBlock { ssrc: Ssrc(7), fraction_lost: 64, cumulative_lost: 3, ..Default::default() }];
//! let mut datagram = Vec::new();
//! ReceiverReport { ssrc: Ssrc(1), reports: blocks[..].into(), extension: &[] }.write(&mut datagram)?;
//! Pli { sender_ssrc: Ssrc(1), media_ssrc: Ssrc(7) }.write(&mut datagram)?;
//!
//! let mut lost = 0;
//! let mut asked = None;
//! for packet in rtcp::packets(&datagram) {
//!     match packet {
//!         Ok(Packet::ReceiverReport(report)) => lost += report.reports.iter().map(|r| r.cumulative_lost).sum::<i32>(),
//!         Ok(Packet::Pli(pli)) => asked = Some(pli.media_ssrc),
//!         Ok(_) => {}
//!         Err(_reason) => {} // counted by the caller; the walk goes on
//!     }
//! }
//! assert_eq!((lost, asked), (3, Some(Ssrc(7))));
//! # Ok::<(), plenary_rtp::Error>(())
//! ```
//!
//! Feedback that may not fit one packet has a writer that is called until all is written: [`NackWriter`] and
//! [`TwccWriter`]. What a [`List`] holds ([`Sdes`], [`Ccfb`], [`Xr`]) is checked as it is walked: the iterator ends with
//! an error where the bytes stop making sense.
//!
//! # Limits
//!
//! A reader's work is linear in the bytes, but for [`Twcc::statuses`]: run lengths make up to 65535 of them of a few
//! bytes. [`Twcc::received`] is linear too.

mod app;
mod bye;
mod ccfb;
mod frame;
mod list;
mod nack;
mod picture;
#[cfg(test)]
mod properties;
mod records;
mod remb;
mod report;
mod sdes;
#[cfg(test)]
mod tests;
mod twcc;
mod walk;
mod xr;

pub use app::App;
pub use bye::Bye;
pub use ccfb::{ArrivalOffset, Ccfb, CcfbBlock, Metric};
pub use list::{Entry, List};
pub use nack::{LostNumbers, Nack, NackPair, NackWriter};
pub use picture::{Fir, FirEntry, Pli};
pub use records::{Record, Records, RecordsIter};
pub use remb::Remb;
pub use report::{ReceiverReport, ReportBlock, SenderReport};
pub use sdes::{Chunk, Item, Items, Sdes};
pub use twcc::{Arrival, ArrivalDelta, ReferenceClock, Twcc, TwccStatuses, TwccWriter};
pub use walk::{Packet, Packets, RawPacket, packets};
pub use xr::{DlrrReport, Xr, XrBlock};

/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2), and the formats of the feedback types.
mod kind {
    pub(super) const SR: u8 = 200;
    pub(super) const RR: u8 = 201;
    pub(super) const SDES: u8 = 202;
    pub(super) const BYE: u8 = 203;
    pub(super) const APP: u8 = 204;
    pub(super) const RTPFB: u8 = 205;
    pub(super) const PSFB: u8 = 206;
    pub(super) const XR: u8 = 207;

    pub(super) const RTPFB_NACK: u8 = 1;
    pub(super) const RTPFB_CCFB: u8 = 11;
    pub(super) const RTPFB_TWCC: u8 = 15;
    pub(super) const PSFB_PLI: u8 = 1;
    pub(super) const PSFB_FIR: u8 = 4;
    /// Application layer feedback; REMB by its first four bytes.
    pub(super) const PSFB_AFB: u8 = 15;
}
