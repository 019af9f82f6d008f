//! The meetings of one media thread: who is in them, and what they are told. Without sockets, so that it is tested
//! without any.

mod commands;
mod events;
mod layers;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use plenary_sfu_core::{RoomConfig, RoomId, SessionId, Sfu, SubscriptionId, TrackId, TransportId};
use tokio::sync::mpsc::Sender;

use crate::chance::draw;
use crate::code::Code;
use crate::protocol::{self, ClientMessage, EndReason, ErrorCode, IceServer, Kind, ServerMessage};
use crate::rate::Rate;

/// Participants of one meeting unless told: each receives all others, so that the work grows by the square of those who
/// publish.
pub(crate) const PARTICIPANTS_MAX: usize = 100;

/// Slots that each participant has at first: pictures of a gallery of five by five, and sound of those who speak.
const VIDEO_SLOTS: u16 = 25;
const AUDIO_SLOTS: u16 = 8;

/// Letters of a name that others see.
const NAME_MAX: usize = 64;

/// Messages that wait for one client; descriptions among them have up to 100 kB, of which one is in flight. Who takes them
/// slower than they come is ended.
pub(crate) const CLIENT_QUEUE_MAX: usize = 512;

/// How often all are told of one participant in each second, and at once: of one that mutes and unmutes without end as well.
const TOLD_PER_SECOND: u32 = 2;
const TOLD_BURST: u32 = 20;

/// One connection of signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientId(pub(crate) u64);

/// What holds for all meetings.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Of one meeting.
    pub(crate) participants_max: usize,
    pub(crate) room: RoomConfig,
}

/// What the rest of the server wants of a media thread.
#[derive(Debug)]
pub(crate) enum Command {
    Join {
        client: ClientId,
        meeting: Code,
        name: String,
        features: Vec<String>,
        ice_servers: Vec<IceServer>,
        to_client: Sender<ServerMessage>,
    },
    Message {
        client: ClientId,
        message: ClientMessage,
    },
    Leave {
        client: ClientId,
    },
    Stop,
}

#[derive(Debug, Default)]
pub(crate) struct Meetings {
    room: RoomConfig,
    meetings: BTreeMap<Code, Meeting>,
    participants: BTreeMap<ClientId, Participant>,
    clients: BTreeMap<TransportId, ClientId>,
    /// Those who take messages too slowly, or no more.
    slow: Vec<ClientId>,
    /// Those who have changed oftener than all are told.
    untold: BTreeSet<ClientId>,
    /// When all are told of the first of them.
    tells_at: Option<Instant>,
    /// When it is looked which layers are sent; `None` while nobody has several.
    looks_at: Option<Instant>,
}

/// A meeting is there while somebody is in it.
#[derive(Debug)]
struct Meeting {
    room: RoomId,
    members: Vec<ClientId>,
}

#[derive(Debug)]
struct Participant {
    meeting: Code,
    session: SessionId,
    transport: TransportId,
    name: String,
    /// By MID.
    sections: BTreeMap<String, Section>,
    subscriptions: BTreeMap<TrackId, SubscriptionId>,
    to_client: Sender<ServerMessage>,
    /// How often all are told of it.
    telling: Rate,
    /// That there are more tracks than it may receive.
    is_told_of_limit: bool,
}

/// What a participant was asked for, or publishes.
#[derive(Debug)]
struct Section {
    kind: Kind,
    stream: String,
    muted: bool,
    track: Option<TrackId>,
    layers: usize,
    /// Of several layers those that are sent, the lowest first, as it was told.
    ranking: Vec<u8>,
}

impl Meetings {
    /// All of them are such rooms.
    pub(crate) fn new(room: RoomConfig) -> Self {
        Self { room, ..Self::default() }
    }

    pub(crate) fn meetings(&self) -> usize {
        self.meetings.len()
    }

    pub(crate) fn sessions(&self) -> usize {
        self.participants.len()
    }

    pub(crate) fn handle_command(&mut self, command: Command, sfu: &mut Sfu, now: Instant) {
        match command {
            Command::Join { client, meeting, name, features, ice_servers, to_client } => {
                let joined = self.join(client, meeting, name, to_client.clone(), (sfu, now));
                // It is a new queue, and has room.
                let _ = to_client.try_send(match joined {
                    Ok(session) => welcome(session, features, ice_servers),
                    Err(error) => ServerMessage::error(code_of(error), "join", &error),
                });
                if joined.is_ok() {
                    self.introduce(client, sfu, now);
                }
            }
            Command::Message { client, message } => self.handle_message(client, message, sfu, now),
            Command::Leave { client } => self.leave(client, None, sfu, now),
            Command::Stop => {
                let all: Vec<_> = self.participants.keys().copied().collect();
                all.into_iter().for_each(|client| self.leave(client, Some(EndReason::Shutdown), sfu, now));
            }
        }
        self.end_slow(sfu, now);
    }

    fn join(
        &mut self,
        client: ClientId,
        code: Code,
        name: String,
        to_client: Sender<ServerMessage>,
        (sfu, now): (&mut Sfu, Instant),
    ) -> Result<SessionId, plenary_sfu_core::Error> {
        let room = match self.meetings.get(&code) {
            Some(meeting) => meeting.room,
            None => sfu.create_room(self.room.clone())?,
        };
        let (session, transport) = match enter(room, sfu, now) {
            Ok(entered) => entered,
            Err(error) => {
                if !self.meetings.contains_key(&code) {
                    let _ = sfu.remove_room(room, now);
                }
                return Err(error);
            }
        };
        self.meetings.entry(code.clone()).or_insert(Meeting { room, members: Vec::new() }).members.push(client);
        let name = presentable(&name);
        let (sections, subscriptions) = (BTreeMap::new(), BTreeMap::new());
        let telling = Rate::new(TOLD_PER_SECOND, TOLD_BURST, now);
        let participant = Participant {
            meeting: code,
            session,
            transport,
            name,
            sections,
            subscriptions,
            to_client,
            telling,
            is_told_of_limit: false,
        };
        self.participants.insert(client, participant);
        self.clients.insert(transport, client);
        Ok(session)
    }

    /// Tells a participant who is there, and the others of it; and lets it receive them.
    fn introduce(&mut self, client: ClientId, sfu: &mut Sfu, now: Instant) {
        let members = self.members(client);
        let all = members.iter().filter_map(|member| self.participants.get(member));
        let participants: Vec<_> = all.clone().map(Participant::info).collect();
        let tracks: Vec<_> = all.flat_map(|member| member.sections.values().filter_map(|it| it.track)).collect();
        self.tell(client, ServerMessage::Roster { participants });
        self.tell_of(client, now);
        let Some(participant) = self.participants.get(&client) else { return };
        let slots = sfu.set_slots(participant.transport, AUDIO_SLOTS, VIDEO_SLOTS);
        slots.expect("the engine allows as many slots, and the room has both kinds");
        for track in tracks {
            self.subscribe(client, track, sfu, now);
        }
    }

    /// Ends a participant, who is told why unless it left by itself.
    fn leave(&mut self, client: ClientId, reason: Option<EndReason>, sfu: &mut Sfu, now: Instant) {
        if let Some(reason) = reason {
            self.tell(client, ServerMessage::Ended { reason });
        }
        let Some(participant) = self.participants.remove(&client) else { return };
        let Participant { meeting: code, session, transport, sections, .. } = participant;
        self.clients.remove(&transport);
        let _ = sfu.leave(session, now);
        let Some(meeting) = self.meetings.get_mut(&code) else { return };
        meeting.members.retain(|member| *member != client);
        if meeting.members.is_empty() {
            let _ = sfu.remove_room(meeting.room, now);
            self.meetings.remove(&code);
            return;
        }
        let members = meeting.members.clone();
        for track in sections.values().filter_map(|section| section.track) {
            self.forget_track(&members, track);
        }
        for member in members {
            self.tell(member, ServerMessage::Left { session: text(session.to_bits()) });
        }
    }

    fn subscribe(&mut self, client: ClientId, track: TrackId, sfu: &mut Sfu, now: Instant) {
        let Some(participant) = self.participants.get_mut(&client) else { return };
        match sfu.subscribe(participant.session, track, now) {
            Ok(subscription) => {
                participant.subscriptions.insert(track, subscription);
            }
            Err(plenary_sfu_core::Error::NoCommonCodec) => {
                self.tell(client, ServerMessage::NoCommonCodec { track: text(track.to_bits()) });
            }
            // Told once: there may be more tracks that it can't have than messages may wait.
            Err(plenary_sfu_core::Error::Limit(_)) if std::mem::replace(&mut participant.is_told_of_limit, true) => {}
            Err(error) => self.tell(client, ServerMessage::error(code_of(error), "", &error)),
        }
    }

    /// The engine has ended the subscriptions.
    fn forget_track(&mut self, members: &[ClientId], track: TrackId) {
        for member in members {
            if let Some(member) = self.participants.get_mut(member) {
                member.subscriptions.remove(&track);
            }
        }
    }

    /// All in the same meeting, itself too.
    fn members(&self, client: ClientId) -> Vec<ClientId> {
        let meeting = self.participants.get(&client).and_then(|it| self.meetings.get(&it.meeting));
        meeting.map(|meeting| meeting.members.clone()).unwrap_or_default()
    }

    /// Tells all, itself too, how a participant is now; a little later, if they were told so often.
    fn tell_of(&mut self, client: ClientId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&client) else { return };
        if !participant.telling.take(now) {
            let due = participant.telling.due();
            self.tells_at = Some(self.tells_at.map_or(due, |at| at.min(due)));
            self.untold.insert(client);
            return;
        }
        let info = participant.info();
        for member in self.members(client) {
            self.tell(member, ServerMessage::Participant(info.clone()));
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` if nobody waits for anything.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.looks_at.into_iter().chain(self.tells_at).min()
    }

    /// Tells what was to be told later, and which layers are sent.
    pub(crate) fn handle_timeout(&mut self, sfu: &mut Sfu, now: Instant) {
        if self.tells_at.is_some_and(|at| at <= now) {
            self.tells_at = None;
            let untold = std::mem::take(&mut self.untold);
            untold.into_iter().for_each(|client| self.tell_of(client, now));
        }
        self.look_at_layers(sfu, now);
        self.end_slow(sfu, now);
    }

    fn tell(&mut self, client: ClientId, message: ServerMessage) {
        let Some(participant) = self.participants.get(&client) else { return };
        if participant.to_client.try_send(message).is_err() {
            self.slow.push(client);
        }
    }

    /// Their connections end as their queues do; there is no room to tell why.
    fn end_slow(&mut self, sfu: &mut Sfu, now: Instant) {
        while let Some(client) = self.slow.pop() {
            self.leave(client, None, sfu, now);
        }
    }
}

impl Section {
    const fn new(kind: Kind, stream: String) -> Self {
        Self { kind, stream, muted: false, track: None, layers: 0, ranking: Vec::new() }
    }
}

impl Participant {
    fn info(&self) -> protocol::Participant {
        let tracks = self.sections.values().filter_map(|section| {
            let Section { kind, ref stream, muted, track, layers, ref ranking } = *section;
            let (track, stream, ranking) = (text(track?.to_bits()), stream.clone(), ranking.clone());
            Some(protocol::Track { track, kind, stream, muted, layers, ranking })
        });
        protocol::Participant {
            session: text(self.session.to_bits()),
            name: self.name.clone(),
            tracks: tracks.collect(),
        }
    }
}

/// Who is in a meeting has one transport.
fn enter(room: RoomId, sfu: &mut Sfu, now: Instant) -> Result<(SessionId, TransportId), plenary_sfu_core::Error> {
    let session = sfu.join(room)?;
    let transport = sfu.add_transport(session, now);
    if transport.is_err() {
        let _ = sfu.leave(session, now);
    }
    Ok((session, transport?))
}

/// A name as others see it: in one line, and without what turns the text around it; nothing, if nothing of it can be seen.
fn presentable(name: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // Joiners and selectors have their place in names, but make none.
    let is_seen = |letter: char| {
        !letter.is_whitespace()
            && !matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
                | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
    };
    let letters = name.trim().chars().filter(|letter| !letter.is_control() && !turns(*letter)).take(NAME_MAX);
    let name: String = letters.collect();
    if name.chars().any(is_seen) { name } else { String::new() }
}

fn welcome(session: SessionId, features: Vec<String>, ice_servers: Vec<IceServer>) -> ServerMessage {
    let resume = u128::from_ne_bytes(draw());
    ServerMessage::Joined {
        protocol: protocol::VERSION,
        features,
        session: text(session.to_bits()),
        resume: format!("{resume:032x}"),
        ice_servers,
    }
}

/// Ids are texts: not all of their bits fit into the numbers of JavaScript.
fn text(bits: u64) -> String {
    format!("{bits:x}")
}

const fn code_of(error: plenary_sfu_core::Error) -> ErrorCode {
    match error {
        plenary_sfu_core::Error::Limit(_) => ErrorCode::Limit,
        plenary_sfu_core::Error::NoCommonCodec => ErrorCode::NoCommonCodec,
        plenary_sfu_core::Error::OutOfRange => ErrorCode::Malformed,
        _ => ErrorCode::NoSuch,
    }
}
