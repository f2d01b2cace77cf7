//! The page: what a running server does, at a glance.
//!
//! ```text
//! GET /, /pools, /pool, /zones ──► View ──► sections of HTML ──► the whole page, which needs no script
//! GET /events?view=… ────────────► the same sections, again and again ──► those that have changed, to page.js
//! GET /style.css, /page.js, /icon.svg
//! ```
//!
//! * The server writes all HTML, for a page and for its updates alike, so that both say the same and one place escapes.
//! * A page stays light: of many pools, members or zones those come first that need a look, and the rest by pages.
//! * Scripts, styles and pictures come from here alone, and nothing is inline: a policy says so to the browser.

mod frame;
mod pools;
mod rest;
mod stream;
mod text;
mod traffic;
mod view;
mod zones;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::reading::Shown;
use super::refusal::{ending, malformed, refuse};
use stream::Streams;
use view::{View, Words};

/// The page and what belongs to it.
pub(super) fn router(shown: Shown) -> Router {
    let streams = Streams::new(shown.clone());
    let asset = |kind: &'static str, text: &'static str| get(move || async move { ([(CONTENT_TYPE, kind)], text) });
    Router::new()
        .route("/", get(page))
        .route("/pools", get(page))
        .route("/pool", get(page))
        .route("/zones", get(page))
        .with_state(shown)
        .route("/events", get(stream::events))
        .with_state(streams)
        .route("/style.css", asset("text/css; charset=utf-8", include_str!("style.css")))
        .route("/page.js", asset("text/javascript; charset=utf-8", include_str!("page.js")))
        .route("/icon.svg", asset("image/svg+xml", include_str!("icon.svg")))
}

async fn page(State(shown): State<Shown>, uri: Uri, words: Result<Query<Words>, QueryRejection>) -> Response {
    let Query(words) = match words {
        Ok(words) => words,
        Err(fault) => return malformed(&fault),
    };
    let view = View::new(uri.path().trim_start_matches('/'), words);
    let Some(status) = shown.status().await else { return ending() };
    match view.sections(&status) {
        Some(sections) => {
            ([(CONTENT_TYPE, "text/html; charset=utf-8")], frame::page(&view, &status, &sections)).into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, "there is no such pool"),
    }
}

/// What a browser must not do with anything that comes from here.
pub(super) async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
