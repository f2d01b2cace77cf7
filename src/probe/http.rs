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
}
