//! One question to one primary: by UDP, TCP or TLS, signed or not, and its answer message by message.

#[cfg(feature = "encrypted")]
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(feature = "encrypted")]
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

#[cfg(feature = "encrypted")]
use crate::config::Trust;
use crate::config::{Primary, PrimaryTls};
use crate::transfer::tsig::{Key, Signer, Unverified, Verifier};
use crate::transfer::{Misbehaviour, Question, Response, ask};
use crate::wire::{Name, Rcode};
use crate::zone::Serial;

/// Why a primary gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PullError {
    /// It sent what cannot be taken.
    #[error(transparent)]
    Misbehaviour(#[from] Misbehaviour),
    /// It cannot prove to be the primary.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// It does not say what it minds about our signature (RFC 8945 section 5.2 has it say so).
    #[error("it answered NOTAUTH: it does not take our key, its secret or our time")]
    NotTaken,
    /// The connection failed.
    #[error("{0}")]
    Connection(String),
    /// Nothing came for a while.
    #[error("it does not answer")]
    Silence,
    /// Something came all the time, but not the end.
    #[error("the transfer took longer than limits.transfer_time")]
    TooLong,
    /// The key is not in kofn.toml.
    #[error("there is no [key.\"{0}\"] in kofn.toml")]
    NoKey(Name),
    /// It has less than we have.
    #[error("its serial {theirs} is behind ours, {ours}; `kofn transfer retry --force` takes it nevertheless")]
    Behind {
        /// What it has.
        theirs: Serial,
        /// What is here.
        ours: Serial,
    },
}

/// A UDP answer may be lost once; then TCP is asked.
const UDP_TRIES: usize = 2;
const UDP_PATIENCE: Duration = Duration::from_millis(1500);
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may be silent. Primaries that read a large zone from disk pause.
const SILENCE: Duration = Duration::from_secs(20);
/// Octets of the largest answer by UDP that is read.
const UDP_OCTETS: usize = 4096;

/// A primary and the key that its messages are signed with.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) primary: Primary,
    pub(super) key: Option<Key>,
}

impl Peer {
    /// Asks by UDP, then by TCP when nothing comes, or not all, or a refusal.
    pub(super) async fn ask_short<T>(
        &self,
        question: &Question,
        links: &Links,
        mut read: impl FnMut(&[u8]) -> Result<T, Misbehaviour>,
    ) -> Result<T, PullError> {
        if self.primary.tls.is_none() {
            for _ in 0..UDP_TRIES {
                let question = Question { id: rand::random(), ..question.clone() };
                match timeout(UDP_PATIENCE, self.ask_udp(&question)).await {
                    Err(_) => {}
                    Ok(Err(error)) => return Err(error),
                    Ok(Ok(Some(message))) => return Ok(read(&message)?),
                    Ok(Ok(None)) => break,
                }
            }
        }
        let mut answers = self.open(question, None, links).await?;
        Ok(read(&answers.next(Instant::now() + SILENCE).await?)?)
    }

    /// The first answer that fits; `None` if TCP may have more: it is truncated, or REFUSED, as Knot does with catalogs. What does not fit may be forged, and the true one still comes.
    async fn ask_udp(&self, question: &Question) -> Result<Option<Vec<u8>>, PullError> {
        let addr = self.primary.addr;
        let socket = UdpSocket::bind(unspecified(addr)).await.map_err(failed)?;
        socket.connect(addr).await.map_err(failed)?;
        let (message, verifier) = self.sign(ask(question, None));
        socket.send(&message).await.map_err(failed)?;
        let mut verifier = verifier.map(Signer::into_verifier);
        let mut octets = vec![0; UDP_OCTETS];
        loop {
            let length = socket.recv(&mut octets).await.map_err(failed)?;
            let answer = &octets[..length];
            match Response::read(answer, question) {
                Err(Misbehaviour::NotTheAnswer | Misbehaviour::Malformed) => continue,
                Ok(response) if response.truncated => return Ok(None),
                Err(Misbehaviour::Refused(Rcode::REFUSED)) => return Ok(None),
                _ => {}
            }
            verify(verifier.as_mut(), answer, question)?;
            return Ok(Some(answer.to_vec()));
        }
    }

    /// Connects and asks; `ours` goes with IXFR.
    pub(super) async fn open(
        &self,
        question: &Question,
        ours: Option<Serial>,
        links: &Links,
    ) -> Result<Answers, PullError> {
        let connect = timeout(CONNECT_PATIENCE, links.connect(&self.primary));
        let mut stream = connect.await.map_err(|_| PullError::Silence)??;
        let (message, signer) = self.sign(ask(question, ours));
        let length = u16::try_from(message.len()).expect("a question is short");
        let octets = [&length.to_be_bytes(), &message[..]].concat();
        stream.write_all(&octets).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        let verifier = signer.map(Signer::into_verifier);
        Ok(Answers { stream: BufReader::with_capacity(READ_AHEAD, stream), verifier, question: question.clone() })
    }

    fn sign(&self, mut message: Vec<u8>) -> (Vec<u8>, Option<Signer>) {
        let signer = self.key.clone().map(|key| {
            let mut signer = Signer::new(key);
            signer.sign(&mut message, now());
            signer
        });
        (message, signer)
    }
}

/// The messages that come over one connection.
pub(super) struct Answers {
    stream: BufReader<Box<dyn Stream>>,
    verifier: Option<Verifier>,
    question: Question,
}

impl Answers {
    /// The next message, verified as far as it can be yet, before `deadline`.
    pub(super) async fn next(&mut self, deadline: Instant) -> Result<Vec<u8>, PullError> {
        let until = deadline.min(Instant::now() + SILENCE);
        let late = if until == deadline { PullError::TooLong } else { PullError::Silence };
        let message = timeout_at(until, self.read()).await.map_err(|_| late)??;
        verify(self.verifier.as_mut(), &message, &self.question)?;
        Ok(message)
    }

    /// Whether a signature covers all that has come; true without a key.
    pub(super) fn is_complete(&self) -> bool {
        self.verifier.as_ref().is_none_or(Verifier::is_complete)
    }

    async fn read(&mut self) -> Result<Vec<u8>, PullError> {
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Misbehaviour::Short.into(),
            _ => failed(error),
        };
        let length = self.stream.read_u16().await.map_err(broken)?;
        let mut message = vec![0; usize::from(length)];
        self.stream.read_exact(&mut message).await.map_err(broken)?;
        Ok(message)
    }
}

/// Makes connections, and keeps what is costly to make for them.
#[derive(Debug, Default)]
pub(super) struct Links {
    #[cfg(feature = "encrypted")]
    clients: Mutex<HashMap<Trust, crate::tls::Client>>,
}

impl Links {
    async fn connect(&self, primary: &Primary) -> Result<Box<dyn Stream>, PullError> {
        let stream = TcpStream::connect(primary.addr).await.map_err(failed)?;
        // Without it a question waits for the acknowledgement of the handshake; if it fails, it is only slower.
        let _ = stream.set_nodelay(true);
        match &primary.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => self.encrypt(stream, tls).await,
        }
    }

    #[cfg(feature = "encrypted")]
    async fn encrypt(&self, stream: TcpStream, tls: &PrimaryTls) -> Result<Box<dyn Stream>, PullError> {
        let client = self.client(&tls.trust).map_err(|error| PullError::Connection(error.to_string()))?;
        let stream = client.handshake(&tls.name, stream).await;
        Ok(Box::new(stream.map_err(|error| PullError::Connection(error.to_string()))?))
    }

    #[cfg(feature = "encrypted")]
    fn client(&self, trust: &Trust) -> Result<crate::tls::Client, crate::tls::ClientError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(trust) {
            return Ok(client.clone());
        }
        let client = crate::tls::Client::new(trust, &[DOT])?;
        clients.insert(trust.clone(), client.clone());
        Ok(client)
    }

    #[cfg(not(feature = "encrypted"))]
    #[expect(clippy::unused_async, reason = "the form of the other build")]
    async fn encrypt(&self, _: TcpStream, _: &PrimaryTls) -> Result<Box<dyn Stream>, PullError> {
        unreachable!("a policy with `tls` is not taken without the feature")
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Without a signature a refusal is only a refusal, and says more than that the signature is missing.
fn verify(verifier: Option<&mut Verifier>, message: &[u8], question: &Question) -> Result<(), PullError> {
    let Some(verifier) = verifier else { return Ok(()) };
    match (verifier.verify(message, now()), Response::read(message, question)) {
        (Ok(_), _) => Ok(()),
        (Err(Unverified::Missing), Err(Misbehaviour::Refused(Rcode::NOTAUTH))) => Err(PullError::NotTaken),
        (Err(Unverified::Missing), Err(refused @ Misbehaviour::Refused(_))) => Err(refused.into()),
        (Err(error), _) => Err(error.into()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form of `map_err`")]
fn failed(error: io::Error) -> PullError {
    PullError::Connection(error.to_string())
}

/// A random port of any address: the system draws it.
fn unspecified(peer: SocketAddr) -> SocketAddr {
    let any = if peer.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    SocketAddr::new(any, 0)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// DNS over TLS, which transfers share (RFC 9103 section 7.1).
#[cfg(feature = "encrypted")]
const DOT: &[u8] = b"dot";
/// One read a message where messages are full.
const READ_AHEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{TsigAlgorithm, TsigKey};
    use crate::wire::Type;

    /// PowerDNS answers so, where others say BADSIG or BADTIME.
    #[test]
    fn a_bare_notauth_to_a_signed_question_is_about_the_signature() {
        let apex = Name::from_text(b"test").unwrap();
        let question = Question { id: 7, apex: apex.clone(), qtype: Type::SOA };
        let answer = |rcode: u8| {
            let mut octets = ask(&question, None);
            (octets[2], octets[3]) = (0x84, rcode);
            octets
        };
        let key = Key::new(&apex, &TsigKey { algorithm: TsigAlgorithm::HmacSha256, secret: [7; 32].into() });
        let mut verifier = Signer::new(key).into_verifier();
        let mut verdict = |rcode| verify(Some(&mut verifier), &answer(rcode), &question);
        assert_eq!(verdict(9), Err(PullError::NotTaken));
        assert_eq!(verdict(5), Err(Misbehaviour::Refused(Rcode(5)).into()));
        assert_eq!(verdict(0), Err(Unverified::Missing.into()), "NOERROR without a signature");
        assert_eq!(verify(None, &answer(9), &question), Ok(()), "whoever reads it judges it");
    }
}
