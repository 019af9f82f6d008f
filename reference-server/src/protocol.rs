//! The messages of PROTOCOL.md, which says what they mean.

use plenary_rtp::payload::Codec;
use plenary_sfu_core::RoomConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version that is spoken here.
pub(crate) const VERSION: u32 = 1;

/// What may be agreed on beyond it.
pub(crate) const FEATURES: [&str; 2] = ["simulcast", "layers"];

/// The codecs that meetings may have. Who lacks one of a meeting's receives the rest.
pub(crate) const CODECS: [(&str, Codec); 5] =
    [("opus", Codec::Opus), ("vp8", Codec::Vp8), ("vp9", Codec::Vp9), ("h264", Codec::H264), ("av1", Codec::Av1)];

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum ClientMessage {
    Join(Join),
    Answer {
        version: u64,
        sdp: String,
    },
    Offer {
        sdp: String,
    },
    Candidate {
        candidate: String,
    },
    Publish(Publish),
    Unpublish {
        mid: String,
    },
    Slots {
        audio: u16,
        video: u16,
    },
    Mute {
        mid: String,
        muted: bool,
    },
    Layer {
        track: String,
        layer: Option<u8>,
    },
    Restart,
    Leave,
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Join {
    pub(crate) protocol: u32,
    pub(crate) meeting: String,
    /// Shown to the others.
    #[serde(default)]
    pub(crate) name: String,
    /// The program that joins. Nothing depends on it.
    #[serde(default)]
    pub(crate) client: String,
    #[serde(default)]
    pub(crate) features: Vec<String>,
    /// Empty if it is not told.
    #[serde(default)]
    pub(crate) codecs: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Publish {
    /// Comes back in `publishing`.
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) simulcast: bool,
    /// What is to be played in step.
    #[serde(default)]
    pub(crate) stream: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Audio,
    Video,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum ServerMessage {
    Joined { protocol: u32, features: Vec<String>, session: String, resume: String, ice_servers: Vec<IceServer> },
    Roster { participants: Vec<Participant> },
    Participant(Participant),
    Left { session: String },
    Offer { version: u64, sdp: String },
    Answer { sdp: String },
    Publishing { id: String, mid: String },
    Published { mid: String, track: String },
    Unpublished { mid: String },
    Slot { mid: String, content: Option<Content> },
    NoCommonCodec { track: String },
    UnknownPayloadType { track: String, payload_type: u8 },
    Error { code: ErrorCode, about: String, message: String },
    Ended { reason: EndReason },
}

/// A relay, as `RTCIceServer` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
pub(crate) struct IceServer {
    pub(crate) urls: Vec<String>,
    pub(crate) username: String,
    pub(crate) credential: String,
}

/// Somebody in the meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
pub(crate) struct Participant {
    pub(crate) session: String,
    pub(crate) name: String,
    pub(crate) tracks: Vec<Track>,
}

/// What somebody publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
pub(crate) struct Track {
    pub(crate) track: String,
    pub(crate) kind: Kind,
    pub(crate) stream: String,
    pub(crate) muted: bool,
    pub(crate) layers: usize,
    /// Those that are sent, the lowest first, if there are several.
    pub(crate) ranking: Vec<u8>,
}

/// What a slot shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
pub(crate) struct Content {
    pub(crate) session: String,
    pub(crate) track: String,
    pub(crate) layer: Option<u8>,
    pub(crate) timestamp: Option<u32>,
    pub(crate) csrc: u32,
    pub(crate) synced: bool,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ErrorCode {
    /// No JSON, or not what a message of its type has.
    Malformed,
    UnknownType,
    /// Too long, or no message of WebSocket. The connection ends.
    Unreadable,
    /// Another version of this protocol. The connection ends.
    Protocol,
    /// The first message is `join`, and no other is. The connection ends.
    Join,
    NoMeeting,
    NoCommonCodec,
    /// A limit of the server.
    Limit,
    /// There is no such section, track or layer.
    NoSuch,
    /// The description or candidate can't be taken.
    Negotiation,
    /// The client's offer has crossed one of the server's: answer that, then offer again.
    Glare,
}

/// Why the server ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EndReason {
    /// As was asked for.
    Left,
    /// The transport of the media is over.
    Transport,
    /// Nothing was heard for too long.
    Silence,
    /// More is waiting for the client than it takes.
    Slow,
    /// The server ends.
    Shutdown,
}

impl ClientMessage {
    /// Reads a message. What is wrong with it is an error for the client.
    pub(crate) fn parse(text: &str) -> Result<Self, ServerMessage> {
        let malformed = |error: serde_json::Error| ServerMessage::error(ErrorCode::Malformed, "", &error);
        let value: Value = serde_json::from_str(text).map_err(malformed)?;
        let about = value.get("type").and_then(Value::as_str).unwrap_or_default();
        let about: String = about.chars().take(ABOUT_MAX).collect();
        let malformed = |error: serde_json::Error| ServerMessage::error(ErrorCode::Malformed, &about, &error);
        match Self::deserialize(value).map_err(malformed)? {
            Self::Unknown => Err(ServerMessage::error(ErrorCode::UnknownType, &about, &"there is no such type")),
            message => Ok(message),
        }
    }

    /// Its type.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Join(_) => "join",
            Self::Answer { .. } => "answer",
            Self::Offer { .. } => "offer",
            Self::Candidate { .. } => "candidate",
            Self::Publish(_) => "publish",
            Self::Unpublish { .. } => "unpublish",
            Self::Slots { .. } => "slots",
            Self::Mute { .. } => "mute",
            Self::Layer { .. } => "layer",
            Self::Restart => "restart",
            Self::Leave => "leave",
            Self::Unknown => "",
        }
    }
}

/// Letters of an unknown type that are told back.
const ABOUT_MAX: usize = 32;

impl ServerMessage {
    pub(crate) fn error(code: ErrorCode, about: &str, message: &impl ToString) -> Self {
        Self::Error { code, about: about.to_owned(), message: message.to_string() }
    }
}

impl Join {
    /// What both sides have of [`FEATURES`].
    pub(crate) fn features(&self) -> Vec<String> {
        let common = FEATURES.iter().filter(|feature| self.features.iter().any(|known| known == *feature));
        common.map(|feature| (*feature).to_owned()).collect()
    }

    /// Whether the client has a codec of the meeting, as far as it says.
    pub(crate) fn has_common_codec(&self, room: &RoomConfig) -> bool {
        let is_known = |&(name, codec): &(&str, Codec)| {
            room.codecs.iter().any(|it| it.codec == codec) && self.codecs.iter().any(|it| it.eq_ignore_ascii_case(name))
        };
        self.codecs.is_empty() || CODECS.iter().any(is_known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of one part of the page, by their types.
    fn examples(part: &str) -> Vec<(String, Value)> {
        let page = include_str!("../PROTOCOL.md");
        let (_, part) = page.split_once(part).expect("the page has this part");
        let part = part.split_once("\n## ").map_or(part, |(part, _)| part);
        let texts = part.split("```json\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(text, _)| text);
        texts
            .map(|text| {
                let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
                (value["type"].as_str().expect("a type").to_owned(), value)
            })
            .collect()
    }

    fn types(examples: &[(String, Value)]) -> Vec<&str> {
        examples.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn what_clients_say_is_read_as_the_page_shows_it() {
        let examples = examples("\n## From the client\n");
        for (name, value) in &examples {
            let message = ClientMessage::parse(&value.to_string()).unwrap_or_else(|error| panic!("{error:?}: {value}"));
            assert_eq!(message.name(), name);
            // What is not known yet is passed over.
            let mut more = value.clone();
            more["a-field-of-tomorrow"] = serde_json::json!({ "a": [1, null] });
            assert_eq!(ClientMessage::parse(&more.to_string()), Ok(message), "{more}");
        }
        let all = [
            "join",
            "answer",
            "offer",
            "candidate",
            "publish",
            "unpublish",
            "slots",
            "mute",
            "layer",
            "restart",
            "leave",
        ];
        assert_eq!(types(&examples), all);
    }

    #[test]
    fn what_the_server_says_is_as_the_page_shows_it() {
        let examples = examples("\n## From the server\n");
        for (_, value) in &examples {
            let message = ServerMessage::deserialize(value).unwrap_or_else(|error| panic!("{error}: {value}"));
            assert_eq!(serde_json::to_value(message).unwrap(), *value);
        }
        let all = [
            "joined",
            "roster",
            "participant",
            "left",
            "offer",
            "answer",
            "publishing",
            "published",
            "unpublished",
            "slot",
            "slot",
            "no-common-codec",
            "unknown-payload-type",
            "error",
            "ended",
        ];
        assert_eq!(types(&examples), all);
    }

    #[test]
    fn the_page_names_each_error_and_each_end() {
        let page = include_str!("../PROTOCOL.md");
        let errors = [
            ErrorCode::Malformed,
            ErrorCode::UnknownType,
            ErrorCode::Unreadable,
            ErrorCode::Protocol,
            ErrorCode::Join,
            ErrorCode::NoMeeting,
            ErrorCode::NoCommonCodec,
            ErrorCode::Limit,
            ErrorCode::NoSuch,
            ErrorCode::Negotiation,
            ErrorCode::Glare,
        ];
        let ends = [EndReason::Left, EndReason::Transport, EndReason::Silence, EndReason::Slow, EndReason::Shutdown];
        let names = errors.map(|it| serde_json::to_value(it).unwrap()).into_iter();
        for name in names.chain(ends.map(|it| serde_json::to_value(it).unwrap())) {
            let row = format!("| `{}` |", name.as_str().unwrap());
            assert!(page.contains(&row), "{row}");
        }
    }

    fn refused(text: &str) -> (ErrorCode, String) {
        match ClientMessage::parse(text) {
            Err(ServerMessage::Error { code, about, .. }) => (code, about),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_kind() {
        use ErrorCode::{Malformed, UnknownType};
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in ["", "{", "null", "[]", "\"join\"", "{}", r#"{"type":1}"#, &deep] {
            assert_eq!(refused(text), (Malformed, String::new()), "{}", &text[..text.len().min(20)]);
        }
        let wrong = [
            (r#"{"type":"answer","version":-1,"sdp":""}"#, "answer"),
            (r#"{"type":"answer","version":1}"#, "answer"),
            (r#"{"type":"candidate","candidate":null}"#, "candidate"),
            (r#"{"type":"publish","kind":"smell"}"#, "publish"),
            (r#"{"type":"slots","audio":65536,"video":0}"#, "slots"),
            (r#"{"type":"layer","track":"1","layer":256}"#, "layer"),
        ];
        for (text, about) in wrong {
            assert_eq!(refused(text), (Malformed, about.to_owned()), "{text}");
        }
        assert_eq!(refused(r#"{"type":"dance"}"#), (UnknownType, "dance".to_owned()));
        let (code, about) = refused(&format!(r#"{{"type":"{}"}}"#, "é".repeat(1000)));
        assert_eq!((code, about.chars().count()), (UnknownType, ABOUT_MAX));
    }

    #[test]
    fn features_and_codecs_are_what_both_have() {
        let join = |features: &str, codecs: &str| {
            let text =
                format!(r#"{{"type":"join","protocol":1,"meeting":"m","features":{features},"codecs":{codecs}}}"#);
            match ClientMessage::parse(&text) {
                Ok(ClientMessage::Join(join)) => (join.features(), join.has_common_codec(&RoomConfig::default())),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(join(r#"["flying","simulcast"]"#, "[]"), (vec!["simulcast".to_owned()], true));
        assert_eq!(join("[]", r#"["H264","VP8"]"#), (vec![], true));
        assert_eq!(join("[]", r#"["H264"]"#), (vec![], false));
    }
}
