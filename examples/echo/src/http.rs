//! The page, and descriptions: what signalling is in a real application.

use std::sync::{Arc, Mutex};
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
    /// Acts on the engine, then lets the loop send what came of it.
    fn act<T>(&self, act: impl FnOnce(&mut Engine, Instant) -> Result<T, Refused>) -> Result<T, Refused> {
        let done = act(&mut self.engine.lock().expect("no panic under the lock"), Instant::now());
        self.changed.notify_one();
        done
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
    let (id, answer) = shared.act(|engine, now| engine.take_offer(text(&body)?, now))?;
    Ok(described(Some(id), answer))
}

/// Another offer in a call: it restarts ICE, or has other media.
async fn offer_again(State(shared): State<Shared>, Path(id): Path<String>, body: Bytes) -> Result<Response, Refused> {
    let answer = shared.act(|engine, now| engine.take_offer_again(&id, text(&body)?, now))?;
    Ok(described(None, answer))
}

/// An offer of ours: a new call.
async fn call(State(shared): State<Shared>) -> Result<Response, Refused> {
    let (id, offer) = shared.act(Engine::make_offer)?;
    Ok(described(Some(id), offer))
}

/// The answer to it.
async fn answer(State(shared): State<Shared>, Path(id): Path<String>, body: Bytes) -> Result<Response, Refused> {
    shared.act(|engine, now| engine.call(&id)?.take_answer(text(&body)?, now))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn status(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Refused> {
    let status = shared.act(|engine, _| Ok(engine.call(&id)?.status()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], status.to_string()).into_response())
}

async fn hang_up(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Refused> {
    shared.act(|engine, now| engine.hang_up(&id, now))?;
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

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{HeaderMap, Request};
    use clap::Parser;
    use tower::ServiceExt;

    use super::*;
    use crate::options::Options;

    const OFFER: &str = include_str!("../../../crates/sdp/tests/golden/chromium-156.offer.sdp");

    fn shared() -> Shared {
        let options = Options::parse_from(["plenary-echo"]);
        let engine = Engine::new(options, "127.0.0.1:5000".parse().unwrap(), Instant::now()).unwrap();
        Shared { engine: Arc::new(Mutex::new(engine)), changed: Arc::new(Notify::new()) }
    }

    async fn ask(shared: &Shared, request: &str, body: &str) -> (u16, HeaderMap, String) {
        let (method, path) = request.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = router(shared.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_call_has_a_place_from_its_offer_to_its_end() {
        let shared = shared();
        let (status, headers, answer) = ask(&shared, "POST /offer", OFFER).await;
        assert_eq!((status, &headers["content-type"]), (201, &"application/sdp".parse().unwrap()));
        assert!(answer.starts_with("v=0\r\n"), "{answer}");
        let call = headers["location"].to_str().unwrap();
        assert_eq!(ask(&shared, &format!("POST {call}/offer"), OFFER).await.0, 200);
        let (status, _, json) = ask(&shared, &format!("GET {call}"), "").await;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((status, &json["ice"]["state"], &json["closed"]), (200, &"Checking".into(), &().into()));
        assert_eq!(ask(&shared, &format!("POST {call}/answer"), OFFER).await.0, 409);
        assert_eq!(ask(&shared, &format!("DELETE {call}"), "").await.0, 204);
        let (_, _, json) = ask(&shared, &format!("GET {call}"), "").await;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["closed"], "Local");
    }

    #[tokio::test]
    async fn what_is_wrong_is_told() {
        let shared = shared();
        let (status, _, told) = ask(&shared, "POST /offer", &OFFER.replace("a=mid:1", "a=mid:")).await;
        assert!(status == 400 && told.starts_with("line "), "{status} {told}");
        assert_eq!(ask(&shared, "POST /offer", &"a".repeat(BODY_BYTES_MAX + 1)).await.0, 413);
        for request in ["GET /call/0", "GET /call/x", "DELETE /call/0", "POST /call/0/offer", "POST /call/0/answer"] {
            assert_eq!(ask(&shared, request, OFFER).await.0, 404, "{request}");
        }
    }
}
