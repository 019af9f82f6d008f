//! The page: files that are part of the program.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use super::Control;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type and text of what `index.html` needs.
const FILES: [(&str, &str, &str); 10] = [
    ("/style.css", "text/css; charset=utf-8", include_str!("../../page/style.css")),
    ("/icon.svg", "image/svg+xml", include_str!("../../page/icon.svg")),
    ("/main.mjs", SCRIPT, include_str!("../../page/main.mjs")),
    ("/meeting.mjs", SCRIPT, include_str!("../../page/meeting.mjs")),
    ("/signaling.mjs", SCRIPT, include_str!("../../page/signaling.mjs")),
    ("/connection.mjs", SCRIPT, include_str!("../../page/connection.mjs")),
    ("/devices.mjs", SCRIPT, include_str!("../../page/devices.mjs")),
    ("/gallery.mjs", SCRIPT, include_str!("../../page/gallery.mjs")),
    ("/picture.mjs", SCRIPT, include_str!("../../page/picture.mjs")),
    ("/quality.mjs", SCRIPT, include_str!("../../page/quality.mjs")),
];

const INDEX: &str = include_str!("../../page/index.html");

/// Nothing is loaded from elsewhere, and nobody shows the page within another.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self' blob:; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<Arc<Control>> {
    let index = async || served("text/html; charset=utf-8", INDEX);
    let router = Router::new().route("/", get(index)).route("/m/{code}", get(index));
    FILES
        .into_iter()
        .fold(router, |router, (path, kind, text)| router.route(path, get(async move || served(kind, text))))
}

fn served(kind: &'static str, text: &'static str) -> impl IntoResponse + use<> {
    let headers = [
        (header::CONTENT_TYPE, kind),
        // A new server has a new page.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The code of a meeting is nobody else's business.
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text)
}
