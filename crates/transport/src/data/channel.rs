use std::time::Duration;

/// A channel of one transport, from [`open_channel`](crate::Transport::open_channel) or
/// [`Event::ChannelOpened`](crate::Event::ChannelOpened) until [`Event::ChannelClosed`](crate::Event::ChannelClosed). It
/// is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub(crate) u64);

/// How hard a message is tried (RFC 8831 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reliability {
    /// Until it has arrived.
    #[default]
    Reliable,
    /// It is sent again at most so often. 0: once, and never again.
    MaxRetransmits(u32),
    /// For so long from [`send_message`](crate::Transport::send_message) on; in milliseconds, at most 2^32.
    MaxLifetime(Duration),
}

/// What a channel is. Both sides know it: it is told by [DCEP](https://www.rfc-editor.org/rfc/rfc8832), or agreed on
/// elsewhere (`negotiated`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// A name for people; need not be unique.
    pub label: String,
    /// A name of what is spoken in it, of the IANA registry for WebSocket subprotocols; empty for none.
    pub protocol: String,
    /// Whether messages come in the order that they were sent in.
    pub ordered: bool,
    /// How hard each message is tried.
    pub reliability: Reliability,
    /// The stream to use, from 0 to 65,534, if both sides open the channel with the same; then the peer is told nothing.
    pub negotiated: Option<u16>,
}

impl Default for ChannelConfig {
    /// Ordered and reliable, without names.
    fn default() -> Self {
        let (label, protocol) = (String::new(), String::new());
        Self { label, protocol, ordered: true, reliability: Reliability::Reliable, negotiated: None }
    }
}

/// Where a channel is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelState {
    /// There is no SCTP association yet.
    Connecting,
    /// Messages may be sent and come.
    Open,
    /// One side has closed it, and not all is said and done.
    Closing,
    /// It is over; the event is still to be taken.
    Closed,
}

/// A look at a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel<'a> {
    /// What it is.
    pub config: &'a ChannelConfig,
    /// Its stream of SCTP, once there is an association.
    pub stream: Option<u16>,
    /// Where it is in its life.
    pub state: ChannelState,
    /// Bytes of its messages that are accepted for sending and not yet acknowledged.
    pub buffered_bytes: usize,
}

/// What a message says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Text in UTF-8. That is not checked: neither of what is sent nor of what comes.
    Text,
    /// Bytes.
    Binary,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The channel.
    pub channel: ChannelId,
    /// Text or bytes.
    pub kind: MessageKind,
    /// The whole of it; may be empty.
    pub bytes: Vec<u8>,
}
