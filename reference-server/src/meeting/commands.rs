//! What clients say.

use std::time::Instant;

use plenary_sfu_core::{Answered, NegotiationError, PublishRequest, Sfu};

use super::{ClientId, Meetings, Participant, Section, code_of};
use crate::protocol::{ClientMessage, EndReason, ErrorCode, Kind, Publish, ServerMessage};

/// Bytes of a client's name for what it publishes.
const ID_MAX: usize = 64;

/// What a message may lead to, beside what it changes.
type Reply = Result<Option<ServerMessage>, Refused>;

/// Why a message is not done.
enum Refused {
    Engine(plenary_sfu_core::Error),
    Negotiation(NegotiationError),
    Told(ErrorCode, &'static str),
}

impl Meetings {
    pub(super) fn handle_message(&mut self, client: ClientId, message: ClientMessage, sfu: &mut Sfu, now: Instant) {
        let about = message.name();
        let Some(participant) = self.participants.get_mut(&client) else { return };
        let reply = match message {
            ClientMessage::Leave => return self.leave(client, Some(EndReason::Left), sfu, now),
            ClientMessage::Mute { mid, muted } => participant.mute(&mid, muted),
            ClientMessage::Unpublish { mid } => return self.unpublish(client, &mid, sfu, now),
            message => participant.handle_message(message, sfu, now),
        };
        match reply {
            Ok(Some(reply)) => self.tell(client, reply),
            Ok(None) if about == "mute" => self.tell_of(client, now),
            Ok(None) => {}
            Err(refused) => self.tell(client, refused.error(about)),
        }
    }

    fn unpublish(&mut self, client: ClientId, mid: &str, sfu: &mut Sfu, now: Instant) {
        let Some(participant) = self.participants.get_mut(&client) else { return };
        let stopped = sfu.stop_publishing(participant.transport, mid, now);
        let track = participant.sections.remove(mid).and_then(|section| section.track);
        if let Some(track) = track {
            let members = self.members(client);
            self.forget_track(&members, track);
            self.tell_of(client, now);
        }
        if let Err(error) = stopped {
            self.tell(client, Refused::from(error).error("unpublish"));
        }
    }
}

impl Participant {
    fn handle_message(&mut self, message: ClientMessage, sfu: &mut Sfu, now: Instant) -> Reply {
        match message {
            ClientMessage::Answer { version, sdp } => match sfu.handle_answer(self.transport, version, &sdp, now)? {
                Answered::Applied | Answered::Stale => Ok(None),
            },
            ClientMessage::Offer { sdp } => {
                let sdp = sfu.handle_offer(self.transport, &sdp, now)?;
                Ok(Some(ServerMessage::Answer { sdp }))
            }
            ClientMessage::Candidate { candidate } => {
                sfu.add_remote_candidate_line(self.transport, &candidate, now)?;
                Ok(None)
            }
            ClientMessage::Publish(publish) => self.publish(publish, sfu),
            ClientMessage::Slots { audio, video } => {
                sfu.set_slots(self.transport, audio, video)?;
                Ok(None)
            }
            ClientMessage::Layer { track, layer } => self.select_layer(&track, layer, sfu, now),
            ClientMessage::Restart => {
                sfu.restart_ice(self.transport, now)?;
                Ok(None)
            }
            // The connection sees to it, or the caller.
            ClientMessage::Join(_)
            | ClientMessage::Leave
            | ClientMessage::Mute { .. }
            | ClientMessage::Unpublish { .. }
            | ClientMessage::Unknown => Ok(None),
        }
    }

    fn publish(&mut self, publish: Publish, sfu: &mut Sfu) -> Reply {
        let Publish { id, kind, simulcast, stream } = publish;
        if id.len() > ID_MAX {
            return Err(Refused::Told(ErrorCode::Malformed, "id has more than 64 bytes"));
        }
        let engine_kind = match kind {
            Kind::Audio => plenary_sfu_core::Kind::Audio,
            Kind::Video => plenary_sfu_core::Kind::Video,
        };
        let codecs = Vec::new();
        let request = PublishRequest { kind: engine_kind, simulcast, opaque: false, stream: stream.clone(), codecs };
        let mid = sfu.ask_to_publish(self.transport, request)?;
        self.sections.insert(mid.clone(), Section::new(kind, stream));
        Ok(Some(ServerMessage::Publishing { id, mid }))
    }

    fn mute(&mut self, mid: &str, muted: bool) -> Reply {
        let section = self.sections.get_mut(mid).ok_or(Refused::Told(ErrorCode::NoSuch, "no such section"))?;
        section.muted = muted;
        Ok(None)
    }

    fn select_layer(&self, track: &str, layer: Option<u8>, sfu: &mut Sfu, now: Instant) -> Reply {
        let track = u64::from_str_radix(track, 16).ok().map(plenary_sfu_core::TrackId::from_bits);
        let subscription = track.and_then(|track| self.subscriptions.get(&track));
        let subscription = subscription.ok_or(Refused::Told(ErrorCode::NoSuch, "no such track"))?;
        sfu.select_layer(*subscription, layer, now)?;
        Ok(None)
    }
}

impl Refused {
    fn error(self, about: &str) -> ServerMessage {
        match self {
            Self::Told(code, message) => ServerMessage::error(code, about, &message),
            Self::Engine(error) | Self::Negotiation(NegotiationError::Engine(error)) => {
                ServerMessage::error(code_of(error), about, &error)
            }
            Self::Negotiation(error @ NegotiationError::Glare) => ServerMessage::error(ErrorCode::Glare, about, &error),
            Self::Negotiation(error) => ServerMessage::error(ErrorCode::Negotiation, about, &error),
        }
    }
}

impl From<plenary_sfu_core::Error> for Refused {
    fn from(error: plenary_sfu_core::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<NegotiationError> for Refused {
    fn from(error: NegotiationError) -> Self {
        Self::Negotiation(error)
    }
}
