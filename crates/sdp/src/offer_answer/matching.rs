//! Which codecs and header extensions two sides have in common.

use crate::codec::{Av1, H264, H265, Vp9};
use crate::{Codec, Direction, ExtMap, Feedback, Format, Parameters, PayloadType};

use super::{CodecOrder, LocalCodec, LocalExtension, NegotiatedCodec, NegotiatedExtension};

/// What each side may send in a configuration that both have.
pub(super) struct Agreed {
    pub(super) receive: Parameters,
    pub(super) send: Parameters,
}

/// Parameters, and what they say of the codec's configuration.
pub(super) struct Configuration<'a> {
    parameters: &'a Parameters,
    what: What,
}

enum What {
    H264(H264),
    H265(H265),
    Vp9(Vp9),
    Av1(Av1),
    /// A codec that has one configuration only.
    Any,
}

impl<'a> Configuration<'a> {
    /// `None` if the parameters are malformed. They may be long: read once.
    fn read(format: &Format, parameters: &'a Parameters) -> Option<Self> {
        let name = format.encoding.as_str().to_ascii_lowercase();
        let what = match name.as_str() {
            "h264" => What::H264(H264::from_parameters(parameters)?),
            "h265" => What::H265(H265::from_parameters(parameters)?),
            "vp9" => What::Vp9(Vp9::from_parameters(parameters)?),
            "av1" => What::Av1(Av1::from_parameters(parameters)?),
            _ => What::Any,
        };
        Some(Self { parameters, what })
    }

    /// What is agreed on, if the other side's is the same configuration.
    fn agree(&self, theirs: &Self) -> Option<Agreed> {
        let is_same = match (&self.what, &theirs.what) {
            (What::H264(local), What::H264(remote)) => {
                return agree_on_h264((self.parameters, local), (theirs.parameters, remote));
            }
            (What::H265(local), What::H265(remote)) => local.matches(remote),
            (What::Vp9(local), What::Vp9(remote)) => local == remote,
            // RTP payload format for AV1 §7.2.3: level and tier are each receiver's own.
            (What::Av1(local), What::Av1(remote)) => local.profile == remote.profile,
            (What::Any, What::Any) => true,
            _ => false,
        };
        is_same.then(|| Agreed { receive: self.parameters.clone(), send: theirs.parameters.clone() })
    }
}

/// Whether two configurations of one format are the same one, and with what parameters.
pub(super) fn agree(format: &Format, ours: &Parameters, theirs: &Parameters) -> Option<Agreed> {
    Configuration::read(format, ours)?.agree(&Configuration::read(format, theirs)?)
}

fn agree_on_h264((ours, local): (&Parameters, &H264), (theirs, remote): (&Parameters, &H264)) -> Option<Agreed> {
    if !local.matches(remote) {
        return None;
    }
    // RFC 6184 §8.2.2: the profile's bytes are the offer's; the level is each side's own if both allow asymmetry, and
    // the lower one for both if not.
    let (mine, other) = (local.profile_level_id.level(), remote.profile_level_id.level());
    let asymmetric = local.level_asymmetry_allowed && remote.level_asymmetry_allowed;
    let (receive, send) = if asymmetric { (mine, other) } else { (mine.min(other), mine.min(other)) };
    let with = |parameters: &Parameters, level| {
        parameters.with("profile-level-id", &remote.profile_level_id.with_level(level).to_string())
    };
    Some(Agreed { receive: with(ours, receive), send: with(theirs, send) })
}

/// The codecs of an offer that we have too.
pub(super) fn select_codecs(offered: &[Codec], local: &[LocalCodec], order: CodecOrder) -> Vec<NegotiatedCodec> {
    // RFC 5761 §4: with rtcp-mux these would be taken for RTCP.
    let usable = |codec: &&Codec| !codec.payload_type.looks_like_rtcp();
    let offered: Vec<&Codec> = offered.iter().filter(usable).collect();
    let theirs: Vec<_> = offered.iter().map(|codec| Configuration::read(&codec.format, &codec.parameters)).collect();
    // By place in our list and in the offer's.
    let mut kept: Vec<(usize, usize, NegotiatedCodec)> = Vec::new();
    for (place, ours) in local.iter().enumerate().filter(|(_, ours)| !is_red(&ours.format)) {
        let free = |codec: &Codec, kept: &[(usize, usize, NegotiatedCodec)]| {
            !kept.iter().any(|(_, _, other)| other.payload_type == codec.payload_type)
        };
        let Some(own) = Configuration::read(&ours.format, &ours.parameters) else { continue };
        let found = offered.iter().zip(&theirs).enumerate().find_map(|(index, (codec, theirs))| {
            let fits = codec.format.is_same(&ours.format) && free(codec, &kept);
            Some((index, codec, own.agree(theirs.as_ref().filter(|_| fits)?)?))
        });
        if let Some((index, codec, agreed)) = found {
            kept.push((place, index, negotiated(codec, &ours.feedback, agreed)));
        }
    }
    if !kept.iter().any(|(_, _, codec)| is_media(codec)) {
        return Vec::new();
    }
    for (place, ours) in local.iter().enumerate().filter(|(_, ours)| is_red(&ours.format)) {
        let carried = |payload_type: &PayloadType| kept.iter().any(|(_, _, codec)| may_carry(codec, *payload_type));
        let found = offered.iter().enumerate().find(|(_, codec)| {
            codec.format.is_same(&ours.format) && codec.is("red") && codec.carries().iter().all(carried)
        });
        if let Some((index, codec)) = found {
            let carried: Vec<_> = codec.carries().iter().map(ToString::to_string).collect();
            let both = Parameters::new(&carried.join("/")).expect("numbers are a text");
            let agreed = Agreed { receive: both.clone(), send: both };
            kept.push((place, index, negotiated(codec, &ours.feedback, agreed)));
        }
    }
    let retransmissions = retransmissions(offered.iter().copied());
    for (_, _, codec) in kept.iter_mut().filter(|(place, ..)| local[*place].rtx) {
        codec.rtx = retransmissions.iter().find(|one| one.repeats(codec)).map(|one| one.payload_type);
    }
    kept.sort_by_key(|&(place, index, _)| if order == CodecOrder::Local { place } else { index });
    kept.into_iter().map(|(_, _, codec)| codec).collect()
}

/// A payload type that retransmits another.
#[derive(PartialEq, Eq)]
pub(super) struct Retransmission {
    pub(super) payload_type: PayloadType,
    of: PayloadType,
    clock_rate: u32,
}

impl Retransmission {
    /// RFC 4588 §8.1: the clock is that of what is retransmitted.
    pub(super) fn repeats(&self, codec: &NegotiatedCodec) -> bool {
        self.of == codec.payload_type && self.clock_rate == codec.format.clock_rate
    }
}

/// All that are well formed. Read once for a section: parameters may be long.
pub(super) fn retransmissions<'a>(codecs: impl Iterator<Item = &'a Codec>) -> Vec<Retransmission> {
    let read = |codec: &Codec| {
        let usable = codec.format.channels.unwrap_or(1) == 1 && !codec.payload_type.looks_like_rtcp();
        let of = codec.retransmits().filter(|_| usable)?;
        Some(Retransmission { payload_type: codec.payload_type, of, clock_rate: codec.format.clock_rate })
    };
    codecs.filter_map(read).collect()
}

pub(super) fn is_red(format: &Format) -> bool {
    format.encoding.as_str().eq_ignore_ascii_case("red")
}

/// Whether RED may carry the codec by that payload type: any other than RED.
pub(super) fn may_carry(codec: &NegotiatedCodec, payload_type: PayloadType) -> bool {
    codec.payload_type == payload_type && !is_red(&codec.format)
}

/// Whether media can be sent in it alone: comfort noise, tones and repair are nothing by themselves.
fn is_media(codec: &NegotiatedCodec) -> bool {
    let name = codec.format.encoding.as_str();
    !["cn", "telephone-event", "red", "ulpfec", "flexfec-03", "flexfec"].iter().any(|no| name.eq_ignore_ascii_case(no))
}

pub(super) fn has_media(codecs: &[NegotiatedCodec]) -> bool {
    codecs.iter().any(is_media)
}

/// A codec of the other side's, with the feedback that both have.
pub(super) fn negotiated(codec: &Codec, ours: &[Feedback], agreed: Agreed) -> NegotiatedCodec {
    NegotiatedCodec {
        payload_type: codec.payload_type,
        format: codec.format.clone(),
        receive: agreed.receive,
        send: agreed.send,
        feedback: ours.iter().filter(|one| codec.feedback.contains(one)).cloned().collect(),
        rtx: None,
    }
}

/// The header extensions of an offer that we have too, each once.
pub(super) fn select_extensions<'a>(
    offered: impl Iterator<Item = &'a ExtMap>,
    local: &[LocalExtension],
) -> Vec<NegotiatedExtension> {
    let mut kept: Vec<NegotiatedExtension> = Vec::new();
    for map in offered {
        let Some(ours) = local.iter().find(|ours| ours.uri == map.uri) else { continue };
        let direction = map.direction.unwrap_or_default().reversed().and(ours.direction);
        let is_taken = kept.iter().any(|one| one.id == map.id || one.uri == map.uri);
        if direction != Direction::Inactive && !is_taken {
            kept.push(NegotiatedExtension { id: map.id, uri: map.uri.clone(), direction });
        }
    }
    kept
}
