use std::time::{Duration, SystemTime};

use plenary_ice::Mode;
use plenary_rtp::NtpTime;
use plenary_sfu_core::{Config, Event};
use plenary_transport::Certificate;
use tokio::sync::mpsc::{Receiver, channel};

use super::layers::LOOK_INTERVAL;
use super::*;
use crate::protocol::{Content, Publish, Track};

/// Meetings without sockets, and what their clients hear.
struct Lab {
    meetings: Meetings,
    sfu: Sfu,
    now: Instant,
    heard: BTreeMap<ClientId, Receiver<ServerMessage>>,
}

impl Lab {
    fn new() -> Self {
        Self::configured(|_| {})
    }

    fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let now = Instant::now();
        let certificate = Certificate::generate(SystemTime::UNIX_EPOCH, Duration::from_secs(60)).unwrap();
        let mut transport = plenary_transport::Config::new(certificate, [1; 32]);
        transport.ice.mode = Mode::Lite;
        let flows = vec![(plenary_wire::FlowId(0), "192.0.2.1:5000".parse().unwrap())];
        let mut config = Config::new(transport, flows, NtpTime::from_unix(Duration::ZERO));
        config.room_sessions_max = PARTICIPANTS_MAX;
        change(&mut config);
        let sfu = Sfu::new(config, now).unwrap();
        Self { meetings: Meetings::default(), sfu, now, heard: BTreeMap::new() }
    }

    fn command(&mut self, command: Command) {
        self.meetings.handle_command(command, &mut self.sfu, self.now);
        while let Some(event) = self.sfu.poll_event() {
            self.meetings.handle_event(event, &mut self.sfu, self.now);
        }
    }

    fn join(&mut self, client: u64, code: &str, name: &str, queue: usize) {
        let (client, meeting) = (ClientId(client), Code::parse(code).unwrap());
        let (to_client, heard) = channel(queue);
        self.heard.insert(client, heard);
        self.command(Command::Join {
            client,
            meeting,
            name: name.to_owned(),
            features: vec![],
            ice_servers: vec![],
            to_client,
        });
    }

    fn say(&mut self, client: u64, message: ClientMessage) {
        self.command(Command::Message { client: ClientId(client), message });
    }

    /// What a client has heard since it was asked last.
    fn hear(&mut self, client: u64) -> Vec<ServerMessage> {
        let heard = self.heard.get_mut(&ClientId(client)).unwrap();
        std::iter::from_fn(|| heard.try_recv().ok()).collect()
    }

    /// Joins, answers the first offer, and says which session it is.
    fn enter(&mut self, client: u64, name: &str) -> String {
        self.join(client, CODE, name, CLIENT_QUEUE_MAX);
        let heard = self.hear(client);
        let Some(ServerMessage::Joined { session, .. }) = heard.first() else { panic!("{heard:?}") };
        self.answer(client, &heard);
        session.clone()
    }

    /// Answers the offer that was heard.
    fn answer(&mut self, client: u64, heard: &[ServerMessage]) {
        let (version, sdp) = offer(heard);
        self.say(client, ClientMessage::Answer { version, sdp: answer_to(&sdp, client) });
    }

    /// Publishes, and says in which section and as which track.
    fn publish(&mut self, client: u64, kind: Kind) -> (String, String) {
        let publish = Publish { id: "x".to_owned(), kind, simulcast: true, stream: "desk".to_owned() };
        self.say(client, ClientMessage::Publish(publish));
        let heard = self.hear(client);
        self.answer(client, &heard);
        let heard = self.hear(client);
        let published = heard.iter().find_map(|message| match message {
            ServerMessage::Published { mid, track } => Some((mid.clone(), track.clone())),
            _ => None,
        });
        published.unwrap_or_else(|| panic!("{heard:?}"))
    }
}

const CODE: &str = "kfwo-tzla-mxre";

fn offer(heard: &[ServerMessage]) -> (u64, String) {
    let offer = heard.iter().find_map(|message| match message {
        ServerMessage::Offer { version, sdp } => Some((*version, sdp.clone())),
        _ => None,
    });
    offer.unwrap_or_else(|| panic!("{heard:?}"))
}

/// Takes all that is offered.
pub(crate) fn answer_to(offer: &str, client: u64) -> String {
    let lines = offer.lines().filter_map(|line| {
        let line = match line {
            "a=sendonly" => "a=recvonly".to_owned(),
            "a=recvonly" => "a=sendonly".to_owned(),
            "a=setup:actpass" => "a=setup:active".to_owned(),
            "a=ice-lite" => return None,
            _ if line.starts_with("a=ice-ufrag:") => format!("a=ice-ufrag:client{client}"),
            _ if line.starts_with("a=ice-pwd:") => format!("a=ice-pwd:abcdefghijklmnopqrstuvwx{client}"),
            _ if line.starts_with("a=rid:") => line.replace(" recv", " send"),
            _ if line.starts_with("a=simulcast:") => line.replace("recv", "send"),
            _ if ["a=ssrc", "a=candidate", "a=end-of-candidates"].iter().any(|start| line.starts_with(start)) => {
                return None;
            }
            _ => line.to_owned(),
        };
        Some(line + "\r\n")
    });
    lines.collect()
}

fn errors(heard: &[ServerMessage]) -> Vec<(ErrorCode, &str)> {
    let error = |message| match message {
        &ServerMessage::Error { code, ref about, .. } => Some((code, about.as_str())),
        _ => None,
    };
    heard.iter().filter_map(error).collect()
}

#[test]
fn who_is_there_is_told() {
    let mut lab = Lab::new();
    let ada = lab.enter(1, "Ada");
    lab.hear(1);
    lab.join(2, CODE, "Grace\u{7}", CLIENT_QUEUE_MAX);
    let heard = lab.hear(2);
    let ServerMessage::Joined { protocol: 1, session: grace, resume, .. } = &heard[0] else { panic!("{heard:?}") };
    assert_eq!(resume.len(), 32);
    let is = |session: &str, name: &str| protocol::Participant {
        session: session.to_owned(),
        name: name.to_owned(),
        tracks: vec![],
    };
    assert_eq!(heard[1], ServerMessage::Roster { participants: vec![is(&ada, "Ada"), is(grace, "Grace")] });
    assert_eq!(lab.hear(1), [ServerMessage::Participant(is(grace, "Grace"))]);
    let (version, sdp) = offer(&heard);
    assert_eq!((version, sdp.matches("m=video ").count(), sdp.matches("m=audio ").count()), (1, 25, 8));
    assert_eq!((lab.meetings.meetings(), lab.meetings.sessions()), (1, 2));

    lab.say(2, ClientMessage::Leave);
    assert_eq!(lab.hear(2), [ServerMessage::Ended { reason: EndReason::Left }]);
    assert_eq!(lab.hear(1), [ServerMessage::Left { session: grace.clone() }]);
    lab.command(Command::Leave { client: ClientId(1) });
    lab.command(Command::Leave { client: ClientId(1) });
    assert_eq!((lab.meetings.meetings(), lab.meetings.sessions()), (0, 0));
    assert!(format!("{:?}", lab.sfu).contains("rooms: 0, sessions: 0"), "{:?}", lab.sfu);
}

#[test]
fn everybody_receives_everybody() {
    let mut lab = Lab::new();
    let (ada, _) = (lab.enter(1, "Ada"), lab.enter(2, "Grace"));
    lab.hear(2);
    let (mid, track) = lab.publish(1, Kind::Video);
    let heard = lab.hear(2);
    let tracks = |muted| {
        let stream = "desk".to_owned();
        vec![Track { track: track.clone(), kind: Kind::Video, stream, muted, layers: 3, ranking: vec![] }]
    };
    let with = |tracks| {
        let participant = protocol::Participant { session: ada.clone(), name: "Ada".to_owned(), tracks };
        ServerMessage::Participant(participant)
    };
    assert_eq!(heard[0], with(tracks(false)));
    let ServerMessage::Slot { mid: slot, content: Some(content) } = &heard[1] else { panic!("{heard:?}") };
    let Content { session, layer: None, timestamp: None, .. } = content else { panic!("{content:?}") };
    assert_eq!((session, &content.track), (&ada, &track));

    // One who comes later, too.
    lab.enter(3, "Mary");
    let heard = lab.hear(3);
    let is_hers = |message: &ServerMessage| matches!(message, ServerMessage::Slot { content: Some(content), .. } if content.track == track);
    assert!(heard.iter().any(is_hers), "{heard:?}");

    lab.hear(2);
    lab.say(1, ClientMessage::Mute { mid: mid.clone(), muted: true });
    assert_eq!(lab.hear(2), [with(tracks(true))]);
    lab.say(2, ClientMessage::Layer { track: track.clone(), layer: Some(2) });
    assert_eq!(lab.hear(2), []);
    lab.say(2, ClientMessage::Layer { track: track.clone(), layer: Some(3) });
    assert_eq!(errors(&lab.hear(2)), [(ErrorCode::NoSuch, "layer")]);
    lab.say(1, ClientMessage::Layer { track: track.clone(), layer: Some(0) });
    lab.hear(1);
    lab.say(1, ClientMessage::Unpublish { mid });
    let empty = ServerMessage::Slot { mid: slot.clone(), content: None };
    assert_eq!(lab.hear(2), [with(vec![]), empty]);
    lab.say(2, ClientMessage::Layer { track, layer: Some(0) });
    assert_eq!(errors(&lab.hear(2)), [(ErrorCode::NoSuch, "layer")]);
}

#[test]
fn meetings_do_not_see_each_other() {
    let mut lab = Lab::new();
    lab.enter(1, "Ada");
    lab.hear(1);
    lab.join(2, "aaaa-aaaa-aaaa", "Eve", CLIENT_QUEUE_MAX);
    let heard = lab.hear(2);
    let ServerMessage::Roster { participants } = &heard[1] else { panic!("{heard:?}") };
    assert_eq!(participants.len(), 1);
    let (_, track) = lab.publish(1, Kind::Audio);
    lab.say(2, ClientMessage::Layer { track, layer: None });
    assert_eq!(errors(&lab.hear(2)), [(ErrorCode::NoSuch, "layer")]);
    lab.command(Command::Leave { client: ClientId(2) });
    assert_eq!(lab.hear(1), []);
}

#[test]
fn what_can_not_be_done_changes_nothing() {
    let mut lab = Lab::new();
    lab.join(1, CODE, &"é".repeat(1000), CLIENT_QUEUE_MAX);
    let heard = lab.hear(1);
    let ServerMessage::Roster { participants } = &heard[1] else { panic!("{heard:?}") };
    assert_eq!(participants[0].name.chars().count(), NAME_MAX);
    let (version, sdp) = offer(&heard);
    let long: String = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:x\r\n".repeat(1000);
    let long = format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{long}");
    let text = |text: &str| text.to_owned();
    let bad = [
        (ClientMessage::Answer { version, sdp: text("v=0") }, ErrorCode::Negotiation),
        (ClientMessage::Answer { version, sdp: long.clone() }, ErrorCode::Negotiation),
        (ClientMessage::Answer { version: 2, sdp: answer_to(&sdp, 1) }, ErrorCode::Negotiation),
        (ClientMessage::Offer { sdp: long }, ErrorCode::Glare),
        (ClientMessage::Candidate { candidate: text("candidate:?") }, ErrorCode::Negotiation),
        (ClientMessage::Unpublish { mid: text("p9") }, ErrorCode::NoSuch),
        (ClientMessage::Mute { mid: text("p9"), muted: true }, ErrorCode::NoSuch),
        (ClientMessage::Layer { track: text("z"), layer: None }, ErrorCode::NoSuch),
        (ClientMessage::Slots { audio: u16::MAX, video: u16::MAX }, ErrorCode::Limit),
    ];
    for (message, code) in bad {
        let about = message.name();
        lab.say(1, message);
        assert_eq!(errors(&lab.hear(1)), [(code, about)]);
    }
    lab.say(1, ClientMessage::Answer { version, sdp: answer_to(&sdp, 1) });
    assert_eq!(lab.hear(1), []);

    let publish = |id: &str| {
        let (id, stream) = (id.to_owned(), String::new());
        ClientMessage::Publish(Publish { id, kind: Kind::Audio, simulcast: false, stream })
    };
    lab.say(1, publish(&"x".repeat(65)));
    assert_eq!(errors(&lab.hear(1)), [(ErrorCode::Malformed, "publish")]);
    (0..16).for_each(|_| lab.say(1, publish("")));
    let heard = lab.hear(1);
    assert_eq!(heard.iter().filter(|it| matches!(it, ServerMessage::Publishing { .. })).count(), 16, "{heard:?}");
    lab.say(1, publish(""));
    assert_eq!(errors(&lab.hear(1)), [(ErrorCode::Limit, "publish")]);

    // Another's answer does not fit, and the right one still does.
    let (version, sdp) = offer(&heard);
    lab.say(1, ClientMessage::Answer { version, sdp: answer_to(&sdp, 2) });
    assert_eq!(errors(&lab.hear(1)), [(ErrorCode::Negotiation, "answer")]);
    lab.say(1, ClientMessage::Answer { version, sdp: answer_to(&sdp, 1) });
    assert!(lab.hear(1).iter().any(|it| matches!(it, ServerMessage::Published { .. })));
}

#[test]
fn a_name_is_short_and_in_one_line_and_turns_nothing() {
    assert_eq!(presentable(" <b>Ada</b>\u{7}\n Lovelace "), "<b>Ada</b> Lovelace");
    assert_eq!(presentable("\u{202e}nimda\u{2069}\u{2028}"), "nimda");
    assert_eq!(presentable("\u{5d0}\u{5d1}\u{301}"), "\u{5d0}\u{5d1}\u{301}", "written from right to left");
    assert_eq!(presentable(&"é".repeat(10_000)), "é".repeat(NAME_MAX));
    assert_eq!(presentable(" \u{202e} "), "");
    assert_eq!(presentable("\u{200b}\u{ad}\u{feff}\u{3164}"), "", "nobody sees it");
    assert_eq!(presentable("\u{1f469}\u{200d}\u{1f52c}"), "\u{1f469}\u{200d}\u{1f52c}", "joined");
}

#[test]
fn which_layers_are_sent_is_told_as_it_changes() {
    let mut lab = Lab::new();
    lab.enter(1, "Ada");
    lab.enter(2, "Grace");
    lab.publish(1, Kind::Audio);
    assert_eq!(lab.meetings.poll_timeout(), None, "sound has one layer");
    let (mid, _) = lab.publish(1, Kind::Video);
    assert_eq!(lab.meetings.poll_timeout(), Some(lab.now + LOOK_INTERVAL));

    // As if these had been sent until now.
    let publisher = lab.meetings.participants.get_mut(&ClientId(1)).unwrap();
    publisher.sections.get_mut(&mid).unwrap().ranking = vec![2, 0];
    let told = |lab: &mut Lab| {
        [1, 2].map(|client| match lab.hear(client).last() {
            Some(ServerMessage::Participant(it)) => format!("{:?}", it.tracks.last().unwrap().ranking),
            _ => "nothing".to_owned(),
        })
    };
    lab.command(Command::Message { client: ClientId(1), message: ClientMessage::Mute { mid, muted: true } });
    assert_eq!(told(&mut lab), ["[2, 0]"; 2]);
    let look = |lab: &mut Lab, later| {
        lab.now += later;
        lab.meetings.handle_timeout(&mut lab.sfu, lab.now);
        told(lab)
    };
    assert_eq!(look(&mut lab, LOOK_INTERVAL - Duration::from_millis(1)), ["nothing"; 2], "it is not time");
    assert_eq!(look(&mut lab, Duration::from_millis(1)), ["[]"; 2]);
    assert_eq!(look(&mut lab, LOOK_INTERVAL), ["nothing"; 2], "it is as before");
    assert_eq!(lab.meetings.poll_timeout(), Some(lab.now + LOOK_INTERVAL));
    lab.command(Command::Leave { client: ClientId(1) });
    look(&mut lab, LOOK_INTERVAL);
    assert_eq!(lab.meetings.poll_timeout(), None, "nobody publishes");
}

#[test]
fn who_sends_what_was_not_agreed_on_is_told() {
    let mut lab = Lab::new();
    lab.enter(1, "Ada");
    lab.enter(2, "Bob");
    let (_, track) = lab.publish(1, Kind::Video);
    lab.hear(2);
    let id = TrackId::from_bits(u64::from_str_radix(&track, 16).unwrap());
    let transport = lab.sfu.track(id).unwrap().transport;
    let event = Event::UnknownPayloadType { transport, track: id, payload_type: 98 };
    lab.meetings.handle_event(event, &mut lab.sfu, lab.now);
    assert_eq!(lab.hear(1), [ServerMessage::UnknownPayloadType { track, payload_type: 98 }]);
    assert_eq!(lab.hear(2), []);
}

#[test]
fn a_meeting_is_full_at_its_limit() {
    let mut lab = Lab::new();
    for client in 0..PARTICIPANTS_MAX as u64 {
        lab.join(client, CODE, "", CLIENT_QUEUE_MAX);
    }
    lab.join(1000, CODE, "", CLIENT_QUEUE_MAX);
    assert_eq!(errors(&lab.hear(1000)), [(ErrorCode::Limit, "join")]);
    assert_eq!(lab.meetings.sessions(), PARTICIPANTS_MAX);
    lab.command(Command::Leave { client: ClientId(0) });
    lab.join(1000, CODE, "", CLIENT_QUEUE_MAX);
    assert_eq!(errors(&lab.hear(1000)), []);
}

#[test]
fn one_who_does_not_listen_is_ended() {
    let mut lab = Lab::new();
    lab.enter(1, "Ada");
    // Room for what it hears as it joins, and no more.
    lab.join(2, CODE, "Eve", 4);
    lab.hear(1);
    lab.join(3, CODE, "Grace", CLIENT_QUEUE_MAX);
    assert_eq!(lab.meetings.sessions(), 2);
    let heard = lab.hear(1);
    assert!(matches!(&heard[..], [ServerMessage::Participant(_), ServerMessage::Left { .. }]), "{heard:?}");
    assert_eq!(lab.hear(2).len(), 4);
    assert!(lab.heard[&ClientId(2)].is_closed());
}

#[test]
fn at_the_end_all_are_told() {
    let mut lab = Lab::new();
    lab.enter(1, "Ada");
    lab.hear(1);
    lab.command(Command::Stop);
    assert_eq!(lab.hear(1), [ServerMessage::Ended { reason: EndReason::Shutdown }]);
    assert_eq!((lab.meetings.meetings(), lab.meetings.sessions()), (0, 0));
}

#[test]
fn what_a_client_does_not_take_is_forgotten() {
    let mut lab = Lab::new();
    lab.enter(1, "Ada");
    for round in 0..50 {
        let publish = Publish { id: String::new(), kind: Kind::Audio, simulcast: false, stream: "x".repeat(64) };
        lab.say(1, ClientMessage::Publish(publish));
        let (version, sdp) = offer(&lab.hear(1));
        let answer = answer_to(&sdp, 1);
        let at = answer.rfind("m=audio 9").unwrap();
        let (before, section) = answer.split_at(at);
        let refused = format!("{before}{}", section.replacen("m=audio 9", "m=audio 0", 1));
        lab.say(1, ClientMessage::Answer { version, sdp: refused });
        let heard = lab.hear(1);
        assert!(matches!(&heard[..], [ServerMessage::Unpublished { .. }]), "{round}: {heard:?}");
    }
    assert_eq!(lab.meetings.participants[&ClientId(1)].sections.len(), 0);
}

#[test]
fn who_changes_without_end_is_told_of_now_and_then() {
    let mut lab = Lab::new();
    lab.enter(1, "Ada");
    lab.enter(2, "Eve");
    let (mid, _) = lab.publish(2, Kind::Audio);
    lab.hear(1);
    let start = lab.now;
    let mut told = Vec::new();
    for count in 0..500 {
        lab.now = start + Duration::from_millis(20) * count;
        lab.say(2, ClientMessage::Mute { mid: mid.clone(), muted: count % 2 == 0 });
        lab.meetings.handle_timeout(&mut lab.sfu, lab.now);
        told.append(&mut lab.hear(1));
        lab.hear(2);
    }
    // In ten seconds, and at once.
    let max = (10 * TOLD_PER_SECOND + TOLD_BURST) as usize;
    assert!((max - 3..=max).contains(&told.len()), "{}", told.len());
    // The last of it comes too.
    lab.now = lab.meetings.poll_timeout().unwrap();
    lab.meetings.handle_timeout(&mut lab.sfu, lab.now);
    let heard = lab.hear(1);
    let [ServerMessage::Participant(eve)] = &heard[..] else { panic!("{heard:?}") };
    assert!(!eve.tracks[0].muted);
    assert_eq!(lab.meetings.poll_timeout(), None);
}

#[test]
fn more_tracks_than_one_may_receive_are_told_once() {
    let mut lab = Lab::configured(|config| config.session_subscriptions_max = 5);
    for client in 1..=3 {
        lab.enter(client, "Eve");
        (0..4).for_each(|_| _ = lab.publish(client, Kind::Audio));
    }
    lab.join(4, CODE, "Ada", CLIENT_QUEUE_MAX);
    let heard = lab.hear(4);
    assert_eq!(errors(&heard), [(ErrorCode::Limit, "")], "{heard:?}");
    lab.hear(3);
    lab.publish(2, Kind::Audio);
    assert_eq!([3, 4].map(|client| errors(&lab.hear(client)).len()), [0, 0]);
}
