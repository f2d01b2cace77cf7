//! The webhook: a POST on a connection of its own.

use std::pin::pin;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::outlet::DeliveryError;

const AGENT: &str = concat!("kofn/", env!("CARGO_PKG_VERSION"));

/// A URL that takes documents.
#[derive(Debug)]
pub(super) struct Webhook {
    url: Uri,
    host: String,
    port: u16,
}

impl Webhook {
    pub(super) fn new(url: &Uri) -> Self {
        let host = url.host().expect("the settings take no URL without one");
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
        Self { url: url.clone(), host, port }
    }

    pub(super) async fn post(&self, json: &str) -> Result<(), DeliveryError> {
        let stream = TcpStream::connect((&*self.host, self.port)).await.map_err(passing)?;
        self.exchange(stream, json).await
    }

    async fn exchange<S>(&self, stream: S, json: &str) -> Result<(), DeliveryError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(passing)?;
        let authority = self.url.authority().expect("a URL with a host has one").as_str();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let request = Request::post(self.url.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, host)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::copy_from_slice(json.as_bytes())))
            .expect("the parts of a URL make a request");
        let (mut connection, mut response) = (pin!(connection), pin!(sender.send_request(request)));
        let mut open = true;
        loop {
            // The connection moves the octets of the exchange, and may end before the response has been looked at.
            tokio::select! {
                response = &mut response => return judge(response.map_err(passing)?.status()),
                _ = &mut connection, if open => open = false,
            }
        }
    }
}

/// A recipient that is busy or broken may be well again; one that refuses the document will refuse it for ever.
fn judge(status: StatusCode) -> Result<(), DeliveryError> {
    let error = format!("status {}", status.as_u16());
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(DeliveryError::Passing(error)),
        _ if status.is_server_error() => Err(DeliveryError::Passing(error)),
        _ => Err(DeliveryError::Final(error)),
    }
}

fn passing(error: impl std::fmt::Display) -> DeliveryError {
    DeliveryError::Passing(error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Posts to a server that answers with `response`; returns the request and what became of it.
    async fn post(path: &str, response: &'static str) -> (String, Result<(), DeliveryError>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(response.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        let outcome = Webhook::new(&url.parse().unwrap()).post("{\"text\":\"x\"}").await;
        (server.await.unwrap(), outcome)
    }

    #[tokio::test]
    async fn the_document_is_posted() {
        let (request, outcome) = post("/hook?a=1", "HTTP/1.1 204 No Content\r\n\r\n").await;
        outcome.unwrap();
        assert!(request.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains("content-type: application/json\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n{\"text\":\"x\"}"), "{request}");
    }

    #[tokio::test]
    async fn who_refuses_is_not_asked_again() {
        for (response, is_final) in [
            ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.1 429 Slowly\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.1 404 Where\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 301 There\r\nContent-Length: 0\r\n\r\n", true),
            ("", false),
        ] {
            let error = post("", response).await.1.expect_err("refused");
            assert_eq!(matches!(error, DeliveryError::Final(_)), is_final, "{response} {error}");
        }
    }
}
