//! The page, and descriptions: what signalling is in a real application.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Notify;

use crate::engine::Engine;
use crate::refused::Refused;

/// Bytes of a description. Browsers write 10 kB for audio, video and data.
const BODY_BYTES_MAX: usize = 128 * 1024;

/// What requests and the media loop have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) engine: Arc<Mutex<Engine>>,
    /// Wakes the loop: there may be something to send.
    pub(crate) changed: Arc<Notify>,
}

impl Shared {
    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.changed.notify_one();
        self.engine.lock().expect("no panic under the lock")
    }
}

pub(crate) fn router(shared: Shared) -> Router {
    let script = ([(header::CONTENT_TYPE, "text/javascript")], include_str!("../page/echo.mjs"));
    Router::new()
        .route("/", get(async || Html(include_str!("../page/index.html"))))
        .route("/echo.mjs", get(async move || script))
        .route("/offer", post(offer))
        .route("/call", post(call))
        .route("/call/{id}", get(status).delete(hang_up))
        .route("/call/{id}/offer", post(offer_again))
        .route("/call/{id}/answer", post(answer))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

/// An offer of the peer's: a new call.
async fn offer(State(shared): State<Shared>, body: Bytes) -> Result<Response, Refused> {
    let (id, answer) = shared.engine().take_offer(text(&body)?, Instant::now())?;
    Ok(described(Some(id), answer))
}

/// Another offer in a call: it restarts ICE, or has other media.
async fn offer_again(State(shared): State<Shared>, Path(id): Path<String>, body: Bytes) -> Result<Response, Refused> {
    let answer = shared.engine().take_offer_again(&id, text(&body)?, Instant::now())?;
    Ok(described(None, answer))
}

/// An offer of ours: a new call.
async fn call(State(shared): State<Shared>) -> Result<Response, Refused> {
    let (id, offer) = shared.engine().make_offer(Instant::now())?;
    Ok(described(Some(id), offer))
}

/// The answer to it.
async fn answer(State(shared): State<Shared>, Path(id): Path<String>, body: Bytes) -> Result<Response, Refused> {
    shared.engine().call(&id)?.take_answer(text(&body)?, Instant::now())?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn status(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Refused> {
    let status = shared.engine().call(&id)?.status();
    Ok(([(header::CONTENT_TYPE, "application/json")], status.to_string()).into_response())
}

async fn hang_up(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Refused> {
    shared.engine().hang_up(&id, Instant::now())?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn text(body: &Bytes) -> Result<&str, Refused> {
    std::str::from_utf8(body).map_err(|_| Refused::NotText)
}

fn described(id: Option<String>, description: String) -> Response {
    let status = if id.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, [(header::CONTENT_TYPE, "application/sdp")], description).into_response();
    if let Some(id) = id {
        let location = format!("/call/{id}").parse().expect("letters and digits");
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoCall => StatusCode::NOT_FOUND,
            Self::NoOffer => StatusCode::CONFLICT,
            Self::TooManyCalls => StatusCode::SERVICE_UNAVAILABLE,
            Self::Config(_) | Self::UfragTaken(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}
