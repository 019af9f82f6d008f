use super::number_or;
use crate::Parameters;

/// What `a=fmtp` says of Opus (RFC 7587 §6.1): wishes of the receiver, and what the sender is likely to do. They differ
/// between the two sides, and never keep a payload type out of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Opus {
    /// The shortest packet that is wanted, in milliseconds: 3 where nothing is said.
    pub min_ptime: u32,
    /// The highest sampling rate that is worth sending, in hertz: 48,000 where nothing is said.
    pub max_playback_rate: u32,
    /// The highest bitrate that is wanted, in bits in a second.
    pub max_average_bitrate: Option<u32>,
    /// Stereo is wanted.
    pub stereo: bool,
    /// Stereo is likely to be sent.
    pub sprop_stereo: bool,
    /// Constant bitrate is wanted.
    pub cbr: bool,
    /// Forward error correction in the packets is of use.
    pub use_inband_fec: bool,
    /// Silence need not be sent.
    pub use_dtx: bool,
}

impl Opus {
    /// What is malformed is as if it was not said.
    #[must_use]
    pub fn from_parameters(parameters: &Parameters) -> Self {
        let flag = |key| parameters.value(key) == Some("1");
        Self {
            min_ptime: number_or(parameters, "minptime", 3).unwrap_or(3),
            max_playback_rate: number_or(parameters, "maxplaybackrate", 48_000).unwrap_or(48_000),
            max_average_bitrate: number_or(parameters, "maxaveragebitrate", 0).filter(|&rate| rate > 0),
            stereo: flag("stereo"),
            sprop_stereo: flag("sprop-stereo"),
            cbr: flag("cbr"),
            use_inband_fec: flag("useinbandfec"),
            use_dtx: flag("usedtx"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_and_what_is_not() {
        let text = "minptime=10;useinbandfec=1;usedtx=1;stereo=0;maxaveragebitrate=64000;maxplaybackrate=x";
        let read = Opus::from_parameters(&Parameters::new(text).unwrap());
        assert_eq!((read.min_ptime, read.max_playback_rate, read.max_average_bitrate), (10, 48_000, Some(64_000)));
        assert!(read.use_inband_fec && read.use_dtx);
        assert!(!read.stereo && !read.sprop_stereo && !read.cbr);
        assert_eq!(Opus::from_parameters(&Parameters::empty()).max_average_bitrate, None);
    }
}
