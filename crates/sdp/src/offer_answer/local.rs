use std::collections::BTreeMap;

use crate::attribute::RtpMap;
use crate::{
    DataChannel, Direction, Error, Feedback, Fingerprint, Format, IcePwd, IceUfrag, MediaKind, Mid, Msid, Origin,
    Parameters, Source, SsrcGroup, Text, Token, Word,
};

use super::DtlsRole;

/// How an offer is answered.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The answer's `o=` line.
    pub origin: Origin,
    /// Our side of the transport.
    pub transport: LocalTransport,
    /// What is done with audio sections. `None` rejects them.
    pub audio: Option<RtpPolicy>,
    /// What is done with video sections. `None` rejects them.
    pub video: Option<RtpPolicy>,
    /// What is done with data channels. `None` rejects them.
    pub data: Option<DataChannel>,
    /// Sections, by name, with a policy of their own; `None` rejects one.
    pub sections: BTreeMap<Mid, Option<RtpPolicy>>,
}

impl Policy {
    pub(super) fn rtp(&self, kind: &MediaKind, mid: Option<&Mid>) -> Option<&RtpPolicy> {
        if let Some(own) = mid.and_then(|mid| self.sections.get(mid)) {
            return own.as_ref();
        }
        match kind {
            MediaKind::Audio => self.audio.as_ref(),
            MediaKind::Video => self.video.as_ref(),
            _ => None,
        }
    }
}

/// Our side of the transport, as it is put into an offer or an answer.
#[derive(Clone, Debug)]
pub struct LocalTransport {
    /// The ICE user fragment.
    pub ufrag: IceUfrag,
    /// The ICE password.
    pub pwd: IcePwd,
    /// Whether our agent is a lite one.
    pub ice_lite: bool,
    /// `trickle`, `ice2`, …
    pub ice_options: Vec<Token>,
    /// Of our certificate.
    pub fingerprints: Vec<Fingerprint>,
    /// Our role, where the other side lets us choose. RFC 8842 §5.3 would like an answerer to be the client. In answers to
    /// later offers, which let us choose again, it is the role that was agreed on, as long as the association lasts.
    pub preferred_role: DtlsRole,
    /// What comes after `candidate:`; in the first section only.
    pub candidates: Vec<Text>,
    /// Whether no candidate will follow these.
    pub end_of_candidates: bool,
    /// Repeat credentials, fingerprints and role in every section, as browsers do and some peers need. RFC 9143 §7.1.3
    /// wants them in the first of the group only, which saves about 230 bytes a section.
    pub in_every_section: bool,
}

/// What is done with the RTP sections of a kind.
#[derive(Clone, Debug)]
pub struct RtpPolicy {
    /// What we are ready to do. The answer has of it what the offer allows.
    pub direction: Direction,
    /// The codecs that we have, the preferred first.
    pub codecs: Vec<LocalCodec>,
    /// Whose preference orders the answer.
    pub order: CodecOrder,
    /// The header extensions that we have.
    pub extensions: Vec<LocalExtension>,
    /// Simulcast streams that we receive; 0: no simulcast, and the other side sends one stream.
    pub receive_streams_max: usize,
    /// Simulcast streams that we send; 0: no simulcast.
    pub send_streams_max: usize,
    /// Media streams that our track belongs to, if we send.
    pub msids: Vec<Msid>,
    /// Our sources, if we send.
    pub sources: Vec<Source>,
    /// What our sources are to each other, if we send.
    pub ssrc_groups: Vec<SsrcGroup>,
}

/// Whose preference orders the codecs of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodecOrder {
    /// Ours: the other side sends the first that it can.
    #[default]
    Local,
    /// The offerer's. RFC 3264 §6.1 recommends it.
    Offer,
}

/// A codec that we have. `rtx` has no entry of its own; `red` has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCodec {
    /// Name, clock and channels.
    pub format: Format,
    /// What we can receive. By these, configurations of H264, H265, VP9 and AV1 are told apart.
    pub parameters: Parameters,
    /// RTCP feedback that we take and give.
    pub feedback: Vec<Feedback>,
    /// Whether we retransmit it by RFC 4588, if the other side can.
    pub rtx: bool,
}

impl LocalCodec {
    /// A codec from the text of its `a=rtpmap` and `a=fmtp`, without payload types: `VP9/90000`, `profile-id=0`. With
    /// the feedback that a video codec has in WebRTC (NACK, PLI, FIR, transport-wide congestion control) and RTX.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] if the format is malformed, [`Error::Text`] if the parameters can't stand in a line.
    pub fn video(format: &str, parameters: &str) -> Result<Self, Error> {
        let feedback = vec![Feedback::TransportCc, Feedback::CcmFir, Feedback::Nack, Feedback::NackPli];
        Ok(Self { feedback, rtx: true, ..Self::audio(format, parameters)? })
    }

    /// The same for audio: with transport-wide congestion control, without retransmission.
    ///
    /// # Errors
    ///
    /// As for [`video`](Self::video).
    pub fn audio(format: &str, parameters: &str) -> Result<Self, Error> {
        let map = RtpMap::parse(&format!("0 {format}")).map_err(|_| Error::Token)?;
        let parameters = Parameters::new(parameters)?;
        Ok(Self { format: map.format, parameters, feedback: vec![Feedback::TransportCc], rtx: false })
    }
}

/// A header extension that we have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalExtension {
    /// Its name.
    pub uri: Word,
    /// Whether we send it, receive it, or both.
    pub direction: Direction,
}
