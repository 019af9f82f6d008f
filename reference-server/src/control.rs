//! HTTP: meetings are made, clients connect, the page and the figures are read.

mod connection;
mod directory;
mod limits;
mod metrics;
mod page;
mod serve;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use crate::media::Media;
use crate::protocol::IceServer;
use crate::rate::Rate;
use crate::turn::Turn;
use connection::Connection;
use directory::{Directory, DirectoryFull};
pub(crate) use limits::Limits;
pub(crate) use serve::{allow_files, listen, serve};

/// Bytes of a message of a client. A browser's answer for 100 slots has 110 kB.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// What a connection reads at once, and keeps; unless told it would be 128 KiB, for each who does not even join.
const READ_BYTES: usize = 4 << 10;

/// Meetings that may be made in each second, and at once.
const MEETINGS_PER_SECOND: u32 = 50;
const MEETINGS_BURST: u32 = 200;

/// What all requests have in common.
#[derive(Debug)]
pub(crate) struct Control {
    media: Arc<Media>,
    turn: Option<Arc<Turn>>,
    limits: Limits,
    directory: Mutex<Directory>,
    meetings: Mutex<Rate>,
    connections: Arc<Semaphore>,
    next_client: AtomicU64,
    counters: Counters,
}

/// What is counted of signalling.
#[derive(Debug, Default)]
struct Counters {
    messages: AtomicU64,
    errors: AtomicU64,
    /// Connections that ended without a close.
    drops: AtomicU64,
}

impl Control {
    pub(crate) fn new(media: Arc<Media>, turn: Option<Arc<Turn>>, limits: Limits) -> Self {
        Self {
            directory: Mutex::new(Directory::new(media.threads())),
            media,
            turn,
            limits,
            meetings: Mutex::new(Rate::new(MEETINGS_PER_SECOND, MEETINGS_BURST, Instant::now())),
            connections: Arc::new(Semaphore::new(limits.connections_max)),
            next_client: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    /// The relays that a client may use.
    fn ice_servers(&self) -> Vec<IceServer> {
        self.turn.as_ref().map(|turn| turn.servers()).unwrap_or_default()
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn router(control: Arc<Control>) -> Router {
    page::routes()
        .route("/meetings", post(create_meeting))
        .route("/signaling", get(signaling))
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(1024))
        .with_state(control)
}

async fn create_meeting(State(control): State<Arc<Control>>) -> Response {
    let now = Instant::now();
    if !control.meetings.lock().expect("nothing panics under this lock").take(now) {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    let created = control.directory.lock().expect("nothing panics under this lock").create(now);
    match created {
        Ok(code) => {
            let url = format!("/m/{code}");
            let body = serde_json::json!({ "code": code.as_str(), "url": url });
            let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::LOCATION, url)];
            (StatusCode::CREATED, headers, body.to_string()).into_response()
        }
        Err(DirectoryFull) => (StatusCode::SERVICE_UNAVAILABLE, "as many meetings as there may be\n").into_response(),
    }
}

async fn signaling(State(control): State<Arc<Control>>, upgrade: WebSocketUpgrade) -> Response {
    let Ok(place) = Arc::clone(&control.connections).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "as many connections as there may be\n").into_response();
    };
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    let upgrade = upgrade.read_buffer_size(READ_BYTES);
    upgrade.on_upgrade(async move |socket| {
        Connection::new(socket, control).run().await;
        drop(place);
    })
}

async fn metrics(State(control): State<Arc<Control>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::text(&control)).into_response()
}
