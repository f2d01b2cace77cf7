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
use crate::config::Trust;
#[cfg(feature = "encrypted")]
use crate::tls;

const AGENT: &str = concat!("kofn/", env!("CARGO_PKG_VERSION"));

/// A URL that takes documents.
#[derive(Debug)]
pub(super) struct Webhook {
    url: Uri,
    host: String,
    port: u16,
    #[cfg_attr(not(feature = "encrypted"), expect(dead_code, reason = "without TLS nobody shows a certificate"))]
    trust: Trust,
}

impl Webhook {
    pub(super) fn new(url: &Uri, trust: &Trust) -> Self {
        let host = url.host().expect("the settings take no URL without one");
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
        Self { url: url.clone(), host, port, trust: trust.clone() }
    }

    pub(super) async fn post(&self, json: &str) -> Result<(), DeliveryError> {
        let stream = TcpStream::connect((&*self.host, self.port)).await.map_err(passing)?;
        match self.url.scheme_str() {
            Some("https") => self.exchange(self.secure(stream).await?, json).await,
            _ => self.exchange(stream, json).await,
        }
    }

    /// The roots are read for each document: there are few, and roots change while a server runs for years.
    #[cfg(feature = "encrypted")]
    async fn secure(&self, stream: TcpStream) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>, DeliveryError> {
        let client = tls::Client::new(&self.trust, &[b"http/1.1"]).map_err(passing)?;
        client.handshake(&self.host, stream).await.map_err(passing)
    }

    /// The settings of such a build take no https URL.
    #[cfg(not(feature = "encrypted"))]
    async fn secure(&self, _: TcpStream) -> Result<TcpStream, DeliveryError> {
        Err(DeliveryError::Final(format!("{}: this kofn was built without TLS", self.url)))
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
        let outcome = Webhook::new(&url.parse().unwrap(), &Trust::System).post("{\"text\":\"x\"}").await;
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

    #[cfg(feature = "encrypted")]
    #[tokio::test]
    async fn an_encrypted_webhook_shows_a_certificate_that_is_believed() {
        use std::sync::Arc;

        use rustls::pki_types::PrivateKeyDer;

        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(async move {
            loop {
                let Ok(mut stream) = acceptor.accept(listener.accept().await.unwrap().0).await else { continue };
                let mut request = [0; 4096];
                while !request.contains(&b'}') {
                    assert_ne!(stream.read(&mut request).await.unwrap(), 0);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            }
        });
        let refusal = Webhook::new(&url, &Trust::System).post("{}").await.expect_err("nobody knows the issuer");
        assert!(refusal.to_string().starts_with("certificate "), "{refusal}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let trust = Trust::Authorities(crate::config::Authorities::load(&folder.path().join("ca.pem")).unwrap());
        Webhook::new(&url, &trust).post("{}").await.expect("the certificate is its own authority");
        server.abort();
    }
}
