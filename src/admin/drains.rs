//! Drains over HTTP: read by who reads the status, changed by who has the control socket.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};

use super::api::{DRAIN_PATH, DrainAsk, Drains, UNDRAIN_PATH, UndrainAsk};
use super::refusal::{ending, refuse, unread};

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

pub(super) fn steering(keeper: Keeper) -> Router {
    Router::new().route(DRAIN_PATH, post(drain)).route(UNDRAIN_PATH, post(undrain)).with_state(keeper)
}

async fn drain(State(keeper): State<Keeper>, ask: Result<Json<DrainAsk>, JsonRejection>) -> Response {
    match ask {
        Ok(Json(ask)) => respond(keeper.drain(ask).await),
        Err(fault) => unread(&fault),
    }
}

async fn undrain(State(keeper): State<Keeper>, ask: Result<Json<UndrainAsk>, JsonRejection>) -> Response {
    match ask {
        Ok(Json(ask)) => respond(keeper.undrain(ask).await),
        Err(fault) => unread(&fault),
    }
}

fn respond(done: Option<Result<Drains, String>>) -> Response {
    match done {
        Some(Ok(drains)) => Json(drains).into_response(),
        // RFC 9110 section 15.5.10: the request is in conflict with how things stand.
        Some(Err(refusal)) => refuse(StatusCode::CONFLICT, refusal),
        None => ending(),
    }
}
