mod h264;
mod opus;
mod video;

pub use h264::{H264, H264Level, H264Profile, ProfileLevelId};
pub use opus::Opus;
pub use video::{Av1, H265, Vp9};

use crate::attribute::RtpMap;
use crate::text::number;
use crate::{Attribute, Feedback, Format, Parameters, PayloadType};

/// A payload type of a section, with all that is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// Its number.
    pub payload_type: PayloadType,
    /// Name, clock and channels.
    pub format: Format,
    /// Its `a=fmtp`; empty where there is none. Where there are several they are merged, as browsers do: of one key the
    /// later line's value holds.
    pub parameters: Parameters,
    /// Its `a=rtcp-fb` lines, and those for all payload types.
    pub feedback: Vec<Feedback>,
}

impl Codec {
    /// Whether the codec has that name, in any case.
    #[must_use]
    pub fn is(&self, encoding: &str) -> bool {
        self.format.encoding.as_str().eq_ignore_ascii_case(encoding)
    }

    /// Whose packets an `rtx` payload type retransmits: `apt` of RFC 4588 §8.1.
    #[must_use]
    pub fn retransmits(&self) -> Option<PayloadType> {
        if !self.is("rtx") {
            return None;
        }
        PayloadType::parse(self.parameters.value("apt")?).ok()
    }

    /// What a `red` payload type carries (RFC 2198 §5): `111/111`. Empty if nothing is said, or it is no `red`.
    #[must_use]
    pub fn carries(&self) -> Vec<PayloadType> {
        if !self.is("red") {
            return Vec::new();
        }
        let list = self.parameters.iter().find(|(_, value)| value.is_none()).map_or("", |(list, _)| list);
        list.split('/').filter_map(|text| PayloadType::parse(text).ok()).collect()
    }

    /// Whether it is a codec of its own, and no form in which others are sent: not `rtx`, `red`, `ulpfec`,
    /// `flexfec-03` or `flexfec`.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        !["rtx", "red", "ulpfec", "flexfec-03", "flexfec"].iter().any(|name| self.is(name))
    }

    /// The payload types of a section, each once, with their attributes.
    pub(crate) fn collect(payload_types: &[PayloadType], attributes: &[Attribute]) -> Vec<Self> {
        // Where each payload type is: so the time is linear in the attributes.
        let mut places = [usize::MAX; 128];
        let mut codecs: Vec<Option<Self>> = payload_types.iter().map(|&number| of_rfc_3551(number)).collect();
        for (place, payload_type) in payload_types.iter().enumerate() {
            places[usize::from(payload_type.number())] = place;
        }
        let place = |payload_type: PayloadType| places[usize::from(payload_type.number())];
        for attribute in attributes {
            if let Attribute::RtpMap(RtpMap { payload_type, format }) = attribute
                && let Some(codec) = codecs.get_mut(place(*payload_type))
            {
                *codec = Some(Self::new(*payload_type, format.clone()));
            }
        }
        let mut parameters: Vec<Vec<&Parameters>> = vec![Vec::new(); codecs.len()];
        for attribute in attributes {
            match attribute {
                Attribute::Fmtp(fmtp) => {
                    if let Some(lines) = parameters.get_mut(place(fmtp.payload_type)) {
                        lines.push(&fmtp.parameters);
                    }
                }
                Attribute::RtcpFb(line) => match line.payload_type {
                    Some(payload_type) => {
                        if let Some(Some(codec)) = codecs.get_mut(place(payload_type)) {
                            codec.feedback.push(line.feedback.clone());
                        }
                    }
                    None => {
                        codecs.iter_mut().flatten().for_each(|codec| codec.feedback.push(line.feedback.clone()));
                    }
                },
                _ => {}
            }
        }
        for (codec, lines) in codecs.iter_mut().zip(parameters) {
            if let Some(codec) = codec {
                codec.parameters = Parameters::merged(&lines);
            }
        }
        codecs.into_iter().flatten().collect()
    }

    fn new(payload_type: PayloadType, format: Format) -> Self {
        Self { payload_type, format, parameters: Parameters::empty(), feedback: Vec::new() }
    }
}

/// The payload types that need no `a=rtpmap` (RFC 3551 §6), as far as WebRTC endpoints use them.
fn of_rfc_3551(payload_type: PayloadType) -> Option<Codec> {
    let map = match payload_type.number() {
        0 => "0 PCMU/8000",
        8 => "8 PCMA/8000",
        9 => "9 G722/8000",
        13 => "13 CN/8000",
        _ => return None,
    };
    let map = RtpMap::parse(map).expect("a line of the table");
    Some(Codec::new(payload_type, map.format))
}

/// The value of a parameter that is a number: `default` if it is not there, `None` if it is none.
fn number_or<N: core::str::FromStr>(parameters: &Parameters, key: &str, default: N) -> Option<N> {
    parameters.value(key).map_or(Some(default), number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Media};

    fn codecs(m: &str, lines: &[&str]) -> Vec<Codec> {
        let mut media = Media::parse(m, &Limits::default()).unwrap();
        media.attributes = lines.iter().map(|line| Attribute::parse(line, &Limits::default()).unwrap()).collect();
        media.codecs()
    }

    #[test]
    fn a_codec_has_all_its_lines_in_the_order_of_the_m_line() {
        let read = codecs(
            "video 9 UDP/TLS/RTP/SAVPF 97 96 98",
            &[
                "rtcp-fb:* transport-cc",
                "fmtp:97 apt=96",
                "rtcp-fb:96 nack pli",
                "rtpmap:96 VP8/90000",
                "rtpmap:97 RTX/90000",
                "rtpmap:99 VP9/90000",
            ],
        );
        let numbers: Vec<_> = read.iter().map(|codec| codec.payload_type.number()).collect();
        assert_eq!(numbers, [97, 96]);
        assert_eq!(read[0].retransmits(), Some(read[1].payload_type));
        assert_eq!(read[1].feedback, [Feedback::TransportCc, Feedback::NackPli]);
        assert!(read[1].is("vp8") && read[1].is_primary() && !read[0].is_primary());
    }

    // Pages add a line of their own instead of changing the one that is there.
    #[test]
    fn a_second_fmtp_is_merged_with_the_first() {
        let lines = ["rtpmap:111 opus/48000/2", "fmtp:111 minptime=10;useinbandfec=1", "fmtp:111 stereo=1;minptime=20"];
        let read = codecs("audio 9 UDP/TLS/RTP/SAVPF 111", &lines);
        assert_eq!(read[0].parameters.as_str(), "stereo=1;minptime=20;useinbandfec=1");
    }

    #[test]
    fn static_payload_types_need_no_rtpmap() {
        let read = codecs("audio 9 UDP/TLS/RTP/SAVPF 0 9 35", &["rtpmap:9 other/8000"]);
        assert_eq!(read.len(), 2);
        assert!(read[0].is("PCMU") && read[1].is("other"));
    }

    #[test]
    fn red_names_what_it_carries() {
        let read = codecs("audio 9 UDP/TLS/RTP/SAVPF 63 111", &["rtpmap:63 red/48000/2", "fmtp:63 111/111"]);
        let numbers: Vec<_> = read[0].carries().into_iter().map(PayloadType::number).collect();
        assert_eq!(numbers, [111, 111]);
        assert_eq!(read[0].retransmits(), None);
    }
}
