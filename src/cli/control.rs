//! The commands' end of the control socket: one HTTP request to the running server.

use std::io;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::Failure;
use crate::admin::{SOCKET, api};

/// Asks the server that runs on `state`.
///
/// # Errors
/// When no server listens there, or it refuses.
pub(super) fn ask<T: DeserializeOwned>(state: &Path, method: Method, path: &str) -> Result<T, Failure> {
    send(state, method, path, Bytes::new())
}

/// Tells the server that runs on `state` what to do, as JSON.
///
/// # Errors
/// When no server listens there, or it refuses.
pub(super) fn tell<T: DeserializeOwned>(state: &Path, path: &str, what: &impl Serialize) -> Result<T, Failure> {
    let body = serde_json::to_vec(what).expect("the JSON types have no maps but of strings");
    send(state, Method::POST, path, body.into())
}

fn send<T: DeserializeOwned>(state: &Path, method: Method, path: &str, body: Bytes) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let body = runtime.block_on(exchange(&state.join(SOCKET), method, path, body))?;
    serde_json::from_slice(&body).map_err(|error| {
        Failure::unavailable(format!("the server answers what this kofn does not understand: {error}"))
    })
}

/// `text` for a query string, which cannot have all octets as they are.
pub(super) fn percent(text: &str) -> String {
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
    text.bytes().fold(String::new(), |shown, octet| match is_plain(&octet) {
        true => shown + &char::from(octet).to_string(),
        false => format!("{shown}%{octet:02X}"),
    })
}

async fn exchange(socket: &Path, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
    // What only reads may be asked again.
    let mut tries = if method == Method::GET { TRIES } else { 1 };
    let (status, body) = loop {
        let stream = UnixStream::connect(socket).await.map_err(|error| explain(socket, &error))?;
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header("host", "kofn")
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))
            .expect("a request of constants");
        tries -= 1;
        match converse(stream, request).await {
            Ok(answer) => break answer,
            Err(_) if tries > 0 => {}
            Err(error) => return Err(Failure::unavailable(format!("{}: {error}", socket.display()))),
        }
    };
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::CONFLICT => Err(Failure::data(reason(&body))),
        _ => Err(Failure::unavailable(format!("the server says {status}: {}", reason(&body)))),
    }
}

async fn converse(stream: UnixStream, request: Request<Full<Bytes>>) -> hyper::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    Ok((response.status(), response.into_body().collect().await?.to_bytes()))
}

/// How often a server is asked that ends before it has answered: the one that takes its place has the same socket.
const TRIES: usize = 3;

/// Why the server refuses, in its words.
fn reason(body: &[u8]) -> String {
    serde_json::from_slice(body)
        .map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |api::Refusal { error }| error)
}

fn explain(socket: &Path, error: &io::Error) -> Failure {
    let what = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "no server runs on this state folder; start one with `kofn`, or name its folder with --state"
        }
        io::ErrorKind::PermissionDenied => "only the user that the server runs as may ask it",
        _ => return Failure::unavailable(format!("{}: {error}", socket.display())),
    };
    Failure::unavailable(format!("{}: {what}", socket.display()))
}
