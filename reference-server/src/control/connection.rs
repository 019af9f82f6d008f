//! One client's WebSocket: its messages go to the media thread of its meeting, and what that says goes back.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{sleep, sleep_until, timeout};

use super::Control;
use crate::code::Code;
use crate::meeting::{CLIENT_QUEUE_MAX, ClientId, Command};
use crate::protocol::{self, ClientMessage, EndReason, ErrorCode, Join, ServerMessage};
use crate::rate::Rate;

/// Messages of one client that are read in each second, and at once; more of them wait in its socket.
const MESSAGES_PER_SECOND: u32 = 50;
const MESSAGES_BURST: u32 = 200;

/// How long a client may take to take in one message.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection is left open after its last message, if there is more on its way that will not be read: the
/// client could not read either, if it were reset.
const LINGER: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    socket: WebSocket,
    control: Arc<Control>,
    rate: Rate,
    heard_at: Instant,
}

/// The end of a connection, and what is said at last.
enum End {
    /// The client has gone.
    Gone,
    /// The session is over, and the client was told if it could be.
    Over,
    Told(ServerMessage),
}

/// What a joined client is.
struct Joined {
    client: ClientId,
    thread: usize,
    from_media: Receiver<ServerMessage>,
    /// The client knows that its session is over, or why there is none.
    is_told: bool,
}

impl Connection {
    pub(super) fn new(socket: WebSocket, control: Arc<Control>) -> Self {
        let now = Instant::now();
        Self { socket, control, rate: Rate::new(MESSAGES_PER_SECOND, MESSAGES_BURST, now), heard_at: now }
    }

    pub(super) async fn run(mut self) {
        let end = match timeout(self.control.limits.join_within, self.join()).await {
            Ok(Ok(mut joined)) => {
                let end = self.converse(&mut joined).await;
                // Twice, if the session is over already: nothing comes of it.
                self.control.media.send(joined.thread, Command::Leave { client: joined.client }).await;
                end
            }
            Ok(Err(end)) => end,
            Err(_) => End::Told(ServerMessage::error(ErrorCode::Join, "", &"join was not sent in time")),
        };
        let mut lingers = false;
        if let End::Told(message) = end {
            lingers = matches!(message, ServerMessage::Error { code: ErrorCode::Unreadable, .. });
            let _ = self.tell(&message).await;
        }
        let _ = timeout(SEND_WITHIN, self.socket.send(Message::Close(None))).await;
        if lingers {
            sleep(LINGER).await;
        }
    }

    /// Waits for the first message, which is to be `join`.
    async fn join(&mut self) -> Result<Joined, End> {
        let join = loop {
            match self.read().await? {
                Some(Ok(ClientMessage::Join(join))) => break join,
                Some(Ok(other)) => {
                    return Err(End::Told(ServerMessage::error(ErrorCode::Join, other.name(), &"join comes first")));
                }
                Some(Err(error)) => return Err(End::Told(error)),
                None => {}
            }
        };
        let (meeting, thread) = self.place(&join).map_err(End::Told)?;
        let client = ClientId(self.control.next_client.fetch_add(1, Ordering::Relaxed));
        let (to_client, from_media) = mpsc::channel(CLIENT_QUEUE_MAX);
        let features = join.features();
        let ice_servers = self.control.ice_servers();
        let command = Command::Join { client, meeting, name: join.name, features, ice_servers, to_client };
        self.control.media.send(thread, command).await;
        Ok(Joined { client, thread, from_media, is_told: false })
    }

    /// The meeting that a client may join, and its thread.
    fn place(&self, join: &Join) -> Result<(Code, usize), ServerMessage> {
        let refused = |code, message: String| ServerMessage::error(code, "join", &message);
        if join.protocol != protocol::VERSION {
            return Err(refused(ErrorCode::Protocol, format!("version {} is spoken here", protocol::VERSION)));
        }
        let room = self.control.media.room();
        if !join.has_common_codec(room) {
            let of_room = |codec| room.codecs.iter().any(|it| it.codec == codec);
            let names = protocol::CODECS.iter().filter(|(_, codec)| of_room(*codec)).map(|(name, _)| *name);
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(refused(ErrorCode::NoCommonCodec, format!("meetings are in {names}")));
        }
        let no_meeting = || refused(ErrorCode::NoMeeting, "no meeting has this code".to_owned());
        let code = Code::parse(&join.meeting).ok_or_else(no_meeting)?;
        let mut directory = self.control.directory.lock().expect("nothing panics under this lock");
        let thread = directory.join(&code, Instant::now()).ok_or_else(no_meeting)?;
        Ok((code, thread))
    }

    async fn converse(&mut self, joined: &mut Joined) -> End {
        let mut ping = tokio::time::interval(self.control.limits.ping_every);
        loop {
            let due = self.rate.due();
            let may_read = due <= Instant::now();
            let done = tokio::select! {
                message = self.socket.recv(), if may_read => self.pass_on(message, joined).await,
                () = sleep_until(due.into()), if !may_read => Ok(()),
                message = joined.from_media.recv() => self.pass_back(message, joined).await,
                _ = ping.tick() => self.ping().await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Gives a message of the client to the media thread.
    async fn pass_on(&mut self, message: Option<Result<Message, axum::Error>>, joined: &Joined) -> Result<(), End> {
        match self.take(message)? {
            Some(Ok(ClientMessage::Join(_))) => {
                Err(End::Told(ServerMessage::error(ErrorCode::Join, "join", &"this session has joined")))
            }
            Some(Ok(message)) => {
                let command = Command::Message { client: joined.client, message };
                self.control.media.send(joined.thread, command).await;
                Ok(())
            }
            Some(Err(error)) => self.tell(&error).await,
            None => Ok(()),
        }
    }

    /// Tells the client what the media thread says.
    async fn pass_back(&mut self, message: Option<ServerMessage>, joined: &mut Joined) -> Result<(), End> {
        let Some(message) = message else {
            // Its queue was ended without a word: there was no room for one.
            let slow = ServerMessage::Ended { reason: EndReason::Slow };
            return Err(if joined.is_told { End::Over } else { End::Told(slow) });
        };
        joined.is_told |= match &message {
            ServerMessage::Ended { .. } => true,
            ServerMessage::Error { about, .. } => about == "join",
            _ => false,
        };
        self.tell(&message).await
    }

    async fn read(&mut self) -> Result<Option<Result<ClientMessage, ServerMessage>>, End> {
        let message = self.socket.recv().await;
        self.take(message)
    }

    /// What came in: a message, or what is wrong with it; or nothing to act on.
    fn take(
        &mut self,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<Option<Result<ClientMessage, ServerMessage>>, End> {
        self.heard_at = Instant::now();
        self.rate.take(self.heard_at);
        match message {
            None | Some(Ok(Message::Close(_))) => Err(End::Gone),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Text(text))) => {
                Control::count(&self.control.counters.messages);
                Ok(Some(ClientMessage::parse(&text)))
            }
            Some(Ok(Message::Binary(_))) => {
                Ok(Some(Err(ServerMessage::error(ErrorCode::Malformed, "", &"messages are text"))))
            }
            Some(Err(error)) if is_drop(&error) => Err(self.dropped()),
            Some(Err(error)) => Err(End::Told(ServerMessage::error(ErrorCode::Unreadable, "", &error))),
        }
    }

    async fn tell(&mut self, message: &ServerMessage) -> Result<(), End> {
        if matches!(message, ServerMessage::Error { .. }) {
            Control::count(&self.control.counters.errors);
        }
        let text = serde_json::to_string(message).expect("all of it is text, numbers and lists");
        self.send(Message::Text(text.into())).await
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.heard_at.elapsed() > self.control.limits.silence_max {
            return Err(End::Told(ServerMessage::Ended { reason: EndReason::Silence }));
        }
        self.send(Message::Ping(Vec::new().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if is_drop(&error) => Err(self.dropped()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    fn dropped(&self) -> End {
        Control::count(&self.control.counters.drops);
        End::Gone
    }
}

/// Whether a connection has ended without a close: as with a browser that is killed, or a network that is gone.
fn is_drop(error: &axum::Error) -> bool {
    use tungstenite::Error::{Io, Protocol};
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    let error = error.source().and_then(|error| error.downcast_ref());
    matches!(error, Some(Io(_) | Protocol(ResetWithoutClosingHandshake)))
}
