use std::fmt;
use std::time::Duration;

/// A packet in the common log of RFC 8868 §3.1. Written with [`Display`](fmt::Display) it is a line of that log,
/// without the end of the line.
///
/// ```
/// use std::fmt::Write;
/// use std::time::Duration;
///
/// use plenary_netsim::RtpRecord;
///
/// let at = Duration::from_micros(1_250_000);
/// let packet = RtpRecord { at, payload_type: 96, ssrc: 0xbeef, sequence: 7, timestamp: 90_000, marker: true, size: 1_160 };
/// let mut log = String::new();
/// writeln!(log, "{packet}")?;
/// assert_eq!(log, "1.250000 96 beef 7 90000 1 1160\n");
/// # Ok::<(), std::fmt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpRecord {
    /// When it was sent or received; whole microseconds are written.
    pub at: Duration,
    /// The payload type.
    pub payload_type: u8,
    /// The SSRC, written in hexadecimal.
    pub ssrc: u32,
    /// The sequence number.
    pub sequence: u16,
    /// The RTP timestamp.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// Bytes of the payload.
    pub size: usize,
}

impl fmt::Display for RtpRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, payload_type, ssrc, sequence, timestamp, marker, size } = self;
        write!(f, "{}.{:06} {payload_type} {ssrc:x} ", at.as_secs(), at.subsec_micros())?;
        write!(f, "{sequence} {timestamp} {} {size}", u8::from(*marker))
    }
}
