//! Layer 3: watching and steering the running server over HTTP.
//!
//! ```text
//! admin.listen, loopback ──────► GET  /metrics ───────────────┐
//!                                GET  /api/v1/status, drains ─┤
//! state/control.sock, mode 0600 ► GET  /api/v1/status, drains ─┴─► Sources: snapshot, verdicts, counters, files; drains
//!                                GET  /api/v1/transfers           both
//!                                GET  /api/v1/explain ──────────► the same, and the engine
//!                                POST /api/v1/reload ───────────► whoever reads the files
//!                                POST /api/v1/transfers/retry ──► whoever asks primaries
//!                                POST /api/v1/drain, undrain ───► whoever keeps the drains
//! ```
//!
//! * Reading is open to the machine; what changes something goes only through the socket, which the file system guards.
//! * Nothing here is on the way of a query.
//!
//! Not here: the commands that ask (`cli`).

pub mod api;
mod control;
mod drains;
mod explain;
mod expose;
mod guard;
mod status;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net;

pub use control::{Control, ControlError, Ownership, SOCKET};
pub use drains::{DrainKeeper, Reply};
pub use status::{Sources, TellFiles, Zones};

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
    let transfers = Router::new().route(api::TRANSFERS_PATH, get(transfers)).with_state(Arc::clone(&sources));
    let explain = explain::reading(Arc::clone(&sources), Arc::clone(&drains));
    let status = Router::new().route(api::STATUS_PATH, get(status)).route(api::METRICS_PATH, get(metrics));
    let status = status.with_state((sources, Arc::clone(&drains)));
    let reading = status.merge(transfers).merge(explain).merge(drains::reading(Arc::clone(&drains)));
    let reload = Router::new().route(api::RELOAD_PATH, post(reloaded)).with_state(Arc::new(reload));
    let retry = Router::new().route(api::RETRY_PATH, post(retried)).with_state(Arc::new(retry));
    let steering = reload.merge(retry).merge(drains::steering(drains));
    let control = axum::serve(control, reading.clone().merge(steering));
    match admin {
        None => control.await,
        Some(admin) => {
            let reading = reading.layer(from_fn(guard::check_host));
            tokio::try_join!(control, axum::serve(admin, reading)).map(|((), ())| ())
        }
    }
}

async fn status(State((sources, drains)): State<(Arc<Sources>, Arc<dyn DrainKeeper>)>) -> Response {
    match drains.list().await {
        Some(drains) => Json(api::Status { drains, ..sources.status() }).into_response(),
        None => ending(),
    }
}

async fn transfers(State(sources): State<Arc<Sources>>) -> Json<api::Transfers> {
    Json((sources.transfers)())
}

async fn metrics(State((sources, drains)): State<(Arc<Sources>, Arc<dyn DrainKeeper>)>) -> Response {
    let Some(drains) = drains.list().await else { return ending() };
    match expose::render(&sources, drains) {
        Ok(text) => ([(CONTENT_TYPE, expose::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// The words after the question mark of [`api::FORCED_RELOAD_PATH`].
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReloadQuery {
    force: bool,
}

async fn reloaded(State(reload): State<Arc<Reload>>, Query(query): Query<ReloadQuery>) -> Response {
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

async fn retried(State(retry): State<Arc<Retry>>, Query(query): Query<RetryQuery>) -> Response {
    match retry(query.zone, query.force).await {
        Some(retried) => Json(retried).into_response(),
        None => ending(),
    }
}

fn ending() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the server is about to end\n").into_response()
}
