//! The checks `http` and `https`: one GET by HTTP/1.1. Redirects are answers like any other.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderMap, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::failure::{Deadline, Failure, Phase};
use super::hold::Kept;
use super::tcp;
use crate::config::HttpCheck;
use crate::health::Notice;
#[cfg(feature = "encrypted")]
use crate::tls::{self, certificate_end};

/// Asks on one connection.
pub(super) type Sender = http1::SendRequest<Empty<Bytes>>;

const AGENT: &str = concat!("kofn/", env!("CARGO_PKG_VERSION"));

/// By this header a backend takes itself out of the answers, whatever else it says.
const ASIDE: &str = "x-kofn";

/// Octets of the body that are searched.
const BODY_LIMIT: usize = 64 * 1024;

/// Octets of a response head: eight times what servers send, and little enough for a thousand probes at once.
const HEAD_LIMIT: usize = 64 * 1024;

/// A page, and how to get at it.
pub(super) struct Page<'a> {
    pub(super) check: &'a HttpCheck,
    /// For a page behind TLS.
    #[cfg(feature = "encrypted")]
    pub(super) tls: Option<&'a tls::Client>,
    pub(super) deadline: Deadline,
}

impl Page<'_> {
    /// Asks `address` for the page and judges the answer; first on `held`, the connection of the probe before.
    pub(super) async fn probe(
        &self,
        address: IpAddr,
        held: Option<Sender>,
        notice: &mut Notice,
    ) -> Result<Kept, Failure> {
        if let Some(mut sender) = held {
            match self.exchange(&mut sender, notice).await {
                // The peer has ended it meanwhile, which says nothing of the peer yet.
                Err(Failure::Connection(_) | Failure::Closed(Phase::Head)) => {}
                Err(failure) => return Err(failure),
                Ok(true) => return Ok(Kept::Same(sender)),
                Ok(false) => return Ok(Kept::Nothing),
            }
        }
        let stream = tcp::connect(SocketAddr::new(address, self.check.port), self.deadline).await?;
        #[cfg(feature = "encrypted")]
        if let Some(client) = self.tls {
            let handshake = client.handshake(self.check.server_name(), stream);
            let stream = self.deadline.bound(Phase::Handshake, handshake).await?.map_err(Failure::of_tls)?;
            notice.certificate_end = certificate_end(&stream);
            return self.ask_on(stream, notice).await;
        }
        self.ask_on(stream, notice).await
    }

    async fn ask_on<S>(&self, stream: S, notice: &mut Notice) -> Result<Kept, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http1::Builder::new().max_buf_size(HEAD_LIMIT).handshake(TokioIo::new(stream));
        let handshake = self.deadline.bound(Phase::Head, handshake).await?;
        let (mut sender, connection) = handshake.map_err(|error| Failure::of_http(&error, Phase::Head))?;
        // How it ended is told to who waits for an answer.
        let mut connection = Box::pin(async move { drop(connection.await) });
        let mut open = true;
        let again = {
            let mut exchange = pin!(self.exchange(&mut sender, notice));
            loop {
                // The connection moves the octets of the exchange, and may end before the exchange has read them all.
                tokio::select! {
                    again = &mut exchange => break again?,
                    () = &mut connection, if open => open = false,
                }
            }
        };
        Ok(if again && open { Kept::Fresh { sender: Some(sender), closed: connection } } else { Kept::Nothing })
    }

    /// One question and its answer; says whether the connection can be asked again.
    async fn exchange(&self, sender: &mut Sender, notice: &mut Notice) -> Result<bool, Failure> {
        let (check, deadline) = (self.check, self.deadline);
        let mut request =
            Request::get(&check.path).header(HOST, &check.host).header(USER_AGENT, AGENT).header(ACCEPT, "*/*");
        if !check.hold {
            request = request.header(CONNECTION, "close");
        }
        let request = request.body(Empty::new()).expect("a path and a host that the configuration has accepted");
        let response = deadline.bound(Phase::Head, sender.send_request(request)).await?;
        let response = response.map_err(|error| Failure::of_http(&error, Phase::Head))?;
        notice.drains = Some(steps_aside(response.headers()));
        self.judge(response).await?;
        // A connection that the peer is about to close is not ready for another question.
        Ok(check.hold && matches!(deadline.bound(Phase::Body, sender.ready()).await, Ok(Ok(()))))
    }

    async fn judge(&self, response: Response<Incoming>) -> Result<(), Failure> {
        let (check, found) = (self.check, response.status().as_u16());
        if !check.expect.contains(found) {
            return Err(Failure::Status { found, expected: check.expect.clone() });
        }
        let mut body = response.into_body();
        let mut read = 0;
        if let Some(text) = &check.body {
            read = search(&mut body, text, self.deadline).await?;
        }
        if check.hold {
            skip(body, read, self.deadline).await;
        }
        Ok(())
    }
}

/// Whether the backend asks to be left out of the answers.
fn steps_aside(headers: &HeaderMap) -> bool {
    let words = headers.get_all(ASIDE).into_iter().flat_map(|value| value.as_bytes().split(|octet| *octet == b','));
    words.into_iter().any(|word| word.trim_ascii().eq_ignore_ascii_case(b"drain"))
}

/// Passes as soon as the text has come, with the number of octets that were read.
async fn search(body: &mut Incoming, text: &str, deadline: Deadline) -> Result<usize, Failure> {
    let mut read = Vec::new();
    while read.len() < BODY_LIMIT {
        let Some(frame) = deadline.bound(Phase::Body, body.frame()).await? else {
            return Err(Failure::Body(text.to_owned()));
        };
        let frame = frame.map_err(|error| Failure::of_http(&error, Phase::Body))?;
        let Some(data) = frame.data_ref() else { continue };
        // Text may begin in an earlier frame, but what was searched before is not searched again.
        let from = read.len().saturating_sub(text.len() - 1);
        read.extend_from_slice(&data[..data.len().min(BODY_LIMIT - read.len())]);
        if read[from..].windows(text.len()).any(|window| window == text.as_bytes()) {
            return Ok(read.len());
        }
    }
    Err(Failure::LongBody(text.to_owned()))
}

/// Reads the rest of a body so that the connection can be asked again. The verdict is known: a body that is long, slow or
/// broken costs the connection and nothing else.
async fn skip(mut body: Incoming, mut read: usize, deadline: Deadline) {
    while read < BODY_LIMIT {
        let Ok(Some(Ok(frame))) = deadline.bound(Phase::Body, body.frame()).await else { return };
        read += frame.data_ref().map_or(0, Bytes::len);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    use super::*;

    async fn probe(target: SocketAddr, check: &HttpCheck, deadline: Deadline) -> Result<(), Failure> {
        let check = &HttpCheck { port: target.port(), ..check.clone() };
        let page = Page {
            check,
            #[cfg(feature = "encrypted")]
            tls: None,
            deadline,
        };
        page.probe(target.ip(), None, &mut Notice::default()).await.map(drop)
    }

    /// Enough for any answer that comes at all.
    const LONG: Duration = Duration::from_secs(20);
    /// Enough for those that never come.
    const SHORT: Duration = Duration::from_millis(100);

    fn check() -> HttpCheck {
        let (path, host) = ("/healthz?a=1".to_owned(), "x.test:81".to_owned());
        HttpCheck { port: 1, tls: None, path, host, expect: vec![200..=399].into(), body: None, hold: false }
    }

    fn holding(body: &str) -> HttpCheck {
        HttpCheck { body: Some(body.to_owned()), ..check() }
    }

    fn expecting(ranges: Vec<RangeInclusive<u16>>) -> HttpCheck {
        HttpCheck { expect: ranges.into(), ..check() }
    }

    /// Answers one request by `answer`, and returns the request.
    async fn server<F, A>(answer: F) -> (SocketAddr, JoinHandle<String>)
    where
        F: FnOnce(TcpStream) -> A + Send + 'static,
        A: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            answer(stream).await;
            String::from_utf8(request).unwrap()
        });
        (target, task)
    }

    /// Probes a server that says `answer` and hangs up.
    async fn answered(answer: &'static [u8], check: HttpCheck) -> Result<(), String> {
        let (target, _server) =
            server(async move |mut stream: TcpStream| stream.write_all(answer).await.unwrap()).await;
        probe(target, &check, Deadline::after(LONG)).await.map_err(|failure| failure.to_string())
    }

    /// Probes a server that says `start`, and then `more` for ever.
    async fn endless(start: &'static [u8], more: &'static [u8], check: HttpCheck) -> String {
        let (target, server) = server(async move |mut stream: TcpStream| {
            let mut written = stream.write_all(start).await;
            while written.is_ok() {
                tokio::task::yield_now().await;
                written = stream.write_all(more).await;
            }
        })
        .await;
        let failure = probe(target, &check, Deadline::after(LONG)).await.expect_err("no end");
        // The server ends when the probe has hung up.
        server.await.unwrap();
        failure.to_string()
    }

    #[tokio::test]
    async fn the_request_names_the_page_the_host_and_the_program() {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (target, server) = server(async move |mut stream: TcpStream| stream.write_all(ok).await.unwrap()).await;
        probe(target, &check(), Deadline::after(LONG)).await.unwrap();
        let request = server.await.unwrap().to_lowercase();
        let version = env!("CARGO_PKG_VERSION");
        for line in [
            "get /healthz?a=1 http/1.1",
            "host: x.test:81",
            &format!("user-agent: kofn/{version}"),
            "connection: close",
        ] {
            assert!(request.lines().any(|other| other == line), "{line} in {request}");
        }
    }

    #[tokio::test]
    async fn the_status_decides() {
        for (answer, check, result) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], check(), Ok(())),
            (b"HTTP/1.0 204 No Content\r\n\r\n", check(), Ok(())),
            (b"HTTP/1.1 302 Found\r\nLocation: /away\r\nContent-Length: 0\r\n\r\n", check(), Ok(())),
            (
                b"HTTP/1.1 302 Found\r\nLocation: /away\r\n\r\n",
                expecting(vec![200..=200]),
                Err("status 302, expected 200"),
            ),
            (b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\n", check(), Err("status 503, expected 200-399")),
            (b"HTTP/1.1 503 Busy\r\n\r\n", expecting(vec![200..=200, 500..=599]), Ok(())),
        ] {
            assert_eq!(answered(answer, check).await, result.map_err(str::to_owned), "{}", answer.escape_ascii());
        }
    }

    #[tokio::test]
    async fn the_body_must_hold_the_text() {
        let body = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall well";
        assert_eq!(answered(body, holding("l w")).await, Ok(()));
        assert_eq!(answered(body, holding("ill")).await, Err("the body lacks \"ill\"".to_owned()));
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall w\r\n3\r\nell\r\n0\r\n\r\n";
        assert_eq!(answered(chunks, holding("well")).await, Ok(()));
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\nall";
        let closed = "connection closed before the end of the response body";
        assert_eq!(answered(cut, holding("well")).await, Err(closed.to_owned()));
        assert_eq!(answered(cut, holding("all")).await, Ok(()), "what follows does not matter");
    }

    #[tokio::test]
    async fn what_is_no_http_is_told_from_silence() {
        let garbage =
            answered(b"\x15\x03\x01\x00\x02\x02\x46 and so on\r\n\r\n", check()).await.expect_err("an alert of TLS");
        assert!(garbage.starts_with("the answer is no HTTP: "), "{garbage}");
        let closed = "connection closed before the end of the response head";
        assert_eq!(answered(b"", check()).await, Err(closed.to_owned()));
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\nConte", check()).await, Err(closed.to_owned()));
    }

    #[tokio::test]
    async fn a_reset_is_told_in_the_words_of_the_system() {
        let (target, _server) = server(async move |stream: TcpStream| stream.set_zero_linger().unwrap()).await;
        let failure = probe(target, &check(), Deadline::after(LONG)).await.expect_err("a reset");
        assert_eq!(failure.to_string(), "connection reset by peer");
    }

    #[tokio::test]
    async fn silence_ends_at_the_timeout() {
        let (target, server) = server(async move |mut stream: TcpStream| {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the probe hangs up");
        })
        .await;
        let failure = probe(target, &check(), Deadline::after(SHORT)).await.expect_err("silence");
        assert_eq!(failure.to_string(), "timed out after 100ms waiting for the response head");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_cut() {
        let head = endless(b"HTTP/1.1 200 OK\r\nA: ", &[b'a'; 1000], check()).await;
        assert_eq!(head, "the answer is no HTTP: message head is too large");
        let chunks = endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n", holding("x")).await;
        assert!(chunks.starts_with("the answer is no HTTP: "), "{chunks}");
        let body = endless(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", &[b'a'; 4096], holding("x")).await;
        assert_eq!(body, "the first 64 KiB of the body lack \"x\"");
    }

    /// Says `start`, and then `more` again and again, slower than any limit of octets would notice, until the probe hangs up.
    async fn drip(mut stream: impl AsyncWrite + Unpin, start: &[u8], more: &[u8]) {
        let mut written = stream.write_all(start).await;
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        while written.is_ok() {
            pause.tick().await;
            written = stream.write_all(more).await.and(stream.flush().await);
        }
    }

    #[tokio::test]
    async fn a_head_that_drips_ends_at_the_timeout() {
        let (target, server) =
            server(async |stream: TcpStream| drip(stream, b"HTTP/1.1 200 OK\r\nA: ", b"a").await).await;
        let failure = probe(target, &check(), Deadline::after(SHORT)).await.expect_err("a drip");
        assert_eq!(failure.to_string(), "timed out after 100ms waiting for the response head");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_body_that_drips_ends_at_the_timeout() {
        let (target, server) = server(async move |mut stream: TcpStream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na").await.unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the probe hangs up");
        })
        .await;
        let failure = probe(target, &(holding("x")), Deadline::after(SHORT)).await.expect_err("a drip");
        assert_eq!(failure.to_string(), "timed out after 100ms waiting for the response body");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn text_is_found_across_frames_and_at_the_limit() {
        let (target, _server) = server(async move |mut stream: TcpStream| {
            let mut body = vec![b'a'; BODY_LIMIT + 10];
            body[BODY_LIMIT - 3..BODY_LIMIT + 1].copy_from_slice(b"xyzw");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            for piece in body.chunks(1000) {
                stream.write_all(piece).await.unwrap();
            }
        })
        .await;
        let found = probe(target, &(holding("xyz")), Deadline::after(LONG)).await;
        found.expect("the text ends where the search does");
    }

    #[tokio::test]
    async fn a_backend_can_step_aside_in_any_answer() {
        for (answer, drains) in [
            (&b"HTTP/1.1 200 OK\r\nX-Kofn: drain\r\n\r\n"[..], Some(true)),
            (b"HTTP/1.1 503 Busy\r\nx-kofn: other, Drain\r\n\r\n", Some(true)),
            (b"HTTP/1.1 200 OK\r\nx-kofn: drained\r\n\r\n", Some(false)),
            (b"no answer\r\n\r\n", None),
        ] {
            let (target, _server) =
                server(async move |mut stream: TcpStream| stream.write_all(answer).await.unwrap()).await;
            let check = &HttpCheck { port: target.port(), ..check() };
            let page = Page {
                check,
                #[cfg(feature = "encrypted")]
                tls: None,
                deadline: Deadline::after(LONG),
            };
            let mut notice = Notice::default();
            // Whether it passes is another matter.
            drop(page.probe(target.ip(), None, &mut notice).await);
            assert_eq!(notice.drains, drains, "{}", answer.escape_ascii());
        }
    }

    async fn holding_on(target: SocketAddr, held: Option<Sender>) -> Result<Kept, Failure> {
        let check = &HttpCheck { port: target.port(), hold: true, body: Some("ok".to_owned()), ..check() };
        let page = Page {
            check,
            #[cfg(feature = "encrypted")]
            tls: None,
            deadline: Deadline::after(LONG),
        };
        page.probe(target.ip(), held, &mut Notice::default()).await
    }

    #[tokio::test]
    async fn a_connection_is_asked_again_and_its_end_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..2 {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                assert!(!String::from_utf8(request).unwrap().to_lowercase().contains("connection: close"));
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok!!").await.unwrap();
            }
            (listener, stream)
        });
        let Ok(Kept::Fresh { sender, closed }) = holding_on(target, None).await else { panic!("a connection is left") };
        let closed = tokio::spawn(closed);
        let Ok(Kept::Same(sender)) = holding_on(target, sender).await else { panic!("it is asked again") };
        let (listener, stream) = server.await.unwrap();
        drop(stream);
        closed.await.expect("the end is told");
        drop(listener);
        let failure = holding_on(target, Some(sender)).await.map(drop).expect_err("nobody listens any more");
        assert_eq!(failure.to_string(), "connection refused");
    }

    #[tokio::test]
    async fn what_cannot_be_asked_again_is_not_held() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"[..],
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\nok",
        ] {
            let (target, _server) =
                server(async move |mut stream: TcpStream| stream.write_all(answer).await.unwrap()).await;
            assert!(matches!(holding_on(target, None).await, Ok(Kept::Nothing)), "{}", answer.escape_ascii());
        }
    }

    /// The same over TLS, and what only TLS can do wrong.
    #[cfg(feature = "encrypted")]
    mod over_tls {
        use std::sync::Arc;

        use rustls::ServerConfig;
        use rustls::crypto::ring;
        use rustls::pki_types::PrivateKeyDer;
        use tokio_rustls::TlsAcceptor;
        use tokio_rustls::server::TlsStream;

        use super::*;
        use crate::config::Trust;

        fn acceptor() -> TlsAcceptor {
            let made = rcgen::generate_simple_self_signed(vec!["x.test".to_owned()]).unwrap();
            let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .unwrap();
            TlsAcceptor::from(Arc::new(config))
        }

        async fn probe(target: SocketAddr, check: &HttpCheck, timeout: Duration) -> Result<Notice, String> {
            let check = &HttpCheck { port: target.port(), ..check.clone() };
            let client = tls::Client::new(&Trust::Anyone, &[]).unwrap();
            let page = Page { check, tls: Some(&client), deadline: Deadline::after(timeout) };
            let mut notice = Notice::default();
            let kept = page.probe(target.ip(), None, &mut notice).await;
            kept.map(|_| notice).map_err(|failure| failure.to_string())
        }

        /// Answers one request by `answer`, and waits for the end of the connection.
        async fn server<F, A>(answer: F) -> SocketAddr
        where
            F: FnOnce(TlsStream<TcpStream>) -> A + Send + 'static,
            A: Future<Output = ()> + Send,
        {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let target = listener.local_addr().unwrap();
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = acceptor().accept(stream).await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                answer(stream).await;
            });
            target
        }

        #[tokio::test]
        async fn a_page_passes_and_the_certificate_says_when_it_ends() {
            let target = server(async |mut stream: TlsStream<TcpStream>| {
                stream.write_all(b"HTTP/1.1 200 OK\r\nx-kofn: drain\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            })
            .await;
            let notice = probe(target, &holding("ok"), LONG).await.unwrap();
            assert!(notice.certificate_end.is_some());
            assert_eq!(notice.drains, Some(true));
        }

        #[tokio::test]
        async fn the_end_of_each_bad_answer_has_its_reason() {
            let endless = server(async |mut stream: TlsStream<TcpStream>| {
                let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
                let mut written = stream.write_all(head).await;
                while written.is_ok() {
                    written = stream.write_all(&[b'a'; 4096]).await;
                }
            });
            let found = probe(endless.await, &holding("x"), LONG).await;
            assert_eq!(found, Err("the first 64 KiB of the body lack \"x\"".to_owned()));
            let waits = server(async |mut stream: TlsStream<TcpStream>| {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na").await.unwrap();
                stream.flush().await.unwrap();
                // The probe hangs up.
                let _ = stream.read_u8().await;
            });
            let found = probe(waits.await, &holding("x"), Duration::from_secs(1)).await;
            assert_eq!(found, Err("timed out after 1s waiting for the response body".to_owned()));
            let closed = server(async |mut stream: TlsStream<TcpStream>| stream.shutdown().await.unwrap());
            let found = probe(closed.await, &check(), LONG).await;
            assert_eq!(found, Err("connection closed before the end of the response head".to_owned()));
        }

        #[tokio::test]
        async fn whatever_is_slow_without_an_end_ends_at_the_timeout() {
            const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
            const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            for (start, more, what) in [
                (&b""[..], &b""[..], "head"),
                (b"HTTP/1.1 200 OK\r\nA: ", b"a", "head"),
                (HEAD, b"a", "body"),
                (CHUNKED, b"1\r\na\r\n", "body"),
            ] {
                let target = server(async move |stream: TlsStream<TcpStream>| drip(stream, start, more).await).await;
                let found = probe(target, &holding("x"), Duration::from_secs(1)).await;
                let words = format!("timed out after 1s waiting for the response {what}");
                assert_eq!(found, Err(words), "{}", start.escape_ascii());
            }
        }

        #[tokio::test]
        async fn a_port_that_is_closed_is_refused() {
            let target = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            assert_eq!(probe(target, &check(), LONG).await, Err("connection refused".to_owned()));
        }

        #[tokio::test]
        async fn a_session_is_asked_again_and_its_end_without_a_farewell_is_told() {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let target = listener.local_addr().unwrap();
            let server = tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                drop(listener);
                let mut stream = acceptor().accept(stream).await.unwrap();
                for _ in 0..2 {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(stream.read_u8().await.unwrap());
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                }
                stream
            });
            let client = tls::Client::new(&Trust::Anyone, &[]).unwrap();
            let check = &HttpCheck { port: target.port(), hold: true, ..holding("ok") };
            let page = || Page { check, tls: Some(&client), deadline: Deadline::after(LONG) };
            let (address, notice) = (target.ip(), &mut Notice::default());
            let first = page().probe(address, None, notice).await;
            let Ok(Kept::Fresh { sender, closed }) = first else { panic!("a session is left") };
            let closed = tokio::spawn(closed);
            let Ok(Kept::Same(sender)) = page().probe(address, sender, notice).await else {
                panic!("it is asked again")
            };
            // A crash: the kernel closes the connection, and nobody is left who could end the session.
            let (stream, _) = server.await.unwrap().into_inner();
            drop(stream);
            closed.await.expect("the end is told");
            let failure =
                page().probe(address, Some(sender), notice).await.map(drop).expect_err("nobody listens any more");
            assert_eq!(failure.to_string(), "connection refused");
        }

        /// What a server without TLS says at once, and whether it then hangs up.
        async fn plain(says: &'static [u8], stays: bool) -> SocketAddr {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let target = listener.local_addr().unwrap();
            tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(says).await.unwrap();
                let mut buffer = [0; 4096];
                // The first octets of the handshake are read, so that the end is a close and no reset.
                let _ = stream.read(&mut buffer).await;
                if stays {
                    let _ = stream.read(&mut buffer).await;
                }
            });
            target
        }

        #[tokio::test]
        async fn what_is_no_tls_is_told() {
            let found = probe(plain(b"HTTP/1.1 400 Bad Request\r\n\r\n", true).await, &check(), LONG).await;
            assert_eq!(found, Err("the answer is no TLS".to_owned()));
            let found = probe(plain(b"", true).await, &check(), SHORT).await;
            assert_eq!(found, Err("timed out after 100ms waiting for the TLS handshake".to_owned()));
            let found = probe(plain(b"", false).await, &check(), LONG).await;
            assert_eq!(found, Err("connection closed before the end of the TLS handshake".to_owned()));
        }
    }
}
