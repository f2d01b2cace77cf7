//! Drains over HTTP: read by who reads the status, changed by who has the control socket.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::api::{DRAIN_PATH, DRAINS_PATH, DrainAsk, Drains, UNDRAIN_PATH, UndrainAsk};

/// Comes later; `None` when the server is about to end.
pub type Reply<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;

/// Who keeps the drains.
pub trait DrainKeeper: Send + Sync {
    /// How all drains stand.
    fn list(&self) -> Reply<Drains>;
    /// Drains: how all stand then, or why it was not done.
    fn drain(&self, ask: DrainAsk) -> Reply<Result<Drains, String>>;
    /// Ends drains: how all stand then, or why it was not done.
    fn undrain(&self, ask: UndrainAsk) -> Reply<Result<Drains, String>>;
}

type Keeper = Arc<dyn DrainKeeper>;

pub(super) fn reading(keeper: Keeper) -> Router {
    Router::new().route(DRAINS_PATH, get(list)).with_state(keeper)
}

pub(super) fn steering(keeper: Keeper) -> Router {
    Router::new().route(DRAIN_PATH, post(drain)).route(UNDRAIN_PATH, post(undrain)).with_state(keeper)
}

async fn list(State(keeper): State<Keeper>) -> Response {
    respond(keeper.list().await.map(Ok))
}

async fn drain(State(keeper): State<Keeper>, Json(ask): Json<DrainAsk>) -> Response {
    respond(keeper.drain(ask).await)
}

async fn undrain(State(keeper): State<Keeper>, Json(ask): Json<UndrainAsk>) -> Response {
    respond(keeper.undrain(ask).await)
}

fn respond(done: Option<Result<Drains, String>>) -> Response {
    match done {
        Some(Ok(drains)) => Json(drains).into_response(),
        // RFC 9110 section 15.5.10: the request is in conflict with how things stand.
        Some(Err(refusal)) => (StatusCode::CONFLICT, refusal).into_response(),
        None => super::ending(),
    }
}
