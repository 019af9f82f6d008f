//! The codecs of a room, each in one configuration.

use plenary_rtp::payload::Codec;
use plenary_sdp::codec::{Av1, H264, Vp9};
use plenary_sdp::offer_answer::LocalCodec;
use plenary_sdp::{Feedback, Format, Parameters};

use crate::{Error, Kind};

/// How a room is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomConfig {
    /// What is published and received in it, the preferred first; each codec once. Publishers are offered these only,
    /// so that what one sends the others can receive. Default: VP8 and Opus, which all browsers have.
    pub codecs: Vec<RoomCodec>,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self { codecs: vec![Codec::Vp8.into(), Codec::Opus.into()] }
    }
}

/// A codec in one configuration: a profile, a packetization mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomCodec {
    /// Which.
    pub codec: Codec,
    /// What `a=fmtp` says of it. Who does not have the codec in this configuration does not have it.
    pub parameters: String,
}

impl From<Codec> for RoomCodec {
    /// What browsers have in common: H.264 as constrained baseline 3.1, packetization mode 1, levels of each side's own;
    /// VP9 and AV1 of profile 0; Opus with forward error correction in band and pauses in silence.
    fn from(codec: Codec) -> Self {
        let parameters = match codec {
            Codec::Vp8 => "",
            Codec::Vp9 => "profile-id=0",
            Codec::H264 => "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
            Codec::Av1 => "level-idx=5;profile=0;tier=0",
            Codec::Opus => "minptime=10;useinbandfec=1;usedtx=1",
        };
        Self { codec, parameters: parameters.to_owned() }
    }
}

impl RoomConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_repeated = |(index, it): (usize, &RoomCodec)| self.codecs[..index].iter().any(|o| o.codec == it.codec);
        if self.codecs.iter().enumerate().any(is_repeated) || !self.codecs.iter().all(RoomCodec::is_well_formed) {
            return Err(Error::Codecs);
        }
        Ok(())
    }
}

impl RoomCodec {
    fn is_well_formed(&self) -> bool {
        let Ok(parameters) = Parameters::new(&self.parameters) else { return false };
        match self.codec {
            Codec::Vp8 | Codec::Opus => true,
            Codec::Vp9 => Vp9::from_parameters(&parameters).is_some(),
            Codec::H264 => H264::from_parameters(&parameters).is_some(),
            Codec::Av1 => Av1::from_parameters(&parameters).is_some(),
        }
    }

    /// As `plenary-sdp` has it: video with NACK, PLI, FIR and retransmission, all with transport-wide feedback. No REMB,
    /// RED or FEC: see the table of quirks.
    pub(super) fn local(&self) -> LocalCodec {
        let format = name(self.codec);
        let local = match kind(self.codec) {
            Kind::Audio => LocalCodec::audio(format, &self.parameters),
            Kind::Video => LocalCodec::video(format, &self.parameters),
        };
        local.expect("the parameters were checked when the room was made")
    }

    /// Whether losses are asked for, by what both sides have said.
    pub(super) fn asks_again(feedback: &[Feedback]) -> bool {
        feedback.contains(&Feedback::Nack)
    }
}

/// What a codec carries.
pub(crate) const fn kind(codec: Codec) -> Kind {
    match codec {
        Codec::Opus => Kind::Audio,
        Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::Av1 => Kind::Video,
    }
}

const fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Vp8 => "VP8/90000",
        Codec::Vp9 => "VP9/90000",
        Codec::H264 => "H264/90000",
        Codec::Av1 => "AV1/90000",
        Codec::Opus => "opus/48000/2",
    }
}

/// The codec of that name.
pub(super) fn of_format(format: &Format) -> Option<Codec> {
    let all = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus];
    all.into_iter().find(|codec| {
        let known = name(*codec).split('/').next().unwrap_or_default();
        format.encoding.as_str().eq_ignore_ascii_case(known)
    })
}
