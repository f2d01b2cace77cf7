//! What can be read: one table of paths, which the description of the API is held against.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use serde::Deserialize;

use super::drains::DrainKeeper;
use super::refusal::{ending, malformed, refuse};
use super::{Sources, Zones, api, explain, expose};

/// Who knows it all.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) sources: Arc<Sources>,
    pub(super) drains: Arc<dyn DrainKeeper>,
}

/// Every path of the API that is read.
pub const PATHS: [&str; 7] = [
    api::STATUS_PATH,
    api::POOLS_PATH,
    api::ZONES_PATH,
    api::TRANSFERS_PATH,
    api::DRAINS_PATH,
    api::EXPLAIN_PATH,
    api::OPENAPI_PATH,
];

/// Answers at each of [`PATHS`], and with the metrics.
pub(super) fn router(shown: &Shown) -> Router {
    let handlers: [MethodRouter<Shown>; PATHS.len()] =
        [get(status), get(pools), get(zones), get(transfers), get(drains), get(explain::explain), get(openapi)];
    let router =
        PATHS.into_iter().zip(handlers).fold(Router::new(), |router, (path, handler)| router.route(path, handler));
    router.route(api::METRICS_PATH, get(metrics)).with_state(shown.clone())
}

impl Shown {
    /// Everything as it is now.
    pub(super) async fn status(&self) -> Option<api::Status> {
        Some(self.sources.whole(self.drains.list().await?))
    }
}

async fn status(State(shown): State<Shown>) -> Response {
    shown.status().await.map_or_else(ending, |status| Json(status).into_response())
}

/// The words after the question mark where one of many may be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct One {
    name: Option<String>,
}

impl One {
    /// Those of `all` that are meant; a name that none has is an error.
    fn of<T: serde::Serialize>(self, all: Vec<T>, name: fn(&T) -> &str) -> Response {
        let Some(wanted) = self.name else { return Json(all).into_response() };
        let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        let found: Vec<T> = all.into_iter().filter(|one| bare(name(one)) == bare(&wanted)).collect();
        match found.is_empty() {
            true => refuse(StatusCode::NOT_FOUND, format!("there is none named {wanted}")),
            false => Json(found).into_response(),
        }
    }
}

async fn pools(State(shown): State<Shown>, one: Result<Query<One>, QueryRejection>) -> Response {
    match (one, shown.status().await) {
        (Err(fault), _) => malformed(&fault),
        (_, None) => ending(),
        (Ok(Query(one)), Some(status)) => one.of(status.pools, |pool| &pool.name),
    }
}

async fn zones(State(shown): State<Shown>, one: Result<Query<One>, QueryRejection>) -> Response {
    match one {
        Err(fault) => malformed(&fault),
        Ok(Query(one)) => one.of((shown.sources.files)(Zones::All).zones, |zone| &zone.name),
    }
}

async fn transfers(State(shown): State<Shown>) -> Json<api::Transfers> {
    Json((shown.sources.transfers)())
}

async fn drains(State(shown): State<Shown>) -> Response {
    shown.drains.list().await.map_or_else(ending, |drains| Json(drains).into_response())
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

async fn metrics(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let Some(drains) = shown.drains.list().await else { return ending() };
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    match expose::render(&shown.sources, drains, expose::wants_plain(accepted)) {
        Ok((kind, text)) => ([(CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
