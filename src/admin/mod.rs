//! Layer 3: watching and steering the running server over HTTP.
//!
//! ```text
//! admin.listen, loopback ──────► GET /, the page, and its events ─────┐
//!                                GET /metrics ───────────────────────┤
//!                                GET /api/v1/status, pools, zones, … ┤
//! state/control.sock, mode 0600 ► all of it, and ────────────────────┴─► Sources: snapshot, verdicts, counters, files; drains
//!                                POST /api/v1/reload ───────────► whoever reads the files
//!                                POST /api/v1/transfers/retry ──► whoever asks primaries
//!                                POST /api/v1/drain, undrain ───► whoever keeps the drains
//! ```
//!
//! * Reading is open to the machine; what changes something goes only through the socket, which the file system guards.
//! * What is not done is told as JSON, whatever the path.
//! * Nothing here is on the way of a query.
//!
//! Not here: the commands that ask (`cli`).

pub mod api;
mod control;
mod drains;
mod explain;
mod expose;
mod guard;
#[cfg(test)]
mod openapi;
mod page;
mod reading;
mod recent;
mod refusal;
mod status;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use tokio::net;

pub use control::{Control, ControlError, Ownership, SOCKET};
pub use drains::{DrainKeeper, Reply};
pub use reading::PATHS;
pub use recent::Recent;
use refusal::{ending, malformed, no_such_method, no_such_path};
pub use status::{Files, Judge, Sources, TellFiles, Zones};

use crate::processor;

/// Has the files read again, with what would be held if told so.
pub type Reload = Box<dyn Fn(bool) -> Reply<api::Reloaded> + Send + Sync>;

/// Has the primaries of a zone asked, and what they have taken even if it is not newer if told so.
pub type Retry = Box<dyn Fn(String, bool) -> Reply<api::Retried> + Send + Sync>;

/// Those who change something.
pub struct Steering {
    /// Who reads the files.
    pub reload: Reload,
    /// Who keeps the drains.
    pub drains: Arc<dyn DrainKeeper>,
    /// Who asks primaries.
    pub retry: Retry,
}

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
#[error("admin: cannot listen on {address}: {error}; admin.listen or --admin names another address, or off")]
pub struct ListenError {
    address: SocketAddr,
    error: io::Error,
}

/// Binds the admin listener.
///
/// # Errors
/// When the address cannot be had.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| ListenError { address, error })
}

/// Answers on the control socket and, if there is one, on the admin listener. It ends only when it is dropped.
///
/// # Errors
/// When a listener fails for good.
pub async fn serve(
    control: UnixListener,
    admin: Option<TcpListener>,
    sources: Arc<Sources>,
    steering: Steering,
) -> io::Result<()> {
    let Steering { reload, drains, retry } = steering;
    let control = net::UnixListener::from_std(control)?;
    let admin = admin.map(net::TcpListener::from_std).transpose()?;
    let shown = reading::Shown { sources: Arc::clone(&sources), drains: Arc::clone(&drains) };
    let reading = reading::router(&shown);
    let reload = Router::new().route(api::RELOAD_PATH, post(reloaded)).with_state(Arc::new(reload));
    let retry = Router::new().route(api::RETRY_PATH, post(retried)).with_state(Arc::new(retry));
    let steering = reload.merge(retry).merge(drains::steering(drains));
    let whole = |router: Router| router.fallback(no_such_path).method_not_allowed_fallback(no_such_method);
    let control = axum::serve(control, whole(reading.clone().merge(steering)));
    let keeping = keep(sources);
    match admin {
        None => tokio::select! {
            ended = control.into_future() => ended,
            () = keeping => Ok(()),
        },
        Some(admin) => {
            let reading = whole(reading.merge(page::router(shown)));
            let reading = reading.layer(from_fn(guard::check_host)).layer(map_response(page::guarded));
            let both = async { tokio::try_join!(control, axum::serve(admin, reading)).map(|((), ())| ()) };
            tokio::select! {
                ended = both => ended,
                () = keeping => Ok(()),
            }
        }
    }
}

/// Notes what the last minutes are told from, for as long as it is not dropped.
async fn keep(sources: Arc<Sources>) {
    let mut steps = tokio::time::interval(recent::STEP);
    steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        steps.tick().await;
        let sources = Arc::clone(&sources);
        // Large rings take milliseconds, and what panics there ends nothing here.
        let _ = processor::aside(move || sources.keep()).await;
    }
}

/// The words after the question mark of [`api::FORCED_RELOAD_PATH`].
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReloadQuery {
    force: bool,
}

async fn reloaded(State(reload): State<Arc<Reload>>, query: Result<Query<ReloadQuery>, QueryRejection>) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(fault) => return malformed(&fault),
    };
    match reload(query.force).await {
        Some(reloaded) => Json(reloaded).into_response(),
        None => ending(),
    }
}

/// The words after the question mark of [`api::RETRY_PATH`].
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryQuery {
    zone: String,
    #[serde(default)]
    force: bool,
}

async fn retried(State(retry): State<Arc<Retry>>, query: Result<Query<RetryQuery>, QueryRejection>) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(fault) => return malformed(&fault),
    };
    match retry(query.zone, query.force).await {
        Some(retried) => Json(retried).into_response(),
        None => ending(),
    }
}
