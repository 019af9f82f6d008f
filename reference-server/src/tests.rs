//! The whole server, over loopback sockets.

mod peer;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use plenary_sfu_core::RoomConfig;
use plenary_transport::CloseReason;
use plenary_turn::client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tower::ServiceExt;

use crate::control::{self, Control, Limits, MESSAGE_BYTES_MAX};
use crate::media::Media;
use crate::meeting::{PARTICIPANTS_MAX, Rules};
use crate::options::{Options, Place};
use crate::turn::Turn;

use peer::Peer;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    media: Arc<Media>,
    control: Arc<Control>,
    http: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    async fn start_with(limits: Limits) -> Self {
        let place = Place { bind: "127.0.0.1:0".parse().unwrap(), told: "127.0.0.1".parse().unwrap() };
        let rules = Rules { participants_max: PARTICIPANTS_MAX, room: RoomConfig::default() };
        let media = Arc::new(Media::start(&[place, place], rules).unwrap());
        let control = Arc::new(Control::new(Arc::clone(&media), Some(turn(&media)), limits));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        tokio::spawn(control::serve(listener, Arc::clone(&control)));
        Self { media, control, http }
    }

    async fn ask(&self, request: &str) -> (u16, String) {
        let (method, path) = request.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = control::router(Arc::clone(&self.control)).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn create(&self) -> String {
        let (status, body) = self.ask("POST /meetings").await;
        assert_eq!(status, 201);
        let body: Value = serde_json::from_str(&body).unwrap();
        let code = body["code"].as_str().unwrap().to_owned();
        assert_eq!(body["url"], format!("/m/{code}"));
        code
    }

    async fn connect(&self) -> Client {
        Client(connect_async(format!("ws://{}/signaling", self.http)).await.unwrap().0)
    }

    /// A client that has joined, and heard the first offer.
    async fn join(&self, code: &str) -> Client {
        let mut client = self.connect().await;
        client.say(json!({ "type": "join", "protocol": 1, "meeting": code, "name": "Ada" })).await;
        assert_eq!(client.hear().await["type"], "joined");
        while client.hear().await["type"] != "offer" {}
        client
    }

    /// A client that has joined, and connected its media.
    async fn meet(&self, code: &str) -> (Client, Peer) {
        self.meet_by(code, |_| None).await
    }

    /// Likewise, by what the answer to `join` is made.
    async fn meet_by(&self, code: &str, relay: fn(&Value) -> Option<client::Config>) -> (Client, Peer) {
        let mut client = self.connect().await;
        client.say(json!({ "type": "join", "protocol": 1, "meeting": code, "name": "Ada" })).await;
        let relay = relay(&client.hear().await);
        let offer = loop {
            let heard = client.hear().await;
            if heard["type"] == "offer" {
                break heard;
            }
        };
        let (peer, answer) = Peer::answer(offer["sdp"].as_str().unwrap(), relay);
        client.say(json!({ "type": "answer", "version": offer["version"], "sdp": answer })).await;
        let peer = peer.run_until(|transport| transport.profile().is_some()).await;
        (client, peer)
    }

    /// A figure, over both threads.
    async fn figure(&self, name: &str) -> u64 {
        let (_, text) = self.ask("GET /metrics").await;
        let values = text.lines().filter(|line| line.starts_with(name));
        values.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Waits until a figure is this.
    async fn figure_becomes(&self, name: &str, value: u64) {
        let start = std::time::Instant::now();
        while self.figure(name).await != value {
            assert!(start.elapsed() < PATIENCE, "{name} is {}", self.figure(name).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A relay with a thread of its own.
fn turn(media: &Media) -> Arc<Turn> {
    let options = Options::try_parse_from(["plenary-server", "--threads", "1"]).unwrap();
    Arc::new(Turn::start(options.turn().unwrap().unwrap(), None, media.told()).unwrap())
}

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message; null if the connection has ended.
    async fn hear(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("something is said") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Value::Null,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Says something, and hears what is wrong with it.
    async fn refused(&mut self, message: Message) -> String {
        self.0.send(message).await.unwrap();
        let heard = self.hear().await;
        assert_eq!(heard["type"], "error", "{heard}");
        heard["code"].as_str().unwrap().to_owned()
    }

    /// A call goes on: a message is taken, and answered.
    async fn lives(&mut self) {
        assert_eq!(self.refused(Message::text(r#"{"type":"mute","mid":"?","muted":true}"#)).await, "no-such");
    }
}

#[tokio::test]
async fn the_page_and_the_figures_are_served() {
    let server = Server::start().await;
    assert_eq!(server.ask("GET /healthz").await, (200, "ok\n".to_owned()));
    let code = server.create().await;
    for path in ["/".to_owned(), format!("/m/{code}")] {
        let (status, page) = server.ask(&format!("GET {path}")).await;
        assert_eq!(status, 200);
        // All that it loads is there.
        let urls = page.split(['"', '\'']).filter(|text| text.starts_with('/') && text.contains('.'));
        let urls: std::collections::BTreeSet<_> = urls.collect();
        assert!(urls.len() >= 3, "{urls:?}");
        for url in urls {
            assert_eq!(server.ask(&format!("GET {url}")).await.0, 200, "{url}");
        }
    }
    assert_eq!(server.ask("GET /elsewhere").await.0, 404);
    assert_eq!(server.ask("GET /meetings").await.0, 405);
    let mut client = server.join(&code).await;
    client.lives().await;
    assert_eq!(server.figure("plenary_sessions").await, 1);
    assert_eq!(server.figure("plenary_meetings").await, 1);
    assert_eq!(server.figure("plenary_signaling_messages_total").await, 2);
    assert_eq!(server.figure("plenary_signaling_errors_total").await, 1);
    server.media.stop().await;
    assert_eq!(client.hear().await, json!({ "type": "ended", "reason": "shutdown" }));
    assert_eq!(client.hear().await, Value::Null);
}

#[tokio::test]
async fn who_is_ended_hears_it_on_the_media_path_too() {
    let server = Server::start().await;
    let code = server.create().await;
    let (mut ada, her_media) = server.meet(&code).await;
    let (_grace, other_media) = server.meet(&code).await;
    ada.say(json!({ "type": "leave" })).await;
    let her_media = her_media.run_until(|transport| transport.closed().is_some()).await;
    assert_eq!(her_media.closed(), Some(CloseReason::Peer));
    assert_eq!(other_media.closed(), None);
    server.media.stop().await;
    let other_media = other_media.run_until(|transport| transport.closed().is_some()).await;
    assert_eq!(other_media.closed(), Some(CloseReason::Peer));
}

#[tokio::test]
async fn meetings_are_made_at_a_bounded_rate() {
    let server = Server::start().await;
    let mut refused = 0;
    for _ in 0..400 {
        refused += u32::from(server.ask("POST /meetings").await.0 == 429);
    }
    assert!(refused > 0, "200 at once, and 50 in each second");
}

#[tokio::test]
async fn who_does_not_join_well_is_told_and_ended() {
    let server = Server::start().await;
    let code = server.create().await;
    let join = |protocol: u32, meeting: &str, codecs: &[&str]| {
        json!({ "type": "join", "protocol": protocol, "meeting": meeting, "codecs": codecs }).to_string()
    };
    let cases = [
        (join(2, &code, &[]), "protocol"),
        (join(1, "aaaa-aaaa-aaaa", &[]), "no-meeting"),
        (join(1, "../../etc/passwd", &[]), "no-meeting"),
        (join(1, &code, &["h264"]), "no-common-codec"),
        (r#"{"type":"leave"}"#.to_owned(), "join"),
        (r#"{"type":"join","protocol":1}"#.to_owned(), "malformed"),
        ("GET / HTTP/1.1".to_owned(), "malformed"),
    ];
    for (message, code) in cases {
        let mut client = server.connect().await;
        assert_eq!(client.refused(Message::text(message.as_str())).await, code, "{message}");
        assert_eq!(client.hear().await, Value::Null, "{message}");
    }
    let mut client = server.join(&code).await;
    assert_eq!(client.refused(Message::text(join(1, &code, &[]))).await, "join");
    assert_eq!(client.hear().await, Value::Null);
}

#[tokio::test]
async fn what_is_malformed_ends_nothing() {
    let server = Server::start().await;
    let code = server.create().await;
    let mut client = server.join(&code).await;
    assert_eq!(client.refused(Message::text("{")).await, "malformed");
    assert_eq!(client.refused(Message::text(r#"{"type":"dance"}"#)).await, "unknown-type");
    assert_eq!(client.refused(Message::binary(vec![0xff; 1000])).await, "malformed");
    assert_eq!(client.refused(Message::text("[".repeat(MESSAGE_BYTES_MAX))).await, "malformed");
    client.lives().await;
}

#[tokio::test]
async fn a_message_of_10_mb_ends_its_own_connection_only() {
    let server = Server::start().await;
    let code = server.create().await;
    let mut others = [server.join(&code).await, server.join(&code).await];
    let [ada, eve] = &mut others;
    assert_eq!(ada.hear().await["type"], "participant", "Eve has come");
    let (mut send, mut receive) = server.connect().await.0.split();
    let sent = tokio::spawn(async move { send.send(Message::text("x".repeat(10_000_000))).await });
    let heard = timeout(PATIENCE, receive.next()).await.unwrap().unwrap().unwrap();
    let heard: Value = serde_json::from_str(heard.to_text().unwrap()).unwrap();
    assert_eq!((&heard["type"], &heard["code"]), (&json!("error"), &json!("unreadable")));
    let _ = sent.await.unwrap();

    let (mut send, mut receive) = std::mem::replace(eve, server.connect().await).0.split();
    let sent = tokio::spawn(async move { send.send(Message::text("x".repeat(10_000_000))).await });
    while let Ok(Some(Ok(_))) = timeout(PATIENCE, receive.next()).await {}
    let _ = sent.await.unwrap();
    assert_eq!(ada.hear().await["type"], "left");
    ada.lives().await;
}

#[tokio::test]
async fn floods_of_the_media_port_are_counted_and_dropped() {
    let server = Server::start().await;
    let code = server.create().await;
    let mut client = server.join(&code).await;
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stun = |ufrag: &str| {
        let name = format!("{ufrag}:me");
        let mut value = name.clone().into_bytes();
        value.resize(name.len().next_multiple_of(4), 0);
        let mut message = vec![0, 1, 0, 4 + value.len() as u8, 0x21, 0x12, 0xa4, 0x42];
        message.extend([7; 12]);
        message.extend([0, 6, 0, name.len() as u8]);
        message.extend(value);
        message
    };
    let dtls = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200][..], &[1; 200]].concat();
    let rtp = [&[0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1][..], &[0; 900]].concat();
    let kinds = [stun("nobody"), stun(""), dtls, rtp, vec![], vec![0xff; 1400], (0..=255).collect()];
    let ports = server.media.told();
    let count = 4_000;
    for index in 0..count {
        let _ = sender.send_to(&kinds[index % kinds.len()], ports[index % ports.len()]);
    }
    // As many as the kernel has kept: the last of them come when they come.
    let mut received = 0;
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = server.figure("plenary_received_datagrams_total").await;
        if now > 0 && now == received {
            break;
        }
        received = now;
    }
    assert!(received > 100, "{received}");
    assert_eq!(server.figure("plenary_dropped_datagrams_total").await, received, "nobody knows the sender");
    assert_eq!(server.figure("plenary_receive_errors_total").await, 0);
    assert_eq!(server.figure("plenary_sessions").await, 1);
    client.lives().await;
}

#[tokio::test]
async fn messages_that_come_too_fast_wait() {
    let server = Server::start().await;
    let code = server.create().await;
    let mut client = server.join(&code).await;
    let start = std::time::Instant::now();
    // 200 at once, and 50 in each second: the last come a second later.
    for _ in 0..250 {
        client.0.feed(Message::text("{")).await.unwrap();
    }
    client.0.flush().await.unwrap();
    for _ in 0..250 {
        assert_eq!(client.hear().await["code"], "malformed");
    }
    assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
}

#[tokio::test]
async fn who_does_not_join_in_time_is_ended_whatever_it_says_else() {
    let server = Server::start_with(Limits { join_within: Duration::from_millis(300), ..Limits::default() }).await;
    let start = std::time::Instant::now();
    let [mut silent, mut pinging] = [server.connect().await, server.connect().await];
    let told = async {
        while start.elapsed() < Duration::from_secs(20) && pinging.0.send(Message::Ping(vec![7].into())).await.is_ok() {
            match timeout(Duration::from_millis(50), pinging.0.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => return serde_json::from_str(&text).unwrap(),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        Value::Null
    };
    let (told, heard) = tokio::join!(told, silent.hear());
    for heard in [heard, told] {
        assert_eq!((&heard["type"], &heard["code"]), (&json!("error"), &json!("join")), "{heard}");
    }
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!([silent.hear().await, pinging.hear().await], [Value::Null, Value::Null]);
}

#[tokio::test]
async fn who_gives_no_sign_of_life_is_ended() {
    let (ping_every, silence_max) = (Duration::from_millis(100), Duration::from_millis(1500));
    let server = Server::start_with(Limits { ping_every, silence_max, ..Limits::default() }).await;
    let code = server.create().await;
    // She reads, and so answers pings; he does not.
    let (mut ada, mut bob) = (server.join(&code).await, server.join(&code).await);
    let joined_at = std::time::Instant::now();
    while ada.hear().await["type"] != "left" {}
    assert!(joined_at.elapsed() >= silence_max - ping_every, "{:?}", joined_at.elapsed());
    server.figure_becomes("plenary_sessions", 1).await;
    // Byte by byte: he is not to answer the pings that he finds.
    let MaybeTlsStream::Plain(stream) = bob.0.get_mut() else { panic!("a plain stream") };
    let mut heard = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut heard)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&heard).contains(r#"{"type":"ended","reason":"silence"}"#), "{heard:?}");
    ada.lives().await;
}

#[tokio::test]
async fn who_neither_asks_nor_reads_is_ended() {
    let requests_within = Duration::from_millis(300);
    let server = Server::start_with(Limits { requests_within, ..Limits::default() }).await;
    let code = server.create().await;
    let mut ada = server.join(&code).await;
    let start = std::time::Instant::now();
    let ended = async |said: &[u8]| {
        let mut stream = TcpStream::connect(server.http).await.unwrap();
        // Not all of it finds room if nothing is read.
        let _ = timeout(requests_within, stream.write_all(said)).await;
        tokio::time::sleep(requests_within * 3).await;
        let mut heard = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("it is ended");
        (read.is_ok(), heard.len())
    };
    let unread = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100_000);
    let (silent, half, unread) = tokio::join!(ended(b""), ended(b"GET / HTTP/1.1\r\nhost"), ended(&unread));
    assert_eq!([silent.1, half.1], [0, 0]);
    assert!(unread.1 > 0 && start.elapsed() >= requests_within, "{unread:?}");
    ada.lives().await;
}

#[tokio::test]
async fn there_are_no_more_connections_than_there_may_be() {
    let server = Server::start_with(Limits { connections_max: 2, ..Limits::default() }).await;
    let code = server.create().await;
    let (mut ada, bob) = (server.join(&code).await, server.connect().await);
    let url = format!("ws://{}/signaling", server.http);
    let refused = connect_async(&url).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.to_string(), "HTTP error: 503 Service Unavailable");
    ada.lives().await;
    drop(bob);
    let start = std::time::Instant::now();
    while connect_async(&url).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "there is room again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_dropped_is_no_error() {
    let server = Server::start().await;
    let code = server.create().await;
    let (ada, mut bob) = (server.join(&code).await, server.join(&code).await);
    bob.0.close(None).await.unwrap();
    server.figure_becomes("plenary_sessions", 1).await;
    assert_eq!(server.figure("plenary_signaling_drops_total").await, 0, "Bob has closed");
    drop(ada);
    server.figure_becomes("plenary_sessions", 0).await;
    assert_eq!(server.figure("plenary_signaling_drops_total").await, 1);
    assert_eq!(server.figure("plenary_signaling_errors_total").await, 0);
}

#[tokio::test]
async fn who_reaches_a_relay_only_meets_all_the_same() {
    let server = Server::start().await;
    let code = server.create().await;
    let relay = |joined: &Value| {
        let relay = &joined["ice_servers"][0];
        let urls: Vec<&str> = relay["urls"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
        let address = |url: &str, by: &str| {
            let address = url.strip_prefix("turn:")?.strip_suffix(by)?;
            address.parse::<SocketAddr>().ok()
        };
        let [udp, tcp] = urls[..] else { panic!("{urls:?}") };
        let server = address(udp, "?transport=udp").unwrap();
        assert_eq!(address(tcp, "?transport=tcp"), Some(server));
        let text = |key: &str| relay[key].as_str().unwrap().to_owned();
        let (username, password) = (text("username"), text("credential"));
        Some(client::Config { server, username, password, ..client::Config::default() })
    };
    let (mut client, peer) = server.meet_by(&code, relay).await;
    server.figure_becomes("plenary_turn_allocations{", 1).await;
    // A check, and a handshake's two flights.
    assert!(server.figure("plenary_turn_to_peers_datagrams_total").await > 2);
    assert!(server.figure("plenary_turn_to_clients_datagrams_total").await > 2);
    client.say(json!({ "type": "leave" })).await;
    peer.run_until(|transport| transport.closed().is_some()).await;
}
