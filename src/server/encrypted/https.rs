//! DNS over HTTPS (RFC 8484) over HTTP/2: GET with the message in the query string, POST with it as the body.
//!
//! Each request of a connection is a task, so that one whose body does not come holds up no other; how many there are at once
//! is agreed upon by HTTP/2 itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use super::freshness::freshness;
use crate::metrics::ConnectionEvent;
use crate::server::desk::Desk;
use crate::server::reply::Reply;
use crate::server::watch::Ends;
use crate::transfer::notify::bare_reply;
use crate::wire::{HEADER, Rcode};

/// The media type of messages (RFC 8484 section 6).
const MESSAGE: &str = "application/dns-message";
/// Octets of the largest message.
const LARGEST: usize = 65_535;
/// Requests under way at once on one connection.
const REQUESTS: u32 = 64;
/// Octets of the headers of one request: a GET with the largest query that makes sense.
const HEADERS: u32 = 8 << 10;
/// Octets of bodies that a client may send before they are asked for: one largest message.
const WINDOW: u32 = 64 << 10;
/// How long a client may take for the end of its connection.
const FAREWELL: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Clone)]
pub(super) struct Conversation {
    pub(super) ends: Ends,
    pub(super) desk: Rc<RefCell<Desk>>,
    pub(super) path: Arc<str>,
    pub(super) idle: Duration,
    /// When a message was whole last.
    pub(super) last_query: Rc<Cell<Instant>>,
}

impl Conversation {
    /// Answers until the client ends it or asks nothing for too long.
    pub(super) async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut settings = Builder::new();
        settings.max_concurrent_streams(REQUESTS).max_header_list_size(HEADERS).initial_window_size(WINDOW);
        settings.initial_connection_window_size(2 * WINDOW).max_concurrent_reset_streams(REQUESTS as usize);
        settings.max_send_buffer_size(LARGEST);
        let Ok(Ok(mut connection)) = timeout(self.idle, settings.handshake(stream)).await else { return };
        loop {
            let end = self.last_query.get() + self.idle;
            match timeout_at(end, connection.accept()).await {
                Ok(Some(Ok((request, respond)))) => {
                    tokio::task::spawn_local(self.clone().respond(request, respond));
                }
                Ok(None | Some(Err(_))) => return,
                // A request may have become whole meanwhile.
                Err(_) if self.last_query.get() + self.idle > Instant::now() => {}
                Err(_) => break,
            }
        }
        self.desk.borrow().event(ConnectionEvent::Idle);
        connection.abrupt_shutdown(Reason::NO_ERROR);
        let _ = timeout(FAREWELL, std::future::poll_fn(|cx| connection.poll_closed(cx))).await;
    }

    async fn respond(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let answered = match timeout(self.idle, self.message(request)).await {
            Ok(Ok(message)) => self.answer(&message),
            Ok(Err(status)) => Err(status),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        };
        let builder = Response::builder();
        let response = match &answered {
            Ok(reply) => builder
                .header(CONTENT_TYPE, MESSAGE)
                .header(CONTENT_LENGTH, reply.len())
                .header(CACHE_CONTROL, format!("max-age={}", freshness(reply))),
            Err(StatusCode::METHOD_NOT_ALLOWED) => {
                builder.status(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "GET, POST")
            }
            Err(status) => builder.status(*status),
        };
        let response = response.body(()).expect("headers of our own are good");
        let body = answered.unwrap_or_default();
        // A client that has gone needs no reply.
        if let Ok(mut stream) = respond.send_response(response, body.is_empty())
            && !body.is_empty()
        {
            let _ = stream.send_data(Bytes::from(body), true);
        }
    }

    /// The message that a request carries, or why it carries none.
    async fn message(&self, request: Request<RecvStream>) -> Result<Vec<u8>, StatusCode> {
        if request.uri().path() != &*self.path {
            return Err(StatusCode::NOT_FOUND);
        }
        match *request.method() {
            Method::GET => {
                let mut parameters = request.uri().query().unwrap_or_default().split('&');
                let text = parameters.find_map(|text| text.strip_prefix("dns=")).ok_or(StatusCode::BAD_REQUEST)?;
                BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)
            }
            Method::POST => {
                let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MESSAGE)) {
                    return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
                }
                body(request.into_body()).await
            }
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn answer(&self, message: &[u8]) -> Result<Vec<u8>, StatusCode> {
        self.last_query.set(Instant::now());
        match self.desk.borrow_mut().reply(message, self.ends) {
            Reply::One(reply) => Ok(reply),
            // A transfer takes several messages, and HTTP carries one (RFC 8484 section 5).
            Reply::Transfer(..) => Ok(bare_reply(message, Rcode::REFUSED, false)),
            Reply::Silence if message.len() < HEADER => Err(StatusCode::BAD_REQUEST),
            Reply::Silence => Err(StatusCode::FORBIDDEN),
        }
    }
}

async fn body(mut body: RecvStream) -> Result<Vec<u8>, StatusCode> {
    let mut message = Vec::new();
    while let Some(octets) = body.data().await {
        let octets = octets.map_err(|_| StatusCode::BAD_REQUEST)?;
        if message.len() + octets.len() > LARGEST {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        message.extend_from_slice(&octets);
        let _ = body.flow_control().release_capacity(octets.len());
    }
    Ok(message)
}
