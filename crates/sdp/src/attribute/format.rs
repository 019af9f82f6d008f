use core::fmt;

use crate::text::number;
use crate::{Error, Parameters, Part, Reason, Text, Token};

/// What a payload type of one media section stands for is said by `a=rtpmap`: a number from 0 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(u8);

impl PayloadType {
    /// # Errors
    ///
    /// [`Error::PayloadType`] above 127.
    pub const fn new(number: u8) -> Result<Self, Error> {
        if number > 127 {
            return Err(Error::PayloadType(number));
        }
        Ok(Self(number))
    }

    /// The number that stands in the RTP header.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether a packet with it, and the marker bit, would be taken for RTCP where both share a port: 64 to 95.
    #[must_use]
    pub const fn looks_like_rtcp(self) -> bool {
        // RFC 5761 §4: payload types 64 to 95 must not be used with rtcp-mux.
        matches!(self.0, 64..=95)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Reason> {
        let value = number::<u32>(text).ok_or(Reason::Malformed(Part::PayloadType))?;
        let out_of_range = Reason::OutOfRange(Part::PayloadType);
        Self::new(u8::try_from(value).map_err(|_| out_of_range)?).map_err(|_| out_of_range)
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A codec's name, clock and channels: the part of `a=rtpmap` after the payload type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// The name as it was written. Compared without regard to case.
    pub encoding: Token,
    /// Ticks of the RTP timestamp in a second.
    pub clock_rate: u32,
    /// Audio channels, if it is said. What is not said is one.
    pub channels: Option<u8>,
}

impl Format {
    /// Whether both are of one codec: name, clock and channels.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.encoding.as_str().eq_ignore_ascii_case(other.encoding.as_str())
            && self.clock_rate == other.clock_rate
            && self.channels.unwrap_or(1) == other.channels.unwrap_or(1)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.encoding, self.clock_rate)?;
        self.channels.map_or(Ok(()), |channels| write!(f, "/{channels}"))
    }
}

/// `a=rtpmap:<payload type> <encoding>/<clock rate>[/<channels>]` (RFC 8866 §6.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RtpMap {
    /// What is mapped.
    pub payload_type: PayloadType,
    /// To what.
    pub format: Format,
}

impl RtpMap {
    pub(crate) fn parse(value: &str) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::RtpMap);
        let (payload_type, format) = value.split_once(' ').ok_or(malformed)?;
        let mut fields = format.trim_matches(' ').split('/');
        let (encoding, clock_rate) = fields.next().zip(fields.next()).ok_or(malformed)?;
        let channels = match fields.next() {
            Some(text) => Some(number(text).filter(|&count| count > 0).ok_or(malformed)?),
            None => None,
        };
        if fields.next().is_some() {
            return Err(malformed);
        }
        let clock_rate = number(clock_rate).filter(|&hertz| hertz > 0).ok_or(malformed)?;
        let encoding = Token::new(encoding).map_err(|_| malformed)?;
        let format = Format { encoding, clock_rate, channels };
        Ok(Self { payload_type: PayloadType::parse(payload_type)?, format })
    }
}

impl fmt::Display for RtpMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.payload_type, self.format)
    }
}

/// `a=fmtp:<payload type> <parameters>` (RFC 8866 §6.15).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fmtp {
    /// Whose parameters they are.
    pub payload_type: PayloadType,
    /// The parameters.
    pub parameters: Parameters,
}

impl Fmtp {
    pub(crate) fn parse(value: &str) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::Fmtp);
        let (payload_type, parameters) = value.split_once(' ').ok_or(malformed)?;
        let parameters = Parameters::new(parameters).map_err(|_| malformed)?;
        Ok(Self { payload_type: PayloadType::parse(payload_type)?, parameters })
    }
}

impl fmt::Display for Fmtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.payload_type, self.parameters)
    }
}

/// A kind of RTCP feedback that a receiver may send (RFC 4585 §4.2, RFC 5104 §7.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feedback {
    /// `nack`: which packets are lost.
    Nack,
    /// `nack pli`: a picture is lost.
    NackPli,
    /// `ccm fir`: a key frame is wanted.
    CcmFir,
    /// `goog-remb`: the receiver's estimate of the bandwidth.
    GoogRemb,
    /// `transport-cc`: arrival times by transport-wide sequence number.
    TransportCc,
    /// `ack ccfb`: arrival times and ECN marks (RFC 8888 §6).
    AckCcfb,
    /// Something else.
    Other(Text),
}

impl Feedback {
    const ALL: [Self; 6] = [Self::Nack, Self::NackPli, Self::CcmFir, Self::GoogRemb, Self::TransportCc, Self::AckCcfb];

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Nack => "nack",
            Self::NackPli => "nack pli",
            Self::CcmFir => "ccm fir",
            Self::GoogRemb => "goog-remb",
            Self::TransportCc => "transport-cc",
            Self::AckCcfb => "ack ccfb",
            Self::Other(text) => text.as_str(),
        }
    }
}

/// `a=rtcp-fb:<payload type or *> <feedback>` (RFC 4585 §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RtcpFb {
    /// For which codec. `None` is `*`: for all.
    pub payload_type: Option<PayloadType>,
    /// What feedback.
    pub feedback: Feedback,
}

/// No kind of feedback has a name near as long. It bounds what `*` multiplies.
const FEEDBACK_BYTES_MAX: usize = 64;

impl RtcpFb {
    pub(crate) fn parse(value: &str) -> Result<Self, Reason> {
        let malformed = Reason::Malformed(Part::RtcpFb);
        let (payload_type, feedback) = value.split_once(' ').ok_or(malformed)?;
        let payload_type = if payload_type == "*" { None } else { Some(PayloadType::parse(payload_type)?) };
        let feedback = feedback.trim_matches(' ');
        if feedback.is_empty() {
            return Err(malformed);
        }
        if feedback.len() > FEEDBACK_BYTES_MAX {
            return Err(Reason::OutOfRange(Part::RtcpFb));
        }
        let feedback = match Feedback::ALL.into_iter().find(|one| one.as_str() == feedback) {
            Some(known) => known,
            None => Feedback::Other(Text::new(feedback).map_err(|_| malformed)?),
        };
        Ok(Self { payload_type, feedback })
    }
}

impl fmt::Display for RtcpFb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload_type {
            Some(payload_type) => write!(f, "{payload_type} {}", self.feedback.as_str()),
            None => write!(f, "* {}", self.feedback.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rtpmap_says_name_clock_and_channels() {
        let opus = RtpMap::parse("111 opus/48000/2").unwrap();
        assert_eq!((opus.payload_type.number(), opus.format.clock_rate, opus.format.channels), (111, 48_000, Some(2)));
        assert_eq!(opus.format.encoding, "opus");
        assert_eq!(opus.to_string(), "111 opus/48000/2");
        let pcmu = RtpMap::parse("0 PCMU/8000").unwrap();
        assert!(pcmu.format.is_same(&RtpMap::parse("0 pcmu/8000/1").unwrap().format));
        assert!(!opus.format.is_same(&RtpMap::parse("111 opus/48000").unwrap().format));
        for bad in ["111", "111 opus", "111 opus/", "111 opus/0", "111 opus/48000/0", "111 opus/1/2/3", "111 o p/1"] {
            assert_eq!(RtpMap::parse(bad), Err(Reason::Malformed(Part::RtpMap)), "{bad}");
        }
    }

    #[test]
    fn payload_types_end_at_127() {
        assert_eq!(PayloadType::parse("127").map(PayloadType::number), Ok(127));
        for above in ["128", "255", "256", "4294967295"] {
            assert_eq!(PayloadType::parse(above), Err(Reason::OutOfRange(Part::PayloadType)));
        }
        for bad in ["", "-1", "+1", "a", "4294967296"] {
            assert_eq!(PayloadType::parse(bad), Err(Reason::Malformed(Part::PayloadType)), "{bad}");
        }
        assert_eq!(PayloadType::new(128), Err(Error::PayloadType(128)));
    }

    #[test]
    fn feedback_is_for_one_codec_or_all() {
        let pli = RtcpFb::parse("96 nack pli").unwrap();
        assert_eq!((pli.payload_type.map(PayloadType::number), &pli.feedback), (Some(96), &Feedback::NackPli));
        let all = RtcpFb::parse("* ack ccfb").unwrap();
        assert_eq!((all.payload_type, &all.feedback), (None, &Feedback::AckCcfb));
        assert_eq!(all.to_string(), "* ack ccfb");
        assert_eq!(RtcpFb::parse("96 nack rpsi").unwrap().to_string(), "96 nack rpsi");
        assert_eq!(RtcpFb::parse(&format!("* {}", "x".repeat(65))), Err(Reason::OutOfRange(Part::RtcpFb)));
        assert_eq!(RtcpFb::parse("96 "), Err(Reason::Malformed(Part::RtcpFb)));
    }
}
